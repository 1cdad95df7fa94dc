/* listen.c: accepting connections. */
#include "hypercore/net/uv/peer.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128

static void
listener_closed (uv_handle_t *handle) {
  ab__uv_listener_t *listener = handle->data;
  ab_uv_t *uv = listener->uv;
  *listener->link = listener->next;
  if (listener->next != NULL) listener->next->link = listener->link;
  free(listener->path);
  free(listener);
  ab__uv_check_gone(uv);
}

void
ab__uv_listener_close (ab__uv_listener_t *listener) {
  if (uv_is_closing(&listener->handle.handle)) return;
  if (listener->path != NULL) (void) unlink(listener->path);
  uv_close(&listener->handle.handle, listener_closed);
}

/* ---- accepting ---- */

static void
name_tcp_peer (ab_uv_peer_t *peer) {
  struct sockaddr_storage address;
  int len = sizeof(address), port;
  char host[128];
  if (uv_tcp_getpeername(&peer->in.tcp, (struct sockaddr *) &address, &len) < 0) return;
  if (address.ss_family == AF_INET6) {
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *) &address;
    if (uv_ip6_name(in6, host, sizeof(host)) < 0) return;
    port = ntohs(in6->sin6_port);
  } else {
    const struct sockaddr_in *in4 = (const struct sockaddr_in *) &address;
    if (uv_ip4_name(in4, host, sizeof(host)) < 0) return;
    port = ntohs(in4->sin_port);
  }
  bool brackets = address.ss_family == AF_INET6;
  snprintf(
    peer->address,
    sizeof(peer->address),
    "tcp:%s%s%s:%d",
    brackets ? "[" : "",
    host,
    brackets ? "]" : "",
    port
  );
}

static void
on_connection (uv_stream_t *handle, int status) {
  ab__uv_listener_t *listener = handle->data;
  ab_uv_t *uv = listener->uv;
  if (status < 0 || uv->is_closing) return;
  ab_uv_peer_t *peer = ab__uv_peer_new(uv, NULL, listener->path == NULL ? "tcp:?" : "unix:");
  if (peer == NULL) return; /* it stays in the backlog */
  int err =
    listener->is_tcp ? uv_tcp_init(uv->loop, &peer->in.tcp) : uv_pipe_init(uv->loop, &peer->in.pipe, 0);
  if (err == 0) {
    peer->in.handle.data = peer;
    peer->handles++;
    peer->reader = peer->writer = &peer->in.stream;
    err = uv_accept(handle, &peer->in.stream);
  }
  if (err < 0) {
    ab__uv_peer_close(peer, ab__uv_code(err), "%s", uv_strerror(err));
    return;
  }
  if (listener->is_tcp) {
    ab__uv_tcp_set_options(&peer->in.tcp);
    name_tcp_peer(peer);
  }
  (void) ab__uv_peer_start(peer, false);
}

/* ---- listening ---- */

static ab__uv_listener_t *
listener_new (ab_uv_t *uv, bool is_tcp) {
  ab__uv_listener_t *listener = calloc(1, sizeof(*listener));
  if (listener == NULL) return NULL;
  int err =
    is_tcp ? uv_tcp_init(uv->loop, &listener->handle.tcp) : uv_pipe_init(uv->loop, &listener->handle.pipe, 0);
  if (err < 0) {
    free(listener);
    return NULL;
  }
  listener->uv = uv;
  listener->is_tcp = is_tcp;
  listener->handle.handle.data = listener;
  listener->next = uv->listeners;
  listener->link = &uv->listeners;
  if (listener->next != NULL) listener->next->link = &listener->next;
  uv->listeners = listener;
  return listener;
}

static unsigned
port_of (ab__uv_listener_t *listener) {
  struct sockaddr_storage address;
  int len = sizeof(address);
  if (uv_tcp_getsockname(&listener->handle.tcp, (struct sockaddr *) &address, &len) < 0) return 0;
  if (address.ss_family == AF_INET6) return ntohs(((const struct sockaddr_in6 *) &address)->sin6_port);
  return ntohs(((const struct sockaddr_in *) &address)->sin_port);
}

static int
listen_tcp (ab_uv_t *uv, const ab__uv_address_t *address, unsigned *port) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
  uv_getaddrinfo_t lookup;
  int err = uv_getaddrinfo(uv->loop, &lookup, NULL, address->host, address->port, &hints);
  if (err < 0) return ab__uv_fail(uv, ab__uv_code(err), "looking up %s: %s", address->host, uv_strerror(err));
  ab__uv_listener_t *listener = listener_new(uv, true);
  if (listener == NULL) {
    uv_freeaddrinfo(lookup.addrinfo);
    return ab__uv_fail(uv, AB_ENOMEM, "%s", ab_strerror(AB_ENOMEM));
  }
  err = uv_tcp_bind(&listener->handle.tcp, lookup.addrinfo->ai_addr, 0);
  if (err == 0) err = uv_listen(&listener->handle.stream, BACKLOG, on_connection);
  uv_freeaddrinfo(lookup.addrinfo);
  if (err < 0) {
    ab__uv_listener_close(listener);
    return ab__uv_fail(uv, ab__uv_code(err), "listening at %s: %s", address->text, uv_strerror(err));
  }
  if (port != NULL) *port = port_of(listener);
  return 0;
}

/* A socket that nobody listens at is left over from a process that was killed. */
static void
remove_stale (const char *path, const char *short_path) {
  struct stat st;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode)) return;
  memcpy(address.sun_path, short_path, strlen(short_path) + 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  bool is_alive = connect(fd, (const struct sockaddr *) &address, sizeof(address)) == 0;
  close(fd);
  if (!is_alive) (void) unlink(path);
}

static int
listen_unix (ab_uv_t *uv, const ab__uv_address_t *address) {
  char short_path[sizeof(((struct sockaddr_un *) NULL)->sun_path)];
  int folder;
  if (ab__uv_pipe_short_path(address->host, short_path, sizeof(short_path), &folder) < 0) {
    return ab__uv_fail(uv, AB_EINVAL, "listening at %s: there is no such folder", address->text);
  }
  ab__uv_listener_t *listener = listener_new(uv, false);
  int err = listener == NULL ? UV_ENOMEM : 0;
  if (err == 0) {
    remove_stale(address->host, short_path);
    err = uv_pipe_bind(&listener->handle.pipe, short_path);
  }
  if (err == 0) {
    listener->path = strdup(address->host);
    err = uv_listen(&listener->handle.stream, BACKLOG, on_connection);
  }
  if (folder >= 0) close(folder);
  if (err == 0) return 0;
  if (listener != NULL) ab__uv_listener_close(listener);
  return ab__uv_fail(uv, ab__uv_code(err), "listening at %s: %s", address->text, uv_strerror(err));
}

int
ab_uv_listen (ab_uv_t *uv, const char *text, unsigned *port) {
  ab__uv_address_t address;
  if (port != NULL) *port = 0;
  int err = ab__uv_address_parse(text, &address);
  if (err == AB_ENOMEM) return ab__uv_fail(uv, err, "%s", ab_strerror(err));
  if (err == 0 && address.kind == AB__UV_TCP) err = listen_tcp(uv, &address, port);
  else if (err == 0 && address.kind == AB__UV_UNIX) err = listen_unix(uv, &address);
  else
    err = ab__uv_fail(
      uv, AB_EINVAL, "\"%.200s\" is no address to listen at; tcp:HOST:PORT and unix:PATH are", text
    );
  ab__uv_address_destroy(&address);
  return err;
}

/* pipe.c: Unix sockets, the stdin and stdout of this process, and sockets that are given. */
#include "hypercore/net/uv/peer.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

int
ab__uv_pipe_short_path (const char *path, char *out, size_t size, int *folder) {
  struct sockaddr_un address;
  size_t limit = sizeof(address.sun_path) < size ? sizeof(address.sun_path) : size;
  *folder = -1;
  if (strlen(path) < limit) {
    memcpy(out, path, strlen(path) + 1);
    return 0;
  }
  const char *slash = strrchr(path, '/');
  char dir[AB__UV_ADDRESS_MAX + 1];
  if (slash == NULL || slash == path || strlen(path) >= sizeof(dir)) return AB_EINVAL;
  memcpy(dir, path, (size_t) (slash - path));
  dir[slash - path] = 0;
  *folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int len = *folder < 0 ? -1 : snprintf(out, size, "/proc/self/fd/%d%s", *folder, slash);
  if (len > 0 && (size_t) len < limit) return 0;
  if (*folder >= 0) close(*folder);
  *folder = -1;
  return AB_EINVAL;
}

static int
init_pipe (ab_uv_peer_t *peer, uv_pipe_t *pipe) {
  int err = uv_pipe_init(peer->uv->loop, pipe, 0);
  if (err < 0) return err;
  pipe->data = peer;
  peer->handles++;
  return 0;
}

static void
on_connect (uv_connect_t *req, int status) {
  ab_uv_peer_t *peer = req->data;
  if (peer->is_closing) return;
  if (status < 0) {
    ab__uv_peer_close(peer, ab__uv_code(status), "%s", uv_strerror(status));
    return;
  }
  (void) ab__uv_peer_start(peer, !peer->dial->options.respond);
}

int
ab__uv_pipe_connect (ab_uv_peer_t *peer, const char *path) {
  char short_path[sizeof(((struct sockaddr_un *) NULL)->sun_path)];
  int folder, err = init_pipe(peer, &peer->in.pipe);
  if (err < 0) return err;
  peer->reader = peer->writer = &peer->in.stream;
  if (ab__uv_pipe_short_path(path, short_path, sizeof(short_path), &folder) < 0) return UV_ENAMETOOLONG;
  peer->connect.data = peer;
  uv_pipe_connect(&peer->connect, &peer->in.pipe, short_path, on_connect);
  if (folder >= 0) close(folder);
  return 0;
}

/* ---- descriptors ---- */

/* A pipe or socket as one end of the connection. */
static int
open_end (ab_uv_peer_t *peer, uv_pipe_t *pipe, int fd) {
  uv_handle_type type = uv_guess_handle(fd);
  if (type != UV_NAMED_PIPE && type != UV_TCP) return UV_EINVAL;
  int err = init_pipe(peer, pipe);
  if (err < 0) return err;
  return uv_pipe_open(pipe, fd);
}

int
ab__uv_pipe_open_stdio (ab_uv_peer_t *peer, bool initiator) {
  int err = open_end(peer, &peer->in.pipe, STDIN_FILENO);
  if (err == 0 || peer->in.handle.data != NULL) peer->reader = &peer->in.stream;
  if (err < 0) return err;
  err = open_end(peer, &peer->out.pipe, STDOUT_FILENO);
  if (err == 0 || peer->out.handle.data != NULL) peer->writer = &peer->out.stream;
  if (err < 0) return err;
  (void) ab__uv_peer_start(peer, initiator);
  return 0;
}

int
ab__uv_pipe_open_fd (ab_uv_peer_t *peer, int fd, bool initiator) {
  int err = open_end(peer, &peer->in.pipe, fd);
  if (peer->in.handle.data != NULL) peer->reader = peer->writer = &peer->in.stream;
  if (err < 0) {
    close(fd);
    return err;
  }
  (void) ab__uv_peer_start(peer, initiator);
  return 0;
}

/* dial.c: connecting, and connecting again. */
#include "hypercore/net/uv/peer.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define STEADY_MS 5000 /* a connection that lasted so long was a good one */

ab_uv_connect_options_t
ab_uv_connect_options_default (void) {
  return (ab_uv_connect_options_t){.struct_size = sizeof(ab_uv_connect_options_t)};
}

static void
attempt (ab_uv_dial_t *dial);

/* ---- the end ---- */

static void
free_found (ab_uv_dial_t *dial) {
  if (dial->found != NULL) uv_freeaddrinfo(dial->found);
  dial->found = dial->at = NULL;
}

static void
free_if_gone (ab_uv_dial_t *dial) {
  ab_uv_t *uv = dial->uv;
  if (!dial->is_closed || dial->peer != NULL || dial->is_looking || dial->timer_open) return;
  *dial->link = dial->next;
  if (dial->next != NULL) dial->next->link = dial->link;
  free_found(dial);
  ab__uv_address_destroy(&dial->address);
  free(dial);
  ab__uv_check_gone(uv);
}

static void
timer_closed (uv_handle_t *handle) {
  ab_uv_dial_t *dial = handle->data;
  dial->timer_open = false;
  free_if_gone(dial);
}

void
ab_uv_dial_close (ab_uv_dial_t *dial) {
  if (dial->is_closed) return;
  dial->is_closed = true;
  dial->options.on_end = NULL;
  if (dial->is_looking) (void) uv_cancel((uv_req_t *) &dial->lookup);
  if (dial->peer != NULL) ab_uv_peer_end(dial->peer, AB_ECANCELED);
  uv_close((uv_handle_t *) &dial->timer, timer_closed);
}

/* An attempt failed or a connection ended. */
static void
ended (ab_uv_dial_t *dial, int status, const char *message);

/* ---- again ---- */

static void
on_timer (uv_timer_t *timer) {
  attempt(timer->data);
}

/* Up to a quarter more, so that many that lost one peer do not come back at the same moment. */
static uint64_t
with_jitter (ab_uv_dial_t *dial, uint64_t ms) {
  const ab_env_t *env = ab_store_env(dial->uv->store);
  uint8_t byte;
  env->random(env->data, &byte, 1);
  return ms + ms * byte / 1024;
}

static void
again (ab_uv_dial_t *dial) {
  const ab_uv_options_t *options = &dial->uv->options;
  if (dial->retry_ms == 0) dial->retry_ms = options->retry_min_ms;
  uv_timer_start(&dial->timer, on_timer, with_jitter(dial, dial->retry_ms), 0);
  dial->retry_ms = dial->retry_ms > options->retry_max_ms / 2 ? options->retry_max_ms : 2 * dial->retry_ms;
}

static void
ended (ab_uv_dial_t *dial, int status, const char *message) {
  void (*on_end)(ab_uv_dial_t *, int, const char *, void *) = dial->options.on_end;
  if (dial->is_closed) {
    free_if_gone(dial);
    return;
  }
  if (on_end != NULL) on_end(dial, status, message, dial->options.data); /* may close the dial */
  if (dial->is_closed) return;
  if (dial->options.once) ab_uv_dial_close(dial);
  else again(dial);
}

void
ab__uv_dial_peer_started (ab_uv_dial_t *dial) {
  dial->connected_ms = uv_now(dial->uv->loop);
  free_found(dial);
}

void
ab__uv_dial_peer_gone (ab_uv_dial_t *dial, int status, const char *message, bool was_started) {
  dial->peer = NULL;
  if (!was_started && dial->at != NULL && !dial->is_closed) { /* the host has more addresses */
    attempt(dial);
    return;
  }
  if (was_started && uv_now(dial->uv->loop) - dial->connected_ms >= STEADY_MS) dial->retry_ms = 0;
  ended(dial, status, message);
}

/* ---- one attempt ---- */

static void
begin_failed (ab_uv_peer_t *peer, int uv_err) {
  if (uv_err < 0) ab__uv_peer_close(peer, ab__uv_code(uv_err), "%s", uv_strerror(uv_err));
}

static void
connect_next_address (ab_uv_dial_t *dial) {
  struct addrinfo *info = dial->at;
  ab_uv_peer_t *peer = ab__uv_peer_new(dial->uv, dial, dial->address.text);
  if (peer == NULL) {
    ended(dial, AB_ENOMEM, ab_strerror(AB_ENOMEM));
    return;
  }
  dial->at = info->ai_next;
  begin_failed(peer, ab__uv_tcp_connect(peer, info->ai_addr));
}

static void
on_found (uv_getaddrinfo_t *req, int status, struct addrinfo *found) {
  ab_uv_dial_t *dial = req->data;
  char message[256];
  dial->is_looking = false;
  free_found(dial);
  dial->found = dial->at = status < 0 ? NULL : found;
  if (dial->is_closed) {
    free_if_gone(dial);
    return;
  }
  if (dial->at != NULL) {
    connect_next_address(dial);
    return;
  }
  snprintf(message, sizeof(message), "looking up %s: %s", dial->address.host, uv_strerror(status));
  ended(dial, AB_EREMOTE, message);
}

static void
look_up (ab_uv_dial_t *dial) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
  dial->lookup.data = dial;
  int err =
    uv_getaddrinfo(dial->uv->loop, &dial->lookup, on_found, dial->address.host, dial->address.port, &hints);
  if (err < 0) ended(dial, ab__uv_code(err), uv_strerror(err));
  else dial->is_looking = true;
}

static void
attempt (ab_uv_dial_t *dial) {
  const ab__uv_address_t *address = &dial->address;
  bool initiator = !dial->options.respond;
  if (address->kind == AB__UV_TCP) {
    if (dial->at != NULL) connect_next_address(dial);
    else look_up(dial);
    return;
  }
  ab_uv_peer_t *peer = ab__uv_peer_new(dial->uv, dial, address->text);
  if (peer == NULL) {
    ended(dial, AB_ENOMEM, ab_strerror(AB_ENOMEM));
    return;
  }
  int err = UV_EINVAL;
  if (address->kind == AB__UV_UNIX) err = ab__uv_pipe_connect(peer, address->host);
  else if (address->kind == AB__UV_EXEC) err = ab__uv_process_spawn(peer, address->host, initiator);
  else if (address->kind == AB__UV_FD) err = ab__uv_pipe_open_fd(peer, address->fd, initiator);
  else err = ab__uv_pipe_open_stdio(peer, initiator);
  if (err == UV_EINVAL && address->kind == AB__UV_STDIO) {
    ab__uv_peer_close(peer, AB_EINVAL, "stdin and stdout have to be pipes or sockets, as of ssh or of exec:");
  }
  begin_failed(peer, err);
}

/* ---- beginning ---- */

static void
first_attempt (uv_timer_t *timer) {
  attempt(timer->data);
}

static int
dial_new (
  ab_uv_t *uv, ab__uv_address_t *address, const ab_uv_connect_options_t *options, ab_uv_dial_t **out
) {
  ab_uv_dial_t *dial = uv->is_closing ? NULL : calloc(1, sizeof(*dial));
  if (dial == NULL) {
    ab__uv_address_destroy(address);
    return ab__uv_fail(uv, AB_ENOMEM, "%s", ab_strerror(AB_ENOMEM));
  }
  dial->uv = uv;
  dial->address = *address;
  dial->options = ab_uv_connect_options_default();
  if (options != NULL) {
    size_t size = options->struct_size < sizeof(dial->options) ? options->struct_size : sizeof(dial->options);
    memcpy(&dial->options, options, size);
  }
  bool only_once = address->kind == AB__UV_STDIO || address->kind == AB__UV_FD;
  if (only_once) dial->options.once = true;
  uv_timer_init(uv->loop, &dial->timer);
  dial->timer.data = dial;
  dial->timer_open = true;
  dial->next = uv->dials;
  dial->link = &uv->dials;
  if (dial->next != NULL) dial->next->link = &dial->next;
  uv->dials = dial;
  uv_timer_start(&dial->timer, first_attempt, 0, 0); /* no callback before this returns */
  if (out != NULL) *out = dial;
  return 0;
}

int
ab_uv_connect (ab_uv_t *uv, const char *text, const ab_uv_connect_options_t *options, ab_uv_dial_t **out) {
  ab__uv_address_t address;
  int err = ab__uv_address_parse(text, &address);
  if (err == AB_EINVAL) {
    return ab__uv_fail(
      uv,
      err,
      "\"%.200s\" is no address to connect to; tcp:HOST:PORT, unix:PATH, exec:COMMAND and - are",
      text
    );
  }
  if (err < 0) return ab__uv_fail(uv, err, "%s", ab_strerror(err));
  return dial_new(uv, &address, options, out);
}

int
ab_uv_attach (ab_uv_t *uv, int fd, const ab_uv_connect_options_t *options, ab_uv_dial_t **out) {
  ab__uv_address_t address;
  int err = ab__uv_address_parse("-", &address);
  if (err == 0) {
    address.kind = AB__UV_FD;
    address.fd = fd;
    err = dial_new(uv, &address, options, out);
  }
  if (err < 0) close(fd);
  return err;
}

ab_uv_peer_t *
ab_uv_dial_peer (const ab_uv_dial_t *dial) {
  return dial->peer != NULL && dial->peer->is_started ? dial->peer : NULL;
}

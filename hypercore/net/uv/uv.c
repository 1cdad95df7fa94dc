/* uv.c: the loop: when the store runs and when bytes go out. */
#include "hypercore/net/uv/peer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BUDGET_MS 20
#define CONNECTIONS_MAX 1024
#define RETRY_MIN_MS 200
#define RETRY_MAX_MS 30000
#define OVERDUE_MS 5 /* due, yet there was nothing to do: not at once again */

ab_uv_options_t
ab_uv_options_default (void) {
  return (ab_uv_options_t){.struct_size = sizeof(ab_uv_options_t)};
}

int
ab__uv_fail (ab_uv_t *uv, int err, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(uv->message, sizeof(uv->message), format, args);
  va_end(args);
  return err;
}

const char *
ab_uv_errmsg (const ab_uv_t *uv) {
  return uv->message;
}

int
ab__uv_code (int uv_err) {
  switch (uv_err) {
  case 0:
    return 0;
  case UV_ENOMEM:
    return AB_ENOMEM;
  case UV_EACCES:
  case UV_EPERM:
    return AB_EDENIED;
  case UV_EADDRINUSE:
    return AB_EINUSE;
  case UV_ECANCELED:
    return AB_ECANCELED;
  case UV_EOF:
    return AB_EEND;
  case UV_ETIMEDOUT:
    return AB_ETIMEDOUT;
  case UV_ECONNREFUSED:
  case UV_ECONNRESET:
  case UV_EPIPE:
  case UV_EHOSTUNREACH:
  case UV_ENETUNREACH:
  case UV_EADDRNOTAVAIL:
  case UV_EAI_NONAME:
  case UV_EAI_AGAIN:
  case UV_EAI_FAIL:
  case UV_EAI_NODATA:
  case UV_ENOENT:
    return AB_EREMOTE;
  default:
    return AB_EIO;
  }
}

/* ---- turns ---- */

static void
on_idle (uv_idle_t *handle) {
  (void) handle; /* its only use is that the loop does not wait */
}

void
ab_uv_wake (ab_uv_t *uv) {
  uv->is_due = true;
  if (!uv->is_closing) uv_idle_start(&uv->idle, on_idle);
}

static bool
owes_answers (const ab_uv_peer_t *peer) {
  ab_stream_stats_t stats;
  ab_stream_stats(peer->stream, &stats);
  return stats.answers_owed > 0;
}

/* Who has more to send than its share comes again in the next turn. */
static void
flush_peers (ab_uv_t *uv, bool only_debtors) {
  uv->taking = uv->takers;
  uv->takers = NULL;
  while (uv->taking != NULL) {
    ab_uv_peer_t *peer = uv->taking;
    uv->taking = peer->next_take;
    if (only_debtors && !owes_answers(peer)) {
      peer->next_take = uv->takers;
      uv->takers = peer;
      continue;
    }
    peer->wants_take = false;
    peer->next_take = NULL;
    ab__uv_peer_flush(peer);
  }
}

static void
tell_error (ab_uv_t *uv, int status) {
  if (status == uv->told_error) return;
  uv->told_error = status;
  if (status < 0 && uv->options.on_error != NULL) {
    uv->options.on_error(uv, status, ab_store_errmsg(uv->store), uv->options.data);
  }
}

static void
set_timer (ab_uv_t *uv, uint64_t deadline_ms);

static void
turn (ab_uv_t *uv) {
  uint64_t deadline_ms = UINT64_MAX;
  uv->is_due = false;
  /* answers do not wait for a slice of other work; what is asked for does, which may find that it is not
   * wanted */
  flush_peers(uv, true);
  int more = ab_store_run(uv->store, uv->options.budget_ms, &deadline_ms);
  tell_error(uv, more < 0 ? more : 0);
  for (ab_uv_peer_t *peer = uv->peers, *next; peer != NULL; peer = next) {
    next = peer->next;
    ab__uv_peer_resume(peer);
  }
  flush_peers(uv, false); /* before the host looks whether something is left to be sent */
  if (uv->options.on_turn != NULL) uv->options.on_turn(uv, &deadline_ms, uv->options.data);
  if (uv->is_closing) return;
  if (more == 1) uv->is_due = true;
  if (!uv->is_due) uv_idle_stop(&uv->idle);
  else uv_idle_start(&uv->idle, on_idle);
  set_timer(uv, deadline_ms);
}

static void
on_check (uv_check_t *handle) {
  ab_uv_t *uv = handle->data;
  if (uv->is_due && !uv->is_closing) turn(uv);
}

static void
on_timer (uv_timer_t *handle) {
  ab_uv_wake(handle->data);
}

static void
set_timer (ab_uv_t *uv, uint64_t deadline_ms) {
  const ab_env_t *env = ab_store_env(uv->store);
  if (deadline_ms == UINT64_MAX) {
    uv_timer_stop(&uv->timer);
    return;
  }
  uint64_t now = env->now_ms(env->data);
  uint64_t wait = deadline_ms > now ? deadline_ms - now : OVERDUE_MS;
  uv_timer_start(&uv->timer, on_timer, wait, 0);
}

/* ---- opening and closing ---- */

static void
set_options (ab_uv_t *uv, const ab_uv_options_t *options) {
  ab_uv_options_t *own = &uv->options;
  *own = ab_uv_options_default();
  if (options != NULL) {
    memcpy(own, options, options->struct_size < sizeof(*own) ? options->struct_size : sizeof(*own));
  }
  if (own->budget_ms == 0) own->budget_ms = BUDGET_MS;
  if (own->connections_max == 0) own->connections_max = CONNECTIONS_MAX;
  if (own->retry_min_ms == 0) own->retry_min_ms = RETRY_MIN_MS;
  if (own->retry_max_ms == 0) own->retry_max_ms = RETRY_MAX_MS;
}

int
ab_uv_open (ab_store_t *store, uv_loop_t *loop, const ab_uv_options_t *options, ab_uv_t **out) {
  if (options != NULL && options->struct_size < sizeof(options->struct_size)) return AB_EINVAL;
  ab_uv_t *uv = calloc(1, sizeof(*uv));
  if (uv == NULL) return AB_ENOMEM;
  uv->store = store;
  uv->loop = loop;
  set_options(uv, options);
  uv_check_init(loop, &uv->check); /* these three cannot fail */
  uv_idle_init(loop, &uv->idle);
  uv_timer_init(loop, &uv->timer);
  uv->check.data = uv->idle.data = uv->timer.data = uv;
  uv->handles = 3;
  uv_check_start(&uv->check, on_check);
  ab_uv_wake(uv);
  *out = uv;
  return 0;
}

void
ab__uv_check_gone (ab_uv_t *uv) {
  if (!uv->is_closing || uv->handles > 0 || uv->peers != NULL || uv->dials != NULL || uv->listeners != NULL)
    return;
  void (*cb)(void *) = uv->close_cb;
  void *data = uv->close_data;
  free(uv);
  if (cb != NULL) cb(data);
}

static void
handle_closed (uv_handle_t *handle) {
  ab_uv_t *uv = handle->data;
  uv->handles--;
  ab__uv_check_gone(uv);
}

void
ab_uv_disconnect (ab_uv_t *uv) {
  for (ab_uv_dial_t *dial = uv->dials, *next; dial != NULL; dial = next) {
    next = dial->next;
    ab_uv_dial_close(dial);
  }
  for (ab_uv_peer_t *peer = uv->peers, *next; peer != NULL; peer = next) {
    next = peer->next;
    ab_uv_peer_end(peer, AB_ECANCELED);
  }
}

void
ab_uv_close (ab_uv_t *uv, void (*cb)(void *data), void *data) {
  if (uv->is_closing) return;
  ab_uv_disconnect(uv);
  uv->is_closing = true;
  uv->close_cb = cb;
  uv->close_data = data;
  for (ab__uv_listener_t *listener = uv->listeners, *next; listener != NULL; listener = next) {
    next = listener->next;
    ab__uv_listener_close(listener);
  }
  uv_close((uv_handle_t *) &uv->check, handle_closed);
  uv_close((uv_handle_t *) &uv->idle, handle_closed);
  uv_close((uv_handle_t *) &uv->timer, handle_closed);
}

/* ---- looking ---- */

size_t
ab_uv_connections (const ab_uv_t *uv) {
  return uv->peer_count;
}

size_t
ab_uv_dials_waiting (const ab_uv_t *uv) {
  size_t count = 0;
  for (const ab_uv_dial_t *dial = uv->dials; dial != NULL; dial = dial->next) {
    if (!dial->is_closed && (dial->peer == NULL || !dial->peer->is_started)) count++;
  }
  return count;
}

int
ab_uv_each_peer (ab_uv_t *uv, int (*each)(void *data, ab_uv_peer_t *peer), void *data) {
  for (ab_uv_peer_t *peer = uv->peers, *next; peer != NULL; peer = next) {
    next = peer->next;
    if (!peer->is_started || peer->is_ending || peer->is_closing) continue;
    int result = each(data, peer);
    if (result != 0) return result;
  }
  return 0;
}

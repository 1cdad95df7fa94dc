/* peer.c: a connection: bytes between a libuv stream and an ab_stream_t. */
#include "hypercore/net/uv/peer.h"

#include <assert.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TAKES_MAX 16 /* of one connection in a turn */

static void
read_more (ab_uv_peer_t *peer);
static void
finish (ab_uv_peer_t *peer);

/* ---- life ---- */

ab_uv_peer_t *
ab__uv_peer_new (ab_uv_t *uv, ab_uv_dial_t *dial, const char *address) {
  ab_uv_peer_t *peer = calloc(1, sizeof(*peer));
  if (peer == NULL) return NULL;
  peer->uv = uv;
  peer->dial = dial;
  snprintf(peer->address, sizeof(peer->address), "%s", address);
  uv_timer_init(uv->loop, &peer->linger);
  peer->linger.data = peer;
  peer->handles = 1;
  peer->next = uv->peers;
  peer->link = &uv->peers;
  if (peer->next != NULL) peer->next->link = &peer->next;
  uv->peers = peer;
  if (dial != NULL) dial->peer = peer;
  return peer;
}

static void
forget_take (ab_uv_peer_t *peer) {
  if (!peer->wants_take) return;
  ab_uv_peer_t **at = &peer->uv->takers;
  while (*at != NULL && *at != peer) at = &(*at)->next_take;
  if (*at == NULL) at = &peer->uv->taking;
  while (*at != peer) at = &(*at)->next_take;
  *at = peer->next_take;
  peer->wants_take = false;
}

/* The last handle is closed. */
static void
gone (ab_uv_peer_t *peer) {
  ab_uv_t *uv = peer->uv;
  ab_uv_dial_t *dial = peer->dial;
  bool was_started = peer->is_started;
  if (peer->status == AB_EEND && peer->exit_code != 0) {
    snprintf(
      peer->message, sizeof(peer->message), "the command ended with exit code %d", (int) peer->exit_code
    );
  }
  if (was_started) {
    uv->peer_count--;
    if (uv->options.on_disconnection != NULL) {
      uv->options.on_disconnection(uv, peer, peer->status, peer->message, uv->options.data);
    }
  }
  peer->is_started = false;
  ab_stream_close(peer->stream);
  ab_buf_destroy(&peer->held);
  if (dial != NULL) ab__uv_dial_peer_gone(dial, peer->status, peer->message, was_started);
  *peer->link = peer->next; /* until here it keeps `uv` */
  if (peer->next != NULL) peer->next->link = peer->link;
  free(peer);
  if (!uv->is_closing) ab_uv_wake(uv);
  ab__uv_check_gone(uv);
}

void
ab__uv_peer_handle_closed (uv_handle_t *handle) {
  ab_uv_peer_t *peer = handle->data;
  if (--peer->handles == 0) gone(peer);
}

static void
set_reason (ab_uv_peer_t *peer, int status, const char *format, va_list args) {
  if (peer->status != 0) return;
  peer->status = status;
  vsnprintf(peer->message, sizeof(peer->message), format, args);
}

static void
close_handle (uv_handle_t *handle) {
  if (!uv_is_closing(handle)) uv_close(handle, ab__uv_peer_handle_closed);
}

static void
close_handles (ab_uv_peer_t *peer) {
  if (peer->is_closing) return;
  peer->is_closing = true;
  forget_take(peer);
  uv_timer_stop(&peer->linger);
  if (peer->reader != NULL) close_handle((uv_handle_t *) peer->reader);
  if (peer->writer != NULL && peer->writer != peer->reader) close_handle((uv_handle_t *) peer->writer);
  if (peer->has_process && !peer->process_ended) (void) uv_process_kill(&peer->process, SIGTERM);
  if (peer->has_process) close_handle((uv_handle_t *) &peer->process);
  close_handle((uv_handle_t *) &peer->linger);
}

void
ab__uv_peer_close (ab_uv_peer_t *peer, int status, const char *format, ...) {
  va_list args;
  va_start(args, format);
  set_reason(peer, status, format, args);
  va_end(args);
  close_handles(peer);
}

/* ---- ending: the last bytes go out, and the peer is told that no more come ---- */

/* A socket that is closed with bytes in it takes back what the peer has not read yet. So after a good end we
 * read, for a while, until the peer ends as well; a child may take a moment to end, too. */
static bool
may_close (const ab_uv_peer_t *peer) {
  if (peer->has_process && !peer->process_ended) return false;
  return peer->remote_ended || peer->status != AB_EINSYNC;
}

static void
on_linger (uv_timer_t *timer) {
  ab_uv_peer_t *peer = timer->data;
  if (peer->write_err == 0) close_handles(peer);
  else ab__uv_peer_close(peer, ab__uv_code(peer->write_err), "writing: %s", uv_strerror(peer->write_err));
}

static void
on_shutdown (uv_shutdown_t *req, int status) {
  ab_uv_peer_t *peer = req->data;
  if (peer->is_closing) return;
  if (status < 0 || may_close(peer)) close_handles(peer);
}

static void
say_end (ab_uv_peer_t *peer) {
  if (peer->has_said_end) return;
  peer->has_said_end = true;
  if (peer->write_err < 0) {
    if (may_close(peer)) close_handles(peer);
    return;
  }
  peer->shutdown.data = peer;
  if (uv_shutdown(&peer->shutdown, peer->writer, on_shutdown) < 0) close_handles(peer);
}

static void
begin_ending (ab_uv_peer_t *peer) {
  if (peer->is_ending || peer->is_closing) return;
  peer->is_ending = true;
  int status = ab_stream_status(peer->stream);
  if (peer->status == 0) {
    peer->status = status;
    snprintf(peer->message, sizeof(peer->message), "%s", ab_stream_message(peer->stream));
  }
  uv_timer_start(&peer->linger, on_linger, AB__UV_LINGER_MS, 0);
  read_more(peer); /* only to hear the end */
}

void
ab_uv_peer_end (ab_uv_peer_t *peer, int status) {
  if (!peer->is_started) {
    ab__uv_peer_close(peer, status, "%s", ab_strerror(status));
    return;
  }
  ab_stream_end(peer->stream, status);
  finish(peer);
}

/* ---- out ---- */

static void
on_output (ab_stream_t *stream, void *data) {
  ab_uv_peer_t *peer = data;
  (void) stream;
  if (peer->wants_take || peer->is_closing) return;
  peer->wants_take = true;
  peer->next_take = peer->uv->takers;
  peer->uv->takers = peer;
  ab_uv_wake(peer->uv);
}

/* What the other side said before it went may still be there to be read, and says more than this error. */
static void
cannot_write (ab_uv_peer_t *peer, int uv_err) {
  peer->write_err = uv_err;
  if (!peer->is_ending) uv_timer_start(&peer->linger, on_linger, AB__UV_LINGER_MS, 0);
  else if (may_close(peer)) close_handles(peer);
  else peer->has_said_end = true;
}

static void
on_written (uv_write_t *req, int status) {
  ab_uv_peer_t *peer = req->data;
  peer->is_writing = false;
  if (peer->is_closing) return;
  if (status < 0) {
    cannot_write(peer, status);
    return;
  }
  ab__uv_peer_flush(peer);
  ab_uv_wake(peer->uv); /* the host may wait for this */
}

/* Returns 1 if all of it is with the system, 0 if a write is under way, or an error. */
static int
write_bytes (ab_uv_peer_t *peer, ab_slice_t bytes) {
  uv_buf_t buf = uv_buf_init((char *) (uintptr_t) bytes.data, (unsigned) bytes.len);
  int sent = uv_try_write(peer->writer, &buf, 1);
  if (sent == UV_EAGAIN || sent == UV_ENOSYS) sent = 0;
  if (sent < 0) return sent;
  if ((size_t) sent == bytes.len) return 1;
  buf.base += sent;
  buf.len -= (size_t) sent;
  peer->write.data = peer;
  int err = uv_write(&peer->write, peer->writer, &buf, 1, on_written);
  if (err < 0) return err;
  peer->is_writing = true;
  return 0;
}

void
ab__uv_peer_flush (ab_uv_peer_t *peer) {
  if (peer->is_closing || !peer->is_started || peer->is_writing) return;
  if (peer->write_err < 0) {
    if (peer->is_ending) say_end(peer);
    return;
  }
  for (int i = 0; i < TAKES_MAX; i++) {
    ab_slice_t bytes;
    int err = ab_stream_take(peer->stream, &bytes);
    if (err < 0) {
      ab__uv_peer_close(peer, err, "%s", ab_strerror(err));
      return;
    }
    if (bytes.len == 0) {
      if (ab_stream_status(peer->stream) == 0) return;
      begin_ending(peer);
      say_end(peer);
      return;
    }
    int written = write_bytes(peer, bytes);
    if (written < 0) {
      cannot_write(peer, written);
      return;
    }
    if (written == 0) break; /* on_written goes on */
  }
  if (ab_stream_status(peer->stream) != 0) begin_ending(peer);
  if (!peer->is_writing) on_output(peer->stream, peer); /* others have their turn first */
}

/* The stream ended. */
static void
finish (ab_uv_peer_t *peer) {
  if (peer->is_closing || peer->is_ending) return;
  begin_ending(peer);
  ab__uv_peer_flush(peer);
}

/* ---- in ---- */

static void
on_alloc (uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  ab_uv_peer_t *peer = handle->data;
  (void) suggested;
  *buf = uv_buf_init(peer->uv->buffer, sizeof(peer->uv->buffer));
}

/* Keep what the store cannot take now, and read no more until it can. */
static void
hold (ab_uv_peer_t *peer, ab_slice_t rest) {
  ab_buf_append(&peer->held, rest);
  peer->held_at = 0;
  if (peer->is_reading) uv_read_stop(peer->reader);
  peer->is_reading = false;
  if (peer->held.err < 0) ab__uv_peer_close(peer, AB_ENOMEM, "%s", ab_strerror(AB_ENOMEM));
}

static void
end_of_input (ab_uv_peer_t *peer) {
  ab_stream_stats_t stats;
  if (peer->held.len > peer->held_at) return; /* after these */
  ab_stream_stats(peer->stream, &stats);
  peer->was_done = stats.channels > 0 && stats.requests_in_flight == 0 && stats.answers_owed == 0;
  ab_stream_feed_end(peer->stream);
  finish(peer);
}

static void
on_read (uv_stream_t *handle, ssize_t len, const uv_buf_t *buf) {
  ab_uv_peer_t *peer = handle->data;
  size_t taken;
  if (len == 0 || peer->is_closing) return;
  if (len < 0) {
    uv_read_stop(peer->reader);
    peer->is_reading = false;
    peer->remote_ended = true;
  }
  if (peer->is_ending) {
    if (len < 0 && peer->has_said_end && may_close(peer)) close_handles(peer);
    return;
  }
  ab_uv_wake(peer->uv);
  if (len < 0) {
    if (len == UV_EOF) end_of_input(peer);
    else ab__uv_peer_close(peer, ab__uv_code((int) len), "reading: %s", uv_strerror((int) len));
    return;
  }
  ab_slice_t bytes = ab_slice(buf->base, (size_t) len);
  int status = ab_stream_feed(peer->stream, bytes, &taken);
  if (status != 0) finish(peer);
  else if (taken < bytes.len) hold(peer, ab_slice(bytes.data + taken, bytes.len - taken));
}

static void
read_more (ab_uv_peer_t *peer) {
  if (peer->is_reading || peer->remote_ended || peer->is_closing) return;
  int err = uv_read_start(peer->reader, on_alloc, on_read);
  if (err < 0) ab__uv_peer_close(peer, ab__uv_code(err), "reading: %s", uv_strerror(err));
  else peer->is_reading = true;
}

void
ab__uv_peer_resume (ab_uv_peer_t *peer) {
  if (!peer->is_started || peer->is_ending || peer->is_closing) return;
  if (ab_stream_status(peer->stream) != 0) { /* time ended it */
    finish(peer);
    return;
  }
  if (peer->held.len == 0) return;
  size_t taken;
  ab_slice_t rest = ab_slice(peer->held.data + peer->held_at, peer->held.len - peer->held_at);
  if (ab_stream_feed(peer->stream, rest, &taken) != 0) {
    finish(peer);
    return;
  }
  peer->held_at += taken;
  if (peer->held_at < peer->held.len) {
    ab_uv_wake(peer->uv);
    return;
  }
  ab_buf_destroy(&peer->held);
  peer->held_at = 0;
  if (peer->remote_ended) end_of_input(peer);
  else read_more(peer);
}

/* ---- beginning ---- */

int
ab__uv_peer_start (ab_uv_peer_t *peer, bool initiator) {
  ab_uv_t *uv = peer->uv;
  ab_stream_options_t options = ab_stream_options_default();
  options.initiator = initiator;
  options.on_output = on_output;
  options.data = peer;
  if (peer->dial != NULL) {
    options.push_only = peer->dial->options.push_only;
    options.pull_only = peer->dial->options.pull_only;
  }
  if (uv->peer_count >= uv->options.connections_max) {
    ab__uv_peer_close(peer, AB_EBUSY, "%zu connections are open; that is the limit", uv->peer_count);
    return AB_EBUSY;
  }
  int err = ab_stream_open(uv->store, &options, &peer->stream);
  if (err < 0) {
    ab__uv_peer_close(peer, err, "%s", ab_strerror(err));
    return err;
  }
  peer->is_started = true;
  uv->peer_count++;
  if (peer->dial != NULL) ab__uv_dial_peer_started(peer->dial);
  if (uv->options.on_connection != NULL) uv->options.on_connection(uv, peer, uv->options.data);
  read_more(peer);
  on_output(peer->stream, peer); /* an initiator has something to say */
  return 0;
}

ab_stream_t *
ab_uv_peer_stream (const ab_uv_peer_t *peer) {
  return peer->stream;
}

bool
ab_uv_peer_was_done (const ab_uv_peer_t *peer) {
  return peer->was_done;
}

const char *
ab_uv_peer_address (const ab_uv_peer_t *peer) {
  return peer->address;
}

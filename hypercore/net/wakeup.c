/* wakeup.c: topics: which cores exist and how long they are. */
#include <assert.h>
#include <stdlib.h>

#include "hypercore/crypto.h"
#include "hypercore/net/capability.h"
#include "hypercore/net/stream.h"

#define HEADS_AT_ONCE 64
#define LOOKUP_WAIT_MS 2000 /* a peer that knows nothing says nothing */

/* A topic on one stream. */
struct ab__wakeup_peer_s {
  ab__channel_t channel; /* first */
  ab_stream_t *stream;
  ab_wakeup_t *wakeup; /* NULL: left, and closed when the peer has answered */
  ab_key_t topic;
  ab_key_t capability;
  ab__wakeup_peer_t *next_of_stream, **link_of_stream;
  ab__wakeup_peer_t *next_of_wakeup, **link_of_wakeup;
  bool is_open;   /* and proved to know the secret */
  bool is_active; /* the peer's session */
  bool asks;      /* the peer looked up and has no answer */
  bool asked;     /* we did */
  uint64_t asked_ms;
  bool busy; /* inside a callback: freed after it */
  bool dead;
};

/* ---- life ---- */

static void
unlink_from_wakeup (ab__wakeup_peer_t *peer) {
  if (peer->wakeup == NULL) return;
  *peer->link_of_wakeup = peer->next_of_wakeup;
  if (peer->next_of_wakeup != NULL) peer->next_of_wakeup->link_of_wakeup = peer->link_of_wakeup;
  peer->wakeup = NULL;
}

static void
free_peer (ab__wakeup_peer_t *peer) {
  unlink_from_wakeup(peer);
  assert(!peer->dead);
  *peer->link_of_stream = peer->next_of_stream;
  if (peer->next_of_stream != NULL) peer->next_of_stream->link_of_stream = peer->link_of_stream;
  peer->dead = true;
  if (!peer->busy) free(peer);
}

/* After callbacks: did the peer survive them? */
static bool
leave (ab__wakeup_peer_t *peer) {
  peer->busy = false;
  if (!peer->dead) return true;
  free(peer);
  return false;
}

static void
tell_peer (ab__wakeup_peer_t *peer, bool active) {
  if (peer->wakeup != NULL && peer->wakeup->peer != NULL)
    peer->wakeup->peer(peer->wakeup, peer->stream, active);
}

static int
send_lookup (ab__wakeup_peer_t *peer) {
  ab__lookup_t lookup = {0};
  peer->asked = true;
  peer->asked_ms = ab__stream_now(peer->stream);
  ab__lookup_encode(ab__channel_begin(&peer->channel, AB__LOOKUP), &lookup);
  int err = ab__channel_end(&peer->channel);
  ab__stream_wake(peer->stream);
  return err;
}

static int
opened (ab__channel_t *channel, ab_slice_t message) {
  ab__wakeup_peer_t *peer = (ab__wakeup_peer_t *) channel;
  ab_stream_t *stream = peer->stream;
  ab__wakeup_handshake_t handshake;
  uint8_t expected[32];
  int err = ab__wakeup_handshake_decode(message, &handshake);
  if (err < 0) return ab__stream_fail(stream, err, "the peer's open of a wakeup topic does not decode");
  ab__wakeup_capability(expected, stream->handshake_hash, !stream->options.initiator, &peer->capability);
  /* A stranger to the topic may still share cores: only the channel ends. */
  if (peer->wakeup == NULL || !ab__capability_equal(expected, handshake.capability))
    return ab__mux_close(channel);
  peer->is_open = true;
  peer->is_active = handshake.active;
  peer->busy = true;
  if (peer->wakeup->asks) err = send_lookup(peer);
  if (err == 0) tell_peer(peer, handshake.active);
  leave(peer);
  return err;
}

static int
hear_announce (ab__wakeup_peer_t *peer, ab_slice_t payload) {
  ab_reader_t in;
  size_t count;
  int err = ab__announce_decode(payload, &in, &count);
  if (err < 0) return err;
  if (count > AB_WAKEUP_HEADS_MAX) count = AB_WAKEUP_HEADS_MAX;
  peer->asked = false;
  peer->stream->active_ms = ab__stream_now(peer->stream);
  while (count > 0 && peer->wakeup != NULL && peer->wakeup->announce != NULL) {
    ab_head_t heads[HEADS_AT_ONCE];
    size_t some = count < HEADS_AT_ONCE ? count : HEADS_AT_ONCE;
    for (size_t i = 0; i < some; i++) ab__announce_read(&in, &heads[i]);
    peer->wakeup->announce(peer->wakeup, peer->stream, heads, some);
    count -= some;
  }
  return 0;
}

static int
received (ab__channel_t *channel, uint64_t type, ab_slice_t payload) {
  ab__wakeup_peer_t *peer = (ab__wakeup_peer_t *) channel;
  ab_stream_t *stream = peer->stream;
  ab__lookup_t lookup;
  bool active;
  int err = 0;
  if (!peer->is_open) return 0;
  peer->busy = true;
  switch (type) {
  case AB__LOOKUP:
    if ((err = ab__lookup_decode(payload, &lookup)) < 0) break;
    peer->asks = true; /* answered when there is room: an answer is larger than the question */
    ab__stream_wake(stream);
    break;
  case AB__ANNOUNCE:
    err = hear_announce(peer, payload);
    break;
  case AB__INFO:
    if ((err = ab__info_decode(payload, &active)) < 0 || active == peer->is_active) break;
    peer->is_active = active;
    tell_peer(peer, active);
    break;
  default:
    break;
  }
  leave(peer);
  return err == AB_ECORRUPT ? ab__stream_fail(stream, err, "a wakeup message does not decode") : err;
}

static void
closed (ab__channel_t *channel, bool by_remote) {
  ab__wakeup_peer_t *peer = (ab__wakeup_peer_t *) channel;
  bool was_open = peer->is_open;
  (void) by_remote;
  peer->is_open = false;
  bool outer = peer->busy;
  peer->busy = true;
  if (was_open) tell_peer(peer, false);
  peer->busy = outer;
  /* A refused topic is remembered until the stream ends or the peer opens it, so that we do not ask again. */
  if (peer->wakeup == NULL || peer->stream->status != 0) free_peer(peer);
}

static const ab__channel_ops_t ops = {opened, received, closed};

static int
open_channel (ab__wakeup_peer_t *peer) {
  ab_stream_t *stream = peer->stream;
  ab__wakeup_handshake_t handshake = {.active = true};
  ab_buf_t message = {0};
  ab__wakeup_capability(
    handshake.capability, stream->handshake_hash, stream->options.initiator, &peer->capability
  );
  ab__wakeup_handshake_encode(&message, &handshake);
  int err = message.err;
  if (err == 0) err = ab__mux_open(&stream->mux, &peer->channel, ab_buf_slice(&message));
  ab_buf_destroy(&message);
  return err;
}

static int
open_topic (ab_stream_t *stream, ab_wakeup_t *wakeup) {
  ab__wakeup_peer_t *peer = calloc(1, sizeof(*peer));
  if (peer == NULL) return AB_ENOMEM;
  peer->stream = stream;
  peer->wakeup = wakeup;
  peer->topic = wakeup->topic;
  peer->capability = wakeup->capability;
  peer->channel =
    (ab__channel_t){.ops = &ops, .protocol = ab_text(AB__WAKEUP_PROTOCOL), .id = ab_key_slice(&peer->topic)};
  peer->next_of_stream = stream->wakeup_peers;
  peer->link_of_stream = &stream->wakeup_peers;
  if (peer->next_of_stream != NULL) peer->next_of_stream->link_of_stream = &peer->next_of_stream;
  stream->wakeup_peers = peer;
  peer->next_of_wakeup = wakeup->peers;
  peer->link_of_wakeup = &wakeup->peers;
  if (peer->next_of_wakeup != NULL) peer->next_of_wakeup->link_of_wakeup = &peer->next_of_wakeup;
  wakeup->peers = peer;
  return open_channel(peer);
}

static ab__wakeup_peer_t *
find_peer (const ab_wakeup_t *wakeup, const ab_stream_t *stream) {
  ab__wakeup_peer_t *peer = wakeup->peers;
  while (peer != NULL && peer->stream != stream) peer = peer->next_of_wakeup;
  return peer;
}

int
ab__wakeup_open_all (ab_stream_t *stream) {
  int err = 0;
  for (ab_wakeup_t *wakeup = stream->net->wakeups; wakeup != NULL && err == 0; wakeup = wakeup->next) {
    if (find_peer(wakeup, stream) == NULL) err = open_topic(stream, wakeup);
  }
  return err;
}

int
ab__wakeup_offered (ab_stream_t *stream, ab_slice_t id) {
  for (ab_wakeup_t *wakeup = stream->net->wakeups; wakeup != NULL; wakeup = wakeup->next) {
    if (!ab_slice_equal(ab_key_slice(&wakeup->topic), id)) continue;
    ab__wakeup_peer_t *peer = find_peer(wakeup, stream);
    if (peer != NULL && peer->channel.mux != NULL) return 0;
    int err = peer != NULL ? open_channel(peer) : open_topic(stream, wakeup);
    return err < 0 ? err : 1;
  }
  return 0;
}

int
ab__wakeup_work (ab_stream_t *stream) {
  for (ab__wakeup_peer_t *peer = stream->wakeup_peers; peer != NULL;) {
    if (stream->tx.len >= AB_STREAM_TX_BYTES) return 0;
    /* What was freed is not in the list any more. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    ab_wakeup_t *wakeup = peer->wakeup;
    bool is_due = peer->asks && wakeup != NULL && peer->is_open;
    if (!is_due || (wakeup->may_answer != NULL && !wakeup->may_answer(wakeup, stream))) {
      peer = peer->next_of_stream;
      continue;
    }
    peer->asks = false;
    peer->busy = true;
    if (peer->wakeup->lookup != NULL) peer->wakeup->lookup(peer->wakeup, stream);
    leave(peer);
    if (stream->status != 0) return stream->status;
    peer = stream->wakeup_peers; /* the list may have changed */
  }
  return 0;
}

void
ab__wakeup_grown (ab_stream_t *stream, const ab_head_t *head) {
  for (ab_wakeup_t *at = stream->net->wakeups, *next; at != NULL; at = next) {
    next = at->next;
    if (at->grown != NULL) at->grown(at, stream, head);
  }
}

bool
ab__wakeup_is_done (const ab_stream_t *stream) {
  for (const ab__wakeup_peer_t *peer = stream->wakeup_peers; peer != NULL; peer = peer->next_of_stream) {
    if (peer->channel.mux != NULL && !peer->is_open) return false;
    if (peer->asks) return false;
    uint64_t since_ms = peer->asked_ms > stream->active_ms ? peer->asked_ms : stream->active_ms;
    if (peer->is_open && peer->asked && stream->clock_ms < since_ms + LOOKUP_WAIT_MS) return false;
  }
  return true;
}

void
ab__wakeup_release (ab_stream_t *stream) {
  for (ab__wakeup_peer_t *peer = stream->wakeup_peers, *next; peer != NULL; peer = next) {
    next = peer->next_of_stream;
    free_peer(peer);
  }
}

/* ---- topics ---- */

int
ab_wakeup_join (ab_wakeup_t *wakeup, ab_store_t *store) {
  ab__net_t *net = ab__net_of(store);
  if (net == NULL) return AB_ENOMEM;
  wakeup->net = net;
  wakeup->asks = false;
  wakeup->peers = NULL;
  wakeup->next = net->wakeups;
  wakeup->link = &net->wakeups;
  if (wakeup->next != NULL) wakeup->next->link = &wakeup->next;
  net->wakeups = wakeup;
  net->opens++;
  for (ab_stream_t *stream = net->streams; stream != NULL; stream = stream->next) ab__stream_wake(stream);
  return 0;
}

void
ab_wakeup_leave (ab_wakeup_t *wakeup) {
  if (wakeup->net == NULL) return;
  *wakeup->link = wakeup->next;
  if (wakeup->next != NULL) wakeup->next->link = wakeup->link;
  wakeup->net = NULL;
  while (wakeup->peers != NULL) {
    ab__wakeup_peer_t *peer = wakeup->peers;
    ab_stream_t *stream = peer->stream; /* NOLINT(clang-analyzer-unix.Malloc): as above */
    unlink_from_wakeup(peer);
    if (peer->channel.mux == NULL) {
      free_peer(peer);
    } else if (ab__channel_is_paired(&peer->channel)) {
      int err = ab__mux_close(&peer->channel);
      if (err < 0) ab__stream_fail(stream, err, "closing a wakeup topic: %s", ab_strerror(err));
      ab__stream_wake(stream);
    } /* else it is closed when the peer has answered */
  }
}

int
ab_wakeup_announce (ab_wakeup_t *wakeup, ab_stream_t *stream, const ab_head_t *heads, size_t count) {
  ab__wakeup_peer_t *peer = find_peer(wakeup, stream);
  if (peer == NULL || !peer->is_open) return AB_ENOTFOUND;
  do {
    size_t some = count < AB_WAKEUP_HEADS_MAX ? count : AB_WAKEUP_HEADS_MAX;
    ab__announce_encode(ab__channel_begin(&peer->channel, AB__ANNOUNCE), heads, some);
    int err = ab__channel_end(&peer->channel);
    if (err < 0) return ab__stream_fail(stream, err, "announcing: %s", ab_strerror(err));
    if (some > 0) heads += some;
    count -= some;
  } while (count > 0);
  ab__stream_wake(stream);
  return 0;
}

void
ab_wakeup_resume (ab_wakeup_t *wakeup) {
  for (ab__wakeup_peer_t *peer = wakeup->peers; peer != NULL; peer = peer->next_of_wakeup) {
    if (peer->asks) ab__stream_wake(peer->stream);
  }
}

int
ab_wakeup_lookup (ab_wakeup_t *wakeup, ab_stream_t *stream) {
  if (stream != NULL) {
    ab__wakeup_peer_t *peer = find_peer(wakeup, stream);
    return peer == NULL || !peer->is_open ? AB_ENOTFOUND : send_lookup(peer);
  }
  wakeup->asks = true;
  for (ab__wakeup_peer_t *peer = wakeup->peers; peer != NULL; peer = peer->next_of_wakeup) {
    if (!peer->is_open) continue;
    int err = send_lookup(peer);
    if (err < 0) ab__stream_fail(peer->stream, err, "looking up: %s", ab_strerror(err));
  }
  return 0;
}

void
ab__wakeup_orphan (ab__net_t *net) {
  while (net->wakeups != NULL) ab_wakeup_leave(net->wakeups);
}

/* replicator.c: the life of a core's channel, and what both sides say about the core. */
#include "hypercore/net/replicator.h"

#include <assert.h>
#include <stdlib.h>

#include "hypercore/crypto.h"
#include "hypercore/net/capability.h"
#include "hypercore/net/stream.h"

/* ---- life ---- */

static int
opened (ab__channel_t *channel, ab_slice_t handshake);
static int
received (ab__channel_t *channel, uint64_t type, ab_slice_t payload);
static void
closed (ab__channel_t *channel, bool by_remote);

static const ab__channel_ops_t ops = {opened, received, closed};

static int
open_channel (ab__replicator_t *replicator) {
  ab_stream_t *stream = replicator->stream;
  ab__core_handshake_t handshake = {.seeks = true};
  ab_buf_t message = {0};
  ab_replicate_capability(
    handshake.capability, stream->handshake_hash, stream->options.initiator, &replicator->core->key
  );
  ab__core_handshake_encode(&message, &handshake);
  replicator->state = AB_CORE_WAITING;
  int err = message.err;
  if (err == 0) err = ab__mux_open(&stream->mux, &replicator->channel, ab_buf_slice(&message));
  ab_buf_destroy(&message);
  return err;
}

int
ab__replicator_open (ab_stream_t *stream, ab__netcore_t *core) {
  ab__replicator_t *replicator = calloc(1, sizeof(*replicator));
  if (replicator == NULL) return AB_ENOMEM;
  replicator->stream = stream;
  replicator->core = core;
  replicator->channel = (ab__channel_t){
    .ops = &ops,
    .protocol = ab_text(AB__CORE_PROTOCOL),
    .alias = ab_text(AB__CORE_ALIAS),
    .id = ab_key_slice(&core->discovery_key),
  };
  replicator->next_of_core = core->replicators;
  replicator->link_of_core = &core->replicators;
  if (replicator->next_of_core != NULL) replicator->next_of_core->link_of_core = &replicator->next_of_core;
  core->replicators = replicator;
  replicator->next_of_stream = stream->replicators;
  replicator->link_of_stream = &stream->replicators;
  if (replicator->next_of_stream != NULL) {
    replicator->next_of_stream->link_of_stream = &replicator->next_of_stream;
  }
  stream->replicators = replicator;
  replicator->run_start = UINT64_MAX;
  replicator->remote = (ab__sync_t){.uploading = true, .downloading = true};
  return open_channel(replicator);
}

int
ab__replicator_reopen (ab__replicator_t *replicator) {
  assert(replicator->channel.mux == NULL);
  return open_channel(replicator);
}

ab__replicator_t *
ab__replicator_find (const ab__netcore_t *core, const ab_stream_t *stream) {
  ab__replicator_t *at = core->replicators;
  while (at != NULL && at->stream != stream) at = at->next_of_core;
  return at;
}

/* What belongs to one life of the channel. */
static void
reset (ab__replicator_t *replicator) {
  ab__fetch_void(replicator);
  ab__serve_drop(replicator);
  ab__have_destroy(&replicator->have);
  ab__spans_destroy(&replicator->drops);
  ab__spans_destroy(&replicator->news);
  free(replicator->wanted_segments);
  replicator->wanted_segments = NULL;
  replicator->wanted_segment_count = 0;
  replicator->remote = (ab__sync_t){.uploading = true, .downloading = true};
  replicator->synced = replicator->remote_wants = false;
  replicator->said_sync = replicator->sync_due = false;
  replicator->acked = replicator->said_contiguous = 0;
  replicator->is_slow = replicator->manifest_asked = replicator->upgrade_refused = false;
  replicator->upgrade_denied = false;
  replicator->refused_count = 0;
  replicator->cursor_of = NULL;
  replicator->run_start = UINT64_MAX;
  replicator->optimism_failures = 0;
}

static void
unqueue (ab__replicator_t *replicator) {
  ab_stream_t *stream = replicator->stream;
  if (!replicator->is_queued) return;
  ab__replicator_t **at = &stream->work;
  while (*at != replicator) at = &(*at)->next_work;
  *at = replicator->next_work;
  if (*at == NULL) stream->work_end = at;
  replicator->is_queued = false;
}

void
ab__replicator_free (ab__replicator_t *replicator) {
  ab__netcore_t *core = replicator->core;
  assert(replicator->channel.mux == NULL);
  reset(replicator);
  unqueue(replicator);
  *replicator->link_of_core = replicator->next_of_core;
  if (replicator->next_of_core != NULL) replicator->next_of_core->link_of_core = replicator->link_of_core;
  *replicator->link_of_stream = replicator->next_of_stream;
  if (replicator->next_of_stream != NULL) {
    replicator->next_of_stream->link_of_stream = replicator->link_of_stream;
  }
  free(replicator);
  core->changed = core->net->changed = true; /* released later, if nobody needs it now */
}

void
ab__replicator_queue (ab__replicator_t *replicator) {
  ab_stream_t *stream = replicator->stream;
  if (!replicator->is_queued) {
    replicator->is_queued = true;
    replicator->next_work = NULL;
    *stream->work_end = replicator;
    stream->work_end = &replicator->next_work;
  }
  ab__stream_wake(stream);
}

static bool
downloads (const ab__replicator_t *replicator) {
  return ab__netcore_is_followed(replicator->core) && !replicator->stream->options.push_only;
}

static int
opened (ab__channel_t *channel, ab_slice_t message) {
  ab__replicator_t *replicator = (ab__replicator_t *) channel;
  ab_stream_t *stream = replicator->stream;
  ab__core_handshake_t handshake;
  uint8_t expected[32];
  int err = ab__core_handshake_decode(message, &handshake);
  if (err < 0) return ab__stream_fail(stream, err, "the peer's open of a core does not decode");
  ab_replicate_capability(
    expected, stream->handshake_hash, !stream->options.initiator, &replicator->core->key
  );
  if (!ab__capability_equal(expected, handshake.capability)) {
    return ab__stream_fail(stream, AB_ECORRUPT, "the peer named a core without knowing its key");
  }
  replicator->state = AB_CORE_OPEN;
  replicator->sync_due = true;
  ab__replicator_queue(replicator);
  ab__netcore_tell(replicator->core, stream, AB_CORE_OPEN);
  return 0;
}

static void
closed (ab__channel_t *channel, bool by_remote) {
  ab__replicator_t *replicator = (ab__replicator_t *) channel;
  ab_stream_t *stream = replicator->stream;
  bool was_idle = replicator->synced && !replicator->remote.downloading && replicator->remote.uploading;
  reset(replicator);
  replicator->state = AB_CORE_REFUSED;
  if (stream->status != 0) return; /* the stream releases them all */
  if (!ab__netcore_is_followed(replicator->core)) {
    ab__replicator_free(replicator);
    return;
  }
  if (by_remote && was_idle && downloads(replicator)) {
    /* It was idle, and decided before it saw that we are not. */
    replicator->state = AB_CORE_NONE;
    stream->opens = 0;
    ab__stream_wake(stream);
    return;
  }
  ab__netcore_tell(replicator->core, stream, AB_CORE_REFUSED);
}

/* ---- saying ---- */

ab_buf_t *
ab__replicator_begin (ab__replicator_t *replicator, ab__core_message_t type) {
  return ab__channel_begin(&replicator->channel, type);
}

int
ab__replicator_end (ab__replicator_t *replicator) {
  return ab__channel_end(&replicator->channel);
}

/* Can the peer's tree be grown into ours? */
static bool
can_upgrade (const ab__replicator_t *replicator) {
  const ab__netcore_t *core = replicator->core;
  uint64_t length = replicator->remote.length;
  uint8_t hash[32];
  if (replicator->remote.fork != core->fork) return false;
  if (length == 0) return true;
  return length < core->length && hypercore_tree_hash(core->core, length, hash) == 0;
}

static int
say_sync (ab__replicator_t *replicator) {
  const ab__netcore_t *core = replicator->core;
  const ab__sync_t *said = &replicator->said;
  bool same_fork = replicator->remote.fork == core->fork;
  ab__sync_t sync = {
    .fork = core->fork,
    .length = core->length,
    .remote_length = same_fork ? replicator->remote.length : 0,
    .uploading = !replicator->stream->options.pull_only,
    .downloading = downloads(replicator),
    .has_manifest = core->has_manifest,
  };
  bool changed = !replicator->said_sync || sync.fork != said->fork || sync.length != said->length ||
                 sync.downloading != said->downloading || sync.has_manifest != said->has_manifest;
  if (!changed && !replicator->sync_due) return 0;
  replicator->sync_due = false;
  sync.can_upgrade = can_upgrade(replicator);
  changed = changed || sync.can_upgrade != said->can_upgrade || sync.remote_length != said->remote_length;
  if (!changed) return 0;
  replicator->said = sync;
  replicator->said_sync = true;
  ab__sync_encode(ab__replicator_begin(replicator, AB__SYNC), &sync);
  return ab__replicator_end(replicator);
}

static int
say_range (ab__replicator_t *replicator, bool drop, uint64_t start, uint64_t end) {
  ab__range_msg_t range = {.drop = drop, .start = start, .length = end - start};
  ab__range_encode(ab__replicator_begin(replicator, AB__RANGE), &range);
  return ab__replicator_end(replicator);
}

/* A few blocks that came: to a peer that asked, or if they are among the last. */
static int
say_news (ab__replicator_t *replicator) {
  const ab__netcore_t *core = replicator->core;
  int err = 0;
  for (size_t i = 0; i < replicator->news.count && err == 0; i++) {
    ab__span_t span = replicator->news.spans[i];
    if (span.end > core->length) span.end = core->length;
    if (span.start < replicator->said_contiguous) span.start = replicator->said_contiguous;
    if (span.start >= span.end) continue;
    if (!replicator->remote_wants && span.end + AB__ANNOUNCE_LAST < core->length) continue;
    if (ab__have_block(&replicator->have, span.start) && ab__have_block(&replicator->have, span.end - 1))
      continue;
    err = say_range(replicator, false, span.start, span.end);
  }
  ab__spans_clear(&replicator->news);
  return err;
}

/* All that the peer does not know yet. */
static int
say (ab__replicator_t *replicator) {
  const ab__netcore_t *core = replicator->core;
  int err = 0;
  if (!replicator->said_sync && (err = say_sync(replicator)) < 0) return err;
  for (size_t i = 0; i < replicator->drops.count && err == 0; i++) {
    ab__span_t span = replicator->drops.spans[i];
    if (span.start < replicator->said_contiguous) replicator->said_contiguous = span.start;
    err = say_range(replicator, true, span.start, span.end);
  }
  ab__spans_clear(&replicator->drops);
  if (err < 0) return err;
  if (!replicator->stream->options.pull_only) {
    if (core->contiguous > replicator->said_contiguous) {
      replicator->said_contiguous = core->contiguous;
      if ((err = say_range(replicator, false, 0, core->contiguous)) < 0) return err;
    }
    if ((err = say_news(replicator)) < 0) return err;
  }
  return say_sync(replicator);
}

void
ab__replicator_news (ab__replicator_t *replicator, ab__span_t drop, const ab__spans_t *news) {
  if (replicator->state != AB_CORE_OPEN) return;
  if (replicator->said_sync) {
    ab__spans_add(&replicator->drops, drop.start, drop.end);
    for (size_t i = 0; i < news->count; i++) {
      ab__spans_add(&replicator->news, news->spans[i].start, news->spans[i].end);
    }
  }
  replicator->pump_due = true; /* what is acknowledged and asked for depends on it */
  replicator->upgrade_denied = false;
  if (replicator->remote.fork == replicator->core->fork)
    replicator->sync_due |= can_upgrade(replicator) && !replicator->said.can_upgrade;
  ab__replicator_queue(replicator);
}

int
ab__replicator_work (ab__replicator_t *replicator) {
  int err;
  if (replicator->state != AB_CORE_OPEN) return 0;
  if ((err = say(replicator)) < 0) return err;
  if (!downloads(replicator) && replicator->synced && !replicator->remote.downloading && replicator->owed_count == 0) {
    return ab__mux_close(&replicator->channel); /* neither side wants anything */
  }
  if (replicator->pump_due) {
    replicator->pump_due = false;
    if ((err = ab__fetch_pump(replicator)) < 0) return err;
  }
  if (replicator->owed_count > 0 && (err = ab__serve_one(replicator)) < 0) return err;
  return replicator->owed_count > 0 ? 1 : 0;
}

/* ---- hearing ---- */

static bool
same_sync (const ab__sync_t *a, const ab__sync_t *b) {
  return a->fork == b->fork && a->length == b->length && a->remote_length == b->remote_length &&
         a->can_upgrade == b->can_upgrade && a->uploading == b->uploading &&
         a->downloading == b->downloading && a->has_manifest == b->has_manifest;
}

static int
hear_sync (ab__replicator_t *replicator, ab_slice_t payload) {
  const ab__netcore_t *core = replicator->core;
  ab__sync_t sync;
  int err = ab__sync_decode(payload, &sync);
  if (err < 0) return err;
  if (!replicator->synced || !same_sync(&sync, &replicator->remote)) ab__fetch_renew(replicator);
  replicator->synced = true;
  replicator->remote = sync;
  replicator->acked = sync.fork == core->fork ? sync.remote_length : 0;
  if (sync.fork == core->fork && sync.length < core->length) replicator->sync_due = true;
  if (sync.length > core->length && !ab__netcore_is_followed(core)) {
    ab__wakeup_grown(replicator->stream, &(ab_head_t){core->key, sync.length});
  }
  replicator->pump_due = true;
  ab__replicator_queue(replicator);
  return 0;
}

/* The peer's blocks from `start` on are to be looked at again. */
static void
rewind_to (ab__replicator_t *replicator, uint64_t start) {
  if (replicator->cursor > start) replicator->cursor = start;
  replicator->pump_due = true;
  ab__replicator_queue(replicator);
}

static int
hear_range (ab__replicator_t *replicator, ab_slice_t payload) {
  ab__range_msg_t range;
  int err = ab__range_decode(payload, &range);
  if (err < 0) return err;
  uint64_t end = range.start + range.length;
  if (range.drop) {
    replicator->wanted_segment_count = 0; /* what was forgotten with it may be asked about again */
    return ab__have_drop(&replicator->have, range.start, end);
  }
  uint64_t known = replicator->remote.length > range.start ? replicator->remote.length : range.start;
  if (range.start > replicator->have.contiguous && end > known + AB__WANT_SEGMENT) {
    end = known + AB__WANT_SEGMENT; /* no honest peer says more at once, and each page costs memory */
  }
  ab__fetch_renew(replicator);
  rewind_to(replicator, range.start);
  return ab__have_set(&replicator->have, range.start, end);
}

static int
hear_bitfield (ab__replicator_t *replicator, ab_slice_t payload) {
  ab__bits_t bits;
  int err = ab__bits_decode(payload, &bits);
  if (err < 0) return err;
  if (bits.start % 32 != 0) return 0;
  ab__fetch_renew(replicator);
  rewind_to(replicator, bits.start);
  return ab__have_put(&replicator->have, bits.start, bits.words);
}

static int
hear (ab__replicator_t *replicator, uint64_t type, ab_slice_t payload) {
  ab__no_data_t no_data;
  ab__want_t want;
  uint64_t request;
  int err;
  switch (type) {
  case AB__SYNC:
    return hear_sync(replicator, payload);
  case AB__REQUEST:
    return ab__serve_request(replicator, payload);
  case AB__CANCEL:
    if ((err = ab__cancel_decode(payload, &request)) == 0) ab__serve_cancel(replicator, request);
    return err;
  case AB__DATA:
    return ab__fetch_data(replicator, payload);
  case AB__NO_DATA:
    if ((err = ab__no_data_decode(payload, &no_data)) < 0) return err;
    return ab__fetch_no_data(replicator, &no_data);
  case AB__WANT:
    if ((err = ab__want_decode(payload, &want)) < 0) return err;
    return ab__serve_want(replicator, &want);
  case AB__UNWANT:
    return ab__want_decode(payload, &want); /* whoever wanted is told a little more than needed */
  case AB__BITFIELD:
    return hear_bitfield(replicator, payload);
  case AB__RANGE:
    return hear_range(replicator, payload);
  case AB__EXTENSION: {
    ab__extension_t extension;
    return ab__extension_decode(payload, &extension); /* we know none */
  }
  default:
    return 0;
  }
}

static int
received (ab__channel_t *channel, uint64_t type, ab_slice_t payload) {
  ab__replicator_t *replicator = (ab__replicator_t *) channel;
  ab_stream_t *stream = replicator->stream;
  int err = hear(replicator, type, payload);
  if (err == AB_ECORRUPT) {
    return ab__stream_fail(
      stream, err, "a message of type %llu on a core does not decode", (unsigned long long) type
    );
  }
  return err;
}

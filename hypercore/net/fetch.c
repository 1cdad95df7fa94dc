/* fetch.c: asking a peer, and taking what it answers. */
#include <stdlib.h>

#include "hypercore/net/replicator.h"
#include "hypercore/net/stream.h"

#define SPAN_MAX (2 * AB__WINDOW_MAX) /* requests that others before them keep in the ring */
#define RING_FIRST 16
#define COST_OF_NODES 256

/* ---- requests in flight ---- */

static ab__inflight_t *
at (const ab__replicator_t *replicator, size_t i) {
  return &replicator->inflight[(replicator->inflight_first + i) & (replicator->inflight_capacity - 1)];
}

static int
reserve (ab__replicator_t *replicator) {
  size_t capacity = replicator->inflight_capacity;
  if (replicator->inflight_span < capacity) return 0;
  capacity = capacity == 0 ? RING_FIRST : 2 * capacity;
  ab__inflight_t *ring = malloc(capacity * sizeof(*ring));
  if (ring == NULL) return AB_ENOMEM;
  for (size_t i = 0; i < replicator->inflight_span; i++) ring[i] = *at(replicator, i);
  free(replicator->inflight);
  replicator->inflight = ring;
  replicator->inflight_capacity = capacity;
  replicator->inflight_first = 0;
  return 0;
}

static void
free_ring (ab__replicator_t *replicator) {
  free(replicator->inflight);
  replicator->inflight = NULL;
  replicator->inflight_capacity = replicator->inflight_first = replicator->inflight_span = 0;
}

/* The request is over, one way or another: its block may be asked for again. */
static void
settle (ab__replicator_t *replicator, ab__inflight_t *request) {
  ab_stream_t *stream = replicator->stream;
  ab__netcore_t *core = replicator->core;
  request->done = true;
  if (request->has_block) ab__index_set_remove(&core->asked, request->block);
  if (request->kind == AB__ASK_UPGRADE && core->upgrading == replicator) core->upgrading = NULL;
  replicator->inflight_count--;
  stream->inflight--;
  stream->inflight_bytes -= request->cost;
  while (replicator->inflight_span > 0 && at(replicator, 0)->done) {
    replicator->inflight_first = (replicator->inflight_first + 1) & (replicator->inflight_capacity - 1);
    replicator->inflight_span--;
  }
}

static void
drop_reorg (ab__netcore_t *core) {
  ab_arena_destroy(&core->reorg_arena);
  core->reorging = NULL;
  core->reorg_begun = false;
}

void
ab__fetch_void (ab__replicator_t *replicator) {
  ab__netcore_t *core = replicator->core;
  bool any = replicator->inflight_count > 0;
  for (size_t i = 0, span = replicator->inflight_span; i < span; i++) {
    ab__inflight_t *request = at(replicator, i);
    if (!request->done) request->done = true;
    else continue;
    if (request->has_block) ab__index_set_remove(&core->asked, request->block);
    replicator->stream->inflight--;
    replicator->stream->inflight_bytes -= request->cost;
  }
  if (core->upgrading == replicator) core->upgrading = NULL;
  if (core->reorging == replicator) drop_reorg(core);
  free_ring(replicator);
  replicator->inflight_count = 0;
  replicator->run_start = UINT64_MAX;
  if (!any) return;
  core->epoch++;
  ab__netcore_pump(core);
}

void
ab__fetch_renew (ab__replicator_t *replicator) {
  if (replicator->refused_count > 0) replicator->cursor_of = NULL;
  replicator->refused_count = 0;
  replicator->upgrade_refused = replicator->manifest_asked = replicator->is_slow = false;
}

int
ab__fetch_expire (ab__replicator_t *replicator, uint64_t now_ms) {
  int err = 0;
  if (replicator->inflight_count == 0) return 0;
  if (now_ms < replicator->last_data_ms + replicator->stream->options.request_ms) return 0;
  for (size_t i = 0; i < replicator->inflight_span && err == 0; i++) {
    const ab__inflight_t *request = at(replicator, i);
    if (request->done) continue;
    ab__cancel_encode(ab__replicator_begin(replicator, AB__CANCEL), request->id);
    err = ab__replicator_end(replicator);
  }
  replicator->is_slow = true; /* first, or voiding them asks it again */
  ab__fetch_void(replicator);
  return err;
}

/* ---- asking ---- */

static int
send_request (ab__replicator_t *replicator, ab__inflight_t *request, ab_request_t *message) {
  ab_stream_t *stream = replicator->stream;
  ab__netcore_t *core = replicator->core;
  int err = reserve(replicator);
  if (err == 0 && request->has_block) err = ab__index_set_add(&core->asked, request->block);
  if (err < 0) return err;
  if (replicator->inflight_count == 0) replicator->last_data_ms = ab__stream_now(stream);
  /* Ids are not used again, so that a late answer to a cancelled request matches nothing. */
  request->id = ++replicator->next_id;
  request->fork = message->fork;
  request->own_length = hypercore_length(core->core);
  request->own_fork = hypercore_fork(core->core);
  *at(replicator, replicator->inflight_span++) = *request;
  replicator->inflight_count++;
  stream->inflight++;
  stream->inflight_bytes += request->cost;
  message->id = request->id;
  if (hypercore_manifest(core->core).len == 0 && replicator->remote.has_manifest)
    message->wants_manifest = true;
  ab_request_encode(ab__replicator_begin(replicator, AB__REQUEST), message);
  return ab__replicator_end(replicator);
}

static bool
has_room (const ab__replicator_t *replicator, uint64_t cost) {
  const ab_stream_t *stream = replicator->stream;
  if (replicator->inflight_count >= AB__WINDOW_MAX || replicator->inflight_span >= SPAN_MAX) return false;
  if (stream->inflight == 0) return true;
  if (cost >= AB__BIG_BLOCK) return false;
  return stream->inflight_bytes + cost <= AB__INFLIGHT_BYTES;
}

static bool
is_refused (const ab__replicator_t *replicator, uint64_t index) {
  for (size_t i = 0; i < replicator->refused_count; i++) {
    if (replicator->refused[i] == index) return true;
  }
  return false;
}

static void
refuse (ab__replicator_t *replicator, uint64_t index) {
  if (replicator->refused_count < AB__REFUSED_MAX) replicator->refused[replicator->refused_count++] = index;
  else replicator->is_slow = true;
  replicator->core->epoch++;
}

/* Ask once which blocks of this segment the peer has. */
static int
want_segment (ab__replicator_t *replicator, uint64_t index) {
  uint64_t segment = index / AB__WANT_SEGMENT;
  if (segment > UINT32_MAX) return 0;
  for (size_t i = 0; i < replicator->wanted_segment_count; i++) {
    if (replicator->wanted_segments[i] == segment) return 0;
  }
  if (replicator->wanted_segment_count == AB__WANTED_SEGMENTS_MAX) return 0;
  if (replicator->wanted_segments == NULL) {
    replicator->wanted_segments = malloc(AB__WANTED_SEGMENTS_MAX * sizeof(*replicator->wanted_segments));
    if (replicator->wanted_segments == NULL) return AB_ENOMEM;
  }
  replicator->wanted_segments[replicator->wanted_segment_count++] = (uint32_t) segment;
  ab__want_t want = {.start = segment * AB__WANT_SEGMENT, .length = AB__WANT_SEGMENT};
  ab__want_encode(ab__replicator_begin(replicator, AB__WANT), &want);
  return ab__replicator_end(replicator);
}

/* Can and should this block be asked for here? 1, 0, or an error. */
static int
is_due (ab__replicator_t *replicator, uint64_t index) {
  ab__netcore_t *core = replicator->core;
  if (hypercore_has(core->core, index, index + 1)) return 0;
  if (ab__index_set_has(&core->asked, index) || is_refused(replicator, index)) return 0;
  if (ab__have_block(&replicator->have, index)) return 1;
  return want_segment(replicator, index);
}

static int
next_urgent (ab__replicator_t *replicator, uint64_t limit, uint64_t *index) {
  ab__netcore_t *core = replicator->core;
  for (size_t i = 0; i < core->urgent_count;) {
    if (core->urgent[i] < hypercore_length(core->core) && hypercore_has(core->core, core->urgent[i], core->urgent[i] + 1)) {
      core->urgent[i] = core->urgent[--core->urgent_count];
      continue;
    }
    *index = core->urgent[i++];
    if (*index >= limit) continue;
    int due = is_due(replicator, *index);
    if (due != 0) return due;
  }
  return 0;
}

static int
next_wanted (ab__replicator_t *replicator, uint64_t limit, uint64_t *index) {
  ab__netcore_t *core = replicator->core;
  for (hypercore_download_t *download = core->downloads; download != NULL; download = download->next) {
    if (replicator->cursor_of != download || replicator->cursor_epoch != core->epoch ||
        replicator->cursor < download->low) {
      replicator->cursor_of = download;
      replicator->cursor_epoch = core->epoch;
      replicator->cursor = download->low;
    }
    uint64_t end = download->end < limit ? download->end : limit;
    while (replicator->cursor < end) {
      *index = replicator->cursor++;
      int due = is_due(replicator, *index);
      if (due != 0) return due;
    }
  }
  return 0;
}

/* How many blocks from `index` on begin with the subtree that starts there: its height. */
static unsigned
height_of (uint64_t index) {
  unsigned height = 0;
  while (height < 52 && (index >> height & 1) == 0) height++;
  return index == 0 ? 52 : height;
}

/*
 * The `nodes` of a request. Blocks are mostly asked for one after the other, and what an earlier one of the
 * run will bring need not be asked for again: of block i, the subtree of height h that starts with it hangs
 * beside one that block i - 2^h starts, whose answer brings its node. Should that answer not come first, this
 * one does not verify and is asked for again.
 */
static int
nodes_for (
  ab__replicator_t *replicator, uint64_t index, uint64_t length, uint64_t *nodes, bool *is_optimistic
) {
  *is_optimistic = false;
  if (replicator->run_start == UINT64_MAX || index != replicator->run_next) replicator->run_start = index;
  replicator->run_next = index + 1;
  unsigned height = height_of(index);
  if (index > replicator->run_start && height < 52 && replicator->optimism_failures < AB__OPTIMISM_FAILURES &&
      index - (1ull << height) >= replicator->run_start && index + (1ull << height) <= length) {
    *is_optimistic = true;
    *nodes = height;
    if (height < 3) return 0;
    int err = hypercore_missing_nodes(replicator->core->core, index, nodes);
    if (*nodes > height) *nodes = height;
    return err;
  }
  return hypercore_missing_nodes(replicator->core->core, index, nodes);
}

static int
ask_block (ab__replicator_t *replicator, uint64_t index, uint64_t length, uint64_t cost, bool urgent) {
  ab__inflight_t request = {.kind = AB__ASK_BLOCK, .has_block = true, .block = index, .cost = cost};
  ab_request_t message = {.fork = replicator->remote.fork, .has_block = true, .priority = urgent ? 1 : 0};
  message.block.index = index;
  int err = nodes_for(replicator, index, length, &message.block.nodes, &request.is_optimistic);
  return err < 0 ? err : send_request(replicator, &request, &message);
}

static int
ask_blocks (ab__replicator_t *replicator, uint64_t own_length) {
  const ab__netcore_t *core = replicator->core;
  uint64_t limit = own_length < replicator->remote.length ? own_length : replicator->remote.length;
  if (limit == 0 || (core->urgent_count == 0 && core->downloads == NULL)) return 0;
  uint64_t cost = hypercore_byte_length(core->core) / own_length + COST_OF_NODES;
  int err = 0;
  while (err == 0 && has_room(replicator, cost)) {
    uint64_t index;
    int due = core->urgent_count > 0 ? next_urgent(replicator, limit, &index) : 0;
    bool urgent = due == 1;
    if (due == 0) due = next_wanted(replicator, limit, &index);
    if (due <= 0) return due;
    err = ask_block(replicator, index, own_length, cost, urgent);
  }
  return err;
}

/* The last block of a peer that grew rides along, if all are wanted and it has said that it has it. */
static bool
takes_last (const ab__replicator_t *replicator, uint64_t index) {
  for (const hypercore_download_t *at_ = replicator->core->downloads; at_ != NULL; at_ = at_->next) {
    if (at_->end > index && at_->low <= index) {
      return ab__have_block(&replicator->have, index) && !ab__index_set_has(&replicator->core->asked, index);
    }
  }
  return false;
}

static int
ask_upgrade (ab__replicator_t *replicator, uint64_t own_length) {
  const ab__sync_t *remote = &replicator->remote;
  ab__inflight_t request = {.kind = AB__ASK_UPGRADE, .cost = COST_OF_NODES};
  ab_request_t message = {.fork = remote->fork, .has_upgrade = true};
  message.upgrade.start = own_length;
  message.upgrade.length = remote->length - own_length;
  if (own_length > 0 && takes_last(replicator, remote->length - 1)) {
    request.has_block = message.has_block = true;
    request.block = message.block.index = remote->length - 1;
  }
  replicator->core->upgrading = replicator;
  return send_request(replicator, &request, &message);
}

static int
ask_reorg (ab__replicator_t *replicator) {
  ab__netcore_t *core = replicator->core;
  ab__inflight_t request = {.kind = AB__ASK_REORG, .cost = COST_OF_NODES};
  ab_request_t message = {.fork = replicator->remote.fork};
  if (core->reorg_begun) {
    uint64_t block = core->reorg.want_start;
    while (block + 1 < core->reorg.want_end && !ab__have_block(&replicator->have, block)) block++;
    if (!ab__have_block(&replicator->have, block)) block = core->reorg.want_start;
    request.has_hash = message.has_hash = true;
    request.hash = message.hash.index = 2 * block;
    message.hash.nodes = core->reorg.want_nodes;
  } else {
    message.has_upgrade = true;
    message.upgrade.length = replicator->remote.length;
    core->reorging = replicator;
  }
  return send_request(replicator, &request, &message);
}

static int
pump (ab__replicator_t *replicator) {
  ab__netcore_t *core = replicator->core;
  const ab__sync_t *remote = &replicator->remote;
  int err = 0;

  if (!replicator->synced || !remote->uploading || replicator->stream->options.push_only) return 0;
  if (replicator->is_slow || !ab__netcore_is_followed(core) || core->net->stalled) return 0;
  uint64_t own_fork = hypercore_fork(core->core), own_length = hypercore_length(core->core);
  if (remote->fork < own_fork || !has_room(replicator, 0)) return 0;
  if (remote->fork > own_fork) {
    if (remote->length == 0 || core->reorging != NULL || replicator->upgrade_refused) return 0;
    return ask_reorg(replicator);
  }
  bool settled =
    core->length == own_length && core->fork == own_fork; /* what the peer acknowledges is what we have */
  if (settled && core->upgrading == NULL && remote->length > own_length && remote->can_upgrade &&
      replicator->acked == own_length && !replicator->upgrade_refused) {
    err = ask_upgrade(replicator, own_length);
  } else if (remote->length == 0 && remote->has_manifest && !replicator->manifest_asked &&
             hypercore_manifest(core->core).len == 0) {
    ab__inflight_t request = {.kind = AB__ASK_MANIFEST, .cost = COST_OF_NODES};
    ab_request_t message = {.fork = remote->fork};
    replicator->manifest_asked = true;
    err = send_request(replicator, &request, &message);
  }
  return err < 0 ? err : ask_blocks(replicator, own_length);
}

int
ab__fetch_pump (ab__replicator_t *replicator) {
  int err = pump(replicator);
  if (err == 0 && replicator->inflight_count == 0) free_ring(replicator); /* idle channels cost little */
  return err;
}

/* ---- answers ---- */

static ab__inflight_t *
find (const ab__replicator_t *replicator, uint64_t id) {
  for (size_t i = 0; i < replicator->inflight_span; i++) {
    ab__inflight_t *request = at(replicator, i);
    if (request->id == id) return request->done ? NULL : request;
  }
  return NULL;
}

static void
go_on (ab__replicator_t *replicator) {
  replicator->pump_due = true;
  ab__replicator_queue(replicator);
}

/* Is this what was asked for, or part of it? */
static bool
matches (const ab__inflight_t *request, const ab_proof_t *proof) {
  if (proof->fork != request->fork) return false;
  if (proof->has_block && (!request->has_block || proof->block.index != request->block)) return false;
  if (proof->has_hash && (!request->has_hash || proof->hash.index != request->hash)) return false;
  bool asked_upgrade =
    request->kind == AB__ASK_UPGRADE || (request->kind == AB__ASK_REORG && !request->has_hash);
  return !proof->has_seek && (!proof->has_upgrade || asked_upgrade);
}

/* A request got nothing useful: do not repeat it here before the peer says something new. */
static void
give_up (ab__replicator_t *replicator, const ab__inflight_t *request) {
  ab__netcore_t *core = replicator->core;
  if (request->has_block) refuse(replicator, request->block);
  if (request->kind == AB__ASK_UPGRADE || request->kind == AB__ASK_REORG) {
    replicator->upgrade_refused = true;
    if (request->kind == AB__ASK_REORG && core->reorging == replicator) drop_reorg(core);
  }
  replicator->run_start = UINT64_MAX;
  ab__netcore_pump(core); /* others may have it */
}

static int
invalid (ab__replicator_t *replicator, int err) {
  if (err == AB_ENOMEM || !(ab_proof_is_invalid(err) || err == AB_EINVAL)) return err;
  return ab__stream_fail(
    replicator->stream, AB_ECORRUPT, "the peer sent a proof that does not verify: %s", ab_strerror(err)
  );
}

/* Are we still where we were when it began? Another peer may have brought us further. */
static bool
reorg_is_current (const ab__netcore_t *core) {
  ab_tree_t own = {.fork = hypercore_fork(core->core), .length = hypercore_length(core->core)};
  return ab_reorg_is_current(&core->reorg, &own);
}

static int
continue_reorg (ab__replicator_t *replicator, const ab__inflight_t *request, const ab_proof_t *proof) {
  ab__netcore_t *core = replicator->core;
  bool accepted = true;
  int err;
  if (core->reorging != replicator || request->has_hash != core->reorg_begun) return 0; /* of one given up */
  if (core->reorg_begun && !reorg_is_current(core)) {
    drop_reorg(core); /* again, if it still is needed */
    return 0;
  }
  if (!core->reorg_begun) {
    if (!proof->has_upgrade) {
      give_up(replicator, request);
      return 0;
    }
    err = hypercore_reorg_begin(core->core, proof, &core->reorg_arena, &core->reorg);
    core->reorg_begun = err == 0;
  } else {
    err = hypercore_reorg_continue(core->core, &core->reorg, proof, &accepted);
  }
  bool moved =
    hypercore_length(core->core) != request->own_length || hypercore_fork(core->core) != request->own_fork;
  if (err < 0 || !accepted) {
    drop_reorg(core);
    if (moved || err == 0) {
      if (!moved) replicator->upgrade_refused = true;
      return 0;
    }
    return invalid(replicator, err);
  }
  if (!core->reorg.done) return ask_reorg(replicator);

  uint64_t ancestors = core->reorg.ancestors;
  err = hypercore_reorg(core->core, &core->reorg);
  drop_reorg(core);
  if (err == AB_EOPERATION) return 0; /* we moved meanwhile: again, if it still is needed */
  if (err < 0) return err;
  if (ancestors < core->low) core->low = ancestors;
  ab__netcore_rewind(core, ancestors);
  ab__netcore_staged(core);
  ab__netcore_pump(core);
  return 0;
}

static int
take (ab__replicator_t *replicator, const ab__inflight_t *request, const ab_proof_t *proof) {
  ab__netcore_t *core = replicator->core;
  ab_proof_outcome_t outcome = AB_PROOF_IGNORED;
  uint64_t length = hypercore_length(core->core);
  bool moved = length != request->own_length || hypercore_fork(core->core) != request->own_fork;
  int err = hypercore_apply_proof(core->core, proof, &outcome);
  if (err == AB_EOPERATION && (moved || request->is_optimistic)) {
    if (request->is_optimistic) replicator->optimism_failures++;
    replicator->run_start = UINT64_MAX;
    core->epoch++;
    return 0;
  }
  if (err < 0) return invalid(replicator, err);
  if (outcome != AB_PROOF_APPLIED) {
    core->epoch++;
    return 0;
  }
  ab__netcore_staged(core);
  if (request->is_optimistic && replicator->optimism_failures > 0 && ++replicator->optimism_successes % AB__OPTIMISM_SUCCESSES == 0) {
    replicator->optimism_failures--;
  }
  if (proof->has_block) {
    replicator->stream->stats.blocks_in++;
    ab__spans_add(&core->news, proof->block.index, proof->block.index + 1);
  }
  if ((request->has_block && !proof->has_block) || (request->kind == AB__ASK_UPGRADE && !proof->has_upgrade)) {
    give_up(replicator, request);
  }
  if (hypercore_length(core->core) != length) ab__netcore_pump(core);
  return 0;
}

int
ab__fetch_data (ab__replicator_t *replicator, ab_slice_t message) {
  ab_arena_t arena = {0};
  ab_proof_t proof;
  int err = ab_proof_decode(message, &arena, &proof);
  ab__inflight_t *found = err == 0 ? find(replicator, proof.id) : NULL;
  if (found != NULL) {
    ab__inflight_t request = *found;
    replicator->last_data_ms = replicator->stream->active_ms = ab__stream_now(replicator->stream);
    replicator->is_slow = false;
    settle(replicator, found);
    if (!matches(&request, &proof)) give_up(replicator, &request);
    else if (request.kind == AB__ASK_REORG) err = continue_reorg(replicator, &request, &proof);
    else err = take(replicator, &request, &proof);
    if (err == 0) go_on(replicator);
  }
  ab_arena_destroy(&arena);
  return err;
}

int
ab__fetch_no_data (ab__replicator_t *replicator, const ab__no_data_t *message) {
  ab__inflight_t *found = find(replicator, message->request);
  if (found == NULL) return 0;
  ab__inflight_t request = *found;
  replicator->last_data_ms = replicator->stream->active_ms = ab__stream_now(replicator->stream);
  settle(replicator, found);
  give_up(replicator, &request);
  go_on(replicator);
  return 0;
}

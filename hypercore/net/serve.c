/* serve.c: answering a peer's requests. They wait as they came; an answer is made when it can be sent. */
#include <stdlib.h>

#include "hypercore/net/replicator.h"
#include "hypercore/net/stream.h"

/* ---- the ring ---- */

static ab__owed_t *
at (const ab__replicator_t *replicator, size_t i) {
  return &replicator->owed[(replicator->owed_first + i) & (replicator->owed_capacity - 1)];
}

static int
reserve (ab__replicator_t *replicator) {
  if (replicator->owed_count < replicator->owed_capacity) return 0;
  size_t capacity = replicator->owed_capacity == 0 ? 16 : 2 * replicator->owed_capacity;
  ab__owed_t *owed = malloc(capacity * sizeof(*owed));
  if (owed == NULL) return AB_ENOMEM;
  for (size_t i = 0; i < replicator->owed_count; i++) owed[i] = *at(replicator, i);
  free(replicator->owed);
  replicator->stream->owed_bytes += (capacity - replicator->owed_capacity) * sizeof(*owed);
  replicator->owed = owed;
  replicator->owed_first = 0;
  replicator->owed_capacity = capacity;
  return 0;
}

static int
push (ab__replicator_t *replicator, const ab__owed_t *owed, bool first) {
  ab_stream_t *stream = replicator->stream;
  if (replicator->owed_count >= AB__OWED_MAX || stream->owed >= AB__OWED_ALL_MAX) {
    return ab__stream_fail(stream, AB_ETOOBIG, "%zu requests without reading an answer", stream->owed);
  }
  int err = reserve(replicator);
  if (err < 0) return err;
  if (first) replicator->owed_first = (replicator->owed_first - 1) & (replicator->owed_capacity - 1);
  *at(replicator, first ? 0 : replicator->owed_count) = *owed;
  replicator->owed_count++;
  stream->owed++;
  ab__replicator_queue(replicator);
  return 0;
}

static ab__owed_t
pop (ab__replicator_t *replicator) {
  ab__owed_t owed = *at(replicator, 0);
  replicator->owed_first = (replicator->owed_first + 1) & (replicator->owed_capacity - 1);
  replicator->owed_count--;
  replicator->stream->owed--;
  if (replicator->owed_count == 0 && replicator->owed_capacity > 64) ab__serve_drop(replicator);
  return owed;
}

void
ab__serve_drop (ab__replicator_t *replicator) {
  replicator->stream->owed -= replicator->owed_count;
  replicator->stream->owed_bytes -= replicator->owed_capacity * sizeof(*replicator->owed);
  free(replicator->owed);
  replicator->owed = NULL;
  replicator->owed_first = replicator->owed_count = replicator->owed_capacity = 0;
}

/* ---- what comes ---- */

int
ab__serve_request (ab__replicator_t *replicator, ab_slice_t message) {
  ab__owed_t owed = {0};
  int err = ab_request_decode(message, &owed.request);
  if (err < 0) return err;
  replicator->stream->active_ms = ab__stream_now(replicator->stream);
  return push(replicator, &owed, owed.request.priority > 0);
}

int
ab__serve_want (ab__replicator_t *replicator, const ab__want_t *want) {
  ab__owed_t owed = {.is_want = true, .want = *want};
  if (want->length > AB__WANT_MAX) return 0;
  replicator->remote_wants = true;
  return push(replicator, &owed, false);
}

void
ab__serve_cancel (ab__replicator_t *replicator, uint64_t request) {
  for (size_t i = 0; i < replicator->owed_count; i++) {
    ab__owed_t *owed = at(replicator, i);
    if (!owed->is_want && owed->request.id == request) owed->is_dead = true;
  }
}

/* ---- answers ---- */

static int
no_data (ab__replicator_t *replicator, uint64_t request, uint64_t reason) {
  ab__no_data_t message = {request, reason};
  ab__no_data_encode(ab__replicator_begin(replicator, AB__NO_DATA), &message);
  return ab__replicator_end(replicator);
}

static int
send_proof (ab__replicator_t *replicator, const ab_proof_t *proof) {
  ab_proof_encode(ab__replicator_begin(replicator, AB__DATA), proof);
  int err = ab__replicator_end(replicator);
  if (err == 0 && proof->has_block) replicator->stream->stats.blocks_out++;
  return err;
}

/* The block is not here, or it is about another fork: the manifest is all there is to give. */
static int
not_available (ab__replicator_t *replicator, const ab_request_t *request) {
  const ab__netcore_t *core = replicator->core;
  if (!request->wants_manifest || !core->has_manifest)
    return no_data(replicator, request->id, AB__NOT_AVAILABLE);
  ab_arena_t arena = {0};
  ab_proof_t proof;
  ab_request_t manifest = {.id = request->id, .fork = core->fork, .wants_manifest = true};
  int err = hypercore_prove(core->core, &manifest, &arena, &proof);
  err = err == 0 ? send_proof(replicator, &proof) : no_data(replicator, request->id, AB__NOT_AVAILABLE);
  ab_arena_destroy(&arena);
  return err;
}

static int
answer (ab__replicator_t *replicator, const ab_request_t *request) {
  const ab__netcore_t *core = replicator->core;
  ab_arena_t arena = {0};
  ab_proof_t proof;
  int err;

  if (replicator->stream->options.pull_only) return no_data(replicator, request->id, AB__NOT_AVAILABLE);
  if (request->fork != core->fork) return not_available(replicator, request);
  if (request->has_block) {
    uint64_t index = request->block.index;
    if (index >= core->length || !hypercore_has(core->core, index, index + 1)) {
      return not_available(replicator, request);
    }
  }
  err = hypercore_prove(core->core, request, &arena, &proof);
  if (err == 0 && proof.has_block && proof.block.value.data == NULL) {
    err = not_available(replicator, request); /* not committed yet, or the core is empty */
  } else if (err == 0) {
    err = send_proof(replicator, &proof);
  } else if (err != AB_ENOMEM) {
    if (err != AB_EOPERATION) {
      ab_store_log(core->net->store, 1, "net", "cannot answer a request: %s", ab_strerror(err));
    }
    replicator->upgrade_denied |= request->has_upgrade; /* a sparse copy lacks the nodes for some */
    err = no_data(replicator, request->id, AB__NOT_VALID);
  }
  ab_arena_destroy(&arena);
  return err;
}

/* ---- wants ---- */

static int
send_bits (ab__replicator_t *replicator, uint64_t start, uint64_t end) {
  hypercore_t *core = replicator->core->core;
  uint64_t length = replicator->core->length; /* the last word is filled up as far as there are blocks */
  size_t words = (size_t) ((end - start + 31) / 32);
  ab_buf_t *out = ab__replicator_begin(replicator, AB__BITFIELD);
  ab_write_uint(out, start);
  ab_write_uint(out, words);
  uint8_t *bits = ab_buf_extend(out, 4 * words);
  if (bits != NULL) {
    memset(bits, 0, 4 * words);
    for (size_t word = 0; word < words; word++) {
      uint64_t first = start + 32 * (uint64_t) word, last = first + 32 < length ? first + 32 : length;
      if (last - first == 32 && hypercore_has(core, first, last)) {
        memset(bits + 4 * word, 0xff, 4);
        continue;
      }
      for (uint64_t i = first; i < last; i++) {
        if (hypercore_has(core, i, i + 1)) bits[(i - start) / 8] |= (uint8_t) (1u << ((i - start) % 8));
      }
    }
  }
  return ab__replicator_end(replicator);
}

static int
answer_want (ab__replicator_t *replicator, const ab__want_t *want) {
  const ab__netcore_t *core = replicator->core;
  if (replicator->stream->options.pull_only) return 0;
  uint64_t end = want->start + want->length;
  if (core->contiguous == core->length || end < core->contiguous || (want->any && want->start < core->contiguous)) {
    ab__range_msg_t range = {.length = core->contiguous};
    ab__range_encode(ab__replicator_begin(replicator, AB__RANGE), &range);
    return ab__replicator_end(replicator);
  }
  if (end > core->length) end = core->length;
  if (want->any) {
    uint64_t first = want->start;
    while (first < end && !hypercore_has(core->core, first, first + 1)) first++;
    if (first >= end) return 0;
    ab__range_msg_t range = {.start = first, .length = 1};
    ab__range_encode(ab__replicator_begin(replicator, AB__RANGE), &range);
    return ab__replicator_end(replicator);
  }
  uint64_t start = want->start / 32 * 32;
  int err = 0;
  while (start < end && err == 0) {
    uint64_t border = (start / AB__WANT_SEGMENT + 1) * AB__WANT_SEGMENT;
    uint64_t stop = end < border ? end : border;
    err = send_bits(replicator, start, stop);
    start = stop;
  }
  return err;
}

int
ab__serve_one (ab__replicator_t *replicator) {
  ab__owed_t owed = pop(replicator);
  if (owed.is_dead) return 0;
  replicator->stream->active_ms = ab__stream_now(replicator->stream);
  return owed.is_want ? answer_want(replicator, &owed.want) : answer(replicator, &owed.request);
}

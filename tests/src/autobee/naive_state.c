#include "autobee/naive_state.h"

#include "hypercore/crypto.h"

/* A pending change of a record. */
typedef struct {
  bool is_touched, is_added, is_removed, is_genesis;
  int64_t weight, max_weight; /* -1: unchanged */
  uint64_t length;
} update_t;

typedef struct {
  const naive_logs_t *logs;
  naive_state_t *state; /* records as stored before the batch */
  update_t updates[NAIVE_WRITERS_MAX];
  naive_change_t *changes;
} pending_t;

/* ---- 8 ---- */

uint64_t
naive_standing (const naive_record_t *record) {
  if (record->is_genesis && record->max_weight > 0) return record->max_weight;
  return record->weight;
}

uint64_t
naive_resolve (
  const naive_logs_t *logs, const naive_state_t *state, const naive_batch_t *batch, bool altered
) {
  const oplog_message_t *message = &naive_node(logs, batch->writer, batch->first)->message;
  const oplog_witness_t *witness = &message->witness;
  const naive_record_t *record = &state->records[batch->writer];
  uint64_t standing = naive_standing(record);
  if (!message->has_witness || witness->weight <= standing) return standing;
  if (witness->weight > record->max_weight && !(altered && record->is_removed)) return standing;
  size_t backer = naive_number(logs, &witness->backer.key);
  if (backer == batch->writer) return standing;
  if (state->records[backer].length < witness->backer.length) return standing;
  return witness->weight; /* its signature is one of our peers */
}

bool
naive_may_use (
  const naive_logs_t *logs, const naive_state_t *state, size_t local, const oplog_witness_t *witness
) {
  const naive_record_t *record = &state->records[local];
  const naive_record_t *backer = &state->records[naive_number(logs, &witness->backer.key)];
  return record->max_weight > naive_standing(record) && witness->weight <= record->max_weight &&
         backer->exists && !backer->is_removed && backer->length >= witness->backer.length;
}

bool
naive_has (const naive_logs_t *logs, const naive_state_t *state, const ab_head_t *node) {
  for (size_t i = 0; i < state->head_count; i++)
    if (ab_key_equal(&state->heads[i].key, &node->key)) return state->heads[i].length >= node->length;
  return state->records[naive_number(logs, &node->key)].length >= node->length;
}

/* ---- 6.1, 7.2 ---- */

static update_t *
touch (pending_t *pending, size_t writer, uint64_t length) {
  update_t *update = &pending->updates[writer];
  if (!update->is_touched) *update = (update_t){.is_touched = true, .weight = -1, .max_weight = -1};
  if (length > update->length) update->length = length;
  return update;
}

/* The record with what is pending. */
static naive_record_t
peek (const pending_t *pending, size_t writer) {
  const update_t *update = &pending->updates[writer];
  naive_record_t record = pending->state->records[writer];
  if (!update->is_touched) return record;
  record.exists = true;
  record.is_removed = record.is_removed || update->is_removed;
  if (update->max_weight >= 0) record.max_weight = (uint64_t) update->max_weight;
  if (update->length > record.length) record.length = update->length;
  return record;
}

static void
add_writer (pending_t *pending, size_t writer, uint64_t weight, bool is_genesis) {
  naive_record_t record = peek(pending, writer);
  bool is_raised = weight > record.max_weight;
  if (!is_raised && record.exists && !record.is_removed) return;
  update_t *update = touch(pending, writer, record.length);
  update->is_added = true;
  update->is_removed = false;
  pending->changes[writer] = NAIVE_ADDED;
  if (!is_raised) return;
  update->max_weight = (int64_t) weight;
  update->is_genesis = is_genesis;
  if (is_genesis && update->weight < (int64_t) weight) update->weight = (int64_t) weight;
}

static void
remove_writer (pending_t *pending, size_t writer) {
  update_t *update = touch(pending, writer, peek(pending, writer).length);
  update->is_removed = true;
  update->is_added = false;
  update->max_weight = 0;
  update->is_genesis = false;
  pending->changes[writer] = NAIVE_REMOVED;
}

/* ---- 6.2 ---- */

static bool
covers (const oplog_message_t *message, const ab_head_t *self, const ab_head_t *head) {
  if (ab_key_equal(&self->key, &head->key) && self->length >= head->length) return true;
  for (size_t i = 0; i < message->link_count; i++) {
    const ab_head_t *link = &message->links[i];
    if (ab_key_equal(&link->key, &head->key) && link->length >= head->length) return true;
  }
  return false;
}

static void
start_node (pending_t *pending, const naive_batch_t *batch, uint64_t length) {
  naive_state_t *state = pending->state;
  const oplog_message_t *message = &naive_node(pending->logs, batch->writer, length)->message;
  ab_head_t self = {pending->logs->logs[batch->writer].key, length};
  size_t kept = 0;
  for (size_t i = 0; i < state->head_count; i++)
    if (!covers(message, &self, &state->heads[i])) state->heads[kept++] = state->heads[i];
  state->heads[kept++] = self;
  state->head_count = kept;
  if (message->timestamp_ms > state->timestamp_ms) state->timestamp_ms = message->timestamp_ms;
  update_t *update = touch(pending, batch->writer, length);
  if (update->weight < (int64_t) batch->weight) update->weight = (int64_t) batch->weight;
}

/* ---- 7.1 ---- */

static bool
can_apply (const pending_t *pending, size_t writer) {
  if (pending->changes[writer] != NAIVE_NO_CHANGE) return pending->changes[writer] == NAIVE_ADDED;
  return pending->state->records[writer].exists && !pending->state->records[writer].is_removed;
}

void
naive_chain (
  uint8_t chain[32], ab_slice_t before, const ab_key_t *writer, const uint64_t numbers[4], ab_slice_t value
) {
  ab_slice_t parts[] = {before, ab_key_slice(writer), ab_slice(numbers, 4 * sizeof(uint64_t)), value};
  uint8_t hash[32];
  ab_hash(hash, parts, 4);
  memcpy(chain, hash, 32);
}

static void
apply_node (pending_t *pending, const naive_batch_t *batch, uint64_t length) {
  naive_state_t *state = pending->state;
  const naive_node_t *node = naive_node(pending->logs, batch->writer, length);
  if (node->op == NAIVE_GRANT) add_writer(pending, node->subject, node->weight, false);
  if (node->op == NAIVE_REMOVAL) remove_writer(pending, node->subject);
  if (node->op == NAIVE_PUT) memcpy(state->values[node->key], node->text, NAIVE_TEXT_MAX);
  if (node->op == NAIVE_DEL) memset(state->values[node->key], 0, NAIVE_TEXT_MAX);
  uint64_t numbers[] = {length, batch->weight, node->message.timestamp_ms, state->flushes};
  ab_slice_t before = state->has_chain ? ab_slice(state->chain, 32) : ab_slice(NULL, 0);
  naive_chain(state->chain, before, &pending->logs->logs[batch->writer].key, numbers, node->message.value);
  state->has_chain = true;
}

/* ---- 6.3 ---- */

static void
flush_record (naive_record_t *record, const update_t *update) {
  if (!update->is_touched) return;
  record->exists = true;
  record->is_removed = update->is_removed || (!update->is_added && record->is_removed);
  if (update->weight >= 0) record->weight = (uint64_t) update->weight;
  if (update->max_weight >= 0) {
    record->max_weight = (uint64_t) update->max_weight;
    record->is_genesis = update->is_genesis;
  }
  if (update->length > record->length) record->length = update->length;
}

void
naive_apply (
  const naive_logs_t *logs,
  const naive_state_t *state,
  const naive_batch_t *batch,
  naive_state_t *next,
  naive_change_t changes[NAIVE_WRITERS_MAX]
) {
  pending_t pending = {.logs = logs, .state = next, .changes = changes};
  *next = *state;
  memset(changes, 0, NAIVE_WRITERS_MAX * sizeof(*changes));
  if (batch->writer == 0 && batch->first == 1) add_writer(&pending, 0, 2, true);
  for (uint64_t length = batch->first; length <= batch->last; length++) start_node(&pending, batch, length);
  if (can_apply(&pending, batch->writer))
    for (uint64_t length = batch->first; length <= batch->last; length++) apply_node(&pending, batch, length);
  for (size_t i = 0; i < logs->count; i++) flush_record(&next->records[i], &pending.updates[i]);
  next->flushes++;
  next->batch = *batch;
  next->batch.weight = next->records[batch->writer].weight;
}

#include "autobee/applying.h"

#include <stdlib.h>

#include "autobee/anchors.h"
#include "autobee/run.h"
#include "autobee/testimony.h"
#include "autobee/writer.h"

/* ---- host calls ---- */

static int
host_add (void *data, const ab_key_t *key, bool is_indexer, uint64_t weight) {
  autobee_t *db = data;
  (void) is_indexer; /* its default weight was chosen already */
  if (weight > AB_MAX_SAFE) return AB_EREJECTED;
  return autobee__system_add_writer(&db->system, key, weight, false);
}

static int
host_remove (void *data, const ab_key_t *key) {
  autobee_t *db = data;
  return autobee__system_remove_writer(&db->system, key);
}

static int
host_ack (void *data, const ab_key_t *key) {
  autobee_t *db = data;
  if (batch_first(db->applying)->optimistic && !ab_key_equal(key, &db->local->key)) db->owes_ack = true;
  return autobee__system_ack_writer(&db->system, key);
}

static int
host_anchor (void *data, const ab_head_t *node, ab_head_t *anchor) {
  return autobee__anchor_create(data, node, anchor);
}

static int
host_writer (void *data, const ab_key_t *key, autobee_writer_t *out) {
  autobee_t *db = data;
  record_writer_t record;
  int err = autobee__system_peek(&db->system, key, &record);
  if (err < 0) return err;
  out->weight = record.weight;
  out->max_weight = record.max_weight;
  out->length = record.length;
  out->is_removed = record.is_removed;
  out->is_indexer = record_is_indexer(&record);
  return 0;
}

static const apply_host_t host = {host_add, host_remove, host_ack, host_anchor, host_writer};

/* ---- apply ---- */

static int
call_apply (autobee_t *db, const batch_t *batch, apply_result_t *result) {
  ab_arena_t arena = {0};
  autobee_node_t *nodes = ab_arena_zalloc(&arena, batch->count, sizeof(*nodes));
  if (nodes == NULL) return AB_ENOMEM;
  size_t count = 0;
  for (size_t i = 0; i < batch->count; i++) {
    const node_t *node = &batch->nodes[i];
    if (!node->message.has_value || node->message.value.len == 0) continue;
    nodes[count].writer = batch->writer;
    nodes[count].length = node->length;
    nodes[count].value = node->message.value;
    nodes[count].timestamp_ms = node->timestamp_ms;
    nodes[count].weight = batch->weight;
    nodes[count++].optimistic = node->optimistic;
  }

  apply_input_t input = {
    .view = db->view,
    .host = &host,
    .host_data = db,
    .database_key = db->key,
    .clock = db->system.flushes,
    .genesis = db->system.head.length == 0};
  db->applying = batch;
  db->in_apply = true;
  int err = apply_run(&input, db->options.apply, db->options.apply_data, nodes, count, result);
  db->in_apply = false;
  db->applying = NULL;
  db->applies++;
  ab_arena_destroy(&arena);
  return err;
}

/* 6.2, behind the creator's grant (7.3). */
static int
start_batch (autobee_t *db, const batch_t *batch) {
  autobee__system_reset(&db->system);
  if (batch_first(batch)->length == 1 && ab_key_equal(&batch->writer, &db->key)) {
    int err = autobee__system_add_writer(&db->system, &db->key, 2, true);
    if (err < 0) return err;
  }
  return autobee__system_start(&db->system, batch);
}

static void
note_refusal (autobee_t *db, const batch_t *batch, apply_result_t *result) {
  autobee_event_t event = {
    .kind = AUTOBEE_EVENT_REJECTED,
    .node = {batch->writer, batch_last(batch)->length},
    .status = AB_EREJECTED};
  db->rejected++;
  autobee__event(db, &event, result->message.data == NULL ? NULL : (const char *) result->message.data);
}

static void
note_halt (autobee_t *db, const batch_t *batch, apply_result_t *result, int cause) {
  db->halt_cause = cause;
  ab_buf_destroy(&db->halt_message);
  db->halt_message = result->message;
  memset(&result->message, 0, sizeof(result->message));
  db->halt_node.key = batch->writer;
  db->halt_node.length = batch_last(batch)->length;
}

/* The view as it was before the batch, and none of its pending changes. */
static int
drop_writes (autobee_t *db, const ab_head_t *view, uint64_t view_length) {
  int err = bee_move(db->view, &view->key, view->length);
  if (err < 0 || db->options.conformance) return err;
  return autobee__cut(db, hypercore_length(db->system_core), view_length);
}

/* Run apply if it may see the batch. `candidate`: the batch of an optimistic attempt, whose refusal is for
 * the caller to deal with. */
static int
judge (autobee_t *db, const batch_t *batch, bool optimistic, bool candidate) {
  bool can;
  int err = autobee__system_can_apply(&db->system, &batch->writer, optimistic, &can);
  if (err < 0 || !can) return err;

  ab_head_t before = db->system.head;
  ab_head_t view;
  bee_head(db->view, &view);
  uint64_t view_length = hypercore_length(db->view_core);
  apply_result_t result = {0};
  if ((err = call_apply(db, batch, &result)) < 0) goto done;
  err = result.verdict;
  if (err == 0) goto done;

  if (err == AB_EREJECTED) {
    if (candidate || !db->options.stop_on_error) note_refusal(db, batch, &result);
    if (candidate) goto done;
    if (!db->options.stop_on_error) { /* on record, as if it had written nothing */
      if ((err = drop_writes(db, &view, view_length)) < 0) goto done;
      err = start_batch(db, batch);
      goto done;
    }
  }
  if (err == AB_EREMOTE) { /* as if it had not run */
    int moved = drop_writes(db, &view, view_length);
    if (moved == 0) moved = autobee__move(db, &before);
    if (moved < 0) err = moved;
    goto done;
  }
  note_halt(db, batch, &result, err);
  if (err != AB_EREJECTED && err != AB_EINTERRUPTED && err != AB_ENOMEM) err = AB_EHALTED;

done:
  ab_buf_destroy(&result.message);
  return err;
}

/* 10.5 */
static int
settle (autobee_t *db, const batch_t *batch) {
  int err;
  if (batch->is_queued) {
    db->system_blocks = hypercore_length(db->system_core) - db->system_start;
    db->view_blocks = hypercore_length(db->view_core) - db->view_start;
    db->stamp_flushes = db->system.flushes;
  }
  for (size_t i = 0; i < db->system.grant_count; i++) {
    const system_grant_t *grant = &db->system.grants[i];
    if ((err = autobee__attestation_owe(db, &grant->key, grant->weight)) < 0) return err;
  }
  for (size_t i = 0; i < db->system.change_count; i++) {
    const system_change_t *change = &db->system.changes[i];
    bool is_local = ab_key_equal(&change->key, &db->local->key);
    if (change->is_anchor) {
      autobee__writers_wake(db, &change->key, 1);
      continue;
    }
    if (is_local && (err = autobee__writer_refresh(db->local, NULL)) < 0) return err;
    if (change->is_added) {
      err =
        is_local ? autobee__writer_follow(db->local) : autobee__writer_attach(db, &change->key, NULL, NULL);
      if (err < 0) return err;
    } else if (is_local) {
      autobee__writer_detach(db->local);
    } else {
      writer_t *writer = autobee__writer_find(db, &change->key);
      if (writer != NULL) autobee__writer_close(writer);
    }
  }
  return 0;
}

int
autobee__apply_batch (autobee_t *db, const batch_t *batch, bool optimistic, bool candidate) {
  ab_head_t before = db->system.head;
  int err = start_batch(db, batch);
  if (err < 0) return err;
  if ((err = judge(db, batch, optimistic, candidate)) < 0) return err;

  ab_head_t view;
  record_writer_t recorded;
  bee_head(db->view, &view);
  if ((err = autobee__system_flush(&db->system, &batch->writer, &view, &recorded)) < 0) return err;
  db->iteration_batches++;

  window_entry_t entry = {
    .writer = batch->writer,
    .last = recorded.length,
    .weight = recorded.weight,
    .timestamp_ms = (uint64_t) recorded.timestamp_ms,
    .before = before,
    .is_plain = db->system.change_count == 0};
  if ((err = autobee__window_load(&entry, batch)) < 0) return err;
  if ((err = autobee__window_push(&db->window, &entry)) < 0) {
    free(entry.links);
    return err;
  }
  const node_t *last = batch_last(batch);
  if (last->message.has_value && !ab_key_equal(&batch->writer, &db->local->key)) db->value_seen = true;
  return settle(db, batch);
}

#include "autobee/fill.h"

#include "autobee/log.h"
#include "autobee/writer.h"

#define SLICE 512     /* entries in a call */
#define ORDER_MAX 512 /* batches that a local one may displace */

static void
close_walk (fill_t *fill) {
  bee_cursor_close(fill->cursor);
  if (fill->bee != NULL) bee_close(fill->bee);
  fill->cursor = NULL;
  fill->bee = NULL;
}

void
autobee__fill_end (autobee_t *db) {
  close_walk(&db->fill);
  db->fill.stage = FILL_NONE;
}

/* ---- a state ---- */

static int
open_walk (autobee_t *db) {
  fill_t *fill = &db->fill;
  int err = 0;
  if (fill->bee == NULL) {
    if (fill->in_view) err = bee_checkout(db->view, &fill->view, &fill->bee);
    else err = bee_checkout(db->system.bee, &fill->system, &fill->bee);
  }
  return err == 0 && fill->cursor == NULL ? bee_cursor_open(fill->bee, NULL, &fill->cursor) : err;
}

/* From the end of the system to the beginning of the view. */
static int
enter_view (fill_t *fill) {
  bee_entry_t entry;
  record_info_t info;
  ab_arena_t arena = {0};
  int err = bee_get(fill->bee, autobee__record_info_key(), &entry);
  if (err == 0) err = autobee__record_info_decode(entry.value, &arena, &info);
  if (err == 0) fill->view = info.view;
  if (err == 0) fill->timestamp_ms = info.timestamp_ms;
  ab_arena_destroy(&arena);
  if (err < 0) return err;
  close_walk(fill);
  fill->in_view = true;
  return 1;
}

static int
walk_state (autobee_t *db) {
  fill_t *fill = &db->fill;
  bee_entry_t entry;
  if (fill->system.length == 0) return 0; /* genesis */
  int err = open_walk(db);
  for (int i = 0; err == 0 && i < SLICE; i++) err = bee_cursor_next(fill->cursor, &entry);
  if (err == 0) return 1;
  if (err != AB_EEND) return err;
  if (!fill->in_view) return enter_view(fill);
  close_walk(fill);
  fill->in_view = false;
  return 0;
}

/* ---- the order ---- */

/* Own batches that the new state does not know may be older than everything in it. */
static int
note_unknown_batch (autobee_t *db, uint64_t length) {
  ab_arena_t arena = {0};
  oplog_message_t message;
  if (length >= hypercore_length(db->local->core)) return 0;
  int err = autobee__writer_message(db->local->core, length, &arena, &message);
  if (err == 0 && message.timestamp_ms < db->fill.timestamp_ms) db->fill.timestamp_ms = message.timestamp_ms;
  ab_arena_destroy(&arena);
  return err;
}

/* How far back a batch of the local writer may belong: the weight that it may have in the new state, and the
 * time. */
static int
local_place (autobee_t *db, uint64_t *weight) {
  bee_t *bee;
  bee_entry_t entry;
  record_writer_t record = {0};
  uint8_t key[RECORD_WRITER_KEY_LEN];
  autobee__record_writer_key(key, &db->local->key);
  *weight = 0;
  int err = bee_checkout(db->system.bee, &db->fill.system, &bee);
  if (err < 0) return err;
  err = bee_get(bee, ab_slice(key, sizeof(key)), &entry);
  if (err == 0) err = autobee__record_writer_decode(entry.value, &record);
  if (err == 0) *weight = record.weight > record.max_weight ? record.weight : record.max_weight;
  bee_close(bee);
  if (err < 0 && err != AB_ENOTFOUND) return err;
  return note_unknown_batch(db, record.length);
}

/* Back to the last batch that every local one stands behind; `fill->system` becomes the state there. */
static int
walk_order (autobee_t *db) {
  fill_t *fill = &db->fill;
  ab_head_t head = fill->system;
  uint64_t weight;
  size_t missing = 0, passed = 0;
  int err = local_place(db, &weight);
  while (err == 0 && head.length > 0) {
    system_flush_t flush;
    batch_t *batch = NULL;
    if ((err = autobee__system_history(&db->system, &head, &flush)) == AB_EREMOTE)
      autobee__log_want(db, &head);
    if (err < 0) return err;
    const record_writer_t *record = &flush.record;
    bool is_late = record->timestamp_ms >= 0 && (uint64_t) record->timestamp_ms >= fill->timestamp_ms;
    if (record->weight > weight || (record->weight == weight && !is_late)) break;
    if (++passed > ORDER_MAX) return AB_ETOOBIG;
    err = autobee__batch_load(db, &flush.writer, record->length, &batch);
    autobee__batch_release(batch);
    if (err == AB_EREMOTE && ++missing > 0) err = 0; /* go on, to name all of them */
    head = flush.before;
  }
  if (err == 0 && missing > 0) err = AB_EREMOTE;
  if (err == 0) fill->system = head;
  return err;
}

int
autobee__fill (autobee_t *db, const ab_head_t *system) {
  fill_t *fill = &db->fill;
  if (fill->stage == FILL_NONE || !ab_head_equal(&fill->target, system)) {
    close_walk(fill);
    *fill = (fill_t){.stage = FILL_STATE, .target = *system, .system = *system};
  }
  int err = fill->stage == FILL_ORDER ? walk_order(db) : walk_state(db);
  if (err != 0) return err;
  bool is_more =
    fill->stage == FILL_STATE || (fill->stage == FILL_ORDER && !ab_head_equal(&fill->system, system));
  if (!is_more) {
    autobee__fill_end(db);
    return 0;
  }
  fill->stage++;
  return 1;
}

#include "autobee/backfill.h"

#include "autobee/cores.h"
#include "autobee/log.h"
#include "autobee/writer.h"

#define MARK "autobee/backfill" /* ours: 1 while it goes on */
#define SLICE 1024              /* batches of the order in an iteration */

void
autobee__backfill_begin (autobee_t *db) {
  if (db->options.sparse || db->options.conformance) return;
  memset(&db->backfill, 0, sizeof(db->backfill));
  db->backfill.is_begun = true;
  db->backfill.history = db->system.head;
}

int
autobee__backfill_load (autobee_t *db) {
  ab_slice_t mark;
  int err = hypercore_user_data(db->local->core, MARK, &mark);
  if (err < 0) return err == AB_ENOTFOUND ? 0 : err;
  if (mark.len == 1 && mark.data[0] == 1) autobee__backfill_begin(db);
  return 0;
}

/* ---- logs ---- */

#define FULL 1 /* enough are followed */

static int
follow_partial (void *data, const ab_key_t *key, const record_writer_t *record) {
  autobee_t *db = data;
  hypercore_t *core;
  if (db->attached.count >= ENGINE_BACKFILL_MAX) return FULL;
  db->backfill.last = *key;
  if (record->is_anchor || ab_key_equal(key, &db->local->key)) return 0;
  if (autobee__writer_find(db, key) != NULL) return 0;
  int err = autobee__writer_core(db, key, &core);
  if (err < 0) return err;
  if (hypercore_contiguous_length(core) < record->length) return autobee__writer_attach(db, key, core, NULL);
  hypercore_close(core);
  return 0;
}

/* Follow those whose logs are not whole, so many at a time; they are left when they are. */
static int
follow_some (autobee_t *db) {
  if (db->backfill.is_listed || db->attached.count >= ENGINE_BACKFILL_MAX) return 0;
  int err = autobee__system_records(db->system.bee, &db->backfill.last, follow_partial, db);
  db->backfill.is_listed = err == 0;
  return err == FULL || err == AB_EREMOTE ? 0 : err; /* what is missing is looked for again */
}

/* ---- the order ---- */

static int
walk_history (autobee_t *db) {
  ab_head_t *head = &db->backfill.history;
  /* a reorder may have cut it off */
  bool is_own = ab_key_equal(&head->key, hypercore_key(db->system_core));
  if (is_own && head->length > hypercore_length(db->system_core)) *head = db->system.head;
  for (int i = 0; i < SLICE && head->length > 0; i++) {
    system_flush_t flush;
    int err = autobee__system_history(&db->system, head, &flush);
    if (err == AB_EREMOTE) autobee__log_want(db, head);
    if (err < 0) return err == AB_EREMOTE ? 0 : err;
    *head = flush.before;
  }
  if (head->length > 0) db->is_bumped = true;
  return 0;
}

/* ---- both ---- */

static int
is_whole (autobee_t *db, bool *whole) {
  *whole = db->backfill.is_listed && db->backfill.history.length == 0;
  for (size_t i = 0; i < db->attached.count && *whole; i++) {
    const writer_t *writer = db->attached.writers[i];
    record_writer_t record;
    int err = autobee__system_record(&db->system, &writer->key, &record);
    if (err == AB_ENOTFOUND || writer == db->local) continue;
    if (err < 0 && err != AB_EREMOTE) return err;
    *whole = err == 0 && hypercore_contiguous_length(writer->core) >= record.length;
  }
  return 0;
}

int
autobee__backfill (autobee_t *db) {
  bool whole;
  if (!db->backfill.is_begun) return 0;
  int err = follow_some(db);
  if (err == 0) err = walk_history(db);
  if (err == 0) err = is_whole(db, &whole);
  if (err < 0) return err;
  db->backfill.is_begun = !whole;
  const uint8_t mark = !whole;
  return autobee__set_user_data(db->local->core, MARK, ab_slice(&mark, 1));
}

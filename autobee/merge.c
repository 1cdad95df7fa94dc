#include "autobee/merge.h"

#include "autobee/run.h"
#include "autobee/witness.h"
#include "autobee/writer.h"

/* ---- what is undone ---- */

/* A writer whose record is another one while something is undone. */
typedef struct {
  uint64_t last; /* node of it that is undone; 0: none */
} changed_t;

/* One of them who is granted again when that is applied again. */
struct granted_s {
  ab_key_t key;
  granted_t *next;
};

/* Applied again, a removal closes its writer and a grant follows its: that decides what is processed next. */
static int
note_changed (void *data, const ab_key_t *key, const record_writer_t *record) {
  autobee_t *db = data;
  run_t *run = &db->run;
  if (record->is_anchor) return 0;
  if (record->is_removed || run->changed.count >= ENGINE_CHANGED_MAX) run->is_closed = true;
  if (run->is_closed) return 0;
  if (!record->is_oplog) {
    granted_t *granted = ab_arena_alloc(&run->arena, 1, sizeof(*granted));
    if (granted == NULL) return AB_ENOMEM;
    *granted = (granted_t){*key, run->granted};
    run->granted = granted;
  }
  changed_t *changed = autobee__keymap_get(&run->changed, key);
  if (changed == NULL) {
    changed = ab_arena_zalloc(&run->arena, 1, sizeof(*changed));
    if (changed == NULL || autobee__keymap_put(&run->changed, key, changed) < 0) return AB_ENOMEM;
  }
  if (record->is_oplog && record->length > changed->last) changed->last = record->length;
  return 0;
}

int
autobee__merge_undone (autobee_t *db, size_t at) {
  const window_t *window = &db->window;
  int err = 0;
  for (size_t i = at; i < window->count && err == 0 && !db->run.is_closed; i++) {
    const window_entry_t *entry = window_at(window, i);
    const ab_head_t *head = i + 1 < window->count ? &window_at(window, i + 1)->before : &db->system.head;
    record_writer_t plain = {.is_oplog = true, .length = entry->last};
    if (entry->is_plain) err = note_changed(db, &entry->writer, &plain);
    else err = autobee__system_recorded(&db->system, head, note_changed, db);
  }
  return err;
}

bool
autobee__merge_redoes (const autobee_t *db, const ab_head_t *node) {
  const changed_t *changed = autobee__keymap_get(&db->run.changed, &node->key);
  return changed != NULL && changed->last >= node->length;
}

/* ---- what comes next ---- */

static bool
is_in_flux (const autobee_t *db, const writer_t *writer) {
  return autobee__keymap_get(&db->run.changed, &writer->key) != NULL;
}

/* Of a writer that is not in flux: does the batch have the weight here that it has with everything undone
 * applied again? */
static int
has_final_weight (autobee_t *db, const batch_t *batch, bool *final) {
  const oplog_witness_t *witness = batch_witness(batch);
  record_writer_t spaces[2];
  const record_writer_t *record, *backer;
  *final = true;
  if (witness == NULL) return 0;
  int err = autobee__system_find(&db->system, &batch->writer, &spaces[0], &record);
  if (err < 0 || !autobee__witness_counts(witness, &batch->writer, record)) return err;
  if ((err = autobee__system_find(&db->system, &witness->backer.key, &spaces[1], &backer)) < 0) return err;
  *final = backer != NULL && backer->length >= witness->backer.length;
  return 0;
}

/* Has it more than will be applied when everything undone is applied again? */
static int
has_more (autobee_t *db, const writer_t *writer, bool *more) {
  record_writer_t space;
  const record_writer_t *record;
  int err = autobee__system_find(&db->system, &writer->key, &space, &record);
  if (err < 0) return err;
  ab_head_t last = {writer->key, hypercore_length(writer->core)};
  *more = last.length > (record == NULL ? 0 : record->length) && !autobee__merge_redoes(db, &last);
  return 0;
}

/* Its next batch with everything undone applied again becomes `peeked`. If that cannot be told, nothing more
 * is taken in. */
static int
peek_late (autobee_t *db, writer_t *writer) {
  run_t *run = &db->run;
  bool more, final = false;
  batch_t *batch;
  int err;
  if (writer == db->local || writer->core == NULL || writer->peeked != NULL) return 0;
  if (is_in_flux(db, writer)) {
    if ((err = has_more(db, writer, &more)) == 0 && more) run->is_closed = true;
    return err;
  }
  err = autobee__writer_take(writer, &batch);
  if (err == AB_EREMOTE) return 0; /* looked at again after the run */
  if (err < 0 || batch == NULL) return err;
  if ((err = has_final_weight(db, batch, &final)) == 0 && final) err = autobee__resolve(db, batch);
  if (err == 0 && final) {
    writer->peeked = batch;
    return 0;
  }
  run->is_closed = true;
  autobee__batch_release(batch);
  return err;
}

static int
follow_granted (autobee_t *db) {
  int err = 0;
  for (const granted_t *granted = db->run.granted; granted != NULL && err == 0; granted = granted->next) {
    if (ab_key_equal(&granted->key, &db->local->key)) continue;
    err = autobee__writer_attach(db, &granted->key, NULL, NULL);
  }
  db->run.granted = NULL;
  return err;
}

static int
look (autobee_t *db) {
  if (db->run.has_looked) return 0;
  int err = follow_granted(db);
  if (err < 0 || db->pending.count == 0) return err;
  err = autobee__pending_each(db, peek_late);
  db->run.has_looked = !db->run.is_closed;
  return err;
}

/* The one whose batch would start the next run, or NULL. */
static writer_t *
find_late (const autobee_t *db) {
  writer_t *late = NULL;
  for (size_t i = 0; i < db->pending.count; i++) {
    writer_t *writer = db->pending.writers[i];
    if (writer == db->local || writer->peeked == NULL) continue;
    if (late != NULL) {
      order_entry_t a = batch_entry(writer->peeked), b = batch_entry(late->peeked);
      if (!order_before(&a, &b)) continue;
    }
    late = writer;
  }
  return late;
}

static int
has_all (autobee_t *db, const batch_t *batch, bool *all) {
  const ab_head_t *base;
  int err = 0;
  *all = true;
  for (size_t i = 0; err == 0 && *all && (base = oplog_base(&batch_first(batch)->message, i)) != NULL; i++)
    err = autobee__system_has(&db->system, base, all);
  return err;
}

/* Does its batch stand before everything undone? */
static int
is_before_undone (autobee_t *db, writer_t *writer, bool *before) {
  batch_t *batch = writer->peeked;
  int err;
  *before = false;
  if (is_in_flux(db, writer) || !writer->is_added) return 0;
  if ((err = has_all(db, batch, before)) < 0 || !*before) return err;
  if ((err = has_final_weight(db, batch, before)) < 0 || !*before) return err;
  uint64_t first_look = batch->weight; /* what is processed next goes by this one */
  if ((err = autobee__resolve(db, batch)) < 0) return err;
  order_entry_t entry = batch_entry(batch), best = autobee__run_best(&db->run);
  batch->weight = first_look;
  *before = order_before(&entry, &best);
  return 0;
}

int
autobee__merge (autobee_t *db) {
  run_t *run = &db->run;
  writer_t *writer;
  bool before;
  if (!run->has_undone || run->is_closed || db->options.conformance) return 0;
  if (run->merged_count >= ENGINE_MERGE_MAX && run->merged_count >= run->count) return 0;
  if (run->given_count > 0) return 0; /* one after the other */
  int err = look(db);
  if (err < 0 || run->is_closed || (writer = find_late(db)) == NULL) return err;
  if ((err = is_before_undone(db, writer, &before)) < 0 || !before) return err;
  if ((err = autobee__run_push(run, writer->peeked)) < 0) return err;
  autobee__writer_unpeek(writer);
  run->merged_count++;
  return 0;
}

#include "autobee/run.h"

#include "autobee/applying.h"
#include "autobee/grow.h"
#include "autobee/merge.h"
#include "autobee/witness.h"
#include "autobee/writer.h"

/* ---- moving ---- */

int
autobee__move (autobee_t *db, const ab_head_t *head) {
  int err = autobee__system_move(&db->system, head);
  if (err < 0) return err;
  const ab_head_t *view = &db->system.view;
  return bee_move(db->view, head->length == 0 ? NULL : &view->key, view->length);
}

static int
cut (hypercore_t *core, bee_t *bee, uint64_t length) {
  uint64_t floor = hypercore_floor(core);
  if (length < floor) length = floor;
  return hypercore_length(core) > length ? bee_rollback(bee, length) : 0;
}

int
autobee__cut (autobee_t *db, uint64_t system_length, uint64_t view_length) {
  int err = cut(db->system_core, db->system.bee, system_length);
  return err < 0 ? err : cut(db->view_core, db->view, view_length);
}

/* The length of the own core that `head` needs. */
static uint64_t
own_length (const hypercore_t *core, const ab_head_t *head) {
  return ab_key_equal(&head->key, hypercore_key(core)) ? head->length : 0;
}

static uint64_t
larger (uint64_t a, uint64_t b) {
  return a > b ? a : b;
}

/* Blocks behind the heads: those that nothing names go, and the cache needs none of them. */
static int
cut_undone (autobee_t *db) {
  if (db->options.conformance || db->run.keep_blocks) return 0;
  uint64_t system = own_length(db->system_core, &db->system.head);
  uint64_t view = own_length(db->view_core, &db->system.view);
  int err = autobee__cut(db, larger(system, db->system_start), larger(view, db->view_start));
  if (err < 0) return err;
  bee_forget(db->system.bee, system);
  bee_forget(db->view, view);
  return 0;
}

/* ---- weight ---- */

int
autobee__resolve (autobee_t *db, batch_t *batch) {
  record_writer_t spaces[2];
  const record_writer_t *record, *backer = NULL;
  int err = autobee__system_find(&db->system, &batch->writer, &spaces[0], &record);
  if (err < 0) return err;
  const oplog_witness_t *witness = batch_witness(batch);
  if (witness == NULL) {
    batch->weight = record_standing(record);
  } else {
    if (autobee__witness_counts(witness, &batch->writer, record)) {
      if ((err = autobee__system_find(&db->system, &witness->backer.key, &spaces[1], &backer)) < 0)
        return err;
    }
    err = autobee__witness_weight(witness, &batch->writer, record, backer, &batch->weight);
    if (err < 0) return err;
  }
  batch->is_weighed = true;
  return 0;
}

/* Resolve in a run, for the second time or later if `again`: a weight that keeps rising would never leave it
 * (N4). */
static int
resolve_bounded (autobee_t *db, batch_t *batch, bool again) {
  run_t *run = &db->run;
  uint64_t before = batch->weight;
  int err = autobee__resolve(db, batch);
  if (err < 0 || !again || batch->weight <= before) return err;

  ab_key_t id = batch->writer;
  uint64_t first = batch_first(batch)->length;
  for (int i = 0; i < 8; i++) id.bytes[i] ^= (uint8_t) (first >> (8 * i));
  unsigned *rises = autobee__keymap_get(&run->rises, &id);
  if (rises == NULL) {
    rises = ab_arena_zalloc(&run->arena, 1, sizeof(*rises));
    if (rises == NULL || autobee__keymap_put(&run->rises, &id, rises) < 0) return AB_ENOMEM;
  }
  if (++*rises <= ENGINE_RISES_MAX) return 0;
  record_writer_t space;
  const record_writer_t *record;
  if ((err = autobee__system_find(&db->system, &batch->writer, &space, &record)) < 0) return err;
  batch->weight = record_standing(record);
  return 0;
}

/* ---- insert ---- */

/* One more entry at the beginning of the window. 1, 0 at genesis, or an error. */
static int
extend_window (autobee_t *db) {
  window_t *window = &db->window;
  const ab_head_t *head = window->count == 0 ? &db->system.head : &window_at(window, 0)->before;
  if (head->length == 0) return 0;
  system_flush_t flush;
  int err = autobee__system_history(&db->system, head, &flush);
  if (err < 0) return err;
  window_entry_t entry = {
    .writer = flush.writer,
    .last = flush.record.length,
    .weight = flush.record.weight,
    .timestamp_ms = flush.record.timestamp_ms < 0 ? 0 : (uint64_t) flush.record.timestamp_ms,
    .before = flush.before,
    .is_plain = flush.is_plain};
  err = autobee__window_prepend(window, &entry);
  return err < 0 ? err : 1;
}

static int
load_entry (autobee_t *db, window_entry_t *entry) {
  if (entry->is_loaded) return 0;
  batch_t *batch = NULL;
  int err = autobee__batch_load(db, &entry->writer, entry->last, &batch);
  if (err == 0) err = autobee__window_load(entry, batch);
  autobee__batch_release(batch);
  return err;
}

static order_entry_t
window_order (const window_entry_t *entry) {
  order_entry_t order = {
    .writer = entry->writer,
    .first = entry->is_loaded ? entry->first : entry->last,
    .last = entry->last,
    .weight = entry->weight,
    .timestamp_ms = entry->timestamp_ms,
    .links = entry->links,
    .link_count = entry->link_count};
  return order;
}

/* How many entries at the end of the order `node` compares before. */
static int
find_window (autobee_t *db, const order_entry_t *node, size_t *passed) {
  window_t *window = &db->window;
  *passed = 0;
  for (;;) {
    if (*passed == window->count) {
      int more = extend_window(db);
      if (more <= 0) return more;
    }
    order_entry_t entry = window_order(window_at(window, window->count - 1 - *passed));
    if (!order_before(node, &entry)) return 0;
    (*passed)++;
  }
}

static order_entry_t
item_order (const run_item_t *item) {
  if (item->is_given) return batch_entry(item->batch);
  order_entry_t order = {
    .writer = item->writer, .first = item->last, .weight = item->weight, .timestamp_ms = item->timestamp_ms};
  return order;
}

/* Of the items from `from` on, the best of each and those below it. */
static void
rank_items (run_t *run, size_t from) {
  for (size_t i = from; i < run->count; i++) {
    run->items[i].best = i;
    if (i == 0) continue;
    size_t best = run->items[i - 1].best;
    order_entry_t a = item_order(&run->items[best]), b = item_order(&run->items[i]);
    if (order_before(&a, &b)) run->items[i].best = best;
  }
}

static int
reserve_items (run_t *run, size_t more) {
  run_item_t *items = grown(run->items, &run->capacity, run->count + more, sizeof(run_item_t));
  if (items == NULL) return AB_ENOMEM;
  run->items = items;
  return 0;
}

/* The last of the items is the next one. */
static run_item_t *
add_item (run_t *run) {
  if (reserve_items(run, 1) < 0) return NULL;
  run_item_t *item = &run->items[run->count++];
  memset(item, 0, sizeof(*item));
  return item;
}

int
autobee__run_push (run_t *run, batch_t *batch) {
  run_item_t *item = add_item(run);
  if (item == NULL) return AB_ENOMEM;
  item->batch = autobee__batch_retain(batch);
  item->is_given = true;
  run->given_count++;
  rank_items(run, run->count - 1);
  return 0;
}

static int
push_undone (run_t *run, const window_entry_t *entry) {
  run_item_t *item = add_item(run);
  if (item == NULL) return AB_ENOMEM;
  item->writer = entry->writer;
  item->last = entry->last;
  item->weight = entry->weight;
  item->timestamp_ms = entry->timestamp_ms;
  rank_items(run, run->count - 1);
  return 0;
}

order_entry_t
autobee__run_best (const run_t *run) {
  return item_order(&run->items[run->items[run->count - 1].best]);
}

/* Go back to before entry `at` of the window. */
static int
undo_to (autobee_t *db, size_t at) {
  ab_head_t head = window_at(&db->window, at)->before;
  db->run.has_undone = true;
  int err = db->options.conformance ? 0 : autobee__merge_undone(db, at);
  if (err < 0 || (err = autobee__move(db, &head)) < 0) return err;
  autobee__window_cut(&db->window, at);
  db->undos++;
  if (db->system.flushes < db->undone_to) db->undone_to = db->system.flushes;
  if (db->system.flushes < db->run.kept) db->run.kept = db->system.flushes;
  return cut_undone(db);
}

/* 9.3. If something has to be undone, it is, and the new order from there on is on top of the items. */
static int
insert (autobee_t *db, batch_t *batch, bool *undone) {
  window_t *window = &db->window;
  order_entry_t node = batch_entry(batch);
  size_t passed;
  *undone = false;
  int err = find_window(db, &node, &passed);
  if (err < 0 || passed == 0) return err;

  ab_arena_t arena = {0};
  size_t base = window->count - passed;
  order_entry_t *entries = ab_arena_alloc(&arena, passed, sizeof(*entries));
  if (entries == NULL) {
    err = AB_ENOMEM;
    goto done;
  }
  for (size_t i = 0; i < passed; i++) {
    window_entry_t *entry = window_at(window, base + i);
    if ((err = load_entry(db, entry)) < 0) goto done;
    entries[i] = window_order(entry);
  }

  const oplog_witness_t *witness = batch_witness(batch);
  size_t *order, changed;
  err = autobee__order_place(
    entries, passed, &node, witness == NULL ? NULL : &witness->backer, &arena, &changed, &order
  );
  if (err < 0 || changed == passed) goto done;

  if ((err = reserve_items(&db->run, passed + 1 - changed)) < 0) goto done;
  for (size_t i = passed + 1; i > changed; i--) {
    size_t from = order[i - 1 - changed];
    bool is_new = from == passed;
    err = is_new ? autobee__run_push(&db->run, batch) : push_undone(&db->run, window_at(window, base + from));
    if (err < 0) goto done;
    uint64_t flush = db->system.flushes - (passed - 1 - from); /* of the entry */
    db->run.items[db->run.count - 1].is_resolved = is_new || flush > db->run.kept;
  }
  *undone = true;
  err = undo_to(db, base + changed);

done:
  ab_arena_destroy(&arena);
  return err;
}

/* ---- the run ---- */

void
autobee__run_clear (autobee_t *db) {
  run_t *run = &db->run;
  for (size_t i = 0; i < run->count; i++) autobee__batch_release(run->items[i].batch);
  autobee__batch_release(run->batch);
  run->batch = NULL;
  run->count = run->given_count = 0;
  run->writer = NULL;
  run->granted = NULL;
  run->is_active = false;
  autobee__keymap_destroy(&run->rises);
  autobee__keymap_destroy(&run->changed);
  ab_arena_destroy(&run->arena);
}

int
autobee__run_begin (autobee_t *db, writer_t *writer, batch_t *batch, bool optimistic) {
  run_t *run = &db->run;
  run->is_active = true;
  run->is_optimistic = optimistic;
  run->is_placed = false;
  run->has_undone = false;
  run->kept = UINT64_MAX;
  run->is_closed = run->has_looked = false;
  run->merged_count = 0;
  run->keep_blocks = optimistic || db->has_foreign_heads;
  run->writer = writer;
  run->batch = batch;
  run->rises.seed = run->changed.seed = db->seed;
  run->head = db->system.head;
  run->system_length = hypercore_length(db->system_core);
  run->view_length = hypercore_length(db->view_core);
  run->attestation_count = db->attestation_count;
  run->system_blocks = db->system_blocks;
  run->view_blocks = db->view_blocks;
  run->stamp_flushes = db->stamp_flushes;
  return autobee__run_push(run, batch);
}

static void
pop_item (run_t *run) {
  const run_item_t *item = &run->items[--run->count];
  if (item->is_given) run->given_count--;
  autobee__batch_release(item->batch);
}

/* The next item's batch, loaded if need be. Borrowed. */
static int
next_batch (autobee_t *db, batch_t **out) {
  run_item_t *item = &db->run.items[db->run.count - 1];
  if (item->batch == NULL) {
    int err = autobee__batch_load(db, &item->writer, item->last, &item->batch);
    if (err < 0) return err;
    item->batch->weight = item->weight;
  }
  *out = item->batch;
  return 0;
}

/* Resolve and insert the next batch; `settled` if it stands at the end of the order now. */
static int
place (autobee_t *db, batch_t *batch, bool *settled) {
  run_t *run = &db->run;
  size_t at = run->count - 1;
  bool undone;
  bool again = run->items[at].is_resolved;
  int err = run->is_optimistic ? autobee__resolve(db, batch) : resolve_bounded(db, batch, again);
  if (err < 0) return err;
  if ((err = insert(db, batch, &undone)) < 0) {
    /* what was pushed before it failed */
    if (!undone)
      while (run->count > at + 1) pop_item(run);
    return err;
  }
  *settled = !undone;
  if (!undone) return 0;
  /* it is among the new items; take the old place out */
  if (run->items[at].is_given) run->given_count--;
  autobee__batch_release(run->items[at].batch);
  memmove(&run->items[at], &run->items[at + 1], (run->count - at - 1) * sizeof(run_item_t));
  run->count--;
  rank_items(run, at);
  return 0;
}

static int
step_backlog (autobee_t *db) {
  run_t *run = &db->run;
  for (;;) {
    batch_t *batch;
    bool settled;
    int err = autobee__merge(db);
    if (err < 0) return err;
    if ((err = next_batch(db, &batch)) < 0) return err;
    if ((err = place(db, batch, &settled)) < 0) return err;
    if (!settled) continue;
    if ((err = autobee__apply_batch(db, batch, batch_first(batch)->optimistic, false)) < 0) return err;
    if (run->items[run->count - 1].is_given) {
      run->has_looked = false;
      if (db->system.change_count > 0) run->is_closed = true;
    }
    autobee__writers_wake(db, &batch->writer, batch_last(batch)->length);
    pop_item(run);
    if (run->count == 0) autobee__run_clear(db);
    return 0;
  }
}

/* 12.2: back to where the attempt began. */
static int
reject (autobee_t *db) {
  run_t *run = &db->run;
  writer_t *writer = run->writer;
  int err = autobee__move(db, &run->head);
  if (err < 0) return err;
  if (run->has_undone) autobee__window_cut(&db->window, 0);
  if (db->attestation_count > run->attestation_count) db->attestation_count = run->attestation_count;
  if (!db->options.conformance) {
    db->system_blocks = run->system_blocks;
    db->view_blocks = run->view_blocks;
    db->stamp_flushes = run->stamp_flushes;
    if ((err = autobee__cut(db, run->system_length, run->view_length)) < 0) return err;
  }
  run->batch->is_rejected = true;
  if (writer != NULL) {
    writer->rejected_length = batch_first(run->batch)->length;
    writer->rejected_version = db->system.version;
    autobee__writer_unpend(writer);
  }
  autobee__run_clear(db);
  return writer == NULL || db->options.conformance ? 0 : autobee__writer_follow_lead(writer);
}

static int
step_optimistic (autobee_t *db) {
  run_t *run = &db->run;
  batch_t *batch;
  int err;
  if (!run->is_placed) {
    bool settled;
    if ((err = next_batch(db, &batch)) < 0) return err;
    if ((err = place(db, batch, &settled)) < 0) return err;
    run->is_placed = true;
  }

  if ((err = next_batch(db, &batch)) < 0) return err;
  bool candidate = batch == run->batch;
  if (candidate) {
    bool can;
    err = autobee__system_can_apply(&db->system, &batch->writer, true, &can);
    if (err < 0) return err;
    if (!can) return reject(db);
  }
  err = autobee__apply_batch(db, batch, true, candidate);
  if (candidate && err == AB_EREJECTED) return reject(db);
  if (err < 0) return err;
  pop_item(run);
  if (run->count > 0) return 0;
  autobee__writers_wake(db, &run->batch->writer, batch_last(run->batch)->length);
  autobee__run_clear(db);
  return 0;
}

int
autobee__run_step (autobee_t *db) {
  return db->run.is_optimistic ? step_optimistic(db) : step_backlog(db);
}

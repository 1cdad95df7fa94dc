/* log.c: what is on record: heads, writers, the merged order. */
#include "autobee/log.h"

#include "autobee/cores.h"
#include "autobee/engine.h"
#include "autobee/writer.h"

#include <stdlib.h>

int
autobee_heads (autobee_t *db, int (*each)(void *data, const ab_head_t *head), void *data) {
  int err = autobee__enter(db);
  if (err < 0 || db->published_system.length == 0) return err;
  bee_t *bee;
  bee_entry_t entry;
  ab_arena_t arena = {0};
  record_info_t info;
  if ((err = bee_checkout(db->system.bee, &db->published_system, &bee)) < 0) return err;
  if ((err = bee_get(bee, autobee__record_info_key(), &entry)) < 0) goto done;
  if ((err = autobee__record_info_decode(entry.value, &arena, &info)) < 0) goto done;
  for (size_t i = 0; i < info.head_count && err == 0; i++) err = each(data, &info.heads[i]);

done:
  ab_arena_destroy(&arena);
  bee_close(bee);
  return err;
}

/* ---- writers ---- */

typedef struct {
  int (*each)(void *data, const ab_key_t *key, const autobee_writer_t *writer);
  void *data;
} tell_writers_t;

static int
tell_writer (void *data, const ab_key_t *key, const record_writer_t *record) {
  const tell_writers_t *tell = data;
  autobee_writer_t writer = {
    .weight = record->weight,
    .max_weight = record->max_weight,
    .length = record->length,
    .is_removed = record->is_removed,
    .is_indexer = record_is_indexer(record)};
  return tell->each(tell->data, key, &writer);
}

int
autobee_writers (
  autobee_t *db, int (*each)(void *data, const ab_key_t *key, const autobee_writer_t *writer), void *data
) {
  tell_writers_t tell = {each, data};
  bee_t *bee;
  int err = autobee__enter(db);
  if (err < 0 || (err = bee_checkout(db->system.bee, &db->published_system, &bee)) < 0) return err;
  err = autobee__system_records(bee, NULL, tell_writer, &tell);
  bee_close(bee);
  return err;
}

/* ---- the merged order ---- */

typedef int (*log_each_t)(void *data, const autobee_log_entry_t *entry);

static int
log_batch (const batch_t *batch, uint64_t weight, log_each_t each, void *data) {
  for (size_t i = batch->count; i > 0; i--) {
    const node_t *node = &batch->nodes[i - 1];
    autobee_log_entry_t entry = {
      .node = {batch->writer, node->length},
      .timestamp_ms = node->message.timestamp_ms,
      .weight = weight,
      .value = node->message.value,
      .has_block = true,
      .is_optimistic = node->message.optimistic,
      .batch_start = (uint32_t) node->message.batch_start,
      .batch_end = (uint32_t) node->message.batch_end,
      .links = node->message.links,
      .link_count = node->message.link_count};
    int err = each(data, &entry);
    if (err != 0) return err;
  }
  return 0;
}

/* Its blocks are not here; the last node is all that the record names. */
static int
log_record (const system_flush_t *flush, log_each_t each, void *data) {
  autobee_log_entry_t entry = {
    .node = {flush->writer, flush->record.length},
    .timestamp_ms = flush->record.timestamp_ms < 0 ? 0 : (uint64_t) flush->record.timestamp_ms,
    .weight = flush->record.weight};
  return each(data, &entry);
}

#define AHEAD 128 /* blocks of the history */

void
autobee__log_want (autobee_t *db, const ab_head_t *head) {
  hypercore_t *core;
  ab_slice_t block;
  if (ab_key_equal(&head->key, hypercore_key(db->system_core))) return;
  if (autobee__open_system_core(db, &head->key, &core) < 0) return;
  uint64_t first = head->length > AHEAD ? head->length - AHEAD : 0;
  for (uint64_t i = first; i < head->length; i++) (void) hypercore_get(core, i, &block);
  hypercore_close(core);
}

int
autobee_log (autobee_t *db, log_each_t each, void *data) {
  int err = autobee__enter(db);
  if (err < 0) return err;
  ab_head_t head = db->published_system;
  while (head.length > 0) {
    system_flush_t flush;
    batch_t *batch = NULL;
    err = autobee__system_history(&db->system, &head, &flush);
    if (err == AB_EREMOTE) autobee__log_want(db, &head);
    if (err < 0) return err;
    err = autobee__batch_load(db, &flush.writer, flush.record.length, &batch);
    if (err == 0) err = log_batch(batch, flush.record.weight, each, data);
    else if (err == AB_EREMOTE || err == AB_ENOTFOUND) err = log_record(&flush, each, data);
    autobee__batch_release(batch);
    if (err != 0) return err;
    head = flush.before;
  }
  return 0;
}

#include "autobee/system.h"

#include "autobee/grow.h"

#define RECORDS_MAX 4096 /* cached */

typedef struct {
  record_writer_t record;
  bool is_present;
} cached_t;

void
autobee__system_init (system_t *system, bee_t *bee, uint64_t seed) {
  memset(system, 0, sizeof(*system));
  system->bee = bee;
  system->index.seed = seed;
  system->records.seed = seed;
}

static void
forget_records (system_t *system) {
  autobee__keymap_clear(&system->records);
  ab_arena_destroy(&system->record_arena);
}

void
autobee__system_destroy (system_t *system) {
  if (system->bee != NULL) bee_close(system->bee);
  forget_records(system);
  autobee__keymap_destroy(&system->records);
  autobee__keymap_destroy(&system->index);
  free(system->heads);
  free(system->updates);
  free(system->changes);
  free(system->grants);
  ab_buf_destroy(&system->scratch);
  memset(system, 0, sizeof(*system));
}

#define RESERVE(what) \
  static int reserve_##what##s(system_t *system, size_t count) { \
    if (count <= system->what##_capacity) return 0; \
    void *items = grown(system->what##s, &system->what##_capacity, count, sizeof(*system->what##s)); \
    if (items == NULL) return AB_ENOMEM; \
    system->what##s = items; \
    return 0; \
  }
RESERVE(head)
RESERVE(update)
RESERVE(change)
RESERVE(grant)

int
autobee__system_move (system_t *system, const ab_head_t *head) {
  autobee__system_reset(system);
  forget_records(system);
  system->version++;
  int err = bee_move(system->bee, head->length == 0 ? NULL : &head->key, head->length);
  if (err < 0) return err;
  if (head->length == 0) {
    memset(&system->view, 0, sizeof(system->view));
    bee_head(system->bee, &system->head);
    system->head_count = 0;
    system->timestamp_ms = system->flushes = 0;
    return 0;
  }

  bee_entry_t entry;
  err = bee_get(system->bee, autobee__record_info_key(), &entry);
  if (err == AB_ENOTFOUND) {
    err = bee_get(system->bee, autobee__record_legacy_info_key(), &entry);
    return err == 0 ? AB_ENOTSUP : err == AB_ENOTFOUND ? AB_ECORRUPT : err;
  }
  if (err < 0) return err;
  if (!entry.has_value) return AB_ECORRUPT;

  ab_arena_t arena = {0};
  record_info_t info;
  if ((err = autobee__record_info_decode(entry.value, &arena, &info)) < 0) goto done;
  if ((err = reserve_heads(system, info.head_count)) < 0) goto done;
  if (info.head_count > 0) memcpy(system->heads, info.heads, info.head_count * sizeof(ab_head_t));
  system->head_count = info.head_count;
  system->timestamp_ms = info.timestamp_ms;
  system->flushes = info.flushes;
  system->view = info.view;
  system->head = *head;

done:
  ab_arena_destroy(&arena);
  return err;
}

/* ---- records ---- */

static cached_t *
cache (system_t *system, const ab_key_t *key) {
  if (system->records.count >= RECORDS_MAX) forget_records(system);
  cached_t *cached = ab_arena_alloc(&system->record_arena, 1, sizeof(*cached));
  if (cached == NULL || autobee__keymap_put(&system->records, key, cached) < 0) return NULL;
  return cached;
}

int
autobee__system_record (system_t *system, const ab_key_t *key, record_writer_t *out) {
  const cached_t *known = autobee__keymap_get(&system->records, key);
  if (known != NULL) {
    *out = known->record;
    return known->is_present ? 0 : AB_ENOTFOUND;
  }

  uint8_t bytes[RECORD_WRITER_KEY_LEN];
  bee_entry_t entry;
  int err = bee_get(system->bee, autobee__record_writer_key(bytes, key), &entry);
  if (err < 0 && err != AB_ENOTFOUND) return err;
  memset(out, 0, sizeof(*out));
  if (err == 0) {
    if (!entry.has_value) return AB_ECORRUPT;
    int decoded = autobee__record_writer_decode(entry.value, out);
    if (decoded < 0) return decoded;
  }

  cached_t *cached = cache(system, key);
  if (cached == NULL) return AB_ENOMEM;
  cached->record = *out;
  cached->is_present = err == 0;
  return err;
}

static system_update_t *
update_of (const system_t *system, const ab_key_t *key) {
  uintptr_t number = (uintptr_t) autobee__keymap_get(&system->index, key);
  return number == 0 ? NULL : &system->updates[number - 1];
}

int
autobee__system_find (
  system_t *system, const ab_key_t *key, record_writer_t *space, const record_writer_t **out
) {
  int err = autobee__system_record(system, key, space);
  *out = err == 0 ? space : NULL;
  return err == AB_ENOTFOUND ? 0 : err;
}

int
autobee__system_peek (system_t *system, const ab_key_t *key, record_writer_t *out) {
  int err = autobee__system_record(system, key, out);
  if (err < 0 && err != AB_ENOTFOUND) return err;
  const system_update_t *update = update_of(system, key);
  if (update == NULL) return err;
  if (err == AB_ENOTFOUND) memset(out, 0, sizeof(*out));
  if (update->is_removed) out->is_removed = true; /* or-ed: a pending re-add does not clear it */
  if (update->max_weight >= 0) {
    out->max_weight = (uint64_t) update->max_weight;
    out->is_genesis = update->is_genesis;
  }
  if (update->weight >= 0) out->weight = (uint64_t) update->weight;
  if (update->length > out->length) out->length = update->length;
  if (update->is_anchor) out->is_anchor = true;
  return 0;
}

int
autobee__system_has (system_t *system, const ab_head_t *link, bool *has) {
  for (size_t i = 0; i < system->head_count; i++) {
    if (!ab_key_equal(&system->heads[i].key, &link->key)) continue;
    *has = system->heads[i].length >= link->length;
    return 0;
  }
  record_writer_t record;
  int err = autobee__system_record(system, &link->key, &record);
  if (err < 0 && err != AB_ENOTFOUND) return err;
  *has = err == 0 && record.length >= link->length;
  return 0;
}

/* ---- pending changes ---- */

void
autobee__system_reset (system_t *system) {
  for (size_t i = 0; i < system->update_count; i++) {
    autobee__keymap_del(&system->index, &system->updates[i].key);
  }
  system->update_count = 0;
  system->change_count = 0;
  system->grant_count = 0;
}

system_update_t
autobee__system_change (const ab_key_t *key, uint64_t length) {
  system_update_t change = {
    .key = *key, .length = length, .weight = -1, .max_weight = -1, .timestamp_ms = -1};
  return change;
}

static system_change_t *
change_of (const system_t *system, const ab_key_t *key) {
  for (size_t i = 0; i < system->change_count; i++) {
    if (ab_key_equal(&system->changes[i].key, key)) return &system->changes[i];
  }
  return NULL;
}

static int
note_change (system_t *system, const system_update_t *change) {
  system_change_t *known = change_of(system, &change->key);
  if (known == NULL) {
    int err = reserve_changes(system, system->change_count + 1);
    if (err < 0) return err;
    known = &system->changes[system->change_count++];
    known->key = change->key;
  }
  known->is_added = change->is_added;
  known->is_anchor = change->is_anchor;
  return 0;
}

int
autobee__system_touch (system_t *system, const system_update_t *change) {
  int err;
  if (change->is_added || change->is_removed) {
    if ((err = note_change(system, change)) < 0) return err;
  }

  system_update_t *update = update_of(system, &change->key);
  if (update == NULL) {
    if ((err = reserve_updates(system, system->update_count + 1)) < 0) return err;
    void *number = (void *) (uintptr_t) (system->update_count + 1);
    if ((err = autobee__keymap_put(&system->index, &change->key, number)) < 0) return err;
    update = &system->updates[system->update_count++];
    *update = autobee__system_change(&change->key, 0);
  }

  if (change->weight > update->weight) update->weight = change->weight;
  if (change->max_weight >= 0) {
    update->max_weight = change->max_weight;
    update->is_genesis = change->is_genesis;
  }
  if (change->is_anchor) update->is_anchor = true;
  if (change->is_added) {
    update->is_added = true;
    update->is_removed = false;
  }
  if (change->is_removed) {
    update->is_removed = true;
    update->is_added = false;
  }
  if (change->length > update->length) update->length = change->length;
  if (change->timestamp_ms >= 0 && update->timestamp_ms < 0) update->timestamp_ms = change->timestamp_ms;
  if (change->needs_witness) update->needs_witness = true;
  return 0;
}

int
autobee__system_add_writer (system_t *system, const ab_key_t *key, uint64_t weight, bool is_genesis) {
  record_writer_t record;
  int err = autobee__system_peek(system, key, &record);
  if (err < 0 && err != AB_ENOTFOUND) return err;
  bool exists = err == 0;
  system_update_t change = autobee__system_change(key, exists ? record.length : 0);
  change.is_added = true;
  if (weight <= (exists ? record.max_weight : 0)) {
    if (exists && !record.is_removed) return 0;
    return autobee__system_touch(system, &change);
  }
  change.needs_witness = true;
  change.max_weight = (int64_t) weight;
  change.is_genesis = is_genesis;
  if (is_genesis) change.weight = (int64_t) weight;
  return autobee__system_touch(system, &change);
}

int
autobee__system_remove_writer (system_t *system, const ab_key_t *key) {
  record_writer_t record;
  int err = autobee__system_peek(system, key, &record);
  if (err < 0 && err != AB_ENOTFOUND) return err;
  system_update_t change = autobee__system_change(key, err == 0 ? record.length : 0);
  change.is_removed = true;
  change.max_weight = 0;
  return autobee__system_touch(system, &change);
}

int
autobee__system_ack_writer (system_t *system, const ab_key_t *key) {
  record_writer_t record;
  int err = autobee__system_record(system, key, &record);
  if (err < 0 && err != AB_ENOTFOUND) return err;
  system_update_t change = autobee__system_change(key, err == 0 ? record.length : 0);
  return autobee__system_touch(system, &change);
}

/* ---- a batch ---- */

static bool
covers (const node_t *node, const ab_key_t *writer, const ab_head_t *head) {
  if (node->length >= head->length && ab_key_equal(writer, &head->key)) return true;
  for (size_t i = 0; i < node->message.link_count; i++) {
    const ab_head_t *link = &node->message.links[i];
    if (link->length >= head->length && ab_key_equal(&link->key, &head->key)) return true;
  }
  return false;
}

int
autobee__system_start (system_t *system, const batch_t *batch) {
  int err = reserve_heads(system, system->head_count + 1);
  if (err < 0) return err;
  for (size_t i = 0; i < batch->count; i++) {
    const node_t *node = &batch->nodes[i];
    size_t kept = 0;
    for (size_t k = 0; k < system->head_count; k++) {
      if (!covers(node, &batch->writer, &system->heads[k])) system->heads[kept++] = system->heads[k];
    }
    system->heads[kept].key = batch->writer;
    system->heads[kept].length = node->length;
    system->head_count = kept + 1;
    if ((err = reserve_heads(system, system->head_count + 1)) < 0) return err;

    if (node->timestamp_ms > system->timestamp_ms) system->timestamp_ms = node->timestamp_ms;
    system_update_t change = autobee__system_change(&batch->writer, node->length);
    change.weight = (int64_t) batch->weight;
    change.timestamp_ms = (int64_t) node->timestamp_ms;
    if ((err = autobee__system_touch(system, &change)) < 0) return err;
  }
  return 0;
}

int
autobee__system_can_apply (system_t *system, const ab_key_t *key, bool optimistic, bool *can) {
  const system_change_t *change = change_of(system, key);
  if (change != NULL) {
    *can = change->is_added;
    return 0;
  }
  record_writer_t record;
  int err = autobee__system_record(system, key, &record);
  if (err < 0 && err != AB_ENOTFOUND) return err;
  *can = err == 0 ? !record.is_removed : optimistic;
  return 0;
}

static int
put_record (system_t *system, bee_batch_t *batch, const ab_key_t *key, const record_writer_t *record) {
  uint8_t
    bytes[RECORD_INDEXER_KEY_LEN > RECORD_WRITER_KEY_LEN ? RECORD_INDEXER_KEY_LEN : RECORD_WRITER_KEY_LEN];
  ab_buf_reset(&system->scratch);
  autobee__record_writer_encode(&system->scratch, record);
  if (system->scratch.err < 0) return system->scratch.err;
  ab_slice_t name = autobee__record_writer_key(bytes, key);
  int err = bee_batch_put(batch, name, ab_buf_slice(&system->scratch));
  if (err < 0 || !record->is_removed) return err;
  return bee_batch_del(batch, autobee__record_indexer_key(bytes, key));
}

static record_writer_t
merged (const system_t *system, const system_update_t *update, const record_writer_t *old, bool is_oplog) {
  record_writer_t record = {
    .weight = update->weight >= 0 ? (uint64_t) update->weight : old->weight,
    .max_weight = update->max_weight >= 0 ? (uint64_t) update->max_weight : old->max_weight,
    .is_genesis = update->max_weight >= 0 ? update->is_genesis : old->is_genesis,
    .length = update->length > old->length ? update->length : old->length,
    .clock = system->flushes,
    .timestamp_ms = is_oplog ? update->timestamp_ms : -1,
    .is_removed = update->is_removed || (!update->is_added && old->is_removed),
    .is_oplog = is_oplog,
    .is_anchor = update->is_anchor || old->is_anchor};
  return record;
}

static int
put_info (system_t *system, bee_batch_t *batch, const ab_head_t *view) {
  record_info_t info = {
    .timestamp_ms = system->timestamp_ms,
    .flushes = system->flushes + 1,
    .view = *view,
    .heads = system->heads,
    .head_count = system->head_count};
  ab_buf_reset(&system->scratch);
  autobee__record_info_encode(&system->scratch, &info);
  if (system->scratch.err < 0) return system->scratch.err;
  return bee_batch_put(batch, autobee__record_info_key(), ab_buf_slice(&system->scratch));
}

int
autobee__system_flush (
  system_t *system, const ab_key_t *writer, const ab_head_t *view, record_writer_t *recorded
) {
  bee_batch_t *batch;
  int err = bee_batch_begin(system->bee, NULL, &batch);
  if (err < 0) return err;

  for (size_t i = 0; i < system->update_count; i++) {
    const system_update_t *update = &system->updates[i];
    record_writer_t old;
    err = autobee__system_record(system, &update->key, &old);
    if (err < 0 && err != AB_ENOTFOUND) goto fail;
    if (err == AB_ENOTFOUND) {
      memset(&old, 0, sizeof(old));
      old.timestamp_ms = -1;
    }

    bool is_oplog = ab_key_equal(&update->key, writer);
    record_writer_t record = merged(system, update, &old, is_oplog);
    if (is_oplog) *recorded = record;
    if ((err = put_record(system, batch, &update->key, &record)) < 0) goto fail;
    if (update->needs_witness) {
      if ((err = reserve_grants(system, system->grant_count + 1)) < 0) goto fail;
      system->grants[system->grant_count].key = update->key;
      system->grants[system->grant_count++].weight = record.max_weight;
    }
  }
  if ((err = put_info(system, batch, view)) < 0) goto fail;
  if ((err = bee_batch_flush(batch, NULL)) < 0) goto fail;

  /* written: the records again, now as they are stored; the cache may forget some, but never keeps an old one
   */
  for (size_t i = 0; i < system->update_count; i++) {
    const system_update_t *update = &system->updates[i];
    cached_t *cached = autobee__keymap_get(&system->records, &update->key);
    if (cached == NULL) continue;
    record_writer_t old = cached->record;
    if (!cached->is_present) {
      memset(&old, 0, sizeof(old));
      old.timestamp_ms = -1;
    }
    cached->record = merged(system, update, &old, ab_key_equal(&update->key, writer));
    cached->is_present = true;
  }
  for (size_t i = 0; i < system->update_count; i++) {
    autobee__keymap_del(&system->index, &system->updates[i].key);
  }
  system->update_count = 0;
  system->flushes++;
  system->version++;
  system->view = *view;
  bee_head(system->bee, &system->head);
  return 0;

fail:
  bee_batch_abort(batch);
  system->grant_count = 0;
  return err;
}

int
autobee__system_records (
  bee_t *bee,
  const ab_key_t *first,
  int (*each)(void *data, const ab_key_t *writer, const record_writer_t *record),
  void *data
) {
  static const ab_key_t lowest = {{0}};
  static const uint8_t upper[] = {1, 1};
  uint8_t lower[RECORD_WRITER_KEY_LEN];
  bee_range_t range = {
    .lower = autobee__record_writer_key(lower, first == NULL ? &lowest : first),
    .upper = ab_slice(upper, sizeof(upper)),
    .has_lower = true,
    .has_upper = true,
    .upper_open = true};
  bee_cursor_t *cursor;
  bee_entry_t entry;
  int err = bee_cursor_open(bee, &range, &cursor);
  if (err < 0) return err;
  while ((err = bee_cursor_next(cursor, &entry)) == 0) {
    ab_key_t key;
    record_writer_t record;
    if (!entry.has_value || !autobee__record_is_writer_key(entry.key, &key)) continue;
    if ((err = autobee__record_writer_decode(entry.value, &record)) < 0) break;
    if ((err = each(data, &key, &record)) != 0) break;
  }
  bee_cursor_close(cursor);
  return err == AB_EEND ? 0 : err;
}

/* ---- history ---- */

typedef struct {
  system_flush_t *out;
  size_t found;
  size_t records;
  int err;
} history_t;

static int
see_key (void *data, ab_slice_t key, ab_slice_t value, bool has_value) {
  history_t *history = data;
  ab_key_t writer;
  if (!has_value || !autobee__record_is_writer_key(key, &writer)) return 0;
  record_writer_t record;
  if ((history->err = autobee__record_writer_decode(value, &record)) < 0) return 1;
  history->records++;
  if (!record.is_oplog) return 0;
  history->out->writer = writer;
  history->out->record = record;
  history->found++;
  return 0;
}

int
autobee__system_history (system_t *system, const ab_head_t *head, system_flush_t *out) {
  history_t history = {.out = out};
  bee_change_t change;
  memset(out, 0, sizeof(*out));
  int err = bee_change(system->bee, head, &change, see_key, &history);
  if (err < 0) return err;
  if (history.err < 0) return history.err;
  if (history.found != 1) return AB_ECORRUPT;
  out->before = change.previous;
  out->is_plain = history.records == 1 && !out->record.is_removed;
  return 0;
}

typedef struct {
  int (*each)(void *data, const ab_key_t *writer, const record_writer_t *record);
  void *data;
  int result;
} recorded_t;

static int
see_recorded (void *data, ab_slice_t key, ab_slice_t value, bool has_value) {
  recorded_t *recorded = data;
  ab_key_t writer;
  record_writer_t record;
  if (!has_value || !autobee__record_is_writer_key(key, &writer)) return 0;
  recorded->result = autobee__record_writer_decode(value, &record);
  if (recorded->result == 0) recorded->result = recorded->each(recorded->data, &writer, &record);
  return recorded->result != 0;
}

int
autobee__system_recorded (
  system_t *system,
  const ab_head_t *head,
  int (*each)(void *data, const ab_key_t *writer, const record_writer_t *record),
  void *data
) {
  recorded_t recorded = {each, data, 0};
  bee_change_t change;
  int err = bee_change(system->bee, head, &change, see_recorded, &recorded);
  return err < 0 ? err : recorded.result;
}

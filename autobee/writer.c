#include "autobee/writer.h"

#include "autobee/append.h"
#include "autobee/cores.h"
#include "autobee/grow.h"
#include "autobee/merge.h"
#include "autobee/replicate.h"
#include "autobee/testimony.h"

#include <assert.h>

#define NODES_MAX AUTOBEE_BATCH_MAX
#define OPTIMISTIC_END 32 /* nodes behind the first, of an unknown writer */

static void
core_changed (void *data, hypercore_t *core) {
  writer_t *writer = data;
  autobee_t *db = writer->db;
  (void) core;
  if (writer == db->local) return;
  if (writer->is_attached && !writer->is_waiting) autobee__writer_pend(writer);
  db->has_arrivals = db->forward.has_news = true;
  db->arrivals++;
  db->is_bumped = true;
}

writer_t *
autobee__writer_find (const autobee_t *db, const ab_key_t *key) {
  return autobee__keymap_get(&db->writers, key);
}

/* ---- lists ---- */

static int
list_reserve (writer_list_t *list, size_t count) {
  writer_t **writers = grown(list->writers, &list->capacity, count, sizeof(writer_t *));
  if (writers == NULL) return AB_ENOMEM;
  list->writers = writers;
  return 0;
}

void
autobee__writer_pend (writer_t *writer) {
  if (writer->is_pending) return;
  writer_list_t *pending = &writer->db->pending;
  assert(pending->count < pending->capacity); /* room was made when it was opened */
  writer->is_pending = true;
  pending->writers[pending->count++] = writer;
}

void
autobee__writer_unpeek (writer_t *writer) {
  autobee__batch_release(writer->peeked);
  writer->peeked = NULL;
}

void
autobee__writer_unpend (writer_t *writer) {
  autobee__writer_unpeek(writer);
  if (!writer->is_pending) return;
  writer->is_pending = false;
  writer_list_t *pending = &writer->db->pending;
  size_t i = 0;
  while (pending->writers[i] != writer) i++;
  pending->writers[i] = pending->writers[--pending->count]; /* the last one moves into its place */
}

int
autobee__pending_each (autobee_t *db, int (*each)(autobee_t *db, writer_t *writer)) {
  size_t count = db->pending.count;
  if (count == 0) return 0;
  writer_t **copy = malloc(count * sizeof(*copy));
  if (copy == NULL) return AB_ENOMEM;
  memcpy(copy, db->pending.writers, count * sizeof(*copy));
  int err = 0;
  for (size_t i = 0; i < count && err == 0; i++) err = each(db, copy[i]);
  free(copy);
  return err;
}

/* ---- waiting ---- */

static int
wait_for (writer_t *writer, const ab_head_t *node) {
  autobee_t *db = writer->db;
  assert(!writer->is_waiting);
  writer_list_t *list = autobee__keymap_get(&db->waits, &node->key);
  if (list == NULL) {
    if ((list = calloc(1, sizeof(*list))) == NULL) return AB_ENOMEM;
    if (autobee__keymap_put(&db->waits, &node->key, list) < 0) {
      free(list);
      return AB_ENOMEM;
    }
  }
  if (list_reserve(list, list->count + 1) < 0) {
    if (list->count == 0) {
      autobee__keymap_del(&db->waits, &node->key);
      free(list);
    }
    return AB_ENOMEM;
  }
  writer->is_waiting = true;
  writer->waiting = *node;
  writer->wait_index = list->count;
  list->writers[list->count++] = writer;
  return 0;
}

void
autobee__writer_unwait (writer_t *writer) {
  if (!writer->is_waiting) return;
  writer->is_waiting = false;
  keymap_t *waits = &writer->db->waits;
  writer_list_t *list = autobee__keymap_get(waits, &writer->waiting.key);
  writer_t *last = list->writers[--list->count];
  if (last != writer) {
    list->writers[writer->wait_index] = last;
    last->wait_index = writer->wait_index;
  }
  if (list->count > 0) return;
  autobee__keymap_del(waits, &writer->waiting.key);
  free(list->writers);
  free(list);
}

void
autobee__writers_wake (autobee_t *db, const ab_key_t *key, uint64_t length) {
  const writer_list_t *list = autobee__keymap_get(&db->waits, key);
  if (list == NULL) return;
  for (size_t i = list->count; i > 0; i--) {
    writer_t *writer = list->writers[i - 1];
    if (writer->waiting.length > length) continue;
    bool last = list->count == 1; /* then the list goes with it */
    autobee__writer_unwait(writer);
    if (writer->is_attached) autobee__writer_pend(writer);
    db->is_bumped = true;
    if (last) return;
  }
}

/* ---- opening and closing ---- */

int
autobee__writer_core (autobee_t *db, const ab_key_t *key, hypercore_t **out) {
  hypercore_options_t options = hypercore_options_default();
  options.key = key;
  options.group = &db->discovery_key;
  int err = hypercore_open(db->store, &options, out);
  if (err < 0) return err;
  err = autobee__set_user_data(*out, "referrer", ab_key_slice(&db->key));
  if (err < 0) {
    hypercore_close(*out);
    *out = NULL;
  }
  return err;
}

int
autobee__writer_new (autobee_t *db, const ab_key_t *key, hypercore_t *core, writer_t **out) {
  writer_t *writer = NULL;
  int err = list_reserve(&db->pending, db->pending.count + db->attached.count + 2);
  if (err == 0 && (writer = calloc(1, sizeof(*writer))) == NULL) err = AB_ENOMEM;
  if (err == 0 && core == NULL) err = autobee__writer_core(db, key, &core);
  if (err < 0) {
    if (core != NULL) hypercore_close(core);
    free(writer);
    return err;
  }
  writer->db = db;
  writer->key = *key;
  writer->core = core;
  writer->listener.changed = core_changed;
  writer->listener.data = writer;
  hypercore_listen(core, &writer->listener);
  *out = writer;
  return 0;
}

int
autobee__writer_follow (writer_t *writer) {
  autobee_t *db = writer->db;
  if (writer->is_attached) return 0;
  int err = list_reserve(&db->attached, db->attached.count + 1);
  if (err < 0) return err;
  if ((err = list_reserve(&db->pending, db->attached.count + 3)) < 0) return err;
  if ((err = autobee__keymap_put(&db->writers, &writer->key, writer)) < 0) return err;
  writer->is_attached = true;
  db->attached.writers[db->attached.count++] = writer;
  autobee__writer_pend(writer);
  if ((err = autobee__replicate_attached(db, writer)) < 0) {
    autobee__writer_detach(writer);
    return err;
  }

  autobee_event_t event = {
    .kind = AUTOBEE_EVENT_WRITER, .node = {writer->key, hypercore_length(writer->core)}};
  autobee__event(db, &event, NULL);
  return 0;
}

int
autobee__writer_attach (autobee_t *db, const ab_key_t *key, hypercore_t *core, writer_t **out) {
  writer_t *writer = autobee__writer_find(db, key);
  if (writer != NULL) {
    if (core != NULL) hypercore_close(core);
    if (out != NULL) *out = writer;
    return 0;
  }
  int err = autobee__writer_new(db, key, core, &writer);
  if (err < 0) return err;
  if (ab_key_equal(key, &db->key)) writer->is_bootstrap = true;
  if ((err = autobee__writer_follow(writer)) < 0) {
    autobee__writer_close(writer);
    return err;
  }
  if (out != NULL) *out = writer;
  return 0;
}

void
autobee__writer_detach (writer_t *writer) {
  autobee_t *db = writer->db;
  if (!writer->is_attached) return;
  autobee__replicate_detached(db, writer);
  writer->is_attached = false;
  autobee__keymap_del(&db->writers, &writer->key);
  size_t i = 0;
  while (db->attached.writers[i] != writer) i++;
  db->attached.count--;
  memmove(
    &db->attached.writers[i], &db->attached.writers[i + 1], (db->attached.count - i) * sizeof(writer_t *)
  );
  autobee__writer_unpend(writer);
}

void
autobee__writer_close (writer_t *writer) {
  autobee_t *db = writer->db;
  if (writer->core == NULL) return;
  autobee__writer_detach(writer);
  autobee__writer_unwait(writer);
  autobee__writer_unpend(writer);
  if (db->run.writer == writer) db->run.writer = NULL;
  hypercore_unlisten(&writer->listener);
  hypercore_close(writer->core);
  writer->core = NULL;
  writer->next_closed = db->closed;
  db->closed = writer;
}

void
autobee__writers_sweep (autobee_t *db) {
  while (db->closed != NULL) {
    writer_t *writer = db->closed;
    db->closed = writer->next_closed;
    free(writer);
  }
}

void
autobee__writers_destroy (autobee_t *db) {
  while (db->attached.count > 0) {
    writer_t *writer = db->attached.writers[db->attached.count - 1];
    if (writer == db->local) autobee__writer_detach(writer);
    else autobee__writer_close(writer);
  }
}

/* ---- looking at one ---- */

static void
set_writable (autobee_t *db, bool is_writable) {
  if (db->is_writable == is_writable || db->reindex.is_active) return;
  db->is_writable = is_writable;
  autobee_event_t event = {
    .kind = is_writable ? AUTOBEE_EVENT_WRITABLE : AUTOBEE_EVENT_UNWRITABLE, .node = {.key = db->local->key}};
  autobee__event(db, &event, NULL);
}

int
autobee__writer_refresh (writer_t *writer, uint64_t *length) {
  autobee_t *db = writer->db;
  record_writer_t record;
  int err = autobee__system_record(&db->system, &writer->key, &record);
  if (err < 0 && err != AB_ENOTFOUND) return err;
  if (length != NULL) *length = err == 0 ? record.length : 0;

  if (err == AB_ENOTFOUND) {
    writer->is_added = ab_key_equal(&writer->key, &db->key);
    writer->is_removed = false;
  } else if (record.is_anchor && writer != db->local) {
    autobee__writer_close(writer);
    return 0;
  } else {
    writer->is_added = true;
    writer->is_removed = record.is_removed;
    writer->max_weight = record.max_weight;
    if (record.length > hypercore_length(writer->core) && hypercore_fork(writer->core) > 0) {
      writer->is_frozen = true; /* cut below what is recorded */
    }
  }
  if (writer == db->local) set_writable(db, writer->is_added && !writer->is_removed);
  return 0;
}

/* Is everything `node` was written on top of applied, or will it be at the end of the run? If not, the writer
 * waits for it. */
static int
present_or_wait (writer_t *writer, const node_t *node, bool *present) {
  autobee_t *db = writer->db;
  const ab_head_t *base;
  for (size_t i = 0; (base = oplog_base(&node->message, i)) != NULL; i++) {
    int err = autobee__system_has(&db->system, base, present);
    if (err < 0) return err;
    if (*present || autobee__merge_redoes(db, base)) continue;
    if ((err = wait_for(writer, base)) < 0) return err;
    return autobee__writers_hint(db, &base->key, base->length);
  }
  *present = true;
  return 0;
}

int
autobee__writer_message (hypercore_t *core, uint64_t index, ab_arena_t *arena, oplog_message_t *out) {
  ab_slice_t block;
  int err = hypercore_get(core, index, &block);
  return err < 0 ? err : autobee__oplog_decode(block, arena, out);
}

/* A stranger's node as a writer links what it was granted by, which nobody else may tell of. No other
 * stranger is left for it, so crafted logs that lead to each other come to an end. */
static int
follow_links (autobee_t *db, const oplog_message_t *message) {
  int err = 0;
  for (size_t i = 0; i < message->link_count && err == 0; i++) {
    if (db->attached.count >= ENGINE_UNKNOWN_MAX || db->options.conformance) break;
    err = autobee__writers_hint(db, &message->links[i].key, message->links[i].length);
  }
  return err;
}

static bool
is_early (writer_t *writer, uint64_t timestamp_ms) {
  autobee_t *db = writer->db;
  if (timestamp_ms <= AUTOBEE_DRIFT_MS) return false;
  uint64_t due = timestamp_ms - AUTOBEE_DRIFT_MS;
  if (due <= autobee__now(db)) return false;
  if (due < db->retry_at_ms) db->retry_at_ms = due;
  return true;
}

static int
take_stored (writer_t *writer, uint64_t *length, batch_t **out, bool *is_done) {
  autobee_t *db = writer->db;
  bool genesis = db->system.head.length == 0;
  batch_t *batch = autobee__batch_new(&writer->key);
  if (batch == NULL) return AB_ENOMEM;

  int err = 0;
  *is_done = true;
  while (*length < hypercore_length(writer->core)) {
    ab_slice_t block;
    err = autobee__writer_cipher(db, writer->core, &writer->has_cipher);
    if (err == 0) err = hypercore_get(writer->core, *length, &block);
    if (err == AB_EREMOTE) {
      autobee__writer_unpend(writer); /* its arrival puts it back */
      err = 0;
      goto none;
    }
    if (err == 0) err = autobee__batch_decode(batch, block, ++*length);
    if (err == AB_ECORRUPT || err == AB_EVERSION || err == AB_ENOTSUP) {
      writer->is_frozen = true;
      autobee__writer_unpend(writer);
      err = 0;
      goto none;
    }
    if (err < 0) goto none;

    node_t *node = &batch->nodes[batch->count - 1];
    if (writer == db->local && writer->is_added && !writer->is_removed) node->optimistic = false;
    if (!writer->is_added && !node->optimistic && !genesis) {
      err = follow_links(db, &node->message);
      goto none;
    }
    if (node->optimistic && genesis) goto none;
    if (node->optimistic && !writer->is_added && node->message.batch_end >= OPTIMISTIC_END) goto none;
    if (is_early(writer, node->timestamp_ms)) goto none;
    bool present;
    if ((err = present_or_wait(writer, node, &present)) < 0) goto none;
    if (!present) {
      autobee__writer_unpend(writer);
      goto none;
    }
    if (writer != db->local && (err = autobee__testimony_collect(db, writer->core, node)) < 0) goto none;
    if (node->message.batch_end == 0) {
      *out = batch;
      return 0;
    }
    if (batch->count >= NODES_MAX) goto none;
  }
  *is_done = false;

none:
  autobee__batch_release(batch);
  return err;
}

static int
take_queued (writer_t *writer, uint64_t length, batch_t **out) {
  autobee_t *db = writer->db;
  batch_t *batch = db->queue;
  while (batch != NULL && batch->is_captured && (batch->is_taken || batch_last(batch)->length <= length)) {
    batch->is_taken = true;
    batch = batch->next;
  }
  if (batch == NULL || !batch->is_captured) {
    autobee__writer_unpend(writer);
    return 0;
  }

  const node_t *first = batch_first(batch);
  if (first->optimistic) {
    if (db->system.head.length == 0) return 0;
    if (!writer->is_added && db->queue_nodes >= OPTIMISTIC_END) return 0;
  } else if (!db->is_writable) {
    autobee__queue_fail(db, AB_ENOTWRITABLE);
    autobee__writer_unpend(writer);
    return 0;
  }
  if (is_early(writer, first->timestamp_ms)) return 0;
  bool present;
  int err = present_or_wait(writer, first, &present);
  if (err < 0 || !present) return err;

  batch->is_taken = true;
  if (batch->next == NULL) autobee__writer_unpend(writer);
  *out = autobee__batch_retain(batch);
  return 0;
}

int
autobee__writer_take (writer_t *writer, batch_t **out) {
  autobee_t *db = writer->db;
  *out = NULL;
  if (writer->is_waiting || writer->is_frozen || writer->is_parked) return 0;

  uint64_t length;
  int err = autobee__writer_refresh(writer, &length);
  if (err < 0 || writer->core == NULL) return err;
  if (writer->is_frozen) {
    autobee__writer_unpend(writer);
    return 0;
  }
  bool is_done = false;
  if (length < hypercore_length(writer->core)) {
    if ((err = take_stored(writer, &length, out, &is_done)) < 0 || is_done) return err;
  }
  return writer == db->local && db->queue != NULL ? take_queued(writer, length, out) : 0;
}

/* ---- all of them ---- */

/* Announcements are not authenticated: of writers without a record only so many are followed. */
static int
bound_unknown (autobee_t *db) {
  if (db->attached.count < ENGINE_UNKNOWN_MAX) return 0;
  size_t unknown = 0;
  writer_t *oldest = NULL;
  for (size_t i = 0; i < db->attached.count; i++) {
    writer_t *writer = db->attached.writers[i];
    if (writer == db->local || writer->is_bootstrap || writer->is_waiting || writer->peeked != NULL) continue;
    record_writer_t record;
    int err = autobee__system_record(&db->system, &writer->key, &record);
    if (err < 0 && err != AB_ENOTFOUND) return err;
    if (err == 0) continue;
    unknown++;
    if (oldest == NULL) oldest = writer;
  }
  if (unknown >= ENGINE_UNKNOWN_MAX) autobee__writer_close(oldest);
  return 0;
}

int
autobee__writers_hint (autobee_t *db, const ab_key_t *key, uint64_t length) {
  if (ab_key_equal(key, &db->local->key)) return 0;
  writer_t *writer = autobee__writer_find(db, key);
  if (writer != NULL && length > 0 && writer->hinted >= length) return 0;
  if (writer == NULL) {
    record_writer_t record;
    int err = autobee__system_record(&db->system, key, &record);
    if (err == AB_EREMOTE && db->attached.count >= ENGINE_UNKNOWN_MAX) return 0; /* announced again one day */
    if (err < 0 && err != AB_ENOTFOUND && err != AB_EREMOTE) return err;
    if (err == 0 && record.is_anchor) return 0;
    if (err == 0 && !db->options.conformance && length > 0 && record.length >= length) return 0; /* no news */
    if (err == AB_ENOTFOUND && (err = bound_unknown(db)) < 0) return err;
    if ((err = autobee__writer_attach(db, key, NULL, &writer)) < 0) return err;
  }
  if (length > writer->hinted) writer->hinted = length;
  db->is_bumped = true;
  return 0;
}

#define LEAD_MAX 64 /* nodes that are looked at */

int
autobee__writer_follow_lead (writer_t *writer) {
  autobee_t *db = writer->db;
  uint64_t index = writer->rejected_length, end = hypercore_length(writer->core);
  bool is_lead = false;
  int err = 0;
  if (end > index + LEAD_MAX) end = index + LEAD_MAX;
  for (; index < end && err == 0 && !is_lead; index++) {
    ab_arena_t arena = {0};
    oplog_message_t message;
    err = autobee__writer_message(writer->core, index, &arena, &message);
    is_lead = err == 0 && !message.optimistic;
    if (is_lead) err = follow_links(db, &message);
    ab_arena_destroy(&arena);
  }
  return err == AB_ENOMEM || err == AB_EIO ? err : 0;
}

static void
tell_frozen (writer_t *writer) {
  autobee_t *db = writer->db;
  record_writer_t record = {0};
  if (autobee__system_record(&db->system, &writer->key, &record) < 0) record.length = 0;
  autobee_event_t event = {.kind = AUTOBEE_EVENT_FROZEN, .node = {writer->key, record.length}};
  autobee__event(db, &event, "the log of a writer does not decode, or was cut");
}

/* Of indexers without news so many; those that were attached last, as those are that had some. */
static bool
stays (const writer_t *writer) {
  const autobee_t *db = writer->db;
  return writer->max_weight == 2 && (db->options.conformance || db->attached.count <= ENGINE_INDEXERS_MAX);
}

int
autobee__writers_refresh (autobee_t *db) {
  for (size_t i = 0; i < db->attached.count; i++) autobee__writer_unpeek(db->attached.writers[i]);
  int err = autobee__writer_refresh(db->local, NULL);
  if (err < 0 && err != AB_EREMOTE) return err;

  for (size_t i = 0; i < db->attached.count;) {
    writer_t *writer = db->attached.writers[i];
    if (writer->is_frozen && writer != db->local) {
      tell_frozen(writer);
      autobee__writer_close(writer);
      continue; /* the next one has moved to its place */
    }
    autobee__writer_unpend(writer);
    autobee__writer_unwait(writer);
    uint64_t length;
    err = autobee__writer_refresh(writer, &length);
    if (err == AB_EREMOTE) {
      writer->is_parked = true; /* its record is missing */
      i++;
      continue;
    }
    if (err < 0) return err;
    if (!writer->is_attached) continue;

    bool has_queue = writer == db->local && db->queue != NULL;
    bool is_partial = db->backfill.is_begun && hypercore_contiguous_length(writer->core) < length;
    if (length < hypercore_length(writer->core) || length < writer->hinted || has_queue) {
      autobee__writer_pend(writer);
      if (writer->is_added && writer->rejected_length > 0 && !db->options.conformance) {
        /* what was a stranger's is a writer's now; the original leaves it until something else comes */
        writer->rejected_length = 0;
        db->is_bumped = true;
      }
    } else if (!is_partial && writer != db->local && !writer->is_bootstrap && !stays(writer)) {
      autobee__writer_close(writer);
      continue;
    }
    i++;
  }
  return 0;
}

/* ---- over restarts ---- */

#define FOLLOWED "autobee/followed" /* ours: a zero, then keys of writers */

static bool
is_noted (const autobee_t *db, const writer_t *writer) {
  return writer != db->local && !writer->is_bootstrap;
}

int
autobee__writers_store (autobee_t *db) {
  ab_buf_t keys = {0};
  ab_write_uint(&keys, 0); /* nothing at all would not be stored */
  for (size_t i = 0; i < db->attached.count && keys.len < ENGINE_FOLLOWED_MAX * sizeof(ab_key_t); i++) {
    if (is_noted(db, db->attached.writers[i])) ab_write_key(&keys, &db->attached.writers[i]->key);
  }
  int err = keys.err;
  if (err == 0) err = autobee__set_user_data(db->local->core, FOLLOWED, ab_buf_slice(&keys));
  ab_buf_destroy(&keys);
  return err;
}

int
autobee__writers_load (autobee_t *db) {
  ab_slice_t stored;
  int err = hypercore_user_data(db->local->core, FOLLOWED, &stored);
  if (err < 0) return err;
  ab_buf_t keys = {0}; /* attaching may write, and then what was read is gone */
  ab_buf_append(&keys, stored);
  err = keys.err;
  ab_reader_t in = ab_reader(ab_buf_slice(&keys));
  (void) ab_read_uint(&in);
  while (err == 0 && (size_t) (in.end - in.at) >= sizeof(ab_key_t)) {
    ab_key_t key;
    ab_read_key(&in, &key);
    if (!ab_key_equal(&key, &db->local->key)) err = autobee__writer_attach(db, &key, NULL, NULL);
  }
  ab_buf_destroy(&keys);
  return err;
}

void
autobee__writers_unpark (autobee_t *db) {
  db->has_arrivals = false;
  for (size_t i = 0; i < db->attached.count; i++) {
    writer_t *writer = db->attached.writers[i];
    if (!writer->is_parked) continue;
    writer->is_parked = false;
    autobee__writer_pend(writer);
    db->is_bumped = true;
  }
}

/* ---- loading a batch again ---- */

int
autobee__batch_load (autobee_t *db, const ab_key_t *key, uint64_t last, batch_t **out) {
  writer_t *writer = ab_key_equal(key, &db->local->key) ? db->local : autobee__writer_find(db, key);
  if (writer == db->local && last > hypercore_length(writer->core)) {
    for (batch_t *queued = db->queue; queued != NULL && queued->is_captured; queued = queued->next) {
      if (batch_last(queued)->length != last) continue;
      *out = autobee__batch_retain(queued);
      return 0;
    }
    return AB_ECORRUPT;
  }

  hypercore_t *core = NULL;
  bool has_cipher = false;
  batch_t *batch = autobee__batch_new(key);
  if (batch == NULL) return AB_ENOMEM;
  int err = 0;
  if (writer != NULL) core = hypercore_retain(writer->core);
  else if ((err = autobee__writer_core(db, key, &core)) < 0) goto done;

  /* the last node says how many are before it */
  oplog_message_t message;
  if ((err = autobee__writer_cipher(db, core, writer == NULL ? &has_cipher : &writer->has_cipher)) < 0)
    goto done;
  if ((err = autobee__writer_message(core, last - 1, &batch->arena, &message)) < 0) goto done;
  if (message.batch_start >= last || message.batch_start >= NODES_MAX || message.batch_end > 0) {
    err = AB_ECORRUPT;
    goto done;
  }
  for (uint64_t length = last - message.batch_start; length <= last; length++) {
    ab_slice_t block;
    if ((err = hypercore_get(core, length - 1, &block)) < 0) goto done;
    if ((err = autobee__batch_decode(batch, block, length)) < 0) goto done;
  }

done:
  if (err == AB_EREMOTE && writer == NULL) {
    int kept = autobee__keep_core(db, core);
    if (kept < 0) err = kept;
  }
  if (core != NULL) hypercore_close(core);
  if (err < 0) autobee__batch_release(batch);
  else *out = batch;
  return err;
}

#include "autobee/append.h"

#include <stdlib.h>

#include "autobee/cores.h"
#include "autobee/grow.h"
#include "autobee/testimony.h"
#include "autobee/witness.h"
#include "autobee/writer.h"

#define BLOCK_MAX (15u << 20)
#define STAMP_SPARE (256u << 10) /* of a block, for what the flush adds: ranges and attestations */
#define SHORTEN_MIN_MS 1000
#define SHORTEN_SPREAD_MS 15000

/* ---- links, stamp, witness ---- */

/* The heads without the own key, in order. */
static int
own_links (autobee_t *db, ab_arena_t *arena, const ab_head_t **out, size_t *count) {
  const system_t *system = &db->system;
  *count = 0;
  *out = NULL;
  if (system->head_count == 0) return 0;
  ab_head_t *links = ab_arena_alloc(arena, system->head_count, sizeof(*links));
  if (links == NULL) return AB_ENOMEM;
  for (size_t i = 0; i < system->head_count; i++) {
    if (!ab_key_equal(&system->heads[i].key, &db->local->key)) links[(*count)++] = system->heads[i];
  }
  *out = links;
  return 0;
}

static int
capture (autobee_t *db, batch_t *batch) {
  oplog_message_t *first = &batch->nodes[0].message;
  int err = own_links(db, &batch->arena, &first->links, &first->link_count);
  if (err < 0) return err;
  if (first->has_value && (err = autobee__testimony_use(db, &batch->arena, first)) < 0) return err;
  uint64_t t = batch->now_ms > db->system.timestamp_ms ? batch->now_ms : db->system.timestamp_ms;
  bool optimistic = batch->wants_optimistic && !db->is_writable;
  for (size_t i = 0; i < batch->count; i++) {
    node_t *node = &batch->nodes[i];
    node->length = db->next_length++;
    node->timestamp_ms = node->message.timestamp_ms = t;
    node->optimistic = node->message.optimistic = optimistic;
  }
  batch->is_captured = true;
  autobee__writer_pend(db->local);
  return 0;
}

int
autobee__queue_capture (autobee_t *db) {
  if (db->reindex.is_active) return 0; /* the working state is not what they are written on */
  for (batch_t *batch = db->queue; batch != NULL; batch = batch->next) {
    if (batch->is_captured) continue;
    int err = capture(db, batch);
    if (err < 0) return err;
  }
  return 0;
}

/* ---- the queue ---- */

static void
enqueue (autobee_t *db, batch_t *batch) {
  *db->queue_end = batch;
  db->queue_end = &batch->next;
  db->queue_nodes += batch->count;
  db->queue_bytes += batch->bytes;
  db->is_bumped = true;
}

static batch_t *
dequeue (autobee_t *db) {
  batch_t *batch = db->queue;
  db->queue = batch->next;
  if (db->queue == NULL) db->queue_end = &db->queue;
  batch->next = NULL;
  db->queue_nodes -= batch->count;
  db->queue_bytes -= batch->bytes;
  return batch;
}

static batch_t *
new_local (autobee_t *db) {
  batch_t *batch = autobee__batch_new(&db->local->key);
  if (batch == NULL) return NULL;
  batch->is_queued = true;
  batch->now_ms = autobee__stamp_now(db);
  return batch;
}

static int
fill (batch_t *batch, const ab_slice_t *values, size_t count) {
  for (size_t i = 0; i < count; i++) {
    node_t *node = autobee__batch_add(batch);
    if (node == NULL) return AB_ENOMEM;
    oplog_message_t *message = &node->message;
    message->batch_start = i;
    message->batch_end = count - 1 - i;
    message->has_value = true;
    int err = ab_arena_copy(&batch->arena, values[i], &message->value);
    if (err < 0) return err;
    batch->bytes += values[i].len;
  }
  return 0;
}

static int
not_writable (autobee_t *db) {
  char key[AB_KEY_TEXT_LEN + 1], database[AB_KEY_TEXT_LEN + 1];
  ab_key_to_text(&db->local->key, key);
  ab_key_to_text(&db->key, database);
  const char *why = db->local->is_removed ? "was removed from" : "is not a writer of";
  return ab_store_fail(
    db->store, AB_ENOTWRITABLE, "%s %s database %s; ask a writer to add it", key, why, database
  );
}

/* Does an operation of a stranger that apply refused stand before the queue? It is offered first until the
 * stranger is granted. */
static bool
is_behind_refused (const autobee_t *db) {
  const writer_t *local = db->local;
  return local->rejected_length > 0 && !local->is_added && !db->options.conformance && !db->reindex.is_active;
}

static int
behind_refused (autobee_t *db) {
  char key[AB_KEY_TEXT_LEN + 1];
  ab_key_to_text(&db->local->key, key);
  return ab_store_fail(
    db->store,
    AB_ENOTWRITABLE,
    "apply refused operation %llu of writer %s, and nothing can follow it; %s before you append",
    (unsigned long long) db->local->rejected_length,
    key,
    db->options.stop_on_error /* granted, the refused one would stop everybody */
      ? "rotate to another key"
      : "an indexer has to grant this key (addWriter)"
  );
}

void
autobee__queue_refuse (autobee_t *db) {
  const batch_t *batch = db->queue;
  while (batch != NULL && batch->is_taken) batch = batch->next;
  if (batch != NULL && is_behind_refused(db)) autobee__queue_fail(db, behind_refused(db));
}

static int
check_limits (autobee_t *db, const ab_slice_t *values, size_t count, bool optimistic) {
  if (!db->is_writable && !optimistic) return not_writable(db);
  if (is_behind_refused(db) && db->local->rejected_version == db->system.version) return behind_refused(db);
  if (count > AUTOBEE_BATCH_MAX) {
    return ab_store_fail(
      db->store,
      AB_ETOOBIG,
      "%zu values in one append, at most %d are one batch; append several batches",
      count,
      AUTOBEE_BATCH_MAX
    );
  }
  size_t bytes = 0, largest = BLOCK_MAX - STAMP_SPARE - 48 * db->system.head_count;
  for (size_t i = 0; i < count; i++) {
    if (values[i].data == NULL && values[i].len > 0) return AB_EINVAL;
    if (values[i].len > largest) {
      return ab_store_fail(
        db->store,
        AB_ETOOBIG,
        "value %zu has %zu bytes, at most %zu fit into a block",
        i,
        values[i].len,
        largest
      );
    }
    bytes += values[i].len;
  }
  size_t limit = db->options.pending_bytes == 0 ? 64u << 20 : db->options.pending_bytes;
  if (db->queue != NULL && db->queue_bytes + bytes > limit) {
    return ab_store_fail(
      db->store,
      AB_EBUSY,
      "%zu bytes wait to be applied, with these %zu, at most %zu may; run the store first",
      db->queue_bytes,
      bytes,
      limit
    );
  }
  if (!optimistic || db->is_writable || db->options.conformance) return 0;

  record_writer_t record;
  int err = autobee__system_record(&db->system, &db->local->key, &record);
  if (err < 0 && err != AB_ENOTFOUND) return err;
  if (err == AB_ENOTFOUND && db->queue_nodes + count > AUTOBEE_OPTIMISTIC_BATCH_MAX) {
    return ab_store_fail(
      db->store,
      AB_ETOOBIG,
      "%zu values would wait; at most %d of a writer that was not added",
      db->queue_nodes + count,
      AUTOBEE_OPTIMISTIC_BATCH_MAX
    );
  }
  return 0;
}

int
autobee__queue_values (
  autobee_t *db, autobee_append_t *req, const ab_slice_t *values, size_t count, bool optimistic, batch_t **out
) {
  int err = check_limits(db, values, count, optimistic);
  if (err < 0) return err;
  batch_t *batch = new_local(db);
  if (batch == NULL) return AB_ENOMEM;
  batch->req = req;
  batch->wants_optimistic = optimistic;
  if ((err = fill(batch, values, count)) < 0) goto fail;
  bool is_captured = !db->run.is_active && !db->reindex.is_active; /* else it is captured later */
  if (is_captured && (err = capture(db, batch)) < 0) goto fail;
  enqueue(db, batch);
  db->appends++;
  if (out != NULL) *out = batch;
  return 0;

fail:
  autobee__batch_release(batch);
  return err;
}

/* A node without a value that links `heads`. */
static int
queue_null (autobee_t *db) {
  batch_t *batch = new_local(db);
  if (batch == NULL) return AB_ENOMEM;
  node_t *node = autobee__batch_add(batch);
  int err = node == NULL ? AB_ENOMEM : capture(db, batch);
  if (err < 0) {
    autobee__batch_release(batch);
    return err;
  }
  enqueue(db, batch);
  return 0;
}

/* The length last acknowledged for `key`; set to a larger one. */
static bool
acknowledge (autobee_t *db, const ab_head_t *link, bool set) {
  size_t i = 0;
  while (i < db->acked_count && !ab_key_equal(&db->acked[i].key, &link->key)) i++;
  bool is_new = i == db->acked_count || db->acked[i].length < link->length;
  if (!set) return is_new;
  if (i == db->acked_count) {
    if (db->acked_count == ENGINE_ACKED_MAX) {
      memmove(db->acked, db->acked + 1, (ENGINE_ACKED_MAX - 1) * sizeof(*db->acked));
      i = --db->acked_count;
    }
    db->acked_count++;
  }
  db->acked[i] = *link;
  return is_new;
}

int
autobee__queue_acknowledge (autobee_t *db, bool *queued) {
  *queued = false;
  if (!db->owes_ack || !db->is_writable || db->queue != NULL || db->reindex.is_active) return 0;
  db->owes_ack = false;
  bool is_new = false;
  const system_t *system = &db->system;
  for (size_t i = 0; i < system->head_count; i++) {
    if (ab_key_equal(&system->heads[i].key, &db->local->key)) continue;
    if (acknowledge(db, &system->heads[i], false)) is_new = true;
  }
  if (!is_new) return 0;
  if (db->acked == NULL) {
    db->acked = malloc(ENGINE_ACKED_MAX * sizeof(*db->acked));
    if (db->acked == NULL) return AB_ENOMEM;
  }
  int err = queue_null(db);
  if (err < 0) return err;
  for (size_t i = 0; i < system->head_count; i++) {
    if (!ab_key_equal(&system->heads[i].key, &db->local->key)) acknowledge(db, &system->heads[i], true);
  }
  *queued = true;
  return 0;
}

int
autobee__queue_shorten_heads (autobee_t *db) {
  if (db->options.conformance || db->no_shortening || db->reindex.is_active) return 0;
  if (db->system.head_count < ENGINE_HEADS_HIGH || !db->is_writable || db->queue != NULL || !db->value_seen) {
    db->shorten_heads_at_ms = UINT64_MAX;
    return 0;
  }
  uint64_t now = autobee__now(db);
  if (db->shorten_heads_at_ms == UINT64_MAX) {
    const ab_env_t *env = ab_store_env(db->store);
    uint8_t bytes[2];
    env->random(env->data, bytes, sizeof(bytes));
    uint64_t spread = (uint64_t) (bytes[0] | bytes[1] << 8) * SHORTEN_SPREAD_MS >> 16;
    db->shorten_heads_at_ms = now + SHORTEN_MIN_MS + spread;
  }
  if (now < db->shorten_heads_at_ms) return 0;
  db->shorten_heads_at_ms = UINT64_MAX;
  db->value_seen = false; /* not again before a node with a value has come */
  return queue_null(db);
}

void
autobee__queue_fail (autobee_t *db, int status) {
  batch_t **at = &db->queue;
  while (*at != NULL && (*at)->is_taken) at = &(*at)->next;
  batch_t *dropped = *at;
  *at = NULL;
  db->queue_end = at;
  while (dropped != NULL) {
    batch_t *batch = dropped;
    dropped = batch->next;
    batch->next = NULL;
    db->queue_nodes -= batch->count;
    db->queue_bytes -= batch->bytes;
    if (batch->is_captured) db->next_length -= batch->count;
    if (batch->req != NULL) autobee__end(db, batch->req, status);
    autobee__batch_release(batch);
  }
}

void
autobee__queue_untake (autobee_t *db) {
  for (batch_t *batch = db->queue; batch != NULL; batch = batch->next) {
    batch->is_taken = batch->is_rejected = false;
  }
}

void
autobee__queue_drop (autobee_t *db, int status) {
  autobee__queue_untake(db);
  autobee__queue_fail(db, status);
}

/* ---- writing ---- */

void
autobee__stamp_mark (autobee_t *db) {
  db->system_start = hypercore_length(db->system_core);
  db->view_start = hypercore_length(db->view_core);
  db->system_blocks = db->view_blocks = 0;
  db->stamp_flushes = db->system.flushes;
}

static int
attest (autobee_t *db, uint64_t length, ab_arena_t *arena, oplog_message_t *message) {
  if (db->attestation_count == 0) return 0;
  const ab_key_pair_t *pair = hypercore_key_pair(db->local->core);
  oplog_attestation_t *list = ab_arena_alloc(arena, db->attestation_count, sizeof(*list));
  if (list == NULL) return AB_ENOMEM;
  if (pair == NULL) return 0;
  ab_head_t backer = {db->local->key, length};
  for (size_t i = 0; i < db->attestation_count; i++) {
    list[i].subject = db->attestations[i].key;
    list[i].weight = db->attestations[i].weight;
    autobee__witness_attest(&list[i], &backer, pair);
  }
  message->has_attestations = true;
  message->attestations = list;
  message->attestation_count = db->attestation_count;
  return 0;
}

/* What the last node of a flush carries. */
static int
stamp (autobee_t *db, const node_t *node, ab_arena_t *arena, oplog_message_t *message) {
  message->has_views = message->has_view_range = true;
  message->flushes = db->stamp_flushes;
  message->system.key = *hypercore_key(db->system_core);
  message->system.start = db->system_start;
  message->system.length = db->system_blocks;
  message->view.key = *hypercore_key(db->view_core);
  message->view.start = db->view_start;
  message->view.length = db->view_blocks;
  if (db->has_trusted) {
    oplog_trusted_t *trusted = ab_arena_alloc(arena, 1, sizeof(*trusted));
    if (trusted == NULL) return AB_ENOMEM;
    trusted->head = db->trusted;
    trusted->flushes = db->stamp_flushes;
    message->has_trusted = true;
    message->trusted = trusted;
    message->trusted_count = 1;
  }
  return attest(db, node->length, arena, message);
}

static int
write_blocks (autobee_t *db, size_t count) {
  ab_arena_t arena = {0};
  ab_buf_t bytes = {0};
  int err = AB_ENOMEM;
  size_t *ends = ab_arena_alloc(&arena, count, sizeof(*ends));
  ab_slice_t *blocks = ab_arena_alloc(&arena, count, sizeof(*blocks));
  if (ends == NULL || blocks == NULL) goto done;

  size_t n = 0;
  for (const batch_t *batch = db->queue; batch != NULL && batch->is_taken; batch = batch->next) {
    for (size_t i = 0; i < batch->count; i++, n++) {
      oplog_message_t message = batch->nodes[i].message;
      if (n + 1 < count) message.has_trusted = true; /* an empty list (T1) */
      else if ((err = stamp(db, &batch->nodes[i], &arena, &message)) < 0) goto done;
      autobee__oplog_encode(&bytes, &message);
      ends[n] = bytes.len;
    }
  }
  if ((err = bytes.err) < 0) goto done;
  for (size_t i = 0, start = 0; i < count; start = ends[i++]) {
    blocks[i] = ab_slice(bytes.data + start, ends[i] - start);
  }
  err = hypercore_append(db->local->core, blocks, count, NULL);

done:
  ab_arena_destroy(&arena);
  ab_buf_destroy(&bytes);
  return err;
}

int
autobee__queue_flush (autobee_t *db) {
  size_t count = 0;
  for (const batch_t *batch = db->queue; batch != NULL && batch->is_taken; batch = batch->next) {
    count += batch->count;
  }
  if (count == 0) return 0;
  int err = write_blocks(db, count);
  if (err < 0) return err;

  db->attestation_count = 0;
  while (db->queue != NULL && db->queue->is_taken) {
    batch_t *batch = dequeue(db);
    batch->is_queued = false;
    if (batch->req == NULL) {
      autobee__batch_release(batch);
      continue;
    }
    batch->req->position.key = batch->writer;
    batch->req->position.length = batch_last(batch)->length;
    *db->uncommitted_end = batch;
    db->uncommitted_end = &batch->next;
  }
  if (db->local->is_bootstrap) db->is_bumped = true; /* its core is in the group (10) */
  return 0;
}

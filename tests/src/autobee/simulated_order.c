#include "autobee/simulated_order.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "autobee/oplog.h"

#define ROUNDS_MAX 200

typedef enum { NOTHING, GRANT, REMOVAL } membership_t;

typedef struct {
  size_t writer;        /* number of the peer */
  uint64_t first, last; /* nodes */
  uint64_t weight;
  uint64_t stamps_ms[1024]; /* of its nodes; the first counts */
  oplog_message_t message;  /* the first */
  bool is_refused;          /* apply takes none of it */
  membership_t membership;
  size_t subject;
  uint64_t granted;

  uint64_t past[NET_HOSTS_MAX]; /* nodes of each log that it was written on top of */
  bool has_past;
  bool is_placed;
} batch_t;

typedef struct {
  bool exists, is_genesis;
  uint64_t length, weight, max_weight;
} record_t;

typedef struct {
  replica_t *peers;
  size_t count;
  ab_arena_t arena;
  batch_t **logs[NET_HOSTS_MAX]; /* of each node, its batch */
  uint64_t lengths[NET_HOSTS_MAX];
  bool is_member[NET_HOSTS_MAX];
  batch_t **batches; /* of members, as they compare */
  batch_t **order;
  size_t batch_count, placed;
} model_t;

static void *
need (void *data) {
  if (data == NULL) abort();
  return data;
}

/* ---- reading ---- */

static size_t
number_of (const model_t *model, const ab_key_t *key) {
  for (size_t i = 0; i < model->count; i++)
    if (ab_key_equal(&model->peers[i].writer, key)) return i;
  net_fail(model->peers->net, "a log names a writer that nobody is");
  return 0;
}

/* What the simulation writes, and no more. */
static void
read_value (model_t *model, batch_t *batch, ab_slice_t value) {
  char text[256], key_text[AB_KEY_TEXT_LEN + 1];
  ab_key_t key;
  const char *weight;
  snprintf(text, sizeof(text), "%.*s", (int) value.len, (const char *) value.data);
  if (strncmp(text, "{\"unheard of\"", 13) == 0) batch->is_refused = true;
  if (sscanf(text, "{\"addWriter\":\"%52[^\"]", key_text) == 1) batch->membership = GRANT;
  else if (sscanf(text, "{\"removeWriter\":\"%52[^\"]", key_text) == 1) batch->membership = REMOVAL;
  else return;
  if (ab_key_from_text(ab_text(key_text), &key) < 0) abort();
  batch->subject = number_of(model, &key);
  batch->granted = strstr(text, "\"isIndexer\":false") == NULL ? 2 : 1;
  if ((weight = strstr(text, "\"weight\":")) != NULL) batch->granted = strtoull(weight + 9, NULL, 10);
}

static void
read_log (model_t *model, size_t number) {
  replica_t *peer = &model->peers[number];
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core;
  ab_head_t local;
  batch_t *batch = NULL;
  autobee_local(peer->db, &local);
  options.key = &local.key;
  int err = hypercore_open(autobee_store(peer->db), &options, &core);
  if (err < 0) abort();
  model->lengths[number] = local.length;
  model->logs[number] = need(ab_arena_alloc(&model->arena, local.length + 1, sizeof(batch_t *)));
  for (uint64_t i = 0; i < local.length; i++) {
    ab_slice_t block, kept;
    oplog_message_t message;
    err = hypercore_get(core, i, &block);
    if (err == 0) err = ab_arena_copy(&model->arena, block, &kept);
    if (err == 0) err = autobee__oplog_decode(kept, &model->arena, &message);
    if (err < 0 || (message.batch_start > 0) != (batch != NULL)) {
      net_fail(peer->net, "node %llu of %zu: %s", (unsigned long long) i + 1, number, ab_err_name(err));
      break;
    }
    if (batch == NULL) {
      batch = need(ab_arena_alloc(&model->arena, 1, sizeof(*batch)));
      memset(batch, 0, sizeof(*batch));
      batch->writer = number;
      batch->first = i + 1;
      batch->message = message;
    }
    batch->stamps_ms[message.batch_start] = message.timestamp_ms;
    batch->last = i + 1;
    model->logs[number][i] = batch;
    read_value(model, batch, message.value);
    if (message.batch_end == 0) batch = NULL;
  }
  hypercore_close(core);
}

/* ---- the past ---- */

static void
find_past (model_t *model, batch_t *batch);

static void
add_to_past (model_t *model, batch_t *batch, size_t writer, uint64_t length) {
  if (length == 0 || length > model->lengths[writer]) {
    if (length > 0) net_fail(model->peers->net, "a node that does not exist is linked");
    return;
  }
  batch_t *other = model->logs[writer][length - 1];
  find_past(model, other);
  for (size_t i = 0; i < model->count; i++) {
    uint64_t known = i == writer ? other->last : other->past[i];
    if (known > batch->past[i]) batch->past[i] = known;
  }
}

static void
find_past (model_t *model, batch_t *batch) {
  const oplog_message_t *message = &batch->message;
  if (batch->has_past) return;
  batch->has_past = true;
  add_to_past(model, batch, batch->writer, batch->first - 1);
  for (size_t i = 0; i < message->link_count; i++)
    add_to_past(model, batch, number_of(model, &message->links[i].key), message->links[i].length);
  if (message->has_witness) {
    const ab_head_t *backer = &message->witness.backer;
    add_to_past(model, batch, number_of(model, &backer->key), backer->length);
  }
}

/* ---- 9 ---- */

static const ab_key_t *
key_of (const model_t *model, const batch_t *batch) {
  return &model->peers[batch->writer].writer;
}

static const model_t *sorted; /* for qsort */

static int
compare (const void *a, const void *b) {
  const batch_t *x = *(batch_t *const *) a, *y = *(batch_t *const *) b;
  if (x->weight != y->weight) return x->weight > y->weight ? -1 : 1;
  if (x->stamps_ms[0] != y->stamps_ms[0]) return x->stamps_ms[0] < y->stamps_ms[0] ? -1 : 1;
  int order = memcmp(key_of(sorted, x), key_of(sorted, y), sizeof(ab_key_t));
  return order != 0 ? order : x->first < y->first ? -1 : 1;
}

/* What it was written on top of, by the same rule, then itself. */
static void
place (model_t *model, batch_t *batch) {
  for (size_t i = 0; i < model->batch_count; i++) {
    batch_t *other = model->batches[i];
    if (!other->is_placed && batch->past[other->writer] >= other->first) place(model, other);
  }
  batch->is_placed = true;
  model->order[model->placed++] = batch;
}

static void
put_in_order (model_t *model) {
  model->batch_count = model->placed = 0;
  for (size_t i = 0; i < model->count; i++) {
    for (uint64_t at = 0; model->is_member[i] && at < model->lengths[i]; at = model->logs[i][at]->last) {
      model->logs[i][at]->is_placed = false;
      model->batches[model->batch_count++] = model->logs[i][at];
    }
  }
  sorted = model;
  qsort(model->batches, model->batch_count, sizeof(batch_t *), compare);
  for (size_t i = 0; i < model->batch_count; i++)
    if (!model->batches[i]->is_placed) place(model, model->batches[i]);
}

/* ---- 8 ---- */

static uint64_t
standing (const record_t *record) {
  return record->is_genesis && record->max_weight > 0 ? record->max_weight : record->weight;
}

static uint64_t
resolve (const model_t *model, const record_t *records, const batch_t *batch) {
  const record_t *record = &records[batch->writer];
  const oplog_witness_t *witness = &batch->message.witness;
  if (!batch->message.has_witness) return standing(record);
  size_t backer = number_of(model, &witness->backer.key);
  bool counts = witness->weight > standing(record) && witness->weight <= record->max_weight &&
                backer != batch->writer && records[backer].length >= witness->backer.length;
  return counts ? witness->weight : standing(record);
}

static void
give (record_t *record, uint64_t weight, bool is_genesis) {
  record->exists = true;
  if (weight <= record->max_weight) return;
  record->max_weight = weight;
  record->is_genesis = is_genesis;
  if (is_genesis) record->weight = weight;
}

/* Walk the order as apply would. Does it give each batch the weight that it was put in order with? */
static bool
agrees (model_t *model) {
  record_t records[NET_HOSTS_MAX] = {0};
  bool is_same = true;
  for (size_t i = 0; i < model->placed; i++) {
    batch_t *batch = model->order[i];
    record_t *own = &records[batch->writer];
    uint64_t weight = resolve(model, records, batch);
    own->weight = weight;
    if (batch->writer == 0 && batch->first == 1) give(own, 2, true);
    own->exists = true;
    own->length = batch->last;
    is_same = is_same && own->weight == batch->weight;
    batch->weight = own->weight;
    if (batch->is_refused || batch->membership == NOTHING) continue;
    record_t *subject = &records[batch->subject];
    if (batch->membership == GRANT) give(subject, batch->granted, false);
    else subject->max_weight = 0;
  }
  for (size_t i = 0; i < model->count; i++) {
    is_same = is_same && model->is_member[i] == (model->is_member[i] || records[i].exists);
    model->is_member[i] = model->is_member[i] || records[i].exists;
  }
  return is_same;
}

/* Who writes without having been asked is a member if apply takes it. */
static bool
is_taken (const model_t *model, size_t number) {
  const batch_t *first = model->lengths[number] == 0 ? NULL : model->logs[number][0];
  return first != NULL && model->peers->is_open && first->message.optimistic && !first->is_refused;
}

/* ---- all of it ---- */

static void
say_batch (const batch_t *batch, uint64_t *number, ab_buf_t *out) {
  for (uint64_t length = batch->first; length <= batch->last; length++) {
    char line[160];
    int len = snprintf(
      line,
      sizeof(line),
      "order %llu: node %llu of %zu, weight %llu, stamped %llu\n",
      (unsigned long long) (*number)++,
      (unsigned long long) length,
      batch->writer,
      (unsigned long long) batch->weight,
      (unsigned long long) batch->stamps_ms[length - batch->first]
    );
    ab_buf_append(out, ab_slice(line, (size_t) len));
  }
}

void
simulated_order (replica_t *peers, size_t count, ab_buf_t *out) {
  model_t model = {.peers = peers, .count = count};
  uint64_t nodes = 0, number = 0;
  ab_buf_reset(out);
  for (size_t i = 0; i < count; i++) {
    read_log(&model, i);
    nodes += model.lengths[i];
  }
  if (peers->net->failure[0] != 0) goto done;
  for (size_t i = 0; i < count; i++) {
    for (uint64_t at = 0; at < model.lengths[i]; at++) find_past(&model, model.logs[i][at]);
    model.is_member[i] = i == 0 || is_taken(&model, i);
  }
  model.batches = need(ab_arena_alloc(&model.arena, nodes + 1, sizeof(batch_t *)));
  model.order = need(ab_arena_alloc(&model.arena, nodes + 1, sizeof(batch_t *)));
  int rounds = 0;
  do put_in_order(&model);
  while (!agrees(&model) && ++rounds < ROUNDS_MAX);
  if (rounds == ROUNDS_MAX) net_fail(peers->net, "no order has the weights that it leads to");
  for (size_t i = 0; i < model.placed; i++) say_batch(model.order[i], &number, out);

done:
  ab_arena_destroy(&model.arena);
}

#include "autobee/simulated_replica.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- apply ---- */

/* A hash over everything applied so far: no two orders give the same view. */
static int
chain_node (autobee_apply_t *apply, const autobee_node_t *node) {
  const ab_slice_t key = ab_text("chain");
  ab_slice_t before = {0};
  uint8_t hash[32];
  int err = autobee_apply_get(apply, key, &before);
  if (err < 0 && err != AB_ENOTFOUND) return err;
  uint64_t numbers[] = {node->length, node->weight, node->timestamp_ms, autobee_apply_clock(apply)};
  ab_slice_t parts[] = {before, ab_key_slice(&node->writer), ab_slice(numbers, sizeof(numbers)), node->value};
  ab_hash(hash, parts, 4);
  return autobee_apply_put(apply, key, ab_slice(hash, sizeof(hash)));
}

/* Also by a stranger, if it is for one: what is refused is refused for what it says. */
static int
apply_operation (autobee_apply_t *apply, const autobee_node_t *node, bool is_open) {
  autobee_node_t trusted = *node;
  if (!is_open || !node->optimistic) return autobee_apply_kv(apply, node, 1, NULL);
  trusted.optimistic = false;
  int err = autobee_apply_kv(apply, &trusted, 1, NULL);
  return err < 0 ? err : autobee_apply_ack_writer(apply, &node->writer);
}

static int
apply_chain (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  const replica_t *replica = data;
  int err = 0;
  for (size_t i = 0; i < count && err == 0; i++) {
    if ((err = apply_operation(apply, &nodes[i], replica->is_open)) < 0) return err;
    if (replica->is_altered && nodes[i].length % 7 == 0) continue;
    err = chain_node(apply, &nodes[i]);
  }
  return err;
}

/* ---- life ---- */

static void
fail_with (replica_t *replica, const char *what, int err) {
  const char *message = ab_store_errmsg(replica->net->hosts[replica->number].store);
  net_fail(replica->net, "peer %zu: %s: %s: %s", replica->number, what, ab_err_name(err), message);
}

void
replica_init (replica_t *replica, net_t *net, size_t number, const char *dir) {
  char name[16];
  *replica = (replica_t){.net = net, .number = number};
  snprintf(name, sizeof(name), "%zu", number);
  tmpdir_path(replica->dir, dir, name);
  replica->disk_random = rng(rng_next(&net->random));
  for (size_t i = 0; i < sizeof(replica->primary_key.bytes); i++) {
    replica->primary_key.bytes[i] = (uint8_t) rng_next(&net->random);
  }
}

static void
on_event (autobee_t *db, const autobee_event_t *event, void *data) {
  static const autobee_event_kind_t bad[] = {
    AUTOBEE_EVENT_HALTED, AUTOBEE_EVENT_INTERRUPTED, AUTOBEE_EVENT_FROZEN};
  replica_t *replica = data;
  (void) db;
  net_trace(replica->net, "%zu tells event %d", replica->number, (int) event->kind);
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    if (event->kind != bad[i]) continue;
    const char *message = event->message == NULL ? "" : event->message;
    net_fail(replica->net, "peer %zu tells event %d: %s", replica->number, (int) event->kind, message);
  }
}

/* Nobody knows more of its log than it does itself. */
static void
check_announced (replica_t *replica, uint64_t length) {
  replica_t *all = replica - replica->number;
  for (size_t i = 0; i < replica->net->host_count; i++) {
    uint64_t known = all[i].db == NULL ? 0 : replica_record(&all[i], &replica->writer).length;
    if (known <= length) continue;
    net_fail(replica->net, "peer %zu has lost nodes that peer %zu knows", replica->number, i);
  }
}

void
replica_open (replica_t *replica, const ab_key_t *key) {
  host_t *host = &replica->net->hosts[replica->number];
  ab_store_options_t options = ab_store_options_default();
  autobee_options_t database = autobee_options_default();
  char message[256] = "", path[TMPDIR_MAX];
  ab_head_t local;
  if (replica->net->failure[0] != 0) return;
  options.relaxed = !replica->is_durable;
  options.primary_key = &replica->primary_key;
  options.env = &host->env;
  int err = ab_store_open(replica->dir, &options, &host->store, message, sizeof(message));
  if (err < 0) {
    net_fail(replica->net, "opening the store of peer %zu: %s", replica->number, message);
    return;
  }
  tmpdir_path(path, replica->dir, "data.mdb");
  disk_watch(&replica->disk, path);
  host->is_off = &replica->disk.is_off;
  database.apply = apply_chain;
  database.apply_data = replica;
  database.conformance = replica->is_conforming;
  database.encryption_key = replica->encryption_key;
  database.fast_forward = replica->forwards;
  database.sparse = replica->is_sparse;
  database.on_event = on_event;
  database.event_data = replica;
  if ((err = autobee_open(host->store, key, &database, &replica->db)) == 0)
    err = autobee_replicate(replica->db);
  if (err < 0) {
    fail_with(replica, "opening", err);
    return;
  }
  autobee_local(replica->db, &local);
  replica->writer = local.key;
  if (local.length < replica->acknowledged) {
    net_fail(
      replica->net,
      "peer %zu: %llu nodes of %llu are there after a restart",
      replica->number,
      (unsigned long long) local.length,
      (unsigned long long) replica->acknowledged
    );
  }
  check_announced(replica, local.length);
  net_trace(replica->net, "%zu is up with %llu nodes", replica->number, (unsigned long long) local.length);
  net_wake(replica->net, replica->number);
}

void
replica_close (replica_t *replica) {
  host_t *host = &replica->net->hosts[replica->number];
  autobee_info_t info;
  int err = 0;
  if (host->store == NULL) return;
  net_down(replica->net, replica->number);
  net_trace(replica->net, "%zu goes down", replica->number);
  if (replica->db != NULL) {
    if (autobee_info(replica->db, &info) == 0) {
      replica->undos += info.undos;
      replica->applies += info.applies;
      replica->appends += info.appends;
      replica->fast_forwards += info.fast_forwards;
      replica->interrupted_reindexes += info.is_reindexing;
    }
    err = autobee_close(replica->db);
  }
  replica->db = NULL;
  replica->waiting = 0;
  int closed = ab_store_close(host->store);
  host->store = NULL;
  if (replica->disk.is_off) {
    net_trace(replica->net, "%zu had lost its power", replica->number);
    disk_power_on(&replica->disk, &replica->disk_random, !replica->is_durable);
    replica->losses++;
  }
  if (err < 0 || closed < 0)
    net_fail(replica->net, "closing peer %zu: %s", replica->number, ab_err_name(err < 0 ? err : closed));
}

void
replica_destroy (replica_t *replica) {
  replica_close(replica);
  disk_forget(&replica->disk);
  ab_buf_destroy(&replica->pasts);
}

static size_t
name_of (const replica_t *replica, const ab_key_t *key) {
  const replica_t *all = replica - replica->number;
  size_t i = 0;
  while (i < replica->net->host_count && !ab_key_equal(&all[i].writer, key)) i++;
  return i;
}

/* ---- appending ---- */

/* What a peer had applied when it appended a batch. */
typedef struct {
  uint64_t first;                      /* node of the batch */
  uint64_t lengths[NET_HOSTS_MAX + 1]; /* of each peer's log */
} past_t;

typedef struct {
  autobee_append_t req; /* first */
  replica_t *replica;
  size_t count;
  past_t past;
} append_t;

typedef struct {
  const replica_t *replica;
  past_t past;
} survey_t;

static int
note_length (void *data, const ab_key_t *key, const autobee_writer_t *writer) {
  survey_t *survey = data;
  survey->past.lengths[name_of(survey->replica, key)] = writer->length;
  return 0;
}

static past_t
past_of (replica_t *replica) {
  survey_t survey = {.replica = replica};
  int err = autobee_writers(replica->db, note_length, &survey);
  if (err < 0 && !(replica->is_sparse && err == AB_EREMOTE)) fail_with(replica, "writers", err);
  return survey.past;
}

static void
kept (replica_t *replica, uint64_t length, size_t count, past_t *past) {
  if (replica->disk.is_off) return; /* it could not say so any more */
  replica->acknowledged = length;
  past->first = length + 1 - count;
  past->lengths[replica->number] = 0; /* its own nodes are in a row anyway */
  ab_buf_append(&replica->pasts, ab_slice(past, sizeof(*past)));
}

static void
appended (autobee_append_t *req, int status) {
  append_t *append = (append_t *) req;
  replica_t *replica = append->replica;
  net_trace(
    replica->net, "%zu has kept %llu: %d", replica->number, (unsigned long long) req->position.length, status
  );
  if (status == 0) kept(replica, req->position.length, append->count, &append->past);
  else if (status != AB_ECLOSED)
    net_fail(replica->net, "peer %zu: append: %s", replica->number, ab_err_name(status));
  replica->waiting--;
  free(req);
}

static int
append_later (replica_t *replica, const ab_slice_t *values, size_t count) {
  append_t *append = calloc(1, sizeof(*append));
  if (append == NULL) abort();
  append->replica = replica;
  append->count = count;
  append->past = past_of(replica);
  int err = autobee_append_async(replica->db, &append->req, values, count, 0, appended);
  if (err < 0) free(append);
  else replica->waiting++;
  return err;
}

/* May an append wait? Its clock has been set back behind what it has applied or written already, or what it
 * needs is still to be fetched. */
static bool
may_wait (replica_t *replica) {
  const ab_env_t *env = &replica->net->hosts[replica->number].env;
  autobee_info_t info;
  if (autobee_info(replica->db, &info) < 0) return false;
  bool is_ahead = info.timestamp_ms > env->now_ms(env->data) + AUTOBEE_DRIFT_MS;
  return is_ahead || replica->forwards ||
         info.local.length > replica_record(replica, &replica->writer).length;
}

uint64_t
replica_append (replica_t *replica, const ab_slice_t *values, size_t count, bool waits) {
  ab_head_t position = {.length = 0};
  past_t past = past_of(replica);
  net_trace(replica->net, "%zu appends %zu nodes", replica->number, count);
  int err =
    waits ? autobee_append(replica->db, values, count, 0, &position) : append_later(replica, values, count);
  net_wake(replica->net, replica->number);
  if (err == AB_EREMOTE && may_wait(replica)) {
    replica->waiting++; /* at most until the store is closed; nobody will say */
  } else if (err < 0) {
    fail_with(replica, "append", err);
  }
  if (err < 0 || !waits || replica->disk.is_off) return 0;
  kept(replica, position.length, count, &past);
  return position.length;
}

void
replica_append_optimistic (replica_t *replica, const ab_slice_t *values, size_t count) {
  if (replica->is_refused) return;
  net_trace(replica->net, "%zu appends %zu nodes unasked", replica->number, count);
  int err = autobee_append(replica->db, values, count, AUTOBEE_OPTIMISTIC, NULL);
  net_trace(replica->net, "%zu: %s", replica->number, ab_err_name(err));
  replica->is_refused = err < 0;
  net_wake(replica->net, replica->number);
}

void
replica_reindex (replica_t *replica) {
  net_trace(replica->net, "%zu makes its view anew", replica->number);
  int err = autobee_reindex(replica->db);
  if (err < 0) fail_with(replica, "reindex", err);
  net_wake(replica->net, replica->number);
}

void
replica_nudge (replica_t *replica) {
  if (!replica->is_conforming) return;
  int err = autobee_update(replica->db);
  if (err < 0) fail_with(replica, "update", err);
  net_wake(replica->net, replica->number);
}

/* ---- what it shows ---- */

typedef struct {
  ab_head_t node;
  uint64_t weight, stamp_ms;
} placed_t;

typedef struct {
  replica_t *replica;
  ab_buf_t *out;
  ab_buf_t order;                /* of placed_t, newest first */
  size_t past_at[NET_HOSTS_MAX]; /* of each peer's batches, the next */
} description_t;

static void
say (ab_buf_t *out, const char *format, ...) {
  char line[256];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(line, sizeof(line), format, args);
  va_end(args);
  ab_buf_append(out, ab_slice(line, (size_t) len < sizeof(line) ? (size_t) len : sizeof(line) - 1));
}

static int
keep_node (void *data, const autobee_log_entry_t *entry) {
  description_t *description = data;
  placed_t placed = {entry->node, entry->weight, entry->timestamp_ms};
  ab_buf_append(&description->order, ab_slice(&placed, sizeof(placed)));
  return 0;
}

/* Does everything stand before the node that its author knew? */
static bool
is_in_place (description_t *description, size_t name, const uint64_t *lengths) {
  const replica_t *replica = description->replica;
  const ab_buf_t *pasts = &(replica - replica->number + name)->pasts;
  const past_t *past = (const past_t *) (const void *) pasts->data + description->past_at[name];
  if (description->past_at[name] == pasts->len / sizeof(*past) || past->first != lengths[name]) return true;
  description->past_at[name]++;
  for (size_t i = 0; i < NET_HOSTS_MAX; i++) {
    if (past->lengths[i] > lengths[i]) return false;
  }
  return true;
}

static void
say_order (description_t *description, uint64_t *lengths) {
  net_t *net = description->replica->net;
  const placed_t *order = (const placed_t *) (const void *) description->order.data;
  size_t count = description->order.len / sizeof(*order);
  for (size_t i = 0; i < count; i++) {
    const placed_t *placed = &order[count - 1 - i];
    unsigned long long length = placed->node.length, weight = placed->weight, stamp = placed->stamp_ms;
    size_t name = name_of(description->replica, &placed->node.key);
    if (name == net->host_count) {
      net_fail(net, "order %zu: of a writer that nobody is", i);
      continue;
    }
    say(description->out, "order %zu: node %llu of %zu, ", i, length, name);
    say(description->out, "weight %llu, stamped %llu\n", weight, stamp);
    if (length != ++lengths[name]) net_fail(net, "order %zu: node %llu of %zu is not next", i, length, name);
    if (!is_in_place(description, name, lengths))
      net_fail(net, "order %zu: node %llu of %zu stands before its past", i, length, name);
  }
}

static void
check_complete (const description_t *description, size_t count, const uint64_t *lengths) {
  const replica_t *all = description->replica - description->replica->number;
  for (size_t i = 0; i < count; i++) {
    ab_head_t local;
    autobee_local(all[i].db, &local);
    if (lengths[i] == 0 && !autobee_is_writable(all[i].db)) continue; /* what it has written was refused */
    if (local.length == lengths[i] && lengths[i] >= all[i].acknowledged) continue;
    net_fail(
      description->replica->net,
      "peer %zu: the order has %llu nodes of peer %zu, which wrote %llu and promised %llu",
      description->replica->number,
      (unsigned long long) lengths[i],
      i,
      (unsigned long long) local.length,
      (unsigned long long) all[i].acknowledged
    );
  }
}

static int
say_writer (void *data, const ab_key_t *key, const autobee_writer_t *writer) {
  description_t *description = data;
  say(
    description->out,
    "writer %zu: length %llu, weight %llu of %llu%s%s\n",
    name_of(description->replica, key),
    (unsigned long long) writer->length,
    (unsigned long long) writer->weight,
    (unsigned long long) writer->max_weight,
    writer->is_indexer ? ", indexer" : "",
    writer->is_removed ? ", removed" : ""
  );
  return 0;
}

static int
say_head (void *data, const ab_head_t *head) {
  description_t *description = data;
  say(
    description->out,
    "head %zu %llu\n",
    name_of(description->replica, &head->key),
    (unsigned long long) head->length
  );
  return 0;
}

static void
say_hash (ab_buf_t *out, const char *what, const uint8_t hash[32]) {
  say(out, "%s ", what);
  for (int i = 0; i < 32; i++) say(out, "%02x", hash[i]);
  say(out, "\n");
}

static int
say_view (description_t *description, autobee_view_t *view) {
  autobee_cursor_t *cursor;
  autobee_entry_t entry;
  uint8_t hash[32];
  int err = autobee_cursor_open(view, NULL, &cursor);
  if (err < 0) return err;
  while ((err = autobee_cursor_next(cursor, &entry)) == 0) {
    say(
      description->out,
      "view %.*s: %zu bytes, ",
      (int) entry.key.len,
      (const char *) entry.key.data,
      entry.value.len
    );
    ab_hash(hash, &entry.value, 1);
    say_hash(description->out, "hash", hash);
  }
  autobee_cursor_close(cursor);
  if (err != AB_EEND) return err;
  if ((err = autobee_view_hash(view, hash)) == 0) say_hash(description->out, "view hash", hash);
  return err;
}

static int
describe (description_t *description, size_t count) {
  uint64_t lengths[NET_HOSTS_MAX + 1] = {0};
  autobee_t *db = description->replica->db;
  autobee_info_t info;
  autobee_view_t *view;
  uint8_t hash[32];
  int err = autobee_log(db, keep_node, description);
  if (err < 0) return err;
  say_order(description, lengths);
  check_complete(description, count, lengths);
  if ((err = autobee_writers(db, say_writer, description)) < 0) return err;
  if ((err = autobee_heads(db, say_head, description)) < 0) return err;
  if ((err = autobee_info(db, &info)) < 0) return err;
  unsigned long long flushes = info.flushes, stamp = info.timestamp_ms;
  say(description->out, "%llu batches, stamped up to %llu, %zu heads\n", flushes, stamp, info.heads);
  if ((err = autobee_order_hash(db, hash)) < 0) return err;
  say_hash(description->out, "order hash", hash);
  if ((err = autobee_view(db, NULL, &view)) < 0) return err;
  err = say_view(description, view);
  autobee_view_close(view);
  return err;
}

static int
look_for_block (void *data, const autobee_log_entry_t *entry) {
  bool *is_whole = data;
  *is_whole = *is_whole && entry->has_block;
  return 0;
}

static int
pass_by (void *data, const ab_key_t *key, const autobee_writer_t *writer) {
  (void) data;
  (void) key;
  (void) writer;
  return 0;
}

bool
replica_can_show (replica_t *replica) {
  autobee_view_t *view;
  uint8_t hash[32];
  bool is_whole = true;
  int err = autobee_log(replica->db, look_for_block, &is_whole);
  if (err == 0 && replica->is_sparse) {
    err = autobee_writers(replica->db, pass_by, NULL);
    if (err == 0) err = autobee_view(replica->db, NULL, &view);
    if (err == 0) {
      err = autobee_view_hash(view, hash);
      autobee_view_close(view);
    }
  }
  if (err < 0 && err != AB_EREMOTE) fail_with(replica, "reading", err);
  if (err == AB_EREMOTE || !is_whole) net_wake(replica->net, replica->number);
  return err == 0 && is_whole;
}

void
replica_describe (replica_t *replica, size_t count, ab_buf_t *out) {
  description_t description = {.replica = replica, .out = out};
  ab_buf_reset(out);
  int err = describe(&description, count);
  if (err < 0) fail_with(replica, "reading", err);
  ab_buf_append(out, ab_slice("", 1));
  ab_buf_destroy(&description.order);
}

typedef struct {
  const ab_key_t *key;
  autobee_writer_t record;
} search_t;

static int
compare_key (void *data, const ab_key_t *key, const autobee_writer_t *writer) {
  search_t *search = data;
  if (!ab_key_equal(key, search->key)) return 0;
  search->record = *writer;
  return 1;
}

autobee_writer_t
replica_record (replica_t *replica, const ab_key_t *writer) {
  search_t search = {.key = writer};
  int err = autobee_writers(replica->db, compare_key, &search);
  if (err < 0 && !(replica->is_sparse && err == AB_EREMOTE)) fail_with(replica, "writers", err);
  return search.record;
}

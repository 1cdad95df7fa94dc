/* control_state.c: info, order, log. */
#include "autobee/cli/bytes.h"
#include "autobee/cli/request.h"

#include <stdlib.h>

/* ---- info ---- */

static int
put_head (void *data, const ab_head_t *head) {
  request_put_head(data, NULL, head);
  return 0;
}

static int
put_writer (void *data, const ab_key_t *key, const autobee_writer_t *writer) {
  out_t *out = data;
  out_open(out, '{');
  out_member_hex(out, "key", ab_key_slice(key));
  out_member_uint(out, "length", writer->length);
  out_member_uint(out, "weight", writer->weight);
  out_member_uint(out, "maxWeight", writer->max_weight);
  out_member_bool(out, "isIndexer", writer->is_indexer);
  out_member_bool(out, "isRemoved", writer->is_removed);
  out_close(out, '}');
  return 0;
}

static void
put_info (request_t *request, const autobee_info_t *info) {
  const control_net_t *net = request_net(request);
  const char *halt = request_halt_message(request);
  out_t *out = &request->answer;
  out_member_hex(out, "key", ab_key_slice(&info->key));
  out_member_hex(out, "discoveryKey", ab_key_slice(&info->discovery_key));
  out_member_hex(out, "localKey", ab_key_slice(&info->local.key));
  out_member_uint(out, "localLength", info->local.length);
  out_member_bool(out, "writable", info->is_writable);
  out_member_bool(out, "isIndexer", info->is_indexer);
  out_member_bool(out, "encrypted", info->is_encrypted);
  out_member_uint(out, "flushes", info->flushes);
  out_member_uint(out, "timestamp", info->timestamp_ms);
  request_put_head(out, "system", &info->system);
  request_put_head(out, "view", &info->view);
  out_member_text(out, "policy", request->database->script.sandbox == NULL ? "kv" : "lua");
  out_member_hex(out, "applyId", ab_key_slice(&request->database->script.id));
  out_member_uint(out, "connections", net == NULL ? 0 : net->connections(net->data));
  out_member_bool(out, "halted", info->is_halted);
  out_member_bool(out, "interrupted", info->is_interrupted);
  out_name(out, "lastError");
  if (info->is_halted && halt != NULL) out_string(out, ab_text(halt));
  else out_null(out);
  out_name(out, "stats");
  out_open(out, '{');
  out_member_uint(out, "undos", info->undos);
  out_member_uint(out, "applies", info->applies);
  out_member_uint(out, "drains", info->drains);
  out_member_uint(out, "fastForwards", info->fast_forwards);
  out_member_uint(out, "appends", info->appends);
  out_member_uint(out, "rejected", info->rejected);
  out_close(out, '}');
}

int
control_info (request_t *request) {
  autobee_t *db = request->database->db;
  out_t *out = &request->answer;
  autobee_info_t info;
  int err = autobee_info(db, &info);
  if (err < 0) return request_fail_store(request, err);
  put_info(request, &info);
  out_name(out, "heads");
  out_open(out, '[');
  err = autobee_heads(db, put_head, out);
  out_close(out, ']');
  if (err < 0) return request_fail_read(request, err);
  out_name(out, "writers");
  out_open(out, '[');
  err = autobee_writers(db, put_writer, out);
  out_close(out, ']');
  return err < 0 ? request_fail_read(request, err) : 0;
}

/* ---- order and log: the newest come first, and are answered last ---- */

typedef struct {
  out_t bytes; /* entries, newest first */
  size_t *ends;
  size_t count;
  size_t capacity;
  uint64_t last; /* 0: all */
  bool has_writer;
  ab_key_t writer;
  bool with_values;
  bool is_partial;
} entries_t;

#define ENOUGH 1 /* of entries */

static int
end_entry (entries_t *entries) {
  if (entries->bytes.failed) return AB_ENOMEM;
  if (entries->count == entries->capacity) {
    size_t capacity = entries->capacity == 0 ? 256 : 2 * entries->capacity;
    size_t *ends = realloc(entries->ends, capacity * sizeof(*ends));
    if (ends == NULL) return AB_ENOMEM;
    entries->ends = ends;
    entries->capacity = capacity;
  }
  entries->ends[entries->count++] = entries->bytes.len;
  return entries->count == entries->last ? ENOUGH : 0;
}

static void
put_logged (out_t *out, const autobee_log_entry_t *entry) {
  out_open(out, '{');
  out_member_hex(out, "writer", ab_key_slice(&entry->node.key));
  out_member_uint(out, "length", entry->node.length);
  out_member_uint(out, "weight", entry->weight);
  out_member_uint(out, "timestamp", entry->timestamp_ms);
  out_member_bool(out, "optimistic", entry->is_optimistic);
  out_name(out, "batch");
  out_open(out, '[');
  out_uint(out, entry->batch_start);
  out_uint(out, entry->batch_end);
  out_close(out, ']');
  out_name(out, "links");
  out_open(out, '[');
  for (size_t i = 0; i < entry->link_count; i++) request_put_head(out, NULL, &entry->links[i]);
  out_close(out, ']');
  out_member_bool(out, "here", entry->has_block);
  out_name(out, "value");
  bool is_text = entry->value.len > 0 && bytes_are_utf8(entry->value);
  if (is_text) out_string(out, entry->value);
  else out_null(out);
  out_name(out, "valueHex");
  if (entry->value.len > 0) out_hex(out, entry->value);
  else out_null(out);
  out_close(out, '}');
}

static int
take_entry (void *data, const autobee_log_entry_t *entry) {
  entries_t *entries = data;
  out_t *out = &entries->bytes;
  if (entries->has_writer && !ab_key_equal(&entries->writer, &entry->node.key)) return 0;
  out->follows = false;
  if (entries->with_values) {
    put_logged(out, entry);
  } else {
    if (!entry->has_block) entries->is_partial = true; /* how many nodes its batch has is not known */
    out_open(out, '[');
    out_hex(out, ab_key_slice(&entry->node.key));
    out_uint(out, entry->node.length);
    out_uint(out, entry->weight);
    out_close(out, ']');
  }
  return end_entry(entries);
}

static int
answer_entries (request_t *request, const char *name, entries_t *entries) {
  autobee_t *db = request->database->db;
  out_t *out = &request->answer;
  bool has_last;
  int err = request_uint(request, "last", &entries->last, &has_last);
  if (err < 0) return err;
  if (!has_last || entries->last > 0) {
    err = autobee_log(db, take_entry, entries);
    if (err >= 0 && entries->is_partial) err = AB_EREMOTE;
    if (err < 0) return request_fail_read(request, err);
  }
  out_name(out, name);
  out_open(out, '[');
  for (size_t i = entries->count; i > 0; i--) {
    size_t start = i == 1 ? 0 : entries->ends[i - 2];
    out_json(out, ab_slice(entries->bytes.data + start, entries->ends[i - 1] - start));
  }
  out_close(out, ']');
  return 0;
}

static void
entries_destroy (entries_t *entries) {
  out_destroy(&entries->bytes);
  free(entries->ends);
}

int
control_order (request_t *request) {
  entries_t entries = {0};
  uint8_t hash[32];
  int err = answer_entries(request, "order", &entries);
  entries_destroy(&entries);
  if (err < 0) return err;
  if ((err = autobee_order_hash(request->database->db, hash)) < 0) return request_fail_read(request, err);
  out_member_hex(&request->answer, "hash", ab_slice(hash, sizeof(hash)));
  return 0;
}

int
control_log (request_t *request) {
  entries_t entries = {.with_values = true};
  int err = 0;
  if (request_member(request, "writer") != NULL) {
    err = request_key(request, "writer", &entries.writer);
    entries.has_writer = true;
  }
  if (err == 0) err = answer_entries(request, "nodes", &entries);
  entries_destroy(&entries);
  return err;
}

/* control_write.c: append, addWriter, removeWriter, put, del, update, wakeup, close. */
#include "autobee/cli/bytes.h"
#include "autobee/cli/request.h"

#include <stdlib.h>

/* ---- appending ---- */

/* Values one behind the other, and where each ends. */
typedef struct {
  out_t bytes;
  size_t *ends;
  size_t count;
  size_t capacity;
} values_t;

static void
values_destroy (values_t *values) {
  out_destroy(&values->bytes);
  free(values->ends);
}

/* What was written into `bytes` since the last one is a value. */
static int
values_end_one (values_t *values) {
  if (values->bytes.failed) return AB_ENOMEM;
  if (values->count == values->capacity) {
    size_t capacity = values->capacity == 0 ? 16 : 2 * values->capacity;
    size_t *ends = realloc(values->ends, capacity * sizeof(*ends));
    if (ends == NULL) return AB_ENOMEM;
    values->ends = ends;
    values->capacity = capacity;
  }
  values->ends[values->count++] = values->bytes.len;
  return 0;
}

static void
append_ended (autobee_append_t *append, int status) {
  request_t *request = append->data;
  request->status = status;
  request->is_ended = true;
}

/* A database that stands still tries again first. */
static int
resume (request_t *request) {
  autobee_info_t info;
  int err = autobee_info(request->database->db, &info);
  if (err < 0) return request_fail_store(request, err);
  if (!info.is_halted || (err = autobee_update(request->database->db)) == 0) return 0;
  const char *halt = request_halt_message(request);
  return halt == NULL ? request_fail_store(request, err) : request_fail(request, err, "%s", halt);
}

static int
append_values (request_t *request, const values_t *values, unsigned flags) {
  autobee_t *db = request->database->db;
  int err = request->database->is_read_only ? 0 : resume(request);
  if (err < 0) return err;
  ab_slice_t *slices = malloc((values->count + 1) * sizeof(*slices));
  if (slices == NULL) return AB_ENOMEM;
  for (size_t i = 0, start = 0; i < values->count; start = values->ends[i++]) {
    slices[i] = ab_slice(values->bytes.data + start, values->ends[i] - start);
  }
  request->append.data = request;
  err = autobee_append_async(db, &request->append, slices, values->count, flags, append_ended);
  free(slices);
  if (err == 0) return REQUEST_APPENDING;
  if (err == AB_ENOTWRITABLE && (flags & AUTOBEE_OPTIMISTIC) == 0) {
    char key[AB_KEY_TEXT_LEN + 1];
    ab_head_t local;
    autobee_local(db, &local);
    ab_key_to_text(&local.key, key);
    return request_fail(
      request,
      err,
      "not a writer of this database yet; ask one to run: autobee writers add %s, then sync",
      key
    );
  }
  if (err == AB_EREADONLY)
    return request_fail(request, err, "opened with --read-only; leave that out to write");
  return request_fail_store(request, err);
}

void
control_append_answer (request_t *request, const char *refusal) {
  autobee_t *db = request->database->db;
  autobee_info_t info;
  ab_head_t at = request->append.position;
  if (at.length == 0) autobee_local(db, &at);
  out_member_hex(&request->answer, "localKey", ab_key_slice(&at.key));
  out_member_uint(&request->answer, "localLength", at.length);
  if (autobee_info(db, &info) == 0) out_member_uint(&request->answer, "flushes", info.flushes);
  if (refusal != NULL) out_member_text(&request->answer, "rejected", refusal);
}

/* ---- append ---- */

static int
add_json (request_t *request, const ab_json_t *value, values_t *values) {
  ab_slice_t text;
  int err = ab_json_encode(&request->doc, value, AB_JSON_ECMASCRIPT, &text);
  if (err < 0)
    return err == AB_EINVAL ? request_fail(request, err, "a value cannot be written as JSON") : err;
  out_bytes(&values->bytes, text);
  return values_end_one(values);
}

static int
add_hex (request_t *request, const ab_json_t *value, values_t *values) {
  int err = value->type == AB_JSON_STRING ? bytes_from_hex(ab_json_text(value), &values->bytes) : AB_EINVAL;
  if (err == AB_EINVAL) return request_fail(request, err, "a value of \"hex\" or \"hexes\" is not hex");
  return err < 0 ? err : values_end_one(values);
}

static int
add_list (
  request_t *request,
  const ab_json_t *list,
  int (*add)(request_t *request, const ab_json_t *value, values_t *values),
  values_t *values
) {
  if (list->type != AB_JSON_ARRAY) return request_fail(request, AB_EINVAL, "a batch is a list of values");
  if (list->count > AUTOBEE_BATCH_MAX) {
    return request_fail(
      request,
      AB_ETOOBIG,
      "%u values in one batch; it takes %d, so append several",
      (unsigned) list->count,
      AUTOBEE_BATCH_MAX
    );
  }
  ab_json_iter_t iter = ab_json_iter(list);
  const ab_json_t *value;
  while (ab_json_next(&iter, &value)) {
    int err = add(request, value, values);
    if (err < 0) return err;
  }
  return 0;
}

int
control_append (request_t *request) {
  values_t values = {0};
  bool optimistic = false, given;
  const ab_json_t *member;
  int err = request_bool(request, "optimistic", &optimistic, &given);
  if (err < 0) return err;
  if ((member = ab_json_member(request->line, ab_text("value"))) != NULL) {
    err = add_json(request, member, &values); /* null is a value, too */
  } else if ((member = request_member(request, "values")) != NULL) {
    err = add_list(request, member, add_json, &values);
  } else if ((member = request_member(request, "hex")) != NULL) {
    err = add_hex(request, member, &values);
  } else if ((member = request_member(request, "hexes")) != NULL) {
    err = add_list(request, member, add_hex, &values);
  } else {
    err = request_fail(request, AB_EINVAL, "\"value\", \"values\", \"hex\" or \"hexes\" is missing");
  }
  if (err == 0) err = append_values(request, &values, optimistic ? AUTOBEE_OPTIMISTIC : 0);
  values_destroy(&values);
  return err;
}

/* ---- operations that scripts and policies know ---- */

static int
append_operation (request_t *request, values_t *values) {
  int err = values_end_one(values);
  if (err == 0) err = append_values(request, values, 0);
  values_destroy(values);
  return err;
}

int
control_add_writer (request_t *request) {
  values_t values = {0};
  ab_key_t key;
  uint64_t weight;
  bool is_indexer, has_weight, has_indexer;
  int err = request_key(request, "key", &key);
  if (err < 0) return err;
  if ((err = request_uint(request, "weight", &weight, &has_weight)) < 0) return err;
  if ((err = request_bool(request, "isIndexer", &is_indexer, &has_indexer)) < 0) return err;
  out_open(&values.bytes, '{');
  out_member_hex(&values.bytes, "addWriter", ab_key_slice(&key));
  if (has_weight) out_member_uint(&values.bytes, "weight", weight);
  if (has_indexer) out_member_bool(&values.bytes, "isIndexer", is_indexer);
  out_close(&values.bytes, '}');
  return append_operation(request, &values);
}

int
control_remove_writer (request_t *request) {
  values_t values = {0};
  ab_key_t key;
  int err = request_key(request, "key", &key);
  if (err < 0) return err;
  out_open(&values.bytes, '{');
  out_member_hex(&values.bytes, "removeWriter", ab_key_slice(&key));
  out_close(&values.bytes, '}');
  return append_operation(request, &values);
}

/* `put` and `del` write what the built-in policy reads. */
static int
check_policy (request_t *request) {
  if (request->database->script.sandbox == NULL) return 0;
  return request_fail(
    request,
    AB_ENOTSUP,
    "this database has a merge rule of its own, apply.lua, and only that knows its operations: append one, "
    "for example "
    "autobee append '{…}'"
  );
}

/* A member of an object, whose name is not a C string. */
static void
put_name (out_t *out, ab_slice_t name) {
  out_string(out, name);
  out_bytes(out, ab_text(":"));
  out->follows = false;
}

static void
put_hex_name (out_t *out, ab_slice_t name) {
  out_hex(out, name);
  out_bytes(out, ab_text(":"));
  out->follows = false;
}

int
control_put (request_t *request) {
  values_t values = {0};
  out_t key = {0}, value = {0};
  int err = check_policy(request);
  if (err == 0) err = request_bytes(request, "key", &key, NULL);
  if (err == 0) err = request_bytes(request, "value", &value, NULL);
  if (err < 0) goto done;
  if (key.len == 0) {
    err = request_fail(request, AB_EINVAL, "a key has at least one byte");
    goto done;
  }
  bool is_text = bytes_are_utf8(out_slice(&key)) && bytes_are_utf8(out_slice(&value));
  out_open(&values.bytes, '{');
  out_name(&values.bytes, is_text ? "put" : "putHex");
  out_open(&values.bytes, '{');
  if (is_text) {
    put_name(&values.bytes, out_slice(&key));
    out_string(&values.bytes, out_slice(&value));
  } else {
    put_hex_name(&values.bytes, out_slice(&key));
    out_hex(&values.bytes, out_slice(&value));
  }
  out_close(&values.bytes, '}');
  out_close(&values.bytes, '}');
  err = append_operation(request, &values);

done:
  out_destroy(&key);
  out_destroy(&value);
  return err;
}

int
control_del (request_t *request) {
  values_t values = {0};
  out_t key = {0};
  int err = check_policy(request);
  if (err == 0) err = request_bytes(request, "key", &key, NULL);
  if (err == 0) {
    bool is_text = bytes_are_utf8(out_slice(&key));
    out_open(&values.bytes, '{');
    out_name(&values.bytes, is_text ? "del" : "delHex");
    out_open(&values.bytes, '[');
    if (is_text) out_string(&values.bytes, out_slice(&key));
    else out_hex(&values.bytes, out_slice(&key));
    out_close(&values.bytes, ']');
    out_close(&values.bytes, '}');
    err = append_operation(request, &values);
  }
  out_destroy(&key);
  return err;
}

/* ---- the drain ---- */

int
control_update (request_t *request) {
  int err = autobee_update(request->database->db);
  if (err == 0) return 0;
  const char *halt = request_halt_message(request);
  return halt == NULL ? request_fail_store(request, err) : request_fail(request, err, "%s", halt);
}

int
control_wakeup (request_t *request) {
  ab_key_t key;
  uint64_t length;
  int err = request_key(request, "key", &key);
  if (err < 0) return err;
  if ((err = request_uint(request, "length", &length, NULL)) < 0) return err;
  err = autobee_hint(request->database->db, &key, length);
  return err < 0 ? request_fail_store(request, err) : 0;
}

int
control_close_all (request_t *request) {
  request_close_all(request);
  return 0;
}

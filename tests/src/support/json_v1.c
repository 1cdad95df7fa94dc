#include "support/json_v1.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "apply/json.h"

#define NAME_MAX_LEN 96

/* One node. */
typedef struct {
  autobee_apply_t *apply;
  const autobee_node_t *node;
  const json_v1_t *options;
  const ab_json_t *op;
  bool has_anchor;
  ab_head_t anchor;
} step_t;

static const ab_json_t *
member (const step_t *step, const char *name) {
  return ab_json_member(step->op, ab_text(name));
}

/* As a condition in JavaScript. */
static bool
is_set (const step_t *step, const char *name) {
  const ab_json_t *value = member(step, name);
  if (value == NULL) return false;
  switch (value->type) {
  case AB_JSON_NULL:
    return false;
  case AB_JSON_BOOL:
    return value->as.boolean;
  case AB_JSON_INTEGER:
    return value->as.integer != 0;
  case AB_JSON_NUMBER:
    return value->as.number != 0;
  case AB_JSON_STRING:
    return value->count > 0;
  default:
    return true;
  }
}

static int
raise_error (const step_t *step, const char *text) {
  if (step->node->optimistic) return autobee_apply_reject(step->apply, "%s", text);
  return autobee_apply_halt(step->apply, "%s", text);
}

static int
read_key (const step_t *step, const char *name, ab_key_t *key) {
  const ab_json_t *value = member(step, name);
  bool is_key = value->type == AB_JSON_STRING && ab_key_from_text(ab_json_text(value), key) == 0;
  return is_key ? 0 : raise_error(step, "not a key");
}

static int
add_writer (const step_t *step) {
  ab_key_t key;
  int err = read_key(step, "addWriter", &key);
  if (err < 0) return err;
  bool is_indexer = member(step, "isIndexer") == NULL || is_set(step, "isIndexer");
  int64_t weight = is_indexer ? 2 : 1;
  const ab_json_t *given = member(step, "weight");
  if (given != NULL && (!ab_json_integer(given, &weight) || weight < 0))
    return raise_error(step, "not a weight");
  return autobee_apply_add_writer(step->apply, &key, is_indexer, (uint64_t) weight);
}

static int
act_on_writers (step_t *step) {
  int err;
  if (is_set(step, "addWriter") && (err = add_writer(step)) < 0) return err;
  if (is_set(step, "removeWriter")) {
    ab_key_t key;
    if ((err = read_key(step, "removeWriter", &key)) < 0) return err;
    if ((err = autobee_apply_remove_writer(step->apply, &key)) < 0) return err;
  }
  if (is_set(step, "ack") && (err = autobee_apply_ack_writer(step->apply, &step->node->writer)) < 0)
    return err;
  if (is_set(step, "anchor")) {
    ab_head_t node = {step->node->writer, step->node->length};
    if ((err = autobee_apply_create_anchor(step->apply, &node, &step->anchor)) < 0) return err;
    step->has_anchor = true;
  }
  return 0;
}

static void
write_name (char out[NAME_MAX_LEN], const ab_key_t *key, uint64_t length) {
  for (size_t i = 0; i < sizeof(key->bytes); i++) snprintf(out + 2 * i, 3, "%02x", key->bytes[i]);
  snprintf(out + 64, NAME_MAX_LEN - 64, ".%" PRIu64, length);
}

static int
next_count (const step_t *step, uint64_t *count) {
  ab_slice_t value;
  int err = autobee_apply_get(step->apply, ab_text("clock"), &value);
  *count = 0;
  if (err == AB_ENOTFOUND) return 0;
  if (err < 0) return err;
  for (size_t i = 0; i < value.len; i++) *count = *count * 10 + (uint64_t) (value.data[i] - '0');
  *count += 1;
  return 0;
}

static int
put_texts (const step_t *step, const char *key, const char *value) {
  return autobee_apply_put(step->apply, ab_text(key), ab_text(value));
}

static int
put_given (const step_t *step) {
  const ab_json_t *puts = member(step, "put"), *value;
  if (puts == NULL) return 0;
  ab_json_iter_t iter = ab_json_iter(puts);
  ab_slice_t key;
  while (ab_json_next_member(&iter, &key, &value)) {
    if (value->type != AB_JSON_STRING) return raise_error(step, "not a string");
    int err = autobee_apply_put(step->apply, key, ab_json_text(value));
    if (err < 0) return err;
  }
  return 0;
}

static int
del_given (const step_t *step) {
  const ab_json_t *keys = member(step, "del"), *key;
  if (keys == NULL) return 0;
  ab_json_iter_t iter = ab_json_iter(keys);
  while (ab_json_next(&iter, &key)) {
    if (key->type != AB_JSON_STRING) return raise_error(step, "not a string");
    int err = autobee_apply_del(step->apply, ab_json_text(key));
    if (err < 0) return err;
  }
  return 0;
}

static int
write_view (const step_t *step) {
  const autobee_node_t *node = step->node;
  char key[NAME_MAX_LEN], value[NAME_MAX_LEN];
  uint64_t count;
  int err = next_count(step, &count);
  if (err < 0) return err;

  snprintf(value, sizeof(value), "%" PRIu64, count);
  if ((err = put_texts(step, "clock", value)) < 0) return err;
  if ((err = autobee_apply_put(step->apply, ab_text("latest"), node->value)) < 0) return err;
  snprintf(key, sizeof(key), "#%06" PRIu64, count);
  write_name(value, &node->writer, node->length);
  if ((err = put_texts(step, key, value)) < 0) return err;
  if (step->options->is_seen) {
    key[0] = '~';
    snprintf(value, sizeof(value), "%" PRIu64 ".%d", node->timestamp_ms, node->optimistic ? 1 : 0);
    if ((err = put_texts(step, key, value)) < 0) return err;
  }
  if (step->has_anchor) {
    write_name(value, &step->anchor.key, step->anchor.length);
    if ((err = put_texts(step, "anchor", value)) < 0) return err;
  }
  if ((err = put_given(step)) < 0) return err;
  if ((err = del_given(step)) < 0) return err;
  return autobee_apply_flush(step->apply);
}

static int
apply_node (step_t *step) {
  if (is_set(step, "stop") && step->options->fails == JSON_V1_RAISE) {
    return raise_error(step, "stopped by apply");
  }
  if (is_set(step, "stop") && step->options->fails == JSON_V1_INTERRUPT) {
    return autobee_apply_interrupt(step->apply, ab_text("stopped by apply"));
  }

  int64_t how = 0;
  bool is_refused = is_set(step, "reject") && step->node->optimistic;
  bool is_late = is_refused && ab_json_integer(member(step, "reject"), &how) && how == 2;
  if (is_refused && !is_late) return raise_error(step, "rejected by apply");
  int err = act_on_writers(step);
  if (err < 0) return err;
  return is_late ? raise_error(step, "rejected by apply") : write_view(step);
}

int
json_v1_apply (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  static const json_v1_t plain = {false, JSON_V1_NONE};
  ab_json_doc_t doc = {0};
  int err = 0;
  for (size_t i = 0; err == 0 && i < count; i++) {
    step_t step = {.apply = apply, .node = &nodes[i], .options = data == NULL ? &plain : data};
    err = ab_json_decode(&doc, nodes[i].value, AB_JSON_DUPLICATES | AB_JSON_LONE_SURROGATES, &step.op);
    if (err == 0 && step.op->type == AB_JSON_NULL) err = AB_EINVAL; /* has no members to ask for */
    if (err == AB_EINVAL || err == AB_ETOOBIG) err = raise_error(&step, "not JSON");
    else if (err == 0) err = apply_node(&step);
  }
  ab_json_doc_destroy(&doc);
  return err;
}

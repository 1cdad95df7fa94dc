#include "support/reference_apply.h"

#include "apply/json.h"

#define DECIMAL_MAX 20
#define NAME_LEN_MAX (64 + 1 + DECIMAL_MAX)

/* `number` in decimal, at least `width` digits. */
static size_t
write_decimal (char *out, uint64_t number, size_t width) {
  char reversed[DECIMAL_MAX];
  size_t len = 0;
  for (; number > 0 || len < width; number /= 10) reversed[len++] = (char) ('0' + number % 10);
  for (size_t i = 0; i < len; i++) out[i] = reversed[len - 1 - i];
  return len;
}

static void
write_hex (char out[64], const ab_key_t *key) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < sizeof(key->bytes); i++) {
    out[2 * i] = digits[key->bytes[i] >> 4];
    out[2 * i + 1] = digits[key->bytes[i] & 15];
  }
}

static int
add_writer (autobee_apply_t *apply, const ab_json_t *op, const ab_json_t *name) {
  ab_key_t key;
  if (name->type != AB_JSON_STRING || ab_key_from_text(ab_json_text(name), &key) < 0) {
    return autobee_apply_reject(apply, "addWriter: not a key");
  }
  const ab_json_t *flag = ab_json_member(op, ab_text("isIndexer"));
  const ab_json_t *given = ab_json_member(op, ab_text("weight"));
  bool is_indexer = flag == NULL || (flag->type == AB_JSON_BOOL && flag->as.boolean);
  int64_t weight = is_indexer ? 2 : 1;
  if (given != NULL && (!ab_json_integer(given, &weight) || weight < 0)) {
    return autobee_apply_reject(apply, "weight: not an integer");
  }
  return autobee_apply_add_writer(apply, &key, is_indexer, (uint64_t) weight);
}

static int
next_count (autobee_apply_t *apply, uint64_t *count) {
  ab_slice_t value;
  int err = autobee_apply_get(apply, ab_text("clock"), &value);
  *count = 0;
  if (err == AB_ENOTFOUND) return 0;
  if (err < 0) return err;
  for (size_t i = 0; i < value.len; i++) *count = *count * 10 + (uint64_t) (value.data[i] - '0');
  *count += 1;
  return 0;
}

/* `name` begins with the writer's key in hex. */
static int
write_view (autobee_apply_t *apply, const autobee_node_t *node, char name[NAME_LEN_MAX]) {
  char clock[DECIMAL_MAX], key[1 + DECIMAL_MAX];
  uint64_t count;
  int err;
  if ((err = next_count(apply, &count)) < 0) return err;
  if ((err = autobee_apply_put(apply, ab_text("latest"), node->value)) < 0) return err;
  size_t len = write_decimal(clock, count, 1);
  if ((err = autobee_apply_put(apply, ab_text("clock"), ab_slice(clock, len))) < 0) return err;

  key[0] = '#';
  size_t key_len = 1 + write_decimal(key + 1, count, 6);
  name[64] = '.';
  size_t name_len = 65 + write_decimal(name + 65, node->length, 1);
  return autobee_apply_put(apply, ab_slice(key, key_len), ab_slice(name, name_len));
}

static int
apply_node (autobee_apply_t *apply, const autobee_node_t *node, ab_json_doc_t *doc, char name[NAME_LEN_MAX]) {
  const ab_json_t *op;
  int err = ab_json_decode(doc, node->value, 0, &op);
  if (err == AB_ENOMEM) return err;
  if (err < 0) return autobee_apply_reject(apply, "not JSON: %s", doc->message);

  const ab_json_t *writer = ab_json_member(op, ab_text("addWriter"));
  if (writer != NULL && (err = add_writer(apply, op, writer)) < 0) return err;
  return write_view(apply, node, name);
}

static int
apply_all (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data, bool is_batched) {
  ab_json_doc_t own = {0};
  ab_json_doc_t *doc = data == NULL ? &own : data;
  char name[NAME_LEN_MAX];
  int err = 0;
  if (count > 0) write_hex(name, &nodes[0].writer); /* a batch is of one writer */
  for (size_t i = 0; err == 0 && i < count; i++) {
    err = apply_node(apply, &nodes[i], doc, name);
    if (err == 0 && !is_batched) err = autobee_apply_flush(apply);
  }
  ab_json_doc_destroy(&own);
  return err;
}

int
reference_apply (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  return apply_all(apply, nodes, count, data, false);
}

int
reference_apply_batched (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  return apply_all(apply, nodes, count, data, true);
}

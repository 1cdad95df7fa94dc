/* kv.c: the built-in policy `kv`, as apply.h describes it. */
#include "apply/apply.h"
#include "apply/json.h"
#include "hypercore/buf.h"

/* The members of an operation, in the order they are taken. */
typedef enum {
  ADD_WRITER,
  IS_INDEXER,
  WEIGHT,
  REMOVE_WRITER,
  PUT,
  DEL,
  PUT_HEX,
  DEL_HEX,
  MEMBER_COUNT
} member_t;

static const struct {
  const char *name;
  ab_json_type_t type;
} members[MEMBER_COUNT] = {
  [ADD_WRITER] = {"addWriter", AB_JSON_STRING},
  [IS_INDEXER] = {"isIndexer", AB_JSON_BOOL},
  [WEIGHT] = {"weight", AB_JSON_INTEGER},
  [REMOVE_WRITER] = {"removeWriter", AB_JSON_STRING},
  [PUT] = {"put", AB_JSON_OBJECT},
  [DEL] = {"del", AB_JSON_ARRAY},
  [PUT_HEX] = {"putHex", AB_JSON_OBJECT},
  [DEL_HEX] = {"delHex", AB_JSON_ARRAY},
};

typedef struct {
  autobee_apply_t *apply;
  const autobee_node_t *node;        /* the present one */
  const ab_json_t *op[MEMBER_COUNT]; /* its operation; NULL where a member is absent */
  ab_json_doc_t doc;
  ab_buf_t key, value; /* decoded from hex */
} kv_t;

static int
refuse (kv_t *kv, const char *what, const char *why) {
  return autobee_apply_reject(
    kv->apply, "kv: node %llu: %s: %s", (unsigned long long) kv->node->length, what, why
  );
}

/* Of its name only so much as can be shown. */
static int
refuse_member (kv_t *kv, ab_slice_t name) {
  char text[32];
  size_t len = 0;
  while (len < name.len && len < sizeof(text) - 1 && name.data[len] > ' ' && name.data[len] < 0x7f) {
    text[len] = (char) name.data[len];
    len++;
  }
  text[len] = 0;
  return refuse(kv, text, "no such member");
}

/* ---- the parts of an operation ---- */

/* Is `value` of the type that `member` asks for? 1e3 is a number, and an integer: what a weight is does not
 * depend on how it is written. */
static bool
has_type (const ab_json_t *value, member_t member) {
  if (members[member].type == AB_JSON_INTEGER && value->type == AB_JSON_NUMBER) return true;
  return value->type == members[member].type;
}

static int
read_operation (kv_t *kv) {
  const ab_json_t *root, *value;
  ab_slice_t name;

  memset(kv->op, 0, sizeof(kv->op));
  int err = ab_json_decode(&kv->doc, kv->node->value, 0, &root);
  if (err == AB_ENOMEM) return err;
  if (err < 0) return refuse(kv, "not JSON", kv->doc.message);
  if (root->type != AB_JSON_OBJECT) return refuse(kv, "value", "not an object");

  ab_json_iter_t iter = ab_json_iter(root);
  while (ab_json_next_member(&iter, &name, &value)) {
    member_t member = ADD_WRITER;
    while (member < MEMBER_COUNT && !ab_slice_equal(name, ab_text(members[member].name))) member++;
    if (member == MEMBER_COUNT) return refuse_member(kv, name);
    if (!has_type(value, member)) return refuse(kv, members[member].name, "wrong type");
    kv->op[member] = value;
  }
  if (kv->op[ADD_WRITER] == NULL) {
    if (kv->op[IS_INDEXER] != NULL) return refuse(kv, "isIndexer", "without addWriter");
    if (kv->op[WEIGHT] != NULL) return refuse(kv, "weight", "without addWriter");
  }
  return 0;
}

/* Hex or z-base-32. Not the links that ab_key_from_text reads as well: an operation names a writer in one of
 * two ways, whatever people may type. */
static int
read_key (kv_t *kv, member_t member, ab_key_t *key) {
  ab_slice_t text = ab_json_text(kv->op[member]);
  bool has_length = text.len == AB_KEY_TEXT_LEN || text.len == 2 * sizeof(key->bytes);
  if (!has_length || memchr(text.data, ':', text.len) != NULL || ab_key_from_text(text, key) < 0) {
    return refuse(kv, members[member].name, "neither 64 hex digits nor 52 of z-base-32");
  }
  return 0;
}

static int
hex_digit (uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static int
read_hex (kv_t *kv, member_t member, ab_slice_t text, ab_buf_t *out) {
  if (text.len % 2 != 0) return refuse(kv, members[member].name, "an odd number of hex digits");
  ab_buf_reset(out);
  uint8_t *bytes = ab_buf_extend(out, text.len / 2);
  if (bytes == NULL) return AB_ENOMEM;
  for (size_t i = 0; i < out->len; i++) {
    int high = hex_digit(text.data[2 * i]), low = hex_digit(text.data[2 * i + 1]);
    if (high < 0 || low < 0) return refuse(kv, members[member].name, "not hex");
    bytes[i] = (uint8_t) (high << 4 | low);
  }
  return 0;
}

/* ---- operations ---- */

static int
add_writer (kv_t *kv) {
  ab_key_t key;
  int err = read_key(kv, ADD_WRITER, &key);
  if (err < 0) return err;

  const ab_json_t *asked = kv->op[WEIGHT];
  bool is_indexer = kv->op[IS_INDEXER] == NULL || kv->op[IS_INDEXER]->as.boolean;
  int64_t weight = is_indexer ? 2 : 1;
  if (asked != NULL && !ab_json_integer(asked, &weight)) return refuse(kv, "weight", "not an integer");
  if (weight < 0 || (uint64_t) weight > AB_MAX_SAFE) return refuse(kv, "weight", "not from 0 to 2^53 - 1");
  return autobee_apply_add_writer(kv->apply, &key, is_indexer, (uint64_t) weight);
}

static int
remove_writer (kv_t *kv) {
  ab_key_t key;
  int err = read_key(kv, REMOVE_WRITER, &key);
  return err < 0 ? err : autobee_apply_remove_writer(kv->apply, &key);
}

static int
put_all (kv_t *kv, member_t member) {
  ab_json_iter_t iter = ab_json_iter(kv->op[member]);
  ab_slice_t key;
  const ab_json_t *value;
  while (ab_json_next_member(&iter, &key, &value)) {
    int err;
    if (value->type != AB_JSON_STRING) return refuse(kv, members[member].name, "a value is not a string");
    ab_slice_t bytes = ab_json_text(value);
    if (member == PUT_HEX) {
      if ((err = read_hex(kv, member, key, &kv->key)) < 0) return err;
      if ((err = read_hex(kv, member, bytes, &kv->value)) < 0) return err;
      key = ab_buf_slice(&kv->key);
      bytes = ab_buf_slice(&kv->value);
    }
    if ((err = autobee_apply_put(kv->apply, key, bytes)) < 0) return err;
  }
  return 0;
}

static int
del_all (kv_t *kv, member_t member) {
  ab_json_iter_t iter = ab_json_iter(kv->op[member]);
  const ab_json_t *item;
  while (ab_json_next(&iter, &item)) {
    int err;
    if (item->type != AB_JSON_STRING) return refuse(kv, members[member].name, "a key is not a string");
    ab_slice_t key = ab_json_text(item);
    if (member == DEL_HEX) {
      if ((err = read_hex(kv, member, key, &kv->key)) < 0) return err;
      key = ab_buf_slice(&kv->key);
    }
    if ((err = autobee_apply_del(kv->apply, key)) < 0) return err;
  }
  return 0;
}

static int
apply_node (kv_t *kv) {
  int err;
  bool is_stranger;
  if ((err = autobee_apply_stranger(kv->apply, kv->node, &is_stranger)) < 0) return err;
  if (is_stranger) return refuse(kv, "optimistic", "not accepted here");
  if ((err = read_operation(kv)) < 0) return err;
  if (kv->op[ADD_WRITER] != NULL && (err = add_writer(kv)) < 0) return err;
  if (kv->op[REMOVE_WRITER] != NULL && (err = remove_writer(kv)) < 0) return err;
  if (kv->op[PUT] != NULL && (err = put_all(kv, PUT)) < 0) return err;
  if (kv->op[DEL] != NULL && (err = del_all(kv, DEL)) < 0) return err;
  if (kv->op[PUT_HEX] != NULL && (err = put_all(kv, PUT_HEX)) < 0) return err;
  if (kv->op[DEL_HEX] != NULL && (err = del_all(kv, DEL_HEX)) < 0) return err;
  return 0;
}

int
autobee_apply_kv (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  (void) data;
  kv_t kv = {.apply = apply};
  int err = 0;
  for (size_t i = 0; err == 0 && i < count; i++) {
    kv.node = &nodes[i];
    err = apply_node(&kv);
  }
  ab_json_doc_destroy(&kv.doc);
  ab_buf_destroy(&kv.key);
  ab_buf_destroy(&kv.value);
  return err;
}

/* vectors_hypercore.c: primitives against the recorded ones: encodings, crypto, numbering, manifests,
 * signatures, block encryption. */
#include <stdlib.h>

#include "hypercore/encoding.h"
#include "hypercore/encryption.h"
#include "memory_core.h"
#include "recorded.h"

/* ---- compact-encoding.json ---- */

typedef struct {
  const char *name;
  json_t *(*decode)(ab_reader_t *in);                 /* as the file shows the value */
  bool (*encode)(ab_buf_t *out, const json_t *shown); /* false: our types cannot hold such a value */
} codec_t;

static json_t *
show_uint (uint64_t value) {
  return json_sprintf("%llu", (unsigned long long) value);
}

static json_t *
show_hex (ab_slice_t bytes) {
  ab_buf_t text = {0};
  for (size_t i = 0; i < bytes.len; i++) {
    for (int shift = 4; shift >= 0; shift -= 4) {
      ab_buf_append(&text, ab_slice(&"0123456789abcdef"[bytes.data[i] >> shift & 15], 1));
    }
  }
  json_t *shown = json_stringn((const char *) text.data, text.len);
  if (text.len == 0) shown = json_string("");
  ab_buf_destroy(&text);
  return shown;
}

static bool
uint_of (const json_t *shown, uint64_t *out) {
  const char *text = vectors_text(shown);
  if (text[0] == '-') return false;
  *out = strtoull(text, NULL, 10);
  return true;
}

static json_t *
decode_uint (ab_reader_t *in) {
  return show_uint(ab_read_uint(in));
}

static bool
encode_uint (ab_buf_t *out, const json_t *shown) {
  uint64_t value;
  if (!uint_of(shown, &value)) return false;
  ab_write_uint(out, value);
  if (out->err == 0) check_uint("size", out->len, ab_uint_size(value));
  return true;
}

#define FIXED_UINT(bits, width, suffix) \
  static json_t *decode_uint##bits(ab_reader_t *in) { \
    return show_uint(ab_read_fixed_uint##suffix(in, width)); \
  } \
  static bool encode_uint##bits(ab_buf_t *out, const json_t *shown) { \
    uint64_t value; \
    if (!uint_of(shown, &value)) return false; \
    ab_write_fixed_uint##suffix(out, value, width); \
    return true; \
  }

FIXED_UINT(8, 1, )
FIXED_UINT(16, 2, )
FIXED_UINT(24, 3, )
FIXED_UINT(32, 4, )
FIXED_UINT(40, 5, )
FIXED_UINT(48, 6, )
FIXED_UINT(56, 7, )
FIXED_UINT(64, 8, )
FIXED_UINT(64be, 8, _be)

static json_t *
decode_int (ab_reader_t *in) {
  return json_sprintf("%lld", (long long) ab_read_int(in));
}

static bool
encode_int (ab_buf_t *out, const json_t *shown) {
  int64_t value = strtoll(vectors_text(shown), NULL, 10);
  ab_write_int(out, value);
  if (out->err == 0) check_uint("size", out->len, ab_int_size(value));
  return true;
}

static json_t *
decode_bool (ab_reader_t *in) {
  return json_string(ab_read_bool(in) ? "true" : "false");
}

static bool
encode_bool (ab_buf_t *out, const json_t *shown) {
  ab_write_bool(out, strcmp(vectors_text(shown), "true") == 0);
  return true;
}

static json_t *
decode_buffer (ab_reader_t *in) {
  return show_hex(ab_read_buffer(in));
}

static bool
encode_buffer (ab_buf_t *out, const json_t *shown) {
  ab_write_buffer(out, vectors_bytes(shown));
  return true;
}

static json_t *
decode_optional_buffer (ab_reader_t *in) {
  ab_slice_t bytes = ab_read_buffer(in);
  return bytes.len == 0 ? json_null() : show_hex(bytes);
}

static json_t *
decode_raw (ab_reader_t *in) {
  return show_hex(ab_read_bytes(in, ab_reader_left(in)));
}

static bool
encode_raw (ab_buf_t *out, const json_t *shown) {
  ab_write_bytes(out, vectors_bytes(shown));
  return true;
}

static json_t *
decode_fixed32 (ab_reader_t *in) {
  return show_hex(ab_read_bytes(in, 32));
}

static bool
encode_fixed32 (ab_buf_t *out, const json_t *shown) {
  return vectors_bytes(shown).len == 32 && encode_raw(out, shown);
}

static json_t *
decode_fixed64 (ab_reader_t *in) {
  return show_hex(ab_read_bytes(in, 64));
}

static bool
encode_fixed64 (ab_buf_t *out, const json_t *shown) {
  return vectors_bytes(shown).len == 64 && encode_raw(out, shown);
}

/* Text is carried as bytes: what is not UTF-8 is shown by jansson as nothing, and the length has to do. */
static json_t *
decode_string (ab_reader_t *in) {
  ab_slice_t bytes = ab_read_buffer(in);
  if (in->err < 0) return NULL;
  return json_stringn((const char *) bytes.data, bytes.len);
}

static bool
encode_string (ab_buf_t *out, const json_t *shown) {
  ab_write_buffer(out, ab_slice(vectors_text(shown), json_string_length(shown)));
  return true;
}

static json_t *
decode_array (ab_reader_t *in, size_t item_min, json_t *(*decode)(ab_reader_t *) ) {
  json_t *list = json_array();
  size_t count = ab_read_count(in, item_min);
  for (size_t i = 0; i < count; i++) json_array_append_new(list, decode(in));
  return list;
}

static bool
encode_array (ab_buf_t *out, const json_t *shown, bool (*encode)(ab_buf_t *, const json_t *)) {
  bool fits = true;
  ab_write_uint(out, json_array_size(shown));
  for (size_t i = 0; i < json_array_size(shown); i++) {
    ab_buf_t item = {0};
    fits = fits && encode(&item, json_array_get(shown, i));
    ab_write_bytes(out, ab_buf_slice(&item));
    ab_buf_destroy(&item);
  }
  return fits;
}

static json_t *
decode_uints (ab_reader_t *in) {
  return decode_array(in, 1, decode_uint);
}

static bool
encode_uints (ab_buf_t *out, const json_t *shown) {
  return encode_array(out, shown, encode_uint);
}

static json_t *
decode_keys (ab_reader_t *in) {
  return decode_array(in, 32, decode_fixed32);
}

static bool
encode_keys (ab_buf_t *out, const json_t *shown) {
  return encode_array(out, shown, encode_fixed32);
}

static json_t *
decode_strings (ab_reader_t *in) {
  return decode_array(in, 1, decode_string);
}

static bool
encode_strings (ab_buf_t *out, const json_t *shown) {
  return encode_array(out, shown, encode_string);
}

static json_t *
decode_words (ab_reader_t *in) {
  return decode_array(in, 4, decode_uint32);
}

static bool
encode_words (ab_buf_t *out, const json_t *shown) {
  return encode_array(out, shown, encode_uint32);
}

static json_t *
decode_frame (ab_reader_t *in, json_t *(*decode)(ab_reader_t *) ) {
  ab_reader_t frame = ab_read_frame(in);
  json_t *shown = decode(&frame);
  if (frame.err < 0) ab_reader_fail(in);
  return shown;
}

static bool
encode_frame (ab_buf_t *out, const json_t *shown, bool (*encode)(ab_buf_t *, const json_t *)) {
  ab_buf_t inner = {0};
  bool fits = encode(&inner, shown);
  ab_write_buffer(out, ab_buf_slice(&inner));
  ab_buf_destroy(&inner);
  return fits;
}

static json_t *
decode_uint_frame (ab_reader_t *in) {
  return decode_frame(in, decode_uint);
}

static bool
encode_uint_frame (ab_buf_t *out, const json_t *shown) {
  return encode_frame(out, shown, encode_uint);
}

static json_t *
decode_string_frame (ab_reader_t *in) {
  return decode_frame(in, decode_string);
}

static bool
encode_string_frame (ab_buf_t *out, const json_t *shown) {
  return encode_frame(out, shown, encode_string);
}

static const codec_t codecs[] = {
  {"uint", decode_uint, encode_uint},
  {"uint8", decode_uint8, encode_uint8},
  {"uint16", decode_uint16, encode_uint16},
  {"uint24", decode_uint24, encode_uint24},
  {"uint32", decode_uint32, encode_uint32},
  {"uint40", decode_uint40, encode_uint40},
  {"uint48", decode_uint48, encode_uint48},
  {"uint56", decode_uint56, encode_uint56},
  {"uint64", decode_uint64, encode_uint64},
  {"uint64be", decode_uint64be, encode_uint64be},
  {"int", decode_int, encode_int},
  {"bool", decode_bool, encode_bool},
  {"buffer", decode_buffer, encode_buffer},
  {"optionalBuffer", decode_optional_buffer, encode_buffer},
  {"raw", decode_raw, encode_raw},
  {"fixed32", decode_fixed32, encode_fixed32},
  {"fixed64", decode_fixed64, encode_fixed64},
  {"string", decode_string, encode_string},
  {"array of uint", decode_uints, encode_uints},
  {"array of fixed32", decode_keys, encode_keys},
  {"array of string", decode_strings, encode_strings},
  {"uint32array", decode_words, encode_words},
  {"frame of uint", decode_uint_frame, encode_uint_frame},
  {"frame of string", decode_string_frame, encode_string_frame},
};

static const codec_t *
find_codec (const char *name) {
  for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++) {
    if (strcmp(codecs[i].name, name) == 0) return &codecs[i];
  }
  return NULL;
}

static void
check_decoding (const codec_t *codec, const json_t *item, bool rejects) {
  ab_slice_t bytes = vectors_get_bytes(item, "hex");
  ab_reader_t in = ab_reader(bytes);
  json_t *shown = codec->decode(&in);
  if (rejects) {
    check_err("decoding", AB_ECORRUPT, in.err);
  } else if (check_err("decoding", 0, in.err)) {
    check_uint("consumed", vectors_get_uint(item, "consumed"), bytes.len - ab_reader_left(&in));
    const json_t *expected = vectors_get(item, "value");
    bool replaced = json_is_string(expected) && strstr(json_string_value(expected), "\xef\xbf\xbd") != NULL;
    if (!replaced) check_that(json_equal(expected, shown) == 1);
  }
  json_decref(shown);
}

static void
check_encoding (const codec_t *codec, const json_t *item, bool rejects) {
  ab_buf_t out = {0};
  bool fits = codec->encode(&out, vectors_get(item, "value"));
  if (rejects) {
    if (fits) check_err("encoding", AB_EINVAL, out.err);
  } else {
    check_that(fits);
    check_err("encoding", 0, out.err);
    ab_slice_t expected = vectors_get_bytes(item, "hex");
    if (expected.len > 0 || out.len > 0) check_bytes("bytes", expected, ab_buf_slice(&out));
  }
  ab_buf_destroy(&out);
}

static void
run_encodings (const char *file, json_t *root) {
  static const char *const lists[] = {"encode", "decode", "reject", "encodeReject"};
  const char *name;
  json_t *codec, *item;
  size_t i;
  (void) file;
  json_object_foreach(vectors_get(root, "codecs"), name, codec) {
    const codec_t *ours = find_codec(name);
    for (size_t list = 0; list < 4; list++) {
      json_array_foreach(vectors_get(codec, lists[list]), i, item) {
        vectors_begin(NULL, "codecs", "%s %s %zu", name, lists[list], i);
        if (ours == NULL) vectors_fail("no such codec");
        else if (list == 0 || list == 3) check_encoding(ours, item, list == 3);
        else check_decoding(ours, item, list == 2);
      }
    }
  }
}

/* ---- crypto.json ---- */

static void
run_keys_and_signatures (json_t *root) {
  json_t *item;
  size_t i;
  json_array_foreach(vectors_get(root, "keyPairs"), i, item) {
    ab_key_pair_t pair;
    vectors_begin(NULL, "keyPairs", "%zu", i);
    recorded_key_pair(item, "seed", &pair);
    check_hash("public key", vectors_get(item, "publicKey"), pair.public_key);
    check_bytes("secret key", vectors_get_bytes(item, "secretKey"), ab_slice(pair.secret_key, 64));
  }
  json_array_foreach(vectors_get(root, "signatures"), i, item) {
    ab_key_t key;
    vectors_begin(NULL, "signatures", "%zu %s", i, vectors_get_text(item, "what"));
    vectors_get_key(item, "publicKey", &key);
    bool valid =
      ab_verify(vectors_get_bytes(item, "signature"), vectors_get_bytes(item, "message"), key.bytes);
    check_that(valid == vectors_get_bool(item, "valid"));
  }
}

static void
run_namespaces (json_t *root) {
  static const struct {
    const char *name;
    const uint8_t *value;
  } constants[] = {
    {"TREE", ab_ns_tree},
    {"REPLICATE_INITIATOR", ab_ns_replicate_initiator},
    {"REPLICATE_RESPONDER", ab_ns_replicate_responder},
    {"MANIFEST", ab_ns_manifest},
    {"DEFAULT_NAMESPACE", ab_ns_default},
    {"DEFAULT_ENCRYPTION", ab_ns_default_encryption},
    {"CORESTORE", ab_ns_corestore},
  };
  const json_t *recorded = vectors_get(root, "constants");
  json_t *item, *id;
  size_t i, j;
  for (i = 0; i < sizeof(constants) / sizeof(constants[0]); i++) {
    vectors_begin(NULL, "constants", "%s", constants[i].name);
    check_hash("constant", vectors_get(recorded, constants[i].name), constants[i].value);
  }
  json_array_foreach(vectors_get(root, "namespaces"), i, item) {
    vectors_begin(NULL, "namespaces", "%zu", i);
    json_array_foreach(vectors_get(item, "ids"), j, id) {
      uint8_t found[32];
      if (vectors_has(item, "name")) {
        ab_namespace(found, vectors_get_text(item, "name"), (uint8_t) vectors_uint(id));
      } else {
        uint8_t byte = (uint8_t) vectors_uint(id);
        ab_slice_t parts[2] = {vectors_get_bytes(item, "nameBytes"), ab_slice(&byte, 1)};
        ab_hash(found, parts, 1);
        parts[0] = ab_slice(found, 32);
        ab_hash(found, parts, 2);
      }
      check_hash("namespace", json_array_get(vectors_get(item, "list"), j), found);
    }
  }
}

static void
run_hashes (json_t *root) {
  json_t *item, *part;
  ab_arena_t arena = {0};
  uint8_t found[32];
  ab_node_t node;
  size_t i, j;
  json_array_foreach(vectors_get(root, "hashes"), i, item) {
    ab_slice_t parts[8];
    vectors_begin(NULL, "hashes", "%zu", i);
    size_t count = json_array_size(vectors_get(item, "parts"));
    check_that(count <= 8);
    json_array_foreach(vectors_get(item, "parts"), j, part) parts[j] = vectors_bytes(part);
    ab_hash(found, parts, count);
    check_hash("hash", vectors_get(item, "hash"), found);
  }
  json_array_foreach(vectors_get(root, "leaves"), i, item) {
    vectors_begin(NULL, "leaves", "%zu", i);
    ab_node_leaf(i, vectors_get_bytes(item, "data"), &node);
    check_uint("index", 2 * i, node.index);
    check_uint("size", vectors_get_uint(item, "size"), node.size);
    check_hash("hash", vectors_get(item, "hash"), node.hash);
  }
  json_array_foreach(vectors_get(root, "parents"), i, item) {
    ab_node_t left, right;
    vectors_begin(NULL, "parents", "%zu", i);
    recorded_node(vectors_get(item, "left"), &left);
    recorded_node(vectors_get(item, "right"), &right);
    check_err("parent", 0, ab_node_parent(&left, &right, &node));
    check_uint("index", ab_flat_parent(left.index), node.index);
    check_uint("size", vectors_get_uint(item, "size"), node.size);
    check_hash("hash", vectors_get(item, "hash"), node.hash);
  }
  json_array_foreach(vectors_get(root, "trees"), i, item) {
    vectors_begin(NULL, "trees", "%zu", i);
    ab_nodes_t roots = recorded_nodes(vectors_get(item, "roots"), &arena);
    ab_roots_hash(roots.nodes, roots.count, found);
    check_hash("hash", vectors_get(item, "hash"), found);
  }
  ab_arena_destroy(&arena);
}

/* The three forms of what is signed: `context` as the key, as the signer, and as the signer in the old way.
 */
static void
run_signables (json_t *root) {
  json_t *item;
  size_t i;
  json_array_foreach(vectors_get(root, "signables"), i, item) {
    uint8_t found[AB_SIGNABLE_MAX];
    ab_key_t context, other = {{0}};
    ab_signer_t signer;
    ab_manifest_t manifest;
    vectors_begin(NULL, "signables", "%zu", i);
    vectors_get_key(item, "context", &context);
    ab_slice_t hash = vectors_get_bytes(item, "treeHash");
    uint64_t length = vectors_get_uint(item, "length"), fork = vectors_get_uint(item, "fork");

    ab_manifest_default(other.bytes, &signer, &manifest);
    ab_verifier_t verifier = {.manifest = &manifest, .key = &context};
    size_t len = ab_signable(&verifier, 0, hash.data, length, fork, found);
    check_bytes("version 1", vectors_get_bytes(item, "signable"), ab_slice(found, len));

    memcpy(signer.ns, context.bytes, 32);
    manifest.version = 0;
    len = ab_signable(&verifier, 0, hash.data, length, fork, found);
    check_bytes("version 0", vectors_get_bytes(item, "signable"), ab_slice(found, len));

    ab_manifest_default(context.bytes, &signer, &manifest);
    len = ab_signable(&verifier, 0, hash.data, length, fork, found);
    check_bytes("compat", vectors_get_bytes(item, "signableCompat"), ab_slice(found, len));

    verifier.legacy = true;
    len = ab_signable(&verifier, 0, hash.data, length, fork, found);
    check_bytes("legacy", vectors_get_bytes(item, "signableLegacy"), ab_slice(found, len));
  }
}

static void
run_ids (json_t *root) {
  json_t *item;
  ab_key_t key, found;
  size_t i;
  json_array_foreach(vectors_get(root, "capabilities"), i, item) {
    vectors_begin(NULL, "capabilities", "%zu", i);
    vectors_get_key(item, "key", &key);
    ab_slice_t handshake_hash = vectors_get_bytes(item, "handshakeHash");
    ab_replicate_capability(found.bytes, handshake_hash.data, true, &key);
    check_hash("initiator", vectors_get(item, "initiator"), found.bytes);
    ab_replicate_capability(found.bytes, handshake_hash.data, false, &key);
    check_hash("responder", vectors_get(item, "responder"), found.bytes);
  }
  json_array_foreach(vectors_get(root, "discoveryKeys"), i, item) {
    vectors_begin(NULL, "discoveryKeys", "%zu", i);
    vectors_get_key(item, "key", &key);
    ab_discovery_key(&found, &key);
    check_hash("discovery key", vectors_get(item, "discoveryKey"), found.bytes);
  }
  json_array_foreach(vectors_get(root, "ids"), i, item) {
    char text[AB_KEY_TEXT_LEN + 1];
    vectors_begin(NULL, "ids", "%zu", i);
    vectors_get_key(item, "key", &key);
    ab_key_to_text(&key, text);
    check_text("id", vectors_get_text(item, "id"), text);
    check_err("read", 0, ab_key_from_text(ab_text(text), &found));
    check_hash("read back", vectors_get(item, "key"), found.bytes);
  }
  json_array_foreach(vectors_get(root, "idDecode"), i, item) {
    vectors_begin(NULL, "idDecode", "%zu", i);
    int err = ab_key_from_text(ab_text(vectors_get_text(item, "input")), &found);
    if (!vectors_has(item, "key")) check_err("read", AB_EINVAL, err);
    else if (check_err("read", 0, err)) check_hash("key", vectors_get(item, "key"), found.bytes);
  }
}

static void
run_crypto (const char *file, json_t *root) {
  (void) file;
  run_keys_and_signatures(root);
  run_namespaces(root);
  run_hashes(root);
  run_signables(root);
  run_ids(root);
}

/* ---- flat-tree.json ---- */

/* The nodes that come up when a tree of `from` blocks grows to `to`. */
static size_t
grow_flat (uint64_t from, uint64_t to, ab_node_list_t *added) {
  uint64_t indexes[AB_UPGRADE_NODES_MAX];
  ab_tree_t tree = {.length = from};
  tree.root_count = ab_flat_roots(from, indexes);
  for (size_t i = 0; i < tree.root_count; i++) tree.roots[i].index = indexes[i];
  size_t count = ab_upgrade_nodes(from, to, indexes);
  for (size_t i = 0; i < count; i++) {
    ab_node_t node = {.index = indexes[i]};
    check_err("append", 0, ab_tree_append(&tree, &node, added));
  }
  check_uint("length", to, tree.length);
  return added->count;
}

static void
run_flat_tree (const char *file, json_t *root) {
  json_t *item, *index;
  size_t i, j;
  (void) file;
  json_array_foreach(vectors_get(root, "indexes"), i, item) {
    uint64_t at = vectors_get_uint(item, "index");
    const json_t *spans = vectors_get(item, "spans");
    vectors_begin(NULL, "indexes", "%llu", (unsigned long long) at);
    check_uint("depth", vectors_get_uint(item, "depth"), ab_flat_depth(at));
    check_uint("offset", vectors_get_uint(item, "offset"), ab_flat_offset(at));
    check_uint("index", at, ab_flat_index(ab_flat_depth(at), ab_flat_offset(at)));
    check_uint("parent", vectors_get_uint(item, "parent"), ab_flat_parent(at));
    check_uint("sibling", vectors_get_uint(item, "sibling"), ab_flat_sibling(at));
    check_that(vectors_has(item, "children") == !ab_flat_is_leaf(at));
    if (vectors_has(item, "children")) {
      const json_t *children = vectors_get(item, "children");
      check_uint("left", vectors_uint(json_array_get(children, 0)), ab_flat_left(at));
      check_uint("right", vectors_uint(json_array_get(children, 1)), ab_flat_right(at));
    }
    check_uint("left span", vectors_uint(json_array_get(spans, 0)), ab_flat_lspan(at));
    check_uint("right span", vectors_uint(json_array_get(spans, 1)), ab_flat_rspan(at));
    check_uint("nodes", vectors_get_uint(item, "count"), 2 * ab_flat_leaves(at) - 1);
    check_uint("leaves", vectors_get_uint(item, "leaves"), ab_flat_leaves(at));
    check_that(ab_flat_contains(ab_flat_parent(at), at) && !ab_flat_contains(ab_flat_sibling(at), at));
  }
  json_array_foreach(vectors_get(root, "fullRoots"), i, item) {
    uint64_t roots[AB_ROOTS_MAX] = {0};
    vectors_begin(NULL, "fullRoots", "%zu", i);
    size_t count = ab_flat_roots(vectors_get_uint(item, "length"), roots);
    if (!check_uint("roots", json_array_size(vectors_get(item, "roots")), count)) continue;
    json_array_foreach(vectors_get(item, "roots"), j, index)
      check_uint("root", vectors_uint(index), roots[j]);
  }
  json_array_foreach(vectors_get(root, "patches"), i, item) {
    ab_arena_t arena = {0};
    ab_node_list_t added = {.arena = &arena};
    uint64_t from = vectors_get_uint(item, "from");
    vectors_begin(NULL, "patches", "%zu", i);
    size_t count = from == 0 ? 0 : grow_flat(from, vectors_get_uint(item, "to"), &added);
    if (check_uint("nodes", json_array_size(vectors_get(item, "indexes")), count) && count > 0) {
      json_array_foreach(vectors_get(item, "indexes"), j, index) {
        check_uint("node", vectors_uint(index), added.nodes[j].index);
      }
    }
    ab_arena_destroy(&arena);
  }
}

/* ---- manifests.json ---- */

static bool
bytes_of_32 (const json_t *object, const char *member, uint8_t out[32]) {
  ab_slice_t bytes = vectors_get_bytes(object, member);
  if (bytes.len != 32) return false;
  memcpy(out, bytes.data, 32);
  return true;
}

static bool
signers_of_input (const json_t *input, ab_arena_t *arena, ab_manifest_t *out) {
  const json_t *list = json_object_get(input, "signers");
  ab_signer_t *signers = ab_arena_zalloc(arena, json_array_size(list), sizeof(*signers));
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *item = json_array_get(list, i);
    uint8_t key[32];
    if (vectors_has(item, "signature") && strcmp(vectors_get_text(item, "signature"), "ed25519") != 0)
      return false;
    if (!bytes_of_32(item, "publicKey", key)) return false;
    signers[i] = ab_signer(key);
    if (vectors_has(item, "namespace") && !bytes_of_32(item, "namespace", signers[i].ns)) return false;
  }
  out->signers = signers;
  out->signer_count = json_array_size(list);
  return true;
}

/* What a user gave, as far as our types can hold it. */
static bool
manifest_of_input (const json_t *input, ab_arena_t *arena, ab_manifest_t *out) {
  *out = (ab_manifest_t){.version = AB_MANIFEST_AUTO, .quorum = AB_MANIFEST_AUTO};
  if (vectors_has(input, "version")) out->version = vectors_get_uint(input, "version");
  if (vectors_has(input, "hash") && strcmp(vectors_get_text(input, "hash"), "blake2b") != 0) return false;
  if (vectors_has(input, "allowPatch")) out->allow_patch = vectors_get_bool(input, "allowPatch");
  if (vectors_has(input, "quorum")) {
    if (vectors_get_int(input, "quorum") < 0) return false;
    out->quorum = vectors_get_uint(input, "quorum");
  }
  if (!signers_of_input(input, arena, out)) return false;
  if (vectors_has(input, "prologue")) {
    const json_t *prologue = vectors_get(input, "prologue");
    out->has_prologue = true;
    if (!bytes_of_32(prologue, "hash", out->prologue_hash) || !vectors_has(prologue, "length")) return false;
    out->prologue_length = vectors_get_uint(prologue, "length");
  }
  if (vectors_has(input, "linked")) {
    const json_t *list = vectors_get(input, "linked");
    ab_key_t *linked = ab_arena_alloc(arena, json_array_size(list), sizeof(*linked));
    for (size_t i = 0; i < json_array_size(list); i++) {
      ab_slice_t key = vectors_bytes(json_array_get(list, i));
      if (key.len != 32) return false;
      memcpy(linked[i].bytes, key.data, 32);
    }
    out->has_linked = true;
    out->linked = linked;
    out->linked_count = json_array_size(list);
  }
  out->has_user_data = vectors_has(input, "userData");
  if (out->has_user_data) out->user_data = vectors_get_bytes(input, "userData");
  return true;
}

static void
check_manifest (const json_t *expected, const ab_manifest_t *found) {
  const json_t *signers = vectors_get(expected, "signers"), *prologue = vectors_get(expected, "prologue");
  const json_t *linked = vectors_get(expected, "linked");
  check_uint("version", vectors_get_uint(expected, "version"), found->version);
  check_that(vectors_get_bool(expected, "allowPatch") == found->allow_patch);
  check_uint("quorum", vectors_get_uint(expected, "quorum"), found->quorum);
  if (check_uint("signers", json_array_size(signers), found->signer_count)) {
    for (size_t i = 0; i < found->signer_count; i++) {
      const json_t *signer = json_array_get(signers, i);
      check_hash("namespace", vectors_get(signer, "namespace"), found->signers[i].ns);
      check_hash("public key", vectors_get(signer, "publicKey"), found->signers[i].public_key);
    }
  }
  if (check_that(!json_is_null(prologue) == found->has_prologue) && found->has_prologue) {
    check_hash("prologue hash", vectors_get(prologue, "hash"), found->prologue_hash);
    check_uint("prologue length", vectors_get_uint(prologue, "length"), found->prologue_length);
  }
  if (check_that(!json_is_null(linked) == found->has_linked) && found->has_linked) {
    if (check_uint("linked", json_array_size(linked), found->linked_count)) {
      for (size_t i = 0; i < found->linked_count; i++) {
        check_hash("linked", json_array_get(linked, i), found->linked[i].bytes);
      }
    }
  }
  if (check_that(vectors_has(expected, "userData") == found->has_user_data) && found->has_user_data) {
    check_bytes("user data", vectors_get_bytes(expected, "userData"), found->user_data);
  }
}

/* What is stored must come back whole, whatever the version. */
static void
check_record (const ab_manifest_t *manifest, const json_t *expected, ab_arena_t *arena) {
  ab_buf_t record = {0};
  ab_manifest_t copy;
  ab_manifest_encode_record(&record, manifest);
  ab_reader_t in = ab_reader(ab_buf_slice(&record));
  check_err("decode the record", 0, ab_manifest_decode_record(&in, arena, &copy));
  check_manifest(expected, &copy);
  ab_buf_destroy(&record);
}

static void
run_manifest (const json_t *item, ab_arena_t *arena) {
  ab_buf_t encoded = {0};
  ab_manifest_t manifest, parsed, copy;
  ab_key_t key, discovery_key;
  char text[AB_KEY_TEXT_LEN + 1];

  if (!check_that(manifest_of_input(vectors_get(item, "input"), arena, &manifest))) return;
  check_err("normalize", 0, ab_manifest_normalize(&manifest));
  check_manifest(vectors_get(item, "manifest"), &manifest);
  ab_manifest_encode(&encoded, &manifest);
  check_bytes("encoded", vectors_get_bytes(item, "encoded"), ab_buf_slice(&encoded));
  check_err("key", 0, ab_manifest_key(&manifest, &key));
  check_hash("key", vectors_get(item, "key"), key.bytes);
  ab_discovery_key(&discovery_key, &key);
  check_hash("discovery key", vectors_get(item, "discoveryKey"), discovery_key.bytes);
  ab_key_to_text(&key, text);
  check_text("id", vectors_get_text(item, "id"), text);
  check_err("parse", 0, ab_manifest_parse(ab_buf_slice(&encoded), &key, arena, &parsed));
  check_err(
    "parse with another key",
    AB_ECHECKSUM,
    ab_manifest_parse(ab_buf_slice(&encoded), &discovery_key, arena, &parsed)
  );
  check_record(&manifest, vectors_get(item, "manifest"), arena);
  check_err("copy", 0, ab_manifest_copy(&manifest, arena, &copy));
  check_manifest(vectors_get(item, "manifest"), &copy);
  ab_buf_destroy(&encoded);
}

static void
check_shortcut (const json_t *item, const char *member, uint64_t version) {
  ab_key_t public_key, key;
  ab_manifest_t manifest;
  ab_signer_t signer;
  vectors_get_key(item, "publicKey", &public_key);
  ab_manifest_default(public_key.bytes, &signer, &manifest);
  manifest.version = version;
  memcpy(signer.ns, vectors_get_bytes(item, "namespace").data, 32);
  check_err("key", 0, ab_manifest_key(&manifest, &key));
  check_hash(member, vectors_get(item, member), key.bytes);
  check_that(!ab_manifest_is_compat(&manifest, &key));
  vectors_get_key(item, "compat", &key);
  check_that(ab_manifest_is_compat(&manifest, &key));
}

static void
run_raw_manifest (const json_t *item, ab_arena_t *arena) {
  ab_slice_t raw = vectors_get_bytes(item, "raw");
  ab_reader_t in = ab_reader(raw);
  ab_buf_t encoded = {0};
  ab_manifest_t manifest;
  ab_key_t key;
  int err = ab_manifest_decode(&in, arena, &manifest);
  if (!vectors_get_bool(item, "decodes")) {
    check_err("decode", AB_ECORRUPT, err);
  } else if (check_err("decode", 0, err)) {
    check_manifest(vectors_get(item, "manifest"), &manifest);
    ab_manifest_encode(&encoded, &manifest);
    check_bytes("encoded again", vectors_get_bytes(item, "reencoded"), ab_buf_slice(&encoded));
    check_err("key", 0, ab_manifest_key(&manifest, &key));
    check_hash("key", vectors_get(item, "hash"), key.bytes);
  }
  bool parses = strcmp(vectors_get_text(item, "parse"), "ok") == 0;
  check_err("parse", parses ? 0 : AB_ECORRUPT, ab_manifest_parse(raw, NULL, arena, &manifest));
  ab_buf_destroy(&encoded);
}

static void
run_manifests (const char *file, json_t *root) {
  ab_arena_t arena = {0};
  ab_manifest_t manifest;
  json_t *item;
  size_t i;
  (void) file;
  json_array_foreach(vectors_get(root, "manifests"), i, item) {
    vectors_begin(NULL, "manifests", "%s", vectors_get_text(item, "what"));
    run_manifest(item, &arena);
  }
  json_array_foreach(vectors_get(root, "inputRejects"), i, item) {
    vectors_begin(NULL, "inputRejects", "%s", vectors_get_text(item, "what"));
    if (manifest_of_input(vectors_get(item, "input"), &arena, &manifest)) {
      check_err("normalize", AB_EINVAL, ab_manifest_normalize(&manifest));
    }
  }
  json_array_foreach(vectors_get(root, "keyShortcuts"), i, item) {
    vectors_begin(NULL, "keyShortcuts", "%zu", i);
    check_hash("compat", vectors_get(item, "compat"), vectors_get_bytes(item, "publicKey").data);
    check_shortcut(item, "version0", 0);
    check_shortcut(item, "version1", 1);
    check_shortcut(item, "version2", 2);
  }
  json_array_foreach(vectors_get(root, "raw"), i, item) {
    vectors_begin(NULL, "raw", "%s", vectors_get_text(item, "what"));
    run_raw_manifest(item, &arena);
  }
  ab_arena_destroy(&arena);
}

/* ---- multisig.json ---- */

static void
load_pair (const json_t *secret_key, ab_key_pair_t *out) {
  ab_slice_t secret = vectors_bytes(secret_key);
  check_uint("secret key", 64, secret.len);
  memcpy(out->secret_key, secret.data, 64);
  memcpy(out->public_key, secret.data + 32, 32);
}

/* Signer `signer`'s part for `target`, signed at the current length of `core`. */
static ab_partial_t
make_partial (
  memory_core_t *core,
  const ab_verifier_t *verifier,
  const ab_key_pair_t *pair,
  size_t signer,
  uint64_t target,
  ab_arena_t *arena
) {
  ab_partial_t partial = {.signer = signer, .patch = core->tree.length - target};
  uint8_t hash[32], signable[AB_SIGNABLE_MAX];
  ab_tree_hash(&core->tree, hash);
  size_t len = ab_signable(verifier, signer, hash, core->tree.length, core->tree.fork, signable);
  ab_sign(partial.signature, ab_slice(signable, len), pair);
  if (partial.patch > 0) {
    ab_request_t request = {.has_upgrade = true, .upgrade = {target, partial.patch}};
    ab_proof_t proof;
    check_err("patch", 0, memory_core_prove(core, &request, arena, &proof));
    partial.nodes = proof.upgrade.nodes.nodes;
    partial.node_count = proof.upgrade.nodes.count;
  }
  return partial;
}

/* Signatures that we can put together ourselves must come out the same. */
static void
check_assembled (
  const json_t *item,
  const json_t *signature,
  memory_core_t *core,
  const ab_manifest_t *manifest,
  ab_arena_t *arena
) {
  const char *what = vectors_get_text(signature, "what");
  bool patched = strstr(what, "provides a patch") != NULL;
  if (!patched && strcmp(what, "exactly a quorum, in order") != 0) return;

  ab_verifier_t verifier = {.manifest = manifest, .key = &core->key};
  uint64_t length = vectors_get_uint(item, "length");
  ab_partial_t partials[8];
  ab_buf_t found = {0};
  size_t count = manifest->quorum == 0 ? 1 : (size_t) manifest->quorum;
  for (size_t i = 0; i < count; i++) {
    ab_key_pair_t pair;
    ab_tree_t whole = core->tree;
    ab_node_source_t source = memory_core_source(core);
    load_pair(json_array_get(vectors_get(item, "secretKeys"), i), &pair);
    if (!patched || i > 0) check_err("load", 0, ab_tree_load(&core->tree, whole.fork, length, &source));
    partials[i] = make_partial(core, &verifier, &pair, i, length, arena);
    core->tree = whole;
  }
  ab_signature_assemble(&found, manifest, partials, count);
  check_err("assemble", 0, found.err);
  check_bytes("assembled", vectors_get_bytes(signature, "signature"), ab_buf_slice(&found));
  ab_buf_destroy(&found);
}

static void
run_multisig (const char *file, json_t *root) {
  json_t *item, *signature, *block;
  size_t i, j;
  (void) file;
  json_array_foreach(vectors_get(root, "cases"), i, item) {
    ab_arena_t arena = {0};
    memory_core_t core = {0};
    ab_manifest_t manifest;
    ab_tree_t tree;
    uint8_t hash[32];

    vectors_begin(NULL, "cases", "%zu", i);
    check_that(manifest_of_input(vectors_get(item, "manifest"), &arena, &manifest));
    vectors_get_key(item, "key", &core.key);
    json_array_foreach(vectors_get(item, "blocks"), j, block) memory_core_append(&core, vectors_bytes(block));
    ab_node_source_t source = memory_core_source(&core);
    check_err(
      "load",
      0,
      ab_tree_load(&tree, vectors_get_uint(item, "fork"), vectors_get_uint(item, "length"), &source)
    );
    ab_tree_hash(&tree, hash);
    check_hash("tree hash", vectors_get(item, "treeHash"), hash);
    check_nodes("roots", vectors_get(item, "roots"), tree.roots, tree.root_count);

    ab_verifier_t verifier = {.manifest = &manifest, .key = &core.key};
    json_array_foreach(vectors_get(item, "signatures"), j, signature) {
      const json_t *valid = vectors_get(signature, "valid");
      vectors_begin(NULL, "cases", "%zu %s", i, vectors_get_text(signature, "what"));
      int expected = json_is_true(valid) ? 0 : json_is_false(valid) ? AB_ESIGNATURE : AB_ECORRUPT;
      check_err(
        "verify",
        expected,
        ab_tree_verify(&verifier, &tree, vectors_get_bytes(signature, "signature"), &arena)
      );
      check_assembled(item, signature, &core, &manifest, &arena);
      if (strcmp(vectors_get_text(signature, "what"), "what the library stores when signing") == 0) {
        uint8_t found[AB_SIGNATURE_MAX];
        ab_key_pair_t pair;
        size_t len;
        load_pair(json_array_get(vectors_get(item, "secretKeys"), 0), &pair);
        check_err("sign", 0, ab_tree_sign(&verifier, &tree, &pair, found, &len));
        check_bytes("signed", vectors_get_bytes(signature, "signature"), ab_slice(found, len));
      }
    }
    memory_core_destroy(&core);
    ab_arena_destroy(&arena);
  }
}

/* ---- encryption.json ---- */

static ab_cipher_mode_t
cipher_mode (const json_t *item) {
  const char *mode = vectors_get_text(item, "mode");
  if (strcmp(mode, "compat") == 0) return AB_CIPHER_KEY_COMPAT;
  return strcmp(mode, "block") == 0 ? AB_CIPHER_KEY_BLOCK : AB_CIPHER_KEY_DEFAULT;
}

static void
check_block (
  const ab_cipher_t *cipher,
  const ab_key_t *key,
  uint64_t index,
  uint64_t fork,
  ab_slice_t plain,
  ab_slice_t stored
) {
  uint8_t *found = malloc(plain.len + AB_CIPHER_PADDING), *back = malloc(plain.len + 1);
  check_err("encrypt", 0, ab_cipher_encrypt(cipher, key, index, fork, plain, found));
  check_bytes("stored", stored, ab_slice(found, plain.len + AB_CIPHER_PADDING));
  check_err("decrypt", 0, ab_cipher_decrypt(cipher, index, stored, back));
  check_bytes("plain", plain, ab_slice(back, plain.len));
  free(found);
  free(back);
}

static void
run_encrypted_step (const json_t *step, memory_core_t *core, const ab_cipher_t *cipher) {
  ab_node_source_t source = memory_core_source(core);
  json_t *item;
  uint8_t hash[32];
  size_t i;
  if (strcmp(vectors_get_text(step, "op"), "truncate") == 0) {
    uint64_t to = vectors_get_uint(step, "truncateTo");
    check_err("truncate", 0, memory_core_truncate(core, to, core->tree.fork + 1));
  } else {
    json_array_foreach(vectors_get(step, "blocks"), i, item) {
      ab_slice_t plain = vectors_bytes(item);
      uint8_t *stored = malloc(plain.len + AB_CIPHER_PADDING);
      check_err(
        "encrypt", 0, ab_cipher_encrypt(cipher, &core->key, core->tree.length, core->tree.fork, plain, stored)
      );
      check_err("append", 0, memory_core_append(core, ab_slice(stored, plain.len + AB_CIPHER_PADDING)));
      free(stored);
    }
    const json_t *result = vectors_get(step, "result");
    check_uint("appended length", vectors_get_uint(result, "length"), core->tree.length);
    check_uint("appended bytes", vectors_get_uint(result, "byteLength"), core->tree.byte_length);
  }
  check_uint("length", vectors_get_uint(step, "length"), core->tree.length);
  check_uint("fork", vectors_get_uint(step, "fork"), core->tree.fork);
  check_uint("stored bytes", vectors_get_uint(step, "storedByteLength"), core->tree.byte_length);
  check_uint(
    "bytes",
    vectors_get_uint(step, "byteLength"),
    core->tree.byte_length - AB_CIPHER_PADDING * core->tree.length
  );
  ab_tree_hash(&core->tree, hash);
  check_hash("tree hash", vectors_get(step, "treeHash"), hash);
  check_bytes("signature", vectors_get_bytes(step, "signature"), ab_buf_slice(&core->signature));
  json_array_foreach(vectors_get(step, "stored"), i, item)
    check_bytes("block", vectors_bytes(item), core->blocks[i]);
  json_array_foreach(vectors_get(step, "seeks"), i, item) {
    uint64_t block, offset;
    int err = ab_tree_seek(
      &core->tree, &source, vectors_uint(json_array_get(item, 0)), AB_CIPHER_PADDING, &block, &offset
    );
    if (json_array_size(item) < 3) {
      check_err("seek", AB_ENOTFOUND, err);
    } else if (check_err("seek", 0, err)) {
      check_uint("seek block", vectors_uint(json_array_get(item, 1)), block);
      check_uint("seek offset", vectors_uint(json_array_get(item, 2)), offset);
    }
  }
}

static void
run_encrypted_core (const json_t *item) {
  memory_core_t core = {0};
  ab_key_t encryption_key;
  ab_key_pair_t pair;
  ab_cipher_t cipher;
  ab_manifest_t manifest;
  ab_signer_t signer;
  json_t *step;
  size_t i;
  recorded_key_pair(item, "seed", &pair);
  vectors_get_key(item, "encryptionKey", &encryption_key);
  vectors_get_key(item, "key", &core.key);
  ab_manifest_default(pair.public_key, &signer, &manifest);
  core.manifest = &manifest;
  core.pair = &pair;
  ab_cipher_derive(&cipher, cipher_mode(item), encryption_key.bytes, &core.key);
  cipher.synthetic_padding = false;
  check_hash("block key", vectors_get(item, "blockKey"), cipher.block_key);
  check_hash("blinding key", vectors_get(item, "blindingKey"), cipher.blinding_key);
  json_array_foreach(vectors_get(item, "steps"), i, step) run_encrypted_step(step, &core, &cipher);
  memory_core_destroy(&core);
}

static void
run_encryption (const char *file, json_t *root) {
  ab_cipher_t cipher;
  ab_key_t core_key, key;
  json_t *item;
  size_t i;
  (void) file;
  json_array_foreach(vectors_get(root, "derivations"), i, item) {
    vectors_begin(NULL, "derivations", "%zu", i);
    vectors_get_key(item, "encryptionKey", &key);
    vectors_get_key(item, "coreKey", &core_key);
    ab_cipher_derive(&cipher, cipher_mode(item), key.bytes, &core_key);
    check_hash("block key", vectors_get(item, "blockKey"), cipher.block_key);
    check_hash("blinding key", vectors_get(item, "blindingKey"), cipher.blinding_key);
  }
  json_array_foreach(vectors_get(root, "blocks"), i, item) {
    vectors_begin(NULL, "blocks", "%zu", i);
    vectors_get_key(item, "blockKey", &key);
    ab_cipher_scheme_1(&cipher, key.bytes);
    check_hash("blinding key", vectors_get(item, "blindingKey"), cipher.blinding_key);
    cipher.synthetic_padding = false;
    uint64_t index = vectors_get_uint(item, "index"), fork = vectors_get_uint(item, "fork");
    check_block(
      &cipher, &key, index, fork, vectors_get_bytes(item, "plaintext"), vectors_get_bytes(item, "stored")
    );
  }
  json_array_foreach(vectors_get(root, "cores"), i, item) {
    vectors_begin(NULL, "cores", "%s", vectors_get_text(item, "mode"));
    run_encrypted_core(item);
  }
}

int
main (int argc, char **argv) {
  static const vectors_runner_t runners[] = {
    {"compact-encoding.json", run_encodings},
    {"crypto.json", run_crypto},
    {"flat-tree.json", run_flat_tree},
    {"manifests.json", run_manifests},
    {"multisig.json", run_multisig},
    {"encryption.json", run_encryption},
  };
  if (ab_crypto_init() < 0) return 1;
  return vectors_main(argc, argv, "hypercore", runners, sizeof(runners) / sizeof(runners[0]));
}

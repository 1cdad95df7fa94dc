/* vectors_hypercore.c: crypto, numbering and block encryption against the recorded ones. */
#include <stdlib.h>

#include "hypercore/encryption.h"
#include "memory_core.h"
#include "recorded.h"

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
    {"crypto.json", run_crypto},
    {"flat-tree.json", run_flat_tree},
    {"encryption.json", run_encryption},
  };
  if (ab_crypto_init() < 0) return 1;
  return vectors_main(argc, argv, "hypercore", runners, sizeof(runners) / sizeof(runners[0]));
}

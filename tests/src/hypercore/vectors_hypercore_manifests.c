/* vectors_hypercore_manifests.c: manifests, and the signatures of several signers, against the recorded ones.
 */
#include "memory_core.h"
#include "recorded.h"

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

int
main (int argc, char **argv) {
  static const vectors_runner_t runners[] = {
    {"manifests.json", run_manifests},
    {"multisig.json", run_multisig},
  };
  if (ab_crypto_init() < 0) return 1;
  return vectors_main(argc, argv, "hypercore", runners, sizeof(runners) / sizeof(runners[0]));
}

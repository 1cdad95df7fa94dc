/* vectors_hypercore_store.c: the recorded cores, sequences, names and proofs through stores on disk.
 *
 * Every state is compared after a commit, and once more after the store was closed and opened again.
 */
#include "hypercore/core.h"
#include "hypercore/crypto.h"
#include "recorded.h"
#include "support/tmpdir.h"

#include <stdlib.h>

/* A core in a store of its own. */
typedef struct {
  char dir[TMPDIR_MAX];
  char path[TMPDIR_MAX];
  ab_store_t *store;
  hypercore_t *core;
  ab_key_t key;
} place_t;

static bool
open_store (place_t *place) {
  char message[256];
  ab_store_options_t options = ab_store_options_default();
  options.relaxed = true; /* nobody pulls the plug here */
  int err = ab_store_open(place->path, &options, &place->store, message, sizeof(message));
  if (err < 0) vectors_fail("open the store: %s", message);
  return err == 0;
}

static bool
open_core (place_t *place, const ab_key_pair_t *pair, ab_slice_t manifest) {
  hypercore_options_t options = hypercore_options_default();
  options.key = &place->key;
  options.key_pair = pair;
  options.manifest = manifest;
  return check_err("open the core", 0, hypercore_open(place->store, &options, &place->core));
}

static bool
begin_place (place_t *place, const ab_key_t *key, const ab_key_pair_t *pair, ab_slice_t manifest) {
  *place = (place_t){.key = *key};
  tmpdir_make(place->dir);
  tmpdir_path(place->path, place->dir, "store");
  return open_store(place) && open_core(place, pair, manifest);
}

static void
end_place (place_t *place) {
  if (place->store != NULL) check_err("close", 0, ab_store_close(place->store));
  tmpdir_remove(place->dir);
}

/* Close and open again; the core by its key alone. */
static bool
reopen (place_t *place) {
  check_err("close", 0, ab_store_close(place->store));
  place->store = NULL;
  place->core = NULL;
  return open_store(place) && open_core(place, NULL, ab_slice(NULL, 0));
}

static void
tag_manifest (const ab_manifest_t *manifest, const ab_key_t *key) {
  if (manifest->version == 0) vectors_tag("version-0");
  if (ab_manifest_is_compat(manifest, key)) vectors_tag("compat");
  if (manifest->has_prologue) vectors_tag("prologue");
}

/* ---- states ---- */

static void
check_have (const json_t *ranges, hypercore_t *core) {
  json_t *range;
  size_t i;
  uint64_t at = 0, length = hypercore_length(core);
  json_array_foreach(ranges, i, range) {
    uint64_t start = vectors_uint(json_array_get(range, 0)), end = vectors_uint(json_array_get(range, 1));
    for (; at < start; at++) check_that(!hypercore_has(core, at, at + 1));
    check_that(hypercore_has(core, start, end));
    at = end;
  }
  for (; at < length; at++) check_that(!hypercore_has(core, at, at + 1));
}

/* The nodes below the length, and their content where it follows from the roots. */
static void
check_node_indexes (const json_t *expected, hypercore_t *core) {
  ab_node_source_t nodes = ab__core_nodes(core);
  size_t found = 0;
  ab__core_enter(core);
  for (uint64_t index = 0; index < 2 * hypercore_length(core); index++) {
    ab_node_t node;
    if (ab_flat_rspan(index) >= 2 * hypercore_length(core)) continue;
    int err = nodes.get(nodes.data, index, &node);
    if (err == AB_ENOTFOUND) continue;
    check_err("node", 0, err);
    const json_t *at = json_array_get(expected, found++);
    if (at != NULL) check_uint("node", vectors_uint(at), index);
  }
  ab__core_leave(core);
  check_uint("nodes", json_array_size(expected), found);
}

static void
check_state (const json_t *state, hypercore_t *core) {
  uint8_t hash[32];
  ab_slice_t signature;
  check_uint("length", vectors_get_uint(state, "length"), hypercore_length(core));
  check_uint("committed", vectors_get_uint(state, "length"), hypercore_committed_length(core));
  check_uint("bytes", vectors_get_uint(state, "byteLength"), hypercore_byte_length(core));
  check_uint("fork", vectors_get_uint(state, "fork"), hypercore_fork(core));
  check_uint("contiguous", vectors_get_uint(state, "contiguousLength"), hypercore_contiguous_length(core));
  check_err("tree hash", 0, hypercore_tree_hash(core, hypercore_length(core), hash));
  check_hash("tree hash", vectors_get(state, "treeHash"), hash);
  if (check_err("signature", 0, hypercore_signature(core, &signature))) {
    check_bytes(
      "signature", vectors_get_bytes(state, "signature"), signature.len > 0 ? signature : ab_slice(NULL, 0)
    );
  }
  check_nodes("roots", vectors_get(state, "roots"), core->live.tree.roots, core->live.tree.root_count);
  check_have(vectors_get(state, "have"), core);
  if (vectors_has(state, "nodes")) check_node_indexes(vectors_get(state, "nodes"), core);
}

static void
check_state_twice (const json_t *state, place_t *place) {
  if (!check_err("commit", 0, ab_store_commit(place->store))) return;
  check_state(state, place->core);
  if (reopen(place)) check_state(state, place->core);
}

/* ---- cores.json ---- */

static void
check_blocks (const json_t *blocks, hypercore_t *core) {
  json_t *block;
  size_t i;
  json_array_foreach(blocks, i, block) {
    ab_slice_t found;
    if (check_err("get", 0, hypercore_get(core, i, &found)))
      check_bytes("block", vectors_bytes(block), found);
  }
}

static void
check_positions (const json_t *item, hypercore_t *core) {
  json_t *pair;
  size_t i;
  json_array_foreach(vectors_get(item, "seeks"), i, pair) {
    uint64_t index, within;
    int err = hypercore_seek(core, vectors_uint(json_array_get(pair, 0)), &index, &within);
    if (json_array_size(pair) < 3) {
      check_err("seek", AB_ENOTFOUND, err);
    } else if (check_err("seek", 0, err)) {
      check_uint("seek block", vectors_uint(json_array_get(pair, 1)), index);
      check_uint("seek offset", vectors_uint(json_array_get(pair, 2)), within);
    }
  }
}

/* Append one by one, commit where a state was recorded, and look at it then. */
static void
append_blocks (const json_t *item, place_t *place) {
  const json_t *blocks = vectors_get(item, "blocks"), *states = vectors_get(item, "states");
  size_t next_state = 0;
  for (size_t i = 0; i <= json_array_size(blocks); i++) {
    const json_t *state = json_array_get(states, next_state);
    if (state != NULL && vectors_get_uint(state, "length") == i) {
      ab_slice_t signature;
      uint8_t hash[32];
      check_err("commit", 0, ab_store_commit(place->store));
      check_err("tree hash", 0, hypercore_tree_hash(place->core, i, hash));
      check_hash("tree hash", vectors_get(state, "treeHash"), hash);
      check_err("signature", 0, hypercore_signature(place->core, &signature));
      if (vectors_has(state, "signature")) {
        check_bytes("signature", vectors_get_bytes(state, "signature"), signature);
      }
      next_state++;
    }
    const json_t *value = json_array_get(blocks, i);
    if (value == NULL) continue;
    ab_slice_t block = vectors_bytes(value);
    if (!check_err("append", 0, hypercore_append(place->core, &block, 1, NULL))) return;
  }
}

static void
run_cores (const char *file, json_t *root) {
  json_t *item;
  size_t i;
  (void) file;
  json_array_foreach(vectors_get(root, "cores"), i, item) {
    ab_arena_t arena = {0};
    ab_key_pair_t pair;
    ab_key_t key;
    place_t place;
    if (vectors_get_bool(item, "legacy")) continue; /* old signatures are checked, never made by a store */
    vectors_begin("store", "cores", "%s", vectors_get_text(item, "what"));
    recorded_key_pair(item, "seed", &pair);
    vectors_get_key(item, "key", &key);
    tag_manifest(recorded_manifest(vectors_get(item, "manifest"), &arena), &key);
    if (begin_place(&place, &key, &pair, vectors_get_bytes(item, "manifest"))) {
      append_blocks(item, &place);
      check_blocks(vectors_get(item, "blocks"), place.core);
      if (reopen(&place)) {
        check_that(hypercore_is_writable(place.core));
        check_blocks(vectors_get(item, "blocks"), place.core);
        check_positions(item, place.core);
      }
    }
    end_place(&place);
    ab_arena_destroy(&arena);
  }
}

/* ---- sequences.json ---- */

static int
run_operation (const json_t *step, hypercore_t *core) {
  const char *op = vectors_get_text(step, "op");
  if (strcmp(op, "append") == 0) {
    const json_t *list = vectors_get(step, "blocks");
    size_t count = json_array_size(list);
    ab_slice_t *blocks = calloc(count + 1, sizeof(*blocks));
    for (size_t i = 0; i < count; i++) blocks[i] = vectors_bytes(json_array_get(list, i));
    uint64_t length;
    int err = hypercore_append(core, blocks, count, &length);
    free(blocks);
    if (err == 0 && vectors_has(step, "result")) {
      check_uint("length", vectors_get_uint(vectors_get(step, "result"), "length"), length);
      check_uint(
        "bytes", vectors_get_uint(vectors_get(step, "result"), "byteLength"), hypercore_byte_length(core)
      );
    }
    return err;
  }
  if (strcmp(op, "truncate") == 0) {
    uint64_t fork = vectors_has(step, "fork") ? vectors_get_uint(step, "fork") : 0;
    return hypercore_truncate(core, vectors_get_uint(step, "length"), fork);
  }
  return hypercore_clear(core, vectors_get_uint(step, "start"), vectors_get_uint(step, "end"));
}

static void
run_sequence (const json_t *item, place_t *place) {
  json_t *step;
  size_t i;
  json_array_foreach(vectors_get(item, "steps"), i, step) {
    int err = run_operation(step, place->core);
    check_that((err < 0) == vectors_has(step, "error"));
    if (err == 0) check_state_twice(vectors_get(step, "state"), place);
    if (vectors_failed() > 0) {
      vectors_fail("at step %zu (%s)", i, vectors_get_text(step, "op"));
      return;
    }
  }
}

/* All steps staged, one commit at the end. */
static void
run_sequence_at_once (const json_t *item, place_t *place) {
  const json_t *last = NULL;
  json_t *step;
  size_t i;
  json_array_foreach(vectors_get(item, "steps"), i, step) {
    int err = run_operation(step, place->core);
    check_that((err < 0) == vectors_has(step, "error"));
    if (err == 0) last = vectors_get(step, "state");
  }
  check_state_twice(last, place);
}

static void
run_sequences (const char *file, json_t *root) {
  static const char *const modes[] = {"store, a commit each", "store, one commit"};
  json_t *item;
  size_t i;
  (void) file;
  json_array_foreach(vectors_get(root, "sequences"), i, item) {
    for (size_t mode = 0; mode < 2; mode++) {
      ab_arena_t arena = {0};
      ab_key_pair_t pair;
      ab_key_t key;
      place_t place;
      vectors_begin(modes[mode], "sequences", "%s", vectors_get_text(item, "what"));
      recorded_key_pair(item, "seed", &pair);
      vectors_get_key(item, "key", &key);
      tag_manifest(recorded_manifest(vectors_get(item, "manifest"), &arena), &key);
      if (begin_place(&place, &key, &pair, vectors_get_bytes(item, "manifest"))) {
        if (mode == 0) run_sequence(item, &place);
        else run_sequence_at_once(item, &place);
      }
      end_place(&place);
      ab_arena_destroy(&arena);
    }
  }
}

/* ---- corestore.json ---- */

static void
namespace_of (const json_t *item, ab_key_t *out) {
  json_t *name;
  size_t i;
  *out = (ab_key_t){0};
  json_array_foreach(json_object_get(item, "path"), i, name) {
    corestore_namespace(out, ab_text(vectors_text(name)), out);
  }
  if (vectors_has(item, "pathBytes")) corestore_namespace(out, vectors_get_bytes(item, "pathBytes"), out);
}

static void
check_name (
  const json_t *item,
  const ab_key_t *ns,
  ab_store_t *store,
  const char *key_member,
  const char *discovery_member
) {
  hypercore_options_t options = hypercore_options_default();
  options.namespace_key = ns;
  options.name = ab_text(vectors_get_text(item, "name"));
  hypercore_t *core, *same;
  ab_key_pair_t pair;
  check_err("key pair", 0, corestore_key_pair(store, ns, options.name, &pair));
  check_hash("public key", vectors_get(item, "publicKey"), pair.public_key);
  check_bytes("secret key", vectors_get_bytes(item, "secretKey"), ab_slice(pair.secret_key, 64));
  if (!check_err("open", 0, hypercore_open(store, &options, &core))) return;
  check_hash("key", vectors_get(item, key_member), hypercore_key(core)->bytes);
  check_hash("discovery key", vectors_get(item, discovery_member), hypercore_discovery_key(core)->bytes);
  check_that(hypercore_is_writable(core));
  if (check_err(
        "open by discovery key", 0, hypercore_open_discovery(store, hypercore_discovery_key(core), &same)
      )) {
    check_that(same == core);
    hypercore_close(same);
  }
  ab_key_t key;
  check_err("key", 0, corestore_key(store, pair.public_key, &key));
  check_that(ab_key_equal(&key, hypercore_key(core)));
  hypercore_close(core);
}

static void
run_names (const json_t *item, uint32_t version) {
  ab_key_t primary;
  json_t *space, *name;
  size_t i, j;
  vectors_get_key(item, "primaryKey", &primary);
  ab_store_options_t options = ab_store_options_default();
  options.primary_key = &primary;
  options.manifest_version = version;
  ab_store_t *store;
  if (!check_err("open", 0, ab_store_open(NULL, &options, &store, NULL, 0))) return;
  json_array_foreach(vectors_get(item, "namespaces"), i, space) {
    ab_key_t ns;
    namespace_of(space, &ns);
    check_hash("namespace", vectors_get(space, "namespace"), ns.bytes);
    json_array_foreach(vectors_get(space, "keyPairs"), j, name) {
      if (version == 1) check_name(name, &ns, store, "key", "discoveryKey");
      else check_name(name, &ns, store, "keyVersion2", "discoveryKeyVersion2");
    }
  }
  ab_store_close(store);
}

static void
check_pair_key (const json_t *item, const char *member, uint32_t version) {
  ab_store_options_t options = ab_store_options_default();
  options.manifest_version = version;
  ab_store_t *store;
  if (!check_err("open", 0, ab_store_open(NULL, &options, &store, NULL, 0))) return;
  ab_key_t public_key, key;
  vectors_get_key(item, "publicKey", &public_key);
  check_err("key", 0, corestore_key(store, public_key.bytes, &key));
  check_hash("key", vectors_get(vectors_get(item, member), "key"), key.bytes);

  hypercore_options_t core_options = hypercore_options_default();
  core_options.manifest = vectors_get_bytes(vectors_get(item, member), "manifest");
  hypercore_t *core;
  if (check_err("open", 0, hypercore_open(store, &core_options, &core))) {
    check_that(ab_key_equal(&key, hypercore_key(core)));
    check_bytes("manifest", core_options.manifest, hypercore_manifest(core));
  }
  ab_store_close(store);
}

static void
run_corestore (const char *file, json_t *root) {
  json_t *item;
  size_t i;
  (void) file;
  json_array_foreach(vectors_get(root, "stores"), i, item) {
    vectors_begin("store", "stores", "%zu", i);
    run_names(item, 1);
    run_names(item, 2);
  }
  json_array_foreach(vectors_get(root, "keyPairCores"), i, item) {
    vectors_begin("store", "keyPairCores", "%zu", i);
    check_pair_key(item, "version1", 1);
    check_pair_key(item, "version2", 2);
  }
}

/* ---- proofs.json, anchors.json ---- */

static void
run_source_step (const json_t *step, place_t *source) {
  if (vectors_has(step, "append")) {
    const json_t *list = vectors_get(step, "append");
    size_t count = json_array_size(list);
    ab_slice_t *blocks = calloc(count + 1, sizeof(*blocks));
    for (size_t i = 0; i < count; i++) blocks[i] = vectors_bytes(json_array_get(list, i));
    check_err("append", 0, hypercore_append(source->core, blocks, count, NULL));
    free(blocks);
  } else {
    uint64_t length = vectors_get_uint(step, "truncate");
    check_err("truncate", 0, hypercore_truncate(source->core, length, vectors_get_uint(step, "fork")));
  }
  check_err("commit", 0, ab_store_commit(source->store));
  check_uint("length", vectors_get_uint(step, "length"), hypercore_committed_length(source->core));
  check_uint("fork", vectors_get_uint(step, "fork"), hypercore_fork(source->core));
  ab_slice_t expected = vectors_get_bytes(step, "signature"), found;
  check_err("signature", 0, hypercore_signature(source->core, &found));
  if (expected.data != NULL) check_bytes("signature", expected, found);
}

static void
run_request_step (const json_t *step, place_t *place, ab_arena_t *arena) {
  ab_request_t request;
  ab_proof_t expected, found;
  recorded_request(vectors_get(step, "request"), &request);
  int err = hypercore_prove(place->core, &request, arena, &found);
  if (vectors_has(step, "error")) {
    check_err("produce", AB_EOPERATION, err);
  } else if (check_err("produce", 0, err)) {
    recorded_proof(vectors_get(step, "proof"), arena, &expected);
    check_proof("proof", &expected, &found);
  }
}

static void
run_apply_step (const json_t *step, place_t *reader, ab_arena_t *arena) {
  const char *expect = vectors_get_text(step, "expect");
  ab_proof_outcome_t outcome = AB_PROOF_APPLIED;
  ab_proof_t proof;
  recorded_proof(vectors_get(step, "proof"), arena, &proof);
  size_t staged = ab_store_staged(reader->store);
  int err = hypercore_apply_proof(reader->core, &proof, &outcome);
  check_err(expect, recorded_error(expect), err);
  if (err < 0) {
    check_uint("staged", staged, ab_store_staged(reader->store));
    return;
  }
  check_that((outcome == AB_PROOF_IGNORED) == (strcmp(expect, "ignored") == 0));
  check_state_twice(vectors_get(step, "state"), reader);
}

static void
run_steps (
  const json_t *scenario, const ab_manifest_t *manifest, place_t *source, place_t *reader, ab_arena_t *arena
) {
  const char *what = vectors_get_text(scenario, "what");
  json_t *step;
  size_t i;
  json_array_foreach(vectors_get(scenario, "steps"), i, step) {
    const char *kind = vectors_get_text(step, "step");
    vectors_begin("store", "scenarios", "%s, step %zu (%s)", what, i, kind);
    tag_manifest(manifest, &source->key);
    if (strcmp(kind, "source") == 0) run_source_step(step, source);
    else if (strcmp(kind, "request") == 0) run_request_step(step, source, arena);
    else if (strcmp(kind, "produce") == 0) run_request_step(step, reader, arena);
    else if (strcmp(kind, "apply") == 0) run_apply_step(step, reader, arena);
    else if (strcmp(kind, "missing") == 0) {
      uint64_t nodes;
      check_err("missing", 0, hypercore_missing_nodes(reader->core, vectors_get_uint(step, "block"), &nodes));
      check_uint("missing", vectors_get_uint(step, "nodes"), nodes);
    } else {
      vectors_fail("no such step");
    }
    if (reader->core == NULL) return;
  }
}

static void
run_scenarios (const char *file, json_t *root) {
  json_t *scenario;
  size_t i;
  (void) file;
  json_array_foreach(vectors_get(root, "scenarios"), i, scenario) {
    ab_arena_t arena = {0};
    ab_key_pair_t pair;
    ab_key_t key;
    place_t source, reader;
    vectors_begin("store", "scenarios", "%s", vectors_get_text(scenario, "what"));
    recorded_key_pair(scenario, "seed", &pair);
    vectors_get_key(scenario, "key", &key);
    const ab_manifest_t *manifest = recorded_manifest(vectors_get(scenario, "manifest"), &arena);
    tag_manifest(manifest, &key);
    ab_slice_t encoded = vectors_get_bytes(scenario, "manifest");
    bool known = vectors_get_bool(scenario, "readerManifest");
    bool began = begin_place(&source, &key, manifest->signer_count > 0 ? &pair : NULL, encoded);
    if (begin_place(&reader, &key, NULL, known ? encoded : ab_slice(NULL, 0)) && began) {
      run_steps(scenario, manifest, &source, &reader, &arena);
    }
    end_place(&source);
    end_place(&reader);
    ab_arena_destroy(&arena);
  }
}

/* ---- anchors.json, append ---- */

/* What a core with a prologue lets its own peer do. The blocks were not recorded; nine bytes each here. */
static const char *const prologue_blocks[] = {"prologue0", "prologue1"};

static int
append_texts (hypercore_t *core, const char *first, const char *second) {
  ab_slice_t blocks[] = {ab_text(first), ab_text(second == NULL ? "" : second)};
  return hypercore_append(core, blocks, second == NULL ? 1 : 2, NULL);
}

static int
do_what_was_done (const char *what, hypercore_t *core) {
  if (strcmp(what, "append without permission") == 0) return append_texts(core, "not it...", NULL);
  if (strcmp(what, "append fewer blocks than the prologue has") == 0)
    return append_texts(core, prologue_blocks[0], NULL);
  if (strcmp(what, "the local append does not compare the hash") == 0)
    return append_texts(core, "not it...", NULL);
  int err = append_texts(core, prologue_blocks[0], NULL);
  if (err < 0 || strcmp(what, "append the prologue block") == 0) return err;
  if (strcmp(what, "append twice with a maximum length") == 0) {
    check_that(append_texts(core, "one more.", NULL) < 0);
    return 0;
  }
  if (strcmp(what, "truncate below the prologue") == 0) return hypercore_truncate(core, 0, 0);
  vectors_fail("nobody knows how to %s", what);
  return 0;
}

/* The reference asks for a permission. Here the blocks of the key are the permission, so what it refuses
 * without one is refused as a wrong block; a hash that is not compared needs a signer. */
static void
run_prologue_append (const json_t *item) {
  const char *what = vectors_get_text(item, "what");
  const json_t *outcome = vectors_get(item, "outcome");
  uint64_t length = vectors_get_uint(item, "prologueLength");
  bool has_signer = strcmp(what, "the local append does not compare the hash") == 0;
  ab_key_pair_t pair;
  ab_signer_t signer;
  ab_manifest_t manifest = {.version = 2};
  ab_tree_t tree = {0};
  ab_buf_t encoded = {0};
  ab_key_t key;
  place_t place;
  vectors_begin("store", "append", "%s", what);

  ab_key_pair_from_seed(&pair, (const uint8_t[32]){1});
  signer = ab_signer(pair.public_key);
  if (has_signer) manifest.signers = &signer, manifest.signer_count = manifest.quorum = 1;
  for (uint64_t i = 0; i < length; i++) {
    ab_arena_t arena = {0};
    ab_node_list_t nodes = {.arena = &arena};
    check_err("hash", 0, ab_tree_append_block(&tree, ab_text(prologue_blocks[i]), &nodes));
    ab_arena_destroy(&arena);
  }
  manifest.has_prologue = true;
  manifest.prologue_length = length;
  ab_tree_hash(&tree, manifest.prologue_hash);
  ab_manifest_encode(&encoded, &manifest);
  ab_manifest_key(&manifest, &key);

  if (begin_place(&place, &key, has_signer ? &pair : NULL, ab_buf_slice(&encoded))) {
    int err = do_what_was_done(what, place.core);
    check_that((err < 0) == json_is_string(outcome));
    check_err("commit", 0, ab_store_commit(place.store));
    check_uint("length", vectors_get_uint(item, "length"), hypercore_committed_length(place.core));
    if (json_is_object(outcome))
      check_uint("bytes", vectors_get_uint(outcome, "byteLength"), place.core->committed.tree.byte_length);
  }
  end_place(&place);
  ab_buf_destroy(&encoded);
}

static void
run_anchors (const char *file, json_t *root) {
  json_t *item;
  size_t i;
  run_scenarios(file, root);
  json_array_foreach(vectors_get(root, "append"), i, item) run_prologue_append(item);
}

/* ---- reorgs.json ---- */

/* Put the reader where it was recorded to be: the head of the writer, and of all nodes and blocks those
 * listed. */
static void
put_local (hypercore_t *core, const json_t *item, ab_tree_t *tree) {
  const json_t *local = vectors_get(item, "local"), *value;
  size_t i;
  ab_arena_t arena = {0};
  ab_node_list_t nodes = {.arena = &arena};
  json_array_foreach(vectors_get(item, "blocks"), i, value) {
    check_err("grow", 0, ab_tree_append_block(tree, vectors_bytes(value), &nodes));
  }
  check_err("reserve", 0, ab__tail_reserve(&core->tail, tree->length, nodes.count));
  json_array_foreach(vectors_get(local, "nodes"), i, value) {
    for (size_t j = 0; j < nodes.count; j++)
      if (nodes.nodes[j].index == vectors_uint(value)) ab__tail_put_node(&core->tail, &nodes.nodes[j]);
  }
  json_array_foreach(vectors_get(local, "have"), i, value) {
    uint64_t start = vectors_uint(json_array_get(value, 0)), end = vectors_uint(json_array_get(value, 1));
    if (start == end) continue;
    check_err("bits", 0, ab__bitfield_prepare_set(&core->bits, start, end));
    ab__bitfield_set(&core->bits, start, end);
    for (; start < end; start++) {
      ab_slice_t block = vectors_bytes(json_array_get(vectors_get(item, "blocks"), start));
      uint8_t *bytes = ab__tail_alloc(&core->tail, block.len);
      if (block.len > 0) memcpy(bytes, block.data, block.len);
      ab__tail_put_block(&core->tail, start, ab_slice(bytes, block.len));
    }
  }
  ab__tree_copy(&core->live.tree, tree);
  ab_buf_append(&core->live.signature, vectors_get_bytes(local, "signature"));
  core->live.is_signed = true;
  core->tail.head_changed = core->tail.content_changed = true;
  ab__core_touch(core, 0);
  ab_arena_destroy(&arena);
}

static void
check_want (const json_t *want, const ab_reorg_t *reorg) {
  if (!check_that(json_is_null(want) == reorg->done) || reorg->done) return;
  check_uint("want start", vectors_get_uint(want, "start"), reorg->want_start);
  check_uint("want end", vectors_get_uint(want, "end"), reorg->want_end);
  check_uint("want nodes", vectors_get_uint(want, "nodes"), reorg->want_nodes);
}

static void
run_reorg (const json_t *item, place_t *reader, ab_arena_t *arena) {
  ab_reorg_t reorg;
  ab_proof_t proof;
  json_t *step;
  size_t i;
  json_array_foreach(vectors_get(item, "rejected"), i, step) {
    const char *error = vectors_get_text(step, "error");
    recorded_proof(vectors_get(step, "proof"), arena, &proof);
    check_err(error, recorded_error(error), hypercore_reorg_begin(reader->core, &proof, arena, &reorg));
  }
  if (!vectors_has(item, "upgrade")) return;
  recorded_proof(vectors_get(item, "upgrade"), arena, &proof);
  if (!check_err("begin", 0, hypercore_reorg_begin(reader->core, &proof, arena, &reorg))) return;
  check_want(vectors_get(item, "want"), &reorg);
  json_array_foreach(vectors_get(item, "rounds"), i, step) {
    bool accepted;
    check_err("not done", reorg.done ? 0 : AB_EOPERATION, hypercore_reorg(reader->core, &reorg));
    recorded_proof(vectors_get(step, "proof"), arena, &proof);
    check_err("continue", 0, hypercore_reorg_continue(reader->core, &reorg, &proof, &accepted));
    check_that(accepted);
    check_want(vectors_get(step, "want"), &reorg);
  }
  check_uint("ancestors", vectors_get_uint(item, "ancestors"), reorg.ancestors);
  check_err("reorg", 0, hypercore_reorg(reader->core, &reorg));
  check_that(hypercore_reorg(reader->core, &reorg) == AB_EOPERATION); /* it is somewhere else now */
}

static void
run_reorgs (const char *file, json_t *root) {
  json_t *item;
  size_t i;
  (void) file;
  json_array_foreach(vectors_get(root, "reorgs"), i, item) {
    ab_arena_t arena = {0};
    ab_tree_t tree = {0};
    ab_key_t key;
    place_t reader;
    vectors_begin("store", "reorgs", "%s", vectors_get_text(item, "what"));
    vectors_get_key(item, "key", &key);
    if (begin_place(&reader, &key, NULL, vectors_get_bytes(item, "manifest"))) {
      put_local(reader.core, item, &tree);
      check_state_twice(vectors_get(item, "local"), &reader);
      run_reorg(item, &reader, &arena);
      check_state_twice(vectors_get(item, "state"), &reader);
    }
    end_place(&reader);
    ab_arena_destroy(&arena);
  }
}

int
main (int argc, char **argv) {
  static const vectors_runner_t runners[] = {
    {"cores.json", run_cores},
    {"sequences.json", run_sequences},
    {"corestore.json", run_corestore},
    {"proofs.json", run_scenarios},
    {"anchors.json", run_anchors},
    {"reorgs.json", run_reorgs},
  };
  if (ab_crypto_init() < 0) return 1;
  return vectors_main(argc, argv, "hypercore", runners, sizeof(runners) / sizeof(runners[0]));
}

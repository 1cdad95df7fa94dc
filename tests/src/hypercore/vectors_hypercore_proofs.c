/* vectors_hypercore_proofs.c: trees and proofs against the recorded ones, with cores in memory. */
#include "hypercore/reorg.h"
#include "memory_core.h"
#include "recorded.h"

/* ---- cores.json ---- */

static void
init_writer (memory_core_t *core, const json_t *item, ab_key_pair_t *pair, ab_arena_t *arena) {
  recorded_key_pair(item, "seed", pair);
  vectors_get_key(item, "key", &core->key);
  core->manifest = recorded_manifest(vectors_get(item, "manifest"), arena);
  core->pair = pair;
  if (core->manifest->version == 0) vectors_tag("version-0");
  if (ab_manifest_is_compat(core->manifest, &core->key)) vectors_tag("compat");
}

static void
check_core_state (const json_t *state, memory_core_t *core) {
  ab_verifier_t verifier = {.manifest = core->manifest, .key = &core->key, .legacy = core->legacy};
  ab_arena_t arena = {0};
  uint8_t hash[32], signable[AB_SIGNABLE_MAX];
  check_uint("bytes", vectors_get_uint(state, "byteLength"), core->tree.byte_length);
  check_nodes("roots", vectors_get(state, "roots"), core->tree.roots, core->tree.root_count);
  ab_tree_hash(&core->tree, hash);
  check_hash("tree hash", vectors_get(state, "treeHash"), hash);
  size_t len = ab_signable(&verifier, 0, hash, core->tree.length, core->tree.fork, signable);
  check_bytes("signable", vectors_get_bytes(state, "signable"), ab_slice(signable, len));
  if (vectors_has(state, "signature")) {
    ab_slice_t signature = vectors_get_bytes(state, "signature");
    check_bytes("signature", signature, ab_buf_slice(&core->signature));
    check_err("verify", 0, ab_tree_verify(&verifier, &core->tree, signature, &arena));
  }
  ab_arena_destroy(&arena);
}

static void
check_positions (const json_t *item, memory_core_t *core) {
  ab_node_source_t source = memory_core_source(core);
  json_t *pair;
  size_t i;
  json_array_foreach(vectors_get(item, "byteOffsets"), i, pair) {
    uint64_t offset = 0;
    uint64_t block = vectors_uint(json_array_get(pair, 0));
    check_err("byte offset", 0, ab_tree_byte_offset(&core->tree, &source, block, &offset));
    check_uint("byte offset", vectors_uint(json_array_get(pair, 1)), offset);
  }
  json_array_foreach(vectors_get(item, "seeks"), i, pair) {
    uint64_t block, offset;
    int err = ab_tree_seek(&core->tree, &source, vectors_uint(json_array_get(pair, 0)), 0, &block, &offset);
    if (json_array_size(pair) < 3) {
      check_err("seek", AB_ENOTFOUND, err);
    } else if (check_err("seek", 0, err)) {
      check_uint("seek block", vectors_uint(json_array_get(pair, 1)), block);
      check_uint("seek offset", vectors_uint(json_array_get(pair, 2)), offset);
    }
  }
}

static void
run_cores (const char *file, json_t *root) {
  json_t *item, *block, *state;
  size_t i, j;
  (void) file;
  json_array_foreach(vectors_get(root, "cores"), i, item) {
    memory_core_t core = {0};
    ab_arena_t arena = {0};
    ab_key_pair_t pair;
    size_t next_state = 0;
    vectors_begin(NULL, "cores", "%s", vectors_get_text(item, "what"));
    init_writer(&core, item, &pair, &arena);
    core.legacy = vectors_get_bool(item, "legacy");
    check_that(vectors_get_bool(item, "compat") == ab_manifest_is_compat(core.manifest, &core.key));
    check_hash("public key", vectors_get(item, "publicKey"), pair.public_key);
    const json_t *blocks = vectors_get(item, "blocks"), *states = vectors_get(item, "states");
    for (j = 0; j <= json_array_size(blocks); j++) {
      state = json_array_get(states, next_state);
      if (state != NULL && vectors_get_uint(state, "length") == core.tree.length) {
        check_core_state(state, &core);
        next_state++;
      }
      block = json_array_get(blocks, j);
      if (block != NULL) check_err("append", 0, memory_core_append(&core, vectors_bytes(block)));
    }
    check_uint("states", json_array_size(states), next_state);
    check_nodes("nodes", vectors_get(item, "nodes"), core.nodes, core.node_count);
    check_positions(item, &core);
    memory_core_destroy(&core);
    ab_arena_destroy(&arena);
  }
}

/* ---- proof-production.json ---- */

static void
request_of_pairs (const json_t *pairs, ab_request_t *out) {
  const json_t *pair;
  *out = (ab_request_t){0};
  if ((pair = json_object_get(pairs, "block")) != NULL) {
    out->has_block = true;
    out->block.index = vectors_uint(json_array_get(pair, 0));
    out->block.nodes = vectors_uint(json_array_get(pair, 1));
  }
  if ((pair = json_object_get(pairs, "hash")) != NULL) {
    out->has_hash = true;
    out->hash.index = vectors_uint(json_array_get(pair, 0));
    out->hash.nodes = vectors_uint(json_array_get(pair, 1));
  }
  if ((pair = json_object_get(pairs, "seek")) != NULL) {
    out->has_seek = true;
    out->seek.bytes = vectors_uint(json_array_get(pair, 0));
    out->seek.padding = vectors_uint(json_array_get(pair, 1));
  }
  if ((pair = json_object_get(pairs, "upgrade")) != NULL) {
    out->has_upgrade = true;
    out->upgrade.start = vectors_uint(json_array_get(pair, 0));
    out->upgrade.length = vectors_uint(json_array_get(pair, 1));
  }
}

static void
check_part (const char *what, const json_t *expected, bool present, const ab_nodes_t *found) {
  if (!check_that((expected != NULL) == present) || !present) return;
  if (!check_uint(what, json_array_size(expected), found->count)) return;
  for (size_t i = 0; i < found->count; i++) {
    check_uint(what, vectors_uint(json_array_get(expected, i)), found->nodes[i].index);
  }
}

static void
check_production (const json_t *outcome, int err, const ab_proof_t *proof) {
  if (json_is_string(outcome)) {
    check_err("produce", AB_EOPERATION, err);
    return;
  }
  if (!check_err("produce", 0, err)) return;
  check_part("block", json_object_get(outcome, "b"), proof->has_block, &proof->block.nodes);
  check_part("hash", json_object_get(outcome, "h"), proof->has_hash, &proof->hash.nodes);
  check_part("seek", json_object_get(outcome, "s"), proof->has_seek, &proof->seek.nodes);
  check_part("upgrade", json_object_get(outcome, "u"), proof->has_upgrade, &proof->upgrade.nodes);
  check_part("additional", json_object_get(outcome, "a"), proof->has_upgrade, &proof->upgrade.additional);
  const json_t *range = json_object_get(outcome, "r");
  if (range != NULL) {
    check_uint("start", vectors_uint(json_array_get(range, 0)), proof->upgrade.start);
    check_uint("length", vectors_uint(json_array_get(range, 1)), proof->upgrade.length);
  }
}

/* Keep only the listed nodes. */
static void
keep_nodes (memory_core_t *core, const json_t *available) {
  for (size_t i = 0; i < core->node_count;) {
    bool listed = false;
    for (size_t j = 0; j < json_array_size(available) && !listed; j++) {
      listed = vectors_uint(json_array_get(available, j)) == core->nodes[i].index;
    }
    if (listed) i++;
    else memory_core_drop_node(core, core->nodes[i].index);
  }
}

static void
run_production (const char *file, json_t *root) {
  json_t *item, *block, *test;
  size_t i, j;
  (void) file;
  json_array_foreach(vectors_get(root, "cores"), i, item) {
    memory_core_t core = {0};
    ab_node_source_t source = memory_core_source(&core);
    uint64_t prologue = vectors_get_uint(item, "prologue");
    vectors_begin(NULL, "cores", "%zu", i);
    json_array_foreach(vectors_get(item, "blocks"), j, block) memory_core_append(&core, vectors_bytes(block));
    check_uint("length", vectors_get_uint(item, "length"), core.tree.length);
    if (vectors_has(item, "available")) keep_nodes(&core, vectors_get(item, "available"));
    json_array_foreach(vectors_get(item, "cases"), j, test) {
      ab_arena_t arena = {0};
      ab_request_t request;
      ab_proof_t proof;
      vectors_begin(NULL, "cores", "%zu case %zu", i, j);
      if (prologue > 0) vectors_tag("prologue");
      request_of_pairs(json_array_get(test, 0), &request);
      int err = ab_proof_produce(&request, &core.tree, prologue, &source, &arena, &proof);
      check_production(json_array_get(test, 1), err, &proof);
      ab_arena_destroy(&arena);
    }
    memory_core_destroy(&core);
  }
}

/* ---- proofs.json, anchors.json ---- */

static void
check_have (const json_t *ranges, const memory_core_t *core) {
  json_t *range;
  size_t i;
  uint64_t at = 0;
  json_array_foreach(ranges, i, range) {
    uint64_t start = vectors_uint(json_array_get(range, 0)), end = vectors_uint(json_array_get(range, 1));
    for (; at < start; at++) check_that(!memory_core_has_block(core, at));
    for (; at < end; at++) check_that(memory_core_has_block(core, at));
  }
  for (; at < core->block_capacity; at++) check_that(!memory_core_has_block(core, at));
}

/* The nodes below the length. */
static void
check_node_indexes (const json_t *expected, const memory_core_t *core) {
  size_t found = 0;
  for (size_t i = 0; i < core->node_count; i++) {
    if (ab_flat_rspan(core->nodes[i].index) >= 2 * core->tree.length) continue;
    const json_t *index = json_array_get(expected, found++);
    if (index != NULL) check_uint("node", vectors_uint(index), core->nodes[i].index);
  }
  check_uint("nodes", json_array_size(expected), found);
}

static void
check_state (const json_t *state, const memory_core_t *core) {
  uint8_t hash[32];
  check_uint("length", vectors_get_uint(state, "length"), core->tree.length);
  check_uint("bytes", vectors_get_uint(state, "byteLength"), core->tree.byte_length);
  check_uint("fork", vectors_get_uint(state, "fork"), core->tree.fork);
  check_uint("contiguous", vectors_get_uint(state, "contiguousLength"), memory_core_contiguous(core));
  ab_tree_hash(&core->tree, hash);
  check_hash("tree hash", vectors_get(state, "treeHash"), hash);
  ab_slice_t signature = core->has_signature ? ab_buf_slice(&core->signature) : ab_slice(NULL, 0);
  check_bytes("signature", vectors_get_bytes(state, "signature"), signature);
  check_nodes("roots", vectors_get(state, "roots"), core->tree.roots, core->tree.root_count);
  check_have(vectors_get(state, "have"), core);
  check_node_indexes(vectors_get(state, "nodes"), core);
}

static void
run_source_step (const json_t *step, memory_core_t *source) {
  json_t *block;
  size_t i;
  if (vectors_has(step, "append")) {
    json_array_foreach(vectors_get(step, "append"), i, block) {
      check_err("append", 0, memory_core_append(source, vectors_bytes(block)));
    }
  } else {
    uint64_t length = vectors_get_uint(step, "truncate");
    check_err("truncate", 0, memory_core_truncate(source, length, vectors_get_uint(step, "fork")));
  }
  check_uint("length", vectors_get_uint(step, "length"), source->tree.length);
  check_uint("fork", vectors_get_uint(step, "fork"), source->tree.fork);
  ab_slice_t signature = vectors_get_bytes(step, "signature");
  if (signature.data != NULL && source->pair != NULL) {
    check_bytes("signature", signature, ab_buf_slice(&source->signature));
  }
  memory_core_set_signature(source, signature);
}

static void
run_request_step (const json_t *step, memory_core_t *core, ab_arena_t *arena) {
  ab_request_t request, decoded;
  ab_proof_t expected, found;
  ab_buf_t message = {0}, again = {0};
  recorded_request(vectors_get(step, "request"), &request);
  ab_request_encode(&message, &request);
  check_err("decode the request", 0, ab_request_decode(ab_buf_slice(&message), &decoded));
  ab_request_encode(&again, &decoded);
  check_bytes("request", ab_buf_slice(&message), ab_buf_slice(&again));

  int err = memory_core_prove(core, &decoded, arena, &found);
  if (vectors_has(step, "error")) {
    check_err("produce", AB_EOPERATION, err);
  } else if (check_err("produce", 0, err)) {
    recorded_proof(vectors_get(step, "proof"), arena, &expected);
    check_proof("proof", &expected, &found);
  }
  ab_buf_destroy(&message);
  ab_buf_destroy(&again);
}

/* The proof as a message, both ways. */
static void
check_wire (const json_t *step, const ab_proof_t *proof, ab_arena_t *arena) {
  ab_buf_t message = {0};
  ab_proof_t decoded;
  ab_proof_encode(&message, proof);
  if (vectors_has(step, "wire")) {
    ab_slice_t wire = vectors_get_bytes(step, "wire");
    check_bytes("wire", wire, ab_buf_slice(&message));
    check_err("decode the proof", 0, ab_proof_decode(wire, arena, &decoded));
    check_uint("request id", 1, decoded.id);
    check_proof("decoded proof", proof, &decoded);
  } else {
    check_err("wire", AB_EINVAL, message.err);
  }
  ab_buf_destroy(&message);
}

static void
run_apply_step (const json_t *step, memory_core_t *reader, ab_arena_t *arena) {
  const char *expect = vectors_get_text(step, "expect");
  ab_proof_outcome_t outcome = AB_PROOF_APPLIED;
  ab_proof_t proof;
  recorded_proof(vectors_get(step, "proof"), arena, &proof);
  check_wire(step, &proof, arena);
  int err = memory_core_apply(reader, &proof, &outcome);
  check_err(expect, recorded_error(expect), err);
  if (err == 0) {
    check_that((outcome == AB_PROOF_IGNORED) == (strcmp(expect, "ignored") == 0));
    check_state(vectors_get(step, "state"), reader);
  }
}

static void
run_missing_step (const json_t *step, memory_core_t *reader) {
  ab_node_source_t source = memory_core_source(reader);
  uint64_t nodes = 0;
  check_err(
    "missing", 0, ab_missing_nodes(&source, reader->tree.length, vectors_get_uint(step, "block"), &nodes)
  );
  check_uint("missing", vectors_get_uint(step, "nodes"), nodes);
}

static void
run_scenario (const json_t *scenario, ab_arena_t *arena) {
  const char *what = vectors_get_text(scenario, "what");
  memory_core_t source = {0}, reader = {0};
  ab_key_pair_t pair;
  json_t *step;
  size_t i;

  vectors_begin(NULL, "scenarios", "%s", what);
  init_writer(&source, scenario, &pair, arena);
  if (source.manifest->signer_count == 0) source.pair = NULL;
  reader.key = source.key;
  if (vectors_get_bool(scenario, "readerManifest")) reader.manifest = source.manifest;

  json_array_foreach(vectors_get(scenario, "steps"), i, step) {
    const char *kind = vectors_get_text(step, "step");
    vectors_begin(NULL, "scenarios", "%s, step %zu (%s)", what, i, kind);
    if (source.manifest->version == 0) vectors_tag("version-0");
    if (ab_manifest_is_compat(source.manifest, &source.key)) vectors_tag("compat");
    if (source.manifest->has_prologue) vectors_tag("prologue");
    if (strcmp(kind, "source") == 0) run_source_step(step, &source);
    else if (strcmp(kind, "request") == 0) run_request_step(step, &source, arena);
    else if (strcmp(kind, "produce") == 0) run_request_step(step, &reader, arena);
    else if (strcmp(kind, "apply") == 0) run_apply_step(step, &reader, arena);
    else if (strcmp(kind, "missing") == 0) run_missing_step(step, &reader);
    else vectors_fail("no such step");
  }
  memory_core_destroy(&source);
  memory_core_destroy(&reader);
}

static void
run_scenarios (const char *file, json_t *root) {
  ab_arena_t arena = {0};
  json_t *scenario;
  size_t i;
  (void) file;
  json_array_foreach(vectors_get(root, "scenarios"), i, scenario) run_scenario(scenario, &arena);
  ab_arena_destroy(&arena);
}

/* ---- reorgs.json ---- */

/* The reader as it was: a head, and of all blocks and nodes those that are listed. */
static void
init_reorg_reader (memory_core_t *reader, const json_t *item) {
  const json_t *local = vectors_get(item, "local");
  json_t *block, *range;
  size_t i;
  json_array_foreach(vectors_get(item, "blocks"), i, block) {
    check_err("append", 0, memory_core_append(reader, vectors_bytes(block)));
  }
  keep_nodes(reader, vectors_get(local, "nodes"));
  uint64_t at = 0;
  json_array_foreach(vectors_get(local, "have"), i, range) {
    while (at < vectors_uint(json_array_get(range, 0))) reader->blocks[at++] = ab_slice(NULL, 0);
    at = vectors_uint(json_array_get(range, 1));
  }
  while (at < reader->block_capacity) reader->blocks[at++] = ab_slice(NULL, 0);
  memory_core_set_signature(reader, vectors_get_bytes(local, "signature"));
  check_state(local, reader);
}

static void
check_want (const json_t *want, const ab_reorg_t *reorg) {
  if (!check_that(json_is_null(want) == reorg->done) || reorg->done) return;
  check_uint("want start", vectors_get_uint(want, "start"), reorg->want_start);
  check_uint("want end", vectors_get_uint(want, "end"), reorg->want_end);
  check_uint("want nodes", vectors_get_uint(want, "nodes"), reorg->want_nodes);
}

static void
run_reorg_round (const json_t *round, ab_reorg_t *reorg, const ab_reader_state_t *own, ab_arena_t *arena) {
  ab_proof_t proof;
  bool accepted;
  recorded_proof(vectors_get(round, "proof"), arena, &proof);
  ab_node_t *first = (ab_node_t *) proof.hash.nodes.nodes;
  size_t nodes = reorg->nodes.count;
  first->hash[3] ^= 1;
  check_err("a wrong hash", 0, ab_reorg_continue(reorg, own, &proof, &accepted));
  check_that(!accepted && reorg->nodes.count == nodes);
  first->hash[3] ^= 1;
  check_err("continue", 0, ab_reorg_continue(reorg, own, &proof, &accepted));
  check_that(accepted);
  check_want(vectors_get(round, "want"), reorg);
}

static void
run_reorg (const json_t *item, memory_core_t *reader, ab_arena_t *arena) {
  ab_node_source_t source = memory_core_source(reader);
  ab_reader_state_t own = {
    .tree = &reader->tree, .key = &reader->key, .manifest = reader->manifest, .source = &source};
  ab_reorg_t reorg;
  ab_proof_t proof;
  json_t *step;
  size_t i;
  json_array_foreach(vectors_get(item, "rejected"), i, step) {
    const char *error = vectors_get_text(step, "error");
    recorded_proof(vectors_get(step, "proof"), arena, &proof);
    check_err(error, recorded_error(error), ab_reorg_begin(&reorg, &own, &proof, arena));
  }
  if (vectors_has(item, "upgrade")) {
    recorded_proof(vectors_get(item, "upgrade"), arena, &proof);
    if (!check_err("begin", 0, ab_reorg_begin(&reorg, &own, &proof, arena))) return;
    check_want(vectors_get(item, "want"), &reorg);
    json_array_foreach(vectors_get(item, "rounds"), i, step) run_reorg_round(step, &reorg, &own, arena);
    check_uint("ancestors", vectors_get_uint(item, "ancestors"), reorg.ancestors);
    if (check_that(reorg.done)) memory_core_reorg(reader, &reorg);
  }
  check_state(vectors_get(item, "state"), reader);
}

static void
run_reorgs (const char *file, json_t *root) {
  json_t *item;
  size_t i;
  (void) file;
  json_array_foreach(vectors_get(root, "reorgs"), i, item) {
    memory_core_t reader = {0};
    ab_arena_t arena = {0};
    ab_key_pair_t pair;
    vectors_begin(NULL, "reorgs", "%s", vectors_get_text(item, "what"));
    init_writer(&reader, item, &pair, &arena);
    init_reorg_reader(&reader, item);
    run_reorg(item, &reader, &arena);
    memory_core_destroy(&reader);
    ab_arena_destroy(&arena);
  }
}

/* ---- remote-proofs.json ---- */

static void
check_remote (const json_t *test, const ab_key_t *key, const ab_manifest_t *manifest, ab_arena_t *arena) {
  const json_t *result = vectors_get(test, "result");
  ab_remote_proof_t found;
  int err = ab_remote_proof_verify(vectors_get_bytes(test, "buffer"), key, manifest, arena, &found);
  if (json_is_null(result)) {
    check_that(err == AB_ENOTFOUND || err == AB_ESIGNATURE);
  } else if (json_is_string(result)) {
    check_that(err == AB_ECORRUPT || err == AB_EOPERATION || err == AB_EPROOF);
  } else if (check_err("verify", 0, err)) {
    check_uint("length", vectors_get_uint(result, "length"), found.length);
    check_that(vectors_get_bool(result, "newer") == (found.length > vectors_get_uint(test, "localLength")));
    check_that(vectors_has(result, "block") == found.has_block);
    if (found.has_block) check_bytes("block", vectors_get_bytes(result, "block"), found.block);
  }
}

static void
run_remote_proofs (const char *file, json_t *root) {
  ab_arena_t arena = {0};
  json_t *item, *test;
  size_t i, j;
  (void) file;
  json_array_foreach(vectors_get(root, "cores"), i, item) {
    ab_key_t key;
    vectors_begin(NULL, "cores", "%s", vectors_get_text(item, "what"));
    vectors_get_key(item, "key", &key);
    const ab_manifest_t *manifest = recorded_manifest(vectors_get(item, "manifest"), &arena);
    json_array_foreach(vectors_get(item, "cases"), j, test) {
      vectors_begin(NULL, "cores", "%s, %s", vectors_get_text(item, "what"), vectors_get_text(test, "what"));
      if (manifest->version == 0) vectors_tag("version-0");
      check_remote(test, &key, manifest, &arena);
    }
  }
  ab_arena_destroy(&arena);
}

int
main (int argc, char **argv) {
  static const vectors_runner_t runners[] = {
    {"cores.json", run_cores},
    {"proof-production.json", run_production},
    {"proofs.json", run_scenarios},
    {"anchors.json", run_scenarios},
    {"remote-proofs.json", run_remote_proofs},
    {"reorgs.json", run_reorgs},
  };
  if (ab_crypto_init() < 0) return 1;
  return vectors_main(argc, argv, "hypercore", runners, sizeof(runners) / sizeof(runners[0]));
}

/* fuzz_proof.c: requests and data messages from outside, up to what they make of a core.
 *
 *   first byte   0 a request, 1 a data message
 *
 * A core of 21 blocks answers the requests. Data messages go to readers of it: one that knows its key alone,
 * one that has its first 13 blocks, and one with another history of a lower fork. Whatever they take must be
 * the core's.
 */
#include <stdio.h>
#include <stdlib.h>

#include "hypercore/crypto.h"
#include "hypercore/reorg.h"
#include "support/vectors.h"

#include "fuzz.h"

#define BLOCKS 21
#define KNOWN 13
#define NODES_MAX 64
#define FORK 1

typedef struct {
  ab_tree_t tree;
  ab_node_t nodes[NODES_MAX];
  size_t node_count;
} core_t;

static struct {
  bool ready;
  ab_key_pair_t pair;
  ab_key_t key;
  ab_signer_t signer;
  ab_manifest_t manifest;
  core_t whole;  /* 21 blocks, fork 1 */
  core_t known;  /* its first 13 */
  core_t former; /* fork 0: 10 of the same blocks, then others */
  uint8_t signature[AB_SIGNATURE_MAX];
  size_t signature_len;
} world;

static void
require (bool holds) {
  if (!holds) abort();
}

/* ---- the cores ---- */

static int
get_node (void *data, uint64_t index, ab_node_t *out) {
  const core_t *core = data;
  for (size_t i = 0; i < core->node_count; i++) {
    if (core->nodes[i].index != index) continue;
    *out = core->nodes[i];
    return 0;
  }
  return AB_ENOTFOUND;
}

static void
append (core_t *core, const char *word, int number) {
  char text[32];
  snprintf(text, sizeof(text), "%s %d", word, number);
  ab_node_list_t list = {.nodes = core->nodes, .count = core->node_count, .capacity = NODES_MAX};
  require(ab_tree_append_block(&core->tree, ab_text(text), &list) == 0);
  core->node_count = list.count;
}

static void
make_world (void) {
  static const uint8_t seed[32] = {1};
  if (world.ready) return;
  world.ready = true;
  require(ab_crypto_init() == 0);
  ab_key_pair_from_seed(&world.pair, seed);
  ab_manifest_default(world.pair.public_key, &world.signer, &world.manifest);
  require(ab_manifest_key(&world.manifest, &world.key) == 0);
  for (int i = 0; i < BLOCKS; i++) append(&world.whole, "block", i);
  for (int i = 0; i < KNOWN; i++) append(&world.known, "block", i);
  for (int i = 0; i < KNOWN; i++) append(&world.former, i < 10 ? "block" : "other", i);
  world.whole.tree.fork = world.known.tree.fork = FORK;
  ab_verifier_t verifier = {.manifest = &world.manifest, .key = &world.key};
  require(
    ab_tree_sign(&verifier, &world.whole.tree, &world.pair, world.signature, &world.signature_len) == 0
  );
}

/* ---- data messages ---- */

static void
check_nodes (const ab_node_list_t *nodes) {
  for (size_t i = 0; i < nodes->count; i++) {
    ab_node_t node;
    require(get_node(&world.whole, nodes->nodes[i].index, &node) == 0);
    require(memcmp(node.hash, nodes->nodes[i].hash, AB_HASH_LEN) == 0);
  }
}

static void
check_tree (const ab_tree_t *tree) {
  uint8_t expected[32], found[32];
  ab_tree_hash(&world.whole.tree, expected);
  ab_tree_hash(tree, found);
  require(tree->length == BLOCKS && memcmp(expected, found, sizeof(found)) == 0);
}

static void
give_to (core_t *reader, const ab_manifest_t *manifest, const ab_proof_t *proof, ab_arena_t *arena) {
  ab_node_source_t source = {get_node, reader};
  ab_reader_state_t own = {.tree = &reader->tree, .key = &world.key, .manifest = manifest, .source = &source};
  ab_proof_result_t result;
  ab_reorg_t reorg;
  bool conflict, accepted;

  int err = ab_proof_verify(&own, proof, arena, &result);
  require(err == 0 || ab_proof_is_invalid(err));
  if (err == 0 && result.outcome == AB_PROOF_APPLIED && reader->tree.fork == FORK) {
    check_nodes(&result.nodes);
    if (result.grew) check_tree(&result.tree);
  }
  require(ab_proof_conflicts(&own, proof, arena, &conflict) == 0);
  require(!conflict || reader->tree.fork != FORK);

  err = ab_reorg_begin(&reorg, &own, proof, arena);
  require(err == 0 || err == AB_EINVAL || ab_proof_is_invalid(err));
  if (err < 0) return;
  check_tree(&reorg.tree);
  err = ab_reorg_continue(&reorg, &own, proof, &accepted);
  require(err == 0 || ab_proof_is_invalid(err));
  require(reorg.ancestors <= 10 || !reorg.done);
}

static void
take_proof (ab_slice_t message) {
  core_t fresh = {.tree = {.fork = FORK}}, newborn = {0};
  ab_arena_t arena = {0};
  ab_buf_t once = {0}, twice = {0};
  ab_proof_t proof, again;
  if (ab_proof_decode(message, &arena, &proof) == 0) {
    fuzz_accepted();
    ab_proof_encode(&once, &proof);
    require(once.err == 0 && ab_proof_decode(ab_buf_slice(&once), &arena, &again) == 0);
    ab_proof_encode(&twice, &again);
    require(ab_slice_equal(ab_buf_slice(&once), ab_buf_slice(&twice)));
    (void) ab_proof_length(&proof);
    give_to(&world.known, &world.manifest, &proof, &arena);
    give_to(&world.former, &world.manifest, &proof, &arena);
    give_to(&fresh, NULL, &proof, &arena);
    give_to(&newborn, NULL, &proof, &arena);
  }
  ab_buf_destroy(&once);
  ab_buf_destroy(&twice);
  ab_arena_destroy(&arena);
}

/* ---- requests ---- */

static int
answer (const ab_request_t *request, ab_arena_t *arena, ab_proof_t *proof) {
  ab_node_source_t source = {get_node, &world.whole};
  int err = ab_proof_produce(request, &world.whole.tree, 0, &source, arena, proof);
  if (err < 0) return err;
  if (proof->has_block) proof->block.value = ab_text("block 5");
  if (proof->has_upgrade) proof->upgrade.signature = ab_slice(world.signature, world.signature_len);
  if (request->wants_manifest) proof->manifest = &world.manifest;
  return 0;
}

static void
take_request (ab_slice_t message) {
  ab_arena_t arena = {0};
  ab_buf_t once = {0}, twice = {0};
  ab_request_t request, again;
  ab_proof_t proof;
  if (ab_request_decode(message, &request) == 0) {
    fuzz_accepted();
    ab_request_encode(&once, &request);
    require(once.err == 0 && ab_request_decode(ab_buf_slice(&once), &again) == 0);
    ab_request_encode(&twice, &again);
    require(ab_slice_equal(ab_buf_slice(&once), ab_buf_slice(&twice)));
    int err = answer(&request, &arena, &proof);
    require(err == 0 || err == AB_EOPERATION);
    if (err == 0) {
      ab_buf_reset(&once);
      ab_proof_encode(&once, &proof);
      require(once.err == 0);
    }
  }
  ab_buf_destroy(&once);
  ab_buf_destroy(&twice);
  ab_arena_destroy(&arena);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size) {
  make_world();
  if (size == 0) return 0;
  ab_slice_t message = ab_slice(data + 1, size - 1);
  if (data[0] == 0) take_request(message);
  else if (data[0] == 1) take_proof(message);
  return 0;
}

/* ---- seeds ---- */

static void
seed_message (uint8_t kind, ab_slice_t message) {
  ab_buf_t input = {0};
  ab_buf_append(&input, ab_slice(&kind, 1));
  ab_buf_append(&input, message);
  fuzz_seed(ab_buf_slice(&input));
  ab_buf_destroy(&input);
}

static void
seed_answer (ab_request_t request) {
  ab_arena_t arena = {0};
  ab_buf_t message = {0};
  ab_proof_t proof;
  request.fork = FORK;
  ab_request_encode(&message, &request);
  seed_message(0, ab_buf_slice(&message));
  ab_buf_reset(&message);
  if (answer(&request, &arena, &proof) == 0) {
    ab_proof_encode(&message, &proof);
    seed_message(1, ab_buf_slice(&message));
  }
  ab_buf_destroy(&message);
  ab_arena_destroy(&arena);
}

static void
seed_recorded (const char *file, json_t *root, void *data) {
  json_t *scenario, *step;
  size_t i, j;
  (void) file;
  (void) data;
  json_array_foreach(vectors_get(root, "scenarios"), i, scenario) {
    json_array_foreach(vectors_get(scenario, "steps"), j, step) {
      if (vectors_has(step, "wire")) seed_message(1, vectors_get_bytes(step, "wire"));
    }
  }
}

void
fuzz_seeds (void) {
  make_world();
  seed_answer((ab_request_t){.has_upgrade = true, .upgrade = {0, BLOCKS}, .wants_manifest = true});
  seed_answer((ab_request_t){.has_upgrade = true, .upgrade = {KNOWN, 3}});
  seed_answer((ab_request_t){.has_upgrade = true, .upgrade = {KNOWN, 8}, .has_seek = true, .seek = {150, 0}});
  seed_answer((ab_request_t
  ){.has_block = true, .block = {5, 0}, .has_upgrade = true, .upgrade = {0, 9}, .wants_manifest = true});
  seed_answer((ab_request_t){.has_block = true, .block = {5, 3}});
  seed_answer((ab_request_t){.has_block = true, .block = {5, 3}, .has_seek = true, .seek = {50, 0}});
  seed_answer((ab_request_t){.has_hash = true, .hash = {5, 1}});
  seed_answer((ab_request_t){.has_hash = true, .hash = {22, 4}, .priority = 1});
  vectors_each("hypercore", "proofs.json", seed_recorded, NULL);
  vectors_each("hypercore", "anchors.json", seed_recorded, NULL);
}

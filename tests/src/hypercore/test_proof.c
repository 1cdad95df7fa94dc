#include "memory_core.h"
#include "support/test.h"

typedef struct {
  memory_core_t writer, reader;
  ab_arena_t arena;
} pair_t;

static int
setup (void **state) {
  static pair_t pair;
  pair = (pair_t){0};
  memory_core_init_writer(&pair.writer, 1, 1);
  memory_core_fill(&pair.writer, 13);
  memory_core_init_reader(&pair.reader, &pair.writer);
  *state = &pair;
  return 0;
}

static int
teardown (void **state) {
  pair_t *pair = *state;
  memory_core_destroy(&pair->writer);
  memory_core_destroy(&pair->reader);
  ab_arena_destroy(&pair->arena);
  return 0;
}

static ab_proof_t
prove (pair_t *pair, ab_request_t request) {
  ab_proof_t proof;
  assert_int_equal(memory_core_prove(&pair->writer, &request, &pair->arena, &proof), 0);
  return proof;
}

static ab_proof_t
prove_upgrade (pair_t *pair, uint64_t start, uint64_t length) {
  ab_request_t request = {.has_upgrade = true, .upgrade = {start, length}, .wants_manifest = true};
  return prove(pair, request);
}

static ab_proof_t
prove_block (pair_t *pair, uint64_t index) {
  ab_node_source_t source = memory_core_source(&pair->reader);
  ab_request_t request = {.has_block = true, .block = {.index = index}};
  assert_int_equal(ab_missing_nodes(&source, pair->reader.tree.length, index, &request.block.nodes), 0);
  return prove(pair, request);
}

static int
apply (pair_t *pair, const ab_proof_t *proof) {
  ab_proof_outcome_t outcome;
  return memory_core_apply(&pair->reader, proof, &outcome);
}

static void
sync_head (pair_t *pair) {
  ab_proof_t proof =
    prove_upgrade(pair, pair->reader.tree.length, pair->writer.tree.length - pair->reader.tree.length);
  assert_int_equal(apply(pair, &proof), 0);
}

static void
a_fresh_reader_learns_head_manifest_and_blocks (void **state) {
  pair_t *pair = *state;
  sync_head(pair);
  assert_non_null(pair->reader.manifest);
  for (uint64_t i = 13; i-- > 0;) {
    ab_proof_t proof = prove_block(pair, i);
    assert_int_equal(apply(pair, &proof), 0);
    assert_true(ab_slice_equal(pair->reader.blocks[i], pair->writer.blocks[i]));
  }
  assert_int_equal(pair->reader.node_count, pair->writer.node_count);
}

static void
a_proof_of_another_fork_is_ignored (void **state) {
  pair_t *pair = *state;
  ab_proof_t proof = prove_upgrade(pair, 0, 13);
  ab_proof_outcome_t outcome;
  proof.fork = 1;
  assert_int_equal(memory_core_apply(&pair->reader, &proof, &outcome), 0);
  assert_int_equal(outcome, AB_PROOF_IGNORED);
  assert_int_equal(pair->reader.tree.length, 0);
}

static void
a_list_that_no_honest_peer_sends_is_refused_before_hashing (void **state) {
  pair_t *pair = *state;
  static ab_node_t nodes[AB_PROOF_NODES_MAX + 1]; /* would be AB_EOPERATION if they were looked at */
  const ab_nodes_t list = {nodes, AB_PROOF_NODES_MAX + 1};
  ab_proof_t block = {.has_block = true, .block = {0, ab_text("x"), list}};
  ab_proof_t hash = {.has_hash = true, .hash = {0, list}};
  ab_proof_t seek = {.has_seek = true, .seek = {0, list}};
  ab_proof_t upgrade = {.has_upgrade = true, .upgrade = {.length = 1, .nodes = list}};
  ab_proof_t additional = {.has_upgrade = true, .upgrade = {.length = 1, .additional = list}};
  assert_int_equal(apply(pair, &block), AB_EPROOF);
  assert_int_equal(apply(pair, &hash), AB_EPROOF);
  assert_int_equal(apply(pair, &seek), AB_EPROOF);
  assert_int_equal(apply(pair, &upgrade), AB_EPROOF);
  assert_int_equal(apply(pair, &additional), AB_EPROOF);
}

/* A chain of right siblings climbs for ever: the depth ends it. */
static void
a_climb_ends_at_the_depth_of_a_tree (void **state) {
  pair_t *pair = *state;
  ab_node_t nodes[AB_PROOF_NODES_MAX] = {{0}};
  uint64_t at = 0;
  for (size_t i = 0; i < 60; i++) {
    nodes[i].index = ab_flat_sibling(at);
    at = ab_flat_parent(at);
  }
  ab_proof_t proof = {.has_block = true, .block = {0, ab_text("x"), {nodes, 60}}};
  assert_int_equal(apply(pair, &proof), AB_EOPERATION);
}

static void
extreme_numbers_do_no_harm (void **state) {
  static const uint64_t numbers[] = {
    0, 1, 12, 13, 14, 1ull << 32, AB_LENGTH_MAX, AB_LENGTH_MAX + 1, AB_MAX_SAFE - 1, AB_MAX_SAFE};
  const size_t count = sizeof(numbers) / sizeof(numbers[0]);
  pair_t *pair = *state;
  ab_node_t node = {.index = 0};
  sync_head(pair);
  for (size_t i = 0; i < count; i++) {
    for (size_t j = 0; j < count; j++) {
      ab_proof_t upgrade = {.has_upgrade = true, .upgrade = {.start = numbers[i], .length = numbers[j]}};
      ab_proof_t block = {.has_block = true, .block = {numbers[i], ab_text("x"), {&node, 1}}};
      ab_proof_t hash = {.has_hash = true, .hash = {numbers[i], {&node, 1}}};
      node.index = numbers[j];
      (void) apply(pair, &upgrade);
      assert_int_not_equal(apply(pair, &block), 0);
      assert_int_not_equal(apply(pair, &hash), 0);

      for (unsigned parts = 1; parts < 16; parts++) {
        ab_request_t request = {
          .has_block = (parts & 1) != 0,
          .has_hash = (parts & 2) != 0,
          .has_seek = (parts & 4) != 0,
          .has_upgrade = (parts & 8) != 0,
          .block = {numbers[i], numbers[j]},
          .hash = {numbers[i], numbers[j]},
          .seek = {numbers[i], numbers[j]},
          .upgrade = {numbers[i], numbers[j]},
        };
        ab_proof_t proof;
        int err = memory_core_prove(&pair->writer, &request, &pair->arena, &proof);
        assert_true(err == 0 || err == AB_EOPERATION);
      }
    }
  }
  assert_int_equal(pair->reader.tree.length, 13);
}

static int
fail_to_get (void *data, uint64_t index, ab_node_t *out) {
  (void) index;
  (void) out;
  return *(int *) data;
}

/* A node that is not stored means that the proof does not fit; any other trouble is our own. */
static void
a_failing_source_is_passed_up (void **state) {
  pair_t *pair = *state;
  ab_request_t request = {.has_block = true, .block = {.index = 1, .nodes = 1}};
  ab_arena_t *arena = &pair->arena;
  ab_proof_result_t result;
  ab_proof_t unused;
  int answer = AB_EIO;
  ab_node_source_t source = {fail_to_get, &answer};
  sync_head(pair);
  ab_proof_t proof = prove(pair, request);
  ab_reader_state_t own = {
    .tree = &pair->reader.tree,
    .key = &pair->reader.key,
    .manifest = pair->reader.manifest,
    .source = &source};
  assert_int_equal(ab_proof_verify(&own, &proof, arena, &result), AB_EIO);
  assert_int_equal(ab_proof_produce(&request, &pair->writer.tree, 0, &source, arena, &unused), AB_EIO);
  answer = AB_ENOTFOUND;
  assert_int_equal(ab_proof_verify(&own, &proof, arena, &result), AB_EOPERATION);
  assert_int_equal(ab_proof_produce(&request, &pair->writer.tree, 0, &source, arena, &unused), AB_EOPERATION);
}

static void
an_unknown_compat_core_is_its_own_signer (void **state) {
  pair_t *pair = *state;
  memory_core_t writer = {.pair = pair->writer.pair, .manifest = pair->writer.manifest};
  memory_core_t reader;
  ab_proof_outcome_t outcome;
  ab_request_t request = {.has_upgrade = true, .upgrade = {0, 4}, .wants_manifest = true};
  ab_proof_t proof;
  memcpy(writer.key.bytes, writer.pair->public_key, 32);
  memory_core_fill(&writer, 4);
  memory_core_init_reader(&reader, &writer);
  assert_int_equal(memory_core_prove(&writer, &request, &pair->arena, &proof), 0);
  assert_null(proof.manifest);
  assert_int_equal(memory_core_apply(&reader, &proof, &outcome), 0);
  assert_true(ab_manifest_is_compat(reader.manifest, &reader.key));
  assert_int_equal(reader.manifest->version, 1);
  memory_core_destroy(&writer);
  memory_core_destroy(&reader);
}

static bool
conflicts (memory_core_t *reader, const ab_proof_t *proof) {
  ab_node_source_t source = memory_core_source(reader);
  ab_reader_state_t own = {
    .tree = &reader->tree, .key = &reader->key, .manifest = reader->manifest, .source = &source};
  ab_arena_t arena = {0};
  bool conflict = true;
  assert_int_equal(ab_proof_conflicts(&own, proof, &arena, &conflict), 0);
  ab_arena_destroy(&arena);
  return conflict;
}

static void
two_signed_histories_are_a_conflict (void **state) {
  pair_t *pair = *state;
  memory_core_t other;
  ab_request_t request = {.has_upgrade = true, .upgrade = {0, 9}};
  ab_proof_t proof;
  sync_head(pair);
  memory_core_init_writer(&other, 1, 1);
  for (int i = 0; i < 11; i++) assert_int_equal(memory_core_append(&other, ab_text("other")), 0);

  proof = prove_upgrade(pair, 0, 9);
  assert_false(conflicts(&pair->reader, &proof)); /* our own history */

  assert_int_equal(memory_core_prove(&other, &request, &pair->arena, &proof), 0);
  /* Only the roots of 13 and 8 blocks are known here: the lengths that both have can be compared. */
  assert_false(conflicts(&pair->reader, &proof));
  for (uint64_t i = 0; i < 13; i++) {
    ab_proof_t block = prove_block(pair, i);
    assert_int_equal(apply(pair, &block), 0);
  }
  assert_true(conflicts(&pair->reader, &proof));

  ab_slice_t signature = proof.upgrade.signature;
  proof.upgrade.signature = pair->writer.has_signature ? ab_buf_slice(&pair->writer.signature) : signature;
  assert_false(conflicts(&pair->reader, &proof)); /* nobody signed that */
  proof.upgrade.signature = signature;
  proof.fork = 1;
  assert_false(conflicts(&pair->reader, &proof));
  memory_core_destroy(&other);
}

static void
bookkeeping_agrees_with_what_proofs_bring (void **state) {
  pair_t *pair = *state;
  ab_node_source_t source = memory_core_source(&pair->reader);
  bool upgradeable;
  sync_head(pair);
  assert_int_equal(ab_is_upgradeable(&source, 13, &upgradeable), 0);
  assert_true(upgradeable);
  assert_int_equal(ab_is_upgradeable(&source, 8, &upgradeable), 0);
  assert_true(upgradeable);
  assert_int_equal(ab_is_upgradeable(&source, 9, &upgradeable), 0);
  assert_false(upgradeable);
  assert_int_equal(ab_is_upgradeable(&source, AB_MAX_SAFE, &upgradeable), 0);
  assert_false(upgradeable);

  assert_int_equal(ab_max_missing_nodes(0, 13), 3);
  assert_int_equal(ab_max_missing_nodes(7, 13), 0);
  assert_int_equal(ab_max_missing_nodes(24, 13), 0);
  assert_int_equal(ab_max_missing_nodes(26, 13), 0);
  assert_int_equal(ab_max_missing_nodes(AB_MAX_SAFE, 13), 0);
  assert_int_equal(ab_max_missing_nodes(16, 13), 2);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    TEST(a_fresh_reader_learns_head_manifest_and_blocks),
    TEST(a_proof_of_another_fork_is_ignored),
    TEST(a_list_that_no_honest_peer_sends_is_refused_before_hashing),
    TEST(a_climb_ends_at_the_depth_of_a_tree),
    TEST(extreme_numbers_do_no_harm),
    TEST(a_failing_source_is_passed_up),
    TEST(an_unknown_compat_core_is_its_own_signer),
    TEST(two_signed_histories_are_a_conflict),
    TEST(bookkeeping_agrees_with_what_proofs_bring),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* oom_proof.c: the n-th allocation fails, for every n: the error is passed up, nothing leaks, and the reader
 * is as before. */
#include "hypercore/crypto.h"
#include "memory_core.h"
#include "support/failing_alloc.h"
#include "support/test.h"

typedef struct {
  memory_core_t writer, reader;
  ab_buf_t message;   /* an upgrade with a block and the manifest */
  ab_buf_t assembled; /* a signature with a patch */
} world_t;

static world_t world;

static void
make_message (void) {
  ab_request_t request = {
    .has_block = true, .block = {.index = 5}, .has_upgrade = true, .upgrade = {0, 9}, .wants_manifest = true};
  ab_arena_t arena = {0};
  ab_proof_t proof;
  assert_int_equal(memory_core_prove(&world.writer, &request, &arena, &proof), 0);
  ab_proof_encode(&world.message, &proof);
  assert_int_equal(world.message.err, 0);
  ab_arena_destroy(&arena);
}

static int
setup (void **state) {
  (void) state;
  world = (world_t){0};
  memory_core_init_writer(&world.writer, 1, 1);
  memory_core_fill(&world.writer, 21);
  memory_core_init_reader(&world.reader, &world.writer);
  make_message();
  return 0;
}

static int
teardown (void **state) {
  (void) state;
  memory_core_destroy(&world.writer);
  memory_core_destroy(&world.reader);
  ab_buf_destroy(&world.message);
  ab_buf_destroy(&world.assembled);
  return 0;
}

/* Call `act` until no allocation of it fails; each failure must come out as AB_ENOMEM. */
static void
fail_each_allocation (int (*act)(ab_arena_t *arena)) {
  size_t n = 0;
  int err;
  do {
    ab_arena_t arena = {0};
    failing_alloc_arm(++n, FAILING_ALLOC_ONCE);
    err = act(&arena);
    bool failed = failing_alloc_disarm();
    ab_arena_destroy(&arena);
    assert_int_equal(err, failed ? AB_ENOMEM : 0);
  } while (err != 0);
  assert_true(n > 1);
}

static int
decode_and_verify (ab_arena_t *arena) {
  ab_node_source_t source = memory_core_source(&world.reader);
  ab_reader_state_t own = {.tree = &world.reader.tree, .key = &world.reader.key, .source = &source};
  ab_proof_result_t result;
  ab_proof_t proof;
  int err = ab_proof_decode(ab_buf_slice(&world.message), arena, &proof);
  if (err == 0) err = ab_proof_verify(&own, &proof, arena, &result);
  return err;
}

static void
decoding_and_verifying (void **state) {
  (void) state;
  fail_each_allocation(decode_and_verify);
}

static int
produce_and_encode (ab_arena_t *arena) {
  ab_request_t request = {.has_block = true, .block = {.index = 5}, .has_upgrade = true, .upgrade = {0, 9}};
  ab_buf_t message = {0};
  ab_proof_t proof;
  int err = memory_core_prove(&world.writer, &request, arena, &proof);
  if (err == 0) {
    ab_proof_encode(&message, &proof);
    err = message.err;
  }
  ab_buf_destroy(&message);
  return err;
}

static void
producing_and_encoding (void **state) {
  (void) state;
  fail_each_allocation(produce_and_encode);
}

static int
begin_reorg (ab_arena_t *arena) {
  ab_node_source_t source = memory_core_source(&world.reader);
  ab_reader_state_t own = {.tree = &world.reader.tree, .key = &world.reader.key, .source = &source};
  ab_request_t request = {.has_upgrade = true, .upgrade = {0, 21}, .wants_manifest = true};
  ab_proof_t proof;
  ab_reorg_t reorg;
  int err = memory_core_prove(&world.writer, &request, arena, &proof);
  return err == 0 ? ab_reorg_begin(&reorg, &own, &proof, arena) : err;
}

static void
beginning_a_reorg (void **state) {
  (void) state;
  assert_int_equal(memory_core_truncate(&world.writer, 21, 1), 0);
  fail_each_allocation(begin_reorg);
}

static int
copy_manifest (ab_arena_t *arena) {
  ab_key_t linked = {{1}}, key;
  ab_manifest_t manifest = *world.writer.manifest, read;
  ab_buf_t encoded = {0};
  manifest.version = 2;
  manifest.has_linked = manifest.has_user_data = true;
  manifest.linked = &linked;
  manifest.linked_count = 1;
  manifest.user_data = ab_text("data");
  int err = ab_manifest_copy(&manifest, arena, &manifest);
  if (err == 0) err = ab_manifest_key(&manifest, &key);
  if (err == 0) {
    ab_manifest_encode(&encoded, &manifest);
    err = encoded.err;
  }
  if (err == 0) err = ab_manifest_parse(ab_buf_slice(&encoded), &key, arena, &read);
  ab_buf_destroy(&encoded);
  return err;
}

static void
copying_and_parsing_a_manifest (void **state) {
  (void) state;
  fail_each_allocation(copy_manifest);
}

/* The writer's only signer signed 21 blocks, and that is to count for 9. */
static ab_manifest_t
patched_manifest (void) {
  ab_manifest_t manifest = *world.writer.manifest;
  manifest.allow_patch = true;
  return manifest;
}

static int
assemble (ab_arena_t *arena) {
  ab_manifest_t manifest = patched_manifest();
  ab_request_t request = {.has_upgrade = true, .upgrade = {9, 12}};
  ab_partial_t partial = {.patch = 12};
  ab_proof_t proof;
  int err = memory_core_prove(&world.writer, &request, arena, &proof);
  if (err < 0) return err;
  memcpy(partial.signature, world.writer.signature.data + 2, sizeof(partial.signature));
  partial.nodes = proof.upgrade.nodes.nodes;
  partial.node_count = proof.upgrade.nodes.count;
  ab_buf_destroy(&world.assembled);
  ab_signature_assemble(&world.assembled, &manifest, &partial, 1);
  return world.assembled.err;
}

static int
verify_patched (ab_arena_t *arena) {
  ab_manifest_t manifest = patched_manifest();
  ab_verifier_t verifier = {.manifest = &manifest, .key = &world.writer.key};
  ab_node_source_t source = memory_core_source(&world.writer);
  ab_tree_t tree;
  int err = ab_tree_load(&tree, 0, 9, &source);
  return err == 0 ? ab_tree_verify(&verifier, &tree, ab_buf_slice(&world.assembled), arena) : err;
}

static void
assembling_and_verifying_a_patched_signature (void **state) {
  (void) state;
  fail_each_allocation(assemble);
  fail_each_allocation(verify_patched);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    TEST(decoding_and_verifying),
    TEST(producing_and_encoding),
    TEST(beginning_a_reorg),
    TEST(copying_and_parsing_a_manifest),
    TEST(assembling_and_verifying_a_patched_signature),
  };
  return ab_crypto_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

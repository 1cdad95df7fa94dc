#include "hypercore/crypto.h"
#include "memory_core.h"
#include "support/test.h"

static int
verify (const memory_core_t *core, ab_slice_t signature) {
  ab_verifier_t verifier = {.manifest = core->manifest, .key = &core->key, .legacy = core->legacy};
  ab_arena_t arena = {0};
  int err = ab_tree_verify(&verifier, &core->tree, signature, &arena);
  ab_arena_destroy(&arena);
  return err;
}

static void
what_is_signed_verifies_in_every_version (void **state) {
  (void) state;
  for (uint64_t version = 0; version <= 3; version++) {
    memory_core_t core;
    memory_core_init_writer(&core, 1, version);
    memory_core_fill(&core, 5);
    assert_int_equal(core.signature.len, version == 0 ? 64 : 68);
    assert_int_equal(verify(&core, ab_buf_slice(&core.signature)), 0);
    core.tree.fork = 1;
    assert_int_equal(verify(&core, ab_buf_slice(&core.signature)), AB_ESIGNATURE);
    core.tree.fork = 0;
    core.tree.roots[0].hash[0] ^= 1;
    assert_int_equal(verify(&core, ab_buf_slice(&core.signature)), AB_ESIGNATURE);
    memory_core_destroy(&core);
  }
}

static void
a_signature_of_one_core_is_no_other_core_s (void **state) {
  memory_core_t core, other;
  (void) state;
  memory_core_init_writer(&core, 1, 1);
  memory_core_init_writer(&other, 1, 2); /* the same key pair */
  memory_core_fill(&core, 3);
  memory_core_fill(&other, 3);
  assert_int_equal(verify(&core, ab_buf_slice(&other.signature)), AB_ESIGNATURE);
  memory_core_destroy(&core);
  memory_core_destroy(&other);
}

static void
absent_and_malformed_signatures_are_refused (void **state) {
  memory_core_t core;
  (void) state;
  memory_core_init_writer(&core, 1, 1);
  memory_core_fill(&core, 3);
  assert_int_equal(verify(&core, ab_slice(NULL, 0)), AB_ESIGNATURE);
  assert_int_equal(verify(&core, ab_text("")), AB_ECORRUPT);
  for (size_t len = 1; len < core.signature.len; len++) {
    assert_int_equal(verify(&core, ab_slice(core.signature.data, len)), AB_ECORRUPT);
  }
  memory_core_destroy(&core);
}

static void
a_stranger_cannot_sign (void **state) {
  static const uint8_t seed[32] = {7};
  uint8_t signature[AB_SIGNATURE_MAX];
  memory_core_t core;
  ab_key_pair_t stranger;
  size_t len;
  (void) state;
  memory_core_init_writer(&core, 1, 1);
  ab_verifier_t verifier = {.manifest = core.manifest, .key = &core.key};
  ab_key_pair_from_seed(&stranger, seed);
  assert_int_equal(ab_tree_sign(&verifier, &core.tree, &stranger, signature, &len), AB_EINVAL);
  memory_core_destroy(&core);
}

static void
a_core_ends_with_its_prologue_unsigned_or_not_at_all (void **state) {
  memory_core_t core, whole;
  ab_manifest_t manifest = {.version = 1, .has_prologue = true, .prologue_length = 3};
  (void) state;
  memory_core_init_writer(&whole, 1, 1);
  memory_core_fill(&whole, 3);
  ab_tree_hash(&whole.tree, manifest.prologue_hash);
  core = (memory_core_t){.manifest = &manifest, .tree = whole.tree};
  assert_int_equal(ab_manifest_key(&manifest, &core.key), 0);
  assert_int_equal(verify(&core, ab_slice(NULL, 0)), 0);
  assert_int_equal(verify(&core, ab_text("anything")), 0);
  memory_core_fill(&whole, 1);
  core.tree = whole.tree;
  assert_int_equal(verify(&core, ab_slice(NULL, 0)), AB_ESIGNATURE);
  core.tree = (ab_tree_t){0};
  assert_int_equal(verify(&core, ab_slice(NULL, 0)), AB_ESIGNATURE);
  memory_core_destroy(&whole);
}

/* A list of nodes far longer than any patch needs must not be sorted, let alone hashed. */
static void
a_patch_with_endless_nodes_is_refused (void **state) {
  memory_core_t core;
  ab_buf_t signature = {0};
  uint8_t bytes[64] = {0};
  (void) state;
  memory_core_init_writer(&core, 1, 1);
  ((ab_manifest_t *) core.manifest)->allow_patch = true;
  memory_core_fill(&core, 3);
  ab_write_uint(&signature, 1);
  ab_write_uint(&signature, 0);
  ab_write_bytes(&signature, ab_slice(bytes, 64));
  ab_write_uint(&signature, AB_MAX_SAFE);
  ab_write_uint(&signature, 100000);
  for (size_t i = 0; i < 100000; i++) {
    ab_write_uint(&signature, 0);
    ab_write_uint(&signature, 0);
    ab_write_bytes(&signature, ab_slice(bytes, 32));
  }
  assert_int_equal(verify(&core, ab_buf_slice(&signature)), AB_ECORRUPT);
  ab_buf_destroy(&signature);
  memory_core_destroy(&core);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_signed_verifies_in_every_version),
    cmocka_unit_test(a_signature_of_one_core_is_no_other_core_s),
    cmocka_unit_test(absent_and_malformed_signatures_are_refused),
    cmocka_unit_test(a_stranger_cannot_sign),
    cmocka_unit_test(a_core_ends_with_its_prologue_unsigned_or_not_at_all),
    cmocka_unit_test(a_patch_with_endless_nodes_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "hypercore/crypto.h"
#include "hypercore/manifest.h"
#include "support/test.h"

static const uint8_t public_key[32] = {1, 2, 3};

static void
the_key_does_not_depend_on_how_the_bytes_were_written (void **state) {
  ab_arena_t arena = {0};
  ab_buf_t canonical = {0}, loose = {0};
  ab_signer_t signer;
  ab_manifest_t manifest, read;
  ab_key_t key;
  (void) state;
  ab_manifest_default(public_key, &signer, &manifest);
  ab_manifest_encode(&canonical, &manifest);
  assert_int_equal(canonical.len, 70);
  assert_int_equal(ab_manifest_key(&manifest, &key), 0);

  /* version as fd 01 00, unknown flags, trailing bytes */
  ab_buf_append(&loose, ab_slice("\xfd\x01\x00\xf0", 4));
  ab_buf_append(&loose, ab_slice(canonical.data + 2, canonical.len - 2));
  ab_buf_append(&loose, ab_text("more"));
  assert_int_equal(ab_manifest_parse(ab_buf_slice(&loose), &key, &arena, &read), 0);
  ab_buf_destroy(&canonical);
  ab_buf_destroy(&loose);
  ab_arena_destroy(&arena);
}

static void
every_shorter_piece_is_refused (void **state) {
  ab_key_t linked[2] = {{{7}}, {{8}}};
  ab_signer_t signers[2] = {ab_signer(public_key), ab_signer(public_key)};
  ab_manifest_t manifest = {
    .version = 2,
    .quorum = 1,
    .signers = signers,
    .signer_count = 2,
    .has_prologue = true,
    .prologue_length = 70000,
    .has_linked = true,
    .linked = linked,
    .linked_count = 2,
    .has_user_data = true,
    .user_data = ab_text("data"),
  };
  ab_buf_t encoded = {0};
  (void) state;
  ab_manifest_encode(&encoded, &manifest);
  for (size_t len = 0; len < encoded.len; len++) {
    ab_arena_t arena = {0};
    ab_manifest_t read;
    assert_int_equal(ab_manifest_parse(ab_slice(encoded.data, len), NULL, &arena, &read), AB_ECORRUPT);
    ab_arena_destroy(&arena);
  }
  ab_buf_destroy(&encoded);
}

static void
present_and_empty_differs_from_absent (void **state) {
  ab_arena_t arena = {0};
  ab_manifest_t manifest = {.version = 2, .has_linked = true, .has_user_data = true}, read;
  ab_manifest_t without = {.version = 2};
  ab_key_t key, other;
  ab_buf_t encoded = {0};
  (void) state;
  ab_manifest_encode(&encoded, &manifest);
  assert_int_equal(ab_manifest_parse(ab_buf_slice(&encoded), NULL, &arena, &read), 0);
  assert_true(read.has_linked && read.has_user_data);
  assert_int_equal(read.linked_count, 0);
  assert_int_equal(read.user_data.len, 0);
  assert_int_equal(ab_manifest_key(&read, &key), 0);
  assert_int_equal(ab_manifest_key(&without, &other), 0);
  assert_false(ab_key_equal(&key, &other));
  ab_buf_destroy(&encoded);
  ab_arena_destroy(&arena);
}

static void
a_core_is_compat_when_its_signer_is_its_key (void **state) {
  ab_signer_t signer;
  ab_manifest_t manifest;
  ab_key_t key;
  (void) state;
  ab_manifest_default(public_key, &signer, &manifest);
  manifest.has_prologue = true;
  manifest.prologue_length = 3;
  assert_int_equal(ab_manifest_key(&manifest, &key), 0);
  assert_false(ab_manifest_is_compat(&manifest, &key));
  assert_int_equal(ab_manifest_prologue(&manifest, &key), 3);
  memcpy(key.bytes, public_key, 32);
  assert_true(ab_manifest_is_compat(&manifest, &key));
  assert_int_equal(ab_manifest_prologue(&manifest, &key), 0);
}

static void
fields_that_do_not_fit_together_are_refused (void **state) {
  ab_signer_t signer = ab_signer(public_key);
  ab_key_t linked = {{1}};
  ab_manifest_t manifest = {.version = 1, .quorum = 1, .signers = &signer, .signer_count = 1};
  (void) state;
  assert_int_equal(ab_manifest_check(&manifest), 0);
  manifest.quorum = 2;
  assert_int_equal(ab_manifest_check(&manifest), AB_EINVAL);
  manifest.quorum = 0;
  assert_int_equal(ab_manifest_check(&manifest), 0);
  manifest.has_linked = true;
  assert_int_equal(ab_manifest_check(&manifest), 0);
  manifest.linked = &linked;
  manifest.linked_count = 1;
  assert_int_equal(ab_manifest_check(&manifest), AB_EINVAL);
  manifest.version = 2;
  assert_int_equal(ab_manifest_check(&manifest), 0);
  manifest.version = 4;
  assert_int_equal(ab_manifest_check(&manifest), AB_EINVAL);
}

static void
a_copy_does_not_share_memory (void **state) {
  ab_signer_t signer = ab_signer(public_key);
  ab_key_t linked = {{1}};
  char data[] = "data";
  ab_manifest_t manifest = {
    .version = 2,
    .signers = &signer,
    .signer_count = 1,
    .has_linked = true,
    .linked = &linked,
    .linked_count = 1,
    .has_user_data = true,
    .user_data = ab_text(data),
  };
  ab_arena_t arena = {0};
  ab_key_t before, after;
  (void) state;
  assert_int_equal(ab_manifest_key(&manifest, &before), 0);
  assert_int_equal(ab_manifest_copy(&manifest, &arena, &manifest), 0);
  memset(&signer, 9, sizeof(signer));
  memset(&linked, 9, sizeof(linked));
  memset(data, 9, sizeof(data));
  assert_int_equal(ab_manifest_key(&manifest, &after), 0);
  assert_true(ab_key_equal(&before, &after));
  ab_arena_destroy(&arena);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_key_does_not_depend_on_how_the_bytes_were_written),
    cmocka_unit_test(every_shorter_piece_is_refused),
    cmocka_unit_test(present_and_empty_differs_from_absent),
    cmocka_unit_test(a_core_is_compat_when_its_signer_is_its_key),
    cmocka_unit_test(fields_that_do_not_fit_together_are_refused),
    cmocka_unit_test(a_copy_does_not_share_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

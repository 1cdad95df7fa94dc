#include "autobee/encryption.h"
#include "hypercore/crypto.h"
#include "hypercore/manifest.h"
#include "support/test.h"

static const encryption_t encryption = {.database = {{1}}, .secret = {2}};

static ab_key_t
key_of (uint8_t byte) {
  ab_key_t key;
  memset(key.bytes, byte, sizeof(key.bytes));
  return key;
}

static ab_cipher_t
cipher_of (const encryption_t *keys, const char *view, uint8_t core, uint64_t version, ab_slice_t user_data) {
  ab_key_t key = key_of(core);
  ab_signer_t signer;
  ab_manifest_t manifest;
  ab_buf_t encoded = {0};
  ab_cipher_t cipher;
  ab_manifest_default(key.bytes, &signer, &manifest);
  manifest.version = version;
  manifest.has_user_data = user_data.len > 0;
  manifest.user_data = user_data;
  ab_manifest_encode(&encoded, &manifest);
  assert_int_equal(autobee__encryption_cipher(keys, view, &key, ab_buf_slice(&encoded), &cipher), 0);
  ab_buf_destroy(&encoded);
  return cipher;
}

static bool
same_key (ab_cipher_t a, ab_cipher_t b) {
  return memcmp(a.block_key, b.block_key, 32) == 0;
}

static void
the_manifest_decides_the_scheme (void **state) {
  (void) state;
  ab_slice_t none = ab_slice(NULL, 0);
  for (uint64_t version = 0; version <= 3; version++) {
    ab_cipher_t cipher = cipher_of(&encryption, ENCRYPTION_WRITER, 3, version, none);
    assert_int_equal(cipher.scheme, version < 2 ? AB_CIPHER_SCHEME_1 : AB_CIPHER_SCHEME_2);
  }
}

static void
without_a_manifest_there_is_no_cipher (void **state) {
  (void) state;
  ab_key_t core = key_of(3);
  ab_cipher_t cipher;
  assert_int_equal(
    autobee__encryption_cipher(&encryption, ENCRYPTION_WRITER, &core, ab_slice(NULL, 0), &cipher), AB_EREMOTE
  );
  assert_int_equal(
    autobee__encryption_cipher(&encryption, ENCRYPTION_WRITER, &core, ab_text("\x07"), &cipher), AB_ECORRUPT
  );
}

static void
writers_have_keys_of_their_own_and_views_share_one (void **state) {
  (void) state;
  ab_slice_t none = ab_slice(NULL, 0);
  for (uint64_t version = 1; version <= 2; version++) {
    ab_cipher_t a = cipher_of(&encryption, ENCRYPTION_WRITER, 3, version, none);
    ab_cipher_t b = cipher_of(&encryption, ENCRYPTION_WRITER, 4, version, none);
    assert_false(same_key(a, b));
    a = cipher_of(&encryption, ENCRYPTION_VIEW, 3, version, none);
    b = cipher_of(&encryption, ENCRYPTION_VIEW, 4, version, none);
    assert_true(same_key(a, b));
    b = cipher_of(&encryption, ENCRYPTION_SYSTEM, 4, version, none);
    assert_false(same_key(a, b));
  }
}

static void
view_keys_of_the_first_scheme_contain_the_secret (void **state) {
  (void) state;
  ab_slice_t none = ab_slice(NULL, 0);
  encryption_t other = encryption;
  other.secret[0]++;
  assert_false(same_key(
    cipher_of(&encryption, ENCRYPTION_VIEW, 3, 1, none), cipher_of(&other, ENCRYPTION_VIEW, 3, 1, none)
  ));
}

static void
a_namespace_takes_the_place_of_the_core_key (void **state) {
  (void) state;
  uint8_t data[34] = {0, 2, 9};
  ab_cipher_t a = cipher_of(&encryption, ENCRYPTION_WRITER, 3, 2, ab_slice(data, sizeof(data)));
  ab_cipher_t b = cipher_of(&encryption, ENCRYPTION_WRITER, 4, 2, ab_slice(data, sizeof(data)));
  assert_true(same_key(a, b));
  b = cipher_of(&encryption, ENCRYPTION_WRITER, 3, 2, ab_slice(data, 33)); /* not manifest data of ours */
  assert_false(same_key(a, b));
}

static void
padding_is_synthetic_unless_asked_otherwise (void **state) {
  (void) state;
  encryption_t reference = encryption;
  reference.reference_padding = true;
  ab_slice_t none = ab_slice(NULL, 0);
  assert_true(cipher_of(&encryption, ENCRYPTION_VIEW, 3, 1, none).synthetic_padding);
  assert_false(cipher_of(&reference, ENCRYPTION_VIEW, 3, 1, none).synthetic_padding);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_manifest_decides_the_scheme),
    cmocka_unit_test(without_a_manifest_there_is_no_cipher),
    cmocka_unit_test(writers_have_keys_of_their_own_and_views_share_one),
    cmocka_unit_test(view_keys_of_the_first_scheme_contain_the_secret),
    cmocka_unit_test(a_namespace_takes_the_place_of_the_core_key),
    cmocka_unit_test(padding_is_synthetic_unless_asked_otherwise),
  };
  if (ab_crypto_init() < 0) return 1;
  return cmocka_run_group_tests(tests, NULL, NULL);
}

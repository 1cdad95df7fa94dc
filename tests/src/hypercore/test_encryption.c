#include "hypercore/crypto.h"
#include "hypercore/encryption.h"
#include "support/test.h"

static const uint8_t secret[32] = {9, 8, 7};
static const ab_key_t core_key = {{1}};

static void
encrypt (const ab_cipher_t *cipher, uint64_t index, uint64_t fork, const char *text, uint8_t *stored) {
  assert_int_equal(ab_cipher_encrypt(cipher, &core_key, index, fork, ab_text(text), stored), 0);
}

static void
assert_decrypts (const ab_cipher_t *cipher, uint64_t index, const uint8_t *stored, const char *text) {
  uint8_t plain[64];
  size_t len = strlen(text);
  assert_int_equal(ab_cipher_decrypt(cipher, index, ab_slice(stored, len + AB_CIPHER_PADDING), plain), 0);
  assert_memory_equal(plain, text, len);
}

static void
two_texts_at_one_place_share_no_key_stream (void **state) {
  uint8_t a[64], b[64];
  ab_cipher_t cipher;
  (void) state;
  ab_cipher_derive(&cipher, AB_CIPHER_KEY_DEFAULT, secret, &core_key);
  encrypt(&cipher, 5, 0, "first version", a);
  encrypt(&cipher, 5, 0, "other version", b);
  assert_memory_not_equal(a, b, AB_CIPHER_PADDING);
  assert_decrypts(&cipher, 5, a, "first version");
  assert_decrypts(&cipher, 5, b, "other version");
}

static void
the_padding_depends_on_core_index_and_fork (void **state) {
  const ab_key_t other_core = {{2}};
  uint8_t a[64], b[64];
  ab_cipher_t cipher;
  (void) state;
  ab_cipher_scheme_1(&cipher, secret);
  encrypt(&cipher, 5, 0, "text", a);
  encrypt(&cipher, 5, 0, "text", b);
  assert_memory_equal(a, b, 4 + AB_CIPHER_PADDING);
  encrypt(&cipher, 6, 0, "text", b);
  assert_memory_not_equal(a, b, AB_CIPHER_PADDING);
  encrypt(&cipher, 5, 1, "text", b);
  assert_memory_not_equal(a, b, AB_CIPHER_PADDING);
  assert_int_equal(ab_cipher_encrypt(&cipher, &other_core, 5, 0, ab_text("text"), b), 0);
  assert_memory_not_equal(a, b, AB_CIPHER_PADDING);
}

static void
a_reader_takes_the_padding_as_it_is (void **state) {
  uint8_t stored[64];
  ab_cipher_t writer, reader;
  (void) state;
  ab_cipher_scheme_1(&writer, secret);
  reader = writer;
  writer.synthetic_padding = false;
  encrypt(&writer, 1, 3, "text", stored);
  assert_decrypts(&reader, 1, stored, "text");
}

static void
scheme_2_reads_what_was_left_plain (void **state) {
  static const uint8_t left_plain[12] = {0, 'a', 'n', 'y', 't', 'h', 'i', 'n', 't', 'e', 'x', 't'};
  uint8_t stored[64];
  ab_cipher_t cipher;
  (void) state;
  ab_cipher_scheme_1(&cipher, secret);
  cipher.scheme = AB_CIPHER_SCHEME_2;
  encrypt(&cipher, 1, 0, "text", stored);
  assert_int_equal(stored[0], 1);
  assert_decrypts(&cipher, 1, stored, "text");
  memcpy(stored, left_plain, sizeof(left_plain));
  assert_decrypts(&cipher, 1, stored, "text");
  stored[0] = 2;
  assert_int_equal(ab_cipher_decrypt(&cipher, 1, ab_slice(stored, 12), stored + 32), AB_ECORRUPT);
}

static void
a_block_shorter_than_its_padding_is_corrupt (void **state) {
  uint8_t stored[8] = {0}, plain[8];
  ab_cipher_t cipher;
  (void) state;
  ab_cipher_scheme_1(&cipher, secret);
  for (size_t len = 0; len < 8; len++) {
    assert_int_equal(ab_cipher_decrypt(&cipher, 0, ab_slice(stored, len), plain), AB_ECORRUPT);
  }
  assert_int_equal(ab_cipher_decrypt(&cipher, 0, ab_slice(stored, 8), plain), 0);
}

static void
no_cipher_copies (void **state) {
  uint8_t stored[8], plain[8];
  ab_cipher_t cipher = {0};
  (void) state;
  assert_int_equal(ab_cipher_padding(&cipher), 0);
  assert_int_equal(ab_cipher_padding(NULL), 0);
  encrypt(&cipher, 0, 0, "text", stored);
  assert_int_equal(ab_cipher_decrypt(&cipher, 0, ab_slice(stored, 4), plain), 0);
  assert_memory_equal(plain, "text", 4);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(two_texts_at_one_place_share_no_key_stream),
    cmocka_unit_test(the_padding_depends_on_core_index_and_fork),
    cmocka_unit_test(a_reader_takes_the_padding_as_it_is),
    cmocka_unit_test(scheme_2_reads_what_was_left_plain),
    cmocka_unit_test(a_block_shorter_than_its_padding_is_corrupt),
    cmocka_unit_test(no_cipher_copies),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

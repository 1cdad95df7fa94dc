/* encryption.c: XSalsa20 over blocks, and the paddings that make its nonces. */
#include "hypercore/encryption.h"

#include "hypercore/crypto.h"
#include "hypercore/encoding.h"

#include <assert.h>
#include <sodium.h>

_Static_assert(crypto_stream_NONCEBYTES == 24, "the nonce layouts below");
_Static_assert(crypto_stream_KEYBYTES == 32, "block keys");

#define SYNTHETIC_HASH_LEN 64
#define CONTENT_HASH_LEN 16

/* The first byte of scheme 2's padding. */
enum { FORM_PLAIN = 0, FORM_ENCRYPTED = 1 };

void
ab_cipher_scheme_1 (ab_cipher_t *out, const uint8_t block_key[32]) {
  ab_slice_t part = ab_slice(block_key, 32);
  *out = (ab_cipher_t){.scheme = AB_CIPHER_SCHEME_1, .synthetic_padding = true};
  ab_hash(out->blinding_key, &part, 1);
  memcpy(out->block_key, block_key, sizeof(out->block_key));
}

void
ab_cipher_derive (ab_cipher_t *out, ab_cipher_mode_t mode, const uint8_t key[32], const ab_key_t *core_key) {
  uint8_t block_key[32];
  ab_slice_t secret = ab_slice(key, 32);
  switch (mode) {
  case AB_CIPHER_KEY_COMPAT:
    ab_hash_keyed(block_key, core_key->bytes, &secret, 1);
    break;
  case AB_CIPHER_KEY_BLOCK:
    memcpy(block_key, key, sizeof(block_key));
    break;
  case AB_CIPHER_KEY_DEFAULT:
  default: {
    ab_slice_t parts[3] = {
      ab_slice(ab_ns_default_encryption, sizeof(ab_ns_default_encryption)), ab_key_slice(core_key), secret};
    ab_hash(block_key, parts, 3);
    break;
  }
  }
  ab_cipher_scheme_1(out, block_key);
  ab_wipe(block_key, sizeof(block_key));
}

/* ---- paddings ---- */

static void
reference_padding (const ab_cipher_t *cipher, uint64_t index, uint64_t fork, uint8_t out[AB_CIPHER_PADDING]) {
  uint8_t nonce[crypto_stream_NONCEBYTES] = {0};
  ab_put_u64le(nonce, index);
  ab_put_u64le(out, fork);
  (void) crypto_stream_xor(out, out, AB_CIPHER_PADDING, nonce, cipher->blinding_key);
}

static void
synthetic_padding (
  const ab_cipher_t *cipher,
  const ab_key_t *core_key,
  uint64_t index,
  uint64_t fork,
  ab_slice_t plain,
  uint8_t out[AB_CIPHER_PADDING]
) {
  uint8_t where[48], hash[SYNTHETIC_HASH_LEN];
  memcpy(where, core_key->bytes, 32);
  ab_put_u64le(where + 32, index);
  ab_put_u64le(where + 40, fork);
  crypto_generichash_state state;
  (void) crypto_generichash_init(&state, cipher->blinding_key, sizeof(cipher->blinding_key), sizeof(hash));
  (void) crypto_generichash_update(&state, where, sizeof(where));
  (void) crypto_generichash_update(&state, plain.data, plain.len);
  (void) crypto_generichash_final(&state, hash, sizeof(hash));
  memcpy(out, hash, AB_CIPHER_PADDING);
}

static void
content_padding (const ab_cipher_t *cipher, ab_slice_t plain, uint8_t out[AB_CIPHER_PADDING]) {
  uint8_t hash[CONTENT_HASH_LEN];
  (void) crypto_generichash(
    hash, sizeof(hash), plain.data, plain.len, cipher->blinding_key, sizeof(cipher->blinding_key)
  );
  memcpy(out, hash, 4);
  memset(out + 4, 0, 4); /* the key's id */
  out[0] = FORM_ENCRYPTED;
}

/* ---- blocks ---- */

static void
xor_block (const ab_cipher_t *cipher, uint64_t index, const uint8_t *padding, ab_slice_t in, uint8_t *out) {
  uint8_t nonce[crypto_stream_NONCEBYTES] = {0};
  ab_put_u64le(nonce, index);
  memcpy(nonce + 8, padding, AB_CIPHER_PADDING);
  if (in.len > 0) (void) crypto_stream_xor(out, in.data, in.len, nonce, cipher->block_key);
}

int
ab_cipher_encrypt (
  const ab_cipher_t *cipher,
  const ab_key_t *core_key,
  uint64_t index,
  uint64_t fork,
  ab_slice_t plain,
  uint8_t *stored
) {
  switch (cipher->scheme) {
  case AB_CIPHER_NONE:
    if (plain.len > 0) memcpy(stored, plain.data, plain.len);
    return 0;
  case AB_CIPHER_SCHEME_1:
    if (cipher->synthetic_padding) synthetic_padding(cipher, core_key, index, fork, plain, stored);
    else reference_padding(cipher, index, fork, stored);
    break;
  case AB_CIPHER_SCHEME_2:
    content_padding(cipher, plain, stored);
    break;
  default:
    return AB_ENOTSUP;
  }
  xor_block(cipher, index, stored, plain, stored + AB_CIPHER_PADDING);
  return 0;
}

int
ab_cipher_decrypt (const ab_cipher_t *cipher, uint64_t index, ab_slice_t stored, uint8_t *plain) {
  if (cipher->scheme == AB_CIPHER_NONE) {
    if (stored.len > 0) memcpy(plain, stored.data, stored.len);
    return 0;
  }
  if (cipher->scheme != AB_CIPHER_SCHEME_1 && cipher->scheme != AB_CIPHER_SCHEME_2) return AB_ENOTSUP;
  if (stored.len < AB_CIPHER_PADDING) return AB_ECORRUPT;

  ab_slice_t rest = ab_slice(stored.data + AB_CIPHER_PADDING, stored.len - AB_CIPHER_PADDING);
  if (cipher->scheme == AB_CIPHER_SCHEME_2 && stored.data[0] == FORM_PLAIN) {
    if (rest.len > 0) memcpy(plain, rest.data, rest.len);
    return 0;
  }
  if (cipher->scheme == AB_CIPHER_SCHEME_2 && stored.data[0] != FORM_ENCRYPTED) return AB_ECORRUPT;
  xor_block(cipher, index, stored.data, rest, plain);
  return 0;
}

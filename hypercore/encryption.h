/* encryption.h: how blocks are encrypted. Shared by our folders.
 *
 *   stored block   [ padding 8 | ciphertext, as long as the plaintext ]
 *
 *   scheme 1   nonce  = u64(index) ‖ padding ‖ 0…                     padding is not secret and not checked:
 *              padding = XSalsa20(u64(fork); u64(index) ‖ 0…; blinding key), or the synthetic one below
 *   scheme 2   padding = keyed hash of the plaintext, byte 0: 1 encrypted, 0 plain; bytes 4 to 7: key id 0
 *
 * A reader uses the stored padding as it is. With that of the original two plaintexts at one index share a
 * key stream; the synthetic one, a hash of core key, index, fork and plaintext, prevents it.
 * Nothing here authenticates: the Merkle tree does that, over the stored bytes.
 */
#ifndef AB_ENCRYPTION_H
#define AB_ENCRYPTION_H

#include "hypercore/ab.h"

#define AB_CIPHER_PADDING 8

typedef enum {
  AB_CIPHER_NONE = 0, /* stored blocks are plain, without padding */
  AB_CIPHER_SCHEME_1,
  AB_CIPHER_SCHEME_2
} ab_cipher_scheme_t;

typedef struct {
  ab_cipher_scheme_t scheme;
  uint8_t block_key[32];
  uint8_t blinding_key[32]; /* scheme 2: the hash key */
  bool synthetic_padding;   /* scheme 1: pad as above instead of as the original does */
} ab_cipher_t;              /* secret: ab_wipe it */

/** Bytes that a cipher adds to each block. */
static inline size_t
ab_cipher_padding (const ab_cipher_t *cipher) {
  return cipher == NULL || cipher->scheme == AB_CIPHER_NONE ? 0 : AB_CIPHER_PADDING;
}

typedef enum {
  AB_CIPHER_KEY_DEFAULT = 0, /* block key = H(DEFAULT_ENCRYPTION ‖ core key ‖ key): normal cores */
  AB_CIPHER_KEY_COMPAT,      /* block key = H(core key; key): compat cores */
  AB_CIPHER_KEY_BLOCK        /* the key is the block key */
} ab_cipher_mode_t;

/** Scheme 1 with the keys of section 12.1, synthetic padding. `core_key` is not read in mode BLOCK. */
void
ab_cipher_derive (ab_cipher_t *out, ab_cipher_mode_t mode, const uint8_t key[32], const ab_key_t *core_key);

/** Scheme 1 with a given block key, synthetic padding. */
void
ab_cipher_scheme_1 (ab_cipher_t *out, const uint8_t block_key[32]);

/**
 * Encrypt one block.
 *
 * core_key  of the core it goes into; used by synthetic padding only
 * stored    plain.len + ab_cipher_padding(cipher) bytes; may not overlap `plain`
 *
 * Returns 0, or AB_ENOTSUP for a scheme this version cannot write.
 */
int
ab_cipher_encrypt (
  const ab_cipher_t *cipher,
  const ab_key_t *core_key,
  uint64_t index,
  uint64_t fork,
  ab_slice_t plain,
  uint8_t *stored
);

/**
 * Decrypt one block into stored.len - ab_cipher_padding(cipher) bytes at `plain`, which may not overlap
 * `stored`. Returns 0, AB_ECORRUPT (shorter than the padding, or an unknown form) or AB_ENOTSUP.
 */
int
ab_cipher_decrypt (const ab_cipher_t *cipher, uint64_t index, ab_slice_t stored, uint8_t *plain);

#endif

/* noise.h: the handshake Noise_XX_Ed25519_ChaChaPoly_BLAKE2b. Private to hypercore/net/. Pure.
 *
 *   initiator                         responder
 *   1  e                        ───►
 *                               ◄───  2  e, ee, s, es
 *   3  s, se                    ───►
 *
 * Keys are ed25519 signing pairs and DH results are Edwards points: nothing is converted to Curve25519.
 * Payloads are empty here; what a peer sends as payload is authenticated and dropped.
 */
#ifndef AB_NOISE_H
#define AB_NOISE_H

#include "hypercore/buf.h"
#include "hypercore/encoding.h"

#define AB__NOISE_HASH_LEN 64
#define AB__NOISE_TAG_LEN 16
#define AB__NOISE_MESSAGE_MAX 1024 /* nobody sends payloads worth more */

/* What both sides mix everything into. */
typedef struct {
  uint8_t ck[AB__NOISE_HASH_LEN];
  uint8_t h[AB__NOISE_HASH_LEN];
  uint8_t k[32];
  uint64_t n;
  bool has_key;
} ab__noise_symmetric_t;

typedef struct {
  ab__noise_symmetric_t symmetric;
  bool initiator;
  int step;        /* messages done, 3 is the end */
  ab_key_pair_t s; /* ours */
  ab_key_pair_t e;
  uint8_t remote_s[32];
  uint8_t remote_e[32];
  uint8_t tx[32]; /* valid after step 3 */
  uint8_t rx[32];
} ab__noise_t;

void
ab__noise_init (ab__noise_t *noise, bool initiator, const ab_key_pair_t *s, const ab_key_pair_t *e);

/** Is it our turn to write? False once it is done. */
static inline bool
ab__noise_writes (const ab__noise_t *noise) {
  return noise->step < 3 && (noise->step % 2 == 0) == noise->initiator;
}

static inline bool
ab__noise_is_done (const ab__noise_t *noise) {
  return noise->step == 3;
}

/** Append our next message. Returns 0, AB_ECORRUPT (a key of the peer is no usable point) or AB_ENOMEM. The
 * handshake is over after an error. */
int
ab__noise_write (ab__noise_t *noise, ab_slice_t payload, ab_buf_t *out);

/** Take the peer's next message, payload included. Returns 0 or AB_ECORRUPT, and then it is over. */
int
ab__noise_read (ab__noise_t *noise, ab_slice_t message);

/** 64 bytes that no other connection has; keys every proof on this one. Valid once done. */
static inline const uint8_t *
ab__noise_hash (const ab__noise_t *noise) {
  return noise->symmetric.h;
}

void
ab__noise_wipe (ab__noise_t *noise);

/* ---- the steps, for the tests that pin each of them ---- */

void
ab__noise_symmetric_init (ab__noise_symmetric_t *state);
void
ab__noise_mix_hash (ab__noise_symmetric_t *state, ab_slice_t data);
void
ab__noise_mix_key (ab__noise_symmetric_t *state, ab_slice_t secret);
/** Writes plain.len bytes, and AB__NOISE_TAG_LEN more once there is a key; returns how many. */
size_t
ab__noise_encrypt_and_hash (ab__noise_symmetric_t *state, ab_slice_t plain, uint8_t *out);
/** The reverse; `out` has room for cipher.len bytes. Returns the length, or AB_ECORRUPT. */
int
ab__noise_decrypt_and_hash (ab__noise_symmetric_t *state, ab_slice_t cipher, uint8_t *out);
/** Returns 0, or AB_ECORRUPT for a point that is not on the curve or of small order. */
int
ab__noise_dh (uint8_t out[32], const ab_key_pair_t *local, const uint8_t remote[32]);
void
ab__noise_hmac (uint8_t out[AB__NOISE_HASH_LEN], ab_slice_t key, const ab_slice_t *parts, size_t count);
void
ab__noise_hkdf (
  const uint8_t ck[AB__NOISE_HASH_LEN],
  ab_slice_t input,
  uint8_t one[AB__NOISE_HASH_LEN],
  uint8_t two[AB__NOISE_HASH_LEN]
);

#endif

/* noise.c: the handshake. */
#include "hypercore/net/noise.h"

#include <assert.h>
#include <sodium.h>

#include "hypercore/crypto.h"

#define HMAC_BLOCK 128

static const char protocol_name[] = "Noise_XX_Ed25519_ChaChaPoly_BLAKE2b";

static ab_slice_t
empty (void) {
  return ab_slice(NULL, 0);
}

/* ---- primitives ---- */

static void
hash (uint8_t out[AB__NOISE_HASH_LEN], const ab_slice_t *parts, size_t count) {
  crypto_generichash_blake2b_state state;
  crypto_generichash_blake2b_init(&state, NULL, 0, AB__NOISE_HASH_LEN);
  for (size_t i = 0; i < count; i++) {
    crypto_generichash_blake2b_update(&state, parts[i].data, parts[i].len);
  }
  crypto_generichash_blake2b_final(&state, out, AB__NOISE_HASH_LEN);
}

void
ab__noise_hmac (uint8_t out[AB__NOISE_HASH_LEN], ab_slice_t key, const ab_slice_t *parts, size_t count) {
  uint8_t inner[HMAC_BLOCK], outer[HMAC_BLOCK], short_key[AB__NOISE_HASH_LEN], digest[AB__NOISE_HASH_LEN];
  ab_slice_t all[4];

  assert(count < 4);
  if (key.len > HMAC_BLOCK) {
    hash(short_key, &key, 1);
    key = ab_slice(short_key, sizeof(short_key));
  }
  memset(inner, 0x36, sizeof(inner));
  memset(outer, 0x5c, sizeof(outer));
  for (size_t i = 0; i < key.len; i++) {
    inner[i] ^= key.data[i];
    outer[i] ^= key.data[i];
  }
  all[0] = ab_slice(inner, sizeof(inner));
  for (size_t i = 0; i < count; i++) all[i + 1] = parts[i];
  hash(digest, all, count + 1);
  hash(out, (ab_slice_t[]){ab_slice(outer, sizeof(outer)), ab_slice(digest, sizeof(digest))}, 2);
  ab_wipe(inner, sizeof(inner));
  ab_wipe(outer, sizeof(outer));
}

void
ab__noise_hkdf (
  const uint8_t ck[AB__NOISE_HASH_LEN],
  ab_slice_t input,
  uint8_t one[AB__NOISE_HASH_LEN],
  uint8_t two[AB__NOISE_HASH_LEN]
) {
  uint8_t prk[AB__NOISE_HASH_LEN];
  const uint8_t first = 1, second = 2;
  ab__noise_hmac(prk, ab_slice(ck, AB__NOISE_HASH_LEN), &input, 1);
  ab_slice_t key = ab_slice(prk, sizeof(prk));
  ab__noise_hmac(one, key, (ab_slice_t[]){ab_slice(&first, 1)}, 1);
  ab__noise_hmac(two, key, (ab_slice_t[]){ab_slice(one, AB__NOISE_HASH_LEN), ab_slice(&second, 1)}, 2);
  ab_wipe(prk, sizeof(prk));
}

int
ab__noise_dh (uint8_t out[32], const ab_key_pair_t *local, const uint8_t remote[32]) {
  uint8_t scalar[crypto_hash_sha512_BYTES];
  crypto_hash_sha512(scalar, local->secret_key, 32); /* of the seed, as signing does it */
  scalar[0] &= 248;
  scalar[31] &= 127;
  scalar[31] |= 64;
  int failed = crypto_scalarmult_ed25519_noclamp(out, scalar, remote);
  ab_wipe(scalar, sizeof(scalar));
  return failed ? AB_ECORRUPT : 0;
}

/* ---- symmetric state ---- */

void
ab__noise_mix_hash (ab__noise_symmetric_t *state, ab_slice_t data) {
  hash(state->h, (ab_slice_t[]){ab_slice(state->h, sizeof(state->h)), data}, 2);
}

void
ab__noise_symmetric_init (ab__noise_symmetric_t *state) {
  *state = (ab__noise_symmetric_t){0};
  _Static_assert(sizeof(protocol_name) - 1 <= AB__NOISE_HASH_LEN, "a longer name would be hashed");
  memcpy(state->ck, protocol_name, sizeof(protocol_name) - 1);
  memcpy(state->h, state->ck, sizeof(state->h));
  ab__noise_mix_hash(state, empty()); /* the prologue: empty, but mixed */
}

void
ab__noise_mix_key (ab__noise_symmetric_t *state, ab_slice_t secret) {
  uint8_t temporary[AB__NOISE_HASH_LEN], ck[AB__NOISE_HASH_LEN];
  ab__noise_hkdf(state->ck, secret, ck, temporary);
  memcpy(state->ck, ck, sizeof(ck));
  memcpy(state->k, temporary, sizeof(state->k));
  state->n = 0;
  state->has_key = true;
  ab_wipe(temporary, sizeof(temporary));
  ab_wipe(ck, sizeof(ck));
}

static void
next_nonce (ab__noise_symmetric_t *state, uint8_t nonce[12]) {
  memset(nonce, 0, 4);
  ab_put_u64le(nonce + 4, state->n++);
}

size_t
ab__noise_encrypt_and_hash (ab__noise_symmetric_t *state, ab_slice_t plain, uint8_t *out) {
  size_t len = plain.len;
  if (state->has_key) {
    uint8_t nonce[12];
    next_nonce(state, nonce);
    crypto_aead_chacha20poly1305_ietf_encrypt(
      out, NULL, plain.data, plain.len, state->h, sizeof(state->h), NULL, nonce, state->k
    );
    len += AB__NOISE_TAG_LEN;
  } else if (len > 0) {
    memcpy(out, plain.data, len);
  }
  ab__noise_mix_hash(state, ab_slice(out, len));
  return len;
}

int
ab__noise_decrypt_and_hash (ab__noise_symmetric_t *state, ab_slice_t cipher, uint8_t *out) {
  size_t len = cipher.len;
  if (state->has_key) {
    uint8_t nonce[12];
    if (cipher.len < AB__NOISE_TAG_LEN) return AB_ECORRUPT;
    next_nonce(state, nonce);
    if (crypto_aead_chacha20poly1305_ietf_decrypt(
          out, NULL, NULL, cipher.data, cipher.len, state->h, sizeof(state->h), nonce, state->k
        ) != 0) {
      return AB_ECORRUPT;
    }
    len -= AB__NOISE_TAG_LEN;
  } else if (len > 0) {
    memcpy(out, cipher.data, len);
  }
  ab__noise_mix_hash(state, cipher);
  return (int) len;
}

/* ---- the handshake ---- */

void
ab__noise_init (ab__noise_t *noise, bool initiator, const ab_key_pair_t *s, const ab_key_pair_t *e) {
  *noise = (ab__noise_t){0};
  ab__noise_symmetric_init(&noise->symmetric);
  noise->initiator = initiator;
  noise->s = *s;
  noise->e = *e;
}

static void
advance (ab__noise_t *noise) {
  if (++noise->step < 3) return;
  uint8_t one[AB__NOISE_HASH_LEN], two[AB__NOISE_HASH_LEN];
  ab__noise_hkdf(noise->symmetric.ck, empty(), one, two);
  memcpy(noise->initiator ? noise->tx : noise->rx, one, 32);
  memcpy(noise->initiator ? noise->rx : noise->tx, two, 32);
  ab_wipe(one, sizeof(one));
  ab_wipe(two, sizeof(two));
}

static int
mix_dh (ab__noise_t *noise, const ab_key_pair_t *local, const uint8_t remote[32]) {
  uint8_t secret[32];
  int err = ab__noise_dh(secret, local, remote);
  if (err == 0) ab__noise_mix_key(&noise->symmetric, ab_slice(secret, sizeof(secret)));
  ab_wipe(secret, sizeof(secret));
  return err;
}

/* Our static key, encrypted. */
static int
write_static (ab__noise_t *noise, ab_buf_t *out) {
  uint8_t *at = ab_buf_extend(out, 32 + AB__NOISE_TAG_LEN);
  if (at == NULL) return AB_ENOMEM;
  ab__noise_encrypt_and_hash(&noise->symmetric, ab_slice(noise->s.public_key, 32), at);
  return 0;
}

int
ab__noise_write (ab__noise_t *noise, ab_slice_t payload, ab_buf_t *out) {
  ab__noise_symmetric_t *state = &noise->symmetric;
  int err;

  assert(ab__noise_writes(noise));
  if (noise->step < 2) {
    ab_slice_t e = ab_slice(noise->e.public_key, 32);
    ab_buf_append(out, e);
    ab__noise_mix_hash(state, e);
  }
  if (noise->step == 1) {
    if ((err = mix_dh(noise, &noise->e, noise->remote_e)) < 0) return err;
    if ((err = write_static(noise, out)) < 0) return err;
    if ((err = mix_dh(noise, &noise->s, noise->remote_e)) < 0) return err;
  }
  if (noise->step == 2) {
    if ((err = write_static(noise, out)) < 0) return err;
    if ((err = mix_dh(noise, &noise->s, noise->remote_e)) < 0) return err;
  }
  size_t len = payload.len + (state->has_key ? AB__NOISE_TAG_LEN : 0);
  uint8_t none, *at = len == 0 ? &none : ab_buf_extend(out, len);
  if (at == NULL) return AB_ENOMEM;
  ab__noise_encrypt_and_hash(state, payload, at);
  advance(noise);
  return out->err;
}

/* The peer's static key, decrypted. */
static int
read_static (ab__noise_t *noise, ab_reader_t *in) {
  ab_slice_t sealed = ab_read_bytes(in, 32 + AB__NOISE_TAG_LEN);
  if (in->err < 0) return in->err;
  int len = ab__noise_decrypt_and_hash(&noise->symmetric, sealed, noise->remote_s);
  return len < 0 ? len : 0;
}

int
ab__noise_read (ab__noise_t *noise, ab_slice_t message) {
  ab__noise_symmetric_t *state = &noise->symmetric;
  ab_reader_t in = ab_reader(message);
  uint8_t payload[AB__NOISE_MESSAGE_MAX];
  int err;

  assert(noise->step < 3 && !ab__noise_writes(noise));
  if (message.len > sizeof(payload)) return AB_ECORRUPT;
  if (noise->step < 2) {
    ab_slice_t e = ab_read_bytes(&in, 32);
    if (in.err < 0) return in.err;
    memcpy(noise->remote_e, e.data, 32);
    ab__noise_mix_hash(state, e);
  }
  if (noise->step == 1) {
    if ((err = mix_dh(noise, &noise->e, noise->remote_e)) < 0) return err;
    if ((err = read_static(noise, &in)) < 0) return err;
    if ((err = mix_dh(noise, &noise->e, noise->remote_s)) < 0) return err;
  }
  if (noise->step == 2) {
    if ((err = read_static(noise, &in)) < 0) return err;
    if ((err = mix_dh(noise, &noise->e, noise->remote_s)) < 0) return err;
  }
  err = ab__noise_decrypt_and_hash(state, ab_read_bytes(&in, ab_reader_left(&in)), payload);
  if (err < 0) return err;
  advance(noise);
  return 0;
}

void
ab__noise_wipe (ab__noise_t *noise) {
  ab_wipe(noise, sizeof(*noise));
}

/* crypto.c: the only place that hashes or signs; libsodium underneath. */
#include "hypercore/crypto.h"

#include <sodium.h>

_Static_assert(
  crypto_sign_SECRETKEYBYTES == sizeof(((ab_key_pair_t *) 0)->secret_key), "ed25519 secret keys"
);
_Static_assert(crypto_sign_BYTES == AB_SIGNATURE_LEN, "ed25519 signatures");

/* namespace("hypercore", 0 … 5) and namespace("corestore", 0), spelled out. */
const uint8_t ab_ns_tree[32] = {
  0x9f, 0xac, 0x70, 0xb5, 0x0c, 0xa1, 0x4e, 0xfc, 0x4e, 0x91, 0xc8, 0x33, 0xb2, 0x04, 0xe7, 0x5b,
  0x8b, 0x5a, 0xad, 0x8b, 0x58, 0x81, 0xbf, 0xc0, 0xad, 0xb5, 0xef, 0x38, 0xa3, 0x27, 0x5b, 0x9c,
};
const uint8_t ab_ns_replicate_initiator[32] = {
  0x51, 0x81, 0x2a, 0x2a, 0x35, 0x9b, 0x50, 0x36, 0x95, 0x36, 0x77, 0x5d, 0xf8, 0x9e, 0x18, 0xe4,
  0x77, 0x40, 0xf3, 0xdb, 0x72, 0xac, 0x0a, 0xe7, 0x0b, 0x29, 0x59, 0x4c, 0x19, 0x4d, 0xc3, 0x16,
};
const uint8_t ab_ns_replicate_responder[32] = {
  0x04, 0x38, 0x49, 0x2d, 0x02, 0x97, 0x0c, 0xc1, 0x35, 0x28, 0xac, 0x02, 0x62, 0xbc, 0xa0, 0x07,
  0x4e, 0x09, 0x26, 0x26, 0x02, 0x56, 0x86, 0x5a, 0xcc, 0xc0, 0xbf, 0x15, 0xbd, 0x79, 0x12, 0x7d,
};
const uint8_t ab_ns_manifest[32] = {
  0xe6, 0x4b, 0x71, 0x08, 0xea, 0xcc, 0xe4, 0x7c, 0xfc, 0x61, 0xac, 0x85, 0x05, 0x68, 0xf5, 0x5f,
  0x8b, 0x15, 0xb8, 0x2e, 0xc5, 0xed, 0x78, 0xc4, 0xec, 0x59, 0x7b, 0x03, 0x6e, 0x2a, 0x14, 0x98,
};
const uint8_t ab_ns_default[32] = {
  0x41, 0x44, 0xee, 0xa5, 0x31, 0xe4, 0x83, 0xd5, 0x4e, 0x0c, 0x14, 0xf4, 0xca, 0x68, 0xe0, 0x64,
  0x4f, 0x35, 0x53, 0x43, 0xff, 0x6f, 0xcb, 0x0f, 0x00, 0x52, 0x00, 0xe1, 0x2c, 0xd7, 0x47, 0xcb,
};
const uint8_t ab_ns_default_encryption[32] = {
  0x9a, 0xed, 0xb6, 0xf1, 0xde, 0xa8, 0x48, 0x7c, 0xc1, 0xe1, 0x69, 0x8f, 0x97, 0xeb, 0x2f, 0x06,
  0x3f, 0x6d, 0xb4, 0xc6, 0x49, 0x69, 0x56, 0x22, 0xe7, 0xb6, 0x75, 0xe2, 0xce, 0xaf, 0xa6, 0xe9,
};
const uint8_t ab_ns_corestore[32] = {
  0xac, 0x5c, 0x4c, 0xbf, 0xb1, 0x06, 0x47, 0x76, 0x40, 0x46, 0x37, 0xa2, 0x80, 0xc7, 0x1f, 0xac,
  0x82, 0x32, 0x81, 0xd3, 0x51, 0xeb, 0xec, 0xed, 0x03, 0x15, 0x17, 0x43, 0x27, 0x0d, 0xef, 0x29,
};

int
ab_crypto_init (void) {
  return sodium_init() < 0 ? AB_EIO : 0;
}

static void
hash_parts (uint8_t out[32], const uint8_t *key, size_t key_len, const ab_slice_t *parts, size_t count) {
  crypto_generichash_state state;
  (void) crypto_generichash_init(&state, key, key_len, 32); /* fails for key and digest sizes we never pass */
  for (size_t i = 0; i < count; i++) (void) crypto_generichash_update(&state, parts[i].data, parts[i].len);
  (void) crypto_generichash_final(&state, out, 32);
}

void
ab_hash (uint8_t out[32], const ab_slice_t *parts, size_t count) {
  hash_parts(out, NULL, 0, parts, count);
}

_Static_assert(sizeof(crypto_generichash_state) <= sizeof(ab_hasher_t), "room for libsodium's state");

static crypto_generichash_state *
state_of (ab_hasher_t *hasher) {
  return (crypto_generichash_state *) (void *) hasher->state;
}

void
ab_hasher_init (ab_hasher_t *hasher) {
  (void) crypto_generichash_init(state_of(hasher), NULL, 0, 32);
}

void
ab_hasher_update (ab_hasher_t *hasher, ab_slice_t bytes) {
  (void) crypto_generichash_update(state_of(hasher), bytes.data, bytes.len);
}

void
ab_hasher_final (ab_hasher_t *hasher, uint8_t out[32]) {
  (void) crypto_generichash_final(state_of(hasher), out, 32);
}

void
ab_hash_keyed (uint8_t out[32], const uint8_t key[32], const ab_slice_t *parts, size_t count) {
  hash_parts(out, key, 32, parts, count);
}

void
ab_namespace (uint8_t out[32], const char *name, uint8_t id) {
  uint8_t of_name[32];
  ab_slice_t text = ab_text(name);
  ab_hash(of_name, &text, 1);
  ab_slice_t parts[2] = {ab_slice(of_name, sizeof(of_name)), ab_slice(&id, 1)};
  ab_hash(out, parts, 2);
}

void
ab_discovery_key (ab_key_t *out, const ab_key_t *key) {
  ab_key_t copy = *key; /* `out` may be `key` */
  ab_slice_t text = ab_text("hypercore");
  ab_hash_keyed(out->bytes, copy.bytes, &text, 1);
}

void
ab_replicate_capability (
  uint8_t out[32], const uint8_t handshake_hash[64], bool is_initiator, const ab_key_t *key
) {
  const uint8_t *role = is_initiator ? ab_ns_replicate_initiator : ab_ns_replicate_responder;
  ab_slice_t parts[2] = {ab_slice(role, 32), ab_key_slice(key)};
  hash_parts(out, handshake_hash, 64, parts, 2);
}

void
ab_key_pair_from_seed (ab_key_pair_t *out, const uint8_t seed[32]) {
  (void) crypto_sign_seed_keypair(out->public_key, out->secret_key, seed);
}

void
ab_sign (uint8_t out[64], ab_slice_t message, const ab_key_pair_t *pair) {
  (void) crypto_sign_detached(out, NULL, message.data, message.len, pair->secret_key);
}

bool
ab_verify (ab_slice_t signature, ab_slice_t message, const uint8_t public_key[32]) {
  if (signature.len != AB_SIGNATURE_LEN) return false;
  return crypto_sign_verify_detached(signature.data, message.data, message.len, public_key) == 0;
}

void
ab_wipe (void *data, size_t len) {
  sodium_memzero(data, len);
}

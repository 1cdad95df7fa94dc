/* crypto.h: hashes, signatures, namespaces and derived keys. Shared by our folders.
 * libsodium underneath; ab_crypto_init is called by every store open. */
#ifndef AB_CRYPTO_H
#define AB_CRYPTO_H

#include "hypercore/ab.h"

/** Prepare libsodium; safe to call often. Returns 0 or AB_EIO. */
int
ab_crypto_init (void);

/** BLAKE2b-256 of the concatenation of `count` parts. */
void
ab_hash (uint8_t out[32], const ab_slice_t *parts, size_t count);
/** The same with a 32 byte BLAKE2b key. */
void
ab_hash_keyed (uint8_t out[32], const uint8_t key[32], const ab_slice_t *parts, size_t count);

/* The same over bytes that come one after the other. */
typedef struct {
  _Alignas(64) uint8_t state[384];
} ab_hasher_t;
void
ab_hasher_init (ab_hasher_t *hasher);
void
ab_hasher_update (ab_hasher_t *hasher, ab_slice_t bytes);
void
ab_hasher_final (ab_hasher_t *hasher, uint8_t out[32]);

/** namespace(name, id) = H(H(name) ‖ byte id). */
void
ab_namespace (uint8_t out[32], const char *name, uint8_t id);
void
ab_discovery_key (ab_key_t *out, const ab_key_t *key);
/** What the initiator or the responder of a connection proves that it knows `key` with. */
void
ab_replicate_capability (
  uint8_t out[32], const uint8_t handshake_hash[64], bool is_initiator, const ab_key_t *key
);

void
ab_key_pair_from_seed (ab_key_pair_t *out, const uint8_t seed[32]);
void
ab_sign (uint8_t out[64], ab_slice_t message, const ab_key_pair_t *pair);
/** True if `signature` is 64 bytes and verifies. */
bool
ab_verify (ab_slice_t signature, ab_slice_t message, const uint8_t public_key[32]);

/* The constants of hypercore.md section 2, 4. */
extern const uint8_t ab_ns_tree[32];
extern const uint8_t ab_ns_replicate_initiator[32];
extern const uint8_t ab_ns_replicate_responder[32];
extern const uint8_t ab_ns_manifest[32];
extern const uint8_t ab_ns_default[32];            /* DEFAULT_NAMESPACE of signers */
extern const uint8_t ab_ns_default_encryption[32]; /* DEFAULT_ENCRYPTION */
extern const uint8_t ab_ns_corestore[32];

/** Overwrite secrets so that the compiler cannot drop it. */
void
ab_wipe (void *data, size_t len);

#endif

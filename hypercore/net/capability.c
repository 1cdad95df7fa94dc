/* capability.c: proofs of knowing a secret. */
#include "hypercore/net/capability.h"

#include <sodium.h>

#include "hypercore/crypto.h"

void
ab__wakeup_capability (
  uint8_t out[32], const uint8_t handshake_hash[64], bool is_initiator, const ab_key_t *secret
) {
  uint8_t ns[32];
  ab_namespace(ns, "wakeup", is_initiator ? 0 : 1);
  ab_hash(
    out, (ab_slice_t[]){ab_slice(ns, sizeof(ns)), ab_key_slice(secret), ab_slice(handshake_hash, 64)}, 3
  );
}

bool
ab__capability_equal (const uint8_t a[32], const uint8_t b[32]) {
  return sodium_memcmp(a, b, 32) == 0;
}

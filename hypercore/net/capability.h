/* capability.h: what a side of a connection proves that it knows a secret with. Private to hypercore/net/.
 * That of a core is ab_replicate_capability (crypto.h). Pure. */
#ifndef AB_CAPABILITY_H
#define AB_CAPABILITY_H

#include "hypercore/ab.h"

/** For a wakeup topic: the handshake hash is part of what is hashed, not the key of the hash. */
void
ab__wakeup_capability (
  uint8_t out[32], const uint8_t handshake_hash[64], bool is_initiator, const ab_key_t *secret
);

/** Equal? In constant time. */
bool
ab__capability_equal (const uint8_t a[32], const uint8_t b[32]);

#endif

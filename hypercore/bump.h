/* bump.h: bytes that are set aside one after the other, and given back from the end. Private to hypercore/.
 */
#ifndef AB_BUMP_H
#define AB_BUMP_H

#include "hypercore/ab.h"

typedef struct ab__bump_chunk_s ab__bump_chunk_t;

typedef struct {
  ab__bump_chunk_t *chunks; /* newest first */
  ab__bump_chunk_t *spare;  /* given back, to be used again */
  size_t spare_bytes;
} ab__bump_t; /* {0}: empty */

void
ab__bump_destroy (ab__bump_t *bump);

/** Give everything back; some memory may stay for the next use. */
void
ab__bump_reset (ab__bump_t *bump);

/** `len` bytes, unaligned, or NULL. A `len` of 0 gives a pointer that is not NULL. */
uint8_t *
ab__bump_alloc (ab__bump_t *bump, size_t len);

/** Give back the piece that starts at `at` and everything that was set aside after it. */
void
ab__bump_rewind (ab__bump_t *bump, const uint8_t *at);

#endif

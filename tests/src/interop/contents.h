/* contents.h: cores whose key and blocks follow from a text, so that every peer knows what to expect. */
#ifndef CONTENTS_H
#define CONTENTS_H

#include "hypercore/hypercore.h"

/** Number `number` of the cores of `seed`: the others' seed has "/coreNUMBER" behind it. */
int
contents_open (ab_store_t *store, const char *seed, size_t number, hypercore_t **out);

/** Append `count` blocks of `size` bytes: block i is BLAKE2b-512(seed/i/0) ‖ BLAKE2b-512(seed/i/1) ‖ …, cut.
 * After a truncation the seed has "/forkFORK" behind it, so that the new blocks differ from the old ones. */
int
contents_append (hypercore_t *core, const char *seed, size_t number, size_t size, uint64_t count);

#endif

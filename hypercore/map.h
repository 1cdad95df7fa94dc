/* map.h: entries keyed by a 64 bit integer, in the order they came. Private to hypercore/.
 *
 *   slots     [ . 2 . 0 . . 1 . ]     open addressing: position of an entry plus one, 0 is free
 *   entries   [ e0 | e1 | e2 ]        every entry begins with its uint64_t key
 *
 * The keys come from peers, so slots are chosen by a seeded mix. Pointers to entries hold until the next
 * reserve or filter.
 */
#ifndef AB_MAP_H
#define AB_MAP_H

#include "hypercore/ab.h"

typedef struct {
  uint32_t *slots; /* NULL until the first reserve */
  uint8_t *entries;
  size_t entry_size;
  size_t count;
  size_t capacity; /* entries there is room for; twice that many slots */
  uint64_t seed;
} ab__map_t;

void
ab__map_init (ab__map_t *map, size_t entry_size, uint64_t seed);

void
ab__map_destroy (ab__map_t *map);

/** Forget all entries; memory for up to `keep` of them stays. */
void
ab__map_reset (ab__map_t *map, size_t keep);

/** Make sure that `more` new entries can be put without failing. Returns 0 or AB_ENOMEM. */
int
ab__map_reserve (ab__map_t *map, size_t more);

/** The entry of `key`, or NULL. */
void *
ab__map_find (const ab__map_t *map, uint64_t key);

/** The entry of `key`, made if it is new (`*is_new`, key written, the rest not initialised). Needs a reserve.
 */
void *
ab__map_put (ab__map_t *map, uint64_t key, bool *is_new);

/** Drop all entries for which `drop` is true. */
void
ab__map_filter (ab__map_t *map, bool (*drop)(const void *entry, const void *data), const void *data);

static inline void *
ab__map_entry (const ab__map_t *map, size_t position) {
  return map->entries + position * map->entry_size;
}

static inline uint64_t
ab__map_key (const ab__map_t *map, size_t position) {
  uint64_t key;
  memcpy(&key, map->entries + position * map->entry_size, sizeof(key));
  return key;
}

#endif

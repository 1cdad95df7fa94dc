/* keymap.h: pointers by core key. Private to autobee/.
 *
 * Open addressing with back-shift removal. Keys come from peers, so slots are chosen by a seeded mix; nothing
 * may depend on the order in which entries lie here.
 */
#ifndef AUTOBEE_KEYMAP_H
#define AUTOBEE_KEYMAP_H

#include "hypercore/ab.h"

typedef struct {
  ab_key_t key;
  void *value; /* NULL: a free slot */
} keymap_slot_t;

typedef struct {
  keymap_slot_t *slots;
  size_t capacity; /* a power of two, or 0 */
  size_t count;
  uint64_t seed;
} keymap_t; /* starts from {0} and a seed */

void
autobee__keymap_destroy (keymap_t *map);

/** Forget all entries; the memory stays. */
void
autobee__keymap_clear (keymap_t *map);

/** The value of `key`, or NULL. */
void *
autobee__keymap_get (const keymap_t *map, const ab_key_t *key);

/** Set or replace. `value` is not NULL. Returns 0 or AB_ENOMEM. */
int
autobee__keymap_put (keymap_t *map, const ab_key_t *key, void *value);

void
autobee__keymap_del (keymap_t *map, const ab_key_t *key);

#endif

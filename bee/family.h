/* family.h: Private to bee/. A bee, its checkouts, cursors and batches share one set of opened cores.
 *
 * Everything read goes through here: blocks by way of the store's cache, relative core numbers through the
 * table of the block they were read from. A core is opened when something of it is needed, never for a
 * pointer that a later operation overwrites.
 */
#ifndef BEE_FAMILY_H
#define BEE_FAMILY_H

#include "bee/bee.h"
#include "bee/cache.h"
#include "bee/node.h"

struct bee__family_s {
  uint32_t refs;
  ab_store_t *store;
  bee__cache_t *cache;
  hypercore_t **cores; /* by number; NULL: not opened */
  uint32_t core_capacity;
  int (*open_core)(void *data, const ab_key_t *key, hypercore_t **out);
  void *open_core_data;
};

/** `local` is retained; its number comes back in `number`. */
int
bee__family_create (hypercore_t *local, const bee_options_t *options, bee__family_t **out, uint32_t *number);
bee__family_t *
bee__family_retain (bee__family_t *family);
void
bee__family_release (bee__family_t *family);

static inline const ab_key_t *
bee__family_key (const bee__family_t *family, uint32_t core) {
  return &family->cache->cores[core]->key;
}

/** The core of this number, opened. If it lost blocks since, what is cached of it is forgotten. */
int
bee__family_core (bee__family_t *family, uint32_t core, hypercore_t **out);

/** A block with its payload. AB_EREMOTE if it is not here, AB_ECORRUPT. Valid until the next trim. */
int
bee__family_page (bee__family_t *family, uint32_t core, uint64_t seq, bee__page_t **out);

/** The number of what `page` calls core `relative`. */
int
bee__family_resolve (bee__family_t *family, bee__page_t *page, uint64_t relative, uint32_t *core);

/** The node at `place`, built if it is not in the cache. Valid until the next trim. */
int
bee__family_node (bee__family_t *family, const bee__ref_t *place, bee__node_t **out);

/** Child `i` of a node that is in the cache, or was when it was pinned; or a stored child of a private one.
 */
int
bee__family_child (bee__family_t *family, bee__node_t *node, uint32_t i, bee__node_t **out);

/** The node at the head `length` of `core`: as bee__family_node, and the block must be the last of its batch.
 */
int
bee__family_root (bee__family_t *family, uint32_t core, uint64_t length, bee__node_t **out);

/* The pages that an entry points into; pinned, so that it outlives the call that made it. */
typedef struct {
  bee__page_t *key, *value;
} bee__held_t;

void
bee__held_release (bee__held_t *held);

/** The key and value at `ref`, which may be in the pages of `near`; what they need is pinned in `held`. */
int
bee__family_read (
  bee__family_t *family, const bee__ref_t *ref, const bee__held_t *near, bee__held_t *held, bee_entry_t *entry
);
/** As bee__family_read; on success, what `held` held before is released. */
int
bee__family_entry (bee__family_t *family, const bee__ref_t *ref, bee__held_t *held, bee_entry_t *entry);

/** The value of a key that was read from `page`; `where` is the page that has it. */
int
bee__family_value (
  bee__family_t *family,
  bee__page_t *page,
  const bee__stored_key_t *key,
  ab_slice_t *value,
  bool *has_value,
  bee__page_t **where
);

/** The message of damage in a block, and AB_ECORRUPT. */
int
bee__family_corrupt (bee__family_t *family, uint32_t core, uint64_t seq, const char *what);

#endif

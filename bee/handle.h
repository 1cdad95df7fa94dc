/* handle.h: Private to bee/. What bees and their batches consist of. */
#ifndef BEE_HANDLE_H
#define BEE_HANDLE_H

#include "bee/bee.h"
#include "bee/family.h"

struct bee_s {
  bee__family_t *family;
  uint32_t local;       /* number of the core it writes to */
  uint32_t current;     /* where the last move went */
  uint32_t root_core;   /* the root is node 0 of block root_length - 1 */
  uint64_t root_length; /* 0: the empty tree */
  uint32_t degree;
  bool is_checkout;
  bee__held_t held; /* by the entry of the last get */
};

struct bee_batch_s {
  bee_t *bee;
  bee__family_t *family;
  bee_write_options_t options;
  uint32_t local;
  uint32_t current;
  uint32_t base_core;
  uint64_t base_length;
  uint64_t generation; /* of the local core when the batch began */
  bee__ref_t root_place;
  bee__node_t *root;  /* private; NULL: still the stored one at root_place */
  bee__item_t *nodes; /* all private ones */
  size_t node_count;
  size_t fresh_count;
  uint64_t applied;
  uint64_t version; /* of its content, for cursors */
  uint32_t attempts;
  ab_arena_t arena; /* keys and values */
  bee__held_t held;
  bee_cursor_t *cursors;
};

/** The root of the batch's tree: a private node, or one of the cache. */
int
bee__batch_root (bee_batch_t *batch, bee__node_t **out);
/** Child `i` of a node of the batch's tree. */
int
bee__batch_child (bee_batch_t *batch, bee__node_t *node, uint32_t i, bee__node_t **out);
/** Keep a private node until the batch ends. */
void
bee__batch_own (bee_batch_t *batch, bee__node_t *node);
/** And give it up, with what it holds or to the cache. */
void
bee__batch_disown (bee_batch_t *batch, bee__node_t *node);

/** An entry of the batch's tree; `core`, `seq` and `offset` are zero while it is not stored. */
int
bee__batch_entry (bee_batch_t *batch, const bee__ref_t *ref, bee_entry_t *entry);

/* update.c: the changes of one operation. On an error the tree holds what it held. `*applied` tells if there
 * was anything to do. */
int
bee__batch_put (bee_batch_t *batch, ab_slice_t key, ab_slice_t value, bool has_value, bool *applied);
int
bee__batch_del (bee_batch_t *batch, ab_slice_t key, bool *applied);

/* flush.c: append the dirty nodes of a batch and hand them to the cache. `blocks` receives how many were
 * appended. */
int
bee__batch_write (bee_batch_t *batch, uint64_t *blocks);

/* cursor.c */
void
bee__cursors_end (bee_batch_t *batch);

#endif

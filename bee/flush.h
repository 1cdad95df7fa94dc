/* flush.h: Private to bee/. What a batch writes, in steps.
 *
 *   collect.c    dirty nodes, root first, then depth first with the right-most child first, are gathered into
 *                units of about the preferred block size; keys made by the batch go with the node that holds
 *                them, long values to units of their own behind
 *   compress.c   each list of a node is encoded as its stored operations and those of the batch, or, when
 *                these got too many, as one new cohort of what the list holds
 *   flush.c      unit 0 becomes the last block, unit 1 the one before it, and so on; once the core has taken
 *                them, the nodes go to the cache as they are
 *
 * The core table grows in the order in which operations are encoded, so that order is part of the format.
 */
#ifndef BEE_FLUSH_H
#define BEE_FLUSH_H

#include "bee/handle.h"

/* What becomes a block: runs of the arrays below. */
typedef struct {
  uint32_t node_first, node_count;
  uint32_t key_first, key_count;
  uint32_t value_first, value_count;
  uint32_t cohort_first, cohort_count;
  size_t tree_start, tree_len; /* in the encoded lists */
  size_t cohorts_start, cohorts_len;
} bee__unit_t;

/* The operations a list is stored with, and begins with from then on. */
typedef struct {
  size_t first;
  uint32_t count;
} bee__stored_edits_t;

/* One flush. Its memory stays with the cache, for the next one. */
typedef struct {
  bee_batch_t *batch;
  bee__family_t *family;
  hypercore_t *core;
  bee__core_t *local;
  uint64_t base;       /* length of the core before */
  bee__node_t **nodes; /* in writing order */
  bee__node_t **stack;
  bee__stored_edits_t *stored; /* of each node: keys, children */
  bee__fresh_t **keys;
  bee__fresh_t **values; /* keys with a value outside */
  bee__unit_t *units;
  bee__page_t **pages; /* by unit */
  ab_slice_t *blocks;  /* ascending */
  uint32_t node_count, key_count, value_count, unit_count, cohort_count;
  uint32_t table_count; /* of the core table before */
  uint64_t checkpoint;
  ab_buf_t *memory;
  ab_buf_t *edits;     /* bee__edit_t */
  ab_buf_t *tree;      /* encoded nodes, of all units */
  ab_buf_t *node_at;   /* uint32_t: where each begins, from its unit's first */
  ab_buf_t *cohorts;   /* encoded cohorts */
  ab_buf_t *cohort_at; /* uint32_t, likewise */
  /* of one block: */
  ab_buf_t *cores, *keys_out, *values_out, *offsets, *block;
} bee__flush_t;

/** The block that a unit becomes. */
static inline uint64_t
bee__unit_seq (const bee__flush_t *f, uint32_t unit) {
  return f->base + f->unit_count - 1 - unit;
}

/** Take over the memory of the last flush, and leave it to the next. */
void
bee__flush_begin (bee__flush_t *f);
void
bee__flush_end (bee__flush_t *f);

/** Decide what is written, and where. Returns 0 or AB_ENOMEM. */
int
bee__flush_collect (bee__flush_t *f);

/** Encode the nodes of a unit, and reserve room for their operations in them. */
int
bee__flush_encode (bee__flush_t *f, uint32_t unit);

/** What the core's table calls core `number`; added to it if it is new. */
int
bee__flush_core_index (bee__flush_t *f, uint32_t number, uint32_t *index);

#endif

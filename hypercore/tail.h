/* tail.h: what was written to a core and is not in the store's file yet. Private to hypercore/.
 *
 *   live     takes every write         run      blocks appended here, and the nodes that each completed
 *   frozen   is written by a commit    blocks   other blocks, by index; nodes: other nodes, by index
 *   file     committed                 cut      hides blocks >= cut and nodes over them in lower levels
 *                                      cleared  ranges of blocks dropped in lower levels
 *
 *   A read looks in live, then frozen, then the file; a level's `cut` ends the search for what it hides.
 *   Bits are not here: one bitfield per core tells what is present, whichever level holds it.
 *
 * Block b completes its leaf and each parent that ends with it: N(b) = 2b - (ones of b) nodes lie within the
 * first b blocks, so the node of depth d that block b completes is number N(b) - N(first) + d of the run.
 *
 * Invariant  blocks and nodes of a tail were added after its cut and its clears, so a commit deletes first
 */
#ifndef AB_TAIL_H
#define AB_TAIL_H

#include "hypercore/ab.h"
#include "hypercore/buf.h"
#include "hypercore/bump.h"
#include "hypercore/map.h"
#include "hypercore/tree.h"

#define AB__NO_CUT UINT64_MAX

/* Bits of one stored page of a core's bitfield, and the entry of a map of pages. */
#define AB__PAGE_BYTES 512
#define AB__PAGE_BITS 4096

typedef struct {
  uint64_t index;
  ab_slice_t bytes; /* in the tail's bump */
} ab__staged_block_t;

typedef struct {
  uint64_t page;
  uint64_t drop; /* 1: no page is to be stored here */
  uint8_t bytes[AB__PAGE_BYTES];
} ab__staged_page_t;

typedef struct {
  uint64_t start;
  uint64_t end;
} ab__range_t;

typedef struct {
  char *name;
  ab_buf_t value;
  bool deleted;
} ab__staged_user_data_t;

typedef struct {
  uint64_t first; /* index of the first block */
  size_t count;
  size_t capacity;
  ab_slice_t *blocks; /* data NULL: cleared since */
  ab_node_t *nodes;
  size_t node_count;
  size_t node_capacity;
} ab__run_t;

typedef struct {
  ab__run_t run;
  ab__map_t blocks; /* ab__staged_block_t */
  ab__map_t nodes;  /* ab_node_t */
  ab__bump_t bytes; /* of all blocks */
  uint64_t cut;
  ab__range_t *cleared; /* ascending, disjoint */
  size_t cleared_count;
  size_t cleared_capacity;
  ab__staged_user_data_t *user_data;
  size_t user_data_count;
  size_t user_data_capacity;

  bool head_changed;    /* fork, length, signature, contiguous length */
  bool content_changed; /* fork or length: an entry in the core's group */
  bool record_changed;  /* what the core is: key, manifest, group, name */

  /* Written at the start of a commit, so that writing it to the file needs nothing of the core. */
  ab__map_t pages; /* ab__staged_page_t */
  ab_buf_t head;
  ab_buf_t record;
  uint64_t changed_ms; /* of the group entry; 0: none */

  size_t staged; /* bytes held, for accounting */
  bool is_mixed; /* not only the run has set memory aside: it is not in the run's order */
} ab__tail_t;

void
ab__tail_init (ab__tail_t *tail, uint64_t seed);

void
ab__tail_destroy (ab__tail_t *tail);

/** Empty it; some memory stays for the next commit. */
void
ab__tail_reset (ab__tail_t *tail);

bool
ab__tail_is_empty (const ab__tail_t *tail);

/** Holds no blocks and nodes and hides none. */
bool
ab__tail_is_blank (const ab__tail_t *tail);

/** Memory for a block that is then appended or put, or NULL. */
uint8_t *
ab__tail_alloc (ab__tail_t *tail, size_t len);
/** Give the piece back, and all that was set aside after it. */
void
ab__tail_free (ab__tail_t *tail, const uint8_t *first);

/* ---- the run ---- */

/** May block `index` be appended to the run? It may start one. If not, put it. */
bool
ab__tail_can_append (const ab__tail_t *tail, uint64_t index);

/** Make sure that `count` blocks from `index` on can be appended. Returns 0 or AB_ENOMEM. */
int
ab__tail_reserve_run (ab__tail_t *tail, uint64_t index, size_t count);

/** The block at the end of the core with the nodes it completed. */
void
ab__tail_append (
  ab__tail_t *tail, uint64_t index, ab_slice_t bytes, const ab_node_t *nodes, size_t node_count
);

/* ---- the rest ---- */

/** Make sure that so many more blocks and nodes can be put. Returns 0 or AB_ENOMEM. */
int
ab__tail_reserve (ab__tail_t *tail, size_t blocks, size_t nodes);

void
ab__tail_put_block (ab__tail_t *tail, uint64_t index, ab_slice_t bytes);

void
ab__tail_put_node (ab__tail_t *tail, const ab_node_t *node);

/** The staged bytes of a block; false if they are not in this tail. */
bool
ab__tail_block (const ab__tail_t *tail, uint64_t index, ab_slice_t *bytes);

/** 0: copied to `out`; AB_ENOTFOUND: hidden by the cut; AB_EREMOTE: ask the level below. */
int
ab__tail_node (const ab__tail_t *tail, uint64_t index, ab_node_t *out);

/** Drop blocks from `length` on, and the nodes that cover one. */
void
ab__tail_drop (ab__tail_t *tail, uint64_t length);

/** Reserve, then do: drop the staged blocks of a range and those of the levels below. Nodes stay. */
int
ab__tail_reserve_clear (ab__tail_t *tail);

void
ab__tail_clear (ab__tail_t *tail, uint64_t start, uint64_t end);

/** The staged value of a name, or NULL. */
const ab__staged_user_data_t *
ab__tail_user_data (const ab__tail_t *tail, const char *name);

/** Stage a value; data NULL deletes. Returns 0 or AB_ENOMEM, and then nothing changed. */
int
ab__tail_set_user_data (ab__tail_t *tail, const char *name, ab_slice_t value);

#endif

/* tree.h: the Merkle tree of a core: its roots, growing, byte positions. Shared by our folders.
 *
 *            3              a tree is its roots: here 3 and 8, five blocks
 *        1       5          every other node lives where the node source finds it
 *      0   2   4   6   8
 *
 * Invariant  the roots are those of `length` blocks, left to right; `byte_length` is the sum of their sizes
 *
 * Pure: no I/O of its own, no allocation but in a node list's arena.
 */
#ifndef AB_TREE_H
#define AB_TREE_H

#include "hypercore/ab.h"
#include "hypercore/buf.h"
#include "hypercore/flat_tree.h"

typedef struct {
  uint64_t index;
  uint64_t size; /* bytes of all blocks below, as stored */
  uint8_t hash[32];
} ab_node_t;

/* Where stored nodes come from. */
typedef struct {
  int (*get)(void *data, uint64_t index, ab_node_t *out); /* 0, AB_ENOTFOUND or an error */
  void *data;
} ab_node_source_t;

/* Nodes that came up, in order. Starts from {0} plus an arena to grow in, or from the caller's array with
 * `arena` NULL, which does not grow. */
typedef struct {
  ab_node_t *nodes;
  size_t count;
  size_t capacity;
  ab_arena_t *arena;
} ab_node_list_t;

/** Returns 0, or AB_ENOMEM if the list is full and cannot grow. */
int
ab_node_list_push (ab_node_list_t *list, const ab_node_t *node);

/* ---- hashes ---- */

/** The leaf of block number `block`. */
void
ab_node_leaf (uint64_t block, ab_slice_t stored, ab_node_t *out);
/** The parent of two siblings in either order. Returns 0, or AB_ECORRUPT if the sizes sum up to too much. */
int
ab_node_parent (const ab_node_t *a, const ab_node_t *b, ab_node_t *out);
void
ab_roots_hash (const ab_node_t *roots, size_t count, uint8_t out[32]);

/* ---- the tree ---- */

typedef struct {
  uint64_t fork;
  uint64_t length; /* blocks, at most AB_LENGTH_MAX */
  uint64_t byte_length;
  size_t root_count;
  ab_node_t roots[AB_ROOTS_MAX];
} ab_tree_t; /* {0}: no blocks */

/* The most nodes one ab_tree_append adds to its list. */
#define AB_TREE_APPEND_MAX (AB_DEPTH_MAX + 1)

/**
 * The tree of `length` blocks whose roots are stored. Returns 0, AB_ENOTFOUND (a root is not stored),
 * AB_ECORRUPT (sizes too large) or an error of the source. `out` is not meaningful after an error.
 */
int
ab_tree_load (ab_tree_t *out, uint64_t fork, uint64_t length, const ab_node_source_t *source);

/**
 * Grow the tree by a node that covers the blocks right after its end, the only way a tree grows. The node and
 * each parent that becomes complete are added to `added`, at most AB_TREE_APPEND_MAX in all.
 *
 * Returns 0, AB_EOPERATION (the node is not the next one, or too long), AB_ECORRUPT (sizes too large) or
 * AB_ENOMEM. After an error the tree and the list are not meaningful.
 */
int
ab_tree_append (ab_tree_t *tree, const ab_node_t *node, ab_node_list_t *added);

/** ab_tree_append with the leaf of the next block. */
int
ab_tree_append_block (ab_tree_t *tree, ab_slice_t stored, ab_node_list_t *added);

/* The most nodes of an upgrade: a climb and all roots. */
#define AB_UPGRADE_NODES_MAX (AB_DEPTH_MAX + AB_ROOTS_MAX)

/** The nodes that, appended in this order, take a tree from `start` to `end` blocks: at most AB_LENGTH_MAX,
 * start <= end. Returns how many. */
size_t
ab_upgrade_nodes (uint64_t start, uint64_t end, uint64_t out[AB_UPGRADE_NODES_MAX]);

void
ab_tree_hash (const ab_tree_t *tree, uint8_t out[32]);

/**
 * Stored bytes before block `block` (at most the length). Reads one node per level.
 * Returns 0, AB_EINVAL, AB_EREMOTE (a node is not stored), AB_ECORRUPT or an error of the source.
 */
int
ab_tree_byte_offset (const ab_tree_t *tree, const ab_node_source_t *source, uint64_t block, uint64_t *offset);

/**
 * The block in which byte `bytes` lies, and the offset in it; the end of the core is (length, 0).
 *
 * padding  bytes of every block that do not count
 *
 * Returns 0, AB_ENOTFOUND (past the end), AB_EREMOTE (a node is not stored) or an error of the source.
 */
int
ab_tree_seek (
  const ab_tree_t *tree,
  const ab_node_source_t *source,
  uint64_t bytes,
  uint64_t padding,
  uint64_t *block,
  uint64_t *offset
);

/** What `size` bytes in `blocks` blocks count in a seek with padding: may be negative, clamped so that sums
 * cannot overflow. */
int64_t
ab_padded_size (uint64_t size, uint64_t blocks, uint64_t padding);

static inline int64_t
ab_node_padded_size (const ab_node_t *node, uint64_t padding) {
  return ab_padded_size(node->size, ab_flat_leaves(node->index), padding);
}

#endif

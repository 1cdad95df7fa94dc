/* flat_tree.h: the numbering of tree nodes. Shared by our folders.
 *
 *   depth 2          3              leaves (blocks) have even indexes, block b is node 2b;
 *   depth 1      1       5          an inner node sits between its children
 *   depth 0    0   2   4   6   8    roots of 5 blocks: 3, 8
 *
 * Every index of a format is at most AB_MAX_SAFE, and so are all of a core that is not longer than
 * AB_LENGTH_MAX. The functions take any index below 2^61 without undefined shifts, so a climb along foreign
 * data only has to stop above depth AB_DEPTH_MAX: no valid node is there.
 */
#ifndef AB_FLAT_TREE_H
#define AB_FLAT_TREE_H

#include "hypercore/ab.h"

#include <assert.h>

#define AB_DEPTH_MAX 52
#define AB_ROOTS_MAX 53
#define AB_LENGTH_MAX ((1ull << 52) - 1) /* blocks; twice that is below AB_MAX_SAFE */
#define AB_FLAT_LIMIT (1ull << 61)

/** Number of trailing one bits. */
static inline unsigned
ab_flat_depth (uint64_t index) {
  assert(index < AB_FLAT_LIMIT);
  return (unsigned) __builtin_ctzll(~index);
}

static inline uint64_t
ab_flat_offset (uint64_t index) {
  return index >> (ab_flat_depth(index) + 1);
}

static inline uint64_t
ab_flat_index (unsigned depth, uint64_t offset) {
  return (offset << (depth + 1)) + (1ull << depth) - 1;
}

static inline bool
ab_flat_is_leaf (uint64_t index) {
  return (index & 1) == 0;
}

static inline uint64_t
ab_flat_parent (uint64_t index) {
  unsigned depth = ab_flat_depth(index);
  return ab_flat_index(depth + 1, index >> (depth + 1) >> 1);
}

static inline uint64_t
ab_flat_sibling (uint64_t index) {
  return index ^ 2ull << ab_flat_depth(index);
}

/** Children of an inner node. */
static inline uint64_t
ab_flat_left (uint64_t index) {
  assert(!ab_flat_is_leaf(index));
  return index - (1ull << (ab_flat_depth(index) - 1));
}

static inline uint64_t
ab_flat_right (uint64_t index) {
  assert(!ab_flat_is_leaf(index));
  return index + (1ull << (ab_flat_depth(index) - 1));
}

/** Leftmost and rightmost leaf below a node, as tree indexes. */
static inline uint64_t
ab_flat_lspan (uint64_t index) {
  return index - ((1ull << ab_flat_depth(index)) - 1);
}

static inline uint64_t
ab_flat_rspan (uint64_t index) {
  return index + ((1ull << ab_flat_depth(index)) - 1);
}

/** Number of blocks below a node. */
static inline uint64_t
ab_flat_leaves (uint64_t index) {
  return 1ull << ab_flat_depth(index);
}

static inline bool
ab_flat_contains (uint64_t index, uint64_t other) {
  return ab_flat_lspan(index) <= other && other <= ab_flat_rspan(index);
}

/** The roots of a tree of `length` (at most AB_LENGTH_MAX) blocks, left to right. Returns how many. */
static inline size_t
ab_flat_roots (uint64_t length, uint64_t roots[AB_ROOTS_MAX]) {
  assert(length <= AB_LENGTH_MAX);
  size_t count = 0;
  uint64_t covered = 0;
  while (covered < length) {
    uint64_t leaves = 1ull << (63 - __builtin_clzll(length - covered));
    roots[count++] = 2 * covered + leaves - 1;
    covered += leaves;
  }
  return count;
}

#endif

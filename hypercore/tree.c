/* tree.c: tree hashes, growing a tree, byte positions in it. */
#include "hypercore/tree.h"

#include "hypercore/crypto.h"
#include "hypercore/encoding.h"

#include <assert.h>

enum { TYPE_LEAF = 0, TYPE_PARENT = 1, TYPE_ROOTS = 2 };

#define LIST_FIRST 16
#define PADDED_SIZE_MIN (-((int64_t) 1 << 54)) /* 105 of these and a position still fit */

int
ab_node_list_push (ab_node_list_t *list, const ab_node_t *node) {
  if (list->count == list->capacity) {
    if (list->arena == NULL) return AB_ENOMEM;
    size_t capacity = list->capacity == 0 ? LIST_FIRST : list->capacity * 2;
    ab_node_t *nodes = ab_arena_alloc(list->arena, capacity, sizeof(*nodes));
    if (nodes == NULL) return AB_ENOMEM;
    if (list->count > 0) memcpy(nodes, list->nodes, list->count * sizeof(*nodes));
    list->nodes = nodes;
    list->capacity = capacity;
  }
  list->nodes[list->count++] = *node;
  return 0;
}

/* ---- hashes ---- */

void
ab_node_leaf (uint64_t block, ab_slice_t stored, ab_node_t *out) {
  assert(block <= AB_MAX_SAFE);
  uint8_t head[9] = {TYPE_LEAF};
  ab_put_u64le(head + 1, stored.len);
  ab_slice_t parts[2] = {ab_slice(head, sizeof(head)), stored};
  ab_hash(out->hash, parts, 2);
  out->index = 2 * block;
  out->size = stored.len;
}

int
ab_node_parent (const ab_node_t *a, const ab_node_t *b, ab_node_t *out) {
  const ab_node_t *left = a->index < b->index ? a : b;
  const ab_node_t *right = left == a ? b : a;
  if (left->size > AB_MAX_SAFE || right->size > AB_MAX_SAFE - left->size) return AB_ECORRUPT;

  uint64_t index = ab_flat_parent(left->index);
  uint64_t size = left->size + right->size;
  uint8_t bytes[9 + 2 * AB_HASH_LEN] = {TYPE_PARENT};
  ab_put_u64le(bytes + 1, size);
  memcpy(bytes + 9, left->hash, AB_HASH_LEN);
  memcpy(bytes + 9 + AB_HASH_LEN, right->hash, AB_HASH_LEN);
  ab_slice_t part = ab_slice(bytes, sizeof(bytes));
  ab_hash(out->hash, &part, 1);
  out->index = index;
  out->size = size;
  return 0;
}

void
ab_roots_hash (const ab_node_t *roots, size_t count, uint8_t out[32]) {
  assert(count <= AB_ROOTS_MAX);
  uint8_t bytes[1 + AB_ROOTS_MAX * (AB_HASH_LEN + 16)] = {TYPE_ROOTS};
  uint8_t *at = bytes + 1;
  for (size_t i = 0; i < count; i++) {
    memcpy(at, roots[i].hash, AB_HASH_LEN);
    ab_put_u64le(at + AB_HASH_LEN, roots[i].index);
    ab_put_u64le(at + AB_HASH_LEN + 8, roots[i].size);
    at += AB_HASH_LEN + 16;
  }
  ab_slice_t part = ab_slice(bytes, (size_t) (at - bytes));
  ab_hash(out, &part, 1);
}

/* ---- the tree ---- */

#ifndef NDEBUG
/* What must hold of any tree: called after each change. */
static void
check_tree (const ab_tree_t *tree) {
  uint64_t roots[AB_ROOTS_MAX], bytes = 0;
  assert(tree->length <= AB_LENGTH_MAX);
  assert(ab_flat_roots(tree->length, roots) == tree->root_count);
  for (size_t i = 0; i < tree->root_count; i++) {
    assert(tree->roots[i].index == roots[i]);
    bytes += tree->roots[i].size;
  }
  assert(bytes == tree->byte_length);
}
#else
#define check_tree(tree) ((void) 0)
#endif

static int
add_bytes (ab_tree_t *tree, uint64_t size) {
  if (size > AB_MAX_SAFE - tree->byte_length) return AB_ECORRUPT;
  tree->byte_length += size;
  return 0;
}

int
ab_tree_load (ab_tree_t *out, uint64_t fork, uint64_t length, const ab_node_source_t *source) {
  uint64_t indexes[AB_ROOTS_MAX];
  int err;

  if (length > AB_LENGTH_MAX) return AB_EINVAL;
  out->fork = fork;
  out->length = length;
  out->byte_length = 0;
  out->root_count = ab_flat_roots(length, indexes);
  for (size_t i = 0; i < out->root_count; i++) {
    if ((err = source->get(source->data, indexes[i], &out->roots[i])) < 0) return err;
    if ((err = add_bytes(out, out->roots[i].size)) < 0) return err;
  }
  check_tree(out);
  return 0;
}

int
ab_tree_append (ab_tree_t *tree, const ab_node_t *node, ab_node_list_t *added) {
  int err;

  if (node->index > AB_MAX_SAFE || ab_flat_depth(node->index) > AB_DEPTH_MAX) return AB_EOPERATION;
  uint64_t leaves = ab_flat_leaves(node->index);
  if (ab_flat_lspan(node->index) != 2 * tree->length) return AB_EOPERATION;
  if (leaves > AB_LENGTH_MAX - tree->length) return AB_EOPERATION;
  if ((err = add_bytes(tree, node->size)) < 0) return err;
  if ((err = ab_node_list_push(added, node)) < 0) return err;

  tree->length += leaves;
  ab_node_t last = *node;
  while (tree->root_count > 0) {
    const ab_node_t *before = &tree->roots[tree->root_count - 1];
    if (before->index != ab_flat_sibling(last.index)) break;
    if ((err = ab_node_parent(before, &last, &last)) < 0) return err;
    if ((err = ab_node_list_push(added, &last)) < 0) return err;
    tree->root_count--;
  }
  assert(tree->root_count < AB_ROOTS_MAX);
  tree->roots[tree->root_count++] = last;
  check_tree(tree);
  return 0;
}

int
ab_tree_append_block (ab_tree_t *tree, ab_slice_t stored, ab_node_list_t *added) {
  if (tree->length >= AB_LENGTH_MAX) return AB_EOPERATION;
  ab_node_t leaf;
  ab_node_leaf(tree->length, stored, &leaf);
  return ab_tree_append(tree, &leaf, added);
}

size_t
ab_upgrade_nodes (uint64_t start, uint64_t end, uint64_t out[AB_UPGRADE_NODES_MAX]) {
  assert(start <= end && end <= AB_LENGTH_MAX);
  uint64_t roots[AB_ROOTS_MAX];
  size_t root_count = ab_flat_roots(end, roots), count = 0;
  size_t i = 0;
  while (i < root_count && ab_flat_rspan(roots[i]) < 2 * start) i++; /* the reader has these whole */

  if (start > 0 && i < root_count && ab_flat_lspan(roots[i]) < 2 * start) {
    uint64_t last =
      2 * start - 2; /* what the reader lacks right of its last leaf, below the root around it */
    for (uint64_t at = last; at != roots[i]; at = ab_flat_parent(at)) {
      if (ab_flat_sibling(at) > last) out[count++] = ab_flat_sibling(at);
    }
    i++;
  }
  while (i < root_count) out[count++] = roots[i++];
  return count;
}

void
ab_tree_hash (const ab_tree_t *tree, uint8_t out[32]) {
  ab_roots_hash(tree->roots, tree->root_count, out);
}

/* ---- byte positions ---- */

/* A node that the answer needs: not stored means that the network may have it. */
static int
get_needed (const ab_node_source_t *source, uint64_t index, ab_node_t *out) {
  int err = source->get(source->data, index, out);
  assert(err < 0 || out->index == index);
  return err == AB_ENOTFOUND ? AB_EREMOTE : err;
}

int
ab_tree_byte_offset (
  const ab_tree_t *tree, const ab_node_source_t *source, uint64_t block, uint64_t *offset
) {
  if (block > tree->length) return AB_EINVAL;
  if (block == tree->length) {
    *offset = tree->byte_length;
    return 0;
  }

  uint64_t leaf = 2 * block, bytes = 0;
  size_t i = 0;
  while (ab_flat_rspan(tree->roots[i].index) < leaf) bytes += tree->roots[i++].size;

  uint64_t at = tree->roots[i].index;
  while (ab_flat_lspan(at) != leaf) {
    ab_node_t left;
    int err = get_needed(source, ab_flat_left(at), &left);
    if (err < 0) return err;
    if (ab_flat_rspan(left.index) >= leaf) {
      at = left.index;
      continue;
    }
    /* Sizes below a root are authenticated in pairs only: they may exceed it. */
    if (left.size > AB_MAX_SAFE - bytes) return AB_ECORRUPT;
    bytes += left.size;
    at = ab_flat_right(at);
  }
  *offset = bytes;
  return 0;
}

int64_t
ab_padded_size (uint64_t size, uint64_t blocks, uint64_t padding) {
  if (blocks == 0) return (int64_t) size;
  if (padding > (uint64_t) -PADDED_SIZE_MIN / blocks) return PADDED_SIZE_MIN;
  int64_t padded = (int64_t) size - (int64_t) (padding * blocks);
  return padded < PADDED_SIZE_MIN ? PADDED_SIZE_MIN : padded;
}

static int
seek_below (
  const ab_node_source_t *source,
  uint64_t root,
  int64_t bytes,
  uint64_t padding,
  uint64_t *block,
  uint64_t *offset
) {
  uint64_t at = root;
  while (!ab_flat_is_leaf(at)) {
    ab_node_t left;
    int err = get_needed(source, ab_flat_left(at), &left);
    if (err < 0) return err;
    int64_t size = ab_node_padded_size(&left, padding);
    if (size == bytes) {
      *block = ab_flat_rspan(left.index) / 2 + 1;
      *offset = 0;
      return 0;
    }
    if (size > bytes) at = left.index;
    else {
      bytes -= size;
      at = ab_flat_right(at);
    }
  }
  *block = at / 2;
  *offset = (uint64_t) bytes;
  return 0;
}

int
ab_tree_seek (
  const ab_tree_t *tree,
  const ab_node_source_t *source,
  uint64_t bytes,
  uint64_t padding,
  uint64_t *block,
  uint64_t *offset
) {
  *block = *offset = 0;
  if (bytes == 0) return 0;
  if (bytes > AB_MAX_SAFE) return AB_ENOTFOUND;
  int64_t left = (int64_t) bytes;
  for (size_t i = 0; i < tree->root_count; i++) {
    const ab_node_t *root = &tree->roots[i];
    int64_t size = ab_node_padded_size(root, padding);
    if (left == size) {
      *block = ab_flat_rspan(root->index) / 2 + 1;
      return 0;
    }
    if (left < size) return seek_below(source, root->index, left, padding, block, offset);
    left -= size;
  }
  return AB_ENOTFOUND;
}

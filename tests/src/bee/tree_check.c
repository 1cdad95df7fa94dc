/* tree_check.c: the invariants of a tree. */
#include "tree_check.h"

#include "bee/handle.h"

typedef struct {
  bee__family_t *family;
  tree_shape_t *shape;
  const char *problem;
  ab_buf_t last; /* key */
  bool has_last;
} walk_t;

static int
see_key (walk_t *walk, bee__node_t *node, uint32_t i) {
  ab_slice_t key;
  int err = bee__node_key(walk->family, node, i, &key);
  if (err < 0) return err;
  if (walk->has_last && ab_slice_compare(key, ab_buf_slice(&walk->last)) <= 0)
    walk->problem = "keys do not ascend";
  ab_buf_reset(&walk->last);
  ab_buf_append(&walk->last, key);
  walk->has_last = true;
  walk->shape->keys++;
  if (node->prefixes[i] != bee__prefix_of(key, node->skip)) walk->problem = "a prefix is not that of its key";
  if (key.len < node->skip || memcmp(key.data, node->common, node->skip) != 0) {
    walk->problem = "a key does not begin like the others of its node";
  }
  return walk->last.err;
}

static void
check_node (walk_t *walk, const bee__node_t *node, uint32_t depth) {
  bee__node_check(node);
  walk->shape->nodes++;
  if (node->key_count > 2 * node->t - 1) walk->problem = "a node has too many keys";
  if (depth > 1 && node->key_count < node->t - 1) walk->problem = "a node has too few keys";
  if (depth == 1 && node->key_count == 0 && node->child_count > 0)
    walk->problem = "the root has children, but no key";
  if (node->child_count > 0) {
    if (node->child_count != node->key_count + 1) walk->problem = "a node has not one child more than keys";
    return;
  }
  if (walk->shape->depth == 0) walk->shape->depth = depth;
  if (walk->shape->depth != depth) walk->problem = "the leaves are not equally deep";
}

static int
walk_node (
  walk_t *walk, bee__node_t *node, uint32_t depth
) { /* NOLINT(misc-no-recursion): bounded by depth */
  int err = 0;
  check_node(walk, node, depth);
  if (walk->problem != NULL || depth > BEE__DEPTH_MAX) return 0;
  for (uint32_t i = 0; i <= node->key_count && err == 0 && walk->problem == NULL; i++) {
    bee__node_t *child;
    if (node->child_count > 0) {
      if ((err = bee__family_child(walk->family, node, i, &child)) < 0) return err;
      if ((err = walk_node(walk, child, depth + 1)) < 0) return err;
    }
    if (i < node->key_count) err = see_key(walk, node, i);
  }
  return err;
}

int
tree_check (bee_t *bee, tree_shape_t *shape, const char **problem) {
  walk_t walk = {.family = bee->family, .shape = shape};
  bee__node_t *root;
  int err = 0;

  *shape = (tree_shape_t){0};
  bee__cache_trim(bee->family->cache); /* and not again before the end of the walk */
  if (bee->root_length > 0) {
    err = bee__family_root(bee->family, bee->root_core, bee->root_length, &root);
    if (err == 0) err = walk_node(&walk, root, 1);
  }
  ab_buf_destroy(&walk.last);
  *problem = walk.problem;
  return err;
}

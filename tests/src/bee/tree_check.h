/* tree_check.h: what must hold of a whole tree, looked at from inside. */
#ifndef TREE_CHECK_H
#define TREE_CHECK_H

#include "bee/bee.h"

typedef struct {
  uint64_t keys;
  uint64_t nodes;
  uint32_t depth; /* of the leaves; 0: the empty tree */
} tree_shape_t;

/**
 * Walk every node: keys ascend within and between nodes, a node has no children or one more than keys, all
 * leaves lie equally deep, and the sizes fit the degree (the root may have less). `problem` receives text
 * that says what does not hold, or NULL. Returns 0 or the error of a read.
 */
int
tree_check (bee_t *bee, tree_shape_t *shape, const char **problem);

#endif

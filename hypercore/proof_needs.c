/* proof_needs.c: what a reader lacks, for the requests it makes and gets. */
#include "hypercore/proof.h"

int
ab_missing_nodes (const ab_node_source_t *source, uint64_t length, uint64_t block, uint64_t *nodes) {
  ab_node_t node;
  *nodes = 0;
  if (block >= length) return 0;
  for (uint64_t at = 2 * block; !ab_flat_contains(at, 2 * length); at = ab_flat_parent(at)) {
    int err = source->get(source->data, at, &node);
    if (err == 0) return 0;
    if (err != AB_ENOTFOUND) return err;
    ++*nodes;
  }
  return 0;
}

uint64_t
ab_max_missing_nodes (uint64_t index, uint64_t length) {
  uint64_t nodes = 0;
  if (length > AB_LENGTH_MAX || index > AB_MAX_SAFE || ab_flat_rspan(index) >= 2 * length) return 0;
  /* A root's parent reaches past the length, so a root climbs nowhere. */
  for (uint64_t at = ab_flat_parent(index); !ab_flat_contains(at, 2 * length); at = ab_flat_parent(at))
    nodes++;
  return nodes;
}

int
ab_is_upgradeable (const ab_node_source_t *source, uint64_t length, bool *upgradeable) {
  uint64_t roots[AB_ROOTS_MAX];
  ab_node_t node;
  *upgradeable = false;
  if (length > AB_LENGTH_MAX) return 0;
  size_t count = ab_flat_roots(length, roots);
  for (size_t i = 0; i < count; i++) {
    int err = source->get(source->data, roots[i], &node);
    if (err == AB_ENOTFOUND) return 0;
    if (err < 0) return err;
  }
  *upgradeable = true;
  return 0;
}

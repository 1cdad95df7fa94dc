/* reorg.c: finding how much of a tree a higher fork shares. */
#include "hypercore/reorg.h"

#include "hypercore/proof_verify.h"

#include <assert.h>

/* Does the reader store the very same node? 1, 0, or an error of the source. */
static int
is_shared (const ab_reader_state_t *own, const ab_node_t *node) {
  ab_node_t stored;
  int err = own->source->get(own->source->data, node->index, &stored);
  if (err == AB_ENOTFOUND) return 0;
  if (err < 0) return err;
  return memcmp(stored.hash, node->hash, AB_HASH_LEN) == 0 ? 1 : 0;
}

/* `diff` differs, and everything left of it is shared. */
static void
set_diff (ab_reorg_t *reorg, const ab_node_t *diff) {
  uint64_t first = ab_flat_lspan(diff->index) / 2, end = ab_flat_rspan(diff->index) / 2 + 1;
  if (end > reorg->own_length) end = reorg->own_length;
  if (reorg->done) return;
  reorg->done = ab_flat_is_leaf(diff->index) || reorg->want_start >= reorg->own_length || end <= first;
  reorg->ancestors = first;
  reorg->diff = *diff;
  reorg->want_start = first;
  reorg->want_end = end;
  reorg->want_nodes = ab_flat_depth(diff->index);
}

/* The last node of this index counts, as when they are stored. */
static const ab_node_t *
find_node (const ab_node_t *nodes, size_t count, uint64_t index) {
  while (count > 0) {
    if (nodes[--count].index == index) return &nodes[count];
  }
  return NULL;
}

/* Walk down from the difference as far as these nodes tell. `moved`: it got any further. */
static int
narrow (ab_reorg_t *reorg, const ab_reader_state_t *own, const ab_node_t *nodes, size_t count, bool *moved) {
  uint64_t at = reorg->diff.index;
  const ab_node_t *next = NULL;
  *moved = false;
  while (!ab_flat_is_leaf(at)) {
    const ab_node_t *left = find_node(nodes, count, ab_flat_left(at));
    if (left == NULL) break;
    int shared = is_shared(own, left);
    if (shared < 0) return shared;
    next = left;
    if (shared == 1) next = find_node(nodes, count, ab_flat_right(at));
    if (next == NULL) return AB_EOPERATION; /* a climb brings siblings together */
    at = next->index;
  }
  if (next == NULL) return 0;
  ab_node_t diff = *next; /* `nodes` may be the list that moves */
  set_diff(reorg, &diff);
  *moved = true;
  return 0;
}

static int
keep_manifest (ab_reorg_t *reorg, const ab_manifest_t *learnt, ab_arena_t *arena) {
  if (learnt == NULL) return 0;
  ab_manifest_t *copy = ab_arena_alloc(arena, 1, sizeof(*copy));
  if (copy == NULL || ab_manifest_copy(learnt, arena, copy) < 0) return AB_ENOMEM;
  reorg->manifest = copy;
  return 0;
}

/* Compare the new roots with what is stored here, left to right. */
static int
compare_roots (ab_reorg_t *reorg, const ab_reader_state_t *own) {
  bool moved;
  for (size_t i = 0; i < reorg->tree.root_count; i++) {
    int shared = is_shared(own, &reorg->tree.roots[i]);
    if (shared < 0) return shared;
    if (shared == 1) continue;
    set_diff(reorg, &reorg->tree.roots[i]);
    return narrow(reorg, own, reorg->nodes.nodes, reorg->nodes.count, &moved);
  }
  reorg->ancestors = reorg->tree.length; /* the new tree is a beginning of ours */
  reorg->done = true;
  return 0;
}

int
ab_reorg_begin (ab_reorg_t *reorg, const ab_reader_state_t *own, const ab_proof_t *proof, ab_arena_t *arena) {
  const ab_manifest_t *learnt;
  bool has_root, used_root;
  ab_node_t root;
  int err;

  *reorg = (ab_reorg_t){.own_length = own->tree->length, .own_fork = own->tree->fork};
  if (!proof->has_upgrade || proof->fork <= own->tree->fork) return AB_EINVAL;
  if ((err = ab__proof_check_lists(proof)) < 0) return err;
  if ((err = ab__proof_node_list(proof, arena, &reorg->nodes)) < 0) return err;
  if ((err = ab__proof_tree_part(proof, &reorg->nodes, &has_root, &root)) < 0) return err;
  err = ab__proof_upgrade_part(
    proof, has_root ? &root : NULL, own->manifest, own->key, &reorg->tree, &reorg->nodes, &used_root, NULL
  );
  if (err < 0) return err;
  if (!used_root) return AB_EPROOF;
  if ((err = ab__proof_check_signature(own, proof, &reorg->tree, arena, &learnt)) < 0) return err;
  if ((err = keep_manifest(reorg, learnt, arena)) < 0) return err;
  if (proof->upgrade.signature.data != NULL) {
    err = ab_arena_copy(arena, proof->upgrade.signature, &reorg->signature);
    if (err < 0) return err;
  }
  return compare_roots(reorg, own);
}

int
ab_reorg_continue (ab_reorg_t *reorg, const ab_reader_state_t *own, const ab_proof_t *proof, bool *accepted) {
  ab_node_list_t nodes;
  ab_node_t root;
  bool has_root;
  int err;

  assert(ab_reorg_is_current(reorg, own->tree));
  *accepted = false;
  if (reorg->done || proof->fork != reorg->tree.fork) return 0;
  if ((err = ab__proof_check_lists(proof)) < 0) return err;
  if ((err = ab__proof_node_list(proof, reorg->nodes.arena, &nodes)) < 0) return err;
  if ((err = ab__proof_tree_part(proof, &nodes, &has_root, &root)) < 0) return err;
  /* The original compares the hash alone; nodes of another place must not be stored here. */
  if (!has_root || root.index != reorg->diff.index) return 0;
  if (memcmp(root.hash, reorg->diff.hash, AB_HASH_LEN) != 0) return 0;

  ab_reorg_t before = *reorg;
  if ((err = narrow(reorg, own, nodes.nodes, nodes.count, accepted)) == 0 && *accepted) {
    for (size_t i = 0; i < nodes.count && err == 0; i++)
      err = ab_node_list_push(&reorg->nodes, &nodes.nodes[i]);
  }
  if (err < 0) {
    *reorg = before;
    *accepted = false;
  }
  return err;
}

/* reorg.h: moving a reader to a higher fork. Shared by our folders.
 *
 *   begin with an upgrade from 0 ──► what do we share? ──► ask for a hash, continue ─┐
 *                                          │        ▲                               │
 *                                          ▼        └───────────────────────────────┘
 *                               done: cut to `ancestors`, take over the new tree
 *
 * Pure: nothing is written before the core commits a finished reorg, in one transaction: drop the blocks and
 * bits of [ancestors, old length) and all nodes that cover a leaf from `ancestors` on, write `nodes`, the
 * head and a learnt manifest. Valid only while the reader's length and fork are what they were at the
 * beginning.
 */
#ifndef AB_REORG_H
#define AB_REORG_H

#include "hypercore/proof.h"

typedef struct {
  bool done;
  uint64_t ancestors; /* blocks that are shared, once done */

  /* Until then, ask for hash { index: any leaf of these blocks, nodes }, of the new fork. */
  uint64_t want_start, want_end;
  uint64_t want_nodes;

  /* To commit. */
  ab_tree_t tree;
  ab_slice_t signature; /* data NULL: absent */
  ab_node_list_t nodes;
  const ab_manifest_t *manifest; /* learnt; NULL: none */

  /* Private from here on. */
  uint64_t own_length, own_fork;
  ab_node_t diff; /* the leftmost node known to differ */
} ab_reorg_t;     /* everything it refers to lives in the arena it began with */

/**
 * Begin with a proof of a higher fork that has an upgrade from 0 to the remote length.
 *
 * own    as for ab_proof_verify; its source is read, one node per level and root
 * arena  keeps nodes, signature and manifest until the reorg was committed or given up
 *
 * Returns 0, AB_EINVAL (not of a higher fork, or without an upgrade), the codes of an invalid proof,
 * AB_ENOMEM or an error of the source.
 */
int
ab_reorg_begin (ab_reorg_t *reorg, const ab_reader_state_t *own, const ab_proof_t *proof, ab_arena_t *arena);

/**
 * Continue with a proof for the wanted hash.
 *
 * accepted  false: the proof brings the reorg no further, and nothing changed
 *
 * Returns 0, AB_EOPERATION, AB_ECORRUPT or AB_EPROOF (not a proof, nothing changed), AB_ENOMEM or an error of
 * the source.
 */
int
ab_reorg_continue (ab_reorg_t *reorg, const ab_reader_state_t *own, const ab_proof_t *proof, bool *accepted);

/** Is the reader still where it was at the beginning? */
static inline bool
ab_reorg_is_current (const ab_reorg_t *reorg, const ab_tree_t *own) {
  return reorg->own_length == own->length && reorg->own_fork == own->fork;
}

#endif

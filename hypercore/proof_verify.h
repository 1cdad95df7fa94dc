/* proof_verify.h: the steps of verifying, which a reorg takes as well. Private to hypercore/. */
#ifndef AB_PROOF_VERIFY_H
#define AB_PROOF_VERIFY_H

#include "hypercore/proof.h"

/** Room for the nodes a proof may bring up, so that they rarely have to move. Returns 0 or AB_ENOMEM. */
int
ab__proof_node_list (const ab_proof_t *proof, ab_arena_t *arena, ab_node_list_t *out);

/** Refuse lists that no honest producer makes, before anything is hashed: 0 or AB_EPROOF. */
int
ab__proof_check_lists (const ab_proof_t *proof);

/**
 * Hash the block, hash and seek parts upwards; every node on the way goes into `nodes`.
 * `has_root` tells whether there is a top node to be trusted, and `root` is it.
 */
int
ab__proof_tree_part (const ab_proof_t *proof, ab_node_list_t *nodes, bool *has_root, ab_node_t *root);

/* Where an upgrade stood before its additional nodes, for comparing histories. */
typedef struct {
  uint64_t length;
  uint8_t tree_hash[32];
} ab__stated_t;

/**
 * Grow `tree` by the upgrade part. `root` may be NULL and is used in place of an upgrade node with its index.
 *
 * manifest   the reader's own, or NULL: its prologue has to be met
 * used_root  whether it was, or there is none
 * stated     NULL, or receives the tree at the length that the proof states
 */
int
ab__proof_upgrade_part (
  const ab_proof_t *proof,
  const ab_node_t *root,
  const ab_manifest_t *manifest,
  const ab_key_t *key,
  ab_tree_t *tree,
  ab_node_list_t *nodes,
  bool *used_root,
  ab__stated_t *stated
);

/**
 * Check the signature of a tree that grew, under the reader's manifest or one that is learnt now: the
 * proof's, or the default one of the core key.
 *
 * learnt  NULL, or the manifest to keep
 */
int
ab__proof_check_signature (
  const ab_reader_state_t *own,
  const ab_proof_t *proof,
  const ab_tree_t *tree,
  ab_arena_t *arena,
  const ab_manifest_t **learnt
);

#endif

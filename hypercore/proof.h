/* proof.h: requests, proofs, what they prove. Shared by our folders.
 *
 *   request ──produce──► proof ──wire──► proof ──verify──► result, which the core commits
 *
 * A proof lets a reader with a partial, verified tree learn a block, a node, a byte position or a longer
 * tree. Producing and verifying are pure: they read a tree and a node source and write nothing but an arena.
 *
 * To change  the wire form: proof_wire.c; which nodes go in: proof_produce.c; what is accepted:
 * proof_verify.c
 */
#ifndef AB_PROOF_H
#define AB_PROOF_H

#include "hypercore/ab.h"
#include "hypercore/buf.h"
#include "hypercore/encoding.h"
#include "hypercore/manifest.h"
#include "hypercore/tree.h"
#include "hypercore/verify.h"

/* No honest list is longer than a climb of 52 and 53 roots; longer ones are refused before hashing any. */
#define AB_PROOF_NODES_MAX 128

/* ---- requests ---- */

typedef struct {
  bool has_block, has_hash, has_seek, has_upgrade;
  bool wants_manifest;
  struct {
    uint64_t index; /* of the block, or of the tree node */
    uint64_t nodes; /* parents the reader lacks above it */
  } block, hash;
  struct {
    uint64_t bytes;
    uint64_t padding; /* bytes of each block that do not count */
  } seek;
  struct {
    uint64_t start;
    uint64_t length; /* blocks after start */
  } upgrade;

  /* Of the message only. */
  uint64_t id;
  uint64_t fork;
  uint64_t priority; /* 0 is not sent */
} ab_request_t;

/** Returns 0 or AB_ECORRUPT. Unknown flags and trailing bytes are ignored. */
int
ab_request_decode (ab_slice_t message, ab_request_t *out);
void
ab_request_encode (ab_buf_t *out, const ab_request_t *request);

/* ---- proofs ---- */

typedef struct {
  const ab_node_t *nodes;
  size_t count;
} ab_nodes_t;

typedef struct {
  uint64_t id; /* of the request it answers; of the message only */
  uint64_t fork;
  bool has_block, has_hash, has_seek, has_upgrade;
  struct {
    uint64_t index;
    ab_slice_t value; /* as stored; data NULL: absent (never on the wire), then the leaf is among the nodes */
    ab_nodes_t nodes;
  } block;
  struct {
    uint64_t index;
    ab_nodes_t nodes; /* the node itself first */
  } hash;
  struct {
    uint64_t bytes;
    ab_nodes_t nodes;
  } seek;
  struct {
    uint64_t start;
    uint64_t length;
    ab_nodes_t nodes;
    ab_nodes_t additional; /* the rest of the producer's tree */
    ab_slice_t signature;  /* data NULL: absent */
  } upgrade;
  const ab_manifest_t *manifest; /* NULL: absent */
} ab_proof_t;

/**
 * Decode a data message. Node lists and the manifest are copied into the arena; the block's value and the
 * signature point into `message`. Returns 0, AB_ECORRUPT or AB_ENOMEM.
 */
int
ab_proof_decode (ab_slice_t message, ab_arena_t *arena, ab_proof_t *out);
/** A block without a value cannot be written: AB_EINVAL sticks in `out`. */
void
ab_proof_encode (ab_buf_t *out, const ab_proof_t *proof);

/** The length a peer has after it applied the proof's upgrade (0 without one). */
uint64_t
ab_proof_length (const ab_proof_t *proof);

/* ---- producing ---- */

/**
 * Collect the nodes that answer `request`.
 *
 * tree      length and roots of the producer; the fork is copied into the proof
 * prologue  ab_manifest_prologue of the core: an upgrade from below it is answered as one to exactly it
 * proof     the caller adds block.value if has_block, upgrade.signature if has_upgrade, the manifest if it is
 *           wanted (compat cores never send one) and the id
 *
 * Reads the listed nodes and, for a seek, one per level. An empty core gives a proof without parts.
 * Returns 0, AB_EOPERATION (the request does not fit, or a node is not stored), AB_ENOMEM or an error of the
 * source.
 */
int
ab_proof_produce (
  const ab_request_t *request,
  const ab_tree_t *tree,
  uint64_t prologue,
  const ab_node_source_t *source,
  ab_arena_t *arena,
  ab_proof_t *proof
);

/* ---- verifying ---- */

/* What a reader has. */
typedef struct {
  const ab_tree_t *tree;         /* current fork, length and roots */
  const ab_key_t *key;           /* of the core */
  const ab_manifest_t *manifest; /* NULL: not known yet */
  bool legacy;                   /* as in ab_verifier_t */
  const ab_node_source_t *source;
} ab_reader_state_t;

typedef enum {
  AB_PROOF_APPLIED = 0, /* the result holds what to commit, possibly nothing */
  AB_PROOF_IGNORED      /* of another fork: not for this state, ask again (a higher one: reorg.h) */
} ab_proof_outcome_t;

/* What a proof proved: all of it goes into one transaction. */
typedef struct {
  ab_proof_outcome_t outcome;
  ab_node_list_t nodes; /* in order; later ones overwrite earlier and stored ones */
  bool has_block;       /* block.index and its stored bytes, borrowed from the proof */
  uint64_t block_index;
  ab_slice_t block;
  bool grew;                     /* if so, `tree` and `signature` are the new head */
  ab_tree_t tree;                /* the reader's tree after the proof, grown or not */
  ab_slice_t signature;          /* borrowed from the proof; data NULL: absent */
  const ab_manifest_t *manifest; /* learnt from this proof, in the arena (or the proof's own); NULL: none */
} ab_proof_result_t;

/**
 * Check a proof against what the reader has. Nothing is written: the caller commits the result.
 *
 * arena  holds the result's nodes and manifest
 *
 * Returns 0 (see result->outcome), or why nothing changes:
 *   AB_EOPERATION  does not fit our tree; says nothing about the peer if the tree moved since the request
 *   AB_ECHECKSUM, AB_ESIGNATURE, AB_EPROOF, AB_ECORRUPT  invalid, held against the peer
 *   AB_ENOMEM or an error of the source  our own trouble
 */
int
ab_proof_verify (
  const ab_reader_state_t *own, const ab_proof_t *proof, ab_arena_t *arena, ab_proof_result_t *result
);

/* Is a negative result of ab_proof_verify the peer's fault, given that our tree did not move? */
static inline bool
ab_proof_is_invalid (int err) {
  return err == AB_EOPERATION || err == AB_ECHECKSUM || err == AB_ESIGNATURE || err == AB_EPROOF ||
         err == AB_ECORRUPT;
}

/**
 * Does this proof, from 0 and asked for after a failure, show that the core's writer signed two histories?
 * Returns 0 and the answer; a proof that is not comparable or not valid shows nothing. Otherwise AB_ENOMEM or
 * an error of the source.
 */
int
ab_proof_conflicts (const ab_reader_state_t *own, const ab_proof_t *proof, ab_arena_t *arena, bool *conflict);

/* A proof that is verified without any local state: discovery key ‖ data message. */
typedef struct {
  uint64_t length; /* additional nodes included */
  bool has_block;
  uint64_t block_index;
  ab_slice_t block; /* borrowed from the input */
} ab_remote_proof_t;

/**
 * Check a self-contained proof for a core whose key and manifest are known. Only the first signer counts.
 * Returns 0, AB_ENOTFOUND (of another core), AB_ESIGNATURE, AB_ECORRUPT, AB_EOPERATION, AB_EPROOF or
 * AB_ENOMEM.
 */
int
ab_remote_proof_verify (
  ab_slice_t bytes,
  const ab_key_t *key,
  const ab_manifest_t *manifest,
  ab_arena_t *arena,
  ab_remote_proof_t *out
);

/* ---- bookkeeping for requests ---- */

/** The `nodes` value of a request for a block: how many nodes from its leaf upwards are not stored. */
int
ab_missing_nodes (const ab_node_source_t *source, uint64_t length, uint64_t block, uint64_t *nodes);

/** For pushing node `index` unasked to a peer of `length` blocks: parents that the peer can hold. */
uint64_t
ab_max_missing_nodes (uint64_t index, uint64_t length);

/** Are all roots of `length` blocks stored, so that an upgrade from there may be provable? */
int
ab_is_upgradeable (const ab_node_source_t *source, uint64_t length, bool *upgradeable);

#endif

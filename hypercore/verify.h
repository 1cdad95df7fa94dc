/* verify.h: what a core's signature covers, making and checking it. Shared by our folders.
 *
 * The signature of a core is opaque bytes: 64 raw ones (version 0 with one signer, compat), or a list of
 * proofs with the nodes that let a longer signed tree count for a shorter one (patches). It is stored and
 * passed on exactly as received, and it is malleable: never compare signatures to compare heads.
 */
#ifndef AB_VERIFY_H
#define AB_VERIFY_H

#include "hypercore/ab.h"
#include "hypercore/manifest.h"
#include "hypercore/tree.h"

#define AB_SIGNABLE_MAX 112
#define AB_SIGNATURE_MAX 68 /* what ab_tree_sign makes; received ones may be longer */

typedef struct {
  const ab_manifest_t *manifest;
  const ab_key_t *key; /* of the core */
  bool legacy;         /* compat cores only: signed in the old form without the namespace */
} ab_verifier_t;

/** The bytes that signer number `signer` (below signer_count) signs for this tree hash. Returns their length.
 */
size_t
ab_signable (
  const ab_verifier_t *verifier,
  size_t signer,
  const uint8_t tree_hash[32],
  uint64_t length,
  uint64_t fork,
  uint8_t out[AB_SIGNABLE_MAX]
);

/**
 * Is `signature` valid for this tree?
 *
 * signature  data NULL: absent, which is right for a core that ends with its prologue
 * arena      scratch for patches
 *
 * Returns 0, AB_ESIGNATURE (no), AB_ECORRUPT (malformed, no as well) or AB_ENOMEM.
 */
int
ab_tree_verify (
  const ab_verifier_t *verifier, const ab_tree_t *tree, ab_slice_t signature, ab_arena_t *arena
);

/**
 * Sign the tree. With one signer the result is the core's signature; with several it is a raw partial one,
 * which nobody accepts before it is assembled with others (ab_signature_assemble).
 *
 * out, len  at most AB_SIGNATURE_MAX bytes
 *
 * Returns 0, or AB_EINVAL if the key pair is none of the signers.
 */
int
ab_tree_sign (
  const ab_verifier_t *verifier,
  const ab_tree_t *tree,
  const ab_key_pair_t *pair,
  uint8_t out[AB_SIGNATURE_MAX],
  size_t *len
);

/* One signer's part of a signature. */
typedef struct {
  size_t signer;
  uint8_t signature[64];
  uint64_t patch;         /* blocks by which the signed tree is longer, or 0 */
  const ab_node_t *nodes; /* with a patch: the upgrade nodes from the target length to the signed one */
  size_t node_count;
} ab_partial_t;

/**
 * Put partial signatures together, in the order given, in the form of the manifest version. Errors stick in
 * `out`.
 */
void
ab_signature_assemble (
  ab_buf_t *out, const ab_manifest_t *manifest, const ab_partial_t *partials, size_t count
);

#endif

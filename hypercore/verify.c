/* verify.c: signed bytes, signatures of one and of several signers. */
#include "hypercore/verify.h"

#include "hypercore/crypto.h"
#include "hypercore/encoding.h"

#include <assert.h>
#include <stdlib.h>

/*   signature, version >= 1   list of proofs, list of nodes
 *     proof                   uint signer, fixed64 signature, uint patch
 *   signature, version 0      the same with other proofs
 *     proof                   uint flags, uint signer, fixed64 signature,
 *                             flag 1: uint start, uint patch, list of uint positions in the node list
 *   node                      uint index, uint size, fixed32 hash
 */
#define PROOF_MIN 66
#define NODE_MIN 34
#define FLAG_V0_PATCH 1

/* A node list serves the patches of all signers; none needs more than an upgrade has. */
#define NODES_PER_SIGNER 128

/* ---- signed bytes ---- */

size_t
ab_signable (
  const ab_verifier_t *verifier,
  size_t signer,
  const uint8_t tree_hash[32],
  uint64_t length,
  uint64_t fork,
  uint8_t out[AB_SIGNABLE_MAX]
) {
  const ab_manifest_t *manifest = verifier->manifest;
  assert(signer < manifest->signer_count);
  bool compat = ab_manifest_is_compat(manifest, verifier->key);
  uint8_t *at = out;
  if (!compat || !verifier->legacy) {
    memcpy(at, ab_ns_tree, 32);
    at += 32;
  }
  if (!compat) {
    memcpy(at, manifest->version == 0 ? manifest->signers[signer].ns : verifier->key->bytes, 32);
    at += 32;
  }
  memcpy(at, tree_hash, 32);
  ab_put_u64le(at + 32, length);
  ab_put_u64le(at + 40, fork);
  return (size_t) (at + 48 - out);
}

static bool
is_signed_by (
  const ab_verifier_t *verifier,
  size_t signer,
  const ab_tree_t *tree,
  const uint8_t hash[32],
  ab_slice_t signature
) {
  uint8_t signable[AB_SIGNABLE_MAX];
  size_t len = ab_signable(verifier, signer, hash, tree->length, tree->fork, signable);
  return ab_verify(signature, ab_slice(signable, len), verifier->manifest->signers[signer].public_key);
}

/* ---- signatures of several signers ---- */

typedef struct {
  ab_reader_t proofs; /* stands at the first proof */
  size_t proof_count;
  ab_reader_t nodes; /* stands at the first node */
  size_t node_count;
} multi_t;

typedef struct {
  uint64_t signer;
  ab_slice_t signature;
  uint64_t patch;
} multi_proof_t;

static multi_proof_t
read_proof (ab_reader_t *in, uint64_t version) {
  multi_proof_t proof = {0};
  uint64_t flags = version == 0 ? ab_read_uint(in) : 0;
  proof.signer = ab_read_uint(in);
  proof.signature = ab_read_bytes(in, AB_SIGNATURE_LEN);
  if (version != 0) proof.patch = ab_read_uint(in);
  else if ((flags & FLAG_V0_PATCH) != 0) {
    ab_read_uint(in); /* start, which the tree tells */
    proof.patch = ab_read_uint(in);
    size_t positions = ab_read_count(in, 1);
    for (size_t i = 0; i < positions; i++) ab_read_uint(in);
  }
  return proof;
}

static void
read_node (ab_reader_t *in, ab_node_t *node) {
  node->index = ab_read_uint(in);
  node->size = ab_read_uint(in);
  ab_slice_t hash = ab_read_bytes(in, AB_HASH_LEN);
  if (hash.data != NULL) memcpy(node->hash, hash.data, AB_HASH_LEN);
}

/* All of it has to decode, whether it is used or not. */
static int
decode_multi (ab_slice_t signature, uint64_t version, multi_t *out) {
  ab_reader_t in = ab_reader(signature);
  ab_node_t node;
  out->proof_count = ab_read_count(&in, PROOF_MIN);
  out->proofs = in;
  for (size_t i = 0; i < out->proof_count; i++) (void) read_proof(&in, version);
  out->node_count = ab_read_count(&in, NODE_MIN);
  out->nodes = in;
  for (size_t i = 0; i < out->node_count; i++) read_node(&in, &node);
  return in.err;
}

typedef struct {
  ab_node_t node;
  size_t position; /* in the list: of several nodes with one index the last counts */
} patch_node_t;

typedef struct {
  const patch_node_t *sorted; /* NULL: not read yet */
  size_t count;
} patch_nodes_t;

static int
compare_nodes (const void *a, const void *b) {
  const patch_node_t *left = a, *right = b;
  if (left->node.index != right->node.index) return left->node.index < right->node.index ? -1 : 1;
  return (left->position > right->position) - (left->position < right->position);
}

static int
load_patch_nodes (const multi_t *multi, size_t signer_count, ab_arena_t *arena, patch_nodes_t *out) {
  if (out->sorted != NULL) return 0;
  if (multi->node_count == 0 || multi->node_count / NODES_PER_SIGNER > signer_count) return AB_ECORRUPT;
  patch_node_t *nodes = ab_arena_alloc(arena, multi->node_count, sizeof(*nodes));
  if (nodes == NULL) return AB_ENOMEM;
  ab_reader_t in = multi->nodes;
  for (size_t i = 0; i < multi->node_count; i++) {
    read_node(&in, &nodes[i].node);
    nodes[i].position = i;
  }
  qsort(nodes, multi->node_count, sizeof(*nodes), compare_nodes);
  out->sorted = nodes;
  out->count = multi->node_count;
  return 0;
}

static const ab_node_t *
find_patch_node (const patch_nodes_t *nodes, uint64_t index) {
  size_t low = 0, high = nodes->count; /* the first node above `index` ends up at `low` */
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (nodes->sorted[middle].node.index <= index) low = middle + 1;
    else high = middle;
  }
  if (low == 0 || nodes->sorted[low - 1].node.index != index) return NULL;
  return &nodes->sorted[low - 1].node;
}

/* Grow `tree` to the length that was signed. */
static int
apply_patch (ab_tree_t *tree, uint64_t patch, const patch_nodes_t *nodes) {
  uint64_t indexes[AB_UPGRADE_NODES_MAX];
  ab_node_t added[AB_TREE_APPEND_MAX];

  if (patch > AB_LENGTH_MAX - tree->length) return AB_ESIGNATURE;
  size_t count = ab_upgrade_nodes(tree->length, tree->length + patch, indexes);
  for (size_t i = 0; i < count; i++) {
    const ab_node_t *node = find_patch_node(nodes, indexes[i]);
    ab_node_list_t list = {.nodes = added, .capacity = AB_TREE_APPEND_MAX};
    if (node == NULL || ab_tree_append(tree, node, &list) < 0) return AB_ESIGNATURE;
  }
  return 0;
}

static int
verify_multi (const ab_verifier_t *verifier, const ab_tree_t *tree, ab_slice_t signature, ab_arena_t *arena) {
  const ab_manifest_t *manifest = verifier->manifest;
  uint8_t hash[32], patched_hash[32];
  patch_nodes_t nodes = {0};
  multi_t multi;
  int err;

  if (signature.data == NULL || manifest->quorum == 0) return AB_ESIGNATURE;
  if ((err = decode_multi(signature, manifest->version, &multi)) < 0) return err;
  if (multi.proof_count < manifest->quorum) return AB_ESIGNATURE;

  bool *seen = ab_arena_zalloc(arena, manifest->signer_count, sizeof(*seen));
  if (seen == NULL) return AB_ENOMEM;
  ab_tree_hash(tree, hash);

  /* The first `quorum` proofs decide; later ones are not looked at. */
  for (uint64_t i = 0; i < manifest->quorum; i++) {
    multi_proof_t proof = read_proof(&multi.proofs, manifest->version);
    if (proof.signer >= manifest->signer_count || seen[proof.signer]) return AB_ESIGNATURE;
    seen[proof.signer] = true;

    bool valid;
    if (proof.patch > 0 && manifest->allow_patch) {
      ab_tree_t patched = *tree;
      if ((err = load_patch_nodes(&multi, manifest->signer_count, arena, &nodes)) < 0) return err;
      if ((err = apply_patch(&patched, proof.patch, &nodes)) < 0) return err;
      ab_tree_hash(&patched, patched_hash);
      valid = is_signed_by(verifier, (size_t) proof.signer, &patched, patched_hash, proof.signature);
    } else {
      valid = is_signed_by(verifier, (size_t) proof.signer, tree, hash, proof.signature);
    }
    if (!valid) return AB_ESIGNATURE;
  }
  return 0;
}

int
ab_tree_verify (
  const ab_verifier_t *verifier, const ab_tree_t *tree, ab_slice_t signature, ab_arena_t *arena
) {
  const ab_manifest_t *manifest = verifier->manifest;
  uint8_t hash[32];

  if (ab_manifest_is_compat(manifest, verifier->key) ||
      (manifest->version == 0 && manifest->signer_count == 1 && !manifest->allow_patch)) {
    if (signature.data == NULL) return AB_ESIGNATURE;
    ab_tree_hash(tree, hash);
    return is_signed_by(verifier, 0, tree, hash, signature) ? 0 : AB_ESIGNATURE;
  }
  if (manifest->version >= 1 && manifest->has_prologue && tree->length <= manifest->prologue_length) {
    if (tree->length != manifest->prologue_length) return AB_ESIGNATURE;
    ab_tree_hash(tree, hash);
    return memcmp(hash, manifest->prologue_hash, sizeof(hash)) == 0 ? 0 : AB_ESIGNATURE;
  }
  return verify_multi(verifier, tree, signature, arena);
}

/* ---- signing ---- */

int
ab_tree_sign (
  const ab_verifier_t *verifier,
  const ab_tree_t *tree,
  const ab_key_pair_t *pair,
  uint8_t out[AB_SIGNATURE_MAX],
  size_t *len
) {
  const ab_manifest_t *manifest = verifier->manifest;
  size_t signer = 0;
  while (signer < manifest->signer_count &&
         memcmp(manifest->signers[signer].public_key, pair->public_key, sizeof(pair->public_key)) != 0) {
    signer++;
  }
  if (signer == manifest->signer_count) return AB_EINVAL;

  uint8_t hash[32], signable[AB_SIGNABLE_MAX];
  ab_tree_hash(tree, hash);
  size_t signable_len = ab_signable(verifier, signer, hash, tree->length, tree->fork, signable);

  bool wraps =
    manifest->signer_count == 1 && manifest->version >= 1 && !ab_manifest_is_compat(manifest, verifier->key);
  if (!wraps) {
    ab_sign(out, ab_slice(signable, signable_len), pair);
    *len = AB_SIGNATURE_LEN;
    return 0;
  }
  out[0] = 1; /* one proof, of signer 0 */
  out[1] = 0;
  ab_sign(out + 2, ab_slice(signable, signable_len), pair);
  out[66] = 0; /* no patch */
  out[67] = 0; /* no nodes */
  *len = AB_SIGNATURE_MAX;
  return 0;
}

/* The first node that has this index, in the order the nodes are written. */
static const ab_node_t *
first_node (const ab_partial_t *partials, size_t count, uint64_t index) {
  for (size_t i = 0; i < count; i++) {
    if (partials[i].patch == 0) continue;
    for (size_t j = 0; j < partials[i].node_count; j++) {
      if (partials[i].nodes[j].index == index) return &partials[i].nodes[j];
    }
  }
  return NULL;
}

typedef struct {
  ab_buf_t bytes;
  size_t count;
} merged_nodes_t;

/* Write every node once, where it comes up first. */
static void
merge_nodes (merged_nodes_t *merged, const ab_partial_t *partials, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (partials[i].patch == 0) continue;
    for (size_t j = 0; j < partials[i].node_count; j++) {
      const ab_node_t *node = &partials[i].nodes[j];
      if (first_node(partials, count, node->index) != node) continue;
      ab_write_uint(&merged->bytes, node->index);
      ab_write_uint(&merged->bytes, node->size);
      ab_write_bytes(&merged->bytes, ab_slice(node->hash, AB_HASH_LEN));
      merged->count++;
    }
  }
}

/* Where the node of this index stands in the merged list. */
static size_t
merged_position (const ab_partial_t *partials, size_t count, uint64_t index) {
  size_t position = 0;
  for (size_t i = 0; i < count; i++) {
    if (partials[i].patch == 0) continue;
    for (size_t j = 0; j < partials[i].node_count; j++) {
      const ab_node_t *node = &partials[i].nodes[j];
      if (first_node(partials, count, node->index) != node) continue;
      if (node->index == index) return position;
      position++;
    }
  }
  return position;
}

static void
write_version_0_patch (ab_buf_t *out, const ab_partial_t *partial, const ab_partial_t *all, size_t count) {
  uint64_t end =
    partial->node_count == 0 ? 0 : ab_flat_rspan(partial->nodes[partial->node_count - 1].index) / 2 + 1;
  ab_write_uint(out, end);
  ab_write_uint(out, partial->patch);
  ab_write_uint(out, partial->node_count);
  for (size_t i = 0; i < partial->node_count; i++) {
    ab_write_uint(out, merged_position(all, count, partial->nodes[i].index));
  }
}

void
ab_signature_assemble (
  ab_buf_t *out, const ab_manifest_t *manifest, const ab_partial_t *partials, size_t count
) {
  merged_nodes_t merged = {0};
  merge_nodes(&merged, partials, count);

  ab_write_uint(out, count);
  for (size_t i = 0; i < count; i++) {
    const ab_partial_t *partial = &partials[i];
    bool has_patch = partial->patch > 0;
    if (manifest->version == 0) ab_write_uint(out, has_patch ? FLAG_V0_PATCH : 0);
    ab_write_uint(out, partial->signer);
    ab_write_bytes(out, ab_slice(partial->signature, AB_SIGNATURE_LEN));
    if (manifest->version != 0) ab_write_uint(out, partial->patch);
    else if (has_patch) write_version_0_patch(out, partial, partials, count);
  }
  ab_write_uint(out, merged.count);
  ab_write_bytes(out, ab_buf_slice(&merged.bytes));

  if (merged.bytes.err < 0 && out->err == 0) out->err = merged.bytes.err;
  ab_buf_destroy(&merged.bytes);
}

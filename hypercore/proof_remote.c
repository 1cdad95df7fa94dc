/* proof_remote.c: proofs that are verified without any local state: discovery key ‖ data message. */
#include "hypercore/proof_verify.h"

#include "hypercore/crypto.h"

/* Only the first signer counts, and patches do not. */
static bool
is_signed_by_first (
  const ab_manifest_t *manifest, const ab_key_t *key, const ab_tree_t *tree, ab_slice_t signature
) {
  ab_verifier_t verifier = {.manifest = manifest, .key = key};
  uint8_t hash[32], signable[AB_SIGNABLE_MAX];

  if (manifest->signer_count == 0 || signature.data == NULL) return false;
  if (manifest->version >= 1) {
    if (signature.len < 2 + AB_SIGNATURE_LEN || signature.data[0] != 1 || signature.data[1] != 0)
      return false;
    signature = ab_slice(signature.data + 2, AB_SIGNATURE_LEN);
  }
  ab_tree_hash(tree, hash);
  size_t len = ab_signable(&verifier, 0, hash, tree->length, tree->fork, signable);
  return ab_verify(signature, ab_slice(signable, len), manifest->signers[0].public_key);
}

int
ab_remote_proof_verify (
  ab_slice_t bytes,
  const ab_key_t *key,
  const ab_manifest_t *manifest,
  ab_arena_t *arena,
  ab_remote_proof_t *out
) {
  ab_key_t discovery_key, named;
  ab_node_list_t nodes;
  ab_tree_t tree = {0};
  ab_proof_t proof;
  ab_node_t root;
  bool has_root, used_root;
  int err;

  ab_reader_t in = ab_reader(bytes);
  ab_read_key(&in, &named);
  ab_slice_t message = ab_read_bytes(&in, ab_reader_left(&in));
  if (in.err < 0) return in.err;
  ab_discovery_key(&discovery_key, key);
  if (!ab_key_equal(&named, &discovery_key)) return AB_ENOTFOUND;

  if ((err = ab_proof_decode(message, arena, &proof)) < 0) return err;
  if (!proof.has_upgrade) return AB_EPROOF;
  if ((err = ab__proof_check_lists(&proof)) < 0) return err;
  if ((err = ab__proof_node_list(&proof, arena, &nodes)) < 0) return err;
  if ((err = ab__proof_tree_part(&proof, &nodes, &has_root, &root)) < 0) return err;
  err =
    ab__proof_upgrade_part(&proof, has_root ? &root : NULL, manifest, key, &tree, &nodes, &used_root, NULL);
  if (err < 0) return err;
  if (!used_root) return AB_EPROOF;
  if (!is_signed_by_first(manifest, key, &tree, proof.upgrade.signature)) return AB_ESIGNATURE;

  *out = (ab_remote_proof_t){.length = tree.length};
  if (proof.has_block && proof.block.value.data != NULL) {
    out->has_block = true;
    out->block_index = proof.block.index;
    out->block = proof.block.value;
  }
  return 0;
}

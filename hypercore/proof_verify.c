/* proof_verify.c: what a proof proves to a reader. */
#include "hypercore/proof_verify.h"

#include <assert.h>

/* Nodes are taken in the order of the proof; the root of the tree part stands in for the one it is, once. */
typedef struct {
  const ab_node_t *at;
  size_t left;
  const ab_node_t *extra; /* NULL: none, or handed out */
} queue_t;

static bool
is_used_up (const queue_t *queue) {
  return queue->left == 0 && queue->extra == NULL;
}

static const ab_node_t *
take (queue_t *queue, uint64_t index) {
  if (queue->extra != NULL && queue->extra->index == index) {
    const ab_node_t *extra = queue->extra;
    queue->extra = NULL;
    return extra;
  }
  if (queue->left == 0 || queue->at->index != index) return NULL;
  queue->left--;
  return queue->at++;
}

/* ---- limits ---- */

int
ab__proof_check_lists (const ab_proof_t *proof) {
  if (proof->has_block && proof->block.nodes.count > AB_PROOF_NODES_MAX) return AB_EPROOF;
  if (proof->has_hash && proof->hash.nodes.count > AB_PROOF_NODES_MAX) return AB_EPROOF;
  if (proof->has_seek && proof->seek.nodes.count > AB_PROOF_NODES_MAX) return AB_EPROOF;
  if (proof->has_upgrade && proof->upgrade.nodes.count > AB_PROOF_NODES_MAX) return AB_EPROOF;
  if (proof->has_upgrade && proof->upgrade.additional.count > AB_PROOF_NODES_MAX) return AB_EPROOF;
  return 0;
}

int
ab__proof_node_list (const ab_proof_t *proof, ab_arena_t *arena, ab_node_list_t *out) {
  size_t count = 1;
  if (proof->has_block) count += proof->block.nodes.count;
  if (proof->has_hash) count += proof->hash.nodes.count;
  if (proof->has_seek) count += proof->seek.nodes.count;
  if (proof->has_upgrade) count += proof->upgrade.nodes.count + proof->upgrade.additional.count;

  *out = (ab_node_list_t){.capacity = 2 * count, .arena = arena}; /* each node and the parent it makes */
  out->nodes = ab_arena_alloc(arena, out->capacity, sizeof(*out->nodes));
  return out->nodes == NULL ? AB_ENOMEM : 0;
}

/* ---- the tree part ---- */

static int
climb (const ab_node_t *first, queue_t *queue, ab_node_list_t *nodes, ab_node_t *top) {
  ab_node_t node = *first;
  int err;

  if ((err = ab_node_list_push(nodes, &node)) < 0) return err;
  while (!is_used_up(queue)) {
    if (ab_flat_depth(node.index) >= AB_DEPTH_MAX) return AB_EOPERATION;
    const ab_node_t *sibling = take(queue, ab_flat_sibling(node.index));
    if (sibling == NULL) return AB_EOPERATION;
    if ((err = ab_node_list_push(nodes, sibling)) < 0) return err;
    if ((err = ab_node_parent(&node, sibling, &node)) < 0) return err;
    if ((err = ab_node_list_push(nodes, &node)) < 0) return err;
  }
  *top = node;
  return 0;
}

int
ab__proof_tree_part (const ab_proof_t *proof, ab_node_list_t *nodes, bool *has_root, ab_node_t *root) {
  const ab_nodes_t *seek = &proof->seek.nodes;
  bool has_seek = proof->has_seek && seek->count > 0;
  ab_node_t seek_root, leaf;
  int err;

  *has_root = has_seek || proof->has_block || proof->has_hash;
  if (has_seek) {
    queue_t queue = {seek->nodes + 1, seek->count - 1, NULL};
    if ((err = climb(&seek->nodes[0], &queue, nodes, &seek_root)) < 0) return err;
    *root = seek_root;
  }
  if (!proof->has_block && !proof->has_hash) return 0;

  const ab_nodes_t *list = proof->has_block ? &proof->block.nodes : &proof->hash.nodes;
  uint64_t index = proof->hash.index;
  if (proof->has_block) {
    if (proof->block.index > AB_MAX_SAFE) return AB_ECORRUPT;
    index = 2 * proof->block.index;
  }
  queue_t queue = {list->nodes, list->count, has_seek ? &seek_root : NULL};
  const ab_node_t *first = &leaf;
  if (proof->has_block && proof->block.value.data != NULL) {
    ab_node_leaf(proof->block.index, proof->block.value, &leaf);
  } else {
    first = take(&queue, index);
    if (first == NULL) return AB_EOPERATION;
  }
  return climb(first, &queue, nodes, root);
}

/* ---- the upgrade part ---- */

/* Append the next nodes until the last root is `target`, which the tree has begun but not completed. */
static int
complete_root (ab_tree_t *tree, uint64_t target, queue_t *queue, ab_node_list_t *nodes) {
  uint64_t last = tree->roots[tree->root_count - 1].index;
  while (last != target) {
    const ab_node_t *node = take(queue, ab_flat_sibling(last));
    if (node == NULL) return AB_EOPERATION;
    int err = ab_tree_append(tree, node, nodes);
    if (err < 0) return err;
    last = tree->roots[tree->root_count - 1].index;
  }
  return 0;
}

static int
grow_to (ab_tree_t *tree, uint64_t length, queue_t *queue, ab_node_list_t *nodes) {
  uint64_t roots[AB_ROOTS_MAX];
  size_t count = ab_flat_roots(length, roots), known = 0;
  bool may_complete = tree->root_count > 0;
  int err;

  for (size_t i = 0; i < count; i++) {
    if (known < tree->root_count && tree->roots[known].index == roots[i]) {
      known++;
      continue;
    }
    bool begun = may_complete && known < tree->root_count;
    may_complete = false;
    if (begun) {
      if ((err = complete_root(tree, roots[i], queue, nodes)) < 0) return err;
      continue;
    }
    const ab_node_t *node = take(queue, roots[i]);
    if (node == NULL) return AB_EOPERATION;
    if ((err = ab_tree_append(tree, node, nodes)) < 0) return err;
  }
  return 0;
}

/* The rest of the producer's tree: first what completes our last root, then the largest nodes that fit. */
static int
append_additional (ab_tree_t *tree, const ab_nodes_t *list, ab_node_list_t *nodes) {
  size_t i = 0;
  int err;

  while (i < list->count && list->nodes[i].index == ab_flat_sibling(tree->roots[tree->root_count - 1].index)
  ) {
    if ((err = ab_tree_append(tree, &list->nodes[i++], nodes)) < 0) return err;
  }
  uint64_t next = ab_flat_sibling(tree->roots[tree->root_count - 1].index);
  for (; i < list->count; i++) {
    while (list->nodes[i].index != next) {
      if (ab_flat_is_leaf(next)) return AB_EOPERATION;
      next = ab_flat_left(next);
    }
    if ((err = ab_tree_append(tree, &list->nodes[i], nodes)) < 0) return err;
    next = ab_flat_sibling(tree->roots[tree->root_count - 1].index);
  }
  return 0;
}

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
) {
  uint64_t start = proof->upgrade.start, length = proof->upgrade.length;
  uint64_t prologue = manifest == NULL ? 0 : ab_manifest_prologue(manifest, key);
  int err;

  if (start < prologue && (start != 0 || length < prologue)) return AB_EPROOF;
  if (start > AB_LENGTH_MAX || length > AB_LENGTH_MAX - start) return AB_EOPERATION;

  queue_t queue = {proof->upgrade.nodes.nodes, proof->upgrade.nodes.count, root};
  if ((err = grow_to(tree, start + length, &queue, nodes)) < 0) return err;
  if (prologue > 0 && tree->length == prologue) {
    uint8_t hash[32];
    ab_tree_hash(tree, hash);
    if (memcmp(hash, manifest->prologue_hash, sizeof(hash)) != 0) return AB_EPROOF;
  }
  if (tree->root_count == 0) return AB_ECORRUPT;
  if (stated != NULL) {
    stated->length = tree->length;
    ab_tree_hash(tree, stated->tree_hash);
  }
  if ((err = append_additional(tree, &proof->upgrade.additional, nodes)) < 0) return err;
  tree->fork = proof->fork;
  *used_root = queue.extra == NULL;
  return 0;
}

/* ---- manifest and signature ---- */

/* The manifest for a core of which only the key is known, once it has to be known. */
static int
learn_manifest (
  const ab_reader_state_t *own, const ab_proof_t *proof, ab_arena_t *arena, const ab_manifest_t **out
) {
  const ab_manifest_t *given = proof->manifest;
  if (given != NULL && !ab_manifest_is_compat(given, own->key)) {
    ab_key_t key;
    int err = ab_manifest_key(given, &key);
    if (err < 0) return err;
    if (!ab_key_equal(&key, own->key)) return AB_ESIGNATURE;
    *out = given;
    return ab_manifest_check(given) < 0 ? AB_ECORRUPT : 0;
  }
  if (given != NULL && ab_manifest_check(given) < 0) return AB_ECORRUPT;

  /* A compat core: the key is the signer, whatever else a manifest says. */
  ab_manifest_t *manifest = ab_arena_alloc(arena, 1, sizeof(*manifest));
  ab_signer_t *signer = ab_arena_alloc(arena, 1, sizeof(*signer));
  if (manifest == NULL || signer == NULL) return AB_ENOMEM;
  ab_manifest_default(own->key->bytes, signer, manifest);
  *out = manifest;
  return 0;
}

int
ab__proof_check_signature (
  const ab_reader_state_t *own,
  const ab_proof_t *proof,
  const ab_tree_t *tree,
  ab_arena_t *arena,
  const ab_manifest_t **learnt
) {
  const ab_manifest_t *manifest = own->manifest;
  *learnt = NULL;
  if (manifest == NULL) {
    int err = learn_manifest(own, proof, arena, &manifest);
    if (err < 0) return err;
    *learnt = manifest;
  }
  ab_verifier_t verifier = {.manifest = manifest, .key = own->key, .legacy = own->legacy};
  return ab_tree_verify(&verifier, tree, proof->upgrade.signature, arena);
}

/* A manifest that comes without an upgrade has to be the one of the key. */
static int
check_lone_manifest (const ab_reader_state_t *own, const ab_manifest_t *manifest) {
  ab_key_t key;
  int err = ab_manifest_key(manifest, &key);
  if (err < 0) return err;
  if (!ab_key_equal(&key, own->key)) return AB_ECHECKSUM;
  return ab_manifest_check(manifest) < 0 ? AB_ECORRUPT : 0;
}

/* ---- the whole ---- */

/* The top of the tree part has to be a node the reader trusts. */
static int
check_root (const ab_reader_state_t *own, const ab_node_t *root) {
  const ab_node_t *known = NULL;
  ab_node_t stored;
  if (root->index > AB_MAX_SAFE) return AB_ECORRUPT; /* the leaf of a block that no core can have */
  for (size_t i = 0; i < own->tree->root_count; i++) {
    if (own->tree->roots[i].index == root->index) known = &own->tree->roots[i];
  }
  if (known == NULL) {
    int err = own->source->get(own->source->data, root->index, &stored);
    if (err == AB_ENOTFOUND) return AB_EOPERATION;
    if (err < 0) return err;
    known = &stored;
  }
  return memcmp(known->hash, root->hash, AB_HASH_LEN) == 0 ? 0 : AB_ECHECKSUM;
}

int
ab_proof_verify (
  const ab_reader_state_t *own, const ab_proof_t *proof, ab_arena_t *arena, ab_proof_result_t *result
) {
  bool has_root, used_root = false;
  ab_node_t root;
  int err;

  *result = (ab_proof_result_t){.tree = *own->tree};
  if (proof->fork != own->tree->fork) {
    result->outcome = AB_PROOF_IGNORED;
    return 0;
  }
  if ((err = ab__proof_check_lists(proof)) < 0) return err;
  if ((err = ab__proof_node_list(proof, arena, &result->nodes)) < 0) return err;
  if ((err = ab__proof_tree_part(proof, &result->nodes, &has_root, &root)) < 0) return err;
  if (proof->has_upgrade) {
    err = ab__proof_upgrade_part(
      proof, has_root ? &root : NULL, own->manifest, own->key, &result->tree, &result->nodes, &used_root, NULL
    );
    if (err < 0) return err;
  }
  if (has_root && !used_root && (err = check_root(own, &root)) < 0) return err;

  result->grew = result->tree.length > own->tree->length;
  if (result->grew) {
    err = ab__proof_check_signature(own, proof, &result->tree, arena, &result->manifest);
    if (err < 0) return err;
    result->signature = proof->upgrade.signature;
  } else if (own->manifest == NULL && proof->manifest != NULL) {
    if ((err = check_lone_manifest(own, proof->manifest)) < 0) return err;
    result->manifest = proof->manifest;
  }
  if (proof->has_block && proof->block.value.data != NULL) {
    result->has_block = true;
    result->block_index = proof->block.index;
    result->block = proof->block.value;
  }
  return 0;
}

int
ab_proof_conflicts (
  const ab_reader_state_t *own, const ab_proof_t *proof, ab_arena_t *arena, bool *conflict
) {
  ab_tree_t tree = {0}, ours;
  const ab_manifest_t *learnt;
  ab_node_list_t nodes;
  ab__stated_t stated = {0};
  ab_node_t root;
  bool has_root, used_root;
  uint8_t hash[32];
  int err;

  *conflict = false;
  if (own->manifest == NULL || !proof->has_upgrade || proof->upgrade.start != 0) return 0;
  if (proof->fork != own->tree->fork || proof->upgrade.length > own->tree->length) return 0;
  if (ab__proof_check_lists(proof) < 0) return 0;
  if ((err = ab__proof_node_list(proof, arena, &nodes)) < 0) return err;
  err = ab__proof_tree_part(proof, &nodes, &has_root, &root);
  if (err == 0) {
    err = ab__proof_upgrade_part(
      proof, has_root ? &root : NULL, own->manifest, own->key, &tree, &nodes, &used_root, &stated
    );
  }
  if (err == 0) err = ab__proof_check_signature(own, proof, &tree, arena, &learnt);
  if (err < 0) return ab_proof_is_invalid(err) ? 0 : err;

  err = ab_tree_load(&ours, own->tree->fork, stated.length, own->source);
  if (err < 0) return err == AB_ENOTFOUND ? 0 : err; /* roots of that length are not stored */
  ab_tree_hash(&ours, hash);
  *conflict = memcmp(hash, stated.tree_hash, sizeof(hash)) != 0;
  return 0;
}

#include "memory_core.h"

#include <stdio.h>
#include <stdlib.h>

#include "hypercore/crypto.h"

static void *
need (void *data) {
  if (data != NULL) return data;
  fprintf(stderr, "out of memory\n");
  exit(1);
}

void
memory_core_init_writer (memory_core_t *core, uint8_t seed, uint64_t version) {
  uint8_t bytes[32];
  *core = (memory_core_t){0};
  ab_key_pair_t *pair = need(ab_arena_alloc(&core->arena, 1, sizeof(*pair)));
  ab_signer_t *signer = need(ab_arena_alloc(&core->arena, 1, sizeof(*signer)));
  ab_manifest_t *manifest = need(ab_arena_alloc(&core->arena, 1, sizeof(*manifest)));
  memset(bytes, seed, sizeof(bytes));
  ab_key_pair_from_seed(pair, bytes);
  ab_manifest_default(pair->public_key, signer, manifest);
  manifest->version = version;
  if (ab_manifest_key(manifest, &core->key) < 0) need(NULL);
  core->pair = pair;
  core->manifest = manifest;
}

void
memory_core_init_reader (memory_core_t *core, const memory_core_t *writer) {
  *core = (memory_core_t){.key = writer->key};
}

void
memory_core_destroy (memory_core_t *core) {
  free(core->nodes);
  free(core->blocks);
  ab_buf_destroy(&core->signature);
  ab_arena_destroy(&core->arena);
  *core = (memory_core_t){0};
}

/* ---- nodes ---- */

/* The place of the first node whose index is not below `index`. */
static size_t
find_node (const memory_core_t *core, uint64_t index) {
  size_t low = 0, high = core->node_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (core->nodes[middle].index < index) low = middle + 1;
    else high = middle;
  }
  return low;
}

static int
get_node (void *data, uint64_t index, ab_node_t *out) {
  const memory_core_t *core = data;
  size_t at = find_node(core, index);
  if (at == core->node_count || core->nodes[at].index != index) return AB_ENOTFOUND;
  *out = core->nodes[at];
  return 0;
}

ab_node_source_t
memory_core_source (memory_core_t *core) {
  ab_node_source_t source = {get_node, core};
  return source;
}

void
memory_core_put_node (memory_core_t *core, const ab_node_t *node) {
  size_t at = find_node(core, node->index);
  if (at == core->node_count || core->nodes[at].index != node->index) {
    if (core->node_count == core->node_capacity) {
      core->node_capacity = core->node_capacity == 0 ? 64 : 2 * core->node_capacity;
      core->nodes = need(realloc(core->nodes, core->node_capacity * sizeof(*core->nodes)));
    }
    memmove(&core->nodes[at + 1], &core->nodes[at], (core->node_count - at) * sizeof(*core->nodes));
    core->node_count++;
  }
  core->nodes[at] = *node;
}

void
memory_core_drop_node (memory_core_t *core, uint64_t index) {
  size_t at = find_node(core, index);
  if (at == core->node_count || core->nodes[at].index != index) return;
  core->node_count--;
  memmove(&core->nodes[at], &core->nodes[at + 1], (core->node_count - at) * sizeof(*core->nodes));
}

/* ---- blocks ---- */

void
memory_core_put_block (memory_core_t *core, uint64_t index, ab_slice_t block) {
  if (index >= core->block_capacity) {
    size_t capacity = core->block_capacity == 0 ? 64 : core->block_capacity;
    while (capacity <= index) capacity *= 2;
    core->blocks = need(realloc(core->blocks, capacity * sizeof(*core->blocks)));
    memset(core->blocks + core->block_capacity, 0, (capacity - core->block_capacity) * sizeof(*core->blocks));
    core->block_capacity = capacity;
  }
  if (ab_arena_copy(&core->arena, block, &core->blocks[index]) < 0) need(NULL);
}

bool
memory_core_has_block (const memory_core_t *core, uint64_t index) {
  return index < core->block_capacity && core->blocks[index].data != NULL;
}

uint64_t
memory_core_contiguous (const memory_core_t *core) {
  uint64_t length = 0;
  while (memory_core_has_block(core, length)) length++;
  return length;
}

/* ---- writing ---- */

void
memory_core_set_signature (memory_core_t *core, ab_slice_t signature) {
  ab_buf_reset(&core->signature);
  (void) ab_buf_extend(&core->signature, 0); /* present, though it may be empty */
  ab_buf_append(&core->signature, signature);
  core->has_signature = signature.data != NULL;
}

void
memory_core_sign (memory_core_t *core) {
  ab_verifier_t verifier = {.manifest = core->manifest, .key = &core->key, .legacy = core->legacy};
  uint8_t signature[AB_SIGNATURE_MAX];
  size_t len;
  core->has_signature = false;
  if (core->pair == NULL || ab_tree_sign(&verifier, &core->tree, core->pair, signature, &len) < 0) return;
  memory_core_set_signature(core, ab_slice(signature, len));
}

int
memory_core_append (memory_core_t *core, ab_slice_t block) {
  ab_node_t added[AB_TREE_APPEND_MAX];
  ab_node_list_t list = {.nodes = added, .capacity = AB_TREE_APPEND_MAX};
  uint64_t index = core->tree.length;
  int err = ab_tree_append_block(&core->tree, block, &list);
  if (err < 0) return err;
  for (size_t i = 0; i < list.count; i++) memory_core_put_node(core, &added[i]);
  memory_core_put_block(core, index, block);
  memory_core_sign(core);
  return 0;
}

void
memory_core_fill (memory_core_t *core, size_t count) {
  char text[32];
  for (size_t i = 0; i < count; i++) {
    uint64_t index = core->tree.length;
    int len =
      snprintf(text, sizeof(text), "%.*s%llu", (int) (index % 5), "block", (unsigned long long) index);
    if (memory_core_append(core, ab_slice(text, index % 7 == 3 ? 0 : (size_t) len)) < 0) need(NULL);
  }
}

static void
drop_from (memory_core_t *core, uint64_t length) {
  size_t kept = 0;
  for (size_t i = 0; i < core->node_count; i++) {
    if (ab_flat_rspan(core->nodes[i].index) < 2 * length) core->nodes[kept++] = core->nodes[i];
  }
  core->node_count = kept;
  for (uint64_t i = length; i < core->block_capacity; i++) core->blocks[i] = ab_slice(NULL, 0);
}

int
memory_core_truncate (memory_core_t *core, uint64_t length, uint64_t fork) {
  ab_node_source_t source = memory_core_source(core);
  ab_tree_t tree;
  int err = ab_tree_load(&tree, fork, length, &source);
  if (err < 0) return err;
  drop_from(core, length);
  core->tree = tree;
  memory_core_sign(core);
  return 0;
}

/* ---- proofs ---- */

int
memory_core_prove (memory_core_t *core, const ab_request_t *request, ab_arena_t *arena, ab_proof_t *proof) {
  ab_node_source_t source = memory_core_source(core);
  bool compat = core->manifest != NULL && ab_manifest_is_compat(core->manifest, &core->key);
  uint64_t prologue = core->manifest == NULL ? 0 : ab_manifest_prologue(core->manifest, &core->key);
  int err = ab_proof_produce(request, &core->tree, prologue, &source, arena, proof);
  if (err < 0) return err;
  if (proof->has_block && memory_core_has_block(core, proof->block.index)) {
    proof->block.value = core->blocks[proof->block.index];
  }
  if (proof->has_upgrade && core->has_signature) proof->upgrade.signature = ab_buf_slice(&core->signature);
  if (request->wants_manifest && !compat) proof->manifest = core->manifest;
  return 0;
}

int
memory_core_apply (memory_core_t *core, const ab_proof_t *proof, ab_proof_outcome_t *outcome) {
  ab_node_source_t source = memory_core_source(core);
  ab_reader_state_t own = {
    .tree = &core->tree,
    .key = &core->key,
    .manifest = core->manifest,
    .source = &source,
    .legacy = core->legacy};
  ab_arena_t arena = {0};
  ab_proof_result_t result;
  int err = ab_proof_verify(&own, proof, &arena, &result);
  if (err == 0) *outcome = result.outcome;
  if (err == 0 && result.outcome == AB_PROOF_APPLIED) {
    for (size_t i = 0; i < result.nodes.count; i++) memory_core_put_node(core, &result.nodes.nodes[i]);
    if (result.has_block) memory_core_put_block(core, result.block_index, result.block);
    if (result.grew) {
      core->tree = result.tree;
      memory_core_set_signature(core, result.signature);
    }
    if (result.manifest != NULL) {
      ab_manifest_t *manifest = need(ab_arena_alloc(&core->arena, 1, sizeof(*manifest)));
      if (ab_manifest_copy(result.manifest, &core->arena, manifest) < 0) need(NULL);
      core->manifest = manifest;
    }
  }
  ab_arena_destroy(&arena);
  return err;
}

void
memory_core_reorg (memory_core_t *core, const ab_reorg_t *reorg) {
  drop_from(core, reorg->ancestors);
  for (size_t i = 0; i < reorg->nodes.count; i++) memory_core_put_node(core, &reorg->nodes.nodes[i]);
  core->tree = reorg->tree;
  memory_core_set_signature(core, reorg->signature);
}

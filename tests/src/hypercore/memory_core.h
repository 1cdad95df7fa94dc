/* memory_core.h: a core in memory, made of the pure parts alone: a source and a reader for tests. */
#ifndef MEMORY_CORE_H
#define MEMORY_CORE_H

#include "hypercore/proof.h"
#include "hypercore/reorg.h"
#include "hypercore/verify.h"

typedef struct {
  ab_key_t key;
  const ab_manifest_t *manifest; /* NULL: not known */
  bool legacy;
  const ab_key_pair_t *pair; /* NULL: heads are not signed */
  ab_tree_t tree;
  bool has_signature;
  ab_buf_t signature;

  ab_node_t *nodes; /* by ascending index */
  size_t node_count, node_capacity;
  ab_slice_t *blocks; /* data NULL: not here */
  size_t block_capacity;
  ab_arena_t arena; /* blocks, manifest, key pair */
} memory_core_t;

/* All of them end the process when out of memory. */
/** An empty core of a key pair (made from `seed`, repeated) and a manifest version, which signs. */
void
memory_core_init_writer (memory_core_t *core, uint8_t seed, uint64_t version);
/** An empty core that knows the key of `writer` and nothing else. */
void
memory_core_init_reader (memory_core_t *core, const memory_core_t *writer);
void
memory_core_destroy (memory_core_t *core);

/** A node source over the core's nodes. */
ab_node_source_t
memory_core_source (memory_core_t *core);

/** Append `count` blocks of different lengths, some empty, none alike. */
void
memory_core_fill (memory_core_t *core, size_t count);
/** Append and sign. Returns what growing the tree says. */
int
memory_core_append (memory_core_t *core, ab_slice_t block);
void
memory_core_sign (memory_core_t *core);
/** Cut, raise the fork to `fork` and sign. */
int
memory_core_truncate (memory_core_t *core, uint64_t length, uint64_t fork);

void
memory_core_put_node (memory_core_t *core, const ab_node_t *node);
void
memory_core_drop_node (memory_core_t *core, uint64_t index);
void
memory_core_put_block (memory_core_t *core, uint64_t index, ab_slice_t block);
bool
memory_core_has_block (const memory_core_t *core, uint64_t index);
void
memory_core_set_signature (memory_core_t *core, ab_slice_t signature);

/** Produce, with value, signature and manifest filled in. */
int
memory_core_prove (memory_core_t *core, const ab_request_t *request, ab_arena_t *arena, ab_proof_t *proof);

/** Verify and commit. */
int
memory_core_apply (memory_core_t *core, const ab_proof_t *proof, ab_proof_outcome_t *outcome);

/** Commit a finished reorg. */
void
memory_core_reorg (memory_core_t *core, const ab_reorg_t *reorg);

uint64_t
memory_core_contiguous (const memory_core_t *core);

#endif

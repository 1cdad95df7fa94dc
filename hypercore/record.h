/* record.h: what the store keeps about a core beside its blocks and nodes. Private to hypercore/.
 *
 *   HEADS   uint fork | uint length | uint byte length | uint contiguous length | uint changed (ms) |
 *           tree hash 32 | buffer signature
 *   CORES   key 32 | uint flags (1 manifest, 2 group, 4 name) | buffer manifest, in its record form |
 *           group 32 | namespace 32, buffer name
 *   NODES   all stored nodes that end with one block: uint mask of their depths |
 *           for each, lowest first: uint size, hash 32
 *
 * What comes out of the file is decoded as if it were hostile.
 */
#ifndef AB_RECORD_H
#define AB_RECORD_H

#include "hypercore/ab.h"
#include "hypercore/buf.h"
#include "hypercore/manifest.h"
#include "hypercore/tree.h"

typedef struct {
  uint64_t fork;
  uint64_t length;
  uint64_t byte_length;
  uint64_t contiguous;
  uint64_t changed_ms; /* when fork or length last changed; 0: never */
  uint8_t tree_hash[32];
  ab_slice_t signature; /* empty: none; borrowed */
} ab__head_record_t;

void
ab__head_record_encode (ab_buf_t *out, const ab__head_record_t *head);
/** Returns 0 or AB_ECORRUPT. */
int
ab__head_record_decode (ab_slice_t bytes, ab__head_record_t *head);

typedef struct {
  ab_key_t key;
  const ab_manifest_t *manifest; /* NULL: unknown */
  bool has_group;
  ab_key_t group;
  ab_key_t ns;     /* with a name */
  ab_slice_t name; /* empty: none; borrowed */
} ab__core_record_t;

/** Errors stick in `out`. */
void
ab__core_record_encode (ab_buf_t *out, const ab__core_record_t *record);
/** The manifest is put into the arena. Returns 0, AB_ECORRUPT or AB_ENOMEM. */
int
ab__core_record_decode (ab_slice_t bytes, ab_arena_t *arena, ab__core_record_t *record);

/** The nodes of one block's record: of ascending depth, all with the same rightmost block. Errors stick in
 * `out`. */
void
ab__nodes_record_encode (ab_buf_t *out, const ab_node_t *nodes, size_t count);
/** Encode what an older record has as well. The new ones win. Errors stick, AB_ECORRUPT if the old one is
 * damaged. */
void
ab__nodes_record_merge (ab_buf_t *out, ab_slice_t old, const ab_node_t *nodes, size_t count);
/** Find one node. Returns 0, AB_ENOTFOUND or AB_ECORRUPT. */
int
ab__nodes_record_find (ab_slice_t record, uint64_t index, ab_node_t *node);

#endif

/* proof_produce.c: which nodes answer a request.
 *
 * All lists are first made of indexes alone; then every listed node is read, and one that is not stored makes
 * the whole proof fail.
 */
#include "hypercore/proof.h"

#include <assert.h>

typedef struct {
  bool present;
  size_t count;
  uint64_t items[AB_PROOF_NODES_MAX];
} indexes_t;

typedef struct {
  const ab_request_t *request;
  const ab_tree_t *tree;
  const ab_node_source_t *source;

  uint64_t start, end; /* of the upgrade, or of the whole core */

  bool has_node; /* a block's leaf or a hash's node is asked for, ... */
  bool is_hash;
  uint64_t node;
  uint64_t climb; /* ... up to this many parents above it */

  bool has_target; /* where the part inside the upgrade wants to go */
  uint64_t target;

  indexes_t node_part, seek_part, upgrade, additional;
} producer_t;

static int
push (indexes_t *list, uint64_t index) {
  if (list->count == AB_PROOF_NODES_MAX) return AB_EOPERATION;
  list->items[list->count++] = index;
  return 0;
}

/* A node that the request leads to; one that is not stored means that this peer cannot answer. */
static int
get_stored (const producer_t *p, uint64_t index, ab_node_t *out) {
  int err = p->source->get(p->source->data, index, out);
  assert(err < 0 || out->index == index);
  return err == AB_ENOTFOUND ? AB_EOPERATION : err;
}

/* ---- seeking ---- */

/* The node at which a seek `bytes` into node `at` ends: the leaf, or the last one that is known here. */
static int
descend (const producer_t *p, uint64_t at, int64_t bytes, uint64_t *found) {
  while (bytes != 0 && !ab_flat_is_leaf(at)) {
    ab_node_t left;
    int err = p->source->get(p->source->data, ab_flat_left(at), &left);
    if (err == AB_ENOTFOUND) break;
    if (err < 0) return err;
    int64_t size = ab_node_padded_size(&left, p->request->seek.padding);
    if (size == bytes) {
      at = ab_flat_left(at);
      break;
    }
    if (size > bytes) at = ab_flat_left(at);
    else {
      bytes -= size;
      at = ab_flat_right(at);
    }
  }
  *found = at;
  return 0;
}

static int
seek_below (const producer_t *p, uint64_t top, uint64_t *found) {
  uint64_t padding = p->request->seek.padding, offset;
  uint64_t first = ab_flat_lspan(top) / 2;
  int64_t bytes = (int64_t) p->request->seek.bytes;
  ab_node_t node;
  int err;

  if (first > p->tree->length) return AB_EOPERATION;
  err = ab_tree_byte_offset(p->tree, p->source, first, &offset);
  if (err == AB_EREMOTE) return AB_EOPERATION;
  if (err < 0) return err;

  int64_t padded = ab_padded_size(offset, first, padding);
  if (padded > bytes) return AB_EOPERATION;
  if (padded == bytes) {
    *found = top;
    return 0;
  }
  if ((err = get_stored(p, top, &node)) < 0) return err;
  if (ab_node_padded_size(&node, padding) <= bytes - padded) return AB_EOPERATION;
  return descend(p, top, bytes - padded, found);
}

static int
seek_from_roots (const producer_t *p, uint64_t *found) {
  uint64_t roots[AB_ROOTS_MAX];
  size_t count = ab_flat_roots(p->end, roots);
  int64_t bytes = (int64_t) p->request->seek.bytes;
  for (size_t i = 0; i < count; i++) {
    ab_node_t root;
    int err = get_stored(p, roots[i], &root);
    if (err < 0) return err;
    int64_t size = ab_node_padded_size(&root, p->request->seek.padding);
    if (bytes == size) {
      *found = roots[i];
      return 0;
    }
    if (bytes < size) return descend(p, roots[i], bytes, found);
    bytes -= size;
  }
  *found = 2 * p->end; /* past the end: no node contains it, so no part is produced */
  return 0;
}

/* ---- parts ---- */

static int
put_seek_part (producer_t *p, uint64_t target, uint64_t top) {
  int err;
  p->seek_part.present = true;
  if ((err = push(&p->seek_part, target)) < 0) return err;
  for (uint64_t i = target; i != top; i = ab_flat_parent(i)) {
    if (ab_flat_depth(i) >= AB_DEPTH_MAX) return AB_EOPERATION;
    if ((err = push(&p->seek_part, ab_flat_sibling(i))) < 0) return err;
  }
  return 0;
}

/* The way from the node (or, without one, the seek target) up to `top`. */
static int
put_node_part (producer_t *p, uint64_t target, uint64_t top) {
  int err;
  if (!p->has_node) return put_seek_part(p, target, top);
  p->node_part.present = true;
  if (p->is_hash && (err = push(&p->node_part, p->node)) < 0) return err;
  for (uint64_t i = p->node; i != top; i = ab_flat_parent(i)) {
    if (ab_flat_depth(i) >= AB_DEPTH_MAX) return AB_EOPERATION; /* `top` is not above the node */
    uint64_t sibling = ab_flat_sibling(i);
    bool leads_to_target = p->request->has_seek && sibling != target && ab_flat_contains(sibling, target);
    err = leads_to_target ? put_seek_part(p, target, sibling) : push(&p->node_part, sibling);
    if (err < 0) return err;
  }
  return 0;
}

/* One node of the upgrade, unless the other parts stand in for it. */
static int
put_upgrade (producer_t *p, uint64_t index) {
  bool open = p->has_target && !p->node_part.present && !p->seek_part.present;
  if (open && ab_flat_contains(index, p->target)) return put_node_part(p, p->target, index);
  return push(&p->upgrade, index);
}

/* The node lies below what the reader has already: climb as far as it asks. */
static int
put_known_node (producer_t *p) {
  uint64_t top = p->node, target = 0;
  int err;

  if (p->climb > AB_DEPTH_MAX) return AB_EOPERATION;
  for (uint64_t n = 0; n < p->climb; n++) {
    if (ab_flat_depth(top) >= AB_DEPTH_MAX) return AB_EOPERATION;
    top = ab_flat_parent(top);
    if (ab_flat_contains(top, 2 * p->end)) return AB_EOPERATION;
  }
  if (p->request->has_seek && (err = seek_below(p, top, &target)) < 0) return err;
  return put_node_part(p, target, top);
}

static int
put_upgrade_parts (producer_t *p) {
  uint64_t indexes[AB_UPGRADE_NODES_MAX];
  int err;

  p->upgrade.present = true;
  size_t count = ab_upgrade_nodes(p->start, p->end, indexes);
  for (size_t i = 0; i < count; i++) {
    if ((err = put_upgrade(p, indexes[i])) < 0) return err;
  }
  count = ab_upgrade_nodes(p->end, p->tree->length, indexes);
  for (size_t i = 0; i < count; i++) {
    if ((err = push(&p->additional, indexes[i])) < 0) return err;
  }
  return 0;
}

static int
collect (producer_t *p) {
  const ab_request_t *request = p->request;
  bool inside = false; /* the node is part of the upgrade, or reaches into it */
  int err;

  if (p->has_node) {
    uint64_t last = ab_flat_rspan(p->node) / 2;
    if (request->has_seek && request->has_upgrade && p->node >= 2 * p->start) return AB_EOPERATION;
    inside = request->has_upgrade && last >= p->start;
    if (!inside && (err = put_known_node(p)) < 0) return err;
  }
  if (request->has_upgrade) {
    if (inside || (!p->has_node && request->has_seek)) {
      p->has_target = true;
      p->target = p->node;
      if (request->has_seek && (err = seek_from_roots(p, &p->target)) < 0) return err;
    }
    if ((err = put_upgrade_parts(p)) < 0) return err;
  }
  return p->has_node && !p->node_part.present ? AB_EOPERATION : 0;
}

/* ---- the proof ---- */

static int
read_listed (const producer_t *p, const indexes_t *list, ab_arena_t *arena, ab_nodes_t *out) {
  ab_node_t *nodes = ab_arena_alloc(arena, list->count, sizeof(*nodes));
  if (nodes == NULL) return AB_ENOMEM;
  for (size_t i = 0; i < list->count; i++) {
    int err = get_stored(p, list->items[i], &nodes[i]);
    if (err < 0) return err;
  }
  out->nodes = nodes;
  out->count = list->count;
  return 0;
}

static int
fill (const producer_t *p, ab_arena_t *arena, ab_proof_t *proof) {
  const ab_request_t *request = p->request;
  int err;

  if (request->has_block) {
    proof->has_block = true;
    proof->block.index = request->block.index;
    if ((err = read_listed(p, &p->node_part, arena, &proof->block.nodes)) < 0) return err;
  } else if (request->has_hash) {
    proof->has_hash = true;
    proof->hash.index = request->hash.index;
    if ((err = read_listed(p, &p->node_part, arena, &proof->hash.nodes)) < 0) return err;
  }
  if (p->seek_part.present) {
    proof->has_seek = true;
    proof->seek.bytes = request->seek.bytes;
    if ((err = read_listed(p, &p->seek_part, arena, &proof->seek.nodes)) < 0) return err;
  }
  if (p->upgrade.present) {
    proof->has_upgrade = true;
    proof->upgrade.start = p->start;
    proof->upgrade.length = p->end - p->start;
    if ((err = read_listed(p, &p->upgrade, arena, &proof->upgrade.nodes)) < 0) return err;
    if ((err = read_listed(p, &p->additional, arena, &proof->upgrade.additional)) < 0) return err;
  }
  return 0;
}

/* Everything in a request comes from the peer: bound it before anything is computed from it. */
static bool
is_sane (const ab_request_t *request) {
  if (request->has_block && request->block.index > AB_LENGTH_MAX) return false;
  if (request->has_hash && request->hash.index > AB_MAX_SAFE) return false;
  if (request->has_hash && ab_flat_depth(request->hash.index) > AB_DEPTH_MAX) return false;
  if (request->has_seek && request->seek.bytes > AB_MAX_SAFE) return false;
  return true;
}

int
ab_proof_produce (
  const ab_request_t *request,
  const ab_tree_t *tree,
  uint64_t prologue,
  const ab_node_source_t *source,
  ab_arena_t *arena,
  ab_proof_t *proof
) {
  producer_t p = {.request = request, .tree = tree, .source = source, .end = tree->length};
  int err;

  *proof = (ab_proof_t){.id = request->id, .fork = tree->fork};
  if (tree->length == 0) return 0;
  if (!is_sane(request)) return AB_EOPERATION;
  if (request->has_upgrade) {
    bool is_prologue = request->upgrade.start < prologue;
    p.start = is_prologue ? 0 : request->upgrade.start;
    uint64_t length = is_prologue ? prologue : request->upgrade.length;
    if (length == 0 || p.start >= tree->length || length > tree->length - p.start) return AB_EOPERATION;
    p.end = p.start + length;
  }
  if (request->has_block) {
    p.has_node = true;
    p.node = 2 * request->block.index;
    p.climb = request->block.nodes;
  } else if (request->has_hash) {
    p.has_node = true;
    p.is_hash = true;
    p.node = request->hash.index;
    p.climb = request->hash.nodes;
  }
  if ((err = collect(&p)) < 0) return err;
  return fill(&p, arena, proof);
}

/* node.c: nodes in memory, and built from blocks. */
#include "bee/node.h"

#include <assert.h>
#include <stdlib.h>

#include "bee/family.h"

#define REPLAY_MAX 512 /* entries of a list, at any time: a batch never has more than 257 */
#define REPLAY_OPS_MAX 16384

/* ---- memory ---- */

static void
edits_init (bee__edits_t *edits) {
  edits->at = edits->room;
  edits->count = 0;
  edits->capacity = BEE__EDITS_INLINE;
  edits->is_wide = false;
}

static void
edits_destroy (bee__edits_t *edits) {
  if (edits->at != edits->room) free(edits->at);
  edits->at = edits->room;
}

/* `from` is left empty. */
static void
edits_move (bee__edits_t *to, bee__edits_t *from) {
  if (from->at == from->room) {
    memcpy(to->room, from->room, from->count * sizeof(*from->room));
  } else {
    to->at = from->at;
    to->capacity = from->capacity;
    from->at = from->room;
  }
  to->count = from->count;
}

size_t
bee__arrays_bytes (size_t keys, size_t children) {
  return keys * (sizeof(uint64_t) + sizeof(bee__ref_t)) + children * sizeof(bee__ref_t);
}

void
bee__node_lay_out (bee__node_t *node, void *arrays, size_t keys, size_t children) {
  node->prefixes = arrays;
  node->keys = (bee__ref_t *) (void *) (node->prefixes + keys);
  node->children = node->keys + keys;
  node->key_capacity = (uint16_t) keys;
  node->child_capacity = (uint16_t) children;
}

bee__node_t *
bee__node_create (uint32_t t, size_t key_capacity, size_t child_capacity) {
  bee__node_t *node = malloc(sizeof(*node) + bee__arrays_bytes(key_capacity, child_capacity));
  if (node == NULL) return NULL;
  memset(node, 0, offsetof(bee__node_t, key_edits));
  bee__node_lay_out(node, node + 1, key_capacity, child_capacity);
  edits_init(&node->key_edits);
  edits_init(&node->child_edits);
  node->t = t;
  return node;
}

void
bee__node_destroy (bee__node_t *node) {
  if (node == NULL) return;
  edits_destroy(&node->key_edits);
  edits_destroy(&node->child_edits);
  free(node->kids);
  free(node->arrays);
  free(node);
}

size_t
bee__node_bytes (const bee__node_t *node) {
  size_t bytes = sizeof(*node) + bee__arrays_bytes(node->key_capacity, node->child_capacity);
  bytes += node->child_capacity * sizeof(*node->kids);
  if (node->key_edits.at != node->key_edits.room) bytes += node->key_edits.capacity * sizeof(bee__edit_t);
  if (node->child_edits.at != node->child_edits.room)
    bytes += node->child_edits.capacity * sizeof(bee__edit_t);
  return bytes;
}

/* ---- links between nodes in the cache ---- */

void
bee__node_unlink (bee__node_t *node) {
  if (node->parent != NULL) {
    node->parent->kids[node->parent_at] = NULL;
    node->parent = NULL;
  }
  for (uint32_t i = 0; node->kids != NULL && i < node->child_count; i++) {
    if (node->kids[i] != NULL) node->kids[i]->parent = NULL;
    node->kids[i] = NULL;
  }
}

void
bee__node_link (bee__node_t *node, uint32_t i, bee__node_t *kid) {
  if (node->kids == NULL) node->kids = calloc(node->child_capacity, sizeof(*node->kids));
  if (node->kids == NULL) return;
  if (kid->parent != NULL) kid->parent->kids[kid->parent_at] = NULL;
  if (node->kids[i] != NULL) node->kids[i]->parent = NULL;
  node->kids[i] = kid;
  kid->parent = node;
  kid->parent_at = i;
}

/* ---- building ---- */

/* An entry of a list while its operations are replayed. Core numbers are looked up at the end, for those that
 * are still there: what is overwritten may name cores and blocks that never were. */
typedef struct {
  bee__page_t *page; /* that the operation was read from */
  uint64_t core;     /* as in that page */
  uint64_t seq;
  uint64_t offset;
  bool has_pointer;
} entry_t;

typedef struct {
  bee__family_t *family;
  bee__page_t *page;
  size_t ops;
  size_t count;
  entry_t entries[REPLAY_MAX];
} replay_t;

static int
replay_op (replay_t *list, bee__page_t *page, const bee__op_t *op) {
  entry_t entry = {
    .page = page, .core = op->core, .seq = op->seq, .offset = op->offset, .has_pointer = op->has_pointer};
  entry_t *at = &list->entries[op->index];

  if (++list->ops > REPLAY_OPS_MAX) return AB_ECORRUPT;
  switch (op->type) {
  case BEE__INSERT:
    if (op->index > list->count) break;
    if (list->count == REPLAY_MAX) return AB_ECORRUPT;
    if (op->index < list->count) memmove(at + 1, at, (list->count - op->index) * sizeof(*at));
    *at = entry;
    list->count++;
    break;
  case BEE__DEL:
    if (op->index >= list->count) break;
    list->count--;
    memmove(at, at + 1, (list->count - op->index) * sizeof(*at));
    break;
  case BEE__SET:
    if (op->index < list->count) *at = entry;
    break;
  default:
    break; /* such operations do nothing */
  }
  return 0;
}

static int
replay_cohort (replay_t *list, const bee__op_t *pointer) {
  bee__page_t *page;
  uint32_t core;
  ab_reader_t in;
  bee__op_t op;
  int err;

  if (!pointer->has_pointer) return AB_ECORRUPT;
  if ((err = bee__family_resolve(list->family, list->page, pointer->core, &core)) < 0) return err;
  if ((err = bee__family_page(list->family, core, pointer->seq, &page)) < 0) return err;
  if ((err = bee__block_item(&page->block, BEE__COHORTS, pointer->offset, &in)) < 0) return err;
  size_t count = ab_read_count(&in, 1);
  for (size_t i = 0; i < count; i++) {
    bee__read_op(&in, &op);
    if ((err = replay_op(list, page, &op)) < 0) return err;
  }
  return in.err;
}

static int
keep_edit (bee__edits_t *edits, const bee__op_t *op) {
  if (op->core >= BEE__NO_CORE) return AB_ECORRUPT; /* no table has so many */
  if (edits->count++ >= BEE__EDITS_MAX) return 0;
  int err = bee__edits_reserve(edits, 0);
  if (err < 0) return err;
  edits->at[edits->count - 1] = (bee__edit_t){
    .type = op->type,
    .index = op->index,
    .pointer = op->has_pointer ? BEE__POINTER_STORED : BEE__POINTER_NONE,
    .core = (uint32_t) op->core,
    .seq = op->seq,
    .offset = op->offset,
  };
  return 0;
}

static int
replay_list (replay_t *list, ab_reader_t *in, bee__edits_t *edits) {
  bee__op_t op;
  int err;

  list->ops = 0;
  list->count = 0;
  size_t count = ab_read_count(in, 1);
  for (size_t i = 0; i < count; i++) {
    bee__read_op(in, &op);
    err = op.type == BEE__COHORT ? replay_cohort(list, &op) : replay_op(list, list->page, &op);
    if (err < 0) return err;
    if ((err = keep_edit(edits, &op)) < 0) return err;
  }
  return in->err;
}

static int
resolve_entries (replay_t *list, bee__ref_t *out) {
  for (size_t i = 0; i < list->count; i++) {
    const entry_t *entry = &list->entries[i];
    if (!entry->has_pointer || entry->offset > AB_LIST_MAX) return AB_ECORRUPT;
    out[i].seq = entry->seq;
    out[i].at = (uint32_t) entry->offset;
    int err = bee__family_resolve(list->family, entry->page, entry->core, &out[i].core);
    if (err < 0) return err;
  }
  return 0;
}

int
bee__node_build (bee__family_t *family, bee__page_t *page, uint64_t offset, bee__node_t **out) {
  replay_t keys, children;
  bee__edits_t edits[2];
  ab_reader_t in;
  bee__node_t *node = NULL;
  int err;

  keys.family = children.family = family;
  keys.page = children.page = page;
  edits_init(&edits[0]);
  edits_init(&edits[1]);
  if ((err = bee__block_item(&page->block, BEE__TREE, offset, &in)) < 0) goto done;
  if ((err = replay_list(&keys, &in, &edits[0])) < 0) goto done;
  if ((err = replay_list(&children, &in, &edits[1])) < 0) goto done;
  err = AB_ECORRUPT;
  if (page->block.t < 2 || page->block.t > BEE__DEGREE_MAX) goto done;
  if (keys.count > BEE__KEYS_MAX || (children.count != 0 && children.count != keys.count + 1)) goto done;
  err = AB_ENOMEM;
  node = bee__node_create((uint32_t) page->block.t, keys.count, children.count);
  if (node == NULL) goto done;
  node->key_count = node->unknown = (uint16_t) keys.count;
  node->child_count = (uint16_t) children.count;
  if ((err = resolve_entries(&keys, node->keys)) < 0) goto done;
  if ((err = resolve_entries(&children, node->children)) < 0) goto done;
  edits_move(&node->key_edits, &edits[0]);
  edits_move(&node->child_edits, &edits[1]);
  *out = node;
  node = NULL;

done:
  bee__node_destroy(node);
  edits_destroy(&edits[0]);
  edits_destroy(&edits[1]);
  if (err == AB_ECORRUPT) err = bee__family_corrupt(family, page->core, page->seq, "has a damaged node");
  return err;
}

void
bee__node_check (const bee__node_t *node) {
  uint32_t unknown = 0;
  assert(node->child_count == 0 || node->child_count == node->key_count + 1);
  assert(node->key_count <= node->key_capacity && node->child_count <= node->child_capacity);
  for (uint32_t i = 0; i < node->key_count; i++) {
    if ((node->keys[i].at & BEE__KNOWN) == 0) unknown++;
  }
  assert(unknown == node->unknown);
  (void) unknown;
}

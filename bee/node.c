/* node.c: nodes built from blocks, and searched. */
#include "bee/node.h"

#include <assert.h>
#include <stdlib.h>

#include "bee/family.h"

#define REPLAY_MAX 512 /* entries of a list, at any time: a batch never has more than 257 */
#define REPLAY_OPS_MAX 16384
#define TIES_MAX 24

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
  if (node->child_edits.at != node->child_edits.room) bytes += node->child_edits.capacity * sizeof(bee__edit_t);
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

/* An entry of a list while its operations are replayed. Core numbers are looked up at the end, for those that are
 * still there: what is overwritten may name cores and blocks that never were. */
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

/* ---- keys ---- */

uint64_t
bee__prefix_of (ab_slice_t key, size_t skip) {
  uint64_t prefix = 0;
  if (key.len >= skip + 8) {
    memcpy(&prefix, key.data + skip, 8);
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap64(prefix) : prefix;
  }
  for (size_t i = skip; i < key.len; i++) prefix |= (uint64_t) key.data[i] << (8 * (7 - (i - skip)));
  return prefix;
}

static int
page_key (bee__family_t *family, bee__page_t *page, const bee__ref_t *ref, ab_slice_t *key) {
  ab_reader_t in;
  if (bee__block_item(&page->block, BEE__KEYS, ref->at & ~BEE__KNOWN, &in) < 0) {
    return bee__family_corrupt(family, ref->core, ref->seq, "lacks a key that is pointed to");
  }
  *key = ab_read_buffer(&in);
  return in.err;
}

int
bee__node_key (bee__family_t *family, bee__node_t *node, uint32_t i, ab_slice_t *key) {
  bee__ref_t *ref = &node->keys[i];
  bee__page_t *page;
  int err;

  if (ref->core == BEE__FRESH) {
    *key = ((const bee__fresh_t *) (uintptr_t) ref->seq)->key;
    return 0;
  }
  if ((err = bee__family_page(family, ref->core, ref->seq, &page)) < 0) return err;
  if ((err = page_key(family, page, ref, key)) < 0) return err;
  if ((ref->at & BEE__KNOWN) == 0) {
    node->prefixes[i] = bee__prefix_of(*key, node->skip);
    ref->at |= BEE__KNOWN;
    node->unknown--;
  }
  return 0;
}

/* The bytes of a key if they are in memory. */
static bool
key_at_hand (bee__family_t *family, const bee__ref_t *ref, ab_slice_t *key) {
  if (ref->core == BEE__FRESH) {
    *key = ((const bee__fresh_t *) (uintptr_t) ref->seq)->key;
    return true;
  }
  bee__page_t *page = bee__cache_find(family->cache, ref->core, ref->seq);
  return page != NULL && page_key(family, page, ref, key) == 0;
}

/* Many ties: the keys seem to begin alike. Find out how long, and keep what comes after it. */
static void
learn_skip (bee__family_t *family, bee__node_t *node) {
  ab_slice_t first, last, key;
  uint32_t count = node->key_count;
  size_t skip = 0;

  node->ties = 0;
  if (count < 2 || !key_at_hand(family, &node->keys[0], &first)) return;
  if (!key_at_hand(family, &node->keys[count - 1], &last)) return;
  size_t max = first.len < last.len ? first.len : last.len;
  if (max > BEE__SKIP_MAX) max = BEE__SKIP_MAX;
  while (skip < max && first.data[skip] == last.data[skip]) skip++;
  node->ties = INT16_MIN; /* not again soon */
  if (skip <= node->skip) return;

  node->skip = (uint8_t) skip;
  memcpy(node->common, first.data, skip);
  node->unknown = 0;
  for (uint32_t i = 0; i < count; i++) {
    bee__ref_t *ref = &node->keys[i];
    if (key_at_hand(family, ref, &key)) {
      node->prefixes[i] = bee__prefix_of(key, skip);
      ref->at |= BEE__KNOWN;
    } else {
      ref->at &= ~BEE__KNOWN;
      node->unknown++;
    }
  }
}

/* The first of `count` ascending numbers that is not below `prefix`. */
static inline uint32_t
lower_bound (const uint64_t *numbers, uint32_t count, uint64_t prefix) {
  const uint64_t *base = numbers;
  if (count == 0) return 0;
  while (count > 1) { /* no branch to mispredict, and what may be compared next is fetched meanwhile */
    uint32_t half = count / 2;
    __builtin_prefetch(base + half / 2);
    __builtin_prefetch(base + half + half / 2);
    base += half & (0 - (uint32_t) (base[half - 1] < prefix));
    count -= half;
  }
  return (uint32_t) (base - numbers) + (*base < prefix);
}

int
bee__node_search (bee__family_t *family, bee__node_t *node, ab_slice_t key, uint32_t *position, bool *found) {
  uint32_t low = 0;
  uint32_t high = node->key_count;
  ab_slice_t other;

  *found = false;
  if (node->skip > 0) {
    size_t len = key.len < node->skip ? key.len : node->skip;
    int order = len == 0 ? 0 : memcmp(key.data, node->common, len);
    if (order != 0 || len < node->skip) {
      *position = order > 0 ? high : 0;
      return 0;
    }
  }
  uint64_t prefix = bee__prefix_of(key, node->skip);
  if (node->unknown == 0) {
    low = lower_bound(node->prefixes, high, prefix);
    if (low == high || node->prefixes[low] != prefix) {
      *position = low;
      return 0;
    }
    if (prefix != UINT64_MAX) high = low + lower_bound(node->prefixes + low, high - low, prefix + 1);
  }
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    if ((node->keys[middle].at & BEE__KNOWN) == 0) {
      int err = bee__node_key(family, node, middle, &other);
      if (err < 0) return err;
    }
    int order = (node->prefixes[middle] < prefix) - (node->prefixes[middle] > prefix);
    if (order == 0) {
      int err = bee__node_key(family, node, middle, &other);
      if (err < 0) return err;
      order = ab_slice_compare(key, other);
      if (order == 0) {
        *position = middle;
        *found = true;
        return 0;
      }
      node->ties++;
    }
    if (order > 0) low = middle + 1;
    else high = middle;
  }
  *position = low;
  if (node->ties > TIES_MAX) learn_skip(family, node);
  return 0;
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

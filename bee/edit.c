/* edit.c: changing the private nodes of a batch.
 *
 * Each change of a list is recorded as one operation. Their number and order is written out with the node, so
 * they are never merged, reordered or left out.
 */
#include <assert.h>
#include <stdlib.h>

#include "bee/family.h"
#include "bee/node.h"

/* ---- room ---- */

int
bee__edits_reserve (bee__edits_t *edits, size_t more) {
  size_t needed = edits->count + more;
  if (needed > BEE__EDITS_MAX) needed = BEE__EDITS_MAX;
  if (needed <= edits->capacity) return 0;
  size_t capacity = (size_t) edits->capacity * 2;
  if (capacity < needed) capacity = needed;
  bool is_inline = edits->at == edits->room;
  bee__edit_t *at = realloc(is_inline ? NULL : edits->at, capacity * sizeof(*at));
  if (at == NULL) return AB_ENOMEM;
  if (is_inline) memcpy(at, edits->room, sizeof(edits->room));
  edits->at = at;
  edits->capacity = (uint32_t) capacity;
  return 0;
}

static int
grow_kids (bee__node_t *node, size_t old, size_t capacity) {
  bee__node_t **kids = realloc(node->kids, capacity * sizeof(*kids));
  if (kids == NULL) return AB_ENOMEM;
  for (size_t i = old; i < capacity; i++) kids[i] = NULL;
  node->kids = kids;
  return 0;
}

static int
grow_arrays (bee__node_t *node, size_t keys, size_t children) {
  const uint64_t *prefixes = node->prefixes;
  const bee__ref_t *key_refs = node->keys;
  const bee__ref_t *child_refs = node->children;
  void *old = node->arrays;
  void *arrays = malloc(bee__arrays_bytes(keys, children));
  if (arrays == NULL) return AB_ENOMEM;
  bee__node_lay_out(node, arrays, keys, children);
  memcpy(node->prefixes, prefixes, node->key_count * sizeof(*prefixes));
  memcpy(node->keys, key_refs, node->key_count * sizeof(*key_refs));
  memcpy(node->children, child_refs, node->child_count * sizeof(*child_refs));
  node->arrays = arrays;
  free(old);
  return 0;
}

int
bee__node_reserve (bee__node_t *node, size_t keys, size_t children, size_t key_edits, size_t child_edits) {
  size_t key_capacity = node->key_capacity;
  size_t child_capacity = node->child_capacity;
  int err;

  if (node->key_count + keys > key_capacity) key_capacity = node->key_count + keys + 8;
  if (node->child_count + children > child_capacity) child_capacity = node->child_count + children + 8;
  if (child_capacity > 0 && (node->kids == NULL || child_capacity > node->child_capacity)) {
    if ((err = grow_kids(node, node->kids == NULL ? 0 : node->child_capacity, child_capacity)) < 0)
      return err;
  }
  if (key_capacity > node->key_capacity || child_capacity > node->child_capacity) {
    if ((err = grow_arrays(node, key_capacity, child_capacity)) < 0) return err;
  }
  if ((err = bee__edits_reserve(&node->key_edits, key_edits)) < 0) return err;
  return bee__edits_reserve(&node->child_edits, child_edits);
}

int
bee__node_start_kids (bee__node_t *node) {
  if (node->child_count == 0) return 0;
  for (uint32_t i = 0; node->kids != NULL && i < node->child_capacity; i++) node->kids[i] = NULL;
  return node->kids != NULL ? 0 : grow_kids(node, 0, node->child_capacity);
}

/* ---- copies ---- */

/* Stored core indexes mean something only together with the core they were read in. In a copy for the same
 * core they stay, since its table only grows; for another one they are looked up now. */
static int
clone_edits (
  bee__family_t *family, const bee__node_t *node, const bee__edits_t *from, uint32_t local, bee__edits_t *to
) {
  size_t kept = from->count < BEE__EDITS_MAX ? from->count : BEE__EDITS_MAX;
  bee__page_t *page;
  int err;

  if ((err = bee__edits_reserve(to, from->count)) < 0) return err;
  memcpy(to->at, from->at, kept * sizeof(*from->at));
  to->count = from->count;
  to->is_wide = from->is_wide;
  if (node->place.core == local) return 0;
  if ((err = bee__family_page(family, node->place.core, node->place.seq, &page)) < 0) return err;
  for (size_t i = 0; i < kept; i++) {
    if (to->at[i].pointer != BEE__POINTER_STORED) continue;
    if ((err = bee__family_resolve(family, page, to->at[i].core, &to->at[i].core)) < 0) return err;
    to->at[i].pointer = BEE__POINTER_GLOBAL;
  }
  return 0;
}

int
bee__node_clone (bee__family_t *family, bee__node_t *node, uint32_t local, bee__node_t **out) {
  size_t keys = node->key_count + 8u;
  size_t children = node->child_count == 0 ? 0 : node->child_count + 8u;
  int err;

  bee__node_t *copy = bee__node_create(node->t, keys, children);
  if (copy == NULL) return AB_ENOMEM;
  copy->place = node->place;
  copy->key_count = node->key_count;
  copy->child_count = node->child_count;
  copy->unknown = node->unknown;
  copy->ties = node->ties;
  copy->skip = node->skip;
  memcpy(copy->common, node->common, sizeof(node->common));
  memcpy(copy->prefixes, node->prefixes, node->key_count * sizeof(*node->prefixes));
  memcpy(copy->keys, node->keys, node->key_count * sizeof(*node->keys));
  memcpy(copy->children, node->children, node->child_count * sizeof(*node->children));
  if ((err = bee__node_start_kids(copy)) < 0) goto fail;
  if ((err = clone_edits(family, node, &node->key_edits, local, &copy->key_edits)) < 0) goto fail;
  if ((err = clone_edits(family, node, &node->child_edits, local, &copy->child_edits)) < 0) goto fail;
  *out = copy;
  return 0;

fail:
  bee__node_destroy(copy);
  return err;
}

/* ---- prefixes of moved keys ---- */

bee__key_t
bee__key_fresh (bee__fresh_t *fresh) {
  bee__key_t key = {
    .ref = {.core = BEE__FRESH, .seq = (uintptr_t) fresh, .at = BEE__KNOWN}, .bytes = fresh->key};
  if (key.bytes.data == NULL) key.bytes.data = (const uint8_t *) "";
  return key;
}

bee__key_t
bee__key_at (const bee__node_t *from, uint32_t i) {
  bee__key_t key = {
    .ref = from->keys[i], .prefix = from->prefixes[i], .common = from->common, .skip = from->skip};
  return key;
}

/* What the prefix after `skip` bytes is, after `shorter` bytes: the end of what is common moves into it. */
static uint64_t
widen (uint64_t prefix, const uint8_t *common, size_t skip, size_t shorter) {
  for (size_t i = skip; i > shorter; i--) prefix = prefix >> 8 | (uint64_t) common[i - 1] << 56;
  return prefix;
}

static void
shorten_skip (bee__node_t *node, size_t skip) {
  for (uint32_t i = 0; i < node->key_count; i++) {
    if ((node->keys[i].at & BEE__KNOWN) == 0) continue;
    node->prefixes[i] = widen(node->prefixes[i], node->common, node->skip, skip);
  }
  node->skip = (uint8_t) skip;
  if (node->ties < 0) node->ties = 0;
}

/* Make the node's common beginning one of `key` too. Returns the key's prefix after it. */
static uint64_t
admit (bee__node_t *node, const bee__key_t *key) {
  const uint8_t *begin = key->bytes.data != NULL ? key->bytes.data : key->common;
  size_t len = key->bytes.data != NULL ? key->bytes.len : key->skip;
  size_t same = 0;

  if (node->key_count == 0) {
    node->skip = key->bytes.data != NULL ? 0 : (uint8_t) len;
    if (node->skip > 0) memmove(node->common, key->common, len);
  }
  while (same < node->skip && same < len && node->common[same] == begin[same]) same++;
  if (same < node->skip) shorten_skip(node, same);
  if (key->bytes.data != NULL) return bee__prefix_of(key->bytes, same);
  return widen(key->prefix, key->common, key->skip, same);
}

/* ---- operations ---- */

static void
record (bee__edits_t *edits, uint8_t type, uint32_t i, const bee__ref_t *ref) {
  if (i > UINT8_MAX) edits->is_wide = true;
  if (edits->count++ >= BEE__EDITS_MAX) return;
  assert(edits->count <= edits->capacity);
  bee__edit_t *edit = &edits->at[edits->count - 1];
  *edit = (bee__edit_t){.type = type, .index = (uint8_t) i};
  if (ref == NULL) return;
  edit->pointer = ref->core == BEE__FRESH ? BEE__POINTER_FRESH : BEE__POINTER_GLOBAL;
  edit->core = ref->core;
  edit->seq = ref->seq;
  edit->offset = ref->at & ~BEE__KNOWN;
}

void
bee__keys_insert (bee__node_t *node, uint32_t i, const bee__key_t *key) {
  assert(i <= node->key_count && node->key_count < node->key_capacity);
  uint64_t prefix = admit(node, key);
  size_t after = node->key_count - i;
  memmove(node->prefixes + i + 1, node->prefixes + i, after * sizeof(*node->prefixes));
  memmove(node->keys + i + 1, node->keys + i, after * sizeof(*node->keys));
  node->prefixes[i] = prefix;
  node->keys[i] = key->ref;
  node->key_count++;
  if ((key->ref.at & BEE__KNOWN) == 0) node->unknown++;
  record(&node->key_edits, BEE__INSERT, i, &key->ref);
}

void
bee__keys_replace (bee__node_t *node, uint32_t i, const bee__key_t *key) {
  assert(i < node->key_count);
  node->prefixes[i] = admit(node, key);
  if ((node->keys[i].at & BEE__KNOWN) == 0) node->unknown--;
  if ((key->ref.at & BEE__KNOWN) == 0) node->unknown++;
  node->keys[i] = key->ref;
  record(&node->key_edits, BEE__SET, i, &key->ref);
}

void
bee__keys_remove (bee__node_t *node, uint32_t i) {
  assert(i < node->key_count);
  if ((node->keys[i].at & BEE__KNOWN) == 0) node->unknown--;
  size_t after = node->key_count - i - 1u;
  memmove(node->prefixes + i, node->prefixes + i + 1, after * sizeof(*node->prefixes));
  memmove(node->keys + i, node->keys + i + 1, after * sizeof(*node->keys));
  node->key_count--;
  record(&node->key_edits, BEE__DEL, i, NULL);
}

void
bee__children_insert (bee__node_t *node, uint32_t i, bee__ref_t place, bee__node_t *kid) {
  assert(i <= node->child_count && node->child_count < node->child_capacity);
  size_t after = node->child_count - i;
  memmove(node->children + i + 1, node->children + i, after * sizeof(*node->children));
  memmove(node->kids + i + 1, node->kids + i, after * sizeof(*node->kids));
  node->children[i] = place;
  node->kids[i] = kid;
  node->child_count++;
  record(&node->child_edits, BEE__INSERT, i, &place);
}

void
bee__children_remove (bee__node_t *node, uint32_t i) {
  assert(i < node->child_count);
  size_t after = node->child_count - i - 1u;
  memmove(node->children + i, node->children + i + 1, after * sizeof(*node->children));
  memmove(node->kids + i, node->kids + i + 1, after * sizeof(*node->kids));
  node->child_count--;
  node->kids[node->child_count] = NULL;
  record(&node->child_edits, BEE__DEL, i, NULL);
}

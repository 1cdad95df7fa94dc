/* compress.c: what a batch writes.
 *
 *   collect      dirty nodes, root first, then depth first with the right-most child first, are gathered into units
 *                of about the preferred block size; the keys made by the batch go with the node that holds them, long
 *                values to units of their own behind
 *   place        unit 0 becomes the last block, unit 1 the one before it, …
 *   encode       each list of a node is written as its stored operations and those of the batch, or, when these got
 *                too many, as one new cohort of what the list holds
 *   adopt        once the core has taken the blocks, the nodes go to the cache as they are
 *
 * The core table grows in the order in which operations are encoded, so that order is part of the format.
 */
#include <assert.h>
#include <stdlib.h>

#include "bee/handle.h"
#include "bee/writer.h"

#define ROOM_KEPT ((size_t) 256 * 1024) /* of memory for the next flush */

typedef struct {
  uint32_t node_first, node_count;
  uint32_t key_first, key_count;
  uint32_t value_first, value_count;
  uint32_t cohort_first, cohort_count;
  size_t tree_start, tree_len; /* in the encoded lists */
  size_t cohorts_start, cohorts_len;
} unit_t;

/* The operations a list is stored with, and begins with from then on. */
typedef struct {
  size_t first;
  uint32_t count;
} stored_edits_t;




typedef struct {
  bee_batch_t *batch;
  bee__family_t *family;
  hypercore_t *core;
  bee__core_t *local;
  uint64_t base; /* length of the core before */
  void *arrays;
  bee__node_t **nodes; /* in writing order */
  bee__node_t **stack;
  stored_edits_t *stored; /* of each node: keys, children */
  bee__fresh_t **keys;
  bee__fresh_t **values; /* keys with a value outside */
  unit_t *units;
  bee__page_t **pages; /* by unit */
  ab_slice_t *blocks;  /* ascending */
  uint32_t node_count, key_count, value_count, unit_count, cohort_count;
  uint32_t table_count; /* of the core table before */
  uint64_t checkpoint;
  ab_buf_t *memory;
  ab_buf_t *edits;     /* bee__edit_t */
  ab_buf_t *tree;      /* encoded nodes, of all units */
  ab_buf_t *node_at;   /* uint32_t: where each begins, from its unit's first */
  ab_buf_t *cohorts;   /* encoded cohorts */
  ab_buf_t *cohort_at; /* uint32_t, likewise */
  /* of one block: */
  ab_buf_t *cores, *keys_out, *values_out, *offsets, *block;
} flush_t;

static void
take_rooms (flush_t *f) {
  ab_buf_t *room = f->family->cache->rooms;
  ab_buf_t **uses[] = {&f->memory,    &f->edits, &f->tree,     &f->node_at,    &f->cohorts, &f->cohort_at,
                       &f->cores, &f->keys_out, &f->values_out, &f->offsets, &f->block};
  _Static_assert(sizeof(uses) / sizeof(uses[0]) <= BEE__ROOMS, "a room for each use");
  for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
    *uses[i] = &room[i];
    ab_buf_reset(&room[i]);
  }
}

static void
leave_rooms (flush_t *f) {
  ab_buf_t *room = f->family->cache->rooms;
  for (size_t i = 0; i < BEE__ROOMS; i++) {
    if (room[i].capacity > ROOM_KEPT) ab_buf_destroy(&room[i]);
  }
}

static void *
carve (uint8_t **at, size_t count, size_t size) {
  void *array = *at;
  *at += (count * size + 15) & ~(size_t) 15;
  return array;
}

/* ---- collect ---- */

/* All arrays from one piece of memory: no more nodes, keys and units than there are can be needed. */
static int
collect_memory (flush_t *f) {
  size_t nodes = f->batch->node_count;
  size_t keys = f->batch->fresh_count;
  size_t units = nodes + keys + 1;
  size_t len = nodes * (2 * sizeof(void *) + 2 * sizeof(stored_edits_t)) + keys * 2 * sizeof(void *) +
               units * (sizeof(unit_t) + sizeof(void *) + sizeof(ab_slice_t)) + 8 * 16;
  uint8_t *at = ab_buf_extend(f->memory, len);
  if (at == NULL) return AB_ENOMEM;
  f->nodes = carve(&at, nodes, sizeof(*f->nodes));
  f->stack = carve(&at, nodes, sizeof(*f->stack));
  f->stored = carve(&at, nodes * 2, sizeof(*f->stored));
  f->keys = carve(&at, keys, sizeof(*f->keys));
  f->values = carve(&at, keys, sizeof(*f->values));
  f->units = carve(&at, units, sizeof(*f->units));
  f->pages = carve(&at, units, sizeof(bee__page_t *));
  f->blocks = carve(&at, units, sizeof(*f->blocks));
  return 0;
}

static unit_t *
next_unit (flush_t *f) {
  f->pages[f->unit_count] = NULL;
  unit_t *unit = &f->units[f->unit_count++];
  *unit = (unit_t){.node_first = f->node_count, .key_first = f->key_count, .value_first = f->value_count};
  return unit;
}

static size_t
collect_keys (flush_t *f, bee__node_t *node, unit_t *unit) {
  uint32_t longest_inline = f->batch->options.inline_value_size;
  size_t size = 0;
  for (uint32_t i = 0; i < node->key_count; i++) {
    if (node->keys[i].core != BEE__FRESH) continue;
    bee__fresh_t *fresh = (bee__fresh_t *) (uintptr_t) node->keys[i].seq;
    fresh->attempt = f->batch->attempts;
    fresh->unit = f->unit_count - 1;
    fresh->offset = unit->key_count++;
    fresh->is_outside = fresh->has_value && fresh->value.len > longest_inline;
    f->keys[f->key_count++] = fresh;
    size += fresh->key.len;
    if (!fresh->is_outside) continue;
    f->values[f->value_count++] = fresh;
    size += 12;
  }
  return size;
}

static void
collect_nodes (flush_t *f) {
  size_t preferred = f->batch->options.preferred_block_size;
  size_t height = 0;
  size_t size = 0;
  unit_t *unit = next_unit(f);

  f->stack[height++] = f->batch->root;
  while (height > 0) {
    bee__node_t *node = f->stack[--height];
    if (size >= preferred && unit->node_count > 0) {
      unit = next_unit(f);
      size = 0;
    }
    node->unit = f->unit_count - 1;
    node->unit_at = unit->node_count++;
    f->nodes[f->node_count++] = node;
    size += 12 * ((size_t) node->key_edits.count + node->child_edits.count);
    size += collect_keys(f, node, unit);
    for (uint32_t i = 0; i < node->child_count; i++) {
      bee__node_t *kid = node->kids[i];
      if (kid != NULL && kid->is_dirty) f->stack[height++] = kid;
    }
  }
}

static void
collect_values (flush_t *f) {
  size_t preferred = f->batch->options.preferred_block_size;
  uint32_t count = f->value_count;
  size_t size = 0;
  unit_t *unit = NULL;

  f->value_count = 0;
  while (f->value_count < count) {
    if (unit == NULL || size >= preferred) {
      unit = next_unit(f);
      size = 0;
    }
    bee__fresh_t *fresh = f->values[f->value_count++];
    fresh->value_unit = f->unit_count - 1;
    fresh->value_offset = unit->value_count++;
    size += fresh->value.len;
  }
}

static int
collect (flush_t *f) {
  int err = collect_memory(f);
  if (err < 0) return err;
  f->batch->attempts++;
  collect_nodes(f);
  collect_values(f);
  return 0;
}

static inline uint64_t
unit_seq (const flush_t *f, uint32_t unit) {
  return f->base + f->unit_count - 1 - unit;
}

/* ---- encode ---- */

/* What the core's table calls core `number`; added to it if it is new. */
static inline int
index_of (flush_t *f, uint32_t number, uint32_t *index) {
  *index = 0;
  if (number == f->batch->local) return 0;
  return bee__writer_index(&f->local->writer, number, index);
}

static void
write_edit (ab_buf_t *out, const bee__edit_t *edit) {
  bee__op_t op = {
    .type = edit->type,
    .index = edit->index,
    .has_pointer = edit->pointer != BEE__POINTER_NONE,
    .core = edit->core,
    .seq = edit->seq,
    .offset = edit->offset,
  };
  bee__write_op(out, &op);
}

/* Turn an operation into its stored form. `unit` is the one being encoded: a key of a later one has no place yet,
 * just as one that was deleted again. */
static int
settle_edit (flush_t *f, uint32_t unit, bee__edit_t *edit) {
  if (edit->pointer == BEE__POINTER_GLOBAL) {
    edit->pointer = BEE__POINTER_STORED;
    return index_of(f, edit->core, &edit->core);
  }
  if (edit->pointer != BEE__POINTER_FRESH) return 0;
  const bee__fresh_t *fresh = (const bee__fresh_t *) (uintptr_t) edit->seq;
  bool is_placed = fresh->attempt == f->batch->attempts && fresh->unit <= unit;
  edit->pointer = is_placed ? BEE__POINTER_STORED : BEE__POINTER_NONE;
  edit->core = 0;
  edit->seq = is_placed ? unit_seq(f, fresh->unit) : 0;
  edit->offset = is_placed ? fresh->offset : 0;
  return 0;
}

/* The pointer to a key or child as it is now. A dirty child is asked for under the core it comes from, and written
 * with the place it is about to get. */
static int
settle_ref (flush_t *f, const bee__ref_t *ref, const bee__node_t *kid, bee__edit_t *edit) {
  edit->pointer = BEE__POINTER_STORED;
  if (ref->core == BEE__FRESH) {
    const bee__fresh_t *fresh = (const bee__fresh_t *) (uintptr_t) ref->seq;
    edit->core = 0;
    edit->seq = unit_seq(f, fresh->unit);
    edit->offset = fresh->offset;
    return 0;
  }
  int err = index_of(f, ref->core, &edit->core);
  if (err < 0) return err;
  edit->seq = ref->seq;
  edit->offset = ref->at & ~BEE__KNOWN;
  if (kid == NULL || !kid->is_dirty) return 0;
  edit->core = 0;
  edit->seq = unit_seq(f, kid->unit);
  edit->offset = kid->unit_at;
  return 0;
}

/* One of the two lists of a node. */
typedef struct {
  const bee__edits_t *edits;
  const bee__ref_t *refs;
  bee__node_t *const *kids; /* NULL: keys, or no children */
  uint32_t count;
  uint32_t dirty_kids;
} list_t;

static int
push_at (ab_buf_t *out, size_t at) {
  uint32_t *place = (uint32_t *) (void *) ab_buf_extend(out, sizeof(uint32_t));
  if (place == NULL) return AB_ENOMEM;
  *place = (uint32_t) at;
  return 0;
}

static bee__edit_t *
push_stored (flush_t *f, uint32_t count, stored_edits_t *stored) {
  stored->first = f->edits->len / sizeof(bee__edit_t);
  stored->count = count;
  return (bee__edit_t *) (void *) ab_buf_extend(f->edits, count * sizeof(bee__edit_t));
}

static int
write_cohort (flush_t *f, unit_t *unit, uint32_t unit_number, const list_t *list, stored_edits_t *stored) {
  bee__edit_t *cohort = push_stored(f, 1, stored);
  int err = push_at(f->cohort_at, f->cohorts->len - unit->cohorts_start);
  if (cohort == NULL || err < 0) return AB_ENOMEM;
  *cohort = (bee__edit_t){
    .type = BEE__COHORT,
    .pointer = BEE__POINTER_STORED,
    .seq = unit_seq(f, unit_number),
    .offset = unit->cohort_count++,
  };
  f->cohort_count++;
  ab_write_uint(f->tree, 1);
  write_edit(f->tree, cohort);
  ab_write_uint(f->cohorts, list->count);
  for (uint32_t i = 0; i < list->count; i++) {
    bee__edit_t edit = {.type = BEE__INSERT, .index = (uint8_t) i};
    err = settle_ref(f, &list->refs[i], list->kids == NULL ? NULL : list->kids[i], &edit);
    if (err < 0) return err;
    write_edit(f->cohorts, &edit);
  }
  return 0;
}

static int
write_operations (flush_t *f, uint32_t unit_number, const list_t *list, stored_edits_t *stored) {
  uint32_t count = list->edits->count;
  uint32_t total = count + list->dirty_kids;
  int err;

  ab_write_uint(f->tree, total);
  stored->first = f->edits->len / sizeof(bee__edit_t);
  stored->count = total;
  if (total == 0) return 0;
  bee__edit_t *at = push_stored(f, total, stored);
  if (at == NULL) return AB_ENOMEM;
  assert(count <= BEE__EDITS_MAX); /* or there are more operations than entries */
  memcpy(at, list->edits->at, count * sizeof(*at));
  for (uint32_t i = 0; i < count; i++) {
    if ((err = settle_edit(f, unit_number, &at[i])) < 0) return err;
    write_edit(f->tree, &at[i]);
  }
  for (uint32_t i = 0; count < total; i++) { /* dirty children get their new places last */
    if (list->kids[i] == NULL || !list->kids[i]->is_dirty) continue;
    at[count] = (bee__edit_t){.type = BEE__SET, .index = (uint8_t) i};
    if ((err = settle_ref(f, &list->refs[i], list->kids[i], &at[count])) < 0) return err;
    write_edit(f->tree, &at[count++]);
  }
  return 0;
}

static int
write_list (flush_t *f, unit_t *unit, uint32_t unit_number, list_t *list, stored_edits_t *stored) {
  bool is_wide = list->edits->is_wide;
  for (uint32_t i = 0; list->kids != NULL && i < list->count; i++) {
    if (list->kids[i] == NULL || !list->kids[i]->is_dirty) continue;
    list->dirty_kids++;
    if (i > UINT8_MAX) is_wide = true;
  }
  uint32_t total = list->edits->count + list->dirty_kids;
  if (list->count < total || is_wide || total > f->batch->options.delta_max) {
    return write_cohort(f, unit, unit_number, list, stored);
  }
  return write_operations(f, unit_number, list, stored);
}

static int
encode_node (flush_t *f, unit_t *unit, uint32_t unit_number, uint32_t i) {
  bee__node_t *node = f->nodes[i];
  stored_edits_t *stored = &f->stored[2 * i];
  list_t keys = {.edits = &node->key_edits, .refs = node->keys, .count = node->key_count};
  list_t children = {.edits = &node->child_edits, .refs = node->children, .count = node->child_count};
  int err;

  if (node->child_count > 0) children.kids = node->kids;
  if ((err = push_at(f->node_at, f->tree->len - unit->tree_start)) < 0) return err;
  if ((err = write_list(f, unit, unit_number, &keys, &stored[0])) < 0) return err;
  if ((err = write_list(f, unit, unit_number, &children, &stored[1])) < 0) return err;
  /* Room for them in the node, for when nothing may fail any more. */
  assert(stored[0].count <= node->key_edits.count);
  return bee__edits_reserve(&node->child_edits, children.dirty_kids);
}

static int
encode_unit (flush_t *f, uint32_t number) {
  unit_t *unit = &f->units[number];
  unit->tree_start = f->tree->len;
  unit->cohorts_start = f->cohorts->len;
  unit->cohort_first = f->cohort_count;
  for (uint32_t i = unit->node_first; i < unit->node_first + unit->node_count; i++) {
    int err = encode_node(f, unit, number, i);
    if (err < 0) return err;
  }
  unit->tree_len = f->tree->len - unit->tree_start;
  unit->cohorts_len = f->cohorts->len - unit->cohorts_start;
  return f->tree->err < 0 ? f->tree->err : f->cohorts->err;
}

/* ---- blocks ---- */

static void
write_key (flush_t *f, const bee__fresh_t *fresh, ab_buf_t *out) {
  bee__stored_key_t key = {.key = fresh->key};
  if (fresh->is_outside) {
    key.has_pointer = true;
    key.seq = unit_seq(f, fresh->value_unit);
    key.offset = fresh->value_offset;
  } else {
    key.has_value = fresh->has_value;
    key.value = fresh->value;
  }
  bee__write_stored_key(out, &key);
}

static void
set_list (bee__parts_t *parts, int list, size_t count, const ab_buf_t *items, size_t start, size_t len) {
  parts->lists[list].is_present = count > 0;
  parts->lists[list].count = count;
  if (count > 0) parts->lists[list].items = ab_slice(items->data + start, len);
}

/* Where the items of a list lie in the block: `at[i]` after the list's first. */
static void
place_items (bee__block_t *block, const bee__parts_t *parts, int list, const uint32_t *from, uint32_t *to) {
  for (size_t i = 0; i < parts->lists[list].count; i++) to[i] = from[i] + (uint32_t) parts->lists[list].at;
  block->lists[list].at = to;
  block->lists[list].count = (uint32_t) parts->lists[list].count;
  block->lists[list].is_present = parts->lists[list].is_present;
}

#ifndef NDEBUG
/* What is known from writing has to be what reading would find. */
static void
check_block (flush_t *f, uint64_t seq, const bee__block_t *block) {
  bee__block_t found;
  if (bee__block_scan(block->data, seq, &f->family->cache->scan, &found) == AB_ENOMEM) return;
  for (int i = 0; i < BEE__LISTS; i++) {
    size_t len = block->lists[i].count * sizeof(uint32_t);
    assert(found.lists[i].count == block->lists[i].count);
    assert(len == 0 || memcmp(found.lists[i].at, block->lists[i].at, len) == 0);
  }
  assert(found.checkpoint == block->checkpoint && found.t == block->t && found.batch_end == block->batch_end);
}
#endif

/* The block as a page of the cache, without reading it again. */
static int
make_page (flush_t *f, uint32_t number, const bee__parts_t *parts, const uint32_t *keys, const uint32_t *values) {
  const unit_t *unit = &f->units[number];
  uint64_t seq = unit_seq(f, number);
  bee__block_t block = {
    .type = 1,
    .data = ab_buf_slice(f->block),
    .checkpoint = parts->checkpoint,
    .batch_start = parts->batch_start,
    .batch_end = parts->batch_end,
    .previous_core = parts->previous_core,
    .previous_seq = parts->previous_seq,
    .has_previous = parts->has_previous,
    .t = parts->t,
  };

  if (parts->lists[BEE__CORES].is_present) {
    int err = bee__block_scan(block.data, seq, &f->family->cache->scan, &block);
    if (err < 0) return err;
  } else {
    size_t count = unit->node_count + unit->key_count + unit->value_count + unit->cohort_count;
    ab_buf_reset(f->offsets);
    uint32_t *at = (uint32_t *) (void *) ab_buf_extend(f->offsets, count * sizeof(uint32_t));
    if (at == NULL) return AB_ENOMEM;
    const uint32_t *nodes = (const uint32_t *) (const void *) f->node_at->data + unit->node_first;
    place_items(&block, parts, BEE__TREE, nodes, at);
    place_items(&block, parts, BEE__KEYS, keys, at += unit->node_count);
    place_items(&block, parts, BEE__VALUES, values, at += unit->key_count);
    const uint32_t *cohorts = (const uint32_t *) (const void *) f->cohort_at->data;
    if (cohorts != NULL) cohorts += unit->cohort_first;
    place_items(&block, parts, BEE__COHORTS, cohorts, at += unit->value_count);
#ifndef NDEBUG
    check_block(f, seq, &block);
#endif
  }
  f->pages[number] = bee__page_create(f->batch->local, seq, &block);
  if (f->pages[number] == NULL) return AB_ENOMEM;
  f->blocks[f->unit_count - 1 - number] = f->pages[number]->block.data;
  return 0;
}

static int
make_block (flush_t *f, uint32_t number, bool has_table, uint32_t previous_core) {
  const bee_batch_t *batch = f->batch;
  const unit_t *unit = &f->units[number];
  const bee__writer_t *writer = &f->local->writer;
  bee__parts_t parts = {
    .checkpoint = has_table ? f->base + f->unit_count : f->checkpoint,
    .batch_start = f->unit_count - 1 - number,
    .batch_end = number,
    .t = batch->root->t,
  };
  int err;

  ab_buf_reset(f->cores);
  ab_buf_reset(f->keys_out);
  ab_buf_reset(f->values_out);
  ab_buf_reset(f->block);
  if (number == 0 && batch->base_length > 0) {
    parts.has_previous = true;
    parts.previous_core = previous_core;
    parts.previous_seq = batch->base_length - 1;
  }
  if (number == 0 && has_table) {
    if ((err = bee__writer_encode(writer, f->family, f->batch->local, f->table_count, f->cores)) < 0) return err;
    set_list(&parts, BEE__CORES, writer->table_count, f->cores, 0, f->cores->len);
  }
  /* The places of keys and values first, so that the lists behind them begin at one known length. */
  size_t places = ((size_t) unit->key_count + unit->value_count) * sizeof(uint32_t);
  if (ab_buf_extend(f->keys_out, places) == NULL && places > 0) return AB_ENOMEM;
  for (uint32_t i = 0; i < unit->key_count; i++) {
    ((uint32_t *) (void *) f->keys_out->data)[i] = (uint32_t) (f->keys_out->len - places);
    write_key(f, f->keys[unit->key_first + i], f->keys_out);
  }
  for (uint32_t i = 0; i < unit->value_count; i++) {
    ((uint32_t *) (void *) f->keys_out->data)[unit->key_count + i] = (uint32_t) f->values_out->len;
    ab_write_buffer(f->values_out, f->values[unit->value_first + i]->value);
  }
  if (f->keys_out->err < 0 || f->values_out->err < 0) return AB_ENOMEM;
  set_list(&parts, BEE__TREE, unit->node_count, f->tree, unit->tree_start, unit->tree_len);
  set_list(&parts, BEE__KEYS, unit->key_count, f->keys_out, places, f->keys_out->len - places);
  set_list(&parts, BEE__VALUES, unit->value_count, f->values_out, 0, f->values_out->len);
  set_list(&parts, BEE__COHORTS, unit->cohort_count, f->cohorts, unit->cohorts_start, unit->cohorts_len);
  bee__block_write(f->block, &parts);
  if (f->block->err < 0) return f->block->err;
  const uint32_t *key_places = (const uint32_t *) (const void *) f->keys_out->data;
  return make_page(f, number, &parts, key_places, key_places == NULL ? NULL : key_places + unit->key_count);
}

static int
make_blocks (flush_t *f) {
  bee_batch_t *batch = f->batch;
  uint32_t previous_core = 0;
  int err = 0;

  if (batch->base_length > 0 && (err = index_of(f, batch->base_core, &previous_core)) < 0) return err;
  bool has_table = f->local->writer.table_count > f->table_count;
  for (uint32_t i = 0; i < f->unit_count && err == 0; i++) err = make_block(f, i, has_table, previous_core);
  return err;
}

/* ---- adopt ---- */

static void
adopt_edits (flush_t *f, bee__edits_t *edits, const stored_edits_t *stored) {
  const bee__edit_t *from = (const bee__edit_t *) (const void *) f->edits->data + stored->first;
  if (stored->count <= BEE__EDITS_INLINE && edits->at != edits->room) {
    free(edits->at);
    edits->at = edits->room;
    edits->capacity = BEE__EDITS_INLINE;
  }
  if (stored->count > 0) memcpy(edits->at, from, stored->count * sizeof(*from));
  edits->count = stored->count;
  edits->is_wide = false;
}

static void
adopt_node (flush_t *f, uint32_t i) {
  bee__node_t *node = f->nodes[i];
  uint32_t local = f->batch->local;

  for (uint32_t k = 0; k < node->key_count; k++) {
    bee__ref_t *ref = &node->keys[k];
    if (ref->core != BEE__FRESH) continue;
    const bee__fresh_t *fresh = (const bee__fresh_t *) (uintptr_t) ref->seq;
    *ref = (bee__ref_t){.core = local, .seq = unit_seq(f, fresh->unit), .at = fresh->offset | BEE__KNOWN};
  }
  for (uint32_t k = 0; k < node->child_count; k++) {
    bee__node_t *kid = node->kids[k];
    if (kid == NULL) continue;
    node->kids[k] = NULL; /* what was not changed belongs to the batch */
    if (!kid->is_dirty) continue;
    node->children[k] = (bee__ref_t){.core = local, .seq = unit_seq(f, kid->unit), .at = kid->unit_at};
    bee__node_link(node, k, kid);
  }
  adopt_edits(f, &node->key_edits, &f->stored[2 * i]);
  adopt_edits(f, &node->child_edits, &f->stored[2 * i + 1]);
}

static void
adopt (flush_t *f) {
  bee__cache_t *cache = f->family->cache;
  bee__writer_t *writer = &f->local->writer;

  for (uint32_t i = 0; i < f->unit_count; i++) bee__cache_insert(cache, f->pages[i]);
  for (uint32_t i = 0; i < f->node_count; i++) adopt_node(f, i);
  for (uint32_t i = 0; i < f->node_count; i++) {
    bee__node_t *node = f->nodes[i];
    bee__batch_disown(f->batch, node);
    node->is_dirty = false;
    bee__cache_insert_node(cache, f->pages[node->unit], node->unit_at, node);
  }
  f->batch->root = NULL;
  if (writer->table_count > f->table_count) writer->checkpoint = f->base + f->unit_count;
  writer->length = f->base + f->unit_count;
}

int
bee__batch_write (bee_batch_t *batch, uint64_t *blocks) {
  flush_t f = {.batch = batch, .family = batch->family, .local = batch->family->cache->cores[batch->local]};
  int err;

  take_rooms(&f);
  if ((err = bee__family_core(batch->family, batch->local, &f.core)) < 0) return err;
  f.base = hypercore_length(f.core);
  if ((err = bee__writer_load(&f.local->writer, f.family, batch->local, f.base)) < 0) return err;
  f.table_count = f.local->writer.table_count;
  f.checkpoint = f.local->writer.checkpoint;
  if ((err = collect(&f)) < 0) goto done;
  for (uint32_t i = 0; i < f.unit_count; i++) {
    if ((err = encode_unit(&f, i)) < 0) goto done;
  }
  if ((err = make_blocks(&f)) < 0) goto done;
  if ((err = hypercore_append(f.core, f.blocks, f.unit_count, NULL)) < 0) goto done;
  adopt(&f);
  *blocks = f.unit_count;

done:
  if (err < 0) {
    bee__writer_cut(&f.local->writer, f.table_count);
    for (uint32_t i = 0; i < f.unit_count; i++) bee__page_destroy(f.pages[i]);
  }
  leave_rooms(&f);
  return err;
}

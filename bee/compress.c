/* compress.c: the lists of a batch's nodes, encoded. */
#include <assert.h>

#include "bee/flush.h"
#include "bee/writer.h"

int
bee__flush_core_index (bee__flush_t *f, uint32_t number, uint32_t *index) {
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

/* Turn an operation into its stored form. `unit` is the one being encoded: a key of a later one has no place
 * yet, just as one that was deleted again. */
static int
settle_edit (bee__flush_t *f, uint32_t unit, bee__edit_t *edit) {
  if (edit->pointer == BEE__POINTER_GLOBAL) {
    edit->pointer = BEE__POINTER_STORED;
    return bee__flush_core_index(f, edit->core, &edit->core);
  }
  if (edit->pointer != BEE__POINTER_FRESH) return 0;
  const bee__fresh_t *fresh = bee__fresh_of(edit->seq);
  bool is_placed = fresh->attempt == f->batch->attempts && fresh->unit <= unit;
  edit->pointer = is_placed ? BEE__POINTER_STORED : BEE__POINTER_NONE;
  edit->core = 0;
  edit->seq = is_placed ? bee__unit_seq(f, fresh->unit) : 0;
  edit->offset = is_placed ? fresh->offset : 0;
  return 0;
}

/* The pointer to a key or child as it is now. A dirty child is asked for under the core it comes from, and
 * written with the place it is about to get. */
static int
settle_ref (bee__flush_t *f, const bee__ref_t *ref, const bee__node_t *kid, bee__edit_t *edit) {
  edit->pointer = BEE__POINTER_STORED;
  if (ref->core == BEE__FRESH) {
    const bee__fresh_t *fresh = bee__fresh_of(ref->seq);
    edit->core = 0;
    edit->seq = bee__unit_seq(f, fresh->unit);
    edit->offset = fresh->offset;
    return 0;
  }
  int err = bee__flush_core_index(f, ref->core, &edit->core);
  if (err < 0) return err;
  edit->seq = ref->seq;
  edit->offset = ref->at & ~BEE__KNOWN;
  if (kid == NULL || !kid->is_dirty) return 0;
  edit->core = 0;
  edit->seq = bee__unit_seq(f, kid->unit);
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
push_stored (bee__flush_t *f, uint32_t count, bee__stored_edits_t *stored) {
  stored->first = f->edits->len / sizeof(bee__edit_t);
  stored->count = count;
  return (bee__edit_t *) (void *) ab_buf_extend(f->edits, count * sizeof(bee__edit_t));
}

static int
write_cohort (
  bee__flush_t *f, bee__unit_t *unit, uint32_t unit_number, const list_t *list, bee__stored_edits_t *stored
) {
  bee__edit_t *cohort = push_stored(f, 1, stored);
  int err = push_at(f->cohort_at, f->cohorts->len - unit->cohorts_start);
  if (cohort == NULL || err < 0) return AB_ENOMEM;
  *cohort = (bee__edit_t){
    .type = BEE__COHORT,
    .pointer = BEE__POINTER_STORED,
    .seq = bee__unit_seq(f, unit_number),
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
write_operations (bee__flush_t *f, uint32_t unit_number, const list_t *list, bee__stored_edits_t *stored) {
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
write_list (
  bee__flush_t *f, bee__unit_t *unit, uint32_t unit_number, list_t *list, bee__stored_edits_t *stored
) {
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
encode_node (bee__flush_t *f, bee__unit_t *unit, uint32_t unit_number, uint32_t i) {
  bee__node_t *node = f->nodes[i];
  bee__stored_edits_t *stored = &f->stored[(size_t) 2 * i];
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

int
bee__flush_encode (bee__flush_t *f, uint32_t number) {
  bee__unit_t *unit = &f->units[number];
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

/* collect.c: what a batch writes, gathered into units. */
#include "bee/flush.h"

#define ROOM_KEPT ((size_t) 256 * 1024) /* of memory for the next flush */

void
bee__flush_begin (bee__flush_t *f) {
  ab_buf_t *room = f->family->cache->rooms;
  ab_buf_t **uses[] = {
    &f->memory,
    &f->edits,
    &f->tree,
    &f->node_at,
    &f->cohorts,
    &f->cohort_at,
    &f->cores,
    &f->keys_out,
    &f->values_out,
    &f->offsets,
    &f->block};
  _Static_assert(sizeof(uses) / sizeof(uses[0]) <= BEE__ROOMS, "a room for each use");
  for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
    *uses[i] = &room[i];
    ab_buf_reset(&room[i]);
  }
}

void
bee__flush_end (bee__flush_t *f) {
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

/* All arrays from one piece of memory: no more nodes, keys and units than there are can be needed. */
static int
collect_memory (bee__flush_t *f) {
  size_t nodes = f->batch->node_count;
  size_t keys = f->batch->fresh_count;
  size_t units = nodes + keys + 1;
  size_t len = nodes * (2 * sizeof(void *) + 2 * sizeof(bee__stored_edits_t)) + keys * 2 * sizeof(void *) +
               units * (sizeof(bee__unit_t) + sizeof(void *) + sizeof(ab_slice_t)) + 8u * 16;
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

static bee__unit_t *
next_unit (bee__flush_t *f) {
  f->pages[f->unit_count] = NULL;
  bee__unit_t *unit = &f->units[f->unit_count++];
  *unit =
    (bee__unit_t){.node_first = f->node_count, .key_first = f->key_count, .value_first = f->value_count};
  return unit;
}

static size_t
collect_keys (bee__flush_t *f, bee__node_t *node, bee__unit_t *unit) {
  uint32_t longest_inline = f->batch->options.inline_value_size;
  size_t size = 0;
  for (uint32_t i = 0; i < node->key_count; i++) {
    if (node->keys[i].core != BEE__FRESH) continue;
    bee__fresh_t *fresh = bee__fresh_of(node->keys[i].seq);
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
collect_nodes (bee__flush_t *f) {
  size_t preferred = f->batch->options.preferred_block_size;
  size_t height = 0;
  size_t size = 0;
  bee__unit_t *unit = next_unit(f);

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
collect_values (bee__flush_t *f) {
  size_t preferred = f->batch->options.preferred_block_size;
  uint32_t count = f->value_count;
  size_t size = 0;
  bee__unit_t *unit = NULL;

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

int
bee__flush_collect (bee__flush_t *f) {
  int err = collect_memory(f);
  if (err < 0) return err;
  f->batch->attempts++;
  collect_nodes(f);
  collect_values(f);
  return 0;
}

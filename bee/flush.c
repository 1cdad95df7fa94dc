/* flush.c: the blocks of a batch, appended. */
#include "bee/flush.h"

#include <assert.h>
#include <stdlib.h>

#include "bee/writer.h"

/* ---- blocks ---- */

static void
write_key (bee__flush_t *f, const bee__fresh_t *fresh, ab_buf_t *out) {
  bee__stored_key_t key = {.key = fresh->key};
  if (fresh->is_outside) {
    key.has_pointer = true;
    key.seq = bee__unit_seq(f, fresh->value_unit);
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
check_block (bee__flush_t *f, uint64_t seq, const bee__block_t *block) {
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
make_page (
  bee__flush_t *f, uint32_t number, const bee__parts_t *parts, const uint32_t *keys, const uint32_t *values
) {
  const bee__unit_t *unit = &f->units[number];
  uint64_t seq = bee__unit_seq(f, number);
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
    place_items(&block, parts, BEE__COHORTS, cohorts, at + unit->value_count);
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
make_block (bee__flush_t *f, uint32_t number, bool has_table, uint32_t previous_core) {
  const bee_batch_t *batch = f->batch;
  const bee__unit_t *unit = &f->units[number];
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
    if ((err = bee__writer_encode(writer, f->family, f->batch->local, f->table_count, f->cores)) < 0)
      return err;
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
make_blocks (bee__flush_t *f) {
  bee_batch_t *batch = f->batch;
  uint32_t previous_core = 0;
  int err = 0;

  if (batch->base_length > 0 && (err = bee__flush_core_index(f, batch->base_core, &previous_core)) < 0)
    return err;
  bool has_table = f->local->writer.table_count > f->table_count;
  for (uint32_t i = 0; i < f->unit_count && err == 0; i++) err = make_block(f, i, has_table, previous_core);
  return err;
}

/* ---- adopt ---- */

static void
adopt_edits (bee__flush_t *f, bee__edits_t *edits, const bee__stored_edits_t *stored) {
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
adopt_node (bee__flush_t *f, uint32_t i) {
  bee__node_t *node = f->nodes[i];
  uint32_t local = f->batch->local;

  for (uint32_t k = 0; k < node->key_count; k++) {
    bee__ref_t *ref = &node->keys[k];
    if (ref->core != BEE__FRESH) continue;
    const bee__fresh_t *fresh = bee__fresh_of(ref->seq);
    *ref =
      (bee__ref_t){.core = local, .seq = bee__unit_seq(f, fresh->unit), .at = fresh->offset | BEE__KNOWN};
  }
  for (uint32_t k = 0; k < node->child_count; k++) {
    bee__node_t *kid = node->kids[k];
    if (kid == NULL) continue;
    node->kids[k] = NULL; /* what was not changed belongs to the batch */
    if (!kid->is_dirty) continue;
    node->children[k] = (bee__ref_t){.core = local, .seq = bee__unit_seq(f, kid->unit), .at = kid->unit_at};
    bee__node_link(node, k, kid);
  }
  const bee__stored_edits_t *stored = &f->stored[(size_t) 2 * i];
  adopt_edits(f, &node->key_edits, &stored[0]);
  adopt_edits(f, &node->child_edits, &stored[1]);
}

static void
adopt (bee__flush_t *f) {
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
  bee__flush_t f = {
    .batch = batch, .family = batch->family, .local = batch->family->cache->cores[batch->local]};
  int err;

  bee__flush_begin(&f);
  if ((err = bee__family_core(batch->family, batch->local, &f.core)) < 0) return err;
  f.base = hypercore_length(f.core);
  if ((err = bee__writer_load(&f.local->writer, f.family, batch->local, f.base)) < 0) return err;
  f.table_count = f.local->writer.table_count;
  f.checkpoint = f.local->writer.checkpoint;
  if ((err = bee__flush_collect(&f)) < 0) goto done;
  for (uint32_t i = 0; i < f.unit_count; i++) {
    if ((err = bee__flush_encode(&f, i)) < 0) goto done;
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
  bee__flush_end(&f);
  return err;
}

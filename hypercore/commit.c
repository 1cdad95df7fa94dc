/* commit.c: from the live tails to the file.
 *
 *   prepare   sign and encode what the live tails need, all that can fail; then freeze: live becomes frozen
 *   write     one transaction with all frozen tails; touches nothing of a core but its frozen tail
 *   adopt     the frozen heads are the committed ones now; cannot fail
 *
 * After a failed write the frozen tails stay: the next commit writes them again, then what is live. Only
 * `write` does I/O on the data file, so it could run on another thread while calls go on between prepare and
 * adopt.
 */
#include "hypercore/core.h"

#include "hypercore/encoding.h"

#include <assert.h>
#include <stdlib.h>

/* ---- prepare ---- */

static int
encode_head (hypercore_t *core) {
  ab__tail_t *tail = &core->tail;
  ab__head_record_t head = {
    .fork = core->live.tree.fork,
    .length = core->live.tree.length,
    .byte_length = core->live.tree.byte_length,
    .contiguous = core->bits.contiguous,
    .changed_ms = tail->changed_ms != 0 ? tail->changed_ms : core->changed_ms,
    .signature = ab_buf_slice(&core->live.signature),
  };
  ab_tree_hash(&core->live.tree, head.tree_hash);
  ab_buf_reset(&tail->head);
  ab__head_record_encode(&tail->head, &head);
  return tail->head.err;
}

static int
encode_record (hypercore_t *core) {
  ab__core_record_t record = {
    .key = core->key,
    .manifest = core->manifest,
    .has_group = core->has_group,
    .group = core->group,
    .ns = core->ns,
    .name = core->name,
  };
  ab_buf_reset(&core->tail.record);
  ab__core_record_encode(&core->tail.record, &record);
  return core->tail.record.err;
}

/* All that can fail on the way of one core's live tail into a frozen one. May be repeated. */
static int
prepare_core (hypercore_t *core, uint64_t now_ms) {
  ab_store_t *store = core->store;
  ab__tail_t *tail = &core->tail;
  bool signs = core->signing == HYPERCORE_SIGN_AT_COMMIT || store->closing || core->sign_at_close;
  int err;

  if (tail->head_changed && signs && (err = ab__core_sign(core, &core->live)) < 0) return err;
  /* Never back, whatever the clock does; 0 stands for none. */
  uint64_t changed_ms = now_ms > core->changed_ms ? now_ms : core->changed_ms;
  tail->changed_ms = tail->content_changed ? changed_ms + (changed_ms == 0) : 0;
  if (tail->head_changed && (err = encode_head(core)) < 0) return err;
  if (tail->record_changed && (err = encode_record(core)) < 0) return err;
  ab__map_reset(&tail->pages, 0);
  if ((err = ab__bitfield_collect(&core->bits, &tail->pages)) < 0) return err;

  ab_buf_reset(&core->frozen_head.signature);
  ab_buf_append(&core->frozen_head.signature, ab_buf_slice(&core->live.signature));
  return core->frozen_head.signature.err;
}

static void
freeze_core (hypercore_t *core) {
  assert(!core->is_frozen && ab__tail_is_empty(&core->frozen));
  ab__tail_t empty = core->frozen;
  core->frozen = core->tail;
  core->tail = empty;
  ab__tree_copy(&core->frozen_head.tree, &core->live.tree);
  core->frozen_head.is_signed = core->live.is_signed;
  core->base = core->live.tree.length;
  ab__bitfield_pin(&core->bits);
  core->is_frozen = true;
  core->next_frozen = core->store->frozen;
  core->store->frozen = core;
}

static int
prepare (ab_store_t *store) {
  assert(store->frozen == NULL);
  int err = ab__secret_save(store->dir, &store->secret);
  if (err < 0) return ab_store_fail(store, err, "writing %s/secret: %s", store->dir, ab_strerror(err));

  uint64_t now_ms = store->env.now_ms(store->env.data);
  for (hypercore_t *core = store->dirty; core != NULL; core = core->next_dirty)
    if ((err = prepare_core(core, now_ms)) < 0) return err;

  /* Nothing below can fail. */
  while (store->dirty != NULL) {
    hypercore_t *core = store->dirty;
    store->dirty = core->next_dirty;
    store->dirty_count--;
    core->is_dirty = false;
    core->next_dirty = NULL;
    if (ab__tail_is_empty(&core->tail)) ab__core_drop_if_unused(core);
    else freeze_core(core);
  }
  return 0;
}

/* ---- write ---- */

static void
put_be (uint8_t *out, uint64_t value, size_t width) {
  for (size_t i = 0; i < width; i++) out[i] = (uint8_t) (value >> (8 * (width - 1 - i)));
}

static ab_slice_t
core_key (uint8_t out[4], const hypercore_t *core) {
  put_be(out, core->number, 4);
  return ab_slice(out, 4);
}

/* What the tail hides goes: blocks from the cut on, the nodes that cover one, and cleared blocks. */
static int
delete_hidden (ab__storage_t *storage, const hypercore_t *core) {
  const ab__tail_t *tail = &core->frozen;
  int err;
  for (size_t i = 0; i < tail->cleared_count; i++) {
    const ab__range_t *range = &tail->cleared[i];
    err = ab__storage_delete_range(storage, AB__BLOCKS, core->number, range->start, range->end);
    if (err != 0) return err;
  }
  if (tail->cut == AB__NO_CUT) return 0;
  err = ab__storage_delete_range(storage, AB__BLOCKS, core->number, tail->cut, UINT64_MAX);
  return err != 0 ? err : ab__storage_delete_range(storage, AB__NODES, core->number, tail->cut, UINT64_MAX);
}

/* The run: one record of nodes per block, all in the order the file has them in. */
static int
put_run (ab__storage_t *storage, const hypercore_t *core) {
  const ab__run_t *run = &core->frozen.run;
  ab_buf_t record = {0};
  size_t node = 0;
  int err = 0;
  for (size_t i = 0; i < run->count && err == 0; i++) {
    if (run->blocks[i].data == NULL) continue;
    err = ab__storage_append_at(storage, AB__BLOCKS, core->number, run->first + i, run->blocks[i]);
  }
  for (size_t i = 0; i < run->count && err == 0; i++) {
    uint64_t index = run->first + i;
    size_t count = (size_t) __builtin_ctzll(index + 1) + 1;
    ab_buf_reset(&record);
    ab__nodes_record_encode(&record, run->nodes + node, count);
    node += count;
    err = record.err < 0
            ? record.err
            : ab__storage_append_at(storage, AB__NODES, core->number, index, ab_buf_slice(&record));
  }
  ab_buf_destroy(&record);
  return err;
}

/* Entries in the order of their keys, which is the order the file has them in. NULL: out of memory. */
static void **
sort_entries (const ab__map_t *map, int (*compare)(const void *a, const void *b)) {
  void **list = malloc((map->count + 1) * sizeof(*list));
  if (list == NULL) return NULL;
  for (size_t i = 0; i < map->count; i++) list[i] = ab__map_entry(map, i);
  qsort(list, map->count, sizeof(*list), compare);
  return list;
}

static int
by_index (const void *a, const void *b) {
  const ab__staged_block_t *x = *(void *const *) a, *y = *(void *const *) b;
  return (x->index > y->index) - (x->index < y->index);
}

static int
put_blocks (ab__storage_t *storage, const hypercore_t *core) {
  const ab__map_t *blocks = &core->frozen.blocks;
  if (blocks->count == 0) return 0;
  void **list = sort_entries(blocks, by_index);
  int err = list == NULL ? AB_ENOMEM : 0;
  for (size_t i = 0; i < blocks->count && err == 0; i++) {
    const ab__staged_block_t *block = list[i];
    err = ab__storage_put_at(storage, AB__BLOCKS, core->number, block->index, block->bytes);
  }
  free(list);
  return err;
}

/* By the block a node ends with, then by depth. */
static int
by_last_block (const void *a, const void *b) {
  const ab_node_t *x = *(void *const *) a, *y = *(void *const *) b;
  uint64_t last_x = ab_flat_rspan(x->index), last_y = ab_flat_rspan(y->index);
  if (last_x != last_y) return last_x > last_y ? 1 : -1;
  return x->index < y->index ? 1 : -1; /* the deeper of two nodes with one last block has the smaller index */
}

/* Nodes that one block ends: into its record, beside those it has. */
static int
put_record_of_nodes (
  ab__storage_t *storage, const hypercore_t *core, const ab_node_t *nodes, size_t count, ab_buf_t *record
) {
  uint64_t block = ab_flat_rspan(nodes[0].index) / 2;
  ab_slice_t old = {0};
  int err = ab__storage_peek_at(storage, AB__NODES, core->number, block, &old);
  if (err != 0 && err != AB_ENOTFOUND) return err;
  ab_buf_reset(record);
  if (err == AB_ENOTFOUND) ab__nodes_record_encode(record, nodes, count);
  else ab__nodes_record_merge(record, old, nodes, count);
  return record->err < 0 ? record->err
                         : ab__storage_put_at(storage, AB__NODES, core->number, block, ab_buf_slice(record));
}

static int
put_nodes (ab__storage_t *storage, const hypercore_t *core) {
  const ab__map_t *map = &core->frozen.nodes;
  if (map->count == 0) return 0;
  void **list = sort_entries(map, by_last_block);
  int err = list == NULL ? AB_ENOMEM : 0;
  ab_buf_t record = {0};
  for (size_t i = 0; i < map->count && err == 0;) {
    ab_node_t nodes[AB_DEPTH_MAX + 1];
    uint64_t last = ab_flat_rspan(((const ab_node_t *) list[i])->index);
    size_t count = 0;
    while (i < map->count && ab_flat_rspan(((const ab_node_t *) list[i])->index) == last) {
      nodes[count++] = *(const ab_node_t *) list[i++];
    }
    err = put_record_of_nodes(storage, core, nodes, count, &record);
  }
  ab_buf_destroy(&record);
  free(list);
  return err;
}

static int
put_pages (ab__storage_t *storage, const hypercore_t *core) {
  const ab__map_t *pages = &core->frozen.pages;
  int err = 0;
  for (size_t i = 0; i < pages->count && err == 0; i++) {
    const ab__staged_page_t *page = ab__map_entry(pages, i);
    uint8_t key[12];
    put_be(key, core->number, 4);
    put_be(key + 4, page->page, 8);
    ab_slice_t at = ab_slice(key, sizeof(key));
    err = page->drop ? ab__storage_delete(storage, AB__BITS, at)
                     : ab__storage_put(storage, AB__BITS, at, ab_slice(page->bytes, sizeof(page->bytes)));
  }
  return err;
}

static int
put_user_data (ab__storage_t *storage, const hypercore_t *core) {
  const ab__tail_t *tail = &core->frozen;
  int err = 0;
  for (size_t i = 0; i < tail->user_data_count && err == 0; i++) {
    const ab__staged_user_data_t *entry = &tail->user_data[i];
    uint8_t key[AB__USER_DATA_KEY_BYTES];
    ab_slice_t at = ab_slice(key, ab__user_data_key(core, entry->name, key));
    if (entry->deleted) {
      err = ab__storage_delete(storage, AB__USER_DATA, at);
      continue;
    }
    ab_buf_t record = {0};
    ab_write_buffer(&record, ab_text(entry->name));
    ab_write_bytes(&record, ab_buf_slice(&entry->value));
    err = record.err < 0 ? record.err : ab__storage_put(storage, AB__USER_DATA, at, ab_buf_slice(&record));
    ab_buf_destroy(&record);
  }
  return err;
}

static int
put_record (ab__storage_t *storage, const hypercore_t *core) {
  uint8_t number[4];
  ab_slice_t at = core_key(number, core);
  int err = ab__storage_put(storage, AB__CORES, at, ab_buf_slice(&core->frozen.record));
  if (err == 0) err = ab__storage_put(storage, AB__KEYS, ab_key_slice(&core->discovery_key), at);
  if (err == 0 && core->name.len > 0) {
    ab_key_t name;
    ab__name_key(&core->ns, core->name, &name);
    err = ab__storage_put(storage, AB__NAMES, ab_key_slice(&name), at);
  }
  return err;
}

static ab_slice_t
group_key (uint8_t out[44], const hypercore_t *core, uint64_t changed_ms) {
  memcpy(out, core->group.bytes, 32);
  put_be(out + 32, changed_ms, 8);
  put_be(out + 40, core->number, 4);
  return ab_slice(out, 44);
}

/* One entry per core, the latest. */
static int
put_group (ab__storage_t *storage, const hypercore_t *core) {
  uint8_t key[44];
  int err = 0;
  if (core->stored_changed_ms != 0) {
    err = ab__storage_delete(storage, AB__GROUPS, group_key(key, core, core->stored_changed_ms));
  }
  if (err != 0) return err;
  ab_slice_t at = group_key(key, core, core->frozen.changed_ms);
  return ab__storage_put(storage, AB__GROUPS, at, ab_key_slice(&core->key));
}

static int
write_core (ab__storage_t *storage, const hypercore_t *core) {
  const ab__tail_t *tail = &core->frozen;
  uint8_t number[4];
  int err = tail->record_changed ? put_record(storage, core) : 0;
  if (err == 0) err = delete_hidden(storage, core);
  if (err == 0) err = put_run(storage, core);
  if (err == 0) err = put_blocks(storage, core);
  if (err == 0) err = put_nodes(storage, core);
  if (err == 0) err = put_pages(storage, core);
  if (err == 0) err = put_user_data(storage, core);
  if (err == 0 && tail->head_changed) {
    err = ab__storage_put(storage, AB__HEADS, core_key(number, core), ab_buf_slice(&tail->head));
  }
  if (err == 0 && core->has_group && tail->changed_ms != 0) err = put_group(storage, core);
  return err;
}

static int
write_once (ab_store_t *store) {
  ab__storage_t *storage = store->storage;
  int err = ab__storage_write_begin(storage);
  for (hypercore_t *core = store->frozen; core != NULL && err == 0; core = core->next_frozen) {
    err = write_core(storage, core);
  }
  if (err == 0 && store->next_number != store->stored_number) {
    uint8_t number[4];
    put_be(number, store->next_number, 4);
    err = ab__storage_put(storage, AB__META, ab_text("cores"), ab_slice(number, sizeof(number)));
  }
  if (err == 0) err = ab__storage_write_commit(storage);
  else ab__storage_write_abort(storage);
  return err;
}

static int
write_frozen (ab_store_t *store) {
  int err;
  while ((err = write_once(store)) == AB__STORAGE_FULL)
    if ((err = ab__storage_grow(store->storage)) < 0) return err;
  return err;
}

/* ---- adopt ---- */

static void
adopt_core (hypercore_t *core) {
  ab_store_t *store = core->store;
  ab__tail_t *frozen = &core->frozen;
  core->is_frozen = false;
  core->next_frozen = NULL;
  if (frozen->head_changed) {
    ab_buf_t spare = core->committed.signature;
    core->committed.signature = core->frozen_head.signature;
    core->frozen_head.signature = spare;
    ab__tree_copy(&core->committed.tree, &core->frozen_head.tree);
    core->committed.is_signed = core->frozen_head.is_signed;
    core->file_is_signed = core->frozen_head.is_signed;
  }
  if (frozen->changed_ms != 0) core->changed_ms = core->stored_changed_ms = frozen->changed_ms;
  store->staged -= store->staged < frozen->staged ? store->staged : frozen->staged;
  ab__tail_reset(frozen);
  ab__bitfield_unpin(&core->bits);
}

static void
adopt (ab_store_t *store) {
  store->stored_number = store->next_number;
  while (store->frozen != NULL) {
    hypercore_t *core = store->frozen;
    store->frozen = core->next_frozen;
    adopt_core(core);
    ab__core_drop_if_unused(core);
  }
}

/* ---- a store in memory ---- */

int
ab__core_commit_in_memory (hypercore_t *core) {
  ab__tail_t *tail = &core->tail;
  bool signs = core->signing == HYPERCORE_SIGN_AT_COMMIT;
  int err = tail->head_changed && signs ? ab__core_sign(core, &core->live) : 0;
  if (err < 0) return err;
  ab_buf_reset(&core->committed.signature);
  ab_buf_append(&core->committed.signature, ab_buf_slice(&core->live.signature));
  if ((err = core->committed.signature.err) < 0) return err;

  ab__tree_copy(&core->committed.tree, &core->live.tree);
  core->committed.is_signed = core->live.is_signed;
  if (tail->content_changed) {
    uint64_t now_ms = core->store->env.now_ms(core->store->env.data);
    core->changed_ms = now_ms > core->changed_ms ? now_ms : core->changed_ms + (core->changed_ms == 0);
  }
  core->base = core->live.tree.length;
  tail->cut = AB__NO_CUT;
  tail->head_changed = tail->content_changed = tail->record_changed = false;
  return 0;
}

static int
commit_in_memory (ab_store_t *store) {
  while (store->dirty != NULL) {
    hypercore_t *core = store->dirty;
    int err = ab__core_commit_in_memory(core);
    if (err < 0) return err;
    store->dirty = core->next_dirty;
    store->dirty_count--;
    core->is_dirty = false;
    core->next_dirty = NULL;
  }
  store->staged = 0;
  return 0;
}

/* ---- both ---- */

static int
commit (ab_store_t *store) {
  int err;
  if (store->storage == NULL) return commit_in_memory(store);
  if (store->frozen != NULL) { /* an earlier commit failed: its state comes first */
    if ((err = write_frozen(store)) < 0) return err;
    adopt(store);
  }
  if ((err = prepare(store)) < 0 || store->frozen == NULL) return err;
  if ((err = write_frozen(store)) < 0) return err;
  adopt(store);
  return 0;
}

int
ab_store_commit (ab_store_t *store) {
  int err = ab__store_check_write(store);
  if (err < 0) return err;
  if (store->committing) return ab_store_fail(store, AB_EBUSY, "a commit is going on");
  if (store->dirty == NULL && store->frozen == NULL && !store->secret.changed) return 0;

  store->committing = true;
  err = commit(store);
  store->committing = false;
  ab__store_tell_committed(store, err);
  return err;
}

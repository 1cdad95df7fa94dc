/* batch.c: batches, from begin to flush or abort. */
#include <stdlib.h>

#include "bee/handle.h"
#include "hypercore/internal.h"

bee_write_options_t
bee_write_options_default (void) {
  bee_write_options_t options = {
    .struct_size = sizeof(options), .delta_max = 16, .inline_value_size = 1024, .preferred_block_size = 4096};
  return options;
}

/* ---- the private tree ---- */

int
bee__batch_root (bee_batch_t *batch, bee__node_t **out) {
  if (batch->root == NULL) return bee__family_root(batch->family, batch->base_core, batch->base_length, out);
  *out = batch->root;
  return 0;
}

int
bee__batch_child (bee_batch_t *batch, bee__node_t *node, uint32_t i, bee__node_t **out) {
  if (node->page != NULL) return bee__family_child(batch->family, node, i, out);
  if (node->kids == NULL || node->kids[i] == NULL)
    return bee__family_node(batch->family, &node->children[i], out);
  *out = node->kids[i];
  return 0;
}

void
bee__batch_own (bee_batch_t *batch, bee__node_t *node) {
  node->item.prev = NULL;
  node->item.next = batch->nodes;
  if (batch->nodes != NULL) batch->nodes->prev = &node->item;
  batch->nodes = &node->item;
  batch->node_count++;
}

void
bee__batch_disown (bee_batch_t *batch, bee__node_t *node) {
  bee__item_t *item = &node->item;
  if (item->prev != NULL) item->prev->next = item->next;
  else batch->nodes = item->next;
  if (item->next != NULL) item->next->prev = item->prev;
  item->prev = item->next = NULL;
  batch->node_count--;
}

/* A node that was made private and then not changed can go back where it was taken from. */
static bool
give_back (bee_batch_t *batch, bee__node_t *node) {
  bee__core_t *local = batch->family->cache->cores[batch->local];
  if (node->is_dirty || node->place.core != batch->local || local->generation != batch->generation)
    return false;
  bee__page_t *page = bee__cache_find(batch->family->cache, node->place.core, node->place.seq);
  if (page == NULL || node->place.at >= page->node_max || page->nodes[node->place.at] != NULL) return false;
  for (uint32_t i = 0; i < node->child_count; i++) node->kids[i] = NULL;
  bee__cache_insert_node(batch->family->cache, page, node->place.at, node);
  return true;
}

static void
destroy_nodes (bee_batch_t *batch) {
  while (batch->nodes != NULL) {
    bee__node_t *node = bee__node_of(batch->nodes);
    bee__batch_disown(batch, node);
    if (!give_back(batch, node)) bee__node_destroy(node);
  }
  batch->root = NULL;
}

/* Start from the empty tree: a root that is to be written, whatever comes. */
static int
start_empty (bee_batch_t *batch) {
  bee__node_t *root = bee__node_create(batch->bee->degree, 16, 0);
  if (root == NULL) return AB_ENOMEM;
  destroy_nodes(batch);
  ab_arena_destroy(&batch->arena);
  batch->fresh_count = 0;
  batch->applied = 0;
  batch->base_length = 0;
  batch->root_place = (bee__ref_t){.core = batch->base_core};
  root->place = batch->root_place;
  root->is_dirty = true;
  bee__batch_own(batch, root);
  batch->root = root;
  return 0;
}

/* ---- begin and end ---- */

static void
batch_destroy (bee_batch_t *batch) {
  bee__cursors_end(batch);
  bee__held_release(&batch->held);
  destroy_nodes(batch);
  ab_arena_destroy(&batch->arena);
  batch->family->cache->cores[batch->local]->has_batch = false;
  bee__family_release(batch->family);
  free(batch);
}

int
bee_batch_begin (bee_t *bee, const bee_write_options_t *options, bee_batch_t **out) {
  bee_write_options_t known = bee_write_options_default();
  bee__core_t *core = bee->family->cache->cores[bee->local];
  ab_store_t *store = bee->family->store;
  uint32_t base_core = bee->root_length > 0 ? bee->root_core : bee->current;
  uint64_t base_length = bee->root_length;
  hypercore_t *local;
  int err;

  if (options != NULL) {
    size_t size = options->struct_size;
    if (size < sizeof(known.struct_size) || size > sizeof(known)) return AB_EINVAL;
    memcpy(&known, options, size);
  }
  if (bee->is_checkout) return ab_store_fail(store, AB_EREADONLY, "a checkout of a bee cannot be written to");
  if (core->has_batch) return ab_store_fail(store, AB_EBUSY, "another batch of this bee's core is open");
  if (known.base != NULL) {
    base_length = known.base->length;
    if ((err = bee__cache_number(bee->family->cache, &known.base->key, &base_core)) < 0) return err;
  }
  if ((err = bee__family_core(bee->family, bee->local, &local)) < 0) return err;
  bee_batch_t *batch = calloc(1, sizeof(*batch));
  if (batch == NULL) return AB_ENOMEM;
  batch->generation = core->generation;
  batch->bee = bee;
  batch->options = known;
  batch->options.base = NULL; /* the caller's memory */
  batch->family = bee->family;
  batch->local = bee->local;
  batch->current = bee->current;
  batch->base_core = base_core;
  batch->base_length = base_length;
  if (base_length == 0) {
    if ((err = start_empty(batch)) < 0) {
      free(batch);
      return err;
    }
  } else {
    batch->root_place = (bee__ref_t){.core = base_core, .seq = base_length - 1};
  }
  bee__family_retain(bee->family);
  core->has_batch = true;
  *out = batch;
  return 0;
}

void
bee_batch_abort (bee_batch_t *batch) {
  if (batch != NULL) batch_destroy(batch);
}

static void
move_root (bee_batch_t *batch, uint32_t core, uint64_t length) {
  if (batch->options.stay) return;
  batch->bee->root_core = core;
  batch->bee->root_length = length;
}

int
bee_batch_flush (bee_batch_t *batch, bee_flush_t *result) {
  bee_flush_t done = {.applied = batch->applied};
  hypercore_t *local;
  int err;

  bee__cache_trim(batch->family->cache);
  if ((err = bee__family_core(batch->family, batch->local, &local)) < 0) return err;
  if (batch->family->cache->cores[batch->local]->generation != batch->generation) {
    return ab_store_fail(batch->family->store, AB_ECONFLICT, "the core lost blocks while the batch was open");
  }
  bool is_dirty = batch->root != NULL && batch->root->is_dirty;
  bool is_idle = batch->base_length == 0 && batch->applied == 0;
  if (!is_dirty || (is_idle && hypercore_length(local) > 0)) {
    move_root(batch, batch->base_core, batch->base_length);
  } else {
    if ((err = bee__batch_write(batch, &done.blocks)) < 0) return err;
    move_root(batch, batch->local, hypercore_length(local));
  }
  if (result != NULL) *result = done;
  batch_destroy(batch);
  return 0;
}

/* ---- operations ---- */

static int
count_applied (bee_batch_t *batch, int err, bool applied) {
  if (applied) {
    batch->applied++;
    batch->version++;
  }
  return err;
}

int
bee_batch_put (bee_batch_t *batch, ab_slice_t key, ab_slice_t value) {
  bool applied;
  bee__cache_trim(batch->family->cache);
  int err = bee__batch_put(batch, key, value, true, &applied);
  return count_applied(batch, err, applied);
}

int
bee_batch_put_absent (bee_batch_t *batch, ab_slice_t key) {
  bool applied;
  bee__cache_trim(batch->family->cache);
  int err = bee__batch_put(batch, key, ab_slice(NULL, 0), false, &applied);
  return count_applied(batch, err, applied);
}

int
bee_batch_del (bee_batch_t *batch, ab_slice_t key) {
  bool applied;
  bee__cache_trim(batch->family->cache);
  int err = bee__batch_del(batch, key, &applied);
  return count_applied(batch, err, applied);
}

int
bee_batch_clear (bee_batch_t *batch) {
  int err = start_empty(batch);
  if (err == 0) batch->version++;
  return err;
}

int
bee_batch_get (bee_batch_t *batch, ab_slice_t key, bee_entry_t *entry) {
  bee__node_t *node;
  bee__path_t path;
  uint32_t i;
  bool found;
  int err;

  bee__cache_trim(batch->family->cache);
  err = bee__batch_root(batch, &node);
  for (path.depth = 0; err == 0; path.depth++) {
    if (path.depth == BEE__DEPTH_MAX) {
      return bee__family_corrupt(
        batch->family, node->place.core, node->place.seq, "lies deeper than any tree"
      );
    }
    if ((err = bee__node_search(batch->family, node, key, &path, &i, &found)) < 0) return err;
    if (found) return bee__batch_entry(batch, &node->keys[i], entry);
    if (node->child_count == 0) return AB_ENOTFOUND;
    path.steps[path.depth] = (bee__step_t){.node = node, .position = i};
    err = bee__batch_child(batch, node, i, &node);
  }
  return err;
}

int
bee__batch_entry (bee_batch_t *batch, const bee__ref_t *ref, bee_entry_t *entry) {
  if (ref->core != BEE__FRESH) return bee__family_entry(batch->family, ref, &batch->held, entry);
  const bee__fresh_t *fresh = bee__fresh_of(ref->seq);
  *entry = (bee_entry_t){.key = fresh->key, .value = fresh->value, .has_value = fresh->has_value};
  return 0;
}

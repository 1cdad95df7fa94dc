/* bee.c: bees and checkouts, their roots, and lookups. */
#include "bee/bee.h"

#include <assert.h>
#include <stdlib.h>

#include "bee/handle.h"
#include "hypercore/internal.h"

bee_options_t
bee_options_default (void) {
  bee_options_t options = {.struct_size = sizeof(options), .degree = BEE_DEGREE_DEFAULT};
  return options;
}

int
bee_open (hypercore_t *local, const bee_options_t *options, bee_t **out) {
  bee_options_t known = bee_options_default();
  int err;

  if (options != NULL) {
    size_t size = options->struct_size;
    if (size < sizeof(known.struct_size) || size > sizeof(known)) return AB_EINVAL;
    memcpy(&known, options, size);
  }
  if (known.degree < 2 || known.degree > BEE_DEGREE_MAX) return AB_EINVAL;
  bee_t *bee = calloc(1, sizeof(*bee));
  if (bee == NULL) return AB_ENOMEM;
  if ((err = bee__family_create(local, &known, &bee->family, &bee->local)) < 0) {
    free(bee);
    return err;
  }
  bee->degree = known.degree;
  bee->current = bee->root_core = bee->local;
  bee->root_length = hypercore_length(local);
  *out = bee;
  return 0;
}

void
bee_close (bee_t *bee) {
  if (bee == NULL) return;
  bee__held_release(&bee->held);
  bee__family_release(bee->family);
  free(bee);
}

int
bee_checkout (bee_t *bee, const ab_head_t *head, bee_t **out) {
  uint32_t core;
  int err = bee__cache_number(bee->family->cache, &head->key, &core);
  if (err < 0) return err;
  bee_t *checkout = calloc(1, sizeof(*checkout));
  if (checkout == NULL) return AB_ENOMEM;
  checkout->family = bee__family_retain(bee->family);
  checkout->local = bee->local;
  checkout->current = checkout->root_core = core;
  checkout->root_length = head->length;
  checkout->degree = bee->degree;
  checkout->is_checkout = true;
  *out = checkout;
  return 0;
}

int
bee_move (bee_t *bee, const ab_key_t *key, uint64_t length) {
  uint32_t core = bee->current;
  if (key != NULL) {
    int err = bee__cache_number(bee->family->cache, key, &core);
    if (err < 0) return err;
  }
  bee->current = bee->root_core = core;
  bee->root_length = length;
  return 0;
}

void
bee_head (const bee_t *bee, ab_head_t *out) {
  out->key = *bee__family_key(bee->family, bee->root_length > 0 ? bee->root_core : bee->current);
  out->length = bee->root_length;
}

hypercore_t *
bee_local (const bee_t *bee) {
  return bee->family->cores[bee->local];
}

int
bee_rollback (bee_t *bee, uint64_t length) {
  bee__family_t *family = bee->family;
  bee__core_t *shared = family->cache->cores[bee->local];
  hypercore_t *core;
  int err;

  if (bee->is_checkout)
    return ab_store_fail(family->store, AB_EREADONLY, "a checkout of a bee cannot be rolled back");
  if (shared->has_batch) return ab_store_fail(family->store, AB_EBUSY, "a batch of this bee's core is open");
  if (bee->root_length > length && bee->root_core == bee->local) {
    return ab_store_fail(family->store, AB_EINVAL, "the root of the bee lies in what is to be dropped");
  }
  if ((err = bee__family_core(family, bee->local, &core)) < 0) return err;
  uint64_t before = hypercore_length(core);
  if ((err = hypercore_rollback(core, length)) < 0) return err;
  bee__cache_drop(family->cache, bee->local, length, before);
  shared->generation = hypercore_generation(core); /* what is left is as it was */
  return 0;
}

void
bee_forget (bee_t *bee, uint64_t length) {
  bee__cache_drop(bee->family->cache, bee->local, length, hypercore_length(bee_local(bee)));
}

int
bee_get (bee_t *bee, ab_slice_t key, bee_entry_t *entry) {
  bee__family_t *family = bee->family;
  bee__node_t *node;
  bee__path_t path;
  uint32_t i;
  bool found;
  int err;

  bee__cache_trim(family->cache);
  if (bee->root_length == 0) return AB_ENOTFOUND;
  err = bee__family_root(family, bee->root_core, bee->root_length, &node);
  for (path.depth = 0; err == 0; path.depth++) {
    if (path.depth == BEE__DEPTH_MAX) {
      return bee__family_corrupt(family, node->place.core, node->place.seq, "lies deeper than any tree");
    }
    if ((err = bee__node_search(family, node, key, &path, &i, &found)) < 0) return err;
    if (found) return bee__family_entry(family, &node->keys[i], &bee->held, entry);
    if (node->child_count == 0) return AB_ENOTFOUND;
    path.steps[path.depth] = (bee__step_t){.node = node, .position = i};
    err = bee__family_child(family, node, i, &node);
  }
  return err;
}

int
bee_cores (bee_t *bee, int (*each)(void *data, const ab_key_t *key), void *data) {
  bee__family_t *family = bee->family;
  hypercore_t *core;
  bee__page_t *page;
  int err;

  bee__cache_trim(family->cache);
  if ((err = bee__family_core(family, bee->current, &core)) < 0) return err;
  ab_key_t key = *bee__family_key(family, bee->current);
  if ((err = each(data, &key)) != 0) return err;
  if (hypercore_length(core) == 0) return 0;
  if ((err = bee__family_page(family, bee->current, hypercore_length(core) - 1, &page)) < 0) return err;
  uint64_t checkpoint = page->block.checkpoint;
  if (checkpoint == 0) return 0;
  if ((err = bee__family_page(family, bee->current, checkpoint - 1, &page)) < 0) return err;

  bee__page_pin(page);
  for (uint32_t i = 0; err == 0 && i < page->block.lists[BEE__CORES].count; i++) {
    ab_reader_t in;
    bee__stored_core_t entry;
    if ((err = bee__block_item(&page->block, BEE__CORES, i, &in)) < 0) break;
    bee__read_stored_core(&in, &entry);
    err = each(data, &entry.key);
  }
  bee__page_unpin(page);
  return err;
}

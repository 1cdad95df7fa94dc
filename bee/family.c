/* family.c: opened cores and the blocks and nodes read from them. */
#include "bee/family.h"

#include <stdlib.h>

#include "hypercore/internal.h"

/* ---- cores ---- */

static int
adopt_core (bee__family_t *family, uint32_t number, hypercore_t *core) {
  if (number >= family->core_capacity) {
    uint32_t capacity = family->cache->core_capacity;
    hypercore_t **cores = realloc(family->cores, capacity * sizeof(*cores));
    if (cores == NULL) return AB_ENOMEM;
    for (uint32_t i = family->core_capacity; i < capacity; i++) cores[i] = NULL;
    family->cores = cores;
    family->core_capacity = capacity;
  }
  family->cores[number] = core;
  bee__core_t *shared = family->cache->cores[number];
  if (shared->opens++ == 0) shared->generation = hypercore_generation(core);
  return 0;
}

int
bee__family_create (hypercore_t *local, const bee_options_t *options, bee__family_t **out, uint32_t *number) {
  bee__family_t *family = calloc(1, sizeof(*family));
  if (family == NULL) return AB_ENOMEM;
  int err;

  family->refs = 1;
  family->store = hypercore_store(local);
  family->open_core = options->open_core;
  family->open_core_data = options->open_core_data;
  if ((err = bee__cache_of(family->store, &family->cache)) < 0) goto fail;
  if ((err = bee__cache_number(family->cache, hypercore_key(local), number)) < 0) goto fail;
  if ((err = adopt_core(family, *number, local)) < 0) goto fail;
  hypercore_retain(local);
  *out = family;
  return 0;

fail:
  free(family->cores);
  free(family);
  return err;
}

bee__family_t *
bee__family_retain (bee__family_t *family) {
  family->refs++;
  return family;
}

void
bee__family_release (bee__family_t *family) {
  if (family == NULL || --family->refs > 0) return;
  for (uint32_t i = 0; i < family->core_capacity; i++) {
    if (family->cores[i] == NULL) continue;
    bee__core_t *shared = family->cache->cores[i];
    if (--shared->opens == 0) { /* from here nobody sees what happens to the core */
      if (shared->page_count > 0) bee__cache_drop(family->cache, i, 0, UINT64_MAX);
      shared->writer.length = 0;
    }
    hypercore_close(family->cores[i]);
  }
  free(family->cores);
  free(family);
}

static int
open_core (bee__family_t *family, uint32_t number, hypercore_t **out) {
  const ab_key_t *key = bee__family_key(family, number);
  int err;

  if (family->open_core != NULL) {
    err = family->open_core(family->open_core_data, key, out);
  } else {
    hypercore_options_t options = hypercore_options_default();
    options.key = key;
    err = hypercore_open(family->store, &options, out);
  }
  if (err < 0) return err;
  if ((err = adopt_core(family, number, *out)) < 0) hypercore_close(*out);
  return err;
}

int
bee__family_core (bee__family_t *family, uint32_t core, hypercore_t **out) {
  if (core < family->core_capacity && family->cores[core] != NULL) {
    *out = family->cores[core];
  } else {
    int err = open_core(family, core, out);
    if (err < 0) return err;
  }
  bee__core_t *shared = family->cache->cores[core];
  uint64_t generation = hypercore_generation(*out);
  if (generation != shared->generation) {
    bee__cache_drop(family->cache, core, 0, UINT64_MAX);
    shared->generation = generation;
  }
  return 0;
}

/* ---- blocks ---- */

int
bee__family_corrupt (bee__family_t *family, uint32_t core, uint64_t seq, const char *what) {
  char key[AB_KEY_TEXT_LEN + 1];
  ab_key_to_text(bee__family_key(family, core), key);
  return ab_store_fail(
    family->store, AB_ECORRUPT, "block %llu of the tree in core %s: %s", (unsigned long long) seq, key, what
  );
}

static int
read_page (bee__family_t *family, hypercore_t *core, uint32_t number, uint64_t seq, bee__page_t **out) {
  bee__cache_t *cache = family->cache;
  ab_slice_t data;
  bee__block_t block;

  int err = hypercore_get(core, seq, &data);
  if (err == AB_ENOTFOUND) return bee__family_corrupt(family, number, seq, "is pointed to, but past the end");
  if (err < 0) return err;
  if ((err = bee__block_scan(data, seq, &cache->scan, &block)) < 0) {
    return err == AB_ECORRUPT ? bee__family_corrupt(family, number, seq, "does not decode") : err;
  }
  if ((*out = bee__page_create(number, seq, &block)) == NULL) return AB_ENOMEM;
  bee__cache_insert(cache, *out);
  return 0;
}

int
bee__family_page (bee__family_t *family, uint32_t core, uint64_t seq, bee__page_t **out) {
  hypercore_t *handle;
  int err = bee__family_core(family, core, &handle);
  if (err < 0) return err;
  *out = bee__cache_find(family->cache, core, seq);
  if (*out == NULL) return read_page(family, handle, core, seq, out);
  (*out)->item.used = true;
  return 0;
}

int
bee__family_resolve (bee__family_t *family, bee__page_t *page, uint64_t relative, uint32_t *core) {
  if (relative == 0) {
    *core = page->core;
    return 0;
  }
  bee__page_t *table;
  ab_reader_t in;
  bee__stored_core_t entry;
  int err;

  if (page->block.checkpoint == 0) goto bad;
  if ((err = bee__family_page(family, page->core, page->block.checkpoint - 1, &table)) < 0) return err;
  if (relative > table->block.lists[BEE__CORES].count) goto bad;
  uint32_t *number = &table->core_numbers[relative - 1];
  if (*number == BEE__NO_CORE) {
    if (bee__block_item(&table->block, BEE__CORES, relative - 1, &in) < 0) goto bad;
    bee__read_stored_core(&in, &entry);
    if ((err = bee__cache_number(family->cache, &entry.key, number)) < 0) return err;
  }
  *core = *number;
  return 0;

bad:
  return bee__family_corrupt(family, page->core, page->seq, "names a core that its table does not have");
}

/* ---- nodes ---- */

int
bee__family_node (bee__family_t *family, const bee__ref_t *place, bee__node_t **out) {
  hypercore_t *handle;
  int err = bee__family_core(family, place->core, &handle);
  if (err < 0) return err;
  bee__page_t *page = bee__cache_find(family->cache, place->core, place->seq);
  if (page != NULL && place->at < page->node_max && page->nodes[place->at] != NULL) {
    *out = page->nodes[place->at];
    (*out)->item.used = true;
    return 0;
  }
  if (page == NULL && (err = read_page(family, handle, place->core, place->seq, &page)) < 0) return err;
  if ((err = bee__node_build(family, page, place->at, out)) < 0) return err;
  bee__cache_insert_node(family->cache, page, place->at, *out);
  return 0;
}

int
bee__family_child (bee__family_t *family, bee__node_t *node, uint32_t i, bee__node_t **out) {
  hypercore_t *handle;
  int err = bee__family_core(family, node->children[i].core, &handle);
  if (err < 0) return err;
  if (node->kids != NULL && node->kids[i] != NULL) {
    *out = node->kids[i];
    (*out)->item.used = true;
    return 0;
  }
  if ((err = bee__family_node(family, &node->children[i], out)) < 0) return err;
  if (node->page != NULL) bee__node_link(node, i, *out);
  return 0;
}

int
bee__family_root (bee__family_t *family, uint32_t core, uint64_t length, bee__node_t **out) {
  bee__ref_t place = {.core = core, .seq = length - 1};
  int err = bee__family_node(family, &place, out);
  if (err == 0 && (*out)->page->block.batch_end != 0) {
    return bee__family_corrupt(family, core, place.seq, "is not the end of a batch");
  }
  return err;
}

/* ---- entries ---- */

void
bee__held_release (bee__held_t *held) {
  if (held->key != NULL) bee__page_unpin(held->key);
  if (held->value != NULL) bee__page_unpin(held->value);
  *held = (bee__held_t){0};
}

int
bee__family_value (
  bee__family_t *family,
  bee__page_t *page,
  const bee__stored_key_t *key,
  ab_slice_t *value,
  bool *has_value,
  bee__page_t **where
) {
  *where = page;
  *value = key->value;
  *has_value = key->has_value;
  if (key->has_value || !key->has_pointer) return 0;

  uint32_t core;
  ab_reader_t in;
  int err;
  if (key->split > 0)
    return bee__family_corrupt(family, page->core, page->seq, "has a value in several blocks");
  if ((err = bee__family_resolve(family, page, key->core, &core)) < 0) return err;
  if ((err = bee__family_page(family, core, key->seq, where)) < 0) return err;
  if (bee__block_item(&(*where)->block, BEE__VALUES, key->offset, &in) < 0) {
    return bee__family_corrupt(family, core, key->seq, "lacks a value that is pointed to");
  }
  *value = ab_read_buffer(&in);
  *has_value = true;
  return in.err;
}

int
bee__family_read (
  bee__family_t *family, const bee__ref_t *ref, const bee__held_t *near, bee__held_t *held, bee_entry_t *entry
) {
  bee__page_t *page = near->key;
  bee__page_t *where;
  bee__stored_key_t key;
  ab_reader_t in;
  ab_slice_t value;
  bool has_value;
  int err;

  if (page == NULL || page->detached || page->seq != ref->seq || page->core != ref->core) {
    if ((err = bee__family_page(family, ref->core, ref->seq, &page)) < 0) return err;
  }
  if (bee__block_item(&page->block, BEE__KEYS, ref->at & ~BEE__KNOWN, &in) < 0) {
    return bee__family_corrupt(family, ref->core, ref->seq, "lacks a key that is pointed to");
  }
  bee__read_stored_key(&in, &key);
  if ((err = bee__family_value(family, page, &key, &value, &has_value, &where)) < 0) return err;

  bee__page_pin(page);
  if (where != page) bee__page_pin(where);
  held->key = page;
  held->value = where != page ? where : NULL;
  entry->key = key.key;
  entry->value = value;
  entry->has_value = has_value;
  entry->core = *bee__family_key(family, ref->core);
  entry->seq = ref->seq;
  entry->offset = ref->at & ~BEE__KNOWN;
  return 0;
}

int
bee__family_entry (bee__family_t *family, const bee__ref_t *ref, bee__held_t *held, bee_entry_t *entry) {
  bee__held_t next;
  int err = bee__family_read(family, ref, held, &next, entry);
  if (err < 0) return err;
  bee__held_release(held);
  *held = next;
  return 0;
}

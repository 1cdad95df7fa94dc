/* cache.c: the store's memory of blocks and nodes. */
#include "bee/cache.h"

#include <assert.h>
#include <stdlib.h>

#include "bee/node.h"
#include "hypercore/internal.h"

#define BUCKETS_FIRST 1024
#define CORES_FIRST 16

/* Which blocks a tree points to is up to its writers: the seeds keep them from choosing one bucket. */
static inline uint64_t
mix (uint64_t a, uint64_t b) {
  __extension__ unsigned __int128 product = (unsigned __int128) a * b;
  return (uint64_t) product ^ (uint64_t) (product >> 64);
}

static void
cache_destroy (void *data) {
  bee__cache_t *cache = data;
  for (size_t i = 0; i < cache->bucket_count; i++) {
    bee__page_t *page = cache->buckets[i];
    while (page != NULL) {
      bee__page_t *next = page->hash_next;
      bee__page_destroy(page);
      page = next;
    }
  }
  free(cache->buckets);
  for (uint32_t i = 0; i < cache->core_count; i++) {
    free(cache->cores[i]->writer.table);
    free(cache->cores[i]->writer.indexes);
    free(cache->cores[i]);
  }
  free(cache->cores);
  free(cache->core_buckets);
  bee__scan_destroy(&cache->scan);
  for (int i = 0; i < BEE__ROOMS; i++) ab_buf_destroy(&cache->rooms[i]);
  free(cache);
}

int
bee__cache_of (ab_store_t *store, bee__cache_t **out) {
  void **slot = ab_store_slot(store, cache_destroy);
  if (*slot != NULL) {
    *out = *slot;
    return 0;
  }
  bee__cache_t *cache = calloc(1, sizeof(*cache));
  if (cache == NULL) return AB_ENOMEM;
  cache->buckets = calloc(BUCKETS_FIRST, sizeof(*cache->buckets));
  if (cache->buckets == NULL) {
    free(cache);
    return AB_ENOMEM;
  }
  cache->bucket_count = BUCKETS_FIRST;
  cache->store = store;
  cache->bytes_max = ab_store_options(store)->cache_bytes;
  const ab_env_t *env = ab_store_env(store);
  env->random(env->data, (uint8_t *) cache->seeds, sizeof(cache->seeds));
  *slot = cache;
  *out = cache;
  return 0;
}

/* ---- core numbers ---- */

static uint32_t
core_bucket (const bee__cache_t *cache, const ab_key_t *key) {
  uint64_t words[4];
  memcpy(words, key->bytes, sizeof(words));
  uint64_t hash = mix(words[0] ^ cache->seeds[0], words[1] ^ cache->seeds[1]);
  hash = mix(hash ^ words[2], words[3] ^ cache->seeds[0]);
  return (uint32_t) hash & (cache->core_bucket_count - 1);
}

static int
grow_cores (bee__cache_t *cache) {
  uint32_t capacity = cache->core_capacity == 0 ? CORES_FIRST : cache->core_capacity * 2;
  bee__core_t **cores = realloc(cache->cores, capacity * sizeof(*cores));
  if (cores == NULL) return AB_ENOMEM;
  cache->cores = cores;
  uint32_t *buckets = calloc((size_t) capacity * 2, sizeof(*buckets));
  if (buckets == NULL) return AB_ENOMEM;
  free(cache->core_buckets);
  cache->core_buckets = buckets;
  cache->core_bucket_count = capacity * 2;
  cache->core_capacity = capacity;
  for (uint32_t i = 0; i < cache->core_count; i++) {
    uint32_t at = core_bucket(cache, &cores[i]->key);
    while (buckets[at] != 0) at = (at + 1) & (cache->core_bucket_count - 1);
    buckets[at] = i + 1;
  }
  return 0;
}

int
bee__cache_number (bee__cache_t *cache, const ab_key_t *key, uint32_t *number) {
  int err;
  if (cache->core_count == cache->core_capacity && (err = grow_cores(cache)) < 0) return err;
  uint32_t at = core_bucket(cache, key);
  for (; cache->core_buckets[at] != 0; at = (at + 1) & (cache->core_bucket_count - 1)) {
    uint32_t found = cache->core_buckets[at] - 1;
    if (!ab_key_equal(&cache->cores[found]->key, key)) continue;
    *number = found;
    return 0;
  }
  bee__core_t *core = calloc(1, sizeof(*core));
  if (core == NULL) return AB_ENOMEM;
  core->key = *key;
  *number = cache->core_count;
  cache->cores[cache->core_count++] = core;
  cache->core_buckets[at] = *number + 1;
  return 0;
}

/* ---- the ring ---- */

static bee__page_t *
page_of (const bee__item_t *item) {
  return (bee__page_t *) (void *) ((const uint8_t *) item - offsetof(bee__page_t, item));
}

static void
ring_insert (bee__cache_t *cache, bee__item_t *item) {
  assert(item->next == NULL);
  if (cache->hand == NULL) {
    item->prev = item->next = item;
    cache->hand = item;
  } else {
    item->next = cache->hand; /* the hand comes to it last */
    item->prev = cache->hand->prev;
    item->prev->next = item;
    item->next->prev = item;
  }
  cache->bytes += item->bytes;
  cache->item_count++;
}

static void
ring_remove (bee__cache_t *cache, bee__item_t *item) {
  if (item->next == NULL) return;
  if (cache->hand == item) cache->hand = item->next == item ? NULL : item->next;
  item->prev->next = item->next;
  item->next->prev = item->prev;
  item->prev = item->next = NULL;
  cache->bytes -= item->bytes;
  cache->item_count--;
}

/* ---- pages ---- */

static inline size_t
bucket_of (const bee__cache_t *cache, uint32_t core, uint64_t seq) {
  return (size_t) mix(seq ^ cache->seeds[0], core ^ cache->seeds[1]) & (cache->bucket_count - 1);
}

bee__page_t *
bee__cache_find (const bee__cache_t *cache, uint32_t core, uint64_t seq) {
  bee__page_t *page = cache->buckets[bucket_of(cache, core, seq)];
  while (page != NULL && (page->seq != seq || page->core != core)) page = page->hash_next;
  return page;
}

void
bee__cache_prefetch_page (const bee__cache_t *cache, uint32_t core, uint64_t seq) {
  const bee__page_t *page = cache->buckets[bucket_of(cache, core, seq)];
  if (page != NULL) __builtin_prefetch(page);
}

void
bee__cache_prefetch_offset (const bee__cache_t *cache, uint32_t core, uint64_t seq, uint32_t key) {
  const bee__page_t *page = bee__cache_find(cache, core, seq);
  if (page != NULL && key < page->block.lists[BEE__KEYS].count)
    __builtin_prefetch(page->block.lists[BEE__KEYS].at + key);
}

void
bee__cache_prefetch_key (const bee__cache_t *cache, uint32_t core, uint64_t seq, uint32_t key) {
  const bee__page_t *page = bee__cache_find(cache, core, seq);
  if (page == NULL || key >= page->block.lists[BEE__KEYS].count) return;
  __builtin_prefetch(page->block.data.data + page->block.lists[BEE__KEYS].at[key]);
}

bee__page_t *
bee__page_create (uint32_t core, uint64_t seq, const bee__block_t *block) {
  size_t nodes = block->lists[BEE__TREE].count;
  size_t cores = block->lists[BEE__CORES].count;
  size_t items = 0;
  for (int i = 0; i < BEE__LISTS; i++) items += block->lists[i].count;
  size_t head = sizeof(bee__page_t) + nodes * sizeof(bee__node_t *);
  size_t len = head + (items + cores) * sizeof(uint32_t) + block->data.len;

  bee__page_t *page = malloc(len);
  if (page == NULL) return NULL;
  memset(page, 0, head);
  page->core = core;
  page->seq = seq;
  page->node_max = (uint32_t) nodes;
  page->item.bytes = len;
  page->block = *block;
  page->core_numbers = (uint32_t *) (void *) ((uint8_t *) page + head);
  memset(page->core_numbers, 0xff, cores * sizeof(uint32_t));
  uint32_t *at = page->core_numbers + cores;
  for (int i = 0; i < BEE__LISTS; i++) {
    bee__list_t *list = &page->block.lists[i];
    if (list->count > 0) memcpy(at, list->at, list->count * sizeof(uint32_t));
    list->at = at;
    at += list->count;
  }
  memcpy(at, block->data.data, block->data.len);
  page->block.data.data = (const uint8_t *) at;
  return page;
}

void
bee__page_destroy (bee__page_t *page) {
  if (page == NULL) return;
  for (uint32_t i = 0; page->node_count > 0 && i < page->node_max; i++) bee__node_destroy(page->nodes[i]);
  free(page);
}

/* More buckets are welcome, not needed. */
static void
grow_buckets (bee__cache_t *cache) {
  size_t count = cache->bucket_count * 2;
  bee__page_t **buckets = calloc(count, sizeof(*buckets));
  if (buckets == NULL) return;
  bee__page_t **old = cache->buckets;
  size_t old_count = cache->bucket_count;
  cache->buckets = buckets;
  cache->bucket_count = count;
  for (size_t i = 0; i < old_count; i++) {
    bee__page_t *page = old[i];
    while (page != NULL) {
      bee__page_t *next = page->hash_next;
      bee__page_t **bucket = &buckets[bucket_of(cache, page->core, page->seq)];
      page->hash_next = *bucket;
      *bucket = page;
      page = next;
    }
  }
  free(old);
}

static void
unhash (bee__cache_t *cache, bee__page_t *page) {
  bee__page_t **link = &cache->buckets[bucket_of(cache, page->core, page->seq)];
  while (*link != page) link = &(*link)->hash_next;
  *link = page->hash_next;
  cache->page_count--;
  cache->cores[page->core]->page_count--;
}

void
bee__cache_take_node (bee__cache_t *cache, bee__node_t *node) {
  bee__page_t *page = node->page;
  assert(page->nodes[node->place.at] == node);
  bee__node_unlink(node);
  page->nodes[node->place.at] = NULL;
  page->node_count--;
  node->page = NULL;
  ring_remove(cache, &node->item);
}

static void
drop_node (bee__cache_t *cache, bee__node_t *node) {
  bee__cache_take_node(cache, node);
  if (node->item.pins == 0) bee__node_destroy(node);
}

static void
drop_page (bee__cache_t *cache, bee__page_t *page) {
  for (uint32_t i = 0; page->node_count > 0 && i < page->node_max; i++) {
    if (page->nodes[i] != NULL) drop_node(cache, page->nodes[i]);
  }
  ring_remove(cache, &page->item);
  unhash(cache, page);
  page->detached = true;
  if (page->item.pins == 0) bee__page_destroy(page);
}

void
bee__cache_insert (bee__cache_t *cache, bee__page_t *page) {
  bee__page_t *old = bee__cache_find(cache, page->core, page->seq);
  if (old != NULL) drop_page(cache, old);
  if (cache->page_count * 2 >= cache->bucket_count) grow_buckets(cache); /* a miss costs a cache line each */
  bee__page_t **bucket = &cache->buckets[bucket_of(cache, page->core, page->seq)];
  page->hash_next = *bucket;
  *bucket = page;
  cache->page_count++;
  cache->cores[page->core]->page_count++;
  ring_insert(cache, &page->item);
}

void
bee__cache_insert_node (bee__cache_t *cache, bee__page_t *page, uint32_t offset, bee__node_t *node) {
  assert(offset < page->node_max && page->nodes[offset] == NULL);
  page->nodes[offset] = node;
  page->node_count++;
  node->page = page;
  node->place = (bee__ref_t){.core = page->core, .seq = page->seq, .at = offset};
  node->item = (bee__item_t){.is_node = true, .bytes = bee__node_bytes(node)};
  ring_insert(cache, &node->item);
}

static void
drop_by_sweep (bee__cache_t *cache, uint32_t core, uint64_t seq, uint64_t end) {
  for (size_t i = 0; i < cache->bucket_count; i++) {
    bee__page_t *page = cache->buckets[i];
    while (page != NULL) {
      bee__page_t *next = page->hash_next;
      if (page->core == core && page->seq >= seq && page->seq < end) drop_page(cache, page);
      page = next;
    }
  }
}

void
bee__cache_drop (bee__cache_t *cache, uint32_t core, uint64_t seq, uint64_t end) {
  if (cache->cores[core]->page_count == 0 || end <= seq) return;
  if (end - seq > cache->page_count) {
    drop_by_sweep(cache, core, seq, end);
    return;
  }
  for (; seq < end; seq++) {
    bee__page_t *page = bee__cache_find(cache, core, seq);
    if (page != NULL) drop_page(cache, page);
  }
}

static bool
is_busy (const bee__item_t *item) {
  if (item->pins > 0) return true;
  return !item->is_node && page_of(item)->node_count > 0;
}

static void
evict (bee__cache_t *cache, bee__item_t *item) {
  if (item->is_node) drop_node(cache, bee__node_of(item));
  else drop_page(cache, page_of(item));
}

void
bee__cache_trim_slow (bee__cache_t *cache) {
  size_t steps = cache->item_count * 2; /* everything may be pinned */
  for (; cache->bytes > cache->bytes_max && cache->hand != NULL && steps > 0; steps--) {
    bee__item_t *item = cache->hand;
    cache->hand = item->next;
    if (is_busy(item)) continue;
    if (item->used) item->used = false;
    else evict(cache, item);
  }
}

/* ---- pins ---- */

void
bee__page_unpin (bee__page_t *page) {
  assert(page->item.pins > 0);
  if (--page->item.pins == 0 && page->detached) bee__page_destroy(page);
}

void
bee__node_pin (bee__node_t *node) {
  node->item.pins++;
}

void
bee__node_unpin (bee__node_t *node) {
  assert(node->item.pins > 0);
  if (--node->item.pins == 0 && node->page == NULL) bee__node_destroy(node);
}

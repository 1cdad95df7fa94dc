/* cache.h: Private to bee/. What a store remembers of the blocks of its trees, bounded in bytes.
 *
 *   page         one block of one core, decoded, and the tree nodes built from it; found by number and seq
 *   ring         pages and nodes, each evicted on its own, a page after its nodes: a hand goes round, takes
 *                away the mark of what was used since it came by, and frees what has no mark and no pin
 *
 * A page or node that was looked up stays until the next trim, which each public call does first. What has to
 * outlive a call is pinned. Core numbers are ours: one for each key that trees of the store name, whether the
 * core is opened or not.
 */
#ifndef BEE_CACHE_H
#define BEE_CACHE_H

#include "bee/block.h"
#include "hypercore/hypercore.h"

typedef struct bee__cache_s bee__cache_t;
typedef struct bee__item_s bee__item_t;
typedef struct bee__page_s bee__page_t;
typedef struct bee__node_s bee__node_t;

#define BEE__NO_CORE UINT32_MAX

struct bee__item_s {
  bee__item_t *prev, *next; /* NULL: not in the ring */
  size_t bytes;
  uint32_t pins;
  bool is_node;
  bool used; /* since the hand came by */
};

/* One allocation: the page, its node pointers, core numbers, item offsets and data. */
struct bee__page_s {
  bee__page_t *hash_next;
  uint64_t seq;
  uint32_t core;
  bool detached;      /* no longer found; freed when it is not pinned */
  bee__block_t block; /* its lists and data point into the page */
  bee__item_t item;
  uint32_t *core_numbers; /* of the table's entries, BEE__NO_CORE until asked for */
  uint32_t node_count;
  uint32_t node_max;
  bee__node_t *nodes[]; /* by their number in the block */
};

/* What is needed to write the next batch to a core: the end of its log. */
typedef struct {
  uint64_t length; /* this is of the core of `length` blocks in `generation`; 0: nothing known */
  uint64_t generation;
  uint64_t checkpoint;
  uint32_t *table; /* core numbers */
  uint32_t table_count;
  uint32_t table_capacity;
  uint32_t *indexes; /* by core number: where it is in the table, from 1 on; 0: it is not */
  uint32_t index_count;
} bee__writer_t;

typedef struct {
  ab_key_t key;
  uint32_t opens;      /* families that have it open */
  uint64_t generation; /* of the core, when what is cached of it was known to be so */
  size_t page_count;
  bool has_batch;
  bee__writer_t writer;
} bee__core_t;

#define BEE__ROOMS 12

struct bee__cache_s {
  ab_store_t *store;
  uint64_t seeds[2];
  size_t bytes;
  size_t bytes_max;
  bee__item_t *hand;
  size_t item_count;
  bee__page_t **buckets;
  size_t bucket_count; /* a power of two */
  size_t page_count;
  bee__core_t **cores; /* by number */
  uint32_t core_count;
  uint32_t core_capacity;
  uint32_t *core_buckets; /* numbers + 1 */
  uint32_t core_bucket_count;
  bee__scan_t scan;
  ab_buf_t rooms[BEE__ROOMS]; /* of a flush, from one to the next */
};

/** The cache of a store, made when it is first asked for. */
int
bee__cache_of (ab_store_t *store, bee__cache_t **out);

/** The number of the core of this key. Returns 0 or AB_ENOMEM. */
int
bee__cache_number (bee__cache_t *cache, const ab_key_t *key, uint32_t *number);

/** NULL if the block is not here. */
bee__page_t *
bee__cache_find (const bee__cache_t *cache, uint32_t core, uint64_t seq);
/** Tell the processor what will be looked at soon: a page, where a key is in it, the key. Each is of use only
 * when the one before it has come. */
void
bee__cache_prefetch_page (const bee__cache_t *cache, uint32_t core, uint64_t seq);
void
bee__cache_prefetch_offset (const bee__cache_t *cache, uint32_t core, uint64_t seq, uint32_t key);
void
bee__cache_prefetch_key (const bee__cache_t *cache, uint32_t core, uint64_t seq, uint32_t key);

/** A page with a copy of `block`, which is found only after bee__cache_insert. NULL: out of memory. */
bee__page_t *
bee__page_create (uint32_t core, uint64_t seq, const bee__block_t *block);
void
bee__page_destroy (bee__page_t *page);
/** Replaces what was known of this block. */
void
bee__cache_insert (bee__cache_t *cache, bee__page_t *page);

/** The page takes over the node. */
void
bee__cache_insert_node (bee__cache_t *cache, bee__page_t *page, uint32_t offset, bee__node_t *node);
/** And gives it back: it is the caller's now. */
void
bee__cache_take_node (bee__cache_t *cache, bee__node_t *node);

/** Forget the blocks [seq, end) of `core`. */
void
bee__cache_drop (bee__cache_t *cache, uint32_t core, uint64_t seq, uint64_t end);
/** Evict until the bound is kept. */
void
bee__cache_trim_slow (bee__cache_t *cache);

static inline void
bee__cache_trim (bee__cache_t *cache) {
  if (cache->bytes > cache->bytes_max) bee__cache_trim_slow(cache);
}

static inline void
bee__page_pin (bee__page_t *page) {
  page->item.pins++;
}

void
bee__page_unpin (bee__page_t *page);
void
bee__node_pin (bee__node_t *node);
void
bee__node_unpin (bee__node_t *node);

#endif

/* node.h: Private to bee/. Tree nodes in memory: where keys and children are, not what they hold.
 *
 *   prefixes   [ 8 bytes ][ 8 bytes ] …   of each key after `skip`, as a big-endian number; of use only when
 *                                         the key was read before (BEE__KNOWN)
 *   keys       [ seq core at ] …          core BEE__FRESH: seq is the address of a bee__fresh_t
 *   children   [ seq core at ] …          none in a leaf, else keys + 1
 *   edits      the operations whose replay makes these lists: the stored ones, then a batch's own
 *
 * Nodes in the cache never change, but for prefixes that get known; a batch changes its private ones. All
 * keys of a node begin with the same `skip` bytes (`common`), so that keys with a long beginning in common
 * are told apart by numbers too. That is found out for a node whose comparisons were ties too often.
 */
#ifndef BEE_NODE_H
#define BEE_NODE_H

#include "bee/cache.h"

#define BEE__DEGREE_MAX 128
#define BEE__KEYS_MAX (2 * BEE__DEGREE_MAX - 1) /* of a stored node */
#define BEE__DEPTH_MAX 64
#define BEE__SKIP_MAX 40
#define BEE__EDITS_INLINE 17 /* what the default options leave at most, and one more */
/* A list of more operations than entries is always replaced by one cohort: operations past this many are only
 * counted. */
#define BEE__EDITS_MAX (BEE__KEYS_MAX + 3)

#define BEE__FRESH UINT32_MAX
#define BEE__KNOWN 0x80000000u

typedef struct {
  uint64_t seq;
  uint32_t core; /* number */
  uint32_t at;   /* of a key: its place in the block, and BEE__KNOWN; of a child: its node's */
} bee__ref_t;

/* A key and value that a batch has written, not stored yet. */
typedef struct {
  ab_slice_t key;
  ab_slice_t value;
  bool has_value;
  bool is_outside;  /* its value goes to a value block */
  uint32_t attempt; /* the flush that gave it its place: key `offset` of unit `unit` */
  uint32_t unit;
  uint32_t offset;
  uint32_t value_unit;
  uint32_t value_offset;
} bee__fresh_t;

static inline bee__fresh_t *
bee__fresh_of (uint64_t seq) {
  return (bee__fresh_t *) (uintptr_t) seq; /* NOLINT(performance-no-int-to-ptr) */
}

enum {
  BEE__POINTER_NONE = 0,
  BEE__POINTER_STORED, /* core is an index of the table of the core that holds the node */
  BEE__POINTER_GLOBAL, /* core is a number */
  BEE__POINTER_FRESH   /* seq is the address of a bee__fresh_t */
};

typedef struct {
  uint64_t seq;
  uint64_t offset;
  uint32_t core;
  uint8_t type;
  uint8_t index;
  uint8_t pointer;
} bee__edit_t;

typedef struct {
  bee__edit_t *at;
  uint32_t count; /* also of those that were not kept, past BEE__EDITS_MAX */
  uint32_t capacity;
  bool is_wide; /* one has an index above 255 */
  bee__edit_t room[BEE__EDITS_INLINE];
} bee__edits_t;

struct bee__node_s { /* what a search needs comes first */
  uint64_t *prefixes;
  bee__ref_t *keys;
  bee__ref_t *children;
  /* Of a private node: private ones among its children. Of one in the cache: children in the cache, as far as
   * they were asked for through this node; each knows of it as its `parent`. Either NULL for the others. */
  bee__node_t **kids;
  uint16_t key_count, child_count;
  uint16_t unknown; /* keys without BEE__KNOWN */
  int16_t ties;     /* comparisons that the prefixes did not decide */
  uint32_t t;
  uint8_t skip;
  bool is_dirty; /* of a private node: to be written */
  uint8_t common[BEE__SKIP_MAX];
  uint16_t key_capacity, child_capacity;
  void *arrays;      /* NULL: prefixes, keys and children are in the node's own allocation */
  bee__item_t item;  /* in the cache's ring, or prev and next in the batch's list */
  bee__page_t *page; /* that lists it; NULL: private, or dropped from the cache while pinned */
  bee__ref_t place; /* where it is stored; of a private node: was; of a new one, the current core and zeros */
  bee__node_t *parent;
  uint32_t parent_at;
  uint32_t unit; /* where the flush that runs puts it: node `unit_at` of this unit */
  uint32_t unit_at;
  bee__edits_t key_edits;
  bee__edits_t child_edits;
};

typedef struct bee__family_s bee__family_t;

static inline bee__node_t *
bee__node_of (const bee__item_t *item) {
  return (bee__node_t *) (void *) ((const uint8_t *) item - offsetof(bee__node_t, item));
}

/** An empty node. NULL: out of memory. */
bee__node_t *
bee__node_create (uint32_t t, size_t key_capacity, size_t child_capacity);
void
bee__node_destroy (bee__node_t *node);
size_t
bee__node_bytes (const bee__node_t *node);

/** The arrays of a node, in one piece. */
size_t
bee__arrays_bytes (size_t keys, size_t children);
void
bee__node_lay_out (bee__node_t *node, void *arrays, size_t keys, size_t children);

/** Forget who has it as a kid, and whom it has. */
void
bee__node_unlink (bee__node_t *node);
/** Child `i` of `node`, both in the cache, is `kid`. Only a hint: it does nothing without memory. */
void
bee__node_link (bee__node_t *node, uint32_t i, bee__node_t *kid);

/** Eight bytes of `key` after `skip`, zeros after its end. */
uint64_t
bee__prefix_of (ab_slice_t key, size_t skip);

/** Build node `offset` of a block. */
int
bee__node_build (bee__family_t *family, bee__page_t *page, uint64_t offset, bee__node_t **out);

/* ---- search.c ---- */

/** The bytes of key `i`, valid until the next trim of the cache. */
int
bee__node_key (bee__family_t *family, bee__node_t *node, uint32_t i, ab_slice_t *key);

/* The way down to a node, from the root. */
typedef struct {
  bee__node_t *node;
  uint32_t position; /* of the child that was followed; of the last one: where the key is or belongs */
} bee__step_t;

typedef struct {
  uint32_t depth;
  bee__step_t steps[BEE__DEPTH_MAX];
} bee__path_t;

/** The first position whose key is not below `key`; `found` if it is `key`. `path` may be NULL, or what lies
 * above the node: its keys help to guess. */
int
bee__node_search (
  bee__family_t *family,
  bee__node_t *node,
  ab_slice_t key,
  const bee__path_t *path,
  uint32_t *position,
  bool *found
);

/* ---- private nodes: edit.c ---- */

/** A private copy for a batch that writes to core number `local`. */
int
bee__node_clone (bee__family_t *family, bee__node_t *node, uint32_t local, bee__node_t **out);
/** Make room for private children, of which there are none yet. */
int
bee__node_start_kids (bee__node_t *node);

/** Room for more keys and children, and as many operations on each; after that the edits below cannot fail.
 */
int
bee__node_reserve (bee__node_t *node, size_t keys, size_t children, size_t key_edits, size_t child_edits);

int
bee__edits_reserve (bee__edits_t *edits, size_t more);

/* A key on its way into a node: taken from another one, or new. */
typedef struct {
  bee__ref_t ref;
  uint64_t prefix; /* after `skip` bytes, if ref.at has BEE__KNOWN */
  const uint8_t *common;
  size_t skip;
  ab_slice_t bytes; /* of a new key: all of it, else empty with data NULL */
} bee__key_t;

bee__key_t
bee__key_fresh (bee__fresh_t *fresh);
/** `from` keeps it: it must be removed there, and stay as it is until the key is put elsewhere. */
bee__key_t
bee__key_at (const bee__node_t *from, uint32_t i);

void
bee__keys_insert (bee__node_t *node, uint32_t i, const bee__key_t *key);
void
bee__keys_replace (bee__node_t *node, uint32_t i, const bee__key_t *key);
void
bee__keys_remove (bee__node_t *node, uint32_t i);
void
bee__children_insert (bee__node_t *node, uint32_t i, bee__ref_t place, bee__node_t *kid);
void
bee__children_remove (bee__node_t *node, uint32_t i);

/** Asserts what must hold of any node. */
void
bee__node_check (const bee__node_t *node);

#endif

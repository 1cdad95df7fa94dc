/* bee.h: an ordered map stored in hypercores (the format of hyperbee2).
 *
 *   block 7   [ m | t ]      a node names its children by core, block and position, never by address, so a
 *            /    |    \     version of the tree is only a head {core, length}: the root is tree node 0 of
 *   block   2     5     6    the block below it, and old versions stay readable
 *
 * A bee writes to one local core. Its root may lie in another core (bee_move), and nodes may lie in several.
 * Keys are byte strings, ordered as unsigned bytes, a prefix before its extensions; the empty key is legal.
 * Values are byte strings, possibly empty, or absent.
 *
 * Files      bee.c handles and lookups
 *            block.c, legacy.c codec; cache.c decoded blocks, bounded in bytes; family.c opened cores
 *            node.c lazy nodes; search.c their keys; edit.c changes of one; update.c put and delete
 *            batch.c a batch from begin to end; collect.c, compress.c, flush.c, writer.c what it writes
 *            cursor.c ranges; history.c the changes of past batches
 * Invariant  keys inside a node strictly ascend; children = keys + 1 or none
 * To change  the stored format: block.c, then the vectors it is checked against
 *
 * Missing blocks of foreign cores make a call return AB_EREMOTE; the blocks are noted as wanted on their core
 * (hypercore_take_wanted) and the call may be repeated once they are here. A call that failed changed
 * nothing.
 */
#ifndef BEE_H
#define BEE_H

#include "hypercore/ab.h"
#include "hypercore/hypercore.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BEE_DEGREE_DEFAULT 128
#define BEE_DEGREE_MAX 128

typedef struct bee_s bee_t;
typedef struct bee_batch_s bee_batch_t;
typedef struct bee_cursor_s bee_cursor_t;

typedef struct {
  uint32_t struct_size;
  uint32_t degree; /* of a tree started from nothing: 2 to 128; default 128 */
  /* Opens a foreign core that the tree points into, with its cipher set; *out is closed by the bee. NULL: by
   * key. */
  int (*open_core)(void *data, const ab_key_t *key, hypercore_t **out);
  void *open_core_data;
} bee_options_t;

AB_API bee_options_t
bee_options_default (void);

/** A bee over `local` (retained until the close). The root is the last block of `local`, or the empty tree.
 * Returns 0, AB_EINVAL (a degree outside 2 to 128), AB_ENOMEM. */
AB_API int
bee_open (hypercore_t *local, const bee_options_t *options, bee_t **out);
/** Its batch must have ended before; checkouts and cursors may go on. */
AB_API void
bee_close (bee_t *bee);

/** A read-only bee at `head` (length 0: the empty tree), which must be the end of a batch. Shares cores and
 * cache. */
AB_API int
bee_checkout (bee_t *bee, const ab_head_t *head, bee_t **out);

/** The root is now block `length` - 1 of core `key`, which also becomes the current core (it shows in the
 * bytes of later splits). `key` NULL: of the current core, which stays. Length 0: the empty tree. Nothing is
 * read yet. */
AB_API int
bee_move (bee_t *bee, const ab_key_t *key, uint64_t length);

/** Where the root is. The empty tree: the current core's key and length 0. */
AB_API void
bee_head (const bee_t *bee, ab_head_t *out);

/** Borrowed. */
AB_API hypercore_t *
bee_local (const bee_t *bee);

/** Drop the local core's live tail above `length` (hypercore_rollback) and what is remembered of it. The root
 * must not lie in what is dropped (AB_EINVAL), and no batch may be open (AB_EBUSY). */
AB_API int
bee_rollback (bee_t *bee, uint64_t length);

/** Free what the cache has of the local core's blocks from `length` on: they are read from the store again if
 * somebody asks. For blocks that were replaced. */
AB_API void
bee_forget (bee_t *bee, uint64_t length);

/* ---- reading ---- */

typedef struct {
  ab_slice_t key;
  ab_slice_t value;
  bool has_value; /* false: the value is absent, which is not the same as empty */
  ab_key_t core;  /* where the entry is stored: its identity */
  uint64_t seq;
  uint64_t offset;
} bee_entry_t; /* borrowed until the next call on the same bee, batch or cursor */

/** Look up `key`. `entry` is written only on success. Decodes at most one block per level and per compared
 * key. Returns 0, AB_ENOTFOUND, AB_EREMOTE, AB_ECORRUPT, AB_ENOMEM. */
AB_API int
bee_get (bee_t *bee, ab_slice_t key, bee_entry_t *entry);

typedef struct {
  ab_slice_t lower, upper; /* with has_…: bounds, inclusive unless …_open */
  bool has_lower, has_upper;
  bool lower_open, upper_open;
  bool reverse;
  uint64_t limit; /* 0: none */
} bee_range_t;

/** A cursor over the bee's present root; stays on it whatever the bee does later. `range` NULL: everything;
 * its bounds are copied. */
AB_API int
bee_cursor_open (bee_t *bee, const bee_range_t *range, bee_cursor_t **out);
/** The next entry in order. AB_EEND at the end. AB_EREMOTE keeps the place. AB_ECONFLICT: the version it
 * reads was dropped or cut off meanwhile. AB_ECORRUPT, AB_ENOMEM. */
AB_API int
bee_cursor_next (bee_cursor_t *cursor, bee_entry_t *entry);
AB_API void
bee_cursor_close (bee_cursor_t *cursor);

/* ---- writing ---- */

typedef struct {
  uint32_t struct_size;
  const ab_head_t *base;         /* NULL: the bee's root when the batch begins */
  bool stay;                     /* the bee's root does not move at the flush */
  uint32_t delta_max;            /* default 16 */
  uint32_t inline_value_size;    /* default 1024 */
  uint32_t preferred_block_size; /* default 4096 */
} bee_write_options_t;

AB_API bee_write_options_t
bee_write_options_default (void);

/** Begin a batch. One batch of a local core may be open at a time (AB_EBUSY). AB_EREADONLY on a checkout. */
AB_API int
bee_batch_begin (bee_t *bee, const bee_write_options_t *options, bee_batch_t **out);
/** Applied to the batch's private tree at once; keys and values are copied. An equal put or the delete of a
 * missing key leaves no trace. On AB_EREMOTE or any other error the operation has not happened, the batch
 * stays usable. */
AB_API int
bee_batch_put (bee_batch_t *batch, ab_slice_t key, ab_slice_t value);
AB_API int
bee_batch_put_absent (bee_batch_t *batch, ab_slice_t key);
AB_API int
bee_batch_del (bee_batch_t *batch, ab_slice_t key);
/** Forget what the batch did so far and continue from the empty tree. */
AB_API int
bee_batch_clear (bee_batch_t *batch);
/** As bee_get, seeing the batch's own writes, whose core, seq and offset are zero. */
AB_API int
bee_batch_get (bee_batch_t *batch, ab_slice_t key, bee_entry_t *entry);
/** A cursor over the batch's own tree; ends with AB_EINVAL when the batch is written to after it was opened.
 */
AB_API int
bee_batch_cursor_open (bee_batch_t *batch, const bee_range_t *range, bee_cursor_t **out);

typedef struct {
  uint64_t applied; /* operations that changed something, or put a value over a different one */
  uint64_t blocks;  /* appended; 0: nothing had to be written */
} bee_flush_t;

/** Append the batch's blocks in one append (staged, not committed) and move the bee's root there. On success
 * the batch is gone; on failure nothing was appended and the batch may be flushed again or aborted. `result`
 * may be NULL. Returns 0, AB_ETOOBIG (a value above what a block can hold), AB_ENOTWRITABLE, AB_EREMOTE,
 * AB_ECONFLICT (the core was cut while the batch was open: abort it), AB_ENOMEM. */
AB_API int
bee_batch_flush (bee_batch_t *batch, bee_flush_t *result);
AB_API void
bee_batch_abort (bee_batch_t *batch);

/* ---- history: what past batches wrote ---- */

typedef struct {
  ab_head_t head;     /* of the batch */
  ab_head_t previous; /* head it was written on; length 0: the empty tree */
  uint64_t blocks;    /* of the batch */
} bee_change_t;

/** The batch that ends at `head` (length above 0). `each`, if not NULL, is called for every key the batch
 * wrote, in the order it stands in its blocks (root block first), with its value resolved, until it returns
 * non-zero. */
AB_API int
bee_change (
  bee_t *bee,
  const ab_head_t *head,
  bee_change_t *out,
  int (*each)(void *data, ab_slice_t key, ab_slice_t value, bool has_value),
  void *data
);

/** The keys of the cores that the current core's newest table names, the current core first. */
AB_API int
bee_cores (bee_t *bee, int (*each)(void *data, const ab_key_t *key), void *data);

#ifdef __cplusplus
}
#endif

#endif

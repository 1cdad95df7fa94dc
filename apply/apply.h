/* apply.h: the contract between the engine and the code that turns ordered operations into the view.
 *
 *   ordered nodes ─► apply function ─► puts and deletes ─► view      this run's writes are seen by its reads
 *                        │    ▲
 *                        │    └── view reads: a value, or proved absent
 *                        └─► writers: granted, removed, acknowledged
 *
 * An apply function is called once per atomic batch of one writer, in the one order that all peers agree on.
 * It reads and writes the view, and manages writers, through the calls below. It is run again, for the same
 * batch, whenever the order in front of it changes: so what it does may depend on nothing but the nodes, the
 * view and the host values below. No clock, no randomness, no memory of earlier calls, no order of a hash
 * table, no pointer value, no locale.
 *
 * Files      apply.c the calls; kv.c the built-in policy; json.h JSON for policies and callbacks
 * Invariant  a failed call ends the run: every later call fails with the same code, and whatever the function
 *            then returns is discarded
 * To change  what a policy does: its file; what C callbacks, Lua and policies share: apply.c
 */
#ifndef APPLY_H
#define APPLY_H

#include "hypercore/ab.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct autobee_apply_s autobee_apply_t; /* valid during one call of an apply function */
typedef struct autobee_apply_cursor_s autobee_apply_cursor_t;

/* What the view's blocks can hold under any circumstances. A longer key or value rejects the batch. */
#define AUTOBEE_APPLY_KEY_MAX 32768
#define AUTOBEE_APPLY_VALUE_MAX (15 * 1024 * 1024 - 8192)

typedef struct { /* all borrowed until apply returns */
  ab_key_t writer;
  uint64_t length;       /* of the writer's log with this node; (writer, length) names it */
  ab_slice_t value;      /* never empty: null and empty nodes are not shown */
  uint64_t timestamp_ms; /* as the writer stamped it */
  uint64_t weight;
  bool optimistic;
} autobee_node_t;

/**
 * Apply one batch; `count` may be 0 (an acknowledgement).
 *
 * Returns 0: applied. AB_EREJECTED: refused; must be the same on every peer. Anything else: halted for a
 * local reason; nothing is recorded and the batch is tried again. autobee_apply_reject and autobee_apply_halt
 * set a message with either.
 */
typedef int (*autobee_apply_fn
)(autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data);

/* Every call below returns 0 or an error. AB_ENOTFOUND and AB_EEND are answers; any other error ends the run
 * (see the invariant above), so passing it up is always right. */

/** The value of `key` in the view, this run's writes included; borrowed until the next call. AB_ENOTFOUND
 * means proved absent. A key that another application stored without a value gives data NULL. */
AB_API int
autobee_apply_get (autobee_apply_t *apply, ab_slice_t key, ab_slice_t *value);
/** Both are copied; `value` may be what the last call returned. AB_EREJECTED if one is too long. */
AB_API int
autobee_apply_put (autobee_apply_t *apply, ab_slice_t key, ab_slice_t value);
/** A key that is not there is no error. */
AB_API int
autobee_apply_del (autobee_apply_t *apply, ab_slice_t key);
/** End the block of writes here, if there was a write since the last one ended; implied at return. Contents
 * do not depend on where blocks end, their bytes do. */
AB_API int
autobee_apply_flush (autobee_apply_t *apply);
/** Name reads that will follow, so that a cold view misses once instead of once per read. */
AB_API int
autobee_apply_prefetch (autobee_apply_t *apply, const ab_slice_t *keys, size_t count);

typedef struct {
  ab_slice_t lower, upper; /* with has_…: bounds, inclusive unless …_open */
  bool has_lower, has_upper, lower_open, upper_open, reverse;
  uint64_t limit; /* 0: none */
} autobee_apply_range_t;

/** A cursor over the view as of this call, this run's writes included; later writes do not show. (The first
 * of them copies what is left, so finish with a cursor before you write, if you can.) `range` NULL:
 * everything. Closed at return if it is not closed before. */
AB_API int
autobee_apply_cursor (
  autobee_apply_t *apply, const autobee_apply_range_t *range, autobee_apply_cursor_t **out
);
/** AB_EEND at the end. Key and value are borrowed until the next call with this cursor. */
AB_API int
autobee_apply_cursor_next (autobee_apply_cursor_t *cursor, ab_slice_t *key, ab_slice_t *value);
AB_API void
autobee_apply_cursor_close (autobee_apply_cursor_t *cursor);

/* ---- writers; effects take place at once, in program order, and go with the batch ---- */

/** Grant `key` a weight (by convention 2 for an indexer, 1 otherwise). Never lowers a ceiling. AB_EINVAL
 * above 2^53 - 1: check a weight that a node asks for before. */
AB_API int
autobee_apply_add_writer (autobee_apply_t *apply, const ab_key_t *key, bool is_indexer, uint64_t weight);
AB_API int
autobee_apply_remove_writer (autobee_apply_t *apply, const ab_key_t *key);
/** Ask this peer to acknowledge an optimistic writer. */
AB_API int
autobee_apply_ack_writer (autobee_apply_t *apply, const ab_key_t *key);
/** Make an anchor of a node of the batch that is being applied: a core of one block that links it, signed by
 * nobody and the same on every peer. `anchor` receives its head. AB_EREJECTED: it is not such a node. */
AB_API int
autobee_apply_create_anchor (autobee_apply_t *apply, const ab_head_t *node, ab_head_t *anchor);
/** Stop applying until the program is upgraded: returns AB_EINTERRUPTED, as does the run. `reason` is text.
 */
AB_API int
autobee_apply_interrupt (autobee_apply_t *apply, ab_slice_t reason);
/** Set the text that is reported with the verdict, and return AB_EREJECTED. Does not end the run by itself:
 * `return autobee_apply_reject(apply, …);`. */
AB_API int
autobee_apply_reject (autobee_apply_t *apply, const char *format, ...) AB_PRINTF(2, 3);
/** The same with AB_EHALTED. */
AB_API int
autobee_apply_halt (autobee_apply_t *apply, const char *format, ...) AB_PRINTF(2, 3);

typedef struct {
  uint64_t weight;
  uint64_t max_weight;
  uint64_t length;
  bool is_removed;
  bool is_indexer;
} autobee_writer_t;

/** The writer's record as of this point of the order, this run's grants included. AB_ENOTFOUND. */
AB_API int
autobee_apply_writer (autobee_apply_t *apply, const ab_key_t *key, autobee_writer_t *out);
/** Is this an optimistic node, of a writer that has no weight granted? A policy that takes nothing of
 * strangers asks this and not the flag alone: what was refused stays in the writer's log and comes again once
 * it is granted, and then its author sees no flag any more. */
AB_API int
autobee_apply_stranger (autobee_apply_t *apply, const autobee_node_t *node, bool *out);
/** True in the very first batch of the database. */
AB_API bool
autobee_apply_genesis (const autobee_apply_t *apply);
/** How many batches were applied before this one. */
AB_API uint64_t
autobee_apply_clock (const autobee_apply_t *apply);
/** The database's key. */
AB_API void
autobee_apply_key (const autobee_apply_t *apply, ab_key_t *out);

/* ---- built-in policies ---- */

/**
 * `kv`. A value is a JSON object; its members, all optional, are taken in this order:
 *
 *   addWriter     key of a writer to add, 64 hex digits or 52 of z-base-32; with it
 *     isIndexer   boolean, default true
 *     weight      integer, 0 to 2^53 - 1, default 2 for an indexer, else 1
 *   removeWriter  key of a writer to remove
 *   put           object of key → string
 *   del           list of keys
 *   putHex        object of hex → hex, for keys and values that are not text
 *   delHex        list of hex
 *
 * Within a member the order is that of the text; the last operation on a key wins. Any other member, a value
 * of another type and a name that occurs twice reject the batch, as do isIndexer and weight without
 * addWriter, an optimistic node of a writer that has no weight granted, and a key or value that is too long.
 * All writes of a batch end in one block. `data` is not used.
 */
AB_API int
autobee_apply_kv (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data);

#ifdef __cplusplus
}
#endif

#endif

/* autobee.h: one key/value view written by many.
 *
 *   Every writer appends batches of values to a signed log of its own. The engine puts the batches of all
 * logs in one order that depends on nothing but their contents, and runs them in that order through an apply
 * function into a view, an ordered map. Peers that hold the same logs have the same view.
 *
 *     autobee_append ─► own log ──┐
 *     blocks from peers ─► logs ──┴─► orderer ─► apply ─► view ─► commit (one durable transaction)
 *
 *   What it does not promise: finality. A writer that was offline may bring a batch that belongs before
 * others, and then the view is what it would have been had it been there from the start.
 *
 * Files      autobee.c open, close, what is public; cores.c which cores; drain.c the loop
 *            run.c inserting, applying.c applying; writer.c the logs that are followed
 *            append.c the local writer, testimony.c its weight; replicate.c connections
 *            system.c the state and its bee; window.c the recent order; order.c the placing rule, pure
 *            batch.c, oplog.c, record.c decoding; witness.c weights; encryption.c, anchor.c keys
 *            anchors.c anchors; forward.c, fill.c, backfill.c fast-forward; view.c, log.c, hash.c,
 *            settled.c, why.c, compare.c reading
 * Invariant  a stored head never covers a local node that is not in the log by the same commit
 * To change  the order: order.c, and then it is another database
 *
 * Functions return 0 or a negative AB_E… code; ab_store_errmsg says what, where, expected and found. Calls on
 * one store and what was opened from it never overlap, from any thread. Callbacks run inside ab_store_run,
 * autobee_update or autobee_append, never inside the call that made their request.
 */
#ifndef AUTOBEE_H
#define AUTOBEE_H

#include "hypercore/ab.h"

#include "apply/apply.h"
#include "hypercore/hypercore.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ab_stream_s; /* ab_stream_t of hypercore/net/net.h */

typedef struct autobee_s autobee_t;
typedef struct autobee_view_s autobee_view_t;     /* the view at a committed head; stays as it is */
typedef struct autobee_cursor_s autobee_cursor_t; /* an ordered walk over a view */

/* ---- limits of the format ---- */

#define AUTOBEE_BATCH_MAX 1024          /* values in one append */
#define AUTOBEE_OPTIMISTIC_BATCH_MAX 31 /* of a writer that nobody has granted */
#define AUTOBEE_DRIFT_MS 7200000u       /* a node stamped further ahead of the clock waits */

/* ---- bounds ----
 *
 * Nothing that peers or history can make longer grows without a limit. The order and the view do not depend
 * on these, only when and in how many steps they come about; but for weights that rise so often, which those
 * of honest writers do not.
 *
 *   what                                        at most     beyond that
 *   announcements kept for the next iteration   1,024       more are not heard until they are repeated
 *   writers followed that have no record        256         the one that came first is left
 *   indexers without news that are followed     128         others are followed when somebody announces them
 *   writers that the next open follows at once  1,024       likewise
 *   cores followed beside them, left lately     256         the one left longest ago is closed
 *   logs completed after a fast-forward         256         the next ones after these
 *   heads that a fast-forward looks into        16          later ones are not
 *   batches a fast-forward may have to redo     512         it is not made; everything is applied
 *   the order in memory, in batches             8,192       older ones are read when they are needed
 *   late batches merged into one reorder        64          or as many as it applies again; then another one
 *   undone writers that merging keeps track of  4,096       then late batches go in one at a time
 *   batches in an iteration                     1,024       it is stored; 32 while local ones wait
 *   a batch's weight rising in one reorder      32 times    then its writer's own weight counts
 *   heads of the database                       16          a null node joins them, from writers of values
 *   attestations about the local writer         256         later ones are not kept
 *   attestations owed to others                 1,024       likewise
 *   values waiting to be written                64 MiB      pending_bytes: AB_EBUSY
 *   blocks that are not committed yet           2 MiB       staged_bytes: a commit (256 KiB if relaxed)
 *   decoded blocks                              16 MiB      cache_bytes of the store: old ones go
 *   one connection                              64 MiB      AB_STREAM_MEMORY_MAX: it is ended
 *   heads in one announcement                   4,096       AB_WAKEUP_HEADS_MAX: the rest is not told
 */

typedef enum {
  AUTOBEE_EVENT_UPDATE = 1, /* the published view moved: from, to; rewritten: older entries changed place */
  AUTOBEE_EVENT_WRITABLE,
  AUTOBEE_EVENT_UNWRITABLE,
  AUTOBEE_EVENT_WRITER,      /* a writer was attached */
  AUTOBEE_EVENT_ROTATED,     /* another core is the local writer now */
  AUTOBEE_EVENT_MOVED,       /* fast-forward */
  AUTOBEE_EVENT_REJECTED,    /* apply refused a batch: node, message */
  AUTOBEE_EVENT_HALTED,      /* apply halted: status, node, message */
  AUTOBEE_EVENT_INTERRUPTED, /* apply interrupted: message */
  AUTOBEE_EVENT_FROZEN       /* a writer's log is damaged or forked and is not followed any more: node */
} autobee_event_kind_t;

typedef struct {
  autobee_event_kind_t kind;
  ab_head_t from, to; /* view heads */
  ab_head_t node;     /* the node concerned: writer and length */
  bool rewritten;
  int status;
  const char *message; /* may be NULL; borrowed during the callback */
} autobee_event_t;

typedef struct {
  uint32_t struct_size;
  autobee_apply_fn apply; /* NULL: the built-in kv */
  void *apply_data;
  ab_slice_t apply_id;            /* your version of it, part of the apply identity; copied */
  bool stop_on_error;             /* a refused ordinary batch stops the database everywhere (as the JavaScript
                                   * implementation does) instead of being recorded as if it had written nothing */
  const ab_key_t *namespace_key;  /* of the database's cores in this store; NULL: the default one */
  const ab_key_pair_t *key_pair;  /* of the local writer; NULL: derived from the store */
  const ab_key_t *encryption_key; /* the shared secret; NULL: as stored, or none */
  bool store_encryption_key;      /* keep the secret in the store (default false: give it at every open) */
  bool readable_views; /* create an encrypted database even in a store of manifest version 2, whose view
                        * and system anybody can read who knows the database's key */
  bool no_optimistic;  /* all peers of a database must agree on this */
  /** Far behind an indexer, adopt the state that its log names instead of applying what led to it. Everything
   * that this state needs is fetched first, so that reads and appends need no connection, and the logs and
   * the order afterwards, so that others can have them from here. Older versions of the view are not. Who may
   * write adopts no state that does not know its writer yet. */
  bool fast_forward;
  bool sparse; /* with fast_forward: adopt it at once, and then fetch only what is read or applied */
  /** Whose word is taken. NULL: that of indexers, and of the creator while nothing is known yet. */
  bool (*trust)(autobee_t *db, const ab_key_t *writer, void *trust_data);
  void *trust_data;
  bool conformance;     /* behave like the reference to the byte; for tests, slower and bigger */
  size_t pending_bytes; /* appended but not yet applied; 0: 64 MiB; more is AB_EBUSY */
  void (*on_event)(autobee_t *db, const autobee_event_t *event, void *event_data);
  void *event_data;
} autobee_options_t;

AB_API autobee_options_t
autobee_options_default (void);

/**
 * Open a database. `key` NULL: the one this store has under the namespace, or a new one whose creator we are.
 * `key` given: that database, joined if it is not known yet. Runs no apply; call autobee_update or
 * ab_store_run.
 *
 * Returns 0, AB_EKEY (encrypted and the secret is missing or wrong), AB_ECONFLICT, AB_EVERSION (its records
 * are of a newer format), AB_ECORRUPT, AB_EIO, AB_ENOMEM.
 */
AB_API int
autobee_open (ab_store_t *store, const ab_key_t *key, const autobee_options_t *options, autobee_t **out);

/** Commit what is finished and release it. Appends that were not applied end with AB_ECLOSED. */
AB_API int
autobee_close (autobee_t *db);

AB_API void
autobee_key (const autobee_t *db, ab_key_t *out);
AB_API void
autobee_discovery_key (const autobee_t *db, ab_key_t *out);
/** The local writer: its key and the length of its log. */
AB_API void
autobee_local (const autobee_t *db, ab_head_t *out);
AB_API bool
autobee_is_writable (const autobee_t *db);
AB_API ab_store_t *
autobee_store (const autobee_t *db);

/* ---- writing ---- */

#define AUTOBEE_OPTIMISTIC 1u /* let apply judge a batch of a writer that nobody has granted yet */

/**
 * Append one atomic batch of values. It is applied, and durable unless the store is relaxed, when this
 * returns 0; blocks for one sync. `out` (may be NULL) receives the position of its last node.
 *
 * Returns 0, AB_ENOTWRITABLE (also: optimistic, behind a batch that apply refused; nothing is in the log,
 * until the writer is granted), AB_ETOOBIG (more than AUTOBEE_BATCH_MAX values, a value too large for a
 * block), AB_EREJECTED (optimistic, and apply refused it here), AB_EHALTED, AB_ENOSPC or AB_EIO (the batch is
 * not forgotten: the commit is tried again), AB_EREMOTE (nor is it forgotten: a needed block is not here, or
 * the clock is more than two hours behind what the batch follows), AB_EBUSY (called from apply), AB_ENOMEM.
 */
AB_API int
autobee_append (autobee_t *db, const ab_slice_t *values, size_t count, unsigned flags, ab_head_t *out);

typedef struct autobee_append_s autobee_append_t;
typedef void (*autobee_append_cb)(autobee_append_t *req, int status); /* once; durable if status is 0 */
struct autobee_append_s {
  void *data;           /* yours */
  ab_head_t position;   /* set before the callback */
  autobee_append_cb cb; /* private from here on */
  autobee_append_t *next;
  int status;
  uintptr_t reserved[4];
};

/** As autobee_append without waiting: the callback runs in a later turn, and all batches of a turn share one
 * commit. Values are copied; `req` stays where it is until the callback ran. A negative return: it will not
 * run. */
AB_API int
autobee_append_async (
  autobee_t *db,
  autobee_append_t *req,
  const ab_slice_t *values,
  size_t count,
  unsigned flags,
  autobee_append_cb cb
);

/** Take in what has arrived: order it, apply it, commit. Runs until nothing is left to do; ab_store_run does
 * the same in slices. Returns 0, AB_EHALTED, AB_EREJECTED (with stop_on_error), AB_EINTERRUPTED, or the
 * commit's error. */
AB_API int
autobee_update (autobee_t *db);

/**
 * Make the view anew, from the first operation on, with the apply function that the database was opened with:
 * for one that has changed. Runs with the next updates; until it is whole the view shown is the old one, and
 * appends wait. If the process ends before that, the next open begins again. autobee_info tells how far it
 * is. Needs all logs: after a fast-forward, a connection to fetch them.
 *
 * Returns 0, AB_EREADONLY, AB_ECLOSED, AB_EBUSY (from apply) or AB_ENOMEM.
 */
AB_API int
autobee_reindex (autobee_t *db);

/**
 * Take part in replication: announce this database's writers on every connection of its store, now and later,
 * fetch their logs, and serve them. Ends with the close. Connections are ab_stream_t: hypercore/net/net.h.
 * Returns 0, AB_ECLOSED, AB_EBUSY or AB_ENOMEM.
 */
AB_API int
autobee_replicate (autobee_t *db);

/** True if nothing is left to do here: nothing to order, apply, commit or announce, and no writer's log waits
 * for another one's node. With ab_stream_in_sync of all streams: in sync. */
AB_API bool
autobee_is_idle (const autobee_t *db);

/**
 * Ask the peer at the other end of a connection whether it has taken in everything it got: until it answers,
 * ab_stream_in_sync of that stream is false, and a peer of this library answers when it has nothing to do. So
 * a connection that is in sync before and after it may be ended. Returns 0, AB_EINVAL (not replicated),
 * AB_ENOTFOUND (the peer does not know the database), AB_ECLOSED.
 */
AB_API int
autobee_confirm (autobee_t *db, struct ab_stream_s *stream);

/** Somebody says that the core `key` has `length` blocks: follow it as a writer, known or not. Bounded; not
 * trusted. */
AB_API int
autobee_hint (autobee_t *db, const ab_key_t *key, uint64_t length);

/** Make another core of this store, one it can sign for, the local writer; takes effect at the next update.
 */
AB_API int
autobee_rotate (autobee_t *db, hypercore_t *core);

/* ---- reading ---- */

typedef struct {
  ab_slice_t key, value; /* borrowed until the next call on the same view or cursor */
} autobee_entry_t;

/** The published view, or with `at` the view at that head (a view head of an event or of autobee_info). */
AB_API int
autobee_view (autobee_t *db, const ab_head_t *at, autobee_view_t **out);
/** Was the published view made from the one at `at`, by later operations only? If not, older entries have
 * changed place since. Reads the view's history back to there. Returns 0, AB_EREMOTE, or an error of the
 * store.
 */
AB_API int
autobee_view_continues (autobee_t *db, const ab_head_t *at, bool *out);
AB_API void
autobee_view_close (autobee_view_t *view);
/** 0, AB_ENOTFOUND (proved absent), AB_EREMOTE. */
AB_API int
autobee_get (autobee_view_t *view, ab_slice_t key, autobee_entry_t *entry);

typedef struct {
  ab_slice_t lower, upper; /* with has_…: bounds, inclusive unless …_open */
  bool has_lower, has_upper, lower_open, upper_open, reverse;
  uint64_t limit; /* 0: none */
} autobee_range_t;

/** `range` NULL: everything. */
AB_API int
autobee_cursor_open (autobee_view_t *view, const autobee_range_t *range, autobee_cursor_t **out);
/** AB_EEND at the end; AB_EREMOTE keeps the place. */
AB_API int
autobee_cursor_next (autobee_cursor_t *cursor, autobee_entry_t *entry);
AB_API void
autobee_cursor_close (autobee_cursor_t *cursor);

/** BLAKE2b-256 over the lines `key=value\n` (both in hex) of the view in key order: equal views, equal
 * hashes. */
AB_API int
autobee_view_hash (autobee_view_t *view, uint8_t out[32]);

/* ---- state ---- */

typedef struct {
  ab_key_t key, discovery_key;
  ab_head_t local;  /* the local writer's log, as committed */
  ab_head_t system; /* where the state is recorded */
  ab_head_t view;
  uint64_t flushes;      /* batches applied */
  uint64_t timestamp_ms; /* the largest one applied */
  size_t heads;          /* nodes that nothing applied links to */
  bool is_writable, is_indexer, is_encrypted, is_interrupted, is_halted, is_reindexing;
  uint64_t reindexed; /* batches that the new view has so far */
  uint64_t undos, applies, drains, appends, rejected, fast_forwards; /* counted since the open */
  uint64_t arrivals; /* likewise, of blocks from peers: a read that ended with AB_EREMOTE may be tried again
                      * when it has changed */
} autobee_info_t;

AB_API int
autobee_info (autobee_t *db, autobee_info_t *out);

/** Call `each` for every head, in order of arrival, until it returns non-zero. */
AB_API int
autobee_heads (autobee_t *db, int (*each)(void *data, const ab_head_t *head), void *data);

/** Call `each` for every writer on record, in key order, until it returns non-zero (which is then returned).
 */
AB_API int
autobee_writers (
  autobee_t *db, int (*each)(void *data, const ab_key_t *key, const autobee_writer_t *writer), void *data
);

typedef struct {
  ab_head_t node; /* writer, and length with this node */
  uint64_t timestamp_ms;
  uint64_t weight;  /* it was ordered with */
  ab_slice_t value; /* empty: an acknowledgement, or the node's block is not here (see has_block) */
  bool has_block;
  bool is_optimistic;
  uint32_t batch_start, batch_end; /* nodes before and after it in its batch */
  const ab_head_t *links;          /* other writers' nodes that it is written on top of, of each the last; a
                                    * batch has them on its first node */
  size_t link_count;
} autobee_log_entry_t; /* borrowed during the callback */

/** Call `each` for every node in the merged order, newest first, until it returns non-zero (then returned).
 */
AB_API int
autobee_log (autobee_t *db, int (*each)(void *data, const autobee_log_entry_t *entry), void *data);

typedef enum {
  AUTOBEE_STAGED = 1, /* appended here, not yet on disk */
  AUTOBEE_COMMITTED,  /* in its writer's log, as far as that is known here; not applied here */
  AUTOBEE_APPLIED     /* it has its place in the order, and the view knows it */
} autobee_node_state_t;

typedef struct {
  autobee_node_state_t state;
  size_t indexers;     /* writers on record that are indexers and not removed */
  size_t acknowledged; /* those that have written a node that is the node or on top of it, applied here; 0
                        * until it is applied */
  bool is_settled;     /* that is a majority. A writer that was offline may still move the node */
} autobee_settled_t;

/**
 * Where a node stands, as of what is published here.
 *
 * Reads the merged order from its end back to where all indexers' clocks have reached the node, at most back
 * to the node itself: so for a recent node little, for an old one that an indexer never acknowledged all
 * that came after it. Each node read takes O(indexers × links), and the clocks a number per indexer and
 * writer met.
 *
 * Returns 0, AB_ENOTFOUND (its writer is not known, or its log ends before it), AB_EREMOTE (a block between
 * is not here), or an error of the store.
 */
AB_API int
autobee_settled (autobee_t *db, const ab_head_t *node, autobee_settled_t *out);

typedef enum {
  AUTOBEE_WHY_SAME_BATCH = 1,
  AUTOBEE_WHY_ON_TOP,    /* the second is written on top of the first */
  AUTOBEE_WHY_HEAVIER,   /* first_by is heavier than second_by; the same with: */
  AUTOBEE_WHY_OLDER,     /* equally heavy */
  AUTOBEE_WHY_LOWER_KEY, /* and old */
  AUTOBEE_WHY_OTHER      /* none of these: weights have changed since, as by removals that crossed */
} autobee_reason_t;

typedef struct {
  ab_head_t node; /* with its batch's: */
  uint64_t weight;
  uint64_t timestamp_ms;
} autobee_compared_t;

typedef struct {
  ab_head_t first, second; /* the two, in their order */
  autobee_reason_t reason;
  ab_head_t *path; /* with ON_TOP the nodes between, the earliest first: of each writer the first one that is
                    * on top of what stands before it here */
  size_t path_count;
  autobee_compared_t first_by, second_by; /* what was compared: the nodes, or what is written on top of them
                                           * and pulled them forward to its own place */
} autobee_why_t;

/**
 * Why, of two applied nodes, one comes first.
 *
 * out   written on success; release with autobee_why_destroy
 *
 * Reads and keeps the merged order from its end back to the earlier of the two. Takes O(n × writers)
 * for n batches and links read, more only where long chains of nodes pull each other forward.
 *
 * Returns 0, AB_ENOTFOUND (one of them is not in the order), AB_EREMOTE (a block between is not here),
 * AB_ENOMEM, or an error of the store.
 */
AB_API int
autobee_why (autobee_t *db, const ab_head_t *a, const ab_head_t *b, autobee_why_t *out);
AB_API void
autobee_why_destroy (autobee_why_t *why);

typedef enum {
  AUTOBEE_SAME = 1,
  AUTOBEE_VIEW_DIFFERS,  /* `ours`, which is also `theirs`, made different views of equal ones */
  AUTOBEE_ORDER_DIFFERS, /* both know the same, and have `ours` and `theirs` at one place; if it is the same
                          * node, with different weights */
  AUTOBEE_INCOMPARABLE   /* nothing differs so far; what comes then one of the two does not know */
} autobee_outcome_t;

typedef struct {
  autobee_outcome_t outcome;
  ab_head_t node;         /* of the writer, with the state that was compared */
  uint64_t equal;         /* batches at the beginning of the order that are the same, and so is their view */
  ab_head_t ours, theirs; /* the batch after these; length 0: none */
} autobee_comparison_t;

/**
 * Compare what is published here with the state that a writer recorded with its last nodes, as far as that
 * went.
 *
 * Reads both histories, and fetches that writer's system and view from peers that have them: it does itself.
 * Takes O(n + m log n) for n batches and m entries of the views; log n only if the views differ.
 *
 * Returns 0, AB_ENOTFOUND (the writer has recorded nothing), AB_EREMOTE (a block is not here; it is wanted),
 * AB_ECORRUPT (the record does not decode), AB_ETOOBIG (it has at least 65536 batches more than are applied
 * here), AB_ENOMEM, or an error of the store.
 */
AB_API int
autobee_compare (autobee_t *db, const ab_key_t *writer, autobee_comparison_t *out);

/** BLAKE2b-256 over the lines `writer.length.weight\n` (the key in hex, the numbers in decimal) of the merged
 * order, oldest first: peers that know the same nodes have equal ones. Reads every node. Errors as
 * autobee_log. */
AB_API int
autobee_order_hash (autobee_t *db, uint8_t out[32]);

/** Do the work that is due on everything opened from the store, for about `budget_ms` (at least one step),
 * and say when to call again at the latest (milliseconds of the store's clock; UINT64_MAX: nothing waits for
 * time). Returns 1 if there is more to do now, 0, or an error. */
/* int ab_store_run (ab_store_t *store, uint32_t budget_ms, uint64_t *next_deadline_ms): hypercore/hypercore.h
 */

#ifdef __cplusplus
}
#endif

#endif

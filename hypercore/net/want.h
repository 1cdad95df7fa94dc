/* want.h: what the streams of a store work for, and what they tell. Private to hypercore/net/.
 *
 *   ab__net_t   one per store, made by whoever needs it first
 *     netcore     one per core that is followed, or has a channel open
 *       replicators   the core on each stream          follows, downloads, urgent: what is wanted of it
 *     streams, wakeup topics
 *
 *   What may be told of a core is what the last commit made durable: `fork`, `length`, `contiguous`. Blocks
 * that come are staged; run commits them when they are old or nothing more is on its way.
 *
 * Invariant  a block is asked for on one stream at a time: its index is in `asked` while it is
 */
#ifndef AB_WANT_H
#define AB_WANT_H

#include "hypercore/internal.h"
#include "hypercore/net/net.h"

#define AB__COMMIT_AFTER_MS 50
#define AB__URGENT_MAX HYPERCORE_WANTED_MAX
#define AB__NEWS_MAX 256 /* ranges of single blocks between two commits that are announced */

typedef struct ab__net_s ab__net_t;
typedef struct ab__netcore_s ab__netcore_t;
typedef struct ab__replicator_s ab__replicator_t;

typedef struct {
  uint64_t start, end;
} ab__span_t;

/* A short list of ranges; the last one grows when the next block follows it. What does not fit is dropped. */
typedef struct {
  ab__span_t *spans;
  size_t count, capacity;
} ab__spans_t;

/* A set of block indexes. Ours alone: no peer picks them. */
typedef struct {
  uint64_t *slots; /* index + 1 */
  size_t count, capacity;
} ab__index_set_t;

struct ab__net_s {
  ab_store_t *store;
  ab_runner_t runner;
  ab_stream_t *streams;
  ab__netcore_t *cores;
  ab__netcore_t **table; /* by discovery key */
  size_t table_size, core_count;
  ab_wakeup_t *wakeups;
  hypercore_download_t *ended; /* whose callback is due */
  uint64_t opens;              /* raised when streams have channels to open */
  bool staged;                 /* something of ours is not committed */
  uint64_t staged_ms;
  bool stalled; /* the last commit failed: take no more */
  bool changed; /* some core's `changed` is set */
};

struct ab__netcore_s {
  ab__net_t *net;
  hypercore_t *core;
  ab_key_t key;
  ab_key_t discovery_key;
  hypercore_listener_t listener;
  ab__netcore_t *next, **link;
  ab__netcore_t *chain; /* in the table */
  ab__replicator_t *replicators;
  hypercore_follow_t *follows;
  hypercore_follow_t *next_follow; /* of a walk that is going on */
  hypercore_download_t *downloads;

  uint64_t fork, length, contiguous; /* committed */
  bool has_manifest;
  uint64_t low;     /* lowest length since the last commit: what is above was replaced */
  bool changed;     /* since the last run */
  bool uncommitted; /* since the last commit */
  ab__spans_t news; /* blocks that came since the last commit, apart from the contiguous ones */

  uint64_t *urgent; /* blocks that reads missed, AB__URGENT_MAX */
  size_t urgent_count;
  ab__index_set_t asked;
  uint64_t epoch; /* raised when a block that was asked for is to be asked for again */

  ab__replicator_t *upgrading; /* who was asked for a longer tree */
  ab__replicator_t *reorging;  /* who is asked about a higher fork */
  ab_reorg_t reorg;
  ab_arena_t reorg_arena;
  bool reorg_begun;
};

/** The net of a store, made if there is none. NULL: out of memory. */
ab__net_t *
ab__net_of (ab_store_t *store);

/** The netcore of an open core, made if there is none (holding a reference), or of a stored one
 * (AB_ENOTFOUND). */
int
ab__net_core (ab__net_t *net, hypercore_t *core, ab__netcore_t **out);
int
ab__net_core_discovered (ab__net_t *net, const ab_key_t *discovery_key, ab__netcore_t **out);
ab__netcore_t *
ab__net_find (const ab__net_t *net, const ab_key_t *discovery_key);

/** Release it if nobody needs it. */
void
ab__netcore_settle (ab__netcore_t *core);

/** Somebody here wants data of it. */
static inline bool
ab__netcore_is_followed (const ab__netcore_t *core) {
  return core->follows != NULL;
}

/** Tell those who follow it. */
void
ab__netcore_tell (ab__netcore_t *core, ab_stream_t *stream, ab_core_state_t state);

/** Fetch what reads missed. True if there was something. */
bool
ab__netcore_poll (ab__netcore_t *core);

/** Something of the core was staged through us. */
void
ab__netcore_staged (ab__netcore_t *core);

/** All its channels look again for what to ask. */
void
ab__netcore_pump (ab__netcore_t *core);

/** Blocks from `length` on were replaced: what is wanted of them is to be asked for again. */
void
ab__netcore_rewind (ab__netcore_t *core, uint64_t length);

/** What a relaxed store committed is durable after this: required before our own blocks are told to anybody.
 */
int
ab__net_sync (ab__net_t *net);

/** Commit if much is staged. Returns 0, also when it failed (then the net is stalled). */
void
ab__net_limit_staged (ab__net_t *net);

bool
ab__index_set_has (const ab__index_set_t *set, uint64_t index);
/** Returns 0 or AB_ENOMEM. */
int
ab__index_set_add (ab__index_set_t *set, uint64_t index);
void
ab__index_set_remove (ab__index_set_t *set, uint64_t index);

void
ab__spans_add (ab__spans_t *spans, uint64_t start, uint64_t end);
void
ab__spans_clear (ab__spans_t *spans);
void
ab__spans_destroy (ab__spans_t *spans);

#endif

/* engine.h: the state of one open database. Private to autobee/.
 *
 *   attached writers ── take ──► peeked ── the best one ──► run ──► system and view
 *        ▲    └── waits for a node that is missing               │
 *        └──── pending: to look at ◄── bumps                     ▼
 *   local queue ── taken, applied ──► own log ──► head ──► commit ──► published
 *
 * A *drain* runs iterations until nothing bumps it; an *iteration* steps until nothing is peeked, then writes
 * the local nodes. What an iteration did is undone as a whole when it cannot be finished: heads, cores and
 * queues go back to where it began.
 *
 * Invariant  between iterations the head of the system covers no local node that is not in the log
 */
#ifndef AUTOBEE_ENGINE_H
#define AUTOBEE_ENGINE_H

#include "apply/run.h"
#include "autobee/autobee.h"
#include "autobee/batch.h"
#include "autobee/encryption.h"
#include "autobee/keymap.h"
#include "autobee/system.h"
#include "autobee/window.h"
#include "hypercore/internal.h"

#define ENGINE_HINTS_MAX 1024
#define ENGINE_UNKNOWN_MAX 256       /* attached writers without a record */
#define ENGINE_FOLLOWED_MAX 1024     /* writers that the next open follows at once */
#define ENGINE_INDEXERS_MAX 128      /* attached writers, so that one without news stays among them */
#define ENGINE_BACKFILL_MAX 256      /* writers followed at a time, to complete their logs */
#define ENGINE_TESTIMONY_MAX 256     /* attestations about the local writer */
#define ENGINE_ATTESTATIONS_MAX 1024 /* that this peer owes others */
#define ENGINE_ACKED_MAX 1024
#define ENGINE_CANDIDATES_MAX 16  /* announced heads that a fast-forward looks into */
#define ENGINE_RISES_MAX 32       /* N4 */
#define ENGINE_HEADS_HIGH 16      /* T8 */
#define ENGINE_ITERATION_MAX 1024 /* batches, then what is done is stored */
#define ENGINE_ITERATION_LOCAL 32 /* the same when local nodes wait to be written */
#define ENGINE_MERGE_MAX 64       /* batches that a run takes in, or as many as it has to apply again */
#define ENGINE_CHANGED_MAX 4096   /* writers with undone records, for a run to take in batches of others */

typedef struct writer_s writer_t;
struct writer_s {
  autobee_t *db;
  ab_key_t key;
  hypercore_t *core;
  hypercore_listener_t listener;
  bool is_bootstrap;
  bool is_attached;
  bool is_pending;
  bool is_added;   /* has a record, or is the creator; as of the last refresh */
  bool is_removed; /* the same */
  bool is_frozen;
  bool is_parked; /* a block that its batch needs is missing; until blocks arrive */
  bool has_cipher;
  uint64_t max_weight;
  uint64_t hinted; /* length that somebody announced */
  batch_t *peeked;

  bool is_waiting;
  ab_head_t waiting; /* for this node to be applied */
  size_t wait_index; /* in the list of waiting.key */

  uint64_t rejected_length;  /* first node of the batch that apply refused, or 0 */
  uint64_t rejected_version; /* of the system after that */
  writer_t *next_closed;
};

typedef struct {
  writer_t **writers;
  size_t count;
  size_t capacity;
} writer_list_t;

typedef struct {
  ab_key_t key;
  uint64_t weight;
} attestation_t;

typedef struct granted_s granted_t; /* see merge.c */

/* A place in the order that a run has still to fill. */
typedef struct {
  batch_t *batch; /* NULL: to be loaded */
  ab_key_t writer;
  uint64_t last;
  uint64_t weight; /* as recorded */
  uint64_t timestamp_ms;
  bool is_given;    /* pushed with its batch, not as something undone */
  bool is_resolved; /* its weight, in this run */
  size_t best;      /* of this and what comes after it, the item that compares before all others */
} run_item_t;

typedef struct {
  bool is_active;
  bool is_optimistic;
  writer_t *writer; /* whose batch started it; NULL once it is closed */
  batch_t *batch;
  bool is_placed;    /* an optimistic attempt: the order is settled */
  run_item_t *items; /* the next one is the last */
  size_t count;
  size_t capacity;
  size_t given_count; /* items that were pushed with their batch */
  keymap_t rises;     /* N4: how often the weights of batches rose */
  ab_arena_t arena;
  bool has_undone;
  uint64_t kept;      /* fewest flushes that an undo kept: what is above was applied in this run */
  bool keep_blocks;   /* drop nothing before it is complete */
  keymap_t changed;   /* writers whose records are others while something is undone */
  granted_t *granted; /* those of them who are granted again when it is applied again */
  bool is_closed;     /* takes in no more batches */
  bool has_looked;    /* at what could be taken in, since the last new batch */
  size_t merged_count;

  ab_head_t head; /* before an optimistic attempt */
  uint64_t system_length;
  uint64_t view_length;
  size_t attestation_count;
  uint64_t system_blocks;
  uint64_t view_blocks;
  uint64_t stamp_flushes;
} run_t;

/* The state that a node is stamped with. */
typedef struct {
  ab_head_t system;
  uint64_t flushes; /* 0: none */
} stamp_t;

typedef struct {
  ab_head_t head;
  stamp_t stamp; /* of its node, once that is here */
  uint64_t since_ms;
} candidate_t;

typedef struct {
  candidate_t candidates[ENGINE_CANDIDATES_MAX];
  size_t count;
  stamp_t target;    /* the best of those that somebody may have */
  bool is_forced;    /* move to `target`, ask nobody */
  bool is_holding;   /* other peers' logs wait */
  bool has_news;     /* blocks came since */
  uint64_t since_ms; /* something came */
  uint64_t until_ms;
  uint64_t pause_until_ms; /* after an attempt that failed */
} forward_t;

/* A walk over a state that is to be adopted, see fill.h. */
typedef enum { FILL_NONE = 0, FILL_STATE, FILL_ORDER, FILL_OLDER } fill_stage_t;

typedef struct {
  fill_stage_t stage;
  ab_head_t target;
  ab_head_t system; /* that is walked; of the target, then of what a local batch could lead back to */
  ab_head_t view;   /* that it names, once it was walked */
  bool in_view;
  uint64_t timestamp_ms; /* the latest in the target's state */
  bee_t *bee;
  bee_cursor_t *cursor;
} fill_t;

/* See reindex.h. */
typedef struct {
  bool is_asked;
  bool is_active;
  ab_head_t *goal; /* heads of the state that is made anew */
  size_t goal_count;
  size_t attestation_count;
} reindex_t;

typedef enum { STAGE_IDLE = 0, STAGE_BEGIN, STAGE_INNER, STAGE_END } stage_t;

typedef struct queued_event_s queued_event_t;
struct queued_event_s {
  autobee_event_t event;
  char *message;
  queued_event_t *next;
};

typedef struct replication_s replication_t;

typedef struct foreign_s foreign_t;
struct foreign_s {
  hypercore_t *core;
  hypercore_listener_t listener;
  foreign_t *next;
};

struct autobee_s {
  ab_store_t *store;
  autobee_options_t options;
  ab_runner_t runner;
  replication_t *replication; /* NULL: not on the store's connections */
  bool is_closed;             /* the store went away */
  bool in_apply;              /* calls from apply are refused */
  bool is_calling;            /* a callback runs */

  ab_key_t key;
  ab_key_t discovery_key;
  ab_key_t namespace_key;
  bool is_encrypted;
  encryption_t encryption;
  hypercore_t *bootstrap;
  hypercore_t *system_core;
  hypercore_t *view_core;
  foreign_t *foreign;     /* kept open to hear of their blocks */
  bool has_foreign_heads; /* the state lies in other peers' cores, or did */

  system_t system;
  bee_t *view;
  window_t window;

  /* writers */
  uint64_t seed;
  writer_t *local;
  bool is_writable;
  keymap_t writers; /* the attached ones */
  writer_list_t attached;
  writer_list_t pending;
  keymap_t waits; /* key → list of writers waiting for it */
  ab_head_t *hints;
  size_t hint_count;
  uint64_t hinted_at_ms; /* when hints were taken; 0 once that is stored */
  uint64_t retry_at_ms;  /* a node from the future is due; UINT64_MAX: none */
  bool has_arrivals;     /* blocks came: look at parked writers again */
  writer_t *closed;      /* to be freed when nobody walks a list of writers */

  /* the local writer */
  batch_t *queue;
  batch_t **queue_end;
  size_t queue_nodes;
  size_t queue_bytes;
  uint64_t next_length; /* of the next captured node */
  hypercore_t *rotate_to;
  bool owes_ack;
  ab_head_t *acked;
  size_t acked_count;
  bool value_seen;              /* since our last null node of T8 */
  uint64_t shorten_heads_at_ms; /* T8; UINT64_MAX: not due */

  /* testimony */
  oplog_witness_t *testimony;
  size_t testimony_count;
  bool testimony_changed; /* since it was stored */
  attestation_t *attestations;
  size_t attestation_count;
  size_t attestation_capacity;

  /* stamps (11.3) */
  uint64_t system_start;
  uint64_t view_start;
  uint64_t system_blocks;
  uint64_t view_blocks;
  uint64_t stamp_flushes;

  /* the drain */
  stage_t stage;
  bool is_bumped;
  size_t iteration_batches; /* applied in it */
  run_t run;
  const batch_t *applying;
  forward_t forward;
  fill_t fill;
  reindex_t reindex;
  struct {
    bool is_begun;
    bool is_listed;    /* all writers on record were looked at */
    ab_key_t last;     /* one that was looked at */
    ab_head_t history; /* of the order, as far as it was walked */
  } backfill;
  ab_head_t iteration_head;
  size_t iteration_attestations;
  bool needs_reset; /* go back to where the iteration began before anything else */
  int halted;       /* 0, or why the drain stopped */
  int halt_cause;   /* what apply answered */
  ab_buf_t halt_message;
  ab_head_t halt_node;

  /* heads that are stored and shown */
  ab_head_t stored_head;
  ab_head_t staged_system, staged_view; /* at the end of the last iteration */
  ab_head_t published_system, published_view;
  uint64_t published_flushes;
  uint64_t staged_flushes;
  uint64_t staged_timestamp_ms;
  size_t staged_heads, published_heads;
  uint64_t published_timestamp_ms;
  uint64_t undone_to; /* fewest flushes kept by an undo since the last publication */
  bool commit_due;
  uint64_t commit_at_ms; /* of a failed commit: when to try again */

  /* told when nothing is in flux */
  batch_t *uncommitted; /* flushed batches with a request */
  batch_t **uncommitted_end;
  autobee_append_t *ended; /* linked through `reserved` */
  autobee_append_t **ended_end;
  queued_event_t *events;
  queued_event_t **events_end;
  autobee_view_t *views; /* open ones */

  uint64_t undos, applies, drains, appends, rejected, forwards, arrivals;

  /* hooks of tests */
  uint64_t stamp_now_ms; /* the clock that stamps appends, 0: the store's */
  bool no_shortening;    /* never append null nodes of T8 */
  bool no_kept_testimony;
  bool has_trusted;
  ab_head_t trusted; /* named on every local flush */
};

/** The store's clock. */
uint64_t
autobee__now (const autobee_t *db);
/** The clock that stamps local nodes. */
uint64_t
autobee__stamp_now (const autobee_t *db);

/** Queue an event; lost when out of memory. `message` is copied and may be NULL. */
void
autobee__event (autobee_t *db, const autobee_event_t *event, const char *message);
/** Tell what was queued: ends of appends, then events. Nothing of the engine may be in flux. */
void
autobee__tell (autobee_t *db);
/** Note that `req` has ended; told by autobee__tell. */
void
autobee__end (autobee_t *db, autobee_append_t *req, int status);
/** Remember an announcement for the next iteration. */
int
autobee__hint (autobee_t *db, const ab_key_t *key, uint64_t length);
/** 0, or why a call is refused now: AB_ECLOSED, AB_EBUSY from apply. */
int
autobee__enter (const autobee_t *db);

#endif

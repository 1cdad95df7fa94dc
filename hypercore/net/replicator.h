/* replicator.h: one core on one stream. Private to hypercore/net/.
 *
 *   replicator.c   the channel's life, what both sides say about the core, the messages that come
 *   fetch.c        asking, and taking what is answered
 *   serve.c        answering
 *
 *   Nothing is sent when a message comes: it only leaves something to do, and ab__replicator_work does it
 * when there is room to send. So a peer that does not read stops our requests, our answers and our news, each
 * of which is kept in a bounded form until then.
 */
#ifndef AB_REPLICATOR_H
#define AB_REPLICATOR_H

#include "hypercore/net/have.h"
#include "hypercore/net/messages.h"
#include "hypercore/net/mux.h"
#include "hypercore/net/want.h"

#define AB__WINDOW_MAX ((size_t) 512) /* requests in flight */
#define AB__INFLIGHT_BYTES (8u << 20) /* that they may bring, by the core's average block */
#define AB__BIG_BLOCK (1u << 20)      /* an average from which only one is asked for at a time */
#define AB__OWED_MAX 4096             /* requests and wants of the peer's without an answer */
#define AB__WANT_SEGMENT 2097152u     /* blocks that one Want asks about */
#define AB__WANT_MAX 2097152u         /* longest Want that is answered */
#define AB__WANTED_SEGMENTS_MAX 512
#define AB__REFUSED_MAX 64        /* blocks the peer did not give */
#define AB__ANNOUNCE_LAST 256     /* single blocks announced to a peer that did not ask */
#define AB__OPTIMISM_FAILURES 16  /* answers in another order, before we stop counting on it */
#define AB__OPTIMISM_SUCCESSES 32 /* that make up for one */

typedef enum { AB__ASK_BLOCK, AB__ASK_UPGRADE, AB__ASK_MANIFEST, AB__ASK_REORG } ab__ask_t;

/* A request of ours. */
typedef struct {
  uint64_t id;
  ab__ask_t kind;
  bool done; /* answered or void; still in the queue behind others */
  bool has_block;
  bool is_optimistic; /* counts on nodes of requests sent before it */
  uint64_t block;
  uint64_t hash; /* of a reorg's second and later requests; 0: an upgrade from 0 */
  bool has_hash;
  uint64_t fork;
  uint64_t own_length, own_fork; /* when it was sent */
  uint64_t cost;                 /* bytes it may bring */
} ab__inflight_t;

/* A request or a want of the peer's. */
typedef struct {
  bool is_want;
  bool is_dead; /* cancelled */
  ab__want_t want;
  ab_request_t request;
} ab__owed_t;

struct ab__replicator_s {
  ab__channel_t channel; /* first: the multiplexer's callbacks get this */
  ab_stream_t *stream;
  ab__netcore_t *core;
  ab__replicator_t *next_of_core, **link_of_core;
  ab__replicator_t *next_of_stream, **link_of_stream;
  ab__replicator_t *next_work;
  bool is_queued;
  ab_core_state_t state;

  /* What the peer said. */
  bool synced;
  ab__sync_t remote;
  uint64_t acked; /* our length as it knows it */
  ab__have_t have;
  bool remote_wants;

  /* What we said, and have to say. */
  bool said_sync, sync_due;
  ab__sync_t said;
  uint64_t said_contiguous;
  ab__spans_t drops;
  ab__spans_t news;

  /* Its requests: a ring. */
  ab__owed_t *owed;
  size_t owed_first, owed_count, owed_capacity;

  /* Ours: a ring. */
  ab__inflight_t *inflight;
  size_t inflight_capacity; /* a power of two, or 0 */
  size_t inflight_first, inflight_span, inflight_count;
  uint64_t next_id;
  bool pump_due;
  bool manifest_asked;  /* and nothing new said since */
  bool upgrade_refused; /* likewise */
  bool upgrade_denied;  /* by us, and nothing new came here since */
  uint64_t refused[AB__REFUSED_MAX];
  size_t refused_count;
  uint32_t *wanted_segments;
  size_t wanted_segment_count;
  uint64_t last_data_ms;
  bool is_slow; /* it let requests run out; none until it answers or says something */
  hypercore_download_t *cursor_of;
  uint64_t cursor, cursor_epoch;
  uint64_t run_start, run_next; /* consecutive blocks asked for here */
  unsigned optimism_failures, optimism_successes;
};

/** A channel for this core, opened now. Returns 0 or an error that ends the stream. */
int
ab__replicator_open (ab_stream_t *stream, ab__netcore_t *core);
/** Reopen one that is not open. */
int
ab__replicator_reopen (ab__replicator_t *replicator);

ab__replicator_t *
ab__replicator_find (const ab__netcore_t *core, const ab_stream_t *stream);

/** Release one whose channel is closed. */
void
ab__replicator_free (ab__replicator_t *replicator);

/** Put it where ab__replicator_work is called from. */
void
ab__replicator_queue (ab__replicator_t *replicator);

/** Do some of what is to be done: news, requests, answers. 1: there is more, 0, or an error that ends the
 * stream. */
int
ab__replicator_work (ab__replicator_t *replicator);

/** The core's committed state changed, blocks of `drop` are gone (if not empty) and those of `news` came. */
void
ab__replicator_news (ab__replicator_t *replicator, ab__span_t drop, const ab__spans_t *news);

/* ---- fetch.c ---- */

int
ab__fetch_pump (ab__replicator_t *replicator);
int
ab__fetch_data (ab__replicator_t *replicator, ab_slice_t message);
int
ab__fetch_no_data (ab__replicator_t *replicator, const ab__no_data_t *message);
/** Its requests are void: others may ask. */
void
ab__fetch_void (ab__replicator_t *replicator);
/** Cancel what got no answer for too long. Returns 0 or an error that ends the stream. */
int
ab__fetch_expire (ab__replicator_t *replicator, uint64_t now_ms);
/** The peer said something new: what it refused may be asked again. */
void
ab__fetch_renew (ab__replicator_t *replicator);

/* ---- serve.c ---- */

int
ab__serve_request (ab__replicator_t *replicator, ab_slice_t message);
int
ab__serve_want (ab__replicator_t *replicator, const ab__want_t *want);
void
ab__serve_cancel (ab__replicator_t *replicator, uint64_t request);
/** Answer the next one. Returns 0 or an error that ends the stream. */
int
ab__serve_one (ab__replicator_t *replicator);
void
ab__serve_drop (ab__replicator_t *replicator);

/* ---- helpers of the three ---- */

/** Begin and end a message; the error of `end` ends the stream. */
ab_buf_t *
ab__replicator_begin (ab__replicator_t *replicator, ab__core_message_t type);
int
ab__replicator_end (ab__replicator_t *replicator);

#endif

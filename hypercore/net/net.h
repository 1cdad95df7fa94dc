/* net.h: cores travel between peers: one connection is bytes in, bytes out.
 *
 *   bytes ─► feed ─► secret stream ─► multiplexer ─┬─► replicator of core A ─► verified blocks, staged
 *   bytes ◄─ take ◄─ secret stream ◄─ multiplexer ◄┼── replicator of core B ◄─ requests owed an answer
 *                                                  └── wakeup topics
 *
 *   A stream serves every core of its store that the peer names by discovery key, and fetches what somebody
 * in this process wants: hypercore_follow keeps a core's length up to date and fetches the blocks that reads
 * missed, hypercore_download fetches a range, ab_wakeup_join talks about which cores exist. What is wanted
 * belongs to the store, not to a stream: it is shared out over all streams that come and go.
 *
 *   Nothing is announced or served before it is committed. What is downloaded is staged in its core and
 * committed in groups, by ab_store_run or when much is staged.
 *
 * Files      noise (handshake), secretstream (frames), mux (channels), messages (their contents), capability,
 *            have (what a peer has): pure. stream.c the connection; replicator.c one core on it, with fetch.c
 *            asking and serve.c answering; wakeup.c topics; want.c what the store's streams work for
 * Invariant  what the peer can make us keep is bounded: requests, blocks known, bytes owed and bytes buffered
 * To change  a message: messages.c and its vectors; what to ask whom for: fetch.c
 *
 * Calls follow the store's rule: they never overlap on one store. Callbacks run inside ab_store_run or
 * ab_stream_feed, never inside the call that made their request. They may open, read and write cores, follow,
 * join and announce; they may not close a store, nor feed, take or close a stream.
 */
#ifndef AB_NET_H
#define AB_NET_H

#include "hypercore/hypercore.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- one connection ---- */

typedef struct ab_stream_s ab_stream_t;

/* The most bytes taken out of the store and not yet taken by ab_stream_take. Answers are made when there is
 * room for them, so a peer that does not read costs this much and its requests. */
#define AB_STREAM_TX_BYTES ((size_t) 64 * 1024)

/* What a stream may hold in memory for a peer, whatever the peer does: a frame that is not complete, what is
 * to be sent, requests that are owed an answer, what is known about the peer's blocks. */
#define AB_STREAM_MEMORY_MAX ((size_t) 64 * 1024 * 1024)

typedef struct {
  uint32_t struct_size;
  bool initiator;                /* of the handshake: by convention the side that connected (default false) */
  const ab_key_pair_t *key_pair; /* who we say we are; NULL: a random pair for this connection */
  bool push_only;                /* serve, but ask for nothing */
  bool pull_only;                /* fetch, but answer every request with "not here" */
  uint32_t handshake_ms;         /* 0: 10 s */
  uint32_t silence_ms;    /* end the stream when nothing came for so long; 0: 30 s, UINT32_MAX: never */
  uint32_t keep_alive_ms; /* an empty frame after so long without sending; 0: 5 s, UINT32_MAX: never */
  uint32_t request_ms;    /* ask elsewhere when a request got nothing for so long; 0: 30 s */
  /** There is something to take, or the stream ended: called once, and again after the next take. Only
   * schedules the take; calls nothing here. */
  void (*on_output)(ab_stream_t *stream, void *data);
  /** The handshake is done and ab_stream_remote_key known. */
  void (*on_open)(ab_stream_t *stream, void *data);
  void *data;
} ab_stream_options_t;

AB_API ab_stream_options_t
ab_stream_options_default (void);

/**
 * Begin a connection of the store. Every stream needs one ab_stream_close, also when its store was closed
 * before: then it has ended with AB_ECLOSED. Returns 0, AB_EINVAL, AB_ENOMEM, or what syncing a relaxed store
 * says.
 */
AB_API int
ab_stream_open (ab_store_t *store, const ab_stream_options_t *options, ab_stream_t **out);

/** Release it; requests that are under way go to other streams. NULL is a no-op. */
AB_API void
ab_stream_close (ab_stream_t *stream);

/**
 * Give it bytes that came from the peer, cut anywhere. `taken` says how many it took: less than `in.len` when
 * the store cannot take more now (feed the rest after ab_store_run), or when the stream ended. Returns
 * ab_stream_status.
 */
AB_API int
ab_stream_feed (ab_stream_t *stream, ab_slice_t in, size_t *taken);

/** The peer will send no more: the stream ends. What is already made for it can be taken. */
AB_API void
ab_stream_feed_end (ab_stream_t *stream);

/**
 * Bytes for the peer, borrowed until the next take or close (feeding in between is fine); empty when there is
 * nothing to send now: take until then, after on_output, and after every ab_store_run for what reads have
 * missed. Whatever is taken counts as sent. Returns 0, or AB_ENOMEM; the status of an ended stream does not
 * keep its last bytes from being taken.
 */
AB_API int
ab_stream_take (ab_stream_t *stream, ab_slice_t *out);

/**
 * 0 while it runs, else why it ended; take what is left, then close it:
 *   AB_EINSYNC, AB_ECANCELED   ab_stream_end said so
 *   AB_EEND                    the peer ended the connection
 *   AB_ECORRUPT                the peer broke the protocol, or sent what does not verify
 *   AB_ETOOBIG                 it made us hold more than we are willing to
 *   AB_ETIMEDOUT, AB_ECLOSED (the store), AB_ENOMEM, or an error of the store
 */
AB_API int
ab_stream_status (const ab_stream_t *stream);

/** What went wrong, in words; never NULL, valid until the stream is closed. */
AB_API const char *
ab_stream_message (const ab_stream_t *stream);

/** End it here: `status` is what ab_stream_status says from now on. */
AB_API void
ab_stream_end (ab_stream_t *stream, int status);

/** Milliseconds of the store's clock at which ab_stream_tick has something to do; UINT64_MAX: never. The
 * store's run does it for all its streams. */
AB_API uint64_t
ab_stream_deadline (const ab_stream_t *stream);
AB_API void
ab_stream_tick (ab_stream_t *stream);

/**
 * Is this connection done for now? Both ways: every core followed here is open or was refused there, is as
 * long there as here (unless the peer does not want it), no block is asked for or wanted that the peer has,
 * no answer is owed, every wakeup look-up was answered or nothing passed for 2 s, nothing waits to be taken
 * or committed.
 */
AB_API bool
ab_stream_in_sync (const ab_stream_t *stream);

AB_API ab_store_t *
ab_stream_store (const ab_stream_t *stream);
AB_API void *
ab_stream_data (const ab_stream_t *stream);
/** The peer's handshake key, which nobody vouches for; NULL before the handshake is done. */
AB_API const ab_key_t *
ab_stream_remote_key (const ab_stream_t *stream);
AB_API bool
ab_stream_is_initiator (const ab_stream_t *stream);

typedef struct {
  uint64_t bytes_in, bytes_out;   /* on the wire */
  uint64_t blocks_in, blocks_out; /* in data messages that verified, and sent */
  uint64_t channels;              /* open now */
  uint64_t requests_in_flight;    /* of ours */
  uint64_t answers_owed;          /* of the peer's */
  uint64_t quiet_ms;              /* since a request, an answer or an announcement passed, either way */
  uint64_t memory;                /* bytes held for it now */
} ab_stream_stats_t;

AB_API void
ab_stream_stats (const ab_stream_t *stream, ab_stream_stats_t *out);

/* What a stream and a core have to do with each other. */
typedef enum {
  AB_CORE_NONE = 0, /* nobody asked */
  AB_CORE_WAITING,  /* we opened the channel, the peer did not answer yet */
  AB_CORE_OPEN,     /* paired: it replicates */
  AB_CORE_REFUSED   /* the peer does not have it, or closed the channel */
} ab_core_state_t;

AB_API ab_core_state_t
ab_stream_core_state (const ab_stream_t *stream, const ab_key_t *discovery_key);
/** Could the peer still give so much of the core, by what it has said? */
AB_API bool
ab_stream_may_have (const ab_stream_t *stream, const ab_key_t *discovery_key, uint64_t length);

/** Call `each` for every stream of the store that runs, until it returns non-zero (which is then returned).
 */
AB_API int
ab_store_each_stream (ab_store_t *store, int (*each)(void *data, ab_stream_t *stream), void *data);

/* ---- what this process wants of a core ---- */

typedef struct hypercore_follow_s hypercore_follow_t;
typedef struct hypercore_download_s hypercore_download_t;

/* Somebody uses this core. Intrusive: it lives in the caller's memory until hypercore_unfollow. */
struct hypercore_follow_s {
  void *data; /* yours */
  /** The core's channel with a peer became open, or is closed or refused. NULL: not interested. */
  void (*peer)(hypercore_follow_t *follow, ab_stream_t *stream, ab_core_state_t state);
  struct ab__netcore_s *core; /* private from here on */
  hypercore_follow_t *next;
  hypercore_follow_t **link;
};

/**
 * Open this core's channel on every connection, now and later; keep its length up to date; fetch the blocks
 * that reads missed (AB_EREMOTE). Set `data` and `peer` first. Returns 0 or AB_ENOMEM.
 */
AB_API int
hypercore_follow (hypercore_follow_t *follow, hypercore_t *core);
/** No-op for one that is not followed. The channels close when nobody needs them. */
AB_API void
hypercore_unfollow (hypercore_follow_t *follow);

/** `end` of a download that never ends: blocks are fetched as the core grows. */
#define HYPERCORE_LIVE UINT64_MAX

typedef void (*hypercore_download_cb)(hypercore_download_t *download, int status);

/* A request for blocks; the caller's memory until its callback ran. */
struct hypercore_download_s {
  void *data;                 /* yours */
  struct ab__netcore_s *core; /* private from here on */
  uint64_t start;
  uint64_t low; /* everything from start to here is here */
  uint64_t end;
  hypercore_download_cb cb;
  int status;
  hypercore_download_t *next;
  hypercore_download_t **link;
  hypercore_follow_t follow;
};

/**
 * Fetch the blocks of [start, end) that are not here, following the core meanwhile. A block past the core's
 * length is waited for.
 *
 * cb  once: 0 when all of them are here and committed; AB_ECANCELED; AB_ECLOSED with the store. May be NULL
 *
 * Returns 0, AB_EINVAL (start >= end) or AB_ENOMEM, and then `cb` does not run.
 */
AB_API int
hypercore_download (
  hypercore_download_t *download, hypercore_t *core, uint64_t start, uint64_t end, hypercore_download_cb cb
);
/** End it; its callback runs with AB_ECANCELED from ab_store_run. No-op for one that ended. */
AB_API void
hypercore_download_cancel (hypercore_download_t *download);
/** True until its callback ran. */
AB_API bool
hypercore_download_is_active (const hypercore_download_t *download);

/** Tell the peers that the blocks of [start, end) are no longer here, after hypercore_clear. */
AB_API void
hypercore_announce_clear (hypercore_t *core, uint64_t start, uint64_t end);

/* ---- wakeup: telling peers which cores exist ---- */

typedef struct ab_wakeup_s ab_wakeup_t;

/* The most heads one announcement may carry; what a peer sends above it is dropped. */
#define AB_WAKEUP_HEADS_MAX 4096

/* One topic. Intrusive: fill in the first part, then ab_wakeup_join. */
struct ab_wakeup_s {
  void *data;          /* yours */
  ab_key_t capability; /* what both sides prove to know: for a database its key */
  ab_key_t topic;      /* what the channel is called: usually the discovery key of the capability */
  /** A peer asks which cores there are: answer with ab_wakeup_announce, or not. */
  void (*lookup)(ab_wakeup_t *wakeup, ab_stream_t *stream);
  /** May a look-up be answered now? If not, it is put off until ab_wakeup_resume. NULL: always. */
  bool (*may_answer)(ab_wakeup_t *wakeup, ab_stream_t *stream);
  /** A peer says so, unasked or asked; nothing of it is verified. `heads` is valid during the call. */
  void (*announce)(ab_wakeup_t *wakeup, ab_stream_t *stream, const ab_head_t *heads, size_t count);
  /** A peer's session on the topic began or became active (true), became inactive or went away (false). */
  void (*peer)(ab_wakeup_t *wakeup, ab_stream_t *stream, bool active);
  /** A peer has more of a core than we have, and nobody follows that core here; nothing of it is verified.
   * NULL: not interested. */
  void (*grown)(ab_wakeup_t *wakeup, ab_stream_t *stream, const ab_head_t *head);
  struct ab__net_s *net; /* private from here on */
  bool asks;             /* look up at every peer that comes */
  struct ab__wakeup_peer_s *peers;
  ab_wakeup_t *next;
  ab_wakeup_t **link;
};

/** Talk about this topic on every connection, now and later. Returns 0 or AB_ENOMEM. */
AB_API int
ab_wakeup_join (ab_wakeup_t *wakeup, ab_store_t *store);
AB_API void
ab_wakeup_leave (ab_wakeup_t *wakeup);
/** Look-ups that were put off may be answered. */
AB_API void
ab_wakeup_resume (ab_wakeup_t *wakeup);
/** Tell a peer, be it that there is nothing. Returns 0, AB_ENOTFOUND (the peer has no session on the topic)
 * or AB_ENOMEM. */
AB_API int
ab_wakeup_announce (ab_wakeup_t *wakeup, ab_stream_t *stream, const ab_head_t *heads, size_t count);
/** Ask a peer, or with `stream` NULL all of them, also those that come later. Returns as ab_wakeup_announce.
 */
AB_API int
ab_wakeup_lookup (ab_wakeup_t *wakeup, ab_stream_t *stream);

#ifdef __cplusplus
}
#endif

#endif

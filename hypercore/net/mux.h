/* mux.h: many channels over one connection. Private to hypercore/net/. Pure: frames in, frames out.
 *
 *   frame     uint channel ‖ uint type ‖ payload        channel: the sender's id of it, 0 is control
 *   control   0 batch   uint id ‖ entries               entry: uint len (1 or more) ‖ message of channel id,
 *                                                              or 00 ‖ uint id: go on with another channel
 *             1 open    uint id ‖ string protocol ‖ optional buffer id ‖ handshake
 *             2 reject  uint id of the side that receives this
 *             3 close   uint id of the side that sends this
 *
 *            open sent                      peer's open
 *   (none) ────────────▶ WAITING ─────────────────────▶ PAIRED ──close sent or received──▶ (none)
 *     │ peer's open       │    │ reject                   ▲
 *     ▼                   │    └───────▶ (none)           │
 *   OFFERED ──────────────┼──────────── open sent ────────┘
 *     └─reject sent▶ (none) └─close sent▶ ZOMBIE: the id stays reserved until the answer comes
 *
 * Invariant  an id is in use, free, or above every id used so far; nothing else is accepted from a peer
 */
#ifndef AB_MUX_H
#define AB_MUX_H

#include "hypercore/buf.h"
#include "hypercore/encoding.h"

/* A peer may not have more ids than this, or messages of this many bytes waiting for our decision, each
 * counted with AB__MUX_QUEUED_COST. */
#define AB__MUX_IDS_MAX 65536
#define AB__MUX_QUEUE_BYTES ((size_t) 32 * 1024)
#define AB__MUX_QUEUED_COST ((size_t) 512)
#define AB__MUX_OFFERS_MAX 1024
#define AB__MUX_DEPTH_MAX 8 /* of batches inside batches */

typedef struct ab__mux_s ab__mux_t;
typedef struct ab__channel_s ab__channel_t;
typedef struct ab__mux_remote_s ab__mux_remote_t;
typedef struct ab__mux_local_s ab__mux_local_t;

/* A negative result of `opened` or `message` ends the connection. */
typedef struct {
  /** The peer's open came, with its handshake. */
  int (*opened)(ab__channel_t *channel, ab_slice_t handshake);
  int (*message)(ab__channel_t *channel, uint64_t type, ab_slice_t payload);
  /** It is gone: rejected, closed by a side, or the connection ended. The memory may be reused. */
  void (*closed)(ab__channel_t *channel, bool by_remote);
} ab__channel_ops_t;

/* In the owner's memory; the slices are borrowed until it is closed. */
struct ab__channel_s {
  const ab__channel_ops_t *ops;
  ab_slice_t protocol;
  ab_slice_t alias; /* another name of the protocol that the peer may use; data NULL: none */
  ab_slice_t id;    /* data NULL: none */
  ab__mux_t *mux;   /* NULL: closed. Private from here on */
  uint64_t local_id;
  uint64_t remote_id; /* 0: waiting */
};

typedef enum {
  AB__OFFER_REJECT = 0,
  AB__OFFER_OPENED, /* ab__mux_open was called */
  AB__OFFER_LATER   /* ab__mux_open or ab__mux_reject will be */
} ab__offer_t;

typedef struct {
  /** The buffer to append a frame to; its errors stick. */
  ab_buf_t *(*begin)(void *data);
  /** It is complete. Returns 0 or an error, which ends the connection. */
  int (*end)(void *data);
  /** The peer opened a channel that is not waiting here. */
  ab__offer_t (*offered)(void *data, ab_slice_t protocol, ab_slice_t id);
  void *data;
} ab__mux_host_t;

struct ab__mux_s {
  ab__mux_host_t host;
  ab__mux_local_t *locals; /* by id - 1 */
  size_t local_count, local_capacity;
  uint32_t *free_ids; /* most recently freed last */
  size_t free_count;
  size_t waiting_count; /* zombies included */
  size_t channel_count;
  ab__mux_remote_t *remotes; /* by id - 1 */
  size_t remote_count, remote_capacity;
  size_t offer_count;
  size_t queued; /* bytes of messages that wait for a decision */
};

void
ab__mux_init (ab__mux_t *mux, const ab__mux_host_t *host);

/** Every channel is told that it is closed. */
void
ab__mux_destroy (ab__mux_t *mux);

/** Take one frame. Returns 0, AB_ECORRUPT, AB_ETOOBIG, AB_ENOMEM or what a callback returned; after an error
 * the connection is to be ended. */
int
ab__mux_receive (ab__mux_t *mux, ab_slice_t frame);

/**
 * Open a channel whose first four members are set. If the peer has offered it, the two are paired at once and
 * `opened` and messages that waited are called from in here. Returns 0 or an error, which ends the
 * connection.
 */
int
ab__mux_open (ab__mux_t *mux, ab__channel_t *channel, ab_slice_t handshake);

/** Answer an offer that was put off. No-op if there is none. */
int
ab__mux_reject (ab__mux_t *mux, ab_slice_t protocol, ab_slice_t id);

/** Close it and call `closed`. Avoid it for one that waits: the peer may be deciding. */
int
ab__mux_close (ab__channel_t *channel);

static inline bool
ab__channel_is_paired (const ab__channel_t *channel) {
  return channel->mux != NULL && channel->remote_id != 0;
}

/** Begin a message; append its payload to the result and end it. */
ab_buf_t *
ab__channel_begin (ab__channel_t *channel, uint64_t type);
int
ab__channel_end (ab__channel_t *channel);

/* ---- the frames ---- */

void
ab__mux_write_open (
  ab_buf_t *out, uint64_t local_id, ab_slice_t protocol, ab_slice_t id, ab_slice_t handshake
);
void
ab__mux_write_reject (ab_buf_t *out, uint64_t remote_id);
void
ab__mux_write_close (ab_buf_t *out, uint64_t local_id);

#endif

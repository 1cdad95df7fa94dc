/* naive_peer.h: the reference's behaviour at one peer in the plainest form (autobee.md 9 to 11): which
 * batches it takes and when, the order they come into, and a copy of the whole state at every position of it.
 *
 * The wall clock, optimistic nodes, frozen writers and fast-forward are left out. An engine in production
 * mode must come to the same, but for what decides in which order batches are processed and who is followed:
 *   - who writes does not wait for what others wrote: local batches are processed first;
 *   - the links of a stranger's node are followed, one may be its grant;
 *   - an announcement of what is applied already is not.
 */
#ifndef NAIVE_PEER_H
#define NAIVE_PEER_H

#include "autobee/naive_state.h"

typedef struct {
  bool is_attached, is_pending, is_added;
  uint64_t max_weight; /* as of the last refresh, like is_added */
  uint64_t hinted;
  naive_batch_t peeked; /* last 0: none */
  ab_head_t waiting;    /* for this node; length 0: for none */
} naive_writer_t;

typedef struct {
  const naive_logs_t *logs;
  size_t local;
  bool is_production;
  bool is_altered; /* resolves weights as if removals did not lower ceilings */

  uint64_t lengths[NAIVE_WRITERS_MAX]; /* of the cores here */
  uint64_t stored[NAIVE_WRITERS_MAX];  /* blocks of them */
  uint64_t taken, queued;              /* last nodes of the local queue, behind lengths[local] */
  naive_writer_t writers[NAIVE_WRITERS_MAX];
  uint64_t hints[NAIVE_WRITERS_MAX]; /* not taken yet; 0: none */

  naive_state_t *states; /* [n]: after n batches */
  size_t count, capacity;
  bool is_writable, is_bumped;

  uint64_t undos, bounded; /* counted: reorders, batches whose weight rose too often */
} naive_peer_t;

void
naive_peer_init (naive_peer_t *peer, const naive_logs_t *logs, size_t local);
void
naive_peer_destroy (naive_peer_t *peer);

/** The process begins, or begins again: what is not stored is lost. */
void
naive_peer_open (naive_peer_t *peer);

/** The core of `writer` has `length` blocks, and so many of them are here. */
void
naive_peer_receive (naive_peer_t *peer, size_t writer, uint64_t length, uint64_t stored);
/** Somebody says that it has that many. */
void
naive_peer_hint (naive_peer_t *peer, size_t writer, uint64_t length);
/** What the local log has more than before was appended here. */
void
naive_peer_append (naive_peer_t *peer);
/** Drain until nothing changes. */
void
naive_peer_update (naive_peer_t *peer);

static inline const naive_state_t *
naive_peer_state (const naive_peer_t *peer) {
  return &peer->states[peer->count - 1];
}

#endif

/* stream.h: the inside of a connection. Private to hypercore/net/.
 *
 *   feed:  bytes ─► deframer ─► handshake, header, then cipher ─► multiplexer ─► replicators, wakeup peers
 *   take:  what is to be done is done until AB_STREAM_TX_BYTES are there ─► `tx`, swapped with `out`
 */
#ifndef AB_STREAM_H
#define AB_STREAM_H

#include "hypercore/net/mux.h"
#include "hypercore/net/noise.h"
#include "hypercore/net/replicator.h"
#include "hypercore/net/secretstream.h"
#include "hypercore/net/want.h"

#define AB__TX_HARD_BYTES \
  ((size_t) 4 << 20)            /* waiting, before a message that take did not make is one too many */
#define AB__OWED_ALL_MAX 16384u /* requests and wants without an answer on all channels */
#define AB__KEEP_BYTES ((size_t) 64 * 1024) /* of a buffer that is empty */
#define AB__CHANNELS_MAX 16384u

typedef enum { AB__SHAKING, AB__HEADER, AB__OPEN, AB__ENDED } ab__phase_t;

typedef struct ab__wakeup_peer_s ab__wakeup_peer_t;

struct ab_stream_s {
  ab__net_t *net; /* NULL: the store is closed */
  ab_stream_t *next, **link;
  ab_stream_options_t options;
  ab__phase_t phase;
  int status;
  char message[160];
  int busy; /* inside feed, take or tick */

  ab__noise_t *noise; /* until it is done */
  uint8_t handshake_hash[64];
  ab_key_t remote_key;
  uint8_t rx_key[32];
  uint8_t remote_id[32];
  ab__cipher_t tx_cipher, rx_cipher;

  ab__deframer_t deframer;
  ab_buf_t plain;
  ab_buf_t tx, out;
  size_t message_begin; /* of the message under way in tx */
  ab__mux_t mux;
  bool remote_ended;
  bool told; /* on_output was called since the last take */

  ab__replicator_t *replicators;
  ab__replicator_t *work, **work_end;
  ab__wakeup_peer_t *wakeup_peers;
  uint64_t opens; /* of the net, as far as done here */
  size_t owed;    /* on all channels */
  size_t owed_bytes;
  uint64_t inflight;
  uint64_t inflight_bytes;

  uint64_t clock_ms; /* the latest time seen */
  uint64_t opened_ms, rx_ms, tx_ms, active_ms;
  ab_stream_stats_t stats;
};

/** End it: the first status and message stay. Returns err. */
int
ab__stream_fail (ab_stream_t *stream, int err, const char *format, ...) AB_PRINTF(3, 4);

/** Time, never running backwards. */
uint64_t
ab__stream_now (ab_stream_t *stream);

/** There is something to take. */
void
ab__stream_wake (ab_stream_t *stream);

/** The store closes. */
void
ab__stream_orphan (ab_stream_t *stream);

/* ---- wakeup.c ---- */

/** Open the topics that this stream has no channel for. */
int
ab__wakeup_open_all (ab_stream_t *stream);
/** The peer opened a topic: did that open ours? 0: no, 1: yes, or an error. */
int
ab__wakeup_offered (ab_stream_t *stream, ab_slice_t id);
/** Tell the topics that a peer has more of a core that nobody follows here. */
void
ab__wakeup_grown (ab_stream_t *stream, const ab_head_t *head);
/** Answer look-ups that waited for room. */
int
ab__wakeup_work (ab_stream_t *stream);
bool
ab__wakeup_is_done (const ab_stream_t *stream);
/** The stream ended: forget its topics. */
void
ab__wakeup_release (ab_stream_t *stream);
/** A topic's owner is gone with the store. */
void
ab__wakeup_orphan (ab__net_t *net);

#endif

/* raw_peer.h: the other side of a connection, scripted: it says what a test tells it to, and keeps what it
 * hears. */
#ifndef RAW_PEER_H
#define RAW_PEER_H

#include "hypercore/net/messages.h"
#include "hypercore/net/mux.h"
#include "hypercore/net/net.h"
#include "hypercore/net/noise.h"
#include "hypercore/net/secretstream.h"

/* A message that came on the channel. */
typedef struct {
  uint64_t type;
  ab_slice_t payload; /* until raw_peer_destroy */
} raw_message_t;

typedef struct {
  ab__noise_t noise;
  bool initiator;
  bool is_open; /* the handshake is done, both headers were seen */
  uint8_t handshake_hash[64];
  uint8_t remote_id[32];
  ab__cipher_t tx_cipher, rx_cipher;
  ab__deframer_t deframer;
  ab_buf_t tx;
  size_t begin;
  int err;

  ab__mux_t mux;
  ab__channel_t channel;
  ab_key_t key;     /* of the core we talk about */
  ab_key_t claimed; /* what the capability is made of */
  ab_key_t discovery_key;
  bool paired, closed;

  ab_arena_t arena;
  raw_message_t *messages;
  size_t count, capacity;
} raw_peer_t;

void
raw_peer_init (raw_peer_t *peer, bool initiator, uint8_t seed);
void
raw_peer_destroy (raw_peer_t *peer);

/** Open the channel of a core, once the connection is open; `claimed` NULL: with its key. */
void
raw_peer_open (raw_peer_t *peer, const ab_key_t *key, const ab_key_t *claimed);

/** A message on the channel; a no-op before it is open. */
void
raw_peer_send (raw_peer_t *peer, uint64_t type, ab_slice_t payload);
/** A whole multiplexer frame. */
void
raw_peer_send_frame (raw_peer_t *peer, ab_slice_t frame);

/** Take bytes of the other side. */
void
raw_peer_feed (raw_peer_t *peer, ab_slice_t in);

/** Carry bytes between it and a stream until nothing moves. */
void
raw_peer_run (raw_peer_t *peer, ab_stream_t *stream);

#endif

#include "raw_peer.h"

#include <stdlib.h>

#include "hypercore/crypto.h"

static int
on_opened (ab__channel_t *channel, ab_slice_t handshake) {
  raw_peer_t *peer = (raw_peer_t *) ((uint8_t *) channel - offsetof(raw_peer_t, channel));
  (void) handshake;
  peer->paired = true;
  return 0;
}

static int
on_message (ab__channel_t *channel, uint64_t type, ab_slice_t payload) {
  raw_peer_t *peer = (raw_peer_t *) ((uint8_t *) channel - offsetof(raw_peer_t, channel));
  if (peer->count == peer->capacity) {
    peer->capacity = peer->capacity == 0 ? 16 : 2 * peer->capacity;
    peer->messages = realloc(peer->messages, peer->capacity * sizeof(*peer->messages));
  }
  raw_message_t *message = &peer->messages[peer->count++];
  message->type = type;
  return ab_arena_copy(&peer->arena, payload, &message->payload);
}

static void
on_closed (ab__channel_t *channel, bool by_remote) {
  raw_peer_t *peer = (raw_peer_t *) ((uint8_t *) channel - offsetof(raw_peer_t, channel));
  (void) by_remote;
  peer->closed = true;
}

static const ab__channel_ops_t ops = {on_opened, on_message, on_closed};

static ab_buf_t *
begin_frame (void *data) {
  raw_peer_t *peer = data;
  peer->begin = ab__seal_begin(&peer->tx);
  return &peer->tx;
}

static int
end_frame (void *data) {
  raw_peer_t *peer = data;
  return ab__seal_end(&peer->tx_cipher, &peer->tx, peer->begin);
}

static ab__offer_t
on_offered (void *data, ab_slice_t protocol, ab_slice_t id) {
  (void) data;
  (void) protocol;
  (void) id;
  return AB__OFFER_REJECT;
}

static void
write_noise (raw_peer_t *peer) {
  ab_buf_t message = {0};
  peer->err = ab__noise_write(&peer->noise, ab_slice(NULL, 0), &message);
  if (peer->err == 0) ab__frame_write(&peer->tx, ab_buf_slice(&message));
  ab_buf_destroy(&message);
}

void
raw_peer_init (raw_peer_t *peer, bool initiator, uint8_t seed) {
  uint8_t bytes[32];
  ab_key_pair_t s, e;
  ab_crypto_init();
  *peer = (raw_peer_t){.initiator = initiator};
  memset(bytes, seed, sizeof(bytes));
  ab_key_pair_from_seed(&s, bytes);
  bytes[0]++;
  ab_key_pair_from_seed(&e, bytes);
  ab__noise_init(&peer->noise, initiator, &s, &e);
  ab__mux_init(&peer->mux, &(ab__mux_host_t){begin_frame, end_frame, on_offered, peer});
  if (initiator) write_noise(peer);
}

void
raw_peer_destroy (raw_peer_t *peer) {
  ab__mux_destroy(&peer->mux);
  ab__deframer_destroy(&peer->deframer);
  ab_buf_destroy(&peer->tx);
  ab_arena_destroy(&peer->arena);
  free(peer->messages);
}

void
raw_peer_open (raw_peer_t *peer, const ab_key_t *key, const ab_key_t *claimed) {
  ab__core_handshake_t handshake = {.seeks = true};
  ab_buf_t message = {0};
  peer->key = *key;
  peer->claimed = claimed != NULL ? *claimed : *key;
  ab_discovery_key(&peer->discovery_key, key);
  peer->closed = peer->paired = false;
  peer->channel = (ab__channel_t){
    .ops = &ops,
    .protocol = ab_text(AB__CORE_PROTOCOL),
    .alias = ab_text(AB__CORE_ALIAS),
    .id = ab_key_slice(&peer->discovery_key),
  };
  ab_replicate_capability(handshake.capability, peer->handshake_hash, peer->initiator, &peer->claimed);
  ab__core_handshake_encode(&message, &handshake);
  peer->err = ab__mux_open(&peer->mux, &peer->channel, ab_buf_slice(&message));
  ab_buf_destroy(&message);
}

void
raw_peer_send (raw_peer_t *peer, uint64_t type, ab_slice_t payload) {
  if (peer->channel.mux == NULL) return;
  ab_buf_append(ab__channel_begin(&peer->channel, type), payload);
  ab__channel_end(&peer->channel);
}

void
raw_peer_send_frame (raw_peer_t *peer, ab_slice_t frame) {
  ab_buf_append(begin_frame(peer), frame);
  end_frame(peer);
}

static void
finish_handshake (raw_peer_t *peer) {
  static const uint8_t header[AB__HEADER_LEN] = {1, 2, 3};
  uint8_t id[32];
  memcpy(peer->handshake_hash, ab__noise_hash(&peer->noise), 64);
  ab__stream_id(id, peer->handshake_hash, peer->initiator);
  ab__stream_id(peer->remote_id, peer->handshake_hash, !peer->initiator);
  ab__cipher_init(&peer->tx_cipher, peer->noise.tx, header);
  ab__header_write(&peer->tx, id, header);
}

static void
take_frame (raw_peer_t *peer, ab_slice_t body) {
  if (!ab__noise_is_done(&peer->noise)) {
    peer->err = ab__noise_read(&peer->noise, body);
    if (peer->err == 0 && ab__noise_writes(&peer->noise)) write_noise(peer);
    if (peer->err == 0 && ab__noise_is_done(&peer->noise)) finish_handshake(peer);
    return;
  }
  if (!peer->is_open) {
    peer->err = ab__header_read(body, peer->remote_id, peer->noise.rx, &peer->rx_cipher);
    peer->is_open = peer->err == 0;
    return;
  }
  uint8_t *plain = malloc(body.len + 1);
  size_t len;
  peer->err = ab__unseal(&peer->rx_cipher, body, plain, &len);
  if (peer->err == 0) peer->err = ab__mux_receive(&peer->mux, ab_slice(plain, len));
  free(plain);
}

void
raw_peer_feed (raw_peer_t *peer, ab_slice_t in) {
  ab_slice_t body;
  uint8_t *ours;
  while (peer->err == 0 && ab__deframe(&peer->deframer, &in, AB__FRAME_MAX, &body, &ours) == 1) {
    take_frame(peer, body);
  }
}

void
raw_peer_run (raw_peer_t *peer, ab_stream_t *stream) {
  for (bool moved = true; moved;) {
    ab_slice_t out;
    size_t taken;
    moved = false;
    if (ab_stream_take(stream, &out) == 0 && out.len > 0) {
      raw_peer_feed(peer, out);
      moved = true;
    }
    if (peer->tx.len > 0) {
      ab_stream_feed(stream, ab_buf_slice(&peer->tx), &taken);
      ab_buf_reset(&peer->tx);
      moved = true;
    }
    ab_store_t *store = ab_stream_store(stream);
    if (store != NULL && ab_store_run(store, 10, NULL) == 1) moved = true;
  }
}

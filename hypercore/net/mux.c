/* mux.c: channels, their ids, and frames. */
#include "hypercore/net/mux.h"

#include <assert.h>
#include <stdlib.h>

enum { CONTROL_BATCH = 0, CONTROL_OPEN = 1, CONTROL_REJECT = 2, CONTROL_CLOSE = 3 };

/* A channel of the peer's that we did not decide about yet. */
typedef struct {
  uint8_t *bytes; /* protocol, id, handshake */
  ab_slice_t protocol;
  ab_slice_t id;
  ab_slice_t handshake;
  ab_buf_t queue; /* messages, each as a buffer */
  size_t cost;
} offer_t;

struct ab__mux_remote_s {
  ab__channel_t *channel;
  offer_t *offer;
};

/* What was closed before the peer answered: name enough to know its open when it comes. */
typedef struct {
  ab_slice_t protocol, alias, id;
  uint8_t bytes[];
} zombie_t;

struct ab__mux_local_s {
  ab__channel_t *channel;
  zombie_t *zombie;
};

void
ab__mux_init (ab__mux_t *mux, const ab__mux_host_t *host) {
  *mux = (ab__mux_t){.host = *host};
}

static void
free_offer (ab__mux_t *mux, offer_t *offer) {
  assert(mux->offer_count > 0 && mux->queued >= offer->cost);
  mux->offer_count--;
  mux->queued -= offer->cost;
  ab_buf_destroy(&offer->queue);
  free(offer->bytes);
  free(offer);
}

void
ab__mux_destroy (ab__mux_t *mux) {
  for (size_t i = 0; i < mux->local_count; i++) {
    ab__channel_t *channel = mux->locals[i].channel;
    free(mux->locals[i].zombie);
    mux->locals[i] = (ab__mux_local_t){0};
    if (channel == NULL) continue;
    channel->mux = NULL;
    channel->ops->closed(channel, true);
  }
  for (size_t i = 0; i < mux->remote_count; i++) {
    if (mux->remotes[i].offer != NULL) free_offer(mux, mux->remotes[i].offer);
  }
  free(mux->locals);
  free(mux->free_ids);
  free(mux->remotes);
  ab__mux_host_t host = mux->host;
  *mux = (ab__mux_t){.host = host};
}

/* ---- frames ---- */

void
ab__mux_write_open (
  ab_buf_t *out, uint64_t local_id, ab_slice_t protocol, ab_slice_t id, ab_slice_t handshake
) {
  ab_write_uint(out, 0);
  ab_write_uint(out, CONTROL_OPEN);
  ab_write_uint(out, local_id);
  ab_write_buffer(out, protocol);
  ab_write_buffer(out, id);
  ab_write_bytes(out, handshake);
}

static void
write_control (ab_buf_t *out, uint64_t type, uint64_t id) {
  ab_write_uint(out, 0);
  ab_write_uint(out, type);
  ab_write_uint(out, id);
}

void
ab__mux_write_reject (ab_buf_t *out, uint64_t remote_id) {
  write_control(out, CONTROL_REJECT, remote_id);
}

void
ab__mux_write_close (ab_buf_t *out, uint64_t local_id) {
  write_control(out, CONTROL_CLOSE, local_id);
}

static int
send_reject (ab__mux_t *mux, uint64_t remote_id) {
  ab__mux_write_reject(mux->host.begin(mux->host.data), remote_id);
  return mux->host.end(mux->host.data);
}

ab_buf_t *
ab__channel_begin (ab__channel_t *channel, uint64_t type) {
  assert(channel->mux != NULL);
  ab_buf_t *out = channel->mux->host.begin(channel->mux->host.data);
  ab_write_uint(out, channel->local_id);
  ab_write_uint(out, type);
  return out;
}

int
ab__channel_end (ab__channel_t *channel) {
  return channel->mux->host.end(channel->mux->host.data);
}

/* ---- ids ---- */

/* An unused local id, most recently freed first; 0 when out of memory. */
static uint64_t
new_local_id (ab__mux_t *mux) {
  if (mux->free_count > 0) return mux->free_ids[--mux->free_count];
  if (mux->local_count == mux->local_capacity) {
    size_t capacity = mux->local_capacity == 0 ? 8 : 2 * mux->local_capacity;
    ab__mux_local_t *locals = realloc(mux->locals, capacity * sizeof(*locals));
    if (locals == NULL) return 0;
    mux->locals = locals;
    uint32_t *free_ids = realloc(mux->free_ids, capacity * sizeof(*free_ids));
    if (free_ids == NULL) return 0;
    mux->free_ids = free_ids; /* room for every id, so that freeing one cannot fail */
    mux->local_capacity = capacity;
  }
  mux->locals[mux->local_count++] = (ab__mux_local_t){0};
  return mux->local_count;
}

static void
free_local_id (ab__mux_t *mux, uint64_t id) {
  mux->locals[id - 1] = (ab__mux_local_t){0};
  mux->free_ids[mux->free_count++] = (uint32_t) id;
}

static ab__mux_remote_t *
find_remote (ab__mux_t *mux, uint64_t id) {
  return id == 0 || id > mux->remote_count ? NULL : &mux->remotes[id - 1];
}

/* Make the entry of an id that the peer begins to use. NULL: it may not. */
static int
add_remote (ab__mux_t *mux, uint64_t id, ab__mux_remote_t **out) {
  if (id == 0 || id > mux->remote_count + 1) return AB_ECORRUPT;
  if (id > AB__MUX_IDS_MAX) return AB_ETOOBIG;
  if (id == mux->remote_count + 1) {
    if (mux->remote_count == mux->remote_capacity) {
      size_t capacity = mux->remote_capacity == 0 ? 8 : 2 * mux->remote_capacity;
      ab__mux_remote_t *remotes = realloc(mux->remotes, capacity * sizeof(*remotes));
      if (remotes == NULL) return AB_ENOMEM;
      mux->remotes = remotes;
      mux->remote_capacity = capacity;
    }
    mux->remotes[mux->remote_count++] = (ab__mux_remote_t){0};
  }
  *out = &mux->remotes[id - 1];
  return (*out)->channel != NULL || (*out)->offer != NULL ? AB_ECORRUPT : 0;
}

static bool
same_name (
  ab_slice_t protocol, ab_slice_t alias, ab_slice_t id, ab_slice_t their_protocol, ab_slice_t their_id
) {
  if (!ab_slice_equal(id, their_id)) return false;
  return ab_slice_equal(protocol, their_protocol) ||
         (alias.data != NULL && ab_slice_equal(alias, their_protocol));
}

/* ---- closing ---- */

/* The channel is over: its ids are free, its owner is told. */
static void
drop_channel (ab__channel_t *channel, bool by_remote) {
  ab__mux_t *mux = channel->mux;
  if (channel->remote_id != 0) mux->remotes[channel->remote_id - 1].channel = NULL;
  else mux->waiting_count--;
  free_local_id(mux, channel->local_id);
  mux->channel_count--;
  channel->mux = NULL;
  channel->ops->closed(channel, by_remote);
}

static ab_slice_t
keep (uint8_t **at, ab_slice_t bytes) {
  ab_slice_t kept = ab_slice(bytes.data == NULL ? NULL : *at, bytes.len);
  if (bytes.data != NULL && bytes.len > 0) memcpy(*at, bytes.data, bytes.len);
  *at += bytes.len;
  return kept;
}

/* Its id stays reserved until the peer answers. */
static int
make_zombie (ab__channel_t *channel) {
  size_t len = channel->protocol.len + channel->alias.len + channel->id.len;
  zombie_t *zombie = malloc(sizeof(*zombie) + len);
  if (zombie == NULL) return AB_ENOMEM;
  uint8_t *at = zombie->bytes;
  zombie->protocol = keep(&at, channel->protocol);
  zombie->alias = keep(&at, channel->alias);
  zombie->id = keep(&at, channel->id);
  channel->mux->locals[channel->local_id - 1] = (ab__mux_local_t){.zombie = zombie};
  channel->mux->channel_count--;
  channel->mux = NULL;
  channel->ops->closed(channel, false);
  return 0;
}

int
ab__mux_close (ab__channel_t *channel) {
  ab__mux_t *mux = channel->mux;
  if (mux == NULL) return 0;
  ab__mux_write_close(mux->host.begin(mux->host.data), channel->local_id);
  int err = mux->host.end(mux->host.data);
  if (channel->remote_id == 0) {
    int zombie_err = make_zombie(channel);
    return err < 0 ? err : zombie_err;
  }
  drop_channel(channel, false);
  return err;
}

/* ---- pairing ---- */

static int
deliver (ab__channel_t *channel, ab_slice_t message) {
  ab_reader_t in = ab_reader(message);
  uint64_t type = ab_read_uint(&in);
  if (in.err < 0) return in.err;
  return channel->ops->message(channel, type, ab_slice(in.at, ab_reader_left(&in)));
}

static void
pair (ab__channel_t *channel, uint64_t remote_id) {
  channel->remote_id = remote_id;
  channel->mux->remotes[remote_id - 1] = (ab__mux_remote_t){.channel = channel};
}

/* Hand over what came before the decision. `offer` is not in the table any more. */
static int
accept_offer (ab__mux_t *mux, ab__channel_t *channel, uint64_t remote_id, offer_t *offer) {
  pair(channel, remote_id);
  int err = channel->ops->opened(channel, offer->handshake);
  ab_reader_t queue = ab_reader(ab_buf_slice(&offer->queue));
  while (err == 0 && ab_reader_left(&queue) > 0) {
    /* Each message may close the channel. */
    if (remote_id > mux->remote_count || mux->remotes[remote_id - 1].channel != channel) break;
    err = deliver(channel, ab_read_buffer(&queue));
  }
  free_offer(mux, offer);
  return err;
}

/* The peer's open of a channel that is offered and matches. */
static offer_t *
take_offer (ab__mux_t *mux, ab_slice_t protocol, ab_slice_t alias, ab_slice_t id, uint64_t *remote_id) {
  if (mux->offer_count == 0) return NULL;
  for (size_t i = 0; i < mux->remote_count; i++) {
    offer_t *offer = mux->remotes[i].offer;
    if (offer == NULL || !same_name(protocol, alias, id, offer->protocol, offer->id)) continue;
    mux->remotes[i].offer = NULL;
    *remote_id = i + 1;
    return offer;
  }
  return NULL;
}

int
ab__mux_open (ab__mux_t *mux, ab__channel_t *channel, ab_slice_t handshake) {
  uint64_t id = new_local_id(mux), remote_id = 0;
  int err;

  if (id == 0) return AB_ENOMEM;
  channel->mux = mux;
  channel->local_id = id;
  channel->remote_id = 0;
  mux->locals[id - 1].channel = channel;
  mux->channel_count++;
  ab__mux_write_open(mux->host.begin(mux->host.data), id, channel->protocol, channel->id, handshake);
  err = mux->host.end(mux->host.data);

  offer_t *offer = take_offer(mux, channel->protocol, channel->alias, channel->id, &remote_id);
  if (offer == NULL) {
    mux->waiting_count++;
    return err;
  }
  if (err < 0) {
    pair(channel, remote_id);
    free_offer(mux, offer);
    return err;
  }
  return accept_offer(mux, channel, remote_id, offer);
}

int
ab__mux_reject (ab__mux_t *mux, ab_slice_t protocol, ab_slice_t id) {
  uint64_t remote_id;
  offer_t *offer = take_offer(mux, protocol, ab_slice(NULL, 0), id, &remote_id);
  if (offer == NULL) return 0;
  free_offer(mux, offer);
  return send_reject(mux, remote_id);
}

/* ---- receiving ---- */

static int
new_offer (ab__mux_t *mux, ab_slice_t protocol, ab_slice_t id, ab_slice_t handshake, offer_t **out) {
  size_t len = protocol.len + id.len + handshake.len;
  if (mux->offer_count >= AB__MUX_OFFERS_MAX) return AB_ETOOBIG;
  offer_t *offer = calloc(1, sizeof(*offer));
  if (offer == NULL) return AB_ENOMEM;
  offer->bytes = malloc(len + 1);
  if (offer->bytes == NULL) {
    free(offer);
    return AB_ENOMEM;
  }
  uint8_t *at = offer->bytes;
  offer->protocol = keep(&at, protocol);
  offer->id = keep(&at, id);
  offer->handshake = keep(&at, handshake);
  mux->offer_count++;
  *out = offer;
  return 0;
}

static int
receive_offer (ab__mux_t *mux, uint64_t remote_id, ab_slice_t protocol, ab_slice_t id, ab_slice_t handshake) {
  offer_t *offer;
  int err = new_offer(mux, protocol, id, handshake, &offer);
  if (err < 0) return err;
  mux->remotes[remote_id - 1].offer = offer;
  ab__offer_t decision = mux->host.offered(mux->host.data, offer->protocol, offer->id);
  if (decision != AB__OFFER_REJECT) return 0;
  ab__mux_remote_t *remote = find_remote(mux, remote_id);
  if (remote == NULL || remote->offer != offer) return 0;
  remote->offer = NULL;
  free_offer(mux, offer);
  return send_reject(mux, remote_id);
}

static int
receive_open (ab__mux_t *mux, ab_reader_t *in) {
  ab__mux_remote_t *remote;
  int err;

  uint64_t remote_id = ab_read_uint(in);
  ab_slice_t protocol = ab_read_buffer(in);
  ab_slice_t id = ab_read_buffer(in);
  if (in->err < 0) return in->err;
  if (id.len == 0) id.data = NULL;
  ab_slice_t handshake = ab_slice(in->at, ab_reader_left(in));
  if ((err = add_remote(mux, remote_id, &remote)) < 0) return err;

  for (size_t i = 0; mux->waiting_count > 0 && i < mux->local_count; i++) {
    ab__channel_t *channel = mux->locals[i].channel;
    zombie_t *zombie = mux->locals[i].zombie;
    if (zombie != NULL && same_name(zombie->protocol, zombie->alias, zombie->id, protocol, id)) {
      free(zombie); /* our close is on its way: to both sides the channel is over and its ids are free */
      free_local_id(mux, i + 1);
      mux->waiting_count--;
      return 0;
    }
    if (channel == NULL || channel->remote_id != 0) continue;
    if (!same_name(channel->protocol, channel->alias, channel->id, protocol, id)) continue;
    mux->waiting_count--;
    pair(channel, remote_id);
    return channel->ops->opened(channel, handshake);
  }
  return receive_offer(mux, remote_id, protocol, id, handshake);
}

static int
receive_reject (ab__mux_t *mux, ab_reader_t *in) {
  uint64_t id = ab_read_uint(in);
  if (in->err < 0) return in->err;
  if (id == 0 || id > mux->local_count) return AB_ECORRUPT;
  ab__mux_local_t *local = &mux->locals[id - 1];
  if (local->zombie != NULL) {
    free(local->zombie);
    free_local_id(mux, id);
    mux->waiting_count--;
    return 0;
  }
  if (local->channel == NULL || local->channel->remote_id != 0) return AB_ECORRUPT;
  drop_channel(local->channel, true);
  return 0;
}

static int
receive_close (ab__mux_t *mux, ab_reader_t *in) {
  uint64_t id = ab_read_uint(in);
  if (in->err < 0) return in->err;
  ab__mux_remote_t *remote = find_remote(mux, id);
  /* An offer that is withdrawn before we decided is left to our decision, as the original does. */
  if (remote != NULL && remote->channel != NULL) drop_channel(remote->channel, true);
  return 0;
}

static int
receive_message (ab__mux_t *mux, uint64_t id, ab_slice_t message) {
  ab__mux_remote_t *remote = find_remote(mux, id);
  if (message.len == 0) return AB_ECORRUPT;
  if (remote == NULL) return 0;
  if (remote->channel != NULL) return deliver(remote->channel, message);
  if (remote->offer == NULL) return 0;

  size_t cost = message.len + AB__MUX_QUEUED_COST;
  if (cost > AB__MUX_QUEUE_BYTES - mux->queued) return AB_ETOOBIG;
  ab_write_buffer(&remote->offer->queue, message);
  if (remote->offer->queue.err < 0) return remote->offer->queue.err;
  remote->offer->cost += cost;
  mux->queued += cost;
  return 0;
}

static int
receive_control (ab__mux_t *mux, ab_slice_t message, int depth);

/* As deep as AB__MUX_DEPTH_MAX allows. NOLINTBEGIN(misc-no-recursion) */

static int
receive_batch (ab__mux_t *mux, ab_reader_t *in, int depth) {
  int err = 0;
  if (depth == AB__MUX_DEPTH_MAX) return AB_ECORRUPT;
  uint64_t id = ab_read_uint(in);
  while (err == 0 && in->err == 0 && ab_reader_left(in) > 0) {
    uint64_t len = ab_read_uint(in);
    if (in->err < 0) break;
    if (len == 0) {
      id = ab_read_uint(in);
      continue;
    }
    size_t left = ab_reader_left(in);
    ab_slice_t message = ab_read_bytes(in, len < left ? (size_t) len : left);
    err = id == 0 ? receive_control(mux, message, depth + 1) : receive_message(mux, id, message);
  }
  return err < 0 ? err : in->err;
}

static int
receive_control (ab__mux_t *mux, ab_slice_t message, int depth) {
  ab_reader_t in = ab_reader(message);
  uint64_t type = ab_read_uint(&in);
  if (in.err < 0) return in.err;
  switch (type) {
  case CONTROL_BATCH:
    return receive_batch(mux, &in, depth);
  case CONTROL_OPEN:
    return receive_open(mux, &in);
  case CONTROL_REJECT:
    return receive_reject(mux, &in);
  case CONTROL_CLOSE:
    return receive_close(mux, &in);
  default:
    return 0;
  }
}

/* NOLINTEND(misc-no-recursion) */

int
ab__mux_receive (ab__mux_t *mux, ab_slice_t frame) {
  ab_reader_t in = ab_reader(frame);
  if (frame.len == 0) return 0;
  uint64_t id = ab_read_uint(&in);
  if (in.err < 0) return in.err;
  ab_slice_t message = ab_slice(in.at, ab_reader_left(&in));
  return id == 0 ? receive_control(mux, message, 0) : receive_message(mux, id, message);
}

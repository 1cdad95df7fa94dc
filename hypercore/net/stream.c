/* stream.c: a connection: bytes to frames to channels, and back. */
#include "hypercore/net/stream.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "hypercore/crypto.h"

#define HANDSHAKE_MS 10000
#define SILENCE_MS 30000
#define KEEP_ALIVE_MS 5000
#define REQUEST_MS 30000
#define QUIET_MS 1000                        /* then a buffer for sending is given back */
#define LARGE_BYTES (4 * AB_STREAM_TX_BYTES) /* that of a buffer which does not wait so long */
#define TRIM_BYTES (4 * LARGE_BYTES)         /* nor until all is sent */

/* ---- small things ---- */

ab_stream_options_t
ab_stream_options_default (void) {
  return (ab_stream_options_t){.struct_size = sizeof(ab_stream_options_t)};
}

int
ab__stream_fail (ab_stream_t *stream, int err, const char *format, ...) {
  if (stream->status != 0) return err;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(stream->message, sizeof(stream->message), format, arguments);
  va_end(arguments);
  stream->status = err;
  ab__stream_wake(stream);
  return err;
}

uint64_t
ab__stream_now (ab_stream_t *stream) {
  if (stream->net == NULL) return stream->clock_ms;
  const ab_env_t *env = ab_store_env(stream->net->store);
  uint64_t now = env->now_ms(env->data);
  if (now > stream->clock_ms) stream->clock_ms = now;
  return stream->clock_ms;
}

void
ab__stream_wake (ab_stream_t *stream) {
  if (stream->told || stream->options.on_output == NULL) return;
  stream->told = true;
  stream->options.on_output(stream, stream->options.data);
}

int
ab_stream_status (const ab_stream_t *stream) {
  return stream->status;
}

const char *
ab_stream_message (const ab_stream_t *stream) {
  return stream->message;
}

ab_store_t *
ab_stream_store (const ab_stream_t *stream) {
  return stream->net == NULL ? NULL : stream->net->store;
}

void *
ab_stream_data (const ab_stream_t *stream) {
  return stream->options.data;
}

const ab_key_t *
ab_stream_remote_key (const ab_stream_t *stream) {
  return stream->phase == AB__OPEN || stream->phase == AB__ENDED ? &stream->remote_key : NULL;
}

bool
ab_stream_is_initiator (const ab_stream_t *stream) {
  return stream->options.initiator;
}

/* ---- messages out ---- */

static ab_buf_t *
begin_message (void *data) {
  ab_stream_t *stream = data;
  stream->message_begin = ab__seal_begin(&stream->tx);
  return &stream->tx;
}

static int
end_message (void *data) {
  ab_stream_t *stream = data;
  int err = ab__seal_end(&stream->tx_cipher, &stream->tx, stream->message_begin);
  if (err < 0) return ab__stream_fail(stream, err, "a message cannot be sent: %s", ab_strerror(err));
  if (stream->message_begin > AB__TX_HARD_BYTES) {
    return ab__stream_fail(stream, AB_ETOOBIG, "the peer does not read what it makes us say");
  }
  ab__stream_wake(stream);
  return 0;
}

static void
random_bytes (const ab_stream_t *stream, uint8_t *out, size_t len) {
  const ab_env_t *env = ab_store_env(stream->net->store);
  env->random(env->data, out, len);
}

/* ---- life ---- */

static ab__offer_t
offered (void *data, ab_slice_t protocol, ab_slice_t id);

static void
random_pair (const ab_stream_t *stream, ab_key_pair_t *out) {
  uint8_t seed[32];
  random_bytes(stream, seed, sizeof(seed));
  ab_key_pair_from_seed(out, seed);
  ab_wipe(seed, sizeof(seed));
}

static int
write_handshake (ab_stream_t *stream) {
  ab_buf_t message = {0};
  int err = ab__noise_write(stream->noise, ab_slice(NULL, 0), &message);
  if (err == 0) {
    ab__frame_write(&stream->tx, ab_buf_slice(&message));
    err = stream->tx.err;
  }
  ab_buf_destroy(&message);
  ab__stream_wake(stream);
  return err;
}

static void
free_noise (ab_stream_t *stream) {
  if (stream->noise == NULL) return;
  ab__noise_wipe(stream->noise);
  free(stream->noise);
  stream->noise = NULL;
}

static void
set_options (ab_stream_t *stream, const ab_stream_options_t *options) {
  ab_stream_options_t *own = &stream->options;
  *own = ab_stream_options_default();
  if (options != NULL) {
    size_t size = options->struct_size < sizeof(*own) ? options->struct_size : sizeof(*own);
    memcpy(own, options, size);
  }
  if (own->handshake_ms == 0) own->handshake_ms = HANDSHAKE_MS;
  if (own->silence_ms == 0) own->silence_ms = SILENCE_MS;
  if (own->keep_alive_ms == 0) own->keep_alive_ms = KEEP_ALIVE_MS;
  if (own->request_ms == 0) own->request_ms = REQUEST_MS;
}

int
ab_stream_open (ab_store_t *store, const ab_stream_options_t *options, ab_stream_t **out) {
  ab_key_pair_t s, e;
  int err = ab_crypto_init();
  if (err < 0) return err;
  if (options != NULL && options->struct_size < sizeof(uint32_t)) return AB_EINVAL;
  ab__net_t *net = ab__net_of(store);
  if (net != NULL && net->streams == NULL && (err = ab__net_sync(net)) < 0) return err;
  ab_stream_t *stream = net == NULL ? NULL : calloc(1, sizeof(*stream));
  if (stream == NULL) return AB_ENOMEM;
  stream->net = net;
  stream->work_end = &stream->work;
  stream->told = true; /* nobody knows the stream yet */
  set_options(stream, options);
  stream->noise = malloc(sizeof(*stream->noise));
  if (stream->noise == NULL) {
    free(stream);
    return AB_ENOMEM;
  }
  stream->clock_ms = 0;
  stream->opened_ms = stream->rx_ms = stream->tx_ms = stream->active_ms = ab__stream_now(stream);
  ab__mux_init(&stream->mux, &(ab__mux_host_t){begin_message, end_message, offered, stream});

  if (stream->options.key_pair != NULL) s = *stream->options.key_pair;
  else random_pair(stream, &s);
  random_pair(stream, &e);
  ab__noise_init(stream->noise, stream->options.initiator, &s, &e);
  ab_wipe(&s, sizeof(s));
  ab_wipe(&e, sizeof(e));
  stream->options.key_pair = NULL; /* the caller's memory */
  if (stream->options.initiator && (err = write_handshake(stream)) < 0) {
    free_noise(stream);
    ab_buf_destroy(&stream->tx);
    free(stream);
    return err;
  }
  stream->told = false;
  stream->next = net->streams;
  stream->link = &net->streams;
  if (stream->next != NULL) stream->next->link = &stream->next;
  net->streams = stream;
  *out = stream;
  return 0;
}

/* It ended: close every channel and let go of everything but the last bytes to send. */
static void
tear_down (ab_stream_t *stream) {
  if (stream->phase == AB__ENDED) return;
  assert(stream->status != 0);
  stream->phase = AB__ENDED;
  stream->busy++;
  ab__mux_destroy(&stream->mux); /* voids requests, and topics are gone */
  ab__wakeup_release(stream);
  while (stream->replicators != NULL) {
    ab__netcore_t *core = stream->replicators->core;
    ab__replicator_free(stream->replicators);
    ab__netcore_tell(core, stream, AB_CORE_NONE);
  }
  stream->busy--;
  free_noise(stream);
  ab__deframer_destroy(&stream->deframer);
  stream->deframer = (ab__deframer_t){0};
  ab_buf_destroy(&stream->plain);
}

static void
settle (ab_stream_t *stream) {
  if (stream->status != 0 && stream->busy == 0) tear_down(stream);
}

static void
unlink_stream (ab_stream_t *stream) {
  if (stream->link == NULL) return;
  *stream->link = stream->next;
  if (stream->next != NULL) stream->next->link = stream->link;
  stream->link = NULL;
}

void
ab__stream_orphan (ab_stream_t *stream) {
  ab__stream_fail(stream, AB_ECLOSED, "the store is closed");
  tear_down(stream);
  unlink_stream(stream);
  stream->net = NULL;
}

void
ab_stream_end (ab_stream_t *stream, int status) {
  ab__stream_fail(stream, status, "%s", ab_strerror(status));
  settle(stream);
}

void
ab_stream_close (ab_stream_t *stream) {
  if (stream == NULL) return;
  assert(stream->busy == 0);
  stream->told = true; /* no more calls */
  if (stream->net != NULL) ab_stream_end(stream, AB_ECANCELED);
  unlink_stream(stream);
  ab_buf_destroy(&stream->tx);
  ab_buf_destroy(&stream->out);
  ab_wipe(stream->rx_key, sizeof(stream->rx_key));
  ab_wipe(&stream->tx_cipher, sizeof(stream->tx_cipher));
  ab_wipe(&stream->rx_cipher, sizeof(stream->rx_cipher));
  free(stream);
}

/* ---- in: the handshake ---- */

static int
finish_handshake (ab_stream_t *stream) {
  uint8_t header[AB__HEADER_LEN], id[32];
  memcpy(stream->handshake_hash, ab__noise_hash(stream->noise), sizeof(stream->handshake_hash));
  memcpy(stream->remote_key.bytes, stream->noise->remote_s, 32);
  memcpy(stream->rx_key, stream->noise->rx, 32);
  random_bytes(stream, header, sizeof(header));
  ab__cipher_init(&stream->tx_cipher, stream->noise->tx, header);
  free_noise(stream);
  ab__stream_id(id, stream->handshake_hash, stream->options.initiator);
  ab__stream_id(stream->remote_id, stream->handshake_hash, !stream->options.initiator);
  ab__header_write(&stream->tx, id, header);
  stream->phase = AB__HEADER;
  ab__stream_wake(stream);
  return stream->tx.err;
}

static int
receive_handshake (ab_stream_t *stream, ab_slice_t body) {
  if (ab__noise_writes(stream->noise)) return AB_ECORRUPT; /* it is our turn */
  int err = ab__noise_read(stream->noise, body);
  if (err == 0 && ab__noise_writes(stream->noise)) err = write_handshake(stream);
  if (err == 0 && ab__noise_is_done(stream->noise)) err = finish_handshake(stream);
  return err;
}

static int
receive_header (ab_stream_t *stream, ab_slice_t body) {
  int err = ab__header_read(body, stream->remote_id, stream->rx_key, &stream->rx_cipher);
  ab_wipe(stream->rx_key, sizeof(stream->rx_key));
  if (err < 0) return err;
  stream->phase = AB__OPEN;
  if (stream->options.on_open != NULL) stream->options.on_open(stream, stream->options.data);
  return 0;
}

/* ---- in: messages ---- */

static int
receive_message (ab_stream_t *stream, ab_slice_t body, uint8_t *ours) {
  size_t len = 0;
  uint8_t *plain = ours == NULL ? NULL : ours + AB__SEAL_BEFORE;
  if (plain == NULL) {
    ab_buf_reset(&stream->plain);
    plain = ab_buf_extend(&stream->plain, body.len + 1);
    if (plain == NULL) return AB_ENOMEM;
  }
  int err = ab__unseal(&stream->rx_cipher, body, plain, &len);
  if (err < 0) return ab__stream_fail(stream, err, "a frame does not authenticate");
  err = ab__mux_receive(&stream->mux, ab_slice(plain, len));
  if (err == AB_ECORRUPT) ab__stream_fail(stream, err, "a frame breaks the rules of the multiplexer");
  if (err == AB_ETOOBIG) ab__stream_fail(stream, err, "too many channels or messages wait for a decision");
  return err;
}

static int
receive (ab_stream_t *stream, ab_slice_t body, uint8_t *ours) {
  int err;
  switch (stream->phase) {
  case AB__SHAKING:
    err = receive_handshake(stream, body);
    if (err == AB_ECORRUPT) ab__stream_fail(stream, err, "the handshake failed");
    return err;
  case AB__HEADER:
    err = receive_header(stream, body);
    if (err == AB_ECORRUPT) ab__stream_fail(stream, err, "the peer's first frame is not of this handshake");
    return err;
  case AB__OPEN:
    return receive_message(stream, body, ours);
  default:
    return stream->status;
  }
}

static size_t
longest_body (const ab_stream_t *stream) {
  if (stream->phase == AB__SHAKING) return AB__NOISE_MESSAGE_MAX;
  return stream->phase == AB__HEADER ? AB__HEADER_BODY : AB__FRAME_MAX;
}

int
ab_stream_feed (ab_stream_t *stream, ab_slice_t in, size_t *taken) {
  ab_slice_t left = in;
  assert(stream->busy == 0);
  *taken = 0;
  if (stream->status != 0) {
    settle(stream);
    return stream->status;
  }
  if (in.len > 0) stream->rx_ms = ab__stream_now(stream);
  stream->busy++;
  while (stream->status == 0 && !stream->net->stalled) {
    ab_slice_t body;
    uint8_t *ours;
    int err = ab__deframe(&stream->deframer, &left, longest_body(stream), &body, &ours);
    if (err == 0) break;
    if (err > 0) err = receive(stream, body, ours);
    else if (err == AB_ECORRUPT) ab__stream_fail(stream, err, "a frame is too long");
    if (err < 0) ab__stream_fail(stream, err, "%s", ab_strerror(err));
    else ab__net_limit_staged(stream->net);
  }
  stream->busy--;
  *taken = stream->status == 0 ? in.len - left.len : in.len;
  stream->stats.bytes_in += *taken;
  if (stream->status == 0) {
    ab__deframer_trim(&stream->deframer, AB__KEEP_BYTES);
    if (stream->plain.capacity > AB__KEEP_BYTES) ab_buf_destroy(&stream->plain);
  }
  settle(stream);
  return stream->status;
}

void
ab_stream_feed_end (ab_stream_t *stream) {
  stream->remote_ended = true;
  bool early = stream->phase == AB__SHAKING || stream->phase == AB__HEADER;
  ab__stream_fail(stream, AB_EEND, "the peer ended the connection%s", early ? " during the handshake" : "");
  settle(stream);
}

/* ---- channels ---- */

static ab__offer_t
offered (void *data, ab_slice_t protocol, ab_slice_t id) {
  ab_stream_t *stream = data;
  ab__netcore_t *core;
  ab_key_t key;
  int err;

  if (id.len != sizeof(key.bytes) || stream->status != 0) return AB__OFFER_REJECT;
  memcpy(key.bytes, id.data, sizeof(key.bytes));
  if (ab_slice_equal(protocol, ab_text(AB__WAKEUP_PROTOCOL))) {
    err = ab__wakeup_offered(stream, id);
    if (err < 0) ab__stream_fail(stream, err, "%s", ab_strerror(err));
    return err == 0 ? AB__OFFER_REJECT : AB__OFFER_OPENED;
  }
  if (!ab_slice_equal(protocol, ab_text(AB__CORE_PROTOCOL)) && !ab_slice_equal(protocol, ab_text(AB__CORE_ALIAS))) {
    return AB__OFFER_REJECT;
  }
  if (stream->mux.channel_count >= AB__CHANNELS_MAX) return AB__OFFER_REJECT;
  err = ab__net_core_discovered(stream->net, &key, &core);
  if (err < 0) return AB__OFFER_REJECT;
  ab__replicator_t *replicator = ab__replicator_find(core, stream);
  if (replicator == NULL) err = ab__replicator_open(stream, core);
  else if (replicator->channel.mux == NULL) err = ab__replicator_reopen(replicator);
  else return AB__OFFER_REJECT; /* it is open already */
  if (err < 0) ab__stream_fail(stream, err, "%s", ab_strerror(err));
  return AB__OFFER_OPENED;
}

/* Channels of all cores that are followed, and of all topics. */
static int
open_channels (ab_stream_t *stream) {
  int err = ab__wakeup_open_all(stream);
  stream->opens = stream->net->opens;
  for (ab__netcore_t *core = stream->net->cores, *next; core != NULL && err == 0; core = next) {
    next = core->next;
    if (!ab__netcore_is_followed(core)) continue;
    ab__replicator_t *replicator = ab__replicator_find(core, stream);
    if (replicator == NULL) err = ab__replicator_open(stream, core);
    else if (replicator->state == AB_CORE_NONE) err = ab__replicator_reopen(replicator);
  }
  return err;
}

/* A sparse copy of a log may lack what proves it to one that knows less of it. */
static bool
may_get_upgrade (const ab__replicator_t *replicator) {
  if (replicator->upgrade_refused) return false;
  return replicator->remote.can_upgrade || replicator->acked != replicator->core->length;
}

ab_core_state_t
ab_stream_core_state (const ab_stream_t *stream, const ab_key_t *discovery_key) {
  const ab__netcore_t *core = stream->net == NULL ? NULL : ab__net_find(stream->net, discovery_key);
  const ab__replicator_t *replicator = core == NULL ? NULL : ab__replicator_find(core, stream);
  return replicator == NULL ? AB_CORE_NONE : replicator->state;
}

bool
ab_stream_may_have (const ab_stream_t *stream, const ab_key_t *discovery_key, uint64_t length) {
  const ab__netcore_t *core = stream->net == NULL ? NULL : ab__net_find(stream->net, discovery_key);
  const ab__replicator_t *replicator = core == NULL ? NULL : ab__replicator_find(core, stream);
  if (replicator == NULL || replicator->state == AB_CORE_NONE || replicator->state == AB_CORE_WAITING)
    return true;
  if (replicator->state == AB_CORE_REFUSED) return false;
  if (!replicator->synced || replicator->remote.fork != core->fork) return true;
  if (replicator->remote.length < length) return false;
  return core->length >= length || may_get_upgrade(replicator);
}

int
ab_store_each_stream (ab_store_t *store, int (*each)(void *data, ab_stream_t *stream), void *data) {
  ab__net_t *net = ab__net_of(store);
  if (net == NULL) return AB_ENOMEM;
  for (ab_stream_t *stream = net->streams, *next; stream != NULL; stream = next) {
    next = stream->next;
    if (stream->status != 0) continue;
    int result = each(data, stream);
    if (result != 0) return result;
  }
  return 0;
}

/* ---- out ---- */

static void
poll_cores (ab_stream_t *stream) {
  for (ab__replicator_t *at = stream->replicators; at != NULL; at = at->next_of_stream) {
    if (at->state == AB_CORE_OPEN && ab__netcore_is_followed(at->core)) ab__netcore_poll(at->core);
  }
}

/* Do what is to be done while there is room. */
static int
work (ab_stream_t *stream) {
  int err = 0;
  if (stream->opens != stream->net->opens) err = open_channels(stream);
  if (err == 0) err = ab__wakeup_work(stream);
  while (err == 0 && stream->status == 0 && stream->work != NULL && stream->tx.len < AB_STREAM_TX_BYTES) {
    ab__replicator_t *replicator = stream->work;
    stream->work = replicator->next_work;
    if (stream->work == NULL) stream->work_end = &stream->work;
    replicator->is_queued = false;
    int more = ab__replicator_work(replicator);
    if (more < 0) err = more;
    if (more == 1) ab__replicator_queue(replicator);
  }
  return err;
}

/* A large buffer that grew by doubling: give back what is not used. */
static void
trim (ab_buf_t *buf) {
  if (buf->capacity < TRIM_BYTES || buf->len == 0) return;
  uint8_t *data = realloc(buf->data, buf->len);
  if (data == NULL) return;
  buf->data = data;
  buf->capacity = buf->len;
}

int
ab_stream_take (ab_stream_t *stream, ab_slice_t *out) {
  int err = 0;
  assert(stream->busy == 0);
  ab_buf_reset(&stream->out);
  if (stream->out.capacity > TRIM_BYTES) ab_buf_destroy(&stream->out);
  if (stream->status == 0 && (stream->phase == AB__HEADER || stream->phase == AB__OPEN)) {
    stream->busy++;
    stream->told = true; /* it is being taken */
    poll_cores(stream);
    if ((err = work(stream)) < 0) ab__stream_fail(stream, err, "%s", ab_strerror(err));
    stream->busy--;
    settle(stream);
  }
  ab_buf_t taken = stream->tx;
  stream->tx = stream->out;
  stream->out = taken;
  trim(&stream->out); /* it may lie there for long */
  *out = ab_buf_slice(&stream->out);
  stream->stats.bytes_out += out->len;
  if (out->len > 0) {
    stream->tx_ms = ab__stream_now(stream);
  } else if (stream->work == NULL) {
    /* Idle: what was needed for speed goes, unless it is needed again at once. */
    size_t keep = stream->clock_ms < stream->active_ms + QUIET_MS ? LARGE_BYTES : 4096;
    if (stream->out.capacity > keep) ab_buf_destroy(&stream->out);
    if (stream->tx.capacity > keep) ab_buf_destroy(&stream->tx);
    *out = ab_slice(NULL, 0);
  }
  stream->told = false;
  return err == AB_ENOMEM ? err : 0;
}

/* ---- time ---- */

static uint64_t
after (uint64_t since, uint32_t ms) {
  return ms == UINT32_MAX ? UINT64_MAX : since + ms;
}

static uint64_t
requests_deadline (const ab_stream_t *stream) {
  uint64_t deadline = UINT64_MAX;
  if (stream->inflight == 0) return deadline;
  for (const ab__replicator_t *at = stream->replicators; at != NULL; at = at->next_of_stream) {
    uint64_t own = after(at->last_data_ms, stream->options.request_ms);
    if (at->inflight_count > 0 && own < deadline) deadline = own;
  }
  return deadline;
}

uint64_t
ab_stream_deadline (const ab_stream_t *stream) {
  if (stream->status != 0) return UINT64_MAX;
  if (stream->phase != AB__OPEN) return after(stream->opened_ms, stream->options.handshake_ms);
  uint64_t deadline = after(stream->rx_ms, stream->options.silence_ms);
  uint64_t keep_alive = stream->tx.len > 0 ? UINT64_MAX : after(stream->tx_ms, stream->options.keep_alive_ms);
  uint64_t requests = requests_deadline(stream);
  if (keep_alive < deadline) deadline = keep_alive;
  return requests < deadline ? requests : deadline;
}

static void
keep_alive (ab_stream_t *stream) {
  begin_message(stream);
  end_message(stream);
  stream->tx_ms = stream->clock_ms;
  ab__stream_wake(stream);
}

void
ab_stream_tick (ab_stream_t *stream) {
  uint64_t now = ab__stream_now(stream);
  if (stream->busy > 0) return;
  settle(stream);
  if (now < ab_stream_deadline(stream)) return;
  if (stream->phase != AB__OPEN) {
    ab_stream_end(stream, AB_ETIMEDOUT);
    return;
  }
  if (now >= after(stream->rx_ms, stream->options.silence_ms)) {
    ab__stream_fail(stream, AB_ETIMEDOUT, "nothing came for %u ms", stream->options.silence_ms);
    settle(stream);
    return;
  }
  stream->busy++;
  if (stream->tx.len == 0 && now >= after(stream->tx_ms, stream->options.keep_alive_ms)) keep_alive(stream);
  for (ab__replicator_t *at = stream->replicators; at != NULL && stream->status == 0;
       at = at->next_of_stream) {
    int err = ab__fetch_expire(at, now);
    if (err < 0) ab__stream_fail(stream, err, "%s", ab_strerror(err));
  }
  stream->busy--;
  settle(stream);
}

/* ---- how it stands ---- */

static bool
may_give_upgrade (const ab__replicator_t *replicator) {
  const ab__sync_t *said = &replicator->said;
  if (replicator->upgrade_denied || replicator->stream->options.pull_only) return false;
  return said->can_upgrade || said->length != replicator->core->length ||
         said->remote_length != replicator->remote.length;
}

static bool
core_in_sync (const ab_stream_t *stream, const ab__netcore_t *core) {
  const ab__replicator_t *replicator = ab__replicator_find(core, stream);
  if (replicator == NULL || replicator->state == AB_CORE_WAITING || replicator->state == AB_CORE_NONE)
    return false;
  if (replicator->state == AB_CORE_REFUSED) return true;
  if (!replicator->synced || !replicator->said_sync || core->uncommitted || replicator->pump_due)
    return false;
  const ab__sync_t *remote = &replicator->remote;
  if (remote->fork != core->fork) return remote->fork < core->fork;
  if (remote->length > core->length && remote->uploading && may_get_upgrade(replicator)) return false;
  if (remote->length < core->length && remote->downloading && may_give_upgrade(replicator)) return false;
  for (size_t i = 0; i < core->urgent_count; i++) {
    if (ab__have_block(&replicator->have, core->urgent[i])) return false;
  }
  for (const hypercore_download_t *at = core->downloads; at != NULL; at = at->next) {
    uint64_t end = at->end < core->length ? at->end : core->length;
    for (uint64_t i = at->low; i < end; i++) {
      if (ab__have_block(&replicator->have, i) && !hypercore_has(core->core, i, i + 1)) return false;
    }
  }
  return true;
}

bool
ab_stream_in_sync (const ab_stream_t *stream) {
  if (stream->status != 0 || stream->phase != AB__OPEN || stream->net->staged) return false;
  if (stream->inflight > 0 || stream->owed > 0 || stream->tx.len > 0 || stream->out.len > 0) return false;
  if (stream->opens != stream->net->opens || !ab__wakeup_is_done(stream)) return false;
  for (const ab__netcore_t *core = stream->net->cores; core != NULL; core = core->next) {
    if (ab__netcore_is_followed(core) && !core_in_sync(stream, core)) return false;
  }
  return true;
}

void
ab_stream_stats (const ab_stream_t *stream, ab_stream_stats_t *out) {
  *out = stream->stats;
  out->channels = stream->mux.channel_count;
  out->requests_in_flight = stream->inflight;
  out->answers_owed = stream->owed;
  out->quiet_ms = stream->clock_ms - stream->active_ms;
  uint64_t memory = sizeof(*stream) + stream->plain.capacity + stream->tx.capacity + stream->out.capacity;
  memory += stream->deframer.partial.capacity + stream->owed_bytes + stream->mux.queued;
  memory += stream->mux.local_capacity * 20 + stream->mux.remote_capacity * 16;
  for (const ab__replicator_t *at = stream->replicators; at != NULL; at = at->next_of_stream) {
    memory += sizeof(*at) + ab__have_memory(&at->have);
    memory += at->inflight_capacity * sizeof(*at->inflight);
    if (at->wanted_segments != NULL) memory += AB__WANTED_SEGMENTS_MAX * sizeof(*at->wanted_segments);
    memory += (at->drops.capacity + at->news.capacity) * sizeof(ab__span_t);
  }
  out->memory = memory;
}

/* vectors_replication.c: the layers of a connection against the recorded ones: handshake, frames, channels.
 * What is said on channels: vectors_replication_messages.c; what cores do with it:
 * vectors_replication_cores.c. */
#include <stdlib.h>

#include "hypercore/crypto.h"
#include "hypercore/net/capability.h"
#include "hypercore/net/messages.h"
#include "hypercore/net/mux.h"
#include "hypercore/net/noise.h"
#include "hypercore/net/secretstream.h"
#include "hypercore/recorded.h"
#include "support/vectors.h"

/* ---- noise.json ---- */

static void
seed_pair (const json_t *seeds, const char *member, ab_key_pair_t *out) {
  ab_key_pair_from_seed(out, vectors_get_bytes(seeds, member).data);
}

static void
begin_handshake (const json_t *item, bool initiator, ab__noise_t *noise) {
  const json_t *seeds = vectors_get(item, "seeds");
  ab_key_pair_t s, e;
  seed_pair(seeds, initiator ? "initiatorStatic" : "responderStatic", &s);
  seed_pair(seeds, initiator ? "initiatorEphemeral" : "responderEphemeral", &e);
  ab__noise_init(noise, initiator, &s, &e);
}

static void
check_symmetric (const json_t *expected, const ab__noise_symmetric_t *state) {
  check_bytes("h", vectors_get_bytes(expected, "h"), ab_slice(state->h, 64));
  check_bytes("ck", vectors_get_bytes(expected, "ck"), ab_slice(state->ck, 64));
  if (!vectors_has(expected, "k")) {
    check_that(!state->has_key);
    return;
  }
  check_bytes("k", vectors_get_bytes(expected, "k"), ab_slice(state->k, 32));
  check_uint("n", vectors_get_uint(expected, "n"), state->n);
}

/* The state after each step, as one side goes through its messages. */
static void
replay_steps (const json_t *item, const char *const lists[3]) {
  ab__noise_symmetric_t state;
  ab__noise_symmetric_init(&state);
  check_symmetric(vectors_get(item, "initial"), &state);
  for (int i = 0; i < 3; i++) {
    size_t at;
    json_t *step;
    json_array_foreach(vectors_get(vectors_get(item, "steps"), lists[i]), at, step) {
      const char *name = vectors_get_text(step, "step");
      ab_slice_t input = vectors_get_bytes(step, "input");
      uint8_t out[256];
      if (strcmp(name, "mixHash") == 0) ab__noise_mix_hash(&state, input);
      else if (strcmp(name, "mixKey") == 0) ab__noise_mix_key(&state, input);
      else if (strcmp(name, "encryptAndHash") == 0) {
        size_t len = ab__noise_encrypt_and_hash(&state, input, out);
        check_bytes("encrypted", vectors_get_bytes(step, "output"), ab_slice(out, len));
      } else if (strcmp(name, "decryptAndHash") == 0) {
        int len = ab__noise_decrypt_and_hash(&state, input, out);
        if (check_that(len >= 0)) {
          check_bytes("decrypted", vectors_get_bytes(step, "output"), ab_slice(out, (size_t) len));
        }
      } else vectors_fail("unknown step %s", name);
      check_symmetric(step, &state);
    }
  }
}

/* Both sides up to, not including, message `until` (1 to 4), checking each. */
static void
run_messages (const json_t *item, size_t until, ab__noise_t *initiator, ab__noise_t *responder) {
  begin_handshake(item, true, initiator);
  begin_handshake(item, false, responder);
  check_symmetric(vectors_get(item, "initial"), &initiator->symmetric);
  for (size_t i = 0; i + 1 < until; i++) {
    const json_t *message = json_array_get(vectors_get(item, "messages"), i);
    ab__noise_t *from = i == 1 ? responder : initiator, *to = i == 1 ? initiator : responder;
    ab_slice_t payload = vectors_bytes(json_array_get(vectors_get(item, "payloads"), i));
    ab_buf_t out = {0}, framed = {0};
    check_that(ab__noise_writes(from) && !ab__noise_writes(to));
    check_err("write", 0, ab__noise_write(from, payload, &out));
    check_bytes("message", vectors_get_bytes(message, "noise"), ab_buf_slice(&out));
    ab__frame_write(&framed, ab_buf_slice(&out));
    check_bytes("framed", vectors_get_bytes(message, "framed"), ab_buf_slice(&framed));
    check_err("read", 0, ab__noise_read(to, vectors_get_bytes(message, "noise")));
    ab_buf_destroy(&out);
    ab_buf_destroy(&framed);
  }
}

static void
run_handshake (const json_t *item) {
  ab__noise_t initiator, responder;
  run_messages(item, 4, &initiator, &responder);
  check_that(ab__noise_is_done(&initiator) && ab__noise_is_done(&responder));
  ab_slice_t hash = vectors_get_bytes(item, "handshakeHash");
  check_bytes("hash", hash, ab_slice(ab__noise_hash(&initiator), 64));
  check_bytes("hash", hash, ab_slice(ab__noise_hash(&responder), 64));
  check_bytes("tx", vectors_get_bytes(item, "initiatorTx"), ab_slice(initiator.tx, 32));
  check_bytes("rx", vectors_get_bytes(item, "initiatorRx"), ab_slice(initiator.rx, 32));
  check_bytes("tx", vectors_get_bytes(item, "initiatorTx"), ab_slice(responder.rx, 32));
  check_bytes("rx", vectors_get_bytes(item, "initiatorRx"), ab_slice(responder.tx, 32));
  const json_t *keys = vectors_get(item, "publicKeys");
  check_bytes("remote", vectors_get_bytes(keys, "responderStatic"), ab_slice(initiator.remote_s, 32));
  check_bytes("remote", vectors_get_bytes(keys, "initiatorStatic"), ab_slice(responder.remote_s, 32));
}

static const json_t *
find_named (const json_t *list, const char *name) {
  size_t i;
  json_t *item;
  json_array_foreach(list, i, item) {
    if (strcmp(vectors_get_text(item, "name"), name) == 0) return item;
  }
  vectors_fail("no %s", name);
  return NULL;
}

static void
run_noise_primitives (const json_t *primitives) {
  size_t i;
  json_t *item;
  json_array_foreach(vectors_get(primitives, "dh"), i, item) {
    vectors_begin(NULL, "primitives", "dh %zu", i);
    ab_key_pair_t pair;
    uint8_t out[32];
    seed_pair(item, "seed", &pair);
    check_bytes("public key", vectors_get_bytes(item, "publicKey"), ab_slice(pair.public_key, 32));
    check_err("dh", 0, ab__noise_dh(out, &pair, vectors_get_bytes(item, "remotePublicKey").data));
    check_bytes("dh", vectors_get_bytes(item, "output"), ab_slice(out, 32));
  }
  json_array_foreach(vectors_get(primitives, "hmac"), i, item) {
    vectors_begin(NULL, "primitives", "hmac %zu", i);
    uint8_t out[64];
    ab_slice_t message = vectors_get_bytes(item, "message");
    ab__noise_hmac(out, vectors_get_bytes(item, "key"), &message, 1);
    check_bytes("hmac", vectors_get_bytes(item, "output"), ab_slice(out, 64));
  }
  json_array_foreach(vectors_get(primitives, "hkdf"), i, item) {
    vectors_begin(NULL, "primitives", "hkdf %zu", i);
    uint8_t one[64], two[64];
    ab__noise_hkdf(vectors_get_bytes(item, "chainingKey").data, vectors_get_bytes(item, "input"), one, two);
    check_bytes("one", vectors_get_bytes(item, "output1"), ab_slice(one, 64));
    check_bytes("two", vectors_get_bytes(item, "output2"), ab_slice(two, 64));
  }
}

static void
run_noise (const char *file, json_t *root) {
  static const char *const initiator_steps[] = {
    "initiatorSendsMessage1", "initiatorReceivesMessage2", "initiatorSendsMessage3"};
  static const char *const responder_steps[] = {
    "responderReceivesMessage1", "responderSendsMessage2", "responderReceivesMessage3"};
  size_t i;
  json_t *item;
  (void) file;
  json_array_foreach(vectors_get(root, "handshakes"), i, item) {
    vectors_begin(NULL, "handshakes", "%s", vectors_get_text(item, "name"));
    run_handshake(item);
    if (!vectors_has(item, "steps")) continue;
    replay_steps(item, initiator_steps);
    replay_steps(item, responder_steps);
  }
  json_array_foreach(vectors_get(root, "handshakesWithPayloads"), i, item) {
    vectors_begin(NULL, "handshakesWithPayloads", "%s", vectors_get_text(item, "name"));
    run_handshake(item);
  }
  json_array_foreach(vectors_get(root, "invalid"), i, item) {
    vectors_begin(NULL, "invalid", "%s", vectors_get_text(item, "name"));
    ab__noise_t initiator, responder;
    const json_t *of = find_named(vectors_get(root, "handshakes"), vectors_get_text(item, "case"));
    if (of == NULL) continue;
    run_messages(of, vectors_get_uint(item, "message"), &initiator, &responder);
    bool to_initiator = strcmp(vectors_get_text(item, "receiver"), "initiator") == 0;
    int err = ab__noise_read(to_initiator ? &initiator : &responder, vectors_get_bytes(item, "noise"));
    if (err == 0 && !to_initiator && vectors_get_uint(item, "message") == 1) {
      ab_buf_t out = {0};
      err = ab__noise_write(&responder, ab_slice(NULL, 0), &out);
      ab_buf_destroy(&out);
    }
    check_err("read", AB_ECORRUPT, err);
  }
  json_array_foreach(vectors_get(root, "weakEphemerals"), i, item) {
    vectors_begin(NULL, "weakEphemerals", "%zu", i);
    ab__noise_t responder;
    ab_buf_t out = {0};
    begin_handshake(json_array_get(vectors_get(root, "handshakes"), 0), false, &responder);
    check_err("read", 0, ab__noise_read(&responder, vectors_get_bytes(item, "ephemeral")));
    check_err("write", AB_ECORRUPT, ab__noise_write(&responder, ab_slice(NULL, 0), &out));
    ab_buf_destroy(&out);
  }
  run_noise_primitives(vectors_get(root, "primitives"));
}

/* ---- secretstream.json ---- */

/* A receiver of what a session sent. */
typedef struct {
  ab__deframer_t deframer;
  ab__cipher_t cipher;
  uint8_t id[32];
  uint8_t key[32];
  bool begun;
  int err;
  ab_buf_t plain; /* of everything delivered, each as a buffer */
  size_t count;
} receiver_t;

static void
receiver_init (receiver_t *receiver, const json_t *session) {
  *receiver = (receiver_t){0};
  ab__stream_id(
    receiver->id, vectors_get_bytes(session, "handshakeHash").data, vectors_get_bool(session, "isInitiator")
  );
  memcpy(receiver->key, vectors_get_bytes(session, "tx").data, 32);
}

static void
receiver_feed (receiver_t *receiver, ab_slice_t in) {
  while (receiver->err == 0) {
    ab_slice_t body;
    uint8_t *ours;
    size_t max = receiver->begun ? AB__FRAME_MAX : AB__HEADER_BODY;
    int got = ab__deframe(&receiver->deframer, &in, max, &body, &ours);
    if (got < 0) receiver->err = got;
    if (got <= 0) return;
    if (!receiver->begun) {
      receiver->err = ab__header_read(body, receiver->id, receiver->key, &receiver->cipher);
      receiver->begun = receiver->err == 0;
      continue;
    }
    size_t len;
    uint8_t *plain = ours != NULL ? ours + AB__SEAL_BEFORE : malloc(body.len + 1);
    receiver->err = ab__unseal(&receiver->cipher, body, plain, &len);
    if (receiver->err == 0) {
      ab_write_buffer(&receiver->plain, ab_slice(plain, len));
      receiver->count++;
    }
    if (ours == NULL) free(plain);
  }
}

static void
receiver_destroy (receiver_t *receiver) {
  ab__deframer_destroy(&receiver->deframer);
  ab_buf_destroy(&receiver->plain);
}

/* What was delivered begins with the list `expected`, and is no more unless `more`. */
static void
check_delivered (const json_t *expected, const receiver_t *receiver, bool more) {
  ab_reader_t in = ab_reader(ab_buf_slice(&receiver->plain));
  size_t i;
  json_t *item;
  json_array_foreach(expected, i, item) {
    if (i >= receiver->count) {
      vectors_fail("%zu delivered, expected %zu", receiver->count, json_array_size(expected));
      return;
    }
    check_bytes("delivered", vectors_bytes(item), ab_read_buffer(&in));
  }
  if (!more) check_uint("delivered", json_array_size(expected), receiver->count);
}

static void
run_session (const json_t *session) {
  ab__cipher_t cipher;
  uint8_t id[32];
  ab_buf_t out = {0};
  receiver_t receiver;
  size_t i;
  json_t *frame;
  ab_slice_t hash = vectors_get_bytes(session, "handshakeHash");
  ab_slice_t header = vectors_get_bytes(session, "header");
  bool is_initiator = vectors_get_bool(session, "isInitiator");

  ab__stream_id(id, hash.data, is_initiator);
  check_bytes("local id", vectors_get_bytes(session, "localStreamId"), ab_slice(id, 32));
  ab__header_write(&out, id, header.data);
  check_bytes("header", vectors_get_bytes(session, "headerFrame"), ab_buf_slice(&out));
  ab__stream_id(id, hash.data, !is_initiator);
  check_bytes("remote id", vectors_get_bytes(session, "remoteStreamId"), ab_slice(id, 32));

  receiver_init(&receiver, session);
  receiver_feed(&receiver, ab_buf_slice(&out));
  ab__cipher_init(&cipher, vectors_get_bytes(session, "tx").data, header.data);
  json_array_foreach(vectors_get(session, "frames"), i, frame) {
    ab_slice_t plain = vectors_get_bytes(frame, "plain");
    ab_buf_reset(&out);
    size_t begin = ab__seal_begin(&out);
    ab_buf_append(&out, plain);
    check_err("seal", 0, ab__seal_end(&cipher, &out, begin));
    check_bytes("frame", vectors_get_bytes(frame, "wire"), ab_buf_slice(&out));
    ab_buf_reset(&receiver.plain);
    receiver_feed(&receiver, vectors_get_bytes(frame, "wire"));
    check_err("receive", 0, receiver.err);
    ab_reader_t in = ab_reader(ab_buf_slice(&receiver.plain));
    check_bytes("plain", plain, ab_read_buffer(&in));
  }
  receiver_destroy(&receiver);
  ab_buf_destroy(&out);
}

/* The session's bytes, cut where the case says. */
static void
run_reassembly (const json_t *session, const json_t *splits, receiver_t *receiver) {
  ab_buf_t wire = {0};
  size_t i, at = 0;
  json_t *item;
  ab_buf_append(&wire, vectors_get_bytes(session, "headerFrame"));
  json_array_foreach(vectors_get(session, "frames"), i, item) {
    ab_buf_append(&wire, vectors_get_bytes(item, "wire"));
  }
  receiver_init(receiver, session);
  if (json_is_string(splits)) {
    for (; at < wire.len; at++) receiver_feed(receiver, ab_slice(wire.data + at, 1));
  } else {
    json_array_foreach(splits, i, item) {
      size_t end = vectors_uint(item);
      receiver_feed(receiver, ab_slice(wire.data + at, end - at));
      at = end;
    }
    receiver_feed(receiver, ab_slice(wire.data + at, wire.len - at));
  }
  ab_buf_destroy(&wire);
}

static void
run_secretstream (const char *file, json_t *root) {
  const json_t *sessions = vectors_get(root, "sessions"), *session;
  receiver_t receiver;
  size_t i;
  json_t *item;
  (void) file;
  json_array_foreach(sessions, i, item) {
    vectors_begin(NULL, "sessions", "%s", vectors_get_text(item, "name"));
    run_session(item);
  }
  const json_t *reassembly = vectors_get(root, "reassembly");
  session = find_named(sessions, vectors_get_text(reassembly, "session"));
  json_array_foreach(vectors_get(reassembly, "cases"), i, item) {
    vectors_begin(NULL, "reassembly", "%zu", i);
    run_reassembly(session, vectors_get(item, "splits"), &receiver);
    check_err("receive", 0, receiver.err);
    check_delivered(vectors_get(item, "delivered"), &receiver, false);
    receiver_destroy(&receiver);
  }
  const json_t *receive = vectors_get(root, "receive");
  session = find_named(sessions, vectors_get_text(receive, "session"));
  json_array_foreach(vectors_get(receive, "cases"), i, item) {
    vectors_begin(NULL, "receive", "%s", vectors_get_text(item, "name"));
    bool destroyed = vectors_get_bool(item, "destroyed");
    receiver_init(&receiver, session);
    receiver_feed(&receiver, vectors_get_bytes(item, "input"));
    check_err("receive", destroyed ? AB_ECORRUPT : 0, receiver.err);
    check_delivered(vectors_get(item, "delivered"), &receiver, destroyed);
    receiver_destroy(&receiver);
  }
  const json_t *tags = vectors_get(root, "tags");
  session = find_named(sessions, vectors_get_text(tags, "session"));
  vectors_begin(NULL, "tags", "frames");
  receiver_init(&receiver, session);
  receiver_feed(&receiver, vectors_get_bytes(session, "headerFrame"));
  json_array_foreach(vectors_get(tags, "frames"), i, item) {
    ab_buf_reset(&receiver.plain);
    receiver_feed(&receiver, vectors_get_bytes(item, "wire"));
    ab_reader_t in = ab_reader(ab_buf_slice(&receiver.plain));
    check_bytes("plain", vectors_get_bytes(item, "plain"), ab_read_buffer(&in));
  }
  check_err("receive", 0, receiver.err);
  receiver_destroy(&receiver);
}

/* ---- protomux.json ---- */

/* A multiplexer under test: what it sends and what its channels report. */
typedef struct {
  ab__mux_t mux;
  ab_buf_t frame;
  ab_buf_t sent;       /* each frame as a buffer */
  json_t *events;      /* as recorded */
  const json_t *pairs; /* "pair" entries of the setup */
  const json_t *later; /* offer that is to be opened */
  ab_slice_t later_id;
  struct test_channel_s *channels[8]; /* open ones */
} bench_t;

typedef struct test_channel_s {
  ab__channel_t channel;
  bench_t *bench;
  char label[32];
  bool has_handshake;
  uint8_t id[64];
} test_channel_t;

static char *
hex (ab_slice_t bytes) {
  char *text = malloc(2 * bytes.len + 1);
  for (size_t i = 0; i < bytes.len; i++) snprintf(text + 2 * i, 3, "%02x", bytes.data[i]);
  text[2 * bytes.len] = 0;
  return text;
}

static json_t *
hex_json (ab_slice_t bytes) {
  if (bytes.data == NULL) return json_null();
  char *text = hex(bytes);
  json_t *json = json_string(text);
  free(text);
  return json;
}

static int
on_opened (ab__channel_t *channel, ab_slice_t handshake) {
  test_channel_t *self = (test_channel_t *) channel;
  json_t *value = json_null();
  if (self->has_handshake) {
    ab_reader_t in = ab_reader(handshake);
    value = json_integer((json_int_t) ab_read_uint(&in));
    if (in.err < 0) return in.err;
  }
  json_array_append_new(
    self->bench->events, json_pack("{s:s,s:b,s:o}", "channel", self->label, "opened", 1, "handshake", value)
  );
  return 0;
}

static int
on_message (ab__channel_t *channel, uint64_t type, ab_slice_t payload) {
  test_channel_t *self = (test_channel_t *) channel;
  json_t *event = json_pack("{s:s,s:I}", "channel", self->label, "message", (json_int_t) type);
  if (type == 0) json_object_set_new(event, "payload", hex_json(payload));
  if (type == 1) {
    ab_reader_t in = ab_reader(payload);
    json_object_set_new(event, "value", json_integer((json_int_t) ab_read_uint(&in)));
    if (in.err < 0) {
      json_decref(event);
      return in.err;
    }
  }
  if (type <= 1) json_array_append(self->bench->events, event);
  json_decref(event);
  return 0;
}

static void
on_closed (ab__channel_t *channel, bool by_remote) {
  test_channel_t *self = (test_channel_t *) channel;
  json_array_append_new(
    self->bench->events,
    json_pack("{s:s,s:b,s:b}", "channel", self->label, "closed", 1, "byRemote", by_remote)
  );
  for (size_t i = 0; i < 8; i++) {
    if (self->bench->channels[i] == self) self->bench->channels[i] = NULL;
  }
  free(self);
}

static const ab__channel_ops_t test_ops = {on_opened, on_message, on_closed};

static ab_buf_t *
begin_frame (void *data) {
  bench_t *bench = data;
  ab_buf_reset(&bench->frame);
  return &bench->frame;
}

static int
end_frame (void *data) {
  bench_t *bench = data;
  ab_write_buffer(&bench->sent, ab_buf_slice(&bench->frame));
  return bench->frame.err;
}

static void
open_channel (bench_t *bench, const json_t *open, ab_slice_t offered_id) {
  test_channel_t *self = calloc(1, sizeof(*self));
  ab_buf_t handshake = {0};
  ab_slice_t id = vectors_has(open, "id") ? vectors_get_bytes(open, "id") : offered_id;
  self->bench = bench;
  snprintf(self->label, sizeof(self->label), "%s", vectors_get_text(open, "label"));
  self->channel.ops = &test_ops;
  self->channel.protocol = ab_text(vectors_get_text(open, "protocol"));
  if (vectors_has(open, "aliases")) {
    self->channel.alias = ab_text(vectors_text(json_array_get(vectors_get(open, "aliases"), 0)));
  }
  if (id.data != NULL) {
    memcpy(self->id, id.data, id.len);
    self->channel.id = ab_slice(self->id, id.len);
  }
  if (vectors_has(open, "handshake")) {
    self->has_handshake = true;
    ab_write_uint(&handshake, vectors_get_uint(open, "handshake"));
  }
  for (size_t i = 0; i < 8; i++) {
    if (bench->channels[i] != NULL) continue;
    bench->channels[i] = self;
    break;
  }
  check_err("open", 0, ab__mux_open(&bench->mux, &self->channel, ab_buf_slice(&handshake)));
  ab_buf_destroy(&handshake);
}

static ab__channel_t *
labelled (bench_t *bench, const char *label) {
  for (size_t i = 0; i < 8; i++) {
    test_channel_t *channel = bench->channels[i];
    if (channel != NULL && strcmp(channel->label, label) == 0) return &channel->channel;
  }
  return NULL;
}

static ab__offer_t
on_offered (void *data, ab_slice_t protocol, ab_slice_t id) {
  bench_t *bench = data;
  size_t i;
  json_t *item;
  json_array_foreach(bench->pairs, i, item) {
    if (!vectors_has(item, "pair")) continue;
    const json_t *pair = vectors_get(item, "pair");
    const char *name = vectors_get_text(pair, "protocol");
    if (!ab_slice_equal(ab_text(name), protocol)) continue;
    json_array_append_new(bench->events, json_pack("{s:s,s:o}", "notify", name, "id", hex_json(id)));
    if (!vectors_has(pair, "open")) return AB__OFFER_REJECT;
    if (vectors_has(pair, "delay")) {
      bench->later = vectors_get(pair, "open");
      bench->later_id = id;
      return AB__OFFER_LATER;
    }
    open_channel(bench, vectors_get(pair, "open"), id);
    return AB__OFFER_OPENED;
  }
  return AB__OFFER_REJECT;
}

static void
check_sent (bench_t *bench, const json_t *expected) {
  ab_reader_t in = ab_reader(ab_buf_slice(&bench->sent));
  size_t i;
  json_t *item;
  json_array_foreach(expected, i, item) {
    ab_slice_t want = vectors_bytes(item), got = ab_read_buffer(&in);
    check_bytes("sent", want, got);
  }
  check_that(in.err == 0 && ab_reader_left(&in) == 0);
  ab_buf_reset(&bench->sent);
}

static void
check_events (bench_t *bench, const json_t *expected) {
  if (!json_equal(expected, bench->events)) {
    char *a = json_dumps(expected, JSON_COMPACT), *b = json_dumps(bench->events, JSON_COMPACT);
    vectors_fail("events %s, expected %s", b, a);
    free(a);
    free(b);
  }
  json_array_clear(bench->events);
}

static void
local_action (bench_t *bench, const json_t *local) {
  const char *what = vectors_get_text(local, "local");
  if (strcmp(what, "open") == 0) {
    open_channel(bench, vectors_get(local, "open"), ab_slice(NULL, 0));
  } else if (strcmp(what, "close") == 0) {
    ab__channel_t *channel = labelled(bench, vectors_get_text(local, "label"));
    if (check_that(channel != NULL)) check_err("close", 0, ab__mux_close(channel));
  } else if (bench->later != NULL) {
    open_channel(bench, bench->later, bench->later_id);
    bench->later = NULL;
  }
}

static void
bench_init (bench_t *bench, const json_t *setup) {
  *bench = (bench_t){.pairs = setup, .events = json_array()};
  ab__mux_init(&bench->mux, &(ab__mux_host_t){begin_frame, end_frame, on_offered, bench});
}

static void
bench_destroy (bench_t *bench) {
  ab__mux_destroy(&bench->mux);
  ab_buf_destroy(&bench->frame);
  ab_buf_destroy(&bench->sent);
  json_decref(bench->events);
}

static void
run_script (const json_t *script) {
  bench_t bench;
  size_t i;
  json_t *item;
  bench_init(&bench, vectors_get(script, "setup"));
  json_array_foreach(vectors_get(script, "setup"), i, item) {
    if (vectors_has(item, "open")) open_channel(&bench, vectors_get(item, "open"), ab_slice(NULL, 0));
  }
  check_sent(&bench, vectors_get(script, "sentDuringSetup"));
  json_array_foreach(vectors_get(script, "steps"), i, item) {
    bool destroyed = vectors_has(item, "destroyed") && vectors_get_bool(item, "destroyed");
    if (vectors_has(item, "receive")) {
      int err = ab__mux_receive(&bench.mux, vectors_get_bytes(item, "receive"));
      check_err("receive", destroyed ? AB_ECORRUPT : 0, err);
      if (err < 0) ab__mux_destroy(&bench.mux);
    } else {
      local_action(&bench, vectors_get(item, "local"));
    }
    check_events(&bench, vectors_get(item, "events"));
    check_sent(&bench, vectors_get(item, "sent"));
  }
  bench_destroy(&bench);
}

/* Channels 1 to 3 of protocols 1, 2, 3, paired; then the batch: what comes out is what its items say. */
static void
decode_batch (const json_t *items, ab_slice_t frame) {
  bench_t bench;
  json_t *expected = json_array(),
         *setup = json_pack(
           "[{s:{s:s,s:{s:s,s:s}}}]", "pair", "protocol", "bar", "open", "label", "4", "protocol", "bar"
         );
  size_t i;
  json_t *item;
  bench_init(&bench, setup);
  for (uint64_t id = 1; id <= 3; id++) {
    char name[2] = {(char) ('0' + id), 0};
    ab_buf_t open = {0};
    json_t *channel = json_pack("{s:s,s:s}", "label", name, "protocol", name);
    open_channel(&bench, channel, ab_slice(NULL, 0));
    ab__mux_write_open(&open, id, ab_text(name), ab_slice(NULL, 0), ab_slice(NULL, 0));
    check_err("pair", 0, ab__mux_receive(&bench.mux, ab_buf_slice(&open)));
    ab_buf_destroy(&open);
    json_decref(channel);
  }
  json_array_clear(bench.events);
  json_array_foreach(items, i, item) {
    char label[8];
    snprintf(label, sizeof(label), "%d", (int) vectors_get_uint(item, "localId"));
    if (!vectors_has(item, "control")) {
      uint64_t type = vectors_get_uint(item, "type");
      json_t *event = json_pack("{s:s,s:I}", "channel", label, "message", (json_int_t) type);
      if (type == 0) json_object_set(event, "payload", vectors_get(item, "payload"));
      else {
        ab_reader_t in = ab_reader(vectors_get_bytes(item, "payload"));
        json_object_set_new(event, "value", json_integer((json_int_t) ab_read_uint(&in)));
      }
      json_array_append_new(expected, event);
    } else if (strcmp(vectors_get_text(item, "control"), "open") == 0) {
      const char *protocol = vectors_get_text(item, "protocol");
      json_array_append_new(expected, json_pack("{s:s,s:n}", "notify", protocol, "id"));
      json_array_append_new(expected, json_pack("{s:s,s:b,s:n}", "channel", label, "opened", 1, "handshake"));
    } else {
      json_array_append_new(
        expected, json_pack("{s:s,s:b,s:b}", "channel", label, "closed", 1, "byRemote", 1)
      );
    }
  }
  check_err("receive", 0, ab__mux_receive(&bench.mux, frame));
  check_events(&bench, expected);
  bench_destroy(&bench);
  json_decref(expected);
  json_decref(setup);
}

static void
run_encoding (const json_t *item) {
  const json_t *fields = vectors_get(item, "fields");
  const char *what = vectors_get_text(item, "what");
  ab_slice_t frame = vectors_bytes(json_array_get(vectors_get(item, "frames"), 0));
  ab_buf_t out = {0};
  if (strncmp(what, "batch", 5) == 0) {
    decode_batch(vectors_get(fields, "items"), frame);
    return;
  }
  if (strcmp(what, "open") == 0) {
    ab__mux_write_open(
      &out,
      vectors_get_uint(fields, "localId"),
      ab_text(vectors_get_text(fields, "protocol")),
      vectors_get_bytes(fields, "id"),
      vectors_get_bytes(fields, "handshake")
    );
  } else if (strcmp(what, "message") == 0) {
    bench_t bench;
    bench_init(&bench, NULL);
    ab__channel_t channel = {.mux = &bench.mux, .local_id = vectors_get_uint(fields, "localId")};
    ab_buf_append(
      ab__channel_begin(&channel, vectors_get_uint(fields, "type")), vectors_get_bytes(fields, "payload")
    );
    check_err("end", 0, ab__channel_end(&channel));
    ab_reader_t sent = ab_reader(ab_buf_slice(&bench.sent));
    ab_buf_append(&out, ab_read_buffer(&sent));
    bench_destroy(&bench);
  } else if (strcmp(what, "close") == 0) {
    ab__mux_write_close(&out, vectors_get_uint(fields, "localId"));
  } else if (strcmp(what, "reject") == 0) {
    ab__mux_write_reject(&out, vectors_get_uint(fields, "remoteId"));
  } else {
    vectors_fail("unknown %s", what);
  }
  check_bytes(what, frame, ab_buf_slice(&out));
  ab_buf_destroy(&out);
}

static void
run_protomux (const char *file, json_t *root) {
  size_t i;
  json_t *item;
  (void) file;
  json_array_foreach(vectors_get(root, "encodings"), i, item) {
    vectors_begin(NULL, "encodings", "%zu: %s", i, vectors_get_text(item, "what"));
    run_encoding(item);
  }
  json_array_foreach(vectors_get(root, "scripts"), i, item) {
    vectors_begin(NULL, "scripts", "%s", vectors_get_text(item, "name"));
    run_script(item);
  }
}

/* ---- capability.json ---- */

static void
run_capability (const char *file, json_t *root) {
  size_t i;
  json_t *item;
  (void) file;
  json_array_foreach(vectors_get(root, "namespaces"), i, item) {
    uint8_t ns[32];
    vectors_begin(NULL, "namespaces", "%s %s", vectors_get_text(item, "name"), vectors_get_text(item, "use"));
    ab_namespace(ns, vectors_get_text(item, "name"), (uint8_t) vectors_get_uint(item, "index"));
    check_bytes("namespace", vectors_get_bytes(item, "value"), ab_slice(ns, 32));
  }
  json_array_foreach(vectors_get(root, "cases"), i, item) {
    static const char *const roles[] = {"responder", "initiator"};
    ab_key_t key, discovery_key;
    uint8_t out[32];
    vectors_begin(NULL, "cases", "%zu", i);
    vectors_get_key(item, "key", &key);
    ab_slice_t hash = vectors_get_bytes(item, "handshakeHash");
    ab_discovery_key(&discovery_key, &key);
    check_bytes("discovery key", vectors_get_bytes(item, "discoveryKey"), ab_key_slice(&discovery_key));
    for (int role = 0; role < 2; role++) {
      ab_replicate_capability(out, hash.data, role == 1, &key);
      check_bytes("core", vectors_get_bytes(vectors_get(item, "replicate"), roles[role]), ab_slice(out, 32));
      ab__stream_id(out, hash.data, role == 1);
      check_bytes("id", vectors_get_bytes(vectors_get(item, "streamId"), roles[role]), ab_slice(out, 32));
      ab__wakeup_capability(out, hash.data, role == 1, &key);
      check_bytes("wakeup", vectors_get_bytes(vectors_get(item, "wakeup"), roles[role]), ab_slice(out, 32));
    }
  }
}

int
main (int argc, char **argv) {
  static const vectors_runner_t runners[] = {
    {"noise.json", run_noise},
    {"secretstream.json", run_secretstream},
    {"protomux.json", run_protomux},
    {"capability.json", run_capability},
  };
  ab_crypto_init();
  return vectors_main(argc, argv, "replication", runners, sizeof(runners) / sizeof(*runners));
}

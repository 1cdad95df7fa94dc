/* vectors_replication_transcripts.c: whole recorded connections. Of each file:
 *
 *   events   every frame decodes, and what was decoded encodes to the same frame
 *   wire     both byte streams, from the handshake on, are made of these frames
 *   setup    the owner's core, rebuilt, answers every recorded request with the recorded bytes
 *   final    a reader that is fed what was answered ends as the recorded one did
 */
#include <stdlib.h>

#include "hypercore/core.h"
#include "hypercore/crypto.h"
#include "hypercore/net/messages.h"
#include "hypercore/net/mux.h"
#include "hypercore/net/noise.h"
#include "hypercore/net/secretstream.h"
#include "hypercore/recorded.h"
#include "support/vectors.h"

#define CHANNELS_MAX 64

static const char *const sides[2] = {"initiator", "responder"};

typedef enum { TALK_NONE, TALK_CORE, TALK_WAKEUP, TALK_OTHER } talk_t;

/* What the channel ids of each side mean, as the frames go by. */
typedef struct {
  struct {
    talk_t talk;
    uint8_t id[32];
  } channels[2][CHANNELS_MAX];
} table_t;

/* ---- taking frames apart ---- */

typedef struct {
  uint64_t channel;
  ab_slice_t message; /* type first */
} part_t;

/* The messages of a frame; the batch is one level deep. Returns how many. */
static size_t
split (ab_slice_t frame, part_t *parts, size_t max, bool *is_batch) {
  ab_reader_t in = ab_reader(frame);
  size_t count = 0;
  *is_batch = false;
  if (frame.len == 0) return 0;
  uint64_t channel = ab_read_uint(&in);
  ab_reader_t probe = in;
  if (channel != 0 || ab_read_uint(&probe) != 0) {
    parts[0] = (part_t){channel, ab_slice(in.at, ab_reader_left(&in))};
    return 1;
  }
  in = probe;
  *is_batch = true;
  channel = ab_read_uint(&in);
  while (in.err == 0 && ab_reader_left(&in) > 0 && count < max) {
    ab_slice_t message = ab_read_buffer(&in);
    if (message.len == 0) channel = ab_read_uint(&in);
    else parts[count++] = (part_t){channel, message};
  }
  check_err("batch", 0, in.err);
  return count;
}

static void
join (const part_t *parts, size_t count, bool is_batch, ab_buf_t *out) {
  if (!is_batch) {
    if (count == 0) return;
    ab_write_uint(out, parts[0].channel);
    ab_write_bytes(out, parts[0].message);
    return;
  }
  ab_write_uint(out, 0);
  ab_write_uint(out, 0);
  ab_write_uint(out, parts[0].channel);
  for (size_t i = 0; i < count; i++) {
    if (i > 0 && parts[i].channel != parts[i - 1].channel) {
      ab_write_uint(out, 0);
      ab_write_uint(out, parts[i].channel);
    }
    ab_write_buffer(out, parts[i].message);
  }
}

static void
again_core (uint64_t type, ab_slice_t payload, ab_buf_t *out) {
  ab_arena_t arena = {0};
  ab__sync_t sync;
  ab_request_t request;
  ab_proof_t proof;
  ab__no_data_t no_data;
  ab__want_t want;
  ab__bits_t bits;
  ab__range_msg_t range;
  ab__extension_t extension;
  uint64_t id;
  switch (type) {
  case AB__SYNC:
    if (check_err("sync", 0, ab__sync_decode(payload, &sync))) ab__sync_encode(out, &sync);
    break;
  case AB__REQUEST:
    if (check_err("request", 0, ab_request_decode(payload, &request))) ab_request_encode(out, &request);
    break;
  case AB__CANCEL:
    if (check_err("cancel", 0, ab__cancel_decode(payload, &id))) ab__cancel_encode(out, id);
    break;
  case AB__DATA:
    if (check_err("data", 0, ab_proof_decode(payload, &arena, &proof))) ab_proof_encode(out, &proof);
    break;
  case AB__NO_DATA:
    if (check_err("no data", 0, ab__no_data_decode(payload, &no_data))) ab__no_data_encode(out, &no_data);
    break;
  case AB__WANT:
  case AB__UNWANT:
    if (check_err("want", 0, ab__want_decode(payload, &want))) ab__want_encode(out, &want);
    break;
  case AB__BITFIELD:
    if (check_err("bitfield", 0, ab__bits_decode(payload, &bits))) ab__bits_encode(out, &bits);
    break;
  case AB__RANGE:
    if (check_err("range", 0, ab__range_decode(payload, &range))) ab__range_encode(out, &range);
    break;
  case AB__EXTENSION:
    if (check_err("extension", 0, ab__extension_decode(payload, &extension)))
      ab__extension_encode(out, &extension);
    break;
  default:
    vectors_fail("message type %d", (int) type);
  }
  ab_arena_destroy(&arena);
}

static void
again_wakeup (uint64_t type, ab_slice_t payload, ab_buf_t *out) {
  ab__lookup_t lookup;
  ab_reader_t in;
  size_t count;
  bool active;
  switch (type) {
  case AB__LOOKUP:
    if (check_err("lookup", 0, ab__lookup_decode(payload, &lookup))) ab__lookup_encode(out, &lookup);
    break;
  case AB__ANNOUNCE:
    if (!check_err("announce", 0, ab__announce_decode(payload, &in, &count))) break;
    ab_head_t *heads = calloc(count + 1, sizeof(*heads));
    for (size_t i = 0; i < count; i++) ab__announce_read(&in, &heads[i]);
    ab__announce_encode(out, heads, count);
    free(heads);
    break;
  case AB__INFO:
    if (check_err("info", 0, ab__info_decode(payload, &active))) ab__info_encode(out, active);
    break;
  default:
    vectors_fail("wakeup message type %d", (int) type);
  }
}

/* A control message; opens and closes are entered into the table. */
static void
again_control (table_t *table, int side, ab_slice_t message, ab_buf_t *out) {
  ab_reader_t in = ab_reader(message);
  ab_buf_t handshake = {0}, framed = {0};
  uint64_t type = ab_read_uint(&in), id = ab_read_uint(&in);
  if (type != 1) {
    if (type == 2) ab__mux_write_reject(&framed, id);
    else ab__mux_write_close(&framed, id);
    if (type == 3 && id < CHANNELS_MAX) table->channels[side][id].talk = TALK_NONE;
  } else {
    ab_slice_t protocol = ab_read_buffer(&in), name = ab_read_buffer(&in);
    ab_slice_t rest = ab_slice(in.at, ab_reader_left(&in));
    talk_t talk = TALK_OTHER;
    if (ab_slice_equal(protocol, ab_text(AB__CORE_PROTOCOL))) {
      ab__core_handshake_t core;
      talk = TALK_CORE;
      check_err("handshake", 0, ab__core_handshake_decode(rest, &core));
      ab__core_handshake_encode(&handshake, &core);
    } else if (ab_slice_equal(protocol, ab_text(AB__WAKEUP_PROTOCOL))) {
      ab__wakeup_handshake_t wakeup;
      talk = TALK_WAKEUP;
      check_err("handshake", 0, ab__wakeup_handshake_decode(rest, &wakeup));
      ab__wakeup_handshake_encode(&handshake, &wakeup);
    } else {
      ab_buf_append(&handshake, rest);
    }
    if (check_that(id > 0 && id < CHANNELS_MAX)) {
      table->channels[side][id].talk = talk;
      if (name.len == 32) memcpy(table->channels[side][id].id, name.data, 32);
    }
    ab__mux_write_open(&framed, id, protocol, name, ab_buf_slice(&handshake));
  }
  check_err("control", 0, in.err);
  ab_buf_append(out, ab_slice(framed.data + 1, framed.len - 1)); /* less the channel */
  ab_buf_destroy(&handshake);
  ab_buf_destroy(&framed);
}

static int
side_of (const json_t *event) {
  return strcmp(vectors_get_text(event, "from"), sides[1]) == 0;
}

static void
run_events (const json_t *root) {
  table_t table = {0};
  size_t i;
  json_t *event;
  vectors_begin(NULL, "events", "frames");
  json_array_foreach(vectors_get(root, "events"), i, event) {
    static part_t parts[1024], made[1024];
    ab_buf_t buffers[1024] = {{0}}, out = {0};
    bool is_batch;
    if (!vectors_has(event, "frame")) continue;
    int side = side_of(event);
    ab_slice_t frame = vectors_get_bytes(event, "frame");
    size_t count = split(frame, parts, 1024, &is_batch);
    check_uint("items", json_array_size(vectors_get(event, "items")), count);
    for (size_t j = 0; j < count; j++) {
      ab_reader_t in = ab_reader(parts[j].message);
      uint64_t channel = parts[j].channel;
      if (channel == 0) {
        again_control(&table, side, parts[j].message, &buffers[j]);
      } else if (check_that(channel < CHANNELS_MAX)) {
        uint64_t type = ab_read_uint(&in);
        ab_slice_t payload = ab_slice(in.at, ab_reader_left(&in));
        ab_write_uint(&buffers[j], type);
        talk_t talk = table.channels[side][channel].talk;
        if (talk == TALK_CORE) again_core(type, payload, &buffers[j]);
        else if (talk == TALK_WAKEUP) again_wakeup(type, payload, &buffers[j]);
        else ab_buf_append(&buffers[j], payload);
      }
      made[j] = (part_t){channel, ab_buf_slice(&buffers[j])};
    }
    join(made, count, is_batch, &out);
    check_bytes("frame", frame, ab_buf_slice(&out));
    for (size_t j = 0; j < count; j++) ab_buf_destroy(&buffers[j]);
    ab_buf_destroy(&out);
  }
}

/* ---- wire ---- */

static void
handshake_of (const json_t *connection, ab__noise_t noise[2], ab_buf_t wire[2]) {
  for (int side = 0; side < 2; side++) {
    ab_key_pair_t s, e;
    ab_key_pair_from_seed(&s, vectors_get_bytes(vectors_get(connection, "staticSeeds"), sides[side]).data);
    ab_key_pair_from_seed(&e, vectors_get_bytes(vectors_get(connection, "ephemeralSeeds"), sides[side]).data);
    ab__noise_init(&noise[side], side == 0, &s, &e);
  }
  for (int step = 0; step < 3; step++) {
    int from = step == 1;
    ab_buf_t message = {0};
    check_err("write", 0, ab__noise_write(&noise[from], ab_slice(NULL, 0), &message));
    check_err("read", 0, ab__noise_read(&noise[1 - from], ab_buf_slice(&message)));
    ab__frame_write(&wire[from], ab_buf_slice(&message));
    ab_buf_destroy(&message);
  }
}

static void
run_wire (const json_t *root) {
  const json_t *connection = vectors_get(root, "connection");
  ab__noise_t noise[2];
  ab_buf_t wire[2] = {{0}};
  ab__cipher_t cipher[2];
  size_t i;
  json_t *event;
  vectors_begin(NULL, "wire", "both sides");
  handshake_of(connection, noise, wire);
  ab_slice_t hash = vectors_get_bytes(connection, "handshakeHash");
  check_bytes("hash", hash, ab_slice(ab__noise_hash(&noise[0]), 64));
  for (int side = 0; side < 2; side++) {
    uint8_t id[32];
    const uint8_t *header = vectors_get_bytes(vectors_get(connection, "headers"), sides[side]).data;
    ab__stream_id(id, hash.data, side == 0);
    ab__header_write(&wire[side], id, header);
    ab__cipher_init(&cipher[side], noise[side].tx, header);
  }
  json_array_foreach(vectors_get(root, "events"), i, event) {
    if (!vectors_has(event, "frame")) continue;
    int side = side_of(event);
    size_t begin = ab__seal_begin(&wire[side]);
    ab_buf_append(&wire[side], vectors_get_bytes(event, "frame"));
    check_err("seal", 0, ab__seal_end(&cipher[side], &wire[side], begin));
  }
  for (int side = 0; side < 2; side++) {
    check_bytes(
      sides[side], vectors_get_bytes(vectors_get(root, "wire"), sides[side]), ab_buf_slice(&wire[side])
    );
    ab_buf_destroy(&wire[side]);
  }
}

/* ---- cores ---- */

/* A core of one side, if it can be rebuilt; else NULL. */
typedef struct {
  ab_store_t *store;
  hypercore_t *core;
  ab_key_t key, discovery_key;
  bool is_owner;
  ab_reorg_t reorg;
  ab_arena_t reorg_arena;
  bool reorg_begun;
} actor_t;

#define ACTORS_MAX 4

typedef struct {
  int side;
  uint8_t discovery_key[32];
  uint64_t id;
  ab_slice_t request;
  bool cancelled;
} asked_t;

static ab_store_t *
new_store (void) {
  ab_store_t *store = NULL;
  char message[256] = "";
  if (!check_err("store", 0, ab_store_open(NULL, NULL, &store, message, sizeof(message)))) exit(1);
  return store;
}

static hypercore_t *
open_core (ab_store_t *store, const ab_key_t *key, const ab_key_pair_t *pair, ab_slice_t manifest) {
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core = NULL;
  options.key = key;
  options.key_pair = pair;
  options.manifest = manifest;
  check_err("open", 0, hypercore_open(store, &options, &core));
  return core;
}

static size_t
block_count (const json_t *item) {
  return json_object_size(vectors_get(item, "blocks"));
}

/* All blocks of the recorded state, under its fork. */
static bool
fill (hypercore_t *core, const json_t *item) {
  uint64_t length = vectors_get_uint(item, "length"), fork = vectors_get_uint(item, "fork");
  if (block_count(item) != length) return false;
  if (fork > 0) check_err("fork", 0, hypercore_truncate(core, 0, fork));
  for (uint64_t i = 0; i < length; i++) {
    char index[24];
    snprintf(index, sizeof(index), "%d", (int) i);
    ab_slice_t block = vectors_get_bytes(vectors_get(item, "blocks"), index);
    if (!check_err("append", 0, hypercore_append(core, &block, 1, NULL))) return false;
  }
  check_err("commit", 0, ab_store_commit(hypercore_store(core)));
  return true;
}

static ab_slice_t
manifest_of (const json_t *item) {
  return vectors_has(item, "manifest") ? vectors_get_bytes(item, "manifest") : ab_slice(NULL, 0);
}

static void
check_state (const json_t *item, hypercore_t *core) {
  uint8_t hash[32];
  ab_slice_t signature;
  const char *index;
  json_t *block;
  check_uint("length", vectors_get_uint(item, "length"), hypercore_length(core));
  check_uint("fork", vectors_get_uint(item, "fork"), hypercore_fork(core));
  check_uint("byteLength", vectors_get_uint(item, "byteLength"), hypercore_byte_length(core));
  check_uint("contiguous", vectors_get_uint(item, "contiguousLength"), hypercore_contiguous_length(core));
  if (vectors_has(item, "treeHash") && hypercore_length(core) > 0) {
    check_err("tree hash", 0, hypercore_tree_hash(core, hypercore_length(core), hash));
    check_bytes("tree hash", vectors_get_bytes(item, "treeHash"), ab_slice(hash, 32));
  }
  if (vectors_has(item, "signature")) {
    check_err("signature", 0, hypercore_signature(core, &signature));
    check_bytes("signature", vectors_get_bytes(item, "signature"), signature);
  }
  json_object_foreach((json_t *) vectors_get(item, "blocks"), index, block) {
    ab_slice_t stored;
    if (check_err("block", 0, hypercore_get_stored(core, strtoull(index, NULL, 10), &stored))) {
      check_bytes("block", vectors_bytes(block), stored);
    }
  }
  uint64_t held = 0;
  for (uint64_t i = 0; i < hypercore_length(core); i++) held += hypercore_has(core, i, i + 1);
  check_uint("blocks held", block_count(item), held);
}

/* The owner of a recorded core, as it was in the beginning. */
static bool
make_owner (actor_t *actor, const json_t *item) {
  ab_key_pair_t pair;
  recorded_key_pair(item, "signerSeed", &pair);
  actor->is_owner = true;
  actor->store = new_store();
  actor->core = open_core(actor->store, &actor->key, &pair, manifest_of(item));
  if (actor->core == NULL || !fill(actor->core, item)) {
    ab_store_close(actor->store);
    *actor = (actor_t){0};
    return false;
  }
  check_state(item, actor->core);
  return true;
}

/* A reader that already has something got it from the owner of that state. */
static void
make_reader (actor_t *actor, const json_t *item, const json_t *owner) {
  actor->store = new_store();
  actor->core = open_core(actor->store, &actor->key, NULL, ab_slice(NULL, 0));
  if (item == NULL || vectors_get_uint(item, "length") == 0) return;
  ab_store_t *store = new_store();
  ab_key_pair_t pair;
  recorded_key_pair(owner, "signerSeed", &pair);
  hypercore_t *source = open_core(store, &actor->key, &pair, manifest_of(item));
  fill(source, item);
  check_err("pull", 0, hypercore_pull(actor->core, source, 0, 0, UINT64_MAX));
  check_err("commit", 0, ab_store_commit(actor->store));
  ab_store_close(store);
  check_state(item, actor->core);
}

static const json_t *
item_of (const json_t *list, const ab_key_t *key) {
  size_t i;
  json_t *item;
  if (!json_is_array(list)) return NULL;
  json_array_foreach(list, i, item) {
    ab_key_t own;
    vectors_get_key(item, "key", &own);
    if (ab_key_equal(&own, key)) return item;
  }
  return NULL;
}

static actor_t *
actor_of (actor_t actors[ACTORS_MAX], const uint8_t discovery_key[32]) {
  for (int i = 0; i < ACTORS_MAX; i++) {
    if (actors[i].core != NULL && memcmp(actors[i].discovery_key.bytes, discovery_key, 32) == 0)
      return &actors[i];
  }
  return NULL;
}

static void
act (actor_t actors[ACTORS_MAX], const json_t *action) {
  ab_key_t key, discovery_key;
  size_t i;
  json_t *block;
  vectors_get_key(action, "core", &key);
  ab_discovery_key(&discovery_key, &key);
  actor_t *actor = actor_of(actors, discovery_key.bytes);
  if (actor == NULL) return;
  if (vectors_has(action, "truncate")) {
    check_err("truncate", 0, hypercore_truncate(actor->core, vectors_get_uint(action, "truncate"), 0));
  } else if (vectors_has(action, "clear")) {
    uint64_t at = vectors_get_uint(action, "clear");
    check_err("clear", 0, hypercore_clear(actor->core, at, at + 1));
  } else {
    json_array_foreach(vectors_get(action, "append"), i, block) {
      ab_slice_t bytes = vectors_bytes(block);
      check_err("append", 0, hypercore_append(actor->core, &bytes, 1, NULL));
    }
  }
  check_err("commit", 0, ab_store_commit(actor->store));
}

static void
check_answer (actor_t *owner, ab_slice_t request, ab_slice_t data) {
  ab_request_t decoded;
  ab_arena_t arena = {0};
  ab_proof_t proof;
  ab_buf_t out = {0};
  check_err("request", 0, ab_request_decode(request, &decoded));
  if (check_err("prove", 0, hypercore_prove(owner->core, &decoded, &arena, &proof))) {
    ab_proof_encode(&out, &proof);
    check_bytes("answer", data, ab_buf_slice(&out));
  }
  ab_buf_destroy(&out);
  ab_arena_destroy(&arena);
}

static void
take_reorg (actor_t *reader, const ab_proof_t *proof) {
  bool accepted = true;
  int err;
  if (!reader->reorg_begun)
    err = hypercore_reorg_begin(reader->core, proof, &reader->reorg_arena, &reader->reorg);
  else err = hypercore_reorg_continue(reader->core, &reader->reorg, proof, &accepted);
  if (!check_err("reorg", 0, err) || !check_that(accepted)) return;
  reader->reorg_begun = true;
  if (!reader->reorg.done) return;
  check_err("reorg", 0, hypercore_reorg(reader->core, &reader->reorg));
  ab_arena_destroy(&reader->reorg_arena);
  reader->reorg_begun = false;
}

static void
take_data (actor_t *reader, ab_slice_t data) {
  ab_arena_t arena = {0};
  ab_proof_t proof;
  ab_proof_outcome_t outcome;
  if (check_err("data", 0, ab_proof_decode(data, &arena, &proof))) {
    if (proof.fork > hypercore_fork(reader->core)) take_reorg(reader, &proof);
    else check_err("apply", 0, hypercore_apply_proof(reader->core, &proof, &outcome));
    check_err("commit", 0, ab_store_commit(reader->store));
  }
  ab_arena_destroy(&arena);
}

/* Go through the events with the owners or with the readers. */
static void
replay (const json_t *root, actor_t actors[2][ACTORS_MAX], bool owners) {
  static asked_t asked[4096];
  size_t asked_count = 0, i;
  table_t table = {0};
  json_t *event;
  json_array_foreach(vectors_get(root, "events"), i, event) {
    static part_t parts[1024];
    bool is_batch;
    if (!vectors_has(event, "frame")) {
      if (!owners || !vectors_has(event, "action")) continue;
      for (int side = 0; side < 2; side++) act(actors[side], vectors_get(event, "action"));
      continue;
    }
    int side = side_of(event);
    size_t count = split(vectors_get_bytes(event, "frame"), parts, 1024, &is_batch);
    for (size_t j = 0; j < count; j++) {
      ab_reader_t in = ab_reader(parts[j].message);
      uint64_t channel = parts[j].channel, id;
      if (channel == 0) {
        ab_buf_t unused = {0};
        again_control(&table, side, parts[j].message, &unused);
        ab_buf_destroy(&unused);
        continue;
      }
      if (table.channels[side][channel].talk != TALK_CORE) continue;
      const uint8_t *discovery_key = table.channels[side][channel].id;
      uint64_t type = ab_read_uint(&in);
      ab_slice_t payload = ab_slice(in.at, ab_reader_left(&in));
      if (type == AB__REQUEST && asked_count < 4096) {
        ab_request_t request;
        ab_request_decode(payload, &request);
        asked[asked_count] = (asked_t){.side = side, .id = request.id, .request = payload};
        memcpy(asked[asked_count++].discovery_key, discovery_key, 32);
      }
      if (type != AB__CANCEL && type != AB__DATA) continue;
      /* cancel: uint id; data: uint flags, uint id */
      if (type == AB__DATA) ab_read_uint(&in);
      id = ab_read_uint(&in);
      int asker = type == AB__DATA ? 1 - side : side;
      asked_t *found = NULL;
      for (size_t k = asked_count; k > 0 && found == NULL; k--) {
        asked_t *at = &asked[k - 1];
        if (at->side == asker && at->id == id && memcmp(at->discovery_key, discovery_key, 32) == 0)
          found = at;
      }
      if (found == NULL) continue;
      if (type == AB__CANCEL) {
        found->cancelled = true;
        continue;
      }
      actor_t *actor = actor_of(actors[owners ? side : 1 - side], discovery_key);
      if (actor == NULL || actor->is_owner != owners) continue;
      if (owners) check_answer(actor, found->request, payload);
      else if (!found->cancelled) take_data(actor, payload);
    }
  }
}

static void
run_owners (const json_t *root) {
  const json_t *setup = vectors_get(root, "setup");
  actor_t actors[2][ACTORS_MAX] = {0};
  bool any = false;
  vectors_begin(NULL, "setup", "owners");
  for (int side = 0; side < 2; side++) {
    const json_t *list = json_object_get(setup, sides[side]);
    size_t i, made = 0;
    json_t *item;
    if (json_is_array(list)) {
      json_array_foreach(list, i, item) {
        if (!vectors_has(item, "signerSeed") || made == ACTORS_MAX) continue;
        vectors_get_key(item, "key", &actors[side][made].key);
        ab_discovery_key(&actors[side][made].discovery_key, &actors[side][made].key);
        if (make_owner(&actors[side][made], item)) made++;
      }
    } else if (json_is_string(list) && vectors_has(setup, "signerSeed") && side == 1) {
      /* made later, empty until the recorded action */
      ab_key_pair_t pair;
      actor_t *actor = &actors[side][made++];
      recorded_key_pair(setup, "signerSeed", &pair);
      vectors_get_key(setup, "key", &actor->key);
      ab_discovery_key(&actor->discovery_key, &actor->key);
      actor->is_owner = true;
      actor->store = new_store();
      actor->core = open_core(actor->store, &actor->key, &pair, ab_slice(NULL, 0));
    }
    any = any || made > 0;
  }
  if (any) replay(root, actors, true);
  for (int side = 0; side < 2; side++) {
    const json_t *list = json_object_get(vectors_get(root, "final"), sides[side]);
    for (int i = 0; i < ACTORS_MAX; i++) {
      actor_t *actor = &actors[side][i];
      if (actor->core == NULL) continue;
      const json_t *final = item_of(list, &actor->key);
      if (final != NULL) check_state(final, actor->core);
      ab_store_close(actor->store);
    }
  }
}

static void
run_readers (const json_t *root) {
  const json_t *setup = vectors_get(root, "setup"), *final = vectors_get(root, "final");
  actor_t actors[2][ACTORS_MAX] = {0};
  vectors_begin(NULL, "final", "readers");
  for (int side = 0; side < 2; side++) {
    const json_t *list = json_object_get(final, sides[side]);
    const json_t *own = json_object_get(setup, sides[side]), *other = json_object_get(setup, sides[1 - side]);
    size_t i, made = 0;
    json_t *item;
    if (!json_is_array(list)) continue;
    json_array_foreach(list, i, item) {
      ab_key_t key;
      vectors_get_key(item, "key", &key);
      const json_t *begin = item_of(own, &key);
      const json_t *owner = item_of(other, &key);
      if ((begin != NULL && vectors_has(begin, "signerSeed")) || made == ACTORS_MAX) continue;
      if (begin != NULL && (owner == NULL || !vectors_has(owner, "signerSeed"))) continue; /* who made it? */
      if (begin == NULL && !json_is_string(own)) continue;
      if (side == 1 && json_is_string(own) && vectors_has(setup, "signerSeed"))
        continue; /* the owner, later */
      actor_t *actor = &actors[side][made++];
      actor->key = key;
      ab_discovery_key(&actor->discovery_key, &key);
      make_reader(actor, begin, owner);
    }
  }
  replay(root, actors, false);
  for (int side = 0; side < 2; side++) {
    for (int i = 0; i < ACTORS_MAX; i++) {
      actor_t *actor = &actors[side][i];
      if (actor->core == NULL) continue;
      check_state(item_of(json_object_get(final, sides[side]), &actor->key), actor->core);
      ab_arena_destroy(&actor->reorg_arena);
      ab_store_close(actor->store);
    }
  }
}

static void
run_transcript (const char *file, json_t *root) {
  (void) file;
  run_events(root);
  run_wire(root);
  run_owners(root);
  run_readers(root);
}

int
main (int argc, char **argv) {
  static const vectors_runner_t runners[] = {{"transcripts/*.json", run_transcript}};
  ab_crypto_init();
  return vectors_main(argc, argv, "replication", runners, sizeof(runners) / sizeof(*runners));
}

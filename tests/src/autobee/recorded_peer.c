#include "recorded_peer.h"

#include <stdio.h>

#include "hypercore/crypto.h"

void
recorded_hex (char *out, const void *bytes, size_t len) {
  for (size_t i = 0; i < len; i++) sprintf(out + 2 * i, "%02x", ((const uint8_t *) bytes)[i]);
  out[2 * len] = 0;
}

bool
recorded_ok (const char *what, int err) {
  if (err == 0) return true;
  vectors_fail("%s: %s", what, ab_strerror(err));
  return false;
}

recorded_peer_t *
recorded_find (recorded_world_t *world, const char *name) {
  for (size_t i = 0; i < world->peer_count; i++) {
    if (strcmp(world->peers[i].name, name) == 0) return &world->peers[i];
  }
  vectors_fail("no peer %s", name);
  return NULL;
}

bool
recorded_step_is (const json_t *step, const char *op) {
  return strcmp(vectors_get_text(step, "op"), op) == 0;
}

/* ---- peers ---- */

static void
on_event (autobee_t *db, const autobee_event_t *event, void *data) {
  recorded_peer_t *peer = data;
  (void) db;
  const char *name = NULL;
  if (event->kind == AUTOBEE_EVENT_WRITABLE) name = "writable";
  if (event->kind == AUTOBEE_EVENT_UNWRITABLE) name = "unwritable";
  if (event->kind == AUTOBEE_EVENT_ROTATED) name = "rotate-local-writer";
  if (event->kind == AUTOBEE_EVENT_MOVED) name = "move-to";
  if (event->kind == AUTOBEE_EVENT_INTERRUPTED) name = "interrupt";
  if (name != NULL) json_array_append_new(peer->events, json_string(name));
}

bool
recorded_open_store (recorded_world_t *world, recorded_peer_t *peer) {
  ab_store_options_t options = ab_store_options_default();
  char message[256];
  options.relaxed = true;
  options.manifest_version = (uint32_t) vectors_get_uint(world->root, "manifestVersion");
  options.primary_key = &peer->primary_key;
  options.env = &world->env;
  int err =
    ab_store_open(peer->is_reopened ? peer->dir : NULL, &options, &peer->store, message, sizeof(message));
  if (err < 0) vectors_fail("%s: store: %s", peer->name, message);
  return err == 0;
}

bool
recorded_open_database (recorded_world_t *world, recorded_peer_t *peer) {
  autobee_options_t options = autobee_options_default();
  ab_key_t secret;
  options.apply = json_v1_apply;
  options.apply_data = &peer->apply;
  options.stop_on_error = true;
  options.conformance = world->conformance;
  options.on_event = on_event;
  options.event_data = peer;
  options.store_encryption_key = true;
  options.readable_views = true;
  if (vectors_has(world->root, "encryptionKey")) {
    vectors_get_key(world->root, "encryptionKey", &secret);
    options.encryption_key = &secret;
  }
  if (peer->has_pair) options.key_pair = &peer->pair;
  int err = autobee_open(peer->store, peer->has_key ? &peer->key : NULL, &options, &peer->db);
  if (err < 0) {
    vectors_fail("%s: open: %s (%s)", peer->name, ab_strerror(err), ab_store_errmsg(peer->store));
    return false;
  }
  peer->db->no_shortening = true;
  peer->db->no_kept_testimony = true;
  peer->db->stamp_now_ms = peer->now;
  if (vectors_has(world->root, "trusted")) {
    json_t *trusted = vectors_get(world->root, "trusted");
    if (strcmp(vectors_get_text(trusted, "peer"), peer->name) == 0) {
      peer->db->has_trusted = true;
      vectors_get_key(trusted, "key", &peer->db->trusted.key);
      peer->db->trusted.length = vectors_get_uint(trusted, "length");
    }
  }
  return true;
}

void
recorded_close (recorded_peer_t *peer) {
  if (peer->db != NULL) recorded_ok("close", autobee_close(peer->db));
  if (peer->store != NULL) recorded_ok("close store", ab_store_close(peer->store));
  peer->db = NULL;
  peer->store = NULL;
}

/* Drain until three drains in a row change nothing. */
int
recorded_settle (recorded_peer_t *peer) {
  ab_head_t seen = {0};
  uint64_t seen_local = UINT64_MAX;
  for (int quiet = 0, rounds = 0; quiet < 3; rounds++) {
    int err = autobee_update(peer->db);
    if (err < 0) return err;
    if (rounds > 1000) {
      vectors_fail("%s: does not come to rest", peer->name);
      return 0;
    }
    ab_head_t head = peer->db->system.head;
    uint64_t local = hypercore_length(peer->db->local->core);
    quiet = ab_head_equal(&head, &seen) && local == seen_local ? quiet + 1 : 0;
    seen = head;
    seen_local = local;
  }
  return 0;
}

void
recorded_add (recorded_world_t *world, json_t *file) {
  recorded_peer_t *peer = &world->peers[world->peer_count++];
  peer->name = vectors_get_text(file, "name");
  peer->file = file;
  peer->events = json_array();
  peer->now = 1700000000000;
  tmpdir_path(peer->dir, world->dir, peer->name);
  size_t i;
  json_t *step;
  json_array_foreach(vectors_get(world->root, "steps"), i, step) {
    bool reopens = recorded_step_is(step, "restart") || json_object_get(step, "fails") != NULL;
    if (reopens && strcmp(vectors_get_text(step, "peer"), peer->name) == 0) peer->is_reopened = true;
  }
  vectors_get_key(file, "primaryKey", &peer->primary_key);
  if (vectors_has(file, "keyPairSeed")) {
    ab_key_t seed;
    vectors_get_key(file, "keyPairSeed", &seed);
    ab_key_pair_from_seed(&peer->pair, seed.bytes);
    peer->has_pair = true;
  }
  peer->apply.is_seen = strcmp(vectors_get_text(world->root, "apply"), "json-v1-seen") == 0;
}

/* ---- handing over blocks ---- */

/* A core of a peer that has it: its store, opened anew so that ciphers are out of the way, is not touched;
 * the blocks are copied as they are stored into a store that can sign them at exactly this length. */
typedef struct {
  ab_store_t *store;
  hypercore_t *core;
} source_t;

static bool
open_named (
  recorded_world_t *world, source_t *source, const ab_key_t *primary, const hypercore_options_t *named
) {
  ab_store_options_t options = ab_store_options_default();
  options.manifest_version = (uint32_t) vectors_get_uint(world->root, "manifestVersion");
  options.primary_key = primary;
  options.env = &world->env;
  if (!recorded_ok("memory store", ab_store_open(NULL, &options, &source->store, NULL, 0))) return false;
  return recorded_ok("core to sign", hypercore_open(source->store, named, &source->core));
}

static void
close_source (source_t *source) {
  if (source->core != NULL) hypercore_close(source->core);
  if (source->store != NULL) ab_store_close(source->store);
  memset(source, 0, sizeof(*source));
}

/* Is it one of the cores that the file lists for the peer? */
static bool
is_named_by (const recorded_peer_t *peer, const ab_key_t *key) {
  const char *name;
  json_t *core;
  char text[65];
  size_t i;
  recorded_hex(text, key->bytes, 32);
  json_object_foreach(vectors_get(peer->file, "cores"), name, core) {
    if (strcmp(vectors_get_text(core, "key"), text) == 0) return true;
  }
  json_array_foreach(vectors_get(peer->file, "retired"), i, core) {
    if (strcmp(vectors_get_text(core, "key"), text) == 0) return true;
  }
  return false;
}

/* The core `key` of the store that `primary` and `pair` make, if one of their names gives it. */
static bool
find_source (
  recorded_world_t *world,
  const ab_key_t *key,
  const ab_key_t *primary,
  const recorded_peer_t *peer,
  source_t *out
) {
  static const char *const names[] = {"local", "second", "bee", "bee"};
  static const char *const spaces[] = {NULL, NULL, "system", "view"};
  if (peer != NULL && !is_named_by(peer, key)) return false;
  for (size_t i = 0; i < 5; i++) {
    hypercore_options_t options = hypercore_options_default();
    ab_key_t ns;
    if (i < 4) {
      options.name = ab_text(names[i]);
      if (spaces[i] != NULL) {
        corestore_namespace(NULL, ab_text(spaces[i]), &ns);
        options.namespace_key = &ns;
      }
    } else {
      if (peer == NULL || !peer->has_pair) continue;
      options.key_pair = &peer->pair;
    }
    if (open_named(world, out, primary, &options) && ab_key_equal(hypercore_key(out->core), key)) return true;
    close_source(out);
  }
  return false;
}

static bool
fill_from_peer (recorded_peer_t *peer, const ab_key_t *key, uint64_t length, source_t *source) {
  bool was_open = peer->store != NULL;
  if (!was_open) return false;
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core;
  options.key = key;
  if (!recorded_ok("core of the sender", hypercore_open(peer->store, &options, &core))) return false;
  int err = 0;
  for (uint64_t i = 0; i < length && err == 0; i++) {
    ab_slice_t block;
    err = hypercore_get_stored(core, i, &block);
    if (err == 0) err = hypercore_append(source->core, &block, 1, NULL);
  }
  hypercore_close(core);
  return recorded_ok("blocks of the sender", err);
}

static bool
fill_scripted (const json_t *blocks, uint64_t length, source_t *source) {
  for (size_t i = 0; i < length; i++) {
    ab_slice_t block = vectors_bytes(json_array_get(blocks, i));
    if (!recorded_ok("scripted block", hypercore_append(source->core, &block, 1, NULL))) return false;
  }
  return true;
}

static bool
make_source (recorded_world_t *world, const ab_key_t *key, uint64_t length, source_t *out) {
  char text[65];
  recorded_hex(text, key->bytes, 32);
  bool filled = false;
  memset(out, 0, sizeof(*out));
  for (size_t i = 0; i < world->peer_count && !filled; i++) {
    recorded_peer_t *peer = &world->peers[i];
    if (!find_source(world, key, &peer->primary_key, peer, out)) continue;
    filled = fill_from_peer(peer, key, length, out);
    if (!filled) return false;
  }
  size_t i;
  json_t *item;
  json_array_foreach(vectors_get(world->root, "scripted"), i, item) {
    if (filled) break;
    ab_key_t primary;
    vectors_get_key(item, "primaryKey", &primary);
    if (!find_source(world, key, &primary, NULL, out)) continue;
    filled = fill_scripted(json_object_get(world->scripted, text), length, out);
  }
  if (!filled) {
    vectors_fail("nobody has core %s", text);
    return false;
  }
  return recorded_ok("signing", ab_store_commit(out->store));
}

bool
recorded_receive (recorded_world_t *world, recorded_peer_t *to, const ab_key_t *key, uint64_t length) {
  source_t source;
  if (!make_source(world, key, length, &source)) {
    close_source(&source);
    return false;
  }
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core;
  options.key = key;
  bool done = recorded_ok("core of the receiver", hypercore_open(to->store, &options, &core));
  if (done) {
    uint64_t have = hypercore_length(core);
    done = recorded_ok("pull", hypercore_pull(core, source.core, length, have, length));
    if (done) done = check_uint("delivered", length, hypercore_length(core));
    hypercore_close(core);
  }
  close_source(&source);
  return done;
}

#include "recorded_world.h"

#include <stdio.h>
#include <stdlib.h>

#include "autobee/cores.h"
#include "autobee/drain.h"
#include "autobee/engine.h"
#include "autobee/forward.h"
#include "autobee/writer.h"
#include "hypercore/crypto.h"
#include "hypercore/encoding.h"
#include "support/json_v1.h"
#include "support/tmpdir.h"

#define WALL_CLOCK 1790000000000ull /* 2026; far from all stamps */
#define PEERS_MAX 16

typedef struct {
  const char *name;
  json_t *file; /* of peers[] */
  char dir[TMPDIR_MAX];
  ab_store_t *store;
  autobee_t *db;
  bool has_key; /* the database is opened by key */
  ab_key_t key;
  bool has_pair;
  ab_key_pair_t pair;
  ab_key_t primary_key;
  uint64_t now;
  json_v1_t apply;
  json_t *events;
  bool is_skipped;
  bool is_reopened; /* by a step: its store has to be on disk */
  bool has_failed;
} peer_t;

typedef struct {
  const char *file;
  json_t *root;
  json_t *expected; /* the file that says what happens; mostly root itself */
  bool conformance;
  bool raw_nodes;
  bool queue_limits;
  char dir[TMPDIR_MAX];
  peer_t peers[PEERS_MAX];
  size_t peer_count;
  json_t *scripted; /* writer key → array of blocks as hex */
  uint64_t clock;
  ab_env_t env;
} world_t;

/* ---- small helpers ---- */

static void
hex (char *out, const void *bytes, size_t len) {
  for (size_t i = 0; i < len; i++) sprintf(out + 2 * i, "%02x", ((const uint8_t *) bytes)[i]);
  out[2 * len] = 0;
}

static uint64_t
clock_ms (void *data) {
  world_t *world = data;
  return world->clock++;
}

static void
no_chance (void *data, uint8_t *out, size_t len) {
  (void) data;
  memset(out, 7, len);
}

static bool
ok (const char *what, int err) {
  if (err == 0) return true;
  vectors_fail("%s: %s", what, ab_strerror(err));
  return false;
}

static peer_t *
find_peer (world_t *world, const char *name) {
  for (size_t i = 0; i < world->peer_count; i++) {
    if (strcmp(world->peers[i].name, name) == 0) return &world->peers[i];
  }
  vectors_fail("no peer %s", name);
  return NULL;
}

static bool
step_is (const json_t *step, const char *op) {
  return strcmp(vectors_get_text(step, "op"), op) == 0;
}

/* ---- peers ---- */

static void
on_event (autobee_t *db, const autobee_event_t *event, void *data) {
  peer_t *peer = data;
  (void) db;
  const char *name = NULL;
  if (event->kind == AUTOBEE_EVENT_WRITABLE) name = "writable";
  if (event->kind == AUTOBEE_EVENT_UNWRITABLE) name = "unwritable";
  if (event->kind == AUTOBEE_EVENT_ROTATED) name = "rotate-local-writer";
  if (event->kind == AUTOBEE_EVENT_MOVED) name = "move-to";
  if (event->kind == AUTOBEE_EVENT_INTERRUPTED) name = "interrupt";
  if (name != NULL) json_array_append_new(peer->events, json_string(name));
}

static bool
open_store (world_t *world, peer_t *peer) {
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

static bool
open_database (world_t *world, peer_t *peer) {
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

static void
close_peer (peer_t *peer) {
  if (peer->db != NULL) ok("close", autobee_close(peer->db));
  if (peer->store != NULL) ok("close store", ab_store_close(peer->store));
  peer->db = NULL;
  peer->store = NULL;
}

/* Drain until three drains in a row change nothing. */
static int
settle (peer_t *peer) {
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

static void
add_peer (world_t *world, json_t *file) {
  peer_t *peer = &world->peers[world->peer_count++];
  peer->name = vectors_get_text(file, "name");
  peer->file = file;
  peer->events = json_array();
  peer->now = 1700000000000;
  tmpdir_path(peer->dir, world->dir, peer->name);
  size_t i;
  json_t *step;
  json_array_foreach(vectors_get(world->root, "steps"), i, step) {
    bool reopens = step_is(step, "restart") || json_object_get(step, "fails") != NULL;
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
open_named (world_t *world, source_t *source, const ab_key_t *primary, const hypercore_options_t *named) {
  ab_store_options_t options = ab_store_options_default();
  options.manifest_version = (uint32_t) vectors_get_uint(world->root, "manifestVersion");
  options.primary_key = primary;
  options.env = &world->env;
  if (!ok("memory store", ab_store_open(NULL, &options, &source->store, NULL, 0))) return false;
  return ok("core to sign", hypercore_open(source->store, named, &source->core));
}

static void
close_source (source_t *source) {
  if (source->core != NULL) hypercore_close(source->core);
  if (source->store != NULL) ab_store_close(source->store);
  memset(source, 0, sizeof(*source));
}

/* Is it one of the cores that the file lists for the peer? */
static bool
is_named_by (const peer_t *peer, const ab_key_t *key) {
  const char *name;
  json_t *core;
  char text[65];
  size_t i;
  hex(text, key->bytes, 32);
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
  world_t *world, const ab_key_t *key, const ab_key_t *primary, const peer_t *peer, source_t *out
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
fill_from_peer (peer_t *peer, const ab_key_t *key, uint64_t length, source_t *source) {
  bool was_open = peer->store != NULL;
  if (!was_open) return false;
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core;
  options.key = key;
  if (!ok("core of the sender", hypercore_open(peer->store, &options, &core))) return false;
  int err = 0;
  for (uint64_t i = 0; i < length && err == 0; i++) {
    ab_slice_t block;
    err = hypercore_get_stored(core, i, &block);
    if (err == 0) err = hypercore_append(source->core, &block, 1, NULL);
  }
  hypercore_close(core);
  return ok("blocks of the sender", err);
}

static bool
fill_scripted (const json_t *blocks, uint64_t length, source_t *source) {
  for (size_t i = 0; i < length; i++) {
    ab_slice_t block = vectors_bytes(json_array_get(blocks, i));
    if (!ok("scripted block", hypercore_append(source->core, &block, 1, NULL))) return false;
  }
  return true;
}

static bool
make_source (world_t *world, const ab_key_t *key, uint64_t length, source_t *out) {
  char text[65];
  hex(text, key->bytes, 32);
  bool filled = false;
  memset(out, 0, sizeof(*out));
  for (size_t i = 0; i < world->peer_count && !filled; i++) {
    peer_t *peer = &world->peers[i];
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
  return ok("signing", ab_store_commit(out->store));
}

static bool
receive (world_t *world, peer_t *to, const ab_key_t *key, uint64_t length) {
  source_t source;
  if (!make_source(world, key, length, &source)) {
    close_source(&source);
    return false;
  }
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core;
  options.key = key;
  bool done = ok("core of the receiver", hypercore_open(to->store, &options, &core));
  if (done) {
    uint64_t have = hypercore_length(core);
    done = ok("pull", hypercore_pull(core, source.core, length, have, length));
    if (done) done = check_uint("delivered", length, hypercore_length(core));
    hypercore_close(core);
  }
  close_source(&source);
  return done;
}

/* ---- comparing ---- */

typedef struct {
  json_t *nodes; /* [key, length, weight], newest first */
} order_t;

static int
see_node (void *data, const autobee_log_entry_t *entry) {
  order_t *order = data;
  char key[65];
  hex(key, entry->node.key.bytes, 32);
  json_array_insert_new(
    order->nodes, 0, json_pack("[s, I, I]", key, (json_int_t) entry->node.length, (json_int_t) entry->weight)
  );
  return entry->has_block ? 0 : AB_EREMOTE;
}

static void
check_order_hash (const json_t *order, const json_t *want) {
  ab_hasher_t hasher;
  uint8_t hash[32];
  size_t i;
  json_t *node;
  ab_hasher_init(&hasher);
  json_array_foreach(order, i, node) {
    char line[128];
    snprintf(
      line,
      sizeof(line),
      "%s.%lld.%lld\n",
      json_string_value(json_array_get(node, 0)),
      (long long) json_integer_value(json_array_get(node, 1)),
      (long long) json_integer_value(json_array_get(node, 2))
    );
    ab_hasher_update(&hasher, ab_text(line));
  }
  ab_hasher_final(&hasher, hash);
  check_bytes("orderHash", vectors_get_bytes(want, "orderHash"), ab_slice(hash, 32));
}

static void
check_head (const char *what, const json_t *want, const ab_head_t *found) {
  check_bytes(what, vectors_get_bytes(want, "key"), ab_key_slice(&found->key));
  check_uint(what, vectors_get_uint(want, "length"), found->length);
}

typedef struct {
  const json_t *want;
  size_t count;
} heads_t;

static int
see_head (void *data, const ab_head_t *head) {
  heads_t *heads = data;
  const json_t *want = json_array_get(heads->want, heads->count++);
  if (want != NULL) check_head("heads", want, head);
  return 0;
}

static void
check_json (const char *what, const json_t *want, const json_t *found) {
  if (json_equal(want, found)) return;
  char *a = json_dumps(want, JSON_COMPACT | JSON_ENCODE_ANY),
       *b = json_dumps(found, JSON_COMPACT | JSON_ENCODE_ANY);
  vectors_fail("%s\n  expected %.1500s\n  found    %.1500s", what, a, b);
  free(a);
  free(b);
}

static void
check_view_hash (peer_t *peer, const json_t *want) {
  autobee_view_t *view;
  uint8_t hash[32];
  if (!ok("view", autobee_view(peer->db, NULL, &view))) return;
  if (ok("view hash", autobee_view_hash(view, hash))) {
    check_bytes("viewHash", vectors_get_bytes(want, "viewHash"), ab_slice(hash, 32));
  }
  autobee_view_close(view);
}

/* Returns the order; the caller releases it. */
static json_t *
check_state (world_t *world, peer_t *peer, const json_t *want) {
  autobee_info_t info;
  order_t order = {json_array()};
  if (!ok("info", autobee_info(peer->db, &info))) return order.nodes;
  check_uint("writable", vectors_get_bool(want, "writable"), info.is_writable);
  check_head("local", vectors_get(want, "local"), &info.local);
  check_uint("flushes", vectors_get_uint(want, "flushes"), info.flushes);
  check_uint("timestamp", vectors_get_uint(want, "timestamp"), info.timestamp_ms);
  if (world->conformance) {
    check_head("system", vectors_get(want, "system"), &info.system);
    check_head("view", vectors_get(want, "view"), &info.view);
  }
  heads_t heads = {vectors_get(want, "heads"), 0};
  ok("heads", autobee_heads(peer->db, see_head, &heads));
  check_uint("count of heads", json_array_size(heads.want), heads.count);

  ok("order", autobee_log(peer->db, see_node, &order));
  check_order_hash(order.nodes, want);
  if (!(world->raw_nodes && strcmp(peer->name, "b") == 0)) check_view_hash(peer, want);
  return order.nodes;
}

static json_t *
dump_view (peer_t *peer) {
  json_t *dump = json_array();
  autobee_view_t *view;
  autobee_cursor_t *cursor;
  autobee_entry_t entry;
  if (!ok("view", autobee_view(peer->db, NULL, &view))) return dump;
  if (ok("cursor", autobee_cursor_open(view, NULL, &cursor))) {
    while (autobee_cursor_next(cursor, &entry) == 0) {
      char *key = malloc(2 * entry.key.len + 1), *value = malloc(2 * entry.value.len + 1);
      hex(key, entry.key.data, entry.key.len);
      hex(value, entry.value.data, entry.value.len);
      json_array_append_new(dump, json_pack("[s, s]", key, value));
      free(key);
      free(value);
    }
    autobee_cursor_close(cursor);
  }
  autobee_view_close(view);
  return dump;
}

static json_t *
dump_writers (peer_t *peer) {
  json_t *writers = json_array();
  bee_cursor_t *cursor;
  bee_entry_t entry;
  if (!ok("records", bee_cursor_open(peer->db->system.bee, NULL, &cursor))) return writers;
  while (bee_cursor_next(cursor, &entry) == 0) {
    ab_key_t key;
    record_writer_t record;
    char text[65];
    if (!autobee__record_is_writer_key(entry.key, &key)) continue;
    if (!ok("record", autobee__record_writer_decode(entry.value, &record))) continue;
    hex(text, key.bytes, 32);
    json_array_append_new(
      writers,
      json_pack(
        "{s:s, s:b, s:b, s:I, s:I, s:I, s:I, s:b, s:b, s:I}",
        "key",
        text,
        "isRemoved",
        record.is_removed,
        "isOplog",
        record.is_oplog,
        "weight",
        (json_int_t) record.weight,
        "maxWeight",
        (json_int_t) record.max_weight,
        "length",
        (json_int_t) record.length,
        "clock",
        (json_int_t) record.clock,
        "isGenesis",
        record.is_genesis,
        "isAnchor",
        record.is_anchor,
        "timestamp",
        (json_int_t) record.timestamp_ms
      )
    );
  }
  bee_cursor_close(cursor);
  return writers;
}

static void
check_user_data (world_t *world, const char *where, const json_t *want, hypercore_t *core) {
  static const char *const names[] = {"referrer", "autobee/local", "autobee/head", "autobee/encryption"};
  for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
    /* the secret is kept elsewhere */
    if (!world->conformance && (i == 2 || i == 3)) continue;
    const json_t *expected = json_object_get(want, names[i]);
    ab_slice_t found;
    int err = hypercore_user_data(core, names[i], &found);
    if (expected == NULL && err == AB_ENOTFOUND) continue;
    if (expected == NULL) {
      /* an artefact of the recording, see the README of the vectors */
      if (strcmp(world->file, "scenario-add-remove-readd.json") == 0) continue;
      vectors_fail("%s: unexpected user data %s", where, names[i]);
    } else if (err < 0) {
      if (strcmp(world->file, "scenario-add-remove-readd.json") == 0 && i == 0) continue;
      vectors_fail("%s: no user data %s", where, names[i]);
    } else {
      check_bytes(names[i], vectors_bytes(expected), found);
    }
  }
}

static void
check_final (world_t *world, peer_t *peer, const json_t *want) {
  json_t *order = check_state(world, peer, want);
  if (world->conformance && vectors_has(want, "info")) {
    check_head("info.view", vectors_get(vectors_get(want, "info"), "view"), &peer->db->system.view);
  }
  if (vectors_has(want, "order")) check_json("order", vectors_get(want, "order"), order);
  json_decref(order);
  if (vectors_has(want, "dump")) {
    const json_t *of = want;
    if (world->raw_nodes) of = vectors_get(vectors_get(world->expected, "final"), "a");
    json_t *dump = dump_view(peer);
    check_json("view", vectors_get(of, "dump"), dump);
    json_decref(dump);
  }
  if (vectors_has(want, "writers")) {
    json_t *writers = dump_writers(peer);
    check_json("records", vectors_get(want, "writers"), writers);
    json_decref(writers);
  }
  const json_t *data = vectors_get(want, "userData");
  check_user_data(world, "local", vectors_get(data, "local"), peer->db->local->core);
  check_user_data(world, "bootstrap", vectors_get(data, "bootstrap"), peer->db->bootstrap);
}

/* The message without what names system and view blocks. */
static bool
without_ranges (ab_slice_t block, ab_buf_t *out) {
  ab_arena_t arena = {0};
  oplog_message_t message;
  bool decoded = autobee__oplog_decode(block, &arena, &message) == 0;
  if (decoded) {
    message.system.start = message.system.length = message.view.start = message.view.length = 0;
    autobee__oplog_encode(out, &message);
  }
  ab_arena_destroy(&arena);
  return decoded;
}

static void
check_plain_block (world_t *world, const char *what, ab_slice_t want, ab_slice_t found) {
  if (world->conformance) {
    check_bytes(what, want, found);
    return;
  }
  ab_buf_t a = {0}, b = {0};
  if (without_ranges(want, &a) && without_ranges(found, &b)) {
    check_bytes(what, ab_buf_slice(&a), ab_buf_slice(&b));
  } else {
    vectors_fail("%s does not decode", what);
  }
  ab_buf_destroy(&a);
  ab_buf_destroy(&b);
}

static void
check_blocks (world_t *world, const char *what, const json_t *want, hypercore_t *core, bool is_log) {
  json_t *blocks = json_object_get(want, "blocks"), *stored = json_object_get(want, "stored");
  json_t *digests = json_object_get(want, "digests");
  uint64_t length = vectors_get_uint(want, "length");
  for (uint64_t i = 0; i < length && vectors_failed() < 20; i++) {
    char name[64];
    ab_slice_t block;
    snprintf(name, sizeof(name), "%s block %llu", what, (unsigned long long) i);
    if (blocks != NULL && ok(name, hypercore_get(core, i, &block))) {
      ab_slice_t expected = vectors_bytes(json_array_get(blocks, i));
      if (is_log) check_plain_block(world, name, expected, block);
      else check_bytes(name, expected, block);
    }
    if (!world->conformance || !ok(name, hypercore_get_stored(core, i, &block))) continue;
    if (stored != NULL) check_bytes(name, vectors_bytes(json_array_get(stored, i)), block);
    if (digests != NULL) {
      uint8_t hash[32];
      ab_hash(hash, &block, 1);
      check_bytes(name, vectors_bytes(json_array_get(digests, i)), ab_slice(hash, 8));
    }
  }
}

static void
check_core (world_t *world, const char *what, const json_t *want, hypercore_t *core, bool is_log) {
  check_bytes(what, vectors_get_bytes(want, "key"), ab_key_slice(hypercore_key(core)));
  check_bytes(what, vectors_get_bytes(want, "manifest"), hypercore_manifest(core));
  if (!world->conformance && !is_log) return;
  if (!check_uint(what, vectors_get_uint(want, "length"), hypercore_length(core))) return;
  check_blocks(world, what, want, core, is_log);
  if (!world->conformance) return;
  check_uint("fork", vectors_get_uint(want, "fork"), hypercore_fork(core));
  uint8_t hash[32];
  if (vectors_has(want, "treeHash") && ok(what, hypercore_tree_hash(core, hypercore_length(core), hash))) {
    check_bytes("treeHash", vectors_get_bytes(want, "treeHash"), ab_slice(hash, 32));
  }
}

static void
check_cores (world_t *world, peer_t *peer, const json_t *file) {
  const json_t *cores = vectors_get(file, "cores");
  check_core(world, "local", vectors_get(cores, "local"), peer->db->local->core, true);
  check_core(world, "system", vectors_get(cores, "system"), peer->db->system_core, false);
  if (!world->raw_nodes) check_core(world, "view", vectors_get(cores, "view"), peer->db->view_core, false);
  size_t i;
  json_t *retired;
  json_array_foreach(vectors_get(file, "retired"), i, retired) {
    ab_key_t key;
    hypercore_t *core;
    bool has = false;
    vectors_get_key(retired, "key", &key);
    if (!ok("retired", autobee__writer_core(peer->db, &key, &core))) continue;
    ok("cipher", autobee__writer_cipher(peer->db, core, &has));
    check_core(world, "retired", retired, core, true);
    hypercore_close(core);
  }
}

/* ---- steps ---- */

/* Append as the clock of the step says. */
static bool
queue (peer_t *peer, const json_t *values, bool optimistic, autobee_append_t *req) {
  ab_slice_t list[1100];
  size_t count = json_array_size(values);
  if (count > sizeof(list) / sizeof(*list)) return false;
  for (size_t i = 0; i < count; i++) list[i] = vectors_bytes(json_array_get(values, i));
  peer->db->stamp_now_ms = peer->now;
  int err = autobee_append_async(peer->db, req, list, count, optimistic ? AUTOBEE_OPTIMISTIC : 0, NULL);
  return ok("append", err);
}

static bool
check_stored (world_t *world, peer_t *peer, const json_t *want) {
  ab_key_t local_key = peer->db->local->key, system_key = *hypercore_key(peer->db->system_core);
  ab_key_t view_key = *hypercore_key(peer->db->view_core);
  close_peer(peer);
  if (!open_store(world, peer)) return false;
  const ab_key_t *keys[] = {&local_key, &system_key, &view_key};
  static const char *const names[] = {"local", "system", "view"};
  const json_t *cores = vectors_get(peer->file, "cores");
  bool ends_here = json_object_get(vectors_get(world->expected, "final"), peer->name) == NULL;
  for (size_t i = 0; i < 3; i++) {
    hypercore_options_t options = hypercore_options_default();
    hypercore_t *core;
    options.key = keys[i];
    if (!ok("stored core", hypercore_open(peer->store, &options, &core))) continue;
    if (world->conformance || i == 0)
      check_uint(names[i], vectors_get_uint(want, names[i]), hypercore_length(core));
    ab_slice_t head;
    if (i == 0 && world->conformance) {
      int err = hypercore_user_data(core, "autobee/head", &head);
      if (vectors_has(want, "head")) {
        if (ok("stored head", err)) check_bytes("stored head", vectors_get_bytes(want, "head"), head);
      } else {
        check_err("stored head", AB_ENOTFOUND, err);
      }
    }
    (void) ends_here;
    (void) cores;
    hypercore_close(core);
  }
  ok("close store", ab_store_close(peer->store));
  peer->store = NULL;
  return true;
}

/* A step in which apply ends the drain. */
static bool
run_failing (world_t *world, peer_t *peer, const json_t *step) {
  bool raises = strcmp(vectors_get_text(step, "fails"), "raise") == 0;
  peer->has_failed = true;
  peer->apply.fails = raises ? JSON_V1_RAISE : JSON_V1_INTERRUPT;
  int err = autobee_update(peer->db);
  bool as_told = raises ? err == AB_EHALTED || err == AB_EREJECTED : err == AB_EINTERRUPTED;
  if (!as_told) vectors_fail("%s: update that apply ends: %s", peer->name, ab_strerror(err));
  peer->apply.fails = JSON_V1_NONE;
  return check_stored(world, peer, vectors_get(step, "stored"));
}

static bool
run_together (world_t *world, peer_t *peer, const json_t *step) {
  static autobee_append_t reqs[256];
  size_t i, used = 0;
  json_t *part;
  json_array_foreach(vectors_get(step, "parts"), i, part) {
    if (json_object_get(part, "values") != NULL) {
      if (!queue(peer, vectors_get(part, "values"), vectors_get_bool(step, "optimistic"), &reqs[used++]))
        return false;
      continue;
    }
    ab_key_t writer;
    vectors_get_key(part, "writer", &writer);
    if (!receive(world, peer, &writer, vectors_get_uint(part, "length"))) return false;
  }
  json_array_foreach(vectors_get(step, "parts"), i, part) {
    ab_key_t writer;
    if (json_object_get(part, "writer") == NULL || !vectors_get_bool(part, "announced")) continue;
    vectors_get_key(part, "writer", &writer);
    if (!ok("hint", autobee_hint(peer->db, &writer, vectors_get_uint(part, "length")))) return false;
  }
  return true;
}

static bool
run_rotate (peer_t *peer, const json_t *step) {
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core;
  options.name = ab_text(vectors_get_text(step, "coreName"));
  if (!ok("core", hypercore_open(peer->store, &options, &core))) return false;
  check_bytes("key", vectors_get_bytes(step, "key"), ab_key_slice(hypercore_key(core)));
  bool done = ok("rotate", autobee_rotate(peer->db, core));
  hypercore_close(core);
  return done;
}

static bool
run_open (world_t *world, peer_t *peer, const json_t *step) {
  if (vectors_has(step, "join")) {
    peer_t *other = find_peer(world, vectors_get_text(step, "join"));
    if (other == NULL || other->db == NULL) return false;
    peer->key = other->db->key;
    peer->has_key = true;
  }
  if (!open_store(world, peer) || !open_database(world, peer)) return false;
  check_bytes("dbKey", vectors_get_bytes(peer->file, "dbKey"), ab_key_slice(&peer->db->key));
  return true;
}

static bool
run_restart (world_t *world, peer_t *peer, const json_t *step) {
  close_peer(peer);
  peer->has_key = vectors_has(step, "key");
  if (peer->has_key) vectors_get_key(step, "key", &peer->key);
  return open_store(world, peer) && open_database(world, peer);
}

static bool
run_scripted (world_t *world, const json_t *step) {
  const char *writer = vectors_get_text(step, "writer");
  json_t *blocks = json_object_get(world->scripted, writer);
  if (blocks == NULL) {
    blocks = json_array();
    json_object_set_new(world->scripted, writer, blocks);
  }
  return json_array_extend(blocks, vectors_get(step, "blocks")) == 0;
}

/* What the step does, up to the drain. */
static bool
begin_step (world_t *world, peer_t *peer, const json_t *step) {
  static autobee_append_t reqs[1100];
  if (step_is(step, "open")) return run_open(world, peer, step);
  if (step_is(step, "restart")) return run_restart(world, peer, step);
  if (peer->db == NULL) {
    vectors_fail("%s is not open", peer->name);
    return false;
  }
  peer->db->stamp_now_ms = peer->now;
  if (step_is(step, "append")) {
    return queue(peer, vectors_get(step, "values"), vectors_get_bool(step, "optimistic"), &reqs[0]);
  }
  if (step_is(step, "append-all")) {
    size_t i;
    json_t *group;
    json_array_foreach(vectors_get(step, "groups"), i, group) {
      if (!queue(peer, group, vectors_get_bool(step, "optimistic"), &reqs[i])) return false;
    }
    return true;
  }
  if (step_is(step, "together")) return run_together(world, peer, step);
  if (step_is(step, "rotate")) return run_rotate(peer, step);
  if (step_is(step, "move-to")) {
    ab_head_t head;
    vectors_get_key(vectors_get(step, "head"), "key", &head.key);
    head.length = vectors_get_uint(vectors_get(step, "head"), "length");
    return ok("move-to", autobee__move_to(peer->db, &head));
  }
  bool raw = step_is(step, "deliver-raw");
  if (!raw && !step_is(step, "deliver")) {
    vectors_fail("unknown step %s", vectors_get_text(step, "op"));
    return false;
  }
  ab_key_t writer;
  vectors_get_key(step, raw ? "core" : "writer", &writer);
  if (!receive(world, peer, &writer, vectors_get_uint(step, "length"))) return false;
  return raw || ok("hint", autobee_hint(peer->db, &writer, vectors_get_uint(step, "length")));
}

static bool
is_skipped (world_t *world, peer_t *peer, const json_t *step) {
  if (!world->queue_limits || world->conformance) return false;
  bool of_e = false;
  if (step_is(step, "deliver")) {
    const json_t *e = find_peer(world, "e")->file;
    const char *key = vectors_get_text(vectors_get(vectors_get(e, "cores"), "local"), "key");
    of_e = strcmp(vectors_get_text(step, "writer"), key) == 0;
  }
  if (strcmp(peer->name, "c") == 0 || strcmp(peer->name, "e") == 0 || of_e) peer->is_skipped = true;
  return peer->is_skipped;
}

static bool
run_step (world_t *world, const json_t *step, const json_t *expected) {
  if (step_is(step, "scripted")) return run_scripted(world, step);
  const char *name =
    json_object_get(step, "peer") != NULL ? vectors_get_text(step, "peer") : vectors_get_text(step, "to");
  peer_t *peer = find_peer(world, name);
  if (peer == NULL) return false;
  if (is_skipped(world, peer, step)) return true;
  if (json_object_get(step, "now") != NULL) peer->now = vectors_get_uint(step, "now");
  if (!begin_step(world, peer, step)) return false;
  if (step_is(step, "deliver-raw")) return true;
  if (json_object_get(step, "fails") != NULL) return run_failing(world, peer, step);
  int err = settle(peer);
  if (err < 0) {
    vectors_fail("update: %s (%s)", ab_strerror(err), ab_store_errmsg(peer->store));
    return false;
  }
  if (json_object_get(expected, "expect") != NULL) {
    json_decref(check_state(world, peer, vectors_get(expected, "expect")));
  }
  return vectors_failed() == 0;
}

static void
check_anchors (world_t *world) {
  size_t i;
  json_t *item;
  json_array_foreach(json_object_get(world->root, "anchors"), i, item) {
    peer_t *peer = find_peer(world, vectors_get_text(item, "peer"));
    ab_key_t key;
    hypercore_t *core;
    bool has = false;
    ab_slice_t block;
    vectors_get_key(item, "key", &key);
    if (peer == NULL || !ok("anchor", autobee__writer_core(peer->db, &key, &core))) continue;
    check_bytes("manifest", vectors_get_bytes(item, "manifest"), hypercore_manifest(core));
    check_uint("length", vectors_get_uint(item, "length"), hypercore_length(core));
    if (ok("stored", hypercore_get_stored(core, 0, &block))) {
      check_bytes("stored", vectors_get_bytes(item, "stored"), block);
    }
    if (vectors_has(item, "opened") && ok("cipher", autobee__writer_cipher(peer->db, core, &has))) {
      if (ok("opened", hypercore_get(core, 0, &block))) {
        check_bytes("opened", vectors_get_bytes(item, "opened"), block);
      }
    }
    hypercore_close(core);
  }
}

static void
check_end (world_t *world) {
  check_anchors(world);
  for (size_t i = 0; i < world->peer_count && vectors_failed() == 0; i++) {
    peer_t *peer = &world->peers[i];
    const json_t *final = json_object_get(vectors_get(world->expected, "final"), peer->name);
    if (peer->is_skipped) continue;
    /* what a failed drain told differs where nothing of it is kept */
    if (world->conformance || !peer->has_failed) {
      check_json("events", vectors_get(peer->file, "events"), peer->events);
    }
    if (final == NULL || peer->db == NULL) continue;
    size_t before = vectors_failed();
    check_final(world, peer, final);
    check_cores(world, peer, json_array_get(vectors_get(world->expected, "peers"), i));
    if (vectors_failed() > before) vectors_fail("at the end, peer %s", peer->name);
  }
}

static void
run_world (const char *file, json_t *root, bool conformance) {
  world_t *world = calloc(1, sizeof(*world));
  world->file = file;
  world->root = world->expected = root;
  world->conformance = conformance;
  world->clock = WALL_CLOCK;
  world->env.now_ms = clock_ms;
  world->env.random = no_chance;
  world->env.data = world;
  world->scripted = json_object();
  world->raw_nodes = strcmp(file, "scenario-raw-nodes.json") == 0;
  world->queue_limits = strcmp(file, "scenario-queue-limits.json") == 0;
  json_t *other = NULL;
  if (strcmp(file, "scenario-lying-start.json") == 0) {
    world->expected = other = vectors_load("autobee", "scenario-lying-start-frozen.json");
  }
  tmpdir_make(world->dir);

  vectors_begin(conformance ? "conformance" : "production", "file", "%s", file);
  size_t i;
  json_t *item;
  json_array_foreach(vectors_get(root, "peers"), i, item) add_peer(world, item);
  bool done = true;
  json_array_foreach(vectors_get(root, "steps"), i, item) {
    done = run_step(world, item, json_array_get(vectors_get(world->expected, "steps"), i));
    if (!done) {
      vectors_fail("at step %zu, %s", i, vectors_get_text(item, "op"));
      break;
    }
  }
  if (done) check_end(world);

  for (i = 0; i < world->peer_count; i++) {
    close_peer(&world->peers[i]);
    json_decref(world->peers[i].events);
  }
  json_decref(world->scripted);
  if (other != NULL) json_decref(other);
  tmpdir_remove(world->dir);
  free(world);
}

void
recorded_world_run (const char *file, json_t *root) {
  run_world(file, root, true);
  run_world(file, root, false);
}

/* recorded_compare.c: what a recorded peer holds, compared with what is recorded. */
#include "recorded_peer.h"

#include <stdio.h>
#include <stdlib.h>

#include "autobee/cores.h"
#include "autobee/writer.h"
#include "hypercore/crypto.h"

typedef struct {
  json_t *nodes; /* [key, length, weight], newest first */
} order_t;

static int
see_node (void *data, const autobee_log_entry_t *entry) {
  order_t *order = data;
  char key[65];
  recorded_hex(key, entry->node.key.bytes, 32);
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

void
recorded_check_json (const char *what, const json_t *want, const json_t *found) {
  if (json_equal(want, found)) return;
  char *a = json_dumps(want, JSON_COMPACT | JSON_ENCODE_ANY),
       *b = json_dumps(found, JSON_COMPACT | JSON_ENCODE_ANY);
  vectors_fail("%s\n  expected %.1500s\n  found    %.1500s", what, a, b);
  free(a);
  free(b);
}

static void
check_view_hash (recorded_peer_t *peer, const json_t *want) {
  autobee_view_t *view;
  uint8_t hash[32];
  if (!recorded_ok("view", autobee_view(peer->db, NULL, &view))) return;
  if (recorded_ok("view hash", autobee_view_hash(view, hash))) {
    check_bytes("viewHash", vectors_get_bytes(want, "viewHash"), ab_slice(hash, 32));
  }
  autobee_view_close(view);
}

/* Returns the order; the caller releases it. */
json_t *
recorded_check_state (recorded_world_t *world, recorded_peer_t *peer, const json_t *want) {
  autobee_info_t info;
  order_t order = {json_array()};
  if (!recorded_ok("info", autobee_info(peer->db, &info))) return order.nodes;
  check_uint("writable", vectors_get_bool(want, "writable"), info.is_writable);
  check_head("local", vectors_get(want, "local"), &info.local);
  check_uint("flushes", vectors_get_uint(want, "flushes"), info.flushes);
  check_uint("timestamp", vectors_get_uint(want, "timestamp"), info.timestamp_ms);
  if (world->conformance) {
    check_head("system", vectors_get(want, "system"), &info.system);
    check_head("view", vectors_get(want, "view"), &info.view);
  }
  heads_t heads = {vectors_get(want, "heads"), 0};
  recorded_ok("heads", autobee_heads(peer->db, see_head, &heads));
  check_uint("count of heads", json_array_size(heads.want), heads.count);

  recorded_ok("order", autobee_log(peer->db, see_node, &order));
  check_order_hash(order.nodes, want);
  if (!(world->raw_nodes && strcmp(peer->name, "b") == 0)) check_view_hash(peer, want);
  return order.nodes;
}

static json_t *
dump_view (recorded_peer_t *peer) {
  json_t *dump = json_array();
  autobee_view_t *view;
  autobee_cursor_t *cursor;
  autobee_entry_t entry;
  if (!recorded_ok("view", autobee_view(peer->db, NULL, &view))) return dump;
  if (recorded_ok("cursor", autobee_cursor_open(view, NULL, &cursor))) {
    while (autobee_cursor_next(cursor, &entry) == 0) {
      char *key = malloc(2 * entry.key.len + 1), *value = malloc(2 * entry.value.len + 1);
      recorded_hex(key, entry.key.data, entry.key.len);
      recorded_hex(value, entry.value.data, entry.value.len);
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
dump_writers (recorded_peer_t *peer) {
  json_t *writers = json_array();
  bee_cursor_t *cursor;
  bee_entry_t entry;
  if (!recorded_ok("records", bee_cursor_open(peer->db->system.bee, NULL, &cursor))) return writers;
  while (bee_cursor_next(cursor, &entry) == 0) {
    ab_key_t key;
    record_writer_t record;
    char text[65];
    if (!autobee__record_is_writer_key(entry.key, &key)) continue;
    if (!recorded_ok("record", autobee__record_writer_decode(entry.value, &record))) continue;
    recorded_hex(text, key.bytes, 32);
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
check_user_data (recorded_world_t *world, const char *where, const json_t *want, hypercore_t *core) {
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

void
recorded_check_final (recorded_world_t *world, recorded_peer_t *peer, const json_t *want) {
  json_t *order = recorded_check_state(world, peer, want);
  if (world->conformance && vectors_has(want, "info")) {
    check_head("info.view", vectors_get(vectors_get(want, "info"), "view"), &peer->db->system.view);
  }
  if (vectors_has(want, "order")) recorded_check_json("order", vectors_get(want, "order"), order);
  json_decref(order);
  if (vectors_has(want, "dump")) {
    const json_t *of = want;
    if (world->raw_nodes) of = vectors_get(vectors_get(world->expected, "final"), "a");
    json_t *dump = dump_view(peer);
    recorded_check_json("view", vectors_get(of, "dump"), dump);
    json_decref(dump);
  }
  if (vectors_has(want, "writers")) {
    json_t *writers = dump_writers(peer);
    recorded_check_json("records", vectors_get(want, "writers"), writers);
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
check_plain_block (recorded_world_t *world, const char *what, ab_slice_t want, ab_slice_t found) {
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
check_blocks (recorded_world_t *world, const char *what, const json_t *want, hypercore_t *core, bool is_log) {
  json_t *blocks = json_object_get(want, "blocks"), *stored = json_object_get(want, "stored");
  json_t *digests = json_object_get(want, "digests");
  uint64_t length = vectors_get_uint(want, "length");
  for (uint64_t i = 0; i < length && vectors_failed() < 20; i++) {
    char name[64];
    ab_slice_t block;
    snprintf(name, sizeof(name), "%s block %llu", what, (unsigned long long) i);
    if (blocks != NULL && recorded_ok(name, hypercore_get(core, i, &block))) {
      ab_slice_t expected = vectors_bytes(json_array_get(blocks, i));
      if (is_log) check_plain_block(world, name, expected, block);
      else check_bytes(name, expected, block);
    }
    if (!world->conformance || !recorded_ok(name, hypercore_get_stored(core, i, &block))) continue;
    if (stored != NULL) check_bytes(name, vectors_bytes(json_array_get(stored, i)), block);
    if (digests != NULL) {
      uint8_t hash[32];
      ab_hash(hash, &block, 1);
      check_bytes(name, vectors_bytes(json_array_get(digests, i)), ab_slice(hash, 8));
    }
  }
}

static void
check_core (recorded_world_t *world, const char *what, const json_t *want, hypercore_t *core, bool is_log) {
  check_bytes(what, vectors_get_bytes(want, "key"), ab_key_slice(hypercore_key(core)));
  check_bytes(what, vectors_get_bytes(want, "manifest"), hypercore_manifest(core));
  if (!world->conformance && !is_log) return;
  if (!check_uint(what, vectors_get_uint(want, "length"), hypercore_length(core))) return;
  check_blocks(world, what, want, core, is_log);
  if (!world->conformance) return;
  check_uint("fork", vectors_get_uint(want, "fork"), hypercore_fork(core));
  uint8_t hash[32];
  if (vectors_has(want, "treeHash") && recorded_ok(what, hypercore_tree_hash(core, hypercore_length(core), hash))) {
    check_bytes("treeHash", vectors_get_bytes(want, "treeHash"), ab_slice(hash, 32));
  }
}

void
recorded_check_cores (recorded_world_t *world, recorded_peer_t *peer, const json_t *file) {
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
    if (!recorded_ok("retired", autobee__writer_core(peer->db, &key, &core))) continue;
    recorded_ok("cipher", autobee__writer_cipher(peer->db, core, &has));
    check_core(world, "retired", retired, core, true);
    hypercore_close(core);
  }
}

#include "recorded_world.h"

#include <stdlib.h>

#include "autobee/cores.h"
#include "autobee/forward.h"
#include "autobee/writer.h"
#include "recorded_peer.h"

#define WALL_CLOCK 1790000000000ull /* 2026; far from all stamps */

/* Append as the clock of the step says. */
static bool
queue (recorded_peer_t *peer, const json_t *values, bool optimistic, autobee_append_t *req) {
  ab_slice_t list[1100];
  size_t count = json_array_size(values);
  if (count > sizeof(list) / sizeof(*list)) return false;
  for (size_t i = 0; i < count; i++) list[i] = vectors_bytes(json_array_get(values, i));
  peer->db->stamp_now_ms = peer->now;
  int err = autobee_append_async(peer->db, req, list, count, optimistic ? AUTOBEE_OPTIMISTIC : 0, NULL);
  return recorded_ok("append", err);
}

static bool
check_stored (recorded_world_t *world, recorded_peer_t *peer, const json_t *want) {
  ab_key_t local_key = peer->db->local->key, system_key = *hypercore_key(peer->db->system_core);
  ab_key_t view_key = *hypercore_key(peer->db->view_core);
  recorded_close(peer);
  if (!recorded_open_store(world, peer)) return false;
  const ab_key_t *keys[] = {&local_key, &system_key, &view_key};
  static const char *const names[] = {"local", "system", "view"};
  const json_t *cores = vectors_get(peer->file, "cores");
  bool ends_here = json_object_get(vectors_get(world->expected, "final"), peer->name) == NULL;
  for (size_t i = 0; i < 3; i++) {
    hypercore_options_t options = hypercore_options_default();
    hypercore_t *core;
    options.key = keys[i];
    if (!recorded_ok("stored core", hypercore_open(peer->store, &options, &core))) continue;
    if (world->conformance || i == 0)
      check_uint(names[i], vectors_get_uint(want, names[i]), hypercore_length(core));
    ab_slice_t head;
    if (i == 0 && world->conformance) {
      int err = hypercore_user_data(core, "autobee/head", &head);
      if (vectors_has(want, "head")) {
        if (recorded_ok("stored head", err))
          check_bytes("stored head", vectors_get_bytes(want, "head"), head);
      } else {
        check_err("stored head", AB_ENOTFOUND, err);
      }
    }
    (void) ends_here;
    (void) cores;
    hypercore_close(core);
  }
  recorded_ok("close store", ab_store_close(peer->store));
  peer->store = NULL;
  return true;
}

/* A step in which apply ends the drain. */
static bool
run_failing (recorded_world_t *world, recorded_peer_t *peer, const json_t *step) {
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
run_together (recorded_world_t *world, recorded_peer_t *peer, const json_t *step) {
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
    if (!recorded_receive(world, peer, &writer, vectors_get_uint(part, "length"))) return false;
  }
  json_array_foreach(vectors_get(step, "parts"), i, part) {
    ab_key_t writer;
    if (json_object_get(part, "writer") == NULL || !vectors_get_bool(part, "announced")) continue;
    vectors_get_key(part, "writer", &writer);
    if (!recorded_ok("hint", autobee_hint(peer->db, &writer, vectors_get_uint(part, "length")))) return false;
  }
  return true;
}

static bool
run_rotate (recorded_peer_t *peer, const json_t *step) {
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core;
  options.name = ab_text(vectors_get_text(step, "coreName"));
  if (!recorded_ok("core", hypercore_open(peer->store, &options, &core))) return false;
  check_bytes("key", vectors_get_bytes(step, "key"), ab_key_slice(hypercore_key(core)));
  bool done = recorded_ok("rotate", autobee_rotate(peer->db, core));
  hypercore_close(core);
  return done;
}

static bool
run_open (recorded_world_t *world, recorded_peer_t *peer, const json_t *step) {
  if (vectors_has(step, "join")) {
    recorded_peer_t *other = recorded_find(world, vectors_get_text(step, "join"));
    if (other == NULL || other->db == NULL) return false;
    peer->key = other->db->key;
    peer->has_key = true;
  }
  if (!recorded_open_store(world, peer) || !recorded_open_database(world, peer)) return false;
  check_bytes("dbKey", vectors_get_bytes(peer->file, "dbKey"), ab_key_slice(&peer->db->key));
  return true;
}

static bool
run_restart (recorded_world_t *world, recorded_peer_t *peer, const json_t *step) {
  recorded_close(peer);
  peer->has_key = vectors_has(step, "key");
  if (peer->has_key) vectors_get_key(step, "key", &peer->key);
  return recorded_open_store(world, peer) && recorded_open_database(world, peer);
}

static bool
run_scripted (recorded_world_t *world, const json_t *step) {
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
begin_step (recorded_world_t *world, recorded_peer_t *peer, const json_t *step) {
  static autobee_append_t reqs[1100];
  if (recorded_step_is(step, "open")) return run_open(world, peer, step);
  if (recorded_step_is(step, "restart")) return run_restart(world, peer, step);
  if (peer->db == NULL) {
    vectors_fail("%s is not open", peer->name);
    return false;
  }
  peer->db->stamp_now_ms = peer->now;
  if (recorded_step_is(step, "append")) {
    return queue(peer, vectors_get(step, "values"), vectors_get_bool(step, "optimistic"), &reqs[0]);
  }
  if (recorded_step_is(step, "append-all")) {
    size_t i;
    json_t *group;
    json_array_foreach(vectors_get(step, "groups"), i, group) {
      if (!queue(peer, group, vectors_get_bool(step, "optimistic"), &reqs[i])) return false;
    }
    return true;
  }
  if (recorded_step_is(step, "together")) return run_together(world, peer, step);
  if (recorded_step_is(step, "rotate")) return run_rotate(peer, step);
  if (recorded_step_is(step, "move-to")) {
    ab_head_t head;
    vectors_get_key(vectors_get(step, "head"), "key", &head.key);
    head.length = vectors_get_uint(vectors_get(step, "head"), "length");
    return recorded_ok("move-to", autobee__move_to(peer->db, &head));
  }
  bool raw = recorded_step_is(step, "deliver-raw");
  if (!raw && !recorded_step_is(step, "deliver")) {
    vectors_fail("unknown step %s", vectors_get_text(step, "op"));
    return false;
  }
  ab_key_t writer;
  vectors_get_key(step, raw ? "core" : "writer", &writer);
  if (!recorded_receive(world, peer, &writer, vectors_get_uint(step, "length"))) return false;
  return raw || recorded_ok("hint", autobee_hint(peer->db, &writer, vectors_get_uint(step, "length")));
}

static bool
is_skipped (recorded_world_t *world, recorded_peer_t *peer, const json_t *step) {
  if (!world->queue_limits || world->conformance) return false;
  bool of_e = false;
  if (recorded_step_is(step, "deliver")) {
    const json_t *e = recorded_find(world, "e")->file;
    const char *key = vectors_get_text(vectors_get(vectors_get(e, "cores"), "local"), "key");
    of_e = strcmp(vectors_get_text(step, "writer"), key) == 0;
  }
  if (strcmp(peer->name, "c") == 0 || strcmp(peer->name, "e") == 0 || of_e) peer->is_skipped = true;
  return peer->is_skipped;
}

static bool
run_step (recorded_world_t *world, const json_t *step, const json_t *expected) {
  if (recorded_step_is(step, "scripted")) return run_scripted(world, step);
  const char *name =
    json_object_get(step, "peer") != NULL ? vectors_get_text(step, "peer") : vectors_get_text(step, "to");
  recorded_peer_t *peer = recorded_find(world, name);
  if (peer == NULL) return false;
  if (is_skipped(world, peer, step)) return true;
  if (json_object_get(step, "now") != NULL) peer->now = vectors_get_uint(step, "now");
  if (!begin_step(world, peer, step)) return false;
  if (recorded_step_is(step, "deliver-raw")) return true;
  if (json_object_get(step, "fails") != NULL) return run_failing(world, peer, step);
  int err = recorded_settle(peer);
  if (err < 0) {
    vectors_fail("update: %s (%s)", ab_strerror(err), ab_store_errmsg(peer->store));
    return false;
  }
  if (json_object_get(expected, "expect") != NULL) {
    json_decref(recorded_check_state(world, peer, vectors_get(expected, "expect")));
  }
  return vectors_failed() == 0;
}

static void
check_anchors (recorded_world_t *world) {
  size_t i;
  json_t *item;
  json_array_foreach(json_object_get(world->root, "anchors"), i, item) {
    recorded_peer_t *peer = recorded_find(world, vectors_get_text(item, "peer"));
    ab_key_t key;
    hypercore_t *core;
    bool has = false;
    ab_slice_t block;
    vectors_get_key(item, "key", &key);
    if (peer == NULL || !recorded_ok("anchor", autobee__writer_core(peer->db, &key, &core))) continue;
    check_bytes("manifest", vectors_get_bytes(item, "manifest"), hypercore_manifest(core));
    check_uint("length", vectors_get_uint(item, "length"), hypercore_length(core));
    if (recorded_ok("stored", hypercore_get_stored(core, 0, &block))) {
      check_bytes("stored", vectors_get_bytes(item, "stored"), block);
    }
    if (vectors_has(item, "opened") && recorded_ok("cipher", autobee__writer_cipher(peer->db, core, &has))) {
      if (recorded_ok("opened", hypercore_get(core, 0, &block))) {
        check_bytes("opened", vectors_get_bytes(item, "opened"), block);
      }
    }
    hypercore_close(core);
  }
}

static void
check_end (recorded_world_t *world) {
  check_anchors(world);
  for (size_t i = 0; i < world->peer_count && vectors_failed() == 0; i++) {
    recorded_peer_t *peer = &world->peers[i];
    const json_t *final = json_object_get(vectors_get(world->expected, "final"), peer->name);
    if (peer->is_skipped) continue;
    /* what a failed drain told differs where nothing of it is kept */
    if (world->conformance || !peer->has_failed) {
      recorded_check_json("events", vectors_get(peer->file, "events"), peer->events);
    }
    if (final == NULL || peer->db == NULL) continue;
    size_t before = vectors_failed();
    recorded_check_final(world, peer, final);
    recorded_check_cores(world, peer, json_array_get(vectors_get(world->expected, "peers"), i));
    if (vectors_failed() > before) vectors_fail("at the end, peer %s", peer->name);
  }
}

static uint64_t
clock_ms (void *data) {
  recorded_world_t *world = data;
  return world->clock++;
}

static void
no_chance (void *data, uint8_t *out, size_t len) {
  (void) data;
  memset(out, 7, len);
}

static void
run_world (const char *file, json_t *root, bool conformance) {
  recorded_world_t *world = calloc(1, sizeof(*world));
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
  json_array_foreach(vectors_get(root, "peers"), i, item) recorded_add(world, item);
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
    recorded_close(&world->peers[i]);
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

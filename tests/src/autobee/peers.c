#include "peers.h"

#include <stdio.h>

#include "support/test.h"

static uint64_t
clock_ms (void *data) {
  world_t *world = data;
  world->now_ms += world->tick_ms;
  return world->now_ms;
}

static void
random_bytes (void *data, uint8_t *out, size_t len) {
  world_t *world = data;
  for (size_t i = 0; i < len; i++) {
    world->random = world->random * 1664525u + 1013904223u;
    out[i] = (uint8_t) (world->random >> 24);
  }
}

void
world_init (world_t *world) {
  world->now_ms = PEERS_START_MS;
  world->tick_ms = 0;
  world->random = 1;
}

static void
on_event (autobee_t *db, const autobee_event_t *event, void *data) {
  peer_t *peer = data;
  assert_true(peer->db == NULL || db == peer->db);
  switch (event->kind) {
  case AUTOBEE_EVENT_UPDATE:
    peer->updates++;
    peer->was_rewritten = event->rewritten;
    break;
  case AUTOBEE_EVENT_REJECTED:
    peer->rejected++;
    break;
  case AUTOBEE_EVENT_HALTED:
    peer->halted++;
    peer->status = event->status;
    break;
  case AUTOBEE_EVENT_INTERRUPTED:
    peer->interrupted++;
    break;
  case AUTOBEE_EVENT_WRITABLE:
    peer->writable++;
    break;
  case AUTOBEE_EVENT_UNWRITABLE:
    peer->unwritable++;
    break;
  case AUTOBEE_EVENT_FROZEN:
    peer->frozen++;
    break;
  default:
    return;
  }
  snprintf(peer->message, sizeof(peer->message), "%s", event->message == NULL ? "" : event->message);
}

autobee_options_t
peer_options (peer_t *peer) {
  autobee_options_t options = autobee_options_default();
  options.on_event = on_event;
  options.event_data = peer;
  return options;
}

static void
open_store (peer_t *peer) {
  ab_store_options_t options = ab_store_options_default();
  ab_key_t primary_key;
  char message[256] = "";
  memset(primary_key.bytes, peer->seed, sizeof(primary_key.bytes));
  options.primary_key = &primary_key;
  options.relaxed = true;
  options.env = &peer->env;
  int err =
    ab_store_open(peer->dir[0] == 0 ? NULL : peer->dir, &options, &peer->store, message, sizeof(message));
  if (err < 0) fail_msg("store: %s", message);
}

void
peer_open (
  world_t *world,
  peer_t *peer,
  uint8_t seed,
  const char *dir,
  const ab_key_t *key,
  const autobee_options_t *options
) {
  memset(peer, 0, sizeof(*peer));
  peer->world = world;
  peer->env.now_ms = clock_ms;
  peer->env.random = random_bytes;
  peer->env.data = world;
  peer->seed = seed;
  if (dir != NULL) snprintf(peer->dir, sizeof(peer->dir), "%s", dir);
  open_store(peer);
  autobee_options_t usual = peer_options(peer);
  int err = autobee_open(peer->store, key, options == NULL ? &usual : options, &peer->db);
  if (err < 0) fail_msg("open: %s: %s", ab_strerror(err), ab_store_errmsg(peer->store));
  assert_int_equal(autobee_update(peer->db), 0);
}

void
peer_reopen (peer_t *peer, const autobee_options_t *options) {
  autobee_options_t usual = peer_options(peer);
  ab_key_t key;
  autobee_key(peer->db, &key);
  peer_close(peer);
  open_store(peer);
  int err = autobee_open(peer->store, &key, options == NULL ? &usual : options, &peer->db);
  if (err < 0) fail_msg("open again: %s: %s", ab_strerror(err), ab_store_errmsg(peer->store));
}

void
peer_close (peer_t *peer) {
  if (peer->store == NULL) return;
  assert_int_equal(autobee_close(peer->db), 0);
  assert_int_equal(ab_store_close(peer->store), 0);
  peer->db = NULL;
  peer->store = NULL;
}

int
peer_try (peer_t *peer, const char *value, unsigned flags) {
  ab_slice_t values[] = {ab_text(value)};
  peer->world->now_ms += 10;
  return autobee_append(peer->db, values, 1, flags, NULL);
}

uint64_t
peer_append (peer_t *peer, const char *value) {
  ab_slice_t values[] = {ab_text(value)};
  ab_head_t position;
  peer->world->now_ms += 10;
  int err = autobee_append(peer->db, values, 1, 0, &position);
  if (err < 0) fail_msg("append %s: %s: %s", value, ab_strerror(err), ab_store_errmsg(peer->store));
  return position.length;
}

ab_key_t
peer_writer (const peer_t *peer) {
  ab_head_t local;
  autobee_local(peer->db, &local);
  return local.key;
}

/* `{"name":"key"rest}` */
static void
append_about (peer_t *peer, const char *name, ab_key_t key, const char *rest) {
  char text[AB_KEY_TEXT_LEN + 1], value[192];
  ab_key_to_text(&key, text);
  snprintf(value, sizeof(value), "{\"%s\":\"%s\"%s}", name, text, rest);
  peer_append(peer, value);
}

void
peer_grant (peer_t *peer, const peer_t *other) {
  append_about(peer, "addWriter", peer_writer(other), "");
}

void
peer_grant_weight (peer_t *peer, const peer_t *other, unsigned weight) {
  char rest[64];
  snprintf(rest, sizeof(rest), ",\"weight\":%u,\"isIndexer\":false", weight);
  append_about(peer, "addWriter", peer_writer(other), rest);
}

void
peer_remove (peer_t *peer, const peer_t *other) {
  append_about(peer, "removeWriter", peer_writer(other), "");
}

void
peer_rotate (peer_t *peer, const char *name) {
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *next;
  options.name = ab_text(name);
  assert_int_equal(hypercore_open(peer->store, &options, &next), 0);
  ab_key_t key = *hypercore_key(next), local;
  append_about(peer, "addWriter", key, "");
  assert_int_equal(autobee_rotate(peer->db, next), 0);
  hypercore_close(next);
  assert_int_equal(autobee_update(peer->db), 0);
  local = peer_writer(peer);
  assert_memory_equal(local.bytes, key.bytes, sizeof(key.bytes));
}

void
peers_open (world_t *world, peer_t *peers, size_t count) {
  ab_key_t key;
  world_init(world);
  peer_open(world, &peers[0], 1, NULL, NULL, NULL);
  autobee_key(peers[0].db, &key);
  for (size_t i = 1; i < count; i++) {
    peer_open(world, &peers[i], (uint8_t) (i + 1), NULL, &key, NULL);
    peer_grant(&peers[0], &peers[i]);
  }
  peers_mesh(peers, count);
}

void
peers_close (peer_t *peers, size_t count) {
  for (size_t i = 0; i < count; i++) peer_close(&peers[i]);
}

static hypercore_t *
core_of (peer_t *peer, const ab_key_t *key) {
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core;
  options.key = key;
  assert_int_equal(hypercore_open(peer->store, &options, &core), 0);
  return core;
}

void
peer_copy (peer_t *from, peer_t *to, const ab_key_t *key, uint64_t length, uint64_t start, uint64_t end) {
  hypercore_t *source = core_of(from, key), *target = core_of(to, key);
  assert_int_equal(hypercore_pull(target, source, length, start, end), 0);
  hypercore_close(source);
  hypercore_close(target);
}

static uint64_t
hand_over (peer_t *from, peer_t *to, ab_key_t *key) {
  ab_head_t local;
  autobee_local(from->db, &local);
  *key = local.key;
  if (local.length == 0) return 0;
  hypercore_t *source = core_of(from, key), *target = core_of(to, key);
  uint64_t have = hypercore_length(target);
  if (have < local.length) {
    assert_int_equal(hypercore_pull(target, source, local.length, have, local.length), 0);
  }
  hypercore_close(source);
  hypercore_close(target);
  return have < local.length ? local.length : 0;
}

void
peer_hand_over (peer_t *from, peer_t *to) {
  ab_key_t key;
  hand_over(from, to, &key);
}

void
peer_send (peer_t *from, peer_t *to) {
  ab_key_t key;
  uint64_t length = hand_over(from, to, &key);
  if (length > 0) assert_int_equal(autobee_hint(to->db, &key, length), 0);
  assert_int_equal(autobee_update(to->db), 0);
}

void
peers_mesh (peer_t *peers, size_t count) {
  for (bool again = true; again;) {
    again = false;
    for (size_t to = 0; to < count; to++) {
      for (size_t from = 0; from < count; from++) {
        ab_key_t key;
        uint64_t length = from == to ? 0 : hand_over(&peers[from], &peers[to], &key);
        if (length == 0) continue;
        again = true;
        assert_int_equal(autobee_hint(peers[to].db, &key, length), 0);
        assert_int_equal(autobee_update(peers[to].db), 0);
      }
    }
  }
}

void
peer_view_hash (peer_t *peer, uint8_t out[32]) {
  autobee_view_t *view;
  assert_int_equal(autobee_view(peer->db, NULL, &view), 0);
  assert_int_equal(autobee_view_hash(view, out), 0);
  autobee_view_close(view);
}

void
peer_assert_value (peer_t *peer, const char *key, const char *value, const char *file, int line) {
  autobee_view_t *view;
  autobee_entry_t entry;
  assert_int_equal(autobee_view(peer->db, NULL, &view), 0);
  int err = autobee_get(view, ab_text(key), &entry);
  bool as_told =
    value == NULL ? err == AB_ENOTFOUND : err == 0 && ab_slice_equal(entry.value, ab_text(value));
  if (!as_told) {
    print_error(
      "%s is %.*s (%s)\n",
      key,
      err < 0 ? 0 : (int) entry.value.len,
      err < 0 ? "" : (const char *) entry.value.data,
      ab_err_name(err)
    );
    _fail(file, line);
  }
  autobee_view_close(view);
}

void
peers_assert_same_view (peer_t *a, peer_t *b, const char *file, int line) {
  uint8_t hashes[2][32];
  peer_view_hash(a, hashes[0]);
  peer_view_hash(b, hashes[1]);
  if (memcmp(hashes[0], hashes[1], 32) == 0) return;
  print_error("the views differ\n");
  _fail(file, line);
}

uint64_t
peer_flushes (peer_t *peer) {
  autobee_info_t info;
  assert_int_equal(autobee_info(peer->db, &info), 0);
  return info.flushes;
}

/* peers.c: writers that meet in memory. */
#include "peers.h"

#include <sodium.h>
#include <stdio.h>

/* ---- opening ---- */

static uint64_t
now_ms (void *data) {
  return ((bench_team_t *) data)->now_ms;
}

static void
random_bytes (void *data, uint8_t *out, size_t len) {
  (void) data;
  randombytes_buf(out, len);
}

static void
open_peer (const bench_t *bench, bench_team_t *team, size_t i, autobee_apply_fn apply) {
  bench_peer_t *peer = &team->peers[i];
  autobee_options_t options = autobee_options_default();
  ab_head_t local;
  char name[24];

  snprintf(name, sizeof(name), "w%zu", i);
  peer->store = bench_store_at(bench, name, &team->env);
  options.apply = apply;
  options.apply_data = &peer->json;
  bench_check(
    autobee_open(peer->store, i == 0 ? NULL : &team->key, &options, &peer->db), "open", peer->store
  );
  if (i == 0) autobee_key(peer->db, &team->key);
  autobee_local(peer->db, &local);
  team->writers[i] = local.key;
}

static void
open_logs (bench_team_t *team, bench_peer_t *peer) {
  for (size_t i = 0; i < team->count; i++) {
    hypercore_options_t options = hypercore_options_default();
    options.key = &team->writers[i];
    bench_check(hypercore_open(peer->store, &options, &peer->logs[i]), "open log", peer->store);
  }
}

static void
grant (bench_team_t *team, size_t writer) {
  char key[AB_KEY_TEXT_LEN + 1], text[128];
  ab_key_to_text(&team->writers[writer], key);
  snprintf(text, sizeof(text), "{\"addWriter\":\"%s\"}", key);
  ab_slice_t value = ab_text(text);
  bench_team_append(team, 0, ++team->now_ms, &value, 1);
}

static void
all_meet (bench_team_t *team) {
  for (size_t i = 1; i < team->count; i++) bench_team_give(team, i, 0);
  for (size_t i = 1; i < team->count; i++) bench_team_give(team, 0, i);
}

/* A grant's block brings its subject a witness, and the weight counts from the node on that carries it. */
static void
witness_all (bench_team_t *team) {
  ab_slice_t value = ab_text("{}");
  for (size_t i = 1; i < team->count; i++) grant(team, i);
  all_meet(team);
  for (size_t i = 1; i < team->count; i++) bench_team_append(team, i, ++team->now_ms, &value, 1);
  all_meet(team);
}

void
bench_team_open (const bench_t *bench, bench_team_t *team, size_t count, autobee_apply_fn apply) {
  *team = (bench_team_t){.count = count, .now_ms = PEERS_START_MS - 1000};
  team->env = (ab_env_t){now_ms, random_bytes, team};
  for (size_t i = 0; i < count; i++) open_peer(bench, team, i, apply);
  for (size_t i = 0; i < count; i++) open_logs(team, &team->peers[i]);
  witness_all(team);
}

void
bench_team_close (bench_team_t *team) {
  for (size_t i = 0; i < team->count; i++) {
    bench_peer_t *peer = &team->peers[i];
    for (size_t j = 0; j < team->count; j++) hypercore_close(peer->logs[j]);
    bench_check(autobee_close(peer->db), "close", peer->store);
    bench_check(ab_store_close(peer->store), "close", NULL);
    ab_json_doc_destroy(&peer->json);
  }
}

/* ---- writing and meeting ---- */

void
bench_team_append (
  bench_team_t *team, size_t writer, uint64_t at_ms, const ab_slice_t *values, size_t count
) {
  bench_peer_t *peer = &team->peers[writer];
  team->now_ms = at_ms;
  bench_check(autobee_append(peer->db, values, count, 0, NULL), "append", peer->store);
}

void
bench_team_give (bench_team_t *team, size_t from, size_t to) {
  bench_peer_t *giver = &team->peers[from], *taker = &team->peers[to];
  bool is_new = false;
  for (size_t i = 0; i < team->count; i++) {
    uint64_t length = hypercore_length(giver->logs[i]), own = hypercore_length(taker->logs[i]);
    if (length <= own) continue;
    bench_check(hypercore_pull(taker->logs[i], giver->logs[i], length, own, length), "pull", taker->store);
    bench_check(autobee_hint(taker->db, &team->writers[i], length), "hint", taker->store);
    is_new = true;
  }
  if (is_new) bench_check(autobee_update(taker->db), "update", taker->store);
}

/* ---- looking ---- */

static autobee_view_t *
open_view (autobee_t *db) {
  autobee_view_t *view;
  bench_check(autobee_view(db, NULL, &view), "view", autobee_store(db));
  return view;
}

bool
bench_read (autobee_t *db, const char *key, char *out, size_t len) {
  autobee_view_t *view = open_view(db);
  autobee_entry_t entry;
  int err = autobee_get(view, ab_text(key), &entry);
  if (err != AB_ENOTFOUND && err != AB_EREMOTE) bench_check(err, "get", autobee_store(db));
  if (err == 0) snprintf(out, len, "%.*s", (int) entry.value.len, (const char *) entry.value.data);
  autobee_view_close(view);
  return err == 0;
}

void
bench_view_hash (autobee_t *db, uint8_t out[32]) {
  autobee_view_t *view = open_view(db);
  bench_check(autobee_view_hash(view, out), "hash", autobee_store(db));
  autobee_view_close(view);
}

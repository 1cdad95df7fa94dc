#include "autobee/simulated_acts.h"

#include <inttypes.h>
#include <stdio.h>

#define KEYS 24 /* few enough that peers overwrite each other's */
#define VALUES_MAX 12
#define BURST_MIN 40 /* batches, more than a fast-forward must save */

/* ---- random things ---- */

uint32_t
sim_below (sim_t *sim, uint32_t n) {
  return rng_below(&sim->random, n);
}

bool
sim_one_in (sim_t *sim, uint32_t n) {
  return sim_below(sim, n) == 0;
}

static replica_t *
any_peer (sim_t *sim) {
  return &sim->peers[sim_below(sim, (uint32_t) sim->count)];
}

static bool
may_append (const replica_t *peer) {
  return peer->db != NULL && !peer->disk.is_off && !peer->is_retired && autobee_is_writable(peer->db);
}

/* Most clocks are right. */
int64_t
sim_skew (sim_t *sim) {
  int64_t most = !sim_one_in(sim, 3) ? 0 : sim_one_in(sim, 2) ? HOUR_MS : DAY_MS;
  return most == 0 ? 0 : (int64_t) sim_below(sim, (uint32_t) (2 * most + 1)) - most;
}

/* ---- appending ---- */

static void
write_text (ab_buf_t *out, const char *text) {
  ab_buf_append(out, ab_text(text));
}

/* An operation of the kv policy. */
static void
write_operation (sim_t *sim, const replica_t *peer, ab_buf_t *out) {
  char text[128];
  uint32_t kind = sim_below(sim, 40), key = sim_below(sim, KEYS);
  sim->value_number++;
  if (kind == 0) {
    write_text(out, "{\"unheard of\":1}"); /* refused, and the whole batch with it */
  } else if (kind < 6) {
    snprintf(text, sizeof(text), "{\"del\":[\"k%u\",\"k%u\"]}", key, sim_below(sim, KEYS));
    write_text(out, text);
  } else {
    snprintf(text, sizeof(text), "{\"put\":{\"k%u\":\"%zu.%u", key, peer->number, sim->value_number);
    write_text(out, text);
    uint32_t len = kind == 6 ? sim_below(sim, 20000) : sim_below(sim, 100);
    uint8_t *filling = ab_buf_extend(out, len);
    if (filling != NULL) memset(filling, 'a' + (int) (sim->value_number % 26), len);
    write_text(out, "\"}}");
  }
}

void
sim_append_batch (sim_t *sim, replica_t *peer) {
  ab_buf_t bytes = {0};
  size_t ends[VALUES_MAX];
  ab_slice_t values[VALUES_MAX];
  size_t count = sim_one_in(sim, 5) ? 1 + sim_below(sim, VALUES_MAX) : 1;
  for (size_t i = 0; i < count; i++) {
    write_operation(sim, peer, &bytes);
    ends[i] = bytes.len;
  }
  for (size_t i = 0; i < count; i++) {
    size_t start = i == 0 ? 0 : ends[i - 1];
    values[i] = ab_slice(bytes.data + start, ends[i] - start);
  }
  replica_append(peer, values, count, sim_one_in(sim, 2));
  ab_buf_destroy(&bytes);
}

static void
act_append (sim_t *sim) {
  replica_t *peer = any_peer(sim);
  uint32_t batches = sim_one_in(sim, 8) ? 1 + sim_below(sim, 20) : 1;
  for (uint32_t i = 0; i < batches && may_append(peer); i++) sim_append_batch(sim, peer);
}

/* Somebody is away, or down, and misses much. */
static void
act_burst (sim_t *sim) {
  replica_t *peer = any_peer(sim), *away = any_peer(sim);
  if (!sim->has_bursts || !may_append(peer) || away == peer) return;
  for (size_t i = 0; i < sim->count; i++)
    if (i != away->number) net_cut(&sim->net, away->number, i, sim_one_in(sim, 2), true);
  for (uint32_t left = BURST_MIN + sim_below(sim, BURST_MIN); left > 0 && may_append(peer); left--)
    sim_append_batch(sim, peer);
}

static void
act_append_optimistic (sim_t *sim) {
  replica_t *peer = any_peer(sim);
  ab_buf_t bytes = {0};
  if (peer->db == NULL || peer->is_retired || autobee_is_writable(peer->db)) return;
  write_operation(sim, peer, &bytes);
  ab_slice_t value = ab_buf_slice(&bytes);
  replica_append_optimistic(peer, &value, 1);
  ab_buf_destroy(&bytes);
}

/* ---- membership ---- */

static uint64_t
append_text (replica_t *peer, const char *text) {
  ab_slice_t value = ab_text(text);
  return replica_append(peer, &value, 1, true);
}

void
sim_grant (sim_t *sim, replica_t *peer, replica_t *other) {
  static const char *const kinds[] = {
    "", "", ",\"isIndexer\":false", ",\"weight\":3", ",\"weight\":4,\"isIndexer\":false", ",\"weight\":0"};
  char key[AB_KEY_TEXT_LEN + 1], text[128];
  ab_key_to_text(&other->writer, key);
  snprintf(text, sizeof(text), "{\"addWriter\":\"%s\"%s}", key, kinds[sim_below(sim, 6)]);
  uint64_t length = append_text(peer, text);
  other->granted_at[peer->number] = length > 0 ? length : UINT64_MAX;
  sim->grants++;
}

/* Several peers may do it at once, with different weights. */
static void
act_grant (sim_t *sim) {
  replica_t *peer = any_peer(sim), *other = any_peer(sim);
  if (may_append(peer) && !other->is_retired) sim_grant(sim, peer, other);
}

/* A removal is safe once the writer has stopped. */
static void
act_retire (sim_t *sim) {
  replica_t *peer = any_peer(sim);
  ab_head_t local;
  size_t retired = 0;
  for (size_t i = 0; i < sim->count; i++) retired += sim->peers[i].is_retired;
  if (peer->is_open || !may_append(peer) || peer->waiting > 0 || 2 * (retired + 1) >= sim->count) return;
  autobee_local(peer->db, &local);
  peer->is_retired = true;
  peer->retired_length = local.length;
  net_trace(&sim->net, "%zu retires with %" PRIu64 " nodes", peer->number, local.length);
}

/* Does `peer` know all that `other` has written and all grants it ever got? */
static bool
knows_all_of (sim_t *sim, replica_t *peer, const replica_t *other) {
  if (replica_record(peer, &other->writer).length != other->retired_length) return false;
  for (size_t i = 0; i < sim->count; i++) {
    if (replica_record(peer, &sim->peers[i].writer).length < other->granted_at[i]) return false;
  }
  return true;
}

static void
act_remove (sim_t *sim) {
  replica_t *peer = any_peer(sim), *other = any_peer(sim);
  char key[AB_KEY_TEXT_LEN + 1], text[128];
  if (!may_append(peer) || !other->is_retired || !knows_all_of(sim, peer, other)) return;
  ab_key_to_text(&other->writer, key);
  snprintf(text, sizeof(text), "{\"removeWriter\":\"%s\"}", key);
  append_text(peer, text);
  sim->removals++;
}

/* ---- the network and the machines ---- */

void
sim_connect (sim_t *sim, size_t a, size_t b) {
  bool same_side = ((sim->sides >> a ^ sim->sides >> b) & 1) == 0;
  if (a != b && same_side) net_connect(&sim->net, a, b);
}

static void
act_connect (sim_t *sim) {
  sim_connect(sim, any_peer(sim)->number, any_peer(sim)->number);
}

static void
act_cut (sim_t *sim) {
  size_t a = any_peer(sim)->number, b = any_peer(sim)->number;
  bool a_is_told = !sim_one_in(sim, 4), b_is_told = !sim_one_in(sim, 4);
  if (a != b) net_cut(&sim->net, a, b, a_is_told, b_is_told);
}

static void
act_part (sim_t *sim) {
  sim->sides = sim_one_in(sim, 2) ? 0 : sim_below(sim, 1u << sim->count);
  net_trace(&sim->net, "sides %x", sim->sides);
  for (size_t a = 0; a < sim->count; a++) {
    for (size_t b = 0; b < a; b++) {
      if (((sim->sides >> a ^ sim->sides >> b) & 1) != 0) net_cut(&sim->net, a, b, false, false);
    }
  }
}

void
sim_open (sim_t *sim, replica_t *peer) {
  /* the founder's store knows which database it has */
  replica_open(peer, peer == &sim->peers[0] ? NULL : &sim->key);
}

static void
act_restart (sim_t *sim) {
  replica_t *peer = any_peer(sim);
  if (peer->db == NULL) {
    if (sim_one_in(sim, 3)) sim->net.hosts[peer->number].skew_ms = sim_skew(sim);
    sim_open(sim, peer);
  } else {
    replica_close(peer);
    sim->restarts++;
    if (sim_one_in(sim, 2)) sim_open(sim, peer);
  }
}

/* Before one of its next writes, whatever for. */
static void
act_lose_power (sim_t *sim) {
  replica_t *peer = any_peer(sim);
  if (peer->disk.is_watched) disk_fail_at(&peer->disk, 1 + sim_below(sim, 40));
}

void
sim_restore_power (sim_t *sim) {
  for (size_t i = 0; i < sim->count; i++)
    if (sim->peers[i].disk.is_off) replica_close(&sim->peers[i]);
}

/* A view is made anew, or half of it: then the next process begins again. */
static void
act_reindex (sim_t *sim) {
  replica_t *peer = any_peer(sim);
  if (peer->db == NULL) return;
  replica_reindex(peer);
  sim->reindexes++;
  if (sim_one_in(sim, 2)) return;
  net_run(&sim->net, sim->net.now_ms + sim_below(sim, 20));
  replica_close(peer);
  sim->restarts++;
  sim_open(sim, peer);
}

static void
act_set_clock (sim_t *sim) {
  replica_t *peer = any_peer(sim);
  int64_t skew_ms = sim_skew(sim);
  net_trace(&sim->net, "%zu has a clock that is %" PRId64 " ms off", peer->number, skew_ms);
  sim->net.hosts[peer->number].skew_ms = skew_ms;
  net_wake(&sim->net, peer->number);
}

static const struct {
  void (*act)(sim_t *sim);
  uint32_t share;
} acts[] = {
  {act_append, 40},
  {act_burst, 2},
  {act_append_optimistic, 3},
  {act_grant, 10},
  {act_retire, 4},
  {act_remove, 16},
  {act_connect, 25},
  {act_cut, 8},
  {act_part, 2},
  {act_restart, 8},
  {act_reindex, 2},
  {act_lose_power, 4},
  {act_set_clock, 1},
};

void
sim_act (sim_t *sim) {
  uint32_t total = 0, share, i = 0;
  for (size_t k = 0; k < sizeof(acts) / sizeof(acts[0]); k++) total += acts[k].share;
  for (share = sim_below(sim, total); share >= acts[i].share; i++) share -= acts[i].share;
  sim_restore_power(sim);
  acts[i].act(sim);
}

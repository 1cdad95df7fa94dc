/* simulate_peers.c: a few databases on one simulated network, and everything that goes wrong
 * there. Peers append and change who may write while connections break, bytes are lost, the
 * network falls apart, stores are closed and opened, and clocks are up to a day off. Then all are
 * connected, and when nothing moves any more all show the same order, records and view, with
 * everything that was ever appended; and so does one that comes only then.
 *
 *   simulate_peers [--seeds N | --seed S [-v] [--altered]]
 *   --seeds    run seeds 1 to N (50; 300 with AUTOBEE_FULL=1): every tenth twice, which must be the same run,
 *              and one with an apply function altered at one peer, which must be noticed
 *   -v         print the trace: virtual milliseconds and what happens
 *   --altered  alter the apply function of one peer
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "autobee/simulated_replica.h"

#define PEERS_MIN 3
#define PEERS_MAX 8
#define KEYS 24 /* few enough that peers overwrite each other's */
#define VALUES_MAX 12
#define HOUR_MS 3600000
#define DAY_MS (24 * HOUR_MS)
#define REST_MS (20 * 60000) /* if things still move then, they always will */

_Static_assert(PEERS_MAX + 1 <= NET_HOSTS_MAX, "one more comes at the end");

typedef struct {
  net_t net;
  rng_t random;
  char dir[TMPDIR_MAX];
  replica_t peers[NET_HOSTS_MAX]; /* the last one comes at the end */
  size_t count;                   /* without it */
  ab_key_t key;
  ab_key_t secret;
  unsigned sides; /* of the network: a bit per peer; who is not on the same side does not connect */
  unsigned value_number;
  uint64_t restarts, grants, removals;
} sim_t;

/* Nothing here is about power: what the stores sync need not reach the disk. */
AB_API int
fsync (int fd) {
  (void) fd;
  return 0;
}

AB_API int
fdatasync (int fd) {
  (void) fd;
  return 0;
}

/* ---- random things ---- */

static uint32_t
below (sim_t *sim, uint32_t n) {
  return rng_below(&sim->random, n);
}

static bool
one_in (sim_t *sim, uint32_t n) {
  return below(sim, n) == 0;
}

static replica_t *
any_peer (sim_t *sim) {
  return &sim->peers[below(sim, (uint32_t) sim->count)];
}

static bool
may_append (const replica_t *peer) {
  return peer->db != NULL && !peer->is_retired && autobee_is_writable(peer->db);
}

/* Most clocks are right. */
static int64_t
any_skew (sim_t *sim) {
  int64_t most = !one_in(sim, 3) ? 0 : one_in(sim, 2) ? HOUR_MS : DAY_MS;
  return most == 0 ? 0 : (int64_t) below(sim, (uint32_t) (2 * most + 1)) - most;
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
  uint32_t kind = below(sim, 40), key = below(sim, KEYS);
  sim->value_number++;
  if (kind == 0) {
    write_text(out, "{\"unheard of\":1}"); /* refused, and the whole batch with it */
  } else if (kind < 6) {
    snprintf(text, sizeof(text), "{\"del\":[\"k%u\",\"k%u\"]}", key, below(sim, KEYS));
    write_text(out, text);
  } else {
    snprintf(text, sizeof(text), "{\"put\":{\"k%u\":\"%zu.%u", key, peer->number, sim->value_number);
    write_text(out, text);
    uint32_t len = kind == 6 ? below(sim, 20000) : below(sim, 100);
    uint8_t *filling = ab_buf_extend(out, len);
    if (filling != NULL) memset(filling, 'a' + (int) (sim->value_number % 26), len);
    write_text(out, "\"}}");
  }
}

static void
append_batch (sim_t *sim, replica_t *peer) {
  ab_buf_t bytes = {0};
  size_t ends[VALUES_MAX];
  ab_slice_t values[VALUES_MAX];
  size_t count = one_in(sim, 5) ? 1 + below(sim, VALUES_MAX) : 1;
  for (size_t i = 0; i < count; i++) {
    write_operation(sim, peer, &bytes);
    ends[i] = bytes.len;
  }
  for (size_t i = 0; i < count; i++) {
    size_t start = i == 0 ? 0 : ends[i - 1];
    values[i] = ab_slice(bytes.data + start, ends[i] - start);
  }
  replica_append(peer, values, count, one_in(sim, 2));
  ab_buf_destroy(&bytes);
}

static void
act_append (sim_t *sim) {
  replica_t *peer = any_peer(sim);
  uint32_t batches = one_in(sim, 8) ? 1 + below(sim, 20) : 1;
  for (uint32_t i = 0; i < batches && may_append(peer); i++) append_batch(sim, peer);
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

static void
grant (sim_t *sim, replica_t *peer, replica_t *other) {
  static const char *const kinds[] = {
    "", "", ",\"isIndexer\":false", ",\"weight\":3", ",\"weight\":4,\"isIndexer\":false", ",\"weight\":0"};
  char key[AB_KEY_TEXT_LEN + 1], text[128];
  ab_key_to_text(&other->writer, key);
  snprintf(text, sizeof(text), "{\"addWriter\":\"%s\"%s}", key, kinds[below(sim, 6)]);
  uint64_t length = append_text(peer, text);
  other->granted_at[peer->number] = length > 0 ? length : UINT64_MAX;
  sim->grants++;
}

/* Several peers may do it at once, with different weights. */
static void
act_grant (sim_t *sim) {
  replica_t *peer = any_peer(sim), *other = any_peer(sim);
  if (may_append(peer) && !other->is_retired) grant(sim, peer, other);
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

static void
connect_peers (sim_t *sim, size_t a, size_t b) {
  bool same_side = ((sim->sides >> a ^ sim->sides >> b) & 1) == 0;
  if (a != b && same_side) net_connect(&sim->net, a, b);
}

static void
act_connect (sim_t *sim) {
  connect_peers(sim, any_peer(sim)->number, any_peer(sim)->number);
}

static void
act_cut (sim_t *sim) {
  size_t a = any_peer(sim)->number, b = any_peer(sim)->number;
  bool a_is_told = !one_in(sim, 4), b_is_told = !one_in(sim, 4);
  if (a != b) net_cut(&sim->net, a, b, a_is_told, b_is_told);
}

static void
act_part (sim_t *sim) {
  sim->sides = one_in(sim, 2) ? 0 : below(sim, 1u << sim->count);
  net_trace(&sim->net, "sides %x", sim->sides);
  for (size_t a = 0; a < sim->count; a++) {
    for (size_t b = 0; b < a; b++) {
      if (((sim->sides >> a ^ sim->sides >> b) & 1) != 0) net_cut(&sim->net, a, b, false, false);
    }
  }
}

static void
open_peer (sim_t *sim, replica_t *peer) {
  /* the founder's store knows which database it has */
  replica_open(peer, peer == &sim->peers[0] ? NULL : &sim->key);
}

static void
act_restart (sim_t *sim) {
  replica_t *peer = any_peer(sim);
  if (peer->db == NULL) {
    if (one_in(sim, 3)) sim->net.hosts[peer->number].skew_ms = any_skew(sim);
    open_peer(sim, peer);
  } else {
    replica_close(peer);
    sim->restarts++;
    if (one_in(sim, 2)) open_peer(sim, peer);
  }
}

static void
act_set_clock (sim_t *sim) {
  replica_t *peer = any_peer(sim);
  int64_t skew_ms = any_skew(sim);
  net_trace(&sim->net, "%zu has a clock that is %" PRId64 " ms off", peer->number, skew_ms);
  sim->net.hosts[peer->number].skew_ms = skew_ms;
  net_wake(&sim->net, peer->number);
}

static const struct {
  void (*act)(sim_t *sim);
  uint32_t share;
} acts[] = {
  {act_append, 40},
  {act_append_optimistic, 3},
  {act_grant, 10},
  {act_retire, 4},
  {act_remove, 16},
  {act_connect, 25},
  {act_cut, 8},
  {act_part, 2},
  {act_restart, 8},
  {act_set_clock, 1},
};

static void
act (sim_t *sim) {
  uint32_t total = 0, share, i = 0;
  for (size_t k = 0; k < sizeof(acts) / sizeof(acts[0]); k++) total += acts[k].share;
  for (share = below(sim, total); share >= acts[i].share; i++) share -= acts[i].share;
  acts[i].act(sim);
}

/* ---- the end ---- */

/* Nobody is connected until all clocks have passed what the fastest has stamped; then they are right. */
static void
wait_for_clocks (sim_t *sim) {
  for (size_t a = 0; a < sim->count; a++) {
    for (size_t b = 0; b < a; b++) net_cut(&sim->net, a, b, true, true);
  }
  net_run(&sim->net, sim->net.now_ms + 2 * DAY_MS);
  for (size_t i = 0; i < sim->count; i++) sim->net.hosts[i].skew_ms = 0;
}

static void
connect_all (sim_t *sim) {
  uint32_t shape = below(sim, 3);
  for (size_t b = 1; b <= sim->count; b++) {
    if (shape == 0) connect_peers(sim, b, b - 1);
    if (shape == 1) connect_peers(sim, b, 0);
    for (size_t a = 0; shape == 2 && a < b; a++) connect_peers(sim, b, a);
  }
}

/* The number of a peer that has something to do, or -1. */
static int
busy_peer (const sim_t *sim) {
  for (size_t i = 0; i <= sim->count; i++) {
    if (!autobee_is_idle(sim->peers[i].db)) return (int) i;
  }
  return -1;
}

static void
come_to_rest (sim_t *sim) {
  net_t *net = &sim->net;
  uint64_t limit_ms = net->now_ms + REST_MS;
  while (net->failure[0] == 0 && (busy_peer(sim) >= 0 || net_busy_link(net) > 0)) {
    if (net->now_ms > limit_ms) {
      net_fail(net, "it does not come to rest: peer %d, link %u", busy_peer(sim), net_busy_link(net));
    }
    for (size_t i = 0; i < sim->count; i++) replica_nudge(&sim->peers[i]);
    net_run(net, net->now_ms + 1000);
  }
}

/* The first line that two descriptions do not share. */
static void
tell_difference (sim_t *sim, size_t a, const ab_buf_t *a_text, size_t b, const ab_buf_t *b_text) {
  const char *x = (const char *) a_text->data, *y = (const char *) b_text->data;
  size_t line = 0;
  for (size_t i = 0; x[i] == y[i]; i++) {
    if (x[i] == '\n') line = i + 1;
  }
  int x_len = (int) strcspn(x + line, "\n"), y_len = (int) strcspn(y + line, "\n");
  net_fail(&sim->net, "peer %zu has \"%.*s\" and peer %zu \"%.*s\"", a, x_len, x + line, b, y_len, y + line);
}

static void
check_all_equal (sim_t *sim) {
  ab_buf_t first = {0}, other = {0};
  for (size_t i = 0; i <= sim->count; i++) {
    ab_buf_t *text = i == 0 ? &first : &other;
    replica_describe(&sim->peers[i], sim->count, text);
    if (sim->net.is_verbose) printf("peer %zu shows\n%s", i, (const char *) text->data);
    if (i > 0 && !ab_slice_equal(ab_buf_slice(&first), ab_buf_slice(&other))) {
      tell_difference(sim, 0, &first, i, &other);
    }
  }
  ab_hasher_update(&sim->net.trace, ab_buf_slice(&first));
  ab_buf_destroy(&first);
  ab_buf_destroy(&other);
}

/* ---- a run ---- */

typedef struct {
  uint8_t trace[32];
  uint64_t peers, appends, batches, bytes, undos, disconnects, restarts, grants, removals;
  char failure[512];
} result_t;

static void
begin (sim_t *sim, uint32_t seed, bool is_verbose, bool is_altered) {
  *sim = (sim_t){.random = rng(seed)};
  sim->count = PEERS_MIN + below(sim, PEERS_MAX - PEERS_MIN + 1);
  tmpdir_make(sim->dir);
  net_init(&sim->net, seed, sim->count + 1, is_verbose);
  for (size_t i = 0; i < sizeof(sim->secret.bytes); i++) sim->secret.bytes[i] = (uint8_t) below(sim, 256);
  bool is_encrypted = one_in(sim, 4);
  bool is_open = one_in(sim, 3);
  size_t conforming = below(sim, 3 * (uint32_t) sim->count);
  net_trace(&sim->net, "%zu peers, open %d, conforming %zu", sim->count, is_open, conforming);
  uint32_t reading_us = one_in(sim, 2) ? 0 : below(sim, 200);
  for (size_t i = 0; i <= sim->count; i++) {
    replica_t *peer = &sim->peers[i];
    replica_init(peer, &sim->net, i, sim->dir);
    peer->encryption_key = is_encrypted ? &sim->secret : NULL;
    peer->is_open = is_open;
    peer->is_conforming = i == conforming;
    peer->is_altered = is_altered && i == 1;
    if (i == sim->count) break;
    sim->net.hosts[i].skew_ms = any_skew(sim);
    sim->net.hosts[i].reading_us = reading_us;
    open_peer(sim, peer);
    if (i == 0 && peer->db != NULL) autobee_key(peer->db, &sim->key);
  }
}

static void
finish (sim_t *sim, result_t *result) {
  *result = (result_t
  ){.peers = sim->count + 1,
    .restarts = sim->restarts,
    .grants = sim->grants,
    .removals = sim->removals,
    .bytes = sim->net.bytes,
    .disconnects = sim->net.disconnects};
  for (size_t i = 0; i <= sim->count; i++) {
    replica_destroy(&sim->peers[i]);
    result->appends += sim->peers[i].appends;
    result->undos += sim->peers[i].undos;
    result->batches += sim->peers[i].applies;
  }
  ab_hasher_final(&sim->net.trace, result->trace);
  snprintf(result->failure, sizeof(result->failure), "%s", sim->net.failure);
  net_destroy(&sim->net);
  tmpdir_remove(sim->dir);
}

static result_t
run_seed (uint32_t seed, bool is_verbose, bool is_altered) {
  static sim_t sim;
  result_t result;
  begin(&sim, seed, is_verbose, is_altered);
  append_batch(&sim, &sim.peers[0]);
  for (size_t a = 0; a < sim.count; a++) {
    if (a > 0 && one_in(&sim, 2)) grant(&sim, &sim.peers[0], &sim.peers[a]);
    for (size_t b = 0; b < a; b++) {
      if (one_in(&sim, 2)) connect_peers(&sim, a, b);
    }
  }
  for (uint32_t left = 80 + below(&sim, 240); left > 0 && sim.net.failure[0] == 0; left--) {
    act(&sim);
    net_run(&sim.net, sim.net.now_ms + below(&sim, one_in(&sim, 10) ? 20000 : 500));
  }

  for (size_t i = 0; i <= sim.count; i++) {
    if (sim.peers[i].db == NULL) open_peer(&sim, &sim.peers[i]);
  }
  sim.sides = 0;
  wait_for_clocks(&sim);
  connect_all(&sim);
  come_to_rest(&sim);
  if (sim.net.failure[0] == 0) check_all_equal(&sim);
  finish(&sim, &result);
  return result;
}

/* ---- the program ---- */

static void
add (result_t *sum, const result_t *result) {
  sum->peers += result->peers;
  sum->appends += result->appends;
  sum->batches += result->batches;
  sum->bytes += result->bytes;
  sum->undos += result->undos;
  sum->disconnects += result->disconnects;
  sum->restarts += result->restarts;
  sum->grants += result->grants;
  sum->removals += result->removals;
}

static void
print_sum (uint32_t seeds, const result_t *sum, double seconds) {
  printf(
    "%u seeds: %" PRIu64 " peers, %" PRIu64 " appends, %" PRIu64 " grants, %" PRIu64 " removals, %" PRIu64
    " batches applied, %" PRIu64 " reorders, %" PRIu64 " bytes, %" PRIu64 " disconnects, %" PRIu64
    " restarts, %.1f s\n",
    seeds,
    sum->peers,
    sum->appends,
    sum->grants,
    sum->removals,
    sum->batches,
    sum->undos,
    sum->bytes,
    sum->disconnects,
    sum->restarts,
    seconds
  );
}

static double
seconds_now (void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static bool
passes (uint32_t seed, bool is_verbose, bool is_altered, result_t *sum) {
  result_t result = run_seed(seed, is_verbose, is_altered);
  if (result.failure[0] == 0 && seed % 10 == 1) {
    result_t again = run_seed(seed, false, is_altered);
    if (memcmp(result.trace, again.trace, sizeof(result.trace)) != 0) {
      snprintf(result.failure, sizeof(result.failure), "made again it is another run");
    }
  }
  add(sum, &result);
  if (result.failure[0] != 0) printf("seed %u: %s\n", seed, result.failure);
  fflush(stdout);
  return result.failure[0] == 0;
}

static int
run_seeds (uint32_t seeds) {
  result_t sum = {0};
  uint32_t failed = 0;
  double start = seconds_now();
  for (uint32_t seed = 1; seed <= seeds; seed++) failed += !passes(seed, false, false, &sum);
  print_sum(seeds, &sum, seconds_now() - start);
  if (failed > 0) printf("%u of %u seeds failed; again with the trace: --seed S -v\n", failed, seeds);
  result_t altered = run_seed(1, false, true);
  printf("with one apply function altered: %s\n", altered.failure[0] == 0 ? "not noticed" : altered.failure);
  return failed > 0 || altered.failure[0] == 0;
}

int
main (int argc, char **argv) {
  static const struct option options[] = {
    {"seeds", required_argument, NULL, 'n'},
    {"seed", required_argument, NULL, 's'},
    {"altered", no_argument, NULL, 'a'},
    {0}};
  const char *full = getenv("AUTOBEE_FULL");
  uint32_t seeds = full != NULL && strcmp(full, "1") == 0 ? 300 : 50, seed = 0;
  bool is_verbose = false, is_altered = false;
  for (int option; (option = getopt_long(argc, argv, "v", options, NULL)) != -1;) {
    if (option == 'n') seeds = (uint32_t) strtoul(optarg, NULL, 10);
    else if (option == 's') seed = (uint32_t) strtoul(optarg, NULL, 10);
    else if (option == 'a') is_altered = true;
    else if (option == 'v') is_verbose = true;
    else return 2;
  }
  if (seed == 0) return run_seeds(seeds);

  result_t sum = {0};
  double start = seconds_now();
  bool passed = passes(seed, is_verbose, is_altered, &sum);
  print_sum(1, &sum, seconds_now() - start);
  return !passed;
}

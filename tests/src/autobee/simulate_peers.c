/* simulate_peers.c: a few databases on one simulated network, and everything that goes wrong
 * there. Peers append and change who may write while connections break, bytes are lost, the
 * network falls apart, stores are closed and opened or lose their power between two writes, views
 * are made anew, and clocks are up to a day off. In half of the seeds some write so much that
 * others, who were away, adopt their states. Then all are connected, and when nothing moves any
 * more all show the same order, records and view, with everything that was ever appended; and so
 * does one that comes only then. The order is also the one that follows from the logs alone.
 *
 *   simulate_peers [--seeds N | --seed S [-v] [--altered]]
 *   --seeds    run seeds 1 to N (200; 2000 with AUTOBEE_FULL=1): every tenth twice, which must be the same
 *              run, and one with an apply function altered at one peer, which must be noticed
 *   -v         print the trace: virtual milliseconds and what happens
 *   --altered  alter the apply function of one peer
 */
#define _GNU_SOURCE /* off64_t */
#include <inttypes.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "autobee/simulated_acts.h"
#include "autobee/simulated_order.h"
#include "support/runs.h"

#define REST_MS (20 * 60000) /* if things still move then, they always will */
#define QUIET_S 5            /* longer than bytes are under way */
#define SEEDS_RICH 50        /* as many have everything in them */

/* ---- the system's calls, as LMDB finds them; nothing has to reach the real disk ---- */
#pragma GCC visibility push(default)

ssize_t
pwrite (int fd, const void *data, size_t len, off_t at) {
  disk_write(fd, data, len, at);
  return syscall(SYS_pwrite64, fd, data, len, at);
}

ssize_t
write (int fd, const void *data, size_t len) {
  disk_write(fd, data, len, lseek(fd, 0, SEEK_CUR));
  return syscall(SYS_write, fd, data, len);
}

int
ftruncate (int fd, off_t len) {
  disk_truncate(fd, len);
  return (int) syscall(SYS_ftruncate, fd, len);
}

int
fsync (int fd) {
  disk_sync(fd);
  return 0;
}

int
fdatasync (int fd) {
  disk_sync(fd);
  return 0;
}

#include "support/written_in_parts.h"
#pragma GCC visibility pop

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
connect_each_other (sim_t *sim) {
  for (size_t b = 1; b <= sim->count; b++) {
    for (size_t a = 0; a < b; a++) sim_connect(sim, b, a);
  }
}

/* In a row, around the founder, or each with each: what a peer needs after a fast-forward may lie in the
 * cores of any other one. */
static void
connect_all (sim_t *sim) {
  uint32_t shape = sim->has_bursts ? 2 : sim_below(sim, 3);
  if (shape == 2) connect_each_other(sim);
  for (size_t b = 1; b <= sim->count && shape < 2; b++) sim_connect(sim, b, shape == 0 ? b - 1 : 0);
}

/* The number of a peer that has something to do, or -1. */
static int
busy_peer (const sim_t *sim) {
  for (size_t i = 0; i <= sim->count; i++) {
    if (!autobee_is_idle(sim->peers[i].db)) return (int) i;
  }
  return -1;
}

/* For a while, so that nothing is under way but what keeps connections alive. */
static void
come_to_rest (sim_t *sim) {
  net_t *net = &sim->net;
  uint64_t limit_ms = net->now_ms + REST_MS;
  for (int quiet_s = 0; net->failure[0] == 0 && quiet_s < QUIET_S; quiet_s++) {
    if (busy_peer(sim) >= 0 || net_busy_link(net) > 0) quiet_s = -1;
    if (net->now_ms > limit_ms) {
      net_fail(net, "it does not come to rest: peer %d, link %u", busy_peer(sim), net_busy_link(net));
    }
    for (size_t i = 0; i < sim->count; i++) replica_nudge(&sim->peers[i]);
    net_run(net, net->now_ms + 1000);
  }
}

/* After a fast-forward a peer wants some things only once they are read. */
static void
fetch_what_is_shown (sim_t *sim) {
  uint64_t limit_ms = sim->net.now_ms + REST_MS;
  for (size_t i = 0; i <= sim->count; i++) {
    while (sim->net.failure[0] == 0 && sim->peers[i].forwards && !replica_can_show(&sim->peers[i])) {
      net_run(&sim->net, sim->net.now_ms + 1000);
      if (sim->net.now_ms > limit_ms) net_fail(&sim->net, "peer %zu does not get what it reads", i);
    }
  }
}

/* The first line that two descriptions do not share. */
static void
tell_difference (sim_t *sim, const char *a, const ab_buf_t *a_text, const char *b, const ab_buf_t *b_text) {
  const char *x = (const char *) a_text->data, *y = (const char *) b_text->data;
  size_t line = 0;
  for (size_t i = 0; x[i] == y[i]; i++) {
    if (x[i] == '\n') line = i + 1;
  }
  int x_len = (int) strcspn(x + line, "\n"), y_len = (int) strcspn(y + line, "\n");
  net_fail(&sim->net, "%s has \"%.*s\" and %s \"%.*s\"", a, x_len, x + line, b, y_len, y + line);
}

/* Does a description begin with the order that follows from the logs? */
static void
check_order (sim_t *sim, const ab_buf_t *description) {
  static const char end[] = "writer ";
  ab_buf_t order = {0};
  simulated_order(sim->peers, sim->count, &order);
  ab_buf_append(&order, ab_text(end));
  if (description->len < order.len || memcmp(description->data, order.data, order.len) != 0) {
    ab_buf_append(&order, ab_slice("", 1));
    tell_difference(sim, "the first peer", description, "the order from the logs", &order);
  }
  ab_buf_destroy(&order);
}

static void
check_all_equal (sim_t *sim) {
  ab_buf_t first = {0}, other = {0};
  for (size_t i = 0; i <= sim->count; i++) {
    ab_buf_t *text = i == 0 ? &first : &other;
    replica_describe(&sim->peers[i], sim->count, text);
    if (sim->net.is_verbose) printf("peer %zu shows\n%s", i, (const char *) text->data);
    if (i > 0 && !ab_slice_equal(ab_buf_slice(&first), ab_buf_slice(&other))) {
      char name[32];
      snprintf(name, sizeof(name), "peer %zu", i);
      tell_difference(sim, "peer 0", &first, name, &other);
    }
  }
  check_order(sim, &first);
  ab_hasher_update(&sim->net.trace, ab_buf_slice(&first));
  ab_buf_destroy(&first);
  ab_buf_destroy(&other);
}

/* ---- a run ---- */

typedef struct {
  uint8_t trace[32];
  uint64_t peers, appends, batches, bytes, undos, disconnects, restarts, grants, removals, forwards,
    reindexes, interrupted, losses;
  char failure[512];
} result_t;

static void
begin (sim_t *sim, uint32_t seed, bool is_verbose, bool is_altered) {
  *sim = (sim_t){.random = rng(seed)};
  sim->count = PEERS_MIN + sim_below(sim, PEERS_MAX - PEERS_MIN + 1);
  tmpdir_make(sim->dir);
  net_init(&sim->net, seed, sim->count + 1, is_verbose);
  for (size_t i = 0; i < sizeof(sim->secret.bytes); i++) sim->secret.bytes[i] = (uint8_t) sim_below(sim, 256);
  bool is_encrypted = sim_one_in(sim, 4);
  bool is_open = sim_one_in(sim, 3);
  bool is_durable = sim_one_in(sim, 2);
  size_t conforming = sim_below(sim, 3 * (uint32_t) sim->count);
  net_trace(&sim->net, "%zu peers, open %d, conforming %zu", sim->count, is_open, conforming);
  sim->has_bursts = sim_one_in(sim, 2);
  uint32_t reading_us = sim_one_in(sim, 2) ? 0 : sim_below(sim, 200);
  for (size_t i = 0; i <= sim->count; i++) {
    replica_t *peer = &sim->peers[i];
    replica_init(peer, &sim->net, i, sim->dir);
    peer->encryption_key = is_encrypted ? &sim->secret : NULL;
    peer->is_open = is_open;
    peer->is_durable = is_durable;
    peer->is_conforming = i == conforming;
    peer->is_altered = is_altered && i == 1;
    peer->forwards = sim->has_bursts && !sim_one_in(sim, 4);
    peer->is_sparse = peer->forwards && sim_one_in(sim, 3);
    if (i == sim->count) break;
    sim->net.hosts[i].skew_ms = sim_skew(sim);
    sim->net.hosts[i].reading_us = reading_us;
    sim_open(sim, peer);
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
    .reindexes = sim->reindexes,
    .bytes = sim->net.bytes,
    .disconnects = sim->net.disconnects};
  for (size_t i = 0; i <= sim->count; i++) {
    replica_destroy(&sim->peers[i]);
    result->appends += sim->peers[i].appends;
    result->undos += sim->peers[i].undos;
    result->batches += sim->peers[i].applies;
    result->losses += sim->peers[i].losses;
    result->forwards += sim->peers[i].fast_forwards;
    result->interrupted += sim->peers[i].interrupted_reindexes;
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
  sim_append_batch(&sim, &sim.peers[0]);
  for (size_t a = 0; a < sim.count; a++) {
    if (a > 0 && sim_one_in(&sim, 2)) sim_grant(&sim, &sim.peers[0], &sim.peers[a]);
    for (size_t b = 0; b < a; b++) {
      if (sim_one_in(&sim, 2)) sim_connect(&sim, a, b);
    }
  }
  for (uint32_t left = 80 + sim_below(&sim, 240); left > 0 && sim.net.failure[0] == 0; left--) {
    sim_act(&sim);
    net_run(&sim.net, sim.net.now_ms + sim_below(&sim, sim_one_in(&sim, 10) ? 20000 : 500));
  }

  sim_restore_power(&sim);
  for (size_t i = 0; i <= sim.count; i++) {
    disk_fail_at(&sim.peers[i].disk, 0);
    if (sim.peers[i].db == NULL) sim_open(&sim, &sim.peers[i]);
  }
  sim.sides = 0;
  wait_for_clocks(&sim);
  connect_all(&sim);
  come_to_rest(&sim);
  fetch_what_is_shown(&sim);
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
  sum->forwards += result->forwards;
  sum->losses += result->losses;
  sum->reindexes += result->reindexes;
  sum->interrupted += result->interrupted;
}

static void
print_sum (uint32_t seeds, const result_t *sum, double seconds) {
  printf(
    "%u seeds: %" PRIu64 " peers, %" PRIu64 " appends, %" PRIu64 " grants, %" PRIu64 " removals, %" PRIu64
    " batches applied, %" PRIu64 " reorders, %" PRIu64 " bytes, %" PRIu64 " disconnects, %" PRIu64
    " restarts, %" PRIu64 " forwards, %" PRIu64 " reindexes, %" PRIu64 " of them interrupted, %" PRIu64
    " losses of power, %.1f s\n",
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
    sum->forwards,
    sum->reindexes,
    sum->interrupted,
    sum->losses,
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
  bool is_rich = sum.forwards > 0 && sum.interrupted > 0 && sum.losses > 0 && sum.removals > 0;
  if (!is_rich && seeds >= SEEDS_RICH) printf("not everything that goes wrong did\n");
  result_t altered = run_seed(1, false, true);
  printf("with one apply function altered: %s\n", altered.failure[0] == 0 ? "not noticed" : altered.failure);
  return failed > 0 || altered.failure[0] == 0 || (!is_rich && seeds >= SEEDS_RICH);
}

int
main (int argc, char **argv) {
  runs_options_t options;
  if (!runs_options(argc, argv, &options)) return 2;
  if (options.seed == 0) return run_seeds(options.seeds);

  result_t sum = {0};
  double start = seconds_now();
  bool passed = passes(options.seed, options.is_verbose, options.is_altered, &sum);
  print_sum(1, &sum, seconds_now() - start);
  return !passed;
}

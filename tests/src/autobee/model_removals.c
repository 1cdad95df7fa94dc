/* model_removals.c: a few peers that grant and remove each other while all go on writing, so that removals
 * race with what the removed write. Then peers may end differently for good (autobee.md 9.5, 13, N2 to N4),
 * and cannot be compared with each other. Each is compared after every step with a naive model of the
 * reference (naive_peer.h) that got the same blocks in the same steps: the whole order with its weights, the
 * writers' records, the heads and the view. About half of the peers run in conformance mode; naive_peer.h
 * says what production mode does otherwise.
 *
 * The model is checked by the engine, and the engine by recorded runs of the reference with such removals
 * (tests/vectors/autobee/fuzz-*-removed.json and others), which it repeats to the byte: a model that agrees
 * with it in thousands of random runs would repeat them too.
 *
 *   model_removals [--seeds N | --seed S [-v] [--altered]]
 *   --seeds    run seeds 1 to N (200; 2000 with AUTOBEE_FULL=1), and some with an altered model until that
 *              is noticed
 *   -v         print every step
 *   --altered  the models give weights as if a removal did not lower the ceiling
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "autobee/engine.h"
#include "autobee/naive_shown.h"
#include "peers.h"
#include "support/rng.h"
#include "support/runs.h"

#define PEERS_MIN 3
#define PEERS_MAX NAIVE_WRITERS_MAX
#define VALUES_MAX 4  /* of a batch */
#define VALUE_MAX 192 /* bytes */
#define SEEDS_RICH 50 /* as many have everything in them */
#define ALTERED_SEEDS 20

typedef struct {
  uint64_t runs, steps, batches, reorders, grants, removals, grants_again, restarts, apart, bounded;
} sum_t;

typedef struct {
  rng_t random;
  bool is_verbose;
  world_t world;
  size_t count;
  peer_t peers[PEERS_MAX];
  naive_peer_t models[PEERS_MAX];
  naive_logs_t logs;
  bool is_conforming[PEERS_MAX];
  uint64_t skew_ms[PEERS_MAX];
  char dir[TMPDIR_MAX];
  sum_t sum;
  char failure[512];
} race_t;

static void
AB_PRINTF (2, 3) fail(race_t *race, const char *format, ...) {
  va_list arguments;
  if (race->failure[0] != 0) return;
  va_start(arguments, format);
  vsnprintf(race->failure, sizeof(race->failure), format, arguments);
  va_end(arguments);
}

static void
AB_PRINTF (2, 3) trace(const race_t *race, const char *format, ...) {
  va_list arguments;
  if (!race->is_verbose) return;
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  printf("\n");
}

static uint32_t
below (race_t *race, uint32_t n) {
  return rng_below(&race->random, n);
}

static bool
one_in (race_t *race, uint32_t n) {
  return below(race, n) == 0;
}

/* ---- apply ---- */

static int
chain_node (autobee_apply_t *apply, const autobee_node_t *node) {
  const ab_slice_t key = ab_text("chain");
  uint64_t numbers[] = {node->length, node->weight, node->timestamp_ms, autobee_apply_clock(apply)};
  uint8_t chain[32];
  ab_slice_t before;
  int err = autobee_apply_get(apply, key, &before);
  if (err < 0 && err != AB_ENOTFOUND) return err;
  if (err == AB_ENOTFOUND) before = ab_slice(NULL, 0);
  naive_chain(chain, before, &node->writer, numbers, node->value);
  return autobee_apply_put(apply, key, ab_slice(chain, sizeof(chain)));
}

static int
apply_chain (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  int err = 0;
  for (size_t i = 0; i < count && err == 0; i++) {
    if ((err = autobee_apply_kv(apply, &nodes[i], 1, data)) == 0) err = chain_node(apply, &nodes[i]);
  }
  return err;
}

/* ---- comparing ---- */

/* The first line that they do not share. */
static void
tell_difference (race_t *race, size_t number, const ab_buf_t *peer, const ab_buf_t *model) {
  const char *a = (const char *) peer->data, *b = (const char *) model->data;
  size_t line = 0, at = 0;
  for (size_t i = 0; a[i] == b[i]; i++) {
    if (a[i] != '\n') continue;
    line = i + 1;
    at++;
  }
  int a_len = (int) strcspn(a + line, "\n"), b_len = (int) strcspn(b + line, "\n");
  const char *mode = race->is_conforming[number] ? "conformance" : "production";
  unsigned long long step = race->sum.steps;
  fail(
    race,
    "step %llu: peer %zu (%s), line %zu: it shows \"%.*s\", the model \"%.*s\"",
    step,
    number,
    mode,
    at,
    a_len,
    a + line,
    b_len,
    b + line
  );
  if (race->is_verbose) printf("---- peer %zu shows\n%s---- its model\n%s", number, a, b);
}

static void
compare (race_t *race, size_t number) {
  ab_buf_t peer = {0}, model = {0};
  const peer_t *told = &race->peers[number];
  int err = naive_show_database(&race->logs, told->db, &peer);
  naive_show_model(&race->models[number], &model);
  if (err < 0) fail(race, "reading peer %zu: %s", number, ab_err_name(err));
  else if (!ab_slice_equal(ab_buf_slice(&peer), ab_buf_slice(&model)))
    tell_difference(race, number, &peer, &model);
  if (autobee_is_writable(told->db) != race->models[number].is_writable)
    fail(race, "step %" PRIu64 ": peer %zu: may it write?", race->sum.steps, number);
  if (told->halted + told->frozen + told->rejected + told->interrupted > 0)
    fail(race, "peer %zu: something was refused or halted", number);
  ab_buf_destroy(&peer);
  ab_buf_destroy(&model);
}

/* As the recorded runs were made: the reference may leave something to the next drain. */
static int
settle (autobee_t *db) {
  autobee_info_t before = {0}, info;
  int err = 0;
  for (int quiet = 0; quiet < 3 && err == 0; quiet++) {
    if ((err = autobee_update(db)) == 0) err = autobee_info(db, &info);
    if (err == 0 && (info.undos != before.undos || info.flushes != before.flushes)) quiet = -1;
    before = info;
  }
  return err;
}

/* Take in what has arrived. */
static void
update (race_t *race, size_t number) {
  autobee_t *db = race->peers[number].db;
  int err = race->is_conforming[number] ? settle(db) : autobee_update(db);
  if (err < 0) fail(race, "updating peer %zu: %s", number, ab_err_name(err));
  naive_peer_update(&race->models[number]);
  compare(race, number);
}

/* ---- steps ---- */

static autobee_options_t
options_of (race_t *race, size_t number) {
  autobee_options_t options = peer_options(&race->peers[number]);
  options.apply = apply_chain;
  options.conformance = race->is_conforming[number];
  return options;
}

static hypercore_t *
core_at (race_t *race, size_t peer, size_t writer) {
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core = NULL;
  options.key = &race->logs.logs[writer].key;
  int err = hypercore_open(race->peers[peer].store, &options, &core);
  if (err < 0) fail(race, "core %zu of peer %zu: %s", writer, peer, ab_err_name(err));
  return core;
}

static void
make_value (race_t *race, size_t number, char *out, size_t size) {
  char key[AB_KEY_TEXT_LEN + 1];
  size_t subject = below(race, (uint32_t) race->count);
  ab_key_to_text(&race->logs.logs[subject].key, key);
  uint32_t kind = below(race, 16);
  unsigned at = below(race, NAIVE_KEYS);
  if (kind < 2) {
    snprintf(out, size, "{\"removeWriter\":\"%s\"}", key);
    race->sum.removals++;
  } else if (kind < 5) {
    const char *role = one_in(race, 2) ? "true" : "false";
    char weight[32] = "";
    if (one_in(race, 2)) snprintf(weight, sizeof(weight), ",\"weight\":%u", (unsigned) below(race, 5));
    snprintf(out, size, "{\"addWriter\":\"%s\",\"isIndexer\":%s%s}", key, role, weight);
    race->sum.grants++;
    race->sum.grants_again += naive_peer_state(&race->models[number])->records[subject].is_removed;
  } else if (kind < 7) {
    snprintf(out, size, "{\"del\":[\"k%u\"]}", at);
  } else {
    unsigned long long length = race->logs.logs[number].length;
    snprintf(
      out, size, "{\"put\":{\"k%u\":\"%zu.%llu.%u\"}}", at, number, length, (unsigned) below(race, 100)
    );
  }
}

/* Does what was appended follow from the state that it was appended to (11.1)? */
static void
check_appended (race_t *race, size_t number, uint64_t length, size_t count, const naive_state_t *before) {
  const naive_log_t *log = &race->logs.logs[number];
  const oplog_message_t *first = &log->nodes[length].message;
  uint64_t now_ms = race->peers[number].db->stamp_now_ms;
  if (log->length != length + count) fail(race, "peer %zu wrote another number of nodes", number);
  size_t links = 0;
  bool is_same = true;
  for (size_t i = 0; i < before->head_count; i++) {
    if (ab_key_equal(&before->heads[i].key, &log->key)) continue;
    is_same = is_same && links < first->link_count && ab_head_equal(&before->heads[i], &first->links[links]);
    links++;
  }
  if (!is_same || links != first->link_count) fail(race, "peer %zu links something else", number);
  if (first->timestamp_ms != (now_ms > before->timestamp_ms ? now_ms : before->timestamp_ms))
    fail(race, "peer %zu stamps another time", number);
  if (first->has_witness && !naive_may_use(&race->logs, before, number, &first->witness))
    fail(race, "peer %zu uses a witness that it may not", number);
}

static void
append (race_t *race, size_t number, const char *const *texts, size_t count) {
  ab_slice_t values[VALUES_MAX];
  peer_t *peer = &race->peers[number];
  naive_state_t before = *naive_peer_state(&race->models[number]);
  uint64_t length = race->logs.logs[number].length;
  trace(race, "%" PRIu64 ": %zu appends, from %" PRIu64 " on", race->sum.steps, number, length + 1);
  for (size_t i = 0; i < count; i++) {
    trace(race, "  %s", texts[i]);
    values[i] = ab_text(texts[i]);
  }
  if (!one_in(race, 4)) race->world.now_ms += below(race, 30);
  peer->db->stamp_now_ms = race->world.now_ms + race->skew_ms[number];
  int err = autobee_append(peer->db, values, count, 0, NULL);
  if (err != (race->models[number].is_writable ? 0 : AB_ENOTWRITABLE))
    fail(race, "step %" PRIu64 ": peer %zu appends: %s", race->sum.steps, number, ab_err_name(err));
  if (err < 0 || race->failure[0] != 0) return;
  hypercore_t *core = core_at(race, number, number);
  naive_log_read(&race->logs, number, core);
  hypercore_close(core);
  check_appended(race, number, length, count, &before);
  naive_peer_append(&race->models[number]);
  update(race, number);
}

static void
append_random (race_t *race, size_t number) {
  char texts[VALUES_MAX][VALUE_MAX];
  const char *values[VALUES_MAX];
  size_t count = one_in(race, 2) ? 1 : 1 + below(race, VALUES_MAX);
  for (size_t i = 0; i < count; i++) {
    make_value(race, number, texts[i], VALUE_MAX);
    values[i] = texts[i];
  }
  append(race, number, values, count);
}

static void
announce (race_t *race, size_t writer, size_t to, uint64_t length) {
  int err = autobee_hint(race->peers[to].db, &race->logs.logs[writer].key, length);
  if (err < 0) fail(race, "announcing to peer %zu: %s", to, ab_err_name(err));
  naive_peer_hint(&race->models[to], writer, length);
}

/* The rest of a writer's log, or some of it. */
static void
hand_over (race_t *race, size_t from, size_t to, bool is_whole, bool is_announced) {
  naive_peer_t *model = &race->models[to];
  uint64_t length = race->logs.logs[from].length, stored = model->stored[from];
  uint64_t end =
    is_whole || length - stored < 2 ? length : stored + 1 + below(race, (uint32_t) (length - stored));
  if (from == to || stored == length) return;
  peer_copy(&race->peers[from], &race->peers[to], &race->logs.logs[from].key, length, stored, end);
  trace(
    race,
    "%" PRIu64 ": %zu gets %" PRIu64 " of %" PRIu64 " of %zu%s",
    race->sum.steps,
    to,
    end,
    length,
    from,
    is_announced ? "" : ", not announced"
  );
  naive_peer_receive(model, from, length, end);
  if (is_announced) announce(race, from, to, length);
}

static void
announce_all (race_t *race, size_t to) {
  for (size_t i = 0; i < race->count; i++) {
    uint64_t length = race->models[to].lengths[i];
    if (length > 0) announce(race, i, to, length);
  }
}

/* What it has is announced again: what a restart remembers by itself is not the point here. */
static void
reopen (race_t *race, size_t number) {
  peer_t *peer = &race->peers[number];
  autobee_options_t options = options_of(race, number);
  if (peer->dir[0] == 0) return;
  trace(race, "%" PRIu64 ": %zu starts again", race->sum.steps, number);
  peer_reopen(peer, &options);
  naive_peer_open(&race->models[number]);
  race->sum.restarts++;
  announce_all(race, number);
  update(race, number);
}

static void
act (race_t *race) {
  size_t number = below(race, (uint32_t) race->count);
  uint32_t kind = below(race, 20);
  race->sum.steps++;
  if (kind < 9) {
    append_random(race, number);
    return;
  }
  if (kind == 9) {
    reopen(race, number);
    return;
  }
  bool are_many = kind > 15;
  size_t from = below(race, (uint32_t) race->count);
  if (!are_many) hand_over(race, from, number, !one_in(race, 4), true);
  for (size_t i = 0; are_many && i < race->count; i++)
    if (!one_in(race, 4)) hand_over(race, i, number, !one_in(race, 6), !one_in(race, 4));
  if (!one_in(race, 4)) update(race, number); /* else with the next step */
}

/* ---- a run ---- */

static void
open_peer (race_t *race, size_t number) {
  char dir[TMPDIR_MAX], name[16];
  peer_t *peer = &race->peers[number];
  ab_head_t local;
  bool is_on_disk = one_in(race, 4);
  snprintf(name, sizeof(name), "%zu", number);
  tmpdir_path(dir, race->dir, name);
  race->is_conforming[number] = one_in(race, 2);
  race->skew_ms[number] = below(race, 40);
  autobee_options_t options = options_of(race, number);
  const ab_key_t *key = number == 0 ? NULL : &race->logs.logs[0].key;
  peer_open(&race->world, peer, (uint8_t) (number + 1), is_on_disk ? dir : NULL, key, &options);
  autobee_local(peer->db, &local);
  race->logs.logs[number].key = local.key;
}

static void
begin (race_t *race, uint32_t seed, bool is_verbose, bool is_altered) {
  *race = (race_t){.random = rng(seed), .is_verbose = is_verbose};
  race->count = race->logs.count = PEERS_MIN + below(race, PEERS_MAX - PEERS_MIN + 1);
  tmpdir_make(race->dir);
  world_init(&race->world);
  for (size_t i = 0; i < race->count; i++) open_peer(race, i);
  for (size_t i = 0; i < race->count; i++) {
    naive_peer_init(&race->models[i], &race->logs, i);
    race->models[i].is_altered = is_altered;
    race->models[i].is_production = !race->is_conforming[i];
    naive_peer_open(&race->models[i]);
    naive_peer_update(&race->models[i]);
    trace(
      race,
      "%zu: %s, %s",
      i,
      race->is_conforming[i] ? "conformance" : "production",
      race->peers[i].dir[0] == 0 ? "in memory" : "on disk"
    );
  }
}

static void
grant_some (race_t *race) {
  for (size_t i = 1; i < race->count; i++) {
    char key[AB_KEY_TEXT_LEN + 1], text[VALUE_MAX];
    const char *values[] = {text};
    ab_key_to_text(&race->logs.logs[i].key, key);
    snprintf(
      text, sizeof(text), "{\"addWriter\":\"%s\",\"isIndexer\":%s}", key, one_in(race, 2) ? "true" : "false"
    );
    append(race, 0, values, 1);
  }
  for (size_t i = 1; i < race->count; i++) {
    hand_over(race, 0, i, true, true);
    update(race, i);
  }
}

/* Everybody gets everything. */
static void
mesh (race_t *race) {
  for (size_t to = 0; to < race->count && race->failure[0] == 0; to++) {
    for (size_t from = 0; from < race->count; from++) hand_over(race, from, to, true, true);
    announce_all(race, to);
    update(race, to);
  }
}

static bool
are_apart (race_t *race) {
  ab_buf_t first = {0}, other = {0};
  bool are_apart = false;
  naive_show_model(&race->models[0], &first);
  for (size_t i = 1; i < race->count; i++) {
    ab_buf_reset(&other);
    naive_show_model(&race->models[i], &other);
    are_apart = are_apart || !ab_slice_equal(ab_buf_slice(&first), ab_buf_slice(&other));
  }
  ab_buf_destroy(&first);
  ab_buf_destroy(&other);
  return are_apart;
}

static void
end (race_t *race) {
  for (size_t i = 0; i < race->count; i++) {
    race->sum.batches += race->models[i].count - 1;
    race->sum.reorders += race->models[i].undos;
    race->sum.bounded += race->models[i].bounded > 0;
    peer_close(&race->peers[i]);
    naive_peer_destroy(&race->models[i]);
  }
  naive_logs_destroy(&race->logs);
  tmpdir_remove(race->dir);
}

static void
add_sum (sum_t *sum, const sum_t *more) {
  sum->runs++;
  sum->steps += more->steps;
  sum->batches += more->batches;
  sum->reorders += more->reorders;
  sum->grants += more->grants;
  sum->removals += more->removals;
  sum->grants_again += more->grants_again;
  sum->restarts += more->restarts;
  sum->apart += more->apart;
  sum->bounded += more->bounded;
}

/* Writes what failed to `failure`, or "". */
static void
run_seed (uint32_t seed, bool is_verbose, bool is_altered, sum_t *sum, char failure[512]) {
  static race_t race;
  begin(&race, seed, is_verbose, is_altered);
  grant_some(&race);
  for (uint32_t left = 30 + below(&race, 51); left > 0 && race.failure[0] == 0; left--) act(&race);
  if (race.failure[0] == 0) mesh(&race);
  race.sum.apart = race.failure[0] == 0 && are_apart(&race);
  end(&race);
  add_sum(sum, &race.sum);
  memcpy(failure, race.failure, sizeof(race.failure));
}

/* ---- the program ---- */

static bool
passes (uint32_t seed, bool is_verbose, bool is_altered, sum_t *sum) {
  char failure[512];
  run_seed(seed, is_verbose, is_altered, sum, failure);
  if (failure[0] != 0) printf("seed %u: %s\n", seed, failure);
  fflush(stdout);
  return failure[0] == 0;
}

static void
print_sum (const sum_t *sum) {
  printf(
    "%" PRIu64 " runs: %" PRIu64 " steps, %" PRIu64 " batches, %" PRIu64 " reorders, %" PRIu64
    " grants, %" PRIu64 " removals, %" PRIu64 " grants again, %" PRIu64 " restarts; in %" PRIu64
    " runs the peers end differently, in %" PRIu64 " a weight was kept from rising for ever\n",
    sum->runs,
    sum->steps,
    sum->batches,
    sum->reorders,
    sum->grants,
    sum->removals,
    sum->grants_again,
    sum->restarts,
    sum->apart,
    sum->bounded
  );
}

/* Is an altered model noticed? */
static bool
notices_altered (void) {
  sum_t sum = {0};
  char failure[512];
  for (uint32_t seed = 1; seed <= ALTERED_SEEDS; seed++) {
    run_seed(seed, false, true, &sum, failure);
    if (failure[0] == 0) continue;
    printf("with altered models: seed %u: %s\n", seed, failure);
    return true;
  }
  printf("with altered models: not noticed\n");
  return false;
}

static int
run_seeds (uint32_t seeds) {
  sum_t sum = {0};
  uint32_t failed = 0;
  for (uint32_t seed = 1; seed <= seeds; seed++) failed += !passes(seed, false, false, &sum);
  print_sum(&sum);
  if (failed > 0) printf("%u of %u seeds failed; again with every step: --seed S -v\n", failed, seeds);
  bool is_rich = sum.apart > 0 && sum.grants_again > 0 && sum.reorders > 0;
  if (!is_rich && seeds >= SEEDS_RICH) printf("nothing raced\n");
  return !notices_altered() || failed > 0 || (!is_rich && seeds >= SEEDS_RICH);
}

int
main (int argc, char **argv) {
  runs_options_t options;
  if (!runs_options(argc, argv, &options)) return 2;
  if (options.seed == 0) return run_seeds(options.seeds);

  sum_t sum = {0};
  bool passed = passes(options.seed, options.is_verbose, options.is_altered, &sum);
  print_sum(&sum);
  return !passed;
}

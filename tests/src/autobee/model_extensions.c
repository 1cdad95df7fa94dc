/* model_extensions.c: small random histories of a few writers, brought to a fresh peer in every order that
 * causality allows: the merged order and the view are always the same.
 *
 * 500 histories with AUTOBEE_FULL=1, else a tenth. The seed is printed; AUTOBEE_SEED runs another.
 */
#include <stdio.h>

#include "peers.h"
#include "support/rng.h"
#include "support/runs.h"
#include "support/test.h"

#define WRITERS 3
#define BATCHES_MAX 7      /* beside the founder's grants */
#define EXTENSIONS_MAX 400 /* of one history; a history with more is not used */

/* What was written, and on top of what. */
typedef struct {
  size_t writer;
  uint64_t first, last;
  uint64_t seen[WRITERS]; /* lengths of the logs that its writer knew */
} made_t;

typedef struct {
  world_t world;
  peer_t writers[WRITERS];
  ab_key_t keys[WRITERS];
  uint64_t known[WRITERS][WRITERS]; /* by a writer, of each log */
  made_t made[BATCHES_MAX + WRITERS];
  size_t count;
  rng_t random;
} history_t;

typedef struct {
  const history_t *history;
  size_t order[BATCHES_MAX + WRITERS];
  size_t extensions;
  bool has_result;
  uint8_t view[32], merged[32];
} walk_t;

/* ---- making a history ---- */

static void
note (history_t *history, size_t writer) {
  ab_head_t local;
  made_t *made = &history->made[history->count++];
  autobee_local(history->writers[writer].db, &local);
  made->writer = writer;
  made->first = history->known[writer][writer] + 1;
  made->last = local.length;
  memcpy(made->seen, history->known[writer], sizeof(made->seen));
  history->known[writer][writer] = local.length;
}

static void
append_random (history_t *history, size_t writer) {
  char texts[3][64];
  ab_slice_t values[3];
  size_t count = 1 + rng_below(&history->random, 3);
  for (size_t i = 0; i < count; i++) {
    int len = snprintf(
      texts[i],
      sizeof(texts[i]),
      "{\"put\":{\"k%u\":\"%zu.%zu.%zu\"}}",
      (unsigned) rng_below(&history->random, 4),
      writer,
      history->count,
      i
    );
    values[i] = ab_slice(texts[i], (size_t) len);
  }
  history->world.now_ms += rng_below(&history->random, 3); /* often the same moment */
  assert_int_equal(autobee_append(history->writers[writer].db, values, count, 0, NULL), 0);
  note(history, writer);
}

/* `to` learns everything that `from` knows. */
static void
meet (history_t *history, size_t from, size_t to) {
  for (size_t w = 0; w < WRITERS; w++) {
    uint64_t have = history->known[to][w], length = history->known[from][w];
    if (w == to || have >= length) continue;
    peer_copy(&history->writers[w], &history->writers[to], &history->keys[w], length, have, length);
    assert_int_equal(autobee_hint(history->writers[to].db, &history->keys[w], length), 0);
    history->known[to][w] = length;
  }
  assert_int_equal(autobee_update(history->writers[to].db), 0);
}

static void
make (history_t *history, uint32_t seed) {
  *history = (history_t){.random = {seed}};
  world_init(&history->world);
  for (size_t w = 0; w < WRITERS; w++) {
    ab_head_t local;
    peer_open(
      &history->world, &history->writers[w], (uint8_t) (w + 1), NULL, w == 0 ? NULL : &history->keys[0], NULL
    );
    autobee_local(history->writers[w].db, &local);
    history->keys[w] = local.key;
  }
  for (size_t w = 1; w < WRITERS; w++) {
    peer_grant(&history->writers[0], &history->writers[w]);
    note(history, 0);
  }
  for (size_t w = 1; w < WRITERS; w++) meet(history, 0, w);
  size_t last = history->count + 3 + rng_below(&history->random, BATCHES_MAX - 2);
  while (history->count < last) {
    size_t a = rng_below(&history->random, WRITERS), b = rng_below(&history->random, WRITERS);
    if (rng_below(&history->random, 5) < 3) append_random(history, a);
    else if (a != b) meet(history, a, b);
  }
}

static void
destroy (history_t *history) {
  for (size_t w = 0; w < WRITERS; w++) peer_close(&history->writers[w]);
}

/* ---- all orders of arrival ---- */

static void
arrive (walk_t *walk) {
  history_t *history = (history_t *) walk->history;
  peer_t peer;
  uint8_t view[32], merged[32];
  peer_open(&history->world, &peer, 9, NULL, &history->keys[0], NULL);
  for (size_t i = 0; i < history->count; i++) {
    const made_t *made = &history->made[walk->order[i]];
    const ab_key_t *key = &history->keys[made->writer];
    peer_copy(&history->writers[made->writer], &peer, key, made->last, made->first - 1, made->last);
    assert_int_equal(autobee_hint(peer.db, key, made->last), 0);
    assert_int_equal(autobee_update(peer.db), 0);
  }
  assert_int_equal(peer_flushes(&peer), history->count);
  peer_view_hash(&peer, view);
  assert_int_equal(autobee_order_hash(peer.db, merged), 0);
  if (walk->has_result) {
    assert_memory_equal(walk->view, view, 32);
    assert_memory_equal(walk->merged, merged, 32);
  }
  memcpy(walk->view, view, 32);
  memcpy(walk->merged, merged, 32);
  walk->has_result = true;
  peer_close(&peer);
}

static bool
may_come (const made_t *made, const uint64_t *here) {
  if (here[made->writer] != made->first - 1) return false;
  for (size_t w = 0; w < WRITERS; w++)
    if (made->seen[w] > here[w]) return false;
  return true;
}

/* Go on with every batch that may come next; `each` runs for every complete order. */
static void
extend (walk_t *walk, size_t depth, const uint64_t *here, void (*each)(walk_t *walk)) {
  const history_t *history = walk->history;
  if (depth == history->count) {
    walk->extensions++;
    if (each != NULL) each(walk);
    return;
  }
  for (size_t i = 0; i < history->count && walk->extensions <= EXTENSIONS_MAX; i++) {
    uint64_t next[WRITERS];
    if (!may_come(&history->made[i], here)) continue;
    memcpy(next, here, sizeof(next));
    next[history->made[i].writer] = history->made[i].last;
    walk->order[depth] = i;
    extend(walk, depth + 1, next, each);
  }
}

static void
every_causal_arrival_ends_alike (void **state) {
  static const uint64_t nothing[WRITERS];
  uint32_t seed = runs_seed(1);
  size_t wanted = runs_full() ? 500 : 50, done = 0, extensions = 0, branching = 0;
  (void) state;
  printf("seed %u\n", (unsigned) seed);
  for (; done < wanted; seed++) {
    history_t history;
    make(&history, seed);
    walk_t count = {.history = &history}, walk = {.history = &history};
    extend(&count, 0, nothing, NULL);
    if (count.extensions <= EXTENSIONS_MAX) {
      extend(&walk, 0, nothing, arrive);
      extensions += walk.extensions;
      branching += walk.extensions > 1;
      done++;
    }
    destroy(&history);
  }
  printf("%zu histories, %zu orders of arrival\n", done, extensions);
  assert_true(branching > done / 2);
}

int
main (void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_causal_arrival_ends_alike)};
  return cmocka_run_group_tests_name("extensions", tests, NULL, NULL);
}

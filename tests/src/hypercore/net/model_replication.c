/* model_replication.c: peers that come and go, seeded. Some write, one truncates, all download live, some
 * lose blocks or read here and there; bytes travel in pieces. When all are connected again, all have
 * everything.
 *
 * Arguments: first seed and number of seeds (default 1, 25). The seed of a failure is printed.
 */
#include <stdio.h>
#include <stdlib.h>

#include "hypercore/net/wire.h"
#include "support/rng.h"

#define PEERS 4
#define CORES 2

typedef struct {
  ab_store_t *store;
  hypercore_t *cores[CORES];
  hypercore_download_t downloads[CORES];
} node_t;

typedef struct {
  rng_t rng;
  test_env_t env;
  node_t nodes[PEERS];
  wire_t wires[PEERS][PEERS]; /* i < j */
  bool linked[PEERS][PEERS];
  uint64_t blocks;
} world_t;

static uint32_t first_seed = 1, seed_count = 25;

static void
world_init (world_t *world, uint32_t seed) {
  *world = (world_t){.rng = rng(seed)};
  test_env_init(&world->env, seed);
  for (int i = 0; i < PEERS; i++) {
    node_t *node = &world->nodes[i];
    node->store = store_in_memory(&world->env);
    for (int c = 0; c < CORES; c++) {
      if (i == c) node->cores[c] = core_named(node->store, c == 0 ? "zero" : "one");
    }
  }
  for (int i = 0; i < PEERS; i++) {
    for (int c = 0; c < CORES; c++) {
      node_t *node = &world->nodes[i];
      if (node->cores[c] == NULL)
        node->cores[c] = core_of_key(node->store, hypercore_key(world->nodes[c].cores[c]));
      assert_int_equal(hypercore_download(&node->downloads[c], node->cores[c], 0, HYPERCORE_LIVE, NULL), 0);
    }
  }
}

static void
link_peers (world_t *world, int i, int j) {
  if (world->linked[i][j]) return;
  ab_stream_options_t options = ab_stream_options_default();
  options.handshake_ms = options.silence_ms = UINT32_MAX; /* bytes may wait for any time */
  options.request_ms = 2000;
  wire_open(&world->wires[i][j], world->nodes[i].store, &options, world->nodes[j].store, &options);
  world->wires[i][j].cut = 1 + rng_below(&world->rng, 3000);
  world->linked[i][j] = true;
}

static void
unlink_peers (world_t *world, int i, int j) {
  if (!world->linked[i][j]) return;
  wire_close(&world->wires[i][j]);
  world->linked[i][j] = false;
}

/* A few turns of one connection, or until all are quiet. */
static void
settle (world_t *world) {
  for (bool moved = true; moved;) {
    moved = false;
    for (int i = 0; i < PEERS; i++) {
      for (int j = i + 1; j < PEERS; j++) {
        if (world->linked[i][j] && wire_run(&world->wires[i][j]) > 1) moved = true;
      }
    }
  }
}

static void
carry_some (world_t *world) {
  int i = (int) rng_below(&world->rng, PEERS), j = (int) rng_below(&world->rng, PEERS);
  if (i > j) {
    int swap = i;
    i = j;
    j = swap;
  }
  if (i == j || !world->linked[i][j]) return;
  wire_t *wire = &world->wires[i][j];
  for (uint32_t turns = rng_below(&world->rng, 6); turns > 0; turns--) wire_step(wire);
}

static void
write_some (world_t *world) {
  int c = (int) rng_below(&world->rng, CORES);
  hypercore_t *core = world->nodes[c].cores[c];
  for (uint32_t count = 1 + rng_below(&world->rng, 40); count > 0; count--) {
    char text[48];
    snprintf(text, sizeof(text), "%llu", (unsigned long long) world->blocks++);
    append_text(core, text);
  }
  assert_int_equal(ab_store_commit(world->nodes[c].store), 0);
}

/* The cut must be seen by somebody as more blocks than before, or it is not seen at all: grow again. */
static void
truncate_some (world_t *world) {
  hypercore_t *core = world->nodes[1].cores[1];
  uint64_t length = hypercore_length(core);
  if (length < 2) return;
  assert_int_equal(hypercore_truncate(core, rng_below(&world->rng, (uint32_t) length), 0), 0);
  append_text(core, "after");
  assert_int_equal(ab_store_commit(world->nodes[1].store), 0);
}

static void
lose_some (world_t *world) {
  int i = 2 + (int) rng_below(&world->rng, PEERS - 2), c = (int) rng_below(&world->rng, CORES);
  hypercore_t *core = world->nodes[i].cores[c];
  uint64_t length = hypercore_length(core);
  if (length == 0) return;
  uint64_t start = rng_below(&world->rng, (uint32_t) length), end = start + 1 + rng_below(&world->rng, 9);
  if (end > length) end = length;
  assert_int_equal(hypercore_clear(core, start, end), 0);
  assert_int_equal(ab_store_commit(world->nodes[i].store), 0);
  hypercore_announce_clear(core, start, end);
  /* What was lost is wanted again by a download made anew. */
  hypercore_download_cancel(&world->nodes[i].downloads[c]);
  ab_store_run(world->nodes[i].store, 10, NULL);
  assert_int_equal(hypercore_download(&world->nodes[i].downloads[c], core, 0, HYPERCORE_LIVE, NULL), 0);
}

static void
step (world_t *world) {
  int i = (int) rng_below(&world->rng, PEERS - 1);
  int j = i + 1 + (int) rng_below(&world->rng, (uint32_t) (PEERS - 1 - i));
  world->env.now_ms += rng_below(&world->rng, 200);
  switch (rng_below(&world->rng, 12)) {
  case 0:
    write_some(world);
    break;
  case 1:
    link_peers(world, i, j);
    break;
  case 2:
    if (rng_below(&world->rng, 3) == 0) unlink_peers(world, i, j);
    break;
  case 3:
    if (rng_below(&world->rng, 4) == 0) truncate_some(world);
    break;
  case 4:
    if (rng_below(&world->rng, 3) == 0) lose_some(world);
    break;
  default:
    carry_some(world);
  }
}

static void
check_equal (const world_t *world, uint32_t seed) {
  for (int c = 0; c < CORES; c++) {
    hypercore_t *own = world->nodes[c].cores[c];
    uint8_t expected[32], found[32];
    uint64_t length = hypercore_length(own);
    if (length == 0) continue;
    assert_int_equal(hypercore_tree_hash(own, length, expected), 0);
    for (int i = 0; i < PEERS; i++) {
      hypercore_t *core = world->nodes[i].cores[c];
      if (hypercore_length(core) != length || hypercore_fork(core) != hypercore_fork(own) || hypercore_contiguous_length(core) != length || hypercore_tree_hash(core, length, found) != 0 || memcmp(expected, found, 32) != 0) {
        fail_msg(
          "seed %u: peer %d has %llu of %llu blocks (%llu without a gap) of core %d, fork %llu of %llu",
          seed,
          i,
          (unsigned long long) hypercore_length(core),
          (unsigned long long) length,
          (unsigned long long) hypercore_contiguous_length(core),
          c,
          (unsigned long long) hypercore_fork(core),
          (unsigned long long) hypercore_fork(own)
        );
      }
    }
  }
}

static void
run_seed (uint32_t seed) {
  world_t *world = malloc(sizeof(*world));
  world_init(world, seed);
  for (int i = 0; i < 400; i++) step(world);
  for (int i = 0; i < PEERS; i++) {
    for (int j = i + 1; j < PEERS; j++) {
      if (world->linked[i][j] && ab_stream_status(world->wires[i][j].ends[0]) != 0) {
        fail_msg("seed %u: %s", seed, ab_stream_message(world->wires[i][j].ends[0]));
      }
    }
  }
  /* A line, in one direction or the other: everything has to be handed on. */
  for (int i = 0; i < PEERS; i++) {
    for (int j = i + 1; j < PEERS; j++) unlink_peers(world, i, j);
  }
  for (int i = 0; i + 1 < PEERS; i++) link_peers(world, i, i + 1);
  settle(world);
  check_equal(world, seed);
  for (int i = 0; i < PEERS; i++) {
    for (int j = i + 1; j < PEERS; j++) unlink_peers(world, i, j);
  }
  for (int i = 0; i < PEERS; i++) assert_int_equal(ab_store_close(world->nodes[i].store), 0);
  free(world);
}

static void
all_peers_end_with_everything (void **state) {
  (void) state;
  for (uint32_t i = 0; i < seed_count; i++) run_seed(first_seed + i);
}

int
main (int argc, char **argv) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(all_peers_end_with_everything)};
  if (argc > 1) first_seed = (uint32_t) strtoul(argv[1], NULL, 10);
  if (argc > 2) seed_count = (uint32_t) strtoul(argv[2], NULL, 10);
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* model_order.c: the order under test against the plain forms of the rule, on random graphs. */
#include <stdio.h>

#include "autobee/naive_order.h"
#include "support/rng.h"
#include "support/runs.h"
#include "support/test.h"

#define WRITERS_MAX 8
#define UNITS_MAX 48
#define ARRIVALS 6

typedef struct {
  order_entry_t units[UNITS_MAX];
  size_t count;
  ab_head_t links[UNITS_MAX][WRITERS_MAX];
} graph_t;

static size_t
graphs (void) {
  return runs_full() ? 2000 : 200;
}

/* ---- random graphs ---- */

/* What a writer has seen: how many units of each. Units are made in causal order. */
typedef struct {
  ab_key_t key;
  uint64_t length;
  size_t units[UNITS_MAX]; /* positions in the graph */
  size_t count;
  size_t seen[WRITERS_MAX]; /* of each writer's units */
  uint64_t weight;
  uint64_t clock;
} writer_t;

typedef enum { CLOCKS_EQUAL, CLOCKS_RIGHT, CLOCKS_WRONG, CLOCKS_BACKWARDS } clocks_t;

static uint64_t
stamp (rng_t *random, clocks_t clocks, uint64_t now) {
  switch (clocks) {
  case CLOCKS_EQUAL:
    return 0;
  case CLOCKS_RIGHT:
    return 1000 + now;
  case CLOCKS_WRONG:
    return 1000 + rng_below(random, 10);
  default:
    return 1000 - now;
  }
}

static size_t
make_links (const graph_t *graph, const writer_t *writers, size_t count, size_t who, ab_head_t *links) {
  size_t made = 0;
  for (size_t i = 0; i < count; i++) {
    size_t seen = writers[who].seen[i];
    if (i == who || seen == 0) continue;
    const order_entry_t *unit = &graph->units[writers[i].units[seen - 1]];
    links[made++] = (ab_head_t){unit->writer, unit->last};
  }
  return made;
}

static void
make_graph (graph_t *graph, rng_t *random) {
  static writer_t writers[WRITERS_MAX];
  size_t count = 1 + rng_below(random, WRITERS_MAX);
  clocks_t clocks = (clocks_t) rng_below(random, 4);
  uint32_t weights = 1 + rng_below(random, 3);
  uint32_t talk = 1 + rng_below(random, 6);
  bool climbing = rng_below(random, 3) == 0;

  memset(writers, 0, sizeof(writers));
  for (size_t i = 0; i < count; i++) {
    for (size_t j = 0; j < 32; j++) writers[i].key.bytes[j] = (uint8_t) rng_next(random);
    if (rng_below(random, 4) == 0) memcpy(writers[i].key.bytes, writers[0].key.bytes, 31);
    writers[i].key.bytes[31] = (uint8_t) (i * 40); /* alike, but never the same */
    writers[i].weight = rng_below(random, weights + 1);
  }

  graph->count = 1 + rng_below(random, UNITS_MAX);
  for (size_t i = 0; i < graph->count; i++) {
    size_t who = rng_below(random, (uint32_t) count);
    writer_t *writer = &writers[who];
    while (rng_below(random, talk) != 0) {
      size_t whom = rng_below(random, (uint32_t) count);
      if (whom == who || writers[whom].count == 0) continue;
      size_t seen = 1 + rng_below(random, (uint32_t) writers[whom].count);
      if (writer->seen[whom] < seen) writer->seen[whom] = seen;
      if (rng_below(random, 2) == 0) break;
    }
    if (climbing) writer->weight = rng_below(random, 4); /* not as real weights go, but legal here */

    order_entry_t *unit = &graph->units[i];
    memset(unit, 0, sizeof(*unit));
    unit->writer = writer->key;
    unit->first = writer->length + 1;
    unit->last = unit->first + (rng_below(random, 4) == 0 ? rng_below(random, 5) : 0);
    unit->weight = writer->weight;
    unit->timestamp_ms = stamp(random, clocks, i);
    unit->links = graph->links[i];
    unit->link_count = make_links(graph, writers, count, who, graph->links[i]);
    unit->id = i;
    writer->length = unit->last;
    writer->units[writer->count++] = i;
    writer->seen[who] = writer->count;
  }
}

/* ---- arrivals ---- */

static bool
stands_on (const order_entry_t *unit, const order_entry_t *other) {
  if (ab_key_equal(&unit->writer, &other->writer)) return unit->first > other->first;
  for (size_t i = 0; i < unit->link_count; i++) {
    if (ab_key_equal(&unit->links[i].key, &other->writer) && unit->links[i].length >= other->first)
      return true;
  }
  return false;
}

/* A random order in which nothing arrives before what it stands on. */
static void
make_arrival (const graph_t *graph, rng_t *random, size_t *sequence) {
  bool arrived[UNITS_MAX] = {false};
  for (size_t n = 0; n < graph->count; n++) {
    size_t ready[UNITS_MAX];
    size_t ready_count = 0;
    for (size_t i = 0; i < graph->count; i++) {
      bool waits = arrived[i];
      for (size_t j = 0; j < graph->count && !waits; j++) {
        waits = !arrived[j] && stands_on(&graph->units[i], &graph->units[j]);
      }
      if (!waits) ready[ready_count++] = i;
    }
    assert_true(ready_count > 0);
    sequence[n] = ready[rng_below(random, (uint32_t) ready_count)];
    arrived[sequence[n]] = true;
  }
}

/* One insertion. Returns how many entries were undone. */
static size_t
insert (order_entry_t *list, size_t count, const order_entry_t *node, const ab_head_t *backer) {
  order_entry_t old[UNITS_MAX + 1];
  ab_arena_t arena = {0};
  size_t changed;
  size_t *order;

  assert_int_equal(autobee__order_place(list, count, node, backer, &arena, &changed, &order), 0);
  assert_true(changed <= count);
  memcpy(old, list, count * sizeof(*list));
  old[count] = *node;
  for (size_t i = changed; i <= count; i++) {
    assert_true(order[i - changed] <= count);
    list[i] = old[order[i - changed]];
  }
  assert_true(changed == count || order[0] != changed);
  ab_arena_destroy(&arena);
  return count - changed;
}

/* ---- models ---- */

static void
any_arrival_gives_the_order_from_scratch (void **state) {
  (void) state;
  static graph_t graph;
  size_t undone = 0;
  for (size_t g = 0; g < graphs(); g++) {
    uint32_t seed = runs_seed(1) + (uint32_t) g;
    rng_t random = rng(seed);
    make_graph(&graph, &random);

    size_t expected[UNITS_MAX];
    naive_order(graph.units, graph.count, expected);
    if (!naive_is_causal(graph.units, expected, graph.count)) fail_msg("seed %u: the naive order", seed);
    for (size_t a = 0; a < ARRIVALS; a++) {
      size_t sequence[UNITS_MAX];
      order_entry_t list[UNITS_MAX + 1];
      make_arrival(&graph, &random, sequence);
      for (size_t i = 0; i < graph.count; i++) {
        undone += insert(list, i, &graph.units[sequence[i]], NULL);
      }
      for (size_t i = 0; i < graph.count; i++) {
        if (list[i].id != expected[i]) {
          fail_msg(
            "seed %u, arrival %zu: unit %zu instead of %zu at %zu", seed, a, list[i].id, expected[i], i
          );
        }
      }
    }
  }
  printf("%zu graphs from seed %u, %d arrivals each, %zu undone\n", graphs(), runs_seed(1), ARRIVALS, undone);
}

/* Weights may be resolved anew between insertions: then the window is in no order of its own, only causal. */
static void
any_causal_window_is_rearranged_as_by_the_recursion (void **state) {
  (void) state;
  static graph_t graph;
  for (size_t g = 0; g < 5 * graphs(); g++) {
    uint32_t seed = runs_seed(1) + (uint32_t) g;
    rng_t random = rng(seed ^ 0x5eed);
    make_graph(&graph, &random);
    if (graph.count > 13) graph.count = 2 + rng_below(&random, 12);

    size_t sequence[UNITS_MAX];
    order_entry_t list[UNITS_MAX + 1];
    make_arrival(&graph, &random, sequence);
    size_t count = graph.count - 1;
    for (size_t i = 0; i < count; i++) list[i] = graph.units[sequence[i]];
    order_entry_t node = graph.units[sequence[count]];
    node.weight += rng_below(&random, 3);
    ab_head_t backer = {.length = 0};
    if (count > 0) {
      const order_entry_t *unit = &list[rng_below(&random, (uint32_t) count)];
      backer = (ab_head_t){unit->writer, unit->last};
    }
    const ab_head_t *backed = rng_below(&random, 2) == 0 ? &backer : NULL;

    size_t expected[UNITS_MAX + 1];
    naive_place(list, count, &node, backed, expected);
    order_entry_t placed[UNITS_MAX + 1];
    memcpy(placed, list, count * sizeof(*list));
    insert(placed, count, &node, backed);
    for (size_t i = 0; i <= count; i++) {
      uint64_t id = expected[i] == count ? node.id : list[expected[i]].id;
      if (placed[i].id != id) {
        fail_msg("seed %u: unit %zu instead of %zu at %zu", seed, (size_t) placed[i].id, (size_t) id, i);
      }
    }
  }
  printf("%zu windows from seed %u\n", 5 * graphs(), runs_seed(1));
}

/* What the engine never gives it: nodes that stand before what they link, links to oneself and ahead. */
static void
any_window_at_all_is_only_rearranged (void **state) {
  (void) state;
  static graph_t graph;
  for (size_t g = 0; g < graphs(); g++) {
    rng_t random = rng((runs_seed(1) + (uint32_t) g) ^ 0xbad);
    make_graph(&graph, &random);
    order_entry_t list[UNITS_MAX + 1];
    bool seen[UNITS_MAX] = {false};
    for (size_t i = 0; i < graph.count; i++) {
      size_t other = rng_below(&random, (uint32_t) i + 1);
      list[i] = list[other];
      list[other] = graph.units[i];
      for (size_t l = 0; l < graph.units[i].link_count; l++)
        graph.links[i][l].length = rng_below(&random, 20);
    }
    order_entry_t node = list[graph.count - 1];
    node.weight = 9;
    insert(list, graph.count - 1, &node, NULL);
    for (size_t i = 0; i < graph.count; i++) {
      assert_false(seen[list[i].id]);
      seen[list[i].id] = true;
    }
  }
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(any_window_at_all_is_only_rearranged),
    cmocka_unit_test(any_arrival_gives_the_order_from_scratch),
    cmocka_unit_test(any_causal_window_is_rearranged_as_by_the_recursion),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

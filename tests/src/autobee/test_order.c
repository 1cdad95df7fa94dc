#include <stdlib.h>

#include "autobee/naive_order.h"
#include "support/rng.h"
#include "support/test.h"

#define UNITS_MAX 16

/* A batch of one node: "b2" of writer b, links as "a1 c1". */
typedef struct {
  order_entry_t entry;
  ab_head_t links[UNITS_MAX];
} unit_t;

static ab_key_t
key_of (char writer) {
  ab_key_t key;
  memset(key.bytes, writer, sizeof(key.bytes));
  return key;
}

static void
unit (unit_t *out, const char *name, uint64_t timestamp_ms, uint64_t weight, const char *links) {
  memset(out, 0, sizeof(*out));
  out->entry.writer = key_of(name[0]);
  out->entry.first = out->entry.last = (uint64_t) (name[1] - '0');
  out->entry.timestamp_ms = timestamp_ms;
  out->entry.weight = weight;
  for (; *links != '\0'; links += links[2] == ' ' ? 3 : 2) {
    out->links[out->entry.link_count++] = (ab_head_t){key_of(links[0]), (uint64_t) (links[1] - '0')};
  }
  out->entry.links = out->links;
}

static size_t
insert (order_entry_t *list, size_t count, const order_entry_t *node, const ab_head_t *backer) {
  order_entry_t old[UNITS_MAX + 1];
  ab_arena_t arena = {0};
  size_t changed;
  size_t *order;
  assert_int_equal(autobee__order_place(list, count, node, backer, &arena, &changed, &order), 0);
  memcpy(old, list, count * sizeof(*list));
  old[count] = *node;
  for (size_t i = changed; i <= count; i++) list[i] = old[order[i - changed]];
  ab_arena_destroy(&arena);
  return count - changed;
}

static void
name_of (const order_entry_t *entry, char out[3]) {
  out[0] = (char) entry->writer.bytes[0];
  out[1] = (char) ('0' + entry->first);
  out[2] = '\0';
}

/* Inserts the units named in `arrival` ("a1 b1") and compares the order and, per arrival, what was undone. */
static void
assert_order (
  const unit_t *units, size_t count, const char *arrival, const size_t *undone, const char *expected
) {
  order_entry_t list[UNITS_MAX + 1];
  size_t length = 0;
  for (const char *at = arrival; *at != '\0'; at += at[2] == ' ' ? 3 : 2) {
    const unit_t *found = NULL;
    for (size_t i = 0; i < count; i++) {
      char name[3];
      name_of(&units[i].entry, name);
      if (memcmp(name, at, 2) == 0) found = &units[i];
    }
    assert_non_null(found);
    assert_int_equal(insert(list, length, &found->entry, NULL), undone[length]);
    length++;
  }

  char order[3 * UNITS_MAX + 1] = "";
  for (size_t i = 0; i < length; i++) {
    name_of(&list[i], order + 3 * i);
    order[3 * i + 2] = i + 1 < length ? ' ' : '\0';
  }
  assert_string_equal(order, expected);
}

/* ---- the examples of autobee.md 9.6 ---- */

static void
ties_are_broken_by_key_behind_ancestors (void **state) {
  (void) state;
  unit_t units[3];
  unit(&units[0], "z1", 5, 1, "");
  unit(&units[1], "a1", 5, 1, "z1");
  unit(&units[2], "m1", 5, 1, "");
  assert_order(units, 3, "z1 m1 a1", (size_t[]){0, 1, 2}, "z1 a1 m1");
  assert_order(units, 3, "z1 a1 m1", (size_t[]){0, 0, 0}, "z1 a1 m1");
  assert_order(units, 3, "m1 z1 a1", (size_t[]){0, 0, 2}, "z1 a1 m1");
}

static void
a_heavy_node_pulls_its_past_forward (void **state) {
  (void) state;
  unit_t units[5];
  unit(&units[0], "g1", 0, 2, "");
  unit(&units[1], "b1", 10, 1, "g1");
  unit(&units[2], "c1", 20, 1, "g1");
  unit(&units[3], "b2", 30, 1, "");
  unit(&units[4], "h1", 25, 2, "c1");
  assert_order(units, 5, "g1 b1 c1 b2 h1", (size_t[]){0, 0, 0, 0, 3}, "g1 c1 h1 b1 b2");
  assert_order(units, 5, "g1 c1 h1 b1 b2", (size_t[]){0, 0, 0, 0, 0}, "g1 c1 h1 b1 b2");
}

static void
a_writer_that_was_offline_is_merged_by_time (void **state) {
  (void) state;
  unit_t units[7];
  unit(&units[0], "g1", 0, 2, "");
  unit(&units[1], "a1", 10, 2, "g1");
  unit(&units[2], "a2", 20, 2, "");
  unit(&units[3], "a3", 30, 2, "");
  unit(&units[4], "b1", 12, 2, "g1");
  unit(&units[5], "b2", 25, 2, "");
  unit(&units[6], "c1", 13, 2, "b1");
  const char *order = "g1 a1 b1 c1 a2 b2 a3";
  assert_order(units, 7, "g1 a1 a2 a3 b1 b2 c1", (size_t[]){0, 0, 0, 0, 2, 1, 3}, order);
  assert_order(units, 7, "g1 b1 c1 b2 a1 a2 a3", (size_t[]){0, 0, 0, 0, 3, 1, 0}, order);
}

/* ---- comparing ---- */

static void
heavier_then_older_then_lower_key_comes_first (void **state) {
  (void) state;
  unit_t a, b;
  unit(&a, "b2", 9, 2, "");
  unit(&b, "a1", 1, 1, "");
  assert_true(order_before(&a.entry, &b.entry));
  unit(&b, "a1", 10, 2, "");
  assert_true(order_before(&a.entry, &b.entry));
  unit(&b, "c1", 9, 2, "");
  assert_true(order_before(&a.entry, &b.entry));
  unit(&b, "b3", 9, 2, "");
  assert_true(order_before(&a.entry, &b.entry));
  assert_false(order_before(&b.entry, &a.entry));
  assert_int_equal(autobee__order_compare(&a.entry, &a.entry), 0);
}

static void
keys_compare_as_unsigned_bytes (void **state) {
  (void) state;
  unit_t low, high;
  unit(&low, "a1", 0, 0, "");
  unit(&high, "a1", 0, 0, "");
  low.entry.writer.bytes[0] = 0x7f;
  high.entry.writer.bytes[0] = 0x80;
  assert_true(order_before(&low.entry, &high.entry));
}

/* ---- placing ---- */

static void
what_compares_behind_all_goes_to_the_end (void **state) {
  (void) state;
  unit_t units[2];
  ab_arena_t arena = {0};
  size_t changed;
  size_t *order;
  unit(&units[0], "a1", 1, 1, "");
  unit(&units[1], "b1", 2, 1, "");
  assert_int_equal(autobee__order_place(NULL, 0, &units[1].entry, NULL, &arena, &changed, &order), 0);
  assert_int_equal(changed, 0);
  assert_int_equal(order[0], 0);
  assert_int_equal(
    autobee__order_place(&units[0].entry, 1, &units[1].entry, NULL, &arena, &changed, &order), 0
  );
  assert_int_equal(changed, 1);
  assert_int_equal(order[0], 1);
  ab_arena_destroy(&arena);
}

static void
passing_ancestors_only_changes_nothing (void **state) {
  (void) state;
  unit_t units[3];
  unit(&units[0], "a1", 30, 1, "");
  unit(&units[1], "b1", 20, 1, "a1");
  unit(&units[2], "c1", 10, 1, "b1");
  assert_order(units, 3, "a1 b1 c1", (size_t[]){0, 0, 0}, "a1 b1 c1");
}

static void
a_link_into_a_batch_makes_the_batch_an_ancestor (void **state) {
  (void) state;
  unit_t batch, other, node;
  unit(&batch, "b1", 20, 1, "");
  batch.entry.last = 3;
  unit(&other, "c1", 10, 1, "");
  unit(&node, "a1", 5, 1, "b2");
  order_entry_t list[4] = {other.entry, batch.entry};
  assert_int_equal(insert(list, 2, &node.entry, NULL), 2);
  assert_int_equal(list[0].writer.bytes[0], 'b');
  assert_int_equal(list[1].writer.bytes[0], 'a');
}

static void
a_backer_is_an_ancestor_of_the_new_batch_alone (void **state) {
  (void) state;
  unit_t backer, node, later;
  unit(&backer, "b1", 20, 1, "");
  unit(&node, "a1", 10, 1, "");
  order_entry_t list[4] = {backer.entry};
  ab_head_t head = {backer.entry.writer, 1};
  assert_int_equal(insert(list, 1, &node.entry, &head), 0);
  assert_int_equal(list[0].writer.bytes[0], 'b');

  unit(&later, "c1", 5, 1, "a1"); /* takes a along, and only a */
  assert_int_equal(insert(list, 2, &later.entry, NULL), 2);
  assert_int_equal(list[0].writer.bytes[0], 'a');
  assert_int_equal(list[1].writer.bytes[0], 'c');
  assert_int_equal(list[2].writer.bytes[0], 'b');
}

static void
ancestors_that_others_had_pulled_forward_fall_back (void **state) {
  (void) state;
  unit_t units[4];
  unit(&units[0], "x1", 50, 1, "");   /* stands first because d needs it */
  unit(&units[1], "d1", 10, 1, "x1"); /* no ancestor of n */
  unit(&units[2], "y1", 20, 1, "");
  unit(&units[3], "n1", 5, 1, "x1 y1");
  assert_order(units, 4, "x1 d1 y1 n1", (size_t[]){0, 0, 0, 3}, "y1 x1 n1 d1");
}

static void
entries_in_front_of_the_stop_stay (void **state) {
  (void) state;
  unit_t units[4];
  unit(&units[0], "x1", 50, 1, "");
  unit(&units[1], "d1", 10, 1, "x1");
  unit(&units[2], "y1", 20, 1, "");
  unit(&units[3], "n1", 15, 1, "x1");
  assert_order(units, 4, "x1 d1 y1 n1", (size_t[]){0, 0, 0, 1}, "x1 d1 n1 y1");
}

/* ---- all arrivals of small graphs ---- */

typedef struct {
  const unit_t *units;
  size_t count;
  size_t expected[UNITS_MAX];
  size_t arrivals;
} graph_t;

static bool
stands_on (const order_entry_t *entry, const order_entry_t *other) {
  if (ab_key_equal(&entry->writer, &other->writer)) return entry->first > other->first;
  for (size_t i = 0; i < entry->link_count; i++) {
    if (ab_key_equal(&entry->links[i].key, &other->writer) && entry->links[i].length >= other->first)
      return true;
  }
  return false;
}

static void
each_arrival (graph_t *graph, unsigned arrived, const order_entry_t *list, size_t length) {
  if (length == graph->count) {
    graph->arrivals++;
    for (size_t i = 0; i < length; i++) assert_int_equal(list[i].id, graph->expected[i]);
    return;
  }
  for (size_t i = 0; i < graph->count; i++) {
    bool ready = (arrived & 1u << i) == 0;
    for (size_t j = 0; j < graph->count && ready; j++) {
      ready = (arrived & 1u << j) != 0 || !stands_on(&graph->units[i].entry, &graph->units[j].entry);
    }
    if (!ready) continue;
    order_entry_t next[UNITS_MAX + 1];
    memcpy(next, list, length * sizeof(*list));
    insert(next, length, &graph->units[i].entry, NULL);
    each_arrival(graph, arrived | 1u << i, next, length + 1);
  }
}

static void
all_arrivals_of_small_graphs_end_alike (void **state) {
  (void) state;
  size_t arrivals = 0;
  for (uint32_t seed = 1; seed <= 60; seed++) {
    rng_t random = rng(seed);
    unit_t units[6];
    order_entry_t entries[6];
    graph_t graph = {.units = units, .count = 6};
    uint64_t lengths[4] = {0};
    for (size_t i = 0; i < graph.count; i++) {
      size_t writer = rng_below(&random, 4);
      char name[3] = {(char) ('a' + writer), (char) ('1' + lengths[writer]++), '\0'};
      char links[UNITS_MAX * 3] = "";
      size_t length = 0;
      for (size_t other = 0; other < 4; other++) {
        if (other == writer || lengths[other] == 0 || rng_below(&random, 3) != 0) continue;
        links[length++] = (char) ('a' + other);
        links[length++] = (char) ('1' + rng_below(&random, (uint32_t) lengths[other]));
        links[length++] = ' ';
      }
      unit(&units[i], name, rng_below(&random, 6), rng_below(&random, 3), links);
      units[i].entry.id = i;
    }
    for (size_t i = 0; i < graph.count; i++) entries[i] = units[i].entry;
    naive_order(entries, graph.count, graph.expected);
    each_arrival(&graph, 0, entries, 0);
    arrivals += graph.arrivals;
  }
  assert_true(arrivals > 1000);
  print_message("%zu arrivals\n", arrivals);
}

/* ---- size ---- */

#define LONG ((size_t) 100000)

static order_entry_t *
long_window (void) {
  order_entry_t *list = calloc(LONG, sizeof(*list));
  assert_non_null(list);
  return list;
}

static void
a_long_chain_of_ever_better_nodes_is_placed (void **state) {
  (void) state;
  order_entry_t *list = long_window();
  ab_arena_t arena = {0};
  size_t changed;
  size_t *order;
  ab_head_t spoiler = {key_of('b'), 1};
  for (size_t i = 0; i < LONG; i++) {
    list[i].writer = key_of('a');
    list[i].first = list[i].last = i + 1;
    list[i].timestamp_ms = 3 * LONG - i;
  }
  list[LONG / 2].writer = key_of('b'); /* so that the order has to be made anew */
  list[LONG / 2].first = list[LONG / 2].last = 1;
  list[LONG / 2].timestamp_ms = 3 * LONG - LONG / 2 + 10;
  order_entry_t node = {key_of('c'), 1, 1, 0, 0, (ab_head_t[]){{key_of('a'), LONG}, spoiler}, 2, 0};
  assert_int_equal(autobee__order_place(list, LONG, &node, NULL, &arena, &changed, &order), 0);
  assert_true(changed < LONG);
  assert_int_equal(order[LONG - changed], LONG);
  ab_arena_destroy(&arena);
  free(list);
}

static void
a_batch_goes_deep_below_many (void **state) {
  (void) state;
  order_entry_t *list = long_window();
  ab_arena_t arena = {0};
  size_t changed;
  size_t *order;
  for (size_t i = 0; i < LONG; i++) {
    list[i].writer = key_of((char) (i % 100));
    list[i].first = list[i].last = i / 100 + 1;
    list[i].timestamp_ms = 10 + i;
  }
  order_entry_t node = {.writer = key_of('c' + 20), .first = 1, .last = 1, .timestamp_ms = 12};
  assert_int_equal(autobee__order_place(list, LONG, &node, NULL, &arena, &changed, &order), 0);
  assert_int_equal(changed, 3);
  assert_int_equal(order[0], LONG);
  for (size_t i = 3; i < LONG; i++) assert_int_equal(order[i - 2], i);
  ab_arena_destroy(&arena);
  free(list);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(ties_are_broken_by_key_behind_ancestors),
    cmocka_unit_test(a_heavy_node_pulls_its_past_forward),
    cmocka_unit_test(a_writer_that_was_offline_is_merged_by_time),
    cmocka_unit_test(heavier_then_older_then_lower_key_comes_first),
    cmocka_unit_test(keys_compare_as_unsigned_bytes),
    cmocka_unit_test(what_compares_behind_all_goes_to_the_end),
    cmocka_unit_test(passing_ancestors_only_changes_nothing),
    cmocka_unit_test(a_link_into_a_batch_makes_the_batch_an_ancestor),
    cmocka_unit_test(a_backer_is_an_ancestor_of_the_new_batch_alone),
    cmocka_unit_test(ancestors_that_others_had_pulled_forward_fall_back),
    cmocka_unit_test(entries_in_front_of_the_stop_stay),
    cmocka_unit_test(all_arrivals_of_small_graphs_end_alike),
    cmocka_unit_test(a_long_chain_of_ever_better_nodes_is_placed),
    cmocka_unit_test(a_batch_goes_deep_below_many),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

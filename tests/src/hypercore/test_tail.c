/* test_tail.c: maps, bump memory and the tails made of them. */
#include "hypercore/tail.h"

#include <stdlib.h>

#include "support/rng.h"
#include "support/test.h"

/* ---- maps ---- */

typedef struct {
  uint64_t key;
  uint64_t value;
} entry_t;

static bool
is_odd (const void *entry, const void *data) {
  (void) data;
  return (((const entry_t *) entry)->value & 1) != 0;
}

static void
a_map_agrees_with_an_array (void **state) {
  (void) state;
  enum { KEYS = 500 };
  for (uint32_t seed = 0; seed < 20; seed++) {
    ab__map_t map;
    uint64_t values[KEYS] = {0}; /* by key; 0: absent */
    uint64_t order[KEYS], count = 0, next_value = 1;
    rng_t dice = rng(seed);
    ab__map_init(&map, sizeof(entry_t), seed);
    for (int i = 0; i < 2000; i++) {
      uint64_t key = rng_below(&dice, KEYS);
      uint32_t op = rng_below(&dice, 100);
      if (op < 97) {
        bool is_new;
        assert_int_equal(ab__map_reserve(&map, 1), 0);
        entry_t *entry = ab__map_put(&map, key * 4096, &is_new); /* keys that share low bits */
        assert_true(is_new == (values[key] == 0));
        if (is_new) order[count++] = key;
        entry->value = values[key] = next_value++;
      } else if (op < 99) {
        uint64_t kept = 0;
        for (uint64_t j = 0; j < count; j++) {
          if (values[order[j]] & 1) values[order[j]] = 0;
          else order[kept++] = order[j];
        }
        count = kept;
        ab__map_filter(&map, is_odd, NULL);
      } else {
        for (uint64_t j = 0; j < count; j++) values[order[j]] = 0;
        ab__map_reset(&map, rng_below(&dice, 2) == 0 ? 0 : 1000);
        count = 0;
      }
      assert_int_equal(map.count, count);
      const entry_t *found = ab__map_find(&map, key * 4096);
      assert_true((found != NULL) == (values[key] != 0));
      if (found != NULL) assert_int_equal(found->value, values[key]);
      for (uint64_t j = 0; j < count; j++) assert_int_equal(ab__map_key(&map, j), order[j] * 4096);
    }
    ab__map_destroy(&map);
  }
}

/* ---- tails ---- */

static void
put_block (ab__tail_t *tail, uint64_t index, size_t len, uint8_t fill) {
  assert_int_equal(ab__tail_reserve(tail, 1, 0), 0);
  uint8_t *bytes = ab__tail_alloc(tail, len);
  assert_non_null(bytes);
  memset(bytes, fill, len);
  ab__tail_put_block(tail, index, ab_slice(bytes, len));
}

static void
put_node (ab__tail_t *tail, uint64_t index) {
  ab_node_t node = {.index = index, .size = index};
  assert_int_equal(ab__tail_reserve(tail, 0, 1), 0);
  ab__tail_put_node(tail, &node);
}

static void
assert_filled (const ab__tail_t *tail, uint64_t index, size_t len, uint8_t fill) {
  ab_slice_t bytes;
  assert_true(ab__tail_block(tail, index, &bytes));
  assert_int_equal(bytes.len, len);
  for (size_t i = 0; i < len; i++) assert_int_equal(bytes.data[i], fill);
}

/* Append blocks [start, end) of a tree, each filled with its number, with the nodes that each completes. */
static void
append_run (ab__tail_t *tail, uint64_t start, uint64_t end, size_t len) {
  assert_int_equal(ab__tail_reserve_run(tail, start, (size_t) (end - start)), 0);
  for (uint64_t i = start; i < end; i++) {
    ab_node_t nodes[AB_DEPTH_MAX + 1];
    size_t count = 0;
    do {
      nodes[count] = (ab_node_t){.index = 2 * i - ((1ull << count) - 1), .size = 3 * i + count};
      count++;
    } while ((i + 1) % (1ull << count) == 0);
    uint8_t *bytes = ab__tail_alloc(tail, len);
    assert_non_null(bytes);
    memset(bytes, (int) (uint8_t) i, len);
    ab__tail_append(tail, i, ab_slice(bytes, len), nodes, count);
  }
}

static void
check_run (const ab__tail_t *tail, uint64_t start, uint64_t end, size_t len) {
  ab_slice_t bytes;
  for (uint64_t i = start; i < end; i++) assert_filled(tail, i, len, (uint8_t) i);
  assert_false(ab__tail_block(tail, end, &bytes));
  assert_false(start > 0 && ab__tail_block(tail, start - 1, &bytes));
  for (uint64_t index = 0; index < 2 * end + 10; index++) {
    ab_node_t node;
    uint64_t last = ab_flat_rspan(index) / 2;
    int err = ab__tail_node(tail, index, &node);
    assert_int_equal(err, last >= start && last < end ? 0 : AB_EREMOTE);
    if (err == 0) assert_int_equal(node.index, index);
    if (err == 0) assert_int_equal(node.size, 3 * last + ab_flat_depth(index));
  }
}

static void
a_run_holds_its_blocks_and_the_nodes_they_complete (void **state) {
  (void) state;
  for (uint64_t start = 0; start < 20; start++) {
    ab__tail_t tail;
    ab__tail_init(&tail, 1);
    assert_true(ab__tail_can_append(&tail, start));
    append_run(&tail, start, start + 70, 10);
    assert_true(ab__tail_can_append(&tail, start + 70) && !ab__tail_can_append(&tail, start + 71));
    check_run(&tail, start, start + 70, 10);
    ab__tail_drop(&tail, start + 33);
    check_run(&tail, start, start + 33, 10);
    append_run(&tail, start + 33, start + 50, 10);
    check_run(&tail, start, start + 50, 10);
    ab__tail_drop(&tail, start);
    assert_true(ab__tail_is_empty(&tail));
    assert_int_equal(tail.staged, 0);
    ab__tail_destroy(&tail);
  }
}

static void
dropping_the_end_gives_its_memory_back (void **state) {
  (void) state;
  ab__tail_t tail;
  ab__tail_init(&tail, 1);
  append_run(&tail, 0, 50, 1000);
  size_t staged = tail.staged;
  for (int round = 0; round < 100; round++) {
    append_run(&tail, 50, 500, 1000);
    ab__tail_drop(&tail, 50);
    assert_int_equal(tail.staged, staged);
  }
  check_run(&tail, 0, 50, 1000);
  ab__tail_destroy(&tail);
}

static void
a_block_of_the_run_is_cleared_and_comes_back (void **state) {
  (void) state;
  ab__tail_t tail;
  ab_slice_t bytes;
  ab__tail_init(&tail, 1);
  append_run(&tail, 5, 25, 10);
  assert_int_equal(ab__tail_reserve_clear(&tail), 0);
  ab__tail_clear(&tail, 0, 8);
  assert_false(ab__tail_block(&tail, 6, &bytes));
  put_block(&tail, 6, 10, 6);
  assert_filled(&tail, 6, 10, 6);
  assert_false(ab__tail_block(&tail, 7, &bytes));
  ab__tail_drop(&tail, 10);
  assert_filled(&tail, 6, 10, 6);
  assert_filled(&tail, 9, 10, 9);
  ab__tail_drop(&tail, 5);
  assert_int_equal(tail.staged, 0);
  ab__tail_destroy(&tail);
}

static void
dropping_finds_what_came_out_of_order (void **state) {
  (void) state;
  ab__tail_t tail;
  ab__tail_init(&tail, 1);
  put_block(&tail, 9, 10, 9);
  put_block(&tail, 2, 10, 2);
  put_block(&tail, 7, 10, 7);
  put_node(&tail, 7); /* covers 0 to 7 */
  put_node(&tail, 1);
  put_node(&tail, 18);
  put_block(&tail, 3, 10, 3);
  put_block(&tail, 2, 20, 22); /* again, longer */
  ab__tail_drop(&tail, 7);
  ab_slice_t bytes;
  ab_node_t node;
  assert_false(ab__tail_block(&tail, 9, &bytes) || ab__tail_block(&tail, 7, &bytes));
  assert_filled(&tail, 2, 20, 22);
  assert_filled(&tail, 3, 10, 3);
  assert_int_equal(ab__tail_node(&tail, 1, &node), 0);
  assert_int_equal(ab__tail_node(&tail, 7, &node), AB_EREMOTE);
  assert_int_equal(ab__tail_node(&tail, 18, &node), AB_EREMOTE);
  ab__tail_drop(&tail, 0);
  assert_true(ab__tail_is_empty(&tail));
  assert_int_equal(tail.staged, 0);
  ab__tail_destroy(&tail);
}

static void
the_cut_hides_nodes_that_cover_a_cut_block (void **state) {
  (void) state;
  ab__tail_t tail;
  ab_node_t node;
  ab__tail_init(&tail, 1);
  tail.cut = 6;
  assert_int_equal(ab__tail_node(&tail, 3, &node), AB_EREMOTE);   /* 0 to 3 */
  assert_int_equal(ab__tail_node(&tail, 10, &node), AB_EREMOTE);  /* 5 */
  assert_int_equal(ab__tail_node(&tail, 7, &node), AB_ENOTFOUND); /* 0 to 7 */
  assert_int_equal(ab__tail_node(&tail, 11, &node), AB_ENOTFOUND);
  assert_int_equal(ab__tail_node(&tail, 12, &node), AB_ENOTFOUND);
  put_node(&tail, 12);
  assert_int_equal(ab__tail_node(&tail, 12, &node), 0);
  ab__tail_destroy(&tail);
}

static void
cleared_ranges_are_joined (void **state) {
  (void) state;
  enum { BLOCKS = 200 };
  rng_t dice = rng(3);
  for (int round = 0; round < 50; round++) {
    bool model[BLOCKS + 1] = {false};
    ab__tail_t tail;
    ab__tail_init(&tail, 1);
    for (int i = 0; i < 20; i++) {
      uint64_t start = rng_below(&dice, BLOCKS), end = start + 1 + rng_below(&dice, 8);
      if (end > BLOCKS) end = BLOCKS;
      if (start >= end) continue;
      assert_int_equal(ab__tail_reserve_clear(&tail), 0);
      ab__tail_clear(&tail, start, end);
      for (uint64_t b = start; b < end; b++) model[b] = true;
    }
    uint64_t at = 0;
    for (size_t i = 0; i < tail.cleared_count; i++) {
      assert_true(tail.cleared[i].start < tail.cleared[i].end);
      assert_true(i == 0 || tail.cleared[i - 1].end < tail.cleared[i].start);
      for (; at < tail.cleared[i].start; at++) assert_false(model[at]);
      for (; at < tail.cleared[i].end; at++) assert_true(model[at]);
    }
    for (; at < BLOCKS; at++) assert_false(model[at]);
    ab__tail_destroy(&tail);
  }
}

static void
a_reset_tail_is_empty_and_ready (void **state) {
  (void) state;
  ab__tail_t tail;
  ab__tail_init(&tail, 1);
  put_block(&tail, 0, 3 << 20, 1); /* more than a tail keeps */
  put_node(&tail, 0);
  assert_int_equal(ab__tail_set_user_data(&tail, "a", ab_text("b")), 0);
  tail.cut = 3;
  tail.head_changed = true;
  assert_false(ab__tail_is_empty(&tail));
  ab__tail_reset(&tail);
  assert_true(ab__tail_is_empty(&tail));
  put_block(&tail, 5, 10, 4);
  assert_filled(&tail, 5, 10, 4);
  ab__tail_destroy(&tail);
}

int
main (void) {
  static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_map_agrees_with_an_array),
    cmocka_unit_test(a_run_holds_its_blocks_and_the_nodes_they_complete),
    cmocka_unit_test(dropping_the_end_gives_its_memory_back),
    cmocka_unit_test(a_block_of_the_run_is_cleared_and_comes_back),
    cmocka_unit_test(dropping_finds_what_came_out_of_order),
    cmocka_unit_test(the_cut_hides_nodes_that_cover_a_cut_block),
    cmocka_unit_test(cleared_ranges_are_joined),
    cmocka_unit_test(a_reset_tail_is_empty_and_ready),
  };
  return cmocka_run_group_tests_name("tail", tests, NULL, NULL);
}

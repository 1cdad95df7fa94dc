#include "hypercore/flat_tree.h"
#include "support/test.h"

static void
parents_hold_their_children (void **state) {
  (void) state;
  for (uint64_t i = 1; i < 20000; i += 2) {
    uint64_t left = ab_flat_left(i), right = ab_flat_right(i);
    assert_int_equal(ab_flat_parent(left), i);
    assert_int_equal(ab_flat_parent(right), i);
    assert_int_equal(ab_flat_sibling(left), right);
    assert_int_equal(ab_flat_sibling(right), left);
    assert_int_equal(ab_flat_lspan(i), ab_flat_lspan(left));
    assert_int_equal(ab_flat_rspan(i), ab_flat_rspan(right));
    assert_int_equal(ab_flat_rspan(left) + 2, ab_flat_lspan(right));
    assert_int_equal(ab_flat_leaves(i), ab_flat_leaves(left) + ab_flat_leaves(right));
  }
}

static void
roots_cover_every_block_once (void **state) {
  uint64_t roots[AB_ROOTS_MAX];
  (void) state;
  for (uint64_t length = 0; length < 3000; length++) {
    size_t count = ab_flat_roots(length, roots);
    uint64_t next = 0;
    for (size_t i = 0; i < count; i++) {
      assert_int_equal(ab_flat_lspan(roots[i]), next);
      next = ab_flat_rspan(roots[i]) + 2;
      if (i > 0) assert_true(ab_flat_leaves(roots[i]) < ab_flat_leaves(roots[i - 1]));
    }
    assert_int_equal(next, 2 * length);
  }
}

static void
the_longest_core_stays_within_the_numbers (void **state) {
  uint64_t roots[AB_ROOTS_MAX];
  (void) state;
  size_t count = ab_flat_roots(AB_LENGTH_MAX, roots);
  assert_int_equal(count, 52);
  for (size_t i = 0; i < count; i++) {
    assert_true(roots[i] <= AB_MAX_SAFE);
    assert_true(ab_flat_depth(roots[i]) <= AB_DEPTH_MAX);
  }
  assert_int_equal(ab_flat_rspan(roots[count - 1]), 2 * AB_LENGTH_MAX - 2);
}

static void
a_climb_from_any_index_of_the_formats_ends (void **state) {
  (void) state;
  for (uint64_t from = AB_MAX_SAFE - 3000; from <= AB_MAX_SAFE; from++) {
    uint64_t at = from;
    while (ab_flat_depth(at) < AB_DEPTH_MAX) at = ab_flat_parent(at);
    assert_true(at < AB_FLAT_LIMIT);
    assert_true(ab_flat_parent(at) < AB_FLAT_LIMIT);
    assert_true(ab_flat_contains(at, from));
  }
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(parents_hold_their_children),
    cmocka_unit_test(roots_cover_every_block_once),
    cmocka_unit_test(the_longest_core_stays_within_the_numbers),
    cmocka_unit_test(a_climb_from_any_index_of_the_formats_ends),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

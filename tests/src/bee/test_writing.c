#include "bees.h"

#include <stdlib.h>

static void
put_of_the_same_value_writes_nothing (void **state) {
  hive_t *hive = *state;
  put_numbered(hive->bee, 30, "value");
  ab_head_t head = head_of(hive->bee);
  uint64_t length = hypercore_length(hive->core);
  put_numbered(hive->bee, 30, "value");
  ab_head_t after = head_of(hive->bee);
  assert_true(ab_head_equal(&head, &after));
  assert_int_equal(hypercore_length(hive->core), length);
}

static void
delete_of_a_missing_key_writes_nothing (void **state) {
  hive_t *hive = *state;
  bee_flush_t done;
  put_numbered(hive->bee, 30, "value");
  bee_batch_t *batch = begin(hive->bee);
  assert_int_equal(bee_batch_del(batch, ab_text("missing")), 0);
  assert_int_equal(bee_batch_flush(batch, &done), 0);
  assert_int_equal(done.applied, 0);
  assert_int_equal(done.blocks, 0);
}

static void
a_batch_reads_its_own_writes (void **state) {
  hive_t *hive = *state;
  bee_entry_t entry;
  put(hive->bee, "a", "old");
  put(hive->bee, "b", "old");
  bee_batch_t *batch = begin(hive->bee);
  put_in(batch, "a", "new");
  put_in(batch, "c", "new");
  assert_int_equal(bee_batch_del(batch, ab_text("b")), 0);
  assert_int_equal(bee_batch_get(batch, ab_text("a"), &entry), 0);
  assert_memory_equal(entry.value.data, "new", 3);
  assert_int_equal(bee_batch_get(batch, ab_text("b"), &entry), AB_ENOTFOUND);
  assert_int_equal(bee_batch_get(batch, ab_text("c"), &entry), 0);
  assert_value(hive->bee, "a", "old");
  assert_value(hive->bee, "b", "old");
  assert_missing(hive->bee, "c");
  flush(batch);
  assert_keys(hive->bee, NULL, "a c ");
}

static void
an_aborted_batch_leaves_no_trace (void **state) {
  hive_t *hive = *state;
  put_numbered(hive->bee, 100, "old");
  uint64_t length = hypercore_length(hive->core);
  bee_batch_t *batch = begin(hive->bee);
  for (size_t i = 0; i < 100; i++) {
    if (i % 3 == 0) assert_int_equal(bee_batch_del(batch, ab_text(numbered(i))), 0);
    else put_in(batch, numbered(i), "new");
  }
  bee_batch_abort(batch);
  assert_int_equal(hypercore_length(hive->core), length);
  for (size_t i = 0; i < 100; i++) assert_value(hive->bee, numbered(i), "old");
  assert_int_equal(assert_sound(hive->bee), 100);
}

static void
one_batch_of_a_core_at_a_time (void **state) {
  hive_t *hive = *state;
  bee_batch_t *first, *second;
  bee_t *other;
  assert_int_equal(bee_batch_begin(hive->bee, NULL, &first), 0);
  assert_int_equal(bee_batch_begin(hive->bee, NULL, &second), AB_EBUSY);
  assert_int_equal(bee_open(hive->core, NULL, &other), 0);
  assert_int_equal(bee_batch_begin(other, NULL, &second), AB_EBUSY);
  bee_batch_abort(first);
  assert_int_equal(bee_batch_begin(other, NULL, &second), 0);
  bee_batch_abort(second);
  bee_close(other);
}

static void
a_checkout_is_not_written_to (void **state) {
  hive_t *hive = *state;
  bee_batch_t *batch;
  put(hive->bee, "a", "1");
  bee_t *old = checkout(hive->bee, head_of(hive->bee));
  assert_int_equal(bee_batch_begin(old, NULL, &batch), AB_EREADONLY);
  assert_int_equal(bee_rollback(old, 1), AB_EREADONLY);
  bee_close(old);
}

static void
a_batch_cursor_ends_with_the_next_write (void **state) {
  hive_t *hive = *state;
  bee_cursor_t *cursor;
  bee_entry_t entry;
  put_numbered(hive->bee, 20, "1");
  bee_batch_t *batch = begin(hive->bee);
  put_in(batch, "a", "1");
  assert_int_equal(bee_batch_cursor_open(batch, NULL, &cursor), 0);
  assert_int_equal(bee_cursor_next(cursor, &entry), 0);
  assert_memory_equal(entry.key.data, "a", 1);
  put_in(batch, "a", "1"); /* no change */
  assert_int_equal(bee_cursor_next(cursor, &entry), 0);
  put_in(batch, "b", "1");
  assert_int_equal(bee_cursor_next(cursor, &entry), AB_EINVAL);
  bee_cursor_close(cursor);

  assert_int_equal(bee_batch_cursor_open(batch, NULL, &cursor), 0);
  assert_int_equal(bee_cursor_next(cursor, &entry), 0);
  flush(batch);
  assert_int_equal(bee_cursor_next(cursor, &entry), AB_EINVAL);
  bee_cursor_close(cursor);
}

static void
clear_forgets_everything_before_it (void **state) {
  hive_t *hive = *state;
  bee_flush_t done;
  put_numbered(hive->bee, 60, "old");
  bee_batch_t *batch = begin(hive->bee);
  put_in(batch, "before", "1");
  assert_int_equal(bee_batch_clear(batch), 0);
  put_in(batch, "after", "1");
  assert_int_equal(bee_batch_flush(batch, &done), 0);
  assert_int_equal(done.applied, 1);
  assert_keys(hive->bee, NULL, "after ");
}

static void
a_clear_alone_writes_nothing_and_leaves_the_empty_tree (void **state) {
  hive_t *hive = *state;
  put_numbered(hive->bee, 60, "old");
  uint64_t length = hypercore_length(hive->core);
  bee_batch_t *batch = begin(hive->bee);
  assert_int_equal(bee_batch_clear(batch), 0);
  assert_int_equal(flush(batch), 0);
  assert_int_equal(hypercore_length(hive->core), length);
  assert_int_equal(head_of(hive->bee).length, 0);
  put(hive->bee, "a", "1");
  assert_keys(hive->bee, NULL, "a ");
}

static void
a_batch_may_stay_or_start_elsewhere (void **state) {
  hive_t *hive = *state;
  bee_write_options_t options = bee_write_options_default();
  bee_batch_t *batch;
  put(hive->bee, "a", "1");
  ab_head_t first = head_of(hive->bee);
  put(hive->bee, "b", "1");
  ab_head_t second = head_of(hive->bee);
  options.base = &first;
  options.stay = true;
  assert_int_equal(bee_batch_begin(hive->bee, &options, &batch), 0);
  put_in(batch, "c", "1");
  flush(batch);
  ab_head_t now = head_of(hive->bee);
  assert_true(ab_head_equal(&now, &second));
  assert_keys(hive->bee, NULL, "a b ");
  assert_int_equal(bee_move(hive->bee, NULL, hypercore_length(hive->core)), 0);
  assert_keys(hive->bee, NULL, "a c ");
}

static void
a_batch_too_large_for_a_block_fails_as_a_whole (void **state) {
  hive_t *hive = *state;
  size_t len = (size_t) 16 << 20;
  uint8_t *huge = calloc(len, 1);
  put(hive->bee, "a", "1");
  bee_batch_t *batch = begin(hive->bee);
  put_in(batch, "b", "2");
  assert_int_equal(bee_batch_put(batch, ab_text("c"), ab_slice(huge, len)), 0);
  assert_int_equal(bee_batch_flush(batch, NULL), AB_ETOOBIG);
  assert_int_equal(hypercore_length(hive->core), 1);
  assert_keys(hive->bee, NULL, "a ");
  assert_int_equal(bee_batch_del(batch, ab_text("c")), 0); /* and can be mended */
  flush(batch);
  assert_keys(hive->bee, NULL, "a b ");
  free(huge);
}

/* Trees that grow and shrink through many levels, in orders that matter to splits and merges. */
static void
a_tree_stays_sound_in_any_order (void **state) {
  static const size_t strides[] = {1, 299, 7, 101};
  hive_t *hive = *state;
  for (size_t s = 0; s < 4; s++) {
    for (size_t i = 0; i < 300; i++) {
      put(hive->bee, numbered(i * strides[s] % 300), "value");
      if (i % 25 == 0) assert_int_equal(assert_sound(hive->bee), i + 1);
    }
    for (size_t i = 0; i < 300; i++) {
      bee_batch_t *batch = begin(hive->bee);
      assert_int_equal(bee_batch_del(batch, ab_text(numbered(i * strides[3 - s] % 300))), 0);
      flush(batch);
      if (i % 25 == 0) assert_int_equal(assert_sound(hive->bee), 299 - i);
    }
    assert_keys(hive->bee, NULL, "");
  }
}

static void
two_cores_take_turns (void **state) {
  hive_t *hive = *state;
  hypercore_t *core = core_named(hive->store, "other");
  bee_t *other;
  bee_options_t options = bee_options_default();
  options.degree = 3;
  assert_int_equal(bee_open(core, &options, &other), 0);
  bee_t *turn[2] = {hive->bee, other};
  for (size_t i = 0; i < 80; i++) {
    put(turn[i % 2], numbered(i * 37 % 80), "value");
    ab_head_t head = head_of(turn[i % 2]);
    assert_int_equal(bee_move(turn[(i + 1) % 2], &head.key, head.length), 0);
    assert_int_equal(assert_sound(turn[(i + 1) % 2]), i + 1);
  }
  assert_int_equal(hypercore_length(hive->core), 40);
  assert_int_equal(hypercore_length(core), 40);
  bee_close(other);
  hypercore_close(core);
}

static int
count_core (void *data, const ab_key_t *key) {
  (void) key;
  ++*(size_t *) data;
  return 0;
}

static void
cores_are_those_of_the_newest_table (void **state) {
  hive_t *hive = *state;
  hypercore_t *core = core_named(hive->store, "other");
  bee_t *other;
  size_t count = 0;
  assert_int_equal(bee_open(core, NULL, &other), 0);
  put(hive->bee, "a", "1");
  ab_head_t head = head_of(hive->bee);
  assert_int_equal(bee_move(other, &head.key, head.length), 0);
  put(other, "b", "2");
  assert_int_equal(bee_move(other, hypercore_key(core), 1), 0);
  assert_int_equal(bee_cores(other, count_core, &count), 0);
  assert_int_equal(count, 2);
  count = 0;
  assert_int_equal(bee_cores(hive->bee, count_core, &count), 0);
  assert_int_equal(count, 1);
  bee_close(other);
  hypercore_close(core);
}

int
main (void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, hive_setup, hive_teardown)
  const struct CMUnitTest tests[] = {
    TEST(put_of_the_same_value_writes_nothing),
    TEST(delete_of_a_missing_key_writes_nothing),
    TEST(a_batch_reads_its_own_writes),
    TEST(an_aborted_batch_leaves_no_trace),
    TEST(one_batch_of_a_core_at_a_time),
    TEST(a_checkout_is_not_written_to),
    TEST(a_batch_cursor_ends_with_the_next_write),
    TEST(clear_forgets_everything_before_it),
    TEST(a_clear_alone_writes_nothing_and_leaves_the_empty_tree),
    TEST(a_batch_may_stay_or_start_elsewhere),
    TEST(a_batch_too_large_for_a_block_fails_as_a_whole),
    TEST(a_tree_stays_sound_in_any_order),
    TEST(two_cores_take_turns),
    TEST(cores_are_those_of_the_newest_table),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

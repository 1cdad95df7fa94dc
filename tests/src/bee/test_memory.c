/* test_memory.c: what is remembered of blocks: never too much, never what is not so any more. */
#include "bee/handle.h"
#include "bees.h"

#include <stdio.h>

static const bee__cache_t *
cache_of (const hive_t *hive) {
  return hive->bee->family->cache;
}

static void
the_cache_keeps_its_bound (void **state) {
  (void) state;
  hive_t *hive = hive_with(16, 50000);
  size_t most = 0;
  for (size_t i = 0; i < 20; i++) {
    bee_batch_t *batch = begin(hive->bee);
    for (size_t n = 0; n < 50; n++) put_in(batch, numbered((i * 50 + n) * 7 % 1000), "some value");
    flush(batch);
  }
  for (size_t i = 0; i < 1000; i++) {
    assert_value(hive->bee, numbered(i * 13 % 1000), "some value");
    if (cache_of(hive)->bytes > most) most = cache_of(hive)->bytes;
  }
  assert_true(most > 25000);
  assert_true(most < 50000 + 50000); /* and what one lookup brings */
  assert_int_equal(assert_sound(hive->bee), 1000);
  hive_close(hive);
}

/* Pages that have to be read again would show as a growing count. */
static void
what_was_just_written_is_not_read_again (void **state) {
  hive_t *hive = *state;
  put_numbered(hive->bee, 100, "value");
  hypercore_t *core = hive->core;
  size_t pages = cache_of(hive)->page_count;
  assert_int_equal(pages, hypercore_length(core));
  for (size_t i = 0; i < 50; i++) put(hive->bee, numbered(i * 31 % 100), numbered(i));
  assert_int_equal(cache_of(hive)->page_count, hypercore_length(core));
}

static void
a_rollback_forgets_what_it_drops (void **state) {
  hive_t *hive = *state;
  bee_entry_t entry;
  put_numbered(hive->bee, 40, "old");
  ab_head_t base = head_of(hive->bee);
  for (size_t i = 0; i < 20; i++) {
    put_numbered(hive->bee, 40, i % 2 == 0 ? "dropped" : "dropped too");
    put(hive->bee, "extra", numbered(i));
    assert_value(hive->bee, "extra", numbered(i));
    ab_head_t dropped = head_of(hive->bee);
    assert_int_equal(bee_rollback(hive->bee, base.length), AB_EINVAL); /* its root is there */
    assert_int_equal(bee_move(hive->bee, &base.key, base.length), 0);
    assert_int_equal(bee_rollback(hive->bee, base.length), 0);
    assert_int_equal(hypercore_length(hive->core), base.length);
    assert_missing(hive->bee, "extra");
    assert_value(hive->bee, numbered(i), "old");
    bee_t *gone = checkout(hive->bee, dropped);
    assert_int_equal(bee_get(gone, ab_text("extra"), &entry), AB_ECORRUPT);
    bee_close(gone);
  }
  put(hive->bee, "extra", "kept");
  assert_value(hive->bee, "extra", "kept");
  assert_int_equal(assert_sound(hive->bee), 41);
}

static void
a_rollback_behind_our_back_is_noticed (void **state) {
  hive_t *hive = *state;
  put(hive->bee, "a", "1");
  ab_head_t base = head_of(hive->bee);
  put(hive->bee, "a", "2");
  assert_value(hive->bee, "a", "2");
  assert_int_equal(hypercore_rollback(hive->core, base.length), 0);
  bee_t *other;
  assert_int_equal(bee_open(hive->core, NULL, &other), 0);
  put(other, "a", "3");
  assert_value(other, "a", "3");
  assert_value(hive->bee, "a", "3"); /* whose head has the same name */
  bee_close(other);
}

static void
a_cursor_over_what_was_dropped_fails (void **state) {
  hive_t *hive = *state;
  bee_cursor_t *kept, *dropped;
  bee_entry_t entry;
  put_numbered(hive->bee, 40, "old");
  assert_int_equal(ab_store_commit(hive->store), 0);
  ab_head_t base = head_of(hive->bee);
  assert_int_equal(bee_cursor_open(hive->bee, NULL, &kept), 0);
  put_numbered(hive->bee, 40, "new");
  assert_int_equal(bee_cursor_open(hive->bee, NULL, &dropped), 0);
  assert_int_equal(bee_cursor_next(dropped, &entry), 0);
  assert_int_equal(bee_move(hive->bee, &base.key, base.length), 0);
  assert_int_equal(bee_rollback(hive->bee, base.length), 0);
  assert_memory_equal(entry.value.data, "new", 3); /* borrowed until the next call on the cursor */
  put_numbered(hive->bee, 40, "different");
  assert_int_equal(bee_cursor_next(dropped, &entry), AB_ECONFLICT);
  for (size_t i = 0; i < 40; i++) {
    assert_int_equal(bee_cursor_next(kept, &entry), 0);
    assert_memory_equal(entry.value.data, "old", 3);
  }
  assert_int_equal(bee_cursor_next(kept, &entry), AB_EEND);
  bee_cursor_close(kept);
  bee_cursor_close(dropped);
}

static void
what_is_forgotten_is_read_again (void **state) {
  hive_t *hive = *state;
  bee_cursor_t *cursor;
  bee_entry_t entry;
  put_numbered(hive->bee, 40, "old");
  uint64_t length = hypercore_length(hive->core);
  size_t pages = cache_of(hive)->page_count;
  put_numbered(hive->bee, 40, "new");
  assert_int_equal(ab_store_commit(hive->store), 0);
  assert_int_equal(bee_cursor_open(hive->bee, NULL, &cursor), 0);
  assert_int_equal(bee_cursor_next(cursor, &entry), 0);
  bee_forget(hive->bee, length);
  assert_int_equal(cache_of(hive)->page_count, pages);
  assert_memory_equal(entry.value.data, "new", 3); /* borrowed until the next call on the cursor */
  for (size_t i = 1; i < 40; i++) {
    assert_int_equal(bee_cursor_next(cursor, &entry), 0);
    assert_memory_equal(entry.value.data, "new", 3);
  }
  assert_int_equal(bee_cursor_next(cursor, &entry), AB_EEND);
  bee_cursor_close(cursor);
  assert_true(cache_of(hive)->page_count > pages);
  assert_int_equal(assert_sound(hive->bee), 40);
}

static void
no_rollback_under_an_open_batch (void **state) {
  hive_t *hive = *state;
  put(hive->bee, "a", "1");
  bee_batch_t *batch = begin(hive->bee);
  assert_int_equal(bee_rollback(hive->bee, 1), AB_EBUSY);
  bee_batch_abort(batch);
  assert_int_equal(bee_rollback(hive->bee, 1), 0);
}

static void
a_batch_over_what_was_dropped_is_not_written (void **state) {
  hive_t *hive = *state;
  put(hive->bee, "a", "1");
  put(hive->bee, "a", "2");
  bee_batch_t *batch = begin(hive->bee);
  put_in(batch, "b", "1");
  assert_int_equal(hypercore_rollback(hive->core, 1), 0);
  assert_int_equal(bee_batch_flush(batch, NULL), AB_ECONFLICT);
  bee_batch_abort(batch);
  assert_int_equal(hypercore_length(hive->core), 1);
  assert_int_equal(bee_move(hive->bee, NULL, 1), 0);
  put(hive->bee, "b", "2");
  assert_keys(hive->bee, NULL, "a b ");
}

/* The core table that the dropped blocks had brought is not written any more. */
static void
the_core_table_goes_back_too (void **state) {
  hive_t *hive = *state;
  hypercore_t *core = core_named(hive->store, "other");
  bee_t *other;
  uint8_t once[32], again[32];
  assert_int_equal(bee_open(core, NULL, &other), 0);
  put(other, "a", "1");
  put(hive->bee, "b", "1");
  ab_head_t base = head_of(hive->bee), foreign = head_of(other);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(bee_move(hive->bee, &foreign.key, foreign.length), 0);
    put(hive->bee, "c", "1");
    put(hive->bee, "d", "1");
    assert_int_equal(hypercore_tree_hash(hive->core, 3, i == 0 ? once : again), 0);
    assert_int_equal(bee_move(hive->bee, &base.key, base.length), 0);
    assert_int_equal(bee_rollback(hive->bee, base.length), 0);
  }
  assert_memory_equal(once, again, 32);
  bee_close(other);
  hypercore_close(core);
}

/* Keys that begin alike are told apart by what comes after: found out when comparisons were ties too often.
 */
static void
long_common_beginnings_are_skipped (void **state) {
  (void) state;
  hive_t *hive = hive_with(128, 0);
  char key[64];
  for (size_t round = 0; round < 3; round++) {
    bee_batch_t *batch = begin(hive->bee);
    for (size_t i = round; i < 1000; i += 3) {
      snprintf(key, sizeof(key), "some/long/path/that/is/always/the/same/%04zu", i * 7 % 1000);
      put_in(batch, key, numbered(i));
    }
    flush(batch);
    assert_sound(hive->bee);
  }
  put(hive->bee, "some", "1");
  put(hive->bee, "some/long/pbth", "1");
  put(hive->bee, "", "1");
  assert_int_equal(assert_sound(hive->bee), 1003);
  for (size_t i = 0; i < 1000; i++) {
    snprintf(key, sizeof(key), "some/long/path/that/is/always/the/same/%04zu", i * 7 % 1000);
    assert_value(hive->bee, key, numbered(i));
  }
  assert_missing(hive->bee, "some/long/path/that/is/always/the/same/");
  assert_missing(hive->bee, "some/long/path/that/is/always/the/same/0000x");
  assert_missing(hive->bee, "som");
  hive_close(hive);
}

int
main (void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, hive_setup, hive_teardown)
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_cache_keeps_its_bound),
    TEST(what_was_just_written_is_not_read_again),
    TEST(a_rollback_forgets_what_it_drops),
    TEST(a_rollback_behind_our_back_is_noticed),
    TEST(a_cursor_over_what_was_dropped_fails),
    TEST(what_is_forgotten_is_read_again),
    TEST(no_rollback_under_an_open_batch),
    TEST(a_batch_over_what_was_dropped_is_not_written),
    TEST(the_core_table_goes_back_too),
    cmocka_unit_test(long_common_beginnings_are_skipped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

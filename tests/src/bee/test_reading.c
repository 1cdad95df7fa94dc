#include "bees.h"

static void
get_sees_its_checkout_not_later_writes (void **state) {
  hive_t *hive = *state;
  put(hive->bee, "k", "old");
  bee_t *before = checkout(hive->bee, head_of(hive->bee));
  put(hive->bee, "k", "new");
  assert_value(before, "k", "old");
  assert_value(hive->bee, "k", "new");
  bee_close(before);
}

static void
absent_and_empty_values_differ (void **state) {
  hive_t *hive = *state;
  bee_batch_t *batch = begin(hive->bee);
  bee_entry_t entry;
  put_in(batch, "empty", "");
  assert_int_equal(bee_batch_put_absent(batch, ab_text("absent")), 0);
  flush(batch);
  assert_int_equal(bee_get(hive->bee, ab_text("empty"), &entry), 0);
  assert_true(entry.has_value);
  assert_int_equal(bee_get(hive->bee, ab_text("absent"), &entry), 0);
  assert_false(entry.has_value);
  assert_int_equal(entry.value.len, 0);
}

static void
the_empty_key_is_the_first (void **state) {
  hive_t *hive = *state;
  put(hive->bee, "a", "1");
  put(hive->bee, "", "2");
  assert_value(hive->bee, "", "2");
  assert_keys(hive->bee, NULL, " a ");
}

static void
an_entry_says_where_it_is_stored (void **state) {
  hive_t *hive = *state;
  bee_entry_t entry;
  put(hive->bee, "a", "1");
  put_numbered(hive->bee, 3, "2");
  put(hive->bee, "z", "3");
  assert_int_equal(bee_get(hive->bee, ab_text(numbered(2)), &entry), 0);
  assert_int_equal(entry.seq, 1);
  assert_int_equal(entry.offset, 2);
  assert_true(ab_key_equal(&entry.core, hypercore_key(hive->core)));
}

static void
a_range_has_its_bounds (void **state) {
  static const struct {
    const char *lower, *upper;
    bool lower_open, upper_open, reverse;
    uint64_t limit;
    const char *expected;
  } cases[] = {
    {NULL, NULL, false, false, false, 0, "b d f h j l n p r t "},
    {NULL, NULL, false, false, true, 0, "t r p n l j h f d b "},
    {"f", NULL, false, false, false, 3, "f h j "},
    {"f", NULL, true, false, false, 2, "h j "},
    {"e", NULL, true, false, false, 2, "f h "},
    {NULL, "l", false, false, true, 2, "l j "},
    {NULL, "l", false, true, true, 2, "j h "},
    {NULL, "m", false, true, true, 2, "l j "},
    {"f", "l", false, false, false, 0, "f h j l "},
    {"f", "l", true, true, false, 0, "h j "},
    {"f", "l", true, true, true, 0, "j h "},
    {"f", "l", false, false, true, 0, "l j h f "},
    {"f", "f", false, false, false, 0, "f "},
    {"f", "f", true, false, false, 0, ""},
    {"l", "f", false, false, false, 0, ""},
    {"", "a", false, false, false, 0, ""},
    {"u", NULL, false, false, false, 0, ""},
    {NULL, "a", false, false, true, 0, ""},
  };
  hive_t *hive = *state;
  bee_batch_t *batch = begin(hive->bee);
  for (char c = 'b'; c <= 't'; c += 2)
    assert_int_equal(bee_batch_put(batch, ab_slice(&c, 1), ab_slice(&c, 1)), 0);
  flush(batch);
  assert_int_equal(assert_sound(hive->bee), 10);
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    bee_range_t range = {
      .has_lower = cases[i].lower != NULL,
      .has_upper = cases[i].upper != NULL,
      .lower_open = cases[i].lower_open,
      .upper_open = cases[i].upper_open,
      .reverse = cases[i].reverse,
      .limit = cases[i].limit,
    };
    if (range.has_lower) range.lower = ab_text(cases[i].lower);
    if (range.has_upper) range.upper = ab_text(cases[i].upper);
    assert_keys(hive->bee, &range, cases[i].expected);
  }
}

static void
a_cursor_stays_on_its_version (void **state) {
  hive_t *hive = *state;
  bee_cursor_t *cursor;
  bee_entry_t entry;
  put_numbered(hive->bee, 50, "old");
  assert_int_equal(bee_cursor_open(hive->bee, NULL, &cursor), 0);
  for (size_t i = 0; i < 50; i++) {
    assert_int_equal(bee_cursor_next(cursor, &entry), 0);
    assert_memory_equal(entry.key.data, numbered(i), entry.key.len);
    assert_memory_equal(entry.value.data, "old", 3);
    put(hive->bee, numbered(49 - i), "new");
    put(hive->bee, "zz", numbered(i));
  }
  assert_int_equal(bee_cursor_next(cursor, &entry), AB_EEND);
  bee_cursor_close(cursor);
}

static void
what_a_read_returns_lasts_until_the_next_read_of_the_same_handle (void **state) {
  (void) state;
  hive_t *hive = hive_with(3, 2000); /* next to no cache: everything else is forgotten at once */
  bee_entry_t entry;
  put_numbered(hive->bee, 200, "a value that is long enough to be seen");
  bee_t *other = checkout(hive->bee, head_of(hive->bee));
  assert_int_equal(bee_get(hive->bee, ab_text("key 100"), &entry), 0);
  for (size_t i = 0; i < 200; i++) assert_value(other, numbered(i), "a value that is long enough to be seen");
  bee_close(other);
  assert_memory_equal(entry.key.data, "key 100", entry.key.len);
  assert_memory_equal(entry.value.data, "a value that is long enough to be seen", entry.value.len);
  hive_close(hive);
}

static void
the_empty_tree_has_nothing (void **state) {
  hive_t *hive = *state;
  ab_head_t head = head_of(hive->bee);
  assert_int_equal(head.length, 0);
  assert_true(ab_key_equal(&head.key, hypercore_key(hive->core)));
  assert_missing(hive->bee, "k");
  assert_keys(hive->bee, NULL, "");
}

static void
a_degree_has_to_be_from_2_to_128 (void **state) {
  static const uint32_t wrong[] = {0, 1, 129, 65536};
  hive_t *hive = *state;
  bee_options_t options = bee_options_default();
  bee_t *bee;
  for (size_t i = 0; i < 4; i++) {
    options.degree = wrong[i];
    assert_int_equal(bee_open(hive->core, &options, &bee), AB_EINVAL);
  }
}

static void
the_middle_of_a_batch_is_no_version (void **state) {
  hive_t *hive = *state;
  bee_entry_t entry;
  put_numbered(hive->bee, 500, "value");
  ab_head_t head = head_of(hive->bee);
  assert_true(head.length > 1);
  head.length--;
  bee_t *bee = checkout(hive->bee, head);
  assert_int_equal(bee_get(bee, ab_text("k"), &entry), AB_ECORRUPT);
  bee_close(bee);
}

static int
note_key (void *data, ab_slice_t key, ab_slice_t value, bool has_value) {
  ab_buf_append(data, key);
  ab_buf_append(data, ab_text(has_value ? "=" : "-"));
  ab_buf_append(data, value);
  ab_buf_append(data, ab_text(" "));
  return 0;
}

static void
a_change_tells_what_a_batch_wrote (void **state) {
  hive_t *hive = *state;
  bee_batch_t *batch;
  bee_change_t change;
  ab_buf_t seen = {0};
  char text[1500];
  memset(text, 'x', sizeof(text));
  put(hive->bee, "first", "1");
  ab_head_t first = head_of(hive->bee);
  batch = begin(hive->bee);
  put_in(batch, "b", "2");
  assert_int_equal(bee_batch_put_absent(batch, ab_text("a")), 0);
  assert_int_equal(
    bee_batch_put(batch, ab_text("c"), ab_slice(text, sizeof(text))), 0
  ); /* in a block of its own */
  assert_int_equal(flush(batch), 2);
  ab_head_t head = head_of(hive->bee);
  assert_int_equal(bee_change(hive->bee, &head, &change, note_key, &seen), 0);
  assert_int_equal(change.blocks, 2);
  assert_true(ab_head_equal(&change.previous, &first));
  assert_int_equal(seen.len, 3 + 4 + 3 + sizeof(text));
  assert_memory_equal(seen.data, "a- b=2 c=xxx", 12);
  assert_int_equal(bee_change(hive->bee, &first, &change, NULL, NULL), 0);
  assert_int_equal(change.previous.length, 0);
  head.length = 0;
  assert_int_equal(bee_change(hive->bee, &head, &change, NULL, NULL), AB_EINVAL);
  ab_buf_destroy(&seen);
}

/* INSERT behind the end by one, SET and DEL at the end: as if they were not there. */
static void
operations_beyond_the_end_do_nothing (void **state) {
  static const uint8_t operations[][2] = {{0x19, 1}, {0x18, 0}, {0x1a, 0}};
  for (size_t i = 0; i < 3; i++) {
    uint8_t bytes[] = {1, 0, 0, 0, 0x0c, 1, 1, operations[i][0], operations[i][1], 0, 1, 1, 'a', 1, 1, '1'};
    ab_slice_t block = ab_slice(bytes, sizeof(bytes));
    hive_t *hive = *state;
    bee_t *bee;
    assert_int_equal(hypercore_append(hive->core, &block, 1, NULL), 0);
    assert_int_equal(bee_open(hive->core, NULL, &bee), 0);
    assert_keys(bee, NULL, "");
    bee_close(bee);
  }
}

int
main (void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, hive_setup, hive_teardown)
  const struct CMUnitTest tests[] = {
    TEST(get_sees_its_checkout_not_later_writes),
    TEST(absent_and_empty_values_differ),
    TEST(the_empty_key_is_the_first),
    TEST(an_entry_says_where_it_is_stored),
    TEST(a_range_has_its_bounds),
    TEST(a_cursor_stays_on_its_version),
    cmocka_unit_test(what_a_read_returns_lasts_until_the_next_read_of_the_same_handle),
    TEST(the_empty_tree_has_nothing),
    TEST(a_degree_has_to_be_from_2_to_128),
    TEST(the_middle_of_a_batch_is_no_version),
    TEST(a_change_tells_what_a_batch_wrote),
    TEST(operations_beyond_the_end_do_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* bees.c: bees for tests. */
#include "bees.h"

#include <stdio.h>
#include <stdlib.h>

#include "tree_check.h"

hive_t *
hive_with (uint32_t degree, size_t cache_bytes) {
  hive_t *hive = calloc(1, sizeof(*hive));
  ab_store_options_t store = ab_store_options_default();
  bee_options_t options = bee_options_default();
  assert_non_null(hive);
  store.cache_bytes = cache_bytes;
  options.degree = degree;
  hive->store = store_with(NULL, &store);
  hive->core = core_named(hive->store, "bee");
  assert_ok(hive->store, bee_open(hive->core, &options, &hive->bee));
  return hive;
}

void
hive_close (hive_t *hive) {
  bee_close(hive->bee);
  hypercore_close(hive->core);
  assert_int_equal(ab_store_close(hive->store), 0);
  free(hive);
}

int
hive_setup (void **state) {
  *state = hive_with(3, 0);
  return 0;
}

int
hive_teardown (void **state) {
  hive_close(*state);
  return 0;
}

static ab_store_t *
store_of (const bee_t *bee) {
  return hypercore_store(bee_local(bee));
}

bee_batch_t *
begin (bee_t *bee) {
  bee_batch_t *batch;
  assert_ok(store_of(bee), bee_batch_begin(bee, NULL, &batch));
  return batch;
}

uint64_t
flush (bee_batch_t *batch) {
  bee_flush_t done;
  assert_int_equal(bee_batch_flush(batch, &done), 0);
  return done.blocks;
}

void
put_in (bee_batch_t *batch, const char *key, const char *value) {
  assert_int_equal(bee_batch_put(batch, ab_text(key), ab_text(value)), 0);
}

void
put (bee_t *bee, const char *key, const char *value) {
  bee_batch_t *batch = begin(bee);
  put_in(batch, key, value);
  flush(batch);
}

const char *
numbered (size_t i) {
  static char text[32];
  snprintf(text, sizeof(text), "key %03zu", i);
  return text;
}

void
put_numbered (bee_t *bee, size_t count, const char *value) {
  bee_batch_t *batch = begin(bee);
  for (size_t i = 0; i < count; i++) put_in(batch, numbered(i), value);
  flush(batch);
}

ab_head_t
head_of (const bee_t *bee) {
  ab_head_t head;
  bee_head(bee, &head);
  return head;
}

bee_t *
checkout (bee_t *bee, ab_head_t head) {
  bee_t *out;
  assert_ok(store_of(bee), bee_checkout(bee, &head, &out));
  return out;
}

void
assert_value (bee_t *bee, const char *key, const char *value) {
  bee_entry_t entry;
  assert_ok(store_of(bee), bee_get(bee, ab_text(key), &entry));
  assert_true(ab_slice_equal(entry.key, ab_text(key)));
  assert_true(entry.has_value);
  assert_int_equal(entry.value.len, strlen(value));
  assert_memory_equal(entry.value.data, value, entry.value.len);
}

void
assert_missing (bee_t *bee, const char *key) {
  bee_entry_t entry;
  assert_int_equal(bee_get(bee, ab_text(key), &entry), AB_ENOTFOUND);
}

void
assert_keys (bee_t *bee, const bee_range_t *range, const char *expected) {
  ab_buf_t found = {0};
  bee_cursor_t *cursor;
  bee_entry_t entry;
  int err;
  assert_ok(store_of(bee), bee_cursor_open(bee, range, &cursor));
  while ((err = bee_cursor_next(cursor, &entry)) == 0) {
    ab_buf_append(&found, entry.key);
    ab_buf_append(&found, ab_text(" "));
  }
  assert_int_equal(err, AB_EEND);
  bee_cursor_close(cursor);
  ab_buf_append(&found, ab_slice("", 1));
  assert_string_equal((const char *) found.data, expected);
  ab_buf_destroy(&found);
}

size_t
assert_sound (bee_t *bee) {
  tree_shape_t shape;
  const char *problem;
  assert_ok(store_of(bee), tree_check(bee, &shape, &problem));
  if (problem != NULL) fail_msg("%s", problem);
  return shape.keys;
}

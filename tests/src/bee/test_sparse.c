/* test_sparse.c: trees whose blocks are not here yet. */
#include <stdio.h>
#include <stdlib.h>

#include "bees.h"
#include "support/rng.h"

/* A hive, and a second store that knows its core's length and has none of its blocks. */
typedef struct {
  hive_t *source;
  ab_store_t *store;
  hypercore_t *own;    /* what the reader may write to */
  hypercore_t *remote; /* the source's core, as the reader has it */
  bee_t *bee;          /* of `own`, at the source's head */
  size_t opened;       /* cores that the tree asked for */
} sparse_t;

static int
open_core (void *data, const ab_key_t *key, hypercore_t **out) {
  sparse_t *sparse = data;
  hypercore_options_t options = hypercore_options_default();
  options.key = key;
  sparse->opened++;
  return hypercore_open(sparse->store, &options, out);
}

static int
sparse_setup (void **state) {
  sparse_t *sparse = calloc(1, sizeof(*sparse));
  bee_options_t options = bee_options_default();
  assert_non_null(sparse);
  sparse->source = hive_with(3, 0);
  for (size_t i = 0; i < 60; i++) put(sparse->source->bee, numbered(i * 7 % 60), "remote");
  assert_int_equal(ab_store_commit(sparse->source->store), 0);
  ab_head_t head = head_of(sparse->source->bee);
  sparse->store = store_at(NULL);
  sparse->own = core_named(sparse->store, "own");
  sparse->remote = core_of_key(sparse->store, &head.key);
  assert_int_equal(hypercore_pull(sparse->remote, sparse->source->core, 0, 0, 0), 0);
  assert_int_equal(hypercore_length(sparse->remote), head.length);
  options.degree = 3;
  options.open_core = open_core;
  options.open_core_data = sparse;
  assert_int_equal(bee_open(sparse->own, &options, &sparse->bee), 0);
  assert_int_equal(bee_move(sparse->bee, &head.key, head.length), 0);
  *state = sparse;
  return 0;
}

static int
sparse_teardown (void **state) {
  sparse_t *sparse = *state;
  bee_close(sparse->bee);
  hypercore_close(sparse->own);
  hypercore_close(sparse->remote);
  assert_int_equal(ab_store_close(sparse->store), 0);
  hive_close(sparse->source);
  free(sparse);
  return 0;
}

#define WANTED_MAX 256

/* Get the blocks that the last call named as missing; returns how many. */
static size_t
hand_over (sparse_t *sparse) {
  uint64_t wanted[WANTED_MAX];
  size_t count = hypercore_take_wanted(sparse->remote, wanted, WANTED_MAX);
  assert_true(count > 0);
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(hypercore_pull(sparse->remote, sparse->source->core, 0, wanted[i], wanted[i] + 1), 0);
  }
  return count;
}

static void
a_get_names_the_block_it_lacks (void **state) {
  sparse_t *sparse = *state;
  bee_entry_t entry;
  size_t blocks = 0;
  int err;
  while ((err = bee_get(sparse->bee, ab_text(numbered(33)), &entry)) == AB_EREMOTE) {
    assert_int_equal(hand_over(sparse), 1);
    blocks++;
  }
  assert_int_equal(err, 0);
  assert_memory_equal(entry.value.data, "remote", 6);
  assert_true(blocks >= 3 && blocks < 40); /* a path, and the keys compared: not the whole tree */
}

static void
a_cursor_keeps_its_place (void **state) {
  sparse_t *sparse = *state;
  for (int reverse = 0; reverse < 2; reverse++) {
    bee_range_t range = {.reverse = reverse == 1};
    bee_cursor_t *cursor;
    bee_entry_t entry;
    assert_int_equal(bee_cursor_open(sparse->bee, &range, &cursor), 0);
    for (size_t i = 0; i < 60;) {
      int err = bee_cursor_next(cursor, &entry);
      if (err == AB_EREMOTE) {
        hand_over(sparse);
        continue;
      }
      assert_int_equal(err, 0);
      assert_memory_equal(entry.key.data, numbered(reverse ? 59 - i : i), 7);
      i++;
    }
    assert_int_equal(bee_cursor_next(cursor, &entry), AB_EEND);
    bee_cursor_close(cursor);
  }
}

/* Whoever walks far needs ever fewer round trips a block. */
static void
a_cursor_names_blocks_ahead (void **state) {
  sparse_t *sparse = *state;
  bee_cursor_t *cursor;
  bee_entry_t entry;
  size_t trips = 0, blocks = 0;
  int err;
  assert_int_equal(bee_cursor_open(sparse->bee, NULL, &cursor), 0);
  while ((err = bee_cursor_next(cursor, &entry)) != AB_EEND) {
    if (err == 0) continue;
    assert_int_equal(err, AB_EREMOTE);
    blocks += hand_over(sparse);
    trips++;
  }
  bee_cursor_close(cursor);
  assert_true(trips * 3 < blocks * 2);
}

static void
a_batch_operation_that_lacks_a_block_has_not_happened (void **state) {
  sparse_t *sparse = *state;
  bee_batch_t *batch = begin(sparse->bee);
  bee_flush_t done;
  for (size_t i = 0; i < 60; i++) {
    int err;
    do {
      err = i % 2 == 0 ? bee_batch_del(batch, ab_text(numbered(i)))
                       : bee_batch_put(batch, ab_text(numbered(i)), ab_text("own"));
      if (err == AB_EREMOTE) hand_over(sparse);
    } while (err == AB_EREMOTE);
    assert_int_equal(err, 0);
  }
  assert_int_equal(bee_batch_flush(batch, &done), 0);
  assert_int_equal(done.applied, 60);
  assert_int_equal(assert_sound(sparse->bee), 30);
  for (size_t i = 0; i < 60; i++) {
    if (i % 2 == 0) assert_missing(sparse->bee, numbered(i));
    else assert_value(sparse->bee, numbered(i), "own");
  }
  assert_value(sparse->source->bee, numbered(0), "remote");
}

static void
a_core_is_opened_when_it_is_needed (void **state) {
  sparse_t *sparse = *state;
  bee_entry_t entry;
  assert_int_equal(sparse->opened, 0); /* a move reads nothing */
  assert_int_equal(bee_get(sparse->bee, ab_text("k"), &entry), AB_EREMOTE);
  assert_int_equal(sparse->opened, 1);
  assert_int_equal(bee_get(sparse->bee, ab_text("k"), &entry), AB_EREMOTE);
  assert_int_equal(sparse->opened, 1);
}

static void
blocks_that_are_cleared_later_are_asked_for_again (void **state) {
  sparse_t *sparse = *state;
  bee_entry_t entry;
  int err;
  while ((err = bee_get(sparse->bee, ab_text(numbered(33)), &entry)) == AB_EREMOTE) hand_over(sparse);
  assert_int_equal(err, 0);
  assert_int_equal(hypercore_clear(sparse->remote, 0, hypercore_length(sparse->remote)), 0);
  bool asked = false;
  while ((err = bee_get(sparse->bee, ab_text(numbered(33)), &entry)) == AB_EREMOTE) {
    hand_over(sparse);
    asked = true;
  }
  assert_int_equal(err, 0);
  assert_true(asked);
}

/* The keys of a node lie in many blocks. A lookup compares with few of them, and rather with those that are
 * here. */
static void
a_lookup_asks_for_few_blocks (void **state) {
  hive_t *source = hive_with(128, 0);
  ab_store_t *store = store_at(NULL);
  char key[24];
  size_t blocks = 0;
  bee_entry_t entry;
  bee_t *bee;
  (void) state;
  for (uint32_t i = 0; i < 20000; i += 500) {
    bee_batch_t *batch = begin(source->bee);
    for (uint32_t n = i; n < i + 500; n++) {
      snprintf(key, sizeof(key), "%08x", mix32(n));
      put_in(batch, key, "some value");
    }
    flush(batch);
  }
  assert_int_equal(ab_store_commit(source->store), 0);
  hypercore_t *own = core_named(store, "own");
  hypercore_t *remote = core_of_key(store, hypercore_key(source->core));
  assert_int_equal(hypercore_pull(remote, source->core, 0, 0, 0), 0);
  assert_int_equal(bee_open(own, NULL, &bee), 0);
  assert_int_equal(bee_move(bee, hypercore_key(remote), hypercore_length(remote)), 0);
  for (uint32_t i = 0; i < 50; i++) {
    snprintf(key, sizeof(key), "%08x", mix32(i * 397));
    while (bee_get(bee, ab_text(key), &entry) == AB_EREMOTE) {
      uint64_t wanted;
      assert_int_equal(hypercore_take_wanted(remote, &wanted, 1), 1);
      assert_int_equal(hypercore_pull(remote, source->core, 0, wanted, wanted + 1), 0);
      blocks++;
    }
    assert_true(ab_slice_equal(entry.key, ab_text(key)));
  }
  printf("  %.2f blocks for a lookup\n", (double) blocks / 50);
  assert_true(blocks < 50 * 5);
  bee_close(bee);
  hypercore_close(own);
  hypercore_close(remote);
  assert_int_equal(ab_store_close(store), 0);
  hive_close(source);
}

int
main (void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, sparse_setup, sparse_teardown)
  const struct CMUnitTest tests[] = {
    TEST(a_get_names_the_block_it_lacks),
    TEST(a_cursor_keeps_its_place),
    TEST(a_cursor_names_blocks_ahead),
    TEST(a_batch_operation_that_lacks_a_block_has_not_happened),
    TEST(a_core_is_opened_when_it_is_needed),
    TEST(blocks_that_are_cleared_later_are_asked_for_again),
    cmocka_unit_test(a_lookup_asks_for_few_blocks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

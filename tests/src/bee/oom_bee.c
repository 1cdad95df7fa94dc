/* oom_bee.c: the n-th allocation fails, n = 1, 2, 3 …, while a tree of several levels is written, read and
 * changed.
 *
 * Each failure is AB_ENOMEM and changes nothing: the same call made again succeeds, and in the end the tree
 * is the one of a run without failures, block by block.
 */
#include <stdio.h>

#include "bee/bee.h"
#include "support/failing_alloc.h"
#include "support/test.h"

#define KEYS 200
#define DEGREE 4 /* children of a node: many nodes, many splits and merges */

typedef struct {
  ab_store_t *store;
  hypercore_t *core;
  bee_t *bee;
  bee_t *old; /* a checkout */
  bee_batch_t *batch;
  bee_cursor_t *cursor;
  uint64_t first_length;
  size_t at;      /* the key a step is about */
  size_t entries; /* seen by a cursor */
  char last[16];  /* key seen by it */
} world_t;

typedef int (*step_t)(world_t *world);

static ab_slice_t
key_at (size_t i) {
  static char text[16];
  snprintf(text, sizeof(text), "key %05zu", i * 7919 % KEYS);
  return ab_text(text);
}

static ab_slice_t
value_at (size_t i) {
  static char text[1200];
  /* some short, some in a block of their own */
  size_t len = i % 50 == 0 ? sizeof(text) : 1 + i % 30;
  memset(text, (int) ('a' + i % 26), sizeof(text));
  return ab_slice(text, len);
}

/* ---- steps ---- */

static int
open_store (world_t *world) {
  ab_key_t primary_key = {{1}};
  ab_store_options_t options = ab_store_options_default();
  options.primary_key = &primary_key;
  return ab_store_open(NULL, &options, &world->store, NULL, 0);
}

static int
open_core (world_t *world) {
  hypercore_options_t options = hypercore_options_default();
  options.name = ab_text("bee");
  return hypercore_open(world->store, &options, &world->core);
}

static int
open_bee (world_t *world) {
  bee_options_t options = bee_options_default();
  options.degree = DEGREE;
  return bee_open(world->core, &options, &world->bee);
}

static int
begin (world_t *world) {
  return bee_batch_begin(world->bee, NULL, &world->batch);
}

static int
put (world_t *world) {
  return bee_batch_put(world->batch, key_at(world->at), value_at(world->at));
}

static int
put_over (world_t *world) {
  return bee_batch_put(world->batch, key_at(world->at), ab_text("changed"));
}

static int
put_absent (world_t *world) {
  return bee_batch_put_absent(world->batch, ab_text("absent"));
}

static int
del (world_t *world) {
  return bee_batch_del(world->batch, key_at(world->at));
}

static int
get_in_batch (world_t *world) {
  bee_entry_t entry;
  int err = bee_batch_get(world->batch, key_at(world->at), &entry);
  return err == AB_ENOTFOUND ? 0 : err;
}

static int
flush (world_t *world) {
  uint64_t length = hypercore_length(world->core);
  ab_head_t before, after;
  bee_head(world->bee, &before);
  int err = bee_batch_flush(world->batch, NULL);
  if (err == 0) {
    world->batch = NULL;
    return 0;
  }
  bee_head(world->bee, &after);
  assert_int_equal(hypercore_length(world->core), length);
  assert_true(ab_head_equal(&before, &after));
  return err;
}

static int
get (world_t *world) {
  bee_entry_t entry;
  int err = bee_get(world->bee, key_at(world->at), &entry);
  return err == AB_ENOTFOUND ? 0 : err;
}

static int
check_out (world_t *world) {
  ab_head_t head = {*hypercore_key(world->core), world->first_length};
  return bee_checkout(world->bee, &head, &world->old);
}

static int
open_cursor (world_t *world) {
  bee_range_t range = {.lower = ab_text("key 00010"), .has_lower = true, .reverse = true};
  return bee_cursor_open(world->old, &range, &world->cursor);
}

static int
next (world_t *world) {
  bee_entry_t entry;
  int err = bee_cursor_next(world->cursor, &entry);
  if (err < 0) return err;
  assert_true(entry.key.len < sizeof(world->last));
  if (world->entries > 0) assert_true(ab_slice_compare(entry.key, ab_text(world->last)) < 0);
  memcpy(world->last, entry.key.data, entry.key.len);
  world->last[entry.key.len] = 0;
  world->entries++;
  return 0;
}

static int
count_change (void *data, ab_slice_t key, ab_slice_t value, bool has_value) {
  (void) key;
  (void) value;
  (void) has_value;
  (*(size_t *) data)++;
  return 0;
}

static int
read_change (world_t *world) {
  ab_head_t head = {*hypercore_key(world->core), world->first_length};
  bee_change_t change;
  size_t count = 0;
  int err = bee_change(world->bee, &head, &change, count_change, &count);
  if (err == 0) assert_int_equal(count, KEYS);
  return err;
}

static int
roll_back (world_t *world) {
  return bee_rollback(world->bee, world->first_length);
}

/* ---- a run ---- */

static failing_alloc_mode_t mode;
static size_t failures;
static bool is_calm; /* nothing is made to fail */

/* The step once for each allocation it makes, and once without a failure. */
static void
run (world_t *world, const char *name, step_t step) {
  if (is_calm) {
    assert_int_equal(step(world), 0);
    return;
  }
  for (size_t n = 1;; n++) {
    failing_alloc_arm(n, mode);
    int err = step(world);
    bool failed = failing_alloc_disarm();
    failures += failed;
    if (err == 0) return; /* also if it did without what it could not get */
    if (!failed || err != AB_ENOMEM) fail_msg("%s, allocation %zu: %s", name, n, ab_err_name(err));
  }
}

#define RUN(step) run(world, #step, step)

static void
write_first (world_t *world) {
  RUN(begin);
  for (world->at = 0; world->at < KEYS; world->at++) RUN(put);
  world->at = 17;
  RUN(get_in_batch);
  RUN(flush);
  world->first_length = hypercore_length(world->core);
}

static void
write_second (world_t *world) {
  RUN(begin);
  for (world->at = 0; world->at < KEYS; world->at += 2) RUN(del);
  for (world->at = 1; world->at < KEYS; world->at += 20) RUN(put_over);
  RUN(put_absent);
  RUN(flush);
}

static void
read_old (world_t *world) {
  RUN(check_out);
  RUN(open_cursor);
  for (size_t i = 0; i < KEYS - 10; i++) RUN(next);
  assert_int_equal(next(world), AB_EEND);
  assert_int_equal(world->entries, KEYS - 10);
  bee_cursor_close(world->cursor);
  bee_close(world->old);
}

static void
reopen (world_t *world) {
  bee_close(world->bee);
  RUN(open_bee);
  for (world->at = 0; world->at < KEYS; world->at += 13) RUN(get);
}

static void
go_back (world_t *world) {
  ab_head_t first = {*hypercore_key(world->core), world->first_length};
  assert_int_equal(bee_move(world->bee, &first.key, first.length), 0);
  RUN(roll_back);
  assert_int_equal(hypercore_length(world->core), world->first_length);
}

/* Everything, twice to the same end. Writes the hash of the core's tree. */
static void
live (uint8_t hash[32]) {
  world_t space = {.entries = 0};
  world_t *world = &space;
  failures = 0;
  RUN(open_store);
  RUN(open_core);
  RUN(open_bee);
  write_first(world);
  write_second(world);
  read_old(world);
  RUN(read_change);
  reopen(world);
  go_back(world);
  write_second(world);
  reopen(world);
  assert_int_equal(hypercore_tree_hash(world->core, hypercore_length(world->core), hash), 0);
  bee_close(world->bee);
  hypercore_close(world->core);
  ab_store_close(world->store);
}

static void
check_life (failing_alloc_mode_t how) {
  uint8_t expected[32], found[32];
  mode = how;
  is_calm = true;
  live(expected);
  is_calm = false;
  live(found);
  printf("  %zu allocations failed\n", failures);
  assert_true(failures > 300);
  assert_memory_equal(found, expected, sizeof(found));
}

static void
each_allocation_may_fail (void **state) {
  (void) state;
  check_life(FAILING_ALLOC_ONCE);
}

static void
all_further_allocations_may_fail (void **state) {
  (void) state;
  check_life(FAILING_ALLOC_ONWARDS);
}

/* A cache of a few hundred bytes: blocks are read and decoded again all the time. */
static void
an_aborted_batch_leaves_nothing (void **state) {
  (void) state;
  world_t space = {.entries = 0};
  world_t *world = &space;
  is_calm = true;
  RUN(open_store);
  RUN(open_core);
  RUN(open_bee);
  write_first(world);
  for (size_t n = 1;; n++) {
    RUN(begin);
    failing_alloc_arm(n, FAILING_ALLOC_ONWARDS);
    int err = 0;
    for (world->at = 0; world->at < KEYS && err == 0; world->at += 3) err = del(world);
    if (err == 0) err = flush(world);
    if (!failing_alloc_disarm()) break;
    if (err == 0) continue; /* it did without; go on from there */
    bee_batch_abort(world->batch);
  }
  assert_true(hypercore_length(world->core) > world->first_length);
  bee_close(world->bee);
  hypercore_close(world->core);
  ab_store_close(world->store);
}

int
main (void) {
  static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_allocation_may_fail),
    cmocka_unit_test(all_further_allocations_may_fail),
    cmocka_unit_test(an_aborted_batch_leaves_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

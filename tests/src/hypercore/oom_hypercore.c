/* oom_hypercore.c: the n-th allocation fails, n = 1, 2, 3 …, on the way through a store's life.
 *
 * Each failure is AB_ENOMEM and changes nothing that was there before: the same call made again succeeds, and
 * what was committed is found by another process that opens the store.
 */
#include "stores.h"
#include "support/failing_alloc.h"

#include <stdio.h>

typedef struct {
  place_t *place;
  ab_store_t *source; /* in memory, of somebody else */
  hypercore_t *writer;
  ab_store_t *store;
  hypercore_t *own;
  hypercore_t *reader;
} world_t;

typedef int (*step_fn)(world_t *world);

static int
open_own (world_t *world) {
  hypercore_options_t options = hypercore_options_default();
  options.name = ab_text("own");
  return hypercore_open(world->store, &options, &world->own);
}

static int
open_reader (world_t *world) {
  hypercore_options_t options = hypercore_options_default();
  ab_key_t group = {{1}};
  options.key = hypercore_key(world->writer);
  options.group = &group;
  return hypercore_open(world->store, &options, &world->reader);
}

static int
open_store (world_t *world) {
  char message[256];
  ab_store_options_t options = ab_store_options_default();
  options.relaxed = true;
  return ab_store_open(world->place->path, &options, &world->store, message, sizeof(message));
}

static int
append (world_t *world) {
  ab_slice_t blocks[40];
  for (size_t i = 0; i < 40; i++) blocks[i] = ab_text("a block of the own core");
  return hypercore_append(world->own, blocks, 40, NULL);
}

static int
commit (world_t *world) {
  return ab_store_commit(world->store);
}

static int
set_user_data (world_t *world) {
  return hypercore_set_user_data(world->own, "heads", ab_text("some heads"));
}

static int
roll_back (world_t *world) {
  return hypercore_rollback(world->own, hypercore_floor(world->own) + 13);
}

static int
truncate_own (world_t *world) {
  return hypercore_truncate(world->own, 21, 0);
}

static int
clear_own (world_t *world) {
  return hypercore_clear(world->own, 3, 5);
}

static int
pull (world_t *world) {
  return hypercore_pull(world->reader, world->writer, 0, 7, 30);
}

static int
get (world_t *world) {
  ab_slice_t block;
  int err = hypercore_get(world->own, 0, &block);
  if (err < 0) return err;
  assert_true(ab_slice_equal(block, ab_text("a block of the own core")));
  return hypercore_get(world->reader, 9, &block);
}

static int
sign (world_t *world) {
  ab_slice_t signature;
  return hypercore_signature(world->own, &signature);
}

static int
count_update (void *data, const ab_key_t *key, uint64_t length) {
  (void) key;
  (void) length;
  (*(int *) data)++;
  return 0;
}

static int
list_group (world_t *world) {
  ab_key_t group = {{1}};
  int count = 0;
  int err = corestore_group_updates(world->store, &group, 0, count_update, &count);
  if (err == 0) assert_int_equal(count, 1);
  return err;
}

static int
keep_secret (world_t *world) {
  return ab_store_set_secret(world->store, "key", ab_text("kept"));
}

/* Run the step once for each allocation it makes, and once without a failure. */
static size_t
run_step (world_t *world, const char *name, step_fn step, failing_alloc_mode_t mode) {
  for (size_t n = 1;; n++) {
    uint64_t length = world->own == NULL ? 0 : hypercore_length(world->own);
    uint64_t fork = world->own == NULL ? 0 : hypercore_fork(world->own);
    failing_alloc_arm(n, mode);
    int err = step(world);
    bool failed = failing_alloc_disarm();
    if (err == 0) { /* the one that failed may have been one that can be done without */
      if (failed) continue;
      return n - 1;
    }
    if (!failed || err != AB_ENOMEM) fail_msg("%s, allocation %zu: %s", name, n, ab_err_name(err));
    if (step == append || step == roll_back || step == truncate_own) {
      assert_int_equal(hypercore_length(world->own), length);
      assert_int_equal(hypercore_fork(world->own), fork);
    }
  }
}

static void
check_world (world_t *world) {
  assert_int_equal(hypercore_length(world->own), 61);
  assert_int_equal(hypercore_fork(world->own), 1);
  assert_true(hypercore_has(world->own, 0, 3) && hypercore_has(world->own, 5, 61));
  assert_false(hypercore_has(world->own, 3, 4) || hypercore_has(world->own, 4, 5));
  assert_int_equal(hypercore_length(world->reader), 50);
  assert_numbered(world->reader, 7, 30);
  ab_slice_t value;
  assert_ok(world->store, hypercore_user_data(world->own, "heads", &value));
  assert_true(ab_slice_equal(value, ab_text("some heads")));
  assert_ok(world->store, ab_store_secret(world->store, "key", &value));
  assert_true(ab_slice_equal(value, ab_text("kept")));
}

#define STEP(fn) run_step(&world, #fn, fn, mode)

static void
run_life (void **state, failing_alloc_mode_t mode) {
  world_t world = {.place = *state};
  world.source = store_at(NULL);
  world.writer = core_named(world.source, "theirs");
  append_numbered(world.writer, 50);
  assert_ok(world.source, ab_store_commit(world.source));

  size_t count = STEP(open_store);
  count += STEP(open_own);
  count += STEP(append);
  count += STEP(commit);
  count += STEP(append);
  count += STEP(roll_back);
  count += STEP(set_user_data);
  count += STEP(commit);
  count += STEP(open_reader);
  count += STEP(pull);
  count += STEP(get);
  count += STEP(truncate_own);
  count += STEP(sign);
  count += STEP(commit);
  count += STEP(keep_secret);
  count += STEP(append);
  count += STEP(clear_own);
  count += STEP(commit);
  count += STEP(list_group);
  check_world(&world);
  for (int pass = 0; pass < 2; pass++) {
    assert_int_equal(ab_store_close(world.store), 0);
    world.store = NULL;
    world.own = world.reader = NULL;
    count += STEP(open_store);
    count += STEP(open_own);
    count += STEP(open_reader);
    count += STEP(get);
    check_world(&world);
  }
  printf("  %zu allocations failed\n", count);
  assert_true(count > 50);
  ab_store_close(world.store);
  ab_store_close(world.source);
}

static void
each_single_failure_is_survived (void **state) {
  run_life(state, FAILING_ALLOC_ONCE);
}

static void
each_point_after_which_memory_is_gone_is_survived (void **state) {
  run_life(state, FAILING_ALLOC_ONWARDS);
}

int
main (void) {
  static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(each_single_failure_is_survived, place_setup, place_teardown),
    cmocka_unit_test_setup_teardown(
      each_point_after_which_memory_is_gone_is_survived, place_setup, place_teardown
    ),
  };
  return cmocka_run_group_tests_name("hypercore out of memory", tests, NULL, NULL);
}

/* test_removal.c: what is truncated, cleared or replaced by a higher fork leaves the file with the next
 * commit. */
#include "hypercore/core.h"
#include "stores.h"

static bool
is_in_file (hypercore_t *core, ab__table_t table, uint64_t index) {
  ab_slice_t value;
  ab__core_enter(core);
  int err = ab__storage_get_at(core->store->storage, table, core->number, index, &value);
  ab__core_leave(core);
  if (err != AB_ENOTFOUND) assert_ok(core->store, err);
  return err == 0;
}

/* Blocks [start, end), or the nodes that end with them, are in the file, all or none. */
static void
check_file (hypercore_t *core, ab__table_t table, uint64_t start, uint64_t end, bool expected) {
  for (uint64_t i = start; i < end; i++) {
    if (is_in_file(core, table, i) != expected)
      fail_msg("block %llu, table %d", (unsigned long long) i, table);
  }
}

static void
truncated_blocks_and_their_nodes_go (void **state) {
  ab_store_t *store = store_at(*state);
  hypercore_t *core = core_named(store, "a");
  append_numbered(core, 20);
  assert_ok(store, ab_store_commit(store));
  check_file(core, AB__BLOCKS, 0, 20, true);
  check_file(core, AB__NODES, 0, 20, true);

  assert_ok(store, hypercore_truncate(core, 11, 0));
  append_numbered(core, 2);
  assert_ok(store, ab_store_commit(store));
  check_file(core, AB__BLOCKS, 0, 13, true);
  check_file(core, AB__BLOCKS, 13, 20, false);
  check_file(core, AB__NODES, 0, 13, true);
  check_file(core, AB__NODES, 13, 20, false);
  ab_store_close(store);
}

static void
the_deepest_of_several_truncations_counts (void **state) {
  ab_store_t *store = store_at(*state);
  hypercore_t *core = core_named(store, "a");
  append_numbered(core, 20);
  assert_ok(store, ab_store_commit(store));
  assert_ok(store, hypercore_truncate(core, 15, 0));
  assert_ok(store, hypercore_truncate(core, 4, 0));
  append_numbered(core, 4);
  assert_ok(store, hypercore_truncate(core, 6, 0));
  assert_ok(store, ab_store_commit(store));
  check_file(core, AB__BLOCKS, 0, 6, true);
  check_file(core, AB__BLOCKS, 6, 20, false);
  ab_store_close(store);
}

static void
cleared_blocks_go_and_their_nodes_stay (void **state) {
  ab_store_t *store = store_at(*state);
  hypercore_t *core = core_named(store, "a");
  append_numbered(core, 20);
  assert_ok(store, ab_store_commit(store));
  assert_ok(store, hypercore_clear(core, 3, 9));
  assert_ok(store, ab_store_commit(store));
  check_file(core, AB__BLOCKS, 3, 9, false);
  check_file(core, AB__BLOCKS, 9, 20, true);
  check_file(core, AB__NODES, 0, 20, true);
  ab_store_close(store);
}

/* A node of the old fork that stayed would be believed: it is what proofs of blocks are checked against. */
static void
what_a_higher_fork_replaces_goes (void **state) {
  ab_store_t *source = store_at(NULL), *store = store_at(*state);
  hypercore_t *writer = core_named(source, "a");
  append_numbered(writer, 20);
  assert_ok(source, ab_store_commit(source));
  hypercore_t *reader = core_of_key(store, hypercore_key(writer));
  assert_ok(store, hypercore_pull(reader, writer, 0, 0, 20));
  assert_ok(store, ab_store_commit(store));
  check_file(reader, AB__BLOCKS, 0, 20, true);

  assert_ok(source, hypercore_truncate(writer, 9, 0));
  append_text(writer, "another block 9");
  assert_ok(source, ab_store_commit(source));
  assert_ok(store, hypercore_pull(reader, writer, 0, 0, 0));
  assert_ok(store, ab_store_commit(store));
  check_file(reader, AB__BLOCKS, 0, 9, true);
  check_file(reader, AB__BLOCKS, 9, 20, false);
  check_file(reader, AB__NODES, 10, 20, false);
  ab_store_close(store);
  ab_store_close(source);
}

#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, place_setup, place_teardown)

int
main (void) {
  static const struct CMUnitTest tests[] = {
    ON_DISK(truncated_blocks_and_their_nodes_go),
    ON_DISK(the_deepest_of_several_truncations_counts),
    ON_DISK(cleared_blocks_go_and_their_nodes_stay),
    ON_DISK(what_a_higher_fork_replaces_goes),
  };
  return cmocka_run_group_tests_name("removal", tests, NULL, NULL);
}

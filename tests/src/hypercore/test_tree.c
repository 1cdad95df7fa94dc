#include "memory_core.h"
#include "support/test.h"

static void
a_root_that_is_not_stored_is_not_found (void **state) {
  memory_core_t core;
  ab_tree_t tree;
  (void) state;
  memory_core_init_writer(&core, 1, 1);
  memory_core_fill(&core, 11);
  ab_node_source_t source = memory_core_source(&core);
  assert_int_equal(ab_tree_load(&tree, 0, 11, &source), 0);
  assert_int_equal(tree.byte_length, core.tree.byte_length);
  memory_core_drop_node(&core, 17);
  assert_int_equal(ab_tree_load(&tree, 0, 11, &source), AB_ENOTFOUND);
  assert_int_equal(ab_tree_load(&tree, 0, 8, &source), 0);
  assert_int_equal(ab_tree_load(&tree, 0, AB_LENGTH_MAX + 1, &source), AB_EINVAL);
  memory_core_destroy(&core);
}

static void
only_the_next_node_is_appended (void **state) {
  static const uint64_t wrong[] = {0, 4, 8, 11, 7, 12, AB_MAX_SAFE, 1ull << 60};
  (void) state;
  for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
    ab_node_t added[AB_TREE_APPEND_MAX];
    ab_node_list_t list = {.nodes = added, .capacity = AB_TREE_APPEND_MAX};
    ab_tree_t tree = {.length = 5, .root_count = 2, .roots = {{.index = 3}, {.index = 8}}};
    ab_node_t node = {.index = wrong[i]};
    assert_int_equal(ab_tree_append(&tree, &node, &list), AB_EOPERATION);
    assert_int_equal(list.count, 0);
  }
}

static void
sizes_beyond_the_numbers_are_refused (void **state) {
  ab_node_t added[AB_TREE_APPEND_MAX];
  ab_node_list_t list = {.nodes = added, .capacity = AB_TREE_APPEND_MAX};
  ab_tree_t tree = {0};
  ab_node_t a = {.index = 0, .size = AB_MAX_SAFE}, b = {.index = 2, .size = 1}, parent;
  (void) state;
  assert_int_equal(ab_node_parent(&a, &b, &parent), AB_ECORRUPT);
  assert_int_equal(ab_tree_append(&tree, &a, &list), 0);
  assert_int_equal(ab_tree_append(&tree, &b, &list), AB_ECORRUPT);
}

static void
a_list_without_arena_does_not_grow (void **state) {
  ab_node_t added[2];
  ab_node_list_t list = {.nodes = added, .capacity = 2};
  ab_node_t node = {0};
  (void) state;
  assert_int_equal(ab_node_list_push(&list, &node), 0);
  assert_int_equal(ab_node_list_push(&list, &node), 0);
  assert_int_equal(ab_node_list_push(&list, &node), AB_ENOMEM);
  assert_int_equal(list.count, 2);
}

/* Where byte `bytes` is, by adding up the blocks. */
static void
assert_seek (memory_core_t *core, uint64_t bytes, uint64_t padding) {
  ab_node_source_t source = memory_core_source(core);
  uint64_t block, offset, start = 0, at = 0;
  int err = ab_tree_seek(&core->tree, &source, bytes, padding, &block, &offset);
  while (at < core->tree.length && start + core->blocks[at].len - padding <= bytes)
    start += core->blocks[at++].len - padding;
  if (at == core->tree.length && start < bytes) {
    assert_int_equal(err, AB_ENOTFOUND);
    return;
  }
  assert_int_equal(err, 0);
  assert_true(block <= at);
  while (block < at && core->blocks[block].len == padding)
    block++; /* empty blocks at the place may be named */
  assert_int_equal(block, at);
  assert_int_equal(offset, bytes - start);
}

static void
seeking_agrees_with_adding_up_the_blocks (void **state) {
  (void) state;
  for (size_t length = 0; length < 40; length++) {
    memory_core_t core;
    memory_core_init_writer(&core, 1, 1);
    for (size_t i = 0; i < length; i++) {
      assert_int_equal(memory_core_append(&core, ab_slice("padding!content", 8 + (i * 5) % 8)), 0);
    }
    for (uint64_t bytes = 1; bytes <= core.tree.byte_length + 2; bytes++) assert_seek(&core, bytes, 0);
    for (uint64_t bytes = 1; bytes <= core.tree.byte_length - 8 * length + 2; bytes++)
      assert_seek(&core, bytes, 8);
    memory_core_destroy(&core);
  }
}

static void
byte_offsets_are_sums_of_block_sizes (void **state) {
  memory_core_t core;
  uint64_t sum = 0, offset;
  (void) state;
  memory_core_init_writer(&core, 1, 1);
  memory_core_fill(&core, 77);
  ab_node_source_t source = memory_core_source(&core);
  for (uint64_t block = 0; block < 77; block++) {
    assert_int_equal(ab_tree_byte_offset(&core.tree, &source, block, &offset), 0);
    assert_int_equal(offset, sum);
    sum += core.blocks[block].len;
  }
  assert_int_equal(ab_tree_byte_offset(&core.tree, &source, 77, &offset), 0);
  assert_int_equal(offset, sum);
  assert_int_equal(ab_tree_byte_offset(&core.tree, &source, 78, &offset), AB_EINVAL);
  memory_core_destroy(&core);
}

static void
positions_behind_missing_nodes_need_the_network (void **state) {
  memory_core_t core;
  uint64_t block, offset;
  (void) state;
  memory_core_init_writer(&core, 1, 1);
  memory_core_fill(&core, 8);
  ab_node_source_t source = memory_core_source(&core);
  memory_core_drop_node(&core, 3);
  assert_int_equal(ab_tree_byte_offset(&core.tree, &source, 6, &offset), AB_EREMOTE);
  assert_int_equal(ab_tree_byte_offset(&core.tree, &source, 0, &offset), 0);
  assert_int_equal(ab_tree_seek(&core.tree, &source, 3, 0, &block, &offset), AB_EREMOTE);
  assert_int_equal(ab_tree_seek(&core.tree, &source, core.tree.byte_length, 0, &block, &offset), 0);
  assert_int_equal(block, 8);
  memory_core_destroy(&core);
}

static void
absurd_paddings_do_not_overflow (void **state) {
  memory_core_t core;
  uint64_t block, offset;
  (void) state;
  memory_core_init_writer(&core, 1, 1);
  memory_core_fill(&core, 31);
  ab_node_source_t source = memory_core_source(&core);
  assert_int_equal(
    ab_tree_seek(&core.tree, &source, AB_MAX_SAFE, AB_MAX_SAFE, &block, &offset), AB_ENOTFOUND
  );
  assert_true(ab_padded_size(AB_MAX_SAFE, AB_LENGTH_MAX, UINT64_MAX) < 0);
  assert_int_equal(ab_padded_size(100, 3, 8), 76);
  assert_int_equal(ab_padded_size(10, 3, 8), -14);
  memory_core_destroy(&core);
}

static void
upgrade_nodes_take_any_length_to_any_other (void **state) {
  memory_core_t core;
  (void) state;
  memory_core_init_writer(&core, 1, 1);
  memory_core_fill(&core, 40);
  ab_node_source_t source = memory_core_source(&core);
  for (uint64_t from = 0; from <= 40; from++) {
    for (uint64_t to = from; to <= 40; to++) {
      uint64_t indexes[AB_UPGRADE_NODES_MAX];
      uint8_t hash[32], expected[32];
      ab_tree_t tree, whole;
      ab_arena_t arena = {0};
      ab_node_list_t added = {.arena = &arena};
      assert_int_equal(ab_tree_load(&tree, 0, from, &source), 0);
      assert_int_equal(ab_tree_load(&whole, 0, to, &source), 0);
      size_t count = ab_upgrade_nodes(from, to, indexes);
      for (size_t i = 0; i < count; i++) {
        ab_node_t node;
        assert_int_equal(source.get(source.data, indexes[i], &node), 0);
        assert_int_equal(ab_tree_append(&tree, &node, &added), 0);
      }
      ab_tree_hash(&tree, hash);
      ab_tree_hash(&whole, expected);
      assert_memory_equal(hash, expected, 32);
      ab_arena_destroy(&arena);
    }
  }
  memory_core_destroy(&core);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_root_that_is_not_stored_is_not_found),
    cmocka_unit_test(only_the_next_node_is_appended),
    cmocka_unit_test(sizes_beyond_the_numbers_are_refused),
    cmocka_unit_test(a_list_without_arena_does_not_grow),
    cmocka_unit_test(seeking_agrees_with_adding_up_the_blocks),
    cmocka_unit_test(byte_offsets_are_sums_of_block_sizes),
    cmocka_unit_test(positions_behind_missing_nodes_need_the_network),
    cmocka_unit_test(absurd_paddings_do_not_overflow),
    cmocka_unit_test(upgrade_nodes_take_any_length_to_any_other),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

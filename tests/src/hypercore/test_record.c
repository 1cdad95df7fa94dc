/* Records of tree nodes: the nodes that end with one block, by depth. */
#include "hypercore/record.h"

#include "support/test.h"

static ab_node_t
node_of (uint64_t index, uint64_t size) {
  ab_node_t node = {.index = index, .size = size};
  memset(node.hash, (int) index, sizeof(node.hash));
  return node;
}

/* Block 3 is the leaf 6, and ends the nodes 5 and 3. */
static void
nodes_that_end_with_a_block_share_a_record (void **state) {
  (void) state;
  const ab_node_t nodes[] = {node_of(6, 10), node_of(5, 20), node_of(3, 40)};
  ab_buf_t record = {0};
  ab_node_t found;
  ab__nodes_record_encode(&record, nodes, 3);
  assert_int_equal(record.err, 0);
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(ab__nodes_record_find(ab_buf_slice(&record), nodes[i].index, &found), 0);
    assert_int_equal(found.size, nodes[i].size);
    assert_memory_equal(found.hash, nodes[i].hash, sizeof(found.hash));
  }
  ab_buf_destroy(&record);
}

static void
a_depth_that_the_block_cannot_have_is_damage (void **state) {
  (void) state;
  const ab_node_t nodes[] = {node_of(6, 10), node_of(5, 20), node_of(3, 40)};
  ab_buf_t record = {0};
  ab_node_t found;
  ab__nodes_record_encode(&record, nodes, 3);
  /* of block 2, the leaf 4, which ends nothing but itself */
  assert_int_equal(ab__nodes_record_find(ab_buf_slice(&record), 4, &found), AB_ECORRUPT);
  record.data[0] = 0;
  assert_int_equal(ab__nodes_record_find(ab_buf_slice(&record), 6, &found), AB_ECORRUPT);
  ab_buf_destroy(&record);
}

static void
a_record_that_is_cut_is_damage (void **state) {
  (void) state;
  const ab_node_t nodes[] = {node_of(6, 10), node_of(5, 20)};
  ab_buf_t record = {0};
  ab_node_t found;
  ab__nodes_record_encode(&record, nodes, 2);
  for (size_t len = 0; len < record.len; len++)
    assert_int_equal(ab__nodes_record_find(ab_slice(record.data, len), 5, &found), AB_ECORRUPT);
  assert_int_equal(ab__nodes_record_find(ab_buf_slice(&record), 3, &found), AB_ENOTFOUND);
  ab_buf_destroy(&record);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(nodes_that_end_with_a_block_share_a_record),
    cmocka_unit_test(a_depth_that_the_block_cannot_have_is_damage),
    cmocka_unit_test(a_record_that_is_cut_is_damage),
  };
  return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}

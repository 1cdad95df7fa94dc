/* Nodes that are applied together: what they say of their place has to be the truth. */
#include "autobee/batch.h"

#include "support/test.h"

/* Decode a node that says it has `start` before and `end` behind it. */
static int
take (batch_t *batch, uint64_t start, uint64_t end) {
  oplog_message_t message = {.batch_start = start, .batch_end = end};
  ab_buf_t block = {0};
  autobee__oplog_encode(&block, &message);
  int err = autobee__batch_decode(batch, ab_buf_slice(&block), batch->count + 1);
  ab_buf_destroy(&block);
  return err;
}

static void
a_batch_counts_from_its_first_node (void **state) {
  (void) state;
  ab_key_t writer = {{1}};
  batch_t *batch = autobee__batch_new(&writer);
  for (uint64_t i = 0; i < 3; i++) assert_int_equal(take(batch, i, 2 - i), 0);
  assert_int_equal(batch->count, 3);
  autobee__batch_release(batch);
}

static void
a_node_that_lies_about_its_place_is_refused (void **state) {
  (void) state;
  static const uint64_t second[][2] = {{0, 2}, {2, 0}, {1, 2}, {0, 0}, {1, 0}};
  ab_key_t writer = {{1}};
  for (size_t i = 0; i < sizeof(second) / sizeof(second[0]); i++) {
    batch_t *batch = autobee__batch_new(&writer);
    assert_int_equal(take(batch, 0, 2), 0);
    assert_int_equal(take(batch, second[i][0], second[i][1]), AB_ECORRUPT);
    assert_int_equal(batch->count, 1);
    autobee__batch_release(batch);
  }
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_batch_counts_from_its_first_node),
    cmocka_unit_test(a_node_that_lies_about_its_place_is_refused),
  };
  return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}

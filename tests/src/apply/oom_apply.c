/* Every allocation of JSON, of the policy and of a run fails once: an error, nothing leaks, nothing is
 * written. */
#include <stdio.h>
#include <stdlib.h>

#include "apply/json.h"
#include "apply/view.h"
#include "support/failing_alloc.h"
#include "support/test.h"

#define TWELVE_NAMES \
  "\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"j\":10,\"k\":11,\"l\":12"

static void
json_survives_a_failed_allocation (void **state) {
  static const char text[] = "[\"\\n\",{" TWELVE_NAMES ",\"a\":{}},[[[[[[[0]]]]]]]]";
  size_t n = 0;
  int err;
  (void) state;
  do {
    ab_json_doc_t doc = {0};
    const ab_json_t *root;
    ab_slice_t encoded;
    failing_alloc_arm(++n, FAILING_ALLOC_ONCE);
    err = ab_json_decode(&doc, ab_text(text), AB_JSON_DUPLICATES, &root);
    if (err == 0) err = ab_json_encode(&doc, root, AB_JSON_CANONICAL, &encoded);
    if (failing_alloc_disarm()) assert_int_equal(err, AB_ENOMEM);
    ab_json_doc_destroy(&doc);
  } while (err != 0);
  assert_in_range(n, 5, 100);
}

/* The policy, and in front of it what it does not use: reads, a cursor that outlives a write. */
static int
use_everything (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  autobee_apply_cursor_t *cursor;
  ab_slice_t key, value;
  int err;
  if ((err = autobee_apply_put(apply, ab_text("a"), ab_text("1"))) < 0) return err;
  if ((err = autobee_apply_get(apply, ab_text("a"), &value)) < 0) return err;
  if ((err = autobee_apply_cursor(apply, NULL, &cursor)) < 0) return err;
  if ((err = autobee_apply_put(apply, ab_text("b"), ab_text("2"))) < 0) return err;
  if ((err = autobee_apply_cursor_next(cursor, &key, &value)) < 0) return err;
  return autobee_apply_kv(apply, nodes, count, data);
}

static void
a_run_survives_a_failed_allocation (void **state) {
  static const apply_host_t host = {0};
  view_t view;
  ab_head_t before;
  size_t n = 0;
  int verdict;
  (void) state;
  view_open(&view);
  bee_head(view.bee, &before);
  do {
    apply_input_t input = {.view = view.bee, .host = &host};
    apply_result_t result;
    autobee_node_t node =
      view_node(1, "{\"put\":{\"k\":\"\\u00e9\"},\"putHex\":{\"00\":\"ff\"},\"delHex\":[\"00\"]}");
    failing_alloc_arm(++n, FAILING_ALLOC_ONCE);
    int err = apply_run(&input, use_everything, NULL, &node, 1, &result);
    bool has_failed = failing_alloc_disarm();
    assert_int_equal(err, 0);
    verdict = result.verdict;
    ab_buf_destroy(&result.message);
    if (has_failed && verdict != 0) assert_int_equal(verdict, AB_ENOMEM);
    if (verdict != 0) {
      assert_int_equal(bee_move(view.bee, &before.key, before.length), 0);
      assert_int_equal(bee_rollback(view.bee, 0), 0);
      assert_string_equal(view_entries(&view), "");
    }
    if (!has_failed) assert_int_equal(verdict, 0);
    else if (verdict == 0) { /* done without: a cache, for example */
      assert_int_equal(bee_move(view.bee, &before.key, before.length), 0);
      assert_int_equal(bee_rollback(view.bee, 0), 0);
      verdict = AB_ENOMEM;
    }
  } while (verdict != 0);
  assert_string_equal(view_entries(&view), "a=1\nb=2\nk=\xc3\xa9\n");
  assert_in_range(n, 10, 1000);
  view_close(&view);
}

static int
interrupt (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  (void) nodes;
  (void) count;
  (void) data;
  return autobee_apply_interrupt(apply, ab_text("a reason"));
}

static void
a_verdict_without_memory_for_its_text_stands (void **state) {
  view_t view;
  (void) state;
  view_open(&view);
  failing_alloc_arm(1, FAILING_ALLOC_ONWARDS);
  apply_input_t input = {.view = view.bee};
  apply_result_t result;
  assert_int_equal(apply_run(&input, interrupt, NULL, NULL, 0, &result), 0);
  assert_true(failing_alloc_disarm());
  assert_int_equal(result.verdict, AB_EINTERRUPTED);
  assert_int_equal(result.message.len, 0);
  ab_buf_destroy(&result.message);
  view_close(&view);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(json_survives_a_failed_allocation),
    cmocka_unit_test(a_run_survives_a_failed_allocation),
    cmocka_unit_test(a_verdict_without_memory_for_its_text_stands),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

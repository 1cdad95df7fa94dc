#include <stdio.h>
#include <stdlib.h>

#include "apply/view.h"
#include "support/test.h"

/* Each test's apply function runs over one node of writer 07…07, `step` tells it what to do. */
typedef struct {
  int step;
  int seen; /* code of the call in question */
  char text[256];
} plan_t;

static int
open_view (void **state) {
  view_t *view = malloc(sizeof(*view));
  assert_non_null(view);
  view_open(view);
  *state = view;
  return 0;
}

static int
close_view (void **state) {
  view_close(*state);
  free(*state);
  return 0;
}

static int
run (view_t *view, autobee_apply_fn fn, plan_t *plan) {
  autobee_node_t node = view_node(1, "value");
  return view_run(view, fn, plan, &node, 1);
}

static int
put (autobee_apply_t *apply, const char *key, const char *value) {
  return autobee_apply_put(apply, ab_text(key), ab_text(value));
}

static void
append_text (plan_t *plan, ab_slice_t bytes) {
  size_t len = strlen(plan->text);
  snprintf(plan->text + len, sizeof(plan->text) - len, "%.*s ", (int) bytes.len, bytes.data);
}

/* ---- reading and writing ---- */

static int
write_then_read (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  plan_t *plan = data;
  ab_slice_t value;
  assert_int_equal(count, 1);
  assert_int_equal(autobee_apply_get(apply, ab_text("a"), &value), AB_ENOTFOUND);
  assert_int_equal(put(apply, "a", "1"), 0);
  assert_int_equal(autobee_apply_get(apply, ab_text("a"), &value), 0);
  append_text(plan, value);
  assert_int_equal(autobee_apply_put(apply, ab_text("b"), nodes[0].value), 0);
  assert_int_equal(autobee_apply_del(apply, ab_text("a")), 0);
  assert_int_equal(autobee_apply_del(apply, ab_text("missing")), 0);
  assert_int_equal(autobee_apply_get(apply, ab_text("a"), &value), AB_ENOTFOUND);
  assert_int_equal(autobee_apply_get(apply, ab_text("b"), &value), 0);
  append_text(plan, value);
  return 0;
}

static void
reads_see_the_writes_of_the_run (void **state) {
  plan_t plan = {0};
  assert_int_equal(run(*state, write_then_read, &plan), 0);
  assert_string_equal(plan.text, "1 value ");
  assert_string_equal(view_entries(*state), "b=value\n");
  assert_int_equal(view_length(*state), 1);
}

static int
put_what_was_read (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  ab_slice_t value;
  (void) nodes;
  (void) count;
  (void) data;
  assert_int_equal(put(apply, "a", "first"), 0);
  assert_int_equal(put(apply, "e", ""), 0);
  assert_int_equal(autobee_apply_get(apply, ab_text("e"), &value), 0);
  assert_int_equal(value.len, 0);
  assert_non_null(value.data); /* empty, not absent */
  assert_int_equal(autobee_apply_get(apply, ab_text("a"), &value), 0);
  assert_int_equal(autobee_apply_put(apply, ab_text("b"), value), 0);
  return autobee_apply_del(apply, ab_text("e"));
}

static void
a_value_that_was_read_can_be_put_elsewhere (void **state) {
  assert_int_equal(run(*state, put_what_was_read, NULL), 0);
  assert_string_equal(view_entries(*state), "a=first\nb=first\n");
}

static int
flush_between (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  plan_t *plan = data;
  ab_slice_t value;
  (void) nodes;
  (void) count;
  assert_int_equal(autobee_apply_flush(apply), 0);
  assert_int_equal(put(apply, "a", "1"), 0);
  assert_int_equal(autobee_apply_flush(apply), 0);
  assert_int_equal(autobee_apply_flush(apply), 0);
  assert_int_equal(autobee_apply_get(apply, ab_text("a"), &value), 0);
  append_text(plan, value);
  assert_int_equal(put(apply, "a", "2"), 0);
  return plan->step == 0 ? autobee_apply_flush(apply) : plan->step;
}

static void
each_flush_of_writes_makes_a_block (void **state) {
  plan_t plan = {0};
  assert_int_equal(run(*state, flush_between, &plan), 0);
  assert_string_equal(view_entries(*state), "a=2\n");
  assert_int_equal(view_length(*state), 2);
}

static int
do_nothing (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  ab_slice_t value;
  (void) nodes;
  (void) count;
  (void) data;
  assert_int_equal(autobee_apply_get(apply, ab_text("a"), &value), AB_ENOTFOUND);
  return autobee_apply_flush(apply);
}

static void
a_run_without_writes_makes_no_block (void **state) {
  assert_int_equal(run(*state, do_nothing, NULL), 0);
  assert_int_equal(view_length(*state), 0);
}

static int
write_nothing_new (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  (void) nodes;
  (void) count;
  (void) data;
  return put(apply, "a", "1");
}

static void
an_equal_put_makes_no_block (void **state) {
  assert_int_equal(run(*state, write_nothing_new, NULL), 0);
  assert_int_equal(view_length(*state), 1);
  assert_int_equal(run(*state, write_nothing_new, NULL), 0);
  assert_int_equal(view_length(*state), 1);
}

/* ---- verdicts ---- */

static int
reject_after_writes (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  (void) data;
  assert_int_equal(count, 1);
  assert_int_equal(put(apply, "a", "1"), 0);
  assert_int_equal(autobee_apply_flush(apply), 0);
  assert_int_equal(put(apply, "b", "2"), 0);
  return autobee_apply_reject(apply, "node %d of %s", (int) nodes[0].length, "somebody");
}

static void
a_rejected_batch_leaves_nothing (void **state) {
  assert_int_equal(run(*state, reject_after_writes, NULL), AB_EREJECTED);
  assert_string_equal(view_message(*state), "node 1 of somebody");
  assert_string_equal(view_entries(*state), "");
}

static int
return_step (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  plan_t *plan = data;
  (void) nodes;
  (void) count;
  assert_int_equal(put(apply, "a", "1"), 0);
  if (plan->step == AB_EHALTED) return autobee_apply_halt(apply, "disk %d", 7);
  if (plan->step == 0) autobee_apply_reject(apply, "not meant");
  return plan->step;
}

static void
what_is_returned_is_the_verdict (void **state) {
  plan_t plan = {.step = AB_EIO};
  assert_int_equal(run(*state, return_step, &plan), AB_EIO);
  assert_string_equal(view_message(*state), "");
  plan.step = AB_EHALTED;
  assert_int_equal(run(*state, return_step, &plan), AB_EHALTED);
  assert_string_equal(view_message(*state), "disk 7");
  plan.step = 5;
  assert_int_equal(run(*state, return_step, &plan), AB_EHALTED);
  assert_string_equal(view_entries(*state), "");
  plan.step = 0;
  assert_int_equal(run(*state, return_step, &plan), 0);
  assert_string_equal(view_entries(*state), "a=1\n");
  assert_string_equal(view_message(*state), "");
}

static int
interrupt_and_go_on (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  (void) nodes;
  (void) count;
  (void) data;
  assert_int_equal(put(apply, "a", "1"), 0);
  assert_int_equal(autobee_apply_interrupt(apply, ab_text("needs 2.0")), AB_EINTERRUPTED);
  assert_int_equal(put(apply, "b", "2"), AB_EINTERRUPTED);
  assert_int_equal(autobee_apply_interrupt(apply, ab_text("needs 3.0")), AB_EINTERRUPTED);
  assert_int_equal(autobee_apply_reject(apply, "no"), AB_EREJECTED);
  return 0;
}

static void
an_interrupt_ends_the_run_with_its_reason (void **state) {
  assert_int_equal(run(*state, interrupt_and_go_on, NULL), AB_EINTERRUPTED);
  assert_string_equal(view_message(*state), "needs 2.0");
  assert_string_equal(view_entries(*state), "");
}

static int
exceed_a_limit (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  static uint8_t zeros[AUTOBEE_APPLY_VALUE_MAX + 1];
  plan_t *plan = data;
  int err = 0;
  (void) nodes;
  (void) count;
  if (plan->step == 0)
    err = autobee_apply_put(apply, ab_slice(zeros, AUTOBEE_APPLY_KEY_MAX + 1), ab_text("v"));
  if (plan->step == 1) err = autobee_apply_put(apply, ab_text("k"), ab_slice(zeros, sizeof(zeros)));
  if (plan->step == 2) err = autobee_apply_del(apply, ab_slice(zeros, AUTOBEE_APPLY_KEY_MAX + 1));
  if (plan->step == 3) {
    ab_slice_t key = ab_slice(zeros, AUTOBEE_APPLY_KEY_MAX), value = ab_slice(zeros, AUTOBEE_APPLY_VALUE_MAX);
    if ((err = autobee_apply_put(apply, key, value)) < 0) return err;
  }
  if (plan->step == 4) { /* as much as one block can be asked to hold */
    uint8_t *keys = zeros;
    for (unsigned i = 0; i < 255; i++) {
      keys[0] = (uint8_t) i;
      err = autobee_apply_put(apply, ab_slice(keys, AUTOBEE_APPLY_KEY_MAX), ab_slice(zeros + 1, 1024));
      if (err < 0) return err;
    }
    keys[0] = 0;
    return 0;
  }
  plan->seen = err;
  return 0;
}

static void
what_is_too_long_for_a_block_rejects_the_batch (void **state) {
  for (int step = 0; step < 3; step++) {
    plan_t plan = {.step = step};
    assert_int_equal(run(*state, exceed_a_limit, &plan), AB_EREJECTED);
    assert_int_equal(plan.seen, AB_EREJECTED);
    assert_non_null(strstr(view_message(*state), "are allowed"));
  }
  for (int step = 3; step < 5; step++) {
    plan_t plan = {.step = step};
    assert_int_equal(run(*state, exceed_a_limit, &plan), 0);
  }
}

/* ---- the host ---- */

static int
ask_the_host (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  ab_key_t key = nodes[0].writer, database;
  ab_head_t node = {key, nodes[0].length}, anchor;
  autobee_writer_t writer;
  (void) data;
  (void) count;
  assert_true(autobee_apply_genesis(apply));
  assert_int_equal(autobee_apply_clock(apply), 5);
  autobee_apply_key(apply, &database);
  assert_int_equal(database.bytes[31], 0xdb);
  assert_int_equal(autobee_apply_add_writer(apply, &key, true, 3), 0);
  assert_int_equal(autobee_apply_remove_writer(apply, &key), 0);
  assert_int_equal(autobee_apply_ack_writer(apply, &key), 0);
  assert_int_equal(autobee_apply_create_anchor(apply, &node, &anchor), 0);
  assert_int_equal(anchor.length, 1);
  assert_int_equal(autobee_apply_writer(apply, &key, &writer), 0);
  assert_int_equal(writer.max_weight, 3);
  return 0;
}

static void
host_calls_take_effect_in_order (void **state) {
  assert_int_equal(run(*state, ask_the_host, NULL), 0);
  assert_string_equal(view_calls(*state), "add 07 indexer 3\nremove 07\nack 07\nanchor 07.1\nwriter 07\n");
}

static int
look_for_a_writer (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  plan_t *plan = data;
  autobee_writer_t writer;
  (void) count;
  plan->seen = autobee_apply_writer(apply, &nodes[0].writer, &writer);
  return plan->step == 0 ? 0 : autobee_apply_add_writer(apply, &nodes[0].writer, true, AB_MAX_SAFE + 1);
}

static void
an_unknown_writer_is_an_answer_and_any_other_error_ends_the_run (void **state) {
  view_t *view = *state;
  plan_t plan = {0};
  view->host_err = AB_ENOTFOUND;
  assert_int_equal(run(view, look_for_a_writer, &plan), 0);
  assert_int_equal(plan.seen, AB_ENOTFOUND);
  view->host_err = AB_EREMOTE;
  assert_int_equal(run(view, look_for_a_writer, &plan), AB_EREMOTE);
  view->host_err = 0;
  plan.step = 1;
  assert_int_equal(run(view, look_for_a_writer, &plan), AB_EINVAL); /* the weight */
}

static int
ask_and_return_0 (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  plan_t *plan = data;
  ab_slice_t value;
  (void) count;
  assert_int_equal(put(apply, "a", "1"), 0);
  int err = autobee_apply_remove_writer(apply, &nodes[0].writer);
  plan->seen = autobee_apply_get(apply, ab_text("a"), &value);
  assert_int_equal(err, plan->seen); /* from here on everything fails alike */
  assert_int_equal(put(apply, "b", "1"), err);
  assert_int_equal(autobee_apply_flush(apply), err);
  return plan->step;
}

static void
after_a_failed_call_the_return_value_does_not_count (void **state) {
  view_t *view = *state;
  plan_t plan = {.step = 0};
  view->host_err = AB_ECORRUPT;
  assert_int_equal(run(view, ask_and_return_0, &plan), AB_ECORRUPT);
  assert_int_equal(plan.seen, AB_ECORRUPT);
  assert_non_null(strstr(view_message(view), "remove_writer: "));
  plan.step = AB_EREJECTED;
  assert_int_equal(run(view, ask_and_return_0, &plan), AB_ECORRUPT);
  assert_string_equal(view_entries(view), "");
}

static void
a_host_without_a_call_does_not_support_it (void **state) {
  view_t *view = *state;
  static const apply_host_t host = {0};
  apply_input_t input = {.view = view->bee, .host = &host};
  autobee_node_t node = view_node(1, "value");
  apply_result_t result;
  plan_t plan = {0};
  assert_int_equal(apply_run(&input, ask_and_return_0, &plan, &node, 1, &result), 0);
  assert_int_equal(result.verdict, AB_ENOTSUP);
  ab_buf_destroy(&result.message);
}

/* ---- cursors ---- */

static void
read_on (autobee_apply_cursor_t *cursor, plan_t *plan, int most) {
  ab_slice_t key, value;
  int err = 0;
  while (most-- > 0 && (err = autobee_apply_cursor_next(cursor, &key, &value)) == 0) {
    append_text(plan, key);
    append_text(plan, value);
  }
  plan->seen = err;
}

static int
walk_while_writing (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  plan_t *plan = data;
  autobee_apply_cursor_t *before, *during, *left_open;
  autobee_apply_range_t range = {.lower = ab_text("b"), .has_lower = true, .reverse = true};
  (void) nodes;
  (void) count;
  assert_int_equal(put(apply, "a", "1"), 0);
  assert_int_equal(put(apply, "b", "2"), 0);
  assert_int_equal(put(apply, "c", "3"), 0);
  if (plan->step == 1) assert_int_equal(autobee_apply_flush(apply), 0);
  assert_int_equal(autobee_apply_cursor(apply, NULL, &before), 0);
  assert_int_equal(autobee_apply_cursor(apply, NULL, &left_open), 0);
  read_on(before, plan, 1);

  assert_int_equal(autobee_apply_del(apply, ab_text("b")), 0);
  assert_int_equal(put(apply, "d", "4"), 0);
  assert_int_equal(autobee_apply_cursor(apply, &range, &during), 0);
  read_on(before, plan, 1);
  assert_int_equal(autobee_apply_flush(apply), 0);
  read_on(before, plan, 9);
  assert_int_equal(plan->seen, AB_EEND);
  autobee_apply_cursor_close(before);

  append_text(plan, ab_text("|"));
  read_on(during, plan, 9);
  autobee_apply_cursor_close(during);
  return 0;
}

static void
a_cursor_stays_on_the_view_as_it_was (void **state) {
  for (int step = 0; step < 2; step++) {
    plan_t plan = {.step = step};
    assert_int_equal(run(*state, walk_while_writing, &plan), 0);
    assert_string_equal(plan.text, "a 1 b 2 c 3 | d 4 c 3 ");
    assert_string_equal(view_entries(*state), "a=1\nc=3\nd=4\n");
    view_close(*state);
    view_open(*state);
  }
}

static int
walk_ranges (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  plan_t *plan = data;
  autobee_apply_cursor_t *cursor;
  autobee_apply_range_t range = {
    .lower = ab_text("b"), .upper = ab_text("d"), .has_lower = true, .has_upper = true};
  (void) nodes;
  (void) count;
  for (char key[] = "a"; key[0] < 'g'; key[0]++) assert_int_equal(put(apply, key, key), 0);
  for (int i = 0; i < 8; i++) {
    range.lower_open = (i & 1) != 0;
    range.upper_open = (i & 2) != 0;
    range.limit = (i & 4) != 0 ? 1 : 0;
    assert_int_equal(autobee_apply_cursor(apply, &range, &cursor), 0);
    read_on(cursor, plan, 9);
    autobee_apply_cursor_close(cursor);
    append_text(plan, ab_text("|"));
  }
  return 0;
}

static void
a_cursor_keeps_to_its_range (void **state) {
  plan_t plan = {0};
  assert_int_equal(run(*state, walk_ranges, &plan), 0);
  assert_string_equal(plan.text, "b b c c d d | c c d d | b b c c | c c | b b | c c | b b | c c | ");
}

/* ---- a view whose blocks are elsewhere ---- */

static int
fill (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  (void) nodes;
  (void) count;
  (void) data;
  for (int i = 0; i < 1000; i++) {
    char key[16];
    snprintf(key, sizeof(key), "%04d", i);
    int err = put(apply, key, key);
    if (err < 0) return err;
  }
  return 0;
}

static int
miss (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  plan_t *plan = data;
  ab_slice_t value = ab_text("untouched"), keys[] = {ab_text("0001"), ab_text("0999")};
  (void) nodes;
  (void) count;
  if (plan->step == 0) plan->seen = autobee_apply_get(apply, keys[0], &value);
  if (plan->step == 1) plan->seen = put(apply, "0001", "new");
  if (plan->step == 2) plan->seen = autobee_apply_prefetch(apply, keys, 2);
  if (plan->step == 3) {
    autobee_apply_cursor_t *cursor;
    ab_slice_t key;
    plan->seen = autobee_apply_cursor(apply, NULL, &cursor);
    if (plan->seen == 0) plan->seen = autobee_apply_cursor_next(cursor, &key, &value);
  }
  assert_true(ab_slice_equal(value, ab_text("untouched")));
  return autobee_apply_reject(apply, "as if the key were absent");
}

static void
a_missing_block_is_no_verdict (void **state) {
  view_t *full = *state, bare;
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *copy;
  ab_head_t head;
  assert_int_equal(run(full, fill, NULL), 0);
  assert_int_equal(ab_store_commit(full->store), 0);
  bee_head(full->bee, &head);

  /* A store that knows the core's length and holds none of its blocks. */
  view_open(&bare);
  options.key = &head.key;
  assert_int_equal(hypercore_open(bare.store, &options, &copy), 0);
  assert_int_equal(hypercore_pull(copy, full->core, 0, 0, 0), 0);
  assert_int_equal(bee_move(bare.bee, &head.key, head.length), 0);
  for (int step = 0; step < 4; step++) {
    plan_t plan = {.step = step};
    assert_int_equal(run(&bare, miss, &plan), AB_EREMOTE);
    assert_int_equal(plan.seen, AB_EREMOTE);
    assert_int_equal(view_length(&bare), 0);
  }

  /* With them the same run is decided. */
  assert_int_equal(hypercore_pull(copy, full->core, 0, 0, head.length), 0);
  plan_t plan = {.step = 1};
  assert_int_equal(run(&bare, miss, &plan), AB_EREJECTED);
  plan.step = 2;
  assert_int_equal(run(&bare, miss, &plan), AB_EREJECTED);
  assert_int_equal(plan.seen, 0);
  hypercore_close(copy);
  view_close(&bare);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(reads_see_the_writes_of_the_run, open_view, close_view),
    cmocka_unit_test_setup_teardown(a_value_that_was_read_can_be_put_elsewhere, open_view, close_view),
    cmocka_unit_test_setup_teardown(each_flush_of_writes_makes_a_block, open_view, close_view),
    cmocka_unit_test_setup_teardown(a_run_without_writes_makes_no_block, open_view, close_view),
    cmocka_unit_test_setup_teardown(an_equal_put_makes_no_block, open_view, close_view),
    cmocka_unit_test_setup_teardown(a_rejected_batch_leaves_nothing, open_view, close_view),
    cmocka_unit_test_setup_teardown(what_is_returned_is_the_verdict, open_view, close_view),
    cmocka_unit_test_setup_teardown(an_interrupt_ends_the_run_with_its_reason, open_view, close_view),
    cmocka_unit_test_setup_teardown(what_is_too_long_for_a_block_rejects_the_batch, open_view, close_view),
    cmocka_unit_test_setup_teardown(host_calls_take_effect_in_order, open_view, close_view),
    cmocka_unit_test_setup_teardown(
      an_unknown_writer_is_an_answer_and_any_other_error_ends_the_run, open_view, close_view
    ),
    cmocka_unit_test_setup_teardown(
      after_a_failed_call_the_return_value_does_not_count, open_view, close_view
    ),
    cmocka_unit_test_setup_teardown(a_host_without_a_call_does_not_support_it, open_view, close_view),
    cmocka_unit_test_setup_teardown(a_cursor_stays_on_the_view_as_it_was, open_view, close_view),
    cmocka_unit_test_setup_teardown(a_cursor_keeps_to_its_range, open_view, close_view),
    cmocka_unit_test_setup_teardown(a_missing_block_is_no_verdict, open_view, close_view),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

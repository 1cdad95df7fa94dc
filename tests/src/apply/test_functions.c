/* The apply functions that vectors and benchmarks run. */
#include <stdio.h>
#include <stdlib.h>

#include "apply/json.h"
#include "apply/view.h"
#include "support/json_v1.h"
#include "support/reference_apply.h"
#include "support/test.h"

#define HEX_07 "0707070707070707070707070707070707070707070707070707070707070707"

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

static void
json_v1_shows_every_node_in_a_block_of_its_own (void **state) {
  view_t *view = *state;
  autobee_node_t nodes[] = {
    view_node(1, "{\"m\":1}"), view_node(2, "{\"put\":{\"k\":\"v\",\"l\":\"w\"},\"del\":[\"k\"]}")};
  assert_int_equal(view_run(view, json_v1_apply, NULL, nodes, 2), 0);
  assert_string_equal(
    view_entries(view),
    "#000000=" HEX_07 ".1\n#000001=" HEX_07 ".2\nclock=1\nl=w\n"
    "latest={\"put\":{\"k\":\"v\",\"l\":\"w\"},\"del\":[\"k\"]}\n"
  );
  assert_int_equal(view_length(view), 2);
}

static void
json_v1_seen_shows_stamps_and_flags (void **state) {
  view_t *view = *state;
  json_v1_t options = {.is_seen = true};
  autobee_node_t node = view_node(1, "{\"del\":[\"latest\",\"#000000\"]}");
  node.optimistic = true;
  assert_int_equal(view_run(view, json_v1_apply, &options, &node, 1), 0);
  assert_string_equal(view_entries(view), "clock=0\n~000000=1700000000000.1\n");
}

static void
json_v1_acts_on_writers_in_order (void **state) {
  view_t *view = *state;
  autobee_node_t node = view_node(
    9,
    "{\"anchor\":1,\"ack\":1,\"removeWriter\":\"" HEX_07 "\",\"addWriter\":\"" HEX_07
    "\",\"isIndexer\":false}"
  );
  assert_int_equal(view_run(view, json_v1_apply, NULL, &node, 1), 0);
  assert_string_equal(view_calls(view), "add 07 writer 1\nremove 07\nack 07\nanchor 07.9\n");
  node = view_node(1, "{\"addWriter\":\"" HEX_07 "\",\"weight\":0}");
  assert_int_equal(view_run(view, json_v1_apply, NULL, &node, 1), 0);
  assert_string_equal(view_calls(view), "add 07 indexer 0\n");
}

static void
json_v1_refuses_optimistic_nodes_that_ask_for_it (void **state) {
  view_t *view = *state;
  autobee_node_t node = view_node(1, "{\"reject\":1,\"ack\":1}");
  assert_int_equal(view_run(view, json_v1_apply, NULL, &node, 1), 0);
  node.optimistic = true;
  assert_int_equal(view_run(view, json_v1_apply, NULL, &node, 1), AB_EREJECTED);
  assert_string_equal(view_calls(view), "");
  node.value = ab_text("{\"reject\":2,\"ack\":1}");
  assert_int_equal(view_run(view, json_v1_apply, NULL, &node, 1), AB_EREJECTED);
  assert_string_equal(view_calls(view), "ack 07\n");
  node.value = ab_text("{\"reject\":0}");
  assert_int_equal(view_run(view, json_v1_apply, NULL, &node, 1), 0);
}

static void
json_v1_fails_when_it_is_told_to (void **state) {
  view_t *view = *state;
  json_v1_t options = {.fails = JSON_V1_RAISE};
  autobee_node_t node = view_node(1, "{\"stop\":1}");
  assert_int_equal(view_run(view, json_v1_apply, &options, &node, 1), AB_EHALTED);
  assert_string_equal(view_message(view), "stopped by apply");
  options.fails = JSON_V1_INTERRUPT;
  assert_int_equal(view_run(view, json_v1_apply, &options, &node, 1), AB_EINTERRUPTED);
  assert_string_equal(view_message(view), "stopped by apply");
  options.fails = JSON_V1_NONE;
  assert_int_equal(view_run(view, json_v1_apply, &options, &node, 1), 0);
  node.value = ab_text("no JSON");
  assert_int_equal(view_run(view, json_v1_apply, &options, &node, 1), AB_EHALTED);
  node.optimistic = true;
  assert_int_equal(view_run(view, json_v1_apply, &options, &node, 1), AB_EREJECTED);
}

static void
the_reference_apply_counts_values (void **state) {
  view_t *view = *state;
  ab_json_doc_t doc = {0};
  autobee_node_t nodes[] = {view_node(1, "{\"addWriter\":\"" HEX_07 "\"}"), view_node(2, "{\"id\":1}")};
  assert_int_equal(view_run(view, reference_apply, &doc, nodes, 2), 0);
  assert_string_equal(view_calls(view), "add 07 indexer 2\n");
  assert_int_equal(view_length(view), 2);
  nodes[0] = view_node(3, "{}");
  nodes[1] = view_node(4, "[]");
  assert_int_equal(view_run(view, reference_apply_batched, NULL, nodes, 2), 0);
  assert_int_equal(view_length(view), 3);
  assert_string_equal(
    view_entries(view),
    "#000000=" HEX_07 ".1\n#000001=" HEX_07 ".2\n#000002=" HEX_07 ".3\n#000003=" HEX_07
    ".4\nclock=3\nlatest=[]\n"
  );
  nodes[0].value = ab_text("no JSON");
  assert_int_equal(view_run(view, reference_apply, &doc, nodes, 2), AB_EREJECTED);
  ab_json_doc_destroy(&doc);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(json_v1_shows_every_node_in_a_block_of_its_own, open_view, close_view),
    cmocka_unit_test_setup_teardown(json_v1_seen_shows_stamps_and_flags, open_view, close_view),
    cmocka_unit_test_setup_teardown(json_v1_acts_on_writers_in_order, open_view, close_view),
    cmocka_unit_test_setup_teardown(json_v1_refuses_optimistic_nodes_that_ask_for_it, open_view, close_view),
    cmocka_unit_test_setup_teardown(json_v1_fails_when_it_is_told_to, open_view, close_view),
    cmocka_unit_test_setup_teardown(the_reference_apply_counts_values, open_view, close_view),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

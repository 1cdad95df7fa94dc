#include <stdio.h>
#include <stdlib.h>

#include "apply/view.h"
#include "support/test.h"

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
run (view_t *view, const char *value) {
  autobee_node_t node = view_node(3, value);
  return view_run(view, autobee_apply_kv, NULL, &node, 1);
}

#define HEX(byte) byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte byte
#define KEY_07 HEX("07") HEX("07")
#define KEY_AB HEX("aB") HEX("Ab")
#define Z32_01 "yryonyebyryonyebyryonyebyryonyebyryonyebyryonyebyryo" /* 01…01 */

static void
puts_and_deletes_are_applied (void **state) {
  view_t *view = *state;
  assert_int_equal(run(view, "{\"put\":{\"a\":\"1\",\"b\":\"2\",\"\\u00e9\":\"\",\"\":\"empty\"}}"), 0);
  assert_string_equal(view_entries(view), "=empty\na=1\nb=2\n\xc3\xa9=\n");
  assert_int_equal(run(view, "{\"del\":[\"a\",\"missing\",\"\"],\"put\":{\"b\":\"3\"}}"), 0);
  assert_string_equal(view_entries(view), "b=3\n\xc3\xa9=\n");
}

static void
hex_is_for_what_is_not_text (void **state) {
  view_t *view = *state;
  ab_slice_t key = ab_slice("\0\xff", 2);
  bee_entry_t entry;
  assert_int_equal(run(view, "{\"putHex\":{\"00fF\":\"0A00\",\"61\":\"62\",\"\":\"\"}}"), 0);
  assert_int_equal(bee_get(view->bee, key, &entry), 0);
  assert_true(ab_slice_equal(entry.value, ab_slice("\n\0", 2)));
  assert_int_equal(run(view, "{\"delHex\":[\"00FF\",\"\"]}"), 0);
  assert_string_equal(view_entries(view), "a=b\n");
}

static void
the_last_operation_in_order_wins (void **state) {
  view_t *view = *state;
  /* put, del, putHex, delHex: whatever the order of the text */
  assert_int_equal(
    run(
      view,
      "{\"delHex\":[\"64\"],\"putHex\":{\"63\":\"33\",\"64\":\"34\"},\"del\":[\"b\",\"c\"],"
      "\"put\":{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\",\"d\":\"4\"}}"
    ),
    0
  );
  assert_string_equal(view_entries(view), "a=1\nc=3\n");
  assert_int_equal(run(view, "{\"putHex\":{\"aa\":\"31\",\"AA\":\"32\"}}"), 0);
  assert_string_equal(view_entries(view), "a=1\nc=3\n\xaa=2\n");
}

static void
nodes_of_a_batch_go_into_one_block (void **state) {
  view_t *view = *state;
  autobee_node_t nodes[] = {
    view_node(1, "{\"put\":{\"a\":\"1\",\"b\":\"1\"}}"),
    view_node(2, "{}"),
    view_node(3, "{\"del\":[\"a\"],\"put\":{\"b\":\"2\"}}")};
  assert_int_equal(view_run(view, autobee_apply_kv, NULL, nodes, 3), 0);
  assert_string_equal(view_entries(view), "b=2\n");
  assert_int_equal(view_length(view), 1);
}

static void
a_batch_without_writes_makes_no_block (void **state) {
  view_t *view = *state;
  assert_int_equal(view_run(view, autobee_apply_kv, NULL, NULL, 0), 0);
  assert_int_equal(run(view, "{}"), 0);
  assert_int_equal(run(view, "{\"put\":{},\"del\":[],\"putHex\":{},\"delHex\":[]}"), 0);
  assert_int_equal(view_length(view), 0);
}

static void
writers_are_added_and_removed (void **state) {
  view_t *view = *state;
  assert_int_equal(run(view, "{\"addWriter\":\"" KEY_07 "\"}"), 0);
  assert_string_equal(view_calls(view), "add 07 indexer 2\n");
  assert_int_equal(run(view, "{\"isIndexer\":false,\"addWriter\":\"" KEY_AB "\"}"), 0);
  assert_string_equal(view_calls(view), "add ab writer 1\n");
  assert_int_equal(run(view, "{\"addWriter\":\"" Z32_01 "\",\"weight\":0,\"isIndexer\":true}"), 0);
  assert_string_equal(view_calls(view), "add 01 indexer 0\n");
  assert_int_equal(run(view, "{\"addWriter\":\"" KEY_07 "\",\"weight\":9007199254740991}"), 0);
  assert_string_equal(view_calls(view), "add 07 indexer 9007199254740991\n");
  assert_int_equal(run(view, "{\"addWriter\":\"" KEY_07 "\",\"weight\":1e1,\"isIndexer\":false}"), 0);
  assert_string_equal(view_calls(view), "add 07 writer 10\n");
  assert_int_equal(run(view, "{\"removeWriter\":\"" KEY_07 "\",\"addWriter\":\"" KEY_AB "\"}"), 0);
  assert_string_equal(view_calls(view), "add ab indexer 2\nremove 07\n");
}

static void
anything_else_rejects_the_whole_batch (void **state) {
  static const char *const bad[] = {
    "",
    "x",
    "null",
    "[]",
    "\"{}\"",
    "5",
    "{\"put\":{\"a\":\"1\"},\"put\":{}}",
    "{\"put\":{\"a\":\"1\",\"a\":\"2\"}}",
    "{\"Put\":{}}",
    "{\"\":1}",
    "{\"put\":null}",
    "{\"put\":[]}",
    "{\"put\":{\"a\":1}}",
    "{\"put\":{\"a\":null}}",
    "{\"put\":{\"a\":{\"b\":\"c\"}}}",
    "{\"del\":{}}",
    "{\"del\":\"a\"}",
    "{\"del\":[1]}",
    "{\"del\":[[\"a\"]]}",
    "{\"putHex\":{\"0\":\"00\"}}",
    "{\"putHex\":{\"00\":\"0\"}}",
    "{\"putHex\":{\"0g\":\"00\"}}",
    "{\"putHex\":{\"00\":\"0x\"}}",
    "{\"delHex\":[\"zz\"]}",
    "{\"addWriter\":null}",
    "{\"addWriter\":\"\"}",
    "{\"addWriter\":\"" KEY_07 "0\"}",
    "{\"addWriter\":\"" HEX("07") "\"}",
    "{\"addWriter\":\"" HEX("07") HEX("0g") "\"}",
    "{\"addWriter\":\"pear://" KEY_07 "\"}",
    "{\"addWriter\":\"pear://" Z32_01 "/xxxx\"}",
    "{\"addWriter\":\"" KEY_07 "\",\"isIndexer\":1}",
    "{\"addWriter\":\"" KEY_07 "\",\"isIndexer\":null}",
    "{\"addWriter\":\"" KEY_07 "\",\"weight\":-1}",
    "{\"addWriter\":\"" KEY_07 "\",\"weight\":0.5}",
    "{\"addWriter\":\"" KEY_07 "\",\"weight\":9007199254740992}",
    "{\"addWriter\":\"" KEY_07 "\",\"weight\":\"1\"}",
    "{\"addWriter\":\"" KEY_07 "\",\"weight\":null}",
    "{\"isIndexer\":true}",
    "{\"weight\":1}",
    "{\"removeWriter\":true}",
    "{\"removeWriter\":\"me\"}",
  };
  view_t *view = *state;
  assert_int_equal(run(view, "{\"put\":{\"kept\":\"1\"}}"), 0);
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    autobee_node_t nodes[] = {view_node(2, "{\"put\":{\"lost\":\"1\"}}"), view_node(3, bad[i])};
    int verdict = view_run(view, autobee_apply_kv, NULL, nodes, 2);
    if (verdict != AB_EREJECTED) fail_msg("%s gives %s", bad[i], ab_err_name(verdict));
    assert_non_null(strstr(view_message(view), "kv: node 3: "));
    assert_string_equal(view_calls(view), "");
    assert_string_equal(view_entries(view), "kept=1\n");
  }
}

static void
optimistic_nodes_of_strangers_are_rejected (void **state) {
  view_t *view = *state;
  autobee_node_t node = view_node(1, "{}");
  node.optimistic = true;
  assert_int_equal(view_run(view, autobee_apply_kv, NULL, &node, 1), 0);
  node.writer.bytes[0] = 0; /* nobody knows it */
  assert_int_equal(view_run(view, autobee_apply_kv, NULL, &node, 1), AB_EREJECTED);
}

static void
a_key_that_is_too_long_rejects_the_batch (void **state) {
  view_t *view = *state;
  size_t len = 0;
  char *text = malloc(AUTOBEE_APPLY_KEY_MAX + 64);
  assert_non_null(text);
  len += (size_t) sprintf(text, "{\"put\":{\"");
  memset(text + len, 'k', AUTOBEE_APPLY_KEY_MAX + 1);
  sprintf(text + len + AUTOBEE_APPLY_KEY_MAX + 1, "\":\"v\"}}");
  assert_int_equal(run(view, text), AB_EREJECTED);
  sprintf(text + len + AUTOBEE_APPLY_KEY_MAX, "\":\"v\"}}");
  assert_int_equal(run(view, text), 0);
  free(text);
}

static void
a_host_that_fails_halts (void **state) {
  view_t *view = *state;
  view->host_err = AB_EREMOTE;
  assert_int_equal(run(view, "{\"addWriter\":\"" KEY_07 "\",\"put\":{\"a\":\"1\"}}"), AB_EREMOTE);
  assert_string_equal(view_entries(view), "");
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(puts_and_deletes_are_applied, open_view, close_view),
    cmocka_unit_test_setup_teardown(hex_is_for_what_is_not_text, open_view, close_view),
    cmocka_unit_test_setup_teardown(the_last_operation_in_order_wins, open_view, close_view),
    cmocka_unit_test_setup_teardown(nodes_of_a_batch_go_into_one_block, open_view, close_view),
    cmocka_unit_test_setup_teardown(a_batch_without_writes_makes_no_block, open_view, close_view),
    cmocka_unit_test_setup_teardown(writers_are_added_and_removed, open_view, close_view),
    cmocka_unit_test_setup_teardown(anything_else_rejects_the_whole_batch, open_view, close_view),
    cmocka_unit_test_setup_teardown(optimistic_nodes_of_strangers_are_rejected, open_view, close_view),
    cmocka_unit_test_setup_teardown(a_key_that_is_too_long_rejects_the_batch, open_view, close_view),
    cmocka_unit_test_setup_teardown(a_host_that_fails_halts, open_view, close_view),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

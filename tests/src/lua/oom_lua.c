/* The n-th allocation fails, n = 1, 2, 3 …: in opening a script, in applying a batch, in a query. It is never
 * a verdict, and the next call works. */
#include <stdio.h>
#include <stdlib.h>

#include "lua/script.h"
#include "support/failing_alloc.h"
#include "support/test.h"

static const char text[] =
  "local words = {} for w in ('some words to begin with'):gmatch('%a+') do words[#words + 1] = w end\n"
  "function apply(nodes, view, host)\n"
  "  local op = json.decode(nodes[1].value)\n"
  "  for k, v in pairs(op.put) do view:put(k, json.encode(v)) end\n"
  "  for k, v in view:range{prefix = 'k'} do view:put('c' .. k, ('%s %d'):format(v, #v)) end\n"
  "  table.sort(words, function(a, b) return a > b end)\n"
  "  local w = view:sub('s'):write() w:put(table.concat(words, ','), ab.key('x', 1)) w:flush()\n"
  "  view:put('h', hex(blake2b((('x'):rep(5000):gsub('x', 'yz')))))\n"
  "  pcall(function() error({code = 'caught'}) end)\n"
  "end\n"
  "function query(name, args, view) return {name, args, view:get('h')} end";
static const char value[] = "{\"put\":{\"k1\":[1,2,{\"a\":null}],\"k2\":\"\\u00e9\",\"x\":{}}}";

static failing_alloc_mode_t mode;

static void
an_open_that_fails_leaves_nothing (void **state) {
  size_t n = 0;
  bool failed;
  (void) state;
  do {
    sandbox_t *sandbox = NULL;
    char message[128];
    failing_alloc_arm(++n, mode);
    int err = sandbox_open(ab_text(text), NULL, &sandbox, message, sizeof(message));
    failed = failing_alloc_disarm();
    if (err == 0) sandbox_close(sandbox);
    else if (err != AB_ENOMEM || !failed) fail_msg("allocation %zu: %s %s", n, ab_err_name(err), message);
  } while (failed);
  print_message("%zu allocations\n", n);
}

typedef struct {
  sandbox_t *sandbox;
  size_t n;
  bool failed;
} plan_t;

static int
apply_with_failure (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  plan_t *plan = data;
  failing_alloc_arm(plan->n, mode);
  int err = sandbox_apply(apply, nodes, count, plan->sandbox);
  plan->failed = failing_alloc_disarm();
  return err;
}

static void
a_batch_that_fails_is_halted_and_can_be_applied_again (void **state) {
  script_t script;
  plan_t plan = {0};
  char expected[4096];
  (void) state;
  script_open(&script, text, NULL);
  autobee_node_t node = view_node(1, value);
  assert_int_equal(view_run(&script.view, sandbox_apply, script.sandbox, &node, 1), 0);
  snprintf(expected, sizeof(expected), "%s", view_entries(&script.view));
  script_close(&script);

  do {
    script_open(&script, text, NULL);
    plan.sandbox = script.sandbox;
    plan.n++;
    int verdict = view_run(&script.view, apply_with_failure, &plan, &node, 1);
    if (verdict != 0) {
      if (!plan.failed || verdict != AB_ENOMEM) {
        fail_msg("allocation %zu: %s %s", plan.n, ab_err_name(verdict), view_message(&script.view));
      }
      verdict = view_run(&script.view, sandbox_apply, script.sandbox, &node, 1);
      if (verdict < 0) fail_msg("after allocation %zu: %s", plan.n, view_message(&script.view));
    }
    assert_string_equal(view_entries(&script.view), expected);
    script_close(&script);
  } while (plan.failed);
  print_message("%zu allocations\n", plan.n);
}

static int
get_nothing (void *data, ab_slice_t key, ab_slice_t *out) {
  (void) data;
  (void) key;
  *out = ab_text("hash");
  return 0;
}

static void
a_query_that_fails_can_be_asked_again (void **state) {
  static const sandbox_reader_t reader = {.get = get_nothing};
  script_t script;
  size_t n = 0;
  bool failed;
  (void) state;
  do {
    ab_slice_t result;
    script_open(&script, text, NULL);
    failing_alloc_arm(++n, mode);
    int err = sandbox_query(script.sandbox, ab_text("q"), ab_text("[1]"), &reader, NULL, &result);
    failed = failing_alloc_disarm();
    if (err < 0) {
      if (!failed || err != AB_ENOMEM) fail_msg("allocation %zu: %s", n, ab_err_name(err));
      err = sandbox_query(script.sandbox, ab_text("q"), ab_text("[1]"), &reader, NULL, &result);
    }
    assert_int_equal(err, 0);
    assert_true(ab_slice_equal(result, ab_text("[\"q\",[1],\"hash\"]")));
    script_close(&script);
  } while (failed);
  print_message("%zu allocations\n", n);
}

static int
fail_onwards (void **state) {
  (void) state;
  mode = FAILING_ALLOC_ONWARDS;
  return 0;
}

static int
fail_once (void **state) {
  (void) state;
  mode = FAILING_ALLOC_ONCE;
  return 0;
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup(an_open_that_fails_leaves_nothing, fail_once),
    cmocka_unit_test_setup(an_open_that_fails_leaves_nothing, fail_onwards),
    cmocka_unit_test_setup(a_batch_that_fails_is_halted_and_can_be_applied_again, fail_once),
    cmocka_unit_test_setup(a_batch_that_fails_is_halted_and_can_be_applied_again, fail_onwards),
    cmocka_unit_test_setup(a_query_that_fails_can_be_asked_again, fail_once),
    cmocka_unit_test_setup(a_query_that_fails_can_be_asked_again, fail_onwards),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Opening scripts, the three outcomes, budgets, and what a run leaves behind: nothing. */
#include <stdio.h>
#include <stdlib.h>

#include "hypercore/crypto.h"
#include "hypercore/encoding.h"
#include "lua/script.h"
#include "support/test.h"

#define NOTHING "function apply() end "

/* ---- opening ---- */

static void
refusals_name_the_script_and_the_line (void **state) {
  sandbox_options_t options = sandbox_options_default();
  sandbox_t *sandbox;
  char message[256];
  (void) state;
  options.name = "merge.lua";
  int err = sandbox_open(ab_text("local x = 1\nlocal = 2\n"), &options, &sandbox, message, sizeof(message));
  assert_int_equal(err, AB_EINVAL);
  assert_string_equal(message, "merge.lua:2: <name> expected near '='");
  err = sandbox_open(ab_text("local x\n\nx = x.y.z"), &options, &sandbox, message, sizeof(message));
  assert_int_equal(err, AB_EINVAL);
  assert_string_equal(message, "merge.lua:3: attempt to index a nil value (local 'x')");
  err = sandbox_open(ab_text("\nlocal y = 2 ^ 3"), &options, &sandbox, message, sizeof(message));
  assert_int_equal(err, AB_EINVAL);
  assert_string_equal(message, "merge.lua:2: there is no operator ^ here; ab.pow(x, n) has integer powers");
}

static void
a_script_needs_an_apply_function (void **state) {
  (void) state;
  assert_contains(script_refusal("", AB_EINVAL), "no function apply");
  assert_contains(script_refusal("apply = 1", AB_EINVAL), "no function apply");
  assert_contains(script_refusal("local function apply() end", AB_EINVAL), "no function apply");
  assert_contains(
    script_refusal("setmetatable(_ENV, {__index = function() return print end})", AB_EINVAL),
    "no function apply"
  );
  assert_contains(script_refusal(NOTHING "query = {}", AB_EINVAL), "query is a table");
}

static void
a_policy_is_checked (void **state) {
  sandbox_t *sandbox;
  sandbox_policy_t policy;
  (void) state;
  assert_contains(script_refusal(NOTHING "policy = 1", AB_EINVAL), "policy is a number");
  assert_contains(
    script_refusal(NOTHING "policy = {on_error = 'ignore'}", AB_EINVAL), "\"skip\" or \"stop\""
  );
  assert_contains(script_refusal(NOTHING "policy = {optimistic = 1}", AB_EINVAL), "boolean");
  assert_contains(script_refusal(NOTHING "policy = {optimistik = true}", AB_EINVAL), "nothing else");

  assert_int_equal(sandbox_open(ab_text(NOTHING), NULL, &sandbox, NULL, 0), 0);
  sandbox_policy(sandbox, &policy);
  assert_false(policy.stop_on_error || policy.accepts_optimistic || policy.has_query);
  sandbox_close(sandbox);
  const char *text = "function query() end policy = {on_error = 'stop', optimistic = true} " NOTHING;
  assert_int_equal(sandbox_open(ab_text(text), NULL, &sandbox, NULL, 0), 0);
  sandbox_policy(sandbox, &policy);
  assert_true(policy.stop_on_error && policy.accepts_optimistic && policy.has_query);
  sandbox_close(sandbox);
}

static void
a_script_names_the_version_it_needs (void **state) {
  sandbox_t *sandbox;
  (void) state;
  assert_int_equal(sandbox_open(ab_text("-- autobee: needs 1.0\n" NOTHING), NULL, &sandbox, NULL, 0), 0);
  sandbox_close(sandbox);
  assert_contains(script_refusal("-- autobee: needs 1.1\n" NOTHING, AB_EVERSION), "needs version 1.1");
  assert_contains(script_refusal("-- autobee: needs 2.0\nnot even Lua", AB_EVERSION), "has 1.0");
  assert_contains(script_refusal("-- autobee: needs a lot\n" NOTHING, AB_EINVAL), "without a version");
}

static void
main_chunks_are_bounded (void **state) {
  (void) state;
  assert_contains(script_refusal("while true do end", AB_EINVAL), "more than 1000000 instructions");
  assert_contains(script_refusal("local s = 'x' while true do s = s .. s end", AB_EINVAL), "1000000");
  assert_contains(
    script_refusal(
      "local t = {} for i = 1, 400000 do t[i] = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16} end", AB_EINVAL
    ),
    ""
  );

  char *text = malloc((256 << 10) + 1);
  assert_non_null(text);
  memset(text, ' ', 256 << 10);
  text[256 << 10] = 0;
  assert_contains(script_refusal(text, AB_EINVAL), "no function apply");
  sandbox_options_t options = sandbox_options_default();
  sandbox_t *sandbox;
  options.script_bytes = 10;
  assert_int_equal(sandbox_open(ab_text(text), &options, &sandbox, NULL, 0), AB_ETOOBIG);
  free(text);
}

static void
precompiled_scripts_are_refused (void **state) {
  sandbox_t *sandbox;
  (void) state;
  assert_int_equal(sandbox_open(ab_slice("\x1bLua\x54\0\x19\x93", 8), NULL, &sandbox, NULL, 0), AB_EINVAL);
}

/* ---- the identity ---- */

static void
identity_of (const char *text, const sandbox_options_t *options, uint8_t out[32]) {
  sandbox_t *sandbox;
  assert_int_equal(sandbox_open(ab_text(text), options, &sandbox, NULL, 0), 0);
  sandbox_identity(sandbox, out);
  sandbox_close(sandbox);
}

static void
the_identity_is_what_the_header_says (void **state) {
  static const uint64_t budgets[] = {10000000, 1000000, 65536, 16 << 20, 4096, 4 << 20, 8 << 20, 256 << 10};
  uint8_t encoded[64], expected[32], found[32];
  (void) state;
  for (size_t i = 0; i < 8; i++) ab_put_u64le(encoded + 8 * i, budgets[i]);
  ab_slice_t parts[] = {
    ab_slice("autobee-apply-1", 16),
    ab_slice("lua5.4/s1", 10),
    ab_slice("skip", 5),
    ab_slice(encoded, sizeof(encoded)),
    ab_text(NOTHING),
  };
  ab_hash(expected, parts, 5);
  identity_of(NOTHING, NULL, found);
  assert_memory_equal(found, expected, 32);
}

static void
what_decides_verdicts_is_in_the_identity_and_nothing_else (void **state) {
  sandbox_options_t options = sandbox_options_default();
  uint8_t plain[32], found[32];
  (void) state;
  identity_of(NOTHING, NULL, plain);
  options.memory_bytes *= 2;
  options.wall_ms *= 2;
  options.name = "other";
  identity_of(NOTHING, &options, found);
  assert_memory_equal(found, plain, 32);

  uint64_t *counted[] = {
    &options.instructions,
    &options.main_instructions,
    &options.view_operations,
    &options.view_bytes,
    &options.key_bytes,
    &options.input_bytes,
    &options.string_bytes,
    &options.script_bytes};
  for (size_t i = 0; i < 8; i++) {
    *counted[i] += 1;
    identity_of(NOTHING, &options, found);
    assert_memory_not_equal(found, plain, 32);
    *counted[i] -= 1;
  }
  identity_of(NOTHING " ", NULL, found);
  assert_memory_not_equal(found, plain, 32);
  identity_of("policy = {on_error = 'skip'} " NOTHING, NULL, plain);
  identity_of("policy = {on_error = 'stop'} " NOTHING, NULL, found);
  assert_memory_not_equal(found, plain, 32);
}

/* ---- outcomes ---- */

static const char counter[] = "function apply(nodes, view, host)\n"
                              "  for _, node in ipairs(nodes) do\n"
                              "    if node.value == 'bad' then error('refused') end\n"
                              "    view:put('n', tostring(tonumber(view:get('n') or '0') + 1))\n"
                              "    host:add_writer(node.key)\n"
                              "  end\n"
                              "end";

static void
a_batch_is_applied_or_rejected_as_a_whole (void **state) {
  script_t script;
  (void) state;
  script_open(&script, counter, NULL);
  assert_int_equal(script_apply(&script, (const char *const[]){"a", "b"}, 2), 0);
  assert_string_equal(view_entries(&script.view), "n=2\n");
  assert_string_equal(view_calls(&script.view), "add 07 indexer 2\nadd 07 indexer 2\n");
  assert_int_equal(script_apply(&script, (const char *const[]){"c", "bad", "d"}, 3), AB_EREJECTED);
  assert_string_equal(view_message(&script.view), "apply:3: refused");
  assert_string_equal(view_entries(&script.view), "n=2\n");
  assert_int_equal(script_apply(&script, NULL, 0), 0);
  assert_int_equal(script_apply_one(&script, "e"), 0);
  assert_string_equal(view_entries(&script.view), "n=3\n");
  script_close(&script);
}

static void
errors_are_reported_without_asking_them (void **state) {
  (void) state;
  assert_string_equal(script_run("error('text', 0)"), "rejected: apply:1: text");
  assert_string_equal(
    script_run("\nerror({code = 'no-item'})"), "rejected: apply:2: error of code \"no-item\""
  );
  assert_string_equal(script_run("error({})"), "rejected: apply:1: error object is a table");
  assert_string_equal(script_run("error()"), "rejected: apply:1: error object is a nil");
  assert_string_equal(script_run("error(12)"), "rejected: apply:1: 12");
  assert_string_equal(
    script_run("error(setmetatable({}, {__tostring = function() while true do end end}))"),
    "rejected: apply:1: error object is a table"
  );
  assert_string_equal(script_run("error('a\\0b\\nc', 0)"), "rejected: apply:1: a?b?c");
}

static void
optimistic_batches_go_to_scripts_that_judge_them (void **state) {
  script_t script;
  (void) state;
  autobee_node_t node = view_node(1, "value");
  node.optimistic = true;
  node.writer.bytes[0] = 0; /* nobody knows it */
  script_open(&script, "function apply(nodes, view) view:put('ran', 'yes') end", NULL);
  assert_int_equal(view_run(&script.view, sandbox_apply, script.sandbox, &node, 1), AB_EREJECTED);
  assert_contains(view_message(&script.view), "optimistic");
  assert_string_equal(view_entries(&script.view), "");
  script_replace(
    &script,
    "policy = {optimistic = true} function apply(nodes, view) view:put('ran', tostring(nodes[1].optimistic)) "
    "end"
  );
  assert_int_equal(view_run(&script.view, sandbox_apply, script.sandbox, &node, 1), 0);
  assert_string_equal(view_entries(&script.view), "ran=true\n");
  script_close(&script);
}

static void
counted_budgets_reject (void **state) {
  sandbox_options_t options = sandbox_options_default();
  (void) state;
  options.instructions = 20000;
  options.view_operations = 10;
  options.view_bytes = 1000;
  options.key_bytes = 8;
  options.string_bytes = 2000;
  options.input_bytes = 5;
  assert_string_equal(script_run_with("for i = 1, 1000 do end out('ok')", &options), "ok");
  assert_contains(
    script_run_with("for i = 1, 100000 do end", &options), "rejected: apply:1: more than 20000 instructions"
  );
  assert_contains(script_run_with("for i = 1, 11 do view:put('k', '') end", &options), "more than 10 writes");
  assert_contains(
    script_run_with("for i = 1, 11 do host:add_writer(host.key) end", &options), "more than 10 writes"
  );
  assert_contains(
    script_run_with("view:put('k', ('x'):rep(1000))", &options), "more than 1000 bytes written"
  );
  assert_contains(script_run_with("view:put('123456789', '')", &options), "a key of 9 bytes; 8 are allowed");
  assert_contains(script_run_with("view:sub('1234567'):put('1', '')", &options), "a key of 9 bytes");
  assert_contains(
    script_run_with("local s = ('x'):rep(1500) s = s .. s", &options), "a string of 3000 bytes"
  );
  options.input_bytes = 4;
  assert_contains(script_run_with("", &options), "rejected: apply: a batch of 5 bytes; 4 are allowed");
}

static uint64_t
hurrying_clock (void *data) {
  uint64_t *now = data;
  return *now += 1000;
}

static void
local_budgets_halt (void **state) {
  sandbox_options_t options = sandbox_options_default();
  uint64_t now = 0;
  ab_env_t env = {hurrying_clock, NULL, &now};
  (void) state;
  options.memory_bytes = 1 << 20;
  assert_contains(
    script_run_with("local t = {} for i = 1, 1e6 do t[i] = {} end", &options),
    "halted: apply:1: more than 1048576 bytes of memory"
  );
  assert_contains(
    script_run_with("pcall(function() local t = {} for i = 1, 1e6 do t[i] = {} end end) out('ok')", &options),
    "halted"
  );
  options = sandbox_options_default();
  options.env = &env;
  assert_contains(
    script_run_with("for i = 1, 1e6 do end", &options), "halted: apply:1: took longer than 10000 ms"
  );
}

static void
a_failed_call_halts_whatever_the_script_does (void **state) {
  script_t script;
  (void) state;
  script_open(
    &script,
    "function apply(nodes, view, host)\n"
    "  view:put('before', '1')\n"
    "  local ok = pcall(host.remove_writer, host, host.key)\n"
    "  view:put('after', tostring(ok))\n"
    "end",
    NULL
  );
  script.view.host_err = AB_EREMOTE;
  assert_int_equal(script_apply_one(&script, "x"), AB_EREMOTE);
  assert_string_equal(view_entries(&script.view), "");
  script.view.host_err = 0;
  assert_int_equal(script_apply_one(&script, "x"), 0);
  assert_string_equal(view_entries(&script.view), "after=true\nbefore=1\n");
  script_close(&script);
}

static void
interrupt_and_anchors_end_the_run (void **state) {
  script_t script;
  (void) state;
  assert_string_equal(
    script_run("pcall(host.interrupt, host, 'upgrade me') out('on')"), "AB_EINTERRUPTED: upgrade me"
  );
  script_open(
    &script, "function apply(nodes, view, host) pcall(host.create_anchor, host, host.key, 1) end", NULL
  );
  script.view.host_err = AB_ENOTSUP;
  assert_int_equal(script_apply_one(&script, "x"), AB_ENOTSUP);
  assert_contains(view_message(&script.view), "create_anchor: not supported by this version");
  script_close(&script);
}

/* ---- what is left behind ---- */

static void
nothing_survives_a_batch (void **state) {
  script_t script;
  (void) state;
  script_open(
    &script,
    "local n = 0 m = 0 local kept = {}\n"
    "function apply(nodes, view)\n"
    "  n, m, kept.x, kept[#kept + 1] = n + 1, m + 1, (kept.x or 0) + 1, 1\n"
    "  view:put('seen', n .. m .. kept.x .. #kept .. tostring(left))\n"
    "  left = true\n"
    "  function apply() end\n"
    "end",
    NULL
  );
  for (int i = 0; i < 5; i++) {
    assert_int_equal(script_apply_one(&script, "x"), 0);
    assert_string_equal(view_entries(&script.view), "seen=1111nil\n");
  }
  script_close(&script);
}

static void
a_sandbox_works_on_after_every_kind_of_stop (void **state) {
  script_t script;
  sandbox_options_t options = script_options(&script);
  (void) state;
  options.memory_bytes = 4 << 20;
  options.string_bytes = 1 << 20;
  script_open(
    &script,
    "function apply(nodes, view)\n"
    "  local what = nodes[1].value\n"
    "  view:put('n', tostring(tonumber(view:get('n') or '0') + 1))\n"
    "  if what == 'loop' then while true do end end\n"
    "  if what == 'memory' then local t = {} while true do t[#t + 1] = {} end end\n"
    "  if what == 'string' then local s = 'x' while true do s = s .. s end end\n"
    "  if what == 'calls' then local function f() return 1 + f() end f() end\n"
    "  if what == 'error' then error({}) end\n"
    "end",
    &options
  );
  static const struct {
    const char *what;
    int verdict;
  } steps[] = {
    {"loop", AB_EREJECTED},
    {"memory", AB_EHALTED},
    {"string", AB_EREJECTED},
    {"calls", AB_EREJECTED},
    {"error", AB_EREJECTED}};
  for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
    assert_int_equal(script_apply_one(&script, steps[i].what), steps[i].verdict);
    assert_int_equal(script_apply_one(&script, "fine"), 0);
  }
  assert_string_equal(view_entries(&script.view), "n=5\n");
  script_close(&script);
}

static void
memory_does_not_grow_over_many_batches (void **state) {
  script_t script;
  sandbox_options_t options = script_options(&script);
  (void) state;
  options.memory_bytes = 3 << 20;
  script_open(
    &script,
    "function apply(nodes) local t = {} for i = 1, 100 do t[i] = {i, nodes[1].value .. i} end end",
    &options
  );
  for (int i = 0; i < 3000; i++) assert_int_equal(script_apply_one(&script, "value"), 0);
  script_close(&script);
}

/* ---- the log ---- */

static void
prints_name_the_batch (void **state) {
  script_t script;
  (void) state;
  script_open(&script, "print('loading') function apply(nodes) print('n', #nodes, {}, 1.5) end", NULL);
  script_apply_one(&script, "x");
  script_apply(&script, NULL, 0);
  ab_buf_append(&script.log, ab_slice("", 1));
  assert_string_equal(
    (const char *) script.log.data,
    "2 main chunk: loading\n"
    "2 yhdoqba8yhdoqba8yhdoqba8yhdoqba8yhdoqba8yhdoqba8yhdo:1 (may be applied again): loading\n"
    "2 yhdoqba8yhdoqba8yhdoqba8yhdoqba8yhdoqba8yhdoqba8yhdo:1 (may be applied again): n\t1\ttable\t1.5\n"
    "2 acknowledgement (may be applied again): loading\n"
    "2 acknowledgement (may be applied again): n\t0\ttable\t1.5\n"
  );
  script_close(&script);
}

static void
half_a_budget_is_worth_a_warning (void **state) {
  script_t script;
  (void) state;
  script_open(&script, "function apply(nodes) for i = 1, 6e6 do end end", NULL);
  assert_int_equal(script_apply_one(&script, "x"), 0);
  ab_buf_append(&script.log, ab_slice("", 1));
  assert_contains((const char *) script.log.data, "1 apply: a batch took 6");
  script_close(&script);
}

/* ---- queries ---- */

static int
bee_reader_get (void *data, ab_slice_t key, ab_slice_t *value) {
  bee_entry_t entry;
  int err = bee_get(data, key, &entry);
  if (err == 0) *value = entry.value;
  return err;
}

static int
bee_reader_open (void *data, const autobee_apply_range_t *range, void **out) {
  bee_range_t within = {
    .lower = range->lower,
    .upper = range->upper,
    .has_lower = range->has_lower,
    .has_upper = range->has_upper,
    .lower_open = range->lower_open,
    .upper_open = range->upper_open,
    .reverse = range->reverse,
    .limit = range->limit,
  };
  bee_cursor_t *cursor;
  int err = bee_cursor_open(data, &within, &cursor);
  if (err == 0) *out = cursor;
  return err;
}

static int
bee_reader_next (void *cursor, ab_slice_t *key, ab_slice_t *value) {
  bee_entry_t entry;
  int err = bee_cursor_next(cursor, &entry);
  if (err == 0) {
    *key = entry.key;
    *value = entry.value;
  }
  return err;
}

static void
bee_reader_close (void *cursor) {
  bee_cursor_close(cursor);
}

static int
remote_get (void *data, ab_slice_t key, ab_slice_t *value) {
  (void) data;
  (void) key;
  (void) value;
  return AB_EREMOTE;
}

static const sandbox_reader_t bee_reader = {
  bee_reader_get, bee_reader_open, bee_reader_next, bee_reader_close};

static const char *
ask (script_t *script, const char *name, const char *args, int expected) {
  static char text[512];
  ab_slice_t result;
  int err =
    sandbox_query(script->sandbox, ab_text(name), ab_text(args), &bee_reader, script->view.bee, &result);
  if (err != expected)
    fail_msg("%s %s: %s (%s)", name, args, ab_err_name(err), sandbox_errmsg(script->sandbox));
  if (err == 0) snprintf(text, sizeof(text), "%.*s", (int) result.len, (const char *) result.data);
  else snprintf(text, sizeof(text), "%s", sandbox_errmsg(script->sandbox));
  return text;
}

static void
queries_read_and_answer_in_json (void **state) {
  script_t script;
  (void) state;
  script_open(
    &script,
    "function apply(nodes, view) for _, n in ipairs(nodes) do view:put(n.value, 'v' .. n.value) end end\n"
    "function query(name, args, view)\n"
    "  if name == 'get' then return view:get(args.key) end\n"
    "  if name == 'all' then local t = json.array() for k, v in view:range(args) do table.insert(t, {v, k}) "
    "end return t end\n"
    "  if name == 'count' then return {n = view:count()} end\n"
    "  if name == 'put' then view:put('x', 'y') end\n"
    "  if name == 'write' then view:write() end\n"
    "  if name == 'bad' then return print end\n"
    "  if name == 'loop' then while true do end end\n"
    "  if name == 'echo' then return args end\n"
    "end",
    NULL
  );
  assert_int_equal(script_apply(&script, (const char *const[]){"a", "b", "c"}, 3), 0);
  assert_string_equal(ask(&script, "get", "{\"key\":\"b\"}", 0), "\"vb\"");
  assert_string_equal(ask(&script, "get", "{\"key\":\"z\"}", 0), "null");
  assert_string_equal(ask(&script, "all", "{\"gt\":\"a\",\"limit\":1}", 0), "[[\"vb\",\"b\"]]");
  assert_string_equal(ask(&script, "all", "", 0), "[[\"va\",\"a\"],[\"vb\",\"b\"],[\"vc\",\"c\"]]");
  assert_string_equal(ask(&script, "count", "", 0), "{\"n\":3}");
  assert_string_equal(ask(&script, "echo", "[1,{\"b\":null,\"a\":[]}]", 0), "[1,{\"a\":[],\"b\":null}]");
  assert_contains(ask(&script, "put", "", AB_EREJECTED), "a query cannot write");
  assert_contains(ask(&script, "write", "", AB_EREJECTED), "a query cannot write");
  assert_contains(ask(&script, "bad", "", AB_EREJECTED), "JSON cannot express a function");
  assert_contains(ask(&script, "loop", "", AB_EREJECTED), "instructions");
  assert_contains(ask(&script, "echo", "{", AB_EINVAL), "arguments: ");
  assert_string_equal(view_entries(&script.view), "a=va\nb=vb\nc=vc\n");

  sandbox_reader_t remote = bee_reader;
  ab_slice_t result;
  remote.get = remote_get;
  int err = sandbox_query(script.sandbox, ab_text("get"), ab_text("{\"key\":\"b\"}"), &remote, NULL, &result);
  assert_int_equal(err, AB_EREMOTE);
  script_replace(&script, NOTHING);
  assert_contains(ask(&script, "get", "", AB_ENOTSUP), "no function query");
  script_close(&script);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(refusals_name_the_script_and_the_line),
    cmocka_unit_test(a_script_needs_an_apply_function),
    cmocka_unit_test(a_policy_is_checked),
    cmocka_unit_test(a_script_names_the_version_it_needs),
    cmocka_unit_test(main_chunks_are_bounded),
    cmocka_unit_test(precompiled_scripts_are_refused),
    cmocka_unit_test(the_identity_is_what_the_header_says),
    cmocka_unit_test(what_decides_verdicts_is_in_the_identity_and_nothing_else),
    cmocka_unit_test(a_batch_is_applied_or_rejected_as_a_whole),
    cmocka_unit_test(errors_are_reported_without_asking_them),
    cmocka_unit_test(optimistic_batches_go_to_scripts_that_judge_them),
    cmocka_unit_test(counted_budgets_reject),
    cmocka_unit_test(local_budgets_halt),
    cmocka_unit_test(a_failed_call_halts_whatever_the_script_does),
    cmocka_unit_test(interrupt_and_anchors_end_the_run),
    cmocka_unit_test(nothing_survives_a_batch),
    cmocka_unit_test(a_sandbox_works_on_after_every_kind_of_stop),
    cmocka_unit_test(memory_does_not_grow_over_many_batches),
    cmocka_unit_test(prints_name_the_batch),
    cmocka_unit_test(half_a_budget_is_worth_a_warning),
    cmocka_unit_test(queries_read_and_answer_in_json),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* One test per way in which Lua answers differently from run to run, from machine to machine or from locale
 * to locale. Several sandboxes at once stand for several peers: their hash seeds and addresses differ. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "lua/script.h"
#include "support/rng.h"
#include "support/test.h"

#define PEERS 6

#define OUT \
  "local function out(view, ...) local t = table.pack(...) for i = 1, t.n do t[i] = tostring(t[i]) end " \
  "view:put('out', table.concat(t, ' ', 1, t.n)) end "

/* What each of several sandboxes makes of `body`; fails unless all say the same. */
static const char *
all_say (const char *body) {
  static char result[65536];
  static script_t peers[PEERS];
  size_t size = strlen(body) + 1024;
  char *text = malloc(size);
  assert_non_null(text);
  snprintf(text, size, OUT "function apply(nodes, view, host) %s\nend", body);
  for (int i = 0; i < PEERS; i++) script_open(&peers[i], text, NULL);
  for (int i = 0; i < PEERS; i++) {
    int verdict = script_apply_one(&peers[i], "value");
    const char *said = verdict < 0 ? view_message(&peers[i].view) : view_entries(&peers[i].view);
    if (i == 0) snprintf(result, sizeof(result), "%s", said);
    else assert_string_equal(said, result);
  }
  for (int i = 0; i < PEERS; i++) script_close(&peers[i]);
  free(text);
  return result;
}

/* H1, H2 */

static void
pairs_and_next_go_in_order_of_the_keys (void **state) {
  (void) state;
  assert_string_equal(
    all_say("local t = {} for _, k in ipairs{'x', 'y', 'aa', 'B', '', '\\xff', 'a', 10, 9, -1, 2.5, "
            "math.mininteger, 1e300, true, false, math.huge} do t[k] = 1 end\n"
            "local r = {} for k in pairs(t) do r[#r + 1] = tostring(k) end\n"
            "local s, k = {}, nil repeat k = next(t, k) s[#s + 1] = tostring(k) until k == nil\n"
            "out(view, table.concat(r, ','):gsub('\\xff', '!'), (table.concat(s, ','):gsub('\\xff', '!')))"),
    "out=false,true,-9223372036854775808,-1,2.5,9,10,1e+300,inf,,B,a,aa,x,y,! "
    "false,true,-9223372036854775808,-1,2.5,9,10,1e+300,inf,,B,a,aa,x,y,!,nil\n"
  );
  char first[64];
  static const char sum[] =
    "local h = 0 for k, v in pairs(t) do h = (h * 31 + v) % 1000000007 end out(view, h)";
  char text[512];
  snprintf(
    text,
    sizeof(text),
    "local t = {} for i = 1, 2000 do t['k' .. (i * 7919) %% 2003] = i end\n"
    "for i = 1, 2000, 3 do t['k' .. i] = nil end %s",
    sum
  );
  snprintf(first, sizeof(first), "%s", all_say(text));
  snprintf(
    text,
    sizeof(text),
    "local t = {} for i = 2000, 1, -1 do local k = (i * 7919) %% 2003\n"
    "if k %% 3 ~= 1 or k > 2000 then t['k' .. k] = i end end %s",
    sum
  );
  assert_string_equal(all_say(text), first);
}

static void
keys_without_an_order_are_refused (void **state) {
  (void) state;
  assert_contains(all_say("pairs{[{}] = 1, x = 2}"), "cannot iterate a table keyed by a table");
  assert_contains(all_say("pairs{[print] = 1}"), "cannot iterate a table keyed by a function");
  assert_contains(all_say("next{[{}] = 1, [print] = 2}"), "cannot iterate a table keyed by a function");
  assert_contains(all_say("pairs{[view] = 1}"), "cannot iterate a table keyed by a userdata");
  assert_string_equal(
    all_say("local t = {[{}] = 1, [print] = 2} for i = 1, 3 do t[i] = i end out(view, #t, t[print])"),
    "out=3 2\n"
  );
}

static void
walks_see_the_keys_of_their_beginning (void **state) {
  (void) state;
  assert_string_equal(
    all_say("local t, r = {a = 1, b = 2, c = 3, d = 4}, {} for k in pairs(t) do r[#r + 1] = k t[k] = nil t.c "
            "= nil t.new = 1 t[k .. k] = 1 end out(view, table.concat(r))"),
    "out=abd\n"
  );
}

/* H3: the program that found it: tables of string and integer keys, with deletions and holes. */

static void
lengths_depend_on_content_alone (void **state) {
  (void) state;
  static const char program[] = "local state, sum = 7, 0 local function random(n) state = (state * "
                                "1103515245 + 12345) & 0x7fffffff return (state >> 8) %% n + 1 end\n"
                                "for i = 1, 1500 do\n"
                                "  local t = {}\n"
                                "  for k = 1, random(60) do\n"
                                "    local key = random(22) if key > 10 then key = 's' .. key end\n"
                                "    if random(3) == 1 then t[key] = nil else t[key] = k end\n"
                                "  end\n"
                                "  local n = %s\n"
                                "  assert(n == 0 and t[1] == nil or t[n] ~= nil and t[n + 1] == nil)\n"
                                "  sum = (sum * 31 + n) %% 1000000007\n"
                                "end out(view, sum)";
  char text[1024], first[64];
  snprintf(text, sizeof(text), program, "#t");
  snprintf(first, sizeof(first), "%s", all_say(text));
  assert_contains(first, "out=");
  snprintf(text, sizeof(text), program, "rawlen(t)");
  assert_string_equal(all_say(text), first);
  snprintf(text, sizeof(text), program, "ab.len(t)");
  assert_string_equal(all_say(text), first);
  /* table.insert writes behind the same length. */
  snprintf(
    text,
    sizeof(text),
    program,
    "0 do local copy = table.pack(t) table.insert(t, 'x') for k = 1, 70 do if t[k] == 'x' then n = k - 1 "
    "t[k] = nil break end end end"
  );
  assert_string_equal(all_say(text), first);
}

/* H4 */

static void
sorting_is_stable_and_has_no_clock (void **state) {
  (void) state;
  assert_string_equal(
    all_say("for _, n in ipairs{10, 999, 3000} do\n"
            "  local t = {} for i = 1, n do t[i] = {key = i // 4, id = i} end\n"
            "  table.sort(t, function(a, b) return a.key < b.key end)\n"
            "  for i = 1, n do assert(t[i].id == i) end\n"
            "  for i = 1, n do t[i] = {key = math.min(i, n - i) // 4, id = i} end\n"
            "  table.sort(t, function(a, b) return a.key < b.key end)\n"
            "  for i = 2, n do assert(t[i - 1].key < t[i].key or t[i - 1].key == t[i].key and t[i - 1].id < "
            "t[i].id) end\n"
            "end out(view, 'stable')"),
    "out=stable\n"
  );
  const char *first = all_say(
    "local t, calls = {}, 0 for i = 1, 500 do t[i] = (i * 7919) % 503 end\n"
    "table.sort(t, function(a, b) calls = calls + 1 return (a * b + calls) % 3 == 0 end)\n" /* no order at all
                                                                                             */
    "local h, seen = 0, {} for i = 1, 500 do h = (h * 31 + t[i]) % 1000000007 seen[t[i]] = true end\n"
    "for i = 1, 500 do assert(seen[(i * 7919) % 503]) end out(view, h, calls)"
  );
  assert_contains(first, "out=");
  assert_contains(all_say("table.sort{1, 2, 'x', 3}"), "attempt to compare");
}

/* H5, H6 */

static void
nothing_is_random_or_has_an_address (void **state) {
  (void) state;
  assert_string_equal(
    all_say("out(view, math.random, os, {}, print, view, host, json.null, setmetatable({}, {__name = 'x'}), "
            "('%s'):format({}))"),
    "out=nil nil table function userdata table null table table\n"
  );
  assert_contains(all_say("('%p'):format({})"), "%p is not available");
  assert_string_equal(all_say("error({})"), "apply:1: error object is a table");
  assert_string_equal(all_say("error(print)"), "apply:1: error object is a function");
  char first[64];
  snprintf(first, sizeof(first), "%s", all_say("local r = ab.random('x') out(view, r(100), r(100), r(100))"));
  assert_string_equal(all_say("local r = ab.random('x') out(view, r(100), r(100), r(100))"), first);
}

/* H7 */

static const char of_locale[] = "local t = {'b', 'B', 'a', 'A', '\\xe4', 'z', '_'} table.sort(t)\n"
                                "out(view, 1.5, ('%.2f'):format(1.5), ('%g'):format(0.5), 1.5 .. '', "
                                "tonumber('1,5'), tonumber('1.5'), '1.5' + 1, 'a' < 'B',\n"
                                "  hex(table.concat(t)), hex(('i\\xe4'):upper()), hex(('I\\xc4'):lower()), "
                                "('\\xe4'):find('%a'), ('x\\xa0'):find('%s'), json.encode(0.1))";
static const char of_locale_expected[] =
  "out=1.5 1.50 0.5 1.5 nil 1.5 2.5 false 41425f61627ae4 49e4 69c4 nil nil 0.1\n";

static void
locales_do_not_matter (void **state) {
  static const char *const names[] = {
    "de_DE.UTF-8", "tr_TR.UTF-8", "de_DE.ISO-8859-1", "fr_FR.UTF-8", "en_US.UTF-8", "C.UTF-8"};
  int tried = 0;
  (void) state;
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    if (setlocale(LC_ALL, names[i]) == NULL) continue;
    tried++;
    print_message("%s\n", names[i]);
    assert_string_equal(all_say(of_locale), of_locale_expected);
    setlocale(LC_ALL, "C");
  }
  assert_in_range(tried, 1, 100);
  assert_string_equal(all_say(of_locale), of_locale_expected);
}

static locale_t seen_locale;

static void
note_locale (void *data, sandbox_log_level_t level, const char *text) {
  (void) data;
  (void) level;
  (void) text;
  seen_locale = uselocale((locale_t) 0);
}

/* The thread's own locale is set aside while a script runs, and back whatever the verdict. */
static void
the_thread_gets_its_locale_back (void **state) {
  script_t script;
  sandbox_options_t options = script_options(&script);
  locale_t own = newlocale(LC_ALL_MASK, "C.UTF-8", (locale_t) 0);
  (void) state;
  assert_true(own != (locale_t) 0);
  options.log = note_locale;
  locale_t before = uselocale(own);
  script_open(
    &script, "function apply(nodes) print('x') if nodes[1].value == 'bad' then error('x') end end", &options
  );
  assert_true(uselocale((locale_t) 0) == own);
  seen_locale = own;
  assert_int_equal(script_apply_one(&script, "good"), 0);
  assert_true(seen_locale != own);
  assert_true(uselocale((locale_t) 0) == own);
  assert_int_equal(script_apply_one(&script, "bad"), AB_EREJECTED);
  assert_true(uselocale((locale_t) 0) == own);
  script_close(&script);
  uselocale(before);
  freelocale(own);
}

/* H8 */

static void
nan_leaves_in_one_form_or_not_at_all (void **state) {
  (void) state;
  assert_string_equal(
    all_say("local nan, minus = 0/0, -(0/0)\n"
            "out(view, nan, minus, ('%f %5.1f %g %s'):format(nan, minus, nan, minus), hex(string.pack('>d', "
            "nan)), hex(string.pack('>d', minus)), hex(string.pack('<f', nan)), table.concat({nan, minus}, "
            "','), ('x'):gsub('x', {x = minus}))"),
    "out=nan nan nan nan nan nan 7ff8000000000000 7ff8000000000000 0000c07f nan,nan nan 1\n"
  );
  assert_contains(all_say("json.encode{0/0}"), "NaN");
  assert_contains(all_say("view:put('k', 0/0)"), "string expected");
  assert_contains(all_say("local t = {} t[0/0] = 1"), "index is NaN");
  assert_contains(all_say("ab.key(0/0)"), "string or integer expected");
}

/* H9, H10 */

static void
arithmetic_is_exact (void **state) {
  (void) state;
  assert_string_equal(
    all_say("local a = {} for _, name in ipairs{'sin', 'cos', 'tan', 'asin', 'acos', 'atan', 'exp', 'log', "
            "'pow', 'cosh', 'log10'} do a[#a + 1] = math[name] end\n"
            "out(view, #a, ('%.17g'):format(math.sqrt(2)), math.fmod(-7.5, 2), 7 // -2, -7 % 3, 5.5 // -2, "
            "-5.5 % 2, ('%.17g'):format(1 / 3), ('%.17g'):format(0.1), 1e15, 123456.789e3,\n"
            "  math.maxinteger + 1 == math.mininteger, math.maxinteger * 2.0, 3 | 0, 2.0 | 1, 1 << 63, 1 << "
            "64, -1 >> 1, 7 // 0.0, -7 // 0.0, math.tointeger(3.0), math.ult(1, -1), 10 // 3, 10.0 / 2)"),
    "out=0 1.4142135623730951 -1.5 -4 2 -3.0 0.5 0.33333333333333331 0.10000000000000001 1e+15 123456789.0 "
    "true "
    "1.844674407371e+19 3 3 -9223372036854775808 0 9223372036854775807 inf -inf 3 true 3 5.0\n"
  );
  assert_contains(all_say("('%a'):format(1)"), "%a is not available");
  assert_contains(all_say("('%q'):format(0.5)"), "%q of a float");
  assert_contains(all_say("string.pack('l', 1)"), "'l' is not available");
  assert_contains(all_say("string.pack('=i4', 1)"), "'=' is not available");
  assert_contains(all_say("string.pack('i', 1)"), "'i' needs a size");
  assert_contains(all_say("string.pack('<i16', 1)"), "sizes from 1 to 8");
  assert_contains(all_say("string.unpack('i4', 'abcd')"), "needs '<' or '>'");
  assert_contains(all_say("string.packsize('!8 i4')"), "'!' is not available");
}

/* H11 to H18 are in test_escapes.c. H19 */

static const char history[] =
  "local n = 0 seen = {}\n"
  "function apply(nodes, view, host)\n"
  "  n = n + #nodes seen[n] = true\n"
  "  for _, node in ipairs(nodes) do\n"
  "    local m = tonumber(node.value) or error('not a number')\n"
  "    view:put('sum', tostring((tonumber(view:get('sum') or '0') * 31 + m) % 1000003))\n"
  "    view:put('k' .. m % 50, table.concat({n, #seen, host:clock(), m}, ' '))\n"
  "    if m % 7 == 0 then for k in view:range{prefix = 'k', limit = 3} do view:del(k) end end\n"
  "  end\n"
  "end";

/* Killed and started again between any two batches, or never; a batch that comes twice; a rejected one. */
static void
a_peer_that_restarts_sees_what_others_see (void **state) {
  script_t steady, restarting;
  rng_t random = rng(99);
  char value[16];
  const char *one = value;
  (void) state;
  script_open(&steady, history, NULL);
  script_open(&restarting, history, NULL);
  for (int i = 0; i < 150; i++) {
    bool is_bad = rng_below(&random, 10) == 0;
    snprintf(value, sizeof(value), is_bad ? "bad" : "%u", (unsigned) rng_below(&random, 1000));
    script_replace(&restarting, history);
    autobee_node_t node = view_node((uint64_t) i + 1, one);
    int verdict = view_run(&steady.view, sandbox_apply, steady.sandbox, &node, 1);
    assert_int_equal(verdict, is_bad ? AB_EREJECTED : 0);
    if (i % 3 == 0) { /* somebody else's attempt at the same batch, undone */
      restarting.view.host_err = 0;
      autobee_node_t twice[] = {node, view_node(0, "bad")};
      assert_int_equal(view_run(&restarting.view, sandbox_apply, restarting.sandbox, twice, 2), AB_EREJECTED);
    }
    assert_int_equal(view_run(&restarting.view, sandbox_apply, restarting.sandbox, &node, 1), verdict);
  }
  char *entries = strdup(view_entries(&steady.view));
  assert_string_equal(view_entries(&restarting.view), entries);
  free(entries);
  script_close(&steady);
  script_close(&restarting);
}

/* H20 */

static const char depths[] =
  OUT "function apply(nodes, view)\n"
      "  local calls, pcalls, frames = 0, 0, 0\n"
      "  local function recurse() calls = calls + 1 return 1 + recurse() end\n"
      "  local function protect() pcalls = pcalls + 1 pcall(protect) end\n"
      "  local t = setmetatable({}, {__index = function(t, k) frames = frames + 1 return t[k] end})\n"
      "  local ok, message = pcall(recurse) pcall(protect) pcall(function() return t.x end)\n"
      "  out(view, calls, pcalls, frames, ok, message)\n"
      "end";

static int
apply_from_far_below (script_t *script, int depth) {
  volatile char space[512];
  space[0] = 0;
  return depth == 0 ? script_apply_one(script, "x") : apply_from_far_below(script, depth - 1) + space[0];
}

static void
recursion_ends_at_the_same_depth (void **state) {
  script_t script;
  char first[256];
  (void) state;
  script_open(&script, depths, NULL);
  assert_int_equal(script_apply_one(&script, "x"), 0);
  snprintf(first, sizeof(first), "%s", view_entries(&script.view));
  assert_contains(first, "stack overflow");
  for (int i = 0; i < 3; i++) { /* with a stack that has grown, and from another place of the thread's */
    assert_int_equal(apply_from_far_below(&script, i * 20), 0);
    assert_string_equal(view_entries(&script.view), first);
  }
  script_close(&script);
  print_message("%s", first);
}

/* H21: how much a script needs is nobody's verdict: see local_budgets_halt. H22 */

static void
missing_blocks_show_nowhere (void **state) {
  script_t script;
  (void) state;
  script_open(
    &script,
    "function apply(nodes, view, host)\n"
    "  local t = {3, 1, 2}\n"
    "  table.sort(t, function(a, b) pcall(host.writer, host, host.key) return a < b end)\n"
    "  local s = ('abc'):gsub('.', function(c) return c .. (host:writer(host.key).weight) end)\n"
    "  view:put('out', table.concat(t) .. s)\n"
    "end",
    NULL
  );
  for (int i = 0; i < 3; i++) {
    script.view.host_err = AB_EREMOTE;
    assert_int_equal(script_apply_one(&script, "x"), AB_EREMOTE);
    assert_string_equal(view_calls(&script.view), "writer db\n"); /* it stopped there */
    script.view.host_err = AB_EIO;
    assert_int_equal(script_apply_one(&script, "x"), AB_EIO);
    script.view.host_err = 0;
    assert_int_equal(script_apply_one(&script, "x"), 0);
    assert_string_equal(view_entries(&script.view), "out=123a2b2c2\n");
  }
  script_close(&script);
}

/* H24: keys that a writer makes collide. String seeds are random here; integers do collide, within bounds. */
static void
colliding_keys_end_in_time (void **state) {
  (void) state;
  assert_string_equal(
    all_say("local t = {} for i = 1, 4096 do t[i * 4095] = i end local n = 0 for k, v in pairs(t) do n = n + "
            "v end out(view, n)"),
    "out=8390656\n"
  );
}

/* Budgets: where a batch is stopped depends on nothing else than the script and the batch. */
static void
instructions_are_counted_alike (void **state) {
  static script_t peers[PEERS];
  (void) state;
  sandbox_options_t options = script_options(&peers[0]);
  options.instructions = 50000;
  for (int i = 0; i < PEERS; i++) {
    script_open(
      &peers[i],
      "function apply(nodes, view)\n"
      "  local t, n = {}, 0\n"
      "  pcall(function() while true do\n"
      "    n = n + 1 t['k' .. n % 100] = n for k, v in pairs(t) do n = n + 0 end\n"
      "    if n % 10 == 0 then json.encode(t); ('x'):rep(n):find('x-y') table.sort{n, 1, 2} end\n"
      "    print(n)\n"
      "  end end)\n"
      "end",
      &options
    );
    /* A different past each. */
    for (int k = 0; k < i; k++) script_apply_one(&peers[i], "x");
    ab_buf_reset(&peers[0].log);
    assert_int_equal(script_apply_one(&peers[i], "x"), AB_EREJECTED);
    ab_buf_append(&peers[0].log, ab_slice("", 1));
    char *last = strrchr((char *) peers[0].log.data, ':');
    assert_non_null(last);
    static char first[32];
    if (i == 0) snprintf(first, sizeof(first), "%s", last);
    else assert_string_equal(last, first);
  }
  for (int i = 0; i < PEERS; i++) script_close(&peers[i]);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(pairs_and_next_go_in_order_of_the_keys),
    cmocka_unit_test(keys_without_an_order_are_refused),
    cmocka_unit_test(walks_see_the_keys_of_their_beginning),
    cmocka_unit_test(lengths_depend_on_content_alone),
    cmocka_unit_test(sorting_is_stable_and_has_no_clock),
    cmocka_unit_test(nothing_is_random_or_has_an_address),
    cmocka_unit_test(locales_do_not_matter),
    cmocka_unit_test(the_thread_gets_its_locale_back),
    cmocka_unit_test(nan_leaves_in_one_form_or_not_at_all),
    cmocka_unit_test(arithmetic_is_exact),
    cmocka_unit_test(a_peer_that_restarts_sees_what_others_see),
    cmocka_unit_test(recursion_ends_at_the_same_depth),
    cmocka_unit_test(missing_blocks_show_nowhere),
    cmocka_unit_test(colliding_keys_end_in_time),
    cmocka_unit_test(instructions_are_counted_alike),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

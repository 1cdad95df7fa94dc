/* The script's text: # becomes a call, ^ is refused, and everything else stays where it was. */
#include <stdlib.h>

#include "lua/scan.h"
#include "lua/script.h"
#include "support/test.h"

static void
assert_scan (const char *text, const char *expected) {
  ab_buf_t out = {0};
  char message[128] = "";
  int err = sandbox__scan(ab_text(text), &out, message, sizeof(message));
  if (err < 0) fail_msg("%s: %d %s", text, err, message);
  ab_buf_append(&out, ab_slice("", 1));
  assert_contains((const char *) out.data, SCAN_PROLOGUE);
  assert_string_equal((const char *) out.data + strlen(SCAN_PROLOGUE), expected);
  ab_buf_destroy(&out);
}

static int
scan (const char *text, char message[128]) {
  ab_buf_t out = {0};
  message[0] = 0;
  int err = sandbox__scan(ab_text(text), &out, message, 128);
  ab_buf_destroy(&out);
  return err;
}

#define L SCAN_LENGTH

static void
lengths_become_calls_of_their_operands (void **state) {
  (void) state;
  assert_scan("n = #t", "n = " L "(t)");
  assert_scan("n = #t + 1", "n = " L "(t) + 1");
  assert_scan("t[#t+1] = #t.x.y", "t[" L "(t)+1] = " L "(t.x.y)");
  assert_scan("n = #t[#t]:m(1):n{}:o'x'.p .. '#'", "n = " L "(t[" L "(t)]:m(1):n{}:o'x'.p) .. '#'");
  assert_scan("n = #f(#g(1), 2)[3] == #{1, #{}}", "n = " L "(f(" L "(g(1)), 2)[3]) == " L "({1, " L "({})})");
  assert_scan(
    "n = -#t, not #t, #-t, #not t, ##t, ~#t ~ 1",
    "n = -" L "(t), not " L "(t), " L "(-t), " L "(not t), " L "(" L "(t)), ~" L "(t) ~ 1"
  );
  assert_scan("n = #(a or b)[1] // 2", "n = " L "((a or b)[1]) // 2");
  assert_scan(
    "n = #'#' + #\"\\\"#\" + #[[#]] + #[==[ ]] # ]==]",
    "n = " L "('#') + " L "(\"\\\"#\") + " L "([[#]]) + " L "([==[ ]] # ]==])"
  );
  assert_scan("n = # -- a #comment\n t --[[ # ]] .x", "n = " L "( -- a #comment\n t --[[ # ]] .x)");
  assert_scan("if #t>0 then goto x end ::x::", "if " L "(t)>0 then goto x end ::x::");
  assert_scan("a = #t..#u", "a = " L "(t).." L "(u)");
  assert_scan("for i = 1, #t do end", "for i = 1, " L "(t) do end");
  assert_scan("return #..., #...[1]", "return " L "(...), " L "(...)[1]");
  assert_scan("return #t", "return " L "(t)");
  assert_scan("local s = 'a\\\nb#' x = #s", "local s = 'a\\\nb#' x = " L "(s)");
  assert_scan("local s = 'a\\z \n  #' x = #s", "local s = 'a\\z \n  #' x = " L "(s)");
  assert_scan("x = 0x1p-4 .. 1e+5 y = #t", "x = 0x1p-4 .. 1e+5 y = " L "(t)");
  assert_scan("", "");
}

static void
what_has_no_length_is_refused (void **state) {
  char message[128];
  (void) state;
  assert_int_equal(scan("\nx = #5", message), AB_EINVAL);
  assert_string_equal(message, "2: # needs a table or a string");
  assert_int_equal(scan("x = #nil", message), AB_EINVAL);
  assert_int_equal(scan("x = #function() end", message), AB_EINVAL);
  assert_int_equal(scan("x = #", message), AB_EINVAL);
}

static void
powers_are_refused_where_they_are_operators (void **state) {
  char message[128];
  (void) state;
  assert_int_equal(scan("x = '^' .. \"^\" .. [[^]] -- ^\n--[==[ ^\n ]] ^ ]==]\nx = 2^3", message), AB_EINVAL);
  assert_contains(message, "4: there is no operator ^");
  assert_int_equal(scan("x = '\\'^' --[[^]]", message), 0);
  assert_int_equal(scan("x = a\r\ny = b\n\n^c", message), AB_EINVAL);
  assert_contains(message, "4: ");
  assert_int_equal(scan("local " SCAN_LENGTH " = 1", message), AB_EINVAL);
  assert_contains(message, "1: the name");
}

static void
text_that_is_no_lua_is_left_to_the_compiler (void **state) {
  static const char *const texts[] = {
    "x = 'a", "x = \"a\n\"", "x = [[a", "--[[ a", "x = 'a\\", "x = [==[ ]]"};
  char message[128];
  (void) state;
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    assert_int_equal(scan(texts[i], message), AB_ECORRUPT);
    assert_contains(script_refusal(texts[i], AB_EINVAL), "unfinished");
  }
  assert_contains(script_refusal("x = a.#b", AB_EINVAL), "<name> expected near '#'");
  assert_contains(script_refusal("x = t #t", AB_EINVAL), "near '#'");
  assert_contains(script_refusal("x = #t) + (1", AB_EINVAL), "near ')'");
  assert_contains(script_refusal("x = #(t", AB_EINVAL), "')' expected");
  assert_contains(script_refusal("x = \x01", AB_EINVAL), "near '<\\1>'");
}

static void
lengths_work_in_every_place (void **state) {
  (void) state;
  assert_string_equal(
    script_run("local t = {x = {1, 2, {'abc'}}, f = function(self, n) return {n, n} end}\n"
               "t[#t + 1] = 'a' t[#t + 1] = 'b'\n"
               "out(#t, #t.x, #t.x[3][1], #t:f(1), #t.f(1, 2), -#t, #t * #t.x, #'' == 0, not #t, #{#t, "
               "#t.x}, #(t.y or t.x), t[#t])"),
    "2 3 3 2 2 -2 6 true false 2 3 b"
  );
  assert_string_equal(script_run("local _ENV = {out = out} out(#{1, 2})"), "2");
  assert_string_equal(
    script_run("local function f(...) return #{...}, select('#', ...) end out(f(1, nil, 3))"), "1 3"
  );
  assert_string_equal(
    script_run("local t = setmetatable({}, {__len = function() return 'long' end}) out(#t)"), "long"
  );
  assert_string_equal(
    script_run("\n\nlocal n = #\nnil_value"), "rejected: apply:3: attempt to get length of a nil value"
  );
  assert_string_equal(
    script_run("local f = out local n = #f"), "rejected: apply:1: attempt to get length of a function value"
  );
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(lengths_become_calls_of_their_operands),
    cmocka_unit_test(what_has_no_length_is_refused),
    cmocka_unit_test(powers_are_refused_where_they_are_operators),
    cmocka_unit_test(text_that_is_no_lua_is_left_to_the_compiler),
    cmocka_unit_test(lengths_work_in_every_place),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

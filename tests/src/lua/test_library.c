/* What scripts call is not Lua's own library, but answers like it wherever Lua's own answer is the same
 * everywhere. Each program below runs in the sandbox and in plain Lua, over random cases, and must say the
 * same. */
#include <stdio.h>
#include <stdlib.h>

#include "lua/script.h"
#include "support/runs.h"
#include "support/test.h"

#include <lauxlib.h>
#include <lualib.h>

/* In front of each: random(n) is 1 to n, pick(list) one of it; note(…) keeps what a call gave or that it
 * failed. */
static const char prelude[] =
  "local state, notes = SEED, {} "
  "local function random(n) state = (state * 1103515245 + 12345) & 0x7fffffff return (state >> 8) % n + 1 "
  "end "
  "local function pick(t) return t[random(#t)] end "
  "local function show(v) if type(v) == 'string' then return (('%q'):format(v):gsub('\\n', 'n')) end "
  "if math.type(v) == 'float' then return ('%.17g'):format(v) end return tostring(v) end "
  "local function note(...) local t = table.pack(...) if not t[1] and t.n == 2 then t[2] = 'failed' end "
  "for i = 1, t.n do t[i] = show(t[i]) end notes[#notes + 1] = table.concat(t, ' ', 1, t.n) end ";

static const char patterns[] =
  "local pieces = {'a', 'b', 'x', '.', '%a', '%d', '%w', '%s', '%p', '%S', '%z', '[ab]', '[^a]', '[a-c]', "
  "'[%a-]', '[]]', '[^]x]', "
  "'[a-', '[%', '%b()', '%bxy', '%b', '%f[%w]', '%f[^%w]', '%f', '(', ')', '()', '%1', '%2', '%0', '*', '+', "
  "'-', '?', '$', '^', '%', '%.', ' ', '[', ']', '\\0'} "
  "local letters = {'a', 'b', 'c', 'x', 'y', '(', ')', ' ', '1', '2', '.', '-', '\\0', '\\n', ']', '^', "
  "'\\xe4'} "
  "local function make(t, n) local r = {} for i = 1, random(n) - 1 do r[i] = pick(t) end return "
  "table.concat(r) end "
  "local repls = {'<%0>', '%1', '%2', '[%%]', '', '%', '%x', 'ab'} "
  "for i = 1, 150 do "
  "  local s, p = make(letters, 14), make(pieces, 7) "
  "  local init = random(3) == 1 and random(20) - 10 or nil "
  "  note(pcall(string.find, s, p, init)) note(pcall(string.find, s, p, init, true)) "
  "note(pcall(string.match, s, p, init)) "
  "  note(pcall(function() local r = {} for a, b in s:gmatch(p) do r[#r + 1] = tostring(a) .. tostring(b) if "
  "#r > 50 then break end end return table.concat(r, ',') end)) "
  "  note(pcall(string.gsub, s, p, pick(repls), random(4) == 1 and random(3) - 1 or nil)) "
  "  note(pcall(string.gsub, s, p, {a = 'A', b = false, ab = 1, [1] = 2})) "
  "  note(pcall(string.gsub, s, p, function(x, y) return y or (x ~= 'b' and x) end)) "
  "end";

static const char classes[] =
  "local names = {'a', 'c', 'd', 'g', 'l', 'p', 's', 'u', 'w', 'x', 'z', 'A', 'C', 'D', 'G', 'L', 'P', 'S', "
  "'U', 'W', 'X', 'Z'} "
  "for _, name in ipairs(names) do local r = {} for c = 0, 255 do r[c + 1] = string.char(c):find('%' .. "
  "name) and '1' or '0' end note(true, table.concat(r)) end "
  "for c = 0, 255 do note(true, string.char(c):upper(), string.char(c):lower()) end";

static const char formats[] =
  "local values = {0, 1, -1, 7, 255, -256, 1 << 40, math.maxinteger, math.mininteger, 0.5, -0.25, 1e15, "
  "1e16, 1e100, 1.0, 3.14159, 1/0, -1/0, 5e-324, 'x', '', 'long text of some length', '12', true, nil} local "
  "flags = {'', '', '-', '+', ' ', '#', '0', '-0', '+ '} local widths = {'', '', '5', '12', '20'} local "
  "precisions = {'', '', '.', '.0', '.3', '.14', '.20'} local conversions = {'d', 'i', 'u', 'o', 'x', 'X', "
  "'e', 'E', 'f', 'g', 'G', 's', 'c', 'q', 's', 'd', 'y', '5'} for i = 1, 800 do   local f = '%' .. "
  "pick(flags) .. pick(widths) .. pick(precisions) .. pick(conversions)   local v = values[random(25)]   if "
  "not (f:find('q') and math.type(v) == 'float') then note(pcall(string.format, '<' .. f .. '>%%', v)) end "
  "end note(pcall(string.format, '%')) note(pcall(string.format, '%d')) note(pcall(string.format, '%q', "
  "'a\\0001\\n\\r\\\"\\\\\\127'))";

static const char packs[] =
  "local formats = {'<i1', '>i2', '<i3', '>i8', '<I4', '>I7', '<s1', '>s4', 'z', 'b', 'B', 'c5', 'x', '<f', "
  "'>d', ' <i2 >i2 ', '<i2i4', 's1', 'i1'} "
  "local values = {0, 1, -1, 127, 128, 255, 256, 65535, -32768, 1 << 33, math.mininteger, 0.5, -2.5, 1e10, "
  "'ab', 'abcde', '', 'a\\0b', 'longer than that'} "
  "for i = 1, 600 do "
  "  local f, a, b = pick(formats), pick(values), pick(values) "
  "  if random(3) == 1 then f = f .. pick(formats):gsub('^i2', '<i2') end "
  "  local ok, s = pcall(string.pack, f, a, b, a) note(ok, s) note(pcall(string.packsize, f)) "
  "  if ok then note(pcall(string.unpack, f, s)) note(pcall(string.unpack, f, s:sub(1, -2))) end "
  "end";

static const char tables[] =
  "for i = 1, 120 do   local t = {} for k = 1, random(12) - 1 do t[k] = random(50) end   for k = 1, 12 do    "
  " local n, op = #t, random(7)     if op == 1 then note(pcall(table.insert, t, random(n + 3) - 1, "
  "random(9)))     elseif op == 2 then table.insert(t, random(9))     elseif op == 3 then "
  "note(pcall(table.remove, t, random(n + 3) - 1))     elseif op == 4 then note(pcall(table.remove, t))     "
  "elseif op == 5 then note(pcall(table.concat, t, pick{'', ',', '--'}, random(4) - 1, random(n + 3) - 2))   "
  "  elseif op == 6 then note(pcall(table.unpack, t, random(n + 2) - 2, random(n + 2)))     elseif n > 0 "
  "then table.move(t, random(n), random(n), random(n + 1)) end     note(true, #t, rawlen(t))     for k = 1, "
  "#t do if t[k] == nil then t[k] = 0 end end   end   note(true, table.concat(t, ' ')) table.sort(t) "
  "note(true, table.concat(t, ' '))   table.sort(t, function(a, b) return a > b end) note(true, "
  "table.concat(t, ' '))   local words = {} for k = 1, random(20) do words[k] = pick{'a', 'b', 'A', 'Z', "
  "'\\xe4', '', 'ab', '10', '9'} .. k end table.sort(words) note(true, table.concat(words, ' ')) end "
  "note(pcall(table.sort, {1, 'x'})) note(pcall(table.insert, {}, 1, 2, 3)) note(pcall(table.concat, {1, {}, "
  "3})) note(true, table.pack(1, nil, 3).n)";

static const char texts[] =
  "local strings = {'', 'a', 'abc', 'a\\0b', '\\u{e4}\\u{20ac}x', '\\xff', '\\u{1F600}', ('xy'):rep(20), '  "
  "12 ', '0x1p4', '1e1', '.5', '5.', '0x', 'inf', 'nan', '1_0', '9223372036854775808', '-7'} "
  "for i = 1, 600 do "
  "  local s, a, b = pick(strings), random(9) - 5, random(9) - 5 "
  "  note(true, s:sub(a, b), s:len(), s:reverse(), s:upper(), s:lower()) note(pcall(string.byte, s, a, b)) "
  "note(pcall(string.rep, s, a, pick{'', ',', 'ab'})) "
  "  note(pcall(tonumber, s)) note(pcall(tonumber, s, random(40))) note(pcall(utf8.len, s, a, b)) "
  "note(pcall(utf8.codepoint, s, a, b)) note(pcall(utf8.offset, s, a, b)) "
  "  note(pcall(function() local r = {} for p, c in utf8.codes(s) do r[#r + 1] = p .. ':' .. c end return "
  "table.concat(r, ' ') end)) "
  "  note(true, s < pick(strings), s <= pick(strings), s .. a, tostring(a / 4), tostring(a), a // 1.0) "
  "  note(pcall(function() return s + 1 end)) note(pcall(select, a, s, b, s)) note(pcall(string.char, a + "
  "60, b + 200)) note(pcall(utf8.char, a + 8360, b + 100)) "
  "end";

static const char walks[] =
  "for i = 1, 100 do   local t, n = {}, 0 for k = 1, random(20) do t[pick{k, k / 2, 'k' .. random(30), k % 2 "
  "== 0}] = random(9) end   local sum, count = 0, 0 for k, v in pairs(t) do sum = sum + v count = count + 1 "
  "t[k] = nil end note(true, sum, count, next(t))   for k = 1, 5 do t[k] = k end for k, v in ipairs(t) do n "
  "= n + k * v end note(true, n) end note(true, rawequal({}, {}), rawget({7}, 1), rawlen('abc'), type(next), "
  "select('#', 1, nil)) note(pcall(setmetatable, 1, {})) note(pcall(setmetatable, {}, 1)) note(pcall(error, "
  "{}, 2) == false) note(pcall(assert, false, 'm')) note(pcall(assert, nil)) local m = setmetatable({}, "
  "{__index = function(t, k) return k .. '!' end, __call = function(self, x) return x end, __len = "
  "function() return 42 end, __pairs = function(t) return function(_, k) if not k then return 1, 2 end end, "
  "t, nil end}) note(true, m.a, m(5), #m, getmetatable(m).__len()) for k, v in pairs(m) do note(true, k, v) "
  "end";

static const char *
in_lua (const char *text) {
  static char result[1 << 20];
  lua_State *L = luaL_newstate();
  assert_non_null(L);
  luaL_openlibs(L);
  if (luaL_loadstring(L, text) != LUA_OK || lua_pcall(L, 0, 1, 0) != LUA_OK)
    fail_msg("plain Lua: %s", lua_tostring(L, -1));
  snprintf(result, sizeof(result), "%s", lua_tostring(L, -1));
  lua_close(L);
  return result;
}

static const char *
in_sandbox (const char *text) {
  static char result[1 << 20];
  static const char format[] =
    "local function run() %s end function apply(nodes, view) view:put('out', run()) end";
  size_t size = strlen(text) + sizeof(format);
  char *script_text = malloc(size);
  script_t script;
  bee_entry_t entry;
  assert_non_null(script_text);
  snprintf(script_text, size, format, text);
  sandbox_options_t options = script_options(&script);
  options.wall_ms = 100000;
  script_open(&script, script_text, &options);
  if (script_apply_one(&script, "x") < 0) fail_msg("sandbox: %s", view_message(&script.view));
  assert_int_equal(bee_get(script.view.bee, ab_text("out"), &entry), 0);
  assert_in_range(entry.value.len, 1, sizeof(result) - 1);
  memcpy(result, entry.value.data, entry.value.len);
  result[entry.value.len] = 0;
  script_close(&script);
  free(script_text);
  return result;
}

static void
compare (const char *program, int seeds) {
  size_t lines = 0;
  for (int seed = 1; seed <= seeds; seed++) {
    size_t size = sizeof(prelude) + strlen(program) + 128;
    char *text = malloc(size);
    assert_non_null(text);
    snprintf(text, size, "local SEED = %d %s %s return table.concat(notes, '\\n')", seed, prelude, program);
    const char *expected = in_lua(text), *found = in_sandbox(text);
    free(text);
    while (*expected != 0 || *found != 0) {
      size_t expected_len = strcspn(expected, "\n"), found_len = strcspn(found, "\n");
      if (expected_len != found_len || memcmp(expected, found, found_len) != 0) {
        fail_msg(
          "seed %d, case %zu:\nLua     %.*s\nsandbox %.*s",
          seed,
          lines,
          (int) expected_len,
          expected,
          (int) found_len,
          found
        );
      }
      lines++;
      expected += expected_len + (expected[expected_len] == '\n');
      found += found_len + (found[found_len] == '\n');
    }
  }
  print_message("%zu cases\n", lines);
}

static void
patterns_match_as_in_lua (void **state) {
  (void) state;
  compare(patterns, runs_full() ? 300 : 30);
  compare(classes, 1);
}

static void
formats_are_those_of_lua (void **state) {
  (void) state;
  compare(formats, 6);
}

static void
packs_are_those_of_lua (void **state) {
  (void) state;
  compare(packs, 6);
}

static void
table_functions_do_as_in_lua (void **state) {
  (void) state;
  compare(tables, 6);
}

static void
string_functions_do_as_in_lua (void **state) {
  (void) state;
  compare(texts, 4);
}

static void
basic_functions_do_as_in_lua (void **state) {
  (void) state;
  compare(walks, 3);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(patterns_match_as_in_lua),
    cmocka_unit_test(formats_are_those_of_lua),
    cmocka_unit_test(packs_are_those_of_lua),
    cmocka_unit_test(table_functions_do_as_in_lua),
    cmocka_unit_test(string_functions_do_as_in_lua),
    cmocka_unit_test(basic_functions_do_as_in_lua),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

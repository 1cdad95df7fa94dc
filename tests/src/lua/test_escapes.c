/* Scripts that try to run for ever, to take everything, or to change what the next batch sees. Each ends
 * within its budget, with the verdict that every peer comes to, and the same sandbox applies the next batch.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lua/script.h"
#include "support/rng.h"
#include "support/test.h"

#include <lauxlib.h>
#include <lualib.h>

typedef struct {
  const char *what;
  const char *body; /* of a function that is called with nodes, view, host */
  int verdict;
  const char *message; /* part of it */
} escape_t;

#define INSTRUCTIONS "more than 2000000 instructions"
#define STRING "a string of"
#define MEMORY "bytes of memory"

static const escape_t escapes[] = {
  /* loops */
  {"endless loop", "while true do end", AB_EREJECTED, INSTRUCTIONS},
  {"goto loop", "::again:: goto again", AB_EREJECTED, INSTRUCTIONS},
  {"numeric loop", "for i = 1, math.huge do end", AB_EREJECTED, INSTRUCTIONS},
  {"tail calls", "local function f() return f() end f()", AB_EREJECTED, INSTRUCTIONS},
  {"loop around pcall",
   "while true do pcall(function() while true do end end) end",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"loop around a failing pcall", "while true do pcall(error, 'x') end", AB_EREJECTED, INSTRUCTIONS},
  {"pcall of pcall",
   "local function f() pcall(pcall, f) return f() end pcall(f)",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"pcall as handler", "while true do pcall(pcall, pcall, error) end", AB_EREJECTED, INSTRUCTIONS},
  {"ipairs without end",
   "for i in ipairs(setmetatable({}, {__index = function() return 1 end})) do end",
   AB_EREJECTED,
   INSTRUCTIONS},

  /* loops in what is called from elsewhere */
  {"loop in __index",
   "local t = setmetatable({}, {__index = function() while true do end end}) local x = t.x",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"loop in __concat",
   "local t = setmetatable({}, {__concat = function() while true do end end}) local x = t .. 'x'",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"loop in __close",
   "local x <close> = setmetatable({}, {__close = function() while true do end end})",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"loop in __tostring",
   "print(setmetatable({}, {__tostring = function() while true do end end}))",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"loop in __pairs",
   "pairs(setmetatable({}, {__pairs = function() while true do end end}))",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"loop in __len",
   "local n = #setmetatable({}, {__len = function() while true do end end})",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"loop in a comparison",
   "table.sort({2, 1}, function() while true do end end)",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"loop in a gsub function",
   "('x'):gsub('.', function() while true do end end)",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"loop in a gsub table",
   "('x'):gsub('.', setmetatable({}, {__index = function() while true do end end}))",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"loop in __lt below sort",
   "local m = {__lt = function() while true do end end} table.sort({setmetatable({}, m), setmetatable({}, "
   "m)})",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"loop in a range",
   "view:put('a', '') for k in view:range() do while true do end end",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"errors in __close inside pcall",
   "local c = setmetatable({}, {__close = function() error('x', 0) end})\n"
   "local function f() local x <close> = c error('y', 0) end while true do pcall(f) end",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"loops in __close after the end",
   "local m m = {__close = function() local a <close> = setmetatable({}, m) local b <close> = "
   "setmetatable({}, m) local c <close> = setmetatable({}, m) while true do end end}\n"
   "local x <close> = setmetatable({}, m) while true do end",
   AB_EREJECTED,
   INSTRUCTIONS},

  /* growth */
  {"string doubling", "local s = 'x' while true do s = s .. s end", AB_EREJECTED, STRING},
  {"string doubling inside pcall",
   "local s = 'x' while true do pcall(function() s = s .. s end) end",
   AB_EREJECTED,
   STRING},
  {"string growth",
   "local s = ('x'):rep(100000) local t = '' while true do t = t .. s end",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"a billion bytes", "local s = ('x'):rep(1e9)", AB_EREJECTED, STRING},
  {"more bytes than there are", "local s = ('xyz'):rep(math.maxinteger, 'abc')", AB_EREJECTED, STRING},
  {"rep of rep", "local s = ('x'):rep(1e6):rep(1e6)", AB_EREJECTED, STRING},
  {"concat of long strings",
   "local s = ('x'):rep(1e6) local t = {} for i = 1, 100 do t[i] = s end table.concat(t)",
   AB_EREJECTED,
   STRING},
  {"gsub that grows", "local s = ('x'):rep(1e6):gsub('x', ('y'):rep(1000))", AB_EREJECTED, STRING},
  {"gsub by captures", "local s = ('x'):rep(4000):gsub('^.*$', ('%0'):rep(4000))", AB_EREJECTED, STRING},
  {"format that grows",
   "local s = ('x'):rep(1e6) local f = ('%s'):rep(50) local t = {} for i = 1, 50 do t[i] = s end "
   "f:format(table.unpack(t))",
   AB_EREJECTED,
   STRING},
  {"pack of a size", "string.pack('c1000000000', 'x')", AB_EREJECTED, STRING},
  {"pack of many sizes",
   "string.pack(('c8000000'):rep(10), 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x')",
   AB_EREJECTED,
   STRING},
  {"hex of hex", "local s = ('x'):rep(5e6) hex(s)", AB_EREJECTED, STRING},
  {"table growth", "local t = {} for i = 1, 1e9 do t[i] = {i} end", AB_EHALTED, MEMORY},
  {"table growth inside pcall",
   "local t = {} while true do pcall(function() for i = 1, 1e9 do t[i] = {i} end end) end",
   AB_EHALTED,
   MEMORY},
  {"closures", "local f for i = 1, 1e9 do local g = f f = function() return g end end", AB_EHALTED, MEMORY},
  {"unpack of much", "table.unpack({}, 1, 1e8)", AB_EREJECTED, INSTRUCTIONS},
  {"unpack of all numbers",
   "table.unpack({}, math.mininteger, math.maxinteger)",
   AB_EREJECTED,
   "too many results"},
  {"bytes of a long string", "(('x'):rep(5e6)):byte(1, -1)", AB_EREJECTED, "string slice too long"},
  {"code points of a long string", "utf8.codepoint(('x'):rep(2e6), 1, -1)", AB_EREJECTED, NULL},
  {"move of much", "table.move({}, 1, 1e15, 2)", AB_EREJECTED, INSTRUCTIONS},
  {"concat of nothing",
   "table.concat(setmetatable({}, {__index = function() return '' end}), '', 1, math.maxinteger)",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"a length that lies",
   "table.sort(setmetatable({}, {__len = function() return 1e9 // 1 | 0 end}))",
   AB_EREJECTED,
   NULL},
  {"insert with a length that lies",
   "table.insert(setmetatable({}, {__len = function() return math.maxinteger end}), 1, 1)",
   AB_EREJECTED,
   NULL},

  /* depth */
  {"deep calls", "local function f() return 1 + f() end f()", AB_EREJECTED, "stack overflow"},
  {"deep calls of many arguments",
   "local function f(...) return 1 + f(1, 2, 3, 4, 5, 6, 7, 8, ...) end f()",
   AB_EREJECTED,
   NULL},
  {"deep calls, caught",
   "while true do pcall(function() local function f() return 1 + f() end f() end) end",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"deep pcalls", "local function f() pcall(f) end f() while true do end", AB_EREJECTED, INSTRUCTIONS},
  {"deep metamethods",
   "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k + 1] end local x = "
   "t[1]",
   AB_EREJECTED,
   "overflow"},
  {"deep __index chain",
   "local t = {} for i = 1, 3000 do t = setmetatable({}, {__index = t}) end local x = t.x",
   AB_EREJECTED,
   "loop"},
  {"deep gsub", "local function f() return ('x'):gsub('.', f) end f()", AB_EREJECTED, "overflow"},
  {"deep sort", "local function f() table.sort({1, 2}, f) end f()", AB_EREJECTED, "overflow"},
  {"deep tostring",
   "local m m = {__tostring = function(t) return tostring(setmetatable({}, m)) end} "
   "tostring(setmetatable({}, m))",
   AB_EREJECTED,
   "overflow"},
  {"deep JSON",
   "local t = {} for i = 1, 100 do t = {t} end json.encode(t)",
   AB_EREJECTED,
   "nested too deeply"},
  {"JSON of itself", "local t = {} t.t = t json.encode(t)", AB_EREJECTED, "nested too deeply"},
  {"JSON of much", "local t = {} for i = 1, 60 do t = {t, t} end json.encode(t)", AB_EREJECTED, NULL},
  {"JSON brackets", "json.decode(('['):rep(1e6)) while true do end", AB_EREJECTED, INSTRUCTIONS},
  {"JSON of many tables", "json.decode('[' .. ('{},'):rep(1300000) .. '{}]')", AB_EREJECTED, INSTRUCTIONS},

  /* work inside one call */
  {"a pattern bomb", "(('a'):rep(30)):find(('a*'):rep(30) .. 'b')", AB_EREJECTED, INSTRUCTIONS},
  {"a lazy pattern bomb", "(('a'):rep(1000)):find(('.-'):rep(6) .. 'b')", AB_EREJECTED, INSTRUCTIONS},
  {"a pattern bomb in gsub", "(('a'):rep(30)):gsub(('a*'):rep(30) .. 'b', '')", AB_EREJECTED, INSTRUCTIONS},
  {"a pattern bomb in gmatch",
   "for x in (('a'):rep(30)):gmatch(('a-'):rep(30) .. 'b') do end",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"balanced brackets",
   "local s = ('('):rep(1e6) while true do s:find('%b()') end",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"long sets",
   "local s, p = ('a'):rep(1e5), '[' .. ('b'):rep(1e5) .. ']' while true do s:find(p) end",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"back references",
   "local s = ('a'):rep(1e6) while true do s:find('(.*)%1b') end",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"plain searches",
   "local s, p = ('a'):rep(5e6), ('a'):rep(1e6) .. 'b' while true do s:find(p, 1, true) end",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"sorting",
   "local t = {} for i = 1, 2e5 do t[i] = -i end while true do table.sort(t) table.sort(t, function(a, b) "
   "return a > b end) end",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"pairs",
   "local t = {} for i = 1, 1e5 do t['k' .. i] = i end while true do pairs(t) end",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"next",
   "local t = {} for i = 1, 1e5 do t[i] = i end while true do next(t) end",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"case", "local s = ('x'):rep(8e6) while true do s:upper() end", AB_EREJECTED, INSTRUCTIONS},
  {"hashes", "local s = ('x'):rep(4e6) while true do blake2b(s) sha256(s) end", AB_EREJECTED, INSTRUCTIONS},
  {"signatures",
   "local k = ('x'):rep(32) while true do ed25519_verify('m', k .. k, k) end",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"base64", "local s = ('x'):rep(3e6) while true do unbase64(s) end", AB_EREJECTED, INSTRUCTIONS},
  {"UTF-8", "local s = ('x'):rep(4e6) while true do utf8.len(s) end", AB_EREJECTED, INSTRUCTIONS},
  {"UTF-8 from the end",
   "local s = ('x'):rep(4e6) while true do utf8.offset(s, -3e6 // 1 | 0) end",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"inserts in front", "local t = {} while true do table.insert(t, 1, 1) end", AB_EREJECTED, INSTRUCTIONS},
  {"removes in front",
   "local t = {} for i = 1, 1e5 do t[i] = i end while true do table.insert(t, table.remove(t, 1)) end",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"reads", "while true do view:get('k') end", AB_EREJECTED, INSTRUCTIONS},
  {"ranges",
   "for i = 1, 100 do view:put(tostring(i), '') end while true do view:count() view:peek() end",
   AB_EREJECTED,
   INSTRUCTIONS},
  {"ranges left open", "while true do view:range() end", AB_EREJECTED, "ranges at once"},
  {"writes", "while true do view:put('k', '') end", AB_EREJECTED, "more than 65536 writes"},
  {"deletes", "while true do view:del('k') end", AB_EREJECTED, "more than 65536 writes"},
  {"explicit writes",
   "local w = view:write() while true do w:put('k', '') end",
   AB_EREJECTED,
   "more than 65536 writes"},
  {"flushes", "while true do view:write():flush() end", AB_EREJECTED, INSTRUCTIONS},
  {"much written",
   "local s = ('x'):rep(1e6) while true do view:put('k', s) end",
   AB_EREJECTED,
   "bytes written"},
  {"a long key", "view:put(('k'):rep(4097), '')", AB_EREJECTED, "a key of 4097 bytes"},
  {"host calls", "while true do host:ack_writer(host.key) end", AB_EREJECTED, NULL},
  {"lines of log", "while true do print(('x'):rep(100)) end", AB_EREJECTED, INSTRUCTIONS},

  /* tampering */
  {"finalizers",
   "setmetatable({}, {__gc = function() while true do end end})",
   AB_EREJECTED,
   "__gc is not available"},
  {"finalizers, added later",
   "local m = {} setmetatable({}, m) m.__gc = function() while true do end end",
   0,
   NULL},
  {"weak tables", "setmetatable({}, {__mode = 'k'})", AB_EREJECTED, "__mode is not available"},
  {"a protected metatable",
   "setmetatable(setmetatable({}, {__metatable = 1}), {})",
   AB_EREJECTED,
   "protected"},
  {"replacing string.rep", "string.rep = nil", AB_EREJECTED, "read-only"},
  {"rawset of string.rep", "rawset(string, 'rep', 1)", AB_EREJECTED, "read-only"},
  {"insert into string", "table.insert(string, 1)", AB_EREJECTED, "read-only"},
  {"sorting math", "table.sort(math)", 0, NULL},
  {"move into json", "table.move({1, 2}, 1, 2, 1, json)", AB_EREJECTED, "read-only"},
  {"metatable of a library", "setmetatable(string, nil)", AB_EREJECTED, "protected"},
  {"marking a library", "json.array(string)", AB_EREJECTED, "metatable"},
  {"metatable of strings", "getmetatable('').__index = {}", AB_EREJECTED, "index a boolean value"},
  {"metatable of the view", "getmetatable(view).__index = nil", AB_EREJECTED, "index a boolean value"},
  {"metatable of the host", "setmetatable(host, nil)", AB_EREJECTED, "protected"},
  {"globals", "string = nil table = nil pcall = nil print = nil apply = nil view = nil", 0, NULL},
  {"a view that is none", "view.get({}, 'k')", AB_EREJECTED, "view expected"},
  {"a host that is none", "host.key = nil host.clock({})", AB_EREJECTED, "host expected"},
  {"methods of another", "local w = view:write() w.put(view, 'k', 'v')", AB_EREJECTED, "write expected"},
  {"a flushed write", "local w = view:write() w:flush() w:put('k', 'v')", AB_EREJECTED, "flushed already"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static double
now (void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double) time.tv_sec + (double) time.tv_nsec / 1e9;
}

static double
run_escape (const escape_t *escape) {
  static const char format[] = "local function escape(nodes, view, host) %s\nend\n"
                               "function apply(nodes, view, host)\n"
                               "  view:put('length', ('%%d'):format(string.len(('x'):rep(3))))\n"
                               "  if nodes[1].value == 'escape' then escape(nodes, view, host) end\n"
                               "end";
  char text[4096];
  script_t script;
  sandbox_options_t options = script_options(&script);
  if (escape->message != NULL && strcmp(escape->message, INSTRUCTIONS) == 0) options.instructions = 2000000;
  options.wall_ms = 100000; /* sanitizers are slow, and these are about everything else */
  snprintf(text, sizeof(text), format, escape->body);
  script_open(&script, text, &options);

  double start = now();
  int verdict = script_apply_one(&script, "escape");
  double seconds = now() - start;
  if (verdict != escape->verdict) {
    fail_msg("%s: %s (%s)", escape->what, ab_err_name(verdict), view_message(&script.view));
  }
  if (escape->message != NULL) assert_contains(view_message(&script.view), escape->message);
  assert_int_equal(script_apply_one(&script, "next"), 0);
  assert_string_equal(view_entries(&script.view), "length=3\n");
  script_close(&script);
  return seconds;
}

static void
every_escape_ends_within_its_budget (void **state) {
  const escape_t *slowest = NULL;
  double longest = 0;
  (void) state;
  for (size_t i = 0; i < COUNT(escapes); i++) {
    double seconds = run_escape(&escapes[i]);
    if (seconds <= longest) continue;
    longest = seconds;
    slowest = &escapes[i];
  }
  print_message("%zu escapes; the longest took %.2f s: %s\n", COUNT(escapes), longest, slowest->what);
}

/* ---- the C stack ---- */

#if defined(__SANITIZE_ADDRESS__)
#define STACK_BYTES (4 << 20) /* a sanitizer's frames are larger */
#else
#define STACK_BYTES (512 << 10)
#endif

static void *
nest_deeply (void *data) {
  static const char *const bodies[] = {
    "local function f() return ('x'):gsub('.', f) end f()",
    "local m m = {__tostring = function() return ('%s'):format(setmetatable({}, m)) end} "
    "tostring(setmetatable({}, m))",
    "local m m = {__index = function() return table.concat(setmetatable({}, m), ',', 1, 1) end} local x = "
    "setmetatable({}, m).x",
    "local function f() pcall(f) end f() error('stack overflow')",
    "local t = {} for i = 1, 63 do t = {t} end json.encode(t) json.decode(('['):rep(64) .. (']'):rep(64)) "
    "error('stack overflow')",
    "(('a'):rep(300)):find(('a?'):rep(300) .. ('a'):rep(300)) error('stack overflow')",
  };
  for (size_t i = 0; i < COUNT(bodies); i++) {
    const char *result = script_run(bodies[i]);
    bool is_expected =
      strstr(result, "stack overflow") != NULL || strstr(result, "pattern too complex") != NULL;
    if (!is_expected) *(const char **) data = bodies[i];
  }
  return NULL;
}

static void
nesting_fits_on_the_stack_that_the_header_asks_for (void **state) {
  pthread_attr_t attributes;
  pthread_t thread;
  const char *unexpected = NULL;
  (void) state;
  assert_int_equal(pthread_attr_init(&attributes), 0);
  assert_int_equal(pthread_attr_setstacksize(&attributes, STACK_BYTES), 0);
  assert_int_equal(pthread_create(&thread, &attributes, nest_deeply, &unexpected), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  pthread_attr_destroy(&attributes);
  if (unexpected != NULL) fail_msg("%s", unexpected);
}

/* ---- input ---- */

static void
values_larger_than_the_memory_limit_halt (void **state) {
  script_t script;
  sandbox_options_t options = script_options(&script);
  const size_t len = 2 << 20;
  char *value = malloc(len + 1);
  (void) state;
  assert_non_null(value);
  memset(value, 'x', len);
  value[len] = 0;
  options.memory_bytes = 1 << 20;
  script_open(&script, "function apply() end", &options);
  assert_int_equal(script_apply_one(&script, value), AB_EHALTED);
  assert_contains(view_message(&script.view), MEMORY);
  assert_int_equal(script_apply_one(&script, "small"), 0);
  script_close(&script);
  free(value);
}

/* What a writer sends must not decide between rejected and halted: of any JSON text within input_bytes the
 * tables run into the instructions before they run into the memory. */
static void
decoding_input_runs_out_of_instructions_before_memory (void **state) {
  static const char *const parts[] = {
    "{},",
    "[],",
    "[[]],",
    "{\"a\":1},",
    "1,",
    "\"\",",
    "null,",
    "{\"a\":{}},",
    "\"abcdefghijklmnopqrstuvwxyz0123456789abcde\","};
  const size_t size = 4 << 20;
  char *value = malloc(size + 1);
  (void) state;
  assert_non_null(value);
  for (size_t i = 0; i < COUNT(parts); i++) {
    script_t script;
    const size_t part_len = strlen(parts[i]);
    size_t len = 1;
    value[0] = '[';
    for (; len + part_len + 2 <= size; len += part_len) memcpy(value + len, parts[i], part_len);
    memcpy(value + len, "0]", 3);
    script_open(&script, "function apply(nodes) assert(json.decode(nodes[1].value)) end", NULL);
    int verdict = script_apply_one(&script, value);
    if (verdict != 0 && verdict != AB_EREJECTED) fail_msg("%s: %s", parts[i], view_message(&script.view));
    script_close(&script);
  }
  free(value);
}

/* ---- precompiled code ---- */

static int
append_chunk (lua_State *L, const void *data, size_t len, void *to) {
  (void) L;
  ab_buf_append(to, ab_slice(data, len));
  return 0;
}

static void
damaged_precompiled_scripts_are_refused (void **state) {
  lua_State *L = luaL_newstate();
  ab_buf_t chunk = {0};
  rng_t random = rng(17);
  (void) state;
  assert_non_null(L);
  assert_int_equal(
    luaL_loadstring(
      L, "local t = {} function apply(nodes, view) for i, n in ipairs(nodes) do t[i] = n.value .. i end end"
    ),
    LUA_OK
  );
  assert_int_equal(lua_dump(L, append_chunk, &chunk, 0), 0);
  lua_close(L);
  for (int i = 0; i < 300; i++) {
    ab_buf_t damaged = {0};
    sandbox_t *sandbox;
    ab_buf_append(&damaged, ab_buf_slice(&chunk));
    for (uint32_t k = rng_below(&random, 4); k > 0; k--) {
      damaged.data[1 + rng_below(&random, (uint32_t) damaged.len - 1)] = (uint8_t) rng_next(&random);
    }
    if (rng_below(&random, 4) == 0) damaged.len = 1 + rng_below(&random, (uint32_t) damaged.len);
    assert_int_equal(sandbox_open(ab_buf_slice(&damaged), NULL, &sandbox, NULL, 0), AB_EINVAL);
    ab_buf_destroy(&damaged);
  }
  ab_buf_destroy(&chunk);
}

/* ---- what is there ---- */

static void
nothing_is_there_but_the_whitelist (void **state) {
  (void) state;
  assert_string_equal(
    script_run("local t = {} for k, v in pairs(_ENV) do t[#t + 1] = k .. (type(v) == 'function' and '' or "
               "':' .. type(v)) end\n"
               "out(table.unpack(t))"),
    "ab:table apply assert base64 blake2b ed25519_verify error getmetatable hex ipairs json:table math:table "
    "next "
    "pairs pcall print rawequal rawget rawlen rawset select setmetatable sha256 string:table table:table "
    "tonumber "
    "tostring type unbase64 unhex unz32 utf8:table z32"
  );
  assert_string_equal(
    script_run("out(_G, _VERSION, load, loadstring, dofile, loadfile, require, collectgarbage, warn, xpcall, "
               "coroutine, debug, io, os, package)"),
    "nil nil nil nil nil nil nil nil nil nil nil nil nil nil nil"
  );
  assert_string_equal(
    script_run("out(string.dump, math.random, math.randomseed, math.sin, math.exp, math.log, math.pow, "
               "math.deg, utf8.nothing)"),
    "nil nil nil nil nil nil nil nil nil"
  );
  assert_string_equal(
    script_run(
      "local t = {} for _, k in ipairs{'len', 'sub', 'byte', 'char', 'reverse', 'lower', 'upper', 'rep', "
      "'find', 'match', 'gmatch', "
      "'gsub', 'format', 'pack', 'unpack', 'packsize'} do assert(type(string[k]) == 'function', k) end\n"
      "for _, k in ipairs{'insert', 'remove', 'concat', 'unpack', 'move', 'sort', 'pack'} do "
      "assert(type(table[k]) == 'function', k) end\n"
      "for _, k in ipairs{'abs', 'ceil', 'floor', 'fmod', 'max', 'min', 'modf', 'sqrt', 'tointeger', 'type', "
      "'ult'} do assert(type(math[k]) == 'function', k) end\n"
      "for _, k in ipairs{'huge', 'pi', 'maxinteger', 'mininteger'} do assert(type(math[k]) == 'number', k) "
      "end\n"
      "for _, k in ipairs{'char', 'codepoint', 'codes', 'len', 'offset'} do assert(type(utf8[k]) == "
      "'function', k) end\n"
      "assert(type(utf8.charpattern) == 'string') out('all')"
    ),
    "all"
  );
}

static void
operators_that_differ_are_gone (void **state) {
  (void) state;
  assert_contains(script_refusal("local x = 2 ^ 2", AB_EINVAL), "operator ^");
  assert_contains(
    script_refusal("local x = '^' --^\nlocal y = [[^]] .. \"\\\"^\" x = x^x", AB_EINVAL),
    "apply:2: there is no operator ^"
  );
  assert_string_equal(
    script_run("out('^', \"^\", [[^]], [==[^]]^]==], 'a\\'^', 5 ~ 3) --^ [[^"), "^ ^ ^ ^]]^ a'^ 6"
  );
  assert_string_equal(
    script_run("out(pcall(function() return getmetatable('').__pow end))"),
    "false apply:1: attempt to index a boolean value"
  );
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_escape_ends_within_its_budget),
    cmocka_unit_test(nesting_fits_on_the_stack_that_the_header_asks_for),
    cmocka_unit_test(values_larger_than_the_memory_limit_halt),
    cmocka_unit_test(decoding_input_runs_out_of_instructions_before_memory),
    cmocka_unit_test(damaged_precompiled_scripts_are_refused),
    cmocka_unit_test(nothing_is_there_but_the_whitelist),
    cmocka_unit_test(operators_that_differ_are_gone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

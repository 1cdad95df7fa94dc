/* What a script is called with, and the helpers it finds. */
#include <stdio.h>
#include <stdlib.h>

#include "lua/script.h"
#include "support/test.h"

/* ---- nodes ---- */

static void
nodes_are_in_log_order_with_all_their_fields (void **state) {
  script_t script;
  (void) state;
  script_open(
    &script,
    "function apply(nodes, view)\n"
    "  for i, n in ipairs(nodes) do\n"
    "    view:put('n' .. i, table.concat({n.value, hex(n.key):sub(1, 4), n.length, n.timestamp, "
    "tostring(n.optimistic), n.weight}, ' '))\n"
    "  end\n"
    "  view:put('count', tostring(#nodes))\n"
    "end",
    NULL
  );
  assert_int_equal(script_apply(&script, (const char *const[]){"first", "second"}, 2), 0);
  assert_string_equal(
    view_entries(&script.view),
    "count=2\nn1=first 0707 1 1700000000000 false 2\nn2=second 0707 2 1700000000000 false 2\n"
  );
  assert_int_equal(script_apply(&script, NULL, 0), 0);
  assert_contains(view_entries(&script.view), "count=0\n");
  script_close(&script);
}

/* ---- the view ---- */

static void
reads_see_the_writes_of_the_call (void **state) {
  (void) state;
  assert_string_equal(
    script_run("out(view:get('a')) view:put('a', '1') local x = view:get('a') view:put('a', '') local y = "
               "view:get('a') view:del('a') out(x, y == '', view:get('a'))"),
    "1 true nil"
  );
  assert_string_equal(
    script_run("view:put('\\0\\xff', '\\xfe\\0') out(view:get('\\0\\xff') == '\\xfe\\0')"), "true"
  );
}

static void
keys_and_values_are_strings (void **state) {
  (void) state;
  assert_contains(
    script_run("view:put('k', 1)"),
    "rejected: apply:1: bad argument #2 to 'put' (string expected, got number)"
  );
  assert_contains(script_run("view:put(1, 'v')"), "string expected, got number");
  assert_contains(script_run("view:put('k')"), "string expected, got no value");
  assert_contains(script_run("view:get(nil)"), "string expected, got nil");
  assert_contains(script_run("view.get('k')"), "view expected");
  assert_string_equal(
    script_run("out(pcall(view.put, view, 'k', 0/0))"),
    "false bad argument #3 to '?' (string expected, got number)"
  );
}

#define FILL "for _, k in ipairs{'a', 'b', 'ba', 'bb', 'c', 'd'} do view:put(k, k:upper()) end "
#define LIST \
  "local function list(r) local t = {} for k, v in view:range(r) do t[#t + 1] = k assert(v == k:upper()) " \
  "end return table.concat(t, ',') end "

static void
ranges_have_bounds (void **state) {
  (void) state;
  assert_string_equal(
    script_run(FILL LIST "out(list(), list{gt = 'b'}, list{gte = 'b', lt = 'bb'}, list{gt = 'a', lte = 'c', "
                         "reverse = true}, list{limit = 2}, list{reverse = true, limit = 1},\n"
                         "list{prefix = 'b'}, list{prefix = 'b', gt = 'b', reverse = true}, list{prefix = "
                         "'x'}, list{gte = 'c', lt = 'a'}, list{prefix = '', lte = 'a'})"),
    "a,b,ba,bb,c,d ba,bb,c,d b,ba c,bb,ba,b a,b d b,ba,bb bb,ba   a"
  );
  assert_string_equal(
    script_run(FILL "out(view:count(), view:count{prefix = 'b'}, view:count{gt = 'z'}, view:peek(), "
                    "view:peek{reverse = true, lt = 'c'}, view:peek{gt = 'z'})"),
    "6 3 0 a bb nil"
  );
  assert_string_equal(
    script_run("view:put('\\xff\\xff', '1') view:put('\\xff\\xffa', '2') view:put('\\xff', '3') "
               "out(view:count{prefix = '\\xff\\xff'}, view:count{prefix = '\\xff'})"),
    "2 3"
  );
}

static void
ranges_refuse_what_they_do_not_know (void **state) {
  (void) state;
  assert_contains(script_run("view:range{z = 1, gtt = 'a'}"), "a range has no 'gtt'");
  assert_contains(script_run("view:range{[1] = 'a'}"), "names only");
  assert_contains(script_run("view:range{gt = 1}"), "'gt' of a range is a string, not a number");
  assert_contains(script_run("view:range{gt = 'a', gte = 'a'}"), "not both");
  assert_contains(script_run("view:range{limit = 0}"), "'limit' of a range is an integer from 1");
  assert_contains(script_run("view:range{limit = 1.5}"), "'limit' of a range");
  assert_contains(script_run("view:range('a')"), "table expected");
}

static void
ranges_show_the_state_at_the_call (void **state) {
  (void) state;
  assert_string_equal(
    script_run(FILL "local t = {} for k, v in view:range() do t[#t + 1] = k .. v view:del(k) view:put('c', "
                    "'changed') view:put('zz', 'new') end out(table.concat(t, ' '), view:count())"),
    "aA bB baBA bbBB cC dD 2"
  );
  assert_string_equal(
    script_run(FILL "local it = view:range() view:del('a') view:del('b') local x = it() local y = it() for k "
                    "in view:range() do if k == 'c' then break end end out(x, y, (view:range()()))"),
    "a b ba"
  );
  assert_string_equal(script_run(FILL "local it = view:range{limit = 1} out(it(), it(), it())"), "a nil nil");
  assert_string_equal(
    script_run(FILL "for i = 1, 1000 do for k in view:range() do break end end out('ok')"), "ok"
  );
  assert_string_equal(
    script_run(
      FILL "for i = 1, 1000 do pcall(function() for k in view:range() do error('x') end end) end out('ok')"
    ),
    "ok"
  );
}

static void
subs_are_prefixes_with_a_zero_byte (void **state) {
  script_t script;
  (void) state;
  assert_string_equal(
    script_run("local users, posts = view:sub('users'), view:sub('posts')\nusers:put('ann', '1') "
               "users:put('bob', '2') posts:put('x', '3') users:sub('deep'):put('y', '4') view:put('users', "
               "'5')\nlocal t = {} for k, v in users:range{gte = 'b'} do t[#t + 1] = k .. v "
               "end\nout(users:get('ann'), view:get('users\\0ann'), users:count(), posts:count(), "
               "hex((users:peek{reverse = true})), hex(table.concat(t)), users:sub('deep'):get('y'))"),
    "1 1 3 1 646565700079 626f623264656570007934 4"
  );
  script_open(
    &script,
    "function apply(nodes, view) local s = view:sub('s') local w = s:write() w:put('k', 'v') w:flush() "
    "s:put('l', 'w') s:del('k') end",
    NULL
  );
  assert_int_equal(script_apply_one(&script, "x"), 0);
  bee_entry_t entry;
  assert_int_equal(bee_get(script.view.bee, ab_slice("s\0l", 3), &entry), 0);
  assert_int_equal(bee_get(script.view.bee, ab_slice("s\0k", 3), &entry), AB_ENOTFOUND);
  script_close(&script);
}

static void
explicit_writes_show_when_they_are_flushed (void **state) {
  (void) state;
  assert_string_equal(
    script_run(
      "view:put('a', 'old') local w = view:write() w:put('a', 'new') w:put('b', '1') w:del('c')\n"
      "local before = view:get('a') .. w:get('a') .. tostring(view:get('b')) .. w:get('b') .. "
      "tostring(w:get('z'))\n"
      "view:put('b', 'implicit') view:put('c', 'implicit')\n"
      "local unseen = w:get('c') w:flush() out(before, unseen, view:get('a'), view:get('b'), view:get('c'))"
    ),
    "oldnewnil1nil nil new 1 nil"
  );
  assert_string_equal(script_run("local w = view:write() w:put('a', '1') out(view:count())"), "0");
  assert_contains(script_run("local w = view:write() w:flush() w:flush()"), "flushed already");
}

static void
blocks_end_where_writes_are_flushed (void **state) {
  script_t script;
  (void) state;
  script_open(&script, "function apply(nodes, view) view:put('a', '1') view:put('b', '2') end", NULL);
  assert_int_equal(script_apply_one(&script, "x"), 0);
  assert_int_equal(view_length(&script.view), 1);
  script_replace(
    &script,
    "function apply(nodes, view)\n"
    "  for i = 1, 3 do local w = view:write() w:put('k' .. i, 'v') w:flush() end\n"
    "  view:put('c', '3')\n"
    "  local w = view:write() w:put('d', '4') w:flush()\n"
    "  view:put('e', '5')\n"
    "end"
  );
  assert_int_equal(script_apply_one(&script, "x"), 0);
  assert_int_equal(view_length(&script.view), 1 + 3 + 3);
  script_close(&script);
}

/* ---- the host ---- */

static void
host_calls_take_effect_in_program_order (void **state) {
  script_t script;
  (void) state;
  script_open(
    &script,
    "function apply(nodes, view, host)\n"
    "  local key = ('\\x01'):rep(32)\n"
    "  host:add_writer(key) host:add_writer(hex(key), {indexer = false}) host:add_writer(z32(key), {weight = "
    "7})\n"
    "  host:add_writer(key, {indexer = false, weight = 0}) host:remove_writer(key) host:ack_writer(key)\n"
    "  local anchor = host:create_anchor(key, 3)\n"
    "  local w = host:writer(key)\n"
    "  view:put('out', table.concat({w.weight, tostring(w.removed), tostring(w.indexer), w.length, "
    "hex(anchor.key):sub(1, 2), anchor.length,\n"
    "    tostring(host:genesis()), host:clock(), hex(host.key):sub(1, 4)}, ' '))\n"
    "end",
    NULL
  );
  assert_int_equal(script_apply_one(&script, "x"), 0);
  assert_string_equal(
    view_calls(&script.view),
    "add 01 indexer 2\nadd 01 writer 1\nadd 01 indexer 7\nadd 01 writer 0\nremove 01\nack 01\nanchor "
    "01.3\nwriter 01\n"
  );
  assert_string_equal(view_entries(&script.view), "out=2 false true 4 aa 1 true 5 dbdb\n");
  script.view.host_err = AB_ENOTFOUND;
  script_replace(
    &script, "function apply(nodes, view, host) view:put('out', tostring(host:writer(host.key))) end"
  );
  assert_int_equal(script_apply_one(&script, "x"), 0);
  assert_string_equal(view_entries(&script.view), "out=nil\n");
  script_close(&script);
}

static void
host_calls_check_their_arguments (void **state) {
  (void) state;
  assert_contains(script_run("host:add_writer('abc')"), "not a key");
  assert_contains(script_run("host:add_writer('pear://' .. ('y'):rep(45))"), "not a key");
  assert_contains(script_run("host:add_writer(12)"), "string expected");
  assert_contains(script_run("host:add_writer(host.key, {weight = -1})"), "'weight' is an integer from 0");
  assert_contains(
    script_run("host:add_writer(host.key, {weight = 1 << 53})"), "'weight' is an integer from 0"
  );
  assert_contains(script_run("host:add_writer(host.key, {weight = '2'})"), "'weight' is an integer from 0");
  assert_contains(
    script_run("host:add_writer(host.key, {weight = json.null})"), "'weight' is an integer from 0"
  );
  assert_contains(script_run("host:add_writer(host.key, {indexer = 1})"), "'indexer' is a boolean");
  assert_contains(script_run("host:add_writer(host.key, true)"), "table expected");
  assert_contains(script_run("host.remove_writer(host.key)"), "host expected");
  assert_contains(script_run("host:create_anchor(host.key)"), "'length' is an integer");
}

/* ---- JSON ---- */

static void
json_decodes_strictly (void **state) {
  (void) state;
  assert_string_equal(
    script_run(
      "local v = "
      "json.decode('{\"a\":[1,2.5,-0,1e2,true,null,\"\\\\u00e9\"],\"b\":{},\"n\":9007199254740993}')\n"
      "out(math.type(v.a[1]), v.a[2], v.a[3], v.a[4], math.type(v.a[4]), v.a[5], v.a[6] == json.null, "
      "v.a[7], #v.a, next(v.b), v.n)"
    ),
    "integer 2.5 0 100.0 float true true é 7 nil 9007199254740993"
  );
  assert_string_equal(
    script_run("out(json.decode('{\"a\":1,\"a\":2}'))"),
    "nil two members of an object have the same name at byte 14"
  );
  assert_string_equal(script_run("out(json.decode('{\"a\":1,\"a\":2}', {duplicates = true}).a)"), "2");
  assert_string_equal(
    script_run("out(json.decode('\"\\\\ud800\"'))"), "nil half of a surrogate pair at byte 8"
  );
  assert_string_equal(
    script_run("out(hex(json.decode('\"\\\\ud800\"', {lone_surrogates = true})))"), "eda080"
  );
  assert_string_equal(
    script_run("out(json.decode(''), json.decode('null') == json.null, json.decode('\"\\xff\"'))"),
    "nil true nil not UTF-8 at byte 2"
  );
  assert_contains(script_run("json.decode(12)"), "string expected");
  assert_contains(script_run("out(json.decode(('['):rep(65) .. (']'):rep(65)))"), "nil nested too deeply");
}

static void
json_encodes_canonically (void **state) {
  (void) state;
  assert_string_equal(
    script_run("out(json.encode{b = 1, a = {1, 2, {}}, ['\\u{20ac}'] = true, ['\\r'] = json.null, ['1'] = "
               "'x', ['\\u{1F600}'] = 0, ['\\u{fb33}'] = -0.0, [''] = 1e21})"),
    "{\"\":1e+21,\"\\r\":null,\"1\":\"x\",\"a\":[1,2,{}],\"b\":1,\"\u20ac\":true,\"\U0001F600\":0,\"\ufb33\":"
    "0}"
  );
  assert_string_equal(
    script_run("out(json.encode(), json.encode(nil))"),
    "rejected: apply:1: bad argument #1 to 'encode' (value expected)"
  );
  assert_string_equal(
    script_run(
      "out(json.encode(nil), json.encode(json.array()), json.encode{}, json.encode(json.decode('[]')), "
      "json.encode(1.5), json.encode(3.0), json.encode('\\\"\\\\\\n'))"
    ),
    "null [] {} [] 1.5 3 \"\\\"\\\\\\n\""
  );
  assert_contains(script_run("json.encode(1 << 53)"), "an integer beyond 2^53 - 1 exactly");
  assert_contains(script_run("json.encode(0/0)"), "NaN or an infinity");
  assert_contains(script_run("json.encode(math.huge)"), "NaN or an infinity");
  assert_contains(script_run("json.encode{1, 2, x = 3}"), "neither a list nor keyed by strings");
  assert_contains(script_run("json.encode{[1] = 1, [3] = 3}"), "neither a list nor keyed by strings");
  assert_contains(script_run("local a = json.array{1} a[3] = 1 json.encode(a)"), "1, 2 and so on");
  assert_contains(script_run("json.encode{[{}] = 1}"), "keyed by a table");
  assert_contains(script_run("json.encode(print)"), "cannot express a function");
  assert_contains(script_run("json.encode('\\xff')"), "not UTF-8");
  assert_contains(script_run("json.encode{['\\xff'] = 1}"), "not UTF-8");
}

static void
json_stringifies_as_ecmascript (void **state) {
  (void) state;
  assert_string_equal(
    script_run(
      "out(json.stringify{b = 1 << 60, a = 0.1, ['10'] = 1, ['9'] = 2, ['01'] = 3, s = '\\u{2028}\\x7f'})"
    ),
    "{\"9\":2,\"10\":1,\"01\":3,\"a\":0.1,\"b\":1152921504606847000,\"s\":\"\u2028\x7f\"}"
  );
  assert_string_equal(script_run("out(json.stringify('\\xed\\xa0\\x80'))"), "\"\\ud800\"");
}

static void
arrays_stay_arrays (void **state) {
  (void) state;
  assert_string_equal(
    script_run("local a = json.decode('[]') a[1] = 1 local b = json.array{2} table.remove(b) "
               "out(json.encode(a), json.encode(b), json.encode(json.array(b)), getmetatable(a))"),
    "[1] [] [] false"
  );
  assert_contains(script_run("json.array(setmetatable({}, {}))"), "metatable");
}

/* ---- other helpers ---- */

static void
bytes_have_text_forms (void **state) {
  (void) state;
  assert_string_equal(
    script_run("out(hex('\\0\\xfe'), unhex('00FE') == '\\0\\xfe', unhex('0'), unhex('0g'))"),
    "00fe true nil nil not hex"
  );
  assert_string_equal(
    script_run("out(base64(''), base64('f'), base64('fo'), base64('foo'), base64('\\xfb\\xff'))"),
    " Zg== Zm8= Zm9v +/8="
  );
  assert_string_equal(
    script_run("out(unbase64('Zm8='), unbase64('Zg=='), unbase64('Zg'), (unbase64('Zh==')), "
               "(unbase64('Z===')), (unbase64('Zg==Zg==')))"),
    "fo f nil nil nil nil"
  );
  ab_key_t key;
  char text[AB_KEY_TEXT_LEN + 1], expected[128];
  for (int i = 0; i < 32; i++) key.bytes[i] = (uint8_t) (i * 7);
  ab_key_to_text(&key, text);
  snprintf(expected, sizeof(expected), "%s true nil 32 nil", text);
  assert_string_equal(
    script_run(
      "local k = '' for i = 0, 31 do k = k .. string.char(i * 7) end\n"
      "out(z32(k), unz32(z32(k)) == k, unz32('y!') or 'nil', #unz32(('y'):rep(52)), (unz32(('9'):rep(52))))"
    ),
    expected
  );
}

static void
hashes_and_signatures (void **state) {
  (void) state;
  assert_string_equal(
    script_run("out(hex(blake2b('abc')), blake2b('a', 'bc') == blake2b('abc'), hex(blake2b()))"),
    "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319 true "
    "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"
  );
  assert_string_equal(
    script_run("out(hex(sha256('abc')), sha256('a', 'bc') == sha256('abc'))"),
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad true"
  );
  /* RFC 8032, 7.1, test 2 */
  assert_string_equal(
    script_run("local key = unhex('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c')\n"
               "local signature = "
               "unhex('"
               "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11"
               "d8c387b2eaeb4302aeeb00d291612bb0c00')\n"
               "out(ed25519_verify('\\x72', signature, key), ed25519_verify('\\x73', signature, key), "
               "ed25519_verify('\\x72', signature, 'short'), ed25519_verify('\\x72', 'short', key))"),
    "true false false false"
  );
}

static void
composite_keys_sort_like_their_parts (void **state) {
  (void) state;
  assert_string_equal(
    script_run("local parts = {{}, {'a'}, {'a', -1}, {'a', 0}, {'a', 1}, {'a', 255}, {'a', 256}, {'a\\0'}, "
               "{'a\\0b'}, {'ab'}, {'b'}, {math.mininteger}, {-65536}, {-256}, {-255}, {-1}, {0}, {0, 'x'}, "
               "{1}, {65536}, {math.maxinteger}}\n"
               "for i = 1, #parts do\n"
               "  local key = ab.key(table.unpack(parts[i]))\n"
               "  if i > 1 then assert(ab.key(table.unpack(parts[i - 1])) < key, i) end\n"
               "  local back = table.pack(ab.unkey(key))\n"
               "  assert(back.n == #parts[i])\n"
               "  for k = 1, back.n do assert(back[k] == parts[i][k] and math.type(back[k]) == "
               "math.type(parts[i][k])) end\n"
               "end out(hex(ab.key('a\\0', 5, -1)))"),
    "016100ff001505"
    "13fe"
  );
  assert_string_equal(
    script_run("for _, bad in ipairs{'\\1a', '\\2a\\0', '\\x15', '\\x16\\0\\1', "
               "'\\x1c\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff', '\\x1d', '\\0'} do local a, b = "
               "ab.unkey(bad) assert(a == nil and b == 'not a composite key', hex(bad)) end out(ab.unkey(''))"
    ),
    ""
  );
  assert_contains(script_run("ab.key(1.5)"), "string or integer expected");
  assert_contains(script_run("ab.key({})"), "string or integer expected");
}

static void
powers_and_lengths (void **state) {
  (void) state;
  assert_string_equal(
    script_run("out(ab.pow(2, 10), ab.pow(2, -2), ab.pow(1.5, 3), ab.pow(-3, 3), ab.pow(0, 0), ab.pow(2, "
               "64), ab.pow(10.0, 22))"),
    "1024 0.25 3.375 -27 1 0 1e+22"
  );
  assert_contains(script_run("ab.pow(2, 1024)"), "from -1023 to 1023");
  assert_contains(script_run("ab.pow(2, 0.5)"), "no integer representation");
  assert_string_equal(
    script_run("out(ab.len{1, 2}, ab.len('abc'), ab.len{[1] = 1, [2] = 2, [4] = 4}, rawlen{1, [3] = 3})"),
    "2 3 4 1"
  );
}

static void
random_numbers_follow_from_their_seed (void **state) {
  char first[256];
  (void) state;
  snprintf(
    first,
    sizeof(first),
    "%s",
    script_run(
      "local r, again, other = ab.random('seed'), ab.random('seed'), ab.random(7)\n"
      "local counts = {0, 0, 0} for i = 1, 3000 do local n = r(3) assert(n == again(3)) counts[n] = "
      "counts[n] + 1 end\n"
      "for i = 1, 3 do assert(counts[i] > 900 and counts[i] < 1100) end\n"
      "for i = 1, 100 do local f = r() assert(f >= 0 and f < 1) local n = r(-5, 5) assert(n >= -5 and n <= "
      "5) end\n"
      "out(other(1000000), ab.random('7')(1000000), r(5, 5), math.type(r(math.mininteger, math.maxinteger)))"
    )
  );
  assert_string_equal(first, script_run("out(ab.random(7)(1000000), ab.random('7')(1000000), 5, 'integer')"));
  assert_contains(script_run("ab.random('s')(0)"), "interval is empty");
  assert_contains(script_run("ab.random({})"), "string expected");
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(nodes_are_in_log_order_with_all_their_fields),
    cmocka_unit_test(reads_see_the_writes_of_the_call),
    cmocka_unit_test(keys_and_values_are_strings),
    cmocka_unit_test(ranges_have_bounds),
    cmocka_unit_test(ranges_refuse_what_they_do_not_know),
    cmocka_unit_test(ranges_show_the_state_at_the_call),
    cmocka_unit_test(subs_are_prefixes_with_a_zero_byte),
    cmocka_unit_test(explicit_writes_show_when_they_are_flushed),
    cmocka_unit_test(blocks_end_where_writes_are_flushed),
    cmocka_unit_test(host_calls_take_effect_in_program_order),
    cmocka_unit_test(host_calls_check_their_arguments),
    cmocka_unit_test(json_decodes_strictly),
    cmocka_unit_test(json_encodes_canonically),
    cmocka_unit_test(json_stringifies_as_ecmascript),
    cmocka_unit_test(arrays_stay_arrays),
    cmocka_unit_test(bytes_have_text_forms),
    cmocka_unit_test(hashes_and_signatures),
    cmocka_unit_test(composite_keys_sort_like_their_parts),
    cmocka_unit_test(powers_and_lengths),
    cmocka_unit_test(random_numbers_follow_from_their_seed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

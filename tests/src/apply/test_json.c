#include "apply/json.h"

#include <stdio.h>
#include <stdlib.h>

#include "apply/json_write.h"
#include "support/test.h"

#define BYTES(literal) ab_slice(literal, sizeof(literal) - 1)

static void
assert_same_bytes (ab_slice_t found, ab_slice_t expected) {
  if (ab_slice_equal(found, expected)) return;
  fail_msg("%.*s instead of %.*s", (int) found.len, found.data, (int) expected.len, expected.data);
}

/* Decode `text`, encode it and compare. */
static void
assert_form_of (ab_slice_t text, unsigned flags, ab_json_form_t form, ab_slice_t expected) {
  ab_json_doc_t doc = {0};
  const ab_json_t *root;
  ab_slice_t found;
  if (ab_json_decode(&doc, text, flags, &root) < 0)
    fail_msg("%.*s: %s", (int) text.len, text.data, doc.message);
  assert_int_equal(ab_json_encode(&doc, root, form, &found), 0);
  assert_same_bytes(found, expected);
  ab_json_doc_destroy(&doc);
}

static void
assert_ecmascript (const char *text, const char *expected) {
  unsigned flags = AB_JSON_DUPLICATES | AB_JSON_LONE_SURROGATES;
  assert_form_of(ab_text(text), flags, AB_JSON_ECMASCRIPT, ab_text(expected));
}

static void
assert_canonical (const char *text, const char *expected) {
  assert_form_of(ab_text(text), 0, AB_JSON_CANONICAL, ab_text(expected));
}

/* In a block of exactly its size, so that a sanitizer sees a read past the end. */
static void
assert_refused (ab_slice_t text, unsigned flags, size_t at, const char *message) {
  ab_json_doc_t doc = {0};
  const ab_json_t *root = NULL;
  uint8_t *copy = malloc(text.len == 0 ? 1 : text.len);
  assert_non_null(copy);
  if (text.len > 0) memcpy(copy, text.data, text.len);
  int err = ab_json_decode(&doc, ab_slice(copy, text.len), flags, &root);
  if (err != AB_EINVAL) fail_msg("%.*s is accepted", (int) text.len, text.data);
  assert_null(root);
  assert_string_equal(doc.message, message);
  assert_int_equal(doc.message_at, at);
  ab_json_doc_destroy(&doc);
  free(copy);
}

/* ---- decoding ---- */

static void
a_value_knows_its_type_and_span (void **state) {
  ab_json_doc_t doc = {0};
  const ab_json_t *v;
  (void) state;
  ab_slice_t text = ab_text(" {\"put\":{\"k\":\"v\"},\"n\":[1,-2.5,true,false,null]}\r\n\t");
  assert_int_equal(ab_json_decode(&doc, text, 0, &v), 0);
  assert_int_equal(v[0].type, AB_JSON_OBJECT);
  assert_int_equal(v[0].count, 2);
  assert_int_equal(v[0].span, 12);
  assert_int_equal(v[1].type, AB_JSON_STRING);
  assert_same_bytes(ab_json_text(&v[1]), ab_text("put"));
  assert_int_equal(v[2].type, AB_JSON_OBJECT);
  assert_int_equal(v[2].span, 3);
  assert_int_equal(v[6].type, AB_JSON_ARRAY);
  assert_int_equal(v[6].count, 5);
  assert_int_equal(v[7].type, AB_JSON_INTEGER);
  assert_int_equal(v[7].as.integer, 1);
  assert_int_equal(v[8].type, AB_JSON_NUMBER);
  assert_true(v[8].as.number == -2.5);
  assert_true(v[9].type == AB_JSON_BOOL && v[9].as.boolean);
  assert_true(v[10].type == AB_JSON_BOOL && !v[10].as.boolean);
  assert_int_equal(v[11].type, AB_JSON_NULL);
  ab_json_doc_destroy(&doc);
}

static void
members_and_items_are_found_and_walked (void **state) {
  ab_json_doc_t doc = {0};
  const ab_json_t *root, *value;
  ab_slice_t name;
  (void) state;
  assert_int_equal(ab_json_decode(&doc, ab_text("{\"a\":[1,[2],{}],\"b\":{\"a\":3},\"c\":4}"), 0, &root), 0);

  assert_int_equal(ab_json_member(root, ab_text("c"))->as.integer, 4);
  assert_int_equal(ab_json_member(ab_json_member(root, ab_text("b")), ab_text("a"))->as.integer, 3);
  assert_null(ab_json_member(root, ab_text("d")));
  assert_null(ab_json_member(ab_json_member(root, ab_text("c")), ab_text("a")));

  ab_json_iter_t iter = ab_json_iter(root);
  char names[4] = {0};
  for (size_t i = 0; ab_json_next_member(&iter, &name, &value); i++) names[i] = (char) name.data[0];
  assert_string_equal(names, "abc");

  iter = ab_json_iter(ab_json_member(root, ab_text("a")));
  assert_true(ab_json_next(&iter, &value) && value->type == AB_JSON_INTEGER);
  assert_true(ab_json_next(&iter, &value) && value->type == AB_JSON_ARRAY);
  assert_true(ab_json_next(&iter, &value) && value->type == AB_JSON_OBJECT);
  assert_false(ab_json_next(&iter, &value));
  iter = ab_json_iter(ab_json_member(root, ab_text("c")));
  assert_false(ab_json_next(&iter, &value));
  ab_json_doc_destroy(&doc);
}

static void
plain_strings_point_into_the_text_and_memory_is_used_again (void **state) {
  ab_json_doc_t doc = {0};
  const ab_json_t *first, *second;
  const char *text = "\"plain\"";
  (void) state;
  assert_int_equal(ab_json_decode(&doc, ab_text(text), 0, &first), 0);
  assert_ptr_equal(first->as.text, text + 1);
  assert_int_equal(ab_json_decode(&doc, ab_text("[1,2,\"\\n\"]"), 0, &second), 0);
  assert_ptr_equal(first, second);
  ab_json_doc_destroy(&doc);
  ab_json_doc_destroy(&doc);
}

static void
strings_are_decoded (void **state) {
  static const struct {
    ab_slice_t text, expected;
  } cases[] = {
    {{(const uint8_t *) "\"\"", 2}, {(const uint8_t *) "", 0}},
    {{(const uint8_t *) "\"\\u0000a\"", 9}, {(const uint8_t *) "\0a", 2}},
    {{(const uint8_t *) "\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", 20}, {(const uint8_t *) "a\"\\/\b\f\n\r\tz", 10}},
    {{(const uint8_t *) "\"\\u00e9\\u20AC\"", 14}, {(const uint8_t *) "\xc3\xa9\xe2\x82\xac", 5}},
    {{(const uint8_t *) "\"\\ud83D\\uDe00\"", 14}, {(const uint8_t *) "\xf0\x9f\x98\x80", 4}},
    {{(const uint8_t *) "\"\\udbff\\udfff\"", 14}, {(const uint8_t *) "\xf4\x8f\xbf\xbf", 4}},
    {{(const uint8_t *) "\"\xc3\xa9\\n\xe2\x82\xac\x7f\"", 10},
     {(const uint8_t *) "\xc3\xa9\n\xe2\x82\xac\x7f", 7}},
    {{(const uint8_t *) "\"\xf4\x8f\xbf\xbf\xee\x80\x80\"", 9},
     {(const uint8_t *) "\xf4\x8f\xbf\xbf\xee\x80\x80", 7}},
  };
  (void) state;
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    ab_json_doc_t doc = {0};
    const ab_json_t *root;
    assert_int_equal(ab_json_decode(&doc, cases[i].text, 0, &root), 0);
    assert_same_bytes(ab_json_text(root), cases[i].expected);
    ab_json_doc_destroy(&doc);
  }
}

static void
every_byte_of_a_long_string_is_looked_at (void **state) {
  char text[66];
  (void) state;
  for (size_t at = 1; at < 64; at++) {
    memset(text, 'x', sizeof(text));
    text[0] = text[65] = '"';
    text[at] = '\n';
    assert_refused(ab_slice(text, sizeof(text)), 0, at, "a control character in a string");
    text[at] = (char) 0xff;
    assert_refused(ab_slice(text, sizeof(text)), 0, at, "not UTF-8");
    text[at] = '"';
    assert_refused(ab_slice(text, sizeof(text)), 0, at + 1, "something follows the value");
  }
}

static void
what_is_not_json_is_refused_where_it_goes_wrong (void **state) {
  static const struct {
    const char *text;
    size_t at;
    const char *message;
  } cases[] = {
    {"", 0, "a value is missing"},
    {" \n", 2, "a value is missing"},
    {"\f1", 0, "not a value"},
    {"\xef\xbb\xbf{}", 0, "not a value"},
    {"nul", 0, "not a value"},
    {"nulll", 4, "something follows the value"},
    {"True", 0, "not a value"},
    {"NaN", 0, "not a value"},
    {"-Infinity", 1, "a digit is missing"},
    {"+1", 0, "not a value"},
    {"01", 1, "something follows the value"},
    {"1.", 2, "a digit is missing"},
    {"1e", 2, "a digit is missing"},
    {"0x10", 1, "something follows the value"},
    {"1e400", 0, "a number that no double comes near"},
    {"1 2", 2, "something follows the value"},
    {"[1,]", 3, "not a value"},
    {"[,1]", 1, "not a value"},
    {"[1 2]", 3, "a comma or ] is missing"},
    {"[1", 2, "a comma or ] is missing"},
    {"[", 1, "a value is missing"},
    {"[1}", 2, "a comma or ] is missing"},
    {"]", 0, "not a value"},
    {"{", 1, "a member's name is missing"},
    {"{\"a\"", 4, "a colon is missing"},
    {"{\"a\" 1}", 5, "a colon is missing"},
    {"{\"a\":}", 5, "not a value"},
    {"{\"a\":1,}", 7, "a member's name is missing"},
    {"{\"a\":1]", 6, "a comma or } is missing"},
    {"{a:1}", 1, "a member's name is missing"},
    {"{1:1}", 1, "a member's name is missing"},
    {"{'a':1}", 1, "a member's name is missing"},
    {"[1] // comment", 4, "something follows the value"},
    {"\"abc", 4, "the string does not end"},
    {"\"abc\\", 5, "the string does not end"},
    {"\"\\x41\"", 2, "an unknown escape"},
    {"\"\\u12g4\"", 5, "\\u needs four hex digits"},
    {"\"\\u12", 5, "\\u needs four hex digits"},
    {"\"a\tb\"", 2, "a control character in a string"},
    {"{\"a\":1,\"b\":2,\"a\":3}", 19, "two members of an object have the same name"},
    {"{\"a\":1,\"\\u0061\":3}", 18, "two members of an object have the same name"},
    {"\"\\ud800\"", 7, "half of a surrogate pair"},
    {"\"\\udc00\"", 7, "half of a surrogate pair"},
    {"\"\\ud800\\u0041\"", 7, "half of a surrogate pair"},
    {"\"\\ud800\\n\"", 7, "half of a surrogate pair"},
    {"\"\\udc00\\ud800\"", 7, "half of a surrogate pair"},
  };
  (void) state;
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    assert_refused(ab_text(cases[i].text), 0, cases[i].at, cases[i].message);
  }
  assert_refused(BYTES("\"\0\""), 0, 1, "a control character in a string");
  assert_refused(BYTES("\"\\\0\""), 0, 2, "an unknown escape");
  assert_refused(BYTES("1\0"), 0, 1, "something follows the value");
}

static void
text_that_is_not_strict_utf_8_is_refused (void **state) {
  static const char *const bad[] = {
    "\"\x80\"",     /* a continuation alone */
    "\"\xc3\"",     /* cut */
    "\"\xc3(\"",    /* no continuation */
    "\"\xc0\x80\"", /* long forms */
    "\"\xc1\xbf\"",
    "\"\xe0\x9f\xbf\"",
    "\"\xf0\x8f\xbf\xbf\"",
    "\"\xed\xa0\x80\"", /* surrogates */
    "\"\xed\xbf\xbf\"",
    "\"\xf4\x90\x80\x80\"", /* above U+10FFFF */
    "\"\xf5\x80\x80\x80\"",
    "\"\xe2\x82\"",
    "\"\xf0\x9f\x98\"",
    "\"\xff\"",
  };
  (void) state;
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    assert_refused(ab_text(bad[i]), AB_JSON_LONE_SURROGATES, 1, "not UTF-8");
  }
}

static void
containers_nest_64_deep_and_no_deeper (void **state) {
  char text[2 * (AB_JSON_DEPTH_MAX + 1)];
  ab_json_doc_t doc = {0};
  const ab_json_t *root;
  (void) state;
  memset(text, '[', AB_JSON_DEPTH_MAX);
  memset(text + AB_JSON_DEPTH_MAX, ']', AB_JSON_DEPTH_MAX);
  assert_int_equal(ab_json_decode(&doc, ab_slice(text, sizeof(text) - 2), 0, &root), 0);
  assert_int_equal(root->span, AB_JSON_DEPTH_MAX);
  ab_json_doc_destroy(&doc);

  memset(text, '[', sizeof(text));
  assert_refused(ab_slice(text, sizeof(text)), 0, AB_JSON_DEPTH_MAX, "nested too deeply");
}

/* {"k0":0,"k1":1, …} with one more member in front of the closing bracket. */
static ab_slice_t
many_members (char *text, int count, const char *last) {
  size_t len = 0;
  text[len++] = '{';
  for (int i = 0; i < count; i++) len += (size_t) sprintf(text + len, "\"k%d\":%d,", i, i);
  len += (size_t) sprintf(text + len, "%s}", last);
  return ab_slice(text, len);
}

static void
equal_names_are_found_among_many (void **state) {
  static char text[100000];
  (void) state;
  for (int count = 1; count < 5000; count = count * 3 + 1) {
    ab_json_doc_t doc = {0};
    const ab_json_t *root;
    ab_slice_t whole = many_members(text, count, "\"k\":[{}]");
    assert_int_equal(ab_json_decode(&doc, whole, 0, &root), 0);
    assert_int_equal(root->count, count + 1);
    ab_json_doc_destroy(&doc);

    whole = many_members(text, count, "\"k0\":[{}]");
    assert_refused(whole, 0, whole.len, "two members of an object have the same name");
    assert_int_equal(ab_json_decode(&doc, whole, AB_JSON_DUPLICATES, &root), 0);
    assert_int_equal(root->count, count);
    assert_int_equal(root->span, 1 + 2 * count + 1); /* [{}] is two values */
    assert_int_equal(root[2].type, AB_JSON_ARRAY);
    ab_json_doc_destroy(&doc);
  }
}

static void
integers_in_any_spelling_are_recognised (void **state) {
  static const struct {
    const char *text;
    bool is_integer;
    int64_t integer;
  } cases[] = {
    {"5", true, 5},
    {"5.0", true, 5},
    {"5e2", true, 500},
    {"-0.0", true, 0},
    {"9007199254740991.0", true, 9007199254740991},
    {"-9007199254740991.0", true, -9007199254740991},
    {"9007199254740992.0", false, 0},
    {"9223372036854775807", true, INT64_MAX},
    {"1e300", false, 0},
    {"0.5", false, 0},
    {"\"5\"", false, 0},
    {"true", false, 0},
  };
  (void) state;
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    ab_json_doc_t doc = {0};
    const ab_json_t *root;
    int64_t integer = 0;
    assert_int_equal(ab_json_decode(&doc, ab_text(cases[i].text), 0, &root), 0);
    assert_int_equal(ab_json_integer(root, &integer), cases[i].is_integer);
    assert_int_equal(integer, cases[i].integer);
    ab_json_doc_destroy(&doc);
  }
}

/* ---- the ECMAScript form ---- */

static void
the_ecmascript_form_is_what_stringify_gives (void **state) {
  (void) state;
  assert_ecmascript(
    " { \"b\" : 1 , \"a\" : [ 1, 2 , {\"x\":null} ] } ", "{\"b\":1,\"a\":[1,2,{\"x\":null}]}"
  );
  assert_ecmascript(
    "[-0,-0.0,1e3,1E+21,1.50,123456789012345678,9007199254740993]",
    "[0,0,1000,1e+21,1.5,123456789012345680,9007199254740992]"
  );
  assert_ecmascript(
    "\"\\u0041\\/\\u001f\\u007f\\u2028\\b\\f\\n\\r\\t\\u000b\\\"\\\\\"",
    "\"A/\\u001f\x7f\xe2\x80\xa8\\b\\f\\n\\r\\t\\u000b\\\"\\\\\""
  );
  assert_ecmascript("[[],{},[{}],{\"\":[]}]", "[[],{},[{}],{\"\":[]}]");
}

static void
names_that_are_array_indices_come_first (void **state) {
  (void) state;
  assert_ecmascript(
    "{\"b\":1,\"10\":2,\"2\":3,\"a\":4,\"01\":5,\"-1\":6,\"0\":7}",
    "{\"0\":7,\"2\":3,\"10\":2,\"b\":1,\"a\":4,\"01\":5,\"-1\":6}"
  );
  assert_ecmascript(
    "{\"z\":1,\"4294967295\":2,\"4294967294\":3,\"00\":4,\"1.0\":5,\"99999999999\":6}",
    "{\"4294967294\":3,\"z\":1,\"4294967295\":2,\"00\":4,\"1.0\":5,\"99999999999\":6}"
  );
  assert_ecmascript(
    "{\"j\":0,\"i\":0,\"h\":0,\"g\":0,\"f\":0,\"e\":0,\"d\":0,\"c\":0,\"b\":0,\"7\":0}",
    "{\"7\":0,\"j\":0,\"i\":0,\"h\":0,\"g\":0,\"f\":0,\"e\":0,\"d\":0,\"c\":0,\"b\":0}"
  );
}

static void
of_equal_names_the_last_value_stands_at_the_first_place (void **state) {
  (void) state;
  assert_ecmascript("{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}");
  assert_ecmascript("{\"a\":[1,{\"b\":2}],\"b\":2,\"a\":3,\"c\":4}", "{\"a\":3,\"b\":2,\"c\":4}");
  assert_ecmascript(
    "[{\"a\":3,\"b\":2,\"a\":[1,{\"b\":2,\"b\":5}],\"b\":{}},7]", "[{\"a\":[1,{\"b\":5}],\"b\":{}},7]"
  );
  assert_ecmascript("{\"a\":1,\"a\":2,\"a\":3}", "{\"a\":3}");
}

static void
lone_surrogates_are_kept_as_escapes (void **state) {
  ab_json_doc_t doc = {0};
  const ab_json_t *root;
  ab_slice_t text;
  (void) state;
  assert_ecmascript("\"\\uD800 \\udFFf\\ud800\\u0041\\ud800\"", "\"\\ud800 \\udfff\\ud800A\\ud800\"");
  assert_ecmascript("\"\\ud800\\ud83d\\ude00\\ude00\"", "\"\\ud800\xf0\x9f\x98\x80\\ude00\"");
  assert_int_equal(ab_json_decode(&doc, ab_text("{\"\\ud800\":1}"), AB_JSON_LONE_SURROGATES, &root), 0);
  assert_int_equal(ab_json_encode(&doc, root, AB_JSON_CANONICAL, &text), AB_EINVAL);
  ab_json_doc_destroy(&doc);
}

/* ---- the canonical form ---- */

static void
the_canonical_form_is_that_of_rfc_8785 (void **state) {
  (void) state;
  /* 3.2.2 and 3.2.3 */
  assert_canonical(
    "{\"numbers\":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"
    "\"string\":\"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\","
    "\"literals\":[null,true,false]}",
    "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],"
    "\"string\":\"\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"
  );
  assert_canonical(
    "{\"\\u20ac\":\"Euro Sign\",\"\\r\":\"Carriage Return\",\"\\ufb33\":\"Hebrew Letter Dalet With "
    "Dagesh\",\"1\":\"One\",\"\\ud83d\\ude00\":\"Emoji: Grinning Face\",\"\\u0080\":\"Control\","
    "\"\\u00f6\":\"Latin Small Letter O With Diaeresis\"}",
    "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\xc2\x80\":\"Control\",\"\xc3\xb6\":\"Latin Small "
    "Letter O With Diaeresis\",\"\xe2\x82\xac\":\"Euro Sign\",\"\xf0\x9f\x98\x80\":\"Emoji: Grinning "
    "Face\",\"\xef\xac\xb3\":\"Hebrew Letter Dalet With Dagesh\"}"
  );
  assert_canonical(
    "{\"10\":1,\"9\":{\"b\":[],\"a\":{}},\"\":0}", "{\"\":0,\"10\":1,\"9\":{\"a\":{},\"b\":[]}}"
  );
}

static void
names_are_ordered_by_utf_16_code_units (void **state) {
  /* ascending */
  static const char *const names[] = {
    "",
    "A",
    "AA",
    "a",
    "\xc3\xa9",
    "\xed\x9f\xbf",
    "\xf0\x90\x80\x80",
    "\xf4\x8f\xbf\xbf",
    "\xee\x80\x80",
    "\xef\xbf\xbf",
    "\xef\xbf\xbf!"};
  const size_t count = sizeof(names) / sizeof(names[0]);
  (void) state;
  for (size_t i = 0; i < count; i++) {
    for (size_t k = 0; k < count; k++) {
      int order = ab_json_compare_names(ab_text(names[i]), ab_text(names[k]));
      assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
    }
  }
}

static void
integers_that_a_double_would_round_have_no_canonical_form (void **state) {
  static const char *const bad[] = {"9007199254740992", "-9007199254740992", "[{\"a\":9223372036854775807}]"};
  (void) state;
  assert_canonical("[9007199254740991,-9007199254740991]", "[9007199254740991,-9007199254740991]");
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    ab_json_doc_t doc = {0};
    const ab_json_t *root;
    ab_slice_t text;
    assert_int_equal(ab_json_decode(&doc, ab_text(bad[i]), 0, &root), 0);
    assert_int_equal(ab_json_encode(&doc, root, AB_JSON_CANONICAL, &text), AB_EINVAL);
    ab_json_doc_destroy(&doc);
  }
}

static void
pieces_refuse_what_json_cannot_say (void **state) {
  ab_buf_t out = {0};
  (void) state;
  assert_int_equal(ab_json_write_number(&out, 0.0 / (double) out.len), AB_EINVAL);
  assert_int_equal(ab_json_write_number(&out, 1.0 / (double) out.len), AB_EINVAL);
  assert_int_equal(ab_json_write_number(&out, -1.0 / (double) out.len), AB_EINVAL);
  assert_int_equal(ab_json_write_string(&out, ab_text("\xff"), AB_JSON_ECMASCRIPT), AB_EINVAL);
  assert_int_equal(ab_json_write_string(&out, ab_text("\xed\xa0\x80"), AB_JSON_CANONICAL), AB_EINVAL);
  ab_buf_reset(&out);
  assert_int_equal(ab_json_write_string(&out, ab_slice(NULL, 0), AB_JSON_CANONICAL), 0);
  assert_int_equal(ab_json_write_integer(&out, -7, AB_JSON_CANONICAL), 0);
  assert_int_equal(ab_json_write_integer(&out, INT64_MIN, AB_JSON_ECMASCRIPT), 0);
  assert_same_bytes(ab_buf_slice(&out), ab_text("\"\"-7-9223372036854776000"));
  ab_buf_destroy(&out);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_value_knows_its_type_and_span),
    cmocka_unit_test(members_and_items_are_found_and_walked),
    cmocka_unit_test(plain_strings_point_into_the_text_and_memory_is_used_again),
    cmocka_unit_test(strings_are_decoded),
    cmocka_unit_test(every_byte_of_a_long_string_is_looked_at),
    cmocka_unit_test(what_is_not_json_is_refused_where_it_goes_wrong),
    cmocka_unit_test(text_that_is_not_strict_utf_8_is_refused),
    cmocka_unit_test(containers_nest_64_deep_and_no_deeper),
    cmocka_unit_test(equal_names_are_found_among_many),
    cmocka_unit_test(integers_in_any_spelling_are_recognised),
    cmocka_unit_test(the_ecmascript_form_is_what_stringify_gives),
    cmocka_unit_test(names_that_are_array_indices_come_first),
    cmocka_unit_test(of_equal_names_the_last_value_stands_at_the_first_place),
    cmocka_unit_test(lone_surrogates_are_kept_as_escapes),
    cmocka_unit_test(the_canonical_form_is_that_of_rfc_8785),
    cmocka_unit_test(names_are_ordered_by_utf_16_code_units),
    cmocka_unit_test(integers_that_a_double_would_round_have_no_canonical_form),
    cmocka_unit_test(pieces_refuse_what_json_cannot_say),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

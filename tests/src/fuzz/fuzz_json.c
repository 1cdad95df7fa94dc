/* fuzz_json.c: what decodes has a text, and that text decodes to the same and has itself as its text. */
#include <stdlib.h>

#include "apply/json.h"
#include "fuzz/fuzz.h"
#include "support/vectors.h"

static double
number_of (const ab_json_t *value) {
  return value->type == AB_JSON_INTEGER ? (double) value->as.integer : value->as.number;
}

static bool
is_number (const ab_json_t *value) {
  return value->type == AB_JSON_INTEGER || value->type == AB_JSON_NUMBER;
}

/* Members may have changed places, and 1.0 is written 1. As deep as the decoder allows. */
static bool /* NOLINTNEXTLINE(misc-no-recursion) */
same (const ab_json_t *a, const ab_json_t *b) {
  if (is_number(a)) return is_number(b) && number_of(a) == number_of(b);
  if (a->type != b->type || a->span != b->span || a->count != b->count) return false;
  if (a->type == AB_JSON_BOOL) return a->as.boolean == b->as.boolean;
  if (a->type == AB_JSON_STRING) return ab_slice_equal(ab_json_text(a), ab_json_text(b));

  ab_json_iter_t left = ab_json_iter(a), right = ab_json_iter(b);
  const ab_json_t *x, *y;
  ab_slice_t name;
  if (a->type == AB_JSON_ARRAY) {
    while (ab_json_next(&left, &x) && ab_json_next(&right, &y)) {
      if (!same(x, y)) return false;
    }
  }
  if (a->type == AB_JSON_OBJECT) {
    while (ab_json_next_member(&left, &name, &x)) {
      y = ab_json_member(b, name);
      if (y == NULL || !same(x, y)) return false;
    }
  }
  return true;
}

/* `first` is the text of `root` in the form `form`. */
static void
check_again (const ab_json_t *root, ab_slice_t first, unsigned flags, ab_json_form_t form) {
  ab_json_doc_t doc = {0};
  const ab_json_t *again;
  ab_slice_t second;
  if (ab_json_decode(&doc, first, flags, &again) < 0 || !same(root, again)) abort();
  int err = ab_json_encode(&doc, again, form, &second);
  /* 1e17 is written 100000000000000000, an integer that has no canonical form. */
  if (err < 0 && form == AB_JSON_ECMASCRIPT) abort();
  if (err == 0 && !ab_slice_equal(first, second)) abort();
  ab_json_doc_destroy(&doc);
}

static void
check (ab_slice_t input, unsigned flags) {
  static const ab_json_form_t forms[] = {AB_JSON_ECMASCRIPT, AB_JSON_CANONICAL};
  ab_json_doc_t doc = {0};
  const ab_json_t *root;
  ab_slice_t text;
  if (ab_json_decode(&doc, input, flags, &root) == 0) {
    if (flags == 0) fuzz_accepted();
    for (size_t i = 0; i < 2; i++) {
      int err = ab_json_encode(&doc, root, forms[i], &text);
      if (err == 0) check_again(root, text, flags, forms[i]);
      else if (forms[i] == AB_JSON_ECMASCRIPT) abort();
    }
  } else if (doc.message == NULL || doc.message_at > input.len) abort();
  ab_json_doc_destroy(&doc);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size) {
  check(ab_slice(data, size), 0);
  check(ab_slice(data, size), AB_JSON_DUPLICATES | AB_JSON_LONE_SURROGATES);
  return 0;
}

static void
seed_values (const char *file, json_t *root, void *data) {
  size_t i, k;
  json_t *step, *value;
  (void) file;
  (void) data;
  json_array_foreach(vectors_get(root, "steps"), i, step) {
    json_array_foreach(json_object_get(step, "values"), k, value) fuzz_seed(vectors_bytes(value));
  }
}

void
fuzz_seeds (void) {
  static const char *const texts[] = {
    "{\"b\":1,\"10\":2,\"2\":3,\"a\":4,\"01\":5,\"-1\":6}",
    "{\"a\":[1,{}],\"b\":2,\"a\":3,\"c\":4,\"d\":5,\"e\":6,\"f\":7,\"g\":8,\"h\":9,\"i\":10}",
    "[1e3,1E+21,-0.0,0.1,123456789012345678,5e-324,1.7976931348623157e308,9007199254740993]",
    "\"\\ud83d\\ude00\\u00e9\\n\\t\\\"\\\\\\/\\ud800 \xc3\xa9\xf0\x9f\x98\x80\"",
    "[[[[[[[[[[null,true,false]]]]]]]]]]",
    "{\"addWriter\":\"5c76\",\"isIndexer\":false,\"weight\":3,\"put\":{\"k\":\"v\"},\"del\":[\"k\"]}",
    "9007199254740992.99999999999999999999999999999999999999e0",
  };
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) fuzz_seed(ab_text(texts[i]));
  vectors_each("autobee", "scenario-s*.json", seed_values, NULL);
}

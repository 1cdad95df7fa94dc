/* json.c: decoding JSON, and looking things up in what was decoded. */
#include "apply/json.h"

#include "apply/json_sort.h"
#include "apply/json_write.h"
#include "apply/number.h"
#include "apply/utf8.h"

#include <assert.h>
#include <stdlib.h>

typedef struct {
  ab_json_doc_t *doc;
  const uint8_t *start;
  const uint8_t *at;
  const uint8_t *end;
  unsigned flags;
  uint32_t open[AB_JSON_DEPTH_MAX]; /* the containers around `at`, outermost first */
  size_t depth;
  bool is_first; /* nothing stands yet in the innermost one */
} decoder_t;

static int
fail (decoder_t *in, const char *message) {
  in->doc->message = message;
  in->doc->message_at = (size_t) (in->at - in->start);
  return AB_EINVAL;
}

static int
fail_no_memory (decoder_t *in) {
  fail(in, "out of memory");
  return AB_ENOMEM;
}

/* ---- values ---- */

/* Valid until the next one is added. NULL when out of memory. */
static ab_json_t *
add_value (decoder_t *in, ab_json_type_t type) {
  ab_json_doc_t *doc = in->doc;
  if (doc->value_count == doc->value_capacity) {
    if (doc->value_capacity > SIZE_MAX / 2 / sizeof(doc->values[0])) return NULL;
    size_t capacity = doc->value_capacity == 0 ? 64 : doc->value_capacity * 2;
    ab_json_t *values = realloc(doc->values, capacity * sizeof(values[0]));
    if (values == NULL) return NULL;
    doc->values = values;
    doc->value_capacity = capacity;
  }
  ab_json_t *value = &doc->values[doc->value_count++];
  value->type = type;
  value->count = 0;
  value->span = 1;
  return value;
}

static void
skip_space (decoder_t *in) {
  while (in->at < in->end && (*in->at == ' ' || *in->at == '\n' || *in->at == '\r' || *in->at == '\t'))
    in->at++;
}

static bool
take (decoder_t *in, uint8_t byte) {
  if (in->at == in->end || *in->at != byte) return false;
  in->at++;
  return true;
}

static int
read_word (decoder_t *in, const char *word, ab_json_type_t type, bool boolean) {
  size_t len = strlen(word);
  if ((size_t) (in->end - in->at) < len || memcmp(in->at, word, len) != 0) return fail(in, "not a value");
  ab_json_t *value = add_value(in, type);
  if (value == NULL) return fail_no_memory(in);
  value->as.boolean = boolean;
  in->at += len;
  return 0;
}

static int
read_number (decoder_t *in) {
  ab_number_t number;
  size_t taken;
  int err = ab_number_decode(ab_slice(in->at, (size_t) (in->end - in->at)), &taken, &number);
  if (err == AB_ETOOBIG) return fail(in, "a number that no double comes near");
  in->at += taken;
  if (err < 0) return fail(in, "a digit is missing");

  ab_json_t *value = add_value(in, number.is_integer ? AB_JSON_INTEGER : AB_JSON_NUMBER);
  if (value == NULL) return fail_no_memory(in);
  if (number.is_integer) value->as.integer = number.integer;
  else value->as.number = number.number;
  return 0;
}

/* ---- strings ---- */

/* The first byte in [at, end) that does not stand for itself: a quote, a backslash, a control character, or
 * one above 0x7f. Eight at a time: the sums carry into a byte's top bit if and only if (up to false alarms
 * above a true one) the byte is one of these. */
static const uint8_t *
skip_plain (const uint8_t *at, const uint8_t *end) {
  const uint64_t ones = 0x0101010101010101ull, tops = 0x8080808080808080ull;
  for (; end - at >= 8; at += 8) {
    uint64_t bytes;
    memcpy(&bytes, at, sizeof(bytes));
    uint64_t quote = (bytes ^ ones * '"') - ones;
    uint64_t backslash = (bytes ^ ones * '\\') - ones;
    uint64_t control = bytes - ones * 0x20;
    if (((quote | backslash | control | bytes) & tops) != 0) break;
  }
  while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\') at++;
  return at;
}

static bool
read_hex4 (decoder_t *in, uint32_t *out) {
  uint32_t code = 0;
  for (int i = 0; i < 4; i++) {
    if (in->at == in->end) return false;
    uint8_t c = *in->at;
    uint32_t digit;
    if (c >= '0' && c <= '9') digit = c - '0';
    else if (c >= 'a' && c <= 'f') digit = c - 'a' + 10u;
    else if (c >= 'A' && c <= 'F') digit = c - 'A' + 10u;
    else return false;
    code = code << 4 | digit;
    in->at++;
  }
  *out = code;
  return true;
}

/* What follows \u, and the second half of a pair. */
static int
read_unicode (decoder_t *in, uint32_t *out) {
  uint32_t code, second;
  if (!read_hex4(in, &code)) return fail(in, "\\u needs four hex digits");
  *out = code;
  if (code < 0xd800 || code > 0xdfff) return 0;

  if (code < 0xdc00 && in->end - in->at >= 2 && in->at[0] == '\\' && in->at[1] == 'u') {
    const uint8_t *back = in->at;
    in->at += 2;
    if (!read_hex4(in, &second)) return fail(in, "\\u needs four hex digits");
    if (second >= 0xdc00 && second <= 0xdfff) {
      *out = 0x10000 + ((code - 0xd800) << 10) + (second - 0xdc00);
      return 0;
    }
    in->at = back;
  }
  return (in->flags & AB_JSON_LONE_SURROGATES) != 0 ? 0 : fail(in, "half of a surrogate pair");
}

static int
read_escape (decoder_t *in, uint8_t **to) {
  static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
  in->at++;
  if (in->at == in->end) return fail(in, "the string does not end");
  if (*in->at == 'u') {
    uint32_t code = 0;
    in->at++;
    int err = read_unicode(in, &code);
    if (err == 0) *to += utf8__write(code, *to);
    return err;
  }
  const char *escape = *in->at == 0 ? NULL : strchr(escapes, *in->at);
  if (escape == NULL) return fail(in, "an unknown escape");
  in->at++;
  *(*to)++ = (uint8_t) meanings[escape - escapes];
  return 0;
}

/* One character that does not stand for itself, or the error it is. Decoded text goes to *to unless that is
 * NULL, when the text stands as it is. */
static int
read_special (decoder_t *in, uint8_t **to) {
  if (in->at == in->end) return fail(in, "the string does not end");
  if (*in->at == '\\') return read_escape(in, to);
  if (*in->at < 0x20) return fail(in, "a control character in a string");

  size_t len = utf8__wide(in->at, in->end);
  if (len == 0) return fail(in, "not UTF-8");
  if (*to != NULL) {
    memcpy(*to, in->at, len);
    *to += len;
  }
  in->at += len;
  return 0;
}

/* Decoded strings are never longer than they are written, so room for the text is room for all of them, and
 * they never move. */
static uint8_t *
room_for_text (decoder_t *in) {
  ab_json_doc_t *doc = in->doc;
  size_t len = (size_t) (in->end - in->start);
  if (doc->text_len == 0 && doc->text_capacity < len) {
    free(doc->text);
    doc->text = malloc(len);
    doc->text_capacity = doc->text == NULL ? 0 : len;
  }
  return doc->text == NULL ? NULL : doc->text + doc->text_len;
}

/* A string with escapes, of which everything before the first one has been read from `first` on. */
static int
read_escaped (decoder_t *in, const uint8_t *first, ab_slice_t *out) {
  uint8_t *text = room_for_text(in);
  if (text == NULL) return fail_no_memory(in);
  uint8_t *to = text;

  for (;;) {
    size_t len = (size_t) (in->at - first);
    memcpy(to, first, len);
    to += len;
    if (take(in, '"')) break;
    int err = read_special(in, &to);
    if (err < 0) return err;
    first = in->at;
    in->at = skip_plain(in->at, in->end);
  }

  *out = ab_slice(text, (size_t) (to - text));
  in->doc->text_len += out->len;
  return 0;
}

/* `at` is behind the opening quote. */
static int
read_text (decoder_t *in, ab_slice_t *out) {
  const uint8_t *first = in->at;
  uint8_t *none = NULL;
  for (;;) {
    in->at = skip_plain(in->at, in->end);
    if (in->at < in->end && *in->at == '"') {
      *out = ab_slice(first, (size_t) (in->at - first));
      in->at++;
      return 0;
    }
    if (in->at < in->end && *in->at == '\\') return read_escaped(in, first, out);
    int err = read_special(in, &none);
    if (err < 0) return err;
  }
}

static int
read_string (decoder_t *in) {
  ab_slice_t text = {0};
  in->at++;
  int err = read_text(in, &text);
  if (err < 0) return err;
  ab_json_t *value = add_value(in, AB_JSON_STRING);
  if (value == NULL) return fail_no_memory(in);
  value->as.text = text.data;
  value->count = (uint32_t) text.len;
  return 0;
}

/* ---- objects ---- */

static bool
same_name (const ab_json_t *a, const ab_json_t *b) {
  return ab_slice_equal(ab_json_text(a), ab_json_text(b));
}

static int
by_bytes (const ab_json_t *a, const ab_json_t *b) {
  return ab_slice_compare(ab_json_text(a), ab_json_text(b));
}

static bool
few_are_distinct (const ab_json_t *object) {
  const ab_json_t *end = object + object->span;
  for (const ab_json_t *a = object + 1; a < end; a += 1 + a[1].span) {
    for (const ab_json_t *b = a + 1 + a[1].span; b < end; b += 1 + b[1].span) {
      if (same_name(a, b)) return false;
    }
  }
  return true;
}

/* Leave the first of equal names, with the value of the last. `names` are the object's, sorted and stable. */
static int
drop_duplicates (decoder_t *in, ab_json_t *object, const ab_json_t **names) {
  ab_json_t *old = malloc(object->span * sizeof(*old));
  if (old == NULL) return fail_no_memory(in);
  memcpy(old, object, object->span * sizeof(*old));

  /* In the copy, a name's span (otherwise always 1) says where the value is that it gets; 0: it goes. */
  for (uint32_t i = 0, next; i < object->count; i = next) {
    next = i + 1;
    while (next < object->count && same_name(names[i], names[next])) next++;
    old[names[i] - object].span = (uint32_t) (names[next - 1] + 1 - object);
    for (uint32_t k = i + 1; k < next; k++) old[names[k] - object].span = 0;
  }

  const ab_json_t *end = old + object->span;
  ab_json_t *to = object + 1;
  object->count = 0;
  for (const ab_json_t *name = old + 1; name < end; name += 1 + name[1].span) {
    if (name->span == 0) continue;
    const ab_json_t *value = old + name->span;
    *to = *name;
    to->span = 1;
    memcpy(to + 1, value, value->span * sizeof(*to));
    to += 1 + value->span;
    object->count++;
  }
  object->span = (uint32_t) (to - object);
  in->doc->value_count = (uint32_t) (to - in->doc->values);
  free(old);
  return 0;
}

static int
check_names (decoder_t *in, ab_json_t *object) {
  if (object->count <= JSON_SORT_FEW && few_are_distinct(object)) return 0;

  json_sort_t sort;
  bool is_distinct = true;
  int err = json__sort(&sort, object, by_bytes);
  if (err < 0) fail_no_memory(in);
  for (uint32_t i = 1; err == 0 && is_distinct && i < object->count; i++) {
    is_distinct = !same_name(sort.names[i - 1], sort.names[i]);
  }
  if (err == 0 && !is_distinct) {
    if ((in->flags & AB_JSON_DUPLICATES) != 0) err = drop_duplicates(in, object, sort.names);
    else err = fail(in, "two members of an object have the same name");
  }
  json__sort_destroy(&sort);
  return err;
}

/* ---- structure ---- */

static int
open_container (decoder_t *in, ab_json_type_t type) {
  if (in->depth == AB_JSON_DEPTH_MAX) return fail(in, "nested too deeply");
  in->open[in->depth] = in->doc->value_count;
  if (add_value(in, type) == NULL) return fail_no_memory(in);
  in->at++;
  in->depth++;
  in->is_first = true;
  return 0;
}

static int
close_container (decoder_t *in) {
  uint32_t index = in->open[--in->depth];
  ab_json_t *container = &in->doc->values[index];
  in->at++;
  in->is_first = false;
  container->span = in->doc->value_count - index;
  return container->type == AB_JSON_OBJECT ? check_names(in, container) : 0;
}

/* A value, or the opening bracket of one. */
static int
read_value (decoder_t *in) {
  skip_space(in);
  if (in->at == in->end) return fail(in, "a value is missing");
  switch (*in->at) {
  case '{':
    return open_container(in, AB_JSON_OBJECT);
  case '[':
    return open_container(in, AB_JSON_ARRAY);
  case '"':
    return read_string(in);
  case 'n':
    return read_word(in, "null", AB_JSON_NULL, false);
  case 't':
    return read_word(in, "true", AB_JSON_BOOL, true);
  case 'f':
    return read_word(in, "false", AB_JSON_BOOL, false);
  default:
    if (*in->at == '-' || (*in->at >= '0' && *in->at <= '9')) return read_number(in);
    return fail(in, "not a value");
  }
}

static int
read_name (decoder_t *in) {
  skip_space(in);
  if (in->at == in->end || *in->at != '"') return fail(in, "a member's name is missing");
  int err = read_string(in);
  if (err < 0) return err;
  skip_space(in);
  return take(in, ':') ? 0 : fail(in, "a colon is missing");
}

/* Everything between two values: closing brackets, a comma, the name of the next one. */
static int
read_between (decoder_t *in) {
  while (in->depth > 0) {
    ab_json_t *container = &in->doc->values[in->open[in->depth - 1]];
    bool is_object = container->type == AB_JSON_OBJECT;
    int err;

    skip_space(in);
    if (in->at < in->end && *in->at == (is_object ? '}' : ']')) {
      if ((err = close_container(in)) < 0) return err;
      continue;
    }
    if (!in->is_first && !take(in, ',')) {
      return fail(in, is_object ? "a comma or } is missing" : "a comma or ] is missing");
    }
    in->is_first = false;
    container->count++;
    return is_object ? read_name(in) : 0;
  }
  return 0;
}

int
ab_json_decode (ab_json_doc_t *doc, ab_slice_t text, unsigned flags, const ab_json_t **root) {
  decoder_t in = {.doc = doc, .start = text.data, .at = text.data, .end = text.data, .flags = flags};
  doc->value_count = 0;
  doc->text_len = 0;
  if (text.len >= UINT32_MAX) {
    fail(&in, "larger than 4 GiB");
    return AB_ETOOBIG;
  }
  if (text.len > 0) in.end += text.len;

  do {
    int err;
    if ((err = read_value(&in)) < 0) return err;
    if ((err = read_between(&in)) < 0) return err;
  } while (in.depth > 0);

  skip_space(&in);
  if (in.at != in.end) return fail(&in, "something follows the value");
  assert(doc->values[0].span == doc->value_count);
  *root = doc->values;
  return 0;
}

void
ab_json_doc_destroy (ab_json_doc_t *doc) {
  free(doc->values);
  free(doc->text);
  free(doc->encoded);
  *doc = (ab_json_doc_t){0};
}

/* ---- looking up ---- */

const ab_json_t *
ab_json_member (const ab_json_t *object, ab_slice_t name) {
  if (object->type != AB_JSON_OBJECT) return NULL;
  ab_json_iter_t iter = ab_json_iter(object);
  ab_slice_t found;
  const ab_json_t *value;
  while (ab_json_next_member(&iter, &found, &value)) {
    if (ab_slice_equal(found, name)) return value;
  }
  return NULL;
}

bool
ab_json_integer (const ab_json_t *value, int64_t *out) {
  if (value->type == AB_JSON_INTEGER) {
    *out = value->as.integer;
    return true;
  }
  const double most = (double) AB_MAX_SAFE;
  if (value->type != AB_JSON_NUMBER || value->as.number < -most || value->as.number > most) return false;
  int64_t integer = (int64_t) value->as.number;
  if ((double) integer != value->as.number) return false;
  *out = integer;
  return true;
}

/* ---- encoding into the document ---- */

int
ab_json_encode (ab_json_doc_t *doc, const ab_json_t *value, ab_json_form_t form, ab_slice_t *text) {
  ab_buf_t out = {0};
  int err = ab_json_write(&out, value, form);
  if (err < 0) {
    ab_buf_destroy(&out);
    return err;
  }
  free(doc->encoded);
  doc->encoded = out.data;
  *text = ab_buf_slice(&out);
  return 0;
}

/* json_write.c: JSON text. ECMAScript's JSON.stringify decides how strings and numbers look; RFC 8785 agrees.
 */
#include "apply/json_write.h"

#include "apply/json_sort.h"
#include "apply/number.h"
#include "apply/utf8.h"

#include <assert.h>
#include <math.h>

static void
write_text (ab_buf_t *out, const char *text) {
  ab_buf_append(out, ab_text(text));
}

/* ---- numbers ---- */

int
ab_json_write_number (ab_buf_t *out, double number) {
  if (!isfinite(number)) return AB_EINVAL;
  char text[AB_NUMBER_TEXT_MAX];
  ab_buf_append(out, ab_slice(text, ab_number_encode(number, text)));
  return out->err;
}

int
ab_json_write_integer (ab_buf_t *out, int64_t integer, ab_json_form_t form) {
  const int64_t most = (int64_t) AB_MAX_SAFE;
  if (form == AB_JSON_CANONICAL && (integer < -most || integer > most)) return AB_EINVAL;
  return ab_json_write_number(out, (double) integer);
}

/* ---- strings ---- */

static void
write_unicode (ab_buf_t *out, uint32_t code) {
  static const char digits[] = "0123456789abcdef";
  char text[] = {
    '\\', 'u', digits[code >> 12], digits[code >> 8 & 15], digits[code >> 4 & 15], digits[code & 15]};
  ab_buf_append(out, ab_slice(text, sizeof(text)));
}

/* A byte below 0x80 that needs an escape. */
static void
write_escape (ab_buf_t *out, uint8_t byte) {
  static const char escapes[] = "btn\0fr"; /* 0x08 to 0x0d; there is no \v */
  char text[] = {'\\', 0};
  if (byte == '"' || byte == '\\') text[1] = (char) byte;
  else if (byte >= 0x08 && byte <= 0x0d) text[1] = escapes[byte - 0x08];
  if (text[1] != 0) ab_buf_append(out, ab_slice(text, sizeof(text)));
  else write_unicode(out, byte);
}

static bool
is_plain (uint8_t byte) {
  return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

int
ab_json_write_string (ab_buf_t *out, ab_slice_t text, ab_json_form_t form) {
  write_text(out, "\"");
  const uint8_t *at = text.data, *end = text.len == 0 ? at : at + text.len;
  const uint8_t *first = at; /* from here on nothing had to change */
  while (at < end) {
    size_t len = is_plain(*at) ? 1 : *at >= 0x80 ? utf8__wide(at, end) : 0;
    if (len > 0) {
      at += len;
      continue;
    }
    ab_buf_append(out, ab_slice(first, (size_t) (at - first)));
    if (*at < 0x80) write_escape(out, *at++);
    else if (form == AB_JSON_ECMASCRIPT && utf8__is_surrogate(at, end)) {
      write_unicode(out, 0xd000u | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu));
      at += 3;
    } else return AB_EINVAL;
    first = at;
  }
  if (first < end) ab_buf_append(out, ab_slice(first, (size_t) (end - first)));
  write_text(out, "\"");
  return out->err;
}

/* ---- the order of names ---- */

int
ab_json_compare_names (ab_slice_t a, ab_slice_t b) {
  size_t len = a.len < b.len ? a.len : b.len;
  size_t i = 0;
  while (i < len && a.data[i] == b.data[i]) i++;
  if (i == len) return (a.len > b.len) - (a.len < b.len);

  /* UTF-8 sorts like code points. UTF-16 differs where a character above U+FFFF (first byte f0 and up), made
   * of surrogates there, meets one of U+E000 to U+FFFF (first byte ee or ef). */
  uint8_t x = a.data[i], y = b.data[i];
  bool swap = x >= 0xee && y >= 0xee && (x >= 0xf0) != (y >= 0xf0);
  return (x < y) != swap ? -1 : 1;
}

bool
ab_json_is_index (ab_slice_t name, uint32_t *index) {
  if (name.len == 0 || name.len > 10 || (name.data[0] == '0' && name.len > 1)) return false;
  uint64_t value = 0;
  for (size_t i = 0; i < name.len; i++) {
    if (name.data[i] < '0' || name.data[i] > '9') return false;
    value = value * 10 + (name.data[i] - '0');
  }
  if (value >= UINT32_MAX) return false;
  if (index != NULL) *index = (uint32_t) value;
  return true;
}

static int
by_code_units (const ab_json_t *a, const ab_json_t *b) {
  return ab_json_compare_names(ab_json_text(a), ab_json_text(b));
}

static int
indices_first (const ab_json_t *a, const ab_json_t *b) {
  uint32_t x = UINT32_MAX, y = UINT32_MAX; /* no index, so behind them all */
  ab_json_is_index(ab_json_text(a), &x);
  ab_json_is_index(ab_json_text(b), &y);
  return (x > y) - (x < y);
}

/* ---- values ---- */

/* As deep as the decoder allows. NOLINTBEGIN(misc-no-recursion) */

static int
write_array (ab_buf_t *out, const ab_json_t *array, ab_json_form_t form) {
  ab_json_iter_t iter = ab_json_iter(array);
  const ab_json_t *item;
  const char *separator = "[";
  while (ab_json_next(&iter, &item)) {
    write_text(out, separator);
    int err = ab_json_write(out, item, form);
    if (err < 0) return err;
    separator = ",";
  }
  write_text(out, array->count == 0 ? "[]" : "]");
  return out->err;
}

static int
write_object (ab_buf_t *out, const ab_json_t *object, ab_json_form_t form) {
  json_sort_t sort;
  int err = json__sort(&sort, object, form == AB_JSON_CANONICAL ? by_code_units : indices_first);
  const char *separator = "{";
  for (uint32_t i = 0; err == 0 && i < object->count; i++) {
    write_text(out, separator);
    err = ab_json_write_string(out, ab_json_text(sort.names[i]), form);
    if (err < 0) break;
    write_text(out, ":");
    err = ab_json_write(out, sort.names[i] + 1, form);
    separator = ",";
  }
  json__sort_destroy(&sort);
  if (err < 0) return err;
  write_text(out, object->count == 0 ? "{}" : "}");
  return out->err;
}

int
ab_json_write (ab_buf_t *out, const ab_json_t *value, ab_json_form_t form) {
  switch (value->type) {
  case AB_JSON_NULL:
    write_text(out, "null");
    return out->err;
  case AB_JSON_BOOL:
    write_text(out, value->as.boolean ? "true" : "false");
    return out->err;
  case AB_JSON_INTEGER:
    return ab_json_write_integer(out, value->as.integer, form);
  case AB_JSON_NUMBER:
    return ab_json_write_number(out, value->as.number);
  case AB_JSON_STRING:
    return ab_json_write_string(out, ab_json_text(value), form);
  case AB_JSON_ARRAY:
    return write_array(out, value, form);
  case AB_JSON_OBJECT:
    return write_object(out, value, form);
  }
  return AB_EINVAL;
}
/* NOLINTEND(misc-no-recursion) */

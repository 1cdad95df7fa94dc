#include "autobee/cli/out.h"

#include "autobee/cli/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void
out_destroy (out_t *out) {
  free(out->data);
  *out = (out_t){0};
}

void
out_reset (out_t *out) {
  out->len = 0;
  out->failed = out->follows = false;
}

char *
out_extend (out_t *out, size_t len) {
  if (out->failed) return NULL;
  if (len > out->capacity - out->len) {
    size_t capacity = out->capacity < 256 ? 256 : out->capacity;
    while (capacity - out->len < len && capacity <= SIZE_MAX / 2) capacity *= 2;
    char *data = capacity - out->len < len ? NULL : realloc(out->data, capacity);
    if (data == NULL) {
      out->failed = true;
      return NULL;
    }
    out->data = data;
    out->capacity = capacity;
  }
  char *at = out->data + out->len;
  out->len += len;
  return at;
}

void
out_bytes (out_t *out, ab_slice_t bytes) {
  char *at = out_extend(out, bytes.len);
  if (at != NULL && bytes.len > 0) memcpy(at, bytes.data, bytes.len);
}

/* ---- JSON ---- */

static void
put (out_t *out, char c) {
  char *at = out_extend(out, 1);
  if (at != NULL) *at = c;
}

static void
begin_value (out_t *out) {
  if (out->follows) put(out, ',');
  out->follows = true;
}

void
out_open (out_t *out, char bracket) {
  begin_value(out);
  put(out, bracket);
  out->follows = false;
}

void
out_close (out_t *out, char bracket) {
  put(out, bracket);
  out->follows = true;
}

void
out_name (out_t *out, const char *name) {
  out_string(out, ab_text(name));
  put(out, ':');
  out->follows = false;
}

static void
put_escape (out_t *out, uint8_t c) {
  static const char *const shorts[] = {
    ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r"};
  char text[8];
  if (c == '"' || c == '\\') snprintf(text, sizeof(text), "\\%c", c);
  else if (c <= '\r' && shorts[c] != NULL) snprintf(text, sizeof(text), "%s", shorts[c]);
  else snprintf(text, sizeof(text), "\\u%04x", c);
  out_bytes(out, ab_text(text));
}

void
out_string (out_t *out, ab_slice_t text) {
  const uint8_t *at = text.data, *end = text.len == 0 ? at : at + text.len;
  begin_value(out);
  put(out, '"');
  while (at < end) {
    const uint8_t *plain = at;
    while (at < end && *at >= ' ' && *at < 0x7f && *at != '"' && *at != '\\') at++;
    out_bytes(out, ab_slice(plain, (size_t) (at - plain)));
    if (at == end) break;
    size_t len = bytes_utf8_character(at, end);
    if (len == 0) {
      out_bytes(out, ab_text("\xef\xbf\xbd"));
      at++;
    } else if (len == 1) {
      put_escape(out, *at++);
    } else {
      out_bytes(out, ab_slice(at, len));
      at += len;
    }
  }
  put(out, '"');
}

void
out_hex (out_t *out, ab_slice_t bytes) {
  begin_value(out);
  char *at = bytes.len > SIZE_MAX / 2 - 1 ? NULL : out_extend(out, 2 * bytes.len + 2);
  if (at == NULL) {
    out->failed = true;
    return;
  }
  *at++ = '"';
  bytes_to_hex(bytes, at);
  at[2 * bytes.len] = '"';
}

void
out_uint (out_t *out, uint64_t number) {
  char text[24];
  begin_value(out);
  snprintf(text, sizeof(text), "%" PRIu64, number);
  out_bytes(out, ab_text(text));
}

void
out_bool (out_t *out, bool value) {
  begin_value(out);
  out_bytes(out, ab_text(value ? "true" : "false"));
}

void
out_null (out_t *out) {
  begin_value(out);
  out_bytes(out, ab_text("null"));
}

void
out_json (out_t *out, ab_slice_t json) {
  begin_value(out);
  out_bytes(out, json);
}

void
out_member_string (out_t *out, const char *name, ab_slice_t text) {
  out_name(out, name);
  out_string(out, text);
}

void
out_member_text (out_t *out, const char *name, const char *text) {
  out_member_string(out, name, ab_text(text));
}

void
out_member_hex (out_t *out, const char *name, ab_slice_t bytes) {
  out_name(out, name);
  out_hex(out, bytes);
}

void
out_member_uint (out_t *out, const char *name, uint64_t number) {
  out_name(out, name);
  out_uint(out, number);
}

void
out_member_bool (out_t *out, const char *name, bool value) {
  out_name(out, name);
  out_bool(out, value);
}

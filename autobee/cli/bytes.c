#include "autobee/cli/bytes.h"

#include <string.h>

/* ---- UTF-8 (RFC 3629: shortest forms, no surrogates, nothing above U+10FFFF) ---- */

size_t
bytes_utf8_character (const uint8_t *at, const uint8_t *end) {
  uint8_t lead = at[0], low = 0x80, high = 0xbf; /* the second byte of some is narrower */
  size_t len;
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) len = 2;
  else if (lead >= 0xe0 && lead <= 0xef) len = 3;
  else if (lead >= 0xf0 && lead <= 0xf4) len = 4;
  else return 0;
  if (lead == 0xe0) low = 0xa0;
  if (lead == 0xed) high = 0x9f;
  if (lead == 0xf0) low = 0x90;
  if (lead == 0xf4) high = 0x8f;
  if ((size_t) (end - at) < len || at[1] < low || at[1] > high) return 0;
  for (size_t i = 2; i < len; i++) {
    if (at[i] < 0x80 || at[i] > 0xbf) return 0;
  }
  return len;
}

bool
bytes_are_utf8 (ab_slice_t bytes) {
  for (size_t i = 0; i < bytes.len;) {
    size_t len = bytes_utf8_character(bytes.data + i, bytes.data + bytes.len);
    if (len == 0) return false;
    i += len;
  }
  return true;
}

/* U+0000 to U+001F, U+007F to U+009F: a terminal may obey them. */
static bool
is_control (const uint8_t *at, size_t len) {
  return len == 1 ? at[0] < ' ' || at[0] == 0x7f : len == 2 && at[0] == 0xc2 && at[1] < 0xa0;
}

static bool
is_clean (ab_slice_t bytes, bool lines) {
  if (bytes.len >= 4 && memcmp(bytes.data, "hex:", 4) == 0) return false;
  for (size_t i = 0; i < bytes.len;) {
    const uint8_t *at = bytes.data + i;
    size_t len = bytes_utf8_character(at, bytes.data + bytes.len);
    bool layout = len == 1 && (*at == '\n' || *at == '\t');
    if (len == 0 || (is_control(at, len) && !(lines && layout))) return false;
    i += len;
  }
  return true;
}

/* ---- hex ---- */

void
bytes_to_hex (ab_slice_t bytes, char *out) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < bytes.len; i++) {
    *out++ = digits[bytes.data[i] >> 4];
    *out++ = digits[bytes.data[i] & 15];
  }
}

static int
digit (uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

int
bytes_from_hex (ab_slice_t hex, out_t *out) {
  if (hex.len % 2 != 0) return AB_EINVAL;
  if (hex.len == 0) return out->failed ? AB_ENOMEM : 0;
  char *at = out_extend(out, hex.len / 2);
  if (at == NULL) return AB_ENOMEM;
  for (size_t i = 0; i < hex.len; i += 2) {
    int high = digit(hex.data[i]), low = digit(hex.data[i + 1]);
    if (high < 0 || low < 0) return AB_EINVAL;
    *at++ = (char) (high << 4 | low);
  }
  return 0;
}

int
bytes_from_argument (const char *argument, out_t *out) {
  if (strncmp(argument, "hex:", 4) == 0) return bytes_from_hex(ab_text(argument + 4), out);
  out_bytes(out, ab_text(argument));
  return out->failed ? AB_ENOMEM : 0;
}

/* ---- printing ---- */

bool
encoding_from_name (const char *name, encoding_t *out) {
  static const char *const names[] = {
    [ENCODING_AUTO] = "auto",
    [ENCODING_UTF8] = "utf8",
    [ENCODING_HEX] = "hex",
    [ENCODING_BASE64] = "base64",
    [ENCODING_JSON] = "json",
  };
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    if (strcmp(name, names[i]) != 0) continue;
    *out = (encoding_t) i;
    return true;
  }
  return false;
}

static void
print_raw (FILE *file, ab_slice_t bytes) {
  if (bytes.len > 0) fwrite(bytes.data, 1, bytes.len, file);
}

static void
print_hex (FILE *file, ab_slice_t bytes) {
  char text[512];
  while (bytes.len > 0) {
    size_t n = bytes.len < sizeof(text) / 2 ? bytes.len : sizeof(text) / 2;
    bytes_to_hex(ab_slice(bytes.data, n), text);
    fwrite(text, 1, 2 * n, file);
    bytes = ab_slice(bytes.data + n, bytes.len - n);
  }
}

static void
print_base64 (FILE *file, ab_slice_t bytes) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < bytes.len; i += 3) {
    size_t n = bytes.len - i < 3 ? bytes.len - i : 3;
    uint32_t group = (uint32_t) bytes.data[i] << 16;
    if (n > 1) group |= (uint32_t) bytes.data[i + 1] << 8;
    if (n > 2) group |= bytes.data[i + 2];
    char text[4] = {digits[group >> 18], digits[group >> 12 & 63], '=', '='};
    if (n > 1) text[2] = digits[group >> 6 & 63];
    if (n > 2) text[3] = digits[group & 63];
    fwrite(text, 1, 4, file);
  }
}

static void
print_utf8 (FILE *file, ab_slice_t bytes) {
  for (size_t i = 0; i < bytes.len;) {
    size_t len = bytes_utf8_character(bytes.data + i, bytes.data + bytes.len);
    print_raw(file, len == 0 ? ab_text("\xef\xbf\xbd") : ab_slice(bytes.data + i, len));
    i += len == 0 ? 1 : len;
  }
}

static void
print_json (FILE *file, ab_slice_t bytes) {
  if (!bytes_are_utf8(bytes)) {
    fputs("\"hex:", file);
    print_hex(file, bytes);
    fputc('"', file);
    return;
  }
  out_t text = {0};
  out_string(&text, bytes);
  print_raw(file, out_slice(&text));
  out_destroy(&text);
}

void
bytes_print (FILE *file, ab_slice_t bytes, encoding_t encoding, bool lines) {
  switch (encoding) {
  case ENCODING_AUTO:
    if (is_clean(bytes, lines)) {
      print_raw(file, bytes);
      return;
    }
    fputs("hex:", file);
    print_hex(file, bytes);
    return;
  case ENCODING_UTF8:
    print_utf8(file, bytes);
    return;
  case ENCODING_HEX:
    print_hex(file, bytes);
    return;
  case ENCODING_BASE64:
    print_base64(file, bytes);
    return;
  case ENCODING_JSON:
    print_json(file, bytes);
    return;
  case ENCODING_RAW:
    print_raw(file, bytes);
    return;
  }
}

void
key_to_short (const ab_key_t *key, char out[KEY_SHORT_LEN + 1]) {
  char text[AB_KEY_TEXT_LEN + 1];
  ab_key_to_text(key, text);
  memcpy(out, text, KEY_SHORT_LEN);
  out[KEY_SHORT_LEN] = 0;
}

void
node_to_short (const ab_head_t *node, char out[NODE_SHORT_LEN + 1]) {
  key_to_short(&node->key, out);
  snprintf(
    out + KEY_SHORT_LEN, NODE_SHORT_LEN + 1 - KEY_SHORT_LEN, ":%llu", (unsigned long long) node->length
  );
}

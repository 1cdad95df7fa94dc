/* id.c: the text form of keys: z-base-32, or hex when reading. */
#include "hypercore/ab.h"

static const char alphabet[] = "ybndrfg8ejkmcpqxot1uwisza345h769";

void
ab_key_to_text (const ab_key_t *key, char out[AB_KEY_TEXT_LEN + 1]) {
  /* The last character holds the 256th bit and four zero bits. */
  for (size_t i = 0; i < AB_KEY_TEXT_LEN; i++) {
    size_t bit = 5 * i;
    unsigned pair = (unsigned) key->bytes[bit / 8] << 8;
    if (bit / 8 + 1 < sizeof(key->bytes)) pair |= key->bytes[bit / 8 + 1];
    out[i] = alphabet[pair >> (11 - bit % 8) & 31];
  }
  out[AB_KEY_TEXT_LEN] = 0;
}

static int
z32_value (uint8_t c) {
  const char *at = c == 0 ? NULL : strchr(alphabet, c);
  return at == NULL ? -1 : (int) (at - alphabet);
}

static int
hex_value (uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static int
from_z32 (ab_slice_t text, ab_key_t *key) {
  uint32_t bits = 0;
  size_t held = 0, len = 0;
  for (size_t i = 0; i < text.len; i++) {
    int value = z32_value(text.data[i]);
    if (value < 0) return AB_EINVAL;
    bits = (bits << 5 | (uint32_t) value) & 0xffff;
    held += 5;
    if (held >= 8 && len < sizeof(key->bytes)) {
      held -= 8;
      key->bytes[len++] = (uint8_t) (bits >> held);
    }
  }
  return 0;
}

static int
from_hex (ab_slice_t text, ab_key_t *key) {
  for (size_t i = 0; i < sizeof(key->bytes); i++) {
    int high = hex_value(text.data[2 * i]);
    int low = hex_value(text.data[2 * i + 1]);
    if (high < 0 || low < 0) return AB_EINVAL;
    key->bytes[i] = (uint8_t) (high << 4 | low);
  }
  return 0;
}

int
ab_key_from_text (ab_slice_t text, ab_key_t *key) {
  static const char scheme[] = "pear://";
  const size_t scheme_len = sizeof(scheme) - 1;

  if (text.len >= scheme_len && memcmp(text.data, scheme, scheme_len) == 0) {
    text = ab_slice(text.data + scheme_len, text.len - scheme_len);
    const uint8_t *slash = text.len == 0 ? NULL : memchr(text.data, '/', text.len);
    if (slash != NULL) text.len = (size_t) (slash - text.data);
  }

  ab_key_t read;
  int err = AB_EINVAL;
  if (text.len == AB_KEY_TEXT_LEN) err = from_z32(text, &read);
  else if (text.len == 2 * sizeof(read.bytes)) err = from_hex(text, &read);
  if (err < 0) return err;
  *key = read;
  return 0;
}

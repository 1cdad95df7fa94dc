/* utf8.h: strict UTF-8 (RFC 3629: shortest forms, no surrogates, nothing above U+10FFFF). Private to apply/.
 */
#ifndef APPLY_UTF8_H
#define APPLY_UTF8_H

#include "hypercore/ab.h"

/** Bytes of the character that [at, end) begins with, 2 to 4; 0 if it is not well formed. `*at` is 0x80 or
 * more. */
static inline size_t
utf8__wide (const uint8_t *at, const uint8_t *end) {
  /* The second byte of some is narrower: it rules out long forms, surrogates and what is too large. */
  uint8_t lead = at[0], low = 0x80, high = 0xbf;
  size_t len;
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

/** True if [at, end) begins with the three bytes that would stand for a surrogate, U+D800 to U+DFFF. */
static inline bool
utf8__is_surrogate (const uint8_t *at, const uint8_t *end) {
  return end - at >= 3 && at[0] == 0xed && at[1] >= 0xa0 && at[1] <= 0xbf && at[2] >= 0x80 && at[2] <= 0xbf;
}

/** Write `code`, a surrogate included, as 1 to 4 bytes. Returns their number. */
static inline size_t
utf8__write (uint32_t code, uint8_t out[4]) {
  if (code < 0x80) {
    out[0] = (uint8_t) code;
    return 1;
  }
  size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
  for (size_t i = len - 1; i > 0; i--, code >>= 6) out[i] = (uint8_t) (0x80 | (code & 0x3f));
  out[0] = (uint8_t) (lead[len] | code);
  return len;
}

#endif

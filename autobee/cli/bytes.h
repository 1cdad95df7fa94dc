/* bytes.h: bytes as people read and write them. Private to autobee/cli/.
 *
 *   clean text   UTF-8 without control characters, not beginning with hex:    printed as it is
 *   the rest                                                                  printed as hex: and digits
 *
 * So what is printed can be given as an argument again.
 */
#ifndef CLI_BYTES_H
#define CLI_BYTES_H

#include "autobee/cli/out.h"

#include <stdio.h>

/** Bytes of the character that [at, end) begins with, 1 to 4; 0 if it is not well formed. `at` < `end`. */
size_t
bytes_utf8_character (const uint8_t *at, const uint8_t *end);

bool
bytes_are_utf8 (ab_slice_t bytes);

/** 2 × len digits, without a final zero. */
void
bytes_to_hex (ab_slice_t bytes, char *out);

/** Append the bytes that the digits stand for. Returns 0 or AB_EINVAL. */
int
bytes_from_hex (ab_slice_t hex, out_t *out);

/** Append what an argument stands for: hex: and digits, or itself. Returns 0 or AB_EINVAL. */
int
bytes_from_argument (const char *argument, out_t *out);

typedef enum {
  ENCODING_AUTO,   /* see above */
  ENCODING_UTF8,   /* what is not UTF-8 becomes U+FFFD */
  ENCODING_HEX,    /* digits only */
  ENCODING_BASE64, /* RFC 4648, padded */
  ENCODING_JSON,   /* a string in JSON; bytes that are no UTF-8: "hex:…" */
  ENCODING_RAW
} encoding_t;

/** False if it names no encoding. */
bool
encoding_from_name (const char *name, encoding_t *out);

/** Print without a newline. `lines`: the text stands alone, so line feeds and tabs in it count as clean. */
void
bytes_print (FILE *file, ab_slice_t bytes, encoding_t encoding, bool lines);

/** The first 8 characters of a key's text, and a final zero. */
#define KEY_SHORT_LEN 8
void
key_to_short (const ab_key_t *key, char out[KEY_SHORT_LEN + 1]);

/** The same, a colon and the length. */
#define NODE_SHORT_LEN (KEY_SHORT_LEN + 1 + 20)
void
node_to_short (const ab_head_t *node, char out[NODE_SHORT_LEN + 1]);

#endif

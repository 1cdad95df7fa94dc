/* number.h: numbers as JSON and ECMAScript write them, exact and the same under every locale, C library and
 * processor. For apply/ and lua/. */
#ifndef APPLY_NUMBER_H
#define APPLY_NUMBER_H

#include "hypercore/ab.h"

typedef struct {
  bool is_integer; /* written without fraction and exponent, and within int64_t: then `integer` has it */
  int64_t integer;
  double number; /* the nearest double, ties to even, in either case */
} ab_number_t;

/**
 * Read the number that `text` begins with, by the grammar of RFC 8259. `-0` is the integer 0.
 *
 * taken  bytes of `text` that belong to it
 *
 * Returns 0, AB_EINVAL (no number; `taken` is where it goes wrong) or AB_ETOOBIG (beyond every double).
 */
int
ab_number_decode (ab_slice_t text, size_t *taken, ab_number_t *out);

#define AB_NUMBER_TEXT_MAX 26

/** The text of `value`, which must be finite, as ECMAScript's Number::toString has it: the fewest digits that
 * read back as `value`, and of those the closest. Returns the length; there is no final zero. */
size_t
ab_number_encode (double value, char out[AB_NUMBER_TEXT_MAX]);

#endif

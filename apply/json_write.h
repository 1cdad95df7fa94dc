/* json_write.h: JSON text, piece by piece, for whoever has no decoded text to encode. For apply/ and lua/;
 * the forms are those of json.h. */
#ifndef APPLY_JSON_WRITE_H
#define APPLY_JSON_WRITE_H

#include "apply/json.h"
#include "hypercore/buf.h"

/** Returns 0, AB_EINVAL (see json.h) or AB_ENOMEM. What was appended before an error stays. */
int
ab_json_write (ab_buf_t *out, const ab_json_t *value, ab_json_form_t form);

/** A string with its quotes. AB_EINVAL if `text` is not UTF-8; in the ECMAScript form lone surrogates, as
 * decoded, are written as escapes. */
int
ab_json_write_string (ab_buf_t *out, ab_slice_t text, ab_json_form_t form);

/** AB_EINVAL beyond ±(2^53 - 1) in the canonical form. */
int
ab_json_write_integer (ab_buf_t *out, int64_t integer, ab_json_form_t form);

/** AB_EINVAL for NaN and infinities. */
int
ab_json_write_number (ab_buf_t *out, double number);

/** Order of names in the canonical form, by UTF-16 code units: <0, 0, >0. Both must be UTF-8. */
int
ab_json_compare_names (ab_slice_t a, ab_slice_t b);

/** True for a name that ECMAScript keeps in front of the others: 0 to 2^32 - 2 in decimal without leading
 * zeros. `index` may be NULL. */
bool
ab_json_is_index (ab_slice_t name, uint32_t *index);

#endif

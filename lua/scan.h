/* scan.h: the text of a script, before Lua compiles it. Private to lua/. */
#ifndef SANDBOX_SCAN_H
#define SANDBOX_SCAN_H

#include "hypercore/buf.h"

/* The function that takes the place of the operator #, in front of the script's own text. */
#define SCAN_LENGTH "__autobee_len"
#define SCAN_PROLOGUE "local " SCAN_LENGTH " <const> = ... "

/**
 * Look at each token of `script`: refuse the operator ^, whose result depends on the C library, and write to
 * `out` a text that means the same with `#x` replaced by a call, because `#` depends on how a table lies in
 * memory. Lines stay where they are.
 *
 * message   of size `message_len`, written when the script is refused; begins with "LINE: "
 *
 * Returns 0, AB_EINVAL (refused), AB_ECORRUPT (no Lua: the compiler will say what is wrong) or AB_ENOMEM.
 */
int
sandbox__scan (ab_slice_t script, ab_buf_t *out, char *message, size_t message_len);

/** The version in `-- autobee: needs 1.2`, if that is how the script begins; else 0.0. Returns 0, or
 * AB_EINVAL if no version follows. */
int
sandbox__scan_needs (ab_slice_t script, uint32_t *major, uint32_t *minor);

#endif

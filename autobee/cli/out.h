/* out.h: text that grows, and JSON written into it. Private to autobee/cli/.
 *
 *   out_t line = {0};
 *   out_open(&line, '{');
 *   out_name(&line, "key");        commas are put where they belong
 *   out_string(&line, key);
 *   out_close(&line, '}');
 *
 * The first failed growth sticks in `failed`; every later write is a no-op.
 */
#ifndef CLI_OUT_H
#define CLI_OUT_H

#include "hypercore/ab.h"

typedef struct {
  char *data;
  size_t len;
  size_t capacity;
  bool failed;  /* out of memory */
  bool follows; /* a comma comes before the next value or name */
} out_t;

void
out_destroy (out_t *out);

/** Empty it, and keep the memory. */
void
out_reset (out_t *out);

static inline ab_slice_t
out_slice (const out_t *out) {
  return ab_slice(out->data, out->len);
}

/** Bytes as they are. */
void
out_bytes (out_t *out, ab_slice_t bytes);

/** Room for `len` bytes, counted in at once; NULL when out of memory. */
char *
out_extend (out_t *out, size_t len);

/* ---- JSON ---- */

/** `bracket`: { or [. */
void
out_open (out_t *out, char bracket);
void
out_close (out_t *out, char bracket);
void
out_name (out_t *out, const char *name);
/** UTF-8; what is not becomes U+FFFD. */
void
out_string (out_t *out, ab_slice_t text);
/** A string of lowercase hex. */
void
out_hex (out_t *out, ab_slice_t bytes);
void
out_uint (out_t *out, uint64_t number);
void
out_bool (out_t *out, bool value);
void
out_null (out_t *out);
/** A value that is JSON already. */
void
out_json (out_t *out, ab_slice_t json);

/* A member at once. */
void
out_member_string (out_t *out, const char *name, ab_slice_t text);
void
out_member_text (out_t *out, const char *name, const char *text);
void
out_member_hex (out_t *out, const char *name, ab_slice_t bytes);
void
out_member_uint (out_t *out, const char *name, uint64_t number);
void
out_member_bool (out_t *out, const char *name, bool value);

#endif

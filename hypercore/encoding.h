/* encoding.h: compact encoding, the primitives of every format. Shared by our folders.
 *
 *   uint      0..252: one byte; fd u16; fe u32; ff u64, little endian; shortest form when writing, any form
 *             when reading; nothing above AB_MAX_SAFE
 *   int       zigzag, then uint
 *   buffer    uint length, bytes
 *   frame     uint byte length, then something that may be shorter than the frame
 *   list      uint count (at most AB_LIST_MAX), items
 *
 * A reader's first bad read sticks in `err` (AB_ECORRUPT) and every later read returns zero or an empty
 * slice, so a decoder reads like its format and checks once. Slices that are read point into the input.
 */
#ifndef AB_ENCODING_H
#define AB_ENCODING_H

#include "hypercore/ab.h"
#include "hypercore/buf.h"

#define AB_LIST_MAX 0x100000u

typedef struct {
  const uint8_t *at;
  const uint8_t *end;
  int err;
} ab_reader_t;

static inline ab_reader_t
ab_reader (ab_slice_t bytes) {
  ab_reader_t in = {bytes.data, bytes.data == NULL ? NULL : bytes.data + bytes.len, 0};
  return in;
}

static inline size_t
ab_reader_left (const ab_reader_t *in) {
  return (size_t) (in->end - in->at);
}

/** Mark the reader failed. Returns AB_ECORRUPT. */
int
ab_reader_fail (ab_reader_t *in);

uint64_t
ab_read_uint_slow (ab_reader_t *in); /* the forms of several bytes, and errors */

static inline uint64_t
ab_read_uint (ab_reader_t *in) {
  if (in->err == 0 && in->at < in->end && *in->at <= 0xfc) return *in->at++;
  return ab_read_uint_slow(in);
}

int64_t
ab_read_int (ab_reader_t *in);
/** Little endian integer of `width` 1 to 8 bytes; above AB_MAX_SAFE is an error. */
uint64_t
ab_read_fixed_uint (ab_reader_t *in, size_t width);
uint64_t
ab_read_fixed_uint_be (ab_reader_t *in, size_t width);
/** 01 is true, every other byte false. */
bool
ab_read_bool (ab_reader_t *in);
/** `len` bytes. */
ab_slice_t
ab_read_bytes (ab_reader_t *in, size_t len);
ab_slice_t
ab_read_buffer (ab_reader_t *in);
void
ab_read_key (ab_reader_t *in, ab_key_t *key);
/** A count of items of at least `item_min` (1 or more) bytes each: at most AB_LIST_MAX and never more than
 * the bytes left could hold. */
size_t
ab_read_count (ab_reader_t *in, size_t item_min);
/** A reader over the next frame; the outer one stands behind it. A bad length fails both. */
ab_reader_t
ab_read_frame (ab_reader_t *in);

void
ab_write_uint (ab_buf_t *out, uint64_t value);
void
ab_write_int (ab_buf_t *out, int64_t value);
void
ab_write_fixed_uint (ab_buf_t *out, uint64_t value, size_t width);
void
ab_write_fixed_uint_be (ab_buf_t *out, uint64_t value, size_t width);
void
ab_write_bool (ab_buf_t *out, bool value);
void
ab_write_bytes (ab_buf_t *out, ab_slice_t bytes);
void
ab_write_buffer (ab_buf_t *out, ab_slice_t bytes);
void
ab_write_key (ab_buf_t *out, const ab_key_t *key);

/** Bytes that ab_write_uint takes for `value`: 1, 3, 5 or 9. */
size_t
ab_uint_size (uint64_t value);
size_t
ab_int_size (int64_t value);

static inline void
ab_put_u64le (uint8_t out[8], uint64_t value) {
  for (int i = 0; i < 8; i++) out[i] = (uint8_t) (value >> (8 * i));
}

static inline uint64_t
ab_get_u64le (const uint8_t in[8]) {
  uint64_t value = 0;
  for (int i = 0; i < 8; i++) value |= (uint64_t) in[i] << (8 * i);
  return value;
}

#endif

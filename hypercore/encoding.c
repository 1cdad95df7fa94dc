/* encoding.c: compact encoding, readers and writers of the primitives. */
#include "hypercore/encoding.h"

#include <assert.h>

#define INT_LIMIT ((int64_t) 1 << 52) /* zigzag of anything outside [-2^52, 2^52) exceeds AB_MAX_SAFE */

/* ---- reading ---- */

int
ab_reader_fail (ab_reader_t *in) {
  if (in->err == 0) in->err = AB_ECORRUPT;
  in->at = in->end;
  return in->err;
}

static bool
has (ab_reader_t *in, size_t len) {
  if (in->err == 0 && ab_reader_left(in) >= len) return true;
  ab_reader_fail(in);
  return false;
}

uint64_t
ab_read_fixed_uint (ab_reader_t *in, size_t width) {
  assert(width >= 1 && width <= 8);
  if (!has(in, width)) return 0;
  uint64_t value = 0;
  for (size_t i = 0; i < width; i++) value |= (uint64_t) in->at[i] << (8 * i);
  in->at += width;
  if (value > AB_MAX_SAFE) {
    ab_reader_fail(in);
    return 0;
  }
  return value;
}

uint64_t
ab_read_fixed_uint_be (ab_reader_t *in, size_t width) {
  assert(width >= 1 && width <= 8);
  if (!has(in, width)) return 0;
  uint64_t value = 0;
  for (size_t i = 0; i < width; i++) value = value << 8 | in->at[i];
  in->at += width;
  if (value > AB_MAX_SAFE) {
    ab_reader_fail(in);
    return 0;
  }
  return value;
}

uint64_t
ab_read_uint_slow (ab_reader_t *in) {
  if (!has(in, 1)) return 0;
  uint8_t first = *in->at++;
  switch (first) {
  case 0xfd:
    return ab_read_fixed_uint(in, 2);
  case 0xfe:
    return ab_read_fixed_uint(in, 4);
  case 0xff:
    return ab_read_fixed_uint(in, 8);
  default:
    return first;
  }
}

int64_t
ab_read_int (ab_reader_t *in) {
  uint64_t value = ab_read_uint(in);
  int64_t half = (int64_t) (value >> 1);
  return (value & 1) != 0 ? -half - 1 : half;
}

bool
ab_read_bool (ab_reader_t *in) {
  return has(in, 1) && *in->at++ == 1;
}

ab_slice_t
ab_read_bytes (ab_reader_t *in, size_t len) {
  if (!has(in, len)) return ab_slice(NULL, 0);
  ab_slice_t bytes = ab_slice(in->at, len);
  if (len > 0) in->at += len;
  return bytes;
}

ab_slice_t
ab_read_buffer (ab_reader_t *in) {
  uint64_t len = ab_read_uint(in);
  if (in->err < 0 || len > ab_reader_left(in)) {
    ab_reader_fail(in);
    return ab_slice(NULL, 0);
  }
  return ab_read_bytes(in, (size_t) len);
}

void
ab_read_key (ab_reader_t *in, ab_key_t *key) {
  ab_slice_t bytes = ab_read_bytes(in, sizeof(key->bytes));
  if (bytes.data != NULL) memcpy(key->bytes, bytes.data, sizeof(key->bytes));
  else memset(key->bytes, 0, sizeof(key->bytes));
}

size_t
ab_read_count (ab_reader_t *in, size_t item_min) {
  assert(item_min > 0);
  uint64_t count = ab_read_uint(in);
  if (count > AB_LIST_MAX || count > ab_reader_left(in) / item_min) {
    ab_reader_fail(in);
    return 0;
  }
  return (size_t) count;
}

ab_reader_t
ab_read_frame (ab_reader_t *in) {
  ab_reader_t frame = ab_reader(ab_read_buffer(in));
  frame.err = in->err;
  return frame;
}

/* ---- writing ---- */

size_t
ab_uint_size (uint64_t value) {
  if (value <= 0xfc) return 1;
  if (value <= 0xffff) return 3;
  return value <= 0xffffffff ? 5 : 9;
}

static uint64_t
zigzag (int64_t value) {
  return value < 0 ? (uint64_t) (-(value + 1)) * 2 + 1 : (uint64_t) value * 2;
}

size_t
ab_int_size (int64_t value) {
  return ab_uint_size(zigzag(value));
}

/* No format has a larger integer: writing one is the caller's mistake, and nobody could read it. */
static bool
fits (ab_buf_t *out, uint64_t value) {
  if (value <= AB_MAX_SAFE) return true;
  if (out->err == 0) out->err = AB_EINVAL;
  return false;
}

void
ab_write_fixed_uint (ab_buf_t *out, uint64_t value, size_t width) {
  assert(width >= 1 && width <= 8);
  if (!fits(out, value)) return;
  uint8_t *at = ab_buf_extend(out, width);
  if (at == NULL) return;
  for (size_t i = 0; i < width; i++) at[i] = (uint8_t) (value >> (8 * i));
}

void
ab_write_fixed_uint_be (ab_buf_t *out, uint64_t value, size_t width) {
  assert(width >= 1 && width <= 8);
  if (!fits(out, value)) return;
  uint8_t *at = ab_buf_extend(out, width);
  if (at == NULL) return;
  for (size_t i = 0; i < width; i++) at[i] = (uint8_t) (value >> (8 * (width - 1 - i)));
}

void
ab_write_uint (ab_buf_t *out, uint64_t value) {
  if (!fits(out, value)) return;
  size_t len = ab_uint_size(value);
  uint8_t *at = ab_buf_extend(out, len);
  if (at == NULL) return;
  if (len == 1) {
    at[0] = (uint8_t) value;
    return;
  }
  at[0] = len == 3 ? 0xfd : len == 5 ? 0xfe : 0xff;
  for (size_t i = 1; i < len; i++) at[i] = (uint8_t) (value >> (8 * (i - 1)));
}

void
ab_write_int (ab_buf_t *out, int64_t value) {
  if (value >= INT_LIMIT || value < -INT_LIMIT) {
    if (out->err == 0) out->err = AB_EINVAL;
    return;
  }
  ab_write_uint(out, zigzag(value));
}

void
ab_write_bool (ab_buf_t *out, bool value) {
  uint8_t *at = ab_buf_extend(out, 1);
  if (at != NULL) *at = value ? 1 : 0;
}

void
ab_write_bytes (ab_buf_t *out, ab_slice_t bytes) {
  ab_buf_append(out, bytes);
}

void
ab_write_buffer (ab_buf_t *out, ab_slice_t bytes) {
  ab_write_uint(out, bytes.len);
  ab_buf_append(out, bytes);
}

void
ab_write_key (ab_buf_t *out, const ab_key_t *key) {
  ab_buf_append(out, ab_key_slice(key));
}

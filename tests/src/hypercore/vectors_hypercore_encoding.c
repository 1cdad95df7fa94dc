/* vectors_hypercore_encoding.c: compact encoding against the recorded one. */
#include <stdlib.h>

#include "hypercore/encoding.h"
#include "support/vectors.h"

typedef struct {
  const char *name;
  json_t *(*decode)(ab_reader_t *in);                 /* as the file shows the value */
  bool (*encode)(ab_buf_t *out, const json_t *shown); /* false: our types cannot hold such a value */
} codec_t;

static json_t *
show_uint (uint64_t value) {
  return json_sprintf("%llu", (unsigned long long) value);
}

static json_t *
show_hex (ab_slice_t bytes) {
  ab_buf_t text = {0};
  for (size_t i = 0; i < bytes.len; i++) {
    for (int shift = 4; shift >= 0; shift -= 4) {
      ab_buf_append(&text, ab_slice(&"0123456789abcdef"[bytes.data[i] >> shift & 15], 1));
    }
  }
  json_t *shown = json_stringn((const char *) text.data, text.len);
  if (text.len == 0) shown = json_string("");
  ab_buf_destroy(&text);
  return shown;
}

static bool
uint_of (const json_t *shown, uint64_t *out) {
  const char *text = vectors_text(shown);
  if (text[0] == '-') return false;
  *out = strtoull(text, NULL, 10);
  return true;
}

static json_t *
decode_uint (ab_reader_t *in) {
  return show_uint(ab_read_uint(in));
}

static bool
encode_uint (ab_buf_t *out, const json_t *shown) {
  uint64_t value;
  if (!uint_of(shown, &value)) return false;
  ab_write_uint(out, value);
  if (out->err == 0) check_uint("size", out->len, ab_uint_size(value));
  return true;
}

#define FIXED_UINT(bits, width, suffix) \
  static json_t *decode_uint##bits(ab_reader_t *in) { \
    return show_uint(ab_read_fixed_uint##suffix(in, width)); \
  } \
  static bool encode_uint##bits(ab_buf_t *out, const json_t *shown) { \
    uint64_t value; \
    if (!uint_of(shown, &value)) return false; \
    ab_write_fixed_uint##suffix(out, value, width); \
    return true; \
  }

FIXED_UINT(8, 1, )
FIXED_UINT(16, 2, )
FIXED_UINT(24, 3, )
FIXED_UINT(32, 4, )
FIXED_UINT(40, 5, )
FIXED_UINT(48, 6, )
FIXED_UINT(56, 7, )
FIXED_UINT(64, 8, )
FIXED_UINT(64be, 8, _be)

static json_t *
decode_int (ab_reader_t *in) {
  return json_sprintf("%lld", (long long) ab_read_int(in));
}

static bool
encode_int (ab_buf_t *out, const json_t *shown) {
  int64_t value = strtoll(vectors_text(shown), NULL, 10);
  ab_write_int(out, value);
  if (out->err == 0) check_uint("size", out->len, ab_int_size(value));
  return true;
}

static json_t *
decode_bool (ab_reader_t *in) {
  return json_string(ab_read_bool(in) ? "true" : "false");
}

static bool
encode_bool (ab_buf_t *out, const json_t *shown) {
  ab_write_bool(out, strcmp(vectors_text(shown), "true") == 0);
  return true;
}

static json_t *
decode_buffer (ab_reader_t *in) {
  return show_hex(ab_read_buffer(in));
}

static bool
encode_buffer (ab_buf_t *out, const json_t *shown) {
  ab_write_buffer(out, vectors_bytes(shown));
  return true;
}

static json_t *
decode_optional_buffer (ab_reader_t *in) {
  ab_slice_t bytes = ab_read_buffer(in);
  return bytes.len == 0 ? json_null() : show_hex(bytes);
}

static json_t *
decode_raw (ab_reader_t *in) {
  return show_hex(ab_read_bytes(in, ab_reader_left(in)));
}

static bool
encode_raw (ab_buf_t *out, const json_t *shown) {
  ab_write_bytes(out, vectors_bytes(shown));
  return true;
}

static json_t *
decode_fixed32 (ab_reader_t *in) {
  return show_hex(ab_read_bytes(in, 32));
}

static bool
encode_fixed32 (ab_buf_t *out, const json_t *shown) {
  return vectors_bytes(shown).len == 32 && encode_raw(out, shown);
}

static json_t *
decode_fixed64 (ab_reader_t *in) {
  return show_hex(ab_read_bytes(in, 64));
}

static bool
encode_fixed64 (ab_buf_t *out, const json_t *shown) {
  return vectors_bytes(shown).len == 64 && encode_raw(out, shown);
}

/* Text is carried as bytes: what is not UTF-8 is shown by jansson as nothing, and the length has to do. */
static json_t *
decode_string (ab_reader_t *in) {
  ab_slice_t bytes = ab_read_buffer(in);
  if (in->err < 0) return NULL;
  return json_stringn((const char *) bytes.data, bytes.len);
}

static bool
encode_string (ab_buf_t *out, const json_t *shown) {
  ab_write_buffer(out, ab_slice(vectors_text(shown), json_string_length(shown)));
  return true;
}

static json_t *
decode_array (ab_reader_t *in, size_t item_min, json_t *(*decode)(ab_reader_t *) ) {
  json_t *list = json_array();
  size_t count = ab_read_count(in, item_min);
  for (size_t i = 0; i < count; i++) json_array_append_new(list, decode(in));
  return list;
}

static bool
encode_array (ab_buf_t *out, const json_t *shown, bool (*encode)(ab_buf_t *, const json_t *)) {
  bool fits = true;
  ab_write_uint(out, json_array_size(shown));
  for (size_t i = 0; i < json_array_size(shown); i++) {
    ab_buf_t item = {0};
    fits = fits && encode(&item, json_array_get(shown, i));
    ab_write_bytes(out, ab_buf_slice(&item));
    ab_buf_destroy(&item);
  }
  return fits;
}

static json_t *
decode_uints (ab_reader_t *in) {
  return decode_array(in, 1, decode_uint);
}

static bool
encode_uints (ab_buf_t *out, const json_t *shown) {
  return encode_array(out, shown, encode_uint);
}

static json_t *
decode_keys (ab_reader_t *in) {
  return decode_array(in, 32, decode_fixed32);
}

static bool
encode_keys (ab_buf_t *out, const json_t *shown) {
  return encode_array(out, shown, encode_fixed32);
}

static json_t *
decode_strings (ab_reader_t *in) {
  return decode_array(in, 1, decode_string);
}

static bool
encode_strings (ab_buf_t *out, const json_t *shown) {
  return encode_array(out, shown, encode_string);
}

static json_t *
decode_words (ab_reader_t *in) {
  return decode_array(in, 4, decode_uint32);
}

static bool
encode_words (ab_buf_t *out, const json_t *shown) {
  return encode_array(out, shown, encode_uint32);
}

static json_t *
decode_frame (ab_reader_t *in, json_t *(*decode)(ab_reader_t *) ) {
  ab_reader_t frame = ab_read_frame(in);
  json_t *shown = decode(&frame);
  if (frame.err < 0) ab_reader_fail(in);
  return shown;
}

static bool
encode_frame (ab_buf_t *out, const json_t *shown, bool (*encode)(ab_buf_t *, const json_t *)) {
  ab_buf_t inner = {0};
  bool fits = encode(&inner, shown);
  ab_write_buffer(out, ab_buf_slice(&inner));
  ab_buf_destroy(&inner);
  return fits;
}

static json_t *
decode_uint_frame (ab_reader_t *in) {
  return decode_frame(in, decode_uint);
}

static bool
encode_uint_frame (ab_buf_t *out, const json_t *shown) {
  return encode_frame(out, shown, encode_uint);
}

static json_t *
decode_string_frame (ab_reader_t *in) {
  return decode_frame(in, decode_string);
}

static bool
encode_string_frame (ab_buf_t *out, const json_t *shown) {
  return encode_frame(out, shown, encode_string);
}

static const codec_t codecs[] = {
  {"uint", decode_uint, encode_uint},
  {"uint8", decode_uint8, encode_uint8},
  {"uint16", decode_uint16, encode_uint16},
  {"uint24", decode_uint24, encode_uint24},
  {"uint32", decode_uint32, encode_uint32},
  {"uint40", decode_uint40, encode_uint40},
  {"uint48", decode_uint48, encode_uint48},
  {"uint56", decode_uint56, encode_uint56},
  {"uint64", decode_uint64, encode_uint64},
  {"uint64be", decode_uint64be, encode_uint64be},
  {"int", decode_int, encode_int},
  {"bool", decode_bool, encode_bool},
  {"buffer", decode_buffer, encode_buffer},
  {"optionalBuffer", decode_optional_buffer, encode_buffer},
  {"raw", decode_raw, encode_raw},
  {"fixed32", decode_fixed32, encode_fixed32},
  {"fixed64", decode_fixed64, encode_fixed64},
  {"string", decode_string, encode_string},
  {"array of uint", decode_uints, encode_uints},
  {"array of fixed32", decode_keys, encode_keys},
  {"array of string", decode_strings, encode_strings},
  {"uint32array", decode_words, encode_words},
  {"frame of uint", decode_uint_frame, encode_uint_frame},
  {"frame of string", decode_string_frame, encode_string_frame},
};

static const codec_t *
find_codec (const char *name) {
  for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++) {
    if (strcmp(codecs[i].name, name) == 0) return &codecs[i];
  }
  return NULL;
}

static void
check_decoding (const codec_t *codec, const json_t *item, bool rejects) {
  ab_slice_t bytes = vectors_get_bytes(item, "hex");
  ab_reader_t in = ab_reader(bytes);
  json_t *shown = codec->decode(&in);
  if (rejects) {
    check_err("decoding", AB_ECORRUPT, in.err);
  } else if (check_err("decoding", 0, in.err)) {
    check_uint("consumed", vectors_get_uint(item, "consumed"), bytes.len - ab_reader_left(&in));
    const json_t *expected = vectors_get(item, "value");
    bool replaced = json_is_string(expected) && strstr(json_string_value(expected), "\xef\xbf\xbd") != NULL;
    if (!replaced) check_that(json_equal(expected, shown) == 1);
  }
  json_decref(shown);
}

static void
check_encoding (const codec_t *codec, const json_t *item, bool rejects) {
  ab_buf_t out = {0};
  bool fits = codec->encode(&out, vectors_get(item, "value"));
  if (rejects) {
    if (fits) check_err("encoding", AB_EINVAL, out.err);
  } else {
    check_that(fits);
    check_err("encoding", 0, out.err);
    ab_slice_t expected = vectors_get_bytes(item, "hex");
    if (expected.len > 0 || out.len > 0) check_bytes("bytes", expected, ab_buf_slice(&out));
  }
  ab_buf_destroy(&out);
}

static void
run_encodings (const char *file, json_t *root) {
  static const char *const lists[] = {"encode", "decode", "reject", "encodeReject"};
  const char *name;
  json_t *codec, *item;
  size_t i;
  (void) file;
  json_object_foreach(vectors_get(root, "codecs"), name, codec) {
    const codec_t *ours = find_codec(name);
    for (size_t list = 0; list < 4; list++) {
      json_array_foreach(vectors_get(codec, lists[list]), i, item) {
        vectors_begin(NULL, "codecs", "%s %s %zu", name, lists[list], i);
        if (ours == NULL) vectors_fail("no such codec");
        else if (list == 0 || list == 3) check_encoding(ours, item, list == 3);
        else check_decoding(ours, item, list == 2);
      }
    }
  }
}

int
main (int argc, char **argv) {
  static const vectors_runner_t runners[] = {{"compact-encoding.json", run_encodings}};
  return vectors_main(argc, argv, "hypercore", runners, 1);
}

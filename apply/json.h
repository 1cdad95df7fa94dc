/* json.h: the JSON that apply functions see: strict and the same on every peer.
 *
 *   {"put":{"k":"v"},"n":[1,2]}      a decoded text is one array of values in the order of the text; each
 *                                    knows how many values it spans, so the next one is that far on
 *     object  2 members  9 values
 *       string "put"                 a member is its name, then its value
 *       object  1 member   3 values
 *         string "k"
 *         string "v"
 *       string "n"
 *       array   2 items    3 values
 *         integer 1
 *         integer 2
 *
 * Two peers that decode the same bytes must come to the same result, today and in ten years: so this is ours,
 * and what RFC 8259 leaves open is decided here. Text is strict UTF-8; containers nest at most
 * AB_JSON_DEPTH_MAX deep; a name occurs once in an object; an integer that int64_t holds stays exact; other
 * numbers are the nearest double, and one that no double comes near is refused.
 *
 * Files      json.c decoding and looking up; json_write.c encoding; number.c, bignum.c numbers; utf8.h text
 * Invariant  a value spans itself and what it contains
 * To change  what is accepted: don't; verdicts on blocks that exist would change with it
 */
#ifndef AB_JSON_H
#define AB_JSON_H

#include "hypercore/ab.h"

#ifdef __cplusplus
extern "C" {
#endif

#define AB_JSON_DEPTH_MAX 64

typedef enum {
  AB_JSON_NULL,
  AB_JSON_BOOL,
  AB_JSON_INTEGER, /* written without fraction and exponent, and within int64_t */
  AB_JSON_NUMBER,  /* any other */
  AB_JSON_STRING,
  AB_JSON_ARRAY,
  AB_JSON_OBJECT
} ab_json_type_t;

typedef struct {
  ab_json_type_t type;
  uint32_t count; /* items of an array, members of an object, bytes of a string */
  uint32_t span;  /* values from this one to the end of what it contains: 1 or more */
  union {
    bool boolean;
    int64_t integer;
    double number;       /* never NaN or infinite */
    const uint8_t *text; /* of a string: `count` bytes, no final zero, may contain zeros */
  } as;
} ab_json_t;

/* Memory for one decoded text at a time, used again by the next. Starts from {0}; release with
 * ab_json_doc_destroy. */
typedef struct {
  const char *message; /* after a failed decode: what is wrong; static */
  size_t message_at;   /* and at which byte */
  ab_json_t *values;   /* private from here on */
  uint32_t value_count;
  size_t value_capacity;
  uint8_t *text;
  size_t text_len, text_capacity;
  uint8_t *encoded;
} ab_json_doc_t;

AB_API void
ab_json_doc_destroy (ab_json_doc_t *doc);

/* Of names that occur more than once in an object the last value counts, at the place of the first, as
 * ECMAScript's JSON.parse has it. Otherwise they are refused. */
#define AB_JSON_DUPLICATES 1u
/* Keep \ud800 to \udfff escapes that are no pair, as the three bytes that UTF-8 forbids for them; only the
 * ECMAScript form can be made of such a string. Otherwise they are refused. */
#define AB_JSON_LONE_SURROGATES 2u

/**
 * Decode `text`, which is one value with white space around it.
 *
 * text   strings without escapes point into it: it has to stay as long as the result is used
 * flags  AB_JSON_…, or 0
 * root   written only on success; valid until the next decode with `doc` or its end
 *
 * Takes time in proportion to the text (n log n for the names of one object), whatever it is, and memory
 * in proportion, too. Returns 0, AB_EINVAL (not JSON, or not by the rules above; see doc->message),
 * AB_ETOOBIG (4 GiB or more) or AB_ENOMEM.
 */
AB_API int
ab_json_decode (ab_json_doc_t *doc, ab_slice_t text, unsigned flags, const ab_json_t **root);

typedef enum {
  AB_JSON_CANONICAL, /* RFC 8785: names sorted by UTF-16 code units. AB_EINVAL for an integer beyond ±(2^53 -
                        1), which some readers would round, and for a lone surrogate */
  AB_JSON_ECMASCRIPT /* what JSON.stringify(JSON.parse(text)) gives: names that are array indices first, in
                        ascending order, the others as they stand; integers beyond ±2^53 as doubles */
} ab_json_form_t;

/** The text of `value`, without white space; valid until the next encode or decode with `doc` or its end.
 * Returns 0, AB_EINVAL as said above, or AB_ENOMEM. */
AB_API int
ab_json_encode (ab_json_doc_t *doc, const ab_json_t *value, ab_json_form_t form, ab_slice_t *text);

/** The bytes of a string. */
static inline ab_slice_t
ab_json_text (const ab_json_t *string) {
  return ab_slice(string->as.text, string->count);
}

/** The value of member `name`; NULL if there is none or `object` is no object. Looks at each name in turn: to
 * use most members of a large object, iterate. */
AB_API const ab_json_t *
ab_json_member (const ab_json_t *object, ab_slice_t name);

/** True for an integer, and for a number that is one (such as 1e3) and within ±(2^53 - 1). */
AB_API bool
ab_json_integer (const ab_json_t *value, int64_t *out);

/* What is left of a container to iterate over; nothing of a value that is none. */
typedef struct {
  const ab_json_t *next;
  uint32_t left;
} ab_json_iter_t;

static inline ab_json_iter_t
ab_json_iter (const ab_json_t *container) {
  bool is_container = container->type == AB_JSON_ARRAY || container->type == AB_JSON_OBJECT;
  ab_json_iter_t iter = {container + 1, is_container ? container->count : 0};
  return iter;
}

/** The next item of an array; false at its end. */
static inline bool
ab_json_next (ab_json_iter_t *iter, const ab_json_t **item) {
  if (iter->left == 0) return false;
  iter->left--;
  *item = iter->next;
  iter->next += iter->next->span;
  return true;
}

/** The next member of an object, in the order of the text; false at its end. */
static inline bool
ab_json_next_member (ab_json_iter_t *iter, ab_slice_t *name, const ab_json_t **value) {
  if (iter->left == 0) return false;
  iter->left--;
  *name = ab_json_text(iter->next);
  *value = iter->next + 1;
  iter->next = *value + (*value)->span;
  return true;
}

#ifdef __cplusplus
}
#endif

#endif

/* ab.h: the types, errors and environment that every layer shares.
 *
 * Part of the public interface: <autobee/autobee.h> includes it. C11, C++-safe, no foreign header.
 */
#ifndef AB_H
#define AB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define AB_API __attribute__((visibility("default")))
#define AB_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define AB_API
#define AB_PRINTF(fmt, args)
#endif

#define AB_VERSION_MAJOR 0
#define AB_VERSION_MINOR 1
#define AB_VERSION_PATCH 0

/** The library's version at run time: major << 16 | minor << 8 | patch. */
AB_API uint32_t
ab_version (void);

/* ---- errors: a function that can fail returns 0 or one of these ---- */

#define AB_ERROR_MAP(X) \
  X(NOTFOUND, -1001, "no such key, block, core or writer") \
  X(REMOTE, -1002, "a needed block is not stored here yet; fetch it and try again") \
  X(CORRUPT, -1003, "stored or received bytes do not decode or verify") \
  X(NOMEM, -1004, "out of memory") \
  X(INVAL, -1005, "an argument is not valid") \
  X(IO, -1006, "the disk or the operating system failed") \
  X(NOSPC, -1007, "no space left on the device; free some and try again") \
  X(BUSY, -1008, "this call is not allowed from inside a callback or while another one runs") \
  X(INUSE, -1009, "the store is in use by another process") \
  X(NOTSTORE, -1010, "not an autobee store") \
  X(VERSION, -1011, "written by a newer version; use a newer autobee to open it") \
  X(READONLY, -1012, "opened read-only") \
  X(NOTWRITABLE, -1013, "this peer is not a writer here; ask a writer to add it") \
  X(TOOBIG, -1014, "larger than the format or a limit allows") \
  X(REJECTED, -1015, "apply refused the batch") \
  X(HALTED, -1016, "apply halted; see the message, then try again") \
  X(CANCELED, -1017, "canceled") \
  X(CLOSED, -1018, "already closed") \
  X(END, -1019, "no more entries") \
  X(NOTSUP, -1020, "not supported by this version") \
  X(KEY, -1021, "wrong encryption key") \
  X(CONFLICT, -1022, "does not belong to what is stored here") \
  X(OPERATION, -1023, "the proof does not fit this core's tree") \
  X(CHECKSUM, -1024, "a hash in the proof contradicts a known one") \
  X(SIGNATURE, -1025, "the signature or manifest is not valid for this core") \
  X(PROOF, -1026, "the proof breaks a rule of the format") \
  X(INTERRUPTED, -1027, "apply interrupted the database; upgrade, then resume") \
  X(TIMEDOUT, -1028, "timed out") \
  X(INSYNC, -1029, "both sides have everything the other wanted") \
  X(DENIED, -1030, "not permitted by the operating system")

typedef enum {
#define X(name, code, text) AB_E##name = code,
  AB_ERROR_MAP(X)
#undef X
} ab_error_t;

/** A short English text for `err`; never NULL, static. */
AB_API const char *
ab_strerror (int err);

/** The symbolic name of `err`, for example "AB_ENOTFOUND"; never NULL, static. */
AB_API const char *
ab_err_name (int err);

/* ---- bytes ---- */

typedef struct {
  const uint8_t *data;
  size_t len;
} ab_slice_t; /* borrowed: somebody else's memory; pass by value, never free */

typedef struct {
  uint8_t bytes[32];
} ab_key_t;

typedef struct {
  ab_key_t key;
  uint64_t length; /* in blocks; 0: genesis */
} ab_head_t;

typedef struct {
  uint8_t public_key[32];
  uint8_t secret_key[64]; /* seed, then public key, as libsodium has it */
} ab_key_pair_t;

#define AB_HASH_LEN 32
#define AB_SIGNATURE_LEN 64
#define AB_KEY_TEXT_LEN 52
#define AB_MAX_SAFE 9007199254740991ull /* 2^53 - 1: no integer of the formats is larger */

static inline ab_slice_t
ab_slice (const void *data, size_t len) {
  ab_slice_t s = {(const uint8_t *) data, len};
  return s;
}

/** The bytes of a C string, without its final zero. */
static inline ab_slice_t
ab_text (const char *text) {
  return ab_slice(text, strlen(text));
}

static inline ab_slice_t
ab_key_slice (const ab_key_t *key) {
  return ab_slice(key->bytes, sizeof(key->bytes));
}

static inline bool
ab_slice_equal (ab_slice_t a, ab_slice_t b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/** Order as unsigned bytes, a prefix before its extensions: <0, 0, >0. */
static inline int
ab_slice_compare (ab_slice_t a, ab_slice_t b) {
  size_t len = a.len < b.len ? a.len : b.len;
  int order = len == 0 ? 0 : memcmp(a.data, b.data, len);
  if (order != 0) return order;
  return (a.len > b.len) - (a.len < b.len);
}

static inline bool
ab_key_equal (const ab_key_t *a, const ab_key_t *b) {
  return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static inline int
ab_key_compare (const ab_key_t *a, const ab_key_t *b) {
  return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

static inline bool
ab_head_equal (const ab_head_t *a, const ab_head_t *b) {
  return a->length == b->length && ab_key_equal(&a->key, &b->key);
}

/** Write `key` as 52 characters of z-base-32 and a final zero. */
AB_API void
ab_key_to_text (const ab_key_t *key, char out[AB_KEY_TEXT_LEN + 1]);

/**
 * Read a key from text: 52 characters of z-base-32 or 64 of hex, after an optional `pear://`, of which
 * everything from the next `/` on is dropped. Returns 0 or AB_EINVAL.
 */
AB_API int
ab_key_from_text (ab_slice_t text, ab_key_t *key);

/* ---- environment: time and randomness, so that a host can supply both ---- */

typedef struct {
  uint64_t (*now_ms)(void *data); /* wall clock, milliseconds since 1970 */
  void (*random)(void *data, uint8_t *out, size_t len);
  void *data;
} ab_env_t;

#ifdef __cplusplus
}
#endif

#endif

/* secretstream.h: frames, and the cipher in them after the handshake. Private to hypercore/net/. Pure.
 *
 *   frame     length, 3 bytes little endian ‖ body
 *   body 1    stream id 32 ‖ header 24                          the first one after the handshake
 *   body n    tag 1 ‖ encrypted message ‖ authenticator 16      libsodium's secretstream, one per message
 */
#ifndef AB_SECRETSTREAM_H
#define AB_SECRETSTREAM_H

#include "hypercore/buf.h"

#define AB__FRAME_PREFIX 3
#define AB__FRAME_MAX 16777215u
#define AB__HEADER_LEN 24
#define AB__HEADER_BODY 56 /* stream id and header */
#define AB__SEAL_BEFORE 1  /* the tag */
#define AB__SEAL_AFTER 16
#define AB__SEAL_LEN (AB__SEAL_BEFORE + AB__SEAL_AFTER)
#define AB__PLAIN_MAX (AB__FRAME_MAX - AB__SEAL_LEN)

/* ---- frames out of a byte stream ---- */

/* Starts from {0}. */
typedef struct {
  ab_buf_t partial; /* prefix and body so far of a frame that came in pieces */
  bool whole;       /* `partial` is the frame that was handed out */
} ab__deframer_t;

void
ab__deframer_destroy (ab__deframer_t *deframer);

/**
 * Take the next frame out of `in`, which is moved on; what is left of it when there is no whole frame is
 * kept.
 *
 * max      longest body that is acceptable now; longer ones are refused from their prefix
 * body     borrowed until the next call, from `in` or from the deframer
 * is_ours  the body is the deframer's and may be overwritten
 *
 * Returns 1, 0 (feed more), AB_ECORRUPT (too long) or AB_ENOMEM.
 */
int
ab__deframe (ab__deframer_t *deframer, ab_slice_t *in, size_t max, ab_slice_t *body, uint8_t **is_ours);

/** Give back memory above `keep` bytes if no frame is under way. */
void
ab__deframer_trim (ab__deframer_t *deframer, size_t keep);

/** Append a frame that is not encrypted. */
void
ab__frame_write (ab_buf_t *out, ab_slice_t body);

/* ---- one direction of the cipher ---- */

typedef struct {
  uint8_t state[52]; /* libsodium's; nothing in it needs aligning */
} ab__cipher_t;

/** The id that a side puts in front of its header. */
void
ab__stream_id (uint8_t out[32], const uint8_t handshake_hash[64], bool is_initiator);

/** Begin a direction, sending or receiving: the states are the same. */
void
ab__cipher_init (ab__cipher_t *cipher, const uint8_t key[32], const uint8_t header[AB__HEADER_LEN]);

/** Append the frame that begins a direction. */
void
ab__header_write (ab_buf_t *out, const uint8_t id[32], const uint8_t header[AB__HEADER_LEN]);
/** Check that it is for us and begin the direction. Returns 0 or AB_ECORRUPT. */
int
ab__header_read (ab_slice_t body, const uint8_t id[32], const uint8_t key[32], ab__cipher_t *cipher);

/** Room for the front of a message that will be appended to `out`; returns where it is, for ab__seal. */
size_t
ab__seal_begin (ab_buf_t *out);
/**
 * What was appended since ab__seal_begin becomes one encrypted frame, in place. Returns 0, AB_ETOOBIG or
 * AB_ENOMEM (also one that stuck in `out`), and then `out` is as it was before.
 */
int
ab__seal_end (ab__cipher_t *cipher, ab_buf_t *out, size_t begin);

/** Decrypt a body into `plain`, which has room for body.len bytes and may be body.data + AB__SEAL_BEFORE.
 * Returns 0 and the length, or AB_ECORRUPT. */
int
ab__unseal (ab__cipher_t *cipher, ab_slice_t body, uint8_t *plain, size_t *len);

#endif

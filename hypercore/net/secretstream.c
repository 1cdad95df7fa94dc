/* secretstream.c: frames and their cipher. */
#include "hypercore/net/secretstream.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#include "hypercore/crypto.h"

#define FIRST_BYTES 4096

typedef crypto_secretstream_xchacha20poly1305_state sodium_state_t;

_Static_assert(sizeof(sodium_state_t) == sizeof(ab__cipher_t), "the state is libsodium's");
_Static_assert(crypto_secretstream_xchacha20poly1305_HEADERBYTES == AB__HEADER_LEN, "header");
_Static_assert(crypto_secretstream_xchacha20poly1305_ABYTES == AB__SEAL_LEN, "overhead");

/* ---- frames ---- */

void
ab__deframer_destroy (ab__deframer_t *deframer) {
  ab_buf_destroy(&deframer->partial);
}

void
ab__deframer_trim (ab__deframer_t *deframer, size_t keep) {
  if (deframer->whole) {
    ab_buf_reset(&deframer->partial);
    deframer->whole = false;
  }
  if (deframer->partial.len == 0 && deframer->partial.capacity > keep) ab_buf_destroy(&deframer->partial);
}

static size_t
body_length (const uint8_t *prefix) {
  return (size_t) prefix[0] | (size_t) prefix[1] << 8 | (size_t) prefix[2] << 16;
}

/* Room for `needed` bytes of a frame of `total`: grown as bytes come, never past the frame's end. */
static int
reserve (ab_buf_t *buf, size_t needed, size_t total) {
  if (needed <= buf->capacity) return 0;
  size_t capacity = buf->capacity < FIRST_BYTES ? FIRST_BYTES : 2 * buf->capacity;
  if (capacity > total) capacity = total;
  if (capacity < needed) capacity = needed;
  uint8_t *data = realloc(buf->data, capacity);
  if (data == NULL) return AB_ENOMEM;
  buf->data = data;
  buf->capacity = capacity;
  return 0;
}

/* Move bytes into the partial frame, until it has `total`. Returns 0 or AB_ENOMEM. */
static int
keep (ab__deframer_t *deframer, ab_slice_t *in, size_t total) {
  ab_buf_t *partial = &deframer->partial;
  size_t want = total - partial->len, len = in->len < want ? in->len : want;
  int err = reserve(partial, partial->len + len, total);
  if (err < 0) return err;
  ab_buf_append(partial, ab_slice(in->data, len));
  *in = ab_slice(in->data + len, in->len - len);
  return partial->err;
}

int
ab__deframe (ab__deframer_t *deframer, ab_slice_t *in, size_t max, ab_slice_t *body, uint8_t **is_ours) {
  ab_buf_t *partial = &deframer->partial;
  size_t len;
  int err;

  *is_ours = NULL;
  if (deframer->whole) {
    ab_buf_reset(partial);
    deframer->whole = false;
  }
  if (in->len == 0) return 0;
  if (partial->len == 0 && in->len >= AB__FRAME_PREFIX) {
    len = body_length(in->data);
    if (len > max) return AB_ECORRUPT;
    if (in->len - AB__FRAME_PREFIX >= len) {
      *body = ab_slice(in->data + AB__FRAME_PREFIX, len);
      *in = ab_slice(body->data + len, in->len - AB__FRAME_PREFIX - len);
      return 1;
    }
  }
  if (partial->len < AB__FRAME_PREFIX) {
    if ((err = keep(deframer, in, AB__FRAME_PREFIX)) < 0) return err;
    if (partial->len < AB__FRAME_PREFIX) return 0;
  }
  len = body_length(partial->data);
  if (len > max) return AB_ECORRUPT;
  if ((err = keep(deframer, in, AB__FRAME_PREFIX + len)) < 0) return err;
  if (partial->len < AB__FRAME_PREFIX + len) return 0;
  *is_ours = partial->data + AB__FRAME_PREFIX;
  *body = ab_slice(*is_ours, len);
  deframer->whole = true;
  return 1;
}

static void
put_length (uint8_t *prefix, size_t len) {
  assert(len <= AB__FRAME_MAX);
  for (int i = 0; i < AB__FRAME_PREFIX; i++) prefix[i] = (uint8_t) (len >> (8 * i));
}

void
ab__frame_write (ab_buf_t *out, ab_slice_t body) {
  uint8_t *at = ab_buf_extend(out, AB__FRAME_PREFIX + body.len);
  if (at == NULL) return;
  put_length(at, body.len);
  if (body.len > 0) memcpy(at + AB__FRAME_PREFIX, body.data, body.len);
}

/* ---- the cipher ---- */

void
ab__stream_id (uint8_t out[32], const uint8_t handshake_hash[64], bool is_initiator) {
  uint8_t ns[32];
  ab_namespace(ns, "hyperswarm/secret-stream", is_initiator ? 0 : 1);
  crypto_generichash_blake2b(out, 32, ns, sizeof(ns), handshake_hash, 64);
}

void
ab__cipher_init (ab__cipher_t *cipher, const uint8_t key[32], const uint8_t header[AB__HEADER_LEN]) {
  /* As a receiver, also to send: libsodium's own way to begin sending takes the header from the system's
   * random source, and ours comes from the store's. */
  crypto_secretstream_xchacha20poly1305_init_pull((sodium_state_t *) (void *) cipher->state, header, key);
}

void
ab__header_write (ab_buf_t *out, const uint8_t id[32], const uint8_t header[AB__HEADER_LEN]) {
  uint8_t body[AB__HEADER_BODY];
  memcpy(body, id, 32);
  memcpy(body + 32, header, AB__HEADER_LEN);
  ab__frame_write(out, ab_slice(body, sizeof(body)));
}

int
ab__header_read (ab_slice_t body, const uint8_t id[32], const uint8_t key[32], ab__cipher_t *cipher) {
  if (body.len != AB__HEADER_BODY || memcmp(body.data, id, 32) != 0) return AB_ECORRUPT;
  ab__cipher_init(cipher, key, body.data + 32);
  return 0;
}

size_t
ab__seal_begin (ab_buf_t *out) {
  size_t begin = out->len;
  ab_buf_extend(out, AB__FRAME_PREFIX + AB__SEAL_BEFORE);
  return begin;
}

int
ab__seal_end (ab__cipher_t *cipher, ab_buf_t *out, size_t begin) {
  int err = 0;
  ab_buf_extend(out, AB__SEAL_AFTER);
  if (out->err == 0) {
    size_t body = out->len - begin - AB__FRAME_PREFIX;
    if (body <= AB__FRAME_MAX) {
      uint8_t *at = out->data + begin;
      put_length(at, body);
      at += AB__FRAME_PREFIX;
      /* In place: the message lies where its ciphertext goes. */
      crypto_secretstream_xchacha20poly1305_push(
        (sodium_state_t *) (void *) cipher->state,
        at,
        NULL,
        at + AB__SEAL_BEFORE,
        body - AB__SEAL_LEN,
        NULL,
        0,
        crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
      );
      return 0;
    }
    err = AB_ETOOBIG;
  } else {
    err = out->err;
    out->err = 0;
  }
  out->len = begin;
  return err;
}

int
ab__unseal (ab__cipher_t *cipher, ab_slice_t body, uint8_t *plain, size_t *len) {
  unsigned long long plain_len = 0;
  unsigned char tag;
  if (body.len < AB__SEAL_LEN) return AB_ECORRUPT;
  if (crypto_secretstream_xchacha20poly1305_pull(
        (sodium_state_t *) (void *) cipher->state, plain, &plain_len, &tag, body.data, body.len, NULL, 0
      ) != 0) {
    return AB_ECORRUPT;
  }
  *len = (size_t) plain_len;
  return 0;
}

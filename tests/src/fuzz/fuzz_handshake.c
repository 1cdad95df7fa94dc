/* fuzz_handshake.c: handshake messages, and the frames that follow, cut anywhere.
 *
 *   first byte   0 message 1 to a responder, 1 message 2 to an initiator, 2 message 3 to a responder;
 *                3 and above: frames to the receiver of a recorded session, fed in pieces of so many bytes
 */
#include <stdlib.h>

#include "hypercore/crypto.h"
#include "hypercore/net/noise.h"
#include "hypercore/net/secretstream.h"
#include "support/vectors.h"

#include "fuzz.h"

static void
pair_of (ab_key_pair_t *pair, uint8_t fill) {
  uint8_t seed[32];
  memset(seed, fill, sizeof(seed));
  ab_key_pair_from_seed(pair, seed);
}

/* Both sides, after `steps` messages. */
static void
shake (ab__noise_t sides[2], int steps) {
  for (int i = 0; i < 2; i++) {
    ab_key_pair_t s, e;
    pair_of(&s, (uint8_t) (1 + i));
    pair_of(&e, (uint8_t) (3 + i));
    ab__noise_init(&sides[i], i == 0, &s, &e);
  }
  for (int step = 0; step < steps; step++) {
    ab_buf_t message = {0};
    if (ab__noise_write(&sides[step % 2], ab_slice(NULL, 0), &message) != 0) abort();
    if (ab__noise_read(&sides[1 - step % 2], ab_buf_slice(&message)) != 0) abort();
    ab_buf_destroy(&message);
  }
}

static void
try_handshake (int step, ab_slice_t message) {
  ab__noise_t sides[2];
  shake(sides, step);
  ab__noise_t *receiver = &sides[1 - step % 2];
  if (ab__noise_read(receiver, message) != 0) return;
  fuzz_accepted();
  if (ab__noise_writes(receiver)) {
    ab_buf_t answer = {0};
    ab__noise_write(receiver, ab_slice(NULL, 0), &answer);
    ab_buf_destroy(&answer);
  }
}

/* The session that seeds are made for: keys of our own handshake. */
static const uint8_t header[AB__HEADER_LEN] = {7};

static void
try_frames (size_t piece, ab_slice_t bytes) {
  ab__noise_t sides[2];
  ab__deframer_t deframer = {0};
  ab__cipher_t cipher;
  uint8_t id[32];
  bool begun = false;
  shake(sides, 3);
  ab__stream_id(id, ab__noise_hash(&sides[0]), true);
  for (size_t at = 0; at < bytes.len;) {
    size_t len = bytes.len - at < piece ? bytes.len - at : piece;
    ab_slice_t in = ab_slice(bytes.data + at, len), body;
    uint8_t *ours;
    int got;
    while ((got = ab__deframe(&deframer, &in, begun ? AB__FRAME_MAX : AB__HEADER_BODY, &body, &ours)) == 1) {
      size_t plain_len;
      if (!begun) {
        if (ab__header_read(body, id, sides[1].rx, &cipher) != 0) goto done;
        begun = true;
        continue;
      }
      uint8_t *plain = ours != NULL ? ours + AB__SEAL_BEFORE : malloc(body.len + 1);
      int err = ab__unseal(&cipher, body, plain, &plain_len);
      if (ours == NULL) free(plain);
      if (err != 0) goto done;
      if (plain_len + AB__SEAL_LEN != body.len) abort();
      fuzz_accepted();
    }
    if (got < 0) break;
    if (in.len != 0) abort();
    at += len;
  }
done:
  ab__deframer_destroy(&deframer);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  ab_crypto_init();
  ab_slice_t rest = ab_slice(data + 1, size - 1);
  if (data[0] < 3) try_handshake(data[0], rest);
  else try_frames(data[0] - 2u, rest);
  return 0;
}

void
fuzz_seeds (void) {
  ab_crypto_init();
  for (uint8_t step = 0; step < 3; step++) {
    ab__noise_t sides[2];
    ab_buf_t seed = {0};
    shake(sides, step);
    ab_buf_append(&seed, ab_slice(&step, 1));
    ab__noise_write(&sides[step % 2], ab_slice(NULL, 0), &seed);
    fuzz_seed(ab_buf_slice(&seed));
    ab_buf_destroy(&seed);
  }
  for (uint8_t piece = 3; piece < 250; piece = (uint8_t) (piece + 60)) {
    ab__noise_t sides[2];
    ab_buf_t seed = {0};
    ab__cipher_t cipher;
    uint8_t id[32];
    shake(sides, 3);
    ab_buf_append(&seed, ab_slice(&piece, 1));
    ab__stream_id(id, ab__noise_hash(&sides[0]), true);
    ab__header_write(&seed, id, header);
    ab__cipher_init(&cipher, sides[0].tx, header);
    for (size_t len = 0; len < 300; len += 97) {
      size_t begin = ab__seal_begin(&seed);
      uint8_t *plain = ab_buf_extend(&seed, len);
      if (plain != NULL && len > 0) memset(plain, 0x55, len);
      ab__seal_end(&cipher, &seed, begin);
    }
    fuzz_seed(ab_buf_slice(&seed));
    ab_buf_destroy(&seed);
  }
}

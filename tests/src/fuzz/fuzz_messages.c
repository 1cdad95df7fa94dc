/* fuzz_messages.c: what is said on core and wakeup channels. The first byte says which message; what decodes
 * must encode to something that decodes to the same. */
#include <stdlib.h>

#include "hypercore/net/messages.h"
#include "hypercore/proof.h"
#include "support/vectors.h"

#include "fuzz.h"

enum { HANDSHAKE = 10, WAKEUP = 16, WAKEUP_HANDSHAKE = 19, KINDS = 20 };

static int
again (uint8_t kind, ab_slice_t in, ab_buf_t *out) {
  ab_arena_t arena = {0};
  union {
    ab__core_handshake_t handshake;
    ab__sync_t sync;
    ab_request_t request;
    ab__no_data_t no_data;
    ab__want_t want;
    ab__bits_t bits;
    ab__range_msg_t range;
    ab__extension_t extension;
    ab__wakeup_handshake_t wakeup;
    ab__lookup_t lookup;
    uint64_t id;
    bool active;
  } m;
  ab_proof_t proof;
  ab_reader_t reader;
  size_t count;
  int err;
  switch (kind) {
  case AB__SYNC:
    if ((err = ab__sync_decode(in, &m.sync)) == 0) ab__sync_encode(out, &m.sync);
    return err;
  case AB__REQUEST:
    if ((err = ab_request_decode(in, &m.request)) == 0) ab_request_encode(out, &m.request);
    return err;
  case AB__CANCEL:
    if ((err = ab__cancel_decode(in, &m.id)) == 0) ab__cancel_encode(out, m.id);
    return err;
  case AB__DATA:
    if ((err = ab_proof_decode(in, &arena, &proof)) == 0) ab_proof_encode(out, &proof);
    ab_arena_destroy(&arena);
    return err;
  case AB__NO_DATA:
    if ((err = ab__no_data_decode(in, &m.no_data)) == 0) ab__no_data_encode(out, &m.no_data);
    return err;
  case AB__WANT:
  case AB__UNWANT:
    if ((err = ab__want_decode(in, &m.want)) == 0) ab__want_encode(out, &m.want);
    return err;
  case AB__BITFIELD:
    if ((err = ab__bits_decode(in, &m.bits)) == 0) ab__bits_encode(out, &m.bits);
    return err;
  case AB__RANGE:
    if ((err = ab__range_decode(in, &m.range)) == 0) ab__range_encode(out, &m.range);
    return err;
  case AB__EXTENSION:
    if ((err = ab__extension_decode(in, &m.extension)) == 0) ab__extension_encode(out, &m.extension);
    return err;
  case HANDSHAKE:
    if ((err = ab__core_handshake_decode(in, &m.handshake)) == 0)
      ab__core_handshake_encode(out, &m.handshake);
    return err;
  case WAKEUP + AB__LOOKUP:
    if ((err = ab__lookup_decode(in, &m.lookup)) == 0) ab__lookup_encode(out, &m.lookup);
    return err;
  case WAKEUP + AB__ANNOUNCE:
    if ((err = ab__announce_decode(in, &reader, &count)) < 0) return err;
    ab_write_uint(out, count);
    for (size_t i = 0; i < count; i++) {
      ab_head_t head;
      ab__announce_read(&reader, &head);
      ab_write_key(out, &head.key);
      ab_write_uint(out, head.length);
    }
    if (reader.err != 0) abort();
    return 0;
  case WAKEUP + AB__INFO:
    if ((err = ab__info_decode(in, &m.active)) == 0) ab__info_encode(out, m.active);
    return err;
  case WAKEUP_HANDSHAKE:
    if ((err = ab__wakeup_handshake_decode(in, &m.wakeup)) == 0) ab__wakeup_handshake_encode(out, &m.wakeup);
    return err;
  default:
    return AB_ECORRUPT;
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size) {
  ab_buf_t once = {0}, twice = {0};
  if (size == 0) return 0;
  uint8_t kind = data[0] % KINDS;
  if (again(kind, ab_slice(data + 1, size - 1), &once) == 0) {
    fuzz_accepted();
    if (again(kind, ab_buf_slice(&once), &twice) != 0) abort();
    if (!ab_slice_equal(ab_buf_slice(&once), ab_buf_slice(&twice))) abort();
  }
  ab_buf_destroy(&once);
  ab_buf_destroy(&twice);
  return 0;
}

static const char *const core_names[] = {
  "sync",
  "request",
  "cancel",
  "data",
  "noData",
  "want",
  "unwant",
  "bitfield",
  "range",
  "extension",
  "handshake"};
static const char *const wakeup_names[] = {"lookup", "announce", "info", "handshake"};

static void
seed_list (const json_t *list, uint8_t kind) {
  size_t i;
  json_t *item;
  json_array_foreach(list, i, item) {
    ab_buf_t seed = {0};
    ab_buf_append(&seed, ab_slice(&kind, 1));
    ab_buf_append(&seed, vectors_get_bytes(item, "bytes"));
    fuzz_seed(ab_buf_slice(&seed));
    ab_buf_destroy(&seed);
  }
}

static void
seed_file (const char *file, json_t *root, void *data) {
  const json_t *messages = vectors_get(root, "messages");
  (void) data;
  if (strstr(file, "wakeup") != NULL) {
    for (uint8_t i = 0; i < 4; i++) seed_list(vectors_get(messages, wakeup_names[i]), (uint8_t) (WAKEUP + i));
  } else {
    for (uint8_t i = 0; i < 11; i++) seed_list(vectors_get(messages, core_names[i]), i);
  }
}

void
fuzz_seeds (void) {
  vectors_each("replication", "messages.json", seed_file, NULL);
  vectors_each("replication", "wakeup.json", seed_file, NULL);
}

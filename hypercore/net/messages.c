/* messages.c: codecs. */
#include "hypercore/net/messages.h"

enum { SEEKS = 1 };
enum { CAN_UPGRADE = 1, UPLOADING = 2, DOWNLOADING = 4, HAS_MANIFEST = 8, ALLOW_PUSH = 16 };
enum { REASON = 1 };
enum { ANY = 1 };
enum { DROP = 1, ONE = 2 };
enum { HASH = 1 };
enum { ACTIVE = 1 };

#define HEAD_MIN 33

static void
read_fixed32 (ab_reader_t *in, uint8_t out[32]) {
  ab_slice_t bytes = ab_read_bytes(in, 32);
  if (bytes.data != NULL) memcpy(out, bytes.data, 32);
  else memset(out, 0, 32);
}

/* ---- a core ---- */

int
ab__core_handshake_decode (ab_slice_t message, ab__core_handshake_t *out) {
  ab_reader_t in = ab_reader(message);
  out->seeks = (ab_read_uint(&in) & SEEKS) != 0;
  read_fixed32(&in, out->capability);
  return in.err;
}

void
ab__core_handshake_encode (ab_buf_t *out, const ab__core_handshake_t *handshake) {
  ab_write_uint(out, handshake->seeks ? SEEKS : 0);
  ab_write_bytes(out, ab_slice(handshake->capability, 32));
}

int
ab__sync_decode (ab_slice_t message, ab__sync_t *out) {
  ab_reader_t in = ab_reader(message);
  uint64_t flags = ab_read_uint(&in);
  *out = (ab__sync_t){
    .can_upgrade = (flags & CAN_UPGRADE) != 0,
    .uploading = (flags & UPLOADING) != 0,
    .downloading = (flags & DOWNLOADING) != 0,
    .has_manifest = (flags & HAS_MANIFEST) != 0,
    .allow_push = (flags & ALLOW_PUSH) != 0,
  };
  out->fork = ab_read_uint(&in);
  out->length = ab_read_uint(&in);
  out->remote_length = ab_read_uint(&in);
  return in.err;
}

void
ab__sync_encode (ab_buf_t *out, const ab__sync_t *sync) {
  uint64_t flags = 0;
  if (sync->can_upgrade) flags |= CAN_UPGRADE;
  if (sync->uploading) flags |= UPLOADING;
  if (sync->downloading) flags |= DOWNLOADING;
  if (sync->has_manifest) flags |= HAS_MANIFEST;
  if (sync->allow_push) flags |= ALLOW_PUSH;
  ab_write_uint(out, flags);
  ab_write_uint(out, sync->fork);
  ab_write_uint(out, sync->length);
  ab_write_uint(out, sync->remote_length);
}

int
ab__cancel_decode (ab_slice_t message, uint64_t *request) {
  ab_reader_t in = ab_reader(message);
  *request = ab_read_uint(&in);
  return in.err;
}

void
ab__cancel_encode (ab_buf_t *out, uint64_t request) {
  ab_write_uint(out, request);
}

int
ab__no_data_decode (ab_slice_t message, ab__no_data_t *out) {
  ab_reader_t in = ab_reader(message);
  out->request = ab_read_uint(&in);
  uint64_t flags = in.err == 0 && ab_reader_left(&in) > 0 ? ab_read_uint(&in) : 0;
  out->reason = (flags & REASON) != 0 ? ab_read_uint(&in) : AB__NOT_GIVEN;
  return in.err;
}

void
ab__no_data_encode (ab_buf_t *out, const ab__no_data_t *no_data) {
  ab_write_uint(out, no_data->request);
  ab_write_uint(out, no_data->reason != AB__NOT_GIVEN ? REASON : 0);
  if (no_data->reason != AB__NOT_GIVEN) ab_write_uint(out, no_data->reason);
}

int
ab__want_decode (ab_slice_t message, ab__want_t *out) {
  ab_reader_t in = ab_reader(message);
  out->start = ab_read_uint(&in);
  out->length = ab_read_uint(&in);
  uint64_t flags = in.err == 0 && ab_reader_left(&in) > 0 ? ab_read_uint(&in) : 0;
  out->any = (flags & ANY) != 0;
  return in.err;
}

void
ab__want_encode (ab_buf_t *out, const ab__want_t *want) {
  ab_write_uint(out, want->start);
  ab_write_uint(out, want->length);
  if (want->any) ab_write_uint(out, ANY);
}

int
ab__bits_decode (ab_slice_t message, ab__bits_t *out) {
  ab_reader_t in = ab_reader(message);
  out->start = ab_read_uint(&in);
  size_t count = ab_read_count(&in, 4);
  out->words = ab_read_bytes(&in, 4 * count);
  return in.err;
}

void
ab__bits_encode (ab_buf_t *out, const ab__bits_t *bits) {
  ab_write_uint(out, bits->start);
  ab_write_uint(out, bits->words.len / 4);
  ab_write_bytes(out, bits->words);
}

int
ab__range_decode (ab_slice_t message, ab__range_msg_t *out) {
  ab_reader_t in = ab_reader(message);
  uint64_t flags = ab_read_uint(&in);
  out->drop = (flags & DROP) != 0;
  out->start = ab_read_uint(&in);
  out->length = (flags & ONE) != 0 ? 1 : ab_read_uint(&in);
  return in.err;
}

void
ab__range_encode (ab_buf_t *out, const ab__range_msg_t *range) {
  ab_write_uint(out, (uint64_t) (range->drop ? DROP : 0) | (uint64_t) (range->length == 1 ? ONE : 0));
  ab_write_uint(out, range->start);
  if (range->length != 1) ab_write_uint(out, range->length);
}

int
ab__extension_decode (ab_slice_t message, ab__extension_t *out) {
  ab_reader_t in = ab_reader(message);
  out->name = ab_read_buffer(&in);
  out->message = ab_read_bytes(&in, ab_reader_left(&in));
  return in.err;
}

void
ab__extension_encode (ab_buf_t *out, const ab__extension_t *extension) {
  ab_write_buffer(out, extension->name);
  ab_write_bytes(out, extension->message);
}

/* ---- wakeup ---- */

int
ab__wakeup_handshake_decode (ab_slice_t message, ab__wakeup_handshake_t *out) {
  ab_reader_t in = ab_reader(message);
  out->version = ab_read_uint(&in);
  read_fixed32(&in, out->capability);
  out->active = (ab_read_uint(&in) & ACTIVE) != 0;
  return in.err;
}

void
ab__wakeup_handshake_encode (ab_buf_t *out, const ab__wakeup_handshake_t *handshake) {
  ab_write_uint(out, handshake->version);
  ab_write_bytes(out, ab_slice(handshake->capability, 32));
  ab_write_uint(out, handshake->active ? ACTIVE : 0);
}

int
ab__lookup_decode (ab_slice_t message, ab__lookup_t *out) {
  ab_reader_t in = ab_reader(message);
  *out = (ab__lookup_t){.has_hash = (ab_read_uint(&in) & HASH) != 0};
  if (out->has_hash) read_fixed32(&in, out->hash);
  return in.err;
}

void
ab__lookup_encode (ab_buf_t *out, const ab__lookup_t *lookup) {
  ab_write_uint(out, lookup->has_hash ? HASH : 0);
  if (lookup->has_hash) ab_write_bytes(out, ab_slice(lookup->hash, 32));
}

int
ab__info_decode (ab_slice_t message, bool *active) {
  ab_reader_t in = ab_reader(message);
  *active = (ab_read_uint(&in) & ACTIVE) != 0;
  return in.err;
}

void
ab__info_encode (ab_buf_t *out, bool active) {
  ab_write_uint(out, active ? ACTIVE : 0);
}

void
ab__announce_encode (ab_buf_t *out, const ab_head_t *heads, size_t count) {
  ab_write_uint(out, count);
  for (size_t i = 0; i < count; i++) {
    ab_write_key(out, &heads[i].key);
    ab_write_uint(out, heads[i].length);
  }
}

void
ab__announce_read (ab_reader_t *in, ab_head_t *head) {
  ab_read_key(in, &head->key);
  head->length = ab_read_uint(in);
}

int
ab__announce_decode (ab_slice_t message, ab_reader_t *in, size_t *count) {
  ab_head_t head;
  *in = ab_reader(message);
  *count = ab_read_count(in, HEAD_MIN);
  ab_reader_t check = *in;
  for (size_t i = 0; i < *count && check.err == 0; i++) ab__announce_read(&check, &head);
  in->err = check.err;
  return check.err;
}

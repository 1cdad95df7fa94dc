/* oplog.c: the codec of oplog messages. */
#include "autobee/oplog.h"

#include "autobee/record.h"
#include "hypercore/encoding.h"

enum {
  HAS_BATCH = 1,
  HAS_VIEWS = 2,
  HAS_VIEW_RANGE = 4,
  IS_OPTIMISTIC = 8,
  HAS_VALUE = 16,
  HAS_WITNESS = 32,
  HAS_ATTESTATIONS = 64,
  HAS_TRUSTED = 128
};

/* What the shortest item of a list takes, its frame's length included: a shorter one is an error anyway. */
#define ATTESTATION_MIN_LEN (1 + 32 + 1 + AB_SIGNATURE_LEN)
#define TRUSTED_MIN_LEN (1 + 32 + 1 + 1)

/* ---- decoding ---- */

static void
read_range (ab_reader_t *in, oplog_range_t *out) {
  ab_read_key(in, &out->key);
  out->start = ab_read_uint(in);
  out->length = ab_read_uint(in);
}

static void
read_signature (ab_reader_t *in, uint8_t out[AB_SIGNATURE_LEN]) {
  ab_slice_t bytes = ab_read_bytes(in, AB_SIGNATURE_LEN);
  if (bytes.data != NULL) memcpy(out, bytes.data, AB_SIGNATURE_LEN);
}

/* What goes wrong inside a frame goes wrong outside too. */
static void
end_frame (ab_reader_t *in, const ab_reader_t *frame) {
  if (frame->err < 0) ab_reader_fail(in);
}

static void
read_witness (ab_reader_t *in, oplog_witness_t *out) {
  ab_reader_t witness = ab_read_frame(in);
  out->weight = ab_read_uint(&witness);
  ab_reader_t backer = ab_read_frame(&witness);
  autobee__read_link(&backer, &out->backer);
  read_signature(&backer, out->signature);
  out->manifest = ab_read_buffer(&backer);
  end_frame(&witness, &backer);
  end_frame(in, &witness);
}

static int
read_attestations (ab_reader_t *in, ab_arena_t *arena, oplog_message_t *out) {
  size_t count = ab_read_count(in, ATTESTATION_MIN_LEN);
  if (count == 0) return in->err;

  oplog_attestation_t *list = ab_arena_alloc(arena, count, sizeof(*list));
  if (list == NULL) return AB_ENOMEM;
  for (size_t i = 0; i < count; i++) {
    ab_reader_t frame = ab_read_frame(in);
    ab_read_key(&frame, &list[i].subject);
    list[i].weight = ab_read_uint(&frame);
    read_signature(&frame, list[i].signature);
    end_frame(in, &frame);
  }
  out->attestations = list;
  out->attestation_count = count;
  return in->err;
}

static int
read_trusted (ab_reader_t *in, ab_arena_t *arena, oplog_message_t *out) {
  size_t count = ab_read_count(in, TRUSTED_MIN_LEN);
  if (count == 0) return in->err;

  oplog_trusted_t *list = ab_arena_alloc(arena, count, sizeof(*list));
  if (list == NULL) return AB_ENOMEM;
  for (size_t i = 0; i < count; i++) {
    ab_reader_t frame = ab_read_frame(in);
    autobee__read_link(&frame, &list[i].head);
    list[i].flushes = ab_read_uint(&frame);
    end_frame(in, &frame);
  }
  out->trusted = list;
  out->trusted_count = count;
  return in->err;
}

int
autobee__oplog_decode (ab_slice_t block, ab_arena_t *arena, oplog_message_t *out) {
  ab_reader_t in = ab_reader(block);
  int err;

  memset(out, 0, sizeof(*out));
  uint64_t version = ab_read_uint(&in);
  if (in.err < 0) return in.err;
  if (version > OPLOG_VERSION) return AB_EVERSION;
  if (version < OPLOG_VERSION) return AB_ENOTSUP;

  out->timestamp_ms = ab_read_uint(&in);
  if ((err = autobee__read_links(&in, arena, &out->links, &out->link_count)) < 0) return err;
  uint64_t flags = ab_read_uint(&in);

  out->has_views = (flags & HAS_VIEWS) != 0;
  out->has_view_range = out->has_views && (flags & HAS_VIEW_RANGE) != 0;
  out->optimistic = (flags & IS_OPTIMISTIC) != 0;
  out->has_value = (flags & HAS_VALUE) != 0;
  out->has_witness = (flags & HAS_WITNESS) != 0;
  out->has_attestations = (flags & HAS_ATTESTATIONS) != 0;
  out->has_trusted = (flags & HAS_TRUSTED) != 0;

  if ((flags & HAS_BATCH) != 0) {
    out->batch_start = ab_read_uint(&in);
    out->batch_end = ab_read_uint(&in);
  }
  if (out->has_views) {
    out->flushes = ab_read_uint(&in);
    read_range(&in, &out->system);
  }
  if (out->has_view_range) read_range(&in, &out->view);
  if (out->has_value) out->value = ab_read_buffer(&in);
  if (out->has_witness) read_witness(&in, &out->witness);
  if (out->has_attestations && (err = read_attestations(&in, arena, out)) < 0) return err;
  if (out->has_trusted && (err = read_trusted(&in, arena, out)) < 0) return err;
  return in.err;
}

/* ---- encoding ---- */

static bool
has_batch (const oplog_message_t *message) {
  return message->batch_start != 0 || message->batch_end != 0;
}

static uint64_t
message_flags (const oplog_message_t *message) {
  uint64_t flags = 0;
  if (has_batch(message)) flags |= HAS_BATCH;
  if (message->has_views) flags |= HAS_VIEWS;
  if (message->has_views && message->has_view_range) flags |= HAS_VIEW_RANGE;
  if (message->optimistic) flags |= IS_OPTIMISTIC;
  if (message->has_value) flags |= HAS_VALUE;
  if (message->has_witness) flags |= HAS_WITNESS;
  if (message->has_attestations) flags |= HAS_ATTESTATIONS;
  if (message->has_trusted) flags |= HAS_TRUSTED;
  return flags;
}

static void
write_range (ab_buf_t *out, const oplog_range_t *range) {
  ab_write_key(out, &range->key);
  ab_write_uint(out, range->start);
  ab_write_uint(out, range->length);
}

static size_t
link_size (const ab_head_t *link) {
  return sizeof(link->key) + ab_uint_size(link->length);
}

static size_t
range_size (const oplog_range_t *range) {
  return sizeof(range->key) + ab_uint_size(range->start) + ab_uint_size(range->length);
}

static size_t
frame_size (size_t len) {
  return ab_uint_size(len) + len;
}

static size_t
backer_size (const oplog_witness_t *witness) {
  return link_size(&witness->backer) + AB_SIGNATURE_LEN + frame_size(witness->manifest.len);
}

static size_t
witness_size (const oplog_witness_t *witness) {
  return ab_uint_size(witness->weight) + frame_size(backer_size(witness));
}

static size_t
attestation_size (const oplog_attestation_t *attestation) {
  return sizeof(attestation->subject) + ab_uint_size(attestation->weight) + AB_SIGNATURE_LEN;
}

static size_t
trusted_size (const oplog_trusted_t *trusted) {
  return link_size(&trusted->head) + ab_uint_size(trusted->flushes);
}

static void
write_witness (ab_buf_t *out, const oplog_witness_t *witness) {
  ab_write_uint(out, witness_size(witness));
  ab_write_uint(out, witness->weight);
  ab_write_uint(out, backer_size(witness));
  autobee__record_link_encode(out, &witness->backer);
  ab_write_bytes(out, ab_slice(witness->signature, AB_SIGNATURE_LEN));
  ab_write_buffer(out, witness->manifest);
}

static void
write_attestations (ab_buf_t *out, const oplog_message_t *message) {
  ab_write_uint(out, message->attestation_count);
  for (size_t i = 0; i < message->attestation_count; i++) {
    const oplog_attestation_t *attestation = &message->attestations[i];
    ab_write_uint(out, attestation_size(attestation));
    ab_write_key(out, &attestation->subject);
    ab_write_uint(out, attestation->weight);
    ab_write_bytes(out, ab_slice(attestation->signature, AB_SIGNATURE_LEN));
  }
}

static void
write_trusted (ab_buf_t *out, const oplog_message_t *message) {
  ab_write_uint(out, message->trusted_count);
  for (size_t i = 0; i < message->trusted_count; i++) {
    const oplog_trusted_t *trusted = &message->trusted[i];
    ab_write_uint(out, trusted_size(trusted));
    autobee__record_link_encode(out, &trusted->head);
    ab_write_uint(out, trusted->flushes);
  }
}

void
autobee__oplog_encode (ab_buf_t *out, const oplog_message_t *message) {
  ab_write_uint(out, OPLOG_VERSION);
  ab_write_uint(out, message->timestamp_ms);
  autobee__write_links(out, message->links, message->link_count);
  ab_write_uint(out, message_flags(message));
  if (has_batch(message)) {
    ab_write_uint(out, message->batch_start);
    ab_write_uint(out, message->batch_end);
  }
  if (message->has_views) {
    ab_write_uint(out, message->flushes);
    write_range(out, &message->system);
    if (message->has_view_range) write_range(out, &message->view);
  }
  if (message->has_value) ab_write_buffer(out, message->value);
  if (message->has_witness) write_witness(out, &message->witness);
  if (message->has_attestations) write_attestations(out, message);
  if (message->has_trusted) write_trusted(out, message);
}

size_t
autobee__oplog_size (const oplog_message_t *message) {
  size_t size = ab_uint_size(OPLOG_VERSION) + ab_uint_size(message->timestamp_ms);
  size += ab_uint_size(message->link_count);
  for (size_t i = 0; i < message->link_count; i++) size += link_size(&message->links[i]);
  size += ab_uint_size(message_flags(message));
  if (has_batch(message)) size += ab_uint_size(message->batch_start) + ab_uint_size(message->batch_end);
  if (message->has_views) {
    size += ab_uint_size(message->flushes) + range_size(&message->system);
    if (message->has_view_range) size += range_size(&message->view);
  }
  if (message->has_value) size += frame_size(message->value.len);
  if (message->has_witness) size += frame_size(witness_size(&message->witness));
  if (message->has_attestations) size += ab_uint_size(message->attestation_count);
  for (size_t i = 0; message->has_attestations && i < message->attestation_count; i++) {
    size += frame_size(attestation_size(&message->attestations[i]));
  }
  if (message->has_trusted) size += ab_uint_size(message->trusted_count);
  for (size_t i = 0; message->has_trusted && i < message->trusted_count; i++) {
    size += frame_size(trusted_size(&message->trusted[i]));
  }
  return size;
}

#include "message_codecs.h"

#include <stdlib.h>

#include "hypercore/net/messages.h"
#include "hypercore/proof.h"
#include "support/vectors.h"

static int
codec_handshake (ab_slice_t bytes, const json_t *fields, ab_buf_t *out) {
  ab__core_handshake_t message;
  int err = ab__core_handshake_decode(bytes, &message);
  if (err < 0 || fields == NULL) return err;
  check_that(message.seeks == vectors_get_bool(fields, "seeks"));
  check_bytes("capability", vectors_get_bytes(fields, "capability"), ab_slice(message.capability, 32));
  ab__core_handshake_encode(out, &message);
  return 0;
}

static int
codec_sync (ab_slice_t bytes, const json_t *fields, ab_buf_t *out) {
  ab__sync_t message;
  int err = ab__sync_decode(bytes, &message);
  if (err < 0 || fields == NULL) return err;
  check_uint("fork", vectors_get_uint(fields, "fork"), message.fork);
  check_uint("length", vectors_get_uint(fields, "length"), message.length);
  check_uint("remoteLength", vectors_get_uint(fields, "remoteLength"), message.remote_length);
  check_that(message.can_upgrade == vectors_get_bool(fields, "canUpgrade"));
  check_that(message.uploading == vectors_get_bool(fields, "uploading"));
  check_that(message.downloading == vectors_get_bool(fields, "downloading"));
  check_that(message.has_manifest == vectors_get_bool(fields, "hasManifest"));
  check_that(message.allow_push == vectors_get_bool(fields, "allowPush"));
  ab__sync_encode(out, &message);
  return 0;
}

static int
codec_request (ab_slice_t bytes, const json_t *fields, ab_buf_t *out) {
  ab_request_t message;
  int err = ab_request_decode(bytes, &message);
  if (err < 0 || fields == NULL) return err;
  check_uint("id", vectors_get_uint(fields, "id"), message.id);
  check_uint("fork", vectors_get_uint(fields, "fork"), message.fork);
  check_uint("priority", vectors_get_uint(fields, "priority"), message.priority);
  check_that(message.wants_manifest == vectors_get_bool(fields, "manifest"));
  if (check_that(message.has_block == vectors_has(fields, "block")) && message.has_block) {
    check_uint("block", vectors_get_uint(vectors_get(fields, "block"), "index"), message.block.index);
    check_uint("nodes", vectors_get_uint(vectors_get(fields, "block"), "nodes"), message.block.nodes);
  }
  if (check_that(message.has_hash == vectors_has(fields, "hash")) && message.has_hash) {
    check_uint("hash", vectors_get_uint(vectors_get(fields, "hash"), "index"), message.hash.index);
    check_uint("nodes", vectors_get_uint(vectors_get(fields, "hash"), "nodes"), message.hash.nodes);
  }
  if (check_that(message.has_seek == vectors_has(fields, "seek")) && message.has_seek) {
    check_uint("bytes", vectors_get_uint(vectors_get(fields, "seek"), "bytes"), message.seek.bytes);
    check_uint("padding", vectors_get_uint(vectors_get(fields, "seek"), "padding"), message.seek.padding);
  }
  if (check_that(message.has_upgrade == vectors_has(fields, "upgrade")) && message.has_upgrade) {
    check_uint("start", vectors_get_uint(vectors_get(fields, "upgrade"), "start"), message.upgrade.start);
    check_uint("length", vectors_get_uint(vectors_get(fields, "upgrade"), "length"), message.upgrade.length);
  }
  ab_request_encode(out, &message);
  return 0;
}

static int
codec_cancel (ab_slice_t bytes, const json_t *fields, ab_buf_t *out) {
  uint64_t request;
  int err = ab__cancel_decode(bytes, &request);
  if (err < 0 || fields == NULL) return err;
  check_uint("request", vectors_get_uint(fields, "request"), request);
  ab__cancel_encode(out, request);
  return 0;
}

static int
codec_data (ab_slice_t bytes, const json_t *fields, ab_buf_t *out) {
  ab_arena_t arena = {0};
  ab_proof_t message;
  int err = ab_proof_decode(bytes, &arena, &message);
  if (err == 0 && fields != NULL) {
    check_uint("request", vectors_get_uint(fields, "request"), message.id);
    check_uint("fork", vectors_get_uint(fields, "fork"), message.fork);
    if (check_that(message.has_block == vectors_has(fields, "block")) && message.has_block) {
      const json_t *part = vectors_get(fields, "block");
      check_uint("block", vectors_get_uint(part, "index"), message.block.index);
      check_bytes("value", vectors_get_bytes(part, "value"), message.block.value);
      check_uint("nodes", json_array_size(vectors_get(part, "nodes")), message.block.nodes.count);
    }
    check_that(message.has_hash == vectors_has(fields, "hash"));
    check_that(message.has_seek == vectors_has(fields, "seek"));
    check_that((message.manifest != NULL) == vectors_has(fields, "manifest"));
    if (check_that(message.has_upgrade == vectors_has(fields, "upgrade")) && message.has_upgrade) {
      const json_t *part = vectors_get(fields, "upgrade");
      check_uint("start", vectors_get_uint(part, "start"), message.upgrade.start);
      check_uint("length", vectors_get_uint(part, "length"), message.upgrade.length);
      check_uint("nodes", json_array_size(vectors_get(part, "nodes")), message.upgrade.nodes.count);
      check_bytes("signature", vectors_get_bytes(part, "signature"), message.upgrade.signature);
    }
    ab_proof_encode(out, &message);
  }
  ab_arena_destroy(&arena);
  return err;
}

static int
codec_no_data (ab_slice_t bytes, const json_t *fields, ab_buf_t *out) {
  ab__no_data_t message;
  int err = ab__no_data_decode(bytes, &message);
  if (err < 0 || fields == NULL) return err;
  check_uint("request", vectors_get_uint(fields, "request"), message.request);
  check_uint("reason", vectors_get_uint(fields, "reason"), message.reason);
  ab__no_data_encode(out, &message);
  return 0;
}

static int
codec_want (ab_slice_t bytes, const json_t *fields, ab_buf_t *out) {
  ab__want_t message;
  int err = ab__want_decode(bytes, &message);
  if (err < 0 || fields == NULL) return err;
  check_uint("start", vectors_get_uint(fields, "start"), message.start);
  check_uint("length", vectors_get_uint(fields, "length"), message.length);
  check_that(message.any == vectors_get_bool(fields, "any"));
  ab__want_encode(out, &message);
  return 0;
}

static int
codec_bitfield (ab_slice_t bytes, const json_t *fields, ab_buf_t *out) {
  ab__bits_t message;
  size_t i;
  json_t *word;
  int err = ab__bits_decode(bytes, &message);
  if (err < 0 || fields == NULL) return err;
  check_uint("start", vectors_get_uint(fields, "start"), message.start);
  if (check_uint("words", json_array_size(vectors_get(fields, "bitfield")), message.words.len / 4)) {
    json_array_foreach(vectors_get(fields, "bitfield"), i, word) {
      ab_reader_t in = ab_reader(ab_slice(message.words.data + 4 * i, 4));
      check_uint("word", vectors_uint(word), ab_read_fixed_uint(&in, 4));
    }
  }
  ab__bits_encode(out, &message);
  return 0;
}

static int
codec_range (ab_slice_t bytes, const json_t *fields, ab_buf_t *out) {
  ab__range_msg_t message;
  int err = ab__range_decode(bytes, &message);
  if (err < 0 || fields == NULL) return err;
  check_that(message.drop == vectors_get_bool(fields, "drop"));
  check_uint("start", vectors_get_uint(fields, "start"), message.start);
  check_uint("length", vectors_get_uint(fields, "length"), message.length);
  ab__range_encode(out, &message);
  return 0;
}

static int
codec_extension (ab_slice_t bytes, const json_t *fields, ab_buf_t *out) {
  ab__extension_t message;
  int err = ab__extension_decode(bytes, &message);
  if (err < 0 || fields == NULL) return err;
  check_bytes("name", ab_text(vectors_get_text(fields, "name")), message.name);
  check_bytes("message", vectors_get_bytes(fields, "message"), message.message);
  ab__extension_encode(out, &message);
  return 0;
}

static int
codec_wakeup_handshake (ab_slice_t bytes, const json_t *fields, ab_buf_t *out) {
  ab__wakeup_handshake_t message;
  int err = ab__wakeup_handshake_decode(bytes, &message);
  if (err < 0 || fields == NULL) return err;
  check_uint("version", vectors_get_uint(fields, "version"), message.version);
  check_bytes("capability", vectors_get_bytes(fields, "capability"), ab_slice(message.capability, 32));
  check_that(message.active == vectors_get_bool(fields, "active"));
  ab__wakeup_handshake_encode(out, &message);
  return 0;
}

static int
codec_lookup (ab_slice_t bytes, const json_t *fields, ab_buf_t *out) {
  ab__lookup_t message;
  int err = ab__lookup_decode(bytes, &message);
  if (err < 0 || fields == NULL) return err;
  if (check_that(message.has_hash == vectors_has(fields, "hash")) && message.has_hash) {
    check_bytes("hash", vectors_get_bytes(fields, "hash"), ab_slice(message.hash, 32));
  }
  ab__lookup_encode(out, &message);
  return 0;
}

static int
codec_announce (ab_slice_t bytes, const json_t *fields, ab_buf_t *out) {
  ab_reader_t in;
  size_t count;
  int err = ab__announce_decode(bytes, &in, &count);
  if (err < 0 || fields == NULL) return err;
  ab_head_t *heads = calloc(count + 1, sizeof(*heads));
  for (size_t i = 0; i < count; i++) ab__announce_read(&in, &heads[i]);
  if (check_uint("heads", json_array_size(fields), count)) {
    for (size_t i = 0; i < count; i++) {
      const json_t *item = json_array_get(fields, i);
      check_bytes("key", vectors_get_bytes(item, "key"), ab_key_slice(&heads[i].key));
      check_uint("length", vectors_get_uint(item, "length"), heads[i].length);
    }
  }
  ab__announce_encode(out, heads, count);
  free(heads);
  return 0;
}

static int
codec_info (ab_slice_t bytes, const json_t *fields, ab_buf_t *out) {
  bool active;
  int err = ab__info_decode(bytes, &active);
  if (err < 0 || fields == NULL) return err;
  check_that(active == vectors_get_bool(fields, "active"));
  ab__info_encode(out, active);
  return 0;
}

const codec_t core_codecs[] = {
  {"handshake", -1, codec_handshake},
  {"sync", AB__SYNC, codec_sync},
  {"request", AB__REQUEST, codec_request},
  {"cancel", AB__CANCEL, codec_cancel},
  {"data", AB__DATA, codec_data},
  {"noData", AB__NO_DATA, codec_no_data},
  {"want", AB__WANT, codec_want},
  {"unwant", AB__UNWANT, codec_want},
  {"bitfield", AB__BITFIELD, codec_bitfield},
  {"range", AB__RANGE, codec_range},
  {"extension", AB__EXTENSION, codec_extension},
  {NULL, 0, NULL},
};

const codec_t wakeup_codecs[] = {
  {"handshake", -1, codec_wakeup_handshake},
  {"lookup", AB__LOOKUP, codec_lookup},
  {"announce", AB__ANNOUNCE, codec_announce},
  {"info", AB__INFO, codec_info},
  {NULL, 0, NULL},
};

const codec_t *
message_codec (const codec_t *codecs, const char *name) {
  for (; codecs->name != NULL; codecs++) {
    if (strcmp(codecs->name, name) == 0) return codecs;
  }
  vectors_fail("unknown message %s", name);
  return NULL;
}

/* record.c: the codecs of the system bee and of user data. */
#include "autobee/record.h"

#define LINK_MIN_LEN 33 /* a key and the shortest length */

enum { WRITER_REMOVED = 1, WRITER_OPLOG = 2, WRITER_GENESIS = 4, WRITER_ANCHOR = 8, WRITER_TIMESTAMP = 16 };

enum { LEGACY_WRITER_INDEXER = 1, LEGACY_WRITER_REMOVED = 2 };

enum { INFO_INDEXERS = 1 };

enum { DATA_LEGACY_BLOCKS = 1, DATA_NAMESPACE = 2 };

/* ---- keys of the system bee ---- */

static const uint8_t info_key[] = {0x00};
static const uint8_t legacy_info_key[] = {0x00, 0x00, 'i', 'n', 'f', 'o'};
static const uint8_t writer_prefix[] = {0x01, 0x00};
static const uint8_t indexer_prefix[] = {0x02};

_Static_assert(RECORD_WRITER_KEY_LEN == sizeof(writer_prefix) + 32, "prefix and key");
_Static_assert(RECORD_INDEXER_KEY_LEN == sizeof(indexer_prefix) + 32, "prefix and key");

ab_slice_t
autobee__record_info_key (void) {
  return ab_slice(info_key, sizeof(info_key));
}

ab_slice_t
autobee__record_legacy_info_key (void) {
  return ab_slice(legacy_info_key, sizeof(legacy_info_key));
}

ab_slice_t
autobee__record_writer_key (uint8_t out[RECORD_WRITER_KEY_LEN], const ab_key_t *writer) {
  memcpy(out, writer_prefix, sizeof(writer_prefix));
  memcpy(out + sizeof(writer_prefix), writer->bytes, sizeof(writer->bytes));
  return ab_slice(out, RECORD_WRITER_KEY_LEN);
}

ab_slice_t
autobee__record_indexer_key (uint8_t out[RECORD_INDEXER_KEY_LEN], const ab_key_t *writer) {
  memcpy(out, indexer_prefix, sizeof(indexer_prefix));
  memcpy(out + sizeof(indexer_prefix), writer->bytes, sizeof(writer->bytes));
  return ab_slice(out, RECORD_INDEXER_KEY_LEN);
}

bool
autobee__record_is_writer_key (ab_slice_t key, ab_key_t *writer) {
  if (key.len != RECORD_WRITER_KEY_LEN) return false;
  if (memcmp(key.data, writer_prefix, sizeof(writer_prefix)) != 0) return false;
  memcpy(writer->bytes, key.data + sizeof(writer_prefix), sizeof(writer->bytes));
  return true;
}

/* ---- links ---- */

void
autobee__read_link (ab_reader_t *in, ab_head_t *out) {
  ab_read_key(in, &out->key);
  out->length = ab_read_uint(in);
}

int
autobee__read_links (ab_reader_t *in, ab_arena_t *arena, const ab_head_t **links, size_t *count) {
  *links = NULL;
  *count = ab_read_count(in, LINK_MIN_LEN);
  if (*count == 0) return in->err;

  ab_head_t *list = ab_arena_alloc(arena, *count, sizeof(*list));
  if (list == NULL) return AB_ENOMEM;
  for (size_t i = 0; i < *count; i++) autobee__read_link(in, &list[i]);
  *links = list;
  return in->err;
}

void
autobee__write_links (ab_buf_t *out, const ab_head_t *links, size_t count) {
  ab_write_uint(out, count);
  for (size_t i = 0; i < count; i++) autobee__record_link_encode(out, &links[i]);
}

int
autobee__record_link_decode (ab_slice_t value, ab_head_t *out) {
  ab_reader_t in = ab_reader(value);
  autobee__read_link(&in, out);
  return in.err;
}

void
autobee__record_link_encode (ab_buf_t *out, const ab_head_t *link) {
  ab_write_key(out, &link->key);
  ab_write_uint(out, link->length);
}

int
autobee__record_uint_decode (ab_slice_t value, uint64_t *out) {
  ab_reader_t in = ab_reader(value);
  *out = ab_read_uint(&in);
  return in.err;
}

/* ---- system info ---- */

int
autobee__record_info_decode (ab_slice_t value, ab_arena_t *arena, record_info_t *out) {
  ab_reader_t in = ab_reader(value);
  int err;

  memset(out, 0, sizeof(*out));
  uint64_t version = ab_read_uint(&in);
  if (in.err < 0) return in.err;
  if (version > RECORD_INFO_VERSION) return AB_EVERSION;
  if (version < RECORD_INFO_VERSION) return AB_ENOTSUP;

  out->timestamp_ms = ab_read_uint(&in);
  out->flushes = ab_read_uint(&in);
  autobee__read_link(&in, &out->view);
  if ((err = autobee__read_links(&in, arena, &out->heads, &out->head_count)) < 0) return err;
  uint64_t flags = ab_read_uint(&in);
  out->has_indexers = (flags & INFO_INDEXERS) != 0;
  if (!out->has_indexers) return in.err;
  return autobee__read_links(&in, arena, &out->indexers, &out->indexer_count);
}

void
autobee__record_info_encode (ab_buf_t *out, const record_info_t *info) {
  ab_write_uint(out, RECORD_INFO_VERSION);
  ab_write_uint(out, info->timestamp_ms);
  ab_write_uint(out, info->flushes);
  autobee__record_link_encode(out, &info->view);
  autobee__write_links(out, info->heads, info->head_count);
  ab_write_uint(out, info->has_indexers ? INFO_INDEXERS : 0);
  if (info->has_indexers) autobee__write_links(out, info->indexers, info->indexer_count);
}

/* ---- a writer's record ---- */

/* The previous generation had no version: the first byte, 0 to 3, is the flags. */
static int
decode_legacy_writer (ab_reader_t *in, uint64_t flags, record_writer_t *out) {
  out->is_removed = (flags & LEGACY_WRITER_REMOVED) != 0;
  out->weight = (flags & LEGACY_WRITER_INDEXER) != 0 ? 2 : 1;
  out->length = ab_read_uint(in);
  return in->err;
}

int
autobee__record_writer_decode (ab_slice_t value, record_writer_t *out) {
  ab_reader_t in = ab_reader(value);

  memset(out, 0, sizeof(*out));
  uint64_t version = ab_read_uint(&in);
  if (in.err < 0) return in.err;
  if (version > RECORD_WRITER_VERSION) return AB_EVERSION;
  if (version < RECORD_WRITER_VERSION) return decode_legacy_writer(&in, version, out);

  uint64_t flags = ab_read_uint(&in);
  out->is_removed = (flags & WRITER_REMOVED) != 0;
  out->is_oplog = (flags & WRITER_OPLOG) != 0;
  out->is_genesis = (flags & WRITER_GENESIS) != 0;
  out->is_anchor = (flags & WRITER_ANCHOR) != 0;
  out->weight = ab_read_uint(&in);
  out->max_weight = ab_read_uint(&in);
  out->length = ab_read_uint(&in);
  out->clock = ab_read_uint(&in);
  if ((flags & WRITER_TIMESTAMP) != 0) out->timestamp_ms = ab_read_int(&in);
  return in.err;
}

void
autobee__record_writer_encode (ab_buf_t *out, const record_writer_t *record) {
  uint64_t flags = 0;
  if (record->is_removed) flags |= WRITER_REMOVED;
  if (record->is_oplog) flags |= WRITER_OPLOG;
  if (record->is_genesis) flags |= WRITER_GENESIS;
  if (record->is_anchor) flags |= WRITER_ANCHOR;
  if (record->timestamp_ms != 0) flags |= WRITER_TIMESTAMP;

  ab_write_uint(out, RECORD_WRITER_VERSION);
  ab_write_uint(out, flags);
  ab_write_uint(out, record->weight);
  ab_write_uint(out, record->max_weight);
  ab_write_uint(out, record->length);
  ab_write_uint(out, record->clock);
  if (record->timestamp_ms != 0) ab_write_int(out, record->timestamp_ms);
}

/* ---- manifest data ---- */

int
autobee__record_manifest_data_decode (ab_slice_t user_data, record_manifest_data_t *out) {
  ab_reader_t in = ab_reader(user_data);

  memset(out, 0, sizeof(*out));
  out->version = ab_read_uint(&in);
  uint64_t flags = ab_read_uint(&in);
  if ((flags & DATA_LEGACY_BLOCKS) != 0) out->legacy_blocks = ab_read_uint(&in);
  out->has_namespace = (flags & DATA_NAMESPACE) != 0;
  if (out->has_namespace) ab_read_key(&in, &out->ns);
  return in.err;
}

void
autobee__record_manifest_data_encode (ab_buf_t *out, const record_manifest_data_t *data) {
  uint64_t flags = 0;
  if (data->legacy_blocks != 0) flags |= DATA_LEGACY_BLOCKS;
  if (data->has_namespace) flags |= DATA_NAMESPACE;

  ab_write_uint(out, data->version);
  ab_write_uint(out, flags);
  if (data->legacy_blocks != 0) ab_write_uint(out, data->legacy_blocks);
  if (data->has_namespace) ab_write_key(out, &data->ns);
}

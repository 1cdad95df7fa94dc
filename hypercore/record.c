/* record.c: what the store keeps about a core beside its blocks and nodes. */
#include "hypercore/record.h"

#include "hypercore/encoding.h"

#define HAS_MANIFEST 1u
#define HAS_GROUP 2u
#define HAS_NAME 4u

void
ab__head_record_encode (ab_buf_t *out, const ab__head_record_t *head) {
  ab_write_uint(out, head->fork);
  ab_write_uint(out, head->length);
  ab_write_uint(out, head->byte_length);
  ab_write_uint(out, head->contiguous);
  ab_write_uint(out, head->changed_ms);
  ab_write_bytes(out, ab_slice(head->tree_hash, sizeof(head->tree_hash)));
  ab_write_buffer(out, head->signature);
}

int
ab__head_record_decode (ab_slice_t bytes, ab__head_record_t *head) {
  ab_reader_t in = ab_reader(bytes);
  *head = (ab__head_record_t){0};
  head->fork = ab_read_uint(&in);
  head->length = ab_read_uint(&in);
  head->byte_length = ab_read_uint(&in);
  head->contiguous = ab_read_uint(&in);
  head->changed_ms = ab_read_uint(&in);
  ab_slice_t hash = ab_read_bytes(&in, sizeof(head->tree_hash));
  head->signature = ab_read_buffer(&in);
  if (in.err < 0) return in.err;
  memcpy(head->tree_hash, hash.data, sizeof(head->tree_hash));
  if (head->length > AB_LENGTH_MAX || head->contiguous > head->length || ab_reader_left(&in) > 0) {
    return AB_ECORRUPT;
  }
  return 0;
}

void
ab__core_record_encode (ab_buf_t *out, const ab__core_record_t *record) {
  uint64_t flags = (record->manifest != NULL ? HAS_MANIFEST : 0) | (record->has_group ? HAS_GROUP : 0) |
                   (record->name.len > 0 ? HAS_NAME : 0);
  ab_write_key(out, &record->key);
  ab_write_uint(out, flags);
  if (record->manifest != NULL) {
    ab_buf_t manifest = {0};
    ab_manifest_encode_record(&manifest, record->manifest);
    if (manifest.err < 0) out->err = manifest.err;
    ab_write_buffer(out, ab_buf_slice(&manifest));
    ab_buf_destroy(&manifest);
  }
  if (record->has_group) ab_write_key(out, &record->group);
  if (record->name.len > 0) {
    ab_write_key(out, &record->ns);
    ab_write_buffer(out, record->name);
  }
}

static int
decode_manifest (ab_slice_t bytes, ab_arena_t *arena, const ab_manifest_t **out) {
  ab_manifest_t *manifest = ab_arena_zalloc(arena, 1, sizeof(*manifest));
  if (manifest == NULL) return AB_ENOMEM;
  ab_reader_t in = ab_reader(bytes);
  int err = ab_manifest_decode_record(&in, arena, manifest);
  if (err == 0 && ab_reader_left(&in) > 0) err = AB_ECORRUPT;
  *out = manifest;
  return err;
}

int
ab__core_record_decode (ab_slice_t bytes, ab_arena_t *arena, ab__core_record_t *record) {
  ab_reader_t in = ab_reader(bytes);
  *record = (ab__core_record_t){0};
  ab_read_key(&in, &record->key);
  uint64_t flags = ab_read_uint(&in);
  ab_slice_t manifest = flags & HAS_MANIFEST ? ab_read_buffer(&in) : ab_slice(NULL, 0);
  record->has_group = (flags & HAS_GROUP) != 0;
  if (record->has_group) ab_read_key(&in, &record->group);
  if (flags & HAS_NAME) {
    ab_read_key(&in, &record->ns);
    record->name = ab_read_buffer(&in);
    if (record->name.len == 0) ab_reader_fail(&in);
  }
  if (in.err < 0) return in.err;
  if (flags > 7 || ab_reader_left(&in) > 0) return AB_ECORRUPT;
  return flags & HAS_MANIFEST ? decode_manifest(manifest, arena, &record->manifest) : 0;
}

/* ---- nodes ---- */

/* The node of this depth that ends with the same block as `index`. */
static uint64_t
index_of (uint64_t index, unsigned depth) {
  return ab_flat_rspan(index) - ((1ull << depth) - 1);
}

static void
write_node (ab_buf_t *out, const ab_node_t *node) {
  ab_write_uint(out, node->size);
  ab_write_bytes(out, ab_slice(node->hash, sizeof(node->hash)));
}

void
ab__nodes_record_encode (ab_buf_t *out, const ab_node_t *nodes, size_t count) {
  uint64_t mask = 0;
  for (size_t i = 0; i < count; i++) mask |= 1ull << ab_flat_depth(nodes[i].index);
  ab_write_uint(out, mask);
  for (size_t i = 0; i < count; i++) write_node(out, &nodes[i]);
}

/* Depths of a record; the block that they end with has to be able to have them. */
static uint64_t
read_mask (ab_reader_t *in, uint64_t index) {
  uint64_t mask = ab_read_uint(in);
  uint64_t block = ab_flat_rspan(index) / 2;
  unsigned deepest = (unsigned) __builtin_ctzll(block + 1);
  if (mask == 0 || mask >> deepest > 1) ab_reader_fail(in);
  return mask;
}

static void
read_node (ab_reader_t *in, ab_node_t *node) {
  node->size = ab_read_uint(in);
  ab_slice_t hash = ab_read_bytes(in, sizeof(node->hash));
  if (in->err == 0) memcpy(node->hash, hash.data, hash.len);
}

void
ab__nodes_record_merge (ab_buf_t *out, ab_slice_t old, const ab_node_t *nodes, size_t count) {
  ab_node_t all[AB_DEPTH_MAX + 1];
  size_t all_count = 0, next = 0;
  ab_reader_t in = ab_reader(old);
  uint64_t mask = read_mask(&in, nodes[0].index);
  for (unsigned depth = 0; depth <= AB_DEPTH_MAX; depth++) {
    ab_node_t stored = {.index = index_of(nodes[0].index, depth)};
    bool is_stored = (mask >> depth & 1) != 0;
    if (is_stored) read_node(&in, &stored);
    if (next < count && ab_flat_depth(nodes[next].index) == depth) all[all_count++] = nodes[next++];
    else if (is_stored) all[all_count++] = stored;
  }
  if (in.err < 0) {
    out->err = in.err;
    return;
  }
  ab__nodes_record_encode(out, all, all_count);
}

int
ab__nodes_record_find (ab_slice_t record, uint64_t index, ab_node_t *node) {
  ab_reader_t in = ab_reader(record);
  unsigned wanted = ab_flat_depth(index);
  uint64_t mask = read_mask(&in, index);
  if (in.err == 0 && (mask >> wanted & 1) == 0) return AB_ENOTFOUND;
  for (unsigned depth = 0; depth <= wanted && in.err == 0; depth++)
    if ((mask >> depth & 1) != 0) read_node(&in, node);
  node->index = index;
  return in.err;
}

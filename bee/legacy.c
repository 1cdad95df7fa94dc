/* legacy.c: blocks of the first format (type 0) and of hyperbee v1 (type 10), rewritten as type 1.
 *
 *   type 0       uint type = 0, checkpoint, batch.start, batch.end, flags; then, as far as flags name them:
 *     1          previous: uint core, seq
 *     2          tree: list of nodes, each two lists of pointers: core, seq, offset as plain uints
 *     4          data: list of key and value buffers
 *     8          cores: list of cores, without a frame
 *   type 10      protobuf: 1 index, 2 key, 3 value, all bytes; index: repeated 1 level; level: packed 1 keys
 *                (block numbers), packed 2 children (block number, level number)
 *
 * Both keep plain lists of pointers where type 1 keeps operations. Every list that is not empty becomes a
 * cohort of INSERTs, and the list itself one COHORT operation that points to it; cohorts are numbered as they
 * appear, keys before children, node by node.
 */
#include "bee/block.h"

#define INDEXES 256 /* an operation's index is one byte */

#define FIRST_PREVIOUS 1
#define FIRST_TREE 2
#define FIRST_DATA 4
#define FIRST_CORES 8

#define V1_DEGREE 5

typedef struct {
  uint64_t seq;
  size_t cohorts_count;
  size_t tree_count;
  size_t keys_count;
  ab_buf_t cohorts, tree, keys, cores;
} rewrite_t;

static void
rewrite_destroy (rewrite_t *r) {
  ab_buf_destroy(&r->cohorts);
  ab_buf_destroy(&r->tree);
  ab_buf_destroy(&r->keys);
  ab_buf_destroy(&r->cores);
}

/* One list of a node whose `count` pointers follow. */
static void
begin_list (rewrite_t *r, size_t count) {
  ab_write_uint(&r->tree, count == 0 ? 0 : 1);
  if (count == 0) return;
  bee__op_t op = {.type = BEE__COHORT, .has_pointer = true, .seq = r->seq, .offset = r->cohorts_count++};
  bee__write_op(&r->tree, &op);
  ab_write_uint(&r->cohorts, count);
}

static void
add_pointer (rewrite_t *r, size_t i, uint64_t core, uint64_t seq, uint64_t offset) {
  bee__op_t op = {
    .type = BEE__INSERT,
    .index = (uint8_t) i,
    .has_pointer = true,
    .core = core,
    .seq = seq,
    .offset = offset};
  bee__write_op(&r->cohorts, &op);
}

static int
rewrite_finish (rewrite_t *r, bee__parts_t *parts, ab_buf_t *out) {
  const ab_buf_t *lists[BEE__LISTS] = {&r->cores, &r->tree, &r->keys, NULL, &r->cohorts};
  size_t counts[BEE__LISTS] = {
    parts->lists[BEE__CORES].count, r->tree_count, r->keys_count, 0, r->cohorts_count};

  for (int i = BEE__TREE; i < BEE__LISTS; i++) {
    if (lists[i] == NULL) continue;
    parts->lists[i].is_present = true;
    parts->lists[i].count = counts[i];
  }
  for (int i = 0; i < BEE__LISTS; i++) {
    if (lists[i] == NULL) continue;
    if (lists[i]->err < 0) return lists[i]->err;
    parts->lists[i].items = ab_buf_slice(lists[i]);
  }
  bee__block_write(out, parts);
  return out->err;
}

/* ---- type 0 ---- */

static void
first_pointers (rewrite_t *r, ab_reader_t *in) {
  size_t count = ab_read_count(in, 3);
  if (count > INDEXES) ab_reader_fail(in);
  if (in->err < 0) return;
  begin_list(r, count);
  for (size_t i = 0; i < count && in->err == 0; i++) {
    uint64_t core = ab_read_uint(in);
    uint64_t seq = ab_read_uint(in);
    uint64_t offset = ab_read_uint(in);
    add_pointer(r, i, core, seq, offset);
  }
}

static int
rewrite_first (rewrite_t *r, ab_slice_t data, ab_buf_t *out) {
  ab_reader_t in = ab_reader(data);
  bee__parts_t parts = {.t = BEE__DEGREE_DEFAULT};

  (void) ab_read_uint(&in);
  parts.checkpoint = ab_read_uint(&in);
  parts.batch_start = ab_read_uint(&in);
  parts.batch_end = ab_read_uint(&in);
  uint64_t flags = ab_read_uint(&in);
  if ((flags & FIRST_TREE) == 0 || (flags & FIRST_DATA) == 0) return AB_ECORRUPT;
  if ((flags & FIRST_PREVIOUS) != 0) {
    parts.has_previous = true;
    parts.previous_core = ab_read_uint(&in);
    parts.previous_seq = ab_read_uint(&in);
  }
  r->tree_count = ab_read_count(&in, 2);
  for (size_t i = 0; i < r->tree_count && in.err == 0; i++) {
    first_pointers(r, &in);
    first_pointers(r, &in);
  }
  r->keys_count = ab_read_count(&in, 2);
  for (size_t i = 0; i < r->keys_count && in.err == 0; i++) {
    bee__stored_key_t key = {.has_value = true};
    key.key = ab_read_buffer(&in);
    key.value = ab_read_buffer(&in);
    bee__write_stored_key(&r->keys, &key);
  }
  parts.lists[BEE__CORES].is_present = true;
  if ((flags & FIRST_CORES) != 0) parts.lists[BEE__CORES].count = ab_read_count(&in, 33);
  for (size_t i = 0; i < parts.lists[BEE__CORES].count && in.err == 0; i++) {
    bee__stored_core_t core;
    bee__read_stored_core(&in, &core);
    bee__write_stored_core(&r->cores, &core);
  }
  if (in.err < 0) return in.err;
  return rewrite_finish(r, &parts, out);
}

/* ---- type 10 ---- */

static uint64_t
read_varint (ab_reader_t *in) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    ab_slice_t byte = ab_read_bytes(in, 1);
    if (in->err < 0) return 0;
    uint64_t bits = byte.data[0] & 0x7f;
    if (shift > 49 && bits != 0) break; /* above AB_MAX_SAFE */
    value |= bits << shift;
    if (value > AB_MAX_SAFE) break;
    if ((byte.data[0] & 0x80) == 0) return value;
  }
  ab_reader_fail(in);
  return 0;
}

static ab_slice_t
read_bytes (ab_reader_t *in) {
  uint64_t len = read_varint(in);
  if (in->err < 0 || len > ab_reader_left(in)) {
    ab_reader_fail(in);
    return ab_slice(NULL, 0);
  }
  return ab_read_bytes(in, (size_t) len);
}

static void
skip_field (ab_reader_t *in, unsigned wire) {
  switch (wire) {
  case 0:
    (void) read_varint(in);
    break;
  case 1:
    (void) ab_read_bytes(in, 8);
    break;
  case 2:
    (void) read_bytes(in);
    break;
  case 5:
    (void) ab_read_bytes(in, 4);
    break;
  default:
    ab_reader_fail(in); /* groups among them */
  }
}

/* Calls `each` for every number of the packed lists `field` of a level, which are joined. Returns how many.
 */
static size_t
level_numbers (
  ab_reader_t level, uint64_t field, int *err, void (*each)(void *data, size_t i, uint64_t), void *data
) {
  size_t count = 0;
  while (level.err == 0 && ab_reader_left(&level) > 0) {
    uint64_t tag = read_varint(&level);
    if (tag >> 3 != 1 && tag >> 3 != 2) {
      skip_field(&level, tag & 7);
      continue;
    }
    ab_reader_t packed = ab_reader(read_bytes(&level));
    if (level.err < 0 || tag >> 3 != field) continue;
    while (packed.err == 0 && ab_reader_left(&packed) > 0) {
      uint64_t number = read_varint(&packed);
      if (packed.err == 0 && each != NULL) each(data, count, number);
      count++;
    }
    if (packed.err < 0) *err = packed.err;
  }
  if (level.err < 0) *err = level.err;
  return count;
}

static void
add_v1_key (void *data, size_t i, uint64_t number) {
  add_pointer(data, i, 0, number, 0);
}

typedef struct {
  rewrite_t *r;
  uint64_t seq;
} v1_pair_t;

static void
add_v1_child (void *data, size_t i, uint64_t number) {
  v1_pair_t *pair = data;
  if (i % 2 == 0) pair->seq = number;
  else add_pointer(pair->r, i / 2, 0, pair->seq, number);
}

static int
v1_level (rewrite_t *r, ab_slice_t bytes) {
  ab_reader_t level = ab_reader(bytes);
  int err = 0;

  size_t keys = level_numbers(level, 1, &err, NULL, NULL);
  size_t children = level_numbers(level, 2, &err, NULL, NULL);
  if (err < 0) return err;
  if (keys > INDEXES || children > 2u * INDEXES || children % 2 != 0) return AB_ECORRUPT;
  r->tree_count++;
  begin_list(r, keys);
  level_numbers(level, 1, &err, add_v1_key, r);
  begin_list(r, children / 2);
  v1_pair_t pair = {.r = r};
  level_numbers(level, 2, &err, add_v1_child, &pair);
  return err;
}

static int
v1_index (rewrite_t *r, ab_slice_t bytes) {
  ab_reader_t in = ab_reader(bytes);
  int err = 0;

  while (err == 0 && in.err == 0 && ab_reader_left(&in) > 0) {
    uint64_t tag = read_varint(&in);
    if (tag >> 3 != 1) {
      skip_field(&in, tag & 7);
      continue;
    }
    ab_slice_t level = read_bytes(&in);
    if (in.err == 0) err = v1_level(r, level);
  }
  return err < 0 ? err : in.err;
}

/* Block 0 of a hyperbee v1 core names the protocol. A core of this block alone is the empty tree. */
static bool
is_v1_header (ab_slice_t data) {
  ab_reader_t in = ab_reader(data);
  bool is_bee = false;

  while (in.err == 0 && ab_reader_left(&in) > 0) {
    uint64_t tag = read_varint(&in);
    if (tag >> 3 != 1) skip_field(&in, tag & 7);
    else is_bee = ab_slice_equal(read_bytes(&in), ab_text("hyperbee"));
  }
  return is_bee && in.err == 0;
}

static int
rewrite_v1 (rewrite_t *r, ab_slice_t data, ab_buf_t *out) {
  ab_reader_t in = ab_reader(data);
  bee__parts_t parts = {.t = V1_DEGREE};
  bool has_index = false;
  bool has_key = false;
  ab_slice_t index = {0};
  bee__stored_key_t key = {0};
  int err;

  if (r->seq > 1) {
    parts.has_previous = true;
    parts.previous_seq = r->seq - 1;
  }
  if (data.len == 1) return rewrite_finish(r, &parts, out);
  if (r->seq == 0 && is_v1_header(data)) {
    begin_list(r, 0);
    begin_list(r, 0);
    r->tree_count = 1;
    return rewrite_finish(r, &parts, out);
  }
  while (in.err == 0 && ab_reader_left(&in) > 0) {
    uint64_t tag = read_varint(&in);
    switch (tag >> 3) {
    case 1:
      index = read_bytes(&in);
      has_index = true;
      break;
    case 2:
      key.key = read_bytes(&in);
      has_key = true;
      break;
    case 3:
      key.value = read_bytes(&in);
      key.has_value = true;
      break;
    default:
      skip_field(&in, tag & 7);
    }
  }
  if (in.err < 0 || !has_index || !has_key) return AB_ECORRUPT;
  if ((err = v1_index(r, index)) < 0) return err;
  bee__write_stored_key(&r->keys, &key);
  r->keys_count = 1;
  return rewrite_finish(r, &parts, out);
}

int
bee__legacy_rewrite (ab_slice_t data, uint64_t type, uint64_t seq, ab_buf_t *out) {
  rewrite_t r = {.seq = seq};
  int err = AB_ECORRUPT;

  if (type == 0) err = rewrite_first(&r, data, out);
  else if (type == 10) err = rewrite_v1(&r, data, out);
  rewrite_destroy(&r);
  return err;
}

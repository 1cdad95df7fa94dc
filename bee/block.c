/* block.c: reading and writing the blocks of a tree. */
#include "bee/block.h"

#include <assert.h>

#define FLAG_PREVIOUS 1
#define FLAG_METADATA 2
#define FLAG_TREE 4
#define FLAG_KEYS 8
#define FLAG_VALUES 16
#define FLAG_COHORTS 32
#define FLAG_T 64

#define OP_INDEX 8
#define OP_POINTER 16
#define OP_CORE 32
#define OP_SEQ 64
#define OP_OFFSET 128

#define KEY_VALUE 1
#define KEY_POINTER 2
#define KEY_CORE 4
#define KEY_SEQ 8
#define KEY_OFFSET 16
#define KEY_SPLIT 32

#define CORE_FORK 1
#define CORE_LENGTH 2
#define CORE_TREE_HASH 4

#define CORE_MIN 33 /* the fewest bytes of an item of each list */
#define NODE_MIN 2
#define KEY_MIN 2
#define VALUE_MIN 1
#define COHORT_MIN 1
#define OP_MIN 1

#define OP_MAX (2 + 3 * 9)

void
bee__scan_destroy (bee__scan_t *scan) {
  ab_buf_destroy(&scan->bytes);
  ab_buf_destroy(&scan->offsets);
}

/* ---- items ---- */

static inline uint8_t
read_u8 (ab_reader_t *in) {
  if (in->err == 0 && in->at < in->end) return *in->at++;
  ab_reader_fail(in);
  return 0;
}

void
bee__read_op (ab_reader_t *in, bee__op_t *op) {
  uint8_t flags = read_u8(in);
  op->type = flags & 7;
  op->index = (flags & OP_INDEX) != 0 ? read_u8(in) : 0;
  op->has_pointer = (flags & OP_POINTER) != 0;
  op->core = op->seq = op->offset = 0;
  if (!op->has_pointer) return;
  if ((flags & OP_CORE) != 0) op->core = ab_read_uint(in);
  if ((flags & OP_SEQ) != 0) op->seq = ab_read_uint(in);
  if ((flags & OP_OFFSET) != 0) op->offset = ab_read_uint(in);
}

void
bee__read_stored_key (ab_reader_t *in, bee__stored_key_t *key) {
  key->key = ab_read_buffer(in);
  uint8_t flags = read_u8(in);
  key->has_value = (flags & KEY_VALUE) != 0;
  key->has_pointer = (flags & KEY_POINTER) != 0;
  key->value = key->has_value ? ab_read_buffer(in) : ab_slice(NULL, 0);
  key->core = key->seq = key->offset = key->split = 0;
  if (!key->has_pointer) return;
  if ((flags & KEY_CORE) != 0) key->core = ab_read_uint(in);
  if ((flags & KEY_SEQ) != 0) key->seq = ab_read_uint(in);
  if ((flags & KEY_OFFSET) != 0) key->offset = ab_read_uint(in);
  if ((flags & KEY_SPLIT) != 0) key->split = ab_read_uint(in);
}

void
bee__read_stored_core (ab_reader_t *in, bee__stored_core_t *core) {
  ab_read_key(in, &core->key);
  uint8_t flags = read_u8(in);
  core->fork = (flags & CORE_FORK) != 0 ? ab_read_uint(in) : 0;
  core->length = (flags & CORE_LENGTH) != 0 ? ab_read_uint(in) : 0;
  core->has_tree_hash = (flags & CORE_TREE_HASH) != 0;
  memset(core->tree_hash, 0, sizeof(core->tree_hash));
  if (!core->has_tree_hash) return;
  ab_slice_t hash = ab_read_bytes(in, sizeof(core->tree_hash));
  if (hash.data != NULL) memcpy(core->tree_hash, hash.data, hash.len);
}

static inline uint8_t *
put_uint (uint8_t *at, uint64_t value) {
  if (value <= 0xfc) {
    *at++ = (uint8_t) value;
    return at;
  }
  size_t width = value <= 0xffff ? 2 : value <= 0xffffffff ? 4 : 8;
  *at++ = width == 2 ? 0xfd : width == 4 ? 0xfe : 0xff;
  for (size_t i = 0; i < width; i++) *at++ = (uint8_t) (value >> (8 * i));
  return at;
}

void
bee__write_op (ab_buf_t *out, const bee__op_t *op) {
  uint8_t *first = ab_buf_extend(out, OP_MAX);
  if (first == NULL) return;
  uint8_t *at = first + 1;
  uint8_t flags = op->type;
  if (op->index != 0) {
    flags |= OP_INDEX;
    *at++ = op->index;
  }
  if (op->has_pointer) {
    flags |= OP_POINTER;
    if (op->core != 0) {
      flags |= OP_CORE;
      at = put_uint(at, op->core);
    }
    if (op->seq != 0) {
      flags |= OP_SEQ;
      at = put_uint(at, op->seq);
    }
    if (op->offset != 0) {
      flags |= OP_OFFSET;
      at = put_uint(at, op->offset);
    }
  }
  *first = flags;
  out->len -= OP_MAX - (size_t) (at - first);
}

void
bee__write_stored_key (ab_buf_t *out, const bee__stored_key_t *key) {
  uint8_t flags = 0;
  if (key->has_value) flags |= KEY_VALUE;
  if (key->has_pointer) {
    flags |= KEY_POINTER;
    if (key->core != 0) flags |= KEY_CORE;
    if (key->seq != 0) flags |= KEY_SEQ;
    if (key->offset != 0) flags |= KEY_OFFSET;
    if (key->split != 0) flags |= KEY_SPLIT;
  }
  ab_write_buffer(out, key->key);
  ab_write_bytes(out, ab_slice(&flags, 1));
  if (key->has_value) ab_write_buffer(out, key->value);
  if ((flags & KEY_CORE) != 0) ab_write_uint(out, key->core);
  if ((flags & KEY_SEQ) != 0) ab_write_uint(out, key->seq);
  if ((flags & KEY_OFFSET) != 0) ab_write_uint(out, key->offset);
  if ((flags & KEY_SPLIT) != 0) ab_write_uint(out, key->split);
}

void
bee__write_stored_core (ab_buf_t *out, const bee__stored_core_t *core) {
  uint8_t flags = 0;
  if (core->fork != 0) flags |= CORE_FORK;
  if (core->length != 0) flags |= CORE_LENGTH;
  if (core->has_tree_hash) flags |= CORE_TREE_HASH;
  ab_write_key(out, &core->key);
  ab_write_bytes(out, ab_slice(&flags, 1));
  if (core->fork != 0) ab_write_uint(out, core->fork);
  if (core->length != 0) ab_write_uint(out, core->length);
  if (core->has_tree_hash) ab_write_bytes(out, ab_slice(core->tree_hash, sizeof(core->tree_hash)));
}

/* ---- scanning ---- */

typedef struct {
  ab_reader_t in;
  const uint8_t *start;
  bee__scan_t *scan;
  bee__block_t *block;
} scanner_t;

static inline void
skip_ops (ab_reader_t *in) {
  size_t count = ab_read_count(in, OP_MIN);
  for (size_t i = 0; i < count && in->err == 0; i++) {
    uint8_t flags = read_u8(in);
    if ((flags & OP_INDEX) != 0) (void) read_u8(in);
    if ((flags & OP_POINTER) == 0) continue;
    if ((flags & OP_CORE) != 0) (void) ab_read_uint(in);
    if ((flags & OP_SEQ) != 0) (void) ab_read_uint(in);
    if ((flags & OP_OFFSET) != 0) (void) ab_read_uint(in);
  }
}

static void
skip_item (ab_reader_t *in, int list) {
  bee__stored_key_t key;
  bee__stored_core_t core;
  switch (list) {
  case BEE__CORES:
    bee__read_stored_core(in, &core);
    break;
  case BEE__TREE:
    skip_ops(in);
    skip_ops(in);
    break;
  case BEE__KEYS:
    bee__read_stored_key(in, &key);
    break;
  case BEE__VALUES:
    (void) ab_read_buffer(in);
    break;
  default:
    skip_ops(in);
  }
}

/* The items' places go to the scan's offsets; the block's list gets its pointer when all are there. */
static int
scan_list (scanner_t *s, ab_reader_t *in, int list) {
  static const size_t item_min[BEE__LISTS] = {CORE_MIN, NODE_MIN, KEY_MIN, VALUE_MIN, COHORT_MIN};

  size_t count = ab_read_count(in, item_min[list]);
  if (in->err < 0) return in->err;
  uint32_t *at = (uint32_t *) (void *) ab_buf_extend(&s->scan->offsets, count * sizeof(uint32_t));
  if (at == NULL && count > 0) return AB_ENOMEM;
  for (size_t i = 0; i < count && in->err == 0; i++) {
    at[i] = (uint32_t) (in->at - s->start);
    skip_item(in, list);
  }
  s->block->lists[list].count = (uint32_t) count;
  s->block->lists[list].is_present = true;
  return in->err;
}

static int
scan_metadata (scanner_t *s) {
  ab_reader_t frame = ab_read_frame(&s->in);
  if (s->in.err < 0) return s->in.err;
  return scan_list(s, &frame, BEE__CORES); /* what the frame has beyond its list is skipped */
}

static int
scan_current (scanner_t *s) {
  static const struct {
    uint64_t flag;
    int list;
  } order[] = {
    {FLAG_TREE, BEE__TREE}, {FLAG_KEYS, BEE__KEYS}, {FLAG_VALUES, BEE__VALUES}, {FLAG_COHORTS, BEE__COHORTS}};
  ab_reader_t *in = &s->in;
  bee__block_t *block = s->block;
  int err;

  (void) ab_read_uint(in); /* the type */
  block->checkpoint = ab_read_uint(in);
  block->batch_start = ab_read_uint(in);
  block->batch_end = ab_read_uint(in);
  uint64_t flags = ab_read_uint(in);
  block->has_previous = (flags & FLAG_PREVIOUS) != 0;
  if (block->has_previous) {
    block->previous_core = ab_read_uint(in);
    block->previous_seq = ab_read_uint(in);
  }
  if ((flags & FLAG_METADATA) != 0 && (err = scan_metadata(s)) < 0) return err;
  for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
    if ((flags & order[i].flag) == 0) continue;
    if ((err = scan_list(s, in, order[i].list)) < 0) return err;
  }
  if ((flags & FLAG_T) != 0) block->t = ab_read_uint(in);
  if (block->t == 0) block->t = BEE__DEGREE_DEFAULT;
  return in->err;
}

int
bee__block_scan (ab_slice_t data, uint64_t seq, bee__scan_t *scan, bee__block_t *block) {
  ab_reader_t in = ab_reader(data);
  uint64_t type = ab_read_uint(&in);
  int err;

  *block = (bee__block_t){0};
  if (in.err < 0 || data.len > UINT32_MAX) return AB_ECORRUPT;
  if (type != 1) {
    ab_buf_reset(&scan->bytes);
    if ((err = bee__legacy_rewrite(data, type, seq, &scan->bytes)) < 0) return err;
    data = ab_buf_slice(&scan->bytes);
  }
  ab_buf_reset(&scan->offsets);
  scanner_t s = {.in = ab_reader(data), .start = data.data, .scan = scan, .block = block};
  block->data = data;
  block->type = type;
  if ((err = scan_current(&s)) < 0) return err;

  const uint32_t *at = (const uint32_t *) (const void *) scan->offsets.data;
  for (int i = 0; i < BEE__LISTS; i++) {
    block->lists[i].at = at;
    if (at != NULL) at += block->lists[i].count;
  }
  return 0;
}

int
bee__block_item (const bee__block_t *block, int list, uint64_t i, ab_reader_t *in) {
  const bee__list_t *items = &block->lists[list];
  if (i >= items->count) return AB_ECORRUPT;
  *in = ab_reader(block->data);
  in->at += items->at[i];
  return 0;
}

/* ---- writing ---- */

static void
write_list (ab_buf_t *out, bee__parts_t *parts, int list) {
  if (!parts->lists[list].is_present) return;
  ab_write_uint(out, parts->lists[list].count);
  parts->lists[list].at = out->len;
  ab_write_bytes(out, parts->lists[list].items);
}

void
bee__block_write (ab_buf_t *out, bee__parts_t *parts) {
  uint64_t flags = 0;
  if (parts->has_previous) flags |= FLAG_PREVIOUS;
  if (parts->lists[BEE__CORES].is_present) flags |= FLAG_METADATA;
  if (parts->lists[BEE__TREE].is_present) flags |= FLAG_TREE;
  if (parts->lists[BEE__KEYS].is_present) flags |= FLAG_KEYS;
  if (parts->lists[BEE__VALUES].is_present) flags |= FLAG_VALUES;
  if (parts->lists[BEE__COHORTS].is_present) flags |= FLAG_COHORTS;
  if (parts->t != BEE__DEGREE_DEFAULT) flags |= FLAG_T;

  ab_write_uint(out, 1);
  ab_write_uint(out, parts->checkpoint);
  ab_write_uint(out, parts->batch_start);
  ab_write_uint(out, parts->batch_end);
  ab_write_uint(out, flags);
  if (parts->has_previous) {
    ab_write_uint(out, parts->previous_core);
    ab_write_uint(out, parts->previous_seq);
  }
  if (parts->lists[BEE__CORES].is_present) {
    ab_write_uint(out, ab_uint_size(parts->lists[BEE__CORES].count) + parts->lists[BEE__CORES].items.len);
    write_list(out, parts, BEE__CORES);
  }
  for (int list = BEE__TREE; list < BEE__LISTS; list++) write_list(out, parts, list);
  if (parts->t != BEE__DEGREE_DEFAULT) ab_write_uint(out, parts->t);
}

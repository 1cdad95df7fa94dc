/* fuzz_bee_block.c: blocks of trees. The first byte of an input is the block's number, the rest the block.
 * What decodes is encoded, and that has to be canonical: it decodes and encodes back to the same bytes. */
#include <stdlib.h>

#include "bee/block.h"
#include "fuzz/fuzz.h"
#include "support/vectors.h"

static void
encode_ops (ab_reader_t *in, ab_buf_t *out) {
  size_t count = ab_read_count(in, 1);
  ab_write_uint(out, count);
  for (size_t i = 0; i < count; i++) {
    bee__op_t op;
    bee__read_op(in, &op);
    bee__write_op(out, &op);
  }
}

static void
encode_item (int list, ab_reader_t *in, ab_buf_t *out) {
  bee__stored_key_t key;
  bee__stored_core_t core;
  switch (list) {
  case BEE__CORES:
    bee__read_stored_core(in, &core);
    bee__write_stored_core(out, &core);
    break;
  case BEE__TREE:
    encode_ops(in, out);
    encode_ops(in, out);
    break;
  case BEE__KEYS:
    bee__read_stored_key(in, &key);
    bee__write_stored_key(out, &key);
    break;
  case BEE__VALUES:
    ab_write_buffer(out, ab_read_buffer(in));
    break;
  default:
    encode_ops(in, out);
  }
  if (in->err < 0) abort(); /* the scan has seen every bound */
}

static void
encode (const bee__block_t *block, ab_buf_t *out) {
  ab_buf_t items[BEE__LISTS] = {0};
  bee__parts_t parts = {
    .checkpoint = block->checkpoint,
    .batch_start = block->batch_start,
    .batch_end = block->batch_end,
    .has_previous = block->has_previous,
    .previous_core = block->previous_core,
    .previous_seq = block->previous_seq,
    .t = block->t,
  };
  for (int list = 0; list < BEE__LISTS; list++) {
    for (uint32_t i = 0; i < block->lists[list].count; i++) {
      ab_reader_t in;
      if (bee__block_item(block, list, i, &in) < 0) abort();
      encode_item(list, &in, &items[list]);
    }
    parts.lists[list].is_present = block->lists[list].is_present;
    parts.lists[list].count = block->lists[list].count;
    parts.lists[list].items = ab_buf_slice(&items[list]);
  }
  bee__block_write(out, &parts);
  for (int list = 0; list < BEE__LISTS; list++) ab_buf_destroy(&items[list]);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size) {
  bee__scan_t scan = {0};
  bee__block_t block;
  ab_buf_t first = {0};
  ab_buf_t second = {0};

  if (size == 0) return 0;
  if (bee__block_scan(ab_slice(data + 1, size - 1), data[0], &scan, &block) == 0) {
    fuzz_accepted();
    encode(&block, &first);
    if (first.err < 0 || bee__block_scan(ab_buf_slice(&first), data[0], &scan, &block) < 0) abort();
    encode(&block, &second);
    if (!ab_slice_equal(ab_buf_slice(&first), ab_buf_slice(&second))) abort();
  }
  ab_buf_destroy(&first);
  ab_buf_destroy(&second);
  bee__scan_destroy(&scan);
  return 0;
}

static void
seed (uint64_t seq, ab_slice_t block) {
  uint8_t number = (uint8_t) seq;
  ab_buf_t input = {0};
  ab_buf_append(&input, ab_slice(&number, 1));
  ab_buf_append(&input, block);
  fuzz_seed(ab_buf_slice(&input));
  ab_buf_destroy(&input);
}

static void
seed_encodings (const char *file, json_t *root, void *data) {
  size_t i;
  json_t *item;
  (void) file;
  (void) data;
  json_array_foreach(vectors_get(root, "blocks"), i, item) seed(0, vectors_get_bytes(item, "hex"));
  json_array_foreach(vectors_get(root, "legacy"), i, item) {
    seed(vectors_get_uint(item, "seq"), vectors_get_bytes(item, "hex"));
  }
}

static void
seed_damaged (const char *file, json_t *root, void *data) {
  size_t i;
  json_t *item;
  (void) file;
  (void) data;
  json_array_foreach(vectors_get(root, "decode"), i, item) seed(1, vectors_bytes(json_array_get(item, 0)));
}

void
fuzz_seeds (void) {
  vectors_each("bee", "encoding.json", seed_encodings, NULL);
  vectors_each("bee", "corrupt.json", seed_damaged, NULL);
}

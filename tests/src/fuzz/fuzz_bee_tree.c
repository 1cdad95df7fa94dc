/* fuzz_bee_tree.c: whole trees. An input is the blocks of one core, each after its length in two bytes, big
 * endian. The tree of the last block is read both ways, searched and written to: any answer will do, in
 * bounded time and memory. */
#include <stdlib.h>

#include "bee/bee.h"
#include "fuzz/fuzz.h"
#include "hypercore/buf.h"
#include "support/vectors.h"

#define BLOCKS_MAX 64
#define ENTRIES_MAX 10000

static ab_store_t *store;
static hypercore_t *core;

static void
open_core (void) {
  static const ab_key_t primary = {{1}};
  ab_store_options_t options = ab_store_options_default();
  hypercore_options_t named = hypercore_options_default();
  options.primary_key = &primary;
  options.cache_bytes = 1 << 20;
  named.name = ab_text("bee");
  if (ab_store_open(NULL, &options, &store, NULL, 0) < 0) abort();
  if (hypercore_open(store, &named, &core) < 0) abort();
}

static int
read_all (bee_t *bee, bool reverse) {
  bee_range_t range = {.reverse = reverse, .limit = ENTRIES_MAX};
  bee_cursor_t *cursor;
  bee_entry_t entry;
  size_t bytes = 0;
  int err;
  if ((err = bee_cursor_open(bee, &range, &cursor)) < 0) return err;
  while ((err = bee_cursor_next(cursor, &entry)) == 0) {
    for (size_t i = 0; i < entry.key.len; i++) bytes += entry.key.data[i];
    for (size_t i = 0; i < entry.value.len; i++) bytes += entry.value.data[i];
  }
  bee_cursor_close(cursor);
  return err == AB_EEND || bytes == SIZE_MAX ? 0 : err;
}

static void
write_some (bee_t *bee) {
  bee_batch_t *batch;
  bee_entry_t entry;
  if (bee_batch_begin(bee, NULL, &batch) < 0) return;
  for (uint8_t c = 'a'; c < 'z'; c++) {
    bee_batch_put(batch, ab_slice(&c, 1), ab_slice(&c, 1));
    bee_batch_get(batch, ab_slice(&c, 1), &entry);
    uint8_t other = (uint8_t) ('0' + c % 10);
    bee_batch_del(batch, ab_slice(&other, 1));
  }
  if (bee_batch_flush(batch, NULL) < 0) bee_batch_abort(batch);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size) {
  ab_slice_t blocks[BLOCKS_MAX];
  size_t count = 0;
  bee_t *bee;
  bee_entry_t entry;
  bee_change_t change;
  ab_head_t head;

  if (store == NULL) open_core();
  for (size_t at = 0; at + 2 <= size && count < BLOCKS_MAX;) {
    size_t len = (size_t) data[at] << 8 | data[at + 1];
    at += 2;
    if (len > size - at) len = size - at;
    blocks[count++] = ab_slice(data + at, len);
    at += len;
  }
  if (count == 0) return 0;
  if (hypercore_append(core, blocks, count, NULL) < 0) abort();
  if (bee_open(core, NULL, &bee) < 0) abort();
  bee_head(bee, &head);
  if (read_all(bee, false) == 0) fuzz_accepted();
  read_all(bee, true);
  bee_get(bee, ab_text("k3"), &entry);
  bee_change(bee, &head, &change, NULL, NULL);
  write_some(bee);
  read_all(bee, false);
  bee_close(bee);
  if (hypercore_rollback(core, 0) < 0) abort();
  return 0;
}

static void
seed (const json_t *blocks) {
  ab_buf_t input = {0};
  json_t *block;
  size_t i;
  json_array_foreach(blocks, i, block) {
    ab_slice_t bytes = vectors_bytes(block);
    uint8_t len[2] = {(uint8_t) (bytes.len >> 8), (uint8_t) bytes.len};
    if (bytes.len > UINT16_MAX) return;
    ab_buf_append(&input, ab_slice(len, 2));
    ab_buf_append(&input, bytes);
  }
  if (input.len > 0) fuzz_seed(ab_buf_slice(&input));
  ab_buf_destroy(&input);
}

static void
seed_damaged (const char *file, json_t *root, void *data) {
  size_t i;
  json_t *item;
  (void) file;
  (void) data;
  json_array_foreach(vectors_get(root, "cases"), i, item) seed(vectors_get(item, "blocks"));
  json_array_foreach(vectors_get(root, "mutate"), i, item) seed(vectors_get(item, "blocks"));
}

/* Each case up to each of its steps, as far as they are small. */
static void
seed_small (const char *file, json_t *root, void *data) {
  size_t i, s;
  json_t *item, *step;
  (void) file;
  (void) data;
  json_array_foreach(vectors_get(root, "cases"), i, item) {
    json_t *blocks = json_array();
    json_array_foreach(vectors_get(item, "steps"), s, step) {
      json_array_extend(blocks, vectors_get(step, "blocks"));
      if (s < 6 && json_array_size(blocks) <= BLOCKS_MAX) seed(blocks);
    }
    json_decref(blocks);
  }
}

void
fuzz_seeds (void) {
  vectors_each("bee", "corrupt.json", seed_damaged, NULL);
  vectors_each("bee", "small.json", seed_small, NULL);
}

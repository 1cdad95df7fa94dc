/* vectors_bee_codec.c: recorded blocks, whole and damaged: decoded, encoded, read as trees. */
#include <stdlib.h>

#include "bee/block.h"
#include "recorded_bee.h"

/* ---- the decoded form, as the files show it ---- */

static json_t *
show_bytes (ab_slice_t bytes, bool is_present) {
  return is_present ? json_string(hex_text(bytes)) : json_null();
}

static json_t *
show_uint (uint64_t value) {
  return json_integer((json_int_t) value);
}

static json_t *
show_pointer (bool is_present, uint64_t core, uint64_t seq, uint64_t offset) {
  if (!is_present) return json_null();
  return json_pack("{so so so}", "core", show_uint(core), "seq", show_uint(seq), "offset", show_uint(offset));
}

static json_t *
show_ops (ab_reader_t *in) {
  json_t *list = json_array();
  size_t count = ab_read_count(in, 1);
  for (size_t i = 0; i < count; i++) {
    bee__op_t op;
    bee__read_op(in, &op);
    json_t *pointer = show_pointer(op.has_pointer, op.core, op.seq, op.offset);
    json_t *shown =
      json_pack("{si si so}", "type", (int) op.type, "index", (int) op.index, "pointer", pointer);
    json_array_append_new(list, shown);
  }
  return list;
}

static json_t *
show_key (ab_reader_t *in) {
  bee__stored_key_t key;
  bee__read_stored_key(in, &key);
  json_t *pointer = show_pointer(key.has_pointer, key.core, key.seq, key.offset);
  if (key.has_pointer) json_object_set_new(pointer, "split", show_uint(key.split));
  return json_pack(
    "{so so so}",
    "key",
    show_bytes(key.key, true),
    "value",
    show_bytes(key.value, key.has_value),
    "valuePointer",
    pointer
  );
}

static json_t *
show_core (ab_reader_t *in) {
  bee__stored_core_t core;
  bee__read_stored_core(in, &core);
  json_t *hash = show_bytes(ab_slice(core.tree_hash, 32), core.has_tree_hash);
  return json_pack(
    "{so so so so}",
    "key",
    show_bytes(ab_key_slice(&core.key), true),
    "fork",
    show_uint(core.fork),
    "length",
    show_uint(core.length),
    "treeHash",
    hash
  );
}

static json_t *
show_list (const bee__block_t *block, int list) {
  if (!block->lists[list].is_present) return json_null();
  json_t *shown = json_array();
  for (uint32_t i = 0; i < block->lists[list].count; i++) {
    ab_reader_t in;
    json_t *item = NULL;
    if (bee__block_item(block, list, i, &in) < 0) break;
    if (list == BEE__CORES) item = show_core(&in);
    if (list == BEE__KEYS) item = show_key(&in);
    if (list == BEE__VALUES) item = show_bytes(ab_read_buffer(&in), true);
    if (list == BEE__COHORTS) item = show_ops(&in);
    if (list == BEE__TREE) {
      json_t *keys = show_ops(&in);
      item = json_pack("{so so}", "keys", keys, "children", show_ops(&in));
    }
    json_array_append_new(shown, item);
  }
  return shown;
}

static json_t *
show_block (const bee__block_t *block) {
  json_t *previous = json_null();
  json_t *metadata = json_null();
  if (block->has_previous) {
    previous =
      json_pack("{so so}", "core", show_uint(block->previous_core), "seq", show_uint(block->previous_seq));
  }
  if (block->lists[BEE__CORES].is_present)
    metadata = json_pack("{so}", "cores", show_list(block, BEE__CORES));
  json_t *batch =
    json_pack("{so so}", "start", show_uint(block->batch_start), "end", show_uint(block->batch_end));
  json_t *shown = json_pack(
    "{so so so so so}",
    "type",
    show_uint(block->type),
    "checkpoint",
    show_uint(block->checkpoint),
    "batch",
    batch,
    "previous",
    previous,
    "metadata",
    metadata
  );
  json_object_set_new(shown, "tree", show_list(block, BEE__TREE));
  json_object_set_new(shown, "keys", show_list(block, BEE__KEYS));
  json_object_set_new(shown, "values", show_list(block, BEE__VALUES));
  json_object_set_new(shown, "cohorts", show_list(block, BEE__COHORTS));
  json_object_set_new(shown, "t", show_uint(block->t));
  return shown;
}

/* ---- and encoded from it ---- */

static void
encode_ops (ab_buf_t *out, const json_t *ops) {
  json_t *item;
  size_t i;
  ab_write_uint(out, json_array_size(ops));
  json_array_foreach(ops, i, item) {
    bee__op_t op = {
      .type = (uint8_t) vectors_get_uint(item, "type"), .index = (uint8_t) vectors_get_uint(item, "index")};
    if ((op.has_pointer = vectors_has(item, "pointer"))) {
      const json_t *pointer = vectors_get(item, "pointer");
      op.core = vectors_get_uint(pointer, "core");
      op.seq = vectors_get_uint(pointer, "seq");
      op.offset = vectors_get_uint(pointer, "offset");
    }
    bee__write_op(out, &op);
  }
}

static void
encode_key (ab_buf_t *out, const json_t *item) {
  bee__stored_key_t key = {.key = vectors_get_bytes(item, "key"), .value = vectors_get_bytes(item, "value")};
  key.has_value = vectors_has(item, "value");
  if ((key.has_pointer = vectors_has(item, "valuePointer"))) {
    const json_t *pointer = vectors_get(item, "valuePointer");
    key.core = vectors_get_uint(pointer, "core");
    key.seq = vectors_get_uint(pointer, "seq");
    key.offset = vectors_get_uint(pointer, "offset");
    key.split = vectors_get_uint(pointer, "split");
  }
  bee__write_stored_key(out, &key);
}

static void
encode_core (ab_buf_t *out, const json_t *item) {
  bee__stored_core_t core = {
    .fork = vectors_get_uint(item, "fork"), .length = vectors_get_uint(item, "length")};
  vectors_get_key(item, "key", &core.key);
  if ((core.has_tree_hash = vectors_has(item, "treeHash"))) {
    memcpy(core.tree_hash, vectors_get_bytes(item, "treeHash").data, 32);
  }
  bee__write_stored_core(out, &core);
}

static void
encode_list (bee__parts_t *parts, int list, const json_t *items, ab_buf_t *out) {
  json_t *item;
  size_t i;
  if (json_is_null(items)) return;
  json_array_foreach(items, i, item) {
    if (list == BEE__CORES) encode_core(out, item);
    if (list == BEE__KEYS) encode_key(out, item);
    if (list == BEE__VALUES) ab_write_buffer(out, vectors_bytes(item));
    if (list == BEE__COHORTS) encode_ops(out, item);
    if (list != BEE__TREE) continue;
    encode_ops(out, vectors_get(item, "keys"));
    encode_ops(out, vectors_get(item, "children"));
  }
  parts->lists[list].is_present = true;
  parts->lists[list].count = json_array_size(items);
  parts->lists[list].items = ab_buf_slice(out);
}

static void
check_encoding (const json_t *block, ab_slice_t expected) {
  ab_buf_t items[BEE__LISTS] = {0};
  ab_buf_t out = {0};
  const json_t *batch = vectors_get(block, "batch");
  bee__parts_t parts = {
    .checkpoint = vectors_get_uint(block, "checkpoint"),
    .batch_start = vectors_get_uint(batch, "start"),
    .batch_end = vectors_get_uint(batch, "end"),
    .has_previous = vectors_has(block, "previous"),
    .t = vectors_get_uint(block, "t"),
  };
  if (parts.has_previous) {
    parts.previous_core = vectors_get_uint(vectors_get(block, "previous"), "core");
    parts.previous_seq = vectors_get_uint(vectors_get(block, "previous"), "seq");
  }
  if (vectors_has(block, "metadata")) {
    encode_list(&parts, BEE__CORES, vectors_get(vectors_get(block, "metadata"), "cores"), &items[BEE__CORES]);
  }
  encode_list(&parts, BEE__TREE, vectors_get(block, "tree"), &items[BEE__TREE]);
  encode_list(&parts, BEE__KEYS, vectors_get(block, "keys"), &items[BEE__KEYS]);
  encode_list(&parts, BEE__VALUES, vectors_get(block, "values"), &items[BEE__VALUES]);
  encode_list(&parts, BEE__COHORTS, vectors_get(block, "cohorts"), &items[BEE__COHORTS]);
  bee__block_write(&out, &parts);
  check_err("encode", 0, out.err);
  check_bytes("encoded", expected, ab_buf_slice(&out));
  for (int i = 0; i < BEE__LISTS; i++) ab_buf_destroy(&items[i]);
  ab_buf_destroy(&out);
}

/* ---- encoding.json ---- */

static void
check_shown (const json_t *expected, json_t *found) {
  if (!json_equal(expected, found)) {
    char *text = json_dumps(found, JSON_COMPACT);
    vectors_fail("decoded: %s", text);
    free(text);
  }
  json_decref(found);
}

/* In blocks of an older type an absent list and an empty one are the same. */
static void
drop_empty (json_t *block) {
  static const char *const lists[] = {"tree", "keys", "values", "cohorts"};
  for (size_t i = 0; i < 4; i++) {
    if (json_array_size(json_object_get(block, lists[i])) == 0)
      json_object_set_new(block, lists[i], json_null());
  }
  const json_t *metadata = json_object_get(block, "metadata");
  if (json_is_object(metadata) && json_array_size(json_object_get(metadata, "cores")) == 0) {
    json_object_set_new(block, "metadata", json_null());
  }
}

static void
run_encoding (const char *file, json_t *root) {
  bee__scan_t scan = {0};
  bee__block_t block;
  json_t *item;
  size_t i;
  (void) file;
  json_array_foreach(vectors_get(root, "blocks"), i, item) {
    vectors_begin(NULL, "blocks", "%s", vectors_get_text(item, "name"));
    ab_slice_t bytes = vectors_get_bytes(item, "hex");
    if (check_err("decode", 0, bee__block_scan(bytes, 0, &scan, &block))) {
      check_shown(vectors_get(item, "block"), show_block(&block));
    }
    check_encoding(vectors_get(item, "block"), bytes);
  }
  json_array_foreach(vectors_get(root, "legacy"), i, item) {
    vectors_begin(NULL, "legacy", "%zu", i);
    ab_slice_t bytes = vectors_get_bytes(item, "hex");
    if (!check_err("decode", 0, bee__block_scan(bytes, vectors_get_uint(item, "seq"), &scan, &block)))
      continue;
    json_t *expected = json_deep_copy(vectors_get(item, "block"));
    json_t *found = show_block(&block);
    drop_empty(expected);
    drop_empty(found);
    check_shown(expected, found);
    json_decref(expected);
  }
  bee__scan_destroy(&scan);
}

/* ---- corrupt.json ---- */

/* A tree whose blocks are given: a core in a store of its own. */
typedef struct {
  ab_store_t *store;
  hypercore_t *core;
  bee_t *bee;
} tree_t;

static bool
open_tree (tree_t *tree, const ab_slice_t *blocks, size_t count) {
  tree->store = recorded_store(1);
  tree->core = recorded_any_core(tree->store, 0);
  tree->bee = NULL;
  if (!check_err("append", 0, hypercore_append(tree->core, blocks, count, NULL))) return false;
  return check_err("open", 0, bee_open(tree->core, NULL, &tree->bee));
}

static void
close_tree (tree_t *tree) {
  bee_close(tree->bee);
  hypercore_close(tree->core);
  ab_store_close(tree->store);
}

static void
check_reference (void *data, uint64_t i, const bee_entry_t *entry) {
  const json_t *row = json_array_get(data, i);
  if (row == NULL) return;
  const json_t *value = json_array_get(row, 1);
  check_text("key", vectors_text(json_array_get(row, 0)), hex_text(entry->key));
  if (check_that(entry->has_value == !json_is_null(value)) && entry->has_value) {
    check_text("value", vectors_text(value), hex_text(entry->value));
  }
}

static void
run_case (const json_t *item) {
  const json_t *blocks = vectors_get(item, "blocks");
  const char *expect = vectors_get_text(item, "expect");
  const char *name = vectors_get_text(item, "name");
  recorded_contents_t contents;
  ab_slice_t slices[16];
  tree_t tree;
  json_t *block;
  size_t i;

  vectors_begin(NULL, "cases", "%s", name);
  json_array_foreach(blocks, i, block) slices[i] = vectors_bytes(block);
  if (open_tree(&tree, slices, json_array_size(blocks))) {
    const json_t *reference = vectors_get(item, "reference");
    bool is_error = strcmp(expect, "error") == 0 && strcmp(name, "type 10: header block as tree") != 0;
    recorded_read(
      tree.bee,
      NULL,
      &contents,
      json_is_array(reference) ? check_reference : NULL,
      (void *) (uintptr_t) reference
    );
    if (is_error) {
      check_that(contents.err == AB_ECORRUPT || contents.err == AB_EREMOTE);
    } else {
      if (strcmp(expect, "ok") == 0) check_err("read", 0, contents.err);
      /* If it gives anything, then what the operations say. */
      if (contents.err == 0 && json_is_array(reference))
        check_uint("entries", json_array_size(reference), contents.count);
    }
    ab_buf_destroy(&contents.bytes);
  }
  close_tree(&tree);
}

static void
run_decode (const json_t *item, size_t number) {
  static const int lists[] = {BEE__TREE, BEE__KEYS, BEE__VALUES, BEE__COHORTS};
  const json_t *shape = json_array_get(item, 1);
  bee__scan_t scan = {0};
  bee__block_t block;

  vectors_begin(NULL, "decode", "%zu", number);
  int err = bee__block_scan(vectors_bytes(json_array_get(item, 0)), 0, &scan, &block);
  if (check_err("decode", json_is_null(shape) ? AB_ECORRUPT : 0, err) && err == 0) {
    for (size_t i = 0; i < 4; i++) {
      const json_t *expected = json_array_get(shape, i);
      check_that(block.lists[lists[i]].is_present == !json_is_null(expected));
      if (!json_is_null(expected)) check_uint("items", vectors_uint(expected), block.lists[lists[i]].count);
    }
  }
  bee__scan_destroy(&scan);
}

/* Read, look up and change a damaged tree: any answer will do, in bounded time. */
static void
use_damaged (const ab_slice_t *blocks, size_t count) {
  recorded_contents_t contents;
  bee_entry_t entry;
  bee_batch_t *batch;
  tree_t tree;

  if (open_tree(&tree, blocks, count)) {
    recorded_read(tree.bee, NULL, &contents, NULL, NULL);
    ab_buf_destroy(&contents.bytes);
    bee_get(tree.bee, ab_text("m"), &entry);
    if (bee_batch_begin(tree.bee, NULL, &batch) == 0) {
      for (char c = 0; c < 0x7f; c++) {
        bee_batch_put(batch, ab_slice(&c, 1), ab_slice(&c, 1));
        bee_batch_del(batch, ab_slice("\x2f", 1));
      }
      if (bee_batch_flush(batch, NULL) < 0) bee_batch_abort(batch);
    }
  }
  close_tree(&tree);
}

static void
run_mutate (const json_t *item) {
  const json_t *blocks = vectors_get(item, "blocks");
  size_t count = json_array_size(blocks);
  xorshift32_t random = xorshift32((uint32_t) vectors_get_uint(item, "seed"));
  ab_slice_t *slices = calloc(count, sizeof(*slices));
  json_t *block;
  size_t i;

  vectors_begin(NULL, "mutate", "t = %llu", (unsigned long long) vectors_get_uint(item, "t"));
  json_array_foreach(blocks, i, block) slices[i] = vectors_bytes(block);
  for (uint64_t round = 0; round < vectors_get_uint(item, "rounds"); round++) {
    size_t b = xorshift32_below(&random, (uint32_t) count);
    ab_slice_t intact = slices[b];
    uint8_t *damaged = malloc(intact.len);
    memcpy(damaged, intact.data, intact.len);
    uint32_t changes = 1 + xorshift32_below(&random, 3);
    for (uint32_t n = 0; n < changes; n++) {
      uint32_t at = xorshift32_below(&random, (uint32_t) intact.len);
      damaged[at] = (uint8_t) xorshift32_below(&random, 256);
    }
    slices[b].data = damaged;
    use_damaged(slices, count);
    slices[b] = intact;
    free(damaged);
  }
  free(slices);
}

static void
run_corrupt (const char *file, json_t *root) {
  json_t *item;
  size_t i;
  (void) file;
  json_array_foreach(vectors_get(root, "cases"), i, item) run_case(item);
  json_array_foreach(vectors_get(root, "decode"), i, item) run_decode(item, i);
  json_array_foreach(vectors_get(root, "mutate"), i, item) run_mutate(item);
}

int
main (int argc, char **argv) {
  static const vectors_runner_t runners[] = {{"encoding.json", run_encoding}, {"corrupt.json", run_corrupt}};
  return vectors_main(argc, argv, "bee", runners, sizeof(runners) / sizeof(runners[0]));
}

/* vectors_bee_history.c: recorded versions of trees: checkouts, the changes of batches, steps back,
 * differences. */
#include <stdlib.h>

#include "bee/block.h"
#include "recorded_bee.h"

#define CORES 2

/* ---- versions ---- */

static void
check_version (bee_t *bee, const ab_key_t *key, uint64_t length, uint64_t count, const char *hash) {
  ab_head_t head = {.key = *key, .length = length};
  bee_t *version;
  if (!check_err("checkout", 0, bee_checkout(bee, &head, &version))) return;
  check_contents("version", version, count, hash);
  bee_close(version);
}

static void
run_versions (bee_t *bee, hypercore_t *core, const json_t *versions, size_t number) {
  json_t *row;
  size_t i;
  json_array_foreach(versions, i, row) {
    vectors_begin(NULL, "versions", "case %zu, version %zu", number, i);
    uint64_t length = vectors_uint(json_array_get(row, 0));
    uint64_t count = vectors_uint(json_array_get(row, 1));
    check_version(bee, hypercore_key(core), length, count, vectors_text(json_array_get(row, 2)));
  }
}

/* ---- changes ---- */

static int
count_key (void *data, ab_slice_t key, ab_slice_t value, bool has_value) {
  (void) key;
  (void) value;
  (void) has_value;
  ++*(uint64_t *) data;
  return 0;
}

/* Of each block of the batch: where it is in it, and how many keys, nodes and values it has. */
static uint64_t
check_batch_blocks (hypercore_t *core, uint64_t first, const json_t *blocks) {
  static const int lists[] = {BEE__KEYS, BEE__TREE, BEE__VALUES};
  bee__scan_t scan = {0};
  bee__block_t block;
  uint64_t keys = 0;
  json_t *row;
  size_t i;
  json_array_foreach(blocks, i, row) {
    ab_slice_t data;
    if (!check_err("get", 0, hypercore_get(core, first + i, &data))) break;
    if (!check_err("decode", 0, bee__block_scan(data, first + i, &scan, &block))) break;
    check_uint("batch start", vectors_uint(json_array_get(row, 0)), block.batch_start);
    check_uint("batch end", vectors_uint(json_array_get(row, 1)), block.batch_end);
    for (size_t n = 0; n < 3; n++) {
      check_uint("items", vectors_uint(json_array_get(row, 2 + n)), block.lists[lists[n]].count);
    }
    keys += block.lists[BEE__KEYS].count;
  }
  bee__scan_destroy(&scan);
  return keys;
}

static void
run_changes (bee_t *bee, hypercore_t *core, const json_t *changes, size_t number) {
  ab_head_t head;
  json_t *row;
  size_t i;
  bee_head(bee, &head);
  json_array_foreach(changes, i, row) {
    const json_t *tail = json_array_get(row, 1);
    const json_t *blocks = json_array_get(row, 2);
    bee_change_t change;
    uint64_t keys = 0;
    vectors_begin(NULL, "changes", "case %zu, change %zu", number, i);
    check_uint("head", vectors_uint(json_array_get(row, 0)), head.length);
    if (!check_err("change", 0, bee_change(bee, &head, &change, count_key, &keys))) return;
    check_uint("tail", json_is_null(tail) ? 0 : vectors_uint(tail), change.previous.length);
    check_uint("blocks", json_array_size(blocks), change.blocks);
    check_uint("keys", check_batch_blocks(core, head.length - change.blocks, blocks), keys);
    head = change.previous;
  }
  check_uint("what is before the first", 0, head.length);
}

/* ---- steps back ---- */

static bool
step_back (bee_t *bee, uint64_t steps, ab_head_t *head) {
  bee_change_t change;
  bee_head(bee, head);
  for (; steps > 0 && head->length > 0; steps--) {
    if (!check_err("change", 0, bee_change(bee, head, &change, NULL, NULL))) return false;
    *head = change.previous;
  }
  return true;
}

static void
run_undo (bee_t *bee, const json_t *undo, size_t number) {
  json_t *row;
  size_t i;
  json_array_foreach(undo, i, row) {
    ab_head_t head;
    vectors_begin(NULL, "undo", "case %zu, undo %zu", number, i);
    if (!step_back(bee, vectors_uint(json_array_get(row, 0)), &head)) continue;
    check_uint("head", vectors_uint(json_array_get(row, 1)), head.length);
    uint64_t count = vectors_uint(json_array_get(row, 2));
    check_version(bee, &head.key, head.length, count, vectors_text(json_array_get(row, 3)));
  }
}

/* ---- differences: both sides read in order, side by side ---- */

typedef struct {
  bee_t *bee;
  bee_cursor_t *cursor;
  bee_entry_t entry;
  int err;
} side_t;

static bool
open_side (side_t *side, bee_t *bee, const ab_head_t *head, const bee_range_t *range) {
  *side = (side_t){0};
  if (!check_err("checkout", 0, bee_checkout(bee, head, &side->bee))) return false;
  if (!check_err("cursor", 0, bee_cursor_open(side->bee, range, &side->cursor))) return false;
  side->err = bee_cursor_next(side->cursor, &side->entry);
  return true;
}

static void
close_side (side_t *side) {
  if (side->err < 0 && side->err != AB_EEND) check_err("read", AB_EEND, side->err);
  bee_cursor_close(side->cursor);
  bee_close(side->bee);
}

static json_t *
show_side (const side_t *side, bool is_present, const ab_key_t *cores) {
  if (!is_present) return json_null();
  int core = ab_key_equal(&side->entry.core, &cores[0]) ? 0 : 1;
  return json_pack("[iII]", core, (json_int_t) side->entry.seq, (json_int_t) side->entry.offset);
}

static json_t *
diff (
  bee_t *bee,
  const ab_head_t *left_head,
  const ab_head_t *right_head,
  const json_t *options,
  const ab_key_t *cores
) {
  json_t *found = json_array();
  bee_range_t range;
  side_t left, right;
  uint64_t limit = UINT64_MAX;

  if (!recorded_range(options, &range)) return found;
  if (range.limit > 0) limit = range.limit;
  range.limit = 0;
  if (open_side(&left, bee, left_head, &range) && open_side(&right, bee, right_head, &range)) {
    while ((left.err == 0 || right.err == 0) && json_array_size(found) < limit) {
      int order = left.err < 0 ? 1 : right.err < 0 ? -1 : ab_slice_compare(left.entry.key, right.entry.key);
      bool same = order == 0 && left.entry.seq == right.entry.seq &&
                  left.entry.offset == right.entry.offset &&
                  ab_key_equal(&left.entry.core, &right.entry.core);
      if (!same) {
        const char *key = hex_text(order <= 0 ? left.entry.key : right.entry.key);
        json_t *a = show_side(&left, order <= 0, cores);
        json_array_append_new(found, json_pack("[soo]", key, a, show_side(&right, order >= 0, cores)));
      }
      if (order <= 0) left.err = bee_cursor_next(left.cursor, &left.entry);
      if (order >= 0) right.err = bee_cursor_next(right.cursor, &right.entry);
    }
    close_side(&left);
    close_side(&right);
  }
  return found;
}

static void
check_diff (const json_t *expected, json_t *found) {
  char *text = json_dumps(found, JSON_COMPACT);
  if (vectors_has(expected, "entries")) {
    if (!json_equal(vectors_get(expected, "entries"), found)) vectors_fail("found %s", text);
  } else {
    check_uint("count", vectors_get_uint(expected, "count"), json_array_size(found));
    check_text("hash", vectors_get_text(expected, "hash"), hash_text(ab_text(text), 32));
  }
  free(text);
  json_decref(found);
}

static void
run_diffs (bee_t *bee, hypercore_t *core, const json_t *diffs, size_t number) {
  ab_key_t cores[CORES] = {*hypercore_key(core)};
  json_t *item;
  size_t i;
  json_array_foreach(diffs, i, item) {
    vectors_begin(NULL, "diffs", "case %zu, diff %zu", number, i);
    ab_head_t left = {.key = cores[0], .length = vectors_get_uint(item, "left")};
    ab_head_t right = {.key = cores[0], .length = vectors_get_uint(item, "right")};
    check_diff(item, diff(bee, &left, &right, vectors_get(item, "options"), cores));
  }
}

/* ---- two branches in two cores ---- */

static void
check_branch_changes (bee_t *bee, const ab_key_t *cores, const json_t *changes) {
  bee_change_t change;
  ab_head_t head;
  json_t *row;
  size_t i;
  bee_head(bee, &head);
  json_array_foreach(changes, i, row) {
    check_that(ab_key_equal(&head.key, &cores[vectors_uint(json_array_get(row, 0))]));
    check_uint("head", vectors_uint(json_array_get(row, 1)), head.length);
    if (!check_err("change", 0, bee_change(bee, &head, &change, NULL, NULL))) return;
    head = change.previous;
  }
  check_uint("what is before the first", 0, head.length);
}

static void
run_branches (const json_t *item) {
  ab_store_t *store = recorded_store(15);
  const json_t *keys = vectors_get(item, "keys");
  hypercore_t *cores[CORES];
  ab_key_t core_keys[CORES];
  bee_t *bees[CORES];
  ab_head_t heads[CORES];
  json_t *block;
  size_t i;

  vectors_begin(NULL, "branches", "two cores");
  for (size_t c = 0; c < CORES; c++) {
    cores[c] = recorded_core(store, c == 0 ? "branch a" : "branch b");
    vectors_key(json_array_get(keys, c), &core_keys[c]);
    check_that(ab_key_equal(hypercore_key(cores[c]), &core_keys[c]));
    json_array_foreach(json_array_get(vectors_get(item, "blocks"), c), i, block) {
      ab_slice_t bytes = vectors_bytes(block);
      check_err("append", 0, hypercore_append(cores[c], &bytes, 1, NULL));
    }
    bees[c] = recorded_bee(cores[c], vectors_get_uint(item, "t"));
    bee_head(bees[c], &heads[c]);
    check_uint("head", vectors_uint(json_array_get(vectors_get(item, "heads"), c)), heads[c].length);
  }
  json_t *options = json_object();
  json_t *expected = json_pack("{sO}", "entries", vectors_get(item, "diff"));
  check_diff(expected, diff(bees[0], &heads[0], &heads[1], options, core_keys));
  json_object_set(expected, "entries", vectors_get(item, "reversed"));
  check_diff(expected, diff(bees[0], &heads[1], &heads[0], options, core_keys));
  check_branch_changes(bees[1], core_keys, vectors_get(item, "changesOfB"));
  json_decref(expected);
  json_decref(options);

  const json_t *undo = vectors_get(item, "undoOneOfB");
  ab_head_t head;
  if (step_back(bees[1], 1, &head)) {
    check_that(ab_key_equal(&head.key, &core_keys[vectors_get_uint(undo, "core")]));
    check_uint("head", vectors_get_uint(undo, "length"), head.length);
    check_version(
      bees[1], &head.key, head.length, vectors_get_uint(undo, "count"), vectors_get_text(undo, "hash")
    );
  }
  for (size_t c = 0; c < CORES; c++) {
    bee_close(bees[c]);
    hypercore_close(cores[c]);
  }
  ab_store_close(store);
}

static void
run_history (const char *file, json_t *root) {
  json_t *item;
  size_t i;
  (void) file;
  json_array_foreach(vectors_get(root, "cases"), i, item) {
    vectors_begin(NULL, "cases", "case %zu", i);
    ab_store_t *store = recorded_store(15);
    hypercore_t *core = recorded_any_core(store, i);
    bee_t *bee = recorded_bee(core, vectors_get_uint(item, "t"));
    recorded_build(bee, (uint32_t) vectors_get_uint(item, "seed"), vectors_get(item, "phases"));
    check_tree_hash(vectors_get(item, "treeHash"), core);
    run_versions(bee, core, vectors_get(item, "versions"), i);
    run_changes(bee, core, vectors_get(item, "changes"), i);
    run_undo(bee, vectors_get(item, "undo"), i);
    run_diffs(bee, core, vectors_get(item, "diffs"), i);
    bee_close(bee);
    hypercore_close(core);
    ab_store_close(store);
  }
  run_branches(vectors_get(root, "branches"));
}

int
main (int argc, char **argv) {
  static const vectors_runner_t runners[] = {{"history.json", run_history}};
  return vectors_main(argc, argv, "bee", runners, 1);
}

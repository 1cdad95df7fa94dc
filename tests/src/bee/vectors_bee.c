/* vectors_bee.c: the recorded trees, block by block: batches on one core and several, ranges, history. */
#include "recorded_bee.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- blocks ---- */

static void
check_blocks (const json_t *expected, hypercore_t *core, uint64_t first) {
  json_t *block;
  size_t i;
  check_uint("length", first + json_array_size(expected), hypercore_length(core));
  json_array_foreach(expected, i, block) {
    ab_slice_t found;
    if (!check_err("get", 0, hypercore_get(core, first + i, &found))) return;
    check_text("block", vectors_text(block), hex_text(found));
  }
}

/* Eight bytes of hash for each block from `first` on, in one text. */
static void
check_block_hashes (const char *expected, hypercore_t *core, uint64_t first) {
  char hash[17] = {0};
  uint64_t count = strlen(expected) / 16;
  check_uint("length", first + count, hypercore_length(core));
  for (uint64_t i = 0; i < count; i++) {
    ab_slice_t found;
    if (!check_err("get", 0, hypercore_get(core, first + i, &found))) return;
    memcpy(hash, expected + 16 * i, 16);
    if (!check_text("hash of a block", hash, hash_text(found, 8))) return;
  }
}

/* ---- small.json ---- */

static void
run_small_step (bee_t *bee, hypercore_t *core, const json_t *step) {
  bee_write_options_t options = recorded_write_options(vectors_get(step, "options"));
  uint64_t before = hypercore_length(core);
  bee_batch_t *batch;
  bee_flush_t done;
  ab_head_t head;
  json_t *op;
  size_t i;

  if (!check_err("begin", 0, bee_batch_begin(bee, &options, &batch))) return;
  if (vectors_get_bool(step, "clear")) check_err("clear", 0, bee_batch_clear(batch));
  json_array_foreach(vectors_get(step, "ops"), i, op) { check_err("operation", 0, recorded_op(batch, op)); }
  if (!check_err("flush", 0, bee_batch_flush(batch, &done))) return;
  check_uint("applied", vectors_get_uint(step, "applied"), done.applied);
  check_uint("blocks", json_array_size(vectors_get(step, "blocks")), done.blocks);
  check_blocks(vectors_get(step, "blocks"), core, before);
  bee_head(bee, &head);
  check_uint("head", vectors_get_uint(step, "head"), head.length);
}

static void
check_small_entry (void *data, uint64_t i, const bee_entry_t *entry) {
  const json_t *row = json_array_get(data, i);
  if (row == NULL) return;
  const json_t *value = json_array_get(row, 1);
  check_text("key", vectors_text(json_array_get(row, 0)), hex_text(entry->key));
  check_uint("seq", vectors_uint(json_array_get(row, 2)), entry->seq);
  check_uint("offset", vectors_uint(json_array_get(row, 3)), entry->offset);
  if (json_is_object(value)) {
    check_uint("length of the value", vectors_get_uint(value, "length"), entry->value.len);
    check_text("value", vectors_get_text(value, "blake2b"), hash_text(entry->value, 32));
  } else {
    check_that(entry->has_value == !json_is_null(value));
    if (entry->has_value) check_text("value", vectors_text(value), hex_text(entry->value));
  }
}

/* Once with one bee, once with a new one, and so an empty cache, for each step. */
static void
run_small_case (const json_t *item, bool reopen) {
  vectors_begin(reopen ? "reopened" : "warm", "cases", "%s", vectors_get_text(item, "name"));
  ab_store_t *store = recorded_store(11);
  hypercore_t *core = recorded_any_core(store, 0);
  bee_t *bee = recorded_bee(core, vectors_get_uint(item, "t"));
  recorded_contents_t contents;
  json_t *step;
  size_t i;

  json_array_foreach(vectors_get(item, "steps"), i, step) {
    if (reopen) {
      bee_close(bee);
      bee = recorded_bee(core, vectors_get_uint(item, "t"));
    }
    run_small_step(bee, core, step);
  }
  recorded_read(bee, NULL, &contents, check_small_entry, vectors_get(item, "contents"));
  check_err("read", 0, contents.err);
  check_uint("entries", json_array_size(vectors_get(item, "contents")), contents.count);
  ab_buf_destroy(&contents.bytes);
  check_uint("length", vectors_get_uint(item, "length"), hypercore_length(core));
  check_tree_hash(vectors_get(item, "treeHash"), core);
  bee_close(bee);
  hypercore_close(core);
  ab_store_close(store);
}

static void
run_small (const char *file, json_t *root) {
  json_t *item;
  size_t i;
  (void) file;
  json_array_foreach(vectors_get(root, "cases"), i, item) {
    run_small_case(item, false);
    run_small_case(item, true);
  }
}

/* ---- workload.json ---- */

typedef struct {
  const json_t *item;
  hypercore_t *core;
  bee_t *bee;
  recorded_workload_t workload;
  size_t flushes;
  size_t checkpoint;
  uint64_t applied;
} long_run_t;

static void
check_checkpoints (long_run_t *run) {
  const json_t *rows = vectors_get(run->item, "checkpoints");
  for (;; run->checkpoint++) {
    const json_t *row = json_array_get(rows, run->checkpoint);
    if (row == NULL || vectors_get_uint(row, "flush") != run->flushes) return;
    check_uint("length", vectors_get_uint(row, "length"), hypercore_length(run->core));
    check_contents("contents", run->bee, vectors_get_uint(row, "count"), vectors_get_text(row, "hash"));
  }
}

static bool
run_flush (long_run_t *run) {
  bee_batch_t *batch;
  bee_flush_t done;
  if (!check_err("begin", 0, bee_batch_begin(run->bee, NULL, &batch))) return false;
  int count = recorded_flush(&run->workload, batch);
  if (count <= 0) {
    bee_batch_abort(batch);
    check_err("operation", 0, count);
    return false;
  }
  if (!check_err("flush", 0, bee_batch_flush(batch, &done))) return false;
  run->applied += done.applied;
  const json_t *length = json_array_get(vectors_get(run->item, "lengths"), run->flushes++);
  if (!check_uint("blocks of a flush", vectors_uint(length), done.blocks)) return false;
  check_checkpoints(run);
  return true;
}

static void
run_workload (const char *file, json_t *root) {
  json_t *item, *phase;
  size_t i, p;
  (void) file;
  json_array_foreach(vectors_get(root, "workloads"), i, item) {
    vectors_begin(NULL, "workloads", "%s", vectors_get_text(item, "name"));
    ab_store_t *store = recorded_store(12);
    long_run_t run = {.item = item, .core = recorded_any_core(store, i)};
    run.bee = recorded_bee(run.core, vectors_get_uint(item, "t"));
    run.workload.random = xorshift32((uint32_t) vectors_get_uint(item, "seed"));
    json_array_foreach(vectors_get(item, "phases"), p, phase) {
      run.workload.phase = phase;
      run.workload.done = 0;
      while (run_flush(&run)) {
      }
    }
    check_uint("flushes", vectors_get_uint(item, "flushes"), run.flushes);
    check_uint("applied", vectors_get_uint(item, "applied"), run.applied);
    check_uint("checkpoints", json_array_size(vectors_get(item, "checkpoints")), run.checkpoint);
    check_block_hashes(vectors_get_text(item, "blockHashes"), run.core, 0);
    check_uint("byte length", vectors_get_uint(item, "byteLength"), hypercore_byte_length(run.core));
    check_tree_hash(vectors_get(item, "treeHash"), run.core);
    bee_close(run.bee);
    hypercore_close(run.core);
    ab_store_close(store);
  }
}

/* ---- multicore.json ---- */

#define VIEWS_MAX 8

typedef struct {
  const json_t *item;
  size_t count;
  hypercore_t *cores[VIEWS_MAX];
  bee_t *bees[VIEWS_MAX];
  recorded_workload_t workload;
} scene_t;

static ab_head_t
scene_head (const scene_t *scene, const json_t *head) {
  ab_head_t out = {
    .key = *hypercore_key(scene->cores[vectors_get_uint(head, "core")]),
    .length = vectors_get_uint(head, "length")};
  return out;
}

static size_t
core_number (const scene_t *scene, const ab_key_t *key) {
  size_t i = 0;
  while (i < scene->count && !ab_key_equal(key, hypercore_key(scene->cores[i]))) i++;
  return i;
}

static void
check_head (const scene_t *scene, const json_t *expected, bee_t *bee) {
  ab_head_t head;
  bee_head(bee, &head);
  check_uint("core of the head", vectors_get_uint(expected, "core"), core_number(scene, &head.key));
  check_uint("length of the head", vectors_get_uint(expected, "length"), head.length);
}

static void
run_scene_ops (scene_t *scene, const json_t *step, bee_batch_t *batch) {
  json_t *op;
  size_t i;
  if (vectors_has(step, "opCount")) {
    check_int("operations", vectors_get_int(step, "opCount"), recorded_flush(&scene->workload, batch));
    return;
  }
  json_array_foreach(vectors_get(step, "ops"), i, op) { check_err("operation", 0, recorded_op(batch, op)); }
}

static void
run_scene_step (scene_t *scene, const json_t *step) {
  uint64_t number = vectors_get_uint(step, "bee");
  const char *how = vectors_get_text(step, "how");
  hypercore_t *core = scene->cores[number];
  bee_t **bee = &scene->bees[number];
  bee_batch_t *batch;
  bee_flush_t done;
  ab_head_t from;
  json_t *hash;
  size_t i;

  if (strcmp(how, "reopen") == 0) {
    bee_close(*bee);
    *bee = recorded_bee(core, vectors_get_uint(scene->item, "t"));
    check_head(scene, vectors_get(step, "head"), *bee);
    return;
  }
  bee_write_options_t options = recorded_write_options(vectors_get(step, "options"));
  if (strcmp(how, "go") != 0) from = scene_head(scene, vectors_get(step, "from"));
  if (strcmp(how, "write") == 0) options.base = &from;
  if (strcmp(how, "move") == 0) check_err("move", 0, bee_move(*bee, &from.key, from.length));
  uint64_t before = hypercore_length(core);
  if (!check_err("begin", 0, bee_batch_begin(*bee, &options, &batch))) return;
  run_scene_ops(scene, step, batch);
  if (!check_err("flush", 0, bee_batch_flush(batch, &done))) return;
  check_uint("applied", vectors_get_uint(step, "applied"), done.applied);
  check_head(scene, vectors_get(step, "head"), *bee);
  if (vectors_has(step, "blocks")) {
    check_blocks(vectors_get(step, "blocks"), core, before);
    return;
  }
  check_uint("blocks", json_array_size(vectors_get(step, "blockHashes")), done.blocks);
  json_array_foreach(vectors_get(step, "blockHashes"), i, hash) {
    ab_slice_t found;
    if (!check_err("get", 0, hypercore_get(core, before + i, &found))) return;
    check_text("hash of a block", vectors_text(hash), hash_text(found, 8));
  }
}

typedef struct {
  const scene_t *scene;
  const json_t *expected;
  size_t count;
} cores_t;

static int
check_core (void *data, const ab_key_t *key) {
  cores_t *cores = data;
  const json_t *expected = json_array_get(cores->expected, cores->count++);
  if (expected != NULL) check_uint("core", vectors_uint(expected), core_number(cores->scene, key));
  return 0;
}

static void
check_scene_changes (const scene_t *scene) {
  bee_change_t change;
  ab_head_t head;
  json_t *row;
  size_t i;
  bee_head(scene->bees[0], &head);
  json_array_foreach(vectors_get(scene->item, "changes"), i, row) {
    ab_head_t expected = scene_head(scene, vectors_get(row, "head"));
    check_that(ab_head_equal(&expected, &head));
    if (!check_err("change", 0, bee_change(scene->bees[0], &head, &change, NULL, NULL))) return;
    check_uint("blocks of a change", vectors_get_uint(row, "blocks"), change.blocks);
    head = change.previous;
    if (!vectors_has(row, "tail")) check_uint("first change", 0, head.length);
  }
  check_uint("changes", 0, head.length);
}

static void
check_scene_end (const scene_t *scene) {
  json_t *view;
  size_t i;
  json_array_foreach(vectors_get(scene->item, "views"), i, view) {
    bee_t *bee = scene->bees[vectors_get_uint(view, "bee")];
    cores_t cores = {.scene = scene, .expected = vectors_get(view, "cores")};
    check_head(scene, vectors_get(view, "head"), bee);
    check_contents("view", bee, vectors_get_uint(view, "count"), vectors_get_text(view, "hash"));
    check_err("cores", 0, bee_cores(bee, check_core, &cores));
    check_uint("cores", json_array_size(cores.expected), cores.count);
  }
  check_scene_changes(scene);
  for (i = 0; i < scene->count; i++) {
    const json_t *length = json_array_get(vectors_get(scene->item, "lengths"), i);
    check_uint("length of a core", vectors_uint(length), hypercore_length(scene->cores[i]));
    check_tree_hash(json_array_get(vectors_get(scene->item, "treeHashes"), i), scene->cores[i]);
  }
}

static void
run_scene (const json_t *item) {
  vectors_begin(NULL, "scenes", "%s", vectors_get_text(item, "name"));
  ab_store_t *store = recorded_store(13);
  scene_t scene = {.item = item, .count = json_array_size(vectors_get(item, "keys"))};
  json_t *step;
  size_t i;

  if (vectors_has(item, "seed")) {
    scene.workload.random = xorshift32((uint32_t) vectors_get_uint(item, "seed"));
    scene.workload.phase = vectors_get(item, "phase");
  }
  for (i = 0; i < scene.count && i < VIEWS_MAX; i++) {
    char name[128];
    snprintf(name, sizeof(name), "%s %zu", vectors_get_text(item, "name"), i);
    scene.cores[i] = recorded_core(store, name);
    scene.bees[i] = recorded_bee(scene.cores[i], vectors_get_uint(item, "t"));
    check_bytes(
      "key",
      vectors_bytes(json_array_get(vectors_get(item, "keys"), i)),
      ab_key_slice(hypercore_key(scene.cores[i]))
    );
  }
  json_array_foreach(vectors_get(item, "steps"), i, step) {
    if (vectors_failed() == 0) run_scene_step(&scene, step);
  }
  check_scene_end(&scene);
  for (i = 0; i < scene.count; i++) {
    bee_close(scene.bees[i]);
    hypercore_close(scene.cores[i]);
  }
  ab_store_close(store);
}

static void
run_multicore (const char *file, json_t *root) {
  json_t *item;
  size_t i;
  (void) file;
  json_array_foreach(vectors_get(root, "scenes"), i, item) run_scene(item);
}

/* ---- ranges.json ---- */

typedef struct {
  const json_t *item;
  uint64_t count;
} range_t;

static void
check_range_entry (void *data, uint64_t i, const bee_entry_t *entry) {
  const range_t *range = data;
  if (vectors_has(range->item, "entries")) {
    const json_t *row = json_array_get(vectors_get(range->item, "entries"), i);
    if (row == NULL) return;
    check_text("key", vectors_text(json_array_get(row, 0)), hex_text(entry->key));
    check_uint("seq", vectors_uint(json_array_get(row, 1)), entry->seq);
    check_uint("offset", vectors_uint(json_array_get(row, 2)), entry->offset);
  } else if (i == 0 || i == range->count - 1) {
    const json_t *end = json_array_get(vectors_get(range->item, "ends"), i == 0 ? 0 : 1);
    check_text("key at an end", vectors_text(end), hex_text(entry->key));
  }
}

static void
run_range (bee_t *bee, const json_t *item, size_t tree, size_t number) {
  vectors_begin(NULL, "ranges", "tree %zu, range %zu", tree, number);
  range_t range = {.item = item, .count = vectors_get_uint(item, "count")};
  recorded_contents_t contents = {0};
  bee_range_t bounds;
  if (recorded_range(vectors_get(item, "options"), &bounds)) {
    recorded_read(bee, &bounds, &contents, check_range_entry, &range);
  }
  check_read("range", &contents, range.count, vectors_get_text(item, "hash"));
}

static void
run_lookup (bee_t *bee, const json_t *item, size_t tree, size_t number) {
  vectors_begin(NULL, "gets", "tree %zu, get %zu", tree, number);
  const json_t *expected = json_array_get(item, 1);
  bee_entry_t entry;
  int err = bee_get(bee, vectors_bytes(json_array_get(item, 0)), &entry);
  if (!check_err("get", json_is_null(expected) ? AB_ENOTFOUND : 0, err) || err < 0) return;
  check_uint("seq", vectors_get_uint(expected, "seq"), entry.seq);
  check_uint("offset", vectors_get_uint(expected, "offset"), entry.offset);
  check_text("value", vectors_get_text(expected, "value"), hash_text(entry.value, 16));
}

static void
run_ranges (const char *file, json_t *root) {
  json_t *tree, *item;
  size_t i, n;
  (void) file;
  json_array_foreach(vectors_get(root, "trees"), i, tree) {
    vectors_begin(NULL, "trees", "tree %zu", i);
    ab_store_t *store = recorded_store(14);
    hypercore_t *core = recorded_any_core(store, i);
    bee_t *bee = recorded_bee(core, vectors_get_uint(tree, "t"));
    recorded_build(bee, (uint32_t) vectors_get_uint(tree, "seed"), vectors_get(tree, "phases"));
    check_tree_hash(vectors_get(tree, "treeHash"), core);
    check_contents("tree", bee, vectors_get_uint(tree, "count"), vectors_get_text(tree, "hash"));
    json_array_foreach(vectors_get(tree, "gets"), n, item) run_lookup(bee, item, i, n);
    bee_close(bee);
    bee = recorded_bee(core, vectors_get_uint(tree, "t"));
    json_array_foreach(vectors_get(tree, "ranges"), n, item) run_range(bee, item, i, n);
    json_array_foreach(vectors_get(tree, "gets"), n, item) run_lookup(bee, item, i, n);
    bee_close(bee);
    hypercore_close(core);
    ab_store_close(store);
  }
}

int
main (int argc, char **argv) {
  static const vectors_runner_t runners[] = {
    {"small.json", run_small},
    {"workload.json", run_workload},
    {"multicore.json", run_multicore},
    {"ranges.json", run_ranges},
    {"v1.json", NULL},
    {"compat.json", NULL},
    {"extension.json", NULL},
  };
  return vectors_main(argc, argv, "bee", runners, sizeof(runners) / sizeof(runners[0]));
}

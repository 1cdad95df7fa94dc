/* w10.c: W10: a reader that has nothing asks for keys of a tree that another process serves. */
#include "loopback.h"

#include "bee/bee.h"

#include <stdio.h>
#include <stdlib.h>

#define SEED 5
#define VALUE_LEN 32
#define BATCH 1000
#define GETS 100

typedef struct {
  uint64_t n;
  bool is_sorted;
  ab_key_t key; /* of the core */
} tree_t;

static int
compare_keys (const void *a, const void *b) {
  return memcmp(a, b, KEY_LEN);
}

/* The value of a key is made of the number in it: its last eight characters. */
static void
value_of (const char key[KEY_LEN], char value[VALUE_LEN]) {
  char digits[9] = "";
  memcpy(digits, key + 8, 8);
  data_text(SEED, (uint32_t) strtoul(digits, NULL, 16), value, VALUE_LEN);
}

static char (*make_keys(const tree_t *tree))[KEY_LEN] {
  char(*keys)[KEY_LEN] = malloc(tree->n * KEY_LEN);
  if (keys == NULL) bench_die("out of memory");
  for (uint64_t i = 0; i < tree->n; i++) data_key((uint32_t) i, keys[i]);
  if (tree->is_sorted) qsort(keys, tree->n, KEY_LEN, compare_keys);
  return keys;
}

static void
grow_tree (const bench_t *bench, void *data) {
  tree_t *tree = data;
  ab_store_t *store = bench_store(bench, "server");
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core;
  bee_t *bee;
  char(*keys)[KEY_LEN] = make_keys(tree), value[VALUE_LEN];

  options.name = ab_text("bench");
  bench_check(hypercore_open(store, &options, &core), "open core", store);
  bench_check(bee_open(core, NULL, &bee), "open bee", store);
  for (uint64_t i = 0; i < tree->n;) {
    bee_batch_t *batch;
    bench_check(bee_batch_begin(bee, NULL, &batch), "batch", store);
    for (uint64_t end = i + BATCH; i < end && i < tree->n; i++) {
      value_of(keys[i], value);
      bench_check(bee_batch_put(batch, ab_slice(keys[i], KEY_LEN), ab_slice(value, VALUE_LEN)), "put", store);
    }
    bench_check(bee_batch_flush(batch, NULL), "flush", store);
    bench_check(ab_store_commit(store), "commit", store);
  }
  tree->key = *hypercore_key(core);
  bee_close(bee);
  hypercore_close(core);
  bench_check(ab_store_close(store), "close", NULL);
  free(keys);
}

typedef struct {
  bench_link_t link;
  hypercore_t *core;
  bee_t *bee;
  uint64_t blocks; /* that had come at the last look */
} reader_t;

static bool
has_length (void *data) {
  return hypercore_length(((reader_t *) data)->core) > 0;
}

static bool
has_more_blocks (void *data) {
  reader_t *reader = data;
  uint64_t blocks = bench_link_stats(&reader->link).blocks_in, before = reader->blocks;
  reader->blocks = blocks;
  return blocks > before;
}

static void
get (reader_t *reader, ab_store_t *store, const char key[KEY_LEN], const char expected[VALUE_LEN]) {
  bee_entry_t entry;
  int err;
  while ((err = bee_get(reader->bee, ab_slice(key, KEY_LEN), &entry)) == AB_EREMOTE) {
    ab_uv_wake(reader->link.uv);
    bench_run_until(&reader->link, has_more_blocks, reader);
  }
  bench_check(err, "get", store);
  if (!ab_slice_equal(entry.value, ab_slice(expected, VALUE_LEN))) bench_die("W10: a value is wrong");
}

static void
read_keys (const bench_t *bench, const tree_t *tree, unsigned port, unsigned delay_ms) {
  static char keys[GETS][KEY_LEN], values[GETS][VALUE_LEN];
  reader_t reader = {0};
  hypercore_options_t options = hypercore_options_default();
  hypercore_follow_t follow = {0};
  rng_t random = rng(10);
  char name[32], params[64], extra[64];

  for (int i = 0; i < GETS; i++) {
    data_key(rng_below(&random, (uint32_t) tree->n), keys[i]);
    value_of(keys[i], values[i]);
  }
  snprintf(name, sizeof(name), "reader-%u", delay_ms);
  ab_store_t *store = bench_store(bench, name);
  options.key = &tree->key;
  bench_check(hypercore_open(store, &options, &reader.core), "open core", store);
  bench_check(hypercore_follow(&follow, reader.core), "follow", store);
  bench_connect(&reader.link, store, port);
  bench_run_until(&reader.link, has_length, &reader);
  bench_check(bee_open(reader.core, NULL, &reader.bee), "open bee", store);

  double start = bench_now();
  for (int i = 0; i < GETS; i++) get(&reader, store, keys[i], values[i]);
  double seconds = bench_now() - start;

  snprintf(
    params,
    sizeof(params),
    ",\"order\":\"%s\",\"delay_ms\":%u",
    tree->is_sorted ? "sorted" : "mixed",
    delay_ms
  );
  double per_get = (double) bench_link_stats(&reader.link).blocks_in / GETS;
  snprintf(extra, sizeof(extra), ",\"blocks_per_get\":%.2f", per_get);
  bench_print(bench, &(bench_line_t){"W10", GETS, seconds, 0, params, extra});
  bee_close(reader.bee);
  hypercore_unfollow(&follow);
  bench_disconnect(&reader.link);
  hypercore_close(reader.core);
  bench_check(ab_store_close(store), "close", NULL);
}

static void
serve_tree (const bench_t *bench, tree_t tree) {
  static const unsigned delays_ms[] = {0, 10};
  bench_t own = *bench;
  char dir[512];
  snprintf(dir, sizeof(dir), "%s/%s", bench->dir, tree.is_sorted ? "sorted" : "mixed");
  own.dir = dir;
  bench_make_folder(dir);
  bench_apart(&own, grow_tree, &tree, &tree.key, sizeof(tree.key));
  for (size_t i = 0; i < 2; i++) {
    bench_server_t server = bench_serve(&own, "server", NULL, NULL);
    bench_server_t relay = bench_relay(server.port, delays_ms[i]);
    read_keys(&own, &tree, relay.port, delays_ms[i]);
    bench_server_end(&relay);
    bench_server_end(&server);
  }
}

void
w10 (const bench_t *bench) {
  uint64_t n = bench->n > 0 ? bench->n : 1000000;
  serve_tree(bench, (tree_t){.n = n, .is_sorted = true});
  serve_tree(bench, (tree_t){.n = n / 10 > 0 ? n / 10 : 1, .is_sorted = false});
}

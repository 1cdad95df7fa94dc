/* w7.c: W7, local part: a log alone. */
#include "bench.h"

#include <stdlib.h>

#define BLOCK_LEN 100

static hypercore_t *
open_core (ab_store_t *store, const char *name) {
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core;
  options.name = ab_text(name);
  bench_check(hypercore_open(store, &options, &core), "open core", store);
  return core;
}

static void
check_block (ab_store_t *store, hypercore_t *core, uint64_t index) {
  ab_slice_t block;
  char expected[BLOCK_LEN];
  bench_check(hypercore_get(core, index, &block), "get", store);
  data_text(7, (uint32_t) index, expected, BLOCK_LEN);
  if (!ab_slice_equal(block, ab_slice(expected, BLOCK_LEN)))
    bench_die("W7: block %llu is wrong", (unsigned long long) index);
}

void
w7 (const bench_t *bench) {
  uint64_t n = bench->n > 0 ? bench->n : 100000, singles = n / 10, gets = n / 5;
  ab_store_t *store = bench_store(bench, "store");
  hypercore_t *core = open_core(store, "log"), *single = open_core(store, "single");
  char *bytes = malloc(n * BLOCK_LEN);
  ab_slice_t *blocks = malloc(n * sizeof(*blocks));
  uint64_t length, touched = 0;
  rng_t random = rng(77);

  if (bytes == NULL || blocks == NULL) bench_die("out of memory");
  for (uint64_t i = 0; i < n; i++) {
    data_text(7, (uint32_t) i, bytes + i * BLOCK_LEN, BLOCK_LEN);
    blocks[i] = ab_slice(bytes + i * BLOCK_LEN, BLOCK_LEN);
  }

  double floor = floor_log_one_call(bench->dir, n);
  double start = bench_now();
  bench_check(hypercore_append(core, blocks, n, &length), "append", store);
  bench_check(ab_store_commit(store), "commit", store);
  double seconds = bench_now() - start;
  bench_print(bench, &(bench_line_t){"W7.append", n, seconds, floor, NULL, NULL});

  floor = floor_log_single(bench->dir, singles, bench->durable);
  start = bench_now();
  for (uint64_t i = 0; i < singles; i++) {
    bench_check(hypercore_append(single, blocks + i, 1, NULL), "append", store);
    bench_check(ab_store_commit(store), "commit", store);
  }
  seconds = bench_now() - start;
  if (hypercore_length(single) != singles || length != n) bench_die("W7: wrong length");
  bench_print(bench, &(bench_line_t){"W7.append-single", singles, seconds, floor, NULL, NULL});
  hypercore_close(core);
  hypercore_close(single);
  bench_check(ab_store_close(store), "close", NULL);

  floor = floor_log_get(bench->dir, gets);
  store = bench_store(bench, "store");
  core = open_core(store, "log");
  ab_slice_t block;
  start = bench_now();
  for (uint64_t i = 0; i < gets; i++) {
    bench_check(hypercore_get(core, i, &block), "get", store);
    touched += block.data[block.len - 1];
  }
  seconds = bench_now() - start;
  bench_print(bench, &(bench_line_t){"W7.get-seq", gets, seconds, floor, NULL, NULL});
  start = bench_now();
  for (uint64_t i = 0; i < gets; i++) {
    bench_check(hypercore_get(core, rng_below(&random, (uint32_t) n), &block), "get", store);
    touched += block.data[0];
  }
  seconds = bench_now() - start;
  bench_print(bench, &(bench_line_t){"W7.get-random", gets, seconds, floor, NULL, NULL});
  for (uint64_t i = 0; i < n; i += 97) check_block(store, core, i);
  if (touched == 0) bench_die("W7: nothing was read");
  hypercore_close(core);
  bench_check(ab_store_close(store), "close", NULL);
  free(bytes);
  free(blocks);
}

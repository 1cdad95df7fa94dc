/* w5.c: W5 and W6: a bee alone. */
#include "bench.h"

#include "bee/bee.h"

#include <stdio.h>

#define VALUE_LEN 32
#define GETS 5000
#define BATCH 1000

typedef void (*make_key_t)(uint32_t i, char out[KEY_LEN]);

static hypercore_t *
open_core (ab_store_t *store) {
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core;
  options.name = ab_text("bench");
  options.signing = HYPERCORE_SIGN_AT_COMMIT;
  bench_check(hypercore_open(store, &options, &core), "open core", store);
  return core;
}

static double
put_all (ab_store_t *store, bee_t *bee, uint64_t n, uint64_t per_batch, make_key_t make_key) {
  double seconds = 0;
  char keys[BATCH][KEY_LEN], values[BATCH][VALUE_LEN];

  for (uint64_t i = 0; i < n; i += per_batch) {
    uint64_t count = n - i < per_batch ? n - i : per_batch;
    for (uint64_t j = 0; j < count; j++) {
      make_key((uint32_t) (i + j), keys[j]);
      data_text(5, (uint32_t) (i + j), values[j], VALUE_LEN);
    }
    double start = bench_now();
    bee_batch_t *batch;
    bench_check(bee_batch_begin(bee, NULL, &batch), "batch", store);
    for (uint64_t j = 0; j < count; j++)
      bench_check(
        bee_batch_put(batch, ab_slice(keys[j], KEY_LEN), ab_slice(values[j], VALUE_LEN)), "put", store
      );
    bench_check(bee_batch_flush(batch, NULL), "flush", store);
    bench_check(ab_store_commit(store), "commit", store);
    seconds += bench_now() - start;
  }
  return seconds;
}

static double
get_random (ab_store_t *store, bee_t *bee, uint64_t n, make_key_t make_key) {
  static char keys[GETS][KEY_LEN], values[GETS][VALUE_LEN];
  rng_t random = rng(55);
  for (int i = 0; i < GETS; i++) {
    uint32_t id = rng_below(&random, (uint32_t) n);
    make_key(id, keys[i]);
    data_text(5, id, values[i], VALUE_LEN);
  }
  double start = bench_now();
  for (int i = 0; i < GETS; i++) {
    bee_entry_t entry;
    bench_check(bee_get(bee, ab_slice(keys[i], KEY_LEN), &entry), "get", store);
    if (!ab_slice_equal(entry.value, ab_slice(values[i], VALUE_LEN)))
      bench_die("W5: wrong value of get %d", i);
  }
  return bench_now() - start;
}

static double
scan_all (ab_store_t *store, bee_t *bee, uint64_t n) {
  bee_cursor_t *cursor;
  bee_entry_t entry;
  uint64_t count = 0;
  int err;
  double start = bench_now();
  bench_check(bee_cursor_open(bee, NULL, &cursor), "cursor", store);
  while ((err = bee_cursor_next(cursor, &entry)) == 0) count += entry.value.len == VALUE_LEN;
  bee_cursor_close(cursor);
  if (err != AB_EEND || count != n) bench_die("W5: scan found %llu entries", (unsigned long long) count);
  return bench_now() - start;
}

static void
tree (const bench_t *bench, bool ascending) {
  uint64_t n = bench->n > 0 ? bench->n : 100000;
  const char *params = ascending ? ",\"keys\":\"seq\"" : ",\"keys\":\"mixed\"";
  const char *name = ascending ? "seq" : "mixed";
  make_key_t make_key = ascending ? data_seqkey : data_key;
  floor_tree_t floor = floor_tree(bench->dir, n, ascending);
  ab_store_t *store = bench_store(bench, name);
  hypercore_t *core = open_core(store);
  bee_t *bee;

  bench_check(bee_open(core, NULL, &bee), "open bee", store);
  double put = put_all(store, bee, n, BATCH, make_key);
  bench_print(bench, &(bench_line_t){"W5.put", n, put, floor.put, params, NULL});
  get_random(store, bee, n, make_key); /* the first round warms */
  double warm = get_random(store, bee, n, make_key);
  bench_print(bench, &(bench_line_t){"W5.get-warm", GETS, warm, floor.get_warm, params, NULL});
  bee_close(bee);
  hypercore_close(core);
  bench_check(ab_store_close(store), "close", NULL);

  store = bench_store(bench, name);
  core = open_core(store);
  bench_check(bee_open(core, NULL, &bee), "open bee", store);
  double cold = get_random(store, bee, n, make_key);
  bench_print(bench, &(bench_line_t){"W5.get-cold", GETS, cold, floor.get_cold, params, NULL});
  double scan = scan_all(store, bee, n);
  bench_print(bench, &(bench_line_t){"W5.scan", n, scan, floor.scan, params, NULL});
  bee_close(bee);
  hypercore_close(core);
  bench_check(ab_store_close(store), "close", NULL);
}

void
w5 (const bench_t *bench) {
  tree(bench, false);
  tree(bench, true);
}

void
w6 (const bench_t *bench) {
  uint64_t n = bench->n > 0 ? bench->n : 20000;
  double floor = floor_log_single(bench->dir, n, bench->durable);
  ab_store_t *store = bench_store(bench, "store");
  hypercore_t *core = open_core(store);
  bee_t *bee;

  bench_check(bee_open(core, NULL, &bee), "open bee", store);
  double seconds = put_all(store, bee, n, 1, data_key);
  scan_all(store, bee, n);
  bee_close(bee);
  hypercore_close(core);
  bench_check(ab_store_close(store), "close", NULL);
  bench_print(bench, &(bench_line_t){"W6", n, seconds, floor, NULL, NULL});
}

/* w1.c: W1, W2, W2b: one writer, JSON values, the reference apply. */
#include "bench.h"

#include "apply/json.h"
#include "support/reference_apply.h"

#include <stdio.h>
#include <stdlib.h>

/* Append `n` values, `per_call` at a time; each call returns after apply and commit. */
static void
append_values (const bench_t *bench, const char *name, uint64_t n, size_t per_call, bool batched) {
  ab_store_t *store = bench_store(bench, "store");
  autobee_options_t options = autobee_options_default();
  autobee_t *db;
  autobee_view_t *view;
  autobee_entry_t entry;
  char clock[24];

  double floor = per_call == 1 ? floor_single(bench->dir, n, bench->durable)
                               : floor_calls(bench->dir, n, batched, bench->durable);

  ab_json_doc_t json = {0};
  options.apply = batched ? reference_apply_batched : reference_apply;
  options.apply_data = &json;
  bench_check(autobee_open(store, NULL, &options, &db), "open", store);

  char *bytes = malloc(n * JSON_VALUE_LEN);
  ab_slice_t *values = malloc(n * sizeof(*values));
  if (bytes == NULL || values == NULL) bench_die("out of memory");
  for (uint64_t i = 0; i < n; i++) {
    data_json(1, (uint32_t) i, bytes + i * JSON_VALUE_LEN);
    values[i] = ab_slice(bytes + i * JSON_VALUE_LEN, JSON_VALUE_LEN);
  }

  double start = bench_now();
  for (uint64_t i = 0; i < n; i += per_call) {
    size_t count = n - i < per_call ? (size_t) (n - i) : per_call;
    bench_check(autobee_append(db, values + i, count, 0, NULL), "append", store);
  }
  double seconds = bench_now() - start;

  bench_check(autobee_view(db, NULL, &view), "view", store);
  bench_check(autobee_get(view, ab_text("latest"), &entry), "get latest", store);
  if (!ab_slice_equal(entry.value, values[n - 1])) bench_die("%s: the view's last value is wrong", name);
  bench_check(autobee_get(view, ab_text("clock"), &entry), "get clock", store);
  snprintf(clock, sizeof(clock), "%llu", (unsigned long long) n - 1);
  if (!ab_slice_equal(entry.value, ab_text(clock))) bench_die("%s: the view's clock is wrong", name);
  autobee_view_close(view);
  bench_check(autobee_close(db), "close", store);
  bench_check(ab_store_close(store), "close", NULL);
  free(bytes);
  free(values);
  ab_json_doc_destroy(&json);

  bench_print(bench, &(bench_line_t){name, n, seconds, floor, NULL, NULL});
}

void
w1 (const bench_t *bench) {
  append_values(bench, "W1", bench->n > 0 ? bench->n : 20000, 1, false);
}

void
w2 (const bench_t *bench) {
  append_values(bench, "W2", bench->n > 0 ? bench->n : 200000, 100, false);
}

void
w2b (const bench_t *bench) {
  append_values(bench, "W2b", bench->n > 0 ? bench->n : 200000, 100, true);
}

/* w1.c: W1, W2, W2b, W2L, W9, W9b, W11: one writer, JSON values, the reference apply. */
#include "bench.h"

#include "apply/json.h"
#include "autobee/lua.h"
#include "support/reference_apply.h"

#include <stdio.h>

#define CHUNK 10000 /* values made at once, outside the clock */

/* reference_apply_batched as a script. */
static const char script[] =
  "-- autobee: needs 1.0\n"
  "function apply(nodes, view, host)\n"
  "  for _, node in ipairs(nodes) do\n"
  "    local op = json.decode(node.value)\n"
  "    if op.addWriter then\n"
  "      host:add_writer(op.addWriter, { indexer = op.isIndexer, weight = op.weight })\n"
  "    end\n"
  "    local clock = tonumber(view:get('clock') or '-1') + 1\n"
  "    view:put('latest', node.value)\n"
  "    view:put('clock', ('%d'):format(clock))\n"
  "    view:put(('#%06d'):format(clock), hex(node.key) .. '.' .. node.length)\n"
  "  end\n"
  "end\n";

typedef struct {
  const char *name;
  uint64_t n;
  size_t per_call;
  bool is_batched, is_lua, is_encrypted;
} variant_t;

typedef struct {
  double all, first_tenth, last_tenth; /* seconds */
} times_t;

typedef struct {
  ab_json_doc_t json;
  autobee_lua_t *lua;
} rule_t;

static void
use_rule (rule_t *rule, const variant_t *variant, autobee_options_t *options) {
  char message[256] = "";
  *rule = (rule_t){0};
  options->apply = variant->is_batched ? reference_apply_batched : reference_apply;
  options->apply_data = &rule->json;
  if (!variant->is_lua) return;
  if (autobee_lua_open(ab_text(script), NULL, &rule->lua, message, sizeof(message)) < 0)
    bench_die("the script: %s", message);
  autobee_lua_use(rule->lua, options);
}

static void
drop_rule (rule_t *rule) {
  autobee_lua_close(rule->lua);
  ab_json_doc_destroy(&rule->json);
}

static void
check_view (autobee_t *db, const variant_t *variant) {
  ab_store_t *store = autobee_store(db);
  autobee_view_t *view;
  autobee_entry_t entry;
  char clock[24], last[JSON_VALUE_LEN];
  data_json(1, (uint32_t) (variant->n - 1), last);
  bench_check(autobee_view(db, NULL, &view), "view", store);
  bench_check(autobee_get(view, ab_text("latest"), &entry), "get latest", store);
  if (!ab_slice_equal(entry.value, ab_slice(last, sizeof(last))))
    bench_die("%s: the view's last value is wrong", variant->name);
  bench_check(autobee_get(view, ab_text("clock"), &entry), "get clock", store);
  snprintf(clock, sizeof(clock), "%llu", (unsigned long long) variant->n - 1);
  if (!ab_slice_equal(entry.value, ab_text(clock))) bench_die("%s: the view's clock is wrong", variant->name);
  autobee_view_close(view);
}

static void
append_chunk (autobee_t *db, const ab_slice_t *values, size_t count, size_t per_call) {
  for (size_t i = 0; i < count; i += per_call) {
    size_t some = count - i < per_call ? count - i : per_call;
    bench_check(autobee_append(db, values + i, some, 0, NULL), "append", autobee_store(db));
  }
}

/* Append the values, `per_call` at a time; each call returns after apply and commit. */
static times_t
append_values (const bench_t *bench, const variant_t *variant) {
  uint64_t n = variant->n;
  ab_store_t *store = bench_store(bench, "store");
  autobee_options_t options = autobee_options_default();
  ab_key_t secret = {{1, 2, 3}};
  static char bytes[CHUNK][JSON_VALUE_LEN];
  static ab_slice_t values[CHUNK];
  rule_t rule;
  autobee_t *db;
  times_t times = {0};

  use_rule(&rule, variant, &options);
  if (variant->is_encrypted) options.encryption_key = &secret;
  bench_check(autobee_open(store, NULL, &options, &db), "open", store);

  for (uint64_t i = 0; i < n; i += CHUNK) {
    size_t count = n - i < CHUNK ? (size_t) (n - i) : CHUNK;
    for (size_t j = 0; j < count; j++) {
      data_json(1, (uint32_t) (i + j), bytes[j]);
      values[j] = ab_slice(bytes[j], JSON_VALUE_LEN);
    }
    double start = bench_now();
    append_chunk(db, values, count, variant->per_call);
    double seconds = bench_now() - start;
    times.all += seconds;
    if (i < n / 10) times.first_tenth += seconds;
    if (i >= n - n / 10) times.last_tenth += seconds;
  }

  check_view(db, variant);
  bench_check(autobee_close(db), "close", store);
  bench_check(ab_store_close(store), "close", NULL);
  drop_rule(&rule);
  return times;
}

static double
floor_of (const bench_t *bench, const variant_t *variant) {
  if (variant->per_call == 1) return floor_single(bench->dir, variant->n, bench->durable);
  double calls = floor_calls(bench->dir, variant->n, variant->is_batched, bench->durable);
  return variant->is_lua ? 1 / (1 / calls + 1 / floor_lua(variant->n)) : calls;
}

static void
report (const bench_t *bench, const variant_t *variant) {
  double floor = floor_of(bench, variant);
  times_t times = append_values(bench, variant);
  bench_print(bench, &(bench_line_t){variant->name, variant->n, times.all, floor, NULL, NULL});
}

static uint64_t
count_of (const bench_t *bench, uint64_t own) {
  return bench->n > 0 ? bench->n : own;
}

void
w1 (const bench_t *bench) {
  report(bench, &(variant_t){.name = "W1", .n = count_of(bench, 20000), .per_call = 1});
}

void
w2 (const bench_t *bench) {
  report(bench, &(variant_t){.name = "W2", .n = count_of(bench, 200000), .per_call = 100});
}

void
w2b (const bench_t *bench) {
  report(
    bench, &(variant_t){.name = "W2b", .n = count_of(bench, 200000), .per_call = 100, .is_batched = true}
  );
}

void
w2l (const bench_t *bench) {
  uint64_t n = count_of(bench, 200000);
  report(bench, &(variant_t){.name = "W2L", .n = n, .per_call = 100, .is_batched = true, .is_lua = true});
}

/* ---- encrypted, beside the same without ---- */

typedef struct {
  variant_t variant;
  times_t times;
} plain_t;

static void
append_plain (const bench_t *bench, void *data) {
  plain_t *plain = data;
  plain->times = append_values(bench, &plain->variant);
}

static void
report_encrypted (const bench_t *bench, variant_t variant) {
  char folder[512], extra[64];
  bench_t own = *bench;
  plain_t plain = {.variant = variant};
  double floor = floor_of(bench, &variant);

  snprintf(folder, sizeof(folder), "%s/plain", bench->dir);
  own.dir = folder;
  bench_make_folder(folder);
  bench_apart(&own, append_plain, &plain, &plain.times, sizeof(plain.times));
  bench_remove_folder(folder);
  variant.is_encrypted = true;
  times_t times = append_values(bench, &variant);
  snprintf(extra, sizeof(extra), ",\"of_plain\":%.3f", plain.times.all / times.all);
  bench_print(bench, &(bench_line_t){variant.name, variant.n, times.all, floor, NULL, extra});
}

void
w9 (const bench_t *bench) {
  report_encrypted(bench, (variant_t){.name = "W9", .n = count_of(bench, 200000), .per_call = 100});
}

void
w9b (const bench_t *bench) {
  uint64_t n = count_of(bench, 200000);
  report_encrypted(bench, (variant_t){.name = "W9b", .n = n, .per_call = 100, .is_batched = true});
}

/* ---- scale ---- */

void
w11 (const bench_t *bench) {
  variant_t variant = {.name = "W11", .n = count_of(bench, 1000000), .per_call = 100, .is_batched = true};
  double floor = floor_of(bench, &variant);
  times_t times = append_values(bench, &variant);
  char extra[64];
  snprintf(extra, sizeof(extra), ",\"last_to_first_tenth\":%.3f", times.first_tenth / times.last_tenth);
  bench_print(bench, &(bench_line_t){variant.name, variant.n, times.all, floor, NULL, extra});
}

/* recorded_bee.c: what the recorded bee files have in common. */
#include "recorded_bee.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "hypercore/crypto.h"

static void
must (const char *what, int err) {
  if (err >= 0) return;
  fprintf(stderr, "%s: %s\n", what, ab_strerror(err));
  exit(1);
}

ab_store_t *
recorded_store (uint8_t fill) {
  ab_store_options_t options = ab_store_options_default();
  ab_store_t *store;
  ab_key_t primary;
  memset(primary.bytes, fill, sizeof(primary.bytes));
  options.primary_key = &primary;
  must("open a store", ab_store_open(NULL, &options, &store, NULL, 0));
  return store;
}

hypercore_t *
recorded_core (ab_store_t *store, const char *name) {
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core;
  ab_key_t namespace;
  corestore_namespace(NULL, ab_text(name), &namespace);
  options.namespace_key = &namespace;
  options.name = ab_text("bee");
  must("open a core", hypercore_open(store, &options, &core));
  return core;
}

hypercore_t *
recorded_any_core (ab_store_t *store, size_t number) {
  char name[32];
  snprintf(name, sizeof(name), "any %zu", number);
  return recorded_core(store, name);
}

bee_t *
recorded_bee (hypercore_t *core, uint64_t t) {
  bee_options_t options = bee_options_default();
  bee_t *bee;
  options.degree = (uint32_t) t;
  must("open a bee", bee_open(core, &options, &bee));
  return bee;
}

/* ---- operations ---- */

int
recorded_op (bee_batch_t *batch, const json_t *op) {
  const char *what = vectors_text(json_array_get(op, 0));
  ab_slice_t key = vectors_bytes(json_array_get(op, 1));
  if (strcmp(what, "del") == 0) return bee_batch_del(batch, key);
  ab_slice_t value = vectors_bytes(json_array_get(op, 2));
  if (json_is_null(json_array_get(op, 2))) return bee_batch_put_absent(batch, key);
  return bee_batch_put(batch, key, value);
}

bee_write_options_t
recorded_write_options (const json_t *options) {
  bee_write_options_t write = bee_write_options_default();
  if (vectors_has(options, "deltaMax")) write.delta_max = (uint32_t) vectors_get_uint(options, "deltaMax");
  if (vectors_has(options, "inlineValueSize")) {
    write.inline_value_size = (uint32_t) vectors_get_uint(options, "inlineValueSize");
  }
  if (vectors_has(options, "preferredBlockSize")) {
    write.preferred_block_size = (uint32_t) vectors_get_uint(options, "preferredBlockSize");
  }
  return write;
}

bool
recorded_range (const json_t *options, bee_range_t *range) {
  *range = (bee_range_t){0};
  if ((range->lower_open = vectors_has(options, "gt"))) range->lower = vectors_get_bytes(options, "gt");
  if (vectors_has(options, "gte")) {
    range->lower = vectors_get_bytes(options, "gte");
    range->lower_open = false;
  }
  if ((range->upper_open = vectors_has(options, "lt"))) range->upper = vectors_get_bytes(options, "lt");
  if (vectors_has(options, "lte")) {
    range->upper = vectors_get_bytes(options, "lte");
    range->upper_open = false;
  }
  range->has_lower = vectors_has(options, "gt") || vectors_has(options, "gte");
  range->has_upper = vectors_has(options, "lt") || vectors_has(options, "lte");
  range->reverse = vectors_has(options, "reverse") && vectors_get_bool(options, "reverse");
  if (vectors_has(options, "limit")) range->limit = vectors_get_uint(options, "limit");
  return !vectors_has(options, "limit") || range->limit > 0;
}

/* ---- workloads ---- */

static size_t
make_key (const char *mode, uint32_t id, uint32_t counter, uint8_t out[24]) {
  if (strcmp(mode, "dec") == 0) return (size_t) snprintf((char *) out, 24, "k%06u", id);
  if (strcmp(mode, "seq") == 0) {
    memset(out, 0, 4);
    for (int i = 0; i < 4; i++) out[4 + i] = (uint8_t) (counter >> (8 * (3 - i)));
    return 8;
  }
  xorshift32_t random = xorshift32(id + 1);
  for (int i = 0; i < 4; i++) xorshift32_next(&random);
  size_t len = 1 + xorshift32_below(&random, 24);
  for (size_t i = 0; i < len; i++) out[i] = (uint8_t) xorshift32_below(&random, 256);
  return len;
}

static int
make_op (recorded_workload_t *workload, bee_batch_t *batch) {
  const json_t *phase = workload->phase;
  const char *mode = vectors_get_text(phase, "keys");
  xorshift32_t *random = &workload->random;
  uint8_t key[24];
  uint8_t value[32768];

  uint32_t id = xorshift32_below(random, (uint32_t) vectors_get_uint(phase, "space"));
  if (xorshift32_below(random, 100) < vectors_get_uint(phase, "del")) {
    return bee_batch_del(batch, ab_slice(key, make_key(mode, id, id, key)));
  }
  bool big = xorshift32_below(random, 1000) < vectors_get_uint(phase, "big");
  uint32_t max = (uint32_t) vectors_get_uint(phase, big ? "bigMax" : "smallMax");
  uint32_t len = xorshift32_below(random, max + 1);
  uint32_t letters = vectors_has(phase, "alphabet") ? (uint32_t) vectors_get_uint(phase, "alphabet") : 256;
  uint32_t first = xorshift32_below(random, letters);
  if (len > sizeof(value)) return AB_ETOOBIG;
  for (uint32_t i = 0; i < len; i++) value[i] = (uint8_t) (first + i);
  return bee_batch_put(
    batch, ab_slice(key, make_key(mode, id, workload->counter++, key)), ab_slice(value, len)
  );
}

int
recorded_flush (recorded_workload_t *workload, bee_batch_t *batch) {
  uint64_t ops = vectors_get_uint(workload->phase, "ops");
  const json_t *flush = vectors_get(workload->phase, "flush");
  uint32_t min = (uint32_t) vectors_uint(json_array_get(flush, 0));
  uint32_t max = (uint32_t) vectors_uint(json_array_get(flush, 1));

  if (workload->done >= ops) return 0;
  uint64_t count = min + xorshift32_below(&workload->random, max - min + 1);
  if (count > ops - workload->done) count = ops - workload->done;
  for (uint64_t i = 0; i < count; i++) {
    int err = make_op(workload, batch);
    if (err < 0) return err;
  }
  workload->done += count;
  return (int) count;
}

bool
recorded_build (bee_t *bee, uint32_t seed, const json_t *phases) {
  recorded_workload_t workload = {.random = xorshift32(seed)};
  bee_batch_t *batch;
  json_t *phase;
  size_t i;
  json_array_foreach(phases, i, phase) {
    workload.phase = phase;
    workload.done = 0;
    for (int count = 1; count > 0;) {
      if (!check_err("begin", 0, bee_batch_begin(bee, NULL, &batch))) return false;
      if ((count = recorded_flush(&workload, batch)) <= 0) {
        bee_batch_abort(batch);
        if (count < 0) return check_err("operation", 0, count);
      } else if (!check_err("flush", 0, bee_batch_flush(batch, NULL))) {
        return false;
      }
    }
  }
  return true;
}

/* ---- contents ---- */

static void
add_bytes (ab_buf_t *out, ab_slice_t bytes, bool is_present) {
  uint32_t len = is_present ? (uint32_t) bytes.len : UINT32_MAX;
  uint8_t prefix[4];
  for (int i = 0; i < 4; i++) prefix[i] = (uint8_t) (len >> (8 * i));
  ab_buf_append(out, ab_slice(prefix, 4));
  if (is_present) ab_buf_append(out, bytes);
}

void
recorded_read (
  bee_t *bee,
  const bee_range_t *range,
  recorded_contents_t *contents,
  void (*each)(void *data, uint64_t i, const bee_entry_t *entry),
  void *data
) {
  bee_cursor_t *cursor;
  bee_entry_t entry;

  *contents = (recorded_contents_t){0};
  if ((contents->err = bee_cursor_open(bee, range, &cursor)) < 0) return;
  while ((contents->err = bee_cursor_next(cursor, &entry)) == 0) {
    add_bytes(&contents->bytes, entry.key, true);
    add_bytes(&contents->bytes, entry.value, entry.has_value);
    if (each != NULL) each(data, contents->count, &entry);
    contents->count++;
  }
  if (contents->err == AB_EEND) contents->err = 0;
  bee_cursor_close(cursor);
}

void
check_read (const char *what, recorded_contents_t *contents, uint64_t count, const char *hash) {
  check_err(what, 0, contents->err);
  check_uint(what, count, contents->count);
  check_text(what, hash, hash_text(ab_buf_slice(&contents->bytes), 32));
  ab_buf_destroy(&contents->bytes);
}

void
check_contents (const char *what, bee_t *bee, uint64_t count, const char *hash) {
  recorded_contents_t contents;
  recorded_read(bee, NULL, &contents, NULL, NULL);
  check_read(what, &contents, count, hash);
}

const char *
hex_text (ab_slice_t bytes) {
  static char *text;
  text = realloc(text, bytes.len * 2 + 1);
  if (text == NULL) must("hex", AB_ENOMEM);
  for (size_t i = 0; i < bytes.len; i++) {
    text[2 * i] = "0123456789abcdef"[bytes.data[i] >> 4];
    text[2 * i + 1] = "0123456789abcdef"[bytes.data[i] & 15];
  }
  text[2 * bytes.len] = 0;
  return text;
}

const char *
hash_text (ab_slice_t bytes, size_t len) {
  uint8_t hash[32];
  crypto_generichash(hash, len == 16 ? 16 : 32, bytes.data, bytes.len, NULL, 0);
  return hex_text(ab_slice(hash, len));
}

void
check_tree_hash (const json_t *expected, hypercore_t *core) {
  uint8_t hash[32];
  if (json_is_null(expected)) {
    check_uint("length of a core without tree hash", 0, hypercore_length(core));
    return;
  }
  if (!check_err("tree hash", 0, hypercore_tree_hash(core, hypercore_length(core), hash))) return;
  check_text("tree hash", vectors_text(expected), hex_text(ab_slice(hash, 32)));
}

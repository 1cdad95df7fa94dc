/* model_bee.c: trees in several cores against sorted arrays, through random operations.
 *
 * Bees of three cores write batches on their own heads, on each other's (by a move or by a base) and on old
 * ones. What a batch must do, and what every version must contain, is worked out on arrays. Each thousand
 * operations all trees are walked. Now and then the store is closed and opened again, staged blocks are
 * dropped, and a second store that has none of the blocks reads and writes the same versions, getting each
 * missing block when it is asked for.
 *
 * 300,000 operations with AUTOBEE_FULL=1, else a tenth. The seed is printed; it comes from AUTOBEE_SEED or
 * from the clock.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "hypercore/crypto.h"
#include "hypercore/stores.h"
#include "support/rng.h"
#include "support/runs.h"
#include "tree_check.h"

#define BEES 3
#define IDS 3000 /* of keys */
#define VERSIONS 24
#define KEY_MAX 80
#define VALUE_MAX 9000

typedef struct {
  uint8_t bytes[KEY_MAX];
  size_t len;
} sort_key_t;

/* The value of a key in a version: absent, or `len` bytes of which byte i is first + i. */
typedef struct {
  bool is_present;
  bool has_value;
  uint8_t first;
  uint16_t len;
} cell_t;

typedef struct {
  ab_head_t head;
  cell_t cells[IDS]; /* by rank of the key */
} version_t;

typedef struct {
  ab_store_t *store;
  hypercore_t *cores[BEES];
  bee_t *bees[BEES];
} side_t;

static rng_t dice;
static uint32_t seed;
static uint64_t step;
static place_t *place;
static side_t side;
static sort_key_t keys[IDS];
static size_t key_count;
static uint32_t degree;
static version_t *now[BEES]; /* what each bee contains */
static version_t *versions;  /* some of those that were, all stored */
static size_t version_count;
static uint64_t batches, remote_blocks, most_keys, deepest;

static uint32_t
below (uint64_t n) {
  return rng_below(&dice, (uint32_t) n);
}

_Noreturn static void
give_up (const char *what, int line) {
  fprintf(
    stderr,
    "seed %u, degree %u, step %llu: %s (line %d); %s\n",
    seed,
    degree,
    (unsigned long long) step,
    what,
    line,
    side.store == NULL ? "" : ab_store_errmsg(side.store)
  );
  abort();
}

#define check(condition) \
  do { \
    if (!(condition)) give_up(#condition, __LINE__); \
  } while (0)

/* ---- keys and values ---- */

static int
compare_keys (const void *a, const void *b) {
  const sort_key_t *x = a, *y = b;
  return ab_slice_compare(ab_slice(x->bytes, x->len), ab_slice(y->bytes, y->len));
}

/* Short ones and long ones, with zeros, with long common beginnings, prefixes of each other. */
static void
make_keys (void) {
  static const uint8_t letters[] = {0, 1, 'a', 0xff};
  for (size_t i = 0; i < IDS; i++) {
    sort_key_t *key = &keys[i];
    *key = (sort_key_t){.len = 0};
    switch (i % 4) {
    case 0:
      key->len = (size_t) snprintf((char *) key->bytes, KEY_MAX, "k%08u", below(100000));
      break;
    case 1:
      key->len = below(9);
      for (size_t n = 0; n < key->len; n++) key->bytes[n] = letters[below(4)];
      break;
    case 2:
      memset(key->bytes, 'p', 60);
      key->len = 20 + below(40);
      for (size_t n = key->len - 3; n < key->len; n++) key->bytes[n] = letters[below(4)];
      break;
    default:
      key->len = (size_t
      ) snprintf((char *) key->bytes, KEY_MAX, "a/path/that/is/shared/%u/%04u", below(3), below(9999));
    }
  }
  qsort(keys, IDS, sizeof(keys[0]), compare_keys);
  key_count = 1;
  for (size_t i = 1; i < IDS; i++) {
    if (compare_keys(&keys[i], &keys[key_count - 1]) != 0) keys[key_count++] = keys[i];
  }
}

static ab_slice_t
key_of (size_t rank) {
  return ab_slice(keys[rank].bytes, keys[rank].len);
}

static ab_slice_t
value_of (const cell_t *cell) {
  static uint8_t bytes[VALUE_MAX];
  for (size_t i = 0; i < cell->len; i++) bytes[i] = (uint8_t) (cell->first + i);
  return ab_slice(bytes, cell->len);
}

static cell_t
random_cell (void) {
  cell_t cell = {.is_present = true, .has_value = below(40) > 0, .first = (uint8_t) below(3)};
  if (!cell.has_value) cell.first = 0;
  else if (below(60) == 0) cell.len = (uint16_t) below(VALUE_MAX);
  else cell.len = (uint16_t) below(12);
  return cell;
}

static bool
same_cell (const cell_t *a, const cell_t *b) {
  if (a->is_present != b->is_present || a->has_value != b->has_value || a->len != b->len) return false;
  return !a->has_value || a->len == 0 || a->first == b->first;
}

static void
check_entry (const cell_t *cell, size_t rank, const bee_entry_t *entry) {
  check(ab_slice_equal(entry->key, key_of(rank)));
  check(entry->has_value == cell->has_value);
  if (cell->has_value) check(ab_slice_equal(entry->value, value_of(cell)));
}

/* ---- a reader that lacks blocks: 0, or 1 after getting what was asked for ---- */

typedef struct {
  bool is_sparse;
  ab_store_t *store;
  hypercore_t *cores[BEES]; /* of the other store, as its bee opened them */
} reader_t;

static reader_t full = {.is_sparse = false};

static bool
again (reader_t *reader, int err) {
  uint64_t wanted[HYPERCORE_WANTED_MAX];
  bool got = false;
  if (err != AB_EREMOTE) return false;
  check(reader->is_sparse);
  for (size_t c = 0; c < BEES; c++) {
    if (reader->cores[c] == NULL) continue;
    size_t count = hypercore_take_wanted(reader->cores[c], wanted, HYPERCORE_WANTED_MAX);
    if (count > 1)
      count = 1; /* one at a time: the first is what stopped the call, a walk names others ahead */
    for (size_t i = 0; i < count; i++) {
      check(
        hypercore_pull(
          reader->cores[c], side.cores[c], hypercore_length(side.cores[c]), wanted[i], wanted[i] + 1
        ) == 0
      );
      check(hypercore_has(reader->cores[c], wanted[i], wanted[i] + 1));
      remote_blocks++;
      got = true;
    }
  }
  check(got);
  return true;
}

/* Open a core of the reading store: it knows the length of the other, and no block. */
static int
open_sparse (void *data, const ab_key_t *key, hypercore_t **out) {
  reader_t *reader = data;
  hypercore_options_t options = hypercore_options_default();
  options.key = key;
  int err = hypercore_open(reader->store, &options, out);
  for (size_t c = 0; c < BEES && err == 0; c++) {
    if (!ab_key_equal(key, hypercore_key(side.cores[c]))) continue;
    check(reader->cores[c] == NULL || reader->cores[c] == *out);
    reader->cores[c] = *out;
    if (hypercore_length(*out) == 0) err = hypercore_pull(*out, side.cores[c], 0, 0, 0);
  }
  return err;
}

/* ---- reading ---- */

static void
check_get (reader_t *reader, bee_t *bee, const version_t *version, size_t rank) {
  const cell_t *cell = &version->cells[rank];
  bee_entry_t entry;
  int err;
  do err = bee_get(bee, key_of(rank), &entry);
  while (again(reader, err));
  check(err == (cell->is_present ? 0 : AB_ENOTFOUND));
  if (err == 0) check_entry(cell, rank, &entry);
}

/* A key that is not one of ours, next to one that is. */
static void
check_miss (reader_t *reader, bee_t *bee, size_t rank) {
  uint8_t bytes[KEY_MAX + 1];
  ab_slice_t key = ab_slice(bytes, keys[rank].len + 1);
  bee_entry_t entry;
  int err;
  memcpy(bytes, keys[rank].bytes, keys[rank].len);
  bytes[key.len - 1] = 7;
  do err = bee_get(bee, key, &entry);
  while (again(reader, err));
  check(err == AB_ENOTFOUND);
}

/* The first rank whose key is not below the bound, which lies at or right behind a key of ours. */
typedef struct {
  size_t rank;
  bool behind;
  uint8_t bytes[KEY_MAX + 1];
  ab_slice_t key;
} bound_t;

static void
random_bound (bound_t *bound) {
  bound->rank = below(key_count);
  bound->behind = below(3) == 0;
  memcpy(bound->bytes, keys[bound->rank].bytes, keys[bound->rank].len);
  bound->bytes[keys[bound->rank].len] = 0;
  bound->key = ab_slice(bound->bytes, keys[bound->rank].len + bound->behind);
}

/* Ranks [*from, *to) are those inside the range. */
static void
random_range (bee_range_t *range, bound_t bounds[2], size_t *from, size_t *to) {
  *range = (bee_range_t){.reverse = below(2) == 1, .limit = below(3) == 0 ? 1 + below(40) : 0};
  range->has_lower = below(3) > 0;
  range->has_upper = below(3) > 0;
  range->lower_open = below(2) == 1;
  range->upper_open = below(2) == 1;
  *from = 0;
  *to = key_count;
  /* A bound right behind a key is that key and a zero: it may be a key of ours too, namely the next. */
  for (size_t b = 0; b < 2; b++) random_bound(&bounds[b]);
  for (size_t b = 0; b < 2; b++) {
    size_t next = bounds[b].rank + bounds[b].behind;
    bool is_key = !bounds[b].behind || (next < key_count && ab_slice_equal(bounds[b].key, key_of(next)));
    if (b == 0 && range->has_lower) *from = next + (is_key && range->lower_open ? 1 : 0);
    if (b == 1 && range->has_upper) *to = next + (is_key && !range->upper_open ? 1 : 0);
  }
  if (range->has_lower) range->lower = bounds[0].key;
  if (range->has_upper) range->upper = bounds[1].key;
  if (*to > key_count) *to = key_count;
  if (*from > *to) *from = *to;
}

static void
check_cursor (
  reader_t *reader,
  bee_cursor_t *cursor,
  const version_t *version,
  const bee_range_t *range,
  size_t from,
  size_t to
) {
  uint64_t limit = range->limit == 0 ? UINT64_MAX : range->limit;
  bee_entry_t entry;
  int err;
  for (size_t i = 0; i < to - from && limit > 0; i++) {
    size_t rank = range->reverse ? to - 1 - i : from + i;
    if (!version->cells[rank].is_present) continue;
    do err = bee_cursor_next(cursor, &entry);
    while (again(reader, err));
    check(err == 0);
    check_entry(&version->cells[rank], rank, &entry);
    limit--;
  }
  do err = bee_cursor_next(cursor, &entry);
  while (again(reader, err));
  check(err == AB_EEND);
  check(bee_cursor_next(cursor, &entry) == AB_EEND);
  bee_cursor_close(cursor);
}

static void
check_range (reader_t *reader, bee_t *bee, const version_t *version) {
  bee_cursor_t *cursor;
  bee_range_t range;
  bound_t bounds[2];
  size_t from, to;
  random_range(&range, bounds, &from, &to);
  check(bee_cursor_open(bee, &range, &cursor) == 0);
  check_cursor(reader, cursor, version, &range, from, to);
}

static void
check_all (reader_t *reader, bee_t *bee, const version_t *version) {
  bee_range_t range = {.reverse = below(2) == 1};
  bee_cursor_t *cursor;
  check(bee_cursor_open(bee, &range, &cursor) == 0);
  check_cursor(reader, cursor, version, &range, 0, key_count);
}

static void
check_shape (bee_t *bee, const version_t *version) {
  tree_shape_t shape;
  const char *problem;
  uint64_t count = 0;
  check(tree_check(bee, &shape, &problem) == 0);
  if (problem != NULL) give_up(problem, __LINE__);
  for (size_t i = 0; i < key_count; i++) count += version->cells[i].is_present;
  check(shape.keys == count);
  if (shape.keys > most_keys) most_keys = shape.keys;
  if (shape.depth > deepest) deepest = shape.depth;
}

static void
check_version (size_t number) {
  const version_t *version = &versions[number];
  bee_t *bee;
  check(bee_checkout(side.bees[below(BEES)], &version->head, &bee) == 0);
  check_all(&full, bee, version);
  check_range(&full, bee, version);
  check_shape(bee, version);
  bee_close(bee);
}

/* ---- writing ---- */

static bool
apply_to_model (version_t *version, size_t rank, const cell_t *cell) {
  if (same_cell(&version->cells[rank], cell)) return false;
  version->cells[rank] = *cell;
  return true;
}

static void
check_in_batch (reader_t *reader, bee_batch_t *batch, const version_t *version) {
  size_t rank = below(key_count);
  const cell_t *cell = &version->cells[rank];
  bee_entry_t entry;
  int err;
  do err = bee_batch_get(batch, key_of(rank), &entry);
  while (again(reader, err));
  check(err == (cell->is_present ? 0 : AB_ENOTFOUND));
  if (err == 0) check_entry(cell, rank, &entry);
  if (below(60) > 0) return;
  bee_cursor_t *cursor;
  bee_range_t range;
  bound_t bounds[2];
  size_t from, to;
  random_range(&range, bounds, &from, &to);
  check(bee_batch_cursor_open(batch, &range, &cursor) == 0);
  check_cursor(reader, cursor, version, &range, from, to);
}

/* One operation; returns whether it changed anything. Ranks near each other now and then, and more deletes at
 * times. */
static bool
random_op (reader_t *reader, bee_batch_t *batch, version_t *version, size_t around, uint32_t deletes) {
  size_t rank = around < key_count ? (around + below(60)) % key_count : below(key_count);
  cell_t cell = random_cell();
  bool is_delete = below(100) < deletes;
  int err;

  if (is_delete) cell = (cell_t){.is_present = false};
  for (;;) {
    if (is_delete) err = bee_batch_del(batch, key_of(rank));
    else if (!cell.has_value) err = bee_batch_put_absent(batch, key_of(rank));
    else err = bee_batch_put(batch, key_of(rank), value_of(&cell));
    if (!again(reader, err)) break;
    if (below(4) == 0) check_in_batch(reader, batch, version); /* it has not happened */
  }
  check(err == 0);
  step++;
  return apply_to_model(version, rank, &cell);
}

static uint64_t
random_ops (reader_t *reader, bee_batch_t *batch, version_t *version) {
  uint64_t count = below(3) == 0 ? 1 + below(4) : 1 + below(250);
  size_t around = below(3) == 0 ? below(key_count) : key_count;
  uint32_t deletes = below(5) == 0 ? 85 : 30;
  uint64_t applied = 0;
  for (uint64_t i = 0; i < count; i++) {
    applied += random_op(reader, batch, version, around, deletes);
    if (below(30) == 0) check_in_batch(reader, batch, version);
    if (below(8000) == 0) {
      check(bee_batch_clear(batch) == 0);
      memset(version->cells, 0, sizeof(version->cells));
      applied = 0;
    }
  }
  return applied;
}

static bee_write_options_t
random_options (void) {
  bee_write_options_t options = bee_write_options_default();
  if (below(4) > 0) return options;
  options.delta_max = below(40);
  options.inline_value_size = below(2000);
  options.preferred_block_size = 1 + below(6000);
  return options;
}

static void
keep_version (const version_t *version) {
  size_t at = version_count < VERSIONS ? version_count++ : below(VERSIONS);
  versions[at] = *version;
}

/* Either forget the batch, or write it and see that its blocks are those that were counted. */
static void
end_batch (
  reader_t *reader, bee_t *bee, bee_batch_t *batch, version_t *after, version_t *out, uint64_t applied
) {
  hypercore_t *core = bee_local(bee);
  uint64_t before = hypercore_length(core);
  ab_head_t head;
  bee_flush_t done;
  int err;

  if (below(8) == 0) {
    bee_batch_abort(batch);
    return;
  }
  do err = bee_batch_flush(batch, &done);
  while (again(reader, err));
  check(err == 0);
  check(done.applied == applied);
  check(hypercore_length(core) == before + done.blocks);
  bee_head(bee, &head);
  if (done.blocks > 0)
    check(head.length == before + done.blocks && ab_key_equal(&head.key, hypercore_key(core)));
  after->head = head;
  *out = *after;
  batches++;
}

static void
run_batch (size_t b) {
  static version_t after;
  bee_write_options_t options = random_options();
  bee_t *bee = side.bees[b];
  bee_batch_t *batch;

  after = *now[b];
  if (version_count > 0 && below(4) == 0) {
    const version_t *base = &versions[below(version_count)];
    after = *base;
    options.base = &after.head;
    if (below(2) == 0) {
      check(bee_move(bee, &after.head.key, after.head.length) == 0);
      *now[b] = *base;
      options.base = NULL;
    }
  }
  check(bee_batch_begin(bee, &options, &batch) == 0);
  uint64_t applied = random_ops(&full, batch, &after);
  end_batch(&full, bee, batch, &after, now[b], applied);
  if (below(4) == 0) keep_version(now[b]);
}

/* Write what is dropped again, at a bee whose root is not in it. */
static void
run_rollback (size_t b) {
  static version_t after;
  bee_t *bee = side.bees[b];
  uint64_t length = hypercore_length(side.cores[b]);
  for (uint32_t i = below(3); i < 3; i++) {
    bee_batch_t *batch;
    after = *now[b];
    check(bee_batch_begin(bee, NULL, &batch) == 0);
    random_ops(&full, batch, &after);
    check(bee_batch_flush(batch, NULL) == 0);
    ab_head_t back = now[b]->head;
    if (below(2) == 0) bee_forget(bee, below((uint32_t) hypercore_length(side.cores[b])));
    check_all(&full, bee, &after);
    check(bee_move(bee, &back.key, back.length) == 0);
  }
  check(bee_rollback(bee, length) == 0);
  check(hypercore_length(side.cores[b]) == length);
  check_all(&full, bee, now[b]);
  run_batch(b);
}

/* ---- a second store ---- */

static void
run_sparse (void) {
  static version_t after;
  const version_t *version = &versions[below(version_count)];
  reader_t reader = {.is_sparse = true, .store = store_at(NULL)};
  bee_options_t options = bee_options_default();
  bee_write_options_t write = random_options();
  hypercore_t *core = core_named(reader.store, "reader");
  bee_t *bee, *checkout;
  bee_batch_t *batch;
  ab_head_t head;

  check(ab_store_commit(side.store) == 0); /* only what is committed is shown to others */
  options.degree = degree;
  options.open_core = open_sparse;
  options.open_core_data = &reader;
  check(bee_open(core, &options, &bee) == 0);
  check(bee_checkout(bee, &version->head, &checkout) == 0);
  for (int i = 0; i < 20; i++) check_get(&reader, checkout, version, below(key_count));
  check_miss(&reader, checkout, below(key_count));
  check_range(&reader, checkout, version);

  after = *version;
  write.base = &version->head;
  check(bee_batch_begin(bee, &write, &batch) == 0);
  uint64_t applied = random_ops(&reader, batch, &after);
  end_batch(&reader, bee, batch, &after, &after, applied);
  bee_head(bee, &head);
  if (head.length > 0) check_all(&reader, bee, &after);
  check_all(&reader, checkout, version);
  bee_close(checkout);
  bee_close(bee);
  hypercore_close(core);
  check(ab_store_close(reader.store) == 0);
}

/* ---- a run ---- */

static void
open_side (void) {
  bee_options_t options = bee_options_default();
  options.degree = degree;
  ab_store_options_t store = ab_store_options_default();
  store.relaxed = true;
  store.cache_bytes = below(2) == 0 ? 64 * 1024 : 0; /* often a cache that holds next to nothing */
  side.store = store_with(place, &store);
  for (size_t b = 0; b < BEES; b++) {
    char name[16];
    snprintf(name, sizeof(name), "core %zu", b);
    side.cores[b] = core_named(side.store, name);
    check(bee_open(side.cores[b], &options, &side.bees[b]) == 0);
  }
}

static void
close_side (void) {
  for (size_t b = 0; b < BEES; b++) {
    bee_close(side.bees[b]);
    hypercore_close(side.cores[b]);
  }
  check(ab_store_close(side.store) == 0);
  side.store = NULL;
}

static void
reopen (void) {
  close_side();
  open_side();
  for (size_t b = 0; b < BEES; b++) {
    const ab_head_t *head = &now[b]->head;
    check(bee_move(side.bees[b], &head->key, head->length) == 0);
  }
}

static void
run_step (void) {
  size_t b = below(BEES);
  uint32_t what = below(100);
  if (what < 70) run_batch(b);
  else if (what < 75) run_rollback(b);
  else if (what < 80) check(ab_store_commit(side.store) == 0);
  else if (what < 82) reopen();
  else if (what < 84 && version_count > 0) run_sparse();
  else if (what < 90 && version_count > 0) check_version(below(version_count));
  else {
    for (int i = 0; i < 10; i++) check_get(&full, side.bees[b], now[b], below(key_count));
    check_miss(&full, side.bees[b], below(key_count));
    check_range(&full, side.bees[b], now[b]);
  }
}

static void
run_world (uint64_t steps) {
  make_keys();
  place_setup((void **) &place);
  open_side();
  version_count = 0;
  for (size_t b = 0; b < BEES; b++) {
    memset(now[b], 0, sizeof(*now[b]));
    bee_head(side.bees[b], &now[b]->head);
  }
  uint64_t checked = step;
  for (uint64_t end = step + steps; step < end;) {
    run_step();
    if (step - checked < 1000) continue;
    checked = step;
    for (size_t b = 0; b < BEES; b++) {
      check_shape(side.bees[b], now[b]);
      check_all(&full, side.bees[b], now[b]);
    }
  }
  for (size_t i = 0; i < version_count; i++) check_version(i);
  close_side();
  place_teardown((void **) &place);
}

int
main (void) {
  static const uint32_t degrees[] = {2, 3, 5, 16, 128};
  uint64_t steps = runs_full() ? 300000 : 30000;
  seed = runs_seed((uint32_t) time(NULL));
  printf("model_bee: seed %u, %llu operations\n", seed, (unsigned long long) steps);
  fflush(stdout);
  dice = rng(seed);
  versions = calloc(VERSIONS, sizeof(*versions));
  check(versions != NULL);
  for (size_t b = 0; b < BEES; b++) {
    now[b] = malloc(sizeof(*now[b]));
    check(now[b] != NULL);
  }
  for (size_t i = 0; i < sizeof(degrees) / sizeof(degrees[0]); i++) {
    degree = degrees[i];
    run_world(steps / 5);
  }
  printf(
    "  %llu batches written, at most %llu keys in %llu levels, %llu blocks handed over\n",
    (unsigned long long) batches,
    (unsigned long long) most_keys,
    (unsigned long long) deepest,
    (unsigned long long) remote_blocks
  );
  for (size_t b = 0; b < BEES; b++) free(now[b]);
  free(versions);
  return 0;
}

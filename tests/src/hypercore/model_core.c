/* model_core.c: a core and a reader of it, each in a store on disk, against plain arrays, through random
 * operations.
 *
 * 100,000 operations with AUTOBEE_FULL=1, else a tenth. The seed is printed; it comes from AUTOBEE_SEED or
 * from the clock.
 */
#include "faulty_disk.h"
#include "hypercore/core.h"
#include "hypercore/crypto.h"
#include "stores.h"
#include "support/rng.h"
#include "support/runs.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LENGTH_MAX 20000
#define BATCH_MAX 24

/* A plain array of blocks: number, and whether it is here. */
typedef struct {
  uint32_t *values;
  bool *present;
  uint64_t length;
  uint64_t fork;
} model_t;

typedef struct {
  place_t *place;
  ab_store_t *store;
  hypercore_t *core;
  model_t live;
  model_t frozen; /* what a failed commit took, and will write first */
  bool is_frozen;
  model_t committed;
  uint64_t floor;
} side_t;

static rng_t dice;
static uint32_t seed;
static uint64_t step;
static uint32_t next_value;
static side_t writer, reader;
static ab_key_t core_key;

static uint32_t
below (uint64_t n) {
  return rng_below(&dice, (uint32_t) n);
}

#define check(condition) \
  do { \
    if (!(condition)) { \
      fprintf( \
        stderr, \
        "seed %u, step %llu: %s (line %d); writer: %s; reader: %s\n", \
        seed, \
        (unsigned long long) step, \
        #condition, \
        __LINE__, \
        writer.store ? ab_store_errmsg(writer.store) : "", \
        reader.store ? ab_store_errmsg(reader.store) : "" \
      ); \
      abort(); \
    } \
  } while (0)

/* ---- the model ---- */

static void
model_init (model_t *model) {
  model->values = calloc(LENGTH_MAX, sizeof(*model->values));
  model->present = calloc(LENGTH_MAX, sizeof(*model->present));
  check(model->values != NULL && model->present != NULL);
}

static void
model_copy (model_t *to, const model_t *from) {
  memcpy(to->values, from->values, from->length * sizeof(*to->values));
  memcpy(to->present, from->present, from->length * sizeof(*to->present));
  to->length = from->length;
  to->fork = from->fork;
}

static uint64_t
model_contiguous (const model_t *model) {
  uint64_t i = 0;
  while (i < model->length && model->present[i]) i++;
  return i;
}

/* A block's bytes follow from its number: 0 to 40 bytes, sometimes some thousand. */
static ab_slice_t
block_of (uint32_t value, uint8_t buffer[8192]) {
  size_t len = mix32(value) % 41;
  if (mix32(value) % 97 == 0) len = 1000 + mix32(value) % 7000;
  for (size_t i = 0; i < len; i++) buffer[i] = (uint8_t) (mix32(value + (uint32_t) i) >> 8);
  return ab_slice(buffer, len);
}

/* The tree hash from the blocks alone. */
static void
model_tree_hash (const model_t *model, uint64_t length, uint8_t out[32]) {
  ab_tree_t tree = {0};
  uint8_t buffer[8192];
  for (uint64_t i = 0; i < length; i++) {
    ab_node_t nodes[AB_TREE_APPEND_MAX];
    ab_node_list_t list = {nodes, 0, AB_TREE_APPEND_MAX, NULL};
    check(ab_tree_append_block(&tree, block_of(model->values[i], buffer), &list) == 0);
  }
  ab_tree_hash(&tree, out);
}

/* ---- comparing ---- */

static void
check_block (side_t *side, uint64_t index) {
  ab_slice_t block;
  uint8_t buffer[8192];
  bool present = index < side->live.length && side->live.present[index];
  int err = hypercore_get(side->core, index, &block);
  check(hypercore_has(side->core, index, index + 1) == present);
  if (present) {
    check(err == 0);
    check(ab_slice_equal(block, block_of(side->live.values[index], buffer)));
  } else {
    check(err == (side == &writer && index >= side->live.length ? AB_ENOTFOUND : AB_EREMOTE));
  }
}

static void
check_side (side_t *side) {
  check(hypercore_length(side->core) == side->live.length);
  check(hypercore_fork(side->core) == side->live.fork);
  check(hypercore_committed_length(side->core) == side->committed.length);
  check(hypercore_contiguous_length(side->core) == model_contiguous(&side->live));
  check(hypercore_floor(side->core) == side->floor);
}

static void
check_all (side_t *side) {
  uint8_t expected[32], found[32];
  check_side(side);
  for (uint64_t i = 0; i < side->live.length; i++) check_block(side, i);
  model_tree_hash(&side->live, side->live.length, expected);
  check(hypercore_tree_hash(side->core, side->live.length, found) == 0);
  check(memcmp(expected, found, 32) == 0);
  if (side == &writer && side->live.length > 0) { /* which has every node */
    uint64_t length = below(side->live.length + 1);
    model_tree_hash(&side->live, length, expected);
    check(hypercore_tree_hash(side->core, length, found) == 0);
    check(memcmp(expected, found, 32) == 0);
  }
}

/* ---- operations ---- */

static void
op_append (void) {
  ab_slice_t blocks[BATCH_MAX];
  static uint8_t buffers[BATCH_MAX][8192];
  size_t count = 1 + below(below(8) == 0 ? BATCH_MAX : 3);
  if (writer.live.length + count > LENGTH_MAX) return;
  for (size_t i = 0; i < count; i++) {
    blocks[i] = block_of(next_value, buffers[i]);
    writer.live.values[writer.live.length + i] = next_value++;
    writer.live.present[writer.live.length + i] = true;
  }
  uint64_t length;
  check(hypercore_append(writer.core, blocks, count, &length) == 0);
  writer.live.length += count;
  check(length == writer.live.length);
}

static void
op_rollback (void) {
  uint64_t staged = writer.live.length - writer.floor;
  uint64_t length = below(16) == 0 ? writer.floor : writer.floor + below(staged + 1);
  check(hypercore_rollback(writer.core, length) == 0);
  writer.live.length = length;
  if (writer.floor > 0) check(hypercore_rollback(writer.core, writer.floor - 1) == AB_EINVAL);
}

static void
op_truncate (void) {
  uint64_t back = below(below(4) == 0 ? 400 : 20);
  uint64_t length = back < writer.live.length ? writer.live.length - back : 0;
  uint64_t fork = below(4) == 0 ? writer.live.fork + 1 + below(5) : 0;
  check(hypercore_truncate(writer.core, length, fork) == 0);
  writer.live.length = length;
  writer.live.fork = fork == 0 ? writer.live.fork + 1 : fork;
  if (length < writer.floor) writer.floor = length;
}

static void
op_clear (side_t *side) {
  if (side->live.length == 0) return;
  uint64_t start = below(side->live.length), end = start + 1 + below(below(4) == 0 ? 200 : 6);
  check(hypercore_clear(side->core, start, end) == 0);
  for (uint64_t i = start; i < end && i < side->live.length; i++) side->live.present[i] = false;
}

static void
op_commit (side_t *side) {
  check(ab_store_commit(side->store) == 0);
  check(ab_store_staged(side->store) == 0);
  model_copy(&side->committed, &side->live);
  side->is_frozen = false;
  side->floor = side->live.length;
}

static uint64_t
file_version (side_t *side) {
  uint64_t version = 0;
  ab__core_enter(side->core);
  check(ab__storage_version(side->store->storage, &version) == 0);
  ab__core_leave(side->core);
  return version;
}

/* The disk breaks somewhere in the commit. What an earlier one took may get through, what is live may not. */
static void
op_failing_commit (side_t *side) {
  uint64_t version = file_version(side);
  faulty_disk_set(DISK_BROKEN, below(12));
  int err = ab_store_commit(side->store);
  bool struck = faulty_disk_count() > 0;
  faulty_disk_set(DISK_GOOD, 0);
  if (err == 0) {
    op_commit(side);
    return;
  }
  check(struck && err == AB_EIO);
  if (file_version(side) != version) {
    check(side->is_frozen);
    model_copy(&side->committed, &side->frozen);
    side->is_frozen = false;
  }
  if (!side->is_frozen && side->core->is_frozen) {
    model_copy(&side->frozen, &side->live);
    side->is_frozen = true;
    side->floor = side->live.length;
  }
}

static void
open_side (side_t *side) {
  ab_store_options_t options = ab_store_options_default();
  options.relaxed = true;
  char message[256] = "";
  if (ab_store_open(side->place->path, &options, &side->store, message, sizeof(message)) < 0) {
    fprintf(stderr, "seed %u, step %llu: %s\n", seed, (unsigned long long) step, message);
    abort();
  }
  hypercore_options_t core_options = hypercore_options_default();
  if (side == &writer) core_options.name = ab_text("model");
  else core_options.key = &core_key;
  check(hypercore_open(side->store, &core_options, &side->core) == 0);
}

static void
op_reopen (side_t *side) {
  check(ab_store_close(side->store) == 0);
  side->store = NULL;
  open_side(side);
  model_copy(&side->committed, &side->live);
  side->is_frozen = false;
  side->floor = side->live.length;
  check_side(side);
}

/* The disk is broken until the end: all that was not committed is lost. */
static void
op_lose (side_t *side) {
  faulty_disk_set(DISK_BROKEN, 0);
  int err = ab_store_close(side->store);
  faulty_disk_set(DISK_GOOD, 0);
  check(err == 0 || err == AB_EIO);
  side->store = NULL;
  open_side(side);
  model_copy(&side->live, &side->committed);
  side->is_frozen = false;
  side->floor = side->live.length;
  check_side(side);
}

/* What the reader knows of the writer's committed state after a pull. */
static void
take_upgrade (void) {
  const model_t *theirs = &writer.committed;
  model_t *ours = &reader.live;
  if (theirs->fork < ours->fork || theirs->length == 0) return;
  if (theirs->fork > ours->fork) {
    uint64_t shared = 0;
    while (shared < theirs->length && shared < ours->length && theirs->values[shared] == ours->values[shared])
      shared++;
    for (uint64_t i = shared; i < ours->length; i++) ours->present[i] = false;
    ours->length = shared;
    ours->fork = theirs->fork;
    reader.floor = theirs->length;
  }
  for (uint64_t i = ours->length; i < theirs->length; i++) {
    ours->values[i] = theirs->values[i];
    ours->present[i] = false;
  }
  if (theirs->length > ours->length) ours->length = theirs->length;
}

static void
op_pull (void) {
  const model_t *theirs = &writer.committed;
  uint64_t length = theirs->length == 0 ? 0 : 1 + below(theirs->length);
  uint64_t start = below(theirs->length + 1), end = start + below(below(4) == 0 ? 100 : 4);
  check(hypercore_pull(reader.core, writer.core, length, start, end) == 0);
  if (theirs->length == 0) return;
  /* Up to date already: a proof to less is not asked for. */
  if (theirs->fork > reader.live.fork || length > reader.live.length) take_upgrade();
  check(hypercore_length(reader.core) == reader.live.length);
  for (uint64_t i = start; i < end && i < reader.live.length; i++)
    if (i < theirs->length && theirs->present[i]) reader.live.present[i] = true;
}

static void
op_reader_rollback (void) {
  if (hypercore_rollback(reader.core, reader.committed.length) < 0)
    return; /* it moved to another fork meanwhile */
  reader.live.length = reader.committed.length;
}

static void
run_step (void) {
  uint32_t op = below(1000);
  if (op < 380) op_append();
  else if (op < 420) op_rollback();
  else if (op < 424) op_truncate();
  else if (op < 450) op_clear(&writer);
  else if (op < 530) op_commit(&writer);
  else if (op < 539) op_failing_commit(&writer);
  else if (op < 540) op_lose(&writer);
  else if (op < 545) op_reopen(&writer);
  else if (op < 700) check_block(&writer, below(writer.live.length + 2));
  else if (op < 840) op_pull();
  else if (op < 850) op_clear(&reader);
  else if (op < 880) op_commit(&reader);
  else if (op < 889) op_failing_commit(&reader);
  else if (op < 890) op_lose(&reader);
  else if (op < 895) op_reopen(&reader);
  else if (op < 905) op_reader_rollback();
  else check_block(&reader, below(reader.live.length + 2));
  check_side(&writer);
  check_side(&reader);
  /* Start short again now and then, so that the whole is looked at often. */
  if (writer.live.length > LENGTH_MAX / 2) {
    check(hypercore_truncate(writer.core, 10, 0) == 0);
    writer.live.length = 10;
    writer.live.fork++;
    writer.floor = 10;
  }
}

static void
begin_side (side_t *side) {
  place_setup((void **) &side->place);
  model_init(&side->live);
  model_init(&side->frozen);
  model_init(&side->committed);
  open_side(side);
}

static void
end_side (side_t *side) {
  check(ab_store_close(side->store) == 0);
  place_teardown((void **) &side->place);
  free(side->live.values);
  free(side->live.present);
  free(side->frozen.values);
  free(side->frozen.present);
  free(side->committed.values);
  free(side->committed.present);
}

int
main (void) {
  uint64_t steps = runs_full() ? 100000 : 10000;
  seed = runs_seed((uint32_t) time(NULL));
  printf("model_core: seed %u, %llu operations\n", seed, (unsigned long long) steps);
  fflush(stdout);
  dice = rng(seed);

  begin_side(&writer);
  core_key = *hypercore_key(writer.core);
  begin_side(&reader);
  uint64_t appended = 0, forks = 0;
  for (step = 0; step < steps; step++) {
    run_step();
    if (step % 1000 == 999) {
      check_all(&writer);
      check_all(&reader);
    }
  }
  appended = next_value;
  forks = writer.live.fork;
  printf("  %llu blocks appended, fork %llu\n", (unsigned long long) appended, (unsigned long long) forks);
  end_side(&writer);
  end_side(&reader);
  return 0;
}

/* test_store.c: what a store does as a whole: commits that fail and are made up for, read-only stores,
 * runners. */
#define _GNU_SOURCE
#include "hypercore/store.h"

#include "faulty_disk.h"
#include "hypercore/crypto.h"
#include "hypercore/record.h"
#include "stores.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static ab_store_t *
durable_store (const place_t *place) {
  ab_store_options_t options = ab_store_options_default();
  return store_with(place, &options);
}

/* ---- commits ---- */

static void
one_commit_takes_all_cores_or_none (void **state) {
  ab_store_t *store = durable_store(*state);
  hypercore_t *a = core_named(store, "a"), *b = core_named(store, "b");
  append_numbered(a, 3);
  append_numbered(b, 300);
  assert_ok(store, hypercore_set_user_data(a, "heads", ab_text("3 and 300")));
  for (size_t after = 0; after < 100; after++) {
    faulty_disk_set(DISK_BROKEN, after);
    int err = ab_store_commit(store);
    bool struck = faulty_disk_count() > 0;
    faulty_disk_set(DISK_GOOD, 0);
    if (!struck) {
      assert_ok(store, err);
      break;
    }
    assert_int_equal(err, AB_EIO);
    /* The first attempt's tails come first: they may have got through, both or none, when the rest fails. */
    assert_int_equal(hypercore_committed_length(b), hypercore_committed_length(a) > 0 ? 300 : 0);
    assert_numbered(a, 0, hypercore_length(a));
    assert_numbered(b, 0, 300);
    append_numbered(a, 1); /* to a new tail, above the one that was not written */
    if (hypercore_committed_length(a) == 0) assert_int_equal(hypercore_floor(a), 3);
  }
  assert_true(hypercore_committed_length(a) > 3);
  assert_int_equal(hypercore_committed_length(b), 300);
  uint64_t length = hypercore_length(a);
  assert_ok(store, ab_store_close(store));

  store = durable_store(*state);
  a = core_named(store, "a");
  assert_int_equal(hypercore_length(a), length);
  assert_numbered(a, 0, length);
  assert_numbered(core_named(store, "b"), 0, 300);
  ab_slice_t heads;
  assert_ok(store, hypercore_user_data(a, "heads", &heads));
  assert_true(ab_slice_equal(heads, ab_text("3 and 300")));
  ab_store_close(store);
}

static void
a_failed_commit_is_rolled_back_to_and_not_below (void **state) {
  ab_store_t *store = durable_store(*state);
  hypercore_t *core = core_named(store, "a");
  append_numbered(core, 4);
  assert_ok(store, ab_store_commit(store));
  append_numbered(core, 4);
  faulty_disk_set(DISK_BROKEN, 0);
  assert_int_equal(ab_store_commit(store), AB_EIO);
  append_numbered(core, 4);
  assert_int_equal(hypercore_floor(core), 8);
  assert_int_equal(hypercore_rollback(core, 7), AB_EINVAL);
  assert_ok(store, hypercore_rollback(core, 9));
  assert_numbered(core, 0, 9);
  assert_ok(store, hypercore_rollback(core, 8));
  assert_int_equal(ab_store_commit(store), AB_EIO);
  assert_ok(store, hypercore_truncate(core, 2, 0)); /* into all three levels */
  append_text(core, "other");
  assert_block(core, 2, "other");
  assert_int_equal(hypercore_committed_length(core), 4);
  assert_int_equal(ab_store_commit(store), AB_EIO);
  faulty_disk_set(DISK_GOOD, 0);
  assert_ok(store, ab_store_commit(store));
  ab_store_close(store);
  store = durable_store(*state);
  core = core_named(store, "a");
  assert_int_equal(hypercore_length(core), 3);
  assert_int_equal(hypercore_fork(core), 1);
  assert_block(core, 2, "other");
  ab_store_close(store);
}

static void
clearing_reaches_through_a_frozen_tail (void **state) {
  ab_store_t *store = durable_store(*state);
  hypercore_t *core = core_named(store, "a");
  append_numbered(core, 10);
  assert_ok(store, ab_store_commit(store));
  append_numbered(core, 10);
  faulty_disk_set(DISK_BROKEN, 0);
  assert_int_equal(ab_store_commit(store), AB_EIO);
  append_numbered(core, 10);
  assert_ok(store, hypercore_clear(core, 8, 22));
  assert_false(hypercore_has(core, 8, 9) || hypercore_has(core, 15, 16) || hypercore_has(core, 21, 22));
  assert_numbered(core, 0, 8);
  assert_numbered(core, 22, 30);
  faulty_disk_set(DISK_GOOD, 0);
  assert_ok(store, ab_store_close(store));

  store = durable_store(*state);
  core = core_named(store, "a");
  assert_int_equal(hypercore_length(core), 30);
  assert_int_equal(hypercore_contiguous_length(core), 8);
  assert_false(hypercore_has(core, 8, 9) || hypercore_has(core, 15, 16) || hypercore_has(core, 21, 22));
  assert_numbered(core, 0, 8);
  assert_numbered(core, 22, 30);
  ab_store_close(store);
}

/* ---- a full disk ---- */

static void
a_full_disk_is_said_and_survived (void **state) {
  static const faulty_disk_t faults[] = {DISK_FULL, DISK_SHORT};
  for (size_t i = 0; i < 2; i++) {
    ab_store_t *store = durable_store(*state);
    hypercore_t *core = core_named(store, i == 0 ? "full" : "short");
    append_numbered(core, 10);
    assert_ok(store, ab_store_commit(store));
    append_numbered(core, 10);
    faulty_disk_set(faults[i], 0);
    int err = ab_store_commit(store);
    /* A short write is all LMDB says; only a disk that is full now can be told from a broken one. */
    assert_int_equal(err, faults[i] == DISK_FULL ? AB_ENOSPC : AB_EIO);
    if (err == AB_ENOSPC) assert_non_null(strstr(ab_store_errmsg(store), "full; free some space"));
    assert_numbered(core, 0, 20);
    append_numbered(core, 5);
    assert_true(ab_store_commit(store) < 0);
    assert_int_equal(hypercore_committed_length(core), 10);
    faulty_disk_set(DISK_GOOD, 0);
    assert_ok(store, ab_store_commit(store));
    assert_int_equal(hypercore_committed_length(core), 25);
    assert_numbered(core, 0, 25);
    ab_store_close(store);
  }
}

static void
a_failed_sync_is_not_a_commit (void **state) {
  ab_store_t *store = durable_store(*state);
  hypercore_t *core = core_named(store, "a");
  append_numbered(core, 10);
  faulty_disk_set(DISK_NO_SYNC, 0);
  assert_int_equal(ab_store_commit(store), AB_EIO);
  assert_int_equal(hypercore_committed_length(core), 0);
  faulty_disk_set(DISK_GOOD, 0);
  assert_ok(store, ab_store_commit(store));
  assert_int_equal(hypercore_committed_length(core), 10);
  ab_store_close(store);
}

static void
a_failed_write_of_the_meta_page_is_survived (void **state) {
  ab_store_t *store = durable_store(*state);
  hypercore_t *core = core_named(store, "a");
  append_numbered(core, 10);
  assert_ok(store, ab_store_commit(store));
  /* The last write of a commit is that of the meta page: LMDB gives up on its environment when it fails. */
  for (size_t after = 0;; after++) {
    append_numbered(core, 1);
    faulty_disk_set(DISK_BROKEN, after);
    int err = ab_store_commit(store);
    bool struck = faulty_disk_count() > 0;
    faulty_disk_set(DISK_GOOD, 0);
    if (!struck) {
      assert_ok(store, err);
      break;
    }
    assert_int_equal(err, AB_EIO);
    assert_numbered(core, 0, hypercore_length(core));
    assert_ok(store, ab_store_commit(store));
    assert_int_equal(hypercore_committed_length(core), hypercore_length(core));
  }
  ab_store_close(store);
}

typedef struct {
  int level;
  char text[512];
} log_t;

static void
keep_log (void *data, int level, const char *area, const char *text) {
  log_t *log = data;
  (void) area;
  log->level = level;
  snprintf(log->text, sizeof(log->text), "%s", text);
}

static void
close_says_what_was_lost (void **state) {
  log_t log = {.level = -1};
  ab_store_options_t options = ab_store_options_default();
  options.log = keep_log;
  options.log_data = &log;
  ab_store_t *store = store_with(*state, &options);
  append_numbered(core_named(store, "a"), 10);
  assert_ok(store, ab_store_commit(store));
  append_numbered(core_named(store, "a"), 10);
  faulty_disk_set(DISK_FULL, 0);
  assert_int_equal(ab_store_close(store), AB_ENOSPC);
  faulty_disk_set(DISK_GOOD, 0);
  assert_int_equal(log.level, 0);
  assert_non_null(strstr(log.text, "lost"));
  store = durable_store(*state);
  assert_int_equal(hypercore_length(core_named(store, "a")), 10);
  ab_store_close(store);
}

/* ---- the map ---- */

static void
a_full_map_grows_and_the_commit_is_made_again (void **state) {
  const place_t *place = *state;
  char message[256];
  ab_store_t *store;
  ab_store_options_t options = ab_store_options_default();
  options.relaxed = true;
  assert_int_equal(ab__store_open(place->path, &options, 256 * 1024, &store, message, sizeof(message)), 0);
  hypercore_t *core = core_named(store, "a");
  for (int i = 0; i < 12; i++) {
    append_numbered(core, 1000);
    assert_ok(store, ab_store_commit(store));
  }
  assert_numbered(core, 0, 12000);
  assert_ok(store, ab_store_close(store));
  store = store_at(place);
  assert_numbered(core_named(store, "a"), 0, 12000);
  ab_store_close(store);
}

/* ---- damage ---- */

static void
put_raw (ab_store_t *store, ab__table_t table, ab_slice_t key, ab_slice_t value) {
  assert_int_equal(ab__storage_write_begin(store->storage), 0);
  if (value.data != NULL) assert_int_equal(ab__storage_put(store->storage, table, key, value), 0);
  else assert_int_equal(ab__storage_delete(store->storage, table, key), 0);
  assert_int_equal(ab__storage_write_commit(store->storage), 0);
}

/* Numbers of cores and indexes in the file: the core here is number 0. */
static ab_slice_t
raw_key (uint8_t out[12], uint64_t index) {
  memset(out, 0, 12);
  for (size_t i = 0; i < 8; i++) out[4 + i] = (uint8_t) (index >> (56 - 8 * i));
  return ab_slice(out, 12);
}

static void
assert_corrupt (ab_store_t *store, const char *what) {
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core;
  options.name = ab_text("a");
  assert_int_equal(hypercore_open(store, &options, &core), AB_ECORRUPT);
  if (strstr(ab_store_errmsg(store), what) == NULL)
    fail_msg("no \"%s\" in: %s", what, ab_store_errmsg(store));
}

static void
records_that_do_not_fit_together_are_damage (void **state) {
  const place_t *place = *state;
  ab_store_t *store = store_at(place);
  hypercore_t *core = core_named(store, "a");
  uint8_t key[12];
  append_numbered(core, 10);
  assert_ok(store, ab_store_close(store));

  store = store_at(place);
  ab_buf_t head = {0}, other = {0};
  ab_slice_t value;
  ab__storage_read_begin(store->storage);
  assert_int_equal(ab__storage_get(store->storage, AB__HEADS, ab_slice("\0\0\0\0", 4), &value), 0);
  ab_buf_append(&head, value);
  ab__storage_read_end(store->storage);

  ab__head_record_t record;
  assert_int_equal(ab__head_record_decode(ab_buf_slice(&head), &record), 0);
  record.tree_hash[7] ^= 1;
  ab__head_record_encode(&other, &record);
  put_raw(store, AB__HEADS, ab_slice("\0\0\0\0", 4), ab_buf_slice(&other));
  assert_corrupt(store, "its head and its tree disagree");
  put_raw(store, AB__HEADS, ab_slice("\0\0\0\0", 4), ab_text("garbage"));
  assert_corrupt(store, "its head does not decode");
  put_raw(store, AB__HEADS, ab_slice("\0\0\0\0", 4), ab_buf_slice(&head));
  put_raw(store, AB__NODES, raw_key(key, 9), ab_text("garbage"));
  assert_corrupt(store, "a tree node does not decode");
  put_raw(store, AB__NODES, raw_key(key, 9), ab_slice(NULL, 0));
  assert_corrupt(store, "a root of its tree is missing");
  put_raw(store, AB__CORES, ab_slice("\0\0\0\0", 4), ab_text("garbage"));
  assert_corrupt(store, "the record of a core does not decode");
  ab_buf_destroy(&head);
  ab_buf_destroy(&other);
  ab_store_close(store);
}

static void
a_lost_block_is_damage_and_others_are_read (void **state) {
  ab_store_t *store = store_at(*state);
  hypercore_t *core = core_named(store, "a");
  uint8_t key[12];
  append_numbered(core, 10);
  assert_ok(store, ab_store_commit(store));
  put_raw(store, AB__BLOCKS, raw_key(key, 4), ab_slice(NULL, 0));
  ab_slice_t block;
  assert_int_equal(hypercore_get(core, 4, &block), AB_ECORRUPT);
  assert_non_null(strstr(ab_store_errmsg(store), "a block that should be here is missing"));
  assert_numbered(core, 0, 4);
  assert_numbered(core, 5, 10);
  ab_store_close(store);
}

/* ---- processes ---- */

static void
a_forked_child_may_not_use_the_parents_store (void **state) {
  ab_store_t *store = store_at(*state);
  hypercore_t *core = core_named(store, "a");
  append_numbered(core, 3);
  assert_ok(store, ab_store_commit(store));
  append_numbered(core, 3);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    ab_slice_t block = ab_text("x");
    bool refused = hypercore_get(core, 0, &block) == AB_EINVAL && ab_store_commit(store) == AB_EINVAL &&
                   hypercore_append(core, &block, 1, NULL) == AB_EINVAL &&
                   strstr(ab_store_errmsg(store), "fork") != NULL;
    ab_store_close(store); /* frees memory, leaves the files and the lock alone */
    _exit(refused ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  assert_ok(store, ab_store_commit(store));
  assert_numbered(core, 0, 6);
  ab_store_options_t options = ab_store_options_default();
  ab_store_t *second;
  assert_int_equal(ab_store_open(((place_t *) *state)->path, &options, &second, NULL, 0), AB_EINUSE);
  ab_store_close(store);
}

/* Another process: writes 5 blocks, says so, waits for a byte, writes 5 more, truncates to 3. */
static void
write_in_child (const place_t *place, int in, int out) {
  ab_store_t *store = store_at(place);
  hypercore_t *core = core_named(store, "a");
  char byte = 0;
  append_numbered(core, 5);
  ab_store_commit(store);
  (void) !write(out, &byte, 1);
  (void) !read(in, &byte, 1);
  append_numbered(core, 5);
  ab_store_commit(store);
  (void) !write(out, &byte, 1);
  (void) !read(in, &byte, 1);
  hypercore_truncate(core, 3, 0);
  ab_store_commit(store);
  (void) !write(out, &byte, 1);
  (void) !read(in, &byte, 1);
  ab_store_close(store);
  _exit(0);
}

static void
a_read_only_store_follows_the_writing_process (void **state) {
  int to[2], from[2], status;
  char byte = 0;
  assert_int_equal(pipe(to), 0);
  assert_int_equal(pipe(from), 0);
  pid_t child = fork();
  if (child == 0) write_in_child(*state, to[0], from[1]);
  assert_int_equal(read(from[0], &byte, 1), 1);

  ab_store_options_t options = ab_store_options_default();
  options.read_only = true;
  ab_store_t *store = store_with(*state, &options);
  hypercore_t *core = core_named(store, "a");
  assert_int_equal(hypercore_length(core), 5);
  assert_numbered(core, 0, 5);
  assert_false(hypercore_is_writable(core));
  ab_slice_t block = ab_text("x");
  assert_int_equal(hypercore_append(core, &block, 1, NULL), AB_EREADONLY);
  assert_int_equal(hypercore_set_user_data(core, "x", block), AB_EREADONLY);
  assert_int_equal(ab_store_commit(store), AB_EREADONLY);

  assert_int_equal(write(to[1], &byte, 1), 1);
  assert_int_equal(read(from[0], &byte, 1), 1);
  assert_int_equal(hypercore_length(core), 5); /* until told to look */
  uint64_t generation = hypercore_generation(core), deadline;
  assert_ok(store, ab_store_run(store, 10, &deadline));
  assert_true(deadline == UINT64_MAX);
  assert_int_equal(hypercore_length(core), 10);
  assert_int_equal(hypercore_generation(core), generation);
  assert_numbered(core, 0, 10);

  assert_int_equal(write(to[1], &byte, 1), 1);
  assert_int_equal(read(from[0], &byte, 1), 1);
  assert_ok(store, ab_store_run(store, 10, NULL));
  assert_int_equal(hypercore_length(core), 3);
  assert_true(hypercore_generation(core) > generation);
  hypercore_options_t unknown = hypercore_options_default();
  unknown.name = ab_text("never made");
  hypercore_t *none;
  assert_int_equal(hypercore_open(store, &unknown, &none), AB_ENOTFOUND);
  assert_int_equal(write(to[1], &byte, 1), 1);
  ab_store_close(store);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  for (int i = 0; i < 2; i++) {
    close(to[i]);
    close(from[i]);
  }
}

static void
a_killed_process_leaves_a_store_that_opens (void **state) {
  const place_t *place = *state;
  pid_t child = fork();
  if (child == 0) {
    ab_store_t *store = durable_store(place);
    hypercore_t *core = core_named(store, "a");
    append_numbered(core, 7);
    ab_store_commit(store);
    append_numbered(core, 7);
    _exit(0); /* without closing: as if killed here */
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  ab_store_t *store = durable_store(place);
  hypercore_t *core = core_named(store, "a");
  assert_int_equal(hypercore_length(core), 7);
  assert_numbered(core, 0, 7);
  ab_store_close(store);
}

/* ---- runners and the slot ---- */

typedef struct {
  ab_store_t *store;
  ab_runner_t runner;
  ab_runner_t *victim; /* detached by the next run */
  int runs, commits, closings;
  int last_status;
  int result;
  uint64_t deadline;
} part_t;

static int
part_run (void *data, uint32_t budget_ms, uint64_t *deadline) {
  part_t *part = data;
  (void) budget_ms;
  part->runs++;
  if (part->victim != NULL) ab_store_detach(part->victim);
  *deadline = part->deadline;
  return part->result;
}

static void
part_committed (void *data, int status) {
  part_t *part = data;
  part->commits++;
  part->last_status = status;
}

static void
part_closing (void *data) {
  ((part_t *) data)->closings++;
}

static void
attach_part (part_t *part, ab_store_t *store) {
  *part = (part_t){.store = store, .deadline = UINT64_MAX, .last_status = 1};
  part->runner =
    (ab_runner_t){.run = part_run, .committed = part_committed, .closing = part_closing, .data = part};
  ab_store_attach(store, &part->runner);
}

static void
runners_run_and_hear_of_commits (void **state) {
  ab_store_t *store = store_at(*state);
  part_t first, second, third;
  attach_part(&first, store);
  attach_part(&second, store);
  attach_part(&third, store);
  uint64_t deadline;
  first.deadline = 700;
  second.deadline = 500;
  assert_int_equal(ab_store_run(store, 5, &deadline), 0);
  assert_int_equal(deadline, 500);
  second.result = 1;
  assert_int_equal(ab_store_run(store, 5, &deadline), 1);
  third.result = AB_EIO;
  assert_int_equal(ab_store_run(store, 5, NULL), AB_EIO);
  assert_int_equal(first.runs + second.runs + third.runs, 9);

  third.victim = &second.runner; /* the next in the walk */
  assert_int_equal(ab_store_run(store, 5, NULL), AB_EIO);
  assert_int_equal(second.runs, 3);
  assert_int_equal(first.runs, 4);
  third.victim = &third.runner;
  assert_int_equal(ab_store_run(store, 5, NULL), AB_EIO);
  assert_int_equal(first.runs, 5);

  append_numbered(core_named(store, "a"), 1);
  assert_ok(store, ab_store_commit(store));
  assert_ok(store, ab_store_commit(store)); /* nothing to do: nobody is told */
  assert_int_equal(first.commits, 1);
  assert_int_equal(first.last_status, 0);
  if (*state != NULL) {
    append_numbered(core_named(store, "a"), 1);
    faulty_disk_set(DISK_FULL, 0);
    assert_int_equal(ab_store_commit(store), AB_ENOSPC);
    faulty_disk_set(DISK_GOOD, 0);
    assert_int_equal(first.last_status, AB_ENOSPC);
  }
  ab_store_close(store);
  assert_int_equal(first.closings, 1);
  assert_int_equal(second.closings + third.closings, 0);
}

/* A part whose run commits, and one that leaves when it hears of the commit. */
static int
run_and_commit (void *data, uint32_t budget_ms, uint64_t *deadline) {
  part_t *part = data;
  (void) budget_ms;
  (void) deadline;
  part->runs++;
  append_numbered(core_named(part->store, "a"), 1);
  return ab_store_commit(part->store);
}

static void
leave_when_committed (void *data, int status) {
  part_t *part = data;
  (void) status;
  part->commits++;
  if (part->victim != NULL) ab_store_detach(part->victim);
}

static void
runners_may_leave_while_a_run_commits (void **state) {
  ab_store_t *store = store_at(*state);
  part_t first, second, third;
  attach_part(&first, store);
  attach_part(&second, store);
  attach_part(&third, store); /* walked in the order third, second, first */
  third.runner.run = run_and_commit;
  first.runner.committed = leave_when_committed;
  first.victim = &second.runner; /* the next of the outer walk */
  assert_ok(store, ab_store_run(store, 5, NULL));
  assert_int_equal(third.runs, 1);
  assert_int_equal(second.runs, 0);
  assert_int_equal(first.runs, 1);
  ab_store_close(store);
}

static void
end_slot (void *slot) {
  (*(int *) slot)++;
}

static void
the_slot_ends_with_the_store (void **state) {
  int ended = 0;
  ab_store_t *store = store_at(*state);
  void **slot = ab_store_slot(store, end_slot);
  assert_null(*slot);
  *slot = &ended;
  assert_ptr_equal(*ab_store_slot(store, end_slot), &ended);
  ab_store_close(store);
  assert_int_equal(ended, 1);
}

/* ---- secrets ---- */

static void
kept_secrets_are_in_their_own_file (void **state) {
  const place_t *place = *state;
  ab_store_t *store = store_at(place);
  ab_slice_t value;
  assert_int_equal(ab_store_secret(store, "encryption key", &value), AB_ENOTFOUND);
  assert_ok(store, ab_store_set_secret(store, "encryption key", ab_text("very secret")));
  append_numbered(core_named(store, "a"), 1);
  ab_key_pair_t pair = {0};
  uint8_t seed[32] = {5};
  ab_key_pair_from_seed(&pair, seed);
  hypercore_options_t options = hypercore_options_default();
  options.key_pair = &pair;
  hypercore_t *core;
  assert_ok(store, hypercore_open(store, &options, &core));
  ab_key_t key = *hypercore_key(core);
  ab_store_close(store);

  char path[TMPDIR_MAX];
  struct stat st;
  place_file(place, "secret", path);
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
  static uint8_t file[1 << 20];
  place_file(place, "data.mdb", path);
  FILE *data = fopen(path, "rb");
  assert_non_null(data);
  size_t len = fread(file, 1, sizeof(file), data);
  fclose(data);
  assert_true(len > 0 && len < sizeof(file));
  assert_null(memmem(file, len, pair.secret_key, 32));
  assert_null(memmem(file, len, "very secret", 11));

  store = store_at(place);
  assert_ok(store, ab_store_secret(store, "encryption key", &value));
  assert_true(ab_slice_equal(value, ab_text("very secret")));
  assert_true(hypercore_is_writable(core_of_key(store, &key))); /* the pair was stored with the core */
  assert_ok(store, ab_store_set_secret(store, "encryption key", ab_slice(NULL, 0)));
  ab_store_close(store);
  store = store_at(place);
  assert_int_equal(ab_store_secret(store, "encryption key", &value), AB_ENOTFOUND);
  ab_store_close(store);
}

static int
teardown (void **state) {
  faulty_disk_set(DISK_GOOD, 0);
  return place_teardown(state);
}

#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, place_setup, teardown)

int
main (void) {
  static const struct CMUnitTest tests[] = {
    ON_DISK(one_commit_takes_all_cores_or_none),
    ON_DISK(a_failed_commit_is_rolled_back_to_and_not_below),
    ON_DISK(clearing_reaches_through_a_frozen_tail),
    ON_DISK(a_full_disk_is_said_and_survived),
    ON_DISK(a_failed_sync_is_not_a_commit),
    ON_DISK(a_failed_write_of_the_meta_page_is_survived),
    ON_DISK(close_says_what_was_lost),
    ON_DISK(a_full_map_grows_and_the_commit_is_made_again),
    ON_DISK(records_that_do_not_fit_together_are_damage),
    ON_DISK(a_lost_block_is_damage_and_others_are_read),
    ON_DISK(a_forked_child_may_not_use_the_parents_store),
    ON_DISK(a_read_only_store_follows_the_writing_process),
    ON_DISK(a_killed_process_leaves_a_store_that_opens),
    ON_DISK(runners_run_and_hear_of_commits),
    cmocka_unit_test(runners_run_and_hear_of_commits),
    cmocka_unit_test(runners_may_leave_while_a_run_commits),
    cmocka_unit_test(the_slot_ends_with_the_store),
    ON_DISK(kept_secrets_are_in_their_own_file),
  };
  return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}

/* oom_autobee.c: the n-th allocation fails, n = 1, 2, 3 …, on the way through a database's life.
 *
 *   a pass   create a store and a database in it, append, take in what another writer has written at the same
 * time (so that the order changes), append, close, open again
 *
 * The call that met the failure says AB_ENOMEM (AB_EHALTED from inside apply), or it did without. Then life
 * goes on from there in one of three ways, without failures, and ends as a pass that had none: the same
 * entries, the same order.
 *
 *   SAME     in the same process: the call is made again
 *   REOPEN   everything is closed and opened again first
 *   CRASH    what was on the disk at that moment is opened: the state before the failed call or after it
 *
 * Normally every k-th allocation fails, in one way each; with AUTOBEE_FULL=1 every one in every way.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "autobee/members.h"
#include "support/failing_alloc.h"
#include "support/runs.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#define FIND_LEAKS() __lsan_do_recoverable_leak_check()
#else
#define FIND_LEAKS() 0
#endif

#define STEP_MS 60000
#define PASSES 100 /* about, per test */

typedef enum { GO_ON_SAME = 0, GO_ON_REOPEN, GO_ON_CRASH, GO_ON_WAYS } go_on_t;

typedef struct {
  char base[TMPDIR_MAX], dir[TMPDIR_MAX], copy[TMPDIR_MAX];
  member_t ana; /* lives through the failures */
  member_t ben; /* wrote his part in the first pass; in memory */
  ab_key_t ben_writer;
  const ab_key_t *encryption_key;
} world_t;

/* ---- the steps of a pass ---- */

static int
open_store (world_t *world) {
  return member_open_store(&world->ana);
}

static autobee_options_t
options_of (const world_t *world) {
  autobee_options_t options = autobee_options_default();
  options.encryption_key = world->encryption_key;
  return options;
}

static int
open_database (world_t *world) {
  autobee_options_t options = options_of(world);
  return autobee_open(world->ana.store, NULL, &options, &world->ana.db);
}

static int
put (world_t *world) {
  return member_put(&world->ana, "k", "ana");
}

static int
grant (world_t *world) {
  return member_grant(&world->ana, &world->ben_writer);
}

static int
put_batch (world_t *world) {
  return member_put_batch(&world->ana, "batch", 3);
}

static int
put_own (world_t *world) {
  return member_put(&world->ana, "k", "ana again");
}

static int
receive (world_t *world) {
  return member_receive(&world->ana, &world->ben);
}

static int
put_last (world_t *world) {
  return member_put(&world->ana, "last", "value");
}

static int
update (world_t *world) {
  return autobee_update(world->ana.db);
}

/* Whatever a close returns, the handle is gone. */
static int
close_database (world_t *world) {
  int err = autobee_close(world->ana.db);
  world->ana.db = NULL;
  return err;
}

static int
close_store (world_t *world) {
  int err = ab_store_close(world->ana.store);
  world->ana.store = NULL;
  return err;
}

typedef struct {
  const char *name;
  int (*run)(world_t *world);
  bool has_store, has_database; /* afterwards */
  bool closes;
} step_t;

static const step_t steps[] = {
  {"create the store", open_store, true, false, false},
  {"create the database", open_database, true, true, false},
  {"put", put, true, true, false},
  {"grant", grant, true, true, false},
  {"put a batch", put_batch, true, true, false},
  {"put over it", put_own, true, true, false},
  {"receive", receive, true, true, false},
  {"put behind it", put_last, true, true, false},
  {"close the database", close_database, true, false, true},
  {"close the store", close_store, false, false, true},
  {"open the store", open_store, true, false, false},
  {"open the database", open_database, true, true, false},
  {"update", update, true, true, false},
};
#define STEPS (sizeof(steps) / sizeof(steps[0]))
#define GRANTED 3 /* the step after which Ben writes */

static member_state_t states[STEPS]; /* after each step of the pass without failures */

static int
run_step (world_t *world, size_t k) {
  world->ana.now_ms = MEMBER_START_MS + k * STEP_MS;
  return steps[k].run(world);
}

/* ---- without failures ---- */

static void
begin_pass (world_t *world) {
  tmpdir_make(world->base);
  tmpdir_path(world->dir, world->base, "store");
  tmpdir_path(world->copy, world->base, "copy");
  member_init(&world->ana, world->dir, 1);
}

static void
end_pass (world_t *world) {
  member_close(&world->ana);
  tmpdir_remove(world->base);
}

/* He knows the grant, and his clock is behind that of Ana's later appends. */
static void
write_as_ben (world_t *world) {
  autobee_options_t options = options_of(world);
  ab_key_t key;
  autobee_key(world->ana.db, &key);
  member_open(&world->ben, &key, &options);
  world->ben.now_ms = MEMBER_START_MS + GRANTED * STEP_MS + 1;
  member_ok(&world->ben, member_receive(&world->ben, &world->ana));
  member_ok(&world->ben, member_put(&world->ben, "k", "ben"));
  member_ok(&world->ben, member_put_batch(&world->ben, "ben", 2));
}

/* The pass that all others are compared with. Returns its number of allocations. */
static size_t
run_reference (world_t *world) {
  size_t allocations = 0;
  autobee_info_t info;
  begin_pass(world);
  for (size_t k = 0; k < STEPS; k++) {
    failing_alloc_arm(SIZE_MAX, FAILING_ALLOC_ONCE);
    int err = run_step(world, k);
    allocations += failing_alloc_count();
    failing_alloc_disarm();
    if (err < 0) fail_msg("%s: %s", steps[k].name, ab_err_name(err));
    if (k > 0) states[k] = world->ana.db == NULL ? states[k - 1] : member_state(&world->ana);
    if (k == 1) states[0] = states[1];
    if (k == GRANTED) write_as_ben(world);
    if (steps[k].run != receive) continue;
    member_ok(&world->ana, autobee_info(world->ana.db, &info));
    assert_true(info.undos > 0); /* the order did change */
  }
  assert_int_equal(states[STEPS - 1].nodes, 10);
  end_pass(world);
  return allocations;
}

/* ---- with one ---- */

/* Open or close what is not as it should be. */
static void
configure (world_t *world, bool has_store, bool has_database) {
  member_t *ana = &world->ana;
  if (!has_database && ana->db != NULL) member_ok(ana, close_database(world));
  if (!has_store && ana->store != NULL) assert_int_equal(close_store(world), 0);
  if (has_store && ana->store == NULL && open_store(world) < 0) fail_msg("%s", ana->message);
  if (has_database && ana->db == NULL) member_ok(ana, open_database(world));
}

static void
copy_file (const world_t *world, const char *name) {
  static char bytes[1 << 16];
  char path[TMPDIR_MAX];
  size_t len;
  tmpdir_path(path, world->dir, name);
  FILE *from = fopen(path, "rb");
  if (from == NULL) return; /* not yet */
  tmpdir_path(path, world->copy, name);
  FILE *to = fopen(path, "wb");
  assert_non_null(to);
  while ((len = fread(bytes, 1, sizeof(bytes), from)) > 0) assert_int_equal(fwrite(bytes, 1, len, to), len);
  fclose(from);
  fclose(to);
}

/* What is on the disk now takes the place of the store. */
static void
crash (world_t *world) {
  assert_int_equal(mkdir(world->copy, 0700), 0);
  copy_file(world, "data.mdb");
  copy_file(world, "secret");
  configure(world, false, false);
  world->ana.dir = world->copy;
}

/* The entries and the order of before step k or of after it. Nodes that are in the own log already may still
 * have to be applied: then an update leads to the state after it. */
static void
check_state (world_t *world, size_t k, size_t n) {
  const member_state_t *before = &states[k == 0 ? 0 : k - 1], *after = &states[k];
  for (int round = 0; round < 2; round++) {
    member_state_t state = member_state(&world->ana);
    if (member_state_equal(&state, before) || member_state_equal(&state, after)) return;
    if (round == 0 && state.local == after->local && state.nodes == before->nodes) {
      state.local = before->local;
      if (member_state_equal(&state, before) && update(world) == 0) continue;
    }
    fail_msg(
      "%s, allocation %zu: %llu nodes, %llu own ones; before %llu and %llu, afterwards %llu and %llu",
      steps[k].name,
      n,
      (unsigned long long) state.nodes,
      (unsigned long long) state.local,
      (unsigned long long) before->nodes,
      (unsigned long long) before->local,
      (unsigned long long) after->nodes,
      (unsigned long long) after->local
    );
  }
  fail_msg("%s, allocation %zu: the own log is not applied", steps[k].name, n);
}

/* A step that failed may have been done for all that: only what came after its commit went wrong. */
static bool
is_done (world_t *world, size_t k) {
  if (steps[k].closes) return true;
  if (k == 0 || world->ana.db == NULL || states[k].local == states[k - 1].local) return false;
  return member_state(&world->ana).local == states[k].local;
}

/* Step k failed: what is there is whole, and the step can be made again. */
static void
go_on (world_t *world, size_t k, size_t n, go_on_t way) {
  if (way == GO_ON_CRASH) crash(world);
  if (way == GO_ON_REOPEN) configure(world, false, false);
  if (way != GO_ON_SAME) configure(world, true, true);
  if (world->ana.db != NULL) {
    member_ok(&world->ana, ab_store_commit(world->ana.store)); /* a commit that failed is made again */
    check_state(world, k, n);
  }
  bool done = is_done(world, k);
  const step_t *then = steps[k].closes ? &steps[k] : k > 0 ? &steps[k - 1] : NULL;
  configure(world, then != NULL && then->has_store, then != NULL && then->has_database);
  if (done) return;
  int err = run_step(world, k);
  if (err < 0) fail_msg("%s again, allocation %zu: %s", steps[k].name, n, ab_err_name(err));
}

/* False: the pass made fewer allocations than `n`. */
static bool
run_pass (world_t *world, size_t n, failing_alloc_mode_t mode, go_on_t way) {
  bool failed = false;
  begin_pass(world);
  failing_alloc_arm(n, mode);
  for (size_t k = 0; k < STEPS; k++) {
    int err = run_step(world, k);
    bool fails_now = !failed && failing_alloc_count() >= n;
    if (fails_now) failing_alloc_disarm();
    failed = failed || fails_now;
    if (err == 0) continue;
    if (!fails_now || (err != AB_ENOMEM && err != AB_EHALTED)) {
      fail_msg("%s, allocation %zu: %s", steps[k].name, n, ab_err_name(err));
    }
    go_on(world, k, n, way);
  }
  failing_alloc_disarm();
  member_state_t state = member_state(&world->ana);
  if (!member_state_equal(&state, &states[STEPS - 1])) fail_msg("allocation %zu: ended otherwise", n);
  end_pass(world);
  return failed;
}

/* ---- tests ---- */

static void
fail_each (const ab_key_t *encryption_key, failing_alloc_mode_t mode) {
  static world_t world;
  bool is_full = runs_full();
  memset(&world, 0, sizeof(world));
  world.encryption_key = encryption_key;
  member_init(&world.ben, NULL, 2);
  world.ben_writer = member_writer(&world.ben);
  size_t allocations = run_reference(&world);
  size_t stride = is_full || allocations < PASSES ? 1 : allocations / PASSES;
  size_t passes = 0;
  for (size_t n = 1;; n += stride) {
    bool failed = true;
    for (int way = 0; way < GO_ON_WAYS; way++) {
      if (!is_full && way != (int) (passes % GO_ON_WAYS)) continue;
      failed = run_pass(&world, n, mode, (go_on_t) way);
    }
    if (!failed) break;
    passes++;
  }
  member_close(&world.ben);
  assert_int_equal(FIND_LEAKS(), 0);
  printf("  %zu passes with a failure; one without makes %zu allocations\n", passes, allocations);
  assert_true(passes >= PASSES / 2);
}

static const ab_key_t secret = {{7, 7, 7}};

static void
a_database_survives_each_failed_allocation (void **state) {
  (void) state;
  fail_each(NULL, FAILING_ALLOC_ONCE);
}

static void
a_database_survives_all_allocations_failing (void **state) {
  (void) state;
  fail_each(NULL, FAILING_ALLOC_ONWARDS);
}

static void
an_encrypted_database_survives_each_failed_allocation (void **state) {
  (void) state;
  fail_each(&secret, FAILING_ALLOC_ONCE);
}

int
main (void) {
  static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_database_survives_each_failed_allocation),
    cmocka_unit_test(a_database_survives_all_allocations_failing),
    cmocka_unit_test(an_encrypted_database_survives_each_failed_allocation),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

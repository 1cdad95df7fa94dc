/* A disk that is full: appends say so, nothing is lost, and the same process goes on when there is space. */
#include "hypercore/faulty_disk.c" /* gives this program the writes that can be made to fail */

#include "peers.h"
#include "support/test.h"

static void
open_on_disk (world_t *world, peer_t *peer, char dir[TMPDIR_MAX]) {
  char path[TMPDIR_MAX];
  tmpdir_make(dir);
  tmpdir_path(path, dir, "store");
  world_init(world);
  peer_open(world, peer, 1, path, NULL, NULL);
}

static void
appends_say_that_the_disk_is_full_and_are_not_forgotten (void **state) {
  (void) state;
  world_t world;
  peer_t peer;
  char dir[TMPDIR_MAX];
  open_on_disk(&world, &peer, dir);
  peer_append(&peer, "{\"put\":{\"a\":\"1\"}}");
  ab_head_t before, after;
  autobee_local(peer.db, &before);

  faulty_disk_set(DISK_FULL, 0);
  assert_int_equal(peer_try(&peer, "{\"put\":{\"b\":\"1\"}}", 0), AB_ENOSPC);
  assert_int_equal(peer_try(&peer, "{\"put\":{\"c\":\"1\"}}", 0), AB_ENOSPC);
  assert_int_equal(autobee_update(peer.db), AB_ENOSPC);
  assert_value(&peer, "a", "1");
  assert_no_value(&peer, "b"); /* readers see what is on disk */
  autobee_local(peer.db, &after);
  assert_int_equal(before.length, after.length);

  faulty_disk_set(DISK_GOOD, 0);
  peer_append(&peer, "{\"put\":{\"d\":\"1\"}}");
  assert_value(&peer, "b", "1");
  assert_value(&peer, "c", "1");
  assert_value(&peer, "d", "1");
  autobee_local(peer.db, &after);
  assert_int_equal(before.length + 3, after.length);
  peer_reopen(&peer, NULL);
  assert_value(&peer, "d", "1");
  peer_close(&peer);
  tmpdir_remove(dir);
}

typedef struct {
  size_t calls;
  int status;
} told_t;

static void
note (autobee_append_t *req, int status) {
  told_t *told = req->data;
  told->calls++;
  told->status = status;
}

static void
a_failed_commit_is_tried_again_after_a_while (void **state) {
  (void) state;
  world_t world;
  peer_t peer;
  char dir[TMPDIR_MAX];
  open_on_disk(&world, &peer, dir);
  told_t told = {0};
  autobee_append_t req = {.data = &told};
  ab_slice_t value = ab_text("{\"put\":{\"k\":\"v\"}}");
  uint64_t deadline = UINT64_MAX;
  assert_int_equal(autobee_append_async(peer.db, &req, &value, 1, 0, note), 0);
  faulty_disk_set(DISK_FULL, 0);
  int err = 1;
  while (err > 0) err = ab_store_run(peer.store, 5, &deadline);
  assert_int_equal(err, AB_ENOSPC);
  assert_int_equal(told.calls, 1);
  assert_int_equal(told.status, AB_ENOSPC);

  /* not at once */
  size_t times = faulty_disk_count();
  assert_int_equal(ab_store_run(peer.store, 5, &deadline), 0);
  assert_int_equal(faulty_disk_count(), times);
  assert_in_range(deadline, world.now_ms + 1, world.now_ms + 60000);

  faulty_disk_set(DISK_GOOD, 0);
  world.now_ms = deadline;
  assert_int_equal(ab_store_run(peer.store, 5, &deadline), 0);
  assert_int_equal(told.calls, 1);
  assert_value(&peer, "k", "v");
  peer_close(&peer);
  tmpdir_remove(dir);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(appends_say_that_the_disk_is_full_and_are_not_forgotten),
    cmocka_unit_test(a_failed_commit_is_tried_again_after_a_while),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

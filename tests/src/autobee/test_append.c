/* What an append promises. */
#include "peers.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

static void
an_append_is_applied_and_on_disk_when_it_returns (void **state) {
  (void) state;
  world_t world;
  peer_t peer;
  char dir[TMPDIR_MAX];
  tmpdir_make(dir);
  world_init(&world);
  peer_open(&world, &peer, 1, dir, NULL, NULL);
  peer_append(&peer, "{\"put\":{\"k\":\"v\"}}");
  assert_value(&peer, "k", "v");
  assert_int_equal(peer.updates, 1);
  assert_int_equal(ab_store_staged(peer.store), 0);

  peer_reopen(&peer, NULL);
  assert_value(&peer, "k", "v");
  assert_int_equal(peer_append(&peer, "{\"put\":{\"k\":\"w\"}}"), 2);
  assert_value(&peer, "k", "w");
  peer_close(&peer);
  tmpdir_remove(dir);
}

static void
a_batch_is_one_flush (void **state) {
  (void) state;
  world_t world;
  peer_t peer;
  world_init(&world);
  peer_open(&world, &peer, 1, NULL, NULL, NULL);
  ab_slice_t values[] = {ab_text("{\"put\":{\"a\":\"1\"}}"), ab_text("{\"put\":{\"b\":\"2\"}}")};
  ab_head_t position;
  assert_int_equal(autobee_append(peer.db, values, 2, 0, &position), 0);
  assert_int_equal(position.length, 2);
  assert_int_equal(peer_flushes(&peer), 1);
  assert_value(&peer, "a", "1");
  assert_value(&peer, "b", "2");
  peer_close(&peer);
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
asynchronous_appends_share_a_commit_and_are_told_in_a_later_turn (void **state) {
  (void) state;
  world_t world;
  peer_t peer;
  told_t told[3] = {0};
  autobee_append_t reqs[3];
  world_init(&world);
  peer_open(&world, &peer, 1, NULL, NULL, NULL);
  for (int i = 0; i < 3; i++) {
    char text[64];
    snprintf(text, sizeof(text), "{\"put\":{\"k%d\":\"v\"}}", i);
    ab_slice_t value = ab_text(text);
    reqs[i].data = &told[i];
    assert_int_equal(autobee_append_async(peer.db, &reqs[i], &value, 1, 0, note), 0);
    assert_int_equal(told[i].calls, 0);
  }
  uint64_t deadline = 0;
  while (ab_store_run(peer.store, 5, &deadline) > 0) continue;
  for (int i = 0; i < 3; i++) {
    assert_int_equal(told[i].calls, 1);
    assert_int_equal(told[i].status, 0);
    assert_int_equal(reqs[i].position.length, i + 1);
  }
  assert_int_equal(peer.updates, 1);
  assert_value(&peer, "k2", "v");
  peer_close(&peer);
}

static void
appends_that_were_not_applied_end_at_close (void **state) {
  (void) state;
  world_t world;
  peer_t peer;
  told_t told = {0};
  autobee_append_t req = {.data = &told};
  world_init(&world);
  peer_open(&world, &peer, 1, NULL, NULL, NULL);
  ab_slice_t value = ab_text("{}");
  assert_int_equal(autobee_append_async(peer.db, &req, &value, 1, 0, note), 0);
  peer_close(&peer);
  assert_int_equal(told.calls, 1);
  assert_int_equal(told.status, AB_ECLOSED);
}

static void
a_store_that_closes_ends_appends_and_the_database_answers_closed (void **state) {
  (void) state;
  world_t world;
  peer_t peer;
  told_t told = {0};
  autobee_append_t req = {.data = &told};
  autobee_view_t *view;
  autobee_entry_t entry;
  world_init(&world);
  peer_open(&world, &peer, 1, NULL, NULL, NULL);
  peer_append(&peer, "{\"put\":{\"k\":\"v\"}}");
  assert_int_equal(autobee_view(peer.db, NULL, &view), 0);
  ab_slice_t value = ab_text("{}");
  assert_int_equal(autobee_append_async(peer.db, &req, &value, 1, 0, note), 0);
  assert_int_equal(ab_store_close(peer.store), 0);
  assert_int_equal(told.status, AB_ECLOSED);
  assert_int_equal(autobee_update(peer.db), AB_ECLOSED);
  assert_int_equal(autobee_get(view, ab_text("k"), &entry), AB_ECLOSED);
  autobee_view_close(view);
  assert_int_equal(autobee_close(peer.db), 0);
}

static void
who_is_no_writer_may_not_append (void **state) {
  (void) state;
  world_t world;
  peer_t peers[2];
  ab_key_t key;
  world_init(&world);
  peer_open(&world, &peers[0], 1, NULL, NULL, NULL);
  autobee_key(peers[0].db, &key);
  peer_open(&world, &peers[1], 2, NULL, &key, NULL);
  assert_false(autobee_is_writable(peers[1].db));
  assert_int_equal(peer_try(&peers[1], "{}", 0), AB_ENOTWRITABLE);

  peer_grant(&peers[0], &peers[1]);
  peer_send(&peers[0], &peers[1]);
  assert_true(autobee_is_writable(peers[1].db));
  assert_int_equal(peers[1].writable, 1);
  assert_int_equal(peer_try(&peers[1], "{}", 0), 0);
  for (int i = 0; i < 2; i++) peer_close(&peers[i]);
}

static void
what_no_peer_could_take_is_refused (void **state) {
  (void) state;
  world_t world;
  peer_t peers[2];
  ab_key_t key;
  world_init(&world);
  peer_open(&world, &peers[0], 1, NULL, NULL, NULL);
  ab_slice_t *values = calloc(AUTOBEE_BATCH_MAX + 1, sizeof(*values));
  for (size_t i = 0; i <= AUTOBEE_BATCH_MAX; i++) values[i] = ab_text("{}");
  assert_int_equal(autobee_append(peers[0].db, values, AUTOBEE_BATCH_MAX + 1, 0, NULL), AB_ETOOBIG);
  assert_int_equal(autobee_append(peers[0].db, values, AUTOBEE_BATCH_MAX, 0, NULL), 0);

  size_t size = 15u << 20;
  char *large = malloc(size);
  memset(large, 'x', size);
  ab_slice_t value = ab_slice(large, size);
  assert_int_equal(autobee_append(peers[0].db, &value, 1, 0, NULL), AB_ETOOBIG);
  free(large);

  autobee_key(peers[0].db, &key);
  peer_open(&world, &peers[1], 2, NULL, &key, NULL);
  size_t count = AUTOBEE_OPTIMISTIC_BATCH_MAX + 1;
  assert_int_equal(autobee_append(peers[1].db, values, count, AUTOBEE_OPTIMISTIC, NULL), AB_ETOOBIG);
  free(values);
  for (int i = 0; i < 2; i++) peer_close(&peers[i]);
}

static void
an_append_of_nothing_succeeds_and_writes_nothing (void **state) {
  (void) state;
  world_t world;
  peer_t peer;
  world_init(&world);
  peer_open(&world, &peer, 1, NULL, NULL, NULL);
  assert_int_equal(autobee_append(peer.db, NULL, 0, 0, NULL), 0);
  assert_int_equal(peer_flushes(&peer), 0);
  peer_close(&peer);
}

static void
many_appends_survive_a_reopening_with_the_secret_only (void **state) {
  (void) state;
  world_t world;
  peer_t peer;
  char dir[TMPDIR_MAX];
  ab_key_t secret = {{1, 2, 3}}, wrong = {{4}};
  tmpdir_make(dir);
  world_init(&world);
  autobee_options_t options = peer_options(&peer);
  options.encryption_key = &secret;
  peer_open(&world, &peer, 1, dir, NULL, &options);
  for (int i = 0; i < 20; i++) {
    char text[64];
    snprintf(text, sizeof(text), "{\"put\":{\"k%d\":\"v\"}}", i);
    peer_append(&peer, text);
  }
  options = peer_options(&peer);
  options.encryption_key = &secret;
  peer_reopen(&peer, &options);
  assert_value(&peer, "k19", "v");

  ab_key_t key;
  autobee_t *db;
  autobee_key(peer.db, &key);
  assert_int_equal(autobee_close(peer.db), 0);
  options.encryption_key = NULL;
  assert_int_equal(autobee_open(peer.store, &key, &options, &db), AB_EKEY);
  options.encryption_key = &wrong;
  assert_int_equal(autobee_open(peer.store, &key, &options, &db), AB_EKEY);
  options.encryption_key = &secret;
  options.store_encryption_key = true;
  assert_int_equal(autobee_open(peer.store, NULL, &options, &peer.db), 0);
  assert_value(&peer, "k0", "v");
  assert_int_equal(autobee_close(peer.db), 0);
  options.encryption_key = NULL;
  assert_int_equal(autobee_open(peer.store, NULL, &options, &peer.db), 0);
  assert_value(&peer, "k1", "v");
  peer_close(&peer);
  tmpdir_remove(dir);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_append_is_applied_and_on_disk_when_it_returns),
    cmocka_unit_test(a_batch_is_one_flush),
    cmocka_unit_test(asynchronous_appends_share_a_commit_and_are_told_in_a_later_turn),
    cmocka_unit_test(appends_that_were_not_applied_end_at_close),
    cmocka_unit_test(a_store_that_closes_ends_appends_and_the_database_answers_closed),
    cmocka_unit_test(who_is_no_writer_may_not_append),
    cmocka_unit_test(what_no_peer_could_take_is_refused),
    cmocka_unit_test(an_append_of_nothing_succeeds_and_writes_nothing),
    cmocka_unit_test(many_appends_survive_a_reopening_with_the_secret_only),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

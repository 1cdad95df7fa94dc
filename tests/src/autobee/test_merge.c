/* Several writers, one view. */
#include "peers.h"
#include "support/rng.h"
#include "support/test.h"

#include <stdio.h>

#include "autobee/engine.h"

static void
two_writers_converge_whatever_arrives_first (void **state) {
  (void) state;
  world_t world;
  peer_t peers[3];
  peers_open(&world, peers, 3);
  peer_append(&peers[0], "{\"put\":{\"k\":\"zero\",\"a\":\"1\"}}");
  peer_append(&peers[1], "{\"put\":{\"k\":\"one\",\"b\":\"1\"}}");
  peer_send(&peers[1], &peers[2]);
  peer_send(&peers[0], &peers[2]);
  assert_true(peers[2].was_rewritten);
  peers_mesh(peers, 3);
  for (int i = 0; i < 3; i++) assert_value(&peers[i], "k", "one");
  for (int i = 1; i < 3; i++) assert_same_view(&peers[0], &peers[i]);
  peers_close(peers, 3);
}

static void
what_links_a_missing_node_waits_for_it (void **state) {
  (void) state;
  world_t world;
  peer_t peers[3];
  peers_open(&world, peers, 3);
  peer_append(&peers[0], "{\"put\":{\"k\":\"first\"}}");
  peer_send(&peers[0], &peers[1]);
  peer_append(&peers[1], "{\"put\":{\"k\":\"second\"}}");
  peer_send(&peers[1], &peers[2]);
  assert_no_value(&peers[2], "k");
  peer_send(&peers[0], &peers[2]);
  assert_value(&peers[2], "k", "second");
  peers_close(peers, 3);
}

static void
a_removed_writer_is_ordered_but_not_seen (void **state) {
  (void) state;
  world_t world;
  peer_t peers[2];
  peers_open(&world, peers, 2);
  peer_append(&peers[1], "{\"put\":{\"k\":\"kept\"}}");
  peers_mesh(peers, 2);
  peer_remove(&peers[0], &peers[1]);
  uint64_t flushes = peer_flushes(&peers[0]);

  peer_append(&peers[1], "{\"put\":{\"k\":\"too late\"}}");
  peers_mesh(peers, 2);
  assert_int_equal(peer_flushes(&peers[0]), flushes + 1);
  assert_value(&peers[0], "k", "kept");
  assert_same_view(&peers[0], &peers[1]);
  assert_int_equal(peers[1].unwritable, 1);
  assert_int_equal(peer_try(&peers[1], "{}", 0), AB_ENOTWRITABLE);
  peers_close(peers, 2);
}

static void
random_writers_converge (void **state) {
  (void) state;
  enum { COUNT = 5, ROUNDS = 120 };
  world_t world;
  peer_t peers[COUNT];
  xorshift32_t random = xorshift32(20261126);
  peers_open(&world, peers, COUNT);
  for (int round = 0; round < ROUNDS; round++) {
    uint32_t r = xorshift32_next(&random);
    size_t a = r % COUNT, b = (r >> 8) % COUNT;
    if ((r >> 16) % 3 > 0 && a != b) {
      peer_send(&peers[a], &peers[b]);
    } else {
      char text[96];
      snprintf(text, sizeof(text), "{\"put\":{\"k%d\":\"%d of %d\"}}", (int) (r >> 20) % 7, round, (int) a);
      peer_append(&peers[a], text);
    }
  }
  peers_mesh(peers, COUNT);
  for (int i = 1; i < COUNT; i++) assert_same_view(&peers[0], &peers[i]);
  for (int i = 1; i < COUNT; i++) assert_int_equal(peer_flushes(&peers[0]), peer_flushes(&peers[i]));
  peers_close(peers, COUNT);
}

static void
a_reorder_survives_reopening (void **state) {
  (void) state;
  world_t world;
  peer_t peers[2];
  ab_key_t key;
  char dir[TMPDIR_MAX];
  tmpdir_make(dir);
  world_init(&world);
  peer_open(&world, &peers[0], 1, dir, NULL, NULL);
  autobee_key(peers[0].db, &key);
  peer_open(&world, &peers[1], 2, NULL, &key, NULL);
  peer_grant(&peers[0], &peers[1]);
  peer_send(&peers[0], &peers[1]);
  peer_append(&peers[1], "{\"put\":{\"k\":\"older\"}}");
  for (int i = 0; i < 40; i++) peer_append(&peers[0], "{\"put\":{\"k\":\"newer\"}}");
  peer_reopen(&peers[0], NULL);
  peers_mesh(peers, 2);
  assert_value(&peers[0], "k", "newer");
  assert_true(peers[0].was_rewritten);
  assert_same_view(&peers[0], &peers[1]);
  peer_reopen(&peers[0], NULL);
  assert_int_equal(autobee_update(peers[0].db), 0);
  assert_same_view(&peers[0], &peers[1]);
  peers_close(peers, 2);
  tmpdir_remove(dir);
}

static void
a_late_writers_nodes_displace_the_others_once (void **state) {
  (void) state;
  enum { COUNT = 30 };
  world_t world;
  peer_t peers[3];
  peers_open(&world, peers, 3);
  for (int i = 0; i < COUNT; i++) peer_append(&peers[1], "{\"put\":{\"k\":\"older\"}}");
  for (int i = 0; i < COUNT; i++) peer_append(&peers[0], "{\"put\":{\"k\":\"newer\"}}");
  peer_send(&peers[0], &peers[2]);
  autobee_info_t before, after;
  autobee_info(peers[2].db, &before);
  peer_send(&peers[1], &peers[2]);
  autobee_info(peers[2].db, &after);
  assert_int_equal(after.flushes, before.flushes + COUNT);
  assert_in_range(after.applies - before.applies, 2 * COUNT, 2 * COUNT + 5);
  peers_mesh(peers, 3);
  for (int i = 1; i < 3; i++) assert_same_view(&peers[0], &peers[i]);
  peers_close(peers, 3);
}

/* Also when a grant of somebody else is undone with them. */
static void
several_late_writers_displace_the_others_once (void **state) {
  (void) state;
  enum { COUNT = 30 };
  world_t world;
  peer_t peers[4], stranger;
  peers_open(&world, peers, 4);
  ab_key_t key;
  autobee_key(peers[0].db, &key);
  peer_open(&world, &stranger, 9, NULL, &key, NULL);
  for (int i = 0; i < COUNT; i++) {
    peer_append(&peers[1], "{\"put\":{\"k\":\"older\"}}");
    peer_append(&peers[2], "{\"put\":{\"l\":\"older\"}}");
  }
  for (int i = 0; i < COUNT; i++) {
    peer_append(&peers[0], "{\"put\":{\"k\":\"newer\"}}");
    if (i == COUNT / 2) peer_grant(&peers[0], &stranger);
  }
  peer_send(&peers[0], &peers[3]);
  autobee_info_t before, after;
  autobee_info(peers[3].db, &before);
  peer_hand_over(&peers[1], &peers[3]);
  peer_send(&peers[2], &peers[3]);
  autobee_info(peers[3].db, &after);
  assert_int_equal(after.flushes, before.flushes + 2 * COUNT);
  assert_in_range(after.applies - before.applies, 3 * COUNT + 1, 3 * COUNT + 8);
  peers_mesh(peers, 4);
  for (int i = 1; i < 4; i++) assert_same_view(&peers[0], &peers[i]);
  peer_close(&stranger);
  peers_close(peers, 4);
}

/* The removal is heavier than the author's first value, which the late one displaces, but comes after its
 * second: which is to be processed first, as the reference does. */
static void
a_removal_is_not_merged_before_what_precedes_it (void **state) {
  (void) state;
  world_t world;
  peer_t peers[3], author, observers[2]; /* the founder, who removes, who is late */
  ab_key_t key;
  peers_open(&world, peers, 3);
  autobee_key(peers[0].db, &key);
  peer_open(&world, &author, 8, NULL, &key, NULL);
  peer_grant_weight(&peers[0], &author, 1);
  peer_send(&peers[0], &author);
  peer_append(&author, "{\"put\":{\"k\":\"first\"}}");
  peer_append(&peers[2], "{\"put\":{\"l\":\"late\"}}");
  peer_grant_weight(&peers[0], &author, 2);
  for (int i = 0; i < 2; i++) {
    autobee_options_t options = peer_options(&observers[i]);
    options.conformance = i == 1;
    peer_open(&world, &observers[i], (uint8_t) (9 + i), NULL, &key, &options);
    peer_send(&peers[0], &observers[i]);
    peer_send(&author, &observers[i]);
  }
  peer_send(&peers[0], &author);
  peer_append(&author, "{\"put\":{\"k\":\"second\"}}");
  peer_remove(&peers[1], &author);
  for (int i = 0; i < 2; i++) {
    peer_hand_over(&peers[2], &observers[i]);
    peer_hand_over(&peers[1], &observers[i]);
    peer_send(&author, &observers[i]);
    assert_value(&observers[i], "k", "second");
    peer_close(&observers[i]);
  }
  peer_close(&author);
  peers_close(peers, 3);
}

/* The removal closes its writer before that is looked at, which is all that somebody else waits for. */
static void
an_update_leaves_nothing_to_do (void **state) {
  (void) state;
  world_t world;
  peer_t peers[4]; /* the founder, a removed one, who links it, and who gets all of that at once */
  ab_head_t local;
  peers_open(&world, peers, 4);
  autobee_local(peers[1].db, &local);
  assert_int_equal(autobee_hint(peers[3].db, &local.key, local.length + 1), 0);
  assert_int_equal(autobee_update(peers[3].db), 0);
  peer_remove(&peers[0], &peers[1]);
  peer_append(&peers[1], "{\"put\":{\"k\":\"removed\"}}");
  peer_send(&peers[1], &peers[2]);
  peer_append(&peers[2], "{\"put\":{\"k\":\"on top\"}}");
  for (int i = 0; i < 3; i++) peer_hand_over(&peers[i], &peers[3]);
  assert_int_equal(autobee_update(peers[3].db), 0);
  assert_value(&peers[3], "k", "on top");
  peers_close(peers, 4);
}

static int
accept_strangers (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  if (count > 0 && nodes[0].optimistic) return autobee_apply_ack_writer(apply, &nodes[0].writer);
  return autobee_apply_kv(apply, nodes, count, data);
}

/* Nobody announces the log in which the grant is. */
static void
the_log_of_a_refused_stranger_leads_to_its_grant (void **state) {
  (void) state;
  world_t world;
  peer_t founder, granter, stranger, other;
  ab_key_t key;
  world_init(&world);
  peer_open(&world, &founder, 1, NULL, NULL, NULL);
  autobee_key(founder.db, &key);
  peer_open(&world, &granter, 4, NULL, &key, NULL);
  peer_grant_weight(&founder, &granter, 1);
  autobee_options_t options = peer_options(&stranger);
  options.apply = accept_strangers;
  peer_open(&world, &stranger, 2, NULL, &key, &options);
  peer_open(&world, &other, 3, NULL, &key, NULL);
  peer_send(&founder, &stranger);
  peer_send(&founder, &other);

  assert_int_equal(peer_try(&stranger, "{\"put\":{\"b\":\"2\"}}", AUTOBEE_OPTIMISTIC), 0);
  peer_send(&founder, &granter);
  peer_grant(&granter, &stranger);
  peer_send(&granter, &stranger);
  peer_append(&stranger, "{\"put\":{\"c\":\"3\"}}");
  peer_hand_over(&granter, &other);
  peer_send(&stranger, &other);
  assert_value(&other, "b", "2");
  assert_value(&other, "c", "3");
  peer_close(&founder);
  peer_close(&granter);
  peer_close(&stranger);
  peer_close(&other);
}

static void
a_writer_may_rotate_to_another_core (void **state) {
  (void) state;
  world_t world;
  peer_t peers[2];
  char dir[TMPDIR_MAX];
  tmpdir_make(dir);
  world_init(&world);
  peer_open(&world, &peers[0], 1, dir, NULL, NULL);
  peer_rotate(&peers[0], "second");
  ab_key_t second = peer_writer(&peers[0]), key;
  assert_int_equal(peer_append(&peers[0], "{\"put\":{\"k\":\"second\"}}"), 1);

  /* without the key, too: the rotation is remembered */
  autobee_key(peers[0].db, &key);
  assert_int_equal(autobee_close(peers[0].db), 0);
  autobee_options_t usual = peer_options(&peers[0]);
  peers[0].db = NULL;
  assert_int_equal(autobee_open(peers[0].store, NULL, &usual, &peers[0].db), 0);
  ab_head_t local;
  autobee_local(peers[0].db, &local);
  assert_memory_equal(local.key.bytes, second.bytes, 32);
  assert_int_equal(peer_append(&peers[0], "{\"put\":{\"k\":\"again\"}}"), 2);
  ab_key_t again;
  autobee_key(peers[0].db, &again);
  assert_memory_equal(again.bytes, key.bytes, 32);
  peer_close(&peers[0]);
  tmpdir_remove(dir);
}

static void
a_node_from_the_future_waits_for_its_time (void **state) {
  (void) state;
  world_t worlds[2];
  peer_t peers[2];
  ab_key_t key;
  world_init(&worlds[0]);
  world_init(&worlds[1]);
  peer_open(&worlds[0], &peers[0], 1, NULL, NULL, NULL);
  autobee_key(peers[0].db, &key);
  peer_open(&worlds[1], &peers[1], 2, NULL, &key, NULL);
  worlds[0].now_ms += AUTOBEE_DRIFT_MS + 60000;
  peer_append(&peers[0], "{\"put\":{\"k\":\"v\"}}");
  peer_send(&peers[0], &peers[1]);
  assert_no_value(&peers[1], "k");

  uint64_t deadline = UINT64_MAX;
  while (ab_store_run(peers[1].store, 5, &deadline) > 0) continue;
  assert_true(deadline > worlds[1].now_ms && deadline <= worlds[1].now_ms + 60010);
  worlds[1].now_ms = deadline;
  while (ab_store_run(peers[1].store, 5, &deadline) > 0) continue;
  assert_value(&peers[1], "k", "v");
  peers_close(peers, 2);
}

static void
many_heads_are_joined_by_a_null_node_once (void **state) {
  (void) state;
  enum { COUNT = ENGINE_HEADS_HIGH + 1 };
  world_t world;
  peer_t peers[COUNT];
  peers_open(&world, peers, COUNT);
  for (int i = 1; i < COUNT; i++) peer_append(&peers[i], "{\"put\":{\"k\":\"v\"}}");
  for (int i = 1; i < COUNT; i++) peer_send(&peers[i], &peers[0]);
  autobee_info_t info;
  ab_head_t before, after;
  autobee_info(peers[0].db, &info);
  assert_int_equal(info.heads, COUNT - 1);
  autobee_local(peers[0].db, &before);

  uint64_t deadline = UINT64_MAX;
  while (ab_store_run(peers[0].store, 5, &deadline) > 0) continue;
  autobee_local(peers[0].db, &after);
  assert_int_equal(before.length, after.length); /* not at once: somebody else may be faster */
  assert_true(deadline < world.now_ms + 60000);
  world.now_ms = deadline;
  while (ab_store_run(peers[0].store, 5, &deadline) > 0) continue;
  autobee_local(peers[0].db, &after);
  assert_int_equal(before.length + 1, after.length);
  autobee_info(peers[0].db, &info);
  assert_int_equal(info.heads, 1);
  peers_close(peers, COUNT);
}

static void
a_drain_in_slices_publishes_whole_iterations_only (void **state) {
  (void) state;
  world_t world;
  peer_t peers[2];
  peers_open(&world, peers, 2);
  for (int i = 0; i < 50; i++) peer_append(&peers[0], "{\"put\":{\"k\":\"v\"}}");
  ab_head_t local;
  autobee_local(peers[0].db, &local);
  peer_hand_over(&peers[0], &peers[1]);
  assert_int_equal(autobee_hint(peers[1].db, &local.key, local.length), 0);

  uint64_t before = peer_flushes(&peers[1]), deadline;
  int more, turns = 0;
  world.tick_ms = 1; /* so that a budget of 1 ms is used up by one batch */
  do {
    more = ab_store_run(peers[1].store, 1, &deadline);
    turns++;
    if (more > 0) assert_int_equal(peer_flushes(&peers[1]), before);
  } while (more > 0);
  assert_in_range(turns, 20, 200);
  assert_int_equal(peer_flushes(&peers[1]), before + 50);
  peers_close(peers, 2);
}

static void
strangers_announced_by_anybody_are_bounded (void **state) {
  (void) state;
  world_t world;
  peer_t peer;
  world_init(&world);
  peer_open(&world, &peer, 1, NULL, NULL, NULL);
  peer_append(&peer, "{}");
  for (uint32_t i = 0; i < 3 * ENGINE_UNKNOWN_MAX; i++) {
    ab_key_t key = {{9}};
    memcpy(key.bytes + 4, &i, sizeof(i));
    assert_int_equal(autobee_hint(peer.db, &key, 5), 0);
    if (i % 50 == 0) assert_int_equal(autobee_update(peer.db), 0);
  }
  assert_int_equal(autobee_update(peer.db), 0);
  assert_true(peer.db->attached.count <= ENGINE_UNKNOWN_MAX + 1);
  peer_append(&peer, "{\"put\":{\"k\":\"v\"}}");
  peer_close(&peer);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(two_writers_converge_whatever_arrives_first),
    cmocka_unit_test(what_links_a_missing_node_waits_for_it),
    cmocka_unit_test(a_removed_writer_is_ordered_but_not_seen),
    cmocka_unit_test(random_writers_converge),
    cmocka_unit_test(a_reorder_survives_reopening),
    cmocka_unit_test(a_late_writers_nodes_displace_the_others_once),
    cmocka_unit_test(several_late_writers_displace_the_others_once),
    cmocka_unit_test(a_removal_is_not_merged_before_what_precedes_it),
    cmocka_unit_test(an_update_leaves_nothing_to_do),
    cmocka_unit_test(the_log_of_a_refused_stranger_leads_to_its_grant),
    cmocka_unit_test(a_writer_may_rotate_to_another_core),
    cmocka_unit_test(a_node_from_the_future_waits_for_its_time),
    cmocka_unit_test(many_heads_are_joined_by_a_null_node_once),
    cmocka_unit_test(a_drain_in_slices_publishes_whole_iterations_only),
    cmocka_unit_test(strangers_announced_by_anybody_are_bounded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

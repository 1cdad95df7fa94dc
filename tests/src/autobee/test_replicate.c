/* Databases over connections: every byte goes through two streams. */
#include "peers.h"
#include "support/test.h"

#include <stdio.h>

#include "autobee/engine.h"
#include "hypercore/net/wire.h"

/* Two peers on one database, the second granted, connected. */
static void
open_pair (world_t *world, peer_t peers[2], wire_t *wire) {
  ab_key_t key;
  world_init(world);
  peer_open(world, &peers[0], 1, NULL, NULL, NULL);
  autobee_key(peers[0].db, &key);
  peer_open(world, &peers[1], 2, NULL, &key, NULL);
  peer_grant(&peers[0], &peers[1]);
  for (int i = 0; i < 2; i++) assert_int_equal(autobee_replicate(peers[i].db), 0);
  wire_open(wire, peers[0].store, NULL, peers[1].store, NULL);
}

static void
close_pair (peer_t peers[2], wire_t *wire) {
  wire_close(wire);
  for (int i = 0; i < 2; i++) peer_close(&peers[i]);
}

/* A peer that knows no writers does not answer a look-up, so silence for a while is an answer. */
static void
assert_in_sync (world_t *world, peer_t *peers, wire_t *wire) {
  world->now_ms += 2000;
  wire_run(wire);
  for (int i = 0; i < 2; i++) {
    assert_true(autobee_is_idle(peers[i].db));
    assert_true(ab_stream_in_sync(wire->ends[i]));
  }
}

static void
a_joiner_gets_everything_from_its_first_connection (void **state) {
  (void) state;
  world_t world;
  peer_t peers[2];
  wire_t wire = {0};
  open_pair(&world, peers, &wire);
  peer_append(&peers[0], "{\"put\":{\"k\":\"v\"}}");
  wire_run(&wire);
  assert_true(autobee_is_writable(peers[1].db));
  assert_value(&peers[1], "k", "v");
  assert_same_view(&peers[0], &peers[1]);
  assert_in_sync(&world, peers, &wire);
  close_pair(peers, &wire);
}

static void
appends_travel_both_ways_while_connected (void **state) {
  (void) state;
  world_t world;
  peer_t peers[2];
  wire_t wire = {0};
  open_pair(&world, peers, &wire);
  wire_run(&wire);
  for (int i = 0; i < 20; i++) {
    peer_append(&peers[i % 2], i % 2 == 0 ? "{\"put\":{\"k\":\"even\"}}" : "{\"put\":{\"k\":\"odd\"}}");
    wire_run(&wire);
    assert_same_view(&peers[0], &peers[1]);
  }
  assert_value(&peers[0], "k", "odd");
  close_pair(peers, &wire);
}

static void
what_was_written_apart_meets_at_the_next_connection (void **state) {
  (void) state;
  world_t world;
  peer_t peers[2];
  wire_t wire = {0};
  open_pair(&world, peers, &wire);
  wire_run(&wire);
  wire_close(&wire);

  for (int i = 0; i < 10; i++) {
    peer_append(&peers[0], "{\"put\":{\"k\":\"zero\"}}");
    peer_append(&peers[1], "{\"put\":{\"k\":\"one\",\"j\":\"one\"}}");
  }
  wire = (wire_t){0};
  wire_open(&wire, peers[1].store, NULL, peers[0].store, NULL);
  wire_run(&wire);
  assert_same_view(&peers[0], &peers[1]);
  assert_value(&peers[0], "j", "one");
  assert_in_sync(&world, peers, &wire);
  close_pair(peers, &wire);
}

/* A third peer learns of the second writer from the first. */
static void
a_writer_is_found_through_somebody_else (void **state) {
  (void) state;
  world_t world;
  peer_t peers[2], third;
  wire_t wire = {0}, other = {0};
  ab_key_t key;
  open_pair(&world, peers, &wire);
  wire_run(&wire);
  peer_append(&peers[1], "{\"put\":{\"k\":\"from the second\"}}");
  wire_run(&wire);

  autobee_key(peers[0].db, &key);
  peer_open(&world, &third, 3, NULL, &key, NULL);
  assert_int_equal(autobee_replicate(third.db), 0);
  wire_open(&other, peers[0].store, NULL, third.store, NULL);
  wire_run(&other);
  assert_value(&third, "k", "from the second");
  assert_same_view(&peers[0], &third);
  wire_close(&other);
  peer_close(&third);
  close_pair(peers, &wire);
}

static void
weak_writers_are_heard_again_after_they_were_left (void **state) {
  (void) state;
  world_t world;
  peer_t peers[2];
  wire_t wire = {0};
  ab_key_t key;
  world_init(&world);
  peer_open(&world, &peers[0], 1, NULL, NULL, NULL);
  autobee_key(peers[0].db, &key);
  peer_open(&world, &peers[1], 2, NULL, &key, NULL);
  peer_grant_weight(&peers[0], &peers[1], 1);
  for (int i = 0; i < 2; i++) assert_int_equal(autobee_replicate(peers[i].db), 0);
  wire_open(&wire, peers[0].store, NULL, peers[1].store, NULL);
  wire_run(&wire);
  for (int i = 0; i < 5; i++) {
    peer_append(&peers[1], i % 2 == 0 ? "{\"put\":{\"k\":\"a\"}}" : "{\"put\":{\"k\":\"b\"}}");
    wire_run(&wire);
    assert_value(&peers[0], "k", i % 2 == 0 ? "a" : "b");
  }
  close_pair(peers, &wire);
}

/* More than are followed or are listened to. */
static void
grant_silent_indexers (peer_t *peer) {
  static char grants[600][128];
  ab_slice_t values[600];
  for (size_t i = 0; i < 600; i++) {
    ab_key_t key = {{(uint8_t) i, (uint8_t) (i >> 8), 1}};
    char text[AB_KEY_TEXT_LEN + 1];
    ab_key_to_text(&key, text);
    snprintf(grants[i], sizeof(grants[i]), "{\"addWriter\":\"%s\"}", text);
    values[i] = ab_text(grants[i]);
  }
  assert_int_equal(autobee_append(peer->db, values, 600, 0, NULL), 0);
}

static void
an_indexer_is_heard_among_many_silent_ones (void **state) {
  (void) state;
  world_t world;
  peer_t peers[2];
  wire_t wire = {0};
  open_pair(&world, peers, &wire);
  wire_run(&wire);
  grant_silent_indexers(&peers[0]);
  wire_run(&wire);
  for (int i = 0; i < 3; i++) {
    for (int k = 0; k < 2; k++) assert_true(peers[k].db->attached.count <= ENGINE_INDEXERS_MAX);
    peer_append(&peers[1], i % 2 == 0 ? "{\"put\":{\"k\":\"a\"}}" : "{\"put\":{\"k\":\"b\"}}");
    wire_run(&wire);
    assert_value(&peers[0], "k", i % 2 == 0 ? "a" : "b");
    assert_same_view(&peers[0], &peers[1]);
  }
  close_pair(peers, &wire);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_joiner_gets_everything_from_its_first_connection),
    cmocka_unit_test(appends_travel_both_ways_while_connected),
    cmocka_unit_test(what_was_written_apart_meets_at_the_next_connection),
    cmocka_unit_test(a_writer_is_found_through_somebody_else),
    cmocka_unit_test(weak_writers_are_heard_again_after_they_were_left),
    cmocka_unit_test(an_indexer_is_heard_among_many_silent_ones),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

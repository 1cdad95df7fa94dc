/* Blocks that are not here when the engine needs them. */
#include "peers.h"
#include "support/test.h"

#include <stdio.h>

#include "autobee/engine.h"
#include "autobee/forward.h"

static void
clear_core (peer_t *peer, const ab_key_t *key) {
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core;
  options.key = key;
  assert_int_equal(hypercore_open(peer->store, &options, &core), 0);
  assert_int_equal(hypercore_clear(core, 0, hypercore_length(core)), 0);
  assert_int_equal(ab_store_commit(peer->store), 0);
  hypercore_close(core);
}

static void
a_reorder_over_missing_blocks_waits_and_the_rest_goes_on (void **state) {
  (void) state;
  world_t world;
  peer_t a, b, c;
  ab_key_t key;
  ab_head_t of_a, of_b;
  world_init(&world);
  peer_open(&world, &a, 1, NULL, NULL, NULL);
  autobee_key(a.db, &key);
  peer_open(&world, &b, 2, NULL, &key, NULL);
  peer_open(&world, &c, 3, NULL, &key, NULL);
  peer_grant(&a, &b);
  peer_grant(&a, &c);
  peer_send(&a, &b);
  peer_append(&b, "{\"put\":{\"k\":\"older\"}}");
  for (int i = 0; i < 10; i++) peer_append(&a, "{\"put\":{\"k\":\"newer\"}}");
  peer_send(&a, &c);
  assert_value(&c, "k", "newer");
  uint64_t flushes = peer_flushes(&c);

  /* what c knows of a's log is gone; b's node belongs in front of much of it */
  autobee_local(a.db, &of_a);
  autobee_local(b.db, &of_b);
  clear_core(&c, &of_a.key);
  autobee__window_cut(&c.db->window, 0);
  peer_send(&b, &c);
  assert_int_equal(peer_flushes(&c), flushes);
  peer_append(&c, "{\"put\":{\"c\":\"goes on\"}}");
  assert_value(&c, "c", "goes on");
  assert_int_equal(c.halted, 0);

  peer_copy(&a, &c, &of_a.key, of_a.length, 0, of_a.length);
  assert_int_equal(autobee_update(c.db), 0);
  assert_int_equal(peer_flushes(&c), flushes + 2);
  peer_send(&c, &a);
  peer_send(&b, &a);
  assert_same_view(&a, &c);
  peer_close(&a);
  peer_close(&b);
  peer_close(&c);
}

static void
apply_over_a_foreign_view_runs_again_when_its_blocks_are_here (void **state) {
  (void) state;
  world_t world;
  peer_t a, b;
  ab_key_t key;
  world_init(&world);
  peer_open(&world, &a, 1, NULL, NULL, NULL);
  autobee_key(a.db, &key);
  peer_open(&world, &b, 2, NULL, &key, NULL);
  for (int i = 0; i < 60; i++) {
    char text[64];
    snprintf(text, sizeof(text), "{\"put\":{\"k%03d\":\"%d\"}}", i * 7 % 60, i);
    peer_append(&a, text);
  }
  peer_grant(&a, &b);

  /* b takes over a's state: all of the system, of the view only the last block */
  autobee_info_t info;
  autobee_info(a.db, &info);
  peer_copy(&a, &b, &info.system.key, info.system.length, 0, info.system.length);
  peer_copy(&a, &b, &info.view.key, info.view.length, info.view.length - 1, info.view.length);
  peer_copy(&a, &b, &info.local.key, info.local.length, info.local.length - 1, info.local.length);
  assert_int_equal(autobee__move_to(b.db, &info.local), 0);
  assert_int_equal(autobee_update(b.db), 0);
  assert_true(autobee_is_writable(b.db));
  assert_int_equal(peer_flushes(&b), 61);

  assert_int_equal(peer_try(&b, "{\"put\":{\"k030\":\"b\"}}", 0), AB_EREMOTE);
  assert_int_equal(b.halted, 0);
  assert_int_equal(peer_flushes(&b), 61);
  peer_copy(&a, &b, &info.view.key, info.view.length, 0, info.view.length);
  assert_int_equal(autobee_update(b.db), 0);
  assert_int_equal(peer_flushes(&b), 62);
  assert_value(&b, "k030", "b");
  peer_send(&b, &a);
  assert_same_view(&a, &b);
  peer_close(&a);
  peer_close(&b);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_reorder_over_missing_blocks_waits_and_the_rest_goes_on),
    cmocka_unit_test(apply_over_a_foreign_view_runs_again_when_its_blocks_are_here),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

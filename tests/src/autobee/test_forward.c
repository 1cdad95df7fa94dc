/* Fast-forward: a peer that is far behind adopts a state instead of applying what led to it. */
#include "peers.h"
#include "support/test.h"

#include <stdio.h>

#include "autobee/forward.h"
#include "hypercore/net/wire.h"

#define VALUES 200

/* Somebody who has written for a while, and somebody who comes late. */
typedef struct {
  world_t world;
  peer_t founder, joiner;
  ab_key_t key;
  wire_t wire;
} late_t;

static const char *
name_of (int i) {
  static char text[32];
  snprintf(text, sizeof(text), "key-%03d", i);
  return text;
}

static void
append_values (peer_t *peer, int from, int to) {
  char value[96];
  for (int i = from; i < to; i++) {
    snprintf(value, sizeof(value), "{\"put\":{\"%s\":\"value %d\"}}", name_of(i), i);
    peer_append(peer, value);
  }
}

static void
begin (late_t *late, int values) {
  *late = (late_t){0};
  world_init(&late->world);
  peer_open(&late->world, &late->founder, 1, NULL, NULL, NULL);
  autobee_key(late->founder.db, &late->key);
  append_values(&late->founder, 0, values);
  assert_int_equal(autobee_replicate(late->founder.db), 0);
}

static autobee_options_t
forwarding (peer_t *peer) {
  autobee_options_t options = peer_options(peer);
  options.fast_forward = true;
  return options;
}

/* `options` NULL: fast-forward as usual. */
static void
join_with (late_t *late, const autobee_options_t *options, const char *dir) {
  autobee_options_t usual = forwarding(&late->joiner);
  if (options == NULL) options = &usual;
  peer_open(&late->world, &late->joiner, 2, dir, &late->key, options);
  assert_int_equal(autobee_replicate(late->joiner.db), 0);
  wire_open(&late->wire, late->joiner.store, NULL, late->founder.store, NULL);
  wire_run(&late->wire);
}

static void
end (late_t *late) {
  wire_close(&late->wire);
  peer_close(&late->joiner);
  peer_close(&late->founder);
}

static autobee_info_t
info_of (peer_t *peer) {
  autobee_info_t info;
  assert_int_equal(autobee_info(peer->db, &info), 0);
  return info;
}

/* A read that may miss blocks, with the connection at hand. */
static void
assert_reads (late_t *late, peer_t *peer, const char *key, const char *value) {
  autobee_view_t *view;
  autobee_entry_t entry;
  assert_int_equal(autobee_view(peer->db, NULL, &view), 0);
  int err;
  for (int tries = 0; (err = autobee_get(view, ab_text(key), &entry)) == AB_EREMOTE && tries < 100; tries++)
    wire_run(&late->wire);
  assert_int_equal(err, 0);
  assert_true(ab_slice_equal(entry.value, ab_text(value)));
  autobee_view_close(view);
}

static void
assert_same_views (late_t *late) {
  uint8_t hashes[2][32];
  autobee_view_t *view;
  peer_view_hash(&late->founder, hashes[0]);
  assert_int_equal(autobee_view(late->joiner.db, NULL, &view), 0);
  int err;
  while ((err = autobee_view_hash(view, hashes[1])) == AB_EREMOTE)
    assert_true(wire_run(&late->wire) > 1); /* or nothing more comes */
  assert_int_equal(err, 0);
  autobee_view_close(view);
  assert_memory_equal(hashes[0], hashes[1], 32);
}

static void
a_late_peer_reads_after_fetching_a_small_part (void **state) {
  (void) state;
  late_t late;
  begin(&late, VALUES);
  autobee_options_t options = forwarding(&late.joiner);
  options.sparse = true;
  join_with(&late, &options, NULL);
  autobee_info_t info = info_of(&late.joiner);
  assert_int_equal(info.fast_forwards, 1);
  assert_int_equal(info.applies, 0);
  assert_int_equal(info.flushes, peer_flushes(&late.founder));
  assert_reads(&late, &late.joiner, "key-007", "value 7");
  ab_stream_stats_t stats;
  ab_stream_stats(late.wire.ends[0], &stats);
  assert_true(stats.blocks_in < 3 * VALUES / 2); /* of three cores with as many blocks each */
  assert_same_views(&late);
  end(&late);
}

static int
count_known (void *data, const autobee_log_entry_t *entry) {
  *(size_t *) data += entry->has_block;
  return 0;
}

static void
then_it_fetches_the_rest_and_the_order_but_no_older_views (void **state) {
  (void) state;
  late_t late;
  size_t known = 0;
  begin(&late, VALUES);
  join_with(&late, NULL, NULL);
  assert_true(autobee_is_idle(late.joiner.db));
  ab_stream_stats_t stats;
  ab_stream_stats(late.wire.ends[0], &stats);
  assert_true(stats.blocks_in < 7 * VALUES / 2);
  wire_close(&late.wire);
  assert_int_equal(autobee_log(late.joiner.db, count_known, &known), 0);
  assert_int_equal(known, VALUES);
  assert_same_view(&late.founder, &late.joiner);
  peer_close(&late.joiner);
  peer_close(&late.founder);
}

static void
a_gap_that_is_small_is_applied (void **state) {
  (void) state;
  late_t late;
  begin(&late, 31);
  join_with(&late, NULL, NULL);
  assert_int_equal(info_of(&late.joiner).fast_forwards, 0);
  assert_int_equal(info_of(&late.joiner).applies, 31);
  assert_same_views(&late);
  end(&late);
}

static void
who_does_not_want_it_applies_everything (void **state) {
  (void) state;
  late_t late;
  begin(&late, VALUES);
  autobee_options_t options = forwarding(&late.joiner);
  options.fast_forward = false;
  join_with(&late, &options, NULL);
  assert_int_equal(info_of(&late.joiner).fast_forwards, 0);
  assert_int_equal(info_of(&late.joiner).applies, VALUES);
  assert_same_views(&late);
  end(&late);
}

static bool
trust_nobody (autobee_t *db, const ab_key_t *writer, void *data) {
  (void) db;
  (void) writer;
  ++*(size_t *) data;
  return false;
}

static void
the_application_decides_whom_to_trust (void **state) {
  (void) state;
  late_t late;
  size_t asked = 0;
  begin(&late, VALUES);
  autobee_options_t options = forwarding(&late.joiner);
  options.trust = trust_nobody;
  options.trust_data = &asked;
  join_with(&late, &options, NULL);
  assert_true(asked > 0);
  assert_int_equal(info_of(&late.joiner).fast_forwards, 0);
  assert_same_views(&late);
  end(&late);
}

/* The state of somebody else's database, stamped by a stranger. */
static void
a_strangers_word_is_not_taken (void **state) {
  (void) state;
  late_t late;
  peer_t stranger;
  ab_head_t local;
  begin(&late, 5);
  join_with(&late, NULL, NULL);
  peer_open(&late.world, &stranger, 9, NULL, NULL, NULL);
  append_values(&stranger, 0, VALUES);
  peer_hand_over(&stranger, &late.founder);
  autobee_local(stranger.db, &local);
  assert_int_equal(autobee_hint(late.joiner.db, &local.key, local.length), 0);
  wire_run(&late.wire);
  assert_int_equal(info_of(&late.joiner).fast_forwards, 0);
  assert_int_equal(info_of(&late.joiner).flushes, 5);
  assert_same_views(&late);
  peer_close(&stranger);
  end(&late);
}

static void
what_is_written_afterwards_meets (void **state) {
  (void) state;
  late_t late;
  begin(&late, VALUES);
  join_with(&late, NULL, NULL);
  peer_grant(&late.founder, &late.joiner);
  wire_run(&late.wire);
  assert_true(autobee_is_writable(late.joiner.db));
  for (int i = 0; i < 20; i++) {
    append_values(&late.founder, 3 * i, 3 * i + 2);
    peer_append(&late.joiner, i % 2 == 0 ? "{\"del\":[\"key-100\"]}" : "{\"put\":{\"key-100\":\"again\"}}");
    wire_run(&late.wire);
    assert_int_equal(info_of(&late.joiner).flushes, peer_flushes(&late.founder));
  }
  assert_value(&late.founder, "key-100", "again");
  assert_same_views(&late);
  end(&late);
}

/* Nodes that both wrote apart: the joiner's order reaches back into history that it never had. */
static void
a_reorder_reaches_below_the_adopted_state (void **state) {
  (void) state;
  late_t late;
  begin(&late, 10);
  join_with(&late, NULL, NULL);
  peer_grant(&late.founder, &late.joiner);
  wire_run(&late.wire);
  wire_close(&late.wire);
  peer_append(&late.joiner, "{\"put\":{\"early\":\"bird\"}}"); /* while alone */
  append_values(&late.founder, 0, VALUES);
  late.wire = (wire_t){0};
  wire_open(&late.wire, late.joiner.store, NULL, late.founder.store, NULL);
  wire_run(&late.wire);
  assert_int_equal(info_of(&late.joiner).flushes, peer_flushes(&late.founder));
  assert_value(&late.founder, "early", "bird");
  assert_same_views(&late);
  end(&late);
}

/* Alone, it granted itself another key: the others' states do not have it yet. */
static void
who_rotated_stays_a_writer (void **state) {
  (void) state;
  late_t late;
  begin(&late, 10);
  join_with(&late, NULL, NULL);
  peer_grant(&late.founder, &late.joiner);
  wire_run(&late.wire);
  wire_close(&late.wire);
  peer_rotate(&late.joiner, "next");
  peer_append(&late.joiner, "{\"put\":{\"by\":\"the new key\"}}");
  append_values(&late.founder, 0, VALUES);
  size_t unwritable = late.joiner.unwritable;
  late.wire = (wire_t){0};
  wire_open(&late.wire, late.joiner.store, NULL, late.founder.store, NULL);
  wire_run(&late.wire);
  assert_int_equal(late.joiner.unwritable, unwritable);
  assert_int_equal(info_of(&late.joiner).fast_forwards, 0);
  assert_int_equal(info_of(&late.joiner).flushes, peer_flushes(&late.founder));
  assert_value(&late.founder, "by", "the new key");
  assert_same_views(&late);
  end(&late);
}

static void
the_adopted_state_is_there_after_a_restart (void **state) {
  (void) state;
  char dir[TMPDIR_MAX], store[TMPDIR_MAX];
  late_t late;
  tmpdir_make(dir);
  tmpdir_path(store, dir, "joiner");
  begin(&late, VALUES);
  join_with(&late, NULL, store);
  assert_int_equal(info_of(&late.joiner).fast_forwards, 1);
  wire_close(&late.wire);
  autobee_options_t options = forwarding(&late.joiner);
  peer_reopen(&late.joiner, &options);
  assert_int_equal(info_of(&late.joiner).flushes, VALUES);
  append_values(&late.founder, 0, 3);
  assert_int_equal(autobee_replicate(late.joiner.db), 0);
  late.wire = (wire_t){0};
  wire_open(&late.wire, late.joiner.store, NULL, late.founder.store, NULL);
  wire_run(&late.wire);
  assert_int_equal(info_of(&late.joiner).flushes, VALUES + 3);
  assert_same_views(&late);
  end(&late);
  tmpdir_remove(dir);
}

/* Whoever announces a state and does not serve it holds nothing up for long. */
static void
a_state_that_does_not_come_is_given_up (void **state) {
  (void) state;
  late_t late;
  peer_t middle;
  wire_t to_middle = {0};
  begin(&late, VALUES);
  /* it has the creator's log, but neither system nor view of anybody: it applied nothing yet */
  peer_open(&late.world, &middle, 3, NULL, &late.key, NULL);
  peer_hand_over(&late.founder, &middle);
  autobee_options_t options = forwarding(&late.joiner);
  peer_open(&late.world, &late.joiner, 2, NULL, &late.key, &options);
  assert_int_equal(autobee_replicate(late.joiner.db), 0);
  assert_int_equal(autobee_replicate(middle.db), 0);
  assert_int_equal(autobee_hint(late.joiner.db, &late.key, VALUES), 0);
  wire_open(&to_middle, late.joiner.store, NULL, middle.store, NULL);
  for (int i = 0; i < 20; i++) {
    wire_run(&to_middle);
    late.world.now_ms += 1000;
  }
  wire_run(&to_middle);
  assert_int_equal(info_of(&late.joiner).fast_forwards, 0);
  assert_int_equal(info_of(&late.joiner).flushes, VALUES);
  assert_same_view(&late.founder, &late.joiner);
  wire_close(&to_middle);
  peer_close(&middle);
  peer_close(&late.joiner);
  peer_close(&late.founder);
}

/* It needs the logs from the first block on, and nobody goes on with the move meanwhile. */
static void
a_reindex_ends_a_move_that_waits (void **state) {
  (void) state;
  late_t late;
  begin(&late, 5);
  join_with(&late, NULL, NULL);
  wire_close(&late.wire);
  append_values(&late.founder, 5, VALUES);
  wire_open(&late.wire, late.joiner.store, NULL, late.founder.store, NULL);
  for (int i = 0; !autobee__forward_holds(late.joiner.db); i++) {
    assert_true(i < 1000);
    wire_step(&late.wire);
  }
  assert_int_equal(autobee_reindex(late.joiner.db), 0);
  wire_run(&late.wire);
  assert_false(info_of(&late.joiner).is_reindexing);
  assert_int_equal(info_of(&late.joiner).flushes, VALUES);
  assert_same_views(&late);
  end(&late);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_late_peer_reads_after_fetching_a_small_part),
    cmocka_unit_test(then_it_fetches_the_rest_and_the_order_but_no_older_views),
    cmocka_unit_test(a_gap_that_is_small_is_applied),
    cmocka_unit_test(who_does_not_want_it_applies_everything),
    cmocka_unit_test(the_application_decides_whom_to_trust),
    cmocka_unit_test(a_strangers_word_is_not_taken),
    cmocka_unit_test(what_is_written_afterwards_meets),
    cmocka_unit_test(a_reorder_reaches_below_the_adopted_state),
    cmocka_unit_test(who_rotated_stays_a_writer),
    cmocka_unit_test(the_adopted_state_is_there_after_a_restart),
    cmocka_unit_test(a_state_that_does_not_come_is_given_up),
    cmocka_unit_test(a_reindex_ends_a_move_that_waits),
  };
  return cmocka_run_group_tests_name("forward", tests, NULL, NULL);
}

/* What becomes of a batch that apply does not take. */
#include "peers.h"
#include "support/test.h"

#include <stdio.h>

/* An apply function that does what the value says. */
typedef struct {
  peer_t *peer;
  bool is_cured; /* `halt` and `stop` do nothing any more */
  size_t calls;
} judge_t;

static bool
says (const autobee_node_t *node, const char *word) {
  return ab_slice_equal(node->value, ab_text(word));
}

static int
busy_calls (judge_t *judge) {
  autobee_t *db = judge->peer->db;
  ab_slice_t value = ab_text("x");
  autobee_append_t req = {0};
  autobee_view_t *view;
  ab_key_t key = {{1}};
  assert_int_equal(autobee_append(db, &value, 1, 0, NULL), AB_EBUSY);
  assert_int_equal(autobee_append_async(db, &req, &value, 1, 0, NULL), AB_EBUSY);
  assert_int_equal(autobee_update(db), AB_EBUSY);
  assert_int_equal(autobee_view(db, NULL, &view), AB_EBUSY);
  assert_int_equal(autobee_hint(db, &key, 1), AB_EBUSY);
  assert_int_equal(autobee_close(db), AB_EBUSY);
  return 0;
}

static int
judge_apply (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  judge_t *judge = data;
  judge->calls++;
  for (size_t i = 0; i < count; i++) {
    int err = autobee_apply_put(apply, ab_text("last"), nodes[i].value);
    if (err == 0) err = autobee_apply_flush(apply);
    if (err < 0) return err;
    if (says(&nodes[i], "refuse")) return autobee_apply_reject(apply, "refused: %d", 1);
    if (says(&nodes[i], "halt") && !judge->is_cured) return autobee_apply_halt(apply, "no power");
    if (says(&nodes[i], "stop") && !judge->is_cured)
      return autobee_apply_interrupt(apply, ab_text("upgrade"));
    if (says(&nodes[i], "busy")) busy_calls(judge);
    if (says(&nodes[i], "ack")) autobee_apply_ack_writer(apply, &nodes[i].writer);
    if (nodes[i].value.len == 32) {
      ab_key_t key;
      memcpy(key.bytes, nodes[i].value.data, 32);
      if ((err = autobee_apply_add_writer(apply, &key, true, 2)) < 0) return err;
    }
  }
  return 0;
}

typedef struct {
  world_t world;
  peer_t peers[2];
  judge_t judges[2];
} pair_t;

static autobee_options_t
pair_options (pair_t *pair, int i) {
  autobee_options_t options = peer_options(&pair->peers[i]);
  pair->judges[i].peer = &pair->peers[i];
  options.apply = judge_apply;
  options.apply_data = &pair->judges[i];
  return options;
}

static void
grant_second (pair_t *pair) {
  ab_head_t local;
  autobee_local(pair->peers[1].db, &local);
  ab_slice_t value = ab_slice(local.key.bytes, 32);
  pair->world.now_ms += 10;
  assert_int_equal(autobee_append(pair->peers[0].db, &value, 1, 0, NULL), 0);
  peer_send(&pair->peers[0], &pair->peers[1]);
  assert_true(autobee_is_writable(pair->peers[1].db));
}

static void
open_pair (pair_t *pair, bool stop_on_error, bool granted) {
  memset(pair, 0, sizeof(*pair));
  world_init(&pair->world);
  ab_key_t key;
  for (int i = 0; i < 2; i++) {
    autobee_options_t options = pair_options(pair, i);
    options.stop_on_error = stop_on_error;
    peer_open(&pair->world, &pair->peers[i], (uint8_t) (i + 1), NULL, i == 0 ? NULL : &key, &options);
    autobee_key(pair->peers[0].db, &key);
  }
  if (granted) grant_second(pair);
}

static void
close_pair (pair_t *pair) {
  for (int i = 0; i < 2; i++) peer_close(&pair->peers[i]);
}

static void
a_refused_batch_is_recorded_as_if_it_had_written_nothing (void **state) {
  (void) state;
  pair_t pair;
  open_pair(&pair, false, true);
  peer_append(&pair.peers[1], "good");
  uint64_t flushes = peer_flushes(&pair.peers[1]);
  peer_append(&pair.peers[1], "refuse");
  assert_int_equal(peer_flushes(&pair.peers[1]), flushes + 1);
  assert_value(&pair.peers[1], "last", "good");
  assert_int_equal(pair.peers[1].rejected, 1);
  assert_string_equal(pair.peers[1].message, "refused: 1");
  peer_send(&pair.peers[1], &pair.peers[0]);
  assert_value(&pair.peers[0], "last", "good");
  assert_int_equal(pair.peers[0].rejected, 1);
  peer_append(&pair.peers[1], "better");
  peer_send(&pair.peers[1], &pair.peers[0]);
  assert_value(&pair.peers[0], "last", "better");
  assert_same_view(&pair.peers[0], &pair.peers[1]);
  close_pair(&pair);
}

static void
with_stop_on_error_a_refused_batch_stops_everybody (void **state) {
  (void) state;
  pair_t pair;
  open_pair(&pair, true, true);
  peer_append(&pair.peers[1], "good");
  uint64_t flushes = peer_flushes(&pair.peers[1]);
  assert_int_equal(peer_try(&pair.peers[1], "refuse", 0), AB_EREJECTED);
  assert_int_equal(peer_flushes(&pair.peers[1]), flushes);
  assert_value(&pair.peers[1], "last", "good");
  assert_int_equal(pair.peers[1].halted, 1);

  /* it was not written, so the database goes on */
  peer_append(&pair.peers[1], "better");
  assert_value(&pair.peers[1], "last", "better");
  close_pair(&pair);
}

static void
a_halted_apply_resumes_where_it_was (void **state) {
  (void) state;
  pair_t pair;
  open_pair(&pair, false, true);
  pair.judges[1].is_cured = true;
  peer_append(&pair.peers[1], "good");
  peer_append(&pair.peers[1], "halt");
  peer_append(&pair.peers[1], "after");
  ab_head_t local;
  autobee_local(pair.peers[1].db, &local);
  peer_hand_over(&pair.peers[1], &pair.peers[0]);
  assert_int_equal(autobee_hint(pair.peers[0].db, &local.key, local.length), 0);
  assert_int_equal(autobee_update(pair.peers[0].db), AB_EHALTED);
  assert_int_equal(pair.peers[0].halted, 1);
  assert_string_equal(pair.peers[0].message, "no power");
  autobee_info_t info;
  autobee_info(pair.peers[0].db, &info);
  assert_true(info.is_halted);
  assert_int_equal(info.flushes, 1); /* nothing of the iteration stays */

  /* slices leave it alone until somebody asks */
  size_t calls = pair.judges[0].calls;
  assert_int_equal(ab_store_run(pair.peers[0].store, 5, NULL), 0);
  assert_int_equal(pair.judges[0].calls, calls);
  assert_int_equal(peer_try(&pair.peers[0], "mine", 0), AB_EHALTED);

  pair.judges[0].is_cured = true;
  assert_int_equal(autobee_update(pair.peers[0].db), 0);
  assert_value(&pair.peers[0], "last", "after");
  autobee_info(pair.peers[0].db, &info);
  assert_false(info.is_halted);
  peer_append(&pair.peers[0], "mine");
  peers_mesh(pair.peers, 2);
  assert_same_view(&pair.peers[0], &pair.peers[1]);
  close_pair(&pair);
}

static void
an_interrupt_is_kept_until_the_program_is_upgraded (void **state) {
  (void) state;
  pair_t pair;
  open_pair(&pair, false, true);
  assert_int_equal(peer_try(&pair.peers[1], "stop", 0), AB_EINTERRUPTED);
  assert_int_equal(pair.peers[1].interrupted, 1);
  assert_string_equal(pair.peers[1].message, "upgrade");
  pair.judges[1].is_cured = true;
  peer_append(&pair.peers[1], "stop");
  ab_head_t local;
  autobee_local(pair.peers[1].db, &local);
  peer_hand_over(&pair.peers[1], &pair.peers[0]);
  assert_int_equal(autobee_hint(pair.peers[0].db, &local.key, local.length), 0);
  assert_int_equal(autobee_update(pair.peers[0].db), AB_EINTERRUPTED);
  autobee_info_t info;
  autobee_info(pair.peers[0].db, &info);
  assert_true(info.is_interrupted);
  pair.judges[0].is_cured = true;
  assert_int_equal(autobee_update(pair.peers[0].db), 0);
  assert_value(&pair.peers[0], "last", "stop");
  close_pair(&pair);
}

static void
calls_from_apply_are_busy (void **state) {
  (void) state;
  pair_t pair;
  open_pair(&pair, false, false);
  peer_append(&pair.peers[0], "busy");
  assert_value(&pair.peers[0], "last", "busy");
  close_pair(&pair);
}

static void
an_optimistic_batch_is_accepted_and_makes_a_writer (void **state) {
  (void) state;
  pair_t pair;
  open_pair(&pair, false, false);
  peer_append(&pair.peers[0], "genesis");
  peer_send(&pair.peers[0], &pair.peers[1]);
  assert_int_equal(peer_try(&pair.peers[1], "ack", 0), AB_ENOTWRITABLE);
  assert_int_equal(peer_try(&pair.peers[1], "ack", AUTOBEE_OPTIMISTIC), 0);
  assert_true(autobee_is_writable(pair.peers[1].db));
  ab_head_t before, after;
  autobee_local(pair.peers[0].db, &before);
  peer_send(&pair.peers[1], &pair.peers[0]);
  assert_value(&pair.peers[0], "last", "ack");
  autobee_local(pair.peers[0].db, &after);
  assert_int_equal(after.length, before.length + 1); /* the acknowledgement that apply asked for */
  peers_mesh(pair.peers, 2);
  assert_same_view(&pair.peers[0], &pair.peers[1]);
  close_pair(&pair);
}

static void
a_refused_optimistic_batch_leaves_nothing (void **state) {
  (void) state;
  pair_t pair;
  open_pair(&pair, false, false);
  peer_append(&pair.peers[0], "genesis");
  peer_send(&pair.peers[0], &pair.peers[1]);
  uint64_t flushes = peer_flushes(&pair.peers[1]);
  assert_int_equal(peer_try(&pair.peers[1], "refuse", AUTOBEE_OPTIMISTIC), AB_EREJECTED);
  assert_int_equal(peer_flushes(&pair.peers[1]), flushes);
  assert_value(&pair.peers[1], "last", "genesis");

  peer_send(&pair.peers[1], &pair.peers[0]);
  assert_int_equal(peer_flushes(&pair.peers[0]), flushes);
  assert_int_equal(pair.peers[0].rejected, 1);

  /* not judged again before something has changed */
  size_t calls = pair.judges[0].calls;
  assert_int_equal(autobee_update(pair.peers[0].db), 0);
  assert_int_equal(pair.judges[0].calls, calls);
  assert_int_equal(pair.peers[0].rejected, 1);
  peer_append(&pair.peers[0], "more");
  assert_int_equal(pair.peers[0].rejected, 2);
  close_pair(&pair);
}

static void
note_status (autobee_append_t *req, int status) {
  *(int *) req->data = status;
}

/* It is offered first, again and again, so what is behind it would never be taken. */
static void
behind_a_refused_batch_a_stranger_appends_nothing (void **state) {
  (void) state;
  pair_t pair;
  open_pair(&pair, false, false);
  peer_t *stranger = &pair.peers[1];
  peer_append(&pair.peers[0], "genesis");
  peer_send(&pair.peers[0], stranger);

  /* both at once */
  int statuses[2] = {1, 1};
  autobee_append_t reqs[2] = {{.data = &statuses[0]}, {.data = &statuses[1]}};
  ab_slice_t values[] = {ab_text("refuse"), ab_text("ack")};
  for (int i = 0; i < 2; i++) {
    int err = autobee_append_async(stranger->db, &reqs[i], &values[i], 1, AUTOBEE_OPTIMISTIC, note_status);
    assert_int_equal(err, 0);
  }
  assert_int_equal(autobee_update(stranger->db), 0);
  assert_int_equal(statuses[0], AB_EREJECTED);
  assert_int_equal(statuses[1], AB_ENOTWRITABLE);

  /* one after the other */
  ab_head_t local;
  assert_int_equal(peer_try(stranger, "ack", AUTOBEE_OPTIMISTIC), AB_ENOTWRITABLE);
  assert_non_null(strstr(ab_store_errmsg(stranger->store), "refused operation 1 of writer"));
  assert_non_null(strstr(ab_store_errmsg(stranger->store), "addWriter"));
  autobee_local(stranger->db, &local);
  assert_int_equal(local.length, 1);
  assert_true(autobee_is_idle(stranger->db));

  grant_second(&pair);
  peer_append(stranger, "better");
  peers_mesh(pair.peers, 2);
  assert_value(&pair.peers[0], "last", "better");
  assert_same_view(&pair.peers[0], stranger);
  close_pair(&pair);
}

/* The log alone tells that it was refused. */
static void
a_stranger_hears_of_its_refused_batch_after_a_restart (void **state) {
  (void) state;
  pair_t pair;
  open_pair(&pair, false, false);
  peer_t stranger;
  ab_key_t key;
  char dir[TMPDIR_MAX];
  judge_t judge = {.peer = &stranger};
  autobee_key(pair.peers[0].db, &key);
  autobee_options_t options = peer_options(&stranger);
  options.apply = judge_apply;
  options.apply_data = &judge;
  tmpdir_make(dir);
  peer_open(&pair.world, &stranger, 3, dir, &key, &options);
  peer_append(&pair.peers[0], "genesis");
  peer_send(&pair.peers[0], &stranger);
  assert_int_equal(peer_try(&stranger, "refuse", AUTOBEE_OPTIMISTIC), AB_EREJECTED);
  peer_reopen(&stranger, &options);
  assert_int_equal(peer_try(&stranger, "ack", AUTOBEE_OPTIMISTIC), AB_ENOTWRITABLE);
  peer_close(&stranger);
  tmpdir_remove(dir);
  close_pair(&pair);
}

/* At once: nothing else may ever come that makes it look again. */
static void
what_was_refused_of_a_stranger_is_taken_when_it_is_a_writer (void **state) {
  (void) state;
  pair_t pair;
  open_pair(&pair, false, false);
  peer_append(&pair.peers[0], "genesis");
  peer_send(&pair.peers[0], &pair.peers[1]);
  uint64_t flushes = peer_flushes(&pair.peers[1]);
  assert_int_equal(peer_try(&pair.peers[1], "refuse", AUTOBEE_OPTIMISTIC), AB_EREJECTED);
  grant_second(&pair);
  assert_int_equal(peer_flushes(&pair.peers[1]), flushes + 2);
  close_pair(&pair);
}

static void
a_peer_without_optimistic_batches_ignores_them (void **state) {
  (void) state;
  pair_t pair;
  open_pair(&pair, false, false);
  peer_append(&pair.peers[0], "genesis");
  peer_send(&pair.peers[0], &pair.peers[1]);
  assert_int_equal(peer_try(&pair.peers[1], "hello", AUTOBEE_OPTIMISTIC), 0);

  peer_t third;
  ab_key_t key;
  judge_t judge = {.peer = &third};
  autobee_key(pair.peers[0].db, &key);
  autobee_options_t options = peer_options(&third);
  options.apply = judge_apply;
  options.apply_data = &judge;
  options.no_optimistic = true;
  peer_open(&pair.world, &third, 3, NULL, &key, &options);
  peer_send(&pair.peers[0], &third);
  peer_send(&pair.peers[1], &third);
  assert_value(&third, "last", "genesis");
  assert_int_equal(peer_flushes(&third), 1);
  peer_close(&third);
  close_pair(&pair);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_refused_batch_is_recorded_as_if_it_had_written_nothing),
    cmocka_unit_test(with_stop_on_error_a_refused_batch_stops_everybody),
    cmocka_unit_test(a_halted_apply_resumes_where_it_was),
    cmocka_unit_test(an_interrupt_is_kept_until_the_program_is_upgraded),
    cmocka_unit_test(calls_from_apply_are_busy),
    cmocka_unit_test(an_optimistic_batch_is_accepted_and_makes_a_writer),
    cmocka_unit_test(a_refused_optimistic_batch_leaves_nothing),
    cmocka_unit_test(behind_a_refused_batch_a_stranger_appends_nothing),
    cmocka_unit_test(a_stranger_hears_of_its_refused_batch_after_a_restart),
    cmocka_unit_test(what_was_refused_of_a_stranger_is_taken_when_it_is_a_writer),
    cmocka_unit_test(a_peer_without_optimistic_batches_ignores_them),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

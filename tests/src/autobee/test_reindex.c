/* Making the view anew with another apply function. */
#include "peers.h"
#include "support/test.h"

#include <stdio.h>

/* A merge rule that has versions: each stores every value under its own name. */
typedef struct {
  const char *prefix;
  size_t fail_at; /* call at which it halts; 0: none */
  size_t calls;
} rule_t;

static int
apply_rule (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  rule_t *rule = data;
  if (++rule->calls == rule->fail_at) return -1;
  for (size_t i = 0; i < count; i++) {
    char key[64], adds[AB_KEY_TEXT_LEN + 8];
    ab_slice_t value = nodes[i].value;
    ab_key_t writer;
    if (value.len > 4 && memcmp(value.data, "add ", 4) == 0) {
      snprintf(adds, sizeof(adds), "%.*s", (int) value.len - 4, (const char *) value.data + 4);
      if (ab_key_from_text(ab_text(adds), &writer) < 0) return AB_EREJECTED;
      int err = autobee_apply_add_writer(apply, &writer, true, 2);
      if (err < 0) return err;
      continue;
    }
    snprintf(key, sizeof(key), "%s%.*s", rule->prefix, (int) value.len, (const char *) value.data);
    int err = autobee_apply_put(apply, ab_text(key), ab_text("x"));
    if (err < 0) return err;
  }
  return 0;
}

typedef struct {
  world_t world;
  char dir[TMPDIR_MAX], store[TMPDIR_MAX];
  peer_t peer;
  rule_t rule;
} place_t;

static autobee_options_t
options_of (place_t *place) {
  autobee_options_t options = peer_options(&place->peer);
  options.apply = apply_rule;
  options.apply_data = &place->rule;
  return options;
}

static void
begin (place_t *place) {
  *place = (place_t){.rule.prefix = "old-"};
  world_init(&place->world);
  tmpdir_make(place->dir);
  tmpdir_path(place->store, place->dir, "store");
  autobee_options_t options = options_of(place);
  peer_open(&place->world, &place->peer, 1, place->store, NULL, &options);
  peer_append(&place->peer, "a");
  peer_append(&place->peer, "b");
  peer_append(&place->peer, "c");
}

static void
end (place_t *place) {
  peer_close(&place->peer);
  tmpdir_remove(place->dir);
}

static void
reopen (place_t *place, const char *prefix) {
  place->rule.prefix = prefix;
  autobee_options_t options = options_of(place);
  peer_reopen(&place->peer, &options);
}

static bool
is_reindexing (peer_t *peer) {
  autobee_info_t info;
  assert_int_equal(autobee_info(peer->db, &info), 0);
  return info.is_reindexing;
}

static void
the_view_is_made_anew_by_the_new_rule (void **state) {
  (void) state;
  place_t place;
  begin(&place);
  reopen(&place, "new-");
  assert_value(&place.peer, "old-b", "x");
  assert_int_equal(autobee_reindex(place.peer.db), 0);
  assert_value(&place.peer, "old-b", "x"); /* until it is whole */
  assert_true(is_reindexing(&place.peer));
  assert_int_equal(autobee_update(place.peer.db), 0);
  assert_false(is_reindexing(&place.peer));
  assert_value(&place.peer, "new-a", "x");
  assert_value(&place.peer, "new-c", "x");
  assert_no_value(&place.peer, "old-b");
  peer_append(&place.peer, "d");
  assert_value(&place.peer, "new-d", "x");
  reopen(&place, "new-");
  assert_value(&place.peer, "new-a", "x");
  assert_value(&place.peer, "new-d", "x");
  assert_int_equal(peer_flushes(&place.peer), 4);
  end(&place);
}

/* A rule that halts half-way leaves the old view, and another open begins again. */
static void
an_interrupted_one_begins_again (void **state) {
  (void) state;
  place_t place;
  begin(&place);
  reopen(&place, "bad-");
  assert_int_equal(autobee_reindex(place.peer.db), 0);
  place.rule.calls = 0;
  place.rule.fail_at = 3;
  assert_int_equal(autobee_update(place.peer.db), AB_EHALTED);
  assert_value(&place.peer, "old-a", "x");
  place.rule.fail_at = 0;
  reopen(&place, "new-");
  assert_true(is_reindexing(&place.peer));
  assert_value(&place.peer, "old-a", "x");
  assert_int_equal(autobee_update(place.peer.db), 0);
  assert_value(&place.peer, "new-a", "x");
  assert_no_value(&place.peer, "bad-a");
  end(&place);
}

static void
appends_wait_for_it (void **state) {
  (void) state;
  place_t place;
  begin(&place);
  reopen(&place, "new-");
  assert_int_equal(autobee_reindex(place.peer.db), 0);
  assert_int_equal(peer_append(&place.peer, "d"), 4);
  assert_false(is_reindexing(&place.peer));
  assert_value(&place.peer, "new-a", "x");
  assert_value(&place.peer, "new-d", "x");
  end(&place);
}

static void
a_granted_writer_stays_one_and_all_logs_count (void **state) {
  (void) state;
  place_t place;
  peer_t other;
  ab_key_t key;
  ab_head_t local;
  char text[AB_KEY_TEXT_LEN + 8] = "add ";
  begin(&place);
  autobee_options_t options = peer_options(&other);
  options.apply = apply_rule;
  options.apply_data = &place.rule;
  autobee_key(place.peer.db, &key);
  peer_open(&place.world, &other, 2, NULL, &key, &options);
  autobee_local(other.db, &local);
  ab_key_to_text(&local.key, text + 4);
  peer_append(&place.peer, text);
  peer_send(&place.peer, &other);
  peer_append(&other, "from the other");
  peer_send(&other, &place.peer);
  size_t unwritable = other.unwritable;

  assert_int_equal(autobee_reindex(other.db), 0);
  place.rule.prefix = "new-";
  peer_append(&other, "later");
  assert_int_equal(other.unwritable, unwritable);
  assert_true(autobee_is_writable(other.db));
  peer_send(&other, &place.peer);
  assert_value(&other, "new-a", "x");
  assert_value(&other, "new-from the other", "x");
  assert_value(&other, "new-later", "x");

  reopen(&place, "new-");
  assert_int_equal(autobee_reindex(place.peer.db), 0);
  assert_int_equal(autobee_update(place.peer.db), 0);
  assert_same_view(&place.peer, &other);
  peer_close(&other);
  end(&place);
}

/* Its own log begins with what nobody had asked for. */
static void
who_was_taken_unasked_can_do_it_too (void **state) {
  (void) state;
  place_t place;
  peer_t other;
  ab_key_t key;
  begin(&place);
  autobee_options_t options = peer_options(&other);
  options.apply = apply_rule;
  options.apply_data = &place.rule;
  autobee_key(place.peer.db, &key);
  peer_open(&place.world, &other, 2, NULL, &key, &options);
  peer_send(&place.peer, &other);
  assert_int_equal(peer_try(&other, "unasked", AUTOBEE_OPTIMISTIC), 0);
  place.rule.prefix = "new-";
  assert_int_equal(autobee_reindex(other.db), 0);
  assert_int_equal(autobee_update(other.db), 0);
  assert_false(is_reindexing(&other));
  assert_value(&other, "new-unasked", "x");
  peer_close(&other);
  end(&place);
}

static void
the_same_rule_makes_the_same_view (void **state) {
  (void) state;
  place_t place;
  uint8_t before[32], after[32];
  begin(&place);
  peer_view_hash(&place.peer, before);
  assert_int_equal(autobee_reindex(place.peer.db), 0);
  assert_int_equal(autobee_update(place.peer.db), 0);
  peer_view_hash(&place.peer, after);
  assert_memory_equal(before, after, 32);
  end(&place);
}

static void
a_writer_that_was_removed_makes_its_view_anew (void **state) {
  (void) state;
  world_t world;
  peer_t peers[2];
  autobee_info_t info;
  peers_open(&world, peers, 2);
  peer_append(&peers[0], "{\"put\":{\"a\":\"1\"}}");
  peer_remove(&peers[0], &peers[0]);
  assert_false(autobee_is_writable(peers[0].db));
  assert_int_equal(autobee_reindex(peers[0].db), 0);
  assert_int_equal(autobee_update(peers[0].db), 0);
  assert_int_equal(autobee_info(peers[0].db, &info), 0);
  assert_false(info.is_reindexing);
  assert_value(&peers[0], "a", "1");
  peers_close(peers, 2);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_view_is_made_anew_by_the_new_rule),
    cmocka_unit_test(an_interrupted_one_begins_again),
    cmocka_unit_test(appends_wait_for_it),
    cmocka_unit_test(a_granted_writer_stays_one_and_all_logs_count),
    cmocka_unit_test(who_was_taken_unasked_can_do_it_too),
    cmocka_unit_test(the_same_rule_makes_the_same_view),
    cmocka_unit_test(a_writer_that_was_removed_makes_its_view_anew),
  };
  return cmocka_run_group_tests_name("reindex", tests, NULL, NULL);
}

/* What happens to groups in the course of years: one test each. */
#include "peers.h"
#include "support/test.h"

#include <stdio.h>

#include "hypercore/net/wire.h"

#define PEERS_MAX 6
#define DAY_MS 86400000u

typedef struct {
  world_t world;
  peer_t peers[PEERS_MAX];
  size_t count;
  ab_key_t key;
} group_t;

/* The first founds the database, and the others are granted: indexers as far as `indexers` goes. */
static void
begin (group_t *group, size_t count, size_t indexers) {
  *group = (group_t){.count = count};
  world_init(&group->world);
  for (size_t i = 0; i < count; i++) {
    peer_open(&group->world, &group->peers[i], (uint8_t) (i + 1), NULL, i == 0 ? NULL : &group->key, NULL);
    if (i == 0) autobee_key(group->peers[0].db, &group->key);
  }
  for (size_t i = 1; i < count; i++) {
    char text[AB_KEY_TEXT_LEN + 1], value[160];
    ab_head_t local;
    autobee_local(group->peers[i].db, &local);
    ab_key_to_text(&local.key, text);
    snprintf(
      value, sizeof(value), "{\"addWriter\":\"%s\",\"isIndexer\":%s}", text, i < indexers ? "true" : "false"
    );
    peer_append(&group->peers[0], value);
  }
  peers_mesh(group->peers, count);
}

static void
end (group_t *group) {
  for (size_t i = 0; i < group->count; i++) peer_close(&group->peers[i]);
}

static void
put (peer_t *peer, const char *key, const char *value) {
  char text[128];
  snprintf(text, sizeof(text), "{\"put\":{\"%s\":\"%s\"}}", key, value);
  peer_append(peer, text);
}

static void
remove_writer (peer_t *by, const ab_key_t *writer) {
  char text[AB_KEY_TEXT_LEN + 1], value[128];
  ab_key_to_text(writer, text);
  snprintf(value, sizeof(value), "{\"removeWriter\":\"%s\"}", text);
  peer_append(by, value);
}

static void
assert_all_alike (group_t *group) {
  uint8_t order[2][32];
  for (size_t i = 1; i < group->count; i++) {
    assert_same_view(&group->peers[0], &group->peers[i]);
    assert_int_equal(autobee_order_hash(group->peers[0].db, order[0]), 0);
    assert_int_equal(autobee_order_hash(group->peers[i].db, order[1]), 0);
    assert_memory_equal(order[0], order[1], 32);
  }
}

/* ---- writers come and go ---- */

static void
a_writer_rotates_while_an_indexer_is_added (void **state) {
  (void) state;
  group_t group;
  begin(&group, 3, 2);
  peer_t *rotating = &group.peers[1];
  ab_key_t old = peer_writer(rotating);

  peer_rotate(rotating, "second device key");
  peer_grant(&group.peers[0], &group.peers[2]); /* at the same time: an indexer from now on */
  put(rotating, "by", "the new key");
  ab_key_t new = peer_writer(rotating);
  assert_false(ab_key_equal(&old, &new));

  /* its old log has still to be handed over by somebody */
  for (size_t to = 0; to < 3; to += 2) {
    hypercore_options_t by_key = hypercore_options_default();
    hypercore_t *log;
    by_key.key = &old;
    assert_int_equal(hypercore_open(rotating->store, &by_key, &log), 0);
    uint64_t length = hypercore_length(log);
    hypercore_close(log);
    peer_copy(rotating, &group.peers[to], &old, length, 0, length);
    assert_int_equal(autobee_hint(group.peers[to].db, &old, length), 0);
    assert_int_equal(autobee_update(group.peers[to].db), 0);
  }
  peers_mesh(group.peers, 3);
  assert_value(&group.peers[2], "by", "the new key");
  assert_all_alike(&group);
  autobee_info_t info;
  assert_int_equal(autobee_info(group.peers[2].db, &info), 0);
  assert_true(info.is_indexer);
  end(&group);
}

static void
a_writer_removes_itself (void **state) {
  (void) state;
  group_t group;
  begin(&group, 2, 2);
  ab_key_t key = peer_writer(&group.peers[1]);
  put(&group.peers[1], "last", "words");
  remove_writer(&group.peers[1], &key);
  assert_false(autobee_is_writable(group.peers[1].db));
  assert_int_equal(group.peers[1].unwritable, 1);
  assert_int_equal(peer_try(&group.peers[1], "{\"put\":{\"a\":\"b\"}}", 0), AB_ENOTWRITABLE);
  peers_mesh(group.peers, 2);
  put(&group.peers[0], "later", "on");
  peers_mesh(group.peers, 2);
  assert_value(&group.peers[1], "later", "on");
  assert_value(&group.peers[0], "last", "words");
  assert_all_alike(&group);
  end(&group);
}

static void
the_last_indexer_is_removed (void **state) {
  (void) state;
  group_t group;
  begin(&group, 3, 1);
  ab_key_t key = peer_writer(&group.peers[0]);
  remove_writer(&group.peers[0], &key);
  peers_mesh(group.peers, 3);
  for (size_t i = 1; i < 3; i++) {
    autobee_info_t info;
    assert_int_equal(autobee_info(group.peers[i].db, &info), 0);
    assert_true(info.is_writable && !info.is_indexer);
    put(&group.peers[i], "k", i == 1 ? "one" : "two");
  }
  peers_mesh(group.peers, 3);
  assert_value(&group.peers[0], "k", "two");
  assert_all_alike(&group);
  end(&group);
}

static void
all_indexers_are_lost (void **state) {
  (void) state;
  group_t group;
  peer_t late;
  begin(&group, 4, 2);
  put(&group.peers[1], "from", "an indexer");
  peers_mesh(group.peers, 4);
  /* 0 and 1 are never heard of again; a joiner gets their logs from those who are left */
  for (int i = 0; i < 40; i++) put(&group.peers[2 + i % 2], "n", i % 2 == 0 ? "even" : "odd");
  peers_mesh(group.peers + 2, 2);
  assert_same_view(&group.peers[2], &group.peers[3]);
  wire_t wire = {0};
  peer_open(&group.world, &late, 9, NULL, &group.key, NULL);
  assert_int_equal(autobee_replicate(group.peers[2].db), 0);
  assert_int_equal(autobee_replicate(late.db), 0);
  wire_open(&wire, late.store, NULL, group.peers[2].store, NULL);
  wire_run(&wire);
  assert_same_view(&late, &group.peers[3]);
  assert_value(&late, "from", "an indexer");
  wire_close(&wire);
  peer_close(&late);
  end(&group);
}

static void
two_of_five_indexers_are_silent (void **state) {
  (void) state;
  group_t group;
  begin(&group, 5, 5);
  for (int i = 0; i < 30; i++) {
    put(&group.peers[i % 3], "k", "a");
    put(&group.peers[(i + 1) % 3], "k", "b");
    if (i % 4 == 0) peers_mesh(group.peers, 3);
  }
  peers_mesh(group.peers, 5);
  assert_all_alike(&group);
  put(&group.peers[4], "k", "awake"); /* years later it speaks */
  peers_mesh(group.peers, 5);
  assert_value(&group.peers[0], "k", "awake");
  assert_all_alike(&group);
  end(&group);
}

/* ---- things go wrong ---- */

/* Two machines with one secret write as one writer. Who heard the one does not believe the other. */
static void
a_store_was_copied (void **state) {
  (void) state;
  group_t group;
  peer_t copy;
  begin(&group, 2, 2);
  peer_open(&group.world, &copy, 2, NULL, &group.key, NULL); /* the keys of peer 1 */
  peer_send(&group.peers[0], &copy);
  put(&group.peers[1], "k", "original");
  put(&copy, "k", "copy");
  peer_send(&group.peers[1], &group.peers[0]);
  assert_value(&group.peers[0], "k", "original");

  ab_key_t key = peer_writer(&copy);
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *source, *target;
  options.key = &key;
  assert_int_equal(hypercore_open(copy.store, &options, &source), 0);
  assert_int_equal(hypercore_open(group.peers[0].store, &options, &target), 0);
  put(&copy, "k", "copy again");
  assert_true(hypercore_pull(target, source, 2, 1, 2) < 0); /* it does not continue what is here */
  hypercore_close(source);
  hypercore_close(target);
  assert_int_equal(autobee_update(group.peers[0].db), 0);
  assert_value(&group.peers[0], "k", "original");
  put(&group.peers[0], "k", "goes on");
  peers_mesh(group.peers, 2);
  assert_value(&group.peers[1], "k", "goes on");
  assert_all_alike(&group);
  peer_close(&copy);
  end(&group);
}

static int
apply_changed (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  int err = autobee_apply_kv(apply, nodes, count, NULL);
  return err < 0 ? err : autobee_apply_put(apply, ab_text("version"), ab_text(data));
}

static void
the_apply_function_changes (void **state) {
  (void) state;
  world_t world;
  peer_t peer;
  char dir[TMPDIR_MAX], store[TMPDIR_MAX], two[] = "two";
  tmpdir_make(dir);
  tmpdir_path(store, dir, "store");
  world_init(&world);
  peer_open(&world, &peer, 1, store, NULL, NULL);
  put(&peer, "k", "v");
  autobee_options_t options = peer_options(&peer);
  options.apply = apply_changed;
  options.apply_data = two;
  peer_reopen(&peer, &options);
  assert_int_equal(autobee_update(peer.db), 0);
  assert_no_value(&peer, "version");
  assert_int_equal(autobee_reindex(peer.db), 0);
  assert_no_value(&peer, "version");
  assert_int_equal(autobee_update(peer.db), 0);
  assert_value(&peer, "version", "two");
  assert_value(&peer, "k", "v");
  peer_close(&peer);
  tmpdir_remove(dir);
}

static int
apply_poisoned (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  const bool *is_mended = data;
  for (size_t i = 0; i < count; i++) {
    if (!*is_mended && ab_slice_equal(nodes[i].value, ab_text("{\"put\":{\"poison\":\"x\"}}"))) return -1;
  }
  return autobee_apply_kv(apply, nodes, count, NULL);
}

/* The database stays readable, and what others wrote is passed on. */
static void
a_poison_message_halts_apply_only (void **state) {
  (void) state;
  group_t group;
  peer_t fragile, third;
  bool is_mended = false;
  begin(&group, 2, 2);
  autobee_options_t options = peer_options(&fragile);
  options.apply = apply_poisoned;
  options.apply_data = &is_mended;
  peer_open(&group.world, &fragile, 8, NULL, &group.key, &options);
  peer_send(&group.peers[0], &fragile);
  put(&group.peers[0], "k", "before");
  peer_send(&group.peers[0], &fragile);
  put(&group.peers[0], "poison", "x");
  put(&group.peers[0], "k", "after");
  ab_key_t key = peer_writer(&group.peers[0]);
  peer_hand_over(&group.peers[0], &fragile);
  assert_int_equal(autobee_hint(fragile.db, &key, 99), 0);
  assert_int_equal(autobee_update(fragile.db), AB_EHALTED);
  assert_value(&fragile, "k", "before");

  wire_t wire = {0};
  peer_open(&group.world, &third, 7, NULL, &group.key, NULL);
  assert_int_equal(autobee_replicate(fragile.db), 0);
  assert_int_equal(autobee_replicate(third.db), 0);
  wire_open(&wire, third.store, NULL, fragile.store, NULL);
  wire_run(&wire);
  assert_value(&third, "k", "after"); /* it has an apply function that copes */
  assert_value(&third, "poison", "x");
  wire_close(&wire);

  is_mended = true;
  assert_int_equal(autobee_update(fragile.db), 0);
  assert_value(&fragile, "k", "after");
  peer_close(&third);
  peer_close(&fragile);
  end(&group);
}

static void
reads_go_on_offline (void **state) {
  (void) state;
  group_t group;
  peer_t reader;
  wire_t wire = {0};
  begin(&group, 1, 1);
  for (int i = 0; i < 100; i++) put(&group.peers[0], "k", i == 99 ? "last" : "earlier");
  autobee_options_t options = peer_options(&reader);
  options.fast_forward = true;
  peer_open(&group.world, &reader, 5, NULL, &group.key, &options);
  assert_int_equal(autobee_replicate(group.peers[0].db), 0);
  assert_int_equal(autobee_replicate(reader.db), 0);
  wire_open(&wire, reader.store, NULL, group.peers[0].store, NULL);
  wire_run(&wire);
  wire_close(&wire);
  assert_value(&reader, "k", "last");
  assert_no_value(&reader, "other");
  assert_same_view(&reader, &group.peers[0]);
  peer_close(&reader);
  end(&group);
}

static void
a_clock_is_a_day_ahead (void **state) {
  (void) state;
  group_t group;
  world_t ahead;
  begin(&group, 1, 1);
  world_init(&ahead);
  ahead.now_ms = group.world.now_ms + DAY_MS;
  peer_open(&ahead, &group.peers[group.count++], 2, NULL, &group.key, NULL);
  peer_grant(&group.peers[0], &group.peers[1]);
  peers_mesh(group.peers, 2);
  put(&group.peers[1], "k", "from tomorrow");
  assert_value(&group.peers[1], "k", "from tomorrow");
  peer_send(&group.peers[1], &group.peers[0]);
  assert_no_value(&group.peers[0], "k"); /* it waits, and nobody waits for it */
  put(&group.peers[0], "k", "from today");
  assert_value(&group.peers[0], "k", "from today");
  group.world.now_ms += DAY_MS;
  assert_int_equal(autobee_update(group.peers[0].db), 0);
  assert_value(&group.peers[0], "k", "from tomorrow");
  peers_mesh(group.peers, 2);
  assert_all_alike(&group);
  end(&group);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_writer_rotates_while_an_indexer_is_added),
    cmocka_unit_test(a_writer_removes_itself),
    cmocka_unit_test(the_last_indexer_is_removed),
    cmocka_unit_test(all_indexers_are_lost),
    cmocka_unit_test(two_of_five_indexers_are_silent),
    cmocka_unit_test(a_store_was_copied),
    cmocka_unit_test(the_apply_function_changes),
    cmocka_unit_test(a_poison_message_halts_apply_only),
    cmocka_unit_test(reads_go_on_offline),
    cmocka_unit_test(a_clock_is_a_day_ahead),
  };
  return cmocka_run_group_tests_name("scenarios", tests, NULL, NULL);
}

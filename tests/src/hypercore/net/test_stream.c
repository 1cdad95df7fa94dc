/* test_stream.c: two stores and one connection. */
#include <stdlib.h>

#include "hypercore/net/wire.h"

typedef struct {
  test_env_t env;
  ab_store_t *a, *b;
  wire_t wire;
} pair_t;

static int
setup (void **state) {
  pair_t *pair = calloc(1, sizeof(*pair));
  test_env_init(&pair->env, 7);
  pair->a = store_in_memory(&pair->env);
  pair->b = store_in_memory(&pair->env);
  *state = pair;
  return 0;
}

static int
teardown (void **state) {
  pair_t *pair = *state;
  wire_close(&pair->wire);
  ab_store_close(pair->a);
  ab_store_close(pair->b);
  free(pair);
  return 0;
}

static void
connect_pair (pair_t *pair) {
  wire_open(&pair->wire, pair->a, NULL, pair->b, NULL);
}

static hypercore_t *
writer (pair_t *pair, size_t blocks) {
  hypercore_t *core = core_named(pair->a, "log");
  append_numbered(core, blocks);
  assert_int_equal(ab_store_commit(pair->a), 0);
  return core;
}

static void
done (hypercore_download_t *download, int status) {
  *(int *) download->data = status;
}

static void
assert_running (const pair_t *pair) {
  for (int i = 0; i < 2; i++) {
    if (ab_stream_status(pair->wire.ends[i]) != 0) {
      fail_msg("end %d: %s", i, ab_stream_message(pair->wire.ends[i]));
    }
  }
}

static void
a_download_brings_all_blocks (void **state) {
  pair_t *pair = *state;
  int status = 1;
  hypercore_t *from = writer(pair, 1000), *to = core_of_key(pair->b, hypercore_key(from));
  hypercore_download_t download = {.data = &status};
  connect_pair(pair);
  assert_int_equal(hypercore_download(&download, to, 0, 1000, done), 0);
  wire_run(&pair->wire);
  assert_running(pair);
  assert_int_equal(status, 0);
  assert_numbered(to, 0, 1000);
  hypercore_close(from);
  hypercore_close(to);
}

static void
bytes_may_come_one_by_one (void **state) {
  pair_t *pair = *state;
  int status = 1;
  hypercore_t *from = writer(pair, 20), *to = core_of_key(pair->b, hypercore_key(from));
  hypercore_download_t download = {.data = &status};
  connect_pair(pair);
  pair->wire.cut = 1;
  assert_int_equal(hypercore_download(&download, to, 0, 20, done), 0);
  wire_run(&pair->wire);
  assert_running(pair);
  assert_int_equal(status, 0);
  hypercore_close(from);
  hypercore_close(to);
}

static void
a_followed_core_grows_without_its_blocks (void **state) {
  pair_t *pair = *state;
  hypercore_follow_t follow = {0};
  hypercore_t *from = writer(pair, 5), *to = core_of_key(pair->b, hypercore_key(from));
  connect_pair(pair);
  assert_int_equal(hypercore_follow(&follow, to), 0);
  wire_run(&pair->wire);
  assert_int_equal(hypercore_length(to), 5);
  assert_false(hypercore_has(to, 0, 1));
  append_numbered(from, 3);
  wire_run(&pair->wire);
  assert_int_equal(hypercore_length(to), 5); /* staged: nobody hears of it */
  assert_int_equal(ab_store_commit(pair->a), 0);
  wire_run(&pair->wire);
  assert_int_equal(hypercore_length(to), 8);
  assert_running(pair);
  hypercore_unfollow(&follow);
  hypercore_close(from);
  hypercore_close(to);
}

static void
what_was_staged_before_a_core_was_followed_is_told_at_commit (void **state) {
  pair_t *pair = *state;
  hypercore_follow_t follows[2] = {0};
  hypercore_t *from = core_named(pair->a, "log"), *to = core_of_key(pair->b, hypercore_key(from));
  append_numbered(from, 5);
  assert_int_equal(hypercore_follow(&follows[0], from), 0);
  assert_int_equal(hypercore_follow(&follows[1], to), 0);
  assert_int_equal(ab_store_commit(pair->a), 0);
  connect_pair(pair);
  wire_run(&pair->wire);
  assert_int_equal(hypercore_length(to), 5);
  for (int i = 0; i < 2; i++) hypercore_unfollow(&follows[i]);
  hypercore_close(from);
  hypercore_close(to);
}

static void
a_missed_read_is_fetched (void **state) {
  pair_t *pair = *state;
  hypercore_follow_t follow = {0};
  ab_slice_t block;
  hypercore_t *from = writer(pair, 5), *to = core_of_key(pair->b, hypercore_key(from));
  connect_pair(pair);
  assert_int_equal(hypercore_follow(&follow, to), 0);
  wire_run(&pair->wire);
  assert_int_equal(hypercore_get(to, 3, &block), AB_EREMOTE);
  wire_run(&pair->wire);
  assert_numbered(to, 3, 4);
  assert_false(hypercore_has(to, 2, 3));
  assert_running(pair);
  hypercore_unfollow(&follow);
  hypercore_close(from);
  hypercore_close(to);
}

static void
a_live_download_goes_on (void **state) {
  pair_t *pair = *state;
  int status = 1;
  hypercore_t *from = writer(pair, 2), *to = core_of_key(pair->b, hypercore_key(from));
  hypercore_download_t download = {.data = &status};
  connect_pair(pair);
  assert_int_equal(hypercore_download(&download, to, 0, HYPERCORE_LIVE, done), 0);
  for (int i = 0; i < 20; i++) {
    append_numbered(from, 1 + (size_t) i);
    assert_int_equal(ab_store_commit(pair->a), 0);
    wire_run(&pair->wire);
    assert_int_equal(hypercore_contiguous_length(to), hypercore_length(from));
  }
  assert_running(pair);
  assert_true(ab_stream_in_sync(pair->wire.ends[0]));
  assert_true(ab_stream_in_sync(pair->wire.ends[1]));
  hypercore_download_cancel(&download);
  wire_run(&pair->wire);
  assert_int_equal(status, AB_ECANCELED);
  hypercore_close(from);
  hypercore_close(to);
}

static void
a_truncated_core_is_followed_to_its_new_fork (void **state) {
  pair_t *pair = *state;
  int status = 1;
  hypercore_t *from = writer(pair, 20), *to = core_of_key(pair->b, hypercore_key(from));
  hypercore_download_t download = {.data = &status};
  connect_pair(pair);
  assert_int_equal(hypercore_download(&download, to, 0, HYPERCORE_LIVE, done), 0);
  wire_run(&pair->wire);
  assert_int_equal(hypercore_contiguous_length(to), 20);
  assert_int_equal(hypercore_truncate(from, 11, 0), 0);
  append_text(from, "other");
  assert_int_equal(ab_store_commit(pair->a), 0);
  wire_run(&pair->wire);
  assert_running(pair);
  assert_int_equal(hypercore_fork(to), 1);
  assert_int_equal(hypercore_length(to), 12);
  assert_block(to, 11, "other");
  assert_numbered(to, 0, 11);
  hypercore_download_cancel(&download);
  wire_run(&pair->wire);
  hypercore_close(from);
  hypercore_close(to);
}

static void
a_core_nobody_has_is_refused_and_later_offered (void **state) {
  pair_t *pair = *state;
  hypercore_follow_t follow = {0}, own = {0};
  ab_key_t key;
  ab_key_pair_t keys;
  assert_int_equal(corestore_key_pair(pair->a, NULL, ab_text("log"), &keys), 0);
  assert_int_equal(corestore_key(pair->a, keys.public_key, &key), 0);
  hypercore_t *to = core_of_key(pair->b, &key);
  connect_pair(pair);
  assert_int_equal(hypercore_follow(&follow, to), 0);
  wire_run(&pair->wire);
  assert_int_equal(ab_stream_core_state(pair->wire.ends[1], hypercore_discovery_key(to)), AB_CORE_REFUSED);
  assert_true(ab_stream_in_sync(pair->wire.ends[1]));
  hypercore_t *from = writer(pair, 3);
  assert_int_equal(hypercore_follow(&own, from), 0);
  wire_run(&pair->wire);
  assert_int_equal(hypercore_length(to), 3);
  assert_running(pair);
  hypercore_unfollow(&follow);
  hypercore_unfollow(&own);
  wire_run(&pair->wire);
  assert_int_equal(ab_stream_core_state(pair->wire.ends[0], hypercore_discovery_key(from)), AB_CORE_NONE);
  hypercore_close(from);
  hypercore_close(to);
}

static void
requests_move_to_another_peer (void **state) {
  pair_t *pair = *state;
  int status = 1;
  wire_t other;
  ab_store_t *c = store_in_memory(&pair->env);
  hypercore_t *from = writer(pair, 300), *to = core_of_key(c, hypercore_key(from));
  hypercore_t *middle = core_of_key(pair->b, hypercore_key(from));
  hypercore_download_t download = {0}, second = {.data = &status};
  connect_pair(pair);
  assert_int_equal(hypercore_download(&download, middle, 0, 300, NULL), 0);
  wire_run(&pair->wire);
  assert_int_equal(hypercore_contiguous_length(middle), 300);

  /* c asks a, which never answers, then b comes */
  wire_t first;
  wire_open(&first, c, NULL, pair->a, NULL);
  assert_int_equal(hypercore_download(&second, to, 0, 300, done), 0);
  for (int i = 0; i < 3; i++) wire_run(&first);
  wire_close(&first);
  wire_open(&other, c, NULL, pair->b, NULL);
  wire_run(&other);
  assert_int_equal(status, 0);
  wire_close(&other);
  hypercore_close(from);
  hypercore_close(middle);
  hypercore_close(to);
  ab_store_close(c);
}

static void
a_peer_that_does_not_read_holds_little (void **state) {
  pair_t *pair = *state;
  hypercore_t *from = core_named(pair->a, "log"), *to = core_of_key(pair->b, hypercore_key(from));
  uint8_t *big = calloc(1, 1 << 20);
  ab_slice_t block = ab_slice(big, 1 << 20);
  hypercore_download_t download = {0};
  ab_stream_stats_t stats;
  for (int i = 0; i < 40; i++) assert_int_equal(hypercore_append(from, &block, 1, NULL), 0);
  assert_int_equal(ab_store_commit(pair->a), 0);
  connect_pair(pair);
  assert_int_equal(hypercore_download(&download, to, 0, 40, NULL), 0);
  wire_run(&pair->wire);
  assert_int_equal(hypercore_contiguous_length(to), 40);
  for (int i = 0; i < 200; i++) {
    pair->env.now_ms += 1000;
    pair->wire.blocked[0] = true;
    append_numbered(from, 1);
    assert_int_equal(ab_store_commit(pair->a), 0);
    wire_run(&pair->wire);
  }
  ab_stream_stats(pair->wire.ends[0], &stats);
  assert_true(stats.memory < (1 << 20));
  hypercore_download_cancel(&download);
  wire_run(&pair->wire);
  hypercore_close(from);
  hypercore_close(to);
  free(big);
}

static void
silence_ends_a_stream_and_keep_alive_does_not (void **state) {
  pair_t *pair = *state;
  connect_pair(pair);
  wire_run(&pair->wire);
  for (int i = 0; i < 100; i++) {
    pair->env.now_ms += 2000;
    ab_store_run(pair->a, 10, NULL);
    ab_store_run(pair->b, 10, NULL);
    wire_run(&pair->wire);
  }
  assert_running(pair);
  pair->wire.blocked[0] = true;
  pair->env.now_ms += 31000;
  wire_run(&pair->wire);
  assert_int_equal(ab_stream_status(pair->wire.ends[1]), AB_ETIMEDOUT);
}

static void
a_handshake_has_a_deadline (void **state) {
  pair_t *pair = *state;
  ab_stream_t *stream;
  uint64_t deadline;
  assert_int_equal(ab_stream_open(pair->a, NULL, &stream), 0);
  assert_int_equal(ab_store_run(pair->a, 10, &deadline), 0);
  assert_int_equal(deadline, pair->env.now_ms + 10000);
  pair->env.now_ms = deadline;
  ab_store_run(pair->a, 10, NULL);
  assert_int_equal(ab_stream_status(stream), AB_ETIMEDOUT);
  ab_stream_close(stream);
}

/* ---- wakeup ---- */

typedef struct {
  ab_wakeup_t wakeup;
  ab_head_t heads[8];
  size_t count;
  int active;
  ab_head_t own;
} topic_t;

static void
on_lookup (ab_wakeup_t *wakeup, ab_stream_t *stream) {
  topic_t *topic = wakeup->data;
  ab_wakeup_announce(wakeup, stream, &topic->own, 1);
}

static void
on_announce (ab_wakeup_t *wakeup, ab_stream_t *stream, const ab_head_t *heads, size_t count) {
  topic_t *topic = wakeup->data;
  (void) stream;
  for (size_t i = 0; i < count && topic->count < 8; i++) topic->heads[topic->count++] = heads[i];
}

static void
on_peer (ab_wakeup_t *wakeup, ab_stream_t *stream, bool active) {
  topic_t *topic = wakeup->data;
  (void) stream;
  topic->active += active ? 1 : -1;
}

static void
topic_init (topic_t *topic, const char *secret, uint8_t own) {
  *topic = (topic_t){0};
  memcpy(topic->wakeup.capability.bytes, secret, strlen(secret));
  memcpy(topic->wakeup.topic.bytes, "topic", 5);
  topic->wakeup.data = topic;
  topic->wakeup.lookup = on_lookup;
  topic->wakeup.announce = on_announce;
  topic->wakeup.peer = on_peer;
  memset(&topic->own.key, own, 32);
  topic->own.length = own;
}

static void
a_lookup_is_answered (void **state) {
  pair_t *pair = *state;
  topic_t a, b;
  topic_init(&a, "secret", 1);
  topic_init(&b, "secret", 2);
  connect_pair(pair);
  assert_int_equal(ab_wakeup_join(&a.wakeup, pair->a), 0);
  wire_run(&pair->wire);
  assert_int_equal(ab_wakeup_join(&b.wakeup, pair->b), 0);
  assert_int_equal(ab_wakeup_lookup(&b.wakeup, NULL), 0);
  wire_run(&pair->wire);
  assert_running(pair);
  assert_int_equal(a.active, 1);
  assert_int_equal(b.active, 1);
  assert_int_equal(b.count, 1);
  assert_true(ab_head_equal(&b.heads[0], &a.own));
  assert_true(ab_stream_in_sync(pair->wire.ends[1]));
  ab_wakeup_leave(&a.wakeup);
  wire_run(&pair->wire);
  assert_int_equal(b.active, 0);
  ab_wakeup_leave(&b.wakeup);
}

static void
a_wrong_secret_ends_only_the_topic (void **state) {
  pair_t *pair = *state;
  topic_t a, b;
  topic_init(&a, "secret", 1);
  topic_init(&b, "other", 2);
  assert_int_equal(ab_wakeup_join(&a.wakeup, pair->a), 0);
  assert_int_equal(ab_wakeup_join(&b.wakeup, pair->b), 0);
  assert_int_equal(ab_wakeup_lookup(&b.wakeup, NULL), 0);
  connect_pair(pair);
  wire_run(&pair->wire);
  assert_running(pair);
  assert_int_equal(b.count, 0);
  assert_int_equal(a.active, 0);
  ab_wakeup_leave(&a.wakeup);
  ab_wakeup_leave(&b.wakeup);
}

static void
closing_a_store_ends_its_streams (void **state) {
  pair_t *pair = *state;
  int status = 1;
  hypercore_t *from = writer(pair, 5), *to = core_of_key(pair->b, hypercore_key(from));
  hypercore_download_t download = {.data = &status};
  hypercore_follow_t follow = {0};
  connect_pair(pair);
  assert_int_equal(hypercore_download(&download, to, 0, 50, done), 0);
  assert_int_equal(hypercore_follow(&follow, to), 0);
  wire_run(&pair->wire);
  hypercore_close(to);
  ab_store_close(pair->b);
  assert_int_equal(status, AB_ECLOSED);
  assert_int_equal(ab_stream_status(pair->wire.ends[1]), AB_ECLOSED);
  hypercore_unfollow(&follow);
  hypercore_close(from);
  wire_close(&pair->wire);
  pair->b = store_in_memory(&pair->env);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_download_brings_all_blocks, setup, teardown),
    cmocka_unit_test_setup_teardown(bytes_may_come_one_by_one, setup, teardown),
    cmocka_unit_test_setup_teardown(a_followed_core_grows_without_its_blocks, setup, teardown),
    cmocka_unit_test_setup_teardown(
      what_was_staged_before_a_core_was_followed_is_told_at_commit, setup, teardown
    ),
    cmocka_unit_test_setup_teardown(a_missed_read_is_fetched, setup, teardown),
    cmocka_unit_test_setup_teardown(a_live_download_goes_on, setup, teardown),
    cmocka_unit_test_setup_teardown(a_truncated_core_is_followed_to_its_new_fork, setup, teardown),
    cmocka_unit_test_setup_teardown(a_core_nobody_has_is_refused_and_later_offered, setup, teardown),
    cmocka_unit_test_setup_teardown(requests_move_to_another_peer, setup, teardown),
    cmocka_unit_test_setup_teardown(a_peer_that_does_not_read_holds_little, setup, teardown),
    cmocka_unit_test_setup_teardown(silence_ends_a_stream_and_keep_alive_does_not, setup, teardown),
    cmocka_unit_test_setup_teardown(a_handshake_has_a_deadline, setup, teardown),
    cmocka_unit_test_setup_teardown(a_lookup_is_answered, setup, teardown),
    cmocka_unit_test_setup_teardown(a_wrong_secret_ends_only_the_topic, setup, teardown),
    cmocka_unit_test_setup_teardown(closing_a_store_ends_its_streams, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

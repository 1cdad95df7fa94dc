/* test_hostile.c: peers that break the protocol, flood, or never read. */
#include <malloc.h>
#include <stdlib.h>

#include "hypercore/net/raw_peer.h"
#include "hypercore/net/wire.h"

#define IDLE 200

typedef struct {
  test_env_t env;
  ab_store_t *store;
  hypercore_t *core;
  hypercore_follow_t follow;
  ab_stream_t *stream;
  raw_peer_t peer;
} world_t;

static int
setup (void **state) {
  world_t *world = calloc(1, sizeof(*world));
  test_env_init(&world->env, 3);
  world->store = store_in_memory(&world->env);
  world->core = core_named(world->store, "log");
  append_numbered(world->core, 10);
  assert_int_equal(ab_store_commit(world->store), 0);
  assert_int_equal(hypercore_follow(&world->follow, world->core), 0);
  assert_int_equal(ab_stream_open(world->store, NULL, &world->stream), 0);
  raw_peer_init(&world->peer, true, 1);
  *state = world;
  return 0;
}

static int
teardown (void **state) {
  world_t *world = *state;
  ab_stream_close(world->stream);
  raw_peer_destroy(&world->peer);
  hypercore_unfollow(&world->follow);
  hypercore_close(world->core);
  ab_store_close(world->store);
  free(world);
  return 0;
}

static void
run (world_t *world) {
  raw_peer_run(&world->peer, world->stream);
}

/* The handshake, and the core's channel. */
static void
begin (world_t *world) {
  run(world);
  assert_true(world->peer.is_open);
  raw_peer_open(&world->peer, hypercore_key(world->core), NULL);
  run(world);
  assert_true(world->peer.paired);
}

static void
assert_ended (world_t *world, int status) {
  if (ab_stream_status(world->stream) != status) {
    fail_msg("%s: %s", ab_err_name(ab_stream_status(world->stream)), ab_stream_message(world->stream));
  }
  assert_true(strlen(ab_stream_message(world->stream)) > 0);
}

static int
feed (world_t *world, const void *bytes, size_t len) {
  size_t taken;
  return ab_stream_feed(world->stream, ab_slice(bytes, len), &taken);
}

static void
ask (world_t *world, const ab_request_t *request) {
  ab_buf_t message = {0};
  ab_request_encode(&message, request);
  raw_peer_send(&world->peer, AB__REQUEST, ab_buf_slice(&message));
  ab_buf_destroy(&message);
}

/* ---- the handshake ---- */

static void
garbage_ends_the_handshake (void **state) {
  world_t *world = *state;
  static const uint8_t zeros[64] = {32}; /* a frame with a point of small order */
  assert_int_equal(feed(world, zeros, 35), AB_ECORRUPT);
  assert_ended(world, AB_ECORRUPT);
}

static void
a_frame_too_long_for_a_handshake_is_refused_at_once (void **state) {
  world_t *world = *state;
  static const uint8_t prefix[3] = {0x01, 0x04, 0x00};
  assert_int_equal(feed(world, prefix, sizeof(prefix)), AB_ECORRUPT);
}

static void
two_initiators_fail (void **state) {
  world_t *world = *state;
  ab_stream_options_t options = ab_stream_options_default();
  options.initiator = true;
  ab_stream_close(world->stream);
  assert_int_equal(ab_stream_open(world->store, &options, &world->stream), 0);
  run(world);
  assert_ended(world, AB_ECORRUPT);
}

static void
two_responders_run_into_the_deadline (void **state) {
  world_t *world = *state;
  raw_peer_destroy(&world->peer);
  raw_peer_init(&world->peer, false, 1);
  run(world);
  assert_int_equal(ab_stream_status(world->stream), 0);
  world->env.now_ms += 10000;
  run(world);
  assert_ended(world, AB_ETIMEDOUT);
}

/* ---- frames ---- */

static void
a_changed_frame_ends_the_stream (void **state) {
  world_t *world = *state;
  begin(world);
  raw_peer_send(&world->peer, AB__CANCEL, ab_slice("\x01", 1));
  world->peer.tx.data[world->peer.tx.len - 1] ^= 1;
  run(world);
  assert_ended(world, AB_ECORRUPT);
}

static void
a_frame_that_never_ends_costs_what_came_of_it (void **state) {
  world_t *world = *state;
  ab_stream_stats_t stats;
  static const uint8_t prefix[3] = {0xff, 0xff, 0xff};
  begin(world);
  assert_int_equal(feed(world, prefix, sizeof(prefix)), 0);
  for (int i = 0; i < 100; i++) assert_int_equal(feed(world, "x", 1), 0);
  ab_stream_stats(world->stream, &stats);
  assert_true(stats.memory < 64 * 1024);
}

static void
batches_inside_batches_have_a_limit (void **state) {
  world_t *world = *state;
  ab_buf_t frame = {0}, inner = {0};
  begin(world);
  for (int i = 0; i < 20; i++) {
    ab_buf_reset(&frame);
    ab_write_uint(&frame, 0); /* type: batch */
    ab_write_uint(&frame, 0); /* of control messages */
    ab_write_buffer(&frame, ab_buf_slice(&inner));
    ab_buf_t swap = inner;
    inner = frame;
    frame = swap;
  }
  ab_buf_reset(&frame);
  ab_write_uint(&frame, 0);
  ab_buf_append(&frame, ab_buf_slice(&inner));
  raw_peer_send_frame(&world->peer, ab_buf_slice(&frame));
  run(world);
  assert_ended(world, AB_ECORRUPT);
  ab_buf_destroy(&frame);
  ab_buf_destroy(&inner);
}

/* ---- cores ---- */

static void
a_core_is_not_opened_to_who_does_not_know_its_key (void **state) {
  world_t *world = *state;
  ab_key_t other = *hypercore_key(world->core);
  other.bytes[0] ^= 1;
  run(world);
  raw_peer_open(&world->peer, hypercore_key(world->core), &other);
  run(world);
  assert_ended(world, AB_ECORRUPT);
  assert_int_equal(world->peer.count, 0); /* not even its length */
}

static void
an_unknown_core_is_rejected_and_the_rest_goes_on (void **state) {
  world_t *world = *state;
  ab_key_t other = *hypercore_key(world->core);
  other.bytes[0] ^= 1;
  run(world);
  raw_peer_open(&world->peer, &other, NULL);
  run(world);
  assert_true(world->peer.closed);
  assert_int_equal(ab_stream_status(world->stream), 0);
}

static void
told_of_output (ab_stream_t *stream, void *data) {
  (void) stream;
  *(bool *) data = true;
}

static void
a_rejection_is_something_to_take (void **state) {
  world_t *world = *state;
  ab_stream_options_t options = ab_stream_options_default();
  bool is_told = false;
  ab_key_t other = *hypercore_key(world->core);
  other.bytes[0] ^= 1;
  options.on_output = told_of_output;
  options.data = &is_told;
  ab_stream_close(world->stream);
  assert_int_equal(ab_stream_open(world->store, &options, &world->stream), 0);
  run(world);
  raw_peer_open(&world->peer, &other, NULL);
  is_told = false;
  assert_int_equal(feed(world, world->peer.tx.data, world->peer.tx.len), 0);
  ab_buf_reset(&world->peer.tx);
  assert_true(is_told);
  run(world);
  assert_true(world->peer.closed);
}

static void
a_message_that_does_not_decode_ends_the_stream (void **state) {
  world_t *world = *state;
  begin(world);
  raw_peer_send(&world->peer, AB__SYNC, ab_slice("\x01", 1));
  run(world);
  assert_ended(world, AB_ECORRUPT);
}

static void
a_flood_of_requests_ends_the_stream (void **state) {
  world_t *world = *state;
  size_t taken;
  begin(world);
  for (uint64_t id = 1; id <= 5000; id++) {
    ab_request_t request = {.id = id, .has_block = true};
    ask(world, &request);
  }
  ab_stream_feed(world->stream, ab_buf_slice(&world->peer.tx), &taken);
  ab_buf_reset(&world->peer.tx);
  assert_ended(world, AB_ETOOBIG);
}

static void
a_peer_that_never_reads_holds_little (void **state) {
  world_t *world = *state;
  ab_stream_stats_t stats;
  ab_slice_t out;
  size_t taken, most = 0;
  size_t size = (size_t) 15 << 20;
  uint8_t *big = calloc(1, size);
  ab_slice_t block = ab_slice(big, size);
  assert_int_equal(hypercore_append(world->core, &block, 1, NULL), 0);
  assert_int_equal(ab_store_commit(world->store), 0);
  begin(world);
  for (uint64_t id = 1; id <= 4000; id++) {
    ab_request_t request = {.id = id, .has_block = true, .block = {.index = 10}};
    ask(world, &request);
    raw_peer_send(&world->peer, AB__SYNC, ab_slice("\x07\x00\x00\x00", 4));
    ab_stream_feed(world->stream, ab_buf_slice(&world->peer.tx), &taken);
    ab_buf_reset(&world->peer.tx);
  }
  assert_int_equal(ab_stream_take(world->stream, &out), 0); /* it lies in a socket, say */
  for (int i = 0; i < 1000; i++) {
    append_numbered(world->core, 1);
    assert_int_equal(ab_store_commit(world->store), 0);
    ab_store_run(world->store, 10, NULL);
    ab_stream_stats(world->stream, &stats);
    if (stats.memory > most) most = stats.memory;
  }
  assert_int_equal(ab_stream_status(world->stream), 0);
  print_message(
    "a peer that never reads, of blocks of 15 MiB: %zu bytes in the socket, %zu held\n", out.len, most
  );
  assert_true(most <= (size_t) 16 << 20);
  free(big);
}

static void
wants_of_any_shape_are_answered_or_ignored (void **state) {
  world_t *world = *state;
  static const uint64_t values[] = {0, 1, 31, 2097152, 2097153, AB_MAX_SAFE};
  assert_int_equal(hypercore_clear(world->core, 3, 4), 0);
  assert_int_equal(ab_store_commit(world->store), 0);
  begin(world);
  for (size_t i = 0; i < 6; i++) {
    for (size_t j = 0; j < 6; j++) {
      for (int any = 0; any < 2; any++) {
        ab_buf_t message = {0};
        ab__want_encode(&message, &(ab__want_t){values[i], values[j], any == 1});
        raw_peer_send(&world->peer, AB__WANT, ab_buf_slice(&message));
        ab_buf_destroy(&message);
        run(world);
      }
    }
  }
  assert_int_equal(ab_stream_status(world->stream), 0);
}

static void
ranges_of_any_shape_cost_little (void **state) {
  world_t *world = *state;
  static const uint64_t values[] = {0, 1, 5000, 1u << 30, AB_MAX_SAFE};
  ab_stream_stats_t stats;
  begin(world);
  for (size_t i = 0; i < 5; i++) {
    for (size_t j = 0; j < 5; j++) {
      for (int drop = 0; drop < 2; drop++) {
        ab_buf_t message = {0};
        ab__range_encode(&message, &(ab__range_msg_t){drop == 1, values[i], values[j]});
        raw_peer_send(&world->peer, AB__RANGE, ab_buf_slice(&message));
        ab_buf_destroy(&message);
        run(world);
      }
    }
  }
  for (uint64_t i = 1; i < 20000; i++) {
    ab_buf_t message = {0};
    ab__range_encode(&message, &(ab__range_msg_t){false, i * 10000, 1});
    raw_peer_send(&world->peer, AB__RANGE, ab_buf_slice(&message));
    ab_buf_destroy(&message);
  }
  run(world);
  ab_stream_stats(world->stream, &stats);
  assert_int_equal(ab_stream_status(world->stream), 0);
  assert_true(stats.memory < 4 << 20);
}

/* ---- a source that lies ---- */

/* The stream's store reads a core of the peer, which says it has 5 blocks. */
static hypercore_t *
lure (world_t *world, hypercore_download_t *download, ab_store_t *other) {
  hypercore_t *theirs = core_named(other, "theirs");
  append_numbered(theirs, 5);
  assert_int_equal(ab_store_commit(other), 0);
  hypercore_t *core = core_of_key(world->store, hypercore_key(theirs));
  assert_int_equal(hypercore_download(download, core, 0, 5, NULL), 0);
  run(world);
  raw_peer_open(&world->peer, hypercore_key(theirs), NULL);
  run(world);
  ab_buf_t message = {0};
  ab__range_encode(&message, &(ab__range_msg_t){.length = 5});
  raw_peer_send(&world->peer, AB__RANGE, ab_buf_slice(&message));
  ab_buf_reset(&message);
  ab__sync_t sync = {
    .length = 5, .can_upgrade = true, .uploading = true, .downloading = true, .has_manifest = true};
  ab__sync_encode(&message, &sync);
  raw_peer_send(&world->peer, AB__SYNC, ab_buf_slice(&message));
  ab_buf_destroy(&message);
  run(world);
  hypercore_close(core);
  return theirs;
}

/* The requests that came, from number `from` on. */
static size_t
count_requests (const raw_peer_t *peer, size_t from, ab_request_t *last) {
  size_t count = 0;
  for (size_t i = from; i < peer->count; i++) {
    if (peer->messages[i].type != AB__REQUEST) continue;
    count++;
    if (last != NULL) assert_int_equal(ab_request_decode(peer->messages[i].payload, last), 0);
  }
  return count;
}

static void
refusals_are_not_asked_again_at_once (void **state) {
  world_t *world = *state;
  hypercore_download_t download = {0};
  ab_store_t *other = store_in_memory(&world->env);
  hypercore_t *theirs = lure(world, &download, other);
  ab_request_t request;
  assert_int_equal(count_requests(&world->peer, 0, &request), 1);
  assert_true(request.has_upgrade);
  for (int i = 0; i < 50; i++) {
    ab_buf_t message = {0};
    size_t before = world->peer.count;
    ab__no_data_encode(&message, &(ab__no_data_t){request.id, AB__NOT_VALID});
    raw_peer_send(&world->peer, AB__NO_DATA, ab_buf_slice(&message));
    ab_buf_destroy(&message);
    run(world);
    assert_int_equal(count_requests(&world->peer, before, NULL), 0);
  }
  assert_int_equal(ab_stream_status(world->stream), 0);
  hypercore_close(theirs);
  ab_store_close(other);
  hypercore_download_cancel(&download);
  run(world);
}

static void
a_proof_that_does_not_verify_ends_the_stream (void **state) {
  world_t *world = *state;
  hypercore_download_t download = {0};
  ab_store_t *other = store_in_memory(&world->env);
  hypercore_t *theirs = lure(world, &download, other);
  ab_request_t request;
  ab_arena_t arena = {0};
  ab_proof_t proof;
  ab_buf_t message = {0};
  assert_int_equal(count_requests(&world->peer, 0, &request), 1);
  assert_int_equal(hypercore_prove(theirs, &request, &arena, &proof), 0);
  ab_proof_encode(&message, &proof);
  message.data[message.len / 4] ^= 1;
  raw_peer_send(&world->peer, AB__DATA, ab_buf_slice(&message));
  run(world);
  assert_ended(world, AB_ECORRUPT);
  ab_buf_destroy(&message);
  ab_arena_destroy(&arena);
  hypercore_close(theirs);
  ab_store_close(other);
  hypercore_download_cancel(&download);
  ab_store_run(world->store, 10, NULL);
}

static void
requests_without_an_answer_are_cancelled (void **state) {
  world_t *world = *state;
  hypercore_download_t download = {0};
  ab_store_t *other = store_in_memory(&world->env);
  hypercore_t *theirs = lure(world, &download, other);
  size_t before = world->peer.count, cancels = 0;
  for (int i = 0; i < 7; i++) {
    world->env.now_ms += 5000;
    raw_peer_send_frame(&world->peer, ab_slice(NULL, 0)); /* alive, but no answer */
    run(world);
  }
  for (size_t i = before; i < world->peer.count; i++) cancels += world->peer.messages[i].type == AB__CANCEL;
  assert_int_equal(cancels, 1);
  assert_int_equal(count_requests(&world->peer, before, NULL), 0);
  assert_int_equal(ab_stream_status(world->stream), 0);
  hypercore_close(theirs);
  ab_store_close(other);
  hypercore_download_cancel(&download);
  run(world);
}

/* ---- cost ---- */

static void
an_idle_connection_is_small (void **state) {
  world_t *world = *state;
  ab_store_t *other = store_in_memory(&world->env);
  hypercore_t *core = core_of_key(other, hypercore_key(world->core));
  hypercore_download_t download = {0};
  wire_t *wires = calloc(IDLE, sizeof(*wires));
  ab_stream_stats_t stats;
  size_t most = 0;
  assert_int_equal(hypercore_download(&download, core, 0, HYPERCORE_LIVE, NULL), 0);
  size_t before = mallinfo2().uordblks;
  for (int i = 0; i < IDLE; i++) {
    wire_open(&wires[i], other, NULL, world->store, NULL);
    wire_run(&wires[i]);
  }
  append_numbered(world->core, 100);
  assert_int_equal(ab_store_commit(world->store), 0);
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < IDLE; i++) wire_run(&wires[i]);
  }
  assert_int_equal(hypercore_contiguous_length(core), 110);
  size_t each = (mallinfo2().uordblks - before) / (2 * IDLE);
  for (int i = 0; i < IDLE; i++) {
    for (int end = 0; end < 2; end++) {
      assert_int_equal(ab_stream_status(wires[i].ends[end]), 0);
      ab_stream_stats(wires[i].ends[end], &stats);
      if (stats.memory > most) most = stats.memory;
    }
  }
  print_message(
    "%d idle connections: %zu bytes each by the heap, at most %zu by their own account\n", IDLE, each, most
  );
  assert_true(most <= 256 * 1024);
  assert_true(each <= 256 * 1024);
  for (int i = 0; i < IDLE; i++) wire_close(&wires[i]);
  hypercore_download_cancel(&download);
  hypercore_close(core);
  ab_store_close(other);
  free(wires);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(garbage_ends_the_handshake, setup, teardown),
    cmocka_unit_test_setup_teardown(a_frame_too_long_for_a_handshake_is_refused_at_once, setup, teardown),
    cmocka_unit_test_setup_teardown(two_initiators_fail, setup, teardown),
    cmocka_unit_test_setup_teardown(two_responders_run_into_the_deadline, setup, teardown),
    cmocka_unit_test_setup_teardown(a_changed_frame_ends_the_stream, setup, teardown),
    cmocka_unit_test_setup_teardown(a_frame_that_never_ends_costs_what_came_of_it, setup, teardown),
    cmocka_unit_test_setup_teardown(batches_inside_batches_have_a_limit, setup, teardown),
    cmocka_unit_test_setup_teardown(a_core_is_not_opened_to_who_does_not_know_its_key, setup, teardown),
    cmocka_unit_test_setup_teardown(an_unknown_core_is_rejected_and_the_rest_goes_on, setup, teardown),
    cmocka_unit_test_setup_teardown(a_rejection_is_something_to_take, setup, teardown),
    cmocka_unit_test_setup_teardown(a_message_that_does_not_decode_ends_the_stream, setup, teardown),
    cmocka_unit_test_setup_teardown(a_flood_of_requests_ends_the_stream, setup, teardown),
    cmocka_unit_test_setup_teardown(a_peer_that_never_reads_holds_little, setup, teardown),
    cmocka_unit_test_setup_teardown(wants_of_any_shape_are_answered_or_ignored, setup, teardown),
    cmocka_unit_test_setup_teardown(ranges_of_any_shape_cost_little, setup, teardown),
    cmocka_unit_test_setup_teardown(refusals_are_not_asked_again_at_once, setup, teardown),
    cmocka_unit_test_setup_teardown(a_proof_that_does_not_verify_ends_the_stream, setup, teardown),
    cmocka_unit_test_setup_teardown(requests_without_an_answer_are_cancelled, setup, teardown),
    cmocka_unit_test_setup_teardown(an_idle_connection_is_small, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

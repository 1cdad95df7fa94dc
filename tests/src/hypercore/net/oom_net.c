/* oom_net.c: every allocation of a connection fails once: the stream ends or goes on, nothing leaks, and the
 * next connection brings what this one did not. */
#include <stdlib.h>

#include "hypercore/net/wire.h"
#include "support/failing_alloc.h"

#define BLOCKS 40

typedef struct {
  test_env_t env;
  ab_store_t *a, *b;
  hypercore_t *from, *to;
  hypercore_download_t download;
  ab_wakeup_t topics[2];
  int status;
} world_t;

static void
done (hypercore_download_t *download, int status) {
  *(int *) download->data = status;
}

static void
on_lookup (ab_wakeup_t *wakeup, ab_stream_t *stream) {
  ab_head_t head = {.length = 3};
  (void) ab_wakeup_announce(wakeup, stream, &head, 1);
}

static void
world_init (world_t *world) {
  *world = (world_t){.status = 1};
  test_env_init(&world->env, 5);
  world->a = store_in_memory(&world->env);
  world->b = store_in_memory(&world->env);
  world->from = core_named(world->a, "log");
  append_numbered(world->from, BLOCKS);
  assert_int_equal(ab_store_commit(world->a), 0);
  world->to = core_of_key(world->b, hypercore_key(world->from));
  world->download.data = &world->status;
}

static void
world_destroy (world_t *world) {
  hypercore_close(world->from);
  hypercore_close(world->to);
  ab_store_close(world->a);
  ab_store_close(world->b);
}

/* Bytes both ways until nothing moves; whatever fails, fails. */
static void
carry (ab_stream_t *ends[2]) {
  for (int quiet = 0, rounds = 0; quiet < 3 && rounds < 1000; rounds++) {
    quiet++;
    for (int from = 0; from < 2; from++) {
      ab_slice_t out;
      size_t taken;
      if (ends[from] == NULL || ab_stream_take(ends[from], &out) < 0 || out.len == 0) continue;
      quiet = 0;
      if (ends[1 - from] != NULL) ab_stream_feed(ends[1 - from], out, &taken);
      ab_store_run(ab_stream_store(ends[from]), 10, NULL);
      if (ends[1 - from] != NULL) ab_store_run(ab_stream_store(ends[1 - from]), 10, NULL);
    }
  }
}

static void
connect_once (world_t *world) {
  ab_stream_t *ends[2] = {NULL, NULL};
  ab_stream_options_t options = ab_stream_options_default();
  if (ab_stream_open(world->a, &options, &ends[0]) < 0) ends[0] = NULL;
  options.initiator = true;
  if (ab_stream_open(world->b, &options, &ends[1]) < 0) ends[1] = NULL;
  carry(ends);
  for (int i = 0; i < 2; i++) ab_stream_close(ends[i]);
}

static void
any_allocation_of_a_connection_may_fail (void **state) {
  bool failed = true;
  size_t n;
  (void) state;
  for (n = 1; failed; n++) {
    world_t world;
    world_init(&world);
    failing_alloc_arm(n, FAILING_ALLOC_ONCE);
    int err = hypercore_download(&world.download, world.to, 0, BLOCKS, done);
    for (int i = 0; i < 2; i++) {
      memset(world.topics[i].topic.bytes, 7, 32);
      world.topics[i].lookup = on_lookup;
      if (ab_wakeup_join(&world.topics[i], i == 0 ? world.a : world.b) == 0) {
        (void) ab_wakeup_lookup(&world.topics[i], NULL);
      }
    }
    connect_once(&world);
    failed = failing_alloc_disarm();
    if (err < 0) {
      assert_int_equal(err, AB_ENOMEM);
      assert_int_equal(hypercore_download(&world.download, world.to, 0, BLOCKS, done), 0);
    }
    for (int tries = 0; tries < 3 && world.status == 1; tries++) connect_once(&world);
    ab_store_run(world.b, 10, NULL);
    if (world.status != 0) fail_msg("allocation %zu: status %d", n, world.status);
    for (int i = 0; i < 2; i++) ab_wakeup_leave(&world.topics[i]);
    world_destroy(&world);
  }
  print_message("%zu allocations\n", n - 2);
}

int
main (void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(any_allocation_of_a_connection_may_fail)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

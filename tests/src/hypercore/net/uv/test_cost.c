/* What connections cost over real sockets: many that are idle, and one whose other side never reads. */
#include "hypercore/net/uv/uv.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hypercore/net/raw_peer.h"
#include "hypercore/stores.h"

#define IDLE 200
#define IDLE_MAX ((size_t) 256 * 1024)
#define UNREAD_MAX ((size_t) 16 << 20)
#define REQUESTS 4000
#define PATIENCE_MS 60000

typedef struct {
  uv_loop_t loop;
  uv_timer_t patience;
  ab_store_t *store;
  hypercore_t *core;
  hypercore_follow_t follow;
  ab_uv_t *uv;
  unsigned port;
  size_t open; /* connections whose core is open, in the last count */
  ab_stream_stats_t stats, most;
} world_t;

/* ---- the world ---- */

extern size_t
__sanitizer_get_current_allocated_bytes (void) __attribute__((weak));

/* Bytes of this process that are allocated. */
static size_t
heap (void) {
  if (__sanitizer_get_current_allocated_bytes != NULL) return __sanitizer_get_current_allocated_bytes();
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

static void
on_late (uv_timer_t *timer) {
  (void) timer;
  fail_msg("nothing came of it for %d s", PATIENCE_MS / 1000);
}

static int
setup (void **state) {
  world_t *world = calloc(1, sizeof(*world));
  uv_loop_init(&world->loop);
  uv_timer_init(&world->loop, &world->patience);
  uv_timer_start(&world->patience, on_late, PATIENCE_MS, 0);
  world->store = store_at(NULL);
  world->core = core_named(world->store, "log");
  append_numbered(world->core, 10);
  assert_ok(world->store, ab_store_commit(world->store));
  assert_int_equal(hypercore_follow(&world->follow, world->core), 0);
  assert_int_equal(ab_uv_open(world->store, &world->loop, NULL, &world->uv), 0);
  assert_int_equal(ab_uv_listen(world->uv, "tcp:127.0.0.1:0", &world->port), 0);
  *state = world;
  return 0;
}

static void
on_closed (void *data) {
  *(bool *) data = true;
}

static void
close_uv (world_t *world, ab_uv_t *uv) {
  bool is_closed = false;
  ab_uv_close(uv, on_closed, &is_closed);
  while (!is_closed) uv_run(&world->loop, UV_RUN_ONCE);
}

static int
teardown (void **state) {
  world_t *world = *state;
  close_uv(world, world->uv);
  uv_close((uv_handle_t *) &world->patience, NULL);
  uv_run(&world->loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&world->loop), 0);
  hypercore_unfollow(&world->follow);
  hypercore_close(world->core);
  assert_int_equal(ab_store_close(world->store), 0);
  free(world);
  return 0;
}

static int
look_at (void *data, ab_uv_peer_t *peer) {
  world_t *world = data;
  const ab_stream_t *stream = ab_uv_peer_stream(peer);
  const ab_key_t *key = hypercore_discovery_key(world->core);
  ab_stream_stats(stream, &world->stats);
  if (ab_stream_core_state(stream, key) == AB_CORE_OPEN) world->open++;
  if (world->stats.memory > world->most.memory) world->most = world->stats;
  return 0;
}

static void
look (world_t *world, ab_uv_t *uv) {
  world->open = 0;
  ab_uv_each_peer(uv, look_at, world);
}

static void
grow (world_t *world, size_t count) {
  append_numbered(world->core, count);
  assert_ok(world->store, ab_store_commit(world->store));
  ab_uv_wake(world->uv);
}

/* ---- idle ---- */

static void
an_idle_connection_costs_little (void **state) {
  world_t *world = *state;
  ab_store_t *other = store_at(NULL);
  hypercore_t *core = core_of_key(other, hypercore_key(world->core));
  hypercore_download_t download = {0};
  ab_uv_t *uv;
  char address[64];
  snprintf(address, sizeof(address), "tcp:127.0.0.1:%u", world->port);
  assert_int_equal(hypercore_download(&download, core, 0, HYPERCORE_LIVE, NULL), 0);
  assert_int_equal(ab_uv_open(other, &world->loop, NULL, &uv), 0);
  uv_run(&world->loop, UV_RUN_NOWAIT);

  size_t before = heap();
  for (int i = 0; i < IDLE; i++) assert_int_equal(ab_uv_connect(uv, address, NULL, NULL), 0);
  for (look(world, uv); world->open < IDLE; look(world, uv)) uv_run(&world->loop, UV_RUN_ONCE);
  grow(world, 100);
  while (hypercore_contiguous_length(core) < 110) uv_run(&world->loop, UV_RUN_ONCE);
  for (int i = 0; i < 100; i++) uv_run(&world->loop, UV_RUN_NOWAIT); /* everybody has been told */
  size_t each = (heap() - before) / (2 * (size_t) IDLE);

  world->most = (ab_stream_stats_t){0};
  look(world, uv);
  look(world, world->uv);
  assert_int_equal(world->open, IDLE);
  print_message(
    "%d idle connections: %zu bytes each by the heap, at most %zu by their own account\n",
    IDLE,
    each,
    (size_t) world->most.memory
  );
  assert_true(each > 0 && each <= IDLE_MAX);
  assert_true(world->most.memory <= IDLE_MAX);
  close_uv(world, uv);
  hypercore_download_cancel(&download);
  hypercore_close(core);
  assert_int_equal(ab_store_close(other), 0);
}

/* ---- never reading ---- */

static int
connect_to (unsigned port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(connect(fd, (const struct sockaddr *) &at, sizeof(at)), 0);
  return fd;
}

static void
send_all (world_t *world, raw_peer_t *peer, int fd) {
  for (size_t at = 0; at < peer->tx.len;) {
    ssize_t sent = send(fd, peer->tx.data + at, peer->tx.len - at, MSG_DONTWAIT);
    if (sent > 0) at += (size_t) sent;
    uv_run(&world->loop, UV_RUN_NOWAIT);
  }
  ab_buf_reset(&peer->tx);
}

static void
listen_to (world_t *world, raw_peer_t *peer, int fd) {
  uint8_t bytes[4096];
  send_all(world, peer, fd);
  uv_run(&world->loop, UV_RUN_NOWAIT);
  ssize_t len = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
  if (len > 0) raw_peer_feed(peer, ab_slice(bytes, (size_t) len));
  assert_int_equal(peer->err, 0);
}

static void
ask_for_block (raw_peer_t *peer, uint64_t id, uint64_t index) {
  ab_buf_t message = {0};
  ab_request_encode(&message, &(ab_request_t){.id = id, .has_block = true, .block = {.index = index}});
  raw_peer_send(peer, AB__REQUEST, ab_buf_slice(&message));
  ab_buf_destroy(&message);
}

static void
a_peer_that_never_reads_costs_little (void **state) {
  world_t *world = *state;
  raw_peer_t peer;
  size_t size = (size_t) 15 << 20, most = 0;
  uint8_t *big = calloc(1, size);
  ab_slice_t block = ab_slice(big, size);
  assert_int_equal(hypercore_append(world->core, &block, 1, NULL), 0);
  assert_ok(world->store, ab_store_commit(world->store));

  int fd = connect_to(world->port);
  raw_peer_init(&peer, true, 1);
  while (!peer.is_open) listen_to(world, &peer, fd);
  raw_peer_open(&peer, hypercore_key(world->core), NULL);
  while (!peer.paired) listen_to(world, &peer, fd);

  size_t before = heap();
  for (uint64_t id = 1; id <= REQUESTS; id++) {
    ask_for_block(&peer, id, 10);
    send_all(world, &peer, fd);
    if (heap() > before + most) most = heap() - before;
  }
  for (int i = 0; i < 500; i++) {
    grow(world, 1);
    uv_run(&world->loop, UV_RUN_NOWAIT);
    if (heap() > before + most) most = heap() - before;
  }
  look(world, world->uv);
  /* the system may hold back the last requests for a while */
  while (world->open == 1 && world->stats.answers_owed <= REQUESTS - 10) {
    uv_run(&world->loop, UV_RUN_ONCE);
    look(world, world->uv);
  }
  assert_int_equal(world->open, 1); /* it is still there, and owed nearly all */
  print_message(
    "a peer that never reads, of blocks of 15 MiB: %zu bytes by the heap, at most %zu by its own account\n",
    most,
    (size_t) world->most.memory
  );
  assert_true(most > 0 && most <= UNREAD_MAX);
  assert_true(world->most.memory <= UNREAD_MAX);
  close(fd);
  raw_peer_destroy(&peer);
  free(big);
}

int
main (void) {
  signal(SIGPIPE, SIG_IGN);
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(an_idle_connection_costs_little, setup, teardown),
    cmocka_unit_test_setup_teardown(a_peer_that_never_reads_costs_little, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

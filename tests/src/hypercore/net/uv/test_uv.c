/* Cores that travel over real sockets, pipes and children, on a real loop. */
#include "hypercore/net/uv/uv.h"

#include "hypercore/stores.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_MS 20000
#define BLOCKS 300

typedef struct {
  ab_store_t *store;
  ab_uv_t *uv;
  hypercore_t *core;
  hypercore_follow_t follow;
  hypercore_download_t download;
  unsigned connections, disconnections, ends;
  int status; /* of the last end */
  char message[256];
  bool is_closed;
} side_t;

typedef struct {
  uv_loop_t loop;
  uv_timer_t patience;
  bool is_late;
  side_t writer, reader;
} world_t;

/* ---- the world ---- */

static void
on_late (uv_timer_t *timer) {
  world_t *world = timer->data;
  world->is_late = true;
}

/* Until `is_done`; a test that never is fails. */
static void
run_until (world_t *world, bool (*is_done)(world_t *world)) {
  world->is_late = false;
  uv_timer_start(&world->patience, on_late, PATIENCE_MS, 0);
  while (!is_done(world) && !world->is_late) uv_run(&world->loop, UV_RUN_ONCE);
  uv_timer_stop(&world->patience);
  assert_false(world->is_late);
}

static void
on_connection (ab_uv_t *uv, ab_uv_peer_t *peer, void *data) {
  (void) uv;
  (void) peer;
  ((side_t *) data)->connections++;
}

static void
on_disconnection (ab_uv_t *uv, ab_uv_peer_t *peer, int status, const char *message, void *data) {
  side_t *side = data;
  (void) uv;
  (void) peer;
  side->disconnections++;
  side->status = status;
  snprintf(side->message, sizeof(side->message), "%s", message);
}

static void
on_end (ab_uv_dial_t *dial, int status, const char *message, void *data) {
  side_t *side = data;
  (void) dial;
  side->ends++;
  side->status = status;
  snprintf(side->message, sizeof(side->message), "%s", message);
}

static void
on_closed (void *data) {
  ((side_t *) data)->is_closed = true;
}

static void
open_side (world_t *world, side_t *side) {
  ab_uv_options_t options = ab_uv_options_default();
  options.retry_min_ms = 20;
  options.retry_max_ms = 100;
  options.on_connection = on_connection;
  options.on_disconnection = on_disconnection;
  options.data = side;
  side->store = store_at(NULL);
  assert_int_equal(ab_uv_open(side->store, &world->loop, &options, &side->uv), 0);
}

static int
setup (void **state) {
  world_t *world = calloc(1, sizeof(*world));
  uv_loop_init(&world->loop);
  uv_timer_init(&world->loop, &world->patience);
  world->patience.data = world;
  open_side(world, &world->writer);
  open_side(world, &world->reader);
  world->writer.core = core_named(world->writer.store, "log");
  append_numbered(world->writer.core, BLOCKS);
  assert_ok(world->writer.store, ab_store_commit(world->writer.store));
  world->reader.core = core_of_key(world->reader.store, hypercore_key(world->writer.core));
  assert_int_equal(
    hypercore_download(&world->reader.download, world->reader.core, 0, HYPERCORE_LIVE, NULL), 0
  );
  *state = world;
  return 0;
}

static bool
both_closed (world_t *world) {
  return world->writer.is_closed && world->reader.is_closed;
}

static void
close_side (side_t *side) {
  hypercore_close(side->core);
  assert_int_equal(ab_store_close(side->store), 0);
}

static int
teardown (void **state) {
  world_t *world = *state;
  ab_uv_close(world->writer.uv, on_closed, &world->writer);
  ab_uv_close(world->reader.uv, on_closed, &world->reader);
  run_until(world, both_closed);
  uv_close((uv_handle_t *) &world->patience, NULL);
  while (uv_run(&world->loop, UV_RUN_DEFAULT) != 0) {
  }
  close_side(&world->writer);
  close_side(&world->reader);
  assert_int_equal(uv_loop_close(&world->loop), 0); /* nothing is left on it */
  free(world);
  return 0;
}

static bool
reader_has_all (world_t *world) {
  uint64_t length = hypercore_length(world->writer.core);
  return hypercore_contiguous_length(world->reader.core) == length;
}

static bool
reader_has_lost_it (world_t *world) {
  return world->reader.disconnections > 0;
}

static bool
reader_was_refused (world_t *world) {
  return world->reader.ends > 0;
}

static void
listen_tcp (side_t *side, char address[64]) {
  unsigned port;
  assert_int_equal(ab_uv_listen(side->uv, "tcp:127.0.0.1:0", &port), 0);
  assert_int_not_equal(port, 0);
  snprintf(address, 64, "tcp:127.0.0.1:%u", port);
}

static void
connect_reader (world_t *world, const char *address, bool once, ab_uv_dial_t **dial) {
  ab_uv_connect_options_t options = ab_uv_connect_options_default();
  options.once = once;
  options.on_end = on_end;
  options.data = &world->reader;
  assert_int_equal(ab_uv_connect(world->reader.uv, address, &options, dial), 0);
}

/* ---- kinds ---- */

static void
a_core_travels_over_tcp (void **state) {
  world_t *world = *state;
  char address[64];
  listen_tcp(&world->writer, address);
  connect_reader(world, address, true, NULL);
  run_until(world, reader_has_all);
  assert_numbered(world->reader.core, 0, BLOCKS);
  assert_int_equal(ab_uv_connections(world->reader.uv), 1);
  assert_int_equal(world->writer.connections, 1);
}

static void
what_is_appended_later_travels_too (void **state) {
  world_t *world = *state;
  char address[64];
  listen_tcp(&world->writer, address);
  connect_reader(world, address, true, NULL);
  run_until(world, reader_has_all);
  append_numbered(world->writer.core, BLOCKS);
  assert_ok(world->writer.store, ab_store_commit(world->writer.store));
  ab_uv_wake(world->writer.uv);
  run_until(world, reader_has_all);
  assert_numbered(world->reader.core, BLOCKS, 2 * BLOCKS);
}

static void
a_core_travels_over_a_unix_socket (void **state) {
  world_t *world = *state;
  char dir[TMPDIR_MAX], address[TMPDIR_MAX + 16];
  tmpdir_make(dir);
  snprintf(address, sizeof(address), "unix:%s/peer", dir);
  assert_int_equal(ab_uv_listen(world->writer.uv, address, NULL), 0);
  connect_reader(world, address, true, NULL);
  run_until(world, reader_has_all);
  tmpdir_remove(dir);
}

static void
a_unix_socket_in_a_folder_with_a_long_name_works (void **state) {
  world_t *world = *state;
  char dir[TMPDIR_MAX], address[TMPDIR_MAX + 160], name[121];
  tmpdir_make(dir);
  memset(name, 'n', sizeof(name) - 1);
  name[sizeof(name) - 1] = 0;
  snprintf(address, sizeof(address), "mkdir %s/%s", dir, name);
  assert_int_equal(system(address), 0);
  snprintf(address, sizeof(address), "unix:%s/%s/peer", dir, name);
  assert_int_equal(ab_uv_listen(world->writer.uv, address, NULL), 0);
  connect_reader(world, address, true, NULL);
  run_until(world, reader_has_all);
  tmpdir_remove(dir);
}

static void
a_socket_that_was_left_over_is_replaced (void **state) {
  world_t *world = *state;
  char dir[TMPDIR_MAX], address[TMPDIR_MAX + 16];
  tmpdir_make(dir);
  snprintf(address, sizeof(address), "unix:%s/peer", dir);
  assert_int_equal(ab_uv_listen(world->writer.uv, address, NULL), 0);
  assert_int_equal(ab_uv_listen(world->reader.uv, address, NULL), AB_EINUSE); /* somebody listens */

  /* one that a killed process left */
  struct sockaddr_un left = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_true(snprintf(left.sun_path, sizeof(left.sun_path), "%s/left", dir) < (int) sizeof(left.sun_path));
  assert_int_equal(bind(fd, (const struct sockaddr *) &left, sizeof(left)), 0);
  close(fd);
  snprintf(address, sizeof(address), "unix:%s/left", dir);
  assert_int_equal(ab_uv_listen(world->writer.uv, address, NULL), 0);
  tmpdir_remove(dir);
}

static void
a_core_travels_through_an_attached_socket (void **state) {
  world_t *world = *state;
  int fds[2];
  ab_uv_connect_options_t options = ab_uv_connect_options_default();
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  assert_int_equal(ab_uv_attach(world->reader.uv, fds[0], &options, NULL), 0);
  options.respond = true;
  assert_int_equal(ab_uv_attach(world->writer.uv, fds[1], &options, NULL), 0);
  run_until(world, reader_has_all);
}

/* ---- ends ---- */

static void
an_end_is_told_to_both (void **state) {
  world_t *world = *state;
  char address[64];
  ab_uv_dial_t *dial;
  listen_tcp(&world->writer, address);
  connect_reader(world, address, true, &dial);
  run_until(world, reader_has_all);
  ab_uv_peer_end(ab_uv_dial_peer(dial), AB_EINSYNC);
  run_until(world, reader_has_lost_it);
  assert_int_equal(world->reader.status, AB_EINSYNC);
  while (world->writer.disconnections == 0) uv_run(&world->loop, UV_RUN_ONCE);
  assert_int_equal(world->writer.status, AB_EEND);
  assert_int_equal(ab_uv_connections(world->writer.uv), 0);
}

static void
a_refused_connection_says_why (void **state) {
  world_t *world = *state;
  connect_reader(world, "tcp:127.0.0.1:1", true, NULL);
  run_until(world, reader_was_refused);
  assert_int_equal(world->reader.status, AB_EREMOTE);
  assert_non_null(strstr(world->reader.message, "refused"));
}

static void
a_command_that_ends_says_how (void **state) {
  world_t *world = *state;
  connect_reader(world, "exec:exit 7", true, NULL);
  run_until(world, reader_was_refused);
  assert_int_equal(world->reader.status, AB_EEND);
  assert_non_null(strstr(world->reader.message, "exit code 7"));
}

static void
a_command_that_talks_nonsense_is_left (void **state) {
  world_t *world = *state;
  connect_reader(world, "exec:cat /dev/zero", true, NULL);
  run_until(world, reader_was_refused);
  assert_int_equal(world->reader.status, AB_ECORRUPT);
}

/* ---- again ---- */

static bool
was_tried_thrice (world_t *world) {
  return world->reader.ends >= 3;
}

static void
a_connection_is_made_when_there_is_somebody (void **state) {
  world_t *world = *state;
  char dir[TMPDIR_MAX], address[TMPDIR_MAX + 16];
  tmpdir_make(dir);
  snprintf(address, sizeof(address), "unix:%s/peer", dir);
  connect_reader(world, address, false, NULL);
  run_until(world, was_tried_thrice);
  assert_int_equal(ab_uv_dials_waiting(world->reader.uv), 1);
  assert_int_equal(ab_uv_listen(world->writer.uv, address, NULL), 0);
  run_until(world, reader_has_all);
  assert_int_equal(ab_uv_dials_waiting(world->reader.uv), 0);
  tmpdir_remove(dir);
}

static void
a_host_is_looked_up_again_and_again (void **state) {
  world_t *world = *state;
  connect_reader(world, "tcp:127.0.0.1:1", false, NULL);
  run_until(world, was_tried_thrice);
  assert_int_equal(world->reader.connections, 0);
}

static bool
reader_came_twice (world_t *world) {
  return world->reader.connections == 2 && ab_uv_connections(world->reader.uv) == 1;
}

static void
a_lost_connection_is_made_again (void **state) {
  world_t *world = *state;
  char address[64];
  ab_uv_dial_t *dial;
  listen_tcp(&world->writer, address);
  connect_reader(world, address, false, &dial);
  run_until(world, reader_has_all);
  ab_uv_disconnect(world->writer.uv); /* the listener stays */
  run_until(world, reader_came_twice);
  ab_uv_dial_close(dial);
  run_until(world, reader_has_lost_it);
}

/* ---- limits ---- */

static void
more_connections_than_allowed_are_refused (void **state) {
  world_t *world = *state;
  char address[64];
  ab_uv_t *uv;
  side_t side = {.store = world->writer.store};
  ab_uv_options_t options = ab_uv_options_default();
  options.connections_max = 1;
  options.on_connection = on_connection;
  options.data = &side;
  assert_int_equal(ab_uv_open(side.store, &world->loop, &options, &uv), 0);
  side.uv = uv;
  listen_tcp(&side, address);
  connect_reader(world, address, true, NULL);
  run_until(world, reader_has_all);
  connect_reader(world, address, true, NULL);
  run_until(world, reader_was_refused);
  assert_int_equal(side.connections, 1);
  ab_uv_close(uv, on_closed, &side);
  while (!side.is_closed) uv_run(&world->loop, UV_RUN_ONCE);
}

static void
bad_addresses_are_told_at_once (void **state) {
  world_t *world = *state;
  unsigned port;
  assert_int_equal(ab_uv_connect(world->reader.uv, "nonsense", NULL, NULL), AB_EINVAL);
  assert_non_null(strstr(ab_uv_errmsg(world->reader.uv), "tcp:HOST:PORT"));
  assert_int_equal(ab_uv_listen(world->reader.uv, "exec:true", &port), AB_EINVAL);
  assert_int_equal(ab_uv_listen(world->reader.uv, "tcp:192.0.2.1:1", &port), AB_EREMOTE);
  assert_int_equal(ab_uv_listen(world->reader.uv, "unix:/nowhere/at/all", &port), AB_EDENIED);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main (void) {
  signal(SIGPIPE, SIG_IGN);
  const struct CMUnitTest tests[] = {
    test(a_core_travels_over_tcp),
    test(what_is_appended_later_travels_too),
    test(a_core_travels_over_a_unix_socket),
    test(a_unix_socket_in_a_folder_with_a_long_name_works),
    test(a_socket_that_was_left_over_is_replaced),
    test(a_core_travels_through_an_attached_socket),
    test(an_end_is_told_to_both),
    test(a_refused_connection_says_why),
    test(a_command_that_ends_says_how),
    test(a_command_that_talks_nonsense_is_left),
    test(a_connection_is_made_when_there_is_somebody),
    test(a_host_is_looked_up_again_and_again),
    test(a_lost_connection_is_made_again),
    test(more_connections_than_allowed_are_refused),
    test(bad_addresses_are_told_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* loopback.c: processes that talk over loopback TCP. A serving process ends with the one that started it. */
#include "loopback.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_S 600

/* ---- the serving process ---- */

static void
on_hold_closed (uv_poll_t *poll, int status, int events) {
  (void) poll;
  (void) status;
  (void) events;
  _exit(0);
}

static _Noreturn void
serve (
  const bench_t *bench, const char *name, void (*open)(ab_store_t *, void *), void *data, int hold, int told
) {
  ab_store_t *store = bench_store(bench, name);
  uv_loop_t loop;
  uv_poll_t poll;
  ab_uv_t *uv;
  unsigned port;

  if (open != NULL) open(store, data);
  uv_loop_init(&loop);
  uv_poll_init(&loop, &poll, hold);
  uv_poll_start(&poll, UV_READABLE | UV_DISCONNECT, on_hold_closed);
  if (ab_uv_open(store, &loop, NULL, &uv) < 0) bench_die("serve: no loop");
  if (ab_uv_listen(uv, "tcp:127.0.0.1:0", &port) < 0) bench_die("serve: %s", ab_uv_errmsg(uv));
  if (write(told, &port, sizeof(port)) != (ssize_t) sizeof(port)) bench_die("serve: nobody is there");
  close(told);
  uv_run(&loop, UV_RUN_DEFAULT);
  _exit(1);
}

bench_server_t
bench_serve (const bench_t *bench, const char *name, void (*open)(ab_store_t *, void *), void *data) {
  bench_server_t server = {0};
  int hold[2], told[2];

  fflush(NULL);
  signal(SIGPIPE, SIG_IGN);
  if (pipe(hold) < 0 || pipe(told) < 0) bench_die("serve: no pipe");
  if ((server.pid = fork()) < 0) bench_die("serve: no process");
  if (server.pid == 0) {
    close(hold[1]);
    close(told[0]);
    serve(bench, name, open, data, hold[0], told[1]);
  }
  close(hold[0]);
  close(told[1]);
  server.hold = hold[1];
  if (read(told[0], &server.port, sizeof(server.port)) != (ssize_t) sizeof(server.port))
    bench_die("serve: it does not listen");
  close(told[0]);
  return server;
}

void
bench_server_end (bench_server_t *server) {
  close(server->hold);
  waitpid(server->pid, NULL, 0);
}

/* ---- this process ---- */

static void
on_closed (void *data) {
  ((bench_link_t *) data)->is_closed = true;
}

static void
on_disconnection (ab_uv_t *uv, ab_uv_peer_t *peer, int status, const char *message, void *data) {
  (void) uv;
  (void) peer;
  (void) data;
  if (status != AB_ECANCELED) bench_die("the connection ended: %s", message);
}

static void
on_error (ab_uv_t *uv, int status, const char *message, void *data) {
  (void) uv;
  (void) data;
  bench_die("%s (%s)", ab_strerror(status), message);
}

void
bench_connect (bench_link_t *link, ab_store_t *store, unsigned port) {
  ab_uv_options_t options = ab_uv_options_default();
  char address[64];

  *link = (bench_link_t){0};
  options.on_disconnection = on_disconnection;
  options.on_error = on_error;
  options.data = link;
  uv_loop_init(&link->loop);
  if (ab_uv_open(store, &link->loop, &options, &link->uv) < 0) bench_die("connect: no loop");
  snprintf(address, sizeof(address), "tcp:127.0.0.1:%u", port);
  if (ab_uv_connect(link->uv, address, NULL, &link->dial) < 0)
    bench_die("connect: %s", ab_uv_errmsg(link->uv));
}

void
bench_run_until (bench_link_t *link, bool (*is_done)(void *data), void *data) {
  double limit = bench_now() + PATIENCE_S;
  while (!is_done(data)) {
    if (bench_now() > limit) bench_die("what was waited for did not come in %d s", PATIENCE_S);
    uv_run(&link->loop, UV_RUN_ONCE);
  }
}

ab_stream_stats_t
bench_link_stats (const bench_link_t *link) {
  ab_stream_stats_t stats = {0};
  ab_uv_peer_t *peer = ab_uv_dial_peer(link->dial);
  if (peer != NULL && ab_uv_peer_stream(peer) != NULL) ab_stream_stats(ab_uv_peer_stream(peer), &stats);
  return stats;
}

void
bench_disconnect (bench_link_t *link) {
  ab_uv_close(link->uv, on_closed, link);
  while (!link->is_closed) uv_run(&link->loop, UV_RUN_ONCE);
  uv_loop_close(&link->loop);
}

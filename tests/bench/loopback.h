/* loopback.h: a store in another process, and a connection to it over loopback TCP. */
#ifndef LOOPBACK_H
#define LOOPBACK_H

#include "bench.h"
#include "hypercore/net/uv/uv.h"

/* ---- the serving process ---- */

typedef struct {
  pid_t pid;
  int hold; /* it ends when this is closed, so also with us */
  unsigned port;
} bench_server_t;

/** Start a process that opens the store `name` and serves it. No store may be open here. `open` (may be NULL)
 * opens there what shall take part. */
bench_server_t
bench_serve (const bench_t *bench, const char *name, void (*open)(ab_store_t *store, void *data), void *data);

/** Start a process that passes the bytes of one connection on to `port`, `delay_ms` later, both ways. */
bench_server_t
bench_relay (unsigned port, unsigned delay_ms);

void
bench_server_end (bench_server_t *server);

/* ---- this process ---- */

typedef struct {
  uv_loop_t loop;
  ab_uv_t *uv;
  ab_uv_dial_t *dial;
  bool is_closed;
} bench_link_t;

/** Put `store` on a loop and connect; `link` stays where it is until it is closed. */
void
bench_connect (bench_link_t *link, ab_store_t *store, unsigned port);

/** Run until `is_done`. */
void
bench_run_until (bench_link_t *link, bool (*is_done)(void *data), void *data);

/** What went over the connection; zeroes before there is one. */
ab_stream_stats_t
bench_link_stats (const bench_link_t *link);

void
bench_disconnect (bench_link_t *link);

#endif

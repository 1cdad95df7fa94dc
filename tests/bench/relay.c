/* relay.c: a wire that is longer than loopback: what comes in goes out later. */
#include "loopback.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK 65536
#define CHUNKS 256 /* under way in one direction */

typedef struct {
  double due;
  size_t len;
  uint8_t bytes[CHUNK];
} chunk_t;

typedef struct {
  int from, to;
  size_t first, count;
  chunk_t *chunks; /* a ring of CHUNKS */
} direction_t;

static void
take_in (direction_t *way, double delay) {
  chunk_t *chunk = &way->chunks[(way->first + way->count) % CHUNKS];
  ssize_t len = read(way->from, chunk->bytes, CHUNK);
  if (len <= 0) _exit(0);
  chunk->len = (size_t) len;
  chunk->due = bench_now() + delay;
  way->count++;
}

static void
give_out (direction_t *way) {
  while (way->count > 0 && way->chunks[way->first].due <= bench_now()) {
    chunk_t *chunk = &way->chunks[way->first];
    for (size_t at = 0; at < chunk->len;) {
      ssize_t len = write(way->to, chunk->bytes + at, chunk->len - at);
      if (len <= 0) _exit(0);
      at += (size_t) len;
    }
    way->first = (way->first + 1) % CHUNKS;
    way->count--;
  }
}

/* Milliseconds until something is due, rounded down: the last one is spent turning. */
static int
time_left (const direction_t ways[2]) {
  double left = 1;
  for (int i = 0; i < 2; i++) {
    if (ways[i].count == 0) continue;
    double own = ways[i].chunks[ways[i].first].due - bench_now();
    if (own < left) left = own;
  }
  return left > 0 ? (int) (left * 1000) : 0;
}

static _Noreturn void
carry (int near, int far, int hold, double delay) {
  direction_t ways[2] = {{.from = near, .to = far}, {.from = far, .to = near}};
  for (int i = 0; i < 2; i++) {
    int on = 1;
    setsockopt(ways[i].from, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    ways[i].chunks = malloc(CHUNKS * sizeof(chunk_t));
    if (ways[i].chunks == NULL) _exit(1);
  }
  for (;;) {
    struct pollfd fds[3] = {{.fd = hold}, {.fd = near}, {.fd = far}};
    for (int i = 0; i < 2; i++) fds[i + 1].events = ways[i].count < CHUNKS ? POLLIN : 0;
    poll(fds, 3, time_left(ways));
    if (fds[0].revents != 0) _exit(0);
    for (int i = 0; i < 2; i++) {
      if (fds[i + 1].revents != 0 && ways[i].count < CHUNKS) take_in(&ways[i], delay);
      give_out(&ways[i]);
    }
  }
}

bench_server_t
bench_relay (unsigned port, unsigned delay_ms) {
  struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, other = own;
  socklen_t len = sizeof(own);
  bench_server_t server = {0};
  int hold[2], listener = socket(AF_INET, SOCK_STREAM, 0);

  other.sin_port = htons((uint16_t) port);
  fflush(NULL);
  if (pipe(hold) < 0 || bind(listener, (struct sockaddr *) &own, len) < 0 || listen(listener, 1) < 0 ||
      getsockname(listener, (struct sockaddr *) &own, &len) < 0 || (server.pid = fork()) < 0)
    bench_die("relay: it cannot start");
  if (server.pid == 0) {
    int far = socket(AF_INET, SOCK_STREAM, 0), near = accept(listener, NULL, NULL);
    close(hold[1]);
    if (near < 0 || connect(far, (struct sockaddr *) &other, len) < 0) _exit(1);
    carry(near, far, hold[0], delay_ms / 1000.0);
  }
  close(listener);
  close(hold[0]);
  server.hold = hold[1];
  server.port = ntohs(own.sin_port);
  return server;
}

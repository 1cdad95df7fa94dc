#include "autobee/cli/splice.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_BYTES 65536

/* One direction. */
typedef struct {
  int from, to;
  char bytes[BUFFER_BYTES];
  size_t start, end; /* of what is to be written */
  bool ended;        /* nothing more comes */
} flow_t;

static bool
is_empty (const flow_t *flow) {
  return flow->start == flow->end;
}

/* Returns 0 or -1. */
static int
fill (flow_t *flow) {
  ssize_t got = read(flow->from, flow->bytes, sizeof(flow->bytes));
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return 0;
  if (got < 0) return -1;
  flow->start = 0;
  flow->end = (size_t) got;
  flow->ended = got == 0;
  return 0;
}

static int
drain (flow_t *flow) {
  ssize_t put = write(flow->to, flow->bytes + flow->start, flow->end - flow->start);
  if (put < 0 && (errno == EINTR || errno == EAGAIN)) return 0;
  if (put < 0) return -1;
  flow->start += (size_t) put;
  return 0;
}

int
splice_run (const cli_t *cli, int in, int out, int socket) {
  static flow_t up, down;
  bool told = false;
  up.from = in;
  up.to = down.from = socket;
  down.to = out;
  while (!(down.ended && is_empty(&down))) {
    struct pollfd polls[] = {
      {.fd = is_empty(&up) && !up.ended ? in : -1, .events = POLLIN},
      {.fd = socket, .events = (short) ((is_empty(&up) ? 0 : POLLOUT) | (is_empty(&down) ? POLLIN : 0))},
      {.fd = is_empty(&down) ? -1 : out, .events = POLLOUT},
    };
    if (polls[1].events == 0) polls[1].fd = -1;
    if (cli_is_interrupted()) return CLI_INTERRUPTED;
    if (poll(polls, 3, -1) < 0 && errno != EINTR)
      return cli_fail(cli, CLI_FAILED, "waiting: %s", strerror(errno));
    int err = 0;
    if (polls[0].revents != 0) err = fill(&up);
    if (err == 0 && (polls[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && is_empty(&down))
      err = fill(&down);
    if (err == 0 && (polls[1].revents & POLLOUT) != 0) err = drain(&up);
    if (err == 0 && polls[2].revents != 0) err = drain(&down);
    if (err < 0) return cli_fail(cli, CLI_UNAVAILABLE, "the connection broke: %s", strerror(errno));
    if (up.ended && !told) told = shutdown(socket, SHUT_WR) == 0 || true;
  }
  return CLI_OK;
}

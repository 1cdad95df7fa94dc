/* lines.h: clients of the control protocol on libuv: a Unix socket, or stdin and stdout. Private to
 * autobee/cli/.
 *
 *   bytes ─► lines ─► control_client_line, one at a time, when the client is ready for it
 *   answers ─► waiting ─► one write at a time; a client that does not read is dropped at LINES_WAITING_MAX
 */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include <uv.h>

#include "autobee/cli/control.h"

#define LINES_WAITING_MAX ((size_t) 256 << 20)

typedef struct lines_s lines_t;

typedef struct {
  control_t *control;
  uv_loop_t *loop;
  void *data;
  /** Lines were taken: the store has something to do. */
  void (*on_input)(void *data);
  /** The input ended and everything is answered, or the client is gone; `lines` is closing. May be NULL. */
  void (*on_end)(void *data, lines_t *lines);
  /** Its socket becomes the connection with a peer; takes the descriptor. */
  int (*attach)(void *data, int fd, bool initiator);
  void (*on_closed)(void *data, lines_t *lines); /* the last call */
} lines_options_t;

/** A client on a connection that `listener` has for us. */
int
lines_accept (const lines_options_t *options, uv_stream_t *listener, lines_t **out);

/** A client on stdin and stdout, which may be pipes, terminals or files. */
int
lines_open_stdio (const lines_options_t *options, lines_t **out);

/** Send a line that is no answer. */
void
lines_send (lines_t *lines, ab_slice_t line);

/** After control_tick: go on with what was held back. */
void
lines_resume (lines_t *lines);

/** Close it once what is to be sent is sent, or after a while. */
void
lines_close (lines_t *lines);

#endif

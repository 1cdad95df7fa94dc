#include "autobee/cli/lines.h"

#include "autobee/cli/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define READ_BYTES 65536
#define LINGER_MS 1000

typedef union {
  uv_handle_t handle;
  uv_stream_t stream;
  uv_pipe_t pipe;
  uv_tty_t tty;
} end_t;

struct lines_s {
  lines_options_t options;
  control_client_t *client;
  end_t in, out;
  bool in_open, out_open; /* their handles */
  uv_stream_t *writer;    /* NULL: a file */
  uv_timer_t linger;
  unsigned handles;
  out_t received;
  size_t taken;               /* bytes of it that were lines */
  size_t seen;                /* bytes of it without a newline, behind those */
  bool too_long;              /* the rest of the line is dropped */
  bool is_reading, has_ended; /* of the input */
  out_t waiting;              /* to be sent */
  out_t sending;              /* with the system */
  uv_write_t write;
  bool is_writing, is_closing, is_leaving, is_closed, wants_attach, is_initiator;
};

static void
close_now (lines_t *lines);
static void
read_more (lines_t *lines);

/* ---- out ---- */

static void
write_more (lines_t *lines);
static void
on_linger (uv_timer_t *timer);

/* The answer to `attach` is out: the socket changes hands. */
static void
hand_over (lines_t *lines) {
  uv_os_fd_t fd;
  int copy = uv_fileno(&lines->in.handle, &fd) == 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
  lines->wants_attach = false;
  if (copy >= 0) (void) lines->options.attach(lines->options.data, copy, lines->is_initiator);
  close_now(lines);
}

static void
after_write (lines_t *lines) {
  if (lines->is_writing || lines->waiting.len > 0) return;
  if (lines->wants_attach) hand_over(lines);
  else if (lines->is_leaving) close_now(lines);
}

static void
on_written (uv_write_t *req, int status) {
  lines_t *lines = req->data;
  lines->is_writing = false;
  if (lines->is_closed) return;
  if (status < 0) {
    close_now(lines);
    return;
  }
  write_more(lines);
  after_write(lines);
}

static int
write_file (ab_slice_t bytes) {
  while (bytes.len > 0) {
    ssize_t put = write(STDOUT_FILENO, bytes.data, bytes.len);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return -1;
    bytes = ab_slice(bytes.data + put, bytes.len - (size_t) put);
  }
  return 0;
}

static void
write_more (lines_t *lines) {
  if (lines->is_writing || lines->is_closed || lines->waiting.len == 0) return;
  out_t swap = lines->sending;
  lines->sending = lines->waiting;
  lines->waiting = swap;
  out_reset(&lines->waiting);
  if (lines->waiting.capacity > READ_BYTES) out_destroy(&lines->waiting);
  if (lines->writer == NULL) {
    if (write_file(out_slice(&lines->sending)) < 0) lines->is_leaving = true;
    return;
  }
  uv_buf_t buf = uv_buf_init(lines->sending.data, (unsigned) lines->sending.len);
  lines->write.data = lines;
  if (uv_write(&lines->write, lines->writer, &buf, 1, on_written) == 0) lines->is_writing = true;
  else lines->is_leaving = true;
}

void
lines_send (lines_t *lines, ab_slice_t line) {
  if (lines->is_closed) return;
  out_bytes(&lines->waiting, line);
  if (lines->waiting.failed || lines->waiting.len > LINES_WAITING_MAX) { /* it does not read */
    out_destroy(&lines->waiting);
    lines->is_leaving = true;
    uv_timer_start(&lines->linger, on_linger, LINGER_MS, 0);
    return;
  }
  write_more(lines);
}

static void
on_answer (void *data, ab_slice_t line) {
  lines_send(data, line);
}

static int
on_attach (void *data, bool initiator) {
  lines_t *lines = data;
  lines->wants_attach = true;
  lines->is_initiator = initiator;
  if (lines->is_reading) uv_read_stop(&lines->in.stream); /* what comes now belongs to the connection */
  lines->is_reading = false;
  return 0;
}

/* ---- in ---- */

static void
drop_taken (lines_t *lines) {
  out_t *received = &lines->received;
  if (lines->taken == 0) return;
  memmove(received->data, received->data + lines->taken, received->len - lines->taken);
  received->len -= lines->taken;
  lines->taken = 0;
  if (received->len == 0 && received->capacity > READ_BYTES) out_destroy(received);
}

/* The next line that is whole. */
static bool
next_line (lines_t *lines, ab_slice_t *line) {
  out_t *received = &lines->received;
  const char *start = received->data + lines->taken;
  size_t len = received->len - lines->taken;
  const char *end = len == lines->seen ? NULL : memchr(start + lines->seen, '\n', len - lines->seen);
  if (end == NULL && !(lines->has_ended && len > 0)) {
    lines->seen = len;
    return false;
  }
  lines->seen = 0;
  *line = ab_slice(start, end == NULL ? len : (size_t) (end - start));
  lines->taken += line->len + (end != NULL);
  return true;
}

/* A line that goes on for ever is answered once and dropped. */
static void
limit_line (lines_t *lines) {
  if (lines->received.len - lines->taken <= CONTROL_LINE_MAX) return;
  if (!lines->too_long) control_client_too_long(lines->client);
  lines->too_long = true;
  out_reset(&lines->received);
  lines->taken = lines->seen = 0;
}

void
lines_resume (lines_t *lines) {
  ab_slice_t line;
  bool any = false;
  if (lines->is_closed) return;
  if (lines->is_leaving && !lines->is_writing && lines->waiting.len == 0) {
    close_now(lines);
    return;
  }
  while (!lines->wants_attach && control_client_is_ready(lines->client) && next_line(lines, &line)) {
    if (!lines->too_long) control_client_line(lines->client, line);
    lines->too_long = false;
    any = true;
  }
  drop_taken(lines);
  limit_line(lines);
  if (any) lines->options.on_input(lines->options.data);
  after_write(lines);
  if (lines->is_closed || lines->wants_attach) return;
  bool is_ready = control_client_is_ready(lines->client);
  if (!lines->has_ended && is_ready) {
    read_more(lines);
  } else if (!is_ready && lines->is_reading) {
    uv_read_stop(&lines->in.stream);
    lines->is_reading = false;
  }
  if (lines->has_ended && lines->received.len == 0 && control_client_is_idle(lines->client))
    lines_close(lines);
}

static void
on_alloc (uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  lines_t *lines = handle->data;
  char *at;
  (void) suggested;
  drop_taken(lines);
  at = out_extend(&lines->received, READ_BYTES);
  if (at != NULL) lines->received.len -= READ_BYTES;
  *buf = uv_buf_init(at, at == NULL ? 0 : READ_BYTES);
}

static void
on_read (uv_stream_t *handle, ssize_t len, const uv_buf_t *buf) {
  lines_t *lines = handle->data;
  (void) buf;
  if (len == 0 || lines->is_closed) return;
  if (len < 0) {
    uv_read_stop(handle);
    lines->is_reading = false;
    lines->has_ended = true;
    control_client_ended(lines->client);
  } else {
    lines->received.len += (size_t) len;
  }
  lines_resume(lines);
}

static void
read_more (lines_t *lines) {
  if (lines->is_reading || lines->has_ended || !lines->in_open) return;
  if (uv_read_start(&lines->in.stream, on_alloc, on_read) == 0) lines->is_reading = true;
  else lines->has_ended = true;
}

/* ---- closing ---- */

static void
on_handle_closed (uv_handle_t *handle) {
  lines_t *lines = handle->data;
  if (--lines->handles > 0) return;
  lines->options.on_closed(lines->options.data, lines);
  out_destroy(&lines->received);
  out_destroy(&lines->waiting);
  out_destroy(&lines->sending);
  free(lines);
}

static void
close_now (lines_t *lines) {
  if (lines->is_closed) return;
  lines->is_closed = true;
  control_client_close(lines->client);
  lines->client = NULL;
  if (lines->in_open) uv_close(&lines->in.handle, on_handle_closed);
  if (lines->out_open) uv_close(&lines->out.handle, on_handle_closed);
  uv_close((uv_handle_t *) &lines->linger, on_handle_closed);
  if (lines->options.on_end != NULL) lines->options.on_end(lines->options.data, lines);
}

static void
on_linger (uv_timer_t *timer) {
  close_now(timer->data);
}

void
lines_close (lines_t *lines) {
  if (lines->is_closed || lines->is_leaving) return;
  lines->is_leaving = true;
  if (lines->is_reading) uv_read_stop(&lines->in.stream);
  lines->is_reading = false;
  if (!lines->is_writing && lines->waiting.len == 0) close_now(lines);
  else uv_timer_start(&lines->linger, on_linger, LINGER_MS, 0);
}

/* ---- opening ---- */

static lines_t *
lines_new (const lines_options_t *options, bool can_attach) {
  lines_t *lines = calloc(1, sizeof(*lines));
  if (lines == NULL) return NULL;
  lines->options = *options;
  control_sink_t sink = {.data = lines, .send = on_answer, .attach = can_attach ? on_attach : NULL};
  if (control_client_open(options->control, &sink, &lines->client) < 0) {
    free(lines);
    return NULL;
  }
  uv_timer_init(options->loop, &lines->linger);
  lines->linger.data = lines;
  lines->handles = 1;
  return lines;
}

int
lines_accept (const lines_options_t *options, uv_stream_t *listener, lines_t **out) {
  lines_t *lines = lines_new(options, true);
  if (lines == NULL) return AB_ENOMEM;
  *out = lines;
  int err = uv_pipe_init(options->loop, &lines->in.pipe, 0);
  if (err == 0) {
    lines->in.handle.data = lines;
    lines->in_open = true;
    lines->handles++;
    lines->writer = &lines->in.stream;
    err = uv_accept(listener, lines->writer);
  }
  if (err == 0) read_more(lines);
  else lines->has_ended = true;
  return 0;
}

/* One end of stdio; false for a file. */
static bool
open_end (lines_t *lines, int fd, end_t *end) {
  uv_loop_t *loop = lines->options.loop;
  uv_handle_type type = uv_guess_handle(fd);
  int err = -1;
  if (type == UV_TTY) {
    err = uv_tty_init(loop, &end->tty, fd, 0);
  } else if (type == UV_NAMED_PIPE || type == UV_TCP) {
    err = uv_pipe_init(loop, &end->pipe, 0);
    if (err == 0 && (err = uv_pipe_open(&end->pipe, fd)) < 0) {
      end->handle.data = lines;
      lines->handles++;
      uv_close(&end->handle, on_handle_closed);
    }
  }
  if (err < 0) return false;
  end->handle.data = lines;
  lines->handles++;
  return true;
}

int
lines_open_stdio (const lines_options_t *options, lines_t **out) {
  lines_t *lines = lines_new(options, false);
  if (lines == NULL) return AB_ENOMEM;
  lines->in_open = open_end(lines, STDIN_FILENO, &lines->in);
  lines->out_open = open_end(lines, STDOUT_FILENO, &lines->out);
  if (lines->out_open) lines->writer = &lines->out.stream;
  if (!lines->in_open) { /* a file: there is no more to come than what it holds */
    (void) files_read("-", SIZE_MAX / 2, &lines->received);
    lines->has_ended = true;
  }
  read_more(lines);
  *out = lines;
  return 0;
}

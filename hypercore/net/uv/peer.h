/* peer.h: one connection, and what makes it. Private to hypercore/net/uv/.
 *
 *   new ─► opening (its handles exist) ─► started (bytes flow) ─► ending (the last bytes go) ─► closing ─►
 * gone
 *
 * Its handles live in it, so it is gone when the last of them is closed, never before.
 */
#ifndef AB_UV_PEER_H
#define AB_UV_PEER_H

#include "hypercore/buf.h"
#include "hypercore/net/uv/address.h"
#include "hypercore/net/uv/uv.h"

#define AB__UV_READ_BYTES ((size_t) 64 * 1024)
#define AB__UV_LINGER_MS 2000 /* for the last bytes, and for a child to end */

struct ab_uv_peer_s {
  ab_uv_t *uv;
  ab_uv_dial_t *dial; /* NULL: it was accepted */
  ab_stream_t *stream;
  union {
    uv_tcp_t tcp;
    uv_pipe_t pipe;
    uv_stream_t stream;
    uv_handle_t handle;
  } in, out; /* `out` only for two pipes */
  uv_process_t process;
  uv_timer_t linger;
  uv_connect_t connect;
  uv_write_t write;
  uv_shutdown_t shutdown;
  uv_stream_t *reader, *writer;
  unsigned handles; /* open ones */
  bool has_process, process_ended;
  bool is_started, is_reading, is_writing, is_ending, is_closing;
  bool remote_ended; /* no more bytes come */
  int write_err;     /* of libuv: nothing can be written any more, but maybe read */
  bool has_said_end; /* it was told that no more come from here */
  bool was_done;     /* when the other side ended it, nothing was asked or owed */
  bool wants_take;   /* in the list of those that have something to send */
  int64_t exit_code;
  ab_buf_t held; /* bytes that the store could not take yet */
  size_t held_at;
  int status; /* why it ended */
  char message[256];
  char address[256];
  ab_uv_peer_t *next, **link;
  ab_uv_peer_t *next_take;
};

struct ab_uv_dial_s {
  ab_uv_t *uv;
  ab__uv_address_t address;
  ab_uv_connect_options_t options;
  ab_uv_peer_t *peer; /* in any state */
  uv_getaddrinfo_t lookup;
  struct addrinfo *found, *at; /* addresses of the host that were not tried yet */
  uv_timer_t timer;
  bool is_looking, is_closed, timer_open;
  uint32_t retry_ms;
  uint64_t connected_ms; /* of the loop's clock */
  ab_uv_dial_t *next, **link;
};

typedef struct ab__uv_listener_s ab__uv_listener_t;
struct ab__uv_listener_s {
  ab_uv_t *uv;
  union {
    uv_tcp_t tcp;
    uv_pipe_t pipe;
    uv_stream_t stream;
    uv_handle_t handle;
  } handle;
  bool is_tcp;
  char *path; /* of a Unix socket, to remove */
  ab__uv_listener_t *next, **link;
};

struct ab_uv_s {
  ab_store_t *store;
  uv_loop_t *loop;
  ab_uv_options_t options;
  uv_check_t check;
  uv_idle_t idle;
  uv_timer_t timer;
  unsigned handles;
  bool is_due, is_closing;
  ab_uv_peer_t *peers;
  size_t peer_count;    /* started ones */
  ab_uv_peer_t *takers; /* to take from */
  ab_uv_peer_t *taking; /* the rest of them in this turn */
  ab_uv_dial_t *dials;
  ab__uv_listener_t *listeners;
  int told_error; /* of the store's run, so that it is told once */
  void (*close_cb)(void *data);
  void *close_data;
  char message[512];
  char buffer[AB__UV_READ_BYTES]; /* bytes are fed before the next read of anybody */
};

/** Record what went wrong and return `err`. */
int
ab__uv_fail (ab_uv_t *uv, int err, const char *format, ...) AB_PRINTF(3, 4);

/** The code for an error of libuv. */
int
ab__uv_code (int uv_err);

/** The last handle of something is closed: is all of it gone? */
void
ab__uv_check_gone (ab_uv_t *uv);

/* ---- peers ---- */

/** NULL when out of memory. */
ab_uv_peer_t *
ab__uv_peer_new (ab_uv_t *uv, ab_uv_dial_t *dial, const char *address);

/** Its handles are connected: begin. */
int
ab__uv_peer_start (ab_uv_peer_t *peer, bool initiator);

/** It failed before it began, or is over: close it. The first status and message count. */
void
ab__uv_peer_close (ab_uv_peer_t *peer, int status, const char *format, ...) AB_PRINTF(3, 4);

/** For uv_close of one of its handles. */
void
ab__uv_peer_handle_closed (uv_handle_t *handle);

/** Send what there is to send. */
void
ab__uv_peer_flush (ab_uv_peer_t *peer);

/** Feed what was held back. */
void
ab__uv_peer_resume (ab_uv_peer_t *peer);

/* ---- kinds: begin to connect `peer`. 0: its callback will call ab__uv_peer_start or _close ---- */

int
ab__uv_tcp_connect (ab_uv_peer_t *peer, const struct sockaddr *address);
/** The usual options of a connected one. */
void
ab__uv_tcp_set_options (uv_tcp_t *tcp);
int
ab__uv_pipe_connect (ab_uv_peer_t *peer, const char *path);
/** Started when it returns 0. */
int
ab__uv_pipe_open_stdio (ab_uv_peer_t *peer, bool initiator);
int
ab__uv_pipe_open_fd (ab_uv_peer_t *peer, int fd, bool initiator);
int
ab__uv_process_spawn (ab_uv_peer_t *peer, const char *command, bool initiator);
/** A path that fits into the address of a socket and means the same, in `out`. Returns 0 or AB_EINVAL;
 * `*folder` is to be closed after the path was used, if it is not negative. */
int
ab__uv_pipe_short_path (const char *path, char *out, size_t size, int *folder);

/* ---- dials ---- */

/** Its peer is gone. */
void
ab__uv_dial_peer_gone (ab_uv_dial_t *dial, int status, const char *message, bool was_started);
/** Its peer has begun. */
void
ab__uv_dial_peer_started (ab_uv_dial_t *dial);

/* ---- listeners ---- */

void
ab__uv_listener_close (ab__uv_listener_t *listener);

#endif

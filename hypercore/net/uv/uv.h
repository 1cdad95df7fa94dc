/* uv.h: the connections of a store, and its work, on a libuv loop.
 *
 *   tcp:HOST:PORT  unix:PATH  exec:COMMAND  -         addresses
 *        │
 *        ▼                  bytes                      feed
 *   ab_uv_peer_t: a socket, two pipes or a child ◄──────────► ab_stream_t ◄─► store
 *        ▲                                             take
 *   ab_uv_listen accepts them, ab_uv_connect makes one and makes it again when it is lost
 *
 *   One object keeps a store running: whenever bytes came, time passed or ab_uv_wake was called, it runs the
 * store, hands over what there is to send, and calls on_turn. A connection has one write under way, straight
 * from the stream's memory; when the store cannot take more, it stops reading.
 *
 * Files      uv.c the loop; peer.c a connection; dial.c making one; listen.c accepting; address.c;
 *            tcp.c, pipe.c, process.c what differs between the kinds
 * Invariant  a stream is closed only when no write from its memory is under way
 * To add     a kind of address: its file, and rows in dial.c and address.c
 *
 * Everything here belongs to the thread of the loop. The host ignores SIGPIPE: a peer may go while we write.
 */
#ifndef AB_UV_H
#define AB_UV_H

#include <uv.h>

#include "hypercore/net/net.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ab_uv_s ab_uv_t;
typedef struct ab_uv_peer_s ab_uv_peer_t; /* one connection */
typedef struct ab_uv_dial_s ab_uv_dial_t; /* one address to connect to */

typedef struct {
  uint32_t struct_size;
  uint32_t budget_ms;     /* of one run of the store; 0: 20 */
  size_t connections_max; /* more are refused; 0: 1024 */
  uint32_t retry_min_ms;  /* first pause before connecting again; doubles; 0: 200 */
  uint32_t retry_max_ms;  /* the longest one; 0: 30 s */
  /** After every run of the store. `deadline_ms` is when the next one comes at the latest, by the store's
   * clock: it may be lowered. */
  void (*on_turn)(ab_uv_t *uv, uint64_t *deadline_ms, void *data);
  /** Bytes can flow now. */
  void (*on_connection)(ab_uv_t *uv, ab_uv_peer_t *peer, void *data);
  /** It is over, and `peer` gone after this call. `status` as of ab_stream_status. */
  void (*on_disconnection)(ab_uv_t *uv, ab_uv_peer_t *peer, int status, const char *message, void *data);
  /** Work on the store failed, for example a commit on a full disk; it is tried again. */
  void (*on_error)(ab_uv_t *uv, int status, const char *message, void *data);
  void *data;
} ab_uv_options_t;

AB_API ab_uv_options_t
ab_uv_options_default (void);

/** Run `store` on `loop`. Returns 0, AB_EINVAL or AB_ENOMEM. */
AB_API int
ab_uv_open (ab_store_t *store, uv_loop_t *loop, const ab_uv_options_t *options, ab_uv_t **out);

/** End every connection and listener. `cb` (may be NULL) runs when the last handle is closed and `uv` is
 * gone: only then may the store be closed. */
AB_API void
ab_uv_close (ab_uv_t *uv, void (*cb)(void *data), void *data);

/** Something was asked of the store by a plain call: run it soon. */
AB_API void
ab_uv_wake (ab_uv_t *uv);

/** What went wrong in the last call that failed. Never NULL. */
AB_API const char *
ab_uv_errmsg (const ab_uv_t *uv);

/**
 * Accept connections at tcp:HOST:PORT (port 0: any that is free) or unix:PATH (which is made; one that nobody
 * listens at any more is replaced). `port` (may be NULL) receives the port, 0 for a Unix socket.
 *
 * Returns 0, AB_EINVAL (no such kind of address), AB_EDENIED, AB_EINUSE or AB_EIO.
 */
AB_API int
ab_uv_listen (ab_uv_t *uv, const char *address, unsigned *port);

typedef struct {
  uint32_t struct_size;
  bool once; /* do not try again, neither when it fails nor when it ends */
  bool
    respond; /* do not initiate the handshake; for -, do. By convention the side that connects initiates, and
              * - responds, for its peer is an exec: */
  bool push_only; /* as of ab_stream_options_t */
  bool pull_only;
  /** The attempt failed or the connection ended; with `once` the dial is gone after this call. */
  void (*on_end)(ab_uv_dial_t *dial, int status, const char *message, void *data);
  void *data;
} ab_uv_connect_options_t;

AB_API ab_uv_connect_options_t
ab_uv_connect_options_default (void);

/**
 * Connect to tcp:HOST:PORT, unix:PATH, exec:COMMAND (a shell's, whose stdin and stdout are the connection) or
 * - (the stdin and stdout of this process; always once), and again after a growing pause whenever it fails or
 * ends. `out` may be NULL.
 *
 * Returns 0, AB_EINVAL (no such kind of address) or AB_ENOMEM; what the system says comes by on_end.
 */
AB_API int
ab_uv_connect (ab_uv_t *uv, const char *address, const ab_uv_connect_options_t *options, ab_uv_dial_t **out);

/** End its connection and stop. `on_end` does not run any more. */
AB_API void
ab_uv_dial_close (ab_uv_dial_t *dial);

/** Its connection; NULL while there is none. */
AB_API ab_uv_peer_t *
ab_uv_dial_peer (const ab_uv_dial_t *dial);

/** End every connection and every dial; listeners stay. */
AB_API void
ab_uv_disconnect (ab_uv_t *uv);

/** Make a connection of a connected socket (a descriptor, which is closed at its end), as if it had been
 * accepted. As ab_uv_connect. */
AB_API int
ab_uv_attach (ab_uv_t *uv, int fd, const ab_uv_connect_options_t *options, ab_uv_dial_t **out);

/** Connections, and dials that have none. */
AB_API size_t
ab_uv_connections (const ab_uv_t *uv);
AB_API size_t
ab_uv_dials_waiting (const ab_uv_t *uv);

/** Call `each` for every connection until it returns non-zero (which is then returned). */
AB_API int
ab_uv_each_peer (ab_uv_t *uv, int (*each)(void *data, ab_uv_peer_t *peer), void *data);

/** End one connection: `status` is what it ends with, for example AB_EINSYNC. */
AB_API void
ab_uv_peer_end (ab_uv_peer_t *peer, int status);
AB_API ab_stream_t *
ab_uv_peer_stream (const ab_uv_peer_t *peer);
/** Of one that the other side ended: was there something to talk about, and was everything that was asked
 * answered? */
AB_API bool
ab_uv_peer_was_done (const ab_uv_peer_t *peer);
/** Who is at the other end, as an address. Never NULL. */
AB_API const char *
ab_uv_peer_address (const ab_uv_peer_t *peer);

#ifdef __cplusplus
}
#endif

#endif

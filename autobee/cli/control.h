/* control.h: the control protocol: lines of JSON in, lines of JSON out, for any number of clients of one
 * database.
 *
 *   line ─► request ─┬─► answered at once                          ┐
 *                    ├─► append: answered when it is durable       ├─► line, in the order of the requests
 *                    └─► waits, reads of what is not here yet ─────┴─► line, whenever it is ready
 *   events ───────────────────────────────────────────────────────────► line to every client
 *
 * Knows no loop and no socket: lines come by a call, go by a callback, and control_tick is called after every
 * ab_store_run and when it asked for it.
 *
 * Files      control.c clients and requests; control_events.c events; control_write.c, control_read.c,
 *            control_state.c, control_wait.c, control_net.c the commands
 * To add     a command: its function, and a row in control.c; docs/control.md describes it
 */
#ifndef CLI_CONTROL_H
#define CLI_CONTROL_H

#include "autobee/cli/database.h"
#include "autobee/cli/out.h"

#define CONTROL_LINE_MAX ((size_t) 64 << 20)

typedef struct control_s control_t;
typedef struct control_client_s control_client_t;
typedef struct control_sync_s control_sync_t;

/* A synchronisation with one peer that has been asked for. Lives in the caller's memory until `done` ran or
 * it is cancelled. */
struct control_sync_s {
  void *data;
  uint64_t timeout_ms; /* give up when nothing moved for so long */
  bool live;           /* go on, and connect again, until it is cancelled */
  bool initiator;      /* of the handshake, whatever is usual for the address */
  bool responder;
  uint64_t bytes_in, bytes_out, blocks_in, blocks_out; /* of the connection, once it is over */
  void (*done)(control_sync_t *sync, int status, const char *message); /* AB_EINSYNC: as it should be */
  void *private_data;
};

/* What a network offers. Each function returns 0 or an error, for which `message` has the words. */
typedef struct {
  void *data;
  int (*listen)(void *data, const char *address, unsigned *port);
  int (*connect)(void *data, const char *address);
  void (*disconnect)(void *data);
  /** Connect, and unless it is live end that connection when it is in sync. */
  int (*sync)(void *data, const char *address, control_sync_t *sync);
  void (*sync_cancel)(void *data, control_sync_t *sync);
  size_t (*connections)(void *data);
  /** No connection is being made, and every one is in sync. */
  bool (*in_sync)(void *data);
  /** A read was made that misses a block: fetch it. */
  void (*wake)(void *data);
  const char *(*message)(void *data);
} control_net_t;

/** `net` NULL: there is none. Both stay until the control is closed. */
int
control_open (database_t *database, const control_net_t *net, control_t **out);

/** After the database is closed, which ends what is still under way. NULL is a no-op. */
void
control_close (control_t *control);

/** Finish what can be finished. Returns when to call again at the latest, in milliseconds of the store's
 * clock. */
uint64_t
control_tick (control_t *control);

/** Did a client ask to close? */
bool
control_is_closing (const control_t *control);

/* ---- clients ---- */

typedef struct {
  void *data;
  void (*send)(void *data, ab_slice_t line); /* with its newline; borrowed; must not close the client */
  /** After the answer, what passes is the connection with a peer. NULL: cannot be. Returns 0 or an error. */
  int (*attach)(void *data, bool initiator);
} control_sink_t;

int
control_client_open (control_t *control, const control_sink_t *sink, control_client_t **out);

/** What it waits for is not answered any more; what it appends is appended. NULL is a no-op. */
void
control_client_close (control_client_t *client);

/** May it say a line now? If not, ask again after control_tick. */
bool
control_client_is_ready (const control_client_t *client);

/** Has everything it asked been answered? */
bool
control_client_is_idle (const control_client_t *client);

/** A line, without its newline. `send` may run inside. */
void
control_client_line (control_client_t *client, ab_slice_t line);

/** It will say no more: what goes on until it is gone, ends. */
void
control_client_ended (control_client_t *client);

/** Its line was longer than CONTROL_LINE_MAX, and was dropped. */
void
control_client_too_long (control_client_t *client);

/* ---- events ---- */

/** The line that tells a client what it talks to. `port`: of the first TCP listener, or 0. */
void
control_ready_line (control_t *control, unsigned port, out_t *out);

/** Send {"event":NAME, …members} to every client; `members` is JSON without braces, or empty. */
void
control_event (control_t *control, const char *name, ab_slice_t members);

#endif

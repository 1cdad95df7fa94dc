/* server.h: a process that keeps a database open: its loop, its connections, its clients. Private to
 * autobee/cli/.
 *
 *   signals ─┐                         ┌─ stdin and stdout
 *   network ─┴─► loop ─► control ◄─────┼─ DIR/socket: the other commands
 *                                      └─ unix:PATH
 */
#ifndef CLI_SERVER_H
#define CLI_SERVER_H

#include "autobee/cli/lines.h"
#include "autobee/cli/network.h"

typedef struct server_s server_t;

/** Open the database and begin to answer at DIR/socket. Returns 0, or the exit code after a message. */
int
server_open (const cli_t *cli, bool allow_stdio, server_t **out);

/** Answer at a Unix socket, too. Returns 0, or the exit code after a message. */
int
server_control_unix (server_t *server, const char *path);

/** Answer on stdin and stdout, too; their end stops the server. */
int
server_control_stdio (server_t *server);

/** The port of the first TCP listener, or 0: for the ready line. */
void
server_set_port (server_t *server, unsigned port);

unsigned
server_port (const server_t *server);

control_t *
server_control (server_t *server);
const control_net_t *
server_net (server_t *server);

/** Until it is told to stop. Returns 0, or CLI_INTERRUPTED after a signal. */
int
server_run (server_t *server);

/** Make server_run return. */
void
server_stop (server_t *server);

/** Returns `code`, or the exit code after a message if closing failed and `code` is 0. */
int
server_close (server_t *server, int code);

#endif

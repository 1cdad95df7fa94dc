/* splice.h: bytes between stdin, stdout and a socket. Private to autobee/cli/. */
#ifndef CLI_SPLICE_H
#define CLI_SPLICE_H

#include "autobee/cli/cli.h"

/** Pass bytes on, from `in` to `socket` and from `socket` to `out`, until the socket ends. Returns the exit
 * code. */
int
splice_run (const cli_t *cli, int in, int out, int socket);

#endif

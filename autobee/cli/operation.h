/* operation.h: commands that append one operation of the program's own. Private to autobee/cli/. */
#ifndef CLI_OPERATION_H
#define CLI_OPERATION_H

#include "autobee/cli/args.h"
#include "autobee/cli/out.h"

/** A member with the bytes of an argument. Returns 0, or the exit code after a message. */
int
operation_bytes (const cli_t *cli, const char *name, const char *argument, out_t *request);

/** Ask, and say so if apply refuses it. Returns the exit code. */
int
operation_run (const cli_t *cli, const out_t *request);

#endif

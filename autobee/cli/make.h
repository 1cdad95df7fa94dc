/* make.h: what init and join have in common. Private to autobee/cli/. */
#ifndef CLI_MAKE_H
#define CLI_MAKE_H

#include "autobee/cli/args.h"
#include "autobee/cli/database.h"

#define MAKE_OPTIONS \
  {"apply", "F.lua", "the merge rule; a copy is kept in the folder"}, \
    {"policy", "P", "a built-in merge rule: kv (default)"}, { \
    "fast-forward", NULL, "far behind an indexer, take its view instead of applying everything" \
  }

/** Read MAKE_OPTIONS. Returns 0, or the exit code after a message. */
int
make_read_policy (const cli_t *cli, const args_t *args, database_make_t *make);

/** Make it, and print the key that others need. Returns the exit code. */
int
make_run (const cli_t *cli, const database_make_t *make);

#endif

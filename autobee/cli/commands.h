/* commands.h: one row per command, in the order of the help. Private to autobee/cli/. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "autobee/cli/args.h"

/* X(symbol): cmd_SYMBOL is a command_t */
#define COMMANDS(X) \
  X(init) \
  X(join) \
  X(status) \
  X(append) \
  X(put) \
  X(del) \
  X(get) \
  X(ls) \
  X(scan) \
  X(count) \
  X(dump) \
  X(query) \
  X(watch) \
  X(log) \
  X(why) \
  X(dag) \
  X(writers) \
  X(reindex) \
  X(whoami) \
  X(sync) \
  X(doctor) \
  X(serve) \
  X(version)

#define X(symbol) extern const command_t cmd_##symbol;
COMMANDS(X)
#undef X

#endif

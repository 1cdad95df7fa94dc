/* cli.h: the autobee program: a table of commands, built on the public headers of the library.
 *
 *   main ─► command ─► client ─┬─► control, in this process ─────────► database: folder, store, script
 *                              └─► socket ─► serving process: control ──┘
 *
 *   A command asks in the lines of the control protocol and prints the answer. Who answers is not its
 * business: its own process, or the one that serves the folder, for a store is open for writing in one
 * process at a time.
 *
 * Files      main.c the table and the help; args.c options; cmd_NAME.c one command each; make.c, range.c,
 *            operation.c, writer_name.c what some of them share; client.c who answers;
 *            control.c the protocol, control_read.c, control_state.c, control_write.c, control_wait.c,
 *            control_net.c, control_settled.c, control_why.c, control_compare.c its commands,
 *            control_request.c their members; graph.c, graph_FORMAT.c the causal graph, drawn;
 *            database.c the folder; script.c the merge rule; files.c; bytes.c, out.c, instant.c text;
 *            server.c a process that serves; lines.c its clients; network.c its connections; splice.c
 * Invariant  data goes to stdout, everything else to stderr
 * To add     a command: cmd_NAME.c, and its row in commands.h
 */
#ifndef CLI_H
#define CLI_H

#include "autobee/autobee.h"

/* Of the process; listed in docs/cli.md. */
typedef enum {
  CLI_OK = 0,
  CLI_FAILED = 1,
  CLI_USAGE = 2,
  CLI_NOT_FOUND = 3,
  CLI_DENIED = 4,
  CLI_IN_USE = 5,
  CLI_UNAVAILABLE = 6,
  CLI_DAMAGED = 7,
  CLI_HALTED = 8,
  CLI_VERSION = 9,
  CLI_DIFFERENT = 10,
  CLI_INTERRUPTED = 130
} cli_exit_t;

#define CLI_TIMEOUT_MS 5000

typedef struct {       /* the options of every command */
  const char *dir;     /* the database folder */
  const char *command; /* its name, for messages; NULL before it is known */
  uint32_t timeout_ms; /* for anything that may wait for somebody else */
  bool json;
  bool quiet;
  bool verbose;
  bool read_only;
  bool keep_key;           /* keep a given encryption key in the folder */
  bool has_encryption_key; /* one was given, by file descriptor or environment */
  ab_key_t encryption_key;
} cli_t;

/** Print what went wrong and what to do to stderr. Returns `exit`. */
int
cli_fail (const cli_t *cli, cli_exit_t exit, const char *format, ...) AB_PRINTF(3, 4);

/** The same for a code of the library. */
int
cli_fail_with (const cli_t *cli, int err, const char *format, ...) AB_PRINTF(3, 4);

/** Print to stderr what a person may like to know; nothing with --quiet. */
void
cli_note (const cli_t *cli, const char *format, ...) AB_PRINTF(2, 3);

/** The exit code that stands for a code of the library. */
cli_exit_t
cli_exit_of (int err);

/** The code with this name ("AB_ENOTFOUND"), AB_EIO if there is none. */
int
cli_err_of_name (ab_slice_t name);

/** The name of a code in the control protocol. */
const char *
cli_err_name (int err);

/* ---- signals ---- */

/** From now on SIGINT and SIGTERM set a flag and end system calls that wait; a second one ends the process.
 */
void
cli_catch_signals (void);

/** Did a signal ask to stop? */
bool
cli_is_interrupted (void);

/** Wait; false if it was interrupted. */
bool
cli_sleep (uint32_t ms);

#endif

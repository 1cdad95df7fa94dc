/* args.h: commands, their options, and how a command line is read. Private to autobee/cli/. */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include "autobee/cli/cli.h"

#define ARGS_OPTIONS_MAX 24 /* of one command, with those of every command */
#define ARGS_GIVEN_MAX 128

typedef struct {
  const char *name;
  const char *value; /* what its value is called; NULL: it takes none */
  const char *help;  /* NULL: not shown */
} option_t;          /* lists end with {0} */

typedef struct {
  const char *name;
  const char *value; /* NULL: none was given or it takes none */
} given_t;

typedef struct {
  given_t given[ARGS_GIVEN_MAX];
  size_t given_count;
  char **operands;
  size_t operand_count;
} args_t;

typedef struct {
  const char *name;
  int (*run)(cli_t *cli, args_t *args); /* returns the exit code */
  const char *operands;                 /* synopsis without the options */
  size_t operands_min, operands_max;
  const char *purpose;
  const char *examples[2];
  const option_t *options; /* NULL: none of its own */
  const char *more;        /* of the help, after the options; may be NULL */
} command_t;

/**
 * Read the options in front of the command. `at` receives the index of the command in argv, or argc.
 * Returns 0, or the exit code after having said what is wrong. `help` is set by --help.
 */
int
args_read_global (cli_t *cli, int argc, char **argv, int *at, bool *help);

/** Read what follows the command: argv[0] is the command. As above. */
int
args_read (cli_t *cli, const command_t *command, int argc, char **argv, args_t *args, bool *help);

bool
args_has (const args_t *args, const char *name);
/** Of the last one, or NULL. */
const char *
args_value (const args_t *args, const char *name);
/** Of the `n`-th one, counted from 0, or NULL. */
const char *
args_value_at (const args_t *args, const char *name, size_t n);
/** A whole number; `out` stays as it is if the option was not given. Returns 0, or the exit code after a
 * message. */
int
args_number (const cli_t *cli, const args_t *args, const char *name, uint64_t *out);
/** A length of time: 500ms, 5s, 2m, or seconds. False if it is none. */
bool
args_duration (const char *text, uint64_t *out_ms);

/** Print the usage of a command. */
void
args_print_help (const command_t *command);
/** Print the options of every command. */
void
args_print_global (void);

#endif

#include "autobee/cli/commands.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static int
run_help (cli_t *cli, args_t *args);

static const command_t cmd_help = {
  .name = "help",
  .run = run_help,
  .operands = "[COMMAND]",
  .operands_max = 1,
  .purpose = "show what a command does",
  .examples = {"autobee help", "autobee help append"},
};

static const command_t *const commands[] = {
#define X(symbol) &cmd_##symbol,
  COMMANDS(X)
#undef X
  & cmd_help};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static const command_t *
find_command (const char *name) {
  for (size_t i = 0; i < COMMAND_COUNT; i++) {
    if (strcmp(commands[i]->name, name) == 0) return commands[i];
  }
  return NULL;
}

static void
print_usage (void) {
  puts("  autobee -C list init");
  puts("  autobee -C list put milk '2 litres'\n");
  puts("autobee [options] COMMAND …: one key/value store, written by many.\n\nCommands");
  for (size_t i = 0; i < COMMAND_COUNT; i++) printf("  %-10s %s\n", commands[i]->name, commands[i]->purpose);
  puts("\nOptions of every command");
  args_print_global();
  puts("\nExit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 not permitted, 5 store in use, 6 unavailable,\n"
       "7 damaged, 8 apply halted, 9 incompatible version or apply, 10 different, 130 interrupted.");
}

static int
unknown_command (const cli_t *cli, const char *name) {
  return cli_fail(cli, CLI_USAGE, "there is no command \"%s\"; autobee help lists them", name);
}

static int
run_help (cli_t *cli, args_t *args) {
  if (args->operand_count == 0) {
    print_usage();
    return CLI_OK;
  }
  const command_t *command = find_command(args->operands[0]);
  if (command == NULL) return unknown_command(cli, args->operands[0]);
  args_print_help(command);
  return CLI_OK;
}

/* Output that could not be written is a failure, unless nobody reads on. */
static int
finish_output (const cli_t *cli, int code) {
  if (fflush(stdout) == 0 && !ferror(stdout)) return code;
  if (errno == EPIPE) return code;
  return cli_fail(cli, CLI_FAILED, "cannot write the output: %s", strerror(errno));
}

int
main (int argc, char **argv) {
  cli_t cli = {0};
  bool help = false;
  char version[] = "version";
  int at;
  setlocale(LC_CTYPE, "C");
  signal(SIGPIPE, SIG_IGN);
  if (argc == 2 && strcmp(argv[1], "--version") == 0) argv[1] = version;

  int failed = args_read_global(&cli, argc, argv, &at, &help);
  if (failed != 0) return failed;
  if (help) {
    print_usage();
    return finish_output(&cli, CLI_OK);
  }
  if (at == argc) {
    fputs("autobee: needs a command; autobee help lists them\n", stderr);
    return CLI_USAGE;
  }

  const command_t *command = find_command(argv[at]);
  if (command == NULL) return unknown_command(&cli, argv[at]);
  cli.command = command->name;
  static args_t args;
  failed = args_read(&cli, command, argc - at, argv + at, &args, &help);
  if (failed != 0) return failed;
  if (help) {
    args_print_help(command);
    return finish_output(&cli, CLI_OK);
  }
  return finish_output(&cli, command->run(&cli, &args));
}

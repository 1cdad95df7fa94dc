#include "autobee/cli/cli.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* ---- messages ---- */

static void
say (const cli_t *cli, const char *format, va_list args) {
  fflush(stdout); /* in the order of the events where both end up in one place */
  fputs("autobee", stderr);
  if (cli->command != NULL) fprintf(stderr, " %s", cli->command);
  fputs(": ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
}

int
cli_fail (const cli_t *cli, cli_exit_t exit, const char *format, ...) {
  va_list args;
  va_start(args, format);
  say(cli, format, args);
  va_end(args);
  return (int) exit;
}

int
cli_fail_with (const cli_t *cli, int err, const char *format, ...) {
  va_list args;
  va_start(args, format);
  say(cli, format, args);
  va_end(args);
  return (int) cli_exit_of(err);
}

void
cli_note (const cli_t *cli, const char *format, ...) {
  if (cli->quiet) return;
  va_list args;
  va_start(args, format);
  fflush(stdout);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
}

/* ---- codes ---- */

cli_exit_t
cli_exit_of (int err) {
  switch (err) {
  case 0:
    return CLI_OK;
  case AB_EINVAL:
    return CLI_USAGE;
  case AB_ENOTFOUND:
    return CLI_NOT_FOUND;
  case AB_ENOTWRITABLE:
  case AB_EREADONLY:
  case AB_EDENIED:
  case AB_EKEY:
    return CLI_DENIED;
  case AB_EINUSE:
    return CLI_IN_USE;
  case AB_EREMOTE:
  case AB_ETIMEDOUT:
    return CLI_UNAVAILABLE;
  case AB_ECORRUPT:
    return CLI_DAMAGED;
  case AB_EHALTED:
  case AB_EINTERRUPTED:
    return CLI_HALTED;
  case AB_EVERSION:
    return CLI_VERSION;
  case AB_ECANCELED:
    return CLI_INTERRUPTED;
  default:
    return CLI_FAILED;
  }
}

const char *
cli_err_name (int err) {
  return err == AB_ETIMEDOUT ? "AB_ETIMEOUT" : ab_err_name(err);
}

int
cli_err_of_name (ab_slice_t name) {
  static const int codes[] = {
#define X(symbol, code, text) code,
    AB_ERROR_MAP(X)
#undef X
  };
  for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
    if (ab_slice_equal(name, ab_text(cli_err_name(codes[i])))) return codes[i];
  }
  return AB_EIO;
}

/* ---- signals ---- */

static volatile sig_atomic_t interrupted;

static void
on_signal (int number) {
  (void) number;
  if (interrupted) _exit(CLI_INTERRUPTED);
  interrupted = 1;
}

void
cli_catch_signals (void) {
  struct sigaction action = {.sa_handler = on_signal}; /* without SA_RESTART */
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

bool
cli_is_interrupted (void) {
  return interrupted != 0;
}

bool
cli_sleep (uint32_t ms) {
  if (cli_is_interrupted()) return false;
  (void) poll(NULL, 0, (int) ms);
  return !cli_is_interrupted();
}

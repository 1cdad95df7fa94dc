#include "autobee/cli/args.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define KEY_TEXT_MAX 256

static const option_t globals[] = {
  {"store", "DIR", "the database folder (-C DIR; default: $AUTOBEE_STORE, or this folder)"},
  {"json", NULL, "one JSON document, or one JSON object a line for lists"},
  {"quiet", NULL, "say nothing but errors on stderr (-q)"},
  {"verbose", NULL, "say more on stderr (-v)"},
  {"timeout", "T", "wait so long for others: 500ms, 5s, 2m (default 5s)"},
  {"read-only", NULL, "read beside a process that has the folder open; write nothing"},
  {"encryption-key-fd", "N", "read the encryption key from file descriptor N (or $AUTOBEE_ENCRYPTION_KEY)"},
  {"key-fd", "N", "the same"},
  {"keep-key", NULL, "keep that key in the folder, in the file encryption-key"},
  {"color", "WHEN", NULL}, /* these three are taken, and change nothing yet */
  {"progress", "HOW", NULL},
  {"no-input", NULL, NULL},
  {"help", NULL, "show this (-h)"},
  {0}};

static size_t
count_options (const option_t *options) {
  size_t count = 0;
  while (options != NULL && options[count].name != NULL) count++;
  return count;
}

/* ---- values ---- */

bool
args_duration (const char *text, uint64_t *out_ms) {
  char *end;
  errno = 0;
  double number = strtod(text, &end);
  if (end == text || errno != 0 || !(number >= 0) || number > 1e9) return false;
  double unit = 1000;
  if (strcmp(end, "ms") == 0) unit = 1;
  else if (strcmp(end, "m") == 0) unit = 60000;
  else if (strcmp(end, "h") == 0) unit = 3600000;
  else if (strcmp(end, "s") != 0 && *end != 0) return false;
  *out_ms = (uint64_t) (number * unit);
  return true;
}

static int
whole_number (const char *text, uint64_t max, uint64_t *out) {
  char *end;
  errno = 0;
  if (*text < '0' || *text > '9') return -1;
  unsigned long long number = strtoull(text, &end, 10);
  if (*end != 0 || errno != 0 || number > max) return -1;
  *out = number;
  return 0;
}

static int
take_key (cli_t *cli, ab_slice_t text, const char *from) {
  while (text.len > 0 && text.data[text.len - 1] <= ' ') text.len--;
  if (ab_key_from_text(text, &cli->encryption_key) < 0) {
    return cli_fail(
      cli, CLI_USAGE, "%s holds no encryption key: it takes 52 characters of z-base-32 or 64 of hex", from
    );
  }
  cli->has_encryption_key = true;
  return 0;
}

static int
read_key (cli_t *cli, const char *value) {
  uint64_t fd;
  char text[KEY_TEXT_MAX], from[48];
  size_t len = 0;
  if (whole_number(value, 65535, &fd) < 0) {
    return cli_fail(
      cli, CLI_USAGE, "--key-fd %s: not a file descriptor; for example --key-fd 3 3<FILE", value
    );
  }
  snprintf(from, sizeof(from), "file descriptor %llu", (unsigned long long) fd);
  for (;;) {
    ssize_t got = read((int) fd, text + len, sizeof(text) - len);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return cli_fail(cli, CLI_USAGE, "cannot read the encryption key from %s: %s", from, strerror(errno));
    len += (size_t) got;
    if (got == 0 || len == sizeof(text)) break;
  }
  int failed = take_key(cli, ab_slice(text, len), from);
  memset(text, 0, sizeof(text));
  return failed;
}

static int
take_global (cli_t *cli, const char *name, const char *value) {
  uint64_t ms;
  if (strcmp(name, "store") == 0) {
    cli->dir = value;
  } else if (strcmp(name, "json") == 0) {
    cli->json = true;
  } else if (strcmp(name, "quiet") == 0) {
    cli->quiet = true;
  } else if (strcmp(name, "verbose") == 0) {
    cli->verbose = true;
  } else if (strcmp(name, "read-only") == 0) {
    cli->read_only = true;
  } else if (strcmp(name, "keep-key") == 0) {
    cli->keep_key = true;
  } else if (strcmp(name, "key-fd") == 0 || strcmp(name, "encryption-key-fd") == 0) {
    return read_key(cli, value);
  } else if (strcmp(name, "timeout") == 0) {
    if (!args_duration(value, &ms)) {
      return cli_fail(cli, CLI_USAGE, "--timeout %s: not a time; for example 500ms, 5s or 2m", value);
    }
    cli->timeout_ms = ms > UINT32_MAX ? UINT32_MAX : (uint32_t) ms;
  }
  return 0;
}

/* ---- reading a line ---- */

typedef struct {
  struct option options[ARGS_OPTIONS_MAX + 1];
  size_t count;
} long_options_t;

static void
add_options (long_options_t *list, const option_t *options) {
  size_t count = count_options(options);
  assert(list->count + count <= ARGS_OPTIONS_MAX);
  for (size_t i = 0; i < count; i++) {
    list->options[list->count] = (struct option
    ){.name = options[i].name,
      .has_arg = options[i].value == NULL ? no_argument : required_argument,
      .val = 256 + (int) list->count};
    list->count++;
  }
}

static int
refuse (const cli_t *cli, int c, char *const *argv) {
  const char *at = argv[optind - 1], *command = cli->command;
  const char *help = command == NULL ? "" : command, *space = command == NULL ? "" : " ";
  if (c == ':') return cli_fail(cli, CLI_USAGE, "%s needs a value; see autobee%s%s --help", at, space, help);
  if (optopt != 0 && optopt < 256) {
    return cli_fail(
      cli,
      CLI_USAGE,
      "unknown option -%c; put -- before a value that begins with -; see autobee%s%s --help",
      optopt,
      space,
      help
    );
  }
  return cli_fail(
    cli,
    CLI_USAGE,
    "unknown or ambiguous option %s, or a value it does not take; see autobee%s%s --help",
    at,
    space,
    help
  );
}

static const char *
short_name (int c) {
  switch (c) {
  case 'C':
    return "store";
  case 'q':
    return "quiet";
  case 'v':
    return "verbose";
  case 'h':
    return "help";
  default:
    return NULL;
  }
}

/* `args` NULL: stop at the first operand. */
static int
read_options (cli_t *cli, const option_t *own, int argc, char **argv, args_t *args, bool *help) {
  long_options_t list = {0};
  add_options(&list, globals);
  size_t first_own = list.count;
  add_options(&list, own);
  opterr = 0;
  optind = 0; /* begin again, with glibc's own state too */

  int c;
  while ((c = getopt_long(argc, argv, args == NULL ? "+:C:qvh" : ":C:qvh", list.options, NULL)) != -1) {
    if (c == '?' || c == ':') return refuse(cli, c, argv);
    size_t index = c < 256 ? 0 : (size_t) c - 256;
    const char *name = c < 256 ? short_name(c) : list.options[index].name;
    if (strcmp(name, "help") == 0) {
      *help = true;
      continue;
    }
    if (c < 256 || index < first_own) {
      int failed = take_global(cli, name, optarg);
      if (failed != 0) return failed;
      continue;
    }
    if (args->given_count == ARGS_GIVEN_MAX) return cli_fail(cli, CLI_USAGE, "too many options");
    args->given[args->given_count++] = (given_t){name, optarg};
  }
  return 0;
}

int
args_read_global (cli_t *cli, int argc, char **argv, int *at, bool *help) {
  const char *dir = getenv("AUTOBEE_STORE"), *key = getenv("AUTOBEE_ENCRYPTION_KEY");
  cli->dir = dir == NULL || *dir == 0 ? "." : dir;
  cli->timeout_ms = CLI_TIMEOUT_MS;
  if (key != NULL && *key != 0) {
    int failed = take_key(cli, ab_text(key), "AUTOBEE_ENCRYPTION_KEY");
    if (failed != 0) return failed;
  }
  int failed = read_options(cli, NULL, argc, argv, NULL, help);
  *at = optind;
  return failed;
}

int
args_read (cli_t *cli, const command_t *command, int argc, char **argv, args_t *args, bool *help) {
  int failed = read_options(cli, command->options, argc, argv, args, help);
  if (failed != 0 || *help) return failed;
  args->operands = argv + optind;
  args->operand_count = (size_t) (argc - optind);
  if (args->operand_count < command->operands_min) {
    return cli_fail(cli, CLI_USAGE, "needs %s; see autobee %s --help", command->operands, command->name);
  }
  if (args->operand_count > command->operands_max) {
    return cli_fail(
      cli,
      CLI_USAGE,
      "does not know what to do with \"%s\"; see autobee %s --help",
      args->operands[command->operands_max],
      command->name
    );
  }
  return 0;
}

bool
args_has (const args_t *args, const char *name) {
  for (size_t i = 0; i < args->given_count; i++) {
    if (strcmp(args->given[i].name, name) == 0) return true;
  }
  return false;
}

const char *
args_value (const args_t *args, const char *name) {
  for (size_t i = args->given_count; i > 0; i--) {
    if (strcmp(args->given[i - 1].name, name) == 0) return args->given[i - 1].value;
  }
  return NULL;
}

const char *
args_value_at (const args_t *args, const char *name, size_t n) {
  for (size_t i = 0; i < args->given_count; i++) {
    if (strcmp(args->given[i].name, name) == 0 && n-- == 0) return args->given[i].value;
  }
  return NULL;
}

int
args_number (const cli_t *cli, const args_t *args, const char *name, uint64_t *out) {
  const char *value = args_value(args, name);
  if (value == NULL || whole_number(value, AB_MAX_SAFE, out) == 0) return 0;
  return cli_fail(cli, CLI_USAGE, "--%s %s: not a whole number", name, value);
}

/* ---- help ---- */

static void
print_options (const option_t *options) {
  for (size_t i = 0; i < count_options(options); i++) {
    char left[64];
    const char *value = options[i].value;
    if (options[i].help == NULL) continue;
    snprintf(
      left, sizeof(left), "--%s%s%s", options[i].name, value == NULL ? "" : " ", value == NULL ? "" : value
    );
    printf("  %-22s %s\n", left, options[i].help);
  }
}

void
args_print_global (void) {
  print_options(globals);
}

void
args_print_help (const command_t *command) {
  for (size_t i = 0; i < 2; i++) {
    if (command->examples[i] != NULL) printf("  %s\n", command->examples[i]);
  }
  printf("\nautobee %s", command->name);
  if (command->options != NULL) fputs(" [options]", stdout);
  if (command->operands != NULL) printf(" %s", command->operands);
  printf("\n  %s\n", command->purpose);
  if (command->options != NULL) {
    puts("\nOptions");
    print_options(command->options);
  }
  if (command->more != NULL) printf("\n%s", command->more);
  puts("\nOptions of every command");
  args_print_global();
}

/* cmd_ls.c: entries of the view in key order; scan is another name for it. */
#include "autobee/cli/commands.h"
#include "autobee/cli/range.h"

static const option_t options[] = {
  RANGE_OPTIONS, {"keys-only", NULL, "no values"}, RANGE_ENCODING_OPTION, {0}};

static int
run (cli_t *cli, args_t *args) {
  encoding_t encoding;
  client_t client;
  int code = range_encoding(cli, args, &encoding);
  if (code != 0 || (code = client_open(&client, cli)) != 0) return code;
  code = range_print(&client, args, encoding, args_has(args, "keys-only"));
  return client_close(&client, code);
}

const command_t cmd_ls = {
  .name = "ls",
  .run = run,
  .purpose = "print entries of the view in key order",
  .examples = {"autobee ls", "autobee ls --prefix item/ --limit 10 --reverse"},
  .options = options,
  .more = "One line each: the key, a tab, the value.\n"};

const command_t cmd_scan = {
  .name = "scan",
  .run = run,
  .purpose = "the same as ls",
  .examples = {"autobee scan --gte a --lt b", "autobee scan --keys-only --json"},
  .options = options,
};

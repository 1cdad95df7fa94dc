/* cmd_join.c: become a peer of somebody else's database. */
#include "autobee/cli/commands.h"
#include "autobee/cli/make.h"

static const option_t options[] = {MAKE_OPTIONS, {0}};

static int
run (cli_t *cli, args_t *args) {
  ab_key_t key;
  database_make_t make = {.join = &key};
  if (ab_key_from_text(ab_text(args->operands[0]), &key) < 0) {
    return cli_fail(
      cli,
      CLI_USAGE,
      "\"%s\" is not a key: it takes the 52 characters that autobee init printed, or 64 of hex",
      args->operands[0]
    );
  }
  int failed = make_read_policy(cli, args, &make);
  return failed != 0 ? failed : make_run(cli, &make);
}

const command_t cmd_join = {
  .name = "join",
  .run = run,
  .operands = "KEY",
  .operands_min = 1,
  .operands_max = 1,
  .purpose = "make a peer of the database KEY in the folder, and print its writer key",
  .examples =
    {"autobee -C list join 3ytj8w…", "autobee -C list join 3ytj8w… --apply merge.lua --key-fd 3 3<key"},
  .options = options,
  .more = "Hand the printed key to a writer, who runs: autobee writers add KEY\n"
          "All peers of a database need the same merge rule.\n"};

/* cmd_init.c: make a new database. */
#include "autobee/cli/commands.h"
#include "autobee/cli/make.h"

static const option_t options[] = {
  MAKE_OPTIONS, {"encrypt", NULL, "encrypt it, with the given key or a new one"}, {0}};

static int
run (cli_t *cli, args_t *args) {
  database_make_t make = {.encrypt = args_has(args, "encrypt")};
  int failed = make_read_policy(cli, args, &make);
  return failed != 0 ? failed : make_run(cli, &make);
}

const command_t cmd_init = {
  .name = "init",
  .run = run,
  .purpose = "make a new database in the folder, and print its key",
  .examples = {"autobee -C list init", "autobee -C list init --apply merge.lua"},
  .options = options,
  .more = "The key is what others join with. The first writer is this folder's.\n"};

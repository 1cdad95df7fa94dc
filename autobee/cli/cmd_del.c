/* cmd_del.c: delete a key, under a built-in policy. */
#include "autobee/cli/commands.h"
#include "autobee/cli/operation.h"

static int
run (cli_t *cli, args_t *args) {
  out_t request = {0};
  out_open(&request, '{');
  out_member_text(&request, "cmd", "del");
  int code = operation_bytes(cli, "keyHex", args->operands[0], &request);
  out_close(&request, '}');
  if (code == 0) code = operation_run(cli, &request);
  out_destroy(&request);
  return code;
}

const command_t cmd_del = {
  .name = "del",
  .run = run,
  .operands = "KEY",
  .operands_min = 1,
  .operands_max = 1,
  .purpose = "delete a key of the view (built-in policies)",
  .examples = {"autobee del milk", "autobee del hex:00ff"},
};

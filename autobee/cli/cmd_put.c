/* cmd_put.c: set a key, under a built-in policy. */
#include "autobee/cli/commands.h"
#include "autobee/cli/operation.h"

static int
run (cli_t *cli, args_t *args) {
  out_t request = {0};
  out_open(&request, '{');
  out_member_text(&request, "cmd", "put");
  int code = operation_bytes(cli, "keyHex", args->operands[0], &request);
  if (code == 0) code = operation_bytes(cli, "valueHex", args->operands[1], &request);
  out_close(&request, '}');
  if (code == 0) code = operation_run(cli, &request);
  out_destroy(&request);
  return code;
}

const command_t cmd_put = {
  .name = "put",
  .run = run,
  .operands = "KEY VALUE",
  .operands_min = 2,
  .operands_max = 2,
  .purpose = "set a key of the view (built-in policies)",
  .examples = {"autobee put milk '2 litres'", "autobee put hex:00ff hex:0102"},
};

/* cmd_count.c: how many entries the view has. */
#include "autobee/cli/commands.h"
#include "autobee/cli/range.h"

static const option_t options[] = {RANGE_OPTIONS, {0}};

static int
run (cli_t *cli, args_t *args) {
  out_t request = {0};
  const ab_json_t *answer;
  client_t client;
  out_open(&request, '{');
  out_member_text(&request, "cmd", "count");
  int code = range_members(cli, args, &request);
  out_close(&request, '}');
  if (code == 0 && (code = client_open(&client, cli)) == 0) {
    code = client_ask(&client, &request, &answer);
    if (code == 0) {
      unsigned long long count = client_uint(answer, "count");
      printf(cli->json ? "{\"v\":1,\"count\":%llu}\n" : "%llu\n", count);
    }
    code = client_close(&client, code);
  }
  out_destroy(&request);
  return code;
}

const command_t cmd_count = {
  .name = "count",
  .run = run,
  .purpose = "print how many entries the view has",
  .examples = {"autobee count", "autobee count --prefix item/"},
  .options = options,
};

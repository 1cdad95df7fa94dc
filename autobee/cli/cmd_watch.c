/* cmd_watch.c: tell when the view changes. */
#include "autobee/cli/client.h"
#include "autobee/cli/commands.h"
#include "autobee/cli/operation.h"

#include <stdio.h>

static const option_t options[] = {
  {"prefix", "P", "only changes of keys that begin with P"},
  {"since", "LEN", "first what changed since the view had LEN blocks: the last one printed, or of status"},
  {0}};

static int
build_request (const cli_t *cli, const args_t *args, out_t *request) {
  const char *prefix = args_value(args, "prefix");
  uint64_t since = 0;
  int code = args_number(cli, args, "since", &since);
  if (code == 0 && args->operand_count > 0 && prefix != NULL) {
    code = cli_fail(cli, CLI_USAGE, "either a key or --prefix");
  }
  out_open(request, '{');
  out_member_text(request, "cmd", "watch");
  if (args_has(args, "since")) out_member_uint(request, "since", since);
  if (code == 0 && prefix != NULL) code = operation_bytes(cli, "prefixHex", prefix, request);
  if (code == 0 && args->operand_count > 0) {
    code = operation_bytes(cli, "keyHex", args->operands[0], request);
  }
  out_close(request, '}');
  return code;
}

/* Of the answer or an event. False: nobody reads on. */
static bool
print_change (const cli_t *cli, const ab_json_t *change) {
  unsigned long long from = client_uint(change, "from"), to = client_uint(change, "to");
  bool rewritten = client_bool(change, "rewritten");
  if (cli->json) {
    const char *word = rewritten ? "true" : "false";
    printf("{\"v\":1,\"from\":%llu,\"to\":%llu,\"rewritten\":%s}\n", from, to, word);
  } else {
    printf("%llu to %llu%s\n", from, to, rewritten ? ", rewritten" : "");
  }
  return fflush(stdout) == 0;
}

static int
follow (client_t *client) {
  const cli_t *cli = client->cli;
  if (client->socket < 0) {
    return cli_fail(cli, CLI_UNAVAILABLE, "no process serves this folder, so nothing changes: autobee serve");
  }
  for (;;) {
    const ab_json_t *event;
    int code = client_next_event(client, &event);
    if (code != 0) return code;
    bool is_change = ab_slice_equal(client_string(event, "event"), ab_text("change"));
    if (is_change && !print_change(cli, event)) return CLI_OK;
  }
}

static int
run (cli_t *cli, args_t *args) {
  out_t request = {0};
  const ab_json_t *answer;
  client_t client;
  int code = build_request(cli, args, &request);
  if (code == 0 && (code = client_open(&client, cli)) == 0) {
    code = client_ask(&client, &request, &answer);
    if (code == 0 && client_bool(answer, "changed")) print_change(cli, answer);
    if (code == 0) code = follow(&client);
    code = client_close(&client, code);
  }
  out_destroy(&request);
  return code;
}

const command_t cmd_watch = {
  .name = "watch",
  .run = run,
  .operands = "[KEY]",
  .operands_max = 1,
  .purpose = "print a line whenever the view changes, while another process serves the folder",
  .examples = {"autobee watch milk", "autobee watch --since 120 --json"},
  .options = options,
  .more = "One line each: the blocks that the view had and has, and whether older entries changed place.\n"};

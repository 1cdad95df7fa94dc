/* cmd_query.c: ask the script's read-only function. */
#include "autobee/cli/client.h"
#include "autobee/cli/commands.h"

#include <stdio.h>

static int
build_request (const cli_t *cli, const args_t *args, out_t *request) {
  int code = 0;
  out_open(request, '{');
  out_member_text(request, "cmd", "query");
  out_member_text(request, "name", args->operands[0]);
  out_member_uint(request, "timeoutMs", cli->timeout_ms);
  if (args->operand_count > 1) {
    ab_json_doc_t doc = {0};
    const ab_json_t *root;
    ab_slice_t text = ab_text(args->operands[1]);
    if (ab_json_decode(&doc, text, AB_JSON_DUPLICATES, &root) < 0) {
      code = cli_fail(cli, CLI_USAGE, "the arguments are not JSON: %s", doc.message);
    } else if (ab_json_encode(&doc, root, AB_JSON_ECMASCRIPT, &text) == 0) {
      out_name(request, "args");
      out_json(request, text);
    }
    ab_json_doc_destroy(&doc);
  }
  out_close(request, '}');
  return code;
}

static int
run (cli_t *cli, args_t *args) {
  out_t request = {0};
  const ab_json_t *answer, *result;
  ab_slice_t text;
  client_t client;
  int code = build_request(cli, args, &request);
  if (code == 0 && (code = client_open(&client, cli)) == 0) {
    code = client_ask(&client, &request, &answer);
    result = code == 0 ? ab_json_member(answer, ab_text("result")) : NULL;
    if (result != NULL && ab_json_encode(&client.doc, result, AB_JSON_CANONICAL, &text) == 0) {
      printf("%.*s\n", (int) text.len, (const char *) text.data);
    }
    code = client_close(&client, code);
  }
  out_destroy(&request);
  return code;
}

const command_t cmd_query = {
  .name = "query",
  .run = run,
  .operands = "NAME [JSON]",
  .operands_min = 1,
  .operands_max = 2,
  .purpose = "print what the script's function query(name, args, view) returns, in JSON",
  .examples = {"autobee query count", "autobee query items '{\"list\":\"inbox\"}'"},
};

/* cmd_get.c: the value of a key in the view. */
#include "autobee/cli/commands.h"
#include "autobee/cli/operation.h"
#include "autobee/cli/range.h"

static const option_t options[] = {
  {"at", "LEN", "in the view as it was with LEN blocks"},
  RANGE_ENCODING_OPTION,
  {"raw", NULL, "exactly the bytes, without a newline behind them"},
  {0}};

static int
print_json (const ab_json_t *answer, const char *key) {
  const ab_json_t *value = ab_json_member(answer, ab_text("value")),
                  *hex = ab_json_member(answer, ab_text("valueHex"));
  out_t line = {0}, bytes = {0};
  out_open(&line, '{');
  out_member_uint(&line, "v", 1);
  if (bytes_from_argument(key, &bytes) == 0) {
    out_name(&line, "key");
    if (bytes_are_utf8(out_slice(&bytes))) out_string(&line, out_slice(&bytes));
    else out_null(&line);
    out_member_hex(&line, "keyHex", out_slice(&bytes));
  }
  out_name(&line, "value");
  if (value != NULL && value->type == AB_JSON_STRING) out_string(&line, ab_json_text(value));
  else out_null(&line);
  out_name(&line, "valueHex");
  if (hex != NULL && hex->type == AB_JSON_STRING) out_string(&line, ab_json_text(hex));
  else out_null(&line);
  out_close(&line, '}');
  out_bytes(&line, ab_text("\n"));
  if (!line.failed) fwrite(line.data, 1, line.len, stdout);
  out_destroy(&line);
  out_destroy(&bytes);
  return 0;
}

static int
print_value (const cli_t *cli, const args_t *args, const ab_json_t *answer, encoding_t encoding) {
  bool is_absent = client_string(answer, "valueHex").data == NULL;
  if (cli->json) print_json(answer, args->operands[0]);
  if (is_absent) return cli_fail(cli, CLI_NOT_FOUND, "there is no key \"%s\" in the view", args->operands[0]);
  if (cli->json) return CLI_OK;
  out_t value = {0};
  if (client_bytes(answer, "valueHex", &value) < 0) {
    out_destroy(&value);
    return cli_fail(cli, CLI_FAILED, "the answer does not decode");
  }
  bytes_print(stdout, out_slice(&value), args_has(args, "raw") ? ENCODING_RAW : encoding, true);
  if (!args_has(args, "raw")) putchar('\n');
  out_destroy(&value);
  return CLI_OK;
}

static int
run (cli_t *cli, args_t *args) {
  out_t request = {0};
  const ab_json_t *answer;
  encoding_t encoding;
  client_t client;
  int code = range_encoding(cli, args, &encoding);
  out_open(&request, '{');
  out_member_text(&request, "cmd", "get");
  out_member_uint(&request, "timeoutMs", cli->timeout_ms);
  if (code == 0) code = operation_bytes(cli, "keyHex", args->operands[0], &request);
  if (code == 0) code = range_at_member(cli, args, &request);
  out_close(&request, '}');
  if (code == 0 && (code = client_open(&client, cli)) == 0) {
    code = client_ask(&client, &request, &answer);
    if (code == 0) code = print_value(cli, args, answer, encoding);
    code = client_close(&client, code);
  }
  out_destroy(&request);
  return code;
}

const command_t cmd_get = {
  .name = "get",
  .run = run,
  .operands = "KEY",
  .operands_min = 1,
  .operands_max = 1,
  .purpose = "print the value of a key in the view",
  .examples = {"autobee get milk", "autobee get milk --raw > file"},
  .options = options,
  .more = "Exit code 3: there is no such key. 6: a block that is needed to tell is not here.\n"};

/* cmd_dump.c: the whole view, or its hash. */
#include "autobee/cli/commands.h"
#include "autobee/cli/range.h"

static const option_t options[] = {
  {"hash", NULL, "only the hash: equal views have equal ones"}, RANGE_ENCODING_OPTION, {0}};

static int
print_hash (client_t *client) {
  out_t request = {0};
  const ab_json_t *answer;
  out_open(&request, '{');
  out_member_text(&request, "cmd", "dump");
  out_member_uint(&request, "limit", 0);
  out_close(&request, '}');
  int code = client_ask(client, &request, &answer);
  if (code == 0) {
    ab_slice_t hash = client_string(answer, "hash");
    printf(
      client->cli->json ? "{\"v\":1,\"hash\":\"%.*s\"}\n" : "%.*s\n", (int) hash.len, (const char *) hash.data
    );
  }
  out_destroy(&request);
  return code;
}

static int
run (cli_t *cli, args_t *args) {
  encoding_t encoding;
  client_t client;
  int code = range_encoding(cli, args, &encoding);
  if (code != 0 || (code = client_open(&client, cli)) != 0) return code;
  code = args_has(args, "hash") ? print_hash(&client) : range_print(&client, args, encoding, false);
  return client_close(&client, code);
}

const command_t cmd_dump = {
  .name = "dump",
  .run = run,
  .purpose = "print the whole view in key order, or its hash",
  .examples = {"autobee dump --json > view.ndjson", "autobee dump --hash"},
  .options = options,
};

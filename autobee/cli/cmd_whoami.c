/* cmd_whoami.c: this folder's writer. */
#include "autobee/cli/client.h"
#include "autobee/cli/commands.h"

#include <stdio.h>

static void
print (const cli_t *cli, const ab_json_t *answer) {
  char text[AB_KEY_TEXT_LEN + 1] = "";
  ab_key_t key;
  bool is_writable = client_bool(answer, "writable"), is_indexer = client_bool(answer, "isIndexer");
  if (client_key(answer, "localKey", &key)) ab_key_to_text(&key, text);
  if (!cli->json) {
    puts(text);
    if (!is_writable)
      cli_note(cli, "Not a writer yet; ask one to run: autobee writers add %s, then sync", text);
    return;
  }
  out_t line = {0};
  out_open(&line, '{');
  out_member_uint(&line, "v", 1);
  out_member_hex(&line, "localKey", ab_key_slice(&key));
  out_member_uint(&line, "localLength", client_uint(answer, "localLength"));
  out_member_bool(&line, "writable", is_writable);
  out_member_bool(&line, "isIndexer", is_indexer);
  out_close(&line, '}');
  if (!line.failed) printf("%.*s\n", (int) line.len, line.data);
  out_destroy(&line);
}

static int
run (cli_t *cli, args_t *args) {
  out_t request = {0};
  const ab_json_t *answer;
  client_t client;
  (void) args;
  int code = client_open(&client, cli);
  if (code != 0) return code;
  out_open(&request, '{');
  out_member_text(&request, "cmd", "info");
  out_close(&request, '}');
  code = client_ask(&client, &request, &answer);
  if (code == 0) print(cli, answer);
  out_destroy(&request);
  return client_close(&client, code);
}

const command_t cmd_whoami = {
  .name = "whoami",
  .run = run,
  .purpose = "print the key of this folder's writer",
  .examples = {"autobee whoami", "autobee whoami --json"},
};

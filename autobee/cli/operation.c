#include "autobee/cli/operation.h"

#include "autobee/cli/bytes.h"
#include "autobee/cli/client.h"

int
operation_bytes (const cli_t *cli, const char *name, const char *argument, out_t *request) {
  out_t bytes = {0};
  int code = 0;
  if (bytes_from_argument(argument, &bytes) == 0) out_member_hex(request, name, out_slice(&bytes));
  else code = cli_fail(cli, CLI_USAGE, "\"%s\": hex: takes pairs of hex digits", argument);
  out_destroy(&bytes);
  return code;
}

int
operation_run (const cli_t *cli, const out_t *request) {
  const ab_json_t *answer;
  client_t client;
  int code = client_open(&client, cli);
  if (code != 0) return code;
  code = client_ask(&client, request, &answer);
  if (code == 0) {
    ab_slice_t rejected = client_string(answer, "rejected");
    if (rejected.data != NULL) {
      code = cli_fail(
        cli,
        CLI_FAILED,
        "it is in the log, but apply refused it: %.*s",
        (int) rejected.len,
        (const char *) rejected.data
      );
    }
  }
  return client_close(&client, code);
}

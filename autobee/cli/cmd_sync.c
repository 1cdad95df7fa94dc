/* cmd_sync.c: exchange everything with one peer. */
#include "autobee/cli/client.h"
#include "autobee/cli/commands.h"
#include "autobee/cli/server.h"
#include "autobee/cli/splice.h"

#include <stdio.h>
#include <unistd.h>

static const option_t options[] = {
  {"once", NULL, "end when both sides have everything of each other (default)"},
  {"live", NULL, "go on until Ctrl-C, and connect again when the connection is lost"},
  {"initiator", NULL, "begin the handshake on -, which otherwise answers it"},
  {0}};

static void
build_request (const cli_t *cli, const args_t *args, out_t *request) {
  out_open(request, '{');
  out_member_text(request, "cmd", "sync");
  out_member_text(request, "addr", args->operands[0]);
  out_member_uint(request, "timeoutMs", cli->timeout_ms);
  if (args_has(args, "live")) out_member_bool(request, "live", true);
  if (args_has(args, "initiator")) out_member_bool(request, "initiator", true);
  out_close(request, '}');
}

static int
print (const cli_t *cli, const ab_json_t *answer, bool on_stdout) {
  bool ok = client_bool(answer, "ok");
  unsigned long long in = client_uint(answer, "blocksIn"), out = client_uint(answer, "blocksOut");
  unsigned long long bytes_in = client_uint(answer, "bytesIn"), bytes_out = client_uint(answer, "bytesOut");
  if (cli->json && on_stdout) {
    printf(
      "{\"v\":1,\"inSync\":%s,\"blocksIn\":%llu,\"blocksOut\":%llu,\"bytesIn\":%llu,\"bytesOut\":%llu}\n",
      ok ? "true" : "false",
      in,
      out,
      bytes_in,
      bytes_out
    );
  }
  if (ok) {
    cli_note(cli, "In sync: %llu blocks received, %llu sent, %llu bytes.", in, out, bytes_in + bytes_out);
    return CLI_OK;
  }
  ab_slice_t error = client_string(answer, "error");
  int err = cli_err_of_name(client_string(answer, "code"));
  int code = CLI_UNAVAILABLE;
  if (err == AB_EINVAL) code = CLI_USAGE;
  else if (err == AB_ECORRUPT) code = CLI_FAILED;
  else if (err == AB_EHALTED) code = CLI_HALTED;
  return cli_fail(
    cli,
    code,
    "not in sync: %.*s; %llu blocks received, %llu sent%s",
    (int) error.len,
    (const char *) error.data,
    in,
    out,
    code == CLI_UNAVAILABLE ? "; what came is kept, so try again" : ""
  );
}

/* ---- in this process ---- */

typedef struct {
  server_t *server;
  out_t answer;
} here_t;

static void
take_answer (void *data, ab_slice_t line) {
  here_t *here = data;
  if (line.len >= 9 && memcmp(line.data, "{\"event\":", 9) == 0) return;
  out_bytes(&here->answer, line);
  server_stop(here->server);
}

static int
run_here (const cli_t *cli, const args_t *args, const out_t *request) {
  here_t here = {0};
  control_sink_t sink = {.data = &here, .send = take_answer};
  control_client_t *client;
  bool is_stdio = strcmp(args->operands[0], "-") == 0;
  int code = server_open(cli, is_stdio, &here.server);
  if (code != 0) return code;
  int err = control_client_open(server_control(here.server), &sink, &client);
  if (err < 0) return server_close(here.server, cli_fail_with(cli, err, "%s", ab_strerror(err)));
  control_client_line(client, out_slice(request));
  code = server_run(here.server);
  if (code == 0) {
    ab_json_doc_t doc = {0};
    const ab_json_t *answer;
    if (ab_json_decode(&doc, out_slice(&here.answer), 0, &answer) == 0) code = print(cli, answer, !is_stdio);
    else code = cli_fail(cli, CLI_FAILED, "out of memory");
    ab_json_doc_destroy(&doc);
  }
  out_destroy(&here.answer);
  return server_close(here.server, code);
}

/* ---- through the process that serves the folder ---- */

static int
run_there (client_t *client, const args_t *args, const out_t *request) {
  const ab_json_t *answer;
  bool is_stdio = strcmp(args->operands[0], "-") == 0;
  out_t attach = {0};
  int err, code;
  if (!is_stdio) {
    code = client_try(client, request, &answer, &err);
    return code == 0 ? print(client->cli, answer, true) : code;
  }
  out_open(&attach, '{');
  out_member_text(&attach, "cmd", "attach");
  if (args_has(args, "initiator")) out_member_bool(&attach, "initiator", true);
  out_close(&attach, '}');
  code = client_ask(client, &attach, &answer);
  out_destroy(&attach);
  return code != 0 ? code : splice_run(client->cli, STDIN_FILENO, STDOUT_FILENO, client->socket);
}

static int
run (cli_t *cli, args_t *args) {
  out_t request = {0};
  int code;
  if (args_has(args, "once") && args_has(args, "live"))
    return cli_fail(cli, CLI_USAGE, "either --once or --live");
  build_request(cli, args, &request);
  client_t client = {.cli = cli, .socket = client_connect(cli->dir)};
  if (client.socket >= 0) {
    cli_catch_signals();
    code = client_close(&client, run_there(&client, args, &request));
  } else {
    code = run_here(cli, args, &request);
  }
  out_destroy(&request);
  return code;
}

const command_t cmd_sync = {
  .name = "sync",
  .run = run,
  .operands = "TARGET",
  .operands_min = 1,
  .operands_max = 1,
  .purpose = "exchange everything with a peer",
  .examples = {"autobee sync tcp:192.0.2.7:4040", "autobee sync 'exec:ssh host autobee -C list sync -'"},
  .options = options,
  .more = "TARGET: tcp:HOST:PORT, unix:PATH, exec:COMMAND, or - for stdin and stdout.\n"
          "Exit code 6: the target cannot be reached, or not everything came.\n"};

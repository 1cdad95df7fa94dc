/* cmd_doctor.c: where this peer and another one differ. */
#include "autobee/cli/bytes.h"
#include "autobee/cli/client.h"
#include "autobee/cli/commands.h"
#include "autobee/cli/server.h"

#include <stdio.h>

static const option_t options[] = {
  {"compare", "TARGET", "connect, exchange everything, and compare order and view with that peer's"}, {0}};

/* ---- asking, in this process ---- */

typedef struct {
  server_t *server;
  out_t *answer; /* the first one that comes */
} asking_t;

static void
take_answer (void *data, ab_slice_t line) {
  asking_t *asking = data;
  if (asking->answer->len > 0 || (line.len >= 9 && memcmp(line.data, "{\"event\":", 9) == 0)) return;
  out_bytes(asking->answer, line);
  server_stop(asking->server);
}

static void
send_sync (const cli_t *cli, const char *target, bool is_live, control_client_t *client) {
  out_t request = {0};
  out_open(&request, '{');
  out_member_text(&request, "cmd", "sync");
  out_member_text(&request, "addr", target);
  out_member_uint(&request, "timeoutMs", cli->timeout_ms);
  out_member_bool(&request, "live", is_live);
  out_close(&request, '}');
  control_client_line(client, out_slice(&request));
  out_destroy(&request);
}

static void
send_compare (const cli_t *cli, control_client_t *client) {
  out_t request = {0};
  out_open(&request, '{');
  out_member_text(&request, "cmd", "compare");
  out_member_uint(&request, "timeoutMs", cli->timeout_ms);
  out_close(&request, '}');
  control_client_line(client, out_slice(&request));
  out_destroy(&request);
}

/* Exchange everything with the target; or, once that is done, connect again and compare. */
static int
ask (const cli_t *cli, const char *target, bool compares, out_t *answer) {
  asking_t asking = {.answer = answer};
  control_sink_t sink = {.data = &asking, .send = take_answer};
  control_client_t *client;
  out_reset(answer);
  int code = server_open(cli, false, &asking.server);
  if (code != 0) return code;
  int err = control_client_open(server_control(asking.server), &sink, &client);
  if (err < 0) return server_close(asking.server, cli_fail_with(cli, err, "%s", ab_strerror(err)));
  send_sync(cli, target, compares, client);
  if (compares) send_compare(cli, client);
  return server_close(asking.server, server_run(asking.server));
}

/* ---- saying ---- */

static void
name_of (const ab_json_t *peer, const char *member, char out[NODE_SHORT_LEN + 1]) {
  ab_head_t node;
  snprintf(out, NODE_SHORT_LEN + 1, "nothing");
  if (client_head(ab_json_member(peer, ab_text(member)), &node)) node_to_short(&node, out);
}

static bool
is_outcome (const ab_json_t *peer, const char *name) {
  return ab_slice_equal(client_string(peer, "outcome"), ab_text(name));
}

static void
print_peer (const ab_json_t *peer) {
  char node[NODE_SHORT_LEN + 1], ours[NODE_SHORT_LEN + 1], theirs[NODE_SHORT_LEN + 1];
  name_of(peer, "node", node);
  name_of(peer, "ours", ours);
  name_of(peer, "theirs", theirs);
  printf("%s: the same first %llu batches", node, (unsigned long long) client_uint(peer, "equal"));
  if (is_outcome(peer, "same")) puts(", and that is all");
  else if (is_outcome(peer, "incomparable"))
    printf("; one of the two did not know the next one: %s here, %s there\n", ours, theirs);
  else if (is_outcome(peer, "view")) printf(", then %s MADE OTHER VIEWS\n", ours);
  else if (strcmp(ours, theirs) == 0) printf(", then %s HAS ANOTHER WEIGHT\n", ours);
  else printf(", then %s here, %s there: ANOTHER ORDER\n", ours, theirs);
}

static int
fail (const cli_t *cli, const ab_json_t *answer) {
  ab_slice_t error = client_string(answer, "error");
  int err = cli_err_of_name(client_string(answer, "code"));
  return cli_fail_with(cli, err, "%.*s", (int) error.len, (const char *) error.data);
}

static int
print (client_t *client, const ab_json_t *answer) {
  const cli_t *cli = client->cli;
  const ab_json_t *peers = ab_json_member(answer, ab_text("peers")), *peer;
  if (peers == NULL) return fail(cli, answer);
  if (peers->count == 0) {
    return cli_fail(
      cli, CLI_UNAVAILABLE, "the peer has recorded no state: let it write something, and try again"
    );
  }
  int code = CLI_OK;
  ab_json_iter_t iter = ab_json_iter(peers);
  while (ab_json_next(&iter, &peer)) {
    if (is_outcome(peer, "view") || is_outcome(peer, "order")) code = CLI_DIFFERENT;
    if (!cli->json) print_peer(peer);
  }
  if (!client_bool(answer, "ok"))
    cli_note(cli, "There are writers whose state did not come, or makes no sense.");
  if (!cli->json) return code;
  out_t line = {0};
  client_begin_json(client, answer, &line);
  int failed = client_end_json(client, &line);
  return failed != 0 ? failed : code;
}

static int
run (cli_t *cli, args_t *args) {
  client_t client = {.cli = cli, .socket = -1};
  const char *target = args_value(args, "compare");
  const ab_json_t *answer;
  out_t text = {0};
  if (target == NULL) return cli_fail(cli, CLI_USAGE, "needs --compare TARGET; see autobee doctor --help");
  int code = CLI_OK;
  for (int compares = 0; compares < 2 && code == CLI_OK; compares++) {
    code = ask(cli, target, compares == 1, &text);
    if (code != CLI_OK) break;
    if (ab_json_decode(&client.doc, out_slice(&text), 0, &answer) < 0)
      code = cli_fail(cli, CLI_FAILED, "out of memory");
    else if (compares == 1) code = print(&client, answer);
    else if (!client_bool(answer, "ok")) code = fail(cli, answer);
  }
  ab_json_doc_destroy(&client.doc);
  out_destroy(&text);
  return code;
}

const command_t cmd_doctor = {
  .name = "doctor",
  .run = run,
  .purpose = "find the first operation on which this peer and another one differ",
  .examples = {"autobee doctor --compare tcp:192.0.2.7:4040"},
  .options = options,
  .more =
    "TARGET: as of sync. A peer records its state with what it writes, so let it write something first.\n"
    "A line for every state that came: the operation that recorded it, and how far ours is the same.\n"
    "Exit code 10: there is a difference; 6: no state of that peer came.\n"};

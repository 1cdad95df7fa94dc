/* cmd_append.c: add values to the own log. */
#include "autobee/cli/bytes.h"
#include "autobee/cli/client.h"
#include "autobee/cli/commands.h"
#include "autobee/cli/files.h"

#define INPUT_MAX ((size_t) 32 << 20)

static const option_t options[] = {
  {"file", "F", "the contents of a file"},
  {"batch", NULL, "each line is a value, in JSON; together they are one atomic batch"},
  {"optimistic", NULL, "let the merge rule judge it, although this is no writer yet"},
  {"wait", "settled", "until a majority of the indexers has acknowledged it, for --timeout at most"},
  {0}};

/* One value a line; empty lines are none. */
static int
add_lines (const cli_t *cli, ab_slice_t text, out_t *request) {
  ab_json_doc_t doc = {0};
  size_t number = 0, count = 0;
  int failed = 0;
  out_name(request, "hexes");
  out_open(request, '[');
  while (text.len > 0 && failed == 0) {
    const uint8_t *end = memchr(text.data, '\n', text.len);
    ab_slice_t line = ab_slice(text.data, end == NULL ? text.len : (size_t) (end - text.data));
    size_t used = end == NULL ? text.len : line.len + 1;
    const ab_json_t *root;
    text = ab_slice(text.data + used, text.len - used);
    number++;
    while (line.len > 0 && line.data[line.len - 1] <= ' ') line.len--;
    if (line.len == 0) continue;
    if (ab_json_decode(&doc, line, AB_JSON_DUPLICATES | AB_JSON_LONE_SURROGATES, &root) < 0) {
      failed =
        cli_fail(cli, CLI_FAILED, "line %zu is not JSON: %s; nothing was appended", number, doc.message);
    } else if (++count > AUTOBEE_BATCH_MAX) {
      failed = cli_fail(
        cli, CLI_FAILED, "more than %d lines do not fit into one batch; split them", AUTOBEE_BATCH_MAX
      );
    } else {
      out_hex(request, line);
    }
  }
  out_close(request, ']');
  ab_json_doc_destroy(&doc);
  if (failed == 0 && count == 0)
    failed = cli_fail(cli, CLI_FAILED, "the batch is empty; nothing was appended");
  return failed;
}

static int
read_input (cli_t *cli, args_t *args, out_t *text) {
  const char *operand = args->operand_count == 0 ? NULL : args->operands[0], *file = args_value(args, "file");
  bool batch = args_has(args, "batch");
  if ((operand != NULL) + (file != NULL) > 1) return cli_fail(cli, CLI_USAGE, "either a value or --file");
  if (operand == NULL && file == NULL && !batch) {
    return cli_fail(cli, CLI_USAGE, "needs a value, - for stdin, or --file F; see autobee append --help");
  }
  if (operand != NULL && strcmp(operand, "-") != 0) {
    if (bytes_from_argument(operand, text) == 0) return 0;
    return cli_fail(cli, CLI_USAGE, "hex: takes pairs of hex digits");
  }
  const char *path = file == NULL ? "-" : file;
  int err = files_read(path, INPUT_MAX, text);
  if (err == AB_ECANCELED) return CLI_INTERRUPTED;
  if (err == 0) return 0;
  return cli_fail(cli, CLI_FAILED, "reading %s: %s", file == NULL ? "stdin" : file, files_reason(err));
}

static int
build_request (cli_t *cli, args_t *args, ab_slice_t text, out_t *request) {
  int failed = 0;
  out_open(request, '{');
  out_member_text(request, "cmd", "append");
  if (args_has(args, "optimistic")) out_member_bool(request, "optimistic", true);
  if (args_has(args, "batch")) failed = add_lines(cli, text, request);
  else out_member_hex(request, "hex", text);
  out_close(request, '}');
  return failed;
}

/* The last node of what was appended, as WRITER:LENGTH. */
static int
print_position (const cli_t *cli, const ab_json_t *answer) {
  char key_text[AB_KEY_TEXT_LEN + 1] = "";
  ab_key_t key;
  unsigned long long length = client_uint(answer, "localLength");
  if (client_key(answer, "localKey", &key)) ab_key_to_text(&key, key_text);
  if (cli->json) {
    out_t line = {0};
    out_open(&line, '{');
    out_member_uint(&line, "v", 1);
    out_member_hex(&line, "localKey", ab_key_slice(&key));
    out_member_uint(&line, "localLength", length);
    out_member_uint(&line, "flushes", client_uint(answer, "flushes"));
    out_close(&line, '}');
    if (!line.failed) printf("%.*s\n", (int) line.len, line.data);
    out_destroy(&line);
  } else {
    printf("%s:%llu\n", key_text, length);
  }
  ab_slice_t rejected = client_string(answer, "rejected");
  if (rejected.data == NULL) return CLI_OK;
  return cli_fail(
    cli,
    CLI_FAILED,
    "it is in the log, but apply refused it at %s:%llu: %.*s",
    key_text,
    length,
    (int) rejected.len,
    (const char *) rejected.data
  );
}

static int
wait_settled (client_t *client, const ab_head_t *node) {
  out_t request = {0};
  const ab_json_t *answer;
  out_open(&request, '{');
  out_member_text(&request, "cmd", "settled");
  out_member_hex(&request, "key", ab_key_slice(&node->key));
  out_member_uint(&request, "length", node->length);
  out_member_bool(&request, "wait", true);
  out_member_uint(&request, "timeoutMs", client->cli->timeout_ms);
  out_close(&request, '}');
  int code = client_ask(client, &request, &answer);
  out_destroy(&request);
  return code;
}

static int
run (cli_t *cli, args_t *args) {
  out_t text = {0}, request = {0};
  const ab_json_t *answer;
  client_t client;
  const char *wait = args_value(args, "wait");
  ab_head_t node = {0};
  if (wait != NULL && strcmp(wait, "settled") != 0) {
    return cli_fail(cli, CLI_USAGE, "--wait %s: settled is all that can be waited for", wait);
  }
  cli_catch_signals();
  int code = read_input(cli, args, &text);
  if (code == 0) code = build_request(cli, args, out_slice(&text), &request);
  out_destroy(&text);
  if (code == 0 && (code = client_open(&client, cli)) == 0) {
    code = client_ask(&client, &request, &answer);
    if (code == 0) {
      client_key(answer, "localKey", &node.key);
      node.length = client_uint(answer, "localLength");
      code = print_position(cli, answer);
    }
    if (code == 0 && wait != NULL) {
      fflush(stdout);
      code = wait_settled(&client, &node);
    }
    code = client_close(&client, code);
  }
  out_destroy(&request);
  return code;
}

const command_t cmd_append = {
  .name = "append",
  .run = run,
  .operands = "[VALUE | -]",
  .operands_max = 1,
  .purpose = "add a value to this writer's log, and print its place: WRITER:LENGTH",
  .examples =
    {"autobee append '{\"type\":\"add\",\"text\":\"milk\"}'", "autobee append --batch < edits.ndjson"},
  .options = options,
  .more = "It is applied and on disk when the command ends with 0.\n"};

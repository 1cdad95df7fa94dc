/* cmd_log.c: the operations of all writers in their order. */
#include "autobee/cli/bytes.h"
#include "autobee/cli/client.h"
#include "autobee/cli/commands.h"
#include "autobee/cli/graph.h"
#include "autobee/cli/instant.h"
#include "autobee/cli/range.h"
#include "autobee/cli/writer_name.h"

static const option_t options[] = {
  {"limit", "N", "only the last N"},
  {"writer", "W", "only those of one writer: its key, or the beginning of it"},
  {"graph", NULL, "with what is on top of what, each writer in a lane, as autobee dag draws it"},
  {"hash", NULL, "only the hash of the order: peers that know the same have the same one"},
  RANGE_ENCODING_OPTION,
  {0}};

static int
print_json (client_t *client, const ab_json_t *node) {
  ab_slice_t text;
  if (ab_json_encode(&client->doc, node, AB_JSON_ECMASCRIPT, &text) < 0) return -1;
  printf("{\"v\":1,%.*s\n", (int) text.len - 1, (const char *) text.data + 1);
  return 0;
}

static int
print_node (const ab_json_t *node, encoding_t encoding) {
  char name[KEY_SHORT_LEN + 1] = "", when[INSTANT_LEN + 1];
  out_t value = {0};
  ab_key_t key;
  if (client_key(node, "writer", &key)) key_to_short(&key, name);
  instant_to_text(client_uint(node, "timestamp"), when);
  printf(
    "%s:%-6llu %s  w%llu%s  ",
    name,
    (unsigned long long) client_uint(node, "length"),
    when,
    (unsigned long long) client_uint(node, "weight"),
    client_bool(node, "optimistic") ? " optimistic" : ""
  );
  if (!client_bool(node, "here")) {
    puts("(not here)");
  } else if (client_string(node, "valueHex").data == NULL) {
    puts("(acknowledgement)");
  } else {
    if (client_bytes(node, "valueHex", &value) == 0) bytes_print(stdout, out_slice(&value), encoding, false);
    putchar('\n');
  }
  out_destroy(&value);
  return 0;
}

static int
print (client_t *client, const args_t *args, const ab_json_t *answer, encoding_t encoding) {
  const cli_t *cli = client->cli;
  if (args_has(args, "hash")) {
    ab_slice_t hash = client_string(answer, "hash");
    printf(cli->json ? "{\"v\":1,\"hash\":\"%.*s\"}\n" : "%.*s\n", (int) hash.len, (const char *) hash.data);
    return CLI_OK;
  }
  const ab_json_t *nodes = ab_json_member(answer, ab_text("nodes")), *node;
  if (nodes == NULL) return CLI_OK;
  graph_t graph = {0};
  int code = args_has(args, "graph") ? graph_read(client, answer, &graph) : CLI_OK;
  ab_json_iter_t iter = ab_json_iter(nodes);
  for (size_t i = 0; code == CLI_OK && ab_json_next(&iter, &node); i++) {
    if (i < graph.count && !cli->json) graph_print_lanes(&graph, i);
    int err = cli->json ? print_json(client, node) : print_node(node, encoding);
    if (err < 0) code = cli_fail(cli, CLI_FAILED, "out of memory");
  }
  graph_destroy(&graph);
  return code;
}

static int
build_request (client_t *client, const args_t *args, uint64_t limit, out_t *request) {
  ab_key_t key;
  const char *writer = args_value(args, "writer");
  bool only_hash = args_has(args, "hash");
  int code = writer == NULL ? 0 : writer_name_resolve(client, writer, &key);
  if (code != 0) return code;
  out_open(request, '{');
  out_member_text(request, "cmd", only_hash ? "order" : "log");
  if (only_hash) out_member_uint(request, "last", 0);
  else if (limit > 0) out_member_uint(request, "last", limit);
  if (writer != NULL) out_member_hex(request, "writer", ab_key_slice(&key));
  out_close(request, '}');
  return 0;
}

static int
run (cli_t *cli, args_t *args) {
  out_t request = {0};
  const ab_json_t *answer;
  encoding_t encoding;
  client_t client;
  uint64_t limit = 0;
  int code = range_encoding(cli, args, &encoding);
  if (code == 0) code = args_number(cli, args, "limit", &limit);
  if (code != 0 || (code = client_open(&client, cli)) != 0) return code;
  code = build_request(&client, args, limit, &request);
  if (code == 0) code = client_ask(&client, &request, &answer);
  if (code == 0) code = print(&client, args, answer, encoding);
  out_destroy(&request);
  return client_close(&client, code);
}

const command_t cmd_log = {
  .name = "log",
  .run = run,
  .purpose = "print the operations of all writers in their merged order, the oldest first",
  .examples = {"autobee log --limit 20", "autobee log --hash"},
  .options = options,
  .more = "One line each: WRITER:LENGTH, when, the weight it was ordered with, the value.\n"};

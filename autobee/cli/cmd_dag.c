/* cmd_dag.c: what is written on top of what. */
#include "autobee/cli/commands.h"
#include "autobee/cli/graph.h"

#define LAST 50

static const option_t options[] = {
  {"format", "F", "text (default), dot for Graphviz, or json"},
  {"last", "N", "the last N operations (50); 0: all"},
  {0}};

static int
print (client_t *client, const char *format, const graph_t *graph) {
  if (strcmp(format, "json") == 0) return graph_print_json(client, graph);
  if (strcmp(format, "dot") == 0) graph_print_dot(graph);
  else graph_print_text(graph);
  return CLI_OK;
}

static int
run (cli_t *cli, args_t *args) {
  out_t request = {0};
  const ab_json_t *answer;
  const char *format = args_value(args, "format");
  graph_t graph = {0};
  client_t client;
  uint64_t last = LAST;
  if (format == NULL) format = cli->json ? "json" : "text";
  if (strcmp(format, "text") != 0 && strcmp(format, "dot") != 0 && strcmp(format, "json") != 0) {
    return cli_fail(cli, CLI_USAGE, "--format %s: text, dot or json", format);
  }
  int code = args_number(cli, args, "last", &last);
  if (code != 0 || (code = client_open(&client, cli)) != 0) return code;
  out_open(&request, '{');
  out_member_text(&request, "cmd", "log");
  if (last > 0) out_member_uint(&request, "last", last);
  out_close(&request, '}');
  code = client_ask(&client, &request, &answer);
  if (code == 0) code = graph_read(&client, answer, &graph);
  if (code == 0) code = print(&client, format, &graph);
  graph_destroy(&graph);
  out_destroy(&request);
  return client_close(&client, code);
}

const command_t cmd_dag = {
  .name = "dag",
  .run = run,
  .purpose = "draw what is written on top of what, each writer in a lane",
  .examples = {"autobee dag --last 20", "autobee dag --format dot | dot -Tsvg > dag.svg"},
  .options = options,
  .more =
    "* is the operation of the line, + the last one of another lane that it is on top of, o an earlier\n"
    "one. What is further back than the first line is not drawn.\n"};

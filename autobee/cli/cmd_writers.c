/* cmd_writers.c: who may write; adding and removing writers. */
#include "autobee/cli/bytes.h"
#include "autobee/cli/commands.h"
#include "autobee/cli/operation.h"
#include "autobee/cli/writer_name.h"

static const option_t options[] = {
  {"all", NULL, "those that were removed, too"},
  {"no-indexer", NULL, "with add: a plain writer, whose operations sort behind those of indexers"},
  {"weight", "N", "with add: its weight (2 for an indexer, else 1)"},
  {0}};

/* ---- the list ---- */

static void
print_json_writer (const ab_json_t *writer, const ab_key_t *key) {
  out_t line = {0};
  out_open(&line, '{');
  out_member_uint(&line, "v", 1);
  out_member_hex(&line, "key", ab_key_slice(key));
  out_member_uint(&line, "length", client_uint(writer, "length"));
  out_member_uint(&line, "weight", client_uint(writer, "weight"));
  out_member_uint(&line, "maxWeight", client_uint(writer, "maxWeight"));
  out_member_bool(&line, "isIndexer", client_bool(writer, "isIndexer"));
  out_member_bool(&line, "isRemoved", client_bool(writer, "isRemoved"));
  out_close(&line, '}');
  if (!line.failed) printf("%.*s\n", (int) line.len, line.data);
  out_destroy(&line);
}

static void
print_writer (const ab_json_t *writer, const ab_key_t *key, bool is_local) {
  char name[KEY_SHORT_LEN + 1];
  key_to_short(key, name);
  const char *role = client_bool(writer, "isRemoved")   ? "removed"
                     : client_bool(writer, "isIndexer") ? "indexer"
                                                        : "writer";
  printf(
    "%s  %-8s weight %-3llu length %llu%s\n",
    name,
    role,
    (unsigned long long) client_uint(writer, "maxWeight"),
    (unsigned long long) client_uint(writer, "length"),
    is_local ? "  (this one)" : ""
  );
}

static int
list (client_t *client, bool all) {
  out_t request = {0};
  const ab_json_t *answer, *writer, *writers;
  ab_key_t local, key;
  out_open(&request, '{');
  out_member_text(&request, "cmd", "info");
  out_close(&request, '}');
  int code = client_ask(client, &request, &answer);
  out_destroy(&request);
  if (code != 0) return code;
  if (!client_key(answer, "localKey", &local)) memset(&local, 0, sizeof(local));
  writers = ab_json_member(answer, ab_text("writers"));
  if (writers == NULL) return CLI_OK;
  ab_json_iter_t iter = ab_json_iter(writers);
  while (ab_json_next(&iter, &writer)) {
    if (!client_key(writer, "key", &key) || (client_bool(writer, "isRemoved") && !all)) continue;
    if (client->cli->json) print_json_writer(writer, &key);
    else print_writer(writer, &key, ab_key_equal(&key, &local));
  }
  return CLI_OK;
}

/* ---- adding and removing ---- */

static int
add (cli_t *cli, args_t *args) {
  out_t request = {0};
  ab_key_t key;
  uint64_t weight = 0;
  const char *text = args->operands[1];
  if (ab_key_from_text(ab_text(text), &key) < 0) {
    return cli_fail(
      cli,
      CLI_USAGE,
      "\"%s\" is not a key: give what autobee whoami prints there, 52 characters or 64 of hex",
      text
    );
  }
  int code = args_number(cli, args, "weight", &weight);
  if (code != 0) return code;
  out_open(&request, '{');
  out_member_text(&request, "cmd", "addWriter");
  out_member_hex(&request, "key", ab_key_slice(&key));
  if (args_has(args, "weight")) out_member_uint(&request, "weight", weight);
  if (args_has(args, "no-indexer")) out_member_bool(&request, "isIndexer", false);
  out_close(&request, '}');
  code = operation_run(cli, &request);
  out_destroy(&request);
  return code;
}

static int
rm (cli_t *cli, args_t *args) {
  out_t request = {0};
  client_t client;
  ab_key_t key;
  int code = client_open(&client, cli);
  if (code != 0) return code;
  code = client_close(&client, writer_name_resolve(&client, args->operands[1], &key));
  if (code != 0) return code;
  out_open(&request, '{');
  out_member_text(&request, "cmd", "removeWriter");
  out_member_hex(&request, "key", ab_key_slice(&key));
  out_close(&request, '}');
  code = operation_run(cli, &request);
  out_destroy(&request);
  return code;
}

static int
run (cli_t *cli, args_t *args) {
  if (args->operand_count > 0) {
    bool is_add = strcmp(args->operands[0], "add") == 0, is_rm = strcmp(args->operands[0], "rm") == 0;
    if (!is_add && !is_rm) {
      return cli_fail(
        cli, CLI_USAGE, "there is no \"writers %s\"; add KEY and rm KEY there are", args->operands[0]
      );
    }
    if (args->operand_count < 2)
      return cli_fail(cli, CLI_USAGE, "%s needs the writer's KEY", args->operands[0]);
    return is_add ? add(cli, args) : rm(cli, args);
  }
  client_t client;
  int code = client_open(&client, cli);
  return code != 0 ? code : client_close(&client, list(&client, args_has(args, "all")));
}

const command_t cmd_writers = {
  .name = "writers",
  .run = run,
  .operands = "[add KEY | rm KEY]",
  .operands_max = 2,
  .purpose = "list the writers, add one, or remove one",
  .examples = {"autobee writers", "autobee writers add 8qkw5t… --no-indexer"},
  .options = options,
  .more = "A new writer may write once it has synced. A removed key should never be added again;\n"
          "what it wrote before stays.\n"};

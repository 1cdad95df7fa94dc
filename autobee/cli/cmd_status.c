/* cmd_status.c: what this database is and how it stands. */
#include "autobee/cli/bytes.h"
#include "autobee/cli/client.h"
#include "autobee/cli/commands.h"
#include "autobee/cli/instant.h"

/* The members of the control protocol's info, with a version in front. */
static int
print_json (client_t *client, const ab_json_t *answer) {
  ab_json_iter_t iter = ab_json_iter(answer);
  const ab_json_t *value;
  ab_slice_t name;
  out_t line = {0};
  out_open(&line, '{');
  out_member_uint(&line, "v", 1);
  while (ab_json_next_member(&iter, &name, &value)) {
    ab_slice_t text;
    if (ab_slice_equal(name, ab_text("ok")) || ab_slice_equal(name, ab_text("cmd"))) continue;
    if (ab_json_encode(&client->doc, value, AB_JSON_ECMASCRIPT, &text) < 0) break;
    out_string(&line, name);
    out_bytes(&line, ab_text(":"));
    line.follows = false;
    out_json(&line, text);
  }
  out_member_bool(&line, "served", client->socket >= 0);
  out_close(&line, '}');
  if (!line.failed) printf("%.*s\n", (int) line.len, line.data);
  out_destroy(&line);
  return CLI_OK;
}

static void
count_writers (const ab_json_t *answer, unsigned *writers, unsigned *indexers) {
  const ab_json_t *list = ab_json_member(answer, ab_text("writers")), *writer;
  *writers = *indexers = 0;
  if (list == NULL) return;
  ab_json_iter_t iter = ab_json_iter(list);
  while (ab_json_next(&iter, &writer)) {
    if (client_bool(writer, "isRemoved")) continue;
    (*writers)++;
    *indexers += client_bool(writer, "isIndexer");
  }
}

static void
print_key (const char *name, const ab_json_t *answer, const char *member) {
  char text[AB_KEY_TEXT_LEN + 1] = "?";
  ab_key_t key;
  if (client_key(answer, member, &key)) ab_key_to_text(&key, text);
  printf("%-12s%s", name, text);
}

static void
print_lengths (const ab_json_t *answer) {
  const ab_json_t *view = ab_json_member(answer, ab_text("view")),
                  *stats = ab_json_member(answer, ab_text("stats"));
  char when[INSTANT_LEN + 1];
  int64_t length = 0;
  if (view != NULL && view->type == AB_JSON_ARRAY && view->count == 2) ab_json_integer(view + 2, &length);
  instant_to_text(client_uint(answer, "timestamp"), when);
  unsigned long long flushes = client_uint(answer, "flushes");
  printf(
    "applied     %llu batches%s%s\n", flushes, flushes > 0 ? ", the last of " : "", flushes > 0 ? when : ""
  );
  printf("view        %lld blocks\n", (long long) length);
  if (stats != NULL && client_uint(stats, "rejected") > 0) {
    printf(
      "rejected    %llu batches since it was opened\n", (unsigned long long) client_uint(stats, "rejected")
    );
  }
}

static int
print (client_t *client, const ab_json_t *answer) {
  unsigned writers, indexers;
  ab_slice_t policy = client_string(answer, "policy"), id = client_string(answer, "applyId");
  ab_slice_t error = client_string(answer, "lastError");
  const char *role = !client_bool(answer, "writable")   ? "not a writer yet"
                     : client_bool(answer, "isIndexer") ? "indexer"
                                                        : "writer";
  count_writers(answer, &writers, &indexers);
  print_key("database", answer, "key");
  puts(client_bool(answer, "encrypted") ? ", encrypted" : "");
  print_key("this writer", answer, "localKey");
  printf(", %s, length %llu\n", role, (unsigned long long) client_uint(answer, "localLength"));
  printf("writers     %u, %u of them indexers\n", writers, indexers);
  print_lengths(answer);
  printf(
    "merge rule  %.*s, %.8s\n",
    (int) policy.len,
    (const char *) policy.data,
    id.len < 8 ? "?" : (const char *) id.data
  );
  if (client->socket >= 0) {
    printf(
      "served      by another process, %llu connections\n",
      (unsigned long long) client_uint(answer, "connections")
    );
  }
  if (error.data != NULL) printf("STANDS STILL  %.*s\n", (int) error.len, (const char *) error.data);
  return CLI_OK;
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
  if (code == 0) code = cli->json ? print_json(&client, answer) : print(&client, answer);
  out_destroy(&request);
  return client_close(&client, code);
}

const command_t cmd_status = {
  .name = "status",
  .run = run,
  .purpose = "print what this database is and how it stands",
  .examples = {"autobee status", "autobee status --json"},
};

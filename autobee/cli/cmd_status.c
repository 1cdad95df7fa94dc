/* cmd_status.c: what this database is and how it stands. */
#include "autobee/cli/bytes.h"
#include "autobee/cli/client.h"
#include "autobee/cli/commands.h"
#include "autobee/cli/instant.h"

/* Where the local writer's last node stands. */
typedef struct {
  bool is_known;
  char state[16];
  unsigned long long acknowledged, indexers;
  bool is_settled;
} last_t;

static int
ask_last (client_t *client, last_t *last) {
  out_t request = {0};
  const ab_json_t *answer;
  int err;
  out_open(&request, '{');
  out_member_text(&request, "cmd", "settled");
  out_member_uint(&request, "timeoutMs", 0);
  out_close(&request, '}');
  int code = client_try(client, &request, &answer, &err);
  out_destroy(&request);
  *last = (last_t){.is_known = code == 0 && err == 0};
  if (!last->is_known) return code;
  ab_slice_t state = client_string(answer, "state");
  snprintf(last->state, sizeof(last->state), "%.*s", (int) state.len, (const char *) state.data);
  last->acknowledged = client_uint(answer, "acknowledged");
  last->indexers = client_uint(answer, "indexers");
  last->is_settled = client_bool(answer, "settled");
  return 0;
}

static void
print_last (const last_t *last) {
  printf(
    "last node   %s, acknowledged by %llu of %llu indexers%s\n",
    last->state,
    last->acknowledged,
    last->indexers,
    last->is_settled ? ": settled" : ""
  );
}

static void
put_last (out_t *line, const last_t *last) {
  out_name(line, "last");
  out_open(line, '{');
  out_member_text(line, "state", last->state);
  out_member_uint(line, "acknowledged", last->acknowledged);
  out_member_uint(line, "indexers", last->indexers);
  out_member_bool(line, "settled", last->is_settled);
  out_close(line, '}');
}

/* The members of the control protocol's info, and two of our own. */
static int
print_json (client_t *client, const ab_json_t *answer, const last_t *last) {
  out_t line = {0};
  client_begin_json(client, answer, &line);
  if (last->is_known) put_last(&line, last);
  out_member_bool(&line, "served", client->socket >= 0);
  return client_end_json(client, &line);
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
  if (stats == NULL) return;
  printf(
    "since open  %llu runs of apply, %llu rejected, %llu reorders, %llu fast-forwards\n",
    (unsigned long long) client_uint(stats, "applies"),
    (unsigned long long) client_uint(stats, "rejected"),
    (unsigned long long) client_uint(stats, "undos"),
    (unsigned long long) client_uint(stats, "fastForwards")
  );
}

static int
print (client_t *client, const ab_json_t *answer, const last_t *last) {
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
  if (last->is_known) print_last(last);
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
  last_t last;
  (void) args;
  int code = client_open(&client, cli);
  if (code != 0) return code;
  code = ask_last(&client, &last);
  out_open(&request, '{');
  out_member_text(&request, "cmd", "info");
  out_close(&request, '}');
  if (code == 0) code = client_ask(&client, &request, &answer);
  if (code == 0) code = cli->json ? print_json(&client, answer, &last) : print(&client, answer, &last);
  out_destroy(&request);
  return client_close(&client, code);
}

const command_t cmd_status = {
  .name = "status",
  .run = run,
  .purpose = "print what this database is and how it stands",
  .examples = {"autobee status", "autobee status --json"},
};

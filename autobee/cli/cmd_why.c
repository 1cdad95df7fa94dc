/* cmd_why.c: why of two operations one comes first. */
#include "autobee/cli/bytes.h"
#include "autobee/cli/client.h"
#include "autobee/cli/commands.h"
#include "autobee/cli/instant.h"
#include "autobee/cli/writer_name.h"

#include <stdio.h>
#include <stdlib.h>

/* WRITER:LENGTH */
static int
read_node (client_t *client, const char *text, ab_head_t *node) {
  char writer[AB_KEY_TEXT_LEN * 2];
  const char *colon = strrchr(text, ':');
  char *end = NULL;
  if (colon != NULL && colon[1] >= '0' && colon[1] <= '9') node->length = strtoull(colon + 1, &end, 10);
  if (end == NULL || *end != 0 || node->length > AB_MAX_SAFE || (size_t) (colon - text) >= sizeof(writer)) {
    return cli_fail(
      client->cli, CLI_USAGE, "\"%s\" is no node; WRITER:LENGTH, as autobee log prints them", text
    );
  }
  snprintf(writer, sizeof(writer), "%.*s", (int) (colon - text), text);
  return writer_name_resolve(client, writer, &node->key);
}

/* ---- in words ---- */

static void
name_of (const ab_json_t *pair, char out[NODE_SHORT_LEN + 1]) {
  ab_head_t node;
  client_head(pair, &node);
  node_to_short(&node, out);
}

typedef struct {
  char name[NODE_SHORT_LEN + 1];
  unsigned long long weight, timestamp_ms;
} compared_t;

static void
read_compared (const ab_json_t *answer, const char *member, compared_t *out) {
  const ab_json_t *object = ab_json_member(answer, ab_text(member));
  ab_head_t node = {0};
  if (object == NULL) return;
  client_key(object, "writer", &node.key);
  node.length = client_uint(object, "length");
  node_to_short(&node, out->name);
  out->weight = client_uint(object, "weight");
  out->timestamp_ms = client_uint(object, "timestamp");
}

static void
print_path (const char *first, const char *second, const ab_json_t *path) {
  const ab_json_t *node;
  printf("%s is written on top of %s", second, first);
  if (path != NULL) {
    ab_json_iter_t iter = ab_json_iter(path);
    for (const char *before = ", through "; ab_json_next(&iter, &node); before = ", ") {
      char name[NODE_SHORT_LEN + 1];
      name_of(node, name);
      printf("%s%s", before, name);
    }
  }
  puts(".");
}

static void
print_pulled (const char *node, const compared_t *by) {
  if (strcmp(node, by->name) == 0) return;
  printf("%s is placed with %s, which is written on top of it and pulled it forward.\n", node, by->name);
}

static void
print_times (const compared_t *first, const compared_t *second) {
  char a[INSTANT_LEN + 1], b[INSTANT_LEN + 1];
  instant_to_text(first->timestamp_ms, a);
  instant_to_text(second->timestamp_ms, b);
  unsigned long long ms = second->timestamp_ms - first->timestamp_ms;
  printf("%s is older, by %llu ms: %s, %s is of %s.\n", first->name, ms, a, second->name, b);
}

static void
print_compared (const ab_json_t *answer, ab_slice_t reason, const char *first, const char *second) {
  compared_t a = {0}, b = {0};
  read_compared(answer, "firstBy", &a);
  read_compared(answer, "secondBy", &b);
  print_pulled(first, &a);
  print_pulled(second, &b);
  if (ab_slice_equal(reason, ab_text("weight"))) {
    printf("%s is heavier: weight %llu, %s has %llu.\n", a.name, a.weight, b.name, b.weight);
  } else if (ab_slice_equal(reason, ab_text("time"))) {
    print_times(&a, &b);
  } else if (ab_slice_equal(reason, ab_text("key"))) {
    printf("%s has the lower key; in weight and time they are equal.\n", a.name);
  } else {
    printf(
      "The order's rule does not say so: writers were removed while %s or %s was on its way.\n",
      a.name,
      b.name
    );
  }
}

static int
print (const ab_json_t *answer) {
  char first[NODE_SHORT_LEN + 1], second[NODE_SHORT_LEN + 1];
  ab_slice_t reason = client_string(answer, "reason");
  name_of(ab_json_member(answer, ab_text("first")), first);
  name_of(ab_json_member(answer, ab_text("second")), second);
  printf("%s comes before %s.\n", first, second);
  if (ab_slice_equal(reason, ab_text("top"))) {
    print_path(first, second, ab_json_member(answer, ab_text("path")));
  } else if (ab_slice_equal(reason, ab_text("batch"))) {
    puts("They are of one atomic batch.");
  } else {
    print_compared(answer, reason, first, second);
  }
  return CLI_OK;
}

static int
print_json (client_t *client, const ab_json_t *answer) {
  out_t line = {0};
  client_begin_json(client, answer, &line);
  return client_end_json(client, &line);
}

static int
run (cli_t *cli, args_t *args) {
  out_t request = {0};
  const ab_json_t *answer;
  client_t client;
  ab_head_t nodes[2];
  int code = client_open(&client, cli);
  if (code != 0) return code;
  code = read_node(&client, args->operands[0], &nodes[0]);
  if (code == 0) code = read_node(&client, args->operands[1], &nodes[1]);
  if (code != 0) return client_close(&client, code);
  out_open(&request, '{');
  out_member_text(&request, "cmd", "why");
  for (size_t i = 0; i < 2; i++) {
    out_name(&request, i == 0 ? "a" : "b");
    out_open(&request, '[');
    out_hex(&request, ab_key_slice(&nodes[i].key));
    out_uint(&request, nodes[i].length);
    out_close(&request, ']');
  }
  out_close(&request, '}');
  code = client_ask(&client, &request, &answer);
  if (code == 0) code = cli->json ? print_json(&client, answer) : print(answer);
  out_destroy(&request);
  return client_close(&client, code);
}

const command_t cmd_why = {
  .name = "why",
  .run = run,
  .operands = "NODE NODE",
  .operands_min = 2,
  .operands_max = 2,
  .purpose = "say which of two operations comes first in the merged order, and why",
  .examples = {"autobee why qj6xrzka:12 8mtdpw5h:3"},
  .more = "NODE: WRITER:LENGTH, as autobee log prints it.\n"};

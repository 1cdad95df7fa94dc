#include "autobee/cli/writer_name.h"

static bool
begins_with (const ab_key_t *key, const char *name) {
  char text[AB_KEY_TEXT_LEN + 1];
  ab_key_to_text(key, text);
  return strncmp(text, name, strlen(name)) == 0;
}

int
writer_name_resolve (client_t *client, const char *name, ab_key_t *out) {
  const cli_t *cli = client->cli;
  out_t request = {0};
  const ab_json_t *answer, *writer, *writers;
  size_t count = 0;
  if (ab_key_from_text(ab_text(name), out) == 0) return 0;
  out_open(&request, '{');
  out_member_text(&request, "cmd", "info");
  out_close(&request, '}');
  int code = client_ask(client, &request, &answer);
  out_destroy(&request);
  if (code != 0) return code;
  writers = ab_json_member(answer, ab_text("writers"));
  if (writers != NULL && *name != 0) {
    ab_json_iter_t iter = ab_json_iter(writers);
    ab_key_t key;
    while (ab_json_next(&iter, &writer)) {
      if (!client_key(writer, "key", &key) || !begins_with(&key, name)) continue;
      *out = key;
      count++;
    }
  }
  if (count == 1) return 0;
  if (count > 1)
    return cli_fail(cli, CLI_USAGE, "%zu writers begin with \"%s\"; give more of the key", count, name);
  return cli_fail(
    cli,
    CLI_USAGE,
    "\"%s\" is neither a key nor the beginning of a writer's; autobee writers lists them",
    name
  );
}

#include "autobee/cli/make.h"

#include "autobee/cli/bytes.h"

#include <stdlib.h>

int
make_read_policy (const cli_t *cli, const args_t *args, database_make_t *make) {
  const char *policy = args_value(args, "policy");
  make->script_path = args_value(args, "apply");
  make->fast_forward = args_has(args, "fast-forward");
  if (policy != NULL && make->script_path != NULL) {
    return cli_fail(cli, CLI_USAGE, "either --apply or --policy");
  }
  if (policy == NULL || strcmp(policy, "kv") == 0) return 0;
  return cli_fail(
    cli, CLI_USAGE, "--policy %s: this version has kv only; write a rule of your own with --apply", policy
  );
}

static void
print_made (database_t *database, bool is_join) {
  const cli_t *cli = database->cli;
  char key_text[AB_KEY_TEXT_LEN + 1], local_text[AB_KEY_TEXT_LEN + 1];
  ab_key_t key;
  ab_head_t local;
  autobee_key(database->db, &key);
  autobee_local(database->db, &local);
  ab_key_to_text(&key, key_text);
  ab_key_to_text(&local.key, local_text);
  if (cli->json) {
    out_t line = {0};
    out_open(&line, '{');
    out_member_uint(&line, "v", 1);
    out_member_hex(&line, "key", ab_key_slice(&key));
    out_member_hex(&line, "localKey", ab_key_slice(&local.key));
    out_member_bool(&line, "writable", autobee_is_writable(database->db));
    out_member_bool(&line, "encrypted", database->is_encrypted);
    out_close(&line, '}');
    if (!line.failed) printf("%.*s\n", (int) line.len, line.data);
    out_destroy(&line);
  } else {
    puts(is_join ? local_text : key_text);
  }
  if (is_join) {
    cli_note(cli, "Joined. To be allowed to write, ask a writer to run: autobee writers add %s", local_text);
  } else {
    cli_note(cli, "A new database in %s. Others join it with: autobee -C DIR join %s", cli->dir, key_text);
  }
  if (database->is_encrypted && !is_join && !cli->has_encryption_key) {
    cli_note(
      cli, "It is encrypted. They also need the key in %s/encryption-key; keep that secret.", cli->dir
    );
  }
}

int
make_run (const cli_t *cli, const database_make_t *make) {
  database_t *database = calloc(1, sizeof(*database));
  if (database == NULL) return cli_fail(cli, CLI_FAILED, "out of memory");
  int err = database_make(database, cli, make);
  if (err == 0) {
    print_made(database, make->join != NULL);
    err = database_close(database);
  }
  int code = err == 0 ? 0 : cli_fail_with(cli, err, "%s", database->message);
  free(database);
  return code;
}

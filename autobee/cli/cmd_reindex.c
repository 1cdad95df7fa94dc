/* cmd_reindex.c: make the view anew, after the merge rule changed. */
#include "autobee/cli/commands.h"
#include "autobee/cli/database.h"

#include <stdio.h>
#include <stdlib.h>

#define RUN_MS 50
#define PROGRESS_MS 1000

static const option_t options[] = {
  {"apply", "F.lua", "with this script, which replaces the one in the folder"}, {0}};

static int
fail_with_store (const database_t *database, int err) {
  const char *message = ab_store_errmsg(database->store);
  return cli_fail_with(database->cli, err, "%s", message[0] == 0 ? ab_strerror(err) : message);
}

/* Let it run to its end. */
static int
make_anew (database_t *database) {
  const cli_t *cli = database->cli;
  const ab_env_t *env = ab_store_env(database->store);
  uint64_t told_ms = env->now_ms(env->data);
  autobee_info_t info;
  for (;;) {
    int more = ab_store_run(database->store, RUN_MS, NULL);
    int err = more < 0 ? more : autobee_info(database->db, &info);
    if (err < 0) return fail_with_store(database, err);
    if (!info.is_reindexing) break;
    if (info.is_halted) return fail_with_store(database, AB_EHALTED);
    if (cli_is_interrupted()) {
      cli_note(cli, "Interrupted: the view is still the old one; the next command begins again.");
      return CLI_INTERRUPTED;
    }
    if (more == 0) {
      return cli_fail(
        cli, CLI_UNAVAILABLE, "not all logs are here; it goes on with the next sync: autobee sync TARGET"
      );
    }
    if (env->now_ms(env->data) < told_ms + PROGRESS_MS) continue;
    told_ms = env->now_ms(env->data);
    cli_note(cli, "%llu batches", (unsigned long long) info.reindexed);
  }
  if (cli->json) printf("{\"v\":1,\"flushes\":%llu}\n", (unsigned long long) info.flushes);
  else printf("%llu batches applied anew\n", (unsigned long long) info.flushes);
  return CLI_OK;
}

static int
run (cli_t *cli, args_t *args) {
  database_t *database = calloc(1, sizeof(*database));
  if (database == NULL) return cli_fail(cli, CLI_FAILED, "out of memory");
  cli_catch_signals();
  int err = database_reindex(database, cli, args_value(args, "apply"));
  int code = err < 0 ? cli_fail_with(cli, err, "%s", database->message) : make_anew(database);
  if (err == 0 && (err = database_close(database)) < 0 && code == CLI_OK)
    code = cli_fail_with(cli, err, "%s", database->message);
  free(database);
  return code;
}

const command_t cmd_reindex = {
  .name = "reindex",
  .run = run,
  .purpose = "make the view anew from the logs, after the merge rule changed",
  .examples = {"autobee reindex", "autobee reindex --apply new.lua"},
  .options = options,
  .more = "Until it is done the old view is kept; if it is interrupted, the next command begins again. Not\n"
          "while a process serves the folder.\n"};

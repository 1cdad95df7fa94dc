/* cmd_version.c: which autobee this is. */
#include "autobee/cli/commands.h"
#include "lua/sandbox.h"

#include <stdio.h>

static int
run (cli_t *cli, args_t *args) {
  uint32_t version = ab_version();
  unsigned major = version >> 16, minor = version >> 8 & 255, patch = version & 255;
  (void) args;
  if (cli->json) {
    printf("{\"v\":1,\"version\":\"%u.%u.%u\",\"runtime\":\"%s\"}\n", major, minor, patch, SANDBOX_RUNTIME);
  } else {
    printf("autobee %u.%u.%u, scripts run in %s\n", major, minor, patch, SANDBOX_RUNTIME);
  }
  return CLI_OK;
}

const command_t cmd_version = {
  .name = "version",
  .run = run,
  .purpose = "print which autobee this is",
  .examples = {"autobee version", "autobee version --json"},
};

/* cmd_serve.c: keep the database open for peers and for other commands. */
#include "autobee/cli/commands.h"
#include "autobee/cli/server.h"

#include <stdio.h>

static const option_t options[] = {
  {"listen", "ADDR", "accept peers at tcp:HOST:PORT or unix:PATH; may be given several times"},
  {"connect", "ADDR", "connect to tcp:HOST:PORT, unix:PATH or exec:COMMAND, and again when it is lost"},
  {"control", "WHERE", "speak the control protocol on stdin and stdout (-) or at unix:PATH, too"},
  {0}};

static int
listen_all (server_t *server, const cli_t *cli, const args_t *args, unsigned *first_port) {
  const control_net_t *net = server_net(server);
  const char *address;
  for (size_t i = 0; (address = args_value_at(args, "listen", i)) != NULL; i++) {
    unsigned port;
    int err = net->listen(net->data, address, &port);
    if (err < 0) {
      return cli_fail(cli, err == AB_EINVAL ? CLI_USAGE : CLI_FAILED, "%s", net->message(net->data));
    }
    if (*first_port == 0) *first_port = port;
    if (port != 0) cli_note(cli, "listening at %s, port %u", address, port);
    else cli_note(cli, "listening at %s", address);
  }
  return 0;
}

static int
connect_all (server_t *server, const cli_t *cli, const args_t *args) {
  const control_net_t *net = server_net(server);
  const char *address;
  for (size_t i = 0; (address = args_value_at(args, "connect", i)) != NULL; i++) {
    int err = net->connect(net->data, address);
    if (err < 0) return cli_fail_with(cli, err, "%s", net->message(net->data));
  }
  return 0;
}

/* Sockets first: who reads the ready line finds them. `-` prints it. */
static int
control_all (server_t *server, const cli_t *cli, const args_t *args) {
  const char *where;
  bool stdio = false;
  for (size_t i = 0; (where = args_value_at(args, "control", i)) != NULL; i++) {
    bool is_unix = strncmp(where, "unix:", 5) == 0 && where[5] != 0;
    if (!is_unix && strcmp(where, "-") != 0) {
      return cli_fail(cli, CLI_USAGE, "--control %s: - or unix:PATH", where);
    }
    int code = is_unix ? server_control_unix(server, where + 5) : 0;
    if (code != 0) return code;
    stdio = stdio || !is_unix;
  }
  if (stdio) return server_control_stdio(server);
  out_t line = {0};
  control_ready_line(server_control(server), server_port(server), &line);
  fwrite(line.data, 1, line.failed ? 0 : line.len, stdout);
  fflush(stdout);
  out_destroy(&line);
  return 0;
}

static int
run (cli_t *cli, args_t *args) {
  server_t *server;
  unsigned port = 0;
  int code = server_open(cli, false, &server);
  if (code != 0) return code;
  code = listen_all(server, cli, args, &port);
  server_set_port(server, port);
  if (code == 0) code = control_all(server, cli, args);
  if (code == 0) code = connect_all(server, cli, args);
  if (code == 0) code = server_run(server);
  return server_close(server, code);
}

const command_t cmd_serve = {
  .name = "serve",
  .run = run,
  .purpose = "keep the database open: for peers that connect, and for other commands",
  .examples =
    {"autobee serve --listen tcp:0.0.0.0:4040", "autobee serve --control - --listen tcp:127.0.0.1:0"},
  .options = options,
  .more = "The first line on stdout is one JSON object with the key and the port. Meanwhile other commands\n"
          "in this folder go through this process. Ctrl-C stops it. See docs/control.md.\n"};

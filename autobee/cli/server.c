#include "autobee/cli/server.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64
#define CLIENTS_MAX 128
#define SOCKETS_MAX 8
#define SIGNALS 2

typedef struct member_s member_t;
struct member_s { /* a client */
  lines_t *lines;
  member_t *next, **link;
};

typedef struct {
  server_t *server;
  uv_pipe_t pipe;
  char *path; /* to be removed */
} socket_t;

struct server_s {
  const cli_t *cli;
  uv_loop_t loop;
  uv_signal_t signals[SIGNALS];
  size_t signal_count; /* initialised */
  socket_t *sockets[SOCKETS_MAX];
  size_t socket_count;
  database_t database;
  network_t *network;
  control_t *control;
  member_t *members;
  size_t member_count;
  unsigned port;
  bool has_database;
  bool is_stopping, was_interrupted;
};

/* ---- clients ---- */

static void
on_input (void *data) {
  server_t *server = data;
  if (!server->is_stopping) network_wake(server->network);
}

static void
on_closed (void *data, lines_t *lines) {
  server_t *server = data;
  for (member_t *member = server->members; member != NULL; member = member->next) {
    if (member->lines != lines) continue;
    *member->link = member->next;
    if (member->next != NULL) member->next->link = member->link;
    server->member_count--;
    free(member);
    return;
  }
}

static void
on_stdio_end (void *data, lines_t *lines) {
  (void) lines;
  server_stop(data);
}

static int
on_attach (void *data, int fd, bool initiator) {
  server_t *server = data;
  if (!server->is_stopping) return network_attach(server->network, fd, initiator);
  close(fd);
  return AB_ECLOSED;
}

static lines_options_t
options_of_lines (server_t *server) {
  return (lines_options_t
  ){.control = server->control,
    .loop = &server->loop,
    .data = server,
    .on_input = on_input,
    .attach = on_attach,
    .on_closed = on_closed};
}

static void
greet (server_t *server, lines_t *lines) {
  out_t line = {0};
  control_ready_line(server->control, server->port, &line);
  if (!line.failed) lines_send(lines, out_slice(&line));
  out_destroy(&line);
}

static member_t *
member_new (server_t *server) {
  member_t *member = calloc(1, sizeof(*member));
  if (member == NULL) return NULL;
  member->next = server->members;
  member->link = &server->members;
  if (member->next != NULL) member->next->link = &member->next;
  server->members = member;
  server->member_count++;
  return member;
}

static void
member_drop (server_t *server, member_t *member) {
  *member->link = member->next;
  if (member->next != NULL) member->next->link = member->link;
  server->member_count--;
  free(member);
}

static void
on_client (uv_stream_t *listener, int status) {
  socket_t *socket = listener->data;
  server_t *server = socket->server;
  lines_options_t options = options_of_lines(server);
  if (status < 0 || server->is_stopping || server->member_count == CLIENTS_MAX) return;
  member_t *member = member_new(server);
  if (member == NULL) return;
  if (lines_accept(&options, listener, &member->lines) < 0) {
    member_drop(server, member);
    return;
  }
  greet(server, member->lines);
  network_wake(server->network);
}

static void
resume_clients (server_t *server) {
  for (member_t *member = server->members, *next; member != NULL; member = next) {
    next = member->next;
    lines_resume(member->lines);
  }
}

int
server_control_stdio (server_t *server) {
  lines_options_t options = options_of_lines(server);
  options.on_end = on_stdio_end;
  member_t *member = member_new(server);
  int err = member == NULL ? AB_ENOMEM : lines_open_stdio(&options, &member->lines);
  if (err < 0) {
    if (member != NULL) member_drop(server, member);
    return cli_fail(server->cli, CLI_FAILED, "%s", ab_strerror(err));
  }
  greet(server, member->lines);
  return 0;
}

/* ---- sockets ---- */

static void
socket_closed (uv_handle_t *handle) {
  socket_t *socket = handle->data;
  free(socket->path);
  free(socket);
}

/* In a folder with a long name: by a path through a descriptor of the folder. */
static int
bind_path (uv_pipe_t *pipe, const char *path) {
  struct sockaddr_un address;
  char text[sizeof(address.sun_path)], dir[4096];
  const char *slash = strrchr(path, '/');
  if (strlen(path) < sizeof(address.sun_path)) return uv_pipe_bind(pipe, path);
  if (slash == NULL || slash == path || (size_t) (slash - path) >= sizeof(dir)) return UV_ENAMETOOLONG;
  memcpy(dir, path, (size_t) (slash - path));
  dir[slash - path] = 0;
  int folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return UV_ENOENT;
  int len = snprintf(text, sizeof(text), "/proc/self/fd/%d%s", folder, slash);
  int err = len < 0 || (size_t) len >= sizeof(text) ? UV_ENAMETOOLONG : uv_pipe_bind(pipe, text);
  close(folder);
  return err;
}

/* `replace`: whatever stands there is left over, for we hold the store's lock. */
static int
listen_at (server_t *server, const char *path, bool replace) {
  struct stat st;
  if (server->socket_count == SOCKETS_MAX)
    return cli_fail(server->cli, CLI_USAGE, "too many control sockets");
  socket_t *socket = calloc(1, sizeof(*socket));
  if (socket == NULL) return cli_fail(server->cli, CLI_FAILED, "out of memory");
  if (uv_pipe_init(&server->loop, &socket->pipe, 0) < 0) {
    free(socket);
    return cli_fail(server->cli, CLI_FAILED, "out of memory");
  }
  socket->server = server;
  socket->pipe.data = socket;
  if (replace && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) (void) unlink(path);
  mode_t mask = umask(0077); /* whoever may connect may do everything */
  int err = bind_path(&socket->pipe, path);
  umask(mask);
  if (err == 0) {
    socket->path = strdup(path);
    err = uv_listen((uv_stream_t *) &socket->pipe, BACKLOG, on_client);
  }
  if (err < 0) {
    uv_close((uv_handle_t *) &socket->pipe, socket_closed);
    return cli_fail(
      server->cli, CLI_FAILED, "cannot listen at the control socket %s: %s", path, uv_strerror(err)
    );
  }
  server->sockets[server->socket_count++] = socket;
  return 0;
}

int
server_control_unix (server_t *server, const char *path) {
  return listen_at(server, path, false);
}

/* ---- what the network tells ---- */

static void
on_turn (void *data, uint64_t *deadline_ms) {
  server_t *server = data;
  uint64_t due_ms = control_tick(server->control);
  if (due_ms < *deadline_ms) *deadline_ms = due_ms;
  resume_clients(server);
  if (control_is_closing(server->control)) server_stop(server);
}

static void
on_event (void *data, const char *name, ab_slice_t members) {
  server_t *server = data;
  control_event(server->control, name, members);
  if (server->cli->verbose) {
    cli_note(server->cli, "%s %.*s", name, (int) members.len, (const char *) members.data);
  }
}

/* ---- stopping ---- */

static void
network_closed (void *data) {
  server_t *server = data;
  server->network = NULL;
}

void
server_stop (server_t *server) {
  if (server->is_stopping) return;
  server->is_stopping = true;
  if (server->network != NULL) network_close(server->network, network_closed, server);
  for (size_t i = 0; i < server->socket_count; i++) {
    socket_t *socket = server->sockets[i];
    (void) unlink(socket->path);
    uv_close((uv_handle_t *) &socket->pipe, socket_closed);
  }
  server->socket_count = 0;
  for (member_t *member = server->members, *next; member != NULL; member = next) {
    next = member->next;
    lines_close(member->lines);
  }
  for (size_t i = 0; i < server->signal_count; i++) uv_close((uv_handle_t *) &server->signals[i], NULL);
}

static void
on_signal (uv_signal_t *handle, int number) {
  server_t *server = handle->data;
  (void) number;
  server->was_interrupted = true;
  server_stop(server);
}

int
server_run (server_t *server) {
  if (cli_is_interrupted()) { /* before the loop heard of signals */
    server->was_interrupted = true;
    server_stop(server);
  }
  while (uv_run(&server->loop, UV_RUN_DEFAULT) != 0) {
  }
  return server->was_interrupted ? CLI_INTERRUPTED : 0;
}

/* ---- opening and closing ---- */

static int
open_database (server_t *server) {
  const cli_t *cli = server->cli;
  int err;
  for (uint32_t waited = 0;; waited += 20) {
    err = database_open(&server->database, cli);
    if (err != AB_EINUSE || waited >= cli->timeout_ms) break;
    if (!cli_sleep(20)) return CLI_INTERRUPTED;
  }
  if (err < 0) return cli_fail_with(cli, err, "%s", server->database.message);
  server->has_database = true;
  return 0;
}

static void
catch_signals (server_t *server) {
  static const int numbers[SIGNALS] = {SIGINT, SIGTERM};
  for (size_t i = 0; i < SIGNALS; i++) {
    if (uv_signal_init(&server->loop, &server->signals[i]) < 0) return;
    server->signal_count++;
    server->signals[i].data = server;
    uv_signal_start_oneshot(&server->signals[i], on_signal, numbers[i]); /* a second one ends the process */
  }
}

static int
open_parts (server_t *server, bool allow_stdio) {
  const cli_t *cli = server->cli;
  char path[4096];
  network_options_t options = {
    .allow_stdio = allow_stdio, .data = server, .on_turn = on_turn, .on_event = on_event};
  catch_signals(server);
  int err = network_open(&server->database, &server->loop, &options, &server->network);
  if (err < 0) return cli_fail_with(cli, err, "%s", ab_strerror(err));
  err = control_open(&server->database, network_control(server->network), &server->control);
  if (err < 0) return cli_fail_with(cli, err, "%s", ab_strerror(err));
  if (database_path(cli->dir, DATABASE_SOCKET, path, sizeof(path)) < 0) {
    return cli_fail(cli, CLI_FAILED, "the path of the folder is too long");
  }
  return listen_at(server, path, true);
}

int
server_open (const cli_t *cli, bool allow_stdio, server_t **out) {
  if (cli->read_only)
    return cli_fail(cli, CLI_DENIED, "this cannot be done with --read-only; leave that out");
  server_t *server = calloc(1, sizeof(*server));
  if (server == NULL || uv_loop_init(&server->loop) < 0) {
    free(server);
    return cli_fail(cli, CLI_FAILED, "out of memory");
  }
  server->cli = cli;
  cli_catch_signals();
  int code = open_database(server);
  if (code == 0) code = open_parts(server, allow_stdio);
  if (code != 0) return server_close(server, code);
  *out = server;
  return 0;
}

void
server_set_port (server_t *server, unsigned port) {
  server->port = port;
}

unsigned
server_port (const server_t *server) {
  return server->port;
}

control_t *
server_control (server_t *server) {
  return server->control;
}

const control_net_t *
server_net (server_t *server) {
  return network_control(server->network);
}

int
server_close (server_t *server, int code) {
  const cli_t *cli = server->cli;
  server_stop(server);
  uv_run(&server->loop, UV_RUN_DEFAULT);
  int err = server->has_database ? database_close(&server->database) : 0;
  control_close(server->control);
  if (err < 0 && code == 0) code = cli_fail_with(cli, err, "%s", server->database.message);
  (void) uv_loop_close(&server->loop);
  free(server);
  return code;
}

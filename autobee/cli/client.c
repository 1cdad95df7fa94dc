#include "autobee/cli/client.h"

#include "autobee/cli/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define RETRY_MS 20
#define RUN_MS 100
#define READ_BYTES 65536

/* ---- the socket ---- */

static int
connect_path (const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t len = strlen(path);
  if (len >= sizeof(address.sun_path)) return -1;
  memcpy(address.sun_path, path, len + 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (connect(fd, (const struct sockaddr *) &address, sizeof(address)) == 0) return fd;
  close(fd);
  return -1;
}

int
client_connect (const char *dir) {
  char path[4096];
  struct sockaddr_un address;
  if (database_path(dir, DATABASE_SOCKET, path, sizeof(path)) < 0) return -1;
  if (strlen(path) < sizeof(address.sun_path)) return connect_path(path);
  int folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* the address of a socket is short */
  if (folder < 0) return -1;
  snprintf(path, sizeof(path), "/proc/self/fd/%d/" DATABASE_SOCKET, folder);
  int fd = connect_path(path);
  close(folder);
  return fd;
}

static int
lost (const client_t *client) {
  if (cli_is_interrupted()) return CLI_INTERRUPTED;
  return cli_fail(
    client->cli,
    CLI_UNAVAILABLE,
    "the process that serves %s went away; run the command again",
    client->cli->dir
  );
}

static int
send_all (const client_t *client, ab_slice_t bytes) {
  while (bytes.len > 0) {
    ssize_t sent = send(client->socket, bytes.data, bytes.len, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR && !cli_is_interrupted()) continue;
    if (sent < 0) return lost(client);
    bytes = ab_slice(bytes.data + sent, bytes.len - (size_t) sent);
  }
  return 0;
}

static int
receive_more (client_t *client) {
  char *at = out_extend(&client->received, READ_BYTES);
  if (at == NULL) return cli_fail(client->cli, CLI_FAILED, "out of memory");
  for (;;) {
    ssize_t got = recv(client->socket, at, READ_BYTES, 0);
    if (got < 0 && errno == EINTR && !cli_is_interrupted()) continue;
    client->received.len -= READ_BYTES - (got > 0 ? (size_t) got : 0);
    return got > 0 ? 0 : lost(client);
  }
}

/* The next line, without its newline. */
static int
receive_line (client_t *client, ab_slice_t *line) {
  out_t *received = &client->received;
  if (client->taken > 0) {
    memmove(received->data, received->data + client->taken, received->len - client->taken);
    received->len -= client->taken;
    client->taken = 0;
  }
  size_t seen = 0;
  for (;;) {
    const char *end =
      received->len == seen ? NULL : memchr(received->data + seen, '\n', received->len - seen);
    if (end != NULL) {
      *line = ab_slice(received->data, (size_t) (end - received->data));
      client->taken = line->len + 1;
      return 0;
    }
    seen = received->len;
    int failed = receive_more(client);
    if (failed != 0) return failed;
  }
}

static bool
is_event (ab_slice_t line) {
  return line.len >= 9 && memcmp(line.data, "{\"event\":", 9) == 0;
}

static int
ask_socket (client_t *client, const out_t *request, ab_slice_t *line) {
  int failed = send_all(client, out_slice(request));
  if (failed == 0) failed = send_all(client, ab_text("\n"));
  do {
    if (failed == 0) failed = receive_line(client, line);
  } while (failed == 0 && is_event(*line));
  return failed;
}

/* ---- this process ---- */

static void
take_answer (void *data, ab_slice_t line) {
  client_t *client = data;
  if (is_event(line)) return;
  out_reset(&client->answer);
  out_bytes(&client->answer, line);
  client->is_answered = true;
}

/* Time passes for the database, until something is due. 0: there is nothing more to do, ever. */
static int
turn (client_t *client) {
  uint64_t store_due = UINT64_MAX;
  ab_store_t *store = client->database->store;
  int more = ab_store_run(store, RUN_MS, &store_due);
  uint64_t due = control_tick(client->control);
  if (client->is_answered || more == 1) return 1;
  if (more < 0) return more;
  if (store_due < due) due = store_due;
  if (due == UINT64_MAX) return 0;
  const ab_env_t *env = ab_store_env(store);
  uint64_t now = env->now_ms(env->data), wait = due > now ? due - now : 0;
  return cli_sleep(wait < RUN_MS ? (uint32_t) wait : RUN_MS) ? 1 : AB_ECANCELED;
}

static int
ask_here (client_t *client, const out_t *request, ab_slice_t *line) {
  const cli_t *cli = client->cli;
  client->is_answered = false;
  control_client_line(client->self, out_slice(request));
  while (!client->is_answered) {
    if (cli_is_interrupted()) return CLI_INTERRUPTED;
    if (cli->read_only)
      return cli_fail(cli, CLI_DENIED, "this cannot be done with --read-only; leave that out");
    int more = turn(client);
    if (more == AB_ECANCELED) return CLI_INTERRUPTED;
    if (more < 0) {
      return cli_fail_with(cli, more, "%s: %s", ab_strerror(more), ab_store_errmsg(client->database->store));
    }
    if (more == 0 && !client->is_answered) {
      return cli_fail(
        cli,
        CLI_UNAVAILABLE,
        "a block that this needs is not here; sync with a peer first: autobee sync TARGET"
      );
    }
  }
  *line = out_slice(&client->answer);
  return client->answer.failed ? cli_fail(cli, CLI_FAILED, "out of memory") : 0;
}

/* Take in what arrived and was not applied. */
static int
catch_up (client_t *client) {
  int more = 1;
  autobee_info_t info;
  while (more == 1 && !cli_is_interrupted()) more = ab_store_run(client->database->store, RUN_MS, NULL);
  if (cli_is_interrupted()) return CLI_INTERRUPTED;
  control_tick(client->control);
  if (more < 0) {
    return cli_fail_with(
      client->cli, more, "%s: %s", ab_strerror(more), ab_store_errmsg(client->database->store)
    );
  }
  if (autobee_info(client->database->db, &info) == 0 && info.is_halted) {
    cli_note(client->cli, "autobee: apply stands still, so the view is an older one; see autobee status");
  }
  return 0;
}

static int
open_here (client_t *client) {
  control_sink_t sink = {.data = client, .send = take_answer};
  int err = control_open(client->database, NULL, &client->control);
  if (err == 0) err = control_client_open(client->control, &sink, &client->self);
  if (err < 0) return cli_fail_with(client->cli, err, "%s", ab_strerror(err));
  return client->cli->read_only ? 0 : catch_up(client);
}

/* ---- both ---- */

int
client_open (client_t *client, const cli_t *cli) {
  int err;
  *client = (client_t){.cli = cli, .socket = -1, .database = calloc(1, sizeof(database_t))};
  if (client->database == NULL) return cli_fail(cli, CLI_FAILED, "out of memory");
  cli_catch_signals();
  for (uint32_t waited = 0;; waited += RETRY_MS) {
    if (!cli->read_only) client->socket = client_connect(cli->dir);
    if (client->socket >= 0) return 0;
    err = database_open(client->database, cli);
    if (err != AB_EINUSE || waited >= cli->timeout_ms) break;
    if (!cli_sleep(RETRY_MS)) {
      err = AB_ECANCELED;
      break;
    }
  }
  int code;
  if (err == 0) code = open_here(client);
  else if (err == AB_ECANCELED) code = CLI_INTERRUPTED;
  else code = cli_fail_with(cli, err, "%s", client->database->message);
  return code == 0 ? 0 : client_close(client, code);
}

int
client_close (client_t *client, int code) {
  if (client->socket >= 0) close(client->socket);
  client->socket = -1;
  int err = client->database == NULL ? 0 : database_close(client->database);
  control_close(client->control);
  if (err < 0 && code == 0) code = cli_fail_with(client->cli, err, "%s", client->database->message);
  free(client->database);
  out_destroy(&client->received);
  out_destroy(&client->answer);
  ab_json_doc_destroy(&client->doc);
  return code;
}

int
client_try (client_t *client, const out_t *request, const ab_json_t **answer, int *err) {
  ab_slice_t line = {0};
  if (request->failed) return cli_fail(client->cli, CLI_FAILED, "out of memory");
  int failed = client->socket >= 0 ? ask_socket(client, request, &line) : ask_here(client, request, &line);
  if (failed != 0) return failed;
  if (ab_json_decode(&client->doc, line, AB_JSON_DUPLICATES, answer) < 0) {
    return cli_fail(client->cli, CLI_FAILED, "the answer does not decode: %s", client->doc.message);
  }
  *err = client_bool(*answer, "ok") ? 0 : cli_err_of_name(client_string(*answer, "code"));
  return 0;
}

int
client_ask (client_t *client, const out_t *request, const ab_json_t **answer) {
  int err = 0, failed = client_try(client, request, answer, &err);
  if (failed != 0 || err == 0) return failed;
  ab_slice_t text = client_string(*answer, "error");
  return cli_fail_with(client->cli, err, "%.*s", (int) text.len, (const char *) text.data);
}

int
client_next_event (client_t *client, const ab_json_t **event) {
  ab_slice_t line;
  int failed = receive_line(client, &line);
  while (failed == 0 && !is_event(line)) failed = receive_line(client, &line);
  if (failed != 0 || ab_json_decode(&client->doc, line, AB_JSON_DUPLICATES, event) == 0) return failed;
  return cli_fail(client->cli, CLI_FAILED, "the event does not decode: %s", client->doc.message);
}

/* ---- the document of --json ---- */

void
client_begin_json (client_t *client, const ab_json_t *answer, out_t *line) {
  ab_json_iter_t iter = ab_json_iter(answer);
  const ab_json_t *value;
  ab_slice_t name, text;
  out_open(line, '{');
  out_member_uint(line, "v", 1);
  while (ab_json_next_member(&iter, &name, &value)) {
    if (ab_slice_equal(name, ab_text("ok")) || ab_slice_equal(name, ab_text("cmd"))) continue;
    if (ab_json_encode(&client->doc, value, AB_JSON_ECMASCRIPT, &text) < 0) {
      line->failed = true;
      return;
    }
    out_string(line, name);
    out_bytes(line, ab_text(":"));
    line->follows = false;
    out_json(line, text);
  }
}

int
client_end_json (const client_t *client, out_t *line) {
  out_close(line, '}');
  int code = line->failed ? cli_fail(client->cli, CLI_FAILED, "out of memory") : CLI_OK;
  if (code == CLI_OK) printf("%.*s\n", (int) line->len, line->data);
  out_destroy(line);
  return code;
}

/* ---- members ---- */

ab_slice_t
client_string (const ab_json_t *object, const char *name) {
  const ab_json_t *member = ab_json_member(object, ab_text(name));
  return member == NULL || member->type != AB_JSON_STRING ? ab_slice(NULL, 0) : ab_json_text(member);
}

uint64_t
client_uint (const ab_json_t *object, const char *name) {
  const ab_json_t *member = ab_json_member(object, ab_text(name));
  int64_t number;
  return member == NULL || !ab_json_integer(member, &number) || number < 0 ? 0 : (uint64_t) number;
}

bool
client_bool (const ab_json_t *object, const char *name) {
  const ab_json_t *member = ab_json_member(object, ab_text(name));
  return member != NULL && member->type == AB_JSON_BOOL && member->as.boolean;
}

int
client_bytes (const ab_json_t *object, const char *name, out_t *out) {
  return bytes_from_hex(client_string(object, name), out);
}

bool
client_key (const ab_json_t *object, const char *name, ab_key_t *out) {
  return ab_key_from_text(client_string(object, name), out) == 0;
}

bool
client_head (const ab_json_t *pair, ab_head_t *out) {
  int64_t length = 0;
  *out = (ab_head_t){0};
  if (pair == NULL || pair->type != AB_JSON_ARRAY || pair->count != 2) return false;
  const ab_json_t *key = pair + 1, *number = key + key->span;
  if (key->type != AB_JSON_STRING || ab_key_from_text(ab_json_text(key), &out->key) < 0) return false;
  if (!ab_json_integer(number, &length) || length < 0) return false;
  out->length = (uint64_t) length;
  return true;
}

#include "autobee/cli/control_client.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define QUEUE_MAX 1024                      /* requests of a client that are not answered yet */
#define QUEUE_BYTES_MAX ((size_t) 64 << 20) /* and the bytes of their lines */
#define LATER_MAX 256                       /* waits of a client */
#define READ_TIMEOUT_MS 5000

static const control_command_t commands[] = {
  {"append", control_append, COMMAND_APPEND},
  {"addWriter", control_add_writer, COMMAND_APPEND},
  {"removeWriter", control_remove_writer, COMMAND_APPEND},
  {"put", control_put, COMMAND_APPEND},
  {"del", control_del, COMMAND_APPEND},
  {"get", control_get, COMMAND_READ},
  {"range", control_range, COMMAND_READ},
  {"count", control_count, COMMAND_READ},
  {"dump", control_dump, COMMAND_READ},
  {"query", control_query, COMMAND_READ},
  {"info", control_info, COMMAND_READ},
  {"order", control_order, COMMAND_READ},
  {"log", control_log, COMMAND_READ},
  {"settled", control_settled, COMMAND_READ},
  {"why", control_why, COMMAND_READ},
  {"compare", control_compare, COMMAND_READ},
  {"wait", control_wait, COMMAND_PLAIN},
  {"watch", control_watch, COMMAND_PLAIN},
  {"newWriter", control_new_writer, COMMAND_PLAIN},
  {"rotate", control_rotate, COMMAND_PLAIN},
  {"update", control_update, COMMAND_PLAIN},
  {"wakeup", control_wakeup, COMMAND_PLAIN},
  {"listen", control_listen, COMMAND_PLAIN},
  {"connect", control_connect, COMMAND_PLAIN},
  {"disconnect", control_disconnect, COMMAND_PLAIN},
  {"sync", control_sync, COMMAND_PLAIN},
  {"attach", control_attach, COMMAND_PLAIN},
  {"close", control_close_all, COMMAND_PLAIN},
};

/* ---- lists of requests ---- */

static void
list_add (request_list_t *list, request_t *request) {
  request_t **at = &list->first;
  while (*at != NULL) at = &(*at)->next;
  request->next = NULL;
  *at = request;
  list->count++;
  list->bytes += request->text.len;
}

static void
list_remove (request_list_t *list, request_t *request) {
  request_t **at = &list->first;
  while (*at != request) at = &(*at)->next;
  *at = request->next;
  request->next = NULL;
  list->count--;
  list->bytes -= request->text.len;
}

static void
request_free (request_t *request) {
  control_sync_forget(request);
  out_destroy(&request->text);
  out_destroy(&request->answer);
  ab_json_doc_destroy(&request->doc);
  free(request);
}

static void
list_free (request_list_t *list) {
  while (list->first != NULL) {
    request_t *request = list->first;
    list_remove(list, request);
    request_free(request);
  }
}

/* ---- what commands use ---- */

int
request_fail (request_t *request, int err, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(request->message, sizeof(request->message), format, args);
  va_end(args);
  return err;
}

int
request_fail_store (request_t *request, int err) {
  const char *text = ab_store_errmsg(request->database->store);
  return request_fail(request, err, "%s", *text == 0 ? ab_strerror(err) : text);
}

int
request_fail_read (request_t *request, int err) {
  if (err != AB_EREMOTE) return request_fail_store(request, err);
  return request_fail(
    request, err, "a block that this needs is not here; sync with a peer that has it: autobee sync TARGET"
  );
}

static uint64_t
now_of (const control_t *control) {
  const ab_env_t *env = ab_store_env(control->database->store);
  return env->now_ms(env->data);
}

uint64_t
request_now (const request_t *request) {
  return now_of(request->control);
}

const control_net_t *
request_net (const request_t *request) {
  return request->control->net;
}

void
request_close_all (request_t *request) {
  request->control->is_closing = true;
}

int
request_attach (request_t *request, bool initiator) {
  control_sink_t *sink = &request->client->sink;
  if (sink->attach != NULL && request->client->queue.count == 1) return sink->attach(sink->data, initiator);
  return request_fail(
    request, AB_ENOTSUP, "only a Unix socket with nothing else under way can become a connection"
  );
}

const char *
request_halt_message (const request_t *request) {
  const char *message = request->control->halt_message;
  return *message == 0 ? NULL : message;
}

void
request_put_id (request_t *request, out_t *out) {
  const ab_json_t *id = request->line == NULL ? NULL : ab_json_member(request->line, ab_text("id"));
  ab_slice_t text;
  if (id == NULL || ab_json_encode(&request->doc, id, AB_JSON_ECMASCRIPT, &text) < 0) return;
  out_name(out, "id");
  out_json(out, text);
}

/* ---- answers ---- */

static void
send_out_of_memory (control_client_t *client) {
  client->sink.send(
    client->sink.data, ab_text("{\"ok\":false,\"code\":\"AB_ENOMEM\",\"error\":\"out of memory\"}\n")
  );
}

void
control_send (control_client_t *client, out_t *line) {
  out_bytes(line, ab_text("\n"));
  if (line->failed) { /* a short one always fits */
    out_destroy(line);
    send_out_of_memory(client);
    return;
  }
  client->sink.send(client->sink.data, out_slice(line));
}

static void
answer (request_t *request) {
  control_client_t *client = request->client;
  out_t *line = &request->control->line;
  if (request->answer.failed)
    request->status = request_fail(request, AB_ENOMEM, "%s", ab_strerror(AB_ENOMEM));
  out_reset(line);
  out_open(line, '{');
  out_member_bool(line, "ok", request->status == 0);
  if (request->status == 0) out_member_text(line, "cmd", request->command->name);
  request_put_id(request, line);
  if (request->status < 0) {
    const char *message = request->message[0] == 0 ? ab_strerror(request->status) : request->message;
    out_member_text(line, "code", cli_err_name(request->status));
    out_member_text(line, "error", message);
  }
  bool has_members = request->status == 0 || request->answers_errors;
  if (has_members && request->answer.len > 0) out_json(line, out_slice(&request->answer));
  out_close(line, '}');
  control_send(client, line);
  if (line->capacity > (1u << 20)) out_destroy(line);
}

/* ---- running ---- */

static void
restart_answer (request_t *request) {
  out_reset(&request->answer);
  request->answers_errors = false;
  request->message[0] = 0;
}

/* May a read that found a block missing be tried again? For so long as blocks go on arriving. */
static bool
may_wait (request_t *request) {
  uint64_t timeout_ms = READ_TIMEOUT_MS;
  bool given;
  if (request->command->kind != COMMAND_READ || request->control->net == NULL) return false;
  if (request_uint(request, "timeoutMs", &timeout_ms, &given) < 0) return false;
  request->due_ms = request->arrived_ms + timeout_ms;
  return request_now(request) < request->due_ms;
}

static uint64_t
arrivals (const request_t *request) {
  autobee_info_t info;
  return autobee_info(request->database->db, &info) == 0 ? info.arrivals : 0;
}

static int
run_command (request_t *request) {
  restart_answer(request);
  int status = request->command->run(request);
  if (status != AB_EREMOTE) return status;
  uint64_t seen = arrivals(request);
  if (!request->is_missing || request->arrivals != seen) request->arrived_ms = request_now(request);
  request->is_missing = true;
  request->arrivals = seen;
  if (!may_wait(request)) return status;
  request->control->net->wake(request->control->net->data);
  return REQUEST_LATER;
}

static void
finish (request_t *request, int status) {
  request->status = status;
  request->is_done = true;
}

/* Begin the next requests, as far as the order of the answers allows. */
static void
start_requests (control_client_t *client) {
  bool only_appends = true;
  request_t *next;
  for (request_t *request = client->queue.first; request != NULL; request = next) {
    next = request->next;
    if (request->is_started || request->is_done) {
      only_appends = only_appends && (request->is_done || request->command->kind == COMMAND_APPEND);
      continue;
    }
    bool is_first = client->queue.first == request;
    if (!is_first && !(only_appends && request->command->kind == COMMAND_APPEND)) return;
    request->is_started = true;
    request->began_ms = request_now(request);
    int status = run_command(request);
    if (status == REQUEST_APPENDING) continue;
    if (status != REQUEST_LATER) {
      finish(request, status);
      continue;
    }
    list_remove(&client->queue, request);
    if (client->later.count < LATER_MAX) {
      list_add(&client->later, request);
      continue;
    }
    finish(request, request_fail(request, AB_EBUSY, "a client waits for %d things at most", LATER_MAX));
    answer(request);
    request_free(request);
  }
}

/* Answers go out in order; what they held up may begin then. */
static void
advance (control_client_t *client) {
  start_requests(client);
  while (client->queue.first != NULL && client->queue.first->is_done) {
    request_t *request = client->queue.first;
    list_remove(&client->queue, request);
    answer(request);
    request_free(request);
    start_requests(client);
  }
}

static int
explain_append (request_t *request, int status) {
  const char *halt = request_halt_message(request), *refusal = control_refusal(request->control, NULL);
  bool optimistic = false, given;
  (void) request_bool(request, "optimistic", &optimistic, &given);
  if (status == AB_EREJECTED && halt != NULL)
    status = AB_EHALTED; /* the merge rule wants to stop at refusals */
  if (halt != NULL && (status == AB_EHALTED || status == AB_EINTERRUPTED)) {
    return request_fail(request, status, "%s; nothing was appended", halt);
  }
  if (status == AB_EREJECTED && refusal != NULL)
    request_fail(request, status, "apply refused it: %s", refusal);
  if (status == AB_ENOTWRITABLE && refusal != NULL && optimistic) {
    request_fail(
      request,
      status,
      "apply refused what this writer appended before it, so nothing was appended: %s",
      refusal
    );
  }
  return status;
}

/* Appends are answered a moment after their callback, when the events of the same turn are known. */
static void
finish_appends (request_list_t *list) {
  for (request_t *request = list->first; request != NULL; request = request->next) {
    if (!request->is_ended || request->is_done) continue;
    int status = request->status;
    restart_answer(request);
    if (status == 0)
      control_append_answer(request, control_refusal(request->control, &request->append.position));
    else status = explain_append(request, status);
    finish(request, status);
  }
}

static uint64_t
retry_later (control_client_t *client, uint64_t now) {
  uint64_t due_ms = UINT64_MAX;
  request_t *next;
  for (request_t *request = client->later.first; request != NULL; request = next) {
    next = request->next;
    bool is_same = request->is_missing && request->arrivals == arrivals(request);
    int status = is_same && request->due_ms > now ? REQUEST_LATER : run_command(request);
    if (status == REQUEST_LATER && request->due_ms > now) {
      if (request->due_ms < due_ms) due_ms = request->due_ms;
      continue;
    }
    list_remove(&client->later, request);
    finish(request, status == REQUEST_LATER ? AB_ETIMEDOUT : status);
    answer(request);
    request_free(request);
  }
  return due_ms;
}

uint64_t
control_tick (control_t *control) {
  uint64_t due_ms = UINT64_MAX, now = now_of(control);
  control_client_t *next;
  finish_appends(&control->orphans);
  for (request_t *request = control->orphans.first, *after; request != NULL; request = after) {
    after = request->next;
    if (!request->is_done) continue;
    list_remove(&control->orphans, request);
    request_free(request);
  }
  for (control_client_t *client = control->clients; client != NULL; client = next) {
    next = client->next;
    finish_appends(&client->queue);
    advance(client);
    uint64_t due = retry_later(client, now);
    if (due < due_ms) due_ms = due;
  }
  return due_ms;
}

/* ---- lines ---- */

static const control_command_t *
find_command (ab_slice_t name) {
  for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
    if (ab_slice_equal(name, ab_text(commands[i].name))) return &commands[i];
  }
  return NULL;
}

static int
decode (request_t *request) {
  const ab_json_t *root = NULL;
  int err = ab_json_decode(
    &request->doc, out_slice(&request->text), AB_JSON_DUPLICATES | AB_JSON_LONE_SURROGATES, &root
  );
  if (err == AB_EINVAL) {
    return request_fail(
      request,
      err,
      "not JSON: %s at byte %zu; send one object a line",
      request->doc.message,
      request->doc.message_at
    );
  }
  if (err < 0) return err;
  if (root->type != AB_JSON_OBJECT) {
    return request_fail(request, AB_EINVAL, "not an object; send for example {\"cmd\":\"info\"}");
  }
  request->line = root;
  ab_slice_t name;
  if ((err = request_string(request, "cmd", &name, NULL)) < 0) return err;
  request->command = find_command(name);
  if (request->command != NULL) return 0;
  return request_fail(
    request,
    AB_EINVAL,
    "there is no command \"%.*s\"",
    (int) (name.len < 64 ? name.len : 64),
    (const char *) name.data
  );
}

static request_t *
new_request (control_client_t *client) {
  request_t *request = calloc(1, sizeof(*request));
  if (request == NULL) {
    send_out_of_memory(client);
    return NULL;
  }
  request->control = client->control;
  request->database = client->control->database;
  request->client = client;
  return request;
}

static bool
is_blank (ab_slice_t line) {
  for (size_t i = 0; i < line.len; i++) {
    if (line.data[i] != ' ' && line.data[i] != '\t' && line.data[i] != '\r') return false;
  }
  return true;
}

void
control_client_line (control_client_t *client, ab_slice_t line) {
  if (line.len > CONTROL_LINE_MAX) {
    control_client_too_long(client);
    return;
  }
  if (is_blank(line)) return;
  request_t *request = new_request(client);
  if (request == NULL) return;
  out_bytes(&request->text, line);
  int err = request->text.failed ? AB_ENOMEM : decode(request);
  if (err < 0) finish(request, err);
  list_add(&client->queue, request);
  advance(client);
}

void
control_client_ended (control_client_t *client) {
  request_t *next;
  for (request_t *request = client->later.first; request != NULL; request = next) {
    next = request->next;
    if (!request->is_syncing || !request->sync.live) continue;
    list_remove(&client->later, request);
    finish(request, AB_ECANCELED);
    answer(request);
    request_free(request);
  }
}

void
control_client_too_long (control_client_t *client) {
  request_t *request = new_request(client);
  if (request == NULL) return;
  finish(request, request_fail(request, AB_ETOOBIG, "a line of more than %zu bytes", CONTROL_LINE_MAX));
  list_add(&client->queue, request);
  advance(client);
}

bool
control_client_is_idle (const control_client_t *client) {
  return client->queue.count == 0 && client->later.count == 0;
}

bool
control_client_is_ready (const control_client_t *client) {
  if (client->queue.count >= QUEUE_MAX || client->queue.bytes >= QUEUE_BYTES_MAX) return false;
  for (const request_t *request = client->queue.first; request != NULL; request = request->next) {
    if (!request->is_started && !request->is_done) return false;
  }
  return true;
}

/* ---- opening and closing ---- */

int
control_open (database_t *database, const control_net_t *net, control_t **out) {
  control_t *control = calloc(1, sizeof(*control));
  if (control == NULL) return AB_ENOMEM;
  control->database = database;
  control->net = net;
  database->on_event = control_on_event;
  database->event_data = control;
  *out = control;
  return 0;
}

bool
control_is_closing (const control_t *control) {
  return control->is_closing;
}

int
control_client_open (control_t *control, const control_sink_t *sink, control_client_t **out) {
  control_client_t *client = calloc(1, sizeof(*client));
  if (client == NULL) return AB_ENOMEM;
  client->control = control;
  client->sink = *sink;
  client->next = control->clients;
  client->link = &control->clients;
  if (client->next != NULL) client->next->link = &client->next;
  control->clients = client;
  *out = client;
  return 0;
}

void
control_client_close (control_client_t *client) {
  if (client == NULL) return;
  request_t *next;
  for (request_t *request = client->queue.first; request != NULL; request = next) {
    next = request->next;
    list_remove(&client->queue, request);
    request->client = NULL;
    bool is_under_way = request->is_started && !request->is_ended && !request->is_done;
    if (is_under_way) list_add(&client->control->orphans, request);
    else request_free(request);
  }
  list_free(&client->later);
  control_unwatch(client);
  if (client->next != NULL) client->next->link = client->link;
  *client->link = client->next;
  free(client);
}

void
control_close (control_t *control) {
  if (control == NULL) return;
  control->database->on_event = NULL;
  while (control->clients != NULL) control_client_close(control->clients);
  list_free(&control->orphans);
  out_destroy(&control->line);
  free(control);
}

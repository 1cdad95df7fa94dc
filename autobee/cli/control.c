#include "autobee/cli/control.h"

#include "autobee/cli/bytes.h"
#include "autobee/cli/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define QUEUE_MAX 1024                      /* requests of a client that are not answered yet */
#define QUEUE_BYTES_MAX ((size_t) 64 << 20) /* and the bytes of their lines */
#define LATER_MAX 256                       /* waits of a client */
#define WATCHES_MAX 64
#define READ_TIMEOUT_MS 5000
#define REFUSALS 64

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

typedef struct watch_s watch_t;
struct watch_s {
  bool has_key, has_prefix;
  out_t bytes;
  out_t id; /* JSON; empty: none */
  watch_t *next;
};

typedef struct {
  request_t *first;
  size_t count;
  size_t bytes;
} request_list_t;

struct control_client_s {
  control_t *control;
  control_sink_t sink;
  request_list_t queue; /* in order */
  request_list_t later; /* in any */
  watch_t *watches;
  size_t watch_count;
  control_client_t *next, **link;
};

typedef struct {
  ab_head_t node; /* the last one of the batch */
  char message[256];
} refusal_t;

struct control_s {
  database_t *database;
  const control_net_t *net;
  control_client_t *clients;
  request_list_t orphans; /* appends whose client is gone */
  bool is_closing;
  bool is_writable; /* as last told */
  char halt_message[DATABASE_MESSAGE_MAX];
  refusal_t refusals[REFUSALS]; /* by apply, of our own batches: the last ones, in a ring */
  size_t refusal_count;         /* ever */
  out_t line;
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

static void
put_id (request_t *request, out_t *out) {
  const ab_json_t *id = request->line == NULL ? NULL : ab_json_member(request->line, ab_text("id"));
  ab_slice_t text;
  if (id == NULL || ab_json_encode(&request->doc, id, AB_JSON_ECMASCRIPT, &text) < 0) return;
  out_name(out, "id");
  out_json(out, text);
}

int
request_add_watch (request_t *request, bool has_key, bool has_prefix, ab_slice_t bytes) {
  control_client_t *client = request->client;
  if (client->watch_count == WATCHES_MAX) {
    return request_fail(request, AB_ETOOBIG, "a client watches %d things at most", WATCHES_MAX);
  }
  watch_t *watch = calloc(1, sizeof(*watch));
  if (watch == NULL) return AB_ENOMEM;
  watch->has_key = has_key;
  watch->has_prefix = has_prefix;
  out_bytes(&watch->bytes, bytes);
  put_id(request, &watch->id);
  if (watch->bytes.failed || watch->id.failed) {
    out_destroy(&watch->bytes);
    out_destroy(&watch->id);
    free(watch);
    return AB_ENOMEM;
  }
  watch->next = client->watches;
  client->watches = watch;
  client->watch_count++;
  return 0;
}

/* ---- answers ---- */

static void
send_line (control_client_t *client, out_t *line) {
  out_bytes(line, ab_text("\n"));
  if (line->failed) { /* a short one always fits */
    out_destroy(line);
    client->sink.send(
      client->sink.data, ab_text("{\"ok\":false,\"code\":\"AB_ENOMEM\",\"error\":\"out of memory\"}\n")
    );
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
  put_id(request, line);
  if (request->status < 0) {
    const char *message = request->message[0] == 0 ? ab_strerror(request->status) : request->message;
    out_member_text(line, "code", cli_err_name(request->status));
    out_member_text(line, "error", message);
  }
  bool has_members = request->status == 0 || request->answers_errors;
  if (has_members && request->answer.len > 0) out_json(line, out_slice(&request->answer));
  out_close(line, '}');
  send_line(client, line);
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

/* What apply said of the batch that ends with `node`; of the newest one if that is not known, as of an
 * optimistic batch that was not taken. NULL: nothing. */
static const char *
find_refusal (const control_t *control, const ab_head_t *node) {
  size_t kept = control->refusal_count < REFUSALS ? control->refusal_count : REFUSALS;
  for (size_t i = 1; i <= kept; i++) {
    const refusal_t *refusal = &control->refusals[(control->refusal_count - i) % REFUSALS];
    if (node == NULL || ab_head_equal(&refusal->node, node)) return refusal->message;
  }
  return NULL;
}

static int
explain_append (request_t *request, int status) {
  const char *halt = request_halt_message(request), *refusal = find_refusal(request->control, NULL);
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
      control_append_answer(request, find_refusal(request->control, &request->append.position));
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
    client->sink.send(
      client->sink.data, ab_text("{\"ok\":false,\"code\":\"AB_ENOMEM\",\"error\":\"out of memory\"}\n")
    );
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

/* ---- events ---- */

void
control_event (control_t *control, const char *name, ab_slice_t members) {
  control_client_t *next;
  for (control_client_t *client = control->clients; client != NULL; client = next) {
    next = client->next;
    out_t *line = &control->line;
    out_reset(line);
    out_open(line, '{');
    out_member_text(line, "event", name);
    if (members.len > 0) out_json(line, members);
    out_close(line, '}');
    send_line(client, line);
  }
}

void
request_put_head (out_t *out, const char *name, const ab_head_t *head) {
  if (name != NULL) out_name(out, name);
  out_open(out, '[');
  out_hex(out, ab_key_slice(&head->key));
  out_uint(out, head->length);
  out_close(out, ']');
}

static void
put_position (out_t *out, const char *name, const ab_head_t *head) {
  out_name(out, name);
  out_open(out, '{');
  out_member_hex(out, "key", ab_key_slice(&head->key));
  out_member_uint(out, "length", head->length);
  out_close(out, '}');
}

static void
tell_watchers (control_t *control, const autobee_event_t *event) {
  for (control_client_t *client = control->clients; client != NULL; client = client->next) {
    for (watch_t *watch = client->watches; watch != NULL; watch = watch->next) {
      ab_slice_t bytes = out_slice(&watch->bytes);
      if (!control_watch_changed(control->database, event, watch->has_key, watch->has_prefix, bytes))
        continue;
      out_t *line = &control->line;
      out_reset(line);
      out_open(line, '{');
      out_member_text(line, "event", "change");
      if (watch->id.len > 0) out_json(line, out_slice(&watch->id));
      out_member_uint(line, "from", event->from.length);
      out_member_uint(line, "to", event->to.length);
      out_member_bool(line, "rewritten", event->rewritten);
      out_close(line, '}');
      send_line(client, line);
    }
  }
}

static void
note_refusal (control_t *control, const autobee_event_t *event) {
  ab_head_t local;
  autobee_local(control->database->db, &local);
  if (!ab_key_equal(&local.key, &event->node.key)) return;
  refusal_t *refusal = &control->refusals[control->refusal_count++ % REFUSALS];
  refusal->node = event->node;
  snprintf(
    refusal->message,
    sizeof(refusal->message),
    "%s",
    event->message == NULL ? "no reason given" : event->message
  );
}

/* "apply halted at WRITER:LENGTH: …" */
static void
note_halted (control_t *control, const autobee_event_t *event) {
  char key[AB_KEY_TEXT_LEN + 1];
  ab_key_to_text(&event->node.key, key);
  snprintf(
    control->halt_message,
    sizeof(control->halt_message),
    "apply %s at %s:%llu: %s",
    event->kind == AUTOBEE_EVENT_INTERRUPTED ? "interrupted the database" : "halted",
    key,
    (unsigned long long) event->node.length,
    event->message == NULL ? ab_strerror(event->status) : event->message
  );
}

static void
on_event (void *data, const autobee_event_t *event) {
  control_t *control = data;
  out_t members = {0};
  const char *name = NULL;
  switch (event->kind) {
  case AUTOBEE_EVENT_UPDATE:
    control->halt_message[0] = 0;
    tell_watchers(control, event);
    break;
  case AUTOBEE_EVENT_WRITABLE:
    name = "writable";
    break;
  case AUTOBEE_EVENT_UNWRITABLE:
    name = "unwritable";
    break;
  case AUTOBEE_EVENT_WRITER:
    break;
  case AUTOBEE_EVENT_ROTATED:
    name = "rotated";
    put_position(&members, "to", &event->node);
    break;
  case AUTOBEE_EVENT_MOVED:
    name = "move-to";
    put_position(&members, "from", &event->from);
    put_position(&members, "to", &event->to);
    break;
  case AUTOBEE_EVENT_REJECTED:
    note_refusal(control, event);
    break;
  case AUTOBEE_EVENT_HALTED:
    note_halted(control, event);
    name = "halted";
    out_member_text(&members, "error", control->halt_message);
    out_member_text(&members, "code", cli_err_name(event->status));
    break;
  case AUTOBEE_EVENT_INTERRUPTED:
    note_halted(control, event);
    name = "interrupt";
    out_member_text(&members, "reason", event->message == NULL ? "" : event->message);
    break;
  case AUTOBEE_EVENT_FROZEN:
    name = "error";
    out_member_text(
      &members,
      "error",
      "a writer's log is damaged or forked and is not followed any more; remove that writer"
    );
    put_position(&members, "writer", &event->node);
    break;
  }
  if (name != NULL && !members.failed) control_event(control, name, out_slice(&members));
  out_destroy(&members);
}

void
control_ready_line (control_t *control, unsigned port, out_t *out) {
  autobee_t *db = control->database->db;
  ab_key_t key, discovery_key;
  ab_head_t local;
  autobee_key(db, &key);
  autobee_discovery_key(db, &discovery_key);
  autobee_local(db, &local);
  out_open(out, '{');
  out_member_text(out, "event", "ready");
  out_member_uint(out, "v", 1);
  out_member_hex(out, "key", ab_key_slice(&key));
  out_member_hex(out, "discoveryKey", ab_key_slice(&discovery_key));
  out_member_hex(out, "localKey", ab_key_slice(&local.key));
  out_member_bool(out, "writable", autobee_is_writable(db));
  out_name(out, "port");
  if (port == 0) out_null(out);
  else out_uint(out, port);
  out_close(out, '}');
  out_bytes(out, ab_text("\n"));
}

/* ---- opening and closing ---- */

int
control_open (database_t *database, const control_net_t *net, control_t **out) {
  control_t *control = calloc(1, sizeof(*control));
  if (control == NULL) return AB_ENOMEM;
  control->database = database;
  control->net = net;
  database->on_event = on_event;
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
  while (client->watches != NULL) {
    watch_t *watch = client->watches;
    client->watches = watch->next;
    out_destroy(&watch->bytes);
    out_destroy(&watch->id);
    free(watch);
  }
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

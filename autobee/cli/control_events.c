/* control_events.c: what clients are told without having asked, and what of it is remembered. */
#include "autobee/cli/control_client.h"

#include <stdio.h>
#include <stdlib.h>

#define WATCHES_MAX 64

/* ---- watches ---- */

static void
watch_free (watch_t *watch) {
  out_destroy(&watch->bytes);
  out_destroy(&watch->id);
  free(watch);
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
  request_put_id(request, &watch->id);
  if (watch->bytes.failed || watch->id.failed) {
    watch_free(watch);
    return AB_ENOMEM;
  }
  watch->next = client->watches;
  client->watches = watch;
  client->watch_count++;
  return 0;
}

void
control_unwatch (control_client_t *client) {
  while (client->watches != NULL) {
    watch_t *watch = client->watches;
    client->watches = watch->next;
    watch_free(watch);
  }
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
      control_send(client, line);
    }
  }
}

/* ---- refusals ---- */

static void
note_refusal (control_t *control, const autobee_event_t *event) {
  ab_head_t local;
  autobee_local(control->database->db, &local);
  if (!ab_key_equal(&local.key, &event->node.key)) return;
  refusal_t *refusal = &control->refusals[control->refusal_count++ % CONTROL_REFUSALS];
  refusal->node = event->node;
  snprintf(
    refusal->message,
    sizeof(refusal->message),
    "%s",
    event->message == NULL ? "no reason given" : event->message
  );
}

const char *
control_refusal (const control_t *control, const ab_head_t *node) {
  size_t kept = control->refusal_count < CONTROL_REFUSALS ? control->refusal_count : CONTROL_REFUSALS;
  for (size_t i = 1; i <= kept; i++) {
    const refusal_t *refusal = &control->refusals[(control->refusal_count - i) % CONTROL_REFUSALS];
    if (node == NULL || ab_head_equal(&refusal->node, node)) return refusal->message;
  }
  return NULL;
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
    control_send(client, line);
  }
}

static void
put_position (out_t *out, const char *name, const ab_head_t *head) {
  out_name(out, name);
  out_open(out, '{');
  out_member_hex(out, "key", ab_key_slice(&head->key));
  out_member_uint(out, "length", head->length);
  out_close(out, '}');
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

void
control_on_event (void *data, const autobee_event_t *event) {
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

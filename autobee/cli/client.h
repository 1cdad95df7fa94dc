/* client.h: who answers a command: the process that serves the folder, or this one. Private to autobee/cli/.
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include "apply/json.h"
#include "autobee/cli/control.h"

typedef struct {
  const cli_t *cli;
  int socket;           /* to the process that serves the folder; -1: this one answers */
  database_t *database; /* else */
  control_t *control;
  control_client_t *self;
  out_t received; /* from the socket, behind the last answer */
  size_t taken;   /* of it, by the answer that is shown */
  out_t answer;
  bool is_answered;
  ab_json_doc_t doc;
} client_t;

/** Find who answers. Waits for a process that has the folder open for a moment. Returns 0, or the exit code
 * after a message; nothing is to be closed then. */
int
client_open (client_t *client, const cli_t *cli);

/** Ask, and wait for the answer, which is valid until the next request. Returns 0, or the exit code after a
 * message. */
int
client_ask (client_t *client, const out_t *request, const ab_json_t **answer);

/** As client_ask, for a caller that explains errors itself: `err` receives the code, 0 for none. */
int
client_try (client_t *client, const out_t *request, const ab_json_t **answer, int *err);

/** The next event of the process that serves the folder, valid until the next one or request. As client_ask.
 */
int
client_next_event (client_t *client, const ab_json_t **event);

/** Returns `code`, or the exit code after a message if closing failed and `code` is 0. */
int
client_close (client_t *client, int code);

/* ---- an answer as the document of --json: its members, and a version in front ---- */

/** Leaves it open for more members. */
void
client_begin_json (client_t *client, const ab_json_t *answer, out_t *line);
/** Print and release it. Returns the exit code. */
int
client_end_json (const client_t *client, out_t *line);

/* ---- members of an answer; empty, 0 or false if there is no such one ---- */

ab_slice_t
client_string (const ab_json_t *object, const char *name);
uint64_t
client_uint (const ab_json_t *object, const char *name);
bool
client_bool (const ab_json_t *object, const char *name);
/** Of hex. Returns 0 or AB_EINVAL. */
int
client_bytes (const ab_json_t *object, const char *name, out_t *out);
bool
client_key (const ab_json_t *object, const char *name, ab_key_t *out);
/** Of [key,length] itself; `pair` may be NULL. */
bool
client_head (const ab_json_t *pair, ab_head_t *out);

/** Connect to the control socket in the folder. A file descriptor, or -1. */
int
client_connect (const char *dir);

#endif

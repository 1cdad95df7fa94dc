/* request.h: one line of a client, until it is answered: for the commands of the control protocol. Private to
 * autobee/cli/. */
#ifndef CLI_REQUEST_H
#define CLI_REQUEST_H

#include "apply/json.h"
#include "autobee/cli/control.h"

typedef struct request_s request_t;

/* A command's function returns 0 (answered: its members are in `answer`), an error, or one of these. */
#define REQUEST_APPENDING 1 /* the append's callback will come */
#define REQUEST_LATER 2     /* call it again after every turn, and at `due_ms` */

typedef enum {
  COMMAND_PLAIN,
  COMMAND_APPEND, /* may begin while others like it are under way */
  COMMAND_READ    /* AB_EREMOTE: tried again for a while if there is a network */
} command_kind_t;

typedef struct {
  const char *name;
  int (*run)(request_t *request);
  command_kind_t kind;
} control_command_t;

typedef struct {
  bool is_begun;
  ab_head_t system;
  ab_head_t local;
  bool is_writable;
  uint64_t since_ms; /* nothing changed */
  bool has_hash;
  ab_head_t hashed; /* the view that `hash` is of */
  uint8_t hash[32];
} request_wait_t;

struct request_s {
  control_t *control;
  database_t *database;
  control_client_t *client; /* NULL: it is gone */
  const control_command_t *command;
  out_t text;
  ab_json_doc_t doc;
  const ab_json_t *line; /* NULL: it did not decode */
  out_t answer;          /* members, without braces */
  bool answers_errors;   /* they are sent with an error, too */
  char message[DATABASE_MESSAGE_MAX];
  int status;
  bool is_started;
  bool is_ended; /* an append's callback ran */
  bool is_done;

  autobee_append_t append;

  uint64_t began_ms;
  uint64_t due_ms;   /* with REQUEST_LATER: call again at the latest then */
  bool is_missing;   /* a read that lacks a block; not worth another try before something arrived */
  uint64_t arrivals; /* until its last try */
  uint64_t arrived_ms;
  request_wait_t wait;
  control_sync_t sync;
  bool is_syncing;
  char sync_message[256];

  request_t *next;
};

/** Say what went wrong and return `err`. */
int
request_fail (request_t *request, int err, const char *format, ...) AB_PRINTF(3, 4);

/** The same with the words of the store. */
int
request_fail_store (request_t *request, int err);

/** The same of a read, which may miss a block. */
int
request_fail_read (request_t *request, int err);

/** The store's clock. */
uint64_t
request_now (const request_t *request);

/** What the network offers; NULL: there is none. */
const control_net_t *
request_net (const request_t *request);

/** Remember what `client` watches: all keys, one (`bytes`), or those with a prefix. Returns 0 or AB_ENOMEM.
 */
int
request_add_watch (request_t *request, bool has_key, bool has_prefix, ab_slice_t bytes);

/** The client asked to close. */
void
request_close_all (request_t *request);

/** The client's socket becomes a connection with a peer. */
int
request_attach (request_t *request, bool initiator);

/** Why apply stands still, or NULL. */
const char *
request_halt_message (const request_t *request);

/* ---- members of the line; null counts as not given ---- */

const ab_json_t *
request_member (const request_t *request, const char *name);

/* Each returns 0 or an error with its message; `given` may be NULL, and then the member is required. */
int
request_uint (request_t *request, const char *name, uint64_t *out, bool *given);
int
request_bool (request_t *request, const char *name, bool *out, bool *given);
int
request_string (request_t *request, const char *name, ab_slice_t *out, bool *given);
/** Which view: its length, or [key, length]. */
int
request_view_head (request_t *request, const char *name, ab_head_t *out);
/** A key, as hex or z-base-32. */
int
request_key (request_t *request, const char *name, ab_key_t *out);
/** Bytes: `name` as text, or `name` with Hex behind it. Appended to `out`. */
int
request_bytes (request_t *request, const char *name, out_t *out, bool *given);

/* ---- members of the answer ---- */

/** [key,length] */
void
request_put_head (out_t *out, const char *name, const ab_head_t *head);

/* ---- the commands ---- */

int
control_append (request_t *request);
int
control_add_writer (request_t *request);
int
control_remove_writer (request_t *request);
int
control_put (request_t *request);
int
control_del (request_t *request);
int
control_get (request_t *request);
int
control_range (request_t *request);
int
control_count (request_t *request);
int
control_dump (request_t *request);
int
control_query (request_t *request);
int
control_info (request_t *request);
int
control_order (request_t *request);
int
control_log (request_t *request);
int
control_settled (request_t *request);
int
control_why (request_t *request);
int
control_compare (request_t *request);
int
control_wait (request_t *request);
int
control_watch (request_t *request);
int
control_new_writer (request_t *request);
int
control_rotate (request_t *request);
int
control_update (request_t *request);
int
control_wakeup (request_t *request);
int
control_close_all (request_t *request);
int
control_listen (request_t *request);
int
control_connect (request_t *request);
int
control_disconnect (request_t *request);
int
control_sync (request_t *request);
int
control_attach (request_t *request);

/** The answer of an append that has ended with 0. `refusal`: what apply had to say against it, or NULL. */
void
control_append_answer (request_t *request, const char *refusal);

/** Is the view at `from` for this watch another than at `to`? True also if that cannot be found out. */
bool
control_watch_changed (
  database_t *database, const autobee_event_t *event, bool has_key, bool has_prefix, ab_slice_t bytes
);

/** The connection that a `sync` asked for is not to be waited for any more. */
void
control_sync_forget (request_t *request);

#endif

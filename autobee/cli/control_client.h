/* control_client.h: Private to control.c and control_events.c. The clients of a database, what each has asked
 * for, and what it is told.
 */
#ifndef CLI_CONTROL_CLIENT_H
#define CLI_CONTROL_CLIENT_H

#include "autobee/cli/control.h"
#include "autobee/cli/request.h"

#define CONTROL_REFUSALS 64

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
  char halt_message[DATABASE_MESSAGE_MAX];
  refusal_t refusals[CONTROL_REFUSALS]; /* by apply, of our own batches: the last ones, in a ring */
  size_t refusal_count;                 /* ever */
  out_t line;
};

/** End the line and send it. */
void
control_send (control_client_t *client, out_t *line);

/** The member "id" that the answers to a request and its events have. */
void
request_put_id (request_t *request, out_t *out);

/* ---- control_events.c ---- */

/** The database's callback; `data` is the control_t. */
void
control_on_event (void *data, const autobee_event_t *event);
/** End all watches of a client. */
void
control_unwatch (control_client_t *client);
/** What apply said of the batch that ends with `node`; of the newest one if that is not known, as of an
 * optimistic batch that was not taken. NULL: nothing. */
const char *
control_refusal (const control_t *control, const ab_head_t *node);

#endif

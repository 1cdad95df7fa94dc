#include "autobee/cli/network.h"

#include <stdio.h>
#include <stdlib.h>

#define REFUSED_MS 500 /* the peer still does not want to know our database: it never will */

/* One `sync` of the control protocol. */
typedef struct syncing_s syncing_t;
struct syncing_s {
  network_t *network;
  control_sync_t *sync;
  ab_uv_dial_t *dial;
  bool is_responder;
  bool is_draining;    /* the peer ended it well; what came is still being applied */
  bool is_refused;     /* as it looks now, the peer is one of another database */
  uint64_t mark;       /* of what moves while it makes progress */
  uint64_t moved_ms;   /* when it changed last */
  uint64_t settled_ms; /* in sync, and nothing moved, since then; UINT64_MAX: not */
  bool is_confirming;  /* in sync as far as we know; the peer was asked whether it is, too */
  uint64_t confirming; /* `mark` when it was asked */
  syncing_t *next, **link;
};

struct network_s {
  database_t *database;
  network_options_t options;
  ab_uv_t *uv;
  control_net_t control;
  syncing_t *syncings;
  void (*close_cb)(void *data);
  void *close_data;
  char message[512];
};

static uint64_t
now_of (const network_t *network) {
  const ab_env_t *env = ab_store_env(network->database->store);
  return env->now_ms(env->data);
}

static int
fail (network_t *network, int err, const char *text) {
  snprintf(network->message, sizeof(network->message), "%s", text);
  return err;
}

/* ---- in sync ---- */

static bool
is_in_sync (network_t *network, ab_uv_peer_t *peer) {
  return ab_stream_in_sync(ab_uv_peer_stream(peer)) && autobee_is_idle(network->database->db);
}

static int
stop_if_not_in_sync (void *data, ab_uv_peer_t *peer) {
  return is_in_sync(data, peer) ? 0 : 1;
}

static bool
all_in_sync (void *data) {
  network_t *network = data;
  if (ab_uv_dials_waiting(network->uv) > 0 || !autobee_is_idle(network->database->db)) return false;
  return ab_uv_each_peer(network->uv, stop_if_not_in_sync, network) == 0;
}

/* ---- sync ---- */

static void
syncing_free (syncing_t *syncing) {
  *syncing->link = syncing->next;
  if (syncing->next != NULL) syncing->next->link = syncing->link;
  free(syncing);
}

static void
syncing_done (syncing_t *syncing, int status, const char *message) {
  control_sync_t *sync = syncing->sync;
  syncing_free(syncing);
  if (sync != NULL) sync->done(sync, status, message);
}

static void
count (control_sync_t *sync, ab_uv_peer_t *peer) {
  ab_stream_stats_t stats;
  ab_stream_stats(ab_uv_peer_stream(peer), &stats);
  sync->bytes_in += stats.bytes_in;
  sync->bytes_out += stats.bytes_out;
  sync->blocks_in += stats.blocks_in;
  sync->blocks_out += stats.blocks_out;
}

static void
end_refused (syncing_t *syncing) {
  syncing_done(syncing, AB_ECONFLICT, "the peer does not know this database");
}

static void
on_dial_end (ab_uv_dial_t *dial, int status, const char *message, void *data) {
  syncing_t *syncing = data;
  (void) dial;
  if (syncing->sync->live) return; /* it is tried again */
  syncing->dial = NULL;
  if (status == AB_EEND && syncing->is_draining) return;              /* see check_syncing */
  if (status == AB_EEND && syncing->is_refused) end_refused(syncing); /* it gave up first */
  else syncing_done(syncing, status, message);
}

/* Changes whenever something is going on, here or on the wire. */
static uint64_t
mark_of (syncing_t *syncing, ab_uv_peer_t *peer) {
  autobee_info_t info;
  ab_stream_stats_t stats = {0};
  if (peer != NULL) ab_stream_stats(ab_uv_peer_stream(peer), &stats);
  if (autobee_info(syncing->network->database->db, &info) < 0) return 0;
  return stats.blocks_in + stats.blocks_out + stats.requests_in_flight + stats.channels + info.applies +
         info.local.length + (peer != NULL);
}

/* The peer is one of another database; it may say so and think better of it, while it is there. */
static void
look_if_refused (syncing_t *syncing, ab_uv_peer_t *peer) {
  ab_stream_t *stream = ab_uv_peer_stream(peer);
  ab_key_t discovery_key;
  if (ab_stream_status(stream) != 0) return;
  autobee_discovery_key(syncing->network->database->db, &discovery_key);
  syncing->is_refused = ab_stream_core_state(stream, &discovery_key) == AB_CORE_REFUSED;
}

static bool
is_halted (network_t *network) {
  autobee_info_t info;
  return autobee_info(network->database->db, &info) == 0 && info.is_halted;
}

/* Is it over? Otherwise `deadline_ms` is when to look again. */
static void
check_syncing (syncing_t *syncing, uint64_t *deadline_ms) {
  network_t *network = syncing->network;
  ab_uv_peer_t *peer = syncing->dial == NULL ? NULL : ab_uv_dial_peer(syncing->dial);
  uint64_t now = now_of(network), mark = mark_of(syncing, peer), again;
  if (syncing->sync->live) return;
  if (mark != syncing->mark) {
    syncing->mark = mark;
    syncing->moved_ms = now;
  }
  uint64_t give_up_ms = syncing->moved_ms + syncing->sync->timeout_ms;
  if ((syncing->is_draining || now >= give_up_ms) && is_halted(network)) {
    if (syncing->dial != NULL) ab_uv_dial_close(syncing->dial);
    syncing_done(syncing, AB_EHALTED, "apply halted on what came");
    return;
  }
  if (syncing->is_draining && autobee_is_idle(network->database->db)) {
    syncing_done(syncing, AB_EINSYNC, "");
    return;
  }
  if (peer != NULL) look_if_refused(syncing, peer);
  if (peer != NULL && syncing->is_refused) {
    if (now >= syncing->moved_ms + REFUSED_MS) {
      ab_uv_dial_close(syncing->dial);
      end_refused(syncing);
      return;
    }
    if (syncing->moved_ms + REFUSED_MS < *deadline_ms) *deadline_ms = syncing->moved_ms + REFUSED_MS;
  }
  bool is_settled = peer != NULL && is_in_sync(network, peer);
  if (!is_settled) syncing->settled_ms = UINT64_MAX;
  else if (syncing->settled_ms == UINT64_MAX || syncing->moved_ms > syncing->settled_ms)
    syncing->settled_ms = now;
  if (is_settled && syncing->is_responder) { /* the other one decides */
    again = syncing->settled_ms + syncing->sync->timeout_ms;
    if (now >= again) {
      ab_uv_peer_end(peer, AB_EINSYNC);
      return;
    }
  } else if (is_settled) {
    if (syncing->is_confirming && syncing->confirming == mark) {
      ab_uv_peer_end(peer, AB_EINSYNC);
      return;
    }
    syncing->is_confirming = true;
    syncing->confirming = mark;
    (void) autobee_confirm(network->database->db, ab_uv_peer_stream(peer)); /* or it knows no writers */
    again = give_up_ms;
  } else if (now >= give_up_ms) {
    const char *reason =
      peer == NULL ? "no connection was made in that time"
                   : "nothing came for a while, and not everything is here; another peer may have the rest";
    if (syncing->dial != NULL) ab_uv_dial_close(syncing->dial);
    syncing_done(syncing, AB_ETIMEDOUT, reason);
    return;
  } else {
    again = give_up_ms;
  }
  if (again < *deadline_ms) *deadline_ms = again;
}

static syncing_t *
syncing_of (network_t *network, ab_uv_peer_t *peer) {
  for (syncing_t *syncing = network->syncings; syncing != NULL; syncing = syncing->next) {
    if (syncing->dial != NULL && ab_uv_dial_peer(syncing->dial) == peer) return syncing;
  }
  return NULL;
}

static int
check_address (network_t *network, const char *address) {
  if (network->options.allow_stdio || strcmp(address, "-") != 0) return 0;
  return fail(
    network,
    AB_EINVAL,
    "\"-\" is an address for autobee sync only; name tcp:HOST:PORT, unix:PATH or exec:COMMAND"
  );
}

static int
begin_sync (void *data, const char *address, control_sync_t *sync) {
  network_t *network = data;
  int err = check_address(network, address);
  if (err < 0) return err;
  syncing_t *syncing = calloc(1, sizeof(*syncing));
  if (syncing == NULL) return fail(network, AB_ENOMEM, ab_strerror(AB_ENOMEM));
  ab_uv_connect_options_t options = ab_uv_connect_options_default();
  syncing->is_responder = !sync->initiator && (sync->responder || strcmp(address, "-") == 0);
  options.once = !sync->live;
  options.respond = syncing->is_responder;
  options.on_end = on_dial_end;
  options.data = syncing;
  if ((err = ab_uv_connect(network->uv, address, &options, &syncing->dial)) < 0) {
    free(syncing);
    return fail(network, err, ab_uv_errmsg(network->uv));
  }
  syncing->network = network;
  syncing->sync = sync;
  syncing->moved_ms = now_of(network);
  syncing->settled_ms = UINT64_MAX;
  syncing->next = network->syncings;
  syncing->link = &network->syncings;
  if (syncing->next != NULL) syncing->next->link = &syncing->next;
  network->syncings = syncing;
  sync->private_data = syncing;
  return 0;
}

static void
cancel_sync (void *data, control_sync_t *sync) {
  syncing_t *syncing = sync->private_data;
  (void) data;
  if (syncing->dial != NULL) ab_uv_dial_close(syncing->dial);
  syncing_free(syncing);
}

/* ---- events ---- */

static void
tell (network_t *network, const char *name, out_t *members) {
  if (!members->failed && network->options.on_event != NULL) {
    network->options.on_event(network->options.data, name, out_slice(members));
  }
  out_destroy(members);
}

static void
on_connection (ab_uv_t *uv, ab_uv_peer_t *peer, void *data) {
  network_t *network = data;
  out_t members = {0};
  out_member_uint(&members, "peers", ab_uv_connections(uv));
  out_member_text(&members, "remote", ab_uv_peer_address(peer));
  out_member_bool(&members, "initiator", ab_stream_is_initiator(ab_uv_peer_stream(peer)));
  tell(network, "connection", &members);
}

static void
on_disconnection (ab_uv_t *uv, ab_uv_peer_t *peer, int status, const char *message, void *data) {
  network_t *network = data;
  out_t members = {0};
  syncing_t *syncing = syncing_of(network, peer);
  if (syncing != NULL) {
    count(syncing->sync, peer);
    syncing->is_draining = status == AB_EEND && ab_uv_peer_was_done(peer) && !syncing->is_refused;
  }
  out_member_uint(&members, "peers", ab_uv_connections(uv));
  out_member_text(&members, "remote", ab_uv_peer_address(peer));
  out_member_text(&members, "code", cli_err_name(status));
  out_member_text(&members, "reason", *message == 0 ? ab_strerror(status) : message);
  tell(network, "disconnection", &members);
}

static void
on_error (ab_uv_t *uv, int status, const char *message, void *data) {
  network_t *network = data;
  out_t members = {0};
  (void) uv;
  out_member_text(&members, "code", cli_err_name(status));
  out_member_text(&members, "error", *message == 0 ? ab_strerror(status) : message);
  tell(network, "error", &members);
}

static void
on_turn (ab_uv_t *uv, uint64_t *deadline_ms, void *data) {
  network_t *network = data;
  (void) uv;
  for (syncing_t *syncing = network->syncings, *next; syncing != NULL; syncing = next) {
    next = syncing->next;
    check_syncing(syncing, deadline_ms);
  }
  if (network->options.on_turn != NULL) network->options.on_turn(network->options.data, deadline_ms);
}

/* ---- the rest of what control asks for ---- */

static void
do_wake (void *data) {
  network_wake(data);
}

static int
do_listen (void *data, const char *address, unsigned *port) {
  network_t *network = data;
  int err = ab_uv_listen(network->uv, address, port);
  return err < 0 ? fail(network, err, ab_uv_errmsg(network->uv)) : 0;
}

static int
do_connect (void *data, const char *address) {
  network_t *network = data;
  int err = check_address(network, address);
  if (err < 0) return err;
  err = ab_uv_connect(network->uv, address, NULL, NULL);
  return err < 0 ? fail(network, err, ab_uv_errmsg(network->uv)) : 0;
}

static void
do_disconnect (void *data) {
  network_t *network = data;
  while (network->syncings != NULL) {
    syncing_t *syncing = network->syncings;
    if (syncing->dial != NULL) ab_uv_dial_close(syncing->dial);
    syncing_done(syncing, AB_ECANCELED, "disconnected");
  }
  ab_uv_disconnect(network->uv);
}

static size_t
count_connections (void *data) {
  network_t *network = data;
  return ab_uv_connections(network->uv);
}

static const char *
last_message (void *data) {
  network_t *network = data;
  return network->message;
}

const control_net_t *
network_control (network_t *network) {
  return &network->control;
}

void
network_wake (network_t *network) {
  ab_uv_wake(network->uv);
}

int
network_attach (network_t *network, int fd, bool initiator) {
  ab_uv_connect_options_t options = ab_uv_connect_options_default();
  options.respond = !initiator;
  return ab_uv_attach(network->uv, fd, &options, NULL);
}

/* ---- opening and closing ---- */

int
network_open (database_t *database, uv_loop_t *loop, const network_options_t *options, network_t **out) {
  network_t *network = calloc(1, sizeof(*network));
  if (network == NULL) return AB_ENOMEM;
  network->database = database;
  network->options = *options;
  ab_uv_options_t uv_options = ab_uv_options_default();
  uv_options.on_turn = on_turn;
  uv_options.on_connection = on_connection;
  uv_options.on_disconnection = on_disconnection;
  uv_options.on_error = on_error;
  uv_options.data = network;
  int err = autobee_replicate(database->db);
  if (err == 0) err = ab_uv_open(database->store, loop, &uv_options, &network->uv);
  if (err < 0) {
    free(network);
    return err;
  }
  network->control = (control_net_t
  ){.data = network,
    .listen = do_listen,
    .wake = do_wake,
    .connect = do_connect,
    .disconnect = do_disconnect,
    .sync = begin_sync,
    .sync_cancel = cancel_sync,
    .connections = count_connections,
    .in_sync = all_in_sync,
    .message = last_message};
  *out = network;
  return 0;
}

static void
on_closed (void *data) {
  network_t *network = data;
  void (*cb)(void *) = network->close_cb;
  void *cb_data = network->close_data;
  free(network);
  cb(cb_data);
}

void
network_close (network_t *network, void (*cb)(void *data), void *data) {
  network->close_cb = cb;
  network->close_data = data;
  do_disconnect(network);
  ab_uv_close(network->uv, on_closed, network);
}

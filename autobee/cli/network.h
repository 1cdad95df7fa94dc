/* network.h: the connections of the database, as the control protocol asks for them. Private to autobee/cli/.
 */
#ifndef CLI_NETWORK_H
#define CLI_NETWORK_H

#include "autobee/cli/control.h"
#include "hypercore/net/uv/uv.h"

typedef struct network_s network_t;

typedef struct {
  bool allow_stdio; /* "-" is an address: stdin and stdout of this process belong to a connection */
  void *data;
  /** After every run of the store; may lower the time of the next one. */
  void (*on_turn)(void *data, uint64_t *deadline_ms);
  void (*on_event)(void *data, const char *name, ab_slice_t members); /* as control_event */
} network_options_t;

/** Returns 0, AB_ENOMEM, or what autobee_replicate says. */
int
network_open (database_t *database, uv_loop_t *loop, const network_options_t *options, network_t **out);

/** `cb` runs when the last handle is closed and the network gone. */
void
network_close (network_t *network, void (*cb)(void *data), void *data);

/** For control_open; valid as long as the network. */
const control_net_t *
network_control (network_t *network);

/** Make the store run soon. */
void
network_wake (network_t *network);

/** A connected socket becomes a connection that somebody else began. Takes the descriptor. */
int
network_attach (network_t *network, int fd, bool initiator);

#endif

/* naive_shown.h: what a database shows, and what its naive model says that it must show, as text. */
#ifndef NAIVE_SHOWN_H
#define NAIVE_SHOWN_H

#include "autobee/autobee.h"
#include "autobee/naive_peer.h"
#include "hypercore/buf.h"

/** The order with its weights, oldest first, the writers' records, the heads and the view, one line each.
 * Ends with a zero. */
void
naive_show_model (const naive_peer_t *peer, ab_buf_t *out);
/** The same of the database. Returns 0, or why it cannot be read. */
int
naive_show_database (const naive_logs_t *logs, autobee_t *db, ab_buf_t *out);

#endif

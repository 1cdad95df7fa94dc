/* replicate.h: what a database asks of the store's connections, and tells them. Private to autobee/. */
#ifndef AUTOBEE_REPLICATE_H
#define AUTOBEE_REPLICATE_H

#include "autobee/engine.h"

/** A writer is attached: fetch its log live, and tell peers that may not know it. Without effect, like all
 * calls below, while the database is not replicated. */
int
autobee__replicate_attached (autobee_t *db, writer_t *writer);
/** It is not looked at any more: stay in touch with its log as long as there is room, and hear when it grows.
 */
void
autobee__replicate_detached (autobee_t *db, writer_t *writer);
/** Fetch the blocks of a foreign system or view core that reads miss. */
int
autobee__replicate_core (autobee_t *db, hypercore_t *core);
/** Is there somebody to fetch from? */
bool
autobee__replicate_is_connected (const autobee_t *db);
/** Could one of those connected have so much of a core, by what they have said so far? */
bool
autobee__replicate_may_have (const autobee_t *db, const ab_head_t *head);
/** Is an answer to a request on its way? */
bool
autobee__replicate_is_fetching (const autobee_t *db);
/** Fetch no logs as a whole, or do again, from what is on record by now. */
void
autobee__replicate_hold (autobee_t *db, bool is_held);
/** A commit made blocks of the local writer durable. */
void
autobee__replicate_committed (autobee_t *db);
/** After a fast-forward: ask everybody for their writers. */
void
autobee__replicate_lookup (autobee_t *db);
/** A turn is over: answer what was put off, if nothing is left to do. */
void
autobee__replicate_idle (autobee_t *db);
void
autobee__replicate_end (autobee_t *db);

#endif

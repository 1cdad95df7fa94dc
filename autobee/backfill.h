/* backfill.h: completing what lies below a state that was adopted: the logs that are on record, and the
 * history of the order. Private to autobee/.
 *
 * Goes on over restarts, beside everything else, while a peer that has it is connected. Older versions of the
 * view are not fetched.
 */
#ifndef AUTOBEE_BACKFILL_H
#define AUTOBEE_BACKFILL_H

#include "autobee/engine.h"

/** A state was adopted. */
void
autobee__backfill_begin (autobee_t *db);
/** Go on if it had begun before the database was closed. */
int
autobee__backfill_load (autobee_t *db);
/** Do some of it, at the end of an iteration. */
int
autobee__backfill (autobee_t *db);

#endif

/* fill.h: fetching what a state needs before it is adopted, so that reading and writing go on without a
 * connection. Private to autobee/.
 *
 *   state ── a walk over its system, then over the view that this names; missing blocks named far ahead
 *   order ── its last batches, as far as a batch of the local writer could belong before them
 *   older ── if it could: the state before those batches, on which they would be applied again
 *
 * Not fetched is other history: older versions of the view, older operations.
 */
#ifndef AUTOBEE_FILL_H
#define AUTOBEE_FILL_H

#include "autobee/engine.h"

/** Go on, as far as the blocks that are here allow; another head begins anew. 0: the state is whole, 1: there
 * is more to do at once, AB_EREMOTE: blocks are missing, and were named, AB_ETOOBIG: the local writer could
 * displace too much for this to be the shorter way, or another error. */
int
autobee__fill (autobee_t *db, const ab_head_t *system);
void
autobee__fill_end (autobee_t *db);

#endif

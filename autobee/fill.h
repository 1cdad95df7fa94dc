/* fill.h: after a fast-forward, fetching what the adopted state reaches, so that reading and writing go on
 * without a connection. Private to autobee/.
 *
 *   adopted system, adopted view ── a walk over each, missing blocks named far ahead ──► whole
 *
 * What is written later is here anyway and refers to nothing else. Not fetched is history: older versions of
 * the view, older operations.
 */
#ifndef AUTOBEE_FILL_H
#define AUTOBEE_FILL_H

#include "autobee/engine.h"

/** Begin with the state as it is now; what was begun before ends. */
int
autobee__fill_begin (autobee_t *db);
/** Go on with what an earlier process left unfinished. */
int
autobee__fill_resume (autobee_t *db);
/** As far as the blocks that are here allow. 1: there is more to do at once, 0, or an error of the store. */
int
autobee__fill (autobee_t *db);
/** Is something missing that a connection could bring? */
bool
autobee__fill_is_due (const autobee_t *db);
void
autobee__fill_end (autobee_t *db);

#endif

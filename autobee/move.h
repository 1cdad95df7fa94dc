/* move.h: taking over another peer's system state. Private to autobee/. */
#ifndef AUTOBEE_MOVE_H
#define AUTOBEE_MOVE_H

#include "autobee/engine.h"

/**
 * Move onto the state that the writer's node `head`, or one of the 64 before it, is stamped with, at the next
 * drain: steps 2, 5 and 6 of autobee.md 16, without asking for a gap, trust or a connection.
 *
 * Returns 0, AB_ENOTFOUND (no stamp within reach), AB_EREMOTE (a block that has to be here first is not).
 */
int
autobee__move_to (autobee_t *db, const ab_head_t *head);
/** Do it: at the beginning of an iteration. A target that is not complete is given up. */
int
autobee__move_now (autobee_t *db);

#endif

/* merge.h: late batches go in before what was undone is applied again, so that it is applied once. Private to
 * autobee/.
 *
 * It must lead to the order that one run after the other leads to, also where removals make that depend on
 * which comes first. So a batch is taken in only if it would be the next to start a run, if its weight and
 * place are the same here as with everything undone applied again, and only until something changes who may
 * write.
 */
#ifndef AUTOBEE_MERGE_H
#define AUTOBEE_MERGE_H

#include "autobee/engine.h"

/** Note whose records going back to before entry `at` of the window takes away. */
int
autobee__merge_undone (autobee_t *db, size_t at);
/** Is the node, which is not on record, among what the run has still to apply again? */
bool
autobee__merge_redoes (const autobee_t *db, const ab_head_t *node);
/** Push the next late batch that can be merged, if there is one, on the items of the run. */
int
autobee__merge (autobee_t *db);

#endif

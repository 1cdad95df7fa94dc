/* run.h: from one batch to the order that contains it. Private to autobee/.
 *
 *   items   [ c' | b' | N ]   the next one last: resolved, inserted, applied, one after the other;
 *                             an insert that belongs further back undoes and pushes what has to be redone
 *
 * An ordinary run is the backlog of autobee.md 9.4. An optimistic attempt (12) places its batch once, applies
 * what follows in that order, and goes back to where it began when apply refuses the batch.
 */
#ifndef AUTOBEE_RUN_H
#define AUTOBEE_RUN_H

#include "autobee/engine.h"
#include "autobee/order.h"

/** 8.2, against the system as it is now. */
int
autobee__resolve (autobee_t *db, batch_t *batch);

/** Begin with `batch`, which `writer` offered; takes over the reference, also on failure. */
int
autobee__run_begin (autobee_t *db, writer_t *writer, batch_t *batch, bool optimistic);
/** Apply one batch. run.is_active is false when that was the last. AB_EREMOTE: nothing happened, it may be
 * called again when blocks have come. Any other error: the iteration cannot go on. */
int
autobee__run_step (autobee_t *db);
/** Let the run go on with a batch that is not in the order yet. */
int
autobee__run_push (run_t *run, batch_t *batch);
/** Of the items, the one that compares before all others. */
order_entry_t
autobee__run_best (const run_t *run);
/** Forget the run, wherever it was. */
void
autobee__run_clear (autobee_t *db);

/** Move system and view to `head`. */
int
autobee__move (autobee_t *db, const ab_head_t *head);
/** 21.4: cut the own cores to these lengths, never below what is committed. */
int
autobee__cut (autobee_t *db, uint64_t system_length, uint64_t view_length);

#endif

/* append.h: the local writer's queue, and what it writes. Private to autobee/. */
#ifndef AUTOBEE_APPEND_H
#define AUTOBEE_APPEND_H

#include "autobee/engine.h"

/** 11.1: queue `values` as one batch; `req` (may be NULL) is told how it ends. `out` (may be NULL): the
 * batch, borrowed. */
int
autobee__queue_values (
  autobee_t *db, autobee_append_t *req, const ab_slice_t *values, size_t count, bool optimistic, batch_t **out
);
/** Give links, stamp and witness to batches that were appended while a run was under way. Only between runs.
 */
int
autobee__queue_capture (autobee_t *db);
/** Section 12: queue the acknowledgement that is owed, if there is one. */
int
autobee__queue_acknowledge (autobee_t *db, bool *queued);
/** T8: when there are many heads, queue a null node that links them after a random delay. */
int
autobee__queue_shorten_heads (autobee_t *db);
/** Drop what is not in the log and not taken; its appends end with `status`. */
void
autobee__queue_fail (autobee_t *db, int status);
/** Drop what stands behind an operation that apply refused. */
void
autobee__queue_refuse (autobee_t *db);
/** Drop the whole queue. */
void
autobee__queue_drop (autobee_t *db, int status);
/** Nothing of the queue is taken any more. */
void
autobee__queue_untake (autobee_t *db);

/** 11.4: write the taken nodes to the log. */
int
autobee__queue_flush (autobee_t *db);
/** 11.3: the stamp starts here. */
void
autobee__stamp_mark (autobee_t *db);

#endif

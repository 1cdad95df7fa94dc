/* drain.h: the loop of autobee.md section 10, in slices. Private to autobee/. */
#ifndef AUTOBEE_DRAIN_H
#define AUTOBEE_DRAIN_H

#include "autobee/engine.h"

/**
 * Work until nothing is left to do or the store's clock reaches `until_ms` (0: no limit); at least one batch.
 * Returns 1 if there is more to do now, 0, or the error that ended the drain: then everything is as it was
 * when the iteration began, and nothing happens before autobee__drain_resume.
 */
int
autobee__drain (autobee_t *db, uint64_t until_ms);
/** Try again after a drain that ended with an error. */
void
autobee__drain_resume (autobee_t *db);
/** What is reached now is what the next commit stores. */
void
autobee__drain_staged (autobee_t *db);
/** Give up what the unfinished iteration did; only to close then. */
int
autobee__drain_abandon (autobee_t *db);

/** Is there anything that a commit would write or tell? */
bool
autobee__commit_due (const autobee_t *db);
/** ab_runner_t.committed. */
void
autobee__committed (void *data, int status);

#endif

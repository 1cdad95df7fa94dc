/* reindex.h: computing the view anew from the logs, with an apply function that changed. Private to autobee/.
 *
 *   stored heads ── stay shown and stored ────────────────────────► the new ones, in one commit
 *   working state: genesis ── every batch, in order ──► whole ──┘
 *
 * Local appends wait for it. A process that ends before it is whole begins again.
 */
#ifndef AUTOBEE_REINDEX_H
#define AUTOBEE_REINDEX_H

#include "autobee/engine.h"

/** An earlier process did not finish: begin again. */
int
autobee__reindex_resume (autobee_t *db);
/** Between iterations: go back to genesis if that was asked for. */
int
autobee__reindex_begin (autobee_t *db);
/** At the end of an iteration; `whole` if the working state may be stored and shown. */
int
autobee__reindex_check (autobee_t *db, bool *whole);

#endif

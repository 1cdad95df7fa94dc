/* writer.h: the logs that the drain follows. Private to autobee/.
 *
 * A writer is *attached* while the drain follows it, *pending* while it is to be looked at, *waiting* while
 * its next node links one that is not applied, *frozen* when its log does not decode. Names as in
 * autobee.md 10.
 */
#ifndef AUTOBEE_WRITER_H
#define AUTOBEE_WRITER_H

#include "autobee/engine.h"

/** Follow `key`: the attached writer of that key, opened if there is none. `core` (may be NULL) is taken
 * over, also on failure. `out` may be NULL. */
int
autobee__writer_attach (autobee_t *db, const ab_key_t *key, hypercore_t *core, writer_t **out);
/** A writer that is not attached; `core` is taken over, also on failure. */
int
autobee__writer_new (autobee_t *db, const ab_key_t *key, hypercore_t *core, writer_t **out);
/** Attach one that writer_new made, or that was detached. */
int
autobee__writer_follow (writer_t *writer);
/** Stop following; it stays open. */
void
autobee__writer_detach (writer_t *writer);
/** End it; freed by autobee__writers_sweep. */
void
autobee__writer_close (writer_t *writer);
void
autobee__writers_sweep (autobee_t *db);

/** Open the core of a writer other than the local one, in the database's storage group. */
int
autobee__writer_core (autobee_t *db, const ab_key_t *key, hypercore_t **out);

writer_t *
autobee__writer_find (const autobee_t *db, const ab_key_t *key);

void
autobee__writer_pend (writer_t *writer);
void
autobee__writer_unpend (writer_t *writer);
/** Call `each` for who is pending now, until it returns an error; it may change who is. */
int
autobee__pending_each (autobee_t *db, int (*each)(autobee_t *db, writer_t *writer));
void
autobee__writer_unwait (writer_t *writer);

/** Read its record. `length` (may be NULL): applied so far. The writer may be closed afterwards (an anchor).
 */
int
autobee__writer_refresh (writer_t *writer, uint64_t *length);
/** 10.3: its next batch, or NULL. */
int
autobee__writer_take (writer_t *writer, batch_t **out);

/** The node (key, length) is applied: wake who waits for it. */
void
autobee__writers_wake (autobee_t *db, const ab_key_t *key, uint64_t length);
/** Somebody says that `key` has `length` blocks. */
int
autobee__writers_hint (autobee_t *db, const ab_key_t *key, uint64_t length);
/** A block of a writer's log, decrypted if its core has its cipher. What `out` points to is in `arena`, which
 * the caller destroys, also after an error. */
int
autobee__writer_message (hypercore_t *core, uint64_t index, ab_arena_t *arena, oplog_message_t *out);
/** Drop the batch that was taken. */
void
autobee__writer_unpeek (writer_t *writer);
/** A stranger's batch was refused, and yet its log may go on: its first node as a writer links what it was
 * granted by, which nobody else may tell of. */
int
autobee__writer_follow_lead (writer_t *writer);
/** 10.6, at the end of an iteration. */
int
autobee__writers_refresh (autobee_t *db);
/** Note which writers are followed, so that the next open need not look at all that are on record. */
int
autobee__writers_store (autobee_t *db);
/** Follow them again. AB_ENOTFOUND: nothing was noted. */
int
autobee__writers_load (autobee_t *db);
/** Blocks came: parked writers are worth a look. */
void
autobee__writers_unpark (autobee_t *db);
/** Close all but the local one. */
void
autobee__writers_destroy (autobee_t *db);

/** Load the batch of `writer` that ends at `last` again: from its core, or from the local queue.
 * Returns 0, AB_EREMOTE (the block is noted as wanted), AB_ECORRUPT. */
int
autobee__batch_load (autobee_t *db, const ab_key_t *writer, uint64_t last, batch_t **out);

#endif

/* testimony.h: what others attest about the local writer, and what it owes others. Private to autobee/.
 *
 * The original loses testimony at close, which costs a writer its weight until somebody testifies again. Here
 * it is kept as user data of the local core, so that programs that open the database for one append keep
 * theirs. */
#ifndef AUTOBEE_TESTIMONY_H
#define AUTOBEE_TESTIMONY_H

#include "autobee/engine.h"

/** 8.5: keep what `node`, of another writer, attests about the local one. */
int
autobee__testimony_collect (autobee_t *db, hypercore_t *core, const node_t *node);
/** 8.6: put the best witness, if one is of use, into the first node of a local batch; copied into `arena`. */
int
autobee__testimony_use (autobee_t *db, ab_arena_t *arena, oplog_message_t *message);
void
autobee__testimony_forget (autobee_t *db);
/** Stage it with the local core, if it changed. Not in conformance mode. */
int
autobee__testimony_store (autobee_t *db);
int
autobee__testimony_load (autobee_t *db);
/** 8.4: owe an attestation. */
int
autobee__attestation_owe (autobee_t *db, const ab_key_t *key, uint64_t weight);

#endif

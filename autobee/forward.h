/* forward.h: adopting the state of a peer that is far ahead, instead of applying what it applied (16).
 * Private to autobee/.
 *
 *   announced head of a trusted writer ─► its block ─► stamp ─► far ahead? ─► what the state needs is here?
 * ─► move
 *
 * While a writer that is far ahead is looked into, other peers' logs are neither fetched as a whole nor taken
 * from; the local writer's is. What is announced is not authenticated, so only a length that the writer
 * signed holds anything up, and only as long as blocks go on arriving.
 *
 * Invariant  a state is adopted only on the word of a trusted writer's signed block
 */
#ifndef AUTOBEE_FORWARD_H
#define AUTOBEE_FORWARD_H

#include "autobee/engine.h"

/** Somebody announced this head: look into it if its writer is trusted. Returns 0 or an error of the store.
 */
int
autobee__forward_hint (autobee_t *db, const ab_key_t *writer, uint64_t length);

/** Between iterations: move, or go on with what a move needs. Returns 0, AB_ENOMEM or an error of the store.
 */
int
autobee__forward (autobee_t *db);

/** The state is another one: look into nobody any more, and want of the logs what is not on record now. */
void
autobee__forward_end (autobee_t *db);

/** Is other peers' work held up for a move? */
bool
autobee__forward_holds (const autobee_t *db);

/** Move onto the state that the node `head` is stamped with, without asking whether it is far ahead or
 * trusted; its block is here. */
int
autobee__move_to (autobee_t *db, const ab_head_t *head);

#endif

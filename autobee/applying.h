/* applying.h: one batch, applied. Private to autobee/. */
#ifndef AUTOBEE_APPLYING_H
#define AUTOBEE_APPLYING_H

#include "autobee/engine.h"

/**
 * Run apply on `batch`, which is the next in the order, and write what it did: view, system, window, and who
 * is followed (autobee.md 10.5).
 *
 * optimistic  may it be of a writer without a record
 * candidate   it is the one an optimistic attempt is about: AB_EREJECTED is for the caller to deal with
 *
 * AB_EREMOTE: nothing happened. AB_EREJECTED, AB_EHALTED, AB_EINTERRUPTED: apply does not go on; nothing is
 * written, but system and view hold pending changes.
 */
int
autobee__apply_batch (autobee_t *db, const batch_t *batch, bool optimistic, bool candidate);

#endif

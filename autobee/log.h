/* log.h: Private to autobee/. */
#ifndef AUTOBEE_LOG_H
#define AUTOBEE_LOG_H

#include "autobee/engine.h"

/** The history that ends at `head`, a system head, is not here: name more of its blocks than the one that was
 * missed. */
void
autobee__log_want (autobee_t *db, const ab_head_t *head);

#endif

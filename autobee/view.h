/* view.h: what a database does with the views that are open on it. Private to autobee/. */
#ifndef AUTOBEE_VIEW_H
#define AUTOBEE_VIEW_H

#include "autobee/engine.h"

/** The database closes: open views answer AB_ECLOSED from now on, their handles stay valid. */
void
autobee__views_orphan (autobee_t *db);

#endif

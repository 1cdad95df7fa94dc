/* anchors.h: the host call that makes an anchor. Private to autobee/. */
#ifndef AUTOBEE_ANCHORS_H
#define AUTOBEE_ANCHORS_H

#include "autobee/engine.h"

/** 7.4, while a batch is applied. AB_EREJECTED for a node that is not of this batch. */
int
autobee__anchor_create (autobee_t *db, const ab_head_t *node, ab_head_t *out);

#endif

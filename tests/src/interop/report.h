/* report.h: what a peer says, one JSON object a line, as hypercore-peer.js says it. */
#ifndef REPORT_H
#define REPORT_H

#include <jansson.h>

#include "hypercore/hypercore.h"

/** Print an object on stdout and release it. */
void
report (json_t *object);

json_t *
report_key (const ab_key_t *key);

/** What is held of a core: key, fork, length, treeHash, …; with `with_blocks` the hash of every block. */
json_t *
report_core (hypercore_t *core, bool with_blocks);

#endif

/* recorded_world.h: the recorded worlds of peers, scenario-* and fuzz-*, in both modes of the engine.
 *
 * Peers are never connected: blocks are handed over core by core. In conformance mode everything is compared,
 * byte for byte; in production mode, which drops undone blocks, everything but the lengths of system and view
 * cores and what names them. Where the text asks an implementation to differ, the code says so. */
#ifndef RECORDED_WORLD_H
#define RECORDED_WORLD_H

#include "support/vectors.h"

/** A runner for vectors_main: two cases, one in each mode. */
void
recorded_world_run (const char *file, json_t *root);

#endif

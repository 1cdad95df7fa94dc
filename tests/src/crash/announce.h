/* announce.h: what a process tells others, and when. */
#ifndef ANNOUNCE_H
#define ANNOUNCE_H

#include <stdbool.h>
#include <stddef.h>

#include "support/rng.h"

/**
 * A recorded process appends to its log `count` times alone and as often in bursts, while a peer is
 * connected. True if nothing left it before the commit was durable, and if that is noticed of one whose
 * fdatasync does nothing.
 *
 * dir  a folder, where it leaves others
 */
bool
announce_check (const char *dir, size_t count, rng_t *dice);

#endif

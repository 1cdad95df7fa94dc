/* sync.h: power losses of a peer that syncs with others. */
#ifndef SYNC_H
#define SYNC_H

#include <stdbool.h>
#include <stddef.h>

#include "support/rng.h"

/* What syncer.c writes to its stdout. */
typedef struct {
  size_t losses, failures;
  size_t forwards, undos; /* fast-forwards; batches that a reorder undid */
  size_t amid;            /* losses in a fast-forward, which are the likelier ones */
  size_t again;           /* losses after which the peer fast-forwarded */
} sync_figures_t;

/**
 * A peer loses power at least `count` times, and so does one whose fdatasync does nothing. True if the first
 * has lost nothing, in lives with fast-forwards and reorders, and the second has.
 *
 * dir  a folder, where it leaves others
 */
bool
sync_check (const char *dir, size_t count, rng_t *dice);

#endif

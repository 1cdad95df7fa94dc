/* disk.h: a disk that loses power.
 *
 *   A file is its durable bytes and the changes that no sync has reached; a folder is its durable names and
 *   the changes of names that no sync of the folder has reached. What of the pending changes is there after
 *   a power loss is anybody's guess: a mode is one way of guessing.
 */
#ifndef DISK_H
#define DISK_H

#include "disk_log.h"
#include "support/rng.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct disk_s disk_t;

typedef enum {
  DISK_LOSE_ALL = 0,
  DISK_LOSE_NOTHING,
  DISK_LOSE_SOME, /* each pending change is kept or not */
  DISK_TEAR,      /* of a pending write, each 512 bytes are kept or not */
  DISK_MODES
} disk_mode_t;

extern const char *const disk_mode_names[DISK_MODES];

/** Read a log. Ends the process with a message when it cannot. */
disk_t *
disk_open (const char *log_path);
void
disk_close (disk_t *disk);

/** Operations in the log. */
size_t
disk_count (const disk_t *disk);

/** Go on until the first `count` operations have happened; `count` never gets smaller. */
void
disk_advance (disk_t *disk, size_t count);

/** Write what is there after a power loss now, while the next operation goes on, to the empty folder `path`.
 */
void
disk_write_image (const disk_t *disk, const char *path, disk_mode_t mode, rng_t *dice);

/** All that was acknowledged so far. Valid until the next disk_advance. */
const char *
disk_acknowledged (const disk_t *disk);

#endif

/* lock.h: one writing process per store. Private to hypercore/.
 *
 * DIR/lock is held with flock and names the holder: "PID COMMAND". The system drops the lock when the process
 * ends, however it ends; what the file says then is stale and nobody looks at it.
 */
#ifndef AB_LOCK_H
#define AB_LOCK_H

#include "hypercore/ab.h"

#define AB__HOLDER_MAX 256

/**
 * Take the lock of `dir` and write who we are.
 *
 * fd      the lock is held until it is closed
 * holder  on AB_EINUSE: the text of the process that has it, maybe empty
 *
 * Returns 0, AB_EINUSE, AB_EDENIED, AB_ENOSPC, AB_ENOTSTORE (no such directory) or AB_EIO.
 */
int
ab__lock_take (const char *dir, int *fd, char holder[AB__HOLDER_MAX]);

void
ab__lock_release (int fd);

/* LMDB must not be opened twice by one process, not even for reading: closing one would drop the file locks
 * of the other. So every open store is entered here, by the identity of its directory. */
typedef struct ab__open_dir_s ab__open_dir_t;
struct ab__open_dir_s {
  uint64_t device;
  uint64_t inode;
  ab__open_dir_t *next;
  ab__open_dir_t **link;
};

/** Returns 0, AB_EINUSE if this process has the directory open, or AB_EIO. */
int
ab__open_dir_enter (const char *dir, ab__open_dir_t *entry);

/** A zeroed entry is a no-op. */
void
ab__open_dir_leave (ab__open_dir_t *entry);

#endif

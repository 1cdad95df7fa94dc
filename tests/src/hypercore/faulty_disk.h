/* faulty_disk.h: let writes and syncs of this process fail, LMDB's too.
 *
 * A program that refers to this gets write, pwrite, pwritev, fsync and fdatasync from faulty_disk.c; they go
 * to the system unless a fault is on. Only files below a path that holds "/store" are concerned, not the
 * program's output.
 */
#ifndef FAULTY_DISK_H
#define FAULTY_DISK_H

#include <stddef.h>

typedef enum {
  DISK_GOOD = 0,
  DISK_FULL,   /* writes fail with ENOSPC */
  DISK_SHORT,  /* a write takes half of its bytes, the next one fails with ENOSPC */
  DISK_BROKEN, /* writes fail with EIO */
  DISK_NO_SYNC /* syncs fail with EIO */
} faulty_disk_t;

/** From the `after`-th write or sync on (0: the next one). */
void
faulty_disk_set (faulty_disk_t fault, size_t after);

/** How often the fault struck since it was set. */
size_t
faulty_disk_count (void);

#endif

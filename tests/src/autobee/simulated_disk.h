/* simulated_disk.h: the data file of a store on a disk that can lose its power between two writes.
 *
 *   calls of LMDB ─► the file, and what was there before ─► power is lost ─► undo, redo what the disk had
 *
 * What was written and not synced is then there, or not, or in part: any choice of such writes. The program
 * goes on until somebody looks; whoever asks is_off must not believe it any more. */
#ifndef SIMULATED_DISK_H
#define SIMULATED_DISK_H

#include "hypercore/ab.h"
#include "support/rng.h"

#include <sys/types.h>

typedef struct disk_write_s disk_write_t;

typedef struct {
  bool is_off; /* power was lost; what happens since does not count */
  bool is_watched;
  int fd;
  dev_t device;
  ino_t file;
  disk_write_t *writes; /* since the last sync, newest first */
  uint32_t countdown;   /* writes until power is lost; 0: it is not */
} disk_t;

/** Watch the file `path`, which is there and synced. Stays where it is until disk_forget. */
void
disk_watch (disk_t *disk, const char *path);
void
disk_forget (disk_t *disk);

/** The program is about to write, or has synced; what is not a watched file is passed over. Truncating makes
 * a file longer. */
void
disk_write (int fd, const void *data, size_t len, off_t offset);
void
disk_truncate (int fd, off_t size);
void
disk_sync (int fd);

/** Lose power before the write of this number, counted from 1; 0: do not. */
void
disk_fail_at (disk_t *disk, uint32_t number);
/** Nothing has the file open: make it what is on the disk. `keeps`: only the process ended, and all that it
 * wrote before is there. */
void
disk_power_on (disk_t *disk, rng_t *random, bool keeps);

#endif

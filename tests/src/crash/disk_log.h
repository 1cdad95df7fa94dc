/* disk_log.h: what a process did to the disk, one record after the other.
 *
 *   recorder.c  a preloaded library: writes the log of a victim, and ends it at a given operation
 *   disk.c      reads the log, and says what is on the disk after a power loss at a given operation
 *   announce.c  reads the log, and says what left the process before its commit was durable
 *
 *   record      disk_record_t | path, relative to the watched folder | data
 *
 * The environment of a victim:
 *   AUTOBEE_CRASH_ROOT      the folder that is watched
 *   AUTOBEE_CRASH_LOG       where the log goes; unset: no log
 *   AUTOBEE_CRASH_AT        end by SIGKILL instead of the operation of this number; unset: never
 *   AUTOBEE_CRASH_NO_SYNC   set: fdatasync does nothing
 *   AUTOBEE_CRASH_ACK       a file descriptor: a text written to it says what is durable; an operation too
 */
#ifndef DISK_LOG_H
#define DISK_LOG_H

#include <stdint.h>

typedef enum {
  DISK_MKDIR = 1,
  DISK_CREATE,
  DISK_WRITE,
  DISK_TRUNCATE, /* to `offset` bytes */
  DISK_SYNC,     /* of a file */
  DISK_SYNC_DIR,
  DISK_RENAME, /* data: the new path */
  DISK_UNLINK,
  DISK_ACK, /* data: the text */
  DISK_ASK, /* data: what was read from stdin */
  DISK_SEND /* to a socket; offset: how many bytes */
} disk_kind_t;

typedef struct {
  uint32_t kind;
  uint32_t is_durable; /* a write through an O_DSYNC descriptor */
  uint64_t offset;
  uint32_t path_len;
  uint32_t data_len;
} disk_record_t;

#endif

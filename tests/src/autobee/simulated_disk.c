#define _GNU_SOURCE /* O_DSYNC */
#include "autobee/simulated_disk.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WATCHED_MAX 32
#define SECTOR 512

struct disk_write_s {
  disk_write_t *before, *after; /* in time */
  bool is_truncation;           /* to `offset` bytes */
  bool is_durable;              /* by itself */
  bool is_late;                 /* after power was lost */
  off_t offset;
  off_t old_size; /* of the file */
  size_t len;
  uint8_t *old; /* what was there, then what was written */
};

static disk_t *watched[WATCHED_MAX];
static size_t watched_count;

static void *
need (void *data) {
  if (data == NULL) abort();
  return data;
}

static disk_t *
find (int fd) {
  struct stat st;
  if (watched_count == 0 || fstat(fd, &st) != 0) return NULL;
  for (size_t i = 0; i < watched_count; i++)
    if (watched[i]->file == st.st_ino && watched[i]->device == st.st_dev) return watched[i];
  return NULL;
}

/* ---- what is written ---- */

static void
drop_writes (disk_t *disk) {
  while (disk->writes != NULL) {
    disk_write_t *write = disk->writes;
    disk->writes = write->before;
    free(write->old);
    free(write);
  }
}

/* Before it takes place. */
static void
note (disk_t *disk, int fd, bool is_truncation, const void *data, size_t len, off_t offset) {
  struct stat st;
  if (disk->countdown > 0 && --disk->countdown == 0) disk->is_off = true;
  disk_write_t *write = need(calloc(1, sizeof(*write)));
  if (fstat(fd, &st) != 0) abort();
  if (is_truncation && offset < st.st_size) abort(); /* nobody cuts a data file */
  write->is_truncation = is_truncation;
  write->is_durable = (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
  write->is_late = disk->is_off;
  write->offset = offset;
  write->old_size = st.st_size;
  write->len = len;
  write->old = need(calloc(2, len + 1));
  if (len > 0 && syscall(SYS_pread64, disk->fd, write->old, len, offset) < 0) abort();
  if (len > 0) memcpy(write->old + len, data, len);
  write->before = disk->writes;
  if (disk->writes != NULL) disk->writes->after = write;
  disk->writes = write;
}

void
disk_write (int fd, const void *data, size_t len, off_t offset) {
  disk_t *disk = find(fd);
  if (disk != NULL) note(disk, fd, false, data, len, offset);
}

void
disk_truncate (int fd, off_t size) {
  disk_t *disk = find(fd);
  if (disk != NULL) note(disk, fd, true, NULL, 0, size);
}

void
disk_sync (int fd) {
  disk_t *disk = find(fd);
  if (disk != NULL && !disk->is_off) drop_writes(disk);
}

/* ---- losing power ---- */

static void
put (int fd, const uint8_t *data, size_t len, off_t at) {
  if (syscall(SYS_pwrite64, fd, data, len, at) != (long) len) abort();
}

static void
set_size (int fd, off_t size) {
  if (syscall(SYS_ftruncate, fd, size) != 0) abort();
}

static void
undo (int fd, const disk_write_t *write) {
  put(fd, write->old, write->len, write->offset);
  set_size(fd, write->old_size);
}

static void
redo (int fd, const disk_write_t *write, size_t len) {
  if (write->is_truncation) set_size(fd, write->offset);
  else put(fd, write->old + write->len, len, write->offset);
}

/* How much of a write is on the disk. */
static size_t
kept_of (const disk_write_t *write, rng_t *random, uint32_t manner) {
  if (write->is_durable || manner == 0) return write->len;
  if (manner == 1 || rng_below(random, 2) == 0) return 0;
  if (write->len <= SECTOR || rng_below(random, 8) > 0) return write->len;
  return SECTOR * (size_t) rng_below(random, (uint32_t) (write->len / SECTOR)); /* torn */
}

void
disk_power_on (disk_t *disk, rng_t *random, bool keeps) {
  uint32_t manner = keeps ? 0 : rng_below(random, 4); /* all, nothing, some, some */
  disk_write_t *first = NULL;
  for (disk_write_t *write = disk->writes; write != NULL; write = write->before) {
    undo(disk->fd, write);
    first = write;
  }
  for (disk_write_t *write = first; write != NULL && !write->is_late; write = write->after) {
    size_t len = kept_of(write, random, manner);
    if (len > 0 || (write->is_truncation && manner != 1)) redo(disk->fd, write, len);
  }
  drop_writes(disk);
  disk->is_off = false;
  disk->countdown = 0;
}

void
disk_fail_at (disk_t *disk, uint32_t number) {
  disk->countdown = number;
}

/* ---- beginning and end ---- */

void
disk_watch (disk_t *disk, const char *path) {
  struct stat st;
  if (disk->is_watched) return;
  if (watched_count == WATCHED_MAX || stat(path, &st) != 0) abort();
  if ((disk->fd = open(path, O_RDWR | O_CLOEXEC)) < 0) abort(); /* LMDB's own do not all read */
  disk->device = st.st_dev;
  disk->file = st.st_ino;
  disk->is_watched = true;
  watched[watched_count++] = disk;
}

void
disk_forget (disk_t *disk) {
  if (!disk->is_watched) return;
  drop_writes(disk);
  close(disk->fd);
  for (size_t i = 0; i < watched_count; i++)
    if (watched[i] == disk) watched[i] = watched[--watched_count];
  disk->is_watched = false;
}

/* recorder.c: a library that is preloaded into a victim: see disk_log.h.
 *
 * It stands before the C library's calls for the victim's own objects and for LMDB. One thread only. What
 * LMDB does to its lock file through memory is not seen; after a power loss that file is made anew anyway.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "disk_log.h"

#define FDS 1024
#define PATH_LEN 512

/* What a descriptor is open for; path empty: not watched. */
static struct {
  char path[PATH_LEN]; /* relative to the root */
  bool is_dsync;
  bool is_dir;
} fds[FDS];

static char root[PATH_LEN];
static size_t root_len;
static int log_fd = -1;
static int ack_fd = -1;
static bool no_sync;
static uint64_t kill_at = UINT64_MAX;
static bool is_ready;

__attribute__((visibility("default"))) uint64_t crash_operations; /* noted so far: a victim may ask */

static void
get_ready (void) {
  if (is_ready) return;
  is_ready = true;
  const char *text = getenv("AUTOBEE_CRASH_ROOT");
  if (text != NULL) root_len = (size_t) snprintf(root, sizeof(root), "%s/", text);
  if ((text = getenv("AUTOBEE_CRASH_LOG")) != NULL) {
    log_fd = (int) syscall(SYS_openat, AT_FDCWD, text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  }
  if ((text = getenv("AUTOBEE_CRASH_AT")) != NULL) kill_at = strtoull(text, NULL, 10);
  if ((text = getenv("AUTOBEE_CRASH_ACK")) != NULL) ack_fd = atoi(text);
  no_sync = getenv("AUTOBEE_CRASH_NO_SYNC") != NULL;
}

/* The part of a path below the root, or NULL. The root itself is "". */
static const char *
watched (const char *path) {
  get_ready();
  if (root_len == 0) return NULL;
  if (strncmp(path, root, root_len - 1) != 0) return NULL;
  if (path[root_len - 1] == 0) return "";
  return path[root_len - 1] == '/' ? path + root_len : NULL;
}

static void
put (const void *data, size_t len) {
  const char *at = data;
  while (len > 0) {
    ssize_t done = syscall(SYS_write, log_fd, at, len);
    if (done <= 0) _exit(99);
    at += done;
    len -= (size_t) done;
  }
}

/* Called before the operation takes place. */
static void
note (disk_kind_t kind, const char *path, bool is_durable, uint64_t offset, const void *data, size_t len) {
  if (crash_operations++ == kill_at) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
  }
  if (log_fd < 0) return;
  disk_record_t record = {(uint32_t) kind, is_durable, offset, (uint32_t) strlen(path), (uint32_t) len};
  put(&record, sizeof(record));
  put(path, record.path_len);
  put(data, len);
}

static bool
is_watched (int fd) {
  return fd >= 0 && fd < FDS && fds[fd].path[0] != 0;
}

static int
open_at (const char *path, int flags, mode_t mode) {
  const char *below = watched(path);
  bool is_new = below != NULL && (flags & O_CREAT) != 0 && access(path, F_OK) != 0;
  if (is_new) note(DISK_CREATE, below, false, 0, NULL, 0);
  int fd = (int) syscall(SYS_openat, AT_FDCWD, path, flags, mode);
  if (fd < 0 || fd >= FDS || below == NULL) return fd;
  struct stat st;
  snprintf(fds[fd].path, PATH_LEN, "%s", below[0] == 0 ? "." : below);
  fds[fd].is_dsync = (flags & O_DSYNC) != 0;
  fds[fd].is_dir = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
  if (!is_new && (flags & O_TRUNC) != 0) note(DISK_TRUNCATE, below, false, 0, NULL, 0);
  return fd;
}

static bool
is_socket (int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* From here on, what other objects are to find instead of the C library's. */
#pragma GCC visibility push(default)

int
open (const char *path, int flags, ...) {
  va_list args;
  va_start(args, flags);
  mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
  va_end(args);
  return open_at(path, flags, mode);
}

int
open64 (const char *path, int flags, ...) {
  va_list args;
  va_start(args, flags);
  mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
  va_end(args);
  return open_at(path, flags, mode);
}

int
close (int fd) {
  if (fd >= 0 && fd < FDS) fds[fd].path[0] = 0;
  return (int) syscall(SYS_close, fd);
}

ssize_t
pwrite (int fd, const void *data, size_t len, off_t at) {
  if (is_watched(fd)) note(DISK_WRITE, fds[fd].path, fds[fd].is_dsync, (uint64_t) at, data, len);
  return syscall(SYS_pwrite64, fd, data, len, at);
}

ssize_t
write (int fd, const void *data, size_t len) {
  get_ready();
  if (fd == ack_fd) note(DISK_ACK, "", false, 0, data, len);
  else if (is_watched(fd))
    note(DISK_WRITE, fds[fd].path, fds[fd].is_dsync, (uint64_t) lseek(fd, 0, SEEK_CUR), data, len);
  else if (is_socket(fd)) note(DISK_SEND, "", false, len, NULL, 0);
  return syscall(SYS_write, fd, data, len);
}

ssize_t
sendmsg (int fd, const struct msghdr *message, int flags) {
  uint64_t len = 0;
  get_ready();
  for (size_t i = 0; i < message->msg_iovlen; i++) len += message->msg_iov[i].iov_len;
  note(DISK_SEND, "", false, len, NULL, 0);
  return syscall(SYS_sendmsg, fd, message, flags);
}

ssize_t
read (int fd, void *data, size_t size) {
  ssize_t len = syscall(SYS_read, fd, data, size);
  get_ready();
  if (fd == STDIN_FILENO && len > 0) note(DISK_ASK, "", false, 0, data, (size_t) len);
  return len;
}

int
ftruncate (int fd, off_t len) {
  if (is_watched(fd)) note(DISK_TRUNCATE, fds[fd].path, false, (uint64_t) len, NULL, 0);
  return (int) syscall(SYS_ftruncate, fd, len);
}

int
truncate (const char *path, off_t len) {
  const char *below = watched(path);
  if (below != NULL) note(DISK_TRUNCATE, below, false, (uint64_t) len, NULL, 0);
  return (int) syscall(SYS_truncate, path, len);
}

static int
sync_fd (int fd, long call) {
  if (is_watched(fd)) note(fds[fd].is_dir ? DISK_SYNC_DIR : DISK_SYNC, fds[fd].path, false, 0, NULL, 0);
  return (int) syscall(call, fd);
}

int
fsync (int fd) {
  return sync_fd(fd, SYS_fsync);
}

int
fdatasync (int fd) {
  get_ready();
  return no_sync ? 0 : sync_fd(fd, SYS_fdatasync);
}

int
rename (const char *from, const char *to) {
  const char *below = watched(from), *new_below = watched(to);
  if (below != NULL && new_below != NULL) note(DISK_RENAME, below, false, 0, new_below, strlen(new_below));
  return (int) syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}

int
unlink (const char *path) {
  const char *below = watched(path);
  if (below != NULL && access(path, F_OK) == 0) note(DISK_UNLINK, below, false, 0, NULL, 0);
  return (int) syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int
mkdir (const char *path, mode_t mode) {
  const char *below = watched(path);
  if (below != NULL) note(DISK_MKDIR, below, false, 0, NULL, 0);
  return (int) syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

#include "support/written_in_parts.h"
#pragma GCC visibility pop

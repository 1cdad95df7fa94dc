#define _GNU_SOURCE
#include "faulty_disk.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static faulty_disk_t fault;
static size_t calls_left;
static size_t struck;

void
faulty_disk_set (faulty_disk_t which, size_t after) {
  fault = which;
  calls_left = after;
  struck = 0;
}

size_t
faulty_disk_count (void) {
  return struck;
}

static bool
is_of_store (int fd) {
  char link[64], path[1024];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  ssize_t len = readlink(link, path, sizeof(path) - 1);
  if (len <= 0) return false;
  path[len] = 0;
  return strstr(path, "/store") != NULL;
}

static bool
strikes (int fd, bool is_sync) {
  if (fault == DISK_GOOD || (fault == DISK_NO_SYNC) != is_sync || !is_of_store(fd)) return false;
  if (calls_left > 0) {
    calls_left--;
    return false;
  }
  struck++;
  errno = fault == DISK_FULL || fault == DISK_SHORT ? ENOSPC : EIO;
  return true;
}

/* The bytes to write in spite of the fault: half of the first write that it strikes. */
static size_t
short_len (size_t len) {
  return fault == DISK_SHORT && struck == 1 ? len / 2 : 0;
}

/* From here on, what shared libraries are to find instead of the C library's. */
#pragma GCC visibility push(default)

ssize_t
write (int fd, const void *data, size_t len) {
  if (strikes(fd, false) && (len = short_len(len)) == 0) return -1;
  return syscall(SYS_write, fd, data, len);
}

ssize_t
pwrite (int fd, const void *data, size_t len, off_t at) {
  if (strikes(fd, false) && (len = short_len(len)) == 0) return -1;
  return syscall(SYS_pwrite64, fd, data, len, at);
}

int
fsync (int fd) {
  if (strikes(fd, true)) return -1;
  return (int) syscall(SYS_fsync, fd);
}

int
fdatasync (int fd) {
  if (strikes(fd, true)) return -1;
  return (int) syscall(SYS_fdatasync, fd);
}

#include "support/written_in_parts.h"
#pragma GCC visibility pop

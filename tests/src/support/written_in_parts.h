/* written_in_parts.h: the other calls that write, for a program that has write, pwrite and ftruncate of its
 * own: each in terms of these, part by part, so that something can happen between two. Include it in the one
 * file that defines them, with default visibility. */
#ifndef WRITTEN_IN_PARTS_H
#define WRITTEN_IN_PARTS_H

#include <sys/types.h>
#include <sys/uio.h>

ssize_t
pwrite64 (int fd, const void *data, size_t len, off64_t at);
ssize_t
pwritev64 (int fd, const struct iovec *parts, int count, off64_t at);
int
ftruncate64 (int fd, off64_t len);

ssize_t
pwrite64 (int fd, const void *data, size_t len, off64_t at) {
  return pwrite(fd, data, len, at);
}

ssize_t
pwritev (int fd, const struct iovec *parts, int count, off_t at) {
  ssize_t total = 0;
  for (int i = 0; i < count; i++) {
    ssize_t len = pwrite(fd, parts[i].iov_base, parts[i].iov_len, at + total);
    if (len < 0) return total > 0 ? total : -1;
    total += len;
    if ((size_t) len < parts[i].iov_len) break;
  }
  return total;
}

ssize_t
pwritev64 (int fd, const struct iovec *parts, int count, off64_t at) {
  return pwritev(fd, parts, count, at);
}

ssize_t
writev (int fd, const struct iovec *parts, int count) {
  ssize_t total = 0;
  for (int i = 0; i < count; i++) {
    ssize_t len = write(fd, parts[i].iov_base, parts[i].iov_len);
    if (len < 0) return total > 0 ? total : -1;
    total += len;
    if ((size_t) len < parts[i].iov_len) break;
  }
  return total;
}

int
ftruncate64 (int fd, off64_t len) {
  return ftruncate(fd, len);
}

#endif

#include "autobee/cli/files.h"

#include "autobee/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES 65536
#define PATH_SIZE 4096

static int
translate (int rc) {
  switch (rc) {
  case ENOENT:
  case ENOTDIR:
    return AB_ENOTFOUND;
  case EACCES:
  case EPERM:
  case EROFS:
    return AB_EDENIED;
  case ENOSPC:
  case EDQUOT:
    return AB_ENOSPC;
  default:
    return AB_EIO;
  }
}

const char *
files_reason (int err) {
  switch (err) {
  case AB_ENOTFOUND:
    return "there is no such file";
  case AB_ETOOBIG:
    return "it is too big";
  case AB_ECANCELED:
    return "interrupted";
  default:
    return ab_strerror(err);
  }
}

static int
read_all (int fd, size_t max, out_t *out) {
  size_t start = out->len;
  for (;;) {
    char *at = out_extend(out, READ_BYTES);
    if (at == NULL) return AB_ENOMEM;
    ssize_t got = read(fd, at, READ_BYTES);
    out->len -= READ_BYTES - (got > 0 ? (size_t) got : 0);
    if (got == 0) return 0;
    if (got < 0 && errno != EINTR) return translate(errno);
    if (cli_is_interrupted()) return AB_ECANCELED;
    if (out->len - start > max) return AB_ETOOBIG;
  }
}

int
files_read (const char *path, size_t max, out_t *out) {
  if (strcmp(path, "-") == 0) return read_all(STDIN_FILENO, max, out);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return translate(errno);
  int err = read_all(fd, max, out);
  close(fd);
  return err;
}

static int
write_all (int fd, ab_slice_t bytes) {
  while (bytes.len > 0) {
    ssize_t put = write(fd, bytes.data, bytes.len);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return translate(errno);
    bytes = ab_slice(bytes.data + put, bytes.len - (size_t) put);
  }
  return fsync(fd) == 0 ? 0 : translate(errno);
}

static int
sync_folder (const char *dir) {
  int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return translate(errno);
  int err = fsync(fd) == 0 ? 0 : translate(errno);
  close(fd);
  return err;
}

int
files_write (const char *dir, const char *name, ab_slice_t bytes, unsigned mode) {
  char path[PATH_SIZE], temporary[PATH_SIZE];
  int len = snprintf(path, sizeof(path), "%s/%s", dir, name);
  int temporary_len = snprintf(temporary, sizeof(temporary), "%s/%s.tmp", dir, name);
  if (len < 0 || temporary_len < 0 || (size_t) temporary_len >= sizeof(temporary)) return AB_EINVAL;
  (void) unlink(temporary); /* of an interrupted run, and maybe of another mode */
  int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t) mode);
  if (fd < 0) return translate(errno);
  int err = write_all(fd, bytes);
  if (close(fd) != 0 && err == 0) err = translate(errno);
  if (err == 0 && rename(temporary, path) != 0) err = translate(errno);
  if (err < 0) {
    (void) unlink(temporary);
    return err;
  }
  return sync_folder(dir);
}

/* lock.c: one writing process per store. */
#include "hypercore/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* "PID COMMAND", as much of the command line as fits. */
static size_t
describe_self (char out[AB__HOLDER_MAX]) {
  int len = snprintf(out, AB__HOLDER_MAX, "%ld ", (long) getpid());
  size_t used = len < 0 ? 0 : (size_t) len;
  int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    ssize_t got = read(fd, out + used, AB__HOLDER_MAX - 1 - used);
    close(fd);
    for (ssize_t i = 0; i < got; i++, used++)
      if ((unsigned char) out[used] < ' ') out[used] = ' ';
  }
  while (used > 0 && out[used - 1] == ' ') used--;
  out[used] = 0;
  return used;
}

static void
read_holder (int fd, char holder[AB__HOLDER_MAX]) {
  ssize_t len = pread(fd, holder, AB__HOLDER_MAX - 1, 0);
  if (len < 0) len = 0;
  holder[len] = 0;
  for (ssize_t i = 0; i < len; i++)
    if ((unsigned char) holder[i] < ' ') holder[i] = 0;
}

static int
translate (int rc) {
  switch (rc) {
  case ENOENT:
  case ENOTDIR:
    return AB_ENOTSTORE;
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

int
ab__lock_take (const char *dir, int *out, char holder[AB__HOLDER_MAX]) {
  char path[4096];
  holder[0] = 0;
  int len = snprintf(path, sizeof(path), "%s/lock", dir);
  if (len < 0 || (size_t) len >= sizeof(path)) return AB_EIO;
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return translate(errno);

  int rc;
  do rc = flock(fd, LOCK_EX | LOCK_NB);
  while (rc != 0 && errno == EINTR);
  if (rc != 0) {
    int err = errno == EWOULDBLOCK ? AB_EINUSE : translate(errno);
    if (err == AB_EINUSE) read_holder(fd, holder);
    close(fd);
    return err;
  }

  char self[AB__HOLDER_MAX];
  size_t self_len = describe_self(self);
  /* Who holds it is for messages only: a full disk must not keep a store from being opened and read. */
  if (ftruncate(fd, 0) == 0) (void) !pwrite(fd, self, self_len, 0);
  *out = fd;
  return 0;
}

void
ab__lock_release (int fd) {
  if (fd >= 0) close(fd); /* not LOCK_UN: in a forked child that would take the parent's lock away */
}

/* ---- directories this process has open ---- */

static ab__open_dir_t *open_dirs;
static atomic_flag open_dirs_busy =
  ATOMIC_FLAG_INIT; /* stores may be opened on several threads; held briefly */

int
ab__open_dir_enter (const char *dir, ab__open_dir_t *entry) {
  struct stat st;
  *entry = (ab__open_dir_t){0};
  if (stat(dir, &st) != 0) return AB_EIO;

  while (atomic_flag_test_and_set_explicit(&open_dirs_busy, memory_order_acquire)) {
  }
  ab__open_dir_t *other = open_dirs;
  while (other != NULL && (other->device != (uint64_t) st.st_dev || other->inode != (uint64_t) st.st_ino)) {
    other = other->next;
  }
  if (other == NULL) {
    *entry = (ab__open_dir_t){(uint64_t) st.st_dev, (uint64_t) st.st_ino, open_dirs, &open_dirs};
    if (open_dirs != NULL) open_dirs->link = &entry->next;
    open_dirs = entry;
  }
  atomic_flag_clear_explicit(&open_dirs_busy, memory_order_release);
  return other == NULL ? 0 : AB_EINUSE;
}

void
ab__open_dir_leave (ab__open_dir_t *entry) {
  if (entry->link == NULL) return;
  while (atomic_flag_test_and_set_explicit(&open_dirs_busy, memory_order_acquire)) {
  }
  *entry->link = entry->next;
  if (entry->next != NULL) entry->next->link = entry->link;
  atomic_flag_clear_explicit(&open_dirs_busy, memory_order_release);
  *entry = (ab__open_dir_t){0};
}

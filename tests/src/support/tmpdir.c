#define _GNU_SOURCE
#include "support/tmpdir.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static void
fail (const char *what, const char *path) {
  fprintf(stderr, "tmpdir: %s: ", what);
  perror(path);
  exit(1);
}

void
tmpdir_make (char path[TMPDIR_MAX]) {
  if (mkdir(TMPDIR_FOLDER, 0777) < 0 && errno != EEXIST) fail("mkdir", TMPDIR_FOLDER);
  tmpdir_path(path, TMPDIR_FOLDER, "XXXXXX");
  if (mkdtemp(path) == NULL) fail("mkdtemp", path);
}

static int
remove_entry (const char *path, const struct stat *status, int kind, struct FTW *ftw) {
  (void) status;
  (void) kind;
  (void) ftw;
  return remove(path);
}

void
tmpdir_remove (const char *path) {
  if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0) fail("remove", path);
}

void
tmpdir_path (char out[TMPDIR_MAX], const char *path, const char *name) {
  int len = snprintf(out, TMPDIR_MAX, "%s/%s", path, name);
  if (len < 0 || len >= TMPDIR_MAX) fail("path too long", path);
}

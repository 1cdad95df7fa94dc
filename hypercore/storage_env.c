/* storage_env.c: the data file as LMDB's environment.
 *
 * No table has changed yet: format 1 is the only one. A file with a higher number is refused, so that an
 * older program never writes into tables it does not understand.
 *
 * MDB_NOMEMINIT is never set: it would let uninitialised heap memory, and so secrets, reach the file.
 */
#define _GNU_SOURCE /* fallocate */
#include "hypercore/storage_env.h"

#include "hypercore/data_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MAP_BYTES_MIN ((size_t) 1 << 30)
#define FILE_MODE 0600
#define DATA_FILE "data.mdb" /* LMDB's own names */
#define LOCK_FILE "lock.mdb"
#define NEW_FILE "data.new"
#define PATH_BYTES 4096
#define LOCK_FILE_BYTES 8192 /* what LMDB makes it for its usual number of readers */

static const char *const table_names[AB__TABLES] = {
  "meta",
  "cores",
  "keys",
  "names",
  "heads",
  "blocks",
  "nodes",
  "bits",
  "user-data",
  "groups",
};

/* ---- errors ---- */

int
ab__storage_fail (ab__storage_t *storage, int err, const char *format, ...) {
  if (storage->message_len == 0) return err;
  va_list args;
  va_start(args, format);
  vsnprintf(storage->message, storage->message_len, format, args);
  va_end(args);
  return err;
}

/* LMDB reports a short write, which is what a full disk often looks like, as EIO. */
static bool
disk_is_full (ab__storage_t *storage) {
  struct statvfs fs;
  if (statvfs(storage->dir, &fs) != 0) return false;
  return fs.f_bavail == 0 || fs.f_bavail * fs.f_frsize < (size_t) 64 * 1024;
}

int
ab__storage_error (ab__storage_t *storage, int rc, const char *what) {
  if (rc == EIO && storage->env != NULL && disk_is_full(storage)) rc = ENOSPC;
  switch (rc) {
  case 0:
    return 0;
  case MDB_NOTFOUND:
    return AB_ENOTFOUND;
  case MDB_MAP_FULL:
    return AB__STORAGE_FULL;
  case ENOMEM:
    return ab__storage_fail(storage, AB_ENOMEM, "%s in %s: out of memory", what, storage->dir);
  case ENOSPC:
  case EDQUOT:
    return ab__storage_fail(
      storage, AB_ENOSPC, "%s in %s: the disk is full; free some space and try again", what, storage->dir
    );
  case EACCES:
  case EPERM:
    return ab__storage_fail(
      storage,
      AB_EDENIED,
      "%s in %s: not permitted; check owner and mode of the directory and its files",
      what,
      storage->dir
    );
  case EROFS:
    return ab__storage_fail(
      storage,
      AB_EDENIED,
      "%s in %s: the file system is read-only; open the store read-only",
      what,
      storage->dir
    );
  case MDB_CORRUPTED:
  case MDB_PAGE_NOTFOUND:
  case MDB_BAD_TXN:
    storage->broken = storage->broken || rc != MDB_BAD_TXN;
    return ab__storage_fail(
      storage,
      AB_ECORRUPT,
      "%s in %s/" DATA_FILE ": %s; restore it from a copy or fetch the data from peers",
      what,
      storage->dir,
      mdb_strerror(rc)
    );
  case MDB_PANIC:
    storage->broken = true;
    break;
  case MDB_READERS_FULL:
    return ab__storage_fail(
      storage, AB_EIO, "%s in %s: too many processes read this store at once", what, storage->dir
    );
  default:
    break;
  }
  return ab__storage_fail(storage, AB_EIO, "%s in %s: %s", what, storage->dir, mdb_strerror(rc));
}

/* ---- opening ---- */

void
ab__storage_close_env (ab__storage_t *storage) {
  if (storage->reader != NULL) mdb_txn_abort(storage->reader);
  storage->reader = NULL;
  storage->reading = false;
  if (storage->env != NULL) mdb_env_close(storage->env);
  storage->env = NULL;
}

/* LMDB writes to its lock file through memory, where a full disk is a signal: set its blocks aside before. */
static int
allocate_lock_file (const char *path) {
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
  if (fd < 0) return errno;
  int rc = fallocate(fd, 0, 0, LOCK_FILE_BYTES) == 0 ? 0 : errno;
  close(fd);
  return rc == ENOSPC || rc == EDQUOT ? rc : 0; /* a file system that cannot do it has to do without */
}

static bool
path_in (const ab__storage_t *storage, const char *name, char out[PATH_BYTES]) {
  int len = snprintf(out, PATH_BYTES, "%s/%s", storage->dir, name);
  return len > 0 && len < PATH_BYTES;
}

/* Open an environment with as much address space as the system gives. */
static int
open_env_at (ab__storage_t *storage, const char *path, const char *lock_path, unsigned flags) {
  for (;;) {
    int rc = mdb_env_create(&storage->env);
    if (rc != 0) {
      storage->env = NULL;
      return ab__storage_error(storage, rc, "opening the data file");
    }
    if ((rc = (flags & MDB_RDONLY) != 0 ? 0 : allocate_lock_file(lock_path)) == 0 &&
        (rc = mdb_env_set_maxdbs(storage->env, AB__TABLES + 2)) == 0 &&
        (rc = mdb_env_set_mapsize(storage->env, storage->map_bytes)) == 0) {
      rc = mdb_env_open(storage->env, path, flags, FILE_MODE);
    }
    if (rc == 0) break;
    ab__storage_close_env(storage);
    if ((rc == ENOMEM || rc == EINVAL) && storage->map_bytes / 2 >= MAP_BYTES_MIN) {
      storage->map_bytes /= 2;
      continue;
    }
    if (rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH) {
      return ab__storage_fail(
        storage,
        AB_ENOTSTORE,
        "%s/" DATA_FILE " is not a store's data file: %s",
        storage->dir,
        mdb_strerror(rc)
      );
    }
    return ab__storage_error(storage, rc, "opening the data file");
  }

  MDB_envinfo info;
  MDB_stat stat;
  if (mdb_env_info(storage->env, &info) == 0) storage->map_bytes = info.me_mapsize;
  if (mdb_env_stat(storage->env, &stat) == 0) storage->page_bytes = stat.ms_psize;
  storage->broken = false;
  return 0;
}

static int
open_env (ab__storage_t *storage) {
  char lock_path[PATH_BYTES];
  unsigned flags = MDB_NOTLS;
  if (storage->read_only) flags |= MDB_RDONLY;
  if (storage->relaxed) flags |= MDB_NOSYNC;
  if (!path_in(storage, LOCK_FILE, lock_path))
    return ab__storage_fail(storage, AB_EINVAL, "the path is too long");
  return open_env_at(storage, storage->dir, lock_path, flags);
}

static int
put_u32 (MDB_txn *txn, MDB_dbi table, const char *name, uint32_t value) {
  uint8_t bytes[4] = {
    (uint8_t) (value >> 24), (uint8_t) (value >> 16), (uint8_t) (value >> 8), (uint8_t) value};
  MDB_val key = {strlen(name), (void *) name};
  MDB_val val = {sizeof(bytes), bytes};
  return mdb_put(txn, table, &key, &val, 0);
}

static int
check_format (ab__storage_t *storage, MDB_txn *txn) {
  MDB_val key = {strlen("format"), (void *) "format"};
  MDB_val val;
  int rc = mdb_get(txn, storage->tables[AB__META], &key, &val);
  if (rc == MDB_NOTFOUND || (rc == 0 && val.mv_size != 4)) {
    return ab__storage_fail(
      storage, AB_ENOTSTORE, "%s/" DATA_FILE " has no format number: not a store", storage->dir
    );
  }
  if (rc != 0) return ab__storage_error(storage, rc, "reading the format number");
  const uint8_t *at = val.mv_data;
  uint32_t format = (uint32_t) at[0] << 24 | (uint32_t) at[1] << 16 | (uint32_t) at[2] << 8 | at[3];
  if (format > AB__STORAGE_FORMAT) {
    return ab__storage_fail(
      storage,
      AB_EVERSION,
      "%s has format %lu, this program reads up to %d; use a newer autobee to open it",
      storage->dir,
      (unsigned long) format,
      AB__STORAGE_FORMAT
    );
  }
  if (format != AB__STORAGE_FORMAT) {
    return ab__storage_fail(
      storage, AB_ECORRUPT, "%s has the unknown format %lu", storage->dir, (unsigned long) format
    );
  }
  return 0;
}

/* Get the handles of the tables; in a new file make them and the format number. */
static int
open_tables (ab__storage_t *storage, bool create) {
  MDB_txn *txn;
  int rc = mdb_txn_begin(storage->env, NULL, create ? 0 : MDB_RDONLY, &txn);
  if (rc != 0) return ab__storage_error(storage, rc, "opening the tables");

  int err = 0;
  for (int i = 0; i < AB__TABLES && err == 0; i++) {
    rc = mdb_dbi_open(txn, table_names[i], create ? MDB_CREATE : 0, &storage->tables[i]);
    if (rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE) {
      err = ab__storage_fail(
        storage,
        AB_ENOTSTORE,
        "%s/" DATA_FILE " has no table \"%s\": not a store",
        storage->dir,
        table_names[i]
      );
    } else if (rc != 0) {
      err = ab__storage_error(storage, rc, "opening the tables");
    } else if (i == AB__META && !create) {
      err = check_format(storage, txn); /* before a newer format's lack of some table can look like damage */
    }
  }
  if (err == 0 && create) {
    rc = put_u32(txn, storage->tables[AB__META], "format", AB__STORAGE_FORMAT);
    if (rc != 0) err = ab__storage_error(storage, rc, "writing the format number");
  }
  if (err < 0) {
    mdb_txn_abort(txn);
    return err;
  }
  rc = mdb_txn_commit(txn);
  return rc == 0 ? 0 : ab__storage_error(storage, rc, "opening the tables");
}

/* Mark the pages from `first` on that the free list names. */
static int
mark_free (MDB_txn *txn, size_t first, size_t count, uint8_t *is_free) {
  MDB_cursor *cursor = NULL;
  int rc = mdb_cursor_open(txn, 0, &cursor); /* LMDB's own free list is table 0 */
  if (rc != 0) return rc;
  MDB_val key, val;
  while ((rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT)) == 0) {
    size_t entries = val.mv_size / sizeof(size_t);
    for (size_t i = 1; i < entries; i++) { /* the first word is the count */
      size_t page;
      memcpy(&page, (const uint8_t *) val.mv_data + i * sizeof(page), sizeof(page));
      if (page >= first && page - first < count) is_free[page - first] = 1;
    }
  }
  mdb_cursor_close(cursor);
  return rc == MDB_NOTFOUND ? 0 : rc;
}

/* LMDB does not write pages at the end that one transaction took and gave back. A file that ends before its
 * last page is whole if all that it lacks is such pages; the caller made it longer so that looking is safe.
 */
static int
check_missing_pages (ab__storage_t *storage, const ab__data_file_t *file) {
  size_t first = (size_t) (file->bytes / file->page_bytes);
  size_t count = (size_t) (file->needed / file->page_bytes) - first;
  uint8_t *is_free = calloc(count, 1);
  if (is_free == NULL) return ab__storage_fail(storage, AB_ENOMEM, "opening %s: out of memory", storage->dir);

  MDB_txn *txn;
  int rc = mdb_txn_begin(storage->env, NULL, MDB_RDONLY, &txn);
  if (rc == 0) {
    rc = mark_free(txn, first, count, is_free);
    mdb_txn_abort(txn);
  }
  bool whole = rc == 0;
  for (size_t i = 0; i < count && whole; i++) whole = is_free[i] != 0;
  free(is_free);
  return whole ? 0 : AB_ECORRUPT;
}

static int
damaged_size (ab__storage_t *storage, const ab__data_file_t *file) {
  return ab__storage_fail(
    storage,
    AB_ECORRUPT,
    "%s/" DATA_FILE " is damaged: it has %llu bytes, its last used page needs %llu; restore it from a copy",
    storage->dir,
    (unsigned long long) file->bytes,
    (unsigned long long) file->needed
  );
}

#define MISSING_PAGES_MAX 65536 /* what one transaction may plausibly have left unwritten */

static int
open_short_file (ab__storage_t *storage, const char *path, const ab__data_file_t *file) {
  bool plausible = file->page_bytes != 0 && file->bytes >= 2 * file->page_bytes &&
                   file->needed / file->page_bytes - file->bytes / file->page_bytes <= MISSING_PAGES_MAX;
  if (!plausible || storage->read_only) return damaged_size(storage, file);

  if (truncate(path, (off_t) file->needed) != 0)
    return ab__storage_error(storage, errno, "extending the data file");
  int err = open_env(storage);
  if (err == 0 && (err = check_missing_pages(storage, file)) < 0) ab__storage_close_env(storage);
  if (err == AB_ECORRUPT) {
    if (truncate(path, (off_t) file->bytes) != 0)
      err = ab__storage_error(storage, errno, "restoring the data file");
    else err = damaged_size(storage, file);
  }
  return err;
}

static int
remove_file (ab__storage_t *storage, const char *path) {
  if (unlink(path) == 0 || errno == ENOENT) return 0;
  return ab__storage_error(storage, errno, "removing an unfinished data file");
}

/* A data file is made beside its place, and takes it when it is whole and durable. */
static int
make_file (ab__storage_t *storage, const char *path) {
  char new_path[PATH_BYTES], lock_path[PATH_BYTES];
  if (!path_in(storage, NEW_FILE, new_path) || !path_in(storage, NEW_FILE "-lock", lock_path)) {
    return ab__storage_fail(storage, AB_EINVAL, "the path is too long");
  }
  int err = remove_file(storage, new_path);
  if (err == 0) err = remove_file(storage, lock_path);
  if (err == 0) err = open_env_at(storage, new_path, lock_path, MDB_NOTLS | MDB_NOSUBDIR);
  if (err == 0) err = open_tables(storage, true);
  ab__storage_close_env(storage);
  if (err == 0 && rename(new_path, path) != 0)
    err = ab__storage_error(storage, errno, "making the data file");
  if (err < 0) (void) unlink(new_path);
  (void) unlink(lock_path);
  return err;
}

int
ab__storage_open_env (ab__storage_t *storage, bool complete) {
  char path[PATH_BYTES];
  if (!path_in(storage, DATA_FILE, path)) return ab__storage_fail(storage, AB_EINVAL, "the path is too long");

  ab__data_file_t file;
  int rc = ab__data_file_inspect(path, &file);
  if (rc != 0) return ab__storage_error(storage, rc, "looking at the data file");
  bool is_missing = !file.exists || file.is_zero;
  if (is_missing && complete) {
    return ab__storage_fail(
      storage,
      AB_ECORRUPT,
      "%s is %s, but %s/secret says that a store was here; restore it from a copy",
      path,
      file.exists ? "empty" : "missing",
      storage->dir
    );
  }
  if (is_missing && storage->read_only) {
    return ab__storage_fail(storage, AB_ENOTSTORE, "%s is not a store: no data file", storage->dir);
  }
  if (!is_missing && !file.is_lmdb)
    return ab__storage_fail(storage, AB_ENOTSTORE, "%s is not a store's data file", path);

  int err = is_missing ? make_file(storage, path) : 0;
  if (err < 0) return err;
  err = file.bytes < file.needed ? open_short_file(storage, path, &file) : open_env(storage);
  return err < 0 ? err : open_tables(storage, false);
}

int
ab__storage_reopen (ab__storage_t *storage) {
  assert(storage->writer == NULL);
  ab__storage_close_env(storage);
  int err = open_env(storage);
  if (err == 0 && (err = open_tables(storage, false)) < 0) ab__storage_close_env(storage);
  storage->broken = err < 0;
  return err;
}

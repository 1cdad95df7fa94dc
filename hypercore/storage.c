/* storage.c: the store's data file, on LMDB.
 *
 * No table has changed yet: format 1 is the only one. A file with a higher number is refused, so that an
 * older program never writes into tables it does not understand.
 *
 * MDB_NOMEMINIT is never set: it would let uninitialised heap memory, and so secrets, reach the file.
 */
#define _GNU_SOURCE /* fallocate */
#include "hypercore/storage.h"

#include "hypercore/data_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MAP_BYTES_MAX ((size_t) 1 << 40)
#define MAP_BYTES_MIN ((size_t) 1 << 30)
#define FILE_MODE 0600
#define DATA_FILE "data.mdb" /* LMDB's own names */
#define LOCK_FILE "lock.mdb"
#define NEW_FILE "data.new"
#define PATH_BYTES 4096
#define RELEASE_BYTES ((size_t) 4 << 20)
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

struct ab__storage_s {
  char *dir;
  char *message; /* the store's, for what is wrong */
  size_t message_len;
  bool read_only;
  bool relaxed;
  size_t map_bytes; /* reserved now */
  MDB_env *env;
  bool broken; /* LMDB gave up on this environment: open it again before the next transaction */
  MDB_dbi tables[AB__TABLES];
  size_t page_bytes;
  uint64_t file_bytes; /* the file was at least this long when last looked at */
  size_t written;      /* bytes put since release_pages */

  MDB_txn *reader; /* one for all read sections: renewed and reset */
  unsigned sections;
  bool reading; /* the reader is active */

  MDB_txn *writer;
  MDB_cursor *cursors[AB__TABLES]; /* of the writer */
  ab__table_t last_table;          /* where the writer appended last, and whether that was the table's end */
  uint32_t last_core;
  bool appending;
};

/* ---- errors ---- */

static int
fail (ab__storage_t *storage, int err, const char *format, ...) AB_PRINTF(3, 4);

static int
fail (ab__storage_t *storage, int err, const char *format, ...) {
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

/* Our code for one of LMDB or the system; `what` says what was being done. */
static int
translate (ab__storage_t *storage, int rc, const char *what) {
  if (rc == EIO && storage->env != NULL && disk_is_full(storage)) rc = ENOSPC;
  switch (rc) {
  case 0:
    return 0;
  case MDB_NOTFOUND:
    return AB_ENOTFOUND;
  case MDB_MAP_FULL:
    return AB__STORAGE_FULL;
  case ENOMEM:
    return fail(storage, AB_ENOMEM, "%s in %s: out of memory", what, storage->dir);
  case ENOSPC:
  case EDQUOT:
    return fail(
      storage, AB_ENOSPC, "%s in %s: the disk is full; free some space and try again", what, storage->dir
    );
  case EACCES:
  case EPERM:
    return fail(
      storage,
      AB_EDENIED,
      "%s in %s: not permitted; check owner and mode of the directory and its files",
      what,
      storage->dir
    );
  case EROFS:
    return fail(
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
    return fail(
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
    return fail(storage, AB_EIO, "%s in %s: too many processes read this store at once", what, storage->dir);
  default:
    break;
  }
  return fail(storage, AB_EIO, "%s in %s: %s", what, storage->dir, mdb_strerror(rc));
}

/* ---- opening ---- */

static void
close_env (ab__storage_t *storage) {
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
      return translate(storage, rc, "opening the data file");
    }
    if ((rc = (flags & MDB_RDONLY) != 0 ? 0 : allocate_lock_file(lock_path)) == 0 &&
        (rc = mdb_env_set_maxdbs(storage->env, AB__TABLES + 2)) == 0 &&
        (rc = mdb_env_set_mapsize(storage->env, storage->map_bytes)) == 0) {
      rc = mdb_env_open(storage->env, path, flags, FILE_MODE);
    }
    if (rc == 0) break;
    close_env(storage);
    if ((rc == ENOMEM || rc == EINVAL) && storage->map_bytes / 2 >= MAP_BYTES_MIN) {
      storage->map_bytes /= 2;
      continue;
    }
    if (rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH) {
      return fail(
        storage,
        AB_ENOTSTORE,
        "%s/" DATA_FILE " is not a store's data file: %s",
        storage->dir,
        mdb_strerror(rc)
      );
    }
    return translate(storage, rc, "opening the data file");
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
  if (!path_in(storage, LOCK_FILE, lock_path)) return fail(storage, AB_EINVAL, "the path is too long");
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
    return fail(storage, AB_ENOTSTORE, "%s/" DATA_FILE " has no format number: not a store", storage->dir);
  }
  if (rc != 0) return translate(storage, rc, "reading the format number");
  const uint8_t *at = val.mv_data;
  uint32_t format = (uint32_t) at[0] << 24 | (uint32_t) at[1] << 16 | (uint32_t) at[2] << 8 | at[3];
  if (format > AB__STORAGE_FORMAT) {
    return fail(
      storage,
      AB_EVERSION,
      "%s has format %lu, this program reads up to %d; use a newer autobee to open it",
      storage->dir,
      (unsigned long) format,
      AB__STORAGE_FORMAT
    );
  }
  if (format != AB__STORAGE_FORMAT) {
    return fail(storage, AB_ECORRUPT, "%s has the unknown format %lu", storage->dir, (unsigned long) format);
  }
  return 0;
}

/* Get the handles of the tables; in a new file make them and the format number. */
static int
open_tables (ab__storage_t *storage, bool create) {
  MDB_txn *txn;
  int rc = mdb_txn_begin(storage->env, NULL, create ? 0 : MDB_RDONLY, &txn);
  if (rc != 0) return translate(storage, rc, "opening the tables");

  int err = 0;
  for (int i = 0; i < AB__TABLES && err == 0; i++) {
    rc = mdb_dbi_open(txn, table_names[i], create ? MDB_CREATE : 0, &storage->tables[i]);
    if (rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE) {
      err = fail(
        storage,
        AB_ENOTSTORE,
        "%s/" DATA_FILE " has no table \"%s\": not a store",
        storage->dir,
        table_names[i]
      );
    } else if (rc != 0) {
      err = translate(storage, rc, "opening the tables");
    } else if (i == AB__META && !create) {
      err = check_format(storage, txn); /* before a newer format's lack of some table can look like damage */
    }
  }
  if (err == 0 && create) {
    rc = put_u32(txn, storage->tables[AB__META], "format", AB__STORAGE_FORMAT);
    if (rc != 0) err = translate(storage, rc, "writing the format number");
  }
  if (err < 0) {
    mdb_txn_abort(txn);
    return err;
  }
  rc = mdb_txn_commit(txn);
  return rc == 0 ? 0 : translate(storage, rc, "opening the tables");
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
  if (is_free == NULL) return fail(storage, AB_ENOMEM, "opening %s: out of memory", storage->dir);

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
  return fail(
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

  if (truncate(path, (off_t) file->needed) != 0) return translate(storage, errno, "extending the data file");
  int err = open_env(storage);
  if (err == 0 && (err = check_missing_pages(storage, file)) < 0) close_env(storage);
  if (err == AB_ECORRUPT) {
    if (truncate(path, (off_t) file->bytes) != 0) err = translate(storage, errno, "restoring the data file");
    else err = damaged_size(storage, file);
  }
  return err;
}

static int
remove_file (ab__storage_t *storage, const char *path) {
  if (unlink(path) == 0 || errno == ENOENT) return 0;
  return translate(storage, errno, "removing an unfinished data file");
}

/* A data file is made beside its place, and takes it when it is whole and durable. */
static int
make_file (ab__storage_t *storage, const char *path) {
  char new_path[PATH_BYTES], lock_path[PATH_BYTES];
  if (!path_in(storage, NEW_FILE, new_path) || !path_in(storage, NEW_FILE "-lock", lock_path)) {
    return fail(storage, AB_EINVAL, "the path is too long");
  }
  int err = remove_file(storage, new_path);
  if (err == 0) err = remove_file(storage, lock_path);
  if (err == 0) err = open_env_at(storage, new_path, lock_path, MDB_NOTLS | MDB_NOSUBDIR);
  if (err == 0) err = open_tables(storage, true);
  close_env(storage);
  if (err == 0 && rename(new_path, path) != 0) err = translate(storage, errno, "making the data file");
  if (err < 0) (void) unlink(new_path);
  (void) unlink(lock_path);
  return err;
}

static int
open_file (ab__storage_t *storage, bool complete) {
  char path[PATH_BYTES];
  if (!path_in(storage, DATA_FILE, path)) return fail(storage, AB_EINVAL, "the path is too long");

  ab__data_file_t file;
  int rc = ab__data_file_inspect(path, &file);
  if (rc != 0) return translate(storage, rc, "looking at the data file");
  bool is_missing = !file.exists || file.is_zero;
  if (is_missing && complete) {
    return fail(
      storage,
      AB_ECORRUPT,
      "%s is %s, but %s/secret says that a store was here; restore it from a copy",
      path,
      file.exists ? "empty" : "missing",
      storage->dir
    );
  }
  if (is_missing && storage->read_only) {
    return fail(storage, AB_ENOTSTORE, "%s is not a store: no data file", storage->dir);
  }
  if (!is_missing && !file.is_lmdb) return fail(storage, AB_ENOTSTORE, "%s is not a store's data file", path);

  int err = is_missing ? make_file(storage, path) : 0;
  if (err < 0) return err;
  err = file.bytes < file.needed ? open_short_file(storage, path, &file) : open_env(storage);
  return err < 0 ? err : open_tables(storage, false);
}

/* LMDB refuses to go on after some failures; nothing of ours depends on the environment between calls. */
static int
reopen (ab__storage_t *storage) {
  assert(storage->writer == NULL);
  close_env(storage);
  int err = open_env(storage);
  if (err == 0 && (err = open_tables(storage, false)) < 0) close_env(storage);
  storage->broken = err < 0;
  return err;
}

int
ab__storage_open (const ab__storage_options_t *options, bool complete, ab__storage_t **out) {
  ab__storage_t *storage = calloc(1, sizeof(*storage));
  if (storage == NULL) return AB_ENOMEM;
  storage->message = options->message;
  storage->message_len = options->message_len;
  storage->read_only = options->read_only;
  storage->relaxed = options->relaxed;
  storage->map_bytes = options->map_bytes != 0 ? options->map_bytes : MAP_BYTES_MAX;
  storage->dir = strdup(options->dir);

  int err = storage->dir == NULL ? AB_ENOMEM : open_file(storage, complete);
  if (err < 0) {
    ab__storage_close(storage, false);
    return err;
  }
  ab__storage_clear_stale(storage);
  *out = storage;
  return 0;
}

void
ab__storage_close (ab__storage_t *storage, bool forked) {
  if (storage == NULL) return;
  assert(forked || (storage->writer == NULL && storage->sections == 0));
  /* In a forked child LMDB would free the parent's reader slot: the environment leaks there instead. */
  if (!forked) close_env(storage);
  free(storage->dir);
  free(storage);
}

int
ab__storage_sync (ab__storage_t *storage) {
  if (storage->broken) return 0; /* what it had is gone, and what comes is synced by its own commit */
  int rc = mdb_env_sync(storage->env, 1);
  return rc == 0 ? 0 : translate(storage, rc, "syncing the data file");
}

void
ab__storage_clear_stale (ab__storage_t *storage) {
  int dead;
  if (storage->env != NULL && !storage->broken) (void) mdb_reader_check(storage->env, &dead);
}

/* ---- reading ---- */

void
ab__storage_read_begin (ab__storage_t *storage) {
  storage->sections++;
}

void
ab__storage_read_end (ab__storage_t *storage) {
  assert(storage->sections > 0);
  if (--storage->sections > 0 || !storage->reading) return;
  mdb_txn_reset(storage->reader);
  storage->reading = false;
}

static int
start_reader (ab__storage_t *storage) {
  if (storage->reader != NULL) return mdb_txn_renew(storage->reader);
  int rc = mdb_txn_begin(storage->env, NULL, MDB_RDONLY, &storage->reader);
  if (rc != 0) storage->reader = NULL;
  return rc;
}

/* The transaction begins with the first read of a section: most sections find all they want in the tails. */
static int
ensure_reader (ab__storage_t *storage) {
  assert(storage->sections > 0);
  if (storage->reading) return 0;
  int err;
  if (storage->broken && (err = reopen(storage)) < 0) return err;

  int rc = start_reader(storage);
  if (rc == MDB_MAP_RESIZED) { /* another process wrote past our map */
    rc = mdb_env_set_mapsize(storage->env, 0);
    if (rc == 0) rc = start_reader(storage);
    else storage->broken = true;
  }
  if (rc == MDB_PANIC || rc == MDB_BAD_RSLOT) {
    if ((err = reopen(storage)) < 0) return err;
    rc = start_reader(storage);
  }
  if (rc != 0) return translate(storage, rc, "reading");
  storage->reading = true;
  return 0;
}

int
ab__storage_version (ab__storage_t *storage, uint64_t *version) {
  int err = ensure_reader(storage);
  if (err == 0) *version = mdb_txn_id(storage->reader);
  return err;
}

static MDB_val
val (ab_slice_t bytes) {
  MDB_val v = {bytes.len, (void *) bytes.data};
  return v;
}

int
ab__storage_get (ab__storage_t *storage, ab__table_t table, ab_slice_t key, ab_slice_t *value) {
  int err = ensure_reader(storage);
  if (err < 0) return err;
  MDB_val k = val(key), v = {0};
  int rc = mdb_get(storage->reader, storage->tables[table], &k, &v);
  if (rc != 0) return translate(storage, rc, "reading");
  *value = ab_slice(v.mv_data, v.mv_size);
  return 0;
}

static void
put_be (uint8_t *out, uint64_t value, size_t width) {
  for (size_t i = 0; i < width; i++) out[i] = (uint8_t) (value >> (8 * (width - 1 - i)));
}

static void
make_key (uint8_t out[12], uint32_t core, uint64_t index) {
  put_be(out, core, 4);
  put_be(out + 4, index, 8);
}

int
ab__storage_get_at (
  ab__storage_t *storage, ab__table_t table, uint32_t core, uint64_t index, ab_slice_t *value
) {
  uint8_t key[12];
  make_key(key, core, index);
  return ab__storage_get(storage, table, ab_slice(key, sizeof(key)), value);
}

int
ab__storage_seek (
  ab__storage_t *storage,
  ab__table_t table,
  ab_slice_t key,
  bool forward,
  ab_slice_t *found,
  ab_slice_t *value
) {
  int err = ensure_reader(storage);
  if (err < 0) return err;
  MDB_cursor *cursor = NULL;
  int rc = mdb_cursor_open(storage->reader, storage->tables[table], &cursor);
  if (rc != 0) return translate(storage, rc, "reading");

  MDB_val k = val(key), v = {0};
  rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
  if (!forward && rc == MDB_NOTFOUND) {
    rc = mdb_cursor_get(cursor, &k, &v, MDB_LAST);
  } else if (!forward && rc == 0 && !ab_slice_equal(ab_slice(k.mv_data, k.mv_size), key)) {
    rc = mdb_cursor_get(cursor, &k, &v, MDB_PREV);
  }
  mdb_cursor_close(cursor);
  if (rc != 0) return translate(storage, rc, "reading");
  *found = ab_slice(k.mv_data, k.mv_size);
  *value = ab_slice(v.mv_data, v.mv_size);
  return 0;
}

/* ---- writing ---- */

int
ab__storage_write_begin (ab__storage_t *storage) {
  assert(storage->writer == NULL && storage->sections == 0 && !storage->read_only);
  int err;
  if (storage->broken && (err = reopen(storage)) < 0) return err;
  int rc = mdb_txn_begin(storage->env, NULL, 0, &storage->writer);
  if (rc == MDB_PANIC) {
    storage->writer = NULL;
    if ((err = reopen(storage)) < 0) return err;
    rc = mdb_txn_begin(storage->env, NULL, 0, &storage->writer);
  }
  if (rc != 0) storage->writer = NULL;
  storage->appending = false;
  storage->last_table = AB__TABLES;
  return rc == 0 ? 0 : translate(storage, rc, "beginning a commit");
}

static int
writer_cursor (ab__storage_t *storage, ab__table_t table, MDB_cursor **cursor) {
  if (storage->cursors[table] == NULL) {
    int rc = mdb_cursor_open(storage->writer, storage->tables[table], &storage->cursors[table]);
    if (rc != 0) {
      storage->cursors[table] = NULL;
      return translate(storage, rc, "writing");
    }
  }
  *cursor = storage->cursors[table];
  return 0;
}

int
ab__storage_put (ab__storage_t *storage, ab__table_t table, ab_slice_t key, ab_slice_t value) {
  assert(key.len <= AB__STORAGE_KEY_MAX);
  MDB_cursor *cursor = NULL;
  int err = writer_cursor(storage, table, &cursor);
  if (err != 0) return err;
  MDB_val k = val(key), v = val(value);
  storage->written += value.len;
  int rc = mdb_cursor_put(cursor, &k, &v, 0);
  return rc == 0 ? 0 : translate(storage, rc, "writing");
}

int
ab__storage_put_at (
  ab__storage_t *storage, ab__table_t table, uint32_t core, uint64_t index, ab_slice_t value
) {
  uint8_t key[12];
  make_key(key, core, index);
  return ab__storage_put(storage, table, ab_slice(key, sizeof(key)), value);
}

/* A core with the highest number grows at the end of its tables, where MDB_APPEND fills pages instead of
 * halving them. Whether that is so is found out by trying, once per run of one core. */
int
ab__storage_append_at (
  ab__storage_t *storage, ab__table_t table, uint32_t core, uint64_t index, ab_slice_t value
) {
  uint8_t key[12];
  make_key(key, core, index);
  if (table != storage->last_table || core != storage->last_core) {
    storage->last_table = table;
    storage->last_core = core;
    storage->appending = true;
  }
  if (!storage->appending) return ab__storage_put(storage, table, ab_slice(key, sizeof(key)), value);

  MDB_cursor *cursor = NULL;
  int err = writer_cursor(storage, table, &cursor);
  if (err != 0) return err;
  MDB_val k = {sizeof(key), key}, v = val(value);
  int rc = mdb_cursor_put(cursor, &k, &v, MDB_APPEND);
  if (rc == 0) {
    storage->written += value.len;
    return 0;
  }
  if (rc != MDB_KEYEXIST) return translate(storage, rc, "writing");
  storage->appending = false;
  return ab__storage_put(storage, table, ab_slice(key, sizeof(key)), value);
}

int
ab__storage_peek_at (
  ab__storage_t *storage, ab__table_t table, uint32_t core, uint64_t index, ab_slice_t *value
) {
  uint8_t key[12];
  make_key(key, core, index);
  MDB_val k = {sizeof(key), key}, v = {0};
  int rc = mdb_get(storage->writer, storage->tables[table], &k, &v);
  if (rc != 0) return translate(storage, rc, "reading");
  *value = ab_slice(v.mv_data, v.mv_size);
  return 0;
}

int
ab__storage_delete (ab__storage_t *storage, ab__table_t table, ab_slice_t key) {
  MDB_val k = val(key);
  int rc = mdb_del(storage->writer, storage->tables[table], &k, NULL);
  return rc == 0 || rc == MDB_NOTFOUND ? 0 : translate(storage, rc, "deleting");
}

int
ab__storage_delete_range (
  ab__storage_t *storage, ab__table_t table, uint32_t core, uint64_t start, uint64_t end
) {
  uint8_t first[12], last[12];
  make_key(first, core, start);
  make_key(last, core, end);
  MDB_cursor *cursor = NULL;
  int err = writer_cursor(storage, table, &cursor);
  if (err != 0) return err;

  MDB_val k = {sizeof(first), first}, v;
  int rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
  while (rc == 0 && k.mv_size == sizeof(last) && memcmp(k.mv_data, first, 4) == 0 &&
         memcmp(k.mv_data, last, sizeof(last)) < 0) {
    if ((rc = mdb_cursor_del(cursor, 0)) != 0) break;
    k = (MDB_val){sizeof(first), first};
    rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
  }
  return rc == 0 || rc == MDB_NOTFOUND ? 0 : translate(storage, rc, "deleting");
}

static void
close_cursors (ab__storage_t *storage) {
  for (int i = 0; i < AB__TABLES; i++) {
    if (storage->cursors[i] != NULL) mdb_cursor_close(storage->cursors[i]);
    storage->cursors[i] = NULL;
  }
}

/* Keep the file as long as its last page says, though LMDB may have left the end unwritten: see
 * check_missing_pages. Trying is enough, opening copes without. */
static void
extend_file (ab__storage_t *storage) {
  MDB_envinfo info;
  if (mdb_env_info(storage->env, &info) != 0) return;
  uint64_t needed = ((uint64_t) info.me_last_pgno + 1) * storage->page_bytes;
  if (needed <= storage->file_bytes) return;

  int fd;
  struct stat st;
  if (mdb_env_get_fd(storage->env, &fd) != 0 || fstat(fd, &st) != 0) return;
  storage->file_bytes = (uint64_t) st.st_size;
  if (needed > storage->file_bytes && ftruncate(fd, (off_t) needed) == 0) storage->file_bytes = needed;
}

/* The pages of the file that writing has touched count as this process's memory until they are let go of;
 * they stay in the system's cache. The map's address is known from a value: LMDB begins each page with its
 * number. */
static void
release_pages (ab__storage_t *storage) {
  ab_slice_t value = {0};
  uint64_t number;
  storage->written = 0;
  ab__storage_read_begin(storage);
  if (ab__storage_get(storage, AB__META, ab_text("format"), &value) == 0 && value.data != NULL) {
    const uint8_t *page = value.data - (uintptr_t) value.data % storage->page_bytes;
    memcpy(&number, page, sizeof(number));
    if (number <= storage->file_bytes / storage->page_bytes) {
      const uint8_t *map = page - number * storage->page_bytes;
      (void) madvise((void *) map, (size_t) storage->file_bytes, MADV_DONTNEED);
    }
  }
  ab__storage_read_end(storage);
}

int
ab__storage_write_commit (ab__storage_t *storage) {
  assert(storage->writer != NULL);
  close_cursors(storage);
  int rc = mdb_txn_commit(storage->writer);
  storage->writer = NULL;
  if (rc != 0) return translate(storage, rc, "writing");
  extend_file(storage);
  if (storage->written >= RELEASE_BYTES) release_pages(storage);
  return 0;
}

void
ab__storage_write_abort (ab__storage_t *storage) {
  if (storage->writer == NULL) return;
  close_cursors(storage);
  mdb_txn_abort(storage->writer);
  storage->writer = NULL;
}

int
ab__storage_grow (ab__storage_t *storage) {
  assert(storage->writer == NULL && storage->sections == 0);
  if (storage->map_bytes > SIZE_MAX / 4)
    return fail(storage, AB_ENOMEM, "%s has no room to grow", storage->dir);
  size_t before = storage->map_bytes;
  int rc = mdb_env_set_mapsize(storage->env, before * 2);
  if (rc == 0) {
    storage->map_bytes = before * 2;
    return 0;
  }
  /* LMDB has let go of the old map and got no new one. */
  storage->broken = true;
  int err = reopen(storage);
  if (err < 0) return err;
  return fail(
    storage,
    AB_ENOMEM,
    "%s needs more than %zu bytes of address space: %s",
    storage->dir,
    before,
    mdb_strerror(rc)
  );
}

/* storage.c: the store's data file: its life, reading and writing. */
#include "hypercore/storage_env.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAP_BYTES_MAX ((size_t) 1 << 40)
#define RELEASE_BYTES ((size_t) 4 << 20)

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

  int err = storage->dir == NULL ? AB_ENOMEM : ab__storage_open_env(storage, complete);
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
  if (!forked) ab__storage_close_env(storage);
  free(storage->dir);
  free(storage);
}

int
ab__storage_sync (ab__storage_t *storage) {
  if (storage->broken) return 0; /* what it had is gone, and what comes is synced by its own commit */
  int rc = mdb_env_sync(storage->env, 1);
  return rc == 0 ? 0 : ab__storage_error(storage, rc, "syncing the data file");
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
  if (storage->broken && (err = ab__storage_reopen(storage)) < 0) return err;

  int rc = start_reader(storage);
  if (rc == MDB_MAP_RESIZED) { /* another process wrote past our map */
    rc = mdb_env_set_mapsize(storage->env, 0);
    if (rc == 0) rc = start_reader(storage);
    else storage->broken = true;
  }
  if (rc == MDB_PANIC || rc == MDB_BAD_RSLOT) {
    if ((err = ab__storage_reopen(storage)) < 0) return err;
    rc = start_reader(storage);
  }
  if (rc != 0) return ab__storage_error(storage, rc, "reading");
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
  if (rc != 0) return ab__storage_error(storage, rc, "reading");
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
  if (rc != 0) return ab__storage_error(storage, rc, "reading");

  MDB_val k = val(key), v = {0};
  rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
  if (!forward && rc == MDB_NOTFOUND) {
    rc = mdb_cursor_get(cursor, &k, &v, MDB_LAST);
  } else if (!forward && rc == 0 && !ab_slice_equal(ab_slice(k.mv_data, k.mv_size), key)) {
    rc = mdb_cursor_get(cursor, &k, &v, MDB_PREV);
  }
  mdb_cursor_close(cursor);
  if (rc != 0) return ab__storage_error(storage, rc, "reading");
  *found = ab_slice(k.mv_data, k.mv_size);
  *value = ab_slice(v.mv_data, v.mv_size);
  return 0;
}

/* ---- writing ---- */

int
ab__storage_write_begin (ab__storage_t *storage) {
  assert(storage->writer == NULL && storage->sections == 0 && !storage->read_only);
  int err;
  if (storage->broken && (err = ab__storage_reopen(storage)) < 0) return err;
  int rc = mdb_txn_begin(storage->env, NULL, 0, &storage->writer);
  if (rc == MDB_PANIC) {
    storage->writer = NULL;
    if ((err = ab__storage_reopen(storage)) < 0) return err;
    rc = mdb_txn_begin(storage->env, NULL, 0, &storage->writer);
  }
  if (rc != 0) storage->writer = NULL;
  storage->appending = false;
  storage->last_table = AB__TABLES;
  return rc == 0 ? 0 : ab__storage_error(storage, rc, "beginning a commit");
}

static int
writer_cursor (ab__storage_t *storage, ab__table_t table, MDB_cursor **cursor) {
  if (storage->cursors[table] == NULL) {
    int rc = mdb_cursor_open(storage->writer, storage->tables[table], &storage->cursors[table]);
    if (rc != 0) {
      storage->cursors[table] = NULL;
      return ab__storage_error(storage, rc, "writing");
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
  return rc == 0 ? 0 : ab__storage_error(storage, rc, "writing");
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
  if (rc != MDB_KEYEXIST) return ab__storage_error(storage, rc, "writing");
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
  if (rc != 0) return ab__storage_error(storage, rc, "reading");
  *value = ab_slice(v.mv_data, v.mv_size);
  return 0;
}

int
ab__storage_delete (ab__storage_t *storage, ab__table_t table, ab_slice_t key) {
  MDB_val k = val(key);
  int rc = mdb_del(storage->writer, storage->tables[table], &k, NULL);
  return rc == 0 || rc == MDB_NOTFOUND ? 0 : ab__storage_error(storage, rc, "deleting");
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
  return rc == 0 || rc == MDB_NOTFOUND ? 0 : ab__storage_error(storage, rc, "deleting");
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
  if (rc != 0) return ab__storage_error(storage, rc, "writing");
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
    return ab__storage_fail(storage, AB_ENOMEM, "%s has no room to grow", storage->dir);
  size_t before = storage->map_bytes;
  int rc = mdb_env_set_mapsize(storage->env, before * 2);
  if (rc == 0) {
    storage->map_bytes = before * 2;
    return 0;
  }
  /* LMDB has let go of the old map and got no new one. */
  storage->broken = true;
  int err = ab__storage_reopen(storage);
  if (err < 0) return err;
  return ab__storage_fail(
    storage,
    AB_ENOMEM,
    "%s needs more than %zu bytes of address space: %s",
    storage->dir,
    before,
    mdb_strerror(rc)
  );
}

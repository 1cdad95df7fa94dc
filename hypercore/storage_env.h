/* storage_env.h: Private to storage.c and storage_env.c. The data file as LMDB's environment: opened, made
 * and checked, and opened again after LMDB gave up on it.
 */
#ifndef AB_STORAGE_ENV_H
#define AB_STORAGE_ENV_H

#include <lmdb.h>

#include "hypercore/storage.h"

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

/** Write the message. Returns `err`. */
int
ab__storage_fail (ab__storage_t *storage, int err, const char *format, ...) AB_PRINTF(3, 4);
/** Our code for one of LMDB or the system, and its message; `what` says what was being done. */
int
ab__storage_error (ab__storage_t *storage, int rc, const char *what);

/** Open the environment and its tables; `complete` as in ab__storage_open. After an error, too, close_env. */
int
ab__storage_open_env (ab__storage_t *storage, bool complete);
/** LMDB refuses to go on after some failures; nothing of ours depends on the environment between calls. */
int
ab__storage_reopen (ab__storage_t *storage);
void
ab__storage_close_env (ab__storage_t *storage);

#endif

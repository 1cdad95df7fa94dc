/* storage.h: the store's data file. Private to hypercore/. Its two .c files alone know LMDB.
 *
 *   table       key                            value
 *   META        text                           "format", "cores": u32 big endian
 *   CORES       core u32 BE                    record.h: what the core is
 *   KEYS        discovery key 32               core u32 BE
 *   NAMES       H(namespace 32 ‖ name) 32      core u32 BE
 *   HEADS       core u32 BE                    record.h: fork, length, signature …
 *   BLOCKS      core u32 BE ‖ index u64 BE     the block as stored
 *   NODES       core u32 BE ‖ block u64 BE     record.h: the tree nodes whose last block this is
 *   BITS        core u32 BE ‖ page u64 BE      512 bytes: 4096 blocks, lowest bit of the first byte first
 *   USER_DATA   core u32 BE ‖ H(name) 16       uint length of the name ‖ name ‖ value
 *   GROUPS      topic 32 ‖ time u64 BE ‖ core u32 BE   core key 32
 *
 *   DIR/data.mdb holds no secret. Reads happen in a read section, which pins one state of the file; sections
 *   nest, and none outlives a call of the public interface. One write at a time, never inside a section.
 *
 * To change  a table or a record: raise AB__STORAGE_FORMAT and say in storage_env.c what becomes of old files
 */
#ifndef AB_STORAGE_H
#define AB_STORAGE_H

#include "hypercore/ab.h"

#define AB__STORAGE_FORMAT 1
#define AB__STORAGE_KEY_MAX 48

typedef enum {
  AB__META = 0,
  AB__CORES,
  AB__KEYS,
  AB__NAMES,
  AB__HEADS,
  AB__BLOCKS,
  AB__NODES,
  AB__BITS,
  AB__USER_DATA,
  AB__GROUPS,
  AB__TABLES
} ab__table_t;

typedef struct ab__storage_s ab__storage_t;

typedef struct {
  const char *dir;
  bool read_only;
  bool relaxed;     /* commits do not sync */
  size_t map_bytes; /* address space to reserve; 0: 1 TiB. Halved while the system refuses it */
  char *message;    /* what is wrong, when opening or anything later fails */
  size_t message_len;
} ab__storage_options_t;

/**
 * Open the data file of `dir`, made if it does not exist. `complete`: the store was made completely before,
 * so a missing or empty data file is damage.
 *
 * Returns 0, AB_ENOTSTORE, AB_EVERSION, AB_ECORRUPT (shorter than its last used page), AB_EDENIED, AB_ENOSPC,
 * AB_EIO or AB_ENOMEM.
 */
int
ab__storage_open (const ab__storage_options_t *options, bool complete, ab__storage_t **out);

/** `forked`: we are the child of the process that opened it, and must leave the file alone. */
void
ab__storage_close (ab__storage_t *storage, bool forked);

/** Sync what a relaxed store committed. */
int
ab__storage_sync (ab__storage_t *storage);

/** Free the slots of readers that died. */
void
ab__storage_clear_stale (ab__storage_t *storage);

/* ---- reading: only in a section ---- */

void
ab__storage_read_begin (ab__storage_t *storage);
void
ab__storage_read_end (ab__storage_t *storage);

/** A number that differs when another commit was made, also by another process. */
int
ab__storage_version (ab__storage_t *storage, uint64_t *version);

/** A value, borrowed until the section ends. Returns 0, AB_ENOTFOUND, AB_EIO, AB_ENOMEM or AB_ECORRUPT. */
int
ab__storage_get (ab__storage_t *storage, ab__table_t table, ab_slice_t key, ab_slice_t *value);

/** The same under core ‖ index. */
int
ab__storage_get_at (
  ab__storage_t *storage, ab__table_t table, uint32_t core, uint64_t index, ab_slice_t *value
);

/** The first entry at or after `key` (`forward`), or the last one at or before it. AB_ENOTFOUND: none. */
int
ab__storage_seek (
  ab__storage_t *storage,
  ab__table_t table,
  ab_slice_t key,
  bool forward,
  ab_slice_t *found,
  ab_slice_t *value
);

/* ---- writing ---- */

/* A write that does not fit into the map ends with this: abort, ab__storage_grow, write all of it again. */
#define AB__STORAGE_FULL 1

int
ab__storage_write_begin (ab__storage_t *storage);
/** Returns 0, AB__STORAGE_FULL, or an error. */
int
ab__storage_put (ab__storage_t *storage, ab__table_t table, ab_slice_t key, ab_slice_t value);
int
ab__storage_put_at (
  ab__storage_t *storage, ab__table_t table, uint32_t core, uint64_t index, ab_slice_t value
);
/** The same for runs of ascending indexes at a core's end, which may be cheaper. */
int
ab__storage_append_at (
  ab__storage_t *storage, ab__table_t table, uint32_t core, uint64_t index, ab_slice_t value
);
/** A value as this write sees it, borrowed until its next change. Returns 0, AB_ENOTFOUND or an error. */
int
ab__storage_peek_at (
  ab__storage_t *storage, ab__table_t table, uint32_t core, uint64_t index, ab_slice_t *value
);
/** Deleting what is not there is no error. */
int
ab__storage_delete (ab__storage_t *storage, ab__table_t table, ab_slice_t key);
/** Delete [start, end) of a core. */
int
ab__storage_delete_range (
  ab__storage_t *storage, ab__table_t table, uint32_t core, uint64_t start, uint64_t end
);
/** Durable when it returns 0, unless relaxed. Ends the write in any case. */
int
ab__storage_write_commit (ab__storage_t *storage);
/** Ends the write without effect; no-op without one. */
void
ab__storage_write_abort (ab__storage_t *storage);
/** Double the map. Not inside a write or a section. */
int
ab__storage_grow (ab__storage_t *storage);

#endif

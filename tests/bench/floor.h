/* floor.h: what floors are made of. Private to floor.c and floor_net.c. */
#ifndef FLOOR_H
#define FLOOR_H

#include "bench.h"

/* ---- a process for each floor, so that its memory is not counted as the workload's ---- */

/** Called twice, so to say: true in the caller, with what the child gave to floor_finish(); false in the
 * child, which goes on to measure. */
bool
floor_is_measured (void *rates, size_t len);
_Noreturn void
floor_finish (const void *rates, size_t len);
_Noreturn void
floor_finish_rate (double rate);

/* ---- the machine's parts ---- */

typedef struct {
  char path[512];
  MDB_env *env;
  MDB_dbi blocks, nodes, heads;
  MDB_txn *txn;
  uint64_t index[3]; /* next block of each core */
} floor_db_t;

/** Also starts libsodium, and makes the key pair. */
floor_db_t
floor_db_open (const char *dir, const char *name, bool durable);
void
floor_db_close (floor_db_t *db);
void
floor_begin (floor_db_t *db);
void
floor_commit (floor_db_t *db);

/** Leaf and parent. */
void
floor_hash (const void *block, size_t len);
void
floor_sign (void);
void
floor_verify (void); /* what floor_sign made */

/** One block of `core`: hashed, put with two nodes. `block` NULL: any bytes, at most 8,000. */
void
floor_append (floor_db_t *db, uint32_t core, const void *block, size_t len);
/** Root hash, and one head put. */
void
floor_put_head (floor_db_t *db, uint32_t core);
/** One call of W2 or W2b: 100 values. */
void
floor_call (floor_db_t *db, bool batched);

#endif

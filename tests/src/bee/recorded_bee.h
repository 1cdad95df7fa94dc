/* recorded_bee.h: what the recorded bee files have in common: their stores, generated operations, hashes of
 * contents.
 */
#ifndef RECORDED_BEE_H
#define RECORDED_BEE_H

#include "bee/bee.h"
#include "hypercore/buf.h"
#include "support/rng.h"
#include "support/vectors.h"

/** A store in memory whose primary key is 32 bytes of `fill`. */
ab_store_t *
recorded_store (uint8_t fill);
/** The core named `bee` in the namespace of this name. */
hypercore_t *
recorded_core (ab_store_t *store, const char *name);
/** A writable core with no name that matters. */
hypercore_t *
recorded_any_core (ab_store_t *store, size_t number);
bee_t *
recorded_bee (hypercore_t *core, uint64_t t);

/** "put" or "del", key, value, as recorded. Returns the error. */
int
recorded_op (bee_batch_t *batch, const json_t *op);
bee_write_options_t
recorded_write_options (const json_t *options);
/** gte, gt, lte, lt, reverse and limit. False: a limit of 0, which means nothing here and everything there.
 */
bool
recorded_range (const json_t *options, bee_range_t *range);

/* The generated workloads: one random source and one count of puts through all phases. */
typedef struct {
  xorshift32_t random;
  uint32_t counter;
  const json_t *phase;
  uint64_t done; /* operations of the phase */
} recorded_workload_t;

/** Make one flush's worth of operations. Returns how many; 0: the phase is over. `each` gives back 0 or an
 * error, which ends the flush and is returned. */
int
recorded_flush (recorded_workload_t *workload, bee_batch_t *batch);
/** All phases, one batch per flush; false (and a recorded failure) if one fails. */
bool
recorded_build (bee_t *bee, uint32_t seed, const json_t *phases);

/* Entries read one after the other, as the recorded hashes see them. */
typedef struct {
  ab_buf_t bytes;
  uint64_t count;
  int err; /* that ended the reading; AB_EEND is 0 */
} recorded_contents_t;

/** Read a range; `each`, if not NULL, sees every entry. */
void
recorded_read (
  bee_t *bee,
  const bee_range_t *range,
  recorded_contents_t *contents,
  void (*each)(void *data, uint64_t i, const bee_entry_t *entry),
  void *data
);
/** Read all of `bee` and compare count and hash. */
void
check_contents (const char *what, bee_t *bee, uint64_t count, const char *hash);
void
check_read (const char *what, recorded_contents_t *contents, uint64_t count, const char *hash);

/** Hex of the first `len` bytes of BLAKE2b-256 (or, with `len` 16, of BLAKE2b-128). Static. */
const char *
hash_text (ab_slice_t bytes, size_t len);
const char *
hex_text (ab_slice_t bytes);

/** The recorded tree hash, or null for an empty core. */
void
check_tree_hash (const json_t *expected, hypercore_t *core);

#endif

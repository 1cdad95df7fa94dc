/* hypercore.h: signed append-only logs (cores), and the store that keeps many of them in one directory.
 *
 *   ab_store_t      one directory, one lock, one LMDB environment
 *     hypercore_t   one core: blocks 0, 1, 2 … under a Merkle tree whose head is signed
 *       committed   what LMDB holds
 *       frozen      a tail that a commit is writing (or has failed to write and will write again)
 *       live        a tail in memory that takes every new write
 *
 *   Reads look in live, then frozen, then LMDB. ab_store_commit freezes the live tails of all cores and
 *   writes them in one transaction; a crash leaves the state before or after it. Only committed lengths are
 *   signed and shown to peers, so dropping a live tail (hypercore_rollback) does not raise the fork.
 *
 * Files      encoding, crypto, id, manifest, verify, flat_tree, tree, proof, reorg, encryption: pure
 *            bitfield, tail (of map and bump), record, core, core_write, core_proof: one core
 *            storage: LMDB (the only file with lmdb.h), data_file: a look at it before; secret: the secrets
 *            store, commit, lock, corestore: the directory, from the tails to the file, names and keys
 * Invariant  a block, its bit and the tree nodes that prove it appear and disappear together
 * To change  a stored format: storage.h and record.c, and raise its number; a hashed one: the vectors decide
 *
 * Calls on one store (and on everything opened from it) must not overlap, but may come from any thread.
 */
#ifndef HYPERCORE_H
#define HYPERCORE_H

#include "hypercore/ab.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ab_store_s ab_store_t;
typedef struct hypercore_s hypercore_t;

/* ---- the store ---- */

typedef struct {
  uint32_t struct_size;
  bool create;         /* make the directory and an empty store if there is none (default true) */
  bool read_only;      /* stands beside a writing process; every write is AB_EREADONLY */
  bool relaxed;        /* do not sync at commit: ending the process loses nothing, but a power loss may lose
                        * the last commits, or the store where the file system does not keep write order */
  size_t cache_bytes;  /* decoded blocks of all bees; 0: 16 MiB */
  size_t staged_bytes; /* a commit starts when this much is staged; 0: 2 MiB, relaxed 256 KiB */
  uint32_t manifest_version;   /* of cores made by name: 1 (default) or 2 */
  const ab_key_t *primary_key; /* all named cores follow from it; NULL: the stored one, or a random new one.
                                * One that differs from the stored one is AB_ECONFLICT */
  const ab_env_t *env;         /* NULL: the system's clock and random source */
  void (*log)(void *log_data, int level, const char *area, const char *text); /* level: 0 error … 3 debug */
  void *log_data;
} ab_store_options_t;

AB_API ab_store_options_t
ab_store_options_default (void);

/**
 * Open the store in directory `dir`, or with `dir` NULL one that lives in memory only (never durable, for
 * tests and caches). `message`, if not NULL, receives up to `message_len` bytes of text that says what is
 * wrong and what to do when the call fails, since there is no handle to ask then.
 *
 * Returns 0, AB_ENOTSTORE, AB_EVERSION, AB_EINUSE (the message names the process), AB_ECORRUPT (damaged
 * size), AB_ECONFLICT (another primary key), AB_EDENIED, AB_EIO, AB_ENOSPC or AB_ENOMEM.
 */
AB_API int
ab_store_open (
  const char *dir, const ab_store_options_t *options, ab_store_t **out, char *message, size_t message_len
);

/**
 * Commit, then release everything. Cores that are still open are closed with it. The handle is gone whatever
 * is returned. Returns 0, or the code of the last commit if it failed: then what was staged is lost, and the
 * log callback has said what.
 */
AB_API int
ab_store_close (ab_store_t *store);

/**
 * Write everything staged in all cores in one transaction, durable unless the store is relaxed. A failed
 * commit keeps its frozen tails and is tried again by the next call. Nothing staged: 0, nothing is written.
 * Returns 0, AB_ENOSPC, AB_EIO, AB_ENOMEM or AB_EREADONLY.
 */
AB_API int
ab_store_commit (ab_store_t *store);

/** Bytes staged and not yet committed. */
AB_API size_t
ab_store_staged (const ab_store_t *store);

/** Sync a relaxed store's committed data to the disk (a no-op for a durable one). */
AB_API int
ab_store_sync (ab_store_t *store);

/**
 * Do work that is due in everything opened from this store: drains, later timers and connections; for up to
 * about `budget_ms`. A read-only store takes over what the writing process committed meanwhile.
 *
 * next_deadline_ms  if not NULL: when to call again at the latest, by the store's clock; UINT64_MAX: never
 *
 * Returns 1 if there is more to do now, 0, or the first error of a part; the other parts have run all the
 * same.
 */
AB_API int
ab_store_run (ab_store_t *store, uint32_t budget_ms, uint64_t *next_deadline_ms);

/** What went wrong in the last call on this store or anything opened from it: what, where, expected, found.
 * Never NULL; valid until the next call. */
AB_API const char *
ab_store_errmsg (const ab_store_t *store);

/** The store's clock and random source. */
AB_API const ab_env_t *
ab_store_env (const ab_store_t *store);

/* ---- opening cores ---- */

typedef enum {
  HYPERCORE_SIGN_AT_COMMIT = 0, /* each commit signs the length it makes durable */
  HYPERCORE_SIGN_ON_DEMAND      /* signed when a proof asks, and at close: for system and view cores */
} hypercore_signing_t;

typedef struct {
  uint32_t struct_size;
  bool create;         /* make it if it is unknown (default true), else AB_ENOTFOUND */
  const ab_key_t *key; /* this core; with none of the others: a reader, unless a key pair is stored */
  const ab_key_t *namespace_key; /* with `name`: the namespace, NULL for the default one (32 zero bytes) */
  ab_slice_t name;               /* not empty: the core of this name (corestore derivation) */
  const ab_key_pair_t *key_pair; /* the core of this pair and the store's manifest version; stored with it */
  ab_slice_t manifest;           /* not empty: the core of this encoded manifest */
  const ab_key_t *group;         /* put the core into this storage group; another group is AB_ECONFLICT */
  hypercore_signing_t signing;   /* of a core that is open already it changes to ON_DEMAND, never back */
} hypercore_options_t;

AB_API hypercore_options_t
hypercore_options_default (void);

/** Open a core; all handles of one core are one object, counted. Every open needs one hypercore_close.
 * Returns 0, AB_ENOTFOUND, AB_ECONFLICT (the key and the manifest, or the stored core, disagree), AB_EINVAL.
 */
AB_API int
hypercore_open (ab_store_t *store, const hypercore_options_t *options, hypercore_t **out);

AB_API void
hypercore_close (hypercore_t *core);

/** One more reference. */
AB_API hypercore_t *
hypercore_retain (hypercore_t *core);

/** Open the core with this discovery key; AB_ENOTFOUND if the store has none. */
AB_API int
hypercore_open_discovery (ab_store_t *store, const ab_key_t *discovery_key, hypercore_t **out);

/** namespace(name) below `parent` (NULL: the default one): H(parent ‖ name). */
AB_API void
corestore_namespace (const ab_key_t *parent, ab_slice_t name, ab_key_t *out);

/** The key pair of a name, without opening anything. */
AB_API int
corestore_key_pair (ab_store_t *store, const ab_key_t *namespace_key, ab_slice_t name, ab_key_pair_t *out);

/** The key of the core that a public key and the store's manifest version make. Returns 0 or AB_ENOMEM. */
AB_API int
corestore_key (const ab_store_t *store, const uint8_t public_key[32], ab_key_t *out);

/** Call `each` for every core of the storage group whose head changed at or after `since_ms`, newest first,
 * until it returns non-zero (which is then returned). */
AB_API int
corestore_group_updates (
  ab_store_t *store,
  const ab_key_t *group,
  uint64_t since_ms,
  int (*each)(void *data, const ab_key_t *key, uint64_t length),
  void *data
);

/* ---- one core ---- */

AB_API const ab_key_t *
hypercore_key (const hypercore_t *core);
AB_API const ab_key_t *
hypercore_discovery_key (const hypercore_t *core);
/** Blocks, staged ones included. */
AB_API uint64_t
hypercore_length (const hypercore_t *core);
/** Blocks that the last successful commit made durable: what peers may be told. */
AB_API uint64_t
hypercore_committed_length (const hypercore_t *core);
AB_API uint64_t
hypercore_fork (const hypercore_t *core);
/** Stored bytes of all blocks, encryption padding included. */
AB_API uint64_t
hypercore_byte_length (const hypercore_t *core);
/** Blocks present from 0 without a gap. */
AB_API uint64_t
hypercore_contiguous_length (const hypercore_t *core);
AB_API bool
hypercore_is_writable (const hypercore_t *core);
/** The encoded manifest; empty while it is unknown. Borrowed until the core is closed. */
AB_API ab_slice_t
hypercore_manifest (const hypercore_t *core);
/** The signing key pair, or NULL. Borrowed until the core is closed. */
AB_API const ab_key_pair_t *
hypercore_key_pair (const hypercore_t *core);
AB_API ab_store_t *
hypercore_store (const hypercore_t *core);
/** The store's number of this core: small, stable within the store, never reused. */
AB_API uint32_t
hypercore_number (const hypercore_t *core);
/** Raised whenever blocks below the length are dropped or replaced; (length, fork) does not tell that. */
AB_API uint64_t
hypercore_generation (const hypercore_t *core);
/** Tree hash of the first `length` blocks; AB_EREMOTE if its roots are not stored. */
AB_API int
hypercore_tree_hash (hypercore_t *core, uint64_t length, uint8_t out[32]);
/** The signature at the committed length, made now if the core is signed on demand; borrowed until the next
 * call. Empty for a core without one. */
AB_API int
hypercore_signature (hypercore_t *core, ab_slice_t *out);

/**
 * Stage blocks at the end. `length`, if not NULL, receives the new length. Encrypts if the core has a cipher.
 * Returns 0, AB_ENOTWRITABLE, AB_EREADONLY, AB_ETOOBIG (a block above 15 MiB, padding included) or AB_ENOMEM,
 * and then nothing is staged.
 */
AB_API int
hypercore_append (hypercore_t *core, const ab_slice_t *blocks, size_t count, uint64_t *length);

/** One block, decrypted; borrowed until the next call on this core. Never data NULL, also when it is empty.
 * AB_EREMOTE if it is not here and may be at a peer (it is noted as wanted), AB_ENOTFOUND past the end of a
 * core that is ours to write. */
AB_API int
hypercore_get (hypercore_t *core, uint64_t index, ab_slice_t *block);
/** As hypercore_get, but the bytes as stored. */
AB_API int
hypercore_get_stored (hypercore_t *core, uint64_t index, ab_slice_t *block);
/** Are all blocks of [start, end) here? */
AB_API bool
hypercore_has (hypercore_t *core, uint64_t start, uint64_t end);
/** Drop the live tail above `length`, which must not be below hypercore_floor (AB_EINVAL). No fork, no event.
 */
AB_API int
hypercore_rollback (hypercore_t *core, uint64_t length);
/** The lowest length hypercore_rollback may go back to: what is committed or frozen. */
AB_API uint64_t
hypercore_floor (const hypercore_t *core);
/** Cut to `length` blocks under a new fork (0: the current one plus one) and sign again. Staged; in a memory
 * store it is committed at once. AB_EINVAL above the length, AB_EOPERATION below the prologue,
 * AB_ENOTWRITABLE. */
AB_API int
hypercore_truncate (hypercore_t *core, uint64_t length, uint64_t fork);
/** Drop the blocks of [start, end) and keep every tree node; they can be fetched again. */
AB_API int
hypercore_clear (hypercore_t *core, uint64_t start, uint64_t end);
/** The block in which stored byte `offset` lies and the offset in it; AB_EREMOTE, AB_ENOTFOUND past the end.
 */
AB_API int
hypercore_seek (hypercore_t *core, uint64_t offset, uint64_t *index, uint64_t *within);

/** User data: local bytes under a name, staged and committed with the core. `out` is borrowed until the next
 * call; AB_ENOTFOUND. Setting an empty slice with data NULL deletes. */
AB_API int
hypercore_user_data (hypercore_t *core, const char *name, ab_slice_t *out);
AB_API int
hypercore_set_user_data (hypercore_t *core, const char *name, ab_slice_t value);

/**
 * Copy what `from` (in another store) has of the core into `to` through proofs in their wire form, as two
 * peers would: first its fork, if that is higher, then an upgrade to at most `length` blocks (or further, if
 * a proof of less cannot be made; 0: all of it), then the blocks of [start, end) that are missing. For
 * examples, tests and offline transfer. Returns 0, AB_ECONFLICT (not the same core), or what producing or
 * verifying a proof says.
 */
AB_API int
hypercore_pull (hypercore_t *to, hypercore_t *from, uint64_t length, uint64_t start, uint64_t end);

#ifdef __cplusplus
}
#endif

#endif

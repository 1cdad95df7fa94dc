/* internal.h: what our upper folders may use of stores and cores beyond the public header. */
#ifndef HYPERCORE_INTERNAL_H
#define HYPERCORE_INTERNAL_H

#include "hypercore/buf.h"
#include "hypercore/encryption.h"
#include "hypercore/hypercore.h"
#include "hypercore/proof.h"
#include "hypercore/reorg.h"

/** Record the message of a failed call on the store and return `err`: what, where, expected, found. */
int
ab_store_fail (ab_store_t *store, int err, const char *format, ...) AB_PRINTF(3, 4);
/** Send a line to the store's log callback, if there is one. */
void
ab_store_log (ab_store_t *store, int level, const char *area, const char *format, ...) AB_PRINTF(4, 5);
/** The options the store was opened with, defaults filled in. */
const ab_store_options_t *
ab_store_options (const ab_store_t *store);

/** Encrypt and decrypt this core's blocks from now on; NULL: plain. The cipher is copied; wiped at close. */
void
hypercore_set_cipher (hypercore_t *core, const ab_cipher_t *cipher);

/** Append one block, decrypted, to the caller's buffer. Errors as hypercore_get. */
int
hypercore_read (hypercore_t *core, uint64_t index, ab_buf_t *out);

/* Told after a change of the core was staged; intrusive, lives in the listener's memory. Must not call the
 * core. */
typedef struct hypercore_listener_s hypercore_listener_t;
struct hypercore_listener_s {
  void (*changed)(void *data, hypercore_t *core); /* blocks came, or the length changed */
  void *data;
  hypercore_t *core; /* private from here on */
  hypercore_listener_t *next;
  hypercore_listener_t **link;
};
void
hypercore_listen (hypercore_t *core, hypercore_listener_t *listener);
void
hypercore_unlisten (hypercore_listener_t *listener);

/** A proof that answers `request`, built in `arena`; names committed lengths only. AB_EOPERATION if it cannot
 * be made. The block's value is the stored bytes; data NULL if they are not committed here, and then the
 * proof is not to be sent. */
int
hypercore_prove (hypercore_t *core, const ab_request_t *request, ab_arena_t *arena, ab_proof_t *proof);
/** Verify a proof and stage what it proves. `outcome`: applied or ignored (see proof.h). A negative result is
 * what is held against the peer (AB_EOPERATION only if our tree did not move meanwhile); nothing changed
 * then. */
int
hypercore_apply_proof (hypercore_t *core, const ab_proof_t *proof, ab_proof_outcome_t *outcome);
/**
 * Moving to a higher fork, by the steps of reorg.h; nothing of the core changes before hypercore_reorg stages
 * the finished one. AB_EOPERATION there: the core moved meanwhile, begin again.
 */
int
hypercore_reorg_begin (hypercore_t *core, const ab_proof_t *proof, ab_arena_t *arena, ab_reorg_t *reorg);
int
hypercore_reorg_continue (hypercore_t *core, ab_reorg_t *reorg, const ab_proof_t *proof, bool *accepted);
int
hypercore_reorg (hypercore_t *core, const ab_reorg_t *reorg);
/** The `nodes` value of a request for block `index`. */
int
hypercore_missing_nodes (hypercore_t *core, uint64_t index, uint64_t *nodes);

/** The newest blocks that reads wanted and did not find here (at most HYPERCORE_WANTED_MAX), and forget them.
 */
#define HYPERCORE_WANTED_MAX 256
size_t
hypercore_take_wanted (hypercore_t *core, uint64_t *indexes, size_t max);

/* A part of the store that has work to do in ab_store_run, and state to end with it. Intrusive. */
typedef struct ab_runner_s ab_runner_t;
struct ab_runner_s {
  /** Work for up to about `budget_ms`; 1: there is more to do now, 0: idle, or an error. */
  int (*run)(void *data, uint32_t budget_ms, uint64_t *next_deadline_ms);
  /** A commit ended (0 or its error). */
  void (*committed)(void *data, int status);
  /** The store closes: end every open request with AB_ECLOSED. */
  void (*closing)(void *data);
  void *data;
  ab_store_t *store; /* private from here on */
  ab_runner_t *next;
  ab_runner_t **link;
};
void
ab_store_attach (ab_store_t *store, ab_runner_t *runner);
void
ab_store_detach (ab_runner_t *runner);

/** Opaque state of the bee layer shared by all trees of a store (its block cache); freed with `destroy` at
 * close. */
void **
ab_store_slot (ab_store_t *store, void (*destroy)(void *));

/** Bytes kept in the secrets file under a name, as an encryption key that a user asked to keep. `out` is
 * borrowed until the next call; AB_ENOTFOUND. */
int
ab_store_secret (ab_store_t *store, const char *name, ab_slice_t *out);
/** Keep bytes there, or with data NULL forget them. At once and durable, not with the next commit. */
int
ab_store_set_secret (ab_store_t *store, const char *name, ab_slice_t value);

#endif

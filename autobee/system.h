/* system.h: the state that the order has led to, and the bee that records it. Private to autobee/.
 *
 *   head ──► system bee   00            info: heads, timestamp, flushes, head of the view
 *                         01 00 ‖ key   a record per writer
 *
 *   move to a head ─► start a batch ─► touch records (grants, removals) ─► flush: one bee batch, a new head
 *
 * The order itself is the history of the bee: each flush writes exactly one record with is_oplog set.
 *
 * Invariant  between batches nothing is pending, and the state is that of the info record at `head`
 * To change  what is stored: record.c
 */
#ifndef AUTOBEE_SYSTEM_H
#define AUTOBEE_SYSTEM_H

#include "autobee/batch.h"
#include "autobee/keymap.h"
#include "autobee/record.h"
#include "bee/bee.h"

/* A pending change of a record; -1: leave alone. */
typedef struct {
  ab_key_t key;
  uint64_t length;
  int64_t weight;
  int64_t max_weight;
  int64_t timestamp_ms;
  bool is_genesis; /* with max_weight */
  bool is_added;
  bool is_removed;
  bool is_anchor;
  bool needs_witness;
} system_update_t;

typedef struct {
  ab_key_t key;
  bool is_added; /* else removed */
  bool is_anchor;
} system_change_t;

/* A grant that this peer may attest. */
typedef struct {
  ab_key_t key;
  uint64_t weight;
} system_grant_t;

typedef struct {
  bee_t *bee;
  ab_head_t head;
  ab_head_t view;
  ab_head_t *heads;
  size_t head_count;
  size_t head_capacity;
  uint64_t timestamp_ms;
  uint64_t flushes;
  uint64_t version; /* raised by every flush */

  system_update_t *updates;
  size_t update_count;
  size_t update_capacity;
  keymap_t index;           /* key → number of its update plus one */
  system_change_t *changes; /* valid after a flush until the next start */
  size_t change_count;
  size_t change_capacity;
  system_grant_t *grants; /* the same */
  size_t grant_count;
  size_t grant_capacity;

  keymap_t records; /* stored records, those known to be absent too */
  ab_arena_t record_arena;
  ab_buf_t scratch;
} system_t;

/** Takes over `bee`. */
void
autobee__system_init (system_t *system, bee_t *bee, uint64_t seed);
void
autobee__system_destroy (system_t *system);

/** Go to `head` (length 0: genesis) and read the info there. After an error the state is not usable until a
 * move succeeds. */
int
autobee__system_move (system_t *system, const ab_head_t *head);

/** The stored record of `key`. Returns 0, AB_ENOTFOUND, or an error of the bee. */
int
autobee__system_record (system_t *system, const ab_key_t *key, record_writer_t *out);
/** The same: a missing one is NULL, one that is there is in `space`. */
int
autobee__system_find (
  system_t *system, const ab_key_t *key, record_writer_t *space, const record_writer_t **out
);
/** The record including pending changes (6.1). */
int
autobee__system_peek (system_t *system, const ab_key_t *key, record_writer_t *out);
/** Is the node `link` applied? */
int
autobee__system_has (system_t *system, const ab_head_t *link, bool *has);

/** Forget pending changes and what the last flush handed back. */
void
autobee__system_reset (system_t *system);
/** A change that leaves everything alone. */
system_update_t
autobee__system_change (const ab_key_t *key, uint64_t length);
int
autobee__system_touch (system_t *system, const system_update_t *change);
/** 7.2 addWriter; `is_genesis`: the grant of 7.3. */
int
autobee__system_add_writer (system_t *system, const ab_key_t *key, uint64_t weight, bool is_genesis);
int
autobee__system_remove_writer (system_t *system, const ab_key_t *key);
int
autobee__system_ack_writer (system_t *system, const ab_key_t *key);

/** 6.2: heads, timestamp, and the record of the batch's writer. Twice in a row only after a reset. */
int
autobee__system_start (system_t *system, const batch_t *batch);
/** 7.1: may apply see a batch of `key`? */
int
autobee__system_can_apply (system_t *system, const ab_key_t *key, bool optimistic, bool *can);
/** 6.3. `view`: its head after apply; `recorded`: the record of the batch's writer. Afterwards `changes` and
 * `grants` say what the flush did. */
int
autobee__system_flush (
  system_t *system, const ab_key_t *writer, const ab_head_t *view, record_writer_t *recorded
);

/** Every record in `bee`, a system that may be checked out anywhere, by key from `first` on (NULL: all),
 * until `each` returns non-zero (which is then returned). */
int
autobee__system_records (
  bee_t *bee,
  const ab_key_t *first,
  int (*each)(void *data, const ab_key_t *writer, const record_writer_t *record),
  void *data
);

typedef struct {
  ab_key_t writer;
  record_writer_t record;
  ab_head_t before; /* length 0: genesis */
  bool is_plain;    /* it recorded nobody but the writer, and did not remove it */
} system_flush_t;

/** The flush that ends at `head` (length above 0), read from the history. */
int
autobee__system_history (system_t *system, const ab_head_t *head, system_flush_t *out);
/** Every writer that it recorded, until `each` returns non-zero (which is then returned). */
int
autobee__system_recorded (
  system_t *system,
  const ab_head_t *head,
  int (*each)(void *data, const ab_key_t *writer, const record_writer_t *record),
  void *data
);

#endif

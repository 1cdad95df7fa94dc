/* core.h: the inside of one core. Private to hypercore/.
 *
 *   core.c        opening, reading, levels            core_write.c  append, rollback, truncate, clear
 *   core_proof.c  proofs made, taken, and pulled      commit.c      from the live tail to the file
 *
 *   file ──► committed tree ──► [frozen tail, frozen tree] ──► live tail, `tree`
 *
 * Invariant  `live` is what a reader sees; `committed` what the file has. Nothing below `base` can be
 *            rolled back: it is committed or frozen
 */
#ifndef AB_CORE_H
#define AB_CORE_H

#include "hypercore/bitfield.h"
#include "hypercore/record.h"
#include "hypercore/store.h"
#include "hypercore/tail.h"

/* A head: what a level says about the core. */
typedef struct {
  ab_tree_t tree;
  ab_buf_t signature; /* for this tree; empty: none, or not made yet */
  bool is_signed;     /* `signature` is what belongs to the tree, even if that is none */
} ab__head_t;

struct hypercore_s {
  ab_store_t *store;
  uint32_t number;
  uint64_t references;
  hypercore_t *chain; /* next in the store's table */
  hypercore_t *next_dirty;
  hypercore_t *next_frozen;
  bool is_dirty;
  bool is_frozen;

  ab_key_t key;
  ab_key_t discovery_key;
  ab_arena_t arena;              /* manifest and names: they stay until the core is closed */
  const ab_manifest_t *manifest; /* NULL: unknown */
  ab_buf_t encoded_manifest;
  bool has_group;
  ab_key_t group;
  ab_key_t ns;
  ab_slice_t name;
  ab_key_pair_t *pair; /* NULL: not writable */
  hypercore_signing_t signing;
  ab_cipher_t cipher;

  ab__head_t live;
  ab__head_t frozen_head;
  ab__head_t committed;
  uint64_t base; /* length at which the live tail starts */
  uint64_t generation;
  uint64_t changed_ms;        /* when fork or length changed, as committed */
  uint64_t stored_changed_ms; /* of the group entry in the file; 0: none */
  bool file_is_signed;        /* the head in the file has a signature */
  bool sign_at_close;         /* nobody has the core open: the next commit signs it */
  uint64_t version;           /* read-only stores: state of the file that `committed` was read from */

  ab__bitfield_t bits;
  ab__tail_t tail; /* live */
  ab__tail_t frozen;

  ab_buf_t read; /* what the last call returned */
  uint64_t wanted[HYPERCORE_WANTED_MAX];
  size_t wanted_count;
  size_t wanted_next; /* position of the oldest, once full */
  hypercore_listener_t *listeners;
  hypercore_listener_t *next_listener; /* to be told; unlistening moves it on */
};

/** A closed core of the store, without references; the caller enters and loads it. NULL: out of memory. */
hypercore_t *
ab__core_new (ab_store_t *store, uint32_t number, const ab_key_t *key);
/** Free a core that is in no table and list. */
void
ab__core_free (hypercore_t *core);

/** Take a manifest that belongs to the key; it is copied. */
int
ab__core_set_manifest (hypercore_t *core, const ab_manifest_t *manifest);
/** Make it writable with this pair, if the manifest names its public key. */
int
ab__core_set_pair (hypercore_t *core, const ab_key_pair_t *pair);

/** Read the head from the file; without one the core is empty. In a read section, and with empty tails. */
int
ab__core_load_head (hypercore_t *core);

/** Read-only stores: take over what the writing process committed since. */
int
ab__core_refresh (hypercore_t *core);

/** Begin and end a read section of the store's file, if it has one. */
void
ab__core_enter (hypercore_t *core);
void
ab__core_leave (hypercore_t *core);

/** Nodes as a reader sees them, and as the file has them. Both only between enter and leave. */
ab_node_source_t
ab__core_nodes (hypercore_t *core);
ab_node_source_t
ab__core_committed_nodes (hypercore_t *core);

/** Stored bytes of a block that is present, borrowed until leave. AB_EREMOTE: not here. */
int
ab__core_block (hypercore_t *core, uint64_t index, ab_slice_t *stored);
/** The same for what is committed. */
int
ab__core_committed_block (hypercore_t *core, uint64_t index, ab_slice_t *stored);

/** The live tail changed: into the store's list of dirty cores, bytes accounted. `staged` is what the tail
 * held before. */
void
ab__core_touch (hypercore_t *core, size_t staged);

void
ab__core_tell (hypercore_t *core);

/** Drop everything from tree->length on; `tree` is what the core is then. Unsigned. Needs the prepare. */
int
ab__core_prepare_cut (hypercore_t *core, uint64_t length);
void
ab__core_cut (hypercore_t *core, const ab_tree_t *tree);
/** After a cut into what is committed or frozen was staged. */
void
ab__core_settle_cut (hypercore_t *core);

/** Sign `head` if this peer can and it is not signed. Returns 0 or AB_ENOMEM. */
int
ab__core_sign (hypercore_t *core, ab__head_t *head);

void
ab__tree_copy (ab_tree_t *to, const ab_tree_t *from);

#define AB__USER_DATA_KEY_BYTES 20

/** The key of a name in the table of user data. Returns its length. */
size_t
ab__user_data_key (const hypercore_t *core, const char *name, uint8_t out[AB__USER_DATA_KEY_BYTES]);

/* ---- corestore.c ---- */

/** Nobody needs this core signed now, but the next peer may: let the next commit do it. */
void
ab__core_sign_later (hypercore_t *core);

/** Free a core without references and without anything to commit. */
void
ab__core_drop_if_unused (hypercore_t *core);

/* ---- commit.c ---- */

/** A memory store: what is live is committed now. */
int
ab__core_commit_in_memory (hypercore_t *core);

#endif

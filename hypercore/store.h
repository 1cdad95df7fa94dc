/* store.h: the inside of a store. Private to hypercore/.
 *
 *   store.c      opening, closing, messages, runners
 *   commit.c     prepare ─► write ─► adopt
 *   corestore.c  finding and making cores, names, groups
 *
 * A memory store has no storage: a commit signs, sets the committed lengths and leaves everything in the live
 * tails.
 */
#ifndef AB_STORE_H
#define AB_STORE_H

#include "hypercore/internal.h"
#include "hypercore/lock.h"
#include "hypercore/secret.h"
#include "hypercore/storage.h"

#define AB__MESSAGE_MAX 512

/* Going through the runners while they may come and go, also inside another walk. */
typedef struct ab__walk_s {
  ab_runner_t *next;
  struct ab__walk_s *outer;
} ab__walk_t;

struct ab_store_s {
  char *dir; /* NULL: in memory */
  ab_store_options_t options;
  ab_key_t primary_key_option; /* where options.primary_key points, if given */
  ab_env_t env;
  unsigned forks; /* value of the process-wide fork counter at open */
  char message[AB__MESSAGE_MAX];

  ab__open_dir_t open_dir;
  int lock_fd;
  ab__secret_t secret;
  bool has_secret; /* false: read-only without permission to read it */
  ab__storage_t *storage;
  uint64_t seed;           /* of every map */
  uint64_t stale_check_ms; /* when dead readers were last looked for */

  hypercore_t **cores; /* by discovery key; a power of two of chains */
  size_t core_chains;
  size_t core_count;
  uint32_t next_number;   /* of a new core */
  uint32_t stored_number; /* the same in the file */
  hypercore_t *dirty;     /* with something in the live tail */
  hypercore_t *frozen;    /* with something in the frozen tail */
  size_t dirty_count;
  size_t staged;
  bool committing;
  bool closing; /* the last commit: it signs every core */

  ab_runner_t *runners;
  ab__walk_t *walk; /* the innermost one that is going on */

  void *slot;
  void (*slot_destroy)(void *);
};

/** Every public call begins with it: 0, or AB_EINVAL in a forked child. */
int
ab__store_check (ab_store_t *store);

/** The store may be written: 0, AB_EREADONLY or what ab__store_check says. */
int
ab__store_check_write (ab_store_t *store);

/** ab_store_open with the address space to reserve for the data file; 0: as usual. For tests. */
int
ab__store_open (
  const char *dir,
  const ab_store_options_t *options,
  size_t map_bytes,
  ab_store_t **out,
  char *message,
  size_t message_len
);

/** Call back every runner that a commit ended. */
void
ab__store_tell_committed (ab_store_t *store, int status);

/* ---- corestore.c ---- */

/** The open core with this discovery key, or NULL. */
hypercore_t *
ab__store_find_core (ab_store_t *store, const ab_key_t *discovery_key);

/** Enter a core into the table of open ones. Returns 0 or AB_ENOMEM. */
int
ab__store_add_core (ab_store_t *store, hypercore_t *core);
void
ab__store_remove_core (ab_store_t *store, hypercore_t *core);

/** Read-only stores: let every open core take over what the writing process committed. */
int
ab__store_refresh (ab_store_t *store);

/** What a name is stored under: H(namespace ‖ name). */
void
ab__name_key (const ab_key_t *ns, ab_slice_t name, ab_key_t *out);

#endif

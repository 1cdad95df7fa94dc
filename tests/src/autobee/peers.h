/* peers.h: databases for tests, on one clock, and blocks handed over between them. */
#ifndef PEERS_H
#define PEERS_H

#include "autobee/autobee.h"
#include "support/tmpdir.h"

#define PEERS_START_MS 1767225600000ull /* the clock of a new world: 1 January 2026 */

/* The clock of all peers of a test; moves only when a test says so. */
typedef struct {
  uint64_t now_ms;
  uint64_t tick_ms; /* how far it moves at each reading; 0 */
  uint32_t random;
} world_t;

typedef struct {
  world_t *world;
  ab_env_t env;
  char dir[TMPDIR_MAX]; /* "": in memory */
  ab_store_t *store;
  autobee_t *db;
  uint8_t seed; /* of its keys */

  /* what it was told */
  size_t updates, rejected, halted, interrupted, writable, unwritable, frozen;
  bool was_rewritten;
  int status;
  char message[256];
} peer_t;

void
world_init (world_t *world);

/** Options with the peer's event counters; change them before peer_open. */
autobee_options_t
peer_options (peer_t *peer);

/** A new store (in memory if `dir` is NULL) and the database `key`, or with NULL a new one. `options` NULL:
 * peer_options. */
void
peer_open (
  world_t *world,
  peer_t *peer,
  uint8_t seed,
  const char *dir,
  const ab_key_t *key,
  const autobee_options_t *options
);
/** Close and open again; the store must be on disk. */
void
peer_reopen (peer_t *peer, const autobee_options_t *options);
void
peer_close (peer_t *peer);

/** Append one value, a moment later than the last; it must succeed. Returns the node's length. */
uint64_t
peer_append (peer_t *peer, const char *value);
/** The same, with the result. */
int
peer_try (peer_t *peer, const char *value, unsigned flags);
/** `{"addWriter":…}` of another peer, as an indexer. */
void
peer_grant (peer_t *peer, const peer_t *other);
/** The same as a plain writer of this weight. */
void
peer_grant_weight (peer_t *peer, const peer_t *other, unsigned weight);
/** Append `{"removeWriter":…}` of another peer. */
void
peer_remove (peer_t *peer, const peer_t *other);
/** Grant the core `name` of its store, and make that its local writer. */
void
peer_rotate (peer_t *peer, const char *name);
/** The key of its local writer. */
ab_key_t
peer_writer (const peer_t *peer);

/** `count` peers in memory, the first one the founder, the others granted indexers; all know it. */
void
peers_open (world_t *world, peer_t *peers, size_t count);
void
peers_close (peer_t *peers, size_t count);

/** Copy blocks [start, end) of core `key`, which is `length` long then. */
void
peer_copy (peer_t *from, peer_t *to, const ab_key_t *key, uint64_t length, uint64_t start, uint64_t end);
/** Hand over what `from` has written (committed) and announce it; then the receiver updates. */
void
peer_send (peer_t *from, peer_t *to);
/** The same without announcement and update. */
void
peer_hand_over (peer_t *from, peer_t *to);
/** All to all until nothing is new. */
void
peers_mesh (peer_t *peers, size_t count);

void
peer_view_hash (peer_t *peer, uint8_t out[32]);
#define assert_value(peer, key, value) peer_assert_value(peer, key, value, __FILE__, __LINE__)
#define assert_no_value(peer, key) peer_assert_value(peer, key, NULL, __FILE__, __LINE__)
void
peer_assert_value (peer_t *peer, const char *key, const char *value, const char *file, int line);
#define assert_same_view(a, b) peers_assert_same_view(a, b, __FILE__, __LINE__)
void
peers_assert_same_view (peer_t *a, peer_t *b, const char *file, int line);
uint64_t
peer_flushes (peer_t *peer);

#endif

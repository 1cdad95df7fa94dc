/* recorded_peer.h: the peers of a recorded world, and what they hand each other; recorded_compare.c: what
 * they hold, compared with what is recorded. Failures go to vectors_fail. */
#ifndef RECORDED_PEER_H
#define RECORDED_PEER_H

#include "autobee/engine.h"
#include "support/json_v1.h"
#include "support/tmpdir.h"
#include "support/vectors.h"

#define RECORDED_PEERS_MAX 16

typedef struct {
  const char *name;
  json_t *file; /* of peers[] */
  char dir[TMPDIR_MAX];
  ab_store_t *store;
  autobee_t *db;
  bool has_key; /* the database is opened by key */
  ab_key_t key;
  bool has_pair;
  ab_key_pair_t pair;
  ab_key_t primary_key;
  uint64_t now;
  json_v1_t apply;
  json_t *events;
  bool is_skipped;
  bool is_reopened; /* by a step: its store has to be on disk */
  bool has_failed;
} recorded_peer_t;

typedef struct {
  const char *file;
  json_t *root;
  json_t *expected; /* the file that says what happens; mostly root itself */
  bool conformance;
  bool raw_nodes;
  bool queue_limits;
  char dir[TMPDIR_MAX];
  recorded_peer_t peers[RECORDED_PEERS_MAX];
  size_t peer_count;
  json_t *scripted; /* writer key → array of blocks as hex */
  uint64_t clock;
  ab_env_t env;
} recorded_world_t;

void
recorded_hex (char *out, const void *bytes, size_t len);
bool
recorded_ok (const char *what, int err);
bool
recorded_step_is (const json_t *step, const char *op);

/** The peer of this name; NULL, which is a failure, if there is none. */
recorded_peer_t *
recorded_find (recorded_world_t *world, const char *name);
/** One more, as the file describes it, open. */
void
recorded_add (recorded_world_t *world, json_t *file);
bool
recorded_open_store (recorded_world_t *world, recorded_peer_t *peer);
bool
recorded_open_database (recorded_world_t *world, recorded_peer_t *peer);
void
recorded_close (recorded_peer_t *peer);
/** Drain until nothing changes. Returns the drain's error. */
int
recorded_settle (recorded_peer_t *peer);
/** Hand over the blocks of core `key` up to `length`, from whoever has them. */
bool
recorded_receive (recorded_world_t *world, recorded_peer_t *to, const ab_key_t *key, uint64_t length);

/* ---- recorded_compare.c ---- */

void
recorded_check_json (const char *what, const json_t *want, const json_t *found);
/** After a step. Returns the order of the nodes, which is the caller's. */
json_t *
recorded_check_state (recorded_world_t *world, recorded_peer_t *peer, const json_t *want);
/** At the end: heads, order, view, records. */
void
recorded_check_final (recorded_world_t *world, recorded_peer_t *peer, const json_t *want);
/** Its own cores, block by block. */
void
recorded_check_cores (recorded_world_t *world, recorded_peer_t *peer, const json_t *file);

#endif

/* peers.h: writers of one database, each with a store, on a clock that the workload sets. They meet in
 * memory. */
#ifndef PEERS_H
#define PEERS_H

#include "apply/json.h"
#include "bench.h"

#define PEERS_MAX 8
#define PEERS_START_MS 1767225600000ull /* 1 January 2026 */

typedef struct {
  ab_store_t *store;
  autobee_t *db;
  hypercore_t *logs[PEERS_MAX]; /* of all writers, as this one has them */
  ab_json_doc_t json;           /* the memory of its apply */
} bench_peer_t;

typedef struct {
  bench_peer_t peers[PEERS_MAX];
  size_t count;
  ab_key_t key, writers[PEERS_MAX];
  ab_env_t env;
  uint64_t now_ms;
} bench_team_t;

/** Open `count` new stores "w0", "w1" … with one database; the first is its creator and grants all others,
 * and everybody's weight is witnessed. Apply is the reference's. `team` stays where it is. */
void
bench_team_open (const bench_t *bench, bench_team_t *team, size_t count, autobee_apply_fn apply);
void
bench_team_close (bench_team_t *team);

void
bench_team_append (
  bench_team_t *team, size_t writer, uint64_t now_ms, const ab_slice_t *values, size_t count
);

/** Hand over what `from` has of all logs, and apply it. */
void
bench_team_give (bench_team_t *team, size_t from, size_t to);

/** A key's value in the published view; the text is cut at `len`. False if it is not (yet) there. */
bool
bench_read (autobee_t *db, const char *key, char *out, size_t len);
/** BLAKE2b-256 of the view. */
void
bench_view_hash (autobee_t *db, uint8_t out[32]);

#endif

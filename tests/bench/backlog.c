/* backlog.c: how long a large backlog holds the loop at once, and how long local appends wait meanwhile.
 * Every node of the backlog is older than every local one, so each local batch is put behind it again and
 * again. */
#include "peers.h"

#include "support/reference_apply.h"

#include <stdio.h>
#include <stdlib.h>

#define BACKLOG 100000
#define BUDGET_MS 5
#define PAUSE_S 0.05 /* between a local append's end and the next one */

enum { A, B };

typedef struct {
  bench_team_t team;
  autobee_append_t req;
  double asked, ended, longest;
  size_t count;
  bool is_waiting;
} drain_t;

static void
append_backlog (bench_team_t *team, uint64_t n) {
  char text[JSON_VALUE_LEN];
  ab_slice_t value = ab_slice(text, sizeof(text));
  for (uint64_t i = 0; i < n; i++) {
    data_json(7, (uint32_t) i, text);
    bench_team_append(team, A, PEERS_START_MS + i, &value, 1);
  }
}

static void
appended (autobee_append_t *req, int status) {
  drain_t *drain = req->data;
  bench_check(status, "append", drain->team.peers[B].store);
  drain->ended = bench_now();
  if (drain->ended - drain->asked > drain->longest) drain->longest = drain->ended - drain->asked;
  drain->is_waiting = false;
  drain->count++;
}

static void
append_local (drain_t *drain) {
  bench_peer_t *peer = &drain->team.peers[B];
  ab_slice_t value = ab_text("{\"put\":{\"local\":\"x\"}}");
  drain->req = (autobee_append_t){.data = drain};
  drain->asked = bench_now();
  drain->is_waiting = true;
  bench_check(autobee_append_async(peer->db, &drain->req, &value, 1, 0, appended), "append", peer->store);
}

static uint64_t
flushes (const bench_peer_t *peer) {
  autobee_info_t info;
  bench_check(autobee_info(peer->db, &info), "info", peer->store);
  return info.flushes;
}

void
backlog (const bench_t *bench) {
  drain_t *drain = calloc(1, sizeof(*drain));
  uint64_t n = bench->n > 0 ? bench->n : BACKLOG;
  if (drain == NULL) bench_die("out of memory");
  bench_team_t *team = &drain->team;
  bench_team_open(bench, team, 2, reference_apply_batched);
  append_backlog(team, n);
  uint64_t all = flushes(&team->peers[A]);

  /* the log alone; from here on by the system's clock, which the budget is measured with */
  bench_peer_t *peer = &team->peers[B];
  uint64_t own = hypercore_length(peer->logs[A]), length = hypercore_length(team->peers[A].logs[A]);
  bench_check(
    hypercore_pull(peer->logs[A], team->peers[A].logs[A], length, own, length), "pull", peer->store
  );
  bench_check(ab_store_commit(peer->store), "commit", peer->store);
  bench_team_close(team);
  autobee_options_t options = autobee_options_default();
  options.apply = reference_apply_batched;
  options.apply_data = &peer->json;
  peer->store = bench_store(bench, "w1");
  bench_check(autobee_open(peer->store, &team->key, &options, &peer->db), "open", peer->store);
  bench_check(autobee_hint(peer->db, &team->writers[A], length), "hint", peer->store);

  double start = bench_now(), held = 0;
  drain->ended = start;
  while (flushes(peer) < all + drain->count || drain->is_waiting) {
    double turn = bench_now();
    if (!drain->is_waiting && turn > drain->ended + PAUSE_S) append_local(drain);
    turn = bench_now();
    int more = ab_store_run(peer->store, BUDGET_MS, NULL);
    bench_check(more < 0 ? more : 0, "run", peer->store);
    if (bench_now() - turn > held) held = bench_now() - turn;
  }
  double seconds = bench_now() - start;

  char clock[24], extra[160];
  if (!bench_read(peer->db, "clock", clock, sizeof(clock)) || strtoull(clock, NULL, 10) + 1 < n + drain->count)
    bench_die("backlog: the view lacks values");
  snprintf(
    extra,
    sizeof(extra),
    ",\"held_ms\":%.1f,\"local_appends\":%zu,\"local_append_ms\":%.1f",
    held * 1000,
    drain->count,
    drain->longest * 1000
  );
  bench_check(autobee_close(peer->db), "close", peer->store);
  bench_check(ab_store_close(peer->store), "close", NULL);
  ab_json_doc_destroy(&peer->json);
  free(drain);
  bench_print(bench, &(bench_line_t){"backlog", n, seconds, 0, NULL, extra});
}

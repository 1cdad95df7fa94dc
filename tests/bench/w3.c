/* w3.c: W3: eight writers exchange in rounds, then somebody new fetches everything from one of them. */
#include "loopback.h"
#include "peers.h"

#include "support/reference_apply.h"

#include <stdio.h>

#define WRITERS 8
#define ROUND 25

typedef struct {
  uint64_t per_writer;
  struct {
    ab_key_t key;
    char clock[24]; /* what the view says in the end */
    uint8_t hash[32];
  } made;
} group_t;

static void
append_round (bench_team_t *team, size_t writer, uint64_t begin, uint64_t end) {
  for (uint64_t k = begin; k < end; k++) {
    uint64_t i = WRITERS * k + writer;
    char text[JSON_VALUE_LEN];
    ab_slice_t value = ab_slice(text, sizeof(text));
    data_json(1, (uint32_t) i, text);
    bench_team_append(team, writer, PEERS_START_MS + i, &value, 1);
  }
}

static void
exchange (bench_team_t *team, unsigned round) {
  for (size_t w = 0; w < WRITERS; w++) {
    size_t other = w ^ (1u << round % 3);
    if (other < w) continue;
    bench_team_give(team, w, other);
    bench_team_give(team, other, w);
  }
}

static void
write_all (const bench_t *bench, void *data) {
  group_t *group = data;
  bench_team_t team;
  unsigned round = 0;

  bench_team_open(bench, &team, WRITERS, reference_apply);
  for (uint64_t k = 0; k < group->per_writer; k += ROUND, round++) {
    uint64_t end = k + ROUND < group->per_writer ? k + ROUND : group->per_writer;
    for (size_t w = 0; w < WRITERS; w++) append_round(&team, w, k, end);
    exchange(&team, round);
  }
  for (unsigned last = 0; last < 3; last++) exchange(&team, round + last); /* now everybody has everything */
  group->made.key = team.key;
  bench_view_hash(team.peers[0].db, group->made.hash);
  if (!bench_read(team.peers[0].db, "clock", group->made.clock, sizeof(group->made.clock)))
    bench_die("W3: the writers' view has no clock");
  bench_team_close(&team);
}

static void
open_hub (ab_store_t *store, void *data) {
  autobee_options_t options = autobee_options_default();
  autobee_t *db;
  const group_t *group = data;
  options.apply = reference_apply;
  bench_check(autobee_open(store, &group->made.key, &options, &db), "open", store);
  bench_check(autobee_replicate(db), "replicate", store);
}

typedef struct {
  const group_t *group;
  autobee_t *db;
  bool has_changed;
} reader_t;

static void
on_event (autobee_t *db, const autobee_event_t *event, void *data) {
  (void) db;
  if (event->kind == AUTOBEE_EVENT_UPDATE) ((reader_t *) data)->has_changed = true;
}

static bool
has_everything (void *data) {
  reader_t *reader = data;
  char clock[24];
  if (!reader->has_changed) return false;
  reader->has_changed = false;
  return bench_read(reader->db, "clock", clock, sizeof(clock)) &&
         strcmp(clock, reader->group->made.clock) == 0;
}

void
w3 (const bench_t *bench) {
  uint64_t n = bench->n > 0 ? bench->n : 20000;
  group_t group = {.per_writer = (n + WRITERS - 1) / WRITERS};
  double floor = floor_join(bench->dir, n = WRITERS * group.per_writer);
  bench_apart(bench, write_all, &group, &group.made, sizeof(group.made));
  bench_server_t server = bench_serve(bench, "w0", open_hub, &group);
  ab_store_t *store = bench_store(bench, "reader");
  autobee_options_t options = autobee_options_default();
  ab_json_doc_t json = {0};
  reader_t reader = {.group = &group};
  bench_link_t link;
  uint8_t hash[32];

  options.apply = reference_apply;
  options.apply_data = &json;
  options.on_event = on_event;
  options.event_data = &reader;
  bench_check(autobee_open(store, &group.made.key, &options, &reader.db), "open", store);
  bench_check(autobee_replicate(reader.db), "replicate", store);
  double start = bench_now();
  bench_connect(&link, store, server.port);
  bench_run_until(&link, has_everything, &reader);
  double seconds = bench_now() - start;

  bench_view_hash(reader.db, hash);
  if (memcmp(hash, group.made.hash, sizeof(hash)) != 0) bench_die("W3: the reader's view is another one");
  bench_disconnect(&link);
  bench_server_end(&server);
  autobee_info_t info;
  bench_check(autobee_info(reader.db, &info), "info", store);
  bench_check(autobee_close(reader.db), "close", store);
  bench_check(ab_store_close(store), "close", NULL);
  ab_json_doc_destroy(&json);
  char extra[96];
  snprintf(
    extra,
    sizeof(extra),
    ",\"applies\":%llu,\"drains\":%llu",
    (unsigned long long) info.applies,
    (unsigned long long) info.drains
  );
  bench_print(bench, &(bench_line_t){"W3", n, seconds, floor, NULL, extra});
}

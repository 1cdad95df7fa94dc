/* w4.c: W4, W4d: what arrives late belongs before what is applied already. */
#include "loopback.h"
#include "peers.h"

#include "support/reference_apply.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FIRST 3000 /* A's values */
#define LATE 200   /* B's, per 3,000 of A's */
#define CALL 100

enum { A, B };

typedef struct {
  const char *name, *params;
  uint64_t older, n, m;
  ab_key_t key;
  uint64_t clock; /* values that the view has counted before the late ones come */
} story_t;

/* What both have agreed on long before. */
static void
append_older (bench_team_t *team, uint64_t count) {
  static char texts[CALL][JSON_VALUE_LEN];
  ab_slice_t values[CALL];
  for (uint64_t i = 0; i < count;) {
    size_t used = 0;
    for (; used < CALL && i < count; used++, i++) {
      data_json(4, (uint32_t) i, texts[used]);
      values[used] = ab_slice(texts[used], JSON_VALUE_LEN);
    }
    bench_team_append(team, A, PEERS_START_MS, values, used);
  }
  bench_team_give(team, A, B);
}

/* All but A's last values. */
static void
write_late (const bench_t *bench, void *data) {
  story_t *story = data;
  bench_team_t team;

  bench_team_open(bench, &team, 2, reference_apply_batched);
  append_older(&team, story->older);
  for (uint64_t i = 0; i < story->m; i++) {
    char text[JSON_VALUE_LEN];
    ab_slice_t value = ab_slice(text, sizeof(text));
    data_json(1, (uint32_t) i, text);
    bench_team_append(&team, B, PEERS_START_MS + 1 + i, &value, 1);
  }
  story->key = team.key;
  bench_team_close(&team);
}

/* A's, which has not heard of B's; its clock is the system's, and so later. */
static void
append_first (autobee_t *db, story_t *story) {
  char clock[24];
  for (uint64_t i = 0; i < story->n; i++) {
    char text[JSON_VALUE_LEN];
    ab_slice_t value = ab_slice(text, sizeof(text));
    data_json(1, (uint32_t) (story->m + i), text);
    bench_check(autobee_append(db, &value, 1, 0, NULL), "append", autobee_store(db));
  }
  if (!bench_read(db, "clock", clock, sizeof(clock))) bench_die("W4: the view has no clock");
  story->clock = strtoull(clock, NULL, 10);
}

static void
open_late (ab_store_t *store, void *data) {
  const story_t *story = data;
  autobee_options_t options = autobee_options_default();
  autobee_t *db;
  options.apply = reference_apply_batched;
  bench_check(autobee_open(store, &story->key, &options, &db), "open", store);
  bench_check(autobee_replicate(db), "replicate", store);
}

typedef struct {
  const story_t *story;
  autobee_t *db;
  bool has_changed;
} peer_t;

static void
on_event (autobee_t *db, const autobee_event_t *event, void *data) {
  (void) db;
  if (event->kind == AUTOBEE_EVENT_UPDATE) ((peer_t *) data)->has_changed = true;
}

static bool
has_everything (void *data) {
  peer_t *peer = data;
  char clock[24];
  if (!peer->has_changed || !bench_read(peer->db, "clock", clock, sizeof(clock))) return false;
  peer->has_changed = false;
  return strtoull(clock, NULL, 10) == peer->story->clock + peer->story->m;
}

/* All values stand in the order of their numbers: A's last is the newest, and B's first came right after what
 * was agreed. */
static void
check_order (const peer_t *peer) {
  const story_t *story = peer->story;
  char latest[JSON_VALUE_LEN + 1], expected[JSON_VALUE_LEN + 1] = "", key[24], name[AB_KEY_TEXT_LEN + 32];
  data_json(1, (uint32_t) (story->m + story->n - 1), expected);
  if (!bench_read(peer->db, "latest", latest, sizeof(latest)) || strcmp(latest, expected) != 0)
    bench_die("W4: the newest value is another one");
  ab_head_t local;
  char own[65];
  autobee_local(peer->db, &local);
  for (int i = 0; i < 32; i++) snprintf(own + 2 * i, 3, "%02x", local.key.bytes[i]);
  for (uint64_t i = 0; i < story->m + story->n; i++) {
    uint64_t at = story->clock - story->n + 1 + i;
    snprintf(key, sizeof(key), "#%06llu", (unsigned long long) at);
    if (!bench_read(peer->db, key, name, sizeof(name))) bench_die("W4: value %s is missing", key);
    if ((memcmp(name, own, 64) == 0) != (i >= story->m))
      bench_die("W4: value %s is of the other writer", key);
  }
}

static void
reorder (const bench_t *bench, void *data) {
  story_t *story = data;
  double floor = floor_reorder(bench->dir, story->n + story->m, bench->durable);
  bench_apart(bench, write_late, story, &story->key, sizeof(story->key));
  bench_server_t server = bench_serve(bench, "w1", open_late, story);
  ab_store_t *store = bench_store(bench, "w0");
  autobee_options_t options = autobee_options_default();
  ab_json_doc_t json = {0};
  peer_t peer = {.story = story};
  bench_link_t link;
  autobee_info_t info;
  char extra[96];

  options.apply = reference_apply_batched;
  options.apply_data = &json;
  options.on_event = on_event;
  options.event_data = &peer;
  bench_check(autobee_open(store, NULL, &options, &peer.db), "open", store);
  append_first(peer.db, story);
  bench_check(autobee_replicate(peer.db), "replicate", store);
  sync(); /* or the disk is still busy with what is older */
  double start = bench_now();
  bench_connect(&link, store, server.port);
  bench_run_until(&link, has_everything, &peer);
  double seconds = bench_now() - start;

  check_order(&peer);
  bench_check(autobee_info(peer.db, &info), "info", store);
  bench_disconnect(&link);
  bench_server_end(&server);
  bench_check(autobee_close(peer.db), "close", store);
  bench_check(ab_store_close(store), "close", NULL);
  ab_json_doc_destroy(&json);
  snprintf(
    extra,
    sizeof(extra),
    ",\"applies\":%llu,\"undos\":%llu",
    (unsigned long long) info.applies,
    (unsigned long long) info.undos
  );
  bench_print(bench, &(bench_line_t){story->name, story->n + story->m, seconds, floor, story->params, extra});
}

void
w4 (const bench_t *bench) {
  uint64_t n = bench->n > 0 ? bench->n : FIRST;
  story_t story = {.name = "W4", .n = n, .m = n * LATE / FIRST > 0 ? n * LATE / FIRST : 1};
  reorder(bench, &story);
}

/* Each in a process of its own, or the later ones find the memory that the earlier ones left. */
void
w4d (const bench_t *bench) {
  uint64_t most = bench->n > 0 ? bench->n : 1000000;
  for (uint64_t older = most / 1000; older <= most && older > 0; older *= 10) {
    bench_t own = *bench;
    char dir[512], params[48];
    story_t story = {.name = "W4d", .params = params, .older = older, .n = FIRST, .m = LATE};
    snprintf(dir, sizeof(dir), "%s/%llu", bench->dir, (unsigned long long) older);
    bench_make_folder(dir);
    own.dir = dir;
    snprintf(params, sizeof(params), ",\"older\":%llu", (unsigned long long) older);
    bench_apart(&own, reorder, &story, NULL, 0);
  }
}

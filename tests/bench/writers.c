/* writers.c: what a database costs that has many writers on record, most of which are silent: a process opens
 * it, connects, and takes in the newest batch of one that writes from time to time.
 *
 * Measured with as many writers as are active, and with a hundred times as many, in turn. Every measurement
 * is a process of its own, on a database that no other process has opened since it was written.
 */
#include "loopback.h"
#include "peers.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define ACTIVE 100
#define ROUNDS 10
#define GRANTS 1000 /* in one append */
#define RUNS 5
#define NEWS "news"

/* ---- making it ---- */

typedef struct {
  ab_store_t *store;
  autobee_t *db;
  ab_key_t writer;
} member_t;

typedef struct {
  member_t founder, active[ACTIVE];
  ab_key_t key;
  bool is_indexers; /* all of them */
} group_t;

static void
open_member (group_t *group, member_t *member, ab_store_t *store) {
  bool is_founder = member == &group->founder;
  ab_head_t local;
  member->store = store;
  bench_check(autobee_open(store, is_founder ? NULL : &group->key, NULL, &member->db), "open", store);
  if (is_founder) autobee_key(member->db, &group->key);
  autobee_local(member->db, &local);
  member->writer = local.key;
}

static void
close_member (member_t *member) {
  bench_check(autobee_close(member->db), "close", member->store);
  bench_check(ab_store_close(member->store), "close", NULL);
}

static ab_store_t *
store_in_memory (void) {
  ab_store_options_t options = ab_store_options_default();
  ab_store_t *store;
  char message[256] = "";
  if (ab_store_open(NULL, &options, &store, message, sizeof(message)) < 0) bench_die("%s", message);
  return store;
}

static hypercore_t *
open_log (member_t *member, const ab_key_t *writer) {
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *log;
  options.key = writer;
  bench_check(hypercore_open(member->store, &options, &log), "open log", member->store);
  return log;
}

static void
give_log (member_t *from, member_t *to, const ab_key_t *writer) {
  hypercore_t *source = open_log(from, writer), *log = open_log(to, writer);
  uint64_t length = hypercore_length(source), own = hypercore_length(log);
  if (length > own) {
    bench_check(hypercore_pull(log, source, length, own, length), "pull", to->store);
    bench_check(autobee_hint(to->db, writer, length), "hint", to->store);
  }
  hypercore_close(source);
  hypercore_close(log);
}

/* Everything that the founder has. */
static void
catch_up (group_t *group, member_t *member) {
  give_log(&group->founder, member, &group->founder.writer);
  for (size_t i = 0; i < ACTIVE; i++) give_log(&group->founder, member, &group->active[i].writer);
  bench_check(autobee_update(member->db), "update", member->store);
}

static void
append (member_t *member, const ab_slice_t *values, size_t count) {
  bench_check(autobee_append(member->db, values, count, 0, NULL), "append", member->store);
}

/* On top of what the founder has, and to it. */
static void
append_active (group_t *group, member_t *member, const char *text) {
  ab_slice_t value = ab_text(text);
  catch_up(group, member);
  append(member, &value, 1);
  give_log(member, &group->founder, &member->writer);
  bench_check(autobee_update(group->founder.db), "update", group->founder.store);
}

static void
say_grant (const group_t *group, const ab_key_t *writer, char out[128]) {
  char key[AB_KEY_TEXT_LEN + 1];
  ab_key_to_text(writer, key);
  snprintf(out, 128, "{\"addWriter\":\"%s\",\"isIndexer\":%s}", key, group->is_indexers ? "true" : "false");
}

static void
grant_active (group_t *group) {
  char texts[ACTIVE][128];
  ab_slice_t values[ACTIVE];
  for (size_t i = 0; i < ACTIVE; i++) {
    say_grant(group, &group->active[i].writer, texts[i]);
    values[i] = ab_text(texts[i]);
  }
  append(&group->founder, values, ACTIVE);
}

static void
grant_silent (group_t *group, uint64_t count, rng_t *random) {
  static char texts[GRANTS][128];
  ab_slice_t values[GRANTS];
  while (count > 0) {
    size_t n = 0;
    for (; n < GRANTS && count > 0; n++, count--) {
      ab_key_t writer;
      for (size_t i = 0; i < sizeof(writer.bytes); i++) writer.bytes[i] = (uint8_t) rng_next(random);
      say_grant(group, &writer, texts[n]);
      values[n] = ab_text(texts[n]);
    }
    append(&group->founder, values, n);
  }
}

static void
reader_name (char out[24], unsigned run) {
  snprintf(out, 24, "reader-%u", run);
}

typedef struct {
  uint64_t count; /* writers on record */
  bool is_indexers;
  ab_key_t key;
} made_t;

static void
make (const bench_t *bench, void *data) {
  made_t *made = data;
  group_t *group = calloc(1, sizeof(*group));
  rng_t random = rng(100);
  if (group == NULL) bench_die("out of memory");
  group->is_indexers = made->is_indexers;
  open_member(group, &group->founder, bench_store(bench, "founder"));
  for (size_t i = 0; i < ACTIVE; i++) open_member(group, &group->active[i], store_in_memory());

  grant_active(group);
  for (size_t i = 0; i < ACTIVE; i++)
    append_active(group, &group->active[i], "{\"put\":{\"first\":\"words\"}}");
  for (size_t round = 0; round < ROUNDS; round++) {
    uint64_t silent = made->count - ACTIVE;
    grant_silent(group, silent * (round + 1) / ROUNDS - silent * round / ROUNDS, &random);
    append_active(group, &group->active[round], "{\"put\":{\"round\":\"over\"}}");
  }
  append_active(
    group, &group->active[0], "{\"put\":{\"" NEWS "\":\"soon\"}}"
  ); /* attests the grants it has not yet */
  for (unsigned run = 0; run < RUNS; run++) {
    member_t reader;
    char name[24];
    reader_name(name, run);
    open_member(group, &reader, bench_store(bench, name));
    catch_up(group, &reader);
    close_member(&reader);
  }
  append_active(group, &group->active[0], "{\"put\":{\"" NEWS "\":\"yes\"}}");

  made->key = group->key;
  for (size_t i = 0; i < ACTIVE; i++) close_member(&group->active[i]);
  close_member(&group->founder);
  free(group);
}

/* ---- measuring ---- */

typedef struct {
  double seconds, open_seconds;
  double held; /* the longest turn of the loop, seconds */
  double rss_mb, heap_mb;
} figures_t;

typedef struct {
  const made_t *made;
  unsigned run, port;
  figures_t figures;
} reading_t;

static void
note_update (autobee_t *db, const autobee_event_t *event, void *data) {
  (void) db;
  if (event->kind == AUTOBEE_EVENT_UPDATE) *(bool *) data = true;
}

static double
heap_mb (void) {
  struct mallinfo2 info = mallinfo2();
  return (double) (info.arena + info.hblkhd) / (1 << 20);
}

static void
turn (bench_link_t *link, figures_t *figures) {
  double start = bench_now();
  uv_run(&link->loop, UV_RUN_NOWAIT); /* never waits: what it takes is what others wait */
  double held = bench_now() - start, heap = heap_mb();
  if (held > figures->held) figures->held = held;
  if (heap > figures->heap_mb) figures->heap_mb = heap;
}

static void
read_news (const bench_t *bench, void *data) {
  reading_t *reading = data;
  figures_t *figures = &reading->figures;
  autobee_options_t options = autobee_options_default();
  bool has_changed = false;
  bench_link_t link;
  autobee_t *db;
  struct rusage usage;
  char name[24], value[8];
  reader_name(name, reading->run);
  options.on_event = note_update;
  options.event_data = &has_changed;

  double start = bench_now();
  ab_store_t *store = bench_store(bench, name);
  bench_check(autobee_open(store, &reading->made->key, &options, &db), "open", store);
  figures->open_seconds = bench_now() - start;
  figures->heap_mb = heap_mb();
  bench_check(autobee_replicate(db), "replicate", store);
  bench_connect(&link, store, reading->port);
  while (!has_changed || !bench_read(db, NEWS, value, sizeof(value)) || strcmp(value, "yes") != 0) {
    turn(&link, figures);
    if (bench_now() > start + 60) bench_die("writers: the newest batch does not come");
  }
  figures->seconds = bench_now() - start;

  getrusage(RUSAGE_SELF, &usage);
  figures->rss_mb = (double) usage.ru_maxrss / 1024;
  bench_disconnect(&link);
  bench_check(autobee_close(db), "close", store);
  bench_check(ab_store_close(store), "close", NULL);
}

static void
open_served (ab_store_t *store, void *data) {
  autobee_t *db;
  bench_check(autobee_open(store, &((made_t *) data)->key, NULL, &db), "open", store);
  bench_check(autobee_replicate(db), "replicate", store);
}

static int
by_seconds (const void *a, const void *b) {
  double x = ((const figures_t *) a)->seconds, y = ((const figures_t *) b)->seconds;
  return (x > y) - (x < y);
}

static void
print_median (const bench_t *bench, const made_t *made, const figures_t *median, double ratio) {
  char params[64], extra[160];
  int len = snprintf(
    extra,
    sizeof(extra),
    ",\"open_ms\":%.2f,\"held_ms\":%.2f,\"peak_rss_mb\":%.1f,\"peak_heap_mb\":%.1f",
    median->open_seconds * 1000,
    median->held * 1000,
    median->rss_mb,
    median->heap_mb
  );
  if (ratio > 0) snprintf(extra + len, sizeof(extra) - (size_t) len, ",\"ratio\":%.2f", ratio);
  snprintf(
    params, sizeof(params), ",\"active\":%d,\"indexers\":%s", ACTIVE, made->is_indexers ? "true" : "false"
  );
  bench_print(bench, &(bench_line_t){"writers", made->count, median->seconds, 0, params, extra});
}

static void
compare (const bench_t *bench, uint64_t most, bool is_indexers) {
  made_t made[2] = {{ACTIVE, is_indexers, {{0}}}, {most, is_indexers, {{0}}}};
  figures_t figures[2][RUNS];
  bench_server_t servers[2];
  char dirs[2][512];
  bench_t own[2] = {*bench, *bench};
  for (size_t i = 0; i < 2; i++) {
    snprintf(dirs[i], sizeof(dirs[i]), "%s/%s-%zu", bench->dir, is_indexers ? "indexers" : "plain", i);
    own[i].dir = dirs[i];
    bench_make_folder(dirs[i]);
    bench_t durably = own[i]; /* or the first connection pays for the sync of all of it */
    durably.durable = true;
    bench_apart(&durably, make, &made[i], &made[i].key, sizeof(made[i].key));
  }
  for (size_t i = 0; i < 2; i++) servers[i] = bench_serve(&own[i], "founder", open_served, &made[i]);
  for (unsigned run = 0; run < RUNS; run++) {
    for (size_t i = 0; i < 2; i++) {
      reading_t reading = {.made = &made[i], .run = run, .port = servers[i].port};
      bench_apart(&own[i], read_news, &reading, &reading.figures, sizeof(reading.figures));
      figures[i][run] = reading.figures;
    }
  }
  for (size_t i = 2; i > 0; i--) bench_server_end(&servers[i - 1]); /* the later one holds the earlier one */
  for (size_t i = 0; i < 2; i++) {
    qsort(figures[i], RUNS, sizeof(figures_t), by_seconds);
    const figures_t *median = &figures[i][RUNS / 2];
    print_median(&own[i], &made[i], median, i == 0 ? 0 : median->seconds / figures[0][RUNS / 2].seconds);
  }
}

void
writers (const bench_t *bench) {
  uint64_t most = bench->n > ACTIVE ? bench->n : 100 * ACTIVE;
  compare(bench, most, false);
  compare(bench, most, true);
}

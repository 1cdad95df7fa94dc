/* w8.c: W8, W12: a database of 50,000 values, opened by a new process, and joined by a new peer. */
#include "loopback.h"
#include "peers.h"

#include "support/reference_apply.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALL 100

typedef struct {
  uint64_t n;
  ab_key_t key;
  char last[JSON_VALUE_LEN + 1];
} written_t;

static void
open_db (ab_store_t *store, const ab_key_t *key, autobee_t **db) {
  autobee_options_t options = autobee_options_default();
  options.apply = reference_apply;
  options.fast_forward = options.sparse = true;
  bench_check(autobee_open(store, key, &options, db), "open", store);
}

static void
write_values (const bench_t *bench, void *data) {
  static char texts[CALL][JSON_VALUE_LEN];
  written_t *written = data;
  ab_store_t *store = bench_store(bench, "store");
  autobee_t *db;
  open_db(store, NULL, &db);
  for (uint64_t i = 0; i < written->n;) {
    ab_slice_t values[CALL];
    size_t count = 0;
    for (; count < CALL && i < written->n; count++, i++) {
      data_json(1, (uint32_t) i, texts[count]);
      values[count] = ab_slice(texts[count], JSON_VALUE_LEN);
    }
    bench_check(autobee_append(db, values, count, 0, NULL), "append", store);
  }
  autobee_key(db, &written->key);
  bench_check(autobee_close(db), "close", store);
  bench_check(ab_store_close(store), "close", NULL);
}

static written_t
make_database (const bench_t *bench) {
  written_t written = {.n = bench->n > 0 ? bench->n : 50000};
  bench_apart(bench, write_values, &written, &written.key, sizeof(written.key));
  data_json(1, (uint32_t) written.n - 1, written.last);
  return written;
}

/* ---- W8 ---- */

typedef struct {
  double begun, opened, answered; /* by the clock that all processes share */
  char latest[JSON_VALUE_LEN + 1];
} first_get_t;

void
w8_first_get (const char *dir) {
  bench_t bench = {.dir = dir};
  first_get_t result = {.begun = bench_now()};
  ab_store_t *store = bench_store(&bench, "store");
  autobee_t *db;
  open_db(store, NULL, &db);
  result.opened = bench_now();
  if (!bench_read(db, "latest", result.latest, sizeof(result.latest))) bench_die("W8: the view is empty");
  result.answered = bench_now();
  if (write(STDOUT_FILENO, &result, sizeof(result)) != (ssize_t) sizeof(result)) exit(1);
  bench_check(autobee_close(db), "close", store);
  bench_check(ab_store_close(store), "close", NULL);
}

void
w8 (const bench_t *bench) {
  written_t written = make_database(bench);
  first_get_t result = {0};
  char option[512], extra[96];
  int ends[2], status = 1;

  snprintf(option, sizeof(option), "--first-get=%s", bench->dir);
  if (pipe(ends) < 0) bench_die("no pipe");
  double start = bench_now();
  pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    execl("/proc/self/exe", "bench", option, (char *) NULL);
    _exit(127);
  }
  close(ends[1]);
  ssize_t got = child < 0 ? -1 : read(ends[0], &result, sizeof(result));
  close(ends[0]);
  if (child > 0) waitpid(child, &status, 0);
  if (got != (ssize_t) sizeof(result) || status != 0) bench_die("W8: the new process failed");
  if (strcmp(result.latest, written.last) != 0) bench_die("W8: the last value is wrong");
  snprintf(
    extra,
    sizeof(extra),
    ",\"open_seconds\":%.6f,\"main_seconds\":%.6f",
    result.opened - start,
    result.begun - start
  );
  bench_print(bench, &(bench_line_t){"W8", 1, result.answered - start, 0, NULL, extra});
}

/* ---- W12 ---- */

static void
open_served (ab_store_t *store, void *data) {
  autobee_t *db;
  (void) data;
  open_db(store, NULL, &db);
  bench_check(autobee_replicate(db), "replicate", store);
}

typedef struct {
  const written_t *written;
  bench_link_t link;
  autobee_t *db;
} joiner_t;

static bool
has_last (void *data) {
  joiner_t *joiner = data;
  char latest[JSON_VALUE_LEN + 1];
  bool is_last =
    bench_read(joiner->db, "latest", latest, sizeof(latest)) && strcmp(latest, joiner->written->last) == 0;
  if (!is_last) ab_uv_wake(joiner->link.uv); /* what the read missed */
  return is_last;
}

void
w12 (const bench_t *bench) {
  written_t written = make_database(bench);
  bench_server_t server = bench_serve(bench, "store", open_served, NULL);
  ab_store_t *store = bench_store(bench, "joiner");
  joiner_t joiner = {.written = &written};
  autobee_info_t info;
  char extra[96];

  open_db(store, &written.key, &joiner.db);
  bench_check(autobee_replicate(joiner.db), "replicate", store);
  double start = bench_now();
  bench_connect(&joiner.link, store, server.port);
  bench_run_until(&joiner.link, has_last, &joiner);
  double seconds = bench_now() - start;

  bench_check(autobee_info(joiner.db, &info), "info", store);
  snprintf(
    extra,
    sizeof(extra),
    ",\"bytes_in\":%llu,\"fast_forwards\":%llu",
    (unsigned long long) bench_link_stats(&joiner.link).bytes_in,
    (unsigned long long) info.fast_forwards
  );
  bench_print(bench, &(bench_line_t){"W12", 1, seconds, 0, NULL, extra});
  bench_disconnect(&joiner.link);
  bench_server_end(&server);
  bench_check(autobee_close(joiner.db), "close", store);
  bench_check(ab_store_close(store), "close", NULL);
}

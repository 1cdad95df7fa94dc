/* w7_net.c: W7, network part: a log that another process serves. */
#include "loopback.h"

#include <stdio.h>
#include <stdlib.h>

#define SEED 77

typedef struct {
  uint64_t n;
  size_t size;
  ab_key_t key;
} log_t;

static void
append_blocks (const bench_t *bench, void *data) {
  log_t *log = data;
  ab_store_t *store = bench_store(bench, "sender");
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core;
  char *block = malloc(log->size);

  options.name = ab_text("bench");
  bench_check(hypercore_open(store, &options, &core), "open core", store);
  if (block == NULL) bench_die("out of memory");
  for (uint64_t i = 0; i < log->n; i++) {
    ab_slice_t value = ab_slice(block, log->size);
    data_text(SEED, (uint32_t) i, block, log->size);
    bench_check(hypercore_append(core, &value, 1, NULL), "append", store);
    if (ab_store_staged(store) > (16u << 20)) bench_check(ab_store_commit(store), "commit", store);
  }
  log->key = *hypercore_key(core);
  hypercore_close(core);
  bench_check(ab_store_close(store), "close", NULL);
  free(block);
}

static void
on_downloaded (hypercore_download_t *download, int status) {
  if (status < 0) bench_die("W7: download: %s", ab_strerror(status));
  *(bool *) download->data = true;
}

static bool
is_true (void *data) {
  return *(bool *) data;
}

static void
check_blocks (ab_store_t *store, hypercore_t *core, const log_t *log) {
  char *expected = malloc(log->size);
  uint64_t step = log->n > 1000 ? log->n / 1000 : 1;
  if (expected == NULL) bench_die("out of memory");
  if (hypercore_contiguous_length(core) != log->n) bench_die("W7: blocks are missing");
  for (uint64_t i = 0; i < log->n; i += step) {
    ab_slice_t block;
    data_text(SEED, (uint32_t) i, expected, log->size);
    bench_check(hypercore_get(core, i, &block), "get", store);
    if (!ab_slice_equal(block, ab_slice(expected, log->size))) bench_die("W7: a block is wrong");
  }
  free(expected);
}

static void
download (const bench_t *bench, const char *name, uint64_t n, size_t size) {
  log_t log = {.n = n, .size = size};
  double floor = floor_net(bench->dir, n, size);
  bench_apart(bench, append_blocks, &log, &log.key, sizeof(log.key));
  bench_server_t server = bench_serve(bench, "sender", NULL, NULL);
  ab_store_t *store = bench_store(bench, "receiver");
  hypercore_options_t options = hypercore_options_default();
  hypercore_download_t request;
  hypercore_t *core;
  bench_link_t link;
  bool is_done = false;

  options.key = &log.key;
  bench_check(hypercore_open(store, &options, &core), "open core", store);
  request.data = &is_done;
  bench_check(hypercore_download(&request, core, 0, n, on_downloaded), "download", store);
  double start = bench_now();
  bench_connect(&link, store, server.port);
  bench_run_until(&link, is_true, &is_done);
  double seconds = bench_now() - start;

  check_blocks(store, core, &log);
  bench_disconnect(&link);
  bench_server_end(&server);
  hypercore_close(core);
  bench_check(ab_store_close(store), "close", NULL);
  char extra[64];
  snprintf(extra, sizeof(extra), ",\"mb_per_s\":%.1f", (double) (n * size) / seconds / 1e6);
  bench_print(bench, &(bench_line_t){name, n, seconds, floor, NULL, extra});
}

void
w7_net_1k (const bench_t *bench) {
  download(bench, "W7.net-1k", bench->n > 0 ? bench->n : 50000, 1024);
}

void
w7_net_256k (const bench_t *bench) {
  download(bench, "W7.net-256k", bench->n > 0 ? bench->n : 1000, 256 * 1024);
}

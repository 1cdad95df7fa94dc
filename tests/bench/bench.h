/* bench.h: what the workloads share. One JSON line per workload and run; see bench_print in bench.c.
 *
 *   data.c   the bytes that every implementation of these workloads uses
 *   floor*.c the work a workload cannot avoid, done back to back with libsodium, LMDB and Lua alone
 *   peers.c  writers of one database that meet in memory
 *   loopback.c, relay.c  processes that talk over loopback TCP
 *   w*.c     the workloads
 */
#ifndef BENCH_H
#define BENCH_H

#include <autobee/autobee.h>
#include <lmdb.h>

/* ---- data ---- */

#define JSON_VALUE_LEN 100
#define KEY_LEN 16

typedef struct {
  uint32_t state;
} rng_t;

rng_t
rng (uint32_t seed);
uint32_t
rng_next (rng_t *rng);
uint32_t
rng_below (rng_t *rng, uint32_t n);
uint32_t
mix32 (uint32_t z);
/** Exactly JSON_VALUE_LEN bytes: {"id":<i>,"text":"…"}. */
void
data_json (uint32_t seed, uint32_t i, char out[JSON_VALUE_LEN]);
/** Unique, spread. */
void
data_key (uint32_t i, char out[KEY_LEN]);
/** Ascending. */
void
data_seqkey (uint32_t i, char out[KEY_LEN]);
/** `size` letters. */
void
data_text (uint32_t seed, uint32_t i, char *out, size_t size);

/* ---- one run ---- */

typedef struct {
  const char *dir; /* empty folder of this run, on a real disk */
  uint64_t n;      /* 0: the workload's own */
  bool durable;
} bench_t;

double
bench_now (void); /* seconds, monotonic */

typedef struct {
  const char *workload;
  uint64_t n;
  double seconds;
  double floor_ops_per_s;
  const char *params; /* members after "durable", each with a leading comma; NULL: none */
  const char *extra;  /* members after "fs", likewise */
} bench_line_t;

void
bench_print (const bench_t *bench, const bench_line_t *line);

/** Print the text and end the program with 1: a wrong answer is not a figure. */
_Noreturn void
bench_die (const char *format, ...);

/** Die with the store's message unless `err` is 0. */
void
bench_check (int err, const char *what, ab_store_t *store);

ab_store_t *
bench_store (const bench_t *bench, const char *name);
/** With another clock. */
ab_store_t *
bench_store_at (const bench_t *bench, const char *name, const ab_env_t *env);

void
bench_make_folder (const char *dir);
void
bench_remove_folder (const char *dir);

/** Run `make` in a process of its own, so that its memory is not counted as the workload's, and take over the
 * `len` bytes at `result`, a part of what `data` points to. */
void
bench_apart (
  const bench_t *bench, void (*make)(const bench_t *bench, void *data), void *data, void *result, size_t len
);

/* ---- floors: units per second ---- */

double
floor_single (const char *dir, uint64_t n, bool durable); /* W1: three cores */
double
floor_log_single (const char *dir, uint64_t n, bool durable); /* W6, W7: one core */
double
floor_reorder (const char *dir, uint64_t n, bool durable); /* W4: values, each applied by itself */
double
floor_calls (const char *dir, uint64_t n, bool batched, bool durable); /* W2, W2b: values, 100 per call */
double
floor_log_one_call (const char *dir, uint64_t n);
double
floor_log_get (const char *dir, uint64_t n);

double
floor_lua (uint64_t n); /* W2L: values */
double
floor_net (const char *dir, uint64_t n, size_t size); /* W7 network: blocks */
double
floor_join (const char *dir, uint64_t n); /* W3: values */

typedef struct {
  double put, get_warm, get_cold, scan;
} floor_tree_t;

floor_tree_t
floor_tree (const char *dir, uint64_t n, bool ascending);

void
floor_rates (const char *dir); /* signing, hashing, LMDB: one line each */

/* ---- workloads ---- */

void
w1 (const bench_t *bench);
void
w2 (const bench_t *bench);
void
w2b (const bench_t *bench);
void
w2l (const bench_t *bench);
void
w3 (const bench_t *bench);
void
w4 (const bench_t *bench);
void
w4d (const bench_t *bench);
void
w5 (const bench_t *bench);
void
w6 (const bench_t *bench);
void
w7 (const bench_t *bench);
void
w7_net_1k (const bench_t *bench);
void
w7_net_256k (const bench_t *bench);
void
backlog (const bench_t *bench);
void
writers (const bench_t *bench);
void
w8 (const bench_t *bench);
void
w8_first_get (const char *dir); /* the new process of W8 */
void
w9 (const bench_t *bench);
void
w9b (const bench_t *bench);
void
w10 (const bench_t *bench);
void
w11 (const bench_t *bench);
void
w12 (const bench_t *bench);

#endif

/* bench.c: picks the workloads, gives each a fresh folder, prints their lines.
 *
 *   bench W1 W2 … [--n=N] [--runs=R] [--durable] [--dir=FOLDER]      or: bench floor
 */
#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct {
  const char *name;
  void (*run)(const bench_t *bench);
  bool both_ways; /* always reported durable as well */
} workloads[] = {
  {"W1", w1, true},
  {"W2", w2, false},
  {"W2b", w2b, false},
  {"W2L", w2l, false},
  {"W3", w3, false},
  {"W4", w4, false},
  {"W4d", w4d, false},
  {"W5", w5, false},
  {"W6", w6, true},
  {"W7", w7, false},
  {"W7.net-1k", w7_net_1k, false},
  {"W7.net-256k", w7_net_256k, false},
  {"W8", w8, false},
  {"W9", w9, false},
  {"W9b", w9b, false},
  {"W10", w10, false},
  {"W11", w11, false},
  {"W12", w12, false},
  {"backlog", backlog, false},
  {"writers", writers, false},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

double
bench_now (void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

_Noreturn void
bench_die (const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("bench: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  exit(1);
}

void
bench_check (int err, const char *what, ab_store_t *store) {
  if (err == 0) return;
  bench_die("%s: %s (%s)", what, ab_strerror(err), store == NULL ? "" : ab_store_errmsg(store));
}

ab_store_t *
bench_store (const bench_t *bench, const char *name) {
  return bench_store_at(bench, name, NULL);
}

ab_store_t *
bench_store_at (const bench_t *bench, const char *name, const ab_env_t *env) {
  char path[512], message[256] = "";
  ab_store_options_t options = ab_store_options_default();
  ab_store_t *store;

  options.relaxed = !bench->durable;
  options.env = env;
  snprintf(path, sizeof(path), "%s/%s", bench->dir, name);
  int err = ab_store_open(path, &options, &store, message, sizeof(message));
  if (err < 0) bench_die("open %s: %s", path, message);
  return store;
}

void
bench_apart (
  const bench_t *bench, void (*make)(const bench_t *, void *), void *data, void *result, size_t len
) {
  int ends[2], status = 1;
  fflush(NULL);
  if (pipe(ends) < 0) bench_die("no pipe");
  pid_t child = fork();
  if (child < 0) bench_die("no process");
  if (child == 0) {
    make(bench, data);
    _exit(write(ends[1], result, len) == (ssize_t) len ? 0 : 1);
  }
  close(ends[1]);
  ssize_t got = read(ends[0], result, len);
  close(ends[0]);
  waitpid(child, &status, 0);
  if (got != (ssize_t) len || status != 0) bench_die("what the workload needs could not be made");
}

static const char *
fs_name (const char *path) {
  struct statfs fs;
  if (statfs(path, &fs) < 0) return "unknown";
  switch ((unsigned long) fs.f_type) {
  case 0xef53:
    return "ext4";
  case 0x58465342:
    return "xfs";
  case 0x9123683e:
    return "btrfs";
  case 0x01021994:
    return "tmpfs";
  case 0x794c7630:
    return "overlay";
  case 0x6a656a63:
    return "fakeowner";
  default:
    return "other";
  }
}

static uint64_t
disk_bytes (const char *dir) {
  uint64_t total = 0;
  DIR *folder = opendir(dir);
  if (folder == NULL) return 0;
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    char path[1024];
    struct stat info;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
    if (lstat(path, &info) < 0) continue;
    total += S_ISDIR(info.st_mode) ? disk_bytes(path) : (uint64_t) info.st_blocks * 512;
  }
  closedir(folder);
  return total;
}

void
bench_print (const bench_t *bench, const bench_line_t *line) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  double rate = (double) line->n / line->seconds;
  printf(
    "{\"workload\":\"%s\",\"n\":%llu,\"seconds\":%.6f,\"ops_per_s\":%.0f,\"rss_mb\":%.1f,\"disk_bytes\":%llu,"
    "\"floor_ops_per_s\":%.0f,\"of_floor\":%.3f,\"params\":{\"durable\":%s%s},\"extra\":{\"fs\":\"%s\"%s}}\n",
    line->workload,
    (unsigned long long) line->n,
    line->seconds,
    rate,
    (double) usage.ru_maxrss / 1024,
    (unsigned long long) disk_bytes(bench->dir),
    line->floor_ops_per_s,
    line->floor_ops_per_s > 0 ? rate / line->floor_ops_per_s : 0,
    bench->durable ? "true" : "false",
    line->params == NULL ? "" : line->params,
    fs_name(bench->dir),
    line->extra == NULL ? "" : line->extra
  );
  fflush(stdout);
}

void
bench_make_folder (const char *dir) {
  if (mkdir(dir, 0700) < 0) bench_die("cannot make %s: %s", dir, strerror(errno));
}

void
bench_remove_folder (const char *dir) {
  DIR *folder = opendir(dir);
  if (folder == NULL) return;
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    char path[1024];
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
    if (unlink(path) < 0 && (errno == EISDIR || errno == EPERM)) bench_remove_folder(path);
  }
  closedir(folder);
  rmdir(dir);
}

/* A process of its own, so that the peak memory is this workload's. */
static int
run_one (void (*run)(const bench_t *), const char *base, uint64_t n, bool durable) {
  char dir[400];
  int status = 1;

  snprintf(dir, sizeof(dir), "%s/run.XXXXXX", base);
  if (mkdtemp(dir) == NULL) bench_die("cannot make a folder in %s: %s", base, strerror(errno));
  bench_t bench = {.dir = dir, .n = n, .durable = durable};
  if (durable && strcmp(fs_name(dir), "tmpfs") == 0)
    bench_die("%s is a tmpfs: --durable needs a real disk", base);

  pid_t child = fork();
  if (child < 0) bench_die("fork: %s", strerror(errno));
  if (child == 0) {
    run(&bench);
    exit(0);
  }
  waitpid(child, &status, 0);
  bench_remove_folder(dir);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void
run_floor (const bench_t *bench) {
  floor_rates(bench->dir);
}

/* Run a workload by its name, as often as asked. */
static bool
run_named (const char *name, const char *base, uint64_t n, int runs, bool durable) {
  size_t w = 0;
  int failed = 0;
  if (strcmp(name, "floor") == 0) return run_one(run_floor, base, n, false) == 0;
  while (w < COUNT(workloads) && strcmp(workloads[w].name, name) != 0) w++;
  if (w == COUNT(workloads)) bench_die("no workload named %s", name);
  for (int run = 0; run < runs; run++) {
    failed |= run_one(workloads[w].run, base, n, durable);
    if (workloads[w].both_ways && !durable) failed |= run_one(workloads[w].run, base, n, true);
  }
  return failed == 0;
}

int
main (int argc, char **argv) {
  const char *base = ".", *first_get = NULL;
  uint64_t n = 0;
  int runs = 1, names = 0;
  bool durable = false, passed = true;

  for (int i = 1; i < argc; i++) { /* options count for all workloads, wherever they stand */
    if (strncmp(argv[i], "--n=", 4) == 0) n = strtoull(argv[i] + 4, NULL, 10);
    else if (strncmp(argv[i], "--runs=", 7) == 0) runs = atoi(argv[i] + 7);
    else if (strncmp(argv[i], "--dir=", 6) == 0) base = argv[i] + 6;
    else if (strcmp(argv[i], "--durable") == 0) durable = true;
    else if (strncmp(argv[i], "--first-get=", 12) == 0) first_get = argv[i] + 12;
    else if (strncmp(argv[i], "--", 2) == 0) bench_die("no option %s", argv[i]);
    else argv[++names] = argv[i];
  }
  if (first_get != NULL) {
    w8_first_get(first_get);
    return 0;
  }
  for (int i = 1; i <= names; i++) passed = run_named(argv[i], base, n, runs, durable) && passed;
  if (names == 0) {
    fputs("bench: name a workload:", stderr);
    for (size_t w = 0; w < COUNT(workloads); w++) fprintf(stderr, " %s", workloads[w].name);
    fputs(", or floor\n", stderr);
  }
  return !passed || names == 0;
}

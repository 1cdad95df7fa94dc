/* crash.c: end victims by force, and look at what they leave.
 *
 *   crash kill POINTS [SEED]      the victim is ended by SIGKILL before one of its operations on the disk
 *   crash power POINTS [SEED]     it runs once; the disk is put together as a power loss at an operation
 *                                 would leave it, in every mode of disk.h
 *   crash no-sync POINTS [SEED]   the same with fdatasync doing nothing: passes only if losses are found
 *   crash announce APPENDS [SEED] a process of the program tells others only what is on its disk
 *   crash sync POINTS [SEED]      a peer that syncs with others loses power, and goes on with them
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "announce.h"
#include "disk.h"
#include "support/tmpdir.h"
#include "sync.h"

#define USAGE "usage: crash kill|power|no-sync|sync POINTS [SEED] | announce APPENDS [SEED]"

static char dir[TMPDIR_MAX];
static size_t failures;

static void
below (char out[TMPDIR_MAX], const char *name) {
  tmpdir_path(out, dir, name);
}

static _Noreturn void
die (const char *what) {
  fprintf(stderr, "crash: %s\n", what);
  exit(2);
}

/* ---- victims ---- */

typedef struct {
  const char *kill_at; /* NULL: never */
  bool no_sync;
  bool records;
} how_t;

/* Run `victim run` on an empty folder. Returns its wait status. */
static int
run_victim (const how_t *how) {
  char root[TMPDIR_MAX], store[TMPDIR_MAX], log[TMPDIR_MAX], acks[TMPDIR_MAX];
  below(root, "disk");
  below(log, "log");
  below(acks, "acks");
  tmpdir_path(store, root, "store");
  if (mkdir(root, 0700) != 0) die("cannot make the folder of the disk");
  pid_t child = fork();
  if (child == 0) {
    int fd = open(acks, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || dup2(fd, 3) < 0) _exit(98);
    setenv("AUTOBEE_CRASH_ROOT", root, 1);
    setenv("AUTOBEE_CRASH_ACK", "3", 1);
    if (how->records) setenv("AUTOBEE_CRASH_LOG", log, 1);
    if (how->kill_at != NULL) setenv("AUTOBEE_CRASH_AT", how->kill_at, 1);
    if (how->no_sync) setenv("AUTOBEE_CRASH_NO_SYNC", "1", 1);
    setenv("LD_PRELOAD", CRASH_RECORDER, 1);
    execl(CRASH_VICTIM, CRASH_VICTIM, "run", store, (char *) NULL);
    _exit(97);
  }
  int status;
  if (child < 0 || waitpid(child, &status, 0) != child) die("cannot run the victim");
  return status;
}

/* Run `victim check`. True if it says that all is well. Otherwise the way to the folder is printed, which
 * stays. */
static bool
check_store (const char *root, const char *acks, const char *what, size_t point, bool quiet) {
  char store[TMPDIR_MAX];
  tmpdir_path(store, root, "store");
  pid_t child = fork();
  if (child == 0) {
    int null = quiet ? open("/dev/null", O_WRONLY) : -1;
    if (null >= 0) dup2(null, 2);
    alarm(60);
    execl(CRASH_VICTIM, CRASH_VICTIM, "check", store, acks, (char *) NULL);
    _exit(97);
  }
  int status;
  if (child < 0 || waitpid(child, &status, 0) != child) die("cannot run the check");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  failures++;
  if (!quiet) {
    printf("FAILED %s at operation %zu: ", what, point);
    if (WIFSIGNALED(status)) printf("the check ended by signal %d\n", WTERMSIG(status));
    else printf("the check exited with %d\n", WEXITSTATUS(status));
    fflush(stdout);
  }
  return false;
}

static void
write_text (const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) die("cannot write the acknowledgements");
}

/* How many operations a whole run makes. The disk's folder is removed. */
static size_t
count_operations (bool no_sync, disk_t **disk) {
  char log[TMPDIR_MAX], root[TMPDIR_MAX];
  below(log, "log");
  below(root, "disk");
  how_t how = {.records = true, .no_sync = no_sync};
  int status = run_victim(&how);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) die("the victim does not run to its end");
  tmpdir_remove(root);
  *disk = disk_open(log);
  return disk_count(*disk);
}

static int
ascending (const void *a, const void *b) {
  size_t x = *(const size_t *) a, y = *(const size_t *) b;
  return (x > y) - (x < y);
}

#define EARLY 60 /* operations in which a store is made */

/* A fifth of the points are spread over the making of the store, the others are anywhere. */
static size_t *
choose_points (size_t count, size_t operations, rng_t *dice) {
  size_t *points = calloc(count + 1, sizeof(*points));
  size_t early = count / 5;
  if (points == NULL) die("out of memory");
  for (size_t i = 0; i < early; i++) {
    points[i] = (i * EARLY + rng_below(dice, EARLY)) / early; /* each of them, if there are enough */
  }
  for (size_t i = early; i < count; i++) points[i] = rng_below(dice, (uint32_t) operations + 1);
  qsort(points, count, sizeof(*points), ascending);
  return points;
}

/* ---- the two ways to end ---- */

static void
kill_victims (size_t count, rng_t *dice) {
  disk_t *disk;
  char root[TMPDIR_MAX], acks[TMPDIR_MAX];
  size_t operations = count_operations(false, &disk);
  disk_close(disk);
  size_t *points = choose_points(count, operations, dice);
  below(root, "disk");
  below(acks, "acks");
  for (size_t i = 0; i < count; i++) {
    char at[32];
    snprintf(at, sizeof(at), "%zu", points[i]);
    how_t how = {.kill_at = at};
    int status = run_victim(&how);
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (!killed && points[i] < operations) die("the victim was not ended where it should have been");
    check_store(root, acks, "SIGKILL", points[i], false);
    tmpdir_remove(root);
  }
  printf(
    "crash: %zu victims ended by SIGKILL at %zu operations: %zu failures\n", count, operations, failures
  );
  free(points);
}

static void
cut_power (size_t count, rng_t *dice, bool no_sync) {
  disk_t *disk;
  char root[TMPDIR_MAX], acks[TMPDIR_MAX], what[64];
  size_t operations = count_operations(no_sync, &disk), checks = 0;
  size_t *points = choose_points(count, operations, dice);
  below(root, "disk");
  below(acks, "acks");
  for (size_t i = 0; i < count; i++) {
    disk_advance(disk, points[i]);
    write_text(acks, disk_acknowledged(disk));
    for (int mode = 0; mode < DISK_MODES; mode++) {
      if (mkdir(root, 0700) != 0) die("cannot make the folder of the disk");
      disk_write_image(disk, root, (disk_mode_t) mode, dice);
      snprintf(what, sizeof(what), "power loss (%s)", disk_mode_names[mode]);
      check_store(root, acks, what, points[i], no_sync);
      tmpdir_remove(root);
      checks++;
    }
  }
  printf(
    "crash: power lost at %zu of %zu operations%s, %zu disks: %zu failures\n",
    count,
    operations,
    no_sync ? " without fdatasync" : "",
    checks,
    failures
  );
  free(points);
  disk_close(disk);
}

int
main (int argc, char **argv) {
  if (argc < 3) die(USAGE);
  size_t count = strtoul(argv[2], NULL, 10);
  uint32_t seed = argc > 3 ? (uint32_t) strtoul(argv[3], NULL, 10) : (uint32_t) time(NULL);
  rng_t dice = rng(seed);
  printf("crash: seed %u\n", seed);
  fflush(stdout);
  tmpdir_make(dir);
  bool no_sync = strcmp(argv[1], "no-sync") == 0;
  if (strcmp(argv[1], "kill") == 0) kill_victims(count, &dice);
  else if (strcmp(argv[1], "power") == 0 || no_sync) cut_power(count, &dice, no_sync);
  else if (strcmp(argv[1], "announce") == 0) failures += announce_check(dir, count, &dice) ? 0 : 1;
  else if (strcmp(argv[1], "sync") == 0) failures += sync_check(dir, count, &dice) ? 0 : 1;
  else die(USAGE);
  tmpdir_remove(dir);
  if (no_sync) return failures > 0 ? 0 : 1; /* a test that cannot fail tests nothing */
  return failures == 0 ? 0 : 1;
}

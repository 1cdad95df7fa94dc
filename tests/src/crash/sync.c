/* sync.c: runs syncer.c life after life, and adds up what they say. */
#define _GNU_SOURCE
#include "sync.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/tmpdir.h"

#define LIVES_MIN 4
#define LOSSES_PER_LIFE 25
#define CALLS 350 /* in a life, about, that write to the disk; those in a fast-forward count fourfold */

static _Noreturn void
die (const char *what) {
  fprintf(stderr, "crash: %s\n", what);
  exit(2);
}

static pid_t
start_life (const char *dir, uint32_t seed, size_t one_in, bool is_sparse, bool no_sync, int *out) {
  char root[TMPDIR_MAX], log[TMPDIR_MAX], seed_text[16], one_in_text[24];
  int ends[2];
  tmpdir_path(root, dir, "disk");
  tmpdir_path(log, dir, "log");
  snprintf(seed_text, sizeof(seed_text), "%u", seed);
  snprintf(one_in_text, sizeof(one_in_text), "%zu", one_in);
  if (mkdir(root, 0700) != 0 || pipe(ends) != 0) die("cannot begin");
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    int null = no_sync ? open("/dev/null", O_WRONLY) : -1;
    if (null >= 0) dup2(null, 2); /* its failures are expected */
    dup2(ends[1], 1);
    close(ends[0]);
    setenv("AUTOBEE_CRASH_ROOT", root, 1);
    setenv("AUTOBEE_CRASH_LOG", log, 1);
    if (no_sync) setenv("AUTOBEE_CRASH_NO_SYNC", "1", 1);
    setenv("LD_PRELOAD", CRASH_RECORDER, 1);
    execl(
      CRASH_SYNCER,
      CRASH_SYNCER,
      root,
      log,
      seed_text,
      one_in_text,
      is_sparse ? "sparse" : "whole",
      (char *) NULL
    );
    _exit(97);
  }
  close(ends[1]);
  *out = ends[0];
  return child;
}

static void
live (const char *dir, uint32_t seed, size_t one_in, bool is_sparse, bool no_sync, sync_figures_t *sum) {
  char root[TMPDIR_MAX];
  sync_figures_t life;
  int out, status;
  pid_t child = start_life(dir, seed, one_in, is_sparse, no_sync, &out);
  ssize_t len = read(out, &life, sizeof(life));
  close(out);
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0 || len != (ssize_t) sizeof(life))
    die("a peer does not live to its end");
  sum->losses += life.losses;
  sum->failures += life.failures;
  sum->forwards += life.forwards;
  sum->undos += life.undos;
  sum->amid += life.amid;
  sum->again += life.again;
  tmpdir_path(root, dir, "disk");
  tmpdir_remove(root);
}

bool
sync_check (const char *dir, size_t count, rng_t *dice) {
  sync_figures_t durable = {0}, no_sync = {0};
  size_t least = count / LOSSES_PER_LIFE > LIVES_MIN ? count / LOSSES_PER_LIFE : LIVES_MIN, lives = 0;
  size_t one_in = least * CALLS / (count + 1) + 1;
  for (; lives < least || durable.losses < count; lives++)
    live(dir, rng_next(dice), one_in, lives % 2 == 1, false, &durable);
  live(dir, rng_next(dice), CALLS / LOSSES_PER_LIFE, false, true, &no_sync);
  printf(
    "crash: power lost %zu times in %zu lives with %zu fast-forwards and %zu undone batches, %zu times in a "
    "fast-forward, %zu times with one to follow: %zu failures, without fdatasync %zu of %zu\n",
    durable.losses,
    lives,
    durable.forwards,
    durable.undos,
    durable.amid,
    durable.again,
    durable.failures,
    no_sync.failures,
    no_sync.losses
  );
  return durable.failures == 0 && durable.forwards > 0 && durable.undos > 0 && no_sync.failures > 0;
}

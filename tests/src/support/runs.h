/* runs.h: how much a test runs, and from which seed. */
#ifndef RUNS_H
#define RUNS_H

#include <stdbool.h>
#include <stdint.h>

/** With AUTOBEE_FULL=1: everything, which takes long. */
bool
runs_full (void);

/** The seed that AUTOBEE_SEED names, else `otherwise`. */
uint32_t
runs_seed (uint32_t otherwise);

typedef struct {
  uint32_t seeds;  /* run 1 to this: --seeds N; 200, or 2,000 in a full run */
  uint32_t seed;   /* or only this one: --seed S; 0: not given */
  bool is_verbose; /* -v */
  bool is_altered; /* --altered: with a fault, which must be noticed */
} runs_options_t;

/** False: they are not understood, which getopt has said. */
bool
runs_options (int argc, char **argv, runs_options_t *out);

#endif

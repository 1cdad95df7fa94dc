#include "support/runs.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

bool
runs_full (void) {
  const char *full = getenv("AUTOBEE_FULL");
  return full != NULL && strcmp(full, "1") == 0;
}

uint32_t
runs_seed (uint32_t otherwise) {
  const char *seed = getenv("AUTOBEE_SEED");
  return seed != NULL ? (uint32_t) strtoul(seed, NULL, 10) : otherwise;
}

bool
runs_options (int argc, char **argv, runs_options_t *out) {
  static const struct option options[] = {
    {"seeds", required_argument, NULL, 'n'},
    {"seed", required_argument, NULL, 's'},
    {"altered", no_argument, NULL, 'a'},
    {0}};
  *out = (runs_options_t){.seeds = runs_full() ? 2000 : 200};
  for (int option; (option = getopt_long(argc, argv, "v", options, NULL)) != -1;) {
    if (option == 'n') out->seeds = (uint32_t) strtoul(optarg, NULL, 10);
    else if (option == 's') out->seed = (uint32_t) strtoul(optarg, NULL, 10);
    else if (option == 'a') out->is_altered = true;
    else if (option == 'v') out->is_verbose = true;
    else return false;
  }
  return true;
}

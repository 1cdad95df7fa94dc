/* vectors_autobee_fuzz.c: the recorded random runs, each in both modes. */
#include "recorded_world.h"

int
main (int argc, char **argv) {
  static const vectors_runner_t runners[] = {{"fuzz-*.json", recorded_world_run}};
  return vectors_main(argc, argv, "autobee", runners, 1);
}

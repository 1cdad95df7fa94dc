/* vectors_autobee.c: the recorded scenarios, each in both modes. */
#include "recorded_world.h"

int
main (int argc, char **argv) {
  static const vectors_runner_t runners[] = {{"scenario-*.json", recorded_world_run}};
  return vectors_main(argc, argv, "autobee", runners, 1);
}

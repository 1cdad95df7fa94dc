/* A user of the installed library. */
#include <autobee/autobee.h>

#include <stdio.h>

int
main (void) {
  printf("%u.%u.%u: %s\n", ab_version() >> 16, ab_version() >> 8 & 0xff, ab_version() & 0xff, ab_strerror(0));
  return 0;
}

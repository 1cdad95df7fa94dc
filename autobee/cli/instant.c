#include "autobee/cli/instant.h"

#include <string.h>
#include <time.h>

#define LAST_MS 253402300799999ull /* the end of the year 9999 */

void
instant_to_text (uint64_t ms, char out[INSTANT_LEN + 1]) {
  time_t seconds = (time_t) (ms / 1000);
  struct tm utc;
  memcpy(out, "?", 2);
  if (ms <= LAST_MS && gmtime_r(&seconds, &utc) != NULL) {
    (void) strftime(out, INSTANT_LEN + 1, "%Y-%m-%dT%H:%M:%SZ", &utc);
  }
}

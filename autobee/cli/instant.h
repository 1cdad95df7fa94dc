/* instant.h: times as people read them. Private to autobee/cli/. */
#ifndef CLI_INSTANT_H
#define CLI_INSTANT_H

#include <stddef.h>
#include <stdint.h>

#define INSTANT_LEN 20

/** Write "2026-03-02T09:12:33Z"; "?" for what is out of range. */
void
instant_to_text (uint64_t ms, char out[INSTANT_LEN + 1]);

#endif

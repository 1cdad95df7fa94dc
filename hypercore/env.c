/* env.c: the only calls of the system's clock and random source. */
#include "hypercore/env.h"

#include "hypercore/crypto.h"

#include <sodium.h>
#include <time.h>

static uint64_t
system_now_ms (void *data) {
  (void) data;
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0 || now.tv_sec < 0) return 0;
  return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

static void
system_random (void *data, uint8_t *out, size_t len) {
  (void) data;
  (void) ab_crypto_init(); /* the generator is safe between threads only after it */
  randombytes_buf(out, len);
}

const ab_env_t ab_env_system = {system_now_ms, system_random, NULL};

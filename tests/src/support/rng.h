/* rng.h: seeded random numbers, two kinds. Neither is the library's: a test that draws from one is the same
 * run again for the same seed, in any language.
 *
 *   xorshift32_t   the one of the recorded bee workloads
 *   rng_t          the one of the benchmark's data; also for model tests and simulations
 */
#ifndef RNG_H
#define RNG_H

#include <stdint.h>

typedef struct {
  uint32_t state;
} xorshift32_t;

static inline xorshift32_t
xorshift32 (uint32_t seed) {
  xorshift32_t random = {seed == 0 ? 0x9e3779b9u : seed};
  return random;
}

static inline uint32_t
xorshift32_next (xorshift32_t *random) {
  uint32_t x = random->state;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return random->state = x;
}

static inline uint32_t
xorshift32_below (xorshift32_t *random, uint32_t n) {
  return xorshift32_next(random) % n;
}

typedef struct {
  uint32_t state;
} rng_t;

static inline uint32_t
mix32 (uint32_t z) {
  z ^= z >> 16;
  z *= 0x21f0aaadu;
  z ^= z >> 15;
  z *= 0x735a2d97u;
  z ^= z >> 15;
  return z;
}

static inline rng_t
rng (uint32_t seed) {
  rng_t random = {seed};
  return random;
}

static inline uint32_t
rng_next (rng_t *random) {
  random->state += 0x9e3779b9u;
  return mix32(random->state);
}

static inline uint32_t
rng_below (rng_t *random, uint32_t n) {
  return (uint32_t) (((uint64_t) rng_next(random) * n) >> 32);
}

#endif

/* data.c: the bytes of the workloads, from one 32-bit generator, so that any language can make them. */
#include "bench.h"

#include <stdio.h>

uint32_t
mix32 (uint32_t z) {
  z ^= z >> 16;
  z *= 0x21f0aaadu;
  z ^= z >> 15;
  z *= 0x735a2d97u;
  z ^= z >> 15;
  return z;
}

rng_t
rng (uint32_t seed) {
  return (rng_t){seed};
}

uint32_t
rng_next (rng_t *rng) {
  rng->state += 0x9e3779b9u;
  return mix32(rng->state);
}

uint32_t
rng_below (rng_t *rng, uint32_t n) {
  return (uint32_t) (((uint64_t) rng_next(rng) * n) >> 32);
}

void
data_text (uint32_t seed, uint32_t i, char *out, size_t size) {
  rng_t letters = rng(mix32(seed ^ mix32(i)));
  for (size_t at = 0; at < size; at++) out[at] = (char) ('a' + rng_next(&letters) % 26);
}

void
data_json (uint32_t seed, uint32_t i, char out[JSON_VALUE_LEN]) {
  char head[40];
  int len = snprintf(head, sizeof(head), "{\"id\":%u,\"text\":\"", i);
  memcpy(out, head, (size_t) len);
  data_text(seed, i, out + len, JSON_VALUE_LEN - (size_t) len - 2);
  memcpy(out + JSON_VALUE_LEN - 2, "\"}", 2);
}

void
data_key (uint32_t i, char out[KEY_LEN]) {
  char text[KEY_LEN + 1];
  snprintf(text, sizeof(text), "%08x%08x", mix32(i), i);
  memcpy(out, text, KEY_LEN);
}

void
data_seqkey (uint32_t i, char out[KEY_LEN]) {
  char text[KEY_LEN + 1];
  snprintf(text, sizeof(text), "%016u", i);
  memcpy(out, text, KEY_LEN);
}

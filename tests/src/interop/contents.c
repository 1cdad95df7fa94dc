#include "interop/contents.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "hypercore/crypto.h"

#define TEXT_MAX 256
#define BATCH 512

static void
seed_of (char out[TEXT_MAX], const char *seed, size_t number, uint64_t fork) {
  int len = snprintf(out, TEXT_MAX / 2, "%s", seed);
  if (number > 0) len += snprintf(out + len, 24, "/core%zu", number);
  if (fork > 0) snprintf(out + len, 32, "/fork%" PRIu64, fork);
}

int
contents_open (ab_store_t *store, const char *seed, size_t number, hypercore_t **out) {
  hypercore_options_t options = hypercore_options_default();
  char text[TEXT_MAX];
  uint8_t hash[32];
  ab_key_pair_t pair;
  seed_of(text, seed, number, 0);
  ab_slice_t part = ab_text(text);
  ab_hash(hash, &part, 1);
  ab_key_pair_from_seed(&pair, hash);
  options.key_pair = &pair;
  return hypercore_open(store, &options, out);
}

static void
fill (uint8_t *block, size_t size, const char *seed, uint64_t index) {
  char text[TEXT_MAX + 64];
  uint8_t hash[64];
  for (size_t at = 0, k = 0; at < size; at += sizeof(hash), k++) {
    int len = snprintf(text, sizeof(text), "%s/%" PRIu64 "/%zu", seed, index, k);
    crypto_generichash(hash, sizeof(hash), (const uint8_t *) text, (unsigned long long) len, NULL, 0);
    memcpy(block + at, hash, size - at < sizeof(hash) ? size - at : sizeof(hash));
  }
}

int
contents_append (hypercore_t *core, const char *seed, size_t number, size_t size, uint64_t count) {
  char text[TEXT_MAX];
  ab_slice_t blocks[BATCH];
  int err = 0;
  uint8_t *bytes = malloc(BATCH * size + 1);
  if (bytes == NULL) return AB_ENOMEM;
  seed_of(text, seed, number, hypercore_fork(core));
  while (count > 0 && err == 0) {
    size_t n = count < BATCH ? (size_t) count : BATCH;
    for (size_t i = 0; i < n; i++) {
      fill(bytes + i * size, size, text, hypercore_length(core) + i);
      blocks[i] = ab_slice(bytes + i * size, size);
    }
    err = hypercore_append(core, blocks, n, NULL);
    count -= n;
  }
  free(bytes);
  return err;
}

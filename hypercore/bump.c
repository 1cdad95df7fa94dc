/* bump.c: bytes that are set aside one after the other. */
#include "hypercore/bump.h"

#include <assert.h>
#include <stdlib.h>

#define BUMP_CHUNK_FIRST ((size_t) 4 * 1024)
#define BUMP_CHUNK_MAX ((size_t) 64 * 1024)
#define BUMP_SPARE_MAX \
  ((size_t) 1024 * 1024) /* kept for the next round: fresh memory costs a page fault each 4 KiB */

struct ab__bump_chunk_s {
  ab__bump_chunk_t *older;
  size_t used;
  size_t capacity;
  uint8_t bytes[];
};

static void
free_all (ab__bump_chunk_t *chunk) {
  while (chunk != NULL) {
    ab__bump_chunk_t *older = chunk->older;
    free(chunk);
    chunk = older;
  }
}

void
ab__bump_destroy (ab__bump_t *bump) {
  free_all(bump->chunks);
  free_all(bump->spare);
  *bump = (ab__bump_t){0};
}

static void
retire (ab__bump_t *bump, ab__bump_chunk_t *chunk) {
  if (chunk->capacity > BUMP_CHUNK_MAX || bump->spare_bytes + chunk->capacity > BUMP_SPARE_MAX) {
    free(chunk);
    return;
  }
  chunk->older = bump->spare;
  bump->spare = chunk;
  bump->spare_bytes += chunk->capacity;
}

void
ab__bump_reset (ab__bump_t *bump) {
  while (bump->chunks != NULL) {
    ab__bump_chunk_t *chunk = bump->chunks;
    bump->chunks = chunk->older;
    retire(bump, chunk);
  }
}

static ab__bump_chunk_t *
new_chunk (ab__bump_t *bump, size_t len) {
  ab__bump_chunk_t *chunk = bump->spare;
  if (chunk != NULL && chunk->capacity >= len) {
    bump->spare = chunk->older;
    bump->spare_bytes -= chunk->capacity;
  } else {
    size_t capacity = bump->chunks == NULL ? BUMP_CHUNK_FIRST : bump->chunks->capacity * 2;
    if (capacity > BUMP_CHUNK_MAX) capacity = BUMP_CHUNK_MAX;
    if (capacity < len) capacity = len;
    if (capacity > SIZE_MAX - sizeof(*chunk)) return NULL;
    chunk = malloc(sizeof(*chunk) + capacity);
    if (chunk == NULL) return NULL;
    chunk->capacity = capacity;
  }
  chunk->older = bump->chunks;
  chunk->used = 0;
  bump->chunks = chunk;
  return chunk;
}

uint8_t *
ab__bump_alloc (ab__bump_t *bump, size_t len) {
  ab__bump_chunk_t *chunk = bump->chunks;
  if (chunk == NULL || chunk->capacity - chunk->used < len) {
    chunk = new_chunk(bump, len);
    if (chunk == NULL) return NULL;
  }
  uint8_t *at = chunk->bytes + chunk->used;
  chunk->used += len;
  return at;
}

void
ab__bump_rewind (ab__bump_t *bump, const uint8_t *at) {
  for (;;) {
    ab__bump_chunk_t *chunk = bump->chunks;
    assert(chunk != NULL);
    if (at >= chunk->bytes && at <= chunk->bytes + chunk->used) {
      chunk->used = (size_t) (at - chunk->bytes);
      return;
    }
    bump->chunks = chunk->older;
    retire(bump, chunk);
  }
}

/* buf.c: owned bytes and arenas. */
#include "hypercore/buf.h"

#include <assert.h>
#include <stdlib.h>

#define BUF_FIRST 64

#define ARENA_ALIGN ((size_t) 16)
#define ARENA_CHUNK_FIRST ((size_t) 1024)
#define ARENA_CHUNK_MAX ((size_t) 64 * 1024)

/* With a block of its own for each allocation, sanitizers and valgrind see every overrun. */
#ifdef NDEBUG
#define ARENA_POOLED 1
#else
#define ARENA_POOLED 0
#endif

struct ab_arena_chunk_s {
  ab_arena_chunk_t *next; /* older */
  size_t used;
  size_t capacity;
  size_t pad;
};

_Static_assert(sizeof(ab_arena_chunk_t) % 16 == 0, "what follows a chunk's header has to be aligned");

/* ---- owned bytes ---- */

void
ab_buf_destroy (ab_buf_t *buf) {
  free(buf->data);
  *buf = (ab_buf_t){0};
}

void
ab_buf_reset (ab_buf_t *buf) {
  buf->len = 0;
  buf->err = 0;
}

static int
grow (ab_buf_t *buf, size_t needed) {
  size_t capacity = buf->capacity < BUF_FIRST ? BUF_FIRST : buf->capacity;
  while (capacity < needed) {
    if (capacity > SIZE_MAX / 2) return AB_ENOMEM;
    capacity *= 2;
  }
  uint8_t *data = realloc(buf->data, capacity);
  if (data == NULL) return AB_ENOMEM;
  buf->data = data;
  buf->capacity = capacity;
  return 0;
}

uint8_t *
ab_buf_extend (ab_buf_t *buf, size_t len) {
  assert(buf->len <= buf->capacity);
  if (buf->err < 0) return NULL;
  if (buf->data == NULL || len > buf->capacity - buf->len) {
    if (len > SIZE_MAX - buf->len || grow(buf, buf->len + len) < 0) {
      buf->err = AB_ENOMEM;
      return NULL;
    }
  }
  uint8_t *at = buf->data + buf->len;
  buf->len += len;
  return at;
}

void
ab_buf_append (ab_buf_t *buf, ab_slice_t bytes) {
  if (bytes.len == 0) return;
  uint8_t *at = ab_buf_extend(buf, bytes.len);
  if (at != NULL) memcpy(at, bytes.data, bytes.len);
}

/* ---- arenas ---- */

void
ab_arena_destroy (ab_arena_t *arena) {
  ab_arena_chunk_t *chunk = arena->chunks;
  while (chunk != NULL) {
    ab_arena_chunk_t *next = chunk->next;
    free(chunk);
    chunk = next;
  }
  *arena = (ab_arena_t){0};
}

static ab_arena_chunk_t *
add_chunk (ab_arena_t *arena, size_t len) {
  size_t capacity = len;
  if (ARENA_POOLED) {
    size_t usual = arena->chunks == NULL ? ARENA_CHUNK_FIRST : arena->chunks->capacity * 2;
    if (usual > ARENA_CHUNK_MAX) usual = ARENA_CHUNK_MAX;
    if (capacity < usual) capacity = usual;
  }
  if (capacity > SIZE_MAX - sizeof(ab_arena_chunk_t)) return NULL;

  ab_arena_chunk_t *chunk = malloc(sizeof(*chunk) + capacity);
  if (chunk == NULL) return NULL;
  chunk->next = arena->chunks;
  chunk->used = 0;
  chunk->capacity = capacity;
  arena->chunks = chunk;
  return chunk;
}

void *
ab_arena_alloc (ab_arena_t *arena, size_t count, size_t size) {
  if (size != 0 && count > (SIZE_MAX - ARENA_ALIGN) / size) return NULL;
  size_t len = count * size;
  size_t reserved = ARENA_POOLED ? (len + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1) : len;

  ab_arena_chunk_t *chunk = ARENA_POOLED ? arena->chunks : NULL;
  if (chunk == NULL || chunk->capacity - chunk->used < reserved) {
    chunk = add_chunk(arena, reserved);
    if (chunk == NULL) return NULL;
  }
  uint8_t *at = (uint8_t *) (chunk + 1) + chunk->used;
  chunk->used += reserved;
  arena->bytes += len;
  return at;
}

void *
ab_arena_zalloc (ab_arena_t *arena, size_t count, size_t size) {
  void *at = ab_arena_alloc(arena, count, size);
  if (at != NULL) memset(at, 0, count * size);
  return at;
}

int
ab_arena_copy (ab_arena_t *arena, ab_slice_t bytes, ab_slice_t *out) {
  uint8_t *at = ab_arena_alloc(arena, bytes.len, 1);
  if (at == NULL) return AB_ENOMEM;
  if (bytes.len > 0) memcpy(at, bytes.data, bytes.len);
  *out = ab_slice(at, bytes.len);
  return 0;
}

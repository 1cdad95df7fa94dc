/* buf.h: owned bytes and arenas. Shared by our folders, not part of the public interface. */
#ifndef AB_BUF_H
#define AB_BUF_H

#include "hypercore/ab.h"

/* Owned, growing bytes. Starts from {0}; release with ab_buf_destroy. The first failed growth sets `err` to
 * AB_ENOMEM and every later write is a no-op, so an encoder reads straight and checks once, at its end. */
typedef struct {
  uint8_t *data;
  size_t len;
  size_t capacity;
  int err;
} ab_buf_t;

void
ab_buf_destroy (ab_buf_t *buf);

/** Set the length to 0 and clear `err`; keeps the memory. */
void
ab_buf_reset (ab_buf_t *buf);

/** Room for `len` more bytes, counted in at once; NULL (and a sticky error) when out of memory. */
uint8_t *
ab_buf_extend (ab_buf_t *buf, size_t len);

void
ab_buf_append (ab_buf_t *buf, ab_slice_t bytes);

static inline ab_slice_t
ab_buf_slice (const ab_buf_t *buf) {
  return ab_slice(buf->data, buf->len);
}

/* Memory that dies together. Starts from {0}. Alignment 16. */
typedef struct ab_arena_chunk_s ab_arena_chunk_t;

typedef struct {
  ab_arena_chunk_t *chunks; /* newest first */
  size_t bytes;             /* handed out, for accounting */
} ab_arena_t;

void
ab_arena_destroy (ab_arena_t *arena);

/** `count` × `size` bytes, not initialised. NULL when out of memory or when the product overflows. A count of
 * 0 gives a pointer that is not NULL. */
void *
ab_arena_alloc (ab_arena_t *arena, size_t count, size_t size);

/** As ab_arena_alloc, zeroed. */
void *
ab_arena_zalloc (ab_arena_t *arena, size_t count, size_t size);

/** Copy `bytes` into the arena. Returns 0 or AB_ENOMEM; `out` may be the input. */
int
ab_arena_copy (ab_arena_t *arena, ab_slice_t bytes, ab_slice_t *out);

#endif

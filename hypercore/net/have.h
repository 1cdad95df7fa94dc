/* have.h: which blocks a peer says it has. Private to hypercore/net/. Pure.
 *
 *   [ contiguous: all of them | pages of 4096 bits, a page may be full without bits | unknown ]
 *
 * Invariant  pages ascend; what a page says below `contiguous` means nothing; memory is bounded whatever the
 *            peer says: what does not fit is forgotten, which costs asking again
 */
#ifndef AB_HAVE_H
#define AB_HAVE_H

#include "hypercore/ab.h"

#define AB__HAVE_PAGE_BITS 4096u
#define AB__HAVE_PAGES_MAX 16384u  /* entries: 64 million blocks above the contiguous ones */
#define AB__HAVE_BITMAPS_MAX 2048u /* of them with bits of their own: 1 MiB */

typedef struct {
  uint64_t page;
  uint8_t *bits; /* NULL: all are there */
} ab__have_page_t;

typedef struct {
  uint64_t contiguous;
  ab__have_page_t *pages;
  size_t count, capacity;
  size_t bitmaps;
} ab__have_t; /* {0}: nothing */

void
ab__have_destroy (ab__have_t *have);

bool
ab__have_block (const ab__have_t *have, uint64_t index);

/** Blocks [start, end) came; from 0 only raises `contiguous`. Returns 0 or AB_ENOMEM. */
int
ab__have_set (ab__have_t *have, uint64_t start, uint64_t end);
/** They went. In the contiguous part this forgets what lies behind, unless it is known by bits. */
int
ab__have_drop (ab__have_t *have, uint64_t start, uint64_t end);
/** The truth about len * 8 blocks from `start` (a multiple of 8). */
int
ab__have_put (ab__have_t *have, uint64_t start, ab_slice_t bits);

size_t
ab__have_memory (const ab__have_t *have);

#endif

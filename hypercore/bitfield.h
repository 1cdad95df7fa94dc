/* bitfield.h: which blocks of a core are here. Private to hypercore/.
 *
 *   [ present: no pages needed        | pages of 4096 bits                    | zero ]
 *   0                                 contiguous                              length
 *
 * Blocks below `contiguous` are present without a bit, so a core that is whole has no pages at all. Pages
 * above are loaded when a call needs them. What a page says below `contiguous` means nothing.
 *
 * Invariant  no bit at or past the core's length is set; the block at `contiguous` is missing
 *
 * A change is prepared (which may fail) and then made (which cannot).
 */
#ifndef AB_BITFIELD_H
#define AB_BITFIELD_H

#include "hypercore/ab.h"
#include "hypercore/map.h"

typedef struct {
  int (*load)(void *data, uint64_t page, uint8_t *bytes);  /* AB__PAGE_BYTES; 0, AB_ENOTFOUND or an error */
  int (*next)(void *data, uint64_t page, uint64_t *found); /* first stored page at or after; AB_ENOTFOUND */
  void *data;
} ab__page_source_t; /* what earlier commits stored */

typedef struct {
  ab__map_t pages;
  uint64_t contiguous;
  bool has_pages; /* some are in memory or stored: false saves every look-up */
  bool is_pinned; /* pages were collected and are not stored yet: none may be forgotten */
  size_t dirty_count;
  ab__page_source_t source;
} ab__bitfield_t;

/** `has_pages`: whether the source has any. */
void
ab__bitfield_init (
  ab__bitfield_t *bits, uint64_t contiguous, bool has_pages, ab__page_source_t source, uint64_t seed
);

void
ab__bitfield_destroy (ab__bitfield_t *bits);

int
ab__bitfield_has (ab__bitfield_t *bits, uint64_t index, bool *has);

/** The first block of [start, end) that is present (`present`) or missing; `end` if there is none. */
int
ab__bitfield_find (ab__bitfield_t *bits, uint64_t start, uint64_t end, bool present, uint64_t *found);

/** Blocks [start, end) came. */
int
ab__bitfield_prepare_set (ab__bitfield_t *bits, uint64_t start, uint64_t end);
void
ab__bitfield_set (ab__bitfield_t *bits, uint64_t start, uint64_t end);

/** The core of `from` blocks is cut to `length`. */
int
ab__bitfield_prepare_cut (ab__bitfield_t *bits, uint64_t length, uint64_t from);
void
ab__bitfield_cut (ab__bitfield_t *bits, uint64_t length, uint64_t from);

/** Blocks [start, end), below the length, were dropped. */
int
ab__bitfield_prepare_clear (ab__bitfield_t *bits, uint64_t start, uint64_t end);
void
ab__bitfield_clear (ab__bitfield_t *bits, uint64_t start, uint64_t end);

/** Copy the pages that changed to `out` (ab__staged_page_t, tail.h). */
int
ab__bitfield_collect (const ab__bitfield_t *bits, ab__map_t *out);
/** What was collected is on its way, and now it is stored. */
void
ab__bitfield_pin (ab__bitfield_t *bits);
void
ab__bitfield_unpin (ab__bitfield_t *bits);

#endif

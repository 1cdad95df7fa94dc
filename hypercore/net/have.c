/* have.c: what a peer has. */
#include "hypercore/net/have.h"

#include <stdlib.h>

#define PAGE_BYTES (AB__HAVE_PAGE_BITS / 8)

void
ab__have_destroy (ab__have_t *have) {
  for (size_t i = 0; i < have->count; i++) free(have->pages[i].bits);
  free(have->pages);
  *have = (ab__have_t){0};
}

size_t
ab__have_memory (const ab__have_t *have) {
  return have->capacity * sizeof(*have->pages) + have->bitmaps * PAGE_BYTES;
}

/* The place of the first page that is not below `page`. */
static size_t
place (const ab__have_t *have, uint64_t page) {
  size_t low = 0, high = have->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (have->pages[middle].page < page) low = middle + 1;
    else high = middle;
  }
  return low;
}

bool
ab__have_block (const ab__have_t *have, uint64_t index) {
  if (index < have->contiguous) return true;
  size_t at = place(have, index / AB__HAVE_PAGE_BITS);
  if (at == have->count || have->pages[at].page != index / AB__HAVE_PAGE_BITS) return false;
  if (have->pages[at].bits == NULL) return true;
  unsigned bit = (unsigned) (index % AB__HAVE_PAGE_BITS);
  return (have->pages[at].bits[bit / 8] >> (bit % 8) & 1) != 0;
}

static void
remove_page (ab__have_t *have, size_t at) {
  if (have->pages[at].bits != NULL) have->bitmaps--;
  free(have->pages[at].bits);
  have->count--;
  memmove(&have->pages[at], &have->pages[at + 1], (have->count - at) * sizeof(*have->pages));
}

/* The page, made if it is missing; it has bits unless `full` is wanted. NULL in `out`: there are too many. */
static int
page_at (ab__have_t *have, uint64_t page, bool full, ab__have_page_t **out) {
  size_t at = place(have, page);
  bool found = at < have->count && have->pages[at].page == page;
  bool needs_bits = !full && (!found || have->pages[at].bits == NULL);
  *out = NULL;
  if (needs_bits && have->bitmaps >= AB__HAVE_BITMAPS_MAX) {
    if (found) remove_page(have, at);
    return 0;
  }
  if (!found) {
    if (have->count >= AB__HAVE_PAGES_MAX) return 0;
    if (have->count == have->capacity) {
      size_t capacity = have->capacity == 0 ? 4 : 2 * have->capacity;
      ab__have_page_t *pages = realloc(have->pages, capacity * sizeof(*pages));
      if (pages == NULL) return AB_ENOMEM;
      have->pages = pages;
      have->capacity = capacity;
    }
  }
  uint8_t *bits = NULL;
  if (needs_bits) {
    bits = malloc(PAGE_BYTES);
    if (bits == NULL) return AB_ENOMEM;
    memset(bits, found ? 0xff : 0, PAGE_BYTES);
    have->bitmaps++;
  }
  if (!found) {
    memmove(&have->pages[at + 1], &have->pages[at], (have->count - at) * sizeof(*have->pages));
    have->count++;
    have->pages[at] = (ab__have_page_t){.page = page, .bits = bits};
  } else if (needs_bits) {
    have->pages[at].bits = bits;
  } else if (full && have->pages[at].bits != NULL) {
    free(have->pages[at].bits);
    have->pages[at].bits = NULL;
    have->bitmaps--;
  }
  *out = &have->pages[at];
  return 0;
}

static void
fill (uint8_t *bits, unsigned from, unsigned to, bool set) {
  for (; from < to; from++) {
    if (from % 8 == 0 && to - from >= 8) {
      bits[from / 8] = set ? 0xff : 0;
      from += 7;
    } else if (set) {
      bits[from / 8] |= (uint8_t) (1u << (from % 8));
    } else {
      bits[from / 8] &= (uint8_t) ~(1u << (from % 8));
    }
  }
}

/* What lies in the part of [start, end) that this page covers. */
static void
part_of (uint64_t page, uint64_t start, uint64_t end, unsigned *from, unsigned *to) {
  uint64_t first = page * AB__HAVE_PAGE_BITS;
  *from = start > first ? (unsigned) (start - first) : 0;
  *to = end - first < AB__HAVE_PAGE_BITS ? (unsigned) (end - first) : AB__HAVE_PAGE_BITS;
}

/* Pages that lie below the contiguous part. */
static void
forget_below (ab__have_t *have) {
  size_t gone = place(have, have->contiguous / AB__HAVE_PAGE_BITS);
  for (size_t i = 0; i < gone; i++) {
    if (have->pages[i].bits != NULL) have->bitmaps--;
    free(have->pages[i].bits);
  }
  have->count -= gone;
  memmove(have->pages, &have->pages[gone], have->count * sizeof(*have->pages));
}

int
ab__have_set (ab__have_t *have, uint64_t start, uint64_t end) {
  if (start >= end) return 0;
  if (start <= have->contiguous) {
    if (end > have->contiguous) {
      have->contiguous = end;
      if (have->count > 0) forget_below(have);
    }
    return 0;
  }
  uint64_t last = (end - 1) / AB__HAVE_PAGE_BITS;
  uint64_t page = start / AB__HAVE_PAGE_BITS;
  if (last - page > AB__HAVE_PAGES_MAX) last = page + AB__HAVE_PAGES_MAX;
  for (; page <= last; page++) {
    unsigned from, to;
    ab__have_page_t *entry;
    part_of(page, start, end, &from, &to);
    bool full = from == 0 && to == AB__HAVE_PAGE_BITS;
    int err = page_at(have, page, full, &entry);
    if (err < 0) return err;
    if (entry == NULL) return 0;
    if (!full) fill(entry->bits, from, to, true);
  }
  return 0;
}

int
ab__have_drop (ab__have_t *have, uint64_t start, uint64_t end) {
  if (start >= end) return 0;
  if (start < have->contiguous) have->contiguous = start;
  size_t at = place(have, start / AB__HAVE_PAGE_BITS);
  while (at < have->count && have->pages[at].page * AB__HAVE_PAGE_BITS < end) {
    unsigned from, to;
    ab__have_page_t *entry;
    uint64_t page = have->pages[at].page;
    part_of(page, start, end, &from, &to);
    if (from == 0 && to == AB__HAVE_PAGE_BITS) {
      remove_page(have, at);
      continue;
    }
    int err = page_at(have, page, false, &entry);
    if (err < 0) return err;
    if (entry == NULL) continue; /* forgotten as a whole */
    fill(entry->bits, from, to, false);
    at++;
  }
  return 0;
}

int
ab__have_put (ab__have_t *have, uint64_t start, ab_slice_t bits) {
  uint64_t end = start + (uint64_t) bits.len * 8;
  if (start < have->contiguous) have->contiguous = start;
  for (uint64_t at = start; at < end;) {
    ab__have_page_t *entry;
    unsigned from, to;
    part_of(at / AB__HAVE_PAGE_BITS, at, end, &from, &to);
    int err = page_at(have, at / AB__HAVE_PAGE_BITS, false, &entry);
    if (err < 0) return err;
    if (entry != NULL) memcpy(entry->bits + from / 8, bits.data + (at - start) / 8, (to - from) / 8);
    at += to - from;
  }
  return 0;
}

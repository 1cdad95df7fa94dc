/* bitfield.c: which blocks of a core are here. */
#include "hypercore/bitfield.h"

#include "hypercore/encoding.h"
#include "hypercore/tail.h"

#include <assert.h>

#define WORD_BITS 64
#define PAGE_WORDS (AB__PAGE_BITS / WORD_BITS)
#define CLEAN_PAGES_MAX 256 /* a million blocks: 132 KiB */

_Static_assert(AB__PAGE_BITS == 8 * AB__PAGE_BYTES, "a page is its bits");

typedef struct {
  uint64_t page;
  uint64_t dirty;
  uint64_t words[PAGE_WORDS];
} page_t;

void
ab__bitfield_init (
  ab__bitfield_t *bits, uint64_t contiguous, bool has_pages, ab__page_source_t source, uint64_t seed
) {
  *bits = (ab__bitfield_t){.contiguous = contiguous, .has_pages = has_pages, .source = source};
  ab__map_init(&bits->pages, sizeof(page_t), seed);
}

void
ab__bitfield_destroy (ab__bitfield_t *bits) {
  ab__map_destroy(&bits->pages);
}

/* ---- pages ---- */

static page_t *
find_page (const ab__bitfield_t *bits, uint64_t page) {
  return ab__map_find(&bits->pages, page);
}

/* The page, from memory or the source; one that is stored nowhere is empty. */
static int
load_page (ab__bitfield_t *bits, uint64_t page, page_t **out) {
  if ((*out = find_page(bits, page)) != NULL) return 0;
  if (ab__map_reserve(&bits->pages, 1) < 0) return AB_ENOMEM;

  uint8_t bytes[AB__PAGE_BYTES] = {0};
  int err = bits->has_pages ? bits->source.load(bits->source.data, page, bytes) : AB_ENOTFOUND;
  if (err < 0 && err != AB_ENOTFOUND) return err;

  bool is_new;
  page_t *entry = ab__map_put(&bits->pages, page, &is_new);
  entry->dirty = 0;
  for (size_t i = 0; i < PAGE_WORDS; i++) entry->words[i] = ab_get_u64le(bytes + 8 * i);
  *out = entry;
  return 0;
}

static void
mark_dirty (ab__bitfield_t *bits, page_t *page) {
  if (page->dirty != 0) return;
  page->dirty = 1;
  bits->dirty_count++;
  bits->has_pages = true;
}

/* Ones from bit `from` to below bit `to` of a word, 0 <= from < to <= 64. */
static uint64_t
word_mask (unsigned from, unsigned to) {
  uint64_t below = to == WORD_BITS ? UINT64_MAX : (1ull << to) - 1;
  return below & (UINT64_MAX << from);
}

/* Set or unset [start, end) in the pages that are in memory. Unset in others means that they do not exist. */
static void
write_bits (ab__bitfield_t *bits, uint64_t start, uint64_t end, bool value) {
  while (start < end) {
    uint64_t page_end = (start / AB__PAGE_BITS + 1) * AB__PAGE_BITS;
    uint64_t stop = end < page_end ? end : page_end;
    page_t *page = find_page(bits, start / AB__PAGE_BITS);
    assert(page != NULL || !value);
    if (page == NULL) {
      start = stop;
      continue;
    }
    for (; start < stop;) {
      unsigned from = (unsigned) (start % WORD_BITS);
      uint64_t left = stop - start;
      unsigned to = left < WORD_BITS - from ? from + (unsigned) left : WORD_BITS;
      uint64_t *word = &page->words[start % AB__PAGE_BITS / WORD_BITS];
      uint64_t mask = word_mask(from, to);
      uint64_t changed = value ? *word | mask : *word & ~mask;
      if (changed != *word) {
        *word = changed;
        mark_dirty(bits, page);
      }
      start += to - from;
    }
  }
}

/* Load the pages of [start, end) that exist. */
static int
load_existing (ab__bitfield_t *bits, uint64_t start, uint64_t end) {
  if (!bits->has_pages) return 0;
  uint64_t page = start / AB__PAGE_BITS, last = (end - 1) / AB__PAGE_BITS;
  while (page <= last) {
    uint64_t found;
    int err = bits->source.next(bits->source.data, page, &found);
    if (err == AB_ENOTFOUND || (err == 0 && found > last)) return 0;
    page_t *loaded;
    if (err < 0 || (err = load_page(bits, found, &loaded)) < 0) return err;
    page = found + 1;
  }
  return 0;
}

static int
load_all (ab__bitfield_t *bits, uint64_t start, uint64_t end) {
  for (uint64_t page = start / AB__PAGE_BITS; page <= (end - 1) / AB__PAGE_BITS; page++) {
    page_t *loaded;
    int err = load_page(bits, page, &loaded);
    if (err < 0) return err;
  }
  return 0;
}

/* ---- reading ---- */

static bool
is_clean (const void *entry, const void *data) {
  (void) data;
  return ((const page_t *) entry)->dirty == 0;
}

/* Forget unchanged pages if there are many: they are stored. Not between the two halves of a change. */
static void
trim (ab__bitfield_t *bits) {
  if (bits->is_pinned || bits->pages.count - bits->dirty_count <= CLEAN_PAGES_MAX) return;
  ab__map_filter(&bits->pages, is_clean, NULL);
}

int
ab__bitfield_has (ab__bitfield_t *bits, uint64_t index, bool *has) {
  *has = index < bits->contiguous;
  if (*has || !bits->has_pages) return 0;
  trim(bits);
  page_t *page;
  int err = load_page(bits, index / AB__PAGE_BITS, &page);
  if (err < 0) return err;
  *has = (page->words[index % AB__PAGE_BITS / WORD_BITS] >> (index % WORD_BITS) & 1) != 0;
  return 0;
}

/* The first bit of one page in [start, end), which lies inside it, with this value; `end` if none. */
static uint64_t
find_in_page (const page_t *page, uint64_t start, uint64_t end, bool present) {
  while (start < end) {
    uint64_t word = page->words[start % AB__PAGE_BITS / WORD_BITS];
    if (!present) word = ~word;
    word &= UINT64_MAX << (start % WORD_BITS);
    uint64_t base = start - start % WORD_BITS;
    if (word != 0) {
      uint64_t found = base + (uint64_t) __builtin_ctzll(word);
      return found < end ? found : end;
    }
    start = base + WORD_BITS;
  }
  return end;
}

static int
find (ab__bitfield_t *bits, uint64_t start, uint64_t end, bool present, uint64_t *found) {
  *found = end;
  if (start >= end) return 0;
  if (start < bits->contiguous) {
    if (present) {
      *found = start;
      return 0;
    }
    start = bits->contiguous;
  }
  if (!bits->has_pages) {
    if (!present && start < end) *found = start;
    return 0;
  }
  while (start < end) {
    uint64_t page_end = (start / AB__PAGE_BITS + 1) * AB__PAGE_BITS;
    uint64_t stop = end < page_end ? end : page_end;
    page_t *page;
    int err = load_page(bits, start / AB__PAGE_BITS, &page);
    if (err < 0) return err;
    uint64_t at = find_in_page(page, start, stop, present);
    if (at < stop) {
      *found = at;
      return 0;
    }
    start = stop;
  }
  return 0;
}

int
ab__bitfield_find (ab__bitfield_t *bits, uint64_t start, uint64_t end, bool present, uint64_t *found) {
  trim(bits);
  return find(bits, start, end, present, found);
}

/* ---- changes ---- */

int
ab__bitfield_prepare_set (ab__bitfield_t *bits, uint64_t start, uint64_t end) {
  assert(start < end);
  if (start > bits->contiguous) return load_all(bits, start, end);
  /* The contiguous part will end at the first gap after these: look for it now, while failing is possible. */
  uint64_t from = end > bits->contiguous ? end : bits->contiguous, gap;
  return bits->has_pages ? find(bits, from, UINT64_MAX, false, &gap) : 0;
}

/* Pages that are wholly below `contiguous` now are to be deleted. */
static void
advance (ab__bitfield_t *bits, uint64_t contiguous) {
  uint64_t first = bits->contiguous / AB__PAGE_BITS, last = contiguous / AB__PAGE_BITS;
  bits->contiguous = contiguous;
  if (!bits->has_pages) return;
  for (uint64_t i = first; i < last; i++) {
    page_t *page = find_page(bits, i);
    if (page != NULL) mark_dirty(bits, page);
  }
}

void
ab__bitfield_set (ab__bitfield_t *bits, uint64_t start, uint64_t end) {
  if (start > bits->contiguous) {
    write_bits(bits, start, end, true);
    return;
  }
  if (end <= bits->contiguous) return;
  if (bits->has_pages) {
    int err = find(bits, end, UINT64_MAX, false, &end);
    assert(err == 0); /* prepared: the pages up to the gap are in memory */
    (void) err;
  }
  advance(bits, end);
}

int
ab__bitfield_prepare_cut (ab__bitfield_t *bits, uint64_t length, uint64_t from) {
  return length < from ? load_existing(bits, length, from) : 0;
}

void
ab__bitfield_cut (ab__bitfield_t *bits, uint64_t length, uint64_t from) {
  if (bits->contiguous > length) bits->contiguous = length;
  if (bits->has_pages && length < from) write_bits(bits, length, from, false);
}

int
ab__bitfield_prepare_clear (ab__bitfield_t *bits, uint64_t start, uint64_t end) {
  assert(start < end);
  if (start >= bits->contiguous) return load_existing(bits, start, end);
  /* Blocks from `end` to the old contiguous length stay and need bits from now on. */
  int err = bits->contiguous > end ? load_all(bits, start, bits->contiguous) : 0;
  return err < 0 ? err : load_existing(bits, start, end > bits->contiguous ? end : bits->contiguous);
}

void
ab__bitfield_clear (ab__bitfield_t *bits, uint64_t start, uint64_t end) {
  uint64_t contiguous = bits->contiguous;
  if (start < contiguous) bits->contiguous = start;
  if (contiguous > end) write_bits(bits, end, contiguous, true);
  write_bits(bits, start, end, false);
}

/* ---- storing ---- */

static bool
is_page_needed (const ab__bitfield_t *bits, const page_t *page) {
  if ((page->page + 1) * AB__PAGE_BITS <= bits->contiguous) return false;
  for (size_t i = 0; i < PAGE_WORDS; i++)
    if (page->words[i] != 0) return true;
  return false;
}

int
ab__bitfield_collect (const ab__bitfield_t *bits, ab__map_t *out) {
  if (bits->dirty_count == 0) return 0;
  if (ab__map_reserve(out, bits->dirty_count) < 0) return AB_ENOMEM;
  for (size_t i = 0; i < bits->pages.count; i++) {
    const page_t *page = ab__map_entry(&bits->pages, i);
    if (page->dirty == 0) continue;
    bool is_new;
    ab__staged_page_t *staged = ab__map_put(out, page->page, &is_new);
    staged->drop = !is_page_needed(bits, page);
    for (size_t word = 0; word < PAGE_WORDS; word++)
      ab_put_u64le(staged->bytes + 8 * word, page->words[word]);
  }
  return 0;
}

void
ab__bitfield_pin (ab__bitfield_t *bits) {
  bits->is_pinned = true;
  if (bits->dirty_count == 0) return;
  for (size_t i = 0; i < bits->pages.count; i++) {
    page_t *page = ab__map_entry(&bits->pages, i);
    page->dirty = 0;
  }
  bits->dirty_count = 0;
}

void
ab__bitfield_unpin (ab__bitfield_t *bits) {
  bits->is_pinned = false;
}

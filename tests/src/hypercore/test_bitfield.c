/* test_bitfield.c: presence bits and their pages, against an array of bools and with pages stored between. */
#include "hypercore/bitfield.h"

#include <stdlib.h>

#include "hypercore/tail.h"
#include "support/rng.h"
#include "support/test.h"

#define PAGES 8
#define BLOCKS (PAGES * AB__PAGE_BITS)

/* What a file would hold. */
typedef struct {
  bool stored[PAGES];
  uint8_t bytes[PAGES][AB__PAGE_BYTES];
  size_t loads;
} file_t;

static int
load (void *data, uint64_t page, uint8_t *bytes) {
  file_t *file = data;
  file->loads++;
  if (page >= PAGES || !file->stored[page]) return AB_ENOTFOUND;
  memcpy(bytes, file->bytes[page], AB__PAGE_BYTES);
  return 0;
}

static int
next (void *data, uint64_t page, uint64_t *found) {
  const file_t *file = data;
  for (; page < PAGES; page++) {
    if (!file->stored[page]) continue;
    *found = page;
    return 0;
  }
  return AB_ENOTFOUND;
}

static bool
has_stored (const file_t *file) {
  for (size_t i = 0; i < PAGES; i++)
    if (file->stored[i]) return true;
  return false;
}

/* Write what changed, as a commit does. Returns how many pages that were. */
static size_t
store_pages (ab__bitfield_t *bits, file_t *file) {
  ab__map_t pages;
  ab__map_init(&pages, sizeof(ab__staged_page_t), 1);
  assert_int_equal(ab__bitfield_collect(bits, &pages), 0);
  for (size_t i = 0; i < pages.count; i++) {
    const ab__staged_page_t *page = ab__map_entry(&pages, i);
    assert_true(page->page < PAGES);
    file->stored[page->page] = !page->drop;
    memcpy(file->bytes[page->page], page->bytes, AB__PAGE_BYTES);
  }
  size_t count = pages.count;
  ab__bitfield_pin(bits);
  ab__bitfield_unpin(bits);
  ab__map_destroy(&pages);
  return count;
}

static void
set (ab__bitfield_t *bits, uint64_t start, uint64_t end) {
  assert_int_equal(ab__bitfield_prepare_set(bits, start, end), 0);
  ab__bitfield_set(bits, start, end);
}

static bool
has (ab__bitfield_t *bits, uint64_t index) {
  bool present;
  assert_int_equal(ab__bitfield_has(bits, index, &present), 0);
  return present;
}

static void
a_whole_core_needs_no_pages (void **state) {
  (void) state;
  file_t file = {0};
  ab__bitfield_t bits;
  ab__bitfield_init(&bits, 0, false, (ab__page_source_t){load, next, &file}, 1);
  for (uint64_t i = 0; i < 10000; i += 10) set(&bits, i, i + 10);
  assert_int_equal(bits.contiguous, 10000);
  assert_true(has(&bits, 9999) && !has(&bits, 10000));
  assert_int_equal(bits.pages.count, 0);
  assert_int_equal(file.loads, 0);
  ab__bitfield_destroy(&bits);
}

static void
a_page_is_laid_out_low_bit_first (void **state) {
  (void) state;
  file_t file = {0};
  ab__bitfield_t bits;
  static const uint64_t blocks[] = {1, 3, 4, 5, 6, 7, 8, 11};
  ab__bitfield_init(&bits, 0, false, (ab__page_source_t){load, next, &file}, 1);
  for (size_t i = 0; i < 8; i++) set(&bits, blocks[i], blocks[i] + 1);
  assert_int_equal(store_pages(&bits, &file), 1);
  assert_int_equal(file.bytes[0][0], 0xfa);
  assert_int_equal(file.bytes[0][1], 0x09);
  ab__bitfield_destroy(&bits);
}

static void
pages_go_once_they_are_below_the_contiguous_length (void **state) {
  (void) state;
  file_t file = {0};
  ab__bitfield_t bits;
  ab__bitfield_init(&bits, 0, false, (ab__page_source_t){load, next, &file}, 1);
  set(&bits, 1, 2 * AB__PAGE_BITS + 5);
  assert_int_equal(store_pages(&bits, &file), 3);
  assert_true(file.stored[0] && file.stored[1] && file.stored[2]);
  set(&bits, 0, 1);
  assert_int_equal(bits.contiguous, 2 * AB__PAGE_BITS + 5);
  store_pages(&bits, &file);
  assert_true(!file.stored[0] && !file.stored[1]);
  ab__bitfield_destroy(&bits);
}

static void
clearing_below_the_contiguous_length_makes_pages (void **state) {
  (void) state;
  file_t file = {0};
  ab__bitfield_t bits;
  ab__bitfield_init(&bits, 3 * AB__PAGE_BITS, false, (ab__page_source_t){load, next, &file}, 1);
  assert_int_equal(ab__bitfield_prepare_clear(&bits, 10, 20), 0);
  ab__bitfield_clear(&bits, 10, 20);
  assert_int_equal(bits.contiguous, 10);
  for (uint64_t i = 0; i < 3 * AB__PAGE_BITS; i++) assert_true(has(&bits, i) == (i < 10 || i >= 20));
  assert_false(has(&bits, 3 * AB__PAGE_BITS));
  assert_int_equal(store_pages(&bits, &file), 3);
  ab__bitfield_destroy(&bits);
}

static void
check_against (ab__bitfield_t *bits, const bool *model, uint64_t length, rng_t *dice) {
  uint64_t contiguous = 0;
  while (contiguous < length && model[contiguous]) contiguous++;
  assert_int_equal(bits->contiguous, contiguous);
  for (int i = 0; i < 20; i++) {
    uint64_t at = rng_below(dice, BLOCKS);
    assert_true(has(bits, at) == model[at]);
    uint64_t end = at + rng_below(dice, BLOCKS), expected = at, found;
    bool present = rng_below(dice, 2) == 0;
    while (expected < end && (expected < BLOCKS && model[expected]) != present) expected++;
    assert_int_equal(ab__bitfield_find(bits, at, end, present, &found), 0);
    assert_int_equal(found, expected);
  }
}

static void
any_changes_agree_with_an_array (void **state) {
  (void) state;
  static bool model[BLOCKS];
  rng_t dice = rng(7);
  for (uint32_t round = 0; round < 30; round++) {
    file_t file = {0};
    ab__bitfield_t bits;
    uint64_t length = 0;
    memset(model, 0, sizeof(model));
    ab__bitfield_init(&bits, 0, false, (ab__page_source_t){load, next, &file}, round);
    for (int i = 0; i < 300; i++) {
      uint32_t op = rng_below(&dice, 20);
      uint64_t start = length == 0 ? 0 : rng_below(&dice, (uint32_t) length);
      uint64_t end = start + 1 + rng_below(&dice, op % 2 ? 9 : 3 * AB__PAGE_BITS);
      if (op < 6) { /* append */
        end = length + 1 + rng_below(&dice, 2000);
        if (end > BLOCKS) continue;
        bool missing = rng_below(&dice, 2) == 0; /* or only a longer head */
        if (!missing) set(&bits, length, end);
        for (uint64_t b = length; b < end && !missing; b++) model[b] = true;
        length = end;
      } else if (op < 12 && length > 0) {
        if (end > length) end = length;
        set(&bits, start, end);
        for (uint64_t b = start; b < end; b++) model[b] = true;
      } else if (op < 15 && length > 0) {
        if (end > length) end = length;
        assert_int_equal(ab__bitfield_prepare_clear(&bits, start, end), 0);
        ab__bitfield_clear(&bits, start, end);
        for (uint64_t b = start; b < end; b++) model[b] = false;
      } else if (op < 16 && length > 0) {
        assert_int_equal(ab__bitfield_prepare_cut(&bits, start, length), 0);
        ab__bitfield_cut(&bits, start, length);
        for (uint64_t b = start; b < length; b++) model[b] = false;
        length = start;
      } else if (op < 18) {
        store_pages(&bits, &file);
        assert_int_equal(store_pages(&bits, &file), 0);
      } else if (op < 19) { /* reopen */
        store_pages(&bits, &file);
        uint64_t contiguous = bits.contiguous;
        ab__bitfield_destroy(&bits);
        ab__bitfield_init(
          &bits, contiguous, has_stored(&file), (ab__page_source_t){load, next, &file}, round
        );
      }
      check_against(&bits, model, length, &dice);
    }
    ab__bitfield_destroy(&bits);
  }
}

int
main (void) {
  static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_whole_core_needs_no_pages),
    cmocka_unit_test(a_page_is_laid_out_low_bit_first),
    cmocka_unit_test(pages_go_once_they_are_below_the_contiguous_length),
    cmocka_unit_test(clearing_below_the_contiguous_length_makes_pages),
    cmocka_unit_test(any_changes_agree_with_an_array),
  };
  return cmocka_run_group_tests_name("bitfield", tests, NULL, NULL);
}

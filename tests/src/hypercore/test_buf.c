#include <stdint.h>

#include "hypercore/buf.h"
#include "support/test.h"

static void
bytes_grow_and_keep_their_content (void **state) {
  ab_buf_t buf = {0};
  (void) state;
  for (size_t i = 0; i < 10000; i++) {
    uint8_t byte = (uint8_t) i;
    ab_buf_append(&buf, ab_slice(&byte, 1));
  }
  assert_int_equal(buf.err, 0);
  assert_int_equal(buf.len, 10000);
  for (size_t i = 0; i < 10000; i++) assert_int_equal(buf.data[i], (uint8_t) i);
  ab_buf_destroy(&buf);
}

static void
reset_keeps_the_memory (void **state) {
  ab_buf_t buf = {0};
  (void) state;
  ab_buf_append(&buf, ab_text("some text"));
  const uint8_t *data = buf.data;
  ab_buf_reset(&buf);
  assert_int_equal(buf.len, 0);
  ab_buf_append(&buf, ab_text("other"));
  assert_ptr_equal(buf.data, data);
  ab_buf_destroy(&buf);
}

static void
a_failed_growth_sticks (void **state) {
  ab_buf_t buf = {0};
  (void) state;
  ab_buf_append(&buf, ab_text("kept"));
  assert_null(ab_buf_extend(&buf, SIZE_MAX));
  assert_int_equal(buf.err, AB_ENOMEM);
  ab_buf_append(&buf, ab_text("not written"));
  assert_int_equal(buf.len, 4);
  assert_null(ab_buf_extend(&buf, 1));
  ab_buf_reset(&buf);
  ab_buf_append(&buf, ab_text("again"));
  assert_int_equal(buf.err, 0);
  assert_int_equal(buf.len, 5);
  ab_buf_destroy(&buf);
}

static void
nothing_extends_to_a_place (void **state) {
  ab_buf_t buf = {0};
  (void) state;
  assert_non_null(ab_buf_extend(&buf, 0));
  assert_int_equal(buf.len, 0);
  ab_buf_append(&buf, ab_slice(NULL, 0));
  assert_int_equal(buf.err, 0);
  ab_buf_destroy(&buf);
  ab_buf_destroy(&buf);
}

static void
an_arena_hands_out_aligned_memory_that_stays (void **state) {
  ab_arena_t arena = {0};
  uint8_t *kept[200];
  (void) state;
  for (size_t i = 0; i < 200; i++) {
    kept[i] = ab_arena_zalloc(&arena, i, 7);
    assert_non_null(kept[i]);
    assert_int_equal((uintptr_t) kept[i] % 16, 0);
    for (size_t j = 0; j < 7 * i; j++) assert_int_equal(kept[i][j], 0);
    memset(kept[i], (int) i, 7 * i);
  }
  for (size_t i = 0; i < 200; i++) {
    for (size_t j = 0; j < 7 * i; j++) assert_int_equal(kept[i][j], (uint8_t) i);
  }
  assert_int_equal(arena.bytes, 7 * 199 * 200 / 2);
  ab_arena_destroy(&arena);
  assert_int_equal(arena.bytes, 0);
}

static void
an_arena_refuses_a_product_that_overflows (void **state) {
  ab_arena_t arena = {0};
  (void) state;
  assert_null(ab_arena_alloc(&arena, SIZE_MAX / 2, 3));
  assert_null(ab_arena_alloc(&arena, SIZE_MAX, 1));
  assert_null(ab_arena_zalloc(&arena, 1, SIZE_MAX));
  ab_arena_destroy(&arena);
}

static void
an_arena_copies_bytes_in_place (void **state) {
  ab_arena_t arena = {0};
  char text[] = "text";
  ab_slice_t copy = ab_text(text);
  (void) state;
  assert_int_equal(ab_arena_copy(&arena, copy, &copy), 0);
  text[0] = 'n';
  assert_true(ab_slice_equal(copy, ab_text("text")));
  assert_int_equal(ab_arena_copy(&arena, ab_slice(NULL, 0), &copy), 0);
  assert_non_null(copy.data);
  ab_arena_destroy(&arena);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(bytes_grow_and_keep_their_content),
    cmocka_unit_test(reset_keeps_the_memory),
    cmocka_unit_test(a_failed_growth_sticks),
    cmocka_unit_test(nothing_extends_to_a_place),
    cmocka_unit_test(an_arena_hands_out_aligned_memory_that_stays),
    cmocka_unit_test(an_arena_refuses_a_product_that_overflows),
    cmocka_unit_test(an_arena_copies_bytes_in_place),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

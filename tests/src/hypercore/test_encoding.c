#include "hypercore/encoding.h"
#include "support/test.h"

static void
the_first_bad_read_sticks (void **state) {
  const uint8_t bytes[] = {5, 0xfd, 1};
  ab_reader_t in = ab_reader(ab_slice(bytes, sizeof(bytes)));
  (void) state;
  assert_int_equal(ab_read_uint(&in), 5);
  assert_int_equal(ab_read_uint(&in), 0);
  assert_int_equal(in.err, AB_ECORRUPT);
  assert_int_equal(ab_reader_left(&in), 0);
  assert_int_equal(ab_read_uint(&in), 0);
  assert_int_equal(ab_read_int(&in), 0);
  assert_false(ab_read_bool(&in));
  assert_null(ab_read_buffer(&in).data);
  assert_null(ab_read_bytes(&in, 0).data);
  assert_int_equal(ab_read_count(&in, 1), 0);
  assert_int_equal(ab_read_frame(&in).err, AB_ECORRUPT);
}

static void
nothing_can_be_read_from_nothing (void **state) {
  ab_reader_t in = ab_reader(ab_slice(NULL, 0));
  ab_key_t key;
  (void) state;
  assert_int_equal(ab_reader_left(&in), 0);
  assert_int_equal(ab_read_bytes(&in, 0).len, 0);
  assert_int_equal(in.err, 0);
  memset(&key, 1, sizeof(key));
  ab_read_key(&in, &key);
  assert_int_equal(in.err, AB_ECORRUPT);
  assert_int_equal(key.bytes[31], 0);
}

static void
a_count_is_bounded_by_the_bytes_left (void **state) {
  const uint8_t bytes[] = {3, 1, 2, 3, 4, 5};
  ab_reader_t in = ab_reader(ab_slice(bytes, sizeof(bytes)));
  (void) state;
  assert_int_equal(ab_read_count(&in, 1), 3);
  in = ab_reader(ab_slice(bytes, sizeof(bytes)));
  assert_int_equal(ab_read_count(&in, 2), 0);
  assert_int_equal(in.err, AB_ECORRUPT);
}

static void
a_count_has_a_limit (void **state) {
  ab_buf_t buf = {0};
  (void) state;
  ab_write_uint(&buf, AB_LIST_MAX + 1);
  uint8_t *rest = ab_buf_extend(&buf, AB_LIST_MAX + 1);
  assert_non_null(rest);
  memset(rest, 0, AB_LIST_MAX + 1);
  ab_reader_t in = ab_reader(ab_buf_slice(&buf));
  assert_int_equal(ab_read_count(&in, 1), 0);
  assert_int_equal(in.err, AB_ECORRUPT);
  ab_buf_destroy(&buf);
}

static void
a_frame_ends_where_it_says (void **state) {
  const uint8_t bytes[] = {2, 7, 8, 9};
  ab_reader_t in = ab_reader(ab_slice(bytes, sizeof(bytes)));
  ab_reader_t frame = ab_read_frame(&in);
  (void) state;
  assert_int_equal(ab_read_uint(&frame), 7);
  assert_int_equal(ab_read_uint(&in), 9);
  assert_int_equal(ab_read_uint(&frame), 8);
  assert_int_equal(frame.err, 0);
  ab_read_uint(&frame);
  assert_int_equal(frame.err, AB_ECORRUPT);
  assert_int_equal(in.err, 0);
}

static void
an_empty_buffer_is_not_an_absent_one (void **state) {
  const uint8_t byte = 0;
  ab_reader_t in = ab_reader(ab_slice(&byte, 1));
  ab_slice_t empty = ab_read_buffer(&in);
  (void) state;
  assert_int_equal(in.err, 0);
  assert_int_equal(empty.len, 0);
  assert_non_null(empty.data);
}

static void
an_integer_that_nobody_could_read_is_not_written (void **state) {
  ab_buf_t buf = {0};
  (void) state;
  ab_write_uint(&buf, AB_MAX_SAFE);
  assert_int_equal(buf.err, 0);
  ab_write_uint(&buf, AB_MAX_SAFE + 1);
  assert_int_equal(buf.err, AB_EINVAL);
  assert_int_equal(buf.len, 9);
  ab_write_uint(&buf, 1);
  assert_int_equal(buf.len, 9);
  ab_buf_destroy(&buf);

  ab_write_int(&buf, INT64_MIN);
  assert_int_equal(buf.err, AB_EINVAL);
  ab_buf_destroy(&buf);
}

static void
integers_come_back_at_every_width (void **state) {
  (void) state;
  for (int bits = 0; bits <= 53; bits++) {
    for (int64_t off = bits < 2 ? 0 : -2; off <= 2; off++) {
      uint64_t value = (uint64_t) ((1ll << bits) + off);
      if (value > AB_MAX_SAFE) continue;
      ab_buf_t buf = {0};
      ab_write_uint(&buf, value);
      assert_int_equal(buf.len, ab_uint_size(value));
      if (value < 1ull << 52) ab_write_int(&buf, -(int64_t) value);
      ab_write_fixed_uint(&buf, value, 8);
      ab_write_fixed_uint_be(&buf, value, 8);
      ab_reader_t in = ab_reader(ab_buf_slice(&buf));
      assert_int_equal(ab_read_uint(&in), value);
      if (value < 1ull << 52) assert_int_equal(ab_read_int(&in), -(int64_t) value);
      assert_int_equal(ab_read_fixed_uint(&in, 8), value);
      assert_int_equal(ab_read_fixed_uint_be(&in, 8), value);
      assert_int_equal(in.err, 0);
      assert_int_equal(ab_reader_left(&in), 0);
      ab_buf_destroy(&buf);
    }
  }
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_first_bad_read_sticks),
    cmocka_unit_test(nothing_can_be_read_from_nothing),
    cmocka_unit_test(a_count_is_bounded_by_the_bytes_left),
    cmocka_unit_test(a_count_has_a_limit),
    cmocka_unit_test(a_frame_ends_where_it_says),
    cmocka_unit_test(an_empty_buffer_is_not_an_absent_one),
    cmocka_unit_test(an_integer_that_nobody_could_read_is_not_written),
    cmocka_unit_test(integers_come_back_at_every_width),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

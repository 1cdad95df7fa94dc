#include "autobee/record.h"
#include "support/test.h"

static ab_key_t
key_of (uint8_t byte) {
  ab_key_t key;
  memset(key.bytes, byte, sizeof(key.bytes));
  return key;
}

#define BYTES(text) ab_slice(text, sizeof(text) - 1)

/* ---- keys ---- */

static void
keys_of_writers_are_told_from_others (void **state) {
  (void) state;
  uint8_t bytes[RECORD_WRITER_KEY_LEN];
  uint8_t indexer[RECORD_INDEXER_KEY_LEN];
  ab_key_t writer = key_of(9);
  ab_key_t found;
  ab_slice_t key = autobee__record_writer_key(bytes, &writer);
  assert_true(autobee__record_is_writer_key(key, &found));
  assert_true(ab_key_equal(&writer, &found));
  assert_false(autobee__record_is_writer_key(ab_slice(key.data, key.len - 1), &found));
  assert_false(autobee__record_is_writer_key(autobee__record_indexer_key(indexer, &writer), &found));
  assert_false(autobee__record_is_writer_key(autobee__record_info_key(), &found));
  bytes[1] = 1;
  assert_false(autobee__record_is_writer_key(key, &found));
}

/* ---- a writer's record ---- */

static record_writer_t
round_trip (const record_writer_t *record, ab_buf_t *out) {
  record_writer_t found;
  ab_buf_reset(out);
  autobee__record_writer_encode(out, record);
  assert_int_equal(out->err, 0);
  assert_int_equal(autobee__record_writer_decode(ab_buf_slice(out), &found), 0);
  return found;
}

static void
a_timestamp_of_zero_is_left_out_and_one_of_minus_one_is_not (void **state) {
  (void) state;
  ab_buf_t out = {0};
  record_writer_t record = {.is_oplog = true, .length = 1, .weight = 2};
  record_writer_t found = round_trip(&record, &out);
  assert_true(ab_slice_equal(ab_buf_slice(&out), BYTES("\x04\x02\x02\x00\x01\x00")));
  assert_int_equal(found.timestamp_ms, 0);

  record = (record_writer_t){.timestamp_ms = -1, .max_weight = 2, .clock = 1};
  found = round_trip(&record, &out);
  assert_true(ab_slice_equal(ab_buf_slice(&out), BYTES("\x04\x10\x00\x02\x00\x01\x01")));
  assert_int_equal(found.timestamp_ms, -1);
  ab_buf_destroy(&out);
}

static void
every_flag_survives_a_round_trip (void **state) {
  (void) state;
  ab_buf_t out = {0};
  for (unsigned flags = 0; flags < 16; flags++) {
    record_writer_t record = {
      .is_removed = (flags & 1) != 0,
      .is_oplog = (flags & 2) != 0,
      .is_genesis = (flags & 4) != 0,
      .is_anchor = (flags & 8) != 0,
      .timestamp_ms = 1};
    record_writer_t found = round_trip(&record, &out);
    assert_int_equal(out.data[1], flags | 16);
    assert_int_equal(found.is_removed, record.is_removed);
    assert_int_equal(found.is_oplog, record.is_oplog);
    assert_int_equal(found.is_genesis, record.is_genesis);
    assert_int_equal(found.is_anchor, record.is_anchor);
  }
  ab_buf_destroy(&out);
}

static void
records_of_the_previous_generation_are_read (void **state) {
  (void) state;
  record_writer_t found;
  assert_int_equal(autobee__record_writer_decode(BYTES("\x03\x07"), &found), 0);
  assert_true(found.is_removed);
  assert_int_equal(found.weight, 2);
  assert_int_equal(found.max_weight, 0);
  assert_int_equal(found.length, 7);
  assert_int_equal(autobee__record_writer_decode(BYTES("\x05\x00\x00\x00\x00\x00"), &found), AB_EVERSION);
  assert_int_equal(autobee__record_writer_decode(BYTES("\x02"), &found), AB_ECORRUPT);
}

static void
standing_is_the_ceiling_only_of_a_genesis_grant (void **state) {
  (void) state;
  assert_int_equal(record_standing(NULL), 0);
  assert_int_equal(record_standing(&(record_writer_t){.weight = 1, .max_weight = 2}), 1);
  assert_int_equal(record_standing(&(record_writer_t){.weight = 1, .max_weight = 3, .is_genesis = true}), 3);
  assert_int_equal(record_standing(&(record_writer_t){.weight = 1, .is_genesis = true}), 1);
}

static void
an_indexer_has_a_ceiling_of_exactly_two (void **state) {
  (void) state;
  assert_false(record_is_indexer(&(record_writer_t){.max_weight = 1, .weight = 2}));
  assert_true(record_is_indexer(&(record_writer_t){.max_weight = 2}));
  assert_false(record_is_indexer(&(record_writer_t){.max_weight = 3}));
}

/* ---- system info ---- */

static void
heads_keep_their_order (void **state) {
  (void) state;
  const ab_head_t heads[] = {{key_of(9), 1}, {key_of(1), 300}, {key_of(5), 2}};
  record_info_t info = {.timestamp_ms = 5, .flushes = 3, .heads = heads, .head_count = 3};
  info.view.key = key_of(7); /* set, although the view is empty */
  record_info_t found;
  ab_arena_t arena = {0};
  ab_buf_t out = {0};
  autobee__record_info_encode(&out, &info);
  assert_int_equal(autobee__record_info_decode(ab_buf_slice(&out), &arena, &found), 0);
  assert_int_equal(found.head_count, 3);
  for (size_t i = 0; i < 3; i++) assert_true(ab_head_equal(&heads[i], &found.heads[i]));
  assert_true(ab_head_equal(&info.view, &found.view));
  assert_false(found.has_indexers);
  ab_arena_destroy(&arena);
  ab_buf_destroy(&out);
}

static void
a_newer_info_is_refused (void **state) {
  (void) state;
  record_info_t found;
  ab_arena_t arena = {0};
  assert_int_equal(autobee__record_info_decode(BYTES("\x04"), &arena, &found), AB_EVERSION);
  assert_int_equal(autobee__record_info_decode(BYTES("\x02"), &arena, &found), AB_ENOTSUP);
  assert_int_equal(autobee__record_info_decode(BYTES(""), &arena, &found), AB_ECORRUPT);
  ab_arena_destroy(&arena);
}

/* ---- small structures ---- */

static void
manifest_data_is_the_namespace_of_an_anchor (void **state) {
  (void) state;
  record_manifest_data_t data = {.has_namespace = true, .ns = key_of(3)};
  record_manifest_data_t found;
  ab_buf_t out = {0};
  autobee__record_manifest_data_encode(&out, &data);
  assert_int_equal(out.len, 34);
  assert_memory_equal(out.data, "\x00\x02\x03", 3);
  assert_int_equal(autobee__record_manifest_data_decode(ab_buf_slice(&out), &found), 0);
  assert_true(found.has_namespace && ab_key_equal(&data.ns, &found.ns));
  out.len--;
  assert_int_equal(autobee__record_manifest_data_decode(ab_buf_slice(&out), &found), AB_ECORRUPT);
  ab_buf_destroy(&out);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(keys_of_writers_are_told_from_others),
    cmocka_unit_test(a_timestamp_of_zero_is_left_out_and_one_of_minus_one_is_not),
    cmocka_unit_test(every_flag_survives_a_round_trip),
    cmocka_unit_test(records_of_the_previous_generation_are_read),
    cmocka_unit_test(standing_is_the_ceiling_only_of_a_genesis_grant),
    cmocka_unit_test(an_indexer_has_a_ceiling_of_exactly_two),
    cmocka_unit_test(heads_keep_their_order),
    cmocka_unit_test(a_newer_info_is_refused),
    cmocka_unit_test(manifest_data_is_the_namespace_of_an_anchor),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

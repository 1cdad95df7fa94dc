#include "autobee/oplog.h"
#include "hypercore/encoding.h"
#include "support/test.h"

static ab_key_t
key_of (uint8_t byte) {
  ab_key_t key;
  memset(key.bytes, byte, sizeof(key.bytes));
  return key;
}

static void
encode (const oplog_message_t *message, ab_buf_t *out) {
  ab_buf_reset(out);
  autobee__oplog_encode(out, message);
  assert_int_equal(out->err, 0);
  assert_int_equal(out->len, autobee__oplog_size(message));
}

static void
assert_encodes (const oplog_message_t *message, const char *bytes, size_t len) {
  ab_buf_t out = {0};
  encode(message, &out);
  assert_int_equal(out.len, len);
  assert_memory_equal(out.data, bytes, len);
  ab_buf_destroy(&out);
}

static int
decode (const char *bytes, size_t len, oplog_message_t *out) {
  ab_arena_t arena = {0};
  int err = autobee__oplog_decode(ab_slice(bytes, len), &arena, out);
  ab_arena_destroy(&arena);
  return err;
}

static void
a_zeroed_message_is_the_shortest (void **state) {
  (void) state;
  oplog_message_t message = {.timestamp_ms = 1700000000000};
  assert_encodes(&message, "\x03\xff\x00\x68\xe5\xcf\x8b\x01\x00\x00\x00\x00", 12);
}

static void
a_null_value_is_not_an_empty_one (void **state) {
  (void) state;
  oplog_message_t message = {0};
  oplog_message_t found;
  assert_encodes(&message, "\x03\x00\x00\x00", 4);
  message.has_value = true;
  assert_encodes(&message, "\x03\x00\x00\x10\x00", 5);
  assert_int_equal(decode("\x03\x00\x00\x00", 4, &found), 0);
  assert_false(found.has_value);
  assert_int_equal(decode("\x03\x00\x00\x10\x00", 5, &found), 0);
  assert_true(found.has_value);
  assert_int_equal(found.value.len, 0);
}

static void
an_empty_trusted_list_is_present (void **state) {
  (void) state;
  oplog_message_t message = {.has_trusted = true, .batch_end = 2};
  assert_encodes(&message, "\x03\x00\x00\x81\x00\x02\x00", 7);
  oplog_message_t found;
  assert_int_equal(decode("\x03\x00\x00\x81\x00\x02\x00", 7, &found), 0);
  assert_true(found.has_trusted);
  assert_int_equal(found.trusted_count, 0);
}

static void
a_batch_of_one_has_no_batch_field (void **state) {
  (void) state;
  oplog_message_t found;
  assert_int_equal(decode("\x03\x00\x00\x01\x00\x00", 6, &found), 0);
  assert_encodes(&found, "\x03\x00\x00\x00", 4);
}

static void
flags_of_253_and_more_take_three_bytes (void **state) {
  (void) state;
  oplog_message_t message = {
    .batch_start = 1,
    .has_views = true,
    .has_view_range = true,
    .optimistic = true,
    .has_value = true,
    .has_witness = true,
    .has_attestations = true,
    .has_trusted = true};
  ab_buf_t out = {0};
  encode(&message, &out);
  assert_memory_equal(out.data, "\x03\x00\x00\xfd\xff\x00", 6);
  ab_buf_destroy(&out);
}

static void
a_view_range_needs_views (void **state) {
  (void) state;
  oplog_message_t message = {.has_view_range = true};
  assert_encodes(&message, "\x03\x00\x00\x00", 4);
}

static void
everything_survives_a_round_trip (void **state) {
  (void) state;
  const ab_head_t links[] = {{key_of(2), 1}, {key_of(1), 300}};
  const oplog_attestation_t attestations[] = {{key_of(3), 2, {7}}, {key_of(4), 70000, {8}}};
  const oplog_trusted_t trusted[] = {{{key_of(5), 12}, 99}};
  const oplog_message_t message = {
    .timestamp_ms = AB_MAX_SAFE,
    .links = links,
    .link_count = 2,
    .batch_start = 3,
    .batch_end = 0,
    .has_views = true,
    .flushes = 7,
    .system = {key_of(6), 5, 6},
    .optimistic = true,
    .has_value = true,
    .value = ab_text("some value"),
    .has_witness = true,
    .witness = {2, {key_of(7), 9}, {1, 2, 3}, ab_text("manifest")},
    .has_attestations = true,
    .attestations = attestations,
    .attestation_count = 2,
    .has_trusted = true,
    .trusted = trusted,
    .trusted_count = 1};
  ab_arena_t arena = {0};
  ab_buf_t first = {0};
  ab_buf_t second = {0};
  oplog_message_t found;
  encode(&message, &first);
  assert_int_equal(autobee__oplog_decode(ab_buf_slice(&first), &arena, &found), 0);
  assert_int_equal(found.link_count, 2);
  assert_true(ab_head_equal(&found.links[0], &links[0])); /* in the order of the message */
  assert_true(ab_slice_equal(found.witness.manifest, message.witness.manifest));
  assert_int_equal(found.attestations[1].weight, 70000);
  encode(&found, &second);
  assert_true(ab_slice_equal(ab_buf_slice(&first), ab_buf_slice(&second)));

  ab_arena_destroy(&arena);
  for (size_t len = 0; len < first.len; len++) { /* no part of it is a message */
    assert_int_equal(decode((const char *) first.data, len, &found), AB_ECORRUPT);
  }
  ab_buf_destroy(&first);
  ab_buf_destroy(&second);
}

static void
other_generations_are_told_apart (void **state) {
  (void) state;
  oplog_message_t found;
  assert_int_equal(decode("\x02\x00\x01\x00\x04", 5, &found), AB_ENOTSUP);
  assert_int_equal(decode("\x00", 1, &found), AB_ENOTSUP);
  assert_int_equal(decode("\x04\x00\x00\x00", 4, &found), AB_EVERSION);
  assert_int_equal(decode("\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9, &found), AB_ECORRUPT);
}

static void
what_a_frame_has_to_spare_is_skipped (void **state) {
  (void) state;
  oplog_message_t message = {
    .has_trusted = true, .trusted_count = 1, .trusted = &(oplog_trusted_t){.flushes = 1}};
  oplog_message_t found;
  ab_buf_t out = {0};
  encode(&message, &out);
  out.data[5] += 2; /* the frame's length */
  ab_buf_append(&out, ab_text("xx"));
  assert_int_equal(decode((const char *) out.data, out.len, &found), 0);
  assert_int_equal(found.trusted_count, 1);
  out.data[5] += 1;
  assert_int_equal(decode((const char *) out.data, out.len, &found), AB_ECORRUPT);
  ab_buf_destroy(&out);
}

static void
no_list_is_longer_than_its_bytes (void **state) {
  (void) state;
  oplog_message_t found;
  assert_int_equal(decode("\x03\x00\x02", 3, &found), AB_ECORRUPT);
  assert_int_equal(decode("\x03\x00\x00\x40\xfe\x00\x00\x10\x00", 9, &found), AB_ECORRUPT);
  assert_int_equal(decode("\x03\x00\x00\xfd\x80\x00\xfd\xff\xff", 9, &found), AB_ECORRUPT);
}

static void
a_number_above_the_largest_is_not_written (void **state) {
  (void) state;
  oplog_message_t message = {.timestamp_ms = AB_MAX_SAFE + 1};
  ab_buf_t out = {0};
  autobee__oplog_encode(&out, &message);
  assert_int_equal(out.err, AB_EINVAL);
  ab_buf_destroy(&out);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_zeroed_message_is_the_shortest),
    cmocka_unit_test(a_null_value_is_not_an_empty_one),
    cmocka_unit_test(an_empty_trusted_list_is_present),
    cmocka_unit_test(a_batch_of_one_has_no_batch_field),
    cmocka_unit_test(flags_of_253_and_more_take_three_bytes),
    cmocka_unit_test(a_view_range_needs_views),
    cmocka_unit_test(everything_survives_a_round_trip),
    cmocka_unit_test(other_generations_are_told_apart),
    cmocka_unit_test(what_a_frame_has_to_spare_is_skipped),
    cmocka_unit_test(no_list_is_longer_than_its_bytes),
    cmocka_unit_test(a_number_above_the_largest_is_not_written),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "memory_core.h"
#include "support/test.h"

static void
requests_come_back_whole (void **state) {
  (void) state;
  for (unsigned parts = 0; parts < 64; parts++) {
    ab_request_t request = {.id = 300, .fork = 70000}, read;
    ab_buf_t message = {0}, again = {0};
    if ((request.has_block = (parts & 1) != 0)) request.block.index = 5, request.block.nodes = 2;
    if ((request.has_hash = (parts & 2) != 0)) request.hash.index = 253, request.hash.nodes = 1;
    if ((request.has_seek = (parts & 4) != 0)) request.seek.bytes = 1000, request.seek.padding = 8;
    if ((request.has_upgrade = (parts & 8) != 0)) request.upgrade.start = 1, request.upgrade.length = 9;
    request.wants_manifest = (parts & 16) != 0;
    request.priority = (parts & 32) != 0 ? 2 : 0;
    ab_request_encode(&message, &request);
    assert_int_equal(message.data[0], parts);
    assert_int_equal(ab_request_decode(ab_buf_slice(&message), &read), 0);
    ab_request_encode(&again, &read);
    assert_true(ab_slice_equal(ab_buf_slice(&message), ab_buf_slice(&again)));
    for (size_t len = 0; len < message.len; len++) {
      assert_int_equal(ab_request_decode(ab_slice(message.data, len), &read), AB_ECORRUPT);
    }
    ab_buf_destroy(&message);
    ab_buf_destroy(&again);
  }
}

static void
unknown_flags_and_trailing_bytes_are_ignored (void **state) {
  const uint8_t request_message[] = {0xc0, 7, 0, 1, 2, 3};
  const uint8_t data_message[] = {0xe0, 7, 2, 1, 2, 3};
  ab_arena_t arena = {0};
  ab_request_t request;
  ab_proof_t proof;
  (void) state;
  assert_int_equal(ab_request_decode(ab_slice(request_message, sizeof(request_message)), &request), 0);
  assert_int_equal(request.id, 7);
  assert_int_equal(ab_proof_decode(ab_slice(data_message, sizeof(data_message)), &arena, &proof), 0);
  assert_int_equal(proof.fork, 2);
  ab_arena_destroy(&arena);
}

/* A proof with all five parts. */
static void
make_message (ab_buf_t *out) {
  ab_node_t node = {.index = 3, .size = 70000, .hash = {1}};
  ab_signer_t signer;
  ab_manifest_t manifest;
  ab_proof_t proof = {
    .id = 1,
    .fork = 2,
    .has_block = true,
    .has_hash = true,
    .has_seek = true,
    .has_upgrade = true,
    .block = {1, ab_text(""), {&node, 1}},
    .hash = {6, {&node, 1}},
    .seek = {1000, {&node, 1}},
    .upgrade = {.start = 1, .length = 2, .nodes = {&node, 1}, .additional = {&node, 1}},
    .manifest = &manifest,
  };
  ab_manifest_default(node.hash, &signer, &manifest);
  ab_proof_encode(out, &proof);
}

static void
proofs_come_back_whole_and_no_shorter_piece_decodes (void **state) {
  ab_buf_t message = {0}, again = {0};
  ab_proof_t proof;
  (void) state;
  make_message(&message);
  for (size_t len = 0; len <= message.len; len++) {
    ab_arena_t arena = {0};
    int err = ab_proof_decode(ab_slice(message.data, len), &arena, &proof);
    assert_int_equal(err, len < message.len ? AB_ECORRUPT : 0);
    if (err == 0) ab_proof_encode(&again, &proof);
    ab_arena_destroy(&arena);
  }
  assert_true(ab_slice_equal(ab_buf_slice(&message), ab_buf_slice(&again)));
  ab_buf_destroy(&message);
  ab_buf_destroy(&again);
}

static void
an_empty_block_is_there_and_an_empty_signature_is_not (void **state) {
  ab_arena_t arena = {0};
  ab_buf_t message = {0};
  ab_proof_t proof;
  (void) state;
  make_message(&message);
  assert_int_equal(ab_proof_decode(ab_buf_slice(&message), &arena, &proof), 0);
  assert_non_null(proof.block.value.data);
  assert_int_equal(proof.block.value.len, 0);
  assert_null(proof.upgrade.signature.data);
  ab_arena_destroy(&arena);
  ab_buf_destroy(&message);
}

static void
a_block_without_value_cannot_be_sent (void **state) {
  ab_proof_t proof = {.has_block = true};
  ab_buf_t message = {0};
  (void) state;
  ab_proof_encode(&message, &proof);
  assert_int_equal(message.err, AB_EINVAL);
  ab_buf_destroy(&message);
}

static void
the_length_after_a_proof_counts_additional_nodes (void **state) {
  ab_node_t node = {.index = 19};
  ab_proof_t proof = {.has_upgrade = true, .upgrade = {.start = 2, .length = 6}};
  (void) state;
  assert_int_equal(ab_proof_length(&proof), 8);
  proof.upgrade.additional.nodes = &node;
  proof.upgrade.additional.count = 1;
  assert_int_equal(ab_proof_length(&proof), 12);
  proof.has_upgrade = false;
  assert_int_equal(ab_proof_length(&proof), 0);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(requests_come_back_whole),
    cmocka_unit_test(unknown_flags_and_trailing_bytes_are_ignored),
    cmocka_unit_test(proofs_come_back_whole_and_no_shorter_piece_decodes),
    cmocka_unit_test(an_empty_block_is_there_and_an_empty_signature_is_not),
    cmocka_unit_test(a_block_without_value_cannot_be_sent),
    cmocka_unit_test(the_length_after_a_proof_counts_additional_nodes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

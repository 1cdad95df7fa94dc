/* oom_codecs.c: each allocation of the pure modules fails once; the answer is AB_ENOMEM and nothing leaks. */
#include "autobee/anchor.h"
#include "autobee/order.h"
#include "autobee/witness.h"
#include "hypercore/crypto.h"
#include "hypercore/manifest.h"
#include "support/failing_alloc.h"
#include "support/test.h"

static ab_buf_t manifest; /* of a core with one signer */
static oplog_witness_t witness;
static ab_key_t subject;

static void
assert_survives (int (*run)(void)) {
  size_t n = 0;
  int err;
  do {
    failing_alloc_arm(++n, FAILING_ALLOC_ONCE);
    err = run();
    if (failing_alloc_disarm()) assert_int_equal(err, AB_ENOMEM);
  } while (err == AB_ENOMEM);
  assert_int_equal(err, 0);
  assert_true(n > 1);
}

static int
place (void) {
  /* ancestors that change places, so that nothing is skipped */
  ab_head_t links[] = {{{{'x'}}, 1}, {{{'y'}}, 1}};
  order_entry_t window[] = {
    {.writer = {{'x'}}, .first = 1, .timestamp_ms = 50},
    {.writer = {{'d'}}, .first = 1, .timestamp_ms = 10, .links = links, .link_count = 1},
    {.writer = {{'y'}}, .first = 1, .timestamp_ms = 20},
  };
  order_entry_t node = {.writer = {{'n'}}, .first = 1, .timestamp_ms = 5, .links = links, .link_count = 2};
  ab_arena_t arena = {0};
  size_t changed, *order;
  int err = autobee__order_place(window, 3, &node, NULL, &arena, &changed, &order);
  if (err == 0) {
    assert_int_equal(changed, 0);
    assert_int_equal(order[0], 2);
  }
  ab_arena_destroy(&arena);
  return err;
}

static int
message_round_trip (void) {
  ab_head_t links[8] = {{.length = 0}};
  oplog_attestation_t attestations[8] = {{.weight = 1}};
  oplog_trusted_t trusted[8] = {{.flushes = 1}};
  oplog_message_t message = {
    .links = links,
    .link_count = 8,
    .has_attestations = true,
    .attestations = attestations,
    .attestation_count = 8,
    .has_trusted = true,
    .trusted = trusted,
    .trusted_count = 8};
  ab_arena_t arena = {0};
  ab_buf_t out = {0};
  oplog_message_t found;
  autobee__oplog_encode(&out, &message);
  int err = out.err < 0 ? out.err : autobee__oplog_decode(ab_buf_slice(&out), &arena, &found);
  ab_buf_destroy(&out);
  ab_arena_destroy(&arena);
  return err;
}

static int
info_round_trip (void) {
  ab_head_t heads[8] = {{.length = 0}};
  record_info_t info = {
    .heads = heads, .head_count = 8, .has_indexers = true, .indexers = heads, .indexer_count = 8};
  ab_arena_t arena = {0};
  ab_buf_t out = {0};
  record_info_t found;
  autobee__record_info_encode(&out, &info);
  int err = out.err < 0 ? out.err : autobee__record_info_decode(ab_buf_slice(&out), &arena, &found);
  ab_buf_destroy(&out);
  ab_arena_destroy(&arena);
  return err;
}

static int
verify_witness (void) {
  bool valid;
  int err = autobee__witness_verify(&witness, &subject, &valid);
  if (err == 0) assert_true(valid);
  return err;
}

static int
make_cipher (void) {
  static const encryption_t encryption = {.reference_padding = true};
  ab_cipher_t cipher;
  return autobee__encryption_cipher(
    &encryption, ENCRYPTION_WRITER, &witness.backer.key, ab_buf_slice(&manifest), &cipher
  );
}

static int
make_anchor (void) {
  static const encryption_t encryption = {.reference_padding = true};
  anchor_t anchor = {0};
  int err = autobee__anchor_make(&encryption, &witness.backer, &anchor);
  autobee__anchor_destroy(&anchor);
  return err;
}

static void
placing_survives (void **state) {
  (void) state;
  assert_survives(place);
}

static void
codecs_survive (void **state) {
  (void) state;
  assert_survives(message_round_trip);
  assert_survives(info_round_trip);
}

static void
witnesses_survive (void **state) {
  (void) state;
  assert_survives(verify_witness);
}

static void
encryption_survives (void **state) {
  (void) state;
  assert_survives(make_cipher);
  assert_survives(make_anchor);
}

static int
set_up (void **state) {
  uint8_t seed[32] = {1};
  ab_key_pair_t pair;
  ab_signer_t signer;
  ab_manifest_t parsed;
  oplog_attestation_t attestation = {.weight = 2};
  (void) state;
  if (ab_crypto_init() < 0) return -1;
  ab_key_pair_from_seed(&pair, seed);
  ab_manifest_default(pair.public_key, &signer, &parsed);
  ab_manifest_encode(&manifest, &parsed);
  witness.weight = 2;
  witness.backer.length = 1;
  witness.manifest = ab_buf_slice(&manifest);
  if (ab_manifest_key(&parsed, &witness.backer.key) < 0) return -1;
  autobee__witness_attest(&attestation, &witness.backer, &pair);
  memcpy(witness.signature, attestation.signature, AB_SIGNATURE_LEN);
  return 0;
}

static int
tear_down (void **state) {
  (void) state;
  ab_buf_destroy(&manifest);
  return 0;
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(placing_survives),
    cmocka_unit_test(codecs_survive),
    cmocka_unit_test(witnesses_survive),
    cmocka_unit_test(encryption_survives),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}

#include "autobee/witness.h"
#include "hypercore/crypto.h"
#include "hypercore/manifest.h"
#include "support/test.h"

/* A backer with a core of its own attests a weight of 2 to a subject, in its node of length 9. */
typedef struct {
  ab_key_pair_t pair;
  ab_buf_t manifest;
  ab_key_t subject;
  oplog_witness_t witness;
  record_writer_t record; /* of the subject: granted 2, seen with 0 */
  record_writer_t backer;
} fixture_t;

static int
set_up (void **state) {
  static fixture_t fixture;
  uint8_t seed[32] = {1};
  ab_signer_t signer;
  ab_manifest_t manifest;
  memset(&fixture, 0, sizeof(fixture));
  assert_int_equal(ab_crypto_init(), 0);

  ab_key_pair_from_seed(&fixture.pair, seed);
  ab_manifest_default(fixture.pair.public_key, &signer, &manifest);
  ab_manifest_encode(&fixture.manifest, &manifest);
  memset(fixture.subject.bytes, 7, sizeof(fixture.subject.bytes));

  fixture.witness.weight = 2;
  fixture.witness.manifest = ab_buf_slice(&fixture.manifest);
  fixture.witness.backer.length = 9;
  assert_int_equal(ab_manifest_key(&manifest, &fixture.witness.backer.key), 0);
  oplog_attestation_t attestation = {.subject = fixture.subject, .weight = 2};
  autobee__witness_attest(&attestation, &fixture.witness.backer, &fixture.pair);
  memcpy(fixture.witness.signature, attestation.signature, AB_SIGNATURE_LEN);

  fixture.record.max_weight = 2;
  fixture.backer.length = 9;
  *state = &fixture;
  return 0;
}

static int
tear_down (void **state) {
  fixture_t *fixture = *state;
  ab_buf_destroy(&fixture->manifest);
  return 0;
}

static bool
verifies (const fixture_t *fixture) {
  bool valid = true;
  assert_int_equal(autobee__witness_verify(&fixture->witness, &fixture->subject, &valid), 0);
  return valid;
}

static uint64_t
weight (const fixture_t *fixture) {
  uint64_t found = 99;
  int err =
    autobee__witness_weight(&fixture->witness, &fixture->subject, &fixture->record, &fixture->backer, &found);
  assert_int_equal(err, 0);
  return found;
}

static void
an_attestation_verifies_as_a_witness (void **state) {
  assert_true(verifies(*state));
}

static void
any_change_makes_it_invalid (void **state) {
  fixture_t *fixture = *state;
  fixture_t whole = *fixture;
  fixture->witness.weight = 3;
  assert_false(verifies(fixture));
  *fixture = whole;
  fixture->witness.backer.length++;
  assert_false(verifies(fixture));
  *fixture = whole;
  fixture->subject.bytes[0]++;
  assert_false(verifies(fixture));
  *fixture = whole;
  fixture->witness.signature[0]++;
  assert_false(verifies(fixture));
  *fixture = whole;
  fixture->witness.backer.key.bytes[0]++;
  assert_false(verifies(fixture));
  *fixture = whole;
}

static void
a_damaged_manifest_is_invalid_and_no_error (void **state) {
  fixture_t *fixture = *state;
  fixture->witness.manifest.len--;
  assert_false(verifies(fixture));
  fixture->witness.manifest = ab_slice(NULL, 0);
  assert_false(verifies(fixture));
}

static void
a_witness_raises_up_to_the_ceiling (void **state) {
  fixture_t *fixture = *state;
  assert_int_equal(weight(fixture), 2);
  fixture->record.max_weight = 1;
  assert_int_equal(weight(fixture), 0);
}

static void
a_witness_that_raises_nothing_is_not_looked_at (void **state) {
  fixture_t *fixture = *state;
  fixture->record.weight = 2;
  assert_false(autobee__witness_counts(&fixture->witness, &fixture->subject, &fixture->record));
  fixture->record.weight = 1;
  assert_true(autobee__witness_counts(&fixture->witness, &fixture->subject, &fixture->record));
  assert_false(autobee__witness_counts(NULL, &fixture->subject, &fixture->record));
  assert_false(autobee__witness_counts(&fixture->witness, &fixture->subject, NULL));
  assert_false(autobee__witness_counts(&fixture->witness, &fixture->witness.backer.key, &fixture->record));
}

static void
the_backer_must_reach_the_attested_length (void **state) {
  fixture_t *fixture = *state;
  uint64_t found;
  fixture->backer.length = 8;
  assert_int_equal(weight(fixture), 0);
  assert_int_equal(
    autobee__witness_weight(&fixture->witness, &fixture->subject, &fixture->record, NULL, &found), 0
  );
  assert_int_equal(found, 0);
}

static void
a_removed_or_light_backer_counts (void **state) {
  fixture_t *fixture = *state;
  fixture->backer.is_removed = true;
  assert_int_equal(weight(fixture), 2);
}

static void
without_witness_or_record_the_weight_is_the_standing (void **state) {
  fixture_t *fixture = *state;
  uint64_t found;
  fixture->record.weight = 1;
  assert_int_equal(autobee__witness_weight(NULL, &fixture->subject, &fixture->record, NULL, &found), 0);
  assert_int_equal(found, 1);
  assert_int_equal(
    autobee__witness_weight(&fixture->witness, &fixture->subject, NULL, &fixture->backer, &found), 0
  );
  assert_int_equal(found, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main (void) {
  const struct CMUnitTest tests[] = {
    TEST(an_attestation_verifies_as_a_witness),
    TEST(any_change_makes_it_invalid),
    TEST(a_damaged_manifest_is_invalid_and_no_error),
    TEST(a_witness_raises_up_to_the_ceiling),
    TEST(a_witness_that_raises_nothing_is_not_looked_at),
    TEST(the_backer_must_reach_the_attested_length),
    TEST(a_removed_or_light_backer_counts),
    TEST(without_witness_or_record_the_weight_is_the_standing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

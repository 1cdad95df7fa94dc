/* witness.c: attestations and the weight of a batch. */
#include "autobee/witness.h"

#include <assert.h>

#include "hypercore/crypto.h"
#include "hypercore/manifest.h"

/* namespace("autobee-witness", 0) */
static const uint8_t ns_witness[32] = {
  0x13, 0x27, 0x66, 0xdb, 0x09, 0x1c, 0x3b, 0x9d, 0x66, 0xc3, 0xf0, 0xc8, 0x85, 0xa0, 0x2e, 0xa1,
  0xee, 0xd7, 0xf0, 0xe9, 0x38, 0x98, 0x60, 0x9f, 0x54, 0xb2, 0x21, 0x98, 0x54, 0xd5, 0xfb, 0xc2,
};

/* Unlike ab_write_uint it cannot fail: the numbers come from decoders, or from records. */
static size_t
put_uint (uint8_t *at, uint64_t value) {
  assert(value <= AB_MAX_SAFE);
  size_t len = ab_uint_size(value);
  size_t from = 0;
  if (len > 1) at[from++] = len == 3 ? 0xfd : len == 5 ? 0xfe : 0xff;
  for (size_t i = from; i < len; i++) at[i] = (uint8_t) (value >> (8 * (i - from)));
  return len;
}

ab_slice_t
autobee__witness_message (
  uint8_t out[WITNESS_MESSAGE_MAX], const ab_head_t *backer, const ab_key_t *subject, uint64_t weight
) {
  memcpy(out, ns_witness, 32);
  memcpy(out + 32, backer->key.bytes, 32);
  memcpy(out + 64, subject->bytes, 32);
  size_t len = 96;
  len += put_uint(out + len, backer->length);
  len += put_uint(out + len, weight);
  assert(len <= WITNESS_MESSAGE_MAX);
  return ab_slice(out, len);
}

void
autobee__witness_attest (oplog_attestation_t *out, const ab_head_t *backer, const ab_key_pair_t *pair) {
  uint8_t message[WITNESS_MESSAGE_MAX];
  ab_sign(out->signature, autobee__witness_message(message, backer, &out->subject, out->weight), pair);
}

int
autobee__witness_verify (const oplog_witness_t *witness, const ab_key_t *subject, bool *valid) {
  ab_arena_t arena = {0};
  ab_manifest_t manifest;
  int err = 0;

  *valid = false;
  if (witness->weight == 0 || ab_key_equal(&witness->backer.key, subject)) goto done;

  err = ab_manifest_parse(witness->manifest, &witness->backer.key, &arena, &manifest);
  if (err < 0) {
    if (err != AB_ENOMEM) err = 0;
    goto done;
  }
  if (manifest.signer_count != 1) goto done;

  uint8_t message[WITNESS_MESSAGE_MAX];
  *valid = ab_verify(
    ab_slice(witness->signature, AB_SIGNATURE_LEN),
    autobee__witness_message(message, &witness->backer, subject, witness->weight),
    manifest.signers[0].public_key
  );

done:
  ab_arena_destroy(&arena);
  return err;
}

bool
autobee__witness_counts (
  const oplog_witness_t *witness, const ab_key_t *subject, const record_writer_t *record
) {
  if (witness == NULL || record == NULL) return false; /* without a record the ceiling is 0 */
  return witness->weight > record_standing(record) && witness->weight <= record->max_weight &&
         !ab_key_equal(&witness->backer.key, subject);
}

int
autobee__witness_weight (
  const oplog_witness_t *witness,
  const ab_key_t *subject,
  const record_writer_t *record,
  const record_writer_t *backer,
  uint64_t *weight
) {
  bool valid;

  *weight = record_standing(record);
  if (!autobee__witness_counts(witness, subject, record)) return 0;
  if (backer == NULL || backer->length < witness->backer.length) return 0;

  int err = autobee__witness_verify(witness, subject, &valid);
  if (err == 0 && valid) *weight = witness->weight;
  return err;
}

/* witness.h: attestations, and what a witness is worth. Private to autobee/.
 *
 *   A writer may have a ceiling (max_weight, granted by apply) above the weight it has been seen with. To use
 * it, it shows a witness: the signature of another writer, the backer, who had applied the grant.
 *
 *     message = H(autobee-witness, 0) ‖ backer key ‖ subject key ‖ uint length ‖ uint weight
 *
 *   `length` is the length of the backer's node that carries the attestation.
 *
 * Invariant  the weight of a node depends on the two records and the bytes of the witness only
 */
#ifndef AUTOBEE_WITNESS_H
#define AUTOBEE_WITNESS_H

#include "hypercore/ab.h"

#include "autobee/oplog.h"
#include "autobee/record.h"

#define WITNESS_MESSAGE_MAX (32 + 32 + 32 + 9 + 9)

/** The bytes that an attestation signs. Returns a slice of `out`. */
ab_slice_t
autobee__witness_message (
  uint8_t out[WITNESS_MESSAGE_MAX], const ab_head_t *backer, const ab_key_t *subject, uint64_t weight
);

/** Attest: `backer` is the own core and the length of the node that will carry it, `pair` the one that signs
 * its blocks; `out->subject` and `out->weight` say what is attested, the signature is filled in. */
void
autobee__witness_attest (oplog_attestation_t *out, const ab_head_t *backer, const ab_key_pair_t *pair);

/** Does the witness prove what it says about `subject`? A manifest that does not decode or belongs to another
 * core makes it invalid, it is no error. Returns 0 with `valid` set, or AB_ENOMEM. */
int
autobee__witness_verify (const oplog_witness_t *witness, const ab_key_t *subject, bool *valid);

/** Could the witness raise `subject`, whose stored record is `record` (NULL: none), above its standing? If so
 * the backer's record is needed for autobee__witness_weight; `witness` may be NULL. Checks no signature. */
bool
autobee__witness_counts (
  const oplog_witness_t *witness, const ab_key_t *subject, const record_writer_t *record
);

/**
 * The weight of a batch by autobee.md 8.2, against the records as they are stored at this point of the order.
 *
 * witness  of the batch's first node; NULL: none
 * record   of the node's writer; NULL: none
 * backer   of the witness's backer; NULL: none, or autobee__witness_counts is false
 *
 * Verifies a signature only if nothing else decides. Returns 0 or AB_ENOMEM.
 */
int
autobee__witness_weight (
  const oplog_witness_t *witness,
  const ab_key_t *subject,
  const record_writer_t *record,
  const record_writer_t *backer,
  uint64_t *weight
);

#endif

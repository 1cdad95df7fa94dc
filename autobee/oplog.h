/* oplog.h: the message in each block of a writer's core. Private to autobee/.
 *
 *   version uint | timestamp uint | links list | flags uint | then, in this order, what the flags announce:
 *
 *     1    batch         start uint, end uint: nodes before and after this one in its batch
 *     2    views         flushes uint, range of the system core; with 4 also the range of the view core
 *     8    optimistic    (no bytes)
 *     16   value         buffer
 *     32   witness       frame: weight uint, frame: backer key, length uint, signature 64, manifest buffer
 *     64   attestations  list of frames: subject key, weight uint, signature 64
 *     128  trusted       list of frames: head (key, length uint), flushes uint
 *
 * Invariant  absent and present but empty differ for value, attestations and trusted
 * To change  nothing: these bytes are signed by their writers and replicated
 */
#ifndef AUTOBEE_OPLOG_H
#define AUTOBEE_OPLOG_H

#include "hypercore/ab.h"
#include "hypercore/buf.h"

#define OPLOG_VERSION 3

typedef struct {
  ab_key_t key;
  uint64_t start;
  uint64_t length;
} oplog_range_t;

/* Somebody whose attestation lets a writer use a weight it was granted. */
typedef struct {
  uint64_t weight;
  ab_head_t backer; /* the attesting writer, and the length of the node that carries the attestation */
  uint8_t signature[AB_SIGNATURE_LEN];
  ab_slice_t manifest; /* of the backer's core, as received */
} oplog_witness_t;

typedef struct {
  ab_key_t subject;
  uint64_t weight;
  uint8_t signature[AB_SIGNATURE_LEN];
} oplog_attestation_t;

typedef struct {
  ab_head_t head;
  uint64_t flushes;
} oplog_trusted_t;

/* Zeroed, it is the shortest message: no links, a null value. Lists and slices are borrowed. */
typedef struct {
  uint64_t timestamp_ms;

  const ab_head_t *links; /* in the order of the message; never sorted */
  size_t link_count;

  uint64_t batch_start; /* nodes of the batch before this one */
  uint64_t batch_end;   /* and after it; 0: the batch is complete */

  bool has_views;      /* the stamp on the last node of a local flush */
  bool has_view_range; /* only with has_views */
  uint64_t flushes;
  oplog_range_t system;
  oplog_range_t view;

  bool optimistic;
  bool has_value;
  bool has_witness;
  bool has_attestations;
  bool has_trusted; /* present, as an empty list, on every node of a flush but the last (T1) */

  ab_slice_t value;
  oplog_witness_t witness;
  const oplog_attestation_t *attestations;
  size_t attestation_count;
  const oplog_trusted_t *trusted;
  size_t trusted_count;
} oplog_message_t;

/** Head `i` of those that the node was written on top of, the witness's backer last; NULL: no more. */
static inline const ab_head_t *
oplog_base (const oplog_message_t *message, size_t i) {
  if (i < message->link_count) return &message->links[i];
  return i == message->link_count && message->has_witness ? &message->witness.backer : NULL;
}

/**
 * Decode one block.
 *
 * block    hostile; what `out` borrows from it (value, the witness's manifest) lives as long as it does
 * arena    gets the lists
 * out      not meaningful after an error
 *
 * Bytes after the message, unknown flags and spare bytes inside frames are ignored. Checks nothing that needs
 * other messages: neither start and end of a batch nor what the links name.
 *
 * Returns 0, AB_ECORRUPT, AB_EVERSION (4 and more), AB_ENOTSUP (0 to 2: the previous generation) or
 * AB_ENOMEM. All but the last freeze the writer.
 */
int
autobee__oplog_decode (ab_slice_t block, ab_arena_t *arena, oplog_message_t *out);

/** Append the message to `out`, flags by presence; the batch is left out when start and end are 0. Check
 * out->err afterwards (AB_ENOMEM, AB_EINVAL for a number above AB_MAX_SAFE). */
void
autobee__oplog_encode (ab_buf_t *out, const oplog_message_t *message);

/** Bytes that autobee__oplog_encode appends. */
size_t
autobee__oplog_size (const oplog_message_t *message);

#endif

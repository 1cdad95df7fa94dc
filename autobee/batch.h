/* batch.h: an atomic batch of one writer, decoded. Private to autobee/.
 *
 * A batch comes from its writer's core (taken, or loaded again for a reorder) or from an append that is not
 * in the log yet. Everything it points to lies in its arena.
 */
#ifndef AUTOBEE_BATCH_H
#define AUTOBEE_BATCH_H

#include "autobee/autobee.h"
#include "autobee/oplog.h"
#include "autobee/order.h"

typedef struct {
  uint64_t length;
  uint64_t timestamp_ms; /* at least that of the node before it in the batch; the message has the raw one */
  bool optimistic;       /* sticky within the batch, unlike the message's */
  oplog_message_t message;
} node_t;

typedef struct batch_s batch_t;
struct batch_s {
  ab_arena_t arena;
  unsigned refs;
  ab_key_t writer;
  node_t *nodes;
  size_t count;
  size_t capacity; /* of nodes, which realloc made */
  uint64_t weight;
  bool is_weighed;

  /* of the local queue only */
  bool is_queued;   /* not in the log yet */
  bool is_captured; /* links, stamp and witness are set */
  bool is_taken;
  bool is_rejected;
  bool wants_optimistic;
  uint64_t now_ms; /* the clock when it was appended */
  size_t bytes;
  autobee_append_t *req; /* NULL: nobody waits */
  batch_t *next;
};

batch_t *
autobee__batch_new (const ab_key_t *writer);
batch_t *
autobee__batch_retain (batch_t *batch);
void
autobee__batch_release (batch_t *batch); /* NULL is fine */

/** One more zeroed node, or NULL. */
node_t *
autobee__batch_add (batch_t *batch);

/** Copy `block` into the batch and decode it as its next node, with stamp and flag corrected by the nodes
 * before it. Errors as autobee__oplog_decode, AB_ECORRUPT also for a start and end that contradict the
 * batch. Then the batch is as it was. */
int
autobee__batch_decode (batch_t *batch, ab_slice_t block, uint64_t length);

static inline const node_t *
batch_first (const batch_t *batch) {
  return &batch->nodes[0];
}

static inline const node_t *
batch_last (const batch_t *batch) {
  return &batch->nodes[batch->count - 1];
}

static inline const oplog_witness_t *
batch_witness (const batch_t *batch) {
  const oplog_message_t *message = &batch->nodes[0].message;
  return message->has_witness ? &message->witness : NULL;
}

/** What the orderer sees of it; borrows the links. */
static inline order_entry_t
batch_entry (const batch_t *batch) {
  const node_t *first = batch_first(batch);
  order_entry_t entry = {
    .writer = batch->writer,
    .first = first->length,
    .last = batch_last(batch)->length,
    .weight = batch->weight,
    .timestamp_ms = first->message.timestamp_ms,
    .links = first->message.links,
    .link_count = first->message.link_count};
  return entry;
}

#endif

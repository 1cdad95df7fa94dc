#include "autobee/batch.h"

#include <stdlib.h>

batch_t *
autobee__batch_new (const ab_key_t *writer) {
  batch_t *batch = calloc(1, sizeof(*batch));
  if (batch == NULL) return NULL;
  batch->refs = 1;
  batch->writer = *writer;
  return batch;
}

batch_t *
autobee__batch_retain (batch_t *batch) {
  batch->refs++;
  return batch;
}

void
autobee__batch_release (batch_t *batch) {
  if (batch == NULL || --batch->refs > 0) return;
  ab_arena_destroy(&batch->arena);
  free(batch->nodes);
  free(batch);
}

node_t *
autobee__batch_add (batch_t *batch) {
  if (batch->count == batch->capacity) {
    size_t capacity = batch->capacity == 0 ? 1 : batch->capacity * 2;
    node_t *nodes = realloc(batch->nodes, capacity * sizeof(node_t));
    if (nodes == NULL) return NULL;
    batch->nodes = nodes;
    batch->capacity = capacity;
  }
  node_t *node = &batch->nodes[batch->count++];
  memset(node, 0, sizeof(*node));
  return node;
}

int
autobee__batch_decode (batch_t *batch, ab_slice_t block, uint64_t length) {
  size_t at = batch->count;
  int err = ab_arena_copy(&batch->arena, block, &block);
  if (err < 0) return err;

  node_t *node = autobee__batch_add(batch);
  if (node == NULL) return AB_ENOMEM;
  if ((err = autobee__oplog_decode(block, &batch->arena, &node->message)) < 0) goto fail;

  const oplog_message_t *message = &node->message;
  const oplog_message_t *first = &batch->nodes[0].message;
  if (message->batch_start != at || message->batch_start + message->batch_end != first->batch_end) {
    err = AB_ECORRUPT;
    goto fail;
  }

  node->length = length;
  node->timestamp_ms = message->timestamp_ms;
  node->optimistic = message->optimistic;
  if (at > 0) {
    if (node[-1].timestamp_ms > node->timestamp_ms) node->timestamp_ms = node[-1].timestamp_ms;
    if (node[-1].optimistic) node->optimistic = true;
  }
  return 0;

fail:
  batch->count--;
  return err;
}

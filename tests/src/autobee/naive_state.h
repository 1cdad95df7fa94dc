/* naive_state.h: the state of a database at one position of its order, as a plain copy of everything, and
 * how a batch leads from one to the next (autobee.md 5 to 8).
 */
#ifndef NAIVE_STATE_H
#define NAIVE_STATE_H

#include "autobee/naive_log.h"

/* A batch at its place in the order. */
typedef struct {
  size_t writer;
  uint64_t first, last; /* nodes */
  uint64_t weight;      /* resolved, and once it is applied, as recorded */
} naive_batch_t;

typedef struct {
  bool exists, is_removed, is_genesis;
  uint64_t weight, max_weight, length;
} naive_record_t;

typedef struct {
  naive_batch_t batch; /* that led here */
  uint64_t flushes;
  naive_record_t records[NAIVE_WRITERS_MAX];
  ab_head_t heads[NAIVE_WRITERS_MAX];
  size_t head_count;
  uint64_t timestamp_ms;

  /* the view */
  char values[NAIVE_KEYS][NAIVE_TEXT_MAX]; /* "": absent */
  uint8_t chain[32];                       /* over everything that apply saw */
  bool has_chain;
} naive_state_t;

/* What a batch does to who may write. */
typedef enum { NAIVE_NO_CHANGE, NAIVE_ADDED, NAIVE_REMOVED } naive_change_t;

/** 9.3's comparison needs the stamp of a batch: that of its first node. */
static inline uint64_t
naive_stamp (const naive_logs_t *logs, const naive_batch_t *batch) {
  return naive_node(logs, batch->writer, batch->first)->message.timestamp_ms;
}

/** 8.1. */
uint64_t
naive_standing (const naive_record_t *record);

/** 8.2. `altered`: as if a removal did not lower the ceiling. */
uint64_t
naive_resolve (
  const naive_logs_t *logs, const naive_state_t *state, const naive_batch_t *batch, bool altered
);

/** Is the node applied? */
bool
naive_has (const naive_logs_t *logs, const naive_state_t *state, const ab_head_t *node);

/** 8.6: may the local writer use this witness? */
bool
naive_may_use (
  const naive_logs_t *logs, const naive_state_t *state, size_t local, const oplog_witness_t *witness
);

/** 6.2, 7.1 to 7.3, 6.3. */
void
naive_apply (
  const naive_logs_t *logs,
  const naive_state_t *state,
  const naive_batch_t *batch,
  naive_state_t *next,
  naive_change_t changes[NAIVE_WRITERS_MAX]
);

/** The next value of the chain, also for the apply function under test. */
void
naive_chain (
  uint8_t chain[32], ab_slice_t before, const ab_key_t *writer, const uint64_t numbers[4], ab_slice_t value
);

#endif

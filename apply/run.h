/* run.h: one run of an apply function, as the engine sees it. For autobee/ and lua/, not public. */
#ifndef APPLY_RUN_H
#define APPLY_RUN_H

#include "apply/apply.h"
#include "bee/bee.h"
#include "hypercore/buf.h"

/* What the engine does for host calls. Each returns 0 or an error, which ends the run; `writer` also
 * AB_ENOTFOUND. One that is NULL is AB_ENOTSUP. */
typedef struct {
  int (*add_writer)(void *data, const ab_key_t *key, bool is_indexer, uint64_t weight);
  int (*remove_writer)(void *data, const ab_key_t *key);
  int (*ack_writer)(void *data, const ab_key_t *key);
  int (*create_anchor)(void *data, const ab_head_t *node, ab_head_t *anchor);
  int (*writer)(void *data, const ab_key_t *key, autobee_writer_t *out);
} apply_host_t;

typedef struct {
  bee_t *view; /* the working view: writable */
  const apply_host_t *host;
  void *host_data;
  ab_key_t database_key;
  uint64_t clock;
  bool genesis;
} apply_input_t;

typedef struct {
  int verdict;      /* 0, AB_EREJECTED, AB_EREMOTE (fetch and run again), AB_EINTERRUPTED, or why it halted */
  ab_buf_t message; /* with a verdict below 0: text, with a final zero that is not counted, or empty (data may
                       be NULL); release with ab_buf_destroy */
} apply_result_t;

/**
 * Run `fn` over one batch: open what it needs, call it, flush what it left unflushed, drop what an unfinished
 * write holds. Flushed view blocks stay in the view's live tail whatever the verdict: dropping them is the
 * engine's decision. Nothing is written, and no block made, by a run without puts and deletes.
 *
 * The verdict is that of the first call that failed; if none did, what `fn` returned (a positive value is
 * AB_EHALTED); if that was 0, what the last flush returned.
 *
 * Returns 0 with `result` filled, or AB_ENOMEM.
 */
int
apply_run (
  const apply_input_t *input,
  autobee_apply_fn fn,
  void *fn_data,
  const autobee_node_t *nodes,
  size_t count,
  apply_result_t *result
);

#endif

/* naive_log.h: what writers have written, decoded, for naive models: every node with its operation. */
#ifndef NAIVE_LOG_H
#define NAIVE_LOG_H

#include "autobee/oplog.h"
#include "hypercore/hypercore.h"

#define NAIVE_WRITERS_MAX 6
#define NAIVE_KEYS 4      /* of the view: "k0" … */
#define NAIVE_TEXT_MAX 24 /* of a value put there, with its zero */

typedef enum { NAIVE_PUT, NAIVE_DEL, NAIVE_GRANT, NAIVE_REMOVAL } naive_op_t;

typedef struct {
  oplog_message_t message;
  naive_op_t op;
  size_t subject;  /* of a grant or a removal */
  uint64_t weight; /* that it grants */
  size_t key;      /* that it puts or deletes */
  char text[NAIVE_TEXT_MAX];
} naive_node_t;

typedef struct {
  ab_key_t key;
  naive_node_t *nodes; /* node n at n - 1 */
  uint64_t length;
  uint64_t capacity;
} naive_log_t;

/* Writers go by their number here. */
typedef struct {
  naive_log_t logs[NAIVE_WRITERS_MAX];
  size_t count;
  ab_arena_t arena;
} naive_logs_t;

/** Read what the log of writer `number` has more than before. Ends the process if that is nothing a test
 * writes. */
void
naive_log_read (naive_logs_t *logs, size_t number, hypercore_t *core);

void
naive_logs_destroy (naive_logs_t *logs);

size_t
naive_number (const naive_logs_t *logs, const ab_key_t *key);

static inline const naive_node_t *
naive_node (const naive_logs_t *logs, size_t writer, uint64_t length) {
  return &logs->logs[writer].nodes[length - 1];
}

#endif

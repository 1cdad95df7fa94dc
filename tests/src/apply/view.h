/* view.h: a view in memory, a host that writes down what it is asked, and one run over both. */
#ifndef VIEW_H
#define VIEW_H

#include "apply/run.h"

typedef struct {
  ab_store_t *store;
  hypercore_t *core;
  bee_t *bee;
  ab_buf_t calls;   /* of the host in this run: "add 07 indexer 2\n" …; keys by their first byte in hex */
  ab_buf_t message; /* of the last run */
  int host_err;     /* what the host answers; 0 */
} view_t;

/** Everything must work, or the test fails. */
void
view_open (view_t *view);
void
view_close (view_t *view);

/** Run `fn`; a verdict below 0 drops what it wrote, as the engine does. Returns the verdict. */
int
view_run (view_t *view, autobee_apply_fn fn, void *data, const autobee_node_t *nodes, size_t count);

/** The host's calls, the last message and all entries ("key=value\n"), as text. Valid until the next call of
 * the same. */
const char *
view_calls (view_t *view);
const char *
view_message (view_t *view);
const char *
view_entries (view_t *view);

/** Blocks in the view's core. */
uint64_t
view_length (const view_t *view);

/** A node of writer 07…07. */
autobee_node_t
view_node (uint64_t length, const char *value);

#endif

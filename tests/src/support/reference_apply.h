/* reference_apply.h: the apply function of the benchmarks: for each value, in order, parse the JSON, read
 * `clock` and add one, put `latest`, `clock` and `#` with that number, and flush the view; `addWriter`
 * members add a writer. Made to be fast, and to take no short cut that an application could not. */
#ifndef REFERENCE_APPLY_H
#define REFERENCE_APPLY_H

#include "apply/apply.h"

/** `data` is an ab_json_doc_t, whose memory serves one call after the other, or NULL. */
int
reference_apply (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data);

/** The same with one flush per call instead of one per value. */
int
reference_apply_batched (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data);

#endif

/* json_v1.h: the apply functions of the recorded scenarios, json-v1 and json-v1-seen, as the README of the
 * autobee vectors describes them. */
#ifndef JSON_V1_H
#define JSON_V1_H

#include "apply/apply.h"

/* How a node with `stop` ends the drain. */
typedef enum { JSON_V1_NONE, JSON_V1_RAISE, JSON_V1_INTERRUPT } json_v1_fails_t;

typedef struct {
  bool is_seen; /* json-v1-seen: the view shows stamp and flag of every node */
  json_v1_fails_t fails;
} json_v1_t;

/** `data` is a json_v1_t, or NULL for json-v1 that does not fail. What raises an error in the original is
 * AB_EREJECTED for an optimistic node and AB_EHALTED for any other. */
int
json_v1_apply (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data);

#endif

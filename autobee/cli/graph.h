/* graph.h: what is written on top of what, drawn. Private to autobee/cli/.
 *
 *   a control answer's `nodes` ─► graph.c ─┬─► graph_text.c   lanes of a terminal
 *                                          ├─► graph_dot.c    for Graphviz
 *                                          └─► graph_json.c
 */
#ifndef CLI_GRAPH_H
#define CLI_GRAPH_H

#include "autobee/cli/client.h"

#define GRAPH_NONE SIZE_MAX

typedef struct {
  ab_head_t node;
  size_t index; /* of it in the graph, or GRAPH_NONE: it is earlier */
} graph_link_t;

typedef struct {
  ab_head_t node;
  size_t lane;
  uint64_t weight;
  uint64_t timestamp_ms;
  graph_link_t *links;
  size_t link_count;
} graph_node_t;

typedef struct { /* one writer */
  ab_key_t writer;
  size_t first, last; /* nodes that are of it or on top of its */
  size_t newest;      /* its last node */
} graph_lane_t;

typedef struct {
  graph_node_t *nodes; /* oldest first */
  size_t count;
  graph_lane_t *lanes; /* in order of appearance */
  size_t lane_count;
} graph_t;

/** Of the nodes that `log` answered. Returns 0, or the exit code after a message; the graph is destroyed in
 * either case by the caller. */
int
graph_read (const client_t *client, const ab_json_t *answer, graph_t *graph);
void
graph_destroy (graph_t *graph);

/** The lanes of one node's line: `*` is the node, `+` the last node of a lane that it is on top of, `o` an
 * earlier one. No newline. */
void
graph_print_lanes (const graph_t *graph, size_t index);

void
graph_print_text (const graph_t *graph);
void
graph_print_dot (const graph_t *graph);
/** Returns the exit code. */
int
graph_print_json (const client_t *client, const graph_t *graph);

#endif

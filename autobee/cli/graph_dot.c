/* graph_dot.c: for Graphviz; a cluster per writer, time from left to right. */
#include "autobee/cli/bytes.h"
#include "autobee/cli/graph.h"

#include <stdio.h>

static void
print_lane (const graph_t *graph, size_t lane) {
  char key[AB_KEY_TEXT_LEN + 1], name[NODE_SHORT_LEN + 1];
  ab_key_to_text(&graph->lanes[lane].writer, key);
  printf("  subgraph cluster_%zu {\n    label=\"%s\";\n", lane, key);
  for (size_t i = 0; i < graph->count; i++) {
    if (graph->nodes[i].lane != lane) continue;
    node_to_short(&graph->nodes[i].node, name);
    printf("    n%zu [label=\"%s\"];\n", i, name);
  }
  puts("  }");
}

void
graph_print_dot (const graph_t *graph) {
  puts("digraph autobee {\n  rankdir=RL;\n  node [shape=box];");
  for (size_t i = 0; i < graph->lane_count; i++) print_lane(graph, i);
  for (size_t lane = 0; lane < graph->lane_count; lane++) {
    size_t before = GRAPH_NONE;
    for (size_t i = graph->lanes[lane].first; i <= graph->lanes[lane].newest; i++) {
      if (graph->nodes[i].lane != lane) continue;
      if (before != GRAPH_NONE) printf("  n%zu -> n%zu;\n", i, before);
      before = i;
    }
  }
  for (size_t i = 0; i < graph->count; i++) {
    for (size_t l = 0; l < graph->nodes[i].link_count; l++) {
      size_t index = graph->nodes[i].links[l].index;
      if (index != GRAPH_NONE) printf("  n%zu -> n%zu [style=dashed];\n", i, index);
    }
  }
  puts("}");
}

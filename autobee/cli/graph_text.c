/* graph_text.c: lanes of a terminal. */
#include "autobee/cli/bytes.h"
#include "autobee/cli/graph.h"
#include "autobee/cli/instant.h"

#include <stdio.h>

/* The last node of a lane before `index`. */
static size_t
last_before (const graph_t *graph, size_t lane, size_t index) {
  while (index-- > 0) {
    if (graph->nodes[index].lane == lane) return index;
  }
  return GRAPH_NONE;
}

/* `+`, `o`, or 0: the node is not on top of this lane. */
static char
mark_of (const graph_t *graph, size_t index, size_t lane) {
  const graph_node_t *node = &graph->nodes[index];
  for (size_t i = 0; i < node->link_count; i++) {
    size_t linked = node->links[i].index;
    if (linked == GRAPH_NONE || graph->nodes[linked].lane != lane) continue;
    return linked == last_before(graph, lane, index) ? '+' : 'o';
  }
  return 0;
}

void
graph_print_lanes (const graph_t *graph, size_t index) {
  size_t own = graph->nodes[index].lane, from = own, to = own;
  for (size_t i = 0; i < graph->nodes[index].link_count; i++) {
    size_t linked = graph->nodes[index].links[i].index;
    if (linked == GRAPH_NONE) continue;
    size_t lane = graph->nodes[linked].lane;
    if (lane < from) from = lane;
    if (lane > to) to = lane;
  }
  for (size_t i = 0; i < graph->lane_count; i++) {
    const graph_lane_t *lane = &graph->lanes[i];
    char mark = i == own ? '*' : mark_of(graph, index, i);
    bool is_alive = lane->first < index && index <= lane->last;
    bool is_crossed = from < i && i < to;
    if (mark == 0) mark = is_alive ? '|' : is_crossed ? '-' : ' ';
    putchar(mark);
    putchar(from <= i && i < to ? '-' : ' ');
  }
  putchar(' ');
}

void
graph_print_text (const graph_t *graph) {
  for (size_t i = 0; i < graph->count; i++) {
    const graph_node_t *node = &graph->nodes[i];
    char name[NODE_SHORT_LEN + 1], when[INSTANT_LEN + 1];
    node_to_short(&node->node, name);
    instant_to_text(node->timestamp_ms, when);
    graph_print_lanes(graph, i);
    printf("%-15s  %s  w%llu\n", name, when, (unsigned long long) node->weight);
  }
}

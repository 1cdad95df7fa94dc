#include "autobee/cli/graph.h"

#include <stdlib.h>

/* The lane of a writer, or GRAPH_NONE. */
static size_t
find_lane (const graph_t *graph, const ab_key_t *writer) {
  for (size_t i = 0; i < graph->lane_count; i++) {
    if (ab_key_equal(&graph->lanes[i].writer, writer)) return i;
  }
  return GRAPH_NONE;
}

/* A node that stands before `end`, or GRAPH_NONE. */
static size_t
find_node (const graph_t *graph, const ab_head_t *node, size_t end) {
  while (end-- > 0) {
    if (ab_head_equal(&graph->nodes[end].node, node)) return end;
  }
  return GRAPH_NONE;
}

static void
read_links (graph_t *graph, const ab_json_t *list, size_t index) {
  graph_node_t *node = &graph->nodes[index];
  ab_json_iter_t iter = ab_json_iter(list);
  const ab_json_t *pair;
  while (ab_json_next(&iter, &pair)) {
    graph_link_t *link = &node->links[node->link_count];
    if (!client_head(pair, &link->node)) continue;
    node->link_count++;
    link->index = find_node(graph, &link->node, index);
    if (link->index != GRAPH_NONE) graph->lanes[graph->nodes[link->index].lane].last = index;
  }
}

static int
read_node (graph_t *graph, const ab_json_t *object) {
  size_t index = graph->count++;
  graph_node_t *node = &graph->nodes[index];
  client_key(object, "writer", &node->node.key);
  node->node.length = client_uint(object, "length");
  node->weight = client_uint(object, "weight");
  node->timestamp_ms = client_uint(object, "timestamp");
  node->lane = find_lane(graph, &node->node.key);
  if (node->lane == GRAPH_NONE) {
    node->lane = graph->lane_count++;
    graph->lanes[node->lane] = (graph_lane_t){.writer = node->node.key, .first = index};
  }
  graph->lanes[node->lane].last = graph->lanes[node->lane].newest = index;
  const ab_json_t *links = ab_json_member(object, ab_text("links"));
  if (links == NULL || links->type != AB_JSON_ARRAY || links->count == 0) return 0;
  if ((node->links = calloc(links->count, sizeof(*node->links))) == NULL) return AB_ENOMEM;
  read_links(graph, links, index);
  return 0;
}

int
graph_read (const client_t *client, const ab_json_t *answer, graph_t *graph) {
  const ab_json_t *nodes = ab_json_member(answer, ab_text("nodes")), *object;
  *graph = (graph_t){0};
  if (nodes == NULL || nodes->type != AB_JSON_ARRAY) return 0;
  graph->nodes = calloc(nodes->count + 1, sizeof(*graph->nodes));
  graph->lanes = calloc(nodes->count + 1, sizeof(*graph->lanes));
  int err = graph->nodes == NULL || graph->lanes == NULL ? AB_ENOMEM : 0;
  ab_json_iter_t iter = ab_json_iter(nodes);
  while (err == 0 && ab_json_next(&iter, &object)) err = read_node(graph, object);
  return err < 0 ? cli_fail(client->cli, CLI_FAILED, "out of memory") : 0;
}

void
graph_destroy (graph_t *graph) {
  for (size_t i = 0; i < graph->count; i++) free(graph->nodes[i].links);
  free(graph->nodes);
  free(graph->lanes);
}

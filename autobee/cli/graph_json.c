/* graph_json.c: {"v":1,"writers":[KEY…],"nodes":[{…,"links":[[KEY,LENGTH]…]}…]} */
#include "autobee/cli/graph.h"

#include <stdio.h>

static void
put_node (out_t *out, const graph_node_t *node) {
  out_open(out, '{');
  out_member_hex(out, "writer", ab_key_slice(&node->node.key));
  out_member_uint(out, "length", node->node.length);
  out_member_uint(out, "lane", node->lane);
  out_member_uint(out, "weight", node->weight);
  out_member_uint(out, "timestamp", node->timestamp_ms);
  out_name(out, "links");
  out_open(out, '[');
  for (size_t i = 0; i < node->link_count; i++) {
    out_open(out, '[');
    out_hex(out, ab_key_slice(&node->links[i].node.key));
    out_uint(out, node->links[i].node.length);
    out_close(out, ']');
  }
  out_close(out, ']');
  out_close(out, '}');
}

int
graph_print_json (const client_t *client, const graph_t *graph) {
  out_t line = {0};
  out_open(&line, '{');
  out_member_uint(&line, "v", 1);
  out_name(&line, "writers");
  out_open(&line, '[');
  for (size_t i = 0; i < graph->lane_count; i++) out_hex(&line, ab_key_slice(&graph->lanes[i].writer));
  out_close(&line, ']');
  out_name(&line, "nodes");
  out_open(&line, '[');
  for (size_t i = 0; i < graph->count; i++) put_node(&line, &graph->nodes[i]);
  out_close(&line, ']');
  return client_end_json(client, &line);
}

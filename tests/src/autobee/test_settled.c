/* Where a node stands, and who has acknowledged it. */
#include "peers.h"
#include "support/rng.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

#define INDEXERS 3

typedef struct {
  world_t world;
  peer_t peers[INDEXERS];
} group_t;

/* Peer 0 founds it, the others are indexers, too; all have applied the grants and nobody has written since.
 */
static void
begin (group_t *group) {
  peers_open(&group->world, group->peers, INDEXERS);
}

static void
end (group_t *group) {
  peers_close(group->peers, INDEXERS);
}

static ab_head_t
write_one (peer_t *peer) {
  ab_head_t node;
  autobee_local(peer->db, &node);
  node.length = peer_append(peer, "{\"put\":{\"k\":\"v\"}}");
  return node;
}

static void
assert_settled (peer_t *peer, const ab_head_t *node, size_t acknowledged, size_t indexers, bool is_settled) {
  autobee_settled_t settled;
  assert_int_equal(autobee_settled(peer->db, node, &settled), 0);
  assert_int_equal(settled.state, AUTOBEE_APPLIED);
  assert_int_equal(settled.acknowledged, acknowledged);
  assert_int_equal(settled.indexers, indexers);
  assert_int_equal(settled.is_settled, is_settled);
}

static void
the_only_indexer_settles_its_own_nodes (void **state) {
  (void) state;
  world_t world;
  peer_t peer;
  world_init(&world);
  peer_open(&world, &peer, 1, NULL, NULL, NULL);
  ab_head_t node = write_one(&peer);
  assert_settled(&peer, &node, 1, 1, true);
  peer_close(&peer);
}

static void
a_majority_has_to_write_on_top_of_it (void **state) {
  (void) state;
  group_t group;
  peer_t *peers = group.peers;
  begin(&group);
  ab_head_t node = write_one(&peers[0]);
  assert_settled(&peers[0], &node, 1, 3, false);
  peer_send(&peers[0], &peers[1]);
  assert_settled(&peers[1], &node, 1, 3, false); /* to have it is not to say so */
  write_one(&peers[1]);
  assert_settled(&peers[1], &node, 2, 3, true);
  assert_settled(&peers[0], &node, 1, 3, false); /* who has not heard of it does not count it */
  peer_send(&peers[1], &peers[0]);
  assert_settled(&peers[0], &node, 2, 3, true);
  end(&group);
}

static void
what_is_written_beside_it_acknowledges_nothing (void **state) {
  (void) state;
  group_t group;
  peer_t *peers = group.peers;
  begin(&group);
  ab_head_t node = write_one(&peers[0]);
  ab_head_t other = write_one(&peers[1]);
  peers_mesh(peers, INDEXERS);
  assert_settled(&peers[2], &node, 1, 3, false);
  assert_settled(&peers[2], &other, 1, 3, false);
  write_one(&peers[2]);
  assert_settled(&peers[2], &node, 2, 3, true);
  assert_settled(&peers[2], &other, 2, 3, true);
  end(&group);
}

static void
removed_indexers_do_not_count (void **state) {
  (void) state;
  group_t group;
  peer_t *peers = group.peers;
  begin(&group);
  ab_head_t node = write_one(&peers[1]);
  peers_mesh(peers, INDEXERS);
  assert_settled(&peers[0], &node, 1, 3, false);
  peer_remove(&peers[0], &peers[2]);
  assert_settled(&peers[0], &node, 2, 2, true);
  end(&group);
}

static void
a_node_that_is_not_applied_says_so (void **state) {
  (void) state;
  group_t group;
  peer_t *peers = group.peers;
  autobee_settled_t settled;
  begin(&group);
  write_one(&peers[0]);
  peer_send(&peers[0], &peers[1]);
  ab_head_t node = write_one(&peers[1]), next = {node.key, node.length + 1}, nobody = {.length = 1};
  peer_send(&peers[1], &peers[2]); /* without what it is on top of */
  assert_int_equal(autobee_settled(peers[2].db, &node, &settled), 0);
  assert_int_equal(settled.state, AUTOBEE_COMMITTED);
  assert_int_equal(settled.acknowledged, 0);
  assert_int_equal(settled.indexers, 3);
  assert_false(settled.is_settled);
  assert_int_equal(autobee_settled(peers[2].db, &next, &settled), AB_ENOTFOUND);
  assert_int_equal(autobee_settled(peers[2].db, &nobody, &settled), AB_ENOTFOUND);
  node.length = 0;
  assert_int_equal(autobee_settled(peers[2].db, &node, &settled), AB_ENOTFOUND);
  end(&group);
}

static void
append_ended (autobee_append_t *req, int status) {
  *(int *) req->data = status;
}

static void
a_node_in_the_queue_is_staged (void **state) {
  (void) state;
  group_t group;
  autobee_settled_t settled;
  ab_head_t node;
  int ended = 1;
  begin(&group);
  autobee_append_t req = {.data = &ended};
  ab_slice_t value = ab_text("{}");
  autobee_local(group.peers[0].db, &node);
  node.length++;
  assert_int_equal(autobee_append_async(group.peers[0].db, &req, &value, 1, 0, append_ended), 0);
  assert_int_equal(autobee_settled(group.peers[0].db, &node, &settled), 0);
  assert_int_equal(settled.state, AUTOBEE_STAGED);
  assert_int_equal(autobee_update(group.peers[0].db), 0);
  assert_int_equal(ended, 0);
  assert_settled(&group.peers[0], &node, 1, 3, false);
  end(&group);
}

/* ---- against all pairs of nodes ---- */

#define NODES_MAX 128

typedef struct {
  ab_head_t nodes[NODES_MAX]; /* newest first */
  bool links[NODES_MAX][NODES_MAX];
  ab_head_t linked[NODES_MAX][INDEXERS];
  size_t link_counts[NODES_MAX];
  size_t count;
} graph_t;

static int
keep_node (void *data, const autobee_log_entry_t *entry) {
  graph_t *graph = data;
  assert_true(graph->count < NODES_MAX && entry->link_count <= INDEXERS);
  graph->nodes[graph->count] = entry->node;
  for (size_t i = 0; i < entry->link_count; i++) graph->linked[graph->count][i] = entry->links[i];
  graph->link_counts[graph->count++] = entry->link_count;
  return 0;
}

/* reaches[a][b]: a is b, or on top of it. */
static void
close_graph (graph_t *graph) {
  for (size_t a = graph->count; a-- > 0;) {
    for (size_t b = a; b < graph->count; b++) {
      bool is_direct = ab_key_equal(&graph->nodes[a].key, &graph->nodes[b].key);
      for (size_t i = 0; i < graph->link_counts[a]; i++) {
        ab_head_t *link = &graph->linked[a][i];
        is_direct |= ab_key_equal(&link->key, &graph->nodes[b].key) && link->length >= graph->nodes[b].length;
      }
      if (!is_direct) continue;
      graph->links[a][b] = true;
      for (size_t c = b; c < graph->count; c++) graph->links[a][c] |= graph->links[b][c];
    }
  }
}

static size_t
count_acknowledged (const graph_t *graph, size_t node) {
  ab_key_t seen[INDEXERS];
  size_t count = 0;
  for (size_t a = 0; a < graph->count; a++) {
    size_t i = 0;
    if (!graph->links[a][node]) continue;
    while (i < count && !ab_key_equal(&seen[i], &graph->nodes[a].key)) i++;
    if (i == count) seen[count++] = graph->nodes[a].key;
  }
  return count;
}

static void
random_histories_agree_with_the_causal_past (void **state) {
  (void) state;
  for (uint32_t seed = 1; seed <= 20; seed++) {
    rng_t random = rng(seed);
    group_t group;
    begin(&group);
    for (size_t i = 0; i < 40; i++) {
      size_t from = rng_below(&random, INDEXERS), to = rng_below(&random, INDEXERS);
      if (from == to) write_one(&group.peers[from]);
      else peer_send(&group.peers[from], &group.peers[to]);
    }
    for (size_t p = 0; p < INDEXERS; p++) {
      graph_t *graph = calloc(1, sizeof(*graph));
      assert_non_null(graph);
      assert_int_equal(autobee_log(group.peers[p].db, keep_node, graph), 0);
      close_graph(graph);
      for (size_t n = 0; n < graph->count; n++) {
        size_t count = count_acknowledged(graph, n);
        assert_settled(&group.peers[p], &graph->nodes[n], count, INDEXERS, count > INDEXERS / 2);
      }
      free(graph);
    }
    end(&group);
  }
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_only_indexer_settles_its_own_nodes),
    cmocka_unit_test(a_majority_has_to_write_on_top_of_it),
    cmocka_unit_test(what_is_written_beside_it_acknowledges_nothing),
    cmocka_unit_test(removed_indexers_do_not_count),
    cmocka_unit_test(a_node_that_is_not_applied_says_so),
    cmocka_unit_test(a_node_in_the_queue_is_staged),
    cmocka_unit_test(random_histories_agree_with_the_causal_past),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Why of two nodes one comes first: small cases, and random histories against the rule in its plain form. */
#include "peers.h"
#include "support/rng.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

#define WRITERS 4

typedef struct {
  world_t world;
  peer_t peers[WRITERS];
} group_t;

/* Peer 0 founds it with weight 2; the next one has 2, too, the others have 1. */
static void
begin (group_t *group) {
  ab_key_t key;
  world_init(&group->world);
  peer_open(&group->world, &group->peers[0], 1, NULL, NULL, NULL);
  autobee_key(group->peers[0].db, &key);
  for (uint8_t i = 1; i < WRITERS; i++) {
    peer_open(&group->world, &group->peers[i], (uint8_t) (i + 1), NULL, &key, NULL);
    peer_grant_weight(&group->peers[0], &group->peers[i], i == 1 ? 2 : 1);
  }
  peers_mesh(group->peers, WRITERS);
}

static void
end (group_t *group) {
  peers_close(group->peers, WRITERS);
}

static ab_head_t
write_one (peer_t *peer) {
  ab_head_t node;
  autobee_local(peer->db, &node);
  node.length = peer_append(peer, "{}");
  return node;
}

static autobee_why_t
why_of (peer_t *peer, const ab_head_t *a, const ab_head_t *b) {
  autobee_why_t why, other;
  assert_int_equal(autobee_why(peer->db, a, b, &why), 0);
  assert_int_equal(autobee_why(peer->db, b, a, &other), 0);
  assert_true(ab_head_equal(&why.first, &other.first) && ab_head_equal(&why.second, &other.second));
  assert_int_equal(why.reason, other.reason);
  autobee_why_destroy(&other);
  return why;
}

static void
what_a_node_is_written_on_top_of_comes_first (void **state) {
  (void) state;
  group_t group;
  peer_t *peers = group.peers;
  begin(&group);
  ab_head_t bottom = write_one(&peers[2]);
  peer_send(&peers[2], &peers[3]);
  ab_head_t middle = write_one(&peers[3]);
  write_one(&peers[3]);
  peer_send(&peers[2], &peers[1]);
  peer_send(&peers[3], &peers[1]);
  ab_head_t top = write_one(&peers[1]);
  autobee_why_t why = why_of(&peers[1], &top, &bottom);
  assert_int_equal(why.reason, AUTOBEE_WHY_ON_TOP);
  assert_true(ab_head_equal(&why.first, &bottom) && ab_head_equal(&why.second, &top));
  assert_int_equal(why.path_count, 1);
  assert_true(ab_head_equal(&why.path[0], &middle));
  autobee_why_destroy(&why);
  why = why_of(&peers[1], &middle, &bottom);
  assert_int_equal(why.reason, AUTOBEE_WHY_ON_TOP);
  assert_int_equal(why.path_count, 0);
  autobee_why_destroy(&why);
  end(&group);
}

static void
the_heavier_one_comes_first_then_the_older_one (void **state) {
  (void) state;
  group_t group;
  peer_t *peers = group.peers;
  begin(&group);
  write_one(&peers[1]); /* with its full weight from now on */
  peers_mesh(peers, WRITERS);
  ab_head_t light = write_one(&peers[2]), older = write_one(&peers[1]), younger = write_one(&peers[0]);
  peers_mesh(peers, WRITERS);
  autobee_why_t why = why_of(&peers[3], &light, &younger);
  assert_int_equal(why.reason, AUTOBEE_WHY_HEAVIER);
  assert_true(ab_head_equal(&why.first, &younger));
  assert_true(ab_head_equal(&why.first_by.node, &younger) && ab_head_equal(&why.second_by.node, &light));
  assert_int_equal(why.first_by.weight, 2);
  autobee_why_destroy(&why);
  why = why_of(&peers[3], &older, &younger);
  assert_int_equal(why.reason, AUTOBEE_WHY_OLDER);
  assert_true(ab_head_equal(&why.first, &older));
  assert_true(why.first_by.timestamp_ms < why.second_by.timestamp_ms);
  autobee_why_destroy(&why);
  end(&group);
}

static void
a_heavier_node_pulls_forward_what_it_is_on_top_of (void **state) {
  (void) state;
  group_t group;
  peer_t *peers = group.peers;
  begin(&group);
  ab_head_t old = write_one(&peers[2]), young = write_one(&peers[3]);
  peer_send(&peers[3], &peers[0]);
  ab_head_t heavy = write_one(&peers[0]);
  peers_mesh(peers, WRITERS);
  autobee_why_t why = why_of(&peers[1], &old, &young);
  assert_true(ab_head_equal(&why.first, &young));
  assert_int_equal(why.reason, AUTOBEE_WHY_HEAVIER);
  assert_true(ab_head_equal(&why.first_by.node, &heavy));
  assert_true(ab_head_equal(&why.second_by.node, &old));
  autobee_why_destroy(&why);
  end(&group);
}

static void
a_batch_keeps_its_order (void **state) {
  (void) state;
  group_t group;
  ab_slice_t values[] = {ab_text("{}"), ab_text("{}"), ab_text("{}")};
  ab_head_t last, first;
  begin(&group);
  assert_int_equal(autobee_append(group.peers[0].db, values, 3, 0, &last), 0);
  first = (ab_head_t){last.key, last.length - 2};
  autobee_why_t why = why_of(&group.peers[0], &last, &first);
  assert_int_equal(why.reason, AUTOBEE_WHY_SAME_BATCH);
  assert_true(ab_head_equal(&why.first, &first));
  autobee_why_destroy(&why);
  first.length = last.length + 1;
  assert_int_equal(autobee_why(group.peers[0].db, &first, &last, &why), AB_ENOTFOUND);
  first.length = 0;
  assert_int_equal(autobee_why(group.peers[0].db, &first, &last, &why), AB_ENOTFOUND);
  end(&group);
}

/* ---- random histories ---- */

#define NODES_MAX 96

typedef struct {
  ab_head_t node;
  uint64_t weight, timestamp_ms;
  ab_head_t links[WRITERS];
  size_t link_count;
  bool is_placed;
  size_t parent; /* who was being placed when it was taken; NODES_MAX: nobody */
} unit_t;

typedef struct {
  unit_t units[NODES_MAX]; /* newest first */
  size_t count;
  bool above[NODES_MAX][NODES_MAX]; /* [a][b]: a is on top of b */
  size_t order[NODES_MAX];          /* oldest first */
  size_t placed;
} graph_t;

static int
keep_node (void *data, const autobee_log_entry_t *entry) {
  graph_t *graph = data;
  assert_true(graph->count < NODES_MAX && entry->link_count <= WRITERS);
  unit_t *unit = &graph->units[graph->count++];
  *unit = (unit_t){.node = entry->node, .weight = entry->weight, .timestamp_ms = entry->timestamp_ms};
  for (size_t i = 0; i < entry->link_count; i++) unit->links[unit->link_count++] = entry->links[i];
  return 0;
}

static bool
names (const unit_t *unit, const unit_t *other) {
  if (ab_key_equal(&unit->node.key, &other->node.key)) return unit->node.length > other->node.length;
  for (size_t i = 0; i < unit->link_count; i++) {
    bool is_same = ab_key_equal(&unit->links[i].key, &other->node.key);
    if (is_same && unit->links[i].length >= other->node.length) return true;
  }
  return false;
}

static bool
better (const unit_t *a, const unit_t *b) {
  if (a->weight != b->weight) return a->weight > b->weight;
  if (a->timestamp_ms != b->timestamp_ms) return a->timestamp_ms < b->timestamp_ms;
  int order = memcmp(a->node.key.bytes, b->node.key.bytes, 32);
  return order != 0 ? order < 0 : a->node.length < b->node.length;
}

static void
place (graph_t *graph, size_t unit, size_t parent) {
  size_t best;
  graph->units[unit].parent = parent;
  do {
    best = graph->count;
    for (size_t i = 0; i < graph->count; i++) {
      if (graph->units[i].is_placed || !graph->above[unit][i]) continue;
      if (best == graph->count || better(&graph->units[i], &graph->units[best])) best = i;
    }
    if (best < graph->count) place(graph, best, unit);
  } while (best < graph->count);
  graph->units[unit].is_placed = true;
  graph->order[graph->placed++] = unit;
}

static void
make_order (graph_t *graph) {
  for (size_t a = graph->count; a-- > 0;) {
    for (size_t b = 0; b < graph->count; b++) {
      if (!names(&graph->units[a], &graph->units[b])) continue;
      graph->above[a][b] = true;
      for (size_t c = 0; c < graph->count; c++) graph->above[a][c] |= graph->above[b][c];
    }
  }
  while (graph->placed < graph->count) {
    size_t best = graph->count;
    for (size_t i = 0; i < graph->count; i++) {
      if (graph->units[i].is_placed) continue;
      if (best == graph->count || better(&graph->units[i], &graph->units[best])) best = i;
    }
    place(graph, best, NODES_MAX);
  }
}

static bool
is_below (const graph_t *graph, size_t unit, size_t parent) {
  while (unit != parent && unit != NODES_MAX) unit = graph->units[unit].parent;
  return unit == parent;
}

/* The branch of `a` below the nearest parent that it has in common with `b`. */
static size_t
branch_of (const graph_t *graph, size_t a, size_t b) {
  while (!is_below(graph, b, graph->units[a].parent)) a = graph->units[a].parent;
  return a;
}

static size_t
find_unit (const graph_t *graph, const ab_head_t *node) {
  size_t i = 0;
  while (!ab_head_equal(&graph->units[i].node, node)) assert_true(++i < graph->count);
  return i;
}

static void
check_path (const graph_t *graph, size_t bottom, size_t top, const autobee_why_t *why) {
  for (size_t i = 0; i < why->path_count; i++) {
    size_t unit = find_unit(graph, &why->path[i]);
    assert_true(graph->above[unit][bottom]);
    bottom = unit;
  }
  assert_true(graph->above[top][bottom]);
}

static void
check_pair (peer_t *peer, const graph_t *graph, size_t a, size_t b) {
  const unit_t *units = graph->units;
  autobee_why_t why = why_of(peer, &units[a].node, &units[b].node); /* `a` stands further back in the list */
  assert_true(ab_head_equal(&why.first, &units[a].node));
  if (graph->above[b][a]) {
    assert_int_equal(why.reason, AUTOBEE_WHY_ON_TOP);
    check_path(graph, a, b, &why);
  } else {
    size_t first = branch_of(graph, a, b), second = branch_of(graph, b, a);
    assert_true(ab_head_equal(&why.first_by.node, &units[first].node));
    assert_true(ab_head_equal(&why.second_by.node, &units[second].node));
    autobee_reason_t reason = units[first].weight != units[second].weight ? AUTOBEE_WHY_HEAVIER
                              : units[first].timestamp_ms != units[second].timestamp_ms
                                ? AUTOBEE_WHY_OLDER
                                : AUTOBEE_WHY_LOWER_KEY;
    assert_int_equal(why.reason, reason);
  }
  autobee_why_destroy(&why);
}

static void
random_histories_are_explained_by_the_rule (void **state) {
  (void) state;
  size_t pulled = 0;
  for (uint32_t seed = 1; seed <= 6; seed++) {
    rng_t random = rng(seed);
    group_t group;
    begin(&group);
    for (size_t i = 0; i < 100; i++) {
      size_t from = rng_below(&random, WRITERS), to = rng_below(&random, WRITERS);
      if (from != to && rng_below(&random, 2) == 0) peer_send(&group.peers[from], &group.peers[to]);
      else write_one(&group.peers[from]);
      group.world.now_ms -= rng_below(&random, 12);
    }
    peers_mesh(group.peers, WRITERS);
    graph_t *graph = calloc(1, sizeof(*graph));
    assert_non_null(graph);
    assert_int_equal(autobee_log(group.peers[2].db, keep_node, graph), 0);
    make_order(graph);
    for (size_t i = 0; i < graph->count; i++) {
      assert_int_equal(graph->order[i], graph->count - 1 - i);
      pulled += graph->units[i].parent != NODES_MAX;
    }
    for (size_t b = 0; b < graph->count; b++) {
      for (size_t a = b + 1; a < graph->count; a++) check_pair(&group.peers[2], graph, a, b);
    }
    free(graph);
    end(&group);
  }
  assert_true(pulled > 100); /* or nothing was shown */
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_a_node_is_written_on_top_of_comes_first),
    cmocka_unit_test(the_heavier_one_comes_first_then_the_older_one),
    cmocka_unit_test(a_heavier_node_pulls_forward_what_it_is_on_top_of),
    cmocka_unit_test(a_batch_keeps_its_order),
    cmocka_unit_test(random_histories_are_explained_by_the_rule),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

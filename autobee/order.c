/* order.c: where a batch belongs.
 *
 *   The rule in its plain form (autobee.md 9.3) takes entries off the end of the window, sets the ancestors
 * of the new batch aside and places them again, each by the same rule; that is exponential for a chain of
 * ever better nodes. What it comes to is this: the ancestors among the passed entries, put in order as if
 * nothing else existed; the new batch; the rest as it stood. (The walk of a batch that is placed again ends
 * where the first walk ended, because what comes after the new batch also comes after what stopped it.)
 *
 *   The order of the ancestors by themselves is a tree read in post-order. Placing x means: while an ancestor
 * of x is left, place the best one; then x. So the parent of a node is the one that was being placed when it
 * was taken, siblings stand as they compare, and parents behind their children:
 *
 *     root ─┬─ p ─┬─ r     the path from the root to x is: the best of x and its descendants; the best of
 *           │     └─ x     those that are ancestors of it; … x. Along a path nodes get worse
 *           └─ q
 *
 *   Hence the path of x is the path of that direct descendant of x which stands first in the order, as far as
 * the nodes on it are better than x. The tree grows from the last node to the first. Paths are climbed by
 * jump pointers (a parent and one far ancestor each, the distance depending on the depth alone), so a node
 * costs O(log n).
 */
#include "autobee/order.h"

#include <assert.h>
#include <stdlib.h>

#define NONE UINT32_MAX

int
autobee__order_compare (const order_entry_t *a, const order_entry_t *b) {
  if (a->weight != b->weight) return a->weight > b->weight ? -1 : 1;
  if (a->timestamp_ms != b->timestamp_ms) return a->timestamp_ms < b->timestamp_ms ? -1 : 1;
  int order = ab_key_compare(&a->writer, &b->writer);
  if (order != 0) return order;
  return (a->first > b->first) - (a->first < b->first);
}

/* ---- entries by writer ---- */

typedef struct {
  const order_entry_t *entry;
  uint32_t position; /* among the entries at hand */
} place_t;

/* The entries at hand, grouped by writer: places[starts[w] … starts[w + 1]) are those of writer w, by length.
 * Sorted, not hashed: keys are chosen by whoever writes. */
typedef struct {
  place_t *places;
  uint32_t *starts;
  uint32_t *writer_of; /* per position */
  uint32_t writers;
} index_t;

static int
compare_places (const void *a, const void *b) {
  const order_entry_t *x = ((const place_t *) a)->entry;
  const order_entry_t *y = ((const place_t *) b)->entry;
  int order = ab_key_compare(&x->writer, &y->writer);
  if (order != 0) return order;
  return (x->first > y->first) - (x->first < y->first);
}

/* `entries` are `count` pointers in the order at hand; count is above 0. */
static int
index_build (index_t *index, const order_entry_t *const *entries, uint32_t count, ab_arena_t *scratch) {
  index->places = ab_arena_alloc(scratch, count, sizeof(*index->places));
  index->starts = ab_arena_alloc(scratch, (size_t) count + 1, sizeof(*index->starts));
  index->writer_of = ab_arena_alloc(scratch, count, sizeof(*index->writer_of));
  if (index->places == NULL || index->starts == NULL || index->writer_of == NULL) return AB_ENOMEM;

  for (uint32_t i = 0; i < count; i++) index->places[i] = (place_t){entries[i], i};
  qsort(index->places, count, sizeof(*index->places), compare_places);

  index->writers = 0;
  for (uint32_t i = 0; i < count; i++) {
    const order_entry_t *entry = index->places[i].entry;
    if (i == 0 || !ab_key_equal(&entry->writer, &index->places[i - 1].entry->writer)) {
      index->starts[index->writers++] = i;
    }
    index->writer_of[index->places[i].position] = index->writers - 1;
  }
  index->starts[index->writers] = count;
  return 0;
}

/* The number of the writer `key`, or NONE if it has no entry here. */
static uint32_t
index_writer (const index_t *index, const ab_key_t *key) {
  uint32_t low = 0;
  uint32_t high = index->writers;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    int order = ab_key_compare(key, &index->places[index->starts[middle]].entry->writer);
    if (order == 0) return middle;
    if (order < 0) high = middle;
    else low = middle + 1;
  }
  return NONE;
}

/* The newest entry of `writer` whose first node is not above `length`, or NONE. */
static uint32_t
index_newest (const index_t *index, uint32_t writer, uint64_t length) {
  uint32_t low = index->starts[writer];
  uint32_t high = index->starts[writer + 1];
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (index->places[middle].entry->first <= length) low = middle + 1;
    else high = middle;
  }
  return low == index->starts[writer] ? NONE : index->places[low - 1].position;
}

/* ---- the ancestors of the new batch ---- */

static void
raise_clock (const index_t *index, uint64_t *clock, const ab_head_t *heads, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint32_t writer = index_writer(index, &heads[i].key);
    if (writer != NONE && clock[writer] < heads[i].length) clock[writer] = heads[i].length;
  }
}

/* Back over the passed entries. Links lead backwards, so the clock is complete when it meets an entry. */
static int
find_ancestors (
  const order_entry_t *const *passed,
  uint32_t count,
  const order_entry_t *node,
  const ab_head_t *backer,
  bool *is_ancestor,
  ab_arena_t *scratch
) {
  index_t index;
  int err = index_build(&index, passed, count, scratch);
  if (err < 0) return err;
  uint64_t *clock = ab_arena_zalloc(scratch, index.writers, sizeof(*clock));
  if (clock == NULL) return AB_ENOMEM;

  ab_head_t self = {node->writer, node->first};
  raise_clock(&index, clock, &self, 1);
  raise_clock(&index, clock, node->links, node->link_count);
  if (backer != NULL) raise_clock(&index, clock, backer, 1);

  for (uint32_t i = count; i-- > 0;) {
    const order_entry_t *entry = passed[i];
    is_ancestor[i] = clock[index.writer_of[i]] >= entry->first;
    if (is_ancestor[i]) raise_clock(&index, clock, entry->links, entry->link_count);
  }
  return 0;
}

/* ---- the ancestors among themselves ---- */

/* Nodes are numbered as they stood, from 0; node `count` is the root, better than all. */
typedef struct {
  uint32_t count;
  uint32_t *rank;    /* 1 is the best; the root has 0 */
  uint32_t *by_rank; /* node of each rank less 1 */
  uint32_t *parent;
  uint32_t *jump; /* a node further up the path */
  uint32_t *depth;
  uint32_t *descendant; /* of the direct descendants in the tree the one that stands first, or NONE */
} tree_t;

static uint32_t *
alloc_numbers (ab_arena_t *scratch, uint32_t count) {
  return ab_arena_alloc(scratch, (size_t) count + 1, sizeof(uint32_t));
}

static int
compare_ranked (const void *a, const void *b) {
  return autobee__order_compare(((const place_t *) a)->entry, ((const place_t *) b)->entry);
}

static int
tree_init (tree_t *tree, const order_entry_t *const *entries, uint32_t count, ab_arena_t *scratch) {
  place_t *ranked = ab_arena_alloc(scratch, count, sizeof(*ranked));
  tree->count = count;
  tree->rank = alloc_numbers(scratch, count);
  tree->by_rank = alloc_numbers(scratch, count);
  tree->parent = alloc_numbers(scratch, count);
  tree->jump = alloc_numbers(scratch, count);
  tree->depth = alloc_numbers(scratch, count);
  tree->descendant = alloc_numbers(scratch, count);
  if (ranked == NULL || tree->rank == NULL || tree->by_rank == NULL || tree->parent == NULL) return AB_ENOMEM;
  if (tree->jump == NULL || tree->depth == NULL || tree->descendant == NULL) return AB_ENOMEM;

  for (uint32_t i = 0; i < count; i++) ranked[i] = (place_t){entries[i], i};
  qsort(ranked, count, sizeof(*ranked), compare_ranked);
  for (uint32_t i = 0; i < count; i++) {
    tree->by_rank[i] = ranked[i].position;
    tree->rank[ranked[i].position] = i + 1;
    tree->descendant[i] = NONE;
  }

  uint32_t root = count;
  tree->rank[root] = 0;
  tree->depth[root] = 0;
  tree->parent[root] = tree->jump[root] = root;
  return 0;
}

/* The last node on the path to `node` that is better than `rank`. */
static uint32_t
climb_to_better (const tree_t *tree, uint32_t node, uint32_t rank) {
  while (tree->rank[node] > rank) {
    uint32_t far = tree->jump[node];
    node = tree->rank[far] > rank ? far : tree->parent[node];
  }
  return node;
}

static void
tree_insert (tree_t *tree, uint32_t node) {
  uint32_t from = tree->descendant[node] == NONE ? tree->count : tree->descendant[node];
  uint32_t parent = climb_to_better(tree, from, tree->rank[node]);
  uint32_t far = tree->jump[parent];

  tree->parent[node] = parent;
  tree->depth[node] = tree->depth[parent] + 1;
  /* Two jumps of equal distance join into one: distances are as the digits of a skew binary number. */
  bool joins = tree->depth[parent] - tree->depth[far] == tree->depth[far] - tree->depth[tree->jump[far]];
  tree->jump[node] = joins ? tree->jump[far] : parent;
}

static uint32_t
climb_to_depth (const tree_t *tree, uint32_t node, uint32_t depth) {
  while (tree->depth[node] > depth) {
    uint32_t far = tree->jump[node];
    node = tree->depth[far] >= depth ? far : tree->parent[node];
  }
  return node;
}

/* Does `a` stand before `b` in post-order? */
static bool
stands_before (const tree_t *tree, uint32_t a, uint32_t b) {
  bool deeper = tree->depth[a] > tree->depth[b];
  a = climb_to_depth(tree, a, tree->depth[b]);
  b = climb_to_depth(tree, b, tree->depth[a]);
  if (a == b) return deeper; /* a child stands before its parent */
  while (tree->parent[a] != tree->parent[b]) {
    /* equal depths, so equally far jumps */
    bool apart = tree->jump[a] != tree->jump[b];
    a = apart ? tree->jump[a] : tree->parent[a];
    b = apart ? tree->jump[b] : tree->parent[b];
  }
  return tree->rank[a] < tree->rank[b];
}

/* `node` has just been inserted: tell those it stands on directly. */
static void
tell_ancestor (tree_t *tree, const index_t *index, uint32_t node, const ab_key_t *writer, uint64_t length) {
  uint32_t number = index_writer(index, writer);
  uint32_t ancestor = number == NONE ? NONE : index_newest(index, number, length);
  if (ancestor == NONE || ancestor >= node) return; /* it is placed already, or not one of ours to place */
  uint32_t known = tree->descendant[ancestor];
  if (known == NONE || stands_before(tree, node, known)) tree->descendant[ancestor] = node;
}

static void
tell_ancestors (tree_t *tree, const index_t *index, uint32_t node, const order_entry_t *entry) {
  if (entry->first > 1) tell_ancestor(tree, index, node, &entry->writer, entry->first - 1);
  for (size_t i = 0; i < entry->link_count; i++) {
    const ab_head_t *link = &entry->links[i];
    tell_ancestor(tree, index, node, &link->key, link->length);
  }
}

/* Write the nodes in post-order. */
static int
tree_read (const tree_t *tree, uint32_t *order, ab_arena_t *scratch) {
  uint32_t root = tree->count;
  uint32_t *child = alloc_numbers(scratch, tree->count);
  uint32_t *sibling = alloc_numbers(scratch, tree->count);
  if (child == NULL || sibling == NULL) return AB_ENOMEM;

  for (uint32_t i = 0; i <= root; i++) child[i] = NONE;
  for (uint32_t i = tree->count; i-- > 0;) { /* worst first, each in front of those before it */
    uint32_t node = tree->by_rank[i];
    sibling[node] = child[tree->parent[node]];
    child[tree->parent[node]] = node;
  }

  uint32_t node = root;
  for (uint32_t i = 0; i < tree->count; i++) {
    if (i > 0 && sibling[node] == NONE) {
      node = tree->parent[node]; /* its children are all written */
    } else {
      node = i == 0 ? child[root] : sibling[node];
      while (child[node] != NONE) node = child[node];
    }
    order[i] = node;
  }
  return 0;
}

static bool
is_sorted (const order_entry_t *const *entries, uint32_t count) {
  for (uint32_t i = 1; i < count; i++) {
    if (!order_before(entries[i - 1], entries[i])) return false;
  }
  return true;
}

/* `order`: the `count` entries as they would stand if there were no others. */
static int
order_entries (const order_entry_t *const *entries, uint32_t count, uint32_t *order, ab_arena_t *scratch) {
  index_t index;
  tree_t tree;
  int err;

  if (is_sorted(entries, count)) { /* the usual case: nobody pulls anybody forward */
    for (uint32_t i = 0; i < count; i++) order[i] = i;
    return 0;
  }
  if ((err = index_build(&index, entries, count, scratch)) < 0) return err;
  if ((err = tree_init(&tree, entries, count, scratch)) < 0) return err;
  for (uint32_t i = count; i-- > 0;) {
    tree_insert(&tree, i);
    tell_ancestors(&tree, &index, i, entries[i]);
  }
  return tree_read(&tree, order, scratch);
}

/* ---- placing ---- */

/* The passed entries and the node in their new order: positions among the passed, `count` is the node. */
static int
place_passed (
  const order_entry_t *passed,
  uint32_t count,
  const order_entry_t *node,
  const ab_head_t *backer,
  uint32_t *order,
  ab_arena_t *scratch
) {
  const order_entry_t **entries = ab_arena_alloc(scratch, count, sizeof(void *));
  bool *is_ancestor = ab_arena_alloc(scratch, count, sizeof(*is_ancestor));
  uint32_t *positions = alloc_numbers(scratch, count);
  int err;

  if (entries == NULL || is_ancestor == NULL || positions == NULL) return AB_ENOMEM;
  for (uint32_t i = 0; i < count; i++) entries[i] = &passed[i];
  err = find_ancestors(entries, count, node, backer, is_ancestor, scratch);
  if (err < 0) return err;

  uint32_t ancestors = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (!is_ancestor[i]) continue;
    entries[ancestors] = &passed[i];
    positions[ancestors++] = i;
  }
  if ((err = order_entries(entries, ancestors, order, scratch)) < 0) return err;
  for (uint32_t i = 0; i < ancestors; i++) order[i] = positions[order[i]];

  uint32_t at = ancestors;
  order[at++] = count;
  for (uint32_t i = 0; i < count; i++) {
    if (!is_ancestor[i]) order[at++] = i;
  }
  assert(at == count + 1);
  return 0;
}

int
autobee__order_place (
  const order_entry_t *window,
  size_t count,
  const order_entry_t *node,
  const ab_head_t *backer,
  ab_arena_t *arena,
  size_t *changed,
  size_t **order
) {
  ab_arena_t scratch = {0};
  uint32_t *placed;
  size_t from = count;
  int err = 0;

  while (from > 0 && order_before(node, &window[from - 1])) from--;
  size_t passed = count - from;
  if (passed > ORDER_WINDOW_MAX) return AB_ETOOBIG;

  placed = alloc_numbers(&scratch, (uint32_t) passed);
  if (placed == NULL) return AB_ENOMEM;
  if (passed == 0) placed[0] = 0;
  else err = place_passed(&window[from], (uint32_t) passed, node, backer, placed, &scratch);
  if (err < 0) goto done;

  size_t same = 0;
  while (same < passed && placed[same] == same) same++;
  *order = ab_arena_alloc(arena, passed + 1 - same, sizeof(**order));
  if (*order == NULL) {
    err = AB_ENOMEM;
    goto done;
  }
  for (size_t i = same; i <= passed; i++) (*order)[i - same] = from + placed[i];
  *changed = from + same;

done:
  ab_arena_destroy(&scratch);
  return err;
}

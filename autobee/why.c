/* why.c: why of two nodes one comes first.
 *
 *   The order of all batches is the tree of order.c read in post-order: whoever was being placed when a batch
 * was taken is its parent, siblings stand as they compare. So of two batches that are not written on top of
 * each other, the branches in which they lie below their nearest common parent were compared:
 *
 *     ─┬─ p ── a      a comes before b because p, which is on top of it, compares before q, which is on
 *      └─ q ── b      top of b: they pulled them forward
 *
 *   Of the order only the end is read, from the earlier of the two batches on: all that is written on top of
 * a batch stands behind it.
 */
#include "autobee/autobee.h"

#include <stdlib.h>

#include "autobee/grow.h"
#include "autobee/order.h"

#define NONE UINT32_MAX

typedef struct {
  ab_arena_t arena; /* holds their links */
  order_entry_t *entries;
  size_t count;
  size_t capacity;
  ab_head_t a, b;
  bool has_a, has_b;
} part_t;

/* ---- reading ---- */

static int
find_writer (void *data, const ab_key_t *key, const autobee_writer_t *writer) {
  part_t *part = data;
  part->has_a |= ab_key_equal(key, &part->a.key) && part->a.length <= writer->length;
  part->has_b |= ab_key_equal(key, &part->b.key) && part->b.length <= writer->length;
  return 0;
}

/* Are both in the order? */
static int
check_applied (autobee_t *db, part_t *part) {
  int err = autobee_writers(db, find_writer, part);
  bool has_both = part->has_a && part->has_b && part->a.length > 0 && part->b.length > 0;
  part->has_a = part->has_b = false;
  return err == 0 && !has_both ? AB_ENOTFOUND : err;
}

#define ENOUGH 1

static bool
holds (const order_entry_t *entry, const ab_head_t *node) {
  return ab_key_equal(&entry->writer, &node->key) && entry->first <= node->length &&
         node->length <= entry->last;
}

static int
take_node (void *data, const autobee_log_entry_t *node) {
  part_t *part = data;
  if (!node->has_block) return AB_EREMOTE;
  if (node->batch_end == 0) {
    if (part->count + 1 >= NONE) return AB_ETOOBIG;
    order_entry_t *entries = grown(part->entries, &part->capacity, part->count + 1, sizeof(order_entry_t));
    if (entries == NULL) return AB_ENOMEM;
    part->entries = entries;
    entries[part->count++] =
      (order_entry_t){.writer = node->node.key, .last = node->node.length, .weight = node->weight};
  }
  if (node->batch_start > 0) return 0;
  order_entry_t *entry = &part->entries[part->count - 1];
  ab_head_t *links = ab_arena_alloc(&part->arena, node->link_count, sizeof(ab_head_t));
  if (links == NULL) return AB_ENOMEM;
  if (node->link_count > 0) memcpy(links, node->links, node->link_count * sizeof(ab_head_t));
  entry->first = node->node.length;
  entry->timestamp_ms = node->timestamp_ms;
  entry->links = links;
  entry->link_count = node->link_count;
  part->has_a |= holds(entry, &part->a);
  part->has_b |= holds(entry, &part->b);
  return part->has_a && part->has_b ? ENOUGH : 0;
}

static void
turn_around (part_t *part) {
  for (size_t i = 0, j = part->count; i + 1 < j; i++) {
    order_entry_t entry = part->entries[i];
    part->entries[i] = part->entries[--j];
    part->entries[j] = entry;
  }
}

static uint32_t
find_holder (const part_t *part, const ab_head_t *node) {
  for (size_t i = 0; i < part->count; i++) {
    if (holds(&part->entries[i], node)) return (uint32_t) i;
  }
  return NONE;
}

/* ---- written on top of ---- */

/* The first node of a writer that is on top of the node asked about. */
typedef struct {
  ab_head_t node;
  size_t through; /* the one it was written on top of */
} step_t;

typedef struct {
  step_t *steps; /* the first is the node itself */
  size_t count;
  size_t capacity;
} descent_t;

static step_t *
find_step (const descent_t *descent, const ab_head_t *link) {
  for (size_t i = 0; i < descent->count; i++) {
    step_t *step = &descent->steps[i];
    if (ab_key_equal(&step->node.key, &link->key) && step->node.length <= link->length) return step;
  }
  return NULL;
}

static int
add_step (descent_t *descent, const ab_head_t *node, size_t through) {
  step_t *steps = grown(descent->steps, &descent->capacity, descent->count + 1, sizeof(step_t));
  if (steps == NULL) return AB_ENOMEM;
  descent->steps = steps;
  steps[descent->count++] = (step_t){*node, through};
  return 0;
}

static int
descend_into (descent_t *descent, const order_entry_t *entry) {
  ab_head_t node = {entry->writer, entry->first};
  if (find_step(descent, &node) != NULL) return 0;
  for (size_t i = 0; i < entry->link_count; i++) {
    const step_t *step = find_step(descent, &entry->links[i]);
    if (step != NULL) return add_step(descent, &node, (size_t) (step - descent->steps));
  }
  return 0;
}

/* 1: `second`, in the last entry, is on top of `first`, in the first one, and `why` tells through what. */
static int
find_path (const part_t *part, uint32_t end, autobee_why_t *why) {
  descent_t descent = {0};
  int err = add_step(&descent, &why->first, 0);
  for (uint32_t i = 1; i <= end && err == 0; i++) err = descend_into(&descent, &part->entries[i]);
  const step_t *step = err < 0 ? NULL : find_step(&descent, &why->second);
  if (step == NULL) goto done;
  err = 1;
  size_t at = (size_t) (step - descent.steps), count = 0;
  if (holds(&part->entries[end], &step->node)) at = step->through;
  for (size_t i = at; i > 0; i = descent.steps[i].through) count++;
  why->path_count = count;
  if (count == 0) goto done;
  if ((why->path = malloc(count * sizeof(ab_head_t))) == NULL) err = AB_ENOMEM;
  for (size_t i = at; i > 0 && err == 1; i = descent.steps[i].through) {
    why->path[--count] = descent.steps[i].node;
  }

done:
  free(descent.steps);
  return err;
}

/* ---- compared ---- */

/* Entries by writer and length. Sorted, not hashed: keys are chosen by whoever writes. */
static int
compare_entries (const void *a, const void *b) {
  const order_entry_t *x = *(const order_entry_t *const *) a, *y = *(const order_entry_t *const *) b;
  int order = ab_key_compare(&x->writer, &y->writer);
  return order != 0 ? order : (x->first > y->first) - (x->first < y->first);
}

static int
compare_to_node (const void *a, const void *b) {
  const ab_head_t *node = a;
  const order_entry_t *entry = *(const order_entry_t *const *) b;
  int order = ab_key_compare(&node->key, &entry->writer);
  if (order != 0) return order;
  return (node->length > entry->last) - (node->length < entry->first);
}

typedef struct {
  const part_t *part;
  const order_entry_t **sorted;
  uint32_t *above; /* of each entry first the earliest one written right on top of it, then its parent */
} tree_t;

static void
note_above (tree_t *tree, const ab_head_t *below, uint32_t at) {
  const order_entry_t *const *found =
    bsearch(below, tree->sorted, tree->part->count, sizeof(*tree->sorted), compare_to_node);
  if (found == NULL) return; /* it stands before the part that was read */
  size_t index = (size_t) (*found - tree->part->entries);
  if (tree->above[index] == NONE) tree->above[index] = at;
}

/* See order.c: a parent lies on the path of the earliest entry right on top, as far as that is better. */
static void
grow_tree (tree_t *tree) {
  const order_entry_t *entries = tree->part->entries;
  uint32_t count = (uint32_t) tree->part->count;
  for (uint32_t i = 0; i < count; i++) {
    ab_head_t before = {entries[i].writer, entries[i].first - 1};
    note_above(tree, &before, i);
    for (size_t l = 0; l < entries[i].link_count; l++) note_above(tree, &entries[i].links[l], i);
  }
  for (uint32_t i = count; i-- > 0;) {
    uint32_t parent = tree->above[i];
    while (parent != NONE && !order_before(&entries[parent], &entries[i])) parent = tree->above[parent];
    tree->above[i] = parent;
  }
}

/* The branches of `a` and `b` below their nearest common parent. Parents stand behind their children. */
static void
find_branches (const tree_t *tree, uint32_t *a, uint32_t *b) {
  while (tree->above[*a] != tree->above[*b]) {
    uint32_t *lower = tree->above[*a] < tree->above[*b] ? a : b; /* NONE is the root, behind all */
    *lower = tree->above[*lower];
  }
}

static void
set_compared (autobee_compared_t *out, const order_entry_t *entry, const ab_head_t *node) {
  out->node = *node;
  if (!holds(entry, node)) out->node = (ab_head_t){entry->writer, entry->first};
  out->weight = entry->weight;
  out->timestamp_ms = entry->timestamp_ms;
}

static autobee_reason_t
reason_of (const order_entry_t *a, const order_entry_t *b) {
  if (!order_before(a, b)) return AUTOBEE_WHY_OTHER;
  if (a->weight != b->weight) return AUTOBEE_WHY_HEAVIER;
  return a->timestamp_ms != b->timestamp_ms ? AUTOBEE_WHY_OLDER : AUTOBEE_WHY_LOWER_KEY;
}

static int
compare_branches (const part_t *part, uint32_t second, autobee_why_t *why) {
  tree_t tree = {.part = part};
  uint32_t a = 0, b = second;
  tree.sorted = malloc(part->count * sizeof(*tree.sorted));
  tree.above = malloc(part->count * sizeof(*tree.above));
  int err = tree.sorted == NULL || tree.above == NULL ? AB_ENOMEM : 0;
  if (err < 0) goto done;
  for (size_t i = 0; i < part->count; i++) {
    tree.sorted[i] = &part->entries[i];
    tree.above[i] = NONE;
  }
  qsort(tree.sorted, part->count, sizeof(*tree.sorted), compare_entries);
  grow_tree(&tree);
  find_branches(&tree, &a, &b);
  set_compared(&why->first_by, &part->entries[a], &why->first);
  set_compared(&why->second_by, &part->entries[b], &why->second);
  why->reason = reason_of(&part->entries[a], &part->entries[b]);

done:
  free(tree.sorted);
  free(tree.above);
  return err;
}

/* ---- both ---- */

static int
explain (const part_t *part, autobee_why_t *why) {
  uint32_t a = find_holder(part, &part->a), b = find_holder(part, &part->b);
  bool is_a_first = a != b ? a < b : part->a.length <= part->b.length;
  why->first = is_a_first ? part->a : part->b;
  why->second = is_a_first ? part->b : part->a;
  uint32_t second = a > b ? a : b; /* the first one is entry 0 */
  set_compared(&why->first_by, &part->entries[0], &why->first);
  set_compared(&why->second_by, &part->entries[second], &why->second);
  why->reason = AUTOBEE_WHY_SAME_BATCH;
  if (a == b) return 0;
  why->reason = AUTOBEE_WHY_ON_TOP;
  int found = find_path(part, second, why);
  return found != 0 ? (found < 0 ? found : 0) : compare_branches(part, second, why);
}

int
autobee_why (autobee_t *db, const ab_head_t *a, const ab_head_t *b, autobee_why_t *out) {
  part_t part = {.a = *a, .b = *b};
  autobee_why_t why = {0};
  int err = check_applied(db, &part);
  if (err == 0) err = autobee_log(db, take_node, &part);
  if (err == 0) err = AB_ECORRUPT; /* all was read */
  if (err < 0) goto done;
  turn_around(&part);
  err = explain(&part, &why);
  if (err == 0) *out = why;
  else autobee_why_destroy(&why);

done:
  ab_arena_destroy(&part.arena);
  free(part.entries);
  return err;
}

void
autobee_why_destroy (autobee_why_t *why) {
  free(why->path);
  why->path = NULL;
  why->path_count = 0;
}

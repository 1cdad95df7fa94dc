/* update.c: put and delete on the private tree of a batch.
 *
 * Each works in two halves. The first finds out what will happen, and does all that can fail: it loads nodes,
 * makes private copies, reserves memory. The second only edits. So an operation that fails (a block that is
 * not here, no memory) has changed nothing but which copies are private.
 */
#include <assert.h>

#include "bee/handle.h"

typedef struct {
  bee_batch_t *batch;
  bee__path_t way;
} path_t;

static bool
is_private (const bee__node_t *node) {
  return node->page == NULL; /* only the cache's nodes are found in a page */
}

static int
push_step (path_t *path, bee__node_t *node) {
  if (path->way.depth == BEE__DEPTH_MAX) {
    return bee__family_corrupt(
      path->batch->family, node->place.core, node->place.seq, "lies deeper than any tree"
    );
  }
  path->way.steps[path->way.depth++] = (bee__step_t){.node = node};
  return 0;
}

static bee__step_t *
last_step (path_t *path) {
  return &path->way.steps[path->way.depth - 1];
}

/* Step down to child `i` of the last node. */
static int
push_child (path_t *path, uint32_t i) {
  bee__step_t *from = last_step(path);
  bee__node_t *child;
  from->position = i;
  int err = bee__batch_child(path->batch, from->node, i, &child);
  return err < 0 ? err : push_step(path, child);
}

static int
find (path_t *path, ab_slice_t key, bool *found) {
  bee__node_t *root;
  int err = bee__batch_root(path->batch, &root);
  if (err < 0 || (err = push_step(path, root)) < 0) return err;
  for (;;) {
    bee__step_t *step = last_step(path);
    err = bee__node_search(path->batch->family, step->node, key, &path->way, &step->position, found);
    if (err < 0 || *found || step->node->child_count == 0) return err;
    if ((err = push_child(path, step->position)) < 0) return err;
  }
}

/* Nobody will ask for a node again that this batch replaces, unless another handle reads the version it
 * belongs to: that can be one that was committed, as what is staged and replaced was never shown to anyone.
 */
static bool
can_take (const bee_batch_t *batch, const bee__node_t *node) {
  if (node->item.pins > 0 || node->place.core != batch->local) return false;
  bool is_alone = batch->family->refs <= 2 && batch->family->cache->cores[batch->local]->opens == 1;
  return is_alone || node->place.seq >= hypercore_floor(batch->family->cores[batch->local]);
}

static int
take (bee_batch_t *batch, bee__node_t *node) {
  bee__page_t *page = node->page;
  bee__cache_take_node(batch->family->cache, node);
  int err = bee__node_start_kids(node);
  if (err < 0) bee__cache_insert_node(batch->family->cache, page, node->place.at, node);
  return err;
}

/* Put a private node in the place of a child (or of the root: no parent), the cache's own or a copy. */
static int
make_private (bee_batch_t *batch, bee__node_t *parent, uint32_t i, bee__node_t **node) {
  if (is_private(*node)) return 0;
  bee__node_t *mine = *node;
  int err =
    can_take(batch, mine) ? take(batch, mine) : bee__node_clone(batch->family, mine, batch->local, &mine);
  if (err < 0) return err;
  bee__batch_own(batch, mine);
  if (parent == NULL) batch->root = mine;
  else parent->kids[i] = mine;
  *node = mine;
  return 0;
}

static int
make_path_private (path_t *path) {
  for (uint32_t i = 0; i < path->way.depth; i++) {
    bee__step_t *parent = i == 0 ? NULL : &path->way.steps[i - 1];
    int err = make_private(
      path->batch,
      parent == NULL ? NULL : parent->node,
      parent == NULL ? 0 : parent->position,
      &path->way.steps[i].node
    );
    if (err < 0) return err;
  }
  return 0;
}

static void
mark_dirty (path_t *path) {
  for (uint32_t i = 0; i < path->way.depth; i++) path->way.steps[i].node->is_dirty = true;
}

static bee__fresh_t *
make_fresh (bee_batch_t *batch, ab_slice_t key, ab_slice_t value, bool has_value) {
  bee__fresh_t *fresh = ab_arena_zalloc(&batch->arena, 1, sizeof(*fresh));
  if (fresh == NULL) return NULL;
  if (ab_arena_copy(&batch->arena, key, &fresh->key) < 0) return NULL;
  if (has_value && ab_arena_copy(&batch->arena, value, &fresh->value) < 0) return NULL;
  fresh->has_value = has_value;
  batch->fresh_count++;
  return fresh;
}

static bee__ref_t
new_place (const bee_batch_t *batch) {
  return (bee__ref_t){.core = batch->current};
}

/* ---- put ---- */

/* A new node for each split that inserting one key into the last node of the path makes, right parts from the
 * leaf up, and a new root if the old one splits. */
typedef struct {
  uint32_t count;
  bee__node_t *nodes[BEE__DEPTH_MAX + 1];
} spares_t;

static void
destroy_spares (spares_t *spares) {
  for (uint32_t i = 0; i < spares->count; i++) bee__node_destroy(spares->nodes[i]);
  spares->count = 0;
}

static int
add_spare (spares_t *spares, uint32_t t, size_t keys, size_t children) {
  bee__node_t *node = bee__node_create(t, 0, 0);
  if (node == NULL) return AB_ENOMEM;
  spares->nodes[spares->count++] = node;
  return bee__node_reserve(node, keys, children, keys, children);
}

static int
prepare_splits (path_t *path, spares_t *spares) {
  for (uint32_t level = path->way.depth; level-- > 0;) {
    bee__node_t *node = path->way.steps[level].node;
    bool is_leaf = node->child_count == 0;
    size_t keys = node->key_count + 1u;
    size_t half = keys > 2u * node->t - 1 ? keys / 2 : 0;
    size_t popped = half > 0 ? half + 1 : 0;
    int err = bee__node_reserve(node, 1, is_leaf ? 0 : 1, 1 + popped, is_leaf ? 0 : 1 + popped);
    if (err < 0 || half == 0) return err;
    if ((err = add_spare(spares, node->t, half, is_leaf ? 0 : popped)) < 0) return err;
    if (level == 0 && (err = add_spare(spares, node->t, 1, 2)) < 0) return err;
  }
  return 0;
}

/* Move the upper half of `node` to `right`. The median, removed too, comes back. */
static bee__key_t
split (bee__node_t *node, bee__node_t *right) {
  uint32_t half = node->key_count / 2u;
  uint32_t keep = node->key_count - half;
  uint32_t children = node->child_count;

  for (uint32_t i = keep; i < keep + half; i++) {
    bee__key_t key = bee__key_at(node, i);
    bee__keys_insert(right, i - keep, &key);
  }
  for (uint32_t i = 0; i < half; i++) bee__keys_remove(node, node->key_count - 1u);
  bee__key_t median = bee__key_at(node, node->key_count - 1u);
  bee__keys_remove(node, node->key_count - 1u);
  if (children > 0) {
    uint32_t first = children - half - 1;
    for (uint32_t i = first; i < children; i++) {
      bee__children_insert(right, i - first, node->children[i], node->kids[i]);
    }
    for (uint32_t i = first; i < children; i++) bee__children_remove(node, node->child_count - 1u);
  }
  return median;
}

static void
split_path (path_t *path, spares_t *spares) {
  bee_batch_t *batch = path->batch;
  uint32_t next = 0;

  for (uint32_t level = path->way.depth; level-- > 0;) {
    bee__node_t *node = path->way.steps[level].node;
    if (node->key_count <= 2 * node->t - 1) break;
    bee__node_t *right = spares->nodes[next++];
    right->place = new_place(batch);
    right->is_dirty = true;
    bee__key_t median = split(node, right);
    bee__batch_own(batch, right);
    if (level > 0) {
      bee__step_t *parent = &path->way.steps[level - 1];
      bee__keys_insert(parent->node, parent->position, &median);
      bee__children_insert(parent->node, parent->position + 1, right->place, right);
      continue;
    }
    bee__node_t *root = spares->nodes[next++];
    root->place = new_place(batch);
    root->is_dirty = true;
    bee__keys_insert(root, 0, &median);
    bee__children_insert(root, 0, node->place, node);
    bee__children_insert(root, 1, right->place, right);
    bee__batch_own(batch, root);
    batch->root = root;
    batch->root_place = root->place;
  }
  assert(next == spares->count);
}

static int
same_value (bee_batch_t *batch, const bee__ref_t *ref, ab_slice_t value, bool has_value, bool *same) {
  if (ref->core == BEE__FRESH) {
    const bee__fresh_t *fresh = bee__fresh_of(ref->seq);
    *same = fresh->has_value == has_value && ab_slice_equal(fresh->value, value);
    return 0;
  }
  bee_entry_t entry;
  int err = bee__family_entry(batch->family, ref, &batch->held, &entry);
  if (err < 0) return err;
  *same = entry.has_value == has_value && ab_slice_equal(entry.value, value);
  return 0;
}

int
bee__batch_put (bee_batch_t *batch, ab_slice_t key, ab_slice_t value, bool has_value, bool *applied) {
  path_t path;
  spares_t spares;
  bool found;
  bool same;
  int err;

  path.batch = batch;
  path.way.depth = 0;
  spares.count = 0;
  *applied = false;
  if ((err = find(&path, key, &found)) < 0) return err;
  bee__step_t *last = last_step(&path);
  if (found) {
    if ((err = same_value(batch, &last->node->keys[last->position], value, has_value, &same)) < 0) return err;
    if (same) return 0;
  }
  if ((err = make_path_private(&path)) < 0) return err;
  err = found ? bee__node_reserve(last->node, 0, 0, 1, 0) : prepare_splits(&path, &spares);
  if (err < 0) goto fail;
  bee__fresh_t *fresh = make_fresh(batch, key, value, has_value);
  err = AB_ENOMEM;
  if (fresh == NULL) goto fail;

  bee__key_t moving = bee__key_fresh(fresh);
  if (found) bee__keys_replace(last->node, last->position, &moving);
  else bee__keys_insert(last->node, last->position, &moving);
  mark_dirty(&path);
  if (!found) split_path(&path, &spares);
  *applied = true;
  return 0;

fail:
  destroy_spares(&spares);
  return err;
}

/* ---- delete ---- */

/* A node may take part in a delete as the one with the key, as the parent of a repair and as the one
 * repaired: this is more than it is edited, moved keys and children aside. */
#define EDITS_SLACK 4

typedef enum { DONE = 0, BORROW_LEFT, BORROW_RIGHT, MERGE_LEFT, MERGE_RIGHT } repair_t;

/* What to do about the node at each level of the path once it has too few keys. */
typedef struct {
  repair_t repairs[BEE__DEPTH_MAX];
  bee__node_t *siblings[BEE__DEPTH_MAX];
} plan_t;

/* Go on to the leaf with the key right before or right after the one to delete, whichever leaf has more. */
static int
push_neighbour (path_t *path) {
  path_t before = *path;
  path_t after = *path;
  uint32_t i = last_step(path)->position;
  int err;

  for (err = push_child(&before, i); err == 0 && last_step(&before)->node->child_count > 0;) {
    err = push_child(&before, last_step(&before)->node->child_count - 1u);
  }
  if (err < 0) return err;
  for (err = push_child(&after, i + 1); err == 0 && last_step(&after)->node->child_count > 0;) {
    err = push_child(&after, 0);
  }
  if (err < 0) return err;
  const bee__node_t *a = last_step(&before)->node;
  const bee__node_t *b = last_step(&after)->node;
  if (a->key_count < b->key_count) {
    *path = after;
    last_step(path)->position = 0;
  } else {
    *path = before;
    last_step(path)->position = a->key_count - 1u;
  }
  return 0;
}

static int
corrupt_at (path_t *path, const bee__node_t *node, const char *what) {
  return bee__family_corrupt(path->batch->family, node->place.core, node->place.seq, what);
}

static int
plan_level (path_t *path, uint32_t level, size_t keys, plan_t *plan) {
  bee__node_t *node = path->way.steps[level].node;
  const bee__step_t *parent = &path->way.steps[level - 1];
  bee__node_t *left = NULL;
  bee__node_t *right = NULL;
  bee__node_t **sibling = &plan->siblings[level];
  size_t least = node->t - 1;
  int err;

  if (keys >= least) return 0;
  if (parent->position > 0) {
    err = bee__batch_child(path->batch, parent->node, parent->position - 1, &left);
    if (err < 0) return err;
  }
  if (left != NULL && left->key_count > least) {
    plan->repairs[level] = BORROW_LEFT;
    *sibling = left;
  } else {
    if (parent->position + 1 < parent->node->child_count) {
      err = bee__batch_child(path->batch, parent->node, parent->position + 1, &right);
      if (err < 0) return err;
    }
    if (left == NULL && right == NULL) return corrupt_at(path, node, "has a node without siblings");
    if (right != NULL && right->key_count > least) plan->repairs[level] = BORROW_RIGHT;
    else plan->repairs[level] = left != NULL ? MERGE_LEFT : MERGE_RIGHT;
    *sibling = plan->repairs[level] == MERGE_LEFT ? left : right;
  }
  if (((*sibling)->child_count == 0) == (node->child_count == 0)) return 0;
  return corrupt_at(path, node, "has leaves at several depths");
}

static int
plan_repairs (path_t *path, plan_t *plan) {
  size_t keys = last_step(path)->node->key_count - 1u;
  for (uint32_t level = 0; level < path->way.depth; level++) plan->repairs[level] = DONE;
  for (uint32_t level = path->way.depth - 1; level > 0; level--) {
    int err = plan_level(path, level, keys, plan);
    if (err < 0) return err;
    if (plan->repairs[level] != MERGE_LEFT && plan->repairs[level] != MERGE_RIGHT) return 0;
    keys = path->way.steps[level - 1].node->key_count - 1u;
  }
  return 0;
}

static int
prepare_repair (path_t *path, uint32_t level, plan_t *plan) {
  bee__step_t *parent = &path->way.steps[level - 1];
  bee__node_t *node = path->way.steps[level].node;
  bee__node_t **sibling = &plan->siblings[level];
  repair_t repair = plan->repairs[level];
  bool is_left = repair == BORROW_LEFT || repair == MERGE_LEFT;
  int err;

  /* What is merged away is only read, but a copy of it keeps the rest simple. */
  err =
    make_private(path->batch, parent->node, is_left ? parent->position - 1 : parent->position + 1, sibling);
  if (err < 0) return err;
  if ((err = bee__node_reserve(parent->node, 0, 0, EDITS_SLACK, EDITS_SLACK)) < 0) return err;
  if (repair == BORROW_LEFT || repair == BORROW_RIGHT) {
    if ((err = bee__node_reserve(*sibling, 0, 0, EDITS_SLACK, EDITS_SLACK)) < 0) return err;
    return bee__node_reserve(node, 1, node->child_count > 0 ? 1 : 0, EDITS_SLACK, EDITS_SLACK);
  }
  bee__node_t *into = is_left ? *sibling : node;
  const bee__node_t *from = is_left ? node : *sibling;
  size_t keys = from->key_count + 1u;
  size_t children = from->child_count;
  return bee__node_reserve(into, keys, children, keys + EDITS_SLACK, children + EDITS_SLACK);
}

static int
prepare_repairs (path_t *path, plan_t *plan) {
  for (uint32_t level = path->way.depth - 1; level > 0 && plan->repairs[level] != DONE; level--) {
    int err = prepare_repair(path, level, plan);
    if (err < 0) return err;
  }
  return 0;
}

static void
borrow_left (bee__node_t *node, bee__node_t *left, bee__node_t *parent, uint32_t i) {
  bee__key_t key = bee__key_at(parent, i - 1);
  left->is_dirty = true;
  bee__keys_insert(node, 0, &key);
  if (left->child_count > 0) {
    uint32_t last = left->child_count - 1u;
    bee__children_insert(node, 0, left->children[last], left->kids[last]);
    bee__children_remove(left, last);
  }
  key = bee__key_at(left, left->key_count - 1u);
  bee__keys_remove(left, left->key_count - 1u);
  bee__keys_replace(parent, i - 1, &key);
}

static void
borrow_right (bee__node_t *node, bee__node_t *right, bee__node_t *parent, uint32_t i) {
  bee__key_t key = bee__key_at(parent, i);
  right->is_dirty = true;
  bee__keys_insert(node, node->key_count, &key);
  if (right->child_count > 0) {
    bee__children_insert(node, node->child_count, right->children[0], right->kids[0]);
    bee__children_remove(right, 0);
  }
  key = bee__key_at(right, 0);
  bee__keys_remove(right, 0);
  bee__keys_replace(parent, i, &key);
}

/* Append key `i` of the parent and all of `from`, which is child i + 1, to `into`. */
static void
merge (bee_batch_t *batch, bee__node_t *into, bee__node_t *from, bee__node_t *parent, uint32_t i) {
  bee__key_t key = bee__key_at(parent, i);
  into->is_dirty = true;
  bee__keys_insert(into, into->key_count, &key);
  for (uint32_t j = 0; j < from->key_count; j++) {
    key = bee__key_at(from, j);
    bee__keys_insert(into, into->key_count, &key);
  }
  for (uint32_t j = 0; j < from->child_count; j++) {
    bee__children_insert(into, into->child_count, from->children[j], from->kids[j]);
  }
  parent->is_dirty = true;
  bee__keys_remove(parent, i);
  bee__children_remove(parent, i + 1);
  bee__batch_disown(batch, from);
  bee__node_destroy(from);
}

static void
rebalance (path_t *path, const plan_t *plan) {
  bee_batch_t *batch = path->batch;
  for (uint32_t level = path->way.depth - 1; level > 0; level--) {
    bee__node_t *node = path->way.steps[level].node;
    bee__node_t *parent = path->way.steps[level - 1].node;
    uint32_t i = path->way.steps[level - 1].position;
    switch (plan->repairs[level]) {
    case DONE:
      return;
    case BORROW_LEFT:
      borrow_left(node, plan->siblings[level], parent, i);
      return;
    case BORROW_RIGHT:
      borrow_right(node, plan->siblings[level], parent, i);
      return;
    case MERGE_LEFT:
      merge(batch, plan->siblings[level], node, parent, i - 1);
      break;
    case MERGE_RIGHT:
      merge(batch, node, plan->siblings[level], parent, i);
      break;
    }
  }
  bee__node_t *root = batch->root;
  if (root->key_count > 0 || root->child_count == 0) return;
  batch->root = root->kids[0];
  batch->root_place = root->children[0];
  bee__batch_disown(batch, root);
  bee__node_destroy(root);
}

int
bee__batch_del (bee_batch_t *batch, ab_slice_t key, bool *applied) {
  path_t path;
  plan_t plan;
  bool found;
  int err;

  path.batch = batch;
  path.way.depth = 0;
  *applied = false;
  if ((err = find(&path, key, &found)) < 0 || !found) return err;
  uint32_t hit_level = path.way.depth - 1;
  uint32_t hit = path.way.steps[hit_level].position;
  bool is_inner = path.way.steps[hit_level].node->child_count > 0;
  if (is_inner && (err = push_neighbour(&path)) < 0) return err;
  bee__step_t *last = last_step(&path);
  if (last->node->key_count == 0) return corrupt_at(&path, last->node, "has an empty leaf");
  if ((err = plan_repairs(&path, &plan)) < 0) return err;
  if ((err = make_path_private(&path)) < 0) return err;
  bee__node_t *node = path.way.steps[hit_level].node;
  if ((err = bee__node_reserve(last->node, 0, 0, EDITS_SLACK, 0)) < 0) return err;
  if ((err = bee__node_reserve(node, 0, 0, EDITS_SLACK, 0)) < 0) return err;
  if ((err = prepare_repairs(&path, &plan)) < 0) return err;

  if (is_inner) {
    bee__key_t neighbour = bee__key_at(last->node, last->position);
    bee__keys_remove(last->node, last->position);
    bee__keys_replace(node, hit, &neighbour);
  } else {
    bee__keys_remove(node, hit);
  }
  mark_dirty(&path);
  rebalance(&path, &plan);
  *applied = true;
  return 0;
}

/* settled.c: where one node stands, and who has acknowledged it.
 *
 *   The merged order is read backwards. Every indexer has a clock: of each writer, the length that lies in
 * the causal past of the indexer's own nodes. A node stands behind all that it is written on top of, so what
 * the clocks say of a node is complete when the walk comes to it:
 *
 *     order   … a4   b7   i2   c3      i2 links b7, so i's clock reads b: 7; b7 links a4, so it reads a: 4
 *             ◄──────────────────      at a4: i has acknowledged it, c has not
 */
#include "autobee/engine.h"
#include "autobee/grow.h"
#include "autobee/writer.h"

#include <stdlib.h>

#define NO_INDEXER SIZE_MAX

/* One writer in the clocks of all indexers. */
typedef struct {
  size_t indexer;     /* its number among them, or NO_INDEXER */
  uint64_t lengths[]; /* by indexer */
} row_t;

typedef struct {
  const ab_head_t *node;
  uint64_t applied; /* nodes of its writer */
  ab_key_t *indexers;
  size_t count;
  size_t capacity;
  ab_arena_t arena;
  keymap_t rows; /* writer → row_t */
  row_t *target;
} clocks_t;

static int
take_writer (void *data, const ab_key_t *key, const autobee_writer_t *writer) {
  clocks_t *clocks = data;
  if (ab_key_equal(key, &clocks->node->key)) clocks->applied = writer->length;
  if (!writer->is_indexer || writer->is_removed) return 0;
  ab_key_t *indexers = grown(clocks->indexers, &clocks->capacity, clocks->count + 1, sizeof(*indexers));
  if (indexers == NULL) return AB_ENOMEM;
  clocks->indexers = indexers;
  indexers[clocks->count++] = *key;
  return 0;
}

static int
row_of (clocks_t *clocks, const ab_key_t *writer, row_t **out) {
  if ((*out = autobee__keymap_get(&clocks->rows, writer)) != NULL) return 0;
  size_t size = sizeof(row_t) + clocks->count * sizeof(uint64_t);
  row_t *row = ab_arena_alloc(&clocks->arena, 1, size);
  if (row == NULL) return AB_ENOMEM;
  memset(row, 0, size);
  row->indexer = NO_INDEXER;
  *out = row;
  return autobee__keymap_put(&clocks->rows, writer, row);
}

static int
begin (clocks_t *clocks) {
  row_t *row;
  int err = row_of(clocks, &clocks->node->key, &clocks->target);
  for (size_t i = 0; i < clocks->count && err == 0; i++) {
    if ((err = row_of(clocks, &clocks->indexers[i], &row)) == 0) row->indexer = i;
  }
  return err;
}

static size_t
acknowledged (const clocks_t *clocks) {
  size_t count = 0;
  for (size_t i = 0; i < clocks->count; i++) count += clocks->target->lengths[i] >= clocks->node->length;
  return count;
}

static void
raise_to (uint64_t *at, uint64_t length) {
  if (*at < length) *at = length;
}

#define ENOUGH 1

static int
pass_node (void *data, const autobee_log_entry_t *entry) {
  clocks_t *clocks = data;
  row_t *row, *linked;
  int err = row_of(clocks, &entry->node.key, &row);
  if (err < 0) return err;
  if (row->indexer != NO_INDEXER) raise_to(&row->lengths[row->indexer], entry->node.length);
  if (acknowledged(clocks) == clocks->count) return ENOUGH;
  if (row == clocks->target && entry->node.length <= clocks->node->length) return ENOUGH;
  if (!entry->has_block) return AB_EREMOTE;
  for (size_t l = 0; l < entry->link_count; l++) {
    if ((err = row_of(clocks, &entry->links[l].key, &linked)) < 0) return err;
    for (size_t i = 0; i < clocks->count; i++) {
      if (row->lengths[i] >= entry->node.length) raise_to(&linked->lengths[i], entry->links[l].length);
    }
  }
  return 0;
}

/* A node that is not applied: is it in a log? */
static int
find_unapplied (autobee_t *db, const ab_head_t *node, autobee_node_state_t *state) {
  bool is_local = db->local != NULL && ab_key_equal(&node->key, &db->local->key);
  writer_t *writer = is_local ? db->local : autobee__writer_find(db, &node->key);
  if (writer == NULL) return AB_ENOTFOUND;
  *state = AUTOBEE_COMMITTED;
  if (node->length <= hypercore_committed_length(writer->core)) return 0;
  *state = AUTOBEE_STAGED;
  bool is_staged = is_local && node->length <= hypercore_length(writer->core) + db->queue_nodes;
  return is_staged ? 0 : AB_ENOTFOUND;
}

int
autobee_settled (autobee_t *db, const ab_head_t *node, autobee_settled_t *out) {
  autobee_settled_t settled = {.state = AUTOBEE_APPLIED};
  clocks_t clocks = {.node = node, .rows.seed = db->seed};
  int err = autobee_writers(db, take_writer, &clocks);
  if (err == 0 && node->length == 0) err = AB_ENOTFOUND;
  if (err < 0) goto done;
  settled.indexers = clocks.count;
  if (node->length > clocks.applied) {
    err = find_unapplied(db, node, &settled.state);
  } else if ((err = begin(&clocks)) == 0 && (err = autobee_log(db, pass_node, &clocks)) >= 0) {
    err = 0;
    settled.acknowledged = acknowledged(&clocks);
    settled.is_settled = settled.acknowledged > clocks.count / 2;
  }
  if (err == 0) *out = settled;

done:
  autobee__keymap_destroy(&clocks.rows);
  ab_arena_destroy(&clocks.arena);
  free(clocks.indexers);
  return err;
}

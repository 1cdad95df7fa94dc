/* tail.c: what was written to a core and is not in the store's file yet. */
#include "hypercore/tail.h"

#include <assert.h>
#include <stdlib.h>

/* Entries whose memory a tail keeps over a commit: the usual commit is small. */
#define TAIL_KEEP 4096
#define RUN_FIRST 16

/* The map key and the index of what it holds are one field. */
_Static_assert(offsetof(ab_node_t, index) == 0, "a node is the entry of a map");
_Static_assert(offsetof(ab__staged_block_t, index) == 0, "a staged block is the entry of a map");

void
ab__tail_init (ab__tail_t *tail, uint64_t seed) {
  *tail = (ab__tail_t){.cut = AB__NO_CUT};
  ab__map_init(&tail->blocks, sizeof(ab__staged_block_t), seed);
  ab__map_init(&tail->nodes, sizeof(ab_node_t), seed);
  ab__map_init(&tail->pages, sizeof(ab__staged_page_t), seed);
}

static void
destroy_run (ab__run_t *run) {
  free(run->blocks);
  free(run->nodes);
  *run = (ab__run_t){0};
}

static void
destroy_user_data (ab__tail_t *tail) {
  for (size_t i = 0; i < tail->user_data_count; i++) {
    free(tail->user_data[i].name);
    ab_buf_destroy(&tail->user_data[i].value);
  }
  free(tail->user_data);
  tail->user_data = NULL;
  tail->user_data_count = tail->user_data_capacity = 0;
}

static void
destroy_cleared (ab__tail_t *tail) {
  free(tail->cleared);
  tail->cleared = NULL;
  tail->cleared_count = tail->cleared_capacity = 0;
}

void
ab__tail_destroy (ab__tail_t *tail) {
  destroy_run(&tail->run);
  ab__map_destroy(&tail->blocks);
  ab__map_destroy(&tail->nodes);
  ab__map_destroy(&tail->pages);
  ab__bump_destroy(&tail->bytes);
  destroy_cleared(tail);
  destroy_user_data(tail);
  ab_buf_destroy(&tail->head);
  ab_buf_destroy(&tail->record);
}

void
ab__tail_reset (ab__tail_t *tail) {
  if (tail->run.capacity > TAIL_KEEP) destroy_run(&tail->run);
  tail->run.count = tail->run.node_count = 0;
  ab__map_reset(&tail->blocks, TAIL_KEEP);
  ab__map_reset(&tail->nodes, TAIL_KEEP);
  ab__map_reset(&tail->pages, 0);
  ab__bump_reset(&tail->bytes);
  destroy_cleared(tail);
  destroy_user_data(tail);
  ab_buf_reset(&tail->head);
  ab_buf_reset(&tail->record);
  tail->cut = AB__NO_CUT;
  tail->head_changed = tail->content_changed = tail->record_changed = false;
  tail->changed_ms = 0;
  tail->staged = 0;
  tail->is_mixed = false;
}

bool
ab__tail_is_blank (const ab__tail_t *tail) {
  return tail->run.count == 0 && tail->blocks.count == 0 && tail->nodes.count == 0 &&
         tail->cut == AB__NO_CUT && tail->cleared_count == 0;
}

bool
ab__tail_is_empty (const ab__tail_t *tail) {
  return ab__tail_is_blank(tail) && tail->user_data_count == 0 && !tail->head_changed &&
         !tail->record_changed;
}

uint8_t *
ab__tail_alloc (ab__tail_t *tail, size_t len) {
  return ab__bump_alloc(&tail->bytes, len);
}

void
ab__tail_free (ab__tail_t *tail, const uint8_t *first) {
  ab__bump_rewind(&tail->bytes, first);
}

/* ---- the run ---- */

/* Nodes that lie within the first `blocks` blocks of any core. */
static uint64_t
nodes_within (uint64_t blocks) {
  return 2 * blocks - (uint64_t) __builtin_popcountll(blocks);
}

static bool
is_in_run (const ab__run_t *run, uint64_t index) {
  return index >= run->first && index - run->first < run->count;
}

bool
ab__tail_can_append (const ab__tail_t *tail, uint64_t index) {
  return tail->run.count == 0 || index == tail->run.first + tail->run.count;
}

static int
grow (void **list, size_t *capacity, size_t needed, size_t size) {
  if (needed <= *capacity) return 0;
  size_t larger = *capacity == 0 ? RUN_FIRST : *capacity;
  while (larger < needed) {
    if (larger > SIZE_MAX / 2 / size) return AB_ENOMEM;
    larger *= 2;
  }
  void *grown = realloc(*list, larger * size);
  if (grown == NULL) return AB_ENOMEM;
  *list = grown;
  *capacity = larger;
  return 0;
}

int
ab__tail_reserve_run (ab__tail_t *tail, uint64_t index, size_t count) {
  assert(ab__tail_can_append(tail, index));
  ab__run_t *run = &tail->run;
  uint64_t nodes = nodes_within(index + count) - nodes_within(index);
  if (nodes > SIZE_MAX / 2 / sizeof(*run->nodes) || count > SIZE_MAX / 2 - run->count) return AB_ENOMEM;
  void *blocks = run->blocks, *node_list = run->nodes;
  int err = grow(&blocks, &run->capacity, run->count + count, sizeof(*run->blocks));
  run->blocks = blocks;
  if (err < 0) return err;
  err = grow(&node_list, &run->node_capacity, run->node_count + (size_t) nodes, sizeof(*run->nodes));
  run->nodes = node_list;
  return err;
}

void
ab__tail_append (
  ab__tail_t *tail, uint64_t index, ab_slice_t bytes, const ab_node_t *nodes, size_t node_count
) {
  ab__run_t *run = &tail->run;
  assert(ab__tail_can_append(tail, index) && bytes.data != NULL);
  assert(run->count < run->capacity && run->node_count + node_count <= run->node_capacity);
  assert(node_count == nodes_within(index + 1) - nodes_within(index));
  if (run->count == 0) run->first = index;
  run->blocks[run->count++] = bytes;
  memcpy(run->nodes + run->node_count, nodes, node_count * sizeof(*nodes));
  run->node_count += node_count;
  tail->staged += sizeof(bytes) + bytes.len + node_count * sizeof(*nodes);
}

/* ---- the rest ---- */

int
ab__tail_reserve (ab__tail_t *tail, size_t blocks, size_t nodes) {
  if (blocks > 0 && ab__map_reserve(&tail->blocks, blocks) < 0) return AB_ENOMEM;
  return nodes > 0 ? ab__map_reserve(&tail->nodes, nodes) : 0;
}

static uint64_t
node_end (const ab_node_t *node) {
  return ab_flat_rspan(node->index) / 2 + 1;
}

void
ab__tail_put_block (ab__tail_t *tail, uint64_t index, ab_slice_t bytes) {
  tail->is_mixed = true;
  tail->staged += bytes.len;
  if (is_in_run(&tail->run, index)) {
    ab_slice_t *block = &tail->run.blocks[index - tail->run.first];
    tail->staged -= block->len;
    *block = bytes;
    return;
  }
  bool is_new;
  ab__staged_block_t *block = ab__map_put(&tail->blocks, index, &is_new);
  if (is_new) tail->staged += sizeof(*block);
  else tail->staged -= block->bytes.len;
  block->bytes = bytes;
}

/* The place of a node that a block of the run completed, or NULL. */
static ab_node_t *
run_node (const ab__run_t *run, uint64_t index) {
  uint64_t block = ab_flat_rspan(index) / 2;
  if (!is_in_run(run, block)) return NULL;
  return &run->nodes[nodes_within(block) - nodes_within(run->first) + ab_flat_depth(index)];
}

void
ab__tail_put_node (ab__tail_t *tail, const ab_node_t *node) {
  ab_node_t *entry = run_node(&tail->run, node->index);
  if (entry == NULL) {
    bool is_new;
    entry = ab__map_put(&tail->nodes, node->index, &is_new);
    if (is_new) tail->staged += sizeof(*node);
  }
  *entry = *node;
}

bool
ab__tail_block (const ab__tail_t *tail, uint64_t index, ab_slice_t *bytes) {
  if (is_in_run(&tail->run, index)) {
    *bytes = tail->run.blocks[index - tail->run.first];
    return bytes->data != NULL;
  }
  const ab__staged_block_t *block = ab__map_find(&tail->blocks, index);
  if (block != NULL) *bytes = block->bytes;
  return block != NULL;
}

int
ab__tail_node (const ab__tail_t *tail, uint64_t index, ab_node_t *out) {
  const ab_node_t *node = run_node(&tail->run, index);
  if (node == NULL) node = ab__map_find(&tail->nodes, index);
  if (node != NULL) {
    *out = *node;
    return 0;
  }
  return tail->cut != AB__NO_CUT && ab_flat_rspan(index) / 2 >= tail->cut ? AB_ENOTFOUND : AB_EREMOTE;
}

/* ---- dropping ---- */

static bool
block_reaches (const void *entry, const void *length) {
  return ((const ab__staged_block_t *) entry)->index >= *(const uint64_t *) length;
}

static bool
node_reaches (const void *entry, const void *length) {
  return node_end(entry) > *(const uint64_t *) length;
}

static void
drop_run (ab__tail_t *tail, uint64_t length) {
  ab__run_t *run = &tail->run;
  if (run->count == 0 || length >= run->first + run->count) return;
  size_t kept = length > run->first ? (size_t) (length - run->first) : 0;
  const uint8_t *first = NULL;
  for (size_t i = run->count; i > kept; i--) {
    tail->staged -= sizeof(*run->blocks) + run->blocks[i - 1].len;
    if (run->blocks[i - 1].data != NULL) first = run->blocks[i - 1].data;
  }
  size_t nodes = (size_t) (nodes_within(run->first + kept) - nodes_within(run->first));
  tail->staged -= (run->node_count - nodes) * sizeof(*run->nodes);
  run->count = kept;
  run->node_count = nodes;
  if (first != NULL && !tail->is_mixed) ab__bump_rewind(&tail->bytes, first);
}

static size_t
rest_bytes (const ab__tail_t *tail) {
  size_t bytes = tail->blocks.count * sizeof(ab__staged_block_t) + tail->nodes.count * sizeof(ab_node_t);
  for (size_t i = 0; i < tail->blocks.count; i++) {
    bytes += ((const ab__staged_block_t *) ab__map_entry(&tail->blocks, i))->bytes.len;
  }
  return bytes;
}

/* Drop what the filters name of the maps. */
static void
filter_rest (
  ab__tail_t *tail,
  bool (*drop_block)(const void *entry, const void *data),
  bool (*drop_node)(const void *entry, const void *data),
  const void *data
) {
  tail->staged -= rest_bytes(tail);
  ab__map_filter(&tail->blocks, drop_block, data);
  if (drop_node != NULL) ab__map_filter(&tail->nodes, drop_node, data);
  tail->staged += rest_bytes(tail);
}

void
ab__tail_drop (ab__tail_t *tail, uint64_t length) {
  drop_run(tail, length);
  if (tail->blocks.count > 0 || tail->nodes.count > 0)
    filter_rest(tail, block_reaches, node_reaches, &length);
  if (tail->run.count == 0 && tail->blocks.count == 0) {
    ab__bump_reset(&tail->bytes);
    tail->is_mixed = false;
  }
}

/* ---- clearing ---- */

static bool
block_in_range (const void *entry, const void *data) {
  const ab__range_t *range = data;
  uint64_t index = ((const ab__staged_block_t *) entry)->index;
  return index >= range->start && index < range->end;
}

int
ab__tail_reserve_clear (ab__tail_t *tail) {
  if (tail->cleared_count < tail->cleared_capacity) return 0;
  size_t capacity = tail->cleared_capacity == 0 ? 4 : tail->cleared_capacity * 2;
  ab__range_t *cleared = realloc(tail->cleared, capacity * sizeof(*cleared));
  if (cleared == NULL) return AB_ENOMEM;
  tail->cleared = cleared;
  tail->cleared_capacity = capacity;
  return 0;
}

/* Their memory stays until the tail ends. */
static void
clear_staged (ab__tail_t *tail, ab__range_t range) {
  ab__run_t *run = &tail->run;
  uint64_t start = range.start > run->first ? range.start : run->first;
  for (uint64_t index = start; index < range.end && is_in_run(run, index); index++) {
    ab_slice_t *block = &run->blocks[index - run->first];
    tail->staged -= block->len;
    *block = ab_slice(NULL, 0);
  }
  if (tail->blocks.count > 0) filter_rest(tail, block_in_range, NULL, &range);
}

void
ab__tail_clear (ab__tail_t *tail, uint64_t start, uint64_t end) {
  assert(start < end && tail->cleared_count < tail->cleared_capacity);
  ab__range_t range = {start, end};
  clear_staged(tail, range);

  /* Join with every range that touches this one, keep the rest in order. */
  size_t first = 0;
  while (first < tail->cleared_count && tail->cleared[first].end < start) first++;
  size_t last = first;
  while (last < tail->cleared_count && tail->cleared[last].start <= end) {
    if (tail->cleared[last].start < range.start) range.start = tail->cleared[last].start;
    if (tail->cleared[last].end > range.end) range.end = tail->cleared[last].end;
    last++;
  }
  memmove(
    tail->cleared + first + 1, tail->cleared + last, (tail->cleared_count - last) * sizeof(*tail->cleared)
  );
  tail->cleared[first] = range;
  tail->cleared_count = tail->cleared_count - (last - first) + 1;
}

/* ---- user data ---- */

static ab__staged_user_data_t *
find_user_data (const ab__tail_t *tail, const char *name) {
  for (size_t i = 0; i < tail->user_data_count; i++)
    if (strcmp(tail->user_data[i].name, name) == 0) return &tail->user_data[i];
  return NULL;
}

const ab__staged_user_data_t *
ab__tail_user_data (const ab__tail_t *tail, const char *name) {
  return find_user_data(tail, name);
}

static ab__staged_user_data_t *
add_user_data (ab__tail_t *tail, const char *name) {
  if (tail->user_data_count == tail->user_data_capacity) {
    size_t capacity = tail->user_data_capacity == 0 ? 4 : tail->user_data_capacity * 2;
    ab__staged_user_data_t *list = realloc(tail->user_data, capacity * sizeof(*list));
    if (list == NULL) return NULL;
    tail->user_data = list;
    tail->user_data_capacity = capacity;
  }
  char *copy = strdup(name);
  if (copy == NULL) return NULL;
  ab__staged_user_data_t *entry = &tail->user_data[tail->user_data_count++];
  *entry = (ab__staged_user_data_t){.name = copy};
  return entry;
}

int
ab__tail_set_user_data (ab__tail_t *tail, const char *name, ab_slice_t value) {
  ab_buf_t copy = {0};
  ab_buf_append(&copy, value);
  ab__staged_user_data_t *entry = find_user_data(tail, name);
  if (copy.err == 0 && entry == NULL) entry = add_user_data(tail, name);
  if (copy.err < 0 || entry == NULL) {
    ab_buf_destroy(&copy);
    return AB_ENOMEM;
  }
  tail->staged += copy.len - entry->value.len;
  ab_buf_destroy(&entry->value);
  entry->value = copy;
  entry->deleted = value.data == NULL;
  return 0;
}

#include "autobee/naive_order.h"

#include <assert.h>
#include <stdlib.h>

/* Own comparison: the one under test may be wrong. */
static bool
better (const order_entry_t *a, const order_entry_t *b) {
  if (a->weight > b->weight) return true;
  if (a->weight < b->weight) return false;
  if (a->timestamp_ms < b->timestamp_ms) return true;
  if (a->timestamp_ms > b->timestamp_ms) return false;
  int order = memcmp(a->writer.bytes, b->writer.bytes, 32);
  if (order != 0) return order < 0;
  return a->first < b->first;
}

/* Does `entry` name `other` directly? */
static bool
names (const order_entry_t *entry, const order_entry_t *other) {
  if (ab_key_equal(&entry->writer, &other->writer) && entry->first > other->first) return true;
  for (size_t i = 0; i < entry->link_count; i++) {
    const ab_head_t *link = &entry->links[i];
    if (ab_key_equal(&link->key, &other->writer) && link->length >= other->first) return true;
  }
  return false;
}

/* ---- 9.2 ---- */

typedef struct {
  const order_entry_t *entries;
  size_t count;
  bool *above; /* above[a * count + b]: b is an ancestor of a */
  bool *placed;
  size_t *order;
  size_t length;
} naive_t;

static void
mark_ancestors (naive_t *naive, size_t of, size_t from) {
  for (size_t i = 0; i < naive->count; i++) {
    if (i == from || !names(&naive->entries[from], &naive->entries[i])) continue;
    if (naive->above[of * naive->count + i]) continue;
    naive->above[of * naive->count + i] = true;
    mark_ancestors(naive, of, i);
  }
}

static void
place_behind_ancestors (naive_t *naive, size_t entry) {
  for (;;) {
    size_t best = naive->count;
    for (size_t i = 0; i < naive->count; i++) {
      if (naive->placed[i] || !naive->above[entry * naive->count + i]) continue;
      if (best == naive->count || better(&naive->entries[i], &naive->entries[best])) best = i;
    }
    if (best == naive->count) break;
    place_behind_ancestors(naive, best);
  }
  naive->placed[entry] = true;
  naive->order[naive->length++] = entry;
}

void
naive_order (const order_entry_t *entries, size_t count, size_t *order) {
  naive_t naive = {entries, count, calloc(count * count + 1, 1), calloc(count + 1, 1), order, 0};
  assert(naive.above != NULL && naive.placed != NULL);
  for (size_t i = 0; i < count; i++) mark_ancestors(&naive, i, i);
  while (naive.length < count) {
    size_t best = count;
    for (size_t i = 0; i < count; i++) {
      if (naive.placed[i]) continue;
      if (best == count || better(&entries[i], &entries[best])) best = i;
    }
    place_behind_ancestors(&naive, best);
  }
  free(naive.above);
  free(naive.placed);
}

/* ---- 9.3 ---- */

typedef struct {
  const order_entry_t **entries;
  size_t count;
} list_t;

typedef struct {
  const ab_head_t *heads[4096];
  size_t count;
} clock_set_t;

static bool
reaches (const clock_set_t *past, const order_entry_t *entry) {
  for (size_t i = 0; i < past->count; i++) {
    if (ab_key_equal(&past->heads[i]->key, &entry->writer) && past->heads[i]->length >= entry->first)
      return true;
  }
  return false;
}

static void
add_links (clock_set_t *past, const order_entry_t *entry) {
  for (size_t i = 0; i < entry->link_count; i++) {
    assert(past->count < 4096);
    past->heads[past->count++] = &entry->links[i];
  }
}

static void
place (list_t *list, const order_entry_t *node, const ab_head_t *backer) {
  const order_entry_t **before = calloc(list->count + 1, sizeof(*before));
  const order_entry_t **after = calloc(list->count + 1, sizeof(*after));
  clock_set_t *past = calloc(1, sizeof(*past));
  assert(before != NULL && after != NULL && past != NULL);
  size_t before_count = 0;
  size_t after_count = 0;

  ab_head_t self = {node->writer, node->first};
  past->heads[past->count++] = &self;
  if (backer != NULL) past->heads[past->count++] = backer;
  add_links(past, node);

  while (list->count > 0 && better(node, list->entries[list->count - 1])) {
    const order_entry_t *entry = list->entries[--list->count];
    if (reaches(past, entry)) {
      before[before_count++] = entry;
      add_links(past, entry);
    } else {
      after[after_count++] = entry;
    }
  }
  while (before_count > 0) place(list, before[--before_count], NULL);
  list->entries[list->count++] = node;
  while (after_count > 0) list->entries[list->count++] = after[--after_count];

  free(before);
  free(after);
  free(past);
}

void
naive_place (
  const order_entry_t *window, size_t count, const order_entry_t *node, const ab_head_t *backer, size_t *order
) {
  list_t list = {calloc(count + 1, sizeof(*list.entries)), count};
  assert(list.entries != NULL);
  for (size_t i = 0; i < count; i++) list.entries[i] = &window[i];
  place(&list, node, backer);
  assert(list.count == count + 1);
  for (size_t i = 0; i <= count; i++) {
    order[i] = list.entries[i] == node ? count : (size_t) (list.entries[i] - window);
  }
  free(list.entries);
}

bool
naive_is_causal (const order_entry_t *entries, const size_t *order, size_t count) {
  for (size_t i = 0; i < count; i++) {
    for (size_t j = i + 1; j < count; j++) {
      if (names(&entries[order[i]], &entries[order[j]])) return false;
    }
  }
  return true;
}

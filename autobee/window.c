#include "autobee/window.h"

#include <stdlib.h>

static int
reserve (window_t *window) {
  if (window->count < window->capacity) return 0;
  size_t capacity = window->capacity == 0 ? 16 : window->capacity * 2;
  window_entry_t *ring = malloc(capacity * sizeof(window_entry_t));
  if (ring == NULL) return AB_ENOMEM;
  for (size_t i = 0; i < window->count; i++) ring[i] = *window_at(window, i);
  free(window->ring);
  window->ring = ring;
  window->capacity = capacity;
  window->start = 0;
  return 0;
}

void
autobee__window_cut (window_t *window, size_t count) {
  while (window->count > count) {
    free(window_at(window, window->count - 1)->links);
    window->count--;
  }
}

void
autobee__window_destroy (window_t *window) {
  autobee__window_cut(window, 0);
  free(window->ring);
  window->ring = NULL;
  window->capacity = window->start = 0;
}

int
autobee__window_load (window_entry_t *entry, const batch_t *batch) {
  const node_t *first = batch_first(batch);
  size_t count = first->message.link_count;
  if (count > 0) {
    entry->links = malloc(count * sizeof(ab_head_t));
    if (entry->links == NULL) return AB_ENOMEM;
    memcpy(entry->links, first->message.links, count * sizeof(ab_head_t));
  }
  entry->link_count = count;
  entry->first = first->length;
  entry->is_loaded = true;
  return 0;
}

int
autobee__window_push (window_t *window, const window_entry_t *entry) {
  while (window->count >= WINDOW_MAX) {
    free(window_at(window, 0)->links);
    window->start = (window->start + 1) & (window->capacity - 1);
    window->count--;
  }
  int err = reserve(window);
  if (err < 0) return err;
  window->count++;
  *window_at(window, window->count - 1) = *entry;
  return 0;
}

int
autobee__window_prepend (window_t *window, const window_entry_t *entry) {
  int err = reserve(window);
  if (err < 0) return err;
  window->start = (window->start + window->capacity - 1) & (window->capacity - 1);
  window->count++;
  *window_at(window, 0) = *entry;
  return 0;
}

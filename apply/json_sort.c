/* json_sort.c: a stable merge sort. qsort is neither stable nor, in some C libraries, bounded by n log n. */
#include "apply/json_sort.h"

#include <stdlib.h>

static void
merge (const ab_json_t **from, size_t middle, size_t end, const ab_json_t **to, json_compare_fn compare) {
  size_t a = 0, b = middle;
  for (size_t i = 0; i < end; i++) {
    if (b == end || (a < middle && compare(from[a], from[b]) <= 0)) to[i] = from[a++];
    else to[i] = from[b++];
  }
}

int
json__sort (json_sort_t *sort, const ab_json_t *object, json_compare_fn compare) {
  const size_t count = object->count;
  sort->many = NULL;
  sort->names = sort->few;
  if (count > JSON_SORT_FEW) {
    sort->many = malloc(2 * count * sizeof(const ab_json_t *));
    if (sort->many == NULL) return AB_ENOMEM;
    sort->names = sort->many;
  }

  ab_json_iter_t iter = ab_json_iter(object);
  for (size_t i = 0; i < count; i++) {
    sort->names[i] = iter.next;
    iter.next += 1 + iter.next[1].span;
  }

  const ab_json_t **from = sort->names, **to = sort->names + count;
  for (size_t width = 1; width < count; width *= 2) {
    for (size_t at = 0; at < count; at += 2 * width) {
      size_t end = count - at < 2 * width ? count - at : 2 * width;
      merge(from + at, end < width ? end : width, end, to + at, compare);
    }
    const ab_json_t **swap = from;
    from = to;
    to = swap;
  }
  sort->names = from;
  return 0;
}

void
json__sort_destroy (json_sort_t *sort) {
  free(sort->many);
}

/* json_sort.h: the names of one object in an order. Private to apply/. */
#ifndef APPLY_JSON_SORT_H
#define APPLY_JSON_SORT_H

#include "apply/json.h"

#define JSON_SORT_FEW 8

typedef int (*json_compare_fn)(const ab_json_t *a, const ab_json_t *b);

typedef struct {
  const ab_json_t **names; /* sorted; points into `few` or `many` */
  const ab_json_t *few[2 * JSON_SORT_FEW];
  const ab_json_t **many;
} json_sort_t;

/** Sort the names of `object`; equal ones stay as they stand. n log n comparisons at most. Returns 0 or
 * AB_ENOMEM; release with json__sort_destroy either way. */
int
json__sort (json_sort_t *sort, const ab_json_t *object, json_compare_fn compare);

void
json__sort_destroy (json_sort_t *sort);

#endif

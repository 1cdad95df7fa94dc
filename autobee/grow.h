/* grow.h: arrays that double. Private to autobee/. */
#ifndef AUTOBEE_GROW_H
#define AUTOBEE_GROW_H

#include <stdlib.h>

/** Room for `count` (1 or more) items: the array, moved or not, or NULL when out of memory (then it is as it
 * was). */
static inline void *
grown (void *items, size_t *capacity, size_t count, size_t size) {
  if (count <= *capacity) return items;
  size_t larger = *capacity == 0 ? 8 : *capacity;
  while (larger < count) larger *= 2;
  void *moved = realloc(items, larger * size);
  if (moved != NULL) *capacity = larger;
  return moved;
}

#endif

/* map.c: entries keyed by a 64 bit integer. */
#include "hypercore/map.h"

#include <assert.h>
#include <stdlib.h>

#define MAP_FIRST 16
#define MAP_MAX ((size_t) 1 << 30)

static size_t
slot_of (const ab__map_t *map, uint64_t key) {
  uint64_t x = (key ^ map->seed) * 0x9e3779b97f4a7c15ull;
  x ^= x >> 32;
  x *= 0xd6e8feb86659fd93ull;
  return (size_t) (x >> 32) & (2 * map->capacity - 1);
}

void
ab__map_init (ab__map_t *map, size_t entry_size, uint64_t seed) {
  assert(entry_size >= sizeof(uint64_t) && entry_size % sizeof(uint64_t) == 0);
  *map = (ab__map_t){.entry_size = entry_size, .seed = seed};
}

void
ab__map_destroy (ab__map_t *map) {
  free(map->slots);
  free(map->entries);
  map->slots = NULL;
  map->entries = NULL;
  map->count = map->capacity = 0;
}

void
ab__map_reset (ab__map_t *map, size_t keep) {
  if (map->capacity > keep) {
    ab__map_destroy(map);
    return;
  }
  if (map->count > 0) memset(map->slots, 0, 2 * map->capacity * sizeof(*map->slots));
  map->count = 0;
}

static void
link_entry (ab__map_t *map, size_t position) {
  size_t mask = 2 * map->capacity - 1;
  size_t slot = slot_of(map, ab__map_key(map, position));
  while (map->slots[slot] != 0) slot = (slot + 1) & mask;
  map->slots[slot] = (uint32_t) position + 1;
}

static void
relink (ab__map_t *map) {
  if (map->capacity == 0) return;
  memset(map->slots, 0, 2 * map->capacity * sizeof(*map->slots));
  for (size_t i = 0; i < map->count; i++) link_entry(map, i);
}

int
ab__map_reserve (ab__map_t *map, size_t more) {
  if (more <= map->capacity - map->count) return 0;
  if (more > MAP_MAX - map->count) return AB_ENOMEM;
  size_t capacity = map->capacity == 0 ? MAP_FIRST : map->capacity;
  while (capacity < map->count + more) capacity *= 2;

  uint32_t *slots = malloc(2 * capacity * sizeof(*slots));
  if (slots == NULL) return AB_ENOMEM;
  uint8_t *entries = realloc(map->entries, capacity * map->entry_size);
  if (entries == NULL) {
    free(slots);
    return AB_ENOMEM;
  }
  free(map->slots);
  map->slots = slots;
  map->entries = entries;
  map->capacity = capacity;
  relink(map);
  return 0;
}

/* The slot that holds `key`, or the free one where it belongs. */
static size_t
find_slot (const ab__map_t *map, uint64_t key) {
  size_t mask = 2 * map->capacity - 1;
  size_t slot = slot_of(map, key);
  while (map->slots[slot] != 0 && ab__map_key(map, map->slots[slot] - 1) != key) slot = (slot + 1) & mask;
  return slot;
}

void *
ab__map_find (const ab__map_t *map, uint64_t key) {
  if (map->count == 0) return NULL;
  size_t slot = find_slot(map, key);
  return map->slots[slot] == 0 ? NULL : ab__map_entry(map, map->slots[slot] - 1);
}

void *
ab__map_put (ab__map_t *map, uint64_t key, bool *is_new) {
  assert(map->capacity > 0);
  size_t slot = find_slot(map, key);
  *is_new = map->slots[slot] == 0;
  if (!*is_new) return ab__map_entry(map, map->slots[slot] - 1);

  assert(map->count < map->capacity);
  void *entry = ab__map_entry(map, map->count);
  memcpy(entry, &key, sizeof(key));
  map->slots[slot] = (uint32_t) ++map->count;
  return entry;
}

void
ab__map_filter (ab__map_t *map, bool (*drop)(const void *entry, const void *data), const void *data) {
  size_t kept = 0;
  for (size_t i = 0; i < map->count; i++) {
    void *entry = ab__map_entry(map, i);
    if (drop(entry, data)) continue;
    if (kept != i) memcpy(ab__map_entry(map, kept), entry, map->entry_size);
    kept++;
  }
  if (kept == map->count) return;
  map->count = kept;
  relink(map);
}

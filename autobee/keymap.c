#include "autobee/keymap.h"

#include <stdlib.h>

#define CAPACITY_MIN 16

static uint64_t
mix (uint64_t x) {
  x ^= x >> 32;
  x *= 0xd6e8feb86659fd93ull;
  x ^= x >> 32;
  x *= 0xd6e8feb86659fd93ull;
  return x ^ (x >> 32);
}

static size_t
slot_of (const keymap_t *map, const ab_key_t *key) {
  uint64_t words[4];
  memcpy(words, key->bytes, sizeof(words));
  uint64_t hash = map->seed;
  for (int i = 0; i < 4; i++) hash = mix(hash ^ words[i]);
  return (size_t) hash & (map->capacity - 1);
}

void
autobee__keymap_destroy (keymap_t *map) {
  free(map->slots);
  map->slots = NULL;
  map->capacity = map->count = 0;
}

void
autobee__keymap_clear (keymap_t *map) {
  if (map->count == 0) return;
  for (size_t i = 0; i < map->capacity; i++) map->slots[i].value = NULL;
  map->count = 0;
}

static keymap_slot_t *
find (const keymap_t *map, const ab_key_t *key) {
  size_t i = slot_of(map, key);
  while (map->slots[i].value != NULL && !ab_key_equal(&map->slots[i].key, key)) {
    i = (i + 1) & (map->capacity - 1);
  }
  return &map->slots[i];
}

void *
autobee__keymap_get (const keymap_t *map, const ab_key_t *key) {
  return map->count == 0 ? NULL : find(map, key)->value;
}

static int
grow (keymap_t *map) {
  keymap_t larger = *map;
  larger.capacity = map->capacity == 0 ? CAPACITY_MIN : map->capacity * 2;
  larger.slots = calloc(larger.capacity, sizeof(keymap_slot_t));
  if (larger.slots == NULL) return AB_ENOMEM;
  for (size_t i = 0; i < map->capacity; i++) {
    if (map->slots[i].value != NULL) *find(&larger, &map->slots[i].key) = map->slots[i];
  }
  free(map->slots);
  *map = larger;
  return 0;
}

int
autobee__keymap_put (keymap_t *map, const ab_key_t *key, void *value) {
  if ((map->count + 1) * 3 > map->capacity * 2) {
    int err = grow(map);
    if (err < 0) return err;
  }
  keymap_slot_t *slot = find(map, key);
  if (slot->value == NULL) map->count++;
  slot->key = *key;
  slot->value = value;
  return 0;
}

void
autobee__keymap_del (keymap_t *map, const ab_key_t *key) {
  if (map->count == 0) return;
  keymap_slot_t *slot = find(map, key);
  if (slot->value == NULL) return;
  slot->value = NULL;
  map->count--;

  /* move back what the removed entry had pushed on */
  size_t hole = (size_t) (slot - map->slots);
  for (size_t i = (hole + 1) & (map->capacity - 1); map->slots[i].value != NULL;
       i = (i + 1) & (map->capacity - 1)) {
    size_t home = slot_of(map, &map->slots[i].key);
    if (((i - home) & (map->capacity - 1)) < ((i - hole) & (map->capacity - 1))) continue;
    map->slots[hole] = map->slots[i];
    map->slots[i].value = NULL;
    hole = i;
  }
}

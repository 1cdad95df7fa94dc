/* hash.c: the order in one number, to compare peers with. */
#include "autobee/autobee.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "autobee/grow.h"
#include "hypercore/crypto.h"

typedef struct {
  ab_head_t node;
  uint64_t weight;
} placed_t;

typedef struct {
  placed_t *nodes; /* newest first */
  size_t count;
  size_t capacity;
  bool is_partial; /* how many nodes a batch has is not known: its block is not here */
} places_t;

static int
take (void *data, const autobee_log_entry_t *entry) {
  places_t *places = data;
  placed_t *nodes = grown(places->nodes, &places->capacity, places->count + 1, sizeof(placed_t));
  if (nodes == NULL) return AB_ENOMEM;
  places->nodes = nodes;
  if (!entry->has_block) places->is_partial = true;
  nodes[places->count].node = entry->node;
  nodes[places->count++].weight = entry->weight;
  return 0;
}

static void
hash_place (ab_hasher_t *hasher, const placed_t *place) {
  static const char digits[] = "0123456789abcdef";
  char line[128];
  size_t len = 0;
  for (size_t i = 0; i < sizeof(place->node.key.bytes); i++) {
    line[len++] = digits[place->node.key.bytes[i] >> 4];
    line[len++] = digits[place->node.key.bytes[i] & 15];
  }
  int rest =
    snprintf(line + len, sizeof(line) - len, ".%" PRIu64 ".%" PRIu64 "\n", place->node.length, place->weight);
  ab_hasher_update(hasher, ab_slice(line, len + (size_t) rest));
}

int
autobee_order_hash (autobee_t *db, uint8_t out[32]) {
  places_t places = {0};
  int err = autobee_log(db, take, &places);
  if (err == 0 && places.is_partial) err = AB_EREMOTE;
  if (err == 0) {
    ab_hasher_t hasher;
    ab_hasher_init(&hasher);
    for (size_t i = places.count; i > 0; i--) hash_place(&hasher, &places.nodes[i - 1]);
    ab_hasher_final(&hasher, out);
  }
  free(places.nodes);
  return err;
}

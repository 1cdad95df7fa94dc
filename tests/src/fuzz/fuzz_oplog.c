/* fuzz_oplog.c: messages of writers' cores. What decodes encodes to the one form a writer would have written,
 * which decodes to the same again. */
#include <stdlib.h>

#include "autobee/oplog.h"
#include "fuzz/fuzz.h"
#include "support/vectors.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size) {
  ab_arena_t arena = {0};
  ab_buf_t first = {0};
  ab_buf_t second = {0};
  oplog_message_t message;
  if (autobee__oplog_decode(ab_slice(data, size), &arena, &message) == 0) {
    fuzz_accepted();
    autobee__oplog_encode(&first, &message);
    if (first.err < 0 || first.len != autobee__oplog_size(&message)) abort();
    if (autobee__oplog_decode(ab_buf_slice(&first), &arena, &message) < 0) abort();
    autobee__oplog_encode(&second, &message);
    if (!ab_slice_equal(ab_buf_slice(&first), ab_buf_slice(&second))) abort();
  }
  ab_buf_destroy(&first);
  ab_buf_destroy(&second);
  ab_arena_destroy(&arena);
  return 0;
}

static void
seed_encodings (const char *file, json_t *root, void *data) {
  static const char *const lists[] = {"cases", "lenient", "rejected"};
  size_t i;
  json_t *item;
  (void) file;
  (void) data;
  for (size_t l = 0; l < 3; l++) {
    json_array_foreach(vectors_get(root, lists[l]), i, item) {
      if (strncmp(vectors_get_text(item, "type"), "oplog", 5) == 0) fuzz_seed(vectors_get_bytes(item, "hex"));
    }
  }
}

static void
seed_scenario (const char *file, json_t *root, void *data) {
  size_t i, j;
  json_t *peer, *block;
  (void) file;
  (void) data;
  json_array_foreach(vectors_get(root, "peers"), i, peer) {
    const json_t *core = vectors_get(vectors_get(peer, "cores"), "local");
    json_array_foreach(vectors_get(core, "blocks"), j, block) fuzz_seed(vectors_bytes(block));
  }
}

void
fuzz_seeds (void) {
  vectors_each("autobee", "encodings.json", seed_encodings, NULL);
  vectors_each("autobee", "scenario-b*.json", seed_scenario, NULL);
}

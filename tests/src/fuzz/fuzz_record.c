/* fuzz_record.c: values of the system bee, info and writers' records. Both decoders see every input. */
#include <stdlib.h>

#include "autobee/record.h"
#include "fuzz/fuzz.h"
#include "support/vectors.h"

static void
check_info (ab_slice_t input, ab_arena_t *arena) {
  record_info_t info;
  ab_buf_t first = {0};
  ab_buf_t second = {0};
  if (autobee__record_info_decode(input, arena, &info) == 0) {
    fuzz_accepted();
    autobee__record_info_encode(&first, &info);
    if (first.err < 0 || autobee__record_info_decode(ab_buf_slice(&first), arena, &info) < 0) abort();
    autobee__record_info_encode(&second, &info);
    if (!ab_slice_equal(ab_buf_slice(&first), ab_buf_slice(&second))) abort();
  }
  ab_buf_destroy(&first);
  ab_buf_destroy(&second);
}

static bool
equal_records (const record_writer_t *a, const record_writer_t *b) {
  return a->weight == b->weight && a->max_weight == b->max_weight && a->length == b->length &&
         a->clock == b->clock && a->timestamp_ms == b->timestamp_ms && a->is_removed == b->is_removed &&
         a->is_oplog == b->is_oplog && a->is_genesis == b->is_genesis && a->is_anchor == b->is_anchor;
}

static void
check_writer (ab_slice_t input) {
  record_writer_t record, again;
  ab_buf_t out = {0};
  if (autobee__record_writer_decode(input, &record) == 0) {
    fuzz_accepted();
    autobee__record_writer_encode(&out, &record);
    if (out.err < 0 || autobee__record_writer_decode(ab_buf_slice(&out), &again) < 0) abort();
    if (!equal_records(&record, &again)) abort();
  }
  ab_buf_destroy(&out);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size) {
  ab_arena_t arena = {0};
  check_info(ab_slice(data, size), &arena);
  check_writer(ab_slice(data, size));
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
      if (strncmp(vectors_get_text(item, "type"), "system-", 7) == 0)
        fuzz_seed(vectors_get_bytes(item, "hex"));
    }
  }
}

void
fuzz_seeds (void) {
  vectors_each("autobee", "encodings.json", seed_encodings, NULL);
}

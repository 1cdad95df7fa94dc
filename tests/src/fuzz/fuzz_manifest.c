/* fuzz_manifest.c: manifests from outside. What decodes, encodes to bytes that decode to the same again. */
#include <stdlib.h>

#include "hypercore/manifest.h"
#include "support/vectors.h"

#include "fuzz.h"

static void
require (bool holds) {
  if (!holds) abort();
}

static void
check_again (const ab_manifest_t *manifest, ab_arena_t *arena, bool is_record) {
  ab_buf_t once = {0}, twice = {0};
  ab_manifest_t again;
  if (is_record) ab_manifest_encode_record(&once, manifest);
  else ab_manifest_encode(&once, manifest);
  require(once.err == 0);
  ab_reader_t in = ab_reader(ab_buf_slice(&once));
  int err =
    is_record ? ab_manifest_decode_record(&in, arena, &again) : ab_manifest_decode(&in, arena, &again);
  require(err == 0 && ab_reader_left(&in) == 0);
  if (is_record) ab_manifest_encode_record(&twice, &again);
  else ab_manifest_encode(&twice, &again);
  require(once.data != NULL && ab_slice_equal(ab_buf_slice(&once), ab_buf_slice(&twice)));
  ab_buf_destroy(&once);
  ab_buf_destroy(&twice);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size) {
  ab_arena_t arena = {0};
  ab_manifest_t manifest, copy;
  ab_reader_t in = ab_reader(ab_slice(data, size));
  ab_key_t key;
  if (ab_manifest_decode(&in, &arena, &manifest) == 0) {
    fuzz_accepted();
    check_again(&manifest, &arena, false);
    check_again(&manifest, &arena, true);
    require(ab_manifest_key(&manifest, &key) == 0);
    int parsed = ab_manifest_parse(ab_slice(data, size), &key, &arena, &copy);
    require(parsed == (manifest.quorum > manifest.signer_count ? AB_ECORRUPT : 0));
    int checked = ab_manifest_check(&manifest);
    require(checked == 0 || checked == AB_EINVAL);
    require(ab_manifest_copy(&manifest, &arena, &copy) == 0);
    check_again(&copy, &arena, false);
  }
  in = ab_reader(ab_slice(data, size));
  if (ab_manifest_decode_record(&in, &arena, &manifest) == 0) check_again(&manifest, &arena, true);
  ab_arena_destroy(&arena);
  return 0;
}

static void
seed_manifests (const char *file, json_t *root, void *data) {
  json_t *item;
  size_t i;
  (void) file;
  (void) data;
  json_array_foreach(vectors_get(root, "manifests"), i, item) fuzz_seed(vectors_get_bytes(item, "encoded"));
  json_array_foreach(vectors_get(root, "raw"), i, item) fuzz_seed(vectors_get_bytes(item, "raw"));
}

void
fuzz_seeds (void) {
  vectors_each("hypercore", "manifests.json", seed_manifests, NULL);
}

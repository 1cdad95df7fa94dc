/* fuzz_head.c: user data of cores, links and integers, and of manifests. All decoders see every input. */
#include <stdlib.h>

#include "autobee/record.h"
#include "fuzz/fuzz.h"
#include "support/vectors.h"

static void
check_link (ab_slice_t input) {
  ab_head_t link, again;
  ab_buf_t out = {0};
  if (autobee__record_link_decode(input, &link) == 0) {
    fuzz_accepted();
    autobee__record_link_encode(&out, &link);
    if (out.err < 0 || autobee__record_link_decode(ab_buf_slice(&out), &again) < 0) abort();
    if (!ab_head_equal(&link, &again)) abort();
  }
  ab_buf_destroy(&out);
}

static void
check_integer (ab_slice_t input) {
  uint64_t value, again;
  ab_buf_t out = {0};
  if (autobee__record_uint_decode(input, &value) == 0) {
    ab_write_uint(&out, value);
    if (out.err < 0 || autobee__record_uint_decode(ab_buf_slice(&out), &again) < 0 || value != again) abort();
  }
  ab_buf_destroy(&out);
}

static void
check_manifest_data (ab_slice_t input) {
  record_manifest_data_t data, again;
  ab_buf_t out = {0};
  if (autobee__record_manifest_data_decode(input, &data) == 0) {
    autobee__record_manifest_data_encode(&out, &data);
    if (out.err < 0 || autobee__record_manifest_data_decode(ab_buf_slice(&out), &again) < 0) abort();
    if (data.legacy_blocks != again.legacy_blocks || data.has_namespace != again.has_namespace) abort();
    if (!ab_key_equal(&data.ns, &again.ns)) abort();
  }
  ab_buf_destroy(&out);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size) {
  check_link(ab_slice(data, size));
  check_integer(ab_slice(data, size));
  check_manifest_data(ab_slice(data, size));
  return 0;
}

static void
seed_encodings (const char *file, json_t *root, void *data) {
  size_t i;
  json_t *item;
  (void) file;
  (void) data;
  json_array_foreach(vectors_get(root, "cases"), i, item) {
    const char *type = vectors_get_text(item, "type");
    bool wanted = strcmp(type, "link") == 0 || strcmp(type, "previous-drain") == 0;
    if (wanted || strcmp(type, "manifest-data") == 0) fuzz_seed(vectors_get_bytes(item, "hex"));
  }
}

void
fuzz_seeds (void) {
  vectors_each("autobee", "encodings.json", seed_encodings, NULL);
}

/* fuzz_stored.c: what a store keeps of a core beside its blocks, and its secrets file. All decoders see every
 * input; what they accept encodes back to something that decodes to the same. */
#include <stdlib.h>

#include "fuzz/fuzz.h"
#include "hypercore/record.h"
#include "hypercore/secret.h"
#include "support/vectors.h"

static void
check_head (ab_slice_t input) {
  ab__head_record_t head, again;
  ab_buf_t out = {0};
  if (ab__head_record_decode(input, &head) == 0) {
    fuzz_accepted();
    ab__head_record_encode(&out, &head);
    if (out.err < 0 || ab__head_record_decode(ab_buf_slice(&out), &again) < 0) abort();
    if (head.length != again.length || head.contiguous != again.contiguous || head.fork != again.fork)
      abort();
    if (!ab_slice_equal(head.signature, again.signature)) abort();
  }
  ab_buf_destroy(&out);
}

static void
check_core (ab_slice_t input) {
  ab__core_record_t record, again;
  ab_arena_t arena = {0};
  ab_buf_t out = {0};
  if (ab__core_record_decode(input, &arena, &record) == 0) {
    fuzz_accepted();
    ab__core_record_encode(&out, &record);
    if (out.err < 0 || ab__core_record_decode(ab_buf_slice(&out), &arena, &again) < 0) abort();
    if (!ab_key_equal(&record.key, &again.key) || !ab_slice_equal(record.name, again.name)) abort();
    if ((record.manifest == NULL) != (again.manifest == NULL)) abort();
  }
  ab_buf_destroy(&out);
  ab_arena_destroy(&arena);
}

/* The record of the nodes that end with a block, which the first two bytes name. */
static void
check_nodes (ab_slice_t input) {
  if (input.len < 2) return;
  uint64_t block = (uint64_t) (input.data[0] | input.data[1] << 8);
  ab_slice_t record = ab_slice(input.data + 2, input.len - 2);
  ab_node_t node, leaf = {.index = 2 * block, .size = 1};
  for (unsigned depth = 0; depth <= (unsigned) __builtin_ctzll(block + 1); depth++) {
    if (ab__nodes_record_find(record, 2 * block - ((1ull << depth) - 1), &node) < 0) continue;
    fuzz_accepted();
    ab_buf_t out = {0};
    ab_node_t again;
    ab__nodes_record_merge(&out, record, &leaf, 1);
    if (out.err == 0) { /* else the rest of the record is damaged */
      if (ab__nodes_record_find(ab_buf_slice(&out), node.index, &again) < 0) abort();
      if (depth == 0 ? again.size != 1 : again.size != node.size || memcmp(again.hash, node.hash, 32) != 0)
        abort();
    }
    ab_buf_destroy(&out);
  }
}

static void
check_secret (ab_slice_t input) {
  ab_buf_t text = {0}, out = {0};
  ab__secret_t secret = {0}, again = {0};
  ab_buf_append(&text, input);
  if (text.err < 0) abort();
  if (ab__secret_decode(&secret, text.data, text.len) == 0) {
    fuzz_accepted();
    ab__secret_encode(&out, &secret);
    if (out.err < 0 || ab__secret_decode(&again, out.data, out.len) < 0) abort();
    if (!ab_key_equal(&secret.primary, &again.primary) || secret.pair_count != again.pair_count) abort();
    if (secret.value_count != again.value_count) abort();
  }
  ab__secret_destroy(&secret);
  ab__secret_destroy(&again);
  ab_buf_destroy(&text);
  ab_buf_destroy(&out);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size) {
  ab_slice_t input = ab_slice(data, size);
  check_head(input);
  check_core(input);
  check_nodes(input);
  check_secret(input);
  return 0;
}

/* ---- corpus ---- */

static void
seed_core (const json_t *item, ab_slice_t signature) {
  ab_buf_t out = {0};
  ab_arena_t arena = {0};
  ab_manifest_t manifest;
  ab_reader_t in = ab_reader(vectors_get_bytes(item, "manifest"));
  ab__core_record_t record = {.manifest = &manifest, .has_group = true, .name = ab_text("local")};
  vectors_get_key(item, "key", &record.key);
  if (ab_manifest_decode(&in, &arena, &manifest) == 0) {
    ab__core_record_encode(&out, &record);
    fuzz_seed(ab_buf_slice(&out));
  }
  ab_buf_reset(&out);
  ab__head_record_t head = {.length = 300, .byte_length = 30000, .contiguous = 299, .signature = signature};
  ab__head_record_encode(&out, &head);
  fuzz_seed(ab_buf_slice(&out));
  ab_buf_destroy(&out);
  ab_arena_destroy(&arena);
}

static void
seed_nodes (const json_t *list) {
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *item = json_array_get(list, i);
    ab_node_t nodes[2];
    ab_buf_t out = {0};
    ab_key_t hash;
    vectors_get_key(item, "hash", &hash);
    nodes[0] = (ab_node_t){.index = vectors_get_uint(item, "index"), .size = vectors_get_uint(item, "size")};
    memcpy(nodes[0].hash, hash.bytes, 32);
    uint64_t block = ab_flat_rspan(nodes[0].index) / 2;
    ab_write_fixed_uint(&out, block & 0xffff, 2);
    ab__nodes_record_encode(&out, nodes, 1);
    fuzz_seed(ab_buf_slice(&out));
    ab_buf_destroy(&out);
  }
}

static void
seed_cores (const char *file, json_t *root, void *data) {
  size_t i;
  json_t *item;
  (void) file;
  (void) data;
  json_array_foreach(vectors_get(root, "cores"), i, item) {
    const json_t *states = vectors_get(item, "states");
    const json_t *last = json_array_get(states, json_array_size(states) - 1);
    seed_core(item, vectors_get_bytes(last, "signature"));
    if (json_array_size(vectors_get(item, "nodes")) < 100) seed_nodes(vectors_get(item, "nodes"));
  }
}

void
fuzz_seeds (void) {
  vectors_each("hypercore", "cores.json", seed_cores, NULL);
  ab__secret_t secret = {0};
  ab_key_pair_t pair = {{1}, {2}};
  ab_buf_t out = {0};
  if (ab__secret_add_pair(&secret, &pair) < 0) abort();
  if (ab__secret_set_value(&secret, "encryption key", ab_text("0123456789")) < 0) abort();
  ab__secret_encode(&out, &secret);
  fuzz_seed(ab_buf_slice(&out));
  ab_buf_destroy(&out);
  ab__secret_destroy(&secret);
}

#include "recorded.h"

#include <stdio.h>
#include <stdlib.h>

static void *
need (void *data) {
  if (data != NULL) return data;
  fprintf(stderr, "out of memory\n");
  exit(1);
}

void
recorded_node (const json_t *value, ab_node_t *out) {
  ab_slice_t hash = vectors_get_bytes(value, "hash");
  out->index = vectors_get_uint(value, "index");
  out->size = vectors_get_uint(value, "size");
  if (hash.len == sizeof(out->hash)) memcpy(out->hash, hash.data, hash.len);
  else vectors_fail("a hash of %zu bytes", hash.len);
}

ab_nodes_t
recorded_nodes (const json_t *list, ab_arena_t *arena) {
  size_t count = json_array_size(list);
  ab_node_t *nodes = need(ab_arena_alloc(arena, count, sizeof(*nodes)));
  for (size_t i = 0; i < count; i++) recorded_node(json_array_get(list, i), &nodes[i]);
  ab_nodes_t out = {nodes, count};
  return out;
}

const ab_manifest_t *
recorded_manifest (const json_t *hex, ab_arena_t *arena) {
  if (json_is_null(hex)) return NULL;
  ab_manifest_t *manifest = need(ab_arena_alloc(arena, 1, sizeof(*manifest)));
  ab_reader_t in = ab_reader(vectors_bytes(hex));
  check_err("decode the manifest", 0, ab_manifest_decode(&in, arena, manifest));
  return manifest;
}

void
recorded_key_pair (const json_t *object, const char *seed_member, ab_key_pair_t *out) {
  ab_key_t seed;
  vectors_get_key(object, seed_member, &seed);
  ab_key_pair_from_seed(out, seed.bytes);
}

void
recorded_request (const json_t *request, ab_request_t *out) {
  *out = (ab_request_t){.id = 1};
  if ((out->has_block = vectors_has(request, "block"))) {
    out->block.index = vectors_get_uint(vectors_get(request, "block"), "index");
    out->block.nodes = vectors_get_uint(vectors_get(request, "block"), "nodes");
  }
  if ((out->has_hash = vectors_has(request, "hash"))) {
    out->hash.index = vectors_get_uint(vectors_get(request, "hash"), "index");
    out->hash.nodes = vectors_get_uint(vectors_get(request, "hash"), "nodes");
  }
  if ((out->has_seek = vectors_has(request, "seek"))) {
    out->seek.bytes = vectors_get_uint(vectors_get(request, "seek"), "bytes");
    out->seek.padding = vectors_get_uint(vectors_get(request, "seek"), "padding");
  }
  if ((out->has_upgrade = vectors_has(request, "upgrade"))) {
    out->upgrade.start = vectors_get_uint(vectors_get(request, "upgrade"), "start");
    out->upgrade.length = vectors_get_uint(vectors_get(request, "upgrade"), "length");
  }
  out->wants_manifest = vectors_has(request, "manifest") && vectors_get_bool(request, "manifest");
}

void
recorded_proof (const json_t *proof, ab_arena_t *arena, ab_proof_t *out) {
  *out = (ab_proof_t){.id = 1, .fork = vectors_get_uint(proof, "fork")};
  if ((out->has_block = vectors_has(proof, "block"))) {
    const json_t *block = vectors_get(proof, "block");
    out->block.index = vectors_get_uint(block, "index");
    out->block.value = vectors_get_bytes(block, "value");
    out->block.nodes = recorded_nodes(vectors_get(block, "nodes"), arena);
  }
  if ((out->has_hash = vectors_has(proof, "hash"))) {
    const json_t *hash = vectors_get(proof, "hash");
    out->hash.index = vectors_get_uint(hash, "index");
    out->hash.nodes = recorded_nodes(vectors_get(hash, "nodes"), arena);
  }
  if ((out->has_seek = vectors_has(proof, "seek"))) {
    const json_t *seek = vectors_get(proof, "seek");
    out->seek.bytes = vectors_get_uint(seek, "bytes");
    out->seek.nodes = recorded_nodes(vectors_get(seek, "nodes"), arena);
  }
  if ((out->has_upgrade = vectors_has(proof, "upgrade"))) {
    const json_t *upgrade = vectors_get(proof, "upgrade");
    out->upgrade.start = vectors_get_uint(upgrade, "start");
    out->upgrade.length = vectors_get_uint(upgrade, "length");
    out->upgrade.nodes = recorded_nodes(vectors_get(upgrade, "nodes"), arena);
    out->upgrade.additional = recorded_nodes(vectors_get(upgrade, "additionalNodes"), arena);
    out->upgrade.signature = vectors_get_bytes(upgrade, "signature");
  }
  out->manifest = recorded_manifest(vectors_get(proof, "manifest"), arena);
}

int
recorded_error (const char *outcome) {
  if (strcmp(outcome, "applied") == 0 || strcmp(outcome, "ignored") == 0) return 0;
  if (strcmp(outcome, "INVALID_OPERATION") == 0) return AB_EOPERATION;
  if (strcmp(outcome, "INVALID_CHECKSUM") == 0) return AB_ECHECKSUM;
  if (strcmp(outcome, "INVALID_SIGNATURE") == 0) return AB_ESIGNATURE;
  if (strcmp(outcome, "INVALID_PROOF") == 0) return AB_EPROOF;
  return AB_ECORRUPT;
}

void
check_hash (const char *what, const json_t *expected, const uint8_t found[32]) {
  check_bytes(what, vectors_bytes(expected), ab_slice(found, 32));
}

void
check_nodes (const char *what, const json_t *expected, const ab_node_t *found, size_t count) {
  if (!check_uint(what, json_array_size(expected), count)) return;
  for (size_t i = 0; i < count; i++) {
    const json_t *node = json_array_get(expected, i);
    check_uint(what, vectors_get_uint(node, "index"), found[i].index);
    check_uint(what, vectors_get_uint(node, "size"), found[i].size);
    check_hash(what, vectors_get(node, "hash"), found[i].hash);
  }
}

static void
encode (ab_buf_t *out, const ab_proof_t *proof) {
  ab_proof_t copy = *proof;
  if (copy.has_block && copy.block.value.data == NULL) copy.block.value = ab_text("");
  ab_proof_encode(out, &copy);
}

void
check_proof (const char *what, const ab_proof_t *expected, const ab_proof_t *found) {
  ab_buf_t left = {0}, right = {0};
  encode(&left, expected);
  encode(&right, found);
  check_err(what, 0, right.err);
  check_bytes(what, ab_buf_slice(&left), ab_buf_slice(&right));
  if (expected->has_block && found->has_block) {
    check_that((expected->block.value.data == NULL) == (found->block.value.data == NULL));
  }
  ab_buf_destroy(&left);
  ab_buf_destroy(&right);
}

/* proof_wire.c: requests and proofs as messages.
 *
 *   request   uint flags (1 block, 2 hash, 4 seek, 8 upgrade, 16 manifest, 32 priority), uint id, uint fork,
 *             [uint index, uint nodes] block, [the same] hash, [uint bytes, uint padding] seek,
 *             [uint start, uint length] upgrade, [uint priority]
 *   data      uint flags (the same five), uint request id, uint fork,
 *             [uint index, buffer value, nodes] block, [uint index, nodes] hash, [uint bytes, nodes] seek,
 *             [uint start, uint length, nodes, nodes, optional buffer signature] upgrade, [manifest]
 *   nodes     list of: uint index, uint size, fixed32 hash
 */
#include "hypercore/proof.h"

enum {
  FLAG_BLOCK = 1,
  FLAG_HASH = 2,
  FLAG_SEEK = 4,
  FLAG_UPGRADE = 8,
  FLAG_MANIFEST = 16,
  FLAG_PRIORITY = 32,
};

#define NODE_MIN 34

/* ---- requests ---- */

int
ab_request_decode (ab_slice_t message, ab_request_t *out) {
  ab_reader_t in = ab_reader(message);
  *out = (ab_request_t){0};
  uint64_t flags = ab_read_uint(&in);
  out->id = ab_read_uint(&in);
  out->fork = ab_read_uint(&in);
  out->has_block = (flags & FLAG_BLOCK) != 0;
  out->has_hash = (flags & FLAG_HASH) != 0;
  out->has_seek = (flags & FLAG_SEEK) != 0;
  out->has_upgrade = (flags & FLAG_UPGRADE) != 0;
  out->wants_manifest = (flags & FLAG_MANIFEST) != 0;
  if (out->has_block) {
    out->block.index = ab_read_uint(&in);
    out->block.nodes = ab_read_uint(&in);
  }
  if (out->has_hash) {
    out->hash.index = ab_read_uint(&in);
    out->hash.nodes = ab_read_uint(&in);
  }
  if (out->has_seek) {
    out->seek.bytes = ab_read_uint(&in);
    out->seek.padding = ab_read_uint(&in);
  }
  if (out->has_upgrade) {
    out->upgrade.start = ab_read_uint(&in);
    out->upgrade.length = ab_read_uint(&in);
  }
  if ((flags & FLAG_PRIORITY) != 0) out->priority = ab_read_uint(&in);
  return in.err;
}

void
ab_request_encode (ab_buf_t *out, const ab_request_t *request) {
  uint64_t flags = 0;
  if (request->has_block) flags |= FLAG_BLOCK;
  if (request->has_hash) flags |= FLAG_HASH;
  if (request->has_seek) flags |= FLAG_SEEK;
  if (request->has_upgrade) flags |= FLAG_UPGRADE;
  if (request->wants_manifest) flags |= FLAG_MANIFEST;
  if (request->priority > 0) flags |= FLAG_PRIORITY;
  ab_write_uint(out, flags);
  ab_write_uint(out, request->id);
  ab_write_uint(out, request->fork);
  if (request->has_block) {
    ab_write_uint(out, request->block.index);
    ab_write_uint(out, request->block.nodes);
  }
  if (request->has_hash) {
    ab_write_uint(out, request->hash.index);
    ab_write_uint(out, request->hash.nodes);
  }
  if (request->has_seek) {
    ab_write_uint(out, request->seek.bytes);
    ab_write_uint(out, request->seek.padding);
  }
  if (request->has_upgrade) {
    ab_write_uint(out, request->upgrade.start);
    ab_write_uint(out, request->upgrade.length);
  }
  if (request->priority > 0) ab_write_uint(out, request->priority);
}

/* ---- proofs ---- */

static int
read_nodes (ab_reader_t *in, ab_arena_t *arena, ab_nodes_t *out) {
  size_t count = ab_read_count(in, NODE_MIN);
  ab_node_t *nodes = ab_arena_alloc(arena, count, sizeof(*nodes));
  if (nodes == NULL) return AB_ENOMEM;
  for (size_t i = 0; i < count; i++) {
    nodes[i].index = ab_read_uint(in);
    nodes[i].size = ab_read_uint(in);
    ab_slice_t hash = ab_read_bytes(in, AB_HASH_LEN);
    if (in->err < 0) return in->err;
    memcpy(nodes[i].hash, hash.data, AB_HASH_LEN);
  }
  out->nodes = nodes;
  out->count = count;
  return in->err;
}

static int
read_upgrade (ab_reader_t *in, ab_arena_t *arena, ab_proof_t *out) {
  int err;
  out->upgrade.start = ab_read_uint(in);
  out->upgrade.length = ab_read_uint(in);
  if ((err = read_nodes(in, arena, &out->upgrade.nodes)) < 0) return err;
  if ((err = read_nodes(in, arena, &out->upgrade.additional)) < 0) return err;
  out->upgrade.signature = ab_read_buffer(in);
  if (out->upgrade.signature.len == 0) out->upgrade.signature.data = NULL;
  return in->err;
}

int
ab_proof_decode (ab_slice_t message, ab_arena_t *arena, ab_proof_t *out) {
  ab_reader_t in = ab_reader(message);
  int err;

  *out = (ab_proof_t){0};
  uint64_t flags = ab_read_uint(&in);
  out->id = ab_read_uint(&in);
  out->fork = ab_read_uint(&in);
  out->has_block = (flags & FLAG_BLOCK) != 0;
  out->has_hash = (flags & FLAG_HASH) != 0;
  out->has_seek = (flags & FLAG_SEEK) != 0;
  out->has_upgrade = (flags & FLAG_UPGRADE) != 0;
  if (out->has_block) {
    out->block.index = ab_read_uint(&in);
    out->block.value = ab_read_buffer(&in);
    if ((err = read_nodes(&in, arena, &out->block.nodes)) < 0) return err;
  }
  if (out->has_hash) {
    out->hash.index = ab_read_uint(&in);
    if ((err = read_nodes(&in, arena, &out->hash.nodes)) < 0) return err;
  }
  if (out->has_seek) {
    out->seek.bytes = ab_read_uint(&in);
    if ((err = read_nodes(&in, arena, &out->seek.nodes)) < 0) return err;
  }
  if (out->has_upgrade && (err = read_upgrade(&in, arena, out)) < 0) return err;
  if ((flags & FLAG_MANIFEST) != 0) {
    ab_manifest_t *manifest = ab_arena_alloc(arena, 1, sizeof(*manifest));
    if (manifest == NULL) return AB_ENOMEM;
    if ((err = ab_manifest_decode(&in, arena, manifest)) < 0) return err;
    out->manifest = manifest;
  }
  return in.err;
}

static void
write_nodes (ab_buf_t *out, const ab_nodes_t *list) {
  ab_write_uint(out, list->count);
  for (size_t i = 0; i < list->count; i++) {
    ab_write_uint(out, list->nodes[i].index);
    ab_write_uint(out, list->nodes[i].size);
    ab_write_bytes(out, ab_slice(list->nodes[i].hash, AB_HASH_LEN));
  }
}

void
ab_proof_encode (ab_buf_t *out, const ab_proof_t *proof) {
  uint64_t flags = 0;
  if (proof->has_block) flags |= FLAG_BLOCK;
  if (proof->has_hash) flags |= FLAG_HASH;
  if (proof->has_seek) flags |= FLAG_SEEK;
  if (proof->has_upgrade) flags |= FLAG_UPGRADE;
  if (proof->manifest != NULL) flags |= FLAG_MANIFEST;
  if (proof->has_block && proof->block.value.data == NULL && out->err == 0) out->err = AB_EINVAL;

  ab_write_uint(out, flags);
  ab_write_uint(out, proof->id);
  ab_write_uint(out, proof->fork);
  if (proof->has_block) {
    ab_write_uint(out, proof->block.index);
    ab_write_buffer(out, proof->block.value);
    write_nodes(out, &proof->block.nodes);
  }
  if (proof->has_hash) {
    ab_write_uint(out, proof->hash.index);
    write_nodes(out, &proof->hash.nodes);
  }
  if (proof->has_seek) {
    ab_write_uint(out, proof->seek.bytes);
    write_nodes(out, &proof->seek.nodes);
  }
  if (proof->has_upgrade) {
    ab_write_uint(out, proof->upgrade.start);
    ab_write_uint(out, proof->upgrade.length);
    write_nodes(out, &proof->upgrade.nodes);
    write_nodes(out, &proof->upgrade.additional);
    ab_write_buffer(out, proof->upgrade.signature);
  }
  if (proof->manifest != NULL) ab_manifest_encode(out, proof->manifest);
}

uint64_t
ab_proof_length (const ab_proof_t *proof) {
  if (!proof->has_upgrade) return 0;
  const ab_nodes_t *additional = &proof->upgrade.additional;
  if (additional->count == 0) return proof->upgrade.start + proof->upgrade.length;
  return ab_flat_rspan(additional->nodes[additional->count - 1].index) / 2 + 1;
}

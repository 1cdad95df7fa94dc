/* model_proof.c: a reader against the writer it follows. Whatever order proofs come in, and whatever is done
 * to their bytes on the way, the reader never holds a node, block or head that the writer does not have. */
#include <stdio.h>
#include <stdlib.h>

#include "hypercore/crypto.h"
#include "memory_core.h"
#include "support/rng.h"
#include "support/test.h"

#define RUNS 300
#define STEPS 60

static uint32_t last_seed;

typedef struct {
  rng_t random;
  memory_core_t writer, reader;
  size_t applied, refused; /* of the damaged proofs */
} model_t;

static uint64_t
below (model_t *model, uint64_t n) {
  return rng_below(&model->random, (uint32_t) n);
}

/* ---- the claim ---- */

static void
check_reader (model_t *model) {
  const memory_core_t *writer = &model->writer, *reader = &model->reader;
  ab_node_source_t source = memory_core_source(&model->writer);
  uint8_t hash[32], expected[32];
  ab_tree_t tree;
  if (reader->tree.fork != writer->tree.fork) return; /* has not heard of it yet */
  assert_true(reader->tree.length <= writer->tree.length);
  assert_int_equal(ab_tree_load(&tree, writer->tree.fork, reader->tree.length, &source), 0);
  ab_tree_hash(&tree, expected);
  ab_tree_hash(&reader->tree, hash);
  assert_memory_equal(hash, expected, 32);
  for (size_t i = 0; i < reader->node_count; i++) {
    ab_node_t node;
    assert_int_equal(source.get(source.data, reader->nodes[i].index, &node), 0);
    assert_memory_equal(reader->nodes[i].hash, node.hash, 32);
  }
  for (uint64_t i = 0; i < reader->block_capacity; i++) {
    if (!memory_core_has_block(reader, i)) continue;
    assert_true(memory_core_has_block(writer, i));
    assert_true(ab_slice_equal(reader->blocks[i], writer->blocks[i]));
  }
}

/* ---- steps ---- */

static ab_request_t
random_request (model_t *model) {
  memory_core_t *reader = &model->reader;
  ab_node_source_t source = memory_core_source(reader);
  uint64_t length = model->writer.tree.length, known = reader->tree.length;
  ab_request_t request = {.wants_manifest = reader->manifest == NULL};
  request.has_upgrade = known < length && (known == 0 || below(model, 2) == 0);
  if (request.has_upgrade) {
    request.upgrade.start = known;
    request.upgrade.length = 1 + below(model, length - known);
  }
  uint64_t end = request.has_upgrade ? known + request.upgrade.length : known;
  switch (below(model, 4)) {
  case 0:
    break;
  case 1:
    request.has_hash = true;
    request.hash.index = below(model, 2 * end);
    request.hash.nodes = below(model, 4);
    break;
  default:
    request.has_block = true;
    request.block.index = below(model, end);
    if (ab_missing_nodes(&source, known, request.block.index, &request.block.nodes) < 0) abort();
  }
  request.has_seek = below(model, 4) == 0;
  request.seek.bytes = below(model, model->writer.tree.byte_length + 2);
  return request;
}

/* `length` is the reader's when it asked. */
static void
take_honest_proof (model_t *model, const ab_request_t *request, uint64_t length, const ab_proof_t *proof) {
  ab_proof_outcome_t outcome;
  bool moved = model->reader.tree.length != length; /* the damage did not touch what the upgrade needs */
  int err = memory_core_apply(&model->reader, proof, &outcome);
  /* A hash was asked for at random: its climb may end at a node that the reader does not know. */
  if (err == AB_EOPERATION && (moved || request->has_hash)) return;
  assert_int_equal(err, 0);
}

static void
take_damaged_proof (model_t *model, ab_slice_t message) {
  ab_proof_outcome_t outcome;
  ab_arena_t arena = {0};
  ab_buf_t bytes = {0};
  ab_proof_t proof;
  ab_buf_append(&bytes, message);
  for (uint64_t i = 0; i <= below(model, 3); i++) {
    bytes.data[below(model, bytes.len)] ^= (uint8_t) (1u << below(model, 8));
  }
  int err = ab_proof_decode(ab_buf_slice(&bytes), &arena, &proof);
  if (err == 0) err = memory_core_apply(&model->reader, &proof, &outcome);
  if (err == 0) model->applied++;
  else model->refused++;
  assert_true(err == 0 || ab_proof_is_invalid(err));
  ab_arena_destroy(&arena);
  ab_buf_destroy(&bytes);
}

static void
ask (model_t *model) {
  uint64_t length = model->reader.tree.length;
  ab_request_t request = random_request(model);
  ab_arena_t arena = {0};
  ab_buf_t message = {0};
  ab_proof_t proof;
  int err = memory_core_prove(&model->writer, &request, &arena, &proof);
  assert_true(err == 0 || err == AB_EOPERATION); /* a seek or a hash may not fit */
  if (err == 0) {
    ab_proof_encode(&message, &proof);
    assert_int_equal(message.err, 0);
    for (int i = 0; i < 3; i++) {
      take_damaged_proof(model, ab_buf_slice(&message));
      check_reader(model);
    }
    assert_int_equal(ab_proof_decode(ab_buf_slice(&message), &arena, &proof), 0);
    take_honest_proof(model, &request, length, &proof);
  }
  ab_arena_destroy(&arena);
  ab_buf_destroy(&message);
}

static void
follow_fork (model_t *model) {
  memory_core_t *writer = &model->writer, *reader = &model->reader;
  ab_node_source_t source = memory_core_source(reader);
  ab_reader_state_t own = {
    .tree = &reader->tree, .key = &reader->key, .manifest = reader->manifest, .source = &source};
  ab_request_t request = {
    .has_upgrade = true, .upgrade = {0, writer->tree.length}, .wants_manifest = reader->manifest == NULL};
  ab_arena_t arena = {0};
  ab_reorg_t reorg;
  ab_proof_t proof;
  bool accepted;
  assert_int_equal(memory_core_prove(writer, &request, &arena, &proof), 0);
  assert_int_equal(ab_reorg_begin(&reorg, &own, &proof, &arena), 0);
  for (int round = 0; !reorg.done; round++) {
    request = (ab_request_t){.has_hash = true, .hash = {.nodes = reorg.want_nodes}};
    request.hash.index = 2 * (reorg.want_start + below(model, reorg.want_end - reorg.want_start));
    assert_int_equal(memory_core_prove(writer, &request, &arena, &proof), 0);
    assert_int_equal(ab_reorg_continue(&reorg, &own, &proof, &accepted), 0);
    assert_true(accepted);
    assert_true(round < AB_DEPTH_MAX);
  }
  memory_core_reorg(reader, &reorg);
  if (reorg.manifest != NULL) reader->manifest = writer->manifest;
  ab_arena_destroy(&arena);
}

static void
grow_or_fork (model_t *model) {
  memory_core_t *writer = &model->writer;
  if (below(model, 3) == 0 && writer->tree.length > 0) {
    uint64_t length = below(model, writer->tree.length);
    assert_int_equal(memory_core_truncate(writer, length, writer->tree.fork + 1), 0);
    /* What comes now differs from what was cut. */
    char text[24];
    snprintf(text, sizeof(text), "fork %llu", (unsigned long long) writer->tree.fork);
    assert_int_equal(memory_core_append(writer, ab_text(text)), 0);
  }
  memory_core_fill(writer, 1 + below(model, 9));
  if (model->reader.tree.fork != writer->tree.fork) follow_fork(model);
}

/* In the end the reader gets everything. */
static void
fetch_the_rest (model_t *model) {
  memory_core_t *writer = &model->writer, *reader = &model->reader;
  ab_node_source_t source = memory_core_source(reader);
  for (uint64_t i = 0; i < writer->tree.length; i++) {
    ab_request_t request = {.has_block = true, .block = {.index = i}, .wants_manifest = true};
    ab_arena_t arena = {0};
    ab_proof_outcome_t outcome;
    ab_proof_t proof;
    if (reader->tree.length < writer->tree.length) {
      request.has_upgrade = true;
      request.upgrade.start = reader->tree.length;
      request.upgrade.length = writer->tree.length - reader->tree.length;
    }
    assert_int_equal(ab_missing_nodes(&source, reader->tree.length, i, &request.block.nodes), 0);
    assert_int_equal(memory_core_prove(writer, &request, &arena, &proof), 0);
    assert_int_equal(memory_core_apply(reader, &proof, &outcome), 0);
    ab_arena_destroy(&arena);
  }
  assert_int_equal(reader->tree.length, writer->tree.length);
  assert_int_equal(memory_core_contiguous(reader), writer->tree.length);
  assert_int_equal(reader->node_count, writer->node_count);
}

static void
no_order_and_no_damage_misleads_a_reader (void **state) {
  size_t applied = 0, refused = 0;
  (void) state;
  for (uint32_t seed = 1; seed <= RUNS; seed++) {
    model_t model = {.random = rng(seed)};
    last_seed = seed;
    memory_core_init_writer(&model.writer, (uint8_t) seed, seed % 3);
    memory_core_init_reader(&model.reader, &model.writer);
    memory_core_fill(&model.writer, 1 + below(&model, 40));
    for (int step = 0; step < STEPS; step++) {
      if (below(&model, 8) == 0) grow_or_fork(&model);
      else ask(&model);
      check_reader(&model);
    }
    fetch_the_rest(&model);
    check_reader(&model);
    applied += model.applied;
    refused += model.refused;
    memory_core_destroy(&model.writer);
    memory_core_destroy(&model.reader);
  }
  print_message("%zu damaged proofs refused, %zu without consequence\n", refused, applied);
  assert_true(refused > applied);
}

static int
tell_seed (void **state) {
  (void) state;
  print_message("the last seed was %u\n", last_seed);
  return 0;
}

int
main (void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(no_order_and_no_damage_misleads_a_reader)};
  return ab_crypto_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, tell_seed);
}

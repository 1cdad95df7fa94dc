/* core_proof.c: proofs that a core makes, takes, and pulls from another store.
 *
 * Made from what is committed, whatever is staged above it. Taken into the live tail.
 */
#include "hypercore/core.h"

#include "hypercore/encoding.h"

/* ---- making ---- */

static int
add_value (hypercore_t *core, ab_arena_t *arena, ab_proof_t *proof) {
  ab_slice_t stored;
  int err = ab__core_committed_block(core, proof->block.index, &stored);
  if (err == AB_ENOTFOUND) {
    proof->block.value = ab_slice(NULL, 0);
    return 0;
  }
  return err < 0 ? err : ab_arena_copy(arena, stored, &proof->block.value);
}

static int
add_signature (hypercore_t *core, uint64_t prologue, ab_arena_t *arena, ab_proof_t *proof) {
  int err = ab__core_sign(core, &core->committed);
  if (err < 0) return err;
  const ab_buf_t *signature = &core->committed.signature;
  proof->upgrade.signature = ab_slice(NULL, 0);
  if (signature->len > 0) return ab_arena_copy(arena, ab_buf_slice(signature), &proof->upgrade.signature);
  if (core->committed.tree.length == prologue) return 0; /* nobody needs to sign that part */
  return AB_EOPERATION;
}

static int
add_manifest (hypercore_t *core, ab_arena_t *arena, ab_proof_t *proof) {
  if (core->manifest == NULL || ab_manifest_is_compat(core->manifest, &core->key)) return 0;
  ab_manifest_t *manifest = ab_arena_zalloc(arena, 1, sizeof(*manifest));
  if (manifest == NULL) return AB_ENOMEM;
  proof->manifest = manifest;
  return ab_manifest_copy(core->manifest, arena, manifest);
}

static int
prove (hypercore_t *core, const ab_request_t *request, ab_arena_t *arena, ab_proof_t *proof) {
  uint64_t prologue = core->manifest == NULL ? 0 : ab_manifest_prologue(core->manifest, &core->key);
  ab_node_source_t nodes = ab__core_committed_nodes(core);
  int err = ab_proof_produce(request, &core->committed.tree, prologue, &nodes, arena, proof);
  if (err == 0 && proof->has_block) err = add_value(core, arena, proof);
  if (err == 0 && proof->has_upgrade) err = add_signature(core, prologue, arena, proof);
  if (err == 0 && request->wants_manifest) err = add_manifest(core, arena, proof);
  proof->id = request->id;
  return err;
}

int
hypercore_prove (hypercore_t *core, const ab_request_t *request, ab_arena_t *arena, ab_proof_t *proof) {
  int err = ab__store_check(core->store);
  if (err < 0) return err;
  ab__core_enter(core);
  err = prove(core, request, arena, proof);
  ab__core_leave(core);
  if (err != AB_EOPERATION) return err;
  return ab_store_fail(
    core->store,
    err,
    "the request does not fit the %llu blocks committed here",
    (unsigned long long) core->committed.tree.length
  );
}

int
hypercore_missing_nodes (hypercore_t *core, uint64_t index, uint64_t *nodes) {
  int err = ab__store_check(core->store);
  if (err < 0) return err;
  ab_node_source_t source = ab__core_nodes(core);
  ab__core_enter(core);
  err = ab_missing_nodes(&source, core->live.tree.length, index, nodes);
  ab__core_leave(core);
  return err;
}

/* ---- taking ---- */

/* A node that is stored already with the same content: staging it again would only cost. In a section. */
static bool
is_known (hypercore_t *core, const ab_node_t *node) {
  ab_node_source_t source = ab__core_nodes(core);
  ab_node_t stored;
  return source.get(source.data, node->index, &stored) == 0 && stored.size == node->size &&
         memcmp(stored.hash, node->hash, sizeof(node->hash)) == 0;
}

static void
drop_known_nodes (hypercore_t *core, ab_node_list_t *nodes) {
  size_t kept = 0;
  for (size_t i = 0; i < nodes->count; i++) {
    const ab_node_t *node = &nodes->nodes[i];
    bool replaces = false; /* the same index came up before in this proof, and the last one counts */
    for (size_t j = 0; j < kept && !replaces; j++) replaces = nodes->nodes[j].index == node->index;
    if (replaces || !is_known(core, node)) nodes->nodes[kept++] = *node;
  }
  nodes->count = kept;
}

/* All that can fail of taking a result: nothing has changed when it does. */
static int
prepare_result (
  hypercore_t *core, const ab_proof_result_t *result, bool has_block, ab_slice_t *stored, ab_buf_t *signature
) {
  uint64_t index = result->block_index;
  int err = ab__tail_reserve(&core->tail, 1, result->nodes.count);
  if (err == 0 && has_block) err = ab__bitfield_prepare_set(&core->bits, index, index + 1);
  if (err == 0 && result->grew) {
    ab_buf_append(signature, result->signature);
    err = signature->err;
  }
  if (err == 0 && has_block) {
    uint8_t *bytes = ab__tail_alloc(&core->tail, result->block.len);
    if (bytes == NULL) return AB_ENOMEM;
    if (result->block.len > 0) memcpy(bytes, result->block.data, result->block.len);
    *stored = ab_slice(bytes, result->block.len);
  }
  if (err == 0 && result->manifest != NULL) {
    err = ab__core_set_manifest(core, result->manifest);
    if (err < 0 && has_block) ab__tail_free(&core->tail, stored->data);
  }
  return err;
}

static int
take_result (hypercore_t *core, const ab_proof_result_t *result) {
  uint64_t index = result->block_index;
  bool has_block = result->has_block;
  if (has_block && index >= result->tree.length) return AB_EOPERATION;
  if (has_block) {
    bool has;
    int err = ab__bitfield_has(&core->bits, index, &has);
    if (err < 0) return err;
    if (has) has_block = false; /* the same bytes, by its hash */
  }

  size_t staged = core->tail.staged;
  ab_slice_t stored = {0};
  ab_buf_t signature = {0};
  int err = prepare_result(core, result, has_block, &stored, &signature);
  if (err < 0) {
    ab_buf_destroy(&signature);
    return err;
  }

  for (size_t i = 0; i < result->nodes.count; i++) ab__tail_put_node(&core->tail, &result->nodes.nodes[i]);
  if (has_block) {
    ab__tail_put_block(&core->tail, index, stored);
    uint64_t contiguous = core->bits.contiguous;
    ab__bitfield_set(&core->bits, index, index + 1);
    if (core->bits.contiguous != contiguous) core->tail.head_changed = true;
  }
  if (result->grew) {
    ab__tree_copy(&core->live.tree, &result->tree);
    ab_buf_destroy(&core->live.signature);
    core->live.signature = signature;
    core->live.is_signed = true;
    core->tail.head_changed = core->tail.content_changed = true;
  }
  if (result->manifest != NULL) core->tail.record_changed = true;
  if (!ab__tail_is_empty(&core->tail)) ab__core_touch(core, staged);
  if (has_block || result->grew || result->manifest != NULL) ab__core_tell(core);
  return 0;
}

/* Say why a proof of a peer was not taken; our own trouble passes up as it is. */
static int
refuse (hypercore_t *core, int err) {
  if (!ab_proof_is_invalid(err)) return err;
  char text[AB_KEY_TEXT_LEN + 1];
  ab_key_to_text(&core->key, text);
  return ab_store_fail(
    core->store,
    err,
    "a proof for core %s at length %llu, fork %llu is refused: %s",
    text,
    (unsigned long long) core->live.tree.length,
    (unsigned long long) core->live.tree.fork,
    ab_strerror(err)
  );
}

int
hypercore_apply_proof (hypercore_t *core, const ab_proof_t *proof, ab_proof_outcome_t *outcome) {
  int err = ab__store_check_write(core->store);
  if (err < 0) return err;
  ab_arena_t arena = {0};
  ab_proof_result_t result;
  ab_node_source_t nodes = ab__core_nodes(core);
  ab_reader_state_t own = {&core->live.tree, &core->key, core->manifest, false, &nodes};

  ab__core_enter(core);
  err = ab_proof_verify(&own, proof, &arena, &result);
  if (err == 0 && result.outcome == AB_PROOF_APPLIED) drop_known_nodes(core, &result.nodes);
  ab__core_leave(core);

  if (err == 0) *outcome = result.outcome;
  if (err == 0 && result.outcome == AB_PROOF_APPLIED) err = take_result(core, &result);
  ab_arena_destroy(&arena);
  return refuse(core, err);
}

/* ---- higher forks ---- */

int
hypercore_reorg_begin (hypercore_t *core, const ab_proof_t *proof, ab_arena_t *arena, ab_reorg_t *reorg) {
  int err = ab__store_check_write(core->store);
  if (err < 0) return err;
  ab_node_source_t nodes = ab__core_nodes(core);
  ab_reader_state_t own = {&core->live.tree, &core->key, core->manifest, false, &nodes};
  ab__core_enter(core);
  err = ab_reorg_begin(reorg, &own, proof, arena);
  ab__core_leave(core);
  return refuse(core, err);
}

int
hypercore_reorg_continue (hypercore_t *core, ab_reorg_t *reorg, const ab_proof_t *proof, bool *accepted) {
  int err = ab__store_check_write(core->store);
  if (err < 0) return err;
  ab_node_source_t nodes = ab__core_nodes(core);
  ab_reader_state_t own = {&core->live.tree, &core->key, core->manifest, false, &nodes};
  ab__core_enter(core);
  err = ab_reorg_continue(reorg, &own, proof, accepted);
  ab__core_leave(core);
  return refuse(core, err);
}

int
hypercore_reorg (hypercore_t *core, const ab_reorg_t *reorg) {
  int err = ab__store_check_write(core->store);
  if (err < 0) return err;
  if (!reorg->done || !ab_reorg_is_current(reorg, &core->live.tree)) {
    return ab_store_fail(
      core->store, AB_EOPERATION, "the core changed while its new fork was looked into; begin again"
    );
  }

  ab_buf_t signature = {0};
  ab_buf_append(&signature, reorg->signature);
  err = signature.err;
  if (err == 0) err = ab__tail_reserve(&core->tail, 0, reorg->nodes.count);
  if (err == 0) err = ab__core_prepare_cut(core, reorg->ancestors);
  if (err == 0 && reorg->manifest != NULL) err = ab__core_set_manifest(core, reorg->manifest);
  if (err < 0) {
    ab_buf_destroy(&signature);
    return err;
  }

  ab_tree_t shared = {.length = reorg->ancestors}; /* only its length is read */
  ab__core_cut(core, &shared);
  size_t staged = core->tail.staged;
  if (reorg->ancestors < core->tail.cut) core->tail.cut = reorg->ancestors;
  for (size_t i = 0; i < reorg->nodes.count; i++) ab__tail_put_node(&core->tail, &reorg->nodes.nodes[i]);
  ab__tree_copy(&core->live.tree, &reorg->tree);
  ab_buf_destroy(&core->live.signature);
  core->live.signature = signature;
  core->live.is_signed = true;
  core->base = core->live.tree.length; /* what it replaces is gone: there is no way back */
  core->tail.head_changed = core->tail.content_changed = true;
  if (reorg->manifest != NULL) core->tail.record_changed = true;
  ab__core_touch(core, staged);
  ab__core_settle_cut(core);
  ab__core_tell(core);
  return 0;
}

/* ---- pulling ---- */

/* One request and its answer, both through their wire forms. */
static int
ask (hypercore_t *to, hypercore_t *from, const ab_request_t *request, ab_arena_t *arena, ab_proof_t *proof) {
  ab_buf_t message = {0}, answer = {0};
  ab_slice_t received;
  ab_request_t decoded;

  ab_request_encode(&message, request);
  int err = message.err;
  if (err == 0) err = ab_request_decode(ab_buf_slice(&message), &decoded);
  if (err == 0) err = hypercore_prove(from, &decoded, arena, proof);
  if (err < 0 && from->store != to->store) ab_store_fail(to->store, err, "%s", from->store->message);
  if (err == 0) {
    ab_proof_encode(&answer, proof);
    err = answer.err;
  }
  if (err == 0)
    err = ab_arena_copy(arena, ab_buf_slice(&answer), &received); /* what is decoded points into it */
  if (err == 0) err = ab_proof_decode(received, arena, proof);
  ab_buf_destroy(&message);
  ab_buf_destroy(&answer);
  return err;
}

static int
exchange (hypercore_t *to, hypercore_t *from, const ab_request_t *request) {
  ab_arena_t arena = {0};
  ab_proof_t proof;
  ab_proof_outcome_t outcome = AB_PROOF_APPLIED;
  int err = ask(to, from, request, &arena, &proof);
  if (err == 0) err = hypercore_apply_proof(to, &proof, &outcome);
  if (err == 0 && outcome == AB_PROOF_IGNORED) {
    err = ab_store_fail(
      to->store,
      AB_EOPERATION,
      "the proof is of fork %llu, the core here of fork %llu",
      (unsigned long long) proof.fork,
      (unsigned long long) to->live.tree.fork
    );
  }
  ab_arena_destroy(&arena);
  return err;
}

static int
pull_fork_inside (hypercore_t *to, hypercore_t *from, ab_arena_t *arena) {
  ab_proof_t proof;
  ab_reorg_t reorg = {0};
  ab_request_t request = {.id = 1, .fork = from->committed.tree.fork, .has_upgrade = true};
  request.wants_manifest = to->manifest == NULL;
  request.upgrade.length = from->committed.tree.length;
  int err = ask(to, from, &request, arena, &proof);
  if (err == 0) err = hypercore_reorg_begin(to, &proof, arena, &reorg);
  while (err == 0 && !reorg.done) {
    bool accepted = true;
    request = (ab_request_t){.id = 1, .fork = from->committed.tree.fork, .has_hash = true};
    request.hash.index = 2 * reorg.want_start;
    request.hash.nodes = reorg.want_nodes;
    err = ask(to, from, &request, arena, &proof);
    if (err == 0) err = hypercore_reorg_continue(to, &reorg, &proof, &accepted);
    if (err == 0 && !accepted) err = AB_EOPERATION;
  }
  return err < 0 ? err : hypercore_reorg(to, &reorg);
}

/* An empty core proves nothing, so its fork cannot be taken over. */
static int
pull_fork (hypercore_t *to, hypercore_t *from) {
  if (from->committed.tree.fork <= to->live.tree.fork || from->committed.tree.length == 0) return 0;
  ab_arena_t arena = {0};
  int err = pull_fork_inside(to, from, &arena);
  ab_arena_destroy(&arena);
  return err;
}

static int
pull_upgrade (hypercore_t *to, hypercore_t *from, uint64_t length) {
  uint64_t have = to->live.tree.length, committed = from->committed.tree.length;
  if (length == 0 || length > committed) length = committed;
  if (length <= have) return 0;
  ab_request_t request = {
    .id = 1, .fork = to->live.tree.fork, .has_upgrade = true, .wants_manifest = to->manifest == NULL};
  request.upgrade.start = have;
  request.upgrade.length = length - have;
  return exchange(to, from, &request);
}

static int
pull_block (hypercore_t *to, hypercore_t *from, uint64_t index) {
  ab_slice_t stored;
  ab__core_enter(from);
  int err = ab__core_committed_block(from, index, &stored);
  ab__core_leave(from);
  if (err == AB_ENOTFOUND) return 0; /* it does not have this one either */
  if (err < 0) return err;

  ab_request_t request = {.id = 1, .fork = to->live.tree.fork, .has_block = true};
  request.block.index = index;
  err = hypercore_missing_nodes(to, index, &request.block.nodes);
  return err < 0 ? err : exchange(to, from, &request);
}

static int
different_cores (hypercore_t *to, const hypercore_t *from) {
  char expected[AB_KEY_TEXT_LEN + 1], found[AB_KEY_TEXT_LEN + 1];
  ab_key_to_text(&to->key, expected);
  ab_key_to_text(&from->key, found);
  return ab_store_fail(
    to->store, AB_ECONFLICT, "different cores: %s cannot be pulled into %s", found, expected
  );
}

int
hypercore_pull (hypercore_t *to, hypercore_t *from, uint64_t length, uint64_t start, uint64_t end) {
  int err = ab__store_check_write(to->store);
  if (err < 0) return err;
  if (!ab_key_equal(&to->key, &from->key)) return different_cores(to, from);
  if ((err = pull_fork(to, from)) < 0) return err;
  if ((err = pull_upgrade(to, from, length)) < 0) return err;

  if (end > to->live.tree.length) end = to->live.tree.length;
  while (start < end) {
    uint64_t index;
    if ((err = ab__bitfield_find(&to->bits, start, end, false, &index)) < 0) return err;
    if (index == end) return 0;
    if ((err = pull_block(to, from, index)) < 0) return err;
    start = index + 1;
  }
  return 0;
}

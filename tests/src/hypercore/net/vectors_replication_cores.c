/* vectors_replication_cores.c: what cores prove, take and say, against the recorded ones. */
#include <stdlib.h>

#include "hypercore/core.h"
#include "hypercore/crypto.h"
#include "hypercore/net/net.h"
#include "hypercore/net/raw_peer.h"
#include "hypercore/recorded.h"
#include "support/vectors.h"

static ab_store_t *
new_store (void) {
  ab_store_t *store = NULL;
  char message[256] = "";
  if (!check_err("store", 0, ab_store_open(NULL, NULL, &store, message, sizeof(message)))) exit(1);
  return store;
}

static hypercore_t *
reader_of (ab_store_t *store, const ab_key_t *key) {
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core = NULL;
  options.key = key;
  check_err("open", 0, hypercore_open(store, &options, &core));
  return core;
}

static hypercore_t *
writer_of (ab_store_t *store, const json_t *item) {
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core = NULL;
  ab_key_pair_t pair;
  recorded_key_pair(item, "signerSeed", &pair);
  options.key_pair = &pair;
  check_err("open", 0, hypercore_open(store, &options, &core));
  return core;
}

static void
append_all (hypercore_t *core, const json_t *blocks) {
  size_t i;
  json_t *block;
  json_array_foreach(blocks, i, block) {
    ab_slice_t bytes = vectors_bytes(block);
    check_err("append", 0, hypercore_append(core, &bytes, 1, NULL));
  }
  check_err("commit", 0, ab_store_commit(hypercore_store(core)));
}

/* Decode, verify, stage and commit. */
static int
apply (hypercore_t *core, ab_slice_t data, ab_proof_outcome_t *outcome) {
  ab_arena_t arena = {0};
  ab_proof_t proof;
  int err = ab_proof_decode(data, &arena, &proof);
  if (err == 0) err = hypercore_apply_proof(core, &proof, outcome);
  ab_arena_destroy(&arena);
  if (err == 0) check_err("commit", 0, ab_store_commit(hypercore_store(core)));
  return err;
}

static bool
has_node (hypercore_t *core, uint64_t index) {
  ab_node_t node;
  ab__core_enter(core);
  ab_node_source_t source = ab__core_nodes(core);
  int err = source.get(source.data, index, &node);
  ab__core_leave(core);
  return err == 0;
}

/* ---- proofs.json ---- */

static void
check_core (const json_t *item, hypercore_t *core) {
  uint8_t hash[32];
  ab_slice_t signature;
  size_t i;
  json_t *node;
  check_bytes("key", vectors_get_bytes(item, "key"), ab_key_slice(hypercore_key(core)));
  check_bytes(
    "discovery key", vectors_get_bytes(item, "discoveryKey"), ab_key_slice(hypercore_discovery_key(core))
  );
  check_bytes("manifest", vectors_get_bytes(item, "manifest"), hypercore_manifest(core));
  check_uint("length", vectors_get_uint(item, "length"), hypercore_length(core));
  check_uint("byteLength", vectors_get_uint(item, "byteLength"), hypercore_byte_length(core));
  check_err("tree hash", 0, hypercore_tree_hash(core, hypercore_length(core), hash));
  check_bytes("tree hash", vectors_get_bytes(item, "treeHash"), ab_slice(hash, 32));
  check_err("signature", 0, hypercore_signature(core, &signature));
  check_bytes("signature", vectors_get_bytes(item, "signature"), signature);
  json_array_foreach(vectors_get(item, "nodes"), i, node) {
    ab_node_t expected, found = {0};
    expected.index = vectors_uint(json_array_get(node, 0));
    expected.size = vectors_uint(json_array_get(node, 1));
    memcpy(expected.hash, vectors_bytes(json_array_get(node, 2)).data, sizeof(expected.hash));
    ab__core_enter(core);
    ab_node_source_t source = ab__core_nodes(core);
    check_err("node", 0, source.get(source.data, expected.index, &found));
    ab__core_leave(core);
    check_uint("size", expected.size, found.size);
    check_bytes("hash", ab_slice(expected.hash, 32), ab_slice(found.hash, 32));
  }
}

static void
run_request (hypercore_t *core, const json_t *item) {
  ab_request_t request;
  ab_arena_t arena = {0};
  ab_proof_t proof;
  ab_buf_t out = {0};
  check_err("decode", 0, ab_request_decode(vectors_get_bytes(item, "requestBytes"), &request));
  ab_request_encode(&out, &request);
  check_bytes("request", vectors_get_bytes(item, "requestBytes"), ab_buf_slice(&out));
  ab_buf_reset(&out);
  int err = hypercore_prove(core, &request, &arena, &proof);
  bool ignored = vectors_has(item, "seekIgnored") && vectors_get_bool(item, "seekIgnored");
  if (ignored) {
    check_that(err == 0 || err == AB_EOPERATION);
  } else if (!vectors_has(item, "data")) {
    check_err("prove", AB_EOPERATION, err);
  } else if (check_err("prove", 0, err)) {
    ab_proof_encode(&out, &proof);
    check_bytes("data", vectors_get_bytes(item, "data"), ab_buf_slice(&out));
  }
  ab_buf_destroy(&out);
  ab_arena_destroy(&arena);
}

static const json_t *
core_named_by (const json_t *cores, const char *key) {
  size_t i;
  json_t *item;
  json_array_foreach(cores, i, item) {
    if (strcmp(vectors_get_text(item, "key"), key) == 0) return item;
  }
  return NULL;
}

static void
check_after (const json_t *after, hypercore_t *core) {
  size_t i;
  json_t *item;
  uint64_t length = vectors_get_uint(after, "length");
  check_uint("length", length, hypercore_length(core));
  check_uint("byteLength", vectors_get_uint(after, "byteLength"), hypercore_byte_length(core));
  check_uint("fork", vectors_get_uint(after, "fork"), hypercore_fork(core));
  check_uint("contiguous", vectors_get_uint(after, "contiguousLength"), hypercore_contiguous_length(core));
  if (check_uint("roots", json_array_size(vectors_get(after, "roots")), core->live.tree.root_count)) {
    json_array_foreach(vectors_get(after, "roots"), i, item) {
      check_uint("root", vectors_uint(item), core->live.tree.roots[i].index);
    }
  }
  size_t stored = 0, held = 0;
  json_array_foreach(vectors_get(after, "treeNodesStored"), i, item) {
    if (!has_node(core, vectors_uint(item)))
      vectors_fail("node %zu is not stored", (size_t) vectors_uint(item));
  }
  for (uint64_t index = 0; index < 2 * length + 2; index++) stored += has_node(core, index) ? 1 : 0;
  check_uint("nodes stored", json_array_size(vectors_get(after, "treeNodesStored")), stored);
  json_array_foreach(vectors_get(after, "blocks"), i, item) {
    check_that(hypercore_has(core, vectors_uint(item), vectors_uint(item) + 1));
  }
  for (uint64_t index = 0; index < length; index++) held += hypercore_has(core, index, index + 1) ? 1 : 0;
  check_uint("blocks held", json_array_size(vectors_get(after, "blocks")), held);
}

/* One reader, and the writer that answers it, where the recording has its seed. */
static void
run_reader (const json_t *reader, const json_t *cores) {
  ab_store_t *store = new_store(), *other = new_store();
  ab_key_t key;
  size_t i;
  json_t *step;
  vectors_get_key(reader, "core", &key);
  hypercore_t *core = reader_of(store, &key), *writer = writer_of(other, reader);
  const json_t *known = core_named_by(cores, vectors_get_text(reader, "core"));
  check_bytes("key", ab_key_slice(&key), ab_key_slice(hypercore_key(writer)));
  if (known != NULL) append_all(writer, vectors_get(known, "blocks"));
  json_array_foreach(vectors_get(reader, "steps"), i, step) {
    const json_t *what = vectors_get(step, "step");
    ab_proof_outcome_t outcome;
    ab_request_t request;
    if (vectors_has(what, "append")) append_all(writer, vectors_get(what, "append"));
    check_err("decode", 0, ab_request_decode(vectors_get_bytes(step, "requestBytes"), &request));
    if (request.has_block && request.block.index < hypercore_length(core)) {
      uint64_t nodes;
      check_err("missing", 0, hypercore_missing_nodes(core, request.block.index, &nodes));
      check_uint("nodes", request.block.nodes, nodes);
    }
    run_request(writer, step);
    int err = apply(core, vectors_get_bytes(step, "data"), &outcome);
    check_that((err == 0 && outcome == AB_PROOF_APPLIED) == vectors_get_bool(step, "accepted"));
    check_after(vectors_get(step, "after"), core);
  }
  ab_store_close(store);
  ab_store_close(other);
}

static void
run_verify (const json_t *verify, const json_t *item) {
  ab_store_t *store = new_store();
  ab_key_t key;
  size_t i;
  json_t *data;
  ab_proof_outcome_t outcome = AB_PROOF_IGNORED;
  const char *expected = vectors_get_text(item, "outcome");
  vectors_get_key(vectors_get(verify, "core"), "key", &key);
  hypercore_t *core = reader_of(store, &key);
  json_array_foreach(vectors_get(item, "prepare"), i, data) {
    check_err("prepare", 0, apply(core, vectors_bytes(data), &outcome));
  }
  check_uint("length before", vectors_get_uint(item, "lengthBefore"), hypercore_length(core));
  outcome = AB_PROOF_IGNORED;
  int err = apply(core, vectors_get_bytes(item, "data"), &outcome);
  if (strcmp(expected, "accepted") == 0) {
    check_err("apply", 0, err);
    check_that(outcome == AB_PROOF_APPLIED);
  } else if (strcmp(expected, "ignored") == 0) {
    check_err("apply", 0, err);
    check_that(outcome == AB_PROOF_IGNORED);
  } else if (strcmp(expected, "Error") == 0) {
    check_that(err < 0);
  } else {
    check_err("apply", recorded_error(expected), err);
  }
  check_uint("length after", vectors_get_uint(item, "lengthAfter"), hypercore_length(core));
  size_t held = 0;
  for (uint64_t index = 0; index < hypercore_length(core); index++)
    held += hypercore_has(core, index, index + 1);
  check_uint("blocks after", json_array_size(vectors_get(item, "blocksAfter")), held);
  ab_store_close(store);
}

static void
run_proofs (const char *file, json_t *root) {
  const json_t *cores = vectors_get(root, "cores"), *verify = vectors_get(root, "verify");
  size_t i, j;
  json_t *item, *list;
  (void) file;
  json_array_foreach(cores, i, item) {
    vectors_begin(NULL, "cores", "%zu", i);
    ab_store_t *store = new_store();
    hypercore_t *core = writer_of(store, item);
    append_all(core, vectors_get(item, "blocks"));
    check_core(item, core);
    ab_store_close(store);
  }
  json_array_foreach(vectors_get(root, "requests"), i, list) {
    ab_store_t *store = new_store();
    const json_t *known = core_named_by(cores, vectors_get_text(list, "core"));
    hypercore_t *core = writer_of(store, known);
    append_all(core, vectors_get(known, "blocks"));
    json_array_foreach(vectors_get(list, "cases"), j, item) {
      vectors_begin(NULL, "requests", "%zu, %zu", i, j);
      run_request(core, item);
    }
    ab_store_close(store);
  }
  json_array_foreach(vectors_get(root, "readers"), i, item) {
    vectors_begin(NULL, "readers", "%zu: %s", i, vectors_get_text(item, "name"));
    run_reader(item, cores);
  }
  json_array_foreach(vectors_get(verify, "cases"), i, item) {
    vectors_begin(NULL, "verify", "%s", vectors_get_text(item, "name"));
    run_verify(verify, item);
  }
}

/* ---- serving.json ---- */

static void
change (hypercore_t *core, const json_t *what) {
  uint64_t at;
  if (vectors_has(what, "append")) {
    append_all(core, vectors_get(what, "append"));
  } else if (vectors_has(what, "truncate")) {
    check_err("truncate", 0, hypercore_truncate(core, vectors_get_uint(what, "truncate"), 0));
  } else {
    at = vectors_get_uint(what, "clear");
    check_err("clear", 0, hypercore_clear(core, at, at + 1));
    check_err("commit", 0, ab_store_commit(hypercore_store(core)));
    hypercore_announce_clear(core, at, at + 1);
  }
  check_err("commit", 0, ab_store_commit(hypercore_store(core)));
}

typedef struct {
  uint64_t type;
  ab_slice_t bytes;
} said_t;

/* Messages of one kind (Sync, or all others), without repeated identical Syncs. */
static size_t
filter (const said_t *from, size_t count, bool syncs, said_t *to) {
  size_t kept = 0;
  for (size_t i = 0; i < count; i++) {
    if ((from[i].type == AB__SYNC) != syncs) continue;
    if (syncs && kept > 0 && ab_slice_equal(to[kept - 1].bytes, from[i].bytes)) continue;
    to[kept++] = from[i];
  }
  return kept;
}

static void
compare (const said_t *expected, size_t expected_count, const said_t *found, size_t found_count, bool syncs) {
  said_t a[256], b[256];
  size_t a_count = filter(expected, expected_count, syncs, a), b_count = filter(found, found_count, syncs, b);
  for (size_t i = 0; i < a_count && i < b_count; i++) {
    check_uint("type", a[i].type, b[i].type);
    check_bytes(syncs ? "sync" : "message", a[i].bytes, b[i].bytes);
  }
  check_uint(syncs ? "syncs" : "messages", a_count, b_count);
}

static uint64_t
type_of (const char *name) {
  static const char *const names[] = {
    "sync", "request", "cancel", "data", "noData", "want", "unwant", "bitfield", "range", "extension"};
  for (uint64_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
    if (strcmp(names[i], name) == 0) return i;
  }
  vectors_fail("unknown message %s", name);
  return 99;
}

static void
run_serving_case (const json_t *item) {
  ab_store_t *store = new_store();
  ab_stream_t *stream = NULL;
  hypercore_follow_t follow = {0};
  raw_peer_t peer;
  said_t expected[256], found[256];
  size_t expected_count = 0, found_count, i, j;
  json_t *step, *message;
  const json_t *recorded = vectors_get(item, "core");
  bool closes = false;

  hypercore_t *core = writer_of(store, recorded);
  json_array_foreach(vectors_get(recorded, "history"), i, step) change(core, step);
  check_bytes("key", vectors_get_bytes(recorded, "key"), ab_key_slice(hypercore_key(core)));
  check_uint("length", vectors_get_uint(recorded, "length"), hypercore_length(core));
  check_uint("fork", vectors_get_uint(recorded, "fork"), hypercore_fork(core));
  check_uint("contiguous", vectors_get_uint(recorded, "contiguousLength"), hypercore_contiguous_length(core));
  if (strcmp(vectors_get_text(item, "name"), "nobody downloads") != 0) {
    check_err("follow", 0, hypercore_follow(&follow, core));
  }
  raw_peer_init(&peer, true, 1);
  check_err("stream", 0, ab_stream_open(store, NULL, &stream));
  raw_peer_run(&peer, stream);
  check_that(peer.is_open);
  raw_peer_open(&peer, hypercore_key(core), NULL);
  raw_peer_run(&peer, stream);
  check_that(peer.paired);

  json_array_foreach(vectors_get(item, "steps"), i, step) {
    json_array_foreach(vectors_get(step, "send"), j, message) {
      raw_peer_send(&peer, type_of(vectors_get_text(message, "type")), vectors_get_bytes(message, "bytes"));
    }
    if (vectors_has(step, "local")) change(core, vectors_get(step, "local"));
    size_t before = peer.count;
    raw_peer_run(&peer, stream);
    json_array_foreach(vectors_get(step, "expect"), j, message) {
      expected[expected_count++] =
        (said_t){type_of(vectors_get_text(message, "type")), vectors_get_bytes(message, "bytes")};
    }
    if (vectors_has(step, "connectionClosed") && vectors_get_bool(step, "connectionClosed")) {
      peer.count = before; /* for lack of a node, which we have */
      break;
    }
    closes = vectors_has(step, "channelClosed") && vectors_get_bool(step, "channelClosed");
    check_that(peer.closed == closes);
  }
  if (ab_stream_status(stream) != 0) vectors_fail("the stream ended: %s", ab_stream_message(stream));
  for (found_count = 0; found_count < peer.count && found_count < 256; found_count++) {
    found[found_count] = (said_t){peer.messages[found_count].type, peer.messages[found_count].payload};
  }
  compare(expected, expected_count, found, found_count, true);
  compare(expected, expected_count, found, found_count, false);
  raw_peer_destroy(&peer);
  ab_stream_close(stream);
  hypercore_unfollow(&follow);
  ab_store_close(store);
}

static void
run_serving (const char *file, json_t *root) {
  size_t i;
  json_t *item;
  (void) file;
  json_array_foreach(vectors_get(root, "cases"), i, item) {
    vectors_begin(NULL, "cases", "%s", vectors_get_text(item, "name"));
    run_serving_case(item);
  }
}

int
main (int argc, char **argv) {
  static const vectors_runner_t runners[] = {{"proofs.json", run_proofs}, {"serving.json", run_serving}};
  return vectors_main(argc, argv, "replication", runners, sizeof(runners) / sizeof(*runners));
}

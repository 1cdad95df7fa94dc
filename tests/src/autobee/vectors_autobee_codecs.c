/* vectors_autobee_codecs.c: encodings, encryption, witness and order. For scenarios: vectors_autobee.c. */
#include "autobee/anchor.h"
#include "autobee/encryption.h"
#include "autobee/oplog.h"
#include "autobee/order.h"
#include "autobee/record.h"
#include "autobee/witness.h"
#include "hypercore/crypto.h"
#include "hypercore/manifest.h"
#include "support/vectors.h"

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- from JSON ---- */

static void
get_head (const json_t *object, ab_head_t *out) {
  vectors_get_key(object, "key", &out->key);
  out->length = vectors_get_uint(object, "length");
}

static const ab_head_t *
get_heads (const json_t *list, ab_arena_t *arena, size_t *count) {
  *count = json_array_size(list);
  ab_head_t *heads = ab_arena_alloc(arena, *count, sizeof(*heads));
  for (size_t i = 0; i < *count; i++) get_head(json_array_get(list, i), &heads[i]);
  return heads;
}

static void
get_range (const json_t *object, oplog_range_t *out) {
  vectors_get_key(object, "key", &out->key);
  out->start = vectors_get_uint(object, "start");
  out->length = vectors_get_uint(object, "length");
}

static void
get_signature (const json_t *object, uint8_t out[AB_SIGNATURE_LEN]) {
  ab_slice_t bytes = vectors_get_bytes(object, "signature");
  if (check_uint("signature length", AB_SIGNATURE_LEN, bytes.len)) memcpy(out, bytes.data, AB_SIGNATURE_LEN);
}

static void
get_backer (const json_t *object, oplog_witness_t *out) {
  get_head(object, &out->backer);
  get_signature(object, out->signature);
  out->manifest = vectors_get_bytes(object, "manifest");
}

static void
get_witness (const json_t *object, oplog_witness_t *out) {
  out->weight = vectors_get_uint(object, "weight");
  get_backer(vectors_get(object, "backer"), out);
}

static void
get_attestation (const json_t *object, oplog_attestation_t *out) {
  vectors_get_key(object, "key", &out->subject);
  out->weight = vectors_get_uint(object, "weight");
  get_signature(object, out->signature);
}

static void
get_trusted (const json_t *object, oplog_trusted_t *out) {
  get_head(object, &out->head);
  out->flushes = vectors_get_uint(object, "flushes");
}

static void
get_message_lists (const json_t *object, ab_arena_t *arena, oplog_message_t *out) {
  out->links = get_heads(vectors_get(object, "links"), arena, &out->link_count);

  const json_t *list = vectors_get(object, "attestations");
  out->has_attestations = json_is_array(list);
  out->attestation_count = json_array_size(list);
  oplog_attestation_t *attestations = ab_arena_alloc(arena, out->attestation_count, sizeof(*attestations));
  for (size_t i = 0; i < out->attestation_count; i++) {
    get_attestation(json_array_get(list, i), &attestations[i]);
  }
  out->attestations = attestations;

  list = vectors_get(object, "trusted");
  out->has_trusted = json_is_array(list);
  out->trusted_count = json_array_size(list);
  oplog_trusted_t *trusted = ab_arena_alloc(arena, out->trusted_count, sizeof(*trusted));
  for (size_t i = 0; i < out->trusted_count; i++) get_trusted(json_array_get(list, i), &trusted[i]);
  out->trusted = trusted;
}

static void
get_message (const json_t *object, ab_arena_t *arena, oplog_message_t *out) {
  memset(out, 0, sizeof(*out));
  out->timestamp_ms = vectors_get_uint(object, "timestamp");
  if (vectors_has(object, "batch")) {
    out->batch_start = vectors_get_uint(vectors_get(object, "batch"), "start");
    out->batch_end = vectors_get_uint(vectors_get(object, "batch"), "end");
  }
  out->has_views = vectors_has(object, "views");
  if (out->has_views) {
    const json_t *views = vectors_get(object, "views");
    out->flushes = vectors_get_uint(views, "flushes");
    get_range(vectors_get(views, "system"), &out->system);
    out->has_view_range = vectors_has(views, "view");
    if (out->has_view_range) get_range(vectors_get(views, "view"), &out->view);
  }
  out->optimistic = vectors_get_bool(object, "optimistic");
  out->has_value = vectors_has(object, "value");
  if (out->has_value) out->value = vectors_get_bytes(object, "value");
  out->has_witness = vectors_has(object, "witness");
  if (out->has_witness) get_witness(vectors_get(object, "witness"), &out->witness);
  get_message_lists(object, arena, out);
}

static void
get_info (const json_t *object, ab_arena_t *arena, record_info_t *out) {
  memset(out, 0, sizeof(*out));
  out->timestamp_ms = vectors_get_uint(object, "timestamp");
  out->flushes = vectors_get_uint(object, "flushes");
  get_head(vectors_get(object, "view"), &out->view);
  out->heads = get_heads(vectors_get(object, "heads"), arena, &out->head_count);
  out->has_indexers = vectors_has(object, "indexers");
  if (out->has_indexers)
    out->indexers = get_heads(vectors_get(object, "indexers"), arena, &out->indexer_count);
}

static void
get_writer (const json_t *object, record_writer_t *out) {
  memset(out, 0, sizeof(*out));
  out->weight = vectors_get_uint(object, "weight");
  out->length = vectors_get_uint(object, "length");
  if (vectors_get_uint(object, "version") < RECORD_WRITER_VERSION) {
    out->is_removed = vectors_get_uint(object, "isRemoved") != 0;
    return;
  }
  out->max_weight = vectors_get_uint(object, "maxWeight");
  out->clock = vectors_get_uint(object, "clock");
  out->timestamp_ms = vectors_get_int(object, "timestamp");
  out->is_removed = vectors_get_bool(object, "isRemoved");
  out->is_oplog = vectors_get_bool(object, "isOplog");
  out->is_genesis = vectors_get_bool(object, "isGenesis");
  out->is_anchor = vectors_get_bool(object, "isAnchor");
}

/* ---- comparing ---- */

static void
check_heads (
  const char *what, const ab_head_t *expected, size_t count, const ab_head_t *found, size_t found_count
) {
  if (!check_uint(what, count, found_count)) return;
  for (size_t i = 0; i < count; i++) {
    check_bytes(what, ab_key_slice(&expected[i].key), ab_key_slice(&found[i].key));
    check_uint(what, expected[i].length, found[i].length);
  }
}

static void
check_range (const char *what, const oplog_range_t *expected, const oplog_range_t *found) {
  check_bytes(what, ab_key_slice(&expected->key), ab_key_slice(&found->key));
  check_uint(what, expected->start, found->start);
  check_uint(what, expected->length, found->length);
}

static void
check_signature (const uint8_t expected[AB_SIGNATURE_LEN], const uint8_t found[AB_SIGNATURE_LEN]) {
  check_bytes("signature", ab_slice(expected, AB_SIGNATURE_LEN), ab_slice(found, AB_SIGNATURE_LEN));
}

static void
check_witness (const oplog_witness_t *expected, const oplog_witness_t *found) {
  check_uint("witness weight", expected->weight, found->weight);
  check_heads("backer", &expected->backer, 1, &found->backer, 1);
  check_signature(expected->signature, found->signature);
  check_bytes("manifest", expected->manifest, found->manifest);
}

static void
check_message (const oplog_message_t *expected, const oplog_message_t *found) {
  check_uint("timestamp", expected->timestamp_ms, found->timestamp_ms);
  check_heads("links", expected->links, expected->link_count, found->links, found->link_count);
  check_uint("batch start", expected->batch_start, found->batch_start);
  check_uint("batch end", expected->batch_end, found->batch_end);
  check_uint("has views", expected->has_views, found->has_views);
  check_uint("has view range", expected->has_view_range, found->has_view_range);
  check_uint("flushes", expected->flushes, found->flushes);
  check_range("system", &expected->system, &found->system);
  check_range("view", &expected->view, &found->view);
  check_uint("optimistic", expected->optimistic, found->optimistic);
  check_uint("has value", expected->has_value, found->has_value);
  check_bytes("value", expected->value, found->value);
  if (check_uint("has witness", expected->has_witness, found->has_witness) && found->has_witness) {
    check_witness(&expected->witness, &found->witness);
  }
  check_uint("has attestations", expected->has_attestations, found->has_attestations);
  if (check_uint("attestations", expected->attestation_count, found->attestation_count)) {
    for (size_t i = 0; i < found->attestation_count; i++) {
      const oplog_attestation_t *a = &expected->attestations[i];
      const oplog_attestation_t *b = &found->attestations[i];
      check_bytes("subject", ab_key_slice(&a->subject), ab_key_slice(&b->subject));
      check_uint("attested weight", a->weight, b->weight);
      check_signature(a->signature, b->signature);
    }
  }
  check_uint("has trusted", expected->has_trusted, found->has_trusted);
  if (check_uint("trusted", expected->trusted_count, found->trusted_count)) {
    for (size_t i = 0; i < found->trusted_count; i++) {
      check_heads("trusted", &expected->trusted[i].head, 1, &found->trusted[i].head, 1);
      check_uint("trusted flushes", expected->trusted[i].flushes, found->trusted[i].flushes);
    }
  }
}

static void
check_writer (const record_writer_t *expected, const record_writer_t *found) {
  check_uint("weight", expected->weight, found->weight);
  check_uint("maxWeight", expected->max_weight, found->max_weight);
  check_uint("length", expected->length, found->length);
  check_uint("clock", expected->clock, found->clock);
  check_int("timestamp", expected->timestamp_ms, found->timestamp_ms);
  check_uint("isRemoved", expected->is_removed, found->is_removed);
  check_uint("isOplog", expected->is_oplog, found->is_oplog);
  check_uint("isGenesis", expected->is_genesis, found->is_genesis);
  check_uint("isAnchor", expected->is_anchor, found->is_anchor);
}

static void
check_encoded (ab_slice_t expected, ab_buf_t *found) {
  check_err("encode", 0, found->err);
  check_bytes("encoded", expected, ab_buf_slice(found));
  ab_buf_destroy(found);
}

/* ---- encodings: top-level values ---- */

static void
encode_message (const oplog_message_t *message, ab_slice_t hex) {
  ab_buf_t out = {0};
  autobee__oplog_encode(&out, message);
  check_uint("size", out.len, autobee__oplog_size(message));
  check_encoded(hex, &out);
}

static void
decode_message (ab_slice_t hex, const oplog_message_t *expected) {
  ab_arena_t arena = {0};
  oplog_message_t found;
  if (check_err("decode", 0, autobee__oplog_decode(hex, &arena, &found))) check_message(expected, &found);
  ab_arena_destroy(&arena);
}

static void
run_oplog (const json_t *value, ab_slice_t hex, const json_t *decoded, ab_arena_t *arena) {
  oplog_message_t message;
  if (json_is_object(value)) {
    get_message(value, arena, &message);
    encode_message(&message, hex);
  }
  get_message(decoded, arena, &message);
  decode_message(hex, &message);
}

/* The README lets a first implementation leave out what only the previous generation wrote. */
static void
run_legacy_oplog (const json_t *value, ab_slice_t hex, const json_t *decoded, ab_arena_t *arena) {
  oplog_message_t message;
  (void) value;
  (void) decoded;
  vectors_tag("previous-generation");
  check_err("decode", 0, autobee__oplog_decode(hex, arena, &message));
}

static void
run_info (const json_t *value, ab_slice_t hex, const json_t *decoded, ab_arena_t *arena) {
  record_info_t info, found;
  if (vectors_get_uint(decoded, "version") < RECORD_INFO_VERSION) {
    vectors_tag("previous-generation");
    check_err("decode", 0, autobee__record_info_decode(hex, arena, &found));
    return;
  }
  if (json_is_object(value)) {
    ab_buf_t out = {0};
    get_info(value, arena, &info);
    autobee__record_info_encode(&out, &info);
    check_encoded(hex, &out);
  }
  get_info(decoded, arena, &info);
  if (!check_err("decode", 0, autobee__record_info_decode(hex, arena, &found))) return;
  check_uint("timestamp", info.timestamp_ms, found.timestamp_ms);
  check_uint("flushes", info.flushes, found.flushes);
  check_heads("view", &info.view, 1, &found.view, 1);
  check_heads("heads", info.heads, info.head_count, found.heads, found.head_count);
  check_uint("has indexers", info.has_indexers, found.has_indexers);
  check_heads("indexers", info.indexers, info.indexer_count, found.indexers, found.indexer_count);
}

static void
run_writer (const json_t *value, ab_slice_t hex, const json_t *decoded, ab_arena_t *arena) {
  record_writer_t record, found;
  (void) arena;
  if (json_is_object(value)) {
    ab_buf_t out = {0};
    get_writer(value, &record);
    autobee__record_writer_encode(&out, &record);
    check_encoded(hex, &out);
  }
  get_writer(decoded, &record);
  if (check_err("decode", 0, autobee__record_writer_decode(hex, &found))) check_writer(&record, &found);
}

static void
run_link (const json_t *value, ab_slice_t hex, const json_t *decoded, ab_arena_t *arena) {
  ab_head_t link, found;
  (void) arena;
  if (json_is_object(value)) {
    ab_buf_t out = {0};
    get_head(value, &link);
    autobee__record_link_encode(&out, &link);
    check_encoded(hex, &out);
  }
  get_head(decoded, &link);
  if (check_err("decode", 0, autobee__record_link_decode(hex, &found)))
    check_heads("link", &link, 1, &found, 1);
}

static void
run_uint (const json_t *value, ab_slice_t hex, const json_t *decoded, ab_arena_t *arena) {
  uint64_t found;
  ab_buf_t out = {0};
  (void) arena;
  ab_write_uint(&out, vectors_uint(value));
  check_encoded(hex, &out);
  if (check_err("decode", 0, autobee__record_uint_decode(hex, &found))) {
    check_uint("value", vectors_uint(decoded), found);
  }
}

static void
run_manifest_data (const json_t *value, ab_slice_t hex, const json_t *decoded, ab_arena_t *arena) {
  record_manifest_data_t data = {0};
  record_manifest_data_t found;
  ab_buf_t out = {0};
  (void) arena;
  check_that(json_equal(value, decoded));
  data.version = vectors_get_uint(value, "version");
  data.legacy_blocks = vectors_get_uint(value, "legacyBlocks");
  data.has_namespace = vectors_has(value, "namespace");
  if (data.has_namespace) vectors_get_key(value, "namespace", &data.ns);
  autobee__record_manifest_data_encode(&out, &data);
  check_encoded(hex, &out);
  if (!check_err("decode", 0, autobee__record_manifest_data_decode(hex, &found))) return;
  check_uint("version", data.version, found.version);
  check_uint("legacyBlocks", data.legacy_blocks, found.legacy_blocks);
  check_uint("has namespace", data.has_namespace, found.has_namespace);
  check_bytes("namespace", ab_key_slice(&data.ns), ab_key_slice(&found.ns));
}

static void
run_boot_record (const json_t *value, ab_slice_t hex, const json_t *decoded, ab_arena_t *arena) {
  (void) value;
  (void) hex;
  (void) decoded;
  (void) arena;
  vectors_tag("previous-generation");
  vectors_fail("not read");
}

static void
run_system_key (const json_t *item) {
  uint8_t bytes[RECORD_WRITER_KEY_LEN];
  const char *name = vectors_get_text(item, "name");
  const json_t *value = vectors_get(item, "value");
  ab_slice_t hex = vectors_get_bytes(item, "hex");
  ab_key_t writer, found;
  if (strcmp(name, "info") == 0) {
    check_bytes("key", hex, autobee__record_info_key());
  } else if (strcmp(name, "legacy info") == 0) {
    check_bytes("key", hex, autobee__record_legacy_info_key());
  } else if (strcmp(name, "writer") == 0) {
    vectors_get_key(value, "key", &writer);
    check_bytes("key", hex, autobee__record_writer_key(bytes, &writer));
    check_that(autobee__record_is_writer_key(hex, &found) && ab_key_equal(&writer, &found));
  } else {
    vectors_get_key(value, "key", &writer);
    check_bytes("key", hex, autobee__record_indexer_key(bytes, &writer));
    check_that(!autobee__record_is_writer_key(hex, &found));
  }
}

/* ---- encodings: parts of an oplog message, inside the shortest message that has one ---- */

static void
run_message_part (const char *type, const json_t *value, ab_slice_t hex) {
  oplog_message_t message = {0};
  oplog_attestation_t attestation;
  oplog_trusted_t trusted;
  ab_buf_t whole = {0};
  const uint8_t plain[] = {OPLOG_VERSION, 0, 0};
  ab_write_bytes(&whole, ab_slice(plain, sizeof(plain)));

  if (strcmp(type, "batch") == 0) {
    message.batch_start = vectors_get_uint(value, "start");
    message.batch_end = vectors_get_uint(value, "end");
    ab_write_uint(&whole, 1);
    ab_write_bytes(&whole, hex);
  } else if (strcmp(type, "range") == 0) {
    message.has_views = true;
    get_range(value, &message.system);
    ab_write_uint(&whole, 2);
    ab_write_uint(&whole, 0); /* flushes */
    ab_write_bytes(&whole, hex);
  } else if (strcmp(type, "witness") == 0) {
    message.has_witness = true;
    get_witness(value, &message.witness);
    ab_write_uint(&whole, 32);
    ab_write_buffer(&whole, hex);
  } else if (strcmp(type, "signed backer") == 0) {
    message.has_witness = true;
    get_backer(value, &message.witness);
    ab_write_uint(&whole, 32);
    ab_write_uint(&whole, 1 + ab_uint_size(hex.len) + hex.len);
    ab_write_uint(&whole, 0); /* weight */
    ab_write_buffer(&whole, hex);
  } else if (strcmp(type, "attestation") == 0) {
    message.has_attestations = true;
    message.attestations = &attestation;
    message.attestation_count = 1;
    get_attestation(value, &attestation);
    ab_write_uint(&whole, 64);
    ab_write_uint(&whole, 1);
    ab_write_buffer(&whole, hex);
  } else {
    message.has_trusted = true;
    message.trusted = &trusted;
    message.trusted_count = 1;
    get_trusted(value, &trusted);
    ab_write_uint(&whole, 128);
    ab_write_uint(&whole, 1);
    ab_write_buffer(&whole, hex);
  }
  encode_message(&message, ab_buf_slice(&whole));
  decode_message(ab_buf_slice(&whole), &message);
  ab_buf_destroy(&whole);
}

/* ---- encodings: the file ---- */

typedef struct {
  const char *type;
  void (*run)(const json_t *value, ab_slice_t hex, const json_t *decoded, ab_arena_t *arena);
} codec_t;

static const codec_t codecs[] = {
  {"oplog", run_oplog},
  {"oplog-legacy", run_legacy_oplog},
  {"system-info", run_info},
  {"system-writer", run_writer},
  {"link", run_link},
  {"previous-drain", run_uint},
  {"manifest-data", run_manifest_data},
  {"autobase-boot-record", run_boot_record},
};

static const char *const message_parts[] = {
  "batch", "range", "witness", "signed backer", "attestation", "trusted head"};

static const codec_t *
find_codec (const char *type) {
  for (size_t i = 0; i < COUNT(codecs); i++) {
    if (strcmp(codecs[i].type, type) == 0) return &codecs[i];
  }
  return NULL;
}

static bool
is_message_part (const char *type) {
  for (size_t i = 0; i < COUNT(message_parts); i++) {
    if (strcmp(message_parts[i], type) == 0) return true;
  }
  return false;
}

static void
run_encoding (const char *kind, const json_t *item, const json_t *value) {
  ab_arena_t arena = {0};
  const char *type = vectors_get_text(item, "type");
  const codec_t *codec = find_codec(type);
  vectors_begin(NULL, kind, "%s: %s", type, vectors_get_text(item, "name"));
  if (codec != NULL) codec->run(value, vectors_get_bytes(item, "hex"), vectors_get(item, "decoded"), &arena);
  else if (is_message_part(type)) run_message_part(type, value, vectors_get_bytes(item, "hex"));
  else if (strcmp(type, "system-key") == 0) run_system_key(item);
  else vectors_fail("an unknown type");
  ab_arena_destroy(&arena);
}

static int
decode_rejected (const char *type, ab_slice_t hex, ab_arena_t *arena) {
  oplog_message_t message;
  record_info_t info;
  record_writer_t writer;
  ab_head_t link;
  if (strcmp(type, "oplog") == 0) return autobee__oplog_decode(hex, arena, &message);
  if (strcmp(type, "system-info") == 0) return autobee__record_info_decode(hex, arena, &info);
  if (strcmp(type, "system-writer") == 0) return autobee__record_writer_decode(hex, &writer);
  if (strcmp(type, "link") == 0) return autobee__record_link_decode(hex, &link);
  vectors_fail("an unknown type");
  return 0;
}

static void
run_encodings (const char *file, json_t *root) {
  size_t i;
  json_t *item;
  (void) file;
  json_array_foreach(vectors_get(root, "cases"), i, item) {
    run_encoding("cases", item, vectors_get(item, "value"));
  }
  json_array_foreach(vectors_get(root, "lenient"), i, item) run_encoding("lenient", item, NULL);
  json_array_foreach(vectors_get(root, "rejected"), i, item) {
    ab_arena_t arena = {0};
    const char *type = vectors_get_text(item, "type");
    vectors_begin(NULL, "rejected", "%s: %s", type, vectors_get_text(item, "name"));
    int err = decode_rejected(type, vectors_get_bytes(item, "hex"), &arena);
    bool is_newer = strcmp(vectors_get_text(item, "error"), "Unsupported version") == 0;
    check_err("decode", is_newer ? AB_EVERSION : AB_ECORRUPT, err);
    ab_arena_destroy(&arena);
  }
}

/* ---- witness ---- */

static void
run_witness (const char *file, json_t *root) {
  size_t i;
  json_t *item;
  (void) file;
  json_array_foreach(vectors_get(root, "messages"), i, item) {
    uint8_t message[WITNESS_MESSAGE_MAX];
    ab_head_t backer = {.length = vectors_get_uint(item, "length")};
    oplog_attestation_t attestation = {.weight = vectors_get_uint(item, "weight")};
    ab_key_pair_t pair;
    vectors_begin(NULL, "messages", "%zu", i);
    vectors_get_key(item, "backer", &backer.key);
    vectors_get_key(item, "subject", &attestation.subject);
    check_bytes(
      "message",
      vectors_get_bytes(item, "message"),
      autobee__witness_message(message, &backer, &attestation.subject, attestation.weight)
    );
    ab_key_pair_from_seed(&pair, vectors_get_bytes(item, "backerSeed").data);
    autobee__witness_attest(&attestation, &backer, &pair);
    check_bytes(
      "signature", vectors_get_bytes(item, "signature"), ab_slice(attestation.signature, AB_SIGNATURE_LEN)
    );
  }
  json_array_foreach(vectors_get(root, "verify"), i, item) {
    oplog_witness_t witness = {.weight = vectors_get_uint(item, "weight")};
    ab_key_t subject;
    bool valid = false;
    vectors_begin(NULL, "verify", "%s", vectors_get_text(item, "name"));
    vectors_get_key(item, "node", &subject);
    vectors_get_key(item, "backer", &witness.backer.key);
    witness.backer.length = vectors_get_uint(item, "length");
    witness.manifest = vectors_get_bytes(item, "manifest");
    get_signature(item, witness.signature);
    check_err("verify", 0, autobee__witness_verify(&witness, &subject, &valid));
    check_uint("valid", vectors_get_bool(item, "valid"), valid);
  }
}

/* ---- encryption ---- */

static void
check_namespace (const json_t *namespaces, const char *member, const char *name, uint8_t id) {
  uint8_t found[32];
  vectors_begin(NULL, "namespaces", "%s", member);
  ab_namespace(found, name, id);
  check_bytes("namespace", vectors_get_bytes(namespaces, member), ab_slice(found, sizeof(found)));
}

/* The manifest of a core whose key does not matter here. */
static void
write_manifest (uint64_t version, ab_buf_t *out) {
  uint8_t public_key[32] = {1};
  ab_signer_t signer;
  ab_manifest_t manifest;
  ab_manifest_default(public_key, &signer, &manifest);
  manifest.version = version;
  ab_manifest_encode(out, &manifest);
}

static void
run_block (const ab_cipher_t *cipher, const ab_key_t *core, const json_t *block) {
  uint64_t index = vectors_get_uint(block, "index");
  uint64_t fork = vectors_get_uint(block, "fork");
  ab_slice_t plain = vectors_get_bytes(block, "plain");
  ab_slice_t stored = vectors_get_bytes(block, "stored");
  uint8_t *out = malloc(stored.len + 1);
  if (!check_that(out != NULL) || !check_uint("length", stored.len, plain.len + ab_cipher_padding(cipher))) {
    free(out);
    return;
  }
  check_err("encrypt", 0, ab_cipher_encrypt(cipher, core, index, fork, plain, out));
  check_bytes("stored", stored, ab_slice(out, stored.len));
  check_err("decrypt", 0, ab_cipher_decrypt(cipher, index, stored, out));
  check_bytes("plain", plain, ab_slice(out, plain.len));
  free(out);
}

static void
run_cipher (const json_t *item) {
  encryption_t encryption = {.reference_padding = true};
  const char *view = vectors_has(item, "viewName") ? vectors_get_text(item, "viewName") : ENCRYPTION_WRITER;
  uint64_t version = vectors_get_uint(item, "manifestVersion");
  ab_slice_t secret = vectors_get_bytes(item, "encryptionKey");
  ab_buf_t manifest = {0};
  ab_cipher_t cipher;
  ab_key_t core;

  const char *kind = vectors_get_text(item, "kind");
  vectors_begin(
    NULL, "cases", "%s %s, manifest version %zu", kind, view == NULL ? "" : view, (size_t) version
  );
  if (version >= 2) vectors_tag("scheme-2");
  vectors_get_key(item, "dbKey", &encryption.database);
  memcpy(encryption.secret, secret.data, sizeof(encryption.secret));
  vectors_get_key(item, "coreKey", &core);
  write_manifest(version, &manifest);
  if (check_err(
        "cipher", 0, autobee__encryption_cipher(&encryption, view, &core, ab_buf_slice(&manifest), &cipher)
      )) {
    size_t i;
    json_t *block;
    const char *second = version >= 2 ? "hashKey" : "blindingKey";
    check_bytes("blockKey", vectors_get_bytes(item, "blockKey"), ab_slice(cipher.block_key, 32));
    check_bytes(second, vectors_get_bytes(item, second), ab_slice(cipher.blinding_key, 32));
    json_array_foreach(vectors_get(item, "blocks"), i, block) run_block(&cipher, &core, block);
  }
  ab_buf_destroy(&manifest);
}

/* The stored block, read as any writer's: with the cipher that the anchor's manifest leads to. */
static void
read_anchor (const json_t *item, const encryption_t *encryption, const ab_key_t *core) {
  ab_slice_t stored = vectors_get_bytes(item, "stored");
  ab_slice_t block = vectors_get_bytes(item, "block");
  ab_cipher_t cipher;
  uint8_t *plain = malloc(stored.len);
  int err = autobee__encryption_cipher(
    encryption, ENCRYPTION_WRITER, core, vectors_get_bytes(item, "manifest"), &cipher
  );
  if (check_that(plain != NULL) && check_err("cipher", 0, err)) {
    check_err("decrypt", 0, ab_cipher_decrypt(&cipher, 0, stored, plain));
    block = ab_slice(block.data + AB_CIPHER_PADDING, block.len - AB_CIPHER_PADDING);
    check_bytes("plain", block, ab_slice(plain, stored.len - AB_CIPHER_PADDING));
  }
  free(plain);
}

static void
run_anchor (const json_t *item, size_t number) {
  encryption_t encryption = {.reference_padding = true};
  bool is_encrypted = vectors_has(item, "encryptionKey");
  anchor_t anchor = {0};
  ab_head_t node;
  ab_key_t ns;

  vectors_begin(NULL, "anchors", "%zu", number);
  vectors_get_key(item, "dbKey", &encryption.database);
  if (is_encrypted) memcpy(encryption.secret, vectors_get_bytes(item, "encryptionKey").data, 32);
  vectors_get_key(item, "writer", &node.key);
  node.length = vectors_get_uint(item, "length");

  autobee__anchor_namespace(&node, &ns);
  check_bytes("namespace", vectors_get_bytes(item, "namespace"), ab_key_slice(&ns));
  if (check_err("make", 0, autobee__anchor_make(is_encrypted ? &encryption : NULL, &node, &anchor))) {
    check_bytes("stored", vectors_get_bytes(item, "stored"), ab_buf_slice(&anchor.block));
    check_bytes("manifest", vectors_get_bytes(item, "manifest"), ab_buf_slice(&anchor.manifest));
    check_bytes("key", vectors_get_bytes(item, "key"), ab_key_slice(&anchor.key));
    if (is_encrypted) read_anchor(item, &encryption, &anchor.key);
  }
  autobee__anchor_destroy(&anchor);
}

/* A block of scheme 2 that says it is plain. */
static void
run_unencrypted (const json_t *root) {
  const json_t *item = vectors_get(root, "unencrypted");
  ab_cipher_t cipher = {.scheme = AB_CIPHER_SCHEME_2};
  ab_slice_t stored = vectors_get_bytes(item, "stored");
  ab_arena_t arena = {0};
  oplog_message_t message;
  vectors_begin(NULL, "unencrypted", "a plain block");
  vectors_tag("scheme-2");
  uint8_t *plain = malloc(stored.len);
  if (check_that(plain != NULL) && check_err("decrypt", 0, ab_cipher_decrypt(&cipher, 0, stored, plain))) {
    ab_slice_t block = ab_slice(plain, stored.len - AB_CIPHER_PADDING);
    check_err("decode", 0, autobee__oplog_decode(block, &arena, &message));
    check_that(message.optimistic);
    check_uint("timestamp", vectors_get_uint(item, "timestamp"), message.timestamp_ms);
    check_bytes("value", vectors_get_bytes(item, "value"), message.value);
  }
  free(plain);
  ab_arena_destroy(&arena);
}

static void
run_encryption (const char *file, json_t *root) {
  size_t i;
  json_t *item;
  (void) file;
  const json_t *namespaces = vectors_get(root, "namespaces");
  check_namespace(namespaces, "autobase, index 1 (block key)", "autobase", 1);
  check_namespace(namespaces, "autobase, index 2 (hash key)", "autobase", 2);
  check_namespace(namespaces, "autobase/entropy, index 0", "autobase/entropy", 0);
  check_namespace(namespaces, "hypercore, index 5 (default encryption)", "hypercore", 5);
  json_array_foreach(vectors_get(root, "cases"), i, item) run_cipher(item);
  json_array_foreach(vectors_get(root, "anchors"), i, item) run_anchor(item, i);
  run_unencrypted(root);
}

/* ---- order ---- */

/* The backlog of autobee.md 9.4 without anything to apply. Returns how many batches were undone. */
static size_t
insert_unit (const order_entry_t *unit, order_entry_t *list, size_t *length, ab_arena_t *arena) {
  size_t undone = 0;
  size_t queued = 1;
  order_entry_t *queue = ab_arena_alloc(arena, *length + 1, sizeof(*queue));
  queue[0] = *unit;
  while (queued > 0) {
    size_t changed, *order;
    order_entry_t node = queue[0];
    int err = autobee__order_place(list, *length, &node, NULL, arena, &changed, &order);
    if (!check_err("place", 0, err)) return undone;
    if (changed == *length) {
      list[(*length)++] = node;
      memmove(queue, queue + 1, --queued * sizeof(*queue));
      continue;
    }
    size_t moved = *length - changed;
    order_entry_t *next = ab_arena_alloc(arena, moved + queued, sizeof(*next));
    for (size_t i = 0; i <= moved; i++) next[i] = order[i] == *length ? node : list[order[i]];
    for (size_t i = 1; i < queued; i++) next[moved + i] = queue[i];
    queue = next;
    queued += moved;
    undone += moved;
    *length = changed;
  }
  return undone;
}

static order_entry_t *
get_units (const json_t *units, ab_arena_t *arena) {
  order_entry_t *out = ab_arena_zalloc(arena, json_array_size(units), sizeof(*out));
  for (size_t i = 0; i < json_array_size(units); i++) {
    const json_t *unit = json_array_get(units, i);
    vectors_get_key(unit, "key", &out[i].writer);
    out[i].first = vectors_get_uint(unit, "length");
    out[i].last = out[i].first + vectors_get_uint(unit, "size") - 1;
    out[i].weight = vectors_get_uint(unit, "weight");
    out[i].timestamp_ms = vectors_get_uint(unit, "timestamp");
    out[i].links = get_heads(vectors_get(unit, "links"), arena, &out[i].link_count);
    out[i].id = i;
  }
  return out;
}

static void
run_order (const char *file, json_t *root) {
  size_t c, a;
  json_t *item, *arrival;
  (void) file;
  json_array_foreach(vectors_get(root, "cases"), c, item) {
    ab_arena_t arena = {0};
    const json_t *expected = vectors_get(item, "order");
    size_t count = json_array_size(vectors_get(item, "units"));
    order_entry_t *units = get_units(vectors_get(item, "units"), &arena);
    order_entry_t *list = ab_arena_alloc(&arena, count, sizeof(*list));
    vectors_begin(NULL, "cases", "seed %zu", (size_t) vectors_get_uint(item, "seed"));
    json_array_foreach(vectors_get(item, "arrivals"), a, arrival) {
      const json_t *sequence = vectors_get(arrival, "sequence");
      const json_t *undone = vectors_get(arrival, "undone");
      size_t length = 0;
      for (size_t i = 0; i < count; i++) {
        const order_entry_t *unit = &units[vectors_uint(json_array_get(sequence, i))];
        size_t found = insert_unit(unit, list, &length, &arena);
        check_uint("undone", vectors_uint(json_array_get(undone, i)), found);
      }
      check_uint("units", count, length);
      for (size_t i = 0; i < length; i++) {
        check_uint("order", vectors_uint(json_array_get(expected, i)), list[i].id);
      }
    }
    ab_arena_destroy(&arena);
  }
}

int
main (int argc, char **argv) {
  static const vectors_runner_t runners[] = {
    {"encodings.json", run_encodings},
    {"encryption.json", run_encryption},
    {"order.json", run_order},
    {"witness.json", run_witness},
  };
  return vectors_main(argc, argv, "autobee", runners, COUNT(runners));
}

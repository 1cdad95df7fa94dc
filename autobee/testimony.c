#include "autobee/testimony.h"

#include <stdlib.h>

#include "autobee/grow.h"
#include "autobee/witness.h"

#define TESTIMONY "autobee/testimony" /* ours: user data of the local core */
#define TESTIMONY_MIN (1 + 32 + 1 + AB_SIGNATURE_LEN + 1)

/* Copies what it keeps. */
static int
keep (autobee_t *db, const oplog_witness_t *witness) {
  if (db->testimony == NULL) {
    db->testimony = malloc(ENGINE_TESTIMONY_MAX * sizeof(*db->testimony));
    if (db->testimony == NULL) return AB_ENOMEM;
  }
  uint8_t *manifest = malloc(witness->manifest.len + 1);
  if (manifest == NULL) return AB_ENOMEM;
  if (witness->manifest.len > 0) memcpy(manifest, witness->manifest.data, witness->manifest.len);
  oplog_witness_t *kept = &db->testimony[db->testimony_count++];
  *kept = *witness;
  kept->manifest = ab_slice(manifest, witness->manifest.len);
  return 0;
}

static int
by_weight (const oplog_witness_t *a, const oplog_witness_t *b) {
  return (a->weight < b->weight) - (a->weight > b->weight);
}

/* Heaviest first, stable; there are few. */
static void
sort_testimony (autobee_t *db) {
  for (size_t i = 1; i < db->testimony_count; i++) {
    oplog_witness_t moved = db->testimony[i];
    size_t k = i;
    for (; k > 0 && by_weight(&db->testimony[k - 1], &moved) > 0; k--)
      db->testimony[k] = db->testimony[k - 1];
    db->testimony[k] = moved;
  }
}

int
autobee__testimony_use (autobee_t *db, ab_arena_t *arena, oplog_message_t *message) {
  record_writer_t record;
  int err = autobee__system_record(&db->system, &db->local->key, &record);
  if (err == AB_ENOTFOUND) return 0;
  if (err < 0 || record.max_weight <= record_standing(&record)) return err;
  sort_testimony(db);
  for (size_t i = 0; i < db->testimony_count; i++) {
    const oplog_witness_t *witness = &db->testimony[i];
    if (witness->weight > record.max_weight) continue;
    record_writer_t backer;
    err = autobee__system_record(&db->system, &witness->backer.key, &backer);
    if (err == AB_ENOTFOUND) continue;
    if (err < 0) return err;
    if (backer.is_removed || backer.length < witness->backer.length) continue;
    message->has_witness = true;
    message->witness = *witness;
    return ab_arena_copy(arena, witness->manifest, &message->witness.manifest);
  }
  return 0;
}

int
autobee__testimony_collect (autobee_t *db, hypercore_t *core, const node_t *node) {
  const oplog_message_t *message = &node->message;
  for (size_t i = 0; i < message->attestation_count; i++) {
    const oplog_attestation_t *attestation = &message->attestations[i];
    if (!ab_key_equal(&attestation->subject, &db->local->key)) continue;
    ab_head_t backer = {*hypercore_key(core), node->length};
    bool known = false;
    for (size_t k = 0; k < db->testimony_count && !known; k++) {
      const oplog_witness_t *witness = &db->testimony[k];
      known = witness->weight == attestation->weight && ab_head_equal(&witness->backer, &backer);
    }
    if (known || db->testimony_count == ENGINE_TESTIMONY_MAX) continue;
    oplog_witness_t witness = {
      .weight = attestation->weight, .backer = backer, .manifest = hypercore_manifest(core)};
    memcpy(witness.signature, attestation->signature, sizeof(witness.signature));
    int err = keep(db, &witness);
    if (err < 0) return err;
    db->testimony_changed = true;
  }
  return 0;
}

void
autobee__testimony_forget (autobee_t *db) {
  for (size_t i = 0; i < db->testimony_count; i++) free((void *) (uintptr_t) db->testimony[i].manifest.data);
  free(db->testimony);
  db->testimony = NULL;
  db->testimony_count = 0;
  db->testimony_changed = false;
}

int
autobee__testimony_store (autobee_t *db) {
  if (!db->testimony_changed || db->options.conformance || db->no_kept_testimony) return 0;
  ab_buf_t out = {0};
  ab_write_uint(&out, db->testimony_count);
  for (size_t i = 0; i < db->testimony_count; i++) {
    const oplog_witness_t *witness = &db->testimony[i];
    ab_write_uint(&out, witness->weight);
    ab_write_key(&out, &witness->backer.key);
    ab_write_uint(&out, witness->backer.length);
    ab_write_bytes(&out, ab_slice(witness->signature, sizeof(witness->signature)));
    ab_write_buffer(&out, witness->manifest);
  }
  int err = out.err;
  if (err == 0) err = hypercore_set_user_data(db->local->core, TESTIMONY, ab_buf_slice(&out));
  ab_buf_destroy(&out);
  if (err == 0) db->testimony_changed = false;
  return err;
}

int
autobee__testimony_load (autobee_t *db) {
  ab_slice_t stored;
  if (db->options.conformance) return 0;
  int err = hypercore_user_data(db->local->core, TESTIMONY, &stored);
  if (err < 0) return err == AB_ENOTFOUND ? 0 : err;
  ab_reader_t in = ab_reader(stored);
  size_t count = ab_read_count(&in, TESTIMONY_MIN);
  for (size_t i = 0; i < count && i < ENGINE_TESTIMONY_MAX; i++) {
    oplog_witness_t witness = {.weight = ab_read_uint(&in)};
    ab_read_key(&in, &witness.backer.key);
    witness.backer.length = ab_read_uint(&in);
    ab_slice_t signature = ab_read_bytes(&in, sizeof(witness.signature));
    witness.manifest = ab_read_buffer(&in);
    if (in.err < 0) return 0; /* a hint that does not decode is no hint */
    memcpy(witness.signature, signature.data, sizeof(witness.signature));
    if ((err = keep(db, &witness)) < 0) return err;
  }
  return 0;
}

int
autobee__attestation_owe (autobee_t *db, const ab_key_t *key, uint64_t weight) {
  if (ab_key_equal(key, &db->local->key)) return 0;
  for (size_t i = 0; i < db->attestation_count; i++) {
    if (db->attestations[i].weight == weight && ab_key_equal(&db->attestations[i].key, key)) return 0;
  }
  if (db->attestation_count >= ENGINE_ATTESTATIONS_MAX) return 0;
  attestation_t *list =
    grown(db->attestations, &db->attestation_capacity, db->attestation_count + 1, sizeof(attestation_t));
  if (list == NULL) return AB_ENOMEM;
  db->attestations = list;
  db->attestations[db->attestation_count].key = *key;
  db->attestations[db->attestation_count++].weight = weight;
  return 0;
}

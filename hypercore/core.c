/* core.c: one core: what it is, its levels, reading. */
#include "hypercore/core.h"

#include "hypercore/crypto.h"
#include "hypercore/encoding.h"

#include <assert.h>
#include <stdlib.h>

/* ---- life ---- */

static ab__page_source_t
page_source (hypercore_t *core);

static void
destroy_head (ab__head_t *head) {
  ab_buf_destroy(&head->signature);
}

hypercore_t *
ab__core_new (ab_store_t *store, uint32_t number, const ab_key_t *key) {
  hypercore_t *core = calloc(1, sizeof(*core));
  if (core == NULL) return NULL;
  core->store = store;
  core->number = number;
  core->key = *key;
  ab_discovery_key(&core->discovery_key, key);
  ab__tail_init(&core->tail, store->seed);
  ab__tail_init(&core->frozen, store->seed);
  ab__bitfield_init(&core->bits, 0, false, page_source(core), store->seed);
  return core;
}

void
ab__core_free (hypercore_t *core) {
  assert(!core->is_dirty && !core->is_frozen);
  while (core->listeners != NULL) hypercore_unlisten(core->listeners);
  ab__tail_destroy(&core->tail);
  ab__tail_destroy(&core->frozen);
  ab__bitfield_destroy(&core->bits);
  destroy_head(&core->live);
  destroy_head(&core->frozen_head);
  destroy_head(&core->committed);
  ab_buf_destroy(&core->encoded_manifest);
  if (core->read.data != NULL) ab_wipe(core->read.data, core->read.capacity); /* it may be decrypted */
  ab_buf_destroy(&core->read);
  if (core->pair != NULL) ab_wipe(core->pair, sizeof(*core->pair));
  free(core->pair);
  ab_wipe(&core->cipher, sizeof(core->cipher));
  ab_arena_destroy(&core->arena);
  free(core);
}

int
ab__core_set_manifest (hypercore_t *core, const ab_manifest_t *manifest) {
  ab_buf_t encoded = {0};
  ab_manifest_t *copy = ab_arena_zalloc(&core->arena, 1, sizeof(*copy));
  int err = copy == NULL ? AB_ENOMEM : ab_manifest_copy(manifest, &core->arena, copy);
  if (err == 0) {
    ab_manifest_encode(&encoded, copy);
    err = encoded.err;
  }
  if (err < 0) {
    ab_buf_destroy(&encoded);
    return err;
  }
  ab_buf_destroy(&core->encoded_manifest);
  core->encoded_manifest = encoded;
  core->manifest = copy;
  return 0;
}

int
ab__core_set_pair (hypercore_t *core, const ab_key_pair_t *pair) {
  if (core->pair != NULL || core->manifest == NULL) return 0;
  size_t i = 0;
  while (i < core->manifest->signer_count &&
         memcmp(core->manifest->signers[i].public_key, pair->public_key, 32) != 0) {
    i++;
  }
  if (i == core->manifest->signer_count) return 0;
  core->pair = malloc(sizeof(*core->pair));
  if (core->pair == NULL) return AB_ENOMEM;
  *core->pair = *pair;
  return 0;
}

void
ab__tree_copy (ab_tree_t *to, const ab_tree_t *from) {
  to->fork = from->fork;
  to->length = from->length;
  to->byte_length = from->byte_length;
  to->root_count = from->root_count;
  memcpy(to->roots, from->roots, from->root_count * sizeof(*from->roots));
}

/* ---- the file's level ---- */

void
ab__core_enter (hypercore_t *core) {
  if (core->store->storage != NULL) ab__storage_read_begin(core->store->storage);
}

void
ab__core_leave (hypercore_t *core) {
  if (core->store->storage != NULL) ab__storage_read_end(core->store->storage);
}

static int
corrupt (hypercore_t *core, const char *what) {
  char text[AB_KEY_TEXT_LEN + 1];
  ab_key_to_text(&core->key, text);
  return ab_store_fail(
    core->store,
    AB_ECORRUPT,
    "core %s in %s: %s; restore the store from a copy or fetch the core again",
    text,
    core->store->dir == NULL ? "memory" : core->store->dir,
    what
  );
}

static int
file_node (void *data, uint64_t index, ab_node_t *out) {
  hypercore_t *core = data;
  if (core->store->storage == NULL) return AB_ENOTFOUND;
  ab_slice_t record;
  uint64_t block = ab_flat_rspan(index) / 2;
  int err = ab__storage_get_at(core->store->storage, AB__NODES, core->number, block, &record);
  if (err == 0) err = ab__nodes_record_find(record, index, out);
  return err == AB_ECORRUPT ? corrupt(core, "a tree node does not decode") : err;
}

static int
load_page (void *data, uint64_t page, uint8_t *bytes) {
  hypercore_t *core = data;
  if (core->store->storage == NULL) return AB_ENOTFOUND;
  ab_slice_t value;
  ab__core_enter(core);
  int err = ab__storage_get_at(core->store->storage, AB__BITS, core->number, page, &value);
  if (err == 0 && value.len != AB__PAGE_BYTES) err = corrupt(core, "a page of its bitfield does not decode");
  if (err == 0) memcpy(bytes, value.data, AB__PAGE_BYTES);
  ab__core_leave(core);
  return err;
}

static int
next_page (void *data, uint64_t page, uint64_t *found) {
  hypercore_t *core = data;
  if (core->store->storage == NULL) return AB_ENOTFOUND;
  uint8_t key[12];
  for (size_t i = 0; i < 4; i++) key[i] = (uint8_t) (core->number >> (24 - 8 * i));
  for (size_t i = 0; i < 8; i++) key[4 + i] = (uint8_t) (page >> (56 - 8 * i));

  ab_slice_t at, value;
  ab__core_enter(core);
  int err = ab__storage_seek(core->store->storage, AB__BITS, ab_slice(key, sizeof(key)), true, &at, &value);
  if (err == 0 && (at.len != sizeof(key) || memcmp(at.data, key, 4) != 0)) err = AB_ENOTFOUND;
  if (err == 0) {
    *found = 0;
    for (size_t i = 4; i < 12; i++) *found = *found << 8 | at.data[i];
  }
  ab__core_leave(core);
  return err;
}

static ab__page_source_t
page_source (hypercore_t *core) {
  return (ab__page_source_t){load_page, next_page, core};
}

static int
load_committed (hypercore_t *core, const ab__head_record_t *head) {
  ab_node_source_t nodes = {file_node, core};
  ab__head_t *committed = &core->committed;
  int err = ab_tree_load(&committed->tree, head->fork, head->length, &nodes);
  if (err == AB_ENOTFOUND) return corrupt(core, "a root of its tree is missing");
  if (err < 0) return err;

  uint8_t hash[AB_HASH_LEN];
  ab_tree_hash(&committed->tree, hash);
  if (memcmp(hash, head->tree_hash, sizeof(hash)) != 0 || committed->tree.byte_length != head->byte_length) {
    return corrupt(core, "its head and its tree disagree");
  }
  ab_buf_reset(&committed->signature);
  ab_buf_append(&committed->signature, head->signature);
  committed->is_signed = head->signature.len > 0;
  return committed->signature.err;
}

int
ab__core_load_head (hypercore_t *core) {
  uint8_t key[4];
  for (size_t i = 0; i < 4; i++) key[i] = (uint8_t) (core->number >> (24 - 8 * i));
  ab_slice_t value;
  int err = ab__storage_get(core->store->storage, AB__HEADS, ab_slice(key, sizeof(key)), &value);
  if (err == AB_ENOTFOUND) return 0; /* known, and empty */
  if (err < 0) return err;

  ab__head_record_t head;
  if (ab__head_record_decode(value, &head) < 0) return corrupt(core, "its head does not decode");
  if ((err = load_committed(core, &head)) < 0) return err;

  uint64_t page;
  err = next_page(core, 0, &page);
  if (err < 0 && err != AB_ENOTFOUND) return err;
  bool has_pages = err == 0;

  ab_buf_reset(&core->live.signature);
  ab_buf_append(&core->live.signature, ab_buf_slice(&core->committed.signature));
  if (core->live.signature.err < 0) return AB_ENOMEM;
  ab__tree_copy(&core->live.tree, &core->committed.tree);
  core->live.is_signed = core->committed.is_signed;
  core->file_is_signed = core->committed.is_signed;
  core->base = head.length;
  core->changed_ms = core->stored_changed_ms = head.changed_ms;
  ab__bitfield_destroy(&core->bits);
  ab__bitfield_init(&core->bits, head.contiguous, has_pages, page_source(core), core->store->seed);
  return ab__storage_version(core->store->storage, &core->version);
}

int
ab__core_refresh (hypercore_t *core) {
  uint64_t version, length = core->live.tree.length, fork = core->live.tree.fork;
  ab__core_enter(core);
  int err = ab__storage_version(core->store->storage, &version);
  if (err == 0 && version != core->version) err = ab__core_load_head(core);
  ab__core_leave(core);
  if (core->live.tree.length < length || core->live.tree.fork != fork) core->generation++;
  return err;
}

/* ---- levels ---- */

static int
live_node (void *data, uint64_t index, ab_node_t *out) {
  hypercore_t *core = data;
  int err = ab__tail_node(&core->tail, index, out);
  if (err == AB_EREMOTE && core->is_frozen) err = ab__tail_node(&core->frozen, index, out);
  return err == AB_EREMOTE ? file_node(core, index, out) : err;
}

static int
committed_node (void *data, uint64_t index, ab_node_t *out) {
  hypercore_t *core = data;
  if (core->store->storage != NULL) return file_node(core, index, out);
  if (ab_flat_rspan(index) / 2 >= core->committed.tree.length) return AB_ENOTFOUND;
  return ab__tail_node(&core->tail, index, out) == 0 ? 0 : AB_ENOTFOUND;
}

ab_node_source_t
ab__core_nodes (hypercore_t *core) {
  return (ab_node_source_t){live_node, core};
}

ab_node_source_t
ab__core_committed_nodes (hypercore_t *core) {
  return (ab_node_source_t){committed_node, core};
}

int
ab__core_block (hypercore_t *core, uint64_t index, ab_slice_t *stored) {
  bool has;
  int err = ab__bitfield_has(&core->bits, index, &has);
  if (err < 0) return err;
  if (!has || index >= core->live.tree.length) return AB_EREMOTE;
  if (ab__tail_block(&core->tail, index, stored)) return 0;
  if (core->is_frozen && ab__tail_block(&core->frozen, index, stored)) return 0;

  err = AB_ENOTFOUND;
  if (core->store->storage != NULL) {
    err = ab__storage_get_at(core->store->storage, AB__BLOCKS, core->number, index, stored);
  }
  return err == AB_ENOTFOUND ? corrupt(core, "a block that should be here is missing") : err;
}

int
ab__core_committed_block (hypercore_t *core, uint64_t index, ab_slice_t *stored) {
  if (index >= core->committed.tree.length) return AB_ENOTFOUND;
  if (core->store->storage != NULL) {
    return ab__storage_get_at(core->store->storage, AB__BLOCKS, core->number, index, stored);
  }
  return ab__tail_block(&core->tail, index, stored) ? 0 : AB_ENOTFOUND;
}

void
ab__core_touch (hypercore_t *core, size_t staged) {
  ab_store_t *store = core->store;
  if (core->tail.staged >= staged) store->staged += core->tail.staged - staged;
  else
    store->staged -= store->staged < staged - core->tail.staged ? store->staged : staged - core->tail.staged;
  if (core->is_dirty) return;
  core->is_dirty = true;
  core->next_dirty = store->dirty;
  store->dirty = core;
  store->dirty_count++;
}

void
ab__core_tell (hypercore_t *core) {
  core->next_listener = core->listeners;
  while (core->next_listener != NULL) {
    hypercore_listener_t *listener = core->next_listener;
    core->next_listener = listener->next;
    listener->changed(listener->data, core);
  }
}

int
ab__core_sign (hypercore_t *core, ab__head_t *head) {
  if (head->is_signed || !hypercore_is_writable(core)) return 0;
  if (head->tree.length == 0 && head->tree.fork == 0) return 0; /* a core that never was anything */

  ab_verifier_t verifier = {core->manifest, &core->key, false};
  uint8_t signature[AB_SIGNATURE_MAX];
  size_t len;
  int err = ab_tree_sign(&verifier, &head->tree, core->pair, signature, &len);
  if (err < 0) return err;
  ab_buf_t bytes = {0};
  ab_buf_append(&bytes, ab_slice(signature, len));
  if (bytes.err < 0) return AB_ENOMEM;
  ab_buf_destroy(&head->signature);
  head->signature = bytes;
  head->is_signed = true;
  return 0;
}

/* ---- what a core is ---- */

const ab_key_t *
hypercore_key (const hypercore_t *core) {
  return &core->key;
}

const ab_key_t *
hypercore_discovery_key (const hypercore_t *core) {
  return &core->discovery_key;
}

uint64_t
hypercore_length (const hypercore_t *core) {
  return core->live.tree.length;
}

uint64_t
hypercore_committed_length (const hypercore_t *core) {
  return core->committed.tree.length;
}

uint64_t
hypercore_fork (const hypercore_t *core) {
  return core->live.tree.fork;
}

uint64_t
hypercore_byte_length (const hypercore_t *core) {
  return core->live.tree.byte_length;
}

uint64_t
hypercore_contiguous_length (const hypercore_t *core) {
  return core->bits.contiguous;
}

bool
hypercore_is_writable (const hypercore_t *core) {
  /* With several signers our signature is only a part of one, and nobody would accept the head. */
  return core->pair != NULL && core->manifest->signer_count == 1 && !core->store->options.read_only;
}

ab_slice_t
hypercore_manifest (const hypercore_t *core) {
  return ab_buf_slice(&core->encoded_manifest);
}

const ab_key_pair_t *
hypercore_key_pair (const hypercore_t *core) {
  return core->pair;
}

ab_store_t *
hypercore_store (const hypercore_t *core) {
  return core->store;
}

uint32_t
hypercore_number (const hypercore_t *core) {
  return core->number;
}

uint64_t
hypercore_generation (const hypercore_t *core) {
  return core->generation;
}

uint64_t
hypercore_floor (const hypercore_t *core) {
  return core->base;
}

int
hypercore_tree_hash (hypercore_t *core, uint64_t length, uint8_t out[32]) {
  if (length == core->live.tree.length) {
    ab_tree_hash(&core->live.tree, out);
    return 0;
  }
  int err = ab__store_check(core->store);
  if (err < 0) return err;
  if (length > core->live.tree.length) return AB_EREMOTE;

  ab_tree_t tree;
  ab_node_source_t nodes = ab__core_nodes(core);
  ab__core_enter(core);
  err = ab_tree_load(&tree, core->live.tree.fork, length, &nodes);
  ab__core_leave(core);
  if (err == 0) ab_tree_hash(&tree, out);
  return err == AB_ENOTFOUND ? AB_EREMOTE : err;
}

int
hypercore_signature (hypercore_t *core, ab_slice_t *out) {
  int err = ab__store_check(core->store);
  if (err == 0) err = ab__core_sign(core, &core->committed);
  if (err < 0) return err;
  *out = ab_buf_slice(&core->committed.signature);
  return 0;
}

/* ---- reading ---- */

static void
note_wanted (hypercore_t *core, uint64_t index) {
  for (size_t i = 0; i < core->wanted_count; i++)
    if (core->wanted[i] == index) return;
  if (core->wanted_count < HYPERCORE_WANTED_MAX) {
    core->wanted[core->wanted_count++] = index;
    return;
  }
  core->wanted[core->wanted_next] = index;
  core->wanted_next = (core->wanted_next + 1) % HYPERCORE_WANTED_MAX;
}

size_t
hypercore_take_wanted (hypercore_t *core, uint64_t *indexes, size_t max) {
  size_t count = core->wanted_count < max ? core->wanted_count : max;
  for (size_t i = 0; i < count; i++) { /* newest first */
    size_t back = core->wanted_next + core->wanted_count - 1 - i;
    indexes[i] = core->wanted[back % core->wanted_count];
  }
  core->wanted_count = core->wanted_next = 0;
  return count;
}

/* Begin a read of one block: in a section when it returns 0. */
static int
begin_get (hypercore_t *core, uint64_t index, ab_slice_t *stored) {
  int err = ab__store_check(core->store);
  if (err < 0) return err;
  ab__core_enter(core);
  err = ab__core_block(core, index, stored);
  if (err == 0) return 0;
  ab__core_leave(core);
  if (err != AB_EREMOTE) return err;
  if (index >= core->live.tree.length && hypercore_is_writable(core)) return AB_ENOTFOUND;
  note_wanted(core, index);
  return AB_EREMOTE;
}

static int
undecipherable (hypercore_t *core, uint64_t index, int err) {
  if (err != AB_ECORRUPT) return err;
  return ab_store_fail(
    core->store, err, "block %llu does not decrypt: shorter than its padding", (unsigned long long) index
  );
}

/* Append the plain block to `out`. */
static int
decrypt (hypercore_t *core, uint64_t index, ab_slice_t stored, ab_buf_t *out) {
  size_t padding = ab_cipher_padding(&core->cipher);
  if (padding == 0) {
    ab_buf_append(out, stored);
    return out->err;
  }
  if (stored.len < padding) return undecipherable(core, index, AB_ECORRUPT);
  size_t before = out->len;
  uint8_t *plain = ab_buf_extend(out, stored.len - padding);
  if (plain == NULL) return AB_ENOMEM;
  int err = ab_cipher_decrypt(&core->cipher, index, stored, plain);
  if (err < 0) out->len = before;
  return undecipherable(core, index, err);
}

int
hypercore_read (hypercore_t *core, uint64_t index, ab_buf_t *out) {
  ab_slice_t stored;
  int err = begin_get(core, index, &stored);
  if (err < 0) return err;
  err = decrypt(core, index, stored, out);
  ab__core_leave(core);
  return err;
}

/* An empty block is not an absent one: never data NULL. */
static ab_slice_t
read_slice (const hypercore_t *core) {
  return core->read.len > 0 ? ab_buf_slice(&core->read) : ab_text("");
}

int
hypercore_get (hypercore_t *core, uint64_t index, ab_slice_t *block) {
  ab_buf_reset(&core->read);
  int err = hypercore_read(core, index, &core->read);
  if (err == 0) *block = read_slice(core);
  return err;
}

int
hypercore_get_stored (hypercore_t *core, uint64_t index, ab_slice_t *block) {
  ab_slice_t stored;
  ab_buf_reset(&core->read);
  int err = begin_get(core, index, &stored);
  if (err < 0) return err;
  ab_buf_append(&core->read, stored);
  ab__core_leave(core);
  if (core->read.err < 0) return AB_ENOMEM;
  *block = read_slice(core);
  return 0;
}

bool
hypercore_has (hypercore_t *core, uint64_t start, uint64_t end) {
  if (start >= end) return true;
  if (end > core->live.tree.length) return false;
  uint64_t gap;
  return ab__bitfield_find(&core->bits, start, end, false, &gap) == 0 && gap == end;
}

int
hypercore_seek (hypercore_t *core, uint64_t offset, uint64_t *index, uint64_t *within) {
  int err = ab__store_check(core->store);
  if (err < 0) return err;
  ab_node_source_t nodes = ab__core_nodes(core);
  ab__core_enter(core);
  err = ab_tree_seek(&core->live.tree, &nodes, offset, 0, index, within);
  ab__core_leave(core);
  return err;
}

/* ---- cipher, listeners ---- */

void
hypercore_set_cipher (hypercore_t *core, const ab_cipher_t *cipher) {
  if (cipher == NULL) ab_wipe(&core->cipher, sizeof(core->cipher));
  else core->cipher = *cipher;
}

void
hypercore_listen (hypercore_t *core, hypercore_listener_t *listener) {
  listener->core = core;
  listener->next = core->listeners;
  listener->link = &core->listeners;
  if (listener->next != NULL) listener->next->link = &listener->next;
  core->listeners = listener;
}

void
hypercore_unlisten (hypercore_listener_t *listener) {
  if (listener->link == NULL) return;
  if (listener->core->next_listener == listener) listener->core->next_listener = listener->next;
  *listener->link = listener->next;
  if (listener->next != NULL) listener->next->link = listener->link;
  listener->link = NULL;
  listener->next = NULL;
}

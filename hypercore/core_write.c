/* core_write.c: changes made here: append, rollback, truncate, clear, user data. All of them are staged. */
#include "hypercore/core.h"

#include "hypercore/crypto.h"
#include "hypercore/encoding.h"

#include <assert.h>

#define BLOCK_BYTES_MAX ((size_t) 15 << 20)

static int
prologue_fail (hypercore_t *core, uint64_t length) {
  return ab_store_fail(
    core->store,
    AB_EOPERATION,
    "the core begins with %llu fixed blocks and cannot have %llu",
    (unsigned long long) ab_manifest_prologue(core->manifest, &core->key),
    (unsigned long long) length
  );
}

static uint64_t
prologue_of (const hypercore_t *core) {
  return core->manifest == NULL ? 0 : ab_manifest_prologue(core->manifest, &core->key);
}

/* ---- append ---- */

/* A core without signers is its prologue: whoever has the blocks may put them in, all at once. */
static bool
is_unsigned_prologue (const hypercore_t *core, size_t count) {
  uint64_t prologue = prologue_of(core);
  return prologue > 0 && core->manifest->signer_count == 0 && core->live.tree.length == 0 &&
         count == prologue;
}

static int
check_append (hypercore_t *core, const ab_slice_t *blocks, size_t count) {
  if (!hypercore_is_writable(core) && !is_unsigned_prologue(core, count)) {
    const char *why = "has no key pair here";
    if (core->manifest == NULL) why = "has no manifest yet";
    else if (core->pair != NULL) why = "needs the signatures of several";
    return ab_store_fail(core->store, AB_ENOTWRITABLE, "the core is not ours to write: it %s", why);
  }
  size_t padding = ab_cipher_padding(&core->cipher);
  for (size_t i = 0; i < count; i++) {
    if (blocks[i].len <= BLOCK_BYTES_MAX - padding) continue;
    return ab_store_fail(
      core->store,
      AB_ETOOBIG,
      "block %zu of the append has %zu bytes, at most %zu fit",
      i,
      blocks[i].len,
      BLOCK_BYTES_MAX - padding
    );
  }
  if (count > AB_LENGTH_MAX - core->live.tree.length) {
    return ab_store_fail(core->store, AB_ETOOBIG, "the core would be longer than the format allows");
  }
  uint64_t length = core->live.tree.length + count;
  return length < prologue_of(core) ? prologue_fail(core, length) : 0;
}

static int
stage_block (hypercore_t *core, ab_tree_t *tree, ab_slice_t block) {
  uint64_t index = tree->length;
  size_t len = block.len + ab_cipher_padding(&core->cipher);
  uint8_t *stored = ab__tail_alloc(&core->tail, len);
  if (stored == NULL) return AB_ENOMEM;
  int err = ab_cipher_encrypt(&core->cipher, &core->key, index, tree->fork, block, stored);
  if (err < 0) {
    ab__tail_free(&core->tail, stored);
    return err;
  }

  ab_node_t nodes[AB_TREE_APPEND_MAX];
  ab_node_list_t added = {nodes, 0, AB_TREE_APPEND_MAX, NULL};
  if ((err = ab_tree_append_block(tree, ab_slice(stored, len), &added)) < 0) {
    ab__tail_free(&core->tail, stored);
    return err;
  }
  if (ab__tail_can_append(&core->tail, index)) {
    ab__tail_append(&core->tail, index, ab_slice(stored, len), nodes, added.count);
  } else {
    ab__tail_put_block(&core->tail, index, ab_slice(stored, len));
    for (size_t i = 0; i < added.count; i++) ab__tail_put_node(&core->tail, &nodes[i]);
  }
  return 0;
}

/* A run that ended elsewhere cannot be gone on with: an upgrade came between. */
static int
reserve_append (hypercore_t *core, uint64_t index, size_t count) {
  if (ab__tail_can_append(&core->tail, index)) return ab__tail_reserve_run(&core->tail, index, count);
  return ab__tail_reserve(&core->tail, count, 2 * count + AB_ROOTS_MAX);
}

static int
check_prologue (hypercore_t *core, const ab_tree_t *tree) {
  if (tree->length != prologue_of(core) || tree->length == 0) return 0;
  uint8_t hash[AB_HASH_LEN];
  ab_tree_hash(tree, hash);
  if (memcmp(hash, core->manifest->prologue_hash, sizeof(hash)) == 0) return 0;
  return ab_store_fail(core->store, AB_EOPERATION, "these are not the blocks the core has to begin with");
}

int
hypercore_append (hypercore_t *core, const ab_slice_t *blocks, size_t count, uint64_t *length) {
  int err = ab__store_check_write(core->store);
  if (err == 0 && count > 0) err = check_append(core, blocks, count);
  if (err < 0) return err;

  uint64_t before = core->live.tree.length;
  if (count > 0) {
    size_t staged = core->tail.staged;
    ab_tree_t tree;
    ab__tree_copy(&tree, &core->live.tree);
    err = reserve_append(core, before, count);
    if (err == 0) err = ab__bitfield_prepare_set(&core->bits, before, before + count);
    for (size_t i = 0; i < count && err == 0; i++) err = stage_block(core, &tree, blocks[i]);
    if (err == 0 && core->pair == NULL) err = check_prologue(core, &tree);
    if (err < 0) {
      ab__tail_drop(&core->tail, before);
      return err;
    }
    ab__tree_copy(&core->live.tree, &tree);
    core->live.is_signed = core->pair == NULL; /* of a prologue: nobody has to sign it */
    ab_buf_reset(&core->live.signature);
    ab__bitfield_set(&core->bits, before, before + count);
    core->tail.head_changed = core->tail.content_changed = true;
    ab__core_touch(core, staged);
  }
  if (length != NULL) *length = before + count;
  if (count > 0 && core->listeners != NULL) ab__core_tell(core);
  return 0;
}

/* ---- going back ---- */

int
ab__core_prepare_cut (hypercore_t *core, uint64_t length) {
  return ab__bitfield_prepare_cut(&core->bits, length, core->live.tree.length);
}

void
ab__core_cut (hypercore_t *core, const ab_tree_t *tree) {
  size_t staged = core->tail.staged;
  ab__bitfield_cut(&core->bits, tree->length, core->live.tree.length);
  ab__tail_drop(&core->tail, tree->length);
  ab__tree_copy(&core->live.tree, tree);
  core->live.is_signed = false;
  ab_buf_reset(&core->live.signature);
  core->generation++;
  ab__core_touch(core, staged);
}

void
ab__core_settle_cut (hypercore_t *core) {
  /* A memory store has nothing below its tail that could still serve the old state. Out of memory: the next
   * commit does it. */
  if (core->store->storage == NULL) (void) ab__core_commit_in_memory(core);
}

static int
load_tree (hypercore_t *core, uint64_t fork, uint64_t length, ab_tree_t *tree) {
  ab_node_source_t nodes = ab__core_nodes(core);
  ab__core_enter(core);
  int err = ab_tree_load(tree, fork, length, &nodes);
  ab__core_leave(core);
  if (err != AB_ENOTFOUND) return err;
  return ab_store_fail(
    core->store, AB_EREMOTE, "the tree at length %llu is not stored here", (unsigned long long) length
  );
}

/* The head below the live tail: what a rollback to its start goes back to. */
static const ab__head_t *
lower_head (const hypercore_t *core) {
  return core->is_frozen ? &core->frozen_head : &core->committed;
}

/* Nothing but a head that equals the one below is left: then there is nothing to commit. */
static void
forget_head (hypercore_t *core) {
  const ab_tree_t *lower = &lower_head(core)->tree;
  if (!ab__tail_is_blank(&core->tail)) return;
  if (lower->length != core->live.tree.length || lower->fork != core->live.tree.fork) return;
  core->tail.head_changed = core->tail.content_changed = false;
}

int
hypercore_rollback (hypercore_t *core, uint64_t length) {
  int err = ab__store_check_write(core->store);
  if (err < 0) return err;
  if (length < core->base || length > core->live.tree.length) {
    return ab_store_fail(
      core->store,
      AB_EINVAL,
      "cannot roll back to %llu: from %llu to %llu blocks are staged",
      (unsigned long long) length,
      (unsigned long long) core->base,
      (unsigned long long) core->live.tree.length
    );
  }
  if (length == core->live.tree.length) return 0;

  ab_tree_t tree;
  ab_buf_t signature = {0};
  const ab__head_t *lower = lower_head(core);
  bool to_lower =
    core->tail.cut == AB__NO_CUT && length == lower->tree.length && core->live.tree.fork == lower->tree.fork;
  if (to_lower) {
    ab__tree_copy(&tree, &lower->tree);
    ab_buf_append(&signature, ab_buf_slice(&lower->signature));
    err = signature.err;
  } else if (!hypercore_is_writable(core)) {
    return ab_store_fail(
      core->store, AB_EINVAL, "only the writer of a core can roll back to a length of its own"
    );
  } else {
    err = load_tree(core, core->live.tree.fork, length, &tree);
  }
  if (err == 0) err = ab__core_prepare_cut(core, length);
  if (err < 0) {
    ab_buf_destroy(&signature);
    return err;
  }

  ab__core_cut(core, &tree);
  if (to_lower) {
    ab_buf_destroy(&core->live.signature);
    core->live.signature = signature;
    core->live.is_signed = lower->is_signed;
    forget_head(core);
  }
  ab__core_tell(core);
  return 0;
}

int
hypercore_truncate (hypercore_t *core, uint64_t length, uint64_t fork) {
  int err = ab__store_check_write(core->store);
  if (err < 0) return err;
  if (fork == 0) fork = core->live.tree.fork + 1;
  if (!hypercore_is_writable(core)) {
    return ab_store_fail(core->store, AB_ENOTWRITABLE, "only the writer of a core can truncate it");
  }
  if (length > core->live.tree.length || fork > AB_MAX_SAFE) {
    return ab_store_fail(
      core->store,
      AB_EINVAL,
      "cannot truncate %llu blocks to %llu under fork %llu",
      (unsigned long long) core->live.tree.length,
      (unsigned long long) length,
      (unsigned long long) fork
    );
  }
  if (length < prologue_of(core)) return prologue_fail(core, length);

  ab_tree_t tree;
  if ((err = load_tree(core, fork, length, &tree)) < 0) return err;
  if ((err = ab__core_prepare_cut(core, length)) < 0) return err;
  ab__core_cut(core, &tree);
  if (length <= core->base) {
    core->base = length;
    if (length < core->tail.cut) core->tail.cut = length;
  }
  core->tail.head_changed = core->tail.content_changed = true;
  ab__core_settle_cut(core);
  ab__core_tell(core);
  return 0;
}

/* ---- clear ---- */

int
hypercore_clear (hypercore_t *core, uint64_t start, uint64_t end) {
  int err = ab__store_check_write(core->store);
  if (err < 0) return err;
  if (end > core->live.tree.length) end = core->live.tree.length;
  if (start >= end) return 0;

  if ((err = ab__tail_reserve_clear(&core->tail)) < 0) return err;
  if ((err = ab__bitfield_prepare_clear(&core->bits, start, end)) < 0) return err;
  size_t staged = core->tail.staged;
  ab__bitfield_clear(&core->bits, start, end);
  ab__tail_clear(&core->tail, start, end);
  if (core->store->storage == NULL)
    core->tail.cleared_count = 0; /* nothing lies below a memory store's tail */
  core->tail.head_changed = true; /* of the contiguous length */
  core->generation++;
  ab__core_touch(core, staged);
  return 0;
}

/* ---- user data ---- */

size_t
ab__user_data_key (const hypercore_t *core, const char *name, uint8_t out[AB__USER_DATA_KEY_BYTES]) {
  uint8_t hash[AB_HASH_LEN];
  ab_slice_t text = ab_text(name);
  ab_hash(hash, &text, 1);
  for (size_t i = 0; i < 4; i++) out[i] = (uint8_t) (core->number >> (24 - 8 * i));
  memcpy(out + 4, hash, 16);
  return AB__USER_DATA_KEY_BYTES;
}

static int
stored_user_data (hypercore_t *core, const char *name) {
  if (core->store->storage == NULL) return AB_ENOTFOUND;
  uint8_t key[AB__USER_DATA_KEY_BYTES];
  ab_slice_t record;
  size_t len = ab__user_data_key(core, name, key);
  ab__core_enter(core);
  int err = ab__storage_get(core->store->storage, AB__USER_DATA, ab_slice(key, len), &record);
  if (err == 0) {
    ab_reader_t in = ab_reader(record);
    ab_slice_t stored = ab_read_buffer(&in);
    if (in.err < 0 || !ab_slice_equal(stored, ab_text(name))) {
      err = ab_store_fail(core->store, AB_ECORRUPT, "the stored user data \"%s\" does not decode", name);
    } else {
      ab_buf_append(&core->read, ab_slice(in.at, ab_reader_left(&in)));
      err = core->read.err;
    }
  }
  ab__core_leave(core);
  return err;
}

int
hypercore_user_data (hypercore_t *core, const char *name, ab_slice_t *out) {
  int err = ab__store_check(core->store);
  if (err < 0) return err;
  ab_buf_reset(&core->read);
  const ab__staged_user_data_t *staged = ab__tail_user_data(&core->tail, name);
  if (staged == NULL && core->is_frozen) staged = ab__tail_user_data(&core->frozen, name);
  if (staged != NULL && staged->deleted) return AB_ENOTFOUND;
  if (staged != NULL) {
    ab_buf_append(&core->read, ab_buf_slice(&staged->value));
    err = core->read.err;
  } else {
    err = stored_user_data(core, name);
  }
  if (err < 0) return err;
  /* An empty value is not an absent one: never data NULL. */
  *out = core->read.len > 0 ? ab_buf_slice(&core->read) : ab_text("");
  return 0;
}

int
hypercore_set_user_data (hypercore_t *core, const char *name, ab_slice_t value) {
  int err = ab__store_check_write(core->store);
  if (err < 0) return err;
  if (name == NULL || name[0] == 0) return ab_store_fail(core->store, AB_EINVAL, "user data needs a name");

  ab_slice_t old;
  err = hypercore_user_data(core, name, &old);
  if (err < 0 && err != AB_ENOTFOUND) return err;
  bool is_same = err == AB_ENOTFOUND ? value.data == NULL : value.data != NULL && ab_slice_equal(old, value);
  if (is_same) return 0;

  size_t staged = core->tail.staged;
  if ((err = ab__tail_set_user_data(&core->tail, name, value)) < 0) return err;
  ab__core_touch(core, staged);
  return 0;
}

/* test_core.c: what one core does, in memory and on disk. */
#include "hypercore/crypto.h"
#include "stores.h"

#include <stdio.h>
#include <stdlib.h>

static void
append_is_seen_at_once (void **state) {
  ab_store_t *store = store_at(*state);
  hypercore_t *core = core_named(store, "a");
  append_text(core, "one");
  append_text(core, "");
  append_text(core, "three");
  assert_int_equal(hypercore_length(core), 3);
  assert_int_equal(hypercore_byte_length(core), 8);
  assert_int_equal(hypercore_contiguous_length(core), 3);
  assert_block(core, 0, "one");
  assert_block(core, 1, "");
  assert_block(core, 2, "three");
  assert_int_equal(hypercore_committed_length(core), 0);
  assert_ok(store, ab_store_commit(store));
  assert_int_equal(hypercore_committed_length(core), 3);
  assert_int_equal(ab_store_staged(store), 0);
  ab_store_close(store);
}

static void
committed_blocks_are_there_after_reopening (void **state) {
  ab_store_t *store = store_at(*state);
  hypercore_t *core = core_named(store, "a");
  append_numbered(core, 100);
  uint8_t before[32], after[32];
  assert_ok(store, hypercore_tree_hash(core, 100, before));
  assert_ok(store, ab_store_commit(store));
  append_numbered(core, 5);
  assert_ok(store, ab_store_close(store)); /* which commits the rest */

  store = store_at(*state);
  core = core_named(store, "a");
  assert_int_equal(hypercore_length(core), 105);
  assert_true(hypercore_is_writable(core));
  assert_numbered(core, 0, 105);
  assert_ok(store, hypercore_tree_hash(core, 100, after));
  assert_memory_equal(before, after, 32);
  ab_store_close(store);
}

static void
append_returns_the_new_length_and_takes_nothing_else (void **state) {
  ab_store_t *store = store_at(*state);
  hypercore_t *core = core_named(store, "a");
  ab_slice_t blocks[3] = {ab_text("a"), ab_text("b"), ab_text("c")};
  uint64_t length = 0;
  assert_ok(store, hypercore_append(core, blocks, 3, &length));
  assert_int_equal(length, 3);
  assert_ok(store, hypercore_append(core, NULL, 0, &length));
  assert_int_equal(length, 3);
  ab_store_close(store);
}

static void
a_block_may_have_15_MiB_and_not_more (void **state) {
  ab_store_t *store = store_at(*state);
  hypercore_t *core = core_named(store, "a");
  size_t max = (size_t) 15 << 20;
  uint8_t *bytes = calloc(max + 1, 1);
  assert_non_null(bytes);
  ab_slice_t blocks[2] = {ab_text("small"), ab_slice(bytes, max + 1)};
  assert_int_equal(hypercore_append(core, blocks, 2, NULL), AB_ETOOBIG);
  assert_int_equal(hypercore_length(core), 0);
  blocks[1].len = max;
  assert_ok(store, hypercore_append(core, blocks, 2, NULL));
  assert_ok(store, ab_store_commit(store));

  ab_cipher_t cipher;
  uint8_t key[32] = {1};
  ab_cipher_scheme_1(&cipher, key);
  hypercore_set_cipher(core, &cipher);
  assert_int_equal(hypercore_append(core, &blocks[1], 1, NULL), AB_ETOOBIG); /* padding counts */
  free(bytes);
  ab_store_close(store);
}

static void
rollback_drops_what_is_staged_and_nothing_else (void **state) {
  ab_store_t *store = store_at(*state);
  hypercore_t *core = core_named(store, "a");
  append_numbered(core, 10);
  assert_ok(store, ab_store_commit(store));
  uint8_t at_10[32], at_12[32], hash[32];
  hypercore_tree_hash(core, 10, at_10);
  append_numbered(core, 2);
  hypercore_tree_hash(core, 12, at_12);
  append_text(core, "to be dropped");
  append_text(core, "this too");
  uint64_t generation = hypercore_generation(core), fork = hypercore_fork(core);

  assert_ok(store, hypercore_rollback(core, 12));
  assert_int_equal(hypercore_length(core), 12);
  assert_true(hypercore_generation(core) > generation);
  assert_int_equal(hypercore_fork(core), fork);
  hypercore_tree_hash(core, 12, hash);
  assert_memory_equal(hash, at_12, 32);
  assert_false(hypercore_has(core, 12, 13));
  append_numbered(core, 3);
  assert_numbered(core, 0, 15);

  assert_ok(store, hypercore_rollback(core, 10));
  hypercore_tree_hash(core, 10, hash);
  assert_memory_equal(hash, at_10, 32);
  assert_int_equal(hypercore_rollback(core, 9), AB_EINVAL);
  assert_int_equal(hypercore_rollback(core, 11), AB_EINVAL);
  assert_int_equal(hypercore_floor(core), 10);
  append_numbered(core, 7);
  assert_ok(store, ab_store_commit(store));
  assert_numbered(core, 0, 17);
  ab_store_close(store);
}

static void
a_rollback_of_everything_leaves_nothing_to_commit (void **state) {
  ab_store_t *store = store_at(*state);
  hypercore_t *core = core_named(store, "a");
  append_numbered(core, 4);
  assert_ok(store, ab_store_commit(store));
  ab_slice_t signature;
  ab_buf_t before = {0};
  assert_ok(store, hypercore_signature(core, &signature));
  ab_buf_append(&before, signature);
  for (int i = 0; i < 3; i++) {
    append_numbered(core, 100);
    assert_ok(store, hypercore_rollback(core, 4));
  }
  assert_ok(store, ab_store_commit(store));
  assert_int_equal(ab_store_staged(store), 0);
  assert_int_equal(hypercore_committed_length(core), 4);
  assert_ok(store, hypercore_signature(core, &signature));
  assert_true(ab_slice_equal(signature, ab_buf_slice(&before)));
  ab_buf_destroy(&before);
  ab_store_close(store);
}

static void
truncate_raises_the_fork_and_signs_again (void **state) {
  place_t *place = *state;
  ab_store_t *store = store_at(place);
  hypercore_t *core = core_named(store, "a");
  append_numbered(core, 20);
  assert_ok(store, ab_store_commit(store));
  append_numbered(core, 3);
  uint64_t generation = hypercore_generation(core);
  assert_ok(store, hypercore_truncate(core, 7, 0));
  assert_int_equal(hypercore_length(core), 7);
  assert_int_equal(hypercore_fork(core), 1);
  assert_true(hypercore_generation(core) > generation);
  assert_int_equal(hypercore_contiguous_length(core), 7);
  append_text(core, "seven");
  assert_ok(store, ab_store_commit(store));
  assert_int_equal(hypercore_committed_length(core), 8);
  assert_ok(store, hypercore_truncate(core, 8, 5));
  assert_int_equal(hypercore_fork(core), 5);
  assert_int_equal(hypercore_truncate(core, 9, 0), AB_EINVAL);
  ab_store_close(store);
  if (place == NULL) return;

  store = store_at(place);
  core = core_named(store, "a");
  assert_int_equal(hypercore_length(core), 8);
  assert_int_equal(hypercore_fork(core), 5);
  assert_numbered(core, 0, 7);
  assert_block(core, 7, "seven");
  ab_slice_t block;
  assert_int_equal(hypercore_get(core, 8, &block), AB_ENOTFOUND);
  ab_store_close(store);
}

static void
clear_keeps_the_tree (void **state) {
  place_t *place = *state;
  ab_store_t *store = store_at(place);
  hypercore_t *core = core_named(store, "a");
  append_numbered(core, 10);
  uint8_t before[32], after[32];
  hypercore_tree_hash(core, 10, before);
  assert_ok(store, ab_store_commit(store));
  assert_ok(store, hypercore_clear(core, 3, 5));
  assert_ok(store, hypercore_clear(core, 9, 100));
  assert_ok(store, hypercore_clear(core, 10, 11));
  for (int pass = 0; pass < 3; pass++) {
    ab_slice_t block;
    assert_int_equal(hypercore_length(core), 10);
    assert_int_equal(hypercore_contiguous_length(core), 3);
    assert_true(hypercore_has(core, 0, 3) && hypercore_has(core, 5, 9));
    assert_false(hypercore_has(core, 3, 4) || hypercore_has(core, 4, 5) || hypercore_has(core, 9, 10));
    assert_int_equal(hypercore_get(core, 4, &block), AB_EREMOTE);
    assert_numbered(core, 5, 9);
    hypercore_tree_hash(core, 10, after);
    assert_memory_equal(before, after, 32);
    if (pass == 0) assert_ok(store, ab_store_commit(store));
    if (pass == 1 && place != NULL) {
      ab_store_close(store);
      store = store_at(place);
      core = core_named(store, "a");
    }
  }
  append_numbered(core, 1);
  assert_block(core, 10, "block 10");
  ab_store_close(store);
}

static void
user_data_is_staged_and_committed_with_the_core (void **state) {
  place_t *place = *state;
  ab_store_t *store = store_at(place);
  hypercore_t *core = core_named(store, "a");
  ab_slice_t value;
  assert_int_equal(hypercore_user_data(core, "heads", &value), AB_ENOTFOUND);
  assert_ok(store, hypercore_set_user_data(core, "heads", ab_text("one")));
  assert_ok(store, hypercore_set_user_data(core, "empty", ab_text("")));
  assert_ok(store, hypercore_user_data(core, "heads", &value));
  assert_true(ab_slice_equal(value, ab_text("one")));
  assert_ok(store, ab_store_commit(store));
  assert_ok(store, hypercore_set_user_data(core, "heads", ab_text("one")));
  assert_int_equal(ab_store_staged(store), 0); /* equal: nothing to write */
  assert_ok(store, hypercore_set_user_data(core, "heads", ab_text("two")));
  assert_ok(store, hypercore_set_user_data(core, "gone", ab_text("soon")));
  assert_ok(store, ab_store_commit(store));
  assert_ok(store, hypercore_set_user_data(core, "gone", ab_slice(NULL, 0)));
  assert_int_equal(hypercore_user_data(core, "gone", &value), AB_ENOTFOUND);
  assert_ok(store, ab_store_commit(store));
  if (place != NULL) {
    ab_store_close(store);
    store = store_at(place);
    core = core_named(store, "a");
  }
  assert_ok(store, hypercore_user_data(core, "heads", &value));
  assert_true(ab_slice_equal(value, ab_text("two")));
  assert_ok(store, hypercore_user_data(core, "empty", &value));
  assert_non_null(value.data);
  assert_int_equal(value.len, 0);
  assert_int_equal(hypercore_user_data(core, "gone", &value), AB_ENOTFOUND);
  ab_store_close(store);
}

static void
blocks_are_encrypted_where_they_are_stored (void **state) {
  place_t *place = *state;
  ab_cipher_t cipher;
  uint8_t key[32] = {7};
  ab_store_t *store = store_at(place);
  hypercore_t *core = core_named(store, "a");
  ab_cipher_derive(&cipher, AB_CIPHER_KEY_DEFAULT, key, hypercore_key(core));
  hypercore_set_cipher(core, &cipher);
  append_numbered(core, 5);
  append_text(core, "");
  assert_ok(store, ab_store_commit(store));
  assert_numbered(core, 0, 5);
  ab_slice_t stored;
  assert_ok(store, hypercore_get_stored(core, 2, &stored));
  assert_int_equal(stored.len, 8 + strlen("block 2"));
  assert_memory_not_equal(stored.data + 8, "block 2", 7);
  assert_block(core, 5, "");
  assert_int_equal(hypercore_byte_length(core), 5 * 15 + 8);
  hypercore_set_cipher(core, NULL);
  assert_ok(store, hypercore_get(core, 2, &stored));
  assert_int_equal(stored.len, 15);
  ab_store_close(store);
}

static void
a_missing_block_is_wanted_from_peers (void **state) {
  ab_store_t *store = store_at(*state);
  hypercore_t *writer = core_named(store, "a");
  ab_key_t key = {{1, 2, 3}};
  hypercore_t *reader = core_of_key(store, &key);
  ab_slice_t block;
  assert_int_equal(hypercore_get(writer, 0, &block), AB_ENOTFOUND);
  assert_int_equal(hypercore_get(reader, 7, &block), AB_EREMOTE);
  assert_int_equal(hypercore_get(reader, 9, &block), AB_EREMOTE);
  assert_int_equal(hypercore_get(reader, 7, &block), AB_EREMOTE);
  uint64_t wanted[4];
  assert_int_equal(hypercore_take_wanted(writer, wanted, 4), 0);
  assert_int_equal(hypercore_take_wanted(reader, wanted, 4), 2);
  assert_int_equal(wanted[0], 9);
  assert_int_equal(wanted[1], 7);
  assert_int_equal(hypercore_take_wanted(reader, wanted, 4), 0);

  uint64_t all[HYPERCORE_WANTED_MAX];
  for (uint64_t i = 0; i < 1000; i++) assert_int_equal(hypercore_get(reader, i, &block), AB_EREMOTE);
  assert_int_equal(hypercore_take_wanted(reader, all, HYPERCORE_WANTED_MAX), HYPERCORE_WANTED_MAX);
  for (uint64_t i = 0; i < HYPERCORE_WANTED_MAX; i++) assert_int_equal(all[i], 999 - i);
  ab_store_close(store);
}

static void
a_core_of_another_is_not_ours_to_write (void **state) {
  ab_store_t *store = store_at(*state);
  ab_key_t key = {{1, 2, 3}};
  hypercore_t *reader = core_of_key(store, &key);
  ab_slice_t block = ab_text("x");
  assert_false(hypercore_is_writable(reader));
  assert_null(hypercore_key_pair(reader));
  assert_int_equal(hypercore_append(reader, &block, 1, NULL), AB_ENOTWRITABLE);
  assert_int_equal(hypercore_truncate(reader, 0, 0), AB_ENOTWRITABLE);
  assert_int_equal(hypercore_length(reader), 0);
  ab_store_close(store);
}

/* ---- proofs between stores ---- */

static void
a_reader_pulls_an_upgrade_and_some_blocks (void **state) {
  ab_store_t *theirs = store_at(NULL);
  ab_store_t *ours = store_at(*state);
  hypercore_t *writer = core_named(theirs, "a");
  append_numbered(writer, 40);
  hypercore_t *reader = core_of_key(ours, hypercore_key(writer));
  assert_ok(ours, hypercore_pull(reader, writer, 0, 0, 0));
  assert_int_equal(hypercore_length(reader), 0); /* nothing is shown before it is committed */
  assert_ok(theirs, ab_store_commit(theirs));
  append_numbered(writer, 2);

  assert_ok(ours, hypercore_pull(reader, writer, 0, 10, 12));
  assert_int_equal(hypercore_length(reader), 40);
  assert_true(hypercore_has(reader, 10, 12));
  assert_false(hypercore_has(reader, 9, 10) || hypercore_has(reader, 12, 13));
  assert_int_equal(hypercore_contiguous_length(reader), 0);
  assert_numbered(reader, 10, 12);
  assert_true(hypercore_manifest(reader).len > 0);
  uint8_t one[32], two[32];
  hypercore_tree_hash(writer, 40, one);
  hypercore_tree_hash(reader, 40, two);
  assert_memory_equal(one, two, 32);
  assert_int_equal(hypercore_committed_length(reader), 0);
  assert_ok(ours, ab_store_commit(ours));
  assert_int_equal(hypercore_committed_length(reader), 40);

  assert_ok(theirs, ab_store_commit(theirs));
  assert_ok(ours, hypercore_pull(reader, writer, 0, 0, UINT64_MAX));
  assert_int_equal(hypercore_contiguous_length(reader), 42);
  assert_numbered(reader, 0, 42);
  assert_ok(ours, ab_store_commit(ours));
  if (*state != NULL) {
    ab_key_t key = *hypercore_key(reader);
    ab_store_close(ours);
    ours = store_at(*state);
    reader = core_of_key(ours, &key);
    assert_false(hypercore_is_writable(reader));
  }
  assert_numbered(reader, 0, 42);
  assert_int_equal(hypercore_contiguous_length(reader), 42);

  /* What was read can be passed on. */
  ab_store_t *third = store_at(NULL);
  hypercore_t *next = core_of_key(third, hypercore_key(reader));
  assert_ok(third, hypercore_pull(next, reader, 0, 0, 42));
  assert_numbered(next, 0, 42);
  ab_store_close(third);
  ab_store_close(theirs);
  ab_store_close(ours);
}

static void
a_reader_rolls_back_to_its_committed_head (void **state) {
  ab_store_t *theirs = store_at(NULL);
  ab_store_t *ours = store_at(*state);
  hypercore_t *writer = core_named(theirs, "a");
  append_numbered(writer, 5);
  assert_ok(theirs, ab_store_commit(theirs));
  hypercore_t *reader = core_of_key(ours, hypercore_key(writer));
  assert_ok(ours, hypercore_pull(reader, writer, 0, 0, 5));
  assert_ok(ours, ab_store_commit(ours));
  append_numbered(writer, 9);
  assert_ok(theirs, ab_store_commit(theirs));
  assert_ok(ours, hypercore_pull(reader, writer, 0, 0, 14));
  assert_int_equal(hypercore_rollback(reader, 6), AB_EINVAL);
  assert_ok(ours, hypercore_rollback(reader, 5));
  assert_int_equal(hypercore_length(reader), 5);
  assert_int_equal(hypercore_contiguous_length(reader), 5);
  ab_slice_t signature, theirs_then;
  assert_ok(ours, hypercore_signature(reader, &signature));
  assert_int_equal(signature.len, 68);
  (void) theirs_then;
  assert_ok(ours, hypercore_pull(reader, writer, 0, 0, 14));
  assert_numbered(reader, 0, 14);
  ab_store_close(theirs);
  ab_store_close(ours);
}

static void
a_refused_proof_changes_nothing (void **state) {
  ab_store_t *theirs = store_at(NULL);
  ab_store_t *ours = store_at(*state);
  hypercore_t *writer = core_named(theirs, "a");
  append_numbered(writer, 8);
  assert_ok(theirs, ab_store_commit(theirs));
  hypercore_t *reader = core_of_key(ours, hypercore_key(writer));
  assert_ok(ours, ab_store_commit(ours));

  ab_arena_t arena = {0};
  ab_request_t request = {.has_upgrade = true, .has_block = true, .wants_manifest = true};
  request.upgrade.length = 8;
  request.block.index = 3;
  ab_proof_t proof;
  ab_proof_outcome_t outcome;
  assert_ok(theirs, hypercore_prove(writer, &request, &arena, &proof));
  ((uint8_t *) (uintptr_t) proof.upgrade.signature.data)[5] ^= 1;
  assert_int_equal(hypercore_apply_proof(reader, &proof, &outcome), AB_ESIGNATURE);
  assert_int_equal(hypercore_length(reader), 0);
  assert_int_equal(hypercore_manifest(reader).len, 0);
  assert_int_equal(ab_store_staged(ours), 0);
  ((uint8_t *) (uintptr_t) proof.upgrade.signature.data)[5] ^= 1;
  proof.fork = 1;
  assert_ok(ours, hypercore_apply_proof(reader, &proof, &outcome));
  assert_int_equal(outcome, AB_PROOF_IGNORED);
  assert_int_equal(ab_store_staged(ours), 0);
  proof.fork = 0;
  assert_ok(ours, hypercore_apply_proof(reader, &proof, &outcome));
  assert_int_equal(outcome, AB_PROOF_APPLIED);
  assert_block(reader, 3, "block 3");
  ab_arena_destroy(&arena);
  ab_store_close(theirs);
  ab_store_close(ours);
}

static void
proofs_name_the_committed_length_whatever_is_staged (void **state) {
  ab_store_t *store = store_at(*state);
  hypercore_t *core = core_named(store, "a");
  append_numbered(core, 6);
  assert_ok(store, ab_store_commit(store));
  append_numbered(core, 11); /* whose roots are others */
  ab_arena_t arena = {0};
  ab_request_t request = {.has_upgrade = true};
  ab_proof_t proof;
  request.upgrade.length = 6;
  assert_ok(store, hypercore_prove(core, &request, &arena, &proof));
  assert_int_equal(ab_proof_length(&proof), 6);
  request.upgrade.length = 7;
  assert_int_equal(hypercore_prove(core, &request, &arena, &proof), AB_EOPERATION);
  assert_ok(store, ab_store_commit(store));
  assert_ok(store, hypercore_prove(core, &request, &arena, &proof));
  assert_int_equal(ab_proof_length(&proof), 17);
  ab_arena_destroy(&arena);
  ab_store_close(store);
}

static void
a_core_signed_on_demand_is_signed_when_asked_and_at_close (void **state) {
  place_t *place = *state;
  ab_store_t *store = store_at(place);
  hypercore_options_t options = hypercore_options_default();
  options.name = ab_text("view");
  options.signing = HYPERCORE_SIGN_ON_DEMAND;
  hypercore_t *core;
  assert_ok(store, hypercore_open(store, &options, &core));
  append_numbered(core, 3);
  assert_ok(store, ab_store_commit(store));
  ab_slice_t signature;
  assert_ok(store, hypercore_signature(core, &signature));
  assert_int_equal(signature.len, 68);
  append_numbered(core, 3);
  assert_ok(store, ab_store_commit(store));

  ab_store_t *ours = store_at(NULL);
  hypercore_t *reader = core_of_key(ours, hypercore_key(core));
  assert_ok(ours, hypercore_pull(reader, core, 0, 0, 6));
  assert_numbered(reader, 0, 6);
  ab_store_close(ours);
  append_numbered(core, 1);
  ab_store_close(store);

  if (place == NULL) return;
  ab_store_options_t read_only = ab_store_options_default();
  read_only.read_only = true;
  store = store_with(place, &read_only);
  options.create = false;
  assert_ok(store, hypercore_open(store, &options, &core));
  assert_ok(store, hypercore_signature(core, &signature));
  assert_int_equal(signature.len, 68); /* from the file: a read-only store signs nothing */
  ab_store_close(store);
}

/* ---- listeners ---- */

static void
count_change (void *data, hypercore_t *core) {
  (void) core;
  (*(int *) data)++;
}

static void
listeners_are_told_of_changes_until_they_leave (void **state) {
  ab_store_t *store = store_at(*state);
  hypercore_t *core = core_named(store, "a");
  int one = 0, two = 0;
  hypercore_listener_t first = {.changed = count_change, .data = &one};
  hypercore_listener_t second = {.changed = count_change, .data = &two};
  hypercore_listen(core, &first);
  hypercore_listen(core, &second);
  append_numbered(core, 1);
  hypercore_unlisten(&first);
  append_numbered(core, 1);
  assert_ok(store, hypercore_rollback(core, 0));
  hypercore_unlisten(&second);
  hypercore_unlisten(&second);
  append_numbered(core, 1);
  assert_int_equal(one, 1);
  assert_int_equal(two, 3);
  ab_store_close(store);
}

#define BOTH(test) \
  {#test " (in memory)", test, NULL, NULL, NULL}, { \
#test " (on disk)", test, place_setup, place_teardown, NULL \
  }

int
main (void) {
  static const struct CMUnitTest tests[] = {
    BOTH(append_is_seen_at_once),
    cmocka_unit_test_setup_teardown(committed_blocks_are_there_after_reopening, place_setup, place_teardown),
    BOTH(append_returns_the_new_length_and_takes_nothing_else),
    BOTH(a_block_may_have_15_MiB_and_not_more),
    BOTH(rollback_drops_what_is_staged_and_nothing_else),
    BOTH(a_rollback_of_everything_leaves_nothing_to_commit),
    BOTH(truncate_raises_the_fork_and_signs_again),
    BOTH(clear_keeps_the_tree),
    BOTH(user_data_is_staged_and_committed_with_the_core),
    BOTH(blocks_are_encrypted_where_they_are_stored),
    BOTH(a_missing_block_is_wanted_from_peers),
    BOTH(a_core_of_another_is_not_ours_to_write),
    BOTH(a_reader_pulls_an_upgrade_and_some_blocks),
    BOTH(a_reader_rolls_back_to_its_committed_head),
    BOTH(a_refused_proof_changes_nothing),
    BOTH(proofs_name_the_committed_length_whatever_is_staged),
    BOTH(a_core_signed_on_demand_is_signed_when_asked_and_at_close),
    BOTH(listeners_are_told_of_changes_until_they_leave),
  };
  return cmocka_run_group_tests_name("core", tests, NULL, NULL);
}

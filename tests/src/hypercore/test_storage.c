/* test_storage.c: the data file and the secrets file, below the store. */
#include "hypercore/storage.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hypercore/record.h"
#include "hypercore/secret.h"
#include "support/rng.h"
#include "support/test.h"
#include "support/tmpdir.h"

static char dir[TMPDIR_MAX];
static char message[512];

static int
setup (void **state) {
  (void) state;
  tmpdir_make(dir);
  return 0;
}

static int
teardown (void **state) {
  (void) state;
  tmpdir_remove(dir);
  return 0;
}

static ab__storage_t *
open_storage (size_t map_bytes, bool complete) {
  ab__storage_options_t options = {
    .dir = dir, .relaxed = true, .map_bytes = map_bytes, .message = message, .message_len = sizeof(message)};
  ab__storage_t *storage = NULL;
  message[0] = 0;
  int err = ab__storage_open(&options, complete, &storage);
  if (err < 0) fail_msg("%s: %s", ab_err_name(err), message);
  return storage;
}

static void
ok (int err) {
  if (err < 0) fail_msg("%s: %s", ab_err_name(err), message);
}

static void
sections_nest_and_pin_one_state (void **state) {
  (void) state;
  ab__storage_t *storage = open_storage(0, false);
  ok(ab__storage_write_begin(storage));
  ok(ab__storage_put_at(storage, AB__BLOCKS, 1, 7, ab_text("seven")));
  ok(ab__storage_put_at(storage, AB__BLOCKS, 1, 8, ab_text("")));
  ok(ab__storage_write_commit(storage));

  ab_slice_t value;
  uint64_t version, again;
  ab__storage_read_begin(storage);
  ok(ab__storage_get_at(storage, AB__BLOCKS, 1, 7, &value));
  ab__storage_read_begin(storage);
  ok(ab__storage_version(storage, &version));
  ab__storage_read_end(storage);
  assert_true(ab_slice_equal(value, ab_text("seven"))); /* still in the outer section */
  assert_int_equal(ab__storage_get_at(storage, AB__BLOCKS, 1, 6, &value), AB_ENOTFOUND);
  assert_int_equal(ab__storage_get_at(storage, AB__NODES, 1, 7, &value), AB_ENOTFOUND);
  ab__storage_read_end(storage);

  ok(ab__storage_write_begin(storage));
  ok(ab__storage_delete(storage, AB__BLOCKS, ab_text("nothing here")));
  ok(ab__storage_put(storage, AB__META, ab_text("x"), ab_text("y")));
  ab__storage_write_abort(storage);
  ab__storage_read_begin(storage);
  ok(ab__storage_version(storage, &again));
  assert_int_equal(version, again);
  assert_int_equal(ab__storage_get(storage, AB__META, ab_text("x"), &value), AB_ENOTFOUND);
  ab__storage_read_end(storage);
  ab__storage_close(storage, false);
}

static void
deleting_a_range_leaves_the_neighbours (void **state) {
  (void) state;
  ab__storage_t *storage = open_storage(0, false);
  ab_slice_t value, key;
  ok(ab__storage_write_begin(storage));
  for (uint32_t core = 0; core < 3; core++)
    for (uint64_t i = 0; i < 1000; i++)
      ok(ab__storage_put_at(storage, AB__BLOCKS, core, i, ab_text("some block")));
  ok(ab__storage_put_at(storage, AB__BLOCKS, 0, UINT64_MAX - 1, ab_text("last")));
  ok(ab__storage_delete_range(storage, AB__BLOCKS, 1, 10, 990));
  ok(ab__storage_delete_range(storage, AB__BLOCKS, 2, 0, UINT64_MAX));
  ok(ab__storage_write_commit(storage));
  ab__storage_read_begin(storage);
  for (uint32_t core = 0; core < 3; core++) {
    for (uint64_t i = 0; i < 1000; i++) {
      bool kept = core == 0 || (core == 1 && (i < 10 || i >= 990));
      assert_int_equal(ab__storage_get_at(storage, AB__BLOCKS, core, i, &value), kept ? 0 : AB_ENOTFOUND);
    }
  }
  ok(ab__storage_seek(storage, AB__BLOCKS, ab_text("\xff"), false, &key, &value));
  assert_int_equal(key.len, 12);
  assert_int_equal(key.data[3], 1);
  assert_int_equal(ab__storage_seek(storage, AB__BLOCKS, ab_text("\xff"), true, &key, &value), AB_ENOTFOUND);
  ab__storage_read_end(storage);
  ab__storage_close(storage, false);
}

static void
a_map_too_small_says_so_and_grows (void **state) {
  (void) state;
  static uint8_t block[3000];
  ab__storage_t *storage = open_storage(128 * 1024, false);
  size_t grown = 0;
  for (uint64_t i = 0; i < 1000; i++) {
    int err;
    do {
      ok(err = ab__storage_write_begin(storage));
      err = ab__storage_put_at(storage, AB__BLOCKS, 0, i, ab_slice(block, sizeof(block)));
      if (err == 0) err = ab__storage_write_commit(storage);
      else ab__storage_write_abort(storage);
      if (err == AB__STORAGE_FULL) {
        ok(ab__storage_grow(storage));
        grown++;
      } else {
        ok(err);
      }
    } while (err != 0);
  }
  assert_true(grown >= 4);
  ab_slice_t value;
  ab__storage_read_begin(storage);
  for (uint64_t i = 0; i < 1000; i++) ok(ab__storage_get_at(storage, AB__BLOCKS, 0, i, &value));
  ab__storage_read_end(storage);
  ab__storage_close(storage, false);
}

/* LMDB leaves pages at the end unwritten that one transaction took and gave back. */
static void
the_file_is_never_shorter_than_its_last_page (void **state) {
  (void) state;
  char path[TMPDIR_MAX];
  static uint8_t value[6000];
  rng_t dice = rng(5);
  tmpdir_path(path, dir, "data.mdb");
  ab__storage_t *storage = open_storage(0, false);
  for (int round = 0; round < 300; round++) {
    ok(ab__storage_write_begin(storage));
    for (int i = 0; i < 40; i++) {
      uint64_t index = rng_below(&dice, 300);
      size_t len = rng_below(&dice, 2) == 0 ? rng_below(&dice, 6000) : 20;
      if (rng_below(&dice, 3) > 0)
        ok(ab__storage_put_at(storage, AB__BLOCKS, 0, index, ab_slice(value, len)));
      else ok(ab__storage_delete_range(storage, AB__BLOCKS, 0, index, index + 1 + rng_below(&dice, 40)));
    }
    if (round % 7 == 0) ok(ab__storage_delete_range(storage, AB__BLOCKS, 0, 0, UINT64_MAX));
    ok(ab__storage_write_commit(storage));
    if (round % 20 != 0) continue;
    ab__storage_close(storage, false);
    storage = open_storage(0, true); /* which compares */
  }
  ab__storage_close(storage, false);

  /* All of it deleted: pages at the end are free. A file without them is whole. */
  storage = open_storage(0, true);
  ok(ab__storage_write_begin(storage));
  for (uint64_t i = 0; i < 100; i++)
    ok(ab__storage_put_at(storage, AB__BLOCKS, 0, i, ab_slice(value, sizeof(value))));
  ok(ab__storage_write_commit(storage));
  for (int i = 0; i < 3; i++) { /* until nothing that is used lies there */
    ok(ab__storage_write_begin(storage));
    ok(ab__storage_delete_range(storage, AB__BLOCKS, 0, 0, UINT64_MAX));
    ok(ab__storage_put(storage, AB__META, ab_text("x"), ab_slice(value, (size_t) i)));
    ok(ab__storage_write_commit(storage));
  }
  ab__storage_close(storage, false);
  struct stat st;
  assert_int_equal(stat(path, &st), 0);
  off_t whole = st.st_size;
  off_t shortest = whole;
  for (off_t cut = 4096; cut < whole; cut += 4096) {
    ab__storage_options_t options = {.dir = dir, .message = message, .message_len = sizeof(message)};
    assert_int_equal(truncate(path, whole - cut), 0);
    int err = ab__storage_open(&options, true, &storage);
    if (err == AB_ECORRUPT) {
      assert_int_equal(stat(path, &st), 0);
      assert_int_equal(st.st_size, whole - cut); /* left as it was found */
      break;
    }
    ok(err);
    shortest = whole - cut;
    ab__storage_close(storage, false);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, whole);
  }
  assert_true(shortest < whole);
}

/* ---- secrets ---- */

static void
secrets_come_back_as_they_were (void **state) {
  (void) state;
  ab__secret_t secret = {0}, loaded;
  ab_key_pair_t pair = {{1, 2}, {3, 4}}, other = {{5}, {6}};
  assert_int_equal(ab__secret_load(dir, &loaded), AB_ENOTFOUND);
  secret.primary.bytes[31] = 0xff;
  ok(ab__secret_add_pair(&secret, &pair));
  ok(ab__secret_add_pair(&secret, &other));
  ok(ab__secret_add_pair(&secret, &pair));
  ok(ab__secret_set_value(&secret, "one two\n", ab_slice("\0\1\2", 3)));
  ok(ab__secret_set_value(&secret, "empty", ab_text("")));
  ok(ab__secret_set_value(&secret, "gone", ab_text("x")));
  ok(ab__secret_set_value(&secret, "gone", ab_slice(NULL, 0)));
  ok(ab__secret_save(dir, &secret));
  ok(ab__secret_load(dir, &loaded));
  assert_true(ab_key_equal(&secret.primary, &loaded.primary));
  assert_int_equal(loaded.pair_count, 2);
  assert_memory_equal(ab__secret_pair(&loaded, pair.public_key), &pair, sizeof(pair));
  assert_true(ab_slice_equal(ab__secret_value(&loaded, "one two\n"), ab_slice("\0\1\2", 3)));
  assert_non_null(ab__secret_value(&loaded, "empty").data);
  assert_null(ab__secret_value(&loaded, "gone").data);
  ab__secret_destroy(&secret);
  ab__secret_destroy(&loaded);
}

static void
a_cut_secrets_file_is_noticed (void **state) {
  (void) state;
  ab__secret_t secret = {0};
  ab_key_pair_t pair = {{1, 2}, {3, 4}};
  char path[TMPDIR_MAX];
  struct stat st;
  ok(ab__secret_add_pair(&secret, &pair));
  ok(ab__secret_set_value(&secret, "name", ab_text("value")));
  ok(ab__secret_save(dir, &secret));
  ab__secret_destroy(&secret);
  tmpdir_path(path, dir, "secret");
  assert_int_equal(stat(path, &st), 0);
  for (off_t len = st.st_size - 1; len >= 0; len--) {
    assert_int_equal(truncate(path, len), 0);
    int err = ab__secret_load(dir, &secret);
    assert_true(err == AB_ECORRUPT || err == AB_EVERSION);
  }
}

/* ---- records ---- */

static void
records_decode_to_what_was_encoded (void **state) {
  (void) state;
  ab__head_record_t head = {3, 1000, 50000, 900, 1700000000000, {7}, ab_text("signature")}, found;
  ab_buf_t bytes = {0};
  ab__head_record_encode(&bytes, &head);
  ok(bytes.err);
  ok(ab__head_record_decode(ab_buf_slice(&bytes), &found));
  assert_int_equal(found.fork, 3);
  assert_int_equal(found.length, 1000);
  assert_int_equal(found.byte_length, 50000);
  assert_int_equal(found.contiguous, 900);
  assert_int_equal(found.changed_ms, 1700000000000);
  assert_int_equal(found.tree_hash[0], 7);
  assert_true(ab_slice_equal(found.signature, head.signature));
  for (size_t len = 0; len < bytes.len; len++)
    assert_int_equal(ab__head_record_decode(ab_slice(bytes.data, len), &found), AB_ECORRUPT);
  ab_write_bool(&bytes, true);
  assert_int_equal(ab__head_record_decode(ab_buf_slice(&bytes), &found), AB_ECORRUPT);
  ab_buf_reset(&bytes);
  head.contiguous = 1001;
  ab__head_record_encode(&bytes, &head);
  assert_int_equal(ab__head_record_decode(ab_buf_slice(&bytes), &found), AB_ECORRUPT);

  ab_arena_t arena = {0};
  uint8_t public_key[32] = {9};
  ab_signer_t signer;
  ab_manifest_t manifest;
  ab_manifest_default(public_key, &signer, &manifest);
  ab__core_record_t core = {
    .key = {{1}},
    .manifest = &manifest,
    .has_group = true,
    .group = {{2}},
    .ns = {{3}},
    .name = ab_text("name")};
  ab__core_record_t core_found;
  ab_buf_reset(&bytes);
  ab__core_record_encode(&bytes, &core);
  ok(ab__core_record_decode(ab_buf_slice(&bytes), &arena, &core_found));
  assert_int_equal(core_found.manifest->signers[0].public_key[0], 9);
  assert_int_equal(core_found.group.bytes[0], 2);
  assert_int_equal(core_found.ns.bytes[0], 3);
  assert_true(ab_slice_equal(core_found.name, core.name));
  for (size_t len = 0; len < bytes.len; len++)
    assert_int_equal(ab__core_record_decode(ab_slice(bytes.data, len), &arena, &core_found), AB_ECORRUPT);
  ab_arena_destroy(&arena);
  ab_buf_destroy(&bytes);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main (void) {
  static const struct CMUnitTest tests[] = {
    IN_DIR(sections_nest_and_pin_one_state),
    IN_DIR(deleting_a_range_leaves_the_neighbours),
    IN_DIR(a_map_too_small_says_so_and_grows),
    IN_DIR(the_file_is_never_shorter_than_its_last_page),
    IN_DIR(secrets_come_back_as_they_were),
    IN_DIR(a_cut_secrets_file_is_noticed),
    cmocka_unit_test(records_decode_to_what_was_encoded),
  };
  return cmocka_run_group_tests_name("storage", tests, NULL, NULL);
}

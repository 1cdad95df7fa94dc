/* test_corestore.c: finding and making cores in a store: names, keys, pairs, manifests, groups. */
#include "hypercore/crypto.h"
#include "hypercore/manifest.h"
#include "stores.h"

#include <stdio.h>

static ab_key_pair_t
pair_of (uint8_t seed_byte) {
  uint8_t seed[32];
  ab_key_pair_t pair;
  memset(seed, seed_byte, sizeof(seed));
  ab_key_pair_from_seed(&pair, seed);
  return pair;
}

static void
one_core_is_one_object_however_it_is_opened (void **state) {
  ab_store_t *store = store_at(*state);
  hypercore_t *named = core_named(store, "a");
  hypercore_t *by_key = core_of_key(store, hypercore_key(named));
  hypercore_t *found;
  assert_ptr_equal(named, by_key);
  assert_ok(store, hypercore_open_discovery(store, hypercore_discovery_key(named), &found));
  assert_ptr_equal(named, found);
  assert_ptr_equal(hypercore_retain(named), named);
  for (int i = 0; i < 4; i++) hypercore_close(named);
  ab_key_t unknown = {{1}};
  assert_int_equal(hypercore_open_discovery(store, &unknown, &found), AB_ENOTFOUND);
  ab_store_close(store);
}

static void
a_closed_core_with_staged_blocks_is_not_forgotten (void **state) {
  ab_store_t *store = store_at(*state);
  hypercore_t *core = core_named(store, "a");
  ab_key_t key = *hypercore_key(core);
  append_numbered(core, 5);
  hypercore_close(core);
  core = core_of_key(store, &key);
  assert_int_equal(hypercore_length(core), 5);
  hypercore_close(core);
  assert_ok(store, ab_store_commit(store));
  core = core_of_key(store, &key);
  assert_numbered(core, 0, 5);
  assert_true(hypercore_is_writable(core));
  ab_store_close(store);
}

static void
a_name_gives_the_same_core_again_and_numbers_stay (void **state) {
  place_t *place = *state;
  ab_store_t *store = store_at(place);
  ab_key_t keys[20];
  uint32_t numbers[20];
  for (int i = 0; i < 20; i++) {
    char name[24];
    snprintf(name, sizeof(name), "core %d", i);
    hypercore_t *core = core_named(store, name);
    keys[i] = *hypercore_key(core);
    numbers[i] = hypercore_number(core);
    append_numbered(core, (size_t) i);
  }
  ab_store_close(store);
  store = store_at(place);
  for (int i = 19; i >= 0; i--) {
    char name[24];
    snprintf(name, sizeof(name), "core %d", i);
    hypercore_t *core = core_named(store, name);
    assert_true(ab_key_equal(&keys[i], hypercore_key(core)));
    assert_int_equal(numbers[i], hypercore_number(core));
    assert_int_equal(hypercore_length(core), i);
  }
  hypercore_t *next = core_named(store, "one more");
  for (int i = 0; i < 20; i++) assert_int_not_equal(hypercore_number(next), numbers[i]);
  ab_store_close(store);
}

static void
names_live_in_namespaces (void **state) {
  ab_store_t *store = store_at(*state);
  ab_key_t a, ab, nested;
  corestore_namespace(NULL, ab_text("a"), &a);
  corestore_namespace(NULL, ab_text("ab"), &ab);
  corestore_namespace(&a, ab_text("b"), &nested);
  assert_false(ab_key_equal(&ab, &nested));
  hypercore_options_t options = hypercore_options_default();
  options.name = ab_text("x");
  hypercore_t *plain, *in_a, *in_nested;
  assert_ok(store, hypercore_open(store, &options, &plain));
  options.namespace_key = &a;
  assert_ok(store, hypercore_open(store, &options, &in_a));
  options.namespace_key = &nested;
  assert_ok(store, hypercore_open(store, &options, &in_nested));
  assert_ptr_not_equal(plain, in_a);
  assert_ptr_not_equal(in_a, in_nested);
  ab_store_close(store);
}

static void
a_name_may_be_longer_than_a_key_of_the_file (void **state) {
  place_t *place = *state;
  char name[2001];
  memset(name, 'n', sizeof(name) - 1);
  name[sizeof(name) - 1] = 0;
  ab_store_t *store = store_at(place);
  hypercore_t *core = core_named(store, name);
  append_numbered(core, 2);
  assert_ok(store, hypercore_set_user_data(core, name, ab_text("value")));
  ab_store_close(store);
  store = store_at(place);
  core = core_named(store, name);
  assert_numbered(core, 0, 2);
  ab_slice_t value;
  assert_ok(store, hypercore_user_data(core, name, &value));
  assert_true(ab_slice_equal(value, ab_text("value")));
  ab_store_close(store);
}

static void
a_recorded_name_wins_over_another_manifest_version (void **state) {
  place_t *place = *state;
  ab_store_t *store = store_at(place);
  ab_key_t key = *hypercore_key(core_named(store, "a"));
  ab_store_close(store);
  ab_store_options_t options = ab_store_options_default();
  options.manifest_version = 2;
  store = store_with(place, &options);
  assert_true(ab_key_equal(hypercore_key(core_named(store, "a")), &key));
  assert_true(hypercore_is_writable(core_named(store, "a")));
  hypercore_t *other = core_named(store, "b");
  assert_int_equal(hypercore_manifest(other).data[0], 2);
  ab_store_close(store);
}

static void
a_core_known_by_key_becomes_writable_by_its_name (void **state) {
  place_t *place = *state;
  ab_key_t primary = {{3, 1, 4}};
  ab_store_options_t options = ab_store_options_default();
  options.primary_key = &primary;
  ab_store_t *memory = store_with(NULL, &options);
  ab_key_t key = *hypercore_key(core_named(memory, "a"));
  ab_store_close(memory);

  ab_store_t *store = store_with(place, &options);
  hypercore_t *core = core_of_key(store, &key);
  assert_false(hypercore_is_writable(core));
  assert_ok(store, ab_store_commit(store));
  assert_ptr_equal(core_named(store, "a"), core);
  assert_true(hypercore_is_writable(core));
  append_numbered(core, 1);
  ab_store_close(store);
  store = store_with(place, &options);
  assert_true(hypercore_is_writable(core_of_key(store, &key))); /* the name was recorded */
  ab_store_close(store);
}

static void
a_key_pair_makes_its_core (void **state) {
  place_t *place = *state;
  ab_key_pair_t pair = pair_of(4), other = pair_of(5);
  ab_store_t *store = store_at(place);
  ab_key_t expected;
  assert_ok(store, corestore_key(store, pair.public_key, &expected));
  hypercore_options_t options = hypercore_options_default();
  options.key_pair = &pair;
  hypercore_t *core, *wrong;
  assert_ok(store, hypercore_open(store, &options, &core));
  assert_true(ab_key_equal(hypercore_key(core), &expected));
  append_numbered(core, 3);

  options.key_pair = &other;
  options.key = &expected;
  assert_int_equal(hypercore_open(store, &options, &wrong), AB_ECONFLICT);
  ab_store_close(store);
  if (place == NULL) return;
  store = store_at(place);
  core = core_of_key(store, &expected);
  assert_true(hypercore_is_writable(core));
  assert_numbered(core, 0, 3);
  ab_store_close(store);
}

static void
a_manifest_makes_its_core (void **state) {
  ab_store_t *store = store_at(*state);
  ab_key_pair_t pair = pair_of(4);
  ab_signer_t signers[2] = {ab_signer(pair.public_key), ab_signer(pair_of(6).public_key)};
  ab_manifest_t manifest = {.version = 1, .quorum = 1, .signers = signers, .signer_count = 2};
  ab_buf_t encoded = {0};
  ab_key_t key, wrong = {{1}};
  ab_manifest_encode(&encoded, &manifest);
  assert_ok(store, ab_manifest_key(&manifest, &key));

  hypercore_options_t options = hypercore_options_default();
  options.manifest = ab_buf_slice(&encoded);
  options.key = &wrong;
  hypercore_t *core;
  assert_int_equal(hypercore_open(store, &options, &core), AB_ECONFLICT);
  options.key = NULL;
  options.key_pair = &pair;
  assert_ok(store, hypercore_open(store, &options, &core));
  assert_true(ab_key_equal(hypercore_key(core), &key));
  assert_true(ab_slice_equal(hypercore_manifest(core), ab_buf_slice(&encoded)));
  assert_non_null(hypercore_key_pair(core));
  assert_false(hypercore_is_writable(core)); /* one of two signers makes no signature that anybody accepts */
  ab_slice_t block = ab_text("x");
  assert_int_equal(hypercore_append(core, &block, 1, NULL), AB_ENOTWRITABLE);
  options.manifest = ab_text("garbage");
  assert_int_equal(hypercore_open(store, &options, &core), AB_EINVAL);
  ab_buf_destroy(&encoded);
  ab_store_close(store);
}

static void
unknown_cores_are_made_only_if_wanted (void **state) {
  ab_store_t *store = store_at(*state);
  ab_key_t key = {{8}};
  hypercore_options_t options = hypercore_options_default();
  options.create = false;
  options.key = &key;
  hypercore_t *core;
  assert_int_equal(hypercore_open(store, &options, &core), AB_ENOTFOUND);
  options.create = true;
  assert_ok(store, hypercore_open(store, &options, &core));
  assert_ok(store, ab_store_commit(store));
  hypercore_close(core);
  options.create = false;
  assert_ok(store, hypercore_open(store, &options, &core));
  ab_store_close(store);
}

/* ---- groups ---- */

static uint64_t fake_now;

static uint64_t
now_of_test (void *data) {
  (void) data;
  return fake_now;
}

static void
random_of_test (void *data, uint8_t *out, size_t len) {
  (void) data;
  for (size_t i = 0; i < len; i++) out[i] = (uint8_t) (i * 7 + 1);
}

static int
note_update (void *data, const ab_key_t *key, uint64_t length) {
  char *text = data;
  size_t used = strlen(text);
  snprintf(text + used, 200 - used, "%02x:%llu ", key->bytes[0], (unsigned long long) length);
  return used > 150 ? 7 : 0;
}

static hypercore_t *
core_in_group (ab_store_t *store, const char *name, const ab_key_t *group) {
  hypercore_options_t options = hypercore_options_default();
  options.name = ab_text(name);
  options.group = group;
  hypercore_t *core = NULL;
  assert_ok(store, hypercore_open(store, &options, &core));
  return core;
}

static void
a_group_lists_what_changed_newest_first (void **state) {
  place_t *place = *state;
  ab_env_t env = {now_of_test, random_of_test, NULL};
  ab_store_options_t options = ab_store_options_default();
  options.env = &env;
  options.relaxed = true;
  ab_key_t group = {{0xaa}}, other = {{0xab}};
  fake_now = 1000;
  ab_store_t *store = store_with(place, &options);
  hypercore_t *a = core_in_group(store, "a", &group), *b = core_in_group(store, "b", &group);
  hypercore_t *elsewhere = core_in_group(store, "c", &other), *nowhere = core_named(store, "d");
  char expected[200], found[200] = "";
  assert_ok(store, ab_store_commit(store));
  assert_int_equal(corestore_group_updates(store, &group, 0, note_update, found), 0);
  assert_string_equal(found, ""); /* joining is no change */

  append_numbered(a, 2);
  append_numbered(elsewhere, 1);
  append_numbered(nowhere, 1);
  assert_ok(store, ab_store_commit(store));
  fake_now = 2000;
  append_numbered(b, 5);
  assert_ok(store, ab_store_commit(store));
  fake_now = 3000;
  append_numbered(a, 1);
  assert_ok(store, ab_store_commit(store));
  append_numbered(b, 1);
  snprintf(
    expected, sizeof(expected), "%02x:3 %02x:5 ", hypercore_key(a)->bytes[0], hypercore_key(b)->bytes[0]
  );
  for (int pass = 0; pass < 2; pass++) {
    found[0] = 0;
    if (pass == 0) assert_int_equal(corestore_group_updates(store, &group, 0, note_update, found), 0);
    else assert_int_equal(corestore_group_updates(store, &group, 2000, note_update, found), 0);
    assert_string_equal(found, expected);
  }
  found[0] = 0;
  assert_int_equal(corestore_group_updates(store, &group, 2001, note_update, found), 0);
  assert_int_equal(strlen(found), 5);
  assert_ok(store, hypercore_rollback(b, 5));

  hypercore_options_t again = hypercore_options_default();
  again.name = ab_text("a");
  again.group = &other;
  hypercore_t *core;
  assert_int_equal(hypercore_open(store, &again, &core), AB_ECONFLICT);
  ab_store_close(store);
  if (place == NULL) return;
  store = store_with(place, &options);
  found[0] = 0;
  assert_int_equal(corestore_group_updates(store, &group, 0, note_update, found), 0);
  assert_string_equal(found, expected);
  assert_int_equal(hypercore_open(store, &again, &core), AB_ECONFLICT);
  ab_store_close(store);
}

#define BOTH(test) \
  {#test " (in memory)", test, NULL, NULL, NULL}, { \
#test " (on disk)", test, place_setup, place_teardown, NULL \
  }
#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, place_setup, place_teardown)

int
main (void) {
  static const struct CMUnitTest tests[] = {
    BOTH(one_core_is_one_object_however_it_is_opened),
    BOTH(a_closed_core_with_staged_blocks_is_not_forgotten),
    ON_DISK(a_name_gives_the_same_core_again_and_numbers_stay),
    BOTH(names_live_in_namespaces),
    ON_DISK(a_name_may_be_longer_than_a_key_of_the_file),
    ON_DISK(a_recorded_name_wins_over_another_manifest_version),
    ON_DISK(a_core_known_by_key_becomes_writable_by_its_name),
    BOTH(a_key_pair_makes_its_core),
    BOTH(a_manifest_makes_its_core),
    BOTH(unknown_cores_are_made_only_if_wanted),
    BOTH(a_group_lists_what_changed_newest_first),
  };
  return cmocka_run_group_tests_name("corestore", tests, NULL, NULL);
}

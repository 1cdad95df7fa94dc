/* test_secret.c: the file of secrets is replaced as a whole, and not before the new one is on the disk. */
#include <stdio.h>

#include "faulty_disk.h"
#include "stores.h"

typedef struct {
  char bytes[4096];
  size_t len;
} text_t;

static text_t
read_secret (const place_t *place) {
  text_t text;
  char path[TMPDIR_MAX];
  place_file(place, "secret", path);
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  text.len = fread(text.bytes, 1, sizeof(text.bytes), file);
  fclose(file);
  return text;
}

static void
what_could_not_be_synced_does_not_replace_what_was (void **state) {
  const place_t *place = *state;
  ab_store_t *store = store_at(place);
  assert_ok(store, ab_store_set_secret(store, "key", ab_text("old")));
  text_t before = read_secret(place);

  faulty_disk_set(DISK_NO_SYNC, 0);
  assert_int_equal(ab_store_set_secret(store, "key", ab_text("new")), AB_EIO);
  faulty_disk_set(DISK_GOOD, 0);
  text_t after = read_secret(place);
  assert_int_equal(after.len, before.len);
  assert_memory_equal(after.bytes, before.bytes, before.len);

  assert_ok(store, ab_store_set_secret(store, "key", ab_text("newer"))); /* tried again */
  ab_store_close(store);
  store = store_at(place);
  ab_slice_t value;
  assert_ok(store, ab_store_secret(store, "key", &value));
  assert_true(ab_slice_equal(value, ab_text("newer")));
  ab_store_close(store);
}

static void
a_full_disk_leaves_what_was (void **state) {
  const place_t *place = *state;
  ab_store_t *store = store_at(place);
  assert_ok(store, ab_store_set_secret(store, "key", ab_text("old")));
  static const faulty_disk_t faults[] = {DISK_FULL, DISK_SHORT};
  for (size_t i = 0; i < 2; i++) {
    faulty_disk_set(faults[i], 0);
    assert_int_equal(ab_store_set_secret(store, "key", ab_text("a new one")), AB_ENOSPC);
    faulty_disk_set(DISK_GOOD, 0);
  }
  text_t text = read_secret(place);
  text.bytes[text.len < sizeof(text.bytes) ? text.len : sizeof(text.bytes) - 1] = 0;
  assert_non_null(strstr(text.bytes, "6f6c64\nend\n")); /* "old", and the end */
  ab_store_close(store);                                /* writes it after all: there is space again */
}

int
main (void) {
  static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(
      what_could_not_be_synced_does_not_replace_what_was, place_setup, place_teardown
    ),
    cmocka_unit_test_setup_teardown(a_full_disk_leaves_what_was, place_setup, place_teardown),
  };
  return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}

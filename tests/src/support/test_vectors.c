/* What the account of the recorded cases lets pass, and what it must not. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "support/account.h"
#include "support/test.h"
#include "support/tmpdir.h"
#include "support/vectors.h"

static char folder[TMPDIR_MAX]; /* the project's own copy, as far as this test goes */

static void
write_file (const char *name, const char *text) {
  char path[TMPDIR_MAX];
  tmpdir_path(path, folder, name);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static int
make_folder (void **state) {
  char path[TMPDIR_MAX];
  (void) state;
  tmpdir_make(folder);
  tmpdir_path(path, folder, "layer");
  assert_int_equal(mkdir(path, 0777), 0);
  write_file("layer/numbers.json", "{\"even\": [2, 4, 6], \"odd\": [1, 3]}");
  setenv("AUTOBEE_VECTORS", folder, 1);
  account_own_folder(folder);
  return 0;
}

static int
remove_folder (void **state) {
  (void) state;
  tmpdir_remove(folder);
  return 0;
}

/* A runner for which 4 is odd. */
static void
run_numbers (const char *file, json_t *root) {
  const char *kind;
  json_t *list;
  size_t i;
  json_t *item;
  (void) file;
  json_object_foreach(root, kind, list) {
    json_array_foreach(list, i, item) {
      uint64_t number = vectors_uint(item);
      vectors_begin("production", kind, "%zu", i);
      if (number == 6) vectors_tag("six");
      check_text("parity", kind, number % 2 == 0 && number != 4 ? "even" : "odd");
    }
  }
}

static int
run_with_pending (const char *rows, void (*run)(const char *, json_t *)) {
  vectors_runner_t runner = {"numbers.json", run};
  char program[] = "test";
  char *arguments[] = {program, NULL};
  write_file("PENDING", rows);
  return vectors_main(1, arguments, "layer", &runner, 1);
}

static void
a_failing_case_needs_a_row (void **state) {
  (void) state;
  assert_int_equal(run_with_pending("# none\n", run_numbers), 1);
  assert_int_equal(run_with_pending("layer/numbers.json even four\n", run_numbers), 0);
  assert_int_equal(run_with_pending("layer/num* * four\n", run_numbers), 0);
  assert_int_equal(run_with_pending("layer/numbers.json odd four\n", run_numbers), 1);
  assert_int_equal(run_with_pending("other/numbers.json even four\n", run_numbers), 1);
}

static void
a_row_must_match_a_failing_case (void **state) {
  (void) state;
  assert_int_equal(run_with_pending("layer/n* even four\nlayer/n* odd passes\n", run_numbers), 1);
  assert_int_equal(run_with_pending("layer/n* even four\nlayer/n* prime no such\n", run_numbers), 1);
  assert_int_equal(run_with_pending("layer/n* even four\nlayer/n* six passes\n", run_numbers), 1);
  assert_int_equal(run_with_pending("layer/* * four\n", run_numbers), 1);
}

static void
a_file_that_nothing_runs_is_failing_cases (void **state) {
  (void) state;
  assert_int_equal(run_with_pending("# none\n", NULL), 1);
  assert_int_equal(run_with_pending("layer/numbers.json * later\n", NULL), 0);
  assert_int_equal(run_with_pending("layer/numbers.json odd later\n", NULL), 1);
}

static void
a_row_that_matches_nothing_is_fine_in_another_folder (void **state) {
  char other[TMPDIR_MAX];
  (void) state;
  tmpdir_make(other);
  account_own_folder(other);
  char path[TMPDIR_MAX];
  tmpdir_path(path, other, "PENDING");
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs("layer/n* even four\nlayer/n* prime no such\n", file);
  fclose(file);
  assert_int_equal(run_with_pending("", run_numbers), 0);
  account_own_folder(folder);
  tmpdir_remove(other);
}

static void
bytes_are_hex_null_or_a_pattern (void **state) {
  static const uint8_t expected[] = {250, 253, 0, 3};
  static const uint8_t first[] = {255, 0};
  (void) state;
  json_t *root = json_pack(
    "{s:s, s:n, s:s, s:{s:i, s:i, s:i}, s:{s:i, s:i}}",
    "hex",
    "fafd0003",
    "null",
    "empty",
    "",
    "pattern",
    "length",
    4,
    "start",
    250,
    "step",
    3,
    "first",
    "length",
    2,
    "first",
    255
  );
  assert_memory_equal(vectors_get_bytes(root, "hex").data, expected, 4);
  assert_null(vectors_get_bytes(root, "null").data);
  assert_non_null(vectors_get_bytes(root, "empty").data);
  assert_memory_equal(vectors_get_bytes(root, "pattern").data, expected, 2);
  assert_int_equal(vectors_get_bytes(root, "pattern").len, 4);
  assert_memory_equal(vectors_get_bytes(root, "first").data, first, 2);
  vectors_release();
  json_decref(root);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_failing_case_needs_a_row),
    cmocka_unit_test(a_row_must_match_a_failing_case),
    cmocka_unit_test(a_file_that_nothing_runs_is_failing_cases),
    cmocka_unit_test(a_row_that_matches_nothing_is_fine_in_another_folder),
    cmocka_unit_test(bytes_are_hex_null_or_a_pattern),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

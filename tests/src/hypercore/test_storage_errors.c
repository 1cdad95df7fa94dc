/* test_storage_errors.c: what is said of directories that cannot be opened: one row per case, code and
 * message. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stores.h"

/* ---- ways to spoil a store ---- */

static void
write_file (const place_t *place, const char *name, const char *text) {
  char path[TMPDIR_MAX];
  place_file(place, name, path);
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
  fclose(file);
}

static void
make_store (const place_t *place) {
  ab_store_t *store = store_at(place);
  append_numbered(core_named(store, "a"), 300);
  assert_ok(store, ab_store_close(store));
}

static void
nothing (const place_t *place) {
  (void) place;
}

static void
empty_dir (const place_t *place) {
  assert_int_equal(mkdir(place->path, 0700), 0);
}

static void
a_file (const place_t *place) {
  FILE *file = fopen(place->path, "wb");
  assert_non_null(file);
  fclose(file);
}

static void
foreign_files (const place_t *place) {
  empty_dir(place);
  write_file(place, "letters.txt", "dear Ana");
}

static void
foreign_data_file (const place_t *place) {
  make_store(place);
  write_file(place, "data.mdb", "this is not what LMDB writes, whatever else it may be");
}

static void
newer_format (const place_t *place) {
  make_store(place);
  char path[TMPDIR_MAX];
  place_file(place, "data.mdb", path);
  FILE *file = fopen(path, "r+b");
  assert_non_null(file);
  static uint8_t bytes[1 << 20];
  size_t len = fread(bytes, 1, sizeof(bytes), file);
  size_t found = 0;
  for (size_t i = 0; i + 10 <= len; i++) {
    if (memcmp(bytes + i, "format\0\0\0\1", 10) != 0) continue;
    assert_int_equal(fseek(file, (long) i + 6, SEEK_SET), 0);
    assert_int_equal(fwrite("\0\0\0\11", 1, 4, file), 4);
    found++;
  }
  fclose(file);
  assert_true(found > 0);
}

static void
newer_secret (const place_t *place) {
  make_store(place);
  write_file(place, "secret", "autobee secret 2\nwhatever\n");
}

static void
cut_secret (const place_t *place) {
  make_store(place);
  write_file(place, "secret", "autobee secret 1\nprimary 00112233");
}

static void
lost_secret (const place_t *place) {
  make_store(place);
  char path[TMPDIR_MAX];
  place_file(place, "secret", path);
  assert_int_equal(unlink(path), 0);
}

static void
cut_data (const place_t *place) {
  make_store(place);
  char path[TMPDIR_MAX];
  struct stat st;
  place_file(place, "data.mdb", path);
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(truncate(path, st.st_size - 4096), 0);
}

static void
cut_data_to_half_a_page (const place_t *place) {
  make_store(place);
  char path[TMPDIR_MAX];
  place_file(place, "data.mdb", path);
  assert_int_equal(truncate(path, 2000), 0);
}

static void
empty_data (const place_t *place) {
  make_store(place);
  write_file(place, "data.mdb", "");
}

static void
lost_data (const place_t *place) {
  make_store(place);
  char path[TMPDIR_MAX];
  place_file(place, "data.mdb", path);
  assert_int_equal(unlink(path), 0);
}

/* ---- rows ---- */

static const ab_key_t other_key = {{9, 9, 9}};

typedef struct {
  const char *name;
  void (*spoil)(const place_t *place);
  bool create;
  bool read_only;
  const ab_key_t *primary_key;
  int err;
  const char *texts[3]; /* all of them in the message */
} row_t;

static const row_t rows[] = {
  {"no such directory", nothing, false, false, NULL, AB_ENOTSTORE, {"/store does not exist"}},
  {"no such directory, read-only", nothing, true, true, NULL, AB_ENOTSTORE, {"/store does not exist"}},
  {"an empty directory", empty_dir, false, false, NULL, AB_ENOTSTORE, {"is not a store", "secret"}},
  {"an empty directory, read-only", empty_dir, true, true, NULL, AB_ENOTSTORE, {"is not a store"}},
  {"a file", a_file, true, false, NULL, AB_ENOTSTORE, {"is not a directory"}},
  {"other files", foreign_files, true, false, NULL, AB_ENOTSTORE, {"letters.txt", "empty or new directory"}},
  {"other data", foreign_data_file, true, false, NULL, AB_ENOTSTORE, {"data.mdb is not a store's data file"}},
  {"a newer format",
   newer_format,
   true,
   false,
   NULL,
   AB_EVERSION,
   {"has format 9", "reads up to 1", "newer autobee"}},
  {"a newer format, read-only", newer_format, true, true, NULL, AB_EVERSION, {"has format 9"}},
  {"a newer secret", newer_secret, true, false, NULL, AB_EVERSION, {"/secret", "newer"}},
  {"a cut secret", cut_secret, true, false, NULL, AB_ECORRUPT, {"/secret does not decode", "restore"}},
  {"a lost secret", lost_secret, true, false, NULL, AB_ECORRUPT, {"\"secret\" is missing", "restore"}},
  {"a lost secret, read-only", lost_secret, true, true, NULL, AB_ECORRUPT, {"secret", "restore"}},
  {"damaged size",
   cut_data,
   true,
   false,
   NULL,
   AB_ECORRUPT,
   {"data.mdb is damaged", "last used page", "restore"}},
  {"damaged size, read-only", cut_data, true, true, NULL, AB_ECORRUPT, {"data.mdb is damaged"}},
  {"half a page left", cut_data_to_half_a_page, true, false, NULL, AB_ECORRUPT, {"data.mdb is damaged"}},
  {"empty data", empty_data, true, false, NULL, AB_ECORRUPT, {"data.mdb is empty", "restore"}},
  {"lost data", lost_data, true, false, NULL, AB_ECORRUPT, {"data.mdb is missing", "restore"}},
  {"another primary key", make_store, true, false, &other_key, AB_ECONFLICT, {"another primary key"}},
};

static void
check_row (const row_t *row, const place_t *place) {
  char message[512] = "";
  ab_store_options_t options = ab_store_options_default();
  ab_store_t *store = NULL;
  row->spoil(place);
  options.create = row->create;
  options.read_only = row->read_only;
  options.primary_key = row->primary_key;
  int err = ab_store_open(place->path, &options, &store, message, sizeof(message));
  if (err != row->err)
    fail_msg("%s: %s (%s), not %s", row->name, ab_err_name(err), message, ab_err_name(row->err));
  for (size_t i = 0; i < 3 && row->texts[i] != NULL; i++)
    if (strstr(message, row->texts[i]) == NULL)
      fail_msg("%s: no \"%s\" in: %s", row->name, row->texts[i], message);
  assert_null(store);

  /* Once more: what failed left nothing behind. */
  assert_int_equal(ab_store_open(place->path, &options, &store, message, sizeof(message)), row->err);
}

static void
each_case_has_its_code_and_message (void **state) {
  (void) state;
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    void *place = NULL;
    place_setup(&place);
    check_row(&rows[i], place);
    place_teardown(&place);
  }
}

static void
a_store_in_use_names_the_process (void **state) {
  const place_t *place = *state;
  int to[2], from[2], status;
  char byte = 0, message[512] = "", pid[32];
  assert_int_equal(pipe(to), 0);
  assert_int_equal(pipe(from), 0);
  pid_t child = fork();
  if (child == 0) {
    close(to[1]); /* it ends with this process, whatever happens here */
    ab_store_t *own = store_at(place);
    (void) !write(from[1], &byte, 1);
    (void) !read(to[0], &byte, 1);
    ab_store_close(own);
    _exit(0);
  }
  assert_int_equal(read(from[0], &byte, 1), 1);
  ab_store_t *store = NULL;
  assert_int_equal(ab_store_open(place->path, NULL, &store, message, sizeof(message)), AB_EINUSE);
  snprintf(pid, sizeof(pid), "in use by process %ld ", (long) child);
  assert_non_null(strstr(message, pid));
  assert_non_null(strstr(message, "storage")); /* the command: this test */
  assert_int_equal(write(to[1], &byte, 1), 1);
  assert_int_equal(waitpid(child, &status, 0), child);
  for (int i = 0; i < 2; i++) {
    close(to[i]);
    close(from[i]);
  }
  store = store_at(place); /* free again */
  ab_store_close(store);
}

static void
a_store_cannot_be_opened_twice_by_one_process (void **state) {
  const place_t *place = *state;
  char message[512] = "", pid[32];
  ab_store_t *store = store_at(place), *second = NULL;
  ab_store_options_t options = ab_store_options_default();
  snprintf(pid, sizeof(pid), "(%ld)", (long) getpid());
  for (int i = 0; i < 2; i++) {
    options.read_only = i == 1;
    assert_int_equal(ab_store_open(place->path, &options, &second, message, sizeof(message)), AB_EINUSE);
    assert_non_null(strstr(message, "open in this process"));
    assert_non_null(strstr(message, pid));
  }
  ab_store_close(store);
  store = store_with(place, &options);
  ab_store_close(store);
}

static void
a_directory_of_others_is_denied (void **state) {
  const place_t *place = *state;
  char message[512] = "";
  ab_store_t *store = NULL;
  make_store(place);
  pid_t child = fork();
  if (child == 0) {
    /* Root may read everything: be somebody else. */
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(2);
    if (geteuid() != 0 && access(place->path, W_OK) == 0) chmod(place->path, 0);
    int err = ab_store_open(place->path, NULL, &store, message, sizeof(message));
    _exit(err == AB_EDENIED && message[0] != 0 ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  chmod(place->path, 0700);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

static void
a_creation_that_did_not_finish_is_begun_anew (void **state) {
  const place_t *place = *state;
  empty_dir(place);
  write_file(place, "lock", "");
  write_file(place, "data.mdb", "");
  write_file(place, "secret.tmp", "autobee sec");
  write_file(place, "data.new", "half a data file");
  write_file(place, "data.new-lock", "");
  ab_store_t *store = store_at(place);
  append_numbered(core_named(store, "a"), 3);
  ab_store_close(store);
  store = store_at(place);
  assert_numbered(core_named(store, "a"), 0, 3);
  ab_store_close(store);
}

static void
the_primary_key_decides_the_names (void **state) {
  const place_t *place = *state;
  ab_store_options_t options = ab_store_options_default();
  options.primary_key = &other_key;
  ab_store_t *store = store_with(place, &options);
  ab_store_t *memory = store_with(NULL, &options);
  assert_true(ab_key_equal(hypercore_key(core_named(store, "a")), hypercore_key(core_named(memory, "a"))));
  ab_store_close(memory);
  ab_store_close(store);
  store = store_with(place, &options); /* the same again is no conflict */
  ab_store_close(store);
  store = store_at(place);
  memory = store_at(NULL);
  assert_false(ab_key_equal(hypercore_key(core_named(store, "a")), hypercore_key(core_named(memory, "a"))));
  ab_store_close(memory);
  ab_store_close(store);
}

static void
options_have_to_start_from_their_defaults (void **state) {
  (void) state;
  char message[512] = "";
  ab_store_options_t options = {0};
  ab_store_t *store = NULL;
  assert_int_equal(ab_store_open(NULL, &options, &store, message, sizeof(message)), AB_EINVAL);
  assert_non_null(strstr(message, "ab_store_options_default"));
  store = store_at(NULL);
  hypercore_options_t core_options = hypercore_options_default();
  hypercore_t *core;
  assert_int_equal(hypercore_open(store, &core_options, &core), AB_EINVAL);
  assert_non_null(strstr(ab_store_errmsg(store), "by key, name, key pair or manifest"));
  ab_store_close(store);
}

#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, place_setup, place_teardown)

int
main (void) {
  static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_case_has_its_code_and_message),
    ON_DISK(a_store_in_use_names_the_process),
    ON_DISK(a_store_cannot_be_opened_twice_by_one_process),
    ON_DISK(a_directory_of_others_is_denied),
    ON_DISK(a_creation_that_did_not_finish_is_begun_anew),
    ON_DISK(the_primary_key_decides_the_names),
    cmocka_unit_test(options_have_to_start_from_their_defaults),
  };
  return cmocka_run_group_tests_name("storage errors", tests, NULL, NULL);
}

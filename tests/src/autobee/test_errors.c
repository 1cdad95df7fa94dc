/* test_errors.c: what goes wrong for users of a store and a database: one row per case, with the code and the
 * words that its message has to hold: what, where, expected, found, and what to do. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "autobee/members.h"
#include "autobee/record.h"
#include "bee/bee.h"
#include "hypercore/internal.h"

typedef struct {
  char base[TMPDIR_MAX], dir[TMPDIR_MAX];
  member_t ana;       /* the creator; on disk */
  member_t ben;       /* joins; in memory */
  char expected[128]; /* one more text of the message, found out by the case */
  char message[512];
  int calls; /* of apply */
  int inner; /* what a call from apply answered */
} world_t;

static int
answer (world_t *world, const member_t *member, int err) {
  snprintf(world->message, sizeof(world->message), "%s", ab_store_errmsg(member->store));
  return err;
}

/* ---- the store ---- */

static int
open_dir (world_t *world) {
  int err = member_open_store(&world->ana);
  snprintf(world->message, sizeof(world->message), "%s", world->ana.message);
  return err;
}

static void
write_file (const char *path, const char *mode, const char *bytes, size_t len) {
  FILE *file = fopen(path, mode);
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, len, file), len);
  fclose(file);
}

static void
make_database (world_t *world) {
  member_open(&world->ana, NULL, NULL);
  member_ok(&world->ana, member_put(&world->ana, "k", "v"));
  member_close(&world->ana);
}

static int
folder_of_others (world_t *world) {
  char path[TMPDIR_MAX];
  assert_int_equal(mkdir(world->dir, 0700), 0);
  tmpdir_path(path, world->dir, "letters.txt");
  write_file(path, "wb", "dear Ana", 8);
  return open_dir(world);
}

static int
a_file (world_t *world) {
  write_file(world->dir, "wb", "dear Ana", 8);
  return open_dir(world);
}

/* The format number as the data file has it: a name and four bytes. */
static int
newer_format (world_t *world) {
  static uint8_t bytes[1 << 20];
  char path[TMPDIR_MAX];
  size_t found = 0;
  make_database(world);
  tmpdir_path(path, world->dir, "data.mdb");
  FILE *file = fopen(path, "r+b");
  assert_non_null(file);
  size_t len = fread(bytes, 1, sizeof(bytes), file);
  for (size_t i = 0; i + 10 <= len; i++) {
    if (memcmp(bytes + i, "format\0\0\0", 9) != 0) continue;
    assert_int_equal(fseek(file, (long) i + 9, SEEK_SET), 0);
    assert_int_equal(fputc(77, file), 77);
    found++;
  }
  fclose(file);
  assert_true(found > 0);
  return open_dir(world);
}

static int
store_in_use (world_t *world) {
  int to[2], from[2], status;
  char byte = 0;
  assert_int_equal(pipe(to), 0);
  assert_int_equal(pipe(from), 0);
  pid_t child = fork();
  if (child == 0) {
    close(to[1]); /* it ends with this process, whatever happens here */
    member_open(&world->ana, NULL, NULL);
    (void) !write(from[1], &byte, 1);
    (void) !read(to[0], &byte, 1);
    member_close(&world->ana);
    _exit(0);
  }
  assert_int_equal(read(from[0], &byte, 1), 1);
  snprintf(world->expected, sizeof(world->expected), "process %ld ", (long) child);
  int err = open_dir(world);
  assert_int_equal(write(to[1], &byte, 1), 1);
  assert_int_equal(waitpid(child, &status, 0), child);
  for (int i = 0; i < 2; i++) {
    close(to[i]);
    close(from[i]);
  }
  return err;
}

static int
cut_file (world_t *world) {
  char path[TMPDIR_MAX];
  struct stat st;
  make_database(world);
  tmpdir_path(path, world->dir, "data.mdb");
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(truncate(path, st.st_size / 2), 0);
  snprintf(world->expected, sizeof(world->expected), "has %lld bytes", (long long) st.st_size / 2);
  return open_dir(world);
}

static int
other_primary_key (world_t *world) {
  make_database(world);
  world->ana.primary_key.bytes[0] ^= 1;
  return open_dir(world);
}

/* ---- read-only ---- */

static void
open_read_only (world_t *world) {
  ab_store_options_t options = ab_store_options_default();
  options.read_only = true;
  options.env = &world->ana.env;
  assert_int_equal(ab_store_open(world->dir, &options, &world->ana.store, NULL, 0), 0);
}

static int
append_read_only (world_t *world) {
  make_database(world);
  open_read_only(world);
  member_ok(&world->ana, autobee_open(world->ana.store, NULL, NULL, &world->ana.db));
  member_check_value(&world->ana, "k", "v");
  return answer(world, &world->ana, member_put(&world->ana, "k", "w"));
}

static int
create_read_only (world_t *world) {
  autobee_t *db;
  member_open(&world->ana, NULL, NULL);
  member_close(&world->ana);
  open_read_only(world);
  autobee_options_t options = autobee_options_default();
  ab_key_t ns = {{5}}; /* where there is none */
  options.namespace_key = &ns;
  return answer(world, &world->ana, autobee_open(world->ana.store, NULL, &options, &db));
}

static int
make_store_read_only (world_t *world) {
  ab_store_options_t options = ab_store_options_default();
  options.read_only = true;
  return ab_store_open(world->dir, &options, &world->ana.store, world->message, sizeof(world->message));
}

static int
append_to_core_read_only (world_t *world) {
  make_database(world);
  open_read_only(world);
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core;
  ab_slice_t block = ab_text("block");
  options.name = ab_text("local");
  member_ok(&world->ana, hypercore_open(world->ana.store, &options, &core));
  int err = answer(world, &world->ana, hypercore_append(core, &block, 1, NULL));
  hypercore_close(core);
  return err;
}

/* ---- encryption ---- */

static const ab_key_t secret = {{1, 2, 3}}, other_secret = {{3, 2, 1}};

static int
open_with (world_t *world, const ab_key_t *first, const ab_key_t *second) {
  autobee_options_t options = autobee_options_default();
  options.encryption_key = first;
  member_open(&world->ana, NULL, &options);
  member_ok(&world->ana, member_put(&world->ana, "k", "v"));
  ab_key_t key;
  autobee_key(world->ana.db, &key);
  ab_key_to_text(&key, world->expected);
  member_close(&world->ana);

  assert_int_equal(member_open_store(&world->ana), 0);
  options.encryption_key = second;
  return answer(world, &world->ana, autobee_open(world->ana.store, NULL, &options, &world->ana.db));
}

static int
wrong_key (world_t *world) {
  return open_with(world, &secret, &other_secret);
}

static int
no_key (world_t *world) {
  return open_with(world, &secret, NULL);
}

static int
key_for_nothing (world_t *world) {
  return open_with(world, NULL, &secret);
}

/* ---- opening ---- */

static int
another_database_here (world_t *world) {
  ab_key_t other = {{1}};
  member_open(&world->ana, NULL, NULL);
  ab_key_t key;
  autobee_key(world->ana.db, &key);
  ab_key_to_text(&key, world->expected);
  member_close(&world->ana);
  assert_int_equal(member_open_store(&world->ana), 0);
  return answer(world, &world->ana, autobee_open(world->ana.store, &other, NULL, &world->ana.db));
}

/* The state once more, with the first byte of its record changed: the version. */
static void
write_info_version (member_t *member, uint8_t version) {
  hypercore_options_t core_options = hypercore_options_default();
  hypercore_t *core, *local;
  bee_batch_t *batch;
  bee_entry_t entry;
  bee_t *bee;
  ab_head_t head;
  ab_key_t ns;
  ab_buf_t value = {0}, link = {0};

  corestore_namespace(NULL, ab_text("system"), &ns);
  core_options.name = ab_text("bee");
  core_options.namespace_key = &ns;
  member_ok(member, hypercore_open(member->store, &core_options, &core));
  member_ok(member, bee_open(core, NULL, &bee));
  member_ok(member, bee_get(bee, autobee__record_info_key(), &entry));
  ab_buf_append(&value, entry.value);
  value.data[0] = version;
  member_ok(member, bee_batch_begin(bee, NULL, &batch));
  member_ok(member, bee_batch_put(batch, autobee__record_info_key(), ab_buf_slice(&value)));
  member_ok(member, bee_batch_flush(batch, NULL));
  bee_head(bee, &head);
  bee_close(bee);
  hypercore_close(core);

  core_options = hypercore_options_default();
  core_options.name = ab_text("local");
  member_ok(member, hypercore_open(member->store, &core_options, &local));
  autobee__record_link_encode(&link, &head);
  member_ok(member, hypercore_set_user_data(local, "autobee/head", ab_buf_slice(&link)));
  hypercore_close(local);
  ab_buf_destroy(&value);
  ab_buf_destroy(&link);
  member_ok(member, ab_store_commit(member->store));
}

static int
open_info_version (world_t *world, uint8_t version) {
  make_database(world);
  assert_int_equal(member_open_store(&world->ana), 0);
  write_info_version(&world->ana, version);
  ab_key_t key = member_writer(&world->ana);
  ab_key_to_text(&key, world->expected);
  return answer(world, &world->ana, autobee_open(world->ana.store, NULL, NULL, &world->ana.db));
}

static int
newer_records (world_t *world) {
  return open_info_version(world, RECORD_INFO_VERSION + 1);
}

static int
older_records (world_t *world) {
  return open_info_version(world, RECORD_INFO_VERSION - 1);
}

/* ---- writing ---- */

static void
open_both (world_t *world) {
  ab_key_t key;
  member_open(&world->ana, NULL, NULL);
  autobee_key(world->ana.db, &key);
  member_open(&world->ben, &key, NULL);
}

static int
not_a_writer (world_t *world) {
  open_both(world);
  ab_key_t key = member_writer(&world->ben);
  ab_key_to_text(&key, world->expected);
  return answer(world, &world->ben, member_put(&world->ben, "k", "v"));
}

static int
removed_writer (world_t *world) {
  open_both(world);
  ab_key_t key = member_writer(&world->ben);
  member_ok(&world->ana, member_put(&world->ana, "k", "v"));
  member_ok(&world->ana, member_grant(&world->ana, &key));
  member_ok(&world->ben, member_receive(&world->ben, &world->ana));
  member_ok(&world->ben, member_put(&world->ben, "k", "w"));
  member_ok(&world->ana, member_remove(&world->ana, &key));
  member_ok(&world->ben, member_receive(&world->ben, &world->ana));
  ab_key_to_text(&key, world->expected);
  return answer(world, &world->ben, member_put(&world->ben, "k", "v"));
}

static int
append_many (member_t *member, size_t count, size_t len, unsigned flags) {
  uint8_t *bytes = calloc(1, len);
  ab_slice_t *values = calloc(count, sizeof(*values));
  assert_non_null(bytes);
  assert_non_null(values);
  for (size_t i = 0; i < count; i++) values[i] = ab_slice(bytes, len);
  int err = autobee_append(member->db, values, count, flags, NULL);
  free(values);
  free(bytes);
  return err;
}

static int
batch_too_large (world_t *world) {
  member_open(&world->ana, NULL, NULL);
  return answer(world, &world->ana, append_many(&world->ana, AUTOBEE_BATCH_MAX + 1, 1, 0));
}

static int
value_too_large (world_t *world) {
  member_open(&world->ana, NULL, NULL);
  return answer(world, &world->ana, append_many(&world->ana, 1, 15 << 20, 0));
}

static int
optimistic_too_large (world_t *world) {
  open_both(world);
  int err = append_many(&world->ben, AUTOBEE_OPTIMISTIC_BATCH_MAX + 1, 1, AUTOBEE_OPTIMISTIC);
  return answer(world, &world->ben, err);
}

static void
ignore_end (autobee_append_t *req, int status) {
  (void) req;
  (void) status;
}

static int
too_much_waits (world_t *world) {
  autobee_options_t options = autobee_options_default();
  static autobee_append_t first, second;
  ab_slice_t value = ab_text("{\"put\":{\"key\":\"value\"}}");
  options.pending_bytes = 30;
  member_open(&world->ana, NULL, &options);
  member_ok(&world->ana, autobee_append_async(world->ana.db, &first, &value, 1, 0, ignore_end));
  return answer(world, &world->ana, autobee_append_async(world->ana.db, &second, &value, 1, 0, ignore_end));
}

/* ---- apply ---- */

static int
call_append (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  world_t *world = data;
  autobee_info_t info;
  ab_slice_t value = ab_text("value");
  (void) apply;
  (void) nodes;
  (void) count;
  assert_int_equal(autobee_info(world->ana.db, &info), AB_EBUSY);
  assert_int_equal(autobee_update(world->ana.db), AB_EBUSY);
  assert_int_equal(autobee_close(world->ana.db), AB_EBUSY);
  world->inner = answer(world, &world->ana, autobee_append(world->ana.db, &value, 1, 0, NULL));
  return 0;
}

static int
call_from_apply (world_t *world) {
  autobee_options_t options = autobee_options_default();
  options.apply = call_append;
  options.apply_data = world;
  member_open(&world->ana, NULL, &options);
  member_ok(&world->ana, member_put(&world->ana, "k", "v"));
  return world->inner;
}

static int
halt_once (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  world_t *world = data;
  if (world->calls++ == 0) return autobee_apply_halt(apply, "the disk of the %s is not there", "photos");
  return autobee_apply_kv(apply, nodes, count, NULL);
}

static int
apply_halts (world_t *world) {
  autobee_options_t options = autobee_options_default();
  options.apply = halt_once;
  options.apply_data = world;
  member_open(&world->ana, NULL, &options);
  int err = answer(world, &world->ana, member_put(&world->ana, "k", "v"));
  member_check_value(&world->ana, "k", NULL);
  member_ok(&world->ana, member_put(&world->ana, "k", "w")); /* the next one is tried, and succeeds */
  member_check_value(&world->ana, "k", "w");
  return err;
}

/* A code of its own, and no word about it. */
static int
fail_silently (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  (void) apply;
  (void) nodes;
  (void) count;
  (void) data;
  return AB_ETIMEDOUT;
}

static int
apply_fails (world_t *world) {
  autobee_options_t options = autobee_options_default();
  options.apply = fail_silently;
  member_open(&world->ana, NULL, &options);
  ab_key_t key = member_writer(&world->ana);
  ab_key_to_text(&key, world->expected);
  return answer(world, &world->ana, member_put(&world->ana, "k", "v"));
}

static int
interrupt (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  (void) nodes;
  (void) count;
  (void) data;
  return autobee_apply_interrupt(apply, ab_text("needs version 2 of the rules"));
}

static int
apply_interrupts (world_t *world) {
  autobee_options_t options = autobee_options_default();
  options.apply = interrupt;
  member_open(&world->ana, NULL, &options);
  return answer(world, &world->ana, member_put(&world->ana, "k", "v"));
}

static int
refused_with_stop (world_t *world) {
  autobee_options_t options = autobee_options_default();
  ab_slice_t value = ab_text("{\"color\":1}");
  options.stop_on_error = true;
  member_open(&world->ana, NULL, &options);
  return answer(world, &world->ana, autobee_append(world->ana.db, &value, 1, 0, NULL));
}

/* ---- cores ---- */

static int
open_core (world_t *world, const hypercore_options_t *options) {
  hypercore_t *core = NULL;
  int err = answer(world, &world->ana, hypercore_open(world->ana.store, options, &core));
  hypercore_close(core);
  return err;
}

static int
name_of_another_key (world_t *world) {
  hypercore_options_t options = hypercore_options_default();
  ab_key_t key = {{1}};
  member_open(&world->ana, NULL, NULL);
  options.name = ab_text("a name");
  options.key = &key;
  ab_key_to_text(&key, world->expected);
  return open_core(world, &options);
}

static int
pair_of_another_key (world_t *world) {
  hypercore_options_t options = hypercore_options_default();
  ab_key_pair_t pair;
  ab_key_t key = {{1}};
  member_open(&world->ana, NULL, NULL);
  member_ok(&world->ana, corestore_key_pair(world->ana.store, NULL, ab_text("x"), &pair));
  options.key_pair = &pair;
  options.key = &key;
  ab_key_to_text(&key, world->expected);
  return open_core(world, &options);
}

static int
manifest_of_another_key (world_t *world) {
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core;
  ab_key_t key = {{1}};
  member_open(&world->ana, NULL, NULL);
  options.name = ab_text("x");
  member_ok(&world->ana, hypercore_open(world->ana.store, &options, &core));
  options = hypercore_options_default();
  options.manifest = hypercore_manifest(core);
  options.key = &key;
  ab_key_to_text(&key, world->expected);
  int err = open_core(world, &options);
  hypercore_close(core);
  return err;
}

static int
another_group (world_t *world) {
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core;
  ab_key_t first = {{1}}, second = {{2}};
  member_open(&world->ana, NULL, NULL);
  options.name = ab_text("x");
  options.group = &first;
  member_ok(&world->ana, hypercore_open(world->ana.store, &options, &core));
  options.group = &second;
  ab_key_to_text(hypercore_key(core), world->expected);
  int err = open_core(world, &options);
  hypercore_close(core);
  return err;
}

static int
pull_another_core (world_t *world) {
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *a, *b;
  member_open(&world->ana, NULL, NULL);
  options.name = ab_text("a");
  member_ok(&world->ana, hypercore_open(world->ana.store, &options, &a));
  options.name = ab_text("b");
  member_ok(&world->ana, hypercore_open(world->ana.store, &options, &b));
  int err = answer(world, &world->ana, hypercore_pull(a, b, 0, 0, 0));
  ab_key_to_text(hypercore_key(b), world->expected);
  hypercore_close(a);
  hypercore_close(b);
  return err;
}

/* ---- rows ---- */

typedef struct {
  const char *name;
  int (*run)(world_t *world);
  int err;
  const char *texts[4]; /* all of them in the message, and world.expected */
} row_t;

static const row_t rows[] = {
  {"a folder of others", folder_of_others, AB_ENOTSTORE, {"/store", "letters.txt", "empty or new directory"}},
  {"a file", a_file, AB_ENOTSTORE, {"/store is not a directory"}},
  {"a newer format", newer_format, AB_EVERSION, {"/store has format 77", "reads up to 1", "newer autobee"}},
  {"in use", store_in_use, AB_EINUSE, {"/store is in use by", "stop that process", "read-only"}},
  {"damaged size", cut_file, AB_ECORRUPT, {"data.mdb is damaged", "last used page needs", "restore it"}},
  {"another primary key", other_primary_key, AB_ECONFLICT, {"/store has another primary key"}},
  {"append, read-only", append_read_only, AB_EREADONLY, {"is open read-only", "open it without read_only"}},
  {"append to a core, read-only", append_to_core_read_only, AB_EREADONLY, {"/store is open read-only"}},
  {"create, read-only", create_read_only, AB_ENOTFOUND, {"no database in this namespace", "read-only"}},
  {"make a store, read-only", make_store_read_only, AB_ENOTSTORE, {"/store does not exist"}},
  {"wrong encryption key", wrong_key, AB_EKEY, {"another encryption key than the one given"}},
  {"no encryption key", no_key, AB_EKEY, {"is encrypted", "give its encryption key"}},
  {"needless encryption key", key_for_nothing, AB_EKEY, {"is not encrypted", "open it without"}},
  {"another database", another_database_here, AB_ECONFLICT, {"belongs to database", "namespace"}},
  {"newer records", newer_records, AB_EVERSION, {"records of a newer format", "newer autobee"}},
  {"older records", older_records, AB_ENOTSUP, {"records of an older format"}},
  {"not a writer", not_a_writer, AB_ENOTWRITABLE, {"is not a writer of", "ask a writer to add it"}},
  {"removed writer", removed_writer, AB_ENOTWRITABLE, {"removed"}},
  {"batch too large", batch_too_large, AB_ETOOBIG, {"1025 values", "at most 1024", "several batches"}},
  {"value too large", value_too_large, AB_ETOOBIG, {"value 0", "15728640 bytes", "at most", "fit"}},
  {"optimistic batch too large", optimistic_too_large, AB_ETOOBIG, {"32", "at most 31", "not added"}},
  {"too much waits", too_much_waits, AB_EBUSY, {"23 bytes wait", "at most 30", "run the store"}},
  {"a call from apply", call_from_apply, AB_EBUSY, {"from inside", "autobee_apply_"}},
  {"apply halts", apply_halts, AB_EHALTED, {"the disk of the photos is not there"}},
  {"apply fails", apply_fails, AB_EHALTED, {"apply failed", "timed out", "length 1"}},
  {"apply interrupts", apply_interrupts, AB_EINTERRUPTED, {"needs version 2 of the rules"}},
  {"apply refuses, stop", refused_with_stop, AB_EREJECTED, {"color"}},
  {"name of another key", name_of_another_key, AB_ECONFLICT, {"name", "different cores"}},
  {"pair of another key", pair_of_another_key, AB_ECONFLICT, {"key pair", "signers"}},
  {"manifest of another key", manifest_of_another_key, AB_ECONFLICT, {"manifest"}},
  {"another group", another_group, AB_ECONFLICT, {"another storage group"}},
  {"pull another core", pull_another_core, AB_ECONFLICT, {"different cores"}},
};

static int
world_setup (void **state) {
  world_t *world = calloc(1, sizeof(*world));
  if (world == NULL) return -1;
  tmpdir_make(world->base);
  tmpdir_path(world->dir, world->base, "store");
  member_init(&world->ana, world->dir, 1);
  member_init(&world->ben, NULL, 2);
  *state = world;
  return 0;
}

static int
world_teardown (void **state) {
  world_t *world = *state;
  member_t *members[] = {&world->ana, &world->ben};
  for (size_t i = 0; i < 2; i++) {
    if (members[i]->db != NULL) autobee_close(members[i]->db);
    if (members[i]->store != NULL) ab_store_close(members[i]->store);
  }
  tmpdir_remove(world->base);
  free(world);
  return 0;
}

static size_t
check_text (const row_t *row, const world_t *world, const char *text) {
  if (strstr(world->message, text) != NULL) return 0;
  print_error("%s: no \"%s\" in: %s\n", row->name, text, world->message);
  return 1;
}

static size_t
check_row (const row_t *row, world_t *world) {
  size_t failures = 0;
  int err = row->run(world);
  if (err != row->err) {
    print_error("%s: %s (%s), not %s\n", row->name, ab_err_name(err), world->message, ab_err_name(row->err));
    return 1;
  }
  for (size_t i = 0; i < 4 && row->texts[i] != NULL; i++) failures += check_text(row, world, row->texts[i]);
  return failures + check_text(row, world, world->expected);
}

static void
each_case_has_its_code_and_message (void **state) {
  size_t failures = 0;
  (void) state;
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    void *world = NULL;
    assert_int_equal(world_setup(&world), 0);
    failures += check_row(&rows[i], world);
    world_teardown(&world);
  }
  assert_int_equal(failures, 0);
}

/* ---- what is no error, or has no handle to ask ---- */

static void
garbage_behind_the_data_does_not_matter (void **state) {
  world_t *world = *state;
  char path[TMPDIR_MAX];
  make_database(world);
  tmpdir_path(path, world->dir, "data.mdb");
  for (int i = 0; i < 1000; i++) write_file(path, "ab", "no page of ours", 15);
  member_open(&world->ana, NULL, NULL);
  member_check_value(&world->ana, "k", "v");
  member_ok(&world->ana, member_put(&world->ana, "k", "w"));
  member_close(&world->ana);
  member_open(&world->ana, NULL, NULL);
  member_check_value(&world->ana, "k", "w");
}

static void
what_is_closed_says_so (void **state) {
  world_t *world = *state;
  autobee_view_t *view;
  autobee_cursor_t *cursor;
  autobee_entry_t entry;
  autobee_info_t info;
  ab_slice_t value = ab_text("{}");
  member_open(&world->ana, NULL, NULL);
  member_ok(&world->ana, member_put(&world->ana, "k", "v"));
  member_ok(&world->ana, autobee_view(world->ana.db, NULL, &view));
  member_ok(&world->ana, autobee_cursor_open(view, NULL, &cursor));
  assert_int_equal(ab_store_close(world->ana.store), 0); /* under all of them */
  world->ana.store = NULL;
  assert_int_equal(autobee_cursor_next(cursor, &entry), AB_ECLOSED);
  assert_int_equal(autobee_get(view, ab_text("k"), &entry), AB_ECLOSED);
  assert_int_equal(autobee_append(world->ana.db, &value, 1, 0, NULL), AB_ECLOSED);
  assert_int_equal(autobee_update(world->ana.db), AB_ECLOSED);
  assert_int_equal(autobee_info(world->ana.db, &info), AB_ECLOSED);
  assert_int_equal(autobee_close(world->ana.db), 0);
  world->ana.db = NULL;
  autobee_cursor_close(cursor);
  autobee_view_close(view);
  assert_string_equal(ab_strerror(AB_ECLOSED), "already closed");

  assert_int_equal(autobee_close(NULL), 0);
  assert_int_equal(ab_store_close(NULL), 0);
  autobee_view_close(NULL);
  autobee_cursor_close(NULL);
  hypercore_close(NULL);
}

static void
an_append_that_was_not_applied_ends_with_the_close (void **state) {
  world_t *world = *state;
  autobee_append_t req = {.data = NULL};
  ab_slice_t value = ab_text("{}");
  member_open(&world->ana, NULL, NULL);
  member_ok(&world->ana, autobee_append_async(world->ana.db, &req, &value, 1, 0, ignore_end));
  assert_int_equal(autobee_close(world->ana.db), 0);
  world->ana.db = NULL;
  assert_int_equal(req.status, AB_ECLOSED);
}

static void
malformed_key_text_is_invalid (void **state) {
  static const char *const texts[] = {
    "",
    "pear://",
    "ybndrfg8ejkmcpqxot1uwisza345h769ybndrfg8ejkmcpqxot1uwi", /* 54 characters */
    "lbndrfg8ejkmcpqxot1uwisza345h769ybndrfg8ejkmcpqxot1u",   /* no l in z-base-32 */
    "000000000000000000000000000000000000000000000000000000000000000g",
    "00000000000000000000000000000000000000000000000000000000000000",
  };
  ab_key_t key;
  (void) state;
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    if (ab_key_from_text(ab_text(texts[i]), &key) != AB_EINVAL) fail_msg("\"%s\" is no key", texts[i]);
  }
}

static void
note_refusal (autobee_t *db, const autobee_event_t *event, void *data) {
  world_t *world = data;
  (void) db;
  if (event->kind != AUTOBEE_EVENT_REJECTED || event->message == NULL) return;
  snprintf(world->message, sizeof(world->message), "%s", event->message);
}

static void
a_grant_of_no_key_is_refused_with_words (void **state) {
  world_t *world = *state;
  autobee_options_t options = autobee_options_default();
  ab_slice_t value = ab_text("{\"addWriter\":\"ben\"}");
  options.on_event = note_refusal;
  options.event_data = world;
  member_open(&world->ana, NULL, &options);
  member_ok(
    &world->ana, autobee_append(world->ana.db, &value, 1, 0, NULL)
  ); /* on record, and without effect */
  assert_non_null(strstr(world->message, "addWriter: neither 64 hex digits"));
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int
main (void) {
  static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_case_has_its_code_and_message),
    IN_WORLD(garbage_behind_the_data_does_not_matter),
    IN_WORLD(what_is_closed_says_so),
    IN_WORLD(an_append_that_was_not_applied_ends_with_the_close),
    cmocka_unit_test(malformed_key_text_is_invalid),
    IN_WORLD(a_grant_of_no_key_is_refused_with_words),
  };
  return cmocka_run_group_tests_name("errors", tests, NULL, NULL);
}

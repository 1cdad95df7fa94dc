/* store.c: a store as a whole: opening and closing it, messages, runners. */
#include "hypercore/store.h"

#include "hypercore/core.h"
#include "hypercore/crypto.h"
#include "hypercore/env.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CACHE_BYTES ((size_t) 16 << 20)
#define STAGED_BYTES ((size_t) 2 << 20) /* more would hold a loop for longer than a frame */
/* A commit without a sync costs little, and what is staged next finds its memory in the processor's cache. */
#define STAGED_BYTES_RELAXED ((size_t) 256 << 10)
#define STALE_CHECK_MS 3600000u /* an hour */
#define DIR_MODE 0700

/* ---- forks: asking the system for our pid in every call would cost more than the call ---- */

static atomic_uint
  fork_count; /* of this process and those it comes from, as far as this library was loaded */
static atomic_flag forks_watched = ATOMIC_FLAG_INIT;

static void
note_fork (void) {
  atomic_fetch_add(&fork_count, 1);
}

static int
watch_forks (void) {
  if (atomic_flag_test_and_set(&forks_watched)) return 0;
  if (pthread_atfork(NULL, NULL, note_fork) == 0) return 0;
  atomic_flag_clear(&forks_watched);
  return AB_ENOMEM;
}

static bool
is_forked (const ab_store_t *store) {
  return store->forks != atomic_load_explicit(&fork_count, memory_order_relaxed);
}

int
ab__store_check (ab_store_t *store) {
  if (!is_forked(store)) return 0;
  return ab_store_fail(
    store, AB_EINVAL, "this store was opened before a fork; the child has to open a store of its own"
  );
}

int
ab__store_check_write (ab_store_t *store) {
  int err = ab__store_check(store);
  if (err < 0 || !store->options.read_only) return err;
  return ab_store_fail(
    store, AB_EREADONLY, "%s is open read-only; open it without read_only to write", store->dir
  );
}

/* ---- messages ---- */

int
ab_store_fail (ab_store_t *store, int err, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(store->message, sizeof(store->message), format, args);
  va_end(args);
  return err;
}

const char *
ab_store_errmsg (const ab_store_t *store) {
  return store->message;
}

void
ab_store_log (ab_store_t *store, int level, const char *area, const char *format, ...) {
  if (store->options.log == NULL) return;
  char text[AB__MESSAGE_MAX];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  store->options.log(store->options.log_data, level, area, text);
}

/* ---- options ---- */

ab_store_options_t
ab_store_options_default (void) {
  return (ab_store_options_t){
    .struct_size = sizeof(ab_store_options_t),
    .create = true,
    .cache_bytes = CACHE_BYTES,
    .manifest_version = 1,
  };
}

static int
take_options (ab_store_t *store, const ab_store_options_t *options) {
  store->options = ab_store_options_default();
  store->env = ab_env_system;
  if (options == NULL) return 0;
  if (options->struct_size < sizeof(options->struct_size) || options->struct_size > sizeof(*options)) {
    return ab_store_fail(store, AB_EINVAL, "the options have to start from ab_store_options_default()");
  }
  memcpy(&store->options, options, options->struct_size);
  if (store->options.cache_bytes == 0) store->options.cache_bytes = CACHE_BYTES;
  if (store->options.staged_bytes == 0)
    store->options.staged_bytes = store->options.relaxed ? STAGED_BYTES_RELAXED : STAGED_BYTES;
  if (store->options.manifest_version == 0) store->options.manifest_version = 1;
  if (store->options.manifest_version > 2) {
    return ab_store_fail(
      store,
      AB_EINVAL,
      "manifest version %u cannot be made; 1 or 2 can",
      (unsigned) store->options.manifest_version
    );
  }
  if (store->options.primary_key != NULL) {
    store->primary_key_option = *store->options.primary_key;
    store->options.primary_key = &store->primary_key_option;
  }
  if (store->options.env != NULL) store->env = *store->options.env;
  store->options.env = &store->env;
  return 0;
}

const ab_store_options_t *
ab_store_options (const ab_store_t *store) {
  return &store->options;
}

const ab_env_t *
ab_store_env (const ab_store_t *store) {
  return &store->env;
}

/* ---- the directory ---- */

static int
system_fail (ab_store_t *store, int rc, const char *what) {
  int err = AB_EIO;
  if (rc == EACCES || rc == EPERM || rc == EROFS) err = AB_EDENIED;
  else if (rc == ENOSPC || rc == EDQUOT) err = AB_ENOSPC;
  else if (rc == ENOENT || rc == ENOTDIR) err = AB_ENOTSTORE;
  else if (rc == ENOMEM) err = AB_ENOMEM;
  return ab_store_fail(store, err, "%s %s: %s", what, store->dir, strerror(rc));
}

static void
sync_parent (const char *dir) {
  char parent[4096];
  size_t len = strlen(dir);
  while (len > 1 && dir[len - 1] == '/') len--;
  while (len > 0 && dir[len - 1] != '/') len--;
  if (len >= sizeof(parent)) return;
  memcpy(parent, dir, len);
  parent[len] = 0;
  int fd = open(len == 0 ? "." : parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  (void) fsync(fd);
  close(fd);
}

static int
make_dir (ab_store_t *store) {
  struct stat st;
  if (stat(store->dir, &st) == 0) {
    if (S_ISDIR(st.st_mode)) return 0;
    return ab_store_fail(store, AB_ENOTSTORE, "%s is not a directory, so not a store", store->dir);
  }
  if (errno != ENOENT) return system_fail(store, errno, "looking at");
  if (!store->options.create || store->options.read_only) {
    return ab_store_fail(store, AB_ENOTSTORE, "%s does not exist", store->dir);
  }
  if (mkdir(store->dir, DIR_MODE) != 0 && errno != EEXIST) {
    if (errno != ENOENT) return system_fail(store, errno, "making");
    return ab_store_fail(
      store, AB_ENOTSTORE, "the directory that %s is to be made in does not exist", store->dir
    );
  }
  sync_parent(store->dir);
  return 0;
}

/* Files of ours that may be there when a creation did not finish. */
static bool
is_leftover (const char *name) {
  static const char *const names[] = {
    ".", "..", "lock", "lock.mdb", "data.mdb", "data.new", "data.new-lock", "secret.tmp", "lost+found"};
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
    if (strcmp(name, names[i]) == 0) return true;
  return false;
}

/* May a store be made here? Only in an empty directory, or where making one was begun. */
static int
check_empty (ab_store_t *store) {
  DIR *dir = opendir(store->dir);
  if (dir == NULL) return system_fail(store, errno, "looking into");
  int err = 0;
  const struct dirent *entry;
  while (err == 0 && (entry = readdir(dir)) != NULL) {
    if (is_leftover(entry->d_name)) continue;
    err = ab_store_fail(
      store,
      AB_ENOTSTORE,
      "%s is not a store, and holds other files (%s); name an empty or new directory",
      store->dir,
      entry->d_name
    );
  }
  closedir(dir);
  return err;
}

static bool
has_file (const ab_store_t *store, const char *name) {
  char path[4096];
  int len = snprintf(path, sizeof(path), "%s/%s", store->dir, name);
  return len > 0 && (size_t) len < sizeof(path) && access(path, F_OK) == 0;
}

/* Before anything is written: is this a store, or a place for one? */
static int
check_dir (ab_store_t *store) {
  if (has_file(store, "secret")) return 0;
  if (store->options.create && !store->options.read_only) return check_empty(store);
  if (!has_file(store, "data.mdb")) {
    return ab_store_fail(store, AB_ENOTSTORE, "%s is not a store: it has no file \"secret\"", store->dir);
  }
  return ab_store_fail(
    store,
    AB_ECORRUPT,
    "%s has no file \"secret\": its creation did not finish, or the file was lost; restore it from a copy",
    store->dir
  );
}

static int
take_lock (ab_store_t *store) {
  char holder[AB__HOLDER_MAX];
  int err = ab__lock_take(store->dir, &store->lock_fd, holder);
  if (err == AB_EINUSE) {
    return ab_store_fail(
      store,
      err,
      "%s is in use by process %s; stop that process, or open the store read-only",
      store->dir,
      holder[0] == 0 ? "(unknown)" : holder
    );
  }
  return err == 0 ? 0 : ab_store_fail(store, err, "locking %s: %s", store->dir, ab_strerror(err));
}

/* ---- the secrets ---- */

static int
load_secret (ab_store_t *store, bool *complete) {
  int err = ab__secret_load(store->dir, &store->secret);
  *complete = err != AB_ENOTFOUND;
  store->has_secret = err == 0;
  if (err == 0 || err == AB_ENOTFOUND) return 0;
  if (err == AB_EDENIED && store->options.read_only)
    return 0; /* named cores cannot be derived then, that is all */
  const char *what = err == AB_ECORRUPT  ? "does not decode; restore it from a copy"
                     : err == AB_EDENIED ? "may not be read by this user"
                                         : ab_strerror(err);
  return ab_store_fail(store, err, "%s/secret %s", store->dir, what);
}

static int
check_primary_key (ab_store_t *store) {
  const ab_key_t *given = store->options.primary_key;
  if (given == NULL || !store->has_secret || ab_key_equal(given, &store->secret.primary)) return 0;
  return ab_store_fail(store, AB_ECONFLICT, "%s has another primary key than the one given", store->dir);
}

static void
make_primary_key (ab_store_t *store) {
  if (store->options.primary_key != NULL) store->secret.primary = *store->options.primary_key;
  else store->env.random(store->env.data, store->secret.primary.bytes, sizeof(store->secret.primary.bytes));
  store->secret.changed = true;
  store->has_secret = true;
}

/* ---- opening ---- */

static int
read_number (ab_store_t *store) {
  ab_slice_t value;
  ab__storage_read_begin(store->storage);
  int err = ab__storage_get(store->storage, AB__META, ab_text("cores"), &value);
  if (err == 0 && value.len != 4)
    err = ab_store_fail(store, AB_ECORRUPT, "%s: the number of cores", store->dir);
  if (err == 0) {
    for (size_t i = 0; i < 4; i++) store->next_number = store->next_number << 8 | value.data[i];
  }
  ab__storage_read_end(store->storage);
  store->stored_number = store->next_number;
  return err == AB_ENOTFOUND ? 0 : err;
}

/* The data file comes first and the secrets last: where there are secrets, there is a whole store. */
static int
finish_creation (ab_store_t *store) {
  if (store->next_number > 0) {
    return ab_store_fail(
      store,
      AB_ECORRUPT,
      "%s has data, but its file \"secret\" is missing; restore that from a copy",
      store->dir
    );
  }
  make_primary_key(store);
  int err =
    ab__sync_dir(store->dir); /* of the data file's name, so that it cannot be missing beside the secrets */
  if (err == 0) err = ab__secret_save(store->dir, &store->secret);
  return err == 0 ? 0 : ab_store_fail(store, err, "writing %s/secret: %s", store->dir, ab_strerror(err));
}

static int
open_dir (ab_store_t *store, size_t map_bytes) {
  int err = make_dir(store);
  if (err < 0) return err;
  if ((err = ab__open_dir_enter(store->dir, &store->open_dir)) < 0) {
    return ab_store_fail(
      store, err, "%s is open in this process (%ld); share that handle", store->dir, (long) getpid()
    );
  }
  if ((err = check_dir(store)) < 0) return err;
  if (!store->options.read_only && (err = take_lock(store)) < 0) return err;

  bool complete;
  if ((err = load_secret(store, &complete)) < 0) return err;
  if ((err = check_primary_key(store)) < 0) return err;

  ab__storage_options_t options = {
    .dir = store->dir,
    .read_only = store->options.read_only,
    .relaxed = store->options.relaxed,
    .map_bytes = map_bytes,
    .message = store->message,
    .message_len = sizeof(store->message),
  };
  if ((err = ab__storage_open(&options, complete, &store->storage)) < 0) return err;
  if ((err = read_number(store)) < 0) return err;
  return complete ? 0 : finish_creation(store);
}

static void
destroy (ab_store_t *store) {
  bool forked = is_forked(store);
  for (size_t i = 0; i < store->core_chains; i++) {
    while (store->cores[i] != NULL) {
      hypercore_t *core = store->cores[i];
      store->cores[i] = core->chain;
      core->is_dirty = core->is_frozen = false;
      ab__core_free(core);
    }
  }
  free(store->cores);
  ab__storage_close(store->storage, forked);
  ab__lock_release(store->lock_fd);
  ab__open_dir_leave(&store->open_dir);
  ab__secret_destroy(&store->secret);
  free(store->dir);
  ab_wipe(store, sizeof(*store));
  free(store);
}

int
ab__store_open (
  const char *dir,
  const ab_store_options_t *options,
  size_t map_bytes,
  ab_store_t **out,
  char *message,
  size_t message_len
) {
  if (message_len > 0) message[0] = 0;
  ab_store_t *store = calloc(1, sizeof(*store));
  int err = store == NULL ? AB_ENOMEM : 0;
  if (err == 0) {
    store->lock_fd = -1;
    if ((err = ab_crypto_init()) == 0 && (err = watch_forks()) == 0) err = take_options(store, options);
    store->forks = atomic_load(&fork_count);
  }
  if (err == 0) {
    store->env.random(store->env.data, (uint8_t *) &store->seed, sizeof(store->seed));
    store->stale_check_ms = store->env.now_ms(store->env.data);
    if (dir == NULL) {
      make_primary_key(store);
      store->secret.changed = false;
    } else {
      store->dir = strdup(dir);
      err = store->dir == NULL ? AB_ENOMEM : open_dir(store, map_bytes);
    }
  }
  if (err < 0) {
    const char *text = store == NULL || store->message[0] == 0 ? ab_strerror(err) : store->message;
    if (message_len > 0) snprintf(message, message_len, "%s", text);
    if (store != NULL) destroy(store);
    return err;
  }
  store->message[0] = 0;
  *out = store;
  return 0;
}

int
ab_store_open (
  const char *dir, const ab_store_options_t *options, ab_store_t **out, char *message, size_t message_len
) {
  return ab__store_open(dir, options, 0, out, message, message_len);
}

/* ---- runners ---- */

static void
begin_walk (ab_store_t *store, ab__walk_t *walk) {
  *walk = (ab__walk_t){store->runners, store->walk};
  store->walk = walk;
}

/* The next runner, NULL at the end, which ends the walk. */
static ab_runner_t *
step (ab_store_t *store, ab__walk_t *walk) {
  ab_runner_t *runner = walk->next;
  if (runner == NULL) store->walk = walk->outer;
  else walk->next = runner->next;
  return runner;
}

void
ab_store_attach (ab_store_t *store, ab_runner_t *runner) {
  runner->store = store;
  runner->next = store->runners;
  runner->link = &store->runners;
  if (runner->next != NULL) runner->next->link = &runner->next;
  store->runners = runner;
}

void
ab_store_detach (ab_runner_t *runner) {
  if (runner->link == NULL) return;
  for (ab__walk_t *walk = runner->store->walk; walk != NULL; walk = walk->outer)
    if (walk->next == runner) walk->next = runner->next;
  *runner->link = runner->next;
  if (runner->next != NULL) runner->next->link = runner->link;
  runner->link = NULL;
  runner->next = NULL;
}

void
ab__store_tell_committed (ab_store_t *store, int status) {
  ab__walk_t walk;
  ab_runner_t *runner;
  begin_walk(store, &walk);
  while ((runner = step(store, &walk)) != NULL)
    if (runner->committed != NULL) runner->committed(runner->data, status);
}

static void
tell_closing (ab_store_t *store) {
  ab__walk_t walk;
  ab_runner_t *runner;
  begin_walk(store, &walk);
  while ((runner = step(store, &walk)) != NULL)
    if (runner->closing != NULL) runner->closing(runner->data);
}

int
ab_store_run (ab_store_t *store, uint32_t budget_ms, uint64_t *next_deadline_ms) {
  int err = ab__store_check(store);
  if (err < 0) return err;
  uint64_t start = store->env.now_ms(store->env.data);
  uint64_t deadline = UINT64_MAX;
  if (store->storage != NULL && start - store->stale_check_ms >= STALE_CHECK_MS) {
    ab__storage_clear_stale(store->storage);
    store->stale_check_ms = start;
  }
  if (store->options.read_only && (err = ab__store_refresh(store)) < 0) return err;

  int result = 0;
  ab__walk_t walk;
  ab_runner_t *runner;
  begin_walk(store, &walk);
  while ((runner = step(store, &walk)) != NULL) {
    if (runner->run == NULL) continue;
    uint64_t spent = store->env.now_ms(store->env.data) - start, own_deadline = UINT64_MAX;
    uint32_t left = spent < budget_ms ? budget_ms - (uint32_t) spent : 0;
    int status = runner->run(runner->data, left, &own_deadline);
    if (own_deadline < deadline) deadline = own_deadline;
    if (result >= 0 && status != 0) result = status;
  }
  if (next_deadline_ms != NULL) *next_deadline_ms = deadline;
  return result;
}

/* ---- closing ---- */

/* Cores that are signed on demand get their signature now, so that a later peer finds one. */
static void
touch_unsigned (ab_store_t *store) {
  for (size_t i = 0; i < store->core_chains; i++)
    for (hypercore_t *core = store->cores[i]; core != NULL; core = core->chain) ab__core_sign_later(core);
}

static int
last_commit (ab_store_t *store) {
  store->closing = true;
  if (store->storage == NULL) return 0; /* nothing of it remains anyway */
  if (store->options.read_only) return 0;
  touch_unsigned(store);
  size_t staged = store->staged;
  int err = ab_store_commit(store);
  if (err < 0) {
    ab_store_log(
      store,
      0,
      "store",
      "%zu bytes staged in %s are lost, the last commit failed: %s",
      staged,
      store->dir,
      store->message
    );
  }
  return err;
}

int
ab_store_close (ab_store_t *store) {
  if (store == NULL) return 0;
  int err = 0;
  if (!is_forked(store)) {
    tell_closing(store);
    err = last_commit(store);
    while (store->runners != NULL) ab_store_detach(store->runners);
    if (store->slot != NULL && store->slot_destroy != NULL) store->slot_destroy(store->slot);
  }
  destroy(store);
  return err;
}

int
ab_store_sync (ab_store_t *store) {
  int err = ab__store_check(store);
  if (err < 0) return err;
  if (store->storage == NULL || !store->options.relaxed || store->options.read_only) return 0;
  return ab__storage_sync(store->storage);
}

size_t
ab_store_staged (const ab_store_t *store) {
  /* A head or a record alone is something to commit too. */
  return store->staged + 64 * store->dirty_count;
}

void **
ab_store_slot (ab_store_t *store, void (*destroy_slot)(void *)) {
  store->slot_destroy = destroy_slot;
  return &store->slot;
}

/* ---- kept secrets ---- */

int
ab_store_secret (ab_store_t *store, const char *name, ab_slice_t *out) {
  int err = ab__store_check(store);
  if (err < 0) return err;
  ab_slice_t value = ab__secret_value(&store->secret, name);
  if (value.data == NULL) return AB_ENOTFOUND;
  *out = value;
  return 0;
}

int
ab_store_set_secret (ab_store_t *store, const char *name, ab_slice_t value) {
  int err = ab__store_check_write(store);
  if (err < 0) return err;
  if (name == NULL || name[0] == 0 || strlen(name) > 255 || value.len > AB__SECRET_VALUE_MAX) {
    return ab_store_fail(store, AB_EINVAL, "a kept secret needs a name of 1 to 255 bytes and at most 64 KiB");
  }
  if ((err = ab__secret_set_value(&store->secret, name, value)) < 0) return err;
  if (store->dir == NULL) return 0;
  err = ab__secret_save(store->dir, &store->secret);
  return err == 0 ? 0 : ab_store_fail(store, err, "writing %s/secret: %s", store->dir, ab_strerror(err));
}

#define _GNU_SOURCE
#include "disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NAMES_MAX 64
#define FILES_MAX 256
#define SECTOR 512

const char *const disk_mode_names[DISK_MODES] = {"lose all", "lose nothing", "lose some", "tear"};

typedef struct {
  const disk_record_t *record;
  const char *path;
  const uint8_t *data;
} operation_t;

typedef struct {
  uint8_t *bytes; /* durable */
  size_t len;
  size_t *pending; /* numbers of operations */
  size_t pending_count;
  size_t pending_capacity;
} file_t;

typedef struct {
  char path[256];
  int file; /* -1: a folder */
} name_t;

typedef struct {
  name_t names[NAMES_MAX];
  size_t count;
} folder_t;

/* A change of names, with the file it is about: an operation may be applied when the name is gone again. */
typedef struct {
  size_t operation;
  int file;
} name_change_t;

struct disk_s {
  uint8_t *log;
  operation_t *operations;
  size_t count;
  size_t at; /* operations that have happened */
  file_t files[FILES_MAX];
  int file_count;
  folder_t seen;    /* what the victim sees */
  folder_t durable; /* what is there for certain */
  name_change_t *changes;
  size_t change_count;
  char *acknowledged;
  size_t acknowledged_len;
};

static _Noreturn void
die (const char *what, const char *which) {
  fprintf(stderr, "disk: %s: %s\n", what, which);
  exit(2);
}

static void *
need (void *data) {
  if (data == NULL) die("out of memory", "");
  return data;
}

/* ---- the log ---- */

static size_t
split_log (disk_t *disk, size_t len, operation_t *out) {
  size_t at = 0, count = 0;
  while (at + sizeof(disk_record_t) <= len) {
    const disk_record_t *record = (const disk_record_t *) (const void *) (disk->log + at);
    size_t size = sizeof(*record) + record->path_len + record->data_len;
    if (size > len - at) break; /* the victim was ended while it wrote this */
    if (out != NULL) {
      char *path = need(strndup((const char *) (record + 1), record->path_len));
      /* Records are not aligned in the file: keep a copy that is. */
      disk_record_t *copy = need(malloc(sizeof(*copy)));
      memcpy(copy, record, sizeof(*copy));
      out[count] = (operation_t){copy, path, disk->log + at + sizeof(*record) + record->path_len};
    }
    count++;
    at += size;
  }
  return count;
}

disk_t *
disk_open (const char *log_path) {
  disk_t *disk = need(calloc(1, sizeof(*disk)));
  FILE *file = fopen(log_path, "rb");
  if (file == NULL) die("cannot read", log_path);
  if (fseek(file, 0, SEEK_END) != 0) die("cannot read", log_path);
  size_t len = (size_t) ftell(file);
  rewind(file);
  disk->log = need(malloc(len + 1));
  if (fread(disk->log, 1, len, file) != len) die("cannot read", log_path);
  fclose(file);
  disk->count = split_log(disk, len, NULL);
  disk->operations = need(calloc(disk->count + 1, sizeof(*disk->operations)));
  disk->changes = need(calloc(disk->count + 1, sizeof(*disk->changes)));
  split_log(disk, len, disk->operations);
  disk->acknowledged = need(calloc(1, len + 1));
  return disk;
}

void
disk_close (disk_t *disk) {
  for (size_t i = 0; i < disk->count; i++) {
    free((void *) (uintptr_t) disk->operations[i].record);
    free((void *) (uintptr_t) disk->operations[i].path);
  }
  for (int i = 0; i < disk->file_count; i++) {
    free(disk->files[i].bytes);
    free(disk->files[i].pending);
  }
  free(disk->operations);
  free(disk->changes);
  free(disk->acknowledged);
  free(disk->log);
  free(disk);
}

size_t
disk_count (const disk_t *disk) {
  return disk->count;
}

const char *
disk_acknowledged (const disk_t *disk) {
  return disk->acknowledged;
}

/* ---- names ---- */

static name_t *
find_name (folder_t *folder, const char *path) {
  for (size_t i = 0; i < folder->count; i++)
    if (strcmp(folder->names[i].path, path) == 0) return &folder->names[i];
  return NULL;
}

static void
set_name (folder_t *folder, const char *path, int file) {
  name_t *name = find_name(folder, path);
  if (name == NULL) {
    if (folder->count == NAMES_MAX) die("too many names", path);
    name = &folder->names[folder->count++];
    snprintf(name->path, sizeof(name->path), "%s", path);
  }
  name->file = file;
}

static void
drop_name (folder_t *folder, const char *path) {
  name_t *name = find_name(folder, path);
  if (name != NULL) *name = folder->names[--folder->count];
}

static void
change_name (folder_t *folder, const operation_t *operation, int file) {
  char path[256];
  switch (operation->record->kind) {
  case DISK_MKDIR:
  case DISK_CREATE:
    set_name(folder, operation->path, file);
    break;
  case DISK_UNLINK:
    drop_name(folder, operation->path);
    break;
  case DISK_RENAME:
    snprintf(path, sizeof(path), "%.*s", (int) operation->record->data_len, (const char *) operation->data);
    drop_name(folder, operation->path);
    set_name(folder, path, file);
    break;
  default:
    break;
  }
}

/* The folder that a path lies in; "." for the root. */
static void
parent_of (const char *path, char out[256]) {
  const char *slash = strrchr(path, '/');
  if (slash == NULL) snprintf(out, 256, ".");
  else snprintf(out, 256, "%.*s", (int) (slash - path), path);
}

/* ---- going on ---- */

static int
new_file (disk_t *disk) {
  if (disk->file_count == FILES_MAX) die("too many files", "");
  return disk->file_count++;
}

static file_t *
file_of (disk_t *disk, const char *path) {
  name_t *name = find_name(&disk->seen, path);
  if (name == NULL || name->file < 0) die("no such file", path);
  return &disk->files[name->file];
}

static void
resize (uint8_t **bytes, size_t *len, size_t new_len) {
  if (new_len > *len) {
    *bytes = need(realloc(*bytes, new_len + 1));
    memset(*bytes + *len, 0, new_len - *len);
  }
  *len = new_len;
}

/* Bytes [start, start + len) of a write. */
static void
apply_bytes (uint8_t **bytes, size_t *size, const operation_t *operation, size_t start, size_t len) {
  size_t at = (size_t) operation->record->offset + start;
  if (at + len > *size) resize(bytes, size, at + len);
  memcpy(*bytes + at, operation->data + start, len);
}

static void
apply_change (uint8_t **bytes, size_t *len, const operation_t *operation) {
  if (operation->record->kind == DISK_TRUNCATE) resize(bytes, len, (size_t) operation->record->offset);
  else apply_bytes(bytes, len, operation, 0, operation->record->data_len);
}

static void
sync_file (disk_t *disk, file_t *file) {
  for (size_t i = 0; i < file->pending_count; i++) {
    apply_change(&file->bytes, &file->len, &disk->operations[file->pending[i]]);
  }
  file->pending_count = 0;
}

static void
add_pending (file_t *file, size_t number) {
  if (file->pending_count == file->pending_capacity) {
    file->pending_capacity = file->pending_capacity == 0 ? 64 : file->pending_capacity * 2;
    file->pending = need(realloc(file->pending, file->pending_capacity * sizeof(*file->pending)));
  }
  file->pending[file->pending_count++] = number;
}

static void
sync_folder (disk_t *disk, const char *path) {
  size_t kept = 0;
  for (size_t i = 0; i < disk->change_count; i++) {
    char parent[256];
    const operation_t *operation = &disk->operations[disk->changes[i].operation];
    parent_of(operation->path, parent);
    if (strcmp(parent, path) == 0) change_name(&disk->durable, operation, disk->changes[i].file);
    else disk->changes[kept++] = disk->changes[i];
  }
  disk->change_count = kept;
}

static void
change_names (disk_t *disk, size_t number) {
  const operation_t *operation = &disk->operations[number];
  int file = -1;
  if (operation->record->kind == DISK_CREATE) file = new_file(disk);
  if (operation->record->kind == DISK_RENAME) file = find_name(&disk->seen, operation->path)->file;
  change_name(&disk->seen, operation, file);
  disk->changes[disk->change_count++] = (name_change_t){number, file};
}

static void
happen (disk_t *disk, size_t number) {
  const operation_t *operation = &disk->operations[number];
  switch (operation->record->kind) {
  case DISK_WRITE:
  case DISK_TRUNCATE:
    add_pending(file_of(disk, operation->path), number);
    break;
  case DISK_SYNC:
    sync_file(disk, file_of(disk, operation->path));
    break;
  case DISK_SYNC_DIR:
    sync_folder(disk, operation->path);
    break;
  case DISK_ACK:
    memcpy(disk->acknowledged + disk->acknowledged_len, operation->data, operation->record->data_len);
    disk->acknowledged_len += operation->record->data_len;
    break;
  default:
    change_names(disk, number);
    break;
  }
}

void
disk_advance (disk_t *disk, size_t count) {
  while (disk->at < count && disk->at < disk->count) happen(disk, disk->at++);
}

/* ---- losing power ---- */

static bool
keeps (disk_mode_t mode, rng_t *dice) {
  return mode == DISK_LOSE_NOTHING || (mode != DISK_LOSE_ALL && rng_below(dice, 2) == 0);
}

/* A durable write is there in any case, but not what was written before it elsewhere. */
static void
guess_change (uint8_t **bytes, size_t *len, const operation_t *operation, disk_mode_t mode, rng_t *dice) {
  if (operation->record->is_durable) mode = DISK_LOSE_NOTHING;
  if (mode != DISK_TEAR || operation->record->kind == DISK_TRUNCATE) {
    if (keeps(mode, dice)) apply_change(bytes, len, operation);
    return;
  }
  size_t total = operation->record->data_len;
  for (size_t start = 0; start < total;) {
    size_t end = start + SECTOR - (size_t) (operation->record->offset + start) % SECTOR;
    if (end > total) end = total;
    if (keeps(mode, dice)) apply_bytes(bytes, len, operation, start, end - start);
    start = end;
  }
}

/* A durable write that goes on is not durable yet. */
static void
guess_next (uint8_t **bytes, size_t *len, const operation_t *next, disk_mode_t mode, rng_t *dice) {
  disk_record_t record = *next->record;
  operation_t operation = {&record, next->path, next->data};
  record.is_durable = 0;
  guess_change(bytes, len, &operation, mode, dice);
}

static void
write_file (const disk_t *disk, int number, const char *path, disk_mode_t mode, rng_t *dice) {
  const file_t *file = &disk->files[number];
  size_t len = file->len;
  uint8_t *bytes = need(malloc(len + 1));
  if (len > 0) memcpy(bytes, file->bytes, len);
  for (size_t i = 0; i < file->pending_count; i++) {
    guess_change(&bytes, &len, &disk->operations[file->pending[i]], mode, dice);
  }
  /* The operation that goes on has happened, or not, or in part. */
  if (disk->at < disk->count) {
    const operation_t *next = &disk->operations[disk->at];
    bool is_change = next->record->kind == DISK_WRITE || next->record->kind == DISK_TRUNCATE;
    const name_t *name = is_change ? find_name((folder_t *) (uintptr_t) &disk->seen, next->path) : NULL;
    if (name != NULL && name->file == number) guess_next(&bytes, &len, next, mode, dice);
  }
  FILE *out = fopen(path, "wb");
  if (out == NULL || fwrite(bytes, 1, len, out) != len || fclose(out) != 0) die("cannot write", path);
  free(bytes);
}

void
disk_write_image (const disk_t *disk, const char *path, disk_mode_t mode, rng_t *dice) {
  static folder_t names;
  names = disk->durable;
  for (size_t i = 0; i < disk->change_count; i++) {
    const name_change_t *change = &disk->changes[i];
    if (keeps(mode, dice)) change_name(&names, &disk->operations[change->operation], change->file);
  }
  char out[1024];
  for (size_t i = 0; i < names.count; i++) {
    if (names.names[i].file >= 0) continue;
    snprintf(out, sizeof(out), "%s/%s", path, names.names[i].path);
    mkdir(out, 0700);
  }
  for (size_t i = 0; i < names.count; i++) {
    char parent[256];
    if (names.names[i].file < 0) continue;
    parent_of(names.names[i].path, parent);
    if (strcmp(parent, ".") != 0 && find_name(&names, parent) == NULL) continue; /* its folder is not there */
    snprintf(out, sizeof(out), "%s/%s", path, names.names[i].path);
    write_file(disk, names.names[i].file, out, mode, dice);
  }
}

/* vectors.c: recorded files and what is in them. The account of the cases is in account.c. */
#include "support/vectors.h"

#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/account.h"

typedef struct block_s {
  struct block_s *next;
  uint8_t *data;
} block_t;

static block_t *blocks; /* what vectors_bytes returned */

_Noreturn static void
die (const char *format, ...) AB_PRINTF(1, 2);

static void
die (const char *format, ...) {
  va_list args;
  va_start(args, format);
  fflush(stdout);
  fprintf(stderr, "vectors: in %s: ", account_where());
  vfprintf(stderr, format, args);
  fprintf(stderr, "\n");
  va_end(args);
  exit(1);
}

static uint8_t *
allocate (size_t len) {
  block_t *block = malloc(sizeof(*block));
  uint8_t *data = malloc(len > 0 ? len : 1);
  if (block == NULL || data == NULL) die("out of memory");
  block->data = data;
  block->next = blocks;
  blocks = block;
  return data;
}

void
vectors_release (void) {
  while (blocks != NULL) {
    block_t *next = blocks->next;
    free(blocks->data);
    free(blocks);
    blocks = next;
  }
}

/* ---- values ---- */

json_t *
vectors_get (const json_t *object, const char *member) {
  json_t *value = json_object_get(object, member);
  if (value == NULL) die("no member \"%s\"", member);
  return value;
}

bool
vectors_has (const json_t *object, const char *member) {
  json_t *value = json_object_get(object, member);
  return value != NULL && !json_is_null(value);
}

const char *
vectors_text (const json_t *value) {
  if (!json_is_string(value)) die("not a string");
  return json_string_value(value);
}

uint64_t
vectors_uint (const json_t *value) {
  if (!json_is_integer(value) || json_integer_value(value) < 0) die("not an unsigned integer");
  return (uint64_t) json_integer_value(value);
}

const char *
vectors_get_text (const json_t *object, const char *member) {
  json_t *value = vectors_get(object, member);
  if (!json_is_string(value)) die("\"%s\" is not a string", member);
  return json_string_value(value);
}

uint64_t
vectors_get_uint (const json_t *object, const char *member) {
  int64_t value = vectors_get_int(object, member);
  if (value < 0) die("\"%s\" is negative", member);
  return (uint64_t) value;
}

int64_t
vectors_get_int (const json_t *object, const char *member) {
  json_t *value = vectors_get(object, member);
  if (!json_is_integer(value)) die("\"%s\" is not an integer", member);
  return json_integer_value(value);
}

bool
vectors_get_bool (const json_t *object, const char *member) {
  json_t *value = vectors_get(object, member);
  if (!json_is_boolean(value)) die("\"%s\" is neither true nor false", member);
  return json_is_true(value);
}

ab_slice_t
vectors_get_bytes (const json_t *object, const char *member) {
  return vectors_bytes(vectors_get(object, member));
}

void
vectors_get_key (const json_t *object, const char *member, ab_key_t *key) {
  vectors_key(vectors_get(object, member), key);
}

static uint8_t
hex_digit (char c) {
  if (c >= '0' && c <= '9') return (uint8_t) (c - '0');
  if (c >= 'a' && c <= 'f') return (uint8_t) (c - 'a' + 10);
  die("not lower case hex: '%c'", c);
}

static ab_slice_t
hex_bytes (const char *hex, size_t digits) {
  if (digits % 2 != 0) die("an odd number of hex digits");
  uint8_t *data = allocate(digits / 2);
  for (size_t i = 0; i < digits / 2; i++) {
    data[i] = (uint8_t) (hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
  }
  return ab_slice(data, digits / 2);
}

static ab_slice_t
pattern_bytes (const json_t *pattern) {
  size_t len = vectors_get_uint(pattern, "length");
  bool steps = vectors_has(pattern, "start");
  uint64_t start = vectors_get_uint(pattern, steps ? "start" : "first");
  uint64_t step = steps ? vectors_get_uint(pattern, "step") : 1;
  uint8_t *data = allocate(len);
  for (size_t i = 0; i < len; i++) data[i] = (uint8_t) (start + i * step);
  return ab_slice(data, len);
}

ab_slice_t
vectors_bytes (const json_t *value) {
  if (json_is_null(value)) return ab_slice(NULL, 0);
  if (json_is_object(value)) return pattern_bytes(value);
  if (!json_is_string(value)) die("bytes are hex, null or a pattern");
  return hex_bytes(json_string_value(value), json_string_length(value));
}

void
vectors_key (const json_t *value, ab_key_t *key) {
  ab_slice_t bytes = vectors_bytes(value);
  if (bytes.len != sizeof(key->bytes)) die("a key of %zu bytes", bytes.len);
  memcpy(key->bytes, bytes.data, sizeof(key->bytes));
}

/* ---- files ---- */

const char *
vectors_folder (void) {
  const char *folder = getenv("AUTOBEE_VECTORS");
  return folder != NULL && *folder != 0 ? folder : VECTORS_FOLDER;
}

static json_t *
load (const char *path) {
  json_error_t error;
  FILE *file = fopen(path, "rb");
  if (file == NULL) return NULL;
  json_t *root = json_loadf(file, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
  fclose(file);
  if (root == NULL) die("%s:%d: %s", path, error.line, error.text);
  return root;
}

json_t *
vectors_load (const char *layer, const char *file) {
  char path[4096];
  snprintf(path, sizeof(path), "%s/%s/%s", vectors_folder(), layer, file);
  return load(path);
}

size_t
vectors_each (const char *layer, const char *pattern, vectors_file_fn fn, void *data) {
  char path[4096];
  glob_t found;
  size_t count = 0;
  size_t prefix = (size_t) snprintf(path, sizeof(path), "%s/%s/", vectors_folder(), layer);
  snprintf(path + prefix, sizeof(path) - prefix, "%s", pattern);
  int err = glob(path, 0, NULL, &found);
  if (err == GLOB_NOMATCH) return 0;
  if (err != 0) die("cannot list %s", path);
  for (size_t i = 0; i < found.gl_pathc; i++) {
    json_t *root = load(found.gl_pathv[i]);
    if (root == NULL) die("cannot read %s", found.gl_pathv[i]);
    fn(found.gl_pathv[i] + prefix, root, data);
    json_decref(root);
    vectors_release();
    count++;
  }
  globfree(&found);
  return count;
}

/* ---- running ---- */

typedef struct {
  const vectors_runner_t *runner;
  const char *layer;
} run_t;

static void
fail_each_item (json_t *root) {
  size_t cases = 0;
  size_t i;
  const char *kind;
  json_t *list;
  json_t *item;
  json_object_foreach(root, kind, list) {
    json_array_foreach(list, i, item) {
      vectors_begin(NULL, kind, "%zu", i);
      vectors_fail("nothing runs it yet");
      cases++;
    }
  }
  if (cases > 0) return;
  vectors_begin(NULL, "file", "all");
  vectors_fail("nothing runs it yet");
}

static void
run_file (const char *file, json_t *root, void *data) {
  run_t *run = data;
  account_file(run->layer, file, run->runner->files);
  if (run->runner->run == NULL) {
    fail_each_item(root);
  } else {
    run->runner->run(file, root);
  }
}

int
vectors_main (int argc, char **argv, const char *layer, const vectors_runner_t *runners, size_t count) {
  if (argc == 2 && strcmp(argv[1], "--covers") == 0) {
    for (size_t i = 0; i < count; i++) printf("%s/%s\n", layer, runners[i].files);
    return 0;
  }
  for (size_t i = 0; i < count; i++) {
    run_t run = {&runners[i], layer};
    size_t files = 0;
    if (argc == 1) files = vectors_each(layer, runners[i].files, run_file, &run);
    for (int a = 1; a < argc; a++) {
      if (pending_matches(runners[i].files, argv[a])) files += vectors_each(layer, argv[a], run_file, &run);
      else if (pending_matches(argv[a], runners[i].files))
        files += vectors_each(layer, runners[i].files, run_file, &run);
    }
    if (files == 0 && argc == 1) account_no_file(runners[i].files);
  }
  return account_finish(layer, argc == 1);
}

#include "stores.h"

#include <stdio.h>
#include <stdlib.h>

int
place_setup (void **state) {
  place_t *place = malloc(sizeof(*place));
  if (place == NULL) return -1;
  tmpdir_make(place->dir);
  tmpdir_path(place->path, place->dir, "store");
  *state = place;
  return 0;
}

int
place_teardown (void **state) {
  place_t *place = *state;
  tmpdir_remove(place->dir);
  free(place);
  return 0;
}

void
place_file (const place_t *place, const char *name, char out[TMPDIR_MAX]) {
  tmpdir_path(out, place->path, name);
}

ab_store_t *
store_with (const place_t *place, const ab_store_options_t *options) {
  char message[512];
  ab_store_t *store = NULL;
  int err = ab_store_open(place == NULL ? NULL : place->path, options, &store, message, sizeof(message));
  if (err < 0) fail_msg("%s: %s", ab_err_name(err), message);
  return store;
}

ab_store_t *
store_at (const place_t *place) {
  ab_store_options_t options = ab_store_options_default();
  options.relaxed = true;
  return store_with(place, &options);
}

void
assert_ok (ab_store_t *store, int err) {
  if (err < 0) fail_msg("%s: %s", ab_err_name(err), ab_store_errmsg(store));
}

hypercore_t *
core_named (ab_store_t *store, const char *name) {
  hypercore_options_t options = hypercore_options_default();
  options.name = ab_text(name);
  hypercore_t *core = NULL;
  assert_ok(store, hypercore_open(store, &options, &core));
  return core;
}

hypercore_t *
core_of_key (ab_store_t *store, const ab_key_t *key) {
  hypercore_options_t options = hypercore_options_default();
  options.key = key;
  hypercore_t *core = NULL;
  assert_ok(store, hypercore_open(store, &options, &core));
  return core;
}

void
append_text (hypercore_t *core, const char *text) {
  ab_slice_t block = ab_text(text);
  assert_ok(hypercore_store(core), hypercore_append(core, &block, 1, NULL));
}

void
append_numbered (hypercore_t *core, size_t count) {
  for (size_t i = 0; i < count; i++) {
    char text[32];
    snprintf(text, sizeof(text), "block %llu", (unsigned long long) hypercore_length(core));
    append_text(core, text);
  }
}

void
assert_block (hypercore_t *core, uint64_t index, const char *text) {
  ab_slice_t block;
  assert_ok(hypercore_store(core), hypercore_get(core, index, &block));
  assert_int_equal(block.len, strlen(text));
  assert_memory_equal(block.data, text, block.len);
}

void
assert_numbered (hypercore_t *core, uint64_t start, uint64_t end) {
  for (uint64_t i = start; i < end; i++) {
    char text[32];
    snprintf(text, sizeof(text), "block %llu", (unsigned long long) i);
    assert_block(core, i, text);
  }
}

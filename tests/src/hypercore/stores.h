/* stores.h: stores and cores for tests. What fails here fails the test. */
#ifndef STORES_H
#define STORES_H

#include "hypercore/internal.h"
#include "support/test.h"
#include "support/tmpdir.h"

/* A folder that ends with the test, and a path in it where a store may be. */
typedef struct {
  char dir[TMPDIR_MAX];
  char path[TMPDIR_MAX];
} place_t;

/** cmocka set-up and tear-down of one place. */
int
place_setup (void **state);
int
place_teardown (void **state);

/** Write the path of a file in the store's directory. */
void
place_file (const place_t *place, const char *name, char out[TMPDIR_MAX]);

/** Open the place's store (NULL: one in memory), relaxed. */
ab_store_t *
store_at (const place_t *place);
/** The same with options. */
ab_store_t *
store_with (const place_t *place, const ab_store_options_t *options);

void
assert_ok (ab_store_t *store, int err);

/** The writer's core of this name. */
hypercore_t *
core_named (ab_store_t *store, const char *name);
/** A reader's core. */
hypercore_t *
core_of_key (ab_store_t *store, const ab_key_t *key);

void
append_text (hypercore_t *core, const char *text);
/** Append `count` blocks of which number i (from 0 in the core) is "block i". */
void
append_numbered (hypercore_t *core, size_t count);

void
assert_block (hypercore_t *core, uint64_t index, const char *text);
void
assert_numbered (hypercore_t *core, uint64_t start, uint64_t end);

#endif

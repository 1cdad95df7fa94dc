/* bees.h: bees for tests. What fails here fails the test. */
#ifndef BEES_H
#define BEES_H

#include "bee/bee.h"
#include "hypercore/stores.h"

/* One bee in a store in memory. */
typedef struct {
  ab_store_t *store;
  hypercore_t *core;
  bee_t *bee;
} hive_t;

/** cmocka set-up and tear-down: *state is a hive_t. Degree 3, so that small trees have several levels. */
int
hive_setup (void **state);
int
hive_teardown (void **state);
/** Open a hive of this degree, whose cache holds `cache_bytes` (0: the default). */
hive_t *
hive_with (uint32_t degree, size_t cache_bytes);
void
hive_close (hive_t *hive);

bee_batch_t *
begin (bee_t *bee);
/** Returns how many blocks were written. */
uint64_t
flush (bee_batch_t *batch);
void
put_in (bee_batch_t *batch, const char *key, const char *value);
/** A batch of one put. */
void
put (bee_t *bee, const char *key, const char *value);
/** One batch with the keys "key 000", "key 001", … up to `count`, all with this value. */
void
put_numbered (bee_t *bee, size_t count, const char *value);
/** The text of numbered key `i`. Static. */
const char *
numbered (size_t i);

ab_head_t
head_of (const bee_t *bee);
bee_t *
checkout (bee_t *bee, ab_head_t head);

void
assert_value (bee_t *bee, const char *key, const char *value);
void
assert_missing (bee_t *bee, const char *key);
/** The keys that a range gives, in one text with a space after each; NULL range: all. */
void
assert_keys (bee_t *bee, const bee_range_t *range, const char *expected);
/** Look at the whole tree from inside (tree_check.h). Returns how many keys it has. */
size_t
assert_sound (bee_t *bee);

#endif

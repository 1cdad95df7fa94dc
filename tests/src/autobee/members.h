/* members.h: databases for tests of failures. Each member's store has a clock, a random source and a primary
 * key of its own, so that a run made again is the same run. What can fail says so; a function without a
 * result fails the test. */
#ifndef MEMBERS_H
#define MEMBERS_H

#include "autobee/autobee.h"
#include "support/rng.h"
#include "support/test.h"
#include "support/tmpdir.h"

#define MEMBER_START_MS 1772409600000u /* where the clocks begin: 2 March 2026 */

typedef struct {
  const char *dir; /* of the store; NULL: in memory */
  uint64_t now_ms;
  rng_t random;
  ab_env_t env;
  ab_key_t primary_key;
  ab_store_t *store;
  autobee_t *db;
  char message[512]; /* of a store that did not open */
} member_t;

/** `number` decides all its keys. The member must not move. */
void
member_init (member_t *member, const char *dir, uint8_t number);
/** Relaxed. Returns what ab_store_open does. */
int
member_open_store (member_t *member);
/** The store and the database, which is joined if `key` is given. */
void
member_open (member_t *member, const ab_key_t *key, const autobee_options_t *options);
void
member_close (member_t *member);

/** The key of the writer that the member is or will be. */
ab_key_t
member_writer (const member_t *member);

/** Append operations of the kv policy: a put of one key, or one per value; a grant, a removal. */
int
member_put (member_t *member, const char *key, const char *value);
int
member_put_batch (member_t *member, const char *key, size_t count);
int
member_grant (member_t *member, const ab_key_t *writer);
int
member_remove (member_t *member, const ab_key_t *writer);

/** What `from` has written goes to `to`: blocks and proofs, a hint, and an update. */
int
member_receive (member_t *to, member_t *from);

/** `err` is 0, or the test fails with the store's message. */
void
member_ok (member_t *member, int err);
/** `value` NULL: there is none. */
void
member_check_value (member_t *member, const char *key, const char *value);

/* What a member shows of the database. */
typedef struct {
  uint8_t view[32];  /* hash of its entries */
  uint8_t order[32]; /* of all nodes in merged order */
  uint64_t nodes;
  uint64_t local; /* nodes of its own log */
} member_state_t;

member_state_t
member_state (member_t *member);
bool
member_state_equal (const member_state_t *a, const member_state_t *b);

#endif

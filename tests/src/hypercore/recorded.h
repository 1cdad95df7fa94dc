/* recorded.h: what the recorded files of this layer hold, as our types. Everything lives in the arena or
 * until the file's run function returns. */
#ifndef RECORDED_H
#define RECORDED_H

#include "hypercore/crypto.h"
#include "hypercore/proof.h"
#include "support/vectors.h"

void
recorded_node (const json_t *value, ab_node_t *out);
/** null: an empty list. */
ab_nodes_t
recorded_nodes (const json_t *list, ab_arena_t *arena);
/** Encoded, as hex; NULL for null. */
const ab_manifest_t *
recorded_manifest (const json_t *hex, ab_arena_t *arena);
void
recorded_key_pair (const json_t *object, const char *seed_member, ab_key_pair_t *out);
void
recorded_request (const json_t *request, ab_request_t *out);
/** Request id 1. */
void
recorded_proof (const json_t *proof, ab_arena_t *arena, ab_proof_t *out);

/** The error that stands for a recorded outcome: 0 for "applied" and "ignored". */
int
recorded_error (const char *outcome);

void
check_hash (const char *what, const json_t *expected, const uint8_t found[32]);
void
check_nodes (const char *what, const json_t *expected, const ab_node_t *found, size_t count);
/** Equal as messages, and both with or without a value. */
void
check_proof (const char *what, const ab_proof_t *expected, const ab_proof_t *found);

#endif

/* wire.h: two streams and the bytes between them, for tests. What fails here fails the test. */
#ifndef WIRE_H
#define WIRE_H

#include "hypercore/net/net.h"
#include "hypercore/stores.h"

/* A clock that stands still until a test moves it, and random bytes from a seed. */
typedef struct {
  ab_env_t env;
  uint64_t now_ms;
  uint32_t random;
} test_env_t;

void
test_env_init (test_env_t *env, uint32_t seed);

/** A store in memory with this environment. */
ab_store_t *
store_in_memory (const test_env_t *env);

typedef struct {
  ab_stream_t *ends[2]; /* 0: the initiator */
  uint64_t bytes[2];    /* taken from each */
  size_t cut;           /* feed at most so many bytes at once; 0: all */
  bool blocked[2];      /* nothing is taken from this end: the other side's socket does not drain */
} wire_t;

/** Connect two stores; options may be NULL (their `initiator` is set here). */
void
wire_open (
  wire_t *wire,
  ab_store_t *a,
  const ab_stream_options_t *a_options,
  ab_store_t *b,
  const ab_stream_options_t *b_options
);
void
wire_close (wire_t *wire);

/** Carry bytes and run both stores until nothing moves any more. Returns how many rounds it took. */
size_t
wire_run (wire_t *wire);

/** One turn of it. True if something moved. */
bool
wire_step (wire_t *wire);

#endif

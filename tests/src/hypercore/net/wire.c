#include "hypercore/net/wire.h"

static uint64_t
env_now (void *data) {
  return ((test_env_t *) data)->now_ms;
}

static void
env_random (void *data, uint8_t *out, size_t len) {
  test_env_t *env = data;
  for (size_t i = 0; i < len; i++) {
    env->random = env->random * 1664525u + 1013904223u;
    out[i] = (uint8_t) (env->random >> 24);
  }
}

void
test_env_init (test_env_t *env, uint32_t seed) {
  *env = (test_env_t){.now_ms = 1700000000000u, .random = seed};
  env->env = (ab_env_t){.now_ms = env_now, .random = env_random, .data = env};
}

ab_store_t *
store_in_memory (const test_env_t *env) {
  ab_store_options_t options = ab_store_options_default();
  ab_store_t *store;
  char message[256];
  if (env != NULL) options.env = &env->env;
  int err = ab_store_open(NULL, &options, &store, message, sizeof(message));
  if (err < 0) fail_msg("%s: %s", ab_err_name(err), message);
  return store;
}

void
wire_open (
  wire_t *wire,
  ab_store_t *a,
  const ab_stream_options_t *a_options,
  ab_store_t *b,
  const ab_stream_options_t *b_options
) {
  ab_stream_options_t options = a_options != NULL ? *a_options : ab_stream_options_default();
  *wire = (wire_t){0};
  options.initiator = true;
  assert_int_equal(ab_stream_open(a, &options, &wire->ends[0]), 0);
  options = b_options != NULL ? *b_options : ab_stream_options_default();
  options.initiator = false;
  assert_int_equal(ab_stream_open(b, &options, &wire->ends[1]), 0);
}

void
wire_close (wire_t *wire) {
  for (int i = 0; i < 2; i++) ab_stream_close(wire->ends[i]);
  *wire = (wire_t){0};
}

static bool
carry (wire_t *wire, int from) {
  ab_slice_t out;
  ab_stream_t *to = wire->ends[1 - from];
  if (wire->blocked[from]) return false;
  assert_int_equal(ab_stream_take(wire->ends[from], &out), 0);
  wire->bytes[from] += out.len;
  bool moved = out.len > 0;
  while (out.len > 0 && ab_stream_status(to) == 0) {
    size_t len = wire->cut > 0 && wire->cut < out.len ? wire->cut : out.len, taken;
    ab_stream_feed(to, ab_slice(out.data, len), &taken);
    out = ab_slice(out.data + taken, out.len - taken);
    if (taken < len) ab_store_run(ab_stream_store(to), 10, NULL);
  }
  if (ab_stream_status(wire->ends[from]) != 0 && ab_stream_status(to) == 0) {
    ab_stream_feed_end(to);
    moved = true;
  }
  return moved;
}

bool
wire_step (wire_t *wire) {
  bool moved = carry(wire, 0);
  moved = carry(wire, 1) || moved;
  for (int i = 0; i < 2; i++) {
    ab_store_t *store = ab_stream_store(wire->ends[i]);
    if (store == NULL) continue;
    int more = ab_store_run(store, 10, NULL);
    assert_true(more >= 0);
    if (more == 1) moved = true;
  }
  return moved;
}

size_t
wire_run (wire_t *wire) {
  size_t rounds = 1;
  while (wire_step(wire)) {
    if (++rounds > 1000000) fail_msg("the two sides never come to rest");
  }
  return rounds;
}

/* fuzz_connection.c: a whole connection: what an authenticated peer says reaches a store.
 *
 *   the input is a list of: kind, length (2 bytes, little endian), bytes
 *     kind 0 to 9   a message of this type on the channel of a core that the store wrote
 *     kind 10 to 19 the same on the channel of a core that the store reads, and wants all of
 *     kind 20       a multiplexer frame
 *     kind 21       the clock moves by so many seconds
 *
 * Whatever comes, the written core stays as it is, the memory held is bounded, and closing works.
 */
#include <stdlib.h>

#include "hypercore/crypto.h"
#include "hypercore/internal.h"
#include "hypercore/net/net.h"
#include "support/vectors.h"

#include "fuzz.h"

#include "../hypercore/net/raw_peer.c"

#define BLOCKS 20

typedef struct {
  ab_env_t env;
  uint64_t now_ms;
  uint32_t random;
} clock_t_;

static uint64_t
env_now (void *data) {
  return ((clock_t_ *) data)->now_ms;
}

static void
env_random (void *data, uint8_t *out, size_t len) {
  clock_t_ *clock = data;
  for (size_t i = 0; i < len; i++) {
    clock->random = clock->random * 1664525u + 1013904223u;
    out[i] = (uint8_t) (clock->random >> 24);
  }
}

static void
require (bool holds) {
  if (!holds) abort();
}

static hypercore_t *
writer (ab_store_t *store, uint8_t fill, size_t blocks) {
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core;
  ab_key_pair_t pair;
  uint8_t seed[32];
  memset(seed, fill, sizeof(seed));
  ab_key_pair_from_seed(&pair, seed);
  options.key_pair = &pair;
  require(hypercore_open(store, &options, &core) == 0);
  for (size_t i = 0; i < blocks; i++) {
    ab_slice_t block = ab_slice("abcdefghijklmnopqrstuvwxyz", i % 26);
    require(hypercore_append(core, &block, 1, NULL) == 0);
  }
  require(ab_store_commit(store) == 0);
  return core;
}

static ab_store_t *
store_of (const clock_t_ *clock) {
  ab_store_options_t options = ab_store_options_default();
  ab_store_t *store;
  char message[128];
  options.env = &clock->env;
  require(ab_store_open(NULL, &options, &store, message, sizeof(message)) == 0);
  return store;
}

/* Open a second channel beside the first: two peers on one connection would do the same. */
typedef struct {
  clock_t_ clock;
  ab_store_t *store;
  hypercore_t *written, *read;
  hypercore_follow_t follow;
  hypercore_download_t download;
  ab_wakeup_t wakeup;
  ab_stream_t *streams[2];
  raw_peer_t peers[2];
} world_t;

static void
setup (world_t *world, const ab_key_t *other) {
  hypercore_options_t options = hypercore_options_default();
  *world = (world_t){.clock = {.now_ms = 1000, .random = 5}};
  world->clock.env = (ab_env_t){env_now, env_random, &world->clock};
  world->store = store_of(&world->clock);
  world->written = writer(world->store, 9, BLOCKS);
  options.key = other;
  require(hypercore_open(world->store, &options, &world->read) == 0);
  require(hypercore_follow(&world->follow, world->written) == 0);
  require(hypercore_download(&world->download, world->read, 0, HYPERCORE_LIVE, NULL) == 0);
  require(ab_wakeup_join(&world->wakeup, world->store) == 0);
  for (int i = 0; i < 2; i++) {
    raw_peer_init(&world->peers[i], true, (uint8_t) (1 + i));
    require(ab_stream_open(world->store, NULL, &world->streams[i]) == 0);
    raw_peer_run(&world->peers[i], world->streams[i]);
    raw_peer_open(&world->peers[i], i == 0 ? hypercore_key(world->written) : other, NULL);
    raw_peer_run(&world->peers[i], world->streams[i]);
    require(world->peers[i].paired);
  }
}

static void
teardown (world_t *world) {
  for (int i = 0; i < 2; i++) {
    ab_stream_close(world->streams[i]);
    raw_peer_destroy(&world->peers[i]);
  }
  hypercore_unfollow(&world->follow);
  ab_wakeup_leave(&world->wakeup);
  require(ab_store_close(world->store) == 0);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size) {
  static bool known;
  static ab_key_t other;
  world_t world;
  ab_reader_t in = ab_reader(ab_slice(data, size));
  if (!known) {
    clock_t_ clock = {.env = {env_now, env_random, NULL}};
    clock.env.data = &clock;
    ab_crypto_init();
    ab_store_t *store = store_of(&clock);
    other = *hypercore_key(writer(store, 10, 1));
    ab_store_close(store);
    known = true;
  }
  setup(&world, &other);
  while (in.err == 0 && ab_reader_left(&in) >= 3) {
    uint8_t kind = *ab_read_bytes(&in, 1).data;
    size_t len = ab_read_fixed_uint(&in, 2);
    if (len > ab_reader_left(&in)) len = ab_reader_left(&in);
    ab_slice_t bytes = ab_read_bytes(&in, len);
    kind %= 22;
    int i = kind >= 10 && kind < 20;
    size_t before = world.peers[0].count + world.peers[1].count;
    if (kind < 20) raw_peer_send(&world.peers[i], kind % 10, bytes);
    if (kind == 20 && world.peers[0].is_open) raw_peer_send_frame(&world.peers[0], bytes);
    if (kind == 21) world.clock.now_ms += 1000 * len;
    for (int j = 0; j < 2; j++) raw_peer_run(&world.peers[j], world.streams[j]);
    if (world.peers[0].count + world.peers[1].count > before) fuzz_accepted();
    for (int j = 0; j < 2; j++) {
      ab_stream_stats_t stats;
      ab_stream_stats(world.streams[j], &stats);
      require(stats.memory < AB_STREAM_MEMORY_MAX);
    }
  }
  require(hypercore_length(world.written) == BLOCKS && hypercore_contiguous_length(world.written) == BLOCKS);
  teardown(&world);
  return 0;
}

static void
add (ab_buf_t *seed, uint8_t kind, ab_slice_t bytes) {
  ab_buf_append(seed, ab_slice(&kind, 1));
  ab_write_fixed_uint(seed, bytes.len, 2);
  ab_buf_append(seed, bytes);
}

static void
seed_file (const char *file, json_t *root, void *data) {
  static const char *const names[] = {
    "sync", "request", "cancel", "data", "noData", "want", "unwant", "bitfield", "range", "extension"};
  size_t i, j, k;
  json_t *item, *step, *message;
  (void) file;
  (void) data;
  json_array_foreach(vectors_get(root, "cases"), i, item) {
    ab_buf_t seed = {0};
    json_array_foreach(vectors_get(item, "steps"), j, step) {
      json_array_foreach(vectors_get(step, "send"), k, message) {
        for (uint8_t type = 0; type < 10; type++) {
          if (strcmp(vectors_get_text(message, "type"), names[type]) != 0) continue;
          add(&seed, type, vectors_get_bytes(message, "bytes"));
          add(&seed, (uint8_t) (10 + type), vectors_get_bytes(message, "bytes"));
        }
      }
    }
    fuzz_seed(ab_buf_slice(&seed));
    ab_buf_destroy(&seed);
  }
}

/* What a writer of the read core says, so that an upgrade and blocks verify. */
static void
seed_answers (void) {
  clock_t_ clock = {.env = {env_now, env_random, NULL}};
  clock.env.data = &clock;
  ab_store_t *store = store_of(&clock);
  hypercore_t *core = writer(store, 10, 5);
  ab__sync_t sync = {
    .length = 5, .can_upgrade = true, .uploading = true, .downloading = true, .has_manifest = true};
  ab__range_msg_t range = {.length = 5};
  ab_buf_t seed = {0}, message = {0};
  ab__range_encode(&message, &range);
  add(&seed, 10 + AB__RANGE, ab_buf_slice(&message));
  ab_buf_reset(&message);
  ab__sync_encode(&message, &sync);
  add(&seed, 10 + AB__SYNC, ab_buf_slice(&message));
  for (uint64_t id = 1; id <= 6; id++) {
    ab_request_t request = {.id = id, .has_upgrade = id == 1, .wants_manifest = id == 1, .has_block = id > 1};
    request.upgrade.length = 5;
    request.block.index = id - 2;
    request.block.nodes = id == 2 ? 2 : id == 4 ? 1 : 0;
    ab_arena_t arena = {0};
    ab_proof_t proof;
    ab_buf_reset(&message);
    if (hypercore_prove(core, &request, &arena, &proof) == 0) {
      ab_proof_encode(&message, &proof);
      add(&seed, 10 + AB__DATA, ab_buf_slice(&message));
    }
    ab_arena_destroy(&arena);
  }
  fuzz_seed(ab_buf_slice(&seed));
  ab_buf_destroy(&seed);
  ab_buf_destroy(&message);
  ab_store_close(store);
}

void
fuzz_seeds (void) {
  ab_crypto_init();
  vectors_each("replication", "serving.json", seed_file, NULL);
  seed_answers();
}

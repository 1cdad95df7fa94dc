/* fuzz_mux.c: multiplexer frames. The input is a list of them, each behind its length (2 bytes, little
 * endian).
 *
 * One channel waits from the start; what the peer offers is opened, put off or rejected by its first byte.
 * Some messages close their channel.
 */
#include <stdlib.h>

#include "hypercore/net/mux.h"
#include "support/vectors.h"

#include "fuzz.h"

typedef struct {
  ab__mux_t mux;
  ab_buf_t frame;
  size_t open;
  bool later;
} world_t;

typedef struct {
  ab__channel_t channel;
  world_t *world;
  uint8_t name[2][256];
} link_t;

static int
on_opened (ab__channel_t *channel, ab_slice_t handshake) {
  (void) channel;
  (void) handshake;
  fuzz_accepted();
  return 0;
}

static int
on_message (ab__channel_t *channel, uint64_t type, ab_slice_t payload) {
  if (type == 3) return ab__mux_close(channel);
  if (type == 4) return AB_ECORRUPT;
  ab_buf_append(ab__channel_begin(channel, type), payload);
  return ab__channel_end(channel);
}

static void
on_closed (ab__channel_t *channel, bool by_remote) {
  link_t *link = (link_t *) channel;
  (void) by_remote;
  link->world->open--;
  free(link);
}

static const ab__channel_ops_t ops = {on_opened, on_message, on_closed};

static ab_buf_t *
begin_frame (void *data) {
  world_t *world = data;
  ab_buf_reset(&world->frame);
  return &world->frame;
}

static int
end_frame (void *data) {
  return ((world_t *) data)->frame.err;
}

static void
open_link (world_t *world, ab_slice_t protocol, ab_slice_t id) {
  link_t *link = calloc(1, sizeof(*link));
  if (link == NULL || protocol.len > 256 || id.len > 256) abort();
  link->world = world;
  if (protocol.len > 0) memcpy(link->name[0], protocol.data, protocol.len);
  if (id.len > 0) memcpy(link->name[1], id.data, id.len);
  link->channel.ops = &ops;
  link->channel.protocol = ab_slice(link->name[0], protocol.len);
  link->channel.id = ab_slice(id.data == NULL ? NULL : link->name[1], id.len);
  world->open++;
  ab__mux_open(&world->mux, &link->channel, ab_slice("h", 1));
}

static ab__offer_t
on_offered (void *data, ab_slice_t protocol, ab_slice_t id) {
  world_t *world = data;
  if (protocol.len == 0 || protocol.len > 256 || id.len > 256) return AB__OFFER_REJECT;
  if (protocol.data[0] % 4 == 1) return AB__OFFER_LATER;
  if (protocol.data[0] % 4 == 3) return AB__OFFER_REJECT;
  open_link(world, protocol, id);
  return AB__OFFER_OPENED;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size) {
  world_t world = {0};
  ab_reader_t in = ab_reader(ab_slice(data, size));
  ab__mux_init(&world.mux, &(ab__mux_host_t){begin_frame, end_frame, on_offered, &world});
  open_link(&world, ab_text("foo"), ab_slice(NULL, 0));
  while (in.err == 0 && ab_reader_left(&in) >= 2) {
    size_t len = ab_read_fixed_uint(&in, 2);
    if (len > ab_reader_left(&in)) len = ab_reader_left(&in);
    if (ab__mux_receive(&world.mux, ab_read_bytes(&in, len)) < 0) break;
    ab__mux_reject(&world.mux, ab_text("a"), ab_slice(NULL, 0));
  }
  ab__mux_destroy(&world.mux);
  if (world.open != 0) abort();
  ab_buf_destroy(&world.frame);
  return 0;
}

static void
seed_file (const char *file, json_t *root, void *data) {
  size_t i, j;
  json_t *item, *step;
  (void) file;
  (void) data;
  json_array_foreach(vectors_get(root, "scripts"), i, item) {
    ab_buf_t seed = {0};
    json_array_foreach(vectors_get(item, "steps"), j, step) {
      if (!vectors_has(step, "receive")) continue;
      ab_slice_t frame = vectors_get_bytes(step, "receive");
      ab_write_fixed_uint(&seed, frame.len, 2);
      ab_buf_append(&seed, frame);
    }
    fuzz_seed(ab_buf_slice(&seed));
    ab_buf_destroy(&seed);
  }
}

void
fuzz_seeds (void) {
  vectors_each("replication", "protomux.json", seed_file, NULL);
}

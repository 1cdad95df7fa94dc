/* oom_engine.c: each allocation of a peer that joins, receives, reorders, appends and opens again fails once.
 * The call answers AB_ENOMEM, nothing leaks, and the same call works when it is made again. */
#include "peers.h"
#include "support/failing_alloc.h"
#include "support/test.h"

#include <stdio.h>

typedef struct {
  world_t world;
  peer_t a, b; /* who the victim receives from; never fail */
  ab_key_t key;
  uint8_t expected[32];
} scene_t;

/* Nodes of b are older than the last of a, so that the victim, who receives a's first, reorders. */
static void
make_scene (scene_t *scene) {
  world_init(&scene->world);
  peer_open(&scene->world, &scene->a, 1, NULL, NULL, NULL);
  autobee_key(scene->a.db, &scene->key);
  peer_open(&scene->world, &scene->b, 2, NULL, &scene->key, NULL);
  peer_grant(&scene->a, &scene->b);
  peer_send(&scene->a, &scene->b);
  peer_append(&scene->b, "{\"put\":{\"k\":\"b\",\"b\":\"1\"}}");
  peer_append(&scene->b, "{\"put\":{\"k\":\"b\",\"b\":\"2\"}}");
  for (int i = 0; i < 4; i++) peer_append(&scene->a, "{\"put\":{\"k\":\"a\",\"a\":\"1\"}}");
}

static void
destroy_scene (scene_t *scene) {
  peer_close(&scene->a);
  peer_close(&scene->b);
}

#define AGAIN(call) \
  do { \
    err = call; \
    if (err == AB_ENOMEM) { \
      *failed = true; \
      err = call; \
    } \
    if (err != 0) return err; \
  } while (0)

static int
open_store (peer_t *victim) {
  ab_store_options_t options = ab_store_options_default();
  ab_key_t primary_key = {{3}};
  options.primary_key = &primary_key;
  options.relaxed = true;
  options.env = &victim->env;
  return ab_store_open(victim->dir, &options, &victim->store, NULL, 0);
}

static int
receive (peer_t *from, peer_t *victim) {
  ab_head_t local;
  autobee_local(from->db, &local);
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *source, *target = NULL;
  options.key = &local.key;
  int err = hypercore_open(from->store, &options, &source);
  if (err < 0) return err;
  err = hypercore_open(victim->store, &options, &target);
  if (err == 0) err = hypercore_pull(target, source, local.length, 0, local.length);
  if (target != NULL) hypercore_close(target);
  hypercore_close(source);
  return err < 0 ? err : autobee_hint(victim->db, &local.key, local.length);
}

static int
view_hash (peer_t *victim, uint8_t out[32]) {
  autobee_view_t *view;
  int err = autobee_view(victim->db, NULL, &view);
  if (err < 0) return err;
  err = autobee_view_hash(view, out);
  autobee_view_close(view);
  return err;
}

static int
live (scene_t *scene, peer_t *victim, bool *failed, uint8_t hash[32]) {
  autobee_options_t options = autobee_options_default();
  options.apply = NULL;
  int err;
  AGAIN(open_store(victim));
  AGAIN(autobee_open(victim->store, &scene->key, &options, &victim->db));
  AGAIN(receive(&scene->a, victim));
  AGAIN(autobee_update(victim->db));
  AGAIN(receive(&scene->b, victim));
  AGAIN(autobee_update(victim->db));
  AGAIN(view_hash(victim, hash));

  /* both are gone whatever they answer; what was received is committed already */
  err = autobee_close(victim->db);
  victim->db = NULL;
  if (err == AB_ENOMEM) *failed = true;
  else if (err < 0) return err;
  err = ab_store_close(victim->store);
  victim->store = NULL;
  if (err == AB_ENOMEM) *failed = true;
  else if (err < 0) return err;
  AGAIN(open_store(victim));
  AGAIN(autobee_open(victim->store, NULL, &options, &victim->db));
  AGAIN(autobee_update(victim->db));
  AGAIN(view_hash(victim, hash));
  return 0;
}

static void
end (peer_t *victim) {
  failing_alloc_disarm();
  if (victim->db != NULL) autobee_close(victim->db);
  if (victim->store != NULL) ab_store_close(victim->store);
  victim->db = NULL;
  victim->store = NULL;
}

static uint64_t
clock_ms (void *data) {
  (void) data;
  return PEERS_START_MS + 1000000;
}

static void
no_chance (void *data, uint8_t *out, size_t len) {
  (void) data;
  memset(out, 5, len);
}

static void
a_joining_peer_survives_each_failed_allocation (void **state) {
  (void) state;
  scene_t scene;
  make_scene(&scene);
  bool was_hit = true;
  uint8_t expected[32];
  for (size_t n = 0; was_hit; n += n < 400 ? 1 : 13) {
    peer_t victim = {.env = {clock_ms, no_chance, NULL}};
    uint8_t hash[32];
    bool failed = false;
    tmpdir_make(victim.dir);
    if (n > 0) failing_alloc_arm(n, FAILING_ALLOC_ONCE);
    int err = live(&scene, &victim, &failed, hash);
    bool hit = failing_alloc_disarm();
    if (err < 0) fail_msg("allocation %zu: %s", n, ab_strerror(err));
    if (n == 0) memcpy(expected, hash, 32);
    assert_memory_equal(hash, expected, 32);
    was_hit = n == 0 || hit;
    end(&victim);
    tmpdir_remove(victim.dir);
  }
  destroy_scene(&scene);
}

static void
an_appending_peer_survives_each_failed_allocation (void **state) {
  (void) state;
  bool was_hit = true;
  for (size_t n = 1; was_hit; n++) {
    world_t world;
    peer_t peer;
    char text[64];
    world_init(&world);
    peer_open(&world, &peer, 1, NULL, NULL, NULL);
    peer_append(&peer, "{\"put\":{\"k\":\"0\"}}");
    failing_alloc_arm(n, FAILING_ALLOC_ONCE);
    int err = peer_try(&peer, "{\"put\":{\"k\":\"1\"}}", 0);
    was_hit = failing_alloc_disarm();
    if (err != 0) assert_int_equal(err, AB_ENOMEM);
    if (!was_hit) assert_int_equal(err, 0);

    /* what was refused may be there all the same, if only the commit failed; never less than what succeeded
     */
    snprintf(text, sizeof(text), "{\"put\":{\"k\":\"2\"}}");
    peer_append(&peer, text);
    assert_value(&peer, "k", "2");
    assert_in_range(peer_flushes(&peer), err == 0 ? 3 : 2, 3);
    peer_close(&peer);
  }
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_appending_peer_survives_each_failed_allocation),
    cmocka_unit_test(a_joining_peer_survives_each_failed_allocation),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

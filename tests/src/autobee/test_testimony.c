/* What others attest about a writer outlives a restart. */
#include "peers.h"
#include "support/test.h"

static int
keep_weight (void *data, const autobee_log_entry_t *entry) {
  *(uint64_t *) data = entry->weight;
  return 1;
}

static void
a_granted_writer_has_its_weight_after_a_restart (void **state) {
  (void) state;
  world_t world;
  peer_t founder, second;
  char folder[TMPDIR_MAX], path[TMPDIR_MAX];
  ab_key_t key;
  uint64_t weight = 0;
  world_init(&world);
  tmpdir_make(folder);
  tmpdir_path(path, folder, "second");
  peer_open(&world, &founder, 1, NULL, NULL, NULL);
  autobee_key(founder.db, &key);
  peer_open(&world, &second, 2, path, &key, NULL);
  peer_grant(&founder, &second);
  peer_send(&founder, &second);

  peer_reopen(&second, NULL);
  peer_append(&second, "{\"put\":{\"k\":\"v\"}}");
  assert_int_equal(autobee_log(second.db, keep_weight, &weight), 1);
  assert_int_equal(weight, 2);
  peer_close(&founder);
  peer_close(&second);
  tmpdir_remove(folder);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_granted_writer_has_its_weight_after_a_restart),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

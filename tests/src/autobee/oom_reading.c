/* oom_reading.c: each allocation of the questions about the order fails once; the answer is AB_ENOMEM, or the
 * right one, and nothing leaks. */
#include "autobee/peers.h"
#include "support/failing_alloc.h"
#include "support/test.h"

typedef struct {
  world_t world;
  peer_t here, there;
  ab_key_t other;
  ab_head_t node;
} pair_t;

/* Both have written, on top of each other and side by side, and the other one's state is here. */
static void
begin (pair_t *pair) {
  ab_key_t key;
  ab_head_t local;
  autobee_info_t info;
  world_init(&pair->world);
  peer_open(&pair->world, &pair->here, 1, NULL, NULL, NULL);
  autobee_key(pair->here.db, &key);
  peer_open(&pair->world, &pair->there, 2, NULL, &key, NULL);
  autobee_local(pair->there.db, &local);
  pair->other = local.key;
  peer_grant(&pair->here, &pair->there);
  peer_send(&pair->here, &pair->there);
  peer_append(&pair->there, "{\"put\":{\"k\":\"1\"}}");
  pair->node.key = key;
  pair->node.length = peer_append(&pair->here, "{\"put\":{\"k\":\"2\"}}");
  peer_send(&pair->here, &pair->there);
  peer_append(&pair->there, "{\"put\":{\"k\":\"3\"}}");
  peer_send(&pair->there, &pair->here);
  assert_int_equal(autobee_info(pair->there.db, &info), 0);
  peer_copy(&pair->there, &pair->here, &info.system.key, info.system.length, 0, info.system.length);
  peer_copy(&pair->there, &pair->here, &info.view.key, info.view.length, 0, info.view.length);
}

static int
ask_settled (pair_t *pair) {
  autobee_settled_t settled;
  int err = autobee_settled(pair->here.db, &pair->node, &settled);
  if (err == 0) assert_int_equal(settled.acknowledged, 2);
  return err;
}

static int
ask_why (pair_t *pair, uint64_t length, autobee_reason_t reason) {
  ab_head_t node = {pair->other, length};
  autobee_why_t why;
  int err = autobee_why(pair->here.db, &pair->node, &node, &why);
  if (err < 0) return err;
  assert_int_equal(why.reason, reason);
  autobee_why_destroy(&why);
  return 0;
}

static int
ask_why_beside (pair_t *pair) {
  return ask_why(pair, 1, AUTOBEE_WHY_OLDER);
}

static int
ask_why_on_top (pair_t *pair) {
  return ask_why(pair, 2, AUTOBEE_WHY_ON_TOP);
}

static int
ask_compare (pair_t *pair) {
  autobee_comparison_t comparison;
  int err = autobee_compare(pair->here.db, &pair->other, &comparison);
  if (err == 0) assert_int_equal(comparison.outcome, AUTOBEE_SAME);
  return err;
}

static void
questions_survive_each_failure (void **state) {
  int (*const questions[])(pair_t * pair) = {ask_settled, ask_why_beside, ask_why_on_top, ask_compare};
  pair_t pair = {0};
  (void) state;
  begin(&pair);
  for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
    bool has_failed = true;
    size_t n = 1;
    for (; has_failed; n++) {
      failing_alloc_arm(n, FAILING_ALLOC_ONCE);
      int err = questions[i](&pair);
      has_failed = failing_alloc_disarm();
      if (err != 0) assert_true(has_failed && err == AB_ENOMEM);
    }
    assert_true(n > 3);
  }
  peer_close(&pair.here);
  peer_close(&pair.there);
}

int
main (void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(questions_survive_each_failure)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

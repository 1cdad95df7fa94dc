/* Another peer's recorded state against ours. */
#include "peers.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct {
  const char *bad; /* a value that this peer stores differently */
  uint64_t weight; /* that it grants */
} rule_t;

/* Stores every value under itself; "add KEY" grants. */
static int
apply_rule (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  rule_t *rule = data;
  int err = 0;
  for (size_t i = 0; i < count && err == 0; i++) {
    ab_slice_t value = nodes[i].value;
    ab_key_t writer;
    if (value.len > 4 && memcmp(value.data, "add ", 4) == 0) {
      if (ab_key_from_text(ab_slice(value.data + 4, value.len - 4), &writer) < 0) return AB_EREJECTED;
      err = autobee_apply_add_writer(apply, &writer, true, rule->weight);
    } else {
      bool is_bad = rule->bad != NULL && ab_slice_equal(value, ab_text(rule->bad));
      err = autobee_apply_put(apply, value, ab_text(is_bad ? "wrong" : "right"));
    }
  }
  return err;
}

typedef struct {
  world_t world;
  peer_t here, there;
  rule_t rules[2];
  ab_key_t key, other;
} pair_t;

static void
open_peer (pair_t *pair, peer_t *peer, uint8_t seed, rule_t *rule, const ab_key_t *key) {
  autobee_options_t options = peer_options(peer);
  options.apply = apply_rule;
  options.apply_data = rule;
  peer_open(&pair->world, peer, seed, NULL, key, &options);
}

static void
grant (peer_t *peer, const peer_t *other) {
  char text[AB_KEY_TEXT_LEN + 1], value[128];
  ab_head_t local;
  autobee_local(other->db, &local);
  ab_key_to_text(&local.key, text);
  snprintf(value, sizeof(value), "add %s", text);
  peer_append(peer, value);
}

/* Both have applied the grant of the second and some nodes of the first one. */
static void
begin (pair_t *pair, const char *bad, uint64_t weight) {
  ab_head_t local;
  *pair = (pair_t){.rules = {{NULL, 2}, {bad, weight}}};
  world_init(&pair->world);
  open_peer(pair, &pair->here, 1, &pair->rules[0], NULL);
  autobee_key(pair->here.db, &pair->key);
  open_peer(pair, &pair->there, 2, &pair->rules[1], &pair->key);
  autobee_local(pair->there.db, &local);
  pair->other = local.key;
  grant(&pair->here, &pair->there);
  peer_append(&pair->here, "a");
  peer_append(&pair->here, "b");
  peer_append(&pair->here, "c");
  peer_send(&pair->here, &pair->there);
}

static void
end (pair_t *pair) {
  peer_close(&pair->here);
  peer_close(&pair->there);
}

/* The other one writes; its log comes here, and then the cores of its state. */
static void
write_there (pair_t *pair) {
  peer_append(&pair->there, "d");
  peer_send(&pair->there, &pair->here);
}

static void
fetch_state (pair_t *pair) {
  autobee_info_t info;
  assert_int_equal(autobee_info(pair->there.db, &info), 0);
  peer_copy(&pair->there, &pair->here, &info.system.key, info.system.length, 0, info.system.length);
  peer_copy(&pair->there, &pair->here, &info.view.key, info.view.length, 0, info.view.length);
}

static autobee_comparison_t
compare (pair_t *pair) {
  autobee_comparison_t comparison;
  int err = autobee_compare(pair->here.db, &pair->other, &comparison);
  if (err < 0) fail_msg("compare: %s", ab_strerror(err));
  return comparison;
}

static void
peers_that_did_the_same_agree (void **state) {
  (void) state;
  pair_t pair;
  autobee_comparison_t comparison;
  begin(&pair, NULL, 2);
  assert_int_equal(autobee_compare(pair.here.db, &pair.other, &comparison), AB_ENOTFOUND);
  write_there(&pair);
  assert_int_equal(autobee_compare(pair.here.db, &pair.other, &comparison), AB_EREMOTE);
  fetch_state(&pair);
  comparison = compare(&pair);
  assert_int_equal(comparison.outcome, AUTOBEE_SAME);
  assert_int_equal(comparison.equal, 5);
  assert_int_equal(comparison.node.length, 1);
  assert_int_equal(comparison.ours.length, 0);
  end(&pair);
}

static void
what_the_other_one_did_not_know_yet_is_no_difference (void **state) {
  (void) state;
  pair_t pair;
  begin(&pair, NULL, 2);
  write_there(&pair);
  fetch_state(&pair);
  uint64_t length = peer_append(&pair.here, "e");
  autobee_comparison_t comparison = compare(&pair);
  assert_int_equal(comparison.outcome, AUTOBEE_INCOMPARABLE);
  assert_int_equal(comparison.equal, 5);
  assert_int_equal(comparison.ours.length, length);
  assert_int_equal(comparison.theirs.length, 0);
  end(&pair);
}

static void
the_operation_that_made_views_different_is_named (void **state) {
  (void) state;
  pair_t pair;
  begin(&pair, "b", 2);
  write_there(&pair);
  fetch_state(&pair);
  autobee_comparison_t comparison = compare(&pair);
  assert_int_equal(comparison.outcome, AUTOBEE_VIEW_DIFFERS);
  assert_int_equal(comparison.equal, 2);
  assert_int_equal(comparison.ours.length, 3); /* of the founder: the grant, a, b */
  assert_true(ab_head_equal(&comparison.ours, &comparison.theirs));
  end(&pair);
}

/* A third one writes with a weight that its grant has only here. */
static void
another_weight_is_another_order (void **state) {
  (void) state;
  pair_t pair;
  peer_t third;
  ab_head_t local;
  begin(&pair, NULL, 1);
  open_peer(&pair, &third, 3, &pair.rules[0], &pair.key);
  grant(&pair.here, &third);
  peer_send(&pair.here, &third);
  peer_append(&third, "x");
  autobee_local(third.db, &local);
  peer_send(&third, &pair.here);
  peer_send(&pair.here, &pair.there);
  peer_send(&third, &pair.there);
  write_there(&pair);
  fetch_state(&pair);
  autobee_comparison_t comparison = compare(&pair);
  assert_int_equal(comparison.outcome, AUTOBEE_ORDER_DIFFERS);
  assert_int_equal(comparison.equal, 5);
  assert_true(ab_head_equal(&comparison.ours, &local));
  assert_true(ab_head_equal(&comparison.theirs, &local));
  peer_close(&third);
  end(&pair);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(peers_that_did_the_same_agree),
    cmocka_unit_test(what_the_other_one_did_not_know_yet_is_no_difference),
    cmocka_unit_test(the_operation_that_made_views_different_is_named),
    cmocka_unit_test(another_weight_is_another_order),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* control_settled.c: settled. */
#include "autobee/cli/request.h"

#define TIMEOUT_MS 30000

static const char *
name_of (autobee_node_state_t state) {
  switch (state) {
  case AUTOBEE_STAGED:
    return "staged";
  case AUTOBEE_COMMITTED:
    return "committed";
  case AUTOBEE_APPLIED:
    break;
  }
  return "applied";
}

/* The node that is asked for; of the local writer if none is named, and the last one if no length is. */
static int
read_node (request_t *request, ab_head_t *node) {
  bool has_length;
  int err = 0;
  autobee_local(request->database->db, node);
  bool has_key = request_member(request, "key") != NULL;
  if (has_key) err = request_key(request, "key", &node->key);
  if (err == 0) err = request_uint(request, "length", &node->length, &has_length);
  if (err == 0 && has_key && !has_length) err = request_fail(request, AB_EINVAL, "\"length\" is missing");
  return err;
}

static int
fail (request_t *request, const ab_head_t *node, int err) {
  char key[AB_KEY_TEXT_LEN + 1];
  if (err != AB_ENOTFOUND) return request_fail_read(request, err);
  ab_key_to_text(&node->key, key);
  return request_fail(request, err, "there is no node %s:%llu here", key, (unsigned long long) node->length);
}

static void
put_node (request_t *request, const ab_head_t *node, const autobee_settled_t *settled) {
  out_t *out = &request->answer;
  request->answers_errors = true;
  out_member_hex(out, "key", ab_key_slice(&node->key));
  out_member_uint(out, "length", node->length);
  out_member_text(out, "state", name_of(settled->state));
  out_member_uint(out, "acknowledged", settled->acknowledged);
  out_member_uint(out, "indexers", settled->indexers);
  out_member_bool(out, "settled", settled->is_settled);
}

/* Nothing was applied since the last try, which missed no block. */
static bool
is_unchanged (request_t *request) {
  request_wait_t *wait = &request->wait;
  autobee_info_t info;
  if (request->is_missing || autobee_info(request->database->db, &info) < 0) return false;
  bool is_same = wait->is_begun && ab_head_equal(&wait->system, &info.system);
  wait->is_begun = true;
  wait->system = info.system;
  return is_same;
}

static int
wait_for_more (request_t *request, uint64_t timeout_ms) {
  const control_net_t *net = request_net(request);
  request->due_ms = request->began_ms + timeout_ms;
  if (net != NULL && request_now(request) < request->due_ms) return REQUEST_LATER;
  return request_fail(
    request,
    net == NULL ? AB_EREMOTE : AB_ETIMEDOUT,
    "not settled yet: the indexers have to write something on top of it, and this peer has to hear of that"
  );
}

int
control_settled (request_t *request) {
  uint64_t timeout_ms = TIMEOUT_MS;
  bool waits = false, given;
  ab_head_t node;
  autobee_settled_t settled;
  int err = read_node(request, &node);
  if (err == 0) err = request_bool(request, "wait", &waits, &given);
  if (err == 0) err = request_uint(request, "timeoutMs", &timeout_ms, &given);
  if (err < 0) return err;
  if (waits && is_unchanged(request) && request_now(request) < request->due_ms) return REQUEST_LATER;
  if ((err = autobee_settled(request->database->db, &node, &settled)) < 0) return fail(request, &node, err);
  put_node(request, &node, &settled);
  return waits && !settled.is_settled ? wait_for_more(request, timeout_ms) : 0;
}

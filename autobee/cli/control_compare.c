/* control_compare.c: compare. */
#include "autobee/cli/request.h"

#include <stdlib.h>

#define TIMEOUT_MS 5000

/* ---- until everything is exchanged ---- */

static bool
has_arrivals (request_t *request) {
  autobee_info_t info;
  if (autobee_info(request->database->db, &info) < 0 || info.arrivals == request->arrivals) return false;
  request->arrivals = info.arrivals;
  return true;
}

/* 0, REQUEST_LATER, or an error. */
static int
wait_for_sync (request_t *request, uint64_t timeout_ms) {
  const control_net_t *net = request_net(request);
  request_wait_t *wait = &request->wait;
  if (wait->is_begun || net == NULL || net->in_sync(net->data)) {
    wait->is_begun = true; /* once is enough */
    return 0;
  }
  if (wait->since_ms == 0 || has_arrivals(request)) wait->since_ms = request_now(request);
  request->due_ms = wait->since_ms + timeout_ms;
  if (request_now(request) < request->due_ms) return REQUEST_LATER;
  return request_fail(request, AB_ETIMEDOUT, "not in sync: the peer cannot be reached, or sends nothing");
}

/* ---- all other writers ---- */

typedef struct {
  ab_key_t local;
  ab_key_t *keys;
  size_t count;
  size_t capacity;
} others_t;

static int
take_other (void *data, const ab_key_t *key, const autobee_writer_t *writer) {
  others_t *others = data;
  if (writer->length == 0 || ab_key_equal(key, &others->local)) return 0;
  if (others->count == others->capacity) {
    size_t capacity = others->capacity == 0 ? 16 : 2 * others->capacity;
    ab_key_t *keys = realloc(others->keys, capacity * sizeof(*keys));
    if (keys == NULL) return AB_ENOMEM;
    others->keys = keys;
    others->capacity = capacity;
  }
  others->keys[others->count++] = *key;
  return 0;
}

static const char *
name_of (autobee_outcome_t outcome) {
  switch (outcome) {
  case AUTOBEE_SAME:
    return "same";
  case AUTOBEE_VIEW_DIFFERS:
    return "view";
  case AUTOBEE_ORDER_DIFFERS:
    return "order";
  case AUTOBEE_INCOMPARABLE:
    break;
  }
  return "incomparable";
}

static void
put_node (out_t *out, const char *name, const ab_head_t *node) {
  if (node->length > 0) {
    request_put_head(out, name, node);
  } else {
    out_name(out, name);
    out_null(out);
  }
}

static void
put_comparison (out_t *out, const autobee_comparison_t *comparison) {
  out_open(out, '{');
  out_member_text(out, "outcome", name_of(comparison->outcome));
  out_member_uint(out, "equal", comparison->equal);
  put_node(out, "node", &comparison->node);
  put_node(out, "ours", &comparison->ours);
  put_node(out, "theirs", &comparison->theirs);
  out_close(out, '}');
}

/* Writers whose state is not here, or makes no sense, are left out, and then the result is AB_EREMOTE. */
static int
compare_all (request_t *request, const others_t *others) {
  int result = 0;
  out_name(&request->answer, "peers");
  out_open(&request->answer, '[');
  for (size_t i = 0; i < others->count; i++) {
    autobee_comparison_t comparison;
    int err = autobee_compare(request->database->db, &others->keys[i], &comparison);
    if (err == 0) put_comparison(&request->answer, &comparison);
    else if (err == AB_EREMOTE || err == AB_ECORRUPT || err == AB_ETOOBIG) result = AB_EREMOTE;
    else if (err != AB_ENOTFOUND) return request_fail_store(request, err);
  }
  out_close(&request->answer, ']');
  request->answers_errors = true;
  return result == 0
           ? 0
           : request_fail(request, result, "no peer that is connected has the states of all writers");
}

int
control_compare (request_t *request) {
  uint64_t timeout_ms = TIMEOUT_MS;
  others_t others = {0};
  ab_head_t local;
  bool given;
  int status = request_uint(request, "timeoutMs", &timeout_ms, &given);
  if (status == 0) status = wait_for_sync(request, timeout_ms);
  if (status != 0) return status;
  autobee_local(request->database->db, &local);
  others.local = local.key;
  status = autobee_writers(request->database->db, take_other, &others);
  status = status < 0 ? request_fail_read(request, status) : compare_all(request, &others);
  free(others.keys);
  return status;
}

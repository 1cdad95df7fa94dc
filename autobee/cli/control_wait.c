/* control_wait.c: wait, watch. */
#include "autobee/cli/bytes.h"
#include "autobee/cli/request.h"

#define QUIET_MS 500
#define TIMEOUT_MS 30000

/* ---- wait ---- */

typedef struct {
  uint64_t quiet_ms, timeout_ms, flushes;
  bool writable, synced, has_writable, has_flushes, has_hash;
  out_t hash;
} conditions_t;

static int
read_conditions (request_t *request, conditions_t *conditions) {
  bool given;
  ab_slice_t hex = {0};
  int err = request_uint(request, "quietMs", &conditions->quiet_ms, &given);
  if (err == 0) err = request_uint(request, "timeoutMs", &conditions->timeout_ms, &given);
  if (err == 0) err = request_uint(request, "flushes", &conditions->flushes, &conditions->has_flushes);
  if (err == 0) err = request_bool(request, "writable", &conditions->writable, &conditions->has_writable);
  if (err == 0) err = request_bool(request, "synced", &conditions->synced, &given);
  if (err == 0) err = request_string(request, "hash", &hex, &conditions->has_hash);
  if (err < 0 || !conditions->has_hash) return err;
  err = bytes_from_hex(hex, &conditions->hash);
  if (err == AB_ENOMEM) return err;
  if (err == 0 && conditions->hash.len == 32) return 0;
  return request_fail(request, AB_EINVAL, "\"hash\" is 64 digits of hex");
}

static bool
is_changed (request_wait_t *wait, const autobee_info_t *info) {
  return !wait->is_begun || !ab_head_equal(&wait->system, &info->system) ||
         !ab_head_equal(&wait->local, &info->local) || wait->is_writable != info->is_writable;
}

static int
has_view_hash (request_t *request, const autobee_info_t *info, ab_slice_t expected, bool *out) {
  request_wait_t *wait = &request->wait;
  if (!wait->has_hash || !ab_head_equal(&wait->hashed, &info->view)) {
    autobee_view_t *view;
    int err = autobee_view(request->database->db, NULL, &view);
    if (err == 0) {
      err = autobee_view_hash(view, wait->hash);
      autobee_view_close(view);
    }
    if (err == AB_EREMOTE) { /* it may come */
      *out = false;
      return 0;
    }
    if (err < 0) return request_fail_store(request, err);
    wait->has_hash = true;
    wait->hashed = info->view;
  }
  *out = ab_slice_equal(ab_slice(wait->hash, sizeof(wait->hash)), expected);
  return 0;
}

static void
put_state (request_t *request, const autobee_info_t *info) {
  const control_net_t *net = request_net(request);
  out_t *out = &request->answer;
  request->answers_errors = true;
  out_member_uint(out, "flushes", info->flushes);
  out_member_hex(out, "localKey", ab_key_slice(&info->local.key));
  out_member_uint(out, "localLength", info->local.length);
  out_member_bool(out, "writable", info->is_writable);
  out_member_uint(out, "connections", net == NULL ? 0 : net->connections(net->data));
  if (request->wait.has_hash)
    out_member_hex(out, "hash", ab_slice(request->wait.hash, sizeof(request->wait.hash)));
}

/* Which condition does not hold, or NULL. */
static const char *
what_is_missing (request_t *request, const conditions_t *conditions, const autobee_info_t *info) {
  const control_net_t *net = request_net(request);
  if (conditions->has_writable && info->is_writable != conditions->writable) return "writable";
  if (conditions->has_flushes && info->flushes < conditions->flushes) return "flushes";
  if (conditions->synced && net != NULL && !net->in_sync(net->data)) return "synced";
  return NULL;
}

static int
check (request_t *request, const conditions_t *conditions) {
  request_wait_t *wait = &request->wait;
  autobee_info_t info;
  uint64_t now = request_now(request), end = request->began_ms + conditions->timeout_ms;
  int err = autobee_info(request->database->db, &info);
  if (err < 0) return request_fail_store(request, err);
  if (is_changed(wait, &info)) {
    wait->since_ms = now;
    wait->system = info.system;
    wait->local = info.local;
    wait->is_writable = info.is_writable;
    wait->is_begun = true;
  }

  const char *missing = what_is_missing(request, conditions, &info);
  uint64_t quiet = wait->since_ms + conditions->quiet_ms;
  if (missing == NULL && now < quiet) missing = "quiet";
  if (missing == NULL && conditions->has_hash) {
    bool is_equal = false;
    if ((err = has_view_hash(request, &info, out_slice(&conditions->hash), &is_equal)) < 0) return err;
    if (!is_equal) missing = "hash";
  }
  if (missing == NULL) {
    put_state(request, &info);
    return 0;
  }
  if (now >= end) {
    put_state(request, &info);
    return request_fail(
      request,
      AB_ETIMEDOUT,
      "waited %llu ms for \"%s\"; the members tell the state that was reached",
      (unsigned long long) conditions->timeout_ms,
      missing
    );
  }
  request->due_ms = now < quiet && quiet < end ? quiet : end;
  return REQUEST_LATER;
}

int
control_wait (request_t *request) {
  conditions_t conditions = {.quiet_ms = QUIET_MS, .timeout_ms = TIMEOUT_MS};
  int status = read_conditions(request, &conditions);
  if (status == 0) status = check(request, &conditions);
  out_destroy(&conditions.hash);
  return status;
}

/* ---- watch ---- */

/* What changed between the recorded view and the one that is shown. */
static int
put_since (request_t *request, bool has_key, bool has_prefix, ab_slice_t bytes) {
  database_t *database = request->database;
  autobee_info_t info;
  autobee_view_t *view;
  autobee_event_t event = {0};
  bool continues;
  int err = request_view_head(request, "since", &event.from);
  if (err < 0) return err;
  if ((err = autobee_info(database->db, &info)) < 0) return request_fail_store(request, err);
  event.to = info.view;
  if ((err = autobee_view(database->db, &event.from, &view)) < 0) return request_fail_store(request, err);
  autobee_view_close(view); /* there is such a one */
  if ((err = autobee_view_continues(database->db, &event.from, &continues)) < 0)
    return request_fail_read(request, err);
  bool moved = !ab_head_equal(&event.from, &event.to);
  bool changed = moved && control_watch_changed(database, &event, has_key, has_prefix, bytes);
  out_member_uint(&request->answer, "from", event.from.length);
  out_member_uint(&request->answer, "to", event.to.length);
  out_member_bool(&request->answer, "rewritten", !continues);
  out_member_bool(&request->answer, "changed", changed);
  return 0;
}

int
control_watch (request_t *request) {
  out_t bytes = {0};
  bool has_key, has_prefix = false, has_since = request_member(request, "since") != NULL;
  int err = request_bytes(request, "key", &bytes, &has_key);
  if (err == 0 && !has_key) err = request_bytes(request, "prefix", &bytes, &has_prefix);
  if (err == 0 && has_since) err = put_since(request, has_key, has_prefix, out_slice(&bytes));
  if (err == 0) err = request_add_watch(request, has_key, has_prefix, out_slice(&bytes));
  out_destroy(&bytes);
  return err;
}

static int
key_differs (autobee_view_t *from, autobee_view_t *to, ab_slice_t key, bool *out) {
  autobee_entry_t before, after;
  int had = autobee_get(from, key, &before), has = autobee_get(to, key, &after);
  if (had < 0 && had != AB_ENOTFOUND) return had;
  if (has < 0 && has != AB_ENOTFOUND) return has;
  *out = had != has || (had == 0 && !ab_slice_equal(before.value, after.value));
  return 0;
}

/* The next key with the prefix. 0, AB_EEND, or an error. */
static int
next_with_prefix (autobee_cursor_t *cursor, ab_slice_t prefix, autobee_entry_t *entry) {
  int err = autobee_cursor_next(cursor, entry);
  if (err < 0) return err;
  bool has = entry->key.len >= prefix.len && ab_slice_equal(ab_slice(entry->key.data, prefix.len), prefix);
  return has ? 0 : AB_EEND;
}

static int
prefix_differs (autobee_view_t *from, autobee_view_t *to, ab_slice_t prefix, bool *out) {
  autobee_range_t range = {.lower = prefix, .has_lower = true};
  autobee_cursor_t *before = NULL, *after = NULL;
  autobee_entry_t old, new;
  int had = 0, has = 0, err = autobee_cursor_open(from, &range, &before);
  if (err == 0) err = autobee_cursor_open(to, &range, &after);
  *out = false;
  while (err == 0 && !*out) {
    had = next_with_prefix(before, prefix, &old);
    has = next_with_prefix(after, prefix, &new);
    if (had < 0 && had != AB_EEND) err = had;
    else if (has < 0 && has != AB_EEND) err = has;
    else if (had != has) *out = true;
    else if (had == AB_EEND) break;
    else *out = !ab_slice_equal(old.key, new.key) || !ab_slice_equal(old.value, new.value);
  }
  autobee_cursor_close(before);
  autobee_cursor_close(after);
  return err;
}

bool
control_watch_changed (
  database_t *database, const autobee_event_t *event, bool has_key, bool has_prefix, ab_slice_t bytes
) {
  autobee_view_t *from = NULL, *to = NULL;
  bool differs = true;
  if (!has_key && !has_prefix) return true;
  int err = autobee_view(database->db, &event->from, &from);
  if (err == 0) err = autobee_view(database->db, &event->to, &to);
  if (err == 0) {
    err = has_key ? key_differs(from, to, bytes, &differs) : prefix_differs(from, to, bytes, &differs);
  }
  autobee_view_close(from);
  autobee_view_close(to);
  return err < 0 || differs;
}

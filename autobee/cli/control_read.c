/* control_read.c: get, range, count, dump, query. */
#include "autobee/cli/bytes.h"
#include "autobee/cli/request.h"

/* ---- which view ---- */

static int
open_view (request_t *request, autobee_view_t **view) {
  bool has_at = request_member(request, "at") != NULL;
  ab_head_t head;
  int err = has_at ? request_view_head(request, "at", &head) : 0;
  if (err < 0) return err;
  err = autobee_view(request->database->db, has_at ? &head : NULL, view);
  return err < 0 ? request_fail_store(request, err) : 0;
}

/* ---- get ---- */

static void
put_value (out_t *out, ab_slice_t value) {
  out_name(out, "value");
  if (bytes_are_utf8(value)) out_string(out, value);
  else out_null(out);
  out_member_hex(out, "valueHex", value);
}

int
control_get (request_t *request) {
  autobee_view_t *view = NULL;
  autobee_entry_t entry;
  out_t key = {0};
  int err = request_bytes(request, "key", &key, NULL);
  if (err == 0) err = open_view(request, &view);
  if (err < 0) goto done;
  err = autobee_get(view, out_slice(&key), &entry);
  if (err == 0) {
    put_value(&request->answer, entry.value);
  } else if (err == AB_ENOTFOUND) {
    err = 0;
    out_name(&request->answer, "value");
    out_null(&request->answer);
    out_name(&request->answer, "valueHex");
    out_null(&request->answer);
  } else {
    err = request_fail_read(request, err);
  }
  autobee_view_close(view);

done:
  out_destroy(&key);
  return err;
}

/* ---- ranges ---- */

typedef struct {
  autobee_range_t range;
  out_t lower, upper, prefix, prefix_end; /* what the bounds point to */
} bounds_t;

static void
bounds_destroy (bounds_t *bounds) {
  out_destroy(&bounds->lower);
  out_destroy(&bounds->upper);
  out_destroy(&bounds->prefix);
  out_destroy(&bounds->prefix_end);
}

/* The bound of two names, one of them exclusive. */
static int
read_bound (
  request_t *request, const char *open, const char *closed, out_t *bytes, bool *has, bool *is_open
) {
  bool has_open, has_closed;
  int err = request_bytes(request, open, bytes, &has_open);
  if (err < 0) return err;
  if ((err = request_bytes(request, closed, bytes, &has_closed)) < 0) return err;
  if (has_open && has_closed)
    return request_fail(request, AB_EINVAL, "either \"%s\" or \"%s\"", open, closed);
  *has = has_open || has_closed;
  *is_open = has_open;
  return 0;
}

/* The first key behind all that begin with the prefix; there is none behind ff ff … */
static bool
end_of_prefix (out_t *end) {
  while (end->len > 0 && (uint8_t) end->data[end->len - 1] == 0xff) end->len--;
  if (end->len == 0) return false;
  end->data[end->len - 1] = (char) ((uint8_t) end->data[end->len - 1] + 1);
  return true;
}

static int
narrow_to_prefix (request_t *request, bounds_t *bounds) {
  autobee_range_t *range = &bounds->range;
  bool has_prefix;
  int err = request_bytes(request, "prefix", &bounds->prefix, &has_prefix);
  if (err < 0 || !has_prefix) return err;
  ab_slice_t prefix = out_slice(&bounds->prefix);
  out_bytes(&bounds->prefix_end, prefix);
  if (bounds->prefix_end.failed) return AB_ENOMEM;
  if (!range->has_lower || ab_slice_compare(range->lower, prefix) < 0) {
    range->lower = prefix;
    range->has_lower = true;
    range->lower_open = false;
  }
  if (!end_of_prefix(&bounds->prefix_end)) return 0;
  ab_slice_t end = out_slice(&bounds->prefix_end);
  if (!range->has_upper || ab_slice_compare(end, range->upper) <= 0) {
    range->upper = end;
    range->has_upper = true;
    range->upper_open = true;
  }
  return 0;
}

static int
read_bounds (request_t *request, bounds_t *bounds) {
  autobee_range_t *range = &bounds->range;
  bool given;
  int err = read_bound(request, "gt", "gte", &bounds->lower, &range->has_lower, &range->lower_open);
  if (err < 0) return err;
  err = read_bound(request, "lt", "lte", &bounds->upper, &range->has_upper, &range->upper_open);
  if (err < 0) return err;
  range->lower = out_slice(&bounds->lower);
  range->upper = out_slice(&bounds->upper);
  if ((err = request_bool(request, "reverse", &range->reverse, &given)) < 0) return err;
  if ((err = request_uint(request, "limit", &range->limit, &given)) < 0) return err;
  return narrow_to_prefix(request, bounds);
}

/* Call `each`, if there is one, for what the range holds. */
static int
walk (
  request_t *request,
  const autobee_range_t *range,
  void (*each)(out_t *out, const autobee_entry_t *entry),
  uint64_t *count
) {
  autobee_view_t *view;
  autobee_cursor_t *cursor;
  autobee_entry_t entry;
  int err = open_view(request, &view);
  if (err < 0) return err;
  *count = 0;
  if ((err = autobee_cursor_open(view, range, &cursor)) == 0) {
    while ((err = autobee_cursor_next(cursor, &entry)) == 0) {
      (*count)++;
      if (each != NULL) each(&request->answer, &entry);
    }
    autobee_cursor_close(cursor);
  }
  autobee_view_close(view);
  return err == AB_EEND ? 0 : request_fail_read(request, err);
}

static void
put_entry (out_t *out, const autobee_entry_t *entry) {
  out_open(out, '[');
  out_hex(out, entry->key);
  out_hex(out, entry->value);
  out_close(out, ']');
}

/* Where the view stands, so that the next page can be read from the same one. */
static void
put_at (request_t *request) {
  autobee_info_t info;
  if (request_member(request, "at") == NULL && autobee_info(request->database->db, &info) == 0) {
    request_put_head(&request->answer, "at", &info.view);
  }
}

int
control_range (request_t *request) {
  bounds_t bounds = {0};
  uint64_t count;
  int err = read_bounds(request, &bounds);
  if (err == 0) {
    out_name(&request->answer, "entries");
    out_open(&request->answer, '[');
    err = walk(request, &bounds.range, put_entry, &count);
    out_close(&request->answer, ']');
    if (err == 0) put_at(request);
  }
  bounds_destroy(&bounds);
  return err;
}

int
control_count (request_t *request) {
  bounds_t bounds = {0};
  uint64_t count;
  int err = read_bounds(request, &bounds);
  if (err == 0) err = walk(request, &bounds.range, NULL, &count);
  if (err == 0) out_member_uint(&request->answer, "count", count);
  bounds_destroy(&bounds);
  return err;
}

int
control_dump (request_t *request) {
  autobee_range_t range = {0};
  autobee_view_t *view;
  uint8_t hash[32];
  bool has_limit;
  uint64_t count;
  int err = request_uint(request, "limit", &range.limit, &has_limit);
  if (err < 0 || (err = open_view(request, &view)) < 0) return err;
  err = autobee_view_hash(view, hash);
  autobee_view_close(view);
  if (err < 0) return request_fail_read(request, err);
  out_name(&request->answer, "entries");
  out_open(&request->answer, '[');
  if (!has_limit || range.limit > 0) err = walk(request, &range, put_entry, &count);
  out_close(&request->answer, ']');
  if (err < 0) return err;
  out_member_hex(&request->answer, "hash", ab_slice(hash, sizeof(hash)));
  return 0;
}

/* ---- query ---- */

int
control_query (request_t *request) {
  script_t *script = &request->database->script;
  const ab_json_t *args = ab_json_member(request->line, ab_text("args"));
  ab_slice_t name, result, args_text = {0};
  autobee_view_t *view;
  out_t copy = {0};
  int err = request_string(request, "name", &name, NULL);
  if (err < 0) return err;
  if (args != NULL && (err = ab_json_encode(&request->doc, args, AB_JSON_ECMASCRIPT, &args_text)) < 0) {
    return request_fail(request, err, "\"args\" cannot be written as JSON");
  }
  out_bytes(&copy, args_text);
  if (copy.failed) return AB_ENOMEM;
  if ((err = open_view(request, &view)) < 0) goto done;
  err = script_query(script, view, name, out_slice(&copy), &result);
  if (err == 0) {
    out_name(&request->answer, "result");
    out_json(&request->answer, result);
  } else if (err == AB_EREMOTE) {
    err = request_fail_read(request, err);
  } else if (err == AB_ENOTSUP) {
    request_fail(request, err, "the database's merge rule has no function query(name, args, view)");
  } else {
    request_fail(request, err, "%s", script_errmsg(script));
  }
  autobee_view_close(view);

done:
  out_destroy(&copy);
  return err;
}

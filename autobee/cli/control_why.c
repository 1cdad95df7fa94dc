/* control_why.c: why. */
#include "autobee/cli/request.h"

static const char *
name_of (autobee_reason_t reason) {
  switch (reason) {
  case AUTOBEE_WHY_SAME_BATCH:
    return "batch";
  case AUTOBEE_WHY_ON_TOP:
    return "top";
  case AUTOBEE_WHY_HEAVIER:
    return "weight";
  case AUTOBEE_WHY_OLDER:
    return "time";
  case AUTOBEE_WHY_LOWER_KEY:
    return "key";
  case AUTOBEE_WHY_OTHER:
    break;
  }
  return "other";
}

/* [key, length] */
static int
read_node (request_t *request, const char *name, ab_head_t *node) {
  const ab_json_t *member = request_member(request, name);
  int64_t length;
  if (member != NULL && member->type == AB_JSON_ARRAY && member->count == 2) {
    const ab_json_t *key = member + 1, *number = key + key->span;
    bool has_key = key->type == AB_JSON_STRING && ab_key_from_text(ab_json_text(key), &node->key) == 0;
    if (has_key && ab_json_integer(number, &length) && length >= 0) {
      node->length = (uint64_t) length;
      return 0;
    }
  }
  return request_fail(request, AB_EINVAL, "\"%s\" is a node: [key, length]", name);
}

static void
put_compared (out_t *out, const char *name, const autobee_compared_t *compared) {
  out_name(out, name);
  out_open(out, '{');
  out_member_hex(out, "writer", ab_key_slice(&compared->node.key));
  out_member_uint(out, "length", compared->node.length);
  out_member_uint(out, "weight", compared->weight);
  out_member_uint(out, "timestamp", compared->timestamp_ms);
  out_close(out, '}');
}

static void
put_why (out_t *out, const autobee_why_t *why) {
  request_put_head(out, "first", &why->first);
  request_put_head(out, "second", &why->second);
  out_member_text(out, "reason", name_of(why->reason));
  out_name(out, "path");
  out_open(out, '[');
  for (size_t i = 0; i < why->path_count; i++) request_put_head(out, NULL, &why->path[i]);
  out_close(out, ']');
  put_compared(out, "firstBy", &why->first_by);
  put_compared(out, "secondBy", &why->second_by);
}

int
control_why (request_t *request) {
  autobee_why_t why;
  ab_head_t a, b;
  int err = read_node(request, "a", &a);
  if (err == 0) err = read_node(request, "b", &b);
  if (err < 0) return err;
  err = autobee_why(request->database->db, &a, &b, &why);
  if (err == AB_ENOTFOUND)
    return request_fail(request, err, "one of the two is no node that is applied here");
  if (err < 0) return request_fail_read(request, err);
  put_why(&request->answer, &why);
  autobee_why_destroy(&why);
  return 0;
}

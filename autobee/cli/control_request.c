/* control_request.c: the members of a request. */
#include "autobee/cli/bytes.h"
#include "autobee/cli/request.h"

#include <stdio.h>

const ab_json_t *
request_member (const request_t *request, const char *name) {
  const ab_json_t *member = ab_json_member(request->line, ab_text(name));
  return member == NULL || member->type == AB_JSON_NULL ? NULL : member;
}

/* 1: it is there, 0: not given, or an error. */
static int
find (request_t *request, const char *name, bool *given, const ab_json_t **out) {
  *out = request_member(request, name);
  if (given != NULL) *given = *out != NULL;
  if (*out != NULL) return 1;
  return given != NULL ? 0 : request_fail(request, AB_EINVAL, "\"%s\" is missing", name);
}

int
request_uint (request_t *request, const char *name, uint64_t *out, bool *given) {
  const ab_json_t *member;
  int64_t number;
  int found = find(request, name, given, &member);
  if (found <= 0) return found;
  if (!ab_json_integer(member, &number) || number < 0 || (uint64_t) number > AB_MAX_SAFE) {
    return request_fail(request, AB_EINVAL, "\"%s\" has to be a whole number from 0 to 2^53 - 1", name);
  }
  *out = (uint64_t) number;
  return 0;
}

int
request_bool (request_t *request, const char *name, bool *out, bool *given) {
  const ab_json_t *member;
  int found = find(request, name, given, &member);
  if (found <= 0) return found;
  if (member->type != AB_JSON_BOOL)
    return request_fail(request, AB_EINVAL, "\"%s\" has to be true or false", name);
  *out = member->as.boolean;
  return 0;
}

int
request_string (request_t *request, const char *name, ab_slice_t *out, bool *given) {
  const ab_json_t *member;
  int found = find(request, name, given, &member);
  if (found <= 0) return found;
  if (member->type != AB_JSON_STRING)
    return request_fail(request, AB_EINVAL, "\"%s\" has to be a string", name);
  *out = ab_json_text(member);
  return 0;
}

int
request_view_head (request_t *request, const char *name, ab_head_t *out) {
  const ab_json_t *at = request_member(request, name);
  autobee_info_t info;
  int64_t length;
  int err = autobee_info(request->database->db, &info);
  if (err < 0) return request_fail_store(request, err);
  if (at->type == AB_JSON_ARRAY && at->count == 2) {
    const ab_json_t *key = at + 1, *number = key + key->span;
    bool is_key = key->type == AB_JSON_STRING && ab_key_from_text(ab_json_text(key), &out->key) == 0;
    if (is_key && ab_json_integer(number, &length) && length >= 0) {
      out->length = (uint64_t) length;
      return 0;
    }
  } else if (ab_json_integer(at, &length) && length >= 0) {
    *out = info.view;
    out->length = (uint64_t) length;
    if (out->length <= info.view.length) return 0;
    return request_fail(
      request,
      AB_EINVAL,
      "the view has %llu blocks, so it has no state at %lld",
      (unsigned long long) info.view.length,
      (long long) length
    );
  }
  return request_fail(request, AB_EINVAL, "\"%s\" is a length of the view, or [key, length]", name);
}

int
request_key (request_t *request, const char *name, ab_key_t *out) {
  ab_slice_t text = {0};
  int err = request_string(request, name, &text, NULL);
  if (err < 0) return err;
  if (ab_key_from_text(text, out) == 0) return 0;
  return request_fail(
    request, AB_EINVAL, "\"%s\" is not a key: it takes 64 digits of hex or 52 characters of z-base-32", name
  );
}

int
request_bytes (request_t *request, const char *name, out_t *out, bool *given) {
  char hex_name[32];
  ab_slice_t text = {0};
  bool has_text, has_hex;
  snprintf(hex_name, sizeof(hex_name), "%sHex", name);
  int err = request_string(request, name, &text, &has_text);
  if (err < 0) return err;
  if (given != NULL) *given = has_text;
  if (has_text) {
    out_bytes(out, text);
    return out->failed ? AB_ENOMEM : 0;
  }
  if ((err = request_string(request, hex_name, &text, &has_hex)) < 0) return err;
  if (given != NULL) *given = has_hex;
  if (!has_hex) {
    if (given != NULL) return 0;
    return request_fail(request, AB_EINVAL, "\"%s\" (text) or \"%s\" is missing", name, hex_name);
  }
  err = bytes_from_hex(text, out);
  if (err == AB_EINVAL) return request_fail(request, err, "\"%s\" is not hex", hex_name);
  return err;
}

void
request_put_head (out_t *out, const char *name, const ab_head_t *head) {
  if (name != NULL) out_name(out, name);
  out_open(out, '[');
  out_hex(out, ab_key_slice(&head->key));
  out_uint(out, head->length);
  out_close(out, ']');
}

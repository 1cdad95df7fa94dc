#include "rule.h"

#include <stdio.h>

#define ID_MAX 32
#define KEY_MAX 128

ab_slice_t
rule_text (const ab_json_t *object, const char *name) {
  const ab_json_t *value = ab_json_member(object, ab_text(name));
  return value != NULL && value->type == AB_JSON_STRING ? ab_json_text(value) : ab_slice(NULL, 0);
}

static ab_slice_t
field_key (char key[KEY_MAX], ab_slice_t id, const char *field) {
  size_t len = strlen("item/");
  memcpy(key, "item/", len);
  memcpy(key + len, id.data, id.len);
  len += id.len;
  return ab_slice(key, len + (size_t) snprintf(key + len, KEY_MAX - len, "/%s", field));
}

int
rule_set (autobee_apply_t *apply, ab_slice_t id, const char *field, ab_slice_t value) {
  char key[KEY_MAX];
  if (value.len == 0) return autobee_apply_del(apply, field_key(key, id, field));
  return autobee_apply_put(apply, field_key(key, id, field), value);
}

static bool
has (autobee_apply_t *apply, ab_slice_t id, const char *field) {
  char key[KEY_MAX];
  ab_slice_t value;
  return autobee_apply_get(apply, field_key(key, id, field), &value) == 0;
}

static bool
is (ab_slice_t text, const char *word) {
  return ab_slice_equal(text, ab_text(word));
}

static int
add_writer (autobee_apply_t *apply, const ab_json_t *edit) {
  ab_key_t writer;
  if (ab_key_from_text(rule_text(edit, "key"), &writer) < 0) return autobee_apply_reject(apply, "not a key");
  return autobee_apply_add_writer(apply, &writer, true, 2);
}

static int
add_note (autobee_apply_t *apply, ab_slice_t id, ab_slice_t text) {
  char field[32];
  snprintf(field, sizeof(field), "note/%08llu", (unsigned long long) autobee_apply_clock(apply));
  return rule_set(apply, id, field, text);
}

int
rule_merge (autobee_apply_t *apply, const ab_json_t *edit) {
  ab_slice_t type = rule_text(edit, "type"), id = rule_text(edit, "id");
  const ab_json_t *done = ab_json_member(edit, ab_text("done"));
  bool reopens = is(type, "done") && done != NULL && done->type == AB_JSON_BOOL && !done->as.boolean;

  if (is(type, "writer")) return add_writer(apply, edit);
  if (id.len == 0 || id.len > ID_MAX) return autobee_apply_reject(apply, "an edit names an item");
  if (is(type, "add")) {
    if (has(apply, id, "text")) return autobee_apply_reject(apply, "this item exists already");
    return rule_set(apply, id, "text", rule_text(edit, "text"));
  }
  if (!has(apply, id, "text")) return autobee_apply_reject(apply, "no such item");
  if (has(apply, id, "removed") && !reopens) return 0;
  if (reopens) rule_set(apply, id, "removed", ab_slice(NULL, 0));

  if (is(type, "edit")) return rule_set(apply, id, "text", rule_text(edit, "text"));
  if (is(type, "done")) return rule_set(apply, id, "done", ab_text(reopens ? "" : "yes"));
  if (is(type, "assign")) return rule_set(apply, id, "to", rule_text(edit, "to"));
  if (is(type, "move")) return rule_set(apply, id, "list", rule_text(edit, "list"));
  if (is(type, "due")) return rule_set(apply, id, "due", rule_text(edit, "date"));
  if (is(type, "remove")) return rule_set(apply, id, "removed", ab_text("yes"));
  if (is(type, "note")) return add_note(apply, id, rule_text(edit, "text"));
  return autobee_apply_reject(apply, "unknown kind of edit");
}

#include "lua/script.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/test.h"

static void
keep_log (void *data, sandbox_log_level_t level, const char *text) {
  script_t *script = data;
  char digit[2] = {(char) ('0' + (int) level), ' '};
  ab_buf_append(&script->log, ab_slice(digit, sizeof(digit)));
  ab_buf_append(&script->log, ab_text(text));
  ab_buf_append(&script->log, ab_text("\n"));
}

sandbox_options_t
script_options (script_t *script) {
  sandbox_options_t options = sandbox_options_default();
  options.log = keep_log;
  options.log_data = script;
  return options;
}

static void
open_text (script_t *script, const char *text, const sandbox_options_t *options) {
  sandbox_options_t defaults = script_options(script);
  char message[512];
  int err = sandbox_open(
    ab_text(text), options == NULL ? &defaults : options, &script->sandbox, message, sizeof(message)
  );
  if (err < 0) fail_msg("%s: %s", ab_err_name(err), message);
}

void
script_open (script_t *script, const char *text, const sandbox_options_t *options) {
  *script = (script_t){0};
  view_open(&script->view);
  open_text(script, text, options);
}

void
script_close (script_t *script) {
  sandbox_close(script->sandbox);
  view_close(&script->view);
  ab_buf_destroy(&script->log);
}

void
script_replace (script_t *script, const char *text) {
  sandbox_close(script->sandbox);
  open_text(script, text, NULL);
}

int
script_apply (script_t *script, const char *const *values, size_t count) {
  autobee_node_t *nodes = calloc(count + 1, sizeof(*nodes));
  assert_non_null(nodes);
  for (size_t i = 0; i < count; i++) nodes[i] = view_node(++script->length, values[i]);
  int verdict = view_run(&script->view, sandbox_apply, script->sandbox, nodes, count);
  free(nodes);
  return verdict;
}

int
script_apply_one (script_t *script, const char *value) {
  return script_apply(script, &value, 1);
}

const char *
script_run_with (const char *body, const sandbox_options_t *options) {
  static char result[65536];
  static const char before[] =
    "function apply(nodes, view, host) "
    "local function out(...) local t = table.pack(...) for i = 1, t.n do t[i] = tostring(t[i]) end "
    "view:put('out', table.concat(t, ' ', 1, t.n)) end ";
  size_t size = sizeof(before) + strlen(body) + 8;
  char *text = malloc(size);
  script_t script;
  bee_entry_t entry;

  assert_non_null(text);
  snprintf(text, size, "%s%s\nend", before, body);
  script_open(&script, text, options);
  int verdict = script_apply_one(&script, "value");
  if (verdict < 0) {
    const char *word = verdict == AB_EREJECTED ? "rejected"
                       : verdict == AB_EHALTED ? "halted"
                                               : ab_err_name(verdict);
    snprintf(result, sizeof(result), "%s: %s", word, view_message(&script.view));
  } else if (bee_get(script.view.bee, ab_text("out"), &entry) < 0) {
    snprintf(result, sizeof(result), "nothing");
  } else {
    assert_in_range(entry.value.len, 0, sizeof(result) - 1);
    if (entry.value.len > 0) memcpy(result, entry.value.data, entry.value.len);
    result[entry.value.len] = 0;
  }
  script_close(&script);
  free(text);
  return result;
}

const char *
script_run (const char *body) {
  return script_run_with(body, NULL);
}

const char *
script_refusal (const char *text, int err) {
  static char message[512];
  sandbox_t *sandbox;
  assert_int_equal(sandbox_open(ab_text(text), NULL, &sandbox, message, sizeof(message)), err);
  return message;
}

void
assert_contains (const char *text, const char *part) {
  if (strstr(text, part) == NULL) fail_msg("\"%s\" does not contain \"%s\"", text, part);
}

/* The to-do list's merge rule in Lua and in C, side by side. */
#include <stdio.h>
#include <stdlib.h>

#include "examples/todo/rule.c" /* the example is a program, so there is nothing to link */
#include "lua/script.h"
#include "support/rng.h"
#include "support/test.h"

#define EDIT_MAX 2048

typedef struct {
  script_t lua; /* and its view */
  view_t c;
  ab_json_doc_t json;
  size_t rejected;
} pair_t;

static char folder[512]; /* of the example */

static char *
read_file (const char *name) {
  char path[600];
  snprintf(path, sizeof(path), "%s/%s", folder, name);
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail_msg("cannot read %s", path);
  fseek(file, 0, SEEK_END);
  long size = ftell(file);
  rewind(file);
  char *text = malloc((size_t) size + 1);
  assert_non_null(text);
  assert_int_equal(fread(text, 1, (size_t) size, file), size);
  text[size] = 0;
  fclose(file);
  return text;
}

static int
open_pair (void **state) {
  pair_t *pair = calloc(1, sizeof(*pair));
  char *text = read_file("merge.lua");
  assert_non_null(pair);
  script_open(&pair->lua, text, NULL);
  view_open(&pair->c);
  free(text);
  *state = pair;
  return 0;
}

static int
close_pair (void **state) {
  pair_t *pair = *state;
  script_close(&pair->lua);
  view_close(&pair->c);
  ab_json_doc_destroy(&pair->json);
  free(pair);
  return 0;
}

static int
merge_in_c (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  pair_t *pair = data;
  int err = 0;
  for (size_t i = 0; i < count && err == 0; i++) {
    const ab_json_t *edit;
    if (ab_json_decode(&pair->json, nodes[i].value, 0, &edit) < 0)
      return autobee_apply_reject(apply, "%s", pair->json.message);
    err = rule_merge(apply, edit);
  }
  return err;
}

static void
assert_equal_views (pair_t *pair) {
  bee_cursor_t *lua, *c;
  bee_entry_t left, right;
  int err = 0;
  assert_int_equal(bee_cursor_open(pair->lua.view.bee, NULL, &lua), 0);
  assert_int_equal(bee_cursor_open(pair->c.bee, NULL, &c), 0);
  while (err == 0) {
    err = bee_cursor_next(lua, &left);
    assert_int_equal(bee_cursor_next(c, &right), err);
    if (err < 0) break;
    assert_true(ab_slice_equal(left.key, right.key));
    assert_true(ab_slice_equal(left.value, right.value));
  }
  assert_int_equal(err, AB_EEND);
  bee_cursor_close(lua);
  bee_cursor_close(c);
}

/* One batch on both sides: the verdicts and the host calls are the same. */
static void
apply_to_both (pair_t *pair, const char *const *edits, size_t count) {
  autobee_node_t nodes[8];
  assert_in_range(count, 0, 8);
  for (size_t i = 0; i < count; i++) nodes[i] = view_node(++pair->lua.length, edits[i]);
  int of_lua = view_run(&pair->lua.view, sandbox_apply, pair->lua.sandbox, nodes, count);
  int of_c = view_run(&pair->c, merge_in_c, pair, nodes, count);
  if (of_lua != of_c)
    fail_msg("%s: Lua %d (%s), C %d", edits[0], of_lua, view_message(&pair->lua.view), of_c);
  if (of_lua < 0) pair->rejected++;
  if (of_lua == 0) assert_string_equal(view_calls(&pair->lua.view), view_calls(&pair->c));
}

static void
recorded_edits_give_equal_views (void **state) {
  pair_t *pair = *state;
  char *text = read_file("edits.ndjson");
  size_t count = 0;
  for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    ab_json_doc_t json = {0};
    const ab_json_t *record;
    ab_slice_t edit;
    char copy[EDIT_MAX];
    const char *one = copy;
    assert_int_equal(ab_json_decode(&json, ab_text(line), 0, &record), 0);
    const ab_json_t *op = ab_json_member(record, ab_text("op"));
    if (op != NULL) {
      assert_int_equal(ab_json_encode(&json, op, AB_JSON_ECMASCRIPT, &edit), 0);
      snprintf(copy, sizeof(copy), "%.*s", (int) edit.len, (const char *) edit.data);
      apply_to_both(pair, &one, 1);
      count++;
    }
    ab_json_doc_destroy(&json);
  }
  free(text);
  assert_in_range(count, 200, 10000);
  assert_equal_views(pair);
  print_message("%zu edits, %zu rejected\n", count, pair->rejected);
}

/* ---- random edits ---- */

static const char *
pick (rng_t *random, const char *const *words, size_t count) {
  return words[rng_below(random, (uint32_t) count)];
}

#define PICK(random, words) pick(random, words, sizeof(words) / sizeof((words)[0]))

static void
AB_PRINTF (3, 4) add(char out[EDIT_MAX], size_t *len, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  *len += (size_t) vsnprintf(out + *len, EDIT_MAX - *len, format, arguments);
  va_end(arguments);
}

static void
random_edit (rng_t *random, char out[EDIT_MAX]) {
  static const char *const types[] = {
    "add",
    "add",
    "edit",
    "done",
    "done",
    "assign",
    "move",
    "due",
    "remove",
    "note",
    "note",
    "edit",
    "rename",
    "writer",
    ""};
  static const char *const ids[] = {
    "a1",
    "a2",
    "a3",
    "b1",
    "b2",
    "",
    "a name of more than thirty-two bytes",
    "caf\u00e9",
    "a/b",
    "x\\u0000y"};
  static const char *const dones[] = {"true", "false", "false", "null", "1", "\"no\""};
  static const char *const texts[] = {
    "\"bread\"", "\"milk \\\"2 l\\\"\"", "\"\"", "null", "7", "[\"a\"]", "\"\u20ac 5\""};
  static const char *const broken[] = {
    "", "{", "[]", "\"add\"", "null", "12", "{\"id\":1,\"type\":2}", "{\"a\":1,\"a\":2}"};

  if (rng_below(random, 25) == 0) {
    snprintf(out, EDIT_MAX, "%s", PICK(random, broken));
    return;
  }
  const char *type = PICK(random, types), *text = PICK(random, texts);
  if (strcmp(type, "writer") == 0) {
    bool is_key = rng_below(random, 2) == 0;
    snprintf(
      out,
      EDIT_MAX,
      "{\"type\":\"writer\",\"key\":\"%s\"}",
      is_key ? "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy" : "ana"
    );
    return;
  }
  size_t len = (size_t) snprintf(out, EDIT_MAX, "{\"type\":\"%s\"", type);
  if (rng_below(random, 12) != 0) add(out, &len, ",\"id\":\"%s\"", PICK(random, ids));
  if (rng_below(random, 12) != 0) add(out, &len, ",\"done\":%s", PICK(random, dones));
  if (rng_below(random, 12) != 0)
    add(out, &len, ",\"text\":%s,\"to\":%s,\"list\":%s,\"date\":%s", text, text, text, text);
  add(out, &len, "}");
}

static void
random_edits_give_equal_views (void **state) {
  pair_t *pair = *state;
  rng_t random = rng(20260302);
  for (size_t left = 1000, count; left > 0; left -= count) {
    static char texts[3][EDIT_MAX];
    const char *const edits[] = {texts[0], texts[1], texts[2]};
    count = rng_below(&random, 8) == 0 ? 1 + rng_below(&random, 3) : 1;
    if (count > left) count = left;
    for (size_t i = 0; i < count; i++) random_edit(&random, texts[i]);
    apply_to_both(pair, edits, count);
    assert_equal_views(pair);
  }
  assert_in_range(pair->rejected, 100, 700);
  print_message("1000 random edits, %zu batches rejected\n", pair->rejected);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(recorded_edits_give_equal_views, open_pair, close_pair),
    cmocka_unit_test_setup_teardown(random_edits_give_equal_views, open_pair, close_pair),
  };
  snprintf(folder, sizeof(folder), "%s", __FILE__); /* …/tests/src/lua/test_todo.c */
  for (int i = 0; i < 4; i++) *strrchr(folder, '/') = 0;
  strcat(folder, "/examples/todo");
  return cmocka_run_group_tests(tests, NULL, NULL);
}

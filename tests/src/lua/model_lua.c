/* Random scripts, each run by many sandboxes at once, whose hash seeds and addresses differ: all make the
 * same view, the same host calls and the same verdicts, with the same words.
 *
 * 1,000 scripts in 32 sandboxes with AUTOBEE_FULL=1, else a tenth in 8. The seed is printed; AUTOBEE_SEED
 * sets it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lua/script.h"
#include "support/rng.h"
#include "support/runs.h"
#include "support/test.h"

#define TEXT_MAX 16384
#define PEERS_MAX 32
#define BATCHES 3

typedef struct {
  rng_t random;
  char text[TEXT_MAX];
  size_t len;
  int depth; /* of statements */
  int loops; /* around here */
} writer_t;

static void
AB_PRINTF (2, 3) add(writer_t *out, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int len = vsnprintf(out->text + out->len, sizeof(out->text) - out->len, format, arguments);
  va_end(arguments);
  out->len += (size_t) len;
  assert_in_range(out->len, 0, sizeof(out->text) - 1);
}

static uint32_t
below (writer_t *out, uint32_t n) {
  return rng_below(&out->random, n);
}

static void
write_string (writer_t *out, int depth);
static void
write_table (writer_t *out);

static void
write_number (writer_t *out, int depth) {
  static const char *const operators[] = {"+", "-", "*", "//", "%", "/", "&", "|", "~", "<<"};
  switch (depth <= 0 ? below(out, 3) : below(out, 11)) {
  case 0:
    add(out, "%d", (int) below(out, 40) - 8);
    return;
  case 1:
    add(out, "n%u", (unsigned) below(out, 3));
    return;
  case 2:
    add(out, below(out, 2) == 0 ? "0.5" : "#nodes");
    return;
  case 3:
    add(out, "#");
    write_table(out);
    return;
  case 4:
    add(out, "(tonumber(");
    write_string(out, depth - 1);
    add(out, ") or 7)");
    return;
  case 5:
    add(out, "math.floor(");
    write_number(out, depth - 1);
    add(out, ")");
    return;
  case 6:
    add(out, "#(");
    write_string(out, depth - 1);
    add(out, ")");
    return;
  case 7:
    add(out, "r(9)");
    return;
  default:
    add(out, "(");
    write_number(out, depth - 1);
    add(out, " %s ", operators[below(out, 10)]);
    write_number(out, depth - 1);
    add(out, ")");
  }
}

static void
write_string (writer_t *out, int depth) {
  static const char *const words[] = {
    "'a'", "'b'", "'key'", "''", "'10'", "'1.5'", "'\\xe4'", "'x y'", "'{\"a\":[1,2]}'", "nodes[1].value"};
  static const char *const patterns[] = {"'%w'", "'.'", "'a*'", "'[^a]'", "'(.)(.?)'", "'%d+'", "'%s'"};
  switch (depth <= 0 ? below(out, 2) : below(out, 11)) {
  case 0:
    add(out, "%s", words[below(out, 10)]);
    return;
  case 1:
    add(out, "s%u", (unsigned) below(out, 3));
    return;
  case 2:
    add(out, "tostring(");
    write_number(out, depth - 1);
    add(out, ")");
    return;
  case 3:
    add(out, "(");
    write_string(out, depth - 1);
    add(out, " .. ");
    write_string(out, depth - 1);
    add(out, "):sub(1, 60)");
    return;
  case 4:
    add(out, "(");
    write_string(out, depth - 1);
    add(out, "):sub(%d, %d)", (int) below(out, 6) - 2, (int) below(out, 9) - 3);
    return;
  case 5:
    add(out, "(");
    write_string(out, depth - 1);
    add(out, "):upper()");
    return;
  case 6:
    add(out, "((");
    write_string(out, depth - 1);
    add(out, "):gsub(%s, ", patterns[below(out, 7)]);
    if (below(out, 2) == 0) write_table(out);
    else add(out, "'<%%0>'");
    add(out, "))");
    return;
  case 7:
    add(out, "hex(blake2b(");
    write_string(out, depth - 1);
    add(out, ")):sub(1, 6)");
    return;
  case 8:
    add(out, "json.encode(");
    write_table(out);
    add(out, "):sub(1, 60)");
    return;
  case 9:
    add(out, "table.concat(");
    write_table(out);
    add(out, ", ','):sub(1, 60)");
    return;
  default:
    add(out, "(view:get(");
    write_string(out, depth - 1);
    add(out, ") or 'none')");
  }
}

static void
write_table (writer_t *out) {
  add(out, "t%u", (unsigned) below(out, 4));
}

static void
write_key (writer_t *out) {
  switch (below(out, 8)) {
  case 0:
    write_number(out, 1);
    return;
  case 1:
    add(out, "%s", below(out, 2) == 0 ? "true" : "false");
    return;
  case 2:
    add(out, "1.5");
    return;
  case 3:
    if (below(out, 20) == 0) write_table(out); /* has no order */
    else add(out, "'z'");
    return;
  case 4:
  case 5:
    add(out, "%u", 1 + (unsigned) below(out, 9));
    return;
  default:
    write_string(out, 1);
  }
}

static void
write_value (writer_t *out) {
  if (below(out, 2) == 0) write_number(out, 2);
  else write_string(out, 2);
}

static void
write_block (writer_t *out);

static void
write_loop (writer_t *out) {
  out->loops++;
  switch (below(out, 4)) {
  case 0:
    add(out, "for i = 1, %u do n0 = i ", 1 + (unsigned) below(out, 12));
    break;
  case 1:
    add(out, "for k, v in pairs(");
    write_table(out);
    add(out, ") do s0, n1 = tostring(k):sub(1, 9), tonumber(v) or n1 ");
    break;
  case 2:
    add(out, "for i, v in ipairs(");
    write_table(out);
    add(out, ") do s1 = tostring(v):sub(1, 9) ");
    break;
  default:
    add(
      out,
      "for k, v in view:range{%s, limit = 9} do s2 = k:sub(1, 9) ",
      below(out, 2) == 0 ? "prefix = 'k'" : "reverse = true"
    );
  }
  write_block(out);
  add(out, "end ");
  out->loops--;
}

static void
write_assignment (writer_t *out) {
  switch (below(out, 6)) {
  case 0:
    add(out, "n%u = ", (unsigned) below(out, 3));
    write_number(out, 3);
    break;
  case 1:
    add(out, "s%u = ", (unsigned) below(out, 3));
    write_string(out, 3);
    break;
  case 2:
    write_table(out);
    add(out, "[");
    write_key(out);
    add(out, "] = nil");
    break;
  case 3:
    add(out, "t%u = json.decode(json.encode(", (unsigned) below(out, 4));
    write_table(out);
    add(out, "))");
    break;
  default:
    write_table(out);
    add(out, "[");
    write_key(out);
    add(out, "] = ");
    write_value(out);
  }
  add(out, "; ");
}

static void
write_call (writer_t *out) {
  static const char *const comparisons[] = {
    "",
    ", function(a, b) return tostring(a) < tostring(b) end",
    ", function(a, b) return #tostring(a) < #tostring(b) end",
    ", function(a, b) return r(2) == 1 end"};
  switch (below(out, 7)) {
  case 0:
    add(out, "table.insert(");
    write_table(out);
    add(out, ", ");
    write_value(out);
    add(out, "); ");
    return;
  case 1:
    add(out, "table.remove(");
    write_table(out);
    add(out, "); ");
    return;
  case 2:
    add(out, "table.sort(");
    write_table(out);
    add(out, "%s); ", comparisons[below(out, 4)]);
    return;
  case 3:
    add(out, "view:del('k' .. ");
    write_value(out);
    add(out, "); ");
    return;
  case 4:
    add(out, "host:add_writer(blake2b(");
    write_string(out, 1);
    add(out, "), {weight = %u}); ", (unsigned) below(out, 4));
    return;
  default:
    add(out, "view:put('k' .. ");
    write_value(out);
    add(out, ", tostring(");
    write_value(out);
    add(out, ")); ");
  }
}

static void
write_statement (writer_t *out) {
  switch (below(out, 10)) {
  case 0:
    if (out->loops < 2) {
      write_loop(out);
      return;
    }
    break;
  case 1:
    add(out, "if ");
    write_number(out, 2);
    add(out, " > ");
    write_number(out, 1);
    add(out, " then ");
    write_block(out);
    add(out, "else ");
    write_block(out);
    add(out, "end ");
    return;
  case 2:
    add(out, "if not pcall(function() ");
    write_block(out);
    add(out, "end) then n2 = n2 + 1 end ");
    return;
  case 3:
  case 4:
  case 5:
    write_call(out);
    return;
  default:
    break;
  }
  write_assignment(out);
}

static void
write_block (writer_t *out) {
  out->depth++;
  uint32_t count = out->depth > 3 ? 1 : 1 + below(out, 4);
  for (uint32_t i = 0; i < count && out->len < TEXT_MAX / 2; i++) {
    if (out->depth > 4) write_assignment(out);
    else write_statement(out);
  }
  out->depth--;
}

static void
write_script (writer_t *out) {
  add(
    out,
    "function apply(nodes, view, host)\n"
    "local n0, n1, n2, s0, s1, s2 = 1, 2.5, 0, 'a', '', nodes[1].value\n"
    "local t0, t1, t2, t3, r = {}, {1, 2, 3}, {x = 1, y = 2}, {'b', 'a', x = 3}, ab.random(nodes[1].value)\n"
  );
  for (int i = 0; i < 8; i++) {
    bool is_caught = below(out, 40) != 0;
    if (is_caught) add(out, "local ok, message = pcall(function() ");
    write_block(out);
    if (is_caught) add(out, "end) view:put('e%d', tostring(message))", i);
    add(out, "\n");
  }
  add(
    out,
    "for i, t in ipairs{t0, t1, t2, t3} do for k, v in pairs(t) do view:put('t' .. i .. tostring(k), "
    "tostring(v)) end end\n"
    "view:put('rest', table.concat({n0, n1, n2, s0, s1, s2}, ' '))\n"
    "end\n"
  );
}

typedef struct {
  int verdict;
  char *entries, *calls, *message;
} outcome_t;

static outcome_t
outcome_of (script_t *script, const char *value) {
  outcome_t outcome;
  outcome.verdict = script_apply_one(script, value);
  outcome.entries = strdup(view_entries(&script->view));
  outcome.calls = strdup(view_calls(&script->view));
  outcome.message = strdup(view_message(&script->view));
  return outcome;
}

static void
outcome_destroy (outcome_t *outcome) {
  free(outcome->entries);
  free(outcome->calls);
  free(outcome->message);
}

/* Returns how many batches were rejected. */
static size_t
run_everywhere (const char *text, int peers) {
  static script_t scripts[PEERS_MAX];
  static const char *const values[BATCHES] = {"{\"put\":{\"b\":1,\"a\":[2,3]}}", "x", "17"};
  size_t rejected = 0;
  for (int i = 0; i < peers; i++) script_open(&scripts[i], text, NULL);
  for (int batch = 0; batch < BATCHES; batch++) {
    outcome_t first = outcome_of(&scripts[0], values[batch]);
    if (first.verdict != 0 && first.verdict != AB_EREJECTED) fail_msg("%s\n%s", first.message, text);
    if (first.verdict < 0) rejected++;
    for (int i = 1; i < peers; i++) {
      outcome_t outcome = outcome_of(&scripts[i], values[batch]);
      bool is_same = outcome.verdict == first.verdict && strcmp(outcome.entries, first.entries) == 0 &&
                     strcmp(outcome.calls, first.calls) == 0 && strcmp(outcome.message, first.message) == 0;
      if (!is_same) {
        fail_msg(
          "%s\n%d %s\n%s\n%d %s\n%s",
          text,
          first.verdict,
          first.message,
          first.entries,
          outcome.verdict,
          outcome.message,
          outcome.entries
        );
      }
      outcome_destroy(&outcome);
    }
    outcome_destroy(&first);
  }
  for (int i = 0; i < peers; i++) script_close(&scripts[i]);
  return rejected;
}

static void
random_scripts_do_the_same_everywhere (void **state) {
  uint32_t seed = runs_seed(5);
  const int count = runs_full() ? 1000 : 100, peers = runs_full() ? 32 : 8;
  size_t rejected = 0;
  (void) state;
  print_message("seed %u\n", seed);
  for (int i = 0; i < count; i++) {
    static writer_t out;
    out = (writer_t){.random = rng(seed + (uint32_t) i)};
    write_script(&out);
    rejected += run_everywhere(out.text, peers);
  }
  print_message(
    "%d scripts in %d sandboxes; of %d batches %zu were rejected\n", count, peers, count * BATCHES, rejected
  );
  assert_in_range(rejected, 0, (size_t) count * BATCHES * 9 / 10);
}

int
main (void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(random_scripts_do_the_same_everywhere)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

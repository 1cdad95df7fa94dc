#define _GNU_SOURCE
#include "support/account.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/vectors.h"

#define MESSAGES_MAX 4 /* shown per case */
#define TAGS_MAX 4
#define SHOWN_BYTES 32

typedef struct {
  const char *mode;
  const char *files;
  char *file;
  char *kind;
  char *name;
  const char *tags[TAGS_MAX];
  char *messages[MESSAGES_MAX];
  size_t failures;
  bool pending;
} case_t;

static case_t *cases;
static size_t case_count;
static size_t case_capacity;
static case_t *current;
static size_t other_failures; /* not of a case */

static const char *own_folder = VECTORS_FOLDER;
static const char *current_layer = "";
static char current_file[256];
static const char *current_files = "";

/* Text that must not be NULL. */
static char *
need (char *text) {
  if (text != NULL) return text;
  fprintf(stderr, "vectors: out of memory\n");
  exit(1);
}

static char *
format_text (const char *format, va_list args) {
  char *text = NULL;
  if (vasprintf(&text, format, args) < 0) text = NULL;
  return need(text);
}

static void
report (const char *format, ...) AB_PRINTF(1, 2);

/* A failure that belongs to no case. */
static void
report (const char *format, ...) {
  va_list args;
  va_start(args, format);
  printf("FAILED ");
  vprintf(format, args);
  printf("\n");
  va_end(args);
  other_failures++;
}

/* ---- recording ---- */

void
account_own_folder (const char *folder) {
  own_folder = folder;
}

void
account_file (const char *layer, const char *file, const char *files) {
  current_layer = layer;
  current_files = files;
  snprintf(current_file, sizeof(current_file), "%s", file);
  current = NULL;
}

void
vectors_begin (const char *mode, const char *kind, const char *name, ...) {
  if (case_count == case_capacity) {
    case_capacity = case_capacity == 0 ? 256 : 2 * case_capacity;
    cases = realloc(cases, case_capacity * sizeof(*cases));
    if (cases == NULL) need(NULL);
  }
  va_list args;
  va_start(args, name);
  current = &cases[case_count++];
  *current = (case_t){
    .mode = mode == NULL ? "-" : mode,
    .files = current_files,
    .file = need(strdup(current_file)),
    .kind = need(strdup(kind)),
    .name = format_text(name, args),
  };
  va_end(args);
  if (getenv("AUTOBEE_VECTORS_TRACE") != NULL) {
    printf("%s\n", account_where());
    fflush(stdout);
  }
}

void
vectors_tag (const char *word) {
  for (size_t i = 0; i < TAGS_MAX; i++) {
    if (current->tags[i] != NULL) continue;
    current->tags[i] = word;
    return;
  }
  vectors_fail("too many tags");
}

const char *
account_where (void) {
  static char where[1024];
  int len = snprintf(where, sizeof(where), "%s/%s", current_layer, current_file);
  if (current != NULL && len > 0 && (size_t) len < sizeof(where)) {
    snprintf(
      where + len, sizeof(where) - (size_t) len, " %s %s (%s)", current->kind, current->name, current->mode
    );
  }
  return where;
}

void
vectors_fail (const char *format, ...) {
  va_list args;
  va_start(args, format);
  char *text = format_text(format, args);
  va_end(args);
  if (current == NULL) {
    report("%s: %s", account_where(), text);
    free(text);
    return;
  }
  if (current->failures < MESSAGES_MAX) current->messages[current->failures] = text;
  else free(text);
  current->failures++;
}

size_t
vectors_failed (void) {
  return current == NULL ? 0 : current->failures;
}

/* ---- checks ---- */

static void
hex_from (char out[2 * SHOWN_BYTES + 4], ab_slice_t bytes, size_t at) {
  size_t i;
  if (bytes.data == NULL) {
    strcpy(out, "nothing");
    return;
  }
  *out = 0;
  for (i = at; i < bytes.len && i < at + SHOWN_BYTES; i++) {
    snprintf(out + 2 * (i - at), 3, "%02x", (unsigned) bytes.data[i]);
  }
  if (i < bytes.len) strcat(out, "...");
}

bool
check_bytes (const char *what, ab_slice_t expected, ab_slice_t found) {
  char expected_hex[2 * SHOWN_BYTES + 4];
  char found_hex[2 * SHOWN_BYTES + 4];
  size_t at = 0;
  if (ab_slice_equal(expected, found) && (expected.data == NULL) == (found.data == NULL)) return true;
  while (at < expected.len && at < found.len && expected.data[at] == found.data[at]) at++;
  at = at < 4 ? 0 : at - 4;
  hex_from(expected_hex, expected, at);
  hex_from(found_hex, found, at);
  vectors_fail(
    "%s: from byte %zu expected %s (%zu bytes in all), found %s (%zu)",
    what,
    at,
    expected_hex,
    expected.len,
    found_hex,
    found.len
  );
  return false;
}

bool
check_text (const char *what, const char *expected, const char *found) {
  if (expected != NULL && found != NULL && strcmp(expected, found) == 0) return true;
  if (expected == NULL && found == NULL) return true;
  vectors_fail(
    "%s: expected %s, found %s",
    what,
    expected == NULL ? "nothing" : expected,
    found == NULL ? "nothing" : found
  );
  return false;
}

bool
check_uint (const char *what, uint64_t expected, uint64_t found) {
  if (expected == found) return true;
  vectors_fail(
    "%s: expected %llu, found %llu", what, (unsigned long long) expected, (unsigned long long) found
  );
  return false;
}

bool
check_int (const char *what, int64_t expected, int64_t found) {
  if (expected == found) return true;
  vectors_fail("%s: expected %lld, found %lld", what, (long long) expected, (long long) found);
  return false;
}

static const char *
err_name (int err) {
  switch (err) {
  case 0:
    return "success";
#define X(name, code, text) \
  case code: \
    return "AB_E" #name;
    AB_ERROR_MAP(X)
#undef X
  default:
    return "an unknown error";
  }
}

bool
check_err (const char *what, int expected, int found) {
  if (expected == found) return true;
  vectors_fail("%s: expected %s, found %s (%d)", what, err_name(expected), err_name(found), found);
  return false;
}

bool
vectors_check (bool holds, const char *condition, int line) {
  if (!holds) vectors_fail("line %d: not so: %s", line, condition);
  return holds;
}

/* ---- the account ---- */

static bool
own_copy (void) {
  char *own = realpath(own_folder, NULL);
  char *used = realpath(vectors_folder(), NULL);
  bool same = own != NULL && used != NULL && strcmp(own, used) == 0;
  free(own);
  free(used);
  return same;
}

void
account_no_file (const char *files) {
  if (own_copy()) report("no file matches %s", files);
  else printf("no file matches %s\n", files);
}

static bool
row_matches (const pending_row_t *row, const case_t *item) {
  if (!pending_matches(row->files, item->file)) return false;
  if (strcmp(row->kind, "*") == 0 || strcmp(row->kind, item->kind) == 0) return true;
  for (size_t i = 0; i < TAGS_MAX && item->tags[i] != NULL; i++) {
    if (strcmp(row->kind, item->tags[i]) == 0) return true;
  }
  return false;
}

/* The rules for a row whose files this runner has run. */
static void
check_row (const pending_t *pending, const pending_row_t *row) {
  size_t matched = 0;
  size_t failed = 0;
  bool by_word = false;
  bool ran = false;
  if (pending_is_layer(row)) {
    report("PENDING:%d: the layer has a runner", row->line);
    return;
  }
  for (size_t i = 0; i < case_count; i++) {
    ran = ran || pending_matches(row->files, cases[i].file);
    if (!row_matches(row, &cases[i])) continue;
    matched++;
    by_word = by_word || (strcmp(row->kind, "*") != 0 && strcmp(row->kind, cases[i].kind) != 0);
    if (cases[i].failures == 0) continue;
    failed++;
    cases[i].pending = true;
  }
  if (matched > 0 && failed == 0) {
    report("PENDING:%d: all %zu cases pass", row->line, matched);
  } else if (matched == 0 && ran && own_copy()) {
    report("PENDING:%d: matches no case", row->line);
  } else if (by_word && !pending_known_word(row->kind) && strstr(pending->comments, row->kind) == NULL) {
    report("PENDING:%d: no comment explains the word %s", row->line, row->kind);
  }
}

static bool
same_group (const case_t *a, const case_t *b) {
  return strcmp(a->mode, b->mode) == 0 && strcmp(a->files, b->files) == 0 && strcmp(a->kind, b->kind) == 0;
}

/* One line for all cases of the same mode, files and kind as case `first`. */
static void
print_group (size_t first) {
  const case_t *group = &cases[first];
  size_t count = 0;
  size_t pending = 0;
  size_t failed = 0;
  for (size_t i = 0; i < first; i++) {
    if (same_group(&cases[i], group)) return;
  }
  for (size_t i = first; i < case_count; i++) {
    if (!same_group(&cases[i], group)) continue;
    count++;
    if (cases[i].failures == 0) continue;
    if (cases[i].pending) pending++;
    else failed++;
  }
  printf("%6zu cases  %-11s  %-24s  %s", count, group->mode, group->files, group->kind);
  if (pending > 0) printf("  (%zu pending)", pending);
  if (failed > 0) printf("  (%zu FAILED)", failed);
  printf("\n");
}

static void
print_failed (const case_t *item) {
  printf("FAILED %s/%s %s %s (%s)\n", current_layer, item->file, item->kind, item->name, item->mode);
  for (size_t i = 0; i < item->failures && i < MESSAGES_MAX; i++) printf("    %s\n", item->messages[i]);
  if (item->failures > MESSAGES_MAX) printf("    and %zu more\n", item->failures - MESSAGES_MAX);
}

static void
forget (void) {
  for (size_t i = 0; i < case_count; i++) {
    free(cases[i].file);
    free(cases[i].kind);
    free(cases[i].name);
    for (size_t m = 0; m < MESSAGES_MAX; m++) free(cases[i].messages[m]);
  }
  free(cases);
  cases = NULL;
  current = NULL;
  case_count = case_capacity = 0;
  other_failures = 0;
}

int
account_finish (const char *layer, bool complete) {
  pending_t pending;
  size_t counts[3] = {0}; /* passed, pending, failed */
  current_layer = layer;
  pending_load(&pending, own_folder);
  for (size_t i = 0; i < pending.count; i++) {
    if (strcmp(pending.rows[i].layer, layer) != 0) continue;
    size_t before = other_failures;
    check_row(&pending, &pending.rows[i]);
    if (!complete) other_failures = before;
  }
  for (size_t i = 0; i < case_count; i++) {
    counts[cases[i].failures == 0 ? 0 : cases[i].pending ? 1 : 2]++;
    if (cases[i].failures > 0 && !cases[i].pending) print_failed(&cases[i]);
  }
  for (size_t i = 0; i < case_count; i++) print_group(i);
  printf(
    "%s: %zu cases: %zu passed, %zu pending, %zu failed\n", layer, case_count, counts[0], counts[1], counts[2]
  );
  if (case_count == 0) report("no case ran");
  int status = counts[2] == 0 && other_failures == 0 ? 0 : 1;
  pending_destroy(&pending);
  forget();
  return status;
}

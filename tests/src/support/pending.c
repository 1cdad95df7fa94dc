#include "support/pending.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
die (int line, const char *what) {
  fprintf(stderr, "PENDING:%d: %s\n", line, what);
  exit(1);
}

static void
add_row (pending_t *pending, const char *text, int line) {
  pending_row_t row = {.line = line};
  int reason = 0;
  sscanf(text, "%31[^/ \t]/%127[^ \t] %63[^ \t\n] %n", row.layer, row.files, row.kind, &reason);
  if (reason == 0 || text[reason] == 0) die(line, "a row is: LAYER/FILE-PATTERN  KIND-or-*  reason");
  pending->rows = realloc(pending->rows, (pending->count + 1) * sizeof(row));
  if (pending->rows == NULL) die(line, "out of memory");
  pending->rows[pending->count++] = row;
}

static void
add_comment (pending_t *pending, const char *text) {
  size_t len = strlen(pending->comments);
  pending->comments = realloc(pending->comments, len + strlen(text) + 1);
  if (pending->comments == NULL) die(0, "out of memory");
  strcpy(pending->comments + len, text);
}

void
pending_load (pending_t *pending, const char *folder) {
  char text[1024];
  int line = 0;
  snprintf(text, sizeof(text), "%s/PENDING", folder);
  FILE *file = fopen(text, "r");
  if (file == NULL) die(0, "cannot be read");
  *pending = (pending_t){.comments = calloc(1, 1)};
  if (pending->comments == NULL) die(0, "out of memory");
  while (fgets(text, sizeof(text), file) != NULL) {
    line++;
    if (strchr(text, '\n') == NULL) die(line, "too long, or without an end");
    if (text[0] == '#') {
      add_comment(pending, text);
    } else if (text[strspn(text, " \t\n")] != 0) {
      add_row(pending, text, line);
    }
  }
  fclose(file);
}

void
pending_destroy (pending_t *pending) {
  free(pending->rows);
  free(pending->comments);
  *pending = (pending_t){0};
}

bool
pending_matches (const char *pattern, const char *file) {
  return fnmatch(pattern, file, 0) == 0;
}

bool
pending_known_word (const char *word) {
  static const char *const words[] = {"version-0", "compat", "prologue", "scheme-2"};
  for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
    if (strcmp(words[i], word) == 0) return true;
  }
  return false;
}

bool
pending_is_layer (const pending_row_t *row) {
  return strcmp(row->files, "*") == 0 && strcmp(row->kind, "*") == 0;
}

/* vectors_pending.c: does somebody run every recorded file, and is every row of PENDING somebody's?
 *
 * Arguments: the programs that run vectors; each prints what it covers when called with --covers. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/pending.h"
#include "support/vectors.h"

#define COVERS_MAX 256

typedef struct {
  char layer[32];
  char files[128];
} cover_t;

static cover_t covers[COVERS_MAX];
static size_t cover_count;
static size_t failures;

static void
ask_runner (const char *program) {
  char command[4096];
  char line[256];
  snprintf(command, sizeof(command), "'%s' --covers", program);
  FILE *answer = popen(command, "r");
  size_t before = cover_count;
  while (answer != NULL && fgets(line, sizeof(line), answer) != NULL && cover_count < COVERS_MAX) {
    cover_t *cover = &covers[cover_count];
    if (sscanf(line, "%31[^/]/%127s", cover->layer, cover->files) == 2) cover_count++;
  }
  if (answer != NULL && pclose(answer) == 0 && cover_count > before && cover_count < COVERS_MAX) return;
  printf("%s: does not say what it covers\n", program);
  failures++;
}

static bool
has_runner (const char *layer) {
  for (size_t i = 0; i < cover_count; i++) {
    if (strcmp(covers[i].layer, layer) == 0) return true;
  }
  return false;
}

static bool
is_covered (const char *layer, const char *file) {
  for (size_t i = 0; i < cover_count; i++) {
    if (strcmp(covers[i].layer, layer) == 0 && pending_matches(covers[i].files, file)) return true;
  }
  return false;
}

/* Whether `pattern` names a file of the layer that a runner covers. */
static bool
names_covered_file (const char *layer, const char *pattern, const glob_t *files) {
  for (size_t i = 0; i < files->gl_pathc; i++) {
    const char *path = files->gl_pathv[i] + strlen(vectors_folder()) + 1;
    size_t len = strlen(layer);
    if (strncmp(path, layer, len) != 0 || path[len] != '/') continue;
    const char *file = path + len + 1;
    if (pending_matches(pattern, file) && is_covered(layer, file)) return true;
  }
  return false;
}

static void
check_row (const pending_row_t *row, const glob_t *files) {
  if (pending_is_layer(row)) {
    if (!has_runner(row->layer)) return;
    printf("PENDING:%d: the layer has a runner\n", row->line);
  } else {
    if (names_covered_file(row->layer, row->files, files)) return;
    printf("PENDING:%d: no runner covers %s/%s\n", row->line, row->layer, row->files);
  }
  failures++;
}

/* A file must be run, or its layer be pending as a whole. */
static void
check_file (const char *path, const pending_t *pending) {
  char layer[32];
  char file[128];
  if (sscanf(path, "%31[^/]/%127s", layer, file) != 2 || is_covered(layer, file)) return;
  for (size_t i = 0; i < pending->count; i++) {
    if (strcmp(pending->rows[i].layer, layer) == 0 && pending_is_layer(&pending->rows[i])) return;
  }
  printf("%s: no runner covers it\n", path);
  failures++;
}

int
main (int argc, char **argv) {
  char pattern[4096];
  glob_t files;
  pending_t pending;
  unsetenv("AUTOBEE_VECTORS"); /* PENDING is about the project's own copy */
  for (int i = 1; i < argc; i++) ask_runner(argv[i]);
  snprintf(pattern, sizeof(pattern), "%s/*/*.json", vectors_folder());
  if (glob(pattern, 0, NULL, &files) != 0) return 1;
  snprintf(pattern, sizeof(pattern), "%s/*/*/*.json", vectors_folder());
  if (glob(pattern, GLOB_APPEND, NULL, &files) != 0) return 1;

  pending_load(&pending, vectors_folder());
  for (size_t i = 0; i < pending.count; i++) check_row(&pending.rows[i], &files);
  for (size_t i = 0; i < files.gl_pathc; i++) {
    check_file(files.gl_pathv[i] + strlen(vectors_folder()) + 1, &pending);
  }
  printf("%zu runners' patterns, %zu rows, %zu files\n", cover_count, pending.count, files.gl_pathc);
  pending_destroy(&pending);
  globfree(&files);
  return failures == 0 ? 0 : 1;
}

/* pending.h: tests/vectors/PENDING, the list of recorded cases that may fail.
 *
 *   # comment
 *   LAYER/FILE-PATTERN  KIND-or-*  reason to the end of the line
 *
 * KIND is the name of the file's list that holds the case, or a word that runners tag cases with. A tag other
 * than the four of pending_known_word must occur in a comment. A layer without a runner is one row, whose
 * pattern and kind are both *.
 */
#ifndef PENDING_H
#define PENDING_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
  char layer[32];
  char files[128];
  char kind[64];
  int line;
} pending_row_t;

typedef struct {
  pending_row_t *rows;
  size_t count;
  char *comments; /* all of them, in one text */
} pending_t;

/** Read `folder`/PENDING. Ends the process with a message when it is not well formed. */
void
pending_load (pending_t *pending, const char *folder);
void
pending_destroy (pending_t *pending);

/** Whether the shell pattern matches the file's name; * also matches a /. */
bool
pending_matches (const char *pattern, const char *file);

/** version-0, compat, prologue or scheme-2. */
bool
pending_known_word (const char *word);

/** True for the row of a layer that nothing runs. */
bool
pending_is_layer (const pending_row_t *row);

#endif

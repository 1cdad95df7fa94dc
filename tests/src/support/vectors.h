/* vectors.h: running recorded cases and keeping the account of them.
 *
 * A runner is a table: which files of a layer it knows, and the function that runs one of them.
 *
 *   static void
 *   run_signatures (const char *file, json_t *root) {
 *     size_t i;
 *     json_t *item;
 *     json_array_foreach(vectors_get(root, "signatures"), i, item) {
 *       vectors_begin(NULL, "signatures", "%zu", i);
 *       check_uint("valid", vectors_get_bool(item, "valid"), verifies(item));
 *     }
 *   }
 *
 *   int
 *   main (int argc, char **argv) {
 *     static const vectors_runner_t runners[] = {{"crypto.json", run_signatures}, {"multisig.json", NULL}};
 *     return vectors_main(argc, argv, "hypercore", runners, 2);
 *   }
 *
 * A failed check is recorded against the current case and the run goes on. At the end the account is printed,
 * `N cases` per mode, files and kind, and the failures are held against tests/vectors/PENDING (see
 * pending.h).
 *
 * Arguments of a runner   names or patterns of files, to run only those; --covers to print what it knows
 * AUTOBEE_VECTORS         the folder of the recorded files; default: the project's own copy
 * AUTOBEE_VECTORS_TRACE   set: print each case as it begins, to see which one crashes
 */
#ifndef VECTORS_H
#define VECTORS_H

#include <jansson.h>

#include "hypercore/ab.h"

/* ---- running ---- */

typedef void (*vectors_run_fn)(const char *file, json_t *root);

typedef struct {
  const char *files;  /* a name or shell pattern under the layer's folder: "crypto.json", "fuzz-*.json" */
  vectors_run_fn run; /* NULL: not written yet; each item of the file counts as a failed case */
} vectors_runner_t;

/** Run all files that `runners` name. Returns what main returns. */
int
vectors_main (int argc, char **argv, const char *layer, const vectors_runner_t *runners, size_t count);

/**
 * Begin a case, which ends the one before.
 *
 * mode   "conformance", "production", …; NULL where there is only one
 * kind   name of the list of the file that holds the case, or "file" where the whole file is the case
 * name   printf format; says which one
 */
void
vectors_begin (const char *mode, const char *kind, const char *name, ...) AB_PRINTF(3, 4);

/** One more word that PENDING may use for the current case: version-0, compat, prologue, scheme-2, … Static.
 */
void
vectors_tag (const char *word);

/* ---- checks: true if they hold, else a failure of the current case, which goes on ---- */

bool
check_bytes (const char *what, ab_slice_t expected, ab_slice_t found);
bool
check_text (const char *what, const char *expected, const char *found);
bool
check_uint (const char *what, uint64_t expected, uint64_t found);
bool
check_int (const char *what, int64_t expected, int64_t found);
bool
check_err (const char *what, int expected, int found);
bool
vectors_check (bool holds, const char *condition, int line);
#define check_that(condition) vectors_check(condition, #condition, __LINE__)

/** A failure in your own words. */
void
vectors_fail (const char *format, ...) AB_PRINTF(1, 2);

/** How many checks of the current case have failed. */
size_t
vectors_failed (void);

/* ---- reading; what is missing or of the wrong type ends the process with a message ---- */

/** A member; it must exist, but may be null. Borrowed. */
json_t *
vectors_get (const json_t *object, const char *member);
const char *
vectors_get_text (const json_t *object, const char *member);
uint64_t
vectors_get_uint (const json_t *object, const char *member);
int64_t
vectors_get_int (const json_t *object, const char *member);
bool
vectors_get_bool (const json_t *object, const char *member);
/** True if the member exists and is not null. */
bool
vectors_has (const json_t *object, const char *member);
/** vectors_bytes of a member. */
ab_slice_t
vectors_get_bytes (const json_t *object, const char *member);
void
vectors_get_key (const json_t *object, const char *member, ab_key_t *key);

uint64_t
vectors_uint (const json_t *value);
const char *
vectors_text (const json_t *value);
/** Bytes given as hex, as null (data is NULL), or as a pattern: {length, start, step} or {length, first},
 * where byte i is start + i * step. Valid until the file's run function returns; a block of exactly that
 * size, so that a sanitizer sees a read past its end. */
ab_slice_t
vectors_bytes (const json_t *value);
void
vectors_key (const json_t *value, ab_key_t *key);

/* ---- files, for programs that are no runner ---- */

/** The folder that AUTOBEE_VECTORS names, or the project's own copy. */
const char *
vectors_folder (void);

/** Load one file. Release with json_decref. Ends the process when it does not parse; NULL if it does not
 * exist. */
json_t *
vectors_load (const char *layer, const char *file);

typedef void (*vectors_file_fn)(const char *file, json_t *root, void *data);

/** Call `fn` for each file of the layer that matches, in the order of their names. Returns how many there
 * were. */
size_t
vectors_each (const char *layer, const char *pattern, vectors_file_fn fn, void *data);

/** Free what vectors_bytes returned. Between files, vectors_main and vectors_each do it. */
void
vectors_release (void);

#endif

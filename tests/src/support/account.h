/* account.h: which cases ran, which failed, and whether that is as PENDING says. For vectors.c. */
#ifndef ACCOUNT_H
#define ACCOUNT_H

#include "support/pending.h"

/** Cases from now on belong to `file`, found by `files`. */
void
account_file (const char *layer, const char *file, const char *files);

/** No file matches `files`: a failure in the project's own copy. */
void
account_no_file (const char *files);

/** Where the run is: layer, file, case. Static, until the next call. */
const char *
account_where (void);

/**
 * Print the account and forget it. Returns 0 if all is as it should be, else 1.
 *
 * complete   all the files were run: rows of PENDING that are no longer needed are failures
 */
int
account_finish (const char *layer, bool complete);

/** For the test of this file: the folder that is the project's own copy and holds PENDING. Borrowed. */
void
account_own_folder (const char *folder);

#endif

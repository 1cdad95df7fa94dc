/* failing_alloc.h: make an allocation fail.
 *
 * malloc, calloc and realloc as called by our own objects (and by nothing in a shared library) pass through
 * here in a program that links tests_failing_alloc, as every oom_*.c does. A test over all points:
 *
 *   size_t n = 0;
 *   int err;
 *   do {
 *     failing_alloc_arm(++n, FAILING_ALLOC_ONCE);
 *     err = thing_under_test();
 *     if (failing_alloc_disarm()) assert_int_equal(err, AB_ENOMEM);
 *   } while (err != 0);
 */
#ifndef FAILING_ALLOC_H
#define FAILING_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

typedef enum {
  FAILING_ALLOC_ONCE,   /* only the n-th */
  FAILING_ALLOC_ONWARDS /* the n-th and all after it */
} failing_alloc_mode_t;

/** The `n`-th allocation from now (1: the next) fails. */
void
failing_alloc_arm (size_t n, failing_alloc_mode_t mode);

/** Allocations succeed again. True if any was made to fail. */
bool
failing_alloc_disarm (void);

/** How many allocations were made since failing_alloc_arm. */
size_t
failing_alloc_count (void);

#endif

#include "support/failing_alloc.h"

#include <errno.h>
#include <stdlib.h>

/* The linker's names: a call of malloc lands in __wrap_malloc, and __real_malloc is the C library's. */
void *
__real_malloc (size_t size);
void *
__real_calloc (size_t count, size_t size);
void *
__real_realloc (void *data, size_t size);
void *
__wrap_malloc (size_t size);
void *
__wrap_calloc (size_t count, size_t size);
void *
__wrap_realloc (void *data, size_t size);

static size_t fail_at; /* 0: disarmed */
static failing_alloc_mode_t fail_mode;
static size_t count;
static bool fired;

void
failing_alloc_arm (size_t n, failing_alloc_mode_t mode) {
  fail_at = n;
  fail_mode = mode;
  count = 0;
  fired = false;
}

bool
failing_alloc_disarm (void) {
  fail_at = 0;
  return fired;
}

size_t
failing_alloc_count (void) {
  return count;
}

static bool
fails (void) {
  if (fail_at == 0) return false;
  count++;
  if (count < fail_at || (count > fail_at && fail_mode == FAILING_ALLOC_ONCE)) return false;
  fired = true;
  errno = ENOMEM;
  return true;
}

void *
__wrap_malloc (size_t size) {
  return fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc (size_t n, size_t size) {
  return fails() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc (void *data, size_t size) {
  return fails() ? NULL : __real_realloc(data, size);
}

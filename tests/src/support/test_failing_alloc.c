#include <stdlib.h>

#include "support/failing_alloc.h"
#include "support/test.h"

/* Whether an allocation succeeds, through a pointer so that the compiler cannot drop it. */
static bool
succeeds (void) {
  void *volatile data = malloc(1);
  bool did = data != NULL;
  free(data);
  return did;
}

static void
only_the_nth_fails (void **state) {
  (void) state;
  failing_alloc_arm(2, FAILING_ALLOC_ONCE);
  bool first = succeeds();
  bool second = succeeds();
  bool third = succeeds();
  size_t count = failing_alloc_count();
  assert_true(failing_alloc_disarm());
  assert_true(first && !second && third);
  assert_int_equal(count, 3);
}

static void
the_nth_and_all_after_it_fail (void **state) {
  (void) state;
  failing_alloc_arm(2, FAILING_ALLOC_ONWARDS);
  bool first = succeeds();
  bool second = succeeds();
  bool third = succeeds();
  assert_true(failing_alloc_disarm());
  assert_true(first && !second && !third);
  assert_true(succeeds());
}

static void
it_says_when_none_failed (void **state) {
  (void) state;
  failing_alloc_arm(3, FAILING_ALLOC_ONCE);
  bool first = succeeds();
  assert_false(failing_alloc_disarm());
  assert_true(first);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(only_the_nth_fails),
    cmocka_unit_test(the_nth_and_all_after_it_fail),
    cmocka_unit_test(it_says_when_none_failed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

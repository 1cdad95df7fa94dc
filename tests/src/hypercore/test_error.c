#include "hypercore/ab.h"
#include "hypercore/env.h"
#include "support/test.h"

static void
every_code_has_a_name_and_a_text (void **state) {
  (void) state;
  assert_string_equal(ab_err_name(AB_ENOTFOUND), "AB_ENOTFOUND");
  assert_string_equal(ab_strerror(AB_ENOMEM), "out of memory");
  assert_string_equal(ab_strerror(0), "success");
  assert_non_null(ab_err_name(0));
  assert_string_equal(ab_strerror(-1), ab_strerror(12345));
  assert_non_null(ab_err_name(-1));
#define X(name, code, text) \
  assert_string_equal(ab_err_name(code), "AB_E" #name); \
  assert_string_equal(ab_strerror(AB_E##name), text);
  AB_ERROR_MAP(X)
#undef X
}

static void
the_version_is_the_header_s (void **state) {
  (void) state;
  assert_int_equal(ab_version() >> 16, AB_VERSION_MAJOR);
  assert_int_equal(ab_version() >> 8 & 255, AB_VERSION_MINOR);
  assert_int_equal(ab_version() & 255, AB_VERSION_PATCH);
}

static void
the_system_s_clock_is_after_2020_and_its_random_bytes_differ (void **state) {
  uint8_t a[32], b[32];
  (void) state;
  assert_true(ab_env_system.now_ms(ab_env_system.data) > 1577836800000ull);
  ab_env_system.random(ab_env_system.data, a, sizeof(a));
  ab_env_system.random(ab_env_system.data, b, sizeof(b));
  assert_memory_not_equal(a, b, sizeof(a));
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_code_has_a_name_and_a_text),
    cmocka_unit_test(the_version_is_the_header_s),
    cmocka_unit_test(the_system_s_clock_is_after_2020_and_its_random_bytes_differ),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

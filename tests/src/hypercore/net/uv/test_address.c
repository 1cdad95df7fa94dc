#include "hypercore/net/uv/address.h"
#include "support/test.h"

static void
assert_address (const char *text, ab__uv_kind_t kind, const char *host, const char *port) {
  ab__uv_address_t address;
  assert_int_equal(ab__uv_address_parse(text, &address), 0);
  assert_int_equal(address.kind, kind);
  assert_string_equal(address.text, text);
  if (host != NULL) assert_string_equal(address.host, host);
  if (port != NULL) assert_string_equal(address.port, port);
  ab__uv_address_destroy(&address);
}

static void
addresses_of_each_kind_are_read (void **state) {
  (void) state;
  assert_address("tcp:127.0.0.1:4040", AB__UV_TCP, "127.0.0.1", "4040");
  assert_address("tcp://example.org:1", AB__UV_TCP, "example.org", "1");
  assert_address("tcp:[::1]:65535", AB__UV_TCP, "::1", "65535");
  assert_address("tcp:localhost:0", AB__UV_TCP, "localhost", "0");
  assert_address("unix:/run/a b:c", AB__UV_UNIX, "/run/a b:c", NULL);
  assert_address("exec:ssh host 'autobee sync -'", AB__UV_EXEC, "ssh host 'autobee sync -'", NULL);
  assert_address("-", AB__UV_STDIO, NULL, NULL);
}

static void
what_is_no_address_is_refused (void **state) {
  static const char *const texts[] = {
    "",         "x",           "tcp:",         "tcp:host", "tcp::1",    "tcp:host:",  "tcp:host:x",
    "tcp:h:-1", "tcp:h:65536", "tcp:h:123456", "tcp:[]:1", "tcp:::1:1", "unix:",      "exec:",
    "--",       "TCP:h:1",     "udp:h:1",      "tcp//h:1", "tcp:h:1 ",  "http://h:1",
  };
  (void) state;
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    ab__uv_address_t address;
    if (ab__uv_address_parse(texts[i], &address) != AB_EINVAL)
      fail_msg("\"%s\" was taken for an address", texts[i]);
  }
}

static void
an_endless_address_is_refused (void **state) {
  char text[2 * AB__UV_ADDRESS_MAX];
  ab__uv_address_t address;
  (void) state;
  memset(text, 'x', sizeof(text));
  memcpy(text, "unix:", 5);
  text[sizeof(text) - 1] = 0;
  assert_int_equal(ab__uv_address_parse(text, &address), AB_EINVAL);
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(addresses_of_each_kind_are_read),
    cmocka_unit_test(what_is_no_address_is_refused),
    cmocka_unit_test(an_endless_address_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "apply/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/rng.h"
#include "support/test.h"

/* What ECMAScript makes of these doubles, from Node.js; the values of RFC 8785, appendix B, among them. */
static const struct {
  uint64_t bits;
  const char *text;
} recorded[] = {
  {0x3ff0000000000000, "1"},
  {0xbff0000000000000, "-1"},
  {0x3fb999999999999a, "0.1"},
  {0x3fc999999999999a, "0.2"},
  {0x3fd3333333333333, "0.3"},
  {0x3fd3333333333334, "0.30000000000000004"},
  {0x3fd5555555555555, "0.3333333333333333"},
  {0x3fe5555555555555, "0.6666666666666666"},
  {0x4024000000000000, "10"},
  {0x4059000000000000, "100"},
  {0x430c6bf526340000, "1000000000000000"},
  {0x4341c37937e08000, "10000000000000000"},
  {0x441ac53a7e04bcda, "123456789012345680000"},
  {0x4415af1d78b58c40, "100000000000000000000"},
  {0x444b1ae4d6e2ef50, "1e+21"},
  {0x4454542ba12a337c, "1.5e+21"},
  {0x4480f0cf064dd592, "1e+22"},
  {0x44b52d02c7e14af6, "1e+23"},
  {0xc44b1ae4d6e2ef50, "-1e+21"},
  {0x444b1ae4d6e2ef4f, "999999999999999900000"},
  {0x3ee4f8b588e368f1, "0.00001"},
  {0x3eb0c6f7a0b5ed8d, "0.000001"},
  {0x3e7ad7f29abcaf48, "1e-7"},
  {0x3e8421f5f40d8376, "1.5e-7"},
  {0x3ee9e0fcaf9380fc, "0.00001234"},
  {0x3eb4b3fd5942cd96, "0.000001234"},
  {0x0000000000000001, "5e-324"},
  {0x0000000000000002, "1e-323"},
  {0x0010000000000000, "2.2250738585072014e-308"},
  {0x000fffffffffffff, "2.225073858507201e-308"},
  {0x7fefffffffffffff, "1.7976931348623157e+308"},
  {0x433fffffffffffff, "9007199254740991"},
  {0x4340000000000000, "9007199254740992"},
  {0x4340000000000001, "9007199254740994"},
  {0xc340000000000000, "-9007199254740992"},
  {0x4330000000000000, "4503599627370496"},
  {0x4330000000000002, "4503599627370498"},
  {0x3fe0000000000000, "0.5"},
  {0x3fd0000000000000, "0.25"},
  {0x7e37e43c8800759c, "1e+300"},
  {0x01a56e1fc2f8f359, "1e-300"},
  {0x7e3a47dc2f33b492, "1.1e+300"},
  {0x405edd2f1a9fbe77, "123.456"},
  {0x400921fb54442d18, "3.141592653589793"},
  {0x4005bf0a8b145769, "2.718281828459045"},
  {0x4430000000000000, "295147905179352830000"},
  {0x3ea0c6f7a0b5ed8d, "5e-7"},
  {0x4011666666666666, "4.35"},
  {0x3f02599ed7c6fbd2, "0.000035"},
  {0x3d30000000000000, "5.684341886080802e-14"},
  {0x4450000000000000, "1.1805916207174113e+21"},
  {0x7fe0000000000000, "8.98846567431158e+307"},
  {0x4580000000000000, "6.189700196426902e+26"},
  {0x3eb0000000000000, "9.5367431640625e-7"},
  {0x3e60000000000000, "2.9802322387695312e-8"},
  {0x54b249ad2594c37d, "1e+100"},
  {0x0000000000000018, "1.2e-322"},
  {0x41b3de4355555555, "333333333.3333333"},
  {0x43f0000000000000, "18446744073709552000"},
  {0x43e0000000000000, "9223372036854776000"},
  {0x8000000000000001, "-5e-324"},
  {0xffefffffffffffff, "-1.7976931348623157e+308"},
  {0x44b52d02c7e14af5, "9.999999999999997e+22"},
  {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
  {0x444b1ae4d6e2ef4e, "999999999999999700000"},
  {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
  {0x41b3de4355555553, "333333333.3333332"},
  {0x41b3de4355555554, "333333333.33333325"},
  {0x41b3de4355555556, "333333333.3333334"},
  {0x41b3de4355555557, "333333333.33333343"},
  {0xbecbf647612f3696, "-0.0000033333333333333333"},
  {0x43143ff3c1cb0959, "1424953923781206.2"},
  {0x0470000000000000, "2.626903552830961e-287"},
  {0x046fffffffffffff, "2.6269035528309605e-287"},
  {0x08d0000000000000, "3.10130032290503e-266"},
  {0x08cfffffffffffff, "3.1013003229050296e-266"},
  {0x0d30000000000000, "3.6613691745498803e-245"},
  {0x0d2fffffffffffff, "3.66136917454988e-245"},
  {0x1190000000000000, "4.322581767826614e-224"},
  {0x118fffffffffffff, "4.322581767826613e-224"},
  {0x15f0000000000000, "5.103203814961955e-203"},
  {0x15efffffffffffff, "5.103203814961954e-203"},
  {0x1a50000000000000, "6.02479966275721e-182"},
  {0x1a4fffffffffffff, "6.0247996627572096e-182"},
  {0x1eb0000000000000, "7.112827998352248e-161"},
  {0x1eafffffffffffff, "7.112827998352247e-161"},
  {0x2310000000000000, "8.397345134458861e-140"},
  {0x230fffffffffffff, "8.39734513445886e-140"},
  {0x2770000000000000, "9.913835302014255e-119"},
  {0x276fffffffffffff, "9.913835302014254e-119"},
  {0x2bd0000000000000, "1.1704190886730496e-97"},
  {0x2bcfffffffffffff, "1.1704190886730495e-97"},
  {0x3030000000000000, "1.3817869688151111e-76"},
  {0x302fffffffffffff, "1.381786968815111e-76"},
  {0x3490000000000000, "1.6313261169996311e-55"},
  {0x348fffffffffffff, "1.631326116999631e-55"},
  {0x38f0000000000000, "1.925929944387236e-34"},
  {0x38efffffffffffff, "1.9259299443872356e-34"},
  {0x3d50000000000000, "2.2737367544323206e-13"},
  {0x3d4fffffffffffff, "2.2737367544323203e-13"},
  {0x41b0000000000000, "268435456"},
  {0x41afffffffffffff, "268435455.99999997"},
  {0x4610000000000000, "3.1691265005705735e+29"},
  {0x460fffffffffffff, "3.169126500570573e+29"},
  {0x4a70000000000000, "3.7414441915671115e+50"},
  {0x4a6fffffffffffff, "3.741444191567111e+50"},
  {0x4ed0000000000000, "4.417117661945961e+71"},
  {0x4ecfffffffffffff, "4.4171176619459603e+71"},
  {0x5330000000000000, "5.2148120994162844e+92"},
  {0x532fffffffffffff, "5.214812099416284e+92"},
  {0x5790000000000000, "6.156563468186638e+113"},
  {0x578fffffffffffff, "6.156563468186637e+113"},
  {0x5bf0000000000000, "7.268387242956069e+134"},
  {0x5befffffffffffff, "7.268387242956068e+134"},
  {0x6050000000000000, "8.580997075163262e+155"},
  {0x604fffffffffffff, "8.580997075163261e+155"},
  {0x64b0000000000000, "1.0130653244338362e+177"},
  {0x64afffffffffffff, "1.0130653244338361e+177"},
  {0x6910000000000000, "1.1960164332659527e+198"},
  {0x690fffffffffffff, "1.1960164332659526e+198"},
  {0x6d70000000000000, "1.4120069793541087e+219"},
  {0x6d6fffffffffffff, "1.4120069793541086e+219"},
  {0x71d0000000000000, "1.6670036082199636e+240"},
  {0x71cfffffffffffff, "1.6670036082199634e+240"},
  {0x7630000000000000, "1.9680504915701793e+261"},
  {0x762fffffffffffff, "1.9680504915701791e+261"},
  {0x7a90000000000000, "2.323463919496536e+282"},
  {0x7a8fffffffffffff, "2.3234639194965358e+282"},
  {0x7ef0000000000000, "2.7430620343968443e+303"},
  {0x7eefffffffffffff, "2.743062034396844e+303"},
  {0x05391c44043c7ad3, "1.6886433978656767e-283"},
  {0x8b0c4216a289127d, "-1.881990978215731e-255"},
  {0xe8f7b1b81cca49b7, "-4.427917376698909e+197"},
  {0x7ef29baa8c609701, "3.1901933374192994e+303"},
  {0x989a046cc89034db, "-3.6495954104189513e-190"},
  {0x0a33e47ebe69c1c5, "1.617239723646062e-259"},
  {0xf73f486012dbe03f, "-2.5217419074819337e+266"},
  {0xb319709275d5d6c9, "-1.546014241865691e-62"},
  {0x657ff194f5a32fe3, "8.284424633386728e+180"},
  {0x67f7d3e6f3e85a0d, "6.794541351273202e+192"},
  {0xfe61b408a9e847c7, "-5.927872644512071e+300"},
  {0x6c42e27a7ffb0f91, "3.178751750469347e+213"},
  {0x498b83bc6c5d8beb, "1.9635070302230835e+46"},
  {0xace1b04e27c1fb55, "-1.6960047857978324e-92"},
  {0x16b994b0da49a04f, "3.341930403076779e-199"},
  {0x4fc2916201cf6159, "1.6797001037666567e+76"},
  {0x76715ae44aab68f3, "3.4155606722093786e+262"},
  {0x92af19b6f657c59d, "-1.1012852091925988e-218"},
  {0x03f58a58c79e09d7, "1.3814599218121765e-289"},
  {0x4d601d4a5235ec21, "5.303268763116513e+64"},
  {0xf47a170c8bfce6fb, "-1.195504018088292e+253"},
  {0xaad1b01ea82ed8e5, "-1.974328531179056e-102"},
  {0x9f9835002947a45f, "-1.7631279834408362e-156"},
  {0xedd72632c475cfe9, "-1.3074739648597178e+221"},
  {0x75025834b9c62603, "4.30381412034664e+255"},
  {0x54ef1386b670552d, "1.3594320698092263e+101"},
  {0x937834a8c2ec8fe7, "-7.021675461847707e-215"},
  {0x71574c1a34ba2cb1, "9.481601873085096e+237"},
  {0x74fabe5cabff460b, "3.1371568559019883e+255"},
  {0x8560e3eedf695a75, "-9.086844170697337e-283"},
  {0x64402950ecf6ec6f, "7.99440668703112e+174"},
  {0xbe042f0224922279, "-5.874208421263018e-10"},
  {0xaf67e98459a46713, "-2.520868900440537e-80"},
  {0x5bb4c156cb0b08bd, "5.89285364754078e+133"},
  {0xcbeeb2f82d14d9f7, "-6.0219178096825984e+57"},
  {0x1e756eea6770d141, "5.955121947486282e-162"},
  {0xdfe279acb935a91b, "-7.74103637245046e+153"},
  {0x892c4bbe3f6a8005, "-1.7550799207900616e-264"},
  {0x645671a0deb8787f, "2.2204196539109983e+175"},
  {0xd036abd25f2d5909, "-2.6251431551007754e+78"},
  {0xd5170ed4b1372c23, "-8.069356880754867e+101"},
  {0x873d2326e540e04d, "-8.415761951824901e-274"},
  {0xa19e0548eb97e807, "-9.391222454578012e-147"},
  {0x624785bac882d9d1, "2.7091242463682214e+165"},
  {0xd34648fc18b1102b, "-1.4526573979730513e+93"},
  {0x9e10e78e9c6b4995, "-7.338802605225085e-164"},
  {0x1cc00df0942d488f, "3.323440819665521e-170"},
  {0xe39b9ca217907399, "-6.669188996552397e+171"},
  {0x46c4c824c7af7533, "8.43010414882108e+32"},
  {0xbb0538f6606adbdd, "-2.194356041609775e-24"},
  {0x2e0b2b984836ba17, "6.829133046939045e-87"},
  {0xe19a908a64594661, "-1.4938987249681829e+162"},
  {0xc67b2c4cb7c27b3b, "-3.4445927591362903e+31"},
  {0x172bb75ebce4b725, "4.6347673099126897e-197"},
  {0xd7a1fe408f365c9f, "-1.3847013637181087e+114"},
  {0x36a00172e7447229, "1.4017941330681704e-45"},
  {0x66661574347e4243, "1.8767276067053084e+185"},
  {0xadca02c6d221fb6d, "-4.086069613663152e-88"},
  {0xa87b8f5a059d16f1, "-1.1191295078020074e-113"},
  {0x5a16239c1bfaea4b, "9.366518220871374e+125"},
  {0x82d9bb2ee98fc8b5, "-6.2951203603615145e-295"},
  {0xfc6142904df4b4af, "-1.3456340823021274e+291"},
  {0x56f0da42ee1254b9, "6.332641698271848e+110"},
  {0xe72ff6c42f549353, "-1.1126215918957097e+189"},
  {0xb98880969a3f3efd, "-1.5100707023358842e-31"},
  {0x6b72f438580baa37, "3.894552172221255e+209"},
  {0xfa37822ac5374b81, "-5.334088917837765e+280"},
  {0xa7ec2eec732b5d5b, "-2.2352363939901099e-116"},
  {0x7ab7f2fe7d657e45, "1.3911273031330902e+283"},
  {0x5fa2dae05ac950bf, "4.9375786953390965e+152"},
  {0xf17b271262031b49, "-4.42026587868102e+238"},
  {0x1d976c14a0236863, "3.972006006922719e-166"},
  {0xab7db26672dba68d, "-3.3943154534217118e-99"},
  {0xd9b796882403c847, "-1.5592998003190865e+124"},
  {0x215b68fa9a50e411, "5.359106013996988e-148"},
  {0x93124e3ca364d46b, "-8.297120582109577e-217"},
  {0x73a35ece759ed7d5, "1.083486804163796e+249"},
  {0x934bc7305c5530cf, "-1.0072455749672297e-215"},
  {0xa26be7e21f5fc5d9, "-7.151323985667266e-143"},
  {0x4f5175642f1bc173, "1.2338642151827788e+74"},
};
#define RECORDED_COUNT (sizeof(recorded) / sizeof(recorded[0]))

static double
double_of (uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

static uint64_t
bits_of (double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}

static void
assert_encodes (double value, const char *text) {
  char out[AB_NUMBER_TEXT_MAX + 1];
  size_t len = ab_number_encode(value, out);
  assert_in_range(len, 1, AB_NUMBER_TEXT_MAX);
  out[len] = 0;
  assert_string_equal(out, text);
}

/* All of `text` is a number; its double. */
static double
decode (const char *text) {
  ab_number_t number;
  size_t taken;
  assert_int_equal(ab_number_decode(ab_text(text), &taken, &number), 0);
  assert_int_equal(taken, strlen(text));
  return number.number;
}

static void
assert_decodes (const char *text, double value) {
  if (bits_of(decode(text)) != bits_of(value))
    fail_msg("%s gives %.17g, not %.17g", text, decode(text), value);
}

static void
assert_refused (const char *text, int expected, size_t at) {
  ab_number_t number;
  size_t taken;
  assert_int_equal(ab_number_decode(ab_text(text), &taken, &number), expected);
  assert_int_equal(taken, at);
}

static void
doubles_have_the_text_that_ecmascript_gives_them (void **state) {
  (void) state;
  for (size_t i = 0; i < RECORDED_COUNT; i++) assert_encodes(double_of(recorded[i].bits), recorded[i].text);
}

static void
that_text_reads_back_as_the_same_double (void **state) {
  (void) state;
  for (size_t i = 0; i < RECORDED_COUNT; i++) assert_decodes(recorded[i].text, double_of(recorded[i].bits));
}

static void
zero_has_no_sign_in_text (void **state) {
  (void) state;
  assert_encodes(0.0, "0");
  assert_encodes(-0.0, "0");
}

static void
integers_stay_integers (void **state) {
  static const struct {
    const char *text;
    int64_t integer;
  } cases[] = {
    {"0", 0},
    {"-0", 0},
    {"7", 7},
    {"-42", -42},
    {"9007199254740993", 9007199254740993},
    {"9223372036854775807", INT64_MAX},
    {"-9223372036854775808", INT64_MIN},
  };
  (void) state;
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    ab_number_t number;
    size_t taken;
    assert_int_equal(ab_number_decode(ab_text(cases[i].text), &taken, &number), 0);
    assert_int_equal(taken, strlen(cases[i].text));
    assert_true(number.is_integer);
    assert_int_equal(number.integer, cases[i].integer);
    assert_true(number.number == (double) cases[i].integer);
  }
}

static void
what_is_written_otherwise_or_too_large_is_no_integer (void **state) {
  static const char *const cases[] = {
    "1.0", "1e0", "0.0", "-0.0", "10E2", "9223372036854775808", "5e-1", "0e5", "-9223372036854775809"};
  (void) state;
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    ab_number_t number;
    size_t taken;
    assert_int_equal(ab_number_decode(ab_text(cases[i]), &taken, &number), 0);
    assert_false(number.is_integer);
  }
}

static void
a_number_ends_where_the_grammar_says (void **state) {
  ab_number_t number;
  size_t taken;
  (void) state;
  assert_int_equal(ab_number_decode(ab_text("01"), &taken, &number), 0);
  assert_int_equal(taken, 1);
  assert_int_equal(ab_number_decode(ab_text("12,"), &taken, &number), 0);
  assert_int_equal(taken, 2);
  assert_int_equal(ab_number_decode(ab_text("1.5.5"), &taken, &number), 0);
  assert_int_equal(taken, 3);
  assert_int_equal(ab_number_decode(ab_text("1e5e5"), &taken, &number), 0);
  assert_int_equal(taken, 3);
}

static void
text_that_is_no_number_is_refused_where_it_goes_wrong (void **state) {
  (void) state;
  assert_refused("", AB_EINVAL, 0);
  assert_refused("-", AB_EINVAL, 1);
  assert_refused("+1", AB_EINVAL, 0);
  assert_refused(".5", AB_EINVAL, 0);
  assert_refused("-.5", AB_EINVAL, 1);
  assert_refused("1.", AB_EINVAL, 2);
  assert_refused("1.e5", AB_EINVAL, 2);
  assert_refused("1e", AB_EINVAL, 2);
  assert_refused("1e+", AB_EINVAL, 3);
  assert_refused("1e-x", AB_EINVAL, 3);
  assert_refused("Infinity", AB_EINVAL, 0);
  assert_refused("NaN", AB_EINVAL, 0);
}

static void
what_no_double_comes_near_is_refused (void **state) {
  (void) state;
  assert_decodes("1.7976931348623158e308", 0x1.fffffffffffffp+1023);
  assert_decodes("179769313486231580793e288", 0x1.fffffffffffffp+1023);
  assert_refused("179769313486231580794e288", AB_ETOOBIG, 25);
  assert_refused("-1e309", AB_ETOOBIG, 6);
  assert_refused("1e999999999999999999999999999999", AB_ETOOBIG, 32);
  assert_refused("123456789e99999999999", AB_ETOOBIG, 21);
}

static void
what_is_too_small_is_zero (void **state) {
  (void) state;
  assert_decodes("2.4703282292062327e-324", 0.0); /* just below half of the smallest */
  assert_decodes("2.4703282292062328e-324", 0x1p-1074);
  assert_decodes("-1e-400", -0.0);
  assert_decodes("0e999999999999999999999999", 0.0);
  assert_decodes("1e-999999999999999999999999", 0.0);
}

static void
halfway_goes_to_the_even_double (void **state) {
  (void) state;
  assert_decodes("9007199254740993.0", 9007199254740992.0);
  assert_decodes("9007199254740995.0", 9007199254740996.0);
  assert_decodes("9007199254740993.00000000000000000000000000000000000001", 9007199254740994.0);
  assert_decodes("9007199254740992.99999999999999999999999999999999999999", 9007199254740992.0);
  assert_decodes("1.00000000000000011102230246251565404236316680908203125", 1.0);
  assert_decodes("1.00000000000000011102230246251565404236316680908203124", 1.0);
  assert_decodes("1.00000000000000011102230246251565404236316680908203126", 0x1.0000000000001p+0);
  assert_decodes("2.2250738585072011e-308", 0x0.fffffffffffffp-1022);
}

static void
the_last_of_a_thousand_digits_counts (void **state) {
  char text[1200];
  (void) state;
  int len = snprintf(text, sizeof(text), "9007199254740993.");
  memset(text + len, '0', 1000);
  text[len + 1000] = 0;
  assert_decodes(text, 9007199254740992.0);
  text[len + 999] = '1';
  assert_decodes(text, 9007199254740994.0);

  memset(text, '0', 1100);
  memcpy(text, "0.", 2);
  memcpy(text + 1100, "25e1099", 8);
  assert_decodes(text, 2.5);
}

/* The C library as the other opinion: it is exact, and this program never leaves the C locale. */
static void
random_doubles_have_the_shortest_text_that_reads_back (void **state) {
  rng_t random = rng(1);
  (void) state;
  for (size_t i = 0; i < 20000; i++) {
    uint64_t bits = (uint64_t) rng_next(&random) << 32;
    bits |= rng_next(&random);
    if (i % 3 == 0)
      bits = (bits & 0x000fffffffffffff) | (uint64_t) (1023 - 30 + rng_below(&random, 60)) << 52;
    double value = double_of(bits);
    if (!isfinite(value)) continue;

    char text[AB_NUMBER_TEXT_MAX + 1], other[64];
    text[ab_number_encode(value, text)] = 0;
    assert_true(strtod(text, NULL) == value);
    assert_decodes(text, value == 0 ? 0 : value);

    int digits = 1;
    do snprintf(other, sizeof(other), "%.*e", digits - 1, value);
    while (strtod(other, NULL) != value && ++digits <= 17);
    int count = 0, zeros = 0;
    for (const char *at = text; *at != 0 && *at != 'e'; at++) {
      if (*at < '0' || *at > '9' || (*at == '0' && count == 0)) continue;
      zeros = *at == '0' ? zeros + 1 : 0;
      count++;
    }
    assert_in_range(count - zeros, 0, digits);
  }
}

static void
random_text_reads_as_the_nearest_double (void **state) {
  rng_t random = rng(2);
  (void) state;
  for (size_t i = 0; i < 20000; i++) {
    char text[64];
    size_t len = 0, digits = 1 + rng_below(&random, 25);
    if (rng_below(&random, 2) == 0) text[len++] = '-';
    text[len++] = (char) ('1' + rng_below(&random, 9));
    text[len++] = '.';
    for (size_t k = 0; k < digits; k++) text[len++] = (char) ('0' + rng_below(&random, 10));
    snprintf(text + len, sizeof(text) - len, "e%d", (int) rng_below(&random, 640) - 330);
    if (isfinite(strtod(text, NULL))) assert_decodes(text, strtod(text, NULL));
    else assert_refused(text, AB_ETOOBIG, strlen(text));
  }
}

int
main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(doubles_have_the_text_that_ecmascript_gives_them),
    cmocka_unit_test(that_text_reads_back_as_the_same_double),
    cmocka_unit_test(zero_has_no_sign_in_text),
    cmocka_unit_test(integers_stay_integers),
    cmocka_unit_test(what_is_written_otherwise_or_too_large_is_no_integer),
    cmocka_unit_test(a_number_ends_where_the_grammar_says),
    cmocka_unit_test(text_that_is_no_number_is_refused_where_it_goes_wrong),
    cmocka_unit_test(what_no_double_comes_near_is_refused),
    cmocka_unit_test(what_is_too_small_is_zero),
    cmocka_unit_test(halfway_goes_to_the_even_double),
    cmocka_unit_test(the_last_of_a_thousand_digits_counts),
    cmocka_unit_test(random_doubles_have_the_shortest_text_that_reads_back),
    cmocka_unit_test(random_text_reads_as_the_nearest_double),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

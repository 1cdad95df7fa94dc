/* number.c: decimal text to double and back. Short cuts that are provably exact, then exact arithmetic. */
#include "apply/number.h"

#include "apply/bignum.h"

#include <assert.h>
#include <float.h>

_Static_assert(FLT_RADIX == 2 && DBL_MANT_DIG == 53 && DBL_MAX_EXP == 1024, "doubles are IEEE 754 binary64");

/* The short cuts calculate with doubles. They need results that are rounded once, which the x87 does not
 * give. */
#if FLT_EVAL_METHOD == 0
#define DOUBLES_ROUND_ONCE 1
#else
#define DOUBLES_ROUND_ONCE 0
#endif

#define EXACT_MAX 9007199254740992ull /* 2^53: every integer up to here is a double */
#define LOWEST_BIT (-1074)            /* 2^-1074 is the smallest double above zero */
#define INFINITY_BITS 0x7ff0000000000000ull

/* Powers of ten that are doubles. */
static const double exact_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                      1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
#define EXACT_POWER_MAX 22

static double
double_of_bits (uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

static uint64_t
bits_of_double (double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}

/* ---- decoding ---- */

/* More digits than the midpoint of any two doubles has (767), so that whatever follows can only tell "exactly
 * these digits" from "a little more". */
#define DIGITS_MAX 800
#define MANTISSA_DIGITS 19 /* always fit 64 bits */

/* ± 0.d1 d2 d3 … × 10^point, without leading zeros. */
typedef struct {
  const uint8_t *digits; /* d1; a point may stand between them */
  size_t count;
  int64_t point;
  uint64_t mantissa; /* the first 19 digits, or all */
} decimal_t;

/* value = n × 2^exponent / divisor, as bits of a double: ties to even, and infinite when too large. */
static uint64_t
round_quotient (bignum_t *n, bignum_t *divisor, int exponent) {
  /* Give the quotient 63 or 64 bits, and the divisor's top limb its top bit. */
  unsigned align = (32 - bignum__bits(divisor) % 32) % 32;
  bignum__shift_left(divisor, align);
  int shift = 63 + (int) bignum__bits(divisor) - (int) bignum__bits(n);
  if (shift < 0) { /* in whole limbs, to keep that bit */
    unsigned more = ((unsigned) -shift + 31) / 32 * 32;
    bignum__shift_left(divisor, more);
    shift += (int) more;
    align += more;
  }
  bignum__shift_left(n, (unsigned) shift);
  exponent += (int) align - shift;

  /* The quotient's two halves, as one would on paper. */
  bignum_t high = *divisor;
  bignum__shift_left(&high, 32);
  uint64_t quotient = (uint64_t) bignum__divide(n, &high) << 32;
  quotient += bignum__divide(n, divisor);
  bool is_exact = n->count == 0;

  int bits = 64;
  while (quotient >> (bits - 1) == 0) bits--;
  int lowest = bits + exponent - DBL_MANT_DIG;
  if (lowest < LOWEST_BIT) lowest = LOWEST_BIT;
  int dropped = lowest - exponent;
  assert(dropped >= 1);
  if (dropped > 64) return 0; /* less than half of the smallest */

  uint64_t kept = dropped == 64 ? 0 : quotient >> dropped;
  uint64_t half = (uint64_t) 1 << (dropped - 1);
  uint64_t rest = quotient & (half | (half - 1));
  if (rest > half || (rest == half && (!is_exact || kept % 2 == 1))) kept++;

  /* The implied top bit of `kept` adds one to the exponent, as does a carry out of the rounding. */
  if (lowest > DBL_MAX_EXP - DBL_MANT_DIG) return INFINITY_BITS;
  uint64_t value = ((uint64_t) (lowest - LOWEST_BIT) << (DBL_MANT_DIG - 1)) + kept;
  return value > INFINITY_BITS ? INFINITY_BITS : value;
}

static uint64_t
round_decimal (const decimal_t *decimal) {
  bignum_t n, divisor;
  bignum__set(&n, 0);
  bignum__set(&divisor, 1);

  const uint8_t *at = decimal->digits;
  size_t used = decimal->count < DIGITS_MAX ? decimal->count : DIGITS_MAX;
  for (size_t i = 0; i < used;) {
    uint32_t part = 0, scale = 1;
    for (; i < used && scale < 1000000000; at++) {
      if (*at == '.') continue;
      part = part * 10 + (uint32_t) (*at - '0');
      scale *= 10;
      i++;
    }
    bignum__multiply_add(&n, scale, part);
  }

  int64_t power = decimal->point - (int64_t) used;
  for (size_t i = used; i < decimal->count; at++) {
    if (*at == '.') continue;
    if (*at != '0') { /* "a little more" is one digit that is not 0, whichever it is */
      bignum__multiply_add(&n, 10, 1);
      power--;
      break;
    }
    i++;
  }

  if (power >= 0) bignum__multiply_power_of_5(&n, (unsigned) power);
  else bignum__multiply_power_of_5(&divisor, (unsigned) -power);
  return round_quotient(&n, &divisor, (int) power);
}

static uint64_t
magnitude_of (const decimal_t *decimal) {
  if (decimal->count == 0) return 0;
  if (decimal->point > 310) return INFINITY_BITS;
  if (decimal->point < -330) return 0;

  int64_t power = decimal->point - (int64_t) decimal->count;
  if (DOUBLES_ROUND_ONCE && decimal->count <= MANTISSA_DIGITS && decimal->mantissa <= EXACT_MAX) {
    /* One operation on two exact operands is rounded correctly. */
    double value = (double) decimal->mantissa;
    if (power >= 0 && power <= EXACT_POWER_MAX) return bits_of_double(value * exact_powers[power]);
    if (power < 0 && power >= -EXACT_POWER_MAX) return bits_of_double(value / exact_powers[-power]);
  }
  return round_decimal(decimal);
}

typedef struct {
  const uint8_t *at;
  const uint8_t *end;
} cursor_t;

static bool
is_digit (const cursor_t *in) {
  return in->at < in->end && *in->at >= '0' && *in->at <= '9';
}

static void
read_digits (cursor_t *in, decimal_t *decimal) {
  for (; is_digit(in); in->at++) {
    if (decimal->count == 0) {
      if (*in->at == '0') {
        decimal->point--;
        continue;
      }
      decimal->digits = in->at;
    }
    if (decimal->count < MANTISSA_DIGITS) decimal->mantissa = decimal->mantissa * 10 + (*in->at - '0');
    decimal->count++;
  }
}

/* The digits after an e, with their sign. Beyond what any count of digits could balance, more is the same. */
static int64_t
read_exponent (cursor_t *in) {
  const int64_t enough = (int64_t) 1 << 50;
  bool is_negative = false;
  if (in->at < in->end && (*in->at == '+' || *in->at == '-')) is_negative = *in->at++ == '-';
  int64_t exponent = 0;
  for (; is_digit(in); in->at++) {
    if (exponent < enough) exponent = exponent * 10 + (*in->at - '0');
  }
  return is_negative ? -exponent : exponent;
}

/* Fills `decimal`. Returns false at the byte that does not belong in a number. */
static bool
read_decimal (cursor_t *in, decimal_t *decimal, bool *is_whole) {
  *decimal = (decimal_t){0};
  *is_whole = true;

  if (!is_digit(in)) return false;
  if (*in->at == '0') in->at++;
  else read_digits(in, decimal);
  decimal->point = (int64_t) decimal->count;

  if (in->at < in->end && *in->at == '.') {
    *is_whole = false;
    in->at++;
    if (!is_digit(in)) return false;
    read_digits(in, decimal);
  }
  if (in->at < in->end && (*in->at | 0x20) == 'e') {
    *is_whole = false;
    in->at++;
    const uint8_t *mark = in->at;
    if (mark < in->end && (*mark == '+' || *mark == '-')) mark++;
    if (mark == in->end || *mark < '0' || *mark > '9') {
      in->at = mark;
      return false;
    }
    decimal->point += read_exponent(in);
  }
  return true;
}

int
ab_number_decode (ab_slice_t text, size_t *taken, ab_number_t *out) {
  cursor_t in = {text.data, text.data == NULL ? NULL : text.data + text.len};
  decimal_t decimal;
  bool is_whole;

  bool is_negative = in.at < in.end && *in.at == '-';
  if (is_negative) in.at++;
  bool is_number = read_decimal(&in, &decimal, &is_whole);
  *taken = (size_t) (in.at - text.data);
  if (!is_number) return AB_EINVAL;

  const uint64_t limit = (uint64_t) INT64_MAX + is_negative;
  *out = (ab_number_t){0};
  if (is_whole && decimal.count <= MANTISSA_DIGITS && decimal.mantissa <= limit) {
    out->is_integer = true;
    if (!is_negative) out->integer = (int64_t) decimal.mantissa;
    else if (decimal.mantissa > 0) out->integer = -1 - (int64_t) (decimal.mantissa - 1);
    out->number = (double) out->integer;
    return 0;
  }

  uint64_t magnitude = magnitude_of(&decimal);
  if (magnitude == INFINITY_BITS) return AB_ETOOBIG;
  out->number = double_of_bits((uint64_t) is_negative << 63 | magnitude);
  return 0;
}

/* ---- encoding ---- */

#define SHORTEST_MAX 17 /* no double needs more digits */

/* 0.d1 d2 … × 10^point */
typedef struct {
  char digits[20];
  int count;
  int point;
} shortest_t;

static void
set_integer (shortest_t *out, uint64_t integer) {
  char reversed[20];
  int count = 0;
  for (; integer > 0; integer /= 10) reversed[count++] = (char) ('0' + integer % 10);
  for (int i = 0; i < count; i++) out->digits[i] = reversed[count - 1 - i];
  out->count = count;
  out->point = count;
}

/* Most numbers that people write have at most 15 digits. Two decimals of so few digits never have the same
 * nearest double: a decimal that reads back as `value` is the one with the fewest digits. */
static bool
find_few_digits (double value, shortest_t *out) {
  if (value <= (double) EXACT_MAX) {
    uint64_t integer = (uint64_t) value;
    if ((double) integer == value) {
      set_integer(out, integer);
      return true;
    }
  }
  if (!DOUBLES_ROUND_ONCE) return false;

  for (int power = 1; power <= EXACT_POWER_MAX; power++) {
    double scaled = value * exact_powers[power];
    if (scaled >= 1e15) return false;
    uint64_t integer = (uint64_t) (scaled + 0.5);
    if (integer > 0 && (double) integer / exact_powers[power] == value) {
      set_integer(out, integer);
      out->point -= power;
      return true;
    }
  }
  return false;
}

/* r / s is the rest of the value, r ± m / s the limits of what reads back as the value (upwards it is twice
 * as far from a power of two). */
typedef struct {
  bignum_t r, s, below, above;
  bool includes_limits; /* ties go to the even mantissa: then the limits themselves read back, too */
} remainder_t;

/* Is what is left, rounded up to the next digit, still within the limits? */
static bool
may_round_up (const remainder_t *v) {
  int order = bignum__compare_sum(&v->r, &v->above, &v->s);
  return order > 0 || (order == 0 && v->includes_limits);
}

static bool
may_round_down (const remainder_t *v) {
  int order = bignum__compare(&v->r, &v->below);
  return order < 0 || (order == 0 && v->includes_limits);
}

static void
multiply_power_of_10 (bignum_t *n, int power) {
  bignum__multiply_power_of_5(n, (unsigned) power);
  bignum__shift_left(n, (unsigned) power);
}

static void
multiply_rest_by_10 (remainder_t *v) {
  bignum__multiply_add(&v->r, 10, 0);
  bignum__multiply_add(&v->below, 10, 0);
  bignum__multiply_add(&v->above, 10, 0);
}

/* value = mantissa × 2^exponent. Sets the remainder so that the value is r / s × 10^point with r / s below 1,
 * even at its upper limit, and returns that point. */
static int
start_remainder (remainder_t *v, uint64_t mantissa, int exponent) {
  bool is_power_of_2 = mantissa == (uint64_t) 1 << (DBL_MANT_DIG - 1) && exponent > LOWEST_BIT;
  v->includes_limits = mantissa % 2 == 0;

  /* Twice (a power of two: four times) everything, so that half the distance to a neighbour is an integer. */
  unsigned extra = is_power_of_2 ? 2 : 1;
  unsigned up = exponent > 0 ? (unsigned) exponent : 0;
  unsigned down = exponent < 0 ? (unsigned) -exponent : 0;
  bignum__set(&v->r, mantissa);
  bignum__shift_left(&v->r, up + extra);
  bignum__set(&v->s, 1);
  bignum__shift_left(&v->s, down + extra);
  bignum__set(&v->below, 1);
  bignum__shift_left(&v->below, up);
  v->above = v->below;
  if (is_power_of_2) bignum__shift_left(&v->above, 1);

  /* A power of ten that is not above the value: from log10(2) a little too small, and rounded down. */
  int bits = exponent;
  for (uint64_t rest = mantissa >> 1; rest > 0; rest >>= 1) bits++;
  int point = bits >= 0 ? bits * 1233 / 4096 : -(-bits * 1234 / 4096) - 1;
  if (point >= 0) multiply_power_of_10(&v->s, point);
  else {
    multiply_power_of_10(&v->r, -point);
    multiply_power_of_10(&v->below, -point);
    multiply_power_of_10(&v->above, -point);
  }
  for (; may_round_up(v); point++) bignum__multiply_add(&v->s, 10, 0);

  unsigned align = (32 - bignum__bits(&v->s) % 32) % 32; /* what the division asks for */
  bignum__shift_left(&v->r, align);
  bignum__shift_left(&v->s, align);
  bignum__shift_left(&v->below, align);
  bignum__shift_left(&v->above, align);
  return point;
}

/* Steele and White's free-format algorithm ("How to print floating-point numbers accurately"). */
static void
find_digits (double value, shortest_t *out) {
  uint64_t bits = bits_of_double(value);
  uint64_t mantissa = bits & (((uint64_t) 1 << (DBL_MANT_DIG - 1)) - 1);
  int exponent = (int) (bits >> (DBL_MANT_DIG - 1));
  if (exponent > 0) mantissa |= (uint64_t) 1 << (DBL_MANT_DIG - 1);
  else exponent = 1;

  remainder_t v;
  out->point = start_remainder(&v, mantissa, exponent - 1 + LOWEST_BIT);
  out->count = 0;
  for (;;) {
    multiply_rest_by_10(&v);
    uint32_t digit = bignum__divide(&v.r, &v.s);
    assert(digit <= 9 && out->count < SHORTEST_MAX);

    bool down = may_round_down(&v), up = may_round_up(&v);
    if (down && up) { /* to the closer one, or to the even digit */
      int order = bignum__compare_sum(&v.r, &v.r, &v.s);
      up = order > 0 || (order == 0 && digit % 2 == 1);
    }
    if (up) digit++;
    assert(digit <= 9);
    out->digits[out->count++] = (char) ('0' + digit);
    if (down || up) return;
  }
}

typedef struct {
  char *out;
  size_t len;
} writer_t;

static void
put (writer_t *writer, char c) {
  assert(writer->len < AB_NUMBER_TEXT_MAX);
  writer->out[writer->len++] = c;
}

static void
put_digits (writer_t *writer, const shortest_t *shortest, int from, int to) {
  for (int i = from; i < to; i++) {
    if (i < shortest->count) put(writer, shortest->digits[i]);
    else put(writer, '0');
  }
}

static void
put_exponent (writer_t *writer, int exponent) {
  put(writer, 'e');
  put(writer, exponent < 0 ? '-' : '+');
  if (exponent < 0) exponent = -exponent;
  if (exponent >= 100) put(writer, (char) ('0' + exponent / 100));
  if (exponent >= 10) put(writer, (char) ('0' + exponent / 10 % 10));
  put(writer, (char) ('0' + exponent % 10));
}

size_t
ab_number_encode (double value, char out[AB_NUMBER_TEXT_MAX]) {
  writer_t writer = {out, 0};
  uint64_t magnitude = bits_of_double(value) & ~((uint64_t) 1 << 63);
  assert(magnitude < INFINITY_BITS);

  if (magnitude == 0) { /* -0 has no sign */
    put(&writer, '0');
    return writer.len;
  }
  if (value < 0) put(&writer, '-');

  shortest_t shortest;
  value = double_of_bits(magnitude);
  if (!find_few_digits(value, &shortest)) find_digits(value, &shortest);

  /* ECMA-262, Number::toString. */
  if (shortest.point > 21 || shortest.point <= -6) {
    put_digits(&writer, &shortest, 0, 1);
    if (shortest.count > 1) put(&writer, '.');
    put_digits(&writer, &shortest, 1, shortest.count);
    put_exponent(&writer, shortest.point - 1);
  } else if (shortest.point <= 0) {
    put(&writer, '0');
    put(&writer, '.');
    for (int i = shortest.point; i < 0; i++) put(&writer, '0');
    put_digits(&writer, &shortest, 0, shortest.count);
  } else {
    put_digits(&writer, &shortest, 0, shortest.point);
    if (shortest.count > shortest.point) put(&writer, '.');
    put_digits(&writer, &shortest, shortest.point, shortest.count);
  }
  return writer.len;
}

/* bignum.c: plain schoolbook arithmetic on 32 bit limbs. */
#include "apply/bignum.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

static void
append_limb (bignum_t *n, uint32_t limb) {
  assert(n->count < BIGNUM_LIMBS);
  n->limbs[n->count++] = limb;
}

static void
drop_leading_zeros (bignum_t *n) {
  while (n->count > 0 && n->limbs[n->count - 1] == 0) n->count--;
}

void
bignum__set (bignum_t *n, uint64_t value) {
  n->count = 0;
  for (; value != 0; value >>= 32) append_limb(n, (uint32_t) value);
}

void
bignum__multiply_add (bignum_t *n, uint32_t factor, uint32_t term) {
  uint64_t carry = term;
  for (size_t i = 0; i < n->count; i++) {
    carry += (uint64_t) n->limbs[i] * factor;
    n->limbs[i] = (uint32_t) carry;
    carry >>= 32;
  }
  if (carry != 0) append_limb(n, (uint32_t) carry);
}

void
bignum__multiply_power_of_5 (bignum_t *n, unsigned power) {
  const unsigned most = 13; /* 5^13 is the largest power below 2^32 */
  for (; power >= most; power -= most) bignum__multiply_add(n, 1220703125, 0);
  uint32_t rest = 1;
  for (; power > 0; power--) rest *= 5;
  if (rest > 1) bignum__multiply_add(n, rest, 0);
}

void
bignum__shift_left (bignum_t *n, unsigned bits) {
  if (n->count == 0 || bits == 0) return;
  const size_t limbs = bits / 32;
  const unsigned within = bits % 32;
  assert(n->count + limbs + 1 <= BIGNUM_LIMBS);

  uint32_t above = 0;
  if (within > 0) above = n->limbs[n->count - 1] >> (32 - within);
  for (size_t i = n->count; i-- > 0;) {
    uint32_t below = i > 0 && within > 0 ? n->limbs[i - 1] >> (32 - within) : 0;
    n->limbs[i + limbs] = n->limbs[i] << within | below;
  }
  memset(n->limbs, 0, limbs * sizeof(n->limbs[0]));
  n->count += limbs;
  if (above != 0) append_limb(n, above);
}

unsigned
bignum__bits (const bignum_t *n) {
  if (n->count == 0) return 0;
  unsigned bits = (unsigned) (n->count - 1) * 32;
  for (uint32_t top = n->limbs[n->count - 1]; top != 0; top >>= 1) bits++;
  return bits;
}

int
bignum__compare (const bignum_t *a, const bignum_t *b) {
  if (a->count != b->count) return a->count < b->count ? -1 : 1;
  for (size_t i = a->count; i-- > 0;) {
    if (a->limbs[i] != b->limbs[i]) return a->limbs[i] < b->limbs[i] ? -1 : 1;
  }
  return 0;
}

static uint32_t
limb_at (const bignum_t *n, size_t i) {
  return i < n->count ? n->limbs[i] : 0;
}

int
bignum__compare_sum (const bignum_t *a, const bignum_t *b, const bignum_t *c) {
  size_t count = a->count > b->count ? a->count : b->count;
  if (count < c->count) count = c->count;

  /* From the top, with what is left of c there: as soon as two units of the present limb are left, the limbs
   * below cannot make them up. */
  uint64_t left = 0;
  for (size_t i = count; i-- > 0;) {
    uint64_t have = left << 32 | limb_at(c, i);
    uint64_t sum = (uint64_t) limb_at(a, i) + limb_at(b, i);
    if (sum > have) return 1;
    left = have - sum;
    if (left > 1) return -1;
  }
  return left == 0 ? 0 : -1;
}

/* n -= divisor × factor. False if that went below zero: then 2^(32 × limbs) was added. */
static bool
subtract_product (bignum_t *n, const bignum_t *divisor, uint32_t factor) {
  uint64_t carry = 0;
  uint64_t borrow = 0;
  for (size_t i = 0; i < n->count; i++) {
    carry += (uint64_t) limb_at(divisor, i) * factor;
    uint64_t difference = (uint64_t) n->limbs[i] - (uint32_t) carry - borrow;
    n->limbs[i] = (uint32_t) difference;
    borrow = difference >> 63;
    carry >>= 32;
  }
  return carry == 0 && borrow == 0;
}

/* n += divisor. True if that went past 2^(32 × limbs), which undoes an excessive subtraction. */
static bool
add_back (bignum_t *n, const bignum_t *divisor) {
  uint64_t carry = 0;
  for (size_t i = 0; i < n->count; i++) {
    carry += (uint64_t) n->limbs[i] + limb_at(divisor, i);
    n->limbs[i] = (uint32_t) carry;
    carry >>= 32;
  }
  return carry != 0;
}

uint32_t
bignum__divide (bignum_t *n, const bignum_t *divisor) {
  assert(divisor->count > 0 && divisor->limbs[divisor->count - 1] >> 31 == 1);
  assert(n->count <= divisor->count + 1);
  if (n->count < divisor->count) return 0;

  /* Knuth, volume 2, 4.3.1, algorithm D: the top limbs give a quotient that is at most two too large. */
  uint64_t top = (uint64_t) limb_at(n, divisor->count) << 32 | n->limbs[divisor->count - 1];
  uint64_t guess = top / divisor->limbs[divisor->count - 1];
  uint32_t quotient = guess > UINT32_MAX ? UINT32_MAX : (uint32_t) guess;

  if (!subtract_product(n, divisor, quotient)) {
    do quotient--;
    while (!add_back(n, divisor));
  }
  drop_leading_zeros(n);
  assert(bignum__compare(n, divisor) < 0);
  return quotient;
}

/* bignum.h: unsigned integers of up to 3,000 bits, enough for every exact step between a decimal number and a
 * double. Private to apply/. */
#ifndef APPLY_BIGNUM_H
#define APPLY_BIGNUM_H

#include <stddef.h>
#include <stdint.h>

/* The largest number here is a decimal text of 801 digits, or the power of five it is divided by: about 2,700
 * bits either way. */
#define BIGNUM_LIMBS 96

typedef struct {
  uint32_t limbs[BIGNUM_LIMBS]; /* least significant first */
  size_t count;                 /* the last limb is never 0; the number 0 has none */
} bignum_t;

void
bignum__set (bignum_t *n, uint64_t value);

/** n = n × factor + term. */
void
bignum__multiply_add (bignum_t *n, uint32_t factor, uint32_t term);

/** n = n × 5^power. */
void
bignum__multiply_power_of_5 (bignum_t *n, unsigned power);

void
bignum__shift_left (bignum_t *n, unsigned bits);

/** How many bits the number has without leading zeros; 0 has none. */
unsigned
bignum__bits (const bignum_t *n);

/** <0, 0, >0. */
int
bignum__compare (const bignum_t *a, const bignum_t *b);

/** Compare a + b with c. */
int
bignum__compare_sum (const bignum_t *a, const bignum_t *b, const bignum_t *c);

/** Divide `n` by `divisor`, leave the remainder in `n` and return the quotient. The quotient must be below
 * 2^32, and the divisor's top limb must have its top bit set. */
uint32_t
bignum__divide (bignum_t *n, const bignum_t *divisor);

#endif

/* fuzz.h: what a fuzz target has besides its entry point.
 *
 * To add a target, write fuzz_NAME.c in this folder with two functions; nothing else names it:
 *
 *   int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
 *       decodes the input, calls fuzz_accepted() when the decoder took it, checks what must then hold (a
 *       canonical format encodes back to the same bytes), aborts when it does not, frees everything, returns
 * 0 void fuzz_seeds (void) reads recorded cases with vectors_each (support/vectors.h) and gives their bytes
 * to fuzz_seed
 *
 * `tests/fuzz NAME SECONDS` writes the seeds to build/fuzz/corpus/NAME, runs each of them once and then
 * mutates them for SECONDS. A target that accepts none of its corpus fails: it tests a decoder's first check.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "hypercore/ab.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/** Written by each target: its corpus, one fuzz_seed per input. */
void
fuzz_seeds (void);

void
fuzz_seed (ab_slice_t bytes);

/** The decoder accepted the current input. Counted, and printed when the process ends. */
void
fuzz_accepted (void);

#endif

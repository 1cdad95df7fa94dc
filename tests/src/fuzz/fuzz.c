/* fuzz.c: writing a corpus and counting what is accepted. */
#include "fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/vectors.h"

static const char *corpus; /* folder that fuzz_seed writes to */
static size_t seeds;
static size_t accepted;

int
LLVMFuzzerInitialize (int *argc, char ***argv);

void
fuzz_accepted (void) {
  accepted++;
}

void
fuzz_seed (ab_slice_t bytes) {
  char path[4096];
  snprintf(path, sizeof(path), "%s/%06zu", corpus, seeds++);
  FILE *file = fopen(path, "wb");
  if (file == NULL || fwrite(bytes.data, 1, bytes.len, file) != bytes.len || fclose(file) != 0) {
    perror(path);
    exit(1);
  }
}

static void
print_accepted (void) {
  fprintf(stderr, "accepted: %zu\n", accepted);
}

/* Called by libFuzzer before anything else. */
int
LLVMFuzzerInitialize (int *argc, char ***argv) {
  (void) argc;
  (void) argv;
  corpus = getenv("AUTOBEE_FUZZ_CORPUS");
  if (corpus != NULL) {
    fuzz_seeds();
    vectors_release();
    printf("seeds: %zu\n", seeds);
    exit(seeds > 0 ? 0 : 1);
  }
  atexit(print_accepted);
  return 0;
}

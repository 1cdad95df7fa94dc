/* data_file.h: a look at LMDB's file before LMDB touches its pages. Private to hypercore/.
 *
 * LMDB maps the file: a page that lies behind its end is a SIGBUS, not an error. So whether it is long enough
 * is found out from the two meta pages at its start, read as bytes.
 */
#ifndef AB_DATA_FILE_H
#define AB_DATA_FILE_H

#include "hypercore/ab.h"

typedef struct {
  bool exists;
  bool is_zero; /* no bytes, or none but zeros where the first meta page is: never written */
  bool is_lmdb;
  uint64_t bytes;
  size_t page_bytes; /* 0: not plausible */
  uint64_t needed;   /* bytes up to the last page in use */
} ab__data_file_t;

/** Returns 0 (also if there is no file) or an errno. */
int
ab__data_file_inspect (const char *path, ab__data_file_t *file);

#endif

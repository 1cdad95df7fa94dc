/* writer.h: Private to bee/. The core table of a core that is written to, as of its last block. */
#ifndef BEE_WRITER_H
#define BEE_WRITER_H

#include "bee/family.h"

/** Make `writer` that of core `number` at `length`; reads blocks only if it is not already. */
int
bee__writer_load (bee__writer_t *writer, bee__family_t *family, uint32_t number, uint64_t length);
/** Where the table has this core, from 1 on; appended if it is new. Returns 0 or AB_ENOMEM. */
int
bee__writer_index (bee__writer_t *writer, uint32_t core, uint32_t *index);
/** Drop the entries from `count` on. */
void
bee__writer_cut (bee__writer_t *writer, uint32_t count);
/** Encode the whole table. The first `stored` entries are as in the core's last table, the others are new. */
int
bee__writer_encode (
  const bee__writer_t *writer, bee__family_t *family, uint32_t number, uint32_t stored, ab_buf_t *out
);

#endif

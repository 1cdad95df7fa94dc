/* writer.c: the core table of a core that is written to. */
#include "bee/writer.h"

#include <stdlib.h>

static int
reserve (bee__writer_t *writer, uint32_t count, uint32_t cores) {
  if (count > writer->table_capacity) {
    uint32_t capacity = count * 2;
    uint32_t *table = realloc(writer->table, capacity * sizeof(*table));
    if (table == NULL) return AB_ENOMEM;
    writer->table = table;
    writer->table_capacity = capacity;
  }
  if (cores > writer->index_count) {
    uint32_t *indexes = realloc(writer->indexes, cores * sizeof(*indexes));
    if (indexes == NULL) return AB_ENOMEM;
    memset(indexes + writer->index_count, 0, (cores - writer->index_count) * sizeof(*indexes));
    writer->indexes = indexes;
    writer->index_count = cores;
  }
  return 0;
}

static int
add (bee__writer_t *writer, uint32_t core) {
  int err = reserve(writer, writer->table_count + 1, core + 1);
  if (err < 0) return err;
  writer->table[writer->table_count++] = core;
  if (writer->indexes[core] == 0) writer->indexes[core] = writer->table_count;
  return 0;
}

void
bee__writer_cut (bee__writer_t *writer, uint32_t count) {
  while (writer->table_count > count) {
    uint32_t core = writer->table[--writer->table_count];
    if (writer->indexes[core] == writer->table_count + 1) writer->indexes[core] = 0;
  }
}

static int
read_table (bee__writer_t *writer, bee__family_t *family, uint32_t number, uint64_t length) {
  bee__page_t *last, *table;
  uint32_t core;
  int err;

  if ((err = bee__family_page(family, number, length - 1, &last)) < 0) return err;
  writer->checkpoint = last->block.checkpoint;
  if (writer->checkpoint == 0) return 0;
  if ((err = bee__family_page(family, number, writer->checkpoint - 1, &table)) < 0) return err;
  for (uint64_t i = 1; i <= table->block.lists[BEE__CORES].count; i++) {
    if ((err = bee__family_resolve(family, last, i, &core)) < 0) return err;
    if ((err = add(writer, core)) < 0) return err;
  }
  return 0;
}

int
bee__writer_load (bee__writer_t *writer, bee__family_t *family, uint32_t number, uint64_t length) {
  uint64_t generation = family->cache->cores[number]->generation;
  if (length > 0 && writer->length == length && writer->generation == generation) return 0;
  bee__writer_cut(writer, 0);
  writer->length = 0;
  writer->checkpoint = 0;
  if (length > 0) {
    int err = read_table(writer, family, number, length);
    if (err < 0) return err;
  }
  writer->length = length;
  writer->generation = generation;
  return 0;
}

int
bee__writer_index (bee__writer_t *writer, uint32_t core, uint32_t *index) {
  if (core >= writer->index_count || writer->indexes[core] == 0) {
    int err = add(writer, core);
    if (err < 0) return err;
  }
  *index = writer->indexes[core];
  return 0;
}

int
bee__writer_encode (
  const bee__writer_t *writer, bee__family_t *family, uint32_t number, uint32_t stored, ab_buf_t *out
) {
  bee__page_t *page;
  ab_reader_t in;
  int err;

  if (writer->checkpoint > 0) { /* what others put into their entries is kept */
    if ((err = bee__family_page(family, number, writer->checkpoint - 1, &page)) < 0) return err;
    for (uint32_t i = 0; i < stored; i++) {
      bee__stored_core_t core;
      if ((err = bee__block_item(&page->block, BEE__CORES, i, &in)) < 0) return err;
      bee__read_stored_core(&in, &core);
      bee__write_stored_core(out, &core);
    }
  }
  for (uint32_t i = stored; i < writer->table_count; i++) {
    bee__stored_core_t core = {.key = *bee__family_key(family, writer->table[i])};
    bee__write_stored_core(out, &core);
  }
  return out->err;
}

/* history.c: what past batches wrote. */
#include "bee/handle.h"

static int
each_key (
  bee__family_t *family,
  bee__page_t *page,
  int (*each)(void *data, ab_slice_t key, ab_slice_t value, bool has_value),
  void *data
) {
  for (uint32_t i = 0; i < page->block.lists[BEE__KEYS].count; i++) {
    bee__stored_key_t key;
    ab_reader_t in;
    ab_slice_t value;
    bool has_value;
    bee__page_t *where;
    int err;

    if ((err = bee__block_item(&page->block, BEE__KEYS, i, &in)) < 0) return err;
    bee__read_stored_key(&in, &key);
    if ((err = bee__family_value(family, page, &key, &value, &has_value, &where)) < 0) return err;
    bee__page_pin(where); /* `each` may read from this very bee */
    err = each(data, key.key, value, has_value);
    bee__page_unpin(where);
    if (err != 0) return err;
  }
  return 0;
}

int
bee_change (
  bee_t *bee,
  const ab_head_t *head,
  bee_change_t *out,
  int (*each)(void *data, ab_slice_t key, ab_slice_t value, bool has_value),
  void *data
) {
  bee__family_t *family = bee->family;
  bee__page_t *page;
  uint32_t core;
  uint32_t previous;
  int err;

  bee__cache_trim(family->cache);
  if (head->length == 0) return AB_EINVAL;
  if ((err = bee__cache_number(family->cache, &head->key, &core)) < 0) return err;
  uint64_t last = head->length - 1;
  if ((err = bee__family_page(family, core, last, &page)) < 0) return err;
  bee__block_t block = page->block; /* its header: what it points to goes with the page */
  if (block.batch_end != 0) return bee__family_corrupt(family, core, last, "is not the end of a batch");
  if (block.batch_start > last)
    return bee__family_corrupt(family, core, last, "counts blocks before the first");

  bee_change_t change = {.head = *head, .previous = {.key = head->key}, .blocks = block.batch_start + 1};
  if (block.has_previous) {
    if ((err = bee__family_resolve(family, page, block.previous_core, &previous)) < 0) return err;
    change.previous.key = *bee__family_key(family, previous);
    change.previous.length = block.previous_seq + 1;
  }
  for (uint64_t seq = last; each != NULL; seq--) {
    if ((err = bee__family_page(family, core, seq, &page)) < 0) return err;
    bee__page_pin(page);
    err = each_key(family, page, each, data);
    bee__page_unpin(page);
    if (err != 0) return err;
    bee__cache_trim(family->cache);
    if (seq == last - block.batch_start) break;
  }
  *out = change;
  return 0;
}

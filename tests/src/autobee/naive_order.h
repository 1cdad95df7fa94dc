/* naive_order.h: the order of autobee.md 9 in its plain forms, too slow for anything but tests. */
#ifndef NAIVE_ORDER_H
#define NAIVE_ORDER_H

#include "autobee/order.h"

/** The order of all entries from scratch (9.2); `order` gets positions. Entries have no backers. */
void
naive_order (const order_entry_t *entries, size_t count, size_t *order);

/**
 * Insert `node` by the recursion of 9.3, entry by entry. `order` gets count + 1 positions, `count` is the
 * node. Exponential for chains of ever better nodes: keep windows small.
 */
void
naive_place (
  const order_entry_t *window, size_t count, const order_entry_t *node, const ab_head_t *backer, size_t *order
);

/** Is every entry behind its predecessor and everything it links, as far as they are there? */
bool
naive_is_causal (const order_entry_t *entries, const size_t *order, size_t count);

#endif

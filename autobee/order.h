/* order.h: where a batch belongs. Private to autobee/, and pure: no I/O, clock, store or globals.
 *
 *   Units are batches, each represented by its first node. One compares before another if it is heavier, then
 * older, then its key is lower, then its length. The order of a set of batches is: go through them as they
 * compare, and before placing one place its ancestors that are not placed yet, by the same rule among
 * themselves.
 *
 *   autobee__order_place keeps such an order up to date when one batch arrives. The batches at the end of the
 * order that the new one compares before are the window:
 *
 *     … T │ a  x  b  y  c        N compares before all of a … c and after T; a, c are its ancestors
 *     … T │ a' c' N  x  b  y     a', c': the ancestors, ordered among themselves; the rest keeps its order
 *
 * Invariant  an entry never stands before its predecessor or a node it links
 * To change  the order: here, and then it is another database
 */
#ifndef AUTOBEE_ORDER_H
#define AUTOBEE_ORDER_H

#include "hypercore/ab.h"
#include "hypercore/buf.h"

typedef struct {
  ab_key_t writer;
  uint64_t first; /* length of the batch's first node, 1 or more */
  uint64_t last;  /* and of its last */
  uint64_t weight;
  uint64_t timestamp_ms;  /* of the first node, as stored in its message */
  const ab_head_t *links; /* of the first node; borrowed */
  size_t link_count;
  uint64_t id; /* the caller's; not read here */
} order_entry_t;

/** <0: `a` comes before `b`; >0: behind. 0 only for the same batch. Links play no part. */
int
autobee__order_compare (const order_entry_t *a, const order_entry_t *b);

static inline bool
order_before (const order_entry_t *a, const order_entry_t *b) {
  return autobee__order_compare(a, b) < 0;
}

#define ORDER_WINDOW_MAX ((size_t) 1 << 30)

/**
 * Insert `node` behind or among the `count` entries of the window.
 *
 * window   the end of the order, oldest first: every entry from the end that `node` compares before, up to
 *          the first that compares before `node`. More of the order may be given and costs nothing
 * node     not in the window; everything it is written on top of is in the order already
 * backer   the head its witness names, or NULL: an ancestor like a link, but of `node` only
 * arena    gets `order`; what else is needed is released before the return
 * changed  the first position of the new order whose entry is not the one that stood there; `count` if
 *          `node` goes to the end. The entries of the window from here on are undone
 * order    the new order from `changed` on: count + 1 - changed positions in the window, `count` is `node`
 *
 * Takes O(n log n) for n, the entries that `node` compares before and their links: no crafted graph makes it
 * slow. Returns 0, AB_ENOMEM, or AB_ETOOBIG for more than ORDER_WINDOW_MAX such entries.
 */
int
autobee__order_place (
  const order_entry_t *window,
  size_t count,
  const order_entry_t *node,
  const ab_head_t *backer,
  ab_arena_t *arena,
  size_t *changed,
  size_t **order
);

#endif

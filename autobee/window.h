/* window.h: the recent order in memory. Private to autobee/.
 *
 *   history of the system bee   … f3 f4 f5 f6 f7
 *   window                            f5 f6 f7      oldest first; grows backwards when an insert asks for it
 *
 * Bounded: the oldest entries are dropped and read again when they are needed.
 */
#ifndef AUTOBEE_WINDOW_H
#define AUTOBEE_WINDOW_H

#include "autobee/batch.h"

#define WINDOW_MAX 8192 /* entries kept by a push; an insert may make it larger for a while */

typedef struct {
  ab_key_t writer;
  uint64_t first; /* length of the first node; with is_loaded */
  uint64_t last;
  uint64_t weight; /* as recorded */
  uint64_t timestamp_ms;
  ab_head_t before; /* the system's head that the flush was written on: where undoing it leads */
  ab_head_t *links; /* of the first node, owned; with is_loaded */
  size_t link_count;
  bool is_loaded;
  bool is_plain; /* known to have granted and removed nobody */
} window_entry_t;

typedef struct {
  window_entry_t *ring;
  size_t capacity; /* a power of two, or 0 */
  size_t start;
  size_t count;
} window_t;

void
autobee__window_destroy (window_t *window);
/** Keep the oldest `count` entries. */
void
autobee__window_cut (window_t *window, size_t count);
/** Copy what the first node of its batch says. Returns 0 or AB_ENOMEM. */
int
autobee__window_load (window_entry_t *entry, const batch_t *batch);
/** Both take over entry->links on success. Return 0 or AB_ENOMEM. */
int
autobee__window_push (window_t *window, const window_entry_t *entry);
int
autobee__window_prepend (window_t *window, const window_entry_t *entry);

/** Entry `i`, 0 being the oldest. Valid until the next push or prepend. */
static inline window_entry_t *
window_at (const window_t *window, size_t i) {
  return &window->ring[(window->start + i) & (window->capacity - 1)];
}

#endif

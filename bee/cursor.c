/* cursor.c: ranges of a tree, in both directions.
 *
 *   frames       the nodes on the way to the present place, pinned; `next` is the number of the key that
 *                comes next (forward), or one more than that (reverse)
 *   pending      a child that comes before that key and is not on the frames yet
 *
 * A step first loads what it needs, then moves: on an error the place is kept and the call can be repeated.
 * Keys have to ascend strictly, so a damaged tree cannot keep a cursor busy for ever.
 */
#include <stdlib.h>

#include "bee/handle.h"
#include "hypercore/internal.h"

#define AHEAD_MIN 2 /* entries whose blocks are asked for at once */
#define AHEAD_MAX 128

typedef struct {
  bee__node_t *node;
  uint32_t next;
  bool is_pinned;
} frame_t;

struct bee_cursor_s {
  bee__family_t *family;
  bee_batch_t *batch; /* NULL: of a stored tree */
  uint64_t version;   /* of the batch's content */
  bee_range_t range;
  ab_buf_t bounds;
  uint32_t root_core;
  uint64_t root_length;
  uint64_t generation; /* of the root's core; what was dropped may have been written anew */
  uint64_t fork;
  bool is_committed; /* was the root when the cursor was opened? */
  bool is_open;      /* the seek has begun */
  bool is_seeking;   /* the first bound still decides which way to go down */
  bool has_pending;
  uint32_t pending_at; /* the child's number in the last frame's node; the root if there is no frame */
  uint32_t depth;
  uint64_t delivered;
  bee__held_t held;
  bool has_last;
  ab_slice_t last;              /* key, in what is held or in the batch */
  const bee__node_t *last_node; /* only to compare with */
  bee_cursor_t *next;
  bee_cursor_t **link;
  frame_t frames[BEE__DEPTH_MAX];
};

/* ---- opening ---- */

static void
clear_frames (bee_cursor_t *cursor) {
  while (cursor->depth > 0) {
    frame_t *frame = &cursor->frames[--cursor->depth];
    if (frame->is_pinned) bee__node_unpin(frame->node);
  }
  bee__held_release(&cursor->held);
}

static void
detach (bee_cursor_t *cursor) {
  if (cursor->link == NULL) return;
  *cursor->link = cursor->next;
  if (cursor->next != NULL) cursor->next->link = cursor->link;
  cursor->link = NULL;
}

void
bee_cursor_close (bee_cursor_t *cursor) {
  if (cursor == NULL) return;
  clear_frames(cursor);
  detach(cursor);
  ab_buf_destroy(&cursor->bounds);
  bee__family_release(cursor->family);
  free(cursor);
}

void
bee__cursors_end (bee_batch_t *batch) {
  while (batch->cursors != NULL) {
    bee_cursor_t *cursor = batch->cursors;
    clear_frames(cursor);
    detach(cursor);
    cursor->version = UINT64_MAX; /* every further call fails */
  }
}

static int
create (bee__family_t *family, const bee_range_t *range, bee_cursor_t **out) {
  bee_cursor_t *cursor = calloc(1, sizeof(*cursor));
  if (cursor == NULL) return AB_ENOMEM;
  if (range != NULL) {
    cursor->range = *range;
    if (range->has_lower) ab_buf_append(&cursor->bounds, range->lower);
    if (range->has_upper) ab_buf_append(&cursor->bounds, range->upper);
    if (cursor->bounds.err < 0) {
      free(cursor);
      return AB_ENOMEM;
    }
    size_t lower = range->has_lower ? range->lower.len : 0;
    if (range->has_lower) cursor->range.lower = ab_slice(cursor->bounds.data, lower);
    if (range->has_upper && range->upper.len > 0) cursor->range.upper.data = cursor->bounds.data + lower;
  }
  cursor->family = bee__family_retain(family);
  *out = cursor;
  return 0;
}

int
bee_cursor_open (bee_t *bee, const bee_range_t *range, bee_cursor_t **out) {
  hypercore_t *core;
  int err;
  if (bee->root_length > 0 && (err = bee__family_core(bee->family, bee->root_core, &core)) < 0) return err;
  if ((err = create(bee->family, range, out)) < 0) return err;
  bee_cursor_t *cursor = *out;
  cursor->root_core = bee->root_core;
  cursor->root_length = bee->root_length;
  if (bee->root_length == 0) return 0;
  cursor->generation = hypercore_generation(core);
  cursor->fork = hypercore_fork(core);
  cursor->is_committed = bee->root_length <= hypercore_floor(core);
  return 0;
}

int
bee_batch_cursor_open (bee_batch_t *batch, const bee_range_t *range, bee_cursor_t **out) {
  int err = create(batch->family, range, out);
  if (err < 0) return err;
  bee_cursor_t *cursor = *out;
  cursor->batch = batch;
  cursor->version = batch->version;
  cursor->next = batch->cursors;
  cursor->link = &batch->cursors;
  if (cursor->next != NULL) cursor->next->link = &cursor->next;
  batch->cursors = cursor;
  return 0;
}

/* ---- moving ---- */

static int
check_valid (bee_cursor_t *cursor) {
  ab_store_t *store = cursor->family->store;
  hypercore_t *core;
  int err;

  if (cursor->batch != NULL) {
    if (cursor->link != NULL && cursor->version == cursor->batch->version) return 0;
    return ab_store_fail(store, AB_EINVAL, "the batch was written to since this cursor was opened");
  }
  if (cursor->root_length == 0) return 0;
  if ((err = bee__family_core(cursor->family, cursor->root_core, &core)) < 0) return err;
  if (hypercore_generation(core) == cursor->generation) return 0;
  if (cursor->is_committed && hypercore_fork(core) == cursor->fork) return 0;
  return ab_store_fail(store, AB_ECONFLICT, "the version that this cursor reads was dropped");
}

static int
load_pending (bee_cursor_t *cursor, bee__node_t **out) {
  frame_t *top = cursor->depth == 0 ? NULL : &cursor->frames[cursor->depth - 1];
  if (cursor->batch != NULL) {
    if (top == NULL) return bee__batch_root(cursor->batch, out);
    return bee__batch_child(cursor->batch, top->node, cursor->pending_at, out);
  }
  if (top == NULL) return bee__family_root(cursor->family, cursor->root_core, cursor->root_length, out);
  return bee__family_child(cursor->family, top->node, cursor->pending_at, out);
}

/* Where to start in a node: `next` as in a frame, and what to do about the child next to it: search it for
 * the bound too, or skip it because all of it lies outside. */
static int
seek_in (bee_cursor_t *cursor, bee__node_t *node, uint32_t *next, bool *seek, bool *skip) {
  const bee_range_t *range = &cursor->range;
  bool found;

  *seek = *skip = false;
  *next = range->reverse ? node->key_count : 0;
  if (!cursor->is_seeking) return 0;
  int err =
    bee__node_search(cursor->family, node, range->reverse ? range->upper : range->lower, NULL, next, &found);
  if (err < 0) return err;
  *seek = !found;
  if (!found) return 0;
  bool is_open = range->reverse ? range->upper_open : range->lower_open;
  *skip = !is_open;
  if (range->reverse != is_open) ++*next;
  return 0;
}

/* Take the pending child onto the frames. */
static int
descend (bee_cursor_t *cursor) {
  bee__node_t *node;
  uint32_t next;
  bool seek;
  bool skip;
  int err;

  if ((err = load_pending(cursor, &node)) < 0) return err;
  if (cursor->depth == BEE__DEPTH_MAX) {
    return bee__family_corrupt(
      cursor->family, node->place.core, node->place.seq, "lies deeper than any tree"
    );
  }
  if ((err = seek_in(cursor, node, &next, &seek, &skip)) < 0) return err;
  frame_t *frame = &cursor->frames[cursor->depth++];
  *frame = (frame_t){.node = node, .next = next, .is_pinned = node->page != NULL};
  if (frame->is_pinned) bee__node_pin(node);
  cursor->is_seeking = seek;
  cursor->has_pending = node->child_count > 0 && !skip;
  cursor->pending_at = next;
  return 0;
}

/* Is `key` beyond the bound at which this cursor ends? */
static bool
is_past (const bee_cursor_t *cursor, ab_slice_t key) {
  const bee_range_t *range = &cursor->range;
  bool reverse = range->reverse;
  if (!(reverse ? range->has_lower : range->has_upper)) return false;
  int order = ab_slice_compare(key, reverse ? range->lower : range->upper);
  if (reverse) order = -order;
  return order > 0 || (order == 0 && (reverse ? range->lower_open : range->upper_open));
}

/* Entries of one leaf lie in many blocks. Have the processor fetch those of the next ones while this one is
 * used: each in three steps, as each needs what the one before it brought. */
static void
fetch_ahead (const bee_cursor_t *cursor, const bee__node_t *node, uint32_t i) {
  const bee__cache_t *cache = cursor->family->cache;
  bool reverse = cursor->range.reverse;
  for (uint32_t step = 0; step < 3; step++) {
    uint32_t ahead = 4 * (step + 1);
    if (reverse ? i < ahead : i + ahead >= node->key_count) return;
    const bee__ref_t *ref = &node->keys[reverse ? i - ahead : i + ahead];
    if (ref->core == BEE__FRESH || ref->seq == node->keys[i].seq) continue;
    if (step == 0) bee__cache_prefetch_key(cache, ref->core, ref->seq, ref->at & ~BEE__KNOWN);
    else if (step == 1) bee__cache_prefetch_offset(cache, ref->core, ref->seq, ref->at & ~BEE__KNOWN);
    else bee__cache_prefetch_page(cache, ref->core, ref->seq);
  }
}

/* Does key `i` of the node come after the last one? Where the prefixes tell, the keys are not looked at. */
static bool
is_in_order (const bee_cursor_t *cursor, const frame_t *top, uint32_t i, ab_slice_t key) {
  const bee__node_t *node = top->node;
  bool reverse = cursor->range.reverse;
  if (!cursor->has_last) return true;
  if (cursor->last_node == node && (reverse ? i + 1 < node->key_count : i > 0)) {
    uint32_t last = reverse ? i + 1 : i - 1;
    uint32_t known = node->keys[i].at & node->keys[last].at & BEE__KNOWN;
    uint64_t low = node->prefixes[reverse ? i : last];
    uint64_t high = node->prefixes[reverse ? last : i];
    if (known != 0 && node->child_count == 0 && low < high) return true;
  }
  int order = ab_slice_compare(key, cursor->last);
  return reverse ? order < 0 : order > 0;
}

static int
deliver (bee_cursor_t *cursor, frame_t *top, bee_entry_t *entry) {
  bool reverse = cursor->range.reverse;
  uint32_t i = reverse ? top->next - 1 : top->next;
  const bee__ref_t *ref = &top->node->keys[i];
  bee__held_t held = {0};
  int err;

  fetch_ahead(cursor, top->node, i);
  if (ref->core == BEE__FRESH) err = bee__batch_entry(cursor->batch, ref, entry);
  else err = bee__family_read(cursor->family, ref, &cursor->held, &held, entry);
  if (err < 0) return err;
  if (!is_in_order(cursor, top, i, entry->key)) {
    bee__held_release(&held);
    return bee__family_corrupt(
      cursor->family, top->node->place.core, top->node->place.seq, "has keys out of order"
    );
  }
  if (is_past(cursor, entry->key)) {
    bee__held_release(&held);
    clear_frames(cursor);
    cursor->has_pending = false;
    return AB_EEND;
  }
  bee__held_release(&cursor->held);
  cursor->held = held;
  cursor->last = entry->key;
  cursor->last_node = top->node;
  cursor->has_last = true;
  cursor->delivered++;
  top->next = reverse ? i : i + 1;
  cursor->has_pending = top->node->child_count > 0;
  cursor->pending_at = top->next;
  return 0;
}

/* Ask for the block behind a reference, if it is not here. */
static void
want (bee__family_t *family, const bee__ref_t *ref) {
  hypercore_t *core;
  ab_slice_t block;
  if (ref->core == BEE__FRESH || bee__family_core(family, ref->core, &core) < 0) return;
  (void) hypercore_get(core, ref->seq, &block);
}

/* A block is missing: name those that come after it in this node too, more of them the longer the walk
 * already is. So whoever fetches what was named and repeats the call does not wait for each block by itself.
 */
static void
want_ahead (const bee_cursor_t *cursor) {
  if (cursor->depth == 0) return;
  const frame_t *top = &cursor->frames[cursor->depth - 1];
  const bee__node_t *node = top->node;
  bool reverse = cursor->range.reverse;
  uint64_t count = cursor->delivered < AHEAD_MIN ? AHEAD_MIN : cursor->delivered;
  if (count > AHEAD_MAX) count = AHEAD_MAX;
  uint64_t left = cursor->range.limit - cursor->delivered;
  if (cursor->range.limit > 0 && left < count) count = left;
  uint32_t key = top->next, child = cursor->pending_at;
  for (; count > 0; count--) {
    if (reverse) key--, child--; /* past 0 they are past the end, too */
    if (key < node->key_count) want(cursor->family, &node->keys[key]);
    if (child < node->child_count) want(cursor->family, &node->children[child]);
    if (!reverse) key++, child++;
  }
}

static int
next_entry (bee_cursor_t *cursor, bee_entry_t *entry) {
  for (;;) {
    if (cursor->has_pending) {
      int err = descend(cursor);
      if (err < 0) return err;
      continue;
    }
    if (cursor->depth == 0) return AB_EEND;
    frame_t *top = &cursor->frames[cursor->depth - 1];
    if (top->next != (cursor->range.reverse ? 0 : top->node->key_count)) return deliver(cursor, top, entry);
    if (top->is_pinned) bee__node_unpin(top->node);
    cursor->depth--;
  }
}

static void
begin (bee_cursor_t *cursor) {
  cursor->is_open = true;
  cursor->is_seeking = cursor->range.reverse ? cursor->range.has_upper : cursor->range.has_lower;
  cursor->has_pending = cursor->batch != NULL || cursor->root_length > 0;
}

int
bee_cursor_next (bee_cursor_t *cursor, bee_entry_t *entry) {
  int err;

  bee__cache_trim(cursor->family->cache);
  if ((err = check_valid(cursor)) < 0) return err;
  if (!cursor->is_open) begin(cursor);
  if (cursor->range.limit > 0 && cursor->delivered == cursor->range.limit) return AB_EEND;
  err = next_entry(cursor, entry);
  if (err == AB_EREMOTE) want_ahead(cursor);
  return err;
}

/* compare.c: another peer's state, as it recorded it, against ours.
 *
 *   The last node of a writer's log that carries a stamp names a head of its system. That bee's history is
 * the order the peer had then, and says for each batch which view it had come to:
 *
 *     ours     a1 b1 a2 b2 c1        as far as both are the same, the views have to be; of what comes then
 *     theirs   a1 b1 a2 c1 b2        the order differs only if both know the same batches
 */
#include "autobee/batch.h"
#include "autobee/engine.h"
#include "autobee/grow.h"
#include "autobee/log.h"
#include "autobee/record.h"
#include "autobee/writer.h"

#include <stdlib.h>

#define LOOK_BACK 64                 /* batches, for one with a stamp */
#define AHEAD_MAX ((size_t) 1 << 16) /* batches more than ours: a crafted history may be a loop */

typedef struct {
  ab_head_t node; /* the last one of its batch */
  uint64_t weight;
  ab_head_t system; /* after it */
} place_t;

typedef struct {
  place_t *places; /* oldest first */
  size_t count;
  size_t capacity;
} history_t;

/* ---- reading ---- */

/* The last stamp of the writer, which wrote `length` nodes. */
static int
find_stamp (autobee_t *db, const ab_key_t *writer, uint64_t length, ab_head_t *node, ab_head_t *system) {
  for (int i = 0; i < LOOK_BACK && length > 0; i++) {
    batch_t *batch;
    int err = autobee__batch_load(db, writer, length, &batch);
    if (err < 0) return err;
    const oplog_message_t *message = &batch_last(batch)->message;
    bool has_stamp = message->has_views;
    *node = (ab_head_t){*writer, length};
    *system = (ab_head_t){message->system.key, message->system.start + message->system.length};
    length = batch_first(batch)->length - 1;
    autobee__batch_release(batch);
    if (has_stamp) return 0;
  }
  return AB_ENOTFOUND;
}

static int
read_history (autobee_t *db, ab_head_t head, size_t max, history_t *out) {
  while (head.length > 0) {
    system_flush_t flush;
    int err = autobee__system_history(&db->system, &head, &flush);
    if (err == AB_EREMOTE) autobee__log_want(db, &head);
    if (err == 0 && out->count == max) err = AB_ETOOBIG;
    if (err < 0) return err;
    place_t *places = grown(out->places, &out->capacity, out->count + 1, sizeof(place_t));
    if (places == NULL) return AB_ENOMEM;
    out->places = places;
    places[out->count++] = (place_t){{flush.writer, flush.record.length}, flush.record.weight, head};
    head = flush.before;
  }
  for (size_t i = 0, j = out->count; i + 1 < j; i++) {
    place_t place = out->places[i];
    out->places[i] = out->places[--j];
    out->places[j] = place;
  }
  return 0;
}

static int
view_at (autobee_t *db, const ab_head_t *system, ab_head_t *view) {
  bee_t *bee;
  bee_entry_t entry;
  record_info_t info;
  ab_arena_t arena = {0};
  int err = bee_checkout(db->system.bee, system, &bee);
  if (err < 0) return err;
  err = bee_get(bee, autobee__record_info_key(), &entry);
  if (err == 0) err = autobee__record_info_decode(entry.value, &arena, &info);
  if (err == 0) *view = info.view;
  ab_arena_destroy(&arena);
  bee_close(bee);
  return err;
}

/* ---- the views ---- */

static int
compare_cursors (bee_cursor_t *a, bee_cursor_t *b, bool *is_equal) {
  bee_entry_t of_a, of_b;
  for (*is_equal = true; *is_equal;) {
    int had = bee_cursor_next(a, &of_a), has = bee_cursor_next(b, &of_b);
    if (had < 0 && had != AB_EEND) return had;
    if (has < 0 && has != AB_EEND) return has;
    *is_equal = had == has;
    if (had == AB_EEND || has == AB_EEND) return 0;
    *is_equal = ab_slice_equal(of_a.key, of_b.key) && ab_slice_equal(of_a.value, of_b.value);
  }
  return 0;
}

static int
compare_views (autobee_t *db, const place_t *a, const place_t *b, bool *is_equal) {
  ab_head_t views[2];
  bee_t *bees[2] = {NULL, NULL};
  bee_cursor_t *cursors[2] = {NULL, NULL};
  int err = view_at(db, &a->system, &views[0]);
  if (err == 0) err = view_at(db, &b->system, &views[1]);
  *is_equal = err == 0 && ab_head_equal(&views[0], &views[1]);
  for (int i = 0; i < 2 && err == 0 && !*is_equal; i++) {
    err = bee_checkout(db->view, &views[i], &bees[i]);
    if (err == 0) err = bee_cursor_open(bees[i], NULL, &cursors[i]);
  }
  if (err == 0 && !*is_equal) err = compare_cursors(cursors[0], cursors[1], is_equal);
  for (int i = 0; i < 2; i++) {
    bee_cursor_close(cursors[i]);
    if (bees[i] != NULL) bee_close(bees[i]);
  }
  return err;
}

/* The views after the first `count` batches; if they differ, `count` becomes one after which they are equal
 * and after the next batch not. */
static int
search_views (autobee_t *db, const history_t *ours, const history_t *theirs, size_t *count) {
  bool is_equal = true;
  size_t equal = 0, different = *count;
  int err = 0;
  if (*count > 0) err = compare_views(db, &ours->places[*count - 1], &theirs->places[*count - 1], &is_equal);
  if (err < 0 || is_equal) return err;
  while (different - equal > 1) {
    size_t middle = equal + (different - equal) / 2;
    err = compare_views(db, &ours->places[middle - 1], &theirs->places[middle - 1], &is_equal);
    if (err < 0) return err;
    if (is_equal) equal = middle;
    else different = middle;
  }
  *count = equal;
  return 0;
}

/* ---- the order ---- */

static size_t
count_equal (const history_t *ours, const history_t *theirs) {
  size_t i = 0;
  for (; i < ours->count && i < theirs->count; i++) {
    const place_t *a = &ours->places[i], *b = &theirs->places[i];
    if (!ab_head_equal(&a->node, &b->node) || a->weight != b->weight) break;
  }
  return i;
}

static int
compare_places (const void *a, const void *b) {
  const place_t *x = a, *y = b;
  int order = ab_key_compare(&x->node.key, &y->node.key);
  return order != 0 ? order : (x->node.length > y->node.length) - (x->node.length < y->node.length);
}

/* Do both know the same batches? Sorts what comes after the first `from`. */
static bool
have_same_nodes (history_t *ours, history_t *theirs, size_t from) {
  if (ours->count != theirs->count) return false;
  qsort(ours->places + from, ours->count - from, sizeof(place_t), compare_places);
  qsort(theirs->places + from, theirs->count - from, sizeof(place_t), compare_places);
  for (size_t i = from; i < ours->count; i++) {
    if (!ab_head_equal(&ours->places[i].node, &theirs->places[i].node)) return false;
  }
  return true;
}

static int
compare_histories (autobee_t *db, history_t *ours, history_t *theirs, autobee_comparison_t *out) {
  size_t count = count_equal(ours, theirs), equal = count;
  int err = search_views(db, ours, theirs, &equal);
  if (err < 0) return err;
  out->equal = equal;
  if (equal < ours->count) out->ours = ours->places[equal].node;
  if (equal < theirs->count) out->theirs = theirs->places[equal].node;
  if (equal < count) out->outcome = AUTOBEE_VIEW_DIFFERS;
  else if (count == ours->count && count == theirs->count) out->outcome = AUTOBEE_SAME;
  else out->outcome = have_same_nodes(ours, theirs, count) ? AUTOBEE_ORDER_DIFFERS : AUTOBEE_INCOMPARABLE;
  return 0;
}

int
autobee_compare (autobee_t *db, const ab_key_t *writer, autobee_comparison_t *out) {
  history_t ours = {0}, theirs = {0};
  autobee_comparison_t comparison = {0};
  record_writer_t record;
  ab_head_t system;
  int err = autobee__enter(db);
  if (err == 0) err = autobee__system_record(&db->system, writer, &record);
  if (err == 0) err = find_stamp(db, writer, record.length, &comparison.node, &system);
  if (err == 0) err = read_history(db, db->published_system, SIZE_MAX, &ours);
  if (err == 0) err = read_history(db, system, ours.count + AHEAD_MAX, &theirs);
  if (err == 0) err = compare_histories(db, &ours, &theirs, &comparison);
  if (err == 0) *out = comparison;
  free(ours.places);
  free(theirs.places);
  return err;
}

#include "autobee/fill.h"

#include "autobee/cores.h"
#include "autobee/record.h"
#include "autobee/replicate.h"

#define SLICE 512 /* entries between two looks at the clock */

/* User data of ours: the heads whose trees are not whole here. */
static const char *const names[] = {"autobee/filling-system", "autobee/filling-view"};

static bee_t *
bee_of (const autobee_t *db, int which) {
  return which == 0 ? db->system.bee : db->view;
}

/* Empty once nothing is missing. */
static int
store_heads (autobee_t *db) {
  int err = 0;
  for (int i = 0; i < 2 && err == 0; i++) {
    ab_buf_t link = {0};
    if (db->fill.is_begun) autobee__record_link_encode(&link, &db->fill.heads[i]);
    err = link.err;
    if (err == 0) err = autobee__set_user_data(db->local->core, names[i], ab_buf_slice(&link));
    ab_buf_destroy(&link);
  }
  return err;
}

static void
close_walk (autobee_t *db) {
  bee_cursor_close(db->fill.cursor);
  if (db->fill.bee != NULL) bee_close(db->fill.bee);
  db->fill.cursor = NULL;
  db->fill.bee = NULL;
}

static void
begin (autobee_t *db) {
  close_walk(db);
  db->fill.which = 0;
  db->fill.is_begun = true;
  db->fill.arrivals = db->arrivals - 1; /* one try at once */
}

int
autobee__fill_begin (autobee_t *db) {
  if (db->options.sparse) return 0;
  db->fill.heads[0] = db->system.head;
  db->fill.heads[1] = db->system.view;
  begin(db);
  return store_heads(db);
}

int
autobee__fill_resume (autobee_t *db) {
  for (int i = 0; i < 2; i++) {
    ab_slice_t stored;
    int err = hypercore_user_data(db->local->core, names[i], &stored);
    if (err == AB_ENOTFOUND || (err == 0 && stored.len == 0)) return 0;
    if (err < 0 || (err = autobee__record_link_decode(stored, &db->fill.heads[i])) < 0) return err;
  }
  if (!db->options.sparse) begin(db);
  return 0;
}

/* The walk over one of the two trees. 1: not at its end yet. */
static int
walk (autobee_t *db) {
  fill_t *fill = &db->fill;
  bee_entry_t entry;
  int err = 0;
  if (fill->bee == NULL) {
    err = bee_checkout(bee_of(db, fill->which), &fill->heads[fill->which], &fill->bee);
  }
  if (err == 0 && fill->cursor == NULL) err = bee_cursor_open(fill->bee, NULL, &fill->cursor);
  for (int i = 0; err == 0 && i < SLICE; i++) err = bee_cursor_next(fill->cursor, &entry);
  return err == 0 ? 1 : err;
}

int
autobee__fill (autobee_t *db) {
  fill_t *fill = &db->fill;
  if (!fill->is_begun || fill->arrivals == db->arrivals) return 0;
  int err = walk(db);
  if (err == AB_EREMOTE) {
    fill->arrivals = db->arrivals; /* not worth another try before something came */
    return 0;
  }
  if (err != AB_EEND) return err;
  close_walk(db);
  if (++fill->which < 2) return 1;
  fill->is_begun = false;
  return store_heads(db);
}

bool
autobee__fill_is_due (const autobee_t *db) {
  return db->fill.is_begun && autobee__replicate_is_connected(db);
}

void
autobee__fill_end (autobee_t *db) {
  close_walk(db);
  db->fill.is_begun = false;
}

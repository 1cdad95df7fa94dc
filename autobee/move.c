#include "autobee/move.h"

#include "autobee/cores.h"
#include "autobee/run.h"
#include "autobee/writer.h"

#define LOOK_BACK 64 /* nodes, for one with a stamp */

/* The system head that the node is stamped with. */
static int
stamped_head (autobee_t *db, hypercore_t *core, uint64_t length, ab_head_t *out) {
  bool has_cipher = false;
  int err = autobee__writer_cipher(db, core, &has_cipher);
  if (err < 0) return err;
  for (unsigned i = 0; i < LOOK_BACK && length > 0; i++, length--) {
    ab_slice_t block;
    ab_arena_t arena = {0};
    oplog_message_t message;
    if ((err = hypercore_get(core, length - 1, &block)) < 0) return err;
    err = autobee__oplog_decode(block, &arena, &message);
    ab_arena_destroy(&arena);
    if (err < 0) return err;
    if (!message.has_views) continue;
    out->key = message.system.key;
    out->length = message.system.start + message.system.length;
    return 0;
  }
  return AB_ENOTFOUND;
}

int
autobee__move_to (autobee_t *db, const ab_head_t *head) {
  hypercore_t *core;
  int err = autobee__writer_core(db, &head->key, &core);
  if (err < 0) return err;
  err = stamped_head(db, core, head->length, &db->move_to);
  hypercore_close(core);
  if (err < 0) return err;
  db->has_move = true;
  db->is_bumped = true;
  return 0;
}

/* What the state needs at once is here: the records of its heads, and the view's last block. */
static int
check_state (autobee_t *db) {
  for (size_t i = 0; i < db->system.head_count; i++) {
    record_writer_t record;
    int err = autobee__system_record(&db->system, &db->system.heads[i].key, &record);
    if (err < 0) return err == AB_ENOTFOUND ? AB_ECORRUPT : err;
  }
  const ab_head_t *view = &db->system.view;
  hypercore_t *core;
  ab_slice_t block;
  if (view->length == 0) return AB_ECORRUPT;
  int err = autobee__open_view_core(db, &view->key, &core);
  if (err < 0) return err;
  err = hypercore_get(core, view->length - 1, &block);
  hypercore_close(core);
  return err;
}

int
autobee__move_now (autobee_t *db) {
  ab_head_t from = db->system.head;
  ab_head_t to = db->move_to;
  db->has_move = false;
  int err = autobee__move(db, &to);
  if (err == 0) err = check_state(db);
  if (err < 0) return autobee__move(db, &from); /* given up, silently */
  autobee__window_cut(&db->window, 0);
  db->undone_to = 0;

  if ((err = autobee__writers_refresh(db)) < 0) return err;
  autobee_event_t event = {.kind = AUTOBEE_EVENT_MOVED, .from = from, .to = to};
  autobee__event(db, &event, NULL);
  return 0;
}

#include "autobee/reindex.h"

#include <stdlib.h>

#include "autobee/cores.h"
#include "autobee/fill.h"
#include "autobee/forward.h"
#include "autobee/run.h"
#include "autobee/writer.h"

#define ASKED "autobee/reindexing" /* ours: empty, or a 1: the stored view is to be made anew */

static int
note (autobee_t *db, bool asked) {
  return autobee__set_user_data(db->local->core, ASKED, asked ? ab_text("\1") : ab_slice(NULL, 0));
}

int
autobee_reindex (autobee_t *db) {
  int err = autobee__enter(db);
  if (err < 0) return err;
  if (ab_store_options(db->store)->read_only)
    return ab_store_fail(db->store, AB_EREADONLY, "a store that is open read-only cannot be reindexed");
  if ((err = note(db, true)) < 0) return err;
  db->reindex.is_asked = true;
  db->is_bumped = true;
  db->halted = 0; /* by the apply function that was */
  return 0;
}

int
autobee__reindex_resume (autobee_t *db) {
  ab_slice_t stored;
  int err = hypercore_user_data(db->local->core, ASKED, &stored);
  if (err == AB_ENOTFOUND) return 0;
  db->reindex.is_asked = err == 0 && stored.len > 0;
  return err;
}

/* What has to be applied again before the new view says as much as the old one. */
static int
remember_goal (autobee_t *db) {
  reindex_t *reindex = &db->reindex;
  if (reindex->is_active) return 0; /* begun anew: the goal is what it was */
  ab_head_t *goal = malloc((db->system.head_count + 1) * sizeof(*goal));
  if (goal == NULL) return AB_ENOMEM;
  if (db->system.head_count > 0) memcpy(goal, db->system.heads, db->system.head_count * sizeof(*goal));
  free(reindex->goal);
  reindex->goal = goal;
  reindex->goal_count = db->system.head_count;
  reindex->attestation_count = db->attestation_count;
  return 0;
}

int
autobee__reindex_begin (autobee_t *db) {
  reindex_t *reindex = &db->reindex;
  static const ab_head_t genesis;
  if (!reindex->is_asked) return 0;
  int err = remember_goal(db);
  if (err == 0) err = autobee__move(db, &genesis);
  if (err < 0) return err;
  reindex->is_asked = false;
  reindex->is_active = true;
  autobee__window_cut(&db->window, 0);
  db->undone_to = 0;
  autobee__forward_end(db);
  if ((err = autobee__writer_follow(db->local)) < 0) return err; /* it may have been removed later on */
  for (size_t i = 0; i < reindex->goal_count; i++) {
    err = autobee__writers_hint(db, &reindex->goal[i].key, reindex->goal[i].length);
    if (err < 0) return err;
  }
  return autobee__writers_refresh(db);
}

int
autobee__reindex_check (autobee_t *db, bool *whole) {
  reindex_t *reindex = &db->reindex;
  *whole = true;
  if (!reindex->is_active) return 0;
  for (size_t i = 0; i < reindex->goal_count && *whole; i++) {
    int err = autobee__system_has(&db->system, &reindex->goal[i], whole);
    if (err < 0) return err;
  }
  if (!*whole) return 0;
  reindex->is_active = false;
  free(reindex->goal);
  reindex->goal = NULL;
  reindex->goal_count = 0;
  /* what re-applied grants would have this peer testify, it has testified */
  if (db->attestation_count > reindex->attestation_count) db->attestation_count = reindex->attestation_count;
  autobee__fill_end(db);
  db->is_bumped = true; /* for what was appended meanwhile */
  return note(db, false);
}

#include "autobee/forward.h"

#include "autobee/backfill.h"
#include "autobee/cores.h"
#include "autobee/fill.h"
#include "autobee/replicate.h"
#include "autobee/run.h"
#include "autobee/writer.h"

#define LOOK_BACK 64     /* nodes, for one with a stamp */
#define GAP_MIN 32       /* flushes that a move must save */
#define PATIENCE_MS 5000 /* without a new block, while some are on their way */
#define IDLE_MS 1000     /* while none are: nobody has them */
#define POLL_MS 50       /* meanwhile */
#define PAUSE_MS 30000   /* after one that failed */

/* ---- where a node leads ---- */

/* The stamp of the last node with one. AB_ENOTFOUND: none is near. */
static int
find_stamp (autobee_t *db, hypercore_t *core, uint64_t length, stamp_t *out) {
  bool has_cipher = false;
  int err = autobee__writer_cipher(db, core, &has_cipher);
  if (err < 0) return err;
  for (unsigned i = 0; i < LOOK_BACK && length > 0; i++, length--) {
    ab_arena_t arena = {0};
    oplog_message_t message;
    err = autobee__writer_message(core, length - 1, &arena, &message);
    ab_arena_destroy(&arena);
    if (err < 0) return err;
    if (!message.has_views) continue;
    out->system.key = message.system.key;
    out->system.length = message.system.start + message.system.length;
    out->flushes = message.flushes;
    return 0;
  }
  return AB_ENOTFOUND;
}

int
autobee__move_to (autobee_t *db, const ab_head_t *head) {
  hypercore_t *core;
  int err = autobee__writer_core(db, &head->key, &core);
  if (err < 0) return err;
  err = find_stamp(db, core, head->length, &db->forward.target);
  hypercore_close(core);
  if (err < 0) return err;
  db->forward.is_forced = true;
  db->is_bumped = true;
  return 0;
}

/* ---- moving ---- */

/* What the state needs at once is here: the records of its heads and of the local writer, and the view's last
 * block. */
static int
check_state (autobee_t *db, bool knows_local) {
  record_writer_t record;
  int err = autobee__system_record(&db->system, &db->local->key, &record);
  if (err == AB_ENOTFOUND && knows_local) return AB_ENOTWRITABLE;
  if (err < 0 && err != AB_ENOTFOUND) return err;
  for (size_t i = 0; i < db->system.head_count; i++) {
    err = autobee__system_record(&db->system, &db->system.heads[i].key, &record);
    if (err < 0) return err == AB_ENOTFOUND ? AB_ECORRUPT : err;
  }
  const ab_head_t *view = &db->system.view;
  hypercore_t *core;
  ab_slice_t block;
  if (view->length == 0) return AB_ECORRUPT;
  if ((err = autobee__open_view_core(db, &view->key, &core)) < 0) return err;
  err = hypercore_get(core, view->length - 1, &block);
  hypercore_close(core);
  return err;
}

/* Move there if it is whole; stay here if not. `knows_local`: not to a state that has no record of the local
 * writer (AB_ENOTWRITABLE). Returns what hinders, or the error of going back. */
static int
try_to_move (autobee_t *db, const stamp_t *target, bool knows_local) {
  ab_head_t from = db->system.head;
  uint64_t flushes = db->system.flushes;
  int err = autobee__move(db, &target->system);
  if (err == 0) err = check_state(db, knows_local);
  if (err == 0 && db->system.flushes < flushes) err = AB_ECORRUPT; /* the stamp promised more */
  if (err < 0) {
    int back = autobee__move(db, &from);
    return back < 0 ? back : err;
  }
  autobee__window_cut(&db->window, 0);
  db->undone_to = 0;
  db->forwards++;
  autobee__backfill_begin(db);
  if ((err = autobee__writers_refresh(db)) < 0) return err;
  autobee_event_t event = {.kind = AUTOBEE_EVENT_MOVED, .from = from, .to = target->system};
  autobee__event(db, &event, NULL);
  return 0;
}

/* ---- candidates ---- */

/* The creator while nothing is known; then the indexers. */
static int
is_trusted (autobee_t *db, const ab_key_t *writer, bool *trusted) {
  record_writer_t record;
  if (db->options.trust != NULL) {
    *trusted = db->options.trust(db, writer, db->options.trust_data);
    return 0;
  }
  *trusted = ab_key_equal(writer, &db->key);
  if (db->system.head.length == 0) return 0;
  int err = autobee__system_record(&db->system, writer, &record);
  *trusted = err == 0 && !record.is_removed && record.max_weight >= 2;
  return err == AB_ENOTFOUND ? 0 : err;
}

static void
drop_candidate (forward_t *forward, size_t at) {
  forward->candidates[at] = forward->candidates[--forward->count];
}

int
autobee__forward_hint (autobee_t *db, const ab_key_t *writer, uint64_t length) {
  forward_t *forward = &db->forward;
  bool trusted;
  if (db->options.conformance || !db->options.fast_forward || length == 0 || db->reindex.is_active) return 0;
  if (ab_key_equal(writer, &db->local->key) || autobee__now(db) < forward->pause_until_ms) return 0;
  int err = is_trusted(db, writer, &trusted);
  if (err == AB_EREMOTE) return 0;
  if (err < 0 || !trusted) return err;
  size_t at = 0;
  while (at < forward->count && !ab_key_equal(&forward->candidates[at].head.key, writer)) at++;
  if (at == ENGINE_CANDIDATES_MAX) return 0;
  candidate_t *candidate = &forward->candidates[at];
  if (at == forward->count) forward->count++;
  else if (candidate->head.length >= length) return 0;
  *candidate = (candidate_t){.head = {*writer, length}, .since_ms = autobee__now(db)};
  return 0;
}

/* Has the writer signed so much more than is on record that fetching and applying it would be the long way?
 */
static int
is_far (autobee_t *db, const ab_head_t *head, bool *far) {
  record_writer_t record;
  int err = autobee__system_record(&db->system, &head->key, &record);
  if (err < 0 && err != AB_ENOTFOUND) return err;
  *far = head->length >= (err == 0 ? record.length : 0) + GAP_MIN && autobee__replicate_is_connected(db);
  return 0;
}

/* Is its state still worth a move, and within reach? The one that its writer has is not always that of the
 * peers at hand. */
static bool
is_reachable (autobee_t *db, const candidate_t *candidate) {
  return candidate->stamp.flushes >= db->system.flushes + GAP_MIN &&
         autobee__replicate_may_have(db, &candidate->stamp.system);
}

/* Look for the stamp. `keep`: it is known, or may come; `far`: that is worth waiting for. */
static int
look_at (autobee_t *db, candidate_t *candidate, bool *keep, bool *far) {
  hypercore_t *core;
  *keep = *far = false;
  if (candidate->stamp.flushes > 0) {
    *keep = is_reachable(db, candidate);
    return 0;
  }
  int err = autobee__writer_core(db, &candidate->head.key, &core);
  if (err < 0) return err;
  uint64_t length = hypercore_length(core);
  if (candidate->head.length > length) {
    if (autobee__now(db) < candidate->since_ms + PATIENCE_MS) {
      *keep = true;
      goto done;
    }
    candidate->head.length = length; /* the rest was only said */
  }
  err = find_stamp(db, core, candidate->head.length, &candidate->stamp);
  if (err == 0) *keep = is_reachable(db, candidate);
  if (err == AB_EREMOTE) {
    *keep = true;
    err = is_far(db, &candidate->head, far);
  }
  if (err != AB_ENOMEM && err != AB_EIO) err = 0; /* what does not decode is no candidate */

done:
  hypercore_close(core);
  return err;
}

static int
choose (autobee_t *db, bool *is_waiting) {
  forward_t *forward = &db->forward;
  *is_waiting = false;
  memset(&forward->target, 0, sizeof(forward->target));
  for (size_t i = 0; i < forward->count;) {
    candidate_t *candidate = &forward->candidates[i];
    bool keep, far;
    int err = look_at(db, candidate, &keep, &far);
    if (err < 0) return err;
    if (!keep) {
      drop_candidate(forward, i);
      continue;
    }
    if (candidate->stamp.flushes > forward->target.flushes) forward->target = candidate->stamp;
    *is_waiting = *is_waiting || far;
    i++;
  }
  return 0;
}

/* ---- holding up ---- */

static int
hold (autobee_t *db) {
  forward_t *forward = &db->forward;
  uint64_t now = autobee__now(db);
  if (!forward->is_holding || forward->has_news) forward->since_ms = now;
  forward->until_ms = forward->since_ms + (autobee__replicate_is_fetching(db) ? PATIENCE_MS : IDLE_MS);
  forward->has_news = false;
  if (now >= forward->until_ms) return AB_ETIMEDOUT;
  /* who has less than is needed says so to the connection only */
  uint64_t next = now + POLL_MS < forward->until_ms ? now + POLL_MS : forward->until_ms;
  if (next < db->retry_at_ms) db->retry_at_ms = next;
  if (forward->is_holding) return 0;
  forward->is_holding = true;
  autobee__replicate_hold(db, true);
  return 0;
}

static void
let_go (autobee_t *db) {
  forward_t *forward = &db->forward;
  memset(&forward->target, 0, sizeof(forward->target));
  autobee__fill_end(db);
  if (!forward->is_holding) return;
  forward->is_holding = false;
  autobee__replicate_hold(db, false);
  for (size_t i = 0; i < db->attached.count; i++) autobee__writer_pend(db->attached.writers[i]);
}

/* It did not work out in time: on with the long way. */
static void
give_up (autobee_t *db) {
  db->forward.count = 0;
  db->forward.pause_until_ms = autobee__now(db) + PAUSE_MS;
  let_go(db);
}

bool
autobee__forward_holds (const autobee_t *db) {
  return db->forward.is_holding;
}

/* ---- between iterations ---- */

static int
forced (autobee_t *db) {
  stamp_t target = db->forward.target;
  memset(&db->forward.target, 0, sizeof(db->forward.target));
  db->forward.is_forced = false;
  int err = try_to_move(db, &target, false);
  return err == AB_ENOMEM || err == AB_EIO ? err : 0; /* given up, silently */
}

void
autobee__forward_end (autobee_t *db) {
  forward_t *forward = &db->forward;
  forward->count = 0;
  forward->is_forced = false;
  if (!forward->is_holding) autobee__replicate_hold(db, true);
  forward->is_holding = true;
  let_go(db);
}

static void
end_moved (autobee_t *db) {
  autobee__forward_end(db);
  autobee__replicate_lookup(db); /* what lies above, and who else is ahead */
}

/* Nothing is to be had of this one. */
static void
drop_target (autobee_t *db) {
  forward_t *forward = &db->forward;
  for (size_t i = 0; i < forward->count;) {
    if (ab_head_equal(&forward->candidates[i].stamp.system, &forward->target.system))
      drop_candidate(forward, i);
    else i++;
  }
  autobee__fill_end(db);
  db->is_bumped = true; /* there may be another */
}

/* 0: moved, 1: it may still come, or an error. A writer whose grant is news to the others, as after it
 * rotated, stays one: it goes the long way. */
static int
approach (autobee_t *db) {
  const stamp_t target = db->forward.target;
  int err = db->options.sparse ? 0 : autobee__fill(db, &target.system);
  if (err > 0) db->is_bumped = true;
  if (err == 0) err = try_to_move(db, &target, db->is_writable);
  if (err == AB_EREMOTE && autobee__replicate_may_have(db, &target.system)) return 1;
  return err;
}

int
autobee__forward (autobee_t *db) {
  forward_t *forward = &db->forward;
  bool is_waiting = false;
  if (forward->is_forced) return forced(db);
  if (forward->count == 0) {
    let_go(db);
    return 0;
  }
  int err = choose(db, &is_waiting);
  if (err < 0) return err;
  if (!is_waiting && forward->target.flushes > 0) {
    err = approach(db);
    if (err == AB_ENOMEM || err == AB_EIO) return err;
    if (err == 0) end_moved(db);
    else if (err == AB_ETOOBIG || err == AB_ENOTWRITABLE) give_up(db);
    else if (err < 0) drop_target(db);
    if (err <= 0) return 0;
    is_waiting = true;
  }
  if (!is_waiting) {
    let_go(db);
    return 0;
  }
  err = hold(db);
  if (err == AB_ETIMEDOUT) give_up(db);
  return err == AB_ETIMEDOUT ? 0 : err;
}

#include "autobee/drain.h"

#include <stdlib.h>

#include "autobee/append.h"
#include "autobee/backfill.h"
#include "autobee/cores.h"
#include "autobee/forward.h"
#include "autobee/reindex.h"
#include "autobee/replicate.h"
#include "autobee/run.h"
#include "autobee/testimony.h"
#include "autobee/writer.h"

#define COMMIT_RETRY_MS 1000

/* ---- going back ---- */

/* Heads and cores where the iteration began. */
static int
go_back (autobee_t *db) {
  autobee__run_clear(db);
  int err = autobee__move(db, &db->iteration_head);
  if (err < 0) return err;
  autobee__window_cut(&db->window, 0);
  return db->options.conformance ? 0 : autobee__cut(db, db->system_start, db->view_start);
}

static int
reset (autobee_t *db) {
  db->needs_reset = true;
  int err = go_back(db);
  if (err < 0) return err;
  if (db->attestation_count > db->iteration_attestations) db->attestation_count = db->iteration_attestations;
  if (!db->options.conformance) autobee__stamp_mark(db);
  autobee__queue_untake(db);
  if ((err = autobee__writers_refresh(db)) < 0) return err;
  db->needs_reset = false;
  if (db->stage != STAGE_IDLE) db->stage = STAGE_BEGIN;
  return 0;
}

int
autobee__drain_abandon (autobee_t *db) {
  return db->stage == STAGE_IDLE && !db->needs_reset ? 0 : go_back(db);
}

/* Apply did not say why. */
static void
explain_halt (autobee_t *db) {
  char text[AB_KEY_TEXT_LEN + 1];
  ab_key_to_text(&db->halt_node.key, text);
  ab_store_fail(
    db->store,
    AB_EHALTED,
    "apply failed on the batch of writer %s that ends at length %llu: %s",
    text,
    (unsigned long long) db->halt_node.length,
    ab_strerror(db->halt_cause)
  );
}

/* End the drain with an error; local appends that are not in the log end with it. */
static int
halt (autobee_t *db, int err) {
  if (db->halt_message.len == 0 && db->halt_node.length == 0) db->halt_node.key = db->key;
  db->halted = err;
  autobee_event_t event = {
    .kind = err == AB_EINTERRUPTED ? AUTOBEE_EVENT_INTERRUPTED : AUTOBEE_EVENT_HALTED,
    .status = db->halt_cause < 0 ? db->halt_cause : err,
    .node = db->halt_node};
  const char *message = db->halt_message.len == 0 ? NULL : (const char *) db->halt_message.data;
  autobee__event(db, &event, message);
  /* tried again by the next drain if it fails; the original stops where it is */
  if (db->options.conformance) db->needs_reset = true;
  else (void) reset(db);
  autobee__queue_drop(db, err);
  db->stage = STAGE_IDLE;
  db->is_bumped = false;
  if (message != NULL) ab_store_fail(db->store, err, "%s", message);
  else if (err == AB_EHALTED) explain_halt(db);
  ab_buf_reset(&db->halt_message);
  db->halt_cause = 0;
  return err;
}

void
autobee__drain_resume (autobee_t *db) {
  db->halted = 0;
  db->is_bumped = true;
  memset(&db->halt_node, 0, sizeof(db->halt_node));
}

/* A block that the run needs is missing: everything else goes on without that batch (21.6). */
static int
give_up_run (autobee_t *db) {
  writer_t *writer = db->run.writer;
  bool had_run = db->run.is_active;
  if (writer != NULL) writer->is_parked = true;
  int err = reset(db);
  if (err < 0) return err;
  if (had_run) return 0;
  db->stage = STAGE_IDLE; /* not even the records are here */
  db->is_bumped = false;
  return 0;
}

/* ---- 10.2 ---- */

static int
peek (autobee_t *db, writer_t *writer) {
  batch_t *batch;
  if (writer->core == NULL || writer->peeked != NULL || writer->is_frozen) return 0;
  /* what others have: the last run has looked at it, or it waits for a fast-forward */
  if (writer != db->local && (db->run.has_looked || autobee__forward_holds(db))) return 0;
  int err = autobee__writer_take(writer, &batch);
  if (err == AB_EREMOTE) {
    writer->is_parked = true; /* a record that it needs is missing */
    return 0;
  }
  if (err == 0 && batch != NULL) writer->peeked = batch;
  return err;
}

static int
better (autobee_t *db, writer_t *writer, writer_t **best) {
  if (writer->peeked == NULL || writer == *best) return 0;
  if (!writer->peeked->is_weighed) {
    int err = autobee__resolve(db, writer->peeked);
    if (err < 0) return err;
  }
  if (*best != NULL) {
    order_entry_t a = batch_entry(writer->peeked), b = batch_entry((*best)->peeked);
    if (!order_before(&a, &b)) return 0;
  }
  *best = writer;
  return 0;
}

static int
begin_run (autobee_t *db, writer_t *writer) {
  batch_t *batch = writer->peeked;
  writer->peeked = NULL;
  if (writer->is_added) return autobee__run_begin(db, writer, batch, false);
  bool is_known = !db->options.conformance && writer->rejected_length == batch_first(batch)->length &&
                  writer->rejected_version == db->system.version; /* apply would refuse it again (N7) */
  if (!db->options.no_optimistic && batch_first(batch)->optimistic && !is_known) {
    return autobee__run_begin(db, writer, batch, true);
  }
  if (is_known) batch->is_rejected = true;
  autobee__batch_release(batch); /* nobody may apply it (N6) */
  autobee__writer_unpend(writer);
  return is_known ? autobee__writer_follow_lead(writer) : 0;
}

/* One batch. `progress`: there may be another. */
static int
step (autobee_t *db, bool *progress) {
  int err;
  *progress = true;
  if (!db->run.is_active) {
    autobee__writers_sweep(db);
    if (db->has_arrivals) autobee__writers_unpark(db);
    if ((err = autobee__queue_capture(db)) < 0) return err;
    bool has_looked = db->run.has_looked;
    err = autobee__pending_each(db, peek);
    db->run.has_looked = false;
    if (err < 0) return err;

    writer_t *best = NULL;
    if ((err = better(db, db->local, &best)) < 0) return err;
    /* who writes here does not wait for what others wrote; that sorts before it afterwards */
    bool is_local_first = best != NULL && !db->options.conformance && !batch_first(best->peeked)->optimistic;
    for (size_t i = 0; i < db->attached.count; i++) {
      if ((err = better(db, db->attached.writers[i], &best)) < 0) return err;
    }
    if (is_local_first) best = db->local;
    if (best == NULL && has_looked) return 0; /* there may be something new */
    if (best == NULL) {
      autobee__queue_refuse(db);
      *progress = false;
      return 0;
    }
    if ((err = begin_run(db, best)) < 0) return err;
    if (!db->run.is_active) return 0;
  }
  return autobee__run_step(db);
}

/* ---- 10.1 ---- */

static int
store_hinted (autobee_t *db) {
  ab_buf_t time = {0};
  if (db->hinted_at_ms == 0) return 0;
  ab_write_uint(&time, db->hinted_at_ms);
  int err = time.err;
  if (err == 0) err = hypercore_set_user_data(db->local->core, "autobee/previous-drain", ab_buf_slice(&time));
  ab_buf_destroy(&time);
  if (err == 0) db->hinted_at_ms = 0;
  return err;
}

static int
take_hints (autobee_t *db) {
  if (db->hint_count == 0) return 0;
  db->hinted_at_ms = autobee__now(db);
  /* stored when what they led to is; the original does it here */
  int err = db->options.conformance ? store_hinted(db) : 0;
  size_t taken = 0;
  while (err == 0 && taken < db->hint_count) {
    const ab_head_t *hint = &db->hints[taken];
    err = autobee__writers_hint(db, &hint->key, hint->length);
    if (err == 0) err = autobee__forward_hint(db, &hint->key, hint->length);
    if (err == 0) taken++;
  }
  db->hint_count -= taken;
  memmove(db->hints, db->hints + taken, db->hint_count * sizeof(*db->hints));
  return err;
}

/* Section 14. */
static int
rotate (autobee_t *db) {
  hypercore_t *core = hypercore_retain(db->rotate_to);
  const ab_key_t key = *hypercore_key(core);
  int err = autobee__local_marks(db, core, true);
  if (err == 0) err = autobee__set_user_data(db->bootstrap, "autobee/local", ab_key_slice(&key));
  if (err < 0) {
    hypercore_close(core);
    return err;
  }

  writer_t *next = autobee__writer_find(db, &key);
  if (next != NULL) hypercore_close(core);
  else if ((err = autobee__writer_new(db, &key, core, &next)) < 0) return err;
  writer_t *old = db->local;
  db->local = next;
  db->next_length = hypercore_length(next->core) + 1;
  memset(&db->stored_head, 0, sizeof(db->stored_head)); /* not on this core yet */
  autobee__testimony_forget(db);
  if ((err = autobee__writer_cipher(db, next->core, &next->has_cipher)) < 0) return err;
  autobee__writer_close(old);
  if ((err = autobee__writer_follow(next)) < 0) return err;
  autobee__writer_pend(next);
  if (ab_key_equal(&key, &db->key)) next->is_bootstrap = true;
  hypercore_close(db->rotate_to);
  db->rotate_to = NULL;

  autobee_event_t event = {.kind = AUTOBEE_EVENT_ROTATED, .node = {key, hypercore_length(next->core)}};
  autobee__event(db, &event, NULL);
  return autobee__writer_refresh(next, NULL);
}

static int
begin_iteration (autobee_t *db) {
  int err;
  db->is_bumped = false;
  db->retry_at_ms = UINT64_MAX;
  if ((err = autobee__reindex_begin(db)) < 0) return err;
  if (!db->reindex.is_active && (err = autobee__forward(db)) < 0) return err;
  db->iteration_head = db->system.head;
  db->iteration_attestations = db->attestation_count;
  db->iteration_batches = 0;
  db->run.has_looked = false;
  return db->rotate_to != NULL && db->queue == NULL ? rotate(db) : 0;
}

void
autobee__drain_staged (autobee_t *db) {
  db->staged_system = db->system.head;
  bee_head(db->view, &db->staged_view);
  db->staged_flushes = db->system.flushes;
  db->staged_timestamp_ms = db->system.timestamp_ms;
  db->staged_heads = db->system.head_count;
}

static int
end_iteration (autobee_t *db) {
  int err = autobee__queue_flush(db);
  if (err < 0) return err;
  autobee__stamp_mark(db); /* a reset leads here from now on */
  bool whole;
  if ((err = autobee__reindex_check(db, &whole)) < 0) return err;
  /* who waits may have something by now; the original leaves that until something else comes */
  bool again = !ab_head_equal(&db->iteration_head, &db->system.head) && db->waits.count > 0;
  db->iteration_head = db->system.head;
  db->iteration_attestations = db->attestation_count;
  if (whole) autobee__drain_staged(db);
  if (whole && !db->options.conformance && db->system.head.length > 0) {
    if ((err = autobee__store_head(db, &db->system.head)) < 0) return err;
  }
  if ((err = autobee__testimony_store(db)) < 0) return err;
  if ((err = autobee__writers_refresh(db)) < 0) return err;
  if (db->options.conformance) return 0;
  if (again) db->is_bumped = true;
  if ((err = autobee__backfill(db)) < 0) return err;
  return (err = store_hinted(db)) < 0 ? err : autobee__writers_store(db);
}

static int
end_drain (autobee_t *db) {
  bool is_stored = db->system.head.length > 0 && !db->reindex.is_active;
  return is_stored ? autobee__store_head(db, &db->system.head) : 0;
}

/* A run too long for memory: its blocks may be written, the stored head stays where it is. */
static int
relieve (autobee_t *db) {
  size_t limit = ab_store_options(db->store)->staged_bytes;
  if (ab_store_staged(db->store) < limit || autobee__now(db) < db->commit_at_ms) return 0;
  int err = ab_store_commit(db->store);
  return err == AB_ENOMEM ? err : 0; /* what did not fit stays staged; the end of the drain tells it */
}

/* Time to write what is there, between runs: the rest is for the next iteration. */
static bool
is_long (const autobee_t *db) {
  if (db->options.conformance || db->run.is_active) return false;
  bool has_local = db->queue != NULL && db->queue->is_taken;
  return db->iteration_batches >= (has_local ? ENGINE_ITERATION_LOCAL : ENGINE_ITERATION_MAX);
}

static bool
is_over (const autobee_t *db, uint64_t until_ms) {
  return until_ms != 0 && autobee__now(db) >= until_ms;
}

/* The next piece of the drain. 1: go on, 0: idle. */
static int
advance (autobee_t *db) {
  bool progress = false;
  int err;
  switch (db->stage) {
  case STAGE_IDLE:
    if (!db->is_bumped && db->rotate_to == NULL) return 0;
    db->drains++;
    db->owes_ack = false; /* what an earlier drain owed is forgotten */
    db->stage = STAGE_BEGIN;
    return 1;
  case STAGE_BEGIN:
    if ((err = begin_iteration(db)) < 0) return err;
    db->stage = STAGE_INNER;
    return 1;
  case STAGE_INNER:
    if (!db->run.is_active && (err = take_hints(db)) < 0) return err;
    if ((err = step(db, &progress)) < 0) return err;
    if (!progress && (err = autobee__queue_acknowledge(db, &progress)) < 0) return err;
    if (progress && is_long(db)) {
      db->is_bumped = true;
      progress = false;
    }
    if (!progress) db->stage = STAGE_END;
    return 1;
  case STAGE_END:
    if ((err = end_iteration(db)) < 0) return err;
    db->stage = STAGE_BEGIN;
    if (db->is_bumped) return 1;
    if ((err = end_drain(db)) < 0) return err;
    db->stage = STAGE_IDLE;
    return 0;
  }
  return 0;
}

int
autobee__drain (autobee_t *db, uint64_t until_ms) {
  int err;
  if (db->halted < 0) return db->halted;
  if (db->needs_reset && (err = reset(db)) < 0) return err;
  if (db->retry_at_ms != UINT64_MAX && autobee__now(db) >= db->retry_at_ms) {
    db->retry_at_ms = UINT64_MAX;
    db->is_bumped = true;
  }
  if (db->stage == STAGE_IDLE && (err = autobee__queue_shorten_heads(db)) < 0) return err;

  for (;;) {
    stage_t stage = db->stage;
    uint64_t applies = db->applies;
    err = advance(db);
    if (err == AB_EREMOTE) {
      if ((err = give_up_run(db)) == 0) continue;
    }
    if (err < 0) return halt(db, err);
    if (err == 0) return 0;
    if (stage != STAGE_INNER || db->applies == applies) continue;
    if ((err = relieve(db)) < 0) return halt(db, err);
    if (is_over(db, until_ms)) return 1;
  }
}

/* ---- committing ---- */

bool
autobee__commit_due (const autobee_t *db) {
  return db->uncommitted != NULL || ab_store_staged(db->store) > 0 ||
         !ab_head_equal(&db->published_system, &db->staged_system);
}

static void
publish (autobee_t *db) {
  bool moved = !ab_head_equal(&db->published_view, &db->staged_view);
  bool rewritten = db->undone_to < db->published_flushes;
  autobee_event_t event = {
    .kind = AUTOBEE_EVENT_UPDATE, .from = db->published_view, .to = db->staged_view, .rewritten = rewritten};
  db->published_system = db->staged_system;
  db->published_view = db->staged_view;
  db->published_flushes = db->staged_flushes;
  db->published_timestamp_ms = db->staged_timestamp_ms;
  db->published_heads = db->staged_heads;
  db->undone_to = UINT64_MAX;
  if (moved || rewritten) autobee__event(db, &event, NULL);
}

void
autobee__committed (void *data, int status) {
  autobee_t *db = data;
  batch_t *batch = db->uncommitted;
  db->uncommitted = NULL;
  db->uncommitted_end = &db->uncommitted;
  while (batch != NULL) {
    batch_t *next = batch->next;
    int end = status == 0 && batch->is_rejected ? AB_EREJECTED : status;
    if (batch->req != NULL) autobee__end(db, batch->req, end);
    autobee__batch_release(batch);
    batch = next;
  }
  db->commit_at_ms = status == 0 ? 0 : autobee__now(db) + COMMIT_RETRY_MS;
  if (status < 0) return;
  publish(db);
  autobee__replicate_committed(db);
  autobee__replicate_idle(db);
}

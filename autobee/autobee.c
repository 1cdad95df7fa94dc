#include "autobee/autobee.h"

#include <stdlib.h>

#include "autobee/append.h"
#include "autobee/backfill.h"
#include "autobee/cores.h"
#include "autobee/drain.h"
#include "autobee/engine.h"
#include "autobee/fill.h"
#include "autobee/reindex.h"
#include "autobee/replicate.h"
#include "autobee/run.h"
#include "autobee/testimony.h"
#include "autobee/view.h"
#include "autobee/writer.h"
#include "hypercore/crypto.h"

#define APPEND_SLICE_MS 50

/* ---- telling ---- */

void
autobee__end (autobee_t *db, autobee_append_t *req, int status) {
  req->status = status;
  req->next = NULL;
  *db->ended_end = req;
  db->ended_end = &req->next;
}

void
autobee__event (autobee_t *db, const autobee_event_t *event, const char *message) {
  if (db->options.on_event == NULL) return;
  queued_event_t *queued = malloc(sizeof(*queued));
  if (queued == NULL) return;
  queued->event = *event;
  queued->message = message == NULL ? NULL : malloc(strlen(message) + 1);
  if (queued->message != NULL) memcpy(queued->message, message, strlen(message) + 1);
  queued->event.message = queued->message;
  queued->next = NULL;
  *db->events_end = queued;
  db->events_end = &queued->next;
}

void
autobee__tell (autobee_t *db) {
  if (db->is_calling) return;
  db->is_calling = true;
  while (db->ended != NULL || db->events != NULL) {
    if (db->ended != NULL) {
      autobee_append_t *req = db->ended;
      db->ended = req->next;
      if (db->ended == NULL) db->ended_end = &db->ended;
      if (req->cb != NULL) req->cb(req, req->status);
      continue;
    }
    queued_event_t *queued = db->events;
    db->events = queued->next;
    if (db->events == NULL) db->events_end = &db->events;
    db->options.on_event(db, &queued->event, db->options.event_data);
    free(queued->message);
    free(queued);
  }
  db->is_calling = false;
}

int
autobee__enter (const autobee_t *db) {
  if (db->in_apply) {
    return ab_store_fail(
      db->store, AB_EBUSY, "called from inside apply, which may use nothing but its own autobee_apply_ calls"
    );
  }
  return db->is_closed ? AB_ECLOSED : 0;
}

/* The same for calls that work, which a callback may not make. */
static int
enter_to_work (const autobee_t *db) {
  int err = autobee__enter(db);
  if (err < 0 || !db->is_calling) return err;
  return ab_store_fail(
    db->store,
    AB_EBUSY,
    "called from inside a callback; from there appends can be made with autobee_append_async"
  );
}

uint64_t
autobee__now (const autobee_t *db) {
  const ab_env_t *env = ab_store_env(db->store);
  return env->now_ms(env->data);
}

uint64_t
autobee__stamp_now (const autobee_t *db) {
  return db->stamp_now_ms != 0 ? db->stamp_now_ms : autobee__now(db);
}

/* ---- the runner ---- */

/* Another process writes the store: show what it has committed. */
static int
follow_committed (autobee_t *db) {
  ab_slice_t stored;
  ab_head_t head;
  int err = hypercore_user_data(db->local->core, "autobee/head", &stored);
  if (err == AB_ENOTFOUND) return 0;
  if (err == 0) err = autobee__record_link_decode(stored, &head);
  if (err < 0 || ab_head_equal(&head, &db->stored_head)) return err;
  if ((err = autobee__move(db, &head)) < 0) return err;
  db->stored_head = db->iteration_head = head;
  db->undone_to = 0; /* nobody knows */
  autobee__drain_staged(db);
  autobee__committed(db, 0);
  return autobee__writer_refresh(db->local, NULL);
}

static int
run (void *data, uint32_t budget_ms, uint64_t *next_deadline_ms) {
  autobee_t *db = data;
  if (db->is_calling || db->in_apply || db->is_closed) return 0;
  if (ab_store_options(db->store)->read_only) {
    int followed = follow_committed(db);
    autobee__tell(db);
    return followed;
  }
  int more = 0, err = 0;
  if (db->halted == 0) {
    more = autobee__drain(db, autobee__now(db) + (budget_ms == 0 ? 1 : budget_ms));
    if (more < 0) more = 0; /* told as an event */
  }
  bool is_due = more == 0 ? autobee__commit_due(db) : db->uncommitted != NULL;
  if (is_due && autobee__now(db) >= db->commit_at_ms) {
    err = ab_store_commit(db->store);
  }
  if (db->retry_at_ms < *next_deadline_ms) *next_deadline_ms = db->retry_at_ms;
  if (db->shorten_heads_at_ms < *next_deadline_ms) *next_deadline_ms = db->shorten_heads_at_ms;
  if (db->commit_at_ms != 0 && db->commit_at_ms < *next_deadline_ms) *next_deadline_ms = db->commit_at_ms;
  autobee__tell(db);
  autobee__replicate_idle(db);
  if (err < 0) return err;
  return more > 0 || (db->is_bumped && db->halted == 0) ? 1 : 0;
}

/* Everything that needs the store. */
static void
release (autobee_t *db) {
  autobee__replicate_end(db);
  autobee__run_clear(db);
  autobee__views_orphan(db);
  autobee__fill_end(db);
  autobee__writers_destroy(db);
  if (db->local != NULL) autobee__writer_close(db->local);
  db->local = NULL;
  autobee__writers_sweep(db);
  if (db->rotate_to != NULL) hypercore_close(db->rotate_to);
  db->rotate_to = NULL;
  if (db->view != NULL) bee_close(db->view);
  db->view = NULL;
  autobee__system_destroy(&db->system);
  autobee__cores_close(db);
}

static void
end_uncommitted (autobee_t *db, int status) {
  while (db->uncommitted != NULL) {
    batch_t *batch = db->uncommitted;
    db->uncommitted = batch->next;
    if (batch->req != NULL) autobee__end(db, batch->req, status);
    autobee__batch_release(batch);
  }
  db->uncommitted_end = &db->uncommitted;
}

static void
store_closing (void *data) {
  autobee_t *db = data;
  if (db->is_closed) return;
  autobee__queue_drop(db, AB_ECLOSED);
  end_uncommitted(db, AB_ECLOSED);
  release(db);
  db->is_closed = true;
  autobee__tell(db);
}

/* ---- opening ---- */

autobee_options_t
autobee_options_default (void) {
  autobee_options_t options = {.struct_size = sizeof(options)};
  return options;
}

static int
note_update (void *data, const ab_key_t *key, uint64_t length) {
  autobee_t *db = data;
  if (length == 0 && !db->options.conformance) return 0; /* opened once, and nothing came */
  return autobee__hint(db, key, length);
}

/* 4.2 rule 6: what came into the group since the last drain that saw a hint. */
static int
hints_of_group (autobee_t *db) {
  ab_slice_t stored;
  uint64_t since = 0;
  int err = hypercore_user_data(db->local->core, "autobee/previous-drain", &stored);
  if (err == 0) err = autobee__record_uint_decode(stored, &since);
  if (err < 0 && err != AB_ENOTFOUND) return err;
  return corestore_group_updates(db->store, &db->discovery_key, since + 1, note_update, db);
}

static int
follow_record (void *data, const ab_key_t *key, const record_writer_t *record) {
  autobee_t *db = data;
  if (record->is_anchor || ab_key_equal(key, &db->local->key)) return 0;
  return autobee__writer_attach(db, key, NULL, NULL);
}

/* 4.2 rule 7: the writers on record. */
static int
follow_records (autobee_t *db) {
  int err = autobee__system_records(db->system.bee, NULL, follow_record, db);
  return err == AB_EREMOTE ? 0 : err; /* what is missing is announced one day */
}

static int
open_bees (autobee_t *db) {
  bee_options_t options = bee_options_default();
  options.open_core_data = db;
  options.open_core = autobee__open_system_core;
  bee_t *system;
  int err = bee_open(db->system_core, &options, &system);
  if (err < 0) return err;
  autobee__system_init(&db->system, system, db->seed);
  options.open_core = autobee__open_view_core;
  return bee_open(db->view_core, &options, &db->view);
}

static int
open_head (autobee_t *db) {
  ab_slice_t stored;
  int err = hypercore_user_data(db->local->core, "autobee/head", &stored);
  if (err == 0) err = autobee__record_link_decode(stored, &db->stored_head);
  if (err < 0 && err != AB_ENOTFOUND) return err;
  db->iteration_head = db->stored_head;
  if ((err = autobee__move(db, &db->stored_head)) < 0) return err;
  autobee__stamp_mark(db);
  autobee__drain_staged(db);
  db->published_system = db->staged_system;
  db->published_view = db->staged_view;
  db->published_flushes = db->staged_flushes;
  db->published_timestamp_ms = db->staged_timestamp_ms;
  db->published_heads = db->staged_heads;
  return 0;
}

static int
open_local (autobee_t *db, hypercore_t *core) {
  const ab_key_t key = *hypercore_key(core);
  int err = autobee__writer_new(db, &key, core, &db->local);
  if (err < 0) return err;
  db->local->has_cipher = true;
  db->local->is_bootstrap = ab_key_equal(&key, &db->key);
  db->next_length = hypercore_length(core) + 1;
  return 0;
}

static int
open_writers (autobee_t *db) {
  int err = autobee__writer_follow(db->local);
  if (err < 0) return err;
  if (!db->local->is_bootstrap) {
    hypercore_t *core = hypercore_retain(db->bootstrap);
    if ((err = autobee__writer_attach(db, &db->key, core, NULL)) < 0) return err;
  }
  err = autobee__writer_refresh(db->local, NULL);
  if (err < 0 && err != AB_EREMOTE)
    return err; /* a sparse state may lack the record until somebody is there */
  if ((err = autobee__backfill_load(db)) < 0) return err;
  err = db->options.conformance ? AB_ENOTFOUND : autobee__writers_load(db);
  return err == AB_ENOTFOUND ? follow_records(db) : err;
}

static void
copy_options (autobee_t *db, const autobee_options_t *options) {
  db->options = autobee_options_default();
  if (options != NULL) { /* of an older program it may be shorter */
    size_t known = options->struct_size == 0 ? sizeof(*options) : options->struct_size;
    memcpy(&db->options, options, known < sizeof(*options) ? known : sizeof(*options));
  }
  if (db->options.apply == NULL) db->options.apply = autobee_apply_kv;
  if (db->options.namespace_key != NULL) db->namespace_key = *db->options.namespace_key;
}

static autobee_t *
new_database (ab_store_t *store, const autobee_options_t *options) {
  autobee_t *db = calloc(1, sizeof(*db));
  if (db == NULL) return NULL;
  db->store = store;
  copy_options(db, options);
  db->queue_end = &db->queue;
  db->uncommitted_end = &db->uncommitted;
  db->ended_end = &db->ended;
  db->events_end = &db->events;
  db->retry_at_ms = db->shorten_heads_at_ms = db->undone_to = UINT64_MAX;
  const ab_env_t *env = ab_store_env(store);
  env->random(env->data, (uint8_t *) &db->seed, sizeof(db->seed));
  db->writers.seed = db->waits.seed = db->seed;
  db->runner.run = run;
  db->runner.committed = autobee__committed;
  db->runner.closing = store_closing;
  db->runner.data = db;
  return db;
}

static void
free_database (autobee_t *db) {
  autobee__testimony_forget(db);
  autobee__window_destroy(&db->window);
  autobee__keymap_destroy(&db->writers);
  autobee__keymap_destroy(&db->waits);
  ab_buf_destroy(&db->halt_message);
  free(db->attached.writers);
  free(db->pending.writers);
  free(db->run.items);
  free(db->hints);
  free(db->acked);
  free(db->reindex.goal);
  free(db->attestations);
  while (db->events != NULL) {
    queued_event_t *queued = db->events;
    db->events = queued->next;
    free(queued->message);
    free(queued);
  }
  ab_wipe(&db->encryption, sizeof(db->encryption));
  free(db);
}

/* Records of another format say so by their code alone. */
static void
explain_version (autobee_t *db, int err) {
  char text[AB_KEY_TEXT_LEN + 1];
  ab_key_to_text(&db->key, text);
  if (err == AB_EVERSION) {
    ab_store_fail(
      db->store, err, "database %s has records of a newer format; use a newer autobee to open it", text
    );
  } else if (err == AB_ENOTSUP) {
    ab_store_fail(
      db->store, err, "database %s has records of an older format, which this version does not read", text
    );
  }
}

int
autobee_open (ab_store_t *store, const ab_key_t *key, const autobee_options_t *options, autobee_t **out) {
  autobee_t *db = new_database(store, options);
  if (db == NULL) return AB_ENOMEM;
  hypercore_t *local;
  int err = autobee__cores_open(db, key, &local);
  if (err < 0) {
    if (local != NULL) hypercore_close(local);
    goto fail;
  }
  if ((err = open_local(db, local)) < 0) goto fail;
  if ((err = autobee__testimony_load(db)) < 0) goto fail;
  if ((err = open_bees(db)) < 0) goto fail;
  if ((err = open_head(db)) < 0) goto unreadable;
  if ((err = open_writers(db)) < 0) goto unreadable;
  if ((err = hints_of_group(db)) < 0) goto fail;
  if ((err = autobee__reindex_resume(db)) < 0) goto fail;

  /* borrowed from the caller until now */
  db->options.namespace_key = db->options.encryption_key = NULL;
  db->options.key_pair = NULL;
  db->is_bumped = true;
  ab_store_attach(store, &db->runner);
  *out = db;
  return 0;

unreadable:
  explain_version(db, err);
fail:
  release(db);
  free_database(db);
  return err;
}

int
autobee_close (autobee_t *db) {
  if (db == NULL) return 0;
  if (db->in_apply || db->is_calling) return AB_EBUSY;
  int err = 0;
  if (!db->is_closed) {
    (void) autobee__drain_abandon(db); /* what is not finished is done again after the next open */
    autobee__queue_drop(db, AB_ECLOSED);
    if (autobee__commit_due(db) && !ab_store_options(db->store)->read_only) err = ab_store_commit(db->store);
    ab_store_detach(&db->runner);
    end_uncommitted(db, err < 0 ? err : AB_ECLOSED);
    autobee__tell(db);
    release(db);
  }
  free_database(db);
  return err;
}

/* ---- what is public ---- */

void
autobee_key (const autobee_t *db, ab_key_t *out) {
  *out = db->key;
}

void
autobee_discovery_key (const autobee_t *db, ab_key_t *out) {
  *out = db->discovery_key;
}

void
autobee_local (const autobee_t *db, ab_head_t *out) {
  memset(out, 0, sizeof(*out));
  if (db->local == NULL) return;
  out->key = db->local->key;
  out->length = hypercore_committed_length(db->local->core);
}

bool
autobee_is_writable (const autobee_t *db) {
  return db->is_writable;
}

ab_store_t *
autobee_store (const autobee_t *db) {
  return db->store;
}

int
autobee_info (autobee_t *db, autobee_info_t *out) {
  memset(out, 0, sizeof(*out));
  int err = autobee__enter(db);
  if (err < 0) return err;
  record_writer_t record;
  err = autobee__system_record(&db->system, &db->local->key, &record);
  if (err < 0 && err != AB_ENOTFOUND && err != AB_EREMOTE) return err; /* a sparse state may lack it */
  out->is_indexer = err == 0 && record_is_indexer(&record);
  out->key = db->key;
  out->discovery_key = db->discovery_key;
  autobee_local(db, &out->local);
  out->system = db->published_system;
  out->view = db->published_view;
  out->flushes = db->published_flushes;
  out->timestamp_ms = db->published_timestamp_ms;
  out->heads = db->published_heads;
  out->is_writable = db->is_writable;
  out->is_encrypted = db->is_encrypted;
  out->is_interrupted = db->halted == AB_EINTERRUPTED;
  out->is_halted = db->halted < 0;
  out->is_reindexing = db->reindex.is_asked || db->reindex.is_active;
  out->reindexed = db->reindex.is_active ? db->system.flushes : 0;
  out->undos = db->undos;
  out->applies = db->applies;
  out->drains = db->drains;
  out->fast_forwards = db->forwards;
  out->arrivals = db->arrivals;
  out->appends = db->appends;
  out->rejected = db->rejected;
  return 0;
}

/* Until nothing is left to do, and on disk. */
static int
work (autobee_t *db) {
  int err = 0;
  if (ab_store_options(db->store)->read_only) return follow_committed(db);
  autobee__drain_resume(db);
  while (err == 0 && db->is_bumped) err = autobee__drain(db, 0);
  if (err >= 0 && autobee__commit_due(db)) err = ab_store_commit(db->store);
  return err < 0 ? err : 0;
}

int
autobee_update (autobee_t *db) {
  int err = enter_to_work(db);
  if (err < 0) return err;
  err = work(db);
  autobee__tell(db);
  return err;
}

/* While commits fail only so much may be staged. */
static int
check_space (autobee_t *db) {
  if (db->commit_at_ms == 0 || ab_store_staged(db->store) < ab_store_options(db->store)->staged_bytes)
    return 0;
  return ab_store_commit(db->store);
}

int
autobee_append_async (
  autobee_t *db,
  autobee_append_t *req,
  const ab_slice_t *values,
  size_t count,
  unsigned flags,
  autobee_append_cb cb
) {
  int err = autobee__enter(db);
  if (err < 0) return err;
  if (ab_store_options(db->store)->read_only) {
    return ab_store_fail(
      db->store, AB_EREADONLY, "the store is open read-only; open it without read_only to append"
    );
  }
  if ((err = check_space(db)) < 0) return err;
  memset(&req->position, 0, sizeof(req->position));
  req->cb = cb;
  if (count == 0) {
    autobee__end(db, req, 0);
    db->is_bumped = true;
    return 0;
  }
  return autobee__queue_values(db, req, values, count, (flags & AUTOBEE_OPTIMISTIC) != 0, NULL);
}

typedef struct {
  bool is_done;
  int status;
} waiter_t;

static void
append_done (autobee_append_t *req, int status) {
  waiter_t *waiter = req->data;
  waiter->is_done = true;
  waiter->status = status;
}

/* Nobody waits for it any more. */
static void
forget_request (autobee_t *db, const autobee_append_t *req) {
  for (batch_t *batch = db->queue; batch != NULL; batch = batch->next) {
    if (batch->req == req) batch->req = NULL;
  }
  for (batch_t *batch = db->uncommitted; batch != NULL; batch = batch->next) {
    if (batch->req == req) batch->req = NULL;
  }
}

int
autobee_append (autobee_t *db, const ab_slice_t *values, size_t count, unsigned flags, ab_head_t *out) {
  waiter_t waiter = {0};
  autobee_append_t req = {.data = &waiter};
  int err = enter_to_work(db);
  if (err < 0) return err;
  if ((err = autobee_append_async(db, &req, values, count, flags, append_done)) < 0) return err;
  autobee__drain_resume(db);
  int more = 1;
  while (more > 0 && !waiter.is_done) { /* what else there is to do may take long, and is not waited for */
    if ((more = autobee__drain(db, autobee__now(db) + APPEND_SLICE_MS)) < 0) err = more;
    if (more == 0 || db->uncommitted != NULL) {
      int committed = autobee__commit_due(db) ? ab_store_commit(db->store) : 0;
      if (err == 0) err = committed;
    }
    autobee__tell(db);
  }
  if (out != NULL) *out = req.position;
  if (waiter.is_done) return waiter.status;
  forget_request(db, &req);
  if (err < 0) return err;
  if (db->local->is_frozen) return ab_store_fail(db->store, AB_ECORRUPT, "the local writer's log is damaged");
  if (db->retry_at_ms == UINT64_MAX) return AB_EREMOTE;
  return ab_store_fail(
    db->store,
    AB_EREMOTE,
    "the batch is stamped more than two hours ahead of this clock, because what it follows is; it is queued "
    "until then"
  );
}

int
autobee__hint (autobee_t *db, const ab_key_t *key, uint64_t length) {
  if (ab_key_equal(key, &db->local->key)) return 0;
  for (size_t i = 0; i < db->hint_count; i++) {
    if (!ab_key_equal(&db->hints[i].key, key)) continue;
    if (length > db->hints[i].length) db->hints[i].length = length;
    return 0;
  }
  if (db->hint_count == ENGINE_HINTS_MAX) return 0;
  if (db->hints == NULL) {
    db->hints = malloc(ENGINE_HINTS_MAX * sizeof(*db->hints));
    if (db->hints == NULL) return AB_ENOMEM;
  }
  db->hints[db->hint_count].key = *key;
  db->hints[db->hint_count++].length = length;
  db->is_bumped = true;
  return 0;
}

int
autobee_hint (autobee_t *db, const ab_key_t *key, uint64_t length) {
  int err = autobee__enter(db);
  return err < 0 ? err : autobee__hint(db, key, length);
}

int
autobee_rotate (autobee_t *db, hypercore_t *core) {
  int err = autobee__enter(db);
  if (err < 0) return err;
  if (hypercore_store(core) != db->store) return AB_EINVAL;
  if (ab_store_options(db->store)->read_only) return AB_EREADONLY;
  if (!hypercore_is_writable(core)) {
    return ab_store_fail(db->store, AB_ENOTWRITABLE, "the store cannot sign for this core");
  }
  if (db->rotate_to != NULL) hypercore_close(db->rotate_to);
  db->rotate_to = hypercore_retain(core);
  db->is_bumped = true;
  return 0;
}

#include "autobee/replicate.h"

#include <stdlib.h>

#include "autobee/drain.h"
#include "autobee/grow.h"
#include "hypercore/crypto.h"
#include "hypercore/net/net.h"

/* Cores that stay followed although no writer is attached for them: the ones left longest ago go first. */
#define IDLE_MAX 256

typedef struct replica_s replica_t;
struct replica_s {
  replication_t *owner;
  hypercore_t *core;
  hypercore_follow_t follow;
  hypercore_download_t download;
  hypercore_listener_t listener; /* while idle */
  bool is_attached;
  bool is_idle;
  replica_t *older, *newer; /* among the idle ones */
  replica_t *next;          /* of all */
  replica_t **link;
};

struct replication_s {
  autobee_t *db;
  ab_wakeup_t wakeup;
  keymap_t replicas; /* core key → replica_t */
  replica_t *all;
  replica_t *oldest, *newest;
  size_t idle_count;
  uint64_t announced_length; /* of the local writer */
  bool is_held;              /* logs are not fetched as a whole */
};

/* ---- telling ---- */

typedef struct {
  ab_head_t *heads;
  size_t count;
  size_t capacity;
} head_list_t;

/* Out of memory only shortens what is told: announcements are hints. */
static void
list_head (head_list_t *list, const ab_key_t *key, uint64_t length) {
  if (length == 0 || list->count == AB_WAKEUP_HEADS_MAX) return;
  for (size_t i = 0; i < list->count; i++) {
    if (!ab_key_equal(&list->heads[i].key, key)) continue;
    if (list->heads[i].length < length) list->heads[i].length = length;
    return;
  }
  ab_head_t *heads = grown(list->heads, &list->capacity, list->count + 1, sizeof(ab_head_t));
  if (heads == NULL) return;
  list->heads = heads;
  list->heads[list->count++] = (ab_head_t){*key, length};
}

/* The writers we follow or followed, and the heads: with them a peer reaches everything we have. */
static void
announce_all (replication_t *replication, ab_stream_t *stream) {
  autobee_t *db = replication->db;
  head_list_t list = {0};

  list_head(&list, &db->local->key, hypercore_committed_length(db->local->core));
  for (size_t i = 0; i < db->attached.count; i++) {
    writer_t *writer = db->attached.writers[i];
    list_head(&list, &writer->key, hypercore_committed_length(writer->core));
  }
  for (replica_t *idle = replication->newest; idle != NULL; idle = idle->older) {
    list_head(&list, hypercore_key(idle->core), hypercore_committed_length(idle->core));
  }
  for (size_t i = 0; i < db->system.head_count; i++) {
    list_head(&list, &db->system.heads[i].key, db->system.heads[i].length);
  }
  (void) ab_wakeup_announce(&replication->wakeup, stream, list.heads, list.count);
  free(list.heads);
}

typedef struct {
  replication_t *replication;
  hypercore_t *core;
} news_t;

static int
announce_core (void *data, ab_stream_t *stream) {
  news_t *news = data;
  ab_head_t head = {*hypercore_key(news->core), hypercore_committed_length(news->core)};
  /* through its channel the peer hears of it anyway */
  if (ab_stream_core_state(stream, hypercore_discovery_key(news->core)) == AB_CORE_OPEN) return 0;
  (void) ab_wakeup_announce(&news->replication->wakeup, stream, &head, 1);
  return 0;
}

static void
announce_to_all (replication_t *replication, hypercore_t *core) {
  news_t news = {replication, core};
  if (hypercore_committed_length(core) == 0) return;
  (void) ab_store_each_stream(replication->db->store, announce_core, &news);
}

/* ---- hearing ---- */

/* Is there something that the next turns will go on with? */
static bool
is_working (const autobee_t *db) {
  return db->stage != STAGE_IDLE || db->is_bumped || db->needs_reset || db->hint_count > 0 ||
         db->forward.is_holding || autobee__commit_due(db);
}

/* Is what has come still being taken in? */
static bool
is_busy (const autobee_t *db) {
  return db->halted == 0 && is_working(db);
}

/* Whoever asks while connected for a while wants to know whether this peer is done: see autobee_confirm. */
static bool
may_answer (ab_wakeup_t *wakeup, ab_stream_t *stream) {
  replication_t *replication = wakeup->data;
  (void) stream;
  return !is_busy(replication->db);
}

void
autobee__replicate_idle (autobee_t *db) {
  if (db->replication != NULL && !is_busy(db)) ab_wakeup_resume(&db->replication->wakeup);
}

int
autobee_confirm (autobee_t *db, ab_stream_t *stream) {
  int err = autobee__enter(db);
  if (err < 0) return err;
  return db->replication == NULL ? AB_EINVAL : ab_wakeup_lookup(&db->replication->wakeup, stream);
}

static void
on_lookup (ab_wakeup_t *wakeup, ab_stream_t *stream) {
  announce_all(wakeup->data, stream);
}

static void
on_announce (ab_wakeup_t *wakeup, ab_stream_t *stream, const ab_head_t *heads, size_t count) {
  replication_t *replication = wakeup->data;
  (void) stream;
  for (size_t i = 0; i < count; i++) {
    if (autobee__hint(replication->db, &heads[i].key, heads[i].length) < 0) return; /* asked again one day */
  }
}

static void
on_peer (ab_wakeup_t *wakeup, ab_stream_t *stream, bool active) {
  if (active) announce_all(wakeup->data, stream);
}

/* A writer that was left long ago: only a core on record counts, the peer may hold any. */
static void
on_grown (ab_wakeup_t *wakeup, ab_stream_t *stream, const ab_head_t *head) {
  autobee_t *db = ((replication_t *) wakeup->data)->db;
  record_writer_t record;
  (void) stream;
  if (autobee__system_record(&db->system, &head->key, &record) < 0 || record.is_anchor) return;
  (void) autobee__hint(db, &head->key, head->length);
}

/* An idle writer's log grew: look at it again. */
static void
idle_changed (void *data, hypercore_t *core) {
  replica_t *replica = data;
  (void) autobee__hint(replica->owner->db, hypercore_key(core), hypercore_length(core));
}

/* ---- replicas ---- */

static void
idle_remove (replica_t *replica) {
  replication_t *owner = replica->owner;
  *(replica->older != NULL ? &replica->older->newer : &owner->oldest) = replica->newer;
  *(replica->newer != NULL ? &replica->newer->older : &owner->newest) = replica->older;
  replica->older = replica->newer = NULL;
  replica->is_idle = false;
  owner->idle_count--;
  hypercore_unlisten(&replica->listener);
}

static void
idle_add (replica_t *replica) {
  replication_t *owner = replica->owner;
  replica->older = owner->newest;
  *(owner->newest != NULL ? &owner->newest->newer : &owner->oldest) = replica;
  owner->newest = replica;
  replica->is_idle = true;
  owner->idle_count++;
  replica->listener.changed = idle_changed;
  replica->listener.data = replica;
  hypercore_listen(replica->core, &replica->listener);
}

static int
download_live (replica_t *replica);

/* A cancelled download ends in a later turn. By then the replica may be gone, or wanted again. */
static void
downloaded (hypercore_download_t *download, int status) {
  replica_t *replica = download->data;
  if (replica->owner == NULL) free(replica);
  else if (status == AB_ECANCELED && replica->is_attached) (void) download_live(replica);
}

/* What is on record was applied, here or by the peer whose state was adopted: then only a whole copy of the
 * log needs it. */
static uint64_t
first_wanted (replica_t *replica) {
  uint64_t start = hypercore_contiguous_length(replica->core);
  record_writer_t record;
  if (!replica->owner->db->options.sparse) return start;
  int err = autobee__system_record(&replica->owner->db->system, hypercore_key(replica->core), &record);
  return err == 0 && record.length > start ? record.length : start;
}

static int
download_live (replica_t *replica) {
  if (hypercore_download_is_active(&replica->download) || replica->owner->is_held)
    return 0; /* or was cancelled just now: see downloaded */
  uint64_t start = first_wanted(replica);
  return hypercore_download(&replica->download, replica->core, start, HYPERCORE_LIVE, downloaded);
}

static void
replica_close (replica_t *replica) {
  if (replica->is_idle) idle_remove(replica);
  if ((*replica->link = replica->next) != NULL) replica->next->link = replica->link;
  autobee__keymap_del(&replica->owner->replicas, hypercore_key(replica->core));
  hypercore_unfollow(&replica->follow);
  hypercore_close(replica->core);
  replica->owner = NULL;
  if (!hypercore_download_is_active(&replica->download)) free(replica);
  else hypercore_download_cancel(&replica->download);
}

static int
replica_open (replication_t *replication, hypercore_t *core, replica_t **out) {
  replica_t *replica = calloc(1, sizeof(*replica));
  if (replica == NULL) return AB_ENOMEM;
  replica->owner = replication;
  replica->download.data = replica;
  int err = autobee__keymap_put(&replication->replicas, hypercore_key(core), replica);
  if (err == 0 && (err = hypercore_follow(&replica->follow, core)) < 0) {
    autobee__keymap_del(&replication->replicas, hypercore_key(core));
  }
  if (err < 0) {
    free(replica);
    return err;
  }
  replica->core = hypercore_retain(core);
  if ((replica->next = replication->all) != NULL) replica->next->link = &replica->next;
  replica->link = &replication->all;
  replication->all = replica;
  *out = replica;
  return 0;
}

int
autobee__replicate_attached (autobee_t *db, writer_t *writer) {
  replication_t *replication = db->replication;
  if (replication == NULL) return 0;
  replica_t *replica = autobee__keymap_get(&replication->replicas, &writer->key);
  int err;

  if (replica == NULL && (err = replica_open(replication, writer->core, &replica)) < 0) return err;
  if (replica->is_attached) return 0;
  if (writer != db->local && (err = download_live(replica)) < 0) {
    if (!replica->is_idle) replica_close(replica);
    return err;
  }
  if (replica->is_idle) idle_remove(replica);
  replica->is_attached = true;
  announce_to_all(replication, writer->core);
  return 0;
}

void
autobee__replicate_detached (autobee_t *db, writer_t *writer) {
  replication_t *replication = db->replication;
  if (replication == NULL) return;
  replica_t *replica = autobee__keymap_get(&replication->replicas, &writer->key);
  if (replica == NULL || !replica->is_attached) return;
  replica->is_attached = false;
  hypercore_download_cancel(&replica->download);
  idle_add(replica);
  if (replication->idle_count <= IDLE_MAX) return;
  replica_close(replication->oldest);
}

static int
is_one (void *data, ab_stream_t *stream) {
  (void) data;
  (void) stream;
  return 1;
}

bool
autobee__replicate_is_connected (const autobee_t *db) {
  return db->replication != NULL && ab_store_each_stream(db->store, is_one, NULL) == 1;
}

static int
may_have (void *data, ab_stream_t *stream) {
  const ab_head_t *head = data;
  return ab_stream_may_have(stream, &head->key, head->length);
}

bool
autobee__replicate_may_have (const autobee_t *db, const ab_head_t *head) {
  ab_head_t discovered = {.length = head->length};
  ab_discovery_key(&discovered.key, &head->key);
  return db->replication != NULL && ab_store_each_stream(db->store, may_have, &discovered) != 0;
}

static int
is_fetching (void *data, ab_stream_t *stream) {
  ab_stream_stats_t stats;
  (void) data;
  ab_stream_stats(stream, &stats);
  return stats.requests_in_flight > 0;
}

bool
autobee__replicate_is_fetching (const autobee_t *db) {
  return db->replication != NULL && ab_store_each_stream(db->store, is_fetching, NULL) != 0;
}

void
autobee__replicate_hold (autobee_t *db, bool is_held) {
  replication_t *replication = db->replication;
  if (replication == NULL) return;
  replication->is_held = is_held;
  for (replica_t *replica = replication->all; replica != NULL; replica = replica->next) {
    if (!replica->is_attached || replica->core == db->local->core) continue;
    if (is_held) hypercore_download_cancel(&replica->download);
    else (void) download_live(replica); /* out of memory: with the next announcement */
  }
}

int
autobee__replicate_core (autobee_t *db, hypercore_t *core) {
  replication_t *replication = db->replication;
  replica_t *replica;
  if (replication == NULL || autobee__keymap_get(&replication->replicas, hypercore_key(core)) != NULL)
    return 0;
  return replica_open(replication, core, &replica);
}

void
autobee__replicate_committed (autobee_t *db) {
  replication_t *replication = db->replication;
  if (replication == NULL) return;
  uint64_t length = hypercore_committed_length(db->local->core);
  if (length == replication->announced_length) return;
  replication->announced_length = length;
  announce_to_all(replication, db->local->core);
}

void
autobee__replicate_lookup (autobee_t *db) {
  if (db->replication != NULL) (void) ab_wakeup_lookup(&db->replication->wakeup, NULL);
}

/* ---- beginning and end ---- */

int
autobee_replicate (autobee_t *db) {
  int err = autobee__enter(db);
  if (err < 0 || db->replication != NULL) return err;
  replication_t *replication = calloc(1, sizeof(*replication));
  if (replication == NULL) return AB_ENOMEM;
  replication->db = db;
  replication->replicas.seed = db->seed;
  replication->wakeup = (ab_wakeup_t
  ){.data = replication,
    .capability = db->key,
    .topic = db->discovery_key,
    .lookup = on_lookup,
    .may_answer = may_answer,
    .announce = on_announce,
    .peer = on_peer,
    .grown = on_grown};
  db->replication = replication;

  if ((err = ab_wakeup_join(&replication->wakeup, db->store)) == 0) {
    (void) ab_wakeup_lookup(&replication->wakeup, NULL);
    err = autobee__replicate_attached(db, db->local);
  }
  for (size_t i = 0; err == 0 && i < db->attached.count; i++) {
    err = autobee__replicate_attached(db, db->attached.writers[i]);
  }
  for (foreign_t *foreign = db->foreign; err == 0 && foreign != NULL; foreign = foreign->next) {
    err = autobee__replicate_core(db, foreign->core);
  }
  if (err < 0) autobee__replicate_end(db);
  return err;
}

void
autobee__replicate_end (autobee_t *db) {
  replication_t *replication = db->replication;
  if (replication == NULL) return;
  db->replication = NULL;
  ab_wakeup_leave(&replication->wakeup);
  while (replication->all != NULL) replica_close(replication->all);
  autobee__keymap_destroy(&replication->replicas);
  free(replication);
}

bool
autobee_is_idle (const autobee_t *db) {
  return !is_working(db) && db->queue == NULL && db->waits.count == 0 && !db->reindex.is_active;
}

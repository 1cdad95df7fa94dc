/* want.c: what is wanted, what is committed, and the store's part of the net. */
#include "hypercore/net/want.h"

#include <assert.h>
#include <stdlib.h>

#include "hypercore/net/stream.h"

/* ---- sets and spans ---- */

static size_t
slot_of (const ab__index_set_t *set, uint64_t index) {
  return (size_t) ((index + 1) * 0x9e3779b97f4a7c15ull >> 20) & (set->capacity - 1);
}

static size_t
find_slot (const ab__index_set_t *set, uint64_t index) {
  size_t at = slot_of(set, index);
  while (set->slots[at] != 0 && set->slots[at] != index + 1) at = (at + 1) & (set->capacity - 1);
  return at;
}

bool
ab__index_set_has (const ab__index_set_t *set, uint64_t index) {
  return set->count > 0 && set->slots[find_slot(set, index)] != 0;
}

int
ab__index_set_add (ab__index_set_t *set, uint64_t index) {
  if (2 * (set->count + 1) > set->capacity) {
    ab__index_set_t grown = {.capacity = set->capacity == 0 ? 64 : 2 * set->capacity};
    grown.slots = calloc(grown.capacity, sizeof(*grown.slots));
    if (grown.slots == NULL) return AB_ENOMEM;
    for (size_t i = 0; i < set->capacity; i++) {
      if (set->slots[i] != 0) grown.slots[find_slot(&grown, set->slots[i] - 1)] = set->slots[i];
    }
    grown.count = set->count;
    free(set->slots);
    *set = grown;
  }
  size_t at = find_slot(set, index);
  if (set->slots[at] == 0) set->count++;
  set->slots[at] = index + 1;
  return 0;
}

void
ab__index_set_remove (ab__index_set_t *set, uint64_t index) {
  if (set->count == 0) return;
  size_t mask = set->capacity - 1, hole = find_slot(set, index);
  if (set->slots[hole] == 0) return;
  for (size_t at = (hole + 1) & mask; set->slots[at] != 0; at = (at + 1) & mask) {
    size_t home = slot_of(set, set->slots[at] - 1);
    if (((at - home) & mask) < ((at - hole) & mask)) continue; /* its home lies behind the hole */
    set->slots[hole] = set->slots[at];
    hole = at;
  }
  set->slots[hole] = 0;
  if (--set->count > 0) return;
  free(set->slots); /* idle cores cost nothing */
  *set = (ab__index_set_t){0};
}

void
ab__spans_add (ab__spans_t *spans, uint64_t start, uint64_t end) {
  if (start >= end) return;
  if (spans->count > 0 && spans->spans[spans->count - 1].end == start) {
    spans->spans[spans->count - 1].end = end;
    return;
  }
  if (spans->count == AB__NEWS_MAX) return;
  if (spans->count == spans->capacity) {
    size_t capacity = spans->capacity == 0 ? 4 : 2 * spans->capacity;
    ab__span_t *grown = realloc(spans->spans, capacity * sizeof(*grown));
    if (grown == NULL) return; /* news are a courtesy */
    spans->spans = grown;
    spans->capacity = capacity;
  }
  spans->spans[spans->count++] = (ab__span_t){start, end};
}

void
ab__spans_clear (ab__spans_t *spans) {
  spans->count = 0;
}

void
ab__spans_destroy (ab__spans_t *spans) {
  free(spans->spans);
  *spans = (ab__spans_t){0};
}

/* ---- the net of a store ---- */

static int
run (void *data, uint32_t budget_ms, uint64_t *next_deadline_ms);
static void
committed (void *data, int status);
static void
closing (void *data);

ab__net_t *
ab__net_of (ab_store_t *store) {
  /* Runners are all a store knows of us: a new one is the first of the list, and the others follow. */
  ab_runner_t probe = {0};
  ab__net_t *net = NULL;
  ab_store_attach(store, &probe);
  for (ab_runner_t *runner = probe.next; runner != NULL && net == NULL; runner = runner->next) {
    if (runner->run == run) net = runner->data;
  }
  ab_store_detach(&probe);
  if (net != NULL) return net;

  net = calloc(1, sizeof(*net));
  if (net == NULL) return NULL;
  net->table_size = 64;
  net->table = calloc(net->table_size, sizeof(ab__netcore_t *));
  if (net->table == NULL) {
    free(net);
    return NULL;
  }
  net->store = store;
  net->runner = (ab_runner_t){.run = run, .committed = committed, .closing = closing, .data = net};
  ab_store_attach(store, &net->runner);
  return net;
}

static uint64_t
now (const ab__net_t *net) {
  const ab_env_t *env = ab_store_env(net->store);
  return env->now_ms(env->data);
}

/* ---- cores ---- */

static ab__netcore_t **
chain_of (const ab__net_t *net, const ab_key_t *discovery_key) {
  return &net->table[ab_get_u64le(discovery_key->bytes) & (net->table_size - 1)];
}

ab__netcore_t *
ab__net_find (const ab__net_t *net, const ab_key_t *discovery_key) {
  ab__netcore_t *core = *chain_of(net, discovery_key);
  while (core != NULL && !ab_key_equal(&core->discovery_key, discovery_key)) core = core->chain;
  return core;
}

static void
grow_table (ab__net_t *net) {
  size_t size = 2 * net->table_size;
  ab__netcore_t **table = calloc(size, sizeof(ab__netcore_t *));
  if (table == NULL) return; /* longer chains do as well */
  free(net->table);
  net->table = table;
  net->table_size = size;
  for (ab__netcore_t *core = net->cores; core != NULL; core = core->next) {
    ab__netcore_t **chain = chain_of(net, &core->discovery_key);
    core->chain = *chain;
    *chain = core;
  }
}

/* Called by the core after every change; must not call it back, but may ask. */
static void
core_changed (void *data, hypercore_t *hypercore) {
  ab__netcore_t *core = data;
  uint64_t length = hypercore_length(hypercore);
  if (length < core->low) core->low = length;
  core->changed = core->uncommitted = true;
  core->net->changed = true;
}

static void
read_committed (ab__netcore_t *core) {
  core->fork = hypercore_fork(core->core);
  core->length = hypercore_committed_length(core->core);
  core->contiguous = hypercore_contiguous_length(core->core);
  if (core->contiguous > core->length) core->contiguous = core->length;
  ab_slice_t manifest = hypercore_manifest(core->core);
  core->has_manifest = false;
  if (manifest.len > 0) {
    ab_arena_t arena = {0};
    ab_manifest_t decoded;
    if (ab_manifest_parse(manifest, NULL, &arena, &decoded) == 0) {
      core->has_manifest = !ab_manifest_is_compat(&decoded, &core->key);
    }
    ab_arena_destroy(&arena);
  }
}

/* Takes over a reference. */
static int
new_core (ab__net_t *net, hypercore_t *hypercore, ab__netcore_t **out) {
  int err = hypercore_is_writable(hypercore) ? ab__net_sync(net) : 0;
  ab__netcore_t *core = err < 0 ? NULL : calloc(1, sizeof(*core));
  if (core == NULL) {
    hypercore_close(hypercore);
    return err < 0 ? err : AB_ENOMEM;
  }
  core->net = net;
  core->core = hypercore;
  core->key = *hypercore_key(hypercore);
  core->discovery_key = *hypercore_discovery_key(hypercore);
  core->low = UINT64_MAX;
  core->listener = (hypercore_listener_t){.changed = core_changed, .data = core};
  hypercore_listen(hypercore, &core->listener);
  core->next = net->cores;
  core->link = &net->cores;
  if (core->next != NULL) core->next->link = &core->next;
  net->cores = core;
  ab__netcore_t **chain = chain_of(net, &core->discovery_key);
  core->chain = *chain;
  *chain = core;
  if (++net->core_count > 2 * net->table_size) grow_table(net);
  read_committed(core);
  core->uncommitted = core->length != hypercore_length(hypercore); /* changed before anybody listened */
  *out = core;
  return 0;
}

int
ab__net_core (ab__net_t *net, hypercore_t *core, ab__netcore_t **out) {
  *out = ab__net_find(net, hypercore_discovery_key(core));
  return *out != NULL ? 0 : new_core(net, hypercore_retain(core), out);
}

int
ab__net_core_discovered (ab__net_t *net, const ab_key_t *discovery_key, ab__netcore_t **out) {
  hypercore_t *core;
  *out = ab__net_find(net, discovery_key);
  if (*out != NULL) return 0;
  int err = hypercore_open_discovery(net->store, discovery_key, &core);
  return err < 0 ? err : new_core(net, core, out);
}

static void
free_core (ab__netcore_t *core) {
  ab__net_t *net = core->net;
  assert(core->replicators == NULL && core->downloads == NULL);
  for (ab__netcore_t **at = chain_of(net, &core->discovery_key); *at != NULL; at = &(*at)->chain) {
    if (*at != core) continue;
    *at = core->chain;
    break;
  }
  *core->link = core->next;
  if (core->next != NULL) core->next->link = core->link;
  net->core_count--;
  hypercore_unlisten(&core->listener);
  hypercore_close(core->core);
  ab_arena_destroy(&core->reorg_arena);
  ab__spans_destroy(&core->news);
  free(core->asked.slots);
  free(core->urgent);
  free(core);
}

void
ab__netcore_settle (ab__netcore_t *core) {
  if (core->follows == NULL && core->replicators == NULL) free_core(core);
}

void
ab__netcore_tell (ab__netcore_t *core, ab_stream_t *stream, ab_core_state_t state) {
  core->next_follow = core->follows;
  while (core->next_follow != NULL) {
    hypercore_follow_t *follow = core->next_follow;
    core->next_follow = follow->next;
    if (follow->peer != NULL) follow->peer(follow, stream, state);
  }
}

void
ab__netcore_pump (ab__netcore_t *core) {
  for (ab__replicator_t *at = core->replicators; at != NULL; at = at->next_of_core) {
    if (at->state != AB_CORE_OPEN) continue;
    at->pump_due = true;
    ab__replicator_queue(at);
  }
}

bool
ab__netcore_poll (ab__netcore_t *core) {
  uint64_t wanted[HYPERCORE_WANTED_MAX];
  size_t count = hypercore_take_wanted(core->core, wanted, HYPERCORE_WANTED_MAX);
  if (count == 0) return false;
  if (core->urgent == NULL) {
    core->urgent = malloc(AB__URGENT_MAX * sizeof(*core->urgent));
    if (core->urgent == NULL) return false; /* the read is tried again, and wants it again */
  }
  /* The newest stay. */
  size_t keep = core->urgent_count + count > AB__URGENT_MAX ? AB__URGENT_MAX - count : core->urgent_count;
  memmove(core->urgent, core->urgent + core->urgent_count - keep, keep * sizeof(*core->urgent));
  for (size_t i = 0; i < count; i++) {
    bool known = false;
    for (size_t j = 0; j < keep && !known; j++) known = core->urgent[j] == wanted[i];
    if (!known) core->urgent[keep++] = wanted[i];
  }
  core->urgent_count = keep;
  ab__netcore_pump(core);
  return true;
}

/* ---- commits ---- */

void
ab__netcore_staged (ab__netcore_t *core) {
  ab__net_t *net = core->net;
  if (net->staged) return;
  net->staged = true;
  net->staged_ms = now(net);
}

static void
commit (ab__net_t *net) {
  if (ab_store_commit(net->store) < 0) net->stalled = true;
  else net->staged = false; /* also if what came was here already: then nothing is written, and nobody told */
}

void
ab__net_limit_staged (ab__net_t *net) {
  if (net->staged && ab_store_staged(net->store) >= ab_store_options(net->store)->staged_bytes) commit(net);
}

/* What may be told of a core has changed. */
static void
publish (ab__netcore_t *core) {
  uint64_t fork = core->fork, length = core->length, contiguous = core->contiguous;
  ab__span_t drop = {0, 0};
  read_committed(core);
  if (core->fork != fork && core->low < length) drop = (ab__span_t){core->low, length};
  else if (core->contiguous < contiguous) drop = (ab__span_t){core->contiguous, contiguous};
  if (core->length > length && hypercore_is_writable(core->core) && core->contiguous < core->length) {
    ab__spans_add(&core->news, length, core->length);
  }
  for (ab__replicator_t *at = core->replicators; at != NULL; at = at->next_of_core) {
    ab__replicator_news(at, drop, &core->news);
  }
  ab__spans_clear(&core->news);
  core->low = UINT64_MAX;
  core->uncommitted = false;
}

int
ab__net_sync (ab__net_t *net) {
  return ab_store_options(net->store)->relaxed ? ab_store_sync(net->store) : 0;
}

/* Is there something of our own to tell? */
static bool
has_own_news (const ab__net_t *net) {
  for (const ab__netcore_t *core = net->cores; core != NULL; core = core->next) {
    if (core->uncommitted && hypercore_is_writable(core->core)) return true;
  }
  return false;
}

static void
committed (void *data, int status) {
  ab__net_t *net = data;
  net->stalled = status < 0;
  if (status < 0) return;
  net->staged = false;
  /* Our own blocks are told when they cannot get lost any more; when that fails, with a later commit. */
  if (net->streams != NULL && has_own_news(net) && ab__net_sync(net) < 0) return;
  for (ab__netcore_t *core = net->cores; core != NULL; core = core->next) {
    if (core->uncommitted) publish(core);
  }
}

void
hypercore_announce_clear (hypercore_t *hypercore, uint64_t start, uint64_t end) {
  ab__net_t *net = ab__net_of(hypercore_store(hypercore));
  ab__netcore_t *core = net == NULL ? NULL : ab__net_find(net, hypercore_discovery_key(hypercore));
  if (core == NULL) return;
  ab__spans_t none = {0};
  read_committed(core);
  for (ab__replicator_t *at = core->replicators; at != NULL; at = at->next_of_core) {
    ab__replicator_news(at, (ab__span_t){start, end}, &none);
  }
}

/* ---- following and downloading ---- */

static int
follow_core (hypercore_follow_t *follow, ab__net_t *net, hypercore_t *hypercore) {
  ab__netcore_t *core;
  int err = ab__net_core(net, hypercore, &core);
  if (err < 0) return err;
  bool first = core->follows == NULL;
  follow->core = core;
  follow->next = core->follows;
  follow->link = &core->follows;
  if (follow->next != NULL) follow->next->link = &follow->next;
  core->follows = follow;
  if (!first) return 0;
  net->opens++;
  for (ab__replicator_t *at = core->replicators; at != NULL; at = at->next_of_core) {
    at->sync_due = true; /* we download now */
    at->pump_due = true;
    ab__replicator_queue(at);
  }
  for (ab_stream_t *stream = net->streams; stream != NULL; stream = stream->next) ab__stream_wake(stream);
  return 0;
}

int
hypercore_follow (hypercore_follow_t *follow, hypercore_t *core) {
  ab__net_t *net = ab__net_of(hypercore_store(core));
  return net == NULL ? AB_ENOMEM : follow_core(follow, net, core);
}

void
hypercore_unfollow (hypercore_follow_t *follow) {
  ab__netcore_t *core = follow->core;
  if (core == NULL) return;
  if (core->next_follow == follow) core->next_follow = follow->next;
  *follow->link = follow->next;
  if (follow->next != NULL) follow->next->link = follow->link;
  follow->core = NULL;
  if (core->follows != NULL) return;
  core->urgent_count = 0;
  for (ab__replicator_t *at = core->replicators, *next; at != NULL; at = next) {
    next = at->next_of_core;
    if (at->state == AB_CORE_REFUSED) {
      ab__replicator_free(at);
      continue;
    }
    at->sync_due = true;
    ab__replicator_queue(at);
  }
  /* The caller may be inside a callback of this core: it is released when that is over. */
  core->changed = core->net->changed = true;
}

int
hypercore_download (
  hypercore_download_t *download,
  hypercore_t *hypercore,
  uint64_t start,
  uint64_t end,
  hypercore_download_cb cb
) {
  if (start >= end) return AB_EINVAL;
  ab__net_t *net = ab__net_of(hypercore_store(hypercore));
  if (net == NULL) return AB_ENOMEM;
  void *data = download->data;
  *download = (hypercore_download_t){.data = data, .start = start, .low = start, .end = end, .cb = cb};
  int err = follow_core(&download->follow, net, hypercore);
  if (err < 0) return err;
  ab__netcore_t *core = download->follow.core;
  download->core = core;
  download->next = core->downloads;
  download->link = &core->downloads;
  if (download->next != NULL) download->next->link = &download->next;
  core->downloads = download;
  core->changed = net->changed = true;
  ab__netcore_pump(core);
  return 0;
}

bool
hypercore_download_is_active (const hypercore_download_t *download) {
  return download->link != NULL;
}

static void
unlink_download (hypercore_download_t *download) {
  assert(download->link != NULL);
  *download->link = download->next;
  if (download->next != NULL) download->next->link = download->link;
  download->link = NULL;
  download->next = NULL;
}

/* Its callback is due. */
static void
end_download (hypercore_download_t *download, int status) {
  ab__netcore_t *core = download->core;
  assert(core != NULL);
  ab__net_t *net = core->net;
  for (ab__replicator_t *at = core->replicators; at != NULL; at = at->next_of_core) {
    if (at->cursor_of == download) at->cursor_of = NULL;
  }
  unlink_download(download);
  download->core = NULL;
  download->status = status;
  download->next = net->ended;
  download->link = &net->ended;
  if (download->next != NULL) download->next->link = &download->next;
  net->ended = download;
  hypercore_unfollow(&download->follow);
}

void
hypercore_download_cancel (hypercore_download_t *download) {
  if (download->core != NULL) end_download(download, AB_ECANCELED);
}

static void
call_ended (ab__net_t *net) {
  while (net->ended != NULL) {
    hypercore_download_t *download = net->ended;
    unlink_download(download);
    if (download->cb != NULL) download->cb(download, download->status);
  }
}

/* Move past what is here; end what is complete and committed. */
static void
check_downloads (ab__netcore_t *core) {
  for (hypercore_download_t *at = core->downloads, *next; at != NULL; at = next) {
    next = at->next;
    uint64_t contiguous = hypercore_contiguous_length(core->core);
    uint64_t length = hypercore_length(core->core);
    if (at->low < contiguous) at->low = contiguous < at->end ? contiguous : at->end;
    while (at->low < at->end && at->low < length && hypercore_has(core->core, at->low, at->low + 1))
      at->low++;
    if (at->low >= at->end && !core->uncommitted) end_download(at, 0);
  }
}

void
ab__netcore_rewind (ab__netcore_t *core, uint64_t length) {
  for (hypercore_download_t *at = core->downloads; at != NULL; at = at->next) {
    if (at->low > length) at->low = length > at->start ? length : at->start;
  }
  core->epoch++;
}

/* ---- the store's calls ---- */

static bool
is_waiting (const ab__net_t *net) {
  for (const ab_stream_t *stream = net->streams; stream != NULL; stream = stream->next) {
    if (stream->status == 0 && stream->inflight > 0) return true;
  }
  return false;
}

static void
run_cores (ab__net_t *net) {
  net->changed = false;
  for (ab__netcore_t *core = net->cores, *next; core != NULL; core = next) {
    next = core->next;
    if (ab__netcore_is_followed(core)) ab__netcore_poll(core);
    if (!core->changed) continue;
    core->changed = false;
    if (core->downloads != NULL) check_downloads(core);
    ab__netcore_pump(core);
    ab__netcore_settle(core);
  }
}

static int
run (void *data, uint32_t budget_ms, uint64_t *next_deadline_ms) {
  ab__net_t *net = data;
  uint64_t time = now(net);
  (void) budget_ms;
  run_cores(net);
  if (net->staged && (net->stalled || time >= net->staged_ms + AB__COMMIT_AFTER_MS || time < net->staged_ms || !is_waiting(net))) {
    commit(net);
    for (ab__netcore_t *core = net->cores; core != NULL && !net->staged; core = core->next) {
      if (core->downloads != NULL) core->changed = net->changed = true;
    }
    if (net->changed) run_cores(net);
  }
  call_ended(net);

  uint64_t deadline = net->staged ? net->staged_ms + AB__COMMIT_AFTER_MS : UINT64_MAX;
  if (net->staged && net->stalled) deadline = time + 1000;
  for (ab_stream_t *stream = net->streams, *next; stream != NULL; stream = next) {
    next = stream->next;
    ab_stream_tick(stream);
    uint64_t own = ab_stream_deadline(stream);
    if (own < deadline) deadline = own;
  }
  *next_deadline_ms = deadline;
  return net->changed ? 1 : 0;
}

static void
closing (void *data) {
  ab__net_t *net = data;
  while (net->streams != NULL) ab__stream_orphan(net->streams);
  ab__wakeup_orphan(net);
  for (ab__netcore_t *core = net->cores, *next; core != NULL; core = next) {
    next = core->next;
    while (core->downloads != NULL) end_download(core->downloads, AB_ECLOSED);
    while (core->follows != NULL) hypercore_unfollow(core->follows);
    free_core(core);
  }
  call_ended(net);
  ab_store_detach(&net->runner);
  free(net->table);
  free(net);
}

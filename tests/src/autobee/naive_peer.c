#include "autobee/naive_peer.h"

#include "autobee/naive_order.h"

#include <assert.h>
#include <stdlib.h>

#define RISES_MAX 32     /* N4 */
#define QUEUE_MAX 100000 /* of one run; more is no order at all */

static naive_state_t *
state_of (const naive_peer_t *peer) {
  return &peer->states[peer->count - 1];
}

static void *
need (void *memory) {
  if (memory == NULL) abort();
  return memory;
}

/* ---- writers ---- */

static void
pend (naive_writer_t *writer) {
  writer->is_pending = true;
}

static void
unpeek (naive_writer_t *writer) {
  writer->peeked.last = 0;
}

static void
unpend (naive_writer_t *writer) {
  writer->is_pending = false;
  unpeek(writer);
}

static void
attach (naive_peer_t *peer, size_t number) {
  naive_writer_t *writer = &peer->writers[number];
  if (writer->is_attached) return;
  writer->is_attached = true;
  pend(writer);
}

/* And closed: what is attached again starts anew. The local one is kept open. */
static void
detach (naive_peer_t *peer, size_t number) {
  naive_writer_t *writer = &peer->writers[number];
  if (number != peer->local) *writer = (naive_writer_t){0};
  writer->is_attached = false;
  unpend(writer);
}

/* Its record's length. */
static uint64_t
refresh (naive_peer_t *peer, size_t number) {
  naive_writer_t *writer = &peer->writers[number];
  const naive_record_t *record = &state_of(peer)->records[number];
  writer->is_added = record->exists || number == 0;
  if (record->exists) writer->max_weight = record->max_weight;
  if (number == peer->local) peer->is_writable = writer->is_added && !record->is_removed;
  return record->length;
}

/* 17.5 */
static void
wake_up (naive_peer_t *peer, size_t number, uint64_t length) {
  naive_writer_t *writer = &peer->writers[number];
  if (number == peer->local || (writer->is_attached && writer->hinted >= length)) return;
  bool is_known = state_of(peer)->records[number].length >= length;
  if (peer->is_production && !writer->is_attached && is_known) return; /* no news */
  attach(peer, number);
  if (length > writer->hinted) writer->hinted = length;
  peer->is_bumped = true;
}

/* 10.4: the node is applied, and what waits for it or for one before it goes on. */
static void
fire (naive_peer_t *peer, size_t number, uint64_t length) {
  for (size_t i = 0; i < peer->logs->count; i++) {
    naive_writer_t *writer = &peer->writers[i];
    if (writer->waiting.length == 0 || writer->waiting.length > length) continue;
    if (naive_number(peer->logs, &writer->waiting.key) != number) continue;
    writer->waiting.length = 0;
    if (writer->is_attached) pend(writer);
    peer->is_bumped = true;
  }
}

/* ---- 10.3 ---- */

static bool
present_or_wait (naive_peer_t *peer, size_t number, uint64_t length) {
  const oplog_message_t *message = &naive_node(peer->logs, number, length)->message;
  for (size_t i = 0; i < message->link_count + message->has_witness; i++) {
    ab_head_t link = i < message->link_count ? message->links[i] : message->witness.backer;
    if (naive_has(peer->logs, state_of(peer), &link)) continue;
    peer->writers[number].waiting = link;
    wake_up(peer, naive_number(peer->logs, &link.key), link.length);
    return false;
  }
  return true;
}

/* A stranger may link the node that grants it. */
static void
follow_links (naive_peer_t *peer, size_t number, uint64_t length) {
  const oplog_message_t *message = &naive_node(peer->logs, number, length)->message;
  for (size_t i = 0; i < message->link_count; i++)
    wake_up(peer, naive_number(peer->logs, &message->links[i].key), message->links[i].length);
}

/* The batch that begins behind `length`, if all of it may be taken; it ends at `end` at the latest. */
static bool
take_nodes (naive_peer_t *peer, size_t number, uint64_t length, uint64_t end, naive_batch_t *batch) {
  naive_writer_t *writer = &peer->writers[number];
  *batch = (naive_batch_t){.writer = number, .first = length + 1};
  while (length < end) {
    length++;
    if (length > peer->stored[number]) {
      unpend(writer);
      return false;
    }
    if (!writer->is_added && state_of(peer)->flushes > 0) {
      if (peer->is_production) follow_links(peer, number, length);
      return false;
    }
    if (!present_or_wait(peer, number, length)) {
      unpend(writer);
      return false;
    }
    if (naive_node(peer->logs, number, length)->message.batch_end > 0) continue;
    batch->last = length;
    return true;
  }
  return false;
}

static bool
take (naive_peer_t *peer, size_t number, naive_batch_t *batch) {
  naive_writer_t *writer = &peer->writers[number];
  if (writer->waiting.length > 0) return false;
  uint64_t length = refresh(peer, number);
  if (length < peer->lengths[number]) return take_nodes(peer, number, length, peer->lengths[number], batch);
  if (number != peer->local) return false;
  if (peer->taken < length) peer->taken = length;
  bool has_batch = peer->taken < peer->queued && take_nodes(peer, number, peer->taken, peer->queued, batch);
  if (has_batch) peer->taken = batch->last;
  if (peer->taken == peer->queued) writer->is_pending = false;
  return has_batch;
}

/* ---- 9 ---- */

static order_entry_t
entry_of (const naive_peer_t *peer, const naive_batch_t *batch) {
  const oplog_message_t *message = &naive_node(peer->logs, batch->writer, batch->first)->message;
  order_entry_t entry = {
    .writer = peer->logs->logs[batch->writer].key,
    .first = batch->first,
    .last = batch->last,
    .weight = batch->weight,
    .timestamp_ms = message->timestamp_ms,
    .links = message->links,
    .link_count = message->link_count};
  return entry;
}

/* 9.1 */
static bool
is_before (const naive_peer_t *peer, const naive_batch_t *a, const naive_batch_t *b) {
  uint64_t a_stamp = naive_stamp(peer->logs, a), b_stamp = naive_stamp(peer->logs, b);
  if (a->weight != b->weight) return a->weight > b->weight;
  if (a_stamp != b_stamp) return a_stamp < b_stamp;
  int order = memcmp(&peer->logs->logs[a->writer].key, &peer->logs->logs[b->writer].key, sizeof(ab_key_t));
  return order != 0 ? order < 0 : a->first < b->first;
}

/* 9.3. If something has to be undone, it is, and the new order from there on is written to `tip`, which has
 * room for one more than there are states. Returns how many those are. */
static size_t
insert (naive_peer_t *peer, const naive_batch_t *batch, naive_batch_t *tip) {
  size_t base = peer->count, changed = 0;
  while (base > 1 && is_before(peer, batch, &peer->states[base - 1].batch)) base--;
  size_t passed = peer->count - base;
  if (passed == 0) return 0;

  order_entry_t *window = need(calloc(passed, sizeof(*window)));
  size_t *order = need(calloc(passed + 1, sizeof(*order)));
  for (size_t i = 0; i < passed; i++) window[i] = entry_of(peer, &peer->states[base + i].batch);
  order_entry_t node = entry_of(peer, batch);
  const oplog_message_t *message = &naive_node(peer->logs, batch->writer, batch->first)->message;
  naive_place(window, passed, &node, message->has_witness ? &message->witness.backer : NULL, order);

  size_t count = 0;
  while (changed < passed && order[changed] == changed) changed++;
  for (size_t i = changed; i <= passed && changed < passed; i++)
    tip[count++] = order[i] == passed ? *batch : peer->states[base + order[i]].batch;
  if (count > 0) {
    peer->count = base + changed;
    peer->undos++;
  }
  free(window);
  free(order);
  return count;
}

/* 10.5 */
static void
settle (naive_peer_t *peer, const naive_change_t changes[NAIVE_WRITERS_MAX]) {
  for (size_t i = 0; i < peer->logs->count; i++) {
    if (changes[i] == NAIVE_NO_CHANGE) continue;
    if (i == peer->local) refresh(peer, i);
    if (changes[i] == NAIVE_ADDED) attach(peer, i);
    else detach(peer, i);
  }
}

static void
apply (naive_peer_t *peer, const naive_batch_t *batch) {
  naive_change_t changes[NAIVE_WRITERS_MAX];
  if (peer->count == peer->capacity) {
    peer->capacity *= 2;
    peer->states = need(realloc(peer->states, peer->capacity * sizeof(naive_state_t)));
  }
  naive_apply(peer->logs, state_of(peer), batch, &peer->states[peer->count], changes);
  peer->count++;
  settle(peer, changes);
}

/* Of a batch in one run. */
typedef struct {
  uint64_t weight; /* last resolved */
  unsigned rises;
  bool is_resolved;
} rise_t;

typedef struct {
  rise_t *of[NAIVE_WRITERS_MAX]; /* by the first node */
} rises_t;

/* 8.2, bounded as N4 says. */
static void
resolve (naive_peer_t *peer, rises_t *rises, naive_batch_t *batch) {
  rise_t *rise = &rises->of[batch->writer][batch->first - 1];
  const naive_state_t *state = state_of(peer);
  batch->weight = naive_resolve(peer->logs, state, batch, peer->is_altered);
  if (rise->is_resolved && batch->weight > rise->weight && ++rise->rises > RISES_MAX) {
    if (rise->rises == RISES_MAX + 1) peer->bounded++;
    batch->weight = naive_standing(&state->records[batch->writer]);
  }
  rise->weight = batch->weight;
  rise->is_resolved = true;
}

/* 9.4 */
static void
run (naive_peer_t *peer, const naive_batch_t *first) {
  rises_t rises;
  for (size_t i = 0; i < peer->logs->count; i++)
    rises.of[i] = need(calloc(peer->logs->logs[i].length + 1, sizeof(rise_t)));
  naive_batch_t *queue = need(calloc(peer->count + 1, sizeof(*queue)));
  naive_batch_t *tip = need(calloc(peer->count + 1, sizeof(*tip)));
  size_t count = 1; /* the next one is the last */
  queue[0] = *first;
  for (size_t steps = 0; count > 0; steps++) {
    assert(steps < QUEUE_MAX);
    naive_batch_t batch = queue[--count];
    resolve(peer, &rises, &batch);
    size_t more = insert(peer, &batch, tip);
    bool is_settled = more == 0;
    while (more > 0) queue[count++] = tip[--more];
    if (!is_settled) continue;
    apply(peer, &batch);
    fire(peer, batch.writer, batch.last);
  }
  free(queue);
  free(tip);
  for (size_t i = 0; i < peer->logs->count; i++) free(rises.of[i]);
}

/* ---- 10 ---- */

/* 10.2 */
static bool
step (naive_peer_t *peer) {
  bool was_pending[NAIVE_WRITERS_MAX];
  size_t best = NAIVE_WRITERS_MAX;
  for (size_t i = 0; i < peer->logs->count; i++) was_pending[i] = peer->writers[i].is_pending;
  for (size_t i = 0; i < peer->logs->count; i++) {
    naive_writer_t *writer = &peer->writers[i];
    naive_batch_t batch;
    if (!was_pending[i] || writer->peeked.last > 0 || !take(peer, i, &batch)) continue;
    batch.weight = naive_resolve(peer->logs, state_of(peer), &batch, peer->is_altered);
    writer->peeked = batch;
  }
  for (size_t i = 0; i < peer->logs->count; i++) {
    const naive_batch_t *batch = &peer->writers[i].peeked;
    if (batch->last == 0) continue;
    if (best == NAIVE_WRITERS_MAX || is_before(peer, batch, &peer->writers[best].peeked)) best = i;
  }
  if (peer->is_production && peer->writers[peer->local].peeked.last > 0) best = peer->local;
  if (best == NAIVE_WRITERS_MAX) return false;
  naive_batch_t batch = peer->writers[best].peeked;
  unpeek(&peer->writers[best]);
  if (peer->writers[best].is_added) run(peer, &batch);
  else unpend(&peer->writers[best]);
  return true;
}

/* 10.6 */
static void
refresh_all (naive_peer_t *peer) {
  refresh(peer, peer->local);
  for (size_t i = 0; i < peer->logs->count; i++) unpeek(&peer->writers[i]);
  for (size_t i = 0; i < peer->logs->count; i++) {
    naive_writer_t *writer = &peer->writers[i];
    if (!writer->is_attached) continue;
    unpend(writer);
    writer->waiting.length = 0;
    uint64_t length = refresh(peer, i);
    bool has_queue = i == peer->local && peer->queued > peer->lengths[i];
    if (length < peer->lengths[i] || length < writer->hinted || has_queue) pend(writer);
    else if (i != peer->local && i != 0 && writer->max_weight != 2) detach(peer, i);
  }
}

/* 11.4 */
static void
flush (naive_peer_t *peer) {
  uint64_t *length = &peer->lengths[peer->local];
  if (peer->taken <= *length) return;
  *length = peer->taken;
  if (peer->local == 0) peer->is_bumped = true;
}

/* 10.1 */
static void
drain (naive_peer_t *peer) {
  do {
    peer->is_bumped = false;
    for (size_t i = 0; i < peer->logs->count; i++) {
      if (peer->hints[i] > 0) wake_up(peer, i, peer->hints[i]);
      peer->hints[i] = 0;
    }
    while (step(peer)) continue;
    flush(peer);
    refresh_all(peer);
  } while (peer->is_bumped);
}

/* ---- what happens to it ---- */

void
naive_peer_init (naive_peer_t *peer, const naive_logs_t *logs, size_t local) {
  *peer = (naive_peer_t){.logs = logs, .local = local, .count = 1, .capacity = 16};
  peer->states = need(calloc(peer->capacity, sizeof(naive_state_t)));
}

void
naive_peer_destroy (naive_peer_t *peer) {
  free(peer->states);
}

void
naive_peer_open (naive_peer_t *peer) {
  memset(peer->writers, 0, sizeof(peer->writers));
  memset(peer->hints, 0, sizeof(peer->hints));
  for (size_t i = 0; i < peer->logs->count; i++)
    if (i == peer->local || i == 0 || state_of(peer)->records[i].exists) attach(peer, i);
  refresh(peer, peer->local);
}

void
naive_peer_receive (naive_peer_t *peer, size_t writer, uint64_t length, uint64_t stored) {
  peer->lengths[writer] = length;
  peer->stored[writer] = stored;
  if (peer->writers[writer].is_attached && peer->writers[writer].waiting.length == 0)
    pend(&peer->writers[writer]);
}

void
naive_peer_hint (naive_peer_t *peer, size_t writer, uint64_t length) {
  if (length > peer->hints[writer]) peer->hints[writer] = length;
}

void
naive_peer_append (naive_peer_t *peer) {
  peer->queued = peer->stored[peer->local] = peer->logs->logs[peer->local].length;
  pend(&peer->writers[peer->local]);
}

void
naive_peer_update (naive_peer_t *peer) {
  for (int quiet = 0; quiet < 3; quiet++) {
    size_t undos = peer->undos, count = peer->count;
    drain(peer);
    if (peer->undos != undos || peer->count != count) quiet = -1;
  }
}

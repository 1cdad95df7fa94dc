#include "meeting.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "hypercore/crypto.h"

#define TURNS_MAX 100000 /* whoever needs more never comes to rest */

static const int pairs[LINKS][2] = {{FOUNDER, OTHER}, {FOUNDER, VICTIM}, {OTHER, VICTIM}};

char meeting_where[160];

_Noreturn void
meeting_die (const char *format, ...) {
  va_list args;
  va_start(args, format);
  fprintf(stderr, "%s: ", meeting_where);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  _exit(1);
}

void
meeting_check (int err, const char *what, const person_t *person) {
  if (err >= 0) return;
  const char *message = person->store == NULL ? "" : ab_store_errmsg(person->store);
  meeting_die("%s: %s: %s (%s)", person->name, what, ab_err_name(err), message);
}

/* ---- a world without chance ---- */

static uint64_t now_us = 1772409600000000u;
static uint32_t random_state = 1;

/* Each reading takes a while, so that work is done in slices. */
static uint64_t
clock_of_all (void *data) {
  (void) data;
  return (now_us += 100) / 1000;
}

static void
random_of_all (void *data, uint8_t *out, size_t len) {
  (void) data;
  for (size_t i = 0; i < len; i++) {
    random_state = random_state * 1664525u + 1013904223u;
    out[i] = (uint8_t) (random_state >> 24);
  }
}

static const ab_env_t env = {clock_of_all, random_of_all, NULL};

void
meeting_wait (uint64_t ms) {
  now_us += ms * 1000;
}

static void
before (meeting_t *meeting, int who) {
  if (who == VICTIM) meeting->before(meeting->data);
}

static void
after (meeting_t *meeting, int who) {
  if (who == VICTIM) meeting->after(meeting->data);
}

/* ---- people ---- */

static void
on_event (autobee_t *db, const autobee_event_t *event, void *data) {
  const person_t *person = data;
  (void) db;
  if (event->kind == AUTOBEE_EVENT_HALTED || event->kind == AUTOBEE_EVENT_INTERRUPTED || event->kind == AUTOBEE_EVENT_FROZEN)
    meeting_die("%s: event %d: %s", person->name, (int) event->kind, event->message);
}

static void
open_store (person_t *person) {
  ab_store_options_t options = ab_store_options_default();
  ab_key_t primary = {{(uint8_t) person->name[0]}};
  char message[512] = "";
  options.env = &env;
  options.primary_key = &primary;
  if (ab_store_open(person->dir, &options, &person->store, message, sizeof(message)) < 0)
    meeting_die("%s: open: %s", person->name, message);
}

void
meeting_open (meeting_t *meeting, int who) {
  person_t *person = &meeting->people[who];
  autobee_options_t options = autobee_options_default();
  options.fast_forward = person->is_forwarding;
  options.sparse = person->is_sparse;
  options.on_event = on_event;
  options.event_data = person;
  static const ab_key_t none;
  bool is_new = ab_key_equal(&meeting->key, &none);

  before(meeting, who);
  open_store(person);
  int err = autobee_open(person->store, is_new ? NULL : &meeting->key, &options, &person->db);
  meeting_check(err, "open", person);
  meeting_check(autobee_replicate(person->db), "replicate", person);
  after(meeting, who);
  autobee_key(person->db, &meeting->key);
}

void
meeting_close (meeting_t *meeting, int who) {
  person_t *person = &meeting->people[who];
  before(meeting, who);
  meeting_check(autobee_close(person->db), "close the database", person);
  person->db = NULL;
  int err = ab_store_close(person->store);
  person->store = NULL;
  after(meeting, who);
  meeting_check(err, "close", person);
}

/* ---- connections ---- */

void
meeting_connect (meeting_t *meeting, int link) {
  if (meeting->ends[link][0] != NULL) return;
  for (int end = 0; end < 2; end++) {
    person_t *person = &meeting->people[pairs[link][end]];
    ab_stream_options_t options = ab_stream_options_default();
    options.initiator = end == 0;
    before(meeting, pairs[link][end]);
    meeting_check(ab_stream_open(person->store, &options, &meeting->ends[link][end]), "connect", person);
    after(meeting, pairs[link][end]);
  }
}

void
meeting_cut (meeting_t *meeting, int link) {
  for (int end = 0; end < 2; end++) {
    bool is_gone = meeting->people[pairs[link][end]].store == NULL; /* and its streams with it */
    if (!is_gone) ab_stream_close(meeting->ends[link][end]);
    meeting->ends[link][end] = NULL;
  }
}

static bool
joins (int link, int who) {
  return pairs[link][0] == who || pairs[link][1] == who;
}

void
meeting_connect_person (meeting_t *meeting, int who) {
  for (int link = 0; link < LINKS; link++)
    if (joins(link, who)) meeting_connect(meeting, link);
}

void
meeting_cut_person (meeting_t *meeting, int who) {
  for (int link = 0; link < LINKS; link++)
    if (joins(link, who)) meeting_cut(meeting, link);
}

/* ---- going on ---- */

static bool
run_person (meeting_t *meeting, int who) {
  person_t *person = &meeting->people[who];
  if (person->store == NULL) return false;
  before(meeting, who);
  int more = ab_store_run(person->store, 5, NULL);
  after(meeting, who);
  meeting_check(more, "run", person);
  return more > 0;
}

static void
check_stream (const ab_stream_t *stream, const person_t *person) {
  if (ab_stream_status(stream) != 0)
    meeting_die("%s: a connection has ended: %s", person->name, ab_stream_message(stream));
}

/* What one end of a connection has to say. */
static bool
carry (meeting_t *meeting, int link, int from) {
  int giver = pairs[link][from], taker = pairs[link][1 - from];
  ab_stream_t *source = meeting->ends[link][from], *target = meeting->ends[link][1 - from];
  ab_slice_t out;
  size_t taken;
  if (source == NULL) return false;
  before(meeting, giver);
  int err = ab_stream_take(source, &out);
  after(meeting, giver);
  meeting_check(err, "take", &meeting->people[giver]);
  check_stream(source, &meeting->people[giver]);
  bool has_moved = out.len > 0;
  while (out.len > 0) {
    before(meeting, taker);
    ab_stream_feed(target, out, &taken);
    after(meeting, taker);
    check_stream(target, &meeting->people[taker]);
    out = ab_slice(out.data + taken, out.len - taken);
    if (out.len > 0) run_person(meeting, taker);
  }
  return has_moved;
}

/* Carrying comes last: what a run missed is asked for by it. */
bool
meeting_step (meeting_t *meeting) {
  bool has_moved = false;
  for (int who = 0; who < PEOPLE; who++) has_moved |= run_person(meeting, who);
  for (int link = 0; link < LINKS; link++)
    for (int from = 0; from < 2; from++) has_moved |= carry(meeting, link, from);
  return has_moved;
}

void
meeting_rest (meeting_t *meeting) {
  for (int turns = 0; meeting_step(meeting); turns++)
    if (turns == TURNS_MAX) meeting_die("they never come to rest");
}

static bool
is_settled (const meeting_t *meeting) {
  for (int link = 0; link < LINKS; link++)
    for (int end = 0; end < 2; end++)
      if (meeting->ends[link][end] != NULL && !ab_stream_in_sync(meeting->ends[link][end])) return false;
  for (int who = 0; who < PEOPLE; who++)
    if (!autobee_is_idle(meeting->people[who].db)) return false;
  return true;
}

void
meeting_settle (meeting_t *meeting) {
  meeting_rest(meeting);
  for (int tries = 0; !is_settled(meeting); tries++) {
    if (tries == 600) meeting_die("they are never in sync");
    meeting_wait(200);
    meeting_rest(meeting);
  }
}

/* ---- what they show ---- */

typedef struct {
  uint8_t order[32], writers[32], heads[32], view[32];
} shown_t;

static int
add_writer (void *data, const ab_key_t *key, const autobee_writer_t *writer) {
  uint64_t facts[] = {
    writer->weight, writer->max_weight, writer->length, writer->is_removed, writer->is_indexer};
  ab_hasher_update(data, ab_key_slice(key));
  ab_hasher_update(data, ab_slice(facts, sizeof(facts)));
  return 0;
}

static int
add_head (void *data, const ab_head_t *head) {
  ab_hasher_update(data, ab_slice(head, sizeof(*head)));
  return 0;
}

static int
look (autobee_t *db, shown_t *out) {
  ab_hasher_t hasher;
  autobee_view_t *view;
  int err = autobee_order_hash(db, out->order);
  if (err < 0) return err;
  ab_hasher_init(&hasher);
  err = autobee_writers(db, add_writer, &hasher);
  ab_hasher_final(&hasher, out->writers);
  if (err < 0) return err;
  ab_hasher_init(&hasher);
  err = autobee_heads(db, add_head, &hasher);
  ab_hasher_final(&hasher, out->heads);
  if (err < 0) return err;
  if ((err = autobee_view(db, NULL, &view)) < 0) return err;
  err = autobee_view_hash(view, out->view);
  autobee_view_close(view);
  return err;
}

/* A block is missing: it was named, and comes. */
static void
fetch (meeting_t *meeting, int *tries) {
  if (++*tries == 5000) meeting_die("a block that is missing does not come");
  if (!meeting_step(meeting)) meeting_wait(100);
}

static shown_t
show (meeting_t *meeting, int who) {
  shown_t shown = {0};
  int err, tries = 0;
  while ((err = look(meeting->people[who].db, &shown)) == AB_EREMOTE) fetch(meeting, &tries);
  meeting_check(err, "read", &meeting->people[who]);
  return shown;
}

void
meeting_compare (meeting_t *meeting) {
  shown_t first = show(meeting, FOUNDER);
  for (int who = 1; who < PEOPLE; who++) {
    const char *name = meeting->people[who].name;
    shown_t shown = show(meeting, who);
    if (memcmp(shown.order, first.order, 32) != 0) meeting_die("%s has another order", name);
    if (memcmp(shown.writers, first.writers, 32) != 0) meeting_die("%s has other records of writers", name);
    if (memcmp(shown.heads, first.heads, 32) != 0) meeting_die("%s has other heads", name);
    if (memcmp(shown.view, first.view, 32) != 0) meeting_die("%s has another view", name);
  }
}

void
meeting_check_value (meeting_t *meeting, int who, const char *key, const char *value) {
  person_t *person = &meeting->people[who];
  autobee_view_t *view;
  autobee_entry_t entry;
  int err, tries = 0;
  meeting_check(autobee_view(person->db, NULL, &view), "view", person);
  while ((err = autobee_get(view, ab_text(key), &entry)) == AB_EREMOTE) fetch(meeting, &tries);
  meeting_check(err, key, person);
  if (!ab_slice_equal(entry.value, ab_text(value)))
    meeting_die("%s: %s has another value", person->name, key);
  autobee_view_close(view);
}

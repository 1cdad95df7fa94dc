/* processes.c: eight processes of the program, each a writer of one database.
 *
 *   processes PROGRAM SCRIPT FIRST LAST [--fast-forward]
 *
 * A run and a line of output for each of the seeds FIRST to LAST. With --fast-forward all may adopt states.
 *
 * In a round some append, some exchange everything with another, and sometimes one is closed or killed in the
 * midst of it and started again. A log of length n holds its writer's operations 1 to n: each puts a key of
 * its own, by which it is found in the end, and one that all write to, so that the view shows the order.
 *
 * Nothing ends by time: a round by the last answer, an exchange by being in sync, the run when all have
 * appended all. With one exception. Who is cut off may know the length of a log and none of its blocks, and
 * those cannot be proved to it by a peer that knows a shorter one. So an exchange that is cut off is made
 * again at once; if another one was quicker to pass that length on, a later one may end incomplete, which is
 * counted. In the end, when all have exchanged everything, none may.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/rng.h"
#include "support/serving.h"
#include "support/tmpdir.h"

#define PEERS 8     /* a power of two */
#define APPENDS 500 /* of each */
#define INDEXERS 3
#define SHARED_KEYS 50
#define BURST 25
#define BATCH 3
#define SYNCS 4
#define INCOMPLETE_MS 5000 /* nothing moves */

typedef struct {
  serving_t process;
  char folder[TMPDIR_MAX];
  unsigned port;
  uint64_t first;     /* length of its log before operation 1 */
  uint64_t told;      /* length of its log when all it was told is done */
  uint64_t confirmed; /* length it has answered */
  unsigned answers;   /* it owes */
  bool was_restarted; /* in this round */
} peer_t;

typedef struct {
  const char *program, *script;
  bool fast_forward;
  char key[128]; /* of the database */
  rng_t dice;
  peer_t peers[PEERS];
  struct {
    size_t from, other;
  } exchanges[SYNCS]; /* of this round */
  size_t exchange_count;
  bool may_be_incomplete;
  unsigned syncs, closed, killed, incomplete;
} run_t;

static char dir[TMPDIR_MAX];

/* ---- one peer ---- */

static json_t *
command (const char *name) {
  return json_pack("{ss}", "cmd", name);
}

static void
start (run_t *run, peer_t *peer) {
  peer->port = serving_start(&peer->process, run->program, peer->folder, NULL);
}

/* The first one makes the database, the others join it. */
static void
make_peer (run_t *run, peer_t *peer, const char *name) {
  bool is_first = run->key[0] == 0;
  char *script = (char *) run->script, line[sizeof(run->key)];
  char *forward = run->fast_forward ? "--fast-forward" : NULL;
  char *init[] = {"init", "--apply", script, forward, NULL};
  char *join[] = {"join", run->key, "--apply", script, forward, NULL};
  tmpdir_path(peer->folder, dir, name);
  serving_run(run->program, peer->folder, is_first ? init : join, line, sizeof(line));
  if (is_first) memcpy(run->key, line, sizeof(line));
  start(run, peer);
}

/* It must have all that it has confirmed, and can have nothing that it was not told. */
static void
restart (run_t *run, peer_t *peer) {
  start(run, peer);
  json_t *info = serving_ask(&peer->process, command("info"));
  uint64_t length = serving_uint(info, "localLength");
  if (length < peer->confirmed || length > peer->told)
    serving_die(
      "%s has a log of %llu after a restart: it had confirmed %llu and was told %llu",
      peer->folder,
      (unsigned long long) length,
      (unsigned long long) peer->confirmed,
      (unsigned long long) peer->told
    );
  json_decref(info);
  peer->told = peer->confirmed = length;
  peer->answers = 0;
  peer->was_restarted = true;
}

static unsigned
left_to_append (const peer_t *peer) {
  return (unsigned) (peer->first + APPENDS - peer->told);
}

static void
own_key (char out[32], size_t writer, uint64_t number) {
  snprintf(out, 32, "own/%zu/%04llu", writer, (unsigned long long) number);
}

static json_t *
operation (run_t *run, size_t writer) {
  peer_t *peer = &run->peers[writer];
  char own[32], shared[32], value[32];
  uint64_t number = ++peer->told - peer->first;
  own_key(own, writer, number);
  snprintf(shared, sizeof(shared), "shared/%02u", rng_below(&run->dice, SHARED_KEYS));
  snprintf(value, sizeof(value), "%zu.%llu", writer, (unsigned long long) number);
  return json_pack("{ssssss}", "own", own, "shared", shared, "value", value);
}

static void
say_append (run_t *run, size_t writer) {
  peer_t *peer = &run->peers[writer];
  unsigned count = 1 + rng_below(&run->dice, BATCH);
  if (count > left_to_append(peer)) count = left_to_append(peer);
  json_t *values = json_array();
  while (count-- > 0) json_array_append_new(values, operation(run, writer));
  serving_say(&peer->process, json_pack("{ssso}", "cmd", "append", "values", values));
  peer->answers++;
}

static void
say_sync (run_t *run, size_t from, size_t other) {
  json_t *sync = json_pack(
    "{sssIsI}", "cmd", "sync", "port", (json_int_t) run->peers[other].port, "id", (json_int_t) other
  );
  if (run->may_be_incomplete) json_object_set_new(sync, "timeoutMs", json_integer(INCOMPLETE_MS));
  serving_say(&run->peers[from].process, sync);
  run->peers[from].answers++;
  run->syncs++;
}

/* An exchange may fail if an end of it went away, and be incomplete. */
static bool
is_excused (run_t *run, const json_t *answer) {
  const json_t *other = json_object_get(answer, "id");
  if (other == NULL) return false;
  if (run->peers[json_integer_value(other)].was_restarted) return true;
  if (!run->may_be_incomplete || strcmp(serving_text(answer, "code"), "AB_ETIMEOUT") != 0) return false;
  run->incomplete++;
  return true;
}

static void
hear (run_t *run, peer_t *peer) {
  json_t *answer = serving_hear(&peer->process);
  if (answer == NULL) serving_die("the process of %s ended unasked", peer->folder);
  if (!json_is_true(json_object_get(answer, "ok")) && !is_excused(run, answer))
    serving_die("%s: %s", peer->folder, json_dumps(answer, 0));
  if (json_object_get(answer, "rejected") != NULL) serving_die("rejected: %s", json_dumps(answer, 0));
  if (json_object_get(answer, "localLength") != NULL) peer->confirmed = serving_uint(answer, "localLength");
  json_decref(answer);
  peer->answers--;
}

static void
hear_all (run_t *run) {
  for (size_t i = 0; i < PEERS; i++) {
    while (run->peers[i].answers > 0) hear(run, &run->peers[i]);
  }
}

/* ---- rounds ---- */

/* Somewhere among the things it has to do. */
static void
end_one (run_t *run) {
  size_t number = rng_below(&run->dice, PEERS);
  peer_t *peer = &run->peers[number];
  unsigned heard = rng_below(&run->dice, peer->answers + 1);
  while (heard-- > 0) hear(run, peer);
  if (rng_below(&run->dice, 3) == 0) {
    serving_close(&peer->process);
    peer->confirmed = peer->told; /* it does all it was told before it closes */
    run->closed++;
  } else {
    serving_kill(&peer->process);
    run->killed++;
  }
  restart(run, peer);
  run->may_be_incomplete = true;
  for (size_t i = 0; i < run->exchange_count; i++) {
    size_t from = run->exchanges[i].from, other = run->exchanges[i].other;
    if (from == number || other == number) say_sync(run, from, other);
  }
}

static void
play_round (run_t *run) {
  for (size_t i = 0; i < PEERS; i++) {
    run->peers[i].was_restarted = false;
    if (rng_below(&run->dice, 2) == 0) continue;
    for (uint32_t n = rng_below(&run->dice, BURST); n > 0 && left_to_append(&run->peers[i]) > 0; n--) {
      say_append(run, i);
    }
  }
  run->exchange_count = rng_below(&run->dice, SYNCS + 1);
  for (size_t i = 0; i < run->exchange_count; i++) {
    size_t from = rng_below(&run->dice, PEERS), other = (from + 1 + rng_below(&run->dice, PEERS - 1)) % PEERS;
    run->exchanges[i].from = from;
    run->exchanges[i].other = other;
    say_sync(run, from, other);
  }
  if (rng_below(&run->dice, 4) == 0) end_one(run);
  hear_all(run);
}

static bool
has_appended_all (const run_t *run) {
  for (size_t i = 0; i < PEERS; i++) {
    if (left_to_append(&run->peers[i]) > 0) return false;
  }
  return true;
}

/* Everyone with the one whose number differs in one bit, bit after bit: what one knows, all know then. */
static void
exchange_all (run_t *run) {
  for (size_t i = 0; i < PEERS; i++) run->peers[i].was_restarted = false;
  for (size_t bit = 1; bit < PEERS; bit *= 2) {
    for (size_t i = 0; i < PEERS; i++) {
      if ((i & bit) == 0) say_sync(run, i, i | bit);
    }
    hear_all(run);
    for (size_t i = 0; i < PEERS; i++) /* the other end applies, too */
      json_decref(
        serving_ask(&run->peers[i].process, json_pack("{sssbsi}", "cmd", "wait", "synced", 1, "quietMs", 0))
      );
  }
}

/* ---- what they have ---- */

typedef struct {
  char view[65], order[65];
} hashes_t;

static void
copy_hash (char out[65], const json_t *answer) {
  snprintf(out, 65, "%s", serving_text(answer, "hash"));
}

static void
read_hashes (serving_t *process, hashes_t *out) {
  json_t *view = serving_ask(process, json_pack("{sssi}", "cmd", "dump", "limit", 1));
  json_t *order = serving_ask(process, json_pack("{sssi}", "cmd", "order", "last", 1));
  copy_hash(out->view, view);
  copy_hash(out->order, order);
  json_decref(view);
  json_decref(order);
}

static void
check_hashes (serving_t *process, const hashes_t *expected, const char *who) {
  hashes_t found;
  read_hashes(process, &found);
  if (strcmp(found.view, expected->view) != 0 || strcmp(found.order, expected->order) != 0)
    serving_die(
      "%s has view %s and order %s, the first has %s and %s",
      who,
      found.view,
      found.order,
      expected->view,
      expected->order
    );
}

/* The view has each operation's own key, and no other such key. */
static void
check_contents (serving_t *process) {
  json_t *answer = serving_ask(process, json_pack("{ssss}", "cmd", "range", "prefix", "own/"));
  json_t *entries = json_object_get(answer, "entries");
  size_t at = 0;
  for (size_t writer = 0; writer < PEERS; writer++) {
    for (uint64_t number = 1; number <= APPENDS; number++, at++) {
      char key[32], hex[65];
      own_key(key, writer, number);
      for (size_t i = 0; i <= strlen(key); i++) snprintf(hex + 2 * i, 3, "%02x", (unsigned) key[i]);
      hex[2 * strlen(key)] = 0;
      const char *found = json_string_value(json_array_get(json_array_get(entries, at), 0));
      if (found == NULL || strcmp(found, hex) != 0) serving_die("operation %s is missing from the view", key);
    }
  }
  if (json_array_size(entries) != at) serving_die("%zu operations in the view", json_array_size(entries));
  json_decref(answer);
}

/* A ninth one that joins learns it all from one of them. */
static void
check_newcomer (run_t *run, const hashes_t *expected) {
  peer_t newcomer = {0};
  const peer_t *other = &run->peers[rng_below(&run->dice, PEERS)];
  make_peer(run, &newcomer, "newcomer");
  json_decref(
    serving_ask(&newcomer.process, json_pack("{sssI}", "cmd", "sync", "port", (json_int_t) other->port))
  );
  check_hashes(&newcomer.process, expected, "the one that joined");
  serving_close(&newcomer.process);
}

/* ---- a run ---- */

static void
set_up (run_t *run) {
  peer_t *founder = &run->peers[0];
  tmpdir_make(dir);
  for (size_t i = 0; i < PEERS; i++) {
    peer_t *peer = &run->peers[i];
    char name[8];
    snprintf(name, sizeof(name), "%zu", i);
    make_peer(run, peer, name);
    if (i == 0) continue;
    json_t *info = serving_ask(&peer->process, command("info"));
    json_decref(serving_ask(
      &founder->process,
      json_pack(
        "{sssssb}", "cmd", "addWriter", "key", serving_text(info, "localKey"), "isIndexer", i < INDEXERS
      )
    ));
    json_decref(info);
  }
  founder->first = founder->told = founder->confirmed = PEERS - 1;
  exchange_all(run);
}

static void
play (const char *program, const char *script, bool fast_forward, unsigned seed) {
  run_t run = {.program = program, .script = script, .fast_forward = fast_forward, .dice = rng(seed)};
  struct timespec began, ended;
  hashes_t hashes;
  clock_gettime(CLOCK_MONOTONIC, &began);
  set_up(&run);
  while (!has_appended_all(&run)) play_round(&run);
  exchange_all(&run);
  run.may_be_incomplete = false;
  exchange_all(&run);
  read_hashes(&run.peers[0].process, &hashes);
  for (size_t i = 1; i < PEERS; i++) check_hashes(&run.peers[i].process, &hashes, run.peers[i].folder);
  check_contents(&run.peers[0].process);
  check_newcomer(&run, &hashes);
  for (size_t i = 0; i < PEERS; i++) serving_close(&run.peers[i].process);
  clock_gettime(CLOCK_MONOTONIC, &ended);
  printf(
    "processes: seed %u: %d appends, %u syncs (%u incomplete), restarts %u after close and %u after SIGKILL; "
    "view %.16s, order %.16s in all %d; %ld s\n",
    seed,
    PEERS * APPENDS,
    run.syncs,
    run.incomplete,
    run.closed,
    run.killed,
    hashes.view,
    hashes.order,
    PEERS + 1,
    (long) (ended.tv_sec - began.tv_sec)
  );
  fflush(stdout);
  tmpdir_remove(dir);
}

int
main (int argc, char **argv) {
  bool fast_forward = argc == 6 && strcmp(argv[5], "--fast-forward") == 0;
  if (argc != 5 && !fast_forward) serving_die("usage: processes PROGRAM SCRIPT FIRST LAST [--fast-forward]");
  unsigned first = (unsigned) strtoul(argv[3], NULL, 10), last = (unsigned) strtoul(argv[4], NULL, 10);
  for (unsigned seed = first; seed <= last; seed++) play(argv[1], argv[2], fast_forward, seed);
  return 0;
}

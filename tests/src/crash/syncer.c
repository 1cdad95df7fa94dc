/* syncer.c: a peer that writes, syncs with two others, reorders and fast-forwards, and loses power meanwhile.
 *
 *   syncer ROOT LOG SEED ONE_IN sparse|whole
 *
 *   ROOT is the folder that the recorder watches, LOG what it writes. After one in ONE_IN calls that wrote to
 * the disk, power is lost at one of that call's operations: a copy of this process makes the disk as it may
 * be then, opens the peer from it, and lets it go on with the others, who are as they were. So they know what
 * the peer had told them, and nothing else. Writes a sync_figures_t to stdout.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "autobee/engine.h"
#include "disk.h"
#include "hypercore/core.h"
#include "meeting.h"
#include "support/tmpdir.h"
#include "sync.h"

#define ACTS 60
#define ABSENCES 4   /* longer ones, among the acts */
#define APART 40     /* batches that are written meanwhile, and more: enough for a fast-forward */
#define VALUES 1000  /* that the victim writes */
#define SHOWN_MAX 64 /* cores */
#define CHECK_S 120  /* seconds; then it hangs */
#define LIKELIER 4   /* in a fast-forward */

/* A core as it is on the disk for certain. */
typedef struct {
  ab_key_t key;
  uint64_t fork, length;
  uint8_t hash[32];
  bool is_own;
} shown_t;

typedef struct {
  meeting_t meeting;
  const char *log;
  char disk[TMPDIR_MAX], image[TMPDIR_MAX], image_store[TMPDIR_MAX];
  uint32_t one_in;
  rng_t acts, losses;
  bool is_recorded;
  const uint64_t *operations; /* the recorder's count */
  sync_figures_t *figures;    /* shared by the copies of this process */

  uint64_t operations_before; /* the present call */
  bool is_forwarding;         /* in a fast-forward, at that time */
  shown_t shown[SHOWN_MAX];
  size_t shown_count, kept_before;
  uint32_t kept[VALUES]; /* numbers of acknowledged values */
  size_t kept_count;
  uint32_t next_value;
} syncer_t;

static void
name_value (uint32_t number, char key[16], char value[16]) {
  snprintf(key, 16, "v%u", number);
  snprintf(value, 16, "value %u", number);
}

/* ---- what is promised ---- */

static void
note_shown (syncer_t *syncer, hypercore_t *core, bool is_own) {
  uint64_t length = hypercore_committed_length(core), fork = core->committed.tree.fork;
  if (length == 0 && fork == 0) return;
  if (syncer->shown_count == SHOWN_MAX) meeting_die("too many cores");
  shown_t *shown = &syncer->shown[syncer->shown_count++];
  *shown = (shown_t){.key = *hypercore_key(core), .fork = fork, .length = length, .is_own = is_own};
  ab_tree_hash(&core->committed.tree, shown->hash);
}

/* Whatever is committed may have been told. */
static void
before_call (void *data) {
  syncer_t *syncer = data;
  autobee_t *db = syncer->meeting.people[VICTIM].db;
  if (!syncer->is_recorded) return;
  syncer->operations_before = *syncer->operations;
  syncer->kept_before = syncer->kept_count;
  syncer->is_forwarding = db != NULL && db->forward.is_holding;
  if (db == NULL) return; /* closed: as it was noted last */
  syncer->shown_count = 0;
  note_shown(syncer, db->local->core, true);
  note_shown(syncer, db->system_core, true);
  note_shown(syncer, db->view_core, true);
  for (size_t i = 0; i < db->attached.count; i++)
    if (db->attached.writers[i] != db->local) note_shown(syncer, db->attached.writers[i]->core, false);
  for (const foreign_t *foreign = db->foreign; foreign != NULL; foreign = foreign->next)
    if (foreign->core != db->system_core && foreign->core != db->view_core)
      note_shown(syncer, foreign->core, false);
}

static hypercore_t *
open_core (person_t *person, const ab_key_t *key) {
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core;
  options.key = key;
  options.create = false;
  int err = hypercore_open(person->store, &options, &core);
  if (err == AB_ENOTFOUND) return NULL;
  meeting_check(err, "open a core", person);
  return core;
}

static void
check_shown (person_t *victim, const shown_t *shown) {
  hypercore_t *core = open_core(victim, &shown->key);
  uint8_t hash[32];
  if (core == NULL) meeting_die("a core of %llu blocks is not there", (unsigned long long) shown->length);
  if (hypercore_fork(core) < shown->fork) meeting_die("an older fork than was shown");
  if (hypercore_fork(core) == shown->fork) {
    if (hypercore_length(core) < shown->length)
      meeting_die(
        "%llu blocks, shown were %llu",
        (unsigned long long) hypercore_length(core),
        (unsigned long long) shown->length
      );
    int err = hypercore_tree_hash(core, shown->length, hash);
    bool is_unknown = err == AB_EREMOTE && !shown->is_own; /* it has grown, and of others not all is here */
    if (!is_unknown) meeting_check(err, "tree hash", victim);
    if (!is_unknown && memcmp(hash, shown->hash, 32) != 0) meeting_die("another history than was shown");
  }
  hypercore_close(core);
}

/* What `other` has of a core of the victim, the victim has as well. */
static void
check_copy (person_t *victim, person_t *other, hypercore_t *core) {
  hypercore_t *copy = open_core(other, hypercore_key(core));
  uint8_t own_hash[32], hash[32];
  if (copy == NULL) return;
  uint64_t length = hypercore_length(copy);
  if (length > hypercore_length(core))
    meeting_die(
      "%s has %llu blocks of a core of the victim, which has %llu",
      other->name,
      (unsigned long long) length,
      (unsigned long long) hypercore_length(core)
    );
  meeting_check(hypercore_tree_hash(core, length, own_hash), "tree hash", victim);
  meeting_check(hypercore_tree_hash(copy, length, hash), "tree hash", other);
  if (hypercore_fork(copy) != hypercore_fork(core) || memcmp(own_hash, hash, 32) != 0)
    meeting_die("%s has another history of a core of the victim", other->name);
  hypercore_close(copy);
}

static void
check_copies (syncer_t *syncer) {
  person_t *victim = &syncer->meeting.people[VICTIM];
  hypercore_t *cores[] = {victim->db->local->core, victim->db->system_core, victim->db->view_core};
  for (size_t i = 0; i < 3; i++)
    for (int who = 0; who < VICTIM; who++) check_copy(victim, &syncer->meeting.people[who], cores[i]);
}

/* ---- appending ---- */

/* AB_EREMOTE: it is written when a block is here that it needs, as after a fast-forward. */
static void
append_text (syncer_t *syncer, int who, const char *text) {
  person_t *person = &syncer->meeting.people[who];
  ab_slice_t value = ab_text(text);
  int err = autobee_append(person->db, &value, 1, 0, NULL);
  if (err != AB_EREMOTE) meeting_check(err, "append", person);
}

static void
append_other (syncer_t *syncer, int who) {
  char text[400];
  uint32_t number = rng_below(&syncer->acts, 30);
  int pad = 1 + (int) rng_below(&syncer->acts, 200);
  snprintf(
    text, sizeof(text), "{\"put\":{\"k%u\":\"%s %*s\"}}", number, syncer->meeting.people[who].name, pad, "x"
  );
  append_text(syncer, who, text);
}

static void
grant (syncer_t *syncer, int who) {
  char key[AB_KEY_TEXT_LEN + 1], text[128];
  ab_head_t local;
  autobee_local(syncer->meeting.people[who].db, &local);
  ab_key_to_text(&local.key, key);
  snprintf(text, sizeof(text), "{\"addWriter\":\"%s\"}", key);
  append_text(syncer, FOUNDER, text);
}

typedef struct {
  autobee_append_t req; /* first */
  syncer_t *syncer;
  uint32_t number;
} append_t;

static void
appended (autobee_append_t *req, int status) {
  append_t *append = (append_t *) req;
  syncer_t *syncer = append->syncer;
  if (status == 0) syncer->kept[syncer->kept_count++] = append->number;
  else if (status != AB_ECLOSED) meeting_die("append: %s", ab_err_name(status));
  free(append);
}

/* Acknowledged by and by, or before it returns. */
static void
append_victim (syncer_t *syncer, bool waits) {
  person_t *victim = &syncer->meeting.people[VICTIM];
  char key[16], value[16], text[64];
  if (!autobee_is_writable(victim->db) || syncer->next_value == VALUES) return;
  uint32_t number = syncer->next_value++;
  name_value(number, key, value);
  snprintf(text, sizeof(text), "{\"put\":{\"%s\":\"%s\"}}", key, value);
  ab_slice_t slice = ab_text(text);
  int err;
  if (waits) {
    syncer->meeting.before(syncer);
    err = autobee_append(victim->db, &slice, 1, 0, NULL);
    syncer->meeting.after(syncer);
    if (err == 0) syncer->kept[syncer->kept_count++] = number;
    if (err == AB_EREMOTE) err = 0; /* it is written when the block is here */
  } else {
    append_t *append = malloc(sizeof(*append));
    if (append == NULL) abort();
    *append = (append_t){.syncer = syncer, .number = number};
    err = autobee_append_async(victim->db, &append->req, &slice, 1, 0, appended);
  }
  meeting_check(err, "append", victim);
}

/* ---- losing power ---- */

static void
make_disk (const syncer_t *syncer, size_t operations, disk_mode_t mode, rng_t *dice) {
  disk_t *disk = disk_open(syncer->log);
  disk_advance(disk, operations);
  if (mkdir(syncer->image, 0700) != 0) meeting_die("cannot make the folder of the disk");
  disk_write_image(disk, syncer->image, mode, dice);
  disk_close(disk);
}

static void
check_values (syncer_t *syncer) {
  for (size_t i = 0; i < syncer->kept_before; i++) {
    char key[16], value[16];
    name_value(syncer->kept[i], key, value);
    meeting_check_value(&syncer->meeting, VICTIM, key, value);
  }
}

static void
check_equal (syncer_t *syncer) {
  meeting_settle(&syncer->meeting);
  meeting_compare(&syncer->meeting);
  check_copies(syncer);
  check_values(syncer);
}

/* In a process of its own: nothing of the victim that was is touched any more. */
static void
recover (syncer_t *syncer) {
  meeting_t *meeting = &syncer->meeting;
  person_t *victim = &meeting->people[VICTIM];
  autobee_info_t info;
  victim->store = NULL;
  victim->db = NULL;
  victim->dir = syncer->image_store;
  meeting_cut_person(meeting, VICTIM);
  meeting_open(meeting, VICTIM);
  for (size_t i = 0; i < syncer->shown_count; i++) check_shown(victim, &syncer->shown[i]);
  check_copies(syncer);
  if (!victim->is_sparse) check_values(syncer); /* alone */

  for (int link = 0; link < LINKS; link++) meeting_connect(meeting, link);
  check_equal(syncer);
  meeting_check(autobee_info(victim->db, &info), "info", victim);
  if (info.fast_forwards > 0) syncer->figures->again++;

  if (info.is_writable) append_text(syncer, VICTIM, "{\"put\":{\"after\":\"all\"}}");
  append_other(syncer, FOUNDER);
  check_equal(syncer);
  meeting_cut_person(meeting, VICTIM);
  meeting_close(meeting, VICTIM);
  meeting_open(meeting, VICTIM);
  meeting_connect_person(meeting, VICTIM);
  check_equal(syncer);
  _exit(0);
}

static void
lose_power (syncer_t *syncer) {
  uint64_t count = *syncer->operations - syncer->operations_before;
  size_t at = (size_t) syncer->operations_before + rng_below(&syncer->losses, (uint32_t) count);
  disk_mode_t mode = (disk_mode_t) rng_below(&syncer->losses, DISK_MODES);
  rng_t dice = rng(rng_next(&syncer->losses));
  int status;
  pid_t child = _Fork(); /* unlike fork, it does not tell the others' stores, which are whole in the copy */
  if (child == 0) {
    alarm(CHECK_S);
    syncer->is_recorded = false;
    size_t len = strlen(meeting_where);
    snprintf(
      meeting_where + len, sizeof(meeting_where) - len, ", operation %zu (%s)", at, disk_mode_names[mode]
    );
    make_disk(syncer, at, mode, &dice);
    recover(syncer);
  }
  if (child < 0 || waitpid(child, &status, 0) != child) meeting_die("cannot check");
  if (WIFSIGNALED(status))
    fprintf(stderr, "%s, operation %zu: the check ended by signal %d\n", meeting_where, at, WTERMSIG(status));
  syncer->figures->losses++;
  if (syncer->is_forwarding) syncer->figures->amid++;
  if (status != 0) syncer->figures->failures++;
  tmpdir_remove(syncer->image);
}

static void
after_call (void *data) {
  syncer_t *syncer = data;
  if (!syncer->is_recorded || *syncer->operations == syncer->operations_before) return;
  if (rng_below(&syncer->losses, syncer->one_in) < (syncer->is_forwarding ? LIKELIER : 1)) lose_power(syncer);
}

/* ---- a life ---- */

static void
count_engine (syncer_t *syncer) {
  person_t *victim = &syncer->meeting.people[VICTIM];
  autobee_info_t info;
  meeting_check(autobee_info(victim->db, &info), "info", victim);
  syncer->figures->forwards += info.fast_forwards;
  syncer->figures->undos += info.undos;
}

static void
restart (syncer_t *syncer) {
  count_engine(syncer);
  meeting_cut_person(&syncer->meeting, VICTIM);
  meeting_close(&syncer->meeting, VICTIM);
  meeting_open(&syncer->meeting, VICTIM);
  meeting_connect_person(&syncer->meeting, VICTIM);
}

/* Somebody hears nothing of much that the others write, and writes a little alone. */
static void
be_absent (syncer_t *syncer, int who) {
  meeting_t *meeting = &syncer->meeting;
  int author = who == OTHER ? FOUNDER : OTHER;
  meeting_cut_person(meeting, who);
  uint32_t alone = rng_below(&syncer->acts, 3);
  for (uint32_t i = 0; i < alone; i++)
    if (who == VICTIM) append_victim(syncer, true);
    else append_other(syncer, who);
  uint32_t count = APART + rng_below(&syncer->acts, APART);
  for (uint32_t i = 0; i < count; i++) append_other(syncer, i % 8 == 0 ? FOUNDER : author);
  meeting_connect_person(meeting, who);
}

static void
act (syncer_t *syncer) {
  meeting_t *meeting = &syncer->meeting;
  uint32_t count = 1 + rng_below(&syncer->acts, 3);
  int link = (int) rng_below(&syncer->acts, LINKS);
  switch (rng_below(&syncer->acts, 10)) {
  case 0:
  case 1:
    for (uint32_t i = 0; i < count; i++) append_victim(syncer, rng_below(&syncer->acts, 2) == 0);
    break;
  case 2:
    for (uint32_t i = 0; i < count; i++) append_other(syncer, FOUNDER);
    break;
  case 3:
  case 4:
    for (uint32_t i = 0; i < count; i++) append_other(syncer, OTHER);
    break;
  case 5:
    meeting_cut(meeting, link);
    break;
  case 6:
    meeting_connect(meeting, link);
    break;
  case 7:
    meeting_rest(meeting);
    break;
  case 8:
    meeting_wait(rng_below(&syncer->acts, 3000));
    break;
  default:
    if (rng_below(&syncer->acts, 4) == 0) restart(syncer);
  }
  for (uint32_t i = rng_below(&syncer->acts, 12); i > 0; i--) meeting_step(meeting);
}

static void
live (syncer_t *syncer) {
  meeting_t *meeting = &syncer->meeting;
  for (int who = 0; who < PEOPLE; who++) meeting_open(meeting, who);
  for (int link = 0; link < LINKS; link++) meeting_connect(meeting, link);
  grant(syncer, OTHER);
  grant(syncer, VICTIM);
  meeting_settle(meeting);
  for (int i = 0; i < ACTS; i++) {
    act(syncer);
    if (i % (ACTS / ABSENCES) == ACTS / ABSENCES / 2)
      be_absent(syncer, i / (ACTS / ABSENCES) % 4 == 3 ? OTHER : VICTIM);
  }
  for (int link = 0; link < LINKS; link++) meeting_connect(meeting, link);
  meeting_settle(meeting);
  meeting_compare(meeting);
  count_engine(syncer);
}

int
main (int argc, char **argv) {
  static syncer_t syncer;
  if (argc != 6) meeting_die("usage: syncer ROOT LOG SEED ONE_IN sparse|whole");
  uint32_t seed = (uint32_t) strtoul(argv[3], NULL, 10);
  bool is_sparse = strcmp(argv[5], "sparse") == 0;
  syncer.log = argv[2];
  syncer.one_in = (uint32_t) strtoul(argv[4], NULL, 10);
  syncer.acts = rng(seed);
  syncer.losses = rng(~seed);
  tmpdir_path(syncer.disk, argv[1], "store");
  snprintf(syncer.image, sizeof(syncer.image), "%s.image", argv[1]);
  tmpdir_path(syncer.image_store, syncer.image, "store");
  snprintf(meeting_where, sizeof(meeting_where), "seed %u, %s", seed, argv[5]);
  syncer.meeting = (meeting_t
  ){.people =
      {[FOUNDER] = {.name = "founder"},
       [OTHER] = {.name = "other", .is_forwarding = true},
       [VICTIM] = {.name = "victim", .dir = syncer.disk, .is_forwarding = true, .is_sparse = is_sparse}},
    .before = before_call,
    .after = after_call,
    .data = &syncer};
  syncer.operations = dlsym(RTLD_DEFAULT, "crash_operations");
  syncer.figures =
    mmap(NULL, sizeof(*syncer.figures), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (syncer.operations == NULL) meeting_die("nobody records");
  if (syncer.figures == MAP_FAILED) meeting_die("out of memory");
  syncer.is_recorded = true;
  live(&syncer);
  return fwrite(syncer.figures, sizeof(*syncer.figures), 1, stdout) == 1 ? 0 : 1;
}

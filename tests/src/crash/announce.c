/* announce.c: no byte of an own block leaves a process before the commit that makes it durable.
 *
 * What leaves is encrypted, so its order among the operations on the disk is what counts. All of one process
 * is one thread, and its recorder notes each operation before it takes place. What leaves by a socket or
 * stdout is too early
 *
 *   while data.mdb has a change that no sync has reached, or
 *   after an append that was read when all was quiet, before its commit is durable: a sync of data.mdb, and
 *   then a durable write, which is LMDB's meta page
 */
#include "announce.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk_log.h"
#include "support/serving.h"
#include "support/tmpdir.h"

#define ALONE "\"alone\"" /* in the command of an append when all is quiet */
#define BURST 20
#define BLOCK_BYTES 900

/* ---- what is recorded ---- */

/* Text that no compression makes smaller by more than half. */
static json_t *
append_command (const char *id, rng_t *dice) {
  char key[16], value[BLOCK_BYTES + 1];
  snprintf(key, sizeof(key), "%08x", rng_next(dice));
  for (size_t i = 0; i < BLOCK_BYTES; i += 4) snprintf(value + i, 5, "%04x", rng_next(dice) & 0xffff);
  return json_pack("{sssss{s{ss}}}", "cmd", "append", "id", id, "value", "put", key, value);
}

static void
ask (serving_t *process, json_t *command) {
  json_decref(serving_ask(process, command));
}

static void
wait_until_quiet (serving_t *victim, serving_t *peer) {
  serving_t *both[] = {peer, victim}; /* the one that is recorded last: it has nothing more to say */
  for (size_t i = 0; i < 2; i++)
    ask(both[i], json_pack("{sssbsi}", "cmd", "wait", "synced", 1, "quietMs", 20));
}

static void
check_equal (serving_t *victim, serving_t *peer) {
  json_t *mine = serving_ask(victim, json_pack("{sssi}", "cmd", "dump", "limit", 1));
  json_t *theirs = serving_ask(peer, json_pack("{sssi}", "cmd", "dump", "limit", 1));
  if (strcmp(serving_text(mine, "hash"), serving_text(theirs, "hash")) != 0)
    serving_die("the peer has another view");
  json_decref(mine);
  json_decref(theirs);
}

/* In `folder`, which does not exist yet. Its file `log` is the recording. */
static void
record (const char *folder, bool no_sync, size_t count, rng_t *dice) {
  char root[TMPDIR_MAX], other[TMPDIR_MAX], key[128], line[128];
  char log_setting[TMPDIR_MAX + 32], root_setting[TMPDIR_MAX + 32], preload[] = "LD_PRELOAD=" CRASH_RECORDER;
  char *environment[] = {
    preload,
    root_setting,
    log_setting,
    "AUTOBEE_CRASH_ACK=1",
    no_sync ? "AUTOBEE_CRASH_NO_SYNC=1" : NULL,
    NULL};
  serving_t victim, peer;
  snprintf(root, sizeof(root), "%s.victim", folder);
  snprintf(other, sizeof(other), "%s.peer", folder);
  snprintf(log_setting, sizeof(log_setting), "AUTOBEE_CRASH_LOG=%s.log", folder);
  snprintf(root_setting, sizeof(root_setting), "AUTOBEE_CRASH_ROOT=%s", root);
  serving_run(CRASH_PROGRAM, root, (char *[]){"init", NULL}, key, sizeof(key));
  serving_run(CRASH_PROGRAM, other, (char *[]){"join", key, NULL}, line, sizeof(line));
  unsigned port = serving_start(&victim, CRASH_PROGRAM, root, environment);
  serving_start(&peer, CRASH_PROGRAM, other, NULL);
  ask(&peer, json_pack("{sssi}", "cmd", "connect", "port", (int) port));

  for (size_t i = 0; i < count; i++) {
    wait_until_quiet(&victim, &peer);
    ask(&victim, append_command("alone", dice));
  }
  for (size_t i = 0; i < count; i += BURST) {
    for (size_t n = 0; n < BURST; n++) serving_say(&victim, append_command("one of many", dice));
    for (size_t n = 0; n < BURST; n++) json_decref(serving_hear(&victim));
  }
  wait_until_quiet(&victim, &peer);
  check_equal(&victim, &peer);
  serving_close(&peer);
  serving_close(&victim);
}

/* ---- reading the recording ---- */

/* Where an append stands that was asked for alone. QUIET: there is none, or its commit is durable. */
typedef enum { QUIET, ASKED, SYNCED } stage_t;

typedef struct {
  stage_t append;
  bool is_dirty;      /* data.mdb has changes that no sync has reached */
  bool is_new;        /* nothing was sent since that append's commit */
  size_t alone, told; /* appends when all was quiet, and those that something was sent after */
  size_t sends, bytes;
  size_t too_early; /* what left while a commit was not durable */
} reading_t;

static void
take (reading_t *reading, const disk_record_t *record, const char *path, const char *data) {
  bool is_store = strcmp(path, "data.mdb") == 0;
  switch (record->kind) {
  case DISK_ASK:
    if (strstr(data, ALONE) == NULL) break;
    reading->append = ASKED;
    reading->alone++;
    reading->is_new = true;
    break;
  case DISK_SYNC:
    if (!is_store) break;
    reading->is_dirty = false;
    if (reading->append == ASKED) reading->append = SYNCED;
    break;
  case DISK_WRITE:
    if (is_store && !record->is_durable) reading->is_dirty = true;
    if (is_store && record->is_durable && reading->append == SYNCED) reading->append = QUIET;
    break;
  case DISK_SEND:
    reading->sends++;
    reading->bytes += record->offset;
    if (reading->append == QUIET && reading->is_new) {
      reading->told++;
      reading->is_new = false;
    }
    /* fall through */
  case DISK_ACK:
    if (reading->is_dirty || reading->append != QUIET) reading->too_early++;
    break;
  default:
    break;
  }
}

static reading_t
read_recording (const char *folder) {
  char log[TMPDIR_MAX];
  snprintf(log, sizeof(log), "%s.log", folder);
  FILE *file = fopen(log, "rb");
  reading_t reading = {0};
  disk_record_t record;
  if (file == NULL) serving_die("there is no recording %s", log);
  while (fread(&record, sizeof(record), 1, file) == 1) {
    char *path = calloc(1, record.path_len + 1), *data = calloc(1, record.data_len + 1);
    if (path == NULL || data == NULL) serving_die("out of memory");
    if (fread(path, 1, record.path_len, file) != record.path_len) serving_die("%s is too short", log);
    if (fread(data, 1, record.data_len, file) != record.data_len) serving_die("%s is too short", log);
    take(&reading, &record, path, data);
    free(path);
    free(data);
  }
  fclose(file);
  return reading;
}

bool
announce_check (const char *dir, size_t count, rng_t *dice) {
  char folder[TMPDIR_MAX];
  tmpdir_path(folder, dir, "durable");
  record(folder, false, count, dice);
  reading_t durable = read_recording(folder);
  tmpdir_path(folder, dir, "no-sync");
  record(folder, true, count, dice);
  reading_t no_sync = read_recording(folder);
  printf(
    "crash: %zu appends alone, %zu of them told after their commit; %zu sends of %zu bytes; %zu things left "
    "too early, "
    "without fdatasync %zu\n",
    durable.alone,
    durable.told,
    durable.sends,
    durable.bytes,
    durable.too_early,
    no_sync.too_early
  );
  return durable.alone == count && durable.told == count && durable.bytes > count * BLOCK_BYTES / 2 &&
         durable.too_early == 0 && no_sync.too_early >= count;
}

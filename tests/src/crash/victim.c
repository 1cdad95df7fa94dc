/* victim.c: a process that is ended by force, and the one that looks at what it left.
 *
 *   victim run DIR          two databases, one in DIR and one in memory, append, exchange and drain; a plain
 *                           core is appended to, truncated and cleared. Says on descriptor 3 what is durable
 *                           and what was shown to others: length and tree hash of each core.
 *   victim check DIR ACKS   DIR opens at once, holds all that ACKS says, and goes on working.
 *                           Exit 0, or 1 and why.
 *
 *   lines   value KEY VALUE | core KEY FORK LENGTH HASH
 */
#define _GNU_SOURCE
#include "autobee/autobee.h"
#include "hypercore/core.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ACK_FD 3
#define ROUNDS 60
#define CORES_MAX 32

/* ---- a world without chance ---- */

static uint64_t now_ms = 1772409600000u;
static uint32_t random_state = 1;

static uint64_t
clock_of_victim (void *data) {
  (void) data;
  return now_ms += 7;
}

static void
random_of_victim (void *data, uint8_t *out, size_t len) {
  (void) data;
  for (size_t i = 0; i < len; i++) {
    random_state = random_state * 1664525u + 1013904223u;
    out[i] = (uint8_t) (random_state >> 24);
  }
}

static const ab_env_t env = {clock_of_victim, random_of_victim, NULL};

_Noreturn static void
die (const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("victim: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  _exit(1);
}

/* ---- a person: a store and a database in it ---- */

typedef struct {
  const char *name;
  ab_store_t *store;
  autobee_t *db;
} person_t;

static void
check (int err, const char *what, const person_t *person) {
  if (err < 0) die("%s: %s: %s (%s)", person->name, what, ab_err_name(err), ab_store_errmsg(person->store));
}

static void
open_person (person_t *person, const char *name, const char *dir, const ab_key_t *key) {
  char message[512] = "";
  ab_store_options_t options = ab_store_options_default();
  ab_key_t primary = {{(uint8_t) name[0]}};
  *person = (person_t){.name = name};
  options.env = &env;
  options.primary_key = &primary;
  if (ab_store_open(dir, &options, &person->store, message, sizeof(message)) < 0)
    die("%s: %s", name, message);
  check(autobee_open(person->store, key, NULL, &person->db), "open", person);
}

static void
close_person (person_t *person) {
  check(autobee_close(person->db), "close the database", person);
  int err = ab_store_close(person->store);
  if (err < 0) die("%s: close: %s", person->name, ab_err_name(err));
}

static void
append (person_t *person, const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  ab_slice_t value = ab_text(text);
  check(autobee_append(person->db, &value, 1, 0, NULL), "append", person);
}

static hypercore_t *
open_core (person_t *person, const ab_key_t *key, bool create) {
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core;
  options.key = key;
  options.create = create;
  check(hypercore_open(person->store, &options, &core), "open a core", person);
  return core;
}

static hypercore_t *
open_plain (person_t *person) {
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core;
  options.name = ab_text("plain");
  check(hypercore_open(person->store, &options, &core), "open a core", person);
  return core;
}

/* ---- saying what is durable ---- */

static void
say (const char *format, ...) {
  char line[512];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(line, sizeof(line), format, args);
  va_end(args);
  if (write(ACK_FD, line, (size_t) len) != len) die("cannot say what is durable");
}

static void
hex (char *out, const uint8_t bytes[32]) {
  for (int i = 0; i < 32; i++) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* A core as others are shown it: what is committed. */
static void
say_core (hypercore_t *core) {
  char key[65], hash[65];
  uint8_t tree_hash[32];
  ab_tree_hash(&core->committed.tree, tree_hash);
  hex(key, hypercore_key(core)->bytes);
  hex(hash, tree_hash);
  uint64_t length = hypercore_committed_length(core), fork = core->committed.tree.fork;
  if (length == 0 && fork == 0) return; /* nothing to show */
  say("core %s %llu %llu %s\n", key, (unsigned long long) fork, (unsigned long long) length, hash);
}

static void
say_cores (person_t *person, const ab_key_t *other_writer) {
  autobee_info_t info;
  check(autobee_info(person->db, &info), "info", person);
  const ab_key_t *keys[] = {&info.local.key, &info.system.key, &info.view.key, other_writer};
  for (size_t i = 0; i < 4; i++) {
    static const ab_key_t none;
    if (ab_key_equal(keys[i], &none)) continue;
    hypercore_t *core = open_core(person, keys[i], true);
    say_core(core);
    hypercore_close(core);
  }
  hypercore_t *plain = open_plain(person);
  say_core(plain);
  hypercore_close(plain);
}

/* ---- running ---- */

/* What one has written goes to the other: proofs first, then the blocks they prove. */
static void
hand_over (person_t *from, person_t *to) {
  ab_head_t log;
  autobee_local(from->db, &log);
  if (log.length == 0) return;
  hypercore_t *source = open_core(from, &log.key, false), *copy = open_core(to, &log.key, true);
  check(hypercore_pull(copy, source, log.length, 0, log.length), "pull", to);
  hypercore_close(source);
  hypercore_close(copy);
  check(autobee_hint(to->db, &log.key, log.length), "hint", to);
  check(autobee_update(to->db), "update", to);
  check(ab_store_commit(to->store), "commit", to);
}

static void
run_plain (person_t *person, int round) {
  hypercore_t *core = open_plain(person);
  char text[3000];
  uint64_t length = hypercore_length(core);
  for (int i = 0; i < 1 + round % 5; i++) {
    int len = snprintf(text, sizeof(text), "plain %d %d %*s", round, i, (round * 131 + i * 977) % 2500, "x");
    ab_slice_t block = ab_slice(text, (size_t) len);
    check(hypercore_append(core, &block, 1, NULL), "append", person);
  }
  if (round % 7 == 6) check(hypercore_truncate(core, length * 2 / 3, 0), "truncate", person);
  if (round % 5 == 4) check(hypercore_clear(core, length / 4, length / 3), "clear", person);
  check(hypercore_set_user_data(core, "round", ab_slice(text, 9)), "user data", person);
  check(ab_store_commit(person->store), "commit", person);
  hypercore_close(core);
}

static int
run (const char *dir) {
  person_t ana, ben;
  ab_key_t key;
  char other[AB_KEY_TEXT_LEN + 1];
  ab_head_t local;
  open_person(&ana, "ana", dir, NULL);
  autobee_key(ana.db, &key);
  open_person(&ben, "ben", NULL, &key);
  autobee_local(ben.db, &local);
  ab_key_to_text(&local.key, other);
  append(&ana, "{\"addWriter\":\"%s\"}", other);
  hand_over(&ana, &ben);

  for (int round = 0; round < ROUNDS; round++) {
    append(&ana, "{\"put\":{\"a%d\":\"ana %d\"}}", round, round);
    say("value a%d ana %d\n", round, round);
    append(&ben, "{\"put\":{\"b%d\":\"ben %d %*s\"}}", round, round, round % 40 * 5, "x");
    if (round % 3 == 2) {
      hand_over(&ben, &ana);
      for (int i = round - 2; i <= round; i++) say("value b%d ben %d %*s\n", i, i, i % 40 * 5, "x");
      hand_over(&ana, &ben);
    }
    if (round % 2 == 1) run_plain(&ana, round);
    say_cores(&ana, &local.key);
    if (round % 20 != 19) continue;
    close_person(&ana);
    open_person(&ana, "ana", dir, NULL);
  }
  close_person(&ana);
  close_person(&ben);
  return 0;
}

/* ---- checking ---- */

typedef struct {
  ab_key_t key;
  uint64_t fork, length;
  uint8_t hash[32];
} shown_t;

static void
unhex (const char *text, uint8_t out[32]) {
  for (int i = 0; i < 32; i++) {
    unsigned byte;
    if (sscanf(text + 2 * i, "%2x", &byte) != 1) die("a bad line in the acknowledgements");
    out[i] = (uint8_t) byte;
  }
}

/* What is stored fits together: blocks their leaves, leaves the roots. */
static void
check_whole (person_t *person, hypercore_t *core) {
  ab_node_source_t nodes = ab__core_nodes(core);
  for (uint64_t i = 0; i < hypercore_length(core); i++) {
    ab_slice_t block;
    ab_node_t leaf, stored;
    if (!hypercore_has(core, i, i + 1)) continue;
    check(hypercore_get_stored(core, i, &block), "get", person);
    ab_node_leaf(i, block, &leaf);
    ab__core_enter(core);
    check(nodes.get(nodes.data, 2 * i, &stored), "leaf", person);
    ab__core_leave(core);
    if (memcmp(leaf.hash, stored.hash, 32) != 0)
      die("block %llu is not the one of the tree", (unsigned long long) i);
  }
  uint64_t contiguous = hypercore_contiguous_length(core);
  if (!hypercore_has(core, 0, contiguous)) die("blocks below the contiguous length are missing");
  if (contiguous < hypercore_length(core) && hypercore_has(core, contiguous, contiguous + 1)) {
    die("the contiguous length is too short");
  }
}

static void
check_shown (person_t *person, const shown_t *shown) {
  hypercore_t *core = open_core(person, &shown->key, false);
  uint8_t hash[32];
  if (hypercore_fork(core) < shown->fork) die("an older fork than was shown");
  if (hypercore_fork(core) == shown->fork) {
    if (hypercore_length(core) < shown->length) {
      die(
        "%llu blocks, shown were %llu",
        (unsigned long long) hypercore_length(core),
        (unsigned long long) shown->length
      );
    }
    check(hypercore_tree_hash(core, shown->length, hash), "tree hash", person);
    if (memcmp(hash, shown->hash, 32) != 0) die("another history than was shown");
  }
  check_whole(person, core);
  hypercore_close(core);
}

static void
check_value (autobee_view_t *view, person_t *person, const char *key, const char *value) {
  autobee_entry_t entry;
  check(autobee_get(view, ab_text(key), &entry), key, person);
  if (!ab_slice_equal(entry.value, ab_text(value))) die("%s has another value", key);
}

/* Reads the lines: the newest of each core, and every value. */
static void
check_lines (person_t *person, FILE *acks) {
  static shown_t shown[CORES_MAX];
  static char line[1024], key[128], hash[128];
  size_t count = 0;
  autobee_view_t *view;
  check(autobee_view(person->db, NULL, &view), "view", person);
  while (fgets(line, sizeof(line), acks) != NULL) {
    unsigned long long fork, length;
    int value_at = 0;
    char *end = strchr(line, '\n');
    if (end == NULL) break; /* was not said whole */
    *end = 0;
    if (sscanf(line, "core %64s %llu %llu %64s", key, &fork, &length, hash) == 4) {
      shown_t at = {.fork = fork, .length = length};
      unhex(key, at.key.bytes);
      unhex(hash, at.hash);
      size_t i = 0;
      while (i < count && !ab_key_equal(&shown[i].key, &at.key)) i++;
      if (i == CORES_MAX) die("too many cores");
      if (i == count) count++;
      shown[i] = at;
    } else if (sscanf(line, "value %100s %n", key, &value_at) == 1 && value_at > 0) {
      check_value(view, person, key, line + value_at);
    } else {
      die("a bad line in the acknowledgements: %s", line);
    }
  }
  autobee_view_close(view);
  for (size_t i = 0; i < count; i++) check_shown(person, &shown[i]);
}

static int
look (const char *dir, const char *acks_path) {
  person_t ana;
  random_state = 77; /* a store that was never finished gets another start */
  FILE *acks = fopen(acks_path, "r");
  if (acks == NULL) die("cannot read %s", acks_path);
  for (int pass = 0; pass < 2; pass++) {
    open_person(&ana, "ana", dir, NULL);
    check(autobee_update(ana.db), "update", &ana);
    rewind(acks);
    check_lines(&ana, acks);
    append(&ana, "{\"put\":{\"after %d\":\"yes\"}}", pass);
    run_plain(&ana, 100 + pass);
    close_person(&ana);
  }
  open_person(&ana, "ana", dir, NULL);
  autobee_view_t *view;
  check(autobee_view(ana.db, NULL, &view), "view", &ana);
  check_value(view, &ana, "after 0", "yes");
  check_value(view, &ana, "after 1", "yes");
  autobee_view_close(view);
  close_person(&ana);
  fclose(acks);
  return 0;
}

int
main (int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "run") == 0) return run(argv[2]);
  if (argc == 4 && strcmp(argv[1], "check") == 0) return look(argv[2], argv[3]);
  die("usage: victim run DIR | check DIR ACKS");
}

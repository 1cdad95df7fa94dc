/* todo.c: a shared to-do list. Ana and Ben edit it for a week, offline most of the time, and meet every
 * evening.
 *
 *   todo EDITS FOLDER     EDITS: one recorded edit per line (edits.ndjson); FOLDER: gets a store for each
 *
 * Each has a store on disk and a log in it. When they meet, blocks and proofs pass between the stores in
 * memory; both sides put all edits into the one order that their contents define and run the merge rule of
 * rule.c over them. Exits 0 only if both views are equal. AUTOBEE_QUICKSTART_BREAK=1 changes one value on
 * Ben's side, and then they are not.
 */
#include "rule.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#define KEY_MAX 128
#define ITEMS_MAX 512
#define LINE_MAX_LEN 2048
#define COLUMN 56
#define LAST_EDITS 12

typedef struct {
  const char *name;
  ab_store_t *store;
  autobee_t *db;
  ab_json_doc_t json; /* for the merge rule */
  bool is_broken;     /* gives one item another text */
} person_t;

/* ---- applying ---- */

static bool
is (const ab_json_t *object, const char *name, const char *word) {
  return ab_slice_equal(rule_text(object, name), ab_text(word));
}

static int
merge (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  person_t *person = data;
  int err = 0;

  for (size_t i = 0; i < count && err == 0; i++) {
    const ab_json_t *op;
    if (ab_json_decode(&person->json, nodes[i].value, 0, &op) < 0)
      return autobee_apply_reject(apply, "%s", person->json.message);
    if ((err = rule_merge(apply, op)) == 0 && person->is_broken && is(op, "id", "b16")) {
      err = rule_set(apply, rule_text(op, "id"), "text", ab_text("something else"));
    }
  }
  return err;
}

/* ---- the two stores ---- */

static uint64_t recorded_now; /* the recorded edits bring their own time */

static uint64_t
clock_of_record (void *data) {
  (void) data;
  return recorded_now;
}

static void
random_bytes (void *data, uint8_t *out, size_t len) {
  FILE *source = data;
  if (fread(out, 1, len, source) != len) abort();
}

_Noreturn static void
die (const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("todo: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  exit(1);
}

static void
check (int err, const char *what, const person_t *person) {
  if (err < 0) die("%s: %s: %s (%s)", person->name, what, ab_strerror(err), ab_store_errmsg(person->store));
}

static void
open_person (person_t *person, const char *folder, const ab_env_t *env, const ab_key_t *key) {
  char path[512], message[256] = "";
  ab_store_options_t store_options = ab_store_options_default();
  autobee_options_t options = autobee_options_default();

  store_options.env = env;
  options.apply = merge;
  options.apply_data = person;
  snprintf(path, sizeof(path), "%s/%s", folder, person->name);
  if (ab_store_open(path, &store_options, &person->store, message, sizeof(message)) < 0) die("%s", message);
  check(autobee_open(person->store, key, &options, &person->db), "open", person);
}

static void
close_person (person_t *person) {
  check(autobee_close(person->db), "close", person);
  int err = ab_store_close(person->store);
  if (err < 0) die("%s: close: %s", person->name, ab_strerror(err));
  ab_json_doc_destroy(&person->json);
}

/* What one has written goes to the other: proofs first, then the blocks they prove. */
static void
hand_over (person_t *from, person_t *to) {
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *source, *copy;
  ab_head_t log;

  autobee_local(from->db, &log);
  if (log.length == 0) return;
  options.key = &log.key;
  check(hypercore_open(from->store, &options, &source), "open log", from);
  check(hypercore_open(to->store, &options, &copy), "open log", to);
  check(hypercore_pull(copy, source, log.length, 0, log.length), "pull", to);
  hypercore_close(source);
  hypercore_close(copy);
  check(autobee_hint(to->db, &log.key, log.length), "hint", to);
  check(autobee_update(to->db), "update", to);
}

static void
meet (person_t *ana, person_t *ben) {
  hand_over(ana, ben);
  hand_over(ben, ana);
}

/* ---- the recorded week ---- */

static void
append (person_t *person, ab_slice_t operation) {
  check(autobee_append(person->db, &operation, 1, 0, NULL), "append", person);
}

static void
grant (person_t *ana, const person_t *ben) {
  char text[AB_KEY_TEXT_LEN + 1], operation[128];
  ab_head_t local;
  autobee_local(ben->db, &local);
  ab_key_to_text(&local.key, text);
  snprintf(operation, sizeof(operation), "{\"type\":\"writer\",\"key\":\"%s\"}", text);
  append(ana, ab_text(operation));
}

/* Appends every recorded edit to its author's log, and lets them meet where they did. Returns the number of
 * edits. */
static size_t
play (const char *path, person_t *ana, person_t *ben) {
  FILE *file = fopen(path, "r");
  char line[LINE_MAX_LEN];
  ab_json_doc_t json = {0};
  size_t number = 0, edits = 0;

  if (file == NULL) die("cannot read %s", path);
  while (fgets(line, sizeof(line), file) != NULL) {
    const ab_json_t *record, *at, *op;
    ab_slice_t operation;
    int64_t ms;

    number++;
    if (ab_json_decode(&json, ab_text(line), 0, &record) < 0) die("%s:%zu: %s", path, number, json.message);
    at = ab_json_member(record, ab_text("at"));
    op = ab_json_member(record, ab_text("op"));
    if (at == NULL || !ab_json_integer(at, &ms)) die("%s:%zu: needs a time, at", path, number);
    recorded_now = (uint64_t) ms;
    if (op == NULL) {
      meet(ana, ben);
      continue;
    }
    person_t *author = is(record, "by", "ana") ? ana : ben;
    if (ab_json_encode(&json, op, AB_JSON_ECMASCRIPT, &operation) < 0) die("%s:%zu: bad op", path, number);
    append(author, operation);
    edits++;
  }
  fclose(file);
  ab_json_doc_destroy(&json);
  return edits;
}

/* ---- showing it ---- */

typedef struct {
  char text[96], list[16], to[8], due[16];
  bool is_done, is_removed;
  unsigned notes;
} item_t;

static void
copy_text (char *out, size_t size, ab_slice_t value) {
  size_t len = value.len < size - 1 ? value.len : size - 1;
  while (len > 0 && len < value.len && (value.data[len] & 0xc0) == 0x80) len--; /* whole characters only */
  memcpy(out, value.data, len);
  out[len] = 0;
}

/* The view's keys are in order, so an item's fields stand together. Returns the number of items. */
static size_t
read_items (person_t *person, item_t items[ITEMS_MAX]) {
  autobee_view_t *view;
  autobee_cursor_t *cursor;
  autobee_entry_t entry;
  char id[40] = "";
  size_t count = 0;
  int err;

  check(autobee_view(person->db, NULL, &view), "view", person);
  check(autobee_cursor_open(view, NULL, &cursor), "cursor", person);
  while ((err = autobee_cursor_next(cursor, &entry)) == 0) {
    char key[KEY_MAX], item[40], field[40];
    copy_text(key, sizeof(key), entry.key);
    if (sscanf(key, "item/%39[^/]/%39s", item, field) != 2) continue;
    if (strcmp(item, id) != 0 && count < ITEMS_MAX) {
      items[count++] = (item_t){0};
      memcpy(id, item, sizeof(id));
    }
    item_t *at = &items[count - 1];
    if (strcmp(field, "text") == 0) copy_text(at->text, sizeof(at->text), entry.value);
    else if (strcmp(field, "list") == 0) copy_text(at->list, sizeof(at->list), entry.value);
    else if (strcmp(field, "to") == 0) copy_text(at->to, sizeof(at->to), entry.value);
    else if (strcmp(field, "due") == 0) copy_text(at->due, sizeof(at->due), entry.value);
    else if (strcmp(field, "done") == 0) at->is_done = true;
    else if (strcmp(field, "removed") == 0) at->is_removed = true;
    else at->notes++;
  }
  if (err != AB_EEND) check(err, "read the view", person);
  autobee_cursor_close(cursor);
  autobee_view_close(view);
  return count;
}

/* Print in a column: counts characters, not bytes. */
static void
print_column (const char *text) {
  int width = 0;
  for (; *text != 0 && width < COLUMN; text++) {
    bool starts = ((uint8_t) *text & 0xc0) != 0x80;
    if (starts && width == COLUMN - 2 && strlen(text) > 2) break;
    putchar(*text);
    width += starts;
  }
  while (*text != 0 && ((uint8_t) *text & 0xc0) == 0x80) putchar(*text++);
  printf("%*s", COLUMN - width, "");
}

static void
print_item (const item_t *item) {
  char line[256], notes[24] = "";
  if (item->notes > 0) snprintf(notes, sizeof(notes), ", %u note%s", item->notes, item->notes > 1 ? "s" : "");
  snprintf(
    line,
    sizeof(line),
    "[%c] %s (%s%s%s%s%s%s)",
    item->is_done ? 'x' : ' ',
    item->text,
    item->list[0] == 0 ? "inbox" : item->list,
    item->to[0] == 0 ? "" : ", ",
    item->to,
    item->due[0] == 0 ? "" : ", ",
    item->due,
    notes
  );
  print_column(line);
}

static size_t
next_item (const item_t *items, size_t count, size_t at) {
  while (at < count && items[at].is_removed) at++;
  return at;
}

static void
print_lists (person_t *ana, person_t *ben) {
  static item_t left[ITEMS_MAX], right[ITEMS_MAX];
  size_t left_count = read_items(ana, left), right_count = read_items(ben, right);

  print_column("Ana's list");
  puts(" Ben's list");
  for (size_t l = next_item(left, left_count, 0), r = next_item(right, right_count, 0);
       l < left_count || r < right_count;
       l = next_item(left, left_count, l + 1), r = next_item(right, right_count, r + 1)) {
    if (l < left_count) print_item(&left[l]);
    else print_column("");
    putchar(' ');
    if (r < right_count) print_item(&right[r]);
    putchar('\n');
  }
}

typedef struct {
  ab_key_t ana;
  char lines[LAST_EDITS][160];
  size_t count;
} last_edits_t;

static int
keep_edit (void *data, const autobee_log_entry_t *entry) {
  last_edits_t *last = data;
  time_t seconds = (time_t) (entry->timestamp_ms / 1000);
  char when[20], operation[96];
  struct tm utc;

  if (entry->value.len == 0) return 0;
  gmtime_r(&seconds, &utc);
  strftime(when, sizeof(when), "%a %H:%M", &utc);
  copy_text(operation, sizeof(operation), entry->value);
  snprintf(
    last->lines[last->count++],
    sizeof(last->lines[0]),
    "  %s  %s:%-4llu %s",
    when,
    ab_key_equal(&entry->node.key, &last->ana) ? "Ana" : "Ben",
    (unsigned long long) entry->node.length,
    operation
  );
  return last->count == LAST_EDITS;
}

static void
print_last_edits (person_t *ana) {
  last_edits_t last = {0};
  ab_head_t local;
  autobee_local(ana->db, &local);
  last.ana = local.key;
  check(autobee_log(ana->db, keep_edit, &last) < 0 ? AB_ECORRUPT : 0, "log", ana);
  puts("\nThe last edits in merged order:");
  while (last.count > 0) puts(last.lines[--last.count]);
}

static void
print_hash (person_t *person, uint8_t hash[32]) {
  autobee_view_t *view;
  check(autobee_view(person->db, NULL, &view), "view", person);
  check(autobee_view_hash(view, hash), "hash", person);
  autobee_view_close(view);
  printf("%s's view: ", person->name);
  for (int i = 0; i < 32; i++) printf("%02x", hash[i]);
  putchar('\n');
}

int
main (int argc, char **argv) {
  person_t ana = {.name = "ana"}, ben = {.name = "ben"};
  const char *broken = getenv("AUTOBEE_QUICKSTART_BREAK");
  FILE *random = fopen("/dev/urandom", "rb");
  uint8_t hash_of_ana[32], hash_of_ben[32];
  struct timespec start, end;
  autobee_info_t info;
  ab_key_t key;

  if (argc != 3) die("usage: todo EDITS FOLDER");
  if (random == NULL) die("cannot open /dev/urandom");
  ben.is_broken = broken != NULL && strcmp(broken, "1") == 0;
  ab_env_t env = {clock_of_record, random_bytes, random};
  recorded_now = 1772409600000u; /* Monday, 2 March 2026 */

  clock_gettime(CLOCK_MONOTONIC, &start);
  open_person(&ana, argv[2], &env, NULL);
  autobee_key(ana.db, &key);
  open_person(&ben, argv[2], &env, &key);
  grant(&ana, &ben);
  meet(&ana, &ben);
  size_t edits = play(argv[1], &ana, &ben);
  meet(&ana, &ben);
  clock_gettime(CLOCK_MONOTONIC, &end);

  print_lists(&ana, &ben);
  print_last_edits(&ana);
  check(autobee_info(ana.db, &info), "info", &ana);
  double seconds = (double) (end.tv_sec - start.tv_sec) + (double) (end.tv_nsec - start.tv_nsec) / 1e9;
  printf(
    "\n%zu edits in %.2f s: each appended durably by its author, merged and applied by both; Ana's view was "
    "rewound "
    "%llu times.\n",
    edits,
    seconds,
    (unsigned long long) info.undos
  );
  print_hash(&ana, hash_of_ana);
  print_hash(&ben, hash_of_ben);
  close_person(&ana);
  close_person(&ben);
  fclose(random);

  bool equal = memcmp(hash_of_ana, hash_of_ben, sizeof(hash_of_ana)) == 0;
  puts(equal ? "The views are equal." : "The views differ.");
  return equal ? 0 : 1;
}

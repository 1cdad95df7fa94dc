#include "autobee/members.h"

#include <stdio.h>

#include "hypercore/crypto.h"

static uint64_t
now (void *data) {
  return ((member_t *) data)->now_ms;
}

static void
fill (void *data, uint8_t *out, size_t len) {
  member_t *member = data;
  for (size_t i = 0; i < len; i++) out[i] = (uint8_t) rng_next(&member->random);
}

void
member_init (member_t *member, const char *dir, uint8_t number) {
  memset(member, 0, sizeof(*member));
  member->dir = dir;
  member->now_ms = MEMBER_START_MS;
  member->random = rng(number);
  member->env = (ab_env_t){now, fill, member};
  memset(member->primary_key.bytes, number, sizeof(member->primary_key.bytes));
}

int
member_open_store (member_t *member) {
  ab_store_options_t options = ab_store_options_default();
  options.relaxed = true;
  options.env = &member->env;
  options.primary_key = &member->primary_key;
  return ab_store_open(member->dir, &options, &member->store, member->message, sizeof(member->message));
}

void
member_ok (member_t *member, int err) {
  if (err < 0) fail_msg("%s: %s", ab_err_name(err), ab_store_errmsg(member->store));
}

void
member_open (member_t *member, const ab_key_t *key, const autobee_options_t *options) {
  int err = member_open_store(member);
  if (err < 0) fail_msg("%s: %s", ab_err_name(err), member->message);
  member_ok(member, autobee_open(member->store, key, options, &member->db));
}

void
member_close (member_t *member) {
  if (member->db != NULL) member_ok(member, autobee_close(member->db));
  member->db = NULL;
  assert_int_equal(ab_store_close(member->store), 0);
  member->store = NULL;
}

ab_key_t
member_writer (const member_t *member) {
  member_t scratch;
  ab_key_pair_t pair;
  ab_key_t key;
  member_init(&scratch, NULL, member->primary_key.bytes[0]);
  assert_int_equal(member_open_store(&scratch), 0);
  member_ok(&scratch, corestore_key_pair(scratch.store, NULL, ab_text("local"), &pair));
  member_ok(&scratch, corestore_key(scratch.store, pair.public_key, &key));
  ab_store_close(scratch.store);
  return key;
}

/* ---- writing ---- */

static int
append (member_t *member, const char *operation) {
  ab_slice_t value = ab_text(operation);
  return autobee_append(member->db, &value, 1, 0, NULL);
}

int
member_put (member_t *member, const char *key, const char *value) {
  char text[256];
  snprintf(text, sizeof(text), "{\"put\":{\"%s\":\"%s\"}}", key, value);
  return append(member, text);
}

int
member_put_batch (member_t *member, const char *key, size_t count) {
  char texts[16][64];
  ab_slice_t values[16];
  assert_in_range(count, 1, 16);
  for (size_t i = 0; i < count; i++) {
    snprintf(texts[i], sizeof(texts[i]), "{\"put\":{\"%s%zu\":\"%zu\"}}", key, i, i);
    values[i] = ab_text(texts[i]);
  }
  return autobee_append(member->db, values, count, 0, NULL);
}

static int
append_key (member_t *member, const char *operation, const ab_key_t *writer) {
  char key[AB_KEY_TEXT_LEN + 1], text[128];
  ab_key_to_text(writer, key);
  snprintf(text, sizeof(text), "{\"%s\":\"%s\"}", operation, key);
  return append(member, text);
}

int
member_grant (member_t *member, const ab_key_t *writer) {
  return append_key(member, "addWriter", writer);
}

int
member_remove (member_t *member, const ab_key_t *writer) {
  return append_key(member, "removeWriter", writer);
}

/* ---- receiving ---- */

static int
pull (member_t *to, member_t *from, const ab_head_t *log) {
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *source, *copy;
  options.key = &log->key;
  int err = hypercore_open(from->store, &options, &source);
  if (err < 0) return err;
  if ((err = hypercore_open(to->store, &options, &copy)) == 0) {
    err = hypercore_pull(copy, source, log->length, 0, log->length);
    hypercore_close(copy);
  }
  hypercore_close(source);
  return err;
}

int
member_receive (member_t *to, member_t *from) {
  ab_head_t log;
  autobee_local(from->db, &log);
  if (log.length == 0) return 0;
  int err = pull(to, from, &log);
  if (err == 0) err = autobee_hint(to->db, &log.key, log.length);
  return err < 0 ? err : autobee_update(to->db);
}

/* ---- what it shows ---- */

void
member_check_value (member_t *member, const char *key, const char *value) {
  autobee_view_t *view;
  autobee_entry_t entry;
  member_ok(member, autobee_view(member->db, NULL, &view));
  int err = autobee_get(view, ab_text(key), &entry);
  if (value == NULL) {
    assert_int_equal(err, AB_ENOTFOUND);
  } else {
    member_ok(member, err);
    assert_int_equal(entry.value.len, strlen(value));
    assert_memory_equal(entry.value.data, value, entry.value.len);
  }
  autobee_view_close(view);
}

typedef struct {
  ab_hasher_t hasher;
  uint64_t nodes;
} order_hash_t;

static int
hash_node (void *data, const autobee_log_entry_t *entry) {
  order_hash_t *hash = data;
  ab_hasher_update(&hash->hasher, ab_key_slice(&entry->node.key));
  ab_hasher_update(&hash->hasher, ab_slice(&entry->node.length, sizeof(entry->node.length)));
  hash->nodes++;
  return 0;
}

member_state_t
member_state (member_t *member) {
  member_state_t state = {.nodes = 0};
  order_hash_t hash = {.nodes = 0};
  autobee_view_t *view;
  ab_head_t local;
  ab_hasher_init(&hash.hasher);
  member_ok(member, autobee_log(member->db, hash_node, &hash));
  ab_hasher_final(&hash.hasher, state.order);
  state.nodes = hash.nodes;
  member_ok(member, autobee_view(member->db, NULL, &view));
  member_ok(member, autobee_view_hash(view, state.view));
  autobee_view_close(view);
  autobee_local(member->db, &local);
  state.local = local.length;
  return state;
}

bool
member_state_equal (const member_state_t *a, const member_state_t *b) {
  return memcmp(a->view, b->view, sizeof(a->view)) == 0 &&
         memcmp(a->order, b->order, sizeof(a->order)) == 0 && a->nodes == b->nodes && a->local == b->local;
}

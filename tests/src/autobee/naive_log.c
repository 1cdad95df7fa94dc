#include "autobee/naive_log.h"

#include <stdio.h>
#include <stdlib.h>

static void
check (bool is_true, const char *what) {
  if (is_true) return;
  fprintf(stderr, "naive log: %s\n", what);
  abort();
}

size_t
naive_number (const naive_logs_t *logs, const ab_key_t *key) {
  size_t i = 0;
  while (i < logs->count && !ab_key_equal(&logs->logs[i].key, key)) i++;
  check(i < logs->count, "a writer that nobody is");
  return i;
}

static void
read_value (const naive_logs_t *logs, naive_node_t *node) {
  char text[256], key_text[AB_KEY_TEXT_LEN + 1];
  const char *weight;
  ab_slice_t value = node->message.value;
  unsigned number;
  snprintf(text, sizeof(text), "%.*s", (int) value.len, (const char *) value.data);
  if (sscanf(text, "{\"put\":{\"k%u\":\"%23[^\"]\"}}", &number, node->text) == 2) {
    node->op = NAIVE_PUT;
    node->key = number;
    return;
  }
  if (sscanf(text, "{\"del\":[\"k%u\"]}", &number) == 1) {
    node->op = NAIVE_DEL;
    node->key = number;
    return;
  }
  if (sscanf(text, "{\"addWriter\":\"%52[^\"]", key_text) == 1) node->op = NAIVE_GRANT;
  else check(sscanf(text, "{\"removeWriter\":\"%52[^\"]", key_text) == 1, "an unknown value");
  if (node->op != NAIVE_GRANT) node->op = NAIVE_REMOVAL;
  ab_key_t key;
  check(ab_key_from_text(ab_text(key_text), &key) == 0, "no key");
  node->subject = naive_number(logs, &key);
  node->weight = strstr(text, "\"isIndexer\":false") == NULL ? 2 : 1;
  if ((weight = strstr(text, "\"weight\":")) != NULL) node->weight = strtoull(weight + 9, NULL, 10);
}

void
naive_log_read (naive_logs_t *logs, size_t number, hypercore_t *core) {
  naive_log_t *log = &logs->logs[number];
  for (; log->length < hypercore_length(core); log->length++) {
    ab_slice_t block, kept;
    if (log->length == log->capacity) {
      log->capacity = 2 * log->capacity + 16;
      log->nodes = realloc(log->nodes, log->capacity * sizeof(naive_node_t));
      check(log->nodes != NULL, "no memory");
    }
    naive_node_t *node = &log->nodes[log->length];
    memset(node, 0, sizeof(*node));
    check(hypercore_get(core, log->length, &block) == 0, "no block");
    check(ab_arena_copy(&logs->arena, block, &kept) == 0, "no memory");
    check(autobee__oplog_decode(kept, &logs->arena, &node->message) == 0, "no message");
    check(node->message.has_value && !node->message.optimistic, "a node of another kind");
    read_value(logs, node);
  }
}

void
naive_logs_destroy (naive_logs_t *logs) {
  for (size_t i = 0; i < logs->count; i++) free(logs->logs[i].nodes);
  ab_arena_destroy(&logs->arena);
  memset(logs, 0, sizeof(*logs));
}

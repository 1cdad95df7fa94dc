#include "autobee/naive_shown.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static void
AB_PRINTF (2, 3) say(ab_buf_t *out, const char *format, ...) {
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  int len = vsnprintf(line, sizeof(line), format, arguments);
  va_end(arguments);
  ab_buf_append(out, ab_slice(line, (size_t) len));
}

static void
say_node (ab_buf_t *out, uint64_t length, size_t writer, uint64_t weight) {
  say(out, "node %" PRIu64 " of %zu, weight %" PRIu64 "\n", length, writer, weight);
}

static void
say_record (ab_buf_t *out, size_t number, const autobee_writer_t *writer) {
  const char *role = writer->is_indexer ? ", indexer" : "", *removed = writer->is_removed ? ", removed" : "";
  say(out, "writer %zu: length %" PRIu64 ", weight %" PRIu64, number, writer->length, writer->weight);
  say(out, " of %" PRIu64 "%s%s\n", writer->max_weight, role, removed);
}

static void
say_head (ab_buf_t *out, size_t writer, uint64_t length) {
  say(out, "head %zu %" PRIu64 "\n", writer, length);
}

static void
say_status (ab_buf_t *out, uint64_t flushes, uint64_t timestamp_ms) {
  say(out, "%" PRIu64 " batches, stamped up to %" PRIu64 "\n", flushes, timestamp_ms);
}

static void
say_entry (ab_buf_t *out, ab_slice_t key, ab_slice_t value) {
  say(out, "%.*s: ", (int) key.len, (const char *) key.data);
  for (size_t i = 0; i < value.len; i++) say(out, "%02x", value.data[i]);
  say(out, "\n");
}

void
naive_show_model (const naive_peer_t *peer, ab_buf_t *out) {
  const naive_state_t *state = naive_peer_state(peer);
  for (size_t i = 1; i < peer->count; i++) {
    const naive_batch_t *batch = &peer->states[i].batch;
    for (uint64_t length = batch->first; length <= batch->last; length++)
      say_node(out, length, batch->writer, batch->weight);
  }
  for (size_t i = 0; i < peer->logs->count; i++) {
    const naive_record_t *record = &state->records[i];
    autobee_writer_t writer = {
      .weight = record->weight,
      .max_weight = record->max_weight,
      .length = record->length,
      .is_removed = record->is_removed,
      .is_indexer = record->max_weight == 2};
    if (record->exists) say_record(out, i, &writer);
  }
  for (size_t i = 0; i < state->head_count; i++)
    say_head(out, naive_number(peer->logs, &state->heads[i].key), state->heads[i].length);
  say_status(out, state->flushes, state->timestamp_ms);
  if (state->has_chain) say_entry(out, ab_text("chain"), ab_slice(state->chain, 32));
  for (size_t i = 0; i < NAIVE_KEYS; i++) {
    char key[] = {'k', (char) ('0' + i), 0};
    if (state->values[i][0] != 0) say_entry(out, ab_text(key), ab_text(state->values[i]));
  }
  ab_buf_append(out, ab_slice("", 1));
}

/* ---- the database ---- */

typedef struct {
  const naive_logs_t *logs;
  ab_buf_t *out;
  ab_buf_t order; /* of placed_t, newest first */
} shown_t;

typedef struct {
  size_t writer;
  uint64_t length, weight;
} placed_t;

static int
see_node (void *data, const autobee_log_entry_t *entry) {
  shown_t *shown = data;
  placed_t placed = {naive_number(shown->logs, &entry->node.key), entry->node.length, entry->weight};
  ab_buf_append(&shown->order, ab_slice(&placed, sizeof(placed)));
  return 0;
}

typedef struct {
  bool exists;
  autobee_writer_t record;
} found_t;

typedef struct {
  const naive_logs_t *logs;
  found_t writers[NAIVE_WRITERS_MAX];
} records_t;

static int
see_writer (void *data, const ab_key_t *key, const autobee_writer_t *writer) {
  records_t *records = data;
  found_t *found = &records->writers[naive_number(records->logs, key)];
  found->exists = true;
  found->record = *writer;
  return 0;
}

static int
see_head (void *data, const ab_head_t *head) {
  shown_t *shown = data;
  say_head(shown->out, naive_number(shown->logs, &head->key), head->length);
  return 0;
}

static int
say_view (autobee_t *db, ab_buf_t *out) {
  autobee_view_t *view;
  autobee_cursor_t *cursor;
  autobee_entry_t entry;
  int err = autobee_view(db, NULL, &view);
  if (err < 0) return err;
  if ((err = autobee_cursor_open(view, NULL, &cursor)) == 0) {
    while ((err = autobee_cursor_next(cursor, &entry)) == 0) say_entry(out, entry.key, entry.value);
    autobee_cursor_close(cursor);
  }
  autobee_view_close(view);
  return err == AB_EEND ? 0 : err;
}

static void
say_order (const ab_buf_t *order, ab_buf_t *out) {
  const placed_t *placed = (const placed_t *) (const void *) order->data;
  for (size_t i = order->len / sizeof(*placed); i > 0; i--)
    say_node(out, placed[i - 1].length, placed[i - 1].writer, placed[i - 1].weight);
}

int
naive_show_database (const naive_logs_t *logs, autobee_t *db, ab_buf_t *out) {
  shown_t shown = {.logs = logs, .out = out};
  records_t records = {.logs = logs};
  autobee_info_t info;
  int err = autobee_log(db, see_node, &shown);
  if (err == 0) err = autobee_writers(db, see_writer, &records);
  if (err == 0) err = autobee_info(db, &info);
  if (err < 0) goto done;
  say_order(&shown.order, out);
  for (size_t i = 0; i < logs->count; i++) {
    if (records.writers[i].exists) say_record(out, i, &records.writers[i].record);
  }
  if ((err = autobee_heads(db, see_head, &shown)) < 0) goto done;
  say_status(out, info.flushes, info.timestamp_ms);
  err = say_view(db, out);
  ab_buf_append(out, ab_slice("", 1));

done:
  ab_buf_destroy(&shown.order);
  return err;
}

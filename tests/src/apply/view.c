#include "apply/view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/test.h"

void
view_open (view_t *view) {
  hypercore_options_t options = hypercore_options_default();
  *view = (view_t){0};
  assert_int_equal(ab_store_open(NULL, NULL, &view->store, NULL, 0), 0);
  options.name = ab_text("view");
  assert_int_equal(hypercore_open(view->store, &options, &view->core), 0);
  assert_int_equal(bee_open(view->core, NULL, &view->bee), 0);
}

void
view_close (view_t *view) {
  bee_close(view->bee);
  hypercore_close(view->core);
  assert_int_equal(ab_store_close(view->store), 0);
  ab_buf_destroy(&view->calls);
  ab_buf_destroy(&view->message);
}

/* ---- the host ---- */

static int
AB_PRINTF (2, 3) say(view_t *view, const char *format, ...) {
  char line[128];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof(line), format, arguments);
  va_end(arguments);
  ab_buf_append(&view->calls, ab_text(line));
  return view->host_err;
}

static int
add_writer (void *data, const ab_key_t *key, bool is_indexer, uint64_t weight) {
  return say(data, "add %02x %s %" PRIu64 "\n", key->bytes[0], is_indexer ? "indexer" : "writer", weight);
}

static int
remove_writer (void *data, const ab_key_t *key) {
  return say(data, "remove %02x\n", key->bytes[0]);
}

static int
ack_writer (void *data, const ab_key_t *key) {
  return say(data, "ack %02x\n", key->bytes[0]);
}

static int
create_anchor (void *data, const ab_head_t *node, ab_head_t *anchor) {
  memset(anchor, 0xaa, sizeof(*anchor));
  anchor->length = 1;
  return say(data, "anchor %02x.%" PRIu64 "\n", node->key.bytes[0], node->length);
}

static int
writer (void *data, const ab_key_t *key, autobee_writer_t *out) {
  if (key->bytes[0] == 0) return AB_ENOTFOUND;
  *out = (autobee_writer_t){.weight = 2, .max_weight = 3, .length = 4, .is_indexer = true};
  return say(data, "writer %02x\n", key->bytes[0]);
}

/* ---- runs ---- */

int
view_run (view_t *view, autobee_apply_fn fn, void *data, const autobee_node_t *nodes, size_t count) {
  static const apply_host_t host = {add_writer, remove_writer, ack_writer, create_anchor, writer};
  apply_input_t input = {.view = view->bee, .host = &host, .host_data = view, .clock = 5, .genesis = true};
  apply_result_t result;
  ab_head_t before;
  uint64_t length = view_length(view);

  memset(input.database_key.bytes, 0xdb, sizeof(input.database_key.bytes));
  bee_head(view->bee, &before);
  ab_buf_reset(&view->calls);
  ab_buf_destroy(&view->message);
  assert_int_equal(apply_run(&input, fn, data, nodes, count, &result), 0);
  view->message = result.message;
  if (result.message.data != NULL) assert_int_equal(result.message.data[result.message.len], 0);
  if (result.verdict == 0) assert_int_equal(result.message.len, 0);
  if (result.verdict < 0) {
    assert_int_equal(bee_move(view->bee, &before.key, before.length), 0);
    assert_int_equal(bee_rollback(view->bee, length), 0);
  }
  return result.verdict;
}

static const char *
text_of (ab_buf_t *buf) {
  ab_buf_append(buf, ab_slice("", 1));
  assert_int_equal(buf->err, 0);
  buf->len--;
  return (const char *) buf->data;
}

const char *
view_calls (view_t *view) {
  return text_of(&view->calls);
}

const char *
view_message (view_t *view) {
  return text_of(&view->message);
}

const char *
view_entries (view_t *view) {
  static char text[8192];
  bee_cursor_t *cursor;
  bee_entry_t entry;
  size_t len = 0;
  int err;
  text[0] = 0;
  assert_int_equal(bee_cursor_open(view->bee, NULL, &cursor), 0);
  while ((err = bee_cursor_next(cursor, &entry)) == 0) {
    int key_len = (int) entry.key.len, value_len = (int) entry.value.len;
    len += (size_t) snprintf(
      text + len, sizeof(text) - len, "%.*s=%.*s\n", key_len, entry.key.data, value_len, entry.value.data
    );
    assert_in_range(len, 0, sizeof(text) - 1);
  }
  assert_int_equal(err, AB_EEND);
  bee_cursor_close(cursor);
  return text;
}

uint64_t
view_length (const view_t *view) {
  return hypercore_length(view->core);
}

autobee_node_t
view_node (uint64_t length, const char *value) {
  autobee_node_t node = {
    .length = length, .value = ab_text(value), .timestamp_ms = 1700000000000, .weight = 2};
  memset(node.writer.bytes, 7, sizeof(node.writer.bytes));
  return node;
}

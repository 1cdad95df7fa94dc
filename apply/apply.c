/* apply.c: one run of an apply function: its reads, its writes, its host calls and how it ends. */
#include "apply/apply.h"

#include "apply/run.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct autobee_apply_s {
  const apply_input_t *input;
  bee_batch_t *batch;              /* the writes since the last flush; NULL while there are none */
  autobee_apply_cursor_t *cursors; /* all that are open */
  ab_buf_t value;                  /* what the last get returned */
  ab_buf_t message;                /* zero-terminated, the zero not counted */
  int ended;                       /* the code of the first call that failed */
};

struct autobee_apply_cursor_s {
  autobee_apply_t *apply;
  bee_cursor_t *source; /* NULL once `rest` has everything */
  bool is_over_batch;   /* the source ends with the next write */
  ab_buf_t entry;       /* what the last next returned */
  ab_buf_t rest;        /* entry_head_t, key, value; again and again */
  size_t rest_at;
  autobee_apply_cursor_t *next;
  autobee_apply_cursor_t **link;
};

/* An entry's form in `rest`. */
typedef struct {
  size_t key_len, value_len;
  bool has_value;
} entry_head_t;

/* ---- how a run ends ---- */

static void
set_message (ab_buf_t *message, const char *format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  int len = vsnprintf(NULL, 0, format, again);
  va_end(again);
  if (len < 0) return;

  ab_buf_reset(message);
  char *text = (char *) ab_buf_extend(message, (size_t) len + 1);
  if (text == NULL) return; /* a verdict without a text is still a verdict */
  vsnprintf(text, (size_t) len + 1, format, arguments);
  message->len--;
}

static int
AB_PRINTF (3, 4) end_run(autobee_apply_t *apply, int err, const char *format, ...) {
  assert(err < 0 && apply->ended == 0);
  va_list arguments;
  va_start(arguments, format);
  set_message(&apply->message, format, arguments);
  va_end(arguments);
  return apply->ended = err;
}

static int
end_no_memory (autobee_apply_t *apply) {
  return end_run(apply, AB_ENOMEM, "%s", ab_strerror(AB_ENOMEM));
}

/* A call on the view failed: its store knows the particulars. */
static int
end_view (autobee_apply_t *apply, int err) {
  const char *particulars = ab_store_errmsg(hypercore_store(bee_local(apply->input->view)));
  return end_run(apply, err, "view: %s", particulars[0] == 0 ? ab_strerror(err) : particulars);
}

static int
end_host (autobee_apply_t *apply, const char *call, int err) {
  return end_run(apply, err, "%s: %s", call, ab_strerror(err));
}

int
autobee_apply_reject (autobee_apply_t *apply, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  if (apply->ended == 0) set_message(&apply->message, format, arguments);
  va_end(arguments);
  return AB_EREJECTED;
}

int
autobee_apply_halt (autobee_apply_t *apply, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  if (apply->ended == 0) set_message(&apply->message, format, arguments);
  va_end(arguments);
  return AB_EHALTED;
}

int
autobee_apply_interrupt (autobee_apply_t *apply, ab_slice_t reason) {
  if (apply->ended < 0) return apply->ended;
  int len = reason.len > 4096 ? 4096 : (int) reason.len;
  return end_run(apply, AB_EINTERRUPTED, "%.*s", len, len == 0 ? "" : (const char *) reason.data);
}

/* ---- reading ---- */

static int
look_up (autobee_apply_t *apply, ab_slice_t key, bee_entry_t *entry) {
  return apply->batch != NULL ? bee_batch_get(apply->batch, key, entry)
                              : bee_get(apply->input->view, key, entry);
}

/* Copy into `buf`. The place of an empty value is not NULL, that of an absent one is. */
static int
keep_value (ab_buf_t *buf, const bee_entry_t *entry, ab_slice_t *value) {
  *value = ab_slice(NULL, 0);
  if (!entry->has_value) return 0;
  size_t start = buf->len;
  if (ab_buf_extend(buf, entry->value.len + 1) == NULL) return AB_ENOMEM;
  if (entry->value.len > 0) memcpy(buf->data + start, entry->value.data, entry->value.len);
  *value = ab_slice(buf->data + start, entry->value.len);
  return 0;
}

int
autobee_apply_get (autobee_apply_t *apply, ab_slice_t key, ab_slice_t *value) {
  if (apply->ended < 0) return apply->ended;
  bee_entry_t entry;
  int err = look_up(apply, key, &entry);
  if (err == AB_ENOTFOUND) return err;
  if (err < 0) return end_view(apply, err);

  ab_buf_reset(&apply->value);
  err = keep_value(&apply->value, &entry, value);
  return err < 0 ? end_no_memory(apply) : 0;
}

int
autobee_apply_prefetch (autobee_apply_t *apply, const ab_slice_t *keys, size_t count) {
  if (apply->ended < 0) return apply->ended;
  bool is_missing = false;
  for (size_t i = 0; i < count; i++) {
    bee_entry_t entry;
    int err = look_up(apply, keys[i], &entry);
    if (err == AB_EREMOTE) is_missing = true; /* noted as wanted; the others may miss more */
    else if (err < 0 && err != AB_ENOTFOUND) return end_view(apply, err);
  }
  return is_missing ? end_view(apply, AB_EREMOTE) : 0;
}

/* ---- cursors ---- */

int
autobee_apply_cursor (
  autobee_apply_t *apply, const autobee_apply_range_t *range, autobee_apply_cursor_t **out
) {
  if (apply->ended < 0) return apply->ended;
  bee_range_t within = {0};
  if (range != NULL) {
    within.lower = range->lower;
    within.upper = range->upper;
    within.has_lower = range->has_lower;
    within.has_upper = range->has_upper;
    within.lower_open = range->lower_open;
    within.upper_open = range->upper_open;
    within.reverse = range->reverse;
    within.limit = range->limit;
  }

  autobee_apply_cursor_t *cursor = calloc(1, sizeof(*cursor));
  if (cursor == NULL) return end_no_memory(apply);
  cursor->is_over_batch = apply->batch != NULL;
  int err = cursor->is_over_batch ? bee_batch_cursor_open(apply->batch, &within, &cursor->source)
                                  : bee_cursor_open(apply->input->view, &within, &cursor->source);
  if (err < 0) {
    free(cursor);
    return end_view(apply, err);
  }

  cursor->apply = apply;
  cursor->next = apply->cursors;
  cursor->link = &apply->cursors;
  if (cursor->next != NULL) cursor->next->link = &cursor->next;
  apply->cursors = cursor;
  *out = cursor;
  return 0;
}

static void
free_cursor (autobee_apply_cursor_t *cursor) {
  if (cursor->source != NULL) bee_cursor_close(cursor->source);
  ab_buf_destroy(&cursor->entry);
  ab_buf_destroy(&cursor->rest);
  free(cursor);
}

void
autobee_apply_cursor_close (autobee_apply_cursor_t *cursor) {
  if (cursor == NULL) return;
  *cursor->link = cursor->next;
  if (cursor->next != NULL) cursor->next->link = cursor->link;
  free_cursor(cursor);
}

/* Copy what is left of the source, which the write that follows would end. */
static int
detach (autobee_apply_cursor_t *cursor) {
  int err;
  bee_entry_t entry;
  while ((err = bee_cursor_next(cursor->source, &entry)) == 0) {
    entry_head_t head = {entry.key.len, entry.has_value ? entry.value.len : 0, entry.has_value};
    ab_buf_append(&cursor->rest, ab_slice(&head, sizeof(head)));
    ab_buf_append(&cursor->rest, entry.key);
    if (entry.has_value) ab_buf_append(&cursor->rest, entry.value);
    if (cursor->rest.err < 0) return end_no_memory(cursor->apply);
  }
  if (err != AB_EEND) return end_view(cursor->apply, err);
  bee_cursor_close(cursor->source);
  cursor->source = NULL;
  return 0;
}

static int
detach_all (autobee_apply_t *apply) {
  for (autobee_apply_cursor_t *cursor = apply->cursors; cursor != NULL; cursor = cursor->next) {
    if (cursor->source == NULL || !cursor->is_over_batch) continue;
    int err = detach(cursor);
    if (err < 0) return err;
  }
  return 0;
}

/* The next entry of `rest`, in the form of one from a tree. */
static int
next_of_rest (autobee_apply_cursor_t *cursor, bee_entry_t *entry) {
  ab_buf_t *rest = &cursor->rest;
  if (cursor->rest_at == rest->len) return AB_EEND;
  entry_head_t head;
  memcpy(&head, rest->data + cursor->rest_at, sizeof(head));
  const uint8_t *key = rest->data + cursor->rest_at + sizeof(head);
  *entry = (bee_entry_t
  ){.key = {key, head.key_len}, .value = {key + head.key_len, head.value_len}, .has_value = head.has_value};
  cursor->rest_at += sizeof(head) + head.key_len + head.value_len;
  return 0;
}

int
autobee_apply_cursor_next (autobee_apply_cursor_t *cursor, ab_slice_t *key, ab_slice_t *value) {
  autobee_apply_t *apply = cursor->apply;
  if (apply->ended < 0) return apply->ended;
  bee_entry_t entry;
  int err = cursor->source != NULL ? bee_cursor_next(cursor->source, &entry) : next_of_rest(cursor, &entry);
  if (err == AB_EEND) return err;
  if (err < 0) return end_view(apply, err);

  /* The key behind the value, and room for it first: the value must not move. */
  ab_buf_t *kept = &cursor->entry;
  ab_buf_reset(kept);
  if (ab_buf_extend(kept, entry.key.len + entry.value.len + 2) == NULL) {
    return end_no_memory(apply);
  }
  kept->len = 0;
  err = keep_value(kept, &entry, value);
  assert(err == 0);
  *key = ab_slice(kept->data + kept->len, entry.key.len);
  ab_buf_append(kept, entry.key);
  return err;
}

/* ---- writing ---- */

static int
open_batch (autobee_apply_t *apply) {
  int err = detach_all(apply);
  if (err < 0 || apply->batch != NULL) return err;
  err = bee_batch_begin(apply->input->view, NULL, &apply->batch);
  return err < 0 ? end_view(apply, err) : 0;
}

static int
check_key (autobee_apply_t *apply, ab_slice_t key) {
  if (key.len <= AUTOBEE_APPLY_KEY_MAX) return 0;
  return end_run(apply, AB_EREJECTED, "a key of %zu bytes; %d are allowed", key.len, AUTOBEE_APPLY_KEY_MAX);
}

int
autobee_apply_put (autobee_apply_t *apply, ab_slice_t key, ab_slice_t value) {
  int err;
  if (apply->ended < 0) return apply->ended;
  if ((err = check_key(apply, key)) < 0) return err;
  if (value.len > AUTOBEE_APPLY_VALUE_MAX) {
    return end_run(
      apply, AB_EREJECTED, "a value of %zu bytes; %d are allowed", value.len, AUTOBEE_APPLY_VALUE_MAX
    );
  }
  if ((err = open_batch(apply)) < 0) return err;
  err = bee_batch_put(apply->batch, key, value);
  return err < 0 ? end_view(apply, err) : 0;
}

int
autobee_apply_del (autobee_apply_t *apply, ab_slice_t key) {
  int err;
  if (apply->ended < 0) return apply->ended;
  if ((err = check_key(apply, key)) < 0) return err;
  if ((err = open_batch(apply)) < 0) return err;
  err = bee_batch_del(apply->batch, key);
  return err < 0 ? end_view(apply, err) : 0;
}

int
autobee_apply_flush (autobee_apply_t *apply) {
  if (apply->ended < 0) return apply->ended;
  if (apply->batch == NULL) return 0;
  int err = detach_all(apply);
  if (err < 0) return err;
  err = bee_batch_flush(apply->batch, NULL);
  if (err < 0) return end_view(apply, err);
  apply->batch = NULL;
  return 0;
}

/* ---- the host ---- */

int
autobee_apply_add_writer (autobee_apply_t *apply, const ab_key_t *key, bool is_indexer, uint64_t weight) {
  if (apply->ended < 0) return apply->ended;
  const apply_host_t *host = apply->input->host;
  int err = AB_ENOTSUP;
  if (weight > AB_MAX_SAFE) err = AB_EINVAL;
  else if (host->add_writer != NULL) err = host->add_writer(apply->input->host_data, key, is_indexer, weight);
  return err < 0 ? end_host(apply, "add_writer", err) : 0;
}

int
autobee_apply_remove_writer (autobee_apply_t *apply, const ab_key_t *key) {
  if (apply->ended < 0) return apply->ended;
  const apply_host_t *host = apply->input->host;
  int err = host->remove_writer == NULL ? AB_ENOTSUP : host->remove_writer(apply->input->host_data, key);
  return err < 0 ? end_host(apply, "remove_writer", err) : 0;
}

int
autobee_apply_ack_writer (autobee_apply_t *apply, const ab_key_t *key) {
  if (apply->ended < 0) return apply->ended;
  const apply_host_t *host = apply->input->host;
  int err = host->ack_writer == NULL ? AB_ENOTSUP : host->ack_writer(apply->input->host_data, key);
  return err < 0 ? end_host(apply, "ack_writer", err) : 0;
}

int
autobee_apply_create_anchor (autobee_apply_t *apply, const ab_head_t *node, ab_head_t *anchor) {
  if (apply->ended < 0) return apply->ended;
  const apply_host_t *host = apply->input->host;
  int err = AB_ENOTSUP;
  if (host->create_anchor != NULL) err = host->create_anchor(apply->input->host_data, node, anchor);
  return err < 0 ? end_host(apply, "create_anchor", err) : 0;
}

int
autobee_apply_writer (autobee_apply_t *apply, const ab_key_t *key, autobee_writer_t *out) {
  if (apply->ended < 0) return apply->ended;
  const apply_host_t *host = apply->input->host;
  int err = host->writer == NULL ? AB_ENOTSUP : host->writer(apply->input->host_data, key, out);
  if (err == AB_ENOTFOUND) return err;
  return err < 0 ? end_host(apply, "writer", err) : 0;
}

int
autobee_apply_stranger (autobee_apply_t *apply, const autobee_node_t *node, bool *out) {
  autobee_writer_t writer;
  *out = node->optimistic;
  if (!node->optimistic) return 0;
  int err = autobee_apply_writer(apply, &node->writer, &writer);
  if (err == AB_ENOTFOUND) return 0;
  *out = err < 0 || writer.max_weight == 0;
  return err;
}

bool
autobee_apply_genesis (const autobee_apply_t *apply) {
  return apply->input->genesis;
}

uint64_t
autobee_apply_clock (const autobee_apply_t *apply) {
  return apply->input->clock;
}

void
autobee_apply_key (const autobee_apply_t *apply, ab_key_t *out) {
  *out = apply->input->database_key;
}

/* ---- a run ---- */

int
apply_run (
  const apply_input_t *input,
  autobee_apply_fn fn,
  void *fn_data,
  const autobee_node_t *nodes,
  size_t count,
  apply_result_t *result
) {
  autobee_apply_t apply = {.input = input};
  int verdict = fn(&apply, nodes, count, fn_data);
  if (verdict > 0) verdict = AB_EHALTED;
  if (verdict == 0) autobee_apply_flush(&apply);
  if (apply.ended < 0) verdict = apply.ended;

  for (autobee_apply_cursor_t *cursor = apply.cursors, *next; cursor != NULL; cursor = next) {
    next = cursor->next;
    free_cursor(cursor);
  }
  if (apply.batch != NULL) bee_batch_abort(apply.batch);
  ab_buf_destroy(&apply.value);
  if (verdict == 0) ab_buf_destroy(&apply.message);
  *result = (apply_result_t){.verdict = verdict, .message = apply.message};
  return 0;
}

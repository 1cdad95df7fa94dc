#include "autobee/view.h"

#include <stdlib.h>

#include "hypercore/crypto.h"

struct autobee_view_s {
  autobee_t *db; /* NULL: closed under it */
  bee_t *bee;
  autobee_cursor_t *cursors;
  autobee_view_t *next;
  autobee_view_t **link;
};

struct autobee_cursor_s {
  autobee_view_t *view; /* NULL: closed under it */
  bee_cursor_t *cursor;
  autobee_cursor_t *next;
  autobee_cursor_t **link;
};

int
autobee_view (autobee_t *db, const ab_head_t *at, autobee_view_t **out) {
  int err = autobee__enter(db);
  if (err < 0) return err;
  autobee_view_t *view = calloc(1, sizeof(*view));
  if (view == NULL) return AB_ENOMEM;
  if ((err = bee_checkout(db->view, at == NULL ? &db->published_view : at, &view->bee)) < 0) {
    free(view);
    return err;
  }
  view->db = db;
  view->next = db->views;
  view->link = &db->views;
  if (view->next != NULL) view->next->link = &view->next;
  db->views = view;
  *out = view;
  return 0;
}

int
autobee_view_continues (autobee_t *db, const ab_head_t *at, bool *out) {
  int err = autobee__enter(db);
  if (err < 0) return err;
  ab_head_t head = db->published_view;
  while (head.length > 0 && !ab_head_equal(&head, at)) {
    if (ab_key_equal(&head.key, &at->key) && head.length < at->length) break; /* lengths only grow */
    bee_change_t change;
    if ((err = bee_change(db->view, &head, &change, NULL, NULL)) < 0) return err;
    head = change.previous;
  }
  *out = at->length == 0 || ab_head_equal(&head, at);
  return 0;
}

static void
orphan_cursor (autobee_cursor_t *cursor) {
  bee_cursor_close(cursor->cursor);
  cursor->cursor = NULL;
  cursor->view = NULL;
}

static void
detach (autobee_view_t *view) {
  while (view->cursors != NULL) {
    autobee_cursor_t *cursor = view->cursors;
    view->cursors = cursor->next;
    orphan_cursor(cursor);
  }
  if (view->db == NULL) return;
  if (view->next != NULL) view->next->link = view->link;
  *view->link = view->next;
  bee_close(view->bee);
  view->bee = NULL;
  view->db = NULL;
}

void
autobee_view_close (autobee_view_t *view) {
  if (view == NULL) return;
  detach(view);
  free(view);
}

void
autobee__views_orphan (autobee_t *db) {
  while (db->views != NULL) detach(db->views);
}

int
autobee_get (autobee_view_t *view, ab_slice_t key, autobee_entry_t *entry) {
  if (view->db == NULL) return AB_ECLOSED;
  int err = autobee__enter(view->db);
  bee_entry_t found;
  if (err < 0 || (err = bee_get(view->bee, key, &found)) < 0) return err;
  entry->key = found.key;
  entry->value = found.value;
  return 0;
}

static bee_range_t
to_bee_range (const autobee_range_t *range) {
  bee_range_t out = {
    .lower = range->lower,
    .upper = range->upper,
    .has_lower = range->has_lower,
    .has_upper = range->has_upper,
    .lower_open = range->lower_open,
    .upper_open = range->upper_open,
    .reverse = range->reverse,
    .limit = range->limit};
  return out;
}

int
autobee_cursor_open (autobee_view_t *view, const autobee_range_t *range, autobee_cursor_t **out) {
  if (view->db == NULL) return AB_ECLOSED;
  int err = autobee__enter(view->db);
  if (err < 0) return err;
  autobee_cursor_t *cursor = calloc(1, sizeof(*cursor));
  if (cursor == NULL) return AB_ENOMEM;
  bee_range_t bounds;
  if (range != NULL) bounds = to_bee_range(range);
  if ((err = bee_cursor_open(view->bee, range == NULL ? NULL : &bounds, &cursor->cursor)) < 0) {
    free(cursor);
    return err;
  }
  cursor->view = view;
  cursor->next = view->cursors;
  cursor->link = &view->cursors;
  if (cursor->next != NULL) cursor->next->link = &cursor->next;
  view->cursors = cursor;
  *out = cursor;
  return 0;
}

int
autobee_cursor_next (autobee_cursor_t *cursor, autobee_entry_t *entry) {
  if (cursor->view == NULL) return AB_ECLOSED;
  int err = autobee__enter(cursor->view->db);
  bee_entry_t found;
  if (err < 0 || (err = bee_cursor_next(cursor->cursor, &found)) < 0) return err;
  entry->key = found.key;
  entry->value = found.value;
  return 0;
}

void
autobee_cursor_close (autobee_cursor_t *cursor) {
  if (cursor == NULL) return;
  if (cursor->view != NULL) {
    if (cursor->next != NULL) cursor->next->link = cursor->link;
    *cursor->link = cursor->next;
    orphan_cursor(cursor);
  }
  free(cursor);
}

/* ---- the hash ---- */

static void
hash_hex (ab_hasher_t *hasher, ab_slice_t bytes) {
  static const char digits[] = "0123456789abcdef";
  uint8_t text[512];
  while (bytes.len > 0) {
    size_t n = bytes.len < sizeof(text) / 2 ? bytes.len : sizeof(text) / 2;
    for (size_t i = 0; i < n; i++) {
      text[2 * i] = (uint8_t) digits[bytes.data[i] >> 4];
      text[2 * i + 1] = (uint8_t) digits[bytes.data[i] & 15];
    }
    ab_hasher_update(hasher, ab_slice(text, 2 * n));
    bytes = ab_slice(bytes.data + n, bytes.len - n);
  }
}

int
autobee_view_hash (autobee_view_t *view, uint8_t out[32]) {
  autobee_cursor_t *cursor;
  int err = autobee_cursor_open(view, NULL, &cursor);
  if (err < 0) return err;
  ab_hasher_t hasher;
  ab_hasher_init(&hasher);
  autobee_entry_t entry;
  while ((err = autobee_cursor_next(cursor, &entry)) == 0) {
    hash_hex(&hasher, entry.key);
    ab_hasher_update(&hasher, ab_text("="));
    hash_hex(&hasher, entry.value);
    ab_hasher_update(&hasher, ab_text("\n"));
  }
  autobee_cursor_close(cursor);
  if (err != AB_EEND) return err;
  ab_hasher_final(&hasher, out);
  return 0;
}

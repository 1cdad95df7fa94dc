#include "autobee/anchors.h"

#include "autobee/anchor.h"

static bool
is_applied_now (const batch_t *batch, const ab_head_t *node) {
  return ab_key_equal(&batch->writer, &node->key) && node->length >= batch_first(batch)->length &&
         node->length <= batch_last(batch)->length;
}

/* The core with its one block; nobody has to sign it. */
static int
store_anchor (autobee_t *db, const anchor_t *anchor) {
  hypercore_options_t options = hypercore_options_default();
  options.manifest = ab_buf_slice(&anchor->manifest);
  hypercore_t *core;
  int err = hypercore_open(db->store, &options, &core);
  if (err < 0) return err;
  ab_slice_t block = ab_buf_slice(&anchor->block);
  if (hypercore_length(core) == 0) err = hypercore_append(core, &block, 1, NULL);
  hypercore_close(core);
  return err;
}

int
autobee__anchor_create (autobee_t *db, const ab_head_t *node, ab_head_t *out) {
  record_writer_t record;
  if (!is_applied_now(db->applying, node)) return AB_EREJECTED;
  int err = autobee__system_peek(&db->system, &node->key, &record);
  if (err < 0) return err;
  if (record.length < node->length) return AB_EREJECTED;

  anchor_t anchor = {0};
  err = autobee__anchor_make(db->is_encrypted ? &db->encryption : NULL, node, &anchor);
  if (err == 0) err = store_anchor(db, &anchor);
  if (err == 0) {
    system_update_t change = autobee__system_change(&anchor.key, 1);
    change.is_added = true;
    change.is_anchor = true;
    err = autobee__system_touch(&db->system, &change);
  }
  out->key = anchor.key;
  out->length = 1;
  autobee__anchor_destroy(&anchor);
  return err;
}

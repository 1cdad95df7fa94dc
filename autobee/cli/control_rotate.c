/* control_rotate.c: newWriter, rotate. */
#include "autobee/cli/request.h"

#include <stdio.h>

/* The first log with a name of ours that nothing was written to, so that asking again answers the same. */
static int
open_unused (request_t *request, hypercore_t **core) {
  hypercore_options_t options = hypercore_options_default();
  ab_head_t local;
  char name[24];
  autobee_local(request->database->db, &local);
  for (unsigned number = 2;; number++) {
    snprintf(name, sizeof(name), "local %u", number);
    options.name = ab_text(name);
    int err = hypercore_open(request->database->store, &options, core);
    if (err < 0) return err;
    if (hypercore_length(*core) == 0 && !ab_key_equal(hypercore_key(*core), &local.key)) return 0;
    hypercore_close(*core);
  }
}

int
control_new_writer (request_t *request) {
  hypercore_t *core;
  if (request->database->is_read_only) return request_fail(request, AB_EREADONLY, "opened read-only");
  int err = open_unused(request, &core);
  if (err < 0) return request_fail_store(request, err);
  out_member_hex(&request->answer, "key", ab_key_slice(hypercore_key(core)));
  err = ab_store_commit(request->database->store);
  hypercore_close(core);
  return err < 0 ? request_fail_store(request, err) : 0;
}

int
control_rotate (request_t *request) {
  autobee_t *db = request->database->db;
  hypercore_options_t options = hypercore_options_default();
  hypercore_t *core;
  ab_head_t local;
  ab_key_t key;
  int err = request_key(request, "key", &key);
  if (err < 0) return err;
  options.key = &key;
  options.create = false;
  if ((err = hypercore_open(request->database->store, &options, &core)) < 0) {
    return request_fail_store(request, err);
  }
  err = autobee_rotate(db, core);
  hypercore_close(core);
  if (err < 0) return request_fail_store(request, err);
  if ((err = control_update(request)) < 0) return err;
  autobee_local(db, &local);
  if (!ab_key_equal(&local.key, &key)) return request_fail(request, AB_EBUSY, "an append is under way");
  out_member_hex(&request->answer, "localKey", ab_key_slice(&local.key));
  out_member_bool(&request->answer, "writable", autobee_is_writable(db));
  return 0;
}

#include "autobee/lua.h"

#include "autobee/lua_reader.h"

#include <stdlib.h>

struct autobee_lua_s {
  sandbox_t *sandbox;
  ab_key_t identity;
};

autobee_lua_options_t
autobee_lua_options_default (void) {
  return sandbox_options_default();
}

int
autobee_lua_open (
  ab_slice_t script,
  const autobee_lua_options_t *options,
  autobee_lua_t **out,
  char *message,
  size_t message_len
) {
  autobee_lua_t *lua = calloc(1, sizeof(*lua));
  if (lua == NULL) return AB_ENOMEM;
  int err = sandbox_open(script, options, &lua->sandbox, message, message_len);
  if (err < 0) {
    free(lua);
    return err;
  }
  sandbox_identity(lua->sandbox, lua->identity.bytes);
  *out = lua;
  return 0;
}

void
autobee_lua_close (autobee_lua_t *lua) {
  if (lua == NULL) return;
  sandbox_close(lua->sandbox);
  free(lua);
}

void
autobee_lua_identity (const autobee_lua_t *lua, uint8_t out[32]) {
  memcpy(out, lua->identity.bytes, sizeof(lua->identity.bytes));
}

int
autobee_lua_apply (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *lua) {
  return sandbox_apply(apply, nodes, count, ((autobee_lua_t *) lua)->sandbox);
}

void
autobee_lua_use (autobee_lua_t *lua, autobee_options_t *options) {
  sandbox_policy_t policy;
  sandbox_policy(lua->sandbox, &policy);
  options->apply = autobee_lua_apply;
  options->apply_data = lua;
  options->apply_id = ab_key_slice(&lua->identity);
  options->stop_on_error = policy.stop_on_error;
}

const char *
autobee_lua_errmsg (const autobee_lua_t *lua) {
  return sandbox_errmsg(lua->sandbox);
}

/* ---- queries read the view ---- */

static int
reader_get (void *view, ab_slice_t key, ab_slice_t *value) {
  autobee_entry_t entry;
  int err = autobee_get(view, key, &entry);
  if (err == 0) *value = entry.value;
  return err;
}

static int
reader_cursor_open (void *view, const autobee_apply_range_t *range, void **out) {
  autobee_range_t bounds = {0};
  if (range != NULL) {
    bounds = (autobee_range_t
    ){.lower = range->lower,
      .upper = range->upper,
      .has_lower = range->has_lower,
      .has_upper = range->has_upper,
      .lower_open = range->lower_open,
      .upper_open = range->upper_open,
      .reverse = range->reverse,
      .limit = range->limit};
  }
  autobee_cursor_t *cursor;
  int err = autobee_cursor_open(view, &bounds, &cursor);
  if (err == 0) *out = cursor;
  return err;
}

static int
reader_cursor_next (void *cursor, ab_slice_t *key, ab_slice_t *value) {
  autobee_entry_t entry;
  int err = autobee_cursor_next(cursor, &entry);
  if (err < 0) return err;
  *key = entry.key;
  *value = entry.value;
  return 0;
}

static void
reader_cursor_close (void *cursor) {
  autobee_cursor_close(cursor);
}

const sandbox_reader_t autobee__view_reader = {
  reader_get, reader_cursor_open, reader_cursor_next, reader_cursor_close};

int
autobee_lua_query (
  autobee_lua_t *lua, ab_slice_t name, ab_slice_t args, autobee_view_t *view, ab_slice_t *result
) {
  return sandbox_query(lua->sandbox, name, args, &autobee__view_reader, view, result);
}

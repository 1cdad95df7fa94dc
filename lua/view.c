/* view.c: the view as a script sees it. Reads and writes go to the run; what a read returns is a copy. */
#include "lua/view.h"

#include <assert.h>
#include <stdlib.h>

#define READ_UNITS 50 /* a part of what a look-up takes in instructions */
#define NEXT_UNITS 10
#define WRITE_UNITS 50 /* there is a limit to their number beside */
#define FLUSH_UNITS 1000
#define CURSORS_MAX 64

static const char view_marker, write_marker, walk_marker; /* metatables in the registry */

/* Userdata of views and writes: the prefix of all keys. */
typedef struct {
  size_t len;
  uint8_t bytes[];
} prefix_t;

struct sandbox_cursor_s {
  void *source;
  size_t prefix_len;
  sandbox_cursor_t *next;
  sandbox_cursor_t **link;
};

/* ---- the run ---- */

static int
apply_get (void *data, ab_slice_t key, ab_slice_t *value) {
  return autobee_apply_get(data, key, value);
}

static int
apply_cursor_open (void *data, const autobee_apply_range_t *range, void **out) {
  autobee_apply_cursor_t *cursor;
  int err = autobee_apply_cursor(data, range, &cursor);
  if (err == 0) *out = cursor;
  return err;
}

static int
apply_cursor_next (void *cursor, ab_slice_t *key, ab_slice_t *value) {
  return autobee_apply_cursor_next(cursor, key, value);
}

static void
apply_cursor_close (void *cursor) {
  autobee_apply_cursor_close(cursor);
}

const sandbox_reader_t sandbox__apply_reader = {
  apply_get, apply_cursor_open, apply_cursor_next, apply_cursor_close};

void
sandbox__check_call (lua_State *L, const char *call, int err) {
  if (err < 0) sandbox__stop(L, err, "%s: %s", call, ab_strerror(err));
}

void
sandbox__count_effect (lua_State *L, size_t bytes) {
  sandbox_t *sandbox = sandbox__of(L);
  const sandbox_options_t *options = &sandbox->options;
  sandbox->run.operations++;
  sandbox->run.bytes += bytes;
  if (sandbox->run.operations > options->view_operations) {
    sandbox__stop(L, AB_EREJECTED, "more than %llu writes", (unsigned long long) options->view_operations);
  }
  if (sandbox->run.bytes > options->view_bytes) {
    sandbox__stop(L, AB_EREJECTED, "more than %llu bytes written", (unsigned long long) options->view_bytes);
  }
  sandbox__charge(L, WRITE_UNITS + bytes / 16);
}

/* ---- arguments ---- */

static const prefix_t *
check_self (lua_State *L, const char *marker, const char *name) {
  bool is_self = false;
  if (lua_getmetatable(L, 1)) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, marker);
    is_self = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
  }
  if (!is_self) luaL_typeerror(L, 1, name);
  return lua_touserdata(L, 1);
}

/* `key` behind the prefix; valid until the next call with the same buffer. */
static ab_slice_t
join (lua_State *L, ab_buf_t *buf, const prefix_t *prefix, ab_slice_t key) {
  if (prefix->len == 0) return key;
  ab_buf_reset(buf);
  ab_buf_append(buf, ab_slice(prefix->bytes, prefix->len));
  ab_buf_append(buf, key);
  if (buf->err < 0) sandbox__stop_no_memory(L);
  return ab_buf_slice(buf);
}

static ab_slice_t
check_key (lua_State *L, const prefix_t *prefix) {
  return join(L, &sandbox__of(L)->key, prefix, sandbox__check_bytes(L, 2));
}

/* A key to write to, with `value_len` bytes: counted. */
static ab_slice_t
check_written_key (lua_State *L, const prefix_t *prefix, size_t value_len) {
  sandbox_t *sandbox = sandbox__of(L);
  if (sandbox->run.apply == NULL) luaL_error(L, "a query cannot write");
  ab_slice_t key = check_key(L, prefix);
  if (key.len > sandbox->options.key_bytes) {
    unsigned long long allowed = sandbox->options.key_bytes;
    sandbox__stop(L, AB_EREJECTED, "a key of %zu bytes; %llu are allowed", key.len, allowed);
  }
  sandbox__count_effect(L, key.len + value_len);
  return key;
}

static void
push_value (lua_State *L, ab_slice_t value) {
  if (value.data == NULL) lua_pushnil(L); /* a key that another application stored without one */
  else sandbox__push_bytes(L, value);
}

/* ---- get, put, del ---- */

static int
get (lua_State *L, ab_slice_t key) {
  const sandbox_run_t *run = &sandbox__of(L)->run;
  ab_slice_t value = {0};
  sandbox__charge(L, READ_UNITS);
  int err = run->reader->get(run->reader_data, key, &value);
  if (err == AB_ENOTFOUND) {
    lua_pushnil(L);
    return 1;
  }
  sandbox__check_call(L, "view:get", err);
  sandbox__charge_bytes(L, value.len);
  push_value(L, value);
  return 1;
}

static int
view_get (lua_State *L) {
  const prefix_t *prefix = check_self(L, &view_marker, "view");
  return get(L, check_key(L, prefix));
}

static int
view_put (lua_State *L) {
  const prefix_t *prefix = check_self(L, &view_marker, "view");
  ab_slice_t value = sandbox__check_bytes(L, 3);
  ab_slice_t key = check_written_key(L, prefix, value.len);
  sandbox__check_call(L, "view:put", autobee_apply_put(sandbox__of(L)->run.apply, key, value));
  return 0;
}

static int
view_del (lua_State *L) {
  const prefix_t *prefix = check_self(L, &view_marker, "view");
  ab_slice_t key = check_written_key(L, prefix, 0);
  sandbox__check_call(L, "view:del", autobee_apply_del(sandbox__of(L)->run.apply, key));
  return 0;
}

/* ---- ranges ---- */

typedef struct {
  autobee_apply_range_t range;
  ab_buf_t lower, upper; /* what its bounds point into; owned by the sandbox */
} bounds_t;

/* The smallest string that is larger than all that begin with `bytes`, in their place; empty if there is
 * none. */
static void
make_successor (ab_buf_t *bytes) {
  while (bytes->len > 0 && bytes->data[bytes->len - 1] == 0xff) bytes->len--;
  if (bytes->len > 0) bytes->data[bytes->len - 1]++;
}

/* Field `name` of the options; NULL data if it is absent. Stays on the stack. */
static ab_slice_t
string_field (lua_State *L, const char *name) {
  int type = lua_getfield(L, 2, name);
  if (type == LUA_TNIL) return ab_slice(NULL, 0);
  if (type != LUA_TSTRING) luaL_error(L, "'%s' of a range is a string, not a %s", name, luaL_typename(L, -1));
  return sandbox__bytes(L, -1);
}

/* The smallest name, so that the message does not depend on how the table lies in memory. */
static void
check_names (lua_State *L) {
  static const char *const names[] = {"gt", "gte", "lt", "lte", "prefix", "reverse", "limit"};
  ab_slice_t unknown = {0};
  bool has_other = false;
  lua_pushnil(L);
  while (lua_next(L, 2) != 0) {
    lua_pop(L, 1);
    bool is_known = false;
    ab_slice_t name = {0};
    if (lua_type(L, -1) == LUA_TSTRING) name = sandbox__bytes(L, -1);
    else has_other = true;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
      if (name.data != NULL && ab_slice_equal(name, ab_text(names[i]))) is_known = true;
    }
    if (is_known || name.data == NULL) continue;
    if (unknown.data == NULL || ab_slice_compare(name, unknown) < 0) unknown = name;
  }
  if (unknown.data != NULL) luaL_error(L, "a range has no '%s'", (const char *) unknown.data);
  if (has_other) luaL_error(L, "a range has names only");
}

static void
set_lower (autobee_apply_range_t *range, ab_slice_t bound, bool is_open) {
  range->lower = bound;
  range->has_lower = true;
  range->lower_open = is_open;
}

static void
set_upper (autobee_apply_range_t *range, ab_slice_t bound, bool is_open) {
  range->upper = bound;
  range->has_upper = true;
  range->upper_open = is_open;
}

/* Argument 2: a table of options, or nothing. Bounds are given without the view's prefix. The result points
 * into the stack and into two buffers, and is used before either changes. */
static autobee_apply_range_t
check_range (lua_State *L, const prefix_t *prefix) {
  sandbox_t *sandbox = sandbox__of(L);
  autobee_apply_range_t range = {0};
  ab_slice_t gt = {0}, gte = {0}, lt = {0}, lte = {0}, within = {0};
  luaL_checkstack(L, 12, NULL);

  if (!lua_isnoneornil(L, 2)) {
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    check_names(L);
    gt = string_field(L, "gt");
    gte = string_field(L, "gte");
    lt = string_field(L, "lt");
    lte = string_field(L, "lte");
    within = string_field(L, "prefix");
    if (gt.data != NULL && gte.data != NULL) luaL_error(L, "a range has 'gt' or 'gte', not both");
    if (lt.data != NULL && lte.data != NULL) luaL_error(L, "a range has 'lt' or 'lte', not both");
    lua_getfield(L, 2, "reverse");
    range.reverse = lua_toboolean(L, -1);
    if (lua_getfield(L, 2, "limit") != LUA_TNIL) {
      int is_integer;
      lua_Integer limit = lua_tointegerx(L, -1, &is_integer);
      if (!is_integer || limit < 1) luaL_error(L, "'limit' of a range is an integer from 1");
      range.limit = (uint64_t) limit;
    }
  }

  /* Everything with the prefix, then what the bounds leave of it. */
  ab_buf_t *lower = &sandbox->key, *upper = &sandbox->text;
  ab_buf_reset(lower);
  ab_buf_append(lower, ab_slice(prefix->bytes, prefix->len));
  ab_buf_append(lower, within);
  ab_buf_reset(upper);
  ab_buf_append(upper, ab_buf_slice(lower));
  make_successor(upper);
  if (lower->len > 0) set_lower(&range, ab_buf_slice(lower), false);
  if (upper->len > 0) set_upper(&range, ab_buf_slice(upper), true);

  ab_slice_t bound = gt.data != NULL ? gt : gte;
  if (bound.data != NULL) {
    lua_pushlstring(L, (const char *) prefix->bytes, prefix->len);
    sandbox__push_bytes(L, bound);
    lua_concat(L, 2);
    bound = sandbox__bytes(L, -1);
    if (!range.has_lower || ab_slice_compare(bound, range.lower) >= 0)
      set_lower(&range, bound, gt.data != NULL);
  }
  bound = lt.data != NULL ? lt : lte;
  if (bound.data != NULL) {
    lua_pushlstring(L, (const char *) prefix->bytes, prefix->len);
    sandbox__push_bytes(L, bound);
    lua_concat(L, 2);
    bound = sandbox__bytes(L, -1);
    if (!range.has_upper || ab_slice_compare(bound, range.upper) < 0)
      set_upper(&range, bound, lt.data != NULL);
  }
  if (lower->err < 0 || upper->err < 0) sandbox__stop_no_memory(L);
  return range;
}

static void
close_cursor (sandbox_t *sandbox, sandbox_cursor_t *cursor) {
  if (cursor == NULL) return;
  *cursor->link = cursor->next;
  if (cursor->next != NULL) cursor->next->link = cursor->link;
  sandbox->run.cursor_count--;
  sandbox->run.reader->cursor_close(cursor->source);
  free(cursor);
}

void
sandbox__close_cursors (sandbox_t *sandbox) {
  while (sandbox->run.cursors != NULL) close_cursor(sandbox, sandbox->run.cursors);
}

/* Of the range in the arguments. Nothing but a stop may come between this and the close: the list of the run
 * has it. */
static sandbox_cursor_t *
open_cursor (lua_State *L, const prefix_t *prefix, const autobee_apply_range_t *range) {
  sandbox_run_t *run = &sandbox__of(L)->run;
  sandbox__charge(L, READ_UNITS);
  sandbox_cursor_t *cursor = calloc(1, sizeof(*cursor));
  if (cursor == NULL) sandbox__stop_no_memory(L);
  int err = run->reader->cursor_open(run->reader_data, range, &cursor->source);
  if (err < 0) {
    free(cursor);
    sandbox__stop(L, err, "view:range: %s", ab_strerror(err));
  }
  cursor->prefix_len = prefix->len;
  cursor->next = run->cursors;
  cursor->link = &run->cursors;
  if (cursor->next != NULL) cursor->next->link = &cursor->next;
  run->cursors = cursor;
  run->cursor_count++;
  return cursor;
}

/* Push the next key, without the prefix, and its value; false at the end. */
static bool
push_next (lua_State *L, const sandbox_cursor_t *cursor) {
  const sandbox_run_t *run = &sandbox__of(L)->run;
  ab_slice_t key = {0}, value = {0};
  sandbox__charge(L, NEXT_UNITS);
  int err = run->reader->cursor_next(cursor->source, &key, &value);
  if (err == AB_EEND) return false;
  sandbox__check_call(L, "view:range", err);
  sandbox__charge_bytes(L, key.len + value.len);
  assert(key.len >= cursor->prefix_len);
  sandbox__push_bytes(L, ab_slice(key.data + cursor->prefix_len, key.len - cursor->prefix_len));
  push_value(L, value);
  return true;
}

/* Userdata of a walk: its cursor; NULL once it is over. */
static int
walk_next (lua_State *L) {
  sandbox_cursor_t **cursor = lua_touserdata(L, lua_upvalueindex(1));
  lua_settop(L, 0);
  if (*cursor != NULL) {
    if (push_next(L, *cursor)) return 2;
    close_cursor(sandbox__of(L), *cursor);
    *cursor = NULL;
  }
  lua_pushnil(L);
  return 1;
}

/* A loop that is left early. */
static int
walk_close (lua_State *L) {
  sandbox_cursor_t **cursor = lua_touserdata(L, 1);
  close_cursor(sandbox__of(L), *cursor);
  *cursor = NULL;
  return 0;
}

static int
view_range (lua_State *L) {
  const prefix_t *prefix = check_self(L, &view_marker, "view");
  sandbox_t *sandbox = sandbox__of(L);
  if (sandbox->run.cursor_count == CURSORS_MAX) {
    return luaL_error(L, "more than %d ranges at once", CURSORS_MAX);
  }
  autobee_apply_range_t range = check_range(L, prefix);
  sandbox_cursor_t *cursor = open_cursor(L, prefix, &range);
  sandbox_cursor_t **walk = lua_newuserdatauv(L, sizeof(*walk), 0);
  *walk = cursor;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &walk_marker);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, walk_next, 1);
  lua_insert(L, -2);
  lua_pushnil(L);
  lua_insert(L, -2);
  lua_pushnil(L);
  lua_insert(L, -2);
  return 4; /* function, nil, nil, and what a for loop closes at its end */
}

static int
view_peek (lua_State *L) {
  const prefix_t *prefix = check_self(L, &view_marker, "view");
  autobee_apply_range_t range = check_range(L, prefix);
  range.limit = 1;
  sandbox_cursor_t *cursor = open_cursor(L, prefix, &range);
  bool has_entry = push_next(L, cursor);
  close_cursor(sandbox__of(L), cursor);
  if (has_entry) return 2;
  lua_pushnil(L);
  return 1;
}

static int
view_count (lua_State *L) {
  const prefix_t *prefix = check_self(L, &view_marker, "view");
  const sandbox_run_t *run = &sandbox__of(L)->run;
  autobee_apply_range_t range = check_range(L, prefix);
  sandbox_cursor_t *cursor = open_cursor(L, prefix, &range);
  lua_Integer count = 0;
  for (;; count++) {
    ab_slice_t key, value;
    sandbox__charge(L, NEXT_UNITS);
    int err = run->reader->cursor_next(cursor->source, &key, &value);
    if (err == AB_EEND) break;
    sandbox__check_call(L, "view:count", err);
  }
  close_cursor(sandbox__of(L), cursor);
  lua_pushinteger(L, count);
  return 1;
}

/* ---- subs and explicit writes ---- */

static void
push_prefix (lua_State *L, const char *marker, ab_slice_t parent, ab_slice_t name, bool has_end, int values) {
  size_t len = parent.len + name.len + (has_end ? 1 : 0);
  prefix_t *prefix = lua_newuserdatauv(L, sizeof(*prefix) + len, values);
  prefix->len = len;
  if (parent.len > 0) memcpy(prefix->bytes, parent.data, parent.len);
  if (name.len > 0) memcpy(prefix->bytes + parent.len, name.data, name.len);
  if (has_end) prefix->bytes[len - 1] = 0;
  lua_rawgetp(L, LUA_REGISTRYINDEX, marker);
  lua_setmetatable(L, -2);
}

/* Keys below a name are the name, a zero byte, and the key: as in Hyperbee. */
static int
view_sub (lua_State *L) {
  const prefix_t *prefix = check_self(L, &view_marker, "view");
  ab_slice_t name = sandbox__check_bytes(L, 2);
  push_prefix(L, &view_marker, ab_slice(prefix->bytes, prefix->len), name, true, 0);
  return 1;
}

/* User values of a write: the operations, a list of key, value or false; and the last one by key. A flushed
 * write has none. */
enum { WRITE_LIST = 1, WRITE_LAST };

static int
view_write (lua_State *L) {
  const prefix_t *prefix = check_self(L, &view_marker, "view");
  if (sandbox__of(L)->run.apply == NULL) return luaL_error(L, "a query cannot write");
  push_prefix(L, &write_marker, ab_slice(prefix->bytes, prefix->len), ab_slice(NULL, 0), false, 2);
  lua_createtable(L, 0, 0);
  lua_setiuservalue(L, -2, WRITE_LIST);
  lua_createtable(L, 0, 0);
  lua_setiuservalue(L, -2, WRITE_LAST);
  return 1;
}

static const prefix_t *
check_write (lua_State *L) {
  const prefix_t *prefix = check_self(L, &write_marker, "write");
  if (lua_getiuservalue(L, 1, WRITE_LIST) != LUA_TTABLE) luaL_error(L, "this write is flushed already");
  lua_pop(L, 1);
  return prefix;
}

/* The value, or false for a delete, is on top. */
static void
remember (lua_State *L, ab_slice_t key) {
  lua_getiuservalue(L, 1, WRITE_LIST);
  lua_Integer len = (lua_Integer) lua_rawlen(L, -1); /* a list that only grows has one length */
  sandbox__push_bytes(L, key);
  lua_pushvalue(L, -1);
  lua_rawseti(L, -3, len + 1);
  lua_pushvalue(L, -3);
  lua_rawseti(L, -3, len + 2);

  lua_getiuservalue(L, 1, WRITE_LAST);
  lua_insert(L, -2);
  lua_pushvalue(L, -4);
  lua_rawset(L, -3);
}

static int
write_put (lua_State *L) {
  const prefix_t *prefix = check_write(L);
  ab_slice_t value = sandbox__check_bytes(L, 3);
  ab_slice_t key = check_written_key(L, prefix, value.len);
  lua_pushvalue(L, 3);
  remember(L, key);
  return 0;
}

static int
write_del (lua_State *L) {
  const prefix_t *prefix = check_write(L);
  ab_slice_t key = check_written_key(L, prefix, 0);
  lua_pushboolean(L, false);
  remember(L, key);
  return 0;
}

static int
write_get (lua_State *L) {
  const prefix_t *prefix = check_write(L);
  ab_slice_t key = check_key(L, prefix);
  lua_getiuservalue(L, 1, WRITE_LAST);
  sandbox__push_bytes(L, key);
  switch (lua_rawget(L, -2)) {
  case LUA_TNIL:
    return get(L, key);
  case LUA_TBOOLEAN:
    lua_pushnil(L);
    return 1;
  default:
    return 1;
  }
}

static int
write_flush (lua_State *L) {
  check_write(L);
  autobee_apply_t *apply = sandbox__of(L)->run.apply;
  sandbox__charge(L, FLUSH_UNITS);
  lua_settop(L, 1);
  lua_getiuservalue(L, 1, WRITE_LIST);
  lua_Integer len = (lua_Integer) lua_rawlen(L, 2);

  sandbox__check_call(L, "flush", autobee_apply_flush(apply)); /* what was put before comes first */
  for (lua_Integer i = 1; i < len; i += 2) {
    lua_rawgeti(L, 2, i);
    lua_rawgeti(L, 2, i + 1);
    ab_slice_t key = sandbox__bytes(L, -2);
    int err = lua_isboolean(L, -1) ? autobee_apply_del(apply, key)
                                   : autobee_apply_put(apply, key, sandbox__bytes(L, -1));
    sandbox__check_call(L, "flush", err);
    lua_pop(L, 2);
  }
  sandbox__check_call(L, "flush", autobee_apply_flush(apply));
  lua_pushnil(L);
  lua_setiuservalue(L, 1, WRITE_LIST);
  return 0;
}

/* ---- making them ---- */

static const luaL_Reg view_methods[] = {
  {"count", view_count},
  {"del", view_del},
  {"get", view_get},
  {"peek", view_peek},
  {"put", view_put},
  {"range", view_range},
  {"sub", view_sub},
  {"write", view_write},
  {NULL, NULL},
};

static const luaL_Reg write_methods[] = {
  {"del", write_del},
  {"flush", write_flush},
  {"get", write_get},
  {"put", write_put},
  {NULL, NULL},
};

static void
add_metatable (lua_State *L, const char *marker, const luaL_Reg *methods) {
  lua_createtable(L, 0, 2);
  lua_createtable(L, 0, 8);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pushboolean(L, false);
  lua_setfield(L, -2, "__metatable");
  lua_rawsetp(L, LUA_REGISTRYINDEX, marker);
}

void
sandbox__open_view (lua_State *L) {
  add_metatable(L, &view_marker, view_methods);
  add_metatable(L, &write_marker, write_methods);

  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, walk_close);
  lua_setfield(L, -2, "__close");
  lua_pushboolean(L, false);
  lua_setfield(L, -2, "__metatable");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &walk_marker);
}

void
sandbox__push_view (lua_State *L) {
  push_prefix(L, &view_marker, ab_slice(NULL, 0), ab_slice(NULL, 0), false, 0);
}

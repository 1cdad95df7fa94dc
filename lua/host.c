/* host.c: the nodes of a batch, and the object host. */
#include "lua/view.h"

#define CALL_UNITS 100

static const char host_marker; /* metatable in the registry */

/* ---- nodes ---- */

static void
push_key (lua_State *L, const ab_key_t *key) {
  sandbox__push_bytes(L, ab_key_slice(key));
}

void
sandbox__push_nodes (lua_State *L) {
  const sandbox_run_t *run = &sandbox__of(L)->run;
  lua_createtable(L, (int) run->count, 0);
  if (run->count == 0) return;
  push_key(L, &run->nodes[0].writer); /* all are of one writer */
  for (size_t i = 0; i < run->count; i++) {
    const autobee_node_t *node = &run->nodes[i];
    lua_createtable(L, 0, 6);
    sandbox__push_bytes(L, node->value);
    lua_setfield(L, -2, "value");
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "key");
    lua_pushinteger(L, (lua_Integer) node->length);
    lua_setfield(L, -2, "length");
    lua_pushinteger(L, (lua_Integer) node->timestamp_ms);
    lua_setfield(L, -2, "timestamp");
    lua_pushboolean(L, node->optimistic);
    lua_setfield(L, -2, "optimistic");
    lua_pushinteger(L, (lua_Integer) node->weight);
    lua_setfield(L, -2, "weight");
    lua_rawseti(L, -3, (lua_Integer) i + 1);
  }
  lua_pop(L, 1);
}

/* ---- arguments ---- */

static autobee_apply_t *
check_self (lua_State *L) {
  bool is_self = false;
  if (lua_getmetatable(L, 1)) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &host_marker);
    is_self = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
  }
  if (!is_self) luaL_typeerror(L, 1, "host");
  return sandbox__of(L)->run.apply;
}

/* A key as bytes, hex or z-base-32. */
static ab_key_t
check_key (lua_State *L) {
  ab_slice_t text = sandbox__check_bytes(L, 2);
  ab_key_t key = {{0}};
  if (text.len == sizeof(key.bytes)) {
    memcpy(key.bytes, text.data, sizeof(key.bytes));
    return key;
  }
  bool has_length = text.len == AB_KEY_TEXT_LEN || text.len == 2 * sizeof(key.bytes);
  bool is_link = has_length && memchr(text.data, ':', text.len) != NULL; /* which operations do not carry */
  if (!has_length || is_link || ab_key_from_text(text, &key) < 0) {
    luaL_argerror(L, 2, "not a key: 32 bytes, 64 hex digits or 52 of z-base-32");
  }
  return key;
}

static void
count_call (lua_State *L) {
  sandbox__charge(L, CALL_UNITS);
  sandbox__count_effect(L, 0);
}

static uint64_t
check_uint (lua_State *L, int index, const char *name) {
  int is_integer;
  lua_Integer value = lua_tointegerx(L, index, &is_integer);
  if (lua_type(L, index) != LUA_TNUMBER || !is_integer || value < 0 || (uint64_t) value > AB_MAX_SAFE) {
    luaL_error(L, "'%s' is an integer from 0 to 2^53 - 1", name);
  }
  return (uint64_t) value;
}

/* ---- calls ---- */

static int
host_add_writer (lua_State *L) {
  autobee_apply_t *apply = check_self(L);
  ab_key_t key = check_key(L);
  bool is_indexer = true;
  uint64_t weight;
  lua_settop(L, 3);
  if (!lua_isnil(L, 3)) luaL_checktype(L, 3, LUA_TTABLE);
  else {
    lua_createtable(L, 0, 0);
    lua_replace(L, 3);
  }
  int type = lua_getfield(L, 3, "indexer");
  if (type == LUA_TBOOLEAN) is_indexer = lua_toboolean(L, -1);
  else if (type != LUA_TNIL) return luaL_error(L, "'indexer' is a boolean");
  weight = is_indexer ? 2 : 1;
  if (lua_getfield(L, 3, "weight") != LUA_TNIL) weight = check_uint(L, -1, "weight");

  count_call(L);
  sandbox__check_call(L, "host:add_writer", autobee_apply_add_writer(apply, &key, is_indexer, weight));
  return 0;
}

static int
host_remove_writer (lua_State *L) {
  autobee_apply_t *apply = check_self(L);
  ab_key_t key = check_key(L);
  count_call(L);
  sandbox__check_call(L, "host:remove_writer", autobee_apply_remove_writer(apply, &key));
  return 0;
}

static int
host_ack_writer (lua_State *L) {
  autobee_apply_t *apply = check_self(L);
  ab_key_t key = check_key(L);
  count_call(L);
  sandbox__check_call(L, "host:ack_writer", autobee_apply_ack_writer(apply, &key));
  return 0;
}

static int
host_create_anchor (lua_State *L) {
  autobee_apply_t *apply = check_self(L);
  ab_head_t anchor, node = {check_key(L), check_uint(L, 3, "length")};
  count_call(L);
  sandbox__check_call(L, "host:create_anchor", autobee_apply_create_anchor(apply, &node, &anchor));
  lua_createtable(L, 0, 2);
  push_key(L, &anchor.key);
  lua_setfield(L, -2, "key");
  lua_pushinteger(L, (lua_Integer) anchor.length);
  lua_setfield(L, -2, "length");
  return 1;
}

static int
host_interrupt (lua_State *L) {
  autobee_apply_t *apply = check_self(L);
  ab_slice_t reason = lua_isnoneornil(L, 2) ? ab_text("") : sandbox__check_bytes(L, 2);
  int err = autobee_apply_interrupt(apply, reason);
  sandbox__stop(L, err < 0 ? err : AB_EINTERRUPTED, "interrupted: %.400s", (const char *) reason.data);
}

static int
host_genesis (lua_State *L) {
  lua_pushboolean(L, autobee_apply_genesis(check_self(L)));
  return 1;
}

static int
host_clock (lua_State *L) {
  lua_pushinteger(L, (lua_Integer) autobee_apply_clock(check_self(L)));
  return 1;
}

static int
host_writer (lua_State *L) {
  autobee_apply_t *apply = check_self(L);
  ab_key_t key = check_key(L);
  autobee_writer_t writer;
  sandbox__charge(L, CALL_UNITS);
  int err = autobee_apply_writer(apply, &key, &writer);
  if (err == AB_ENOTFOUND) {
    lua_pushnil(L);
    return 1;
  }
  sandbox__check_call(L, "host:writer", err);
  lua_createtable(L, 0, 4);
  lua_pushinteger(L, (lua_Integer) writer.weight);
  lua_setfield(L, -2, "weight");
  lua_pushboolean(L, writer.is_removed);
  lua_setfield(L, -2, "removed");
  lua_pushboolean(L, writer.is_indexer);
  lua_setfield(L, -2, "indexer");
  lua_pushinteger(L, (lua_Integer) writer.length);
  lua_setfield(L, -2, "length");
  return 1;
}

static const luaL_Reg host_methods[] = {
  {"ack_writer", host_ack_writer},
  {"add_writer", host_add_writer},
  {"clock", host_clock},
  {"create_anchor", host_create_anchor},
  {"genesis", host_genesis},
  {"interrupt", host_interrupt},
  {"remove_writer", host_remove_writer},
  {"writer", host_writer},
  {NULL, NULL},
};

void
sandbox__open_host (lua_State *L) {
  lua_createtable(L, 0, 2);
  lua_createtable(L, 0, 8);
  luaL_setfuncs(L, host_methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pushboolean(L, false);
  lua_setfield(L, -2, "__metatable");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &host_marker);
}

void
sandbox__push_host (lua_State *L) {
  ab_key_t key;
  autobee_apply_key(sandbox__of(L)->run.apply, &key);
  lua_createtable(L, 0, 1);
  push_key(L, &key);
  lua_setfield(L, -2, "key");
  lua_rawgetp(L, LUA_REGISTRYINDEX, &host_marker);
  lua_setmetatable(L, -2);
}

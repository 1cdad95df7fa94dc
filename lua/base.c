/* base.c: Lua's basic functions, where its own depend on addresses, on the layout of tables, or let a script
 * escape. */
#include "lua/libs.h"
#include "lua/order.h"

#include <math.h>

/* ---- pairs and next ---- */

enum { PAIRS_TABLE = 1, PAIRS_KEYS, PAIRS_AT }; /* upvalues */

/* PAIRS_KEYS is a list of keys, or the length of a table that is a list itself. Keys that went away since are
 * left out. */
static int
next_pair (lua_State *L) {
  lua_Integer at = lua_tointeger(L, lua_upvalueindex(PAIRS_AT));
  bool is_list = lua_isinteger(L, lua_upvalueindex(PAIRS_KEYS));
  lua_Integer count = is_list ? lua_tointeger(L, lua_upvalueindex(PAIRS_KEYS)) : LUA_MAXINTEGER;
  lua_settop(L, 0);
  while (at < count) {
    at++;
    if (is_list) lua_pushinteger(L, at);
    else if (lua_rawgeti(L, lua_upvalueindex(PAIRS_KEYS), at) == LUA_TNIL) return 1;
    lua_pushvalue(L, -1);
    if (lua_rawget(L, lua_upvalueindex(PAIRS_TABLE)) != LUA_TNIL) {
      lua_pushinteger(L, at);
      lua_replace(L, lua_upvalueindex(PAIRS_AT));
      return 2;
    }
    lua_settop(L, 0);
  }
  lua_pushnil(L);
  return 1;
}

static int
base_pairs (lua_State *L) {
  luaL_checkany(L, 1);
  if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
    lua_pushvalue(L, 1);
    lua_call(L, 1, 3);
    return 3;
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  sandbox_key_t *keys;
  bool is_list;
  size_t count = sandbox__keys(L, 1, &keys, &is_list);

  lua_pushvalue(L, 1);
  if (is_list) lua_pushinteger(L, (lua_Integer) count);
  else {
    sandbox__keys_sort(L, keys, count);
    lua_createtable(L, (int) count, 0);
    for (size_t i = 0; i < count; i++) {
      sandbox__key_push(L, &keys[i]);
      lua_rawseti(L, -2, (lua_Integer) i + 1);
    }
  }
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, next_pair, 3);
  lua_pushvalue(L, 1);
  lua_pushnil(L);
  return 3;
}

static int
base_next (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  sandbox_key_t *keys, after;
  bool is_list, has_after = !lua_isnil(L, 2);
  if (has_after && !sandbox__key_read(L, 2, &after)) {
    return luaL_error(L, "cannot iterate a table keyed by a %s", luaL_typename(L, 2));
  }

  size_t count = sandbox__keys(L, 1, &keys, &is_list);
  const sandbox_key_t *next = NULL;
  for (size_t i = 0; i < count; i++) {
    if (has_after && sandbox__key_compare(&keys[i], &after) <= 0) continue;
    if (next == NULL || sandbox__key_compare(&keys[i], next) < 0) next = &keys[i];
  }
  if (next == NULL) {
    lua_pushnil(L);
    return 1;
  }
  sandbox__key_push(L, next);
  lua_pushvalue(L, -1);
  lua_rawget(L, 1);
  return 2;
}

/* ---- errors ---- */

static int
base_pcall (lua_State *L) {
  luaL_checkany(L, 1);
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  if (sandbox__of(L)->stop != 0) sandbox__raise(L);
  luaL_checkstack(L, 1, "too many results");
  lua_pushboolean(L, status == LUA_OK);
  lua_insert(L, 1);
  return lua_gettop(L);
}

/* ---- tables ---- */

static void
refuse_field (lua_State *L, const char *name) {
  lua_pushstring(L, name);
  if (lua_rawget(L, 2) != LUA_TNIL) luaL_error(L, "%s is not available", name);
  lua_pop(L, 1);
}

/* Without finalizers and weak references, nothing tells a script when memory is collected. */
static int
base_setmetatable (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  if (!lua_isnoneornil(L, 2)) {
    luaL_checktype(L, 2, LUA_TTABLE);
    refuse_field(L, "__gc");
    refuse_field(L, "__mode");
  } else {
    luaL_argexpected(L, lua_type(L, 2) == LUA_TNIL, 2, "nil or table");
  }
  if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) {
    return luaL_error(L, "cannot change a protected metatable");
  }
  lua_settop(L, 2);
  lua_setmetatable(L, 1);
  return 1;
}

static int
base_rawset (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkany(L, 2);
  luaL_checkany(L, 3);
  if (sandbox__is_library(L, 1)) return luaL_error(L, "libraries are read-only");
  lua_settop(L, 3);
  lua_rawset(L, 1);
  return 1;
}

static int
base_rawlen (lua_State *L) {
  int type = lua_type(L, 1);
  luaL_argexpected(L, type == LUA_TTABLE || type == LUA_TSTRING, 1, "table or string");
  lua_pushinteger(L, type == LUA_TTABLE ? sandbox__border(L, 1) : (lua_Integer) lua_rawlen(L, 1));
  return 1;
}

/* ---- text ---- */

void
sandbox__to_text (lua_State *L, int index) {
  index = lua_absindex(L, index);
  luaL_checkstack(L, 4, NULL);
  if (luaL_callmeta(L, index, "__tostring")) {
    if (!lua_isstring(L, -1)) luaL_error(L, "'__tostring' must return a string");
    return;
  }
  switch (lua_type(L, index)) {
  case LUA_TSTRING:
    lua_pushvalue(L, index);
    return;
  case LUA_TNUMBER:
    if (!lua_isinteger(L, index) && isnan(lua_tonumber(L, index))) {
      lua_pushliteral(L, "nan"); /* its sign differs between processors */
      return;
    }
    lua_pushvalue(L, index);
    lua_tolstring(L, -1, NULL);
    return;
  case LUA_TNIL:
    lua_pushliteral(L, "nil");
    return;
  case LUA_TBOOLEAN:
    lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
    return;
  case LUA_TLIGHTUSERDATA:
    lua_pushliteral(L, "null");
    return;
  default:
    lua_pushstring(L, luaL_typename(L, index));
    return;
  }
}

static int
base_tostring (lua_State *L) {
  luaL_checkany(L, 1);
  sandbox__to_text(L, 1);
  return 1;
}

/* Which batch is running, for people. It may run several times, as the order before it changes. */
static void
log_line (sandbox_t *sandbox, int len, const char *text) {
  const sandbox_run_t *run = &sandbox->run;
  if (run->apply == NULL) {
    sandbox__log(
      sandbox, SANDBOX_LOG_INFO, "%s: %.*s", run->reader == NULL ? "main chunk" : "query", len, text
    );
  } else if (run->count == 0) {
    sandbox__log(sandbox, SANDBOX_LOG_INFO, "acknowledgement (may be applied again): %.*s", len, text);
  } else {
    char writer[AB_KEY_TEXT_LEN + 1];
    ab_key_to_text(&run->nodes[0].writer, writer);
    sandbox__log(
      sandbox,
      SANDBOX_LOG_INFO,
      "%s:%llu (may be applied again): %.*s",
      writer,
      (unsigned long long) run->nodes[0].length,
      len,
      text
    );
  }
}

static int
base_print (lua_State *L) {
  sandbox_t *sandbox = sandbox__of(L);
  const int count = lua_gettop(L);
  for (int i = 1; i <= count; i++) {
    sandbox__to_text(L, i);
    lua_replace(L, i);
  }

  char line[512];
  size_t len = 0;
  for (int i = 1; i <= count; i++) {
    ab_slice_t text = sandbox__bytes(L, i);
    if (i > 1 && len < sizeof(line)) line[len++] = '\t';
    size_t width = text.len < sizeof(line) - len ? text.len : sizeof(line) - len;
    memcpy(line + len, text.data, width);
    len += width;
  }
  for (size_t i = 0; i < len; i++) {
    if ((uint8_t) line[i] < 0x20 && line[i] != '\t') line[i] = '?';
  }
  sandbox__charge(L, 200);
  log_line(sandbox, (int) len, line);
  return 0;
}

const luaL_Reg sandbox__base_functions[] = {
  {"next", base_next},
  {"pairs", base_pairs},
  {"pcall", base_pcall},
  {"print", base_print},
  {"rawlen", base_rawlen},
  {"rawset", base_rawset},
  {"setmetatable", base_setmetatable},
  {"tostring", base_tostring},
  {NULL, NULL},
};

/* globals.c: everything a script finds, by name. What is not named here does not exist for it. */
#include "lua/libs.h"

#include <lualib.h>

static const char template_marker; /* keys in the registry */
static const char library_marker;  /* and in the metatables of libraries */

/* Lua's own functions and constants that depend on nothing but their arguments and do little at a time. */
static const char *const base_names[] = {
  "assert", "error", "getmetatable", "ipairs", "rawequal", "rawget", "select", "tonumber", "type", NULL};
static const char *const string_names[] = {"len", NULL};
static const char *const math_names[] = {
  "abs",
  "ceil",
  "floor",
  "fmod",
  "huge",
  "max",
  "maxinteger",
  "min",
  "modf",
  "mininteger",
  "pi",
  "sqrt",
  "tointeger",
  "type",
  "ult",
  NULL};
static const char *const utf8_names[] = {"charpattern", "codes", NULL};

/* Fields of the table at -2 into the one at -1. */
static void
take_names (lua_State *L, const char *const *names) {
  for (; *names != NULL; names++) {
    if (lua_getfield(L, -2, *names) == LUA_TNIL) luaL_error(L, "this Lua has no %s", *names);
    lua_setfield(L, -2, *names);
  }
}

/* The same, behind functions of ours. */
static void
take_guarded (lua_State *L, const luaL_Reg *guards) {
  for (; guards->name != NULL; guards++) {
    if (lua_getfield(L, -2, guards->name) != LUA_TFUNCTION) luaL_error(L, "this Lua has no %s", guards->name);
    lua_pushcclosure(L, guards->func, 1);
    lua_setfield(L, -2, guards->name);
  }
}

static int
refuse_write (lua_State *L) {
  return luaL_error(L, "libraries are read-only");
}

/* Pop a table and set field `name` of the one below to a face of it that cannot be written to. */
static void
add_library (lua_State *L, const char *name) {
  lua_createtable(L, 0, 0);
  lua_createtable(L, 0, 4);
  lua_pushvalue(L, -3);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, refuse_write);
  lua_setfield(L, -2, "__newindex");
  lua_pushboolean(L, false);
  lua_setfield(L, -2, "__metatable");
  lua_pushboolean(L, true);
  lua_rawsetp(L, -2, &library_marker);
  lua_setmetatable(L, -2);
  lua_setfield(L, -3, name);
  lua_pop(L, 1);
}

bool
sandbox__is_library (lua_State *L, int index) {
  if (!lua_getmetatable(L, index)) return false;
  bool is_library = lua_rawgetp(L, -1, &library_marker) != LUA_TNIL;
  lua_pop(L, 2);
  return is_library;
}

/* Methods of strings are found in our table; its arithmetic stays Lua's. */
static void
adopt_string_metatable (lua_State *L) {
  lua_pushliteral(L, "");
  lua_getmetatable(L, -1);
  lua_pushvalue(L, -3);
  lua_setfield(L, -2, "__index");
  lua_pushboolean(L, false);
  lua_setfield(L, -2, "__metatable");
  lua_pushnil(L);
  lua_setfield(L, -2, "__pow");
  lua_pop(L, 2);
}

/* Run the opener of one of Lua's libraries; leaves its table. */
static void
open_lua (lua_State *L, lua_CFunction opener) {
  lua_pushcfunction(L, opener);
  lua_call(L, 0, 1);
}

void
sandbox__open_globals (lua_State *L) {
  lua_createtable(L, 0, 64); /* the template */

  open_lua(L, luaopen_base);
  lua_pushvalue(L, -2);
  take_names(L, base_names);
  lua_pop(L, 2);
  luaL_setfuncs(L, sandbox__base_functions, 0);
  luaL_setfuncs(L, sandbox__bytes_functions, 0);

  open_lua(L, luaopen_string);
  lua_createtable(L, 0, 32);
  take_names(L, string_names);
  take_guarded(L, sandbox__string_guards);
  luaL_setfuncs(L, sandbox__string_functions, 0);
  luaL_setfuncs(L, sandbox__pattern_functions, 0);
  adopt_string_metatable(L);
  lua_remove(L, -2);
  add_library(L, "string");

  open_lua(L, luaopen_math);
  lua_createtable(L, 0, 16);
  take_names(L, math_names);
  lua_remove(L, -2);
  add_library(L, "math");

  open_lua(L, luaopen_utf8);
  lua_createtable(L, 0, 8);
  take_names(L, utf8_names);
  take_guarded(L, sandbox__utf8_guards);
  lua_remove(L, -2);
  add_library(L, "utf8");

  lua_createtable(L, 0, 8);
  luaL_setfuncs(L, sandbox__table_functions, 0);
  add_library(L, "table");

  sandbox__open_json(L);
  lua_createtable(L, 0, 8);
  luaL_setfuncs(L, sandbox__json_functions, 0);
  sandbox__push_null(L);
  lua_setfield(L, -2, "null");
  add_library(L, "json");

  lua_createtable(L, 0, 8);
  luaL_setfuncs(L, sandbox__ab_functions, 0);
  add_library(L, "ab");

  lua_rawsetp(L, LUA_REGISTRYINDEX, &template_marker);

  /* Nothing reaches the globals that Lua's openers filled; make sure of it. */
  lua_createtable(L, 0, 0);
  lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
}

void
sandbox__push_environment (lua_State *L) {
  lua_createtable(L, 0, 64);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &template_marker);
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -5);
  }
  lua_pop(L, 1);
}

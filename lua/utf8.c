/* utf8.c: Lua's functions on UTF-8, with the work counted. */
#include "lua/libs.h"

/* How many bytes lie between the positions in arguments `from` and `to` of a string, as Lua counts them. */
static uint64_t
distance (lua_State *L, int from, lua_Integer default_to) {
  lua_Integer len = (lua_Integer) lua_rawlen(L, 1);
  lua_Integer i = luaL_optinteger(L, from, 1),
              j = luaL_optinteger(L, from + 1, default_to == 0 ? i : default_to);
  if (i < 0) i = i < -len ? 0 : len + i + 1;
  if (j < 0) j = j < -len ? 0 : len + j + 1;
  if (j > len) j = len;
  return i > j ? 0 : (uint64_t) (j - i) + 1;
}

static int
guard_len (lua_State *L) {
  luaL_checktype(L, 1, LUA_TSTRING);
  sandbox__charge(L, distance(L, 2, -1) / 4);
  return sandbox__go_on(L);
}

static int
guard_codepoint (lua_State *L) {
  luaL_checktype(L, 1, LUA_TSTRING);
  sandbox__charge(L, distance(L, 2, 0));
  return sandbox__go_on(L);
}

/* It walks over n characters, each of which may be surrounded by any number of continuation bytes. */
static int
guard_offset (lua_State *L) {
  luaL_checktype(L, 1, LUA_TSTRING);
  lua_Integer n = luaL_checkinteger(L, 2);
  lua_Integer len = (lua_Integer) lua_rawlen(L, 1);
  uint64_t steps = n < 0 ? (uint64_t) 0 - (uint64_t) n : (uint64_t) n;
  sandbox__charge(L, (steps > (uint64_t) len ? (uint64_t) len : steps) / 4);
  return sandbox__go_on(L);
}

static int
guard_char (lua_State *L) {
  sandbox__charge(L, (uint64_t) lua_gettop(L));
  return sandbox__go_on(L);
}

const luaL_Reg sandbox__utf8_guards[] = {
  {"char", guard_char},
  {"codepoint", guard_codepoint},
  {"len", guard_len},
  {"offset", guard_offset},
  {NULL, NULL},
};

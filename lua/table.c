/* table.c: Lua's table functions, with lengths found by content and a sort that is stable and the same
 * everywhere. */
#include "lua/libs.h"
#include "lua/order.h"

#include <limits.h>

static int
table_insert (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer len = sandbox__length(L, 1);
  luaL_argcheck(L, len >= 0 && len < LUA_MAXINTEGER, 1, "array too big");
  lua_Integer end = len + 1, position = end;
  switch (lua_gettop(L)) {
  case 2:
    break;
  case 3:
    position = luaL_checkinteger(L, 2);
    luaL_argcheck(L, (lua_Unsigned) position - 1u < (lua_Unsigned) end, 2, "position out of bounds");
    sandbox__charge(L, (uint64_t) (end - position));
    for (lua_Integer i = end; i > position; i--) {
      lua_geti(L, 1, i - 1);
      lua_seti(L, 1, i);
    }
    break;
  default:
    return luaL_error(L, "wrong number of arguments to 'insert'");
  }
  lua_seti(L, 1, position);
  return 0;
}

static int
table_remove (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer len = sandbox__length(L, 1), position = luaL_optinteger(L, 2, len);
  if (position != len) {
    luaL_argcheck(L, (lua_Unsigned) position - 1u <= (lua_Unsigned) len, 2, "position out of bounds");
  }
  lua_geti(L, 1, position);
  if (position < len) sandbox__charge(L, (uint64_t) (len - position));
  for (; position < len; position++) {
    lua_geti(L, 1, position + 1);
    lua_seti(L, 1, position);
  }
  lua_pushnil(L);
  lua_seti(L, 1, position);
  return 1;
}

static int
table_move (lua_State *L) {
  lua_Integer from = luaL_checkinteger(L, 2), end = luaL_checkinteger(L, 3), to = luaL_checkinteger(L, 4);
  int target = lua_isnoneornil(L, 5) ? 1 : 5;
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, target, LUA_TTABLE);
  if (end >= from) {
    luaL_argcheck(L, from > 0 || end < LUA_MAXINTEGER + from, 3, "too many elements to move");
    lua_Integer count = end - from + 1;
    luaL_argcheck(L, to <= LUA_MAXINTEGER - count + 1, 4, "destination wrap around");
    sandbox__charge(L, (uint64_t) count);
    bool upwards = to > end || to <= from || (target != 1 && !lua_rawequal(L, 1, target));
    for (lua_Integer n = 0; n < count; n++) {
      lua_Integer i = upwards ? n : count - 1 - n;
      lua_geti(L, 1, from + i);
      lua_seti(L, target, to + i);
    }
  }
  lua_pushvalue(L, target);
  return 1;
}

static void
add_item (lua_State *L, luaL_Buffer *out, lua_Integer i) {
  int type = lua_geti(L, 1, i);
  if (type == LUA_TNUMBER) {
    sandbox__to_text(L, -1);
    lua_remove(L, -2);
  } else if (type != LUA_TSTRING) {
    luaL_error(L, "invalid value (at index %I) in table for 'concat'", (LUAI_UACINT) i);
  }
  sandbox__check_string(L, (uint64_t) luaL_bufflen(out) + lua_rawlen(L, -1));
  luaL_addvalue(out);
}

static int
table_concat (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  size_t separator_len;
  const char *separator = luaL_optlstring(L, 2, "", &separator_len);
  lua_Integer i = luaL_optinteger(L, 3, 1);
  lua_Integer last = lua_isnoneornil(L, 4) ? sandbox__length(L, 1) : luaL_checkinteger(L, 4);
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  for (; i <= last; i++) {
    sandbox__charge(L, 1 + separator_len / 16);
    add_item(L, &out, i);
    if (i == last) break; /* which may be the largest integer */
    luaL_addlstring(&out, separator, separator_len);
  }
  luaL_pushresult(&out);
  return 1;
}

static int
table_pack (lua_State *L) {
  int count = lua_gettop(L);
  sandbox__charge(L, (uint64_t) count);
  lua_createtable(L, count, 1);
  lua_insert(L, 1);
  for (int i = count; i >= 1; i--) lua_rawseti(L, 1, i);
  lua_pushinteger(L, count);
  lua_setfield(L, 1, "n");
  return 1;
}

static int
table_unpack (lua_State *L) {
  lua_Integer i = luaL_optinteger(L, 2, 1);
  lua_Integer last = lua_isnoneornil(L, 3) ? sandbox__length(L, 1) : luaL_checkinteger(L, 3);
  if (i > last) return 0;
  lua_Unsigned count = (lua_Unsigned) last - (lua_Unsigned) i;
  if (count >= INT_MAX) return luaL_error(L, "too many results to unpack");
  sandbox__charge(L, count);
  if (!lua_checkstack(L, (int) ++count)) {
    if (sandbox__of(L)->stop != 0) sandbox__raise(L);
    return luaL_error(L, "too many results to unpack");
  }
  for (; i < last; i++) lua_geti(L, 1, i);
  lua_geti(L, 1, last);
  return (int) count;
}

/* ---- sort: merge, bottom up. Equal elements stay as they are, and whatever the comparison answers, the
 * result is one of the input's orders. ---- */

enum { SORT_TABLE = 1, SORT_LESS, SORT_FROM, SORT_TO, SORT_LEFT, SORT_RIGHT }; /* stack */

static bool
right_is_less (lua_State *L) {
  if (lua_isnil(L, SORT_LESS)) return lua_compare(L, SORT_RIGHT, SORT_LEFT, LUA_OPLT);
  lua_pushvalue(L, SORT_LESS);
  lua_pushvalue(L, SORT_RIGHT);
  lua_pushvalue(L, SORT_LEFT);
  lua_call(L, 2, 1);
  bool is_less = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return is_less;
}

static void
fetch (lua_State *L, int side, lua_Integer i) {
  lua_rawgeti(L, SORT_FROM, i);
  lua_replace(L, side);
}

static void
emit (lua_State *L, int side, lua_Integer at) {
  lua_pushvalue(L, side);
  lua_rawseti(L, SORT_TO, at);
}

/* [start, middle) and [middle, end), both sorted. */
static void
merge (lua_State *L, lua_Integer start, lua_Integer middle, lua_Integer end) {
  lua_Integer left = start, right = middle, at = start;
  sandbox__charge(L, 2 * (uint64_t) (end - start));

  bool is_merged = middle >= end;
  if (!is_merged) {
    fetch(L, SORT_LEFT, middle - 1);
    fetch(L, SORT_RIGHT, middle);
    is_merged = !right_is_less(L);
    fetch(L, SORT_LEFT, left);
  }
  while (!is_merged && left < middle && right < end) {
    if (right_is_less(L)) {
      emit(L, SORT_RIGHT, at++);
      if (++right < end) fetch(L, SORT_RIGHT, right);
    } else {
      emit(L, SORT_LEFT, at++);
      if (++left < middle) fetch(L, SORT_LEFT, left);
    }
  }
  if (is_merged) middle = end;
  for (; left < middle; left++) {
    lua_rawgeti(L, SORT_FROM, left);
    lua_rawseti(L, SORT_TO, at++);
  }
  for (; at < end; right++) {
    lua_rawgeti(L, SORT_FROM, right);
    lua_rawseti(L, SORT_TO, at++);
  }
}

static int
table_sort (lua_State *L) {
  luaL_checktype(L, SORT_TABLE, LUA_TTABLE);
  if (!lua_isnoneornil(L, SORT_LESS)) luaL_checktype(L, SORT_LESS, LUA_TFUNCTION);
  lua_settop(L, SORT_LESS);
  lua_Integer count = sandbox__length(L, SORT_TABLE);
  if (count < 2) return 0;
  luaL_argcheck(L, count < INT_MAX, 1, "array too big");
  luaL_checkstack(L, 8, NULL);
  sandbox__charge(L, 2 * (uint64_t) count);

  lua_createtable(L, (int) count, 0);
  lua_createtable(L, (int) count, 0);
  lua_settop(L, SORT_RIGHT);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_geti(L, SORT_TABLE, i);
    lua_rawseti(L, SORT_FROM, i);
  }
  for (lua_Integer width = 1; width < count; width *= 2) {
    for (lua_Integer start = 1; start <= count; start += 2 * width) {
      lua_Integer end = count + 1 - start < 2 * width ? count + 1 : start + 2 * width;
      merge(L, start, start + width < end ? start + width : end, end);
    }
    lua_pushvalue(L, SORT_FROM);
    lua_copy(L, SORT_TO, SORT_FROM);
    lua_replace(L, SORT_TO);
  }
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, SORT_FROM, i);
    lua_seti(L, SORT_TABLE, i);
  }
  return 0;
}

const luaL_Reg sandbox__table_functions[] = {
  {"concat", table_concat},
  {"insert", table_insert},
  {"move", table_move},
  {"pack", table_pack},
  {"remove", table_remove},
  {"sort", table_sort},
  {"unpack", table_unpack},
  {NULL, NULL},
};

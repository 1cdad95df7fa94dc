/* order.c: keys in order, and lengths by content. */
#include "lua/order.h"

#include <math.h>
#include <stdlib.h>

bool
sandbox__key_read (lua_State *L, int index, sandbox_key_t *key) {
  switch (lua_type(L, index)) {
  case LUA_TBOOLEAN:
    key->kind = lua_toboolean(L, index) ? KEY_TRUE : KEY_FALSE;
    return true;
  case LUA_TNUMBER:
    if (lua_isinteger(L, index)) {
      key->kind = KEY_INTEGER;
      key->as.integer = lua_tointeger(L, index);
    } else {
      key->kind = KEY_FLOAT;
      key->as.number = lua_tonumber(L, index);
    }
    return true;
  case LUA_TSTRING:
    key->kind = KEY_STRING;
    key->as.text = sandbox__bytes(L, index);
    return true;
  default:
    return false;
  }
}

void
sandbox__key_push (lua_State *L, const sandbox_key_t *key) {
  switch (key->kind) {
  case KEY_FALSE:
  case KEY_TRUE:
    lua_pushboolean(L, key->kind == KEY_TRUE);
    return;
  case KEY_INTEGER:
    lua_pushinteger(L, key->as.integer);
    return;
  case KEY_FLOAT:
    lua_pushnumber(L, key->as.number);
    return;
  case KEY_STRING:
    sandbox__push_bytes(L, key->as.text);
    return;
  }
}

/* An integer and a float that is none, without rounding either. */
static int
compare_mixed (lua_Integer integer, lua_Number number) {
  const lua_Number limit = 9223372036854775808.0; /* 2^63 */
  if (number >= limit) return -1;
  if (number < -limit) return 1;
  lua_Integer below = (lua_Integer) floor(number);
  if (integer == below) return number == (lua_Number) below ? 0 : -1;
  return integer < below ? -1 : 1;
}

static int
rank (const sandbox_key_t *key) {
  return key->kind == KEY_FLOAT ? KEY_INTEGER : (int) key->kind;
}

int
sandbox__key_compare (const sandbox_key_t *a, const sandbox_key_t *b) {
  if (rank(a) != rank(b)) return rank(a) < rank(b) ? -1 : 1;
  if (a->kind == KEY_STRING) return ab_slice_compare(a->as.text, b->as.text);
  if (a->kind < KEY_INTEGER) return 0;
  if (a->kind == KEY_INTEGER && b->kind == KEY_FLOAT) return compare_mixed(a->as.integer, b->as.number);
  if (a->kind == KEY_FLOAT && b->kind == KEY_INTEGER) return -compare_mixed(b->as.integer, a->as.number);
  if (a->kind == KEY_INTEGER) return (a->as.integer > b->as.integer) - (a->as.integer < b->as.integer);
  return (a->as.number > b->as.number) - (a->as.number < b->as.number);
}

size_t
sandbox__keys (lua_State *L, int index, sandbox_key_t **keys, bool *is_list) {
  ab_buf_t *buf = &sandbox__of(L)->keys;
  lua_Integer count = 0, largest = 0;
  bool all_positive = true;
  int refused = LUA_TNIL;

  /* Always to the end, whatever is found: what is counted must not depend on the order of this walk. */
  index = lua_absindex(L, index);
  ab_buf_reset(buf);
  luaL_checkstack(L, 3, NULL);
  lua_pushnil(L);
  for (; lua_next(L, index) != 0; lua_pop(L, 1)) {
    sandbox_key_t key = {0};
    count++;
    if (count % 256 == 0) sandbox__charge(L, 512);
    if (!sandbox__key_read(L, -2, &key)) {
      if (lua_type(L, -2) > refused) refused = lua_type(L, -2);
      continue;
    }
    ab_buf_append(buf, ab_slice(&key, sizeof(key)));
    if (key.kind != KEY_INTEGER || key.as.integer < 1) all_positive = false;
    else if (key.as.integer > largest) largest = key.as.integer;
  }
  sandbox__charge(L, 2 * (uint64_t) (count % 256));
  if (refused != LUA_TNIL) luaL_error(L, "cannot iterate a table keyed by a %s", lua_typename(L, refused));
  if (buf->err < 0) sandbox__stop_no_memory(L);

  *is_list = all_positive && largest == count;
  *keys = (sandbox_key_t *) (void *) buf->data;
  return (size_t) count;
}

static int
by_order (const void *a, const void *b) {
  return sandbox__key_compare(a, b);
}

void
sandbox__keys_sort (lua_State *L, sandbox_key_t *keys, size_t count) {
  bool is_sorted = true;
  uint64_t levels = 0;
  for (size_t rest = count; rest > 1; rest /= 2) levels++;
  sandbox__charge(L, count * levels);
  for (size_t i = 1; i < count && is_sorted; i++)
    is_sorted = sandbox__key_compare(&keys[i - 1], &keys[i]) < 0;
  if (!is_sorted)
    qsort(keys, count, sizeof(keys[0]), by_order); /* keys differ: any way of sorting ends the same */
}

/* ---- lengths ---- */

static bool
is_there (lua_State *L, int index, lua_Integer i) {
  bool there = lua_rawgeti(L, index, i) != LUA_TNIL;
  lua_pop(L, 1);
  return there;
}

lua_Integer
sandbox__border (lua_State *L, int index) {
  index = lua_absindex(L, index);
  luaL_checkstack(L, 1, NULL);
  lua_Integer here = 0, gone = 1; /* t[here] is there, or here is 0; t[gone] is not, once the loop ends */
  while (is_there(L, index, gone)) {
    here = gone;
    if (gone > LUA_MAXINTEGER / 2) return here; /* no table has so many, only keys like that */
    gone *= 2;
  }
  while (gone - here > 1) {
    lua_Integer middle = here + (gone - here) / 2;
    if (is_there(L, index, middle)) here = middle;
    else gone = middle;
  }
  return here;
}

lua_Integer
sandbox__length (lua_State *L, int index) {
  int type = lua_type(L, index);
  if (type == LUA_TSTRING) return (lua_Integer) lua_rawlen(L, index);
  if (luaL_getmetafield(L, index, "__len") != LUA_TNIL) {
    lua_pop(L, 1);
    return luaL_len(L, index);
  }
  if (type != LUA_TTABLE)
    return luaL_error(L, "attempt to get length of a %s value", luaL_typename(L, index));
  return sandbox__border(L, index);
}

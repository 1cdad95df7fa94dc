/* string.c: Lua's string functions, with the work counted and the length of results bounded beforehand. Under
 * the C locale they know ASCII letters only. */
#include "lua/libs.h"

static int
guard_bytes (lua_State *L) {
  sandbox__charge_bytes(L, lua_type(L, 1) == LUA_TSTRING ? lua_rawlen(L, 1) : 0);
  return sandbox__go_on(L);
}

static int
guard_rep (lua_State *L) {
  size_t len, separator_len = 0;
  luaL_checklstring(L, 1, &len);
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_optlstring(L, 3, "", &separator_len);
  if (n > 0 && len + separator_len > 0) {
    /* Beyond what is allowed, exactness does not matter, only that nothing wraps. */
    uint64_t most = UINT64_MAX / (len + separator_len);
    uint64_t total = (uint64_t) n > most ? UINT64_MAX : (uint64_t) n * (len + separator_len) - separator_len;
    sandbox__check_string(L, total);
    sandbox__charge_bytes(L, total);
  }
  return sandbox__go_on(L);
}

/* Short pieces are as cheap as any instruction. */
static int
guard_sub (lua_State *L) {
  int count = sandbox__go_on(L);
  size_t len = lua_rawlen(L, -1);
  if (len > 64) sandbox__charge_bytes(L, len);
  return count;
}

static int
guard_results (lua_State *L) {
  int count = sandbox__go_on(L);
  sandbox__charge(L, (uint64_t) count);
  return count;
}

static int
guard_arguments (lua_State *L) {
  sandbox__charge(L, (uint64_t) lua_gettop(L));
  return sandbox__go_on(L);
}

const luaL_Reg sandbox__string_functions[] = {
  {"format", sandbox__format},
  {NULL, NULL},
};

const luaL_Reg sandbox__string_guards[] = {
  {"byte", guard_results},
  {"char", guard_arguments},
  {"lower", guard_bytes},
  {"pack", sandbox__guard_pack},
  {"packsize", sandbox__guard_packsize},
  {"rep", guard_rep},
  {"reverse", guard_bytes},
  {"sub", guard_sub},
  {"unpack", sandbox__guard_unpack},
  {"upper", guard_bytes},
  {NULL, NULL},
};

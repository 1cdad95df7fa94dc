/* floor_lua.c: the body of the reference apply in plain Lua, over a table. */
#include "floor.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#define CALL_VALUES 100

static const char body[] = "local call_values, name = ...\n"
                           "return function(value, first)\n"
                           "  local view = { clock = tostring(first) }\n"
                           "  for length = 1, call_values do\n"
                           "    local text = value:match('\"text\":\"(%a*)\"')\n"
                           "    local clock = tonumber(view.clock) + 1\n"
                           "    view.latest = value\n"
                           "    view.clock = ('%d'):format(clock)\n"
                           "    view[('#%06d'):format(clock)] = name .. '.' .. length\n"
                           "  end\n"
                           "end\n";

double
floor_lua (uint64_t n) {
  static const char name[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
  char value[JSON_VALUE_LEN];
  double rate;
  if (floor_is_measured(&rate, sizeof(rate))) return rate;

  lua_State *lua = luaL_newstate();
  if (lua == NULL) bench_die("out of memory");
  luaL_openlibs(lua);
  if (luaL_loadstring(lua, body) != LUA_OK) bench_die("floor: %s", lua_tostring(lua, -1));
  lua_pushinteger(lua, CALL_VALUES);
  lua_pushstring(lua, name);
  lua_call(lua, 2, 1);
  double start = bench_now();
  for (uint64_t i = 0; i < n; i += CALL_VALUES) {
    data_json(1, (uint32_t) i, value);
    lua_pushvalue(lua, -1);
    lua_pushlstring(lua, value, sizeof(value));
    lua_pushinteger(lua, (lua_Integer) i);
    lua_call(lua, 2, 0);
  }
  double seconds = bench_now() - start;
  lua_close(lua);
  floor_finish_rate((double) n / seconds);
}

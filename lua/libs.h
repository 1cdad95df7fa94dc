/* libs.h: the functions that scripts find, a list for each table that globals.c makes. Private to lua/. */
#ifndef SANDBOX_LIBS_H
#define SANDBOX_LIBS_H

#include "lua/state.h"

/* Ended by a null name. */
extern const luaL_Reg sandbox__base_functions[];
extern const luaL_Reg sandbox__string_functions[];
extern const luaL_Reg sandbox__pattern_functions[];
extern const luaL_Reg sandbox__table_functions[];
extern const luaL_Reg sandbox__json_functions[];
extern const luaL_Reg sandbox__bytes_functions[];
extern const luaL_Reg sandbox__ab_functions[];

/* Functions that look at their arguments and then call the one of Lua's library that they have as upvalue. */
extern const luaL_Reg sandbox__string_guards[];
extern const luaL_Reg sandbox__utf8_guards[];

/** What the value at `index` is called with: continues in Lua's own function. */
static inline int
sandbox__go_on (lua_State *L) {
  return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* ---- globals.c ---- */

/** Make everything that environments are filled with. */
void
sandbox__open_globals (lua_State *L);

/** Push a new environment. */
void
sandbox__push_environment (lua_State *L);

/** Push the function that the operator # has become. */
void
sandbox__push_length (lua_State *L);

/** True for a library's table as scripts see it. */
bool
sandbox__is_library (lua_State *L, int index);

/* ---- base.c ---- */

/** Push the text of the value at `index`, which never names an address. May call __tostring. */
void
sandbox__to_text (lua_State *L, int index);

/* ---- format.c, pack.c ---- */

int
sandbox__format (lua_State *L);
int
sandbox__guard_pack (lua_State *L);
int
sandbox__guard_unpack (lua_State *L);
int
sandbox__guard_packsize (lua_State *L);

/* ---- json.c ---- */

/** Make json.null and the mark of arrays. */
void
sandbox__open_json (lua_State *L);

/** Push json.null. */
void
sandbox__push_null (lua_State *L);

/** Push the value of a JSON text. Returns 0, or AB_EINVAL with sandbox->json.message set and nothing pushed.
 */
int
sandbox__json_decode (lua_State *L, ab_slice_t text, unsigned flags);

/** Append the canonical text of the value at `index` to sandbox->text, emptied before. Raises if there is
 * none. */
void
sandbox__json_encode (lua_State *L, int index, ab_json_form_t form);

#endif

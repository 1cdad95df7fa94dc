/* lua.h: merge rules written in Lua 5.4, for <autobee/autobee.h>. Optional; needs no lua.h of Lua's own.
 *
 *     autobee_lua_t *lua;
 *     autobee_options_t options = autobee_options_default();
 *     if (autobee_lua_open(script, NULL, &lua, message, sizeof(message)) < 0) …
 *     autobee_lua_use(lua, &options);
 *     autobee_open(store, key, &options, &db);
 *
 * What a script sees and what it may use is in lua/sandbox.h. A sandbox belongs to one database at a time,
 * and outlives it.
 */
#ifndef AUTOBEE_LUA_H
#define AUTOBEE_LUA_H

#include "autobee/autobee.h"
#include "lua/sandbox.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct autobee_lua_s autobee_lua_t;
typedef sandbox_options_t autobee_lua_options_t;

/** As sandbox_options_default. */
AB_API autobee_lua_options_t
autobee_lua_options_default (void);

/** As sandbox_open. */
AB_API int
autobee_lua_open (
  ab_slice_t script,
  const autobee_lua_options_t *options,
  autobee_lua_t **out,
  char *message,
  size_t message_len
);

AB_API void
autobee_lua_close (autobee_lua_t *lua);

/** Set what a database needs to run the script: apply, apply_data, apply_id (the identity, borrowed from
 * `lua`) and stop_on_error. */
AB_API void
autobee_lua_use (autobee_lua_t *lua, autobee_options_t *options);

/** The apply identity: script, budgets, policy and runtime. See sandbox_identity. */
AB_API void
autobee_lua_identity (const autobee_lua_t *lua, uint8_t out[32]);

/** The apply function that autobee_lua_use sets; `lua` is an autobee_lua_t. */
AB_API int
autobee_lua_apply (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *lua);

/** As sandbox_query, over a view. What the view lacks is AB_EREMOTE. */
AB_API int
autobee_lua_query (
  autobee_lua_t *lua, ab_slice_t name, ab_slice_t args, autobee_view_t *view, ab_slice_t *result
);

/** See sandbox_errmsg. */
AB_API const char *
autobee_lua_errmsg (const autobee_lua_t *lua);

#ifdef __cplusplus
}
#endif

#endif

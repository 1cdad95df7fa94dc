/* view.h: the objects that a script is called with. Private to lua/.
 *
 *   view   get peek range count, put del, write, sub    a prefix of keys is all that a sub adds
 *   write  get put del flush                            remembers what it was told until it is flushed
 *   host   writers, and what is known of the batch
 *
 * None of them outlives its batch: scripts have nowhere to keep them.
 */
#ifndef SANDBOX_VIEW_H
#define SANDBOX_VIEW_H

#include "lua/state.h"

/** Make the metatables. */
void
sandbox__open_view (lua_State *L);
void
sandbox__open_host (lua_State *L);

void
sandbox__push_view (lua_State *L);
/** The nodes of the batch. */
void
sandbox__push_nodes (lua_State *L);
void
sandbox__push_host (lua_State *L);

/** Reads through autobee_apply_…, for a sandbox_run_t whose reader_data is its autobee_apply_t. */
extern const sandbox_reader_t sandbox__apply_reader;

/** Close what the run left open. */
void
sandbox__close_cursors (sandbox_t *sandbox);

/** One more effect of the batch, of so many bytes; stops it when there are too many. */
void
sandbox__count_effect (lua_State *L, size_t bytes);

/** Stop unless `err`, of a call on the run, is 0. */
void
sandbox__check_call (lua_State *L, const char *call, int err);

#endif

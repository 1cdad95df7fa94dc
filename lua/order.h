/* order.h: the keys of a table in the one order that does not depend on how the table lies in memory: false,
 * true, numbers by value, strings as unsigned bytes. Private to lua/. */
#ifndef SANDBOX_ORDER_H
#define SANDBOX_ORDER_H

#include "lua/state.h"

typedef enum { KEY_FALSE, KEY_TRUE, KEY_INTEGER, KEY_FLOAT, KEY_STRING } key_kind_t;

typedef struct {
  key_kind_t kind;
  union {
    lua_Integer integer;
    lua_Number number; /* never an integer's value, as Lua turns such keys into integers, and never NaN */
    ab_slice_t text;   /* valid while the key is in the table */
  } as;
} sandbox_key_t;

/** Read the key at `index` of the stack. Returns false for a type that has no order. */
bool
sandbox__key_read (lua_State *L, int index, sandbox_key_t *key);

void
sandbox__key_push (lua_State *L, const sandbox_key_t *key);

/** <0, 0, >0. */
int
sandbox__key_compare (const sandbox_key_t *a, const sandbox_key_t *b);

/**
 * Collect the keys of the table at `index`. Raises if there is a key without an order.
 *
 * keys      receives them in no order; valid until the next call
 * is_list   receives true if they are 1, 2 … to their number
 *
 * Returns how many there are. Charges for them.
 */
size_t
sandbox__keys (lua_State *L, int index, sandbox_key_t **keys, bool *is_list);

/** Charges the same whether they are in order already or not. */
void
sandbox__keys_sort (lua_State *L, sandbox_key_t *keys, size_t count);

/** The length of a table by its content: an n with t[n] not nil and t[n + 1] nil, found by doubling and then
 * halving from 1; 0 if t[1] is nil. Raw. */
lua_Integer
sandbox__border (lua_State *L, int index);

/** What the operator # means: bytes of a string, __len, or the border. Raises for other types. */
lua_Integer
sandbox__length (lua_State *L, int index);

#endif

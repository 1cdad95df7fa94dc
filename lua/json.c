/* json.c: the table json: apply/json.h for Lua values.
 *
 * null is json.null; an array is a list that carries a mark, so that an empty one stays one; an integer that
 * int64_t holds stays an integer.
 */
#include "apply/json.h"

#include "apply/json_write.h"
#include "lua/libs.h"
#include "lua/order.h"

#include <assert.h>
#include <stdlib.h>

static const char null_marker;  /* json.null is its address */
static const char array_marker; /* key of the arrays' metatable in the registry */

#define CONTAINER_UNITS 16 /* so that instructions run out before memory does, whatever a text holds */
#define SCALAR_UNITS 2

void
sandbox__push_null (lua_State *L) {
  lua_pushlightuserdata(L, (void *) (uintptr_t) &null_marker);
}

void
sandbox__open_json (lua_State *L) {
  lua_createtable(L, 0, 1);
  lua_pushboolean(L, false);
  lua_setfield(L, -2, "__metatable");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &array_marker);
}

static void
push_array_mark (lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &array_marker);
}

static bool
is_array (lua_State *L, int index) {
  if (!lua_getmetatable(L, index)) return false;
  push_array_mark(L);
  bool is_marked = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return is_marked;
}

/* ---- decoding ---- */

/* Push `value`, which may contain others. As deep as the decoder allows. */
static void
push_value (lua_State *L, const ab_json_t *value) {
  ab_json_iter_t iter = ab_json_iter(value);
  const ab_json_t *item;
  ab_slice_t name;
  lua_Integer i = 1;

  luaL_checkstack(L, 4, NULL);
  switch (value->type) {
  case AB_JSON_NULL:
    sandbox__push_null(L);
    break;
  case AB_JSON_BOOL:
    lua_pushboolean(L, value->as.boolean);
    break;
  case AB_JSON_INTEGER:
    lua_pushinteger(L, value->as.integer);
    break;
  case AB_JSON_NUMBER:
    lua_pushnumber(L, value->as.number);
    break;
  case AB_JSON_STRING:
    sandbox__push_bytes(L, ab_json_text(value));
    break;
  case AB_JSON_ARRAY:
    sandbox__charge(L, CONTAINER_UNITS);
    lua_createtable(L, (int) value->count, 0);
    while (ab_json_next(&iter, &item)) {
      push_value(L, item);
      lua_rawseti(L, -2, i++);
    }
    push_array_mark(L);
    lua_setmetatable(L, -2);
    break;
  case AB_JSON_OBJECT:
    sandbox__charge(L, CONTAINER_UNITS);
    lua_createtable(L, 0, (int) value->count);
    while (ab_json_next_member(&iter, &name, &item)) {
      sandbox__push_bytes(L, name);
      push_value(L, item);
      lua_rawset(L, -3);
    }
    break;
  }
}

int
sandbox__json_decode (lua_State *L, ab_slice_t text, unsigned flags) {
  ab_json_doc_t *doc = &sandbox__of(L)->json;
  const ab_json_t *root;
  sandbox__charge_bytes(L, text.len);
  int err = ab_json_decode(doc, text, flags, &root);
  if (err == AB_EINVAL) return err;
  if (err < 0) sandbox__stop(L, err, "json.decode: %s", ab_strerror(err));
  sandbox__charge(L, SCALAR_UNITS * (uint64_t) root->span); /* before there are any tables */
  push_value(L, root);
  return 0;
}

static unsigned
read_flags (lua_State *L, int arg) {
  unsigned flags = 0;
  if (lua_isnoneornil(L, arg)) return flags;
  luaL_checktype(L, arg, LUA_TTABLE);
  lua_getfield(L, arg, "duplicates");
  if (lua_toboolean(L, -1)) flags |= AB_JSON_DUPLICATES;
  lua_getfield(L, arg, "lone_surrogates");
  if (lua_toboolean(L, -1)) flags |= AB_JSON_LONE_SURROGATES;
  lua_pop(L, 2);
  return flags;
}

static int
json_decode (lua_State *L) {
  ab_slice_t text = sandbox__check_bytes(L, 1);
  if (sandbox__json_decode(L, text, read_flags(L, 2)) == 0) return 1;
  const ab_json_doc_t *doc = &sandbox__of(L)->json;
  lua_pushnil(L);
  lua_pushfstring(L, "%s at byte %I", doc->message, (LUAI_UACINT) doc->message_at + 1);
  return 2;
}

/* ---- encoding ---- */

typedef struct {
  lua_State *L;
  ab_buf_t *out;
  ab_json_form_t form;
  int depth;
} encoder_t;

static void
write_value (encoder_t *encoder, int index);

static void
write_text (encoder_t *encoder, const char *text) {
  ab_buf_append(encoder->out, ab_text(text));
}

/* What the writers of apply/json_write.h return. */
static void
check (encoder_t *encoder, int err, const char *what) {
  if (err == AB_EINVAL) luaL_error(encoder->L, "JSON cannot express %s", what);
  if (err < 0) sandbox__stop(encoder->L, err, "%s", ab_strerror(err));
}

static void
write_string (encoder_t *encoder, ab_slice_t text) {
  sandbox__charge_bytes(encoder->L, text.len);
  check(encoder, ab_json_write_string(encoder->out, text, encoder->form), "a string that is not UTF-8");
  sandbox__check_string(encoder->L, encoder->out->len);
}

static void
write_list (encoder_t *encoder, int index, size_t count) {
  write_text(encoder, "[");
  for (size_t i = 1; i <= count; i++) {
    if (i > 1) write_text(encoder, ",");
    lua_rawgeti(encoder->L, index, (lua_Integer) i);
    write_value(encoder, -1);
    lua_pop(encoder->L, 1);
  }
  write_text(encoder, "]");
}

static int
by_code_units (const void *a, const void *b) {
  const sandbox_key_t *x = a, *y = b;
  int order = ab_json_compare_names(x->as.text, y->as.text);
  return order != 0 ? order : ab_slice_compare(x->as.text, y->as.text); /* for what is not UTF-8 */
}

/* ECMAScript's objects have the names that are array indices first; the order of the others is that in which
 * they were set, which a Lua table does not know: here it is that of their bytes. */
static int
indices_first (const void *a, const void *b) {
  const sandbox_key_t *x = a, *y = b;
  uint32_t i = UINT32_MAX, j = UINT32_MAX; /* no index, so behind them all */
  ab_json_is_index(x->as.text, &i);
  ab_json_is_index(y->as.text, &j);
  return i != j ? (i > j) - (i < j) : ab_slice_compare(x->as.text, y->as.text);
}

static void
write_object (encoder_t *encoder, int index, const sandbox_key_t *found, size_t count) {
  lua_State *L = encoder->L;
  sandbox_key_t *keys =
    lua_newuserdatauv(L, (count + 1) * sizeof(keys[0]), 0); /* `found` is used again below */
  if (count > 0) memcpy(keys, found, count * sizeof(keys[0]));
  for (size_t i = 0; i < count; i++) {
    if (keys[i].kind != KEY_STRING)
      luaL_error(L, "JSON cannot express a table that is neither a list nor keyed by strings");
  }
  qsort(keys, count, sizeof(keys[0]), encoder->form == AB_JSON_CANONICAL ? by_code_units : indices_first);

  write_text(encoder, "{");
  for (size_t i = 0; i < count; i++) {
    if (i > 0) write_text(encoder, ",");
    write_string(encoder, keys[i].as.text);
    write_text(encoder, ":");
    sandbox__key_push(L, &keys[i]);
    lua_rawget(L, index);
    write_value(encoder, -1);
    lua_pop(L, 1);
  }
  write_text(encoder, "}");
  lua_pop(L, 1);
}

static void
write_table (encoder_t *encoder, int index) {
  lua_State *L = encoder->L;
  sandbox_key_t *keys;
  bool is_list;
  if (encoder->depth == AB_JSON_DEPTH_MAX) luaL_error(L, "nested too deeply for JSON");
  encoder->depth++;
  luaL_checkstack(L, 6, NULL);
  sandbox__charge(L, CONTAINER_UNITS);
  size_t count = sandbox__keys(L, index, &keys, &is_list);
  uint64_t levels = 0;
  for (size_t rest = count; rest > 1; rest /= 2) levels++;
  sandbox__charge(L, count * levels);

  if (is_array(L, index)) {
    if (!is_list) luaL_error(L, "a JSON array has items 1, 2 and so on, and nothing else");
    write_list(encoder, index, count);
  } else if (is_list && count > 0) {
    write_list(encoder, index, count);
  } else {
    write_object(encoder, index, keys, count);
  }
  encoder->depth--;
}

static void
write_value (encoder_t *encoder, int index) {
  lua_State *L = encoder->L;
  index = lua_absindex(L, index);
  sandbox__charge(L, SCALAR_UNITS);
  sandbox__check_string(L, encoder->out->len);
  switch (lua_type(L, index)) {
  case LUA_TNIL:
  case LUA_TLIGHTUSERDATA:
    write_text(encoder, "null");
    return;
  case LUA_TBOOLEAN:
    write_text(encoder, lua_toboolean(L, index) ? "true" : "false");
    return;
  case LUA_TNUMBER:
    if (lua_isinteger(L, index)) {
      int err = ab_json_write_integer(encoder->out, lua_tointeger(L, index), encoder->form);
      check(encoder, err, "an integer beyond 2^53 - 1 exactly");
    } else {
      check(encoder, ab_json_write_number(encoder->out, lua_tonumber(L, index)), "NaN or an infinity");
    }
    return;
  case LUA_TSTRING:
    write_string(encoder, sandbox__bytes(L, index));
    return;
  case LUA_TTABLE:
    write_table(encoder, index);
    return;
  default:
    luaL_error(L, "JSON cannot express a %s", luaL_typename(L, index));
  }
}

void
sandbox__json_encode (lua_State *L, int index, ab_json_form_t form) {
  encoder_t encoder = {.L = L, .out = &sandbox__of(L)->text, .form = form};
  ab_buf_reset(encoder.out);
  write_value(&encoder, index);
}

static int
json_encode (lua_State *L) {
  luaL_checkany(L, 1);
  sandbox__json_encode(L, 1, AB_JSON_CANONICAL);
  sandbox__push_text(L);
  return 1;
}

static int
json_stringify (lua_State *L) {
  luaL_checkany(L, 1);
  sandbox__json_encode(L, 1, AB_JSON_ECMASCRIPT);
  sandbox__push_text(L);
  return 1;
}

/* Mark a list, or make an empty one. */
static int
json_array (lua_State *L) {
  if (lua_isnoneornil(L, 1)) {
    lua_settop(L, 0);
    lua_createtable(L, 0, 0);
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  if (lua_getmetatable(L, 1)) {
    lua_pop(L, 1);
    if (!is_array(L, 1)) return luaL_error(L, "a table with a metatable cannot be marked as an array");
    return 1;
  }
  push_array_mark(L);
  lua_setmetatable(L, 1);
  return 1;
}

const luaL_Reg sandbox__json_functions[] = {
  {"array", json_array},
  {"decode", json_decode},
  {"encode", json_encode},
  {"stringify", json_stringify},
  {NULL, NULL},
};

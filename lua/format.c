/* format.c: string.format without what differs between machines: addresses (%p), binary floats (%a), and the
 * text of NaN. */
#include "lua/libs.h"

#include <math.h>
#include <stdio.h>

#define ITEM_MAX 512 /* more than %99.99f of the largest double takes: 308 + 1 + 99 digits and a sign */

/* Two digits of width and precision each, as in Lua. */
typedef struct {
  char text[32]; /* for snprintf */
  size_t len;
  bool has_precision;
  char conversion;
} spec_t;

static const struct {
  char conversion;
  const char *flags;
  bool takes_precision;
} conversions[] = {
  {'c', "-", false},
  {'d', "-+0 ", true},
  {'i', "-+0 ", true},
  {'u', "-0", true},
  {'o', "-#0", true},
  {'x', "-#0", true},
  {'X', "-#0", true},
  {'e', "-+#0 ", true},
  {'E', "-+#0 ", true},
  {'f', "-+#0 ", true},
  {'g', "-+#0 ", true},
  {'G', "-+#0 ", true},
  {'s', "-", true},
  {'q', "", false},
};

static bool
is_digit (char c) {
  return c >= '0' && c <= '9';
}

/* From behind the % to behind the conversion. */
static const char *
read_spec (lua_State *L, const char *at, const char *end, spec_t *spec) {
  const char *start = at;
  char flags[8];
  size_t flag_count = 0;
  while (at < end && flag_count < sizeof(flags) - 1 && *at != 0 && strchr("-+ #0", *at) != NULL)
    flags[flag_count++] = *at++;
  flags[flag_count] = 0;
  for (int i = 0; i < 2 && at < end && is_digit(*at); i++) at++;
  bool has_width = at > start + flag_count;
  spec->has_precision = at < end && *at == '.';
  if (spec->has_precision) {
    at++;
    for (int i = 0; i < 2 && at < end && is_digit(*at); i++) at++;
  }
  spec->conversion = at < end ? *at : 0;
  const char *behind = at < end ? at + 1 : at;
  if (spec->conversion == 'p' || spec->conversion == 'a' || spec->conversion == 'A') {
    luaL_error(L, "%%%c is not available in 'format'", spec->conversion);
  }

  bool is_valid = false;
  for (size_t i = 0; i < sizeof(conversions) / sizeof(conversions[0]); i++) {
    if (conversions[i].conversion != spec->conversion || spec->conversion == 0) continue;
    is_valid = strspn(flags, conversions[i].flags) == flag_count;
    if (spec->has_precision && !conversions[i].takes_precision) is_valid = false;
    if (spec->conversion == 'q' && has_width) is_valid = false;
  }
  if (!is_valid) {
    lua_pushlstring(L, start, (size_t) (behind - start));
    luaL_error(L, "invalid conversion '%%%s' to 'format'", lua_tostring(L, -1));
  }

  size_t len = (size_t) (at - start);
  spec->text[0] = '%';
  memcpy(spec->text + 1, start, len);
  spec->len = 1 + len;
  return behind;
}

static const char *
finish_spec (spec_t *spec, const char *length_modifier, char conversion) {
  size_t len = strlen(length_modifier);
  memcpy(spec->text + spec->len, length_modifier, len);
  spec->text[spec->len + len] = conversion;
  spec->text[spec->len + len + 1] = 0;
  return spec->text;
}

/* The format is made of a checked specification, so it is no literal. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static void
add_integer (lua_State *L, luaL_Buffer *out, spec_t *spec, int arg) {
  lua_Integer value = luaL_checkinteger(L, arg);
  char *item = luaL_prepbuffsize(out, ITEM_MAX);
  int len = spec->conversion == 'c'
              ? snprintf(item, ITEM_MAX, finish_spec(spec, "", 'c'), (int) value)
              : snprintf(item, ITEM_MAX, finish_spec(spec, "ll", spec->conversion), (long long) value);
  luaL_addsize(out, (size_t) len);
}

static void
add_number (lua_State *L, luaL_Buffer *out, spec_t *spec, int arg) {
  double value = (double) luaL_checknumber(L, arg);
  if (isnan(value)) {
    luaL_addstring(out, "nan");
    return;
  }
  char *item = luaL_prepbuffsize(out, ITEM_MAX);
  luaL_addsize(out, (size_t) snprintf(item, ITEM_MAX, finish_spec(spec, "", spec->conversion), value));
}

static void
add_string (lua_State *L, luaL_Buffer *out, spec_t *spec, int arg) {
  sandbox__to_text(L, arg);
  ab_slice_t text = sandbox__bytes(L, -1);
  sandbox__check_string(L, (uint64_t) luaL_bufflen(out) + text.len);
  if (spec->len == 1 || (!spec->has_precision && text.len >= 100)) { /* as it is: no width is larger */
    luaL_addvalue(out);
    return;
  }
  luaL_argcheck(L, memchr(text.data, 0, text.len) == NULL, arg, "string contains zeros");
  char item[ITEM_MAX];
  int len = snprintf(item, sizeof(item), finish_spec(spec, "", 's'), (const char *) text.data);
  lua_pop(L, 1);
  luaL_addlstring(out, item, (size_t) len);
}

#pragma GCC diagnostic pop

/* A string that Lua reads back. */
static void
add_quoted (luaL_Buffer *out, ab_slice_t text) {
  luaL_addchar(out, '"');
  for (size_t i = 0; i < text.len; i++) {
    uint8_t c = text.data[i];
    if (c == '"' || c == '\\' || c == '\n') {
      luaL_addchar(out, '\\');
      luaL_addchar(out, (char) c);
    } else if (c < 0x20 || c == 0x7f) {
      bool digit_follows = i + 1 < text.len && is_digit((char) text.data[i + 1]);
      char escape[8];
      snprintf(escape, sizeof(escape), digit_follows ? "\\%03d" : "\\%d", c);
      luaL_addstring(out, escape);
    } else {
      luaL_addchar(out, (char) c);
    }
  }
  luaL_addchar(out, '"');
}

static void
add_literal (lua_State *L, luaL_Buffer *out, int arg) {
  switch (lua_type(L, arg)) {
  case LUA_TSTRING:
    sandbox__charge_bytes(L, 4 * lua_rawlen(L, arg));
    add_quoted(out, sandbox__bytes(L, arg));
    return;
  case LUA_TNUMBER: {
    char item[64];
    if (!lua_isinteger(L, arg)) luaL_argerror(L, arg, "%q of a float is not available");
    lua_Integer value = lua_tointeger(L, arg);
    snprintf(item, sizeof(item), value == LUA_MININTEGER ? "0x%llx" : "%lld", (long long) value);
    luaL_addstring(out, item);
    return;
  }
  case LUA_TNIL:
  case LUA_TBOOLEAN:
    sandbox__to_text(L, arg);
    luaL_addvalue(out);
    return;
  default:
    luaL_argerror(L, arg, "value has no literal form");
  }
}

int
sandbox__format (lua_State *L) {
  const int top = lua_gettop(L);
  size_t len;
  const char *at = luaL_checklstring(L, 1, &len), *end = at + len;
  int arg = 1;
  luaL_Buffer out;

  sandbox__charge(L, len / 16 + (uint64_t) top);
  luaL_buffinit(L, &out);
  while (at < end) {
    const char *percent = memchr(at, '%', (size_t) (end - at));
    if (percent == NULL) percent = end;
    luaL_addlstring(&out, at, (size_t) (percent - at));
    at = percent;
    if (at == end) break;
    at++;
    if (at < end && *at == '%') {
      luaL_addchar(&out, *at++);
      continue;
    }

    spec_t spec;
    at = read_spec(L, at, end, &spec);
    if (++arg > top) return luaL_argerror(L, arg, "no value");
    switch (spec.conversion) {
    case 'q':
      add_literal(L, &out, arg);
      break;
    case 's':
      add_string(L, &out, &spec, arg);
      break;
    case 'c':
    case 'd':
    case 'i':
    case 'u':
    case 'o':
    case 'x':
    case 'X':
      add_integer(L, &out, &spec, arg);
      break;
    default:
      add_number(L, &out, &spec, arg);
    }
  }
  luaL_pushresult(&out);
  return 1;
}

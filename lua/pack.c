/* pack.c: string.pack and its kin take only options that mean the same on every machine: explicit sizes up to
 * 8 bytes, and `<` or `>` before anything of more than one byte. */
#include "lua/libs.h"

#include <math.h>

typedef struct {
  lua_State *L;
  const char *at, *end;
  bool has_order;
  char option;
  uint64_t size; /* of i, I, s, c */
} format_t;

static uint64_t
read_size (format_t *format) {
  uint64_t size = 0;
  if (format->at == format->end || *format->at < '0' || *format->at > '9') {
    luaL_error(format->L, "format option '%c' needs a size", format->option);
  }
  for (; format->at < format->end && *format->at >= '0' && *format->at <= '9'; format->at++) {
    if (size <= UINT32_MAX) size = size * 10 + (uint64_t) (*format->at - '0');
  }
  return size;
}

/* The next option that stands for a value, or x; false at the end. */
static bool
next_option (format_t *format) {
  while (format->at < format->end) {
    bool needs_order = false;
    format->option = *format->at++;
    format->size = 1;
    switch (format->option) {
    case '<':
    case '>':
      format->has_order = true;
      continue;
    case ' ':
      continue;
    case 'b':
    case 'B':
    case 'x':
    case 'z':
      return true;
    case 'f':
    case 'd':
      format->size = format->option == 'f' ? 4 : 8;
      needs_order = true;
      break;
    case 'i':
    case 'I':
    case 's':
      format->size = read_size(format);
      if (format->size < 1 || format->size > 8) {
        luaL_error(format->L, "format option '%c' takes sizes from 1 to 8", format->option);
      }
      needs_order = format->size > 1;
      break;
    case 'c':
      format->size = read_size(format);
      return true;
    default:
      luaL_error(format->L, "format option '%c' is not available", format->option);
    }
    if (needs_order && !format->has_order) {
      luaL_error(format->L, "format option '%c' needs '<' or '>' before it", format->option);
    }
    return true;
  }
  return false;
}

static format_t
format_at (lua_State *L, int arg) {
  size_t len;
  const char *text = luaL_checklstring(L, arg, &len);
  sandbox__charge(L, len);
  return (format_t){.L = L, .at = text, .end = text + len};
}

static size_t
length_of (lua_State *L, int arg) {
  return lua_type(L, arg) == LUA_TSTRING ? lua_rawlen(L, arg) : 32; /* a number as text is shorter */
}

int
sandbox__guard_pack (lua_State *L) {
  format_t format = format_at(L, 1);
  int arg = 1;
  uint64_t total = 0;
  while (next_option(&format)) {
    total += format.size;
    if (format.option == 'x') continue;
    arg++;
    if (format.option == 's' || format.option == 'z') total += length_of(L, arg);
    sandbox__check_string(L, total);
    if ((format.option == 'f' || format.option == 'd') && isnan(lua_tonumber(L, arg))) {
      lua_pushnumber(L, (lua_Number) NAN); /* one of them for all */
      lua_replace(L, arg);
    }
  }
  sandbox__charge_bytes(L, total);
  return sandbox__go_on(L);
}

int
sandbox__guard_unpack (lua_State *L) {
  format_t format = format_at(L, 1);
  while (next_option(&format)) continue;
  return sandbox__go_on(L);
}

int
sandbox__guard_packsize (lua_State *L) {
  format_t format = format_at(L, 1);
  while (next_option(&format)) continue;
  return sandbox__go_on(L);
}

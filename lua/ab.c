/* ab.c: the table ab: lengths, powers, a generator of numbers, and composite keys.
 *
 * Keys are those of FoundationDB's tuple layer, of which only these parts are made:
 *
 *   01 bytes 00             a string; a zero byte in it is followed by ff
 *   14                      the integer 0
 *   14 + n, n bytes         a positive integer, big endian
 *   14 - n, n bytes         a negative one, complemented
 *
 * They sort like their parts, a shorter key before its extensions, integers before none and strings first.
 */
#include "hypercore/crypto.h"
#include "lua/libs.h"
#include "lua/order.h"

#define KEY_STRING_TAG 0x01
#define KEY_ZERO_TAG 0x14
#define POWER_MAX 1023

/* ---- lengths ---- */

static int
ab_len (lua_State *L) {
  lua_settop(L, 1);
  if (lua_type(L, 1) != LUA_TSTRING && luaL_getmetafield(L, 1, "__len") != LUA_TNIL) {
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    return 1;
  }
  lua_pushinteger(L, sandbox__length(L, 1));
  return 1;
}

void
sandbox__push_length (lua_State *L) {
  lua_pushcfunction(L, ab_len);
}

/* ---- powers ---- */

/* Integers wrap around, as they do in Lua; a power of a float, and a negative power, is a float. */
static int
ab_pow (lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n >= -POWER_MAX && n <= POWER_MAX, 2, "an integer from -1023 to 1023 expected");
  luaL_checknumber(L, 1);
  sandbox__charge(L, (uint64_t) (n < 0 ? -n : n) / 4);
  if (lua_isinteger(L, 1) && n >= 0) {
    lua_Unsigned power = 1, base = (lua_Unsigned) lua_tointeger(L, 1);
    for (lua_Integer i = 0; i < n; i++) power *= base;
    lua_pushinteger(L, (lua_Integer) power);
    return 1;
  }
  lua_Number power = 1, base = lua_tonumber(L, 1);
  for (lua_Integer i = 0; i < (n < 0 ? -n : n); i++) power *= base;
  lua_pushnumber(L, n < 0 ? 1 / power : power);
  return 1;
}

/* ---- numbers that look random: xoshiro256**, started from a hash of the seed ---- */

typedef struct {
  uint64_t words[4];
} generator_t;

static uint64_t
rotate (uint64_t word, int bits) {
  return word << bits | word >> (64 - bits);
}

static uint64_t
generate (generator_t *generator) {
  uint64_t *s = generator->words;
  uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotate(s[3], 45);
  return result;
}

/* 0 to `most`, all equally likely. */
static uint64_t
generate_up_to (generator_t *generator, uint64_t most) {
  uint64_t mask = most, value;
  for (int shift = 1; shift < 64; shift *= 2) mask |= mask >> shift;
  do value = generate(generator) & mask;
  while (value > most);
  return value;
}

static int
random_next (lua_State *L) {
  generator_t *generator = lua_touserdata(L, lua_upvalueindex(1));
  lua_Integer low = 1, high;
  switch (lua_gettop(L)) {
  case 0:
    lua_pushnumber(L, (lua_Number) (generate(generator) >> 11) * (1.0 / 9007199254740992.0)); /* 2^-53 */
    return 1;
  case 1:
    high = luaL_checkinteger(L, 1);
    break;
  default:
    low = luaL_checkinteger(L, 1);
    high = luaL_checkinteger(L, 2);
  }
  luaL_argcheck(L, low <= high, lua_gettop(L), "interval is empty");
  uint64_t offset = generate_up_to(generator, (uint64_t) high - (uint64_t) low);
  lua_pushinteger(L, (lua_Integer) ((uint64_t) low + offset));
  return 1;
}

/* ab.random(seed): a function like math.random, whose numbers follow from the seed, a string or an integer.
 */
static int
ab_random (lua_State *L) {
  uint8_t hash[AB_HASH_LEN];
  if (lua_type(L, 1) == LUA_TNUMBER) {
    luaL_checkinteger(L, 1);
    lua_pushfstring(L, "%I", (LUAI_UACINT) lua_tointeger(L, 1));
    lua_replace(L, 1);
  }
  ab_slice_t seed = sandbox__check_bytes(L, 1);
  sandbox__charge(L, 50 + seed.len / 16);
  ab_hash(hash, &seed, 1);
  generator_t *generator = lua_newuserdatauv(L, sizeof(*generator), 0);
  for (int i = 0; i < 4; i++) {
    generator->words[i] = 0;
    for (int k = 0; k < 8; k++) generator->words[i] |= (uint64_t) hash[8 * i + k] << (8 * k);
  }
  lua_pushcclosure(L, random_next, 1);
  return 1;
}

/* ---- composite keys ---- */

static void
write_byte (ab_buf_t *out, uint8_t byte) {
  ab_buf_append(out, ab_slice(&byte, 1));
}

static void
write_string (ab_buf_t *out, ab_slice_t text) {
  const uint8_t *at = text.data, *end = text.data + text.len;
  write_byte(out, KEY_STRING_TAG);
  while (at < end) {
    const uint8_t *zero = memchr(at, 0, (size_t) (end - at));
    const uint8_t *stop = zero == NULL ? end : zero + 1;
    ab_buf_append(out, ab_slice(at, (size_t) (stop - at)));
    if (zero != NULL) write_byte(out, 0xff);
    at = stop;
  }
  write_byte(out, 0);
}

static void
write_integer (ab_buf_t *out, lua_Integer integer) {
  bool is_negative = integer < 0;
  uint64_t magnitude = is_negative ? 0 - (uint64_t) integer : (uint64_t) integer;
  unsigned len = 0;
  while (len < 8 && magnitude >> (8 * len) != 0) len++;
  write_byte(out, (uint8_t) (is_negative ? KEY_ZERO_TAG - len : KEY_ZERO_TAG + len));
  for (unsigned i = len; i-- > 0;) {
    uint8_t byte = (uint8_t) (magnitude >> (8 * i));
    write_byte(out, is_negative ? (uint8_t) ~byte : byte);
  }
}

static int
ab_key (lua_State *L) {
  ab_buf_t *out = &sandbox__of(L)->text;
  const int count = lua_gettop(L);
  ab_buf_reset(out);
  for (int i = 1; i <= count; i++) {
    if (lua_isinteger(L, i)) {
      write_integer(out, lua_tointeger(L, i));
      sandbox__charge(L, 1);
    } else {
      if (lua_type(L, i) != LUA_TSTRING) return luaL_typeerror(L, i, "string or integer");
      ab_slice_t text = sandbox__bytes(L, i);
      sandbox__charge(L, 1 + text.len / 16);
      write_string(out, text);
    }
    sandbox__check_string(L, out->len);
  }
  sandbox__push_text(L);
  return 1;
}

/* From behind the tag; NULL if the string does not end. */
static const uint8_t *
push_string (lua_State *L, const uint8_t *at, const uint8_t *end) {
  ab_buf_t *out = &sandbox__of(L)->text;
  ab_buf_reset(out);
  for (;;) {
    const uint8_t *zero = at == end ? NULL : memchr(at, 0, (size_t) (end - at));
    if (zero == NULL) return NULL;
    ab_buf_append(out, ab_slice(at, (size_t) (zero - at)));
    at = zero + 1;
    if (at == end || *at != 0xff) break;
    write_byte(out, 0);
    at++;
  }
  sandbox__push_text(L);
  return at;
}

/* NULL if it is cut short, not the shortest form, or no int64_t. */
static const uint8_t *
push_integer (lua_State *L, uint8_t tag, const uint8_t *at, const uint8_t *end) {
  bool is_negative = tag < KEY_ZERO_TAG;
  unsigned len = is_negative ? KEY_ZERO_TAG - tag : tag - KEY_ZERO_TAG;
  uint64_t magnitude = 0;
  if ((size_t) (end - at) < len) return NULL;
  for (unsigned i = 0; i < len; i++) magnitude = magnitude << 8 | (is_negative ? (uint8_t) ~at[i] : at[i]);
  if (len > 0 && magnitude >> (8 * (len - 1)) == 0) return NULL;
  if (magnitude > (uint64_t) LUA_MAXINTEGER + is_negative) return NULL;
  lua_pushinteger(L, is_negative ? (lua_Integer) (0 - magnitude) : (lua_Integer) magnitude);
  return at + len;
}

static int
ab_unkey (lua_State *L) {
  ab_slice_t bytes = sandbox__check_bytes(L, 1);
  const uint8_t *at = bytes.data, *end = bytes.data + bytes.len;
  sandbox__charge_bytes(L, bytes.len);
  lua_settop(L, 1);
  while (at != NULL && at < end) {
    uint8_t tag = *at++;
    luaL_checkstack(L, 1, "too many parts");
    sandbox__charge(L, 1);
    if (tag == KEY_STRING_TAG) at = push_string(L, at, end);
    else if (tag >= KEY_ZERO_TAG - 8 && tag <= KEY_ZERO_TAG + 8) at = push_integer(L, tag, at, end);
    else at = NULL;
  }
  if (at != NULL) return lua_gettop(L) - 1;
  lua_pushnil(L);
  lua_pushliteral(L, "not a composite key");
  return 2;
}

const luaL_Reg sandbox__ab_functions[] = {
  {"key", ab_key},
  {"len", ab_len},
  {"pow", ab_pow},
  {"random", ab_random},
  {"unkey", ab_unkey},
  {NULL, NULL},
};

/* bytes.c: text forms of bytes, hashes and signatures: functions without state, the same on every machine. */
#include "hypercore/crypto.h"
#include "lua/libs.h"

#include <sodium.h>

#define VERIFY_UNITS 10000 /* about what one verification takes in instructions */

/* ---- encodings of so many bits per character ---- */

typedef struct {
  const char *name;
  const char *alphabet;
  unsigned bits;   /* per character */
  bool is_padded;  /* with =, to groups of four */
  bool folds_case; /* when reading */
} encoding_t;

static const encoding_t hex = {"hex", "0123456789abcdef", 4, false, true};
static const encoding_t z32 = {"z-base-32", "ybndrfg8ejkmcpqxot1uwisza345h769", 5, false, false};
static const encoding_t base64 = {
  "base64", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 6, true, false};

static int
encode (lua_State *L, const encoding_t *encoding) {
  ab_slice_t bytes = sandbox__check_bytes(L, 1);
  ab_buf_t *out = &sandbox__of(L)->text;
  uint32_t held = 0;
  unsigned bits = 0;
  size_t len = (bytes.len * 8 + encoding->bits - 1) / encoding->bits;

  sandbox__check_string(L, (uint64_t) len + 3);
  sandbox__charge_bytes(L, len);
  uint8_t *to = sandbox__make_text(L, len + 3);
  for (size_t i = 0; i < bytes.len; i++) {
    held = (held << 8 | bytes.data[i]) & 0xffff;
    for (bits += 8; bits >= encoding->bits;
         *to++ = (uint8_t) encoding->alphabet[held >> bits & ((1u << encoding->bits) - 1)])
      bits -= encoding->bits;
  }
  if (bits > 0)
    *to++ = (uint8_t) encoding->alphabet[held << (encoding->bits - bits) & ((1u << encoding->bits) - 1)];
  while (encoding->is_padded && (to - out->data) % 4 != 0) *to++ = '=';
  out->len = (size_t) (to - out->data);
  sandbox__push_text(L);
  return 1;
}

static int
value_of (const encoding_t *encoding, uint8_t c) {
  if (encoding->folds_case && c >= 'A' && c <= 'Z') c |= 0x20;
  const char *at = c == 0 ? NULL : strchr(encoding->alphabet, c);
  return at == NULL ? -1 : (int) (at - encoding->alphabet);
}

/* Only what encoding gives (hex in either case): one text for the same bytes. */
static bool
decode_into (const encoding_t *encoding, ab_slice_t text, uint8_t *to, size_t *len) {
  uint32_t held = 0;
  unsigned bits = 0;
  if (encoding->is_padded) {
    if (text.len % 4 != 0) return false;
    for (int i = 0; i < 2 && text.len > 0 && text.data[text.len - 1] == '='; i++) text.len--;
  }
  for (size_t i = 0; i < text.len; i++) {
    int value = value_of(encoding, text.data[i]);
    if (value < 0) return false;
    held = (held << encoding->bits | (uint32_t) value) & 0xffff;
    bits += encoding->bits;
    if (bits < 8) continue;
    bits -= 8;
    to[(*len)++] = (uint8_t) (held >> bits);
  }
  return bits < encoding->bits && (held & ((1u << bits) - 1)) == 0;
}

static int
decode (lua_State *L, const encoding_t *encoding) {
  ab_slice_t text = sandbox__check_bytes(L, 1);
  ab_buf_t *out = &sandbox__of(L)->text;
  size_t len = 0;
  sandbox__charge_bytes(L, text.len);
  uint8_t *to = sandbox__make_text(L, text.len + 1);
  if (!decode_into(encoding, text, to, &len)) {
    lua_pushnil(L);
    lua_pushfstring(L, "not %s", encoding->name);
    return 2;
  }
  out->len = len;
  sandbox__push_text(L);
  return 1;
}

static int
bytes_hex (lua_State *L) {
  return encode(L, &hex);
}

static int
bytes_unhex (lua_State *L) {
  return decode(L, &hex);
}

static int
bytes_z32 (lua_State *L) {
  return encode(L, &z32);
}

static int
bytes_unz32 (lua_State *L) {
  return decode(L, &z32);
}

static int
bytes_base64 (lua_State *L) {
  return encode(L, &base64);
}

static int
bytes_unbase64 (lua_State *L) {
  return decode(L, &base64);
}

/* ---- hashes and signatures ---- */

static void
charge_arguments (lua_State *L) {
  uint64_t units = 20;
  for (int i = 1; i <= lua_gettop(L); i++) units += 1 + sandbox__check_bytes(L, i).len / 16;
  sandbox__charge(L, units);
}

static int
bytes_blake2b (lua_State *L) {
  uint8_t hash[AB_HASH_LEN];
  ab_hasher_t hasher;
  charge_arguments(L);
  ab_hasher_init(&hasher);
  for (int i = 1; i <= lua_gettop(L); i++) ab_hasher_update(&hasher, sandbox__bytes(L, i));
  ab_hasher_final(&hasher, hash);
  sandbox__push_bytes(L, ab_slice(hash, sizeof(hash)));
  return 1;
}

static int
bytes_sha256 (lua_State *L) {
  uint8_t hash[crypto_hash_sha256_BYTES];
  crypto_hash_sha256_state state;
  charge_arguments(L);
  crypto_hash_sha256_init(&state);
  for (int i = 1; i <= lua_gettop(L); i++) {
    ab_slice_t bytes = sandbox__bytes(L, i);
    crypto_hash_sha256_update(&state, bytes.data, bytes.len);
  }
  crypto_hash_sha256_final(&state, hash);
  sandbox__push_bytes(L, ab_slice(hash, sizeof(hash)));
  return 1;
}

static int
bytes_ed25519_verify (lua_State *L) {
  ab_slice_t message = sandbox__check_bytes(L, 1), signature = sandbox__check_bytes(L, 2);
  ab_slice_t key = sandbox__check_bytes(L, 3);
  sandbox__charge(L, VERIFY_UNITS + message.len / 16);
  lua_pushboolean(L, key.len == sizeof(ab_key_t) && ab_verify(signature, message, key.data));
  return 1;
}

const luaL_Reg sandbox__bytes_functions[] = {
  {"base64", bytes_base64},
  {"blake2b", bytes_blake2b},
  {"ed25519_verify", bytes_ed25519_verify},
  {"hex", bytes_hex},
  {"sha256", bytes_sha256},
  {"unbase64", bytes_unbase64},
  {"unhex", bytes_unhex},
  {"unz32", bytes_unz32},
  {"z32", bytes_z32},
  {NULL, NULL},
};

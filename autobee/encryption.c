/* encryption.c: the keys of a database's cores. */
#include "autobee/encryption.h"

#include "autobee/record.h"
#include "hypercore/crypto.h"
#include "hypercore/manifest.h"

/* namespace("autobase", 1): block keys */
static const uint8_t ns_block[32] = {
  0x0c, 0x24, 0x6b, 0xa8, 0xc6, 0xb5, 0x78, 0x47, 0x9a, 0xc9, 0x48, 0xd3, 0x7b, 0xf9, 0x4a, 0x71,
  0x53, 0xa0, 0x53, 0x21, 0x63, 0x8b, 0x46, 0x53, 0x4b, 0x5a, 0x7f, 0x8f, 0xf7, 0x3b, 0x02, 0xd4,
};

/* namespace("autobase", 2): hash keys */
static const uint8_t ns_hash[32] = {
  0xc3, 0x88, 0xd1, 0xbc, 0x00, 0x23, 0x90, 0x09, 0xbe, 0x3d, 0xde, 0x0e, 0x44, 0x40, 0xad, 0x3c,
  0xa3, 0x41, 0x37, 0x6b, 0x89, 0xd9, 0x58, 0x43, 0xee, 0x54, 0x1b, 0xc3, 0x1b, 0xb9, 0x45, 0x11,
};

/* namespace("autobase/entropy", 0) */
static const uint8_t ns_entropy[32] = {
  0xa6, 0xfe, 0xa3, 0xa8, 0x77, 0x4f, 0xc9, 0x47, 0x9c, 0x09, 0xe6, 0xb3, 0x36, 0xfa, 0x1f, 0x72,
  0x6d, 0x90, 0xc7, 0x1c, 0xdc, 0xa9, 0x49, 0xc1, 0xff, 0x85, 0xba, 0x64, 0x46, 0x7b, 0xda, 0x5c,
};

#define NS(bytes) ab_slice(bytes, 32)
#define COUNT(parts) (sizeof(parts) / sizeof((parts)[0]))

void
autobee__encryption_key_1 (
  const encryption_t *encryption, const char *view, const ab_key_t *core, uint8_t out[32]
) {
  ab_slice_t secret = ab_slice(encryption->secret, sizeof(encryption->secret));
  if (view == ENCRYPTION_WRITER) {
    ab_slice_t parts[] = {NS(ab_ns_default_encryption), ab_key_slice(core), secret};
    ab_hash(out, parts, COUNT(parts));
  } else {
    ab_slice_t parts[] = {NS(ns_block), ab_key_slice(&encryption->database), secret, ab_text(view)};
    ab_hash(out, parts, COUNT(parts));
  }
}

void
autobee__encryption_key_2 (
  const encryption_t *encryption, const char *view, const ab_key_t *entropy, uint8_t out[32]
) {
  ab_slice_t database = ab_key_slice(&encryption->database);
  if (view == ENCRYPTION_WRITER) {
    ab_slice_t secret = ab_slice(encryption->secret, sizeof(encryption->secret));
    ab_slice_t parts[] = {NS(ns_block), database, secret, NS(ns_entropy), ab_key_slice(entropy)};
    ab_hash(out, parts, COUNT(parts));
  } else {
    ab_slice_t parts[] = {NS(ns_block), database, NS(ns_entropy), ab_text(view)};
    ab_hash(out, parts, COUNT(parts));
  }
}

/* Anchors, and writers made for it, are read with the namespace of their manifest in place of the core key.
 * User data that is not ours says nothing. */
static ab_key_t
entropy_of (const ab_manifest_t *manifest, const ab_key_t *core) {
  record_manifest_data_t data;
  if (!manifest->has_user_data) return *core;
  if (autobee__record_manifest_data_decode(manifest->user_data, &data) < 0) return *core;
  return data.has_namespace ? data.ns : *core;
}

static void
make_scheme_2 (const encryption_t *encryption, const char *view, const ab_key_t *entropy, ab_cipher_t *out) {
  memset(out, 0, sizeof(*out));
  out->scheme = AB_CIPHER_SCHEME_2;
  autobee__encryption_key_2(encryption, view, entropy, out->block_key);
  ab_slice_t parts[] = {NS(ns_hash), NS(out->block_key)};
  ab_hash(out->blinding_key, parts, COUNT(parts));
}

int
autobee__encryption_cipher (
  const encryption_t *encryption,
  const char *view,
  const ab_key_t *core,
  ab_slice_t manifest,
  ab_cipher_t *out
) {
  ab_arena_t arena = {0};
  ab_manifest_t parsed;

  if (manifest.len == 0) return AB_EREMOTE;
  int err = ab_manifest_parse(manifest, NULL, &arena, &parsed);
  if (err < 0) goto done;

  if (parsed.version < 2) {
    uint8_t block_key[32];
    autobee__encryption_key_1(encryption, view, core, block_key);
    ab_cipher_scheme_1(out, block_key);
    out->synthetic_padding = !encryption->reference_padding;
    ab_wipe(block_key, sizeof(block_key));
  } else {
    ab_key_t entropy = entropy_of(&parsed, core);
    make_scheme_2(encryption, view, &entropy, out);
  }

done:
  ab_arena_destroy(&arena);
  return err;
}

void
autobee__encryption_anchor (
  const encryption_t *encryption, const ab_key_t *ns, ab_slice_t message, ab_cipher_t *out
) {
  static const uint8_t room[AB_CIPHER_PADDING]; /* hashed where the padding will be */
  make_scheme_2(encryption, ENCRYPTION_WRITER, ns, out);
  ab_slice_t parts[] = {NS(ns_hash), ab_slice(room, sizeof(room)), message};
  ab_hash(out->blinding_key, parts, COUNT(parts));
}

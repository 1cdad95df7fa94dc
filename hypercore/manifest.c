/* manifest.c: manifests as bytes, their keys and their rules. */
#include "hypercore/manifest.h"

#include "hypercore/crypto.h"

#include <assert.h>

/*   version >= 1          uint version, uint flags, uint hash 0, uint quorum, list of signers,
 *                         [fixed32 prologue hash, uint length], [list of fixed32 linked], [buffer user data]
 *   version 0             uint 0, uint hash 0, uint type, then by type
 *     0 prologue only     fixed32 prologue hash
 *     1 one signer        signer
 *     2 signers           uint flags, uint quorum, list of signers
 *   signer                uint kind 0, fixed32 namespace, fixed32 public key
 */
enum { FLAG_PATCH = 1, FLAG_PROLOGUE = 2, FLAG_LINKED = 4, FLAG_USER_DATA = 8 };
enum { TYPE_PROLOGUE = 0, TYPE_SINGLE = 1, TYPE_SIGNERS = 2 };

#define HASH_BLAKE2B 0
#define SIGNATURE_ED25519 0
#define SIGNER_LEN 65
#define KEY_LEN 32

ab_signer_t
ab_signer (const uint8_t public_key[32]) {
  ab_signer_t signer;
  memcpy(signer.ns, ab_ns_default, sizeof(signer.ns));
  memcpy(signer.public_key, public_key, sizeof(signer.public_key));
  return signer;
}

/* ---- decoding ---- */

static void
read_zero (ab_reader_t *in) {
  if (ab_read_uint(in) != 0) ab_reader_fail(in);
}

static void
read_32 (ab_reader_t *in, uint8_t out[32]) {
  ab_slice_t bytes = ab_read_bytes(in, 32);
  if (bytes.data != NULL) memcpy(out, bytes.data, 32);
}

static int
read_signers (ab_reader_t *in, size_t count, ab_arena_t *arena, ab_manifest_t *out) {
  ab_signer_t *signers = ab_arena_zalloc(arena, count, sizeof(*signers));
  if (signers == NULL) return AB_ENOMEM;
  for (size_t i = 0; i < count; i++) {
    read_zero(in); /* the kind of signature */
    read_32(in, signers[i].ns);
    read_32(in, signers[i].public_key);
  }
  out->signers = signers;
  out->signer_count = count;
  return in->err;
}

static int
read_linked (ab_reader_t *in, ab_arena_t *arena, ab_manifest_t *out) {
  size_t count = ab_read_count(in, KEY_LEN);
  ab_key_t *linked = ab_arena_alloc(arena, count, sizeof(*linked));
  if (linked == NULL) return AB_ENOMEM;
  for (size_t i = 0; i < count; i++) ab_read_key(in, &linked[i]);
  out->has_linked = true;
  out->linked = linked;
  out->linked_count = count;
  return in->err;
}

static int
decode_version_0 (ab_reader_t *in, ab_arena_t *arena, ab_manifest_t *out) {
  read_zero(in); /* the hash */
  switch (ab_read_uint(in)) {
  case TYPE_PROLOGUE:
    out->has_prologue = true;
    read_32(in, out->prologue_hash);
    return in->err;
  case TYPE_SINGLE:
    out->quorum = 1;
    return read_signers(in, in->err == 0 ? 1 : 0, arena, out);
  case TYPE_SIGNERS:
    out->allow_patch = (ab_read_uint(in) & FLAG_PATCH) != 0;
    out->quorum = ab_read_uint(in);
    return read_signers(in, ab_read_count(in, SIGNER_LEN), arena, out);
  default:
    return ab_reader_fail(in);
  }
}

static int
decode_fields (ab_reader_t *in, ab_arena_t *arena, ab_manifest_t *out) {
  int err;
  uint64_t flags = ab_read_uint(in);
  out->allow_patch = (flags & FLAG_PATCH) != 0;
  read_zero(in); /* the hash */
  out->quorum = ab_read_uint(in);
  if ((err = read_signers(in, ab_read_count(in, SIGNER_LEN), arena, out)) < 0) return err;
  if ((flags & FLAG_PROLOGUE) != 0) {
    out->has_prologue = true;
    read_32(in, out->prologue_hash);
    out->prologue_length = ab_read_uint(in);
  }
  if ((flags & FLAG_LINKED) != 0 && (err = read_linked(in, arena, out)) < 0) return err;
  if ((flags & FLAG_USER_DATA) != 0) {
    out->has_user_data = true;
    err = ab_arena_copy(arena, ab_read_buffer(in), &out->user_data);
    if (err < 0) return err;
  }
  return in->err;
}

static int
decode (ab_reader_t *in, ab_arena_t *arena, ab_manifest_t *out, bool is_record) {
  *out = (ab_manifest_t){0};
  out->version = ab_read_uint(in);
  if (out->version > AB_MANIFEST_VERSION_MAX) ab_reader_fail(in);
  if (in->err < 0) return in->err;
  if (out->version == 0 && !is_record) return decode_version_0(in, arena, out);
  return decode_fields(in, arena, out);
}

int
ab_manifest_decode (ab_reader_t *in, ab_arena_t *arena, ab_manifest_t *out) {
  return decode(in, arena, out, false);
}

int
ab_manifest_decode_record (ab_reader_t *in, ab_arena_t *arena, ab_manifest_t *out) {
  return decode(in, arena, out, true);
}

int
ab_manifest_parse (ab_slice_t bytes, const ab_key_t *key, ab_arena_t *arena, ab_manifest_t *out) {
  ab_reader_t in = ab_reader(bytes);
  int err = ab_manifest_decode(&in, arena, out);
  if (err < 0) return err;
  if (out->quorum > out->signer_count) return AB_ECORRUPT;
  if (key != NULL) {
    ab_key_t found;
    if ((err = ab_manifest_key(out, &found)) < 0) return err;
    if (!ab_key_equal(&found, key)) return AB_ECHECKSUM;
  }
  return 0;
}

/* ---- encoding ---- */

static void
write_signer (ab_buf_t *out, const ab_signer_t *signer) {
  ab_write_uint(out, SIGNATURE_ED25519);
  ab_write_bytes(out, ab_slice(signer->ns, sizeof(signer->ns)));
  ab_write_bytes(out, ab_slice(signer->public_key, sizeof(signer->public_key)));
}

static void
write_signers (ab_buf_t *out, const ab_manifest_t *manifest) {
  ab_write_uint(out, manifest->signer_count);
  for (size_t i = 0; i < manifest->signer_count; i++) write_signer(out, &manifest->signers[i]);
}

static void
encode_version_0 (ab_buf_t *out, const ab_manifest_t *manifest) {
  ab_write_uint(out, HASH_BLAKE2B);
  if (manifest->has_prologue && manifest->signer_count == 0) {
    ab_write_uint(out, TYPE_PROLOGUE);
    ab_write_bytes(out, ab_slice(manifest->prologue_hash, sizeof(manifest->prologue_hash)));
  } else if (manifest->quorum == 1 && manifest->signer_count == 1 && !manifest->allow_patch) {
    ab_write_uint(out, TYPE_SINGLE);
    write_signer(out, &manifest->signers[0]);
  } else {
    ab_write_uint(out, TYPE_SIGNERS);
    ab_write_uint(out, manifest->allow_patch ? FLAG_PATCH : 0);
    ab_write_uint(out, manifest->quorum);
    write_signers(out, manifest);
  }
}

static void
encode_fields (ab_buf_t *out, const ab_manifest_t *manifest) {
  uint64_t flags = 0;
  if (manifest->allow_patch) flags |= FLAG_PATCH;
  if (manifest->has_prologue) flags |= FLAG_PROLOGUE;
  if (manifest->has_linked) flags |= FLAG_LINKED;
  if (manifest->has_user_data) flags |= FLAG_USER_DATA;
  ab_write_uint(out, flags);
  ab_write_uint(out, HASH_BLAKE2B);
  ab_write_uint(out, manifest->quorum);
  write_signers(out, manifest);
  if (manifest->has_prologue) {
    ab_write_bytes(out, ab_slice(manifest->prologue_hash, sizeof(manifest->prologue_hash)));
    ab_write_uint(out, manifest->prologue_length);
  }
  if (manifest->has_linked) {
    ab_write_uint(out, manifest->linked_count);
    for (size_t i = 0; i < manifest->linked_count; i++) ab_write_key(out, &manifest->linked[i]);
  }
  if (manifest->has_user_data) ab_write_buffer(out, manifest->user_data);
}

void
ab_manifest_encode (ab_buf_t *out, const ab_manifest_t *manifest) {
  ab_write_uint(out, manifest->version);
  if (manifest->version == 0) encode_version_0(out, manifest);
  else encode_fields(out, manifest);
}

void
ab_manifest_encode_record (ab_buf_t *out, const ab_manifest_t *manifest) {
  ab_write_uint(out, manifest->version);
  encode_fields(out, manifest);
}

int
ab_manifest_key (const ab_manifest_t *manifest, ab_key_t *key) {
  ab_buf_t encoded = {0};
  ab_manifest_encode(&encoded, manifest);
  int err = encoded.err;
  if (err == 0) {
    ab_slice_t parts[2] = {ab_slice(ab_ns_manifest, sizeof(ab_ns_manifest)), ab_buf_slice(&encoded)};
    ab_hash(key->bytes, parts, 2);
  }
  ab_buf_destroy(&encoded);
  return err;
}

/* ---- fields ---- */

int
ab_manifest_copy (const ab_manifest_t *manifest, ab_arena_t *arena, ab_manifest_t *out) {
  ab_manifest_t copy = *manifest;
  if (copy.signer_count > 0) {
    ab_signer_t *signers = ab_arena_alloc(arena, copy.signer_count, sizeof(*signers));
    if (signers == NULL) return AB_ENOMEM;
    memcpy(signers, copy.signers, copy.signer_count * sizeof(*signers));
    copy.signers = signers;
  }
  if (copy.linked_count > 0) {
    ab_key_t *linked = ab_arena_alloc(arena, copy.linked_count, sizeof(*linked));
    if (linked == NULL) return AB_ENOMEM;
    memcpy(linked, copy.linked, copy.linked_count * sizeof(*linked));
    copy.linked = linked;
  }
  if (copy.has_user_data && ab_arena_copy(arena, copy.user_data, &copy.user_data) < 0) return AB_ENOMEM;
  *out = copy;
  return 0;
}

int
ab_manifest_check (const ab_manifest_t *manifest) {
  if (manifest->version > AB_MANIFEST_VERSION_MAX) return AB_EINVAL;
  if (manifest->quorum > manifest->signer_count) return AB_EINVAL;
  if (manifest->has_prologue && manifest->prologue_length > AB_MAX_SAFE) return AB_EINVAL;
  if (manifest->version < 2) {
    if (manifest->has_user_data) return AB_EINVAL;
    if (manifest->has_linked && manifest->linked_count > 0) return AB_EINVAL;
  }
  return 0;
}

int
ab_manifest_normalize (ab_manifest_t *manifest) {
  if (manifest->linked_count == 0) manifest->has_linked = false;
  if (manifest->version == AB_MANIFEST_AUTO) {
    manifest->version = manifest->has_linked || manifest->has_user_data ? 2 : 1;
  }
  if (manifest->quorum == AB_MANIFEST_AUTO) {
    manifest->quorum = manifest->signer_count == 0 ? 0 : manifest->signer_count / 2 + 1;
  }
  return ab_manifest_check(manifest);
}

void
ab_manifest_default (const uint8_t public_key[32], ab_signer_t *signer, ab_manifest_t *out) {
  *signer = ab_signer(public_key);
  *out = (ab_manifest_t){.version = 1, .quorum = 1, .signers = signer, .signer_count = 1};
}

bool
ab_manifest_is_compat (const ab_manifest_t *manifest, const ab_key_t *key) {
  return manifest->signer_count == 1 &&
         memcmp(manifest->signers[0].public_key, key->bytes, sizeof(key->bytes)) == 0;
}

uint64_t
ab_manifest_prologue (const ab_manifest_t *manifest, const ab_key_t *key) {
  return manifest->has_prologue && !ab_manifest_is_compat(manifest, key) ? manifest->prologue_length : 0;
}

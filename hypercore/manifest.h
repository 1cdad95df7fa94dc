/* manifest.h: who may sign a core, and how. The hash of a manifest is the core's key. Shared by our folders.
 *
 * Invariant  the key comes from the encoded form, never from bytes as received: long integers, unknown flags
 *            and trailing bytes vanish when a manifest is encoded again
 */
#ifndef AB_MANIFEST_H
#define AB_MANIFEST_H

#include "hypercore/ab.h"
#include "hypercore/buf.h"
#include "hypercore/encoding.h"

#define AB_MANIFEST_VERSION_MAX 3

/* For ab_manifest_normalize: "what is usual here". Not a value of the format. */
#define AB_MANIFEST_AUTO UINT64_MAX

typedef struct {
  uint8_t ns[32]; /* separates uses of one key pair */
  uint8_t public_key[32];
} ab_signer_t; /* always ed25519 */

typedef struct {
  uint64_t version; /* 0 to 3 */
  bool allow_patch; /* signers may have signed a longer tree */
  uint64_t quorum;  /* how many different signers must sign */
  const ab_signer_t *signers;
  size_t signer_count;
  bool has_prologue; /* the core begins with `prologue_length` blocks of this tree hash */
  uint8_t prologue_hash[32];
  uint64_t prologue_length; /* 0 after reading version 0, which does not store it */
  bool has_linked;          /* present and empty differs from absent */
  const ab_key_t *linked;
  size_t linked_count;
  bool has_user_data;
  ab_slice_t user_data;
} ab_manifest_t; /* lists and user data are borrowed from an arena or the caller */

/** A signer in the default namespace. */
ab_signer_t
ab_signer (const uint8_t public_key[32]);

/**
 * Read a manifest and leave the reader behind it. Only the version, the hash, the kind of the signatures and
 * (version 0) the type are checked.
 *
 * out  lists and user data are copied into the arena; not meaningful after an error
 *
 * Returns 0, AB_ECORRUPT (`in` is marked failed) or AB_ENOMEM.
 */
int
ab_manifest_decode (ab_reader_t *in, ab_arena_t *arena, ab_manifest_t *out);

/**
 * Decode a manifest that came inside application data. `key` may be NULL; trailing bytes are ignored.
 * Returns 0, AB_ECORRUPT (does not decode, or a quorum above the number of signers), AB_ECHECKSUM (not the
 * manifest of `key`) or AB_ENOMEM.
 */
int
ab_manifest_parse (ab_slice_t bytes, const ab_key_t *key, ab_arena_t *arena, ab_manifest_t *out);

/** The form that is hashed and sent. Version 0 loses the length of a prologue, and a prologue next to
 * signers. */
void
ab_manifest_encode (ab_buf_t *out, const ab_manifest_t *manifest);

/** A form that loses nothing, for storage: that of version 1 and up for all versions. */
void
ab_manifest_encode_record (ab_buf_t *out, const ab_manifest_t *manifest);
int
ab_manifest_decode_record (ab_reader_t *in, ab_arena_t *arena, ab_manifest_t *out);

/** The core key: H(MANIFEST ‖ encoded). Returns 0 or AB_ENOMEM. */
int
ab_manifest_key (const ab_manifest_t *manifest, ab_key_t *key);

/** Deep copy into the arena; `out` may be the input. Returns 0 or AB_ENOMEM. */
int
ab_manifest_copy (const ab_manifest_t *manifest, ab_arena_t *arena, ab_manifest_t *out);

/** Do the fields fit together? A manifest made here and one learnt from a proof must. Returns 0 or AB_EINVAL.
 */
int
ab_manifest_check (const ab_manifest_t *manifest);

/**
 * Complete a manifest made by hand: `version` and `quorum` may be AB_MANIFEST_AUTO, an empty list of linked
 * cores becomes absent. Returns what ab_manifest_check says.
 */
int
ab_manifest_normalize (ab_manifest_t *manifest);

/** Version 1 with one signer in the default namespace. `signer` is the storage it refers to. */
void
ab_manifest_default (const uint8_t public_key[32], ab_signer_t *signer, ab_manifest_t *out);

/** Is this the manifest of a compat core: its only signer's public key is the core key? */
bool
ab_manifest_is_compat (const ab_manifest_t *manifest, const ab_key_t *key);

/** Blocks that every core of this manifest begins with; 0 without a prologue and for compat cores. */
uint64_t
ab_manifest_prologue (const ab_manifest_t *manifest, const ab_key_t *key);

#endif

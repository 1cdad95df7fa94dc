/* encryption.h: which keys encrypt the cores of a database. Private to autobee/.
 *
 *   manifest version   0, 1: scheme 1                   2 and up: scheme 2
 *   writer             H(DEF ‖ core ‖ secret)           H(NSB ‖ database ‖ secret ‖ GEN ‖ core or namespace)
 *   view, system       H(NSB ‖ database ‖ secret ‖ n)   H(NSB ‖ database ‖ GEN ‖ n)
 *
 *   n is the name of the view. The namespace, if there is one, is in the manifest's user data. The view and
 * system keys of scheme 2 do not contain the secret: whoever knows the database key can read these cores.
 * That is how the format is; new databases use manifest version 1.
 *
 * Invariant  a cipher is made from a known manifest, never guessed: the version decides the scheme
 * To change  nothing here without reading autobee.md 18: other peers derive the same keys
 */
#ifndef AUTOBEE_ENCRYPTION_H
#define AUTOBEE_ENCRYPTION_H

#include "hypercore/ab.h"
#include "hypercore/encryption.h"

/* What a core holds: oplog messages, or the view of this name. */
#define ENCRYPTION_WRITER NULL /* local, bootstrap and other writers' cores; anchors */
#define ENCRYPTION_VIEW "view"
#define ENCRYPTION_SYSTEM "_system"

typedef struct {
  ab_key_t database;
  uint8_t secret[32];
  bool reference_padding; /* pad as the original does: conformance only, see hypercore/encryption.h */
} encryption_t;           /* secret: ab_wipe it */

/**
 * The cipher of one core of an encrypted database.
 *
 * view      ENCRYPTION_WRITER, ENCRYPTION_VIEW or ENCRYPTION_SYSTEM
 * core      its key
 * manifest  as hypercore_manifest gives it; of an own or a foreign core
 *
 * Wipe `out` after handing it to hypercore_set_cipher. Returns 0, AB_EREMOTE (the manifest is empty: not
 * known yet), AB_ECORRUPT (it does not decode) or AB_ENOMEM.
 */
int
autobee__encryption_cipher (
  const encryption_t *encryption,
  const char *view,
  const ab_key_t *core,
  ab_slice_t manifest,
  ab_cipher_t *out
);

/** The cipher that makes an anchor's block of `message`: scheme 2 whatever else the database uses. It reads
 * like any other; its padding depends on the message alone, so that every peer makes the same block. Wipe
 * `out`. */
void
autobee__encryption_anchor (
  const encryption_t *encryption, const ab_key_t *ns, ab_slice_t message, ab_cipher_t *out
);

/** Scheme 1: the block key of a core. */
void
autobee__encryption_key_1 (
  const encryption_t *encryption, const char *view, const ab_key_t *core, uint8_t out[32]
);
/** Scheme 2; `entropy` is the core key or the namespace (writers and anchors only). */
void
autobee__encryption_key_2 (
  const encryption_t *encryption, const char *view, const ab_key_t *entropy, uint8_t out[32]
);

#endif

/* anchor.h: cores of one block that link one node. Private to autobee/, and pure.
 *
 *   block      the message: timestamp 0, one link, a null value; in an encrypted database encrypted
 *   manifest   version 2, no signers: the tree of the block is its prologue, the namespace its user data
 *   namespace  H(writer ‖ u64 length)
 *
 * Invariant  whoever applies the node makes the same anchor, to the byte: nobody signs it
 */
#ifndef AUTOBEE_ANCHOR_H
#define AUTOBEE_ANCHOR_H

#include "hypercore/ab.h"
#include "hypercore/buf.h"

#include "autobee/encryption.h"

typedef struct {
  ab_key_t key;
  ab_buf_t manifest; /* encoded */
  ab_buf_t block;    /* as stored */
} anchor_t;          /* starts from {0} */

/** Make the anchor of `node` (a message of version 3). `encryption` NULL: the database is plain. Returns 0 or
 * AB_ENOMEM; destroy `out` in both cases. */
int
autobee__anchor_make (const encryption_t *encryption, const ab_head_t *node, anchor_t *out);
void
autobee__anchor_destroy (anchor_t *anchor);

/** What stands in the user data of the anchor's manifest, and in place of a core key in its block key. */
void
autobee__anchor_namespace (const ab_head_t *node, ab_key_t *out);

#endif

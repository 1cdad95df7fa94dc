/* secret.h: what must not be in the data file. Private to hypercore/.
 *
 *   DIR/secret, mode 0600, text, one item a line:
 *     autobee secret 1
 *     primary HEX64                the key that all named cores follow from
 *     pair HEX64 HEX128            a given key pair: public key, secret key
 *     value HEXNAME HEX            bytes a user asked to be kept, for example an encryption key
 *     end                          so that a cut file is noticed
 *
 * It is replaced as a whole: temporary file, fsync, rename, fsync of the folder. Its presence also says that
 * the store was made completely.
 */
#ifndef AB_SECRET_H
#define AB_SECRET_H

#include "hypercore/ab.h"
#include "hypercore/buf.h"

#define AB__SECRET_VALUE_MAX 65536

typedef struct {
  char *name;
  ab_buf_t value;
} ab__secret_value_t;

typedef struct {
  ab_key_t primary;
  ab_key_pair_t *pairs;
  size_t pair_count;
  ab__secret_value_t *values;
  size_t value_count;
  bool changed; /* differs from the file */
} ab__secret_t;

/** Wipe and free. */
void
ab__secret_destroy (ab__secret_t *secret);

/** Read DIR/secret. Returns 0, AB_ENOTFOUND (no such file), AB_ECORRUPT, AB_EVERSION, AB_EDENIED, AB_EIO or
 * AB_ENOMEM. */
int
ab__secret_load (const char *dir, ab__secret_t *secret);

/** Write DIR/secret if it changed. Durable when it returns 0. Returns 0, AB_ENOSPC, AB_EDENIED, AB_EIO or
 * AB_ENOMEM; after an error the old file is still there. */
int
ab__secret_save (const char *dir, ab__secret_t *secret);

/** Make the names in a folder durable. Returns 0, AB_EDENIED or AB_EIO. */
int
ab__sync_dir (const char *dir);

/** The text of the file. Errors stick in `out`. */
void
ab__secret_encode (ab_buf_t *out, const ab__secret_t *secret);
/** Read it into an empty object; the text is destroyed on the way. After an error the object has to be
 * destroyed. Returns 0, AB_ECORRUPT, AB_EVERSION or AB_ENOMEM. */
int
ab__secret_decode (ab__secret_t *secret, uint8_t *text, size_t len);

/** The pair of a public key, or NULL. */
const ab_key_pair_t *
ab__secret_pair (const ab__secret_t *secret, const uint8_t public_key[32]);

/** Returns 0 or AB_ENOMEM. */
int
ab__secret_add_pair (ab__secret_t *secret, const ab_key_pair_t *pair);

/** A kept value; data NULL: none. */
ab_slice_t
ab__secret_value (const ab__secret_t *secret, const char *name);

/** Keep a value; data NULL forgets it. Returns 0 or AB_ENOMEM. */
int
ab__secret_set_value (ab__secret_t *secret, const char *name, ab_slice_t value);

#endif

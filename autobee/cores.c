#include "autobee/cores.h"

#include <stdlib.h>

#include "autobee/record.h"
#include "autobee/replicate.h"
#include "hypercore/crypto.h"

#define KEY_CHECK \
  "autobee/key-check" /* ours: the database is encrypted, and whether a secret is the right one */

int
autobee__set_user_data (hypercore_t *core, const char *name, ab_slice_t value) {
  ab_slice_t stored;
  int err = hypercore_user_data(core, name, &stored);
  if (err < 0 && err != AB_ENOTFOUND) return err;
  if (err == 0 && ab_slice_equal(stored, value)) return 0;
  if (ab_store_options(hypercore_store(core))->read_only) return 0;
  return hypercore_set_user_data(core, name, value);
}

/* A key under one of two names; AB_ENOTFOUND. */
static int
stored_key (hypercore_t *core, const char *name, const char *older, ab_key_t *out) {
  ab_slice_t stored;
  int err = hypercore_user_data(core, name, &stored);
  if (err == AB_ENOTFOUND && older != NULL) err = hypercore_user_data(core, older, &stored);
  if (err < 0) return err;
  if (stored.len != sizeof(out->bytes)) return AB_ECORRUPT;
  memcpy(out->bytes, stored.data, stored.len);
  return 0;
}

static int
open_by_key (autobee_t *db, const ab_key_t *key, bool in_group, hypercore_t **out) {
  hypercore_options_t options = hypercore_options_default();
  options.key = key;
  if (in_group) options.group = &db->discovery_key;
  return hypercore_open(db->store, &options, out);
}

/* The key pair's core, else the one named `local`. */
static int
open_own (autobee_t *db, hypercore_t **out) {
  hypercore_options_t options = hypercore_options_default();
  if (db->options.key_pair != NULL) {
    options.key_pair = db->options.key_pair;
  } else {
    options.name = ab_text("local");
    options.namespace_key = &db->namespace_key;
  }
  return hypercore_open(db->store, &options, out);
}

static int
open_bootstrap (autobee_t *db, const ab_key_t *key) {
  db->key = *key;
  ab_discovery_key(&db->discovery_key, key);
  return open_by_key(db, key, true, &db->bootstrap);
}

static int
open_local_of (autobee_t *db, hypercore_t **local) {
  if (db->options.key_pair != NULL) return open_own(db, local);
  ab_key_t stored;
  int err = stored_key(db->bootstrap, "autobee/local", "autobase/local", &stored);
  if (err == 0) return open_by_key(db, &stored, false, local);
  if (err != AB_ENOTFOUND) return err;
  if (hypercore_is_writable(db->bootstrap)) {
    *local = hypercore_retain(db->bootstrap);
    return 0;
  }
  return open_own(db, local);
}

/* No key: the database that the own core belongs to, or a new one. */
static int
open_unnamed (autobee_t *db, hypercore_t **local) {
  int err = open_own(db, local);
  if (err == AB_ENOTFOUND && ab_store_options(db->store)->read_only) {
    return ab_store_fail(
      db->store,
      err,
      "the store has no database in this namespace, and is open read-only, so none can be made"
    );
  }
  if (err < 0) return err;
  ab_key_t key;
  err = stored_key(*local, "referrer", NULL, &key);
  if (err == AB_ENOTFOUND) key = *hypercore_key(*local);
  else if (err < 0) return err;
  if ((err = open_bootstrap(db, &key)) < 0 || db->options.key_pair != NULL) return err;

  /* it may have been rotated (T3) */
  ab_key_t stored;
  err = stored_key(db->bootstrap, "autobee/local", "autobase/local", &stored);
  if (err == AB_ENOTFOUND || (err == 0 && ab_key_equal(&stored, hypercore_key(*local)))) return 0;
  if (err < 0) return err;
  hypercore_close(*local);
  *local = NULL;
  return open_by_key(db, &stored, false, local);
}

static int
check_referrer (autobee_t *db, hypercore_t *local) {
  ab_key_t stored, own;
  int err = stored_key(local, "referrer", NULL, &stored);
  if (err == AB_ENOTFOUND) {
    /* none on the core of a creator that was never opened by key; its local writer is noted on it */
    err = stored_key(local, "autobee/local", "autobase/local", &own);
    if (err == AB_ENOTFOUND) return 0;
    stored = *hypercore_key(local);
  }
  if (err < 0 || ab_key_equal(&stored, &db->key)) return err;
  char expected[AB_KEY_TEXT_LEN + 1], found[AB_KEY_TEXT_LEN + 1];
  ab_key_to_text(&db->key, expected);
  ab_key_to_text(&stored, found);
  return ab_store_fail(
    db->store, AB_ECONFLICT, "this namespace of the store belongs to database %s, not to %s", found, expected
  );
}

/* ---- encryption ---- */

static void
key_check (const autobee_t *db, uint8_t out[32]) {
  ab_slice_t parts[] = {
    ab_text("autobee key check"), ab_key_slice(&db->key), ab_slice(db->encryption.secret, 32)};
  ab_hash(out, parts, 3);
}

/* The secret that was kept on request: in the store's secrets file, or as user data as the original does. */
static int
kept_secret (autobee_t *db, hypercore_t *local, ab_slice_t *out) {
  char name[16 + AB_KEY_TEXT_LEN + 1] = "autobee/secret/";
  ab_key_to_text(&db->key, name + strlen(name));
  int err = hypercore_user_data(local, "autobee/encryption", out);
  if (err == AB_ENOTFOUND) err = ab_store_secret(db->store, name, out);
  return err;
}

static int
keep_secret (autobee_t *db, hypercore_t *local) {
  ab_slice_t secret = ab_slice(db->encryption.secret, 32), kept;
  if (db->options.conformance) return autobee__set_user_data(local, "autobee/encryption", secret);
  int err = kept_secret(db, local, &kept);
  if (err != AB_ENOTFOUND || ab_store_options(db->store)->read_only) return err == AB_ENOTFOUND ? 0 : err;
  char name[16 + AB_KEY_TEXT_LEN + 1] = "autobee/secret/";
  ab_key_to_text(&db->key, name + strlen(name));
  return ab_store_set_secret(db->store, name, secret);
}

static int
key_fail (autobee_t *db, const char *what) {
  char text[AB_KEY_TEXT_LEN + 1];
  ab_key_to_text(&db->key, text);
  return ab_store_fail(db->store, AB_EKEY, "database %s %s", text, what);
}

/* Which secret, if any: the stored one, else the option; and is it the one the database was made with? */
static int
find_secret (autobee_t *db, hypercore_t *local) {
  ab_slice_t stored;
  uint8_t check[32] = {0};
  int err = hypercore_user_data(local, KEY_CHECK, &stored);
  if (err < 0 && err != AB_ENOTFOUND) return err;
  bool has_check = err == 0;
  if (has_check && stored.len != sizeof(check)) return AB_ECORRUPT;
  if (has_check) memcpy(check, stored.data, sizeof(check));

  err = kept_secret(db, local, &stored);
  if (err < 0 && err != AB_ENOTFOUND) return err;
  bool is_stored = err == 0;
  if (is_stored && stored.len != 32) return AB_ECORRUPT;
  const ab_key_t *given = db->options.encryption_key;
  if (!is_stored && given == NULL) {
    if (!has_check) return 0;
    return key_fail(db, "is encrypted: give its encryption key");
  }

  db->is_encrypted = true;
  db->encryption.database = db->key;
  db->encryption.reference_padding = db->options.conformance;
  memcpy(db->encryption.secret, is_stored ? stored.data : given->bytes, 32);
  bool differs = is_stored && given != NULL && memcmp(db->encryption.secret, given->bytes, 32) != 0;

  uint8_t expected[32];
  key_check(db, expected);
  if (differs || (has_check && memcmp(check, expected, 32) != 0)) {
    return key_fail(db, "has another encryption key than the one given");
  }
  if (is_stored || has_check) return 0;
  if (ab_store_options(db->store)->manifest_version >= 2 && !db->options.readable_views && local == db->bootstrap) {
    return ab_store_fail(
      db->store, AB_ENOTSUP, "with manifest version 2 view and system are readable without the encryption key"
    );
  }
  err = hypercore_user_data(local, "autobee/head", &stored);
  if (err == 0 || hypercore_length(local) > 0) {
    return key_fail(db, "is not encrypted: open it without an encryption key");
  }
  return err == AB_ENOTFOUND ? 0 : err;
}

int
autobee__local_marks (autobee_t *db, hypercore_t *local, bool referrer) {
  int err;
  if (referrer && (err = autobee__set_user_data(local, "referrer", ab_key_slice(&db->key))) < 0) return err;
  if (!db->is_encrypted) return 0;
  uint8_t check[32];
  key_check(db, check);
  if ((err = autobee__set_user_data(local, KEY_CHECK, ab_slice(check, sizeof(check)))) < 0) return err;
  return db->options.store_encryption_key ? keep_secret(db, local) : 0;
}

static int
set_cipher (autobee_t *db, const char *kind, hypercore_t *core) {
  if (!db->is_encrypted) return 0;
  ab_cipher_t cipher;
  int err =
    autobee__encryption_cipher(&db->encryption, kind, hypercore_key(core), hypercore_manifest(core), &cipher);
  if (err < 0) return err;
  hypercore_set_cipher(core, &cipher);
  ab_wipe(&cipher, sizeof(cipher));
  return 0;
}

int
autobee__writer_cipher (autobee_t *db, hypercore_t *core, bool *has) {
  if (*has || !db->is_encrypted) return 0;
  int err = set_cipher(db, ENCRYPTION_WRITER, core);
  if (err == 0) *has = true;
  return err;
}

/* ---- the system and the view ---- */

static int
open_bee_core (autobee_t *db, const char *kind, hypercore_t **out) {
  ab_key_t ns;
  corestore_namespace(&db->namespace_key, ab_text(kind), &ns);
  hypercore_options_t options = hypercore_options_default();
  options.name = ab_text("bee");
  options.namespace_key = &ns;
  options.signing = HYPERCORE_SIGN_ON_DEMAND;
  return hypercore_open(db->store, &options, out);
}

static int
mark_cores (autobee_t *db, hypercore_t *local, bool was_named) {
  int err = autobee__set_user_data(db->bootstrap, "autobee/local", ab_key_slice(hypercore_key(local)));
  if (err < 0) return err;
  if (was_named) {
    err = autobee__set_user_data(db->bootstrap, "referrer", ab_key_slice(&db->key));
    if (err < 0) return err;
  }
  return autobee__local_marks(db, local, was_named);
}

int
autobee__cores_open (autobee_t *db, const ab_key_t *key, hypercore_t **local) {
  int err;
  *local = NULL;
  if (key != NULL) {
    if ((err = open_bootstrap(db, key)) < 0) return err;
    if ((err = open_local_of(db, local)) < 0) return err;
    if ((err = check_referrer(db, *local)) < 0) return err;
  } else if ((err = open_unnamed(db, local)) < 0) {
    return err;
  }

  if ((err = find_secret(db, *local)) < 0) return err;
  if ((err = mark_cores(db, *local, key != NULL || db->options.key_pair != NULL)) < 0) return err;
  if ((err = open_bee_core(db, "system", &db->system_core)) < 0) return err;
  if ((err = open_bee_core(db, "view", &db->view_core)) < 0) return err;
  if ((err = set_cipher(db, ENCRYPTION_WRITER, *local)) < 0) return err;
  if ((err = set_cipher(db, ENCRYPTION_SYSTEM, db->system_core)) < 0) return err;
  return set_cipher(db, ENCRYPTION_VIEW, db->view_core);
}

/* ---- cores of other peers, that a head led into ---- */

static void
foreign_changed (void *data, hypercore_t *core) {
  autobee_t *db = data;
  (void) core;
  db->has_arrivals = db->forward.has_news = true;
  db->arrivals++;
  db->is_bumped = true;
}

int
autobee__keep_core (autobee_t *db, hypercore_t *core) {
  for (foreign_t *foreign = db->foreign; foreign != NULL; foreign = foreign->next) {
    if (foreign->core == core) return 0;
  }
  foreign_t *foreign = calloc(1, sizeof(*foreign));
  if (foreign == NULL) return AB_ENOMEM;
  foreign->core = hypercore_retain(core);
  foreign->listener.changed = foreign_changed;
  foreign->listener.data = db;
  hypercore_listen(core, &foreign->listener);
  foreign->next = db->foreign;
  db->foreign = foreign;
  return autobee__replicate_core(db, core);
}

static int
open_foreign (autobee_t *db, const char *kind, const ab_key_t *key, hypercore_t **out) {
  int err = open_by_key(db, key, false, out);
  if (err < 0) return err;
  db->has_foreign_heads = true;
  if ((err = autobee__keep_core(db, *out)) == 0) err = set_cipher(db, kind, *out);
  if (err < 0) hypercore_close(*out);
  return err;
}

int
autobee__open_system_core (void *data, const ab_key_t *key, hypercore_t **out) {
  return open_foreign(data, ENCRYPTION_SYSTEM, key, out);
}

int
autobee__open_view_core (void *data, const ab_key_t *key, hypercore_t **out) {
  return open_foreign(data, ENCRYPTION_VIEW, key, out);
}

void
autobee__cores_close (autobee_t *db) {
  while (db->foreign != NULL) {
    foreign_t *foreign = db->foreign;
    db->foreign = foreign->next;
    hypercore_unlisten(&foreign->listener);
    hypercore_close(foreign->core);
    free(foreign);
  }
  if (db->view_core != NULL) hypercore_close(db->view_core);
  if (db->system_core != NULL) hypercore_close(db->system_core);
  if (db->bootstrap != NULL) hypercore_close(db->bootstrap);
  db->view_core = db->system_core = db->bootstrap = NULL;
}

int
autobee__store_head (autobee_t *db, const ab_head_t *head) {
  if (ab_head_equal(head, &db->stored_head)) return 0;
  ab_buf_t link = {0};
  autobee__record_link_encode(&link, head);
  int err = link.err;
  if (err == 0) err = hypercore_set_user_data(db->local->core, "autobee/head", ab_buf_slice(&link));
  ab_buf_destroy(&link);
  if (err == 0) db->stored_head = *head;
  return err;
}

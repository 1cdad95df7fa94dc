/* cores.h: the cores of a database: which they are, and how they are opened. Private to autobee/. */
#ifndef AUTOBEE_CORES_H
#define AUTOBEE_CORES_H

#include "autobee/engine.h"

/** 4.1 to 4.2 rule 5: find the database and its local writer, open bootstrap, local, system and view, set
 * ciphers. `key` NULL: the store's own. On failure whatever was opened is closed by autobee__cores_close.
 * `local` is the caller's. */
int
autobee__cores_open (autobee_t *db, const ab_key_t *key, hypercore_t **local);
void
autobee__cores_close (autobee_t *db);

/** Set user data unless it is what is stored. */
int
autobee__set_user_data (hypercore_t *core, const char *name, ab_slice_t value);

/** What belongs on every core that becomes the local writer: the database's key (if `referrer`), the check of
 * the secret. */
int
autobee__local_marks (autobee_t *db, hypercore_t *local, bool referrer);

/** Decrypt a writer's blocks from now on, once its manifest is known. AB_EREMOTE while it is not. */
int
autobee__writer_cipher (autobee_t *db, hypercore_t *core, bool *has);

/** Keep a core open and hear of its blocks: one of them is missing. */
int
autobee__keep_core (autobee_t *db, hypercore_t *core);

/** bee_options_t.open_core for the system and the view. */
int
autobee__open_system_core (void *data, const ab_key_t *key, hypercore_t **out);
int
autobee__open_view_core (void *data, const ab_key_t *key, hypercore_t **out);

/** autobee/head on the local core, unless it is stored already. */
int
autobee__store_head (autobee_t *db, const ab_head_t *head);

#endif

/* database.h: the folder of a database, and the database in it. Private to autobee/cli/.
 *
 *   DIR/autobee.json     what the program has to know; its presence says that the folder is complete
 *       data.mdb, lock, lock.mdb, secret   the store of the library
 *       apply.lua        the script that init or join were given
 *       encryption-key   0600; only if the program made the key, or with --keep-key
 *       socket           control socket of the process that serves the folder
 *
 *   autobee.json   {"v":1,"policy":"kv"|"lua","applyId":HEX,"encrypted":BOOLEAN,"fastForward":true}, the
 * last only if it is so
 *
 * Invariant  the script in the folder is the one that the view was made with, or is being made anew with
 */
#ifndef CLI_DATABASE_H
#define CLI_DATABASE_H

#include "autobee/cli/script.h"

#define DATABASE_SOCKET "socket"
#define DATABASE_MESSAGE_MAX 1024

typedef struct {
  const cli_t *cli;
  ab_store_t *store;
  autobee_t *db;
  script_t script;
  bool is_read_only;
  bool is_encrypted;
  bool fast_forward;
  char message[DATABASE_MESSAGE_MAX]; /* what the last call that failed has to say */
  void (*on_event)(void *data, const autobee_event_t *event);
  void *event_data;
} database_t;

/** Open the one in cli->dir. The database stays where it is until it is closed. Returns 0 or an error with
 * its message: AB_ENOTSTORE, AB_EINUSE, AB_EVERSION (also: another script), AB_EKEY, … */
int
database_open (database_t *database, const cli_t *cli);

/** Open it and have its view made anew, which goes on with ab_store_run: with the script in the folder as it
 * is now, or with another one, which replaces it. As above; AB_EREJECTED: the script does not compile. */
int
database_reindex (database_t *database, const cli_t *cli, const char *script_path);

typedef struct {
  const ab_key_t *join;    /* NULL: a new database */
  const char *script_path; /* NULL: the policy kv */
  bool encrypt;            /* make an encryption key if none was given */
  bool fast_forward;       /* take the word of indexers for a view that is far ahead */
} database_make_t;

/** Make one in cli->dir, which must be new or empty, and open it. As above; AB_ECONFLICT if there is one. */
int
database_make (database_t *database, const cli_t *cli, const database_make_t *make);

/** Commit and release. Returns 0, or the error of the last commit with its message. */
int
database_close (database_t *database);

/** Record the message of a failed call and return `err`. */
int
database_fail (database_t *database, int err, const char *format, ...) AB_PRINTF(3, 4);

/** Write DIR/NAME into `out`. Returns 0 or AB_EINVAL: too long. */
int
database_path (const char *dir, const char *name, char *out, size_t size);

#endif

#include "autobee/cli/database.h"

#include "apply/json.h"
#include "autobee/cli/bytes.h"
#include "autobee/cli/files.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CONFIG "autobee.json"
#define SCRIPT "apply.lua"
#define KEY_FILE "encryption-key"
#define PATH_SIZE 4096
#define CONFIG_MAX 65536
#define SCRIPT_MAX (16u << 20) /* the sandbox has the limit that counts */

typedef struct {
  bool is_lua;
  bool is_encrypted;
  bool fast_forward;
  ab_key_t apply_id;
} config_t;

int
database_fail (database_t *database, int err, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(database->message, sizeof(database->message), format, args);
  va_end(args);
  return err;
}

int
database_path (const char *dir, const char *name, char *out, size_t size) {
  int len = snprintf(out, size, "%s/%s", dir, name);
  return len < 0 || (size_t) len >= size ? AB_EINVAL : 0;
}

static int
fail_with_store (database_t *database, int err) {
  const char *text = ab_store_errmsg(database->store);
  return database_fail(database, err, "%s", *text == 0 ? ab_strerror(err) : text);
}

/* ---- files of the folder ---- */

static int
path_of (database_t *database, const char *name, char path[PATH_SIZE]) {
  if (database_path(database->cli->dir, name, path, PATH_SIZE) == 0) return 0;
  return database_fail(database, AB_EINVAL, "the path of the folder is too long");
}

static bool
has_file (database_t *database, const char *name) {
  char path[PATH_SIZE];
  return path_of(database, name, path) == 0 && access(path, F_OK) == 0;
}

static int
read_file (database_t *database, const char *name, size_t max, out_t *out) {
  char path[PATH_SIZE];
  int err = path_of(database, name, path);
  if (err < 0) return err;
  err = files_read(path, max, out);
  if (err == 0 || err == AB_ENOTFOUND) return err;
  return database_fail(database, err, "reading %s: %s", path, files_reason(err));
}

static int
write_file (database_t *database, const char *name, ab_slice_t bytes, unsigned mode) {
  int err = files_write(database->cli->dir, name, bytes, mode);
  if (err == 0) return 0;
  return database_fail(database, err, "writing %s/%s: %s", database->cli->dir, name, files_reason(err));
}

/* ---- autobee.json ---- */

static bool
is_text (const ab_json_t *value, const char *text) {
  return value != NULL && value->type == AB_JSON_STRING && ab_slice_equal(ab_json_text(value), ab_text(text));
}

static int
decode_config (database_t *database, const ab_json_t *root, config_t *config) {
  const ab_json_t *version = ab_json_member(root, ab_text("v"));
  const ab_json_t *policy = ab_json_member(root, ab_text("policy"));
  const ab_json_t *id = ab_json_member(root, ab_text("applyId"));
  const ab_json_t *encrypted = ab_json_member(root, ab_text("encrypted"));
  const ab_json_t *forward = ab_json_member(root, ab_text("fastForward"));
  const char *dir = database->cli->dir;
  int64_t number;
  if (version == NULL || !ab_json_integer(version, &number) || number < 1) {
    return database_fail(database, AB_ECORRUPT, "%s/" CONFIG " has no version; restore it from a copy", dir);
  }
  if (number > 1 || policy == NULL || (!is_text(policy, "kv") && !is_text(policy, "lua"))) {
    return database_fail(database, AB_EVERSION, "%s was made by a newer autobee; use that to open it", dir);
  }
  out_t bytes = {0};
  config->is_lua = is_text(policy, "lua");
  config->is_encrypted = encrypted != NULL && encrypted->type == AB_JSON_BOOL && encrypted->as.boolean;
  config->fast_forward = forward != NULL && forward->type == AB_JSON_BOOL && forward->as.boolean;
  int err = id == NULL || id->type != AB_JSON_STRING ? AB_EINVAL : bytes_from_hex(ab_json_text(id), &bytes);
  if (err == 0 && bytes.len == sizeof(config->apply_id.bytes))
    memcpy(config->apply_id.bytes, bytes.data, bytes.len);
  else
    err = database_fail(database, AB_ECORRUPT, "%s/" CONFIG " has no applyId; restore it from a copy", dir);
  out_destroy(&bytes);
  return err;
}

static int
read_config (database_t *database, config_t *config) {
  const char *dir = database->cli->dir;
  out_t text = {0};
  ab_json_doc_t doc = {0};
  const ab_json_t *root;
  int err = read_file(database, CONFIG, CONFIG_MAX, &text);
  if (err == AB_ENOTFOUND) {
    if (has_file(database, "secret")) {
      err = database_fail(
        database,
        AB_ENOTSTORE,
        "%s holds a store that this program did not finish making: it has no " CONFIG
        "; run init or join again, or open "
        "it with the program that made it",
        dir
      );
    } else {
      err = database_fail(
        database,
        AB_ENOTSTORE,
        "%s holds no database; make one with \"autobee -C %s init\", or name another folder with -C",
        dir,
        dir
      );
    }
  }
  if (err < 0) goto done;
  if (ab_json_decode(&doc, out_slice(&text), 0, &root) < 0) {
    err = database_fail(database, AB_ECORRUPT, "%s/" CONFIG ": %s; restore it from a copy", dir, doc.message);
    goto done;
  }
  err = decode_config(database, root, config);

done:
  ab_json_doc_destroy(&doc);
  out_destroy(&text);
  return err;
}

static int
write_config (database_t *database) {
  out_t text = {0};
  out_open(&text, '{');
  out_member_uint(&text, "v", 1);
  out_member_text(&text, "policy", database->script.sandbox == NULL ? "kv" : "lua");
  out_member_hex(&text, "applyId", ab_key_slice(&database->script.id));
  out_member_bool(&text, "encrypted", database->is_encrypted);
  if (database->fast_forward) out_member_bool(&text, "fastForward", true);
  out_close(&text, '}');
  out_bytes(&text, ab_text("\n"));
  int err = text.failed ? AB_ENOMEM : write_file(database, CONFIG, out_slice(&text), 0644);
  out_destroy(&text);
  return err;
}

/* ---- the script ---- */

static int
check_identity (database_t *database, const config_t *config) {
  if (ab_key_equal(&database->script.id, &config->apply_id)) return 0;
  char expected[AB_KEY_TEXT_LEN + 1], found[AB_KEY_TEXT_LEN + 1];
  ab_key_to_text(&config->apply_id, expected);
  ab_key_to_text(&database->script.id, found);
  return database_fail(
    database,
    AB_EVERSION,
    "the view in %s was made with another apply function: expected identity %.8s…, found %.8s… (%s" SCRIPT
    " changed, or autobee did); put the old one back, make the view anew with \"autobee reindex\", or read "
    "with --read-only",
    database->cli->dir,
    expected,
    found,
    config->is_lua ? "" : "not "
  );
}

/* `any`: whatever the view was made with. */
static int
open_script (database_t *database, const config_t *config, bool any) {
  if (!config->is_lua) {
    script_open_kv(&database->script);
    return database->is_read_only || any ? 0 : check_identity(database, config);
  }
  out_t text = {0};
  int err = read_file(database, SCRIPT, SCRIPT_MAX, &text);
  if (err == AB_ENOTFOUND) {
    err = database_fail(
      database,
      AB_EVERSION,
      "%s/" SCRIPT " is gone; put the script that init was given there",
      database->cli->dir
    );
  }
  if (err == 0) {
    err = script_open_lua(
      &database->script, database->cli, out_slice(&text), SCRIPT, database->message, sizeof(database->message)
    );
    if (err == AB_EINVAL) err = AB_EVERSION; /* it compiled once: it changed */
    if (err == 0 && !any) err = check_identity(database, config);
  }
  out_destroy(&text);
  if (err < 0 && database->is_read_only) { /* the view can be read all the same */
    script_close(&database->script);
    script_open_kv(&database->script);
    database->script.id = config->apply_id;
    return 0;
  }
  return err;
}

static int
read_new_script (database_t *database, const char *path, out_t *text) {
  if (path == NULL) {
    script_open_kv(&database->script);
    return 0;
  }
  int err = files_read(path, SCRIPT_MAX, text);
  if (err < 0) return database_fail(database, AB_EIO, "reading the script %s: %s", path, files_reason(err));
  const char *slash = strrchr(path, '/');
  err = script_open_lua(
    &database->script,
    database->cli,
    out_slice(text),
    slash == NULL ? path : slash + 1,
    database->message,
    sizeof(database->message)
  );
  return err == AB_EINVAL ? AB_EREJECTED : err; /* the command line is right */
}

/* ---- the encryption key ---- */

/* Of an encrypted database: as given, or as kept. */
static int
find_key (database_t *database, ab_key_t *key) {
  const cli_t *cli = database->cli;
  if (cli->has_encryption_key) {
    *key = cli->encryption_key;
    return 0;
  }
  out_t text = {0};
  int err = read_file(database, KEY_FILE, CONFIG_MAX, &text);
  if (err == AB_ENOTFOUND) {
    err = database_fail(
      database,
      AB_EKEY,
      "the database in %s is encrypted: give its encryption key, with --key-fd N or in "
      "AUTOBEE_ENCRYPTION_KEY",
      cli->dir
    );
  }
  if (err == 0) {
    while (text.len > 0 && (uint8_t) text.data[text.len - 1] <= ' ') text.len--;
    if (ab_key_from_text(out_slice(&text), key) < 0) {
      err = database_fail(database, AB_EKEY, "%s/" KEY_FILE " holds no key; restore it", cli->dir);
    }
  }
  if (text.data != NULL) memset(text.data, 0, text.len);
  out_destroy(&text);
  return err;
}

static int
keep_key (database_t *database, const ab_key_t *key) {
  char text[AB_KEY_TEXT_LEN + 2];
  ab_key_to_text(key, text);
  memcpy(text + AB_KEY_TEXT_LEN, "\n", 2);
  int err = write_file(database, KEY_FILE, ab_text(text), 0600);
  memset(text, 0, sizeof(text));
  return err;
}

/* ---- opening ---- */

static void
print_log (void *data, int level, const char *area, const char *text) {
  const cli_t *cli = data;
  if (level <= 1 || cli->verbose) cli_note(cli, "%s: %s", area, text);
}

static void
on_event (autobee_t *db, const autobee_event_t *event, void *data) {
  database_t *database = data;
  (void) db;
  if (database->on_event != NULL) database->on_event(database->event_data, event);
}

static int
open_store (database_t *database, bool create) {
  ab_store_options_t options = ab_store_options_default();
  options.create = create;
  options.read_only = database->is_read_only;
  options.log = print_log;
  options.log_data = (void *) (uintptr_t) database->cli;
  return ab_store_open(
    database->cli->dir, &options, &database->store, database->message, sizeof(database->message)
  );
}

static int
open_database (database_t *database, const ab_key_t *join, const ab_key_t *encryption_key) {
  autobee_options_t options = autobee_options_default();
  script_set_options(&database->script, &options);
  options.encryption_key = encryption_key;
  options.fast_forward = database->fast_forward;
  options.on_event = on_event;
  options.event_data = database;
  int err = autobee_open(database->store, join, &options, &database->db);
  return err < 0 ? fail_with_store(database, err) : 0;
}

static void
release (database_t *database) {
  if (database->db != NULL) (void) autobee_close(database->db);
  if (database->store != NULL) (void) ab_store_close(database->store);
  script_close(&database->script);
  database->db = NULL;
  database->store = NULL;
}

static int
open_with (database_t *database, bool encrypted) {
  ab_key_t key;
  int err = encrypted ? find_key(database, &key) : 0;
  if (err == 0) err = open_database(database, NULL, encrypted ? &key : NULL);
  memset(&key, 0, sizeof(key));
  return err;
}

int
database_open (database_t *database, const cli_t *cli) {
  config_t config = {0};
  *database = (database_t){.cli = cli, .is_read_only = cli->read_only};
  int err = read_config(database, &config);
  if (err < 0) return err;
  database->is_encrypted = config.is_encrypted;
  database->fast_forward = config.fast_forward;
  if ((err = open_store(database, false)) < 0) return err;
  if ((err = open_script(database, &config, false)) == 0) err = open_with(database, config.is_encrypted);
  if (err < 0) release(database);
  return err;
}

int
database_reindex (database_t *database, const cli_t *cli, const char *script_path) {
  config_t config = {0};
  out_t script = {0};
  *database = (database_t){.cli = cli};
  if (cli->read_only) return database_fail(database, AB_EREADONLY, "cannot make a view anew read-only");
  int err = read_config(database, &config);
  if (err < 0) return err;
  database->is_encrypted = config.is_encrypted;
  database->fast_forward = config.fast_forward;
  if ((err = open_store(database, false)) < 0) return err;
  if (script_path != NULL) err = read_new_script(database, script_path, &script);
  else err = open_script(database, &config, true);
  if (err == 0) err = open_with(database, config.is_encrypted);
  if (err == 0 && ((err = autobee_reindex(database->db)) < 0 || (err = ab_store_commit(database->store)) < 0))
    fail_with_store(database, err);
  /* from here on every open goes on with it, so the view is never another script's than the folder says */
  if (err == 0 && script_path != NULL) err = write_file(database, SCRIPT, out_slice(&script), 0644);
  if (err == 0) err = write_config(database);
  out_destroy(&script);
  if (err < 0) release(database);
  return err;
}

/* ---- making ---- */

static int
refuse_existing (database_t *database) {
  if (!has_file(database, CONFIG)) return 0;
  return database_fail(
    database,
    AB_ECONFLICT,
    "%s holds a database already; \"autobee -C %s status\" shows it; name another folder for a new one",
    database->cli->dir,
    database->cli->dir
  );
}

/* A store without our file: an interrupted init or join, unless something is in it. */
static int
refuse_used (database_t *database, const database_make_t *make) {
  autobee_info_t info;
  int err = autobee_info(database->db, &info);
  if (err < 0) return fail_with_store(database, err);
  if (info.local.length == 0 && info.system.length == 0 && (make->join != NULL || info.is_writable)) return 0;
  return database_fail(
    database,
    AB_ECONFLICT,
    "%s holds the store of another program, or of another database; name a new folder",
    database->cli->dir
  );
}

int
database_make (database_t *database, const cli_t *cli, const database_make_t *make) {
  ab_key_t key = {{0}};
  out_t script = {0};
  *database = (database_t
  ){.cli = cli, .is_encrypted = make->encrypt || cli->has_encryption_key, .fast_forward = make->fast_forward};
  if (cli->read_only) return database_fail(database, AB_EREADONLY, "cannot make a database read-only");
  bool keep = cli->keep_key || !cli->has_encryption_key;
  int err = refuse_existing(database);
  if (err < 0) return err;
  if ((err = read_new_script(database, make->script_path, &script)) < 0) goto done;
  if ((err = open_store(database, true)) < 0) goto done;
  if (cli->has_encryption_key) {
    key = cli->encryption_key;
  } else {
    const ab_env_t *env = ab_store_env(database->store);
    env->random(env->data, key.bytes, sizeof(key.bytes));
  }
  if ((err = open_database(database, make->join, database->is_encrypted ? &key : NULL)) < 0) goto done;
  if ((err = refuse_used(database, make)) < 0) goto done;
  if ((err = ab_store_commit(database->store)) < 0) {
    fail_with_store(database, err);
    goto done;
  }
  if (make->script_path != NULL && (err = write_file(database, SCRIPT, out_slice(&script), 0644)) < 0)
    goto done;
  if (database->is_encrypted && keep && (err = keep_key(database, &key)) < 0) goto done;
  err = write_config(database);

done:
  memset(&key, 0, sizeof(key));
  out_destroy(&script);
  if (err < 0) release(database);
  return err;
}

int
database_close (database_t *database) {
  if (database->store == NULL) return 0;
  int err = autobee_close(database->db);
  database->db = NULL;
  if (err < 0) fail_with_store(database, err);
  int closed = ab_store_close(database->store);
  database->store = NULL;
  if (closed < 0) err = database_fail(database, closed, "the last commit failed: %s", ab_strerror(closed));
  script_close(&database->script);
  return err;
}

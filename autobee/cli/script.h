/* script.h: the merge rule of a database: the built-in policy kv, or a Lua script. Private to autobee/cli/.
 */
#ifndef CLI_SCRIPT_H
#define CLI_SCRIPT_H

#include "autobee/cli/cli.h"
#include "lua/sandbox.h"

typedef struct {
  sandbox_t *sandbox; /* NULL: kv */
  sandbox_policy_t policy;
  ab_key_t id; /* apply identity */
} script_t;

/** The built-in policy. */
void
script_open_kv (script_t *script);

/** A script that errors call `name`. Returns 0 or an error of sandbox_open with its message. */
int
script_open_lua (
  script_t *script, const cli_t *cli, ab_slice_t text, const char *name, char *message, size_t message_len
);

void
script_close (script_t *script);

/** Fill in what autobee_open has to know of it. The script has to stay where it is. */
void
script_set_options (script_t *script, autobee_options_t *options);

/** As sandbox_query, over a view. AB_ENOTSUP for kv. */
int
script_query (script_t *script, autobee_view_t *view, ab_slice_t name, ab_slice_t args, ab_slice_t *result);

/** What the last query that failed has to say. */
const char *
script_errmsg (const script_t *script);

#endif

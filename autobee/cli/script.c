#include "autobee/cli/script.h"

#include "autobee/lua_reader.h"

/* Identity of the built-in policy: BLAKE2b-256 of "autobee-policy-kv-1" and a final zero. */
static const ab_key_t kv_id = {{0x0a, 0x58, 0xaf, 0x03, 0x32, 0x2f, 0x5d, 0x4a, 0x9b, 0x3b, 0x1d,
                                0xa2, 0x5c, 0x3c, 0x96, 0xb5, 0xe6, 0x22, 0xf3, 0x7e, 0x3d, 0x09,
                                0x9b, 0x81, 0x0f, 0xdc, 0x31, 0x57, 0x72, 0x30, 0xeb, 0xbb}};

void
script_open_kv (script_t *script) {
  *script = (script_t){.id = kv_id};
}

/* What scripts print is for who watches; what goes wrong is for everybody. */
static void
print_log (void *data, sandbox_log_level_t level, const char *text) {
  const cli_t *cli = data;
  if (level <= SANDBOX_LOG_WARNING || cli->verbose) cli_note(cli, "apply: %s", text);
}

int
script_open_lua (
  script_t *script, const cli_t *cli, ab_slice_t text, const char *name, char *message, size_t message_len
) {
  sandbox_options_t options = sandbox_options_default();
  options.name = name;
  options.log = print_log;
  options.log_data = (void *) (uintptr_t) cli;
  *script = (script_t){0};
  int err = sandbox_open(text, &options, &script->sandbox, message, message_len);
  if (err < 0) return err;
  sandbox_identity(script->sandbox, script->id.bytes);
  sandbox_policy(script->sandbox, &script->policy);
  return 0;
}

void
script_close (script_t *script) {
  if (script->sandbox != NULL) sandbox_close(script->sandbox);
  *script = (script_t){0};
}

void
script_set_options (script_t *script, autobee_options_t *options) {
  options->apply = script->sandbox == NULL ? autobee_apply_kv : sandbox_apply;
  options->apply_data = script->sandbox;
  options->apply_id = ab_key_slice(&script->id);
  options->stop_on_error = script->policy.stop_on_error;
}

int
script_query (script_t *script, autobee_view_t *view, ab_slice_t name, ab_slice_t args, ab_slice_t *result) {
  if (script->sandbox == NULL || !script->policy.has_query) return AB_ENOTSUP;
  return sandbox_query(script->sandbox, name, args, &autobee__view_reader, view, result);
}

const char *
script_errmsg (const script_t *script) {
  return script->sandbox == NULL ? "" : sandbox_errmsg(script->sandbox);
}

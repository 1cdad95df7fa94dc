/* sandbox.c: a script is opened, runs over batches, and answers queries. */
#include "lua/sandbox.h"

#include "hypercore/crypto.h"
#include "hypercore/encoding.h"
#include "lua/libs.h"
#include "lua/scan.h"
#include "lua/view.h"

#include <stdio.h>
#include <stdlib.h>

static const char chunk_marker; /* the compiled main chunk in the registry */

#define KEEP_BYTES ((size_t) 1 << 20) /* of a buffer, between runs */

sandbox_options_t
sandbox_options_default (void) {
  return (sandbox_options_t){
    .struct_size = sizeof(sandbox_options_t),
    .name = "apply",
    .instructions = 10000000,
    .main_instructions = 1000000,
    .view_operations = 65536,
    .view_bytes = 16 << 20,
    .key_bytes = 4096,
    .input_bytes = 4 << 20,
    .string_bytes = 8 << 20,
    .script_bytes = 256 << 10,
    .memory_bytes = 64 << 20,
    .wall_ms = 10000,
  };
}

/* ---- the main chunk ---- */

/* Push a new environment in which the main chunk has run. */
static void
run_main (lua_State *L) {
  sandbox_t *sandbox = sandbox__of(L);
  sandbox__begin(sandbox, sandbox->options.main_instructions);
  sandbox__push_environment(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &chunk_marker);
  lua_pushvalue(L, -2);
  lua_setupvalue(L, -2, 1); /* _ENV */
  sandbox__push_length(L);
  lua_call(L, 1, 0);
}

/* Push the environment's global `name`, without asking a metatable. */
static int
push_global (lua_State *L, int environment, const char *name) {
  environment = lua_absindex(L, environment);
  lua_pushstring(L, name);
  return lua_rawget(L, environment);
}

/* ---- opening ---- */

static void
read_policy (lua_State *L, int environment) {
  sandbox_policy_t *policy = &sandbox__of(L)->policy;
  int type = push_global(L, environment, "policy");
  if (type == LUA_TNIL) return;
  if (type != LUA_TTABLE) luaL_error(L, "policy is a %s, not a table", luaL_typename(L, -1));

  int on_error = push_global(L, -1, "on_error"), optimistic = push_global(L, -2, "optimistic");
  lua_pushnil(L);
  int known = 0, count = 0;
  while (lua_next(L, -4) != 0) {
    count++;
    lua_pop(L, 1);
  }
  if (on_error != LUA_TNIL) {
    const char *word = on_error == LUA_TSTRING ? lua_tostring(L, -2) : "";
    policy->stop_on_error = strcmp(word, "stop") == 0;
    if (!policy->stop_on_error && strcmp(word, "skip") != 0)
      luaL_error(L, "policy.on_error is \"skip\" or \"stop\"");
    known++;
  }
  if (optimistic != LUA_TNIL) {
    if (optimistic != LUA_TBOOLEAN) luaL_error(L, "policy.optimistic is a boolean");
    policy->accepts_optimistic = lua_toboolean(L, -1);
    known++;
  }
  if (count != known) luaL_error(L, "policy has on_error and optimistic, and nothing else");
}

static int
open_script (lua_State *L) {
  sandbox_t *sandbox = sandbox__of(L);
  run_main(L);
  if (push_global(L, 2, "apply") != LUA_TFUNCTION)
    luaL_error(L, "the script has no function apply(nodes, view, host)");
  int query = push_global(L, 2, "query");
  if (query != LUA_TNIL && query != LUA_TFUNCTION)
    luaL_error(L, "query is a %s, not a function", luaL_typename(L, -1));
  sandbox->policy.has_query = query == LUA_TFUNCTION;
  read_policy(L, 2);
  return 0;
}

/* Leaves the function, or raises what is wrong with the text. */
static void
compile (lua_State *L, ab_slice_t text) {
  int err = luaL_loadbufferx(L, (const char *) text.data, text.len, "=apply", "t");
  if (err != LUA_OK) lua_error(L);
}

typedef struct {
  ab_slice_t script;
  ab_slice_t rewritten;
} texts_t;

/* The text as it was written comes first: what is wrong with it is said in its own words, and rewriting does
 * not make right what was wrong. */
static int
compile_script (lua_State *L) {
  const texts_t *texts = lua_touserdata(L, 1);
  compile(L, texts->script);
  if (texts->rewritten.data == NULL) return luaL_error(L, "the text cannot be read");
  compile(L, texts->rewritten);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &chunk_marker);
  return 0;
}

/* Lua makes the metatable of its buffers when one first outgrows the C stack, in two steps. Were memory to
 * end between them in a batch, every later batch would fail: so it happens now. */
static void
prepare_buffers (lua_State *L) {
  luaL_Buffer buffer;
  luaL_buffinitsize(L, &buffer, 2 * LUAL_BUFFERSIZE);
  luaL_pushresultsize(&buffer, 0);
  lua_pop(L, 1);
}

static int
open_libraries (lua_State *L) {
  prepare_buffers(L);
  sandbox__open_globals(L);
  sandbox__open_view(L);
  sandbox__open_host(L);
  return 0;
}

static void
set_message (sandbox_t *sandbox, const char *text) {
  snprintf(sandbox->message, sizeof(sandbox->message), "%s: %s", sandbox->name, text);
}

static int
check_version (sandbox_t *sandbox, ab_slice_t script) {
  uint32_t major, minor;
  if (sandbox__scan_needs(script, &major, &minor) < 0) {
    set_message(sandbox, "the first line says \"needs\" without a version such as 1.0");
    return AB_EINVAL;
  }
  bool is_ours = major == 0 || (major == SANDBOX_API_MAJOR && minor <= SANDBOX_API_MINOR);
  if (is_ours) return 0;
  snprintf(
    sandbox->message,
    sizeof(sandbox->message),
    "%s: needs version %u.%u of the script interface; this program has %d.%d",
    sandbox->name,
    major,
    minor,
    SANDBOX_API_MAJOR,
    SANDBOX_API_MINOR
  );
  return AB_EVERSION;
}

static int
compile_and_run (sandbox_t *sandbox, ab_slice_t script) {
  texts_t texts = {.script = script};
  ab_buf_t rewritten = {0};
  char refused[128];
  int err = sandbox__scan(script, &rewritten, refused, sizeof(refused));
  if (err == AB_EINVAL) snprintf(sandbox->message, sizeof(sandbox->message), "%s:%s", sandbox->name, refused);
  if (err == AB_EINVAL || err == AB_ENOMEM) goto done;
  if (err == 0) texts.rewritten = ab_buf_slice(&rewritten);

  if ((err = sandbox__run(sandbox, compile_script, &texts, UINT32_MAX)) < 0) goto done;
  err = sandbox__run(sandbox, open_script, NULL, UINT32_MAX);

done:
  ab_buf_destroy(&rewritten);
  return err;
}

static void
make_identity (sandbox_t *sandbox, ab_slice_t script) {
  const sandbox_options_t *options = &sandbox->options;
  const uint64_t budgets[] = {
    options->instructions,
    options->main_instructions,
    options->view_operations,
    options->view_bytes,
    options->key_bytes,
    options->input_bytes,
    options->string_bytes,
    options->script_bytes,
  };
  uint8_t encoded[sizeof(budgets)];
  const char *on_error = sandbox->policy.stop_on_error ? "stop" : "skip";
  for (size_t i = 0; i < sizeof(budgets) / sizeof(budgets[0]); i++) ab_put_u64le(encoded + 8 * i, budgets[i]);
  ab_slice_t parts[] = {
    ab_slice("autobee-apply-1", sizeof("autobee-apply-1")),
    ab_slice(SANDBOX_RUNTIME, sizeof(SANDBOX_RUNTIME)),
    ab_slice(on_error, sizeof("skip")),
    ab_slice(encoded, sizeof(encoded)),
    script,
  };
  ab_hash(sandbox->identity, parts, sizeof(parts) / sizeof(parts[0]));
}

static int
open_sandbox (sandbox_t *sandbox, ab_slice_t script) {
  int err;
  if (script.len > sandbox->options.script_bytes || script.len >= UINT32_MAX) {
    unsigned long long allowed = sandbox->options.script_bytes;
    snprintf(
      sandbox->message,
      sizeof(sandbox->message),
      "%s: the script has %zu bytes; %llu are allowed",
      sandbox->name,
      script.len,
      allowed
    );
    return AB_ETOOBIG;
  }
  if ((err = ab_crypto_init()) < 0) return err;
  if ((err = check_version(sandbox, script)) < 0) return err;
  if ((err = sandbox__state_open(sandbox)) < 0) return err;
  if ((err = sandbox__run(sandbox, open_libraries, NULL, UINT32_MAX)) < 0) return err;
  if ((err = compile_and_run(sandbox, script)) < 0) return err == AB_ENOMEM ? err : AB_EINVAL;
  make_identity(sandbox, script);
  return 0;
}

int
sandbox_open (
  ab_slice_t script, const sandbox_options_t *options, sandbox_t **out, char *message, size_t message_len
) {
  sandbox_t *sandbox = calloc(1, sizeof(*sandbox));
  if (message_len > 0) message[0] = 0;
  if (sandbox == NULL) return AB_ENOMEM;
  sandbox->options = options == NULL ? sandbox_options_default() : *options;
  snprintf(
    sandbox->name,
    sizeof(sandbox->name),
    "%s",
    sandbox->options.name == NULL ? "apply" : sandbox->options.name
  );
  sandbox->options.name = sandbox->name;

  int err = open_sandbox(sandbox, script);
  if (err < 0) {
    if (sandbox->message[0] == 0) set_message(sandbox, ab_strerror(err));
    if (message != NULL) snprintf(message, message_len, "%s", sandbox->message);
    sandbox_close(sandbox);
    return err;
  }
  *out = sandbox;
  return 0;
}

void
sandbox_close (sandbox_t *sandbox) {
  if (sandbox == NULL) return;
  sandbox__state_close(sandbox);
  ab_json_doc_destroy(&sandbox->json);
  ab_buf_destroy(&sandbox->key);
  ab_buf_destroy(&sandbox->keys);
  ab_buf_destroy(&sandbox->text);
  ab_buf_destroy(&sandbox->result);
  free(sandbox);
}

void
sandbox_identity (const sandbox_t *sandbox, uint8_t out[32]) {
  memcpy(out, sandbox->identity, sizeof(sandbox->identity));
}

void
sandbox_policy (const sandbox_t *sandbox, sandbox_policy_t *out) {
  *out = sandbox->policy;
}

const char *
sandbox_errmsg (const sandbox_t *sandbox) {
  return sandbox->message;
}

/* ---- runs on a view ---- */

static void
trim (ab_buf_t *buf) {
  if (buf->capacity > KEEP_BYTES) ab_buf_destroy(buf);
}

/* With sandbox->run set. */
static int
run_on_view (sandbox_t *sandbox, lua_CFunction body, void *data) {
  int err = sandbox__run(sandbox, body, data, UINT32_MAX);
  sandbox__close_cursors(sandbox);
  sandbox->run = (sandbox_run_t){0};

  trim(&sandbox->key);
  trim(&sandbox->keys);
  trim(&sandbox->text);
  if (sandbox->json.value_capacity * sizeof(ab_json_t) + sandbox->json.text_capacity > KEEP_BYTES) {
    ab_json_doc_destroy(&sandbox->json);
  }
  sandbox__clean(sandbox);
  return err;
}

/* ---- batches ---- */

static int
apply_batch (lua_State *L) {
  sandbox_t *sandbox = sandbox__of(L);
  run_main(L);
  push_global(L, 2, "apply");
  sandbox__push_nodes(L);
  sandbox__push_view(L);
  sandbox__push_host(L);
  sandbox__begin(sandbox, sandbox->options.instructions);
  lua_call(L, 3, 0);
  return 0;
}

/* A batch that the script does not get to see. */
static int
check_batch (const sandbox_t *sandbox, autobee_apply_t *apply, const autobee_node_t *nodes, size_t count) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < count; i++) {
    bytes += nodes[i].value.len;
    bool is_stranger;
    int err = autobee_apply_stranger(apply, &nodes[i], &is_stranger);
    if (err < 0) return err;
    if (is_stranger && !sandbox->policy.accepts_optimistic) {
      return autobee_apply_reject(apply, "%s: optimistic batches are not accepted", sandbox->name);
    }
  }
  if (bytes <= sandbox->options.input_bytes) return 0;
  return autobee_apply_reject(
    apply,
    "%s: a batch of %llu bytes; %llu are allowed",
    sandbox->name,
    (unsigned long long) bytes,
    (unsigned long long) sandbox->options.input_bytes
  );
}

/* Whoever comes close to a limit should hear of it before somebody's batch is rejected. */
static void
warn_if_close (sandbox_t *sandbox, const char *what, uint64_t used, uint64_t allowed) {
  if (used <= allowed / 2) return;
  sandbox__log(
    sandbox,
    SANDBOX_LOG_WARNING,
    "%s: a batch took %llu of %llu %s",
    sandbox->name,
    (unsigned long long) used,
    (unsigned long long) allowed,
    what
  );
}

int
sandbox_apply (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *data) {
  sandbox_t *sandbox = data;
  if (sandbox->is_running) return autobee_apply_halt(apply, "%s: called from inside itself", sandbox->name);
  int err = check_batch(sandbox, apply, nodes, count);
  if (err < 0) return err;

  sandbox_run_t run = {
    .apply = apply, .reader = &sandbox__apply_reader, .reader_data = apply, .nodes = nodes, .count = count};
  sandbox->run = run;
  err = run_on_view(sandbox, apply_batch, NULL);
  if (err == 0) {
    warn_if_close(sandbox, "instructions", sandbox->used, sandbox->options.instructions);
    return 0;
  }
  if (err == AB_EREJECTED) return autobee_apply_reject(apply, "%s", sandbox->message);
  autobee_apply_halt(apply, "%s", sandbox->message); /* the text; the code says more */
  return err;
}

/* ---- queries ---- */

typedef struct {
  ab_slice_t name, args;
  bool args_are_bad;
} query_t;

static int
run_query (lua_State *L) {
  sandbox_t *sandbox = sandbox__of(L);
  query_t *query = lua_touserdata(L, 1);
  run_main(L);
  push_global(L, 2, "query");
  sandbox__push_bytes(L, query->name);
  if (query->args.len == 0) lua_pushnil(L);
  else if (sandbox__json_decode(L, query->args, 0) < 0) {
    query->args_are_bad = true;
    return luaL_error(
      L, "arguments: %s at byte %I", sandbox->json.message, (LUAI_UACINT) sandbox->json.message_at + 1
    );
  }
  sandbox__push_view(L);
  sandbox__begin(sandbox, sandbox->options.instructions);
  lua_call(L, 3, 1);
  sandbox__json_encode(L, -1, AB_JSON_CANONICAL);
  ab_buf_reset(&sandbox->result);
  ab_buf_append(&sandbox->result, ab_buf_slice(&sandbox->text));
  int err = sandbox->text.err < 0 ? sandbox->text.err : sandbox->result.err;
  if (err < 0) sandbox__stop(L, err, "%s", ab_strerror(err));
  return 0;
}

int
sandbox_query (
  sandbox_t *sandbox,
  ab_slice_t name,
  ab_slice_t args,
  const sandbox_reader_t *reader,
  void *reader_data,
  ab_slice_t *result
) {
  if (sandbox->is_running) return AB_EBUSY;
  if (!sandbox->policy.has_query) {
    set_message(sandbox, "the script has no function query(name, args, view)");
    return AB_ENOTSUP;
  }
  query_t query = {name, args, false};
  sandbox_run_t run = {.reader = reader, .reader_data = reader_data};
  sandbox->run = run;
  int err = run_on_view(sandbox, run_query, &query);
  if (err < 0) return query.args_are_bad ? AB_EINVAL : err;
  *result = ab_buf_slice(&sandbox->result);
  return 0;
}

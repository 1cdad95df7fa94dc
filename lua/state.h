/* state.h: the inside of a sandbox: one Lua state, what a run may use, and how a run is stopped. Private to
 * lua/.
 *
 * A run is one batch, one query, or the main chunk. It ends because the script returned, because it raised an
 * error that nobody caught, or because it was *stopped*: a budget is used up, or a call that it depends on
 * failed. A stopped run raises at every instruction and at every pcall, and gets no more memory, so it ends
 * whatever the script tries.
 *
 * Invariant  Lua functions that may allocate are called below sandbox__run only
 */
#ifndef SANDBOX_STATE_H
#define SANDBOX_STATE_H

#include "apply/json.h"
#include "hypercore/buf.h"
#include "lua/sandbox.h"

#include <lauxlib.h>
#include <locale.h>
#include <lua.h>

#if LUA_VERSION_NUM != 504 || LUA_VERSION_RELEASE_NUM < 50404
#error "the sandbox needs Lua 5.4, release 5.4.4 or later"
#endif

#define SANDBOX_NAME_MAX 128
#define SANDBOX_MESSAGE_MAX 768
#define SANDBOX_HOOK_INTERVAL 1000

typedef struct sandbox_cursor_s sandbox_cursor_t; /* view.h */

/* What the objects `view` and `host` are connected to. */
typedef struct {
  autobee_apply_t *apply; /* NULL: a query, which only reads */
  const sandbox_reader_t *reader;
  void *reader_data;
  const autobee_node_t *nodes;
  size_t count;
  uint64_t operations;
  uint64_t bytes;
  sandbox_cursor_t *cursors; /* open ones */
  size_t cursor_count;
} sandbox_run_t;

struct sandbox_s {
  sandbox_options_t options;
  sandbox_policy_t policy;
  char name[SANDBOX_NAME_MAX];
  uint8_t identity[32];
  lua_State *lua;
  locale_t locale;
  bool is_running;
  sandbox_run_t run;

  /* counted: units */
  uint64_t used;
  uint64_t counts; /* calls of the hook */
  uint64_t allowed;
  uint64_t due; /* look at the budget and at the clock when `used` is there */
  uint64_t started_ms;

  /* memory */
  size_t memory;        /* that Lua holds */
  size_t memory_before; /* when the run began */
  size_t memory_clean;  /* after the last collection */
  size_t string_header; /* bytes that a string takes beside its text */

  int stop; /* 0, or why the run was stopped */
  int line; /* of the error that is being reported; 0: unknown */
  char message[SANDBOX_MESSAGE_MAX];

  /* used again and again */
  ab_json_doc_t json;
  ab_buf_t key;    /* a key with its prefix; bounds of a range */
  ab_buf_t keys;   /* order.c */
  ab_buf_t text;   /* a text in the making */
  ab_buf_t result; /* of the last query */
};

/** The sandbox that a Lua state belongs to. */
static inline sandbox_t *
sandbox__of (lua_State *L) {
  sandbox_t *sandbox;
  memcpy(&sandbox, lua_getextraspace(L), sizeof(sandbox));
  return sandbox;
}

/** Make the Lua state. Returns 0 or AB_ENOMEM. */
int
sandbox__state_open (sandbox_t *sandbox);

void
sandbox__state_close (sandbox_t *sandbox);

/**
 * Run `body`, which receives `data` as a light userdata, with `units` to use.
 *
 * Returns 0, AB_EREJECTED (an error was raised) or the code of the stop; with a message unless 0. The values
 * that `body` leaves are dropped.
 */
int
sandbox__run (sandbox_t *sandbox, lua_CFunction body, void *data, uint64_t units);

/** The run goes on with another budget. */
void
sandbox__begin (sandbox_t *sandbox, uint64_t units);

/** Collect garbage if there is much of it. Between runs. */
void
sandbox__clean (sandbox_t *sandbox);

/** Stop the run and raise. `code` below 0. */
_Noreturn void
sandbox__stop (lua_State *L, int code, const char *format, ...) AB_PRINTF(3, 4);

_Noreturn void
sandbox__stop_no_memory (lua_State *L);

/** Raise again what stopped the run. */
_Noreturn void
sandbox__raise (lua_State *L);

void
sandbox__due (lua_State *L);

/** Count `units` of work; may stop the run. */
static inline void
sandbox__charge (lua_State *L, uint64_t units) {
  sandbox_t *sandbox = sandbox__of(L);
  sandbox->used += units;
  if (sandbox->used >= sandbox->due) sandbox__due(L);
}

/** The charge for work on `len` bytes. */
static inline void
sandbox__charge_bytes (lua_State *L, size_t len) {
  sandbox__charge(L, len / 16);
}

/** Stop unless a string of `len` bytes is allowed. Only for work that begins before the string exists: all
 * others are noticed when it is made. */
void
sandbox__check_string (lua_State *L, uint64_t len);

/** Room for `len` bytes in sandbox->text, which becomes that long. */
uint8_t *
sandbox__make_text (lua_State *L, size_t len);

/** Push the text in sandbox->text; stops if appending to it failed. */
void
sandbox__push_text (lua_State *L);

/** Report to the host. */
void
sandbox__log (sandbox_t *sandbox, sandbox_log_level_t level, const char *format, ...) AB_PRINTF(3, 4);

static inline ab_slice_t
sandbox__bytes (lua_State *L, int index) {
  size_t len;
  const char *data = lua_tolstring(L, index, &len);
  return ab_slice(data, len);
}

/** A string, and no number in its place. */
ab_slice_t
sandbox__check_bytes (lua_State *L, int arg);

static inline void
sandbox__push_bytes (lua_State *L, ab_slice_t bytes) {
  lua_pushlstring(L, bytes.len == 0 ? "" : (const char *) bytes.data, bytes.len);
}

#endif

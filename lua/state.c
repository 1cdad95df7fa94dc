/* state.c: one Lua state: its memory, its budgets, and how a run ends. */
#include "lua/state.h"

#include "hypercore/env.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define CLOCK_UNITS 4096 /* units between two looks at the clock: 20 µs of plain instructions */
#define GARBAGE_MAX ((size_t) 1 << 20) /* less is left lying */
#define FREE_STRING 1024               /* the work of making a longer string is charged, whoever makes it */
#define DEPTH_MAX 20000                /* calls in calls */
#define DEPTH_EVERY 16                 /* counts from one look at it to the next */
#define FRAME_BYTES_MIN 32             /* of a frame in any build of Lua 5.4 */

static const char stop_marker; /* its address is the error object of a stop */

/* ---- stops ---- */

/* The line that runs: that of the innermost Lua function. */
static int
current_line (lua_State *L) {
  lua_Debug debug;
  for (int level = 0; lua_getstack(L, level, &debug) != 0; level++) {
    lua_getinfo(L, "l", &debug);
    if (debug.currentline > 0) return debug.currentline;
  }
  return 0;
}

/* Lua's own limit is a million stack slots, and the frames beside them take more memory than a batch has:
 * without a limit of ours, a script that calls itself for ever would run out of memory, which is no verdict.
 * Finding the depth means walking over frames, so not at every count, and only if so many frames can exist.
 */
static void
check_depth (lua_State *L) {
  sandbox_t *sandbox = sandbox__of(L);
  lua_Debug debug;
  if (++sandbox->counts % DEPTH_EVERY != 0 || sandbox->memory < (size_t) DEPTH_MAX * FRAME_BYTES_MIN) return;
  if (lua_getstack(L, DEPTH_MAX, &debug) == 0) return;
  luaL_error(L, "stack overflow (more than %d calls)", DEPTH_MAX);
}

static void
count (lua_State *L, lua_Debug *debug) {
  (void) debug;
  if (sandbox__of(L)->stop != 0) sandbox__raise(L);
  sandbox__charge(L, SANDBOX_HOOK_INTERVAL);
  check_depth(L);
}

/* Allocates nothing: the allocator calls it. */
static void
AB_PRINTF (3, 0) set_stop(sandbox_t *sandbox, int code, const char *format, va_list arguments) {
  assert(code < 0);
  if (sandbox->stop != 0) return;
  sandbox->stop = code;
  if (!sandbox->is_running) return; /* what the last run said stays */

  int line = sandbox->lua == NULL ? 0 : current_line(sandbox->lua);
  int len = 0;
  if (line > 0) len = snprintf(sandbox->message, sizeof(sandbox->message), "%s:%d: ", sandbox->name, line);
  vsnprintf(sandbox->message + len, sizeof(sandbox->message) - (size_t) len, format, arguments);

  /* What still runs is handlers of to-be-closed variables: none gets further than its first instruction. */
  if (sandbox->lua != NULL) lua_sethook(sandbox->lua, count, LUA_MASKCOUNT, 1);
}

static void
AB_PRINTF (3, 4) stop_from_below(sandbox_t *sandbox, int code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  set_stop(sandbox, code, format, arguments);
  va_end(arguments);
}

void
sandbox__raise (lua_State *L) {
  assert(sandbox__of(L)->stop != 0);
  lua_pushlightuserdata(L, (void *) (uintptr_t) &stop_marker);
  lua_error(L);
  abort(); /* not reached; lua_error is not declared to be without return */
}

void
sandbox__stop (lua_State *L, int code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  set_stop(sandbox__of(L), code, format, arguments);
  va_end(arguments);
  sandbox__raise(L);
}

void
sandbox__stop_no_memory (lua_State *L) {
  sandbox__stop(L, AB_ENOMEM, "%s", ab_strerror(AB_ENOMEM));
}

static const char instructions_text[] = "more than %llu instructions";

static uint64_t
now_ms (const sandbox_t *sandbox) {
  const ab_env_t *env = sandbox->options.env;
  return env->now_ms(env->data);
}

static void
set_due (sandbox_t *sandbox) {
  uint64_t left = sandbox->used > sandbox->allowed ? 0 : sandbox->allowed - sandbox->used + 1;
  sandbox->due = sandbox->used + (left < CLOCK_UNITS ? left : CLOCK_UNITS);
}

void
sandbox__due (lua_State *L) {
  sandbox_t *sandbox = sandbox__of(L);
  if (sandbox->stop != 0) sandbox__raise(L);
  if (sandbox->used > sandbox->allowed) {
    sandbox__stop(L, AB_EREJECTED, instructions_text, (unsigned long long) sandbox->allowed);
  }
  uint64_t now = now_ms(sandbox);
  if (now > sandbox->started_ms && now - sandbox->started_ms > sandbox->options.wall_ms) {
    sandbox__stop(L, AB_EHALTED, "took longer than %u ms on this machine", sandbox->options.wall_ms);
  }
  set_due(sandbox);
}

void
sandbox__check_string (lua_State *L, uint64_t len) {
  uint64_t allowed = sandbox__of(L)->options.string_bytes;
  if (len <= allowed) return;
  sandbox__stop(
    L,
    AB_EREJECTED,
    "a string of %llu bytes; %llu are allowed",
    (unsigned long long) len,
    (unsigned long long) allowed
  );
}

/* ---- memory ---- */

/* A string is about to be made, by whatever means: also by the operator .., which is no function of ours. */
static bool
may_make_string (sandbox_t *sandbox, size_t size) {
  const sandbox_options_t *options = &sandbox->options;
  if (sandbox->string_header == 0 || size <= sandbox->string_header + FREE_STRING) return true;
  size_t len = size - sandbox->string_header;
  if (len > options->string_bytes) {
    stop_from_below(
      sandbox,
      AB_EREJECTED,
      "a string of %zu bytes; %llu are allowed",
      len,
      (unsigned long long) options->string_bytes
    );
    return false;
  }
  sandbox->used += len / 16;
  if (sandbox->used <= sandbox->allowed) return true;
  stop_from_below(sandbox, AB_EREJECTED, instructions_text, (unsigned long long) sandbox->allowed);
  return false;
}

static bool
may_grow (sandbox_t *sandbox, size_t growth) {
  if (sandbox->stop != 0) return false;
  size_t allowed = sandbox->options.memory_bytes;
  size_t taken = sandbox->memory > sandbox->memory_before ? sandbox->memory - sandbox->memory_before : 0;
  if (growth <= allowed && taken <= allowed - growth) return true;
  stop_from_below(sandbox, AB_EHALTED, "more than %zu bytes of memory", allowed);
  return false;
}

static void *
allocate (void *data, void *block, size_t old_size, size_t size) {
  sandbox_t *sandbox = data;
  size_t held = block == NULL ? 0 : old_size;
  if (size == 0) {
    sandbox->memory -= held;
    free(block);
    return NULL;
  }
  if (size > held) {
    if (block == NULL && old_size == LUA_TSTRING && !may_make_string(sandbox, size)) return NULL;
    if (!may_grow(sandbox, size - held)) return NULL;
  }

  void *moved = realloc(block, size);
  if (moved == NULL && size > held) {
    stop_from_below(sandbox, AB_ENOMEM, "%s", ab_strerror(AB_ENOMEM));
    return NULL;
  }
  sandbox->memory += size;
  sandbox->memory -= held;
  return moved == NULL ? block : moved; /* Lua relies on a block being able to shrink */
}

/* ---- what went wrong, in words ---- */

static void
copy_text (char *out, size_t size, ab_slice_t text) {
  size_t len = text.len < size - 1 ? text.len : size - 1;
  for (size_t i = 0; i < len; i++)
    out[i] = text.data[i] < 0x20 || text.data[i] == 0x7f ? '?' : (char) text.data[i];
  out[len] = 0;
}

/* Lua's messages name the chunk, which is called the same everywhere; people know it by another name. */
static void
report (sandbox_t *sandbox, ab_slice_t text) {
  static const char chunk[] = "apply:";
  const size_t chunk_len = sizeof(chunk) - 1;
  char copy[SANDBOX_MESSAGE_MAX - SANDBOX_NAME_MAX - 16];
  copy_text(copy, sizeof(copy), text);

  bool has_place = strncmp(copy, chunk, chunk_len) == 0 && copy[chunk_len] >= '0' && copy[chunk_len] <= '9';
  if (has_place) {
    snprintf(sandbox->message, sizeof(sandbox->message), "%s:%s", sandbox->name, copy + chunk_len);
  } else if (sandbox->line > 0) {
    snprintf(sandbox->message, sizeof(sandbox->message), "%s:%d: %s", sandbox->name, sandbox->line, copy);
  } else {
    snprintf(sandbox->message, sizeof(sandbox->message), "%s: %s", sandbox->name, copy);
  }
}

/* With the error object. No metamethod of it is called. */
static int
describe (lua_State *L) {
  sandbox_t *sandbox = sandbox__of(L);
  char text[96];
  if (lua_type(L, 1) == LUA_TSTRING || lua_type(L, 1) == LUA_TNUMBER) {
    report(sandbox, sandbox__bytes(L, 1));
    return 0;
  }
  if (lua_type(L, 1) == LUA_TTABLE) {
    lua_pushliteral(L, "code");
    lua_rawget(L, 1);
    if (lua_type(L, -1) == LUA_TSTRING) {
      snprintf(text, sizeof(text), "error of code \"%.64s\"", lua_tostring(L, -1));
      report(sandbox, ab_text(text));
      return 0;
    }
  }
  snprintf(text, sizeof(text), "error object is a %s", luaL_typename(L, 1));
  report(sandbox, ab_text(text));
  return 0;
}

/* Where an error is raised that no pcall catches. */
static int
note_line (lua_State *L) {
  sandbox__of(L)->line = current_line(L);
  lua_settop(L, 1);
  return 1;
}

/* ---- runs ---- */

void
sandbox__begin (sandbox_t *sandbox, uint64_t units) {
  sandbox->used = 0;
  sandbox->counts = 0;
  sandbox->allowed = units;
  set_due(sandbox);
  lua_sethook(sandbox->lua, count, LUA_MASKCOUNT, SANDBOX_HOOK_INTERVAL); /* counts from here on */
}

int
sandbox__run (sandbox_t *sandbox, lua_CFunction body, void *data, uint64_t units) {
  lua_State *L = sandbox->lua;
  locale_t before = uselocale(sandbox->locale);
  assert(!sandbox->is_running);

  sandbox->is_running = true;
  sandbox->stop = 0;
  sandbox->line = 0;
  sandbox->message[0] = 0;
  sandbox->memory_before = sandbox->memory;
  sandbox->started_ms = now_ms(sandbox);
  sandbox__begin(sandbox, units);

  lua_settop(L, 0);
  lua_pushcfunction(L, note_line);
  lua_pushcfunction(L, body);
  lua_pushlightuserdata(L, data);
  int status = lua_pcall(L, 1, 0, 1);
  int err = sandbox->stop;
  lua_sethook(L, NULL, 0, 0);

  if (err == 0 && status != LUA_OK) {
    err = AB_EREJECTED;
    lua_pushcfunction(L, describe);
    lua_insert(L, -2);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) err = sandbox->stop == 0 ? AB_ENOMEM : sandbox->stop;
  }
  lua_settop(L, 0);
  sandbox->is_running = false;
  uselocale(before);
  return err;
}

static int
collect (lua_State *L) {
  lua_gc(L, LUA_GCCOLLECT);
  return 0;
}

void
sandbox__clean (sandbox_t *sandbox) {
  if (sandbox->memory < sandbox->memory_clean + GARBAGE_MAX) return;
  sandbox->stop = 0;
  sandbox->memory_before = sandbox->memory;
  lua_pushcfunction(sandbox->lua, collect);
  if (lua_pcall(sandbox->lua, 0, 0, 0) != LUA_OK) lua_settop(sandbox->lua, 0);
  sandbox->memory_clean = sandbox->memory;
}

/* ---- opening ---- */

static int
measure_string (lua_State *L) {
  sandbox_t *sandbox = sandbox__of(L);
  char text[FREE_STRING] = {0};
  size_t before = sandbox->memory;
  lua_pushlstring(L, text, sizeof(text));
  sandbox->string_header = sandbox->memory - before - sizeof(text);
  return 0;
}

int
sandbox__state_open (sandbox_t *sandbox) {
  if (sandbox->options.env == NULL) sandbox->options.env = &ab_env_system;
  sandbox->locale = newlocale(LC_ALL_MASK, "C", (locale_t) 0);
  if (sandbox->locale == (locale_t) 0) return AB_ENOMEM;
  lua_State *L = lua_newstate(allocate, sandbox);
  if (L == NULL) return AB_ENOMEM;

  sandbox->lua = L;
  memcpy(lua_getextraspace(L), &sandbox, sizeof(sandbox));
  lua_gc(L, LUA_GCSTOP); /* for ever: only sandbox__clean collects */
  return sandbox__run(sandbox, measure_string, NULL, UINT32_MAX);
}

void
sandbox__state_close (sandbox_t *sandbox) {
  if (sandbox->lua != NULL) lua_close(sandbox->lua);
  if (sandbox->locale != (locale_t) 0) freelocale(sandbox->locale);
  assert(sandbox->memory == 0);
}

/* ---- small things ---- */

uint8_t *
sandbox__make_text (lua_State *L, size_t len) {
  ab_buf_t *text = &sandbox__of(L)->text;
  ab_buf_reset(text);
  uint8_t *room = ab_buf_extend(text, len);
  if (room == NULL) sandbox__stop_no_memory(L);
  return room;
}

void
sandbox__push_text (lua_State *L) {
  ab_buf_t *text = &sandbox__of(L)->text;
  if (text->err < 0) sandbox__stop_no_memory(L);
  sandbox__push_bytes(L, ab_buf_slice(text));
}

ab_slice_t
sandbox__check_bytes (lua_State *L, int arg) {
  if (lua_type(L, arg) != LUA_TSTRING) luaL_typeerror(L, arg, "string");
  return sandbox__bytes(L, arg);
}

void
sandbox__log (sandbox_t *sandbox, sandbox_log_level_t level, const char *format, ...) {
  if (sandbox->options.log == NULL) return;
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  sandbox->options.log(sandbox->options.log_data, level, text);
}

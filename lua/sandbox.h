/* sandbox.h: apply functions written in Lua 5.4, deterministic and bounded.
 *
 *   script ── scan, compile, run once ──► sandbox_t     refused here: what cannot be the same everywhere
 *
 *   batch ──► new environment ──► main chunk ──► apply(nodes, view, host) ──► ok | rejected | halted
 *                                                         │
 *                                       view and host: the calls of apply/apply.h
 *
 * Two peers that ran the same script over the same batches have the same view, made the same host calls and
 * came to the same verdicts. So a script sees nothing but its batch and the view: no clock, address, locale,
 * hash order or memory of an earlier batch. What it uses is counted, and what is counted decides a verdict
 * only where every peer counts the same: instructions, writes and bytes reject a batch; memory, time and
 * missing blocks halt it, and it runs again later.
 *
 * Files      sandbox.c opening, running, queries; state.c one Lua state, its budgets and its stops; scan.c
 * the script's text; globals.c what a script finds there; base.c, string.c, format.c, pack.c, pattern.c,
 * table.c, utf8.c in place of Lua's libraries; json.c, bytes.c, ab.c helpers; order.c keys in order; view.c,
 * host.c the two objects Invariant  a stop is sticky: no script code runs after it To change  what a script
 * can call: globals.c names it all. A change that any script could notice needs a new SANDBOX_RUNTIME
 *
 * The locale of the calling thread is C while a script runs. A thread that runs scripts needs 512 KiB of
 * stack.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include "apply/apply.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Language series and version of the sandbox; part of the apply identity. */
#define SANDBOX_RUNTIME "lua5.4/s1"

/* What `-- autobee: needs 1.0` in a script's first line compares with: the same major, and at most the minor.
 */
#define SANDBOX_API_MAJOR 1
#define SANDBOX_API_MINOR 0

typedef struct sandbox_s sandbox_t;

typedef enum {
  SANDBOX_LOG_ERROR,
  SANDBOX_LOG_WARNING,
  SANDBOX_LOG_INFO,
  SANDBOX_LOG_DEBUG
} sandbox_log_level_t;

typedef struct {
  uint32_t struct_size;
  const char *name; /* of the script, in messages; copied; default "apply" */

  /* Counted. They are part of the identity: peers of one database use the same. */
  uint64_t instructions;      /* of one batch, with what library functions charge; default 10,000,000 */
  uint64_t main_instructions; /* of the main chunk; default 1,000,000 */
  uint64_t view_operations;   /* puts, deletes and host calls of one batch; default 65,536 */
  uint64_t view_bytes;        /* keys and values written by one batch; default 16 MiB */
  uint64_t key_bytes;         /* of one key; default 4,096 */
  uint64_t input_bytes;       /* all values of one batch; default 4 MiB */
  uint64_t string_bytes;      /* one string; default 8 MiB */
  uint64_t script_bytes;      /* default 256 KiB */

  /* Local. */
  size_t memory_bytes; /* taken by one batch; default 64 MiB */
  uint32_t wall_ms;    /* of one batch; default 10,000 */
  const ab_env_t *env; /* whose clock wall_ms is measured with; NULL: the system's */

  /** What scripts print, and warnings. `text` says which batch; valid during the call. */
  void (*log)(void *log_data, sandbox_log_level_t level, const char *text);
  void *log_data;
} sandbox_options_t;

sandbox_options_t
sandbox_options_default (void);

/**
 * Compile `script` and run its main chunk once.
 *
 * script       exact bytes of the text; copied
 * options      NULL: the defaults
 * message      if not NULL, receives up to `message_len` bytes that say what is wrong, with name and line
 *
 * Returns 0, AB_EINVAL (not a script that can be used), AB_ETOOBIG (script_bytes), AB_EVERSION (it needs a
 * newer sandbox) or AB_ENOMEM.
 */
int
sandbox_open (
  ab_slice_t script, const sandbox_options_t *options, sandbox_t **out, char *message, size_t message_len
);

void
sandbox_close (sandbox_t *sandbox);

/** Apply identity: BLAKE2b-256 of "autobee-apply-1", SANDBOX_RUNTIME and the name of on_error (each with a
 * final zero), the eight counted options above in this order (u64 LE each), and the script. */
void
sandbox_identity (const sandbox_t *sandbox, uint8_t out[32]);

typedef struct {
  bool stop_on_error;      /* policy.on_error: "stop" instead of "skip" */
  bool accepts_optimistic; /* policy.optimistic: the script judges optimistic batches */
  bool has_query;
} sandbox_policy_t;

void
sandbox_policy (const sandbox_t *sandbox, sandbox_policy_t *out);

/**
 * Apply one batch: an autobee_apply_fn whose data is the sandbox_t.
 *
 * Returns 0, AB_EREJECTED (the script raised an error, or a counted budget is used up), AB_EHALTED (a local
 * budget is), AB_EBUSY (called from inside itself), or the code of the call on `apply` that failed, whatever
 * the script did then.
 */
int
sandbox_apply (autobee_apply_t *apply, const autobee_node_t *nodes, size_t count, void *sandbox);

/* A view to read from; each function as its namesake in apply.h. */
typedef struct {
  int (*get)(void *data, ab_slice_t key, ab_slice_t *value);
  int (*cursor_open)(void *data, const autobee_apply_range_t *range, void **out);
  int (*cursor_next)(void *cursor, ab_slice_t *key, ab_slice_t *value);
  void (*cursor_close)(void *cursor);
} sandbox_reader_t;

/**
 * Call the script's function query(name, args, view).
 *
 * args    JSON; empty: nil
 * result  canonical JSON of what it returned; written only on success, valid until the next call
 *
 * Returns 0, AB_ENOTSUP (the script has no query), AB_EINVAL (args), AB_EREJECTED (it raised an error, used
 * up its instructions, or its result is no JSON), AB_EHALTED, AB_EBUSY, or what the reader returned. See
 * sandbox_errmsg.
 */
int
sandbox_query (
  sandbox_t *sandbox,
  ab_slice_t name,
  ab_slice_t args,
  const sandbox_reader_t *reader,
  void *reader_data,
  ab_slice_t *result
);

/** What the last call that failed has to say. Never NULL; valid until the next call. */
const char *
sandbox_errmsg (const sandbox_t *sandbox);

#ifdef __cplusplus
}
#endif

#endif

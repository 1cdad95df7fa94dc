/* script.h: a script in a sandbox, over a view in memory. */
#ifndef SCRIPT_H
#define SCRIPT_H

#include "apply/view.h"
#include "lua/sandbox.h"

typedef struct {
  view_t view;
  sandbox_t *sandbox;
  ab_buf_t log;    /* "1 text\n" …: level and what was said */
  uint64_t length; /* of the last node */
} script_t;

/** Options that log into script->log. */
sandbox_options_t
script_options (script_t *script);

/** `options` NULL: the defaults, with the log. The text must be usable, or the test fails. */
void
script_open (script_t *script, const char *text, const sandbox_options_t *options);
void
script_close (script_t *script);

/** Another text over the same view. */
void
script_replace (script_t *script, const char *text);

/** Apply a batch of these values. Returns the verdict. */
int
script_apply (script_t *script, const char *const *values, size_t count);
/** Of one value. */
int
script_apply_one (script_t *script, const char *value);

/**
 * What `function apply(nodes, view, host) BODY end` makes of one node "value" in an empty view: what it put
 * at "out", or the verdict and the message: "rejected: …", "halted: …". Valid until the next call. In BODY,
 * out(…) puts the text of its arguments with spaces between them.
 */
const char *
script_run (const char *body);
const char *
script_run_with (const char *body, const sandbox_options_t *options);

/** The message of an open that is refused. Valid until the next call. */
const char *
script_refusal (const char *text, int err);

/** Fails unless `text` contains `part`. */
void
assert_contains (const char *text, const char *part);

#endif

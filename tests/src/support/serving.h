/* serving.h: `autobee serve --control -` as a child process, driven by lines of JSON. See docs/control.md.
 *
 * What fails ends the program with a message. The children then end by themselves: their stdin does.
 */
#ifndef SERVING_H
#define SERVING_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "hypercore/ab.h"

typedef struct {
  pid_t pid; /* 0: none */
  int to, from;
  size_t used, taken; /* of `buffer`: bytes read, bytes that were lines already */
  size_t capacity;
  char *buffer;
} serving_t;

/**
 * Start `program` on the database in `folder`, listening at a port of 127.0.0.1 that the system chooses.
 * Returns that port.
 *
 * environment  NAME=VALUE for the child only, ended by NULL; or NULL
 */
unsigned
serving_start (serving_t *serving, const char *program, const char *folder, char *const *environment);

/** Send a command, which is released; the answer can wait. A process that is gone is noticed by serving_hear.
 */
void
serving_say (serving_t *serving, json_t *command);

/** The next answer, whether it is ok or not; events are skipped. NULL: the process has closed its stdout. */
json_t *
serving_hear (serving_t *serving);

/** Send a command and hear its answer, which must be ok; none before it may be missing. Release with
 * json_decref. */
json_t *
serving_ask (serving_t *serving, json_t *command);

/** End it: by `close` and exit code 0, or by SIGKILL. Answers that were not heard are dropped. */
void
serving_close (serving_t *serving);
void
serving_kill (serving_t *serving);

/** Run `program -q -C folder ARGUMENTS…` (ended by NULL), which must exit with 0, and write its first line.
 */
void
serving_run (const char *program, const char *folder, char *const *arguments, char *line, size_t size);

/** Members of an answer; they must be there. Text is borrowed. */
const char *
serving_text (const json_t *answer, const char *member);
uint64_t
serving_uint (const json_t *answer, const char *member);

_Noreturn void
serving_die (const char *format, ...) AB_PRINTF(1, 2);

#endif

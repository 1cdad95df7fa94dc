#define _GNU_SOURCE
#include "support/serving.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SILENT_MS 120000 /* no answer for so long: it hangs */
#define ARGUMENTS_MAX 16

_Noreturn void
serving_die (const char *format, ...) {
  va_list args;
  va_start(args, format);
  fflush(stdout);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  exit(1);
}

/* A child with pipes. `in` may be NULL: then its stdin is empty. */
static pid_t
start (char *const *arguments, char *const *environment, int *in, int *out) {
  int to[2], from[2];
  if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) serving_die("cannot make a pipe");
  fflush(stdout);
  pid_t pid = fork();
  if (pid < 0) serving_die("cannot fork");
  if (pid == 0) {
    dup2(to[0], 0);
    dup2(from[1], 1);
    signal(SIGPIPE, SIG_DFL);
    for (; environment != NULL && *environment != NULL; environment++) putenv(*environment);
    execv(arguments[0], arguments);
    _exit(127);
  }
  close(to[0]);
  close(from[1]);
  if (in == NULL) close(to[1]);
  else *in = to[1];
  *out = from[0];
  return pid;
}

/* ---- lines ---- */

/* False at the end. */
static bool
read_more (serving_t *serving) {
  serving->used -= serving->taken;
  if (serving->used > 0) memmove(serving->buffer, serving->buffer + serving->taken, serving->used);
  serving->taken = 0;
  if (serving->capacity - serving->used < 4096) {
    serving->capacity = 2 * serving->capacity + 65536;
    serving->buffer = realloc(serving->buffer, serving->capacity);
    if (serving->buffer == NULL) serving_die("out of memory");
  }
  struct pollfd readable = {serving->from, POLLIN, 0};
  if (poll(&readable, 1, SILENT_MS) <= 0) serving_die("process %d does not answer", (int) serving->pid);
  ssize_t len = read(serving->from, serving->buffer + serving->used, serving->capacity - serving->used);
  if (len < 0) serving_die("reading what process %d says: %s", (int) serving->pid, strerror(errno));
  serving->used += (size_t) len;
  return len > 0;
}

/* The next line, or NULL at the end. */
static json_t *
read_line (serving_t *serving) {
  char *end;
  size_t seen = 0;
  json_error_t error;
  while ((end =
            serving->used == serving->taken
              ? NULL
              : memchr(serving->buffer + serving->taken + seen, '\n', serving->used - serving->taken - seen)
         ) == NULL) {
    seen = serving->used - serving->taken;
    if (!read_more(serving)) return NULL;
  }
  const char *line = serving->buffer + serving->taken;
  json_t *json = json_loadb(line, (size_t) (end - line), 0, &error);
  if (json == NULL) serving_die("not JSON (%s): %.*s", error.text, (int) (end - line), line);
  serving->taken = (size_t) (end - serving->buffer) + 1;
  return json;
}

void
serving_say (serving_t *serving, json_t *command) {
  char *text = json_dumps(command, JSON_COMPACT);
  json_decref(command);
  if (text == NULL) serving_die("a command that is not well formed");
  size_t len = strlen(text), done = 0;
  text[len++] = '\n'; /* instead of the terminating zero */
  while (done < len) {
    ssize_t wrote = write(serving->to, text + done, len - done);
    if (wrote < 0 && errno == EPIPE) break;
    if (wrote < 0) serving_die("writing to process %d: %s", (int) serving->pid, strerror(errno));
    done += (size_t) wrote;
  }
  free(text);
}

json_t *
serving_hear (serving_t *serving) {
  json_t *line;
  while ((line = read_line(serving)) != NULL && json_object_get(line, "event") != NULL) json_decref(line);
  return line;
}

json_t *
serving_ask (serving_t *serving, json_t *command) {
  serving_say(serving, command);
  json_t *answer = serving_hear(serving);
  if (answer == NULL) serving_die("process %d ended unasked", (int) serving->pid);
  if (!json_is_true(json_object_get(answer, "ok"))) serving_die("%s", json_dumps(answer, 0));
  return answer;
}

/* ---- beginning and ending ---- */

unsigned
serving_start (serving_t *serving, const char *program, const char *folder, char *const *environment) {
  char *arguments[] = {
    (char *) program,
    "-C",
    (char *) folder,
    "serve",
    "-q",
    "--control",
    "-",
    "--listen",
    "tcp:127.0.0.1:0",
    NULL};
  signal(SIGPIPE, SIG_IGN);
  *serving = (serving_t){0};
  serving->pid = start(arguments, environment, &serving->to, &serving->from);
  json_t *ready = read_line(serving);
  if (ready == NULL) serving_die("%s does not serve %s", program, folder);
  unsigned port = (unsigned) serving_uint(ready, "port");
  json_decref(ready);
  return port;
}

static int
end (serving_t *serving) {
  int status;
  close(serving->to);
  while (read_more(serving)) serving->taken = serving->used;
  close(serving->from);
  free(serving->buffer);
  if (waitpid(serving->pid, &status, 0) != serving->pid) serving_die("waitpid: %s", strerror(errno));
  *serving = (serving_t){0};
  return status;
}

void
serving_close (serving_t *serving) {
  pid_t pid = serving->pid;
  serving_say(serving, json_pack("{ss}", "cmd", "close"));
  int status = end(serving);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    serving_die("process %d ended badly: %#x", (int) pid, status);
}

void
serving_kill (serving_t *serving) {
  pid_t pid = serving->pid;
  kill(pid, SIGKILL);
  int status = end(serving);
  if (!WIFSIGNALED(status)) serving_die("process %d had ended before: %#x", (int) pid, status);
}

void
serving_run (const char *program, const char *folder, char *const *arguments, char *line, size_t size) {
  char *all[ARGUMENTS_MAX] = {(char *) program, "-q", "-C", (char *) folder};
  size_t count = 4, used = 0;
  int from, status;
  ssize_t len;
  while (*arguments != NULL && count < ARGUMENTS_MAX - 1) all[count++] = *arguments++;
  pid_t pid = start(all, NULL, NULL, &from);
  while (used < size - 1 && (len = read(from, line + used, size - 1 - used)) > 0) used += (size_t) len;
  line[used] = 0;
  line[strcspn(line, "\n")] = 0;
  close(from);
  if (waitpid(pid, &status, 0) != pid || status != 0) serving_die("%s %s: %#x", program, all[4], status);
}

/* ---- answers ---- */

const char *
serving_text (const json_t *answer, const char *member) {
  const json_t *value = json_object_get(answer, member);
  if (!json_is_string(value)) serving_die("no text \"%s\" in %s", member, json_dumps(answer, 0));
  return json_string_value(value);
}

uint64_t
serving_uint (const json_t *answer, const char *member) {
  const json_t *value = json_object_get(answer, member);
  if (!json_is_integer(value)) serving_die("no number \"%s\" in %s", member, json_dumps(answer, 0));
  return (uint64_t) json_integer_value(value);
}

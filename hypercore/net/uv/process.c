/* process.c: a child whose stdin and stdout are the connection. */
#include "hypercore/net/uv/peer.h"

#include <unistd.h>

static void
on_exit (uv_process_t *process, int64_t exit_code, int term_signal) {
  ab_uv_peer_t *peer = process->data;
  (void) term_signal;
  peer->process_ended = true;
  peer->exit_code = exit_code;
  /* The end of its output comes as well, after what is still in the pipe. */
  if (peer->is_ending && peer->has_said_end && !peer->is_closing) {
    ab__uv_peer_close(peer, AB_EEND, "the command ended");
  }
}

int
ab__uv_process_spawn (ab_uv_peer_t *peer, const char *command, bool initiator) {
  char shell[] = "/bin/sh", flag[] = "-c";
  char *args[] = {shell, flag, (char *) (uintptr_t) command, NULL};
  uv_stdio_container_t stdio[3];
  int err = uv_pipe_init(peer->uv->loop, &peer->in.pipe, 0);
  if (err < 0) return err;
  peer->handles++;
  peer->reader = &peer->in.stream;
  peer->in.handle.data = peer;
  if ((err = uv_pipe_init(peer->uv->loop, &peer->out.pipe, 0)) < 0) return err;
  peer->handles++;
  peer->writer = &peer->out.stream;
  peer->out.handle.data = peer;

  stdio[0].flags = UV_CREATE_PIPE | UV_READABLE_PIPE;
  stdio[0].data.stream = peer->writer;
  stdio[1].flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE;
  stdio[1].data.stream = peer->reader;
  stdio[2].flags = UV_INHERIT_FD;
  stdio[2].data.fd = STDERR_FILENO;
  uv_process_options_t options = {
    .file = shell, .args = args, .exit_cb = on_exit, .stdio = stdio, .stdio_count = 3};
  peer->process.data = peer;
  err = uv_spawn(peer->uv->loop, &peer->process, &options);
  peer->has_process = true; /* the handle is to be closed even if there is no child */
  peer->handles++;
  if (err < 0) {
    peer->process_ended = true;
    return err;
  }
  (void) ab__uv_peer_start(peer, initiator);
  return 0;
}

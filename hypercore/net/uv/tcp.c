/* tcp.c: connections over TCP. */
#include "hypercore/net/uv/peer.h"

#define KEEP_ALIVE_S 60

void
ab__uv_tcp_set_options (uv_tcp_t *tcp) {
  (void) uv_tcp_nodelay(tcp, 1); /* messages are written whole */
  (void) uv_tcp_keepalive(tcp, 1, KEEP_ALIVE_S);
}

static void
on_connect (uv_connect_t *req, int status) {
  ab_uv_peer_t *peer = req->data;
  if (peer->is_closing) return;
  if (status < 0) {
    ab__uv_peer_close(peer, ab__uv_code(status), "%s", uv_strerror(status));
    return;
  }
  ab__uv_tcp_set_options(&peer->in.tcp);
  (void) ab__uv_peer_start(peer, !peer->dial->options.respond);
}

int
ab__uv_tcp_connect (ab_uv_peer_t *peer, const struct sockaddr *address) {
  int err = uv_tcp_init(peer->uv->loop, &peer->in.tcp);
  if (err < 0) return err;
  peer->in.handle.data = peer;
  peer->handles++;
  peer->reader = peer->writer = &peer->in.stream;
  peer->connect.data = peer;
  return uv_tcp_connect(&peer->connect, &peer->in.tcp, address, on_connect);
}

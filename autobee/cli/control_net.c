/* control_net.c: listen, connect, disconnect, sync. */
#include "autobee/cli/request.h"

#include <stdio.h>

#define HOST "127.0.0.1"
#define ADDRESS_SIZE 4096
#define SYNC_TIMEOUT_MS 30000

static int
need_net (request_t *request) {
  if (request_net(request) != NULL) return 0;
  return request_fail(request, AB_ENOTSUP, "nobody serves this database; start \"autobee serve\" first");
}

static int
fail_net (request_t *request, int err) {
  const control_net_t *net = request_net(request);
  return request_fail(request, err, "%s", net->message(net->data));
}

/* `addr`, or `host` and `port`. */
static int
read_address (request_t *request, char address[ADDRESS_SIZE]) {
  ab_slice_t text, host = ab_text(HOST);
  uint64_t port;
  bool given;
  int err = request_string(request, "addr", &text, &given), len;
  if (err < 0) return err;
  if (given) {
    len = snprintf(address, ADDRESS_SIZE, "%.*s", (int) text.len, (const char *) text.data);
  } else {
    if ((err = request_string(request, "host", &host, &given)) < 0) return err;
    if ((err = request_uint(request, "port", &port, NULL)) < 0) return err;
    if (port > 65535) return request_fail(request, AB_EINVAL, "\"port\" is at most 65535");
    len = snprintf(
      address, ADDRESS_SIZE, "tcp:%.*s:%u", (int) host.len, (const char *) host.data, (unsigned) port
    );
  }
  if (len >= 0 && len < ADDRESS_SIZE && strlen(address) == (size_t) len) return 0;
  return request_fail(request, AB_EINVAL, "the address is too long");
}

int
control_listen (request_t *request) {
  char address[ADDRESS_SIZE];
  unsigned port = 0;
  int err = need_net(request);
  if (err < 0 || (err = read_address(request, address)) < 0) return err;
  const control_net_t *net = request_net(request);
  if ((err = net->listen(net->data, address, &port)) < 0) return fail_net(request, err);
  out_name(&request->answer, "port");
  if (port == 0) out_null(&request->answer);
  else out_uint(&request->answer, port);
  return 0;
}

int
control_connect (request_t *request) {
  char address[ADDRESS_SIZE];
  int err = need_net(request);
  if (err < 0 || (err = read_address(request, address)) < 0) return err;
  const control_net_t *net = request_net(request);
  err = net->connect(net->data, address);
  return err < 0 ? fail_net(request, err) : 0;
}

int
control_disconnect (request_t *request) {
  int err = need_net(request);
  if (err < 0) return err;
  const control_net_t *net = request_net(request);
  net->disconnect(net->data);
  return 0;
}

/* ---- sync ---- */

static void
sync_done (control_sync_t *sync, int status, const char *message) {
  request_t *request = sync->data;
  request->is_syncing = false;
  request->is_ended = true;
  request->status = status == AB_EINSYNC ? 0 : status;
  const char *halt = status == AB_EHALTED ? request_halt_message(request) : NULL;
  if (halt != NULL) message = halt;
  if (request->status < 0) snprintf(request->sync_message, sizeof(request->sync_message), "%s", message);
}

static int
sync_begin (request_t *request) {
  const control_net_t *net = request_net(request);
  char address[ADDRESS_SIZE];
  bool given, initiator = false;
  int err = read_address(request, address);
  if (err < 0) return err;
  request->sync = (control_sync_t){.data = request, .done = sync_done, .timeout_ms = SYNC_TIMEOUT_MS};
  err = request_uint(request, "timeoutMs", &request->sync.timeout_ms, &given);
  if (err == 0) err = request_bool(request, "live", &request->sync.live, &given);
  if (err == 0) err = request_bool(request, "initiator", &initiator, &given);
  if (err < 0) return err;
  request->sync.initiator = given && initiator;
  request->sync.responder = given && !initiator;
  request->is_syncing = true;
  if ((err = net->sync(net->data, address, &request->sync)) == 0) return 0;
  request->is_syncing = false;
  return fail_net(request, err);
}

void
control_sync_forget (request_t *request) {
  if (!request->is_syncing) return;
  const control_net_t *net = request_net(request);
  request->is_syncing = false;
  net->sync_cancel(net->data, &request->sync);
}

int
control_sync (request_t *request) {
  int err = need_net(request);
  if (err < 0) return err;
  if (!request->is_syncing && !request->is_ended && (err = sync_begin(request)) < 0) return err;
  if (!request->is_ended) {
    request->due_ms = UINT64_MAX;
    return REQUEST_LATER;
  }
  request->answers_errors = true;
  out_member_uint(&request->answer, "bytesIn", request->sync.bytes_in);
  out_member_uint(&request->answer, "bytesOut", request->sync.bytes_out);
  out_member_uint(&request->answer, "blocksIn", request->sync.blocks_in);
  out_member_uint(&request->answer, "blocksOut", request->sync.blocks_out);
  if (request->status < 0) return request_fail(request, request->status, "%s", request->sync_message);
  return 0;
}

/* ---- attach ---- */

int
control_attach (request_t *request) {
  bool initiator = false, given;
  int err = need_net(request);
  if (err == 0) err = request_bool(request, "initiator", &initiator, &given);
  return err < 0 ? err : request_attach(request, initiator);
}

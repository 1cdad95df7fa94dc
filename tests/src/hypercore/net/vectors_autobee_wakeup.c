/* vectors_autobee_wakeup.c: the wakeup channel as a database's peers were recorded to use it. */
#include "hypercore/crypto.h"
#include "hypercore/net/capability.h"
#include "hypercore/net/messages.h"
#include "message_codecs.h"
#include "support/vectors.h"

static void
run_messages (const json_t *root) {
  json_t *item;
  size_t i;
  json_array_foreach(vectors_get(root, "cases"), i, item) {
    const char *name = vectors_get_text(item, "message");
    ab_slice_t bytes = vectors_get_bytes(item, "hex");
    ab_buf_t out = {0};
    vectors_begin(NULL, "cases", "%zu: %s", i, name);
    const codec_t *codec = message_codec(wakeup_codecs, name);
    if (codec == NULL) continue;
    check_err("decode", 0, codec->codec(bytes, vectors_get(item, "value"), &out));
    check_bytes("encoded", bytes, ab_buf_slice(&out));
    ab_buf_destroy(&out);
  }
}

/* The topic is named by the discovery key of the secret, which is shown to be known without being sent. */
static void
run_capability (const json_t *item) {
  ab_key_t secret, id;
  uint8_t proof[32];
  vectors_begin(NULL, "capability", "both roles");
  vectors_get_key(item, "capability", &secret);
  ab_slice_t hash = vectors_get_bytes(item, "handshakeHash");
  ab_discovery_key(&id, &secret);
  check_bytes("channel", vectors_get_bytes(item, "channelId"), ab_key_slice(&id));
  ab__wakeup_capability(proof, hash.data, true, &secret);
  check_bytes("initiator", vectors_get_bytes(item, "fromInitiator"), ab_slice(proof, 32));
  ab__wakeup_capability(proof, hash.data, false, &secret);
  check_bytes("responder", vectors_get_bytes(item, "fromResponder"), ab_slice(proof, 32));
}

static void
run_wakeup (const char *file, json_t *root) {
  (void) file;
  check_text("protocol", vectors_get_text(root, "protocol"), AB__WAKEUP_PROTOCOL);
  run_messages(root);
  run_capability(vectors_get(root, "capability"));
}

int
main (int argc, char **argv) {
  static const vectors_runner_t runners[] = {{"wakeup.json", run_wakeup}};
  ab_crypto_init();
  return vectors_main(argc, argv, "autobee", runners, 1);
}

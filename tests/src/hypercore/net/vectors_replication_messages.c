/* vectors_replication_messages.c: what is said on channels against the recorded messages. */
#include "hypercore/crypto.h"
#include "hypercore/net/messages.h"
#include "message_codecs.h"
#include "support/vectors.h"

static void
run_codecs (const json_t *root, const codec_t *codecs) {
  size_t i;
  json_t *item, *list;
  const char *name;
  json_object_foreach((json_t *) vectors_get(root, "messages"), name, list) {
    json_array_foreach(list, i, item) {
      vectors_begin(NULL, "messages", "%s %zu", name, i);
      const codec_t *codec = message_codec(codecs, name);
      ab_buf_t out = {0};
      if (codec == NULL) continue;
      if (codec->type >= 0) {
        check_uint("type", vectors_get_uint(vectors_get(root, "types"), name), (uint64_t) codec->type);
      }
      check_err(
        "decode", 0, codec->codec(vectors_get_bytes(item, "bytes"), vectors_get(item, "fields"), &out)
      );
      check_bytes("encoded", vectors_get_bytes(item, "bytes"), ab_buf_slice(&out));
      ab_buf_destroy(&out);
    }
  }
  json_array_foreach(vectors_get(root, "lenient"), i, item) {
    vectors_begin(NULL, "lenient", "%zu: %s", i, vectors_get_text(item, "note"));
    const codec_t *codec = message_codec(codecs, vectors_get_text(item, "type"));
    ab_buf_t out = {0};
    if (codec == NULL) continue;
    check_err("decode", 0, codec->codec(vectors_get_bytes(item, "bytes"), vectors_get(item, "fields"), &out));
    ab_buf_destroy(&out);
  }
  json_array_foreach(vectors_get(root, "refused"), i, item) {
    vectors_begin(
      NULL, "refused", "%zu: %s, %s", i, vectors_get_text(item, "type"), vectors_get_text(item, "note")
    );
    const codec_t *codec = message_codec(codecs, vectors_get_text(item, "type"));
    if (codec == NULL) continue;
    check_err("decode", AB_ECORRUPT, codec->codec(vectors_get_bytes(item, "bytes"), NULL, NULL));
  }
}

static void
run_core_messages (const char *file, json_t *root) {
  (void) file;
  run_codecs(root, core_codecs);
}

static void
run_wakeup (const char *file, json_t *root) {
  (void) file;
  check_text("protocol", vectors_get_text(root, "protocol"), AB__WAKEUP_PROTOCOL);
  run_codecs(root, wakeup_codecs);
}

int
main (int argc, char **argv) {
  static const vectors_runner_t runners[] = {
    {"messages.json", run_core_messages},
    {"wakeup.json", run_wakeup},
  };
  ab_crypto_init();
  return vectors_main(argc, argv, "replication", runners, sizeof(runners) / sizeof(*runners));
}

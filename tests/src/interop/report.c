#include "interop/report.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

#include "hypercore/crypto.h"

void
report (json_t *object) {
  json_dumpf(object, stdout, JSON_COMPACT);
  fputc('\n', stdout);
  fflush(stdout);
  json_decref(object);
}

static json_t *
hex (const uint8_t bytes[32]) {
  char text[65];
  return json_string(sodium_bin2hex(text, sizeof(text), bytes, 32));
}

json_t *
report_key (const ab_key_t *key) {
  return hex(key->bytes);
}

json_t *
report_core (hypercore_t *core, bool with_blocks) {
  uint64_t length = hypercore_length(core), held = 0;
  uint8_t hash[32];
  json_t *object = json_object(), *blocks = json_object();
  for (uint64_t i = 0; i < length; i++) {
    ab_slice_t block;
    char name[24];
    if (!hypercore_has(core, i, i + 1) || hypercore_get_stored(core, i, &block) < 0) continue;
    held++;
    if (!with_blocks) continue;
    ab_hash(hash, &block, 1);
    snprintf(name, sizeof(name), "%" PRIu64, i);
    json_object_set_new(blocks, name, hex(hash));
  }
  json_object_set_new(object, "key", report_key(hypercore_key(core)));
  json_object_set_new(object, "fork", json_integer((json_int_t) hypercore_fork(core)));
  json_object_set_new(object, "length", json_integer((json_int_t) length));
  json_object_set_new(object, "byteLength", json_integer((json_int_t) hypercore_byte_length(core)));
  json_object_set_new(object, "held", json_integer((json_int_t) held));
  bool has_hash = length > 0 && hypercore_tree_hash(core, length, hash) == 0;
  json_object_set_new(object, "treeHash", has_hash ? hex(hash) : json_null());
  if (with_blocks) json_object_set(object, "blocks", blocks);
  json_decref(blocks);
  return object;
}

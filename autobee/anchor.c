/* anchor.c: making anchors. */
#include "autobee/anchor.h"

#include "autobee/oplog.h"
#include "autobee/record.h"
#include "hypercore/crypto.h"
#include "hypercore/encoding.h"
#include "hypercore/manifest.h"
#include "hypercore/tree.h"

#define ANCHOR_MANIFEST_VERSION 2

void
autobee__anchor_namespace (const ab_head_t *node, ab_key_t *out) {
  uint8_t length[8];
  ab_put_u64le(length, node->length);
  ab_slice_t parts[] = {ab_key_slice(&node->key), ab_slice(length, sizeof(length))};
  ab_hash(out->bytes, parts, 2);
}

void
autobee__anchor_destroy (anchor_t *anchor) {
  ab_buf_destroy(&anchor->manifest);
  ab_buf_destroy(&anchor->block);
}

static int
make_block (const encryption_t *encryption, const ab_key_t *ns, ab_slice_t message, ab_buf_t *out) {
  if (encryption == NULL) {
    ab_buf_append(out, message);
    return out->err;
  }
  uint8_t *stored = ab_buf_extend(out, message.len + AB_CIPHER_PADDING);
  if (stored == NULL) return out->err;
  ab_cipher_t cipher;
  autobee__encryption_anchor(encryption, ns, message, &cipher);
  int err = ab_cipher_encrypt(&cipher, ns, 0, 0, message, stored);
  ab_wipe(&cipher, sizeof(cipher));
  return err;
}

static int
make_manifest (const ab_key_t *ns, ab_slice_t block, anchor_t *out) {
  ab_manifest_t manifest = {.version = ANCHOR_MANIFEST_VERSION, .has_prologue = true, .prologue_length = 1};
  record_manifest_data_t data = {.has_namespace = true, .ns = *ns};
  ab_buf_t user_data = {0};
  ab_node_t leaf;
  int err;

  ab_node_leaf(0, block, &leaf);
  ab_roots_hash(&leaf, 1, manifest.prologue_hash);
  autobee__record_manifest_data_encode(&user_data, &data);
  if ((err = user_data.err) < 0) goto done;
  manifest.has_user_data = true;
  manifest.user_data = ab_buf_slice(&user_data);
  ab_manifest_encode(&out->manifest, &manifest);
  if ((err = out->manifest.err) < 0) goto done;
  err = ab_manifest_key(&manifest, &out->key);

done:
  ab_buf_destroy(&user_data);
  return err;
}

int
autobee__anchor_make (const encryption_t *encryption, const ab_head_t *node, anchor_t *out) {
  oplog_message_t message = {.links = node, .link_count = 1};
  ab_buf_t encoded = {0};
  ab_key_t ns;
  int err;

  autobee__anchor_namespace(node, &ns);
  autobee__oplog_encode(&encoded, &message);
  if ((err = encoded.err) < 0) goto done;
  if ((err = make_block(encryption, &ns, ab_buf_slice(&encoded), &out->block)) < 0) goto done;
  err = make_manifest(&ns, ab_buf_slice(&out->block), out);

done:
  ab_buf_destroy(&encoded);
  return err;
}

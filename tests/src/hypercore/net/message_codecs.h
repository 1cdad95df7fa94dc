/* message_codecs.h: each message of a channel, decoded, held against its recorded fields and encoded again.
 */
#ifndef MESSAGE_CODECS_H
#define MESSAGE_CODECS_H

#include <jansson.h>

#include "hypercore/buf.h"

typedef struct {
  const char *name;
  int type; /* of the message on its channel; -1: none, a handshake */
  /* Decode `bytes`; compare with `fields` unless NULL; encode again into `out`. */
  int (*codec)(ab_slice_t bytes, const json_t *fields, ab_buf_t *out);
} codec_t;

extern const codec_t core_codecs[], wakeup_codecs[];

/** NULL, and a failure of the current case, if there is none of that name. */
const codec_t *
message_codec (const codec_t *codecs, const char *name);

#endif

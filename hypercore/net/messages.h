/* messages.h: what is said on a channel of a core and on a wakeup topic. Private to hypercore/net/. Pure.
 *
 *   hypercore/alpha  handshake  uint flags (1 seeks) ‖ fixed32 capability
 *    0 sync       uint flags (1 can upgrade, 2 uploading, 4 downloading, 8 has manifest, 16 allow push),
 *                 uint fork, uint length, uint remote length
 *    1 request    proof.h
 *    2 cancel     uint request
 *    3 data       proof.h
 *    4 no data    uint request, [uint flags (1 reason), [uint reason]]
 *    5 want       uint start, uint length, [uint flags (1 any)]
 *    6 unwant     as want
 *    7 bitfield   uint start, uint words, that many words of 32 bits, little endian
 *    8 range      uint flags (1 drop, 2 length is 1), uint start, [uint length unless 2]
 *    9 extension  string name, the rest
 *
 *   wakeup           handshake  uint version (0) ‖ fixed32 capability ‖ uint flags (1 active)
 *    0 lookup     uint flags (1 hash), [fixed32 hash]
 *    1 announce   list of fixed32 key, uint length
 *    2 info       uint flags (1 active)
 *
 * Every decoder returns 0 or AB_ECORRUPT; unknown flags and trailing bytes are ignored; slices point into the
 * message. Encoders append to a buffer whose errors stick.
 */
#ifndef AB_MESSAGES_H
#define AB_MESSAGES_H

#include "hypercore/buf.h"
#include "hypercore/encoding.h"

#define AB__CORE_PROTOCOL "hypercore/alpha"
#define AB__CORE_ALIAS "hypercore"
#define AB__WAKEUP_PROTOCOL "wakeup"

typedef enum {
  AB__SYNC = 0,
  AB__REQUEST,
  AB__CANCEL,
  AB__DATA,
  AB__NO_DATA,
  AB__WANT,
  AB__UNWANT,
  AB__BITFIELD,
  AB__RANGE,
  AB__EXTENSION
} ab__core_message_t;

typedef enum { AB__LOOKUP = 0, AB__ANNOUNCE, AB__INFO } ab__wakeup_message_t;

/* Reasons of no data. */
enum { AB__NOT_GIVEN = 0, AB__NOT_AVAILABLE = 1, AB__NOT_VALID = 2 };

typedef struct {
  bool seeks; /* understands the seek part of requests */
  uint8_t capability[32];
} ab__core_handshake_t;

typedef struct {
  uint64_t fork;
  uint64_t length;
  uint64_t remote_length; /* the receiver's, as the sender knows it: an acknowledgement */
  bool can_upgrade;       /* the sender can prove its tree to the receiver */
  bool uploading;
  bool downloading;
  bool has_manifest;
  bool allow_push;
} ab__sync_t;

typedef struct {
  uint64_t request;
  uint64_t reason;
} ab__no_data_t;

typedef struct {
  uint64_t start;
  uint64_t length;
  bool any;
} ab__want_t;

typedef struct {
  uint64_t start;
  ab_slice_t words; /* 4 bytes each; bit i mod 8 of byte i / 8 is block start + i */
} ab__bits_t;

typedef struct {
  bool drop;
  uint64_t start;
  uint64_t length;
} ab__range_msg_t;

typedef struct {
  ab_slice_t name; /* empty: that of the message before */
  ab_slice_t message;
} ab__extension_t;

typedef struct {
  uint64_t version;
  uint8_t capability[32];
  bool active;
} ab__wakeup_handshake_t;

typedef struct {
  bool has_hash;
  uint8_t hash[32];
} ab__lookup_t;

int
ab__core_handshake_decode (ab_slice_t message, ab__core_handshake_t *out);
void
ab__core_handshake_encode (ab_buf_t *out, const ab__core_handshake_t *handshake);
int
ab__sync_decode (ab_slice_t message, ab__sync_t *out);
void
ab__sync_encode (ab_buf_t *out, const ab__sync_t *sync);
int
ab__cancel_decode (ab_slice_t message, uint64_t *request);
void
ab__cancel_encode (ab_buf_t *out, uint64_t request);
int
ab__no_data_decode (ab_slice_t message, ab__no_data_t *out);
void
ab__no_data_encode (ab_buf_t *out, const ab__no_data_t *no_data);
int
ab__want_decode (ab_slice_t message, ab__want_t *out);
void
ab__want_encode (ab_buf_t *out, const ab__want_t *want);
int
ab__bits_decode (ab_slice_t message, ab__bits_t *out);
void
ab__bits_encode (ab_buf_t *out, const ab__bits_t *bits);
int
ab__range_decode (ab_slice_t message, ab__range_msg_t *out);
void
ab__range_encode (ab_buf_t *out, const ab__range_msg_t *range);
int
ab__extension_decode (ab_slice_t message, ab__extension_t *out);
void
ab__extension_encode (ab_buf_t *out, const ab__extension_t *extension);

int
ab__wakeup_handshake_decode (ab_slice_t message, ab__wakeup_handshake_t *out);
void
ab__wakeup_handshake_encode (ab_buf_t *out, const ab__wakeup_handshake_t *handshake);
int
ab__lookup_decode (ab_slice_t message, ab__lookup_t *out);
void
ab__lookup_encode (ab_buf_t *out, const ab__lookup_t *lookup);
int
ab__info_decode (ab_slice_t message, bool *active);
void
ab__info_encode (ab_buf_t *out, bool active);
void
ab__announce_encode (ab_buf_t *out, const ab_head_t *heads, size_t count);

/** Check an announcement as a whole and leave `in` in front of its first head. Returns 0 or AB_ECORRUPT. */
int
ab__announce_decode (ab_slice_t message, ab_reader_t *in, size_t *count);
void
ab__announce_read (ab_reader_t *in, ab_head_t *head);

#endif
